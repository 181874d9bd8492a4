/* mmpd/submission.c: SMTP before the AUTH: what the proxy says itself.  RFC 5321, 6409, 3207, 4954.
 *
 * Owns, of the worker, what the relays were seen to offer.  smtp/server has the protocol, auth.c the login,
 * reach.c the way to one of submission.relays, pair.c what comes behind it.  Can fail: only opening.  Must
 * stay true: a session goes on at a relay only when everything that its EHLO was told is offered there, and
 * when the relay believes nobody's XCLIENT but ours (or the administrator does not mind); 535 is said for
 * credentials alone; and no mail is taken here. */
#include "base/base64.h"
#include "base/log.h"
#include "mail/outcome.h"
#include "mmpd.h"
#include "sasl/sasl.h"
#include "smtp/client-proxy.h"

/* Refused and unknown commands before 421. */
#define UNKNOWN_MOST 5
/* When a login is under way as the time for it is over, it is looked at again after so long. */
#define IMPATIENT_MS 2000

/* What may be told without knowing the relay's parameter; SIZE has one. */
static const char *const extensions[] = { "PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES",
	"CHUNKING", "BINARYMIME", "SMTPUTF8", "DSN", "SIZE" };
#define ALL_OF_THEM ((1u << NELEM(extensions)) - 1)

static struct smtp_limits limits;
static unsigned lacked;     /* bits: a relay was seen without it */
static uint64_t least_size; /* of the relays' SIZE; 0: none has said one */

static struct mmpd_session *
mmpd_submission_of(struct smtp_server *smtp)
{
	return CAST(smtp->data, struct mmpd_session, MMPD_SESSION_MAGIC);
}

static unsigned
mmpd_submission_bit(struct slice word)
{
	for (size_t i = 0; i < NELEM(extensions); i++)
		if (slice_ieq(word, slice_str(extensions[i])))
			return 1u << i;
	return 0;
}

static unsigned
mmpd_submission_configured(void)
{
	unsigned bits = 0;

	for (char **w = config.extensions; w && *w; w++)
		bits |= mmpd_submission_bit(slice_str(*w));
	return bits;
}

bool
mmpd_submission_check(struct buf *why)
{
	bool good = true, listens = false;

	for (struct daemon_listen **l = daemon_listeners(); *l; l++)
		listens |= (*l)->role == MMPD_SUBMISSION;
	if (listens && (!config.relays || !*config.relays)) {
		buf_printf(why,
		    "%s: submission.relays: a listener of the role submission needs one\n",
		    conf_where(&config.relays));
		good = false;
	}
	for (char **w = config.extensions; w && *w; w++) {
		if (mmpd_submission_bit(slice_str(*w)))
			continue;
		buf_printf(why, "%s: submission.extensions: %s is not known to this proxy\n",
		    conf_where(&config.extensions), *w);
		good = false;
	}
	return good;
}

/* ---- what smtp/server asks ---------------------------------------------------------------------- */

/* What both sides have. */
static void
mmpd_submission_keywords(struct smtp_server *smtp, struct buf *text)
{
	struct mmpd_session *s = mmpd_submission_of(smtp);

	s->told = mmpd_submission_configured() & ~lacked;
	for (size_t i = 0; i < NELEM(extensions); i++) {
		if (!(s->told & 1u << i))
			continue;
		buf_str(text, extensions[i]);
		if (least_size && strcmp(extensions[i], "SIZE") == 0)
			buf_printf(text, " %llu", (unsigned long long)least_size);
		buf_char(text, '\n');
	}
	if (mmpd_session_password_ok(s))
		buf_printf(text, "AUTH %s\n", login_mechanisms());
}

/* The server wants AUTH first and this one never has it. */
static void
mmpd_submission_never(struct smtp_server *smtp)
{
	struct verdict v = verdict(OUT_AUTH_FIRST);

	smtp_server_answer(smtp, &v);
}

static void
mmpd_submission_mail(struct smtp_server *smtp, const struct smtp_mail *mail)
{
	(void)mail;
	mmpd_submission_never(smtp);
}

static void
mmpd_submission_rcpt(struct smtp_server *smtp, const struct smtp_rcpt *rcpt)
{
	(void)rcpt;
	mmpd_submission_never(smtp);
}

static void
mmpd_submission_bytes(struct smtp_server *smtp, struct slice bytes)
{
	(void)smtp, (void)bytes;
}

static void
mmpd_submission_refused(struct smtp_server *smtp, const char *verb, const struct verdict *v)
{
	(void)smtp, (void)verb;
	metric_add(M_BAD, v->kind == PERM);
}

static void
mmpd_submission_secured(struct smtp_server *smtp, int error, const char *why)
{
	mmpd_session_secured(mmpd_submission_of(smtp), error, why);
	metric_add(M_TLS, !error);
}

/* At once: the relay's answer must not find a session that has ended. */
static void
mmpd_submission_left(struct smtp_server *smtp)
{
	struct mmpd_session *s = mmpd_submission_of(smtp);

	mmpd_session_left(s, smtp->line.why);
	mmpd_session_drop_store(s);
}

static void
mmpd_submission_closed(struct smtp_server *smtp)
{
	mmpd_session_unref(mmpd_submission_of(smtp));
}

/* ---- AUTH -------------------------------------------------------------------------- RFC 4954 -- */

static enum smtp_next mmpd_submission_line(struct smtp_server *smtp, struct slice line);

static enum smtp_next
mmpd_submission_ask(struct mmpd_session *s, struct slice text)
{
	struct buf b = { 0 };
	enum smtp_next next;

	base64_write(&b, text);
	next = smtp_server_ask(&s->smtp, buf_get(&b), mmpd_submission_line);
	buf_fini(&b);
	return next;
}

static void
mmpd_submission_challenge(struct mmpd_session *s, struct slice text)
{
	smtp_server_resume(&s->smtp, mmpd_submission_ask(s, text));
}

static enum smtp_next
mmpd_submission_step(struct mmpd_session *s, const struct slice *response)
{
	struct slice text;
	struct verdict v;

	switch (mmpd_auth_step(s, response, &text)) {
	case LOGIN_CHALLENGE: return mmpd_submission_ask(s, text);
	case LOGIN_WAIT: return SMTP_WAIT;
	case LOGIN_MALFORMED: break;
	}
	v = verdict(OUT_AUTH_MALFORMED, SARG(text));
	return smtp_server_say(&s->smtp, &v);
}

static enum smtp_next
mmpd_submission_decode(struct mmpd_session *s, struct slice text)
{
	struct verdict v = verdict(OUT_AUTH_BASE64);
	struct buf b = { 0 };
	enum smtp_next next;
	struct slice bytes;

	if (!sasl_decode(&b, text)) {
		login_free(&s->login);
		next = smtp_server_say(&s->smtp, &v);
	} else {
		bytes = buf_get(&b);
		next = mmpd_submission_step(s, &bytes);
	}
	secret_clear(b.p, b.n);
	buf_fini(&b);
	return next;
}

static enum smtp_next
mmpd_submission_line(struct smtp_server *smtp, struct slice line)
{
	struct mmpd_session *s = mmpd_submission_of(smtp);
	struct verdict v = verdict(OUT_AUTH_GIVEN_UP);

	smtp->verb = "AUTH";
	line = slice_trim(line);
	if (!slice_eq(line, S("*")))
		return mmpd_submission_decode(s, line);
	login_free(&s->login);
	return smtp_server_say(smtp, &v);
}

static enum smtp_next
mmpd_submission_auth(struct smtp_server *smtp, struct slice arg)
{
	struct mmpd_session *s = mmpd_submission_of(smtp);
	struct verdict v = verdict(OUT_AUTH_TLS_FIRST);
	struct slice mech;

	if (!mmpd_session_password_ok(s))
		return smtp_server_say(smtp, &v);
	if (!slice_word(&arg, &mech)) {
		v = verdict(OUT_VERB_NEEDS, "AUTH", "a mechanism");
		return smtp_server_say(smtp, &v);
	}
	if (!mmpd_auth_mechanism(s, mech)) {
		v = verdict(OUT_AUTH_MECHANISM);
		return smtp_server_say(smtp, &v);
	}
	arg = slice_trim(arg);
	return arg.n ? mmpd_submission_decode(s, arg) : mmpd_submission_step(s, NULL);
}

static const struct smtp_verb verbs[] = {
	{ "AUTH", mmpd_submission_auth, SMTP_READY, SMTP_PRE_AUTH | SMTP_LAST | SMTP_LONG,
	    "RFC 4954 4" },
	{ NULL, NULL, 0, 0, NULL },
};

static struct smtp_policy policy = {
	.limits = &limits,
	.verbs = verbs,
	.proxy = true,
	.keywords = mmpd_submission_keywords,
	.mail = mmpd_submission_mail,
	.rcpt = mmpd_submission_rcpt,
	.body = mmpd_submission_never,
	.bytes = mmpd_submission_bytes,
	.end = mmpd_submission_never,
	.refused = mmpd_submission_refused,
	.secured = mmpd_submission_secured,
	.release = mmpd_submission_left,
	.closed = mmpd_submission_closed,
};

/* ---- what the relay offers ----------------------------------------------------------------------- */

/* True: everything that this session was told.  What is lacking is not told to the next. */
static bool
mmpd_submission_agree(struct mmpd_session *s, struct slice keywords)
{
	struct slice line, word;
	uint64_t size;
	unsigned has = 0;

	while (slice_cut(&keywords, '\n', &line)) {
		if (!slice_word(&line, &word))
			continue;
		has |= mmpd_submission_bit(word);
		if (slice_ieq(word, S("SIZE")) &&
		    slice_u64(slice_trim(line), INT64_MAX, &size) == 0 && size > 0 &&
		    (!least_size || size < least_size))
			least_size = size;
	}
	if ((s->told & ~has) == 0)
		return true;
	lacked |= ALL_OF_THEM & s->told & ~has;
	for (size_t i = 0; i < NELEM(extensions); i++)
		if (s->told & ~has & 1u << i)
			log_event(LOG_WARN, "relay_lacks", "sid=%s store=%s extension=%s", s->sid,
			    log_str(s->host), extensions[i]);
	return false;
}

bool
mmpd_submission_again(struct slice keywords)
{
	struct slice line, word;

	while (slice_cut(&keywords, '\n', &line))
		if (slice_word(&line, &word) && slice_ieq(word, S("XCLIENT")))
			return true;
	return false;
}

void
mmpd_submission_forget(void)
{
	lacked = 0;
	least_size = 0;
}

/* ---- the door ------------------------------------------------------------------------------------ */

static void
mmpd_submission_limits(void)
{
	limits = (struct smtp_limits){
		.command_ms = (uint32_t)config.login_time,
		.data_ms = (uint32_t)config.login_time,
		.errors = (uint32_t)config.bad_commands,
		.unknown = UNKNOWN_MOST,
		.size = 1, /* there is no body to come */
	};
	policy.hostname = shared.hostname;
}

/* Each command has its time; all of them together this, so that nobody stays by chatting.  Not in the middle
 * of a login, which has times of its own. */
static void
mmpd_submission_impatient(struct deadline *d)
{
	struct mmpd_session *s = CAST(CONTAINER(d, struct mmpd_session, patience),
	    struct mmpd_session, MMPD_SESSION_MAGIC);

	if (s->login || s->reach)
		deadline_set(d, mmpd.loop, IMPATIENT_MS, mmpd_submission_impatient);
	else
		smtp_server_shutdown(&s->smtp, "no login in time");
}

static int
mmpd_submission_open(struct mmpd_session *s, int fd, bool implicit)
{
	int rc;

	s->smtp.policy = &policy;
	s->smtp.data = s;
	s->smtp.sid = s->sid;
	s->smtp.need_auth = 1;
	rc = smtp_server_open(&s->smtp, mmpd.loop, fd, implicit);
	if (rc == 0 && !s->left)
		deadline_set(&s->patience, mmpd.loop, (uint64_t)config.login_time,
		    mmpd_submission_impatient);
	return rc;
}

static int
mmpd_submission_reject(struct mmpd_session *s, int fd, bool silent)
{
	struct verdict v = verdict(OUT_CLIENTS_FULL, shared.hostname);

	(void)
	    silent; /* plain words in front of a handshake are an error there, and the end either way */
	s->smtp.policy = &policy;
	s->smtp.data = s;
	s->smtp.sid = s->sid;
	return smtp_server_refuse(&s->smtp, mmpd.loop, fd, &v);
}

static void
mmpd_submission_shutdown(struct mmpd_session *s)
{
	smtp_server_shutdown(&s->smtp, "is going down");
}

static void
mmpd_submission_refused_login(struct mmpd_session *s, const struct login_answer *a,
    enum login_outcome outcome, bool last)
{
	struct verdict v = verdict(a->kind, a->reply, a->esc, "%s", a->text);

	(void)outcome;
	if (last) {
		v = verdict(OUT_AUTH_MANY, shared.hostname);
		s->smtp.line.why = "failures";
	}
	smtp_server_say(&s->smtp, &v);
	smtp_server_resume(&s->smtp, last ? SMTP_CLOSE : SMTP_NEXT);
}

/* A relay's words are about us: a person is told that it did not work, and to try again. */
static void
mmpd_submission_no(struct mmpd_session *s, enum mmpd_refusal why, struct slice text)
{
	struct verdict v = why == MMPD_LIMIT ? verdict(OUT_LOGIN_FULL) : verdict(OUT_BIND_AWAY);

	(void)text;
	smtp_server_say(&s->smtp, &v);
	smtp_server_resume(&s->smtp, SMTP_NEXT);
}

static bool
mmpd_submission_yes(struct mmpd_session *s, struct slice keywords)
{
	struct verdict v = verdict(OUT_LOGIN_OK);

	if (!mmpd_submission_agree(s, keywords)) {
		v = verdict(OUT_CLOSING, shared.hostname, "come again");
		smtp_server_say(&s->smtp, &v);
		s->smtp.line.why = "relay_lacks";
		smtp_server_resume(&s->smtp, SMTP_CLOSE);
		return false;
	}
	deadline_clear(&s->patience);
	smtp_server_say(&s->smtp, &v);
	smtp_server_leave(&s->smtp, &mmpd_pair_streams, s);
	return true;
}

const struct mmpd_door mmpd_submission = {
	.service = "smtp",
	.greets = "220",
	.limits = mmpd_submission_limits,
	.open = mmpd_submission_open,
	.reject = mmpd_submission_reject,
	.shutdown = mmpd_submission_shutdown,
	.challenge = mmpd_submission_challenge,
	.refused = mmpd_submission_refused_login,
	.no = mmpd_submission_no,
	.yes = mmpd_submission_yes,
	.dial = smtp_client_proxy_start,
};
