/* message/word.c: a string in a short text, eight places at a time.
 *
 * Called by digest.c for each message that a search looks at.  The places where the string's two
 * rarest bytes would stand are compared at once, and only where both agree the whole is: of the
 * texts that do not have it most are left without a single comparison of strings.  memmem and its
 * kind lose here, because they make tables or set up wide registers for each call, and a subject
 * is thirty bytes.  What must stay true: no byte outside of the text is read. */
#include "message/word.h"

#include <string.h>

#define EACH(byte) ((uint64_t)(uint8_t)(byte)*UINT64_C(0x0101010101010101))

/* How common a byte is in what people write: those not here are rarer than all that are. */
static size_t
commonness(char c)
{
	static const char often[] = "zqxj0123456789k-_vbypgwfmu@cdlhr.sinoate ";
	const char *p = c ? strchr(often, c) : NULL;

	return p ? (size_t)(p - often) + 1 : 0;
}

void
message_word_init(struct message_word *w, struct slice text)
{
	*w = (struct message_word){ .text = text };
	for (size_t k = 0; k < 2 && text.n > 0; k++) {
		size_t best = k == 1 && w->at[0] == 0 && text.n > 1 ? 1 : 0;
		char c;

		for (size_t i = 0; i < text.n; i++)
			if ((k == 0 || i != w->at[0]) &&
			    commonness(text.p[i]) < commonness(text.p[best]))
				best = i;
		c = text.p[best];
		w->at[k] = best;
		w->byte[k] = EACH(c);
		w->cases[k] = c >= 'a' && c <= 'z' ? EACH('a' ^ 'A') : 0;
	}
}

static bool
word_is(struct slice word, const char *p)
{
	for (size_t i = 0; i < word.n; i++)
		if (ascii_lower(p[i]) != word.p[i])
			return false;
	return true;
}

/* Does the word begin in one of the eight places from p on? */
static inline bool
word_in_eight(const struct message_word *w, const char *p)
{
	uint64_t x, y, z;

	memcpy(&x, p + w->at[0], sizeof(x));
	memcpy(&y, p + w->at[1], sizeof(y));
	z = ((x | w->cases[0]) ^ w->byte[0]) | ((y | w->cases[1]) ^ w->byte[1]);
	/* A byte of z is 0 where both agree; bits above the lowest may be wrong, and comparing
	 * there is harmless. */
	for (z = (z - EACH(1)) & ~z & EACH(0x80); z != 0; z &= z - 1)
		if (word_is(w->text, p + __builtin_ctzll(z) / 8))
			return true;
	return false;
}

bool
message_word_in(const struct message_word *w, struct slice text)
{
	size_t places, i = 0;

	if (w->text.n == 0 || w->text.n > text.n)
		return w->text.n == 0;
	places = text.n - w->text.n + 1;
	for (; i + 8 <= places; i += 8)
		if (word_in_eight(w, text.p + i))
			return true;
	if (i == places)
		return false;
	if (places >= 8) /* the last eight, some of them again */
		return word_in_eight(w, text.p + places - 8);
	for (; i < places; i++)
		if (word_is(w->text, text.p + i))
			return true;
	return false;
}
