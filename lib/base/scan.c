/* scan.c: vectors of 16 bytes, four of them for each decision.
 *
 * Called for each message: by smtp/body, mail/mime and imap/write.  The compiler makes of the
 * vectors what the machine has (SSE2, NEON, or plain words), so that there is one form to test.
 * What must stay true: no octet behind the slice is read; that which stands right behind the
 * octets that are answered for is read, and belongs to it. */
#include "base/scan.h"

typedef unsigned char scan_vec VECTOR(16);
typedef unsigned char scan_sign VECTOR(16); /* 0xff where something is true */

#define SCAN_BLOCK 64

static inline scan_vec
scan_load(const char *p)
{
	scan_vec v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline scan_sign
scan_is(scan_vec v, char c)
{
	return (scan_sign)(v == (scan_vec){ 0 } + (unsigned char)c);
}

static inline bool
scan_any(scan_sign v)
{
	uint64_t half[2];

	memcpy(half, &v, sizeof(half));
	return (half[0] | half[1]) != 0;
}

static inline size_t
scan_sum(scan_vec v)
{
	size_t sum = 0;

	for (size_t i = 0; i < sizeof(v); i++)
		sum += v[i];
	return sum;
}

/* One vector of a block: counts its line ends, and says where `mark` follows one. */
static inline scan_sign
scan_line_ends(const char *p, char mark, scan_vec *count)
{
	scan_sign lf = scan_is(scan_load(p), '\n');

	*count -= lf;
	return mark ? lf & scan_is(scan_load(p + 1), mark) : (scan_sign){ 0 };
}

size_t
scan_lines(struct slice s, char mark, size_t *lines)
{
	size_t at = 0;
	bool met = false;

	while (!met && s.n - at > SCAN_BLOCK) {
		scan_vec count = { 0 }, before;
		int left = 63; /* blocks until a byte of `count` could overflow */

		for (; left > 0 && s.n - at > SCAN_BLOCK; left--, at += SCAN_BLOCK) {
			const char *p = s.p + at;
			scan_sign bad;

			before = count;
			bad = scan_line_ends(p, mark, &count);
			bad |= scan_line_ends(p + 16, mark, &count);
			bad |= scan_line_ends(p + 32, mark, &count);
			bad |= scan_line_ends(p + 48, mark, &count);
			met = mark && scan_any(bad);
			if (met) {
				count = before;
				break;
			}
		}
		*lines += scan_sum(count);
	}
	return at;
}

/* Where CR and LF are not together, or a dot begins a line. */
static inline scan_sign
scan_odd(const char *p)
{
	scan_vec v = scan_load(p), next = scan_load(p + 1);

	return (scan_is(v, '\r') ^ scan_is(next, '\n')) | (scan_is(v, '\n') & scan_is(next, '.'));
}

size_t
scan_crlf(struct slice s)
{
	size_t at = 0;

	if (s.n == 0 || s.p[0] == '\n')
		return 0;
	for (; s.n - at > SCAN_BLOCK; at += SCAN_BLOCK) {
		const char *p = s.p + at;

		if (scan_any(scan_odd(p) | scan_odd(p + 16) | scan_odd(p + 32) | scan_odd(p + 48)))
			break;
	}
	return at > 0 && s.p[at - 1] == '\r' ? at - 1 : at;
}

/* ---- short texts ------------------------------------------------------------------------------- */

#define EACH(byte) ((uint64_t)(unsigned char)(byte)*UINT64_C(0x0101010101010101))

static inline uint64_t
scan_word_has(uint64_t x, char c)
{
	x ^= EACH(c);
	return (x - EACH(1)) & ~x;
}

bool
scan_plain(struct slice s, const char not [2])
{
	size_t i = 0;
	uint64_t x, bad = 0;

	for (; i + 8 <= s.n; i += 8) {
		memcpy(&x, s.p + i, 8);
		/* below a blank, DEL, or above: the borrow and the carry reach the high bit */
		bad |= ((x - EACH(' ')) & ~x) | (x + EACH(1)) | x;
		bad |= scan_word_has(x, not [0]) | scan_word_has(x, not [1]);
	}
	if (bad & EACH(0x80))
		return false;
	for (; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~' || s.p[i] == not [0] || s.p[i] == not [1])
			return false;
	return true;
}
