/* init.c: what a directory lacks that was there before, as LDIF to be looked at and loaded.
 *
 * Called as `init` of the table of verbs; it changes nothing.  Owns the list of what is needed.  Can fail as
 * searches do.  Must stay true: what is printed is in an order that ldapadd(1) can take, and none of it is there
 * already; the schema is printed by name alone, for it is tiermail-setup's to load, into cn=config. */
#include "admin/admin-impl.h"
#include "base/map.h"
#include "conf/shared.h"

static const struct {
	const char *rdn, *classes, *attribute, *value, *why;
} needed[] = {
	{ "ou=services", "organizationalUnit", "ou", "services", "the accounts of the daemons" },
	{ "ou=packages", "organizationalUnit", "ou", "packages", "service packages" },
	{ "ou=Jobs", "organizationalUnit", "ou", "Jobs", "what is many changes, for admind" },
	{ "uid=admind,ou=services", "account simpleSecurityObject", "uid", "admind",
	    "admind's account, which may act for people and can change nothing itself" },
};

/* Attributes that the verbs set, beside those of the table of settings. */
static const char *const others[] = { "tiermailDeletedAt", "sunPreferredDomain", "associatedDomain",
	"tiermailJobState", "tiermailJobItem" };

static void
init_tell(struct admin *a, const char *what, const char *name, const char *why, const char *ldif)
{
	struct admin_telling t = { .a = a };

	admin_tell_add(&t, "lacks", slice_str(what));
	admin_tell_add(&t, "name", slice_str(name));
	admin_tell_add(&t, "text", slice_str(why));
	if (ldif)
		admin_tell_add(&t, "ldif", slice_str(ldif));
	admin_tell_end(&t, "lack");
}

/* ---- the schema ----------------------------------------------------------------------------------------- */

/* Appends every name of a definition, in lower case and each with a NUL: NAME 'a' or NAME ( 'a' 'b' ). */
static void
init_names(struct slice definition, struct buf *out)
{
	struct slice rest = slice_from(definition, slice_find_str(definition, S("NAME ")) + 5),
		     name;
	size_t end = rest.n && rest.p[0] == '(' ? slice_find(rest, ')') : rest.n;
	bool one = rest.n && rest.p[0] != '(';

	rest = slice_sub(rest, 0, end);
	while (slice_find(rest, '\'') < rest.n) {
		rest = slice_from(rest, slice_find(rest, '\'') + 1);
		name = slice_sub(rest, 0, slice_find(rest, '\''));
		rest = slice_from(rest, name.n + 1);
		for (size_t i = 0; i < name.n; i++)
			buf_char(out, ascii_lower(name.p[i]));
		buf_char(out, '\0');
		if (one)
			return;
	}
}

static bool
init_knows(const struct buf *names, const char *attribute)
{
	size_t n = strlen(attribute);

	for (size_t at = 0; at < names->n; at += strlen(names->p + at) + 1)
		if (strlen(names->p + at) == n &&
		    slice_ieq(slice(names->p + at, n), slice_str(attribute)))
			return true;
	return false;
}

static void
init_attribute(struct admin *a, const struct buf *names, const char *attribute, size_t *lacks)
{
	if (init_knows(names, attribute))
		return;
	++*lacks;
	init_tell(a, "attribute", attribute, "the schema does not have it: tiermail-setup schema",
	    NULL);
}

static bool
init_schema(struct admin *a, size_t *lacks)
{
	static const char *const attrs[] = { "attributeTypes", NULL };
	struct buf names = { 0 };
	struct map told = { 0 };
	const struct dir_attribute *types;

	if (!admin_search(a, "cn=Subschema", DIR_SCOPE_BASE, "(objectClass=subschema)", attrs))
		return false;
	types = a->out.n ? admin_attr(&a->out.entries[0], "attributeTypes") : NULL;
	if (!types)
		return admin_fail(a, ADMIN_FAILED, "schema",
		    "the directory does not show its schema");
	for (size_t i = 0; i < types->n; i++)
		init_names(types->values[i], &names);
	for (unsigned object = ADMIN_USER; object <= ADMIN_PROVIDER; object <<= 1)
		for (const struct admin_field *f = NULL; (f = admin_field_next(f, object));)
			if (!map_put(&told, slice_str(f->attribute), a))
				init_attribute(a, &names, f->attribute, lacks);
	for (size_t i = 0; i < NELEM(others); i++)
		init_attribute(a, &names, others[i], lacks);
	map_fini(&told);
	buf_fini(&names);
	return true;
}

/* ---- entries --------------------------------------------------------------------------------------------- */

static bool
init_is_there(struct admin *a, const char *dn, bool *there)
{
	static const char *const none[] = { "1.1", NULL };

	if (!admin_search(a, dn, DIR_SCOPE_BASE, NULL, none))
		return false;
	*there = a->out.n > 0;
	return true;
}

static char *
init_ldif(struct admin *a, const char *dn, size_t i)
{
	struct slice rest = slice_str(needed[i].classes), class;
	struct buf b = { 0 };
	char *s;

	buf_printf(&b, "dn: %s\n", dn);
	while (slice_word(&rest, &class))
		buf_printf(&b, "objectClass: " SFMT "\n", SARG(class));
	buf_printf(&b, "%s: %s\n", needed[i].attribute, needed[i].value);
	if (strcmp(needed[i].value, "admind") == 0)
		buf_printf(
		    &b, /* no hash has this form, so that nobody gets in before ldappasswd(1) */
		    "userPassword: {SSHA}!\n"
		    "authzTo: dn.regex:^uid=[^,]+,ou=People,o=[^,]+(,o=[^,]+)?,%s$\n",
		    admin_base());
	s = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return s;
}

static bool
init_entries(struct admin *a, size_t *lacks)
{
	for (size_t i = 0; i < NELEM(needed); i++) {
		const char *dn = arena_printf(&a->memory, "%s,%s", needed[i].rdn, admin_base());
		bool there;

		if (!init_is_there(a, dn, &there))
			return false;
		if (there)
			continue;
		++*lacks;
		init_tell(a, "entry", dn, needed[i].why, init_ldif(a, dn, i));
	}
	return true;
}

/* Organisations whose folders are missing: `org create` again makes them. */
static bool
init_orgs(struct admin *a, size_t *lacks)
{
	static const char *const attrs[] = { "sunPreferredDomain", "inetDomainBaseDN", NULL };
	struct dir_job j = { .task = DIR_SEARCH,
		.dn = admin_base(),
		.scope = DIR_SCOPE_SUB,
		.filter = "(objectClass=sunManagedOrganization)",
		.attrs = attrs,
		.page = 500 };
	const struct dir_entry **orgs;
	size_t n;

	if (!admin_job_ok(a, &j, admin_base()))
		return false;
	n = a->out.n;
	orgs = arena_array(&a->memory, n + 1, sizeof(*orgs));
	for (size_t i = 0; i < n; i++)
		orgs[i] = admin_entry_copy(a, &a->out.entries[i]);
	for (size_t i = 0; i < n; i++) {
		bool there;

		if (admin_attr(orgs[i], "inetDomainBaseDN"))
			continue; /* its users are elsewhere: somebody meant that */
		if (!init_is_there(a, arena_printf(&a->memory, "ou=Groups,%s", orgs[i]->dn.p),
			&there))
			return false;
		if (there)
			continue;
		++*lacks;
		init_tell(a, "folder",
		    arena_cstr(&a->memory, admin_value(orgs[i], "sunPreferredDomain")),
		    "ou=Groups of the organisation: diradm org create makes it", NULL);
	}
	return true;
}

bool
admin_init(struct admin *a)
{
	size_t lacks = 0;
	bool there;

	if (!init_is_there(a, admin_base(), &there))
		return false;
	if (!there)
		return admin_fail(a, ADMIN_NOT_FOUND, "base",
		    "%s: the base is not there, or not to be seen: tiermail-setup makes a "
		    "directory",
		    admin_base());
	if (!init_schema(a, &lacks) || !init_entries(a, &lacks) || !init_orgs(a, &lacks))
		return false;
	admin_say(a, "note", S(""), "%zu lack%s", lacks, lacks == 1 ? "" : "s");
	return true;
}
