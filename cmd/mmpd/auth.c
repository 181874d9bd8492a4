/* mmpd/auth.c: who logs in, whatever he speaks: by the directory, before any store hears of him.
 *
 * Owns the session's login while it lasts; the doors call.  lib/login judges; then the user is counted and
 * his store is reached (reach.c).  Can fail: the directory, which is never the password's fault.  Must
 * stay true: what is over leaves no password behind, and whoever is refused by a count was not let in. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "mmpd.h"

static void
mmpd_auth_accepted(struct mmpd_session *s, const struct login_result *r)
{
	struct slice host = r->user.mailhost.n > 0 ? r->user.mailhost : slice_str(config.dflt);

	if (admit_user(&s->admit, r->user.account) != ADMIT_OK) {
		log_event(LOG_INFO, "login_limit", "sid=%s peer=%s user=%s", s->sid, s->peer,
		    log_value(r->user.account));
		mmpd_door_of(s)->no(s, MMPD_LIMIT, S(""));
		return;
	}
	mem_free(&s->account);
	s->account = mem_strn(r->user.account.p, r->user.account.n);
	memcpy(s->app, r->user.app, sizeof(s->app));
	login_watch_enter(mmpd.door, &s->watch, &r->user,
	    s->role == MMPD_SUBMISSION ? LOGIN_SUBMIT : LOGIN_READ, mmpd_session_revoked);
	if (s->role == MMPD_SUBMISSION) {
		mmpd_reach_relay(s);
		return;
	}
	if (host.n == 0) {
		log_event(LOG_WARN, "store_none", "sid=%s user=%s", s->sid, log_str(s->account));
		admit_user_leave(&s->admit);
		login_watch_leave(&s->watch);
		mmpd_door_of(s)->no(s, MMPD_NO_STORE, S(""));
		return;
	}
	mmpd_reach_start(s, host);
}

static void
mmpd_auth_refused(struct mmpd_session *s, const struct login_result *r)
{
	const struct login_answer *a = login_answer(r->outcome);

	log_event(LOG_INFO, "login_failed",
	    "sid=%s service=%s peer=%s login=%s user=%s mech=%s reason=%s", s->sid,
	    mmpd_door_of(s)->service, s->peer, log_value(r->name), log_value(r->user.account),
	    r->mechanism, a->log);
	metric_add(M_LOGIN_FAILED, a->counts);
	s->failures += a->counts;
	mmpd_door_of(s)->refused(s, a, r->outcome,
	    a->counts && config.failures && s->failures >= config.failures);
}

static void
mmpd_auth_done(void *arg, const struct login_result *r)
{
	struct mmpd_session *s = arg;
	struct login *l = s->login;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	if (r->outcome == LOGIN_OK)
		mmpd_auth_accepted(s, r);
	else
		mmpd_auth_refused(s, r);
	login_free(&l);
}

/* The mechanism has asked the directory, or an authorization server, and has more to say. */
static void
mmpd_auth_challenge(void *arg, struct slice text)
{
	struct mmpd_session *s = arg;

	log_context(s->sid);
	mmpd_door_of(s)->challenge(s, text);
}

static void
mmpd_auth_start(struct mmpd_session *s)
{
	struct stream *io = &mmpd_line(s)->io;
	struct login_request r = { .service = mmpd_door_of(s)->service,
		.purpose = s->role == MMPD_SUBMISSION ? LOGIN_SUBMIT : LOGIN_READ,
		.tls = stream_secure(io),
		.challenge = mmpd_auth_challenge,
		.any_host = true };

	stream_peer(io, &r.peer);
	login_free(&s->login); /* of an exchange that the client gave up */
	s->login = login_start(mmpd.door, &r, mmpd_op(s), mmpd_auth_done, s);
}

void
mmpd_auth_login(struct mmpd_session *s, struct slice name, struct slice password)
{
	mmpd_auth_start(s);
	login_password(s->login, name, password);
}

bool
mmpd_auth_mechanism(struct mmpd_session *s, struct slice mechanism)
{
	mmpd_auth_start(s);
	if (login_mechanism(s->login, mechanism))
		return true;
	login_free(&s->login);
	return false;
}

enum login_next
mmpd_auth_step(struct mmpd_session *s, const struct slice *response, struct slice *text)
{
	enum login_next next = login_step(s->login, response, text);

	if (next == LOGIN_MALFORMED)
		login_free(&s->login);
	return next;
}
