/* tap.h: the unit tests' whole harness.  Include it in one file per program, call ok() and
 * is() as often as needed, end main with `return done();`.  Output is TAP 13 for prove. */
#ifndef TAP_H
#define TAP_H
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_run, tap_failed;

/* One test point: `cond` and what it means. */
#define ok(cond, ...) tap_ok((cond), __FILE__, __LINE__, #cond, __VA_ARGS__)

__attribute__((format(printf, 5, 6))) static inline bool
tap_ok(bool good, const char *file, int line, const char *expr, const char *fmt, ...)
{
	va_list ap;

	tap_run++;
	tap_failed += !good;
	printf("%sok %d - ", good ? "" : "not ", tap_run);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (!good)
		printf("# failed at %s:%d: %s\n", file, line, expr);
	fflush(stdout);
	return good;
}

/* Text is what it should be; on failure both are shown. */
#define is(got, want, ...)                                                                         \
	do {                                                                                       \
		const char *tap_g = (got), *tap_w = (want);                                        \
		if (!ok(tap_g && tap_w && strcmp(tap_g, tap_w) == 0, __VA_ARGS__))                 \
			printf("#  got: %s\n# want: %s\n", tap_g ? tap_g : "(null)",               \
			    tap_w ? tap_w : "(null)");                                             \
	} while (0)

/* Two integers are equal. */
#define eq(got, want, ...)                                                                         \
	do {                                                                                       \
		long long tap_g = (long long)(got), tap_w = (long long)(want);                     \
		if (!ok(tap_g == tap_w, __VA_ARGS__))                                              \
			printf("#  got: %lld\n# want: %lld\n", tap_g, tap_w);                      \
	} while (0)

static inline int
done(void)
{
	printf("1..%d\n", tap_run);
	return tap_failed != 0;
}
#endif
