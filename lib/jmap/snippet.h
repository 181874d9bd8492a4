/* jmap/snippet.h: what a search has found, shown (RFC 8621 5), and the words of a search (4.4.1).
 *
 * Texts are compared as all search here does, by i;unicode-casemap (base/casemap.h).  Pure; any text gives
 * an answer.  Bounded: at most JMAP_TERMS_MAX words count, and of bodies JMAP_SNIPPET_TEXT characters of each
 * of the first JMAP_SNIPPET_PARTS texts. */
#ifndef JMAP_SNIPPET_H
#define JMAP_SNIPPET_H
#include "jmap/email-structure.h"

#define JMAP_TERMS_MAX     32
#define JMAP_SNIPPET_MAX   255 /* octets of a preview, 5 */
#define JMAP_SNIPPET_TEXT  32768
#define JMAP_SNIPPET_PARTS 8

/* What is looked for: each as casemap_search_to() makes it, never empty. */
struct jmap_terms {
	struct slice term[JMAP_TERMS_MAX];
	size_t n;
	bool cut; /* there were more */
};

/* Adds the words of a filter's text: what stands in '...' or "..." is one, with \', \" and \\ for themselves;
 * else they are divided by white space.  In `a`. */
void jmap_terms_add(struct jmap_terms *t, struct slice text, struct arena *a);

/* Appends the text with its characters <, > and & as references and each place where a term stands within
 * <mark> and </mark>.  most > 0: not more octets than that, from a little before the first place on.  False,
 * and nothing is appended: no term stands there. */
bool jmap_snippet_mark(struct buf *out, struct slice text, const struct jmap_terms *t, size_t most);
/* Appends the subject of a SearchSnippet as JSON: a string, or null; `subject` is the text (jmap_text() makes it),
 * p NULL: there is none. */
void jmap_snippet_subject(struct buf *out, struct slice subject, const struct jmap_terms *t);

/* Its preview, one text after the other, since a text costs some milliseconds: zeroed but for the first two, it is at
 * the beginning. */
struct jmap_snippet_body {
	const struct jmap_structure *structure;
	const struct jmap_terms *terms;
	size_t at, texts; /* parts, and texts among them, that have been looked at */
};
/* Looks into the next text.  True: call again; false: the preview has been appended as JSON, a string or null. */
bool jmap_snippet_body_next(struct jmap_snippet_body *b, struct buf *out);
#endif
