/* print.c: formats of strings and plain numbers; see print.h.
 *
 * Called by log, buf, arena and by verdicts.  Nothing can fail that does not fail in vsnprintf.
 * What must stay true: a format with anything else in it is given to vsnprintf as a whole, with its
 * arguments from the first, so there is no third behaviour. */
#include "base/print.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct print {
	char *at, *end; /* room, without that for the NUL */
	size_t n;       /* length of all, also of what found no room */
	va_list ap;
};

static void
print_bytes(struct print *o, const char *s, size_t n)
{
	size_t fits = (size_t)(o->end - o->at);

	o->n += n;
	if (fits > n)
		fits = n;
	if (fits == 0)
		return;
	memcpy(o->at, s, fits);
	o->at += fits;
}

static void
print_number(struct print *o, uint64_t v, bool minus)
{
	char digits[21], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	if (minus)
		*--p = '-';
	print_bytes(o, p, (size_t)(digits + sizeof(digits) - p));
}

static void
print_signed(struct print *o, int64_t v)
{
	print_number(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

/* "%.*s", "%.150s", "%s" from behind the "%"; false: it is something else. */
static bool
print_string(struct print *o, const char **fmt)
{
	const char *f = *fmt, *s;
	int most = INT_MAX;

	if (f[0] == '.' && f[1] == '*') {
		most = va_arg(o->ap, int);
		f += 2;
	} else if (f[0] == '.') {
		for (most = 0, f++; *f >= '0' && *f <= '9' && most < 10000; f++)
			most = most * 10 + (*f - '0');
	}
	if (*f != 's' || most < 0 || !(s = va_arg(o->ap, const char *)))
		return false;
	print_bytes(o, s, most == INT_MAX ? strlen(s) : strnlen(s, (size_t)most));
	*fmt = f + 1;
	return true;
}

/* "%d", "%u" and their kin from behind the "%"; false: it is something else. */
static bool
print_integer(struct print *o, const char **fmt)
{
	const char *f = *fmt;
	int longs = 0;
	bool size = false;

	for (; *f == 'l' && longs < 2; f++)
		longs++;
	if (*f == 'z' && longs == 0) {
		size = true;
		f++;
	}
	if ((*f == 'd' || *f == 'i') && !size)
		print_signed(o,
		    longs == 2     ? va_arg(o->ap, long long) :
			longs == 1 ? va_arg(o->ap, long) :
				     va_arg(o->ap, int));
	else if (*f == 'u')
		print_number(o,
		    size           ? va_arg(o->ap, size_t) :
			longs == 2 ? va_arg(o->ap, unsigned long long) :
			longs == 1 ? va_arg(o->ap, unsigned long) :
				     va_arg(o->ap, unsigned),
		    false);
	else
		return false;
	*fmt = f + 1;
	return true;
}

/* False when there is something that is not for us. */
static bool
print_simple(struct print *o, const char *fmt)
{
	for (;;) {
		const char *f = strchrnul(fmt, '%');
		char c;

		print_bytes(o, fmt, (size_t)(f - fmt));
		if (!*f)
			return true;
		fmt = f + 1;
		if (*fmt == '%' || *fmt == 'c') {
			c = *fmt == 'c' ? (char)va_arg(o->ap, int) : '%';
			print_bytes(o, &c, 1);
			fmt++;
		} else if (*fmt == 's' || *fmt == '.') {
			if (!print_string(o, &fmt))
				return false;
		} else if (!print_integer(o, &fmt)) {
			return false;
		}
	}
}

int
print_va(char *dst, size_t room, const char *fmt, va_list ap)
{
	struct print o = { .at = dst, .end = room ? dst + room - 1 : dst };
	int n;

	va_copy(o.ap, ap);
	if (print_simple(&o, fmt) && o.n <= INT_MAX) {
		if (room)
			*o.at = '\0';
		n = (int)o.n;
	} else {
		n = vsnprintf(dst, room, fmt, ap);
	}
	va_end(o.ap);
	return n;
}

int
print_to(char *dst, size_t room, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = print_va(dst, room, fmt, ap);
	va_end(ap);
	return n;
}
