/* lex.c: the bytes of a script into tokens (RFC 5228 8.1).
 *
 * Called by the parser alone.  A string that stands in the script as it is meant is borrowed from it;
 * one with quoting, dot-stuffing or bare line ends is copied once, into the arena, and cannot be
 * longer than what it is made of.  Line ends within strings become CRLF, which is what a script has
 * on the wire (RFC 5228 2.1) and what its strings become in messages.  Each octet is looked at once
 * or twice. */
#include "base/utf8.h"
#include "sieve/lex.h"

void
sieve_lex_init(struct sieve_lex *l, struct slice script, struct arena *a, size_t string_max)
{
	*l = (struct sieve_lex){ .rest = script,
		.line_at = script.p,
		.line = 1,
		.arena = a,
		.string_max = string_max };
}

static struct sieve_token
token_wrong(struct sieve_lex *l, struct sieve_token t, const char *why)
{
	l->why = why;
	t.kind = SIEVE_T_WRONG;
	return t;
}

/* Takes n octets, and counts the lines that end in them. */
static struct slice
lex_take(struct sieve_lex *l, size_t n)
{
	struct slice taken = slice_sub(l->rest, 0, n);

	for (size_t i = 0; i < taken.n; i++)
		if (taken.p[i] == '\n') {
			l->line++;
			l->line_at = taken.p + i + 1;
		}
	l->rest = slice_from(l->rest, taken.n);
	return taken;
}

/* White space and comments (8.1).  False: a comment has no end. */
static bool
lex_skip(struct sieve_lex *l)
{
	for (;;) {
		struct slice s = l->rest;
		size_t n = 0;

		while (n < s.n && strchr(" \t\r\n", s.p[n]) && s.p[n])
			n++;
		if (n == 0 && s.n && s.p[0] == '#')
			n = slice_find(s, '\n');
		if (n == 0 && slice_starts(s, S("/*"))) {
			n = slice_find_str(slice_from(s, 2), S("*/")) + 4;
			if (n > s.n)
				return false;
		}
		if (n == 0)
			return true;
		lex_take(l, n);
	}
}

static bool
lex_name_char(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	    (!first && c >= '0' && c <= '9');
}

static size_t
lex_name_len(struct slice s)
{
	size_t n = 0;

	while (n < s.n && lex_name_char(s.p[n], n == 0))
		n++;
	return n;
}

/* 1*DIGIT [ "K" / "M" / "G" ] (2.4.1). */
static struct sieve_token
lex_number(struct sieve_lex *l, struct sieve_token t)
{
	static const struct {
		char letter;
		unsigned shift;
	} units[] = { { 'k', 10 }, { 'm', 20 }, { 'g', 30 } };
	size_t n = 0;
	unsigned shift = 0;

	while (n < l->rest.n && l->rest.p[n] >= '0' && l->rest.p[n] <= '9')
		n++;
	t.text = lex_take(l, n);
	for (size_t i = 0; i < NELEM(units); i++)
		if (l->rest.n && ascii_lower(l->rest.p[0]) == units[i].letter) {
			lex_take(l, 1);
			shift = units[i].shift;
			break;
		}
	if (lex_name_len(l->rest))
		return token_wrong(l, t, "a number ends in a letter other than K, M or G");
	if (slice_u64(t.text, INT64_MAX >> shift, &t.number) < 0)
		return token_wrong(l, t, "the number is too large");
	t.number <<= shift;
	t.kind = SIEVE_T_NUMBER;
	return t;
}

/* The text of a quoted or multi-line string: line ends become CRLF. */
static struct slice
lex_lines(struct sieve_lex *l, struct slice raw, bool quoted)
{
	char *out = arena_new(l->arena, raw.n * 2 + 1);
	size_t n = 0;

	for (size_t i = 0; i < raw.n; i++) {
		char c = raw.p[i];

		if (quoted && c == '\\' && i + 1 < raw.n)
			c = raw.p[++i];
		else if (!quoted && c == '.' && (i == 0 || raw.p[i - 1] == '\n') && i + 1 < raw.n &&
		    raw.p[i + 1] == '.')
			continue; /* 2.4.2: dot-stuffing */
		if (c == '\n' && (n == 0 || out[n - 1] != '\r'))
			out[n++] = '\r';
		out[n++] = c;
	}
	return slice(out, n);
}

static struct sieve_token
lex_string(struct sieve_lex *l, struct sieve_token t, struct slice text)
{
	if (text.n > l->string_max)
		return token_wrong(l, t, "the string is too long");
	if (slice_find(text, '\0') < text.n || !utf8_valid(text))
		return token_wrong(l, t, "the string is not UTF-8");
	t.kind = SIEVE_T_STRING;
	t.text = text;
	return t;
}

/* "..." with \" and \\ (2.4.2). */
static struct sieve_token
lex_quoted(struct sieve_lex *l, struct sieve_token t)
{
	struct slice s = slice_from(l->rest, 1);
	bool plain = true;
	size_t n = 0;

	for (; n < s.n && s.p[n] != '"'; n++) {
		plain = plain && s.p[n] != '\\' && s.p[n] != '\n';
		n += s.p[n] == '\\';
	}
	if (n >= s.n)
		return token_wrong(l, t, "the string has no end");
	lex_take(l, n + 2);
	s = slice_sub(s, 0, n);
	return lex_string(l, t, plain ? s : lex_lines(l, s, true));
}

/* "text:" with blanks and a comment behind it, lines, and one with a dot alone (2.4.2). */
static struct sieve_token
lex_multiline(struct sieve_lex *l, struct sieve_token t)
{
	struct slice s = l->rest;
	size_t n = 0, end;

	while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
		n++;
	if (n < s.n && s.p[n] == '#')
		n += slice_find(slice_from(s, n), '\n');
	if (n < s.n && s.p[n] == '\r')
		n++;
	if (n >= s.n || s.p[n] != '\n')
		return token_wrong(l, t, "text: is followed by a line end only");
	s = slice_from(s, ++n);
	for (end = 0; end < s.n; end += slice_find(slice_from(s, end), '\n') + 1) {
		struct slice line = slice_from(s, end);

		if (slice_starts(line, S(".\n")) || slice_starts(line, S(".\r\n")))
			break;
	}
	if (end >= s.n)
		return token_wrong(l, t, "text: has no end, a line with a dot alone");
	lex_take(l, n + end + (s.p[end + 1] == '\r' ? 3 : 2));
	return lex_string(l, t, lex_lines(l, slice_sub(s, 0, end), false));
}

struct sieve_token
sieve_lex_next(struct sieve_lex *l)
{
	bool whole = lex_skip(l);
	struct slice s = l->rest;
	struct sieve_token t = { .line = l->line, .column = (unsigned)(s.p - l->line_at) + 1 };
	size_t n = s.n && s.p[0] == ':' ? 1 : 0, name;

	if (!whole)
		return token_wrong(l, t, "the comment has no end");
	if (s.n == 0)
		return t;
	name = lex_name_len(slice_from(s, n));
	if (s.p[0] == '"')
		return lex_quoted(l, t);
	if (s.p[0] >= '0' && s.p[0] <= '9')
		return lex_number(l, t);
	if (name) {
		t.text = lex_take(l, n + name);
		t.kind = n ? SIEVE_T_TAG : SIEVE_T_NAME;
		if (slice_ieq(t.text, S("text")) && l->rest.n && l->rest.p[0] == ':') {
			lex_take(l, 1);
			return lex_multiline(l, t);
		}
		return t;
	}
	if (s.p[0] == '\0' || !strchr(";,()[]{}", s.p[0]))
		return token_wrong(l, t, "this character has no meaning here");
	t.text = lex_take(l, 1);
	t.kind = SIEVE_T_CHAR;
	return t;
}
