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
 * Neighbours: client-steps.c (what each step says and hears), client-hello.c (until the server is ready), client-body.c (the body's bytes),
 * smtp/answer (replies), net/stream. */
#include <errno.h>
#include <stdio.h>
#include "base/must.h"
#include "smtp/client-impl.h"

#define MINUTE 60000u
const struct smtp_client_limits smtp_client_limits_rfc = {
	.greeting = 5 * MINUTE, /* RFC 5321 4.5.3.2.1 */
	.hello = 5 * MINUTE,
	.mail = 5 * MINUTE,  /* 4.5.3.2.2 */
	.rcpt = 5 * MINUTE,  /* 4.5.3.2.3 */
	.data = 2 * MINUTE,  /* 4.5.3.2.4 */
	.block = 3 * MINUTE, /* 4.5.3.2.5 */
	.dot = 10 * MINUTE,  /* 4.5.3.2.6 */
	.quit = 5000,
	.whole = 30 * MINUTE,
};

#define LOOK_MS   250u   /* of who is leaving: at each tick of the coarse deadlines */
#define BODY_STEP 65536u /* bytes of body that a server must take within limits.block */

enum group { GOES_ON, ENDS_GROUP };

static void got_quit(struct smtp_client *);

#define LIMIT(name) offsetof(struct smtp_client_limits, name)
static const struct row {
	const char *name;
	void (*send)(struct smtp_client *);
	void (*got)(struct smtp_client *);
	enum group group;
	size_t limit;
	/* clang-format off */
} script[] = {
	[CLIENT_GREETING] = { "greeting", NULL, smtp_client_got_greeting, ENDS_GROUP, LIMIT(greeting) },
	[CLIENT_EHLO] = { "EHLO", smtp_client_send_hello, smtp_client_got_ehlo, ENDS_GROUP, LIMIT(hello) },
	[CLIENT_HELO] = { "HELO", smtp_client_send_hello, smtp_client_got_helo, ENDS_GROUP, LIMIT(hello) },
	[CLIENT_STARTTLS] = { "STARTTLS", smtp_client_send_word, smtp_client_got_starttls, ENDS_GROUP, LIMIT(hello) },
	[CLIENT_HANDSHAKE] = { "TLS handshake", NULL, NULL, ENDS_GROUP, LIMIT(hello) },
	[CLIENT_AUTH] = { "AUTH", smtp_client_send_auth, smtp_client_got_auth, ENDS_GROUP, LIMIT(hello) },
	[CLIENT_IDLE] = { "idle", NULL, NULL, ENDS_GROUP, 0 },
	[CLIENT_RSET] = { "RSET", smtp_client_send_word, smtp_client_got_rset, GOES_ON, LIMIT(mail) },
	[CLIENT_FORWARD] = { "XFORWARD", smtp_client_send_forward, smtp_client_got_rset, GOES_ON, LIMIT(mail) },
	[CLIENT_MAIL] = { "MAIL", smtp_client_send_mail, smtp_client_got_mail, GOES_ON, LIMIT(mail) },
	[CLIENT_RCPT] = { "RCPT", smtp_client_send_rcpt, smtp_client_got_rcpt, GOES_ON, LIMIT(rcpt) },	/* once per recipient */
	[CLIENT_DATA] = { "DATA", smtp_client_send_word, smtp_client_got_data, ENDS_GROUP, LIMIT(data) },
	[CLIENT_BODY] = { "end of data", smtp_client_body_begin, smtp_client_got_body, ENDS_GROUP, LIMIT(dot) },
	[CLIENT_CANCEL] = { "XCANCEL", smtp_client_send_cancel, smtp_client_got_cancel, ENDS_GROUP, LIMIT(dot) },
	[CLIENT_END] = { "end", NULL, NULL, ENDS_GROUP, 0 },
	[CLIENT_QUIT] = { "QUIT", smtp_client_send_word, got_quit, ENDS_GROUP, LIMIT(quit) },
};
/* clang-format on */

static void smtp_client_on_input(struct stream *);
static void smtp_client_on_drained(struct stream *);
static void smtp_client_on_closed(struct stream *);
static void on_late(struct deadline *);
static void on_start(struct later *);

static const struct stream_events stream_events = {
	.input = smtp_client_on_input,
	.drained = smtp_client_on_drained,
	.secured = smtp_client_on_secured,
	.closed = smtp_client_on_closed,
};

const char *
smtp_client_step_name(unsigned step)
{
	return script[step].name;
}

/* ---- the cursors ---------------------------------------------------------------------- */

/* The body may be sent before the recipients' replies are known. */
static bool
eager(const struct smtp_client *c)
{
	return c->chunking && c->tx->size <= c->p->eager;
}

static enum client_step
first_step(const struct smtp_client *c)
{
	return c->tx->cancel.n      ? CLIENT_CANCEL :
	    smtp_client_forwards(c) ? CLIENT_FORWARD :
				      CLIENT_MAIL;
}

static void
advance(const struct smtp_client *c, struct smtp_cursor *cur)
{
	switch ((enum client_step)cur->step) {
	case CLIENT_RSET: cur->step = first_step(c); break;
	case CLIENT_FORWARD: cur->step = CLIENT_MAIL; break;
	case CLIENT_MAIL:
		cur->step = CLIENT_RCPT;
		cur->rcpt = 0;
		break;
	case CLIENT_RCPT:
		if (++cur->rcpt == c->tx->nrcpt)
			cur->step = c->chunking ? CLIENT_BODY : CLIENT_DATA;
		break;
	case CLIENT_DATA: cur->step = CLIENT_BODY; break;
	case CLIENT_BODY:
	case CLIENT_CANCEL: cur->step = CLIENT_END; break;
	case CLIENT_GREETING:
	case CLIENT_EHLO:
	case CLIENT_HELO:
	case CLIENT_STARTTLS:
	case CLIENT_HANDSHAKE:
	case CLIENT_AUTH:
	case CLIENT_IDLE:
	case CLIENT_END:
	case CLIENT_QUIT: break; /* the got_ function of these says what is next */
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

/* The body moves: so much of it has left our hands since the limit was set. */
static bool
body_moved(struct smtp_client *c)
{
	uint64_t held = stream_backlog(&c->io), taken = c->body_at > held ? c->body_at - held : 0;

	if (taken < c->body_mark + BODY_STEP)
		return false;
	c->body_mark = taken;
	return true;
}

/* The hello or the transaction is over. */
void
smtp_client_no_limit(struct smtp_client *c)
{
	c->step_until = c->whole_until = 0;
	deadline_clear(&c->late);
}

/* The hello, or a transaction with `size` bytes of body, begins. */
static void
begin_whole(struct smtp_client *c, uint64_t size)
{
	c->step_until = 0;
	c->whole_until = c->p->limits.whole ? loop_now(c->io.loop) + c->p->limits.whole + size : 0;
}

/* The server has the whole message, so it may have taken it, whatever replies are missing. */
static bool
whole_sent(const struct smtp_client *c)
{
	return c->tx && c->send.step == CLIENT_END && !c->body_left && c->body_at == c->tx->size;
}

/* The time limit of the reply that is awaited, or of the body's progress.  It begins when
 * step_until is 0, which client_replied and the begin of a step see to, and never because a
 * few more bytes have come. */
void
smtp_client_set_limit(struct smtp_client *c)
{
	const char *limits = (const char *)&c->p->limits;
	uint64_t now = loop_now(c->io.loop), until;
	uint32_t ms;

	if (c->closing || (!c->waiting && c->recv.step != CLIENT_HANDSHAKE)) {
		c->step_until = 0;
		deadline_clear(&c->late);
		return;
	}
	if (c->body_left && body_moved(c))
		c->step_until = 0;
	if (c->step_until == 0) {
		memcpy(&ms, limits + script[c->recv.step].limit, sizeof(ms));
		c->step_until = now + (c->body_left ? c->p->limits.block : ms);
	}
	until = c->whole_until && c->whole_until < c->step_until ? c->whole_until : c->step_until;
	if (c->leaving && !whole_sent(c) && until > now + LOOK_MS)
		until = now + LOOK_MS;
	deadline_set(&c->late, c->io.loop, until > now ? (uint32_t)(until - now) : 0, on_late);
}

/* Sends as far as the script allows, then writes it all at once. */
void
smtp_client_pump(struct smtp_client *c)
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
	smtp_client_set_limit(c);
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
	if (c->body_left) { /* the stream of commands is out of step for good */
		c->dead = true;
		c->body_left = false;
	}
	if (c->waiting)
		c->dead = true;
	smtp_client_no_limit(c);
	c->used++;
	tx->done(tx);
}

/* All recipients without a verdict get this one. */
void
smtp_client_tx_rest(struct smtp_client *c, const struct verdict *v, bool remote)
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
smtp_client_broken(struct smtp_client *c, const struct verdict *v, bool remote)
{
	if (c->closing || (c->dead && !c->tx && c->finished && !c->quitting))
		return;
	c->dead = true;
	if (c->quitting) {
		smtp_client_close(c);
	} else if (c->tx) {
		smtp_client_tx_rest(c, v, remote);
		tx_finish(c);
	} else if (!c->finished) {
		smtp_client_hello_finish(c, v);
	} else {
		c->ev->lost(c);
	}
}

/* Leaving: is the peer still there?  True while it may be. */
static bool
peer_moves(struct smtp_client *c)
{
	uint64_t now = loop_now(c->io.loop), moved = stream_moved(&c->io);

	if (moved != c->moved) {
		c->moved = moved;
		c->moved_ms = now;
	}
	return now - c->moved_ms < SMTP_CLIENT_SILENT_MS;
}

void
smtp_client_leave(struct smtp_client *c)
{
	if (c->leaving || c->closing)
		return;
	c->leaving = true;
	c->moved = stream_moved(&c->io);
	c->moved_ms = c->io.moved_ms;
	smtp_client_set_limit(c);
}

static void
on_late(struct deadline *d)
{
	struct smtp_client *c = CONTAINER(d, struct smtp_client, late);
	uint64_t now = loop_now(c->io.loop);
	bool whole = c->whole_until && c->whole_until <= now;
	const char *step = c->body_left ? "message body" : script[c->recv.step].name;
	struct verdict v = whole ? verdict(OUT_PEER_SLOW, step) : verdict(OUT_PEER_SILENT, step);

	if (c->leaving && !whole && c->step_until > now && peer_moves(c)) {
		smtp_client_set_limit(c);
		return;
	}
	smtp_client_broken(c, &v, false);
}

static void
on_eof(struct smtp_client *c)
{
	struct verdict v;

	if (c->io.error)
		v = verdict(OUT_PEER_BROKE, strerror(-c->io.error), script[c->recv.step].name);
	else
		v = verdict(OUT_PEER_CLOSED, script[c->recv.step].name);
	smtp_client_broken(c, &v, false);
}

/* ---- replies -------------------------------------------------------------------------- */

/* A whole answer is there. */
static void
answered(struct smtp_client *c)
{
	struct verdict v;

	if (c->waiting == 0) { /* not asked for: 421 before closing, or nonsense */
		v = smtp_answer_verdict(&c->answer);
		smtp_answer_clear(&c->answer);
		v.kind = TEMP;
		smtp_client_broken(c, &v, true);
		return;
	}
	/* RFC 5321 3.8: 421 may come at any time and ends the session. */
	if (c->answer.code == 421 && !c->quitting) {
		v = smtp_answer_verdict(&c->answer);
		smtp_answer_clear(&c->answer);
		smtp_client_broken(c, &v, true);
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
smtp_client_replied(struct smtp_client *c)
{
	advance(c, &c->recv);
	c->step_until = 0;
	c->waiting--;
	if (c->waiting == 0)
		c->barrier = false;
}

/* After each reply of a transaction: is it over? */
void
smtp_client_tx_step(struct smtp_client *c)
{
	if (c->tx && c->waiting == 0 && c->send.step == CLIENT_END)
		tx_finish(c);
}

static void
smtp_client_on_input(struct stream *io)
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
			struct verdict v = verdict(OUT_PEER_NO_SMTP, script[c->recv.step].name);

			smtp_client_broken(c, &v, false);
			break;
		}
		if (r > 0)
			answered(c);
		if (stream_handshaking(&c->io))
			break;
	}
	c->busy = false;
	if (c->closing || stream_handshaking(&c->io))
		return;
	if (n == -EMSGSIZE) {
		struct verdict v = verdict(OUT_PEER_LONG);

		smtp_client_broken(c, &v, false);
	} else if (stream_eof(io)) {
		on_eof(c);
	}
	if (!c->closing)
		smtp_client_pump(c);
}

static void
smtp_client_on_drained(struct stream *io)
{
	struct smtp_client *c = CAST(io->data, struct smtp_client, SMTP_CLIENT_MAGIC);

	if (c->closing || !c->body_left)
		return;
	smtp_client_body_more(c);
	smtp_client_pump(c);
}

/* ---- the transaction ------------------------------------------------------------------ */

void
smtp_client_send(struct smtp_client *c, struct smtp_client_tx *tx)
{
	must(smtp_client_usable(c) && tx->nrcpt > 0);
	c->tx = tx;
	begin_whole(c, tx->size);
	c->body_mark = 0;
	c->accepted = 0;
	c->body_at = 0;
	c->body_crc = 0;
	tx->damaged = false;
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
		v = verdict(OUT_PEER_GONE);
		smtp_client_tx_rest(c, &v, false);
		tx_finish(c);
		return;
	}
	if (smtp_client_tx_unfit(c, &v)) {
		smtp_client_tx_rest(c, &v, false);
		tx_finish(c);
		return;
	}
	c->send = (struct smtp_cursor){ c->dirty ? CLIENT_RSET : first_step(c), 0 };
	c->dirty = c->tx->cancel.n == 0;
	smtp_client_pump(c);
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
		.magic = SMTP_CLIENT_MAGIC,
		.p = params,
		.tls_name = tls_name,
		.ev = ev,
		.data = data,
	};
	stream_init(&c->io, l, &stream_events, c);
	r = stream_open(&c->io, fd);
	if (r < 0)
		return r;
	stream_trace(&c->io, params->lmtp ? "lmtp" : "smtp", tls_name, true);
	deadline_init(&c->late);
	later_init(&c->start);
	c->send.step = c->recv.step = CLIENT_GREETING;
	c->waiting = 1;
	c->barrier = true;
	stream_start(&c->io);
	begin_whole(c, 0);
	smtp_client_set_limit(c);
	return 0;
}

static bool
client_rests(const struct smtp_client *c)
{
	return c->finished && !c->dead && !c->tx && !c->quitting && !c->closing;
}

bool
smtp_client_usable(const struct smtp_client *c)
{
	return client_rests(c) && (c->offer.mail_max == 0 || c->used < c->offer.mail_max);
}

void
smtp_client_quit(struct smtp_client *c)
{
	if (c->closing || c->quitting)
		return;
	if (!client_rests(c)) {
		smtp_client_close(c);
		return;
	}
	c->quitting = true;
	c->send.step = CLIENT_QUIT;
	if (!c->busy)
		smtp_client_pump(c);
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
smtp_client_on_closed(struct stream *io)
{
	struct smtp_client *c = CAST(io->data, struct smtp_client, SMTP_CLIENT_MAGIC);

	smtp_answer_fini(&c->answer);
	c->magic = 0;
	c->ev->closed(c);
}
