/* bulk.c: rows of a table as settings, and what becomes of a row.
 *
 * Called by cmd/diradm and job-import.c.  Owns the settings of a row while it is read.  Can fail: a file that is no table
 * ends the work, a row that is none is told and the next one goes on.  Must stay true: each row is one verb of the
 * table of verbs, so that roles, checks and the audit log hold for it; a row whose user is there already is left alone,
 * so that a work which has stopped goes on when it is begun again. */
#include <errno.h>
#include <stdio.h>

#include "admin/bulk-impl.h"
#include "admin/csv.h"
#include "base/mem.h"
#include "base/must.h"
#include "directory/ldif.h"

/* A table: its columns, and the work. */
struct table {
	struct admin_csv csv;
	char *columns[ADMIN_CSV_CELLS];
	size_t ncolumns;
};

/* ---- a row -------------------------------------------------------------------------------------------------- */

void
admin_bulk_bad_row(struct bulk *b, struct slice name, const char *why)
{
	const struct admin_row row = { .line = b->line,
		.object = b->object,
		.name = name,
		.note = "",
		.why = why };

	b->fn(b->arg, &row);
}

/* A cell of several values has one a line. */
static bool
bulk_cell(struct bulk *b, const char *column, struct slice cell)
{
	struct slice rest = cell, value;
	bool many = admin_setting_many(b->object, slice_str(column));

	while (many ? slice_cut(&rest, '\n', &value) : rest.n > 0) {
		if (!many) {
			value = rest;
			rest.n = 0;
		}
		if (b->n == ADMIN_BULK_SETTINGS)
			return false;
		value = many ? slice_trim(value) : value;
		if (value.n)
			b->settings[b->n++] =
			    (struct admin_setting){ slice_str(column), value, ADMIN_SET };
	}
	return true;
}

static void
bulk_row(struct bulk *b, struct table *t)
{
	struct admin_row row = { .line = t->csv.line,
		.object = b->object,
		.name = t->csv.cells[0],
		.settings = b->settings,
		.note = "" };
	bool good = t->csv.n <= t->ncolumns;

	b->line = t->csv.line;
	b->n = 0;
	for (size_t i = 1; good && i < t->csv.n; i++) {
		if (strcmp(t->columns[i], "password") == 0)
			row.secret = t->csv.cells[i];
		else
			good = bulk_cell(b, t->columns[i], t->csv.cells[i]);
	}
	row.n = b->n;
	if (good)
		b->fn(b->arg, &row);
	else
		admin_bulk_bad_row(b, row.name, "more cells than columns, or too many values");
}

/* ---- a table ------------------------------------------------------------------------------------------------ */

static bool
bulk_bad(struct admin_problem *problem, const char *code, const char *what, const char *why)
{
	*problem = (struct admin_problem){ .status = ADMIN_BAD, .code = code };
	snprintf(problem->text, sizeof(problem->text), "%s: %s", what, why);
	return false;
}

static bool
bulk_head(struct bulk *b, struct table *t, struct admin_problem *problem)
{
	struct buf known = { 0 };
	char why[128];
	bool good = true;

	for (size_t i = 0; i < t->csv.n; i++)
		t->columns[t->ncolumns++] = mem_strn(t->csv.cells[i].p, t->csv.cells[i].n);
	b->object = t->columns[0];
	if (strcmp(b->object, "user") == 0 || strcmp(b->object, "group") == 0 ||
	    strcmp(b->object, "org") == 0)
		admin_settings_list(b->object, &known);
	if (!known.n)
		good = bulk_bad(problem, "column", b->object,
		    "the first column is user, group or org");
	for (size_t i = 1; good && i < t->ncolumns; i++) {
		struct slice rest = buf_get(&known), word;
		bool found = strcmp(t->columns[i], "password") == 0;

		while (!found && slice_word(&rest, &word))
			found = slice_eq(word, slice_str(t->columns[i]));
		snprintf(why, sizeof(why), "there is no such setting of a %s", b->object);
		good = found || bulk_bad(problem, "column", t->columns[i], why);
	}
	buf_fini(&known);
	return good;
}

/* False: the file is no table. */
static bool
bulk_table(struct bulk *b, struct table *t, struct admin_problem *problem)
{
	const char *why = "it is empty";
	int e = admin_csv_next(&t->csv, &why);
	char where[32];

	if (e > 0 && !bulk_head(b, t, problem))
		return false;
	while (e > 0 && (e = admin_csv_next(&t->csv, &why)) > 0)
		bulk_row(b, t);
	snprintf(where, sizeof(where), "line %u", t->csv.next);
	return (e == 0 && t->ncolumns) || bulk_bad(problem, "table", where, why);
}

static bool
bulk_rows(struct bulk *b, struct slice text, struct admin_problem *problem)
{
	struct table *t = mem_new(sizeof(*t));
	bool good;

	admin_csv_init(&t->csv, text);
	good = bulk_table(b, t, problem);
	admin_csv_fini(&t->csv);
	for (size_t i = 0; i < t->ncolumns; i++)
		mem_free(&t->columns[i]);
	mem_free(&t);
	return good;
}

bool
admin_bulk_read(struct slice text, admin_row_fn fn, void *arg, struct admin_problem *problem)
{
	struct bulk *b = mem_new(sizeof(*b));
	bool good;

	*problem = (struct admin_problem){ .status = ADMIN_OK, .code = "" };
	b->fn = fn;
	b->arg = arg;
	if (dir_ldif_is(text)) {
		admin_bulk_ldif(b, text);
		good = true;
	} else {
		good = bulk_rows(b, text, problem);
	}
	mem_free(&b);
	return good;
}

/* ---- doing one ---------------------------------------------------------------------------------------------- */

static void
put_silent(void *arg UNUSED, const struct admin_record *r UNUSED)
{
}

static bool
put_run(struct loop *l, struct dir_agent *agent, const struct admin_row *row, const char *verb,
    const struct admin_call *call, struct admin_problem *problem)
{
	const struct admin_verb *v = admin_verb_find(slice_str(row->object), slice_str(verb));

	must(v);
	admin_run(l, agent, v, call, problem);
	return problem->status == ADMIN_OK;
}

enum admin_put
admin_bulk_put(struct loop *l, struct dir_agent *agent, const struct admin_call *call,
    const struct admin_row *row, bool update, struct admin_problem *problem)
{
	struct admin_call look = *call, one = *call;
	bool there;

	look.names = one.names = &row->name;
	look.nnames = one.nnames = 1;
	look.record = one.record = put_silent;
	look.settings = NULL;
	look.nsettings = 0;
	look.secret = S("");
	one.settings = row->settings;
	one.nsettings = row->n;
	one.secret = row->secret;
	there = put_run(l, agent, row, "show", &look, problem);
	if (there)
		one.secret = S(""); /* it has one of its own by now */
	if (!there && problem->status != ADMIN_NOT_FOUND)
		return ADMIN_PUT_FAILED;
	if (there && !update)
		return ADMIN_PUT_THERE;
	if (!put_run(l, agent, row, there ? "modify" : "create", &one, problem))
		return ADMIN_PUT_FAILED;
	return there ? ADMIN_PUT_CHANGED : ADMIN_PUT_MADE;
}

const char *
admin_put_word(enum admin_put p)
{
	static const char *const words[] = { [ADMIN_PUT_FAILED] = "failed",
		[ADMIN_PUT_MADE] = "made",
		[ADMIN_PUT_CHANGED] = "changed",
		[ADMIN_PUT_THERE] = "there" };

	return words[p];
}
