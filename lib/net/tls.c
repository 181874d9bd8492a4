/* net/tls.c: see tls.h; contexts only, the sessions are in stream_tls.c. */
#include <stdlib.h>
#include "base/mem.h"
#include "net/tls_ctx.h"

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

static char *
reason(const char *what, const char *file, const char *why)
{
	return mem_printf("%s%s%s: %s", what, file ? " " : "", file ? file : "",
	    why ? why : "out of memory");
}

static int
set_files(struct tls_config *c, const struct tls_params *p, char **why)
{
	const char *ca = p->ca && *p->ca ? p->ca : SYSTEM_CA;

	/* The whole key pair is read now: a later reload may run without privileges. */
	if (p->cert && *p->cert && tls_config_set_cert_file(c, p->cert) < 0) {
		*why = reason("certificate", p->cert, tls_config_error(c));
		return -1;
	}
	if (p->key && *p->key && tls_config_set_key_file(c, p->key) < 0) {
		*why = reason("key", p->key, tls_config_error(c));
		return -1;
	}
	if ((p->verify || p->verify_optional) && tls_config_set_ca_file(c, ca) < 0) {
		*why = reason("CA file", ca, tls_config_error(c));
		return -1;
	}
	return 0;
}

static int
set_words(struct tls_config *c, const struct tls_params *p, char **why)
{
	uint32_t protocols = TLS_PROTOCOL_TLSv1_2 | TLS_PROTOCOL_TLSv1_3;

	if (p->protocols && *p->protocols && tls_config_parse_protocols(&protocols, p->protocols) < 0) {
		*why = reason("TLS protocols", p->protocols, "unknown word");
		return -1;
	}
	if (tls_config_set_protocols(c, protocols) < 0 ||
	    tls_config_set_ciphers(c, p->ciphers && *p->ciphers ? p->ciphers : "secure") < 0) {
		*why = reason("TLS ciphers", p->ciphers, tls_config_error(c));
		return -1;
	}
	return 0;
}

static struct tls_config *
config_of(const struct tls_params *p, char **why)
{
	struct tls_config *c = tls_config_new();

	if (!c) {
		*why = reason("TLS", NULL, NULL);
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
	if (!c->accept || tls_configure(c->accept, config) < 0) {
		*why = reason("certificate", p->cert, c->accept ? tls_error(c->accept) : NULL);
		tls_unref(&c);
	}
	tls_config_free(config); /* `accept` keeps its reference */
	return c;
}

struct tls_ctx *
tls_client_new(const struct tls_params *p, char **why)
{
	struct tls_config *config = config_of(p, why);
	struct tls *probe;
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
	c->config = config;
	probe = tls_client(); /* a key that does not fit shows only now */
	if (!probe || tls_configure(probe, config) < 0) {
		*why = reason("certificate", p->cert, probe ? tls_error(probe) : NULL);
		tls_unref(&c);
	}
	tls_free(probe);
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
	tls_config_free(ctx->config);
	free(ctx);
}
