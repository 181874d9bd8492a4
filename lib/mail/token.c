/* token.c: blanks, comments, tokens, quoted strings. */
#include "mail/token.h"

void
token_skip(struct slice *s)
{
	size_t i = 0, depth = 0;

	for (; i < s->n; i++) {
		char c = s->p[i];

		if (c == '(')
			depth++;
		else if (depth && c == '\\')
			i++;
		else if (depth && c == ')')
			depth--;
		else if (!depth && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			break;
	}
	*s = slice_from(*s, i);
}

struct slice
token_take(struct slice *s)
{
	size_t n = 0;
	struct slice t;

	token_skip(s);
	while (n < s->n &&
	    (s->p[n] & 0x80 ||
		(s->p[n] > ' ' && s->p[n] < 0x7f && !strchr("()<>@,;:\\\"/[]?=", s->p[n]))))
		n++;
	t = slice_sub(*s, 0, n);
	*s = slice_from(*s, n);
	return t;
}

bool
token_char(struct slice *s, char c)
{
	token_skip(s);
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = slice_from(*s, 1);
	return true;
}

struct slice
token_quoted(struct slice *s, struct arena *a)
{
	size_t i = 1, n = 0;
	bool plain = true;
	struct slice t;
	char *dst;

	for (; i < s->n && s->p[i] != '"'; i++) {
		if (s->p[i] == '\\') {
			plain = false;
			i++;
		} else if (s->p[i] == '\r' || s->p[i] == '\n') {
			plain = false;
		}
	}
	if (i > s->n)
		i = s->n;
	t = slice(s->p + 1, i - 1);
	*s = slice_from(*s, i + 1);
	if (plain)
		return t;
	dst = arena_new(a, t.n);
	for (i = 0; i < t.n; i++) {
		if (t.p[i] == '\\' && i + 1 < t.n)
			i++;
		if (t.p[i] != '\r' && t.p[i] != '\n')
			dst[n++] = t.p[i];
	}
	return slice(dst, n);
}
