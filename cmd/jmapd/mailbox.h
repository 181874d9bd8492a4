/* jmapd/mailbox.h: what the methods of Mailbox (RFC 8621 2) share. */
#ifndef JMAPD_MAILBOX_H
#define JMAPD_MAILBOX_H
#include "folders.h"

/* Where clients list it: the ones with a role first. */
int64_t mailbox_sort_order(const struct folder *f);
/* "myRights":{...} */
void mailbox_put_rights(struct buf *b, const struct call *c, const struct folder *f);
extern const struct jmapd_method mailbox_get, mailbox_query, mailbox_set, mailbox_changes,
    mailbox_query_changes;
#endif
