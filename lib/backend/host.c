/* backend/host.c: hosts by name, and where they are: see backend.h.
 *
 * Owns a struct for each host name that the directory has named (HOSTS of them at most, for good), and the
 * addresses that DNS gave it.  Nothing can fail.  What must stay true: where a host was is a better answer than
 * none. */
#include "backend/backend.h"

#include <string.h>

#include "base/mem.h"
#include "base/must.h"

#define HOSTS 10000
/* What DNS says is believed so long at least and at most; s. */
#define TTL_LEAST 5
#define TTL_MOST  300

void
backend_set_init(struct backend_set *set, struct loop *l, const struct backend_rules *rules)
{
	must(rules->nways <= BACKEND_WAYS);
	*set = (struct backend_set){ .loop = l, .rules = rules };
}

struct backend *
backend_get(struct backend_set *set, struct slice name)
{
	struct backend *b = map_get(&set->hosts, name);

	if (b || set->hosts.n >= HOSTS)
		return b;
	b = mem_new(sizeof(*b));
	b->set = set;
	b->name = mem_strn(name.p, name.n);
	for (uint8_t role = 0; role < BACKEND_WAYS; role++) {
		b->ways[role].host = b;
		b->ways[role].role = role;
		list_init(&b->ways[role].waiting);
	}
	map_put(&set->hosts, slice_str(b->name), b);
	return b;
}

bool
backend_known(const struct backend *b)
{
	return b->naddrs > 0 && loop_now(b->set->loop) < b->fresh_until;
}

bool
backend_found(struct backend *b, const struct dns_answer *a)
{
	uint64_t ttl = a->ttl < TTL_LEAST ? TTL_LEAST : a->ttl > TTL_MOST ? TTL_MOST : a->ttl;

	if (a->status == 0 && a->naddrs > 0) {
		b->naddrs = a->naddrs < BACKEND_ADDRESSES ? a->naddrs : BACKEND_ADDRESSES;
		b->addrs = mem_grow(b->addrs, b->naddrs, sizeof(*b->addrs));
		memcpy(b->addrs, a->addrs, b->naddrs * sizeof(*b->addrs));
	} else if (b->naddrs == 0) {
		return false;
	} else {
		ttl = TTL_LEAST;
	}
	b->fresh_until = loop_now(b->set->loop) + ttl * 1000;
	return true;
}

size_t
backend_addresses(const struct backend *b, int port, struct addr *a)
{
	memcpy(a, b->addrs, b->naddrs * sizeof(*a));
	for (size_t i = 0; i < b->naddrs; i++)
		addr_set_port(&a[i], port);
	return b->naddrs;
}

void
backend_forget_addresses(struct backend_set *set)
{
	struct backend *b;
	size_t at = 0;

	while ((b = map_next(&set->hosts, &at)))
		b->fresh_until = 0;
}

void
backend_status(const struct backend_set *set, struct buf *out)
{
	const struct backend *b;
	size_t at = 0;

	while ((b = map_next(&set->hosts, &at)))
		for (size_t role = 0; role < set->rules->nways; role++)
			backend_way_status(&b->ways[role], out);
}
