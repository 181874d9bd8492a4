/* base64.c: four characters at a time by table.
 *
 * Called for SASL (strict) and for MIME: encoded words and bodies (lenient, in pieces).  Strict
 * parsing refuses every spelling that an encoder does not make, so one credential has one form;
 * the lenient one takes any bytes for something.  What must stay true: output fits what was
 * reserved for the input, since it is written without a look at the buffer. */
#include <errno.h>
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define BAD 64
#define PAD 65

/* Value of each character, by its code; BAD outside the alphabet. */
/* clang-format off */
static const uint8_t value[256] = {
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 64, 64, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 65, 64, 64,
	64, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 64,
	64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
};
/* clang-format on */

void
base64_write(struct buf *b, struct slice s)
{
	const unsigned char *in = (const unsigned char *)s.p;
	char *out = s.n > SIZE_MAX / 2 ? NULL : buf_reserve(b, (s.n + 2) / 3 * 4);
	size_t n = s.n;

	if (!out)
		return;
	b->n += (n + 2) / 3 * 4;
	for (; n >= 3; n -= 3, in += 3) {
		uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = digits[v >> 6 & 63];
		*out++ = digits[v & 63];
	}
	if (n > 0) {
		uint32_t v = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = n > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = '=';
	}
}

/* As many whole quanta as there are from *in; returns where it stopped. */
static size_t
quanta(char **out, const unsigned char *in, size_t n)
{
	char *o = *out;
	size_t i;

	for (i = 0; i + 4 <= n; i += 4) {
		uint8_t a = value[in[i]], b = value[in[i + 1]], c = value[in[i + 2]],
			d = value[in[i + 3]];

		if ((a | b | c | d) & 64)
			break;
		*o++ = (char)(a << 2 | b >> 4);
		*o++ = (char)(b << 4 | c >> 2);
		*o++ = (char)(c << 6 | d);
	}
	*out = o;
	return i;
}

int
base64_parse(struct buf *b, struct slice s)
{
	const unsigned char *in = (const unsigned char *)s.p;
	char *out = buf_reserve(b, s.n / 4 * 3 + 3), *start = out;
	uint8_t v[4];
	size_t i;

	if (!out)
		return -EBADMSG;
	i = quanta(&out, in, s.n);
	b->n += (size_t)(out - start);
	if (i == s.n)
		return 0;
	if (s.n - i != 4)
		return -EBADMSG;
	for (int k = 0; k < 4; k++)
		v[k] = value[in[i + (size_t)k]];
	if (v[0] >= BAD || v[1] >= BAD || v[3] != PAD || v[2] == BAD)
		return -EBADMSG;
	/* The bits that are cut off are 0 in what an encoder makes (RFC 4648 3.5). */
	if (v[2] == PAD ? v[1] & 15 : v[2] & 3)
		return -EBADMSG;
	*out++ = (char)(v[0] << 2 | v[1] >> 4);
	b->n++;
	if (v[2] != PAD) {
		*out = (char)(v[1] << 4 | v[2] >> 2);
		b->n++;
	}
	return 0;
}

void
base64_feed(struct base64_stream *st, struct buf *b, struct slice s, bool last)
{
	const unsigned char *in = (const unsigned char *)s.p;
	char *out = buf_reserve(b, s.n / 4 * 3 + 6), *start = out;

	if (!out)
		return;
	for (size_t i = 0; i < s.n && !st->end; i++) {
		uint8_t v;

		if (st->have == 0) {
			i += quanta(&out, in + i, s.n - i);
			if (i == s.n)
				break;
		}
		v = value[in[i]];
		if (v == PAD)
			st->end = true;
		if (v >= BAD)
			continue;
		st->acc = st->acc << 6 | v;
		if (++st->have == 4) {
			*out++ = (char)(st->acc >> 16);
			*out++ = (char)(st->acc >> 8);
			*out++ = (char)st->acc;
			st->have = 0;
		}
	}
	if (last || st->end) {
		if (st->have >= 2)
			*out++ = (char)(st->acc >> (st->have == 2 ? 4 : 10));
		if (st->have == 3)
			*out++ = (char)(st->acc >> 2);
		st->have = 0;
	}
	b->n += (size_t)(out - start);
}

void
base64_parse_mime(struct buf *b, struct slice s)
{
	struct base64_stream st = { 0 };

	base64_feed(&st, b, s, true);
}

/* ---- RFC 4648 5 --------------------------------------------------------------------------- */

void
base64_url_write(struct buf *b, struct slice s)
{
	size_t at = b->n;

	base64_write(b, s);
	while (b->n > at && b->p[b->n - 1] == '=')
		b->n--;
	for (size_t i = at; i < b->n; i++)
		b->p[i] = b->p[i] == '+' ? '-' : b->p[i] == '/' ? '_' : b->p[i];
}

int
base64_url_parse(struct buf *b, struct slice s)
{
	struct buf plain = { 0 };
	int r = -EBADMSG;

	for (size_t i = 0; i < s.n; i++) {
		if (strchr("+/=", s.p[i]))
			goto done; /* the other alphabet's */
		buf_char(&plain, s.p[i] == '-' ? '+' : s.p[i] == '_' ? '/' : s.p[i]);
	}
	while (plain.n % 4)
		buf_char(&plain, '=');
	r = base64_parse(b, buf_get(&plain));
done:
	buf_fini(&plain);
	return r;
}
