/* follow.c: one question, from its conditions to what was found; see follow.h.
 *
 * Owns all of it.  Called by tools, and by daemons beside their loop.  Can fail: logs that cannot be read, which leaves
 * what the others say.  Must stay true: nothing is kept but what follow-impl.h bounds, however large the logs are. */
#include "follow/follow-impl.h"

#include "base/mem.h"

#define FOLLOW_MOST 1000 /* messages */

struct follow *
follow_new(void)
{
	struct follow *f = mem_new(sizeof(*f));

	list_init(&f->stories);
	f->most = FOLLOW_MOST;
	return f;
}

void
follow_free(struct follow **f)
{
	if (!*f)
		return;
	follow_stories_fini(*f);
	follow_sources_fini(*f);
	buf_fini(&(*f)->value);
	buf_fini(&(*f)->why);
	mem_free(f);
}

size_t
follow_joined(const struct follow *f)
{
	return f->nsources;
}

bool
follow_empty(const struct follow *f)
{
	return f->nconditions == 0;
}

void
follow_since(struct follow *f, const char *ts)
{
	f->since = slice_str(ts);
}

void
follow_until(struct follow *f, const char *ts)
{
	f->until = slice_str(ts);
}

void
follow_most(struct follow *f, size_t most)
{
	f->most = most;
}

void
follow_stop(struct follow *f, bool (*stop)(void *arg), void *arg)
{
	f->stop = stop;
	f->stop_arg = arg;
}

bool
follow_stopped(struct follow *f)
{
	if (f->stop && !f->late)
		f->late = f->stop(f->stop_arg);
	return f->late;
}

struct slice
follow_why(const struct follow *f)
{
	return buf_get(&f->why);
}

const struct list *
follow_stories(const struct follow *f)
{
	return &f->stories;
}

int
follow_run(struct follow *f)
{
	int rc = follow_read(f, follow_look), rounds = 0;

	follow_looked(f);
	if (list_empty(&f->stories))
		return rc;
	do {
		follow_again(f);
		if (rc == 0)
			rc = follow_read(f, follow_take);
	} while (rc == 0 && f->grew && !f->late && ++rounds < FOLLOW_ROUNDS);
	follow_sort(f);
	return rc;
}
