/* smtp/body.h: the message on the wire, as it arrives by DATA (RFC 5321 4.5.2) or BDAT
 * (RFC 3030).  Pure: bytes in, clean bytes out in large slices.
 *
 * What comes out has CRLF line ends only, no dot-stuffing, no NUL, no line above the limit,
 * and at its end a line end.  DATA ends at CRLF.CRLF and at nothing else.  A bare CR or bare
 * LF is a fault, or with `normalise` becomes a space (CR) or CRLF (LF); an LF that stands
 * alone never takes part in the end of data (SMTP smuggling).  After a fault nothing more
 * comes out, but the reader goes on to the real end, so that the fault is answered in step. */
#ifndef SMTP_BODY_H
#define SMTP_BODY_H
#include "base/slice.h"
#include "mail/verdict.h"

enum smtp_fault {
	SMTP_FAULT_NONE,
	SMTP_FAULT_BARE_CR, /* 550 5.6.0 */
	SMTP_FAULT_BARE_LF, /* 550 5.6.0 */
	SMTP_FAULT_NUL,     /* 550 5.6.0 */
	SMTP_FAULT_LONG,    /* 550 5.6.0 */
	SMTP_FAULT_SIZE,    /* 552 5.3.4 */
};

struct smtp_body {
	/* given */
	bool bdat; /* chunks: no dots, no end mark */
	bool normalise;
	uint32_t line_max; /* octets without CRLF, 0 = no limit */
	uint64_t size_max; /* octets that come out, 0 = no limit */
	void (*emit)(void *arg, struct slice bytes);
	void *arg;
	/* kept */
	enum smtp_fault fault;
	uint8_t state;
	uint32_t line;  /* octets of the line so far */
	uint64_t size;  /* octets that came out */
	uint64_t chunk; /* BDAT: octets of this chunk still to come */
};

/* Zeroes the kept part; the given part is set by the caller, before or after. */
void smtp_body_begin(struct smtp_body *b);
/* Feeds what is there.  Returns how many bytes of `in` belong to the message (the rest is the
 * next command's).  DATA: *end is set when CRLF.CRLF was met.  BDAT: takes at most b->chunk
 * bytes; *end is set when the chunk is complete. */
size_t smtp_body_feed(struct smtp_body *b, struct slice in, bool *end);
/* BDAT: the LAST chunk is complete: a CR left over is a fault, a missing line end is added. */
void smtp_body_finish(struct smtp_body *b);
/* The answer to a fault. */
struct verdict smtp_fault_verdict(enum smtp_fault f);
#endif
