/* Copies whose files are still to be made: the rows of `pending`, written.
 *
 * A long COPY or MOVE puts rows here in place of links, and the linker makes those afterwards.  Called
 * by the writer's thread within its batches, by copy.c for what is new and by batch.c for what the
 * linker has done.  Rows of a COPY are hidden until it is committed as a whole; hidden ones are no
 * copies to anybody, but the purge spares their sources too.  Those of a COPY that came to nothing
 * stay, with the places that it had written, until the next start (unless the disk is full then) or the
 * next COPY to that mailbox clears them.  A source that is itself without a file is followed to its own: so each source has a
 * file, and rows need no order.  Nothing here can fail but LMDB. */
#include "base/mem.h"
#include "store/pending.h"
#include "store/writer/writer-impl.h"

/* A row as the writer remembers it: shown, and not linked yet. */
struct known_row {
	uint64_t to;
	uint32_t uid;
};

/* ---- new rows ------------------------------------------------------------------------------ */

void
writer_pending_put(struct writer *w, struct pending_row *r)
{
	struct known_row known = { r->to, r->first };
	struct store_disk_pending head = { .version = STORE_VERSION,
		.shown = r->shown,
		.count = (uint16_t)(r->runs.n / sizeof(struct store_gone)),
		.messages = r->messages,
		.source = r->source };
	uint8_t key[12];

	if (r->messages == 0)
		return;
	store_pending_key(key, r->to, r->first);
	buf_clear(&w->scratch);
	buf_add(&w->scratch, &head, sizeof(head));
	buf_slice(&w->scratch, buf_get(&r->runs));
	writer_row_put(w, STORE_T_PENDING, key, sizeof(key), w->scratch.p, w->scratch.n, 0);
	if (r->shown)
		buf_add(&w->pending, &known, sizeof(known));
	buf_clear(&r->runs);
	r->messages = 0;
}

/* Does the source go on where the last run ends? */
static bool
run_extend(struct buf *runs, uint32_t uid, uint64_t emailid)
{
	struct store_gone last;

	if (runs->n == 0)
		return false;
	memcpy(&last, runs->p + runs->n - sizeof(last), sizeof(last));
	if (uid != last.last + 1 || emailid != last.emailid + (uid - last.first))
		return false;
	last.last = uid;
	memcpy(runs->p + runs->n - sizeof(last), &last, sizeof(last));
	return true;
}

void
writer_pending_add(struct writer *w, struct pending_row *r, uint32_t uid,
    const struct store_place *source)
{
	struct store_gone run = { source->uid, source->uid, source->emailid };

	if (r->messages && (r->source != source->mailbox || r->messages == STORE_PENDING_MOST))
		writer_pending_put(w, r);
	if (!run_extend(&r->runs, source->uid, source->emailid)) {
		if (r->runs.n == STORE_PENDING_RUNS * sizeof(run))
			writer_pending_put(w, r);
		buf_add(&r->runs, &run, sizeof(run));
	}
	if (r->messages++ == 0) {
		r->first = uid;
		r->source = source->mailbox;
	}
}

bool
writer_pending_is_target(const struct writer *w, uint64_t mailbox)
{
	struct known_row k;

	for (size_t at = 0; at < w->pending.n; at += sizeof(k)) {
		memcpy(&k, w->pending.p + at, sizeof(k));
		if (k.to == mailbox)
			return true;
	}
	return false;
}

bool
writer_pending_has(struct writer *w, uint64_t mailbox, uint32_t uid)
{
	struct store_place p = { .mailbox = mailbox, .uid = uid };
	MDB_cursor *c = NULL;

	if (!writer_pending_is_target(w, mailbox))
		return false;
	writer_pending_follow(w, &c, &p);
	if (c)
		mdb_cursor_close(c);
	return p.mailbox != mailbox || p.uid != uid;
}

void
writer_pending_follow(struct writer *w, MDB_cursor **c, struct store_place *p)
{
	uint64_t mailbox;
	uint32_t uid;

	if (!*c &&
	    (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_PENDING], c))))
		return;
	if (store_pending_find(*c, p->mailbox, p->uid, &mailbox, &uid)) {
		p->mailbox = mailbox;
		p->uid = uid;
	}
}

/* ---- all rows of a mailbox ------------------------------------------------------------------- */

/* The next row from `key` on; the slices of *p point into `copy`. */
static bool
row_next(struct writer *w, uint8_t key[12], struct buf *copy, struct store_pending *p)
{
	MDB_val k = { 12, key }, d;
	MDB_cursor *c;
	bool found = false;

	if (w->error || (w->error = mdb_cursor_open(w->txn, w->env->dbi[STORE_T_PENDING], &c)))
		return false;
	while (!found && mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) == 0 && k.mv_size == 12) {
		memcpy(key, k.mv_data, 12);
		buf_clear(copy);
		buf_add(copy, d.mv_data, d.mv_size);
		found = store_pending_parse(slice((char *)key, 12), buf_get(copy), p) == 0;
		k = (MDB_val){ 12, key };
		if (!found)
			store_be32(key + 8, store_get32((char *)key + 8) + 1);
	}
	mdb_cursor_close(c);
	return found;
}

/* A hidden row goes, with the places of its copies. */
static void
row_clear(struct writer *w, const struct store_pending *p)
{
	uint32_t uid = p->first;
	uint8_t key[12];

	for (size_t i = 0; i < store_pending_runs(p); i++) {
		struct store_gone g = store_pending_run(p, i);

		for (uint32_t k = 0; k <= g.last - g.first; k++, uid++)
			/* The UID may have been given out since, even to the same content. */
			if (!writer_block_has(w, p->mailbox, uid))
				writer_place_del(w, g.emailid + k, p->mailbox, uid);
	}
	store_pending_key(key, p->mailbox, p->first);
	writer_row_del(w, STORE_T_PENDING, key, sizeof(key));
}

bool
writer_pending_clear(struct writer *w, struct wbox *to)
{
	struct store_pending p;
	struct buf copy = { 0 };
	uint8_t key[12];
	bool whole = true;

	writer_box_flush_tail(w, to);
	store_pending_key(key, to->id, 0);
	while (whole && row_next(w, key, &copy, &p) && p.mailbox == to->id) {
		if (!p.shown) {
			row_clear(w, &p);
			whole = !writer_long_over(w);
		}
		store_be32(key + 8, p.first + 1);
	}
	buf_fini(&copy);
	return whole;
}

void
writer_pending_show(struct writer *w, uint64_t to, uint32_t first, uint32_t last)
{
	struct store_pending p;
	struct buf copy = { 0 };
	uint8_t key[12];

	store_pending_key(key, to, first);
	while (row_next(w, key, &copy, &p) && p.mailbox == to && p.first <= last) {
		struct known_row known = { to, p.first };

		copy.p[offsetof(struct store_disk_pending, shown)] = 1;
		writer_row_put(w, STORE_T_PENDING, key, sizeof(key), copy.p, copy.n, 0);
		buf_add(&w->pending, &known, sizeof(known));
		store_be32(key + 8, p.first + 1);
	}
	buf_fini(&copy);
}

/* ---- what the linker has done ------------------------------------------------------------------ */

void
writer_pending_done(struct writer *w, struct slice keys)
{
	buf_slice(&w->linked, keys);
	for (; keys.n >= 12; keys = slice_from(keys, 12))
		writer_row_del(w, STORE_T_PENDING, keys.p, 12);
}

static void
known_forget(struct writer *w, const char *key)
{
	struct known_row want = { store_get64(key), store_get32(key + 8) }, k;

	for (size_t at = 0; at < w->pending.n; at += sizeof(k)) {
		memcpy(&k, w->pending.p + at, sizeof(k));
		if (k.to != want.to || k.uid != want.uid)
			continue;
		memmove(w->pending.p + at, w->pending.p + at + sizeof(k),
		    w->pending.n - at - sizeof(k));
		w->pending.n -= sizeof(k);
		return;
	}
}

void
writer_pending_settled(struct writer *w, bool committed)
{
	bool more = w->pending.n > w->pending_kept;

	if (!committed)
		w->pending.n = w->pending_kept;
	for (size_t at = 0; committed && at < w->linked.n; at += 12)
		known_forget(w, w->linked.p + at);
	buf_clear(&w->linked);
	w->pending_kept = w->pending.n;
	w->stats.unlinked = w->pending.n / sizeof(struct known_row);
	if (committed && more)
		writer_queue_link_want(w->queue);
}

/* ---- at start ------------------------------------------------------------------------------------ */

void
writer_pending_load(struct writer *w, bool clear)
{
	struct store_pending p;
	struct buf copy = { 0 };
	uint8_t key[12] = { 0 };

	buf_clear(&w->pending);
	while (row_next(w, key, &copy, &p)) {
		struct known_row known = { p.mailbox, p.first };

		if (p.shown)
			buf_add(&w->pending, &known, sizeof(known));
		else if (clear)
			row_clear(w, &p);
		store_be32(key + 8, p.first + 1);
	}
	w->pending_kept = w->pending.n;
	w->stats.unlinked = w->pending.n / sizeof(struct known_row);
	buf_fini(&copy);
}
