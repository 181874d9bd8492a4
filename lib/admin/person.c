/* person.c: `user export`: all that the directory has of one person, for who asks what is kept of him.
 *
 * Called by the table of verbs.  Owns nothing.  Can fail as reading does.  Must stay true: it is for the person, and
 * for who administers him, not for the help desk; it is read as who asks, so that nobody is told more than he may see; secrets are told to nobody.  What stores and address books have is theirs,
 * and a note says how it is got. */
#include "admin/admin-impl.h"

static const char *const person_naming[] = { "uniqueMember", "member", "owner", "mgrpModerator" };

/* Is it kept for programs alone, which prove by it who somebody is? */
static bool
person_hides(struct slice attribute)
{
	return admin_secret(attribute) || slice_ieq(attribute, S("tiermailScram")) ||
	    slice_ieq(attribute, S("pwdHistory"));
}

/* The entry and those below it, application passwords, by the directory's own names. */
static bool
person_entry(struct admin *a, const struct dir_entry *e, void *arg UNUSED)
{
	struct admin_telling t = { .a = a };

	admin_tell_add(&t, "dn", e->dn);
	for (size_t i = 0; i < e->n; i++) {
		const char *name = arena_cstr(&a->telling, e->attrs[i].name);

		if (person_hides(e->attrs[i].name))
			continue;
		for (size_t k = 0; k < e->attrs[i].n; k++)
			admin_tell_list(&t, name, e->attrs[i].values[k]);
	}
	admin_tell_end(&t, "entry");
	return true;
}

/* A list, a role or a moderated group that names the person: as what. */
static bool
person_named(struct admin *a, const struct dir_entry *e, void *arg)
{
	const struct slice *dn = arg;
	struct admin_telling t = { .a = a };

	admin_tell_add(&t, "dn", e->dn);
	for (size_t i = 0; i < NELEM(person_naming); i++)
		if (admin_has(e, person_naming[i], *dn))
			admin_tell_list(&t, "as", slice_str(person_naming[i]));
	admin_tell_end(&t, "named");
	return true;
}

static char *
person_filter(struct admin *a, struct slice dn)
{
	struct buf b = { 0 };
	char *s;

	buf_lit(&b, "(|");
	for (size_t i = 0; i < NELEM(person_naming); i++)
		dir_filter_equal(&b, person_naming[i], dn, S(""));
	buf_lit(&b, ")");
	s = arena_cstr(&a->memory, buf_get(&b));
	buf_fini(&b);
	return s;
}

static bool
person_own(const struct admin *a, struct slice dn)
{
	return a->call->as && slice_ieq(dn, slice_from(slice_str(a->call->as), strlen("dn:")));
}

bool
admin_user_export(struct admin *a)
{
	static const char *const all[] = { "*", "+", NULL };
	static const char *const naming[] = { "uniqueMember", "member", "owner", "mgrpModerator",
		NULL };
	struct admin_org org = { .dn = NULL };
	const struct dir_entry *e;
	struct slice dn, host;

	if (!admin_find_person(a, admin_name(a, 0), &org, &e))
		return false;
	dn = slice_str(arena_cstr(&a->memory, e->dn));
	host = slice_str(arena_cstr(&a->memory, admin_value(e, "mailHost")));
	if (!person_own(a, dn) && !admin_over(a, org.dn))
		return false;
	if (!admin_each(a, dn.p, DIR_SCOPE_SUB, "(objectClass=*)", all, person_entry, NULL) ||
	    !admin_each(a, admin_base(), DIR_SCOPE_SUB, person_filter(a, dn), naming, person_named,
		&dn))
		return false;
	admin_say(a, "note", admin_dn_name(&a->memory, dn),
	    "the mailbox is a store's, " SFMT ": storectl export; address books: pabctl export; "
	    "what was changed: audit list; what was "
	    "sent and came: delivery list",
	    SARG(host.n ? host : S("which none names")));
	return true;
}
