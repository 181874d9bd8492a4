/* net/tls.h: TLS contexts over libtls.  Sessions never see libtls; stream.h speaks it. */
#ifndef NET_TLS_H
#define NET_TLS_H
#include "base/slice.h"

struct tls_ctx; /* server or client; immutable once made; reference counted */

#define TLS_RESUME_MOST 3600

struct tls_params {
	const char *cert, *key; /* PEM files; a server needs both, a client may have them */
	char *const
	    *more;      /* server: PEM files, each with a further certificate and its key, chosen by
	                         * the name that the client asks for; NULL, or NULL-terminated */
	const char *ca; /* PEM file of trusted CAs; NULL = the system's */
	const char *protocols; /* libtls words, NULL = TLS 1.2 and 1.3 */
	const char *ciphers;   /* libtls word, NULL = "secure" */
	const char *
	    alpn; /* server: names of protocols (RFC 7301), with commas, the best first; NULL = none */
	bool verify; /* client: certificate and name; server: demand a certificate */
	bool
	    dns_id; /* client that verifies: names are those of subjectAltName alone (RFC 6125 6.4.4) */
	bool verify_optional; /* server: ask for a certificate, accept none */
	/* For how many seconds (at most TLS_RESUME_MOST) a session may be taken up again without a whole handshake, and without
	 * another look at certificates; a client that verifies: does so.  0: never. */
	unsigned lifetime;
};
/* Reads the files.  Returns NULL with *why (heap, caller frees). */
struct tls_ctx *tls_server_new(const struct tls_params *p, char **why) MUSTCHECK;
struct tls_ctx *tls_client_new(const struct tls_params *p, char **why) MUSTCHECK;
struct tls_ctx *tls_ref(struct tls_ctx *c);
void tls_unref(struct tls_ctx **c); /* live sessions keep their own reference */
#endif
