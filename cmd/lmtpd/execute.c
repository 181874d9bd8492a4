/* execute.c: programs that scripts run, and wait for (vnd.dovecot.execute, vnd.dovecot.filter), by piped.
 *
 * On the thread of the run.  A run that asks the store something begins anew: what programs have come to is kept, in their
 * order, so that none runs twice.  Bounds: EXECUTE_MS of each, sieve.time of all of a message's, for its client waits, its
 * output, and of a run what the engine allows.  Must
 * stay true: nothing but the filter's own memory is touched. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "filter.h"
#include "programs/programs.h"
#include "base/files.h"

#define EXECUTE_MS 30000 /* of a program; piped may have a shorter time for it */

/* What it has written; false: more than `most`. */
static bool
execute_read(int fd, size_t most, struct buf *out)
{
	off_t at = 0;
	ssize_t n;

	while (out->n <= most) {
		n = pread(fd, buf_reserve(out, 65536), 65536, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0;
		out->n += (size_t)n;
		at += n;
	}
	return false;
}

static int
execute_now(struct filter *f, const struct person *p, const struct sieve_execute *x,
    struct buf *out)
{
	struct programs_result result = { PROGRAMS_LATER, { 0 } };
	int in = memfd_create("in", MFD_CLOEXEC), to = memfd_create("out", MFD_CLOEXEC);
	int64_t left = lconf.sieve_time - f->executed_ms;
	uint64_t began = clock_mono_ms();
	struct buf args = { 0 };
	struct programs_order o = { .program = x->name, .sender = f->sender, .recipient = p->to };

	for (size_t i = 0; i < x->nargs; i++)
		buf_printf(&args, "%%" SFMT, SARG(x->args[i]));
	o.args = buf_get(&args);
	if (in >= 0 && to >= 0 && files_write(in, x->input.p, x->input.n) == 0)
		programs_wait(&o, in, to, (uint32_t)(left < EXECUTE_MS ? left : EXECUTE_MS),
		    &result);
	f->executed_ms += (int64_t)(clock_mono_ms() - began);
	if (result.end == PROGRAMS_DONE && out && !execute_read(to, x->most, out))
		result.end = PROGRAMS_FAILED;
	if (in >= 0)
		(void)close(in);
	if (to >= 0)
		(void)close(to);
	buf_fini(&args);
	return result.end == PROGRAMS_DONE ? 0 : 1;
}

int
filter_execute(struct filter *f, struct person *p, const struct sieve_execute *x, struct buf *out)
{
	struct executed *e;

	if (p->executing == FILTER_EXECUTED_MAX)
		return 1;
	if (!p->executed)
		p->executed = arena_array(&f->arena, FILTER_EXECUTED_MAX, sizeof(*p->executed));
	e = &p->executed[p->executing++];
	if (p->executing > p->nexecuted) {
		p->nexecuted = p->executing;
		e->end = f->executed_ms < lconf.sieve_time ? execute_now(f, p, x, out) : 1;
		if (out && e->end == 0)
			e->out = arena_slice(&f->arena, buf_get(out));
	} else if (out) {
		buf_slice(out, e->out);
	}
	return e->end;
}
