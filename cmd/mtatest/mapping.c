/* mapping.c: a probe through a mapping table: see mtatest(1). */
#include <stdio.h>
#include <sysexits.h>
#include "base/json.h"
#include "mta/access.h"
#include "mtatest.h"

static bool
is_access(struct slice table)
{
	return (table.n > 7 && slice_ieq(slice_from(table, table.n - 7), S("_ACCESS"))) ||
	    slice_ieq(table, S("AUTH_REWRITE"));
}

/* What an access table decides, with its arguments. */
static void
action_put(struct slice table, const struct mta_mapped *m)
{
	struct buf *b = &mtatest.out;
	struct mta_access a;
	const char *name;
	struct slice value;

	mta_access_decode(table, m, &a);
	if (mtatest.json) {
		json_key(b, "action");
		buf_char(b, '{');
		json_put_cstr(b, "do", mta_access_name(a.action));
	} else {
		buf_printf(b, "action: %s", mta_access_name(a.action));
	}
	for (size_t i = 0; mta_access_argument(&a, i, &name, &value); i++) {
		if (!value.p)
			continue;
		if (mtatest.json)
			json_put_str(b, name, value);
		else
			buf_printf(b, " %s=" SFMT, name, SARG(value));
	}
	buf_char(b, mtatest.json ? '}' : '\n');
}

static void
mapped_put(struct slice table, enum mta_answer answer, const struct mta_mapped *m)
{
	struct buf *b = &mtatest.out, flags = { 0 };

	mta_flags_write(&flags, &m->flags);
	if (mtatest.json)
		buf_char(b, '{');
	else
		mtatest_steps_put();
	if (answer == MTA_TEMP) {
		if (mtatest.json)
			json_put_cstr(b, "error", m->error);
		else
			buf_printf(b, "error: %s\n", m->error);
	} else if (mtatest.json) {
		json_key(b, "matched");
		buf_str(b, answer == MTA_YES ? "true" : "false");
		json_put_str(b, "result", buf_get(&m->text));
		json_put_str(b, "flags", buf_get(&flags));
	} else {
		buf_printf(b, "%s\nresult: " SFMT "\nflags: " SFMT "\n",
		    answer == MTA_YES ? "matched" : "no match", SARG(buf_get(&m->text)),
		    SARG(buf_get(&flags)));
	}
	if (answer != MTA_TEMP && is_access(table))
		action_put(table, m);
	if (mtatest.json) {
		mtatest_steps_put();
		buf_str(b, "}\n");
	}
	buf_fini(&flags);
}

static int
no_table(void)
{
	if (mtatest.json)
		buf_str(&mtatest.out, "{\"error\":\"no such table\"}\n");
	else
		buf_str(&mtatest.out, "error: no such table\n");
	return EXIT_NO;
}

int
mtatest_mapping(int argc, char **argv)
{
	struct mta_mappings *m = NULL;
	struct mta_flags in = { 0 };
	struct mta_mapped r;
	enum mta_answer a;
	int code;

	if (argc != 2)
		return -1;
	if ((code = mtatest_load_mappings(&m)) != 0 || (code = mtatest_load_general()) != 0) {
		mta_mappings_free(&m);
		return code;
	}
	for (const char *f = mtatest.flags; f && *f; f++)
		mta_flags_add(&in, *f);
	if (!m || !mta_mappings_has(m, slice_str(argv[0]))) {
		mta_mappings_free(&m);
		return no_table();
	}
	a = mta_mappings_ask(m, &mtatest.calls, slice_str(argv[0]), slice_str(argv[1]), &in, &r);
	mapped_put(slice_str(argv[0]), a, &r);
	mta_mapped_fini(&r);
	mta_mappings_free(&m);
	return a == MTA_YES ? 0 : EXIT_NO;
}
