/* imap/pattern.c: mailbox patterns, RFC 3501 6.3.8: `*` is anything, `%` anything but the
 * delimiter.
 *
 * Called by list.c, which compiles a command's patterns, and by imapd, which asks each of each
 * folder.  Nothing can fail; a pattern that is too long matches nothing.  All positions of a
 * pattern are followed at once, a bit for each, so a name costs its bytes times the pattern's
 * words of 64: backtracking would take the name's length to the power of the wildcards, and a
 * client chooses both. */
#include "imap/pattern.h"

#include <ctype.h>

#include "base/must.h"

#define WORDS_MAX (IMAP_PATTERN_MAX / 64 + 1)

static void
imap_pattern_set(uint64_t *row, size_t at)
{
	row[at / 64] |= UINT64_C(1) << (at % 64);
}

/* Wildcards in a row are one: so a position is reached by at most one step that takes no byte. */
static struct slice
imap_pattern_squeeze(struct arena *a, struct slice text)
{
	char *to = arena_new(a, text.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		bool wild = text.p[i] == '*' || text.p[i] == '%';

		if (wild && n > 0 && (to[n - 1] == '*' || to[n - 1] == '%')) {
			if (text.p[i] == '*')
				to[n - 1] = '*';
			continue;
		}
		to[n++] = text.p[i];
	}
	return slice(to, n);
}

void
imap_pattern_compile(struct imap_pattern *p, struct arena *a, struct slice text)
{
	size_t nclasses = 1;

	*p = (struct imap_pattern){ 0 };
	if (text.n > IMAP_PATTERN_MAX)
		return;
	text = imap_pattern_squeeze(a, text);
	for (size_t i = 0; i < text.n; i++)
		if (!p->class[(uint8_t)text.p[i]] && text.p[i] != '*' && text.p[i] != '%')
			p->class[(uint8_t)text.p[i]] = (uint8_t)nclasses++;
	p->text = text;
	p->words = text.n / 64 + 1;
	p->star = arena_array(a, p->words, sizeof(uint64_t));
	p->percent = arena_array(a, p->words, sizeof(uint64_t));
	p->bytes = arena_array(a, nclasses * p->words, sizeof(uint64_t));
	while (p->lead.n < text.n && text.p[p->lead.n] != '*' && text.p[p->lead.n] != '%')
		p->lead.n++;
	p->lead.p = text.p;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '*')
			imap_pattern_set(p->star, i);
		else if (text.p[i] == '%')
			imap_pattern_set(p->percent, i);
		else
			imap_pattern_set(p->bytes + p->class[(uint8_t)text.p[i]] * p -> words, i);
	}
}

/* A wildcard may also match nothing. */
static void
imap_pattern_skip(const struct imap_pattern *p, uint64_t *now)
{
	uint64_t carry = 0;

	for (size_t w = 0; w < p->words; w++) {
		uint64_t wild = now[w] & (p->star[w] | p->percent[w]);

		now[w] |= wild << 1 | carry;
		carry = wild >> 63;
	}
}

bool
imap_pattern_matches(const struct imap_pattern *p, struct slice name, bool fold)
{
	uint64_t now[WORDS_MAX] = { 1 };

	if (p->words == 0 || (!fold && !slice_starts(name, p->lead)))
		return false;
	must(p->words <= WORDS_MAX);
	imap_pattern_skip(p, now);
	for (size_t k = 0; k < name.n; k++) {
		uint8_t c = (uint8_t)name.p[k];
		const uint64_t *at = p->bytes + p->class[c] * p->words;
		const uint64_t *other = fold ?
		    p->bytes + p->class[isupper(c) ? tolower(c) : toupper(c)] * p->words :
		    at;
		uint64_t carry = 0, any = 0;

		for (size_t w = 0; w < p->words; w++) {
			uint64_t moved = now[w] & (at[w] | other[w]);
			uint64_t stays =
			    now[w] & (c == '/' ? p->star[w] : p->star[w] | p->percent[w]);

			now[w] = moved << 1 | carry | stays;
			carry = moved >> 63;
			any |= now[w];
		}
		if (!any)
			return false;
		imap_pattern_skip(p, now);
	}
	return now[p->text.n / 64] >> (p->text.n % 64) & 1;
}
