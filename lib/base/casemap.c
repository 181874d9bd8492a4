/* casemap.c: RFC 5051 2, by libutf8proc. */
#include "base/casemap.h"

#include <utf8proc.h>

#include "base/utf8.h"

#define FORM_MAX 32 /* characters of one's form; U+FDFA has eighteen */

#define SHARP_S  0xdf /* UnicodeData.txt gives it no title case; libutf8proc gives U+1E9E */

/* Syllables are decomposed by a rule and not by UnicodeData.txt's property, which is what RFC 5051 2
 * asks: they stay. */
#define HANGUL_FIRST 0xac00
#define HANGUL_LAST  0xd7a3

static char
casemap_change(char c)
{
	return (char)((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? c ^ ('a' ^ 'A') : c);
}

static void
casemap_put(struct buf *b, int32_t cp, bool search)
{
	utf8proc_int32_t form[FORM_MAX];
	utf8proc_ssize_t n;
	int boundary = 0;

	if (cp < 0)
		cp = 0xfffd;
	if (cp >= HANGUL_FIRST && cp <= HANGUL_LAST) {
		utf8_put(b, (uint32_t)cp);
		return;
	}
	n = utf8proc_decompose_char(cp == SHARP_S ? cp : utf8proc_totitle(cp), form, FORM_MAX,
	    UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
	if (n <= 0 || n > FORM_MAX) { /* a character that it does not know */
		utf8_put(b, (uint32_t)cp);
		return;
	}
	for (utf8proc_ssize_t i = 0; i < n; i++) {
		if (search && form[i] < 0x80)
			buf_char(b, casemap_change((char)form[i]));
		else
			utf8_put(b, (uint32_t)form[i]);
	}
}

static void
casemap_write(struct buf *b, struct slice s, bool search)
{
	while (s.n > 0) {
		size_t run = 0;
		char *out = buf_reserve(b, s.n);

		if (!out)
			return;
		while (run < s.n && !(s.p[run] & 0x80)) {
			out[run] = search ? ascii_lower(s.p[run]) : ascii_upper(s.p[run]);
			run++;
		}
		b->n += run;
		s = slice_from(s, run);
		while (s.n > 0 && s.p[0] & 0x80)
			casemap_put(b, utf8_next(&s), search);
	}
}

void
casemap_to(struct buf *b, struct slice s)
{
	casemap_write(b, s, false);
}

void
casemap_search_to(struct buf *b, struct slice s)
{
	casemap_write(b, s, true);
}
