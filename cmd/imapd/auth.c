/* imapd/auth.c: STARTTLS, LOGIN, AUTHENTICATE: RFC 3501 6.2, RFC 4959, RFC 5530. */
#include <errno.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "sasl/sasl.h"
#include "session.h"

/* STARTTLS							RFC 3501 6.2.1 */
enum next
cmd_starttls(struct session *s, struct imap_in *in)
{
	int r;

	if (!imap_end(in))
		return bad(s, in);
	if (s->listen->tls != TLS_STARTTLS || stream_secure(&s->io))
		return bad_text(s, "STARTTLS is not offered");
	/* What the client sent behind the command came from anybody: no TLS for it. */
	if (stream_peek(&s->io).n > 0) {
		untagged(s, "BYE Plaintext behind STARTTLS");
		return CLOSE;
	}
	finish(s, "OK", "Begin TLS negotiation now");
	stream_flush(&s->io);
	r = stream_tls_accept(&s->io, s->listen->tls_ctx);
	if (r < 0) {
		log_event(LOG_WARN, "tls_failed", "sid=%s error=%s", s->sid, strerror(-r));
		return CLOSE;
	}
	return WAIT;
}

/* ---- after the password ------------------------------------------------------------------ */

/* What is kept of the directory's answer while stored makes the account ready. */
struct login {
	struct sasl sasl;
	struct slice account, partition, name;
	struct store_limits limits;
	const char *failed; /* the answer that waits for its delay */
	int tries;          /* stored was away so often */
};

static struct login *
login_of(struct session *s)
{
	return s->data;
}

/* A pause; session.c closes it when the connection goes first. */
struct delay {
	struct timer timer; /* first: it is freed by its address */
	struct session *session;
	void (*then)(struct session *);
};

static void
delay_closed(struct timer *t)
{
	mem_release(CONTAINER(t, struct delay, timer));
}

static void
delay_over(struct timer *t)
{
	struct delay *d = CONTAINER(t, struct delay, timer);
	struct session *s = d->session;

	timer_close(t, delay_closed);
	s->delay = NULL;
	log_context(s->sid);
	d->then(s);
}

static enum next
pause_for(struct session *s, int64_t ms, void (*then)(struct session *))
{
	struct delay *d = mem_new(sizeof(*d));

	d->session = s;
	d->then = then;
	s->delay = &d->timer;
	timer_init(s->delay, imapd.loop, delay_over);
	timer_start(s->delay, (uint64_t)ms, 0);
	return WAIT;
}

static void
refused(struct session *s)
{
	if (s->failures >= conf.failures) {
		untagged(s, "BYE Too many failed logins");
		s->doomed = true;
	}
	session_resume(s, finish(s, "NO", "%s", login_of(s)->failed));
}

/* A refusal of a name and password is answered after a pause. */
static enum next
refuse(struct session *s, const char *why, const char *code)
{
	metric_add(M_LOGIN_FAILED, 1);
	s->failures++;
	login_of(s)->failed = why;
	log_event(LOG_INFO, "login_failed", "sid=%s user=%s code=%s", s->sid,
	    log_value(login_of(s)->name), code);
	return pause_for(s, conf.failure_delay, refused);
}

static enum next
welcome(struct session *s, struct user *u)
{
	struct buf b = { 0 };
	const char *caps;

	if (u->sessions > (unsigned)conf.per_user) {
		user_drop(&u);
		log_event(LOG_INFO, "login_limit", "sid=%s user=%s", s->sid,
		    log_value(login_of(s)->account));
		return finish(s, "NO", "[LIMIT] Too many connections of this user");
	}
	s->user = u;
	s->state = AUTH;
	metric_add(M_LOGINS, 1);
	if (log_wants(LOG_INFO))
		log_event(LOG_INFO, "login", "sid=%s user=%s mech=%s tls=%s", s->sid,
		    log_str(u->account), s->cmd->run == cmd_login ? "LOGIN" : "SASL",
		    stream_secure(&s->io) ? "yes" : "no");
	stream_idle(&s->io, (uint32_t)conf.idle_time);
	capability_write(s, &b);
	caps = buf_cstr(&b);
	finish(s, "OK", "[%s] Logged in", caps);
	buf_fini(&b);
	return NEXT;
}

#define AWAY_TRIES 20 /* a login waits for stored this often ... */
#define AWAY_MS    100

static void account_ask(struct session *s);

static void
account_ready(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct login *l = login_of(s);
	struct user *u;

	/* It may be starting: a client should not see that. */
	if (r->code == STORE_AWAY && l->tries++ < AWAY_TRIES) {
		pause_for(s, AWAY_MS, account_ask);
		return;
	}
	if (r->verdict.kind != OK) {
		session_resume(s, finish(s, "NO", "[UNAVAILABLE] %s", r->verdict.text));
		return;
	}
	u = user_open(l->account, r, l->limits);
	session_resume(s,
	    u ? welcome(s, u) : finish(s, "NO", "[UNAVAILABLE] The mail store cannot be read"));
}

static void
account_ask(struct session *s)
{
	struct login *l = login_of(s);

	store_account_start(imapd.store, l->account, l->partition, &s->op, account_ready, s);
}

/* A limit of the directory in the store's words: 0 there is "nothing more", here "none". */
static uint64_t
limit(int64_t of_user, int64_t dflt)
{
	if (of_user == -2)
		of_user = dflt > 0 ? dflt : -1;
	return of_user < 0 ? 0 : of_user == 0 ? 1 : (uint64_t)of_user;
}

static bool
is_here(struct slice mailhost)
{
	if (conf.any_host || mailhost.n == 0 || slice_ieq(mailhost, slice_str(shared.hostname)))
		return true;
	for (char **h = conf.hosts; h && *h; h++)
		if (slice_ieq(mailhost, slice_str(*h)))
			return true;
	return false;
}

static void
checked(void *arg, const struct dir_answer *a)
{
	struct session *s = arg;
	struct login *l = login_of(s);
	const struct dir_user *u = a->user;
	struct user *known;

	log_context(s->sid);
	if (a->v.kind == TEMP) {
		log_event(LOG_WARN, "login_away", "sid=%s error=%s", s->sid, log_str(a->v.text));
		session_resume(s, finish(s, "NO", "[UNAVAILABLE] Cannot check passwords now"));
		return;
	}
	if (a->v.kind != OK || !u) {
		bool inactive = a->v.subject == 7 && a->v.detail == 13;

		session_resume(s, inactive ?
			refuse(s, "[CONTACTADMIN] This account is not active", "inactive") :
			refuse(s, "[AUTHENTICATIONFAILED] Wrong name or password", "password"));
		return;
	}
	if (!is_here(u->mailhost)) {
		log_event(LOG_INFO, "login_elsewhere", "sid=%s user=%s mailhost=%s", s->sid,
		    log_value(u->account), log_value(u->mailhost));
		session_resume(s, finish(s, "NO", "[CONTACTADMIN] This mailbox is on another host"));
		return;
	}
	l->account = arena_slice(&s->arena, u->account);
	l->partition = arena_slice(&s->arena, u->partition);
	l->limits = (struct store_limits){ .bytes = limit(u->quota_bytes, shared.quota_bytes),
		.messages = limit(u->quota_msgs, shared.quota_messages) };
	known = user_find(l->account, l->partition, l->limits);
	if (known)
		session_resume(s, welcome(s, known));
	else
		account_ask(s);
}

static enum next
check(struct session *s, struct slice name, struct slice password)
{
	login_of(s)->name = arena_slice(&s->arena, name);
	if (name.n == 0 || memchr(name.p, '\0', name.n))
		return refuse(s, "[AUTHENTICATIONFAILED] Wrong name or password", "name");
	dir_auth_start(imapd.dir, name, password, &s->op, checked, s);
	return WAIT;
}

/* ---- LOGIN name password					RFC 3501 6.2.3 ------------------- */
enum next
cmd_login(struct session *s, struct imap_in *in)
{
	struct slice name, password;

	s->data = arena_new(&s->arena, sizeof(struct login));
	if (!imap_space(in) || !imap_astring(in, &name) || !imap_space(in) ||
	    !imap_astring(in, &password) || !imap_end(in))
		return bad(s, in);
	if (!session_password_ok(s))
		return finish(s, "NO", "[PRIVACYREQUIRED] Passwords only over TLS");
	return check(s, name, password);
}

/* ---- AUTHENTICATE mechanism [initial response]		RFC 3501 6.2.2, RFC 4959 -------- */

static enum next
step(struct session *s, const struct slice *response)
{
	struct login *l = login_of(s);
	struct slice challenge = { 0 };
	const char *why = "Bad response";

	switch (sasl_step(&l->sasl, &s->arena, response, &challenge, &why)) {
	case SASL_CHALLENGE:
		buf_lit(out(s), "+ ");
		base64_write(out(s), challenge);
		buf_lit(out(s), "\r\n");
		return LINES;
	case SASL_CHECK:
		/* Acting for somebody else is for proxies; PLAIN may name oneself twice. */
		if (l->sasl.authzid.n > 0 && !slice_ieq(l->sasl.authzid, l->sasl.authcid))
			return finish(s, "NO", "[AUTHORIZATIONFAILED] No proxy authorisation");
		return check(s, l->sasl.authcid, l->sasl.password);
	case SASL_BAD:
		break;
	}
	return bad_text(s, why);
}

static enum next
step_base64(struct session *s, struct slice text)
{
	struct buf b = { .cap = 8192 };
	struct slice response;
	int r = base64_parse(&b, text);

	response = arena_slice(&s->arena, buf_get(&b));
	if (b.p)
		memset(b.p, 0, b.n);
	buf_fini(&b);
	return r < 0 ? bad_text(s, "Bad base64") : step(s, &response);
}

enum next
cmd_authenticate(struct session *s, struct imap_in *in)
{
	struct slice mech, initial = { 0 };
	struct login *l = arena_new(&s->arena, sizeof(*l));

	s->data = l;
	if (!imap_space(in) || !imap_atom(in, &mech))
		return bad(s, in);
	if (imap_char(in, ' ')) {
		initial = slice_trim(in->s);
		in->s = slice_from(in->s, in->s.n);
	}
	if (!imap_end(in))
		return bad(s, in);
	if (!session_password_ok(s))
		return finish(s, "NO", "[PRIVACYREQUIRED] Passwords only over TLS");
	if (!sasl_start(&l->sasl, mech))
		return finish(s, "NO", "[CANNOT] Unknown mechanism");
	if (!initial.p)
		return step(s, NULL);
	/* RFC 4959 3: "=" is an empty initial response. */
	return step_base64(s, slice_eq(initial, S("=")) ? slice(initial.p, 0) : initial);
}

enum next
authenticate_line(struct session *s, struct slice line)
{
	if (slice_eq(line, S("*")))
		return bad_text(s, "Authentication cancelled");
	return step_base64(s, line);
}
