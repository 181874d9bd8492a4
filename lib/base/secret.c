/* base/secret.c: bytes that are wiped (secret.h). */
#include "base/secret.h"

#include <string.h>

#include "base/mem.h"

void
secret_clear(void *p, size_t n)
{
	if (p && n)
		explicit_bzero(p, n);
}

void
secret_wipe(struct secret *s)
{
	secret_clear(s->p, s->n);
	mem_free(&s->p);
	s->n = 0;
}

void
secret_set(struct secret *s, struct slice bytes)
{
	char *p = mem_strn(bytes.p, bytes.n);

	secret_wipe(s);
	s->p = p;
	s->n = bytes.n;
}

struct slice
secret_get(const struct secret *s)
{
	return slice(s->p, s->n);
}
