/* mmpd/store.c: the stores: where they are, and how one logs in there.
 *
 * Owns nothing: hosts and their addresses are lib/backend's; here is what configuration says of them.  reach.c
 * and probe.c ask.  Nothing can fail but the check.  What must stay true: who is no relay of ours and proves us
 * by our certificate is reached by TLS. */
#include "base/log.h"
#include "base/mem.h"
#include "mmpd.h"

/* ---- which of them answer: lib/backend's, with our metrics and our probe ------------------------------ */

static void
mmpd_store_event(enum backend_event ev)
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

static const char *const ways[MMPD_ROLES] = { "imap", "pop3", "submission", "sieve" };

const struct backend_rules mmpd_rules = {
	.ways = ways,
	.nways = NELEM(ways),
	.attempts = &config.attempts,
	.failures = &config.down_failures,
	.event = mmpd_store_event,
	.probe = mmpd_probe_start,
	.due = mmpd_probe_due,
	.in_vain = mmpd_reach_in_vain,
};

/* ---- as configured -------------------------------------------------------------------------------- */

static const struct mmpd_section *
mmpd_store_section(const struct backend *st)
{
	const struct mmpd_section *all = NULL;

	for (struct mmpd_section **p = config.sections; p && *p; p++) {
		if (slice_ieq(slice_str((*p)->name), slice_str(st->name)))
			return *p;
		if (strcmp((*p)->name, "*") == 0)
			all = *p;
	}
	return all;
}

struct mmpd_section
mmpd_store_own(const struct backend *st)
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
mmpd_store_name(const struct backend *st, const struct mmpd_section *own)
{
	return *own->certificate_name ? own->certificate_name : st->name;
}

const char *
mmpd_store_where(const struct backend *st, const struct mmpd_section *own)
{
	return *own->address ? own->address : st->name;
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
