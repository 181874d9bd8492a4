/* imap/bodystructure.c: BODY and BODYSTRUCTURE, RFC 3501 7.4.2.
 *
 * Pure; called when a digest is built, and BODY is made of what it has stored.  Nothing fails: a
 * hostile message gives odd but well-formed text, a damaged one a shorter one.  Depth is that of
 * the MIME parser, MIME_DEPTH_MAX; both walks are linear. */
#include "imap/structure.h"

#include "base/utf8.h"
#include "imap/write.h"

/* ---- from the tree --------------------------------------------------------------------- */

static void
write_nstring(struct buf *b, struct slice s)
{
	if (s.n > 0)
		imap_text_write(b, s);
	else
		buf_lit(b, "NIL");
}

/* One parameter.  RFC 2231 3: continuations are put together for clients; what is beyond ASCII,
 * or was said so, goes in the extended form. */
static void
write_param(struct buf *b, const struct param *p)
{
	struct buf name = { 0 }, value = { 0 };

	if (!utf8_ascii(p->name) || (!p->extended && utf8_ascii(p->value))) {
		imap_text_write(b, p->name);
		buf_char(b, ' ');
		imap_text_write(b, p->value);
		return;
	}
	buf_slice(&name, p->name);
	buf_char(&name, '*');
	param_extended_write(&value, p);
	imap_text_write(b, buf_get(&name));
	buf_char(b, ' ');
	imap_write_string(b, buf_get(&value));
	buf_fini(&name);
	buf_fini(&value);
}

static void
write_params(struct buf *b, const struct param_list *list, bool text)
{
	if (list->n == 0) {
		/* RFC 2045 5.2: text without a charset is US-ASCII. */
		buf_str(b, text ? "(\"charset\" \"us-ascii\")" : "NIL");
		return;
	}
	buf_char(b, '(');
	for (size_t i = 0; i < list->n; i++) {
		if (i > 0)
			buf_char(b, ' ');
		write_param(b, &list->p[i]);
	}
	buf_char(b, ')');
}

/* body-fld-dsp [SP body-fld-lang [SP body-fld-loc]] */
static void
write_extension(struct buf *b, const struct mime_part *p)
{
	struct slice at = p->language, tag;
	size_t n = 0;

	buf_char(b, ' ');
	if (p->disposition.n > 0) {
		buf_char(b, '(');
		imap_text_write(b, p->disposition);
		buf_char(b, ' ');
		write_params(b, &p->dparams, false);
		buf_char(b, ')');
	} else {
		buf_lit(b, "NIL");
	}
	buf_char(b, ' ');
	for (; mime_languages(&at, &tag); n++) {
		buf_char(b, n ? ' ' : '(');
		imap_text_write(b, tag);
	}
	buf_str(b, n ? ") " : "NIL ");
	write_nstring(b, p->location);
}

static void
write_multipart(struct buf *b, const struct mime *m, const struct mime_part *p, bool extended,
    struct arena *a)
{
	for (const struct mime_part *c = p->child; c; c = c->next)
		imap_structure_write(b, m, c, extended, a);
	buf_char(b, ' ');
	imap_text_write(b, p->subtype);
	if (extended) {
		buf_char(b, ' ');
		write_params(b, &p->params, false);
		write_extension(b, p);
	}
}

static void
write_single(struct buf *b, const struct mime *m, const struct mime_part *p, bool extended,
    struct arena *a)
{
	bool text = slice_ieq(p->type, S("text"));

	imap_text_write(b, p->type);
	buf_char(b, ' ');
	imap_text_write(b, p->subtype);
	buf_char(b, ' ');
	write_params(b, &p->params, text && slice_ieq(p->subtype, S("plain")));
	buf_char(b, ' ');
	write_nstring(b, p->id);
	buf_char(b, ' ');
	write_nstring(b, p->description);
	buf_char(b, ' ');
	imap_text_write(b, p->encoding.n > 0 ? p->encoding : S("7bit"));
	buf_char(b, ' ');
	buf_u64(b, p->body_len);
	/* Only message/rfc822 has the long form in RFC 3501; message/global is basic. */
	if (p->kind == MIME_MESSAGE && slice_ieq(p->subtype, S("rfc822"))) {
		buf_char(b, ' ');
		imap_envelope_write(b, mime_header(m, p->child), a);
		buf_char(b, ' ');
		imap_structure_write(b, m, p->child, extended, a);
		text = true;
	}
	if (text) {
		buf_char(b, ' ');
		buf_u64(b, p->lines);
	}
	if (extended) {
		buf_char(b, ' ');
		write_nstring(b, p->md5);
		write_extension(b, p);
	}
}

void
imap_structure_write(struct buf *b, const struct mime *m, const struct mime_part *p, bool extended,
    struct arena *a)
{
	buf_char(b, '(');
	if (p->kind == MIME_MULTIPART)
		write_multipart(b, m, p, extended, a);
	else
		write_single(b, m, p, extended, a);
	buf_char(b, ')');
}

/* ---- BODY from BODYSTRUCTURE ------------------------------------------------------------- */

/* One element off the front of *s: a list, a string, a literal, a number or NIL. */
static struct slice
element(struct slice *s)
{
	struct slice all = *s;
	size_t i = 0, depth = 0;

	do {
		if (i >= all.n)
			break;
		if (all.p[i] == '"') {
			for (i++; i < all.n && all.p[i] != '"'; i++)
				i += all.p[i] == '\\';
			i++;
		} else if (all.p[i] == '{') {
			uint64_t n = 0;
			size_t end = slice_find(slice_from(all, i), '}');

			if (slice_u64(slice_sub(all, i + 1, end - 1), UINT32_MAX, &n) < 0)
				n = 0;
			i += end + 3 + (size_t)n;
		} else if (all.p[i] == '(' || all.p[i] == ')') {
			depth += all.p[i] == '(' ? 1 : (size_t)-1;
			i++;
		} else if (all.p[i] == ' ') {
			i++;
		} else {
			while (i < all.n && !strchr(" ()", all.p[i]))
				i++;
		}
	} while (depth > 0);
	i = i > all.n ? all.n : i;
	*s = slice_from(all, i);
	return slice(all.p, i);
}

static void
imap_bodystructure_copy(struct buf *out, struct slice *s, int n)
{
	while (n-- > 0) {
		buf_slice(out, element(s));
		if (s->n > 0 && s->p[0] == ' ')
			*s = slice_from(*s, 1);
		if (n > 0)
			buf_char(out, ' ');
	}
}

static void
body(struct buf *out, struct slice *s, unsigned depth)
{
	struct slice all = *s, inner = element(&all), type;

	*s = all;
	if (inner.n < 2 || inner.p[0] != '(' || depth > MIME_DEPTH_MAX + 1) {
		buf_slice(out, inner);
		return;
	}
	inner = slice_sub(inner, 1, inner.n - 2);
	buf_char(out, '(');
	if (inner.n > 0 && inner.p[0] == '(') {
		while (inner.n > 0 && inner.p[0] == '(')
			body(out, &inner, depth + 1);
		if (inner.n > 0 && inner.p[0] == ' ')
			inner = slice_from(inner, 1);
		buf_char(out, ' ');
		imap_bodystructure_copy(out, &inner, 1);
	} else {
		struct slice at = inner, subtype;

		type = element(&at);
		at = slice_from(at, 1);
		subtype = element(&at);
		imap_bodystructure_copy(out, &inner, 7);
		if (slice_ieq(type, S("\"message\"")) && slice_ieq(subtype, S("\"rfc822\"")) &&
		    inner.n > 0 && inner.p[0] == '(') {
			buf_char(out, ' ');
			imap_bodystructure_copy(out, &inner, 1);
			buf_char(out, ' ');
			body(out, &inner, depth + 1);
			if (inner.n > 0 && inner.p[0] == ' ')
				inner = slice_from(inner, 1);
			buf_char(out, ' ');
			imap_bodystructure_copy(out, &inner, 1);
		} else if (slice_ieq(type, S("\"text\""))) {
			buf_char(out, ' ');
			imap_bodystructure_copy(out, &inner, 1);
		}
	}
	buf_char(out, ')');
}

void
imap_body_from_structure(struct buf *out, struct slice structure)
{
	body(out, &structure, 0);
}
