/* run.c: a program at work on a message: one loop over its steps, and what they may cost.
 *
 * Every step, comparison and piece of text is counted as work; when the work, the memory or the
 * processor's time of limits is spent, the run fails.  The time is looked at after some work
 * only, and it is the time that this thread has computed, not the clock on the wall: a script must not fail
 * because somebody else's made the machine slow.
 *
 * Failing is one way for all: sieve_fail() keeps the first reason, every function returns at once, and
 * the outcome is the implicit keep of the message as it came (RFC 5228 2.10.6).  Actions are only
 * recorded; who has asked for the run carries them out. */
#include "base/clock.h"
#include "base/mem.h"
#include "sieve/sieve-impl.h"

#define CHECK_WORK 4096 /* between two looks at the time */

const struct sieve_host *
sieve_host(const struct sieve_run *r)
{
	return r->host;
}

struct arena *
sieve_run_arena(struct sieve_run *r)
{
	return r->arena;
}

bool
sieve_failed(const struct sieve_run *r)
{
	return r->result->error;
}

void
sieve_note(struct sieve_run *r, struct slice text)
{
	r->note = text;
}

/* ---- failing ------------------------------------------------------------------------------------------ */

static bool
run_fail(struct sieve_run *r, const struct sieve_call *c, const char *text, bool bound)
{
	struct sieve_error *e;

	if (r->result->error)
		return false;
	if (!c)
		c = &r->program->steps[r->at];
	e = arena_new(r->arena, sizeof(*e));
	*e = (struct sieve_error){ .script = c->script,
		.line = c->line,
		.column = c->column,
		.text = text,
		.bound = bound };
	r->result->error = e;
	r->stopped = true;
	return false;
}

bool
sieve_fail(struct sieve_run *r, const struct sieve_call *c, const char *fmt, ...)
{
	struct buf text = { .cap = 1024 };
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	run_fail(r, c, arena_cstr(r->arena, buf_get(&text)), false);
	buf_fini(&text);
	return false;
}

bool
sieve_exceed(struct sieve_run *r, const struct sieve_call *c, const char *what)
{
	return run_fail(r, c, arena_printf(r->arena, "limit exceeded: %s", what), true);
}

bool
sieve_spend(struct sieve_run *r, const struct sieve_call *c, uint64_t work)
{
	r->work += work;
	if (r->work > r->limits->work)
		return sieve_exceed(r, c, "work");
	if (r->arena->total > r->limits->memory)
		return sieve_exceed(r, c, "memory");
	if (r->work >= r->check_at) {
		r->check_at = r->work + CHECK_WORK;
		if (clock_thread_us() - r->start_us > (uint64_t)r->limits->cpu_ms * 1000)
			return sieve_exceed(r, c, "processor time");
	}
	return !r->result->error;
}

/* ---- actions -------------------------------------------------------------------------------------------- */

const char *
sieve_act_name(enum sieve_act a)
{
	static const char *const names[SIEVE_ACTS] = { [SIEVE_KEEP] = "keep",
		[SIEVE_FILEINTO] = "fileinto",
		[SIEVE_REDIRECT] = "redirect",
		[SIEVE_DISCARD] = "discard",
		[SIEVE_REJECT] = "reject",
		[SIEVE_EREJECT] = "ereject",
		[SIEVE_VACATION] = "vacation",
		[SIEVE_NOTIFY] = "notify",
		[SIEVE_DUPLICATE] = "duplicate",
		[SIEVE_PIPE] = "pipe" };

	return names[a];
}

static struct sieve_action *
act_append(struct sieve_run *r, const struct sieve_call *c, enum sieve_act kind)
{
	struct sieve_action *a = arena_new(r->arena, sizeof(*a));

	a->kind = kind;
	a->script = c->script;
	a->line = c->line;
	a->column = c->column;
	if (r->own.p && !r->result->error)
		a->body = slice_from(r->own, r->own_header.n);
	*r->last = a;
	r->last = &a->next;
	r->result->nactions++;
	return a;
}

struct sieve_action *
sieve_act(struct sieve_run *r, const struct sieve_call *c, enum sieve_act kind)
{
	struct sieve_action *a;

	if (r->result->nactions >= r->limits->actions) {
		sieve_exceed(r, c, "actions");
		return NULL;
	}
	a = act_append(r, c, kind);
	a->header = sieve_message_header(r);
	return a;
}

void
sieve_cancel_keep(struct sieve_run *r)
{
	r->keep = false;
}

/* What is done at the end: the implicit keep, unless an action has cancelled it; of a run that
 * has failed nothing else. */
void
sieve_run_end_actions(struct sieve_run *r)
{
	static const struct sieve_call nowhere = { .script = "" };
	struct sieve_action *a;
	struct slice header = { 0 };

	if (!r->result->error && r->keep)
		header = sieve_message_header(r); /* which may be what is too much */
	if (r->result->error) {
		r->result->actions = NULL;
		r->result->nactions = 0;
		r->last = &r->result->actions;
	} else if (!r->keep) {
		return;
	}
	a = act_append(r, &nowhere, SIEVE_KEEP);
	a->implicit = true;
	if (r->result->error)
		return;
	a->header = header;
	sieve_flags_internal(r, a);
}

/* ---- the loop --------------------------------------------------------------------------------------------- */

bool
sieve_return(struct sieve_run *r)
{
	struct sieve_frame *f;

	if (r->nframes == 0) {
		r->stopped = true;
		return true;
	}
	f = &r->frames[--r->nframes];
	r->pc = f->back;
	r->nloops = f->loops;
	r->nmatches = f->nmatches;
	if (f->nmatches)
		memcpy(r->matches, f->matches, f->nmatches * sizeof(*f->matches));
	return true;
}

static void
trace_step(struct sieve_run *r, const struct sieve_call *c, bool yes)
{
	struct sieve_trace t = { .script = c->script,
		.name = c->word->name,
		.line = c->line,
		.column = c->column,
		.test = c->word->kind == SIEVE_TEST,
		.yes = yes,
		.text = r->note };

	if (c->line)
		r->host->trace(r->host->arg, &t);
}

bool
sieve_run_step(struct sieve_run *r)
{
	const struct sieve_call *c = &r->program->steps[r->at = r->pc];
	bool yes;

	if (!sieve_spend(r, c, 1))
		return false;
	r->pc = c->yes;
	r->note = (struct slice){ 0 };
	yes = c->word->run(r, c);
	if (!yes && c->word->kind == SIEVE_TEST)
		r->pc = c->no;
	if (r->host->trace)
		trace_step(r, c, yes);
	return !r->stopped;
}

void
sieve_run_begin(struct sieve_run *r, const struct sieve_program *p, const struct sieve_host *h,
    struct sieve_result *result)
{
	*r = (struct sieve_run){ .program = p,
		.host = h,
		.limits = p->limits,
		.result = result,
		.last = &result->actions,
		.arena = &result->arena,
		.keep = true };
	r->value_form.cap = r->key_form.cap = r->limits->memory;
	r->start_us = clock_thread_us();
	r->check_at = CHECK_WORK;
	if (p->nvariables > SIEVE_GLOBALS || p->globals)
		r->variables = arena_array(r->arena, p->nvariables, sizeof(*r->variables));
	if (h->nflags) {
		r->flags = arena_array(r->arena, h->nflags, sizeof(*r->flags));
		for (; r->nflags < h->nflags; r->nflags++)
			r->flags[r->nflags] = arena_slice(r->arena, h->flags[r->nflags]);
	}
}

static void
scratch_free(struct sieve_run *r)
{
	buf_fini(&r->value_form);
	buf_fini(&r->key_form);
	buf_fini(&r->piece);
	sieve_regex_data_free(&r->regex_data);
}

void
sieve_run_end(struct sieve_run *r)
{
	sieve_run_end_actions(r);
	r->result->work = r->work;
	r->result->cpu_us = clock_thread_us() - r->start_us;
	r->result->memory = r->arena->total;
	scratch_free(r);
}

void
sieve_run(const struct sieve_program *p, const struct sieve_host *h, struct sieve_result *result)
{
	struct sieve_run r;

	sieve_run_begin(&r, p, h, result);
	while (sieve_run_step(&r))
		;
	sieve_run_end(&r);
	sieve_result_settle(result);
}

void
sieve_result_fini(struct sieve_result *result)
{
	arena_reset(&result->arena);
	*result = (struct sieve_result){ 0 };
}

/* ---- step by step ---------------------------------------------------------------------------------------- */

struct sieve_run *
sieve_run_new(const struct sieve_program *p, const struct sieve_host *h,
    struct sieve_result *result)
{
	struct sieve_run *r = mem_new(sizeof(*r));

	sieve_run_begin(r, p, h, result);
	return r;
}

void
sieve_run_resume(struct sieve_run *r, uint32_t step)
{
	r->result->error = NULL;
	r->stopped = false;
	r->pc = step;
	r->nframes = r->nloops = 0;
	r->work = 0;
	r->check_at = CHECK_WORK;
	r->start_us = clock_thread_us();
}

void
sieve_run_message(struct sieve_run *r)
{
	r->message = NULL;
	r->reads = 0;
}

void
sieve_run_forget(struct sieve_run *r)
{
	r->result->actions = NULL;
	r->result->nactions = 0;
	r->last = &r->result->actions;
	r->redirects = 0;
	r->keep = true;
}

void
sieve_run_free(struct sieve_run **pp)
{
	struct sieve_run *r = *pp;

	if (!r)
		return;
	scratch_free(r);
	mem_free(pp);
}
