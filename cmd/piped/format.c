/* piped/format.c: see format.h.  A line is looked at only as far as it could be one that is quoted: what
 * may be its beginning is held back as a number of ">" and of letters of "From ", never as octets, so that
 * a line of any length costs nothing.  Called by supervise.c and mbox.c; nothing can fail. */
#include "format.h"
#include <time.h>

static const char from[] = "From ";
#define FROM_LEN (sizeof(from) - 1)
/* f->quote: so many ">" times 8, and letters of from. */
#define QUOTE_STEP 8

void
format_init(struct format *f, bool crlf, bool mbox)
{
	*f = (struct format){ .crlf = crlf, .mbox = mbox };
}

static void
line_end(const struct format *f, struct buf *out)
{
	if (f->crlf)
		buf_char(out, '\r');
	buf_char(out, '\n');
}

void
format_from_line(const struct format *f, struct slice sender, struct buf *out)
{
	char date[32];
	time_t now = time(NULL);
	struct tm tm;

	buf_lit(out, "From ");
	/* A blank would end the address for whoever reads the line. */
	for (size_t i = 0; i < sender.n; i++)
		buf_char(out, sender.p[i] == ' ' ? '_' : sender.p[i]);
	if (sender.n == 0)
		buf_lit(out, "MAILER-DAEMON");
	buf_char(out, ' ');
	/* ctime(3)'s form, in UTC: whoever reads the file may be anywhere. */
	if (strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", gmtime_r(&now, &tm)) > 0)
		buf_str(out, date);
	line_end(f, out);
}

void
format_field(const struct format *f, const char *before, struct slice value, const char *behind,
    struct buf *out)
{
	buf_str(out, before);
	buf_slice(out, value);
	buf_str(out, behind);
	line_end(f, out);
}

/* What was held back was no line to be quoted after all, or is one now. */
static void
quote_write(struct format *f, bool quoted, struct buf *out)
{
	if (quoted)
		buf_char(out, '>');
	for (unsigned n = f->quote / QUOTE_STEP; n > 0; n--)
		buf_char(out, '>');
	buf_slice(out, slice(from, f->quote % QUOTE_STEP));
	f->quote = 0;
	f->within = true;
}

/* Does the octet go on with >*From_?  Held back then. */
static bool
quote_take(struct format *f, char c, struct buf *out)
{
	unsigned letters = f->quote % QUOTE_STEP;

	if (f->within || !f->mbox)
		return false;
	if (c == '>' && letters == 0 && f->quote < 1000 * QUOTE_STEP) {
		f->quote += QUOTE_STEP;
		return true;
	}
	if (c != from[letters])
		return false;
	f->quote++;
	if (letters + 1 == FROM_LEN)
		quote_write(f, true, out);
	return true;
}

static void
octet_add(struct format *f, char c, struct buf *out)
{
	if (c == '\n') {
		quote_write(f, false, out);
		line_end(f, out);
		f->within = false;
		f->line_open = false;
		return;
	}
	f->line_open = true;
	if (quote_take(f, c, out))
		return;
	if (!f->within)
		quote_write(f, false, out);
	buf_char(out, c);
}

void
format_add(struct format *f, struct slice piece, struct buf *out)
{
	for (size_t i = 0; i < piece.n; i++) {
		char c = piece.p[i];

		if (f->cr && c != '\n')
			octet_add(f, '\r', out);
		f->cr = c == '\r';
		if (!f->cr)
			octet_add(f, c, out);
	}
	f->started = f->started || piece.n;
}

void
format_end(struct format *f, struct buf *out)
{
	if (f->cr)
		octet_add(f, '\r', out);
	f->cr = false;
	if (f->line_open)
		octet_add(f, '\n', out);
	if (f->mbox && f->started)
		line_end(f, out);
	f->started = false;
}
