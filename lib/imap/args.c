/* imap/args.c: RFC 3501 9, the elements of commands. */
#include "imap/args.h"

#include "base/civil.h"
#include "base/utf8.h"
#include "imap/mutf7.h"

static bool
fail(struct imap_in *in, const char *why)
{
	if (!in->why)
		in->why = why;
	return false;
}

/* ---- characters ------------------------------------------------------------------------ */

enum { ATOM = 1, ASTRING = 2, LIST = 4, TAG = 8, DIGIT = 16 };

static unsigned
classify(unsigned char c)
{
	unsigned all = ATOM | ASTRING | LIST | TAG;

	if (c <= 0x20 || c >= 0x7f)
		return 0;
	switch (c) {
	case '(': case ')': case '{': case '"': case '\\':
		return 0;
	case '%': case '*':
		return LIST;
	case ']':
		return ASTRING | LIST | TAG;
	case '+':
		return ATOM | ASTRING | LIST;
	default:
		return c >= '0' && c <= '9' ? all | DIGIT : all;
	}
}

static bool
take_class(struct imap_in *in, unsigned class, struct slice *s, const char *why)
{
	size_t n = 0;

	while (n < in->s.n && classify((unsigned char)in->s.p[n]) & class)
		n++;
	*s = slice(in->s.p, n);
	in->s = slice_from(in->s, n);
	return n > 0 || fail(in, why);
}

bool
imap_next_is(const struct imap_in *in, char c)
{
	return in->s.n > 0 && in->s.p[0] == c;
}

bool
imap_char(struct imap_in *in, char c)
{
	if (!imap_next_is(in, c))
		return false;
	in->s = slice_from(in->s, 1);
	return true;
}

bool
imap_space(struct imap_in *in)
{
	return imap_char(in, ' ') || fail(in, in->s.n ? "Space expected" : "Missing argument");
}

bool
imap_end(struct imap_in *in)
{
	while (imap_char(in, ' '))
		;
	return in->s.n == 0 || fail(in, "Unexpected text after the arguments");
}

bool
imap_word(struct imap_in *in, const char *word)
{
	struct slice w = slice_str(word);

	if (!slice_istarts(in->s, w))
		return false;
	if (in->s.n > w.n && classify((unsigned char)in->s.p[w.n]) & ATOM)
		return false;
	in->s = slice_from(in->s, w.n);
	return true;
}

bool
imap_tag(struct imap_in *in, struct slice *s)
{
	return take_class(in, TAG, s, "Tag expected");
}

bool
imap_atom(struct imap_in *in, struct slice *s)
{
	return take_class(in, ATOM, s, "Atom expected");
}

/* ---- strings --------------------------------------------------------------------------- */

static bool
quoted(struct imap_in *in, struct slice *s)
{
	size_t i = 1, escapes = 0;
	char *p;

	for (;; i++) {
		if (i >= in->s.n)
			return fail(in, "Quoted string without an end");
		if (in->s.p[i] == '"')
			break;
		if (in->s.p[i] == '\0' || in->s.p[i] == '\r')
			return fail(in, "Forbidden character in a quoted string");
		if (in->s.p[i] == '\\') {
			i++;
			escapes++;
			if (i >= in->s.n || (in->s.p[i] != '"' && in->s.p[i] != '\\'))
				return fail(in, "Bad escape in a quoted string");
		}
	}
	*s = slice(in->s.p + 1, i - 1);
	in->s = slice_from(in->s, i + 1);
	if (escapes == 0)
		return true;
	p = arena_new(in->arena, s->n);
	i = 0;
	for (size_t k = 0; k < s->n; k++) {
		if (s->p[k] == '\\')
			k++;
		p[i++] = s->p[k];
	}
	*s = slice(p, i);
	return true;
}

static bool
literal(struct imap_in *in, struct slice *s)
{
	struct slice digits;
	uint64_t n;

	in->s = slice_from(in->s, 1);
	digits = slice(in->s.p, slice_find(in->s, '}'));
	in->s = slice_from(in->s, digits.n + 1);
	if (digits.n > 0 && digits.p[digits.n - 1] == '+')
		digits.n--;
	if (slice_u64(digits, UINT32_MAX, &n) < 0 || !slice_starts(in->s, S("\r\n")) ||
	    n > in->s.n - 2)
		return fail(in, "Bad literal");
	*s = slice(in->s.p + 2, (size_t)n);
	in->s = slice_from(in->s, (size_t)n + 2);
	if (memchr(s->p, '\0', s->n))
		return fail(in, "NUL in a literal");
	return true;
}

bool
imap_string(struct imap_in *in, struct slice *s)
{
	if (imap_next_is(in, '"'))
		return quoted(in, s);
	if (imap_next_is(in, '{'))
		return literal(in, s);
	return fail(in, "String expected");
}

bool
imap_astring(struct imap_in *in, struct slice *s)
{
	if (imap_next_is(in, '"') || imap_next_is(in, '{'))
		return imap_string(in, s);
	return take_class(in, ASTRING, s, "String expected");
}

bool
imap_nstring(struct imap_in *in, struct slice *s, bool *nil)
{
	*nil = imap_word(in, "NIL");
	if (*nil)
		*s = slice(NULL, 0);
	return *nil || imap_string(in, s);
}

bool
imap_list_mailbox(struct imap_in *in, struct slice *s)
{
	if (imap_next_is(in, '"') || imap_next_is(in, '{'))
		return imap_string(in, s);
	return take_class(in, LIST, s, "Mailbox pattern expected");
}

/* ---- numbers --------------------------------------------------------------------------- */

static bool
number(struct imap_in *in, uint64_t max, uint64_t *v)
{
	struct slice s;

	return take_class(in, DIGIT, &s, "Number expected") &&
	    (slice_u64(s, max, v) == 0 || fail(in, "Number too large"));
}

bool
imap_number(struct imap_in *in, uint32_t *n)
{
	uint64_t v;

	if (!number(in, UINT32_MAX, &v))
		return false;
	*n = (uint32_t)v;
	return true;
}

bool
imap_nz_number(struct imap_in *in, uint32_t *n)
{
	return imap_number(in, n) && (*n > 0 || fail(in, "Number must not be zero"));
}

bool
imap_modseq(struct imap_in *in, uint64_t *n)
{
	return number(in, INT64_MAX, n);
}

bool
imap_sequence(struct imap_in *in, struct imap_set *set)
{
	size_t n = 0;

	while (n < in->s.n && (classify((unsigned char)in->s.p[n]) & DIGIT || in->s.p[n] == '*' ||
	    in->s.p[n] == ':' || in->s.p[n] == ','))
		n++;
	if (imap_set_parse(slice(in->s.p, n), in->arena, set) < 0)
		return fail(in, "Bad message set");
	in->s = slice_from(in->s, n);
	return true;
}

/* ---- mailbox names --------------------------------------------------------------------- */

bool
imap_mailbox_name(struct arena *a, struct slice wire, struct slice *name)
{
	struct buf b = { 0 };
	int r = imap_mutf7_parse(&b, wire);

	/* RFC 3501 5.1: INBOX is special and case-insensitive, also above other mailboxes. */
	if (b.n >= 5 && slice_istarts(buf_get(&b), S("INBOX")) && (b.n == 5 || b.p[5] == '/'))
		memcpy(b.p, "INBOX", 5);
	*name = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return r == 0;
}

bool
imap_mailbox(struct imap_in *in, struct slice *name, bool *bad)
{
	struct slice s;

	if (!imap_astring(in, &s))
		return false;
	if (!imap_mailbox_name(in->arena, s, name))
		*bad = true;
	return true;
}

/* ---- dates ----------------------------------------------------------------------------- */

/* The next `n` digits as a number, or -1. */
static int
digits(struct slice *s, size_t n)
{
	uint64_t v;

	if (s->n < n || slice_u64(slice(s->p, n), 99999, &v) < 0)
		return -1;
	*s = slice_from(*s, n);
	return (int)v;
}

static int
month_of(struct slice *s)
{
	static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

	for (int m = 0; m < 12; m++)
		if (slice_istarts(*s, slice(names + 3 * m, 3))) {
			*s = slice_from(*s, 3);
			return m + 1;
		}
	return -1;
}

static bool
take(struct slice *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = slice_from(*s, 1);
	return true;
}

/* "-Mon-yyyy" behind a day. */
static bool
rest_of_date(struct slice *s, int day, int32_t *days)
{
	int month, year;

	if (!take(s, '-') || (month = month_of(s)) < 0 || !take(s, '-') ||
	    (year = digits(s, 4)) < 0 || day < 1 || day > civil_month_days(year, month))
		return false;
	*days = (int32_t)civil_days(year, month, day);
	return true;
}

bool
imap_date(struct imap_in *in, int32_t *days)
{
	bool q = imap_char(in, '"');
	size_t n = in->s.n > 1 && classify((unsigned char)in->s.p[1]) & DIGIT ? 2 : 1;
	int day = digits(&in->s, n);

	if (!rest_of_date(&in->s, day, days) || (q && !imap_char(in, '"')))
		return fail(in, "Bad date");
	return true;
}

/* DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE */
bool
imap_date_time(struct imap_in *in, int64_t *at, int *zone_min)
{
	struct slice *s = &in->s;
	int32_t days;
	int day, h, m, sec, zh, zm, sign;

	if (!take(s, '"'))
		return fail(in, "Date-time expected");
	day = take(s, ' ') ? digits(s, 1) : digits(s, 2);
	if (!rest_of_date(s, day, &days) || !take(s, ' ') || (h = digits(s, 2)) < 0 ||
	    !take(s, ':') || (m = digits(s, 2)) < 0 || !take(s, ':') ||
	    (sec = digits(s, 2)) < 0 || !take(s, ' '))
		return fail(in, "Bad date-time");
	sign = take(s, '-') ? -1 : take(s, '+') ? 1 : 0;
	if (sign == 0 || (zh = digits(s, 2)) < 0 || (zm = digits(s, 2)) < 0 || !take(s, '"') ||
	    h > 23 || m > 59 || sec > 60 || zm > 59 || zh > 23)
		return fail(in, "Bad date-time");
	*zone_min = sign * (zh * 60 + zm);
	*at = (int64_t)days * 86400 + h * 3600 + m * 60 + sec - *zone_min * 60;
	return true;
}

/* ---- lists and flags ------------------------------------------------------------------- */

bool
imap_open(struct imap_in *in)
{
	if (!imap_char(in, '('))
		return fail(in, "List expected");
	if (++in->depth > IMAP_DEPTH_MAX)
		return fail(in, "Too deeply nested");
	return true;
}

int
imap_more(struct imap_in *in)
{
	if (imap_char(in, ')')) {
		in->depth--;
		return 0;
	}
	return imap_space(in) ? 1 : -1;
}

bool
imap_flag(struct imap_in *in, unsigned *bit, struct slice *keyword)
{
	static const struct {
		const char *name;
		unsigned bit;
	} flags[] = {
		{ "SEEN", IMAP_SEEN }, { "ANSWERED", IMAP_ANSWERED }, { "FLAGGED", IMAP_FLAGGED },
		{ "DELETED", IMAP_DELETED }, { "DRAFT", IMAP_DRAFT }, { "RECENT", IMAP_RECENT },
	};

	*bit = 0;
	*keyword = slice(NULL, 0);
	if (!imap_char(in, '\\'))
		return take_class(in, ATOM, keyword, "Flag expected");
	for (size_t i = 0; i < NELEM(flags); i++)
		if (imap_word(in, flags[i].name)) {
			*bit = flags[i].bit;
			return true;
		}
	return fail(in, "Unknown system flag");
}

bool
imap_flag_list(struct imap_in *in, bool bare, struct imap_flags *f)
{
	bool list = imap_next_is(in, '(');
	size_t room = 0;
	int more = 1;

	*f = (struct imap_flags){ 0 };
	if (list) {
		if (!imap_open(in))
			return false;
		if (imap_next_is(in, ')'))
			return imap_more(in) == 0;
	} else if (!bare) {
		return fail(in, "Flag list expected");
	}
	while (more > 0) {
		unsigned bit;
		struct slice kw;

		if (!imap_flag(in, &bit, &kw))
			return false;
		if (bit == IMAP_RECENT)
			return fail(in, "\\Recent cannot be set by a client");
		f->system |= bit;
		if (kw.n > 0) {
			if (f->nkeywords == room) {
				struct slice *k = arena_array(in->arena, room ? room * 2 : 8, sizeof(*k));

				if (room)
					memcpy(k, f->keywords, room * sizeof(*k));
				f->keywords = k;
				room = room ? room * 2 : 8;
			}
			if (f->nkeywords == IMAP_ITEMS_MAX)
				return fail(in, "Too many flags");
			f->keywords[f->nkeywords++] = kw;
		}
		more = list ? imap_more(in) : imap_char(in, ' ');
	}
	return more == 0;
}
