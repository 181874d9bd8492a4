/* email-value.c: bodies as text, with the cut that maxBodyValueBytes asks for.
 *
 * Called by email-write.c a piece at a time.  Nothing can fail; what is damaged is told by `problem`.
 * Where HTML can be cut is known only behind the place, when what stands before it has been given out
 * long ago: a text that may be too long is therefore read twice, the first time only to find the place.
 * What must stay true: pieces are whole characters, and where they were cut cannot be seen in the text. */
#include "jmap/email-value.h"

#define REFERENCE_MAX 32 /* of "&name;": HTML's longest has 33 octets */
#define GROWTH        3  /* octets of UTF-8 that one of any charset can become */

static void
value_open(struct jmap_value *v)
{
	enum text_encoding e;

	text_open_part(&v->reader, v->mime, v->part->mime);
	v->problem = !text_encoding_find(v->part->mime->encoding, &e);
	v->n = 0;
	v->cr = false;
}

void
jmap_value_start(struct jmap_value *v, const struct mime *m, const struct jmap_part *p,
    uint64_t most)
{
	*v = (struct jmap_value){ .mime = m, .part = p, .most = most };
	v->measuring = most > 0 && p->mime->body_len > most / GROWTH;
	value_open(v);
}

/* Appends the next piece with LF for CRLF.  False at the end. */
static bool
value_piece(struct jmap_value *v, struct buf *out)
{
	struct slice s;

	buf_clear(&v->raw);
	if (!text_next(&v->reader, &v->raw)) {
		if (v->cr)
			buf_char(out, '\r');
		v->cr = false;
		return false;
	}
	for (s = buf_get(&v->raw); s.n > 0;) {
		size_t n = slice_find(s, '\r');

		if (v->cr && s.p[0] != '\n')
			buf_char(out, '\r');
		buf_add(out, s.p, n);
		v->cr = n < s.n;
		s = slice_from(s, n + 1);
	}
	return true;
}

/* ---- where to cut -------------------------------------------------------------------------------------- */

static bool
markup_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void
markup_text(struct jmap_markup *m, char c, uint64_t at)
{
	if (c == '<') {
		m->state = JMAP_MARKUP_OPEN;
		m->opened_at = at;
	}
	if (c == '&')
		m->reference_at = at + 1;
	else if (!markup_is_letter(c) && c != '#' && !(c >= '0' && c <= '9'))
		m->reference_at = 0;
}

/* Inside of "<...>".  Quotes count only where they can begin a value. */
static void
markup_tag(struct jmap_markup *m, char c, uint64_t at)
{
	if (m->quote) {
		if (c == m->quote)
			m->quote = 0;
	} else if ((c == '"' || c == '\'') && m->last[0] == '=') {
		m->quote = c;
	} else if (c == '>') {
		m->state = JMAP_MARKUP_TEXT;
	} else if (at == m->opened_at + 3 && c == '-' && m->last[0] == '-' && m->last[1] == '!') {
		m->state = JMAP_MARKUP_COMMENT;
	}
}

static void
markup_octet(struct jmap_markup *m, char c, uint64_t at)
{
	switch (m->state) {
	case JMAP_MARKUP_TEXT: markup_text(m, c, at); break;
	case JMAP_MARKUP_OPEN: /* a "<" alone is text */
		m->state = markup_is_letter(c) || c == '/' || c == '!' || c == '?' ?
		    JMAP_MARKUP_TAG :
		    JMAP_MARKUP_TEXT;
		if (m->state == JMAP_MARKUP_TEXT)
			markup_text(m, c, at);
		break;
	case JMAP_MARKUP_TAG: markup_tag(m, c, at); break;
	case JMAP_MARKUP_COMMENT:
		if (c == '>' && m->last[0] == '-' && m->last[1] == '-')
			m->state = JMAP_MARKUP_TEXT;
		break;
	}
	if (m->state == JMAP_MARKUP_TAG && (c == ' ' || c == '\n'))
		return; /* they may stand behind the "=" of an attribute */
	m->last[1] = m->last[0];
	m->last[0] = c;
}

/* Where the text is cut when octet v->most, which is `next`, is too much. */
static uint64_t
value_limit(const struct jmap_value *v, char next)
{
	const struct jmap_markup *m = &v->markup;

	if (m->state != JMAP_MARKUP_TEXT)
		return m->opened_at;
	if (m->reference_at > 0 && v->most - (m->reference_at - 1) <= REFERENCE_MAX)
		return m->reference_at - 1;
	return (next & 0xc0) == 0x80 ? v->char_at : v->most;
}

/* Looks at a piece.  True: the text is cut, at v->most. */
static bool
value_measure(struct jmap_value *v, struct slice s)
{
	bool html = slice_eq(v->part->type, S("text/html"));

	for (size_t i = 0; i < s.n; i++, v->n++) {
		if (v->n == v->most) {
			v->most = value_limit(v, s.p[i]);
			return true;
		}
		if ((s.p[i] & 0xc0) != 0x80)
			v->char_at = v->n;
		if (html)
			markup_octet(&v->markup, s.p[i], v->n);
	}
	return false;
}

static void
value_measure_next(struct jmap_value *v)
{
	struct buf piece = { 0 };
	bool more = value_piece(v, &piece);

	v->truncated = value_measure(v, buf_get(&piece));
	buf_fini(&piece);
	if (!more || v->truncated) {
		v->measuring = false;
		text_close(&v->reader);
		value_open(v);
	}
}

/* ---- giving it out --------------------------------------------------------------------------------------- */

bool
jmap_value_next(struct jmap_value *v, struct buf *out)
{
	size_t at = out->n;
	bool more;

	if (v->measuring) {
		value_measure_next(v);
		return true;
	}
	more = value_piece(v, out);
	v->problem = v->problem || v->reader.charset.damaged;
	v->n += out->n - at;
	if (!v->truncated || v->n < v->most)
		return more;
	out->n -= v->n - v->most;
	v->n = v->most;
	return false;
}

void
jmap_value_end(struct jmap_value *v)
{
	text_close(&v->reader);
	buf_fini(&v->raw);
}
