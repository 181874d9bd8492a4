/* What the accounts of each domain use together, and whether the domain's quota has room.
 *
 * Owns the sums: one for each domain of which there has been an account, shared by the writers of all partitions of
 * this stored, whose threads add to them what their batches change and take it back when a batch fails.  They are
 * counted at the start from the accounts' own rows and kept nowhere else, so no crash can make them wrong; what an
 * account's row says is right by its own rules (recount.c).  Two partitions that take mail for one domain at the same
 * moment may both find the last room: each goes over by what it takes in then, and no more.  Accounts of the domain
 * on other hosts are not known here. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/writer/writer-impl.h"

#define NEAR_DEFAULT 90 /* percent below which a full domain has room again, without quota_warn */

enum domain_state { DOMAIN_ROOM, DOMAIN_NEAR, DOMAIN_FULL };

/* Sums that are on their way may be below 0 for a moment. */
struct store_domain {
	_Atomic int64_t bytes, messages;
	_Atomic int state; /* enum domain_state, as it was logged last */
	char *name;
};
struct store_domains {
	pthread_mutex_t lock;
	struct map map; /* name -> struct store_domain, which stays */
};

/* What a batch has added to a sum. */
struct domain_change {
	struct store_domain *domain;
	int64_t bytes, messages;
};

struct store_domains *
store_domains_new(void)
{
	struct store_domains *d = mem_new(sizeof(*d));

	must(pthread_mutex_init(&d->lock, NULL) == 0);
	return d;
}

void
store_domains_free(struct store_domains **dp)
{
	struct store_domains *d = *dp;
	struct store_domain *one;
	size_t at = 0;

	*dp = NULL;
	if (!d)
		return;
	while ((one = map_next(&d->map, &at))) {
		mem_free(&one->name);
		mem_free(&one);
	}
	map_fini(&d->map);
	pthread_mutex_destroy(&d->lock);
	mem_free(&d);
}

static struct slice
domain_name(struct slice account)
{
	size_t at = slice_rfind(account, '@');

	return at < account.n ? slice_from(account, at + 1) : S("");
}

static struct store_domain *
domain_get(struct store_domains *all, struct slice name)
{
	struct store_domain *d;

	must(pthread_mutex_lock(&all->lock) == 0);
	d = map_get(&all->map, name);
	if (!d) {
		d = mem_new(sizeof(*d));
		d->name = mem_strn(name.p, name.n);
		map_put(&all->map, slice_str(d->name), d);
	}
	must(pthread_mutex_unlock(&all->lock) == 0);
	return d;
}

static void
domain_add(struct store_domain *d, int64_t bytes, int64_t messages)
{
	atomic_fetch_add_explicit(&d->bytes, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&d->messages, messages, memory_order_relaxed);
}

static uint64_t
domain_sum(const _Atomic int64_t *sum)
{
	int64_t n = atomic_load_explicit(sum, memory_order_relaxed);

	return n > 0 ? (uint64_t)n : 0;
}

void
store_domains_use(struct store_domains *all, struct slice name, uint64_t *bytes, uint64_t *messages)
{
	struct store_domain *d;

	must(pthread_mutex_lock(&all->lock) == 0);
	d = map_get(&all->map, name); /* none is made: whoever asks chooses the name */
	must(pthread_mutex_unlock(&all->lock) == 0);
	*bytes = d ? domain_sum(&d->bytes) : 0;
	*messages = d ? domain_sum(&d->messages) : 0;
}

/* ---- counting ------------------------------------------------------------------------------ */

void
writer_domain_known(const struct writer *w, struct slice account, uint64_t bytes, uint64_t messages)
{
	if (w->config->domains)
		domain_add(domain_get(w->config->domains, domain_name(account)), (int64_t)bytes,
		    (int64_t)messages);
}

static struct store_domain *
account_domain(const struct writer *w, struct wacct *a)
{
	if (!a->domain && w->config->domains)
		a->domain = domain_get(w->config->domains, domain_name(slice_str(a->name)));
	return a->domain;
}

static void
domain_change(struct writer *w, struct store_domain *d, int64_t bytes, int64_t messages)
{
	struct buf *b = &w->domain_changes;
	struct domain_change *last = NULL, one = { d, bytes, messages };

	if (!d)
		return;
	domain_add(d, bytes, messages);
	if (b->n)
		last = (void *)(b->p + b->n - sizeof(*last));
	if (last && last->domain == d) {
		last->bytes += bytes;
		last->messages += messages;
	} else
		buf_add(b, &one, sizeof(one));
}

void
writer_use(struct writer *w, struct wacct *a, int64_t bytes, int64_t messages)
{
	a->d.bytes += (uint64_t)bytes;
	a->d.messages += (uint64_t)messages;
	domain_change(w, account_domain(w, a), bytes, messages);
}

void
writer_domain_leave(struct writer *w, struct wacct *a)
{
	domain_change(w, account_domain(w, a), -(int64_t)a->d.bytes, -(int64_t)a->d.messages);
	a->domain = NULL;
}

void
writer_domain_enter(struct writer *w, struct wacct *a)
{
	domain_change(w, account_domain(w, a), (int64_t)a->d.bytes, (int64_t)a->d.messages);
}

void
writer_domains_settled(struct writer *w, bool good)
{
	const struct domain_change *c = (const void *)w->domain_changes.p;

	for (size_t i = 0; !good && i < w->domain_changes.n / sizeof(*c); i++)
		domain_add(c[i].domain, -c[i].bytes, -c[i].messages);
	buf_clear(&w->domain_changes);
}

/* ---- is there room? ------------------------------------------------------------------------ */

/* Said once for each change; what is full has room again when it is less than near. */
static void
domain_tell(struct writer *w, struct store_domain *d, const struct store_limits *l, bool over)
{
	static const char *const names[] = { "room", "near", "full" };
	const struct store_limits of = { .bytes = l->domain_bytes, .messages = l->domain_messages };
	uint64_t bytes = domain_sum(&d->bytes), messages = domain_sum(&d->messages);
	uint32_t warn = w->config->quota_warn;
	bool near = store_limits_near(&of, bytes, messages, warn ? warn : NEAR_DEFAULT);
	int was = atomic_load_explicit(&d->state, memory_order_relaxed), is = was;

	if (over)
		is = DOMAIN_FULL;
	else if (!near)
		is = DOMAIN_ROOM;
	else if (was == DOMAIN_ROOM && warn)
		is = DOMAIN_NEAR;
	if (is == was || atomic_exchange_explicit(&d->state, is, memory_order_relaxed) == is)
		return;
	log_event(is == DOMAIN_ROOM ? LOG_INFO : LOG_WARN, "domain_quota",
	    "domain=%s state=%s bytes=%llu limit=%llu messages=%llu most=%llu", log_str(d->name),
	    names[is], (unsigned long long)bytes, (unsigned long long)l->domain_bytes,
	    (unsigned long long)messages, (unsigned long long)l->domain_messages);
}

/* No sum that a client's numbers can overflow. */
static bool
domain_fits(uint64_t used, uint64_t more, uint64_t limit)
{
	return !limit || (used <= limit && more <= limit - used);
}

bool
writer_domain_over(struct writer *w, struct wacct *a, const struct store_limits *l, uint64_t bytes,
    uint64_t messages)
{
	struct store_domain *d;
	bool over;

	if (!l->domain_bytes && !l->domain_messages)
		return false;
	d = account_domain(w, a);
	if (!d)
		return false;
	over = !domain_fits(domain_sum(&d->bytes), bytes, l->domain_bytes) ||
	    !domain_fits(domain_sum(&d->messages), messages, l->domain_messages);
	domain_tell(w, d, l, over);
	return over;
}

bool
writer_domain_has_room(struct writer *w, struct wacct *a, const struct store_limits *l)
{
	struct store_domain *d = account_domain(w, a);

	return !d ||
	    ((!l->domain_bytes || domain_sum(&d->bytes) < l->domain_bytes) &&
		(!l->domain_messages || domain_sum(&d->messages) < l->domain_messages));
}
