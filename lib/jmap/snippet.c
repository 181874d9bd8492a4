/* snippet.c: words of a search, and where they stand in a text.
 *
 * Called for each message of SearchSnippet/get, and by who reads a filter.  Nothing can fail.  A text is
 * searched in the form that is compared, in which characters have other lengths; where each began in both is
 * kept, so that marks come between whole characters.  What must stay true: nothing of a text reaches the
 * client but as text, since it is shown as HTML; the cost is the text times JMAP_TERMS_MAX. */
#include "jmap/snippet.h"

#include <stdlib.h>

#include "base/casemap.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "mail/preview.h"

#define BEFORE_MAX 60 /* characters shown before the first mark */
#define MARK       "<mark>"
#define MARK_END   "</mark>"

/* ---- words ------------------------------------------------------------------------------------------------ */

static bool
term_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
term_put(struct jmap_terms *t, struct slice word, struct arena *a)
{
	struct buf form = { 0 };

	casemap_search_to(&form, word);
	if (form.n > 0 && t->n == JMAP_TERMS_MAX)
		t->cut = true;
	else if (form.n > 0)
		t->term[t->n++] = arena_slice(a, buf_get(&form));
	buf_fini(&form);
}

/* "\\" and what it makes a letter stand at s.p[i]. */
static bool
term_escapes(struct slice s, size_t i)
{
	return s.p[i] == '\\' && i + 1 < s.n &&
	    (s.p[i + 1] == '\'' || s.p[i + 1] == '"' || s.p[i + 1] == '\\');
}

/* A quote stands at the front: takes the phrase.  False: its other quote never comes, and it is a letter. */
static bool
term_phrase(struct slice *s, struct buf *word)
{
	char quote = s->p[0];

	buf_clear(word);
	for (size_t i = 1; i < s->n; i++) {
		if (s->p[i] == quote) {
			*s = slice_from(*s, i + 1);
			return true;
		}
		i += term_escapes(*s, i);
		buf_char(word, s->p[i]);
	}
	return false;
}

static void
term_word(struct slice *s, struct buf *word)
{
	size_t i = 0;

	buf_clear(word);
	for (; i < s->n && !term_is_blank(s->p[i]); i++) {
		i += term_escapes(*s, i);
		buf_char(word, s->p[i]);
	}
	*s = slice_from(*s, i);
}

void
jmap_terms_add(struct jmap_terms *t, struct slice text, struct arena *a)
{
	struct buf word = { 0 };
	bool open = true; /* a phrase may begin: not again when one has had no end */

	for (text = slice_trim(text); text.n > 0 && !t->cut; text = slice_trim(text)) {
		bool quote = text.p[0] == '"' || text.p[0] == '\'';

		open = open && (!quote || term_phrase(&text, &word));
		if (!quote || !open)
			term_word(&text, &word);
		term_put(t, buf_get(&word), a);
	}
	buf_fini(&word);
}

/* ---- places ------------------------------------------------------------------------------------------------- */

struct snippet_char {
	uint32_t at, form_at; /* octets from the text's and the form's beginning */
};
struct snippet {
	struct slice text;
	struct buf form;
	struct snippet_char *chars; /* n of them, and one for the end */
	size_t n;
	bool *marked; /* of each character */
};

static void
snippet_init(struct snippet *s, struct slice text)
{
	struct slice rest = text;
	size_t room = text.n + 1;

	*s = (struct snippet){ .text = text };
	s->chars = mem_array(room, sizeof(*s->chars));
	s->marked = mem_array(room, sizeof(*s->marked));
	while (rest.n > 0) {
		const char *at = rest.p;

		s->chars[s->n++] =
		    (struct snippet_char){ (uint32_t)(at - text.p), (uint32_t)s->form.n };
		(void)utf8_next(&rest);
		casemap_search_to(&s->form, slice(at, (size_t)(rest.p - at)));
	}
	s->chars[s->n] = (struct snippet_char){ (uint32_t)text.n, (uint32_t)s->form.n };
}

static void
snippet_fini(struct snippet *s)
{
	buf_fini(&s->form);
	free(s->chars);
	free(s->marked);
}

/* The character whose form this octet belongs to. */
static size_t
snippet_char_at(const struct snippet *s, size_t form_at)
{
	size_t lo = 0, hi = s->n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->chars[mid].form_at <= form_at)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* Marks where the term stands; behind each place the next is looked for. */
static bool
snippet_find(struct snippet *s, struct slice term)
{
	struct slice form = buf_get(&s->form);
	size_t at = 0;
	bool any = false;

	for (;;) {
		size_t n = slice_find_str(slice_from(form, at), term);
		size_t from, to;

		if (at + n >= form.n)
			return any;
		at += n;
		from = snippet_char_at(s, at);
		at += term.n;
		to = snippet_char_at(s, at - 1);
		for (size_t i = from; i <= to; i++)
			s->marked[i] = true;
		any = true;
	}
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* A character as HTML has it. */
static struct slice
snippet_html(const struct snippet *s, size_t i)
{
	struct slice c = slice(s->text.p + s->chars[i].at, s->chars[i + 1].at - s->chars[i].at);

	switch (c.p[0]) {
	case '<': return S("&lt;");
	case '>': return S("&gt;");
	case '&': return S("&amp;");
	default: return c;
	}
}

/* Where a text that is cut begins: at a word, some characters before the first mark. */
static size_t
snippet_begin(const struct snippet *s)
{
	size_t first = 0, from;

	while (!s->marked[first])
		first++;
	from = first > BEFORE_MAX ? first - BEFORE_MAX : 0;
	if (from > 0)
		for (size_t i = from; i < first; i++)
			if (term_is_blank(s->text.p[s->chars[i].at]))
				return i + 1;
	return from;
}

static void
snippet_write(struct buf *out, const struct snippet *s, size_t from, size_t most)
{
	size_t began = out->n;
	bool open = false;

	for (size_t i = from; i < s->n; i++) {
		struct slice c = snippet_html(s, i);
		size_t need = c.n + (open || s->marked[i] ? sizeof(MARK_END) - 1 : 0) +
		    (!open && s->marked[i] ? sizeof(MARK) - 1 : 0);

		if (most > 0 && out->n - began + need > most)
			break;
		if (open != s->marked[i])
			buf_str(out, open ? MARK_END : MARK);
		open = s->marked[i];
		buf_slice(out, c);
	}
	if (open)
		buf_lit(out, MARK_END);
}

bool
jmap_snippet_mark(struct buf *out, struct slice text, const struct jmap_terms *t, size_t most)
{
	struct snippet s;
	bool any = false;

	if (text.n == 0 || text.n > UINT32_MAX / 32)
		return false;
	snippet_init(&s, text);
	for (size_t i = 0; i < t->n; i++)
		any = snippet_find(&s, t->term[i]) || any;
	if (any)
		snippet_write(out, &s, most > 0 ? snippet_begin(&s) : 0, most);
	snippet_fini(&s);
	return any;
}

static void
snippet_json(struct buf *out, struct slice text, const struct jmap_terms *t, size_t most, bool *any)
{
	struct buf marked = { 0 };

	*any = jmap_snippet_mark(&marked, text, t, most);
	if (*any)
		json_str(out, buf_get(&marked));
	buf_fini(&marked);
}

void
jmap_snippet_subject(struct buf *out, struct slice subject, const struct jmap_terms *t)
{
	bool any;

	snippet_json(out, subject, t, 0, &any);
	if (!any)
		buf_lit(out, "null");
}

bool
jmap_snippet_body_next(struct jmap_snippet_body *b, struct buf *out)
{
	const struct jmap_parts *all = &b->structure->all;
	struct buf text = { 0 };
	bool any = false;

	while (b->at < all->n && !jmap_part_is_text(all->p[b->at]))
		b->at++;
	if (b->at == all->n || b->texts == JMAP_SNIPPET_PARTS || b->terms->n == 0) {
		buf_lit(out, "null");
		return false;
	}
	preview_part_write(b->structure->mime, all->p[b->at]->mime, JMAP_SNIPPET_TEXT, &text);
	snippet_json(out, buf_get(&text), b->terms, JMAP_SNIPPET_MAX, &any);
	buf_fini(&text);
	b->at++;
	b->texts++;
	return !any;
}
