/* channel-master/policy.c: what is asked of TLS in one try: see master.h.
 *
 *	channel or [host] of channels.conf (tls = ...) -> DANE, for a host that has secure TLSA records
 *	                                               -> else MTA-STS, for a domain that has a policy (RFC 8461 2)
 *
 * Called by dial.c for each host and by session.c.  Nothing here can fail.  Must stay true: what DANE and MTA-STS say
 * only ever demands more than tls = may, and stronger words of the configuration stand as they are. */
#include "base/must.h"
#include "master.h"

void
policy_of_site(struct policy *p, const struct site *site, const char *host)
{
	*p = (struct policy){ .source = POLICY_OF_CHANNEL };
	slice_cstr(slice_str(site->name ? site->name : host), p->name, sizeof(p->name));
	switch (site->tls) {
	case SMTP_TLS_OFF: p->level = POLICY_NONE; break;
	case SMTP_TLS_MAY: p->level = POLICY_MAY; break;
	case SMTP_TLS_MUST: p->level = mconf.tls_verify ? POLICY_VERIFY : POLICY_ENCRYPT; break;
	}
}

/* RFC 7672 2.2: with records of which none can be used TLS is a must, and nobody is asked who he is. */
void
policy_dane(struct policy *p, const char *base, const char *next_hop, const struct tlsa_set *set)
{
	must(p->level == POLICY_MAY && set->seen > 0);
	p->level = set->n ? POLICY_DANE : POLICY_ENCRYPT;
	p->source = POLICY_OF_DANE;
	slice_cstr(slice_str(base), p->name, sizeof(p->name));
	slice_cstr(slice_str(next_hop), p->other, sizeof(p->other));
	tlsa_set_copy(&p->tlsa, set);
}

/* RFC 8461 4.2, 5: its certificate is of a public authority, and for the name of the host. */
void
policy_sts(struct policy *p, const struct smtp_sts *sts, const char *host)
{
	struct slice name = slice_str(host);

	must(p->level == POLICY_MAY);
	name.n -= slice_ends(name, S("."));
	p->level = sts->mode == SMTP_STS_ENFORCE ? POLICY_VERIFY : POLICY_MAY;
	p->source = POLICY_OF_STS;
	slice_cstr(name, p->name, sizeof(p->name));
}

void
policy_copy(struct policy *to, const struct policy *from)
{
	*to = *from;
	tlsa_set_copy(&to->tlsa, &from->tlsa);
}

void
policy_fini(struct policy *p)
{
	tlsa_set_fini(&p->tlsa);
}

enum smtp_tls
policy_tls(const struct policy *p)
{
	return p->level == POLICY_NONE ? SMTP_TLS_OFF :
	    p->level == POLICY_MAY     ? SMTP_TLS_MAY :
					 SMTP_TLS_MUST;
}

const char *
policy_word(const struct policy *p)
{
	static const char *const words[] = { "none", "may", "encrypt", "verify", "dane" };

	if (p->source == POLICY_OF_DANE && p->level == POLICY_ENCRYPT)
		return "dane-unusable";
	if (p->source == POLICY_OF_STS && p->level != POLICY_NONE)
		return p->level == POLICY_VERIFY ? "sts" : "sts-testing";
	return words[p->level];
}

bool
policy_dane_asked(const struct site *site)
{
	return mconf.tls_dane && !site->tls_optional && !site->lmtp && site->tls == SMTP_TLS_MAY;
}

bool
policy_sts_asked(const struct site *site)
{
	return mconf.tls_sts && !site->tls_optional && site->mx && !site->lmtp &&
	    site->tls == SMTP_TLS_MAY;
}
