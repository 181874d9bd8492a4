/* net/dns.c: see dns.h.  libunbound resolves and validates in a thread of its own (dns-context.c) and
 * says by a descriptor that answers are ready.  A question for addresses is two of its questions; which
 * ones each of ours is, dns-ask.c says.
 *
 * Called from the loop of channel-master, and of those who connect to a directory by name.  Whatever
 * fails is the status of an answer, and a question has one time limit for all its parts; one family
 * of addresses is better than none.  `done` is called once or, after op_cancel, never, from the loop
 * also when the answer is known at once. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "conf/shared.h"
#include "net/dns-impl.h"

enum { CLASS_IN = 1 };

#define LOOK_MS                                                                                    \
	1000 /* so often the files of the settings are looked at, when there are questions */

struct dns {
	struct loop *loop;
	struct dns_context *context;
	struct dns_params p;
	char *texts[4]; /* p's */
	uint64_t looked_at;
	struct list queries;
};

/* ---- settings and life ------------------------------------------------------------------- */

static char *
text_or_null(const char *s)
{
	return s ? mem_str(s) : NULL;
}

static void
settings_free(struct dns *d)
{
	for (size_t i = 0; i < NELEM(d->texts); i++)
		mem_free(&d->texts[i]);
}

/* Makes *p the settings, with texts of our own. */
static void
settings_take(struct dns *d, const struct dns_params *p)
{
	char *texts[] = { text_or_null(p->resolvers), text_or_null(p->hosts),
		text_or_null(p->anchor), text_or_null(p->stubs) };

	settings_free(d);
	memcpy(d->texts, texts, sizeof(texts));
	d->p = (struct dns_params){ .resolvers = texts[0],
		.hosts = texts[1],
		.anchor = texts[2],
		.stubs = texts[3],
		.timeout_ms = p->timeout_ms ? p->timeout_ms : 20000 };
}

static const char *
unless_empty(const char *s)
{
	return s && *s ? s : NULL;
}

struct dns_params
dns_params_shared(void)
{
	return (struct dns_params){
		.resolvers = unless_empty(shared.dns_resolvers),
		.hosts = unless_empty(shared.dns_hosts),
		.anchor = unless_empty(shared.dns_anchor),
		.stubs = unless_empty(shared.dns_stubs),
		.timeout_ms = (uint32_t)shared.dns_timeout,
	};
}

int
dns_change(struct dns *d, const struct dns_params *p, char **why)
{
	struct dns_context *c = dns_context_new(d->loop, p, why);

	if (!c)
		return -EINVAL;
	dns_context_leave(&d->context);
	d->context = c;
	settings_take(d, p);
	return 0;
}

struct dns *
dns_new(struct loop *l, const struct dns_params *p, char **why)
{
	struct dns *d = mem_new(sizeof(*d));

	d->loop = l;
	list_init(&d->queries);
	if (dns_change(d, p, why) < 0)
		mem_free(&d);
	return d;
}

/* The context for a new question.  Files that cannot be used now, half written perhaps, leave the
 * old one in its place until they change again. */
static struct dns_context *
context_now(struct dns *d)
{
	uint64_t now = loop_now(d->loop);
	struct dns_context *c;
	char *why = NULL;

	if (d->looked_at && now - d->looked_at < LOOK_MS)
		return d->context;
	d->looked_at = now;
	if (!dns_context_changed(d->context, &d->p))
		return d->context;
	c = dns_context_new(d->loop, &d->p, &why);
	if (c) {
		dns_context_leave(&d->context);
		d->context = c;
	} else {
		log_event(LOG_WARN, "dns", "error=%s", log_str(why));
		mem_free(&why);
	}
	return d->context;
}

void
dns_free(struct dns **dp)
{
	struct dns *d = *dp;
	struct query *q;

	*dp = NULL;
	if (!d)
		return;
	list_each(q, &d->queries, struct query, link) op_cancel(q->op);
	dns_context_leave(&d->context);
	settings_free(d);
	mem_free(&d);
}

/* ---- a question's life ------------------------------------------------------------------- */

static void
query_stop(struct query *q)
{
	for (size_t i = 0; i < q->nparts; i++)
		if (q->parts[i].open)
			(void)ub_cancel(q->context->ub, q->parts[i].id);
	deadline_clear(&q->deadline);
	later_cancel(&q->later);
	list_remove(&q->link);
	dns_context_answered(q->context);
}

static void
dns_query_free(struct query *q)
{
	for (size_t i = 0; i < q->a.nmx; i++)
		free(q->a.mx[i].host);
	free(q->a.mx);
	free(q->a.addrs);
	mem_free(&q->a.canonical);
	for (size_t i = 0; i < q->a.ntxt; i++)
		free((char *)(uintptr_t)q->a.txt[i].p);
	free(q->a.txt);
	tlsa_set_fini(&q->a.tlsa);
	free(q);
}

static void
dns_query_cancel(struct op *op)
{
	struct query *q = op->impl;

	query_stop(q);
	dns_query_free(q);
}

static void
dns_finish(struct query *q)
{
	query_stop(q);
	op_done(q->op);
	q->a.us = clock_mono_us() - q->asked_us;
	q->done(q->arg, &q->a);
	dns_query_free(q);
}

static void
dns_on_later(struct later *t)
{
	dns_finish(CONTAINER(t, struct query, later));
}

/* Of what was answered; what was not is told by `partial`. */
static enum dns_security
dns_security_of(const struct query *q)
{
	return q->bogus ? DNS_BOGUS : q->all_secure && q->answered ? DNS_SECURE : DNS_INSECURE;
}

static void
dns_on_timeout(struct deadline *t)
{
	struct query *q = CONTAINER(t, struct query, deadline);

	q->a.status = q->a.naddrs ? 0 : -EAGAIN; /* one family is better than none */
	q->a.partial = true;
	q->a.security = dns_security_of(q);
	dns_finish(q);
}

/* ---- answers ----------------------------------------------------------------------------- */

void
dns_query_addr(struct query *q, int family, const void *bytes)
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
dns_name_of(const uint8_t *p, size_t n)
{
	char text[DNS_NAME_WIRE + 1];
	size_t at = 0, len = 0;

	while (at < n && p[at]) {
		size_t label = p[at++];

		if (label > 63 || at + label >= n || len + label + 1 > DNS_NAME_WIRE)
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
add_host(struct query *q, uint16_t preference, const uint8_t *p, size_t n)
{
	struct dns_answer *a = &q->a;
	char *host = dns_name_of(p, n);

	if (!host)
		return;
	a->mx = mem_grow(a->mx, a->nmx + 1, sizeof(*a->mx));
	a->mx[a->nmx].preference = preference;
	a->mx[a->nmx++].host = host;
}

/* RFC 1035 3.3.14: strings with their lengths in front. */
static void
add_txt(struct query *q, const uint8_t *p, size_t n)
{
	struct dns_answer *a = &q->a;
	struct buf b = { 0 };
	size_t len;

	if (a->ntxt == DNS_TXT_MOST)
		return;
	for (size_t at = 0; at < n && (len = p[at]) < n - at; at += 1 + len)
		buf_add(&b, p + at + 1, len);
	a->txt = mem_grow(a->txt, a->ntxt + 1, sizeof(*a->txt));
	len = b.n;
	a->txt[a->ntxt++] = slice(buf_take(&b), len);
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
	bool temp = false, exists = false, found = false;

	for (size_t i = 0; i < q->nparts; i++) {
		temp |= q->parts[i].status == -EAGAIN;
		exists |= q->parts[i].status != -ENOENT;
		found |= q->parts[i].status == 0;
	}
	a->partial = temp;
	if (a->nmx || a->naddrs || a->tlsa.seen || a->ntxt ||
	    (q->parts[0].type == DNS_TYPE_CNAME && !temp && found))
		a->status = 0;
	else
		a->status = temp ? -EAGAIN : exists ? -ENODATA : -ENOENT;
	a->security = dns_security_of(q);
	order_mx(a);
	if (a->naddrs > 1)
		order_addrs(a);
	dns_finish(q);
}

/* libunbound writes some names with their last dot. */
static bool
same_name(const char *a, const char *b)
{
	struct slice x = slice_str(a), y = slice_str(b);

	x.n -= slice_ends(x, S("."));
	y.n -= slice_ends(y, S("."));
	return slice_ieq(x, y);
}

/* What libunbound found for one part. */
static int
dns_take(struct query *q, int type, int err, const struct ub_result *r)
{
	if (err != 0 || !r)
		return -EAGAIN;
	if (r->rcode == 0 || r->nxdomain) {
		q->answered = true;
		q->all_secure &= r->secure != 0;
	}
	if (r->bogus) { /* worth nothing: as if the server had failed (RFC 4035 5.5) */
		q->bogus = true;
		return -EAGAIN;
	}
	if (r->havedata) {
		for (size_t i = 0; r->data[i]; i++) {
			const uint8_t *p = (const uint8_t *)r->data[i];
			size_t n = (size_t)r->len[i];

			if (type == DNS_TYPE_MX && n > 2)
				add_host(q, (uint16_t)(p[0] << 8 | p[1]), p + 2, n - 2);
			else if (type == DNS_TYPE_PTR)
				add_host(q, 0, p, n);
			else if (type == DNS_TYPE_A && n == 4)
				dns_query_addr(q, AF_INET, p);
			else if (type == DNS_TYPE_AAAA && n == 16)
				dns_query_addr(q, AF_INET6, p);
			else if (type == DNS_TYPE_TXT)
				add_txt(q, p, n);
			else if (type == DNS_TYPE_TLSA)
				tlsa_set_add(&q->a.tlsa, slice(r->data[i], n));
		}
		if (r->canonname && !q->a.canonical && !same_name(r->canonname, r->qname))
			q->a.canonical = mem_str(r->canonname);
		if (q->a.ttl == 0 || (uint32_t)r->ttl < q->a.ttl)
			q->a.ttl = (uint32_t)r->ttl;
		return 0;
	}
	if (r->nxdomain)
		return -ENOENT;
	return r->rcode == 0 ? -ENODATA : -EAGAIN;
}

static void
dns_on_answer(void *arg, int err, struct ub_result *r)
{
	struct part *p = arg;
	struct query *q = p->q;

	p->open = false;
	p->status = dns_take(q, p->type, err, r);
	ub_resolve_free(r);
	if (--q->open == 0)
		conclude(q);
}

/* ---- asking ------------------------------------------------------------------------------ */

struct query *
dns_query_new(struct dns *d, struct op *op, void (*done)(void *, const struct dns_answer *),
    void *arg)
{
	struct query *q = mem_new(sizeof(*q));

	q->d = d;
	q->context = context_now(d);
	dns_context_ask(q->context);
	q->op = op;
	q->done = done;
	q->arg = arg;
	q->all_secure = true;
	q->asked_us = clock_mono_us();
	deadline_init(&q->deadline);
	later_init(&q->later);
	list_init(&q->link);
	list_push(&d->queries, &q->link);
	op->cancel = dns_query_cancel;
	op->impl = q;
	deadline_set(&q->deadline, d->loop, d->p.timeout_ms, dns_on_timeout);
	return q;
}

void
dns_query_later(struct query *q, int status)
{
	q->a.status = status;
	later_run(&q->later, q->d->loop, dns_on_later);
}

void
dns_query_ask(struct query *q, const char *name, int type)
{
	struct part *p = &q->parts[q->nparts++];

	p->q = q;
	p->type = type;
	p->status = -EAGAIN;
	if (ub_resolve_async(q->context->ub, name, type, CLASS_IN, p, dns_on_answer, &p->id) == 0) {
		p->open = true;
		q->open++;
	}
}
