/* rewrite.c: an address through the rewrite rules, as smtp-relay would do it: see mtatest(1). */
#include <stdio.h>
#include <sysexits.h>
#include "base/json.h"
#include "mtatest.h"

static void
rewritten_put(const struct mta_rewritten *r)
{
	struct buf *b = &mtatest.out, esc = { 0 };

	verdict_esc_write(&esc, &r->v);
	if (!mtatest.json) {
		mtatest_steps_put();
		if (r->result == MTA_RW_OK)
			buf_printf(b, "address: " SFMT "\nchannel: %s\nhost: " SFMT "\n",
			    SARG(buf_get(&r->address)), r->channel->name, SARG(buf_get(&r->host)));
		else
			buf_printf(b, "error: %s (%s, " SFMT ")\n", r->v.text,
			    mta_result_name(r->result), SARG(buf_get(&esc)));
		buf_fini(&esc);
		return;
	}
	buf_char(b, '{');
	if (r->result == MTA_RW_OK) {
		json_put_str(b, "address", buf_get(&r->address));
		json_put_cstr(b, "channel", r->channel->name);
		json_put_str(b, "host", buf_get(&r->host));
	} else {
		json_put_cstr(b, "error", r->v.text);
		json_put_cstr(b, "class", mta_result_name(r->result));
		json_put_str(b, "code", buf_get(&esc));
	}
	mtatest_steps_put();
	buf_str(b, "}\n");
	buf_fini(&esc);
}

/* env-to, env-from, hdr-to, hdr-from */
static bool
as_parse(const char *as, struct mta_query *q)
{
	static const struct {
		const char *name;
		bool header, backward;
	} kinds[] = { { "env-to", false, false }, { "env-from", false, true },
		{ "hdr-to", true, false }, { "hdr-from", true, true } };

	for (size_t i = 0; i < NELEM(kinds); i++)
		if (strcmp(as, kinds[i].name) == 0) {
			q->header = kinds[i].header;
			q->backward = kinds[i].backward;
			return true;
		}
	fprintf(stderr, "mtatest: --as %s: expected env-to, env-from, hdr-to or hdr-from\n", as);
	return false;
}

static int
rewrite_all(const struct mta_conf *c, const struct mta_mappings *m, int argc, char **argv)
{
	struct mta_query q = { .source = slice_str(mtatest.source),
		.dest = slice_str(mtatest.dest) };
	int code = 0;

	if (!as_parse(mtatest.as ? mtatest.as : "env-to", &q))
		return EX_USAGE;
	for (int i = 0; i < argc; i++) {
		struct mta_rewritten r;

		q.address = slice_str(argv[i]);
		mta_rewrite(c, m, &mtatest.calls, &q, &r);
		rewritten_put(&r);
		if (r.result != MTA_RW_OK)
			code = EXIT_NO;
		mta_rewritten_fini(&r);
	}
	return code;
}

int
mtatest_rewrite(int argc, char **argv)
{
	const struct mta_conf *c;
	struct mta_mappings *m = NULL;
	int code;

	if (argc == 0)
		return -1;
	c = mtatest_load_conf();
	code = c ? 0 : EX_CONFIG;
	if (code == 0)
		code = mtatest_load_mappings(&m);
	if (code == 0)
		code = mtatest_load_general();
	if (code == 0)
		code = rewrite_all(c, m, argc, argv);
	mta_mappings_free(&m);
	return code;
}
