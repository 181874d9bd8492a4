/* A string in a text: against the plain way, over texts that make near misses. */
#include "message/word.h"

#include "../tap.h"

static uint32_t seed = 1;

static uint32_t
some(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static bool
plainly(struct slice word, struct slice text)
{
	for (size_t i = 0; i + word.n <= text.n; i++) {
		size_t k = 0;

		while (k < word.n && ascii_lower(text.p[i + k]) == word.p[k])
			k++;
		if (k == word.n)
			return true;
	}
	return false;
}

static bool
has(const char *word, const char *text)
{
	struct message_word w;

	message_word_init(&w, slice_str(word));
	return message_word_in(&w, slice_str(text));
}

/* Few bytes, so that words are often nearly there, and of both cases; the text ends where its memory
 * does, for the sanitizers to see. */
static void
test_random(void)
{
	static const char bytes[] = "abABz@`{\xc3\xa4";
	size_t wrong = 0, found = 0;

	for (int turn = 0; turn < 20000; turn++) {
		size_t n = some(40), m = some(7);
		char *text = malloc(n + 1), word[7];
		struct message_word w;
		bool yes;

		for (size_t i = 0; i < n; i++)
			text[i] = bytes[some(sizeof(bytes) - 1)];
		for (size_t i = 0; i < m; i++)
			word[i] = ascii_lower(bytes[some(sizeof(bytes) - 1)]);
		text = realloc(text, n ? n : 1);
		message_word_init(&w, slice(word, m));
		yes = message_word_in(&w, slice(text, n));
		wrong += yes != plainly(slice(word, m), slice(text, n));
		found += yes;
		free(text);
	}
	eq(wrong, 0, "20,000 words in texts: as the plain way has it");
	ok(found > 2000 && found < 18000, "some are there and some are not (%zu)", found);
}

int
main(void)
{
	ok(has("", "") && has("", "x"), "nothing is everywhere");
	ok(!has("x", "") && !has("xyz", "xy"), "a text that is too short");
	ok(has("invoice", "INVOICE") && has("invoice", "Re: your Invoice 12"), "any case");
	ok(has("s42@example", "\"Sender 42\" <s42@example.org>"), "in an address");
	ok(!has("s42@example", "\"Sender 42\" <s42'example.org> s42` @example"), "nearly is not");
	ok(has("aaaaaaab", "aaaaaaaaaaaaaaaaaaaaaaaaaaab"), "at the end of a run");
	ok(has("\xc3\xa4", "x\xc3\xa4") && !has("\xc3\xa4", "x\xc3\x84"),
	    "other letters as they are");
	test_random();
	return done();
}
