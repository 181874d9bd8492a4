/* header-scan.c: looks at a header while the message passes in pieces: which fields are there,
 * how many Received (RFC 5321 6.3), where the body begins.
 *
 * Called by smtp-relay for every piece of a message.  Nothing can fail: what is no field is noted
 * (bad_line) and the owner judges.  What must stay true: memory is the struct, however long a
 * line; a message cut at any byte gives the same result; the end of the header is found where
 * header.c would find it. */
#include "base/utf8.h"
#include "mail/header.h"

enum { LINE_START, LINE_CR, IN_NAME, IN_VALUE, IN_BODY };

static const struct slice names[HEADER_NKNOWN] = {
	[HEADER_DATE] = { "Date", 4 },
	[HEADER_MESSAGE_ID] = { "Message-ID", 10 },
	[HEADER_FROM] = { "From", 4 },
	[HEADER_SENDER] = { "Sender", 6 },
	[HEADER_REPLY_TO] = { "Reply-To", 8 },
	[HEADER_TO] = { "To", 2 },
	[HEADER_CC] = { "Cc", 2 },
	[HEADER_BCC] = { "Bcc", 3 },
	[HEADER_SUBJECT] = { "Subject", 7 },
	[HEADER_RECEIVED] = { "Received", 8 },
	[HEADER_RETURN_PATH] = { "Return-Path", 11 },
	[HEADER_DELIVERED_TO] = { "Delivered-To", 12 },
	[HEADER_MIME_VERSION] = { "MIME-Version", 12 },
	[HEADER_CONTENT_TYPE] = { "Content-Type", 12 },
	[HEADER_AUTO_SUBMITTED] = { "Auto-Submitted", 14 },
	[HEADER_PRECEDENCE] = { "Precedence", 10 },
	[HEADER_PRIORITY] = { "Priority", 8 },
	[HEADER_IMPORTANCE] = { "Importance", 10 },
};

void
header_scan_init(struct header_scan *s)
{
	*s = (struct header_scan){ 0 };
}

static void
header_scan_end_line(struct header_scan *s)
{
	uint32_t len = s->line - (s->cr ? 1 : 0);

	if (len > s->longest)
		s->longest = len;
	s->line = 0;
	s->cr = false;
	s->state = LINE_START;
}

/* The line that has taken `n` bytes so far, of those in header_len, is no field. */
static void
header_scan_bad(struct header_scan *s, uint64_t n)
{
	if (!s->bad_line)
		s->bad_at = s->header_len - n;
	s->bad_line = true;
}

/* The first byte of a line is there, not yet taken. */
static void
begin_line(struct header_scan *s, char c)
{
	if (c == ' ' || c == '\t') {
		if (s->header_len == 0)
			header_scan_bad(s, 0);
		s->state = IN_VALUE;
		return;
	}
	s->known = HEADER_NKNOWN;
	s->nname = 0;
	s->blank = false;
	s->state = c == '\r' || c == '\n' ? LINE_CR : IN_NAME;
}

static void
end_name(struct header_scan *s)
{
	struct slice name = slice(s->name, s->nname);

	s->state = IN_VALUE;
	if (s->nname == 0)
		header_scan_bad(s, s->line);
	if (s->nname > sizeof(s->name))
		return;
	for (unsigned k = 0; k < HEADER_NKNOWN; k++) {
		if (names[k].n != name.n || !slice_ieq(names[k], name))
			continue;
		s->known = (uint8_t)k;
		s->seen |= HEADER_BIT(k);
		s->count[k]++;
		if (k == HEADER_MESSAGE_ID && s->count[k] > 1)
			s->known = HEADER_NKNOWN; /* the first one's value is kept */
		return;
	}
}

/* One byte of a line whose colon has not come; names are short. */
static void
take_name(struct header_scan *s, char c)
{
	if (c == ':') {
		end_name(s);
	} else if (c == ' ' || c == '\t') {
		s->blank = true; /* RFC 5322 4.5 allows it in front of the colon */
	} else if (c <= ' ' || c > '~' || s->blank) {
		header_scan_bad(s, s->line);
		s->header_8bit |= (c & 0x80) != 0;
		s->state = IN_VALUE;
	} else if (s->nname < sizeof(s->name)) {
		s->name[s->nname++] = c;
	} else {
		s->nname = sizeof(s->name) + 1; /* too long to be known */
	}
}

static void
keep_id(struct header_scan *s, struct slice v)
{
	for (size_t i = 0; i < v.n && s->nid < sizeof(s->message_id) - 1; i++)
		if (v.p[i] > ' ')
			s->message_id[s->nid++] = v.p[i];
}

/* A run of a value without its LF. */
static void
header_scan_take_value(struct header_scan *s, struct slice v)
{
	if (v.n == 0)
		return;
	s->line += (uint32_t)v.n;
	s->header_len += v.n;
	s->cr = v.p[v.n - 1] == '\r';
	if (!s->header_8bit)
		s->header_8bit = !utf8_ascii(v);
	if (s->known == HEADER_MESSAGE_ID)
		keep_id(s, v);
}

void
header_scan_feed(struct header_scan *s, struct slice b)
{
	while (b.n > 0 && s->state != IN_BODY) {
		char c = b.p[0];
		size_t n;

		if (s->state == LINE_START)
			begin_line(s, c);
		if (s->state == IN_VALUE) {
			n = slice_find(b, '\n');
			header_scan_take_value(s, slice(b.p, n));
			b = slice_from(b, n);
			if (b.n == 0)
				return;
			b = slice_from(b, 1);
			s->header_len++;
			header_scan_end_line(s);
			continue;
		}
		if (s->state == LINE_CR && c != '\n' && s->line > 0) { /* a CR of its own */
			header_scan_bad(s, s->line);
			s->state = IN_VALUE;
			continue;
		}
		b = slice_from(b, 1);
		s->header_len++;
		if (c == '\n') {
			if (s->state == LINE_CR) {
				s->done = true;
				s->state = IN_BODY;
			} else { /* a line without a colon */
				header_scan_bad(s, s->line + 1);
				header_scan_end_line(s);
			}
			continue;
		}
		s->line++;
		s->cr = c == '\r';
		if (s->state == IN_NAME)
			take_name(s, c);
	}
	if (b.n > 0 && !s->body_8bit)
		s->body_8bit = !utf8_ascii(b);
}
