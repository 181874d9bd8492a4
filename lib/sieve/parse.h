/* sieve/parse.h: the tree of a script, before anything in it means anything.  For the
 * compiler, and rows with `open` and `close` (sieve/word.h). */
#ifndef SIEVE_PARSE_H
#define SIEVE_PARSE_H
#include "sieve/lex.h"

struct sieve_word;

/* An argument: a number, a tag, a string or a list of strings. */
struct sieve_value_node {
	struct sieve_value_node *next;
	enum sieve_token_kind kind; /* NUMBER, TAG or STRING */
	bool list;
	unsigned line, column;
	uint64_t number;
	struct slice tag;
	struct slice *strings;
	size_t n;
};

/* A command or a test: tests hang below what they belong to, the commands of a block below its
 * owner. */
struct sieve_node {
	struct sieve_node *parent, *prev, *next;
	struct sieve_node *tests, *block; /* the first ones */
	struct sieve_value_node *args;
	struct slice name;
	unsigned line, column;
	bool test;      /* not a command */
	bool test_list; /* its tests stand in parentheses */
	bool has_block;
	/* The compiler's: where a test goes on, and where it begins; where a block's owner ends. */
	uint32_t entry, yes, no, end;
	const struct sieve_word *word; /* that it is bound to; NULL: it is wrong */
	struct slice label;            /* of a loop (RFC 5703 3) */
};

/* The first command (NULL of an empty script), or NULL with *why set and *at where.  Blocks and tests
 * are nested `nesting` deep at most.  The nodes are in `tree`, the strings in `strings` or the
 * script. */
struct sieve_node *sieve_parse(struct slice script, const struct sieve_limits *, struct arena *tree,
    struct arena *strings, const char **why, struct sieve_token *at);
#endif
