/* store/check-impl.h: what the files of the check share. */
#ifndef STORE_CHECK_IMPL_H
#define STORE_CHECK_IMPL_H
#include "store/check.h"
#include "store/read-impl.h"

struct waiting { /* a file that the purge will remove */
	uint64_t mailbox;
	uint32_t uid;
};
struct checker {
	struct store_check *c;
	struct store_view *v;
	struct slice only;   /* account */
	struct buf boxes;    /* uint64_t: mailboxes that names lead to */
	struct buf accounts; /* uint64_t: their ids */
	struct buf emails;   /* uint64_t: contents in use */
	struct buf waiting;  /* struct waiting, sorted */
	bool again;          /* this is not the first look */
	struct buf *held;    /* findings that may still go away; NULL = tell at once */
};
void store_check_finding(struct checker *k, const char *fmt, ...) PRINTF(2, 3);
void store_check_sort(struct buf *b);                  /* of uint64_t */
bool store_check_has(const struct buf *b, uint64_t v); /* is it in one that is sorted? */
void store_check_waiting_load(struct checker *k);      /* inside a snapshot */
bool store_check_waiting_has(const struct checker *k, uint64_t mailbox, uint32_t uid);
bool store_check_waiting_any(const struct checker *k, uint64_t mailbox);
void store_check_annots(struct checker *k); /* inside a snapshot */
void store_check_seen(struct checker *k);   /* the same */
void store_check_files(struct checker *k);
void store_check_bodies(struct checker *k); /* outside a snapshot */
#endif
