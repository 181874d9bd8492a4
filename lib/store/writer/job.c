/* A job and its answer: verdicts, and ranges that outlive the batch. */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/writer/writer-impl.h"

struct store_job *
store_job_new(void)
{
	struct store_job *j = mem_new(sizeof(*j));

	list_init(&j->link);
	return j;
}

void
store_job_free(struct store_job **jp)
{
	struct store_job *j = *jp;

	*jp = NULL;
	if (!j)
		return;
	for (size_t i = 0; j->fds && i < j->req.nmessages; i++)
		if (j->fds[i] >= 0)
			close(j->fds[i]);
	arena_reset(&j->arena);
	mem_free(&j);
}

void
writer_reply_ok(struct store_job *j)
{
	j->reply.code = STORE_DONE;
	j->reply.verdict = verdict(OUT_STORE_DONE);
}

void
writer_reply_fail(struct store_job *j, enum store_code code, struct verdict v)
{
	j->reply = (struct store_reply){ .code = code, .verdict = v };
}

struct verdict
writer_verdict_damaged(void)
{
	return verdict(OUT_STORE_DAMAGED);
}

/* Not there, or there and of no use: two answers, because a client makes what is not there. */
void
writer_reply_no_box(struct store_job *j, int rc)
{
	if (rc == -ENOENT)
		writer_reply_fail(j, STORE_NOMAILBOX, verdict(OUT_STORE_NO_BOX));
	else
		writer_reply_fail(j, STORE_DAMAGED, writer_verdict_damaged());
}

bool
writer_reply_if_full(struct writer *w, struct store_job *j)
{
	if (w->full)
		writer_reply_fail(j, STORE_FULL, verdict(OUT_STORE_FULL));
	return w->full;
}

const struct store_range *
writer_ranges_keep(struct arena *a, const struct buf *b, size_t *n)
{
	struct store_range *r = NULL;

	*n = b->n / sizeof(*r);
	if (*n) {
		r = arena_array(a, *n, sizeof(*r));
		memcpy(r, b->p, *n * sizeof(*r));
	}
	return r;
}
