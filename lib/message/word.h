/* message/word.h: one string looked for in many short texts: SEARCH SUBJECT over a mailbox.
 *
 * Made ready once for each key of a search, then asked for every message, over some fifty bytes
 * each; needles.h is for long texts and many strings.  ASCII letters of the text may be of either
 * case, other text is folded as the string is (message/text.h).  Pure; nothing can fail. */
#ifndef MESSAGE_WORD_H
#define MESSAGE_WORD_H
#include "base/slice.h"

struct message_word {
	struct slice text; /* as casemap_search_to() makes it; borrowed */
	/* Its two rarest bytes: where they stand, eight copies of each, and the bits in which the
	 * cases of a letter differ. */
	size_t at[2];
	uint64_t byte[2], cases[2];
};

void message_word_init(struct message_word *w, struct slice text);
/* Cost: the text's bytes, an eighth of that when it has little in common with the string; at worst
 * their product, and a text is at most MESSAGE_DIGEST_MAX. */
bool message_word_in(const struct message_word *w, struct slice text);
#endif
