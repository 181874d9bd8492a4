/* smtp/client-impl.h: between the files of the client: client.c (the script), client-hello.c
 * (until the server is ready) and client-body.c (fitness and the body's bytes). */
#ifndef SMTP_CLIENT_IMPL_H
#define SMTP_CLIENT_IMPL_H
#include "smtp/client.h"

#define SMTP_CLIENT_MAGIC 0x534d5443

enum client_step {
	CLIENT_GREETING, CLIENT_EHLO, CLIENT_HELO, CLIENT_STARTTLS, CLIENT_HANDSHAKE, CLIENT_IDLE,
	CLIENT_RSET, CLIENT_MAIL, CLIENT_RCPT, CLIENT_DATA, CLIENT_BODY, CLIENT_END, CLIENT_QUIT,
};

/* Of a recipient: no reply yet; taken at RCPT; its verdict stands. */
enum { CLIENT_RCPT_OPEN, CLIENT_RCPT_TAKEN, CLIENT_RCPT_OVER };

/* client.c: sends as far as the script allows, then writes it all at once. */
void client_pump(struct smtp_client *c);
/* Restarts the time limit: for the reply that is awaited, or for the body's progress. */
void client_set_limit(struct smtp_client *c);
/* Called by the got_ functions when the reply to their step is complete, before they act. */
void client_replied(struct smtp_client *c);
/* The connection is of no more use; whoever waits is told. */
void client_broken(struct smtp_client *c, const struct verdict *v, bool remote);

/* client-hello.c: the first steps of the script. */
void client_send_hello(struct smtp_client *c);
void client_got_greeting(struct smtp_client *c);
void client_got_ehlo(struct smtp_client *c);
void client_got_helo(struct smtp_client *c);
void client_got_starttls(struct smtp_client *c);
void client_on_secured(struct stream *io, int error, const char *why);
void client_hello_finish(struct smtp_client *c, const struct verdict *v);

/* client-body.c: may this transaction not go to this server at all?  Then *v says why. */
bool client_tx_unfit(const struct smtp_client *c, struct verdict *v);
/* The BODY step: BDAT and the bytes, or (after 354) the bytes and the dot.  Sends until the
 * socket is full; client_body_more goes on when it has drained. */
void client_body_begin(struct smtp_client *c);
void client_body_more(struct smtp_client *c);
#endif
