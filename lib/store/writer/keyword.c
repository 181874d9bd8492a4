/* Keywords of a mailbox: a name is a bit of 64, as long as a message has it.
 *
 * Called by the writer's thread.  A mailbox without a free bit first gives back those that no message
 * has, which takes a walk over its index; when that does not help the request is refused as a whole,
 * never done without the keyword.  A bit may change its meaning only here, in between requests: bits
 * that a request has in its hands must not be older than its call of writer_box_keywords_fit. */
#include "base/mem.h"
#include "store/writer/writer-impl.h"

static int
keyword_find(const struct wbox *b, struct slice word)
{
	for (int i = 0; i < b->nkeywords; i++)
		if (slice_ieq(slice_str(b->keywords[i]), word))
			return i;
	return -1;
}

static int
keyword_make(struct writer *w, struct wbox *b, struct slice word)
{
	int free = keyword_find(b, S(""));

	if (free < 0 && b->nkeywords == STORE_KEYWORDS)
		return -1;
	if (free < 0) {
		b->keywords = mem_grow(b->keywords, b->nkeywords + 1u, sizeof(*b->keywords));
		free = b->nkeywords++;
	} else
		mem_free(&b->keywords[free]);
	b->keywords[free] = mem_strn(word.p, word.n);
	writer_box_dirty(w, b);
	return free;
}

uint64_t
writer_box_keywords(struct writer *w, struct wbox *b, struct slice names, bool make)
{
	struct slice word;
	uint64_t bits = 0;

	while (store_keyword_next(&names, &word)) {
		int bit = keyword_find(b, word);

		if (bit < 0 && make)
			bit = keyword_make(w, b, word);
		if (bit >= 0)
			bits |= 1ull << bit;
	}
	return bits;
}

/* ---- room ---------------------------------------------------------------------------------- */

static enum edit
keyword_used_one(void *arg, struct store_record *rec)
{
	uint64_t *used = arg;

	*used |= rec->keywords;
	return EDIT_KEEP;
}

static void
keywords_give_back(struct writer *w, struct wbox *b)
{
	uint64_t used = 0;

	(void)writer_box_walk_states(w, b, NULL, NULL, 0, keyword_used_one, &used);
	for (size_t i = 0; i < b->nkeywords && !w->error; i++)
		if (!(used & 1ull << i) && *b->keywords[i]) {
			*b->keywords[i] = 0;
			writer_box_dirty(w, b);
		}
}

static size_t
keywords_free(const struct wbox *b)
{
	size_t n = (size_t)STORE_KEYWORDS - b->nkeywords;

	for (size_t i = 0; i < b->nkeywords; i++)
		n += !*b->keywords[i];
	return n;
}

/* How many of the words are new, each counted once; more than a mailbox can have = as many. */
static size_t
keywords_new(const struct wbox *b, const struct slice *names, size_t n)
{
	struct slice new[STORE_KEYWORDS], rest, word;
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		for (rest = names[i]; store_keyword_next(&rest, &word);) {
			size_t k = 0;

			while (k < count && !slice_ieq(new[k], word))
				k++;
			if (k < count || keyword_find(b, word) >= 0)
				continue;
			if (count == STORE_KEYWORDS)
				return count + 1;
			new[count++] = word;
		}
	return count;
}

bool
writer_box_keywords_fit(struct writer *w, struct wbox *b, const struct slice *names, size_t n)
{
	if (keywords_new(b, names, n) <= keywords_free(b))
		return true;
	keywords_give_back(w, b);
	return keywords_new(b, names, n) <= keywords_free(b);
}

bool
writer_box_keywords_fit_copies(struct writer *w, struct wbox *from, struct wbox *to,
    const struct store_record *rec, size_t n)
{
	struct slice names[STORE_KEYWORDS];
	uint64_t used = 0;
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		used |= rec[i].keywords;
	for (size_t i = 0; from != to && i < from->nkeywords; i++)
		if (used & 1ull << i)
			names[count++] = slice_str(from->keywords[i]);
	return count == 0 || writer_box_keywords_fit(w, to, names, count);
}

bool
writer_reply_if_keywords(struct store_job *j, bool fit)
{
	if (!fit)
		writer_reply_fail(j, STORE_LIMIT, verdict(OUT_STORE_KEYWORDS_MANY));
	return !fit;
}
