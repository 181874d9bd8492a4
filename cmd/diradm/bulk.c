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
#include "diradm.h"

#define BULK_MOST     (256 * 1024 * 1024) /* octets of a file */
#define BULK_SETTINGS 2000                /* of a row */

struct bulk {
	struct bulk_work work;
	struct admin_csv csv;
	char *object; /* "user": of the first column */
	char *columns[ADMIN_CSV_CELLS];
	size_t ncolumns;
	struct admin_setting settings[BULK_SETTINGS];
	struct slice found; /* of the row's entry, as it is named */
	char name[512];
	unsigned long made, changed, there, failed;
};

/* ---- a report --------------------------------------------------------------------------------------------- */

static const char *
bulk_line(const struct bulk *b)
{
	static char line[16];

	snprintf(line, sizeof(line), "%u", b->csv.line);
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

static void
bulk_fail(struct bulk *b, const char *text)
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
bulk_settings(struct bulk *b, struct admin_call *call)
{
	size_t n = 0;

	for (size_t i = 1; i < b->ncolumns && i < b->csv.n; i++) {
		if (strcmp(b->columns[i], "password") == 0)
			call->secret = b->csv.cells[i];
		else if (!bulk_cell(b, b->columns[i], b->csv.cells[i], &n))
			return false;
	}
	call->settings = b->settings;
	call->nsettings = n;
	return true;
}

static void
bulk_row(struct bulk *b)
{
	struct slice name = b->csv.cells[0];
	struct admin_call call = *b->work.call, look = call;
	struct admin_problem problem;
	bool there;

	slice_cstr(name, b->name, sizeof(b->name));
	look.secret = S("");
	look.names = call.names = &name;
	look.nnames = call.nnames = 1;
	look.record = call.record = bulk_silent;
	look.arg = call.arg = b;
	if (b->csv.n > b->ncolumns || !bulk_settings(b, &call)) {
		bulk_fail(b, "more cells than columns, or too many values");
		return;
	}
	there = bulk_run(b, "show", &look, &problem);
	if (there)
		call.secret = S(""); /* it has one of its own by now */
	slice_cstr(name, b->name, sizeof(b->name));
	if (!there && problem.status != ADMIN_NOT_FOUND) {
		bulk_fail(b, problem.text);
	} else if (there && !b->work.update) {
		b->there++;
		bulk_say(b, "there", "");
	} else if (!bulk_run(b, there ? "modify" : "create", &call, &problem)) {
		bulk_fail(b, problem.text);
	} else {
		b->changed += there;
		b->made += !there;
		bulk_say(b, there ? "changed" : "made", "");
	}
}

/* ---- import -------------------------------------------------------------------------------------------------- */

static bool
bulk_head(struct bulk *b, struct admin_problem *problem)
{
	struct buf known = { 0 };
	bool good = true;

	for (size_t i = 0; i < b->csv.n; i++)
		b->columns[b->ncolumns++] = mem_strn(b->csv.cells[i].p, b->csv.cells[i].n);
	b->object = b->columns[0];
	admin_settings_list(b->object, &known);
	if (!known.n || strcmp(b->object, "provider") == 0) {
		*problem = (struct admin_problem){ .status = ADMIN_BAD, .code = "column" };
		snprintf(problem->text, sizeof(problem->text),
		    "%s: the first column is user, group or org", b->object);
		good = false;
	}
	for (size_t i = 1; good && i < b->ncolumns; i++) {
		struct slice rest = buf_get(&known), word;
		bool found = strcmp(b->columns[i], "password") == 0;

		while (!found && slice_word(&rest, &word))
			found = slice_eq(word, slice_str(b->columns[i]));
		if (found)
			continue;
		*problem = (struct admin_problem){ .status = ADMIN_BAD, .code = "column" };
		snprintf(problem->text, sizeof(problem->text),
		    "%s: there is no such setting of a %s", b->columns[i], b->object);
		good = false;
	}
	buf_fini(&known);
	return good;
}

static void
bulk_rows(struct bulk *b, struct admin_problem *problem)
{
	const char *why = "it is empty";
	int e = admin_csv_next(&b->csv, &why);

	if (e > 0 && !bulk_head(b, problem))
		return;
	while (e > 0 && (e = admin_csv_next(&b->csv, &why)) > 0)
		bulk_row(b);
	fprintf(stderr, "%lu made, %lu changed, %lu there already, %lu failed\n", b->made,
	    b->changed, b->there, b->failed);
	*problem =
	    (struct admin_problem){ .status = b->failed ? ADMIN_LIMIT : ADMIN_OK, .code = "" };
	if (b->failed)
		snprintf(problem->text, sizeof(problem->text), "%lu rows have failed", b->failed);
	if (e < 0 || !b->ncolumns) {
		problem->status = ADMIN_BAD;
		snprintf(problem->text, sizeof(problem->text), "line %u: %s", b->csv.next, why);
	}
}

void
diradm_import(const struct bulk_work *work, const char *path, struct admin_problem *problem)
{
	struct bulk *b = mem_new(sizeof(*b));
	char *text = NULL;
	size_t n = 0;
	int e = diradm_read(path, BULK_MOST, &text, &n);

	b->work = *work;
	if (e < 0) {
		*problem = (struct admin_problem){ .status = ADMIN_BAD, .code = "file" };
		snprintf(problem->text, sizeof(problem->text), "%s: %s", path, strerror(-e));
	} else {
		admin_csv_init(&b->csv, slice(text, n));
		bulk_rows(b, problem);
		admin_csv_fini(&b->csv);
	}
	if (text)
		secret_clear(text, n);
	free(text);
	for (size_t i = 0; i < b->ncolumns; i++)
		mem_free(&b->columns[i]);
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
diradm_export(const struct bulk_work *work, const char *object, struct slice domain,
    struct admin_problem *problem)
{
	const struct admin_verb *v = admin_verb_find(slice_str(object), S("list"));
	struct admin_call call = *work->call;
	struct export x = { .object = object };
	struct slice rest, column;

	admin_settings_list(object, &x.columns);
	printf("%s", object);
	rest = buf_get(&x.columns);
	while (slice_word(&rest, &column))
		printf("," SFMT, SARG(column));
	printf("\n");
	call.names = &domain;
	call.nnames = domain.n ? 1 : 0;
	call.nsettings = 0;
	call.record = export_record;
	call.arg = &x;
	admin_run(work->loop, work->agent, v, &call, problem);
	buf_fini(&x.columns);
	buf_fini(&x.line);
}
