/* net/tls.c: see tls.h; contexts only, the sessions are in tls-session.c.
 *
 * Called by lib/daemon and lib/directory, at the start and at a reload.  What can fail is a file
 * or a word of the configuration: NULL and the reason, with the file's name; that a key does not
 * fit shows here and not at the first session.  A context does not change once made: a reload
 * makes another, and sessions keep theirs by counting references. */
#include <openssl/ssl.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/must.h"
#include "net/tls-impl.h"

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

static char *
tls_reason(const char *what, const char *file, const char *why)
{
	return mem_printf("%s%s%s: %s", what, file ? " " : "", file ? file : "",
	    why ? why : "out of memory");
}

/* ---- under libtls -------------------------------------------------------------------------------
 *
 * Two things that libtls has no call for: the memory of idle sessions (33 KiB of buffers each that
 * libssl keeps unless SSL_MODE_RELEASE_BUFFERS is set), and one SSL_CTX for all sessions of a
 * client.  OpenSSL tells whoever has registered an index for data of its own of each SSL_CTX that is made
 * (CRYPTO_get_ex_new_index(3)); that needs no symbol of libtls' and no knowledge of its structs. */

static SSL_CTX *made; /* the last one; borrowed, and good right behind the call that made it */

static void
context_made(void *parent, void *ptr UNUSED, CRYPTO_EX_DATA *ad UNUSED, int index UNUSED,
    long argl UNUSED, void *argp UNUSED)
{
	made = parent;
	SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS);
}

static void
watch_contexts(void)
{
	static int at = -1;

	if (at < 0)
		at = SSL_CTX_get_ex_new_index(0, NULL, context_made, NULL, NULL);
	must(at >= 0);
}

/* ---- files and words of the configuration ------------------------------------------------------ */

static int
set_files(struct tls_config *c, const struct tls_params *p, char **why)
{
	const char *ca = p->ca && *p->ca ? p->ca : SYSTEM_CA;

	/* The whole key pair is read now: a later reload may run without privileges. */
	if (p->cert && *p->cert && tls_config_set_cert_file(c, p->cert) < 0) {
		*why = tls_reason("certificate", p->cert, tls_config_error(c));
		return -1;
	}
	if (p->key && *p->key && tls_config_set_key_file(c, p->key) < 0) {
		*why = tls_reason("key", p->key, tls_config_error(c));
		return -1;
	}
	for (char *const *m = p->more; m && *m; m++) {
		if (tls_config_add_keypair_file(c, *m, *m) < 0) {
			*why = tls_reason("certificate", *m, tls_config_error(c));
			return -1;
		}
	}
	if ((p->verify || p->verify_optional) && tls_config_set_ca_file(c, ca) < 0) {
		*why = tls_reason("CA file", ca, tls_config_error(c));
		return -1;
	}
	return 0;
}

static int
set_words(struct tls_config *c, const struct tls_params *p, char **why)
{
	uint32_t protocols = TLS_PROTOCOL_TLSv1_2 | TLS_PROTOCOL_TLSv1_3;

	if (p->protocols && *p->protocols &&
	    tls_config_parse_protocols(&protocols, p->protocols) < 0) {
		*why = tls_reason("TLS protocols", p->protocols, "unknown word");
		return -1;
	}
	if (tls_config_set_protocols(c, protocols) < 0 ||
	    tls_config_set_ciphers(c, p->ciphers && *p->ciphers ? p->ciphers : "secure") < 0) {
		*why = tls_reason("TLS ciphers", p->ciphers, tls_config_error(c));
		return -1;
	}
	if (p->alpn && tls_config_set_alpn(c, p->alpn) < 0) {
		*why = tls_reason("ALPN", p->alpn, tls_config_error(c));
		return -1;
	}
	return 0;
}

static struct tls_config *
config_of(const struct tls_params *p, char **why)
{
	struct tls_config *c = tls_config_new();

	watch_contexts();
	if (!c) {
		*why = tls_reason("TLS", NULL, NULL);
		return NULL;
	}
	if (set_files(c, p, why) < 0 || set_words(c, p, why) < 0) {
		tls_config_free(c);
		return NULL;
	}
	return c;
}

struct tls_ctx *
tls_server_new(const struct tls_params *p, char **why)
{
	struct tls_config *config;
	struct tls_ctx *c;

	if (!p->cert || !*p->cert || !p->key || !*p->key) {
		*why = mem_str("a TLS server needs a certificate and a key");
		return NULL;
	}
	if (!(config = config_of(p, why)))
		return NULL;
	if (p->verify)
		tls_config_verify_client(config);
	else if (p->verify_optional)
		tls_config_verify_client_optional(config);
	c = mem_new(sizeof(*c));
	c->refs = 1;
	c->server = true;
	c->verify = p->verify || p->verify_optional;
	c->accept = tls_server();
	if (!c->accept || tls_resume_server(c, p) < 0 || tls_configure(c->accept, config) < 0) {
		*why = tls_reason("certificate", p->cert, c->accept ? tls_error(c->accept) : NULL);
		tls_unref(&c);
	}
	tls_config_free(config); /* `accept` keeps its reference */
	return c;
}

/* The model never says a word. */
static ssize_t
model_read(struct tls *t UNUSED, void *to UNUSED, size_t n UNUSED, void *arg UNUSED)
{
	return TLS_WANT_POLLIN;
}

static ssize_t
model_write(struct tls *t UNUSED, const void *from UNUSED, size_t n UNUSED, void *arg UNUSED)
{
	return TLS_WANT_POLLOUT;
}

/* libtls' own says yes to every certificate in a context that does not verify, also to a session that is to
 * be proved by DANE. */
static int
verify_if_asked(X509_STORE_CTX *x, void *arg UNUSED)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());

	return SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE || X509_verify_cert(x) == 1;
}

/* Lets libtls make the SSL_CTX that it would make for each connection, once; a key that does not
 * fit shows only now. */
static int
client_share(struct tls_ctx *c, struct tls_config *config)
{
	made = NULL;
	c->model = tls_client();
	if (!c->model || tls_configure(c->model, config) < 0 ||
	    tls_connect_cbs(c->model, model_read, model_write, NULL, "model.invalid") < 0 ||
	    !made || SSL_CTX_up_ref(made) != 1)
		return -1;
	c->shared = made;
	/* These would take the sessions for libtls' own. */
	SSL_CTX_set_info_callback(c->shared, NULL);
	SSL_CTX_set_tlsext_status_cb(c->shared, NULL);
	SSL_CTX_set_options(c->shared, SSL_OP_NO_RENEGOTIATION);
	if (!c->verify)
		SSL_CTX_set_cert_verify_callback(c->shared, verify_if_asked, NULL);
	if (SSL_CTX_dane_enable(c->shared) != 1) /* for those sessions that are given records */
		return -1;
	if (c->lifetime)
		tls_resume_client(c, tls_session_fresh);
	return 0;
}

struct tls_ctx *
tls_client_new(const struct tls_params *p, char **why)
{
	struct tls_config *config = config_of(p, why);
	struct tls_ctx *c;

	if (!config)
		return NULL;
	if (!p->verify) {
		tls_config_insecure_noverifycert(config);
		tls_config_insecure_noverifyname(config);
	}
	c = mem_new(sizeof(*c));
	c->refs = 1;
	c->verify = p->verify;
	c->dns_id = p->dns_id;
	c->lifetime =
	    p->verify ? p->lifetime : 0; /* of an unknown server there is nothing to go on with */
	if (client_share(c, config) < 0) {
		*why = tls_reason("certificate", p->cert, c->model ? tls_error(c->model) : NULL);
		tls_unref(&c);
	}
	tls_config_free(config); /* `model` keeps its reference */
	return c;
}

struct tls_ctx *
tls_ref(struct tls_ctx *c)
{
	c->refs++;
	return c;
}

void
tls_unref(struct tls_ctx **c)
{
	struct tls_ctx *ctx = *c;

	*c = NULL;
	if (!ctx || --ctx->refs > 0)
		return;
	tls_free(ctx->accept);
	tls_resume_fini(ctx);
	SSL_CTX_free(ctx->shared);
	tls_free(ctx->model);
	free(ctx);
}
