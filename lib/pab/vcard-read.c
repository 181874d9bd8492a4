/* pab/vcard-read.c: a vCard as the JSON of a Card.  See vcard.h.
 *
 *	file -> lines, unfolded -> a property: name, parameters, value -> its reader -> the map that it belongs to
 *
 * A property without a reader, or whose reader gives it back, is kept as it is (vCardProps).  Nothing is refused: what is no
 * property is passed over, and of one kind at most VALUES_MAX are taken.  Must stay true: the text that is written is JSON
 * whatever the file has in it: every value goes through json_str. */
#include "pab/vcard.h"
#include "base/map.h"
#include "pab/vcard-line.h"

#define VALUES_MAX 500

enum vcard_map {
	NICKNAMES,
	ORGANIZATIONS,
	TITLES,
	EMAILS,
	PHONES,
	ADDRESSES,
	LINKS,
	SERVICES,
	ANNIVERSARIES,
	NOTES,
	MEDIA,
	LANGUAGES,
	KEYWORDS,
	MEMBERS,
	KEPT,
	MAPS
};
/* clang-format off */
static const struct {
	const char *name, *prefix; /* prefix NULL: its keys are the values, or it is an array */
} maps[MAPS] = {
	[NICKNAMES] = { "nicknames", "k" }, [ORGANIZATIONS] = { "organizations", "o" },
	[TITLES] = { "titles", "t" }, [EMAILS] = { "emails", "e" }, [PHONES] = { "phones", "p" },
	[ADDRESSES] = { "addresses", "a" }, [LINKS] = { "links", "l" },
	[SERVICES] = { "onlineServices", "s" }, [ANNIVERSARIES] = { "anniversaries", "y" },
	[NOTES] = { "notes", "n" }, [MEDIA] = { "media", "m" },
	[LANGUAGES] = { "preferredLanguages", "g" }, [KEYWORDS] = { "keywords", NULL },
	[MEMBERS] = { "members", NULL }, [KEPT] = { "vCardProps", NULL },
};
/* clang-format on */

struct vcard_in {
	struct buf map[MAPS]; /* the inside of each */
	size_t n[MAPS];
	struct buf full, components, uid, kind;
	struct map words[2];    /* keywords and members: which there are */
	struct arena arena;     /* of their keys */
	struct vcard_line line; /* the property in hand */
};

/* ---- maps ------------------------------------------------------------------------------------------- */

/* A new object in a map, to be filled and closed; NULL: there are enough. */
static struct buf *
object(struct vcard_in *in, enum vcard_map m)
{
	struct buf *b = &in->map[m];

	if (in->n[m] == VALUES_MAX)
		return NULL;
	buf_printf(b, "%s\"%s%zu\":{", in->n[m] ? "," : "", maps[m].prefix, in->n[m] + 1);
	in->n[m]++;
	return b;
}

/* The same with one text in it. */
static void
object_text(struct vcard_in *in, enum vcard_map m, const char *more, const char *member,
    struct slice s)
{
	struct buf *b = s.n ? object(in, m) : NULL;

	if (!b)
		return;
	buf_str(b, more);
	json_put_str(b, member, s);
	buf_char(b, '}');
}

static void
put_said(struct vcard_in *in, struct buf *b)
{
	bool home = pab_vcard_has_type(&in->line, S("home")),
	     work = pab_vcard_has_type(&in->line, S("work"));
	uint64_t pref;

	if (home || work) {
		json_put_object(b, "contexts");
		if (home)
			json_put_bool(b, "private", true);
		if (work)
			json_put_bool(b, "work", true);
		buf_char(b, '}');
	}
	if (slice_u64(pab_vcard_param(&in->line, S("PREF")), 100, &pref) == 0 && pref)
		json_put_i64(b, "pref", (int64_t)pref);
	else if (pab_vcard_has_type(&in->line, S("pref")))
		json_put_i64(b, "pref", 1);
}

static bool
said_text(struct vcard_in *in, enum vcard_map m, const char *member, struct slice scheme)
{
	struct slice s = pab_vcard_plain(&in->line, in->line.value);
	struct buf *b;

	if (scheme.n && slice_istarts(s, scheme))
		s = slice_from(s, scheme.n);
	if (s.n && (b = object(in, m))) {
		json_put_str(b, member, s);
		put_said(in, b);
		buf_char(b, '}');
	}
	return true;
}

/* ---- properties ------------------------------------------------------------------------------------------ */

static bool
in_nothing(struct vcard_in *in UNUSED)
{
	return true;
}

static bool
in_fn(struct vcard_in *in)
{
	if (!in->full.n)
		buf_slice(&in->full, pab_vcard_plain(&in->line, in->line.value));
	return true;
}

static void
put_component(struct vcard_in *in, struct buf *b, const char *kind, struct slice values)
{
	struct slice one;

	while (pab_vcard_part_take(&values, ',', &one)) {
		struct slice s = pab_vcard_plain(&in->line, one);

		if (!s.n)
			continue;
		json_element(b);
		buf_char(b, '{');
		json_put_cstr(b, "kind", kind);
		json_put_str(b, "value", s);
		buf_char(b, '}');
	}
}

/* In the order in which a name is said: prefix, given, further ones, family, suffix. */
static bool
in_n(struct vcard_in *in)
{
	static const struct {
		const char *kind;
		size_t at;
	} order[] = { { "title", 3 }, { "given", 1 }, { "given2", 2 }, { "surname", 0 },
		{ "credential", 4 } };
	struct slice parts[5] = { { NULL, 0 } }, rest = in->line.value;
	size_t n = 0;

	while (n < NELEM(parts) && pab_vcard_part_take(&rest, ';', &parts[n]))
		n++;
	buf_clear(&in->components);
	buf_char(&in->components, '[');
	for (size_t i = 0; i < NELEM(order); i++)
		if (order[i].at < n)
			put_component(in, &in->components, order[i].kind, parts[order[i].at]);
	return true;
}

static bool
in_nickname(struct vcard_in *in)
{
	struct slice rest = in->line.value, one;

	while (pab_vcard_part_take(&rest, ',', &one))
		object_text(in, NICKNAMES, "", "name", pab_vcard_plain(&in->line, one));
	return true;
}

static bool
in_org(struct vcard_in *in)
{
	struct slice rest = in->line.value, one;
	struct buf *b = in->line.value.n ? object(in, ORGANIZATIONS) : NULL;
	bool units = false;

	if (!b)
		return true;
	if (pab_vcard_part_take(&rest, ';', &one) && pab_vcard_plain(&in->line, one).n)
		json_put_str(b, "name", pab_vcard_plain(&in->line, one));
	while (pab_vcard_part_take(&rest, ';', &one)) {
		struct slice s = pab_vcard_plain(&in->line, one);

		if (!s.n)
			continue;
		if (!units)
			json_put_array(b, "units");
		units = true;
		json_element(b);
		buf_char(b, '{');
		json_put_str(b, "name", s);
		buf_char(b, '}');
	}
	buf_str(b, units ? "]}" : "}");
	return true;
}

static bool
in_title(struct vcard_in *in)
{
	object_text(in, TITLES, "\"kind\":\"title\"", "name",
	    pab_vcard_plain(&in->line, in->line.value));
	return true;
}

static bool
in_role(struct vcard_in *in)
{
	object_text(in, TITLES, "\"kind\":\"role\"", "name",
	    pab_vcard_plain(&in->line, in->line.value));
	return true;
}

static bool
in_email(struct vcard_in *in)
{
	return said_text(in, EMAILS, "address", S("mailto:"));
}

static bool
in_tel(struct vcard_in *in)
{
	static const char *const features[][2] = { { "cell", "mobile" }, { "voice", "voice" },
		{ "fax", "fax" }, { "pager", "pager" }, { "text", "text" }, { "video", "video" } };
	struct slice s = pab_vcard_plain(&in->line, in->line.value);
	struct buf *b;
	bool any = false;

	if (slice_istarts(s, S("tel:")))
		s = slice_from(s, 4);
	if (!s.n || !(b = object(in, PHONES)))
		return true;
	json_put_str(b, "number", s);
	for (size_t i = 0; i < NELEM(features); i++)
		if (pab_vcard_has_type(&in->line, slice_str(features[i][0]))) {
			if (!any)
				json_put_object(b, "features");
			any = true;
			json_put_bool(b, features[i][1], true);
		}
	if (any)
		buf_char(b, '}');
	put_said(in, b);
	buf_char(b, '}');
	return true;
}

static bool
in_adr(struct vcard_in *in)
{
	static const char *const kinds[] = { "postOfficeBox", "apartment", "name", "locality",
		"region", "postcode", "country" };
	struct slice rest = in->line.value, part;
	struct buf parts = { 0 }, *b;

	buf_char(&parts, '[');
	for (size_t k = 0; k < NELEM(kinds) && pab_vcard_part_take(&rest, ';', &part); k++)
		put_component(in, &parts, kinds[k], part);
	buf_char(&parts, ']');
	if (parts.n > 2 && (b = object(in, ADDRESSES))) {
		buf_lit(b, "\"components\":");
		buf_slice(b, buf_get(&parts));
		put_said(in, b);
		buf_char(b, '}');
	}
	buf_fini(&parts);
	return true;
}

static bool
in_url(struct vcard_in *in)
{
	return said_text(in, LINKS, "uri", S(""));
}

static bool
in_impp(struct vcard_in *in)
{
	return said_text(in, SERVICES, "uri", S(""));
}

static bool
in_lang(struct vcard_in *in)
{
	return said_text(in, LANGUAGES, "language", S(""));
}

static bool
in_note(struct vcard_in *in)
{
	object_text(in, NOTES, "", "note", pab_vcard_plain(&in->line, in->line.value));
	return true;
}

/* So many digits; -1: there are others. */
static int
digits_take(struct slice *s, size_t n)
{
	uint64_t v;

	if (s->n < n || slice_u64(slice(s->p, n), 9999, &v) < 0)
		return -1;
	*s = slice_from(*s, n);
	if (s->n && s->p[0] == '-')
		*s = slice_from(*s, 1);
	return (int)v;
}

/* "1985-04-12", "19850412", "--0412", "1985", with a time behind it or not. */
static bool
in_bday(struct vcard_in *in)
{
	struct slice s = slice_trim(in->line.value);
	bool without = slice_starts(s, S("--"));
	int y = 0, m, d;
	struct buf *b;

	if (without)
		s = slice_from(s, 2);
	else if ((y = digits_take(&s, 4)) < 1)
		return false;
	m = digits_take(&s, 2);
	d = m >= 1 ? digits_take(&s, 2) : -1;
	if (m == 0 || m > 12 || d == 0 || d > 31 || (without && m < 1) || (s.n && s.p[0] != 'T') ||
	    !(b = object(in, ANNIVERSARIES)))
		return false;
	buf_lit(b, "\"kind\":\"birth\",\"date\":{\"@type\":\"PartialDate\"");
	if (!without)
		json_put_i64(b, "year", y);
	if (m > 0)
		json_put_i64(b, "month", m);
	if (d > 0)
		json_put_i64(b, "day", d);
	buf_lit(b, "}}");
	return true;
}

static bool
in_photo(struct vcard_in *in)
{
	struct slice encoding = pab_vcard_param(&in->line, S("ENCODING")), type = S("jpeg"), s;
	bool base64 = slice_ieq(encoding, S("b")) || slice_ieq(encoding, S("BASE64"));
	struct buf uri = { 0 };
	bool good;

	if (base64) {
		type = pab_vcard_has_type(&in->line, S("png")) ? S("png") :
		    pab_vcard_has_type(&in->line, S("gif"))    ? S("gif") :
								 type;
		buf_printf(&uri, "data:image/" SFMT ";base64,", SARG(type));
		for (size_t i = 0; i < in->line.value.n; i++)
			if (in->line.value.p[i] != ' ' && in->line.value.p[i] != '\t')
				buf_char(&uri, in->line.value.p[i]);
	} else {
		buf_slice(&uri, pab_vcard_plain(&in->line, in->line.value));
	}
	s = buf_get(&uri);
	good = slice_istarts(s, S("data:image/")) || slice_istarts(s, S("http://")) ||
	    slice_istarts(s, S("https://"));
	if (good)
		object_text(in, MEDIA, "\"kind\":\"photo\"", "uri", s);
	buf_fini(&uri);
	return good;
}

static void
put_word(struct vcard_in *in, enum vcard_map m, struct slice key)
{
	struct map *there = &in->words[m == MEMBERS];
	struct buf text = { 0 }; /* two that are no text may be written alike */

	json_str(&text, key);
	if (key.n && slice_find(key, '\0') == key.n && in->n[m] < VALUES_MAX * 10 &&
	    !map_get(there, buf_get(&text))) {
		map_put(there, arena_slice(&in->arena, buf_get(&text)), in);
		if (in->n[m]++)
			buf_char(&in->map[m], ',');
		buf_slice(&in->map[m], buf_get(&text));
		buf_lit(&in->map[m], ":true");
	}
	buf_fini(&text);
}

static bool
in_categories(struct vcard_in *in)
{
	struct slice rest = in->line.value, one;

	while (pab_vcard_part_take(&rest, ',', &one))
		put_word(in, KEYWORDS, pab_vcard_plain(&in->line, one));
	return true;
}

static bool
in_member(struct vcard_in *in)
{
	put_word(in, MEMBERS, pab_vcard_plain(&in->line, in->line.value));
	return true;
}

static bool
in_uid(struct vcard_in *in)
{
	if (!in->uid.n)
		buf_slice(&in->uid, pab_vcard_plain(&in->line, in->line.value));
	return true;
}

static bool
in_kind(struct vcard_in *in)
{
	struct slice s = pab_vcard_plain(&in->line, in->line.value);

	if (in->kind.n)
		return true;
	for (size_t i = 0; i < s.n && i < 32; i++)
		buf_char(&in->kind, ascii_lower(s.p[i]));
	return true;
}

/* clang-format off */
static const struct {
	const char *name;
	bool (*read)(struct vcard_in *); /* false: it is kept as it is */
} properties[] = {
	{ "VERSION", in_nothing }, { "PRODID", in_nothing }, { "REV", in_nothing }, { "FN", in_fn },
	{ "N", in_n }, { "NICKNAME", in_nickname }, { "ORG", in_org }, { "TITLE", in_title },
	{ "ROLE", in_role }, { "EMAIL", in_email }, { "TEL", in_tel }, { "ADR", in_adr },
	{ "URL", in_url }, { "IMPP", in_impp }, { "LANG", in_lang }, { "NOTE", in_note },
	{ "BDAY", in_bday }, { "PHOTO", in_photo }, { "CATEGORIES", in_categories },
	{ "MEMBER", in_member }, { "X-ADDRESSBOOKSERVER-MEMBER", in_member }, { "UID", in_uid },
	{ "KIND", in_kind }, { "X-ADDRESSBOOKSERVER-KIND", in_kind },
};
/* clang-format on */

static void
in_keep(struct vcard_in *in)
{
	struct buf *b = &in->map[KEPT];

	if (in->n[KEPT]++ >= VALUES_MAX)
		return;
	json_element(b);
	buf_char(b, '[');
	json_str(b, in->line.name);
	buf_lit(b, ",{},\"unknown\",");
	json_str(b, in->line.value);
	buf_char(b, ']');
}

static void
in_property(struct vcard_in *in)
{
	pab_vcard_line_decode(&in->line);
	for (size_t i = 0; i < NELEM(properties); i++)
		if (slice_ieq(in->line.name, slice_str(properties[i].name))) {
			if (!properties[i].read(in))
				in_keep(in);
			return;
		}
	in_keep(in);
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static void
in_begin(struct vcard_in *in)
{
	for (size_t i = 0; i < MAPS; i++) {
		buf_clear(&in->map[i]);
		in->n[i] = 0;
	}
	buf_clear(&in->full);
	buf_clear(&in->components);
	buf_clear(&in->uid);
	buf_clear(&in->kind);
	map_fini(&in->words[0]);
	map_fini(&in->words[1]);
	arena_reset(&in->arena);
	buf_char(&in->map[KEPT], '['); /* which json_element looks for */
}

static void
in_write(struct vcard_in *in, struct buf *b)
{
	buf_lit(b, "{\"@type\":\"Card\",\"version\":\"1.0\"");
	if (in->uid.n)
		json_put_str(b, "uid", buf_get(&in->uid));
	if (in->kind.n)
		json_put_str(b, "kind", buf_get(&in->kind));
	if (in->full.n || in->components.n > 1) {
		json_put_object(b, "name");
		if (in->full.n)
			json_put_str(b, "full", buf_get(&in->full));
		if (in->components.n > 1) {
			json_key(b, "components");
			buf_slice(b, buf_get(&in->components));
			buf_char(b, ']');
			json_put_bool(b, "isOrdered", true);
		}
		buf_char(b, '}');
	}
	for (size_t i = 0; i < MAPS; i++) {
		if (!in->n[i])
			continue;
		json_key(b, maps[i].name);
		if (i != KEPT)
			buf_char(b, '{');
		buf_slice(b, buf_get(&in->map[i]));
		buf_char(b, i == KEPT ? ']' : '}');
	}
	buf_char(b, '}');
}

static void
in_fini(struct vcard_in *in)
{
	for (size_t i = 0; i < MAPS; i++)
		buf_fini(&in->map[i]);
	buf_fini(&in->full);
	buf_fini(&in->components);
	buf_fini(&in->uid);
	buf_fini(&in->kind);
	map_fini(&in->words[0]);
	map_fini(&in->words[1]);
	arena_reset(&in->arena);
	pab_vcard_line_fini(&in->line);
}

bool
pab_vcard_read(struct slice *file, struct buf *b, size_t *lost)
{
	struct vcard_in in = { 0 };
	bool inside = false, found = false;

	if (slice_starts(*file, S("\xef\xbb\xbf")))
		*file = slice_from(*file, 3);
	while (!found && pab_vcard_line_unfold(&in.line, file)) {
		if (!pab_vcard_line_property(&in.line))
			continue;
		if (slice_ieq(in.line.name, S("BEGIN")) &&
		    slice_ieq(slice_trim(in.line.value), S("VCARD"))) {
			*lost += inside;
			inside = true;
			in_begin(&in);
		} else if (slice_ieq(in.line.name, S("END")) && inside) {
			in_write(&in, b);
			found = true;
		} else if (inside) {
			in_property(&in);
		}
	}
	*lost += inside && !found;
	in_fini(&in);
	return found;
}

bool
pab_vcard_is(struct slice file)
{
	if (slice_starts(file, S("\xef\xbb\xbf")))
		file = slice_from(file, 3);
	return slice_istarts(slice_trim(file), S("BEGIN:VCARD"));
}
