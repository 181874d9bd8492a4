/* base.c: does the directory show us anything at all?
 *
 * A base with a typing error, an account that may see nothing, a server without the data: to a
 * search all of them look like "there is no such entry", and that would refuse a site's mail for
 * good.  So absence is believed only of a directory that has shown something lately: a domain
 * below ldap.base before "no such domain", a user below the domain before "no such user".
 * Whoever doubts (fetch.c) asks a proof, a search for any one entry; what it finds is good for
 * SHOWN_MS.  While there is nothing to be seen answers are temporary, the log says why, and the
 * base is looked at again by itself every AGAIN_MS.
 *
 * Owns dir.base and its times; nothing here waits.  A domain with a smart host may well have no
 * users here, and is not doubted. */
#include "base/log.h"
#include "conf/shared.h"
#include "daemon/daemon.h"
#include "directory/directory-impl.h"

#define SHOWN_MS    60000 /* how long it is remembered that something was there */
#define HOPELESS_MS 1000  /* and that nothing was */
#define AGAIN_MS    10000
#define TELL_MS     60000 /* between two lines of log about the same */

static bool
base_fresh(const struct dir *d, uint64_t shown_at)
{
	return shown_at && shown_at >= d->up_at && loop_now(d->loop) - shown_at < SHOWN_MS;
}

bool
dir_base_believed(struct dir *d, const struct record *domain)
{
	if (!domain)
		return base_fresh(d, d->shown_at);
	return domain->domain.smarthost.n || base_fresh(d, domain->shown_at);
}

bool
dir_base_hopeless(struct dir *d)
{
	return d->base == DIR_BASE_BAD && loop_now(d->loop) - d->checked_at < HOPELESS_MS;
}

static void
base_move(struct dir *d, enum dir_base to)
{
	if (d->base == DIR_BASE_BAD && to == DIR_BASE_GOOD)
		log_event(LOG_INFO, "ldap_base", "base=%s result=ok", log_str(shared.ldap_base));
	d->base = to;
	if (d->metric >= 0)
		metric_set((size_t)d->metric, to == DIR_BASE_BAD);
}

void
dir_base_shown(struct dir *d, struct record *domain)
{
	if (domain) {
		domain->shown_at = loop_now(d->loop);
		return;
	}
	d->shown_at = loop_now(d->loop);
	base_move(d, DIR_BASE_GOOD);
}

void
dir_base_filter(struct buf *b, const struct record *domain)
{
	/* The classes have an index, presence has none: it is looked at entry by entry. */
	buf_str(b,
	    domain ? "(&(|(objectClass=inetMailUser)(objectClass=mailRecipient)"
		     "(objectClass=inetLocalMailRecipient)(objectClass=inetMailGroup))"
		     "(|(mail=*)(mailAlternateAddress=*)))" :
		     dir_schema()->proof);
}

static bool
base_may_tell(struct dir *d)
{
	uint64_t now = loop_now(d->loop);

	if (d->told_at && now - d->told_at < TELL_MS)
		return false;
	d->told_at = now;
	return true;
}

enum say
dir_base_result(struct dir *d, struct record *domain, bool shown, int code)
{
	const char *why =
	    code == LDAP_SUCCESS ? "nothing to be seen below it" : ldap_err2string(code);

	if (shown) {
		dir_base_shown(d, domain);
		return SAY_OK;
	}
	if (domain) {
		if (base_may_tell(d))
			log_event(LOG_ERROR, "ldap_no_users", "domain=%s base=%s why=%s",
			    log_value(domain->domain.name), log_str(domain->base.p), log_str(why));
		return SAY_BLIND;
	}
	d->shown_at = 0;
	d->checked_at = loop_now(d->loop);
	slice_cstr(slice_str(why), d->base_why, sizeof(d->base_why));
	if (d->base != DIR_BASE_BAD || base_may_tell(d)) {
		d->told_at = d->checked_at;
		log_event(LOG_ERROR, "ldap_base", "base=%s bind_dn=%s result=bad why=%s",
		    log_str(shared.ldap_base), log_str(shared.ldap_bind_dn), log_str(why));
	}
	base_move(d, DIR_BASE_BAD);
	dir_wake_at(d, d->checked_at + AGAIN_MS);
	return SAY_BLIND;
}

void
dir_base_expire(struct dir *d, uint64_t now)
{
	if (d->base != DIR_BASE_BAD || now < d->checked_at + AGAIN_MS)
		return;
	d->checked_at = now;
	dir_fetch_check(d);
}

uint64_t
dir_base_next(struct dir *d)
{
	return d->base == DIR_BASE_BAD ? d->checked_at + AGAIN_MS : UINT64_MAX;
}

void
dir_base_status(const struct dir *d, struct buf *out)
{
	static const char *const words[] = { "unknown", "good", "bad" };

	buf_printf(out, " base=%s", words[d->base]);
	if (d->base == DIR_BASE_BAD)
		buf_printf(out, "\nerror: ldap.base %s: %s", shared.ldap_base, d->base_why);
}
