/* admind/work.c: a verb that runs for a request, in a fiber.
 *
 *	start -> (the verb waits for the directory) -> over -> answered
 *	             \-> the session has gone: nobody is told, the verb goes on
 *
 * Owns the work, its connection and what it has told so far: an answer of ADMIND_ANSWER_MOST octets at most,
 * for which a list has pages.  Called by route.c.  Can fail as verbs do, which is an answer.  Must stay true:
 * what has been begun is brought to its end, whoever hangs up: half a move of a user helps nobody. */
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "admind.h"

#define ADMIND_ANSWER_MOST (64 * 1024 * 1024)
#define WORK_MAGIC         0x61776f72u

struct admind_work {
	uint32_t magic;
	struct admind_session *session; /* NULL: it has gone */
	struct admind_ask ask;
	struct admin_call call;
	struct admin_problem problem;
	struct admind_agent *agent;
	struct admind_page *page; /* of a list */
	struct admind_turn turn;
	char *account, *as, peer[ADDR_TEXT];
	struct buf out;     /* records, separated by commas */
	struct buf version; /* of the first */
	size_t n, first;    /* records; octets of the first */
	uint64_t began_us;
	bool starting, over;
};

void
admind_ask_fini(struct admind_ask *ask)
{
	mem_free(&ask->settings);
	if (ask->texts.p)
		secret_clear(ask->texts.p, ask->texts.n);
	buf_fini(&ask->texts);
	secret_wipe(&ask->secret);
	mem_free(&ask->version);
	mem_free(&ask->sort);
	mem_free(&ask->what);
}

static void
work_free(struct admind_work *w)
{
	admind_turn_over(&w->turn);
	admind_page_free(&w->page);
	admind_agent_give(&w->agent);
	admind_ask_fini(&w->ask);
	mem_free(&w->account);
	mem_free(&w->as);
	if (w->out.p)
		secret_clear(w->out.p, w->out.n); /* it may have been a password */
	buf_fini(&w->out);
	buf_fini(&w->version);
	w->magic = 0;
	mem_free(&w);
}

/* ---- answering ------------------------------------------------------------------------------------- */

static enum http_next
work_problem(struct admind_work *w)
{
	struct admind_session *s = w->session;
	int status = admin_status_http(w->problem.status);

	if (status == 401) /* our own account was refused: nothing that this person could mend */
		status = 500;
	if (status == 503) {
		http_server_answer(&s->http, 503);
		http_server_field(&s->http, "Retry-After", S("5"));
	}
	return admind_problem(s, (unsigned)status, w->problem.code, w->problem.text);
}

static void
work_etag(struct admind_work *w)
{
	struct buf b = { 0 };

	if (!w->version.n)
		return;
	buf_printf(&b, "\"" SFMT "\"", SARG(buf_get(&w->version)));
	http_server_field(&w->session->http, "ETag", buf_get(&b));
	buf_fini(&b);
}

/* {"records":[...],"next":"..."}; of an entry that is shown the entry. */
static enum http_next
work_answer(struct admind_work *w)
{
	struct admind_session *s = w->session;
	struct buf b = { 0 };
	enum http_next next;

	if (w->problem.status != ADMIN_OK)
		return work_problem(w);
	http_server_answer(&s->http, w->ask.created && !w->ask.dry_run ? 201 : 200);
	if (strcmp(w->ask.verb->verb, "show") == 0 && w->n) {
		work_etag(w);
		return admind_json(s, 200, slice_sub(buf_get(&w->out), 0, w->first));
	}
	buf_lit(&b, "{\"records\":[");
	buf_slice(&b, buf_get(&w->out));
	buf_char(&b, ']');
	if (*w->ask.page)
		json_put_cstr(&b, "next", w->ask.page);
	buf_lit(&b, "}");
	next = admind_json(s, 200, buf_get(&b));
	secret_clear(b.p, b.n);
	buf_fini(&b);
	return next;
}

/* ---- running --------------------------------------------------------------------------------------- */

static void
work_record(void *arg, const struct admin_record *r)
{
	struct admind_work *w = CAST(arg, struct admind_work, WORK_MAGIC);

	if (w->n)
		buf_char(&w->out, ',');
	admin_record_json(r, &w->out);
	if (w->n++ == 0) {
		w->first = w->out.n;
		buf_slice(&w->version, admin_record_get(r, "version"));
	}
}

/* The list goes on: its page has a name from now on. */
static void
work_keep_page(struct admind_work *w)
{
	struct admind_page *p = w->page;

	*w->ask.page = '\0';
	if (p && w->problem.status == ADMIN_OK && !p->page.n)
		w->agent->sorts = false;
	if (!p || w->problem.status != ADMIN_OK || !p->page.n)
		return;
	random_id(p->id);
	memcpy(w->ask.page, p->id, sizeof(w->ask.page));
	p->agent = w->agent;
	w->agent = NULL;
	w->page = NULL;
	admind_page_keep(p);
}

static void
work_log(const struct admind_work *w)
{
	metric_add(M_VERBS, 1);
	metric_add(M_REFUSED, w->problem.status != ADMIN_OK);
	metric_add(M_VERB_US, (int64_t)(clock_mono_us() - w->began_us));
	log_event(LOG_INFO, "admin", "peer=%s user=%s verb=%s what=%s name=%s result=%s ms=%llu",
	    w->peer, log_str(w->account), log_str(w->ask.verb->object), log_str(w->ask.verb->verb),
	    log_value(w->ask.nnames ? w->ask.names[0] : S("")),
	    log_str(w->problem.status == ADMIN_OK ? "done" : w->problem.code),
	    (unsigned long long)((clock_mono_us() - w->began_us) / 1000));
}

static void
work_finish(struct admind_work *w)
{
	struct admind_session *s = w->session;
	enum http_next next;

	if (w->out.full)
		w->problem = (struct admin_problem){ ADMIN_LIMIT, "limit",
			"The answer is too large; use limit." };
	if (s) {
		op_done(&s->http.op);
		s->work = NULL;
		log_context(s->sid);
		next = work_answer(w);
		w->session = NULL;
		work_free(w);
		http_server_resume(&s->http, next);
	} else {
		work_free(w);
	}
	admind.working--;
	admind_drained();
}

static void
work_run(void *arg)
{
	struct admind_work *w = CAST(arg, struct admind_work, WORK_MAGIC);

	admin_run(admind.loop, w->agent->agent, w->ask.verb, &w->call, &w->problem);
	work_log(w);
	/* What we remember of whom it was about is over: a second factor counts from the next login on. */
	if (w->ask.verb->changes && w->ask.nnames)
		dir_forget(admind.dir, w->ask.names[0]);
	if (w->problem.status == ADMIN_OK && !w->call.dry_run && w->call.secret.n && w->ask.nnames)
		login_learn_later(admind.door, w->ask.names[0], w->call.secret);
	if (strcmp(w->ask.verb->object, "job") == 0 && w->ask.verb->changes)
		admind_jobs_soon();
	work_keep_page(w);
	w->over = true;
	if (!w->starting)
		work_finish(w);
}

/* ---- the beginning and the end ---------------------------------------------------------------------- */

static void
work_cancelled(struct op *op)
{
	struct admind_work *w = CAST(op->impl, struct admind_work, WORK_MAGIC);

	op->impl = NULL;
	if (w->session)
		w->session->work = NULL;
	w->session = NULL;
}

void
admind_work_forget(struct admind_session *s)
{
	if (s->work)
		op_cancel(&s->http.op);
}

/* Why it does not run. */
static enum http_next
work_refuse(struct admind_session *s, const char *why)
{
	if (strcmp(why, "page") == 0)
		return admind_problem(s, 410, "page", "This list has ended; begin it anew.");
	if (strcmp(why, "limit") == 0)
		return admind_problem(s, 429, "limit",
		    "What this person has begun is not over yet; try again soon.");
	return admind_problem(s, 503, "busy", "Too much is going on; try again soon.");
}

static struct admind_work *
work_new(struct admind_session *s, struct admind_ask *ask)
{
	struct admind_work *w = mem_new(sizeof(*w));

	w->magic = WORK_MAGIC;
	admind_turn_init(&w->turn);
	w->session = s;
	w->ask = *ask;
	*ask = (struct admind_ask){ .verb = NULL };
	w->account = mem_str(s->account);
	w->as = mem_printf("dn:%s", s->dn);
	memcpy(w->peer, s->peer, sizeof(w->peer));
	buf_init(&w->out, ADMIND_ANSWER_MOST);
	w->began_us = clock_mono_us();
	w->call = (struct admin_call){ .names = w->ask.names,
		.nnames = w->ask.nnames,
		.settings = w->ask.settings,
		.nsettings = w->ask.nsettings,
		.secret = secret_get(&w->ask.secret),
		.dry_run = w->ask.dry_run,
		.proved = w->ask.proved,
		.version = w->ask.version,
		.limit = w->ask.limit,
		.who = w->account,
		.from = w->peer,
		.as = w->as,
		.record = work_record,
		.arg = w };
	return w;
}

/* The connection: that of the page before, or any. */
static const char *
work_connect(struct admind_work *w)
{
	if (!admind_turn_take(&w->turn, w->account))
		return "limit";
	if (*w->ask.page) {
		w->page = admind_page_take(slice_str(w->ask.page), w->account, w->ask.what);
		if (!w->page)
			return "page";
		w->agent = w->page->agent;
		w->page->agent = NULL;
	} else {
		admind_page_expire();
		w->agent = admind_agent_take();
		if (!w->agent && admind_page_end_oldest())
			w->agent = admind_agent_take();
		if (!w->agent)
			return "busy";
	}
	if (w->ask.list && !w->page) {
		w->page = mem_new(sizeof(*w->page));
		list_init(&w->page->link);
		w->page->account = mem_str(w->account);
		w->page->what = mem_str(w->ask.what);
	}
	if (w->page) {
		w->page->page.sort = w->ask.sort;
		w->agent->sorts = !!w->ask.sort;
		w->call.page = &w->page->page;
	}
	return NULL;
}

enum http_next
admind_work_start(struct admind_session *s, struct admind_ask *ask)
{
	struct admind_work *w = work_new(s, ask);
	const char *why = work_connect(w);
	enum http_next next;

	if (why) {
		w->session = NULL;
		work_free(w);
		return work_refuse(s, why);
	}
	admind.working++;
	w->starting = true;
	fiber_start(admind.loop, work_run, w);
	w->starting = false;
	if (!w->over) {
		s->work = w;
		s->http.op.cancel = work_cancelled;
		s->http.op.impl = w;
		return HTTP_WAIT;
	}
	next = work_answer(w);
	w->session = NULL;
	work_free(w);
	admind.working--;
	return next;
}
