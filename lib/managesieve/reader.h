/* managesieve/reader.h: commands of ManageSieve as words, from bytes as they come: RFC 5804 1.2, 4.
 *
 * Pure.  The reader keeps what has come of a command and takes bytes once, however they are cut; what it keeps is
 * bounded by `most`, whatever a client announces.  A string that is larger is passed over, and the command's other
 * words are there, so that it can be answered (QUOTA/MAXSIZE) and the session goes on behind it. */
#ifndef MANAGESIEVE_READER_H
#define MANAGESIEVE_READER_H
#include "base/buf.h"

#define MANAGESIEVE_WORDS  5                  /* more than any command has */
#define MANAGESIEVE_LINE   16384              /* octets of a command outside of its literals */
#define MANAGESIEVE_SKIP   (16 * 1024 * 1024) /* octets of literals that are passed over */
#define MANAGESIEVE_QUOTED 1024 /* octets that a client must read in a quoted string */

enum managesieve_read {
	MANAGESIEVE_PART,     /* more octets are needed */
	MANAGESIEVE_COMPLETE, /* the words are there until managesieve_reader_reset */
	MANAGESIEVE_WRONG,    /* it was none; it has been passed over with its literals */
	MANAGESIEVE_LARGE,    /* a string was larger than `most`; the words before it are there */
	MANAGESIEVE_FLOOD /* a line or a literal that is not even passed over: there is no going on */
};

struct managesieve_reader {
	size_t most;   /* octets of all words of a command together */
	struct buf b;  /* of the words that have come, one behind the other */
	uint64_t left; /* octets of a literal that are still to come; while it is read its count */
	uint64_t skipped;
	size_t line; /* octets outside of literals */
	size_t begin[MANAGESIEVE_WORDS], end[MANAGESIEVE_WORDS];
	bool string[MANAGESIEVE_WORDS]; /* quoted or a literal, no atom */
	uint8_t n;                      /* words, the one that is being read among them */
	uint8_t state;                  /* enum msieve_state of reader.c */
	bool wrong, large, counted;
};

/* Takes octets of `in` until a command is complete; how many, with *how. */
size_t
managesieve_reader_feed(struct managesieve_reader *r, struct slice in, enum managesieve_read *how);
/* The i-th word without quotes; empty when there is none.  Borrowed until the next feed or reset. */
struct slice managesieve_reader_word(const struct managesieve_reader *r, size_t i);
/* Ready for the next command.  What was there is overwritten and freed: it may have been a password. */
void managesieve_reader_reset(struct managesieve_reader *r);
#endif
