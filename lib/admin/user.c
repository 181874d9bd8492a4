/* user.c: users: made, shown, changed.
 *
 * Called by the table of verbs; user-move.c is for what changes a name.  Owns nothing.  Can fail as changes
 * do.  Must stay true: a uid is one that can name a mailbox, in lower case; an address is nobody else's in
 * the organisation; what is not said at the beginning has a default that takes mail. */
#include "admin/admin-impl.h"

#define UID_MAX 128 /* tiermail-directory(7), Users: uid */

char *
admin_user_dn(struct admin *a, struct slice uid, const char *org)
{
	struct buf b = { 0 };
	char *dn;

	buf_lit(&b, "uid=");
	admin_dn_value(&b, uid);
	buf_printf(&b, ",ou=People,%s", org);
	dn = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return dn;
}

/* In lower case, as it names the mailbox. */
bool
admin_user_uid(struct admin *a, struct slice local, struct slice *uid)
{
	char *s = arena_cstr(&a->memory, local);

	for (size_t i = 0; i < local.n; i++) {
		if ((unsigned char)s[i] <= ' ' || s[i] == '/' || s[i] == 0x7f || s[i] == '*' ||
		    s[i] == '@')
			return admin_fail(a, ADMIN_BAD, "uid", SFMT ": this cannot name a mailbox",
			    SARG(local));
		s[i] = ascii_lower(s[i]);
	}
	*uid = slice(s, local.n);
	if (!local.n || local.n > UID_MAX || s[0] == '.')
		return admin_fail(a, ADMIN_BAD, "uid", SFMT ": this cannot name a mailbox",
		    SARG(local));
	return true;
}

struct slice
admin_user_address(struct admin *a, struct slice uid, struct slice domain)
{
	struct buf b = { 0 };
	struct slice s;

	address_write_parts(&b, uid, domain);
	s = slice_str(arena_cstr(&a->memory, buf_get(&b)));
	buf_fini(&b);
	return s;
}

/* ---- create ---------------------------------------------------------------------------------------------- */

bool
admin_user_room(struct admin *a, const struct admin_org *org)
{
	struct slice max = admin_value(org->entry, "tiermailUserMax");
	uint64_t most;
	size_t n;

	if (!max.n || slice_u64(max, INT64_MAX, &most) < 0)
		return true;
	if (!admin_count(a, org->dn, "(objectClass=inetMailUser)", &n))
		return false;
	return n < most ||
	    admin_fail(a, ADMIN_EXISTS, "users-used-up", SFMT ": it has all of its %llu users",
		SARG(org->domain), (unsigned long long)most);
}

/* What is not given: name, address, package, host. */
static bool
user_defaults(struct admin *a, const struct admin_org *org, struct slice uid, struct slice address,
    struct admin_changes *c)
{
	struct slice package, name, host, given;

	if (!admin_setting(a, "name", &name))
		admin_set(a, c, DIR_ADD, "cn", name = uid);
	if (!admin_setting(a, "surname", &given))
		admin_set(a, c, DIR_ADD, "sn",
		    slice_rfind(name, ' ') < name.n ? slice_from(name, slice_rfind(name, ' ') + 1) :
						      name);
	if (!admin_setting(a, "mail", &given)) {
		if (!admin_address_free(a, org, address, NULL))
			return false;
		admin_set(a, c, DIR_ADD, "mail", address);
	}
	if (!admin_setting(a, "package", &package))
		package = admin_value(org->entry, "tiermailDefaultPackage");
	if (package.n && !admin_setting(a, "package", &given) &&
	    !admin_package_put(a, org, package, NULL, c))
		return false;
	if (admin_setting(a, "host", &host))
		return true;
	if (!admin_place(a, org, uid, package, &host))
		return false;
	if (host.n)
		admin_set(a, c, DIR_ADD, "mailHost", host);
	return true;
}

static void
user_fixed(struct admin *a, struct slice uid, struct admin_changes *c)
{
	static const char *const classes[] = { "inetOrgPerson", "inetUser", "inetMailUser",
		"inetLocalMailRecipient", "tiermailUser" };
	struct slice given;

	for (size_t i = 0; i < NELEM(classes); i++)
		admin_set(a, c, DIR_ADD, "objectClass", slice_str(classes[i]));
	if (admin_fields_provisioned(a))
		admin_set(a, c, DIR_ADD, "objectClass", S("tiermailProvisioned"));
	admin_set(a, c, DIR_ADD, "uid", uid);
	if (!admin_setting(a, "delivery", &given))
		admin_set(a, c, DIR_ADD, "mailDeliveryOption", S("mailbox"));
	if (!admin_setting(a, "login", &given))
		admin_set(a, c, DIR_ADD, "inetUserStatus", S("active"));
	if (!admin_setting(a, "status", &given))
		admin_set(a, c, DIR_ADD, "mailUserStatus", S("active"));
}

bool
admin_user_create(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct admin_changes c = { 0 };
	struct slice local, domain, uid;
	struct admin_org org;
	char *dn;

	if (!admin_split(a, admin_name(a, 0), &local, &domain) || !admin_user_uid(a, local, &uid) ||
	    !admin_find_org(a, domain, &org) || !admin_user_room(a, &org))
		return false;
	dn = admin_user_dn(a, uid, org.dn);
	user_fixed(a, uid, &c);
	if (!user_defaults(a, &org, uid, admin_user_address(a, uid, org.domain), &c) ||
	    !admin_fields_put(a, ADMIN_USER, &org, NULL, &c) || !admin_create(a, dn, &c, what))
		return false;
	return !a->call->secret.n || admin_password(a, dn, NULL, a->call->secret, what);
}

/* ---- show, list, modify ----------------------------------------------------------------------------------- */

bool
admin_user_show(struct admin *a)
{
	const struct dir_entry *e;

	if (!admin_find_user(a, admin_name(a, 0), NULL, &e))
		return false;
	admin_tell(a, ADMIN_USER, arena_cstr(&a->memory, admin_dn_name(&a->memory, e->dn)), e);
	return true;
}

static bool
user_list_one(struct admin *a, const struct dir_entry *e, void *arg)
{
	size_t *n = arg;

	admin_tell(a, ADMIN_USER, arena_cstr(&a->telling, admin_dn_name(&a->telling, e->dn)), e);
	return !a->call->limit || ++*n < a->call->limit;
}

/* Those whose uid, name or address begins with the word. */
static char *
user_list_filter(struct admin *a, struct slice word)
{
	static const char *const attributes[] = { "uid", "cn", "sn", "givenName", "mail",
		"mailAlternateAddress" };
	struct buf b = { 0 };
	char *s;

	buf_lit(&b, "(&(objectClass=inetMailUser)");
	if (word.n) {
		buf_lit(&b, "(|");
		for (size_t i = 0; i < NELEM(attributes); i++) {
			buf_printf(&b, "(%s=", attributes[i]);
			dir_filter_value(&b, word);
			buf_lit(&b, "*)");
		}
		buf_lit(&b, ")");
	}
	buf_lit(&b, ")");
	s = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return s;
}

bool
admin_user_list(struct admin *a)
{
	struct admin_org org;

	return admin_find_org(a, admin_name(a, 0), &org) &&
	    admin_list(a, ADMIN_USER, arena_printf(&a->memory, "ou=People,%s", org.dn),
		DIR_SCOPE_ONE, user_list_filter(a, admin_name(a, 1)), user_list_one);
}

/* The own password is changed by who has given the old one, not by a page that was left open or an application
 * password. */
static bool
user_not_own(struct admin *a, const struct dir_entry *e, const char *what)
{
	if (!a->call->as || a->call->proved ||
	    !slice_ieq(slice_str(a->call->as + strlen("dn:")), e->dn))
		return true;
	return admin_fail(a, ADMIN_DENIED, "own-password",
	    "%s: one's own password is changed with the old one", what);
}

bool
admin_user_modify(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct admin_changes c = { 0 };
	const struct dir_entry *e;
	struct admin_org org;
	struct slice hash;

	return admin_find_user(a, admin_name(a, 0), &org, &e) &&
	    (!admin_setting(a, "hash", &hash) || user_not_own(a, e, what)) &&
	    admin_fields_put(a, ADMIN_USER, &org, e, &c) && admin_modify(a, e->dn.p, e, &c, what);
}

bool
admin_user_status(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	struct admin_changes c = { 0 };
	const struct dir_entry *e;

	if (!admin_find_user(a, admin_name(a, 0), NULL, &e) ||
	    !admin_status_put(a, &c, e, a->verb->verb, "inetUserStatus", "mailUserStatus"))
		return false;
	if (strcmp(a->verb->verb, "delete") == 0)
		admin_class_put(a, &c, e, "tiermailUser");
	return admin_modify(a, e->dn.p, e, &c, what);
}

bool
admin_user_password(struct admin *a)
{
	const char *what = arena_cstr(&a->memory, admin_name(a, 0));
	const struct dir_entry *e;
	struct admin_telling t = { .a = a };

	if (!admin_find_user(a, admin_name(a, 0), NULL, &e) || !user_not_own(a, e, what) ||
	    !admin_password(a, e->dn.p, e, a->call->secret, what))
		return false;
	if (a->out.text.n) {
		admin_tell_add(&t, "user", slice_str(what));
		admin_tell_add(&t, "password", a->out.text);
		admin_tell_end(&t, "password");
	}
	return true;
}

bool
admin_user_place(struct admin *a)
{
	struct slice local, domain, uid, host, package;
	struct admin_telling t = { .a = a };
	struct admin_org org;

	if (!admin_split(a, admin_name(a, 0), &local, &domain) || !admin_user_uid(a, local, &uid) ||
	    !admin_find_org(a, domain, &org))
		return false;
	if (!admin_setting(a, "package", &package))
		package = admin_value(org.entry, "tiermailDefaultPackage");
	if (!admin_place(a, &org, uid, package, &host))
		return false;
	admin_tell_add(&t, "user", admin_name(a, 0));
	if (host.n)
		admin_tell_add(&t, "host", host);
	admin_tell_end(&t, "place");
	return true;
}
