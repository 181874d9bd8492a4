/* mail/score.h: what a mail filter has written into a field of the header, as a number for the tests of RFC 5235.
 *
 * The rules are those of Pigeonhole's spamtest and virustest settings: the field, an expression that finds the value in it
 * (POSIX, extended; the first group), and how the value is meant.  Pure.  The field is our own filter's; still no more than
 * SCORE_VALUE_MAX octets of it are looked at. */
#ifndef MAIL_SCORE_H
#define MAIL_SCORE_H
#include <regex.h>
#include "base/slice.h"

#define SCORE_VALUE_MAX 1024
#define SCORE_NOT       (-1) /* not tested */

enum score_type {
	SCORE_NUMBER, /* a number, of a most that stands for 100 percent */
	SCORE_STRLEN, /* how long the value is: "*****" */
	SCORE_TEXT,   /* a word, which stands for a number */
};

/* A field, and where in its value. */
struct score_at {
	char *field; /* NULL: none */
	regex_t find;
	bool finds; /* without: all of the value */
};

struct score_rule {
	enum score_type type;
	struct score_at value, most; /* most.field NULL: `max` holds */
	int64_t max;                 /* thousandths */
	char **texts;                /* borrowed: "3=word", NULL-terminated */
};

/* What is configured: "Name" or "Name: expression" for value and most; max is a number like 15 or 7.5.  Of the numbers
 * of `texts` none is above `texts_max`.  0 or -EINVAL with *why. */
int score_init(struct score_rule *r, enum score_type type, const char *value, const char *most,
    const char *max, char **texts, int texts_max, const char **why) MUSTCHECK;
void score_fini(struct score_rule *r);
/* SCORE_NUMBER and SCORE_STRLEN: percent, 0 to 100; SCORE_TEXT: the number of the word.  SCORE_NOT: there is no
 * rule, no such field, or no such value in it. */
int score_find(const struct score_rule *r, struct slice header);
/* A decimal number with a sign and a fraction or without at the beginning of s, in thousandths, between -10^9 and 10^9
 * whatever stands there.  False: it does not begin with one. */
bool score_number(struct slice s, int64_t *thousandths);
#endif
