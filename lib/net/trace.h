/* net/trace.h: what went over the wire, for people who look for a fault (log_trace, or tmctl trace).
 *
 * A stream that is traced logs each line of both directions as it came or went, in plain text also
 * under TLS, without the words that are secret: what follows LOGIN, AUTHENTICATE, AUTH or PASS,
 * and every line of the client from there until the server has answered with more than a
 * challenge.  Long lines are cut, and of a body only the first lines of a turn are shown.
 * A stream that is not traced has a NULL pointer and pays for nothing else. */
#ifndef NET_TRACE_H
#define NET_TRACE_H
#include "base/buf.h"

#define TRACE_LINE  200 /* bytes of a line that are shown */
#define TRACE_LINES 40  /* lines of one read or write */

enum trace_from { TRACE_CLIENT, TRACE_SERVER };

struct trace {
	const char *proto; /* "smtp", "lmtp", "imap": borrowed for ever */
	char sid[32];      /* the session's id, "" when it has none */
	size_t flushed;    /* of the stream's output: bytes that were shown */
	bool client;       /* we are the client: what arrives is the server's */
	bool log;          /* of log_trace */
	bool secret;       /* the client says what nobody may see */
	bool torn;         /* of the client's first line we may have missed the beginning */
	uint8_t wants;     /* bits of net/trace-want.h: who else is shown it */
	uint8_t more;      /* sieve: how many secrets have begun behind this one */
	uint8_t tag_len;   /* IMAP: the answer that ends the secret has this tag; 0 = any tag */
	char tag[32];
	struct trace_line { /* what came of a line so far, per enum trace_from */
		uint32_t n; /* bytes of it, those that are not kept too */
		char text[TRACE_LINE];
	} line[2];
};

/* Is it the name of a protocol that streams have? */
bool trace_known(struct slice proto);
/* The protocols to be traced from now on, blank-separated; "" for none.  Streams that are open stay
 * as they are. */
void trace_set(const char *protocols);
/* A trace for a stream, heap; NULL when its protocol is not traced and nobody `wants` it.  With `torn` the stream is not
 * new: what the client says is hidden until the server has answered something. */
struct trace *trace_new(const char *proto, const char *sid, bool client, unsigned wants, bool torn);
void trace_free(struct trace **t);
/* Bytes from that side: logs their lines as event `wire`. */
void trace_bytes(struct trace *t, enum trace_from from, struct slice bytes);
/* What is shown of a whole line, appended: pure, for the tests. */
void trace_line_write(struct trace *t, enum trace_from from, struct slice line, struct buf *b);
#endif
