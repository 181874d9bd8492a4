/* SipHash-1-3 with a key of zeros, as another implementation has it. */
#include "../tap.h"
#include "base/siphash.h"

int
main(void)
{
	static const struct {
		const char *text;
		int64_t hash;
	} rows[] = {
		{ "a", 4644417185603328019 },
		{ "abcdefgh", 4574395652268504554 },
		{ "hello wor", -1089141608987618554 },
		{ "0123456789abcdefXYZ", 2899885535711926331 },
	};
	struct siphash_key zero = { { 0, 0 } }, one = { { 1, 0 } }, other = { { 0, 1 } };

	for (size_t i = 0; i < NELEM(rows); i++) {
		struct slice s = slice_str(rows[i].text);

		eq((int64_t)siphash(&zero, s), rows[i].hash, "hash of %s", rows[i].text);
		ok(siphash(&one, s) != siphash(&zero, s) &&
			siphash(&other, s) != siphash(&zero, s) &&
			siphash(&other, s) != siphash(&one, s),
		    "another key, another hash");
	}
	return done();
}
