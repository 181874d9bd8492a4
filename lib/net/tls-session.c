/* net/tls-session.c: see tls-session.h.
 *
 * Owns an SSL or a struct tls, never both.  Called by stream-tls.c and tlsfd.c.  Can fail: the
 * handshake, and for good any later call; the reason is kept in words.  Must stay true: a client
 * whose context verifies never gets through a handshake without a chain to its CA and the name
 * that was asked for; both are libssl's own check, so there is no step that could be left out.
 *
 * What libtls does for a client and this does too: no SNI for a numeric address (RFC 6066 3), no
 * renegotiation (the context's options, set by libtls). */
#include "net/tls-session.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/must.h"
#include "net/tls-role.h"

struct tls_session {
	struct tls *tls;     /* of a server */
	SSL *below;          /* ... libtls' own */
	SSL *ssl;            /* of a client */
	struct tls_ctx *ctx; /* of a client: what checks the certificates is the context's */
	const struct tls_session_io *io;
	void *arg;
	struct tls_peer peer; /* of a client that keeps its session */
	char *error;          /* of a client */
	bool verify;          /* a client: who is there must be proved */
	bool dane;            /* ... by a TLSA record */
};

/* ---- a client's bytes -------------------------------------------------------------------------- */

static int
session_bio_result(BIO *b, ssize_t n)
{
	BIO_clear_retry_flags(b);
	if (n == TLS_WANT_POLLIN)
		BIO_set_retry_read(b);
	else if (n == TLS_WANT_POLLOUT)
		BIO_set_retry_write(b);
	return n < 0 ? -1 : (int)n;
}

static int
session_bio_read(BIO *b, char *to, int n)
{
	struct tls_session *s = BIO_get_data(b);

	return session_bio_result(b, s->io->read(NULL, to, (size_t)n, s->arg));
}

static int
session_bio_write(BIO *b, const char *from, int n)
{
	struct tls_session *s = BIO_get_data(b);

	return session_bio_result(b, s->io->write(NULL, from, (size_t)n, s->arg));
}

static long
session_bio_ctrl(BIO *b UNUSED, int cmd, long num UNUSED, void *ptr UNUSED)
{
	return cmd == BIO_CTRL_FLUSH;
}

static BIO *
session_bio_new(struct tls_session *s)
{
	static BIO_METHOD *method;
	BIO *b;

	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
		if (!method || !BIO_meth_set_read(method, session_bio_read) ||
		    !BIO_meth_set_write(method, session_bio_write) ||
		    !BIO_meth_set_ctrl(method, session_bio_ctrl)) {
			BIO_meth_free(method);
			method = NULL;
			return NULL;
		}
	}
	b = BIO_new(method);
	if (b) {
		BIO_set_data(b, s);
		BIO_set_init(b, 1);
	}
	return b;
}

/* ---- under libtls ------------------------------------------------------------------------------
 *
 * It shows no certificate but as text (and of its names those alone that it compares itself): as in tls.c,
 * OpenSSL tells of each SSL that is made, and the last one is that of the call that has just made it. */

static SSL *made;

static void
session_made(void *parent, void *ptr UNUSED, CRYPTO_EX_DATA *ad UNUSED, int index UNUSED,
    long argl UNUSED, void *argp UNUSED)
{
	made = parent;
}

static void
watch_sessions(void)
{
	static int at = -1;

	if (at < 0)
		at = SSL_get_ex_new_index(0, NULL, session_made, NULL, NULL);
	must(at >= 0);
	made = NULL;
}

static X509 *
session_peer(struct tls_session *s)
{
	SSL *ssl = s->tls ? s->below : s->ssl;

	return ssl ? SSL_get0_peer_certificate(ssl) : NULL;
}

/* ---- the beginning and the end ----------------------------------------------------------------- */

struct tls_session *
tls_session_accept(struct tls_ctx *ctx, const struct tls_session_io *io, void *arg)
{
	struct tls_session *s = mem_new(sizeof(*s));

	watch_sessions();
	if (tls_accept_cbs(ctx->accept, &s->tls, io->read, io->write, arg) == 0) {
		s->below = made;
		tls_resume_accept(ctx, s->below);
		return s;
	}
	free(s);
	return NULL;
}

/* The name is announced, and checked when the context checks. */
static bool
session_name(struct tls_session *s, const struct tls_ctx *ctx, const char *name)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(s->ssl);
	struct in6_addr ip;
	bool numeric;

	if (!name) /* who is asked by no name cannot be the right one */
		return !ctx->verify;
	numeric = inet_pton(AF_INET, name, &ip) == 1 || inet_pton(AF_INET6, name, &ip) == 1;

	/* SSL_set_tlsext_host_name, whose cast takes the const away. */
	if (!numeric &&
	    SSL_ctrl(s->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		(void *)(uintptr_t)name) != 1)
		return false;
	if (!ctx->verify)
		return true;
	s->verify = true;
	SSL_set_verify(s->ssl, SSL_VERIFY_PEER, NULL);
	X509_VERIFY_PARAM_set_hostflags(p,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
		(ctx->dns_id ? X509_CHECK_FLAG_NEVER_CHECK_SUBJECT : 0));
	return *name &&
	    (numeric ? X509_VERIFY_PARAM_set1_ip_asc(p, name) :
		       X509_VERIFY_PARAM_set1_host(p, name, 0)) == 1;
}

/* The ticket of the last session with this server, if there is one, and this one's is kept. */
static bool
session_resume(struct tls_session *s, const char *name, unsigned port)
{
	SSL_SESSION *last;

	if (!s->verify || !s->ctx->lifetime || port == 0)
		return true;
	s->peer = (struct tls_peer){ mem_str(name), port };
	last = tls_resume_find(s->ctx, &s->peer);
	return SSL_set_app_data(s->ssl, s) == 1 && (!last || SSL_set_session(s->ssl, last) == 1);
}

int
tls_session_fresh(SSL *ssl, SSL_SESSION *session)
{
	const struct tls_session *s = SSL_get_app_data(ssl);

	if (!s || !s->peer.name || !SSL_SESSION_is_resumable(session))
		return 0;
	tls_resume_keep(s->ctx, &s->peer, session);
	return 1;
}

/* libssl's own DANE (SSL_CTX_dane_enable(3)), with what RFC 7672 3.1.1 says of DANE-EE: neither names nor dates
 * of the certificate count.  What libssl itself finds unusable, a key that is none, is as if it were not there. */
static bool
session_dane(struct tls_session *s, const struct tls_dane *d)
{
	int taken = 0;

	if (SSL_dane_enable(s->ssl, d->base) <= 0 ||
	    (d->other && SSL_add1_host(s->ssl, d->other) != 1))
		return false;
	SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	SSL_dane_set_flags(s->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; i < d->set->n; i++) {
		const struct tlsa *t = &d->set->records[i];
		int rc = SSL_dane_tlsa_add(s->ssl, t->usage, t->selector, t->matching,
		    (const unsigned char *)t->data.p, t->data.n);

		if (rc < 0)
			return false;
		taken += rc;
	}
	ERR_clear_error();
	s->verify = s->dane = taken > 0;
	SSL_set_verify(s->ssl, s->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return true;
}

static struct tls_session *
session_client(struct tls_ctx *ctx, const struct tls_session_io *io, void *arg)
{
	struct tls_session *s = mem_new(sizeof(*s));
	BIO *bio;

	s->io = io;
	s->arg = arg;
	s->ctx = tls_ref(ctx);
	if ((s->ssl = SSL_new(ctx->shared)) && (bio = session_bio_new(s))) {
		SSL_set_bio(s->ssl, bio, bio);
		SSL_set_connect_state(s->ssl);
		SSL_set_verify(s->ssl, SSL_VERIFY_NONE, NULL); /* until one of the two says more */
		return s;
	}
	ERR_clear_error();
	tls_session_free(&s);
	return NULL;
}

struct tls_session *
tls_session_connect(struct tls_ctx *ctx, const struct tls_session_io *io, void *arg,
    const char *name, unsigned port)
{
	struct tls_session *s = session_client(ctx, io, arg);

	if (s && !(session_name(s, ctx, name) && session_resume(s, name, port))) {
		ERR_clear_error();
		tls_session_free(&s);
	}
	return s;
}

struct tls_session *
tls_session_connect_lenient(struct tls_ctx *ctx, const struct tls_session_io *io, void *arg,
    const char *name)
{
	struct tls_session *s = session_client(ctx, io, arg);

	must(ctx->verify);
	if (s && !session_name(s, ctx, name)) {
		ERR_clear_error();
		tls_session_free(&s);
	}
	if (s) { /* libssl keeps what it found all the same (SSL_get_verify_result(3)) */
		SSL_set_verify(s->ssl, SSL_VERIFY_NONE, NULL);
		s->verify = false;
	}
	return s;
}

const char *
tls_session_doubt(struct tls_session *s)
{
	return SSL_get0_peer_certificate(s->ssl) && SSL_get_verify_result(s->ssl) == X509_V_OK ?
	    NULL :
	    tls_session_failure(s);
}

struct tls_session *
tls_session_connect_dane(struct tls_ctx *ctx, const struct tls_session_io *io, void *arg,
    const struct tls_dane *dane)
{
	struct tls_session *s = session_client(ctx, io, arg);

	if (s && !session_dane(s, dane)) {
		ERR_clear_error();
		tls_session_free(&s);
	}
	return s;
}

void
tls_session_free(struct tls_session **sp)
{
	struct tls_session *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	tls_free(s->tls);
	SSL_free(s->ssl);
	tls_unref(&s->ctx);
	mem_free(&s->peer.name);
	free(s->error);
	free(s);
}

/* ---- what goes on ------------------------------------------------------------------------------ */

/* In libtls' words. */
static void
session_broke(struct tls_session *s, const char *what)
{
	long v = SSL_get_verify_result(s->ssl);
	unsigned long e = ERR_peek_error();
	const char *why = e ? ERR_reason_error_string(e) : NULL;

	if (s->error)
		return;
	if (s->peer.name && !SSL_is_init_finished(s->ssl))
		tls_resume_forget(s->ctx, &s->peer); /* the next one begins anew */
	if (v != X509_V_OK)
		s->error = mem_printf("certificate verification failed: %s",
		    X509_verify_cert_error_string(v));
	else
		s->error = mem_printf("%s failed: %s", what, why ? why : "unexpected EOF");
}

static ssize_t
session_result(struct tls_session *s, const char *what, int rc)
{
	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_NONE:
	case SSL_ERROR_ZERO_RETURN: return rc > 0 ? rc : 0;
	case SSL_ERROR_WANT_READ: return TLS_WANT_POLLIN;
	case SSL_ERROR_WANT_WRITE: return TLS_WANT_POLLOUT;
	default: break;
	}
	session_broke(s, what);
	ERR_clear_error();
	return -1;
}

/* libssl takes lengths as int. */
static int
session_length(size_t n)
{
	return n > INT32_MAX ? INT32_MAX : (int)n;
}

static bool
session_proved(const struct tls_session *s)
{
	return SSL_get0_peer_certificate(s->ssl) && SSL_get_verify_result(s->ssl) == X509_V_OK &&
	    (!s->dane || SSL_get0_dane_authority(s->ssl, NULL, NULL) >= 0);
}

int
tls_session_handshake(struct tls_session *s)
{
	ssize_t rc;

	if (s->tls)
		return tls_handshake(s->tls);
	ERR_clear_error();
	rc = session_result(s, "handshake", SSL_do_handshake(s->ssl));
	/* 0: closed in the middle of it.  The rest cannot be, and is looked at for what it would cost. */
	if (rc == 0 || (rc > 0 && s->verify && !session_proved(s))) {
		session_broke(s, "handshake");
		return -1;
	}
	return rc > 0 ? 0 : (int)rc;
}

ssize_t
tls_session_read(struct tls_session *s, void *to, size_t n)
{
	if (s->tls)
		return tls_read(s->tls, to, n);
	if (s->error)
		return -1;
	ERR_clear_error();
	return session_result(s, "read", SSL_read(s->ssl, to, session_length(n)));
}

ssize_t
tls_session_write(struct tls_session *s, const void *from, size_t n)
{
	ssize_t rc;

	if (s->tls)
		return tls_write(s->tls, from, n);
	if (s->error)
		return -1;
	ERR_clear_error();
	rc = session_result(s, "write", SSL_write(s->ssl, from, session_length(n)));
	return rc == 0 && n ? -1 : rc;
}

int
tls_session_close(struct tls_session *s)
{
	if (s->tls)
		return tls_close(s->tls);
	if (s->error || !SSL_is_init_finished(s->ssl))
		return -1;
	ERR_clear_error();
	return SSL_shutdown(s->ssl) < 0 ? -1 : 0;
}

/* ---- what was agreed --------------------------------------------------------------------------- */

const char *
tls_session_error(struct tls_session *s)
{
	return s->tls ? tls_error(s->tls) : s->error;
}

const char *
tls_session_failure(struct tls_session *s)
{
	switch (s->ssl ? SSL_get_verify_result(s->ssl) : X509_V_OK) {
	case X509_V_OK:
	case X509_V_ERR_DANE_NO_MATCH: return "validation-failure";
	case X509_V_ERR_HOSTNAME_MISMATCH: return "certificate-host-mismatch";
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED: return "certificate-expired";
	default: return "certificate-not-trusted";
	}
}

const char *
tls_session_version(struct tls_session *s)
{
	return s->tls ? tls_conn_version(s->tls) : SSL_get_version(s->ssl);
}

int
tls_session_cipher_bits(struct tls_session *s)
{
	return s->tls ? tls_conn_cipher_strength(s->tls) : SSL_get_cipher_bits(s->ssl, NULL);
}

const char *
tls_session_cipher(struct tls_session *s)
{
	return s->tls ? tls_conn_cipher(s->tls) : SSL_get_cipher_name(s->ssl);
}

/* Only servers offer any. */
const char *
tls_session_alpn(struct tls_session *s)
{
	return s->tls ? tls_conn_alpn_selected(s->tls) : NULL;
}

bool
tls_session_resumed(struct tls_session *s)
{
	return s->tls ? tls_conn_session_resumed(s->tls) == 1 : SSL_session_reused(s->ssl) == 1;
}

bool
tls_session_peer_cert(struct tls_session *s)
{
	return s->tls ? tls_peer_cert_provided(s->tls) == 1 : !!SSL_get0_peer_certificate(s->ssl);
}

bool
tls_session_peer_named(struct tls_session *s, const char *name)
{
	X509 *x;

	if (s->tls)
		return tls_peer_cert_contains_name(s->tls, name) == 1;
	x = SSL_get0_peer_certificate(s->ssl);
	return x &&
	    (X509_check_host(x, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1 ||
		X509_check_ip_asc(x, name, 0) == 1);
}

unsigned
tls_session_peer_roles(struct tls_session *s)
{
	X509 *x = session_peer(s);
	GENERAL_NAMES *names = x ? X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL) : NULL;
	unsigned bits = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		const ASN1_STRING *uri = n->d.uniformResourceIdentifier;

		if (n->type == GEN_URI)
			bits |=
			    tls_role_of((struct slice){ (const char *)ASN1_STRING_get0_data(uri),
				(size_t)ASN1_STRING_length(uri) });
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return bits;
}

bool
tls_session_peer_subject(struct tls_session *s, char *to, size_t n)
{
	X509 *x = session_peer(s);
	int len = x ?
	    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, to, (int)n) :
	    -1;

	if (len > 0 && (size_t)len < n - 1)
		return true;
	*to = '\0';
	return false;
}
