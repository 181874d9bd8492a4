/* login/proxy.h: proxies of the access tier, which have checked a person's password and act in his name
 * (architecture.md 3, rule 9): who is one, and what it tells about its client.
 *
 * A proxy proves who it is by the certificate of its TLS connection.  What it may then do, SASL EXTERNAL
 * with an authorisation identity (RFC 4422 appendix A) and forwarding, ends with the first login of the
 * connection: what comes after that comes from the client. */
#ifndef LOGIN_PROXY_H
#define LOGIN_PROXY_H
#include "login/code.h"
#include "net/stream.h"

/* Does the verified certificate of the other side have the role of a proxy, by itself or by one of its
 * host names (auth.proxies, NULL or NULL-terminated; daemon/role.h)?  One that has not is logged. */
bool login_is_proxy(const struct stream *io, char *const *names, const char *sid);

#define LOGIN_SID 13 /* octets of a session's id */

/* What is told of the client: IMAP ID and POP3 XCLIENT.  Zeroed: nothing. */
struct login_forward {
	struct addr peer; /* len 0: not told */
	uint16_t port;
	char sid[LOGIN_SID + 1];     /* of the session at the proxy; "": not told */
	char app[LOGIN_WORD_ID + 1]; /* the application password that was shown there; "": none */
};
/* One field: x-originating-ip, x-originating-port, x-session-id, x-app; ADDR, PORT, SESSION, APP; in any case.
 * Others, and values that are malformed, are passed over. */
void login_forward_take(struct login_forward *f, struct slice field, struct slice value);
/* The peer of `io` is the one that was told, and `sid` (LOGIN_SID + 1 octets) the session's id there, so
 * that one id follows a person through the tiers; logged.  True when a peer was told: *peer. */
bool
login_forward_apply(const struct login_forward *f, struct stream *io, char *sid, struct addr *peer);
#endif
