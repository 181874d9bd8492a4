/* scripts.c: the scripts of a message's channels, run: see scripts.h.
 *
 *	which -> what is held is theirs -> a thread: the source's, then each destination's, of the header that the source's
 *	has made -> scripts-apply.c
 *
 * Owned by the session, or by the thread once that has gone.  Can fail: a script, then it has done nothing, and the log
 * says so; and our disk, which fails the message for now.  Bounds: SCRIPTS_MOST channels of a message, the engine's own of
 * each run.  Must stay true: what was held is the session's again when `done` is called. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "mail/date.h"
#include "mail/header.h"
#include "net/work.h"
#include "rules/rules.h"
#include "scripts-impl.h"
#include "stage.h"

#define PIECE (256 * 1024)

const char *const script_sides[] = { "sourcefilter", "destinationfilter" };

/* ---- which ------------------------------------------------------------------------------------------------- */

bool
scripts_wanted(const struct session *s)
{
	const char *last = NULL;

	if (scripts_of(SCRIPT_SOURCE, relay_message_source(s)))
		return true;
	for (size_t i = 0; i < s->nrcpts; i++) {
		if (last && strcmp(last, s->rcpts[i].channel) == 0)
			continue;
		last = s->rcpts[i].channel;
		if (scripts_of(SCRIPT_GOES, last))
			return true;
	}
	return false;
}

/* NULL: all recipients. */
static void
scripts_add(struct scripts *x, struct channel_script *script, const char *channel)
{
	const struct session *s = x->session;
	struct scripts_run *run = &x->runs[x->n];

	if (!script)
		return;
	if (x->n == SCRIPTS_MOST) {
		log_event(LOG_WARN, "channel_script_error",
		    "sid=%s qid=%s channel=%s script=%s text=%s", s->sid, s->qid, script->channel,
		    script_sides[script->side], log_str("the message has too many channels"));
		return;
	}
	*run = (struct scripts_run){ .script = script,
		.to = arena_array(&x->arena, s->nrcpts + 1, sizeof(*run->to)) };
	for (size_t i = 0; i < s->nrcpts; i++)
		if (!s->more[i].gone && (!channel || strcmp(channel, s->rcpts[i].channel) == 0))
			run->to[run->nto++] = arena_slice(&x->arena, slice_str(s->rcpts[i].addr));
	if (run->nto == 0)
		return;
	script->refs++;
	x->n++;
}

static void
scripts_choose(struct scripts *x)
{
	const struct session *s = x->session;

	scripts_add(x, scripts_of(SCRIPT_SOURCE, relay_message_source(s)), NULL);
	for (size_t i = 0; i < s->nrcpts; i++) {
		const char *channel = s->rcpts[i].channel;
		bool seen = false;

		for (size_t k = 0; k < x->n; k++)
			seen |= x->runs[k].script->side == SCRIPT_GOES &&
			    strcmp(x->runs[k].script->channel, channel) == 0;
		if (!seen && (i == 0 || strcmp(channel, s->rcpts[i - 1].channel) != 0))
			scripts_add(x, scripts_of(SCRIPT_GOES, channel), channel);
	}
}

/* ---- its life -------------------------------------------------------------------------------------------------- */

static void
scripts_free(struct scripts *x)
{
	must(!x->running);
	for (size_t i = 0; i < x->n; i++)
		scripts_unref(&x->runs[i].script);
	mapped_close(&x->map);
	held_fini(&x->whole);
	held_fini(&x->body);
	arena_wipe(&x->arena);
	x->magic = 0;
	mem_release(x);
}

void
scripts_stop(struct scripts **xp)
{
	struct scripts *x = *xp;

	*xp = NULL;
	if (x && x->running)
		x->session = NULL; /* scripts_drop frees it */
	else if (x)
		scripts_free(x);
}

/* ---- on a thread ---------------------------------------------------------------------------------------------- */

struct scripts_arg {
	struct scripts *x;
	const struct scripts_run *run;
};

/* The message as the next script sees it, in one piece. */
static int
scripts_whole(void *arg, struct slice *all)
{
	struct scripts *x = ((struct scripts_arg *)arg)->x;
	struct buf piece = { 0 };
	uint64_t at = 0;
	int e;

	mapped_close(&x->map);
	held_fini(&x->whole);
	held_init(&x->whole);
	e = held_add(&x->whole, x->header);
	while (e == 0 && at < x->body.size) {
		buf_clear(&piece);
		e = held_read(&x->body, at, PIECE, &piece);
		if (e == 0 && (piece.n == 0 || work_stopped()))
			e = -EIO;
		at += piece.n;
		if (e == 0)
			e = held_add(&x->whole, buf_get(&piece));
	}
	buf_fini(&piece);
	*all = buf_get(&x->whole.memory);
	if (e == 0 && x->whole.fd >= 0) {
		e = mapped_open(&x->map, x->whole.fd, (size_t)x->whole.size);
		*all = slice(x->map.p, x->map.n);
	}
	return e;
}

static bool
scripts_envelope(void *arg, enum sieve_envelope part, size_t i, struct slice *value)
{
	const struct scripts_arg *a = arg;

	if (part == SIEVE_FROM && i == 0)
		*value = a->x->sender;
	else if (part == SIEVE_TO && i < a->run->nto)
		*value = a->run->to[i];
	else
		return false;
	return true;
}

static void
scripts_result(struct scripts *x, const struct sieve_result *result, struct scripts_outcome *o)
{
	o->redirects = arena_array(&x->arena, result->nactions + 1, sizeof(*o->redirects));
	for (const struct sieve_action *a = result->actions; a; a = a->next) {
		if (a->kind == SIEVE_KEEP || a->kind == SIEVE_FILEINTO)
			o->keeps = true;
		if (a->kind == SIEVE_FILEINTO)
			o->folder = arena_slice(&x->arena, a->where);
		if (a->kind == SIEVE_REDIRECT)
			o->redirects[o->nredirects++] = arena_slice(&x->arena, a->where);
		if (a->kind == SIEVE_REJECT || a->kind == SIEVE_EREJECT) {
			o->refused = true;
			o->text = arena_slice(&x->arena, a->text);
		}
		if (a->header.n)
			o->header = arena_slice(&x->arena, a->header);
	}
}

static void
scripts_one(struct scripts *x, struct scripts_run *run)
{
	struct scripts_arg arg = { x, run };
	struct sieve_result result = { 0 };
	struct buf why = { 0 };
	struct sieve_host host = { .header = x->header,
		.size = x->header.n + x->body.size,
		.message = scripts_whole,
		.envelope = scripts_envelope,
		.spam = -1,
		.now = x->now,
		.zone = date_local_zone(x->now),
		.arg = &arg };

	sieve_run(run->script->program, &host, &result);
	if (result.error) {
		sieve_error_write(&why, result.error);
		run->outcome = (struct scripts_outcome){ .failed = true,
			.keeps = true,
			.text = arena_slice(&x->arena, buf_get(&why)) };
	} else {
		scripts_result(x, &result, &run->outcome);
	}
	if (mapped_cut(&x->map)) /* our disk has lost some of it */
		run->outcome = (struct scripts_outcome){ .failed = true,
			.keeps = true,
			.text = S("the message cannot be read") };
	if (run->script->side == SCRIPT_SOURCE && run->outcome.header.n)
		x->header = run->outcome.header;
	sieve_result_fini(&result);
	buf_fini(&why);
}

static void
scripts_on_thread(void *arg)
{
	struct scripts *x = arg;

	for (size_t i = 0; i < x->n && !work_stopped(); i++) {
		const struct scripts_outcome *o = &x->runs[i].outcome;

		scripts_one(x, &x->runs[i]);
		x->ran = i + 1;
		if (o->refused || (x->runs[i].script->side == SCRIPT_SOURCE && !o->keeps))
			break; /* there is nothing left for the others */
	}
}

static void
scripts_drop(void *arg)
{
	struct scripts *x = CAST(arg, struct scripts, SCRIPTS_MAGIC);

	x->running = false;
	scripts_free(x);
}

static void
scripts_ran(void *arg)
{
	struct scripts *x = CAST(arg, struct scripts, SCRIPTS_MAGIC);

	x->running = false;
	x->session->filters->body = x->body;
	held_init(&x->body);
	scripts_apply(x);
}

/* ---- for the session -------------------------------------------------------------------------------------------- */

void
scripts_ask(struct session *s, void (*done)(struct session *s, const struct verdict *no))
{
	struct filters *f = s->filters;
	struct buf b = { 0 }, below = { 0 };
	struct scripts *x;

	if (!scripts_wanted(s)) {
		done(s, NULL);
		return;
	}
	x = mem_new(sizeof(*x));
	x->magic = SCRIPTS_MAGIC;
	x->session = s;
	x->done = done;
	x->now = clock_now();
	x->had = s->nrcpts;
	held_init(&x->whole);
	s->message->scripts = x;
	scripts_choose(x);
	milter_header_write(&f->header, &b, &below);
	buf_slice(&b, buf_get(&below));
	buf_lit(&b, "\r\n");
	x->header = arena_slice(&x->arena, buf_get(&b));
	buf_clear(&b);
	address_write(&b, &s->from);
	x->sender = arena_slice(&x->arena, buf_get(&b));
	buf_fini(&b);
	buf_fini(&below);
	x->body = f->body;
	held_init(&f->body);
	x->running = true;
	work_start_for(daemon_loop(), &s->op, slice_hash(x->sender) | 1, scripts_on_thread,
	    scripts_ran, scripts_drop, x);
}

struct slice
scripts_header(const struct session *s, unsigned body)
{
	return body ? s->bodies[body - 1].header : (struct slice){ NULL, 0 };
}
