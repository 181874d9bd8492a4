/* imap/client.h: the client's half of IMAP as far as a proxy needs it: a connection to a store becomes a
 * session of a user (RFC 3501 6.2.2, RFC 4959, RFC 2971).
 *
 * To a server that is known (login->ahead) ID and AUTHENTICATE go out at once, so that a login costs one
 * round trip behind the handshake.  The text of LINE_CLIENT_IN and LINE_CLIENT_NO is that of the tagged
 * answer: "[CAPABILITY ...] Logged in", "[UNAVAILABLE] ...". */
#ifndef IMAP_CLIENT_H
#define IMAP_CLIENT_H
#include "net/line-client.h"

void imap_client_start(struct stream *io, const struct line_client_login *login, struct op *op,
    line_client_done done, void *arg);
/* The host that a refusal names, as in "[REFERRAL imap://store2.example.net/] Moved" (RFC 2221), or of POP3
 * "pop://" (RFC 2384); false: none, or none that is a host name alone. */
bool imap_client_referral(struct slice text, struct slice *host);
#endif
