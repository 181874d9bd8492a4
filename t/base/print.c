/* print.c: the same as vsnprintf, in every room. */
#include "base/print.h"
#include <limits.h>
#include <stdint.h>
#include "../tap.h"

static bool all;

#define SAME(...)                                                                                  \
	do {                                                                                       \
		for (size_t room = 0; room < 70; room++) {                                         \
			char got[80], want[80];                                                    \
			memset(got, 'x', sizeof(got));                                             \
			memset(want, 'x', sizeof(want));                                           \
			all = print_to(got, room, __VA_ARGS__) ==                                  \
				snprintf(want, room, __VA_ARGS__) &&                               \
			    memcmp(got, want, sizeof(got)) == 0 && all;                            \
		}                                                                                  \
	} while (0)

/* What is printed for each message: every conversion that has a way of its own. */
static void
test_simple(void)
{
	static const char *const texts[] = { "", "a", "words with blanks", "\xc3\xa4\n" };
	static const long long numbers[] = { 0, 1, -1, 9, 10, 99, 100, INT_MAX, INT_MIN, LLONG_MAX,
		LLONG_MIN, 1234567890123 };

	all = true;
	for (size_t i = 0; i < NELEM(texts); i++) {
		SAME("%s", texts[i]);
		SAME("<%s> and %s", texts[i], texts[i]);
		SAME("%.3s|%.0s|%.20s", texts[i], texts[i], texts[i]);
		SAME("%.*s|%.*s", 2, texts[i], 100, texts[i]);
	}
	ok(all, "texts");
	all = true;
	for (size_t i = 0; i < NELEM(numbers); i++) {
		long long v = numbers[i];

		SAME("%d %i %u", (int)v, (int)v, (unsigned)v);
		SAME("%ld %lu %lld %llu", (long)v, (unsigned long)v, v, (unsigned long long)v);
		SAME("%zu%%%c", (size_t)v, 'x');
	}
	ok(all, "numbers");
}

/* What has not: given on from the first argument, wherever in the format it stands. */
static void
test_rest(void)
{
	static const char *volatile none;
	const char *volatile *nothing = &none;

	all = true;
	SAME("%s %5d %s", "a", 7, "b");
	SAME("%04d-%02x %-9s| %+d", 7, 255u, "left", 3);
	SAME("%d %.2f %s", 1, 2.5, "x");
	SAME("%s %hhu %c", "x", (unsigned char)200, 'y');
	SAME("%s %zd", "x", (ssize_t)-5);
	SAME("%jd %#x %.3d", (intmax_t)5, 16u, 7);
	ok(all, "whatever else a format can say");
	all = true;
	SAME("%.*s|", 0, *nothing);
	SAME("%.*s|", -1, "negative");
	ok(all, "a slice of nothing");
}

int
main(void)
{
	test_simple();
	test_rest();
	return done();
}
