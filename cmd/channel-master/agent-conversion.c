/* channel-master/agent-conversion.c: parts of a message converted by programs of the site, one after the other.
 *
 *	its parts -> (a part into a file -> the program, by piped -> a file)* -> onward (onward.h)
 *
 * Owns the files between the lease's beginning and its end.  A program that fails, hangs, is ended or writes too much has
 * the message held, as it came, for an operator to see; one that says "later", or cannot be run, has it tried again; one
 * that says that the message is at fault has it returned, or held where it has no sender.  Must stay true: what goes on is either as it came, because no
 * entry is for it, or has all that was asked for done to it. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "convert.h"
#include "mail/outcome.h"
#include "mta/detour.h"
#include "net/work.h"
#include "programs/programs.h"

#define CONVERSION_MAGIC 0x636f6e76U

struct conversion {
	uint32_t magic;
	struct job *job;
	struct op op;
	struct arena a;
	struct convert convert;
	const char *channel; /* that it goes to */
	size_t at;           /* the step */
	int error;
	int64_t written; /* octets, by the programs until here */
	bool running;    /* a program */
	struct onward onward;
};

static struct conversion *
conversion_work(const struct job *j)
{
	return CAST(j->work, struct conversion, CONVERSION_MAGIC);
}

/* True: it went wrong, and the lease has had its end. */
static bool
conversion_failed(struct conversion *c)
{
	if (c->error == 0)
		return false;
	log_event(LOG_ERROR, "onward_read", "qid=%s error=%s", c->job->r->env.qid,
	    log_str(strerror(-c->error)));
	job_drop(c->job, 60);
	return true;
}

static void
conversion_hold(struct conversion *c, const char *why)
{
	struct job *j = c->job;

	if (queue_set_aside(master.queue, master.channel->name, j->r->name, why) < 0)
		job_drop(j, 60);
	else
		job_end(j, JOB_HELD);
}

/* ---- the end ---------------------------------------------------------------------------------- */

static void
conversion_done(void *arg)
{
	job_settle(CAST(arg, struct conversion, CONVERSION_MAGIC)->job);
}

static void
conversion_compose(void *arg)
{
	struct conversion *c = arg;

	c->error = convert_compose(&c->convert);
}

static void
conversion_composed(void *arg)
{
	struct conversion *c = CAST(arg, struct conversion, CONVERSION_MAGIC);
	struct verdict v = verdict(OUT_DETOUR_CONVERTED);

	if (!conversion_failed(c))
		onward_start(&c->onward, c->job, c->convert.parts, c->convert.nparts, &v,
		    conversion_done, c);
}

/* ---- a step ------------------------------------------------------------------------------------ */

static void conversion_next(struct conversion *c);

/* Its output, with all before it: each alone is bounded by its program's file_size, and there can be a hundred of them. */
static bool
conversion_small(struct conversion *c, const struct convert_step *s)
{
	struct stat st;

	if (fstat(s->out, &st) == 0)
		c->written += st.st_size;
	return c->written <= mconf.conversion_size;
}

static void
conversion_ran(void *arg, const struct programs_result *r)
{
	struct conversion *c = CAST(arg, struct conversion, CONVERSION_MAGIC);
	struct convert_step *s = &c->convert.steps[c->at];

	c->running = false;
	if (r->end == PROGRAMS_DONE && !conversion_small(c, s)) {
		conversion_hold(c, "its converted parts are too large together");
		return;
	}
	(void)close(s->in); /* a hundred of them would be held for as long as the message */
	s->in = -1;
	log_event(r->end == PROGRAMS_DONE ? LOG_INFO : LOG_WARN, "converted",
	    "qid=%s program=%s type=%s verdict=%d.%u.%u text=%s", c->job->r->env.qid,
	    log_value(s->how->command), log_value(s->part->type), (int)r->v.kind, r->v.subject,
	    r->v.detail, log_str(r->v.text));
	if (r->end == PROGRAMS_DONE) {
		c->at++;
		conversion_next(c);
	} else if (r->end == PROGRAMS_FAILED ||
	    (r->end == PROGRAMS_REFUSED && !*c->job->r->env.sender)) {
		conversion_hold(c, r->v.text); /* without a sender nobody would be told */
	} else {
		job_outcome_rest(c->job, &r->v);
		job_settle(c->job);
	}
}

static const char *
conversion_recipient(const struct qenv *e)
{
	for (size_t i = 0; i < e->nrcpt; i++)
		if (e->rcpts[i].state == QSTATE_PENDING)
			return e->rcpts[i].addr;
	return "";
}

static void
conversion_files(void *arg)
{
	struct conversion *c = arg;

	c->error = convert_files(&c->convert, &c->convert.steps[c->at]);
}

static void
conversion_run(void *arg)
{
	struct conversion *c = CAST(arg, struct conversion, CONVERSION_MAGIC);
	const struct convert_step *s = &c->convert.steps[c->at];
	const struct qenv *e = &c->job->r->env;
	struct programs_order o = { .program = s->how->command,
		.sender = slice_str(e->sender),
		.recipient = slice_str(conversion_recipient(e)),
		.qid = slice_str(e->qid),
		.type = s->part->type,
		.subtype = s->part->subtype };

	if (conversion_failed(c))
		return;
	if (!param_find(&s->part->dparams, S("filename"), &o.name))
		(void)param_find(&s->part->params, S("name"), &o.name);
	o.name = slice_sub(o.name, 0, 255);
	o.type = slice_sub(o.type, 0, 127);
	o.subtype = slice_sub(o.subtype, 0, 127);
	c->running = true;
	programs_start(master.loop, &o, s->in, s->out, &c->op, conversion_ran, c);
}

static void
conversion_next(struct conversion *c)
{
	const struct convert *v = &c->convert;

	while (
	    c->at < v->nsteps && (!v->steps[c->at].how->command.n || v->steps[c->at].how->delete))
		c->at++;
	if (c->at < v->nsteps)
		work_start(master.loop, &c->op, conversion_files, conversion_run, conversion_run,
		    c);
	else
		work_start(master.loop, &c->op, conversion_compose, conversion_composed,
		    conversion_composed, c);
}

/* ---- the lease ----------------------------------------------------------------------------------- */

static void
conversion_read(void *arg)
{
	struct conversion *c = arg;

	c->error = convert_open(&c->convert, c->job->r, c->channel);
}

static void
conversion_planned(void *arg)
{
	struct conversion *c = CAST(arg, struct conversion, CONVERSION_MAGIC);

	if (conversion_failed(c))
		return;
	if (c->convert.many)
		conversion_hold(c, "too many parts to be converted");
	else
		conversion_next(c);
}

static void
conversion_start(struct job *j)
{
	struct conversion *c = mem_new(sizeof(*c));
	const char *dest;

	j->work = c;
	j->result.site = JOB_SITE_OK;
	c->magic = CONVERSION_MAGIC;
	c->job = j;
	c->convert.made = -1;
	/* Where it leads nowhere onward.c says so. */
	if (!mta_detour_parse(master.channels, j->dest, &c->a, &c->channel, &dest))
		c->channel = "";
	work_start(master.loop, &c->op, conversion_read, conversion_planned, conversion_planned, c);
}

/* A program that runs is ended, and what it has made is worth nothing. */
static bool
conversion_give_back(struct job *j)
{
	struct conversion *c = conversion_work(j);

	if (!c->running)
		return false;
	op_cancel(&c->op);
	c->running = false;
	return true;
}

static void
conversion_end(struct job *j)
{
	struct conversion *c = conversion_work(j);

	convert_close(&c->convert);
	onward_fini(&c->onward);
	arena_reset(&c->a);
	c->magic = 0;
	mem_free(&c);
}

const struct agent agent_conversion = { .name = "conversion",
	.word = "requeued",
	.action = DSN_RELAYED,
	.pieces = true,
	.start = conversion_start,
	.give_back = conversion_give_back,
	.end = conversion_end };
