/* RETHREAD: messages that came before threads were kept join them.
 *
 * Called by the writer's thread within its batch, for storectl rethread, which reads what stored does not parse and
 * asks for some messages at a time.  Each is whole by itself, so that a kill leaves some of them where they were, and
 * asking again does the rest: one that has joined stays.  A message's thread stands among what never changes; so
 * clients of JMAP, who may have taken it for that, must begin anew when all have joined, and others, who see it by
 * THREADID, are told nothing. */
#include "store/thread.h"
#include "store/writer/writer-impl.h"

/* The block of some messages of the request, which ascend. */
struct rethreading {
	struct writer *w;
	struct wbox *b;
	uint8_t key[12];
	struct store_block index;
	struct store_record records[STORE_BLOCK];
	size_t n;
	uint32_t block, changed;
};

static void
rethread_load(struct rethreading *r, uint32_t block)
{
	struct slice row;

	writer_block_key(r->key, r->b->id, block);
	row = writer_row_get(r->w, STORE_T_INDEX, r->key, sizeof(r->key));
	r->block = block;
	r->changed = 0;
	r->n = 0;
	if (row.p && store_block_crc_ok(row) && store_block_load(row, &r->index) == 0)
		r->n = store_block_records(row, block, r->records);
}

static void
rethread_put(struct rethreading *r)
{
	struct slice row;

	if (!r->changed)
		return;
	row = store_block_seal(&r->index);
	writer_row_put(r->w, STORE_T_INDEX, r->key, sizeof(r->key), row.p, row.n, 0);
}

static uint32_t
rethread_one(struct rethreading *r, const struct store_message *m)
{
	for (size_t i = 0; i < r->n; i++) {
		struct store_record *rec = &r->records[i];
		uint64_t thread;

		if (rec->uid != m->uid)
			continue;
		thread = writer_thread_join(r->w, r->b->acct, rec->emailid, m->cache);
		if (thread == rec->threadid)
			return 0;
		rec->threadid = thread;
		store_block_put(&r->index, rec);
		r->changed++;
		return 1;
	}
	return 0; /* it has gone meanwhile */
}

/* All have joined. */
static void
rethread_end(struct writer *w, struct wacct *a)
{
	a->d.threads_at = (uint32_t)w->now;
	a->d.changes_from = ++a->d.modseq;
	writer_account_dirty(w, a);
}

void
writer_run_rethread(struct writer *w, struct store_job *j)
{
	struct wbox *b = writer_box_selectable(w, j, j->req.mailbox);
	struct rethreading r = { .w = w, .b = b, .block = UINT32_MAX };
	uint32_t changed = 0;

	if (!b)
		return;
	if (j->req.nmessages == 0)
		rethread_end(w, b->acct);
	else
		writer_box_flush_tail(w, b);
	for (size_t i = 0; i < j->req.nmessages; i++) {
		const struct store_message *m = &j->req.messages[i];

		if (m->uid / STORE_BLOCK != r.block) {
			rethread_put(&r);
			rethread_load(&r, m->uid / STORE_BLOCK);
		}
		changed += rethread_one(&r, m);
	}
	rethread_put(&r);
	writer_reply_ok(j);
	j->reply.uid = changed;
}
