/* smtp/server-impl.h: what server.c, server-command.c and server-body.c share; nobody else
 * includes it. */
#ifndef SMTP_SERVER_IMPL_H
#define SMTP_SERVER_IMPL_H
#include "mail/outcome.h"
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
	ASK_UNKNOWN,
	ASK_OWN, /* one of the owner's verbs */
};

/* Of the built-in verbs, beside SMTP_PRE_TLS and its kin. */
enum { ONLY_SMTP = 256, ONLY_LMTP = 512 };

/* server.c */
void smtp_server_put_reply(struct smtp_server *s, const struct verdict *v);
/* Says it and ends the session; `why` is a literal for the log. */
enum smtp_next smtp_server_bye(struct smtp_server *s, const char *why, const struct verdict *v);
/* n answers are due from now on; NEXT when they came at once. */
void smtp_server_put_question(struct smtp_server *s, enum smtp_asking what, uint32_t n);
enum smtp_next smtp_server_asked(const struct smtp_server *s);
/* The transaction is over. */
void smtp_server_forget(struct smtp_server *s);

/* server-command.c */
enum line_next smtp_server_command(struct smtp_server *s);
enum line_next smtp_server_skip(struct smtp_server *s);
void smtp_server_hello(struct smtp_server *s);
void smtp_server_greet(struct smtp_server *s);

/* server-body.c */
enum smtp_next smtp_server_data(struct smtp_server *s, struct slice arg);
enum smtp_next smtp_server_bdat(struct smtp_server *s, struct slice arg);
enum line_next smtp_server_body(struct smtp_server *s);
/* The answer to ASK_BODY. */
void smtp_server_body_judged(struct smtp_server *s, const struct verdict *v);
/* One of the answers to ASK_END. */
void smtp_server_end_judged(struct smtp_server *s, const struct verdict *v);
#endif
