/* job-run.c: a job that waits is taken, done and ended.
 *
 * Called by cmd/admind, which looks for one now and then, and by `job run`.  Owns the job while it holds it.  Can fail
 * as its steps do: what the directory's being away has stopped is left, and begun again when our time is over; what
 * is refused ends it, with the words.  Must stay true: it is done as who has made its entry, while that person is
 * the one who was there then and may log in; what that person may do is slapd's to say, step by step, so a role that
 * was taken away ends the job. */
#include <stdio.h>

#include "admin/config.h"
#include "admin/job-impl.h"
#include "admin/job.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "json/json.h"

#define LOOK_MOST 50 /* jobs of a look */
#define TRIES     5  /* of a verb that somebody else's change has stopped */

static const char *const run_all[] = { "*", "creatorsName", "entryCSN", NULL };

struct run {
	struct admin_journal j;
	struct admin a; /* as the person */
	struct admin_call call, notes;
	struct arena keep; /* what is needed until the end */
	const struct job_kind *kind;
	struct json_t *v; /* of the call */
	char *as;
	struct slice names[4];
	size_t nnames;
	size_t failed;
	bool again;
};

/* ---- taking and ending ------------------------------------------------------------------------------------------ */

/* Who reads it as it is now and writes first has it. */
static bool
run_take(struct run *r)
{
	struct admin_changes c = { 0 };
	struct buf csn = { 0 };
	bool good;

	dir_filter_equal(&csn, "entryCSN", admin_value(r->j.job, "entryCSN"), S(""));
	admin_set(&r->a, &c, DIR_REPLACE, "tiermailJobState", S("running"));
	admin_set(&r->a, &c, DIR_REPLACE, "tiermailJobHolder", slice_str(r->j.holder));
	admin_set(&r->a, &c, DIR_REPLACE, "tiermailJobUntil",
	    slice_str(admin_job_time(&r->a.memory, admin_conf.job_lease)));
	good = admin_note(&r->a, r->j.job->dn.p, buf_cstr(&csn), &c);
	buf_fini(&csn);
	return good;
}

static void
run_record(void *arg, const struct admin_record *rec)
{
	struct run *r = arg;

	if (strcmp(rec->kind, "note") == 0)
		admin_journal_line(&r->j, 0, admin_record_get(rec, "name"), "note",
		    admin_record_get(rec, "text"));
}

static bool
run_read(struct run *r)
{
	static const struct json_bounds bounds = { 65536, 4, 100 };
	struct slice verb = admin_value(r->j.job, "tiermailJobVerb"), object = verb;
	const struct json_t *names;
	const char *why;
	uint64_t n;

	(void)slice_cut(&verb, ' ', &object);
	r->kind = admin_job_kind(object, verb);
	if (!r->kind ||
	    json_read(admin_value(r->j.job, "tiermailJobCall"), &bounds, &r->v, &why) < 0)
		return false;
	names = json_find(r->v, S("names"));
	for (; r->nnames < json_count(names) && r->nnames < NELEM(r->names); r->nnames++)
		r->names[r->nnames] = json_text(json_at(names, r->nnames));
	if (slice_u64(admin_value(r->j.job, "tiermailJobTotal"), INT64_MAX, &n) == 0)
		r->j.total = n;
	if (slice_u64(admin_value(r->j.job, "tiermailJobDone"), INT64_MAX, &n) == 0)
		r->j.done = n;
	return true;
}

/* ---- doing -------------------------------------------------------------------------------------------------------- */

/* It was begun before (by who died, or who was to stop behind its last step), and what it is about cannot be found:
 * because it was done? */
static bool
run_was_done(struct run *r)
{
	static const char *const attrs[] = { "mail", NULL };
	struct admin_problem problem = { .status = ADMIN_OK, .code = "" };
	struct slice id = json_text(json_find(r->v, S("id"))), mail;
	struct admin *a = &r->a;
	struct buf filter = { 0 };
	struct admin_org org;
	bool good;

	if ((!r->again && !r->j.done) || !r->kind->gone)
		return false;
	a->own = true;
	a->problem = &problem;
	dir_filter_equal(&filter, "entryUUID", id, S(""));
	if (strcmp(r->kind->object, "org") == 0) {
		good = !admin_find_org(a, r->names[0], &org) && problem.status == ADMIN_NOT_FOUND;
	} else {
		good =
		    id.n && admin_search(a, admin_base(), DIR_SCOPE_SUB, buf_cstr(&filter), attrs);
		mail = good && a->out.n ?
		    arena_slice(&a->memory, admin_value(&a->out.entries[0], "mail")) :
		    S("");
		good = good &&
		    (strcmp(r->kind->verb, "purge") == 0 ?
			    !mail.n && !a->out.n :
			    mail.n && admin_find_org(a, r->names[1], &org) &&
				slice_ieq(slice_from(mail, slice_rfind(mail, '@') + 1),
				    org.domain));
	}
	buf_fini(&filter);
	a->own = false;
	a->problem = &r->j.problem;
	return good;
}

static void
run_verb(struct run *r)
{
	const struct admin_verb *v =
	    admin_verb_find(slice_str(r->kind->object), slice_str(r->kind->verb));
	struct admin_problem problem = { .status = ADMIN_OK, .code = "" };

	for (int i = 0; i < TRIES; i++) {
		admin_run(r->a.loop, r->a.agent, v, &r->call, &problem);
		if (problem.status != ADMIN_CHANGED || r->j.stop != JOB_GO)
			break;
		r->again = true;
	}
	if (r->j.stop == JOB_GO && problem.status == ADMIN_NOT_FOUND && run_was_done(r))
		problem.status = ADMIN_OK;
	r->j.problem = problem;
}

static void
run_end(struct run *r)
{
	struct admin_problem was = r->j.problem;
	char text[64] = "";

	r->j.problem.status = ADMIN_OK;
	if (r->failed)
		snprintf(text, sizeof(text), "%zu rows have failed", r->failed);
	if (r->j.stop == JOB_PAUSE)
		(void)admin_journal_end(&r->j, "paused", NULL);
	else if (r->j.stop == JOB_CANCEL)
		(void)admin_journal_end(&r->j, "cancelled", r->j.why);
	else if (r->j.stop == JOB_OVER)
		(void)admin_journal_end(&r->j, "failed", r->j.why);
	else if (r->j.stop == JOB_LEAVE)
		(void)admin_journal_end(&r->j, "waiting", NULL);
	else if (r->j.stop == JOB_LOST || was.status == ADMIN_AWAY || was.status == ADMIN_UNKNOWN)
		return; /* whoever finds it when our time is over goes on */
	else if (was.status == ADMIN_OK)
		(void)admin_journal_end(&r->j, "done", text);
	else
		(void)admin_journal_end(&r->j, "failed", was.text);
}

static void
run_do(struct run *r)
{
	bool update = false;

	r->call = (struct admin_call){ .names = r->names,
		.nnames = r->nnames,
		.who = r->notes.who,
		.from = r->notes.from,
		.as = r->as,
		.record = run_record,
		.arg = r,
		.journal = &r->j };
	(void)json_get_bool(json_find(r->v, S("update")), &update);
	if (!admin_journal_note(&r->j))
		; /* it is wanted otherwise before it has begun */
	else if (r->kind->place == JOB_IMPORT)
		(void)admin_job_items(&r->j, &r->call, update, &r->failed);
	else
		run_verb(r);
}

/* How many parts it has: the report goes on behind them. */
static void
run_parts(struct run *r)
{
	size_t n = 0;

	if (r->kind->place != JOB_IMPORT &&
	    admin_count(&r->a, r->j.job->dn.p, "(objectClass=tiermailJobPart)", &n))
		r->j.parts = (unsigned)n;
}

static void
run_tell(const struct run *r, const char *state, struct admin_job_told *told)
{
	slice_cstr(admin_value(r->j.job, "cn"), told->id, sizeof(told->id));
	slice_cstr(admin_value(r->j.job, "tiermailJobVerb"), told->verb, sizeof(told->verb));
	snprintf(told->who, sizeof(told->who), "%s", r->notes.who);
	snprintf(told->state, sizeof(told->state), "%s", state);
	told->done = r->j.done;
	told->again = r->again;
}

static const char *
run_state(const struct run *r)
{
	return r->j.stop == JOB_PAUSE ? "paused" :
	    r->j.stop == JOB_CANCEL   ? "cancelled" :
	    r->j.stop == JOB_OVER     ? "failed" :
	    r->j.stop == JOB_LOST || r->j.stop == JOB_LEAVE || r->j.problem.status == ADMIN_AWAY ||
		r->j.problem.status == ADMIN_UNKNOWN ?
				    "left" :
	    r->j.problem.status == ADMIN_OK ? "done" :
					      "failed";
}

/* `own`: the agent's account.  False: somebody else has it. */
static bool
run_job(struct admin *own, const struct dir_entry *job, const char *holder, const bool *stop,
    struct admin_job_told *told)
{
	struct run *r = mem_new(sizeof(*r));
	struct slice creator = admin_value(job, "creatorsName");
	bool making = slice_eq(admin_value(job, "tiermailJobState"), S("making")), taken;
	const char *wrong = NULL;

	r->as = admin_job_is_persons(job) ? mem_printf("dn:" SFMT, SARG(creator)) : NULL;
	r->j.holder = holder;
	r->j.leave = stop;
	r->j.job = job;
	r->j.a = &r->a;
	r->j.own = own;
	r->again = r->j.again = slice_eq(admin_value(job, "tiermailJobState"), S("running"));
	r->notes = (struct admin_call){ .as = r->as,
		.who = arena_cstr(&r->keep, admin_dn_name(&r->keep, creator)),
		.from = arena_printf(&r->keep, "job " SFMT, SARG(admin_value(job, "cn"))) };
	r->a = (struct admin){ .loop = own->loop,
		.agent = own->agent,
		.verb = own->verb,
		.call = &r->notes,
		.problem = &r->j.problem,
		.fiber = fiber_self() };
	if (r->as)
		wrong = admin_job_person(own, job);
	taken = (!wrong || *wrong) && run_take(r);
	if (taken && making) { /* resumed, it would be done in part */
		r->j.stop = JOB_CANCEL;
		r->j.why = "its rows were not kept whole: begin it anew";
	} else if (taken && (wrong || !run_read(r))) {
		r->j.problem = (struct admin_problem){ ADMIN_FAILED, "job", "" };
		snprintf(r->j.problem.text, sizeof(r->j.problem.text), "%s",
		    wrong ? wrong : "it is none that can be done");
	} else if (taken) {
		run_parts(r);
		run_do(r);
	}
	if (taken) {
		run_tell(r, run_state(r), told);
		run_end(r);
	}
	admin_journal_fini(&r->j);
	json_free(&r->v);
	mem_free(&r->as);
	arena_reset(&r->a.memory);
	arena_reset(&r->a.telling);
	arena_reset(&r->keep);
	mem_free(&r);
	return taken;
}

/* ---- looking ---------------------------------------------------------------------------------------------------- */

/* One of a person at a time, else who makes many has all the places: the next one follows when it is over. */
struct look {
	const struct dir_entry *v[LOOK_MOST];
	size_t n;
	struct map busy; /* people, by the DN */
};

static bool
look_busy(struct admin *a, const struct dir_entry *e, void *arg)
{
	struct look *l = arg;

	(void)map_put(&l->busy, arena_slice(&a->memory, admin_value(e, "creatorsName")), l);
	return true;
}

static bool
look_one(struct admin *a, const struct dir_entry *e, void *arg)
{
	struct look *l = arg;
	struct slice who = admin_value(e, "creatorsName");
	bool wished =
	    admin_value(e, "tiermailJobWish").n > 0; /* it is to end, which is soon done */

	if (!admin_job_is_persons(e) || (!wished && map_get(&l->busy, who)))
		return true;
	l->v[l->n++] = admin_entry_copy(a, e);
	if (!wished)
		(void)map_put(&l->busy, admin_value(l->v[l->n - 1], "creatorsName"), l);
	return l->n < LOOK_MOST;
}

static bool
look_all(struct admin *a, struct look *l)
{
	static const char *const who[] = { "creatorsName", NULL };
	const char *now = admin_job_time(&a->memory, 0);

	return admin_each(a, admin_job_base(a), DIR_SCOPE_ONE,
		   arena_printf(&a->memory,
		       "(&(objectClass=tiermailJob)(tiermailJobState=running)(!("
		       "tiermailJobUntil<=%s)))",
		       now),
		   who, look_busy, l) &&
	    admin_each(a, admin_job_base(a), DIR_SCOPE_ONE,
		arena_printf(&a->memory,
		    "(&(objectClass=tiermailJob)(|(tiermailJobState=waiting)(&(|(tiermailJobState="
		    "running)(tiermailJobState=making))(tiermailJobUntil<=%s))(&(tiermailJobState="
		    "paused)(tiermailJobWish=cancel))))",
		    now),
		run_all, look_one, l);
}

bool
admin_job_next(struct loop *l, struct dir_agent *agent, const char *holder, const bool *stop,
    struct admin_job_told *told, struct admin_problem *problem)
{
	static const struct admin_verb nothing = { .object = "job", .verb = "run" };
	static const struct admin_call call = { .who = "", .from = "" };
	struct admin a = { .loop = l,
		.agent = agent,
		.verb = &nothing,
		.call = &call,
		.problem = problem,
		.fiber = fiber_self() };
	struct look found = { .n = 0 };
	bool some = false;

	*problem = (struct admin_problem){ .status = ADMIN_OK, .code = "", .text = "" };
	if (look_all(&a, &found))
		for (size_t i = 0; i < found.n && !some; i++)
			some = run_job(&a, found.v[i], holder, stop, told);
	map_fini(&found.busy);
	arena_reset(&a.memory);
	arena_reset(&a.telling);
	return some;
}

/* One's own, here and now: root's, which no admind may do, or any where there is no admind. */
bool
admin_job_run(struct admin *a)
{
	struct admin_job_told told = { .state = "" };
	const struct dir_entry *e;
	const char *holder;

	if (!admin_job_find(a, admin_name(a, 0), &e))
		return false;
	if (a->call->as &&
	    !slice_ieq(admin_value(e, "creatorsName"), slice_str(a->call->as + strlen("dn:"))))
		return admin_fail(a, ADMIN_DENIED, "not-yours", SFMT ": the job is another's",
		    SARG(admin_name(a, 0)));
	holder =
	    arena_printf(&a->memory, "%s %llu", a->call->who, (unsigned long long)clock_mono_us());
	if (slice_eq(admin_value(e, "tiermailJobState"), S("running")) &&
	    slice_cmp(admin_value(e, "tiermailJobUntil"),
		slice_str(admin_job_time(&a->memory, 0))) > 0)
		return admin_fail(a, ADMIN_CHANGED, "job-held", SFMT ": somebody is at it: " SFMT,
		    SARG(admin_name(a, 0)), SARG(admin_value(e, "tiermailJobHolder")));
	if (!slice_eq(admin_value(e, "tiermailJobState"), S("running")) &&
	    !slice_eq(admin_value(e, "tiermailJobState"), S("waiting")))
		return admin_fail(a, ADMIN_BAD, "job-state", SFMT ": the job is " SFMT,
		    SARG(admin_name(a, 0)), SARG(admin_value(e, "tiermailJobState")));
	if (!run_job(a, e, holder, NULL, &told))
		return admin_fail(a, ADMIN_DENIED, "job-held",
		    SFMT ": it is another's, or somebody else has it now", SARG(admin_name(a, 0)));
	admin_say(a, "note", admin_name(a, 0), "%s, %llu done", told.state,
	    (unsigned long long)told.done);
	return true;
}
