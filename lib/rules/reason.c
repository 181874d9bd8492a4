/* rules/reason.c: why a script rejects a message, as an answer of SMTP or LMTP can say it: RFC 5429 2.1.1. */
#include "base/utf8.h"
#include "rules/rules.h"

#define REASON_MAX   190  /* octets of one line; OUT_SIEVE_REJECT */
#define REASON_LINE  480  /* of a line of an answer */
#define REASON_ALL   2000 /* of all lines: a sender's server keeps some of it */
#define REASON_LINES 20

/* No half of a character. */
static struct slice
reason_cut(struct slice text, size_t most)
{
	text = slice_sub(text, 0, most);
	while (text.n && !utf8_valid(text))
		text.n--;
	return text;
}

static void
reason_lines(struct slice text, struct buf *b)
{
	struct slice line;

	for (size_t n = 0; n < REASON_LINES && slice_cut(&text, '\n', &line); n++) {
		size_t left = b->n < REASON_ALL ? REASON_ALL - b->n : 0;

		line = reason_cut(slice_trim(line), left < REASON_LINE ? left : REASON_LINE);
		if (n)
			buf_char(b, '\n');
		buf_slice(b, line);
	}
	while (b->n && b->p[b->n - 1] == '\n')
		b->n--;
	for (size_t i = 0; i < b->n; i++)
		if (((unsigned char)b->p[i] < ' ' && b->p[i] != '\n') || b->p[i] == 0x7f)
			b->p[i] = ' ';
}

void
rules_reason(struct slice text, bool utf8, struct buf *lines, struct buf *one)
{
	reason_lines(slice_trim(text), lines);
	if (lines->n == 0 || !(utf8 || utf8_ascii(buf_get(lines)))) {
		buf_clear(lines);
		buf_lit(one, "the recipient does not want this message");
		return;
	}
	buf_slice(one, reason_cut(buf_get(lines), REASON_MAX));
	for (size_t i = 0; i < one->n; i++)
		one->p[i] = one->p[i] == '\n' ? ' ' : one->p[i];
}
