/* reply.c: what a delivery makes people send: answers while they are away.
 *
 * Planned with the person's other actions, and sent when the message is where it belongs: who did not get it
 * must not be said to be away.  First the mark is claimed, so that of all deliveries here and now, and of
 * those that are repeated, one answers; then the answer goes to the relay, with the null sender.  One that
 * cannot be sent now is lost, which is what RFC 5230 prefers to a second one. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "filter.h"
#include "mail/autoreply.h"
#include "mail/date.h"
#include "submit/submit.h"

#define ECHO_MAX                                                                                   \
	65536 /* octets of a message that goes back with the answer; a larger one does not */

static void reply_next(struct filter *f);

/* ---- planning ---------------------------------------------------------------------------- */

/* RFC 5230 4.5: those of the entry, of the envelope, and what the script adds. */
static struct slice *
reply_addresses(struct filter *f, const struct person *p, const struct sieve_action *a, size_t *n)
{
	struct slice *list =
	    arena_array(&f->arena, p->naddresses + a->naddresses + 1, sizeof(*list));

	*n = 0;
	list[(*n)++] = p->to;
	for (size_t i = 0; i < p->naddresses; i++)
		list[(*n)++] = p->addresses[i];
	for (size_t i = 0; i < a->naddresses; i++)
		list[(*n)++] = a->addresses[i];
	return list;
}

static void
reply_mark(struct filter *f, struct letter *l, const struct sieve_action *a)
{
	struct buf handle = { 0 }, sender = { 0 };

	buf_lit(&handle, "vacation\n");
	buf_slice(&handle, a->handle);
	for (size_t i = 0; i < f->sender.n; i++)
		buf_char(&sender, ascii_lower(f->sender.p[i]));
	l->mark =
	    (struct store_question){ .what = STORE_KNOW_CLAIM, .seconds = (uint32_t)a->seconds };
	store_dup_key(buf_get(&sender), buf_get(&handle), l->mark.key);
	buf_fini(&handle);
	buf_fini(&sender);
}

void
reply_plan(struct filter *f, struct person *p, const struct sieve_action *a, bool echo)
{
	struct autoreply_about about = { .header = f->header, .sender = f->sender };
	struct slice me = p->to;
	struct letter *l;
	const char *why;

	if (p->answers) /* RFC 5230 4.7: one */
		return;
	p->answers = true;
	about.mine = reply_addresses(f, p, a, &about.nmine);
	why = autoreply_refused(&about, &me);
	if (why) {
		log_event(LOG_DEBUG, "vacation", "sid=%s user=%s to=%s why=%s", f->session->sid,
		    log_value(p->account), log_value(f->sender), log_str(why));
		return;
	}
	l = arena_new(&f->arena, sizeof(*l));
	l->of = p;
	l->to = f->sender;
	l->action = a;
	l->from = a->from.n ? a->from : me;
	l->echo = echo && f->message.n <= ECHO_MAX;
	reply_mark(f, l, a);
	*f->last_letter = l;
	f->last_letter = &l->next;
}

/* ---- sending ----------------------------------------------------------------------------- */

static void
reply_write(struct filter *f, const struct letter *l)
{
	char random[14], id[40];
	struct autoreply r = { .header = f->header,
		.to = l->to,
		.from = l->from,
		.subject = l->action->subject,
		.text = l->action->text,
		.mime = l->action->mime,
		.id = id,
		.host = shared.hostname,
		.now = clock_now() };

	(void)snprintf(id, sizeof(id), "vacation.%s", random_id(random));
	r.zone = date_local_zone(r.now);
	if (l->echo)
		r.echo = f->message;
	buf_clear(&f->out);
	autoreply_write(&f->out, &r);
}

static void
reply_sent(void *arg, const struct verdict *v)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	const struct letter *l = f->letters;

	log_event(LOG_INFO, "vacation", "sid=%s user=%s to=%s verdict=%d.%u.%u text=%s",
	    f->session->sid, log_value(l->of->account), log_value(l->to), (int)v->kind, v->subject,
	    v->detail, log_str(v->text));
	metric_add(M_ANSWERED, v->kind == OK);
	f->letters = l->next;
	reply_next(f);
}

static void
reply_claimed(void *arg, const struct store_reply *reply)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	const struct letter *l = f->letters;
	struct submit_mail m = { .to = l->to, .notify = SMTP_NOTIFY_NEVER, .fd = -1 };

	if (reply->verdict.kind == OK && !(reply->known & 1)) {
		reply_write(f, l);
		m.bytes = buf_get(&f->out);
		submit_start(lmtpd.submit, &m, &f->session->op, reply_sent, f);
		return;
	}
	log_event(LOG_DEBUG, "vacation", "sid=%s user=%s to=%s why=%s", f->session->sid,
	    log_value(l->of->account), log_value(l->to),
	    log_str(reply->verdict.kind == OK ? "answered before" : reply->verdict.text));
	f->letters = l->next;
	reply_next(f);
}

/* Answers only for a message that was delivered, and while the client still waits. */
static void
reply_next(struct filter *f)
{
	struct lsession *s = f->session;

	while (f->letters && (s->rcpts[f->letters->of->rcpt].v.kind != OK || !filter_has_time(f)))
		f->letters = f->letters->next;
	if (f->letters)
		store_know_start(lmtpd.store, f->letters->of->account, f->letters->of->partition,
		    &f->letters->mark, 1, &s->op, reply_claimed, f);
	else
		deliver_answer_all(s);
}

void
reply_start(struct filter *f)
{
	reply_next(f);
}
