/* mail/dsn-words.h: what people read in a report (mail/dsn.h), in one language or another.
 *
 * English and German are built in; others are read from files, one for each language:
 *
 *	# a comment
 *	subject.failed = Message non distribué
 *	text.failed = Votre message n'a pas pu être remis
 *		aux destinataires suivants.
 *
 * A line that begins with white space goes on with the text before it.  Texts are UTF-8; `%{host}`, `%{server}`
 * and `%{time}` stand where they may for what is known of the message.  Pure: bytes in, structs out. */
#ifndef MAIL_DSN_WORDS_H
#define MAIL_DSN_WORDS_H
#include "base/arena.h"
#include "base/slice.h"

enum dsn_word {
	/* In the order of enum dsn_action, twice. */
	DSN_SUBJECT,
	DSN_TEXT = DSN_SUBJECT + 5,
	DSN_FROM = DSN_TEXT + 5, /* display name of the sender of reports */
	DSN_GREETING,            /* %{host}: this system */
	DSN_SAID,                /* %{server}: whose words follow */
	DSN_SILENT,              /* in place of words that there are not */
	DSN_UNTIL,               /* %{time}: how long it is tried */
	DSN_WHOLE,
	DSN_HEADER,
	DSN_WORDS
};

struct dsn_words {
	const char *language; /* its tag in lower case, as Content-Language has it: "en", "pt-br" */
	const char *text[DSN_WORDS];
};
extern const struct dsn_words dsn_words_english, dsn_words_german;

/* A language's tag (RFC 5646): letters, digits and `-`, 2 to 35 of them; lower case. */
bool dsn_words_tag_ok(struct slice tag);
/* Reads the texts of a file.  All of *w comes from the arena.  0, or -EBADMSG with *line and *why, which is
 * of the arena, too: every text must be there, once, with no other placeholder than it may have. */
int dsn_words_parse(struct slice file, const char *language, struct arena *a, struct dsn_words *w,
    unsigned *line, const char **why) MUSTCHECK;

/* Those of `n` languages that the list asks for most, or NULL: "de-CH, de;q=0.9, en;q=0.5" as Accept-Language,
 * Content-Language (RFC 3282) and preferredLanguage (RFC 2798) have it.  A tag stands for those that begin with
 * it, and for the longest that it begins with (RFC 4647 3.4); 32 are looked at. */
const struct dsn_words *
dsn_words_choose(const struct dsn_words *const *known, size_t n, struct slice list);
#endif
