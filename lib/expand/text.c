/* text.c: what a list makes of the message that its members get: see text.h.
 *
 * Fields go and come (mgrpRemoveHeader, mgrpAddHeader).  Text in front and behind (mgrpMsgPrefixText,
 * mgrpMsgSuffixText) is never written into anything but plain text that it fits: same charset, an encoding
 * that can be added to as it passes.  Everything else stays as it is, octet by octet, and becomes a part of
 * a multipart/mixed whose other parts are the text.  A message that is signed or encrypted as a whole, and
 * one whose form is what programs read, gets none.
 * Called by smtp-relay's stage for lists and by the channel that expands large ones.  Must stay true: a body is
 * never read, so nothing in it can be taken for ours. */
#include <stdio.h>
#include "base/map.h"
#include "base/random.h"
#include "base/utf8.h"
#include "expand/text.h"
#include "mail/encoded-word.h"
#include "mail/header.h"
#include "mail/param.h"
#include "mail/text.h"
#include "mail/token.h"

#define LINE_LONG 900 /* octets of a line of text above which it is encoded */

enum list_way {
	LIST_PLAIN, /* put to the body as it is */
	LIST_QP,    /* put to the body, which is quoted-printable */
	LIST_PART   /* a part of its own */
};

struct expand_text {
	enum list_way way;
	struct slice prefix, suffix; /* lines with CRLF, in UTF-8 */
	struct slice content; /* the message's own fields about its body, when it is a part */
	bool flowed;
	const char *outer; /* the encoding of a multipart that it is a part of; or NULL */
	char boundary[48];
};

/* ---- what the message is ------------------------------------------------------------------------ */

static void
list_type(struct expand_content *c, struct slice value, struct arena *a)
{
	struct param_list params;
	struct slice text;

	c->ntypes++;
	c->type = token_take(&value);
	c->subtype = token_char(&value, '/') ? token_take(&value) : S("");
	param_list_parse(value, a, &params);
	if (param_find(&params, S("charset"), &text))
		c->charset = text;
	c->flowed = param_find(&params, S("format"), &text) && slice_ieq(text, S("flowed"));
}

static void
list_encoding(struct expand_content *c, struct slice value)
{
	static const char *const known[] = { "7bit", "8bit", "binary", "base64",
		"quoted-printable" };
	bool found = false;

	c->nencodings++;
	c->encoding = token_take(&value);
	for (size_t i = 0; i < NELEM(known); i++)
		found = found || slice_ieq(c->encoding, slice_str(known[i]));
	value = slice_trim(value);
	c->odd = !found || (value.n && value.p[0] != '(');
}

struct expand_content
expand_content_look(struct slice fields, struct arena *a)
{
	struct expand_content c = { .type = S(""),
		.subtype = S(""),
		.charset = S(""),
		.encoding = S("") };
	struct header_field f;

	while (header_next(&fields, &f)) {
		struct slice v = f.value;

		if (slice_ieq(f.name, S("Content-Type"))) {
			list_type(&c, v, a);
		} else if (slice_ieq(f.name, S("Content-Transfer-Encoding"))) {
			list_encoding(&c, v);
		} else if (slice_ieq(f.name, S("Content-Disposition"))) {
			c.attachment = !slice_ieq(token_take(&v), S("inline"));
		}
	}
	return c;
}

/* Why a message gets no text at all; or NULL. */
static const char *
list_untouched(const struct expand_content *c)
{
	static const struct {
		const char *type, *subtype, *why;
	} whole[] = {
		{ "multipart", "signed", "it is signed" },
		{ "multipart", "encrypted", "it is encrypted" },
		{ "application", "pkcs7-mime", "it is signed or encrypted" },
		{ "application", "x-pkcs7-mime", "it is signed or encrypted" },
		{ "multipart", "report", "it is a report" },
		{ "message", "partial", "it is a piece of a message" },
		{ "message", "external-body", "its body is elsewhere" },
		{ "message", "delivery-status", "it is a report" },
		{ "message", "disposition-notification", "it is a report" },
	};

	if (c->ntypes > 1 || c->nencodings > 1)
		return "it says twice how it is to be read";
	if (c->ntypes && (c->type.n == 0 || c->subtype.n == 0))
		return "it does not say how it is to be read";
	for (size_t i = 0; i < NELEM(whole); i++)
		if (slice_ieq(c->type, slice_str(whole[i].type)) &&
		    slice_ieq(c->subtype, slice_str(whole[i].subtype)))
			return whole[i].why;
	return NULL;
}

/* Is ASCII in it what it is in ASCII, wherever it stands? */
static bool
charset_has_ascii(struct slice charset)
{
	static const char *const starts[] = { "us-ascii", "utf-8", "iso-8859-", "windows-125",
		"koi8-" };

	for (size_t i = 0; i < NELEM(starts); i++)
		if (slice_istarts(charset, slice_str(starts[i])))
			return true;
	return charset.n == 0;
}

static bool
lines_short(struct slice text)
{
	struct slice line;

	while (slice_cut(&text, '\n', &line))
		if (line.n > LINE_LONG)
			return false;
	return true;
}

static enum list_way
list_way(const struct expand_content *c, const struct expand_text *t)
{
	bool ascii = utf8_ascii(t->prefix) && utf8_ascii(t->suffix);
	bool qp = slice_ieq(c->encoding, S("quoted-printable"));
	bool eight = slice_ieq(c->encoding, S("8bit"));

	if (c->attachment || c->odd ||
	    (c->ntypes && !(slice_ieq(c->type, S("text")) && slice_ieq(c->subtype, S("plain")))))
		return LIST_PART;
	if (ascii ? !charset_has_ascii(c->charset) : !slice_ieq(c->charset, S("utf-8")))
		return LIST_PART;
	if (qp)
		return LIST_QP;
	if (!lines_short(t->prefix) || !lines_short(t->suffix) || (!ascii && !eight))
		return LIST_PART;
	return eight || c->encoding.n == 0 || slice_ieq(c->encoding, S("7bit")) ? LIST_PLAIN :
										  LIST_PART;
}

/* ---- the text ------------------------------------------------------------------------------------ */

/* Lines that end in CRLF and, but for the one that parts a signature, in no blank, which would mean that the
 * line goes on (RFC 3676 4.1).  No controls but tabs. */
static struct slice
text_lines(struct arena *a, struct slice text)
{
	struct slice line, made;
	struct buf b = { 0 };

	while (text.n && slice_cut(&text, '\n', &line)) {
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		while (line.n && line.p[line.n - 1] == ' ' && !slice_eq(line, S("-- ")))
			line.n--;
		for (size_t i = 0; i < line.n; i++) {
			unsigned char c = (unsigned char)line.p[i];

			buf_char(&b, (c < ' ' && c != '\t') || c == 0x7f ? '?' : (char)c);
		}
		buf_lit(&b, "\r\n");
	}
	made = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return made;
}

/* One that nobody can have written into the message. */
static void
boundary_make(struct expand_text *t)
{
	(void)snprintf(t->boundary, sizeof(t->boundary), "=_list_%016llx%016llx",
	    (unsigned long long)random_u64(), (unsigned long long)random_u64());
}

struct expand_text *
expand_text_new(struct arena *a, const struct expand_edit *e, const struct expand_content *c,
    const char **why)
{
	struct expand_text *t;

	*why = NULL;
	if (e->prefix.n + e->suffix.n == 0)
		return NULL;
	if (!(*why = list_untouched(c)) && (!utf8_valid(e->prefix) || !utf8_valid(e->suffix)))
		*why = "the text is not UTF-8";
	if (*why)
		return NULL;
	t = arena_new(a, sizeof(*t));
	t->prefix = text_lines(a, e->prefix);
	t->suffix = text_lines(a, e->suffix);
	t->flowed = c->flowed;
	t->outer = slice_ieq(c->encoding, S("8bit")) ? "8bit" :
	    slice_ieq(c->encoding, S("binary"))      ? "binary" :
						       NULL;
	t->way = list_way(c, t);
	boundary_make(t);
	return t;
}

bool
expand_text_eightbit(const struct expand_text *t)
{
	return t && t->way == LIST_PLAIN && !(utf8_ascii(t->prefix) && utf8_ascii(t->suffix));
}

static void
text_write(struct buf *out, enum list_way way, struct slice text)
{
	if (way == LIST_QP)
		text_write_qp(out, text);
	else
		buf_slice(out, text);
}

static void
part_write(struct buf *out, const struct expand_text *t, struct slice text)
{
	bool plain = utf8_ascii(text) && lines_short(text);

	if (text.n == 0)
		return;
	buf_printf(out, "--%s\r\nContent-Type: text/plain; charset=%s\r\n", t->boundary,
	    plain ? "us-ascii" : "utf-8");
	if (!plain)
		buf_lit(out, "Content-Transfer-Encoding: quoted-printable\r\n");
	buf_lit(out, "Content-Disposition: inline\r\n\r\n");
	text_write(out, plain ? LIST_PLAIN : LIST_QP, text);
}

static bool
is_content(struct slice name)
{
	return slice_istarts(name, S("Content-"));
}

/* The fields that say how the body is to be read; they stand in front of it now. */
static struct slice
list_moved(struct arena *a, struct slice fields)
{
	struct header_field f;
	struct buf b = { 0 };
	struct slice kept;

	while (header_next(&fields, &f))
		if (is_content(f.name))
			buf_slice(&b, f.whole);
	kept = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return kept;
}

void
expand_text_begin(const struct expand_text *t, struct buf *out)
{
	if (!t)
		return;
	if (t->way != LIST_PART) {
		text_write(out, t->way, t->prefix);
		return;
	}
	part_write(out, t, t->prefix);
	buf_printf(out, "%s--%s\r\n", t->prefix.n ? "\r\n" : "", t->boundary);
	buf_slice(out, t->content);
	buf_lit(out, "\r\n");
}

void
expand_text_end(const struct expand_text *t, const char last[4], struct buf *out)
{
	struct slice end = slice(last, 4);

	if (!t)
		return;
	if (t->way == LIST_PART) {
		buf_lit(out, "\r\n");
		part_write(out, t, t->suffix);
		buf_printf(out, "%s--%s--\r\n", t->suffix.n ? "\r\n" : "", t->boundary);
		return;
	}
	/* A body without a last line end, or one whose last line goes on. */
	if (t->suffix.n && end.p[3] &&
	    (!slice_ends(end, S("\r\n")) || (t->way == LIST_QP && slice_ends(end, S("=\r\n"))) ||
		(t->flowed && slice_ends(end, S(" \r\n")))))
		buf_lit(out, "\r\n");
	text_write(out, t->way, t->suffix);
}

/* ---- the fields ------------------------------------------------------------------------------------ */

/* Names of fields in lower case, by their first letters. */
struct names {
	struct map map;
	bool first[256];
};

static bool
names_have(const struct names *n, struct slice name)
{
	char lower[80];

	if (name.n == 0 || name.n > sizeof(lower) ||
	    !n->first[(unsigned char)ascii_lower(name.p[0])])
		return false;
	for (size_t i = 0; i < name.n; i++)
		lower[i] = ascii_lower(name.p[i]);
	return map_get(&n->map, slice(lower, name.n));
}

static void
list_add(struct buf *out, struct slice field)
{
	size_t colon = slice_find(field, ':');
	struct slice value = slice_trim(slice_from(field, colon + 1));
	struct buf clean = { 0 }, text = { 0 };
	char name[80];

	/* No controls: they would come out of an encoded word again. */
	for (size_t i = 0; i < value.n; i++)
		buf_char(&clean, (unsigned char)value.p[i] < ' ' ? ' ' : value.p[i]);
	slice_cstr(slice_trim(slice_sub(field, 0, colon)), name, sizeof(name));
	encoded_word_write(&text, buf_get(&clean), ENCODED_TEXT);
	buf_fini(&clean);
	header_write(out, name, buf_get(&text));
	buf_fini(&text);
}

void
expand_text_fields(const struct expand_edit *e, struct expand_text *t, struct slice fields,
    struct arena *a, struct buf *out)
{
	bool part = t && t->way == LIST_PART, version = false;
	struct slice rest = fields;
	struct names gone = { .first = { false } };
	struct header_field f;

	for (size_t i = 0; i < e->remove.n; i++) {
		gone.first[(unsigned char)e->remove.v[i].p[0]] = true;
		(void)map_put(&gone.map, e->remove.v[i], &gone);
	}
	while (header_next(&rest, &f)) {
		version = version || slice_ieq(f.name, S("MIME-Version"));
		if (!names_have(&gone, f.name) && !(part && is_content(f.name)))
			buf_slice(out, f.whole);
	}
	map_fini(&gone.map);
	for (size_t i = 0; i < e->add.n; i++)
		list_add(out, e->add.v[i]);
	if (!part)
		return;
	t->content = list_moved(a, fields);
	if (!version)
		buf_lit(out, "MIME-Version: 1.0\r\n");
	buf_printf(out, "Content-Type: multipart/mixed;\r\n\tboundary=\"%s\"\r\n", t->boundary);
	if (t->outer)
		buf_printf(out, "Content-Transfer-Encoding: %s\r\n", t->outer);
}
