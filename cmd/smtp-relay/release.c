/* release.c: mail that its sender wants sent later (FUTURERELEASE, RFC 4865), and cancelled meanwhile (XCANCEL, our
 * own).
 *
 * Called by session.c.  The queue file says when a message is to go and whose it is; that it waits, and what is done
 * to it, is jobctl's business, which is asked for a cancellation.  Can fail: what is asked for is further away than
 * submission.hold_max, or the user may not; jobctl cannot be asked, and then nothing is known.  Must stay true: who
 * cancels has submitted it, and one that is another's is answered like one that there is not. */
#include <errno.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "job/ask.h"
#include "mail/date.h"
#include "relay.h"
#include "smtp/params.h"

#define CANCEL_MS 30000

static bool
release_offered(const struct session *s)
{
	return config.release_most > 0 && s->smtp.may_release;
}

/* FUTURERELEASE max-future-release-interval max-future-release-date-time	RFC 4865 3 */
void
release_keywords(const struct session *s, struct buf *text)
{
	int64_t most = config.release_most / 1000;

	if (!release_offered(s))
		return;
	buf_printf(text, "FUTURERELEASE %lld ", (long long)most);
	date_iso_write(text, clock_now() + most, 0);
	buf_lit(text, "\nXCANCEL\n");
}

const char *
release_account(struct session *s)
{
	struct slice named = s->smtp.mail.auth;

	if (s->account)
		return s->account;
	/* RFC 4954 5: anybody else's word for it is "<>". */
	return s->ours && named.n && !slice_eq(named, S("<>")) ? arena_cstr(&s->smtp.arena, named) :
								 NULL;
}

static bool
release_allowed(struct session *s)
{
	const char *account = release_account(s);

	for (char **u = config.release_users; u && *u; u++)
		if (strcmp(*u, "*") == 0 ||
		    (account && slice_ieq(slice_str(*u), slice_str(account))))
			return true;
	return false;
}

bool
release_judge(struct session *s, const struct smtp_mail *mail)
{
	int64_t now = clock_now(), at = mail->release_at, most = config.release_most / 1000;

	s->release_at = 0;
	if (mail->release == SMTP_RELEASE_NOW)
		return true;
	if (mail->release == SMTP_RELEASE_FOR)
		at += now;
	if (most == 0)
		relay_session_answer(s, OUT_PARAMETER_UNKNOWN, "unknown parameter");
	else if (!release_allowed(s))
		relay_session_answer(s, OUT_RELEASE_NOT_YOURS);
	else if (at > now + most)
		relay_session_answer(s, OUT_RELEASE_FAR, (long long)most);
	else {
		s->release_at = at > now ? at : 0; /* it comes late, so it goes now */
		return true;
	}
	return false;
}

/* ---- XCANCEL -------------------------------------------------------------------------------- */

static void
cancel_told(void *arg, int e, struct slice rest)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct verdict v = verdict(OUT_CANCEL_LATER);

	if (e == 0)
		v = verdict(OUT_CANCELLED);
	else if (e == -EREMOTEIO && slice_eq(kv_find(rest, "why"), S("none")))
		v = verdict(OUT_CANCEL_NONE);
	else
		log_event(LOG_WARN, "cancel_failed", "sid=%s error=%s text=%s", s->sid,
		    e == -EREMOTEIO ? "-" : log_str(strerror(-e)), log_value(rest));
	smtp_server_say(&s->smtp, &v);
	smtp_server_resume(&s->smtp, SMTP_NEXT);
}

/* The account in whose name it is: the user's own, or the one that a program of ours gives as AUTH=. */
static bool
cancel_account(struct session *s, struct slice arg, struct buf *account)
{
	struct slice key, value;
	bool has_value;
	const char *why;

	if (s->account) {
		buf_str(account, s->account);
		return slice_trim(arg).n == 0;
	}
	return s->ours && smtp_param_next(&arg, &key, &value, &has_value, &why) > 0 &&
	    slice_ieq(key, S("AUTH")) && smtp_xtext_parse(account, value) == 0 && account->n &&
	    slice_trim(arg).n == 0;
}

/* XCANCEL queue-id [AUTH=account] */
enum smtp_next
relay_cmd_xcancel(struct smtp_server *smtp, struct slice arg)
{
	struct session *s = relay_session_of(smtp);
	struct verdict v = verdict(OUT_VERB_NOT_OFFERED, "XCANCEL");
	struct buf account = { 0 }, line = { 0 };
	struct slice qid;
	char *path;

	if (!release_offered(s))
		return smtp_server_say(smtp, &v);
	if (!slice_word(&arg, &qid) || qid.n != QUEUE_ID_LEN || !cancel_account(s, arg, &account)) {
		buf_fini(&account);
		v = verdict(OUT_VERB_NEEDS, "XCANCEL",
		    s->account ? "a queue id" : "a queue id and AUTH=");
		return smtp_server_say(smtp, &v);
	}
	log_event(LOG_INFO, "cancel", "sid=%s qid=%s user=%s", s->sid, log_value(qid),
	    log_value(buf_get(&account)));
	buf_lit(&line, "cancel");
	kv_put(&line, "qid", qid);
	kv_put(&line, "by", buf_get(&account));
	path = mem_printf("%s/jobctl.sock", shared.rundir);
	job_ask_start(smtp->loop, path, buf_get(&line), CANCEL_MS, &s->op, cancel_told, s);
	mem_free(&path);
	buf_fini(&line);
	buf_fini(&account);
	return SMTP_WAIT;
}
