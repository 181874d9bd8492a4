/* mmpd/imap.c: IMAP before the login: what the proxy says itself.  RFC 3501 6.1, 6.2, 2971, 4959, 5530.
 *
 * Owns nothing: imap/server has the protocol, auth.c the login, pair.c what comes behind it.  Can fail: only
 * opening.  Must stay true: commands before the login are those of imap/server and ID, so that nothing a
 * client says before reaches a store; and a refusal names the password only when it is the directory's. */
#include "base/log.h"
#include "imap/client.h"
#include "imap/id.h"
#include "mmpd.h"

/* Commands that a client may give before login: silence is limited by time, chatter by this. */
#define EARLY_COMMANDS 100
/* Bytes of a command: names and passwords. */
#define EARLY_LINE 8192

static struct imap_limits limits;

static struct mmpd_session *
mmpd_imap_of(struct imap_server *imap)
{
	return CAST(CONTAINER(imap, struct mmpd_session, imap), struct mmpd_session,
	    MMPD_SESSION_MAGIC);
}

/* ---- what imap/server asks ---------------------------------------------------------------------- */

/* The store's are in its answer to the login. */
static const struct imap_capability capabilities[] = {
	{ "IMAP4rev1", IMAP_BEFORE, 0, NULL, "RFC 3501" },
	{ "LITERAL+", IMAP_BEFORE, 0, NULL, "RFC 7888" },
	{ "SASL-IR", IMAP_BEFORE, 0, NULL, "RFC 4959" },
	{ "ID", IMAP_BEFORE, 0, NULL, "RFC 2971" },
	{ "STARTTLS", IMAP_BEGINS_TLS, 0, NULL, "RFC 3501 6.2.1" },
	{ "AUTH=SCRAM-SHA-256", IMAP_SCRAM, 0, NULL, "RFC 7677" },
	{ "AUTH=PLAIN", IMAP_PASSWORDS, 0, NULL, "RFC 4616" },
	{ "AUTH=LOGIN", IMAP_PASSWORDS, 0, NULL, "draft-murchison-sasl-login" },
	{ "AUTH=OAUTHBEARER", IMAP_OAUTH, 0, NULL, "RFC 7628" },
	{ "AUTH=XOAUTH2", IMAP_OAUTH, 0, NULL, "Google" },
	{ "LOGINDISABLED", IMAP_NO_PASSWORDS, 0, NULL, "RFC 3501 6.2.3" },
	{ NULL, 0, 0, NULL, NULL },
};

static unsigned
mmpd_imap_when(struct imap_server *imap)
{
	if (!mmpd_session_password_ok(mmpd_imap_of(imap)))
		return 0;
	return IMAP_PASSWORDS | (login_offers_scram() ? IMAP_SCRAM : 0) |
	    (login_offers_oauth() ? IMAP_OAUTH : 0);
}

static enum imap_next
mmpd_imap_login(struct imap_server *imap, struct slice name, struct slice password)
{
	mmpd_auth_login(mmpd_imap_of(imap), name, password);
	return IMAP_WAIT;
}

static enum imap_next
mmpd_imap_step(struct mmpd_session *s, const struct slice *response)
{
	struct slice text;

	switch (mmpd_auth_step(s, response, &text)) {
	case LOGIN_CHALLENGE: return imap_server_challenge(&s->imap, text);
	case LOGIN_WAIT: return IMAP_WAIT;
	case LOGIN_MALFORMED: break;
	}
	return imap_server_bad(&s->imap, text.p);
}

static enum imap_next
mmpd_imap_sasl(struct imap_server *imap, struct slice mechanism, const struct slice *response)
{
	struct mmpd_session *s = mmpd_imap_of(imap);

	if (!mmpd_auth_mechanism(s, mechanism))
		return imap_server_no(imap, "CANNOT", "Unknown mechanism");
	return mmpd_imap_step(s, response);
}

static enum imap_next
mmpd_imap_sasl_line(struct imap_server *imap, struct slice response)
{
	return mmpd_imap_step(mmpd_imap_of(imap), &response);
}

static void
mmpd_imap_over(struct imap_server *imap)
{
	login_free(&mmpd_imap_of(imap)->login); /* an exchange that the client gave up */
}

static void
mmpd_imap_event(struct imap_server *imap, enum imap_event ev)
{
	static const enum mmpd_metric counters[] = {
		[IMAP_EV_COMMAND] = M_COMMANDS,
		[IMAP_EV_BAD] = M_BAD,
		[IMAP_EV_TLS] = M_TLS,
	};

	(void)imap;
	metric_add(counters[ev], 1);
}

static void
mmpd_imap_secured(struct imap_server *imap, int error, const char *why)
{
	mmpd_session_secured(mmpd_imap_of(imap), error, why);
}

static void
mmpd_imap_left(struct imap_server *imap)
{
	struct mmpd_session *s = mmpd_imap_of(imap);

	mmpd_session_left(s, imap->line.why);
	mmpd_session_drop_store(s);
}

static void
mmpd_imap_closed(struct imap_server *imap)
{
	mmpd_session_unref(mmpd_imap_of(imap));
}

/* ID: what the store is told is ours, see imap/client.c.		RFC 2971 3.1 */
static enum imap_next
mmpd_imap_id(struct imap_server *imap, struct imap_in *in)
{
	struct buf said = { .cap = 1000 };

	if (!imap_id_read(in, &said, NULL, NULL)) {
		buf_fini(&said);
		return imap_server_syntax(imap, in);
	}
	log_event(LOG_INFO, "id", "sid=%s client=%s", mmpd_imap_of(imap)->sid,
	    log_value(slice_trim(buf_get(&said))));
	buf_fini(&said);
	imap_server_untagged(imap, "ID (\"name\" \"tiermail\")");
	return imap_server_finish(imap, "OK", "ID completed");
}

static const struct imap_command commands[] = {
	{ "ID", mmpd_imap_id, IMAP_NOTAUTH, 0, "RFC 2971 3.1", NULL },
	{ NULL, NULL, 0, 0, NULL, NULL },
};

static struct imap_policy policy = {
	.limits = &limits,
	.commands = commands,
	.capabilities = capabilities,
	.when = mmpd_imap_when,
	.login = mmpd_imap_login,
	.sasl = mmpd_imap_sasl,
	.sasl_line = mmpd_imap_sasl_line,
	.over = mmpd_imap_over,
	.event = mmpd_imap_event,
	.secured = mmpd_imap_secured,
	.left = mmpd_imap_left,
	.closed = mmpd_imap_closed,
};

/* ---- the door ------------------------------------------------------------------------------------ */

static void
mmpd_imap_limits(void)
{
	limits = (struct imap_limits){
		.login_ms = (uint32_t)config.login_time,
		.idle_ms = (uint32_t)config.login_time,
		.bad = (uint32_t)config.bad_commands,
		.early = EARLY_COMMANDS,
		.line = EARLY_LINE,
		.early_line = EARLY_LINE,
	};
	policy.hostname = shared.hostname;
}

static int
mmpd_imap_open(struct mmpd_session *s, int fd, bool implicit)
{
	s->imap.policy = &policy;
	return imap_server_open(&s->imap, mmpd.loop, fd, implicit, s->sid);
}

static int
mmpd_imap_reject(struct mmpd_session *s, int fd, bool silent)
{
	s->imap.policy = &policy;
	return imap_server_reject(&s->imap, mmpd.loop, fd,
	    silent ? NULL : "[LIMIT] Too many connections", s->sid);
}

static void
mmpd_imap_shutdown(struct mmpd_session *s)
{
	imap_server_shutdown(&s->imap);
}

static void
mmpd_imap_refused(struct mmpd_session *s, const struct login_answer *a, enum login_outcome outcome,
    bool last)
{
	(void)outcome;
	if (last) {
		imap_server_untagged(&s->imap, "BYE Too many failed logins");
		s->imap.line.why = "failures";
		s->imap.doomed = true;
	}
	imap_server_resume(&s->imap, imap_server_finish(&s->imap, "NO", "%s", a->imap));
}

/* Codes of a store that concern the person; others would mislead (RFC 5530).  What is wrong between us and
 * the store is not the password. */
static bool
mmpd_imap_tells(struct slice text)
{
	static const char *const codes[] = { "[UNAVAILABLE]", "[LIMIT]", "[CONTACTADMIN]",
		"[INUSE]", "[NOPERM]", "[SERVERBUG]", "[CORRUPTION]", "[EXPIRED]" };

	for (size_t i = 0; i < NELEM(codes); i++)
		if (slice_istarts(text, slice_str(codes[i])))
			return true;
	return false;
}

static void
mmpd_imap_no(struct mmpd_session *s, enum mmpd_refusal why, struct slice text)
{
	static const char *const words[][2] = {
		[MMPD_LIMIT] = { "LIMIT", "Too many connections of this user" },
		[MMPD_NO_STORE] = { "CONTACTADMIN", "This account has no mailbox" },
		[MMPD_AWAY] = { "UNAVAILABLE",
		    "Your mailbox cannot be reached now; the password is right, try again later" },
	};
	enum imap_next next;

	if (why == MMPD_SAYS && mmpd_imap_tells(text))
		next = imap_server_finish(&s->imap, "NO", SFMT, SARG(text));
	else if (why == MMPD_SAYS)
		next = imap_server_no(&s->imap, words[MMPD_AWAY][0], words[MMPD_AWAY][1]);
	else
		next = imap_server_no(&s->imap, words[why][0], words[why][1]);
	imap_server_resume(&s->imap, next);
}

static bool
mmpd_imap_yes(struct mmpd_session *s, struct slice text)
{
	imap_server_finish(&s->imap, "OK", SFMT, SARG(text));
	imap_server_leave(&s->imap, &mmpd_pair_streams, s);
	return true;
}

static void
mmpd_imap_challenge(struct mmpd_session *s, struct slice text)
{
	imap_server_resume(&s->imap, imap_server_challenge(&s->imap, text));
}

const struct mmpd_door mmpd_imap = {
	.service = "imap",
	.greets = "* OK",
	.limits = mmpd_imap_limits,
	.open = mmpd_imap_open,
	.reject = mmpd_imap_reject,
	.shutdown = mmpd_imap_shutdown,
	.challenge = mmpd_imap_challenge,
	.refused = mmpd_imap_refused,
	.no = mmpd_imap_no,
	.yes = mmpd_imap_yes,
	.dial = imap_client_start,
};
