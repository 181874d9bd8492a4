/* send.c: messages that scripts send on to other addresses, one by one, when the copies that stay have been stored.
 *
 * Called by filter.c when the store has committed, and gives back to it.  What the relay does not take now is
 * an answer of 4xx for the whole person: its copies are known by their names when it comes again (deliver_dup_key).
 * What it refuses for good stays here.  What must stay true: what has gone on is marked in the account before anything
 * else, and asked for before it goes, so that a delivery that comes again does not send it twice; what is on its way is
 * claimed, for the same delivery may come again while this one still waits for the relay; and nothing goes on of a
 * message that the store does not take now, for all of it comes again. */
#include <errno.h>
#include <stdio.h>

#include "base/files.h"
#include "base/log.h"
#include "base/must.h"
#include "filter.h"
#include "mail/header.h"
#include "submit/submit.h"

#define SENDS_MS (4 * 60000) /* for all that goes out: the client waits for its answers */

/* Who has sent it on: this person, and those that it tells of as it came, whatever its script has done to its
 * header, for a loop would have no end without. */
static void
send_marks(const struct filter *f, const struct send *send, struct buf *b)
{
	struct slice rest = f->header;
	struct header_field field;

	header_write(b, SEND_FIELD, send->of->account);
	while (header_next(&rest, &field))
		if (slice_ieq(field.name, S(SEND_FIELD)))
			buf_slice(b, field.whole);
}

/* Without our Return-Path (RFC 5321 4.4), and with what tells us of it when it comes back. */
static struct slice
send_header(struct filter *f, const struct send *send, struct buf *b)
{
	struct slice header = send->header.n ? send->header : f->header, rest = header;
	struct slice body = send->body.p ? send->body : slice_from(f->message, f->header.n);
	struct header_field field;

	if (send->run.n) { /* it stays on this host */
		buf_slice(b, header);
		return body;
	}
	send_marks(f, send, b);
	while (header_next(&rest, &field))
		if (!slice_ieq(field.name, S("Return-Path")) &&
		    !slice_ieq(field.name, S(SEND_FIELD)))
			buf_slice(b, field.whole);
	buf_slice(b, rest.n ? rest : S("\r\n"));
	return body;
}

static void
send_marked(void *arg, const struct store_reply *reply)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);

	(void)reply; /* it has gone: if this is not remembered it may go twice, and not never */
	f->sends = f->sends->next;
	send_next(f);
}

/* It has gone; or has not, and who comes next may try. */
static void
send_mark(struct filter *f, struct store_question *mark)
{
	const struct person *p = f->sends->of;

	mark->what = STORE_KNOW_MARK;
	store_know_start(lmtpd.store, p->account, p->partition, mark, 1, &f->session->op,
	    send_marked, f);
}

static void
send_put_off(struct filter *f, const struct send *send, const struct verdict *v)
{
	struct lrcpt *r = &f->session->rcpts[send->of->rcpt];

	r->v = *v; /* later, all of it */
	r->v.reply = 0;
	r->logged = false; /* the copies were, their answer is another one */
}

/* A program that has run and failed has, and the message stays here (spec-bosch-sieve-extprograms 5): it may have done half
 * of its work, and is not for us to repeat.  One that could not be asked is asked again. */
static bool
send_has_failed(const struct send *send, const struct verdict *v)
{
	return send->run.n && !(v->subject == 4 && v->detail <= 3);
}

static void
send_done(void *arg, const struct verdict *v)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	struct send *send = f->sends;
	struct person *p = send->of;

	buf_fini(&f->out);
	if (f->scratch.fd >= 0)
		store_body_put(lmtpd.store, &f->scratch);
	log_event(LOG_INFO, send->run.n ? "pipe" : "redirect",
	    "sid=%s qid=%s user=%s to=%s verdict=%d.%u.%u text=%s", f->session->sid,
	    log_value(f->session->srv.mail.xqid), log_value(p->account), log_value(send->to),
	    (int)v->kind, v->subject, v->detail, log_str(v->text));
	if (v->kind == OK) {
		metric_add(send->run.n ? M_PIPED : M_REDIRECTED, 1);
		send_mark(f, &send->marks[0]);
	} else if (v->kind == TEMP && !send_has_failed(send, v)) {
		send_put_off(f, send, v);
		send->marks[1].seconds = 0;
		send_mark(f, &send->marks[1]);
	} else {
		f->sends = send->next;
		if (!p->puts || (send->run.n && !send->tries))
			filter_keep(f, p,
			    NULL); /* it will not go there: better here than nowhere */
		send_next(f);
	}
}

static void
send_start(struct filter *f, const struct submit_mail *m)
{
	submit_start(m->run.n ? lmtpd.piped : lmtpd.submit, m, &f->session->op, send_done, f);
}

static struct submit_mail
send_mail(const struct filter *f, const struct send *send)
{
	return (struct submit_mail){ .sender = f->sender,
		.to = send->run.n ? send->of->to : send->to,
		.run = send->run,
		.notify = send->notify,
		.ret = send->ret,
		.smtputf8 = f->session->srv.mail.smtputf8,
		.fd = -1 };
}

#define SEND_KNOWN_BY 16384 /* octets of the message, from its first field that is not ours */
#define SEND_SECONDS  86400 /* that it is remembered: while its sender tries again */
#define SEND_CLAIMS   (SENDS_MS / 1000 + 60) /* that it may be on its way */

/* Has this message gone there already, in a delivery that failed later, or is it on its way in another one, whose
 * client has not waited for the answer?  Another message that is the same, octet by octet, has another name in its
 * sender's queue. */
static void
send_asked(void *arg, const struct store_reply *reply)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	struct send *send = f->sends;
	struct verdict v = verdict(OUT_SIEVE_TWICE);

	if (reply->verdict.kind != OK) {
		f->session->rcpts[send->of->rcpt].v = reply->verdict;
	} else if (reply->known & 1) {
		log_event(LOG_INFO, "redirect", "sid=%s user=%s to=%s again=1", f->session->sid,
		    log_value(send->of->account), log_value(send->to));
		f->sends = send->next;
	} else if (reply->known & 2) {
		send_put_off(f, send, &v);
	} else {
		send->known = true;
	}
	send_next(f);
}

static void
send_ask(struct filter *f, struct send *send)
{
	static const char *const about[] = { "redirect", "redirecting" };
	struct store_question *marks = send->marks;
	struct buf b = { 0 };

	marks[0] = (struct store_question){ .what = STORE_KNOW_SEEN, .seconds = SEND_SECONDS };
	marks[1] = (struct store_question){ .what = STORE_KNOW_CLAIM, .seconds = SEND_CLAIMS };
	for (size_t i = 0; i < NELEM(about); i++) {
		buf_clear(&b);
		buf_printf(&b, "%s\n" SFMT "\n", about[i],
		    SARG(send->run.n ? send->run : send->to));
		buf_slice(&b, f->session->srv.mail.xqid);
		store_dup_key(slice_sub(f->message, f->session->trace, SEND_KNOWN_BY), buf_get(&b),
		    marks[i].key);
	}
	buf_fini(&b);
	store_know_start(lmtpd.store, send->of->account, send->of->partition, marks,
	    NELEM(send->marks), &f->session->op, send_asked, f);
}

/* A large message goes on from a file that stored lends: memory is not for that. */
static void
send_from_file(void *arg, const struct store_reply *reply)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	struct submit_mail m = send_mail(f, f->sends);
	struct slice body;
	struct verdict v = reply->verdict;
	int rc;

	if (v.kind == OK) {
		body = send_header(f, f->sends, &f->out);
		rc = files_write(f->scratch.fd, f->out.p, f->out.n);
		if (rc == 0)
			rc = files_write(f->scratch.fd, body.p, body.n);
		if (rc == 0) {
			m.fd = f->scratch.fd;
			m.size = f->out.n + body.n;
			send_start(f, &m);
			return;
		}
		v = deliver_unwritten(f->session, rc);
	}
	send_done(f, &v);
}

bool
filter_has_time(const struct filter *f)
{
	return loop_now(lmtpd.loop) - f->began_ms <= SENDS_MS;
}

/* A person whose answer is, or will be, 4xx gets all of it again. */
static bool
send_later(const struct filter *f, const struct send *send)
{
	return f->session->rcpts[send->of->rcpt].v.kind == TEMP || send->of->stored.kind == TEMP;
}

void
send_next(struct filter *f)
{
	struct lsession *s = f->session;
	struct submit_mail m;
	struct send *send;

	while ((send = f->sends) && send_later(f, send))
		f->sends = send->next;
	if (!send) {
		filter_next_group(f);
	} else if (!filter_has_time(f)) {
		s->rcpts[send->of->rcpt].v = verdict(OUT_SIEVE_SLOW);
		send_next(f);
	} else if (!send->known) {
		send_ask(f, send);
	} else if ((send->body.p ? send->body.n : f->message.n) > (size_t)lconf.keep) {
		store_body_start(lmtpd.store, s->rcpts[0].partition, &f->scratch, &s->op,
		    send_from_file, f);
	} else {
		m = send_mail(f, send);
		buf_slice(&f->out, send_header(f, send, &f->out));
		m.bytes = buf_get(&f->out);
		send_start(f, &m);
	}
}
