/* store/check_private.h: what check.c and check_files.c share. */
#ifndef STORE_CHECK_PRIVATE_H
#define STORE_CHECK_PRIVATE_H
#include "store/check.h"
#include "store/read_private.h"

struct waiting {                /* a file that the purge will remove */
	uint64_t mailbox;
	uint32_t uid;
};
struct checker {
	struct store_check *c;
	struct store_view *v;
	struct slice only;      /* account */
	struct buf boxes;       /* uint64_t: mailboxes that names lead to */
	struct buf emails;      /* uint64_t: contents in use */
	struct buf waiting;     /* struct waiting, sorted */
	bool again;             /* this is not the first look */
	struct buf *held;       /* findings that may still go away; NULL = tell at once */
};
void finding(struct checker *k, const char *fmt, ...) PRINTF(2, 3);
void waiting_load(struct checker *k);                 /* inside a snapshot */
bool waiting_has(const struct checker *k, uint64_t mailbox, uint32_t uid);
bool waiting_any(const struct checker *k, uint64_t mailbox);
void check_files(struct checker *k);
#endif
