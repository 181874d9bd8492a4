/* http/reader.h: the octets of a connection, as requests or as answers (RFC 9110, RFC 9112).
 *
 * Pure: octets in, events out.  llhttp parses; what it lets through and two programs might understand
 * differently is refused here: folded lines, a CR or LF alone, a missing, empty or second Host, targets
 * in absolute form, other protocols than HTTP/1.0 and 1.1, a length and a coding at once, codings other
 * than `chunked`.  Whatever is refused is HTTP_EV_BAD with the status that the answer has, and then the
 * connection is over: nobody knows where the next request would begin.
 *
 *	HEAD --BYTES*--> END --> HEAD ...	in this order, for every request, also when it has no body
 *
 * One event for a call, so that the owner may stop after each.  An idle reader holds no memory but the
 * parser's hundred octets.
 *
 * Of answers the same is demanded as of requests, and more: a body in a coding beside `chunked`, one with a
 * length and a coding, or one where none may be (1xx, 204) is refused.  One that only the end of the
 * connection ends has the length HTTP_LENGTH_UNKNOWN and keep false; http_reader_eof then says END.
 * Interim answers (1xx) are told like others; 101 is refused, for nobody asks for it. */
#ifndef HTTP_READER_H
#define HTTP_READER_H
#include "base/buf.h"

/* Bits, for what a resource allows. */
enum http_verb {
	HTTP_VERB_GET = 1,
	HTTP_VERB_HEAD = 2,
	HTTP_VERB_POST = 4,
	HTTP_VERB_PUT = 8,
	HTTP_VERB_DELETE = 16,
	HTTP_VERB_OPTIONS = 32,
	HTTP_VERB_PATCH = 64,
	HTTP_VERB_OTHER = 128
};

struct http_field {
	struct slice name, value; /* as they came; no blanks around the value */
};

#define HTTP_LENGTH_UNKNOWN UINT64_MAX

/* Slices are the reader's, until the request's END is followed by another call. */
struct http_head {
	enum http_verb verb;
	struct slice method;
	unsigned code; /* of an answer: 100 .. 999; then there is no method, target and host */
	struct slice target; /* "/path?query", or "*" of OPTIONS */
	struct slice path;   /* what stands before the question mark; escapes are left */
	struct slice query;  /* behind it; p NULL: there is none */
	struct slice host;   /* with a port if there was one; empty in HTTP/1.0 without the field */
	struct http_field *fields;
	size_t nfields;
	uint64_t
	    length; /* of the body; HTTP_LENGTH_UNKNOWN when it is chunked.  Of an answer to HEAD, and of
			    304: what was said, though no body comes */
	bool http10;  /* HTTP/1.0 */
	bool keep;    /* the other side would go on with this connection */
	bool expects; /* it waits for 100 before it sends the body */
};

/* The field of this name, NULL when there is none; the first of several. */
const struct http_field *http_head_find(const struct http_head *h, struct slice name);
/* Its value; p NULL when there is none. */
struct slice http_head_value(const struct http_head *h, struct slice name);

struct http_bounds {
	uint32_t head;   /* octets of a head, and of a trailer */
	uint32_t target; /* octets of its target */
	uint32_t fields; /* lines of a head or a trailer */
	uint64_t body;   /* octets of a body, unless http_reader_body says otherwise */
};

enum http_ev {
	HTTP_EV_DRY,   /* more input is needed */
	HTTP_EV_HEAD,  /* r->head is there */
	HTTP_EV_BYTES, /* r->bytes: a piece of the body, in the input */
	HTTP_EV_END,   /* the request has ended */
	HTTP_EV_BAD    /* r->status and r->why; the reader is of no more use */
};

struct llhttp__internal_s;
struct http_reader {
	struct llhttp__internal_s *parser;
	const struct http_bounds *bounds; /* the owner's */
	struct http_head head;
	struct slice bytes;
	unsigned status;   /* 0, or of what is wrong */
	const char *why;   /* a literal */
	struct buf text;   /* target, names and values of the head */
	size_t room;       /* of head.fields */
	uint64_t body;     /* octets of the body so far */
	uint64_t overhead; /* of its chunks */
	uint64_t most;     /* for the body */
	uint32_t octets;   /* of the head or trailer so far */
	uint32_t lines;    /* likewise fields */
	char tail[8];      /* of the first line, the last octets */
	uint8_t phase;     /* enum reader_phase, of reader.c */
	uint8_t scan;      /* enum reader_scan */
	bool first;        /* the first line is not over */
	bool in_name;      /* a field's name is growing, not its value */
	bool ended;        /* END is to be told */
	bool answers;      /* it reads answers */
	bool
	    strays; /* ... 204 may say a length: none counts (RFC 9112 6.3), and that is the last answer */
	bool bare; /* ... the next final one to a HEAD: it has no body, whatever it says */
};

void http_reader_init(struct http_reader *r, const struct http_bounds *bounds);
/* The same for answers; whoever asks sets `bare` for each request. */
void http_reader_init_answers(struct http_reader *r, const struct http_bounds *bounds);
void http_reader_fini(struct http_reader *r);
/* Takes what it has read off *in.  Call it again after each event but DRY and BAD, also without input. */
enum http_ev http_reader_next(struct http_reader *r, struct slice *in);
/* Nothing comes any more, and all that came was read: END, when that ends an answer; DRY, when none had
 * begun; else BAD. */
enum http_ev http_reader_eof(struct http_reader *r);
/* After HEAD: so long may this body be. */
void http_reader_body(struct http_reader *r, uint64_t most);
/* Has a request begun that has not ended? */
bool http_reader_busy(const struct http_reader *r);
#endif
