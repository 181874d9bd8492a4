/* memd/password.c: POST /password: a person changes the password.
 *
 * Owns both passwords and a connection to the directory of the person's own, until the request is over.  The old
 * password is judged by lib/login first, so that guesses are as slow as elsewhere; then the change is asked for by
 * RFC 3062 on a connection that was bound with it.  So memd needs no right of its own to anybody's password, and
 * slapd's rules and policies are the person's.  Can fail: the directory, at each step; a change that was sent and
 * not answered may have happened, and is told as that.  Must stay true: what is over leaves no password behind. */
#include "base/log.h"
#include "base/mem.h"
#include "directory/agent.h"
#include "memd.h"

#define PASSWORD_MOST 256 /* octets */

struct memd_change {
	struct memd_session *s;
	struct secret old, new;
	struct dir_agent *agent;
};

static void
password_undo(struct http_server *http)
{
	struct memd_change *c = http->data;

	if (c->agent) /* whether it was changed is not known where nobody has waited for it */
		dir_forget(memd.dir, slice_str(c->s->account));
	dir_agent_free(&c->agent);
	secret_wipe(&c->old);
	secret_wipe(&c->new);
	mem_free(&c);
}

/* ---- the sessions that began with the old one -------------------------------------------------------------- */

/* What was changed is changed.  A store that was not told keeps the others until the directory's pwdChangedTime ends
 * them, and this one with them. */
static enum http_next
password_told(struct memd_session *s, unsigned status, struct slice body UNUSED)
{
	bool ended = status == 204;

	log_event(ended ? LOG_INFO : LOG_WARN, "session_end",
	    "sid=%s peer=%s user=%s session=%s which=%s", s->sid, s->peer, log_str(s->account),
	    s->web.id, ended ? "others" : "unknown");
	http_server_answer(&s->http, 200);
	if (ended && s->cookie)
		memd_auth_cookie(s, false);
	return memd_json(s, 200, ended ? S("{\"ended\":true}\n") : S("{\"ended\":false}\n"));
}

/* A new session goes on, in the place of the one that asked; all others end. */
static void
password_looked(void *arg, const struct login_result *r)
{
	struct memd_change *c = arg;
	struct memd_session *s = c->s;
	struct login *l = s->login;
	struct login_user user = { .account = slice_str(s->account), .by_code = s->web.coded };
	bool signed_on = s->web.signed_on;
	enum http_next next;

	log_context(s->sid);
	s->login = NULL;
	if (r->outcome == LOGIN_OK)
		user.password_at = r->user.password_at;
	if (!s->cookie)
		next = memd_record_end(s, "others", password_told);
	else if (memd_record_new(s, &user, signed_on))
		next = memd_record_begin(s, true, password_told);
	else
		next = password_told(s, 0, S(""));
	login_free(&l);
	http_server_resume(&s->http, next);
}

/* ---- the directory's answer ---------------------------------------------------------------------------- */

static enum http_next
password_answer(struct memd_session *s, enum dir_result result)
{
	switch ((int)result) {
	case DIR_R_OK: return memd_json(s, 200, S("{\"ended\":false}\n"));
	case DIR_R_VALUE:
		return memd_problem(s, 422, "weak", "The directory does not take this password.");
	case DIR_R_DENIED:
	case DIR_R_READ_ONLY:
		return memd_problem(s, 403, "denied", "Passwords cannot be changed here.");
	case DIR_R_UNKNOWN:
		return memd_problem(s, 503, "unknown",
		    "The directory has not answered; the password may have been changed.");
	default:
		return memd_problem(s, 503, "away",
		    "The directory does not answer; try again soon.");
	}
}

static void
password_changed(void *arg, const struct dir_outcome *o)
{
	struct memd_change *c = arg;
	struct memd_session *s = c->s;

	log_context(s->sid);
	if (o->result == DIR_R_OK) {
		metric_add(M_PASSWORDS, 1);
		login_learn_later(memd.door, slice_str(s->account), secret_get(&c->new));
		log_event(LOG_INFO, "password_changed", "sid=%s peer=%s user=%s", s->sid, s->peer,
		    log_str(s->account));
	} else {
		log_event(LOG_WARN, "password_refused", "sid=%s peer=%s user=%s error=%s", s->sid,
		    s->peer, log_str(s->account), log_str(o->why));
	}
	/* Also where it is not known: the old one must be asked about again. */
	dir_forget(memd.dir, slice_str(s->account));
	if (o->result == DIR_R_OK && memd_auth_again(s, slice_str(s->account), password_looked, c))
		return;
	http_server_resume(&s->http, password_answer(s, o->result));
}

/* ---- the old one is right ------------------------------------------------------------------------------ */

static void
password_change(struct memd_change *c, struct slice dn)
{
	char *name = mem_strn(dn.p, dn.n), *old = mem_strn(c->old.p, c->old.n);
	struct dir_job job = { .task = DIR_PASSWORD, .dn = name, .password = secret_get(&c->new) };

	c->agent = dir_agent_new(memd.dir, name, old);
	dir_agent_start(c->agent, &job, &c->s->http.op, password_changed, c);
	secret_clear(old, strlen(old));
	mem_free(&old);
	mem_free(&name);
}

static void
password_judged(void *arg, const struct login_result *r)
{
	struct memd_change *c = arg;
	struct memd_session *s = c->s;
	struct login *l = s->login;

	log_context(s->sid);
	s->login = NULL; /* what follows may end the session; the result lives as long as l */
	if (r->outcome == LOGIN_OK) {
		password_change(c, r->user.dn);
	} else {
		memd_auth_log(s, r);
		/* 401 would say that the session is over. */
		http_server_resume(&s->http,
		    r->outcome == LOGIN_WRONG ?
			memd_problem(s, 403, "wrong", "The old password is wrong.") :
			memd_auth_no(s, r));
	}
	login_free(&l);
}

/* ---- what is asked for ------------------------------------------------------------------------------------ */

static enum http_next
password_asked(struct memd_session *s, const struct json_t *v)
{
	struct login_request r = memd_auth_request(s);
	struct slice old, new;
	struct memd_change *c;

	if (!json_get_str(json_find(v, S("old")), &old) ||
	    !json_get_str(json_find(v, S("new")), &new))
		return memd_problem(s, 400, "malformed", "There is no old and new password.");
	if (new.n == 0 || new.n > PASSWORD_MOST || slice_find(new, '\0') < new.n)
		return memd_problem(s, 422, "weak", "A password has 1 to 256 octets.");
	c = mem_new(sizeof(*c));
	c->s = s;
	secret_set(&c->old, old);
	secret_set(&c->new, new);
	s->http.data = c;
	s->http.undo = password_undo;
	if (s->cookie) /* which was given after the code */
		r.factor = LOGIN_FACTOR_KNOWN;
	s->login = login_start(memd.door, &r, &s->http.op, password_judged, c);
	login_password(s->login, slice_str(s->account), old);
	return HTTP_WAIT;
}

static enum http_next
password_known(struct memd_session *s, const struct login_user *user UNUSED)
{
	return memd_body(s, password_asked);
}

enum http_next
memd_password(struct memd_session *s)
{
	const struct http_head *h = http_server_head(&s->http);

	if (h->verb != HTTP_VERB_POST)
		return http_server_refuse_verb(&s->http, HTTP_VERB_POST);
	if (!web_guard_json(h))
		return memd_problem(s, 415, "type", "The content must be application/json.");
	return memd_auth_look(s, password_known);
}
