/* logline.c: see logline.h.
 *
 * Owns nothing.  Called by readers of logs.  Cannot fail but by saying that a line is none.  Must stay true:
 * whatever log_value() writes comes back as it was; nothing outside of the line is looked at. */
#include "base/logline.h"

/* Where the value ends that begins at `at`: at a blank, or behind its quote. */
static size_t
logline_end(struct slice s, size_t at)
{
	bool quoted = at < s.n && s.p[at] == '"';

	for (at += quoted; at < s.n; at++) {
		if (quoted && s.p[at] == '\\' && at + 1 < s.n)
			at++;
		else if (quoted && s.p[at] == '"')
			return at + 1;
		else if (!quoted && s.p[at] == ' ')
			break;
	}
	return at;
}

static bool
logline_key_good(struct slice key)
{
	for (size_t i = 0; i < key.n; i++)
		if (!(key.p[i] >= 'a' && key.p[i] <= 'z') && !memchr("_0123456789", key.p[i], 11))
			return false;
	return key.n > 0;
}

bool
logline_next(struct slice *rest, struct slice *key, struct slice *value)
{
	size_t eq, end;

	while (rest->n && rest->p[0] == ' ')
		*rest = slice_from(*rest, 1);
	eq = slice_find(*rest, '=');
	*key = slice_sub(*rest, 0, eq);
	if (eq == rest->n || !logline_key_good(*key))
		return false;
	end = logline_end(*rest, eq + 1);
	*value = slice_sub(*rest, eq + 1, end - eq - 1);
	*rest = slice_from(*rest, end);
	return true;
}

/* "Nov 30 08:20:01 mail smtp-relay[12]: " or "2026-11-30T08:20:01+00:00 mail smtp-relay[12]: ", and all that is
 * like it: the last word is the program, the one before it the host, what is in front of both the time. */
static void
logline_carrier(struct slice words, struct logline *l)
{
	size_t at;

	words = slice_trim(words);
	if (!slice_ends(words, S(":")))
		return;
	words = slice_sub(words, 0, words.n - 1);
	at = slice_rfind(words, ' ');
	if (at == words.n)
		return;
	l->who = slice_from(words, at + 1);
	words = slice_trim(slice_sub(words, 0, at));
	at = slice_rfind(words, ' ');
	if (at == words.n)
		return;
	l->host = slice_from(words, at + 1);
	l->ts = slice_trim(slice_sub(words, 0, at));
}

/* Where the first field begins: "ts=" or, behind a carrier, "ev=". */
static size_t
logline_begin(struct slice line)
{
	size_t at;

	if (slice_starts(line, S("ts=")) || slice_starts(line, S("ev=")))
		return 0;
	if ((at = slice_find_str(line, S(": ts="))) < line.n ||
	    (at = slice_find_str(line, S(": ev="))) < line.n)
		return at + 2;
	return line.n;
}

bool
logline_parse(struct slice line, struct logline *l)
{
	size_t at = logline_begin(line);
	struct slice rest = slice_from(line, at), k, v;

	*l = (struct logline){ .ts = S(""), .host = S(""), .who = S(""), .level = S("") };
	logline_carrier(slice_sub(line, 0, at), l);
	while (logline_next(&rest, &k, &v)) {
		if (slice_eq(k, S("ts"))) {
			l->ts = v;
		} else if (slice_eq(k, S("lvl"))) {
			l->level = v;
		} else if (slice_eq(k, S("who"))) {
			l->who = v;
		} else if (slice_eq(k, S("ev"))) {
			l->event = v;
			l->fields = rest;
			l->who = slice_sub(l->who, 0, slice_find(l->who, '['));
			return v.n > 0;
		}
	}
	return false;
}

bool
logline_get(const struct logline *l, const char *key, struct buf *to)
{
	struct slice rest = l->fields, k, v;

	buf_clear(to);
	while (logline_next(&rest, &k, &v)) {
		if (!slice_eq(k, slice_str(key)))
			continue;
		logline_value(to, v);
		return true;
	}
	return false;
}

void
logline_value(struct buf *to, struct slice v)
{
	if (v.n < 2 || v.p[0] != '"') {
		buf_slice(to, v);
		return;
	}
	v = slice_sub(v, 1, v.n - 1 - (v.p[v.n - 1] == '"'));
	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i], next = i + 1 < v.n ? v.p[i + 1] : '\0';

		if (c != '\\') {
			buf_char(to, c);
		} else if (next == 'n') {
			buf_char(to, '\n');
			i++;
		} else if (next == '"' || next == '\\') {
			buf_char(to, next);
			i++;
		} else if (next == 'x' && i + 3 < v.n && ascii_hex(v.p[i + 2]) >= 0 &&
		    ascii_hex(v.p[i + 3]) >= 0) {
			buf_char(to, (char)(ascii_hex(v.p[i + 2]) << 4 | ascii_hex(v.p[i + 3])));
			i += 3;
		} else {
			buf_char(to, c);
		}
	}
}
