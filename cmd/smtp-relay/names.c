/* names.c: the name of a client: what DNS calls his address, when that name leads back to the address.
 *
 * Owns the question, which begins with the session, so that it is mostly answered before EHLO; who says EHLO earlier
 * waits for it, guard.list_wait at most.  Filters, policy services and our Received field get the name.  Can fail: DNS, and
 * then the client has none, as most have.  Must stay true: a name that whoever owns the reverse zone has made up is never
 * taken for the client's (RFC 8601 3 calls what is asked for here iprev). */
#include "base/mem.h"
#include "base/must.h"
#include "guard.h"

static void
names_over(struct session *s)
{
	void (*then)(struct session *) = s->name_then;

	op_cancel(&s->name_op);
	deadline_clear(&s->name_late);
	s->name_then = NULL;
	if (then)
		then(s);
}

static void
names_addr_found(void *arg, const struct dns_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct addr peer = s->peer;
	bool found = false;

	addr_unmap(&peer);
	for (size_t i = 0; a->status == 0 && i < a->naddrs && !found; i++) {
		struct addr x = a->addrs[i];

		addr_unmap(&x);
		if (x.sa.sa_family == peer.sa.sa_family)
			found = x.sa.sa_family == AF_INET6 ?
			    memcmp(&x.in6.sin6_addr, &peer.in6.sin6_addr, 16) == 0 :
			    x.in.sin_addr.s_addr == peer.in.sin_addr.s_addr;
	}
	s->name_good = found;
	names_over(s);
}

static void
names_ptr_found(void *arg, const struct dns_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);

	if (a->status < 0 || a->nmx == 0 || !domain_valid(slice_str(a->mx[0].host), 0)) {
		names_over(s);
		return;
	}
	s->name = mem_str(a->mx[0].host);
	dns_addr_start(guard.dns, s->name, &s->name_op, names_addr_found, s);
}

static void
names_on_late(struct deadline *d)
{
	names_over(CAST(CONTAINER(d, struct session, name_late), struct session, SESSION_MAGIC));
}

void
names_begin(struct session *s)
{
	if (!channel_names(s) || !guard.dns || s->peer.sa.sa_family == AF_UNIX)
		return;
	deadline_set(&s->name_late, daemon_loop(), (uint64_t)config.guard_list_ms, names_on_late);
	dns_ptr_start(guard.dns, &s->peer, &s->name_op, names_ptr_found, s);
}

void
names_wait(struct session *s, void (*then)(struct session *))
{
	if (op_pending(&s->name_op))
		s->name_then = then;
	else
		then(s);
}

const char *
names_client(const struct session *s)
{
	return s->name_good ? s->name : NULL;
}

const char *
names_reverse(const struct session *s)
{
	return s->name;
}

void
names_end(struct session *s)
{
	op_cancel(&s->name_op);
	deadline_clear(&s->name_late);
	s->name_then = NULL;
	s->name_good = false;
	mem_free(&s->name);
}

void
names_told(struct session *s, const char *name, bool good)
{
	names_end(s);
	if (name) {
		s->name = mem_str(name);
		s->name_good = good;
	}
}
