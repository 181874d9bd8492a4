/* compose-part.c: EmailBodyParts that a client gives, RFC 8621 4.1.4 and 4.6.
 *
 * Called by compose.c for each part of an Email to be created.  All rules of 4.6 about a part stand here; what
 * breaks one is noted with its path, and reading goes on, so that a client is told all at once.  What must
 * stay true: a part's header is written from checked words only; one with a partId is text whose charset and
 * encoding are ours; a tree is no larger and deeper than compose.h says, whatever the JSON was. */
#include "jmap/compose-impl.h"

#include <errno.h>

#include "base/utf8.h"
#include "mail/header.h"
#include "mail/param.h"
#include "mail/token.h"

#define LINE_MAX     998 /* octets, RFC 5322 2.1.1 */
#define BOUNDARY_MAX 70  /* RFC 2046 5.1.1 */

/* A part while it is read. */
struct part_read {
	struct jmap_compose *c;
	struct jmap_compose_part *part;
	const struct json_t *v, *values;
	const char *path;
	struct buf header;
	struct jmap_given given;
	struct slice raw_type; /* of header:Content-Type; p NULL: none */
	struct slice name, charset;
};

static void
part_wrong(struct part_read *r, const char *name, const char *why)
{
	jmap_compose_wrong(r->c, r->path, name, why);
}

static const struct json_t *
part_find(const struct part_read *r, const char *name)
{
	const struct json_t *v = json_find(r->v, slice_str(name));

	return json_none(v) ? NULL : v;
}

/* A string property, or an empty slice; another type is noted. */
static struct slice
part_string(struct part_read *r, const char *name)
{
	const struct json_t *v = part_find(r, name);
	struct slice s = { 0 };

	if (v && !json_get_str(v, &s))
		part_wrong(r, name, "no string");
	return s;
}

/* ---- parts of our own ------------------------------------------------------------------------------------ */

static struct jmap_compose_part *
part_new(struct jmap_compose *c)
{
	c->nparts++;
	return arena_new(c->a, sizeof(struct jmap_compose_part));
}

void
jmap_compose_append(struct jmap_compose_part *multi, struct jmap_compose_part *part)
{
	part->parent = multi;
	if (multi->last)
		multi->last->next = part;
	else
		multi->child = part;
	multi->last = part;
}

/* None begins with another: RFC 2046 5.1.1 lets readers look no further. */
static struct slice
boundary_new(struct jmap_compose *c)
{
	const char *s = arena_printf(c->a, "=_%zu_" SFMT, ++c->nboundaries, SARG(c->facts->unique));

	return slice_str(s);
}

struct jmap_compose_part *
jmap_compose_multipart(struct jmap_compose *c, const char *subtype)
{
	struct jmap_compose_part *p = part_new(c);

	p->boundary = boundary_new(c);
	p->type = slice_str(arena_printf(c->a, "multipart/%s", subtype));
	p->header = slice_str(
	    arena_printf(c->a, "Content-Type: multipart/%s;\r\n boundary=\"" SFMT "\"\r\n", subtype,
		SARG(p->boundary)));
	return p;
}

/* ---- text ------------------------------------------------------------------------------------------------- */

/* The encoding that a text needs, and among those the shorter one. */
static enum jmap_compose_encoding
text_encoding(struct slice s)
{
	size_t odd = 0, line = 0, longest = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool end = c == '\n' || (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n');

		line = c == '\n' ? 0 : line + 1;
		longest = line > longest ? line : longest;
		odd += !end && ((c < ' ' && c != '\t') || c >= 0x7f);
	}
	if (odd == 0 && longest <= LINE_MAX)
		return JMAP_ENCODING_PLAIN;
	return odd <= s.n / 6 ? JMAP_ENCODING_QP : JMAP_ENCODING_BASE64; /* n + 2 odd, or 4/3 n */
}

struct jmap_compose_part *
jmap_compose_text(struct jmap_compose *c, struct slice text)
{
	struct jmap_compose_part *p = part_new(c);

	p->type = S("text/plain");
	p->text = text;
	p->encoding = text_encoding(text);
	p->header = S("Content-Type: text/plain; charset=utf-8\r\n");
	return p;
}

/* ---- fields that stand for themselves ------------------------------------------------------------------------ */

static void
part_header_property(struct part_read *r, const struct json_walk *w)
{
	struct jmap_field f;
	char *name = arena_cstr(r->c->a, w->name);
	const char *why = "no such property";

	if (w->name.n > JMAP_PROPERTY_MAX || jmap_field_parse(w->name, &f, &why) <= 0) {
		part_wrong(r, name, why);
	} else if (slice_ieq(f.name, S("Content-Transfer-Encoding"))) {
		part_wrong(r, name, "the encoding is the server's to choose");
	} else if (slice_ieq(f.name, S("MIME-Version"))) {
		part_wrong(r, name, "a part has no MIME-Version");
	} else if (!json_none(w->value) && !jmap_given_add(&r->given, f.name)) {
		part_wrong(r, name, "the field is given twice");
	} else if (slice_ieq(f.name, S("Content-Type"))) {
		struct buf raw = { 0 };

		if (jmap_field_write(&raw, &f, w->value, &why) < 0 || f.all)
			part_wrong(r, name, f.all ? "the field is given once" : why);
		else if (raw.n > 0)
			r->raw_type = slice_trim(
			    slice_from(arena_slice(r->c->a, buf_get(&raw)), f.name.n + 1));
		buf_fini(&raw);
	} else if (jmap_field_write(&r->header, &f, w->value, &why) < 0) {
		part_wrong(r, name, why);
	}
}

static void
part_properties(struct part_read *r)
{
	static const char *const known[] = { "partId", "blobId", "size", "name", "type", "charset",
		"disposition", "cid", "language", "location", "subParts" };
	struct json_walk w = { 0 };

	while (json_next(r->v, &w)) {
		bool found = false;

		for (size_t i = 0; i < NELEM(known); i++)
			found = found || slice_eq(w.name, slice_str(known[i]));
		if (found)
			continue;
		if (slice_starts(w.name, S("header:")))
			part_header_property(r, &w);
		else
			part_wrong(r, arena_cstr(r->c->a, w.name),
			    slice_eq(w.name, S("headers")) ? "each field is a property of its own" :
							     "no such property");
	}
}

static bool
given_has(const struct jmap_given *g, struct slice name)
{
	for (size_t i = 0; i < g->n; i++)
		if (slice_ieq(g->name[i], name))
			return true;
	return false;
}

bool
jmap_given_add(struct jmap_given *g, struct slice name)
{
	if (given_has(g, name) || g->n == NELEM(g->name))
		return false;
	g->name[g->n++] = name;
	return true;
}

/* A property and a field that stand for the same: one is too many. */
static void
part_clash(struct part_read *r, const char *property, const char *field)
{
	if (part_find(r, property) && !jmap_given_add(&r->given, slice_str(field)))
		part_wrong(r, property, "the field is given twice");
}

/* ---- Content-Type ----------------------------------------------------------------------------------------------- */

/* "type/subtype" of tokens, in lower case; false: it is none. */
static bool
part_type(struct part_read *r, struct slice s)
{
	struct slice whole = s, type, subtype;
	char *dst;

	type = token_take(&s);
	if (!token_char(&s, '/'))
		return false;
	subtype = token_take(&s);
	if (type.n == 0 || subtype.n == 0 || type.n + subtype.n > 200 ||
	    !utf8_ascii(slice(type.p, (size_t)(s.p - type.p))))
		return false;
	if (!r->raw_type.p && (s.n > 0 || type.n + 1 + subtype.n != whole.n))
		return false;
	dst = arena_printf(r->c->a, SFMT "/" SFMT, SARG(type), SARG(subtype));
	for (char *p = dst; *p; p++)
		*p = ascii_lower(*p);
	r->part->type = slice_str(dst);
	return true;
}

static bool
boundary_fits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
			(s.p[i] >= 'a' && s.p[i] <= 'z') ||
			(s.p[i] && strchr("'+_,-./:=? ", s.p[i]))))
			return false;
	return s.n > 0 && s.n <= BOUNDARY_MAX && s.p[s.n - 1] != ' ';
}

/* The client's own field: what it says of a boundary and a charset must be so. */
static void
part_raw_type(struct part_read *r, struct buf *field)
{
	struct jmap_compose_part *p = r->part;
	struct param_list params;
	struct slice rest = r->raw_type, value;
	bool multi = slice_starts(p->type, S("multipart/")), there;

	rest = slice_from(rest, slice_find(rest, ';'));
	param_list_parse(header_unfold(rest, r->c->a), r->c->a, &params);
	buf_lit(field, "Content-Type: ");
	buf_slice(field, r->raw_type);
	there = param_find(&params, S("boundary"), &value);
	if (multi && there && !boundary_fits(value))
		part_wrong(r, "header:Content-Type", "no boundary can be so");
	else if (multi && there)
		p->boundary = value;
	else if (multi)
		buf_printf(field, ";\r\n boundary=\"" SFMT "\"", SARG(p->boundary));
	if (part_find(r, "partId") &&
	    (!param_find(&params, S("charset"), &value) || !slice_ieq(value, S("utf-8"))))
		part_wrong(r, "header:Content-Type", "text of bodyValues has the charset utf-8");
	buf_lit(field, "\r\n");
}

/* Of a part that says none: text/plain by MIME, but octets are not to be shown as text. */
static struct slice
part_implicit_type(const struct part_read *r, enum jmap_part_place place)
{
	if (part_find(r, "subParts"))
		return S("multipart/mixed");
	if (place != JMAP_PLACE_TEXT_BODY && part_find(r, "blobId") && !part_find(r, "partId"))
		return S("application/octet-stream");
	return S("text/plain");
}

static void
part_content_type(struct part_read *r, enum jmap_part_place place)
{
	struct jmap_compose_part *p = r->part;
	struct slice type = part_string(r, "type");
	struct buf field = { 0 }, params = { 0 };

	part_clash(r, "type", "Content-Type");
	if (!part_find(r, "type"))
		part_clash(r, "charset", "Content-Type");
	if (r->raw_type.p)
		type = r->raw_type;
	else if (!part_find(r, "type"))
		type = part_implicit_type(r, place);
	if (!part_type(r, type)) {
		part_wrong(r, r->raw_type.p ? "header:Content-Type" : "type", "no media type");
		p->type = S("application/octet-stream");
	}
	if (slice_starts(p->type, S("multipart/")))
		p->boundary = boundary_new(r->c);
	if (r->raw_type.p) {
		part_raw_type(r, &field);
	} else {
		buf_slice(&params, p->type);
		if (part_find(r, "partId"))
			buf_lit(&params, "; charset=utf-8");
		else if (r->charset.n > 0)
			jmap_param_write(&params, "charset", r->charset);
		if (p->boundary.p)
			jmap_param_write(&params, "boundary", p->boundary);
		if (r->name.n > 0)
			jmap_param_write(&params, "name", r->name);
		header_write(&field, "Content-Type", buf_get(&params));
	}
	buf_slice(&field, buf_get(&r->header));
	buf_clear(&r->header);
	buf_slice(&r->header, buf_get(&field));
	buf_fini(&field);
	buf_fini(&params);
}

/* ---- the other fields that have properties ---------------------------------------------------------------------- */

static void
part_add_disposition(struct part_read *r, enum jmap_part_place place)
{
	struct jmap_compose_part *p = r->part;
	struct slice said = part_string(r, "disposition"), rest = said;
	struct buf value = { 0 };
	bool own = given_has(&r->given, S("Content-Disposition"));

	part_clash(r, "disposition", "Content-Disposition");
	if (part_find(r, "name") && !part_find(r, "disposition") &&
	    !jmap_given_add(&r->given, S("Content-Disposition")))
		part_wrong(r, "name", "the field is given twice");
	if (said.n > 0 && (!utf8_ascii(said) || token_take(&rest).n != said.n)) {
		part_wrong(r, "disposition", "no disposition");
		return;
	}
	p->disposed = said.n > 0 || own;
	if (!p->disposed && place == JMAP_PLACE_ATTACHMENT && !p->cid)
		said = S("attachment");
	p->inlined = slice_ieq(said, S("inline"));
	p->attachment = slice_ieq(said, S("attachment"));
	if (said.n == 0)
		return;
	buf_slice(&value, said);
	if (r->name.n > 0)
		jmap_param_write(&value, "filename", r->name);
	header_write(&r->header, "Content-Disposition", buf_get(&value));
	buf_fini(&value);
}

static void
part_add_languages(struct part_read *r)
{
	const struct json_t *v = part_find(r, "language");
	struct buf value = { 0 };
	struct slice tag;

	part_clash(r, "language", "Content-Language");
	if (v && !json_is(v, JSON_KIND_ARRAY))
		part_wrong(r, "language", "no list");
	for (size_t i = 0; i < json_count(v); i++) {
		if (!json_get_str(json_at(v, i), &tag) || !utf8_ascii(tag) ||
		    !jmap_word_fits(tag, "()<>@,;:\\\"/[]?=")) {
			part_wrong(r, "language", "an element of it is no language");
			break;
		}
		buf_str(&value, i ? ", " : "");
		buf_slice(&value, tag);
	}
	if (value.n > 0)
		header_write(&r->header, "Content-Language", buf_get(&value));
	buf_fini(&value);
}

static void
part_word(struct part_read *r, const char *property, const char *field, bool brackets)
{
	struct slice s = part_string(r, property);
	struct buf value = { 0 };

	part_clash(r, property, field);
	if (!part_find(r, property))
		return;
	if (!jmap_word_fits(s, brackets ? "<>" : "")) {
		part_wrong(r, property, "no such value can be");
		return;
	}
	buf_str(&value, brackets ? "<" : "");
	buf_slice(&value, s);
	buf_str(&value, brackets ? ">" : "");
	header_write(&r->header, field, buf_get(&value));
	buf_fini(&value);
}

static void
part_name(struct part_read *r)
{
	r->name = part_string(r, "name");
	if (r->name.n > JMAP_COMPOSE_NAME_MAX)
		part_wrong(r, "name", "the name is too long");
	for (size_t i = 0; i < r->name.n; i++)
		if ((unsigned char)r->name.p[i] < ' ' || r->name.p[i] == 0x7f) {
			part_wrong(r, "name", "a control character is in it");
			r->name.n = 0;
		}
	if (r->name.n > 0 && r->raw_type.p)
		part_wrong(r, "name", "the field is given twice");
}

/* ---- the content -------------------------------------------------------------------------------------------------- */

/* An EmailBodyValue: its text; what the client may not say of it is noted. */
static void
part_value(struct part_read *r, struct slice id)
{
	static const char *const flags[] = { "isEncodingProblem", "isTruncated" };
	const struct json_t *value = json_find(r->values, id);
	bool set = false;

	if (!json_get_str(json_find(value, S("value")), &r->part->text))
		part_wrong(r, "partId", "bodyValues has no such text");
	for (size_t i = 0; i < NELEM(flags); i++) {
		const struct json_t *flag = json_find(value, slice_str(flags[i]));

		if (!json_none(flag) && (!json_get_bool(flag, &set) || set))
			jmap_compose_wrong(r->c,
			    arena_printf(r->c->a, "bodyValues/" SFMT, SARG(id)), flags[i],
			    "a text that is given is whole");
	}
	r->part->encoding = text_encoding(r->part->text);
	if (part_find(r, "charset"))
		part_wrong(r, "charset", "the charset of bodyValues is the server's to choose");
	if (part_find(r, "size"))
		part_wrong(r, "size", "the size follows from the text");
}

static void
part_blob(struct part_read *r, struct slice id)
{
	struct jmap_compose *c = r->c;
	struct jmap_compose_part *p = r->part;
	int64_t size;

	if (c->nblobs == 0)
		c->blobs = arena_array(c->a, JMAP_COMPOSE_PARTS_MAX, sizeof(*c->blobs));
	p->blob = true;
	p->blob_at = c->nblobs;
	c->blobs[c->nblobs++] = id; /* as many as parts, at most */
	p->encoding =
	    slice_eq(p->type, S("message/rfc822")) || slice_eq(p->type, S("message/global")) ?
	    JMAP_ENCODING_AS_IS : /* RFC 2046 5.2.1 allows no other */
	    JMAP_ENCODING_BASE64;
	if (part_find(r, "size") && !json_get_int(part_find(r, "size"), 0, JSON_INT_MOST, &size))
		part_wrong(r, "size", "no size");
}

static void
part_content(struct part_read *r)
{
	struct slice text = part_string(r, "partId"), blob = part_string(r, "blobId");
	bool multi = r->part->boundary.p;

	if (text.p && blob.p)
		part_wrong(r, "blobId", "a part has a partId or a blobId, not both");
	else if (multi && (text.p || blob.p))
		part_wrong(r, text.p ? "partId" : "blobId", "a multipart has parts alone");
	else if (text.p)
		part_value(r, text);
	else if (blob.n > 0)
		part_blob(r, blob);
	else if (!multi)
		part_wrong(r, "partId", "a part has a partId or a blobId");
}

static void
part_encoding(struct part_read *r)
{
	switch (r->part->encoding) {
	case JMAP_ENCODING_QP:
		buf_lit(&r->header, "Content-Transfer-Encoding: quoted-printable\r\n");
		break;
	case JMAP_ENCODING_BASE64:
		buf_lit(&r->header, "Content-Transfer-Encoding: base64\r\n");
		break;
	case JMAP_ENCODING_AS_IS: buf_lit(&r->header, "Content-Transfer-Encoding: 8bit\r\n"); break;
	case JMAP_ENCODING_PLAIN: break;
	}
}

/* What the lists ask of their parts, 4.6. */
static void
part_place(struct part_read *r, enum jmap_part_place place)
{
	if (place == JMAP_PLACE_TEXT_BODY && !slice_eq(r->part->type, S("text/plain")))
		part_wrong(r, "type", "textBody is text/plain");
	if (place == JMAP_PLACE_HTML_BODY && !slice_eq(r->part->type, S("text/html")))
		part_wrong(r, "type", "htmlBody is text/html");
	if (part_find(r, "subParts") && !r->part->boundary.p)
		part_wrong(r, "subParts", "only a multipart has parts");
	if (part_find(r, "partId") && !slice_starts(r->part->type, S("text/")))
		part_wrong(r, "type", "a part of bodyValues is text");
}

static void
part_top(struct part_read *r, const struct jmap_given *top)
{
	for (size_t i = 0; i < top->n; i++)
		if (given_has(&r->given, top->name[i]))
			part_wrong(r, arena_printf(r->c->a, "header:" SFMT, SARG(top->name[i])),
			    "the message has the field already");
}

static unsigned
part_depth(const struct jmap_compose_part *p)
{
	unsigned n = 0;

	for (; p->parent; p = p->parent)
		n++;
	return n;
}

static void
part_children(struct part_read *r)
{
	const struct json_t *list = part_find(r, "subParts");

	if (!r->part->boundary.p)
		return;
	if (!json_is(list, JSON_KIND_ARRAY) || json_count(list) == 0) {
		part_wrong(r, "subParts", "a multipart has parts");
		return;
	}
	if (part_depth(r->part) >= JMAP_COMPOSE_DEPTH_MAX) {
		part_wrong(r, "subParts", "too many parts within each other");
		return;
	}
	for (size_t i = 0; i < json_count(list); i++)
		(void)jmap_compose_part_read(r->c, json_at(list, i), r->values,
		    arena_printf(r->c->a, "%s/subParts/%zu", r->path, i), JMAP_PLACE_STRUCTURE,
		    r->part, NULL);
}

static void
part_read_all(struct part_read *r, enum jmap_part_place place)
{
	part_properties(r);
	part_name(r);
	r->charset = part_string(r, "charset");
	if (r->charset.n > 0 &&
	    (!utf8_ascii(r->charset) || !jmap_word_fits(r->charset, "()<>@,;:\\\"/[]?=")))
		part_wrong(r, "charset", "no charset");
	part_content_type(r, place);
	part_word(r, "cid", "Content-ID", true);
	r->part->cid = part_find(r, "cid");
	part_add_disposition(r, place);
	part_add_languages(r);
	part_word(r, "location", "Content-Location", false);
	part_place(r, place);
	part_content(r);
	part_encoding(r);
}

struct jmap_compose_part *
jmap_compose_part_read(struct jmap_compose *c, const struct json_t *v, const struct json_t *values,
    const char *path, enum jmap_part_place place, struct jmap_compose_part *parent,
    const struct jmap_given *top)
{
	struct part_read r = { .c = c,
		.v = v,
		.values = values,
		.path = path,
		.part = part_new(c) };

	r.part->type = S("text/plain");
	if (parent)
		jmap_compose_append(parent, r.part);
	if (c->nparts > JMAP_COMPOSE_PARTS_MAX) {
		if (c->nparts == JMAP_COMPOSE_PARTS_MAX + 1)
			jmap_compose_wrong(c, "", path, "too many parts");
	} else if (!json_is(v, JSON_KIND_OBJECT)) {
		jmap_compose_wrong(c, "", path, "no part");
	} else {
		part_read_all(&r, place);
		if (top)
			part_top(&r, top);
		r.part->header = arena_slice(c->a, buf_get(&r.header));
		part_children(&r);
	}
	buf_fini(&r.header);
	return r.part;
}
