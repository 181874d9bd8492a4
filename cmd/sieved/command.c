/* sieved/command.c: ManageSieve's lines (RFC 5804): the table of commands, answers, and what belongs to no script.
 *
 * Called by session.c for each step.  Owns the command in flight, from its last octet to its answer.  Nothing can fail
 * but what a client says.  Must stay true: every command has exactly one answer; a command that was not understood is
 * passed over whole, its literals with it; and what was said before a handshake is not listened to behind it. */
#include "base/log.h"
#include "sieved.h"

/* Commands that a client may give before login: silence is limited by time, chatter by this. */
#define EARLY_COMMANDS 100
/* Octets of a command's words: of a stranger's (names and passwords), and of others beside a script. */
#define EARLY_WORDS 8192
#define WORDS_MAX   4096

/* ---- answers ------------------------------------------------------------------------------------ */

void
sieved_say(struct sieved_session *s, const char *word, const char *code, struct slice text)
{
	struct buf *b = sieved_out(s);

	buf_str(b, word);
	if (code)
		buf_printf(b, " (%s)", code);
	buf_char(b, ' ');
	managesieve_write_string(b, text);
	buf_lit(b, "\r\n");
}

enum line_next
sieved_ok(struct sieved_session *s, const char *text)
{
	s->line.faults = 0;
	sieved_say(s, "OK", NULL, slice_str(text));
	sieved_command_over(s);
	return LINE_ON;
}

enum line_next
sieved_no(struct sieved_session *s, const char *code, struct slice text)
{
	s->line.faults = 0;
	sieved_say(s, "NO", code, text);
	sieved_command_over(s);
	return LINE_ON;
}

enum line_next
sieved_bye(struct sieved_session *s, const char *code, struct slice text)
{
	sieved_say(s, "BYE", code, text);
	sieved_command_over(s);
	return LINE_CLOSE;
}

enum line_next
sieved_bad(struct sieved_session *s, struct slice text)
{
	metric_add(M_BAD, 1);
	if (line_session_fault(&s->line, (uint32_t)config.bad_commands)) {
		s->line.why = "errors";
		return sieved_bye(s, NULL, S("Too many errors"));
	}
	sieved_say(s, "NO", NULL, text);
	sieved_command_over(s);
	return LINE_ON;
}

void
sieved_command_over(struct sieved_session *s)
{
	s->cmd = NULL;
	s->changing = false;
	/* A connection that waits for its next line keeps nothing. */
	managesieve_reader_reset(&s->in);
	s->in.most = s->account ? (size_t)config.octets + WORDS_MAX : EARLY_WORDS;
}

/* ---- what there is ------------------------------------------------------------- RFC 5804 1.7 -- */

static void
capability(struct buf *b, const char *name, struct slice value)
{
	buf_printf(b, "\"%s\" ", name);
	managesieve_write_string(b, value);
	buf_lit(b, "\r\n");
}

void
sieved_capabilities(struct sieved_session *s)
{
	bool secret = sieved_session_password_ok(s);
	struct buf *b = sieved_out(s), words = { 0 };

	/* Which version this is nobody learns before he has logged in. */
	capability(b, "IMPLEMENTATION",
	    s->account ? S("tiermail " TIERMAIL_VERSION) : S("tiermail"));
	capability(b, "VERSION", S("1.0"));
	buf_printf(b, "\"SASL\" \"%s%s\"\r\n", secret ? login_mechanisms() : "",
	    s->proxy ? (secret ? " EXTERNAL" : "EXTERNAL") : "");
	rules_extensions(&words);
	capability(b, "SIEVE", buf_get(&words));
	buf_clear(&words);
	capability(b, "NOTIFY", S("mailto"));
	buf_printf(&words, "%lld", (long long)config.redirects);
	capability(b, "MAXREDIRECTS", buf_get(&words));
	capability(b, "EXTLISTS", S("mailto urn"));
	capability(b, "LANGUAGE", S("en"));
	if (s->tls_ctx && !stream_secure(&s->line.io))
		buf_lit(b, "\"STARTTLS\"\r\n");
	if (s->proxy)
		capability(b, "XCLIENT", S("ADDR PORT SESSION APP"));
	if (!s->brought)
		buf_lit(b, "\"UNAUTHENTICATE\"\r\n");
	if (s->account)
		capability(b, "OWNER", slice_str(s->account));
	buf_fini(&words);
}

static enum line_next
cmd_capability(struct sieved_session *s)
{
	sieved_capabilities(s);
	return sieved_ok(s, "Capabilities");
}

/* ---- commands that touch no script ----------------------------------------------------------------- */

/* RFC 5804 2.2 */
static enum line_next
cmd_starttls(struct sieved_session *s)
{
	if (!s->tls_ctx || stream_secure(&s->line.io))
		return sieved_bad(s,
		    s->tls_ctx ? S("TLS is on already") : S("There is no TLS here"));
	/* What the client sent behind the command came from anybody: no TLS for it. */
	if (stream_peek(&s->line.io).n > 0) {
		s->line.why = "plaintext";
		return sieved_bye(s, NULL, S("Input behind STARTTLS before its answer"));
	}
	sieved_ok(s, "Begin TLS");
	if (line_session_starttls(&s->line, s->tls_ctx) < 0) {
		s->line.why = "tls";
		return LINE_CLOSE;
	}
	return LINE_WAIT;
}

/* RFC 5804 2.3 */
static enum line_next
cmd_logout(struct sieved_session *s)
{
	s->line.why = "quit";
	sieved_ok(s, "Good bye");
	return LINE_CLOSE;
}

/* RFC 5804 2.13: an argument comes back. */
static enum line_next
cmd_noop(struct sieved_session *s)
{
	struct buf *b = sieved_out(s);

	if (s->in.n == 1)
		return sieved_ok(s, "Done");
	s->line.faults = 0;
	buf_lit(b, "OK (TAG ");
	managesieve_write_string(b, sieved_arg(s, 1));
	buf_lit(b, ") \"Done\"\r\n");
	sieved_command_over(s);
	return LINE_ON;
}

/* ---- the table ----------------------------------------------------------------------------------------- */

static const struct sieved_command commands[] = {
	{ "AUTHENTICATE", sieved_cmd_authenticate, "s?s", SIEVED_BEFORE, "RFC 5804 2.1" },
	{ "STARTTLS", cmd_starttls, "", SIEVED_BEFORE, "RFC 5804 2.2" },
	{ "LOGOUT", cmd_logout, "", SIEVED_ANY, "RFC 5804 2.3" },
	{ "CAPABILITY", cmd_capability, "", SIEVED_ANY, "RFC 5804 2.4" },
	{ "HAVESPACE", sieved_cmd_havespace, "sn", SIEVED_IN, "RFC 5804 2.5" },
	{ "PUTSCRIPT", sieved_cmd_putscript, "ss", SIEVED_IN, "RFC 5804 2.6" },
	{ "LISTSCRIPTS", sieved_cmd_listscripts, "", SIEVED_IN, "RFC 5804 2.7" },
	{ "SETACTIVE", sieved_cmd_setactive, "s", SIEVED_IN, "RFC 5804 2.8" },
	{ "GETSCRIPT", sieved_cmd_getscript, "s", SIEVED_IN, "RFC 5804 2.9" },
	{ "DELETESCRIPT", sieved_cmd_deletescript, "s", SIEVED_IN, "RFC 5804 2.10" },
	{ "RENAMESCRIPT", sieved_cmd_renamescript, "ss", SIEVED_IN, "RFC 5804 2.11" },
	{ "CHECKSCRIPT", sieved_cmd_checkscript, "s", SIEVED_IN, "RFC 5804 2.12" },
	{ "NOOP", cmd_noop, "?s", SIEVED_ANY, "RFC 5804 2.13" },
	{ "UNAUTHENTICATE", sieved_cmd_unauthenticate, "", SIEVED_IN, "RFC 5804 2.14" },
	{ "XCLIENT", sieved_cmd_xclient, "*", SIEVED_BEFORE, "Dovecot" },
};

/* Are they what the table says? */
static bool
command_args_ok(const struct sieved_session *s, const char *args)
{
	size_t i = 1;
	bool optional = false;
	uint64_t n;

	if (*args == '*')
		return true;
	for (; *args; args++) {
		if (*args == '?') {
			optional = true;
			continue;
		}
		if (i >= s->in.n)
			return optional;
		if (s->in.string[i] != (*args == 's'))
			return false;
		if (*args == 'n' && slice_u64(sieved_arg(s, i), UINT32_MAX, &n) < 0)
			return false;
		i++;
	}
	return i >= s->in.n;
}

static const struct sieved_command *
command_find(const struct sieved_session *s)
{
	for (size_t i = 0; s->in.n > 0 && !s->in.string[0] && i < NELEM(commands); i++)
		if (slice_ieq(sieved_arg(s, 0), slice_str(commands[i].name)))
			return &commands[i];
	return NULL;
}

/* A script that is too large, or else words that nothing needs so long. */
static enum line_next
command_large(struct sieved_session *s)
{
	const struct sieved_command *c = command_find(s);

	if (s->account && c && (c->run == sieved_cmd_putscript || c->run == sieved_cmd_checkscript))
		return sieved_no(s, "QUOTA/MAXSIZE", S("This script is too large"));
	return sieved_bad(s, S("Too long"));
}

static enum line_next
command_run(struct sieved_session *s)
{
	const struct sieved_command *c = command_find(s);
	struct buf text = { 0 };
	enum line_next next;

	metric_add(M_COMMANDS, 1);
	if (log_wants(LOG_DEBUG))
		log_event(LOG_DEBUG, "command", "sid=%s verb=%s", s->sid,
		    log_value(sieved_arg(s, 0)));
	if (!s->account && ++s->early > EARLY_COMMANDS) {
		s->line.why = "early";
		return sieved_bye(s, NULL, S("Too many commands before the login"));
	}
	if (!c)
		return sieved_bad(s, S("There is no such command"));
	if (!(c->states & (s->account ? SIEVED_IN : SIEVED_BEFORE)))
		return sieved_bad(s, s->account ? S("Logged in already") : S("Log in first"));
	s->cmd = c;
	if (command_args_ok(s, c->args))
		return c->run(s);
	buf_printf(&text, "%s: wrong arguments", c->name);
	next = sieved_bad(s, buf_get(&text));
	buf_fini(&text);
	return next;
}

enum line_next
sieved_command_step(struct line_session *l)
{
	struct sieved_session *s = sieved_session_of(l);
	enum managesieve_read how = MANAGESIEVE_PART;
	struct slice in = stream_peek(&l->io);

	if (in.n == 0)
		return LINE_DRY;
	stream_take(&l->io, managesieve_reader_feed(&s->in, in, &how));
	if (s->in.large && !s->account) /* strangers are not listened to for so long */
		how = MANAGESIEVE_FLOOD;
	switch (how) {
	case MANAGESIEVE_PART: return LINE_ON;
	case MANAGESIEVE_FLOOD: l->why = "flood"; return sieved_bye(s, NULL, S("Too long"));
	case MANAGESIEVE_COMPLETE: return s->exchange ? sieved_auth_response(s) : command_run(s);
	case MANAGESIEVE_WRONG:
	case MANAGESIEVE_LARGE: break;
	}
	if (s->exchange) { /* who is told NO takes the exchange for over */
		s->exchange = false;
		login_free(&s->login);
	}
	return how == MANAGESIEVE_LARGE ? command_large(s) : sieved_bad(s, S("That is no command"));
}
