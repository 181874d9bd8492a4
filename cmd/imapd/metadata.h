/* imapd/metadata.h: what METADATA shares with LIST, IDLE and the news. */
#ifndef IMAPD_METADATA_H
#define IMAPD_METADATA_H
#include "imap/metadata.h"
#include "place.h"

/* Rights that let one use a mailbox's annotations, one of them beside l: RFC 5464 3.3. */
#define METADATA_RIGHTS                                                                            \
	(STORE_R_READ | STORE_R_SEEN | STORE_R_WRITE | STORE_R_INSERT | STORE_R_POST)
static inline bool
metadata_may(uint32_t rights)
{
	return rights & STORE_R_LOOKUP && rights & METADATA_RIGHTS;
}

/* LIST-METADATA: the mailbox whose entries are being written, beside the walk over names. */
struct metadata_line {
	const struct imap_entries *want;
	size_t at; /* of the entries; want->n: nothing is under way */
	struct store_view *reader;
	bool apart;   /* its snapshot is not the one that is open */
	bool *failed; /* set when the store cannot be read */
	uint64_t account, mailbox;
};
/* Begins the line of a mailbox: "* METADATA name (".				RFC 9590 3 */
void metadata_line_begin(struct session *s, struct metadata_line *l, struct slice name);
/* Goes on with it.  False: the output is full. */
bool metadata_line_more(struct session *s, struct metadata_line *l);
/* The store cannot be read any more: the line that has begun is ended, as if there were no values, and
 * *failed says so. */
void metadata_line_end(struct session *s, struct metadata_line *l);

/* ENABLE METADATA was said; the session ends, or its login. */
void metadata_watch(struct session *s);
void metadata_unwatch(struct session *s);
/* stored tells that annotations were set. */
void metadata_event(const struct store_event *ev);
/* What others have set in an account, inside its snapshot: "* METADATA name entry ...", for each mailbox that has a name
 * to be told by.  IMAP_FULL, IMAP_YIELD: it goes on, in any snapshot. */
typedef bool annots_name_fn(struct session *s, void *arg, uint64_t mailbox, struct slice *name);
enum imap_next annots_tell(struct session *s, struct annots_news *n, struct store_view *v,
    struct slice account, annots_name_fn *name_of, void *arg);
/* What others have set, to a client that has said ENABLE METADATA: a cursor.	RFC 5464 4.4.2 */
enum imap_next metadata_news(struct session *s);
#endif
