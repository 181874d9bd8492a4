/* bulk-ldif.c: users, lists and organisations from LDIF, as rows of settings.
 *
 * Called by bulk.c.  Owns the entry that is read.  Can fail as each entry does, which is told by its line.  Must stay
 * true: an entry is made by a verb, so its attributes become settings by the table of these; those that are no settings
 * are named beside the result, and nothing is taken over that nobody has looked at. */
#include <stdio.h>

#include "admin/bulk-impl.h"
#include "directory/ldif.h"

/* What every entry has, or the directory sets itself. */
static const char *const usual[] = { "objectClass", "uid", "cn", "sn", "ou", "o", "dc",
	"inetDomainBaseDN", "sunPreferredDomain", "structuralObjectClass", "entryUUID", "entryCSN",
	"entryDN", "subschemaSubentry", "hasSubordinates", "creatorsName", "createTimestamp",
	"modifiersName", "modifyTimestamp", "pwdChangedTime", "contextCSN" };

/* In this order, whatever the file's: a member is there before its list. */
static const struct {
	const char *object, *class;
} kinds[] = { { "org", "sunManagedOrganization" }, { "user", "inetMailUser" },
	{ "group", "inetMailGroup" } };

static const char *
import_object(const struct dir_ldif *l)
{
	for (size_t i = 0; i < NELEM(kinds); i++)
		if (dir_ldif_has(l, "objectClass", kinds[i].class))
			return kinds[i].object;
	return NULL;
}

static bool
import_usual(struct slice name)
{
	for (size_t i = 0; i < NELEM(usual); i++)
		if (slice_ieq(name, slice_str(usual[i])))
			return true;
	return false;
}

/* jane@example.com of a tree like ours, else of the address. */
static struct slice
import_name(struct dir_ldif *l, const char *object)
{
	struct slice name = admin_dn_name(&l->memory, l->dn), domain;

	if (strcmp(object, "org") == 0) {
		domain = dir_ldif_get(l, "sunPreferredDomain");
		return domain.n ? domain : dir_ldif_get(l, "o");
	}
	return slice_find(name, '@') < name.n && slice_find(name, '=') == name.n ?
	    name :
	    dir_ldif_get(l, "mail");
}

static void
import_settings(struct bulk *b, struct dir_ldif *l, struct admin_row *row, char *note, size_t room)
{
	size_t at = 0;

	b->n = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct slice name = l->values[i].name, value = l->values[i].value;

		if (slice_ieq(name, S("userPassword")) && value.n && *value.p != '{') {
			row->secret = value; /* one that nobody has hashed */
		} else if (admin_setting_attribute(b->object, name, value, &l->memory,
			       &b->settings[b->n])) {
			b->n++;
		} else if (!import_usual(name) && at + name.n + 32 < room) {
			at += (size_t)snprintf(note + at, room - at, "%s" SFMT,
			    at ? " " : "passed over: ", SARG(name));
		}
	}
	row->settings = b->settings;
	row->n = b->n;
}

static void
import_entry(struct bulk *b, struct dir_ldif *l)
{
	char note[400] = "";
	struct admin_row row = { .line = b->line,
		.object = b->object,
		.name = import_name(l, b->object),
		.note = note };

	if (!row.name.n) {
		admin_bulk_bad_row(b, l->dn, "neither its DN nor an address names it");
		return;
	}
	import_settings(b, l, &row, note, sizeof(note));
	b->fn(b->arg, &row);
}

/* Entries of one kind; with the first what is none is told, too. */
static void
import_round(struct bulk *b, struct slice file, const char *object, bool first)
{
	struct dir_ldif l;
	const char *why;
	int e;

	dir_ldif_init(&l, file);
	while ((e = dir_ldif_next(&l, &why)) != 0) {
		const char *is = e > 0 ? import_object(&l) : NULL;

		b->line = l.line;
		b->object = object;
		if (is && strcmp(is, object) == 0) {
			import_entry(b, &l);
		} else if (first && e < 0) {
			admin_bulk_bad_row(b, l.dn, why);
		}
	}
	dir_ldif_fini(&l);
}

void
admin_bulk_ldif(struct bulk *b, struct slice file)
{
	for (size_t i = 0; i < NELEM(kinds); i++)
		import_round(b, file, kinds[i].object, i == 0);
}
