/* Index blocks: appending at the end of a mailbox, and editing in place. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"
#include "store/write_private.h"

static void
block_key(uint8_t key[12], uint64_t mailbox, uint32_t block)
{
	store_be64(key, mailbox);
	store_be32(key + 8, block);
}

/* ---- the block at the end ------------------------------------------------------------------ */

void
box_flush_tail(struct store_part *p, struct wbox *b)
{
	struct wtail *t = b->tail;
	uint8_t key[12];

	if (!t)
		return;
	b->tail = NULL;
	t->next = p->free_tails;
	p->free_tails = t;
	if (t->head.count == 0)
		return;
	block_key(key, b->id, t->block);
	if (t->head.count > t->logged)
		log_op(p, OPLOG_RECORDS, STORE_T_INDEX, slice((char *)key, sizeof(key)),
		    slice((char *)&t->rec[t->logged], (t->head.count - t->logged) * sizeof(t->rec[0])));
	row_put_logged(p, STORE_T_INDEX, key, sizeof(key), &t->head,
	    sizeof(t->head) + t->head.count * sizeof(t->rec[0]));
}

static void
tail_load(struct store_part *p, struct wbox *b, uint32_t block)
{
	struct wtail *t = p->free_tails;
	const struct store_record *old;
	uint8_t key[12];
	size_t n;

	if (t)
		p->free_tails = t->next;
	else
		t = mem_new(sizeof(*t));
	t->head = (struct store_block_head){ .version = STORE_VERSION };
	t->block = block;
	b->tail = t;
	block_key(key, b->id, block);
	old = store_block_parse(row_get(p, STORE_T_INDEX, key, sizeof(key)), &n);
	if (old) {
		memcpy(t->rec, old, n * sizeof(*old));
		t->head.count = (uint8_t)n;
	}
	t->logged = t->head.count;
}

/* ---- runs of UIDs ----------------------------------------------------------------------------- */

static void
runs_append(struct wbox *b, uint32_t uid)
{
	if (b->nruns == STORE_RUNS_UNKNOWN)
		return;
	if (b->nruns && b->runs[b->nruns - 1].last + 1 == uid) {
		b->runs[b->nruns - 1].last = uid;
		return;
	}
	if (b->nruns == STORE_RUNS) {
		b->nruns = STORE_RUNS_UNKNOWN;
		return;
	}
	if (b->nruns == b->runs_room) {
		b->runs_room = (uint16_t)(b->runs_room ? b->runs_room * 2 : 2);
		b->runs = mem_grow(b->runs, b->runs_room, sizeof(*b->runs));
	}
	b->runs[b->nruns++] = (struct store_range){ uid, uid };
}

void
range_add(struct buf *b, uint32_t uid)
{
	struct store_range r = { uid, uid };

	if (b->n) {
		struct store_range last;

		memcpy(&last, b->p + b->n - sizeof(last), sizeof(last));
		if (last.last + 1 == uid) {
			last.last = uid;
			memcpy(b->p + b->n - sizeof(last), &last, sizeof(last));
			return;
		}
	}
	buf_add(b, &r, sizeof(r));
}

static enum edit
collect_run(void *arg, struct store_record *rec)
{
	runs_append(arg, rec->uid);
	return EDIT_KEEP;
}

/* Takes `gone` (ascending) out of the runs.  A mailbox with too many holes is scanned by its
 * readers; when it has become small it is worth counting again. */
void
box_runs_remove(struct store_part *p, struct wbox *b, const struct store_range *gone, size_t n)
{
	struct store_range *old = b->runs;
	size_t nold = b->nruns, g = 0;

	if (b->d.exists == 0) {
		b->nruns = 0;
		return;
	}
	if (b->nruns == STORE_RUNS_UNKNOWN) {
		if (b->d.exists > STORE_RUNS * 16)
			return;
		b->nruns = 0;
		box_walk(p, b, NULL, 0, collect_run, b);
		return;
	}
	b->runs = mem_array(STORE_RUNS, sizeof(*b->runs));
	b->runs_room = STORE_RUNS;
	b->nruns = 0;
	for (size_t i = 0; i < nold; i++) {
		struct store_range r = old[i];

		while (g < n && gone[g].last < r.first)
			g++;
		for (size_t k = g; k < n && gone[k].first <= r.last && r.first <= r.last; k++) {
			if (gone[k].first > r.first) {
				if (b->nruns == STORE_RUNS)
					goto many;
				b->runs[b->nruns++] =
				    (struct store_range){ r.first, gone[k].first - 1 };
			}
			if (gone[k].last == UINT32_MAX) {
				r.first = r.last;
				goto next;
			}
			r.first = gone[k].last + 1;
		}
		if (r.first > r.last)
			continue;
		if (b->nruns == STORE_RUNS)
			goto many;
		b->runs[b->nruns++] = r;
next:;
	}
	mem_free(&old);
	return;
many:
	mem_free(&old);
	b->nruns = STORE_RUNS_UNKNOWN;
}

/* ---- appending ------------------------------------------------------------------------------------ */

static void
count_in(struct store_part *p, struct wbox *b, const struct store_record *rec)
{
	b->d.exists++;
	if (rec->uid >= b->d.recent_from)
		b->d.recent++;
	b->d.bytes += rec->size;
	b->acct->d.bytes += rec->size;
	b->acct->d.messages++;
	if (rec->flags & STORE_DELETED)
		b->d.deleted++;
	if (!(rec->flags & STORE_SEEN)) {
		if (b->d.unseen++ == 0 || rec->uid < b->d.first_unseen)
			b->d.first_unseen = rec->uid;
	}
	box_dirty(p, b);
	acct_dirty(p, b->acct);
}

/* The record's uid is the mailbox's uidnext or larger; its modseq is set here. */
void
box_append(struct store_part *p, struct wbox *b, const struct store_record *rec)
{
	uint32_t block = rec->uid / STORE_BLOCK;
	struct wtail *t;

	must(rec->uid >= b->d.uidnext && rec->uid != UINT32_MAX);
	if (b->tail && b->tail->block != block)
		box_flush_tail(p, b);
	if (!b->tail)
		tail_load(p, b, block);
	t = b->tail;
	must(t->head.count < STORE_BLOCK);
	t->rec[t->head.count] = *rec;
	t->rec[t->head.count++].modseq = b->d.highestmodseq;

	b->d.uidnext = rec->uid + 1;
	count_in(p, b, rec);
	runs_append(b, rec->uid);
}

/* A record into the middle: only reconstruct needs it. */
void
box_insert(struct store_part *p, struct wbox *b, const struct store_record *rec)
{
	struct wtail *t;
	size_t i;

	box_flush_tail(p, b);
	tail_load(p, b, rec->uid / STORE_BLOCK);
	t = b->tail;
	for (i = 0; i < t->head.count && t->rec[i].uid < rec->uid; i++)
		;
	if (i < t->head.count && t->rec[i].uid == rec->uid)
		return;
	must(t->head.count < STORE_BLOCK);
	memmove(t->rec + i + 1, t->rec + i, (t->head.count - i) * sizeof(*rec));
	t->rec[i] = *rec;
	t->rec[i].modseq = b->d.highestmodseq;
	t->head.count++;
	t->logged = 0;
	box_flush_tail(p, b);
	count_in(p, b, rec);
	b->nruns = STORE_RUNS_UNKNOWN;
}

/* ---- editing --------------------------------------------------------------------------------------- */

struct walk {
	const struct store_range *ranges;
	size_t n, at;
	struct store_record changed[STORE_BLOCK]; /* in the present block, for the log */
	uint32_t gone[STORE_BLOCK];
	size_t nchanged, ngone;
};

/* Is the uid wanted?  UIDs are asked for in ascending order. */
static bool
wanted(struct walk *w, uint32_t uid)
{
	if (w->n == 0)
		return true;
	while (w->at < w->n && w->ranges[w->at].last < uid)
		w->at++;
	return w->at < w->n && w->ranges[w->at].first <= uid;
}

/* Lets fn edit the records of one block.  Returns whether it must be written. */
static bool
edit_block(struct walk *w, struct store_record *rec, size_t *n, edit_fn *fn, void *arg)
{
	size_t kept = 0;

	w->nchanged = w->ngone = 0;
	for (size_t i = 0; i < *n; i++) {
		enum edit e = wanted(w, rec[i].uid) ? fn(arg, &rec[i]) : EDIT_KEEP;

		if (e == EDIT_DROP) {
			w->gone[w->ngone++] = rec[i].uid;
			continue;
		}
		if (e == EDIT_CHANGED)
			w->changed[w->nchanged++] = rec[i];
		if (kept != i)
			rec[kept] = rec[i];
		kept++;
	}
	*n = kept;
	return w->nchanged || w->ngone;
}

static void
log_edit(struct store_part *p, const struct walk *w, struct slice key, size_t left)
{
	if (left == 0) {
		log_op(p, OPLOG_DEL, STORE_T_INDEX, key, slice(NULL, 0));
		return;
	}
	if (w->nchanged)
		log_op(p, OPLOG_RECORDS, STORE_T_INDEX, key,
		    slice((const char *)w->changed, w->nchanged * sizeof(w->changed[0])));
	if (w->ngone)
		log_op(p, OPLOG_GONE, STORE_T_INDEX, key,
		    slice((const char *)w->gone, w->ngone * sizeof(w->gone[0])));
}

void
box_walk(struct store_part *p, struct wbox *b, const struct store_range *ranges, size_t n,
    edit_fn *fn, void *arg)
{
	struct walk w;
	struct {
		struct store_block_head head;
		struct store_record rec[STORE_BLOCK];
	} PACKED block;
	uint32_t next = n ? ranges[0].first / STORE_BLOCK : 0;
	uint8_t key[12];
	MDB_cursor *c;
	MDB_val k, d;

	w.ranges = ranges;
	w.n = n;
	w.at = 0;
	box_flush_tail(p, b);
	if (p->error || (p->error = mdb_cursor_open(p->txn, p->dbi[STORE_T_INDEX], &c)))
		return;
	for (;;) {
		const struct store_record *old;
		size_t count;
		int rc;

		block_key(key, b->id, next);
		k = (MDB_val){ sizeof(key), key };
		rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
		if (rc && rc != MDB_NOTFOUND)
			p->error = rc;
		if (rc || k.mv_size != sizeof(key) || store_get64(k.mv_data) != b->id)
			break;
		next = store_get32((const char *)k.mv_data + 8);
		block_key(key, b->id, next);
		old = store_block_parse(slice(d.mv_data, d.mv_size), &count);
		if (old) {
			memcpy(&block, d.mv_data, d.mv_size);
			if (edit_block(&w, block.rec, &count, fn, arg)) {
				block.head.count = (uint8_t)count;
				log_edit(p, &w, slice((char *)key, sizeof(key)), count);
				k = (MDB_val){ sizeof(key), key };
				d = (MDB_val){ sizeof(block.head) + count * sizeof(block.rec[0]), &block };
				rc = count ? mdb_cursor_put(c, &k, &d, MDB_CURRENT) : mdb_cursor_del(c, 0);
				if (rc) {
					p->error = rc;
					break;
				}
			}
		}
		/* On to the next block, or to the one where the next wanted uid may be. */
		if (next++ >= UINT32_MAX / STORE_BLOCK)
			break;
		while (w.at < w.n && w.ranges[w.at].last / STORE_BLOCK < next)
			w.at++;
		if (w.n && w.at == w.n)
			break;
		if (w.n && w.ranges[w.at].first / STORE_BLOCK > next)
			next = w.ranges[w.at].first / STORE_BLOCK;
	}
	mdb_cursor_close(c);
}

/* ---- the first unseen message ------------------------------------------------------------------------ */

/* first_unseen is a lower bound.  When the message it named is seen or gone, look for the next
 * one, but not for ever: readers go on from where this stops. */
void
box_find_unseen(struct store_part *p, struct wbox *b)
{
	uint32_t block = b->d.first_unseen / STORE_BLOCK;
	uint8_t key[12];
	size_t n;

	if (b->d.unseen == 0) {
		b->d.first_unseen = 0;
		return;
	}
	box_flush_tail(p, b);
	for (int i = 0; i < 64 && block <= b->d.uidnext / STORE_BLOCK; i++, block++) {
		const struct store_record *rec;

		block_key(key, b->id, block);
		rec = store_block_parse(row_get(p, STORE_T_INDEX, key, sizeof(key)), &n);
		for (size_t k = 0; rec && k < n; k++)
			if (!(rec[k].flags & STORE_SEEN)) {
				b->d.first_unseen = rec[k].uid;
				return;
			}
	}
	b->d.first_unseen = block * STORE_BLOCK;
}
