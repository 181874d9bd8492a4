/* sieve/lex.h: the tokens of a script (RFC 5228 8.1).  Private to lib/sieve. */
#ifndef SIEVE_LEX_H
#define SIEVE_LEX_H
#include "sieve/sieve.h"

enum sieve_token_kind {
	SIEVE_T_END,
	SIEVE_T_NAME,   /* identifier */
	SIEVE_T_TAG,    /* with its colon */
	SIEVE_T_NUMBER, /* multiplied out */
	SIEVE_T_STRING, /* quoting undone */
	SIEVE_T_CHAR,   /* one of ; , ( ) [ ] { } */
	SIEVE_T_WRONG   /* `why` says it */
};

struct sieve_token {
	enum sieve_token_kind kind;
	struct slice text;
	uint64_t number;
	unsigned line, column;
};

struct sieve_lex {
	struct slice rest;
	const char *line_at; /* where the line began */
	unsigned line;
	struct arena *arena; /* of strings that are not in the script as they are */
	size_t string_max;
	const char *why;
};

/* `script` and `a` live as long as the tokens do. */
void sieve_lex_init(struct sieve_lex *, struct slice script, struct arena *a, size_t string_max);
struct sieve_token sieve_lex_next(struct sieve_lex *);
#endif
