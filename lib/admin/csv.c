/* csv.c: see csv.h.
 *
 * Called by diradm's import and export.  Owns the cells that had quotes.  A row that is none is told with its
 * line; what stands behind it cannot be trusted to be rows.  Must stay true: what admin_csv_cell has written is
 * read back as it was. */
#include <errno.h>

#include "admin/csv.h"

void
admin_csv_init(struct admin_csv *c, struct slice text)
{
	struct slice first;

	*c = (struct admin_csv){ .next = 1 };
	if (slice_starts(text, S("\xef\xbb\xbf")))
		text = slice_from(text, 3);
	c->rest = text;
	first = slice_sub(text, 0, slice_find(text, '\n'));
	c->comma =
	    slice_find(first, ',') == first.n && slice_find(first, ';') < first.n ? ';' : ',';
}

void
admin_csv_fini(struct admin_csv *c)
{
	arena_reset(&c->memory);
}

/* Behind the opening quote: up to the closing one. */
static int
csv_quoted(struct admin_csv *c, struct slice *cell, const char **why)
{
	size_t at = 0, n = 0;
	char *out;

	for (;; at++) {
		if (at == c->rest.n) {
			*why = "a quote is opened and not closed";
			return -EBADMSG;
		}
		if (c->rest.p[at] == '"' && (at + 1 == c->rest.n || c->rest.p[at + 1] != '"'))
			break;
		at += c->rest.p[at] == '"';
	}
	out = arena_new(&c->memory, at + 1);
	for (size_t i = 0; i < at; i++) {
		c->next += c->rest.p[i] == '\n';
		out[n++] = c->rest.p[i];
		i += c->rest.p[i] == '"';
	}
	*cell = slice(out, n);
	c->rest = slice_from(c->rest, at + 1);
	if (c->rest.n && c->rest.p[0] != c->comma && c->rest.p[0] != '\n' && c->rest.p[0] != '\r') {
		*why = "text stands behind a closing quote";
		return -EBADMSG;
	}
	return 0;
}

static int
csv_cell(struct admin_csv *c, const char **why)
{
	struct slice *cell;
	size_t at = 0;

	if (c->n == ADMIN_CSV_CELLS) {
		*why = "a row has too many cells";
		return -EBADMSG;
	}
	cell = &c->cells[c->n++];
	if (c->rest.n && c->rest.p[0] == '"') {
		c->rest = slice_from(c->rest, 1);
		return csv_quoted(c, cell, why);
	}
	while (at < c->rest.n && c->rest.p[at] != c->comma && c->rest.p[at] != '\n')
		at++;
	*cell = slice_sub(c->rest, 0, at);
	c->rest = slice_from(c->rest, at);
	if (cell->n && cell->p[cell->n - 1] == '\r')
		cell->n--;
	return 0;
}

int
admin_csv_next(struct admin_csv *c, const char **why)
{
	while (c->rest.n && (c->rest.p[0] == '\n' || c->rest.p[0] == '\r')) {
		c->next += c->rest.p[0] == '\n';
		c->rest = slice_from(c->rest, 1);
	}
	if (!c->rest.n)
		return 0;
	arena_reset(&c->memory);
	c->n = 0;
	c->line = c->next;
	for (;;) {
		int e = csv_cell(c, why);

		if (e < 0)
			return e;
		if (!c->rest.n || c->rest.p[0] != c->comma)
			break;
		c->rest = slice_from(c->rest, 1);
	}
	c->rest = slice_from(c->rest, c->rest.n && c->rest.p[0] == '\r');
	if (c->rest.n) {
		c->next++;
		c->rest = slice_from(c->rest, 1);
	}
	return 1;
}

void
admin_csv_cell(struct buf *b, struct slice s, bool first)
{
	bool quotes = s.n && (s.p[0] == ' ' || s.p[s.n - 1] == ' ');

	for (size_t i = 0; i < s.n && !quotes; i++)
		quotes = s.p[i] == ',' || s.p[i] == ';' || s.p[i] == '"' || s.p[i] == '\n' ||
		    s.p[i] == '\r';
	if (!first)
		buf_char(b, ',');
	if (!quotes) {
		buf_slice(b, s);
		return;
	}
	buf_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			buf_char(b, '"');
		buf_char(b, s.p[i]);
	}
	buf_char(b, '"');
}
