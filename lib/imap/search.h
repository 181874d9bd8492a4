/* imap/search.h: SEARCH keys (RFC 3501 6.4.4) parsed into a tree, with ESEARCH's RETURN
 * (RFC 4731) and CONDSTORE's MODSEQ (RFC 7162 3.1.5).  Pure; cmd/imapd evaluates it. */
#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H
#include "imap/args.h"

enum imap_key_op {
	/* Answered from the index. */
	IMAP_KEY_ALL, IMAP_KEY_SEQ, IMAP_KEY_UID, IMAP_KEY_FLAGS /* all of `bits` set */,
	IMAP_KEY_NOFLAGS /* none of `bits` set */, IMAP_KEY_NEW, IMAP_KEY_OLD, IMAP_KEY_RECENT,
	IMAP_KEY_KEYWORD, IMAP_KEY_UNKEYWORD, IMAP_KEY_LARGER, IMAP_KEY_SMALLER,
	IMAP_KEY_BEFORE, IMAP_KEY_ON, IMAP_KEY_SINCE, IMAP_KEY_MODSEQ,
	/* From the cache record. */
	IMAP_KEY_SENTBEFORE, IMAP_KEY_SENTON, IMAP_KEY_SENTSINCE, IMAP_KEY_FIELD,
	/* From the file. */
	IMAP_KEY_HEADER, IMAP_KEY_BODY, IMAP_KEY_TEXT,
	/* Of other keys. */
	IMAP_KEY_AND, IMAP_KEY_OR, IMAP_KEY_NOT
};

struct imap_key {
	enum imap_key_op op;
	struct imap_key *next;  /* sibling within AND, OR (two), NOT (one) */
	struct imap_key *first; /* children */
	unsigned bits;          /* IMAP_SEEN ... */
	uint64_t number;        /* sizes, modseq */
	int32_t day;            /* days since 1970-01-01 */
	int field;              /* IMAP_KEY_FIELD: enum imap_field */
	struct imap_set set;    /* as parsed, or resolved by the owner */
	struct slice name;      /* header field or keyword */
	struct slice text;      /* UTF-8, case-folded; empty matches everything that exists */
	unsigned cost;          /* 0 index, 1 cache, 2 file: the dearest part below */
};

enum { IMAP_RETURN_MIN = 1, IMAP_RETURN_MAX = 2, IMAP_RETURN_ALL = 4, IMAP_RETURN_COUNT = 8 };

struct imap_search {
	bool esearch;        /* RETURN (...) was given */
	unsigned ret;        /* with RETURN (): ALL */
	bool modseq;         /* a MODSEQ key: the answer carries MODSEQ */
	bool bad_charset;    /* [BADCHARSET]: nothing else is valid */
	struct imap_key *key; /* IMAP_KEY_AND at the top, children cheapest first */
};

/* Takes [SP "RETURN" ...] [SP "CHARSET" ...] 1*(SP search-key): `in` stands in front of the
 * first SP. */
bool imap_search_parse(struct imap_in *in, struct imap_search *s);
#endif
