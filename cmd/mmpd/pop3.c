/* mmpd/pop3.c: POP3 before the login: what the proxy says itself.  RFC 1939 4, 2449, 2595, 3206, 5034.
 *
 * Owns nothing: pop3/server has the protocol, auth.c the login, pair.c what comes behind it.  Can fail: only
 * opening.  Must stay true: nothing that a client says before the login reaches a store but UTF8, which is
 * said again there; and [AUTH] is said for credentials alone (RFC 3206). */
#include "base/log.h"
#include "mmpd.h"
#include "pop3/client.h"

/* Commands that a client may give before login: silence is limited by time, chatter by this. */
#define EARLY_COMMANDS 100

static struct pop3_limits limits;

static struct mmpd_session *
mmpd_pop3_of(struct pop3_server *pop3)
{
	return CAST(CONTAINER(pop3, struct mmpd_session, pop3), struct mmpd_session,
	    MMPD_SESSION_MAGIC);
}

/* ---- what pop3/server asks ---------------------------------------------------------------------- */

static bool
mmpd_pop3_password_ok(struct pop3_server *pop3)
{
	return mmpd_session_password_ok(mmpd_pop3_of(pop3));
}

/* What all stores can do; a client may ask again behind the login. */
static void
mmpd_pop3_capabilities(struct pop3_server *pop3, struct buf *b)
{
	(void)pop3;
	buf_lit(b, "TOP\r\nUIDL\r\n");
}

static enum pop3_next
mmpd_pop3_login(struct pop3_server *pop3, struct slice name, struct slice password)
{
	mmpd_auth_login(mmpd_pop3_of(pop3), name, password);
	return POP3_WAIT;
}

static enum pop3_next
mmpd_pop3_step(struct mmpd_session *s, const struct slice *response)
{
	struct slice text;
	struct verdict v;

	switch (mmpd_auth_step(s, response, &text)) {
	case LOGIN_CHALLENGE: return pop3_server_challenge(&s->pop3, text);
	case LOGIN_WAIT: return POP3_WAIT;
	case LOGIN_MALFORMED: break;
	}
	v = verdict(OUT_AUTH_MALFORMED, SARG(text));
	return pop3_server_bad(&s->pop3, &v);
}

static enum pop3_next
mmpd_pop3_sasl(struct pop3_server *pop3, struct slice mechanism, const struct slice *response)
{
	struct mmpd_session *s = mmpd_pop3_of(pop3);
	struct verdict v = verdict(OUT_AUTH_MECHANISM);

	if (!mmpd_auth_mechanism(s, mechanism))
		return pop3_server_err(pop3, POP3_PLAIN, &v);
	return mmpd_pop3_step(s, response);
}

static enum pop3_next
mmpd_pop3_sasl_line(struct pop3_server *pop3, struct slice response)
{
	return mmpd_pop3_step(mmpd_pop3_of(pop3), &response);
}

static void
mmpd_pop3_over(struct pop3_server *pop3)
{
	login_free(&mmpd_pop3_of(pop3)->login); /* an exchange that the client gave up */
}

static void
mmpd_pop3_event(struct pop3_server *pop3, enum pop3_event ev)
{
	static const enum mmpd_metric counters[] = {
		[POP3_EV_COMMAND] = M_COMMANDS,
		[POP3_EV_BAD] = M_BAD,
		[POP3_EV_TLS] = M_TLS,
	};

	(void)pop3;
	metric_add(counters[ev], 1);
}

static void
mmpd_pop3_secured(struct pop3_server *pop3, int error, const char *why)
{
	mmpd_session_secured(mmpd_pop3_of(pop3), error, why);
}

static void
mmpd_pop3_left(struct pop3_server *pop3)
{
	struct mmpd_session *s = mmpd_pop3_of(pop3);

	mmpd_session_left(s, pop3->line.why);
	mmpd_session_drop_store(s);
}

static void
mmpd_pop3_closed(struct pop3_server *pop3)
{
	mmpd_session_unref(mmpd_pop3_of(pop3));
}

static const struct pop3_command commands[] = { { NULL, NULL, 0, NULL } };

static struct pop3_policy policy = {
	.limits = &limits,
	.commands = commands,
	.password_ok = mmpd_pop3_password_ok,
	.capabilities = mmpd_pop3_capabilities,
	.login = mmpd_pop3_login,
	.sasl = mmpd_pop3_sasl,
	.sasl_line = mmpd_pop3_sasl_line,
	.over = mmpd_pop3_over,
	.event = mmpd_pop3_event,
	.secured = mmpd_pop3_secured,
	.left = mmpd_pop3_left,
	.closed = mmpd_pop3_closed,
};

/* ---- the door ------------------------------------------------------------------------------------ */

static void
mmpd_pop3_limits(void)
{
	limits = (struct pop3_limits){
		.login_ms = (uint32_t)config.login_time,
		.idle_ms = (uint32_t)config.login_time,
		.bad = (uint32_t)config.bad_commands,
		.early = EARLY_COMMANDS,
	};
	policy.hostname = shared.hostname;
	policy.mechanisms = login_mechanisms();
}

static int
mmpd_pop3_open(struct mmpd_session *s, int fd, bool implicit)
{
	s->pop3.policy = &policy;
	return pop3_server_open(&s->pop3, mmpd.loop, fd, implicit, s->sid);
}

static int
mmpd_pop3_reject(struct mmpd_session *s, int fd, bool silent)
{
	struct verdict v = verdict(OUT_CLIENTS_FULL, shared.hostname);

	s->pop3.policy = &policy;
	return pop3_server_reject(&s->pop3, mmpd.loop, fd, silent ? NULL : &v, s->sid);
}

static void
mmpd_pop3_shutdown(struct mmpd_session *s)
{
	pop3_server_shutdown(&s->pop3);
}

static void
mmpd_pop3_refused(struct mmpd_session *s, const struct login_answer *a, enum login_outcome outcome,
    bool last)
{
	struct verdict v = verdict(a->kind, a->reply, a->esc, "%s", a->text);

	if (last) {
		s->pop3.line.why = "failures";
		s->pop3.doomed = true;
	}
	pop3_server_resume(&s->pop3,
	    pop3_server_err(&s->pop3, outcome == LOGIN_AWAY ? POP3_SYS_TEMP : POP3_AUTH, &v));
}

/* A store's words, and what they are to a person: [AUTH] would be about us, not about him. */
static enum pop3_next
mmpd_pop3_says(struct mmpd_session *s, struct slice text)
{
	static const struct {
		const char *word;
		enum pop3_code code;
	} codes[] = {
		{ "[IN-USE]", POP3_IN_USE },
		{ "[LOGIN-DELAY]", POP3_LOGIN_DELAY },
		{ "[SYS/TEMP]", POP3_SYS_TEMP },
		{ "[SYS/PERM]", POP3_SYS_PERM },
	};
	struct verdict v = verdict(OUT_PROXY_AWAY);

	for (size_t i = 0; i < NELEM(codes); i++) {
		struct slice word = slice_str(codes[i].word);

		if (!slice_istarts(text, word))
			continue;
		text = slice_trim(slice_from(text, word.n));
		v = verdict(OUT_PROXY_SAYS, SARG(text));
		return pop3_server_err(&s->pop3, codes[i].code, &v);
	}
	return pop3_server_err(&s->pop3, POP3_SYS_TEMP, &v);
}

static void
mmpd_pop3_no(struct mmpd_session *s, enum mmpd_refusal why, struct slice text)
{
	struct verdict v = verdict(OUT_PROXY_AWAY);
	enum pop3_next next = POP3_NEXT;

	switch (why) {
	case MMPD_LIMIT:
		v = verdict(OUT_LOGIN_FULL);
		next = pop3_server_err(&s->pop3, POP3_SYS_TEMP, &v);
		break;
	case MMPD_NO_STORE:
		v = verdict(OUT_PROXY_NONE);
		next = pop3_server_err(&s->pop3, POP3_SYS_PERM, &v);
		break;
	case MMPD_AWAY: next = pop3_server_err(&s->pop3, POP3_SYS_TEMP, &v); break;
	case MMPD_SAYS: next = mmpd_pop3_says(s, text); break;
	}
	pop3_server_resume(&s->pop3, next);
}

static bool
mmpd_pop3_yes(struct mmpd_session *s, struct slice text)
{
	pop3_server_ok(&s->pop3, SFMT, SARG(text));
	pop3_server_leave(&s->pop3, &mmpd_pair_streams, s);
	return true;
}

static void
mmpd_pop3_challenge(struct mmpd_session *s, struct slice text)
{
	pop3_server_resume(&s->pop3, pop3_server_challenge(&s->pop3, text));
}

const struct mmpd_door mmpd_pop3 = {
	.service = "pop",
	.greets = "+OK",
	.limits = mmpd_pop3_limits,
	.open = mmpd_pop3_open,
	.reject = mmpd_pop3_reject,
	.shutdown = mmpd_pop3_shutdown,
	.challenge = mmpd_pop3_challenge,
	.refused = mmpd_pop3_refused,
	.no = mmpd_pop3_no,
	.yes = mmpd_pop3_yes,
	.dial = pop3_client_start,
};
