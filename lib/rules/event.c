/* rules/event.c: see rules/event.h.
 *
 * Called by imapd and lmtpd, which may be of different versions.  Can fail: a value that would not be one line, or more
 * flags than an answer holds; then nothing is said rather than something else. */
#include "rules/event.h"

#include <stddef.h>

/* ---- the event ---------------------------------------------------------------------------- */

static const struct {
	const char *key;
	size_t at;
} values[] = {
	{ "cause", offsetof(struct rules_event, cause) },
	{ "user", offsetof(struct rules_event, user) },
	{ "mailbox", offsetof(struct rules_event, mailbox) },
	{ "script", offsetof(struct rules_event, script) },
	{ "global", offsetof(struct rules_event, global) },
	{ "flags", offsetof(struct rules_event, flags) },
	{ "changed", offsetof(struct rules_event, changed) },
};

static bool
event_is_line(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

bool
rules_event_write(struct buf *b, const struct rules_event *e)
{
	for (size_t i = 0; i < NELEM(values); i++) {
		struct slice value =
		    *(const struct slice *)(const void *)((const char *)e + values[i].at);

		if (!event_is_line(value))
			return false;
		if (value.n)
			buf_printf(b, "%s " SFMT "\n", values[i].key, SARG(value));
	}
	return true;
}

bool
rules_event_parse(struct slice text, struct rules_event *e)
{
	struct slice line;

	*e = (struct rules_event){ 0 };
	while (slice_cut(&text, '\n', &line)) {
		size_t blank = slice_find(line, ' ');
		struct slice key = slice_sub(line, 0, blank), value = slice_from(line, blank + 1);

		if (!event_is_line(line))
			return false;
		for (size_t i = 0; i < NELEM(values); i++)
			if (slice_eq(key, slice_str(values[i].key)))
				*(struct slice *)(void *)((char *)e + values[i].at) = value;
	}
	return e->cause.n && e->user.n && e->mailbox.n;
}

/* ---- the outcome -------------------------------------------------------------------------- */

static bool
words_have(struct slice words, struct slice flag)
{
	for (struct slice word; slice_word(&words, &word);)
		if (slice_ieq(word, flag))
			return true;
	return false;
}

static bool
list_has(const struct slice *list, size_t n, struct slice flag)
{
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(list[i], flag))
			return true;
	return false;
}

bool
rules_event_outcome_write(struct buf *b, struct slice before, const struct slice *after, size_t n,
    bool keep)
{
	struct slice rest = before, word;
	size_t start = b->n;

	buf_str(b, keep ? "keep" : "delete");
	for (size_t i = 0; i < n; i++)
		if (!words_have(before, after[i]))
			buf_printf(b, " +" SFMT, SARG(after[i]));
	while (slice_word(&rest, &word))
		if (!list_has(after, n, word))
			buf_printf(b, " -" SFMT, SARG(word));
	return b->n - start <= RULES_EVENT_WORDS;
}

bool
rules_event_outcome_parse(struct slice text, struct buf *words, struct rules_event_outcome *o)
{
	struct slice word, rest;
	size_t cut;

	*o = (struct rules_event_outcome){ 0 };
	if (!slice_word(&text, &word))
		return false;
	o->keep = slice_eq(word, S("keep"));
	if (!o->keep && !slice_eq(word, S("delete")))
		return false;
	buf_clear(words);
	for (const char *sign = "+-"; *sign; sign++) {
		rest = text;
		cut = words->n;
		while (slice_word(&rest, &word)) {
			if (word.n < 2 || !strchr("+-", word.p[0]))
				return false;
			if (word.p[0] != *sign)
				continue;
			if (words->n > cut)
				buf_char(words, ' ');
			buf_slice(words, slice_from(word, 1));
		}
		if (*sign == '+')
			o->add = (struct slice){ NULL, words->n };
	}
	o->remove = slice_from(buf_get(words), o->add.n);
	o->add = slice_sub(buf_get(words), 0, o->add.n);
	return true;
}
