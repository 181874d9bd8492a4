/* role.c: who may administer what: membership of groups that slapd's access rules name.
 *
 * Called by the table of verbs.  Owns the table of roles.  Can fail as changes do.  Must stay true: a role is
 * a member of a groupOfNames and nothing else, so that there is one place that decides; that class has one
 * member at least, so the first makes the entry, and the last leaves the group itself in it, who is nobody:
 * who may take a group away, and make one, could rename it to that of another role. */
#include "admin/admin-impl.h"

static const struct {
	const char *word, *group, *over; /* over: of what, NULL: of everything */
} roles[] = {
	{ "top", "Top-Level Admins", NULL },
	{ "provider", "Provider Admins", "provider" },
	{ "organisation", "Organization Admins", "organisation" },
	{ "helpdesk", "Help Desk", "organisation" },
};

/* ROLE ADDRESS [PROVIDER or DOMAIN]: the group, and the user. */
static bool
role_find(struct admin *a, const char **group, const struct dir_entry **user)
{
	const char *above = admin_base();
	const struct dir_entry *provider;
	struct admin_org own = { .dn = NULL }, over = own;
	size_t i = 0;

	while (i < NELEM(roles) && !slice_ieq(admin_name(a, 0), slice_str(roles[i].word)))
		i++;
	if (i == NELEM(roles))
		return admin_fail(a, ADMIN_BAD, "role",
		    SFMT ": a role is top, provider, organisation or helpdesk",
		    SARG(admin_name(a, 0)));
	if (!admin_find_user(a, admin_name(a, 1), &own, user))
		return false;
	if (!roles[i].over && admin_name(a, 2).n)
		return admin_fail(a, ADMIN_BAD, "role", "top: this role is over everything");
	if (roles[i].over && strcmp(roles[i].over, "provider") == 0) {
		if (!admin_name(a, 2).n)
			return admin_fail(a, ADMIN_BAD, "role",
			    "provider: the role needs the name of a provider");
		if (!admin_find_provider(a, admin_name(a, 2), &provider))
			return false;
		above = provider->dn.p;
	} else if (roles[i].over) {
		if (admin_name(a, 2).n && !admin_find_org(a, admin_name(a, 2), &over))
			return false;
		above = admin_name(a, 2).n ? over.dn : own.dn;
	}
	/* Whoever resets passwords there could otherwise be who they are not. */
	if (roles[i].over && !slice_ends((*user)->dn, slice_str(above)))
		return admin_fail(a, ADMIN_BAD, "role",
		    SFMT ": the user is not of what the role is over", SARG(admin_name(a, 1)));
	*group = arena_printf(&a->memory, "cn=%s,%s", roles[i].group, above);
	return true;
}

bool
admin_role_grant(struct admin *a)
{
	static const char *const attrs[] = { "member", "entryCSN", NULL };
	struct admin_changes c = { 0 };
	const struct dir_entry *user, *e;
	const char *group, *what = arena_cstr(&a->memory, admin_name(a, 1));
	struct slice cn;

	if (!role_find(a, &group, &user) || !admin_search(a, group, DIR_SCOPE_BASE, NULL, attrs))
		return false;
	if (a->out.n) {
		e = admin_entry_copy(a, &a->out.entries[0]);
		if (admin_has(e, "member", user->dn))
			return admin_fail(a, ADMIN_EXISTS, "has-role", "%s: has this role already",
			    what);
		admin_set(a, &c, DIR_ADD, "member", user->dn);
		if (admin_has(e, "member", e->dn))
			admin_set(a, &c, DIR_DELETE, "member", e->dn);
		return admin_modify(a, group, e, &c, what);
	}
	cn = slice_sub(slice_str(group), 3, slice_find(slice_str(group), ',') - 3);
	admin_set(a, &c, DIR_ADD, "objectClass", S("groupOfNames"));
	admin_set(a, &c, DIR_ADD, "cn", cn);
	admin_set(a, &c, DIR_ADD, "member", user->dn);
	return admin_create(a, group, &c, what);
}

void
admin_role_leave(struct admin *a, struct admin_changes *c, const struct dir_entry *e,
    struct slice dn)
{
	if (admin_attr(e, "member")->n == 1)
		admin_set(a, c, DIR_ADD, "member", e->dn);
	admin_set(a, c, DIR_DELETE, "member", dn);
}

bool
admin_role_revoke(struct admin *a)
{
	static const char *const attrs[] = { "member", "entryCSN", NULL };
	struct admin_changes c = { 0 };
	const struct dir_entry *user, *e;
	const char *group, *what = arena_cstr(&a->memory, admin_name(a, 1));

	if (!role_find(a, &group, &user) || !admin_search(a, group, DIR_SCOPE_BASE, NULL, attrs))
		return false;
	e = a->out.n ? admin_entry_copy(a, &a->out.entries[0]) : NULL;
	if (!e || !admin_has(e, "member", user->dn))
		return admin_fail(a, ADMIN_NOT_FOUND, "has-no-role", "%s: does not have this role",
		    what);
	admin_role_leave(a, &c, e, user->dn);
	return admin_modify(a, group, e, &c, what);
}

static bool
role_list_one(struct admin *a, const struct dir_entry *e, void *arg UNUSED)
{
	const struct dir_attribute *member = admin_attr(e, "member");
	struct slice cn = admin_value(e, "cn"), rest = e->dn, over = S("");

	if (slice_find(rest, ',') < rest.n)
		rest = slice_from(rest, slice_find(rest, ',') + 1);
	if (slice_istarts(rest, S("o=")))
		over = slice_sub(rest, 2, slice_find(rest, ',') - 2);
	for (size_t i = 0; i < NELEM(roles); i++) {
		if (!slice_ieq(cn, slice_str(roles[i].group)))
			continue;
		for (size_t k = 0; member && k < member->n; k++) {
			struct admin_telling t = { .a = a };

			if (slice_ieq(member->values[k], e->dn))
				continue;
			admin_tell_add(&t, "role", slice_str(roles[i].word));
			admin_tell_add(&t, "user", admin_dn_name(&a->telling, member->values[k]));
			if (over.n)
				admin_tell_add(&t, "over", over);
			admin_tell_end(&t, "role");
		}
	}
	return true;
}

bool
admin_role_list(struct admin *a)
{
	static const char *const attrs[] = { "cn", "member", NULL };
	struct admin_org org = { .dn = admin_base() };

	if (admin_name(a, 0).n && !admin_find_org(a, admin_name(a, 0), &org))
		return false;
	return admin_each(a, org.dn, DIR_SCOPE_SUB, "(objectClass=groupOfNames)", attrs,
	    role_list_one, NULL);
}
