/* org.c: organisations (each is a domain), and the providers that organisations may be below.
 *
 * Called by the table of verbs.  Owns nothing.  Can fail as changes do.  Must stay true: making one is
 * several entries, so it may stop in the middle; doing it again goes on where it stopped.  A provider is
 * no domain and has no users: its administrators are users of an organisation below it. */
#include "admin/admin-impl.h"
#include "base/mem.h"

static const char *const folders[] = { "People", "Groups" };

/* ou=People and ou=Groups; those that are there are as they should be. */
static bool
org_folders(struct admin *a, const char *dn, const char *what)
{
	for (size_t i = 0; i < NELEM(folders); i++) {
		static const char *const none[] = { "1.1", NULL };
		struct admin_changes c = { 0 };
		const char *folder = arena_printf(&a->memory, "ou=%s,%s", folders[i], dn);

		if (!admin_search(a, folder, DIR_SCOPE_BASE, NULL, none))
			return false;
		if (a->out.n)
			continue;
		admin_set(a, &c, DIR_ADD, "objectClass", S("organizationalUnit"));
		admin_set(a, &c, DIR_ADD, "ou", slice_str(folders[i]));
		if (!admin_create(a, folder, &c, what))
			return false;
	}
	return true;
}

/* The entry of this DN; NULL: there is none. */
static bool
entry_at(struct admin *a, const char *dn, const struct dir_entry **e)
{
	*e = NULL;
	if (!admin_search(a, dn, DIR_SCOPE_BASE, NULL, NULL))
		return false;
	if (a->out.n)
		*e = admin_entry_copy(a, &a->out.entries[0]);
	return true;
}

static char *
org_dn(struct admin *a, struct slice domain, const char *above)
{
	struct buf b = { 0 };
	char *dn;

	buf_lit(&b, "o=");
	admin_dn_value(&b, domain);
	buf_printf(&b, ",%s", above);
	dn = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return dn;
}

/* Half of it may be there, of a time that stopped in the middle. */
static bool
org_is_half(struct admin *a, const char *dn, struct slice domain, bool *half)
{
	const struct dir_entry *org, *people;

	if (!entry_at(a, dn, &org) ||
	    !entry_at(a, arena_printf(&a->memory, "ou=Groups,%s", dn), &people))
		return false;
	*half = org && !people && admin_has(org, "sunPreferredDomain", domain);
	return true;
}

/* Nor that of an organisation that this person does not see: its mail would wait. */
static bool
org_name_free(struct admin *a, struct slice domain)
{
	struct admin_org org;
	bool there = admin_find_org(a, domain, &org);

	if (there)
		return admin_fail(a, ADMIN_EXISTS, "domain-in-use",
		    SFMT ": the domain is that of the organisation " SFMT, SARG(domain),
		    SARG(org.domain));
	if (a->problem->status == ADMIN_NOT_FOUND && a->call->as) {
		a->own = true;
		there = admin_find_org(a, domain, &org);
		a->own = false;
	}
	if (there || strcmp(a->problem->code, "twice") == 0)
		return admin_fail(a, ADMIN_EXISTS, "domain-in-use",
		    SFMT ": the domain is another organisation's", SARG(domain));
	if (a->problem->status != ADMIN_NOT_FOUND)
		return false;
	a->problem->status = ADMIN_OK;
	return true;
}

/* The further names of a domain are nobody else's either. */
static bool
org_aliases_free(struct admin *a, const struct admin_org *own)
{
	for (size_t i = 0; i < a->call->nsettings; i++) {
		const struct admin_setting *s = &a->call->settings[i];

		if (!slice_eq(s->name, S("alias")) || s->how == ADMIN_TAKE || !s->value.n ||
		    (own && admin_org_has(own, s->value)))
			continue;
		if (!org_name_free(a, s->value))
			return false;
	}
	return true;
}

static bool
org_entry_create(struct admin *a, const char *dn, struct slice domain, const char *what)
{
	static const char *const classes[] = { "organization", "sunManagedOrganization",
		"inetDomain", "mailDomain", "tiermailOrganization" };
	struct admin_org org = { .dn = dn, .domain = domain };
	struct admin_changes c = { 0 };

	if (!org_name_free(a, domain) || !org_aliases_free(a, NULL))
		return false;
	for (size_t i = 0; i < NELEM(classes); i++)
		admin_set(a, &c, DIR_ADD, "objectClass", slice_str(classes[i]));
	admin_set(a, &c, DIR_ADD, "o", domain);
	admin_set(a, &c, DIR_ADD, "sunPreferredDomain", domain);
	admin_set(a, &c, DIR_ADD, "inetDomainStatus", S("active"));
	admin_set(a, &c, DIR_ADD, "mailDomainStatus", S("active"));
	return admin_fields_put(a, ADMIN_ORG, &org, NULL, &c) && admin_create(a, dn, &c, what);
}

bool
admin_org_create(struct admin *a)
{
	struct buf name = { 0 };
	const struct dir_entry *provider = NULL;
	struct slice domain;
	bool half;
	char *dn;

	if (!domain_valid(admin_name(a, 0), ADDRESS_UTF8) ||
	    domain_write_ascii(&name, admin_name(a, 0)) < 0) {
		buf_fini(&name);
		return admin_fail(a, ADMIN_BAD, "domain", SFMT ": no domain name",
		    SARG(admin_name(a, 0)));
	}
	domain = slice_str(arena_cstr(&a->memory, buf_get(&name)));
	buf_fini(&name);
	if (admin_name(a, 1).n && !admin_find_provider(a, admin_name(a, 1), &provider))
		return false;
	dn = org_dn(a, domain, provider ? provider->dn.p : admin_base());
	if (!org_is_half(a, dn, domain, &half))
		return false;
	return (half || org_entry_create(a, dn, domain, domain.p)) && org_folders(a, dn, domain.p);
}

bool
admin_org_show(struct admin *a)
{
	struct admin_org org;
	size_t users, groups;

	if (!admin_find_org(a, admin_name(a, 0), &org))
		return false;
	admin_tell(a, ADMIN_ORG, arena_cstr(&a->memory, org.domain), org.entry);
	if (!admin_count(a, org.dn, "(objectClass=inetMailUser)", &users) ||
	    !admin_count(a, org.dn, "(objectClass=inetMailGroup)", &groups))
		return false;
	admin_say(a, "note", org.domain, "%zu users, %zu lists", users, groups);
	return true;
}

static bool
org_list_one(struct admin *a, const struct dir_entry *e, void *arg)
{
	size_t *n = arg;

	admin_tell(a, ADMIN_ORG, arena_cstr(&a->telling, admin_value(e, "sunPreferredDomain")), e);
	return !a->call->limit || ++*n < a->call->limit;
}

bool
admin_org_list(struct admin *a)
{
	const struct dir_entry *provider = NULL;

	if (admin_name(a, 0).n && !admin_find_provider(a, admin_name(a, 0), &provider))
		return false;
	return admin_list(a, ADMIN_ORG, provider ? provider->dn.p : admin_base(), DIR_SCOPE_SUB,
	    "(objectClass=sunManagedOrganization)", org_list_one);
}

bool
admin_org_modify(struct admin *a)
{
	struct admin_changes c = { 0 };
	struct admin_org org;

	if (!admin_find_org(a, admin_name(a, 0), &org) || !org_aliases_free(a, &org) ||
	    !admin_fields_put(a, ADMIN_ORG, &org, org.entry, &c))
		return false;
	for (size_t i = 0; i < c.n; i++)
		if (strncmp(c.v[i].attribute, "tiermail", 8) == 0) {
			admin_class_put(a, &c, org.entry, "tiermailOrganization");
			break;
		}
	return admin_modify(a, org.dn, org.entry, &c, org.domain.p);
}

bool
admin_org_status(struct admin *a)
{
	struct admin_changes c = { 0 };
	struct admin_org org;

	if (!admin_find_org(a, admin_name(a, 0), &org) ||
	    !admin_status_put(a, &c, org.entry, a->verb->verb, "inetDomainStatus",
		"mailDomainStatus"))
		return false;
	if (strcmp(a->verb->verb, "delete") == 0)
		admin_class_put(a, &c, org.entry, "tiermailOrganization");
	return admin_modify(a, org.dn, org.entry, &c, org.domain.p);
}

struct held {
	struct slice below; /* ",o=..." */
	const struct dir_entry **v;
	size_t n, room;
};

static bool
org_is_below(struct slice dn, struct slice below)
{
	return dn.n > below.n && slice_ieq(slice_from(dn, dn.n - below.n), below);
}

static size_t
org_names(const struct dir_entry *e, const char *attribute, struct slice below)
{
	const struct dir_attribute *at = admin_attr(e, attribute);
	size_t n = 0;

	for (size_t i = 0; at && i < at->n; i++)
		n += org_is_below(at->values[i], below);
	return n;
}

static const char *const naming[] = { "member", "uniqueMember", "owner", "entryCSN", NULL };
#define NAMING (NELEM(naming) - 2)

static bool
org_naming_found(struct admin *a, const struct dir_entry *e, void *arg)
{
	struct held *h = arg;
	size_t n = 0;

	for (size_t i = 0; i < NAMING; i++)
		n += org_names(e, naming[i], h->below);
	if (!n || org_is_below(e->dn, h->below))
		return true;
	if (h->n == h->room) {
		h->room = h->room ? h->room * 2 : 16;
		h->v = mem_grow(h->v, h->room, sizeof(*h->v));
	}
	h->v[h->n++] = admin_entry_copy(a, e);
	return true;
}

static void
org_naming_leave(struct admin *a, struct admin_changes *c, const struct dir_entry *e,
    const char *attribute, struct slice below)
{
	const struct dir_attribute *at = admin_attr(e, attribute);
	size_t leave = org_names(e, attribute, below);

	/* a role has one member at least (role.c) */
	if (leave && leave == at->n && strcmp(attribute, "member") == 0)
		admin_set(a, c, DIR_ADD, attribute, e->dn);
	for (size_t i = 0; leave && i < at->n; i++)
		if (org_is_below(at->values[i], below))
			admin_set(a, c, DIR_DELETE, attribute, at->values[i]);
}

/* Roles over more than the organisation, and lists of others, that its users are in: whoever gets such a name later
 * has none of them.  By one look at all groups, for an index finds no part of a DN. */
static bool
org_users_leave(struct admin *a, const struct admin_org *org)
{
	struct held h = { .below = slice_str(arena_printf(&a->memory, ",%s", org->dn)) };
	bool good = admin_each(a, admin_base(), DIR_SCOPE_SUB,
	    "(|(objectClass=groupOfNames)(objectClass=inetMailGroup))", naming, org_naming_found,
	    &h);

	if (good)
		admin_steps(a, h.n, false);
	for (size_t i = 0; good && i < h.n; i++) {
		struct admin_changes c = { 0 };

		for (size_t k = 0; k < NAMING; k++)
			org_naming_leave(a, &c, h.v[i], naming[k], h.below);
		good = admin_modify(a, h.v[i]->dn.p, h.v[i], &c, org->domain.p) && admin_step(a);
	}
	mem_release(h.v);
	return good;
}

bool
admin_org_purge(struct admin *a)
{
	struct admin_org org;

	if (!admin_find_org(a, admin_name(a, 0), &org))
		return false;
	if (!slice_ieq(admin_value(org.entry, "inetDomainStatus"), S("deleted")))
		return admin_fail(a, ADMIN_BAD, "not-deleted",
		    SFMT ": it is not deleted; delete it first", SARG(org.domain));
	if (!org_users_leave(a, &org) || !admin_remove_tree(a, org.entry, true, org.domain.p))
		return false;
	admin_say(a, "note", org.domain,
	    "the mailboxes stay in the stores: storectl account orphans");
	return true;
}

/* ---- providers -------------------------------------------------------------------------------------------- */

bool
admin_provider_create(struct admin *a)
{
	struct slice name = admin_name(a, 0);
	struct admin_changes c = { 0 };

	admin_set(a, &c, DIR_ADD, "objectClass", S("organization"));
	admin_set(a, &c, DIR_ADD, "objectClass", S("tiermailProvider"));
	admin_set(a, &c, DIR_ADD, "o", name);
	return admin_fields_put(a, ADMIN_PROVIDER, NULL, NULL, &c) &&
	    admin_create(a, org_dn(a, name, admin_base()), &c, arena_cstr(&a->memory, name));
}

static bool
provider_list_one(struct admin *a, const struct dir_entry *e, void *arg UNUSED)
{
	admin_tell(a, ADMIN_PROVIDER, arena_cstr(&a->telling, admin_value(e, "o")), e);
	return true;
}

bool
admin_provider_list(struct admin *a)
{
	return admin_each(a, admin_base(), DIR_SCOPE_ONE, "(objectClass=tiermailProvider)",
	    admin_field_attrs(a, ADMIN_PROVIDER), provider_list_one, NULL);
}

bool
admin_provider_modify(struct admin *a)
{
	struct admin_changes c = { 0 };
	const struct dir_entry *e;

	return admin_find_provider(a, admin_name(a, 0), &e) &&
	    admin_fields_put(a, ADMIN_PROVIDER, NULL, e, &c) &&
	    admin_modify(a, e->dn.p, e, &c, arena_cstr(&a->memory, admin_name(a, 0)));
}

bool
admin_provider_delete(struct admin *a)
{
	const struct dir_entry *e;
	size_t n;

	if (!admin_find_provider(a, admin_name(a, 0), &e) ||
	    !admin_count(a, e->dn.p, "(objectClass=sunManagedOrganization)", &n))
		return false;
	if (n)
		return admin_fail(a, ADMIN_BAD, "not-empty", SFMT ": it has %zu organisations",
		    SARG(admin_name(a, 0)), n);
	return admin_remove_tree(a, e, false, arena_cstr(&a->memory, admin_name(a, 0)));
}
