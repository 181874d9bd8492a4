/* utf8.c: decoding, checking and simple case folding.
 *
 * Called by the parsers of mail and IMAP for text of strangers.  Nothing can fail: a bad sequence
 * is one bad byte, then decoding goes on.  What must stay true: only shortest forms are
 * characters, since others hide what a check would have seen; folding maps one code point to one,
 * so text grows at most by what bad bytes become.  The tables cover Latin, Greek and Cyrillic.
 * The index keeps folded text, so a character must fold to one that casemap.h has the same form for. */
#include "base/utf8.h"

int32_t
utf8_next(struct slice *s)
{
	const unsigned char *p = (const unsigned char *)s->p;
	uint32_t c;
	size_t n = 1;

	if (s->n == 0)
		return -1;
	c = p[0];
	if (c < 0x80) {
		/* as it is */
	} else if (c >= 0xc2 && c < 0xe0 && s->n > 1 && (p[1] & 0xc0) == 0x80) {
		c = (c & 0x1f) << 6 | (p[1] & 0x3fu);
		n = 2;
	} else if ((c & 0xf0) == 0xe0 && s->n > 2 && (p[1] & 0xc0) == 0x80 &&
	    (p[2] & 0xc0) == 0x80) {
		c = (c & 0x0f) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
		n = 3;
		if (c < 0x800 || (c >= 0xd800 && c < 0xe000))
			goto bad;
	} else if (c >= 0xf0 && c < 0xf5 && s->n > 3 && (p[1] & 0xc0) == 0x80 &&
	    (p[2] & 0xc0) == 0x80 && (p[3] & 0xc0) == 0x80) {
		c = (c & 0x07) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
		n = 4;
		if (c < 0x10000 || c > 0x10ffff)
			goto bad;
	} else {
		goto bad;
	}
	s->p += n;
	s->n -= n;
	return (int32_t)c;
bad:
	s->p++;
	s->n--;
	return -1;
}

#define HIGH_BITS 0x8080808080808080ULL

/* Length of the ASCII run at the front, 32 bytes at a time as long as there are. */
static size_t
ascii_run(struct slice s)
{
	uint64_t v, four[4];
	size_t i = 0;

	for (; i + 32 <= s.n; i += 32) {
		memcpy(four, s.p + i, 32);
		if ((four[0] | four[1] | four[2] | four[3]) & HIGH_BITS)
			break;
	}
	for (; i + 8 <= s.n; i += 8) {
		memcpy(&v, s.p + i, 8);
		if (v & HIGH_BITS)
			break;
	}
	while (i < s.n && !(s.p[i] & 0x80))
		i++;
	return i;
}

bool
utf8_ascii(struct slice s)
{
	return ascii_run(s) == s.n;
}

bool
utf8_valid(struct slice s)
{
	for (;;) {
		s = slice_from(s, ascii_run(s));
		if (s.n == 0)
			return true;
		if (utf8_next(&s) < 0)
			return false;
	}
}

static size_t
encode(char *out, uint32_t cp)
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		cp = 0xfffd;
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

void
utf8_put(struct buf *b, uint32_t cp)
{
	char tmp[4];

	buf_add(b, tmp, encode(tmp, cp));
}

/* Upper-case ranges: every `step`-th code point from `first` to `last` folds by `add`. */
static const struct fold {
	uint16_t first, last, step;
	int16_t add;
	/* clang-format off */
} folds[] = {
	{ 0x00b5, 0x00b5, 1, 0x3bc - 0xb5 },	/* micro sign */
	{ 0x00c0, 0x00d6, 1, 32 },
	{ 0x00d8, 0x00de, 1, 32 },
	{ 0x0100, 0x012e, 2, 1 },		/* Latin Extended-A: pairs */
	{ 0x0132, 0x0136, 2, 1 },
	{ 0x0139, 0x0147, 2, 1 },
	{ 0x014a, 0x0176, 2, 1 },
	{ 0x0178, 0x0178, 1, 0xff - 0x178 },
	{ 0x0179, 0x017d, 2, 1 },
	{ 0x017f, 0x017f, 1, 's' - 0x17f },
	{ 0x0386, 0x0386, 1, 38 },		/* Greek */
	{ 0x0388, 0x038a, 1, 37 },
	{ 0x038c, 0x038c, 1, 64 },
	{ 0x038e, 0x038f, 1, 63 },
	{ 0x0391, 0x03a1, 1, 32 },
	{ 0x03a3, 0x03ab, 1, 32 },
	{ 0x03c2, 0x03c2, 1, 1 },		/* final sigma */
	{ 0x03d8, 0x03ee, 2, 1 },
	{ 0x0400, 0x040f, 1, 80 },		/* Cyrillic */
	{ 0x0410, 0x042f, 1, 32 },
	{ 0x0460, 0x0480, 2, 1 },
	{ 0x048a, 0x04be, 2, 1 },
	{ 0x04c0, 0x04c0, 1, 15 },
	{ 0x04c1, 0x04cd, 2, 1 },
	{ 0x04d0, 0x052e, 2, 1 },
};
/* clang-format on */

static uint32_t
utf8_fold(uint32_t cp)
{
	size_t lo = 0, hi = NELEM(folds);

	if (cp < 0x80)
		return (uint32_t)ascii_lower((char)cp);
	if (cp > 0x52e)
		return cp;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct fold *f = &folds[mid];

		if (cp < f->first)
			hi = mid;
		else if (cp > f->last)
			lo = mid + 1;
		else
			return (cp - f->first) % f->step ? cp : (uint32_t)((int32_t)cp + f->add);
	}
	return cp;
}

/* Lower case of eight ASCII characters. */
static inline uint64_t
lower_eight(uint64_t x)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t from_a = x + (0x80 - 'A') * each, behind_z = x + (0x80 - 'Z' - 1) * each;

	return x | ((from_a & ~behind_z & 0x80 * each) >> 2);
}

/* Takes the ASCII at the front of *s, as far as `stop`, eight at a time. */
static char *
fold_eights(struct slice *s, const char *stop, char *at)
{
	uint64_t v;

	for (; stop - s->p >= 8; s->p += 8, s->n -= 8, at += 8) {
		memcpy(&v, s->p, 8);
		if (v & 0x8080808080808080ULL)
			break;
		v = lower_eight(v);
		memcpy(at, &v, 8);
	}
	return at;
}

/* No code point folds to a longer one, and a bad byte grows to three. */
void
utf8_fold_to(struct buf *b, struct slice s)
{
	while (s.n > 0) {
		size_t run = s.n < 4096 ? s.n : 4096;
		char *out = buf_reserve(b, run * 3 + 4), *at = out;
		const char *stop = s.p + run;

		if (!out)
			return;
		at = fold_eights(&s, stop, at);
		while (s.n > 0 && s.p < stop) {
			if (!(*s.p & 0x80)) {
				*at++ = ascii_lower(*s.p++);
				s.n--;
			} else {
				int32_t cp = utf8_next(&s);

				at += encode(at, cp < 0 ? 0xfffd : utf8_fold((uint32_t)cp));
			}
		}
		b->n += (size_t)(at - out);
	}
}

void
utf8_from_latin1(struct buf *b, struct slice s)
{
	char *out = s.n > SIZE_MAX / 2 ? NULL : buf_reserve(b, s.n * 2), *at = out;

	if (!out)
		return;
	for (size_t i = 0; i < s.n; i++)
		at += encode(at, (unsigned char)s.p[i]);
	b->n += (size_t)(at - out);
}
