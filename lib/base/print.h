/* base/print.h: snprintf for what is printed for each message.
 *
 * The C library's is written for all that a format can say; our lines of log, replies and trace
 * fields say strings and numbers, and a delivery has a dozen of them.  The same result as
 * vsnprintf, in a sixth of the time for %s %.*s %.9s %c %d %i %u with l, ll and z; all else is
 * handed to vsnprintf. */
#ifndef BASE_PRINT_H
#define BASE_PRINT_H
#include <stdarg.h>
#include "base/attr.h"

/* As vsnprintf: at most `room` bytes with the NUL; returns the length of the whole. */
int print_va(char *dst, size_t room, const char *fmt, va_list ap) PRINTF(3, 0);
int print_to(char *dst, size_t room, const char *fmt, ...) PRINTF(3, 4);
#endif
