/* pop3d/drop.h: a mailbox as a session sees it: its messages at login, numbered (RFC 1939 4), and which
 * of them are marked as deleted or have been retrieved.
 *
 * The numbers are runs of UIDs, 8 bytes for each run however long: an INBOX that nobody has deleted
 * from is one.  Marks are a bit a message, from the first mark on.  So a session on 1,000,000 messages
 * costs 8 bytes to 8 MB (every other UID gone: 4 bytes a message of that 1,000,000 that were), and 125 KB
 * for each kind of mark.  Sizes are not kept: they are in the index, and never change. */
#ifndef POP3D_DROP_H
#define POP3D_DROP_H
#include "net/loop.h"
#include "net/op.h"
#include "store/read.h"

#define DROP_SIZES   256        /* that are looked up at once */
#define DROP_UNKNOWN UINT64_MAX /* the size of a message that is gone */

struct drop_run {
	uint32_t number; /* of its first message, from 1 */
	uint32_t uid;    /* that message's */
};
struct drop_marks {
	uint64_t *bits; /* heap; NULL: none */
	uint32_t n;
};
struct drop {
	uint64_t account, mailbox;
	uint32_t uidvalidity;
	uint32_t count; /* messages at login */
	uint64_t bytes; /* and their octets */
	struct drop_run *runs;
	size_t nruns;
	struct drop_marks deleted, retrieved;
	uint64_t deleted_bytes;
};

/* The INBOX of the account as it is now.  0; 1: it has so many gaps that they are to be found beside the
 * loop; or -errno.  Outside of a snapshot. */
int drop_open(struct store_view *v, uint64_t account, struct drop **d) MUSTCHECK;
/* The same on the pool, as work of the account's: rc is 0 or -errno, the drop is the caller's. */
typedef void drop_done(void *arg, int rc, struct drop *d);
void drop_open_start(struct store_reader *r, uint64_t account, struct loop *l, struct op *op,
    drop_done *done, void *arg);
void drop_free(struct drop **d);
/* n is 1 .. count. */
uint32_t drop_uid(const struct drop *d, uint32_t n);
bool drop_marked(const struct drop_marks *m, uint32_t n);
/* Marks it; false when it was. */
bool drop_mark(const struct drop *d, struct drop_marks *m, uint32_t n);
void drop_unmark_all(struct drop_marks *m);
/* The UIDs of what is marked, as struct store_range, ascending, not touching. */
void drop_ranges(const struct drop *d, const struct drop_marks *m, struct buf *ranges);
/* The octets of messages n, n + 1 ... (`count` of them, at most DROP_SIZES): of one that somebody else
 * has expunged meanwhile those of its file, as long as that is there, else DROP_UNKNOWN.  0 or -errno. */
int drop_sizes(const struct drop *d, struct store_view *v, uint32_t n, uint32_t count,
    uint64_t *sizes) MUSTCHECK;
#endif
