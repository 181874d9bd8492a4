/* What the one who reads has seen of somebody else's mailbox, laid over what the mailbox's rows say.
 *
 * Called by read.c and read-msg.c inside a snapshot that was begun for a login (store_begin_as), so that whoever reads
 * records, counts or changes reads those of the person who asks, and has nothing to know of it.  In a snapshot that was
 * begun for nobody, and for a mailbox of the login's own, nothing here costs more than a comparison.  A row that is damaged
 * says of nothing that it has been seen; check tells of it. */
#include <errno.h>

#include "store/read-impl.h"

int
store_begin_as(struct store_view *v, struct slice login)
{
	int rc = store_begin(v);

	if (rc == 0 && login.n <= sizeof(v->as.login)) {
		memcpy(v->as.login, login.p, login.n);
		v->as.n = login.n;
	}
	return rc;
}

static struct slice
seen_login(const struct store_view *v)
{
	return slice(v->as.login, v->as.n);
}

/* ---- whose \Seen ------------------------------------------------------------------------------ */

/* What the store says of mailboxes that say nothing. */
static bool
seen_default(struct store_view *v)
{
	struct store_disk_sharing d;

	return store_value_read(store_fetch(v, STORE_T_META, STORE_SHARING, strlen(STORE_SHARING)),
		   1, &d, sizeof(d)) == 0 &&
	    d.seen;
}

static void
seen_know(struct store_view *v, uint64_t mailbox)
{
	struct store_mailbox m;
	struct store_annot a = { 0 };
	uint8_t key[8];
	bool shared;
	int rc;

	v->as.known = true;
	v->as.mailbox = mailbox;
	v->as.own = false;
	v->as.floor = 0;
	v->as.chunk = STORE_SEEN_ALL;
	store_be64(key, mailbox);
	if (store_mailbox_parse(store_fetch(v, STORE_T_MAILBOX, key, sizeof(key)), mailbox, false,
		&m) < 0 ||
	    slice_eq(m.account_name, seen_login(v)))
		return;
	shared = seen_default(v);
	rc = store_annot_find(v, m.account, mailbox, S(""), S(STORE_ANNOT_SHAREDSEEN), &a);
	if (rc == 0)
		shared = slice_ieq(a.value, S("true"));
	if (rc == 0 || (rc == -ENOENT && a.gone)) /* it has been taken back: a change too */
		v->as.floor = a.modseq;
	v->as.own = !shared && store_has(v, STORE_T_SEEN);
}

bool
store_seen_apart(struct store_view *v, uint64_t mailbox)
{
	if (v->as.n == 0)
		return false;
	if (!v->as.known || v->as.mailbox != mailbox)
		seen_know(v, mailbox);
	return v->as.own;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The chunk's row, kept until another one is wanted.  False: there is none. */
static bool
seen_chunk(struct store_view *v, uint32_t chunk)
{
	uint8_t key[STORE_SEEN_KEY];
	size_t n;

	if (v->as.chunk == chunk)
		return v->as.row.n > 0;
	n = store_seen_key(key, v->as.mailbox, seen_login(v), chunk);
	v->as.chunk = chunk;
	if (store_seen_parse(store_fetch(v, STORE_T_SEEN, key, n), &v->as.row) < 0)
		v->as.row.n = 0;
	return v->as.row.n > 0;
}

void
store_seen_lay(struct store_view *v, uint64_t mailbox, struct store_record *rec, size_t n)
{
	bool own = store_seen_apart(v, mailbox);

	for (size_t i = 0; i < n && v->as.n && (own || v->as.floor); i++) {
		struct store_seen_run run;

		if (rec[i].modseq < v->as.floor)
			rec[i].modseq = v->as.floor;
		if (!own)
			continue;
		rec[i].flags &= (uint16_t)~STORE_SEEN;
		if (!seen_chunk(v, rec[i].uid / STORE_SEEN_CHUNK) ||
		    !store_seen_find(&v->as.row, rec[i].uid % STORE_SEEN_CHUNK, &run))
			continue;
		rec[i].flags |= run.seen ? STORE_SEEN : 0;
		if (rec[i].modseq < run.modseq)
			rec[i].modseq = run.modseq;
	}
}

bool
store_seen_newer(struct store_view *v, uint64_t mailbox, uint32_t block, uint64_t since)
{
	uint32_t first = block * STORE_BLOCK, at = first % STORE_SEEN_CHUNK;
	bool own = store_seen_apart(v, mailbox);

	if (v->as.n == 0)
		return false;
	if (v->as.floor > since)
		return true;
	if (!own || !seen_chunk(v, first / STORE_SEEN_CHUNK) || v->as.row.head.modseq <= since)
		return false;
	for (size_t i = 0; i < v->as.row.n; i++) {
		struct store_seen_run run = store_seen_at(&v->as.row, i);

		if (run.modseq > since && run.first < at + STORE_BLOCK && run.last >= at)
			return true;
	}
	return false;
}

void
store_seen_mailbox(struct store_view *v, struct store_mailbox *m)
{
	uint8_t key[STORE_SEEN_KEY];
	struct store_seen reader;
	bool own = store_seen_apart(v, m->id);

	if (v->as.n && m->highestmodseq < v->as.floor)
		m->highestmodseq = v->as.floor;
	if (own &&
	    store_seen_parse(store_fetch(v, STORE_T_SEEN, key,
				 store_seen_key(key, m->id, seen_login(v), STORE_SEEN_ALL)),
		&reader) == 0 &&
	    m->highestmodseq < reader.head.modseq)
		m->highestmodseq = reader.head.modseq;
}

/* ---- counts ------------------------------------------------------------------------------------ */

/* A walk over the mailbox's runs of UIDs, in step with what a login has seen. */
struct seen_walk {
	struct store_view *v;
	uint64_t mailbox;
	struct slice login;
	uint32_t chunk; /* whose row this is; none of before is asked for again, */
	struct store_seen row;
	size_t at;             /* and no run before this one */
	uint32_t count, first; /* seen; the first that is not: 0 = there is none so far */
};

/* Messages lo..hi, all of one chunk, all there. */
static void
seen_walk_piece(struct seen_walk *w, uint32_t lo, uint32_t hi)
{
	uint32_t chunk = lo / STORE_SEEN_CHUNK, base = chunk * STORE_SEEN_CHUNK, unseen = lo;
	uint8_t key[STORE_SEEN_KEY];

	if (w->chunk != chunk) {
		w->chunk = chunk;
		w->at = 0;
		if (store_seen_parse(store_fetch(w->v, STORE_T_SEEN, key,
					 store_seen_key(key, w->mailbox, w->login, chunk)),
			&w->row) < 0)
			w->row.n = 0;
	}
	for (size_t i = w->at; i < w->row.n; i++) {
		struct store_seen_run run = store_seen_at(&w->row, i);
		uint32_t from = base + run.first, to = base + run.last;

		if (to < lo)
			w->at = i + 1;
		if (from > hi)
			break;
		if (to < lo || !run.seen)
			continue;
		from = from < lo ? lo : from;
		to = to > hi ? hi : to;
		w->count += to - from + 1;
		if (from == unseen)
			unseen = to + 1;
	}
	if (!w->first && unseen <= hi)
		w->first = unseen;
}

static void
seen_walk(struct seen_walk *w, const struct store_mailbox *m)
{
	struct buf ranges = { 0 };
	const struct store_range *r;

	w->mailbox = m->id;
	w->chunk = STORE_SEEN_ALL;
	store_uid_runs(w->v, m, &ranges);
	r = (const void *)ranges.p;
	for (size_t k = 0; k < ranges.n / sizeof(*r); k++) {
		uint32_t chunk = r[k].first / STORE_SEEN_CHUNK;

		for (uint32_t lo = r[k].first;; lo = ++chunk * STORE_SEEN_CHUNK) {
			uint32_t last = chunk * STORE_SEEN_CHUNK + (STORE_SEEN_CHUNK - 1);

			seen_walk_piece(w, lo, last < r[k].last ? last : r[k].last);
			if (last >= r[k].last)
				break;
		}
	}
	buf_fini(&ranges);
}

uint32_t
store_unseen(struct store_view *v, const struct store_mailbox *m)
{
	struct seen_walk w = { .v = v, .login = seen_login(v) };

	if (!store_seen_apart(v, m->id))
		return m->unseen;
	seen_walk(&w, m);
	return m->exists - w.count;
}

uint32_t
store_seen_first_not(struct store_view *v, const struct store_mailbox *m)
{
	struct seen_walk w = { .v = v, .login = seen_login(v) };

	seen_walk(&w, m);
	return w.first;
}

/* ---- readers ---------------------------------------------------------------------------------- */

/* The first row of the reader behind *login. */
static bool
reader_row(struct store_view *v, uint64_t mailbox, struct slice *login, uint32_t *chunk, MDB_val *d)
{
	uint8_t key[STORE_SEEN_KEY];
	size_t n = store_seen_key(key, mailbox, *login, STORE_SEEN_ALL);
	MDB_val k = { n, key };
	uint64_t of;

	if (!store_has(v, STORE_T_SEEN))
		return false;
	if (login->n)
		key[n - 1] = '\1'; /* behind all of this login's: no login has such a byte */
	else
		k.mv_size = 8;
	return mdb_cursor_get(store_cursor(v, STORE_T_SEEN), &k, d, MDB_SET_RANGE) == 0 &&
	    store_seen_key_parse(slice(k.mv_data, k.mv_size), &of, login, chunk) && of == mailbox;
}

bool
store_reader_login(struct store_view *v, uint64_t mailbox, struct slice *login)
{
	uint32_t chunk;
	MDB_val d;

	return reader_row(v, mailbox, login, &chunk, &d);
}

bool
store_reader_next(struct store_view *v, const struct store_mailbox *m, struct store_read_by *by)
{
	struct seen_walk w = { .v = v };
	struct store_seen row;
	uint32_t chunk;
	MDB_val d;

	if (!reader_row(v, m->id, &by->login, &chunk, &d))
		return false;
	by->at = by->from = 0;
	by->modseq = 0;
	if (chunk == STORE_SEEN_ALL && store_seen_parse(slice(d.mv_data, d.mv_size), &row) == 0) {
		by->at = row.head.at;
		by->from = row.head.from;
		by->modseq = row.head.modseq;
	}
	w.login = by->login;
	seen_walk(&w, m);
	by->seen = w.count;
	return true;
}

static void
reader_add(struct buf *ranges, uint32_t first, uint32_t last)
{
	struct store_range *r = ranges->n ? (void *)(ranges->p + ranges->n - sizeof(*r)) : NULL;
	const struct store_range new = { first, last };

	if (r && r->last + 1 == first)
		r->last = last;
	else
		buf_add(ranges, &new, sizeof(new));
}

void
store_reader_seen(struct store_view *v, uint64_t mailbox, struct slice login, struct buf *ranges)
{
	uint8_t key[STORE_SEEN_KEY];
	MDB_val k = { store_seen_key(key, mailbox, login, 0), key }, d;
	uint32_t chunk;
	struct slice who;
	uint64_t of;
	MDB_cursor *c;

	if (!store_has(v, STORE_T_SEEN))
		return;
	c = store_cursor(v, STORE_T_SEEN);
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		struct store_seen row;

		if (!store_seen_key_parse(slice(k.mv_data, k.mv_size), &of, &who, &chunk) ||
		    of != mailbox || !slice_eq(who, login))
			break;
		if (store_seen_parse(slice(d.mv_data, d.mv_size), &row) < 0)
			continue;
		for (size_t i = 0; i < row.n; i++) {
			struct store_seen_run run = store_seen_at(&row, i);

			if (run.seen)
				reader_add(ranges, chunk * STORE_SEEN_CHUNK + run.first,
				    chunk * STORE_SEEN_CHUNK + run.last);
		}
	}
}
