/* glob.c: the wildcards of :matches, without recursion.
 *
 * Only the last star is ever tried again: when what follows it can not be met with the text it has, it
 * takes one character more.  Stars in front of it have what they need, as little as possible, and
 * giving them more could not help.  So the worst case is a product of two lengths, and every step is
 * counted. */
#include "sieve/match.h"

/* The end of the character that begins at `at`. */
static size_t
glob_char(const struct sieve_glob *g, size_t at)
{
	struct slice s = g->text;
	size_t i = at + 1;

	if (g->origin)
		while (i < s.n && g->origin[i] == g->origin[at])
			i++;
	else if (!g->octets)
		while (i < s.n && ((unsigned char)s.p[i] & 0xc0) == 0x80)
			i++;
	return i;
}

static void
glob_span(struct sieve_glob *g, size_t at, size_t end)
{
	if (g->n + 1 < SIEVE_MATCH_VALUES)
		g->spans[++g->n] = (struct sieve_span){ at, end };
}

bool
sieve_glob(struct sieve_run *r, const struct sieve_call *c, struct sieve_glob *g)
{
	struct slice p = g->pattern, s = g->text;
	size_t at = 0, v = 0, star = 0, star_at = 0, star_v = 0, steps = 0;
	unsigned star_n = 0;
	bool starred = false;

	g->n = 0;
	for (;;) {
		if (++steps % 64 == 0 && !sieve_spend(r, c, 1))
			return false;
		if (at < p.n && p.p[at] == '*') {
			starred = true;
			star = ++at;
			star_at = star_v = v;
			star_n = g->n;
			glob_span(g, v, at == p.n ? s.n : v);
			if (at == p.n)
				return true;
			continue;
		}
		if (at < p.n && v < s.n && p.p[at] == '?') {
			size_t end = glob_char(g, v);

			glob_span(g, v, end);
			v = end;
			at++;
			continue;
		}
		if (at < p.n && v < s.n) {
			size_t quoted = p.p[at] == '\\' && at + 1 < p.n;

			if (p.p[at + quoted] == s.p[v]) {
				at += 1 + quoted;
				v++;
				continue;
			}
		}
		if (at == p.n && v == s.n)
			return true;
		if (!starred || star_v >= s.n)
			return false;
		star_v = glob_char(g, star_v);
		g->n = star_n;
		glob_span(g, star_at, star_v);
		at = star;
		v = star_v;
	}
}
