/* imap/lex.h: gathers one command, with its literals, from a stream of bytes (RFC 3501 2.2.1,
 * 4.3; LITERAL+ and LITERAL- of RFC 7888).
 *
 * Every byte is looked at once however the stream is cut.  The message of an APPEND or
 * REPLACE is never gathered: the lexer stops in front of it and the session streams it to a file. */
#ifndef IMAP_LEX_H
#define IMAP_LEX_H
#include "base/buf.h"

struct imap_lex {
	struct buf text; /* the command so far, literals with their {n} CRLF in front */
	size_t cap;      /* most bytes of text */
	uint32_t
	    unwaited; /* most bytes of a literal whose client does not wait; 0: no limit of its own */
	size_t line_at;   /* where the current line (after a literal) begins */
	uint64_t literal; /* bytes of a literal still to come */
	uint64_t skipped; /* bytes of a refused command thrown away */
	unsigned nliterals;
	bool discard; /* too big: bytes are taken and forgotten until the command ends */
	bool sync;    /* IMAP_LEX_MESSAGE: the client waits for "+" */
	bool hasty;   /* TOO_LONG: a literal that had to be waited for; MESSAGE: this one */
};

enum imap_lexed {
	IMAP_LEX_MORE,     /* all bytes taken, the command is not complete */
	IMAP_LEX_DONE,     /* a command is in `text`, without its last line end */
	IMAP_LEX_CONTINUE, /* send "+ ", then go on feeding */
	IMAP_LEX_MESSAGE,  /* APPEND, REPLACE: `literal` bytes of a message follow, see `sync` */
	IMAP_LEX_TOO_LONG, /* the command (start of it in `text`) was too long and is over */
	IMAP_LEX_FLOOD     /* no end in sight: close the connection */
};

/* A zeroed struct with `cap` (and `unwaited`) set is ready; imap_lex_reset readies it for the next command and
 * gives the memory back. */
void imap_lex_reset(struct imap_lex *l);
/* Takes bytes of `in`; *used says how many. */
enum imap_lexed imap_lex_feed(struct imap_lex *l, struct slice in, size_t *used);
/* After IMAP_LEX_MESSAGE, when the message was taken by the session: text gets "{n}" CRLF
 * without the bytes, and feeding goes on with what follows the literal. */
void imap_lex_message_taken(struct imap_lex *l);
#endif
