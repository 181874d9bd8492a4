/* jmapd/blob-take.h: octets of blobs as methods want them: in memory, in turns. */
#ifndef JMAPD_BLOB_TAKE_H
#define JMAPD_BLOB_TAKE_H
#include "blob.h"

/* Octets of a blob on their way into a buffer; zeroed at first. */
struct blob_taking {
	struct blob b;
	bool begun, open;
	uint64_t at, end;
	size_t start;  /* of the buffer */
	uint64_t size; /* of the blob, when it is over */
	uint64_t most; /* more than these are -E2BIG; 0: no bound */
	bool cut;      /* it has fewer than were asked for */
};
/* Octets from..from + n, or as many of them as it has, appended; `n` UINT64_MAX: all.  0; -EAGAIN: in another turn;
 * -EINPROGRESS: the call is resumed; -ENOENT, -E2BIG; or another -errno. */
int blob_take(struct call *c, struct blob_taking *t, struct slice id, uint64_t from, uint64_t n,
    struct buf *out) MUSTCHECK;
/* Closes it, and returns rc. */
int blob_take_over(struct blob_taking *t, int rc);
/* What a method returns for -EAGAIN and -EINPROGRESS. */
enum call_next blob_take_later(int rc);
#endif
