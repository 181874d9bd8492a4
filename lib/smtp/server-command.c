/* server-command.c: the commands of SMTP and LMTP that the server answers itself or by asking
 * its owner.  RFC 5321 4.1.1, RFC 2033 (LHLO), RFC 3207 (STARTTLS), RFC 6531 (SMTPUTF8). */
#include <errno.h>
#include <stdio.h>
#include "base/mem.h"
#include "smtp/server-impl.h"

static enum smtp_next
say(struct smtp_server *s, enum verdict_kind kind, int code, const char *esc, const char *text)
{
	struct verdict v = verdict(kind, code, esc, "%s", text);

	server_say(s, &v);
	return SMTP_NEXT;
}

void
server_greet(struct smtp_server *s)
{
	struct buf *out = stream_out(&s->io);

	s->state = SMTP_GREETED;
	buf_printf(out, "220 %s %s ready\r\n", s->policy->hostname,
	    s->policy->lmtp ? "LMTP" : "ESMTP");
}

/* ---- EHLO, HELO, LHLO --------------------------------------------------- 4.1.1.1 ---- */

/* The answer to EHLO: what we offer. */
void
server_hello(struct smtp_server *s)
{
	struct buf text = { 0 };

	s->state = SMTP_READY;
	buf_printf(&text, "%s", s->policy->hostname);
	if (s->esmtp) {
		buf_lit(&text,
		    "\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\nCHUNKING\nSMTPUTF8\nSIZE");
		if (s->policy->limits->size)
			buf_printf(&text, " %llu", (unsigned long long)s->policy->limits->size);
		buf_char(&text, '\n');
		if (s->tls_ctx && !stream_secure(&s->io))
			buf_lit(&text, "STARTTLS\n");
		if (s->policy->keywords)
			s->policy->keywords(s, &text);
	}
	smtp_reply_write(stream_out(&s->io), 250, NULL, buf_get(&text));
	buf_fini(&text);
}

static enum smtp_next
hello(struct smtp_server *s, struct slice arg, bool esmtp)
{
	struct verdict yes;

	if (!smtp_helo_valid(arg, s->policy->limits->strict_helo))
		return say(s, PERM, 501, "5.5.4", "expected a host name or [address]");
	server_forget(s);
	s->esmtp = esmtp;
	mem_free(&s->helo);
	s->helo = mem_strn(arg.p, arg.n);
	server_ask(s, ASK_HELO, 1);
	if (s->policy->helo) {
		s->policy->helo(s, arg);
	} else {
		yes = verdict(OK, 250, "2.0.0", "ok");
		smtp_server_answer(s, &yes);
	}
	return server_asked(s);
}

static enum smtp_next
cmd_helo(struct smtp_server *s, struct slice arg)
{
	return hello(s, arg, false);
}

static enum smtp_next
cmd_ehlo(struct smtp_server *s, struct slice arg)
{
	return hello(s, arg, true);
}

/* ---- STARTTLS ----------------------------------------------------------- RFC 3207 --- */

static enum smtp_next
cmd_starttls(struct smtp_server *s, struct slice arg)
{
	int r;

	if (stream_secure(&s->io))
		return say(s, PERM, 503, "5.5.1", "TLS is on already");
	if (s->tls_ctx == NULL)
		return say(s, PERM, 502, "5.5.1", "STARTTLS is not offered here");
	if (arg.n)
		return say(s, PERM, 501, "5.5.4", "STARTTLS takes no argument");
	say(s, OK, 220, "2.0.0", "go ahead");
	stream_flush(&s->io);
	r = stream_tls_accept(&s->io, s->tls_ctx);
	if (r < 0) {
		s->why = "tls";
		return SMTP_CLOSE;
	}
	server_ask(s, ASK_TLS, 0);
	return SMTP_WAIT;
}

/* ---- MAIL --------------------------------------------------------------- 4.1.1.2 ---- */

/* What a parser's error is in SMTP: 501, 553 or 555. */
static enum smtp_next
bad_argument(struct smtp_server *s, int error, bool path_bad, const char *esc, const char *why)
{
	if (error == -ENOTSUP)
		return say(s, PERM, 555, "5.5.4", why);
	return path_bad ? say(s, PERM, 501, esc, why) : say(s, PERM, 501, "5.5.4", why);
}

static enum smtp_next
cmd_mail(struct smtp_server *s, struct slice arg)
{
	const struct smtp_limits *lim = s->policy->limits;
	struct verdict v;
	const char *why;
	bool path_bad;
	int r;

	if (lim->transactions && s->transactions >= lim->transactions) {
		v = verdict(TEMP, 421, "4.7.0", "%s too many messages in this session",
		    s->policy->hostname);
		return server_bye(s, "transactions", &v);
	}
	/* The slices live in the arena, as the transaction does; the line does not. */
	arg = arena_slice(&s->arena, arg);
	r = smtp_mail_parse(arg, &s->arena, &s->mail, &path_bad, &why);
	if (r == 0 && s->mail.xqid.p && !s->policy->lmtp) {
		r = -ENOTSUP;
		why = "unknown parameter";
	}
	if (r < 0) {
		bad_argument(s, r, path_bad, "5.1.7", why);
		server_forget(s);
		return SMTP_NEXT;
	}
	if ((s->mail.from.flags & ADDRESS_UTF8) && !s->mail.smtputf8) {
		say(s, PERM, 553, "5.6.7", "this address needs SMTPUTF8");
		server_forget(s);
		return SMTP_NEXT;
	}
	if (lim->size && s->mail.size > lim->size) {
		v = verdict(PERM, 552, "5.3.4", "message is larger than %llu octets",
		    (unsigned long long)lim->size);
		server_say(s, &v);
		server_forget(s);
		return SMTP_NEXT;
	}
	s->open = 1;
	server_ask(s, ASK_MAIL, 1);
	s->policy->mail(s, &s->mail);
	return server_asked(s);
}

/* ---- RCPT --------------------------------------------------------------- 4.1.1.3 ---- */

static enum smtp_next
cmd_rcpt(struct smtp_server *s, struct slice arg)
{
	struct smtp_rcpt *rcpt;
	const char *why;
	bool path_bad;
	int r;

	if (s->policy->limits->rcpts && s->nrcpt >= s->policy->limits->rcpts)
		return say(s, TEMP, 452, "4.5.3", "too many recipients");
	arg = arena_slice(&s->arena, arg);
	rcpt = arena_new(&s->arena, sizeof(*rcpt));
	r = smtp_rcpt_parse(arg, &s->arena, rcpt, &path_bad, &why);
	if (r < 0)
		return bad_argument(s, r, path_bad, "5.1.3", why);
	if ((rcpt->to.flags & ADDRESS_UTF8) && !s->mail.smtputf8)
		return say(s, PERM, 553, "5.6.7", "this address needs SMTPUTF8");
	server_ask(s, ASK_RCPT, 1);
	s->policy->rcpt(s, rcpt);
	return server_asked(s);
}

/* ---- the small ones ----------------------------------------------- 4.1.1.5 - 4.1.1.10 */

static enum smtp_next
cmd_rset(struct smtp_server *s, struct slice arg)
{
	if (arg.n)
		return say(s, PERM, 501, "5.5.4", "RSET takes no argument");
	server_forget(s);
	return say(s, OK, 250, "2.0.0", "ok");
}

static enum smtp_next
cmd_vrfy(struct smtp_server *s, struct slice arg)
{
	if (arg.n == 0)
		return say(s, PERM, 501, "5.5.4", "VRFY needs an argument");
	if (s->policy->vrfy == NULL) /* RFC 5321 3.5.3: 252 neither confirms nor denies */
		return say(s, OK, 252, "2.0.0", "cannot verify, but will take mail and try");
	server_ask(s, ASK_VRFY, 1);
	s->policy->vrfy(s, arena_slice(&s->arena, arg));
	return server_asked(s);
}

static enum smtp_next
cmd_expn(struct smtp_server *s, struct slice arg)
{
	(void)arg;
	return say(s, PERM, 502, "5.5.1", "EXPN is not offered here");
}

static enum smtp_next
cmd_noop(struct smtp_server *s, struct slice arg)
{
	(void)arg;
	return say(s, OK, 250, "2.0.0", "ok");
}

static enum smtp_next
cmd_quit(struct smtp_server *s, struct slice arg)
{
	struct verdict v = verdict(OK, 221, "2.0.0", "%s bye", s->policy->hostname);

	(void)arg;
	return server_bye(s, "quit", &v);
}

static enum smtp_next cmd_help(struct smtp_server *s, struct slice arg);

/* BDAT is legal anywhere, because its octets must be read over even when it is refused. */
static const struct smtp_verb verbs[] = {
	{ "MAIL", cmd_mail, SMTP_READY, 0, "RFC 5321 4.1.1.2" },
	{ "RCPT", cmd_rcpt, SMTP_IN_MAIL | SMTP_IN_RCPT, 0, "RFC 5321 4.1.1.3" },
	{ "DATA", server_data, SMTP_IN_RCPT, SMTP_LAST, "RFC 5321 4.1.1.4" },
	{ "BDAT", server_bdat, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH, "RFC 3030 2" },
	{ "EHLO", cmd_ehlo, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH | SMTP_LAST | ONLY_SMTP,
	    "RFC 5321 4.1.1.1" },
	{ "HELO", cmd_helo, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH | SMTP_LAST | ONLY_SMTP,
	    "RFC 5321 4.1.1.1" },
	{ "LHLO", cmd_ehlo, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH | SMTP_LAST | ONLY_LMTP,
	    "RFC 2033 4.1" },
	{ "STARTTLS", cmd_starttls, SMTP_READY, SMTP_PRE_TLS | SMTP_PRE_AUTH | SMTP_LAST,
	    "RFC 3207 4" },
	{ "RSET", cmd_rset, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH, "RFC 5321 4.1.1.5" },
	{ "VRFY", cmd_vrfy, SMTP_ANY, 0, "RFC 5321 4.1.1.6" },
	{ "EXPN", cmd_expn, SMTP_ANY, 0, "RFC 5321 4.1.1.7" },
	{ "HELP", cmd_help, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH, "RFC 5321 4.1.1.8" },
	{ "NOOP", cmd_noop, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH, "RFC 5321 4.1.1.9" },
	{ "QUIT", cmd_quit, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH, "RFC 5321 4.1.1.10" },
	{ NULL, NULL, 0, 0, NULL },
};

static enum smtp_next
cmd_help(struct smtp_server *s, struct slice arg)
{
	struct verdict v = { .kind = OK, .reply = 214, .subject = 0 };
	unsigned hide = s->policy->lmtp ? ONLY_SMTP : ONLY_LMTP;
	size_t n = 0;

	(void)arg;
	for (size_t i = 0; verbs[i].verb && n < sizeof(v.text); i++)
		if (!(verbs[i].flags & hide))
			n += (size_t)snprintf(v.text + n, sizeof(v.text) - n, "%s%s",
			    n ? " " : "", verbs[i].verb);
	for (const struct smtp_verb *own = s->policy->verbs;
	     own && own->verb && n < sizeof(v.text); own++)
		n += (size_t)snprintf(v.text + n, sizeof(v.text) - n, " %s", own->verb);
	server_say(s, &v);
	return SMTP_NEXT;
}

/* ---- one line ------------------------------------------------------------------------ */

static const struct smtp_verb *
verb_find(const struct smtp_server *s, struct slice verb)
{
	unsigned hide = s->policy->lmtp ? ONLY_SMTP : ONLY_LMTP;

	for (const struct smtp_verb *v = verbs; v->verb; v++)
		if (!(v->flags & hide) && slice_ieq(verb, slice_str(v->verb)))
			return v;
	for (const struct smtp_verb *v = s->policy->verbs; v && v->verb; v++)
		if (slice_ieq(verb, slice_str(v->verb)))
			return v;
	return NULL;
}

static enum smtp_next
unknown(struct smtp_server *s, struct slice verb)
{
	struct verdict v;

	/* A browser or a request forged by one: nothing that follows is meant for us. */
	if (slice_ieq(verb, S("GET")) || slice_ieq(verb, S("POST")) ||
	    slice_ieq(verb, S("CONNECT"))) {
		v = verdict(PERM, 521, "5.7.0", "this is no web server");
		return server_bye(s, "http", &v);
	}
	s->unknown++;
	if (s->policy->limits->unknown && s->unknown >= s->policy->limits->unknown) {
		v = verdict(
		    TEMP, 421, "4.7.0", "%s too many unknown commands", s->policy->hostname);
		return server_bye(s, "errors", &v);
	}
	return say(s, PERM, 500, "5.5.1", "unknown command");
}

static enum smtp_next
out_of_order(struct smtp_server *s, const struct smtp_verb *v)
{
	if (s->state == SMTP_GREETED)
		return say(s, PERM, 503, "5.5.1", s->policy->lmtp ? "LHLO first" : "EHLO first");
	if (s->state == SMTP_IN_BDAT)
		return say(s, PERM, 503, "5.5.1", "BDAT or RSET expected");
	if (v->states == SMTP_READY)
		return say(s, PERM, 503, "5.5.1", "a transaction is open");
	if (v->states == SMTP_IN_RCPT && s->state == SMTP_IN_MAIL)
		return say(s, PERM, 503, "5.5.1", "no valid recipients");
	return say(s, PERM, 503, "5.5.1", "MAIL first");
}

static enum smtp_next
dispatch(struct smtp_server *s, struct slice line)
{
	const struct smtp_verb *v;
	struct slice verb, arg;
	struct verdict early;

	s->verb = "command";
	if (!smtp_command_split(line, &verb, &arg)) {
		s->unknown++;
		return say(s, PERM, 500, "5.5.2", "no command");
	}
	v = verb_find(s, verb);
	if (v == NULL)
		return unknown(s, verb);
	s->verb = v->verb;
	if (line.n > SMTP_LINE_MAX && !(v->flags & SMTP_LONG))
		return say(s, PERM, 500, "5.5.2", "line too long");
	if (!(v->states & s->state))
		return out_of_order(s, v);
	if (s->need_tls && !stream_secure(&s->io) && !(v->flags & SMTP_PRE_TLS))
		return say(s, PERM, 530, "5.7.0", "STARTTLS first");
	if (s->need_auth && !s->authed && !(v->flags & SMTP_PRE_AUTH))
		return say(s, PERM, 530, "5.7.0", "authentication required");
	/* RFC 2920 3.1, and what smuggles a second message behind a first: a client that does
	 * not wait for our answer here is no mail client. */
	if ((v->flags & SMTP_LAST) && !s->policy->batch && stream_peek(&s->io).n) {
		early = verdict(PERM, 554, "5.5.0", "input behind %s before its answer", v->verb);
		return server_bye(s, "pipelining", &early);
	}
	return v->fn(s, arg);
}

static enum smtp_next
line_taken(struct smtp_server *s, struct slice line)
{
	enum smtp_next (*fn)(struct smtp_server *, struct slice) = s->line_fn;

	if (fn == NULL)
		return dispatch(s, line);
	s->line_fn = NULL;
	return fn(s, line);
}

enum smtp_step
server_command(struct smtp_server *s)
{
	enum line_end ending = LINE_CRLF;
	enum smtp_next next;
	struct slice line;
	int r = stream_line(&s->io, SMTP_AUTH_MAX, &line, &ending);

	if (r == 0)
		return STEP_DRY;
	s->progress = 1;
	if (r < 0) {
		s->phase = PHASE_SKIP;
		return STEP_ON;
	}
	if (ending == LINE_LF && !s->policy->limits->normalise) {
		s->verb = "command";
		s->line_fn = NULL;
		next = say(s, PERM, 500, "5.5.2", "lines end in CRLF");
	} else {
		next = line_taken(s, line);
	}
	if (next == SMTP_WAIT && s->asking == ASK_NOTHING)
		server_ask(s, ASK_OWN, 0);
	return next == SMTP_NEXT ? STEP_ON : next == SMTP_WAIT ? STEP_WAIT : STEP_CLOSE;
}

/* Reads over the rest of a line that is too long; its answer comes when it is over. */
enum smtp_step
server_skip(struct smtp_server *s)
{
	struct slice in = stream_peek(&s->io);
	size_t n = slice_find(in, '\n');

	if (in.n == 0)
		return STEP_DRY;
	if (n == in.n) {
		stream_take(&s->io, n);
		return STEP_DRY;
	}
	stream_take(&s->io, n + 1);
	s->phase = PHASE_COMMAND;
	s->line_fn = NULL;
	s->verb = "command";
	say(s, PERM, 500, "5.5.2", "line too long");
	return STEP_ON;
}
