/* address.c: an address through the rewrite rules and to the directory.
 *
 * Called for each node that is an address.  The rules are pure and quick, so they are simply asked again
 * when the directory has answered what they wanted to know.  A question to the directory has up to three
 * addresses, one after the other: as written, at the host's own name as one of default_domain's users,
 * and for postmaster and abuse the postmaster of the configuration.  Must stay true: an outage is a
 * temporary verdict and never the decision that an address is foreign or unknown; a postmaster is never
 * refused by what the directory says of one. */
#include "base/log.h"
#include "base/must.h"
#include "conf/shared.h"
#include "expand/expand-impl.h"

static void address_decide(struct task *t);
static void address_found(void *arg, const struct dir_answer *a);

struct slice
expand_plain(struct slice value)
{
	size_t open;

	value = slice_trim(value);
	if (slice_istarts(value, S("mailto:")))
		value = slice_trim(slice_from(value, 7));
	open = slice_rfind(value, '<');
	if (open < value.n && slice_ends(value, S(">")))
		value = slice_sub(value, open + 1, value.n - open - 2);
	return value;
}

/* Whose copy it is: where his mailRoutingAddress is at fault his own. */
static struct slice
held_address(const struct task *t)
{
	const struct node *n = t->node;

	if (!n->by_admin || !n->parent)
		return t->text.n ? t->text : expand_plain(n->text);
	while (n->by_admin && n->parent)
		n = n->parent;
	return n->address;
}

void
expand_temporary(struct task *t, const struct verdict *v)
{
	struct run *x = t->run;

	if (expand_away(v) || !t->node->list || expand_asked(x, t->node)) {
		expand_decide(x, v);
		return;
	}
	expand_fail(x, t->node, *v);
	expand_leg_add(x, t->node, ROUTE_LMTP, shared.hostname, held_address(t), EXPAND_HELD, 0);
	expand_task_end(t);
}

static void
address_failed(struct task *t, struct verdict v)
{
	v = expand_blame(t->run, t->node, v);
	if (v.kind == TEMP) {
		expand_temporary(t, &v);
		return;
	}
	expand_fail(t->run, t->node, v);
	expand_task_end(t);
}

/* ---- the directory ------------------------------------------------------------------------- */

/* Asks for one address.  The parts may be borrowed from anywhere. */
static void
address_ask(struct task *t, struct slice local, struct slice domain)
{
	const struct expand_directory *d = &t->run->e->p.directory;
	struct arena *a = &t->run->arena;

	if (t->nknown == ASKS_MAX) {
		address_failed(t, verdict(OUT_REWRITE_CIRCLE));
		return;
	}
	t->asked =
	    (struct address){ .local = arena_slice(a, local), .domain = arena_slice(a, domain) };
	t->at = ASKED_AS_WRITTEN;
	t->instead = S("");
	t->role = slice_ieq(local, S("postmaster")) || slice_ieq(local, S("abuse"));
	t->host = slice_ieq(domain, slice_str(shared.hostname));
	d->entry(d->arg, t->asked.local, t->asked.domain, &t->op, address_found, t);
}

/* The next question.  Its address is kept: the mail goes there. */
static void
address_ask_instead(struct task *t, struct slice local, struct slice domain)
{
	const struct expand_directory *d = &t->run->e->p.directory;
	char *text = arena_printf(&t->run->arena, SFMT "@" SFMT, SARG(local), SARG(domain));

	t->instead = slice_str(text);
	local = slice_sub(t->instead, 0, local.n);
	domain = slice_from(t->instead, local.n + 1);
	d->entry(d->arg, local, domain, &t->op, address_found, t);
}

/* The host's own name is a local domain, whether the directory knows it or not: its users are
 * those of default_domain.  False: there is nobody else to ask. */
static bool
ask_for_host(struct task *t)
{
	struct slice domain = slice_str(shared.default_domain);

	if (t->at != ASKED_AS_WRITTEN || domain.n == 0 ||
	    slice_ieq(domain, slice_str(shared.hostname)))
		return false;
	t->at = ASKED_FOR_HOST;
	address_ask_instead(t, t->asked.local, domain);
	return true;
}

/* RFC 5321 4.5.1 and RFC 2142 5: every domain that we take mail for has a postmaster and somebody
 * who hears of abuse: he of tiermail.conf, else postmaster of default_domain. */
static bool
ask_for_postmaster(struct task *t)
{
	struct slice all = slice_str(shared.postmaster);
	size_t at = slice_rfind(all, '@');

	if (t->at == ASKED_POSTMASTER)
		return false;
	t->at = ASKED_POSTMASTER;
	if (all.n && at < all.n)
		address_ask_instead(t, slice_sub(all, 0, at), slice_from(all, at + 1));
	else if (*shared.default_domain)
		address_ask_instead(t, all.n ? all : S("postmaster"),
		    slice_str(shared.default_domain));
	else
		return false;
	return true;
}

void
expand_keep_role(struct task *t)
{
	if (ask_for_postmaster(t))
		return;
	log_event(LOG_ERROR, "no_postmaster", "postmaster=%s", log_str(shared.postmaster));
	expand_leg_add(t->run, t->node, ROUTE_LMTP, shared.hostname, t->text,
	    "nobody is postmaster: see postmaster in tiermail.conf", 0);
	expand_task_end(t);
}

/* The alias file, for names of this host and of default_domain that the directory has not. */
static const struct mta_alias *
address_alias(const struct task *t)
{
	if (t->at == ASKED_POSTMASTER ||
	    (!t->host && !slice_ieq(t->asked.domain, slice_str(shared.default_domain))))
		return NULL;
	return mta_aliases_find(t->run->e->p.channels->aliases, t->asked.local, t->asked.domain);
}

/* The rules came to the directory, which knows the domain, and has nobody of that name. */
static void
address_nobody(struct task *t, const struct dir_answer *a)
{
	struct slice smarthost = a->domain ? a->domain->smarthost : S("");
	const struct mta_alias *alias = address_alias(t);

	if (alias) {
		expand_alias(t, alias);
	} else if (smarthost.n) {
		if (expand_asked(t->run, t->node) && address_leads_on(t->asked.local))
			t->run->result.ours = false; /* it might go on from there */
		expand_leg_add(t->run, t->node, ROUTE_SMTP,
		    route_domain_key(&t->run->arena, smarthost), t->text, t->node->hold, 0);
		expand_task_end(t);
	} else if (t->role) {
		expand_keep_role(t);
	} else {
		address_failed(t, verdict(OUT_USER_UNKNOWN));
	}
}

/* Is the domain that was asked for ours?  The host's own name is. */
static bool
address_ours(const struct task *t, const struct dir_answer *a)
{
	return a->domain || t->at != ASKED_AS_WRITTEN || (t->host && a->v.kind == PERM);
}

/* The rules came to a channel of the directory, and this is what it says. */
static void
address_known(struct task *t, const struct dir_answer *a)
{
	bool ours = address_ours(t, a);

	if (expand_asked(t->run, t->node)) {
		t->run->result.ours = ours || a->v.kind == TEMP;
		t->run->role = ours && t->role;
	}
	if (a->user)
		expand_user(t, a);
	else if (a->group)
		expand_group(t, a);
	else if (a->v.kind == TEMP && t->role && a->domain && t->at == ASKED_AS_WRITTEN)
		expand_keep_role(t);
	else if (a->v.kind == TEMP)
		address_failed(t, a->v);
	else if (ours)
		address_nobody(t, a);
	else
		address_failed(t, verdict(OUT_DOMAIN_NOT_OURS));
}

/* Do others route the mail of this domain (mailRoutingHosts)? */
static bool
routed_elsewhere(const struct dir_domain *d)
{
	for (size_t i = 0; i < d->routing_hosts.n; i++)
		if (slice_ieq(d->routing_hosts.v[i], slice_str(shared.hostname)))
			return false;
	return d->routing_hosts.n;
}

static void
address_found(void *arg, const struct dir_answer *a)
{
	struct task *t = CAST(arg, struct task, TASK_MAGIC);
	enum mta_answer answer;

	if (t->host && !a->domain && a->v.kind == PERM && ask_for_host(t))
		return;
	if (t->at == ASKED_POSTMASTER) {
		address_known(t, a);
		return;
	}
	answer = !address_ours(t, a)                 ? a->v.kind == TEMP ? MTA_TEMP : MTA_NO :
	    a->domain && routed_elsewhere(a->domain) ? MTA_NO :
						       MTA_YES;
	t->known[t->nknown].domain = t->asked.domain;
	t->known[t->nknown].ours = a->domain;
	t->known[t->nknown++].answer = answer;
	t->found = a;
	address_decide(t);
}

/* ---- the rules ------------------------------------------------------------------------------ */

static enum mta_answer
address_local_domain(void *arg, struct slice domain)
{
	struct task *t = CAST(arg, struct task, TASK_MAGIC);

	for (size_t i = 0; i < t->nknown; i++)
		if (slice_ieq(t->known[i].domain, domain))
			return t->known[i].answer;
	t->wanted = arena_slice(&t->run->arena, domain);
	return MTA_LATER;
}

/* At a channel of the directory. */
static void
decide_directory(struct task *t, const struct address *addr)
{
	const struct dir_answer *a = t->found;

	t->found = NULL;
	if (a && slice_eq(t->asked.local, addr->local) && slice_eq(t->asked.domain, addr->domain))
		address_known(t, a);
	else
		address_ask(t, addr->local, addr->domain);
}

/* The rules name no channel.  Where that is because the directory is away, its own words say more. */
static void
decide_refused(struct task *t, const struct route_way *way)
{
	const struct dir_answer *a = t->found;
	bool away = way->result == MTA_RW_TEMP && a && a->v.kind == TEMP;

	t->found = NULL;
	address_failed(t, away ? a->v : way->v);
}

/* The rules name a channel.  Ours is what goes to a domain of the directory, though others route its mail;
 * one on the way there (user%elsewhere@ours) is anybody's choice. */
static void
decide_channel(struct task *t, const struct route_way *way)
{
	struct run *x = t->run;
	const struct channel *c = channels_find(x->e->p.channels, slice_str(way->channel));
	const char *hold = t->node->hold;

	t->found = NULL;
	if (x->walk && c && channel_expands(c) && c->protocol != CHANNEL_HOLD) {
		address_failed(t, verdict(OUT_EXPAND_AGAIN));
		return;
	}
	if (!hold && c && c->protocol == CHANNEL_HOLD)
		hold = "the rules say hold";
	for (size_t i = 0; i < t->nknown && t->node == &x->root; i++)
		if (t->known[i].ours && !address_leads_on(way->address.local) &&
		    slice_ieq(t->known[i].domain, way->address.domain))
			x->result.ours = true;
	expand_leg_add(x, t->node, way->channel, way->host, way->text, hold, 0);
	expand_task_end(t);
}

static void
address_decide(struct task *t)
{
	struct run *x = t->run;
	struct route_query q = { .address = &t->addr,
		.source = x->source,
		.mailhost = t->found && t->found->user ? t->found->user->mailhost : S(""),
		.local_domain = address_local_domain,
		.arg = t };
	struct route_way way;

	route_rewrite(x->e->p.channels, &q, &x->arena, &way);
	t->text = way.text;
	if (way.result == MTA_RW_OK && expand_asked(x, t->node)) {
		x->result.decided = way.decided;
		x->result.rewritten = arena_cstr(&x->arena, way.text);
	}
	if (way.result == MTA_RW_LATER) {
		t->found = NULL;
		address_ask(t, t->addr.local, t->wanted);
	} else if (way.result != MTA_RW_OK) {
		decide_refused(t, &way);
	} else if (way.directory) {
		decide_directory(t, &way.address);
	} else if (way.v.kind != OK) {
		t->found = NULL;
		address_failed(t, way.v);
	} else {
		decide_channel(t, &way);
	}
}

/* ---- where it begins ------------------------------------------------------------------------ */

/* The domain in lower case, as tables have it. */
static void
address_take(struct task *t, const struct address *from)
{
	char *domain = arena_cstr(&t->run->arena, from->domain);

	for (char *p = domain; *p; p++)
		*p = ascii_lower(*p);
	t->addr = *from;
	t->addr.domain = slice(domain, from->domain.n);
	address_decide(t);
}

static void
address_begin(struct task *t, struct slice text)
{
	struct address addr;
	const char *why;

	if (address_parse(expand_plain(text), ADDRESS_UTF8, &t->run->arena, &addr, &why) == 0)
		address_take(t, &addr);
	else if (t->node->by_admin)
		address_failed(t, verdict(OUT_ROUTING_BAD));
	else
		address_failed(t,
		    t->node->list ? verdict(OUT_GROUP_MEMBER) : verdict(OUT_FORWARD_BAD));
}

void
expand_address(struct task *t)
{
	struct run *x = t->run;

	if (t->node == &x->root && x->address.local.p)
		address_take(t, &x->address);
	else
		address_begin(t, t->node->text);
}

/* A member by DN has an address, which is looked at like any other: status, lists and forwarding. */
void
expand_member_found(void *arg, const struct dir_answer *a)
{
	struct task *t = CAST(arg, struct task, TASK_MAGIC);

	if (a->v.kind == TEMP) {
		expand_decide(t->run, &a->v);
	} else if (a->member.n) {
		t->node->text = arena_slice(&t->run->arena, a->member);
		address_begin(t, t->node->text);
	} else {
		t->run->unseen = true; /* gone, or not for us to see */
		address_failed(t, verdict(OUT_GROUP_MEMBER));
	}
}
