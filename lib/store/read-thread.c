/* Where an account has an email, and what is in a thread.
 *
 * Called by jmapd and the checks with a view that has a snapshot.  A content that a thousand people got has a
 * thousand places, and an account one of them: so the rows are not walked but leapt through, from each place to
 * the next mailbox that the account has.  A row of `thread` may outlive the message; only the record says that it
 * is in the thread, and an index without these tables has threads of one. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/read-impl.h"
#include "store/read-thread.h"
#include "store/thread.h"

/* ---- mailboxes of an account ----------------------------------------------------------------- */

static int
cmp_id(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

void
store_boxes_load(struct store_view *v, uint64_t account, struct store_boxes *b)
{
	struct store_folder f = { .account = account };
	size_t room = 0;

	*b = (struct store_boxes){ .account = account };
	while (store_next_folder(v, &f)) {
		if (!f.mailbox)
			continue;
		if (b->n == room) {
			room = room ? room * 2 : 16;
			b->ids = mem_grow(b->ids, room, sizeof(*b->ids));
		}
		b->ids[b->n++] = f.mailbox;
	}
	if (b->n)
		qsort(b->ids, b->n, sizeof(*b->ids), cmp_id);
}

void
store_boxes_fini(struct store_boxes *b)
{
	mem_free(&b->ids);
	b->n = 0;
}

/* The first one that is not below `mailbox`; 0: there is none. */
static uint64_t
boxes_from(const struct store_boxes *b, uint64_t mailbox)
{
	size_t lo = 0, hi = b->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (b->ids[mid] < mailbox)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < b->n ? b->ids[lo] : 0;
}

/* ---- places ---------------------------------------------------------------------------------- */

static bool
place_behind(const struct store_place *p, uint64_t mailbox, uint32_t uid)
{
	return mailbox != p->mailbox ? mailbox > p->mailbox : uid > p->uid;
}

/* The next place of a row of `email` that is the account's: from *p on, which is not one itself. */
static bool
account_row(struct store_view *v, const struct store_boxes *b, struct store_place *p)
{
	uint64_t mailbox = boxes_from(b, p->mailbox);
	uint32_t uid = mailbox == p->mailbox ? p->uid : 0;

	if (!store_has(v, STORE_T_EMAIL))
		return false;
	while (mailbox) {
		uint8_t key[20];
		MDB_val k = { sizeof(key), key }, d;

		store_be64(key, p->emailid);
		store_be64(key + 8, mailbox);
		store_be32(key + 16, uid < UINT32_MAX ? uid + 1 : uid);
		if (mdb_cursor_get(store_cursor(v, STORE_T_EMAIL), &k, &d, MDB_SET_RANGE) != 0 ||
		    k.mv_size != sizeof(key) || store_get64(k.mv_data) != p->emailid)
			return false;
		p->mailbox = store_get64((char *)k.mv_data + 8);
		p->uid = store_get32((char *)k.mv_data + 16);
		mailbox = boxes_from(b, p->mailbox);
		if (mailbox == p->mailbox)
			return true;
		uid = 0;
	}
	return false;
}

/* The same of those that came with the content, which are in no order. */
static bool
account_first(struct store_view *v, const struct store_boxes *b, struct store_place *p)
{
	const struct store_place from = *p;
	const char *list;
	size_t n = store_cache_places(store_get_cache(v, p->emailid), &list);
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		struct store_place_entry e = store_place_at(list, i);

		if (!place_behind(&from, e.mailbox, e.uid) ||
		    (found && place_behind(p, e.mailbox, e.uid)) ||
		    boxes_from(b, e.mailbox) != e.mailbox)
			continue;
		p->mailbox = e.mailbox;
		p->uid = e.uid;
		found = true;
	}
	return found;
}

const struct store_record *
store_boxes_email(struct store_view *v, const struct store_boxes *b, struct store_place *p)
{
	for (unsigned stale = 0;; stale++) {
		struct store_place row = *p, first = *p;
		bool has_row = account_row(v, b, &row), has_first = account_first(v, b, &first);
		const struct store_record *rec;

		if (!has_row && !has_first)
			return NULL;
		*p = has_row && (!has_first || !place_behind(&first, row.mailbox, row.uid)) ? row :
											      first;
		rec = store_get_record(v, p->mailbox, p->uid);
		if (rec && rec->emailid == p->emailid)
			return rec;
		store_place_leap(v, p, stale);
	}
}

uint64_t
store_email_thread(struct store_view *v, const struct store_boxes *b, uint64_t emailid)
{
	struct store_place p = { .emailid = emailid };
	const struct store_record *rec = store_boxes_email(v, b, &p);

	return !rec ? 0 : rec->threadid ? rec->threadid : emailid;
}

/* ---- what is in a thread --------------------------------------------------------------------- */

/* The content of the thread's next row, or 0. */
static uint64_t
thread_row(struct store_view *v, uint64_t account, uint64_t threadid, uint64_t after)
{
	uint8_t key[24];
	MDB_val k = { sizeof(key), key }, d;

	if (!store_has(v, STORE_T_THREAD) || after == UINT64_MAX)
		return 0;
	store_be64(key, account);
	store_be64(key + 8, threadid);
	store_be64(key + 16, after + 1);
	if (mdb_cursor_get(store_cursor(v, STORE_T_THREAD), &k, &d, MDB_SET_RANGE) != 0 ||
	    k.mv_size != sizeof(key) || memcmp(k.mv_data, key, 16) != 0)
		return 0;
	return store_get64((char *)k.mv_data + 16);
}

bool
store_thread_next(struct store_view *v, uint64_t account, uint64_t threadid, uint64_t *emailid)
{
	uint64_t next = thread_row(v, account, threadid, *emailid);

	/* The one that gave the name has no row. */
	if (*emailid < threadid && (next == 0 || next > threadid))
		next = threadid;
	if (next == 0)
		return false;
	*emailid = next;
	return true;
}

static int
cmp_thread_email(const void *a, const void *b)
{
	const struct store_thread_email *x = a, *y = b;

	if (x->internaldate != y->internaldate)
		return x->internaldate < y->internaldate ? -1 : 1;
	return x->emailid < y->emailid ? -1 : x->emailid > y->emailid;
}

void
store_thread_emails(struct store_view *v, const struct store_boxes *b, uint64_t threadid,
    struct buf *out)
{
	size_t start = out->n, n = 0;

	for (uint64_t id = 0; store_thread_next(v, b->account, threadid, &id);) {
		struct store_place p = { .emailid = id };
		const struct store_record *rec;

		do
			rec = store_boxes_email(v, b, &p);
		while (rec && (rec->threadid ? rec->threadid : id) != threadid);
		if (rec) {
			struct store_thread_email e = { id, rec->internaldate };

			buf_add(out, &e, sizeof(e));
			n++;
		}
	}
	if (n)
		qsort(out->p + start, n, sizeof(struct store_thread_email), cmp_thread_email);
}
