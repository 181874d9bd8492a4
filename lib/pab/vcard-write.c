/* pab/vcard-write.c: a Card as a vCard.  See vcard.h.
 *
 * Each property is put together as one line and then folded (RFC 6350 3.2), so that no value can begin another line:
 * what escapes do not cover (addresses of the web, kept properties) loses its line ends.  Order: that of the table, then
 * of the Card. */
#include "pab/card.h"
#include "pab/vcard.h"

#define LINE_MOST 75 /* octets */

struct vcard_out {
	struct buf *b, line;
	const struct json_t *card;
	bool four;
};

static void
out_end(struct vcard_out *o)
{
	struct slice s = buf_get(&o->line);
	size_t at = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		size_t n = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

		if ((c & 0xc0) != 0x80 && at + n > LINE_MOST) {
			buf_lit(o->b, "\r\n ");
			at = 1;
		}
		buf_char(o->b, c == '\r' || c == '\n' ? ' ' : s.p[i]);
		at++;
	}
	buf_lit(o->b, "\r\n");
	buf_clear(&o->line);
}

/* RFC 6350 3.4 */
static void
out_text(struct vcard_out *o, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
			continue;
		if (c == '\r' || c == '\n') {
			buf_lit(&o->line, "\\n");
			continue;
		}
		if (c == '\\' || c == ',' || c == ';')
			buf_char(&o->line, '\\');
		buf_char(&o->line, c);
	}
}

static void
out_one(struct vcard_out *o, const char *name, struct slice text)
{
	if (!text.n)
		return;
	buf_printf(&o->line, "%s:", name);
	out_text(o, text);
	out_end(o);
}

/* ---- parameters ------------------------------------------------------------------------------------ */

static void
type_add(struct buf *types, const char *type)
{
	if (types->n)
		buf_char(types, ',');
	buf_str(types, type);
}

/* TYPE and PREF of a value; `types` are there already. */
static void
out_said(struct vcard_out *o, const struct json_t *v, struct buf *types)
{
	const struct json_t *contexts = json_find(v, S("contexts"));
	int64_t pref = 0;
	bool preferred = json_get_int(json_find(v, S("pref")), 1, 100, &pref);

	if (json_find(contexts, S("private")))
		type_add(types, "home");
	if (json_find(contexts, S("work")))
		type_add(types, "work");
	if (preferred && !o->four)
		type_add(types, "pref");
	if (types->n && o->four && slice_find(buf_get(types), ',') < types->n)
		buf_printf(&o->line, ";TYPE=\"" SFMT "\"", SARG(buf_get(types)));
	else if (types->n)
		buf_printf(&o->line, ";TYPE=" SFMT, SARG(buf_get(types)));
	if (preferred && o->four)
		buf_printf(&o->line, ";PREF=%lld", (long long)pref);
	buf_fini(types);
}

/* ---- properties -------------------------------------------------------------------------------------- */

static void
out_name(struct vcard_out *o)
{
	static const char *const kinds[] = { "surname", "given", "given2", "title", "credential" };
	const struct json_t *parts = json_point(o->card, S("/name/components"));
	struct arena a = { 0 };
	struct slice full = pab_card_name(o->card, &a);

	out_one(o, "FN", full);
	buf_lit(&o->line, "N:");
	for (size_t k = 0; json_count(parts) && k < NELEM(kinds); k++) {
		bool first = true;

		buf_str(&o->line, k ? ";" : "");
		for (size_t i = 0; i < json_count(parts); i++) {
			const struct json_t *part = json_at(parts, i);

			if (!slice_eq(json_text(json_find(part, S("kind"))), slice_str(kinds[k])))
				continue;
			buf_str(&o->line, first ? "" : ",");
			out_text(o, json_text(json_find(part, S("value"))));
			first = false;
		}
	}
	if (json_count(parts)) {
		out_end(o);
	} else if (o->four) {
		buf_clear(&o->line);
	} else { /* which vCard 3 demands */
		out_text(o, full);
		buf_lit(&o->line, ";;;;");
		out_end(o);
	}
	arena_reset(&a);
}

static void
out_each(struct vcard_out *o, const char *map,
    void (*each)(struct vcard_out *o, const struct json_t *v))
{
	struct json_walk w = { 0 };

	while (json_next(json_find(o->card, slice_str(map)), &w))
		each(o, w.value);
}

static void
out_org(struct vcard_out *o, const struct json_t *v)
{
	const struct json_t *units = json_find(v, S("units"));

	buf_lit(&o->line, "ORG:");
	out_text(o, json_text(json_find(v, S("name"))));
	for (size_t i = 0; i < json_count(units); i++) {
		buf_char(&o->line, ';');
		out_text(o, json_text(json_find(json_at(units, i), S("name"))));
	}
	out_end(o);
}

static void
out_title(struct vcard_out *o, const struct json_t *v)
{
	out_one(o, slice_eq(json_text(json_find(v, S("kind"))), S("role")) ? "ROLE" : "TITLE",
	    json_text(json_find(v, S("name"))));
}

static void
out_email(struct vcard_out *o, const struct json_t *v)
{
	struct buf types = { 0 };

	buf_lit(&o->line, "EMAIL");
	if (!o->four)
		type_add(&types, "INTERNET");
	out_said(o, v, &types);
	buf_char(&o->line, ':');
	out_text(o, json_text(json_find(v, S("address"))));
	out_end(o);
}

static void
out_phone(struct vcard_out *o, const struct json_t *v)
{
	static const char *const features[][2] = { { "mobile", "cell" }, { "voice", "voice" },
		{ "fax", "fax" }, { "pager", "pager" }, { "text", "text" }, { "video", "video" } };
	struct buf types = { 0 };

	for (size_t i = 0; i < NELEM(features); i++)
		if (json_find(json_find(v, S("features")), slice_str(features[i][0])))
			type_add(&types, features[i][1]);
	buf_lit(&o->line, "TEL");
	out_said(o, v, &types);
	buf_char(&o->line, ':');
	out_text(o, json_text(json_find(v, S("number"))));
	out_end(o);
}

static void
out_address(struct vcard_out *o, const struct json_t *v)
{
	static const char *const kinds[] = { "postOfficeBox", "apartment", "name", "locality",
		"region", "postcode", "country" };
	const struct json_t *parts = json_find(v, S("components"));
	struct buf types = { 0 };

	buf_lit(&o->line, "ADR");
	out_said(o, v, &types);
	for (size_t k = 0; k < NELEM(kinds); k++) {
		bool first = true;

		buf_char(&o->line, k ? ';' : ':');
		for (size_t i = 0; i < json_count(parts); i++) {
			struct slice kind = json_text(json_find(json_at(parts, i), S("kind")));

			if (slice_eq(kind, S("number")))
				kind = S("name");
			if (!slice_eq(kind, slice_str(kinds[k])))
				continue;
			buf_str(&o->line, first ? "" : ",");
			out_text(o, json_text(json_find(json_at(parts, i), S("value"))));
			first = false;
		}
	}
	out_end(o);
}

/* A value that is an URI has no escapes. */
static void
out_uri(struct vcard_out *o, const char *name, const struct json_t *v)
{
	struct slice uri = json_text(json_find(v, S("uri")));
	struct buf types = { 0 };

	if (!uri.n)
		return;
	buf_str(&o->line, name);
	out_said(o, v, &types);
	buf_char(&o->line, ':');
	buf_slice(&o->line, uri);
	out_end(o);
}

static void
out_link(struct vcard_out *o, const struct json_t *v)
{
	out_uri(o, "URL", v);
}

static void
out_service(struct vcard_out *o, const struct json_t *v)
{
	out_uri(o, "IMPP", v);
}

static void
out_note(struct vcard_out *o, const struct json_t *v)
{
	out_one(o, "NOTE", json_text(json_find(v, S("note"))));
}

/* A data: URI is what vCard 3 has as ENCODING=b. */
static void
out_photo(struct vcard_out *o, const struct json_t *v)
{
	struct slice uri = json_text(json_find(v, S("uri")));
	size_t at = slice_find_str(uri, S(";base64,"));

	if (!uri.n || !slice_eq(json_text(json_find(v, S("kind"))), S("photo")))
		return;
	if (!o->four && slice_istarts(uri, S("data:image/")) && at < 40) {
		buf_printf(&o->line, "PHOTO;ENCODING=b;TYPE=" SFMT ":", (int)at - 11, uri.p + 11);
		buf_slice(&o->line, slice_from(uri, at + 8));
	} else {
		buf_printf(&o->line, "PHOTO%s:", o->four ? "" : ";VALUE=uri");
		buf_slice(&o->line, uri);
	}
	out_end(o);
}

static void
out_birthday(struct vcard_out *o, const struct json_t *v)
{
	const struct json_t *date = json_find(v, S("date"));
	int64_t y = 0, m = 0, d = 0;
	bool year = json_get_int(json_find(date, S("year")), 1, 9999, &y);
	bool month = json_get_int(json_find(date, S("month")), 1, 12, &m);
	bool day = month && json_get_int(json_find(date, S("day")), 1, 31, &d);

	if (!slice_eq(json_text(json_find(v, S("kind"))), S("birth")) || (!year && !month))
		return;
	buf_lit(&o->line, "BDAY:");
	if (year)
		buf_printf(&o->line, "%04d", (int)y);
	else
		buf_lit(&o->line, "--");
	if (month)
		buf_printf(&o->line, "%s%02d", year && !(o->four && day) ? "-" : "", (int)m);
	if (day)
		buf_printf(&o->line, "%s%02d", o->four ? "" : "-", (int)d);
	out_end(o);
}

static void
out_keys(struct vcard_out *o, const char *name, const char *map, bool each)
{
	struct json_walk w = { 0 };
	bool first = true;

	while (json_next(json_find(o->card, slice_str(map)), &w)) {
		if (first || each)
			buf_printf(&o->line, "%s:", name);
		else
			buf_char(&o->line, ',');
		out_text(o, w.name);
		if (each)
			out_end(o);
		first = false;
	}
	if (!first && !each)
		out_end(o);
}

static bool
out_word(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((ascii_lower(s.p[i]) >= 'a' && ascii_lower(s.p[i]) <= 'z') ||
			(s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-'))
			return false;
	return s.n > 0;
}

/* [name, parameters, type, value] */
static void
out_kept(struct vcard_out *o)
{
	const struct json_t *all = json_find(o->card, S("vCardProps"));

	for (size_t i = 0; i < json_count(all); i++) {
		struct slice name = json_text(json_at(json_at(all, i), 0));
		struct slice value = json_text(json_at(json_at(all, i), 3));

		if (!out_word(name) || !value.p || slice_ieq(name, S("begin")) ||
		    slice_ieq(name, S("end")))
			continue;
		for (size_t k = 0; k < name.n; k++)
			buf_char(&o->line, ascii_upper(name.p[k]));
		buf_char(&o->line, ':');
		buf_slice(&o->line, value);
		out_end(o);
	}
}

void
pab_vcard_write(struct buf *b, const struct json_t *card, enum pab_vcard_version v)
{
	struct vcard_out o = { .b = b, .card = card, .four = v == PAB_VCARD_4 };
	struct slice kind = json_text(json_find(card, S("kind")));

	buf_printf(b, "BEGIN:VCARD\r\nVERSION:%s\r\n", o.four ? "4.0" : "3.0");
	out_one(&o, "UID", json_text(json_find(card, S("uid"))));
	if (kind.n && !slice_eq(kind, S("individual")))
		out_one(&o, o.four ? "KIND" : "X-ADDRESSBOOKSERVER-KIND", kind);
	out_name(&o);
	if (json_count(json_find(card, S("nicknames")))) {
		struct json_walk w = { 0 };
		bool first = true;

		buf_lit(&o.line, "NICKNAME:");
		for (; json_next(json_find(card, S("nicknames")), &w); first = false) {
			buf_str(&o.line, first ? "" : ",");
			out_text(&o, json_text(json_find(w.value, S("name"))));
		}
		out_end(&o);
	}
	out_each(&o, "organizations", out_org);
	out_each(&o, "titles", out_title);
	out_each(&o, "emails", out_email);
	out_each(&o, "phones", out_phone);
	out_each(&o, "addresses", out_address);
	out_each(&o, "links", out_link);
	out_each(&o, "onlineServices", out_service);
	out_each(&o, "anniversaries", out_birthday);
	out_each(&o, "notes", out_note);
	out_each(&o, "media", out_photo);
	out_keys(&o, "CATEGORIES", "keywords", false);
	out_keys(&o, o.four ? "MEMBER" : "X-ADDRESSBOOKSERVER-MEMBER", "members", true);
	out_kept(&o);
	buf_lit(b, "END:VCARD\r\n");
	buf_fini(&o.line);
}
