/* imapd/auth.c: who logs in: LOGIN, AUTHENTICATE: RFC 3501 6.2, RFC 4959, RFC 5530.
 *
 * Owns the session's login while it lasts; imap/server calls through the policy.  lib/login judges;
 * then stored makes the account ready, when no open partition knows it, and is waited for while it
 * starts.  Can fail: any of these, each with its response code.  Must stay true: what is over
 * leaves no password behind, and whoever is refused by a count was not let in. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "session.h"

/* What is kept of the login's outcome while stored makes the account ready; in the arena. */
struct welcome {
	struct login_user user;
	struct slice account;
	struct store_limits limits;
	const char *mechanism;
	struct store_home *home; /* his, */
	uint64_t id;             /* ... and his account there */
};

/* ---- after the password ------------------------------------------------------------------ */

/* The password was changed, or the account closed, since. */
static void
imapd_auth_revoked(struct login_watch *w)
{
	struct session *s = CONTAINER(w, struct session, watch);

	log_context(s->sid);
	imap_server_bye(&s->imap, "revoked", "Log in again");
	log_context("");
}

static enum imap_next
imapd_auth_welcome(struct session *s, struct user *u)
{
	const struct welcome *w = s->imap.data;
	struct buf b = { 0 };
	const char *caps;

	if (s->full || admit_user(&s->admit, slice_str(u->account)) != ADMIT_OK) {
		user_drop(&u);
		log_event(LOG_INFO, "login_limit", "sid=%s peer=%s user=%s", s->sid, s->peer,
		    log_value(w->account));
		return imap_server_no(&s->imap, "LIMIT",
		    s->full ? "Too many connections from there" :
			      "Too many connections of this user");
	}
	session_begin(s, u);
	login_watch_enter(imapd.door, &s->watch, &w->user, LOGIN_READ, imapd_auth_revoked);
	store_home_login(&imapd.homes, u->part, slice_str(u->account), STORE_LOGIN_IMAP);
	metric_add(M_LOGINS, 1);
	if (log_wants(LOG_INFO))
		log_event(LOG_INFO, "login", "sid=%s peer=%s user=%s mech=%s tls=%s", s->sid,
		    s->peer, log_str(u->account), w->mechanism,
		    stream_secure(&s->imap.line.io) ? "yes" : "no");
	imap_server_capability(&s->imap, &b);
	caps = buf_cstr(&b);
	imap_server_finish(&s->imap, "OK", "[%s] Logged in", caps);
	buf_fini(&b);
	return IMAP_NEXT;
}

static void
imapd_auth_grouped(void *arg)
{
	struct session *s = arg;
	const struct welcome *w = s->imap.data;

	log_context(s->sid);
	imap_server_resume(&s->imap,
	    imapd_auth_welcome(s, user_new(w->account, w->id, w->home, w->limits)));
}

/* His home is known: his groups are looked for, where one matters. */
static void
imapd_auth_group(struct session *s, struct store_home *home, uint64_t account)
{
	struct welcome *w = s->imap.data;

	w->home = home;
	w->id = account;
	session_groups();
	if (!login_groups_start(imapd.door, w->account, &s->imap.op, imapd_auth_grouped, s))
		imapd_auth_grouped(s);
}

static void
imapd_auth_home(void *arg, const struct verdict *v, struct store_home *home, uint64_t account)
{
	struct session *s = arg;

	log_context(s->sid);
	if (home)
		imapd_auth_group(s, home, account);
	else
		imap_server_resume(&s->imap, imap_server_no(&s->imap, "UNAVAILABLE", v->text));
}

static void
imapd_auth_accepted(struct session *s, const struct login_result *r)
{
	struct arena *a = &s->imap.arena;
	struct welcome *w = arena_new(a, sizeof(*w));
	struct store_home *home;
	uint64_t account;

	s->imap.data = w;
	w->account = arena_slice(a, r->user.account);
	w->limits = r->user.limits;
	w->user = r->user;
	w->user.account = w->account;
	w->user.dn = arena_slice(a, r->user.dn);
	w->mechanism = r->mechanism;
	home = store_home_find(&imapd.homes, w->account, r->user.partition, &account);
	if (home)
		imapd_auth_group(s, home, account);
	else
		store_home_start(&imapd.homes, w->account, r->user.partition, &s->imap.op,
		    imapd_auth_home, s);
}

static enum imap_next
imapd_auth_refused(struct session *s, const struct login_result *r)
{
	const struct login_answer *a = login_answer(r->outcome);

	log_event(LOG_INFO, "login_failed",
	    "sid=%s service=imap peer=%s login=%s user=%s mech=%s%s%s reason=%s", s->sid, s->peer,
	    log_value(r->name), log_value(r->user.account), r->mechanism,
	    r->outcome == LOGIN_ELSEWHERE ? " mailhost=" : "",
	    r->outcome == LOGIN_ELSEWHERE ? log_value(r->user.mailhost) : "", a->log);
	metric_add(M_LOGIN_FAILED, a->counts);
	s->failures += a->counts;
	if (a->counts && conf.failures && s->failures >= conf.failures) {
		imap_server_untagged(&s->imap, "BYE Too many failed logins");
		s->imap.doomed = true;
	}
	/* A proxy goes there itself. */
	if (r->outcome == LOGIN_ELSEWHERE && s->proxy)
		return imap_server_finish(&s->imap, "NO",
		    "[REFERRAL imap://" SFMT "/] This mailbox is on another host",
		    SARG(r->user.mailhost));
	return imap_server_finish(&s->imap, "NO", "%s", a->imap);
}

static void
imapd_auth_done(void *arg, const struct login_result *r)
{
	struct session *s = arg;
	struct login *l = s->login;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	if (r->outcome == LOGIN_OK)
		imapd_auth_accepted(s, r);
	else
		imap_server_resume(&s->imap, imapd_auth_refused(s, r));
	login_free(&l);
}

/* The mechanism has asked the directory, or an authorization server, and has more to say. */
static void
imapd_auth_challenge(void *arg, struct slice text)
{
	struct session *s = arg;

	log_context(s->sid);
	imap_server_resume(&s->imap, imap_server_challenge(&s->imap, text));
}

/* ---- what imap/server asks -------------------------------------------------------------------- */

static void
imapd_auth_start(struct session *s)
{
	struct login_request r = { .service = "imap",
		.purpose = LOGIN_READ,
		.tls = stream_secure(&s->imap.line.io),
		.proxy = s->proxy,
		.challenge = imapd_auth_challenge,
		.hosts = conf.hosts,
		.any_host = conf.any_host };

	memcpy(r.by_app, s->app, sizeof(r.by_app));
	stream_peer(&s->imap.line.io, &r.peer);
	login_free(&s->login); /* of an exchange that the client gave up */
	s->login = login_start(imapd.door, &r, &s->imap.op, imapd_auth_done, s);
}

static enum imap_next
imapd_auth_step(struct session *s, const struct slice *response)
{
	struct slice text;

	switch (login_step(s->login, response, &text)) {
	case LOGIN_CHALLENGE: return imap_server_challenge(&s->imap, text);
	case LOGIN_WAIT: return IMAP_WAIT;
	case LOGIN_MALFORMED: break;
	}
	login_free(&s->login);
	return imap_server_bad(&s->imap, text.p);
}

/* LOGIN							RFC 3501 6.2.3 */
enum imap_next
auth_login(struct imap_server *imap, struct slice name, struct slice password)
{
	struct session *s = session_of(imap);

	imapd_auth_start(s);
	login_password(s->login, name, password);
	return IMAP_WAIT;
}

enum imap_next
auth_sasl_line(struct imap_server *imap, struct slice response)
{
	return imapd_auth_step(session_of(imap), &response);
}

/* AUTHENTICATE							RFC 3501 6.2.2 */
enum imap_next
auth_sasl(struct imap_server *imap, struct slice mechanism, const struct slice *response)
{
	struct session *s = session_of(imap);

	imapd_auth_start(s);
	if (!login_mechanism(s->login, mechanism)) {
		login_free(&s->login);
		return imap_server_no(imap, "CANNOT", "Unknown mechanism");
	}
	return imapd_auth_step(s, response);
}
