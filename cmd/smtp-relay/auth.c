/* auth.c: AUTH (RFC 4954) on submission listeners: the mechanisms of lib/sasl over base64, the
 * password checked by the directory.  Wrong passwords are answered late, and not often. */
#include "base/base64.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "relay.h"

static enum smtp_next auth_line(struct smtp_server *smtp, struct slice line);

/* Passwords only over TLS; tests on loopback may be configured otherwise. */
bool
auth_offered(const struct session *s)
{
	if (s->role != ROLE_SUBMISSION)
		return false;
	return stream_secure(&s->smtp.io) || (shared.insecure_loopback && s->loopback);
}

static enum smtp_next
say(struct session *s, enum verdict_kind kind, int code, const char *esc, const char *text)
{
	struct verdict v = verdict(kind, code, esc, "%s", text);

	arena_reset(&s->smtp.arena);
	return smtp_server_say(&s->smtp, &v);
}

static void
secret_wipe(struct slice s)
{
	if (s.n) /* our own copy, in the arena */
		explicit_bzero((char *)(uintptr_t)s.p, s.n);
}

static void
auth_late(struct deadline *d)
{
	struct session *s = CONTAINER(d, struct session, delay);
	struct verdict v;

	if (config.auth_failures && s->auth_failed >= config.auth_failures) {
		v = verdict(TEMP, 421, "4.7.0", "%s too many failures", shared.hostname);
		smtp_server_say(&s->smtp, &v);
		s->smtp.why = "auth";
		smtp_server_resume(&s->smtp, SMTP_CLOSE);
		return;
	}
	v = verdict(PERM, 535, "5.7.8", "authentication failed");
	smtp_server_say(&s->smtp, &v);
	smtp_server_resume(&s->smtp, SMTP_NEXT);
}

static void
auth_checked(void *arg, const struct dir_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct slice login = s->sasl.authcid;

	secret_wipe(s->sasl.password);
	if (a->v.kind == OK && a->user && s->sasl.authzid.n &&
	    !slice_ieq(s->sasl.authzid, login) &&
	    !slice_ieq(s->sasl.authzid, a->user->account)) {
		log_event(LOG_INFO, "auth", "sid=%s login=%s authzid=%s result=refused", s->sid,
		    log_value(login), log_value(s->sasl.authzid));
		s->auth_failed++;
	} else if (a->v.kind == OK && a->user) {
		mem_free(&s->account);
		s->account = mem_strn(a->user->account.p, a->user->account.n);
		s->smtp.authed = 1;
		metric_add(M_AUTH_OK, 1);
		log_event(LOG_INFO, "auth", "sid=%s login=%s user=%s result=ok", s->sid,
		    log_value(login), log_str(s->account));
		say(s, OK, 235, "2.7.0", "welcome");
		smtp_server_resume(&s->smtp, SMTP_NEXT);
		return;
	} else {
		log_event(LOG_INFO, "auth", "sid=%s login=%s result=%s text=%s", s->sid,
		    log_value(login), a->v.kind == TEMP ? "error" : "failed",
		    log_str(a->v.text));
		if (a->v.kind == TEMP) {
			say(s, TEMP, 454, "4.7.0", "cannot check passwords at present");
			smtp_server_resume(&s->smtp, SMTP_NEXT);
			return;
		}
		s->auth_failed++;
	}
	metric_add(M_AUTH_FAILED, 1);
	arena_reset(&s->smtp.arena);
	deadline_set(&s->delay, daemon_loop(), (uint64_t)config.auth_delay, auth_late);
}

/* One response, decoded; NULL when there was no initial one. */
static enum smtp_next
auth_step(struct session *s, const struct slice *response)
{
	struct slice challenge;
	struct buf b = { 0 };
	enum smtp_next next;
	const char *why;

	switch (sasl_step(&s->sasl, &s->smtp.arena, response, &challenge, &why)) {
	case SASL_CHALLENGE:
		base64_write(&b, challenge);
		next = smtp_server_ask(&s->smtp, buf_get(&b), auth_line);
		buf_fini(&b);
		return next;
	case SASL_CHECK:
		dir_auth_start(
		    relay.dir, s->sasl.authcid, s->sasl.password, &s->op, auth_checked, s);
		return SMTP_WAIT;
	case SASL_BAD:
		break;
	}
	return say(s, PERM, 501, "5.5.2", why);
}

static enum smtp_next
auth_decode(struct session *s, struct slice text)
{
	struct buf b = { 0 };
	enum smtp_next next;
	struct slice bytes;

	if (slice_eq(text, S("="))) /* an empty initial response: RFC 4954 4 */
		text = S("");
	if (base64_parse(&b, text) < 0) {
		next = say(s, PERM, 501, "5.5.2", "this is not base64");
	} else {
		bytes = buf_get(&b);
		next = auth_step(s, &bytes);
	}
	secret_wipe(buf_get(&b));
	buf_fini(&b);
	return next;
}

static enum smtp_next
auth_line(struct smtp_server *smtp, struct slice line)
{
	struct session *s = session_of(smtp);

	smtp->verb = "AUTH";
	line = slice_trim(line);
	if (slice_eq(line, S("*")))
		return say(s, PERM, 501, "5.0.0", "authentication given up");
	return auth_decode(s, line);
}

/* AUTH mechanism [initial-response]				RFC 4954 4 */
enum smtp_next
cmd_auth(struct smtp_server *smtp, struct slice arg)
{
	struct session *s = session_of(smtp);
	struct slice mech;

	if (s->smtp.authed)
		return say(s, PERM, 503, "5.5.1", "you are authenticated already");
	if (!auth_offered(s))
		return say(s, PERM, 538, "5.7.11", "STARTTLS first");
	if (!slice_word(&arg, &mech))
		return say(s, PERM, 501, "5.5.4", "AUTH needs a mechanism");
	if (!sasl_start(&s->sasl, mech))
		return say(s, PERM, 504, "5.5.4", "no such mechanism");
	arg = slice_trim(arg);
	return arg.n ? auth_decode(s, arg) : auth_step(s, NULL);
}
