/* memd/reach.c: a connection to a store: one that rests, or addresses, connecting, TLS with both certificates.
 *
 * Owns a struct memd_reach for as long as that takes and until it is known how the store did (memd_reach_tried).
 * Called by proxy.c and the probe of store.c.  Can fail: everything, and each failure is the store's or ours,
 * never the person's.  Must stay true: backend_way_tried follows each backend_way_enter. */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "memd.h"
#include "net/connect.h"

void
memd_reach_tried(struct memd_reach *r, enum backend_tried how, struct slice why)
{
	struct backend_way *way = r->way;

	r->way = NULL;
	if (way)
		backend_way_tried(way, how, r->began_ms, why);
}

void
memd_reach_leave(struct memd_reach *r)
{
	memd_reach_tried(r, BACKEND_GIVEN_UP, S(""));
}

void
memd_reach_return(struct memd_reach *r)
{
	if (r->way)
		return;
	r->way = &r->host->ways[0];
	r->began_ms = loop_now(memd.loop);
	backend_way_return(r->way);
}

void
memd_reach_fini(struct memd_reach *r)
{
	op_cancel(&r->op);
	memd_reach_tried(r, BACKEND_GIVEN_UP, S(""));
	tls_unref(&r->ctx);
	mem_free(&r->name);
}

static void
reach_no(struct memd_reach *r, enum backend_tried how, const char *why)
{
	memd_reach_tried(r, how, slice_str(why));
	r->done(r->arg, NULL);
}

/* ---- on the way ---------------------------------------------------------------------------------- */

static void
reach_dialled(void *arg, struct http_client *c, const char *why)
{
	struct memd_reach *r = arg;

	if (c)
		r->done(r->arg, c);
	else
		reach_no(r, BACKEND_BAD, why);
}

static void reach_connect(struct memd_reach *r);

static void
reach_connected(void *arg, int fd)
{
	struct memd_reach *r = arg;
	int rc = fd;

	if (fd < 0 && ++r->at < r->naddrs) {
		reach_connect(r);
		return;
	}
	if (fd >= 0) {
		rc = http_dial_start(&memd.pool, slice_str(r->host->name), r->epoch, fd, r->ctx,
		    r->name, (uint32_t)config.connect_time, &r->op, reach_dialled, r);
		if (rc == 0)
			return;
		(void)close(fd);
	}
	reach_no(r, backend_blame(rc), strerror(-rc));
}

static void
reach_connect(struct memd_reach *r)
{
	connect_start(memd.loop, &r->addrs[r->at], NULL, (uint32_t)config.connect_time, &r->op,
	    reach_connected, r);
}

static void
reach_to_addresses(struct memd_reach *r, const struct backend *b)
{
	r->naddrs = backend_addresses(b, r->port, r->addrs);
	r->at = 0;
	reach_connect(r);
}

static void
reach_found(void *arg, const struct dns_answer *a)
{
	struct memd_reach *r = arg;

	if (backend_found(r->host, a))
		reach_to_addresses(r, r->host);
	else
		reach_no(r, BACKEND_BAD, "its name has no address, or DNS does not answer");
}

static bool
reach_begin(struct memd_reach *r, struct backend *b)
{
	struct memd_section own = memd_store_own(b);
	struct tls_ctx *ctx = daemon_tls_client(true);

	if (!ctx)
		return false; /* said already */
	r->host = b;
	r->ctx = tls_ref(ctx); /* a reload replaces it */
	r->port = (int)own.port;
	r->epoch = memd.pool.epoch;
	mem_free(&r->name);
	r->name = mem_str(own.certificate_name);
	if (backend_known(b))
		reach_to_addresses(r, b);
	else
		dns_addr_start(memd.dns, own.address, &r->op, reach_found, r);
	return true;
}

/* ---- the beginning ------------------------------------------------------------------------------- */

void
memd_reach_probe(struct memd_reach *r, struct backend *b)
{
	if (!reach_begin(r, b))
		r->done(r->arg, NULL);
}

struct http_client *
memd_reach_start(struct memd_reach *r, struct slice host, bool fresh, bool *away)
{
	struct backend *b = backend_get(&memd.stores, host);
	struct http_client *c = NULL;

	*away = !b || !backend_way_enter(&b->ways[0]);
	if (*away)
		return NULL;
	r->host = b;
	r->way = &b->ways[0];
	r->began_ms = loop_now(memd.loop);
	if (!fresh)
		c = http_pool_take(&memd.pool, slice_str(b->name));
	if (!c && !reach_begin(r, b)) {
		memd_reach_tried(r, BACKEND_GIVEN_UP, S(""));
		*away = true;
	}
	return c;
}
