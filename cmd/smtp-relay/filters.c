/* filters.c: see filters.h.
 *
 * Owns the session's struct filters and its connections.  What fails is a filter: then its on_failure says
 * what becomes of the message, and the next transaction tries it again; at EHLO nothing is refused for it,
 * because MAIL tries again at once.  Must stay true: `then` is called once for each question; a message that
 * one filter has refused or discarded is refused or discarded, whatever others say. */
#include "filters.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"

static void filters_next(struct filters *f);

/* ---- the chain's life ------------------------------------------------------------------------ */

static const char *const
    role_names[] = { [ROLE_MX] = "mx", [ROLE_SUBMISSION] = "submission", [ROLE_LOCAL] = "local" };

bool
filters_listens(char *const *words, const char *name, int role)
{
	for (char *const *w = words; w && *w; w++)
		if (strcmp(*w, name) == 0 ||
		    ((size_t)role < NELEM(role_names) && strcmp(*w, role_names[role]) == 0))
			return true;
	return !words || !*words;
}

static bool
filter_init(struct filters *f, struct filter *x, const struct milter_conf *m)
{
	struct milter_params p = { .connect_ms = (uint32_t)m->connect_ms,
		.command_ms = (uint32_t)m->command_ms,
		.content_ms = (uint32_t)m->content_ms };

	if (addr_parse(slice_str(m->address), &p.to) < 0)
		return false; /* filters_check does not let it come so far */
	x->chain = f;
	x->name = mem_str(m->name);
	x->daemon_name = mem_str(*m->daemon_name ? m->daemon_name : shared.hostname);
	x->on_failure = m->on_failure;
	if (m->spamfilter && !filters_spam_source(relay_message_source(f->session), m->spamfilter))
		x->spam = (unsigned)m->spamfilter;
	x->client = milter_client_new(daemon_loop(), &p, &filters_calls, x);
	return true;
}

static struct filters *
filters_new(struct session *s, size_t n)
{
	struct filters *f = mem_new(sizeof(*f) + n * sizeof(f->filter[0]));

	f->magic = FILTERS_MAGIC;
	f->session = s;
	later_init(&f->later);
	held_init(&f->body);
	held_init(&f->other);
	s->filters = f;
	return f;
}

void
filters_begin(struct session *s)
{
	struct filters *f;
	size_t n = 0;

	for (struct milter_conf **m = config.milters; m && *m; m++)
		n += filters_listens((*m)->listeners, s->listen->name, s->role);
	if (n == 0)
		return;
	f = filters_new(s, n);
	for (struct milter_conf **m = config.milters; *m; m++)
		if (filters_listens((*m)->listeners, s->listen->name, s->role))
			f->n += filter_init(f, &f->filter[f->n], *m);
}

void
filters_hold(struct session *s)
{
	if (!s->filters)
		(void)filters_new(s, 0);
}

void
filters_end(struct session *s)
{
	struct filters *f = s->filters;

	if (!f)
		return;
	filters_forget(s);
	for (size_t i = 0; i < f->n; i++) {
		milter_client_free(&f->filter[i].client);
		mem_free(&f->filter[i].name);
		mem_free(&f->filter[i].daemon_name);
	}
	buf_fini(&f->packet);
	buf_fini(&f->unknown);
	mem_free(&s->filters);
}

void
filters_forget(struct session *s)
{
	struct filters *f = s->filters;

	if (!f)
		return;
	f->then = NULL;
	filters_changes_stop(f);
	for (size_t i = 0; i < f->n; i++) {
		milter_client_abort(f->filter[i].client);
		f->filter[i].message_over = f->filter[i].mailed = false;
		if (!f->filter[i].no_session)
			f->filter[i].no.kind = VERDICT_NONE;
	}
	f->message_no.kind = VERDICT_NONE;
	f->discard = false;
	f->dropped = f->held_for = 0;
	milter_header_fini(&f->header);
	held_fini(&f->body);
	held_fini(&f->other);
	buf_fini(&f->fields);
	f->other_begun = false;
	f->other_error = 0;
	f->hold = f->hold_some = NULL;
}

bool
filters_listener_known(const char *word)
{
	for (size_t i = 0; i < NELEM(role_names); i++)
		if (strcmp(word, role_names[i]) == 0)
			return true;
	for (struct daemon_listen **l = daemon_listeners(); l && *l; l++)
		if (strcmp(word, (*l)->name) == 0)
			return true;
	return false;
}

bool
filters_check(struct buf *why)
{
	struct addr a;
	bool good = true;

	for (struct milter_conf **m = config.milters; m && *m; m++) {
		if (addr_parse(slice_str((*m)->address), &a) < 0 ||
		    (a.sa.sa_family != AF_UNIX && addr_port(&a) == 0)) {
			buf_printf(why,
			    "%s: [milter %s] address = %s: neither unix:/path nor address:port\n",
			    conf_where(&(*m)->address), (*m)->name, (*m)->address);
			good = false;
		}
		for (char **w = (*m)->listeners; w && *w; w++) {
			if (filters_listener_known(*w))
				continue;
			buf_printf(why,
			    "%s: [milter %s] listeners: %s is neither a listener nor a role\n",
			    conf_where(&(*m)->listeners), (*m)->name, *w);
			good = false;
		}
	}
	return good;
}

/* ---- what is made of an answer ----------------------------------------------------------------- */

/* The whole chain has answered. */
static void
filters_answer(struct filters *f, const struct verdict *no)
{
	filters_then then = f->then;
	struct verdict copy;

	f->then = NULL;
	if (!then)
		return;
	if (no)
		copy = *no;
	then(f->session, no ? &copy : NULL);
}

/* All lines of a reply in one: "5.7.1 no" CRLF "550 5.7.1 really" is "5.7.1 no really". */
static struct verdict
reply_verdict(const struct milter_outcome *o)
{
	struct slice text = o->text, line, word, first = S("");
	struct buf all = { 0 };
	struct verdict v;

	for (bool more = false; slice_cut(&text, '\n', &line); more = true) {
		struct slice rest;

		line = slice_trim(more ? slice_from(line, 4) : line);
		rest = line;
		if (!more && !slice_word(&rest, &first))
			first = S("");
		rest = line;
		if (more && slice_word(&rest, &word) && slice_eq(word, first))
			line = slice_trim(rest);
		if (more && line.n)
			buf_char(&all, ' ');
		buf_slice(&all, line);
	}
	v = verdict_parse_reply(o->code, buf_get(&all));
	buf_fini(&all);
	if (v.subject == 0) {
		v.subject = 7;
		v.detail = 1;
	}
	if (!v.text[0])
		v = v.kind == PERM ? verdict(OUT_FILTER_NO) : verdict(OUT_FILTER_LATER);
	return v;
}

static void
filters_refuse(struct filters *f, struct filter *x, const struct verdict *v)
{
	log_event(LOG_INFO, "filter", "sid=%s qid=%s filter=%s stage=%s verdict=%d.%d.%d text=%s",
	    f->session->sid, f->session->qid, log_str(x->name), milter_stage_name(f->step), v->kind,
	    v->subject, v->detail, log_str(v->text));
	metric_add(M_FILTER_REFUSED, 1);
	if (x->spam && f->step <= MILTER_AT_MAIL) {
		x->no = *v; /* of recipients whose channels ask for it, not of others */
		x->no_session = f->step <= MILTER_AT_HELO;
	} else if (f->step <= MILTER_AT_HELO)
		f->session_no = *v;
	else if (f->at != MILTER_AT_RCPT && f->at != MILTER_AT_UNKNOWN)
		f->message_no = *v;
	filters_answer(f, v);
}

static void
filters_vanish(struct filters *f, struct filter *x)
{
	if (f->at == MILTER_AT_UNKNOWN && !f->session->smtp.open) {
		filters_answer(f, NULL); /* there is nothing to discard */
		return;
	}
	log_event(LOG_INFO, "filter_discard", "sid=%s qid=%s filter=%s stage=%s", f->session->sid,
	    f->session->qid, log_str(x->name), milter_stage_name(f->step));
	metric_add(M_FILTER_DISCARDED, 1);
	if (x->spam) { /* for the recipients that it was asked about */
		f->dropped |= 1U << x->spam;
		x->mailed = x->message_over = true;
		held_fini(&f->other); /* what it would have had instead is not for others */
		f->other_begun = false;
		f->other_error = 0;
		filters_next(f);
		return;
	}
	f->discard = true;
	for (size_t i = 0; i < f->n; i++)
		if (&f->filter[i] != x)
			milter_client_abort(f->filter[i].client);
	filters_answer(f, NULL);
}

static const char *const failure_names
    [] = { [FILTER_TEMPFAIL] = "tempfail", [FILTER_ACCEPT] = "accept", [FILTER_REJECT] = "reject" };

/* `pass` false: some of its changes are made, so that without it the message is no longer what it was. */
static void
filters_failed(struct filters *f, struct filter *x, const char *why, bool pass)
{
	struct verdict v;

	log_event(LOG_WARN, "filter_error",
	    "sid=%s qid=%s filter=%s stage=%s on_failure=%s text=%s", f->session->sid,
	    f->session->qid, log_str(x->name), milter_stage_name(f->step),
	    failure_names[x->on_failure], log_str(why));
	metric_add(M_FILTER_FAILED, 1);
	held_fini(&f->other);
	f->other_begun = false;
	if (f->other_error) { /* our disk, not the filter */
		v = f->other_error == -ENOSPC || f->other_error == -EDQUOT ?
		    verdict(OUT_QUEUE_FULL) :
		    verdict(OUT_QUEUE_BROKEN);
		f->other_error = 0;
		f->message_no = v;
		filters_answer(f, &v);
		return;
	}
	if (f->at == MILTER_AT_HELO || (f->at == MILTER_AT_UNKNOWN && !f->session->smtp.open) ||
	    (pass && x->on_failure == FILTER_ACCEPT)) {
		x->message_over = f->at != MILTER_AT_HELO && f->session->smtp.open;
		milter_client_abort(x->client);
		f->i++;
		filters_next(f);
		return;
	}
	v = x->on_failure == FILTER_REJECT ? verdict(OUT_FILTER_GONE) : verdict(OUT_FILTER_AWAY);
	if (x->spam && f->step <= MILTER_AT_MAIL)
		x->no = v; /* of recipients whose channels ask for it, not of others */
	else
		f->message_no = v;
	filters_answer(f, &v);
}

/* ---- who is asked what ----------------------------------------------------------------------- */

/* Filter i is done with f->step. */
static void
filters_step_over(struct filters *f, struct filter *x)
{
	if (f->step == MILTER_AT_HELO)
		x->greeted = true;
	else if (f->step == MILTER_AT_MAIL)
		x->mailed = true;
	if (f->step == f->at)
		f->i++;
}

/* May it be told first what it has not heard: a session, and a transaction, that are new to it? */
static bool
filters_catches_up(const struct filters *f, const struct filter *x)
{
	if (f->at == MILTER_AT_UNKNOWN)
		return !f->session->smtp.open;
	return f->at <= MILTER_AT_MAIL || (x->spam && f->at == MILTER_AT_RCPT && !x->mailed);
}

/* What it must hear first. */
static enum milter_stage
filters_step(const struct filters *f, struct filter *x)
{
	if (!filters_catches_up(f, x))
		return f->at;
	if (!milter_client_open(x->client))
		return MILTER_AT_CONNECT;
	if (!x->greeted && f->session->smtp.helo)
		return MILTER_AT_HELO;
	return f->at == MILTER_AT_RCPT ? MILTER_AT_MAIL : f->at;
}

/* Has it nothing to do with the question? */
static bool
filters_pass(const struct filters *f, const struct filter *x)
{
	if (x->session_over || x->message_over || (f->dropped & 1U << x->spam && x->spam))
		return true;
	if (f->at == MILTER_AT_UNKNOWN)
		return x->spam ? !milter_client_open(x->client) : false;
	if (f->rcpt_no && !milter_client_hears_refused(x->client))
		return true;
	if (!x->spam)
		return false;
	return f->at == MILTER_AT_RCPT && !f->rcpt_no ? !(f->rcpt_spam & 1U << x->spam) :
							!x->mailed;
}

/* Asks filter i; true: it need not be waited for. */
static bool
filters_ask_one(struct filters *f, struct filter *x)
{
	f->step = filters_step(f, x);
	if (f->step == MILTER_AT_CONNECT) {
		x->greeted = false;
		x->fresh = true;
	}
	if (f->step == MILTER_AT_END) {
		milter_client_message(x->client, &f->header);
		return false;
	}
	buf_clear(&f->packet);
	filters_packet(f, f->step, &f->packet);
	return milter_client_ask(x->client, f->step, buf_get(&f->packet));
}

static void
filters_next(struct filters *f)
{
	while (f->i < f->n) {
		struct filter *x = &f->filter[f->i];

		if (filters_pass(f, x))
			f->i++;
		else if (x->no.kind) {
			filters_answer(f, &x->no);
			return;
		} else if (filters_ask_one(f, x))
			filters_step_over(f, x);
		else
			return;
	}
	filters_answer(f, NULL);
}

static void
filters_on_done(void *arg, const struct milter_outcome *o)
{
	struct filter *x = arg;
	struct filters *f = CAST(x->chain, struct filters, FILTERS_MAGIC);
	struct verdict v;

	if (o->failed) {
		/* One that was open already may have been closed in between: that is no failure. */
		if (f->step <= MILTER_AT_MAIL && f->at != MILTER_AT_HELO && !x->fresh)
			filters_next(f);
		else
			filters_failed(f, x, o->why, true);
		return;
	}
	if (o->answer == MILTER_DISCARD) {
		filters_vanish(f, x);
	} else if (o->answer == MILTER_CONTINUE || o->answer == MILTER_ACCEPT) {
		if (o->answer == MILTER_ACCEPT && f->step <= MILTER_AT_HELO)
			x->session_over = true;
		else if (o->answer == MILTER_ACCEPT)
			x->message_over = true;
		if (f->step == MILTER_AT_END) {
			filters_change(f);
			return;
		}
		filters_step_over(f, x);
		filters_next(f);
	} else {
		v = o->answer == MILTER_REPLY_CODE ? reply_verdict(o) :
		    o->answer == MILTER_REJECT     ? verdict(OUT_FILTER_NO) :
						     verdict(OUT_FILTER_LATER);
		if (o->answer == MILTER_SHUTDOWN || v.reply == 421)
			smtp_server_last(&f->session->smtp, "a filter wants it");
		filters_refuse(f, x, &v);
	}
}

/* ---- another body ------------------------------------------------------------------------------ */

static void
other_bytes(void *arg, struct slice bytes)
{
	struct filters *f = arg;

	if (f->other_error == 0)
		f->other_error = held_add(&f->other, bytes);
}

/* What a filter writes is read as strictly as what clients send in chunks, because all that is behind here
 * trusts line ends: an LF alone ends a line, NUL and what is too large or too long is not taken. */
static void
other_begin(struct filters *f)
{
	const struct smtp_limits *lim = f->session->smtp.policy->limits;

	f->other_begun = true;
	f->other_error = 0;
	f->clean = (struct smtp_body){ .bdat = true,
		.normalise = true,
		.line_max = lim->line,
		.size_max = lim->size,
		.emit = other_bytes,
		.arg = f };
	smtp_body_begin(&f->clean);
}

static int
other_state(const struct filters *f)
{
	return f->clean.fault ? -EBADMSG : f->other_error;
}

static int
other_feed(struct filters *f, struct slice piece)
{
	bool end;

	f->clean.chunk = piece.n;
	if (piece.n)
		(void)smtp_body_feed(&f->clean, piece, &end);
	return other_state(f);
}

void
filters_changed(struct filters *f, const char *why)
{
	if (!why && f->other_begun) {
		smtp_body_finish(&f->clean);
		if (other_state(f) < 0)
			why = "its body cannot be kept";
	}
	if (why) {
		filters_failed(f, &f->filter[f->i], why, false);
		return;
	}
	if (f->other_begun) {
		held_fini(&f->body);
		f->body = f->other;
		held_init(&f->other);
		f->other_begun = false;
	}
	f->i++;
	filters_next(f);
}

static int
filters_on_body(void *arg, uint64_t at, size_t most, struct buf *out)
{
	struct filter *x = arg;

	return held_read(&x->chain->body, at, most, out);
}

static int
filters_on_replace(void *arg, struct slice piece)
{
	struct filters *f = ((struct filter *)arg)->chain;

	if (!f->other_begun)
		other_begin(f);
	return other_feed(f, piece);
}

const struct milter_calls filters_calls = { .macro = filters_macro,
	.body = filters_on_body,
	.replace = filters_on_replace,
	.done = filters_on_done };

/* ---- for the session ------------------------------------------------------------------------- */

void
filters_ask(struct session *s, enum milter_stage at, filters_then then)
{
	struct filters *f = s->filters;

	if (!f) {
		then(s, NULL);
		return;
	}
	must(!f->then);
	f->at = at;
	f->i = 0;
	f->then = then;
	for (size_t i = 0; (at <= MILTER_AT_MAIL || !s->smtp.open) && i < f->n; i++) {
		if (at == MILTER_AT_HELO)
			f->filter[i].greeted = false;
		f->filter[i].fresh = false;
		f->filter[i].message_over = false;
	}
	if (f->session_no.kind)
		filters_answer(f, &f->session_no);
	else if (at == MILTER_AT_UNKNOWN)
		filters_next(f);
	else if (f->message_no.kind)
		filters_answer(f, &f->message_no);
	else if (f->discard)
		filters_answer(f, NULL);
	else
		filters_next(f);
}

void
filters_refused(struct session *s, const struct verdict *no, filters_then then)
{
	s->filters->rcpt_no = no;
	filters_ask(s, MILTER_AT_RCPT, then);
}

void
filters_unknown(struct session *s, struct slice verb, filters_then then)
{
	if (s->filters) {
		buf_clear(&s->filters->unknown);
		buf_slice(&s->filters->unknown, verb);
	}
	filters_ask(s, MILTER_AT_UNKNOWN, then);
}

bool
filters_wanted(const struct session *s)
{
	for (size_t i = 0; s->filters && i < s->filters->n; i++)
		if (!s->filters->filter[i].spam || s->filters->filter[i].mailed)
			return true;
	return false;
}

void
filters_message(struct session *s, struct slice fields, filters_then then)
{
	struct filters *f = s->filters;
	struct verdict v;

	buf_clear(&f->fields);
	buf_slice(&f->fields, fields);
	if (!milter_header_init(&f->header, buf_get(&f->fields))) {
		v = verdict(OUT_HEADER_SIZE);
		then(s, &v);
		return;
	}
	metric_add(M_FILTERED, filters_wanted(s));
	filters_ask(s, MILTER_AT_END, then);
}
