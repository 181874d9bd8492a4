/* channel-master/https.c: see https.h.
 *
 *	names -> address -> TLS -> request -> answer; the next address where there was no connection
 *
 * Owns a struct https from https_start until `done` or op_cancel.  Everything may fail; one deadline is for all of it, so
 * that a server that sends an octet a second holds nobody.  The connection is never used again: hosts are asked
 * once a day. */
#include "https.h"

#include <errno.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "http/client.h"
#include "master.h"

#define HTTPS_MAGIC 0x68747470
#define HTTPS_ADDRS 4 /* of one host that are tried */

struct https {
	uint32_t magic;
	const struct https_ask *ask;
	struct op *op;  /* the caller's */
	struct op wait; /* ours */
	void (*done)(void *arg, const struct https_answer *a);
	void *arg;
	struct addr addrs[HTTPS_ADDRS];
	size_t naddrs, at;
	struct http_client *client;
	struct deadline late;
	struct later later;
	struct https_answer answer;
	struct buf body;
	char why[160];
};

static struct http_pool pool;

struct tls_ctx *
https_tls(void)
{
	static struct tls_ctx *ctx;
	struct tls_params p = {
		.ca = *mconf.public_ca ? mconf.public_ca : NULL,
		.protocols = shared.tls_protocols == 0 ? "tlsv1.3" : "tlsv1.2,tlsv1.3",
		.ciphers = shared.tls_ciphers,
		.verify = true,
		.dns_id = true, /* RFC 8461 3.3, 4.2 */
	};
	char *why = NULL;

	if (!ctx && !(ctx = tls_client_new(&p, &why)))
		log_event(LOG_ERROR, "tls", "error=%s", log_str(why));
	mem_free(&why);
	return ctx;
}

/* ---- the end ------------------------------------------------------------------------------- */

static void
webask_free(struct https *h)
{
	op_cancel(&h->wait);
	later_cancel(&h->later);
	deadline_clear(&h->late);
	http_client_drop(&h->client);
	buf_fini(&h->body);
	h->magic = 0;
	mem_free(&h);
}

static void
webask_cancel(struct op *op)
{
	webask_free(CAST(op->impl, struct https, HTTPS_MAGIC));
}

static void
webask_over(struct https *h)
{
	struct https_answer a = h->answer;

	op_done(h->op);
	a.body = buf_get(&h->body);
	h->done(h->arg, &a);
	webask_free(h);
}

static void
https_failed(struct https *h, const char *result, const char *why)
{
	h->answer.code = 0;
	slice_cstr(slice_str(why), h->why, sizeof(h->why));
	h->answer.why = h->why;
	h->answer.result = result;
	webask_over(h);
}

static void
https_on_late(struct deadline *d)
{
	https_failed(CONTAINER(d, struct https, late), "sts-policy-fetch-error",
	    "it takes too long");
}

/* ---- the answer ---------------------------------------------------------------------------- */

static void
webask_on_head(void *arg, const struct http_head *h)
{
	struct https *s = CAST(arg, struct https, HTTPS_MAGIC);
	struct slice type = http_head_value(h, S("Content-Type"));

	s->answer.code = h->code;
	type.n = slice_find(type, ';');
	s->answer.plain = slice_ieq(slice_trim(type), S("text/plain"));
}

static void
webask_on_bytes(void *arg, struct slice piece)
{
	struct https *s = CAST(arg, struct https, HTTPS_MAGIC);

	if (s->body.n + piece.n > s->ask->most) {
		http_client_drop(&s->client);
		https_failed(s, "sts-policy-fetch-error", "the answer is too large");
		return;
	}
	buf_slice(&s->body, piece);
}

static void
webask_on_end(void *arg)
{
	struct https *s = CAST(arg, struct https, HTTPS_MAGIC);

	s->client = NULL;
	webask_over(s);
}

static void
webask_on_failed(void *arg, const char *why, bool untouched UNUSED)
{
	struct https *s = CAST(arg, struct https, HTTPS_MAGIC);

	s->client = NULL;
	https_failed(s, "sts-policy-fetch-error", why);
}

static const struct http_asker asker = { .head = webask_on_head,
	.bytes = webask_on_bytes,
	.end = webask_on_end,
	.failed = webask_on_failed };

/* ---- the request --------------------------------------------------------------------------- */

static void https_next(struct https *h);

static void
https_request(struct https *h)
{
	const struct https_ask *a = h->ask;
	char host[280];

	if (a->port == 443)
		(void)snprintf(host, sizeof(host), "%s", a->host);
	else
		(void)snprintf(host, sizeof(host), "%s:%d", a->host, a->port);
	http_client_ask(h->client, &asker, h, a->type ? S("POST") : S("GET"), slice_str(a->target),
	    slice_str(host));
	http_client_field(h->client, "User-Agent", S("tiermail"));
	http_client_field(h->client, "Connection", S("close"));
	if (a->type)
		http_client_field(h->client, "Content-Type", slice_str(a->type));
	http_client_body(h->client, a->body.n, !a->type, a->ms);
	if (!a->type)
		return;
	http_client_piece(h->client, a->body);
	http_client_done(h->client);
}

static void
webask_dialled(void *arg, struct http_client *c, const char *why)
{
	struct https *h = CAST(arg, struct https, HTTPS_MAGIC);

	h->client = c;
	if (c)
		https_request(h);
	else /* another address of the same name is to show the same certificate */
		https_failed(h, "sts-webpki-invalid", why);
}

static void
webask_connected(void *arg, int fd)
{
	struct https *h = CAST(arg, struct https, HTTPS_MAGIC);
	int rc = fd;

	if (fd >= 0) {
		rc = http_dial_start(&pool, S("https"), pool.epoch, fd, https_tls(), h->ask->host,
		    h->ask->ms, &h->wait, webask_dialled, h);
		if (rc == 0)
			return;
		(void)close(fd);
	}
	slice_cstr(slice_str(strerror(-rc)), h->why, sizeof(h->why));
	https_next(h);
}

static void
https_next(struct https *h)
{
	if (h->at == h->naddrs)
		https_failed(h, "sts-policy-fetch-error", *h->why ? h->why : "it has no address");
	else
		connect_start(master.loop, &h->addrs[h->at++], NULL, (uint32_t)mconf.t_connect,
		    &h->wait, webask_connected, h);
}

static void
https_resolved(void *arg, const struct dns_answer *a)
{
	struct https *h = CAST(arg, struct https, HTTPS_MAGIC);

	count_dns(a);
	for (size_t i = 0; i < a->naddrs && h->naddrs < HTTPS_ADDRS; i++) {
		/* A stranger's name must not lead to what listens for this host alone. */
		if (!mconf.mx_loopback && addr_here(&a->addrs[i]))
			continue;
		h->addrs[h->naddrs] = a->addrs[i];
		addr_set_port(&h->addrs[h->naddrs++], h->ask->port);
	}
	https_next(h);
}

static void
https_on_later(struct later *l)
{
	https_failed(CONTAINER(l, struct https, later), "sts-policy-fetch-error",
	    "tls.public_ca cannot be read");
}

void
https_start(const struct https_ask *ask, struct op *op,
    void (*done)(void *arg, const struct https_answer *a), void *arg)
{
	struct https *h = mem_new(sizeof(*h));

	if (!pool.loop)
		http_pool_init(&pool, master.loop, 0, 0);
	h->magic = HTTPS_MAGIC;
	h->ask = ask;
	h->op = op;
	h->done = done;
	h->arg = arg;
	deadline_init(&h->late);
	later_init(&h->later);
	*op = (struct op){ .cancel = webask_cancel, .impl = h };
	deadline_set(&h->late, master.loop, ask->ms, https_on_late);
	if (https_tls())
		dns_addr_start(master.dns, ask->host, &h->wait, https_resolved, h);
	else
		later_run(&h->later, master.loop, https_on_later);
}
