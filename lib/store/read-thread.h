/* store/read-thread.h: an account's emails and threads, for who knows messages by what they are and not by
 * where they are (jmapd).  Inside a snapshot, as all of store/read.h.
 *
 * An email is a content that the account has, in one or more of its mailboxes; store/thread.h says what a
 * thread is and how long it can be.  Mail that came before stored kept threads is a thread of its own each, until
 * storectl rethread. */
#ifndef STORE_READ_THREAD_H
#define STORE_READ_THREAD_H
#include "store/read.h"

/* The mailboxes of an account, by which its share of a content is found however many others have it.  It may be
 * kept over snapshots until a folder is made or deleted (STORE_EV_LIST, STORE_EV_DELETED). */
struct store_boxes {
	uint64_t account;
	uint64_t *ids; /* ascending */
	size_t n;
};
void store_boxes_load(struct store_view *v, uint64_t account, struct store_boxes *b);
void store_boxes_fini(struct store_boxes *b);

/* store_email_next for the account alone:
 *	struct store_place p = { .emailid = id };
 *	while ((rec = store_boxes_email(v, &boxes, &p))) ... p.mailbox, p.uid ...
 * The record is good until the next call for this view.  Costs a look for each place, or for each mailbox of the
 * account where others have more. */
const struct store_record *
store_boxes_email(struct store_view *v, const struct store_boxes *b, struct store_place *p);
/* The thread of an email; 0 = the account has it not. */
uint64_t store_email_thread(struct store_view *v, const struct store_boxes *b, uint64_t emailid);

/* An email of a thread. */
struct store_thread_email {
	uint64_t emailid;
	int64_t internaldate; /* unix seconds; copies have it from their source */
};
/* Appends what the account has of the thread, struct store_thread_email, the oldest first (RFC 8621 3); nothing:
 * there is no such thread.  At most STORE_THREAD_MOST, of 3 us each. */
void store_thread_emails(struct store_view *v, const struct store_boxes *b, uint64_t threadid,
    struct buf *out);

/* The rows of a thread behind *emailid (0 = its first), ascending, among them the id after which it is called, also
 * those that the account has no more. */
bool
store_thread_next(struct store_view *v, uint64_t account, uint64_t threadid, uint64_t *emailid);

/* How many threads there are in each mailbox (RFC 8621 2): in slices, each in a snapshot of its own.
 *	store_thread_counts_init(&c, &boxes, trash);
 *	while (!store_thread_counts_go(&c, v, until)) ... yield, store_begin ...
 *	c.totals[i] is that of boxes.ids[i]
 * What changes meanwhile is counted or not.  Takes 20 ns for a message, twice where it is unread, and until the end 16
 * to 32 bytes for a thread of the largest mailbox and as much for an unread one. */
struct store_thread_totals {
	uint32_t total, unread;
};
struct store_thread_set { /* of ids */
	uint64_t *slots;
	size_t n, mask;
};
struct store_thread_counts {
	const struct store_boxes *boxes; /* the caller's, which stays until the end */
	struct store_thread_totals *totals;
	uint64_t
	    trash; /* what is unread there counts for it alone, and what is elsewhere not for it; 0 = none */
	struct store_thread_set unread, unread_trash, seen;
	size_t box;   /* where it is */
	uint32_t uid; /* in it */
	bool counts;  /* what is unread is known */
};
void store_thread_counts_init(struct store_thread_counts *c, const struct store_boxes *boxes,
    uint64_t trash);
/* Goes on until clock_mono_us() is `until`.  True: all is counted. */
bool store_thread_counts_go(struct store_thread_counts *c, struct store_view *v, uint64_t until);
void store_thread_counts_fini(struct store_thread_counts *c);
#endif
