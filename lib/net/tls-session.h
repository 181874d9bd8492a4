/* net/tls-session.h: one TLS session over callbacks; private to lib/net (stream-tls.c, tlsfd.c).
 *
 * A server's session is libtls'.  A client's is libssl's, over the SSL_CTX that libtls has
 * configured once for its context: libtls itself makes an SSL_CTX for each connection, with all
 * CA certificates and the key parsed again.  Calls return what libtls' do: >= 0, TLS_WANT_POLLIN,
 * TLS_WANT_POLLOUT or -1. */
#ifndef NET_TLS_SESSION_H
#define NET_TLS_SESSION_H
#include <sys/types.h>
#include "net/tls-impl.h"
#include "net/tlsa.h"

struct tls_session;
/* As libtls' callbacks: bytes, TLS_WANT_POLLIN, TLS_WANT_POLLOUT, -1; a client's gets NULL for the
 * struct tls. */
struct tls_session_io {
	tls_read_cb read;
	tls_write_cb write;
};

/* The context must outlive the session.  `name` may be NULL for a client that does not verify.  With a
 * port, and a context that lets them, a client goes on with its last session with that server.  NULL:
 * no memory, or a name that cannot be checked. */
struct tls_session *
tls_session_accept(struct tls_ctx *ctx, const struct tls_session_io *io, void *arg) MUSTCHECK;
struct tls_session *tls_session_connect(struct tls_ctx *ctx, const struct tls_session_io *io,
    void *arg, const char *name, unsigned port) MUSTCHECK;
/* With a context that verifies: the certificate and the name are looked at, tls_session_doubt says what was found, and the
 * session goes on whatever that is. */
struct tls_session *tls_session_connect_lenient(struct tls_ctx *ctx,
    const struct tls_session_io *io, void *arg, const char *name) MUSTCHECK;
/* By DANE, whatever else the context verifies: see net/tlsa.h. */
struct tls_session *tls_session_connect_dane(struct tls_ctx *ctx, const struct tls_session_io *io,
    void *arg, const struct tls_dane *dane) MUSTCHECK;
void tls_session_free(struct tls_session **s);

int tls_session_handshake(struct tls_session *s) MUSTCHECK;
ssize_t tls_session_read(struct tls_session *s, void *to, size_t n) MUSTCHECK;
ssize_t tls_session_write(struct tls_session *s, const void *from, size_t n) MUSTCHECK;
int tls_session_close(struct tls_session *s) MUSTCHECK; /* says close_notify */

/* What was agreed, after the handshake; borrowed. */
const char *tls_session_error(struct tls_session *s); /* NULL: none */
/* Why the handshake of a client failed, in the words of RFC 8460 4.3. */
const char *tls_session_failure(struct tls_session *s);
/* What a lenient one would have failed for, in those words; NULL: nothing. */
const char *tls_session_doubt(struct tls_session *s);
const char *tls_session_version(struct tls_session *s);
const char *tls_session_cipher(struct tls_session *s);
int tls_session_cipher_bits(struct tls_session *s); /* of its key */
bool tls_session_resumed(struct tls_session *s);    /* without a whole handshake */
const char *tls_session_alpn(struct tls_session *s);
bool tls_session_peer_cert(struct tls_session *s);
bool tls_session_peer_named(struct tls_session *s, const char *name);
/* Bits of net/tls-role.h that its certificate names; 0: none. */
unsigned tls_session_peer_roles(struct tls_session *s);
/* The common name of its subject, into to[n]; false (and "") when it has none that fits. */
bool tls_session_peer_subject(struct tls_session *s, char *to, size_t n);
#endif
