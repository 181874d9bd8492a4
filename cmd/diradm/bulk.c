/* Many at once: `import` makes, or changes, what the rows of a table say; `export` writes such a table.
 *
 * Called by main.c in its fiber, with the call that all rows share.  Owns the file's text.  A row that fails is
 * told and the next one goes on; only a file that is no table ends the work.  Must stay true: each row is one verb
 * of the table of verbs, so that roles, checks and the audit log hold for it; a row whose user is there already is
 * left alone, so that a work which has stopped goes on when it is begun again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "admin/csv.h"
#include "base/mem.h"
#include "base/secret.h"
#include "directory/ldif.h"
#include "diradm.h"

#define BULK_MOST (256 * 1024 * 1024) /* octets of a file */

/* A table: its columns, and the work. */
struct table {
	struct admin_csv csv;
	char *columns[ADMIN_CSV_CELLS];
	size_t ncolumns;
};

/* ---- a report --------------------------------------------------------------------------------------------- */

static const char *
bulk_line(const struct bulk *b)
{
	static char line[16];

	snprintf(line, sizeof(line), "%u", b->line);
	return line;
}

static void
bulk_say(struct bulk *b, const char *result, const char *text)
{
	const char *line = bulk_line(b);
	const struct admin_pair pairs[] = {
		{ .name = "line", .value = slice_str(line), .number = true },
		{ .name = "name", .value = slice_str(b->name) },
		{ .name = "result", .value = slice_str(result) },
		{ .name = "text", .value = slice_str(text) },
	};
	const struct admin_record r = { "row", pairs, *text ? 4 : 3 };

	diradm_print(NULL, &r);
	fflush(stdout);
}

void
diradm_bulk_fail(struct bulk *b, const char *text)
{
	b->failed++;
	bulk_say(b, "failed", text);
}

/* ---- a row -------------------------------------------------------------------------------------------------- */

static void
bulk_silent(void *arg, const struct admin_record *r)
{
	struct bulk *b = arg;

	if (strcmp(r->kind, b->object) == 0)
		slice_cstr(admin_record_get(r, b->object), b->name, sizeof(b->name));
}

static bool
bulk_run(struct bulk *b, const char *verb, const struct admin_call *call,
    struct admin_problem *problem)
{
	const struct admin_verb *v = admin_verb_find(slice_str(b->object), slice_str(verb));

	admin_run(b->work.loop, b->work.agent, v, call, problem);
	return problem->status == ADMIN_OK;
}

/* A cell of several values has one a line. */
static bool
bulk_cell(struct bulk *b, const char *column, struct slice cell, size_t *n)
{
	struct slice rest = cell, value;
	bool many = admin_setting_many(b->object, slice_str(column));

	while (many ? slice_cut(&rest, '\n', &value) : rest.n > 0) {
		if (!many) {
			value = rest;
			rest.n = 0;
		}
		if (*n == BULK_SETTINGS)
			return false;
		value = many ? slice_trim(value) : value;
		if (value.n)
			b->settings[(*n)++] =
			    (struct admin_setting){ slice_str(column), value, ADMIN_SET };
	}
	return true;
}

static bool
bulk_settings(struct bulk *b, const struct table *t, struct admin_call *call)
{
	size_t n = 0;

	for (size_t i = 1; i < t->ncolumns && i < t->csv.n; i++) {
		if (strcmp(t->columns[i], "password") == 0)
			call->secret = t->csv.cells[i];
		else if (!bulk_cell(b, t->columns[i], t->csv.cells[i], &n))
			return false;
	}
	call->settings = b->settings;
	call->nsettings = n;
	return true;
}

void
diradm_bulk_one(struct bulk *b, struct slice name, const struct admin_call *call, const char *note)
{
	struct admin_call look = *b->work.call, one = *call;
	struct admin_problem problem;
	bool there;

	slice_cstr(name, b->name, sizeof(b->name));
	look.names = one.names = &name;
	look.nnames = one.nnames = 1;
	look.record = one.record = bulk_silent;
	look.arg = one.arg = b;
	there = bulk_run(b, "show", &look, &problem);
	if (there)
		one.secret = S(""); /* it has one of its own by now */
	slice_cstr(name, b->name, sizeof(b->name));
	if (!there && problem.status != ADMIN_NOT_FOUND) {
		diradm_bulk_fail(b, problem.text);
	} else if (there && !b->work.update) {
		b->there++;
		bulk_say(b, "there", "");
	} else if (!bulk_run(b, there ? "modify" : "create", &one, &problem)) {
		diradm_bulk_fail(b, problem.text);
	} else {
		b->changed += there;
		b->made += !there;
		bulk_say(b, there ? "changed" : "made", note);
	}
}

static void
bulk_row(struct bulk *b, struct table *t)
{
	struct admin_call call = *b->work.call;

	b->line = t->csv.line;
	slice_cstr(t->csv.cells[0], b->name, sizeof(b->name));
	if (t->csv.n > t->ncolumns || !bulk_settings(b, t, &call))
		diradm_bulk_fail(b, "more cells than columns, or too many values");
	else
		diradm_bulk_one(b, t->csv.cells[0], &call, "");
}

/* ---- import -------------------------------------------------------------------------------------------------- */

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
	admin_settings_list(b->object, &known);
	if (!known.n || strcmp(b->object, "provider") == 0)
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

static void
bulk_sum(const struct bulk *b, bool good, struct admin_problem *problem)
{
	if (!b->made && !b->changed && !b->there && !b->failed && !good)
		return;
	fprintf(stderr, "%lu made, %lu changed, %lu there already, %lu failed\n", b->made,
	    b->changed, b->there, b->failed);
	if (!good)
		return;
	*problem =
	    (struct admin_problem){ .status = b->failed ? ADMIN_LIMIT : ADMIN_OK, .code = "" };
	if (b->failed)
		snprintf(problem->text, sizeof(problem->text), "%lu rows have failed", b->failed);
}

void
diradm_import(const struct bulk_work *work, const char *path, struct admin_problem *problem)
{
	struct bulk *b = mem_new(sizeof(*b));
	char *text = NULL;
	size_t n = 0;
	int e = diradm_read(path, BULK_MOST, &text, &n);

	b->work = *work;
	if (e < 0)
		(void)bulk_bad(problem, "file", path, strerror(-e));
	else if (dir_ldif_is(slice(text, n)))
		bulk_sum(b, diradm_import_ldif(b, slice(text, n), problem), problem);
	else
		bulk_sum(b, bulk_rows(b, slice(text, n), problem), problem);
	if (text)
		secret_clear(text, n);
	free(text);
	mem_free(&b);
}

/* ---- export -------------------------------------------------------------------------------------------------- */

struct export
{
	const char *object;
	struct buf columns, line;
};

static void
export_record(void *arg, const struct admin_record *r)
{
	struct export *x = arg;
	struct slice rest = buf_get(&x->columns), column;
	struct buf cell = { 0 };

	if (strcmp(r->kind, x->object) != 0)
		return;
	buf_clear(&x->line);
	admin_csv_cell(&x->line, admin_record_get(r, x->object), true);
	while (slice_word(&rest, &column)) {
		buf_clear(&cell);
		for (size_t i = 0; i < r->n; i++)
			if (slice_eq(column, slice_str(r->pairs[i].name)) &&
			    strcmp(r->pairs[i].name, x->object) != 0) {
				if (cell.n)
					buf_char(&cell, '\n');
				buf_slice(&cell, r->pairs[i].value);
			}
		admin_csv_cell(&x->line, buf_get(&cell), false);
	}
	printf(SFMT "\n", SARG(buf_get(&x->line)));
	buf_fini(&cell);
}

void
diradm_export(const struct bulk_work *work, const char *object, struct slice domain, bool ldif,
    struct admin_problem *problem)
{
	const struct admin_verb *v = admin_verb_find(slice_str(object), S("list"));
	struct admin_call call = *work->call;
	struct export x = { .object = object };
	struct slice rest, column;

	admin_settings_list(object, &x.columns);
	if (ldif)
		printf("version: 1\n");
	else
		printf("%s", object);
	rest = buf_get(&x.columns);
	while (!ldif && slice_word(&rest, &column))
		printf("," SFMT, SARG(column));
	printf("\n");
	call.raw = ldif;
	call.names = &domain;
	call.nnames = domain.n ? 1 : 0;
	call.nsettings = 0;
	call.record = ldif ? diradm_export_record : export_record;
	call.arg = &x;
	admin_run(work->loop, work->agent, v, &call, problem);
	buf_fini(&x.columns);
	buf_fini(&x.line);
}
