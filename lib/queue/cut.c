/* cut.c: a message on its way past the queue: queue/cut.h.
 *
 * Called by smtp-relay between the end of a message and its commit.  Pure, but for the writer that it changes: who has
 * the message is taken off its files.  What must stay true: nobody is taken off whose delivery was not answered. */
#include "queue/cut.h"
#include "queue/write-impl.h"

bool
qwrite_cut_may(const struct qwriter *w)
{
	if (w->error || w->ntarget > QUEUE_CUT_MOST || w->env.aside || w->env.known.n ||
	    w->env.by_at)
		return false;
	for (size_t i = 0; i < w->ntarget; i++)
		if (w->target[i].held || w->target[i].release_at)
			return false;
	for (unsigned i = 0; i < w->nbodies; i++)
		if (w->bodies[i].fd >= 0 || w->bodies[i].size > QUEUE_CUT_LARGEST)
			return false;
	for (size_t i = 0; i < w->env.nrcpt; i++)
		if (w->env.rcpts[i].again || w->env.rcpts[i].sent ||
		    (w->env.rcpts[i].notify & QNOTIFY_SUCCESS))
			return false;
	return true;
}

size_t
qwrite_cut_files(const struct qwriter *w)
{
	return w->ntarget;
}

const char *
qwrite_cut_channel(const struct qwriter *w, size_t i)
{
	return w->target[i].channel;
}

const char *
qwrite_cut_dest(const struct qwriter *w, size_t i)
{
	return w->target[i].dest;
}

bool
qwrite_cut_image(struct qwriter *w, size_t i, char name[QUEUE_NAME_LEN + 4], struct buf *b)
{
	const struct target *t = &w->target[i];
	const struct wbody *q = &w->bodies[t->body];
	size_t at = b->n;

	qenv_write(b, &w->env, t->id, t->pick, t->npick);
	if (b->n - at + q->size > QUEUE_CUT_LARGEST)
		return false;
	qenv_seal(b->p + at, b->n - at, q->size, q->crc);
	buf_slice(b, buf_get(&q->bytes));
	(void)queue_name(name, t->id, 0, false);
	return true;
}

void
qwrite_cut_took(struct qwriter *w, size_t i, struct slice done)
{
	struct target *t = &w->target[i];
	size_t left = 0;

	if (done.n != t->npick)
		return;
	for (size_t k = 0; k < t->npick; k++)
		if (done.p[k] != '1')
			t->pick[left++] = t->pick[k];
	t->npick = left;
}

bool
qwrite_cut_rest(struct qwriter *w)
{
	size_t left = 0;

	for (unsigned i = 0; i < w->nbodies; i++)
		w->bodies[i].first = SIZE_MAX;
	for (size_t i = 0; i < w->ntarget; i++) {
		if (w->target[i].npick == 0)
			continue;
		w->target[left] = w->target[i];
		if (w->bodies[w->target[left].body].first == SIZE_MAX)
			w->bodies[w->target[left].body].first = left;
		left++;
	}
	w->ntarget = left;
	w->env.files = (uint32_t)left;
	return left > 0;
}
