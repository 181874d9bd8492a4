/* What changed, account by account, and where each content is: rows of `change` and `email`.
 *
 * Called by the writer's thread within its batch.  One row for what a request changed in a mailbox,
 * whatever the number of messages, as long as their UIDs are neighbours; tombstones carry ids, for
 * who knows messages by them.  Rows that are old go when new ones come, a few more than are made, and
 * the account says from where on the log is complete: whoever looks further back is told so.
 * A place is written with the message and taken away with its file, not with EXPUNGE: that has to be
 * quick, and readers ask the index anyway. */
#include "store/writer/writer-impl.h"

#define ROW_BYTES   1900         /* of entries: a row stays below half a page */
#define CHANGE_AGE  (30 * 86400) /* seconds that QRESYNC and /changes can look back */
#define CHANGE_MOST 500000       /* modseqs that an account's log reaches back at most */
#define TRIM_EVERY  32           /* modseqs between two looks for old rows */
#define TRIM_MOST   128          /* rows that one look drops */

static size_t
change_size(enum store_change_kind kind)
{
	return kind == STORE_CHANGE_GONE ? sizeof(struct store_gone) :
	    kind == STORE_CHANGE_NEWS    ? sizeof(struct store_news) :
	    kind == STORE_CHANGE_THREADS ? sizeof(struct store_gone_thread) :
	    kind == STORE_CHANGE_FOLDER  ? sizeof(uint64_t) :
	    kind == STORE_CHANGE_DELETED ? sizeof(uint64_t) :
					   sizeof(struct store_range);
}

static void
change_key(uint8_t key[20], uint64_t account, uint64_t modseq, uint32_t number)
{
	store_be64(key, account);
	store_be64(key + 8, modseq);
	store_be32(key + 16, number);
}

/* The number of the next row.  Only what came may have rows already: a repair brings back many messages,
 * few by few, at one modseq. */
static uint32_t
change_number(struct writer *w, uint64_t account, uint64_t modseq, enum store_change_kind kind)
{
	uint32_t number = (uint32_t)kind << 24;
	uint8_t key[20];

	if (kind != STORE_CHANGE_NEW && kind != STORE_CHANGE_NEWS && kind != STORE_CHANGE_SEEN)
		return number;
	change_key(key, account, modseq, number);
	while (writer_row_get(w, STORE_T_CHANGE, key, sizeof(key)).n > 0)
		change_key(key, account, modseq, ++number);
	return number;
}

static void
change_rows(struct writer *w, uint64_t account, uint64_t modseq, enum store_change_kind kind,
    uint64_t mailbox, struct slice entries)
{
	size_t size = change_size(kind), most = ROW_BYTES / size * size;
	uint32_t number = change_number(w, account, modseq, kind);

	do {
		struct slice part = slice_sub(entries, 0, most);
		struct store_disk_change head = { .version = STORE_VERSION,
			.kind = (uint8_t)kind,
			.count = (uint16_t)(part.n / size),
			.at = (uint32_t)w->now,
			.mailbox = mailbox };
		uint8_t key[20];

		change_key(key, account, modseq, number++);
		buf_clear(&w->scratch);
		buf_add(&w->scratch, &head, sizeof(head));
		buf_slice(&w->scratch, part);
		writer_row_put(w, STORE_T_CHANGE, key, sizeof(key), w->scratch.p, w->scratch.n, 0);
		entries = slice_from(entries, part.n);
	} while (entries.n);
}

/* The news of the account become a row: they must not be behind one. */
static void
news_flush(struct writer *w, struct wacct *a)
{
	uint8_t n = a->nnews;

	if (n == 0)
		return;
	a->nnews = 0;
	writer_account_dirty(w, a);
	change_rows(w, a->d.id, a->news[n - 1].modseq, STORE_CHANGE_NEWS, 0,
	    slice((const char *)a->news, n * sizeof(a->news[0])));
}

/* Rows behind those that the same modseq has: one request may mark some as seen and others not. */
void
writer_change_seen(struct writer *w, const struct wbox *b, uint64_t modseq, struct slice ranges,
    struct slice login)
{
	const size_t size = sizeof(struct store_range), most = ROW_BYTES / size * size;
	uint32_t number = change_number(w, b->acct->d.id, modseq, STORE_CHANGE_SEEN);

	news_flush(w, b->acct);
	while (ranges.n) {
		struct slice part = slice_sub(ranges, 0, most);
		struct store_disk_change head = { .version = STORE_VERSION,
			.kind = STORE_CHANGE_SEEN,
			.count = (uint16_t)(part.n / size),
			.at = (uint32_t)w->now,
			.mailbox = b->id };
		uint8_t key[20];

		change_key(key, b->acct->d.id, modseq, number++);
		buf_clear(&w->scratch);
		buf_add(&w->scratch, &head, sizeof(head));
		buf_slice(&w->scratch, part);
		buf_slice(&w->scratch, login);
		writer_row_put(w, STORE_T_CHANGE, key, sizeof(key), w->scratch.p, w->scratch.n, 0);
		ranges = slice_from(ranges, part.n);
	}
}

void
writer_change_put(struct writer *w, uint64_t account, uint64_t modseq, enum store_change_kind kind,
    uint64_t mailbox, struct slice entries)
{
	struct wacct *a;
	uint8_t key[8];

	map_key_set(key, account);
	a = map_get(&w->accounts_by_id, map_key(key));
	if (a)
		news_flush(w, a);
	change_rows(w, account, modseq, kind, mailbox, entries);
}

/* ---- places -------------------------------------------------------------------------------- */

static void
place_key(uint8_t key[20], uint64_t emailid, uint64_t mailbox, uint32_t uid)
{
	store_be64(key, emailid);
	store_be64(key + 8, mailbox);
	store_be32(key + 16, uid);
}

void
writer_place_del(struct writer *w, uint64_t emailid, uint64_t mailbox, uint32_t uid)
{
	uint8_t key[20];

	place_key(key, emailid, mailbox, uid);
	writer_row_del(w, STORE_T_EMAIL, key, sizeof(key));
}

void
writer_places_drop(struct writer *w, struct slice row)
{
	struct store_disk_purge head;
	struct buf copy = { 0 };

	if (row.n < sizeof(head))
		return;
	buf_slice(&copy, row); /* a row in the map does not outlive the next change */
	memcpy(&head, copy.p, sizeof(head));
	for (size_t i = 0, at = sizeof(head); i < head.count; i++) {
		struct store_purge_item item;

		if (copy.n - at < sizeof(item))
			break;
		memcpy(&item, copy.p + at, sizeof(item));
		at += sizeof(item);
		if (!item.uid || writer_block_has(w, head.mailbox, item.uid))
			continue; /* the purger has left that one alone */
		writer_place_del(w, item.emailid, head.mailbox, item.uid);
	}
	buf_fini(&copy);
}

/* ---- what came ----------------------------------------------------------------------------- */

static const uint8_t place_value = STORE_VERSION;

static void
place_log(struct writer *w, const uint8_t key[20])
{
	writer_oplog_op(w, OPLOG_PUT, STORE_T_EMAIL, slice((const char *)key, 20),
	    slice((const char *)&place_value, 1));
}

void
writer_place_put(struct writer *w, uint64_t emailid, uint64_t mailbox, uint32_t uid)
{
	uint8_t key[20];
	MDB_val k = { sizeof(key), key }, d = { 1, UNCONST(&place_value) };

	place_key(key, emailid, mailbox, uid);
	place_log(w, key);
	/* New contents and copies come in the order of their ids: a cursor that stays finds the page
	 * again without a way down from the root. */
	if (!w->error && !w->places)
		w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_EMAIL], &w->places);
	if (!w->error)
		w->error = mdb_cursor_put(w->places, &k, &d, 0);
}

/* For a place that goes with the content's row in `cache`, which the log has not. */
void
writer_place_first(struct writer *w, uint64_t emailid, uint64_t mailbox, uint32_t uid)
{
	uint8_t key[20];

	place_key(key, emailid, mailbox, uid);
	place_log(w, key);
}

void
writer_change_new(struct writer *w, struct wbox *b, uint32_t uid)
{
	struct store_news new = { b->d.highestmodseq, b->id, uid, uid, (uint32_t)w->now };
	struct wacct *a = b->acct;
	struct store_news *last = a->nnews ? &a->news[a->nnews - 1] : NULL;

	writer_account_dirty(w, a);
	if (last && last->mailbox == new.mailbox && last->modseq == new.modseq &&
	    last->last + 1 == uid) {
		last->last = uid;
		return;
	}
	/* Repairs bring back what has an older one. */
	if (last && new.modseq < last->modseq) {
		writer_change_put(w, a->d.id, new.modseq, STORE_CHANGE_NEW, b->id,
		    slice((const char *)&new + offsetof(struct store_news, first),
			sizeof(struct store_range)));
		return;
	}
	if (a->nnews == STORE_NEWS)
		news_flush(w, a);
	a->news[a->nnews++] = new;
}

/* ---- what went ----------------------------------------------------------------------------- */

void
writer_change_thread(struct buf *threads, const struct store_record *rec)
{
	struct store_gone_thread t = { rec->emailid, rec->threadid };

	if (rec->threadid && rec->threadid != rec->emailid)
		buf_add(threads, &t, sizeof(t));
}

void
writer_change_gone(struct writer *w, struct wbox *b, const struct store_purge_item *items, size_t n,
    struct slice threads)
{
	struct store_gone run = { 0 };
	struct buf runs = { 0 };

	for (size_t i = 0; i < n; i++) {
		if (i && items[i].uid == run.last + 1 &&
		    items[i].emailid == run.emailid + (items[i].uid - run.first)) {
			run.last++;
			continue;
		}
		if (i)
			buf_add(&runs, &run, sizeof(run));
		run = (struct store_gone){ items[i].uid, items[i].uid, items[i].emailid };
	}
	if (n)
		buf_add(&runs, &run, sizeof(run));
	writer_change_put(w, b->acct->d.id, b->d.highestmodseq, STORE_CHANGE_GONE, b->id,
	    buf_get(&runs));
	if (threads.n)
		writer_change_put(w, b->acct->d.id, b->d.highestmodseq, STORE_CHANGE_THREADS, b->id,
		    threads);
	buf_fini(&runs);
}

/* ---- what it was --------------------------------------------------------------------------- */

/* fn sees each row of the account's log, from *key on until the slice is over: false, with *key where
 * to go on. */
static bool
change_each(struct writer *w, const struct wacct *a, uint8_t key[20],
    void (*fn)(void *arg, const struct store_disk_change *head, struct slice entries), void *arg)
{
	struct store_disk_change head;
	MDB_cursor *c;
	MDB_val k = { 20, key }, d;
	bool whole = true;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_CHANGE], &c)))
		return true;
	store_be64(key, a->d.id);
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     whole && rc == 0 && k.mv_size == 20 && store_get64(k.mv_data) == a->d.id;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		struct slice row = slice(d.mv_data, d.mv_size);

		if (store_value_read(row, sizeof(head), &head, sizeof(head)) == 0)
			fn(arg, &head, slice_from(row, sizeof(head)));
		memcpy(key, k.mv_data, 20);
		store_be32(key + 16, store_get32((char *)key + 16) + 1);
		whole = !writer_long_over(w);
	}
	mdb_cursor_close(c);
	return whole;
}

struct change_look {
	uint64_t mailbox;
	struct store_range within;
	struct buf *ranges;
	uint32_t last;
};

static void
tombstones_of_row(void *arg, const struct store_disk_change *head, struct slice entries)
{
	struct change_look *l = arg;
	struct store_gone g;

	if (head->kind != STORE_CHANGE_GONE || head->mailbox != l->mailbox)
		return;
	for (; entries.n >= sizeof(g); entries = slice_from(entries, sizeof(g))) {
		struct store_range r;

		memcpy(&g, entries.p, sizeof(g));
		r = (struct store_range){ g.first, g.last };
		if (r.first <= l->within.last && r.last >= l->within.first)
			buf_add(l->ranges, &r, sizeof(r));
	}
}

bool
writer_change_tombstones(struct writer *w, const struct wbox *b, struct store_range within,
    uint8_t key[20], struct buf *ranges)
{
	struct change_look l = { .mailbox = b->id, .within = within, .ranges = ranges };

	return change_each(w, b->acct, key, tombstones_of_row, &l);
}

static void
last_of(struct change_look *l, uint64_t mailbox, uint32_t last)
{
	if (mailbox == l->mailbox && last > l->last && last < UINT32_MAX)
		l->last = last;
}

static void
last_of_row(void *arg, const struct store_disk_change *head, struct slice entries)
{
	size_t size = change_size((enum store_change_kind)head->kind);

	if (head->kind != STORE_CHANGE_NEW && head->kind != STORE_CHANGE_NEWS &&
	    head->kind != STORE_CHANGE_GONE)
		return;
	for (; entries.n >= size; entries = slice_from(entries, size)) {
		struct store_news n = { .mailbox = head->mailbox };
		struct store_gone g;

		if (head->kind == STORE_CHANGE_NEWS)
			memcpy(&n, entries.p, sizeof(n));
		else if (head->kind == STORE_CHANGE_GONE) {
			memcpy(&g, entries.p, sizeof(g));
			n.last = g.last;
		} else
			memcpy((char *)&n + offsetof(struct store_news, first), entries.p,
			    sizeof(struct store_range));
		last_of(arg, n.mailbox, n.last);
	}
}

bool
writer_change_last(struct writer *w, const struct wbox *b, uint8_t key[20], uint32_t *last)
{
	struct change_look l = { .mailbox = b->id, .last = *last };
	bool whole = change_each(w, b->acct, key, last_of_row, &l);

	for (size_t i = 0; i < b->acct->nnews; i++)
		last_of(&l, b->acct->news[i].mailbox, b->acct->news[i].last);
	*last = l.last;
	return whole;
}

/* ---- what is old --------------------------------------------------------------------------- */

void
writer_change_trim(struct writer *w, struct wacct *a)
{
	/* As long as the file may be there the tombstone is: repairs tell by it that the message
	 * must not come back. */
	int64_t files = (int64_t)w->config->cleanup_age + 86400, age = files + CHANGE_AGE;
	uint8_t key[20] = { 0 };
	MDB_cursor *c;
	MDB_val k, d;

	if (a->d.modseq - a->trimmed < TRIM_EVERY || w->error ||
	    (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_CHANGE], &c)))
		return;
	a->trimmed = a->d.modseq;
	store_be64(key, a->d.id);
	for (int i = 0; i < TRIM_MOST && !w->error; i++) {
		struct store_disk_change head;
		uint64_t modseq;

		k = (MDB_val){ sizeof(key), key };
		if (mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) != 0 || k.mv_size != sizeof(key) ||
		    store_get64(k.mv_data) != a->d.id ||
		    store_value_read(slice(d.mv_data, d.mv_size), sizeof(head), &head,
			sizeof(head)) < 0)
			break;
		modseq = store_get64((char *)k.mv_data + 8);
		if (head.at + files > w->now ||
		    (head.at + age > w->now && modseq + CHANGE_MOST > a->d.modseq))
			break;
		if (a->d.changes_from < modseq)
			a->d.changes_from = modseq;
		if (a->d.vanished_from < modseq)
			a->d.vanished_from = modseq;
		writer_row_del_here(w, STORE_T_CHANGE, c, &k);
	}
	mdb_cursor_close(c);
}
