/* group.c: mailing lists.
 *
 * Called by the table of verbs.  Owns nothing.  Can fail as changes do.  Must stay true: a list has at
 * least the classes that tiermail-directory(7) names, so that every setting fits; who is in it is what its
 * settings member, external and dynamic say, which modify adds to and takes from. */
#include "admin/admin-impl.h"

static char *
group_dn(struct admin *a, struct slice name, const char *org)
{
	struct buf b = { 0 };
	char *dn;

	buf_lit(&b, "cn=");
	admin_dn_value(&b, name);
	buf_printf(&b, ",ou=Groups,%s", org);
	dn = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return dn;
}

bool
admin_group_create(struct admin *a)
{
	static const char *const classes[] = { "groupOfURLs", "inetMailGroup",
		"inetMailGroupManagement", "inetLocalMailRecipient" };
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct slice local, domain, given, address;
	struct admin_changes c = { 0 };
	struct admin_org org;

	if (!admin_split(a, admin_name(a, 0), &local, &domain) || !admin_find_org(a, domain, &org))
		return false;
	address = admin_user_address(a, local, org.domain);
	for (size_t i = 0; i < NELEM(classes); i++)
		admin_set(a, &c, DIR_ADD, "objectClass", slice_str(classes[i]));
	if (admin_fields_provisioned(a))
		admin_set(a, &c, DIR_ADD, "objectClass", S("tiermailProvisioned"));
	admin_set(a, &c, DIR_ADD, "cn", local);
	if (!admin_setting(a, "status", &given))
		admin_set(a, &c, DIR_ADD, "inetMailGroupStatus", S("active"));
	if (!admin_setting(a, "mail", &given)) {
		if (!admin_address_free(a, &org, address, NULL))
			return false;
		admin_set(a, &c, DIR_ADD, "mail", address);
	}
	return admin_fields_put(a, ADMIN_GROUP, &org, NULL, &c) &&
	    admin_create(a, group_dn(a, local, org.dn), &c, what);
}

bool
admin_group_show(struct admin *a)
{
	const struct dir_entry *e;

	if (!admin_find_group(a, admin_name(a, 0), NULL, &e))
		return false;
	admin_tell(a, ADMIN_GROUP, arena_cstr(&a->memory, admin_dn_name(&a->memory, e->dn)), e);
	return true;
}

static bool
group_list_one(struct admin *a, const struct dir_entry *e, void *arg)
{
	size_t *n = arg;

	admin_tell(a, ADMIN_GROUP, arena_cstr(&a->telling, admin_dn_name(&a->telling, e->dn)), e);
	return !a->call->limit || ++*n < a->call->limit;
}

static char *
group_list_filter(struct admin *a, struct slice word)
{
	struct buf b = { 0 };
	char *s;

	buf_lit(&b, "(&(objectClass=inetMailGroup)");
	if (word.n) {
		buf_lit(&b, "(|(cn=");
		dir_filter_value(&b, word);
		buf_lit(&b, "*)(mail=");
		dir_filter_value(&b, word);
		buf_lit(&b, "*))");
	}
	buf_lit(&b, ")");
	s = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return s;
}

bool
admin_group_list(struct admin *a)
{
	struct admin_org org;

	return admin_find_org(a, admin_name(a, 0), &org) &&
	    admin_list(a, ADMIN_GROUP, org.dn, DIR_SCOPE_SUB,
		group_list_filter(a, admin_name(a, 1)), group_list_one);
}

bool
admin_group_modify(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct admin_changes c = { 0 };
	const struct dir_entry *e;
	struct admin_org org;

	return admin_find_group(a, admin_name(a, 0), &org, &e) &&
	    admin_fields_put(a, ADMIN_GROUP, &org, e, &c) && admin_modify(a, e->dn.p, e, &c, what);
}

/* Its address changes with its name; the old one stays an alias. */
bool
admin_group_rename(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct slice local = admin_name(a, 1), domain = S(""), address, old, was;
	struct admin_changes c = { 0 };
	const struct dir_entry *e;
	struct admin_org org;
	struct buf rdn = { 0 };
	bool good = true;
	char *dn;

	if (!admin_find_group(a, admin_name(a, 0), &org, &e) ||
	    !admin_split(a, admin_name(a, 0), &was, &domain))
		return false;
	domain = S("");
	if ((slice_find(local, '@') < local.n && !admin_split(a, local, &local, &domain)))
		return false;
	if (domain.n && !admin_org_has(&org, domain))
		return admin_fail(a, ADMIN_BAD, "foreign-domain",
		    SFMT ": that is another organisation", SARG(domain));
	address = admin_user_address(a, local, org.domain);
	old = admin_value(e, "mail");
	if (!admin_address_free(a, &org, address, e->dn.p))
		return false;
	admin_set(a, &c, DIR_REPLACE, "mail", address);
	if (old.n && !slice_ieq(old, address) && !admin_has(e, "mailAlternateAddress", old))
		admin_set(a, &c, DIR_ADD, "mailAlternateAddress", old);
	if (admin_has(e, "mailAlternateAddress", address))
		admin_set(a, &c, DIR_DELETE, "mailAlternateAddress", address);
	dn = group_dn(a, local, org.dn);
	if (!admin_modify(a, e->dn.p, e, &c, what))
		return false;
	if (!slice_ieq(e->dn, slice_str(dn))) {
		buf_lit(&rdn, "cn=");
		admin_dn_value(&rdn, local);
		good = admin_rename(a, e->dn.p, NULL, buf_cstr(&rdn), NULL, what);
		buf_fini(&rdn);
	}
	return good &&
	    (a->call->dry_run || admin_references_follow(a, e->dn.p, group_dn(a, was, org.dn), dn));
}

bool
admin_group_delete(struct admin *a)
{
	const struct dir_entry *e;

	return admin_find_group(a, admin_name(a, 0), NULL, &e) &&
	    admin_references(a, e->dn.p, NULL) &&
	    admin_remove_tree(a, e, false, arena_cstr(&a->memory, admin_name(a, 0)));
}
