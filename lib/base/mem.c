/* mem.c: malloc that aborts. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/must.h"

/* No formatting, no allocation: the heap is what just failed. */
NORETURN static void
mem_fail(void)
{
	fputs("lvl=error ev=out_of_memory\n", stderr);
	abort();
}

static size_t
mem_size(size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total) || total > PTRDIFF_MAX)
		mem_fail();
	return total ? total : 1;
}

void *
mem_new(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (UNLIKELY(!p))
		mem_fail();
	return p;
}

void *
mem_array(size_t n, size_t size)
{
	return mem_new(mem_size(n, size));
}

void *
mem_grow(void *p, size_t n, size_t size)
{
	p = realloc(p, mem_size(n, size));
	if (UNLIKELY(!p))
		mem_fail();
	return p;
}

char *
mem_str(const char *s)
{
	return mem_strn(s, strlen(s));
}

char *
mem_strn(const char *s, size_t n)
{
	char *p;

	must(n < PTRDIFF_MAX);
	p = malloc(n + 1);
	if (UNLIKELY(!p))
		mem_fail();
	if (n)
		memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	if (vasprintf(&p, fmt, ap) < 0)
		mem_fail();
	va_end(ap);
	return p;
}

void
mem_release(void *p)
{
	free(p);
}
