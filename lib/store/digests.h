/* store/digests.h: digests that an index has not, made again from the files of the messages.
 *
 * For storectl recover: the operation log has all but them, because a file says the same.  The store
 * itself cannot make one (message/digest.h), so the maker comes from outside. */
#ifndef STORE_DIGESTS_H
#define STORE_DIGESTS_H
#include "store/replay.h"

/* Appends the digest of a message. */
typedef void store_digest_fn(struct slice message, struct buf *out);
/* For each content of r's index, which is of today's format: a digest, when it has none and one of its
 * files can be read.  *made is how many.  0 or an LMDB code; r->txn has the last of them, uncommitted, or
 * is NULL when a commit failed. */
int store_digests_make(struct store_replay *r, store_digest_fn *build, uint64_t *made) MUSTCHECK;
#endif
