/* run.c: a person's scripts on the message, on a thread of the pool.
 *
 * Scripts belong to strangers, and may take all the time that their bounds give them: so they never run
 * on the loop, and each is his person's share of the pool.  The thread touches the filter alone: programs
 * are constant, the message does not change, and what is made lies in the person's results.  Several
 * scripts are one behind the other (tiermail-sieve(7)): the next one runs while the implicit keep is in
 * effect, on the message as the one before has left it. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "filter.h"
#include "mail/date.h"
#include "mail/header.h"
#include "net/work.h"
#include "spam.h"

/* The one that runs on this thread: the filter, and whose scripts. */
struct running {
	struct filter *f;
	struct person *p;
	struct slice header; /* as it is now */
	struct slice body;   /* as a filter has made it; p NULL: as it came */
};

/* ---- what a script asks ------------------------------------------------------------------ */

static int
run_message(void *arg, struct slice *all)
{
	struct running *r = arg;

	*all = r->f->message;
	if (r->header.p == r->f->header.p && !r->body.p)
		return 0;
	if (r->p->whole_header.p != r->header.p) {
		buf_clear(&r->p->whole);
		buf_slice(&r->p->whole, r->header);
		buf_slice(&r->p->whole,
		    r->body.p ? r->body : slice_from(r->f->message, r->f->header.n));
		r->p->whole_header = r->header;
	}
	*all = buf_get(&r->p->whole);
	return 0;
}

static bool
run_notify(unsigned notify, struct slice *value)
{
	static const char *const words[16] = { [SMTP_NOTIFY_NEVER] = "NEVER",
		[SMTP_NOTIFY_SUCCESS] = "SUCCESS",
		[SMTP_NOTIFY_FAILURE] = "FAILURE",
		[SMTP_NOTIFY_DELAY] = "DELAY" };

	*value = slice_str(words[notify & 15]);
	return notify && value->p;
}

/* RFC 6009 3: notify has a value for each condition. */
static bool
run_envelope(void *arg, enum sieve_envelope part, size_t i, struct slice *value)
{
	const struct running *r = arg;

	if (part == SIEVE_NOTIFY_DSN) {
		for (unsigned bit = 1; bit < 16; bit <<= 1)
			if (r->p->notify & bit && i-- == 0)
				return run_notify(bit, value);
		return false;
	}
	*value = part == SIEVE_FROM    ? r->f->sender :
	    part == SIEVE_TO           ? r->p->to :
	    part == SIEVE_ORCPT        ? r->p->orcpt :
	    part == SIEVE_ENVID        ? r->f->envid :
	    r->f->ret == SMTP_RET_FULL ? S("FULL") :
	    r->f->ret == SMTP_RET_HDRS ? S("HDRS") :
					 (struct slice){ 0 };
	return i == 0 && value->p;
}

/* RFC 5183 4.1: what is true of every delivery here; and of this one, as Pigeonhole names it. */
static bool
run_environment(void *arg, struct slice name, struct slice *value)
{
	const struct running *r = arg;
	const struct {
		const char *name;
		struct slice value;
	} items[] = { { "domain", slice_str(shared.default_domain) },
		{ "host", slice_str(shared.hostname) }, { "vnd.dovecot.username", r->p->account },
		{ "vnd.dovecot.default-mailbox", r->p->folder.n ? r->p->folder : S("INBOX") } };

	if (event_environment(r->p->event, name, value))
		return true;
	for (size_t i = 0; i < NELEM(items); i++)
		if (slice_ieq(name, slice_str(items[i].name)) && items[i].value.n) {
			*value = items[i].value;
			return true;
		}
	return false;
}

static enum sieve_yes
run_mailbox(void *arg, enum sieve_mailbox_by by, struct slice what, struct slice in)
{
	const struct running *r = arg;

	return ask_mailbox(r->f, r->p, by, what, in);
}

static enum sieve_yes
run_ext_list(void *arg, struct slice list, struct slice value)
{
	const struct running *r = arg;

	return ask_list(r->f, r->p, list, value);
}

static bool
run_program(void *arg, struct slice name)
{
	(void)arg;
	for (char **p = lconf.programs; p && *p; p++)
		if (slice_eq(name, slice_str(*p)))
			return true;
	return false;
}

static int
run_execute(void *arg, const struct sieve_execute *x, struct buf *out)
{
	const struct running *r = arg;

	return filter_execute(r->f, r->p, x, out);
}

static enum sieve_yes
run_duplicate(void *arg, struct slice handle, struct slice id)
{
	const struct running *r = arg;

	return ask_duplicate(r->f, r->p, handle, id);
}

/* ---- on the thread ----------------------------------------------------------------------- */

static const struct sieve_action *
run_implicit_keep(const struct sieve_result *result)
{
	const struct sieve_action *a = result->actions;

	while (a && !a->implicit)
		a = a->next;
	return a;
}

static void
run_on_thread(void *arg)
{
	struct filter *f = arg;
	struct person *p = &f->people[f->at];
	struct running r = { .f = f, .p = p, .header = f->header };
	struct sieve_host host = f->host;

	host.arg = &r;
	p->executing = 0;
	if (p->event) {
		host.event = true;
		host.flags = p->event->flags;
		host.nflags = p->event->nflags;
	}
	for (size_t i = 0; i < p->n && !work_stopped(); i++) {
		const struct sieve_action *keep;

		p->ran = i + 1;
		if (!p->programs[i] && !p->errors[i]) {
			p->programs[i] = script_program(p->scripts[i], &p->errors[i]);
			p->ours[i] = true;
		}
		if (!p->programs[i])
			continue;
		host.header = r.header;
		sieve_run(p->programs[i], &host, &p->results[i]);
		p->cpu_us += p->results[i].cpu_us;
		if (p->wants)
			return;
		keep = run_implicit_keep(&p->results[i]);
		if (!keep)
			return;
		if (keep->header.n)
			r.header = keep->header;
		if (keep->body.p)
			r.body = keep->body;
		if (r.body.p)
			host.size = r.header.n + r.body.n;
		if (keep->flagged) {
			host.flags = keep->flags;
			host.nflags = keep->nflags;
		}
	}
}

/* ---- on the loop ------------------------------------------------------------------------- */

static void
run_told(const struct filter *f, const struct person *p, size_t i)
{
	const struct sieve_result *result = &p->results[i];
	const struct sieve_error *e = result->error;
	struct buf b = { 0 };

	metric_add(M_SIEVE_RUNS, 1);
	metric_add(M_SIEVE_CPU, (int64_t)result->cpu_us);
	if (!e && p->programs[i]) {
		log_event(LOG_DEBUG, "sieve", "sid=%s user=%s script=%s actions=%zu us=%llu",
		    f->session->sid, log_value(p->account), p->scripts[i]->name, result->nactions,
		    (unsigned long long)result->cpu_us);
		return;
	}
	metric_add(M_SIEVE_ERRORS, 1);
	if (e)
		sieve_error_write(&b, e);
	log_event(LOG_INFO, "sieve", "sid=%s user=%s script=%s us=%llu bound=%d error=%s",
	    f->session->sid, log_value(p->account), p->scripts[i]->name,
	    (unsigned long long)result->cpu_us, e && e->bound,
	    log_str(e ? buf_cstr(&b) : p->errors[i]));
	buf_fini(&b);
}

static void
run_done(void *arg)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	struct person *p = &f->people[f->at];

	f->running = false;
	buf_fini(&p->whole); /* results borrow nothing of it */
	for (size_t i = 0; i < p->ran; i++) {
		if (p->ours[i] && script_made(p->scripts[i], p->programs[i], p->errors[i]))
			p->ours[i] = false;
		if (!p->wants)
			run_told(f, p, i);
	}
	f->over(f);
}

/* The session has gone; nobody waits. */
static void
run_drop(void *arg)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);

	f->running = false;
	filter_free(&f);
}

static uint64_t
run_user(struct slice account)
{
	uint64_t h = slice_hash(account);

	return h == WORK_OWN ? 1 : h;
}

void
filter_run_start(struct filter *f, void (*done)(struct filter *f))
{
	struct person *p = &f->people[f->at];

	f->host = (struct sieve_host){ .message = run_message,
		.envelope = run_envelope,
		.environment = run_environment,
		.mailbox = run_mailbox,
		.duplicate = run_duplicate,
		.list = run_ext_list,
		.program = run_program,
		.execute = run_execute,
		.size = f->message.n,
		.spam = spam_percent(f->header),
		.virus = spam_virus(f->header) };
	f->host.now = clock_now();
	f->host.zone = date_local_zone(f->host.now);
	for (size_t i = 0; i < p->n; i++) {
		sieve_result_fini(&p->results[i]); /* of a run that has asked something */
		if (p->ours[i])
			continue;
		p->programs[i] = p->scripts[i]->program;
		p->errors[i] = p->scripts[i]->error;
	}
	p->whole_header = (struct slice){ 0 };
	f->over = done;
	f->running = true;
	work_start_for(lmtpd.loop, &f->session->op, run_user(p->account), run_on_thread, run_done,
	    run_drop, f);
}

static void
person_fini(struct person *p)
{
	for (size_t i = 0; i < p->n; i++) {
		sieve_result_fini(&p->results[i]);
		if (p->ours[i]) {
			sieve_program_free(&p->programs[i]);
			mem_free(&p->errors[i]);
		}
		script_unref(&p->scripts[i]);
	}
	buf_fini(&p->whole);
}

void
filter_free(struct filter **fp)
{
	struct filter *f = *fp;

	*fp = NULL;
	if (!f)
		return;
	must(!f->running);
	for (size_t i = 0; i < f->n; i++)
		person_fini(&f->people[i]);
	mem_free(&f->people);
	mapped_close(&f->map);
	if (f->body.fd >= 0)
		store_body_put(lmtpd.store, &f->body);
	if (f->scratch.fd >= 0)
		store_body_put(lmtpd.store, &f->scratch);
	buf_fini(&f->bytes);
	buf_fini(&f->cache);
	buf_fini(&f->out);
	arena_reset(&f->arena);
	f->magic = 0;
	mem_free(&f);
}
