/* mmpd/managesieve-client.h: the client's half of ManageSieve (RFC 5804) up to the login, over net/line-client. */
#ifndef MMPD_MANAGESIEVE_CLIENT_H
#define MMPD_MANAGESIEVE_CLIENT_H
#include "net/line-client.h"

/* As imap_client_start; the result's text is, of LINE_CLIENT_IN, what the server's SIEVE capability has. */
void managesieve_client_start(struct stream *io, const struct line_client_login *login,
    struct op *op, line_client_done done, void *arg);
#endif
