/* TLSA records: what is read, what can be used, what a set keeps. */
#include <errno.h>
#include <string.h>
#include "net/tlsa.h"
#include "../tap.h"

static struct tlsa
record(unsigned usage, unsigned selector, unsigned matching, size_t n)
{
	static const char data[100] = "x";

	return (
	    struct tlsa){ (uint8_t)usage, (uint8_t)selector, (uint8_t)matching, slice(data, n) };
}

static void
usable(unsigned usage, unsigned selector, unsigned matching, size_t n, bool want)
{
	struct tlsa t = record(usage, selector, matching, n);

	eq(tlsa_usable(&t), want, "%u %u %u with %zu octets", usage, selector, matching, n);
}

static void
test_parse(void)
{
	const char *why = NULL;
	struct tlsa t;

	eq(tlsa_parse(S("\3\1\1abc"), &t, &why), 0, "a record");
	ok(t.usage == 3 && t.selector == 1 && t.matching == 1 && slice_eq(t.data, S("abc")),
	    "what it says");
	for (size_t n = 0; n < 4; n++) {
		why = NULL;
		ok(tlsa_parse(slice("\3\1\1", n < 3 ? n : 3), &t, &why) == -EBADMSG && why,
		    "%zu octets are none", n);
	}
}

static void
test_usable(void)
{
	for (unsigned usage = 0; usage < 6; usage++)
		usable(usage, TLSA_SPKI, TLSA_SHA256, 32, usage == 2 || usage == 3);
	usable(3, TLSA_CERT, TLSA_SHA256, 32, true);
	usable(3, 2, TLSA_SHA256, 32, false);
	usable(3, TLSA_SPKI, TLSA_SHA256, 31, false);
	usable(3, TLSA_SPKI, TLSA_SHA256, 33, false);
	usable(3, TLSA_SPKI, TLSA_SHA512, 64, true);
	usable(3, TLSA_SPKI, TLSA_SHA512, 32, false);
	usable(2, TLSA_CERT, TLSA_FULL, 90, true);
	usable(2, TLSA_CERT, TLSA_FULL, 0, false);
	usable(3, TLSA_SPKI, 3, 32, false);
	usable(255, 255, 255, 32, false);
}

static void
test_set(void)
{
	char good[3 + 32] = { 3, 1, 1 }, bad[3 + 32] = { 1, 1, 1 };
	struct tlsa_set s = { 0 }, copy;

	tlsa_set_add(&s, slice(bad, sizeof(bad)));
	tlsa_set_add(&s, S(""));
	ok(s.seen == 2 && s.n == 0, "what cannot be used is seen all the same");
	for (int i = 0; i < TLSA_MOST + 5; i++)
		tlsa_set_add(&s, slice(good, sizeof(good)));
	ok(s.seen == TLSA_MOST + 7 && s.n == TLSA_MOST, "it keeps so many and no more");
	memset(good, 'x', sizeof(good));
	tlsa_set_copy(&copy, &s);
	tlsa_set_fini(&s);
	ok(s.seen == 0 && s.n == 0, "nothing is left");
	ok(copy.seen == TLSA_MOST + 7 && copy.n == TLSA_MOST && copy.records[0].usage == 3 &&
		copy.records[TLSA_MOST - 1].data.n == 32 && copy.records[0].data.p[31] == '\0',
	    "a copy has its own");
	tlsa_set_fini(&copy);
}

int
main(void)
{
	test_parse();
	test_usable();
	test_set();
	return done();
}
