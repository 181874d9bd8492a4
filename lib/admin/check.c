/* check.c: what mail would stumble over, found before it does.
 *
 * Called as `check` of the table of verbs; it changes nothing.  Owns what it has read of the directory for
 * as long as it runs: some 400 bytes for each user.  Can fail as searches do; a finding is no failure.  Must
 * stay true: it looks as the daemons do, so addresses clash within an organisation only, and the last step
 * asks as their account, which may be shown less than who runs this. */
#include "admin/admin-impl.h"
#include "admin/config.h"
#include "base/map.h"
#include "base/mem.h"
#include "conf/shared.h"

struct node { /* an entry that gets mail */
	struct slice dn, host, package, quota;
	const struct dir_attribute *members;
	bool list, active, keeps; /* keeps: has a mailbox */
	enum { FRESH, OPEN, DONE } state;
};
struct check {
	struct map by_dn, by_address, hosts;
	const struct dir_entry **orgs;
	struct node **nodes;
	size_t norgs, nnodes, findings;
	const char *org;
};

static const char *const check_attrs[] = { "objectClass", "mail", "mailAlternateAddress",
	"mailEquivalentAddress", "mailHost", "mailDeliveryOption", "uniqueMember",
	"tiermailServicePackage", "mailQuota", "inetUserStatus", "mailUserStatus", NULL };
#define CHECK_CLASS                                                                                \
	"(|(objectClass=inetMailUser)(objectClass=mailRecipient)(objectClass=inetMailGroup)("      \
	"objectClass=mailGroup))"

static void
check_found(struct admin *a, struct check *k, const char *what, struct slice name, const char *text,
    struct slice more)
{
	struct admin_telling t = { .a = a };

	k->findings++;
	admin_tell_add(&t, "finding", slice_str(what));
	admin_tell_add(&t, "name", name);
	admin_tell_add(&t, "text",
	    slice_str(arena_printf(&a->telling, "%s" SFMT, text, SARG(more))));
	admin_tell_end(&t, "finding");
}

static struct slice
check_lower(struct admin *a, struct slice s)
{
	char *p = arena_cstr(&a->memory, s);

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return slice(p, s.n);
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

static bool
check_org_one(struct admin *a, const struct dir_entry *e, void *arg)
{
	struct check *k = arg;

	k->orgs = mem_grow(k->orgs, k->norgs + 1, sizeof(*k->orgs));
	k->orgs[k->norgs++] = admin_entry_copy(a, e);
	return true;
}

static void
check_addresses(struct admin *a, struct check *k, struct node *n, const struct dir_entry *e)
{
	static const char *const attributes[] = { "mail", "mailAlternateAddress",
		"mailEquivalentAddress" };

	for (size_t i = 0; i < NELEM(attributes); i++) {
		const struct dir_attribute *at = admin_attr(e, attributes[i]);

		for (size_t v = 0; at && v < at->n; v++) {
			struct slice address = check_lower(a, at->values[v]);
			struct node *other = map_get(&k->by_address, address);

			if (!other)
				map_put(&k->by_address, address, n);
			else if (other != n)
				check_found(a, k, "duplicate-address", address,
				    "two entries have it, so that its mail waits: ",
				    slice_str(arena_printf(&a->telling, SFMT " and " SFMT,
					SARG(admin_dn_name(&a->telling, other->dn)),
					SARG(admin_dn_name(&a->telling, n->dn)))));
		}
	}
}

static bool
check_node_one(struct admin *a, const struct dir_entry *e, void *arg)
{
	struct check *k = arg;
	struct node *n = arena_new(&a->memory, sizeof(*n));
	const struct dir_attribute *members = admin_attr(e, "uniqueMember");

	n->dn = check_lower(a, e->dn);
	n->list = admin_has(e, "objectClass", S("inetMailGroup")) ||
	    admin_has(e, "objectClass", S("mailGroup"));
	n->host = check_lower(a, admin_value(e, "mailHost"));
	n->package = arena_slice(&a->memory, admin_value(e, "tiermailServicePackage"));
	n->quota = arena_slice(&a->memory, admin_value(e, "mailQuota"));
	n->active = !slice_ieq(admin_value(e, "inetUserStatus"), S("deleted"));
	n->keeps = !admin_attr(e, "mailDeliveryOption") ||
	    admin_has(e, "mailDeliveryOption", S("mailbox"));
	if (members)
		n->members =
		    &admin_entry_copy(a, &(struct dir_entry){ e->dn, members, 1 })->attrs[0];
	k->nodes = mem_grow(k->nodes, k->nnodes + 1, sizeof(struct node *));
	k->nodes[k->nnodes++] = n;
	map_put(&k->by_dn, n->dn, n);
	check_addresses(a, k, n, e);
	return true;
}

/* ---- looking ------------------------------------------------------------------------------------------------- */

static void
check_domains(struct admin *a, struct check *k)
{
	static const char *const names[] = { "sunPreferredDomain", "associatedDomain" };
	struct map seen = { 0 };

	for (size_t i = 0; i < k->norgs; i++)
		for (size_t n = 0; n < NELEM(names); n++) {
			const struct dir_attribute *at = admin_attr(k->orgs[i], names[n]);

			for (size_t v = 0; at && v < at->n; v++) {
				struct slice name = check_lower(a, at->values[v]);
				const void *other =
				    map_put(&seen, name, (void *)(uintptr_t)k->orgs[i]);

				if (other && other != k->orgs[i])
					check_found(a, k, "duplicate-domain", name,
					    "two organisations have it: ", k->orgs[i]->dn);
			}
		}
	map_fini(&seen);
}

static void
check_host_add(struct admin *a, struct check *k, struct slice host)
{
	map_put(&k->hosts, check_lower(a, host), k);
}

static void
check_hosts_known(struct admin *a, struct check *k)
{
	char **const lists[] = { admin_conf.place_hosts, shared.role_stores };

	for (size_t l = 0; l < NELEM(lists); l++)
		for (size_t i = 0; lists[l] && lists[l][i]; i++)
			check_host_add(a, k, slice_str(lists[l][i]));
	for (size_t i = 0; i < k->norgs; i++) {
		const struct dir_attribute *at = admin_attr(k->orgs[i], "tiermailMailHost");

		for (size_t v = 0; at && v < at->n; v++)
			check_host_add(a, k, at->values[v]);
	}
	if (k->hosts.n && shared.hostname)
		check_host_add(a, k, slice_str(shared.hostname));
}

static void
check_mailhost(struct admin *a, struct check *k, struct node *n)
{
	struct slice name = admin_dn_name(&a->memory, n->dn);

	if (n->list || !n->active || !n->keeps)
		return;
	if (!n->host.n)
		check_found(a, k, "no-mailhost", name,
		    "has a mailbox and no mailHost: any relay may keep its mail", S(""));
	else if (k->hosts.n && !map_get(&k->hosts, n->host))
		check_found(a, k, "unknown-host", name,
		    "its mailHost is no store that is named anywhere: ", n->host);
}

static bool
check_quota_over(struct slice own, struct slice gives)
{
	uint64_t n, most;

	if (slice_u64(gives, INT64_MAX, &most) < 0)
		return false; /* no limit, or the store's */
	return slice_eq(own, S("-1")) || (slice_u64(own, INT64_MAX, &n) == 0 && n > most);
}

static bool
check_packages(struct admin *a, struct check *k)
{
	static const char *const attrs[] = { "cn", "mailQuota", NULL };
	const char *base = arena_printf(&a->memory, "ou=packages,%s", admin_base());

	if (!admin_search(a, base, DIR_SCOPE_ONE, "(objectClass=tiermailPackage)", attrs))
		return false;
	for (size_t i = 0; i < k->nnodes; i++, admin_breathe(a)) /* users by packages */
		for (size_t p = 0; k->nodes[i]->package.n && p < a->out.n; p++)
			if (slice_ieq(admin_value(&a->out.entries[p], "cn"),
				k->nodes[i]->package) &&
			    check_quota_over(k->nodes[i]->quota,
				admin_value(&a->out.entries[p], "mailQuota")))
				check_found(a, k, "over-package",
				    admin_dn_name(&a->memory, k->nodes[i]->dn),
				    "has more quota than its package gives: ",
				    k->nodes[i]->package);
	return true;
}

/* Depth first, with a stack of our own: how deep lists nest is what somebody has written. */
struct walk_step {
	struct node *node;
	size_t next;
};

static void
check_walk(struct admin *a, struct check *k, struct node *from, struct walk_step *stack)
{
	size_t depth = 0;

	stack[depth++] = (struct walk_step){ from, 0 };
	from->state = OPEN;
	while (depth) {
		struct walk_step *s = &stack[depth - 1];
		struct node *next;

		admin_breathe(a);
		if (!s->node->members || s->next == s->node->members->n) {
			s->node->state = DONE;
			depth--;
			continue;
		}
		struct slice dn = s->node->members->values[s->next++];

		next = map_get(&k->by_dn, check_lower(a, dn));
		if (!next) {
			if (!k->org)
				check_found(a, k, "no-member",
				    admin_dn_name(&a->memory, s->node->dn),
				    "has a member that gets no mail, or is not there: ", dn);
		} else if (next->list && next->state == OPEN) {
			check_found(a, k, "list-loop", admin_dn_name(&a->memory, s->node->dn),
			    "is in itself, by its member ", admin_dn_name(&a->memory, next->dn));
		} else if (next->list && next->state == FRESH) {
			next->state = OPEN;
			stack[depth++] = (struct walk_step){ next, 0 };
		}
	}
}

/* ---- as the daemons -------------------------------------------------------------------------------------------- */

static bool
check_shown_one(struct admin *a, const struct dir_entry *e, void *arg)
{
	struct check *k = arg;

	if (admin_attr(e, "mail"))
		map_take(&k->by_dn, check_lower(a, e->dn));
	return true;
}

/* Those that remain of by_dn are not shown to the daemons' account. */
static bool
check_hidden(struct admin *a, struct check *k)
{
	static const char *const attrs[] = { "mail", NULL };
	struct dir_agent *mine = a->agent;
	struct admin_call call = *a->call;
	const struct admin_call *was = a->call;
	struct node *n;
	size_t at = 0;
	bool good;

	if (shared.ldap_bind || !shared.ldap_password || !*shared.ldap_password) {
		admin_say(a, "note", S(""),
		    "whether entries are hidden from the daemons was not looked at: "
		    "ldap.password is not to be read here");
		return true;
	}
	call.as = NULL;
	a->call = &call;
	a->agent = dir_agent_other(mine, shared.ldap_bind_dn, shared.ldap_password);
	good = admin_each(a, k->org ? k->org : admin_base(), DIR_SCOPE_SUB, CHECK_CLASS, attrs,
	    check_shown_one, k);
	dir_agent_free(&a->agent);
	a->agent = mine;
	a->call = was;
	if (!good)
		return false;
	while ((n = map_next(&k->by_dn, &at)))
		check_found(a, k, "hidden", admin_dn_name(&a->memory, n->dn),
		    "the daemons do not see it, or its mail, as ", slice_str(shared.ldap_bind_dn));
	return true;
}

/* ---- the verb ---------------------------------------------------------------------------------------------------- */

static bool
check_collect(struct admin *a, struct check *k)
{
	bool good = true;

	if (!admin_each(a, k->org ? k->org : admin_base(), DIR_SCOPE_SUB,
		"(objectClass=sunManagedOrganization)", NULL, check_org_one, k))
		return false;
	for (size_t i = 0; good && i < k->norgs; i++) {
		map_fini(&k->by_address);
		k->by_address = (struct map){ 0 };
		good = admin_each(a, k->orgs[i]->dn.p, DIR_SCOPE_SUB, CHECK_CLASS, check_attrs,
		    check_node_one, k);
	}
	return good;
}

bool
admin_check(struct admin *a)
{
	struct check k = { 0 };
	struct walk_step *stack = NULL;
	struct admin_org org = { .dn = NULL };
	bool good = !admin_name(a, 0).n || admin_find_org(a, admin_name(a, 0), &org);

	k.org = good ? org.dn : NULL;
	good = good && check_collect(a, &k) && check_packages(a, &k);
	if (good) {
		check_domains(a, &k);
		check_hosts_known(a, &k);
		stack = mem_array(k.nnodes + 1, sizeof(*stack));
		for (size_t i = 0; i < k.nnodes; i++, admin_breathe(a)) {
			check_mailhost(a, &k, k.nodes[i]);
			if (k.nodes[i]->list && k.nodes[i]->state == FRESH)
				check_walk(a, &k, k.nodes[i], stack);
		}
		good = check_hidden(a, &k);
	}
	if (good)
		admin_say(a, "note", S(""), "%zu organisations, %zu users and lists: %zu finding%s",
		    k.norgs, k.nnodes, k.findings, k.findings == 1 ? "" : "s");
	map_fini(&k.by_dn);
	map_fini(&k.by_address);
	map_fini(&k.hosts);
	mem_release(k.orgs);
	mem_release(k.nodes);
	mem_release(stack);
	return good;
}
