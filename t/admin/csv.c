/* Tables of text: rows, cells, quotes, and what is none. */
#include "admin/csv.h"
#include "../tap.h"

static const char *
row(struct admin_csv *c)
{
	static struct buf b;
	const char *why = "";
	int e = admin_csv_next(c, &why);

	buf_clear(&b);
	if (e <= 0)
		return e < 0 ? why : "end";
	buf_printf(&b, "%u:", c->line);
	for (size_t i = 0; i < c->n; i++)
		buf_printf(&b, "[" SFMT "]", SARG(c->cells[i]));
	return buf_cstr(&b);
}

static void
table(const char *text, const char *one, const char *two, const char *three)
{
	struct admin_csv c;

	admin_csv_init(&c, slice_str(text));
	is(row(&c), one, "the first row");
	if (two)
		is(row(&c), two, "second");
	if (three)
		is(row(&c), three, "third");
	admin_csv_fini(&c);
}

int
main(void)
{
	static const char *const cells[] = { "", "plain", "a,b", "say \"x\"", "two\nlines",
		" blank ", "semi;colon", "\"" };
	struct buf b = { 0 };
	struct admin_csv c;
	const char *why;

	table("a,b\r\nc,\r\n", "1:[a][b]", "2:[c][]", "end");
	table("a;b\nc,d;e", "1:[a][b]", "2:[c,d][e]", "end");
	table("\xef\xbb\xbf"
	      "a\n\n\nb",
	    "1:[a]", "4:[b]", "end");
	table("\"a\nb\",\"c\"\"d\"\ne", "1:[a\nb][c\"d]", "3:[e]", "end");
	table("", "end", NULL, NULL);
	table("a\n\"b", "1:[a]", "a quote is opened and not closed", NULL);
	table("\"a\"b", "text stands behind a closing quote", NULL, NULL);
	for (size_t i = 0; i < 300; i++)
		buf_lit(&b, ",");
	table(buf_cstr(&b), "a row has too many cells", NULL, NULL);
	buf_clear(&b);
	for (size_t i = 0; i < NELEM(cells); i++)
		admin_csv_cell(&b, slice_str(cells[i]), i == 0);
	buf_lit(&b, "\n");
	admin_csv_init(&c, buf_get(&b));
	eq(admin_csv_next(&c, &why), 1, "what is written is a row");
	eq(c.n, NELEM(cells), "with all cells");
	for (size_t i = 0; i < NELEM(cells) && i < c.n; i++)
		ok(slice_eq(c.cells[i], slice_str(cells[i])), "cell %zu is as it was", i);
	admin_csv_fini(&c);
	buf_fini(&b);
	return done();
}
