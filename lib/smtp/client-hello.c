/* smtp/client-hello.c: from the connected socket to a server that is ready for transactions:
 * greeting, EHLO or LHLO (HELO when EHLO is not known), STARTTLS and EHLO again; then AUTH (client-auth.c).
 *
 * The steps of client.c's script up to CLIENT_IDLE; each got_ function reads one answer and sets the
 * next step, and all ways end in smtp_client_hello_finish, once.  Fails by what the server says or
 * by TLS; the verdict goes to the owner, who knows whether there is another host to try.  Must stay
 * true: what was learned in plain text is forgotten when TLS begins (RFC 3207 4.2), and with
 * SMTP_TLS_MUST nothing but the hello is ever said without it. */
#include <string.h>
#include "base/must.h"
#include "smtp/client-impl.h"

void
smtp_client_hello_finish(struct smtp_client *c, const struct verdict *v)
{
	c->hello = *v;
	c->finished = true;
	c->send.step = c->recv.step = CLIENT_IDLE;
	if (v->kind != OK)
		c->dead = true;
	smtp_client_no_limit(c);
	c->ev->ready(c, &c->hello);
}

void
smtp_client_send_hello(struct smtp_client *c)
{
	buf_printf(stream_out(&c->io), "%s %s\r\n",
	    c->p->lmtp                      ? "LHLO" :
		c->send.step == CLIENT_HELO ? "HELO" :
					      "EHLO",
	    c->p->helo);
}

/* A refusal that ends the hello.  A session refused for good is still only this host's
 * word (RFC 5321 3.1, 4.2.4.2): whether to try another one is the owner's business. */
static void
hello_refused(struct smtp_client *c)
{
	struct verdict v = smtp_answer_verdict(&c->answer);

	smtp_client_hello_finish(c, &v);
}

/* TLS is a must. */
static void
no_starttls(struct smtp_client *c)
{
	struct verdict v = verdict(OUT_TLS_NOT_THERE);

	c->tls_result = "starttls-not-supported";
	smtp_client_hello_finish(c, &v);
}

void
smtp_client_got_greeting(struct smtp_client *c)
{
	smtp_client_replied(c);
	if (c->answer.code / 100 != 2) {
		hello_refused(c);
		return;
	}
	c->greeted = true;
	c->send.step = CLIENT_EHLO;
}

void
smtp_client_got_ehlo(struct smtp_client *c)
{
	smtp_client_replied(c);
	if (c->answer.code / 100 == 5 && !c->p->lmtp && c->p->tls != SMTP_TLS_MUST) {
		c->send.step = CLIENT_HELO; /* RFC 5321 3.2: a server of old */
		return;
	}
	if (c->answer.code / 100 == 5 && !c->p->lmtp && !stream_secure(&c->io)) {
		no_starttls(c); /* it, or whoever speaks for it in plain text */
		return;
	}
	if (c->answer.code / 100 != 2) {
		hello_refused(c);
		return;
	}
	smtp_offer_parse(&c->answer, &c->offer);
	if (c->p->tls != SMTP_TLS_OFF && !stream_secure(&c->io)) {
		if (c->offer.has & OFFERS_STARTTLS) {
			c->send.step = CLIENT_STARTTLS;
			return;
		}
		if (c->p->tls == SMTP_TLS_MUST) {
			no_starttls(c);
			return;
		}
	}
	smtp_client_hello_answered(c);
}

void
smtp_client_got_helo(struct smtp_client *c)
{
	smtp_client_replied(c);
	if (c->answer.code / 100 != 2) {
		hello_refused(c);
		return;
	}
	smtp_offer_parse(&c->answer, &c->offer);
	c->offer.has = 0; /* whatever the words of a HELO reply look like */
	smtp_client_hello_answered(c);
}

MUSTCHECK
static int
start_tls(struct smtp_client *c)
{
	if (c->p->tls_lenient)
		return stream_tls_connect_lenient(&c->io, c->p->tls_ctx, c->tls_name);
	return c->p->dane ? stream_tls_connect_dane(&c->io, c->p->tls_ctx, c->p->dane) :
			    stream_tls_connect(&c->io, c->p->tls_ctx, c->tls_name);
}

void
smtp_client_got_starttls(struct smtp_client *c)
{
	struct verdict v;

	smtp_client_replied(c);
	if (c->answer.code / 100 == 2) {
		/* RFC 3207 6: what came in plain text behind the 220 must not be believed. */
		if (stream_peek(&c->io).n == 0 && start_tls(c) == 0) {
			c->send.step = c->recv.step = CLIENT_HANDSHAKE;
			smtp_client_set_limit(c);
			return;
		}
		v = verdict(OUT_TLS_INJECTED);
		c->tls_result = "validation-failure";
		c->tls_failed = true;
		smtp_client_hello_finish(c, &v);
		return;
	}
	if (c->p->tls == SMTP_TLS_MUST) {
		v = smtp_answer_verdict(&c->answer);
		v = verdict(OUT_TLS_REFUSED, v.text);
		c->tls_result = "starttls-not-supported";
	} else {
		v = verdict(OUT_TLS_WITHOUT);
	}
	smtp_client_hello_finish(c, &v);
}

void
smtp_client_on_secured(struct stream *io, int error, const char *why)
{
	struct smtp_client *c = CAST(io->data, struct smtp_client, SMTP_CLIENT_MAGIC);
	struct verdict v;

	if (c->closing || c->finished)
		return;
	if (error) {
		v = verdict(OUT_TLS_HANDSHAKE, why ? why : strerror(-error));
		c->tls_result = stream_tls_failure(io);
		c->tls_failed = true;
		smtp_client_hello_finish(c, &v);
		return;
	}
	c->offer = (struct smtp_offer){ 0 }; /* RFC 3207 4.2: forget what was learned before */
	c->send.step = CLIENT_EHLO;
	smtp_client_pump(c);
}
