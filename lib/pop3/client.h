/* pop3/client.h: the client's half of POP3 as far as a proxy needs it: a connection to a store becomes a
 * session of a user (RFC 1939, RFC 2595, RFC 5034, and XCLIENT as Dovecot has it).
 *
 * To a server that is known (login->ahead) XCLIENT and AUTH go out at once.  The text of LINE_CLIENT_IN and
 * LINE_CLIENT_NO is what stands behind +OK and -ERR: "3 messages", "[IN-USE] ...". */
#ifndef POP3_CLIENT_H
#define POP3_CLIENT_H
#include "net/line-client.h"

void pop3_client_start(struct stream *io, const struct line_client_login *login, struct op *op,
    line_client_done done, void *arg);
#endif
