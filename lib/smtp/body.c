/* smtp/body.c: the body reader of body.h.
 *
 * Owns nothing but its state between two pieces of input, so a body costs no memory however long it
 * is; called by server-body.c with whatever has arrived.  What is wrong in a body is a fault, kept
 * until its end is found.  Must stay true: however the input is cut into pieces, what comes out and
 * where it ends is the same (t/smtp/body.c cuts it in several ways).  Whole lines are found many
 * at a time (base/scan.h) and leave in runs as long as the input allows, for nearly all octets of mail
 * are neither line end nor dot; only what those, or a piece's border, demand is done by state. */
#include "base/must.h"
#include "base/scan.h"
#include "mail/outcome.h"
#include "smtp/body.h"

enum {
	BOL,      /* behind a real CRLF, or at the very beginning */
	BOL_LF,   /* behind a bare LF that was normalised: no end mark can begin here */
	TEXT,     /* inside a line */
	CR,       /* a CR was read, not let out yet */
	DOT,      /* BOL and a dot, which is not let out */
	DOT_LF,   /* BOL_LF and a dot */
	DOT_CR,   /* DOT and a CR */
	DOT_LF_CR /* DOT_LF and a CR */
};

void
smtp_body_begin(struct smtp_body *b)
{
	b->fault = SMTP_FAULT_NONE;
	b->state = BOL;
	b->line = 0;
	b->size = 0;
	b->chunk = 0;
}

static void
fault(struct smtp_body *b, enum smtp_fault f)
{
	if (b->fault == SMTP_FAULT_NONE)
		b->fault = f;
}

static void
let_out(struct smtp_body *b, const char *from, const char *to)
{
	size_t n = (size_t)(to - from);

	if (n == 0 || b->fault)
		return;
	if (memchr(from, '\0', n)) {
		fault(b, SMTP_FAULT_NUL);
	} else if (b->size_max && n > b->size_max - b->size) {
		fault(b, SMTP_FAULT_SIZE);
	} else {
		b->size += n;
		b->emit(b->arg, slice(from, n));
	}
}

static void
line_grow(struct smtp_body *b, size_t n)
{
	b->line = n > UINT32_MAX - b->line ? UINT32_MAX : b->line + (uint32_t)n;
	if (b->line_max && b->line > b->line_max)
		fault(b, SMTP_FAULT_LONG);
}

static void
smtp_body_line_end(struct smtp_body *b)
{
	static const char crlf[2] = { '\r', '\n' };

	let_out(b, crlf, crlf + 2);
	b->line = 0;
	b->state = BOL;
}

static void
bare_cr(struct smtp_body *b)
{
	static const char space[1] = { ' ' };

	b->state = TEXT;
	if (!b->normalise)
		fault(b, SMTP_FAULT_BARE_CR);
	let_out(b, space, space + 1);
	line_grow(b, 1);
}

/* An LF without CR.  Refused, it is but a character of a line; normalised, it ends the line. */
static void
bare_lf(struct smtp_body *b)
{
	if (b->normalise) {
		smtp_body_line_end(b);
		b->state = BOL_LF;
	} else {
		fault(b, SMTP_FAULT_BARE_LF);
		b->state = TEXT;
	}
}

/* How much of `in` (clean, from inside a line) can be taken before a line is too long. */
static size_t
lines_fit(const struct smtp_body *b, struct slice in)
{
	const char *at = in.p, *stop = in.p + in.n, *lf;
	size_t had = b->line;

	if (b->line_max == 0)
		return in.n;
	for (; had <= b->line_max && (size_t)(stop - at) > b->line_max - had; had = 0) {
		size_t most = b->line_max - had + 2; /* with its CRLF */

		lf = memrchr(at, '\n', most < (size_t)(stop - at) ? most : (size_t)(stop - at));
		if (!lf)
			return (size_t)(at - in.p);
		at = lf + 1;
	}
	return had <= b->line_max ? in.n : 0;
}

/* Many lines that have nothing odd, from inside a line.  Returns `p` when there are none. */
static const char *
lines_feed(struct smtp_body *b, const char *p, const char *stop)
{
	struct slice in = slice(p, scan_crlf(slice(p, (size_t)(stop - p))));
	const char *lf;

	in.n = lines_fit(b, in);
	if (in.n == 0)
		return p;
	lf = memrchr(p, '\n', in.n);
	if (lf)
		b->line = 0;
	line_grow(b, lf ? (size_t)(p + in.n - (lf + 1)) : in.n);
	b->state = p[in.n - 1] == '\n' ? BOL : TEXT;
	return p + in.n;
}

/* From inside a line to where something odd may be, or as far as its end; *run is where the bytes begin that are still to be let
 * out.  Returns where to go on. */
static const char *
text_feed(struct smtp_body *b, const char **run, const char *p, const char *stop)
{
	const char *from = p, *lf, *lim, *cr;

	if (!b->fault && (p = lines_feed(b, from, stop)) > from)
		return p;
	lf = memchr(p, '\n', (size_t)(stop - p));
	lim = lf ? lf : stop;
	cr = memchr(p, '\r', (size_t)(lim - p));
	if (LIKELY(lf && cr && cr + 1 == lf)) {
		line_grow(b, (size_t)(cr - p));
		b->line = 0;
		b->state = BOL;
		return lf + 1;
	}
	if (!cr && !lf) {
		line_grow(b, (size_t)(stop - p));
		return stop;
	}
	/* The rest breaks the run: a CR at the border, a bare CR or a bare LF. */
	line_grow(b, (size_t)((cr ? cr : lf) - p));
	let_out(b, *run, cr ? cr : lf);
	if (cr && cr + 1 == stop)
		b->state = CR;
	else if (cr)
		bare_cr(b);
	else
		bare_lf(b);
	*run = (cr ? cr : lf) + 1;
	return *run;
}

/* One byte in one of the states behind a dot or a CR.  Returns true at CRLF.CRLF; *took tells
 * whether the byte is used up. */
static bool
mark_feed(struct smtp_body *b, char c, bool *took)
{
	bool dot = b->state == DOT || b->state == DOT_LF;

	*took = true;
	if (dot && c == '\r') {
		b->state = b->state == DOT ? DOT_CR : DOT_LF_CR;
	} else if (dot && c == '\n') {
		bare_lf(b);
	} else if (dot) {
		b->state = TEXT; /* the dot was stuffing: RFC 5321 4.5.2 */
		*took = false;
	} else if (c == '\n' && b->state == DOT_CR) {
		return true;
	} else if (c == '\n') {
		smtp_body_line_end(b);
	} else {
		bare_cr(b);
		*took = false;
	}
	return false;
}

size_t
smtp_body_feed(struct smtp_body *b, struct slice in, bool *end)
{
	size_t n = b->bdat && in.n > b->chunk ? (size_t)b->chunk : in.n;
	const char *p = in.p, *stop = p + n, *run = p;
	bool over = false, took;

	while (p < stop && !over) {
		switch (b->state) {
		case BOL:
		case BOL_LF:
			if (*p == '.' && !b->bdat) {
				let_out(b, run, p);
				run = ++p;
				b->state = b->state == BOL ? DOT : DOT_LF;
			} else {
				b->state = TEXT;
				p = text_feed(b, &run, p, stop);
			}
			break;
		case TEXT: p = text_feed(b, &run, p, stop); break;
		default:
			over = mark_feed(b, *p, &took);
			p += took;
			run = p;
			break;
		}
	}
	let_out(b, run, p);
	n = (size_t)(p - in.p);
	if (b->bdat) {
		b->chunk -= n;
		over = b->chunk == 0;
	}
	*end = over;
	return n;
}

void
smtp_body_finish(struct smtp_body *b)
{
	must(b->bdat);
	if (b->state == CR)
		bare_cr(b);
	if (b->state == TEXT && b->size)
		smtp_body_line_end(b);
}

struct verdict
smtp_fault_verdict(enum smtp_fault f)
{
	switch (f) {
	case SMTP_FAULT_BARE_CR: return verdict(OUT_BODY_BARE_CR);
	case SMTP_FAULT_BARE_LF: return verdict(OUT_BODY_BARE_LF);
	case SMTP_FAULT_NUL: return verdict(OUT_BODY_NUL);
	case SMTP_FAULT_LONG: return verdict(OUT_BODY_LINE_LONG);
	case SMTP_FAULT_SIZE: return verdict(OUT_SIZE);
	case SMTP_FAULT_NONE: break;
	}
	return verdict(OUT_BODY_WELL_FORMED);
}
