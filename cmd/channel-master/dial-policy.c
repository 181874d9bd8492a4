/* channel-master/dial-policy.c: how the host that is dialled is to be known: DANE, else MTA-STS, else as the channel says.
 *
 *	dial_policy_begin -> TLSA records of its base domains -> the domain's MTA-STS policy -> dial_next_address
 *	                                       \-> dial_next_host, where nothing that was said can be believed
 *
 * Owns what d->policy, d->sts and d->bases say.  Called by dial.c for each host.  Can fail: the DNS; then a host that should
 * be known by it is passed over.  Must stay true: who keeps an answer back gains nothing by it (RFC 7672 2.1.2,
 * RFC 8461 5.1). */
#include <errno.h>
#include <stdio.h>
#include "base/must.h"
#include "dial-impl.h"
#include "sts.h"
#include "tls-record.h"

/* A policy that could not be had, or that leaves a host out before there is a connection. */
void
dial_policy_record(struct dial *d, enum policy_source source, const char *host, const char *result,
    const char *why)
{
	struct policy p = { .source = source };

	slice_cstr(slice_str(host ? host : d->site->host), p.name, sizeof(p.name));
	tls_record(&(struct tls_try){ .site = d->site,
	    .policy = &p,
	    .sts = &d->sts,
	    .host = host,
	    .result = result,
	    .why = why });
}

/* ---- a login, and REQUIRETLS: who must be known (RFC 8689 4.2.1) ------------------------------------------ */

/* Is it sure that only the host that is meant, and whose name nobody has made up on the way, gets past the handshake? */
static bool
dial_proven(const struct dial *d)
{
	return d->policy.level == POLICY_DANE ||
	    (d->policy.level == POLICY_VERIFY &&
		(d->policy.source == POLICY_OF_STS || !d->site->mx || d->secure));
}

/* How the host in hand is to be known is settled. */
static void
dial_known(struct dial *d)
{
	bool login = d->site->login && d->policy.level != POLICY_VERIFY;
	struct verdict v;

	if (!login && (!d->site->tls_required || dial_proven(d))) {
		dial_next_address(d);
		return;
	}
	v = login            ? verdict(OUT_LOGIN_NO_TLS, d->host) :
	    d->site->lmtp    ? verdict(OUT_REQUIRETLS_TIER, d->host) :
	    d->sts_uncertain ? verdict(OUT_REQUIRETLS_LATER, d->host) :
			       verdict(OUT_REQUIRETLS_WHO, d->host);
	slice_cstr(slice_str(d->host), d->peer, sizeof(d->peer));
	if (login)
		login_wrong(d->peer, &v);
	dial_note(d, &v, NULL);
	dial_next_host(d);
}

/* ---- MTA-STS: what the domain says of its hosts (RFC 8461) ---------------------------------- */

static void
sts_apply(struct dial *d)
{
	struct verdict v;

	if (d->sts.mode == SMTP_STS_NONE) {
		dial_known(d);
		return;
	}
	if (d->sts.mode == SMTP_STS_ENFORCE && !smtp_sts_lists(&d->sts, slice_str(d->host))) {
		v = verdict(OUT_STS_NOT_LISTED, d->host);
		slice_cstr(slice_str(d->host), d->peer, sizeof(d->peer));
		dial_note(d, &v, "validation-failure");
		dial_policy_record(d, POLICY_OF_STS, d->host, "validation-failure", v.text);
		dial_next_host(d);
		return;
	}
	d->unlisted = !smtp_sts_lists(&d->sts, slice_str(d->host));
	policy_sts(&d->policy, &d->sts, d->host);
	dial_known(d);
}

static void
sts_found(void *arg, const struct sts_answer *a)
{
	struct dial *d = CAST(arg, struct dial, DIAL_MAGIC);

	d->sts_known = true;
	if (a->policy)
		smtp_sts_copy(&d->sts, a->policy);
	d->sts_uncertain = a->result && !a->policy;
	if (a->result)
		dial_policy_record(d, POLICY_OF_STS, NULL, a->result, a->why);
	sts_apply(d);
}

/* DANE has said nothing of the host in hand (RFC 8461 2). */
static void
sts_begin(struct dial *d)
{
	if (!policy_sts_asked(d->site))
		dial_known(d);
	else if (d->sts_known)
		sts_apply(d);
	else
		sts_start(d->site->host, &d->op, sts_found, d);
}

/* ---- DANE: how the host in hand is to be known (RFC 7672 2.2) ------------------------------ */

static void dane_next(struct dial *d);

/* Signed records that are wrong or held back would be an open door, were the host tried without them
 * (RFC 7672 2.1.2, 2.1.3). */
static void
dane_skip(struct dial *d)
{
	struct verdict v = verdict(OUT_DANE_DNS, d->host);

	slice_cstr(slice_str(d->host), d->peer, sizeof(d->peer));
	dial_note(d, &v, "dnssec-invalid");
	dial_policy_record(d, POLICY_OF_DANE, d->host, "dnssec-invalid", v.text);
	dial_next_host(d);
}

static void
dane_found(void *arg, const struct dns_answer *a)
{
	struct dial *d = CAST(arg, struct dial, DIAL_MAGIC);

	count_dns(a);
	if (a->status == -EAGAIN) {
		dane_skip(d);
		return;
	}
	if (a->status == 0 && a->security == DNS_SECURE && a->tlsa.seen) {
		policy_dane(&d->policy, d->bases[d->nbases], d->site->host, &a->tlsa);
		dial_known(d);
		return;
	}
	dane_next(d);
}

/* The base domain that is next; without one it is MTA-STS' turn. */
static void
dane_next(struct dial *d)
{
	if (d->nbases == 0) {
		sts_begin(d);
		return;
	}
	d->nbases--;
	dns_tlsa_start(master.dns, d->bases[d->nbases], addr_port(&d->addrs[0]), &d->op, dane_found,
	    d);
}

/* The addresses behind an alias are not signed; the alias itself may be, and then so are the records beside
 * it. */
static void
dane_alias(void *arg, const struct dns_answer *a)
{
	struct dial *d = CAST(arg, struct dial, DIAL_MAGIC);

	count_dns(a);
	if (a->status == -EAGAIN) {
		dane_skip(d);
		return;
	}
	if (a->security != DNS_SECURE)
		d->nbases = 0;
	dane_next(d);
}

static void
dane_base(struct dial *d, const char *name)
{
	struct slice s = slice_str(name);

	s.n -= slice_ends(s, S("."));
	slice_cstr(s, d->bases[d->nbases++], sizeof(d->bases[0]));
}

/* `a`: what was found of its addresses. */
static void
dane_begin(struct dial *d, const struct dns_answer *a)
{
	d->nbases = 0;
	if (a->security == DNS_BOGUS || (a->security == DNS_SECURE && a->partial)) {
		dane_skip(d);
		return;
	}
	if (a->security == DNS_SECURE || a->canonical)
		dane_base(d, d->host);
	if (a->security == DNS_SECURE && a->canonical)
		dane_base(d, a->canonical);
	if (a->security != DNS_SECURE && a->canonical)
		dns_alias_start(master.dns, d->host, &d->op, dane_alias, d);
	else
		dane_next(d);
}

void
dial_policy_begin(struct dial *d, const struct dns_answer *a)
{
	policy_fini(&d->policy);
	policy_of_site(&d->policy, d->site, d->host);
	d->unlisted = false;
	if (d->secure && policy_dane_asked(d->site))
		dane_begin(d, a);
	else
		sts_begin(d);
}
