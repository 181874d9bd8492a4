/* over.c: all of the message is here, and has gone through the stages: what it is answered.
 *
 *	limits -> scripts (refuse.h) -> what stands behind the body -> stores at once (cut.h) -> the queue
 *
 * Called by message.c once for each message, which it has not to touch again.  Can fail: the queue's file system.  Must
 * stay true: an answer of 250 is one that every recipient left has been written for, on disk or in a store. */
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "cut.h"
#include "queue/cut.h"
#include "stage.h"

/* ---- the answer ---------------------------------------------------------------------------- */

static void
over_committed(void *arg, const struct verdict *v)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct message *m = s->message;
	struct buf from = { 0 };
	const char *user = release_account(s);
	struct verdict yes;
	uint64_t ms = (clock_mono_us() - m->at_us) / 1000;

	metric_add(M_COMMIT_MS, (int64_t)ms);
	if (v->kind != OK) {
		log_event(LOG_ERROR, "queue_error", "sid=%s qid=%s text=%s", s->sid, s->qid,
		    log_str(v->text));
		smtp_server_answer(&s->smtp, v);
		return;
	}
	s->messages++;
	burst_sent(s);
	metric_add(M_ACCEPTED, 1);
	metric_add(M_ACCEPTED_BYTES, (int64_t)s->smtp.body.size);
	metric_add(M_RECIPIENTS, (int64_t)s->nrcpts);
	metric_add(M_KEPT, s->release_at != 0);
	metric_add(M_CUT, (int64_t)m->cut_had);
	address_write(&from, &s->from);
	log_event(LOG_INFO, "queued",
	    "sid=%s qid=%s peer=%s user=%s from=%s nrcpt=%zu cut=%zu size=%llu ms=%llu "
	    "release=%lld priority=%d msgid=%s",
	    s->sid, s->qid, xforward_client(s), log_str(user ? user : ""),
	    log_value(buf_get(&from)), s->nrcpts, m->cut_had, (unsigned long long)s->smtp.body.size,
	    (unsigned long long)ms, (long long)s->release_at, s->priority,
	    log_str(m->scan.message_id));
	buf_fini(&from);
	yes = s->priority_lowered ? verdict(OUT_QUEUED_LOWER, s->priority, s->qid) :
				    verdict(OUT_QUEUED, s->qid);
	smtp_server_answer(&s->smtp, &yes);
}

static void
over_queue(struct session *s)
{
	qwrite_commit_start(&s->message->w, &s->op, over_committed, s);
}

/* Stores have answered, or have been waited for in vain. */
static void
over_cut(struct session *s, size_t had)
{
	struct verdict v = verdict(OUT_QUEUE_COMMITTED);
	struct message *m = s->message;

	m->cut = NULL;
	m->cut_had = had;
	if (qwrite_cut_rest(m->w)) {
		over_queue(s);
		return;
	}
	qwrite_abort(&m->w);
	over_committed(s, &v);
}

/* A list's password was missing.  Too many wrong ones end the session, as at a login. */
static void
over_password(struct session *s)
{
	struct verdict v = verdict(OUT_GROUP_PASSWORD, s->message->refused);

	if (s->message->wrong && config.auth_failures && s->auth_failed >= config.auth_failures)
		smtp_server_last(&s->smtp, "too many failures");
	smtp_server_answer(&s->smtp, &v);
}

/* ---- before it ------------------------------------------------------------------------------- */

/* Nobody has anything against it. */
static void
over_taken(struct session *s)
{
	struct smtp_server *smtp = &s->smtp;
	struct message *m = s->message;

	relay_message_tail(s);
	if (smtp->failed) {
		smtp_server_answer(smtp, smtp->failed);
		return;
	}
	/* What is declared onwards is what is there, whatever was said at MAIL (RFC 6152 3). */
	qwrite_eightbit(m->w, m->eightbit);
	if (!cut_start(s, over_cut))
		over_queue(s);
}

static void
over_scripts_ran(struct session *s, const struct verdict *no)
{
	if (no)
		smtp_server_answer(&s->smtp, no);
	else
		over_taken(s);
}

void
relay_message_over(struct session *s)
{
	struct smtp_server *smtp = &s->smtp;
	struct message *m = s->message;
	const struct verdict *no;

	if (m->refused) {
		over_password(s);
		return;
	}
	no = terms_over(s);
	if (no) {
		smtp_server_answer(smtp, no);
		return;
	}
	/* A list's limit: the client has said less than it sent, or the list is alone (rcpt.c). */
	if (s->max_list && smtp->body.size > (uint64_t)s->max_list) {
		relay_session_answer(s, OUT_GROUP_SIZE);
		return;
	}
	/* Of several recipients the store refuses those that cannot take it; one is told now. */
	if (s->nrcpts == 1 && s->more[0].max_message &&
	    smtp->body.size > (uint64_t)s->more[0].max_message) {
		relay_session_answer(s, OUT_USER_SIZE);
		return;
	}
	if (m->refuse)
		refuse_start(m->refuse, over_scripts_ran);
	else
		over_taken(s);
}
