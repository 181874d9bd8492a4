/* package.c: service packages: what a user gets, as one word, and how many of them an organisation has.
 *
 * Called by the table of verbs and for the setting `package` of a user.  Owns nothing.  Can fail as changes
 * do, and where an organisation has none left.  Must stay true: the daemons look at a user's own attributes
 * alone, so giving a package writes them there; what the package has not goes, for a user of two packages
 * must not keep the better half of each. */
#include "admin/admin-impl.h"
#include "base/mem.h"

static const char *const gives[] = { "mailQuota", "mailMsgQuota", "mailMsgMaxBlocks",
	"mailAllowedServiceAccess" };

static char *
package_dn(struct admin *a, struct slice name)
{
	struct buf b = { 0 };
	char *dn;

	buf_lit(&b, "cn=");
	admin_dn_value(&b, name);
	buf_printf(&b, ",ou=packages,%s", admin_base());
	dn = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return dn;
}

/* Is it allocated to the organisation, and one left?  Users that have it already are counted. */
static bool
package_left(struct admin *a, const struct admin_org *org, struct slice name)
{
	const struct dir_attribute *shares = admin_attr(org->entry, "tiermailAllocation");
	struct buf filter = { 0 };
	uint64_t most = 0;
	size_t n;
	bool good;

	for (size_t i = 0; shares && i < shares->n; i++) {
		struct slice v = shares->values[i];
		size_t at = slice_rfind(v, ' ');

		if (slice_ieq(slice_sub(v, 0, at), name) &&
		    slice_u64(slice_from(v, at + 1), INT32_MAX, &most) < 0)
			most = 0;
	}
	if (!most)
		return admin_fail(a, ADMIN_DENIED, "package",
		    SFMT ": the organisation " SFMT " does not have this package", SARG(name),
		    SARG(org->domain));
	dir_filter_equal(&filter, "tiermailServicePackage", name, S(""));
	good = admin_count(a, org->dn, buf_cstr(&filter), &n);
	buf_fini(&filter);
	if (!good)
		return false;
	return n < most ||
	    admin_fail(a, ADMIN_EXISTS, "package-used-up",
		SFMT ": all %llu of " SFMT " are given to users", SARG(name),
		(unsigned long long)most, SARG(org->domain));
}

/* What the package gives, into changes of a user (NULL: of a new one) who has it, or gets it. */
static void
package_apply(struct admin *a, const struct dir_entry *package, const struct dir_entry *user,
    struct admin_changes *c)
{
	for (size_t i = 0; i < NELEM(gives); i++) {
		const struct dir_attribute *at = admin_attr(package, gives[i]);

		if (!at && user && admin_attr(user, gives[i]))
			admin_set_none(a, c, gives[i]);
		for (size_t k = 0; at && k < at->n; k++)
			admin_set(a, c, DIR_REPLACE, gives[i], at->values[k]);
	}
}

bool
admin_package_put(struct admin *a, const struct admin_org *org, struct slice name,
    const struct dir_entry *user, struct admin_changes *c)
{
	const struct dir_entry *package;

	if (user && admin_has(user, "tiermailServicePackage", name))
		return true;
	if (!admin_find_package(a, name, &package) || !package_left(a, org, name))
		return false;
	admin_class_put(a, c, user, "tiermailUser");
	admin_set(a, c, DIR_REPLACE, "tiermailServicePackage", admin_value(package, "cn"));
	package_apply(a, package, user, c);
	return true;
}

/* ---- the verbs ----------------------------------------------------------------------------------------------- */

bool
admin_package_create(struct admin *a)
{
	struct slice name = admin_name(a, 0);
	struct admin_changes c = { 0 };

	if (slice_find(name, ' ') < name.n || slice_find(name, ':') < name.n || !name.n)
		return admin_fail(a, ADMIN_BAD, "name",
		    SFMT ": a package's name is one word without a colon", SARG(name));
	admin_set(a, &c, DIR_ADD, "objectClass", S("tiermailPackage"));
	admin_set(a, &c, DIR_ADD, "cn", name);
	return admin_fields_put(a, ADMIN_PACKAGE, NULL, NULL, &c) &&
	    admin_create(a, package_dn(a, name), &c, arena_cstr(&a->memory, name));
}

static bool
package_list_one(struct admin *a, const struct dir_entry *e, void *arg UNUSED)
{
	admin_tell(a, ADMIN_PACKAGE, arena_cstr(&a->telling, admin_value(e, "cn")), e);
	return true;
}

bool
admin_package_list(struct admin *a)
{
	return admin_each(a, arena_printf(&a->memory, "ou=packages,%s", admin_base()),
	    DIR_SCOPE_ONE, "(objectClass=tiermailPackage)", admin_field_attrs(a, ADMIN_PACKAGE),
	    package_list_one, NULL);
}

bool
admin_package_modify(struct admin *a)
{
	struct admin_changes c = { 0 };
	const struct dir_entry *e;

	return admin_find_package(a, admin_name(a, 0), &e) &&
	    admin_fields_put(a, ADMIN_PACKAGE, NULL, e, &c) &&
	    admin_modify(a, e->dn.p, e, &c, arena_cstr(&a->memory, admin_name(a, 0)));
}

struct holders {
	const struct dir_entry **v;
	size_t n, room;
};

static bool
holder_one(struct admin *a, const struct dir_entry *e, void *arg)
{
	struct holders *h = arg;

	if (h->n == h->room) {
		h->room = h->room ? h->room * 2 : 64;
		h->v = mem_grow(h->v, h->room, sizeof(*h->v));
	}
	h->v[h->n++] = admin_entry_copy(a, e);
	return true;
}

static bool
holders_of(struct admin *a, const struct dir_entry *package, const char *base, struct holders *h)
{
	static const char *const attrs[] = { "mailQuota", "mailMsgQuota", "mailMsgMaxBlocks",
		"mailAllowedServiceAccess", "entryCSN", NULL };
	struct buf filter = { 0 };
	bool good;

	dir_filter_equal(&filter, "tiermailServicePackage", admin_value(package, "cn"), S(""));
	good = admin_each(a, base, DIR_SCOPE_SUB, arena_cstr(&a->memory, buf_get(&filter)), attrs,
	    holder_one, h);
	buf_fini(&filter);
	return good;
}

bool
admin_package_delete(struct admin *a)
{
	const struct dir_entry *e;
	struct holders h = { 0 };
	size_t n;

	if (!admin_find_package(a, admin_name(a, 0), &e) || !holders_of(a, e, admin_base(), &h))
		return false;
	n = h.n;
	mem_release(h.v);
	if (n)
		return admin_fail(a, ADMIN_BAD, "in-use", SFMT ": %zu users have it",
		    SARG(admin_name(a, 0)), n);
	return admin_remove(a, e->dn.p, e, arena_cstr(&a->memory, admin_name(a, 0)));
}

static bool
package_same(const struct dir_entry *package, const struct dir_entry *user)
{
	for (size_t i = 0; i < NELEM(gives); i++) {
		const struct dir_attribute *p = admin_attr(package, gives[i]),
					   *u = admin_attr(user, gives[i]);

		if ((p ? p->n : 0) != (u ? u->n : 0))
			return false;
		for (size_t k = 0; p && k < p->n; k++)
			if (!admin_has(user, gives[i], p->values[k]))
				return false;
	}
	return true;
}

/* Everybody who has it, or those of one organisation, gets what it gives now; who has that already is left alone, so that it goes on
 * where it stopped. */
bool
admin_package_apply(struct admin *a)
{
	const struct dir_entry *e;
	struct admin_org org = { .dn = admin_base() };
	struct holders h = { 0 };
	bool good = (!admin_name(a, 1).n || admin_find_org(a, admin_name(a, 1), &org)) &&
	    admin_find_package(a, admin_name(a, 0), &e) && holders_of(a, e, org.dn, &h);
	size_t done = 0;

	admin_steps(a, h.n, true);
	for (size_t i = 0; good && i < h.n; i++) {
		struct slice name = admin_dn_name(&a->memory, h.v[i]->dn);
		struct admin_changes c = { 0 };

		if (!package_same(e, h.v[i])) {
			package_apply(a, e, h.v[i], &c);
			good =
			    admin_modify(a, h.v[i]->dn.p, h.v[i], &c, arena_cstr(&a->memory, name));
			done += good;
		}
		good = good && admin_step(a);
	}
	if (good)
		admin_say(a, "note", admin_name(a, 0), "%zu users have it, %zu were changed", h.n,
		    done);
	mem_release(h.v);
	return good;
}
