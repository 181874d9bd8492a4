/* sieve/match.h: comparing: comparators, match types, wildcards.  Private to lib/sieve. */
#ifndef SIEVE_MATCH_H
#define SIEVE_MATCH_H
#include "sieve/sieve-impl.h"

struct sieve_comparator {
	const char *name, *extension; /* to be required; NULL: always there */
	/* Appends the form that is compared octet by octet; NULL: the text itself. */
	void (*fold)(struct buf *, struct slice);
	int (*compare)(struct slice a, struct slice b); /* of forms */
	bool pieces;  /* has substrings: :contains and :matches (RFC 4790 4.2.3) */
	bool octets;  /* a wildcard's character is an octet */
	bool resized; /* the form is not as long as the text */
};

/* Wildcards (RFC 5228 2.7.1): `*` is as little as can be, which RFC 5229 3.2 asks of what is
 * captured.  Costs pattern times text at worst, counted as work of the run. */
struct sieve_span {
	size_t at, end;
};
struct sieve_glob {
	struct slice pattern, text; /* forms */
	bool octets;
	const uint32_t
	    *origin; /* of each octet of the form, the octet of the text; NULL: the same */
	struct sieve_span spans[SIEVE_MATCH_VALUES]; /* of each wildcard, from 1 */
	unsigned n;
};
bool sieve_glob(struct sieve_run *, const struct sieve_call *, struct sieve_glob *);

/* Tries a compiled expression; the values of the groups (0 is all of it) go to r->matches when
 * `capture`. */
bool sieve_regex_match(struct sieve_run *, const struct sieve_call *, const struct sieve_regex *,
    struct slice text, bool capture);
#endif
