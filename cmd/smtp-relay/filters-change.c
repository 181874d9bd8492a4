/* filters-change.c: what a filter wants changed, in its order, once its last word is known.
 *
 * In slices of a turn, because filters may want thousands of changes in headers of thousands of fields; a
 * recipient that is added waits for the directory.  What cannot be done is the filter's failure: a message
 * that is not as the filter wants it is not passed as if it were. */
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "filters.h"

#define SLICE_US 5000

static void changes_go_on(struct later *t);

static void
rcpt_added(struct session *s, const struct verdict *v)
{
	struct filters *f = s->filters;

	if (v->kind == OK)
		later_run(&f->later, daemon_loop(), changes_go_on);
	else
		filters_changed(f, "a recipient that it adds cannot be reached");
}

/* An address of a filter, with or without brackets. */
static bool
change_address(struct session *s, struct slice text, struct address *a)
{
	const char *why;

	text = slice_trim(text);
	if (slice_starts(text, S("<")) && slice_ends(text, S(">")))
		text = slice_sub(text, 1, text.n - 2);
	text = arena_slice(&s->smtp.arena, text);
	if (text.n == 0) {
		*a = (struct address){ .local = S(""), .domain = S(""), .flags = ADDRESS_NULL };
		return true;
	}
	return address_parse(text, ADDRESS_UTF8, &s->smtp.arena, a, &why) == 0;
}

/* True: `added` follows. */
static bool
change_add(struct session *s, const struct milter_reply *r)
{
	struct arena *a = &s->smtp.arena;
	bool bare = !slice_starts(r->name, S("<")), path_bad;
	struct smtp_rcpt *rcpt = arena_new(a, sizeof(*rcpt));
	const char *why, *text;

	text = arena_printf(a, "TO:%s" SFMT "%s%s" SFMT, bare ? "<" : "", SARG(r->name),
	    bare ? ">" : "", r->value.n ? " " : "", SARG(r->value));
	if (smtp_rcpt_parse(slice_str(text), false, a, rcpt, &path_bad, &why) < 0)
		return false;
	rcpt_start(s, rcpt, rcpt_added);
	return true;
}

static void
change_remove(struct session *s, const struct address *to)
{
	for (size_t i = 0; i < s->nrcpts; i++) {
		struct rcpt_given **g = &s->more[i].given;

		while (*g)
			if (address_eq((*g)->to, to))
				*g = (*g)->next;
			else
				g = &(*g)->next;
		s->more[i].gone = !s->more[i].given;
	}
}

void
filters_drop(struct session *s)
{
	const struct filters *f = s->filters;

	for (size_t i = 0; f->dropped && i < s->nrcpts; i++)
		if (filters_spam_channel(s->rcpts[i].channel) & f->dropped)
			s->more[i].gone = true;
}

/* Why a recipient is held, or NULL. */
static const char *
settle_hold(const struct filters *f, const struct qrcpt *q)
{
	if (q->hold)
		return q->hold;
	if (f->hold)
		return f->hold;
	return f->held_for && filters_spam_channel(q->channel) & f->held_for ? f->hold_some : NULL;
}

size_t
filters_settle(struct session *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->nrcpts; i++) {
		if (s->more[i].gone)
			continue;
		s->more[n] = s->more[i];
		s->rcpts[n] = s->rcpts[i];
		s->rcpts[n].hold = settle_hold(s->filters, &s->rcpts[n]);
		n++;
	}
	relay.nrcpts -= s->nrcpts - n;
	s->nrcpts = n;
	return n;
}

static void
change_hold(struct filters *f, const struct filter *x, struct slice reason)
{
	struct session *s = f->session;
	const char **why = x->spam ? &f->hold_some : &f->hold;

	*why = arena_printf(&s->smtp.arena, "filter %s: %.*s", x->name,
	    (int)(reason.n < 150 ? reason.n : 150), reason.p);
	if (x->spam)
		f->held_for |= 1U << x->spam;
	metric_add(M_FILTER_HELD, 1);
	log_event(LOG_INFO, "filter_hold", "sid=%s qid=%s filter=%s reason=%s", s->sid, s->qid,
	    log_str(x->name), log_value(reason));
}

/* What a filter makes of the message is in the log beside what becomes of it. */
static void
change_said(const struct filters *f, const struct filter *x, const struct milter_reply *r)
{
	if (r->value.n &&
	    (claims_verdict(r->name) || slice_ieq(r->name, S("Authentication-Results"))))
		log_event(LOG_INFO, "filter_said", "sid=%s qid=%s filter=%s field=%s text=%s",
		    f->session->sid, f->session->qid, log_str(x->name), log_value(r->name),
		    log_value(slice_trim(r->value)));
}

/* NULL, or why it cannot be done. */
static const char *
change_make(struct filters *f, const struct filter *x, const struct milter_reply *r)
{
	struct session *s = f->session;
	struct address a;

	switch (r->answer) {
	case MILTER_ADD_HEADER:
	case MILTER_INSERT_HEADER:
	case MILTER_CHANGE_HEADER:
		change_said(f, x, r);
		milter_header_apply(&f->header, r, milter_client_spaces(x->client));
		return NULL;
	case MILTER_DELETE_RCPT:
		if (!change_address(s, r->name, &a))
			return "a recipient that it removes has no address";
		change_remove(s, &a);
		return NULL;
	case MILTER_CHANGE_FROM:
		if (!change_address(s, r->name, &a))
			return "the sender that it wants has no address";
		s->from = a;
		return NULL;
	case MILTER_QUARANTINE: change_hold(f, x, r->value); return NULL;
	case MILTER_ADD_RCPT:
	case MILTER_ADD_RCPT_ARGS:
	case MILTER_SHUTDOWN:
	case MILTER_ACCEPT:
	case MILTER_REPLACE_BODY:
	case MILTER_CONTINUE:
	case MILTER_DISCARD:
	case MILTER_CONN_FAIL:
	case MILTER_NEGOTIATE:
	case MILTER_PROGRESS:
	case MILTER_REJECT:
	case MILTER_SKIP:
	case MILTER_TEMPFAIL:
	case MILTER_REPLY_CODE: break;
	}
	return "it wants what is no change";
}

void
filters_change(struct filters *f)
{
	struct filter *x = &f->filter[f->i];
	uint64_t until = clock_mono_us() + SLICE_US;
	const char *why = NULL;
	struct milter_reply r;

	while (!why && milter_client_change(x->client, &r)) {
		if (r.answer == MILTER_ADD_RCPT || r.answer == MILTER_ADD_RCPT_ARGS) {
			if (change_add(f->session, &r))
				return;
			why = "a recipient that it adds has no address";
		} else {
			why = change_make(f, x, &r);
		}
		if (!why && clock_mono_us() > until) {
			later_run(&f->later, daemon_loop(), changes_go_on);
			return;
		}
	}
	filters_changed(f, why);
}

static void
changes_go_on(struct later *t)
{
	struct filters *f = CONTAINER(t, struct filters, later);

	must(f->magic == FILTERS_MAGIC);
	filters_change(f);
}

void
filters_changes_stop(struct filters *f)
{
	later_cancel(&f->later);
}
