/* mbox.c: see mbox.h.
 *
 * Called by storectl's import and export.  A file is what some program of some decade has written: where
 * it is not clear whether a line begins a message, it does only behind an empty line (or at the front) and
 * with a date in it, so that "From here on" in a text that nobody has quoted stays text.  What must stay
 * true: each octet of the file is in some message, but the lines that divide them. */
#include "mail/mbox.h"

#include "mail/date-names.h"

/* ---- "From " lines ------------------------------------------------------------------------------ */

static bool
from_clock(struct slice word, struct civil *c)
{
	struct slice part;
	uint64_t v[3] = { 0 };
	size_t n = 0;

	while (n < 3 && slice_cut(&word, ':', &part))
		if (slice_u64(part, 60, &v[n++]) < 0)
			return false;
	c->hour = (int)v[0];
	c->minute = (int)v[1];
	c->second = (int)v[2];
	return n >= 2 && word.n == 0;
}

/* "Tue Nov  3 10:00:00 2026", perhaps with a zone, in front of the year or behind it. */
static bool
from_date(struct slice rest, int64_t *at)
{
	struct slice word, words[8];
	struct civil c = { 0 };
	struct date d;
	uint64_t v;
	size_t n = 0;

	while (n < 8 && slice_word(&rest, &word))
		words[n++] = word;
	for (size_t i = 0; i + 3 < n; i++) {
		c.month = date_month(words[i]);
		if (!c.month || slice_u64(words[i + 1], 31, &v) < 0 ||
		    !from_clock(words[i + 2], &c))
			continue;
		c.day = (int)v;
		for (size_t k = i + 3; k < n; k++)
			if (words[k].n == 4 && slice_u64(words[k], 9999, &v) == 0) {
				c.year = (int)v;
				if (date_finish(&c, 0, &d) < 0)
					return false;
				*at = d.at;
				return true;
			}
	}
	return false;
}

/* The line at the front, with its end. */
static struct slice
mbox_line(struct slice s)
{
	const char *p = s.n ? memchr(s.p, '\n', s.n) : NULL;

	return slice(s.p, p ? (size_t)(p - s.p) + 1 : s.n);
}

static bool
mbox_is_from(struct slice line, bool first, int64_t *at)
{
	*at = 0;
	return slice_starts(line, S("From ")) &&
	    (from_date(slice_trim(slice_from(line, 5)), at) || first);
}

static bool
mbox_is_empty(struct slice line)
{
	return slice_eq(line, S("\n")) || slice_eq(line, S("\r\n"));
}

bool
mbox_next(struct mbox_reader *r, struct mbox_message *m)
{
	struct slice line, s;
	bool empty = false;
	size_t end = 0, last = 0;
	int64_t at;

	while (mbox_is_empty(line = mbox_line(r->rest))) {
		r->rest = slice_from(r->rest, line.n);
		r->line++;
	}
	if (r->rest.n == 0)
		return false;
	*m = (struct mbox_message){ .line = r->line };
	m->headless = !mbox_is_from(line, true, &m->at);
	if (!m->headless) {
		r->rest = slice_from(r->rest, line.n);
		r->line++;
	}
	for (s = r->rest; s.n; s = slice_from(s, line.n)) {
		line = mbox_line(s);
		if (empty && mbox_is_from(line, false, &at))
			break;
		empty = mbox_is_empty(line);
		end += line.n;
		r->line++;
		last = line.n;
	}
	/* One empty line divides; more are text. */
	m->text = slice(r->rest.p, empty ? end - last : end);
	r->rest = s;
	return true;
}

/* ---- what is kept of it ----------------------------------------------------------------------------- */

static const struct {
	char letter;
	uint16_t flag;
} status_flags[] = { { 'R', MAILDIR_SEEN }, { 'A', MAILDIR_ANSWERED }, { 'F', MAILDIR_FLAGGED },
	{ 'T', MAILDIR_DRAFT }, { 'D', MAILDIR_DELETED } };

/* A field of the header that is no part of the message.  Takes what it says. */
static bool
mbox_field(struct slice line, uint16_t *flags, struct buf *keywords)
{
	size_t colon = slice_find(line, ':');
	struct slice name = slice_sub(line, 0, colon), value = slice_from(line, colon + 1), word;

	if (slice_ieq(name, S("Status")) || slice_ieq(name, S("X-Status"))) {
		for (size_t i = 0; i < value.n; i++)
			for (size_t k = 0; k < NELEM(status_flags); k++)
				if (value.p[i] == status_flags[k].letter)
					*flags |= status_flags[k].flag;
		return true;
	}
	if (slice_ieq(name, S("X-Keywords"))) {
		value = slice_trim(value);
		while (slice_word(&value, &word)) {
			buf_slice(keywords, word);
			buf_char(keywords, ' ');
		}
		return true;
	}
	return slice_ieq(name, S("X-UID")) || slice_ieq(name, S("X-IMAP")) ||
	    slice_ieq(name, S("X-IMAPbase"));
}

/* ">From ", ">>From " and so on. */
static bool
mbox_is_quoted(struct slice line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] == '>')
		n++;
	return n > 0 && slice_starts(slice_from(line, n), S("From "));
}

void
mbox_unpack(struct slice text, struct buf *out, uint16_t *flags, struct buf *keywords)
{
	bool header = true, skips = false;
	struct slice line;

	*flags = 0;
	for (; text.n; text = slice_from(text, line.n)) {
		line = mbox_line(text);
		header &= !mbox_is_empty(line);
		if (header && line.p[0] != ' ' && line.p[0] != '\t')
			skips = mbox_field(line, flags, keywords);
		if (header && skips)
			continue;
		maildir_to_crlf(out, mbox_is_quoted(line) ? slice_from(line, 1) : line);
	}
}

static void
mbox_pack_fields(struct buf *out, uint16_t flags, struct slice keywords)
{
	buf_str(out, flags & MAILDIR_SEEN ? "Status: RO\n" : "Status: O\n");
	if (flags & ~MAILDIR_SEEN) {
		buf_lit(out, "X-Status: ");
		for (size_t k = 1; k < NELEM(status_flags); k++)
			if (flags & status_flags[k].flag)
				buf_char(out, status_flags[k].letter);
		buf_char(out, '\n');
	}
	if (slice_trim(keywords).n)
		buf_printf(out, "X-Keywords: " SFMT "\n", SARG(slice_trim(keywords)));
}

void
mbox_pack(struct buf *out, struct slice msg, int64_t at, uint16_t flags, struct slice keywords)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	struct civil c = civil_from_unix(at);
	struct buf lf = { 0 };
	struct slice text, line;

	buf_printf(out, "From MAILER-DAEMON %.3s %s %2d %02d:%02d:%02d %04d\n",
	    days + c.weekday * 3, date_months[c.month - 1], c.day, c.hour, c.minute, c.second,
	    (int)c.year);
	mbox_pack_fields(out, flags, keywords);
	maildir_to_lf(&lf, msg);
	for (text = buf_get(&lf); text.n; text = slice_from(text, line.n)) {
		line = mbox_line(text);
		if (slice_starts(line, S("From ")) || mbox_is_quoted(line))
			buf_char(out, '>');
		buf_slice(out, line);
	}
	if (out->n && out->p[out->n - 1] != '\n')
		buf_char(out, '\n');
	buf_char(out, '\n');
	buf_fini(&lf);
}
