/* net/tlsa.c: see tlsa.h.  No I/O. */
#include "net/tlsa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

int
tlsa_parse(struct slice rdata, struct tlsa *t, const char **why)
{
	*t = (struct tlsa){ 0 };
	if (rdata.n < 4) {
		*why = "a TLSA record without data";
		return -EBADMSG;
	}
	t->usage = (uint8_t)rdata.p[0];
	t->selector = (uint8_t)rdata.p[1];
	t->matching = (uint8_t)rdata.p[2];
	t->data = slice_from(rdata, 3);
	return 0;
}

bool
tlsa_usable(const struct tlsa *t)
{
	if (t->usage != TLSA_DANE_TA && t->usage != TLSA_DANE_EE)
		return false;
	if (t->selector != TLSA_CERT && t->selector != TLSA_SPKI)
		return false;
	switch (t->matching) {
	case TLSA_FULL: return t->data.n > 0;
	case TLSA_SHA256: return t->data.n == 32;
	case TLSA_SHA512: return t->data.n == 64;
	default: return false;
	}
}

static void
set_push(struct tlsa_set *s, const struct tlsa *t)
{
	struct tlsa *own;

	s->records = mem_grow(s->records, s->n + 1, sizeof(*s->records));
	own = &s->records[s->n++];
	*own = *t;
	own->data.p = mem_strn(t->data.p, t->data.n);
}

void
tlsa_set_add(struct tlsa_set *s, struct slice rdata)
{
	const char *why;
	struct tlsa t;

	s->seen++;
	if (tlsa_parse(rdata, &t, &why) == 0 && tlsa_usable(&t) && s->n < TLSA_MOST)
		set_push(s, &t);
}

void
tlsa_set_copy(struct tlsa_set *to, const struct tlsa_set *from)
{
	*to = (struct tlsa_set){ .seen = from->seen };
	for (size_t i = 0; i < from->n; i++)
		set_push(to, &from->records[i]);
}

void
tlsa_set_fini(struct tlsa_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		free((char *)(uintptr_t)s->records[i].data.p);
	free(s->records);
	*s = (struct tlsa_set){ 0 };
}
