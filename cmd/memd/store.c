/* memd/store.c: the stores as configuration has them, and whether one that was taken for dead is back.
 *
 * Owns the probes; hosts, addresses and who answers are lib/backend's.  reach.c asks.  Nothing can fail but the
 * check.  What must stay true: a probe goes the way that requests go (address, TLS, both certificates), so that
 * what stops them stops it too; one at a time, and none while the store is up. */
#include "base/log.h"
#include "base/mem.h"
#include "memd.h"

/* ---- as configured -------------------------------------------------------------------------------- */

static const struct memd_section *
memd_store_section(const struct backend *b)
{
	const struct memd_section *all = NULL;

	for (struct memd_section **p = config.sections; p && *p; p++) {
		if (slice_ieq(slice_str((*p)->name), slice_str(b->name)))
			return *p;
		if (strcmp((*p)->name, "*") == 0)
			all = *p;
	}
	return all;
}

struct memd_section
memd_store_own(const struct backend *b)
{
	const struct memd_section *sec = memd_store_section(b);
	struct memd_section own = sec ? *sec : (struct memd_section){ .port = 0 };

	if (!own.address || !*own.address)
		own.address = b->name;
	if (!own.certificate_name || !*own.certificate_name)
		own.certificate_name = b->name;
	if (own.port == 0)
		own.port = config.port;
	return own;
}

bool
memd_store_check(struct buf *why)
{
	bool good = true;

	for (struct memd_section **p = config.sections; p && *p; p++) {
		struct addr a;

		if (!strchr((*p)->address, ':') ||
		    (addr_parse(slice_str((*p)->address), &a) == 0 && addr_port(&a) == 0))
			continue;
		buf_printf(why, "%s: [host %s] address: a host or an address; its port is port\n",
		    conf_where(&(*p)->address), (*p)->name);
		good = false;
	}
	if (!*shared.tls_cert || !*shared.tls_key)
		buf_printf(why, "warning: %s: stores let nobody in without our certificate\n",
		    conf_where(&shared.tls_cert));
	return good;
}

/* ---- is it back? ---------------------------------------------------------------------------------- */

struct memd_probe {
	struct backend_way *way;
	struct timer timer; /* until the next time */
	uint64_t due_ms;    /* loop_now: when that is */
	struct op op;
	struct memd_reach reach;
};

static void
memd_probe_later(struct memd_probe *p)
{
	p->due_ms = loop_now(memd.loop) + (uint64_t)config.retry;
	timer_start(&p->timer, (uint64_t)config.retry, 0);
}

/* TLS with both certificates is what a request needs; the first of them has the last word. */
static void
memd_probe_done(void *arg, struct http_client *c)
{
	struct memd_probe *p = arg;

	log_context("");
	memd_reach_fini(&p->reach);
	if (!c) {
		memd_probe_later(p);
		return;
	}
	http_client_drop(&c);
	backend_way_greeted(p->way);
}

static void
memd_probe_on_timer(struct timer *t)
{
	struct memd_probe *p = CONTAINER(t, struct memd_probe, timer);

	log_context("");
	if (daemon_draining())
		return;
	metric_add(M_STORE_PROBES, 1);
	p->reach = (struct memd_reach){ .done = memd_probe_done, .arg = p };
	memd_reach_probe(&p->reach, p->way->host);
}

static void
memd_probe_start(struct backend_way *w)
{
	struct memd_probe *p = w->probe;

	if (!p) {
		w->probe = p = mem_new(sizeof(*p));
		p->way = w;
		timer_init(&p->timer, memd.loop, memd_probe_on_timer);
	}
	memd_probe_later(p);
}

static uint64_t
memd_probe_due(const struct backend_way *w)
{
	const struct memd_probe *p = w->probe;
	uint64_t now = loop_now(memd.loop);

	return p->due_ms > now ? p->due_ms - now : 0;
}

static void
memd_store_event(enum backend_event ev)
{
	switch (ev) {
	case BACKEND_FAILED: metric_add(M_STORE_FAILED, 1); break;
	case BACKEND_DOWN:
		metric_add(M_STORES_DOWN, 1);
		metric_add(M_STORE_DOWNS, 1);
		break;
	case BACKEND_UP: metric_add(M_STORES_DOWN, -1); break;
	case BACKEND_SHUNNED: metric_add(M_STORE_SHUNNED, 1); break;
	}
}

static const char *const ways[] = { "jmap" };

const struct backend_rules memd_rules = {
	.ways = ways,
	.nways = NELEM(ways),
	.attempts = &config.attempts,
	.failures = &config.down_failures,
	.event = memd_store_event,
	.probe = memd_probe_start,
	.due = memd_probe_due,
};
