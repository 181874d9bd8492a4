/* route.c: deciding, first form; see route.h for the order. */
#include "base/mem.h"
#include "base/must.h"
#include "route/route.h"

#define QUERY_MAGIC 0x726f7574U

struct route {
	struct loop *loop;
	struct route_params p;
};

struct query {
	uint32_t magic;
	struct route *r;
	struct arena arena;
	struct address addr;        /* domain in lower case */
	const struct channel_route *fixed;
	struct op op;               /* of the directory */
	struct later later;         /* or of nobody */
	struct op *outer;
	void (*done)(void *arg, const struct route_decision *);
	void *arg;
};

struct route *
route_new(struct loop *l, const struct route_params *p)
{
	struct route *r = mem_new(sizeof(*r));

	r->loop = l;
	r->p = *p;
	return r;
}

void
route_reload(struct route *r, const struct route_params *p)
{
	r->p = *p;
}

void
route_free(struct route **r)
{
	mem_free(r);
}

static void
query_free(struct query *q)
{
	later_cancel(&q->later);
	op_cancel(&q->op);
	arena_reset(&q->arena);
	mem_free(&q);
}

static void
query_cancel(struct op *op)
{
	query_free(CAST(op->impl, struct query, QUERY_MAGIC));
}

static void
answer(struct query *q, struct route_decision *d)
{
	struct buf b = { 0 };

	if (d->address.n == 0) {
		address_write(&b, &q->addr);
		d->address = buf_get(&b);
	}
	op_done(q->outer);
	q->done(q->arg, d);
	buf_fini(&b);
	query_free(q);
}

/* The name that DNS and tables go by: lower case, A-labels where it can be. */
static const char *
domain_key(struct arena *a, struct slice domain)
{
	struct buf b = { 0 };
	char *key;

	if (domain.n && domain.p[0] != '[' && domain_write_ascii(&b, domain) == 0)
		key = arena_cstr(a, buf_get(&b));
	else
		key = arena_cstr(a, domain);
	buf_fini(&b);
	for (char *p = key; *p; p++)
		*p = ascii_lower(*p);
	return key;
}

/* A static route: to its relay, else by its channel's own means. */
static void
decide_fixed(struct query *q, bool local)
{
	struct route_decision d = {
		.local = local, .fixed = true, .v = verdict(OK, 250, "2.1.5", "ok")
	};

	d.channel = q->fixed->channel;
	d.host = q->fixed->relay[0] ? q->fixed->relay : domain_key(&q->arena, q->addr.domain);
	answer(q, &d);
}

static void
decide_foreign(struct query *q)
{
	struct route_decision d = { .v = verdict(OK, 250, "2.1.5", "ok") };

	q->fixed = channels_route(q->r->p.channels, q->addr.domain);
	if (q->fixed) {
		decide_fixed(q, false);
		return;
	}
	d.channel = ROUTE_SMTP;
	d.host = domain_key(&q->arena, q->addr.domain);
	answer(q, &d);
}

static void
decide_local(struct query *q, const struct route_found *f)
{
	struct route_decision d = { .local = true,
		.v = f->v,
		.hold = f->hold,
		.address = f->address,
		.max_message = f->max_message,
		.account = f->account };

	if (f->v.kind == PERM && f->smarthost.n) {
		d.v = verdict(OK, 250, "2.1.5", "ok");
		d.channel = ROUTE_SMTP;
		d.host = domain_key(&q->arena, f->smarthost);
	} else if (f->v.kind == OK) {
		d.channel = ROUTE_LMTP;
		d.host = f->mailhost.n ? domain_key(&q->arena, f->mailhost) : q->r->p.hostname;
		d.forward = f->forward;
		d.nforward = f->nforward;
		d.keep = f->keep;
	}
	answer(q, &d);
}

static void
directory_found(void *arg, const struct route_found *f)
{
	struct query *q = CAST(arg, struct query, QUERY_MAGIC);

	if (f->ours || f->v.kind == TEMP)
		decide_local(q, f);
	else
		decide_foreign(q);
}

static void
no_directory(struct later *t)
{
	struct query *q = CONTAINER(t, struct query, later);

	if (q->fixed)
		decide_fixed(q, false);
	else
		decide_foreign(q);
}

void
route_start(struct route *r, const struct address *addr, struct op *op,
    void (*done)(void *arg, const struct route_decision *), void *arg)
{
	struct query *q = mem_new(sizeof(*q));
	char *domain;

	q->magic = QUERY_MAGIC;
	q->r = r;
	q->done = done;
	q->arg = arg;
	q->outer = op;
	later_init(&q->later);
	q->addr.local = arena_slice(&q->arena, addr->local);
	q->addr.flags = addr->flags;
	domain = arena_cstr(&q->arena, addr->domain);
	for (char *p = domain; *p; p++)
		*p = ascii_lower(*p);
	q->addr.domain = slice(domain, addr->domain.n);
	op->impl = q;
	op->cancel = query_cancel;

	/* "*" stands behind the directory, all else before it. */
	q->fixed = channels_route(r->p.channels, q->addr.domain);
	if (q->fixed && strcmp(q->fixed->domain, "*") == 0)
		q->fixed = NULL;
	if (q->fixed || (addr->flags & ADDRESS_LITERAL))
		later_run(&q->later, r->loop, no_directory);
	else
		r->p.ask(r->p.arg, q->addr.local, q->addr.domain, &q->op, directory_found, q);
}
