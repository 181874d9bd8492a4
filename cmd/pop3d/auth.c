/* pop3d/auth.c: who logs in, until his mailbox is open: RFC 1939 4, 1734, 5034, 2449 6.5, 3206.
 *
 * Owns the session's login while it lasts; pop3/server calls through the policy.  lib/login judges; then
 * the account's home is found or asked for at stored, the mailbox is locked, and its messages are
 * numbered.  Can fail: any of these, each with its response code.  Must stay true: what is over leaves
 * no password behind; a session that is refused holds no lock; [AUTH] is said for credentials alone
 * (RFC 3206), for anything else a client would ask its user for another password. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "pop3d.h"

/* What is kept of the login's outcome while stored makes the account ready; in the arena. */
struct entrance {
	struct login_user user;
	struct slice account;
	const char *mechanism;
};

/* ---- after the password ------------------------------------------------------------------ */

/* One session a mailbox. */
static int
pop3d_auth_lock(struct pop3d_session *s, const struct entrance *e)
{
	int fd = store_home_lock(s->home, e->account);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	s->lock = fd;
	return 0;
}

static enum pop3_next
pop3d_auth_no(struct pop3d_session *s, enum pop3_code code, const struct verdict *v)
{
	if (s->lock >= 0)
		(void)close(s->lock);
	s->lock = -1;
	drop_free(&s->drop);
	return pop3_server_err(&s->pop3, code, v);
}

/* LOGIN-DELAY: from the last login that was let in.			RFC 2449 6.5 */
static bool
pop3d_auth_too_soon(const struct entrance *e, uint64_t *left_ms)
{
	char what[STORE_ACCOUNT_MAX + 8];

	if (config.login_delay == 0)
		return false;
	(void)snprintf(what, sizeof(what), "pop3 " SFMT, SARG(e->account));
	return !admit_pause(slice_str(what), (uint64_t)config.login_delay, left_ms);
}

static enum pop3_next
pop3d_auth_unreadable(struct pop3d_session *s, int rc)
{
	const struct entrance *e = s->pop3.data;
	struct verdict v = verdict(OUT_DROP_UNREADABLE);

	log_event(LOG_ERROR, "maildrop", "sid=%s user=%s error=%s", s->sid, log_value(e->account),
	    log_str(strerror(-rc)));
	return pop3d_auth_no(s, POP3_SYS_TEMP, &v);
}

/* The password was changed, or the account closed, since. */
static void
pop3d_auth_revoked(struct login_watch *w)
{
	struct pop3d_session *s = CONTAINER(w, struct pop3d_session, watch);
	struct verdict v = verdict(OUT_CLOSING, shared.hostname, "log in again");

	log_context(s->sid);
	pop3_server_end(&s->pop3, "revoked", &v);
	log_context("");
}

/* It is locked, and its messages are numbered. */
static enum pop3_next
pop3d_auth_welcome(struct pop3d_session *s)
{
	const struct entrance *e = s->pop3.data;
	uint64_t left_ms = 0;
	struct verdict v;

	if (s->full) {
		v = verdict(OUT_CLIENT_FULL, shared.hostname);
		return pop3d_auth_no(s, POP3_SYS_TEMP, &v);
	}
	if (pop3d_auth_too_soon(e, &left_ms)) {
		v = verdict(OUT_LOGIN_SOON, (unsigned long long)(left_ms + 999) / 1000);
		return pop3d_auth_no(s, POP3_LOGIN_DELAY, &v);
	}
	s->account = mem_strn(e->account.p, e->account.n);
	login_watch_enter(pop3d.door, &s->watch, &e->user, LOGIN_READ, pop3d_auth_revoked);
	s->proxy = false; /* what comes now comes from the client */
	store_home_login(&pop3d.homes, s->home, e->account, STORE_LOGIN_POP3);
	metric_add(M_LOGINS, 1);
	log_event(LOG_INFO, "login", "sid=%s peer=%s user=%s mech=%s tls=%s messages=%u", s->sid,
	    s->peer, log_str(s->account), e->mechanism,
	    stream_secure(&s->pop3.line.io) ? "yes" : "no", s->drop->count);
	pop3_server_logged_in(&s->pop3);
	return pop3_server_ok(&s->pop3, "%u messages (%llu octets)", s->drop->count,
	    (unsigned long long)s->drop->bytes);
}

static void
pop3d_auth_opened(void *arg, int rc, struct drop *d)
{
	struct pop3d_session *s = arg;

	log_context(s->sid);
	s->drop = d;
	pop3_server_resume(&s->pop3, rc < 0 ? pop3d_auth_unreadable(s, rc) : pop3d_auth_welcome(s));
}

static enum pop3_next
pop3d_auth_open(struct pop3d_session *s, uint64_t account)
{
	const struct entrance *e = s->pop3.data;
	struct verdict v = verdict(OUT_DROP_IN_USE);
	int rc = pop3d_auth_lock(s, e);

	if (rc == -EAGAIN) {
		metric_add(M_IN_USE, 1);
		log_event(LOG_INFO, "login_limit", "sid=%s peer=%s user=%s", s->sid, s->peer,
		    log_value(e->account));
		return pop3d_auth_no(s, POP3_IN_USE, &v);
	}
	if (rc == 0)
		rc = drop_open(s->home->view, account, &s->drop);
	if (rc < 0)
		return pop3d_auth_unreadable(s, rc);
	if (rc == 0)
		return pop3d_auth_welcome(s);
	drop_open_start(s->home->reader, account, pop3d.loop, &s->pop3.op, pop3d_auth_opened, s);
	return POP3_WAIT;
}

static void
pop3d_auth_home(void *arg, const struct verdict *v, struct store_home *home, uint64_t account)
{
	struct pop3d_session *s = arg;

	log_context(s->sid);
	s->home = home;
	pop3_server_resume(&s->pop3, home ? pop3d_auth_open(s, account) : pop3d_session_no(s, v));
}

static void
pop3d_auth_accepted(struct pop3d_session *s, const struct login_result *r)
{
	struct entrance *e = arena_new(&s->pop3.arena, sizeof(*e));
	uint64_t account;

	s->pop3.data = e;
	e->account = arena_slice(&s->pop3.arena, r->user.account);
	e->mechanism = r->mechanism;
	e->user = r->user;
	e->user.account = e->account;
	e->user.dn = arena_slice(&s->pop3.arena, r->user.dn);
	s->home = store_home_find(&pop3d.homes, e->account, r->user.partition, &account);
	if (s->home)
		pop3_server_resume(&s->pop3, pop3d_auth_open(s, account));
	else
		store_home_start(&pop3d.homes, e->account, r->user.partition, &s->pop3.op,
		    pop3d_auth_home, s);
}

/* What an outcome is to a client.						RFC 3206 4, 5 */
static enum pop3_code
pop3d_auth_code(enum login_outcome outcome)
{
	static const enum pop3_code codes[LOGIN_OUTCOMES] = {
		[LOGIN_WRONG] = POP3_AUTH,
		[LOGIN_INACTIVE] = POP3_AUTH,
		[LOGIN_FORBIDDEN] = POP3_AUTH,
		[LOGIN_NOT_YOURS] = POP3_AUTH,
		[LOGIN_ELSEWHERE] = POP3_SYS_PERM,
		[LOGIN_AWAY] = POP3_SYS_TEMP,
		[LOGIN_APP] = POP3_AUTH,
		[LOGIN_CODE] = POP3_AUTH,
		[LOGIN_CODE_WRONG] = POP3_AUTH,
		[LOGIN_TOKEN] = POP3_AUTH,
		[LOGIN_SCOPE] = POP3_AUTH,
	};

	return codes[outcome];
}

static enum pop3_next
pop3d_auth_refused(struct pop3d_session *s, const struct login_result *r)
{
	const struct login_answer *a = login_answer(r->outcome);
	struct verdict v = verdict(a->kind, a->reply, a->esc, "%s", a->text);

	log_event(LOG_INFO, "login_failed",
	    "sid=%s service=pop3 peer=%s login=%s user=%s mech=%s%s%s reason=%s", s->sid, s->peer,
	    log_value(r->name), log_value(r->user.account), r->mechanism,
	    r->outcome == LOGIN_ELSEWHERE ? " mailhost=" : "",
	    r->outcome == LOGIN_ELSEWHERE ? log_value(r->user.mailhost) : "", a->log);
	metric_add(M_LOGIN_FAILED, a->counts);
	s->failures += a->counts;
	if (a->counts && config.failures && s->failures >= config.failures) {
		s->pop3.line.why = "failures";
		s->pop3.doomed = true;
	}
	/* A proxy goes there itself. */
	if (r->outcome == LOGIN_ELSEWHERE && s->proxy) {
		v = verdict(OUT_LOGIN_REFERRED, SARG(r->user.mailhost));
		return pop3_server_err(&s->pop3, POP3_PLAIN, &v);
	}
	return pop3_server_err(&s->pop3, pop3d_auth_code(r->outcome), &v);
}

static void
pop3d_auth_done(void *arg, const struct login_result *r)
{
	struct pop3d_session *s = arg;
	struct login *l = s->login;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	if (r->outcome == LOGIN_OK)
		pop3d_auth_accepted(s, r);
	else
		pop3_server_resume(&s->pop3, pop3d_auth_refused(s, r));
	login_free(&l);
}

/* The mechanism has asked the directory, or an authorization server, and has more to say. */
static void
pop3d_auth_challenge(void *arg, struct slice text)
{
	struct pop3d_session *s = arg;

	log_context(s->sid);
	pop3_server_resume(&s->pop3, pop3_server_challenge(&s->pop3, text));
}

/* XCLIENT [FIELD=value ...]: of whom a proxy speaks; Postfix' XCLIENT, as Dovecot has it in POP3. */
enum pop3_next
pop3d_cmd_xclient(struct pop3_server *pop3, struct slice arg)
{
	struct pop3d_session *s = pop3d_session_of(pop3);
	struct verdict v = verdict(OUT_VERB_NOT_OFFERED, pop3->cmd->name);
	struct login_forward forward = { 0 };
	struct slice word, field;

	if (!s->proxy)
		return pop3_server_bad(pop3, &v);
	while (slice_word(&arg, &word) && slice_cut(&word, '=', &field))
		login_forward_take(&forward, field, word);
	pop3d_session_forwarded(s, &forward);
	return pop3_server_ok(pop3, "Noted");
}

/* ---- what pop3/server asks -------------------------------------------------------------------- */

static void
pop3d_auth_start(struct pop3d_session *s)
{
	struct login_request r = { .service = "pop",
		.purpose = LOGIN_READ,
		.tls = stream_secure(&s->pop3.line.io),
		.proxy = s->proxy,
		.challenge = pop3d_auth_challenge,
		.hosts = config.hosts,
		.any_host = config.any_host };

	memcpy(r.by_app, s->app, sizeof(r.by_app));
	stream_peer(&s->pop3.line.io, &r.peer);
	login_free(&s->login); /* of an exchange that the client gave up */
	s->login = login_start(pop3d.door, &r, &s->pop3.op, pop3d_auth_done, s);
}

static enum pop3_next
pop3d_auth_step(struct pop3d_session *s, const struct slice *response)
{
	struct slice text;
	struct verdict v;

	switch (login_step(s->login, response, &text)) {
	case LOGIN_CHALLENGE: return pop3_server_challenge(&s->pop3, text);
	case LOGIN_WAIT: return POP3_WAIT;
	case LOGIN_MALFORMED: break;
	}
	v = verdict(OUT_AUTH_MALFORMED, SARG(text));
	login_free(&s->login);
	return pop3_server_bad(&s->pop3, &v);
}

enum pop3_next
pop3d_auth_login(struct pop3_server *pop3, struct slice name, struct slice password)
{
	struct pop3d_session *s = pop3d_session_of(pop3);

	pop3d_auth_start(s);
	login_password(s->login, name, password);
	return POP3_WAIT;
}

enum pop3_next
pop3d_auth_sasl_line(struct pop3_server *pop3, struct slice response)
{
	return pop3d_auth_step(pop3d_session_of(pop3), &response);
}

enum pop3_next
pop3d_auth_sasl(struct pop3_server *pop3, struct slice mechanism, const struct slice *response)
{
	struct pop3d_session *s = pop3d_session_of(pop3);
	struct verdict v = verdict(OUT_AUTH_MECHANISM);

	pop3d_auth_start(s);
	if (!login_mechanism(s->login, mechanism)) {
		login_free(&s->login);
		return pop3_server_err(pop3, POP3_PLAIN, &v);
	}
	return pop3d_auth_step(s, response);
}
