/* mail/preview.c: a few words of a message, RFC 8970 3.
 *
 * Called by message/parse, on any thread.  Nothing can fail.  What must stay true: the work is bounded
 * by RAW_MAX whatever a message holds, since a part may be 50 MB of what is nothing; and the text is one
 * line of valid UTF-8 without control characters.  Markup is looked at just so far that none of it is
 * shown: names of tags, comments, the few entities that text is made with. */
#include "mail/preview.h"

#include "base/utf8.h"
#include "mail/text.h"

#define RAW_MAX (256 * 1024) /* octets of the part, encoded, that are looked at */
#define TAG_MAX 10           /* of a name that matters */

struct preview {
	struct buf *out;
	size_t chars, most;
	bool blank;  /* stands before the next character */
	bool html;   /* else plain text */
	bool line;   /* a line begins here */
	bool quoted; /* this line is one */
	bool all;    /* quoted lines are shown too */
	/* of HTML */
	enum { MARKUP_NONE, MARKUP_TAG, MARKUP_COMMENT } markup;
	char tag[TAG_MAX + 1];
	size_t tag_n;
	bool named;  /* the tag's name is over */
	bool hidden; /* inside of what is not shown */
	int dashes;  /* at the end of a comment */
};

/* ---- characters --------------------------------------------------------------------------------- */

static bool
preview_is_blank(int32_t c)
{
	return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || (c >= 0x2000 && c <= 0x200a) ||
	    (c >= 0x2028 && c <= 0x202f) || c == 0x205f || c == 0x3000;
}

/* Takes no place: what fills the previews of newsletters. */
static bool
preview_is_nothing(int32_t c)
{
	return c == 0xad || c == 0x34f || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	    (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static void
preview_put(struct preview *p, int32_t c)
{
	if (preview_is_nothing(c) || p->chars >= p->most)
		return;
	if (preview_is_blank(c)) {
		p->blank = p->chars > 0;
		return;
	}
	if (p->blank) {
		if (p->chars + 2 > p->most) { /* a blank is not the last */
			p->chars = p->most;
			return;
		}
		buf_char(p->out, ' ');
		p->chars++;
		p->blank = false;
	}
	utf8_put(p->out, (uint32_t)c);
	p->chars++;
}

static void
preview_plain(struct preview *p, int32_t c)
{
	if (p->line)
		p->quoted = c == '>' && !p->all;
	p->line = c == '\n';
	preview_put(p, p->quoted ? ' ' : c);
}

/* ---- markup -------------------------------------------------------------------------------------- */

/* Tags that stand within a word. */
static bool
tag_is_inline(struct slice name)
{
	static const char *const names[] = { "a", "abbr", "b", "big", "code", "em", "font", "i",
		"s", "small", "span", "strong", "sub", "sup", "tt", "u" };

	for (size_t i = 0; i < NELEM(names); i++)
		if (slice_ieq(name, slice_str(names[i])))
			return true;
	return false;
}

static void
tag_over(struct preview *p)
{
	static const char *const hides[] = { "head", "script", "style", "title" };
	struct slice name = slice(p->tag, p->tag_n);
	bool end = name.n > 0 && name.p[0] == '/';

	if (end)
		name = slice_from(name, 1);
	p->markup = MARKUP_NONE;
	for (size_t i = 0; i < NELEM(hides); i++)
		if (slice_ieq(name, slice_str(hides[i])))
			p->hidden = !end;
	if (slice_ieq(name, S("body")))
		p->hidden = false; /* of a head without its end */
	if (!tag_is_inline(name))
		preview_put(p, ' ');
}

static void
tag_char(struct preview *p, int32_t c)
{
	if (c == '>') {
		tag_over(p);
		return;
	}
	p->named = p->named || preview_is_blank(c) || (c == '/' && p->tag_n > 0) || c >= 0x80;
	if (!p->named && p->tag_n < TAG_MAX)
		p->tag[p->tag_n++] = (char)c;
	else if (!p->named)
		p->named = true;
	if (p->tag_n == 3 && !p->named && memcmp(p->tag, "!--", 3) == 0) {
		p->markup = MARKUP_COMMENT;
		p->dashes = 0;
	}
}

static void
comment_char(struct preview *p, int32_t c)
{
	if (c == '>' && p->dashes >= 2)
		p->markup = MARKUP_NONE;
	p->dashes = c == '-' ? p->dashes + (p->dashes < 2) : 0;
}

/* "&amp;" and its kind in front of `s`, behind the "&": the character, and taken; or '&'. */
static int32_t
entity(struct slice *s)
{
	static const struct {
		const char *name;
		int32_t c;
		/* clang-format off */
	} names[] = {
		{ "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' }, { "apos", '\'' },
		{ "nbsp", 0xa0 }, { "zwnj", 0x200c }, { "shy", 0xad }, { "auml", 0xe4 }, { "ouml", 0xf6 },
		{ "uuml", 0xfc }, { "szlig", 0xdf }, { "ndash", 0x2013 }, { "mdash", 0x2014 },
		{ "rsquo", 0x2019 }, { "hellip", 0x2026 },
	};
	/* clang-format on */
	size_t n = slice_find(slice_sub(*s, 0, 10), ';');
	struct slice name = slice_sub(*s, 0, n);
	uint32_t v = 0;

	if (n >= s->n || n >= 10)
		return '&';
	if (n > 1 && name.p[0] == '#') {
		bool hex = (name.p[1] | 0x20) == 'x';

		for (size_t i = hex ? 2 : 1; i < n; i++) {
			int digit = ascii_hex(name.p[i]);

			if (digit < 0 || (!hex && digit > 9))
				return '&';
			v = v * (hex ? 16 : 10) + (uint32_t)digit; /* of 8 digits at most */
		}
		*s = slice_from(*s, n + 1);
		return v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? ' ' : (int32_t)v;
	}
	for (size_t i = 0; i < NELEM(names); i++)
		if (slice_ieq(name, slice_str(names[i].name))) {
			*s = slice_from(*s, n + 1);
			return names[i].c;
		}
	return '&';
}

static void
preview_html(struct preview *p, int32_t c, struct slice *rest)
{
	switch (p->markup) {
	case MARKUP_TAG: tag_char(p, c); return;
	case MARKUP_COMMENT: comment_char(p, c); return;
	case MARKUP_NONE: break;
	}
	if (c == '<') {
		p->markup = MARKUP_TAG;
		p->tag_n = 0;
		p->named = false;
	} else if (!p->hidden) {
		preview_put(p, c == '&' ? entity(rest) : c);
	}
}

/* ---- the part ------------------------------------------------------------------------------------ */

static const struct mime_part *
preview_part(const struct mime *m)
{
	const struct mime_part *html = NULL;

	for (const struct mime_part *p = m->root; p; p = mime_next(m, p)) {
		if (p->kind != MIME_LEAF || p->body_len == 0 ||
		    slice_ieq(p->disposition, S("attachment")))
			continue;
		if (mime_type_is(p, S("text"), S("plain")))
			return p;
		if (!html && mime_type_is(p, S("text"), S("html")))
			html = p;
	}
	return html;
}

static void
preview_run(struct preview *p, const struct mime *m, const struct mime_part *part)
{
	struct slice charset = { 0 };
	struct buf plain = { 0 };
	struct text_reader t;

	p->html = mime_type_is(part, S("text"), S("html"));
	(void)param_find(&part->params, S("charset"), &charset);
	text_open(&t, slice_sub(mime_body(m, part), 0, RAW_MAX), part->encoding, charset);
	while (p->chars < p->most && text_next(&t, &plain)) {
		struct slice s = buf_get(&plain);

		while (s.n > 0 && p->chars < p->most) {
			int32_t c = utf8_next(&s);

			if (c < 0)
				continue;
			if (p->html)
				preview_html(p, c, &s);
			else
				preview_plain(p, c);
		}
		buf_clear(&plain);
	}
	text_close(&t);
	buf_fini(&plain);
}

void
preview_write(const struct mime *m, size_t most, struct buf *out)
{
	const struct mime_part *part = preview_part(m);
	struct preview p = { .out = out, .most = most, .line = true };

	if (part)
		preview_run(&p, m, part);
}

void
preview_part_write(const struct mime *m, const struct mime_part *part, size_t most, struct buf *out)
{
	struct preview p = { .out = out, .most = most, .line = true, .all = true };

	preview_run(&p, m, part);
}
