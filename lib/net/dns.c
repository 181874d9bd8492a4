/* net/dns.c: see dns.h.  libunbound resolves and validates in a thread of its own and says by
 * a descriptor that answers are ready.  A question for addresses is two of its questions. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "net/dns.h"

enum { TYPE_A = 1, TYPE_MX = 15, TYPE_AAAA = 28, CLASS_IN = 1 };
enum { NAME_WIRE = 255 };

struct dns {
	struct ub_ctx *ctx;
	struct loop *loop;
	struct watch watch;
	struct list queries;
	uint32_t timeout_ms;
};

struct query;
struct part { /* one question of libunbound's */
	struct query *q;
	int type, id;
	bool open;
	int status;
};

struct query {
	struct list link;
	struct dns *d;
	struct op *op;
	void (*done)(void *, const struct dns_answer *);
	void *arg;
	struct part parts[2];
	size_t nparts, open;
	bool all_secure, bogus;
	struct dns_answer a;
	struct deadline deadline;
	struct later later;
};

/* ---- the context ------------------------------------------------------------------------- */

static void
on_ready(struct watch *w, bool r UNUSED, bool wr UNUSED, int error UNUSED)
{
	ub_process(CONTAINER(w, struct dns, watch)->ctx);
}

/* zone=ip@port ...; libunbound answers names below "test." itself unless told not to.  Telling
 * it finalises the context, so that comes in a second pass. */
static int
add_stubs(struct ub_ctx *ctx, struct slice list, bool transparent)
{
	struct slice word, zone;

	while (slice_word(&list, &word)) {
		char name[300], addr[100];
		int rc;

		if (!slice_cut(&word, '=', &zone) || word.n == 0)
			return UB_SYNTAX;
		slice_cstr(zone, name, sizeof(name));
		slice_cstr(word, addr, sizeof(addr));
		rc = transparent ? ub_ctx_zone_add(ctx, name, "transparent")
		                 : ub_ctx_set_stub(ctx, name, addr, 0);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
add_resolvers(struct ub_ctx *ctx, const char *resolvers)
{
	struct slice list = slice_str(resolvers), word;
	char addr[100];
	int rc = 0;

	if (!resolvers) {
		(void)ub_ctx_resolvconf(ctx, NULL); /* without one it asks from the root on */
		return 0;
	}
	while (rc == 0 && slice_word(&list, &word))
		rc = ub_ctx_set_fwd(ctx, slice_cstr(word, addr, sizeof(addr)));
	return rc;
}

/* Options come first: the other calls and the first question fix them. */
static int
configure(struct ub_ctx *ctx, const struct dns_params *p)
{
	static const char *const options[][2] = {
		{ "msg-cache-size:", "16m" }, { "rrset-cache-size:", "32m" },
		{ "do-not-query-localhost:", "no" },
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < NELEM(options); i++)
		rc = ub_ctx_set_option(ctx, options[i][0], options[i][1]);
	if (rc == 0)
		rc = ub_ctx_async(ctx, 1);
	if (rc == 0)
		rc = add_resolvers(ctx, p->resolvers);
	if (rc == 0 && (ub_ctx_hosts(ctx, p->hosts) != 0 && p->hosts))
		rc = UB_READFILE;
	if (rc == 0 && p->anchor)
		rc = ub_ctx_add_ta_file(ctx, p->anchor);
	if (rc == 0 && p->stubs)
		rc = add_stubs(ctx, slice_str(p->stubs), false);
	if (rc == 0 && p->stubs)
		rc = add_stubs(ctx, slice_str(p->stubs), true);
	return rc;
}

struct dns *
dns_new(struct loop *l, const struct dns_params *p, char **why)
{
	struct dns *d = mem_new(sizeof(*d));
	int rc;

	*why = NULL;
	d->loop = l;
	d->timeout_ms = p->timeout_ms ? p->timeout_ms : 20000;
	list_init(&d->queries);
	d->ctx = ub_ctx_create();
	rc = d->ctx ? configure(d->ctx, p) : UB_NOMEM;
	if (rc == 0 && watch_init(&d->watch, l, ub_fd(d->ctx), on_ready) < 0)
		rc = UB_PIPE;
	if (rc != 0) {
		*why = mem_printf("libunbound: %s", ub_strerror(rc));
		if (d->ctx)
			ub_ctx_delete(d->ctx);
		free(d);
		return NULL;
	}
	watch_want(&d->watch, true, false);
	return d;
}

static void
on_closed(struct watch *w)
{
	struct dns *d = CONTAINER(w, struct dns, watch);

	ub_ctx_delete(d->ctx);
	free(d);
}

void
dns_free(struct dns **dp)
{
	struct dns *d = *dp;
	struct query *q;

	*dp = NULL;
	if (!d)
		return;
	list_each(q, &d->queries, struct query, link)
		op_cancel(q->op);
	watch_close(&d->watch, on_closed);
}

/* ---- a question's life ------------------------------------------------------------------- */

static void
query_stop(struct query *q)
{
	for (size_t i = 0; i < q->nparts; i++)
		if (q->parts[i].open)
			(void)ub_cancel(q->d->ctx, q->parts[i].id);
	deadline_clear(&q->deadline);
	later_cancel(&q->later);
	list_remove(&q->link);
}

static void
query_free(struct query *q)
{
	for (size_t i = 0; i < q->a.nmx; i++)
		free(q->a.mx[i].host);
	free(q->a.mx);
	free(q->a.addrs);
	free(q);
}

static void
query_cancel(struct op *op)
{
	struct query *q = op->impl;

	query_stop(q);
	query_free(q);
}

static void
finish(struct query *q)
{
	query_stop(q);
	op_done(q->op);
	q->done(q->arg, &q->a);
	query_free(q);
}

static void
on_later(struct later *t)
{
	finish(CONTAINER(t, struct query, later));
}

static void
on_timeout(struct deadline *t)
{
	struct query *q = CONTAINER(t, struct query, deadline);

	q->a.status = q->a.naddrs ? 0 : -EAGAIN; /* one family is better than none */
	q->a.security = DNS_INSECURE;
	finish(q);
}

/* ---- answers ----------------------------------------------------------------------------- */

static void
add_addr(struct query *q, int family, const void *bytes)
{
	struct dns_answer *a = &q->a;
	struct addr *addr;

	a->addrs = mem_grow(a->addrs, a->naddrs + 1, sizeof(*a->addrs));
	addr = &a->addrs[a->naddrs++];
	memset(addr, 0, sizeof(*addr));
	addr->sa.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		memcpy(&addr->in.sin_addr, bytes, 4);
		addr->len = sizeof(addr->in);
	} else {
		memcpy(&addr->in6.sin6_addr, bytes, 16);
		addr->len = sizeof(addr->in6);
	}
}

/* A domain name in wire form, uncompressed, as text without the last dot; NULL when a label
 * has bytes that no host name has. */
static char *
name_of(const uint8_t *p, size_t n)
{
	char text[NAME_WIRE + 1];
	size_t at = 0, len = 0;

	while (at < n && p[at]) {
		size_t label = p[at++];

		if (label > 63 || at + label >= n || len + label + 1 > NAME_WIRE)
			return NULL;
		if (len)
			text[len++] = '.';
		for (size_t i = 0; i < label; i++) {
			if (p[at + i] <= ' ' || p[at + i] >= 0x7f || p[at + i] == '.')
				return NULL;
			text[len++] = ascii_lower((char)p[at + i]);
		}
		at += label;
	}
	return at < n ? mem_strn(text, len) : NULL;
}

static void
add_mx(struct query *q, const uint8_t *p, size_t n)
{
	struct dns_answer *a = &q->a;
	char *host = n > 2 ? name_of(p + 2, n - 2) : NULL;

	if (!host)
		return;
	a->mx = mem_grow(a->mx, a->nmx + 1, sizeof(*a->mx));
	a->mx[a->nmx].preference = (uint16_t)(p[0] << 8 | p[1]);
	a->mx[a->nmx++].host = host;
}

static int
by_preference(const void *x, const void *y)
{
	return ((const struct dns_mx *)x)->preference - ((const struct dns_mx *)y)->preference;
}

/* RFC 5321 5.1: hosts of the same preference in random order, to spread the load.  A null MX
 * among others is a mistake and is left out (RFC 7505 3). */
static void
order_mx(struct dns_answer *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->nmx; i++) {
		if (*a->mx[i].host || (n == 0 && i + 1 == a->nmx))
			a->mx[n++] = a->mx[i];
		else
			free(a->mx[i].host);
	}
	a->nmx = n;
	for (size_t i = a->nmx; i > 1; i--) {
		size_t j = random_below(i);
		struct dns_mx t = a->mx[i - 1];

		a->mx[i - 1] = a->mx[j];
		a->mx[j] = t;
	}
	if (a->nmx > 1)
		qsort(a->mx, a->nmx, sizeof(*a->mx), by_preference);
}

static bool
reachable(const struct addr *a)
{
	struct addr to = *a;
	int fd = socket(a->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool yes;

	if (fd < 0)
		return false;
	addr_set_port(&to, 25);
	yes = connect(fd, &to.sa, to.len) == 0; /* asks the routing table, sends nothing */
	close(fd);
	return yes;
}

/* IPv6 first, unless this host has no way there. */
static void
order_addrs(struct dns_answer *a)
{
	struct addr *sorted = mem_array(a->naddrs + 1, sizeof(*sorted));
	int first = AF_INET6;
	size_t n = 0;

	for (size_t i = 0; i < a->naddrs; i++) {
		if (a->addrs[i].sa.sa_family == AF_INET6) {
			first = reachable(&a->addrs[i]) ? AF_INET6 : AF_INET;
			break;
		}
	}
	for (size_t i = 0; i < a->naddrs; i++)
		if (a->addrs[i].sa.sa_family == first)
			sorted[n++] = a->addrs[i];
	for (size_t i = 0; i < a->naddrs; i++)
		if (a->addrs[i].sa.sa_family != first)
			sorted[n++] = a->addrs[i];
	free(a->addrs);
	a->addrs = sorted;
}

static void
conclude(struct query *q)
{
	struct dns_answer *a = &q->a;
	bool temp = false, exists = false;

	for (size_t i = 0; i < q->nparts; i++) {
		temp |= q->parts[i].status == -EAGAIN;
		exists |= q->parts[i].status != -ENOENT;
	}
	if (a->nmx || a->naddrs)
		a->status = 0;
	else
		a->status = temp ? -EAGAIN : exists ? -ENODATA : -ENOENT;
	a->security = q->bogus ? DNS_BOGUS : q->all_secure ? DNS_SECURE : DNS_INSECURE;
	order_mx(a);
	if (a->naddrs > 1)
		order_addrs(a);
	finish(q);
}

/* What libunbound found for one part. */
static int
take(struct query *q, int type, int err, const struct ub_result *r)
{
	if (err != 0 || !r) {
		q->all_secure = false;
		return -EAGAIN;
	}
	q->all_secure &= r->secure != 0;
	if (r->bogus) { /* worth nothing: as if the server had failed (RFC 4035 5.5) */
		q->bogus = true;
		return -EAGAIN;
	}
	if (r->havedata) {
		for (size_t i = 0; r->data[i]; i++) {
			const uint8_t *p = (const uint8_t *)r->data[i];
			size_t n = (size_t)r->len[i];

			if (type == TYPE_MX)
				add_mx(q, p, n);
			else if (type == TYPE_A && n == 4)
				add_addr(q, AF_INET, p);
			else if (type == TYPE_AAAA && n == 16)
				add_addr(q, AF_INET6, p);
		}
		if (q->a.ttl == 0 || (uint32_t)r->ttl < q->a.ttl)
			q->a.ttl = (uint32_t)r->ttl;
		return 0;
	}
	if (r->nxdomain)
		return -ENOENT;
	return r->rcode == 0 ? -ENODATA : -EAGAIN;
}

static void
on_answer(void *arg, int err, struct ub_result *r)
{
	struct part *p = arg;
	struct query *q = p->q;

	p->open = false;
	p->status = take(q, p->type, err, r);
	ub_resolve_free(r);
	if (--q->open == 0)
		conclude(q);
}

/* ---- asking ------------------------------------------------------------------------------ */

static struct query *
query_new(struct dns *d, struct op *op, void (*done)(void *, const struct dns_answer *), void *arg)
{
	struct query *q = mem_new(sizeof(*q));

	q->d = d;
	q->op = op;
	q->done = done;
	q->arg = arg;
	q->all_secure = true;
	deadline_init(&q->deadline);
	later_init(&q->later);
	list_init(&q->link);
	list_push(&d->queries, &q->link);
	op->cancel = query_cancel;
	op->impl = q;
	deadline_set(&q->deadline, d->loop, d->timeout_ms, on_timeout);
	return q;
}

static void
answer_later(struct query *q, int status)
{
	q->a.status = status;
	later_run(&q->later, q->d->loop, on_later);
}

static void
ask(struct query *q, const char *name, int type)
{
	struct part *p = &q->parts[q->nparts++];

	p->q = q;
	p->type = type;
	p->status = -EAGAIN;
	if (ub_resolve_async(q->d->ctx, name, type, CLASS_IN, p, on_answer, &p->id) == 0) {
		p->open = true;
		q->open++;
	}
}

/* 192.0.2.1, [192.0.2.1], 2001:db8::1, [IPv6:2001:db8::1] */
static bool
literal(struct query *q, const char *name)
{
	struct slice s = slice_str(name);
	uint8_t bytes[16];
	char text[64];

	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']') {
		s = slice_sub(s, 1, s.n - 2);
		if (slice_istarts(s, S("IPv6:")))
			s = slice_from(s, 5);
	}
	if (s.n >= sizeof(text))
		return false;
	slice_cstr(s, text, sizeof(text));
	if (inet_pton(AF_INET, text, bytes) == 1)
		add_addr(q, AF_INET, bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		add_addr(q, AF_INET6, bytes);
	else
		return false;
	return true;
}

/* "localhost" and what is below it is this host, whatever a hosts file or a server says
 * (RFC 6761 6.3). */
static bool
loopback(struct query *q, const char *name)
{
	struct slice s = slice_str(name);

	if (slice_ends(s, S(".")))
		s.n--;
	if (!slice_ieq(s, S("localhost")) &&
	    !(s.n > 10 && slice_ieq(slice_from(s, s.n - 10), S(".localhost"))))
		return false;
	add_addr(q, AF_INET6, &in6addr_loopback);
	add_addr(q, AF_INET, &(struct in_addr){ htonl(INADDR_LOOPBACK) });
	return true;
}

static bool
nameable(const char *name)
{
	return *name && strlen(name) <= NAME_WIRE - 2 && !strpbrk(name, " \t\r\n[]@");
}

void
dns_mx_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg)
{
	struct query *q = query_new(d, op, done, arg);

	if (literal(q, name)) {
		q->a.naddrs = 0;
		answer_later(q, -ENODATA);
	} else if (!nameable(name)) {
		answer_later(q, -ENOENT);
	} else {
		ask(q, name, TYPE_MX);
		if (!q->open)
			answer_later(q, -EAGAIN);
	}
}

void
dns_addr_start(struct dns *d, const char *name, struct op *op,
    void (*done)(void *arg, const struct dns_answer *), void *arg)
{
	struct query *q = query_new(d, op, done, arg);

	if (literal(q, name) || loopback(q, name)) {
		answer_later(q, 0);
	} else if (!nameable(name)) {
		answer_later(q, -ENOENT);
	} else {
		ask(q, name, TYPE_AAAA);
		ask(q, name, TYPE_A);
		if (!q->open)
			answer_later(q, -EAGAIN);
	}
}
