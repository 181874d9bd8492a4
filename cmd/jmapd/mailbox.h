/* jmapd/mailbox.h: what the methods of Mailbox (RFC 8621 2) share. */
#ifndef JMAPD_MAILBOX_H
#define JMAPD_MAILBOX_H
#include "folders.h"

/* Where clients list it: the ones with a role first. */
int64_t mailbox_sort_order(const struct folder *f);
/* "myRights":{...} */
void mailbox_put_rights(struct buf *b, const struct call *c, const struct folder *f);
/* Does the request speak of sharing (urn:ietf:params:jmap:mail:share)? */
bool mailbox_shares_used(const struct call *c);
/* "shareWith":{...} or null, in a snapshot: whom the user lets see the mailbox, by the ids that their accounts have. */
void mailbox_put_shares(struct call *c, const struct folder *f);

/* What is to be given to others; mailbox-share.c. */
struct mailbox_share {
	char identifier[STORE_IDENTIFIER_MAX + 1];
	uint32_t is, wanted; /* enum store_right */
};
struct mailbox_shares {
	struct mailbox_share *list; /* in the call's arena */
	size_t n, at;
};
/* "shareWith", or a path below it? */
bool mailbox_shares_named(struct slice name);
/* All members of that kind of an object that creates or updates, on top of what the mailbox (0: a new one) gives now.
 * NULL, or what is wrong. */
const char *mailbox_shares_read(struct call *c, uint64_t mailbox, const struct json_t *v,
    struct mailbox_shares *s);
/* The next one that is to be changed, or NULL. */
const struct mailbox_share *mailbox_shares_next(struct mailbox_shares *s);

extern const struct jmapd_method mailbox_get, mailbox_query, mailbox_set, mailbox_changes,
    mailbox_query_changes;
#endif
