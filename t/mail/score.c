/* Scores of filters in fields of the header, by Pigeonhole's settings. */
#include "../tap.h"
#include "mail/score.h"

static int
found(enum score_type type, const char *value, const char *most, const char *max, char **texts,
    const char *header)
{
	struct score_rule r;
	const char *why;
	int n;

	if (score_init(&r, type, value, most, max, texts, 10, &why) < 0)
		return -100;
	n = score_find(&r, slice_str(header));
	score_fini(&r);
	return n;
}

#define NUMBER(value, most, max, header) found(SCORE_NUMBER, value, most, max, NULL, header)
#define RSPAMD                                                                                     \
	"Subject: X-Spamd-Result: 99\r\nX-Spamd-Result: default: False [7.50 / 15.00];\r\n"        \
	"\tBAYES_SPAM(5.10)[99.99%]\r\n\r\n"

static void
test_numbers(void)
{
	static const struct {
		const char *text;
		bool yes;
		long long v;
	} rows[] = { { "7.5 / 10", true, 7500 }, { "-100", true, -100000 }, { "+.25x", true, 250 },
		{ "1.23456", true, 1234 }, { "", false, 0 }, { "-", false, 0 }, { ".", false, 0 },
		{ "five", false, 0 }, { "99999999999999999999999999", true, 1000000000000 },
		{ "-99999999999999999999999999.9", true, -1000000000000 } };
	int64_t v;

	for (size_t i = 0; i < NELEM(rows); i++) {
		ok(score_number(slice_str(rows[i].text), &v) == rows[i].yes, "number: %s",
		    rows[i].text);
		if (rows[i].yes)
			eq(v, rows[i].v, "... and which");
	}
}

static void
test_scores(void)
{
	static char unchecked[] = "0=Unchecked", clean[] = "1=Clean", spam[] = "10=Spam";
	static char *texts[] = { unchecked, clean, spam, NULL };

	eq(NUMBER("X-Spam-Score", "", "10", "X-Spam-Score: 7.5 / 10\r\n"), 75, "a score");
	eq(NUMBER("x-spam-score", "", "10", "X-Spam-Score: 25\r\n"), 100, "no more than all");
	eq(NUMBER("X-Spam-Score", "", "10", "X-Spam-Score: -3\r\n"), 0, "no less than nothing");
	eq(NUMBER("X-Spam-Score", "", "10", "X-Spam-Scores: 3\r\n"), SCORE_NOT, "no field");
	eq(NUMBER("X-Spam-Score", "", "10", "X-Spam-Score: much\r\n"), SCORE_NOT, "no number");
	eq(NUMBER("X-Spam-Score", "", "10", "X-Spam-Score:\r\n\t5\r\nX-Spam-Score: 9\r\n"), 50,
	    "the first of two, folded");
	eq(NUMBER("X-Spam-Score", "", "10", "A: b\r\n\r\nX-Spam-Score: 5\r\n"), SCORE_NOT,
	    "a body is none");
	eq(NUMBER("X-Spamd-Result: \\[(-?[0-9.]+) /", "X-Spamd-Result: / ([0-9.]+)\\]", "", RSPAMD),
	    50, "rspamd's field, with its most");
	eq(NUMBER("X-Spamd-Result: \\[(-?[0-9.]+) /", "X-Max", "", RSPAMD), SCORE_NOT,
	    "a most that is not there");
	eq(NUMBER("X-Spamd-Result: ^nothing ([0-9]+)", "", "10", RSPAMD), SCORE_NOT, "no match");
	eq(found(SCORE_STRLEN, "X-Spam-Level: ^(\\**)", "", "20", NULL, "X-Spam-Level: ***** \r\n"),
	    25, "stars");
	eq(found(SCORE_TEXT, "X-Status", "", "", texts, "X-Status: Spam\r\n"), 10, "a word");
	eq(found(SCORE_TEXT, "X-Status", "", "", texts, "X-Status: spam\r\n"), SCORE_NOT,
	    "its case counts");
	eq(NUMBER("", "", "", "X: 1\r\n"), SCORE_NOT, "no rule");
}

static void
test_wrong(void)
{
	static char eleven[] = "11=x", word[] = "x";
	static char *none[] = { NULL }, *odd[] = { eleven, NULL }, *bare[] = { word, NULL };

	eq(NUMBER(":x", "", "10", ""), -100, "no name");
	eq(NUMBER("A b", "", "10", ""), -100, "a blank in a name");
	eq(NUMBER("A: (", "", "10", ""), -100, "no expression");
	eq(NUMBER("A: (a)\\1", "", "10", ""), -100, "a reference back");
	ok(NUMBER("A: \\\\1", "", "10", "") != -100, "which a backslash that is meant is not");
	eq(NUMBER("A: a\\", "", "10", ""), -100, "a backslash at the end");
	eq(NUMBER("A", "", "", ""), -100, "no most");
	eq(NUMBER("A", "", "0", ""), -100, "a most of nothing");
	eq(NUMBER("A", "B: [", "10", ""), -100, "no expression of the most");
	eq(found(SCORE_TEXT, "A", "", "", none, ""), -100, "no words");
	eq(found(SCORE_TEXT, "A", "", "", odd, ""), -100, "a number that there is not");
	eq(found(SCORE_TEXT, "A", "", "", bare, ""), -100, "a word without number");
}

int
main(void)
{
	test_numbers();
	test_scores();
	test_wrong();
	return done();
}
