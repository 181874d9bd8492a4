/* Fuzz target: expire rules of any bytes: none without a criterion gets through, and judging by those that
 * do takes each message once. */
#include "aging/judge.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
fuzz_header(void *arg, const struct aging_rule *r, const struct aging_message *m)
{
	(void)arg;
	must(r->headers.n && r->headers.n <= AGING_HEADERS_MAX && !m->taken);
	return m->uid % 2;
}

static void
fuzz_judge(const struct aging_rule *const *rules, size_t n)
{
	struct aging_message m[16];

	for (uint32_t i = 0; i < NELEM(m); i++)
		m[i] = (struct aging_message){ .uid = i + 1,
			.size = i << (i + 8),
			.internaldate = (int64_t)i << 26,
			.savedate = i << 26,
			.flags = i % 3 };
	aging_judge(m, NELEM(m), rules, n, (int64_t)1 << 31, fuzz_header, NULL);
	for (size_t i = 0; i < NELEM(m); i++) {
		must(m[i].taken <= n && m[i].reported <= n);
		must(!m[i].taken || rules[m[i].taken - 1]->action != AGING_REPORT);
		must(!m[i].reported || rules[m[i].reported - 1]->action == AGING_REPORT);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct aging_place places[] = { { S("p"), S("a@b"), S("INBOX") },
		{ S("q"), S("c@b"), S("x/y") } };
	enum aging_level level = n ? (enum aging_level)(data[0] % 5) : AGING_GLOBAL;
	struct slice text = slice((const char *)data + (n > 0), n ? n - 1 : 0);
	struct mta_notes notes = { 0 };
	struct aging_rules r = { 0 };
	const struct aging_rules *sets[] = { &r };
	bool good;

	if (level == AGING_FOLDER)
		level = AGING_USER;
	good = aging_rules_parse(&r, "f", text, level, level == AGING_PARTITION ? S("p") : S("a@b"),
	    &notes);
	must(good == (notes.nerrors == 0));
	for (size_t i = 0; good && i < r.n; i++)
		must(r.rules[i].by && (level >= AGING_USER || r.rules[i].patterned) &&
		    (r.rules[i].action == AGING_MOVE) == (r.rules[i].to.n > 0));
	for (size_t i = 0; good && i < NELEM(places); i++) {
		struct buf out = { 0 };

		aging_rules_select(sets, 1, &places[i], &out);
		must(out.n / sizeof(struct aging_rule *) <= r.n);
		fuzz_judge((const void *)out.p, out.n / sizeof(struct aging_rule *));
		buf_fini(&out);
	}
	aging_rules_fini(&r);
	mta_notes_fini(&notes);
	return 0;
}
