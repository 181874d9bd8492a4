/* imap/search.h: SEARCH keys (RFC 3501 6.4.4) parsed into a tree, with ESEARCH's RETURN
 * (RFC 4731, 5182, 5267, 9394) and CONDSTORE's MODSEQ (RFC 7162 3.1.5).  Pure; the program's table says what the
 * words are and how a message answers them. */
#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H
#include "imap/args.h"

/* What follows a key's word. */
enum imap_key_arg {
	IMAP_ARG_NONE,
	IMAP_ARG_TEXT,    /* SP astring -> text */
	IMAP_ARG_DAY,     /* SP date -> day */
	IMAP_ARG_NUMBER,  /* SP number -> number */
	IMAP_ARG_SECONDS, /* SP nz-number -> number */
	IMAP_ARG_KEYWORD, /* SP atom -> name */
	IMAP_ARG_HEADER,  /* SP astring SP astring -> name, text */
	IMAP_ARG_SET,     /* SP sequence-set -> set; also without any word */
	IMAP_ARG_MODSEQ,  /* RFC 7162 3.1.5 -> number */
	IMAP_ARG_UID,     /* SP uniqueid -> number */
	IMAP_ARG_OBJECTID /* SP objectid (RFC 8474 7) -> name */
};

struct imap_key;
struct imap_candidate; /* the program's: the message that is looked at */
enum imap_match {
	IMAP_MATCH_NO,
	IMAP_MATCH_YES,
	IMAP_MATCH_UNKNOWN /* not without reading more of the message */
};

/* One key that a client may say; a key of a later RFC is a row of the program's table. */
struct imap_key_word {
	const char *name; /* NULL: a sequence set that stands alone */
	enum imap_key_arg arg;
	unsigned cost; /* of asking: keys are asked in this order, small numbers first */
	enum imap_match (*match)(const struct imap_key *, struct imap_candidate *);
	unsigned bits;     /* the row's own: flags */
	const char *field; /* the row's own: a header field */
	const char *source;
};

enum imap_key_op { IMAP_KEY_WORD, IMAP_KEY_AND, IMAP_KEY_OR, IMAP_KEY_NOT };
struct imap_key {
	enum imap_key_op op;
	const struct imap_key_word *word; /* of IMAP_KEY_WORD */
	struct imap_key *next;            /* sibling within AND, OR (two), NOT (one) */
	struct imap_key *first;           /* children */
	uint64_t number;                  /* sizes, modseq; or the program's */
	int32_t day;                      /* days since 1970-01-01 */
	uint32_t id;                      /* the program's */
	struct imap_set set;              /* as parsed, or resolved by the program */
	struct slice name;                /* header field or keyword */
	struct slice text; /* by casemap_search_to(); empty matches everything that exists */
	unsigned cost;     /* the dearest below */
};

enum {
	IMAP_RETURN_MIN = 1,
	IMAP_RETURN_MAX = 2,
	IMAP_RETURN_ALL = 4,
	IMAP_RETURN_COUNT = 8,
	IMAP_RETURN_PARTIAL = 16, /* RFC 9394 */
	IMAP_RETURN_SAVE = 32     /* RFC 5182: nothing is told for it */
};

struct imap_search {
	bool esearch; /* RETURN (...) was given */
	unsigned ret; /* with RETURN (): ALL */
	struct imap_partial partial;
	bool update; /* RFC 5267 4.3: its result is to be followed; */
	struct slice
	    update_atts;  /* RFC 5465 7: data items, with parentheses, as written; p NULL: none */
	bool saved;       /* "$" is among the keys */
	bool seqs;        /* a set of message numbers is among the keys */
	bool modseq;      /* a MODSEQ key: the answer carries MODSEQ */
	bool charset;     /* CHARSET was given */
	bool bad_charset; /* [BADCHARSET]: nothing else is valid */
	unsigned nkeys;   /* in the tree */
	struct imap_key *key; /* IMAP_KEY_AND at the top */
};

/* Takes [SP "RETURN" ...] [SP "CHARSET" ...] 1*(SP search-key): `in` stands in front of the
 * first SP.  Keys stand in the client's order. */
bool imap_search_parse(struct imap_in *in, const struct imap_key_word *words, size_t nwords,
    struct imap_search *s);
/* The two halves that SORT has, with its criteria between them, and THREAD the second of: [SP
 * "RETURN" ...], which zeroes *s, and SP charset 1*(SP search-key). */
bool imap_search_parse_options(struct imap_in *in, struct imap_search *s);
bool imap_search_parse_program(struct imap_in *in, const struct imap_key_word *words, size_t nwords,
    struct imap_search *s);
/* Puts the cheap keys of each AND and OR first, by `cost`, which the program may have changed in
 * the leaves.  Cost: at most the square of the number of keys. */
void imap_search_order(struct imap_key *k);
#endif
