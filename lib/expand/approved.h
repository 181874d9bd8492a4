/* expand/approved.h: the words that a message brings to lists with a password, in Approved fields.  Pure. */
#ifndef EXPAND_APPROVED_H
#define EXPAND_APPROVED_H
#include "base/arena.h"
#include "base/buf.h"

#define EXPAND_WORDS 4 /* fields that are looked at: each is a guess */

/* Those that are there, in the arena; how many. */
size_t expand_words_take(struct slice fields, struct arena *a, struct slice words[EXPAND_WORDS]);
/* In a time that does not depend on where the two differ; the empty word is none. */
bool expand_word_same(struct slice a, struct slice b);
/* Appends the fields without them. */
void expand_words_strip(struct slice fields, struct buf *out);
#endif
