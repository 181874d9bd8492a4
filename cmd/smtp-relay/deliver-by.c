/* deliver-by.c: until when a message is to be delivered (DELIVERBY, RFC 2852).
 *
 * Called by session.c and message.c.  The time that the sender gives counts from MAIL and stands in the queue file as
 * a date; what happens when it is over is channel-master's business.  What fails is a time that this host does not
 * promise (deliver_by.least), or that is over while the message is still kept (RFC 4865), where the sender would rather
 * have the message back.  Must stay true: a time that is over for who only wants to hear of it is no reason to
 * refuse. */
#include "base/clock.h"
#include "relay.h"

void
deliver_by_keywords(struct session *s, struct buf *text)
{
	s->smtp.may_by = config.by_offer;
	if (!s->smtp.may_by)
		return;
	buf_lit(text, "DELIVERBY");
	if (config.by_least >= 1000)
		buf_printf(text, " %lld", (long long)config.by_least / 1000);
	buf_char(text, '\n');
}

bool
deliver_by_judge(struct session *s, const struct smtp_mail *mail)
{
	s->by_at = 0;
	if (!mail->has_by)
		return true;
	if (!mail->by_notify && mail->by < config.by_least / 1000) {
		relay_session_answer(s, OUT_BY_SHORT, (long long)config.by_least / 1000);
		return false;
	}
	s->by_at = clock_now() + mail->by;
	if (!mail->by_notify && s->release_at && s->by_at <= s->release_at) {
		relay_session_answer(s, OUT_BY_KEPT);
		return false;
	}
	return true;
}

void
deliver_by_write(const struct session *s, struct qenv *env)
{
	env->by_at = s->by_at;
	env->by_notify = s->smtp.mail.by_notify;
	env->by_trace = s->smtp.mail.by_trace;
}
