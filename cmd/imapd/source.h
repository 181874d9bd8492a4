/* imapd/source.h: the bytes that a URL names: a message, a section of it, a piece of either (RFC 5092).
 *
 *	source_begin(), then source_go() until SOURCE_READY: `left` is how many there are
 *	source_bytes() while left > 0
 *	source_close(), also in the middle
 *
 * What waits wakes the session, whose cursor calls again.  For CATENATE and URLFETCH. */
#ifndef IMAPD_SOURCE_H
#define IMAPD_SOURCE_H
#include "imap/url.h"
#include "message/feed.h"
#include "message/fields.h"
#include "session.h"

#define SOURCE_PIECE (64 * 1024) /* bytes read in one go */

enum source_went {
	SOURCE_READY,
	SOURCE_YIELDS, /* time is out */
	SOURCE_WAITS,
	SOURCE_NONE,  /* there is no such message or section */
	SOURCE_FAILED /* an error of ours, which is logged */
};
/* Zeroed: closed.  In the command's arena. */
struct source {
	struct session *session;
	const struct imap_url *url;
	struct store_view *reader;
	uint64_t mailbox;
	enum { SOURCE_OPENS, SOURCE_PARSES, SOURCE_PARSED, SOURCE_SCANS, SOURCE_READS } stage;
	int error;
	bool open, picks;
	struct message_feed feed;
	struct message_parse *tree; /* the pool has the message */
	struct message_fields fields;
	struct message_picked picked;
	uint64_t skip; /* bytes of a selection that are not wanted */
	uint64_t left; /* bytes still to be read */
};

/* Outside a snapshot; the URL's UID, section and piece count, not its mailbox. */
void source_begin(struct source *c, struct session *s, const struct imap_url *u,
    struct store_view *reader, uint64_t mailbox);
enum source_went source_go(struct source *c);
/* Appends some of the bytes; SOURCE_READY: c->left is less than it was. */
enum source_went source_bytes(struct source *c, struct buf *out);
void source_close(struct source *c);
#endif
