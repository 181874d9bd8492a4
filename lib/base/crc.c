/* crc.c: CRC-32C by the SSE 4.2 instruction where the machine has it, else eight tables.
 *
 * Called for every octet of a message, in each program that it passes, and for each row of the
 * store.  Nothing can fail.  What must stay true: all roads give the same (t/base/crc.c).  The
 * instruction's result is there after three cycles, but another can begin in each: three stretches
 * are summed up at once and then put together, for which a sum is moved over the stretches behind
 * it by one multiplication without carries. */
#include <pthread.h>
#include <string.h>
#include "base/attr.h"
#include "base/crc.h"

#define POLY 0x82f63b78u /* Castagnoli, reflected */

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void
table_make(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? POLY : 0);
		table[0][i] = c;
	}
	for (int t = 1; t < 8; t++)
		for (int i = 0; i < 256; i++)
			table[t][i] = table[t - 1][i] >> 8 ^ table[0][table[t - 1][i] & 255];
}

static uint32_t
crc_table(uint32_t c, const unsigned char *p, size_t n)
{
	(void)pthread_once(&table_once, table_make);
	for (; n >= 8; p += 8, n -= 8) {
		c ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
		    (uint32_t)p[3] << 24;
		c = table[7][c & 255] ^ table[6][c >> 8 & 255] ^ table[5][c >> 16 & 255] ^
		    table[4][c >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
		    table[0][p[7]];
	}
	for (; n > 0; p++, n--)
		c = c >> 8 ^ table[0][(c ^ *p) & 255];
	return c;
}

#if HAVE_SSE42
#include <nmmintrin.h>
#include <wmmintrin.h>

#define STRETCH 256 /* octets */
/* x to the power of 8 * octets - 33, modulo the polynomial, reflected: what moves a sum over a
 * stretch, and over two.  The product is 33 bits short of where it belongs, and the instruction
 * itself, given it, makes up for that. */
#define OVER_ONE INT64_C(0xb9e02b86)
#define OVER_TWO INT64_C(0xdd7e3b0c)

static inline uint64_t
crc_load(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

TARGET_SSE42 static uint32_t
crc_stretches(uint32_t c, const unsigned char *p)
{
	uint64_t first = c, second = 0, third = 0;
	__m128i moved;

	for (const unsigned char *end = p + STRETCH; p < end; p += 8) {
		first = _mm_crc32_u64(first, crc_load(p));
		second = _mm_crc32_u64(second, crc_load(p + STRETCH));
		third = _mm_crc32_u64(third, crc_load(p + 2 * STRETCH));
	}
	moved = _mm_xor_si128(_mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)first),
				  _mm_cvtsi64_si128(OVER_TWO), 0),
	    _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)second), _mm_cvtsi64_si128(OVER_ONE),
		0));
	return (uint32_t)(_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(moved)) ^ third);
}

TARGET_SSE42 static uint32_t
crc_sse42(uint32_t c, const unsigned char *p, size_t n)
{
	uint64_t wide;

	for (; n >= 3 * STRETCH; p += 3 * STRETCH, n -= 3 * STRETCH)
		c = crc_stretches(c, p);
	wide = c;
	for (; n >= 8; p += 8, n -= 8)
		wide = _mm_crc32_u64(wide, crc_load(p));
	c = (uint32_t)wide;
	for (; n > 0; p++, n--)
		c = _mm_crc32_u8(c, *p);
	return c;
}
#endif

uint32_t
crc32c(uint32_t crc, const void *p, size_t n)
{
#if HAVE_SSE42
	if (CPU_SSE42())
		return ~crc_sse42(~crc, p, n);
#endif
	return ~crc_table(~crc, p, n);
}

uint32_t
crc32c_portable(uint32_t crc, const void *p, size_t n)
{
	return ~crc_table(~crc, p, n);
}
