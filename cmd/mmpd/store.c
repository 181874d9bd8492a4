/* mmpd/store.c: the stores: where they are, and how one logs in there.
 *
 * Owns a struct for each host name that the directory has named (a worker's own, STORES of them at most, for
 * good), and the addresses that DNS gave it; reach.c and probe.c ask.  Nothing can fail.  What must stay true:
 * where a store was is a better answer than none. */
#include "base/log.h"
#include "base/mem.h"
#include "mmpd.h"

#define STORES 10000
/* What DNS says is believed so long at least and at most; s. */
#define TTL_LEAST 5
#define TTL_MOST  300

struct mmpd_store *
mmpd_store_get(struct slice host)
{
	struct mmpd_store *st = map_get(&mmpd.stores, host);

	if (st || mmpd.stores.n >= STORES)
		return st;
	st = mem_new(sizeof(*st));
	st->host = mem_strn(host.p, host.n);
	for (uint8_t role = 0; role < MMPD_ROLES; role++) {
		st->ways[role].store = st;
		st->ways[role].role = role;
		list_init(&st->ways[role].waiting);
	}
	map_put(&mmpd.stores, slice_str(st->host), st);
	return st;
}

static const struct mmpd_section *
mmpd_store_section(const struct mmpd_store *st)
{
	const struct mmpd_section *all = NULL;

	for (struct mmpd_section **p = config.sections; p && *p; p++) {
		if (slice_ieq(slice_str((*p)->name), slice_str(st->host)))
			return *p;
		if (strcmp((*p)->name, "*") == 0)
			all = *p;
	}
	return all;
}

struct mmpd_section
mmpd_store_own(const struct mmpd_store *st)
{
	static char none[] = "";
	const struct mmpd_section *sec = mmpd_store_section(st);

	return sec ? *sec :
		     (struct mmpd_section){ .address = none,
			     .user = none,
			     .password = none,
			     .certificate_name = none };
}

enum line_client_tls
mmpd_store_tls(const struct mmpd_section *own, enum mmpd_role role)
{
	/* What a section says of ports that are TLS's from the first octet is no word about ManageSieve's, but
	 * that there is TLS. */
	if (role == MMPD_SIEVE && own->tls - 1 == LINE_CLIENT_IMPLICIT)
		return config.sieve_tls == LINE_CLIENT_IMPLICIT ? LINE_CLIENT_IMPLICIT :
								  LINE_CLIENT_STARTTLS;
	return (enum line_client_tls)(own->tls ? own->tls - 1 :
		role == MMPD_SUBMISSION        ? config.relay_tls :
		role == MMPD_SIEVE             ? config.sieve_tls :
						 config.tls);
}

int
mmpd_store_port(const struct mmpd_section *own, enum mmpd_role role)
{
	return (int)(own->port[role] ? own->port[role] : config.port[role]);
}

const char *
mmpd_store_name(const struct mmpd_store *st, const struct mmpd_section *own)
{
	return *own->certificate_name ? own->certificate_name : st->host;
}

const char *
mmpd_store_where(const struct mmpd_store *st, const struct mmpd_section *own)
{
	return *own->address ? own->address : st->host;
}

/* ---- addresses -------------------------------------------------------------------------------- */

bool
mmpd_store_known(const struct mmpd_store *st)
{
	return st->naddrs > 0 && loop_now(mmpd.loop) < st->fresh_until;
}

bool
mmpd_store_found(struct mmpd_store *st, const struct dns_answer *a)
{
	uint64_t ttl = a->ttl < TTL_LEAST ? TTL_LEAST : a->ttl > TTL_MOST ? TTL_MOST : a->ttl;

	if (a->status == 0 && a->naddrs > 0) {
		st->naddrs = a->naddrs < MMPD_ADDRESSES ? a->naddrs : MMPD_ADDRESSES;
		st->addrs = mem_grow(st->addrs, st->naddrs, sizeof(*st->addrs));
		memcpy(st->addrs, a->addrs, st->naddrs * sizeof(*st->addrs));
	} else if (st->naddrs == 0) {
		return false;
	} else {
		ttl = TTL_LEAST;
	}
	st->fresh_until = loop_now(mmpd.loop) + ttl * 1000;
	return true;
}

size_t
mmpd_store_addresses(const struct mmpd_store *st, int port, struct addr *a)
{
	memcpy(a, st->addrs, st->naddrs * sizeof(*a));
	for (size_t i = 0; i < st->naddrs; i++)
		addr_set_port(&a[i], port);
	return st->naddrs;
}

/* ---- for operators ------------------------------------------------------------------------------ */

void
mmpd_store_status(struct buf *out)
{
	const struct mmpd_store *st;
	size_t at = 0;

	while ((st = map_next(&mmpd.stores, &at)))
		for (size_t role = 0; role < MMPD_ROLES; role++)
			mmpd_way_status(&st->ways[role], out);
}

void
mmpd_store_forget_addresses(void)
{
	struct mmpd_store *st;
	size_t at = 0;

	while ((st = map_next(&mmpd.stores, &at)))
		st->fresh_until = 0;
}

/* A host, or an address, without a port. */
static bool
mmpd_store_is_host(const char *text)
{
	struct addr a;

	return !strchr(text, ':') || (addr_parse(slice_str(text), &a) == 0 && addr_port(&a) == 0);
}

/* Whom we prove to be there by our certificate or by our address: nothing to prove it with is in its section. */
static bool
mmpd_store_is_relay(const struct mmpd_section *sec)
{
	for (char **r = config.relays; r && *r; r++)
		if (slice_ieq(slice_str(*r), slice_str(sec->name)))
			return true;
	return sec->port[MMPD_SUBMISSION] != 0;
}

bool
mmpd_store_check(struct buf *why)
{
	bool good = true;

	for (struct mmpd_section **p = config.sections; p && *p; p++) {
		const struct mmpd_section *sec = *p;
		int tls = sec->tls ? sec->tls - 1 : config.tls;
		const char *wrong = NULL;

		if (sec->auth == MMPD_MASTER && (!*sec->user || !*sec->password))
			wrong = "auth = master: needs master and master_password";
		else if (sec->auth == MMPD_EXTERNAL && tls == LINE_CLIENT_PLAIN &&
		    !mmpd_store_is_relay(sec))
			wrong = "auth = external: needs TLS";
		else if (!mmpd_store_is_host(sec->address))
			wrong =
			    "address: a host or an address; its ports are imap_port and pop3_port";
		if (!wrong)
			continue;
		buf_printf(why, "%s: [host %s] %s\n", conf_where(&sec->auth), sec->name, wrong);
		good = false;
	}
	if (config.tls == LINE_CLIENT_PLAIN && (!config.sections || !*config.sections)) {
		buf_printf(why, "%s: store.tls = off: EXTERNAL needs TLS\n",
		    conf_where(&config.tls));
		good = false;
	}
	if (config.tls != LINE_CLIENT_PLAIN && (!*shared.tls_cert || !*shared.tls_key))
		buf_printf(why, "warning: %s: stores let nobody in without our certificate\n",
		    conf_where(&shared.tls_cert));
	return good;
}
