/* memd/record.c: the records of sessions, which the person's store keeps: they begin, are used, end, and are shown.
 *
 * Owns nothing: each is a question to the store (ask.c), and what follows when it is told.  A cookie alone lets nobody
 * in: its session must have a record (jmapd looks at each request of JMAP, and is asked here for the others), and the
 * password must be the one that it was begun with.  Can fail: the store, which is 503 and logs nobody out.
 * Must stay true: a session that has ended on one host is over on all, with the next request. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "memd.h"
#include "web/records.h"

enum http_next
memd_record_away(struct memd_session *s)
{
	http_server_answer(&s->http, 503);
	http_server_field(&s->http, "Retry-After", S("5"));
	return memd_problem(s, 503, "store", "Your mailbox cannot be reached now; try again soon.");
}

/* Of what was asked about this session.  False: the answer is *next. */
static bool
record_good(struct memd_session *s, unsigned status, enum http_next *next)
{
	if (status >= 200 && status < 300)
		return true;
	if (status == 401)
		*next = memd_record_over(s, "ended");
	else if (status == 429)
		*next = memd_problem(s, 429, "limit", "Too many requests of this user at once.");
	else
		*next = memd_record_away(s);
	return false;
}

enum http_next
memd_record_over(struct memd_session *s, const char *why)
{
	log_event(LOG_INFO, "session_over", "sid=%s peer=%s user=%s session=%s why=%s", s->sid,
	    s->peer, log_str(s->account), s->web.id, why);
	metric_add(M_ENDED, 1);
	return memd_auth_over(s);
}

/* ---- a session begins ------------------------------------------------------------------------------------- */

bool
memd_record_new(struct memd_session *s, const struct login_user *user, bool signed_on)
{
	int64_t now = clock_now();

	/* Clocks differ: it was begun with the password that is there now. */
	if (!web_session_begin(&s->web, user->account,
		user->password_at > now ? user->password_at : now))
		return false;
	s->web.signed_on = signed_on;
	s->web.coded = user->by_code || signed_on; /* a second factor is the provider's then */
	return true;
}

static char *
record_target(struct memd_session *s, const char *path, const char *more)
{
	struct web_session_rules rules = memd_auth_rules();
	int64_t now = clock_now();

	return mem_printf("%s?until=%lld%s", path,
	    (long long)(now + web_session_left(&s->web, &rules, now)), more);
}

enum http_next
memd_record_begin(struct memd_session *s, bool alone, memd_told told)
{
	char *target = record_target(s, "/sessions/begin", alone ? "&alone=yes" : "");
	enum http_next next = memd_ask(s, true, target, told);

	mem_free(&target);
	return next;
}

enum http_next
memd_record_end(struct memd_session *s, const char *which, memd_told told)
{
	char *target = mem_printf("/sessions/end?which=%s", which);
	enum http_next next = memd_ask(s, true, target, told);

	mem_free(&target);
	return next;
}

/* ---- a session is used ------------------------------------------------------------------------------------- */

static enum http_next
record_go_on(struct memd_session *s)
{
	struct login_user user = { .account = slice_str(s->account),
		.mailhost = slice_str(s->mailhost) };

	return s->then(s, &user);
}

static enum http_next
record_told(struct memd_session *s, unsigned status, struct slice body UNUSED)
{
	enum http_next next;

	if (status == 0 && !s->looks) {
		s->due =
		    false; /* the store hears of it again with what follows, which says the rest */
		return record_go_on(s);
	}
	return record_good(s, status, &next) ? record_go_on(s) : next;
}

const char *
memd_record_outlived(const struct memd_session *s, const struct login_user *user)
{
	if (user->password_at > s->web.began)
		return "password";
	return user->has_factor && !s->web.coded ? "factor" : NULL;
}

static enum http_next
record_expired(struct memd_session *s, unsigned status UNUSED, struct slice body UNUSED)
{
	return memd_record_over(s, "password");
}

static enum http_next
record_uncoded(struct memd_session *s, unsigned status UNUSED, struct slice body UNUSED)
{
	return memd_record_over(s, "factor");
}

enum http_next
memd_record_judge(struct memd_session *s, const struct login_user *user)
{
	const char *why = memd_record_outlived(s, user);
	enum http_next next;
	char *target;

	if (why)
		return memd_record_end(s, s->web.id,
		    strcmp(why, "factor") == 0 ? record_uncoded : record_expired);
	if (!s->due)
		return s->looks ? memd_ask(s, false, "/sessions/check", record_told) :
				  record_go_on(s);
	target = record_target(s, "/sessions/seen", "");
	next = memd_ask(s, true, target, record_told);
	mem_free(&target);
	return next;
}

/* ---- GET and POST /sessions ----------------------------------------------------------------------------------- */

static enum http_next
record_listed(struct memd_session *s, unsigned status, struct slice body)
{
	enum http_next next;

	if (!record_good(s, status, &next))
		return next;
	http_server_answer(&s->http, 200);
	if (s->due)
		memd_auth_cookie(s, false);
	return memd_json(s, 200, body);
}

static enum http_next
record_list(struct memd_session *s, const struct login_user *user UNUSED)
{
	return memd_ask(s, false, "/sessions", record_listed);
}

static enum http_next
record_ended(struct memd_session *s, unsigned status, struct slice body UNUSED)
{
	enum http_next next;

	return record_good(s, status, &next) ? memd_json(s, 200, S("{}\n")) : next;
}

static enum http_next
record_end_asked(struct memd_session *s, const struct json_t *v)
{
	struct slice which;
	char text[16];

	if (!json_get_str(json_find(v, S("end")), &which) ||
	    (!slice_eq(which, S("others")) && !web_record_id(which)))
		return memd_problem(s, 400, "malformed",
		    "`end' is the id of a session, or \"others\".");
	slice_cstr(which, text, sizeof(text));
	log_event(LOG_INFO, "session_end", "sid=%s peer=%s user=%s session=%s which=%s", s->sid,
	    s->peer, log_str(s->account), s->web.id, text);
	return memd_record_end(s, text, record_ended);
}

static enum http_next
record_end(struct memd_session *s, const struct login_user *user UNUSED)
{
	return memd_body(s, record_end_asked);
}

enum http_next
memd_sessions(struct memd_session *s)
{
	const struct http_head *h = http_server_head(&s->http);

	if (h->verb == HTTP_VERB_GET)
		return memd_auth_start(s, record_list);
	if (h->verb != HTTP_VERB_POST)
		return http_server_refuse_verb(&s->http, HTTP_VERB_GET | HTTP_VERB_POST);
	if (!web_guard_json(h))
		return memd_problem(s, 415, "type", "The content must be application/json.");
	return memd_auth_look(s, record_end);
}
