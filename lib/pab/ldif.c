/* pab/ldif.c: entries of LDIF as Cards.  See ldif.h.
 *
 *	file -> entry: its attributes, unfolded and decoded -> person: a line at once
 *	                                                    -> group: kept, by name, until all members are known
 *
 * The table says what becomes of an attribute; others are passed over.  A value that is read from elsewhere (":<") is
 * none.  Must stay true: what is written is JSON whatever the file has in it. */
#include "pab/ldif.h"
#include "base/arena.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "directory/ldif.h"

#define ATTRIBUTES_MAX 500 /* values of an entry; those beyond are passed over */
#define VALUE_MAX      65536

enum becomes { NAME, EMAIL, PHONE, PLACE, LINK, NOTE, NICK, ORG, UNIT, JOB };
/* clang-format off */
static const struct {
	const char *attribute;
	enum becomes becomes;
	const char *kind, *what; /* of a name or a place; context or feature of a telephone */
} table[] = {
	{ "title", JOB, NULL, NULL }, { "jobTitle", JOB, NULL, NULL },
	{ "givenName", NAME, "given", NULL }, { "middleName", NAME, "given2", NULL },
	{ "sn", NAME, "surname", NULL }, { "suffix", NAME, "credential", NULL },
	{ "nickName", NICK, NULL, NULL }, { "mail", EMAIL, NULL, NULL }, { "piEmail1", EMAIL, NULL, NULL },
	{ "piEmail2", EMAIL, NULL, NULL }, { "piEmail3", EMAIL, NULL, NULL },
	{ "telephoneNumber", PHONE, "contexts", "work" }, { "homePhone", PHONE, "contexts", "private" },
	{ "mobile", PHONE, "features", "mobile" }, { "pager", PHONE, "features", "pager" },
	{ "facsimileTelephoneNumber", PHONE, "features", "fax" }, { "piPhone1", PHONE, NULL, NULL },
	{ "piPhone2", PHONE, NULL, NULL }, { "piPhone3", PHONE, NULL, NULL }, { "piPhone4", PHONE, NULL, NULL },
	{ "piPhone5", PHONE, NULL, NULL }, { "piPhone6", PHONE, NULL, NULL },
	{ "o", ORG, NULL, NULL }, { "company", ORG, NULL, NULL }, { "ou", UNIT, NULL, NULL },
	{ "street", PLACE, "name", "work" }, { "l", PLACE, "locality", "work" }, { "st", PLACE, "region", "work" },
	{ "postalCode", PLACE, "postcode", "work" }, { "co", PLACE, "country", "work" },
	{ "workPostalAddress", PLACE, "name", "work" }, { "workCity", PLACE, "locality", "work" },
	{ "workState", PLACE, "region", "work" }, { "workPostalCode", PLACE, "postcode", "work" },
	{ "workCountry", PLACE, "country", "work" }, { "homePostalAddress", PLACE, "name", "private" },
	{ "homeCity", PLACE, "locality", "private" }, { "homeState", PLACE, "region", "private" },
	{ "homePostalCode", PLACE, "postcode", "private" }, { "homeCountry", PLACE, "country", "private" },
	{ "labeledURI", LINK, NULL, NULL }, { "piWebsite1", LINK, NULL, NULL }, { "piWebsite2", LINK, NULL, NULL },
	{ "description", NOTE, NULL, NULL }, { "notes", NOTE, NULL, NULL }, { "multiLineDescription", NOTE, NULL, NULL },
};
/* clang-format on */

struct ldif_group {
	struct slice name, full, uid;
	struct buf members; /* the inside of an object */
	struct map there;   /* its keys */
};
struct ldif {
	struct arena arena; /* of the entry */
	struct arena kept;  /* of groups, and of who is in them */
	struct {
		struct slice name, value;
	} attr[ATTRIBUTES_MAX];
	size_t n;
	struct slice dn;
	struct map groups; /* struct ldif_group, by name in small letters */
	struct buf line;
	struct buf *out;
};

/* ---- an entry ----------------------------------------------------------------------------------------- */

static void
ldif_attribute(struct ldif *l)
{
	struct slice value = buf_get(&l->line), name, bare;
	struct buf plain = { 0 };

	if (!slice_cut(&value, ':', &name) || !slice_cut(&name, ';', &bare) ||
	    value.n > VALUE_MAX || l->n == ATTRIBUTES_MAX)
		return;
	if (value.n && value.p[0] == ':') {
		if (base64_parse(&plain, slice_trim(slice_from(value, 1))) < 0)
			buf_clear(&plain);
		value = buf_get(&plain);
	} else if (value.n && value.p[0] == '<') {
		value = S("");
	}
	value = slice_trim(value);
	if (value.n && slice_ieq(bare, S("dn"))) {
		l->dn = arena_slice(&l->arena, value);
	} else if (value.n) {
		l->attr[l->n].name = arena_slice(&l->arena, bare);
		l->attr[l->n++].value = arena_slice(&l->arena, value);
	}
	buf_fini(&plain);
}

/* The next entry; false behind the last. */
static bool
ldif_entry(struct ldif *l, struct slice *file)
{
	l->n = 0;
	l->dn = slice(NULL, 0);
	arena_reset(&l->arena);
	while (dir_ldif_line(file, &l->line, NULL, NULL)) {
		if (l->line.n)
			ldif_attribute(l);
		else if (l->dn.n)
			return true;
	}
	return l->dn.n;
}

static struct slice
ldif_get(const struct ldif *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (slice_ieq(l->attr[i].name, slice_str(name)))
			return l->attr[i].value;
	return S("");
}

static bool
ldif_is(const struct ldif *l, const char *const *classes)
{
	for (size_t i = 0; i < l->n; i++)
		for (const char *const *c = classes; *c; c++)
			if (slice_ieq(l->attr[i].name, S("objectClass")) &&
			    slice_ieq(l->attr[i].value, slice_str(*c)))
				return true;
	return false;
}

/* The value of the first part of a DN. */
static struct slice
ldif_rdn(struct slice dn)
{
	struct slice rdn = slice(dn.p, slice_find(dn, ','));
	size_t at = slice_find(rdn, '=');

	return slice_trim(at < rdn.n ? slice_from(rdn, at + 1) : rdn);
}

/* ---- groups --------------------------------------------------------------------------------------------- */

static struct slice
ldif_lower(struct arena *a, struct slice s)
{
	char *p = arena_new(a, s.n + 1);

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return slice(p, s.n);
}

/* Of this name, which may be a DN; made when it is asked for first, by whoever is in it. */
static struct ldif_group *
ldif_group(struct ldif *l, struct slice name)
{
	struct slice key = ldif_lower(&l->kept,
	    slice_find(name, '=') < name.n && slice_find(name, ',') < name.n ? ldif_rdn(name) :
									       name);
	struct ldif_group *g = map_get(&l->groups, key);

	if (g)
		return g;
	g = mem_new(sizeof(*g));
	g->name = key;
	map_put(&l->groups, key, g);
	return g;
}

static void
ldif_group_read(struct ldif *l, struct slice uid)
{
	struct slice un = ldif_get(l, "un"), full = ldif_get(l, "cn");
	struct ldif_group *g = ldif_group(l, un.n ? un : ldif_rdn(l->dn));

	if (!full.n)
		full = ldif_get(l, "displayName");
	g->full = arena_slice(&l->kept, full.n ? full : g->name);
	g->uid = arena_slice(&l->kept, uid);
}

static void
ldif_member(struct ldif *l, struct slice group, struct slice uid)
{
	struct ldif_group *g = ldif_group(l, group);
	struct buf text = { 0 };

	json_str(&text, uid);
	if (!map_get(&g->there, buf_get(&text))) {
		map_put(&g->there, arena_slice(&l->kept, buf_get(&text)), g);
		buf_str(&g->members, g->members.n ? "," : "");
		buf_slice(&g->members, buf_get(&text));
		buf_lit(&g->members, ":true");
	}
	buf_fini(&text);
}

static void
ldif_groups_write(struct ldif *l)
{
	struct ldif_group *g;
	struct buf *b = l->out;
	size_t at = 0;

	while ((g = map_next(&l->groups, &at))) {
		if (g->uid.n) { /* else it is only spoken of */
			buf_lit(b, "{\"@type\":\"Card\",\"version\":\"1.0\",\"kind\":\"group\"");
			json_put_str(b, "uid", g->uid);
			json_put_object(b, "name");
			json_put_str(b, "full", g->full);
			buf_lit(b, "},\"members\":{");
			buf_slice(b, buf_get(&g->members));
			buf_lit(b, "}}\n");
		}
		buf_fini(&g->members);
		map_fini(&g->there);
		mem_free(&g);
	}
	map_fini(&l->groups);
}

/* ---- people ----------------------------------------------------------------------------------------------- */

/* The values of one kind of thing: each written by `put`, in a map of this name. */
static void
ldif_map(struct ldif *l, enum becomes what, const char *map, const char *member)
{
	struct buf *b = l->out;
	size_t n = 0;

	for (size_t t = 0; t < NELEM(table); t++)
		for (size_t i = 0; table[t].becomes == what && i < l->n; i++) {
			if (!slice_ieq(l->attr[i].name, slice_str(table[t].attribute)))
				continue;
			if (!n)
				json_put_object(b, map);
			buf_printf(b, "%s\"%c%zu\":{", n ? "," : "", map[0], n + 1);
			n++;
			json_put_str(b, member, l->attr[i].value);
			if (table[t].kind)
				buf_printf(b, ",\"%s\":{\"%s\":true}", table[t].kind,
				    table[t].what);
			buf_char(b, '}');
		}
	if (n)
		buf_char(b, '}');
}

/* Parts with a kind and a value, of names and of places in one context; false: there are none. */
static bool
ldif_parts(struct ldif *l, enum becomes what, const char *context, struct buf *b)
{
	bool any = false;

	for (size_t t = 0; t < NELEM(table); t++) {
		struct slice v = ldif_get(l, table[t].attribute);

		if (table[t].becomes != what || !v.n ||
		    (context && strcmp(table[t].what, context) != 0))
			continue;
		buf_str(b, any ? "," : "");
		buf_char(b, '{');
		json_put_cstr(b, "kind", table[t].kind);
		json_put_str(b, "value", v);
		buf_char(b, '}');
		any = true;
	}
	return any;
}

static void
ldif_places(struct ldif *l)
{
	static const char *const contexts[] = { "work", "private" };
	bool any = false;

	for (size_t i = 0; i < NELEM(contexts); i++) {
		struct buf parts = { 0 };

		if (ldif_parts(l, PLACE, contexts[i], &parts)) {
			if (!any)
				json_put_object(l->out, "addresses");
			buf_printf(l->out,
			    "%s\"a%zu\":{\"components\":[" SFMT "],\"contexts\":{\"%s\":true}}",
			    any ? "," : "", i + 1, SARG(buf_get(&parts)), contexts[i]);
			any = true;
		}
		buf_fini(&parts);
	}
	if (any)
		buf_char(l->out, '}');
}

static void
ldif_name(struct ldif *l)
{
	struct slice full = ldif_get(l, "cn");
	struct buf parts = { 0 };
	bool any = ldif_parts(l, NAME, NULL, &parts);

	if (!full.n)
		full = ldif_get(l, "fullname");
	if (!full.n)
		full = ldif_get(l, "displayName");
	if (any || full.n) {
		json_put_object(l->out, "name");
		if (full.n)
			json_put_str(l->out, "full", full);
		if (any) {
			json_put_array(l->out, "components");
			buf_slice(l->out, buf_get(&parts));
			buf_lit(l->out, "],\"isOrdered\":true");
		}
		buf_char(l->out, '}');
	}
	buf_fini(&parts);
}

static void
ldif_organization(struct ldif *l)
{
	struct slice org = ldif_get(l, "o"), unit = ldif_get(l, "ou");
	struct buf *b = l->out;

	if (!org.n)
		org = ldif_get(l, "company");
	if (!org.n && !unit.n)
		return;
	buf_lit(b, ",\"organizations\":{\"o1\":{");
	if (org.n)
		json_put_str(b, "name", org);
	if (unit.n) {
		json_put_array(b, "units");
		buf_char(b, '{');
		json_put_str(b, "name", unit);
		buf_lit(b, "}]");
	}
	buf_lit(b, "}}");
}

static void
ldif_person(struct ldif *l, struct slice uid)
{
	static const char *const in[] = { "memberOfPABGroup", "memberOfPIGroup" };
	struct buf *b = l->out;

	buf_lit(b, "{\"@type\":\"Card\",\"version\":\"1.0\"");
	json_put_str(b, "uid", uid);
	ldif_name(l);
	ldif_map(l, NICK, "nicknames", "name");
	ldif_organization(l);
	ldif_map(l, JOB, "titles", "name");
	ldif_map(l, EMAIL, "emails", "address");
	ldif_map(l, PHONE, "phones", "number");
	ldif_places(l);
	ldif_map(l, LINK, "links", "uri");
	ldif_map(l, NOTE, "notes", "note");
	buf_lit(b, "}\n");
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < NELEM(in); k++)
			if (slice_ieq(l->attr[i].name, slice_str(in[k])))
				ldif_member(l, l->attr[i].value, uid);
}

/* ---- the whole ---------------------------------------------------------------------------------------------- */

bool
pab_ldif_is(struct slice file)
{
	struct slice line;

	while (slice_cut(&file, '\n', &line)) {
		line = slice_trim(line);
		if (line.n && line.p[0] != '#')
			return slice_istarts(line, S("dn:")) ||
			    slice_istarts(line, S("version: 1"));
	}
	return false;
}

void
pab_ldif_read(struct slice file, struct buf *lines)
{
	static const char *const people[] = { "inetOrgPerson", "organizationalPerson", "person",
		"pabPerson", "piTypePerson", NULL };
	static const char *const groups[] = { "pabGroup", "piTypeGroup", NULL };
	struct ldif *l = mem_new(sizeof(*l));

	l->out = lines;
	while (ldif_entry(l, &file)) {
		struct slice own = ldif_get(l, "piEntryID"), uid;

		if (!own.n)
			own = ldif_get(l, "un");
		uid = slice_str(arena_printf(&l->arena, "ldap:///" SFMT,
		    SARG(own.n ? own : ldif_lower(&l->arena, l->dn))));
		if (ldif_is(l, groups))
			ldif_group_read(l, uid);
		else if (ldif_is(l, people))
			ldif_person(l, uid);
	}
	ldif_groups_write(l);
	arena_reset(&l->arena);
	arena_reset(&l->kept);
	buf_fini(&l->line);
	mem_free(&l);
}
