/* rcpt-log.c: what the log hears of a recipient: who gets it, and who does not.  Called by rcpt.c; owns nothing, and
 * nothing fails. */
#include "base/log.h"
#include "rcpt-body.h"

#define LOGGED_MAX 20 /* legs of one RCPT that have a line of their own */

void
rcpt_log(struct session *s, const struct expand_result *r, const char *as_given)
{
	for (size_t i = 0; i < r->nlegs && r->nlegs <= LOGGED_MAX; i++) {
		const struct expand_leg *leg = &r->legs[i];

		log_event(LOG_INFO, "rcpt", "sid=%s qid=%s to=%s channel=%s host=%s%s%s%s%s",
		    s->sid, s->qid, log_str(leg->address), leg->channel, log_str(leg->host),
		    leg->onward ? " forwarded=" : "", leg->onward ? log_str(as_given) : "",
		    leg->list ? " list=" : "", leg->list ? log_str(leg->list) : "");
	}
	if (r->nlegs > LOGGED_MAX)
		log_event(LOG_INFO, "expanded", "sid=%s qid=%s to=%s list=%s legs=%zu failed=%zu",
		    s->sid, s->qid, log_str(as_given), log_str(r->legs[0].list), r->nlegs,
		    r->nfailures);
}

/* Whom nobody tells: the sender hears of none that others can still be reached beside. */
void
rcpt_log_failed(const struct session *s, const struct expand_result *r)
{
	struct buf to = { 0 };

	rcpt_write(s, &to);
	for (size_t i = 0; i < r->nfailed; i++) {
		const struct expand_failure *f = &r->failed[i];

		if (f->via == f->address)
			continue; /* it is the answer */
		log_event(LOG_WARN, "forward_failed",
		    "sid=%s qid=%s to=%s via=%s forward=%s verdict=%d.%d.%d text=%s", s->sid,
		    s->qid, log_value(buf_get(&to)), log_str(f->via), log_str(f->address),
		    f->v.kind, f->v.subject, f->v.detail, log_str(f->v.text));
	}
	buf_fini(&to);
}
