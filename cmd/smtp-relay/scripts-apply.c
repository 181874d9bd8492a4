/* scripts-apply.c: what scripts of channels have come to, done: see scripts.h.
 *
 * In the order of the scripts, on the loop; a redirect waits for the directory.  What refuses refuses the message, for all its
 * recipients: there is one answer.  All else holds for those whom the script runs for. */
#include "base/log.h"
#include "base/must.h"
#include "rules/rules.h"
#include "scripts-impl.h"
#include "stage.h"

static void scripts_go_on(struct scripts *x);

/* Is recipient i one of those the script runs for?  Those that it has added itself are not. */
static bool
scripts_for(const struct scripts *x, const struct channel_script *c, size_t i)
{
	const struct session *s = x->session;

	return i < x->had && !s->more[i].gone &&
	    (c->side == SCRIPT_SOURCE || strcmp(c->channel, s->rcpts[i].channel) == 0);
}

static void
scripts_log(const struct scripts *x, const struct channel_script *c, const char *action,
    struct slice text)
{
	log_event(LOG_INFO, "channel_script",
	    "sid=%s qid=%s channel=%s script=%s action=%s text=%s", x->session->sid,
	    x->session->qid, c->channel, script_sides[c->side], action, log_value(text));
}

/* ---- the header ---------------------------------------------------------------------------------------------- */

/* The source's is the message's from here on. */
static bool
scripts_head_all(struct scripts *x, struct slice header)
{
	struct filters *f = x->session->filters;

	x->session->message->as_came = false;
	buf_clear(&f->fields);
	buf_slice(&f->fields, slice_sub(header, 0, header.n - 2)); /* without the empty line */
	milter_header_fini(&f->header);
	return milter_header_init(&f->header, buf_get(&f->fields));
}

/* A body like this one, with that header; the same one, where there is no room for it. */
static unsigned
scripts_body(struct scripts *x, unsigned like, struct slice header)
{
	struct session *s = x->session;

	for (unsigned i = 0; i < s->nbodies; i++)
		if (s->bodies[i].header.p == header.p && s->bodies[i].like == like)
			return i + 1;
	if (s->nbodies == QUEUE_BODIES - 1) {
		scripts_log(x, x->runs[x->at].script, "keep",
		    S("the message has too many headers already"));
		return like;
	}
	s->bodies[s->nbodies] = like ? s->bodies[like - 1] : (struct relay_body){ NULL };
	s->bodies[s->nbodies].header = header;
	s->bodies[s->nbodies].like = like;
	return (unsigned)++s->nbodies;
}

static void
scripts_head_some(struct scripts *x, const struct channel_script *c, struct slice header)
{
	struct session *s = x->session;

	header = arena_slice(&s->smtp.arena, slice_sub(header, 0, header.n - 2));
	for (size_t i = 0; i < s->nrcpts; i++)
		if (scripts_for(x, c, i))
			s->rcpts[i].body = scripts_body(x, s->rcpts[i].body, header);
}

/* ---- recipients ------------------------------------------------------------------------------------------------ */

/* Can it stand in a local part as it is: a dot-string (RFC 5321 4.1.2) that is nobody's route, as % and ! are?  What a script
 * files into can come out of a stranger's message. */
static bool
folder_writes(struct slice folder)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "#$&'*-/=?^_`{|}~.";
	char before = '.';

	for (size_t i = 0; i < folder.n; i++) {
		char c = folder.p[i];

		if (c == '\0' || !strchr(good, c))
			return false;
		if (c == '.' && (before == '.' || i + 1 == folder.n))
			return false;
		before = c;
	}
	return folder.n > 0;
}

/* Mailboxes get it by user+folder, which lmtpd files. */
static void
scripts_folder(struct scripts *x, const struct channel_script *c, struct slice folder)
{
	struct session *s = x->session;
	bool writes = folder_writes(folder);

	for (size_t i = 0; i < s->nrcpts; i++) {
		struct slice addr = slice_str(s->rcpts[i].addr), local;
		size_t at = addr.n;

		if (!scripts_for(x, c, i) || !s->more[i].who)
			continue;
		while (at > 0 && addr.p[at - 1] != '@')
			at--;
		local = slice_sub(addr, 0, at ? at - 1 : 0);
		local = slice_sub(local, 0, slice_find(local, '+'));
		if (!writes || local.n == 0 || local.p[0] == '"' ||
		    local.n + 1 + folder.n > ADDRESS_LOCAL_MAX) {
			scripts_log(x, c, "keep",
			    S("the folder cannot be written into an address"));
			continue;
		}
		s->rcpts[i].addr = arena_printf(&s->smtp.arena, SFMT "+" SFMT "@" SFMT, SARG(local),
		    SARG(folder), SARG(slice_from(addr, at)));
	}
}

static void
scripts_drop_rcpts(struct scripts *x, const struct channel_script *c)
{
	struct session *s = x->session;

	for (size_t i = 0; i < s->nrcpts; i++)
		if (scripts_for(x, c, i))
			s->more[i].gone = true;
}

static void
scripts_added(struct session *s, const struct verdict *v)
{
	struct scripts *x = CAST(s->message->scripts, struct scripts, SCRIPTS_MAGIC);
	struct scripts_run *run = &x->runs[x->at];

	if (v->kind != OK) { /* what goes nowhere stays where it was going */
		scripts_log(x, run->script, "keep", slice_str(v->text));
		run->outcome.keeps = true;
	}
	scripts_go_on(x);
}

/* True: scripts_added follows. */
static bool
scripts_redirect(struct scripts *x, struct slice to)
{
	struct session *s = x->session;
	struct smtp_rcpt *rcpt = arena_new(&s->smtp.arena, sizeof(*rcpt));
	const char *text = arena_printf(&s->smtp.arena, "TO:<" SFMT ">", SARG(to)), *why;
	bool path_bad;

	scripts_log(x, x->runs[x->at].script, "redirect", to);
	if (smtp_rcpt_parse(slice_str(text), s->smtp.mail.smtputf8, &s->smtp.arena, rcpt, &path_bad,
		&why) < 0) {
		scripts_log(x, x->runs[x->at].script, "keep", slice_str(why));
		x->runs[x->at].outcome.keeps = true;
		return false;
	}
	rcpt_start(s, rcpt, scripts_added);
	return true;
}

/* ---- one after the other -------------------------------------------------------------------------------------- */

static void
scripts_end(struct scripts *x, const struct verdict *no)
{
	void (*done)(struct session *, const struct verdict *) = x->done;
	struct session *s = x->session;

	scripts_stop(&s->message->scripts);
	done(s, no);
}

static void
scripts_refuse(struct scripts *x, const struct scripts_run *run)
{
	struct buf lines = { 0 }, one = { 0 };
	struct verdict v;

	rules_reason(run->outcome.text, x->session->smtp.mail.smtputf8, &lines, &one);
	v = verdict(OUT_SIEVE_REJECT, buf_cstr(&one));
	metric_add(M_SIEVE_REFUSED, 1);
	scripts_log(x, run->script, "reject", slice_str(v.text));
	buf_fini(&lines);
	buf_fini(&one);
	scripts_end(x, &v);
}

/* What is done before its redirects; false: there is nothing more to do. */
static bool
scripts_begin(struct scripts *x, struct scripts_run *run)
{
	const struct scripts_outcome *o = &run->outcome;
	const struct channel_script *c = run->script;
	struct verdict large = verdict(OUT_HEADER_SIZE);

	metric_add(M_CHANNEL_SCRIPTS, 1);
	if (o->failed) {
		log_event(LOG_WARN, "channel_script_error",
		    "sid=%s qid=%s channel=%s script=%s text=%s", x->session->sid, x->session->qid,
		    c->channel, script_sides[c->side], log_value(o->text));
	} else if (o->refused) {
		scripts_refuse(x, run);
		return false;
	}
	if (o->header.n && c->side == SCRIPT_SOURCE && !scripts_head_all(x, o->header)) {
		scripts_end(x, &large);
		return false;
	}
	if (o->header.n && c->side == SCRIPT_GOES)
		scripts_head_some(x, c, o->header);
	if (o->folder.n) {
		scripts_log(x, c, "fileinto", o->folder);
		scripts_folder(x, c, o->folder);
	}
	return true;
}

static void
scripts_go_on(struct scripts *x)
{
	while (x->at < x->ran) {
		struct scripts_run *run = &x->runs[x->at];

		if (x->redirect == 0 && !scripts_begin(x, run))
			return;
		while (x->redirect < run->outcome.nredirects)
			if (scripts_redirect(x, run->outcome.redirects[x->redirect++]))
				return;
		if (!run->outcome.keeps) {
			scripts_log(x, run->script, run->outcome.nredirects ? "moved" : "discard",
			    S(""));
			scripts_drop_rcpts(x, run->script);
		}
		x->redirect = 0;
		x->at++;
	}
	scripts_end(x, NULL);
}

void
scripts_apply(struct scripts *x)
{
	scripts_go_on(x);
}
