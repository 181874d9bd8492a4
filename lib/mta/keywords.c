/* keywords.c: a word of a channel block and its arguments: see keywords.h.
 *
 * Called by blocks.c for each word behind a channel's name, by mtatest for the list, and by whoever
 * prints a channel.  Everything goes through mta_keywords; a type is a case in two functions here, to
 * apply and to print, and nothing else.  What fails is an argument, in words. */
#include <errno.h>
#include "base/mem.h"
#include "conf/conf.h"
#include "mta/keywords.h"

#define DAY 86400

static int
name_cmp(struct slice a, const char *b)
{
	size_t i = 0;

	for (; i < a.n && b[i]; i++) {
		int d = (unsigned char)ascii_lower(a.p[i]) - (unsigned char)b[i];

		if (d)
			return d;
	}
	return i < a.n ? 1 : b[i] ? -1 : 0;
}

const struct mta_keyword *
mta_keyword_find(struct slice name)
{
	size_t low = 0, high = mta_nkeywords;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int d = name_cmp(name, mta_keywords[mid].name);

		if (d == 0)
			return &mta_keywords[mid];
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const char *
mta_keyword_nearest(struct slice name)
{
	const char **words = mem_array(mta_nkeywords, sizeof(*words)), *found;

	for (size_t i = 0; i < mta_nkeywords; i++)
		words[i] = mta_keywords[i].name;
	found = conf_nearest(name, words, mta_nkeywords);
	mem_free(&words);
	return found;
}

void
mta_channel_init(struct mta_channel *c)
{
	*c = (struct mta_channel){ 0 };
	for (size_t i = 0; i < mta_nkeywords; i++) {
		const struct mta_keyword *k = &mta_keywords[i];
		char *at = (char *)c + k->offset;

		if (k->type == MTA_KW_SET || k->type == MTA_KW_PAIR)
			*(int *)(void *)at = -1;
		if (k->type == MTA_KW_PAIR)
			((int *)(void *)at)[1] = -1;
		if (k->type == MTA_KW_COUNT)
			*(int64_t *)(void *)at = -1;
	}
}

/* ---- times ------------------------------------------------------------------------------- */

/* ISO 8601 4.4.3.2 without years and months: P[n]W, P[n]DT[n]H[n]M[n]S. */
static int
period_iso(struct slice s, uint64_t *seconds)
{
	static const struct {
		char unit;
		bool time;
		uint32_t s;
	} units[] = { { 'W', false, 7 * DAY }, { 'D', false, DAY }, { 'H', true, 3600 },
		{ 'M', true, 60 }, { 'S', true, 1 } };
	bool time = false;
	size_t next = 0, seen = 0;

	while (s.n) {
		size_t digits = 0;
		uint64_t n;

		if (ascii_upper(s.p[0]) == 'T' && !time) {
			time = true;
			s = slice_from(s, 1);
			continue;
		}
		while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
			digits++;
		if (digits == s.n || slice_u64(slice_sub(s, 0, digits), 1000000, &n) < 0)
			return -EINVAL;
		while (next < NELEM(units) &&
		    (units[next].unit != ascii_upper(s.p[digits]) || units[next].time != time))
			next++;
		if (next == NELEM(units))
			return -EINVAL;
		*seconds += n * units[next++].s;
		seen++;
		s = slice_from(s, digits + 1);
	}
	return seen ? 0 : -EINVAL;
}

int
mta_period_parse(struct slice s, uint32_t *seconds)
{
	uint64_t total = 0;
	int64_t ms;
	int e;

	if (s.n && ascii_upper(s.p[0]) == 'P') {
		e = period_iso(slice_from(s, 1), &total);
	} else {
		e = conf_parse_time(s, &ms);
		total = e == 0 ? (uint64_t)(ms / 1000) : 0;
	}
	if (e < 0 || total == 0 || total > 366 * DAY)
		return -EINVAL;
	*seconds = (uint32_t)total;
	return 0;
}

/* Without the quotes that arguments may have. */
static struct slice
unquoted(struct slice s)
{
	return s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? slice_sub(s, 1, s.n - 2) : s;
}

static bool
is_number(struct slice s)
{
	uint64_t v;

	return slice_u64(s, UINT64_MAX, &v) == 0;
}

/* Words that are times, or for notices bare numbers, which are days. */
static int
times_take(struct mta_times *t, struct slice *rest, bool days, const char **why)
{
	struct slice ahead = *rest, word;

	*t = (struct mta_times){ 0 };
	while (slice_word(&ahead, &word)) {
		uint64_t n;
		uint32_t s;

		word = unquoted(word);
		if (days && slice_u64(word, 366, &n) == 0 && n)
			s = (uint32_t)n * DAY;
		else if (is_number(word) || mta_period_parse(word, &s) < 0)
			break; /* the next keyword, or nonsense that is told as such */
		if (t->n == (days ? 5u : MTA_TIMES_MAX)) {
			*why = days ? "takes five ages at most" : "takes eight times at most";
			return -EINVAL;
		}
		if (days && t->n && s <= t->s[t->n - 1]) {
			*why = "takes ages that grow";
			return -EINVAL;
		}
		t->s[t->n++] = s;
		*rest = ahead;
	}
	if (t->n == 0) {
		*why = days ? "expects ages, in days (3 6 9 12) or as times (P3D)" :
			      "expects times: \"PT30M\" \"PT1H\", or 30m 1h";
		return -EINVAL;
	}
	return 0;
}

/* Times and ages that nobody asks for, as many as there are. */
static void
times_skip(struct slice *rest)
{
	struct slice ahead = *rest, word;
	uint32_t s;

	while (slice_word(&ahead, &word) &&
	    (is_number(unquoted(word)) || mta_period_parse(unquoted(word), &s) == 0))
		*rest = ahead;
}

/* ---- applying ---------------------------------------------------------------------------- */

static int
text_take(const char **field, struct slice *rest, struct arena *a, const char **why)
{
	struct slice word;

	if (!slice_word(rest, &word)) {
		*why = "expects an argument";
		return -EINVAL;
	}
	*field = arena_cstr(a, unquoted(word));
	return 0;
}

static int
count_take(int64_t *field, int most, struct slice *rest, struct arena *a, const char **why)
{
	struct slice word;
	uint64_t v;

	if (!slice_word(rest, &word) || slice_u64(word, INT32_MAX, &v) < 0) {
		*why = "expects a number";
		return -EINVAL;
	}
	if (most && v > (uint64_t)most) {
		*why = arena_printf(a, "expects a number from 0 to %d", most);
		return -EINVAL;
	}
	*field = (int64_t)v;
	return 0;
}

int
mta_keyword_apply(struct mta_channel *c, const struct mta_keyword *k, struct slice *rest,
    struct arena *a, const char **why)
{
	char *at = (char *)c + k->offset;
	struct slice word;

	switch (k->type) {
	case MTA_KW_PAIR:
	case MTA_KW_SET:
		*(int *)(void *)at = k->value;
		if (k->type == MTA_KW_PAIR)
			((int *)(void *)at)[1] = k->value;
		return 0;
	case MTA_KW_UNSET:
		if (k->value < 0)
			*(int64_t *)(void *)at = -1;
		else
			*(const char **)(void *)at = NULL;
		return 0;
	case MTA_KW_TEXT: return text_take((const char **)(void *)at, rest, a, why);
	case MTA_KW_COUNT: return count_take((int64_t *)(void *)at, k->value, rest, a, why);
	case MTA_KW_TIMES:
	case MTA_KW_DAYS:
		return times_take((struct mta_times *)(void *)at, rest, k->type == MTA_KW_DAYS,
		    why);
	case MTA_KW_ALWAYS:
	case MTA_KW_NONE:
	default:
		if (k->value < 0)
			times_skip(rest);
		for (int i = 0; i < k->value; i++)
			if (!slice_word(rest, &word)) {
				*why = "expects an argument";
				return -EINVAL;
			}
		return 0;
	}
}

static bool
said(const struct mta_channel *c, const struct mta_keyword *k)
{
	const char *at = (const char *)c + k->offset;

	switch (k->type) {
	case MTA_KW_PAIR:
		return ((const int *)(const void *)at)[0] == k->value &&
		    ((const int *)(const void *)at)[1] == k->value;
	case MTA_KW_SET: return *(const int *)(const void *)at == k->value;
	case MTA_KW_TEXT: return *(const char *const *)(const void *)at;
	case MTA_KW_COUNT: return *(const int64_t *)(const void *)at >= 0;
	case MTA_KW_TIMES:
	case MTA_KW_DAYS: return ((const struct mta_times *)(const void *)at)->n > 0;
	case MTA_KW_UNSET:
	case MTA_KW_ALWAYS:
	case MTA_KW_NONE:
	default: return false;
	}
}

/* Has another row said the same of this field: an earlier one, or one for both sides? */
static bool
repeats(const struct mta_channel *c, const struct mta_keyword *k)
{
	for (const struct mta_keyword *o = mta_keywords; o < mta_keywords + mta_nkeywords; o++) {
		bool same = o < k && o->type == k->type && o->offset == k->offset;
		bool both = o->type == MTA_KW_PAIR && k->type == MTA_KW_SET &&
		    (o->offset == k->offset || o->offset + sizeof(int) == k->offset);

		if ((same || both) && said(c, o))
			return true;
	}
	return false;
}

void
mta_keywords_print(const struct mta_channel *c, struct buf *out)
{
	for (size_t i = 0; i < mta_nkeywords; i++) {
		const struct mta_keyword *k = &mta_keywords[i];
		const char *at = (const char *)c + k->offset;

		if (!said(c, k) || repeats(c, k))
			continue;
		buf_printf(out, " %s", k->name);
		if (k->type == MTA_KW_TEXT)
			buf_printf(out, " %s", *(const char *const *)(const void *)at);
		else if (k->type == MTA_KW_COUNT)
			buf_printf(out, " %lld", (long long)*(const int64_t *)(const void *)at);
		else if (k->type == MTA_KW_TIMES || k->type == MTA_KW_DAYS)
			for (uint32_t n = 0; n < ((const struct mta_times *)(const void *)at)->n;
			     n++)
				buf_printf(out, " PT%uS",
				    ((const struct mta_times *)(const void *)at)->s[n]);
	}
}
