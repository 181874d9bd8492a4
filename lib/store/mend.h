/* store/mend.h: which records of an account are no good, for storectl reconstruct, and what the good
 * ones say about them.  Only looks; stored makes them again (store_mend_start). */
#ifndef STORE_MEND_H
#define STORE_MEND_H
#include "store/read.h"

/* Inside a snapshot.  Is the folder's record one that stored takes into memory: checksum, account and
 * name as they should be?  Readers do without, it costs.  0, -ENOENT: no such name; -EBADMSG, or
 * another -errno. */
int store_mend_look(struct store_view *v, uint64_t account, struct slice account_name,
    struct slice folder) MUSTCHECK;
/* Inside a snapshot.  Calls fn for every mailbox of the account whose own record is good, whether a
 * name leads to it or not.  Looks at all mailboxes of the partition. */
void store_mend_walk(struct store_view *v, struct slice account_name,
    void (*fn)(void *arg, const struct store_mailbox *m), void *arg);
#endif
