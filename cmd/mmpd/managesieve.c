/* mmpd/managesieve.c: ManageSieve before the login: what the proxy says itself.  RFC 5804.
 *
 * Owns the line_session of such a session, and, of the worker, what Sieve the stores were seen to have; auth.c
 * has the login, managesieve-client.c the way in at the store, pair.c what comes behind it.  Can fail: only
 * opening.  Must stay true: nothing that a client says before the login reaches a store; scripts are neither
 * taken nor shown here; and who could not be served now is told TRYLATER, never that his password is wrong. */
#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "managesieve-client.h"
#include "managesieve/text.h"
#include "mmpd.h"
#include "sasl/sasl.h"

/* Commands that a client may give before login: silence is limited by time, chatter by this. */
#define EARLY_COMMANDS 100
#define COMMAND_MAX    8192 /* octets of the words of one: names and passwords */

/* The SIEVE line of the store that was last greeted; heap, NULL: none yet. */
static char *seen;

static struct mmpd_session *
mmpd_sieve_of(struct line_session *l)
{
	return CAST(CONTAINER(l, struct mmpd_session, sieve.line), struct mmpd_session,
	    MMPD_SESSION_MAGIC);
}

static struct buf *
mmpd_sieve_out(struct mmpd_session *s)
{
	return stream_out(&s->sieve.line.io);
}

/* ---- answers ------------------------------------------------------------------------------------ */

/* "OK", "NO" or "BYE", with a code or NULL, and words.				RFC 5804 1.2, 1.3 */
static enum line_next
mmpd_sieve_say(struct mmpd_session *s, const char *word, const char *code, struct slice text)
{
	struct buf *b = mmpd_sieve_out(s);

	buf_str(b, word);
	if (code)
		buf_printf(b, " (%s)", code);
	buf_char(b, ' ');
	managesieve_write_string(b, text);
	buf_lit(b, "\r\n");
	return strcmp(word, "BYE") == 0 ? LINE_CLOSE : LINE_ON;
}

static enum line_next
mmpd_sieve_ok(struct mmpd_session *s, const char *text)
{
	s->sieve.line.faults = 0;
	return mmpd_sieve_say(s, "OK", NULL, slice_str(text));
}

static enum line_next
mmpd_sieve_bad(struct mmpd_session *s, struct slice text)
{
	metric_add(M_BAD, 1);
	if (!line_session_fault(&s->sieve.line, (uint32_t)config.bad_commands))
		return mmpd_sieve_say(s, "NO", NULL, text);
	s->sieve.line.why = "errors";
	return mmpd_sieve_say(s, "BYE", NULL, S("Too many errors"));
}

/* RFC 5804 1.7 */
static void
mmpd_sieve_capabilities(struct mmpd_session *s)
{
	struct buf *b = mmpd_sieve_out(s);

	buf_lit(b, "\"IMPLEMENTATION\" \"tiermail\"\r\n\"VERSION\" \"1.0\"\r\n");
	buf_printf(b, "\"SASL\" \"%s\"\r\n", mmpd_session_password_ok(s) ? login_mechanisms() : "");
	if (s->sieve.tls_ctx && !stream_secure(&s->sieve.line.io))
		buf_lit(b, "\"STARTTLS\"\r\n");
	buf_lit(b, "\"SIEVE\" ");
	managesieve_write_string(b, slice_str(seen ? seen : config.sieve));
	buf_lit(b, "\r\n");
}

/* ---- AUTHENTICATE ------------------------------------------------------------ RFC 5804 2.1 -- */

/* A client that is told NO takes the exchange for over, and his next line is a command. */
static void
mmpd_sieve_give_up(struct mmpd_session *s)
{
	s->sieve.exchange = false;
	login_free(&s->login);
}

static enum line_next
mmpd_sieve_ask(struct mmpd_session *s, struct slice text)
{
	struct buf *b = mmpd_sieve_out(s);

	s->sieve.exchange = true;
	buf_char(b, '"');
	base64_write(b, text);
	buf_lit(b, "\"\r\n");
	return LINE_ON;
}

static void
mmpd_sieve_challenge(struct mmpd_session *s, struct slice text)
{
	line_session_resume(&s->sieve.line, mmpd_sieve_ask(s, text));
}

static enum line_next
mmpd_sieve_step(struct mmpd_session *s, const struct slice *response)
{
	struct slice text;

	s->sieve.exchange = false;
	switch (mmpd_auth_step(s, response, &text)) {
	case LOGIN_CHALLENGE: return mmpd_sieve_ask(s, text);
	case LOGIN_WAIT: return LINE_WAIT;
	case LOGIN_MALFORMED: break;
	}
	return mmpd_sieve_bad(s, text);
}

static enum line_next
mmpd_sieve_decode(struct mmpd_session *s, struct slice text)
{
	struct buf b = { 0 };
	enum line_next next;
	struct slice bytes;

	if (sasl_decode(&b, text)) {
		bytes = buf_get(&b);
		next = mmpd_sieve_step(s, &bytes);
	} else {
		mmpd_sieve_give_up(s);
		next = mmpd_sieve_bad(s, S("Not base64"));
	}
	secret_clear(b.p, b.n);
	buf_fini(&b);
	return next;
}

static enum line_next
mmpd_sieve_authenticate(struct mmpd_session *s)
{
	if (s->sieve.in.n < 2 || s->sieve.in.n > 3 || !s->sieve.in.string[1] ||
	    (s->sieve.in.n == 3 && !s->sieve.in.string[2]))
		return mmpd_sieve_bad(s, S("AUTHENTICATE needs a mechanism"));
	if (!mmpd_session_password_ok(s))
		return mmpd_sieve_say(s, "NO", "ENCRYPT-NEEDED", S("STARTTLS first"));
	if (!mmpd_auth_mechanism(s, managesieve_reader_word(&s->sieve.in, 1)))
		return mmpd_sieve_say(s, "NO", NULL, S("Unknown mechanism"));
	return s->sieve.in.n == 3 ? mmpd_sieve_decode(s, managesieve_reader_word(&s->sieve.in, 2)) :
				    mmpd_sieve_step(s, NULL);
}

/* The client's answer to a challenge: a string; "*" gives up. */
static enum line_next
mmpd_sieve_response(struct mmpd_session *s)
{
	if (s->sieve.in.n == 1 && s->sieve.in.string[0] &&
	    !slice_eq(managesieve_reader_word(&s->sieve.in, 0), S("*")))
		return mmpd_sieve_decode(s, managesieve_reader_word(&s->sieve.in, 0));
	mmpd_sieve_give_up(s);
	return mmpd_sieve_bad(s, S("Authentication was given up"));
}

/* ---- the other commands --------------------------------------------------------------------------- */

static enum line_next
mmpd_sieve_capability(struct mmpd_session *s)
{
	if (s->sieve.in.n != 1)
		return mmpd_sieve_bad(s, S("CAPABILITY takes nothing"));
	mmpd_sieve_capabilities(s);
	return mmpd_sieve_ok(s, "Capabilities");
}

static enum line_next
mmpd_sieve_starttls(struct mmpd_session *s)
{
	if (s->sieve.in.n != 1)
		return mmpd_sieve_bad(s, S("STARTTLS takes nothing"));
	if (!s->sieve.tls_ctx || stream_secure(&s->sieve.line.io))
		return mmpd_sieve_bad(s, S("No TLS, or TLS already"));
	mmpd_sieve_ok(s, "Begin TLS");
	if (line_session_starttls(&s->sieve.line, s->sieve.tls_ctx) < 0) {
		s->sieve.line.why = "tls";
		return LINE_CLOSE;
	}
	return LINE_WAIT;
}

static enum line_next
mmpd_sieve_logout(struct mmpd_session *s)
{
	s->sieve.line.why = "quit";
	mmpd_sieve_ok(s, "Good bye");
	return LINE_CLOSE;
}

/* RFC 5804 2.13: an argument comes back. */
static enum line_next
mmpd_sieve_noop(struct mmpd_session *s)
{
	struct buf *b = mmpd_sieve_out(s);

	if (s->sieve.in.n > 2 || (s->sieve.in.n == 2 && !s->sieve.in.string[1]))
		return mmpd_sieve_bad(s, S("NOOP takes a string at most"));
	if (s->sieve.in.n == 1)
		return mmpd_sieve_ok(s, "Done");
	buf_lit(b, "OK (TAG ");
	managesieve_write_string(b, managesieve_reader_word(&s->sieve.in, 1));
	buf_lit(b, ") \"Done\"\r\n");
	return LINE_ON;
}

static const struct {
	const char *name;
	enum line_next (*run)(struct mmpd_session *);
} commands[] = {
	{ "CAPABILITY", mmpd_sieve_capability },
	{ "STARTTLS", mmpd_sieve_starttls },
	{ "AUTHENTICATE", mmpd_sieve_authenticate },
	{ "NOOP", mmpd_sieve_noop },
	{ "LOGOUT", mmpd_sieve_logout },
};

static enum line_next
mmpd_sieve_run(struct mmpd_session *s)
{
	if (s->sieve.exchange)
		return mmpd_sieve_response(s);
	metric_add(M_COMMANDS, 1);
	if (++s->sieve.early > EARLY_COMMANDS) {
		s->sieve.line.why = "early";
		return mmpd_sieve_say(s, "BYE", NULL, S("Too many commands before the login"));
	}
	for (size_t i = 0; s->sieve.in.n > 0 && !s->sieve.in.string[0] && i < NELEM(commands); i++)
		if (slice_ieq(managesieve_reader_word(&s->sieve.in, 0),
			slice_str(commands[i].name)))
			return commands[i].run(s);
	return mmpd_sieve_bad(s,
	    S("Log in first: AUTHENTICATE, STARTTLS, CAPABILITY, NOOP, LOGOUT"));
}

/* ---- what line_session asks ------------------------------------------------------------------------ */

/* What has come is not kept longer than it is needed: it may hold a password. */
static void
mmpd_sieve_over(struct mmpd_session *s)
{
	s->sieve.in.most = COMMAND_MAX;
	managesieve_reader_reset(&s->sieve.in);
}

static enum line_next
mmpd_sieve_on_step(struct line_session *l)
{
	struct mmpd_session *s = mmpd_sieve_of(l);
	enum managesieve_read how = MANAGESIEVE_PART;
	struct slice in = stream_peek(&l->io);
	enum line_next next = LINE_ON;

	if (in.n == 0)
		return LINE_DRY;
	stream_take(&l->io, managesieve_reader_feed(&s->sieve.in, in, &how));
	if (s->sieve.in.large) /* strangers are not listened to for so long */
		how = MANAGESIEVE_FLOOD;
	switch (how) {
	case MANAGESIEVE_PART: return LINE_ON;
	case MANAGESIEVE_COMPLETE: next = mmpd_sieve_run(s); break;
	case MANAGESIEVE_WRONG:
		mmpd_sieve_give_up(s);
		next = mmpd_sieve_bad(s, S("That is no command"));
		break;
	case MANAGESIEVE_LARGE:
	case MANAGESIEVE_FLOOD:
		l->why = "flood";
		next = mmpd_sieve_say(s, "BYE", NULL, S("Too long"));
		break;
	}
	mmpd_sieve_over(s);
	return next;
}

static void
mmpd_sieve_on_greet(struct line_session *l)
{
	struct mmpd_session *s = mmpd_sieve_of(l);

	mmpd_sieve_capabilities(s);
	mmpd_sieve_ok(s, "Ready");
	stream_flush(&l->io);
}

/* RFC 5804 2.2: behind STARTTLS the capabilities are told again. */
static void
mmpd_sieve_on_secured(struct line_session *l, int error, const char *why)
{
	struct mmpd_session *s = mmpd_sieve_of(l);

	mmpd_session_secured(s, error, why);
	metric_add(M_TLS, !error);
	if (!error && l->greeted)
		mmpd_sieve_on_greet(l);
}

static bool
mmpd_sieve_on_between(struct line_session *l UNUSED)
{
	return true; /* nothing is begun that could not be begun again */
}

static void
mmpd_sieve_on_bye(struct line_session *l, enum line_bye why)
{
	(void)mmpd_sieve_say(mmpd_sieve_of(l), "BYE", "TRYLATER",
	    why == LINE_TIMEOUT ? S("No login in time") : S("Server is going down"));
}

static void
mmpd_sieve_on_release(struct line_session *l)
{
	struct mmpd_session *s = mmpd_sieve_of(l);

	mmpd_sieve_over(s);
	mmpd_session_left(s, l->why);
	mmpd_session_drop_store(s);
}

static void
mmpd_sieve_on_closed(struct line_session *l)
{
	mmpd_session_unref(mmpd_sieve_of(l));
}

static const struct line_events sieve_events = {
	.step = mmpd_sieve_on_step,
	.greet = mmpd_sieve_on_greet,
	.secured = mmpd_sieve_on_secured,
	.between = mmpd_sieve_on_between,
	.bye = mmpd_sieve_on_bye,
	.release = mmpd_sieve_on_release,
	.closed = mmpd_sieve_on_closed,
	.ahead = LOOP_READ_SIZE,
	.prompt = true,
};

/* ---- the door ------------------------------------------------------------------------------------ */

static void
mmpd_sieve_limits(void)
{
}

static int
mmpd_sieve_init(struct mmpd_session *s, int fd)
{
	int rc = line_session_init(&s->sieve.line, mmpd.loop, fd, &sieve_events, s->sid);

	if (rc == 0) {
		mmpd_sieve_over(s);
		line_session_time(&s->sieve.line, (uint32_t)config.login_time, true);
	}
	return rc;
}

static int
mmpd_sieve_open(struct mmpd_session *s, int fd, bool implicit)
{
	int rc = mmpd_sieve_init(s, fd);

	if (rc == 0)
		line_session_open(&s->sieve.line, implicit ? s->sieve.tls_ctx : NULL);
	return rc;
}

static int
mmpd_sieve_reject(struct mmpd_session *s, int fd, bool silent)
{
	int rc = mmpd_sieve_init(s, fd);

	if (rc < 0)
		return rc;
	if (!silent)
		(void)mmpd_sieve_say(s, "BYE", "TRYLATER", S("Too many connections"));
	line_session_finish(&s->sieve.line, "refused");
	return 0;
}

static void
mmpd_sieve_shutdown(struct mmpd_session *s)
{
	line_session_drain(&s->sieve.line);
}

static void
mmpd_sieve_refused(struct mmpd_session *s, const struct login_answer *a, enum login_outcome outcome,
    bool last)
{
	const char *code = outcome == LOGIN_AWAY ? "TRYLATER" : NULL;

	if (last)
		s->sieve.line.why = "failures";
	line_session_resume(&s->sieve.line,
	    mmpd_sieve_say(s, last ? "BYE" : "NO", code,
		last ? S("Too many failed logins") : slice_str(a->text)));
}

static void
mmpd_sieve_no(struct mmpd_session *s, enum mmpd_refusal why, struct slice text)
{
	static const char *const words[] = {
		[MMPD_LIMIT] = "Too many connections of this user",
		[MMPD_NO_STORE] = "This account has no mailbox",
		[MMPD_AWAY] =
		    "Your mailbox cannot be reached now; the password is right, try again later",
		[MMPD_SAYS] = "Your mailbox's server does not let you in now; try again later",
	};

	(void)text; /* what is wrong between us and the store is not about him */
	line_session_resume(&s->sieve.line,
	    mmpd_sieve_say(s, "NO", why == MMPD_NO_STORE ? NULL : "TRYLATER",
		slice_str(words[why])));
}

/* `text` is what the store's SIEVE line says. */
static bool
mmpd_sieve_yes(struct mmpd_session *s, struct slice text)
{
	if (text.n > 0 && !slice_eq(text, slice_str(seen ? seen : ""))) {
		mem_free(&seen);
		seen = mem_strn(text.p, text.n);
	}
	mmpd_sieve_ok(s, "Logged in");
	line_session_leave(&s->sieve.line, &mmpd_pair_streams, s);
	return true;
}

void
mmpd_sieve_forget(void)
{
	mem_free(&seen);
}

const struct mmpd_door mmpd_sieve = {
	.service = "sieve",
	.greets = "\"",
	.limits = mmpd_sieve_limits,
	.open = mmpd_sieve_open,
	.reject = mmpd_sieve_reject,
	.shutdown = mmpd_sieve_shutdown,
	.challenge = mmpd_sieve_challenge,
	.refused = mmpd_sieve_refused,
	.no = mmpd_sieve_no,
	.yes = mmpd_sieve_yes,
	.dial = managesieve_client_start,
};
