/* store/quota.h: limits that the store keeps itself: of an account, in place of the directory's, and of a folder.
 *
 * Each is an annotation that no client sees or sets (annot.h), all people's: so it goes where the mailbox goes, into
 * backups, to other hosts, and away with it.  stored takes one from programs that ask for nobody alone.  The value is
 * a line of base/kv.h.  Nothing here writes. */
#ifndef STORE_QUOTA_H
#define STORE_QUOTA_H
#include "store/read.h"

#define STORE_ANNOT_QUOTA STORE_ANNOT_SECRET "quota"
#define STORE_QUOTA_MOST  INT64_MAX /* of either number; as good as none */

struct store_quota {
	uint64_t bytes, messages;       /* 0 = no limit; 1 is as good as "nothing" */
	int64_t at;                     /* unix seconds: when it was set, */
	char by[STORE_ACCOUNT_MAX + 1]; /* and by whom */
};

/* A pair: numbers above STORE_QUOTA_MOST are that.  0 or -EBADMSG. */
void store_quota_write(struct buf *b, const struct store_quota *q);
int store_quota_parse(struct slice value, struct store_quota *q) MUSTCHECK;

/* Inside a snapshot: that of a mailbox, or (0) of the account.  0; -ENOENT: the directory's hold, or the folder has none;
 * -EBADMSG: what is there is damaged, and limits nothing. */
int store_quota_find(struct store_view *v, uint64_t account, uint64_t mailbox,
    struct store_quota *q) MUSTCHECK;

/* Do these limits ask for none, whatever the account has? */
bool store_limits_unasked(const struct store_limits *l);
/* Those of an account with these from the directory: its own pair in their place.  The domain's stay. */
void store_limits_replace(struct store_limits *l, const struct store_quota *q);
/* The same for who reads: as stored will judge. */
struct store_limits
store_limits_find(struct store_view *v, uint64_t account, struct store_limits l);
#endif
