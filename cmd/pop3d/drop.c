/* pop3d/drop.c: numbers, marks and sizes of a session's messages.
 *
 * Owns what drop.h says; called by the commands.  Can fail: reading the index.  Must stay true: what a
 * number means never changes, whatever other programs do to the mailbox; a snapshot of the index begins
 * and ends within a call, or within the work of one on the pool.  Its cost is that of the runs at login,
 * and then of the messages asked for. */
#include "drop.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/work.h"

/* ---- numbers ---------------------------------------------------------------------------------- */

/* Of a mailbox whose record does not have the runs, so many messages are looked at here and now. */
#define DROP_SCAN 20000

static void
drop_read_runs(struct drop *d, struct store_view *v, const struct store_mailbox *m)
{
	struct buf runs = { 0 };
	uint32_t number = 1;

	store_uid_runs(v, m, &runs);
	d->nruns = runs.n / sizeof(struct store_range);
	d->runs = mem_array(d->nruns + 1, sizeof(*d->runs));
	for (size_t i = 0; i < d->nruns; i++) {
		struct store_range r;

		memcpy(&r, runs.p + i * sizeof(r), sizeof(r));
		d->runs[i] = (struct drop_run){ number, r.first };
		number += r.last - r.first + 1;
	}
	d->runs[d->nruns].number = number;
	d->count = number - 1;
	buf_fini(&runs);
}

/* Inside a snapshot; 1: it is `here`, on the loop, and that would take long. */
static int
drop_read(struct drop *d, struct store_view *v, bool here)
{
	struct store_mailbox m;
	int rc = store_find_mailbox(v, d->account, S("INBOX"), &d->mailbox);

	if (rc == 0)
		rc = store_get_mailbox(v, d->mailbox, &m);
	if (rc < 0)
		return rc;
	if (here && m.nruns == STORE_RUNS_UNKNOWN && m.exists > DROP_SCAN)
		return 1;
	d->uidvalidity = m.uidvalidity;
	d->bytes = m.bytes;
	drop_read_runs(d, v, &m);
	return 0;
}

static int
drop_open_in(struct store_view *v, bool here, struct drop *d)
{
	int rc = store_begin(v);

	if (rc < 0)
		return rc;
	rc = drop_read(d, v, here);
	store_end(v);
	return rc;
}

int
drop_open(struct store_view *v, uint64_t account, struct drop **out)
{
	struct drop *d = mem_new(sizeof(*d));
	int rc;

	d->account = account;
	rc = drop_open_in(v, true, d);
	if (rc != 0)
		drop_free(&d);
	*out = d;
	return rc;
}

struct drop_work {
	struct store_view *view; /* its own: a view is one thread's */
	struct drop *drop;
	int rc;
	drop_done *done;
	void *arg;
};

static void
drop_work_run(void *arg)
{
	struct drop_work *w = arg;

	w->rc = drop_open_in(w->view, false, w->drop);
}

static void
drop_work_free(void *arg)
{
	struct drop_work *w = arg;

	store_view_free(&w->view);
	drop_free(&w->drop);
	mem_free(&w);
}

static void
drop_work_done(void *arg)
{
	struct drop_work *w = arg;
	struct drop *d = w->drop;

	w->drop = NULL;
	if (w->rc < 0)
		drop_free(&d);
	w->done(w->arg, w->rc, d);
	drop_work_free(w);
}

void
drop_open_start(struct store_reader *r, uint64_t account, struct loop *l, struct op *op,
    drop_done *done, void *arg)
{
	struct drop_work *w = mem_new(sizeof(*w));

	w->view = store_view_new(r);
	w->drop = mem_new(sizeof(*w->drop));
	w->drop->account = account;
	w->done = done;
	w->arg = arg;
	work_start_for(l, op, account, drop_work_run, drop_work_done, drop_work_free, w);
}

void
drop_free(struct drop **dp)
{
	struct drop *d = *dp;

	*dp = NULL;
	if (!d)
		return;
	mem_free(&d->runs);
	mem_free(&d->deleted.bits);
	mem_free(&d->retrieved.bits);
	mem_free(&d);
}

/* The run that message n is in. */
static size_t
drop_run_of(const struct drop *d, uint32_t n)
{
	size_t lo = 0, hi = d->nruns;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->runs[mid].number <= n)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
drop_uid(const struct drop *d, uint32_t n)
{
	const struct drop_run *r = &d->runs[drop_run_of(d, n)];

	return r->uid + (n - r->number);
}

/* ---- marks ------------------------------------------------------------------------------------ */

bool
drop_marked(const struct drop_marks *m, uint32_t n)
{
	return m->bits && m->bits[n / 64] >> n % 64 & 1;
}

bool
drop_mark(const struct drop *d, struct drop_marks *m, uint32_t n)
{
	if (drop_marked(m, n))
		return false;
	if (!m->bits)
		m->bits = mem_array(d->count / 64 + 1, sizeof(*m->bits));
	m->bits[n / 64] |= 1ULL << n % 64;
	m->n++;
	return true;
}

void
drop_unmark_all(struct drop_marks *m)
{
	mem_free(&m->bits);
	m->n = 0;
}

void
drop_ranges(const struct drop *d, const struct drop_marks *m, struct buf *ranges)
{
	struct store_range r = { 0 };

	if (m->n == 0)
		return;
	for (size_t i = 0; i < d->nruns; i++) {
		uint32_t last = d->runs[i + 1].number - 1;

		for (uint32_t n = d->runs[i].number; n <= last; n++) {
			uint32_t uid = d->runs[i].uid + (n - d->runs[i].number);

			if (m->bits[n / 64] == 0) /* none of these 64 */
				n |= 63;
			else if (drop_marked(m, n)) {
				if (r.last && r.last + 1 == uid) {
					r.last = uid;
					continue;
				}
				if (r.last)
					buf_add(ranges, &r, sizeof(r));
				r = (struct store_range){ uid, uid };
			}
		}
	}
	buf_add(ranges, &r, sizeof(r));
}

/* ---- sizes ------------------------------------------------------------------------------------ */

/* Of a message that is not in the index any more. */
static uint64_t
drop_size_of_file(const struct drop *d, struct store_view *v, uint32_t n)
{
	int fd = store_open_message(v, d->mailbox, drop_uid(d, n));
	struct stat st;
	uint64_t size = DROP_UNKNOWN;

	if (fd < 0)
		return size;
	if (fstat(fd, &st) == 0)
		size = (uint64_t)st.st_size;
	(void)close(fd);
	return size;
}

int
drop_sizes(const struct drop *d, struct store_view *v, uint32_t n, uint32_t count, uint64_t *sizes)
{
	size_t run = drop_run_of(d, n), nrecs;
	const struct store_record *rec;
	struct store_blocks b;
	int rc = store_begin(v);

	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < count; i++)
		sizes[i] = DROP_UNKNOWN;
	store_blocks_init(&b, v, d->mailbox, drop_uid(d, n), drop_uid(d, n + count - 1));
	b.parts = STORE_RECORDS;
	while ((rec = store_blocks_next(&b, &nrecs)))
		for (size_t i = 0; i < nrecs; i++) {
			uint32_t number;

			while (run + 1 < d->nruns && d->runs[run + 1].uid <= rec[i].uid)
				run++;
			number = d->runs[run].number + (rec[i].uid - d->runs[run].uid);
			/* What a repair has put into a gap since is none of ours. */
			if (number < d->runs[run + 1].number && number - n < count)
				sizes[number - n] = rec[i].size;
		}
	store_end(v);
	for (uint32_t i = 0; i < count; i++)
		if (sizes[i] == DROP_UNKNOWN)
			sizes[i] = drop_size_of_file(d, v, n + i);
	return 0;
}
