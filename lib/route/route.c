/* route.c: what the rules make of an address; see route.h.
 *
 * Pure: called by expand/ for each recipient, again when the directory has answered what the rules
 * wanted to know, and by channel-master for reports.  What fails is an address of which the rules make
 * none, or a channel without a program; an answer that is missing (MTA_LATER) is the caller's to get.
 * Must stay true: all that is handed out lives in the caller's arena. */
#include "base/must.h"
#include "mail/outcome.h"
#include "route/route.h"

const char *
route_domain_key(struct arena *a, struct slice domain)
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

/* Does the directory say who takes mail of this channel? */
static bool
is_directory(const struct mta_channel *c)
{
	return c->aliaslocal > 0 || strcmp(c->name, "l") == 0;
}

/* A route in front of an address, taken off: @host:user@domain, @host,@more:user@domain. */
static struct slice
route_cut(struct slice *address)
{
	struct slice host = S("");

	if (address->n && address->p[0] == '@') {
		size_t end = slice_find(*address, ':'), comma = slice_find(*address, ',');

		host = slice_sub(*address, 1, (comma < end ? comma : end) - 1);
		*address = slice_from(*address, end + 1);
	}
	return host;
}

/* What the rules made, as an address with its domain in lower case; what is before it as a route. */
static bool
route_parse(struct arena *a, struct slice text, struct address *addr, struct slice *via)
{
	const char *why;
	char *domain;

	text = arena_slice(a, text); /* the parts borrow from it */
	*via = route_cut(&text);
	if (address_parse(text, ADDRESS_UTF8, a, addr, &why) < 0)
		return false;
	domain = arena_cstr(a, addr->domain);
	for (char *p = domain; *p; p++)
		*p = ascii_lower(*p);
	addr->domain = slice(domain, addr->domain.n);
	return true;
}

/* The destination: what the host name of the channel says, a route, the domain. */
static const char *
route_host(const struct channels *c, const struct mta_rewritten *r, struct slice via,
    struct slice domain, struct arena *a)
{
	const struct mta_channel_host *h = mta_host_find(c->rules, buf_get(&r->host));

	return h && h->via ? arena_str(a, h->via) : route_domain_key(a, via.n ? via : domain);
}

/* ---- an address of a recipient ----------------------------------------------------------- */

static enum mta_answer
route_general(void *arg, struct slice key, struct buf *value)
{
	const struct mta_general *const *g = arg;

	return mta_general_find(*g, key, value);
}

/* What the rules ask is asked of two: of the general database here, of the directory by the caller. */
struct asking {
	const struct mta_general *general;
	const struct route_query *q;
};

static enum mta_answer
asking_general(void *arg, struct slice key, struct buf *value)
{
	struct asking *k = arg;

	return route_general(&k->general, key, value);
}

static enum mta_answer
asking_local_domain(void *arg, struct slice domain)
{
	struct asking *k = arg;

	return k->q->local_domain(k->q->arg, domain);
}

/* The rules came to a channel. */
static void
way_found(const struct channels *c, const struct mta_rewritten *r, struct arena *a,
    struct route_way *way)
{
	struct slice via;
	struct buf b = { 0 };

	if (!route_parse(a, buf_get(&r->address), &way->address, &via)) {
		way->result = MTA_RW_SYNTAX;
		way->v = verdict(OUT_REWRITE_NO_HOST);
		return;
	}
	address_write(&b, &way->address);
	way->text = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	way->v = verdict(OUT_RCPT_OK);
	way->directory = is_directory(r->channel);
	way->decided = way->directory && c->made ? "l" : arena_str(a, r->channel->name);
	if (way->directory)
		return;
	/* Whose program it is says the directory; an address that anybody writes could say anything. */
	if (!channels_find(c, slice_str(r->channel->name)) || channels_pipes(c, r->channel->name))
		way->v = verdict(OUT_ROUTE_NO_MASTER, r->channel->name);
	way->channel = arena_str(a, r->channel->name);
	way->host = route_host(c, r, via, way->address.domain, a);
}

void
route_rewrite(const struct channels *c, const struct route_query *q, struct arena *a,
    struct route_way *way)
{
	struct asking asking = { c->general, q };
	const struct mta_calls calls = { .arg = &asking,
		.general = asking_general,
		.local_domain = asking_local_domain };
	struct mta_query query = { .source = slice_str(q->source), .mailhost = q->mailhost };
	struct mta_rewritten r;
	struct buf b = { 0 };

	*way = (struct route_way){ 0 };
	address_write(&b, q->address);
	query.address = buf_get(&b);
	mta_rewrite(c->rules, c->mappings, &calls, &query, &r);
	way->result = r.result;
	way->v = r.v;
	if (r.result == MTA_RW_OK)
		way_found(c, &r, a, way);
	mta_rewritten_fini(&r);
	buf_fini(&b);
}

/* ---- what needs no directory -------------------------------------------------------------- */

static enum mta_answer
fixed_local_domain(void *arg, struct slice domain)
{
	(void)arg;
	(void)domain;
	return MTA_LATER;
}

bool
route_fixed(const struct channels *c, struct slice domain, struct arena *a, const char **channel,
    const char **host)
{
	const struct mta_calls calls = { .local_domain = fixed_local_domain };
	struct mta_rewritten r;
	struct address addr;
	struct slice via;
	bool fixed = false;
	struct mta_query q = { .address = slice_str(arena_printf(a, "x@" SFMT, SARG(domain))) };

	mta_rewrite(c->rules, c->mappings, &calls, &q, &r);
	if (r.result == MTA_RW_OK && !is_directory(r.channel) &&
	    route_parse(a, buf_get(&r.address), &addr, &via)) {
		*channel = arena_str(a, r.channel->name);
		*host = route_host(c, &r, via, addr.domain, a);
		fixed = true;
	}
	mta_rewritten_fini(&r);
	return fixed;
}

bool
route_sender(const struct channels *c, const struct address *from, const char *source,
    struct arena *a, struct address *out)
{
	const struct mta_general *general = c->general;
	const struct mta_calls calls = { .arg = &general, .general = route_general };
	struct mta_query q = { .source = slice_str(source), .backward = true };
	struct mta_rewritten r;
	struct slice via;
	struct buf b = { 0 };
	bool changed;

	if (c->made || (from->flags & (ADDRESS_NULL | ADDRESS_POSTMASTER | ADDRESS_BARE)))
		return false;
	address_write(&b, from);
	q.address = buf_get(&b);
	mta_rewrite(c->rules, c->mappings, &calls, &q, &r);
	changed = r.result == MTA_RW_OK && !slice_eq(buf_get(&r.address), q.address) &&
	    route_parse(a, buf_get(&r.address), out, &via);
	mta_rewritten_fini(&r);
	buf_fini(&b);
	return changed;
}
