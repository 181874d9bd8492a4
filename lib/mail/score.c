/* mail/score.c: see score.h. */
#include "mail/score.h"

#include <errno.h>

#include "base/mem.h"
#include "mail/header.h"

#define NUMBER_MAX INT64_C(1000000000000) /* thousandths: 10^9 */

static bool
score_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool
score_number(struct slice s, int64_t *thousandths)
{
	bool minus = s.n && s.p[0] == '-', any = false;
	int64_t v = 0, unit = 1000;

	if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
		s = slice_from(s, 1);
	for (; s.n && score_digit(s.p[0]); s = slice_from(s, 1), any = true)
		if (v < NUMBER_MAX)
			v = v * 10 + (s.p[0] - '0') * INT64_C(1000);
	if (s.n && s.p[0] == '.')
		for (s = slice_from(s, 1); s.n && score_digit(s.p[0]);
		     s = slice_from(s, 1), any = true)
			v += (s.p[0] - '0') * (unit /= 10);
	if (v > NUMBER_MAX)
		v = NUMBER_MAX;
	*thousandths = minus ? -v : v;
	return any;
}

/* ---- what is configured -------------------------------------------------------------------- */

/* glibc takes \1 in extended expressions, and these can last: POSIX has none there. */
static bool
refers_back(const char *p)
{
	for (; *p; p++)
		if (*p == '\\' && (*++p == '\0' || score_digit(*p)))
			return true;
	return false;
}

static int
at_init(struct score_at *at, const char *text, const char **why)
{
	struct slice all = slice_str(text),
		     name = slice_trim(slice_sub(all, 0, slice_find(all, ':')));
	const char *find = text + slice_find(all, ':');

	if (all.n == 0)
		return 0;
	*why = "no name of a field";
	if (name.n == 0)
		return -EINVAL;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return -EINVAL;
	find += *find == ':';
	while (*find == ' ' || *find == '\t')
		find++;
	*why = "its expression is none (regex(7), extended, without references back)";
	if (*find && (refers_back(find) || regcomp(&at->find, find, REG_EXTENDED) != 0))
		return -EINVAL;
	at->finds = *find != '\0';
	at->field = mem_printf(SFMT, SARG(name));
	return 0;
}

static void
at_fini(struct score_at *at)
{
	if (at->finds)
		regfree(&at->find);
	mem_free(&at->field);
	at->finds = false;
}

/* "3=word" */
static bool
text_parse(const char *text, int most, int *number, struct slice *word)
{
	struct slice rest = slice_str(text), digits;
	uint64_t v;

	if (!slice_cut(&rest, '=', &digits) || rest.n == 0 ||
	    slice_u64(digits, (uint64_t)most, &v) < 0)
		return false;
	*number = (int)v;
	*word = rest;
	return true;
}

int
score_init(struct score_rule *r, enum score_type type, const char *value, const char *most,
    const char *max, char **texts, int texts_max, const char **why)
{
	struct slice word;
	int number, rc;

	*r = (struct score_rule){ .type = type, .texts = texts };
	if ((rc = at_init(&r->value, value, why)) < 0 || !r->value.field)
		return rc;
	rc = type == SCORE_TEXT ? 0 : at_init(&r->most, most, why);
	*why = "max_value is no number above 0";
	if (rc == 0 && type != SCORE_TEXT && !r->most.field &&
	    (!score_number(slice_str(max), &r->max) || r->max <= 0))
		rc = -EINVAL;
	if (rc == 0 && type == SCORE_TEXT) {
		*why = "text_values has what is not like 3=word, or nothing";
		rc = texts && *texts ? 0 : -EINVAL;
		for (; rc == 0 && *texts; texts++)
			rc = text_parse(*texts, texts_max, &number, &word) ? 0 : -EINVAL;
	}
	if (rc < 0)
		score_fini(r);
	return rc;
}

void
score_fini(struct score_rule *r)
{
	at_fini(&r->value);
	at_fini(&r->most);
}

/* ---- what is found --------------------------------------------------------------------------- */

/* Into `room`, since the value ends in no NUL; false: there is none. */
static bool
at_find(const struct score_at *at, struct slice header, char room[SCORE_VALUE_MAX],
    struct slice *value)
{
	struct header_field f;
	regmatch_t m[2];
	size_t group;

	if (!header_find(header, slice_str(at->field), &f))
		return false;
	slice_cstr(slice_trim(f.value), room, SCORE_VALUE_MAX);
	for (char *p = room; *p; p++) /* folds are blanks */
		if (*p == '\r' || *p == '\n' || *p == '\t')
			*p = ' ';
	*value = slice_str(room);
	if (!at->finds)
		return true;
	if (regexec(&at->find, room, NELEM(m), m, 0) != 0)
		return false;
	group = at->find.re_nsub && m[1].rm_so >= 0 ? 1 : 0;
	*value = slice(room + m[group].rm_so, (size_t)(m[group].rm_eo - m[group].rm_so));
	return true;
}

static int
percent(int64_t score, int64_t max)
{
	if (max <= 0)
		return SCORE_NOT;
	if (score <= 0)
		return 0;
	return score >= max ? 100 : (int)(score * 100 / max);
}

int
score_find(const struct score_rule *r, struct slice header)
{
	char room[SCORE_VALUE_MAX], most_room[SCORE_VALUE_MAX];
	int64_t score, max = r->max;
	struct slice value, word;
	int number;

	if (!r->value.field || !at_find(&r->value, header, room, &value))
		return SCORE_NOT;
	if (r->type == SCORE_TEXT) {
		for (char **t = r->texts; t && *t; t++)
			if (text_parse(*t, 100, &number, &word) && slice_eq(word, value))
				return number;
		return SCORE_NOT;
	}
	if (r->most.field &&
	    (!at_find(&r->most, header, most_room, &word) || !score_number(slice_trim(word), &max)))
		return SCORE_NOT;
	if (r->type == SCORE_STRLEN)
		score = (int64_t)value.n * 1000;
	else if (!score_number(slice_trim(value), &score))
		return SCORE_NOT;
	return percent(score, max);
}
