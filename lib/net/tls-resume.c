/* net/tls-resume.c: TLS sessions that are taken up again (RFC 8446 2.2, RFC 5077), on both sides.
 *
 * A server gives each client a ticket, in which the session is sealed with a key that only its own workers have:
 * nothing is kept here.  The keys come from one secret that is made before the first fork and steps on by a hash
 * each hour, so that all workers have the same ones without a word, those of a reload too, and a
 * process that is broken into tells none of the past.  A ticket is good for the lifetime or until the next
 * step, and for a server with the same certificate, the same authorities and the same demands alone: a
 * session that began without a certificate of the client's is none where one is demanded.
 *
 * A client keeps the last session of each server that it has verified, by name and port, and shows its ticket
 * the next time.  A server that does not know it makes a whole handshake.  Either way a new key is agreed
 * (psk_dhe_ke), and no data is sent before that. */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "base/secret.h"
#include "net/tls-impl.h"

/* ---- a server: keys of tickets ----------------------------------------------------------------- */

/* Of a process and those that it forks. */
static struct {
	bool there;
	uint64_t epoch;
	uint8_t secret[EVP_MAX_MD_SIZE];
} ratchet;

static void
ratchet_hash(const void *data, size_t n, uint8_t out[32])
{
	unsigned len = 32;

	must(HMAC(EVP_sha256(), ratchet.secret, 32, data, n, out, &len) && len == 32);
}

/* By the monotonic clock: all processes of a host have the same, and it does not leap. */
static uint64_t
ticket_epoch(void)
{
	return clock_mono_ms() / 1000 / TLS_RESUME_MOST;
}

static void
ratchet_turn(uint64_t epoch)
{
	uint8_t next[32];

	if (!ratchet.there) {
		random_bytes(ratchet.secret, 32);
		ratchet.epoch = epoch;
		ratchet.there = true;
	}
	for (; ratchet.epoch < epoch; ratchet.epoch++) {
		ratchet_hash("next", 4, next);
		memcpy(ratchet.secret, next, sizeof(next));
	}
	secret_clear(next, sizeof(next));
}

/* The keys of this hour, for tickets of libssl's own making: libtls' callback makes none. */
static void
ticket_keys(struct tls_ctx *c, SSL_CTX *ssl, uint64_t epoch)
{
	uint8_t keys[3 * 32], text[sizeof(c->id) + 1]; /* libssl wants 80 octets: name, HMAC, AES */

	ratchet_turn(epoch);
	memcpy(text, c->id, sizeof(c->id));
	for (uint8_t i = 0; i < 3; i++) {
		text[sizeof(c->id)] = i;
		ratchet_hash(text, sizeof(text), keys + 32 * i);
	}
	must(SSL_CTX_set_tlsext_ticket_keys(ssl, keys, 80) == 1);
	SSL_CTX_set_timeout(ssl, (long)c->lifetime);
	secret_clear(keys, sizeof(keys));
	c->epoch = epoch;
}

void
tls_resume_accept(struct tls_ctx *c, SSL *ssl)
{
	uint64_t epoch;

	if (!c->lifetime || !ssl)
		return;
	epoch = ticket_epoch();
	if (epoch != c->epoch)
		ticket_keys(c, SSL_get_SSL_CTX(ssl), epoch);
	SSL_clear_options(ssl, SSL_OP_NO_TICKET);
	(void)SSL_set_num_tickets(ssl, 1);
	must(SSL_set_session_id_context(ssl, c->id, sizeof(c->id)) == 1);
}

static int
digest_file(EVP_MD_CTX *md, const char *path)
{
	FILE *f = path && *path ? fopen(path, "re") : NULL;
	char piece[8192];
	size_t n;
	int rc = 1;

	EVP_DigestUpdate(md, f ? "+" : "-", 1);
	while (f && rc == 1 && (n = fread(piece, 1, sizeof(piece), f)) > 0)
		rc = EVP_DigestUpdate(md, piece, n);
	if (f)
		(void)fclose(f);
	return rc;
}

/* What a session has to have begun under, in 32 octets. */
static int
resume_id(struct tls_ctx *c, const struct tls_params *p)
{
	const uint8_t demands[2] = { p->verify, p->verify_optional };
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int rc = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(md, demands, sizeof(demands)) == 1 && digest_file(md, p->cert) == 1 &&
	    digest_file(md, p->ca) == 1 && EVP_DigestFinal_ex(md, c->id, NULL) == 1;

	EVP_MD_CTX_free(md);
	return rc ? 0 : -ENOMEM;
}

int
tls_resume_server(struct tls_ctx *c, const struct tls_params *p)
{
	_Static_assert(sizeof(c->id) <= SSL_MAX_SID_CTX_LENGTH, "libssl's length");

	if (!p->lifetime)
		return 0;
	if (resume_id(c, p) < 0)
		return -ENOMEM;
	c->lifetime = p->lifetime;
	c->epoch = UINT64_MAX;
	ratchet_turn(ticket_epoch()); /* the secret is there before the first fork */
	return 0;
}

/* ---- a client: sessions that it keeps ---------------------------------------------------------- */

static bool
kept_is(const struct tls_kept *k, const struct tls_peer *peer)
{
	return k->peer.name && k->peer.port == peer->port && strcmp(k->peer.name, peer->name) == 0;
}

static void
kept_drop(struct tls_kept *k)
{
	SSL_SESSION_free(k->session);
	mem_free(&k->peer.name);
	*k = (struct tls_kept){ 0 };
}

SSL_SESSION *
tls_resume_find(const struct tls_ctx *c, const struct tls_peer *peer)
{
	for (size_t i = 0; i < TLS_KEPT; i++)
		if (kept_is(&c->kept[i], peer))
			return c->kept[i].session;
	return NULL;
}

void
tls_resume_forget(struct tls_ctx *c, const struct tls_peer *peer)
{
	for (size_t i = 0; i < TLS_KEPT; i++)
		if (kept_is(&c->kept[i], peer))
			kept_drop(&c->kept[i]);
}

void
tls_resume_keep(struct tls_ctx *c, const struct tls_peer *peer, SSL_SESSION *session)
{
	struct tls_kept *k;

	tls_resume_forget(c, peer);
	k = &c->kept[c->next_kept];
	c->next_kept = (c->next_kept + 1) % TLS_KEPT;
	kept_drop(k);
	k->peer = (struct tls_peer){ mem_str(peer->name), peer->port };
	k->session = session;
}

void
tls_resume_client(struct tls_ctx *c, int (*fresh)(SSL *, SSL_SESSION *))
{
	SSL_CTX_clear_options(c->shared, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(c->shared,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->shared, fresh);
}

void
tls_resume_fini(struct tls_ctx *c)
{
	for (size_t i = 0; i < TLS_KEPT; i++)
		kept_drop(&c->kept[i]);
}
