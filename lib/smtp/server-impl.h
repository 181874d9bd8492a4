/* smtp/server-impl.h: what server.c, server-command.c and server-body.c share; nobody else
 * includes it. */
#ifndef SMTP_SERVER_IMPL_H
#define SMTP_SERVER_IMPL_H
#include "smtp/server.h"

/* What the next bytes of input are. */
enum smtp_phase {
	PHASE_COMMAND,
	PHASE_SKIP, /* the rest of a line that is too long */
	PHASE_BODY, /* DATA, or a chunk of BDAT */
};
/* What was asked and is not answered yet. */
enum smtp_asking {
	ASK_NOTHING,
	ASK_HELO,
	ASK_MAIL,
	ASK_RCPT,
	ASK_BODY,
	ASK_END,
	ASK_VRFY,
	ASK_OWN, /* one of the owner's verbs */
	ASK_TLS, /* the handshake */
};
/* How a step of the loop ended. */
enum smtp_step { STEP_ON, STEP_DRY, STEP_WAIT, STEP_CLOSE };

/* Of the built-in verbs, beside SMTP_PRE_TLS and its kin. */
enum { ONLY_SMTP = 256, ONLY_LMTP = 512 };

/* server.c */
void server_say(struct smtp_server *s, const struct verdict *v);
/* Says it and ends the session; `why` is a literal for the log. */
enum smtp_next server_bye(struct smtp_server *s, const char *why, const struct verdict *v);
/* n answers are due from now on; NEXT when they came at once. */
void server_ask(struct smtp_server *s, enum smtp_asking what, uint32_t n);
enum smtp_next server_asked(const struct smtp_server *s);
/* The transaction is over. */
void server_forget(struct smtp_server *s);

/* server-command.c */
enum smtp_step server_command(struct smtp_server *s);
enum smtp_step server_skip(struct smtp_server *s);
void server_hello(struct smtp_server *s);
void server_greet(struct smtp_server *s);

/* server-body.c */
enum smtp_next server_data(struct smtp_server *s, struct slice arg);
enum smtp_next server_bdat(struct smtp_server *s, struct slice arg);
enum smtp_step server_body(struct smtp_server *s);
/* The answer to ASK_BODY. */
void server_body_judged(struct smtp_server *s, const struct verdict *v);
/* One of the answers to ASK_END. */
void server_end_judged(struct smtp_server *s, const struct verdict *v);
#endif
