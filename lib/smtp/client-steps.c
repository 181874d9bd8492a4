/* smtp/client-steps.c: the steps of a transaction, each with what is sent and what its reply means:
 * RSET, MAIL, RCPT, DATA and the end of the body (RFC 5321 4.1.1, RFC 2033 for LMTP).
 *
 * Called from the script in client.c alone, which moves the cursors; a step changes the
 * recipients' verdicts and, when nothing more is to be said, the sender's cursor.  Every
 * recipient leaves here with a verdict, whatever the server says and in whatever order. */
#include "base/must.h"
#include "mail/date.h"
#include "smtp/client-impl.h"
#include "smtp/params.h"

void
smtp_client_send_word(struct smtp_client *c)
{
	buf_printf(stream_out(&c->io), "%s\r\n", smtp_client_step_name(c->send.step));
}

void
smtp_client_send_mail(struct smtp_client *c)
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
	if ((has & OFFERS_XASIDE) && tx->aside.n)
		buf_printf(out, " XASIDE=" SFMT, SARG(tx->aside));
	if ((has & OFFERS_XTIERMAIL) && tx->qid.n)
		buf_printf(out, " XQID=" SFMT, SARG(tx->qid));
	if ((has & (OFFERS_XCANCEL | OFFERS_XASIDE)) && tx->auth.n) {
		buf_lit(out, " AUTH=");
		smtp_xtext_write(out, tx->auth);
	}
	if ((has & OFFERS_BY) && tx->by_mode)
		buf_printf(out, " BY=%lld;%s", (long long)tx->by, tx->by_mode);
	if ((has & OFFERS_PRIORITY) && tx->priority)
		buf_printf(out, " MT-PRIORITY=%d", tx->priority);
	if ((has & OFFERS_REQUIRETLS) && tx->require_tls)
		buf_lit(out, " REQUIRETLS");
	if ((has & OFFERS_RELEASE) && tx->release_at) {
		buf_lit(out, " HOLDUNTIL=");
		date_iso_write(out, tx->release_at, 0);
	}
	buf_lit(out, "\r\n");
}

bool
smtp_client_forwards(const struct smtp_client *c)
{
	return c->tx->forward && (c->offer.has & OFFERS_XFORWARD) && c->offer.forward;
}

static void
write_forward(const struct smtp_client *c, struct buf *out, unsigned bit, const char *name,
    struct slice value)
{
	if (!(c->offer.forward & bit))
		return;
	buf_printf(out, " %s=", name);
	if (value.n && value.n <= SMTP_FORWARD_MAX)
		smtp_xtext_write(out, value);
	else
		buf_lit(out, "[UNAVAILABLE]");
}

/* XFORWARD attribute=value ..., of those that the server knows (postfix.org/XFORWARD_README.html).  It is for its log: an
 * answer that is not 250 is none to the message. */
void
smtp_client_send_forward(struct smtp_client *c)
{
	const struct smtp_client_forward *f = c->tx->forward;
	struct buf *out = stream_out(&c->io);

	buf_lit(out, "XFORWARD");
	write_forward(c, out, FORWARD_ADDR, "ADDR", f->addr);
	write_forward(c, out, FORWARD_HELO, "HELO", f->helo);
	write_forward(c, out, FORWARD_IDENT, "IDENT", c->tx->qid);
	write_forward(c, out, FORWARD_SOURCE, "SOURCE", f->local ? S("LOCAL") : S("REMOTE"));
	buf_lit(out, "\r\n");
}

/* XCANCEL queue-id AUTH=account: smtp-relay(8). */
void
smtp_client_send_cancel(struct smtp_client *c)
{
	struct buf *out = stream_out(&c->io);

	buf_printf(out, "XCANCEL " SFMT " AUTH=", SARG(c->tx->cancel));
	smtp_xtext_write(out, c->tx->auth);
	buf_lit(out, "\r\n");
}

static void
write_notify(struct buf *out, unsigned notify)
{
	static const struct {
		unsigned bit;
		const char *word;
		/* clang-format off */
	} words[] = {
		{ SMTP_NOTIFY_NEVER, "NEVER" }, { SMTP_NOTIFY_SUCCESS, "SUCCESS" },
		{ SMTP_NOTIFY_FAILURE, "FAILURE" }, { SMTP_NOTIFY_DELAY, "DELAY" },
	};
	/* clang-format on */
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

void
smtp_client_send_rcpt(struct smtp_client *c)
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
	if (r->sent)
		buf_lit(out, " XSENT");
	if (r->run.n) {
		buf_lit(out, " XRUN=");
		smtp_xtext_write(out, r->run);
	}
	if (r->event.n) {
		buf_lit(out, " XEVENT=");
		smtp_xtext_write(out, r->event);
	}
	buf_lit(out, "\r\n");
}

void
smtp_client_got_rset(struct smtp_client *c)
{
	smtp_client_replied(c); /* servers answer 250 always; another answer shows at MAIL */
}

/* Nothing further is sent in this transaction. */
static void
stop_sending(struct smtp_client *c)
{
	c->send.step = CLIENT_END;
}

void
smtp_client_got_mail(struct smtp_client *c)
{
	struct verdict v;

	smtp_client_replied(c);
	if (c->answer.code / 100 == 2)
		return;
	v = smtp_answer_verdict(&c->answer);
	smtp_client_tx_rest(c, &v, true);
	/* What is on its way is refused by the server (503), the replies are counted only. */
	stop_sending(c);
	smtp_client_tx_step(c);
}

void
smtp_client_got_rcpt(struct smtp_client *c)
{
	struct smtp_client_rcpt *r = &c->tx->rcpts[c->recv.rcpt];
	bool last = c->recv.rcpt + 1 == c->tx->nrcpt;

	smtp_client_replied(c);
	if (r->state == CLIENT_RCPT_OPEN) { /* else MAIL was refused */
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
	/* Nobody to send it to, and it is not sent yet (BODY behind DATA is smtp_client_got_data's). */
	if (last && c->accepted == 0 &&
	    (c->send.step == CLIENT_DATA || (c->send.step == CLIENT_BODY && c->chunking)))
		stop_sending(c);
	smtp_client_tx_step(c);
}

void
smtp_client_got_data(struct smtp_client *c)
{
	struct verdict v;

	smtp_client_replied(c);
	if (c->answer.code == 354) {
		/* RFC 2920 3.1: after MAIL or all recipients were refused it gets a single dot
		 * (client_body_begin), and its answer is read and means nothing.  In LMTP there
		 * is no answer for nobody (RFC 2033 4.2), so nobody could tell whether it had
		 * taken the dot: that server goes. */
		if (c->accepted == 0 && c->p->lmtp) {
			c->dead = true;
			stop_sending(c);
			smtp_client_tx_step(c);
		} else {
			c->send.step = CLIENT_BODY;
		}
		return;
	}
	if (c->send.step == CLIENT_END) { /* MAIL was refused */
		smtp_client_tx_step(c);
		return;
	}
	v = smtp_answer_verdict(&c->answer);
	if (v.kind == OK) /* 2xx instead of 354 */
		v = verdict(OUT_PEER_DATA, c->answer.code);
	smtp_client_tx_rest(c, &v, true);
	stop_sending(c);
	smtp_client_tx_step(c);
}

/* After the body: one reply, or with LMTP one per accepted recipient in their order
 * (RFC 2033 4.2).  A reply before the body is out is final too; then the connection is
 * out of step and goes. */
void
smtp_client_got_body(struct smtp_client *c)
{
	struct verdict v = smtp_answer_verdict(&c->answer);
	struct smtp_client_rcpt *r;

	if (v.kind == OK && c->body_left)
		v = verdict(OUT_PEER_EARLY);
	if (!c->p->lmtp || c->accepted == 0 || c->body_left) {
		smtp_client_replied(c);
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
			return; /* still the same step */
		smtp_client_replied(c);
		c->dirty = false;
	}
	stop_sending(c);
	smtp_client_tx_step(c);
}

void
smtp_client_got_cancel(struct smtp_client *c)
{
	struct verdict v = smtp_answer_verdict(&c->answer);

	smtp_client_replied(c);
	smtp_client_tx_rest(c, &v, true);
	smtp_client_tx_step(c);
}
