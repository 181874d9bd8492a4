/* mapping.c: the file of tables into compiled tables: see mapping.h.
 *
 * Called at start, at each reload and by the tools.  A table is its name in the first column, a blank
 * line, indented entries and a blank line; an entry is a pattern, white space and a template, and blanks
 * within them are quoted with `$`.  What fails is told with file and line, all of it in one run, and
 * there are no tables then.  Must stay true: nothing of a compiled set is changed after it was handed
 * out, as several threads may ask it. */
#include <errno.h>
#include "base/mem.h"
#include "mta/mapping-impl.h"

struct loader {
	struct mta_mappings *m;
	struct mta_notes *notes;
	struct mta_map_table *table;
	struct buf entries; /* of the table: struct mta_map_entry */
	bool bad;           /* entries belong to a table that was refused */
};

static struct slice
upper(struct arena *a, struct slice name)
{
	char *p = arena_cstr(a, name);

	for (size_t i = 0; i < name.n; i++)
		p[i] = ascii_upper(p[i]);
	return slice(p, name.n);
}

/* The entries that have been gathered become the table's. */
static void
table_end(struct loader *l)
{
	struct mta_map_table *t = l->table;
	struct mta_glob_key *keys;

	l->table = NULL;
	if (!t)
		return;
	t->n = (uint32_t)(l->entries.n / sizeof(*t->entries));
	t->entries = arena_array(&l->m->arena, t->n ? t->n : 1, sizeof(*t->entries));
	if (t->n)
		memcpy(t->entries, l->entries.p, l->entries.n);
	buf_clear(&l->entries);
	keys = mem_array(t->n ? t->n : 1, sizeof(*keys));
	for (uint32_t i = 0; i < t->n; i++)
		keys[i] = mta_glob_key(t->entries[i].glob);
	mta_index_build(&t->index, &l->m->arena, keys, t->n);
	mem_free(&keys);
}

static void
table_begin(struct loader *l, const struct mta_line *at)
{
	struct mta_mappings *m = l->m;
	struct slice name = upper(&m->arena, at->text);
	struct mta_map_table *t;

	table_end(l);
	l->bad = true;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == ' ' || name.p[i] == '\t') {
			mta_error(l->notes, at,
			    "expected the name of a table alone on its line (entries are "
			    "indented)");
			return;
		}
	if (ascii_lower(name.p[0]) < 'a' || ascii_lower(name.p[0]) > 'z') {
		mta_error(l->notes, at, "the name of a table begins with a letter");
		return;
	}
	if (map_get(&m->tables, name)) {
		mta_error(l->notes, at, "there is a table " SFMT " already", SARG(name));
		return;
	}
	t = arena_new(&m->arena, sizeof(*t));
	t->name = arena_cstr(&m->arena, at->text);
	(void)map_put(&m->tables, name, t);
	m->list = mem_grow(m->list, m->n + 1, sizeof(*m->list));
	m->list[m->n++] = t;
	l->table = t;
	l->bad = false;
}

/* Takes a column off: what stands before an unquoted blank. */
static struct slice
column(struct slice *rest)
{
	struct slice s;
	size_t n = 0;

	while (rest->n && (rest->p[0] == ' ' || rest->p[0] == '\t'))
		*rest = slice_from(*rest, 1);
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
		n += rest->p[n] == '$' && n + 1 < rest->n ? 2 : 1;
	s = slice_sub(*rest, 0, n);
	*rest = slice_from(*rest, n);
	return s;
}

static bool
field_missing(const struct mta_map_op *ops, size_t n, unsigned fields)
{
	for (size_t i = 0; i < n; i++)
		if ((ops[i].code == MTA_MAP_FIELD && (unsigned)ops[i].c >= fields) ||
		    field_missing(ops[i].inner, ops[i].ninner, fields))
			return true;
	return false;
}

static void
entry_add(struct loader *l, const struct mta_line *at)
{
	struct slice rest = at->text, pattern = column(&rest), template = column(&rest);
	struct mta_map_entry e = { .file = at->file, .line = at->line, .pattern = pattern };
	const char *why;

	if (slice_trim(rest).n) {
		mta_error(l->notes, at,
		    "expected the end of the line behind the template, not `" SFMT
		    "': quote blanks with `$'",
		    SARG(slice_trim(rest)));
		return;
	}
	if (mta_glob_compile(&l->m->arena, pattern, &e.glob, &why) < 0) {
		mta_error(l->notes, at, "pattern `" SFMT "': %s", SARG(pattern), why);
		return;
	}
	if (mta_map_template(&l->m->arena, template, &e.ops, &e.nops, &why) < 0) {
		mta_error(l->notes, at, "template `" SFMT "': %s", SARG(template), why);
		return;
	}
	if (field_missing(e.ops, e.nops, mta_glob_fields(e.glob)))
		mta_warn(l->notes, at,
		    "the template has the number of a wildcard that is not in `" SFMT
		    "': nothing is put there",
		    SARG(pattern));
	buf_add(&l->entries, &e, sizeof(e));
}

/* A table that is called and is not there: the call always fails. */
static void
calls_check(struct loader *l, const struct mta_map_entry *e, const struct mta_map_op *ops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (ops[i].code == MTA_MAP_TABLE && !mta_mappings_has(l->m, ops[i].text)) {
			struct mta_line at = { .file = e->file, .line = e->line };

			mta_warn(l->notes, &at, "there is no table " SFMT ": the call fails",
			    SARG(ops[i].text));
		}
		calls_check(l, e, ops[i].inner, ops[i].ninner);
	}
}

static void
load_lines(struct loader *l)
{
	bool named = false; /* the line before was a table's name */

	for (size_t i = 0; i < l->m->text.n; i++) {
		const struct mta_line *at = &l->m->text.lines[i];

		if (at->text.n == 0) {
			if (!named)
				table_end(l);
			named = false;
		} else if (at->text.p[0] != ' ' && at->text.p[0] != '\t') {
			table_begin(l, at);
			named = true;
		} else {
			if (named && !l->bad)
				mta_error(l->notes, at,
				    "expected a blank line behind the name of a table");
			named = false;
			if (l->table)
				entry_add(l, at);
			else if (!l->bad)
				mta_error(l->notes, at,
				    "an entry without a table: a blank line ended the one before");
		}
	}
	table_end(l);
}

struct mta_mappings *
mta_mappings_compile(const char *path, mta_read_fn *read, void *arg, struct mta_notes *notes)
{
	struct mta_mappings *m = mem_new(sizeof(*m));
	struct loader l = { .m = m, .notes = notes };
	unsigned before = notes->nerrors;

	mta_text_load(&m->text, path, read, arg, notes);
	load_lines(&l);
	for (size_t i = 0; i < m->n; i++)
		for (uint32_t k = 0; k < m->list[i]->n; k++)
			calls_check(&l, &m->list[i]->entries[k], m->list[i]->entries[k].ops,
			    m->list[i]->entries[k].nops);
	buf_fini(&l.entries);
	if (notes->nerrors != before)
		mta_mappings_free(&m);
	return m;
}

void
mta_mappings_free(struct mta_mappings **mp)
{
	struct mta_mappings *m = *mp;

	if (!m)
		return;
	map_fini(&m->tables);
	mem_release(m->list);
	mta_text_fini(&m->text);
	arena_reset(&m->arena);
	mem_free(mp);
}

bool
mta_mappings_has(const struct mta_mappings *m, struct slice table)
{
	struct arena a = { 0 };
	bool has = map_get(&m->tables, upper(&a, table));

	arena_reset(&a);
	return has;
}

const char *
mta_mappings_name(const struct mta_mappings *m, size_t i, size_t *entries)
{
	if (i >= m->n)
		return NULL;
	*entries = m->list[i]->n;
	return m->list[i]->name;
}

/* ---- flags ------------------------------------------------------------------------------- */

void
mta_flags_add(struct mta_flags *f, char flag)
{
	unsigned c = (unsigned char)ascii_upper(flag) & 127;

	f->set[c / 32] |= 1u << c % 32;
}

bool
mta_flags_has(const struct mta_flags *f, char flag)
{
	unsigned c = (unsigned char)ascii_upper(flag) & 127;

	return f->set[c / 32] >> c % 32 & 1;
}

void
mta_flags_write(struct buf *b, const struct mta_flags *f)
{
	for (int c = '!'; c < 127; c++)
		if (f->set[c / 32] >> c % 32 & 1)
			buf_char(b, (char)c);
}
