/* crc.c: CRC-32C by both roads, against RFC 3720 B.4. */
#include "base/crc.h"
#include "../tap.h"

int
main(void)
{
	unsigned char data[4096];
	bool same = true;

	memset(data, 0, 32);
	ok(crc32c(0, data, 32) == 0x8a9136aau, "32 zeros");
	memset(data, 0xff, 32);
	ok(crc32c(0, data, 32) == 0x62a8ab43u, "32 ones");
	for (int i = 0; i < 32; i++)
		data[i] = (unsigned char)i;
	ok(crc32c(0, data, 32) == 0x46dd794eu, "32 rising");
	ok(crc32c(0, "123456789", 9) == 0xe3069283u, "the check value");
	ok(crc32c_portable(0, "123456789", 9) == 0xe3069283u, "the check value by table");
	ok(crc32c(0, NULL, 0) == 0, "nothing");
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7 + (i >> 3));
	for (size_t at = 0; at < 9; at++)
		for (size_t n = 0; n + at <= sizeof(data); n += 13 + 97 * (n > 900))
			same &= crc32c(1, data + at, n) == crc32c_portable(1, data + at, n);
	ok(same, "both roads agree at every alignment");
	for (size_t cut = 0; cut <= sizeof(data); cut += 31)
		same &= crc32c(crc32c(0, data, cut), data + cut, sizeof(data) - cut) ==
		    crc32c(0, data, sizeof(data));
	ok(same, "pieces give the same");
	return done();
}
