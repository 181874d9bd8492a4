/* base/mem.h: allocation that cannot fail (out of memory aborts; the supervisor restarts) and
 * sizes that cannot overflow. */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stddef.h>
#include "base/attr.h"

void *mem_new(size_t n) MUSTCHECK;                        /* zeroed; mem_free() or free() */
void *mem_array(size_t n, size_t size) MUSTCHECK;         /* zeroed, n * size checked */
void *mem_grow(void *p, size_t n, size_t size) MUSTCHECK; /* realloc to n * size, checked */
char *mem_str(const char *s) MUSTCHECK;                   /* strdup */
char *mem_strn(const char *s, size_t n) MUSTCHECK;        /* n bytes and a NUL */
char *mem_printf(const char *fmt, ...) MUSTCHECK PRINTF(1, 2);

/* free and forget: mem_free(&p). */
#define mem_free(pp) (mem_release(*(pp)), *(pp) = NULL)
void mem_release(void *p);
#endif
