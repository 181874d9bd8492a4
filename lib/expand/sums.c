/* sums.c: a set of sums: see sums.h.  Open addressing; nothing is ever taken out. */
#include <openssl/evp.h>
#include <string.h>
#include "base/mem.h"
#include "base/must.h"
#include "expand/sums.h"

#define ROOM_FIRST 64 /* a power of two, as each one behind it */

void
expand_sum(unsigned char sum[EXPAND_SUM], char kind, struct slice name)
{
	unsigned char whole[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	must(c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1);
	must(EVP_DigestUpdate(c, &kind, 1) == 1 && EVP_DigestUpdate(c, name.p, name.n) == 1);
	must(EVP_DigestFinal_ex(c, whole, NULL) == 1);
	EVP_MD_CTX_free(c);
	memcpy(sum, whole, EXPAND_SUM);
	sum[0] |= 1; /* never all zeros */
}

/* Where it is, or the free place where it would be. */
static size_t
sums_place(const struct expand_sums *s, const unsigned char sum[EXPAND_SUM])
{
	static const unsigned char none[EXPAND_SUM];
	uint64_t at;

	memcpy(&at, sum + 8, sizeof(at));
	for (at &= s->room - 1;; at = (at + 1) & (s->room - 1))
		if (memcmp(s->slot[at], sum, EXPAND_SUM) == 0 ||
		    memcmp(s->slot[at], none, EXPAND_SUM) == 0)
			return (size_t)at;
}

bool
expand_sums_have(const struct expand_sums *s, const unsigned char sum[EXPAND_SUM])
{
	return s->room && memcmp(s->slot[sums_place(s, sum)], sum, EXPAND_SUM) == 0;
}

static void
sums_grow(struct expand_sums *s)
{
	struct expand_sums old = *s;

	s->room = old.room ? old.room * 2 : ROOM_FIRST;
	s->slot = mem_array(s->room, sizeof(*s->slot));
	for (size_t i = 0; i < old.room; i++)
		if (old.slot[i][0])
			memcpy(s->slot[sums_place(s, old.slot[i])], old.slot[i], EXPAND_SUM);
	mem_free(&old.slot);
}

bool
expand_sums_add(struct expand_sums *s, const unsigned char sum[EXPAND_SUM])
{
	size_t at;

	if (s->n + 1 > s->room / 4 * 3)
		sums_grow(s);
	at = sums_place(s, sum);
	if (memcmp(s->slot[at], sum, EXPAND_SUM) == 0)
		return false;
	memcpy(s->slot[at], sum, EXPAND_SUM);
	s->n++;
	return true;
}

void
expand_sums_add_all(struct expand_sums *s, struct slice sums)
{
	for (; sums.n >= EXPAND_SUM; sums = slice_from(sums, EXPAND_SUM))
		(void)expand_sums_add(s, (const unsigned char *)sums.p);
}

void
expand_sums_fini(struct expand_sums *s)
{
	mem_free(&s->slot);
	s->n = s->room = 0;
}
