/* general.c: keys and values: see general.h. */
#include "base/map.h"
#include "base/mem.h"
#include "mta/general.h"

struct pair {
	struct slice value;
	const char *file;
	int line;
};
struct mta_general {
	struct mta_text text; /* whose lines the values borrow from */
	struct map pairs;     /* by key in lower case */
};

static void
pair_add(struct mta_general *g, const struct mta_line *at, struct mta_notes *notes)
{
	struct slice rest = at->text, key;
	const struct pair *old;
	struct pair *p;

	if (!slice_word(&rest, &key))
		return;
	rest = slice_trim(rest);
	if (rest.n == 0) {
		mta_error(notes, at, "expected a value behind the key " SFMT, SARG(key));
		return;
	}
	key = mta_lower(&g->text.arena, key);
	if ((old = map_get(&g->pairs, key))) {
		mta_error(notes, at, "the key " SFMT " stands in %s:%d already", SARG(key),
		    old->file, old->line);
		return;
	}
	p = arena_new(&g->text.arena, sizeof(*p));
	*p = (struct pair){ rest, at->file, at->line };
	(void)map_put(&g->pairs, key, p);
}

struct mta_general *
mta_general_compile(const char *path, mta_read_fn *read, void *arg, struct mta_notes *notes)
{
	struct mta_general *g = mem_new(sizeof(*g));
	unsigned before = notes->nerrors;

	mta_text_load(&g->text, path, read, arg, notes);
	for (size_t i = 0; i < g->text.n; i++)
		pair_add(g, &g->text.lines[i], notes);
	if (notes->nerrors != before)
		mta_general_free(&g);
	return g;
}

void
mta_general_free(struct mta_general **gp)
{
	struct mta_general *g = *gp;

	if (!g)
		return;
	map_fini(&g->pairs);
	mta_text_fini(&g->text);
	mem_free(gp);
}

size_t
mta_general_keys(const struct mta_general *g)
{
	return g->pairs.n;
}

enum mta_answer
mta_general_find(const struct mta_general *g, struct slice key, struct buf *value)
{
	char folded[MTA_STRING_MAX + 1];
	const struct pair *p;

	if (!g || key.n > MTA_STRING_MAX)
		return MTA_NO;
	for (size_t i = 0; i < key.n; i++)
		folded[i] = ascii_lower(key.p[i]);
	p = map_get(&g->pairs, slice(folded, key.n));
	if (!p)
		return MTA_NO;
	buf_slice(value, p->value);
	return MTA_YES;
}
