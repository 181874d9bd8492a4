/* smtp/client-impl.h: between the files of the client: client.c (the script), client-steps.c (the
 * steps of a transaction), client-hello.c (until the server is ready), client-auth.c (who we are) and client-body.c (fitness
 * and the body's bytes). */
#ifndef SMTP_CLIENT_IMPL_H
#define SMTP_CLIENT_IMPL_H
#include "mail/outcome.h"
#include "smtp/client.h"

#define SMTP_CLIENT_MAGIC 0x534d5443

/* clang-format off */
enum client_step {
	CLIENT_GREETING, CLIENT_EHLO, CLIENT_HELO, CLIENT_STARTTLS, CLIENT_HANDSHAKE, CLIENT_AUTH, CLIENT_IDLE,
	CLIENT_RSET, CLIENT_FORWARD, CLIENT_MAIL, CLIENT_RCPT, CLIENT_DATA, CLIENT_BODY, CLIENT_CANCEL, CLIENT_END,
	CLIENT_QUIT,
};
/* clang-format on */

/* Of a recipient: no reply yet; taken at RCPT; its verdict stands. */
enum { CLIENT_RCPT_OPEN, CLIENT_RCPT_TAKEN, CLIENT_RCPT_OVER };

/* client.c: sends as far as the script allows, then writes it all at once. */
void smtp_client_pump(struct smtp_client *c);
/* Sets the time limit of the reply that is awaited, or of the body's progress; and takes all
 * limits off when the hello or the transaction is over. */
void smtp_client_set_limit(struct smtp_client *c);
void smtp_client_no_limit(struct smtp_client *c);
/* Called by the got_ functions when the reply to their step is complete, before they act. */
void smtp_client_replied(struct smtp_client *c);
/* The connection is of no more use; whoever waits is told. */
void smtp_client_broken(struct smtp_client *c, const struct verdict *v, bool remote);

const char *smtp_client_step_name(unsigned step); /* "MAIL"; of enum client_step */
/* All recipients without a verdict get this one; remote: it is the server's. */
void smtp_client_tx_rest(struct smtp_client *c, const struct verdict *v, bool remote);
void smtp_client_tx_step(struct smtp_client *c); /* after each reply: is the transaction over? */

/* client-steps.c: the steps of a transaction, for the script. */
void smtp_client_send_word(struct smtp_client *c);
bool smtp_client_forwards(const struct smtp_client *c); /* is XFORWARD to be said? */
void smtp_client_send_forward(struct smtp_client *c);
void smtp_client_send_mail(struct smtp_client *c);
void smtp_client_send_rcpt(struct smtp_client *c);
void smtp_client_send_cancel(struct smtp_client *c);
void smtp_client_got_rset(struct smtp_client *c);
void smtp_client_got_mail(struct smtp_client *c);
void smtp_client_got_rcpt(struct smtp_client *c);
void smtp_client_got_data(struct smtp_client *c);
void smtp_client_got_body(struct smtp_client *c);
void smtp_client_got_cancel(struct smtp_client *c);

/* client-hello.c: the first steps of the script. */
void smtp_client_send_hello(struct smtp_client *c);
void smtp_client_got_greeting(struct smtp_client *c);
void smtp_client_got_ehlo(struct smtp_client *c);
void smtp_client_got_helo(struct smtp_client *c);
void smtp_client_got_starttls(struct smtp_client *c);
void smtp_client_on_secured(struct stream *io, int error, const char *why);
void smtp_client_hello_finish(struct smtp_client *c, const struct verdict *v);

/* client-auth.c: the server has answered the hello that counts; logs in where that is wanted, else the hello is over. */
void smtp_client_hello_answered(struct smtp_client *c);
void smtp_client_send_auth(struct smtp_client *c);
void smtp_client_got_auth(struct smtp_client *c);

/* client-body.c: may this transaction not go to this server at all?  Then *v says why. */
bool smtp_client_tx_unfit(const struct smtp_client *c, struct verdict *v);
/* The BODY step: BDAT and the bytes, or (after 354) the bytes and the dot.  Sends until the
 * socket is full; smtp_client_body_more goes on when it has drained. */
void smtp_client_body_begin(struct smtp_client *c);
void smtp_client_body_more(struct smtp_client *c);
#endif
