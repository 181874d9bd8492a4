/* user-move.c: users get another name or organisation, and leave.
 *
 * Called by the table of verbs.  Owns nothing.  Can fail as changes do.  Must stay true: each is several
 * changes, in an order in which mail finds the user after each, and doing it again goes on where it stopped; what
 * would stop for a right that is missing is not begun.
 * Who names the entry (members, owners, roles) names it still, or no more.  Of the mailbox, which is the
 * store's, a note says what is to be done. */
#include "admin/admin-impl.h"
#include "base/mem.h"

#define NAMING "uniqueMember", "member", "owner"

struct references {
	const struct dir_entry **v;
	size_t n, room;
};

static bool
reference_one(struct admin *a, const struct dir_entry *e, void *arg)
{
	struct references *r = arg;

	if (r->n == r->room) {
		r->room = r->room ? r->room * 2 : 16;
		r->v = mem_grow(r->v, r->room, sizeof(*r->v));
	}
	r->v[r->n++] = admin_entry_copy(a, e);
	return true;
}

static bool
reference_change(struct admin *a, const struct dir_entry *e, const char *dn, const char *to)
{
	static const char *const naming[] = { NAMING };
	struct admin_changes c = { 0 };

	for (size_t i = 0; i < NELEM(naming); i++) {
		if (!admin_has(e, naming[i], slice_str(dn)))
			continue;
		if (!to && strcmp(naming[i], "member") == 0) {
			admin_role_leave(a, &c, e, slice_str(dn));
			continue;
		}
		admin_set(a, &c, DIR_DELETE, naming[i], slice_str(dn));
		if (to && !admin_has(e, naming[i], slice_str(to)))
			admin_set(a, &c, DIR_ADD, naming[i], slice_str(to));
	}
	return !c.n || admin_modify(a, e->dn.p, NULL, &c, e->dn.p);
}

bool
admin_references(struct admin *a, const char *dn, const char *to)
{
	static const char *const naming[] = { NAMING }, *const attrs[] = { NAMING, NULL };
	struct references r = { 0 };
	struct buf filter = { 0 };
	bool good;

	buf_lit(&filter, "(|");
	for (size_t i = 0; i < NELEM(naming); i++)
		dir_filter_equal(&filter, naming[i], slice_str(dn), S(""));
	buf_lit(&filter, ")");
	good = admin_each(a, admin_base(), DIR_SCOPE_SUB, arena_cstr(&a->memory, buf_get(&filter)),
	    attrs, reference_one, &r);
	buf_fini(&filter);
	for (size_t i = 0; good && i < r.n; i++)
		good = reference_change(a, r.v[i], dn, to);
	mem_release(r.v);
	return good;
}

/* Is nobody at this DN, of those that the person or the agent's account sees? */
static bool
reference_vacant(struct admin *a, const char *dn, bool *vacant)
{
	static const char *const none[] = { "1.1", NULL };
	bool good;

	if (!admin_search(a, dn, DIR_SCOPE_BASE, NULL, none))
		return false;
	*vacant = !a->out.n;
	if (!*vacant || !a->call->as)
		return true;
	a->own = true;
	good = admin_search(a, dn, DIR_SCOPE_BASE, NULL, none);
	a->own = false;
	*vacant = good && !a->out.n;
	return good;
}

bool
admin_references_follow(struct admin *a, const char *was, const char *named, const char *dn)
{
	bool vacant;

	if (!slice_ieq(slice_str(was), slice_str(dn)))
		return admin_references(a, was, dn);
	if (slice_ieq(slice_str(named), slice_str(dn)))
		return true;
	return reference_vacant(a, named, &vacant) && (!vacant || admin_references(a, named, dn));
}

/* The uid and the organisation's domain become the primary address; the old one stays an alias where
 * the organisation has its domain, and goes where it has not. */
static bool
user_readdress(struct admin *a, const char *dn, const struct admin_org *org, struct slice uid,
    const char *what)
{
	static const char *const all[] = { "*", "entryCSN", NULL };
	struct slice address = admin_user_address(a, uid, org->domain), local, domain;
	const struct dir_attribute *also;
	struct admin_changes c = { 0 };
	const struct dir_entry *e;

	if (!admin_search(a, dn, DIR_SCOPE_BASE, NULL, all))
		return false;
	if (!a->out.n)
		return admin_fail(a, ADMIN_NOT_FOUND, "not-found",
		    "%s: the renamed entry is not to be seen", what);
	e = admin_entry_copy(a, &a->out.entries[0]);
	admin_set(a, &c, DIR_REPLACE, "mail", address);
	also = admin_attr(e, "mailAlternateAddress");
	admin_set_none(a, &c, "mailAlternateAddress");
	c.n--;
	for (size_t i = 0, n = also ? also->n : 0; i <= n; i++) {
		struct slice old = i < n ? also->values[i] : admin_value(e, "mail");

		if (!old.n || slice_ieq(old, address) ||
		    (i == n && admin_has(e, "mailAlternateAddress", old)))
			continue;
		domain = slice_from(old, slice_rfind(old, '@') + 1);
		local = slice_sub(old, 0, slice_rfind(old, '@'));
		if (admin_org_has(org, domain))
			admin_set(a, &c, DIR_REPLACE, "mailAlternateAddress", old);
		else
			admin_say(a, "note", slice_str(what), "loses the address " SFMT "@" SFMT,
			    SARG(local), SARG(domain));
	}
	if (c.n == 1 && also)
		admin_set_none(a, &c, "mailAlternateAddress");
	return admin_modify(a, dn, e, &c, what);
}

/* Who may rename the entry need not be one who gives its roles: asked before anything is done, by taking each out
 * of its group and putting it back in one change, for a right cannot be asked of slapd in any other way. */
static bool
user_roles_follow(struct admin *a, const struct dir_entry *e)
{
	static const char *const attrs[] = { "member", NULL };
	struct references r = { 0 };
	struct buf filter = { 0 };
	bool good;

	if (a->call->dry_run || !a->call->as)
		return true;
	buf_lit(&filter, "(&(objectClass=groupOfNames)");
	dir_filter_equal(&filter, "member", e->dn, S(""));
	buf_lit(&filter, ")");
	good = admin_each(a, admin_base(), DIR_SCOPE_SUB, arena_cstr(&a->memory, buf_get(&filter)),
	    attrs, reference_one, &r);
	buf_fini(&filter);
	for (size_t i = 0; good && i < r.n; i++) {
		struct admin_changes c = { 0 };

		admin_set(a, &c, DIR_DELETE, "member", e->dn);
		admin_set(a, &c, DIR_ADD, "member", e->dn);
		good = admin_modify(a, r.v[i]->dn.p, NULL, &c, r.v[i]->dn.p);
	}
	mem_release(r.v);
	return good;
}

/* From where it is to uid below org; named is the DN that the name had which was given. */
static bool
user_go(struct admin *a, const struct dir_entry *e, const struct admin_org *org, struct slice uid,
    const char *named, const char *what)
{
	struct slice old = admin_dn_name(&a->memory, e->dn), host = admin_value(e, "mailHost");
	char *dn = admin_user_dn(a, uid, org->dn);
	struct buf rdn = { 0 };
	bool good = true;

	if (!slice_ieq(e->dn, slice_str(dn))) {
		buf_lit(&rdn, "uid=");
		admin_dn_value(&rdn, uid);
		good = user_roles_follow(a, e) &&
		    admin_rename(a, e->dn.p, e, buf_cstr(&rdn),
			arena_printf(&a->memory, "ou=People,%s", org->dn), what);
		buf_fini(&rdn);
	}
	if (!good)
		return false;
	if (a->call->dry_run) /* what follows is asked of the entry that is not there then */
		return true;
	if (!admin_references_follow(a, e->dn.p, named, dn) ||
	    !user_readdress(a, dn, org, uid, what))
		return false;
	admin_say(a, "note", slice_str(what),
	    "the mailbox is to follow, on " SFMT ": storectl account rename " SFMT " " SFMT
	    "@" SFMT,
	    SARG(host.n ? host : S("its store")), SARG(old), SARG(uid), SARG(org->domain));
	admin_say(a, "note", slice_str(what),
	    "address books stay under the old name: pabctl export " SFMT " | pabctl import " SFMT
	    "@" SFMT " -",
	    SARG(e->dn), SARG(uid), SARG(org->domain));
	return true;
}

bool
admin_user_rename(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct slice local = admin_name(a, 1), domain = S(""), uid, old;
	const struct dir_entry *e;
	struct admin_org org;

	if (!admin_find_user(a, admin_name(a, 0), &org, &e) ||
	    !admin_split(a, admin_name(a, 0), &old, &domain))
		return false;
	domain = S("");
	if (slice_find(local, '@') < local.n && !admin_split(a, admin_name(a, 1), &local, &domain))
		return false;
	if (domain.n && !admin_org_has(&org, domain))
		return admin_fail(a, ADMIN_BAD, "foreign-domain",
		    SFMT ": that is another organisation: user move", SARG(domain));
	return admin_user_uid(a, local, &uid) &&
	    admin_address_free(a, &org, admin_user_address(a, uid, org.domain), e->dn.p) &&
	    user_go(a, e, &org, uid, admin_user_dn(a, old, org.dn), what);
}

bool
admin_user_move(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct admin_org from = { .dn = NULL }, to;
	const struct dir_entry *e;
	struct slice local, domain, uid;

	if (!admin_split(a, admin_name(a, 0), &local, &domain) ||
	    !admin_find_org(a, admin_name(a, 1), &to))
		return false;
	if (!admin_find_user(a, admin_name(a, 0), &from, &e)) {
		/* Has it stopped in the middle?  Then it is there, with the addresses that it had here. */
		if (a->problem->status != ADMIN_NOT_FOUND)
			return false;
		a->problem->status = ADMIN_OK;
		if (!admin_find_user(a, admin_user_address(a, local, to.domain), NULL, &e))
			return false;
		if (!slice_ieq(admin_value(e, "mail"), admin_name(a, 0)))
			return admin_fail(a, ADMIN_NOT_FOUND, "not-found",
			    "%s: there is no such user", what);
	}
	uid = admin_value(e, "uid");
	return admin_address_free(a, &to, admin_user_address(a, uid, to.domain), e->dn.p) &&
	    admin_user_room(a, &to) &&
	    user_go(a, e, &to, uid, admin_user_dn(a, local, from.dn ? from.dn : to.dn), what);
}

/* Deleted ones: named, or all of an organisation whose time is over. */
static bool
user_purge_one(struct admin *a, const struct dir_entry *e)
{
	struct slice name = admin_dn_name(&a->memory, e->dn);

	if (!admin_references(a, e->dn.p, NULL) ||
	    !admin_remove_tree(a, e, false, arena_cstr(&a->memory, name)))
		return false;
	admin_say(a, "note", name,
	    "purged; the mailbox stays in its store: storectl account orphans; address books: "
	    "pabctl remove " SFMT,
	    SARG(e->dn));
	return true;
}

static bool
user_purge_org(struct admin *a)
{
	static const char *const attrs[] = { "tiermailDeletedAt", "entryCSN", NULL };
	struct references r = { 0 };
	struct admin_org org;
	bool good = admin_find_org(a, admin_name(a, 0), &org) &&
	    admin_each(a, org.dn, DIR_SCOPE_SUB,
		"(&(objectClass=inetMailUser)(inetUserStatus=deleted)(tiermailDeletedAt=*))", attrs,
		reference_one, &r);

	if (good)
		admin_steps(a, r.n, true);
	for (size_t i = 0; good && i < r.n; i++)
		good = (!admin_deleted_over(r.v[i]) || user_purge_one(a, r.v[i])) && admin_step(a);
	mem_release(r.v);
	return good;
}

bool
admin_user_purge(struct admin *a)
{
	const struct dir_entry *e;

	if (slice_find(admin_name(a, 0), '@') == admin_name(a, 0).n)
		return user_purge_org(a);
	if (!admin_find_user(a, admin_name(a, 0), NULL, &e))
		return false;
	if (!slice_ieq(admin_value(e, "inetUserStatus"), S("deleted")))
		return admin_fail(a, ADMIN_BAD, "not-deleted",
		    SFMT ": it is not deleted; delete it first", SARG(admin_name(a, 0)));
	return user_purge_one(a, e);
}
