/* find.c: names of people become entries: organisations by a domain, users and lists by an address.
 *
 * Called by the verbs.  Owns nothing.  Can fail: what is not there, what is there twice, and the
 * directory.  Must stay true: every word of a caller goes into a filter by dir_filter_value, and into a
 * DN by admin_dn_value, and what is searched is one organisation: the same address in two of them is two. */
#include "admin/admin-impl.h"

#define CLASS_ORG  "(objectClass=sunManagedOrganization)"
#define CLASS_USER "(|(objectClass=inetMailUser)(objectClass=mailRecipient))"
#define CLASS_LIST "(|(objectClass=inetMailGroup)(objectClass=mailGroup))"

static const char *const find_all[] = { "*", "entryCSN", "createTimestamp", "modifyTimestamp",
	"entryUUID", NULL };

bool
admin_split(struct admin *a, struct slice address, struct slice *local, struct slice *domain)
{
	struct address addr;
	const char *why;

	if (address_parse(address, ADDRESS_UTF8, &a->memory, &addr, &why) < 0)
		return admin_fail(a, ADMIN_BAD, "address", SFMT ": no address: %s", SARG(address),
		    why);
	*local = addr.local;
	*domain = addr.domain;
	return true;
}

/* RFC 4514 2.4: what has a meaning there, and what is not printed, as \XX. */
void
admin_dn_value(struct buf *b, struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		bool edge = i == 0 || i + 1 == value.n;

		if (strchr(",+\"\\<>;=", c) || (unsigned char)c < ' ' || c == 0x7f ||
		    (edge && (c == ' ' || c == '#'))) {
			buf_char(b, '\\');
			buf_hex(b, value.p + i, 1);
		} else {
			buf_char(b, c);
		}
	}
}

static char *
find_filter(struct admin *a, const char *class, const char *const *attributes, struct slice value)
{
	struct buf b = { 0 };
	char *s;

	buf_printf(&b, "(&%s(|", class);
	for (size_t i = 0; attributes[i]; i++)
		dir_filter_equal(&b, attributes[i], value, S(""));
	buf_lit(&b, "))");
	s = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return s;
}

/* ---- organisations, providers, packages ------------------------------------------------------------ */

/* The one entry of the last search, copied. */
static bool
find_one(struct admin *a, struct slice name, const char *what, const struct dir_entry **e)
{
	if (a->out.n == 0)
		return admin_fail(a, ADMIN_NOT_FOUND, "not-found",
		    SFMT ": there is no such %s, or you may not see it", SARG(name), what);
	if (a->out.n > 1)
		return admin_fail(a, ADMIN_FAILED, "twice",
		    SFMT ": the directory has %zu such %ss; diradm check says which", SARG(name),
		    a->out.n, what);
	*e = admin_entry_copy(a, &a->out.entries[0]);
	return true;
}

/* A person without a role sees no organisation; to find the own entry, the own one is looked for by our account. */
static bool
find_org_own(struct admin *a, const char *filter)
{
	struct slice dn = S(""), as;
	bool good;

	if (!a->call->as || a->out.n)
		return true;
	a->own = true;
	good = admin_search(a, admin_base(), DIR_SCOPE_SUB, filter, find_all);
	a->own = false;
	if (good && a->out.n == 1)
		dn = slice_str(arena_printf(&a->memory, "," SFMT, SARG(a->out.entries[0].dn)));
	as = slice_str(a->call->as);
	if (good && !(dn.n && as.n > dn.n && slice_ieq(slice_from(as, as.n - dn.n), dn)))
		a->out.n = 0;
	return good;
}

static bool
find_org(struct admin *a, struct slice name, bool own, struct admin_org *org)
{
	static const char *const names[] = { "sunPreferredDomain", "associatedDomain", NULL };
	struct buf ascii = { 0 };
	const char *filter;
	bool good;

	if (!domain_valid(name, ADDRESS_UTF8) || domain_write_ascii(&ascii, name) < 0) {
		buf_fini(&ascii);
		return admin_fail(a, ADMIN_BAD, "domain", SFMT ": no domain name", SARG(name));
	}
	filter = find_filter(a, CLASS_ORG, names, buf_get(&ascii));
	good = admin_search(a, admin_base(), DIR_SCOPE_SUB, filter, find_all) &&
	    (!own || find_org_own(a, filter)) && find_one(a, name, "organisation", &org->entry);
	buf_fini(&ascii);
	if (!good)
		return false;
	org->dn = org->entry->dn.p;
	org->domain = admin_value(org->entry, "sunPreferredDomain");
	return true;
}

bool
admin_find_org(struct admin *a, struct slice name, struct admin_org *org)
{
	return find_org(a, name, false, org);
}

bool
admin_org_has(const struct admin_org *org, struct slice domain)
{
	return admin_has(org->entry, "sunPreferredDomain", domain) ||
	    admin_has(org->entry, "associatedDomain", domain);
}

bool
admin_find_provider(struct admin *a, struct slice name, const struct dir_entry **e)
{
	static const char *const names[] = { "o", NULL };

	return admin_search(a, admin_base(), DIR_SCOPE_ONE,
		   find_filter(a, "(objectClass=tiermailProvider)", names, name), find_all) &&
	    find_one(a, name, "provider", e);
}

bool
admin_find_package(struct admin *a, struct slice name, const struct dir_entry **e)
{
	static const char *const names[] = { "cn", NULL };
	const char *base = arena_printf(&a->memory, "ou=packages,%s", admin_base());

	return admin_search(a, base, DIR_SCOPE_ONE,
		   find_filter(a, "(objectClass=tiermailPackage)", names, name), find_all) &&
	    find_one(a, name, "package", e);
}

/* ---- users and lists -------------------------------------------------------------------------------- */

/* Entries of the class whose naming attribute is the local part, or that have the address: in any of the
 * organisation's domains. */
static char *
find_address_filter(struct admin *a, const char *class, const char *naming,
    const struct admin_org *org, struct slice local)
{
	static const char *const attributes[] = { "mail", "mailAlternateAddress",
		"mailEquivalentAddress" };
	const struct dir_attribute *also = admin_attr(org->entry, "associatedDomain");
	struct buf b = { 0 };
	char *s;

	buf_printf(&b, "(&%s(|", class);
	dir_filter_equal(&b, naming, local, S(""));
	for (size_t i = 0; i < NELEM(attributes); i++) {
		dir_filter_equal(&b, attributes[i], local, org->domain);
		for (size_t k = 0; also && k < also->n; k++)
			dir_filter_equal(&b, attributes[i], local, also->values[k]);
	}
	buf_lit(&b, "))");
	s = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return s;
}

/* Of several the one of that name: an address may be another user's uid. */
static bool
find_named(struct admin *a, struct slice name, const char *naming, struct slice local,
    const char *what, const struct dir_entry **e)
{
	for (size_t i = 0; a->out.n > 1 && i < a->out.n; i++)
		if (admin_has(&a->out.entries[i], naming, local)) {
			*e = admin_entry_copy(a, &a->out.entries[i]);
			return true;
		}
	return find_one(a, name, what, e);
}

/* Who sees no organisation sees the own entry, which is asked for by its DN. */
static bool
find_self(struct admin *a, const char *filter)
{
	return !a->call->as || a->out.n ||
	    admin_search(a, a->call->as + strlen("dn:"), DIR_SCOPE_BASE, filter, find_all);
}

/* "0b9c...": what `id` shows, which no renaming changes. */
static bool
find_is_id(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? name.p[i] != '-' :
							      ascii_hex(name.p[i]) < 0)
			return false;
	return name.n == 36;
}

/* The organisation is what stands behind ou=People or ou=Groups. */
static bool
find_id(struct admin *a, struct slice id, const char *class, const char *what,
    struct admin_org *org, const struct dir_entry **e)
{
	static const char *const names[] = { "entryUUID", NULL };
	struct slice dn;

	if (!admin_search(a, admin_base(), DIR_SCOPE_SUB, find_filter(a, class, names, id),
		find_all) ||
	    !find_one(a, id, what, e))
		return false;
	dn = (*e)->dn;
	for (int i = 0; i < 2; i++)
		for (size_t at = 0; at < dn.n; at += dn.p[at] == '\\' ? 2 : 1)
			if (dn.p[at] == ',') {
				dn = slice_from(dn, at + 1);
				break;
			}
	if (!admin_search(a, arena_cstr(&a->memory, dn), DIR_SCOPE_BASE, CLASS_ORG, find_all) ||
	    !find_one(a, id, "organisation", &org->entry))
		return false;
	org->dn = org->entry->dn.p;
	org->domain = admin_value(org->entry, "sunPreferredDomain");
	return true;
}

static bool
find_address(struct admin *a, struct slice name, const char *class, const char *naming,
    const char *what, struct admin_org *org, const struct dir_entry **e)
{
	struct slice local, domain;
	struct admin_org own = { .dn = NULL };
	const char *filter;

	org = org ? org : &own;
	if (find_is_id(name))
		return find_id(a, name, class, what, org, e);
	if (!admin_split(a, name, &local, &domain) || !find_org(a, domain, true, org))
		return false;
	filter = find_address_filter(a, class, naming, org, local);
	return admin_search(a, org->dn, DIR_SCOPE_SUB, filter, find_all) && find_self(a, filter) &&
	    find_named(a, name, naming, local, what, e);
}

bool
admin_find_user(struct admin *a, struct slice name, struct admin_org *org,
    const struct dir_entry **e)
{
	return find_address(a, name, CLASS_USER, "uid", "user", org, e);
}

/* Who administers nothing does not see the organisation; the agent's own account does, and tells which entry is the
 * person's own. */
bool
admin_find_person(struct admin *a, struct slice name, struct admin_org *org,
    const struct dir_entry **e)
{
	struct admin_problem problem;
	const struct dir_entry *mine;
	bool own;

	if (admin_find_user(a, name, org, e))
		return true;
	if (a->problem->status != ADMIN_NOT_FOUND || !a->call->as)
		return false;
	problem = *a->problem;
	a->problem->status = ADMIN_OK;
	a->own = true;
	own = admin_find_user(a, name, org, &mine);
	a->own = false;
	if (own && slice_ieq(mine->dn, slice_from(slice_str(a->call->as), 3))) /* dn: */
		return admin_search(a, mine->dn.p, DIR_SCOPE_BASE, NULL, find_all) &&
		    find_one(a, name, "user", e);
	*a->problem = problem;
	return false;
}

bool
admin_find_group(struct admin *a, struct slice name, struct admin_org *org,
    const struct dir_entry **e)
{
	return find_address(a, name, CLASS_LIST, "cn", "list", org, e);
}

/* The entry that has the address, of those that are not `own`; NULL: none. */
static bool
find_whose(struct admin *a, const struct admin_org *org, struct slice address, const char *own,
    const struct dir_entry **e)
{
	static const char *const attributes[] = { "mail", "mailAlternateAddress",
		"mailEquivalentAddress", NULL };
	static const char *const few[] = { "mail", NULL };

	*e = NULL;
	if (!admin_search(a, org->dn, DIR_SCOPE_SUB,
		find_filter(a, "(objectClass=*)", attributes, address), few))
		return false;
	for (size_t i = 0; i < a->out.n && !*e; i++)
		if (!own || !slice_ieq(a->out.entries[i].dn, slice_str(own)))
			*e = &a->out.entries[i];
	return true;
}

/* Of what the person does not see nothing is told but that it is there: two of a name stop the mail of both. */
bool
admin_address_free(struct admin *a, const struct admin_org *org, struct slice address,
    const char *own)
{
	const struct dir_entry *e;
	bool good;

	if (!find_whose(a, org, address, own, &e))
		return false;
	if (e)
		return admin_fail(a, ADMIN_EXISTS, "address-in-use",
		    SFMT ": the address is that of " SFMT, SARG(address),
		    SARG(admin_dn_name(&a->memory, e->dn)));
	a->own = true;
	good = !a->call->as || find_whose(a, org, address, own, &e);
	a->own = false;
	return good &&
	    (!e ||
		admin_fail(a, ADMIN_EXISTS, "address-in-use", SFMT ": the address is somebody's",
		    SARG(address)));
}

/* ---- DNs for people ---------------------------------------------------------------------------------- */

/* The value of the next RDN "type=value"; false when it has another type. */
static bool
dn_take(struct slice *dn, struct slice type, struct slice *value)
{
	size_t at = 0;

	if (!slice_istarts(*dn, type) || dn->n == type.n || dn->p[type.n] != '=')
		return false;
	*dn = slice_from(*dn, type.n + 1);
	while (at < dn->n && dn->p[at] != ',')
		at += dn->p[at] == '\\' ? 2 : 1;
	*value = slice_sub(*dn, 0, at);
	*dn = slice_from(*dn, at + 1);
	return true;
}

struct slice
admin_dn_name(struct arena *m, struct slice dn)
{
	struct slice rest = dn, name, folder, domain;
	bool user = dn_take(&rest, S("uid"), &name);

	if (!user && !dn_take(&rest, S("cn"), &name))
		return dn;
	if (!dn_take(&rest, S("ou"), &folder) || !dn_take(&rest, S("o"), &domain) ||
	    slice_find(name, '\\') < name.n)
		return dn;
	return slice_str(arena_printf(m, SFMT "@" SFMT, SARG(name), SARG(domain)));
}
