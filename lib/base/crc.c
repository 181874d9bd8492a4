/* crc.c: CRC-32C by the SSE 4.2 instruction where the machine has it, else eight tables. */
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

TARGET_SSE42 static uint32_t
crc_sse42(uint32_t c, const unsigned char *p, size_t n)
{
	uint64_t wide = c, v;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		wide = _mm_crc32_u64(wide, v);
	}
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
