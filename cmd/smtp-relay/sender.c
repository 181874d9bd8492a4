/* sender.c: the sender of a stranger, at MAIL on mx listeners: is his domain there, and may it be one of ours?
 *
 * Owns the question in flight; session.c asks when all else of MAIL is good.  Can fail: DNS and the directory, which is
 * 4xx and never a refusal.  Must stay true: the null sender is nobody's and is always taken, or reports would be lost;
 * and who is of relay.networks or a store may send as anybody, for he sends others' mail on. */
#include "guard.h"

#include "base/must.h"

static void
sender_over(struct session *s, const struct verdict *no)
{
	void (*then)(struct session *, const struct verdict *) = s->sender_then;

	s->sender_then = NULL;
	then(s, no);
}

/* ---- is it ours? ------------------------------------------------------------------------- */

static bool
sender_excepted(const struct session *s)
{
	for (char **n = config.sender_own_networks; n && *n; n++)
		if (addr_in(&s->peer, slice_str(*n)) > 0)
			return true;
	return false;
}

static void
sender_own_found(void *arg, const struct dir_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct verdict v;

	if (a->v.kind == TEMP) {
		sender_over(s, &a->v);
	} else if (!a->domain || (config.sender_own == SENDER_OWN_KNOWN && (a->user || a->group))) {
		sender_over(s, NULL);
	} else {
		v = config.sender_own == SENDER_OWN_KNOWN ? verdict(OUT_SENDER_NOBODY) :
							    verdict(OUT_SENDER_OURS);
		sender_over(s, &v);
	}
}

static void
sender_own(struct session *s)
{
	if (config.sender_own == SENDER_OWN_ANY || sender_excepted(s))
		sender_over(s, NULL);
	else
		dir_entry_start(relay.dir, s->from.local, s->from.domain, &s->op, sender_own_found,
		    s);
}

/* ---- is it there? ------------------------------------------------------------------------ */

static const char *
sender_domain_text(struct session *s)
{
	return arena_cstr(&s->smtp.arena, s->from.domain);
}

/* As DNS has it; NULL: it is no name that can be there. */
static const char *
sender_domain_ascii(struct session *s)
{
	struct buf ascii = { 0 };
	const char *name = NULL;

	if (domain_write_ascii(&ascii, s->from.domain) == 0)
		name = arena_cstr(&s->smtp.arena, buf_get(&ascii));
	buf_fini(&ascii);
	return name;
}

static void
sender_no(struct session *s, int status)
{
	struct verdict v = status == -EAGAIN ? verdict(OUT_DNS_AWAY, sender_domain_text(s)) :
					       verdict(OUT_SENDER_NO_DOMAIN, sender_domain_text(s));

	sender_over(s, &v);
}

static void
sender_addr_found(void *arg, const struct dns_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);

	if (a->status < 0)
		sender_no(s, a->status);
	else
		sender_own(s);
}

static void
sender_mx_found(void *arg, const struct dns_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct verdict v;

	if (a->status == -ENODATA) {
		dns_addr_start(guard.dns, sender_domain_ascii(s), &s->op, sender_addr_found, s);
	} else if (a->status < 0) {
		sender_no(s, a->status);
	} else if (a->nmx == 1 && !*a->mx[0].host) {
		v = verdict(OUT_SENDER_NULL_MX, sender_domain_text(s));
		sender_over(s, &v);
	} else {
		sender_own(s);
	}
}

/* The channel's word (mailfromdnsverify) goes before the configuration's. */
static bool
sender_domain_wanted(const struct session *s)
{
	const struct mta_channel *c = relay_channel(s);

	return c && c->mailfrom_dns >= 0 ? c->mailfrom_dns > 0 : config.sender_domain;
}

static void
sender_domain(struct session *s)
{
	const char *name;

	if (s->from.flags & ADDRESS_NULL)
		sender_over(s, NULL);
	else if (!sender_domain_wanted(s) || !guard.dns || s->from.flags & ADDRESS_LITERAL)
		sender_own(s);
	else if (!(name = sender_domain_ascii(s)))
		sender_no(s, -ENOENT);
	else
		dns_mx_start(guard.dns, name, &s->op, sender_mx_found, s);
}

/* ---- lists of domains -------------------------------------------------------------------- */

static void
sender_judged(struct session *s, const struct guard_lists_answer *a, const char *what)
{
	struct verdict v;

	s->sender_score += a->score;
	if (s->sender_score < config.guard_threshold)
		return;
	v = verdict(OUT_SENDER_LISTED, what, a->worst ? a->worst->zone : "a list");
	metric_add(M_GUARD_LISTED, 1);
	sender_over(s, &v);
}

static void
sender_on_lists(void *arg, const struct guard_lists_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);

	s->sender_asked = NULL;
	sender_judged(s, a, sender_domain_text(s));
	if (s->sender_then)
		sender_domain(s);
}

static void
sender_lists(struct session *s)
{
	if (!(s->from.flags & ADDRESS_NULL))
		s->sender_asked =
		    guard_lists_ask(GUARD_OF_SENDER, &s->peer, s->from.domain, sender_on_lists, s);
	if (!s->sender_asked)
		sender_domain(s);
}

static void
sender_on_helo(void *arg, const struct guard_lists_answer *a)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);

	s->sender_asked = NULL;
	sender_judged(s, a, s->smtp.helo);
	if (s->sender_then)
		sender_lists(s);
}

/* ---- the question ------------------------------------------------------------------------ */

void
sender_judge(struct session *s, void (*then)(struct session *, const struct verdict *))
{
	if (s->role != ROLE_MX || s->trusted) {
		then(s, NULL);
		return;
	}
	s->sender_then = then;
	s->sender_score = 0;
	s->sender_asked =
	    guard_lists_ask(GUARD_OF_HELO, &s->peer, slice_str(s->smtp.helo), sender_on_helo, s);
	if (!s->sender_asked)
		sender_lists(s);
}

void
sender_forget(struct session *s)
{
	guard_lists_cancel(&s->sender_asked);
	s->sender_then = NULL;
}
