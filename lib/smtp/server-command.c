/* smtp/server-command.c: the commands of SMTP and LMTP, and the line they come in.
 * RFC 5321 4.1.1, RFC 2033 (LHLO), RFC 3207 (STARTTLS), RFC 6531 (SMTPUTF8).
 *
 * One table says for each verb its states, flags and source; the dispatcher refuses by it, so that
 * no handler checks what is data.  A handler answers itself or asks the owner (smtp_policy), and
 * then nothing is read before smtp_server_answer.  What a client does wrong is a row of
 * mail/outcome.h; of ours only the start of TLS can fail, and ends the session.  Must stay true:
 * what outlives the command is copied into the transaction's arena, for the line moves. */
#include <errno.h>
#include <stdio.h>
#include "base/mem.h"
#include "smtp/server-impl.h"

/* Answers with a row of mail/outcome.h. */
PRINTF(5, 6)
static enum smtp_next
smtp_cmd_say(struct smtp_server *s, enum verdict_kind kind, int code, const char *esc,
    const char *fmt, ...)
{
	struct verdict v;
	va_list ap;

	va_start(ap, fmt);
	v = verdict_va(kind, code, esc, fmt, ap);
	va_end(ap);
	smtp_server_put_reply(s, &v);
	return SMTP_NEXT;
}

void
smtp_server_greet(struct smtp_server *s)
{
	struct buf *out = stream_out(&s->line.io);

	s->state = SMTP_GREETED;
	buf_printf(out, "220 %s %s ready\r\n", s->policy->hostname,
	    s->policy->lmtp ? "LMTP" : "ESMTP");
}

/* ---- EHLO, HELO, LHLO --------------------------------------------------- 4.1.1.1 ---- */

/* RFC 9422 3: those that there are, of this session. */
static void
smtp_server_limits(const struct smtp_limits *l, struct buf *text)
{
	if (!l->transactions && !l->rcpts)
		return;
	buf_lit(text, "\nLIMITS");
	if (l->transactions && l->transactions <= SMTP_LIMIT_MAX)
		buf_printf(text, " MAILMAX=%u", l->transactions);
	if (l->rcpts && l->rcpts <= SMTP_LIMIT_MAX)
		buf_printf(text, " RCPTMAX=%u", l->rcpts);
}

static void
smtp_server_extensions(const struct smtp_server *s, struct buf *text)
{
	buf_lit(text, "\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES");
	if (!s->no_chunking)
		buf_lit(text, "\nCHUNKING");
	buf_lit(text, "\nSMTPUTF8\nSIZE");
	if (s->policy->limits->size)
		buf_printf(text, " %llu", (unsigned long long)s->policy->limits->size);
	smtp_server_limits(s->policy->limits, text);
}

/* The answer to EHLO: what we offer. */
void
smtp_server_hello(struct smtp_server *s)
{
	struct buf text = { 0 };

	s->state = SMTP_READY;
	buf_printf(&text, "%s", s->policy->hostname);
	if (s->esmtp) {
		if (!s->policy->proxy)
			smtp_server_extensions(s, &text);
		buf_char(&text, '\n');
		if (s->tls_ctx && !s->no_tls && !stream_secure(&s->line.io))
			buf_lit(&text, "STARTTLS\n");
		if (s->policy->keywords)
			s->policy->keywords(s, &text);
	}
	smtp_reply_write(stream_out(&s->line.io), 250, NULL, buf_get(&text));
	buf_fini(&text);
}

static enum smtp_next
hello(struct smtp_server *s, struct slice arg, bool esmtp)
{
	struct verdict yes;

	if (!smtp_helo_valid(arg, s->policy->limits->strict_helo))
		return smtp_cmd_say(s, OUT_HELO_BAD);
	smtp_server_forget(s);
	s->esmtp = esmtp;
	mem_free(&s->helo);
	s->helo = mem_strn(arg.p, arg.n);
	smtp_server_put_question(s, ASK_HELO, 1);
	if (s->policy->helo) {
		s->policy->helo(s, slice_str(s->helo)); /* the line may move */
	} else {
		yes = verdict(OUT_OK);
		smtp_server_answer(s, &yes);
	}
	return smtp_server_asked(s);
}

static enum smtp_next
smtp_cmd_helo(struct smtp_server *s, struct slice arg)
{
	return hello(s, arg, false);
}

static enum smtp_next
smtp_cmd_ehlo(struct smtp_server *s, struct slice arg)
{
	return hello(s, arg, true);
}

/* ---- STARTTLS ----------------------------------------------------------- RFC 3207 --- */

static enum smtp_next
smtp_cmd_starttls(struct smtp_server *s, struct slice arg)
{
	int r;

	if (stream_secure(&s->line.io))
		return smtp_cmd_say(s, OUT_TLS_ALREADY);
	if (!s->tls_ctx || s->no_tls)
		return smtp_cmd_say(s, OUT_VERB_NOT_OFFERED, "STARTTLS");
	if (arg.n)
		return smtp_cmd_say(s, OUT_VERB_TAKES_NONE, "STARTTLS");
	smtp_cmd_say(s, OUT_TLS_BEGINS);
	r = line_session_starttls(&s->line, s->tls_ctx);
	if (r < 0) {
		s->line.why = "tls";
		return SMTP_CLOSE;
	}
	return SMTP_WAIT;
}

/* ---- MAIL --------------------------------------------------------------- 4.1.1.2 ---- */

/* What a parser's error is when it does not lie in the address. */
static enum smtp_next
bad_argument(struct smtp_server *s, int error, const char *why)
{
	return error == -ENOTSUP ? smtp_cmd_say(s, OUT_PARAMETER_UNKNOWN, why) :
				   smtp_cmd_say(s, OUT_ARGUMENT_BAD, why);
}

static enum smtp_next
smtp_cmd_mail(struct smtp_server *s, struct slice arg)
{
	const struct smtp_limits *lim = s->policy->limits;
	struct verdict v;
	const char *why;
	bool path_bad;
	int r;

	if (lim->transactions && s->transactions >= lim->transactions) {
		v = verdict(OUT_MESSAGES_MANY, s->policy->hostname);
		return smtp_server_bye(s, "transactions", &v);
	}
	/* The slices live in the arena, as the transaction does; the line does not. */
	arg = arena_slice(&s->arena, arg);
	r = smtp_mail_parse(arg, &s->arena, &s->mail, &path_bad, &why);
	if (r == 0 &&
	    ((s->mail.xqid.p && !s->policy->lmtp) || (s->mail.aside.p && !s->may_aside) ||
		(s->mail.release && !s->may_release) || (s->mail.has_by && !s->may_by) ||
		(s->mail.has_priority && !s->may_priority) ||
		(s->mail.requiretls && !s->may_requiretls))) {
		r = -ENOTSUP;
		why = "unknown parameter";
	}
	if (r < 0) {
		if (path_bad && r != -ENOTSUP)
			smtp_cmd_say(s, OUT_SENDER_BAD, why);
		else
			bad_argument(s, r, why);
		smtp_server_forget(s);
		return SMTP_NEXT;
	}
	if ((s->mail.from.flags & ADDRESS_UTF8) && !s->mail.smtputf8) {
		smtp_cmd_say(s, OUT_RCPT_NOT_ASCII);
		smtp_server_forget(s);
		return SMTP_NEXT;
	}
	if (lim->size && s->mail.size > lim->size) {
		v = verdict(OUT_SIZE_DECLARED, (unsigned long long)lim->size);
		smtp_server_put_reply(s, &v);
		smtp_server_forget(s);
		return SMTP_NEXT;
	}
	s->open = 1;
	smtp_server_put_question(s, ASK_MAIL, 1);
	s->policy->mail(s, &s->mail);
	return smtp_server_asked(s);
}

/* ---- RCPT --------------------------------------------------------------- 4.1.1.3 ---- */

static enum smtp_next
smtp_cmd_rcpt(struct smtp_server *s, struct slice arg)
{
	struct smtp_rcpt *rcpt;
	const char *why;
	bool path_bad;
	int r;

	if (s->policy->limits->rcpts && s->nrcpt >= s->policy->limits->rcpts)
		return smtp_cmd_say(s, OUT_RCPTS_MANY);
	arg = arena_slice(&s->arena, arg);
	rcpt = arena_new(&s->arena, sizeof(*rcpt));
	r = smtp_rcpt_parse(arg, s->policy->bare, &s->arena, rcpt, &path_bad, &why);
	if (r >= 0 &&
	    ((rcpt->ignore_quota && !s->policy->lmtp) || (rcpt->run.p && !s->policy->runs) ||
		(rcpt->event.p && !s->may_event) ||
		(rcpt->sent && !s->policy->lmtp && !s->may_aside))) {
		r = -ENOTSUP;
		why = "unknown parameter";
	}
	if (r < 0)
		return path_bad && r != -ENOTSUP ? smtp_cmd_say(s, OUT_RCPT_BAD, why) :
						   bad_argument(s, r, why);
	if ((rcpt->to.flags & ADDRESS_UTF8) && !s->mail.smtputf8)
		return smtp_cmd_say(s, OUT_RCPT_NOT_ASCII);
	smtp_server_put_question(s, ASK_RCPT, 1);
	s->policy->rcpt(s, rcpt);
	return smtp_server_asked(s);
}

/* ---- the small ones ----------------------------------------------- 4.1.1.5 - 4.1.1.10 */

static enum smtp_next
smtp_cmd_rset(struct smtp_server *s, struct slice arg)
{
	if (arg.n)
		return smtp_cmd_say(s, OUT_VERB_TAKES_NONE, "RSET");
	smtp_server_forget(s);
	return smtp_cmd_say(s, OUT_OK);
}

static enum smtp_next
smtp_cmd_vrfy(struct smtp_server *s, struct slice arg)
{
	if (arg.n == 0)
		return smtp_cmd_say(s, OUT_VERB_NEEDS, "VRFY", "an argument");
	if (!s->policy->vrfy) /* RFC 5321 3.5.3: 252 neither confirms nor denies */
		return smtp_cmd_say(s, OUT_VRFY_PERHAPS);
	smtp_server_put_question(s, ASK_VRFY, 1);
	s->policy->vrfy(s, arena_slice(&s->arena, arg));
	return smtp_server_asked(s);
}

static enum smtp_next
smtp_cmd_expn(struct smtp_server *s, struct slice arg)
{
	(void)arg;
	return smtp_cmd_say(s, OUT_VERB_NOT_OFFERED, "EXPN");
}

static enum smtp_next
smtp_cmd_noop(struct smtp_server *s, struct slice arg)
{
	(void)arg;
	return smtp_cmd_say(s, OUT_OK);
}

static enum smtp_next
smtp_cmd_quit(struct smtp_server *s, struct slice arg)
{
	struct verdict v = verdict(OUT_BYE, s->policy->hostname);

	(void)arg;
	return smtp_server_bye(s, "quit", &v);
}

static enum smtp_next smtp_cmd_help(struct smtp_server *s, struct slice arg);

/* BDAT is legal anywhere, because its octets must be read over even when it is refused. */
static const struct smtp_verb verbs[] = {
	{ "MAIL", smtp_cmd_mail, SMTP_READY, 0, "RFC 5321 4.1.1.2" },
	{ "RCPT", smtp_cmd_rcpt, SMTP_IN_MAIL | SMTP_IN_RCPT, 0, "RFC 5321 4.1.1.3" },
	{ "DATA", smtp_server_data, SMTP_IN_RCPT, SMTP_LAST, "RFC 5321 4.1.1.4" },
	{ "BDAT", smtp_server_bdat, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH, "RFC 3030 2" },
	{ "EHLO", smtp_cmd_ehlo, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH | SMTP_LAST | ONLY_SMTP,
	    "RFC 5321 4.1.1.1" },
	{ "HELO", smtp_cmd_helo, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH | SMTP_LAST | ONLY_SMTP,
	    "RFC 5321 4.1.1.1" },
	{ "LHLO", smtp_cmd_ehlo, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH | SMTP_LAST | ONLY_LMTP,
	    "RFC 2033 4.1" },
	{ "STARTTLS", smtp_cmd_starttls, SMTP_READY, SMTP_PRE_TLS | SMTP_PRE_AUTH | SMTP_LAST,
	    "RFC 3207 4" },
	{ "RSET", smtp_cmd_rset, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH, "RFC 5321 4.1.1.5" },
	{ "VRFY", smtp_cmd_vrfy, SMTP_ANY, 0, "RFC 5321 4.1.1.6" },
	{ "EXPN", smtp_cmd_expn, SMTP_ANY, 0, "RFC 5321 4.1.1.7" },
	{ "HELP", smtp_cmd_help, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH, "RFC 5321 4.1.1.8" },
	{ "NOOP", smtp_cmd_noop, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH, "RFC 5321 4.1.1.9" },
	{ "QUIT", smtp_cmd_quit, SMTP_ANY, SMTP_PRE_TLS | SMTP_PRE_AUTH, "RFC 5321 4.1.1.10" },
	{ NULL, NULL, 0, 0, NULL },
};

static enum smtp_next
smtp_cmd_help(struct smtp_server *s, struct slice arg)
{
	struct verdict v = { .kind = OK, .reply = 214, .subject = 0 };
	unsigned hide = s->policy->lmtp ? ONLY_SMTP : ONLY_LMTP;
	size_t n = 0;

	(void)arg;
	for (size_t i = 0; verbs[i].verb && n < sizeof(v.text); i++)
		if (!(verbs[i].flags & hide))
			n += (size_t)snprintf(v.text + n, sizeof(v.text) - n, "%s%s", n ? " " : "",
			    verbs[i].verb);
	for (const struct smtp_verb *own = s->policy->verbs; own && own->verb && n < sizeof(v.text);
	     own++)
		if (!(own->flags & SMTP_QUIET))
			n += (size_t)snprintf(v.text + n, sizeof(v.text) - n, " %s", own->verb);
	smtp_server_put_reply(s, &v);
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
smtp_cmd_unknown(struct smtp_server *s, struct slice verb)
{
	struct verdict v;

	/* A browser or a request forged by one: nothing that follows is meant for us. */
	if (slice_ieq(verb, S("GET")) || slice_ieq(verb, S("POST")) ||
	    slice_ieq(verb, S("CONNECT"))) {
		v = verdict(OUT_NOT_HTTP);
		return smtp_server_bye(s, "http", &v);
	}
	s->unknown++;
	if (s->policy->limits->unknown && s->unknown >= s->policy->limits->unknown) {
		v = verdict(OUT_UNKNOWN_MANY, s->policy->hostname);
		return smtp_server_bye(s, "errors", &v);
	}
	if (!s->policy->unknown)
		return smtp_cmd_say(s, OUT_VERB_UNKNOWN);
	smtp_server_put_question(s, ASK_UNKNOWN, 1);
	s->policy->unknown(s, verb);
	return smtp_server_asked(s);
}

static enum smtp_next
out_of_order(struct smtp_server *s, const struct smtp_verb *v)
{
	if (s->state == SMTP_GREETED)
		return smtp_cmd_say(s, OUT_ORDER_FIRST, s->policy->lmtp ? "LHLO" : "EHLO");
	if (s->state == SMTP_IN_BDAT)
		return smtp_cmd_say(s, OUT_ORDER_BDAT);
	if (v->states == SMTP_READY)
		return smtp_cmd_say(s, OUT_ORDER_OPEN);
	if (v->states == SMTP_IN_RCPT && s->state == SMTP_IN_MAIL)
		return smtp_cmd_say(s, OUT_ORDER_NO_RCPT);
	return smtp_cmd_say(s, OUT_ORDER_FIRST, "MAIL");
}

static enum smtp_next
smtp_cmd_dispatch(struct smtp_server *s, struct slice line)
{
	const struct smtp_verb *v;
	struct slice verb, arg;
	struct verdict early;

	s->verb = "command";
	if (!smtp_command_split(line, &verb, &arg)) {
		s->unknown++;
		return smtp_cmd_say(s, OUT_LINE_EMPTY);
	}
	v = verb_find(s, verb);
	if (!v)
		return smtp_cmd_unknown(s, verb);
	s->verb = v->verb;
	if (line.n > SMTP_LINE_MAX && !(v->flags & SMTP_LONG))
		return smtp_cmd_say(s, OUT_LINE_LONG);
	if (!(v->states & s->state))
		return out_of_order(s, v);
	if (s->need_tls && !stream_secure(&s->line.io) && !(v->flags & SMTP_PRE_TLS))
		return smtp_cmd_say(s, OUT_TLS_FIRST);
	if (s->need_auth && !s->authed && !(v->flags & SMTP_PRE_AUTH))
		return smtp_cmd_say(s, OUT_AUTH_FIRST);
	/* RFC 2920 3.1, and what smuggles a second message behind a first: a client that does
	 * not wait for our answer here is no mail client. */
	if ((v->flags & SMTP_LAST) && !s->policy->batch && stream_peek(&s->line.io).n) {
		early = verdict(OUT_INPUT_EARLY, v->verb);
		return smtp_server_bye(s, "pipelining", &early);
	}
	return v->fn(s, arg);
}

static enum smtp_next
line_taken(struct smtp_server *s, struct slice line)
{
	enum smtp_next (*fn)(struct smtp_server *, struct slice) = s->line_fn;

	if (!fn)
		return smtp_cmd_dispatch(s, line);
	s->line_fn = NULL;
	return fn(s, line);
}

enum line_next
smtp_server_command(struct smtp_server *s)
{
	enum line_end ending = LINE_CRLF;
	enum smtp_next next;
	struct slice line;
	int r = stream_line(&s->line.io, SMTP_AUTH_MAX, &line, &ending);

	if (r == 0)
		return LINE_DRY;
	s->progress = 1;
	if (r < 0) {
		s->phase = PHASE_SKIP;
		return LINE_ON;
	}
	if (ending == LINE_LF && !s->policy->limits->normalise) {
		s->verb = "command";
		s->line_fn = NULL;
		next = smtp_cmd_say(s, OUT_LINE_BARE_LF);
	} else {
		next = line_taken(s, line);
	}
	if (next == SMTP_WAIT && s->asking == ASK_NOTHING && s->line.state != LINE_HANDSHAKE)
		smtp_server_put_question(s, ASK_OWN, 0);
	return next == SMTP_NEXT ? LINE_ON : next == SMTP_WAIT ? LINE_WAIT : LINE_CLOSE;
}

/* Reads over the rest of a line that is too long; its answer comes when it is over. */
enum line_next
smtp_server_skip(struct smtp_server *s)
{
	struct slice in = stream_peek(&s->line.io);
	size_t n = slice_find(in, '\n');

	if (in.n == 0)
		return LINE_DRY;
	if (n == in.n) {
		stream_take(&s->line.io, n);
		return LINE_DRY;
	}
	stream_take(&s->line.io, n + 1);
	s->phase = PHASE_COMMAND;
	s->line_fn = NULL;
	s->verb = "command";
	smtp_cmd_say(s, OUT_LINE_LONG);
	return LINE_ON;
}
