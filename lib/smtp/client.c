/* smtp/client.c: the script of an SMTP or LMTP client, with two cursors.
 *
 * The script is a table of steps.  The sender's cursor runs ahead and writes commands until a
 * step that ends its group (or, without PIPELINING, after every step); the receiver's cursor
 * follows and gives each reply to the step that it answers:
 *
 *	send:  MAIL RCPT RCPT RCPT DATA|                 body .|
 *	recv:                       250 250 550 250 354         250
 *
 * With CHUNKING the body is BDAT n LAST and needs no 354; small bodies then follow the last
 * RCPT at once (params.eager), and a whole LMTP delivery is one packet each way.
 *
 * It cannot deadlock: nothing here blocks, replies are read while commands are written, and a
 * barrier is left when the number of replies owed is zero, whatever they were.
 *
 * Neighbours: client-hello.c (until the server is ready), client-body.c (the body's bytes),
 * smtp/answer (replies), net/stream. */
#include <errno.h>
#include <stdio.h>
#include "base/must.h"
#include "smtp/client-impl.h"
#include "smtp/params.h"

#define MINUTE 60000u
const struct smtp_client_limits smtp_client_limits_rfc = {
	.greeting = 5 * MINUTE,	/* RFC 5321 4.5.3.2.1 */
	.hello = 5 * MINUTE,
	.mail = 5 * MINUTE,	/* 4.5.3.2.2 */
	.rcpt = 5 * MINUTE,	/* 4.5.3.2.3 */
	.data = 2 * MINUTE,	/* 4.5.3.2.4 */
	.block = 3 * MINUTE,	/* 4.5.3.2.5 */
	.dot = 10 * MINUTE,	/* 4.5.3.2.6 */
	.quit = 5000,
};

enum group { GOES_ON, ENDS_GROUP };

static void send_word(struct smtp_client *);
static void send_mail(struct smtp_client *);
static void send_rcpt(struct smtp_client *);
static void got_rset(struct smtp_client *);
static void got_mail(struct smtp_client *);
static void got_rcpt(struct smtp_client *);
static void got_data(struct smtp_client *);
static void got_body(struct smtp_client *);
static void got_quit(struct smtp_client *);

#define LIMIT(name) offsetof(struct smtp_client_limits, name)
static const struct row {
	const char *name;
	void (*send)(struct smtp_client *);
	void (*got)(struct smtp_client *);
	enum group group;
	size_t limit;
} script[] = {
	[CLIENT_GREETING] = { "greeting", NULL, client_got_greeting, ENDS_GROUP, LIMIT(greeting) },
	[CLIENT_EHLO] = { "EHLO", client_send_hello, client_got_ehlo, ENDS_GROUP, LIMIT(hello) },
	[CLIENT_HELO] = { "HELO", client_send_hello, client_got_helo, ENDS_GROUP, LIMIT(hello) },
	[CLIENT_STARTTLS] = { "STARTTLS", send_word, client_got_starttls, ENDS_GROUP, LIMIT(hello) },
	[CLIENT_HANDSHAKE] = { "TLS handshake", NULL, NULL, ENDS_GROUP, LIMIT(hello) },
	[CLIENT_IDLE] = { "idle", NULL, NULL, ENDS_GROUP, 0 },
	[CLIENT_RSET] = { "RSET", send_word, got_rset, GOES_ON, LIMIT(mail) },
	[CLIENT_MAIL] = { "MAIL", send_mail, got_mail, GOES_ON, LIMIT(mail) },
	[CLIENT_RCPT] = { "RCPT", send_rcpt, got_rcpt, GOES_ON, LIMIT(rcpt) },	/* once per recipient */
	[CLIENT_DATA] = { "DATA", send_word, got_data, ENDS_GROUP, LIMIT(data) },
	[CLIENT_BODY] = { "end of data", client_body_begin, got_body, ENDS_GROUP, LIMIT(dot) },
	[CLIENT_END] = { "end", NULL, NULL, ENDS_GROUP, 0 },
	[CLIENT_QUIT] = { "QUIT", send_word, got_quit, ENDS_GROUP, LIMIT(quit) },
};

static void on_input(struct stream *);
static void on_drained(struct stream *);
static void on_closed(struct stream *);
static void on_late(struct deadline *);
static void on_start(struct later *);

static const struct stream_events stream_events = {
	.input = on_input,
	.drained = on_drained,
	.secured = client_on_secured,
	.closed = on_closed,
};

/* ---- the cursors ---------------------------------------------------------------------- */

/* The body may be sent before the recipients' replies are known. */
static bool
eager(const struct smtp_client *c)
{
	return c->chunking && c->tx->size <= c->p->eager;
}

static void
advance(const struct smtp_client *c, struct smtp_cursor *cur)
{
	switch ((enum client_step)cur->step) {
	case CLIENT_RSET:
		cur->step = CLIENT_MAIL;
		break;
	case CLIENT_MAIL:
		cur->step = CLIENT_RCPT;
		cur->rcpt = 0;
		break;
	case CLIENT_RCPT:
		if (++cur->rcpt == c->tx->nrcpt)
			cur->step = c->chunking ? CLIENT_BODY : CLIENT_DATA;
		break;
	case CLIENT_DATA:
		cur->step = CLIENT_BODY;
		break;
	case CLIENT_BODY:
		cur->step = CLIENT_END;
		break;
	case CLIENT_GREETING:
	case CLIENT_EHLO:
	case CLIENT_HELO:
	case CLIENT_STARTTLS:
	case CLIENT_HANDSHAKE:
	case CLIENT_IDLE:
	case CLIENT_END:
	case CLIENT_QUIT:
		break;	/* the got_ function of these says what is next */
	}
}

/* The sender stands in front of the body and must know the recipients' fate first. */
static bool
must_know(const struct smtp_client *c)
{
	return c->send.step == CLIENT_BODY && c->chunking && !eager(c) && c->waiting > 0;
}

static bool
may_send(const struct smtp_client *c)
{
	if (c->closing || !script[c->send.step].send || c->barrier)
		return false;
	if (c->waiting && !(c->offer.has & OFFERS_PIPELINING))
		return false;
	return !must_know(c);
}

/* Restarts the time limit: for the reply that is awaited, or for the body's progress. */
void
client_set_limit(struct smtp_client *c)
{
	const char *limits = (const char *)&c->p->limits;
	uint32_t ms;

	if (c->closing || (!c->waiting && c->recv.step != CLIENT_HANDSHAKE)) {
		deadline_clear(&c->late);
		return;
	}
	memcpy(&ms, limits + script[c->recv.step].limit, sizeof(ms));
	if (c->body_left)
		ms = c->p->limits.block;
	deadline_set(&c->late, c->io.loop, ms, on_late);
}

/* Sends as far as the script allows, then writes it all at once. */
void
client_pump(struct smtp_client *c)
{
	while (may_send(c)) {
		const struct row *row = &script[c->send.step];

		if (c->waiting == 0)
			c->recv = c->send;
		c->waiting++;
		c->barrier = row->group == ENDS_GROUP;
		row->send(c);
		advance(c, &c->send);
	}
	if (c->closing)
		return;
	stream_flush(&c->io);
	client_set_limit(c);
}

/* ---- the end of things ---------------------------------------------------------------- */

/* The transaction is over: every recipient has its verdict. */
static void
tx_finish(struct smtp_client *c)
{
	struct smtp_client_tx *tx = c->tx;

	for (size_t i = 0; i < tx->nrcpt; i++)
		must(tx->rcpts[i].state == CLIENT_RCPT_OVER);
	c->tx = NULL;
	c->send.step = c->recv.step = CLIENT_IDLE;
	if (c->body_left) {	/* the stream of commands is out of step for good */
		c->dead = true;
		c->body_left = false;
	}
	if (c->waiting)
		c->dead = true;
	deadline_clear(&c->late);
	c->used++;
	tx->done(tx);
}

/* All recipients without a verdict get this one. */
static void
tx_rest(struct smtp_client *c, const struct verdict *v, bool remote)
{
	for (size_t i = 0; i < c->tx->nrcpt; i++) {
		struct smtp_client_rcpt *r = &c->tx->rcpts[i];

		if (r->state != CLIENT_RCPT_OVER) {
			r->v = *v;
			r->remote = remote;
			r->state = CLIENT_RCPT_OVER;
		}
	}
}

/* The connection is of no more use; whoever waits is told. */
void
client_broken(struct smtp_client *c, const struct verdict *v, bool remote)
{
	if (c->closing || (c->dead && !c->tx && c->finished && !c->quitting))
		return;
	c->dead = true;
	if (c->quitting) {
		smtp_client_close(c);
	} else if (c->tx) {
		tx_rest(c, v, remote);
		tx_finish(c);
	} else if (!c->finished) {
		client_hello_finish(c, v);
	} else {
		c->ev->lost(c);
	}
}

static void
on_late(struct deadline *d)
{
	struct smtp_client *c = CONTAINER(d, struct smtp_client, late);
	struct verdict v = verdict(TEMP, 451, "4.4.1", "no answer in time: %s",
	    c->body_left ? "message body" : script[c->recv.step].name);

	client_broken(c, &v, false);
}

static void
on_eof(struct smtp_client *c)
{
	struct verdict v;

	if (c->io.error)
		v = verdict(TEMP, 451, "4.4.2", "connection broke (%s): %s",
		    strerror(-c->io.error), script[c->recv.step].name);
	else
		v = verdict(TEMP, 451, "4.4.2", "the server closed the connection: %s",
		    script[c->recv.step].name);
	client_broken(c, &v, false);
}

/* ---- replies -------------------------------------------------------------------------- */

/* A whole answer is there. */
static void
answered(struct smtp_client *c)
{
	struct verdict v;

	if (c->waiting == 0) {	/* not asked for: 421 before closing, or nonsense */
		v = smtp_answer_verdict(&c->answer);
		smtp_answer_clear(&c->answer);
		v.kind = TEMP;
		client_broken(c, &v, true);
		return;
	}
	/* RFC 5321 3.8: 421 may come at any time and ends the session. */
	if (c->answer.code == 421 && !c->quitting) {
		v = smtp_answer_verdict(&c->answer);
		smtp_answer_clear(&c->answer);
		client_broken(c, &v, true);
		return;
	}
	if (c->tx)
		c->tx->unanswered = false;
	script[c->recv.step].got(c);
	if (!c->closing)
		smtp_answer_clear(&c->answer);
}

/* Called by the got_ functions when the reply to their step is complete, before they act. */
void
client_replied(struct smtp_client *c)
{
	advance(c, &c->recv);
	c->waiting--;
	if (c->waiting == 0)
		c->barrier = false;
}

/* After each reply of a transaction: is it over? */
static void
tx_step(struct smtp_client *c)
{
	if (c->tx && c->waiting == 0 && c->send.step == CLIENT_END)
		tx_finish(c);
}

static void
on_input(struct stream *io)
{
	struct smtp_client *c = CAST(io->data, struct smtp_client, SMTP_CLIENT_MAGIC);
	enum line_end ending;
	struct slice line;
	int n = 0;

	/* Answers that came in one packet are all used before anything is sent. */
	c->busy = true;
	while (!c->closing && (n = stream_line(io, SMTP_ANSWER_LINE, &line, &ending)) == 1) {
		int r = smtp_answer_line(&c->answer, line);

		if (r < 0) {
			struct verdict v = verdict(TEMP, 451, "4.5.0", "no SMTP reply: %s",
			    script[c->recv.step].name);

			client_broken(c, &v, false);
			break;
		}
		if (r > 0)
			answered(c);
		if (c->io.handshaking)
			break;
	}
	c->busy = false;
	if (c->closing || c->io.handshaking)
		return;
	if (n == -EMSGSIZE) {
		struct verdict v = verdict(TEMP, 451, "4.5.0", "the server's reply is too long");

		client_broken(c, &v, false);
	} else if (stream_eof(io)) {
		on_eof(c);
	}
	if (!c->closing)
		client_pump(c);
}

static void
on_drained(struct stream *io)
{
	struct smtp_client *c = CAST(io->data, struct smtp_client, SMTP_CLIENT_MAGIC);

	if (c->closing || !c->body_left)
		return;
	client_body_more(c);
	client_pump(c);
}

/* ---- the transaction ------------------------------------------------------------------ */

void
smtp_client_send(struct smtp_client *c, struct smtp_client_tx *tx)
{
	must(smtp_client_usable(c) && tx->nrcpt > 0);
	c->tx = tx;
	c->accepted = 0;
	c->body_at = 0;
	c->last[0] = '\r', c->last[1] = '\n';
	tx->unanswered = true;
	c->body_left = false;
	c->chunking = (c->offer.has & OFFERS_CHUNKING) != 0;
	for (size_t i = 0; i < tx->nrcpt; i++) {
		tx->rcpts[i].v = (struct verdict){ 0 };
		tx->rcpts[i].remote = tx->rcpts[i].again = false;
		tx->rcpts[i].state = CLIENT_RCPT_OPEN;
	}
	/* Never from inside this function: what is found wrong at once is said next turn. */
	later_run(&c->start, c->io.loop, on_start);
}

static void
on_start(struct later *l)
{
	struct smtp_client *c = CONTAINER(l, struct smtp_client, start);
	struct verdict v;

	if (c->closing || !c->tx)
		return;
	if (c->dead) {
		v = verdict(TEMP, 451, "4.4.2", "the connection was lost before MAIL");
		tx_rest(c, &v, false);
		tx_finish(c);
		return;
	}
	if (client_tx_unfit(c, &v)) {
		tx_rest(c, &v, false);
		tx_finish(c);
		return;
	}
	c->send = (struct smtp_cursor){ c->dirty ? CLIENT_RSET : CLIENT_MAIL, 0 };
	c->dirty = true;
	client_pump(c);
}

static void
send_word(struct smtp_client *c)
{
	buf_printf(stream_out(&c->io), "%s\r\n", script[c->send.step].name);
}

static void
send_mail(struct smtp_client *c)
{
	struct smtp_client_tx *tx = c->tx;
	struct buf *out = stream_out(&c->io);
	unsigned has = c->offer.has;

	buf_lit(out, "MAIL FROM:<");
	buf_slice(out, tx->sender);
	buf_char(out, '>');
	if (has & OFFERS_SIZE)
		buf_printf(out, " SIZE=%llu", (unsigned long long)tx->size);
	if (tx->eightbit && (has & OFFERS_8BITMIME))
		buf_lit(out, " BODY=8BITMIME");
	if (tx->smtputf8 && (has & OFFERS_SMTPUTF8))
		buf_lit(out, " SMTPUTF8");
	if ((has & OFFERS_DSN) && tx->ret != SMTP_RET_NONE)
		buf_str(out, tx->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if ((has & OFFERS_DSN) && tx->envid.n) {
		buf_lit(out, " ENVID=");
		smtp_xtext_write(out, tx->envid);
	}
	if ((has & OFFERS_XTIERMAIL) && tx->qid.n)
		buf_printf(out, " XQID=" SFMT, SARG(tx->qid));
	buf_lit(out, "\r\n");
}

static void
write_notify(struct buf *out, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {
		{ SMTP_NOTIFY_NEVER, "NEVER" }, { SMTP_NOTIFY_SUCCESS, "SUCCESS" },
		{ SMTP_NOTIFY_FAILURE, "FAILURE" }, { SMTP_NOTIFY_DELAY, "DELAY" },
	};
	const char *before = " NOTIFY=";

	for (size_t i = 0; i < NELEM(words); i++) {
		if (notify & words[i].bit) {
			buf_str(out, before);
			buf_str(out, words[i].word);
			before = ",";
		}
	}
}

/* RFC 6533 3: raw UTF-8 only where the server takes it. */
static void
write_orcpt(const struct smtp_client *c, struct buf *out, const struct smtp_client_rcpt *r)
{
	buf_lit(out, " ORCPT=");
	buf_slice(out, r->orcpt_type);
	buf_char(out, ';');
	if (slice_ieq(r->orcpt_type, S("utf-8")))
		smtp_utf8_addr_write(out, r->orcpt, (c->offer.has & OFFERS_SMTPUTF8) != 0);
	else
		smtp_xtext_write(out, r->orcpt);
}

static void
send_rcpt(struct smtp_client *c)
{
	struct smtp_client_rcpt *r = &c->tx->rcpts[c->send.rcpt];
	struct buf *out = stream_out(&c->io);

	buf_lit(out, "RCPT TO:<");
	buf_slice(out, r->address);
	buf_char(out, '>');
	if (c->offer.has & OFFERS_DSN) {
		write_notify(out, r->notify);
		if (r->orcpt_type.n)
			write_orcpt(c, out, r);
	}
	buf_lit(out, "\r\n");
}

static void
got_rset(struct smtp_client *c)
{
	client_replied(c);	/* servers answer 250 always; another answer shows at MAIL */
}

/* Nothing further is sent in this transaction. */
static void
stop_sending(struct smtp_client *c)
{
	c->send.step = CLIENT_END;
}

static void
got_mail(struct smtp_client *c)
{
	struct verdict v;

	client_replied(c);
	if (c->answer.code / 100 == 2)
		return;
	v = smtp_answer_verdict(&c->answer);
	tx_rest(c, &v, true);
	/* What is on its way is refused by the server (503), the replies are counted only. */
	stop_sending(c);
	tx_step(c);
}

static void
got_rcpt(struct smtp_client *c)
{
	struct smtp_client_rcpt *r = &c->tx->rcpts[c->recv.rcpt];
	bool last = c->recv.rcpt + 1 == c->tx->nrcpt;

	client_replied(c);
	if (r->state == CLIENT_RCPT_OPEN) {	/* else MAIL was refused */
		r->v = smtp_answer_verdict(&c->answer);
		r->remote = true;
		r->state = r->v.kind == OK ? CLIENT_RCPT_TAKEN : CLIENT_RCPT_OVER;
		if (r->v.kind == OK) {
			c->accepted++;
		} else if (c->accepted && (c->answer.code == 452 || c->answer.code == 552) &&
		    r->v.subject == 5 && r->v.detail == 3) {
			r->again = true;
		}
	}
	/* Nobody to send it to, and it is not sent yet (BODY behind DATA is got_data's). */
	if (last && c->accepted == 0 &&
	    (c->send.step == CLIENT_DATA || (c->send.step == CLIENT_BODY && c->chunking)))
		stop_sending(c);
	tx_step(c);
}

static void
got_data(struct smtp_client *c)
{
	struct verdict v;

	client_replied(c);
	if (c->send.step == CLIENT_END) {	/* MAIL was refused */
		if (c->answer.code == 354)
			c->dead = true;	/* it waits for a body that will not come */
		tx_step(c);
		return;
	}
	if (c->answer.code == 354) {
		if (c->accepted)
			return;
		/* RFC 2920 3.1: 354 after refusing all recipients wants a single dot; it is
		 * cheaper and safer to leave. */
		c->dead = true;
		stop_sending(c);
		tx_step(c);
		return;
	}
	v = smtp_answer_verdict(&c->answer);
	if (v.kind == OK)	/* 2xx instead of 354 */
		v = verdict(TEMP, 451, "4.5.0", "DATA was answered with %d", c->answer.code);
	tx_rest(c, &v, true);
	stop_sending(c);
	tx_step(c);
}

/* After the body: one reply, or with LMTP one per accepted recipient in their order
 * (RFC 2033 4.2).  A reply before the body is out is final too; then the connection is
 * out of step and goes. */
static void
got_body(struct smtp_client *c)
{
	struct verdict v = smtp_answer_verdict(&c->answer);
	struct smtp_client_rcpt *r;

	if (v.kind == OK && c->body_left)
		v = verdict(TEMP, 451, "4.5.0", "accepted before the message was sent");
	if (!c->p->lmtp || c->accepted == 0 || c->body_left) {
		client_replied(c);
		for (size_t i = 0; i < c->tx->nrcpt; i++) {
			r = &c->tx->rcpts[i];
			if (r->state == CLIENT_RCPT_TAKEN) {
				r->v = v;
				r->state = CLIENT_RCPT_OVER;
			}
		}
		c->dirty = v.kind != OK;
	} else {
		if (c->recv.rcpt == c->tx->nrcpt)
			c->recv.rcpt = 0;
		while (c->tx->rcpts[c->recv.rcpt].state != CLIENT_RCPT_TAKEN)
			c->recv.rcpt++;
		r = &c->tx->rcpts[c->recv.rcpt++];
		r->v = v;
		r->state = CLIENT_RCPT_OVER;
		if (--c->accepted > 0)
			return;	/* still the same step */
		client_replied(c);
		c->dirty = false;
	}
	stop_sending(c);
	tx_step(c);
}

/* ---- life ----------------------------------------------------------------------------- */

int
smtp_client_open(struct smtp_client *c, struct loop *l, int fd,
    const struct smtp_client_params *params, const char *tls_name,
    const struct smtp_client_events *ev, void *data)
{
	int r;

	must(params->tls == SMTP_TLS_OFF || params->tls_ctx);
	*c = (struct smtp_client){
		.magic = SMTP_CLIENT_MAGIC, .p = params, .tls_name = tls_name, .ev = ev, .data = data,
	};
	stream_init(&c->io, l, &stream_events, c);
	r = stream_open(&c->io, fd);
	if (r < 0)
		return r;
	deadline_init(&c->late);
	later_init(&c->start);
	c->send.step = c->recv.step = CLIENT_GREETING;
	c->waiting = 1;
	c->barrier = true;
	stream_start(&c->io);
	client_set_limit(c);
	return 0;
}

bool
smtp_client_usable(const struct smtp_client *c)
{
	return c->finished && !c->dead && !c->tx && !c->quitting && !c->closing;
}

void
smtp_client_quit(struct smtp_client *c)
{
	if (c->closing || c->quitting)
		return;
	if (!smtp_client_usable(c)) {
		smtp_client_close(c);
		return;
	}
	c->quitting = true;
	c->send.step = CLIENT_QUIT;
	if (!c->busy)
		client_pump(c);
}

static void
got_quit(struct smtp_client *c)
{
	smtp_client_close(c);
}

void
smtp_client_close(struct smtp_client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	c->tx = NULL;
	deadline_clear(&c->late);
	later_cancel(&c->start);
	stream_close(&c->io);
}

static void
on_closed(struct stream *io)
{
	struct smtp_client *c = CAST(io->data, struct smtp_client, SMTP_CLIENT_MAGIC);

	smtp_answer_fini(&c->answer);
	c->magic = 0;
	c->ev->closed(c);
}
