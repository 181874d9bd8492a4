/* message.c: the message on standard input: LF or CRLF line ends in, CRLF out; without -i a
 * line with a lone dot ends it; NULs are left out, a CR inside a line becomes a blank (what
 * smtp-relay would refuse from a stranger is mended for our own programs).
 *
 * Owns one piece of input and one line, so a message costs no memory however long it is; only the
 * header is kept whole, up to HEADER_MAX, because with -t it names the recipients and loses Bcc
 * before anything is sent.  Reading fails by sendmail_die.  State is in statics: there is one
 * message in the life of the process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include "mail/encoded-word.h"
#include "mail/header.h"
#include "sendmail.h"

#define HEADER_MAX (1024 * 1024)
#define PIECE      65536
#define BODY_LINE  (256 * 1024) /* a longer line passes in pieces: nobody can tell */

static char piece[PIECE];
static size_t at, end;
static bool over, ignore_dots, broken; /* broken: inside a line that passes in pieces */
static struct buf line;

static bool
sendmail_message_fill(void)
{
	ssize_t n;

	do
		n = read(STDIN_FILENO, piece, sizeof(piece));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		sendmail_die(EX_IOERR, "standard input: %s", strerror(errno));
	at = 0;
	end = (size_t)n;
	return n > 0;
}

static void
sendmail_message_mend(struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		if (b->p[i] != '\0')
			b->p[n++] = b->p[i] == '\r' ? ' ' : b->p[i];
	b->n = n;
}

/* The next line into `line`, without its end; *whole tells whether its end is there.  False at
 * the end of the message. */
static bool
next_line(bool *whole)
{
	const char *lf = NULL;
	bool first = !broken;

	buf_clear(&line);
	if (over)
		return false;
	while (!lf && line.n < BODY_LINE) {
		if (at == end && !sendmail_message_fill()) {
			over = true;
			break;
		}
		lf = memchr(piece + at, '\n', end - at);
		buf_add(&line, piece + at, lf ? (size_t)(lf - piece) - at : end - at);
		at = lf ? (size_t)(lf - piece) + 1 : end;
	}
	if (over && line.n == 0)
		return false;
	*whole = lf || over;
	broken = !*whole;
	if (*whole && line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n && (memchr(line.p, '\r', line.n) || memchr(line.p, '\0', line.n)))
		sendmail_message_mend(&line);
	if (ignore_dots || !first || !*whole || line.n != 1 || line.p[0] != '.')
		return true;
	over = true;
	return false;
}

bool
sendmail_message_body(struct buf *out)
{
	bool whole;

	while (out->n < PIECE) {
		if (!next_line(&whole))
			return false;
		buf_slice(out, buf_get(&line));
		if (whole)
			buf_lit(out, "\r\n");
	}
	return true;
}

static bool
any(struct slice name, const char *const *names)
{
	for (; *names; names++)
		if (slice_ieq(name, slice_str(*names)))
			return true;
	return false;
}

static bool
has(struct slice header, const char *const *names)
{
	struct header_field f;

	while (header_next(&header, &f))
		if (any(f.name, names))
			return true;
	return false;
}

/* A field, its continuation, or (first) mbox's "From " line, which some programs still send. */
static bool
header_line(struct slice s, bool first)
{
	struct slice name = slice_trim(slice_sub(s, 0, slice_find(s, ':')));

	if (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		return !first;
	if (first && slice_starts(s, S("From ")))
		return true;
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || (unsigned char)name.p[i] >= 0x7f)
			return false;
	return name.n > 0 && slice_find(s, ':') < s.n;
}

/* All lines up to the empty one, or to one that can be no header: then *first has it, the first
 * of the body. */
static void
read_header(struct buf *h, struct buf *first)
{
	bool whole;

	while (next_line(&whole)) {
		if (line.n == 0)
			return;
		if (!header_line(buf_get(&line), h->n == 0)) {
			buf_slice(first, buf_get(&line));
			if (whole)
				buf_lit(first, "\r\n");
			return;
		}
		buf_slice(h, buf_get(&line));
		buf_lit(h, "\r\n");
		if (h->n > HEADER_MAX)
			sendmail_die(EX_DATAERR, "the header is too large");
	}
}

static struct slice
without_envelope_line(struct slice h)
{
	if (slice_starts(h, S("From ")))
		return slice_from(h, slice_find(h, '\n') + 1);
	return h;
}

void
sendmail_message_header(const struct options *o, const char *from, struct rcpts *r, struct buf *out)
{
	static const char *const to[] = { "To", "Cc", "Bcc", NULL };
	static const char *const resent[] = { "Resent-To", "Resent-Cc", "Resent-Bcc", NULL };
	static const char *const secret[] = { "Bcc", "Resent-Bcc", NULL };
	static const char *const author[] = { "From", NULL };
	struct buf text = { 0 }, who = { 0 }, first = { 0 };
	struct header_field f;
	struct slice h, rest;
	bool again;

	ignore_dots = o->ignore_dots;
	read_header(&text, &first);
	h = without_envelope_line(buf_get(&text));
	again = has(h, resent);
	if (o->name && !has(h, author)) {
		encoded_word_write(&who, slice_str(o->name), ENCODED_PHRASE);
		buf_printf(&who, " <%s>", from);
		header_write(out, "From", buf_get(&who));
		buf_fini(&who);
	}
	for (rest = h; header_next(&rest, &f);) {
		if (o->from_header && any(f.name, again ? resent : to))
			(void)sendmail_rcpts_add(r, f.value);
		if (!o->from_header || !any(f.name, secret))
			buf_slice(out, f.whole);
	}
	buf_lit(out, "\r\n");
	buf_slice(out, buf_get(&first));
	buf_fini(&first);
	buf_fini(&text);
}
