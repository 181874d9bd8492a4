/* Reading what changed and where things are: the account's change log, tombstones, places of a
 * content, threads, rights.
 *
 * Called by imapd for each session that watches a mailbox, so that telling it of one flag must not
 * cost more the larger the mailbox is; by jmapd for its /changes.  Everything can be older than what
 * the store remembers: that is told (-ENOENT) or made good from the index, never passed over.  Rows
 * are hints of where to look: the index says what is so. */
#include <errno.h>
#include <stdlib.h>

#include "base/must.h"
#include "store/read-impl.h"

/* Behind so many modseqs the heads of the blocks are quicker than the rows of the log. */
#define LOG_WORTH 1000

/* ---- the log ------------------------------------------------------------------------------- */

/* To the reader whose \Seen it was the row is one of flags, to anybody else it is of another kind, which is passed
 * over. */
static void
change_seen(const struct store_view *v, struct store_change_walk *c)
{
	struct slice login = slice_from(c->entries, c->count * sizeof(struct store_range));

	if (v->as.n && (login.n == 0 || slice_eq(login, slice(v->as.login, v->as.n))))
		c->kind = STORE_CHANGE_FLAGS;
}

/* The next row. */
static bool
change_row(struct store_view *v, struct store_change_walk *c)
{
	struct store_disk_change head;
	uint8_t key[20];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *cursor = store_cursor(v, STORE_T_CHANGE);
	size_t entry;

	store_be64(key, c->account);
	store_be64(key + 8, c->started ? c->row : c->since + 1);
	store_be32(key + 16, c->started ? c->number + 1 : 0);
	c->started = true;
	if (mdb_cursor_get(cursor, &k, &d, MDB_SET_RANGE) != 0 || k.mv_size != sizeof(key) ||
	    store_get64(k.mv_data) != c->account ||
	    store_value_read(slice(d.mv_data, d.mv_size), sizeof(head), &head, sizeof(head)) < 0)
		return false;
	c->modseq = c->row = store_get64((char *)k.mv_data + 8);
	c->number = store_get32((char *)k.mv_data + 16);
	c->mailbox = head.mailbox;
	c->kind = (enum store_change_kind)head.kind;
	c->at = head.at;
	c->entries = slice_from(slice(d.mv_data, d.mv_size), sizeof(head));
	entry = head.kind == STORE_CHANGE_GONE ? sizeof(struct store_gone) :
	    head.kind == STORE_CHANGE_NEWS     ? sizeof(struct store_news) :
	    head.kind == STORE_CHANGE_THREADS  ? sizeof(struct store_gone_thread) :
						 sizeof(struct store_range);
	c->count = c->entries.n / entry < head.count ? c->entries.n / entry : head.count;
	if (head.kind == STORE_CHANGE_SEEN)
		change_seen(v, c);
	return true;
}

/* The next one of the news in hand that is new to the caller: like a row of its own. */
static bool
change_news(struct store_change_walk *c)
{
	while (c->news.n) {
		const char *p = c->news.p;
		struct store_news n = store_news_at(&c->news, 0);

		c->news.p += c->news.size;
		c->news.n--;
		if (n.modseq <= c->since)
			continue;
		c->modseq = n.modseq;
		c->mailbox = n.mailbox;
		c->kind = STORE_CHANGE_NEW;
		c->at = n.at;
		c->entries =
		    slice(p + offsetof(struct store_news, first), sizeof(struct store_range));
		c->count = 1;
		return true;
	}
	return false;
}

/* The news of the account's own record, whose name the records of its mailboxes have. */
static struct store_news_list
account_news(struct store_view *v, uint64_t account)
{
	struct store_folder f = { .account = account };
	struct store_account a;
	struct store_mailbox m;

	while (store_next_folder(v, &f))
		if (f.mailbox && store_get_mailbox(v, f.mailbox, &m) == 0 &&
		    store_find_account(v, m.account_name, &a) == 0 && a.id == account)
			return a.news;
	return (struct store_news_list){ 0 };
}

bool
store_change_next(struct store_view *v, struct store_change_walk *c)
{
	if (!store_has(v, STORE_T_CHANGE) || c->since == UINT64_MAX)
		return false;
	for (;;) {
		if (change_news(c))
			return true;
		if (c->ends)
			return false;
		if (!change_row(v, c)) {
			c->ends = true;
			if (c->tombstones)
				return false;
			c->news = c->has_newest ? c->newest : account_news(v, c->account);
		} else if (c->kind == STORE_CHANGE_SEEN)
			continue;
		else if (c->kind == STORE_CHANGE_NEWS && !c->tombstones)
			c->news = (struct store_news_list){ c->entries.p, c->count,
				sizeof(struct store_news) };
		else
			return true;
	}
}

struct store_range
store_change_range(const struct store_change_walk *c, size_t i)
{
	struct store_range r;

	must(i < c->count);
	memcpy(&r, c->entries.p + i * sizeof(r), sizeof(r));
	return r;
}

struct store_gone
store_change_gone(const struct store_change_walk *c, size_t i)
{
	struct store_gone g;

	must(i < c->count && c->kind == STORE_CHANGE_GONE);
	memcpy(&g, c->entries.p + i * sizeof(g), sizeof(g));
	return g;
}

uint64_t
store_change_objectid(const struct store_change_walk *c)
{
	uint64_t id = 0;

	if ((c->kind == STORE_CHANGE_FOLDER || c->kind == STORE_CHANGE_DELETED) && c->count)
		memcpy(&id, c->entries.p, sizeof(id));
	return id;
}

/* ---- tombstones ---------------------------------------------------------------------------- */

/* Format 1 had them by mailbox. */
static void
vanished_v1(struct store_view *v, uint64_t mailbox, uint64_t since, struct buf *ranges)
{
	const size_t head = sizeof(struct store_disk_tombstone);
	MDB_cursor *c = store_cursor(v, STORE_T_TOMBSTONE);
	uint8_t key[20];
	MDB_val k = { sizeof(key), key }, d;

	store_be64(key, mailbox);
	store_be64(key + 8, since + 1);
	store_be32(key + 16, 0);
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		if (k.mv_size != sizeof(key) || store_get64(k.mv_data) != mailbox)
			break;
		if (d.mv_size > head)
			buf_add(ranges, (const char *)d.mv_data + head,
			    (d.mv_size - head) / sizeof(struct store_range) *
				sizeof(struct store_range));
	}
}

int
store_vanished(struct store_view *v, uint64_t mailbox, uint64_t since, struct buf *ranges)
{
	struct store_change_walk c = { .since = since };
	struct store_account a;
	struct store_mailbox m;
	int rc = store_get_mailbox(v, mailbox, &m);

	if (rc == 0)
		rc = store_find_account(v, m.account_name, &a);
	if (rc < 0)
		return rc;
	if (since < m.vanished_from || since < a.vanished_from)
		return -ENOENT;
	if (since == UINT64_MAX)
		return 0;
	if (store_has(v, STORE_T_TOMBSTONE)) {
		vanished_v1(v, mailbox, since, ranges);
		return 0;
	}
	c.account = a.id;
	c.tombstones = true;
	while (store_change_next(v, &c))
		for (size_t i = 0;
		     c.kind == STORE_CHANGE_GONE && c.mailbox == mailbox && i < c.count; i++) {
			struct store_gone g = store_change_gone(&c, i);
			struct store_range r = { g.first, g.last };

			buf_add(ranges, &r, sizeof(r));
		}
	return 0;
}

/* ---- changed flags ------------------------------------------------------------------------- */

static int
range_cmp(const void *a, const void *b)
{
	const struct store_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorts the ranges from `start` on and joins those that touch. */
static void
ranges_join(struct buf *b, size_t start)
{
	struct store_range *r = (void *)(b->p + start);
	size_t n = (b->n - start) / sizeof(*r), kept = 0;

	if (n < 2)
		return;
	qsort(r, n, sizeof(*r), range_cmp);
	for (size_t i = 1; i < n; i++) {
		if (r[kept].last == UINT32_MAX || r[i].first <= r[kept].last + 1) {
			if (r[i].last > r[kept].last)
				r[kept].last = r[i].last;
		} else
			r[++kept] = r[i];
	}
	b->n = start + (kept + 1) * sizeof(*r);
}

static void
changed_add(struct buf *ranges, struct store_range r, uint32_t last)
{
	if (r.first > last)
		return;
	if (r.last > last)
		r.last = last;
	buf_add(ranges, &r, sizeof(r));
}

int
store_changed_logged(struct store_view *v, uint64_t mailbox, uint64_t since, uint32_t last,
    struct buf *ranges)
{
	struct store_change_walk c = { .since = since };
	struct store_account a;
	struct store_mailbox m;
	size_t start = ranges->n;
	int rc = store_get_mailbox(v, mailbox, &m);

	if (rc == 0)
		rc = store_find_account(v, m.account_name, &a);
	if (rc < 0)
		return rc;
	if (m.highestmodseq <= since || last == 0)
		return 0;
	if (since < a.changes_from || a.modseq - since > LOG_WORTH)
		return -ENODATA;
	c.account = a.id;
	c.has_newest = true;
	c.newest = a.news;
	while (store_change_next(v, &c))
		for (size_t i = 0; c.mailbox == mailbox && i < c.count &&
		     (c.kind == STORE_CHANGE_FLAGS || c.kind == STORE_CHANGE_NEW);
		     i++)
			changed_add(ranges, store_change_range(&c, i), last);
	ranges_join(ranges, start);
	return 0;
}

int
store_changed_uids(struct store_view *v, uint64_t mailbox, uint64_t since, uint32_t last,
    struct buf *ranges)
{
	const struct store_record *rec;
	struct store_blocks b;
	size_t n, start = ranges->n;
	int rc = store_changed_logged(v, mailbox, since, last, ranges);

	if (rc != -ENODATA)
		return rc;
	store_blocks_init(&b, v, mailbox, 1, last);
	b.since = since;
	b.parts = STORE_STATES;
	while ((rec = store_blocks_next(&b, &n)))
		changed_add(ranges, (struct store_range){ rec[0].uid, rec[n - 1].uid }, last);
	ranges_join(ranges, start);
	return 0;
}

/* ---- contents ------------------------------------------------------------------------------- */

static bool
place_before(const struct store_place *a, const struct store_place *b)
{
	return a->mailbox != b->mailbox ? a->mailbox < b->mailbox : a->uid < b->uid;
}

/* The place behind *p that a row of `email` names. */
static bool
place_row(struct store_view *v, const struct store_place *p, struct store_place *next)
{
	bool all = p->uid == UINT32_MAX; /* of this mailbox */
	uint8_t key[20];
	MDB_val k = { sizeof(key), key }, d;

	if (!store_has(v, STORE_T_EMAIL) || (all && p->mailbox == UINT64_MAX))
		return false;
	store_be64(key, p->emailid);
	store_be64(key + 8, p->mailbox + all);
	store_be32(key + 16, all ? 0 : p->uid + 1);
	if (mdb_cursor_get(store_cursor(v, STORE_T_EMAIL), &k, &d, MDB_SET_RANGE) != 0 ||
	    k.mv_size != sizeof(key) || store_get64(k.mv_data) != p->emailid)
		return false;
	next->mailbox = store_get64((char *)k.mv_data + 8);
	next->uid = store_get32((char *)k.mv_data + 16);
	return true;
}

/* The same of those that came with the content, which are in no order. */
static bool
place_first(struct store_view *v, const struct store_place *p, struct store_place *next)
{
	const char *list;
	size_t n = store_cache_places(store_get_cache(v, p->emailid), &list);
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		struct store_place_entry e = store_place_at(list, i);
		struct store_place place = { p->emailid, e.mailbox, e.uid };

		if (!place_before(p, &place) || (found && !place_before(&place, next)))
			continue;
		*next = place;
		found = true;
	}
	return found;
}

/* Is there a mailbox, or only what a deleted one leaves to be emptied? */
static bool
mailbox_is_there(struct store_view *v, uint64_t mailbox)
{
	uint8_t key[8];

	store_be64(key, mailbox);
	return store_fetch(v, STORE_T_MAILBOX, key, sizeof(key)).p;
}

#define STALE_MANY 4 /* places that cost less than looking for the next message */

void
store_place_leap(struct store_view *v, struct store_place *p, unsigned stale)
{
	const struct store_record *rec;
	struct store_blocks b;
	size_t n;

	if (stale < STALE_MANY || p->uid == UINT32_MAX)
		return;
	store_blocks_init(&b, v, p->mailbox, p->uid + 1, UINT32_MAX);
	b.parts = STORE_RECORDS;
	rec = store_blocks_next(&b, &n);
	p->uid = rec ? rec->uid - 1 : UINT32_MAX;
}

bool
store_email_next(struct store_view *v, struct store_place *p)
{
	uint64_t there = 0;

	for (unsigned stale = 0;; stale++) {
		struct store_place row = *p, first = *p;
		bool has_row = place_row(v, p, &row), has_first = place_first(v, p, &first);
		const struct store_record *rec;

		if (!has_row && !has_first)
			return false;
		*p = has_row && (!has_first || place_before(&row, &first)) ? row : first;
		if (p->mailbox != there && !mailbox_is_there(v, p->mailbox)) {
			p->uid = UINT32_MAX; /* none of its places is one */
			continue;
		}
		there = p->mailbox;
		rec = store_get_record(v, p->mailbox, p->uid);
		if (rec && rec->emailid == p->emailid)
			return true;
		store_place_leap(v, p, stale);
	}
}
