/* mmpd/probe.c: is a store that was taken for dead back?  Asked by nobody's login.
 *
 * Owns a struct for each way that was ever down: a timer, and while it asks a connection of its own: address,
 * TLS as logins have it, the first line; then it hangs up.  breaker.c starts it, and is told when a greeting
 * came.  Can fail: everything, and then it asks again after store.retry, as long as it takes.  What must stay
 * true: one connection at a time, and none while the store is up. */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "mmpd.h"
#include "net/connect.h"
#include "net/proxyproto.h"

struct mmpd_probe {
	struct backend_way *way;
	struct timer timer; /* until the next time */
	uint64_t due_ms;    /* loop_now: when that is */
	struct op op;
	struct addr addrs[BACKEND_ADDRESSES];
	size_t naddrs, at;
	struct stream io;
	bool open; /* io's memory is not free yet */
	bool send_proxy;
	char *name; /* that the certificate must have */
	struct tls_ctx *ctx;
	struct line_client_login login;
};

/* ---- what is said: nothing ---------------------------------------------------------------------- */

static void
mmpd_probe_ready(struct line_client *c UNUSED)
{
}

static void
mmpd_probe_line(struct line_client *c, struct slice line)
{
	const struct mmpd_probe *p = c->arg;
	bool good = slice_istarts(line, slice_str(mmpd_doors[p->way->role]->greets));

	line_client_finish(c, good ? LINE_CLIENT_IN : LINE_CLIENT_BROKEN, line);
}

static const struct line_client_script probe_script = {
	.proto = "probe",
	.ready = mmpd_probe_ready,
	.line = mmpd_probe_line,
};

/* ---- how it ends -------------------------------------------------------------------------------- */

static void
mmpd_probe_later(struct mmpd_probe *p)
{
	p->due_ms = loop_now(mmpd.loop) + (uint64_t)config.retry;
	timer_start(&p->timer, (uint64_t)config.retry, 0);
}

static void
mmpd_probe_failed(struct mmpd_probe *p, struct slice why)
{
	log_event(LOG_DEBUG, "store_probe", "store=%s protocol=%s error=%s",
	    log_str(p->way->host->name), mmpd_protocol(p->way->role), log_value(why));
	mmpd_probe_later(p);
}

static void
mmpd_probe_closed(struct stream *io)
{
	struct mmpd_probe *p = io->data;

	p->open = false;
}

static const struct stream_events probe_ends = { .closed = mmpd_probe_closed };

static void
mmpd_probe_answered(void *arg, const struct line_client_result *res)
{
	struct mmpd_probe *p = arg;

	log_context("");
	stream_hand_over(&p->io, &probe_ends, p);
	stream_close(&p->io);
	tls_unref(&p->ctx);
	mem_free(&p->name);
	if (res->outcome == LINE_CLIENT_IN)
		backend_way_greeted(p->way);
	else
		mmpd_probe_failed(p, res->text);
}

/* ---- the way ------------------------------------------------------------------------------------ */

static int
mmpd_probe_ask(struct mmpd_probe *p, int fd)
{
	const struct addr nobody = { .sa.sa_family = AF_UNSPEC };
	int rc;

	stream_init(&p->io, mmpd.loop, &probe_ends, p);
	rc = stream_open(&p->io, fd);
	if (rc < 0)
		return rc;
	p->open = true;
	if (p->send_proxy)
		proxyproto_write(stream_out(&p->io), &nobody, &nobody);
	line_client_start(&p->io, &probe_script, &p->login, &p->op, mmpd_probe_answered, p);
	return 0;
}

static void mmpd_probe_connect(struct mmpd_probe *p);

static void
mmpd_probe_connected(void *arg, int fd)
{
	struct mmpd_probe *p = arg;
	int rc = fd;

	log_context("");
	if (fd < 0 && ++p->at < p->naddrs) {
		mmpd_probe_connect(p);
		return;
	}
	if (fd >= 0 && (rc = mmpd_probe_ask(p, fd)) == 0)
		return;
	if (fd >= 0)
		(void)close(fd);
	tls_unref(&p->ctx);
	mem_free(&p->name);
	mmpd_probe_failed(p, slice_str(strerror(-rc)));
}

static void
mmpd_probe_connect(struct mmpd_probe *p)
{
	const struct addr *to = &p->addrs[p->at];
	struct addr from;

	connect_start(mmpd.loop, to, mmpd_reach_source(to, &from), (uint32_t)config.connect_time,
	    &p->op, mmpd_probe_connected, p);
}

/* As logins do it, so that what stops them stops this too. */
static void
mmpd_probe_begin(struct mmpd_probe *p)
{
	const struct backend *st = p->way->host;
	struct mmpd_section own = mmpd_store_own(st);
	struct tls_ctx *ctx = NULL;

	p->login = (struct line_client_login){
		.tls = mmpd_store_tls(&own, p->way->role),
		.timeout_ms = (uint32_t)config.silence_time,
	};
	/* A greeting in clear is as good. */
	if (p->login.tls == LINE_CLIENT_STARTTLS)
		p->login.tls = LINE_CLIENT_PLAIN;
	if (p->login.tls == LINE_CLIENT_IMPLICIT && !(ctx = daemon_tls_client(true))) {
		mmpd_probe_later(p); /* said already */
		return;
	}
	p->ctx = ctx ? tls_ref(ctx) : NULL; /* a reload replaces it */
	p->name = mem_str(mmpd_store_name(st, &own));
	p->login.ctx = p->ctx;
	p->login.name = p->name;
	p->send_proxy = own.send_proxy;
	p->naddrs = backend_addresses(st, mmpd_store_port(&own, p->way->role), p->addrs);
	p->at = 0;
	mmpd_probe_connect(p);
}

static void
mmpd_probe_found(void *arg, const struct dns_answer *a)
{
	struct mmpd_probe *p = arg;

	log_context("");
	if (backend_found(p->way->host, a))
		mmpd_probe_begin(p);
	else
		mmpd_probe_failed(p, S("its name has no address, or DNS does not answer"));
}

static void
mmpd_probe_on_timer(struct timer *t)
{
	struct mmpd_probe *p = CONTAINER(t, struct mmpd_probe, timer);
	struct backend *st = p->way->host;
	struct mmpd_section own = mmpd_store_own(st);

	log_context("");
	if (daemon_draining())
		return;
	if (p->open) { /* the last one's stream is still closing */
		mmpd_probe_later(p);
		return;
	}
	metric_add(M_STORE_PROBES, 1);
	if (backend_known(st))
		mmpd_probe_begin(p);
	else
		dns_addr_start(mmpd.dns, mmpd_store_where(st, &own), &p->op, mmpd_probe_found, p);
}

void
mmpd_probe_start(struct backend_way *w)
{
	struct mmpd_probe *p = w->probe;

	if (!p) {
		w->probe = p = mem_new(sizeof(*p));
		p->way = w;
		timer_init(&p->timer, mmpd.loop, mmpd_probe_on_timer);
	}
	mmpd_probe_later(p);
}

uint64_t
mmpd_probe_due(const struct backend_way *w)
{
	const struct mmpd_probe *p = w->probe;
	uint64_t now = loop_now(mmpd.loop);

	return p->due_ms > now ? p->due_ms - now : 0;
}
