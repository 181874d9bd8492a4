/* pab/card.c: what is in a Card, and what of it LDAP clients are shown.  See card.h and pab-impl.h.
 *
 * The table of RFC 9553 part 2 says what each property is; what else is in a Card is kept as it is.  The attributes
 * are those of inetOrgPerson (RFC 2798) that address book clients read; a value that its syntax does not allow
 * (an address that is not ASCII, a number with letters) is left out there, and is in the Card all the same.
 * Must stay true: no attribute has two values that slapd takes for equal. */
#include "pab/card.h"
#include "base/casemap.h"
#include "base/utf8.h"
#include "pab/pab-impl.h"

const struct json_bounds pab_card_bounds = { PAB_CARD_MAX, 16, 20000 };

/* ---- is it a Card? ---------------------------------------------------------------------------- */

enum shape { TEXT, OBJECT, MAP, SET };
/* clang-format off */
static const struct {
	const char *name;
	enum shape shape;
	const char *needs; /* of each object of a map: a text */
} properties[] = {
	{ "@type", TEXT, NULL }, { "version", TEXT, NULL }, { "created", TEXT, NULL },
	{ "kind", TEXT, NULL }, { "language", TEXT, NULL }, { "members", SET, NULL },
	{ "prodId", TEXT, NULL }, { "relatedTo", MAP, NULL }, { "uid", TEXT, NULL },
	{ "updated", TEXT, NULL }, { "name", OBJECT, NULL }, { "nicknames", MAP, "name" },
	{ "organizations", MAP, NULL }, { "speakToAs", OBJECT, NULL }, { "titles", MAP, "name" },
	{ "emails", MAP, "address" }, { "onlineServices", MAP, NULL }, { "phones", MAP, "number" },
	{ "preferredLanguages", MAP, NULL }, { "calendars", MAP, "uri" },
	{ "schedulingAddresses", MAP, "uri" }, { "addresses", MAP, NULL }, { "cryptoKeys", MAP, "uri" },
	{ "directories", MAP, "uri" }, { "links", MAP, "uri" }, { "media", MAP, "uri" },
	{ "localizations", MAP, NULL }, { "anniversaries", MAP, NULL }, { "keywords", SET, NULL },
	{ "notes", MAP, "note" }, { "personalInfo", MAP, "value" },
};
/* clang-format on */

static const char *
card_map_why(const struct json_t *v, const char *needs)
{
	struct json_walk w = { 0 };

	if (!json_is(v, JSON_KIND_OBJECT))
		return "an object is needed";
	while (json_next(v, &w)) {
		if (!json_is(w.value, JSON_KIND_OBJECT))
			return "each of its values is an object";
		if (needs && !json_text(json_find(w.value, slice_str(needs))).p)
			return "one of its objects lacks what it must have";
	}
	return NULL;
}

static const char *
card_set_why(const struct json_t *v)
{
	struct json_walk w = { 0 };
	bool yes;

	if (!json_is(v, JSON_KIND_OBJECT))
		return "an object is needed";
	while (json_next(v, &w))
		if (!json_get_bool(w.value, &yes) || !yes)
			return "each of its values is true";
	return NULL;
}

static const char *
card_why(const struct json_t *v, size_t i)
{
	switch (properties[i].shape) {
	case TEXT: return json_is(v, JSON_KIND_STR) ? NULL : "a string is needed";
	case OBJECT: return json_is(v, JSON_KIND_OBJECT) ? NULL : "an object is needed";
	case MAP: return card_map_why(v, properties[i].needs);
	case SET: return card_set_why(v);
	}
	return NULL;
}

/* Parts of a name are objects with a kind and a value (2.2.1.2). */
static bool
card_components_fit(const struct json_t *name)
{
	const struct json_t *parts = json_find(name, S("components"));

	if (parts && !json_is(parts, JSON_KIND_ARRAY))
		return false;
	for (size_t i = 0; i < json_count(parts); i++)
		if (!json_text(json_find(json_at(parts, i), S("value"))).p)
			return false;
	return !json_find(name, S("full")) || json_text(json_find(name, S("full"))).p;
}

bool
pab_card_check(const struct json_t *card, struct arena *a, const char **property, const char **why)
{
	*property = NULL;
	*why = "a Card is an object";
	if (!json_is(card, JSON_KIND_OBJECT))
		return false;
	for (size_t i = 0; i < NELEM(properties); i++) {
		const struct json_t *v = json_find(card, slice_str(properties[i].name));

		*property = arena_str(a, properties[i].name);
		if (v && (*why = card_why(v, i)))
			return false;
	}
	*property = "name";
	*why = "full and the values of its components are strings";
	if (!card_components_fit(json_find(card, S("name"))))
		return false;
	*property = "@type";
	*why = "it is Card";
	return !json_find(card, S("@type")) ||
	    slice_eq(json_text(json_find(card, S("@type"))), S("Card"));
}

/* ---- its names ----------------------------------------------------------------------------------- */

static struct slice
parts_join(const struct json_t *card, const char *kind, struct arena *a)
{
	const struct json_t *parts = json_point(card, S("/name/components"));
	struct buf b = { 0 };
	struct slice s;

	for (size_t i = 0; i < json_count(parts); i++) {
		const struct json_t *part = json_at(parts, i);
		struct slice k = json_text(json_find(part, S("kind")));

		if (kind ? !slice_eq(k, slice_str(kind)) : slice_eq(k, S("separator")))
			continue;
		if (b.n)
			buf_char(&b, ' ');
		buf_slice(&b, json_text(json_find(part, S("value"))));
	}
	s = arena_slice(a, slice_trim(buf_get(&b)));
	buf_fini(&b);
	return s;
}

struct slice
pab_card_part(const struct json_t *card, const char *kind, struct arena *a)
{
	return parts_join(card, kind, a);
}

/* The first text of this name in the objects of a map that is not empty. */
static struct slice
map_first(const struct json_t *card, const char *map, const char *name)
{
	struct json_walk w = { 0 };

	while (json_next(json_find(card, slice_str(map)), &w)) {
		struct slice s = slice_trim(json_text(json_find(w.value, slice_str(name))));

		if (s.n)
			return s;
	}
	return S("");
}

struct slice
pab_card_name(const struct json_t *card, struct arena *a)
{
	static const char *const others[][2] = { { "organizations", "name" },
		{ "nicknames", "name" }, { "emails", "address" }, { "phones", "number" } };
	struct slice s = slice_trim(json_text(json_point(card, S("/name/full"))));

	if (s.n == 0)
		s = parts_join(card, NULL, a);
	for (size_t i = 0; i < NELEM(others) && s.n == 0; i++)
		s = map_first(card, others[i][0], others[i][1]);
	return s.n ? s : S("?");
}

/* ---- as attributes ---------------------------------------------------------------------------------- */

#define SHOWN_OCTETS 1024
#define SHOWN_VALUES 100

struct shown {
	struct arena *a;
	enum dir_how how;
	struct dir_change *out;
	size_t n;
};

/* The first octets, whole characters, of a text without NULs. */
static struct slice
shown_text(struct slice s)
{
	s = slice_trim(slice(s.p, slice_find(s, '\0')));
	if (s.n <= SHOWN_OCTETS)
		return s;
	s.n = SHOWN_OCTETS;
	while (s.n && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
		s.n--;
	return slice_trim(s);
}

static void
shown_put(struct shown *s, const char *attribute, const struct slice *values, size_t n)
{
	if (n || s->how == DIR_REPLACE)
		s->out[s->n++] = (struct dir_change){ s->how, attribute, values, n };
}

static void
shown_one(struct shown *s, const char *attribute, struct slice text)
{
	struct slice *v = arena_array(s->a, 1, sizeof(*v));

	*v = shown_text(text);
	shown_put(s, attribute, v, v->n ? 1 : 0);
}

/* Syntaxes of attributes with many values, RFC 4517 3.3.15 and 3.3.31. */
static bool
shown_ascii(char c)
{
	return c >= 0x20 && c < 0x7f;
}
static bool
shown_printable(char c)
{
	return ascii_hex(c) >= 0 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c != '\0' && strchr("'()+,-./:? ", c));
}

/* As telephoneNumberMatch and caseIgnoreIA5Match compare, or more alike. */
static bool
shown_same(struct slice x, struct slice y)
{
	size_t i = 0, k = 0;

	for (;;) {
		while (i < x.n && (x.p[i] == ' ' || x.p[i] == '-'))
			i++;
		while (k < y.n && (y.p[k] == ' ' || y.p[k] == '-'))
			k++;
		if (i == x.n || k == y.n)
			return i == x.n && k == y.n;
		if (ascii_lower(x.p[i++]) != ascii_lower(y.p[k++]))
			return false;
	}
}

static bool
shown_fits(struct slice v, bool (*is)(char), const struct slice *others, size_t n)
{
	bool solid = false;

	if (v.n == 0 || v.n > SHOWN_OCTETS)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (!is(v.p[i]))
			return false;
		solid = solid || (v.p[i] != ' ' && v.p[i] != '-');
	}
	for (size_t i = 0; i < n; i++)
		if (shown_same(v, others[i]))
			return false;
	return solid;
}

/* Has the object this feature ("mobile"; phones, 2.3.3)?  NULL: any but mobile and fax. */
static bool
shown_feature(const struct json_t *phone, const char *feature)
{
	const struct json_t *f = json_find(phone, S("features"));
	bool mobile = json_find(f, S("mobile")), fax = json_find(f, S("fax"));

	if (!feature)
		return !mobile && !fax;
	return strcmp(feature, "mobile") == 0 ? mobile : fax && !mobile;
}

static void
shown_many(struct shown *s, const struct json_t *card, const char *attribute, const char *map,
    const char *name, const char *feature, bool (*is)(char))
{
	const struct json_t *m = json_find(card, slice_str(map));
	struct slice *v = arena_array(s->a, json_count(m) + 1, sizeof(*v));
	struct json_walk w = { 0 };
	size_t n = 0;

	while (n < SHOWN_VALUES && json_next(m, &w)) {
		struct slice text = slice_trim(json_text(json_find(w.value, slice_str(name))));

		if (is == shown_printable && !shown_feature(w.value, feature))
			continue;
		if (shown_fits(text, is, v, n))
			v[n++] = text;
	}
	shown_put(s, attribute, v, n);
}

/* A part of the first address (2.5.1.2). */
static struct slice
shown_place(const struct json_t *card, const char *kind, struct arena *a)
{
	struct json_walk w = { 0 };
	const struct json_t *parts;
	struct buf b = { 0 };
	struct slice s;

	if (!json_next(json_find(card, S("addresses")), &w))
		return S("");
	parts = json_find(w.value, S("components"));
	for (size_t i = 0; i < json_count(parts); i++) {
		const struct json_t *part = json_at(parts, i);

		if (!slice_eq(json_text(json_find(part, S("kind"))), slice_str(kind)))
			continue;
		if (b.n)
			buf_char(&b, ' ');
		buf_slice(&b, json_text(json_find(part, S("value"))));
	}
	s = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return s;
}

static struct slice
shown_street(const struct json_t *card, struct arena *a)
{
	struct slice name = shown_place(card, "name", a), number = shown_place(card, "number", a);

	return number.n ? slice_str(arena_printf(a, SFMT " " SFMT, SARG(name), SARG(number))) :
			  name;
}

size_t
pab_card_attributes(const struct json_t *card, struct arena *a, enum dir_how how,
    struct dir_change *out)
{
	struct shown s = { a, how, out, 0 };
	struct slice cn = pab_card_name(card, a),
		     sn = shown_text(pab_card_part(card, "surname", a));

	cn = shown_text(cn).n ? cn : S("?");
	shown_one(&s, "cn", cn);
	shown_one(&s, "displayName", cn);
	shown_one(&s, "sn", sn.n ? sn : cn);
	shown_one(&s, "givenName", pab_card_part(card, "given", a));
	shown_many(&s, card, "mail", "emails", "address", NULL, shown_ascii);
	shown_many(&s, card, "telephoneNumber", "phones", "number", NULL, shown_printable);
	shown_many(&s, card, "mobile", "phones", "number", "mobile", shown_printable);
	shown_one(&s, "o", map_first(card, "organizations", "name"));
	shown_one(&s, "title", map_first(card, "titles", "name"));
	shown_one(&s, "street", shown_street(card, a));
	shown_one(&s, "l", shown_place(card, "locality", a));
	shown_one(&s, "st", shown_place(card, "region", a));
	shown_one(&s, "postalCode", shown_place(card, "postcode", a));
	shown_one(&s, "description", map_first(card, "notes", "note"));
	return s.n;
}

/* ---- what finds it --------------------------------------------------------------------------------- */

/* clang-format off */
/* The texts that a condition looks at: below this property, of these members ("": any text). */
static const struct {
	const char *condition, *property, *member;
} looks[] = {
	{ "name", "name", "" },
	{ "nickname", "nicknames", "name" },
	{ "organization", "organizations", "name" },
	{ "email", "emails", "address" },
	{ "phone", "phones", "number" },
	{ "onlineService", "onlineServices", "" },
	{ "address", "addresses", "" },
	{ "note", "notes", "note" },
	{ "text", "titles", "name" },
};
/* clang-format on */

static bool
text_has(struct slice where, struct slice wanted)
{
	struct buf b = { 0 };
	bool has;

	casemap_to(&b, where);
	has = wanted.n == 0 || slice_find_str(buf_get(&b), wanted) < b.n;
	buf_fini(&b);
	return has;
}

/* Any text of the value, to the depth that pab_card_bounds allow. */
static bool
value_has(const struct json_t *v, struct slice member, struct slice wanted, unsigned depth)
{
	struct json_walk w = { 0 };

	if (json_is(v, JSON_KIND_STR))
		return text_has(json_text(v), wanted);
	for (size_t i = 0; depth && json_is(v, JSON_KIND_ARRAY) && i < json_count(v); i++)
		if (value_has(json_at(v, i), member, wanted, depth - 1))
			return true;
	while (depth && json_is(v, JSON_KIND_OBJECT) && json_next(v, &w)) {
		if (json_is(w.value, JSON_KIND_STR) && member.n && !slice_eq(w.name, member))
			continue;
		if (!slice_eq(w.name, S("kind")) && !slice_eq(w.name, S("@type")) &&
		    value_has(w.value, member, wanted, depth - 1))
			return true;
	}
	return false;
}

static bool
looks_fit(const struct json_t *card, struct slice condition, struct slice wanted)
{
	bool any = slice_eq(condition, S("text"));

	for (size_t i = 0; i < NELEM(looks); i++)
		if ((any || slice_eq(condition, slice_str(looks[i].condition))) &&
		    value_has(json_find(card, slice_str(looks[i].property)),
			slice_str(looks[i].member), wanted, pab_card_bounds.depth))
			return true;
	return false;
}

/* "name/given": the component of that kind. */
static const char *
condition_part(struct slice condition)
{
	return slice_eq(condition, S("name/given")) ? "given" :
	    slice_eq(condition, S("name/surname"))  ? "surname" :
	    slice_eq(condition, S("name/surname2")) ? "surname2" :
						      NULL;
}

bool
pab_card_condition(struct slice name)
{
	for (size_t i = 0; i < NELEM(looks); i++)
		if (slice_eq(name, slice_str(looks[i].condition)))
			return true;
	return condition_part(name) || slice_eq(name, S("uid")) || slice_eq(name, S("kind")) ||
	    slice_eq(name, S("hasMember"));
}

bool
pab_card_fits(const struct json_t *card, struct slice condition, struct slice text)
{
	const char *part = condition_part(condition);
	struct slice kind = json_text(json_find(card, S("kind")));
	struct arena a = { 0 };
	struct buf wanted = { 0 };
	bool fits;

	if (slice_eq(condition, S("uid")))
		return slice_eq(json_text(json_find(card, S("uid"))), text);
	if (slice_eq(condition, S("kind")))
		return slice_eq(kind.n ? kind : S("individual"), text);
	if (slice_eq(condition, S("hasMember")))
		return json_find(json_find(card, S("members")), text);
	casemap_to(&wanted, text);
	fits = part ? text_has(pab_card_part(card, part, &a), buf_get(&wanted)) :
		      looks_fit(card, condition, buf_get(&wanted));
	buf_fini(&wanted);
	arena_reset(&a);
	return fits;
}
