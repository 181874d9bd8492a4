/* Many at once: `import` makes, or changes, what the rows of a file say; `export` writes such a file.
 *
 * Called by main.c in its fiber, with the call that all rows share.  Owns the file's text.  A row that fails is
 * told and the next one goes on; only a file that is no table ends the work.  Must stay true: a report has a line for
 * each row, as it is done (admin/bulk.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/bulk.h"
#include "admin/csv.h"
#include "base/secret.h"
#include "directory/ldif.h"
#include "diradm.h"

#define BULK_MOST (256 * 1024 * 1024) /* octets of a file */

struct bulk {
	const struct bulk_work *work;
	unsigned long tally[ADMIN_PUT_THERE + 1];
};

/* ---- import ------------------------------------------------------------------------------------------------- */

static void
bulk_say(const struct admin_row *row, const char *result, const char *text)
{
	char line[16];

	snprintf(line, sizeof(line), "%u", row->line);
	const struct admin_pair pairs[] = {
		{ .name = "line", .value = slice_str(line), .number = true },
		{ .name = "name", .value = row->name },
		{ .name = "result", .value = slice_str(result) },
		{ .name = "text", .value = slice_str(text) },
	};
	const struct admin_record r = { "row", pairs, *text ? 4 : 3 };

	diradm_print(NULL, &r);
	fflush(stdout);
}

static void
import_row(void *arg, const struct admin_row *row)
{
	struct bulk *b = arg;
	struct admin_problem problem;
	enum admin_put put = ADMIN_PUT_FAILED;

	if (!row->why)
		put = admin_bulk_put(b->work->loop, b->work->agent, b->work->call, row,
		    b->work->update, &problem);
	b->tally[put]++;
	bulk_say(row, admin_put_word(put),
	    row->why                    ? row->why :
		put == ADMIN_PUT_FAILED ? problem.text :
		put == ADMIN_PUT_THERE  ? "" :
					  row->note);
}

static void
bulk_sum(const struct bulk *b, bool good, struct admin_problem *problem)
{
	const unsigned long *n = b->tally;

	if (!n[ADMIN_PUT_MADE] && !n[ADMIN_PUT_CHANGED] && !n[ADMIN_PUT_THERE] &&
	    !n[ADMIN_PUT_FAILED] && !good)
		return;
	fprintf(stderr, "%lu made, %lu changed, %lu there already, %lu failed\n", n[ADMIN_PUT_MADE],
	    n[ADMIN_PUT_CHANGED], n[ADMIN_PUT_THERE], n[ADMIN_PUT_FAILED]);
	if (!good)
		return;
	*problem = (struct admin_problem){ .status = n[ADMIN_PUT_FAILED] ? ADMIN_LIMIT : ADMIN_OK,
		.code = "" };
	if (n[ADMIN_PUT_FAILED])
		snprintf(problem->text, sizeof(problem->text), "%lu rows have failed",
		    n[ADMIN_PUT_FAILED]);
}

void
diradm_import(const struct bulk_work *work, const char *path, struct admin_problem *problem)
{
	struct bulk b = { .work = work };
	char *text = NULL;
	size_t n = 0;
	int e = diradm_read(path, BULK_MOST, &text, &n);

	if (e < 0) {
		*problem = (struct admin_problem){ .status = ADMIN_BAD, .code = "file" };
		snprintf(problem->text, sizeof(problem->text), "%s: %s", path, strerror(-e));
	} else {
		bulk_sum(&b, admin_bulk_read(slice(text, n), import_row, &b, problem), problem);
	}
	if (text)
		secret_clear(text, n);
	free(text);
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

static void
export_ldif(void *arg UNUSED, const struct admin_record *r)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < r->n; i++)
		dir_ldif_write(&b, r->pairs[i].name, r->pairs[i].value);
	printf(SFMT "\n", SARG(buf_get(&b)));
	buf_fini(&b);
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
	call.record = ldif ? export_ldif : export_record;
	call.arg = &x;
	admin_run(work->loop, work->agent, v, &call, problem);
	buf_fini(&x.columns);
	buf_fini(&x.line);
}
