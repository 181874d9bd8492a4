/* mmpd/managesieve-words.h: a command of ManageSieve as words: RFC 5804 4, "command" and "string".  Pure. */
#ifndef MMPD_MANAGESIEVE_WORDS_H
#define MMPD_MANAGESIEVE_WORDS_H
#include "base/slice.h"

#define MANAGESIEVE_WORDS   4    /* more than any command before the login has */
#define MANAGESIEVE_COMMAND 8192 /* octets of one, names and passwords */
#define MANAGESIEVE_QUOTED  1024 /* octets that a client must read in a quoted string: RFC 5804 4 */

struct managesieve_words {
	size_t n;
	struct slice word
	    [MANAGESIEVE_WORDS]; /* without quotes; borrow from the input but for quoted pairs */
	bool string[MANAGESIEVE_WORDS]; /* quoted or a literal, no atom */
};
enum managesieve_read {
	MANAGESIEVE_COMPLETE,
	MANAGESIEVE_PART,     /* more octets are needed */
	MANAGESIEVE_WRONG,    /* it is none; *used octets are passed over, a whole line */
	MANAGESIEVE_TOO_LONG, /* a literal, or all of it: there is no going on behind it */
};
/* Reads one command with its end (CRLF, or LF alone); *used octets.  Quoted pairs (\" and \\) are taken out in
 * `in` itself, once it is complete. */
enum managesieve_read
managesieve_words_read(char *in, size_t len, struct managesieve_words *w, size_t *used);
/* Appends text as a quoted string, or as a literal what cannot stand in one. */
struct buf;
void managesieve_write_string(struct buf *b, struct slice text);
#endif
