/* A mailbox's runs of UIDs: which messages it has, in its own record, so that SELECT need not scan.
 *
 * Called by the writer's thread as messages come and go.  Nothing can fail.  The runs must name what
 * the blocks hold; a mailbox with more holes than the record has room for says so, and its readers
 * scan. */
#include "base/mem.h"
#include "store/writer/writer-impl.h"

void
writer_box_runs_append(struct wbox *b, uint32_t uid)
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
writer_range_add(struct buf *b, uint32_t uid)
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
	writer_box_runs_append(arg, rec->uid);
	return EDIT_KEEP;
}

/* Takes `gone` (ascending) out of the runs.  A mailbox with too many holes is scanned by its
 * readers; when it has become small it is worth counting again. */
void
writer_box_runs_remove(struct writer *w, struct wbox *b, const struct store_range *gone, size_t n)
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
		(void)writer_box_walk_states(w, b, NULL, NULL, 0, collect_run, b);
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
