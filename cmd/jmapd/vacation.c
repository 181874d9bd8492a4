/* jmapd/vacation.c: VacationResponse/get and /set (RFC 8621 8), as whom they are about.
 *
 *	who is it -> read the entry -> decide (vacation-entry.c) -> change it, asserting its entryCSN -> read it again
 *	                  ^---------- it has changed meanwhile, or no answer came -------------'
 *
 * slapd decides by the person's rights (directory/modify.h).  The state is entryCSN: other changes of the entry are
 * changes too.  Can fail: the directory, before a change (nothing was done), and behind it, which is
 * serverPartialFail.  Must stay true: what is changed was decided on the entry that ifInState names, and the answer
 * says in what the object differs from what its client must think by now. */
#include "vacation.h"

#include "base/log.h"
#include "directory/filter.h"
#include "set.h"

#define TRIES 8 /* others were faster */

enum vacation_step { DECIDE, CHANGED, ANSWER };

/* What get and set have in common; the first member of both. */
struct vacation {
	struct slice dn;
	struct vacation_entry entry;
	const char *error, *why; /* of the call; NULL: none */
};

/* ---- reading the entry --------------------------------------------------------------------------------- */

static void
vacation_fail(struct call *c, const char *error, const char *why)
{
	struct vacation *v = c->data;

	v->error = error;
	v->why = why;
}

static void
vacation_read_done(void *arg, const struct dir_modified *m)
{
	struct call *c = arg;
	struct vacation *v = c->data;

	log_context(c->s->sid);
	if (m->result == DIR_MODIFIED)
		vacation_entry_read(&v->entry, &c->arena, m->before, m->nbefore);
	if (m->result == DIR_MODIFY_AWAY || m->result == DIR_UNKNOWN)
		vacation_fail(c, "serverUnavailable", "the directory is away");
	else if (m->result != DIR_MODIFIED || v->entry.csn.n == 0)
		vacation_fail(c, "serverFail", "the directory does not show the entry");
	if (v->error)
		log_event(LOG_WARN, "jmap_directory", "sid=%s user=%s why=%s", c->s->sid,
		    call_user(c)->account, log_str(m->why));
	call_resume(c, CALL_AGAIN);
}

static void
vacation_read(struct call *c)
{
	struct vacation *v = c->data;

	dir_read_start(jmapd.writer, v->dn, v->dn, vacation_attributes, call_op(c),
	    vacation_read_done, c);
}

static void
vacation_known(void *arg, const struct dir_answer *a)
{
	struct call *c = arg;
	struct vacation *v = c->data;

	log_context(c->s->sid);
	if (a->v.kind == OK && a->user) {
		v->dn = arena_slice(&c->arena, a->user->dn);
		vacation_read(c);
		return;
	}
	vacation_fail(c, "serverUnavailable", "the directory does not know the account now");
	call_resume(c, CALL_AGAIN);
}

static enum call_next
vacation_ask(struct call *c)
{
	dir_login_start(jmapd.dir, slice_str(call_user(c)->account), call_op(c), vacation_known, c);
	return CALL_WAIT;
}

/* Is there a vacation at all?  False: *next is the answer. */
static bool
vacation_served(struct call *c, enum call_next *next)
{
	if (jmapd.writer)
		return call_account(c, next);
	*next = call_error(c, "unknownMethod", NULL);
	return false;
}

/* ---- VacationResponse/get ------------------------------------------------------------------------------ */

struct vacation_get {
	struct vacation v;
	struct call_ids ids;
	uint64_t want;
};

static enum call_next
vacation_get_start(struct call *c)
{
	struct vacation_get *g = c->data;
	enum call_next next;

	if (!vacation_served(c, &next) || !call_ids(c, &g->ids, &next) ||
	    !call_properties(c, vacation_properties, &g->want, &next))
		return next;
	return vacation_ask(c);
}

static enum call_next
vacation_get_go(struct call *c)
{
	struct vacation_get *g = c->data;
	bool *missing = arena_array(&c->arena, g->ids.n + 1, sizeof(*missing));
	bool found = !g->ids.list;

	if (g->v.error)
		return call_error(c, g->v.error, g->v.why);
	for (size_t i = 0; i < g->ids.n; i++) {
		missing[i] = !slice_eq(g->ids.list[i], S(VACATION_ID));
		found = found || !missing[i];
	}
	call_answer(c);
	call_put_account(c);
	json_put_str(call_out(c), "state", g->v.entry.csn);
	json_put_array(call_out(c), "list");
	if (found)
		vacation_entry_write(call_out(c), &g->v.entry, g->want);
	buf_char(call_out(c), ']');
	call_put_not_found(c, &g->ids, missing);
	return call_end(c);
}

const struct jmapd_method vacation_get = { "VacationResponse/get", JMAP_VACATION,
	sizeof(struct vacation_get), vacation_get_start, vacation_get_go, NULL };

/* ---- VacationResponse/set ------------------------------------------------------------------------------ */

struct vacation_set {
	struct vacation v;
	enum vacation_step step;
	struct set_args args;
	struct set_answer answer;
	const struct json_t *patch; /* NULL: nothing is to be changed */
	struct slice if_in_state;   /* p NULL: in any */
	struct slice old_state;
	struct vacation_edit edit;
	unsigned tries;
	bool sent;   /* a change is under way */
	bool unsure; /* one was sent, and no answer came */
};

/* There is one object: it is neither made nor destroyed. */
static void
vacation_refuse(struct vacation_set *q)
{
	struct json_walk w = { 0 };

	while (json_next(q->args.create, &w))
		set_refuse(&q->answer.not_created, w.name, "singleton", NULL, NULL);
	for (size_t i = 0; i < json_count(q->args.destroy); i++)
		set_refuse(&q->answer.not_destroyed, json_text(json_at(q->args.destroy, i)),
		    "singleton", NULL, NULL);
	w = (struct json_walk){ 0 };
	while (json_next(q->args.update, &w))
		if (slice_eq(w.name, S(VACATION_ID)))
			q->patch = w.value;
		else
			set_refuse(&q->answer.not_updated, w.name, "notFound", NULL, NULL);
}

static enum call_next
vacation_set_start(struct call *c)
{
	struct vacation_set *q = c->data;
	enum call_next next;

	if (!vacation_served(c, &next) || !set_args_read(c, &q->args, &next))
		return next;
	if (!call_str(c, "ifInState", &q->if_in_state))
		return call_invalid(c, "ifInState: a string, or null");
	vacation_refuse(q);
	q->step = DECIDE;
	return vacation_ask(c);
}

/* lmtpd remembers entries. */
static void
vacation_told(struct call *c)
{
	struct vacation_set *q = c->data;

	q->sent = false;
	rules_news_tell(jmapd.news, slice_str(call_user(c)->account));
}

static void
vacation_denied(struct call *c, const char *why)
{
	struct vacation_set *q = c->data;

	log_event(LOG_WARN, "jmap_directory", "sid=%s user=%s why=%s", c->s->sid,
	    call_user(c)->account, log_str(why));
	set_refuse(&q->answer.not_updated, S(VACATION_ID), "forbidden", NULL,
	    "the directory does not take the change");
	q->step = ANSWER;
}

static void
vacation_changed(void *arg, const struct dir_modified *m)
{
	struct call *c = arg;
	struct vacation_set *q = c->data;

	log_context(c->s->sid);
	vacation_told(c);
	switch (m->result) {
	case DIR_MODIFIED:
		metric_add(M_VACATIONS, 1);
		log_event(LOG_INFO, "jmap_vacation", "sid=%s user=%s", c->s->sid,
		    call_user(c)->account);
		q->step = CHANGED;
		vacation_read(c);
		return;
	case DIR_UNKNOWN: q->unsure = true; __attribute__((fallthrough));
	case DIR_ASSERTION_FAILED:
		if (++q->tries < TRIES) {
			q->step = DECIDE;
			vacation_read(c);
			return;
		}
		vacation_fail(c, q->unsure ? "serverPartialFail" : "serverUnavailable",
		    "the directory gave no answer, or the entry changes all the time");
		break;
	case DIR_MODIFY_AWAY: vacation_fail(c, "serverUnavailable", "the directory is away"); break;
	case DIR_NO_ENTRY:
	case DIR_DENIED: vacation_denied(c, m->why); break;
	}
	call_resume(c, CALL_AGAIN);
}

static enum call_next
vacation_change(struct call *c, struct vacation_set *q)
{
	struct dir_modify m = { .dn = q->v.dn,
		.as = q->v.dn,
		.changes = q->edit.changes,
		.nchanges = q->edit.n };
	struct buf assertion = { 0 };

	dir_filter_equal(&assertion, "entryCSN", q->v.entry.csn, S(""));
	m.assertion = buf_cstr(&assertion);
	q->sent = true;
	dir_modify_start(jmapd.writer, &m, call_op(c), vacation_changed, c);
	buf_fini(&assertion);
	return CALL_WAIT;
}

/* Where the object is not what its client must take it for (RFC 8620 5.3, updated): what was written otherwise
 * than it was asked for, and what others have changed since. */
static void
vacation_put_updated(struct vacation_set *q)
{
	static const struct json_bounds bounds = { 1 << 20, 8, 64 };
	struct buf text = { 0 }, differs = { 0 };
	struct json_t *is = NULL;
	const char *why;

	vacation_entry_write(&text, &q->v.entry, UINT64_MAX);
	if (json_read(buf_get(&text), &bounds, &is, &why) < 0)
		is = NULL;
	buf_char(&differs, '{');
	for (const char *const *p = vacation_properties; is && *p; p++) {
		const struct json_t *a = json_find(is, slice_str(*p)),
				    *b = json_find(q->edit.wanted, slice_str(*p));

		if (!(json_none(a) && json_none(b)) && !json_same(a, b)) {
			json_key(&differs, *p);
			json_write(&differs, a);
		}
	}
	buf_char(&differs, '}');
	json_member(&q->answer.updated, S(VACATION_ID));
	if (differs.n > 2)
		buf_slice(&q->answer.updated, buf_get(&differs));
	else
		buf_lit(&q->answer.updated, "null");
	json_free(&is);
	buf_fini(&text);
	buf_fini(&differs);
}

static enum call_next
vacation_answer(struct call *c, struct vacation_set *q)
{
	call_answer(c);
	call_put_account(c);
	json_put_str(call_out(c), "oldState", q->old_state);
	json_put_str(call_out(c), "newState", q->v.entry.csn);
	return set_answer_lists(c, &q->answer);
}

/* On the entry as it has just been read; after a change that was not answered it may be the one that is wanted. */
static enum call_next
vacation_decide(struct call *c, struct vacation_set *q)
{
	bool in_state = !q->if_in_state.p || slice_eq(q->if_in_state, q->v.entry.csn);

	if (!q->old_state.p)
		q->old_state = q->v.entry.csn;
	if (!in_state && !q->unsure)
		return call_error(c, "stateMismatch", NULL);
	if (!q->patch)
		return vacation_answer(c, q);
	json_free(&q->edit.wanted);
	if (!vacation_entry_edit(&q->v.entry, q->patch, &c->arena, &q->edit)) {
		set_refuse(&q->answer.not_updated, S(VACATION_ID), q->edit.type, q->edit.property,
		    q->edit.why);
		return vacation_answer(c, q);
	}
	if (q->edit.n && !in_state)
		return call_error(c, "stateMismatch", NULL);
	if (q->edit.n)
		return vacation_change(c, q);
	vacation_put_updated(q);
	return vacation_answer(c, q);
}

static enum call_next
vacation_set_go(struct call *c)
{
	struct vacation_set *q = c->data;

	if (q->v.error && (q->step == CHANGED || q->unsure))
		return call_error(c, "serverPartialFail", q->v.why);
	if (q->v.error)
		return call_error(c, q->v.error, q->v.why);
	if (q->step == DECIDE)
		return vacation_decide(c, q);
	if (q->step == CHANGED)
		vacation_put_updated(q);
	return vacation_answer(c, q);
}

/* A change whose answer nobody waits for may happen all the same. */
static void
vacation_set_undo(struct call *c)
{
	struct vacation_set *q = c->data;

	if (q->sent)
		vacation_told(c);
	json_free(&q->edit.wanted);
	set_answer_fini(&q->answer);
}

const struct jmapd_method vacation_set = { "VacationResponse/set", JMAP_VACATION,
	sizeof(struct vacation_set), vacation_set_start, vacation_set_go, vacation_set_undo };
