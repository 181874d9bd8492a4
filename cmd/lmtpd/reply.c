/* reply.c: what a delivery makes people send: answers while they are away, and notifications.
 *
 * Planned with the person's other actions, and sent when the message is where it belongs: who did not get it
 * must not be said to be away.  For either a mark is claimed first, so that of all deliveries here and
 * now, and of those that are repeated, one answers or tells; then it goes to the relay, with the null sender.  One that
 * cannot be sent now is lost, which is what RFC 5230 prefers to a second one. */
#include <stdio.h>

#include "base/clock.h"
#include "base/crc.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "filter.h"
#include "mail/autoreply.h"
#include "mail/date.h"
#include "mail/encoded-word.h"
#include "mail/header.h"
#include "mail/token.h"
#include "message/digest.h"
#include "submit/submit.h"

/* Octets of a message that goes back with the answer; a larger one does not. */
#define ECHO_MAX 65536
/* Notifications of a message, for a person. */
#define NOTICES_MAX 8

static void reply_next(struct filter *f);

/* ---- planning an answer ------------------------------------------------------------------ */

static bool
letter_answers(const struct letter *l)
{
	return l->action->kind == SIEVE_VACATION;
}

static void
reply_add(struct filter *f, struct letter *l)
{
	*f->last_letter = l;
	f->last_letter = &l->next;
}

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
	l->claims = true;
	if (a->fcc)
		l->copy = filter_copy(f, p, a->fcc);
	reply_mark(f, l, a);
	reply_add(f, l);
}

/* ---- planning a notification -------------------------------------------------------------- */

/* RFC 5436 2.7.1: what a program has sent is told of by none. */
static bool
notice_refused(struct slice header)
{
	struct header_field f;
	struct slice value;

	if (!header_find(header, S("Auto-Submitted"), &f))
		return false;
	value = f.value;
	return !slice_ieq(token_take(&value), S("no"));
}

/* The words of the script, of its URI, or the message's own (RFC 5436 2.6, 2.7). */
static struct slice
notice_subject(struct filter *f, const struct sieve_action *a, const struct sieve_mailto *m)
{
	struct slice subject = S("Notification of new mail");
	struct header_field field;
	struct buf b = { 0 };

	if (a->text.n || m->subject.n)
		return a->text.n ? a->text : m->subject;
	if (header_find(f->header, S("Subject"), &field)) {
		encoded_word_parse(&b, field.value);
		subject = arena_slice(&f->arena, buf_get(&b));
		buf_fini(&b);
	}
	return subject;
}

#define NOTICE_KNOWN_BY 16384 /* octets of the message */
#define NOTICE_SECONDS  86400 /* while its sender tries again */

/* A message that has a name in its sender's queue is told of once, however often it comes. */
static void
notice_mark(struct filter *f, struct letter *l, unsigned n)
{
	struct slice xqid = f->session->srv.mail.xqid;
	struct buf b = { 0 };

	if (!xqid.n)
		return;
	l->claims = true;
	l->mark = (struct store_question){ .what = STORE_KNOW_CLAIM, .seconds = NOTICE_SECONDS };
	buf_printf(&b, "notify\n%u\n" SFMT "\n" SFMT, n, SARG(l->to), SARG(xqid));
	store_dup_key(slice_sub(f->message, f->session->trace, NOTICE_KNOWN_BY), buf_get(&b),
	    l->mark.key);
	buf_fini(&b);
}

void
reply_notice(struct filter *f, struct person *p, const struct sieve_action *a)
{
	struct sieve_mailto m;
	const char *why;

	if (notice_refused(f->header) || !sieve_mailto_parse(a->where, &f->arena, &m, &why))
		return;
	for (size_t i = 0; i < m.n && p->notices < NOTICES_MAX; i++, p->notices++) {
		struct letter *l = arena_new(&f->arena, sizeof(*l));

		l->of = p;
		l->to = m.to[i];
		l->from = a->from.n ? a->from : p->to;
		l->action = a;
		l->subject = notice_subject(f, a, &m);
		l->text = m.body.n ? m.body : S("There is new mail.\n");
		if (i == 0 && a->fcc)
			l->copy = filter_copy(f, p, a->fcc);
		notice_mark(f, l, p->notices);
		reply_add(f, l);
	}
}

/* ---- what they are ------------------------------------------------------------------------- */

static void
notice_write(struct filter *f, const struct letter *l)
{
	static const char *const importance[] = { "normal", "high", "normal", "low" };
	struct buf *b = &f->out;
	int64_t now = clock_now();
	char random[14];

	buf_lit(b, "Date: ");
	date_write(b, now, date_local_zone(now));
	buf_lit(b, "\r\n");
	autoreply_put_person(b, "From", l->from);
	autoreply_put_person(b, "To", l->to);
	autoreply_put_subject(b, l->subject);
	buf_printf(b, "Message-ID: <notify.%s@%s>\r\nImportance: %s\r\n", random_id(random),
	    shared.hostname, importance[l->action->importance & 3]);
	buf_lit(b,
	    "Auto-Submitted: auto-notified\r\n"
	    "X-Auto-Response-Suppress: All\r\n"
	    "MIME-Version: 1.0\r\n");
	autoreply_put_text(b, l->text);
}

static void
answer_write(struct filter *f, const struct letter *l)
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
	autoreply_write(&f->out, &r);
}

/* ---- a copy for the person: RFC 8580 ------------------------------------------------------- */

static void
copy_stored(void *arg, const struct store_reply *reply)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	const struct letter *l = f->letters;
	const struct verdict *v = &reply->verdict;

	if (v->kind == OK)
		v = &reply->results[0].verdict;
	log_event(LOG_DEBUG, "fcc", "sid=%s user=%s folder=%s verdict=%d.%u.%u", f->session->sid,
	    log_value(l->of->account), log_value(l->copy->folder), (int)v->kind, v->subject,
	    v->detail);
	f->letters = l->next;
	reply_next(f);
}

static void
copy_lent(void *arg, const struct store_reply *reply)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	const struct letter *l = f->letters;
	struct store_message m = { .body = &f->scratch,
		.size = (uint32_t)f->out.n,
		.digest = crc32c(0, f->out.p, f->out.n),
		.internaldate = clock_now() };
	struct store_target t;
	struct buf cache = { 0 };

	if (reply->verdict.kind != OK || files_write(f->scratch.fd, f->out.p, f->out.n) < 0) {
		f->letters = l->next;
		reply_next(f);
		return;
	}
	message_digest_build(buf_get(&f->out), &cache);
	m.cache = buf_get(&cache);
	m.sentday = message_digest_sentday(m.cache);
	m.zone = (int16_t)date_local_zone(m.internaldate);
	filter_target(f->session, l->copy, &t);
	store_deliver_start(lmtpd.store, &m, &t, 1, &f->session->op, copy_stored, f);
	buf_fini(&cache);
}

static void
copy_start(struct filter *f)
{
	if (f->scratch.fd >= 0)
		store_body_put(lmtpd.store, &f->scratch);
	store_body_start(lmtpd.store, f->letters->of->partition, &f->scratch, &f->session->op,
	    copy_lent, f);
}

/* ---- sending ----------------------------------------------------------------------------- */

static void
letter_sent(void *arg, const struct verdict *v)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	const struct letter *l = f->letters;

	if (letter_answers(l))
		log_event(LOG_INFO, "vacation", "sid=%s user=%s to=%s verdict=%d.%u.%u text=%s",
		    f->session->sid, log_value(l->of->account), log_value(l->to), (int)v->kind,
		    v->subject, v->detail, log_str(v->text));
	else
		log_event(LOG_INFO, "notify", "sid=%s user=%s to=%s verdict=%d.%u.%u text=%s",
		    f->session->sid, log_value(l->of->account), log_value(l->to), (int)v->kind,
		    v->subject, v->detail, log_str(v->text));
	metric_add(letter_answers(l) ? M_ANSWERED : M_NOTIFIED, v->kind == OK);
	if (v->kind == OK && l->copy) {
		copy_start(f);
		return;
	}
	f->letters = l->next;
	reply_next(f);
}

static void
letter_send(struct filter *f)
{
	const struct letter *l = f->letters;
	struct submit_mail m = { .to = l->to, .notify = SMTP_NOTIFY_NEVER, .fd = -1 };

	buf_clear(&f->out);
	if (letter_answers(l))
		answer_write(f, l);
	else
		notice_write(f, l);
	m.bytes = buf_get(&f->out);
	submit_start(lmtpd.submit, &m, &f->session->op, letter_sent, f);
}

static void
letter_claimed(void *arg, const struct store_reply *reply)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	const struct letter *l = f->letters;
	const char *why = log_str(reply->verdict.kind == OK ? "sent before" : reply->verdict.text);

	if (reply->verdict.kind == OK && !(reply->known & 1)) {
		letter_send(f);
		return;
	}
	if (letter_answers(l))
		log_event(LOG_DEBUG, "vacation", "sid=%s user=%s to=%s why=%s", f->session->sid,
		    log_value(l->of->account), log_value(l->to), why);
	else
		log_event(LOG_DEBUG, "notify", "sid=%s user=%s to=%s why=%s", f->session->sid,
		    log_value(l->of->account), log_value(l->to), why);
	f->letters = l->next;
	reply_next(f);
}

/* Letters only for a message that was delivered, and while the client still waits. */
static void
reply_next(struct filter *f)
{
	struct lsession *s = f->session;

	while (f->letters && (s->rcpts[f->letters->of->rcpt].v.kind != OK || !filter_has_time(f)))
		f->letters = f->letters->next;
	if (!f->letters)
		deliver_answer_all(s);
	else if (f->letters->claims)
		store_know_start(lmtpd.store, f->letters->of->account, f->letters->of->partition,
		    &f->letters->mark, 1, &s->op, letter_claimed, f);
	else
		letter_send(f);
}

void
reply_start(struct filter *f)
{
	reply_next(f);
}
