/* Fuzz target: files of a language's texts of any bytes, and lists of languages: a language is whole or not there. */
#include "base/must.h"
#include "base/utf8.h"
#include "mail/dsn-words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct dsn_words *const known[] = { &dsn_words_english, &dsn_words_german };
	struct slice in = slice((const char *)data, n);
	struct arena a = { 0 };
	struct dsn_words w;
	const char *why = NULL;
	unsigned line = 0;

	if (dsn_words_parse(in, "xx", &a, &w, &line, &why) == 0)
		for (int i = 0; i < DSN_WORDS; i++)
			must(w.text[i] && *w.text[i] && utf8_valid(slice_str(w.text[i])));
	else
		must(why && line > 0);
	arena_reset(&a);
	(void)dsn_words_choose(known, NELEM(known), in);
	return 0;
}
