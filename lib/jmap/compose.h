/* jmap/compose.h: a message made from an Email that a client creates (RFC 8621 4.6).
 *
 * Read once: jmap_compose_read() checks the object and says all that is wrong with it, by property, and which
 * blobs it needs; then written a piece at a time, however large they are.  Pure: blobs come from the caller.
 * What is the store's (mailboxIds, keywords, receivedAt) is the caller's to read.
 *
 * What is written is MIME that any server takes: header and body lines of at most 998 octets, seven bits but
 * in addresses beyond ASCII (RFC 6532) and within messages that are attached as they are.  Choices that the
 * RFC leaves: text is UTF-8, as it stands where that fits, else quoted-printable or base64, whichever is
 * shorter; line ends are CRLF; attachments are "attachment" unless the client says otherwise; those with a
 * `cid` that are inline stand with the HTML in a multipart/related, this with the text in a
 * multipart/alternative, and that with the rest in a multipart/mixed. */
#ifndef JMAP_COMPOSE_H
#define JMAP_COMPOSE_H
#include <sys/types.h>
#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"

#define JMAP_WRONG_MAX         20
#define JMAP_COMPOSE_PARTS_MAX 1000
#define JMAP_COMPOSE_DEPTH_MAX 30
#define JMAP_COMPOSE_NAME_MAX  255 /* octets of an attachment's name */

/* What the message says that the client does not. */
struct jmap_compose_facts {
	int64_t now; /* unix seconds, for Date */
	int zone;    /* minutes east of UTC */
	struct slice
	    unique; /* letters and digits that nobody can guess and no other message has: for
	                        Message-ID and boundaries; at most 40 */
	struct slice domain; /* of the Message-ID */
};

/* An invalid property: its name, or of a part a path like "attachments/0/charset"; and why, in English. */
struct jmap_wrong {
	struct slice path;
	const char *why;
};

struct jmap_compose_part;
struct jmap_compose {
	struct jmap_wrong wrong[JMAP_WRONG_MAX]; /* the first of them */
	size_t nwrong;
	struct slice *blobs; /* ids, of which one may come several times */
	size_t nblobs;
	/* kept */
	const struct jmap_compose_facts *facts;
	struct arena *a;
	struct slice header; /* of the message, without what its root part adds */
	struct jmap_compose_part *root, *part;
	size_t nparts, nboundaries;
	enum { JMAP_COMPOSE_HEAD, JMAP_COMPOSE_BODY, JMAP_COMPOSE_END, JMAP_COMPOSE_OVER } step;
	uint64_t at; /* octets of a part's content that are written */
	struct buf piece, line;
};

/* Where blobs come from: appends what follows `at` of c->blobs[i], at most some 64 KiB.  Returns how much; 0:
 * that was all; -EAGAIN: later (the caller's read is at work); else another -errno, which is passed on. */
struct jmap_compose_blobs {
	ssize_t (*read)(void *arg, size_t i, uint64_t at, struct buf *out);
	void *arg;
};

/* `email` and `facts` must live as long as `c`; what is made lies in `a`.  0; -EBADMSG: c->wrong says why. */
int jmap_compose_read(struct jmap_compose *c, const struct json_t *email,
    const struct jmap_compose_facts *facts, struct arena *a) MUSTCHECK;
/* Appends the next piece of the message, at most some 200 KB.  1: more follows; 0: that was all; -EAGAIN or
 * another -errno from the blobs: nothing was appended, and it can be called again. */
int jmap_compose_next(struct jmap_compose *c, const struct jmap_compose_blobs *blobs,
    struct buf *out) MUSTCHECK;
void jmap_compose_end(struct jmap_compose *c);
#endif
