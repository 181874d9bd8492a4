/* What each reader of somebody else's mailbox has seen: store/seen.h.
 *
 * Called by the writer's thread within its batch, by whatever sets flags for a login that is not the owner's.  A mark is no
 * change of the message: the mailbox's counter, its count of unseen messages and what its owner sees stay.  It takes a
 * modseq of the account, so that the reader's is one with all others that he is told, and a row of the change log with his
 * login, which nobody else is shown.  A damaged row is as good as none, and the next mark makes it anew.
 *
 * A mailbox that goes takes its rows with it: some at once, the others in slices with its messages (empty.c). */
#include "store/watch.h"
#include "store/writer/writer-impl.h"

#define ROWS_AT_ONCE 2000 /* of a mailbox that is deleted: 4 ms */

/* ---- whose \Seen ------------------------------------------------------------------------------ */

bool
writer_seen_word(struct writer *w, const struct wbox *b, bool *shared, uint64_t *modseq)
{
	uint8_t key[STORE_ANNOT_KEY];
	size_t n = store_annot_key(key, b->acct->d.id, b->id, S(""), S(STORE_ANNOT_SHAREDSEEN));
	struct store_annot a;

	*modseq = 0;
	if (store_annot_parse(slice((const char *)key, n), writer_row_get(w, STORE_T_ANNOT, key, n),
		&a) < 0)
		return false;
	*modseq = a.modseq;
	if (!a.gone)
		*shared = slice_ieq(a.value, S("true"));
	return !a.gone;
}

bool
writer_seen_apart(struct writer *w, struct slice actor, const struct wbox *b)
{
	bool shared = w->config->seen_shared;
	uint64_t modseq;

	if (actor.n == 0 || slice_eq(actor, slice_str(b->acct->name)))
		return false;
	(void)writer_seen_word(w, b, &shared, &modseq);
	return !shared;
}

static bool
seen_names(const struct store_job *j)
{
	return !j->req.actor.n && j->req.verb == STORE_V_FLAGS && j->req.name.n;
}

struct slice
writer_seen_login(const struct store_job *j)
{
	return seen_names(j) ? j->req.name : j->req.actor;
}

bool
writer_seen_apart_for(struct writer *w, const struct store_job *j, const struct wbox *b)
{
	if (seen_names(j))
		return !slice_eq(j->req.name, slice_str(b->acct->name));
	return writer_seen_apart(w, j->req.actor, b);
}

void
writer_seen_switched(struct writer *w, struct wbox *b, uint64_t modseq)
{
	struct store_range all = { 1, b->d.uidnext - 1 };

	if (all.last >= all.first)
		writer_change_seen(w, b, modseq, slice((const char *)&all, sizeof(all)), S(""));
	writer_event_add(w, STORE_EV_MAILBOX, b->acct->d.id, b->id, modseq);
}

/* ---- a request's -------------------------------------------------------------------------------- */

void
writer_seen_begin(struct wseen *s, struct writer *w, struct wbox *b, struct slice login)
{
	bool shared;

	*s = (struct wseen){ .w = w, .b = b, .login = login, .chunk = STORE_SEEN_ALL };
	if (b->seen_apart)
		(void)writer_seen_word(w, b, &shared, &s->floor);
}

/* The runs of a chunk, copied: the map changes under who goes through it. */
static void
seen_read(struct wseen *s, uint32_t chunk, struct buf *copy, struct store_seen *row)
{
	uint8_t key[STORE_SEEN_KEY];
	size_t n = store_seen_key(key, s->b->id, s->login, chunk);

	buf_clear(copy);
	buf_slice(copy, writer_row_get(s->w, STORE_T_SEEN, key, n));
	if (store_seen_parse(buf_get(copy), row) < 0)
		row->n = 0;
}

void
writer_seen_lay(struct wseen *s, struct store_record *rec)
{
	struct store_seen_run run;

	if (!s->b->seen_apart)
		return;
	if (s->chunk != rec->uid / STORE_SEEN_CHUNK) {
		s->chunk = rec->uid / STORE_SEEN_CHUNK;
		seen_read(s, s->chunk, &s->copy, &s->row);
	}
	rec->flags &= (uint16_t)~STORE_SEEN;
	if (rec->modseq < s->floor)
		rec->modseq = s->floor;
	if (!store_seen_find(&s->row, rec->uid % STORE_SEEN_CHUNK, &run))
		return;
	rec->flags |= run.seen ? STORE_SEEN : 0;
	if (rec->modseq < run.modseq)
		rec->modseq = run.modseq;
}

void
writer_seen_mark(struct wseen *s, uint32_t uid, bool seen)
{
	writer_range_add(seen ? &s->seen : &s->unseen, uid);
}

bool
writer_seen_marked(const struct wseen *s)
{
	return s->seen.n || s->unseen.n;
}

/* ---- rows ------------------------------------------------------------------------------------------ */

/* A chunk gets its marks. */
static void
seen_put(struct wseen *s, uint32_t chunk, struct slice marks)
{
	struct store_disk_seen head = { .at = (uint32_t)s->w->now };
	struct buf copy = { 0 }, runs = { 0 };
	uint8_t key[STORE_SEEN_KEY];
	struct store_seen row;

	seen_read(s, chunk, &copy, &row);
	for (size_t i = 0; i < row.n; i++) {
		struct store_seen_run run = store_seen_at(&row, i);

		buf_add(&runs, &run, sizeof(run));
	}
	store_seen_put(&runs, marks);
	buf_clear(&copy);
	store_seen_write(&copy, head, buf_get(&runs));
	writer_row_put(s->w, STORE_T_SEEN, key, store_seen_key(key, s->b->id, s->login, chunk),
	    copy.p, copy.n, 0);
	buf_fini(&copy);
	buf_fini(&runs);
}

/* Ranges ascend: a chunk's row is written once. */
static void
seen_put_ranges(struct wseen *s, const struct buf *ranges, bool seen, uint64_t modseq)
{
	const struct store_range *r = (const void *)ranges->p;
	uint32_t chunk = STORE_SEEN_ALL;
	struct buf marks = { 0 };

	for (size_t i = 0; i < ranges->n / sizeof(*r); i++) {
		uint32_t last = r[i].last / STORE_SEEN_CHUNK;

		for (uint32_t c = r[i].first / STORE_SEEN_CHUNK; c <= last; c++) {
			uint32_t from = c * STORE_SEEN_CHUNK, to = from + (STORE_SEEN_CHUNK - 1);
			struct store_seen_run mark = { .modseq = modseq,
				.first = (uint16_t)(r[i].first > from ? r[i].first - from : 0),
				.last = (uint16_t)((r[i].last < to ? r[i].last : to) - from),
				.seen = seen };

			if (c != chunk && marks.n)
				seen_put(s, chunk, buf_get(&marks));
			if (c != chunk)
				buf_clear(&marks);
			chunk = c;
			buf_add(&marks, &mark, sizeof(mark));
		}
	}
	if (marks.n)
		seen_put(s, chunk, buf_get(&marks));
	buf_fini(&marks);
}

/* The reader's own row. */
static void
seen_put_reader(struct wseen *s, uint64_t modseq)
{
	struct store_disk_seen head = { .modseq = modseq, .at = (uint32_t)s->w->now };
	uint8_t key[STORE_SEEN_KEY];
	size_t n = store_seen_key(key, s->b->id, s->login, STORE_SEEN_ALL);
	struct buf row = { 0 };
	struct store_seen was;

	head.from = store_seen_parse(writer_row_get(s->w, STORE_T_SEEN, key, n), &was) == 0 ?
	    was.head.from :
	    head.at;
	store_seen_write(&row, head, S(""));
	writer_row_put(s->w, STORE_T_SEEN, key, n, row.p, row.n, 0);
	buf_fini(&row);
}

/* Old mail goes, and what was seen of it: the reader's first row, when no message is left that it is about. */
static void
seen_trim(struct wseen *s)
{
	const struct wbox *b = s->b;
	uint8_t key[STORE_SEEN_KEY];
	MDB_val k = { store_seen_key(key, b->id, s->login, 0), key }, d;
	uint32_t chunk = STORE_SEEN_ALL, from;
	struct slice login;
	uint64_t mailbox;
	MDB_cursor *c;

	if (b->nruns == STORE_RUNS_UNKNOWN || s->w->error ||
	    (s->w->error = mdb_cursor_open(s->w->txn, s->w->env->dbi[STORE_T_SEEN], &c)))
		return;
	if (mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) == 0 &&
	    store_seen_key_parse(slice(k.mv_data, k.mv_size), &mailbox, &login, &chunk) &&
	    mailbox == b->id && slice_eq(login, s->login) && chunk != STORE_SEEN_ALL) {
		bool left = false;

		from = chunk * STORE_SEEN_CHUNK;
		for (size_t i = 0; i < b->nruns; i++)
			left |= b->runs[i].first <= from + (STORE_SEEN_CHUNK - 1) &&
			    b->runs[i].last >= from;
		if (!left)
			writer_row_del_here(s->w, STORE_T_SEEN, c, &k);
	}
	mdb_cursor_close(c);
}

void
writer_seen_end(struct wseen *s, uint64_t modseq)
{
	if (writer_seen_marked(s)) {
		if (!modseq) {
			modseq = ++s->b->acct->d.modseq;
			writer_account_dirty(s->w, s->b->acct);
		}
		seen_put_ranges(s, &s->seen, true, modseq);
		seen_put_ranges(s, &s->unseen, false, modseq);
		seen_put_reader(s, modseq);
		seen_trim(s);
		buf_slice(&s->seen, buf_get(&s->unseen));
		writer_change_seen(s->w, s->b, modseq, buf_get(&s->seen), s->login);
		writer_event_add(s->w, STORE_EV_MAILBOX, s->b->acct->d.id, s->b->id, modseq);
		s->w->stats.seen++;
	}
	buf_fini(&s->copy);
	buf_fini(&s->seen);
	buf_fini(&s->unseen);
}

uint64_t
writer_seen_highest(struct writer *w, const struct wbox *b, struct slice login)
{
	uint8_t key[STORE_SEEN_KEY];
	struct store_seen row;
	uint64_t highest = b->d.highestmodseq;

	if (b->seen_apart &&
	    store_seen_parse(writer_row_get(w, STORE_T_SEEN, key,
				 store_seen_key(key, b->id, login, STORE_SEEN_ALL)),
		&row) == 0 &&
	    row.head.modseq > highest)
		highest = row.head.modseq;
	return highest;
}

/* ---- a reader that goes -------------------------------------------------------------------------- */

/* The next row of this reader's, copied, and taken out.  False: there is none. */
static bool
seen_take(struct writer *w, const struct wbox *b, struct slice login, uint32_t *chunk,
    struct buf *row)
{
	uint8_t key[STORE_SEEN_KEY];
	size_t n = store_seen_key(key, b->id, login, STORE_SEEN_ALL);
	MDB_val k = { n, key }, d;
	struct slice who;
	uint64_t mailbox;
	MDB_cursor *c;
	bool found;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_SEEN], &c)))
		return false;
	found = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) == 0 &&
	    store_seen_key_parse(slice(k.mv_data, k.mv_size), &mailbox, &who, chunk) &&
	    mailbox == b->id && slice_eq(who, login);
	if (found) {
		buf_clear(row);
		buf_add(row, d.mv_data, d.mv_size);
		writer_row_del_here(w, STORE_T_SEEN, c, &k);
	}
	mdb_cursor_close(c);
	return found;
}

void
writer_seen_leave(struct writer *w, const struct wbox *b, struct slice from, struct slice to)
{
	uint8_t key[STORE_SEEN_KEY];
	struct buf row = { 0 };
	uint32_t chunk;
	bool passes = to.n &&
	    !writer_row_get(w, STORE_T_SEEN, key, store_seen_key(key, b->id, to, STORE_SEEN_ALL)).p;

	while (seen_take(w, b, from, &chunk, &row))
		if (passes)
			writer_row_put(w, STORE_T_SEEN, key, store_seen_key(key, b->id, to, chunk),
			    row.p, row.n, 0);
	buf_fini(&row);
}

/* ---- a mailbox that goes ------------------------------------------------------------------------- */

/* Rows of a mailbox, as many as fn lets be.  True: it has no more. */
typedef bool seen_more_fn(struct writer *w, size_t n);

static bool
seen_each(struct writer *w, uint64_t mailbox, bool drop, seen_more_fn *more)
{
	uint8_t key[8];
	MDB_val k = { sizeof(key), key }, d;
	MDB_cursor *c;
	size_t n = 0;
	bool whole = true;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_SEEN], &c)))
		return true;
	store_be64(key, mailbox);
	for (int rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     rc == 0 && whole && !w->error && k.mv_size > 8 && store_get64(k.mv_data) == mailbox;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		whole = more(w, n++);
		if (whole && drop)
			writer_row_del_here(w, STORE_T_SEEN, c, &k);
	}
	mdb_cursor_close(c);
	return whole;
}

static bool
seen_more_few(struct writer *w, size_t n)
{
	(void)w;
	return n < ROWS_AT_ONCE;
}

static bool
seen_more_slice(struct writer *w, size_t n)
{
	return n == 0 || !writer_long_over(w);
}

bool
writer_seen_is_long(struct writer *w, const struct wbox *b)
{
	return !seen_each(w, b->id, false, seen_more_few);
}

void
writer_seen_forget(struct writer *w, const struct wbox *b)
{
	(void)seen_each(w, b->id, true, seen_more_few);
}

bool
writer_seen_forget_slice(struct writer *w, uint64_t mailbox)
{
	return seen_each(w, mailbox, true, seen_more_slice);
}
