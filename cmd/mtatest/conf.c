/* conf.c: the files checked, and printed as they were understood: see mtatest(1). */
#include <stdio.h>
#include <sysexits.h>
#include "base/json.h"
#include "mtatest.h"

static const char *const types[] = { [MTA_KW_SET] = "word",
	[MTA_KW_PAIR] = "word",
	[MTA_KW_TEXT] = "text",
	[MTA_KW_COUNT] = "number",
	[MTA_KW_TIMES] = "times",
	[MTA_KW_DAYS] = "ages",
	[MTA_KW_UNSET] = "word",
	[MTA_KW_ALWAYS] = "always",
	[MTA_KW_NONE] = "none" };

/* The table of keywords; `none` are those without effect. */
static int
keywords_put(void)
{
	struct buf *b = &mtatest.out;

	for (size_t i = 0; i < mta_nkeywords; i++) {
		const struct mta_keyword *k = &mta_keywords[i];

		if (!mtatest.json) {
			buf_printf(b, "%s\t%s\t%s\n", k->name, types[k->type], k->doc);
			continue;
		}
		buf_char(b, '{');
		json_put_cstr(b, "name", k->name);
		json_put_cstr(b, "type", types[k->type]);
		json_put_cstr(b, "doc", k->doc);
		buf_str(b, "}\n");
	}
	return 0;
}

static void
tables_put(const struct mta_mappings *m)
{
	const char *name;
	size_t n;

	for (size_t i = 0; (name = mta_mappings_name(m, i, &n)); i++)
		buf_printf(&mtatest.out, "! mapping table %s: %zu entries\n", name, n);
}

int
mtatest_conf(int argc, char **argv)
{
	const struct mta_conf *c;
	struct mta_mappings *m = NULL;
	int mappings, general;

	(void)argv;
	if (argc || mtatest.keywords)
		return argc ? -1 : keywords_put();
	c = mtatest_load_conf();
	mappings = mtatest_load_mappings(&m);
	general = mtatest_load_general();
	if (c)
		mta_conf_print(c, &mtatest.out);
	if (m)
		tables_put(m);
	if (mtatest.generals)
		buf_printf(&mtatest.out, "! general database: %zu keys\n",
		    mta_general_keys(mtatest.generals));
	mta_mappings_free(&m);
	return c && !mappings && !general ? 0 : EX_CONFIG;
}
