/* Patterns of mapping entries: what they match, what their fields are, what they cost. */
#include "base/mem.h"
#include "mta/glob.h"
#include "../tap.h"

static const struct {
	const char *pattern, *text, *fields; /* fields with `,` between; NULL: no match */
} cases[] = {
	/* literal text, case-blind (Administration Reference, Mapping Operations) */
	{ "abc", "ABC", "" },
	{ "abc", "abcd", NULL },
	{ "abc", "ab", NULL },
	{ "", "", "" },
	{ "", "x", NULL },
	/* % and * (Table 10-3) */
	{ "%", "x", "x" },
	{ "%", "", NULL },
	{ "%", "xy", NULL },
	{ "a%c", "abc", "b" },
	{ "%%", "ab", "a,b" },
	{ "*", "", "" },
	{ "*", "anything", "anything" },
	{ "a*", "abc", "bc" },
	{ "*c", "abc", "ab" },
	{ "*b*", "abcbd", "abc,d" },   /* greedy from the left */
	{ "$_*b*", "abcbd", "a,cbd" }, /* lazy */
	{ "*@*", "user@host", "user,host" },
	{ "*.*.*", "a.b.c.d", "a.b,c,d" },
	{ "$_*.$_*.*", "a.b.c.d", "a,b,c.d" },
	/* the guide's own example of wildcard fields */
	{ "PSI$%*::*", "PSI%1234::USER", "1234,USER" },
	{ "PSI$%*::*", "PSI%A::B", "A,B" },
	{ "PSI$%*::*", "PSIABC::DEF", NULL },
	/* quoting */
	{ "a$ b", "a b", "" },
	{ "a$\tb", "a\tb", "" },
	{ "a$*b", "a*b", "" },
	{ "a$*b", "axb", NULL },
	{ "a$%b", "a%b", "" },
	{ "a$$b", "a$b", "" },
	{ "$.$-", ".-", "" },
	/* back matches */
	{ "*.$0*", "ab.ab", "ab" },
	{ "*.$0*", "ab.ac", NULL },
	{ "*-%-$0*", "xy-z-XY", "xy,z" },
	{ "*,*,$1*$0*", "a,b,ba", "a,b" },
	{ "*$0*", "abab", "ab" },
	{ "*$0*", "aba", NULL },
	/* saving turned off and on */
	{ "$@*.*", "a.b", "b" },
	{ "*$@%*", "abc", "ab," },
	{ "$@$^*.*", "a.b", "a,b" },
	/* classes */
	{ "$A%", "x", "x" },
	{ "$A%", "1", NULL },
	{ "$A*", "abC", "abC" },
	{ "$A*", "", "" },
	{ "$B*", "0110", "0110" },
	{ "$B*", "012", NULL },
	{ "$D%$D%", "42", "4,2" },
	{ "$D*", "12a", NULL },
	{ "$H*", "09afAF", "09afAF" },
	{ "$H*", "g", NULL },
	{ "$X%", "F", "F" },
	{ "$O*", "0777", "0777" },
	{ "$O*", "8", NULL },
	{ "$S*", "a_Z$9", "a_Z$9" },
	{ "$S*", "a-b", NULL },
	{ "a$T*b", "a \t b", " \t " },
	{ "a$T%b", "axb", NULL },
	{ "$d*-$d*", "1-22", "1,22" },
	{ "*$D*", "ab12", "ab12," },
	{ "$_*$D*", "ab12", "ab,12" },
	/* sets */
	{ "$[abc]%", "b", "b" },
	{ "$[abc]%", "B", "B" },
	{ "$[abc]%", "d", NULL },
	{ "$[ab]*c", "abbac", "abba" },
	{ "$[a-c0-9]*", "b1c2", "b1c2" },
	{ "$[a-c]*", "d", NULL },
	{ "$[-a]*", "a-a", "a-a" },
	{ "$[]a]%", "]", "]" },
	{ "$[.]%", ".", "." },
	/* networks: no fields of their own */
	{ "$(192.168.1.0/24)", "192.168.1.77", "" },
	{ "$(192.168.1.0/24)", "192.168.2.1", NULL },
	{ "$(10.1.2.3)", "10.1.2.3", "" },
	{ "$(10.1.2.3)", "10.1.2.4", NULL },
	{ "$(10.0.0.0/8)", "10.255.0.1", "" },
	{ "$(0.0.0.0/0)", "1.2.3.4", "" },
	{ "$(192.168.1.0/24)", "192.168.1.777", NULL },
	{ "$(192.168.1.0/24)", "192.168.1", NULL },
	{ "$<123.45.67.10/2>", "123.45.67.8", "" },
	{ "$<123.45.67.10/2>", "123.45.67.11", "" },
	{ "$<123.45.67.10/2>", "123.45.67.12", NULL },
	{ "$<10.1.2.3>", "10.1.2.3", "" },
	{ "${2001:db8::/32}", "2001:db8:1::7", "" },
	{ "${2001:db8::/32}", "2001:db9::1", NULL },
	{ "${::1}", "::1", "" },
	{ "${::ffff:10.0.0.0/104}", "::ffff:10.1.2.3", "" },
	{ "${::/0}", "fe80::1", "" },
	{ "TCP|*|25|$(1.2.3.0/24)|*", "TCP|9.9.9.9|25|1.2.3.4|4711", "9.9.9.9,4711" },
	{ "TCP|*|25|$(1.2.3.0/24)|*", "TCP|9.9.9.9|25|1.2.4.4|4711", NULL },
};

static const struct {
	const char *pattern, *part; /* of what is said */
} mistakes[] = {
	{ "a$", "quotes nothing" },
	{ "$Q*", "expected a wildcard, a class" },
	{ "$A", "expected % or *" },
	{ "$[abc", "expected `]'" },
	{ "$[z-a]%", "backwards" },
	{ "$[abc]x", "expected % or *" },
	{ "$(1.2.3)", "expected a numeric address" },
	{ "$(1.2.3.4/33)", "number of bits" },
	{ "$(1.2.3.4", "end of an address" },
	{ "${1.2.3.4/8}", "numeric address" },
	{ "$(::1/8)", "numeric address" },
	{ "$0*", "in front of the wildcard" },
	{ "*$1*", "in front of the wildcard" },
	{ "*$0", "expected *" },
};

static void
matches(void)
{
	for (size_t i = 0; i < NELEM(cases); i++) {
		struct arena a = { 0 };
		struct mta_glob *g;
		struct mta_work w;
		struct slice f[MTA_FIELDS_MAX];
		struct buf got = { 0 };
		const char *why = "";
		enum mta_match m;

		if (!ok(mta_glob_compile(&a, slice_str(cases[i].pattern), &g, &why) == 0, "%s: %s",
			cases[i].pattern, why))
			continue;
		mta_work_init(&w);
		m = mta_glob_match(g, slice_str(cases[i].text), &w, f);
		for (unsigned k = 0; k < MTA_FIELDS_MAX && k < mta_glob_fields(g); k++)
			buf_printf(&got, "%s" SFMT, k ? "," : "", SARG(f[k]));
		if (cases[i].fields &&
		    ok(m == MTA_GLOB_YES, "%s matches %s", cases[i].pattern, cases[i].text))
			is(buf_cstr(&got), cases[i].fields, "with these fields");
		else if (!cases[i].fields)
			ok(m == MTA_GLOB_NO, "%s does not match %s", cases[i].pattern,
			    cases[i].text);
		buf_fini(&got);
		mta_work_fini(&w);
		arena_reset(&a);
	}
}

static void
refused(void)
{
	struct buf many = { 0 };
	struct arena a = { 0 };
	struct mta_glob *g;
	const char *why;

	for (size_t i = 0; i < NELEM(mistakes); i++) {
		why = "";
		ok(mta_glob_compile(&a, slice_str(mistakes[i].pattern), &g, &why) < 0 &&
			strstr(why, mistakes[i].part),
		    "%s: %s", mistakes[i].pattern, why);
	}
	for (int i = 0; i < MTA_GLOB_MAX + 1; i++)
		buf_char(&many, '*');
	ok(mta_glob_compile(&a, buf_get(&many), &g, &why) < 0, "more than 512 elements");
	buf_fini(&many);
	arena_reset(&a);
}

/* Steps that a pattern takes for a text that it does not match. */
static uint64_t
cost(const char *unit, int times, size_t n, const char *tail, enum mta_match want)
{
	struct buf pattern = { 0 }, text = { 0 };
	struct slice f[MTA_FIELDS_MAX];
	struct arena a = { 0 };
	struct mta_glob *g;
	struct mta_work w;
	const char *why = "";
	uint64_t spent;

	for (int i = 0; i < times; i++)
		buf_str(&pattern, unit);
	buf_str(&pattern, tail);
	for (size_t i = 0; i < n; i++)
		buf_char(&text, 'a');
	ok(mta_glob_compile(&a, buf_get(&pattern), &g, &why) == 0, "%d times %s: %s", times, unit,
	    why);
	mta_work_init(&w);
	eq(mta_glob_match(g, buf_get(&text), &w, f), want, "%d times %s against %zu octets", times,
	    unit, n);
	spent = MTA_STEPS_MAX - w.steps;
	mta_work_fini(&w);
	arena_reset(&a);
	buf_fini(&pattern);
	buf_fini(&text);
	return spent;
}

static void
bombs(void)
{
	uint64_t one = cost("*a", 20, 500, "b", MTA_GLOB_NO),
		 two = cost("*a", 20, 1000, "b", MTA_GLOB_NO);

	ok(two < 3 * one, "twice the text costs twice the steps (%llu, %llu)",
	    (unsigned long long)one, (unsigned long long)two);
	ok(one < 20u * 500 * 6, "elements times octets at most (%llu)", (unsigned long long)one);
	(void)cost("$_*a", 200, 2000, "b", MTA_GLOB_NO);
	(void)cost("*a", 250, 4096, "b", MTA_GLOB_NO);
	(void)cost("%*", 200, 4096, "b", MTA_GLOB_NO);
	eq(cost("*", 9, 4096, "$0*$1*$2*b", MTA_GLOB_LONG), MTA_STEPS_MAX,
	    "with back matches the steps are counted");
}

int
main(void)
{
	matches();
	refused();
	bombs();
	return done();
}
