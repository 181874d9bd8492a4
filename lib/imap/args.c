/* imap/args.c: RFC 3501 9, the elements of commands.
 *
 * Pure; called by imapd's commands and the other parsers of imap/.  What fails is the client's
 * text: false, with the first reason, in words for a BAD reply.  Every function takes what it
 * accepts and never reads past the text; nesting and lists have limits.  Slices point into the
 * text unless escapes had to go. */
#include "imap/args.h"

#include "base/civil.h"
#include "base/utf8.h"
#include "imap/mutf7.h"

static bool
imap_args_fail(struct imap_in *in, const char *why)
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
	case '(':
	case ')':
	case '{':
	case '"':
	case '\\': return 0;
	case '%':
	case '*': return LIST;
	case ']': return ASTRING | LIST | TAG;
	case '+': return ATOM | ASTRING | LIST;
	default: return c >= '0' && c <= '9' ? all | DIGIT : all;
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
	return n > 0 || imap_args_fail(in, why);
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
	return imap_char(in, ' ') ||
	    imap_args_fail(in, in->s.n ? "Space expected" : "Missing argument");
}

bool
imap_end(struct imap_in *in)
{
	while (imap_char(in, ' '))
		;
	return in->s.n == 0 || imap_args_fail(in, "Unexpected text after the arguments");
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

#define OBJECTID_MAX    255 /* bytes of anybody's */
#define OBJECTID_DIGITS 16  /* behind the letter of ours */

/* RFC 8474 7 */
static bool
is_objectid(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' ||
	    c == '-';
}

/* ---- strings --------------------------------------------------------------------------- */

static bool
quoted(struct imap_in *in, struct slice *s)
{
	size_t i = 1, escapes = 0;
	char *p;

	for (;; i++) {
		if (i >= in->s.n)
			return imap_args_fail(in, "Quoted string without an end");
		if (in->s.p[i] == '"')
			break;
		if (in->s.p[i] == '\0' || in->s.p[i] == '\r')
			return imap_args_fail(in, "Forbidden character in a quoted string");
		if (in->s.p[i] == '\\') {
			i++;
			escapes++;
			if (i >= in->s.n || (in->s.p[i] != '"' && in->s.p[i] != '\\'))
				return imap_args_fail(in, "Bad escape in a quoted string");
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
imap_args_literal(struct imap_in *in, struct slice *s)
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
		return imap_args_fail(in, "Bad literal");
	*s = slice(in->s.p + 2, (size_t)n);
	in->s = slice_from(in->s, (size_t)n + 2);
	return true;
}

bool
imap_string(struct imap_in *in, struct slice *s)
{
	if (imap_next_is(in, '"'))
		return quoted(in, s);
	if (!imap_next_is(in, '{'))
		return imap_args_fail(in, "String expected");
	if (!imap_args_literal(in, s))
		return false;
	return !memchr(s->p, '\0', s->n) || imap_args_fail(in, "NUL in a literal");
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
imap_nstring8(struct imap_in *in, struct slice *s, bool *nil)
{
	*nil = false;
	if (!slice_starts(in->s, S("~{")))
		return imap_nstring(in, s, nil);
	in->s = slice_from(in->s, 1);
	return imap_args_literal(in, s);
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
imap_args_number(struct imap_in *in, uint64_t max, uint64_t *v)
{
	struct slice s;

	return take_class(in, DIGIT, &s, "Number expected") &&
	    (slice_u64(s, max, v) == 0 || imap_args_fail(in, "Number too large"));
}

bool
imap_number(struct imap_in *in, uint32_t *n)
{
	uint64_t v;

	if (!imap_args_number(in, UINT32_MAX, &v))
		return false;
	*n = (uint32_t)v;
	return true;
}

bool
imap_nz_number(struct imap_in *in, uint32_t *n)
{
	return imap_number(in, n) && (*n > 0 || imap_args_fail(in, "Number must not be zero"));
}

bool
imap_modseq(struct imap_in *in, uint64_t *n)
{
	return imap_args_number(in, INT64_MAX, n);
}

bool
imap_objectid(struct imap_in *in, struct slice *s)
{
	size_t n = 0;

	while (n < in->s.n && n <= OBJECTID_MAX && is_objectid((unsigned char)in->s.p[n]))
		n++;
	if (n == 0 || n > OBJECTID_MAX)
		return imap_args_fail(in, "Object id expected");
	*s = slice(in->s.p, n);
	in->s = slice_from(in->s, n);
	return true;
}

uint64_t
imap_objectid_number(struct slice s, char letter)
{
	uint64_t n = 0;

	if (s.n != 1 + OBJECTID_DIGITS || s.p[0] != letter)
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return 0;
		n = n << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return n;
}

bool
imap_sequence(struct imap_in *in, struct imap_set *set)
{
	size_t n = 0;

	if (imap_char(in, '$')) {
		*set = (struct imap_set){ .saved = true };
		return true;
	}
	while (n < in->s.n &&
	    (classify((unsigned char)in->s.p[n]) & DIGIT || in->s.p[n] == '*' ||
		in->s.p[n] == ':' || in->s.p[n] == ','))
		n++;
	if (imap_set_parse(slice(in->s.p, n), in->arena, set) < 0)
		return imap_args_fail(in, "Bad message set");
	in->s = slice_from(in->s, n);
	return true;
}

bool
imap_partial_range(struct imap_in *in, struct imap_partial *p)
{
	struct slice before = in->s;
	uint32_t a, b;

	p->last = imap_char(in, '-');
	if (!imap_nz_number(in, &a))
		return false;
	if (!imap_char(in, ':') || (p->last && !imap_char(in, '-')))
		return imap_args_fail(in, "Bad range");
	if (!imap_nz_number(in, &b))
		return false;
	p->lo = a < b ? a : b;
	p->hi = a < b ? b : a;
	p->text = slice(before.p, before.n - in->s.n);
	return true;
}

uint64_t
imap_partial_span(const struct imap_partial *p, uint64_t count, uint64_t *from)
{
	uint64_t hi = p->hi < count ? p->hi : count;

	*from = 0;
	if (p->lo > count)
		return 0;
	*from = p->last ? count - hi : p->lo - 1;
	return hi - p->lo + 1;
}

/* ---- mailbox names --------------------------------------------------------------------- */

bool
imap_mailbox_name(const struct imap_in *in, struct slice wire, struct slice *name)
{
	struct buf b = { 0 };
	bool good = in->utf8 ? utf8_valid(wire) : imap_mutf7_parse(&b, wire) == 0;

	if (in->utf8 && good)
		buf_slice(&b, wire);
	/* RFC 3501 5.1: INBOX is special and case-insensitive, also above other mailboxes. */
	if (b.n >= 5 && slice_istarts(buf_get(&b), S("INBOX")) && (b.n == 5 || b.p[5] == '/'))
		memcpy(b.p, "INBOX", 5);
	*name = arena_slice(in->arena, buf_get(&b));
	buf_fini(&b);
	return good;
}

bool
imap_mailbox(struct imap_in *in, struct slice *name, bool *bad)
{
	struct slice s;

	if (!imap_astring(in, &s))
		return false;
	if (!imap_mailbox_name(in, s, name))
		*bad = true;
	return true;
}

/* ---- dates ----------------------------------------------------------------------------- */

/* The next `n` digits as a number, or -1. */
static int
imap_args_digits(struct slice *s, size_t n)
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
imap_args_take(struct slice *s, char c)
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

	if (!imap_args_take(s, '-') || (month = month_of(s)) < 0 || !imap_args_take(s, '-') ||
	    (year = imap_args_digits(s, 4)) < 0 || day < 1 || day > civil_month_days(year, month))
		return false;
	*days = (int32_t)civil_days(year, month, day);
	return true;
}

bool
imap_date(struct imap_in *in, int32_t *days)
{
	bool q = imap_char(in, '"');
	size_t n = in->s.n > 1 && classify((unsigned char)in->s.p[1]) & DIGIT ? 2 : 1;
	int day = imap_args_digits(&in->s, n);

	if (!rest_of_date(&in->s, day, days) || (q && !imap_char(in, '"')))
		return imap_args_fail(in, "Bad date");
	return true;
}

/* Of the years that four digits write, in UTC: others no file is dated, and a zone can lead to them. */
#define DATE_FIRST INT64_C(-62167219200)
#define DATE_LAST  INT64_C(253402300799)

/* DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE */
bool
imap_date_time(struct imap_in *in, int64_t *at, int *zone_min)
{
	struct slice *s = &in->s;
	int32_t days;
	int day, h, m, sec, zh, zm, sign;

	if (!imap_args_take(s, '"'))
		return imap_args_fail(in, "Date-time expected");
	day = imap_args_take(s, ' ') ? imap_args_digits(s, 1) : imap_args_digits(s, 2);
	if (!rest_of_date(s, day, &days) || !imap_args_take(s, ' ') ||
	    (h = imap_args_digits(s, 2)) < 0 || !imap_args_take(s, ':') ||
	    (m = imap_args_digits(s, 2)) < 0 || !imap_args_take(s, ':') ||
	    (sec = imap_args_digits(s, 2)) < 0 || !imap_args_take(s, ' '))
		return imap_args_fail(in, "Bad date-time");
	sign = imap_args_take(s, '-') ? -1 : imap_args_take(s, '+') ? 1 : 0;
	if (sign == 0 || (zh = imap_args_digits(s, 2)) < 0 || (zm = imap_args_digits(s, 2)) < 0 ||
	    !imap_args_take(s, '"') || h > 23 || m > 59 || sec > 60 || zm > 59 || zh > 23)
		return imap_args_fail(in, "Bad date-time");
	*zone_min = sign * (zh * 60 + zm);
	*at = (int64_t)days * 86400 + h * 3600 + m * 60 + sec - *zone_min * 60;
	if (*at < DATE_FIRST || *at > DATE_LAST)
		return imap_args_fail(in, "Bad date-time");
	return true;
}

/* ---- lists and flags ------------------------------------------------------------------- */

bool
imap_open(struct imap_in *in)
{
	if (!imap_char(in, '('))
		return imap_args_fail(in, "List expected");
	if (++in->depth > IMAP_DEPTH_MAX)
		return imap_args_fail(in, "Too deeply nested");
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

static bool
imap_flag(struct imap_in *in, unsigned *bit, struct slice *keyword)
{
	static const struct {
		const char *name;
		unsigned bit;
		/* clang-format off */
	} flags[] = {
		{ "SEEN", IMAP_SEEN }, { "ANSWERED", IMAP_ANSWERED }, { "FLAGGED", IMAP_FLAGGED },
		{ "DELETED", IMAP_DELETED }, { "DRAFT", IMAP_DRAFT }, { "RECENT", IMAP_RECENT },
	};
	/* clang-format on */

	*bit = 0;
	*keyword = slice(NULL, 0);
	if (!imap_char(in, '\\'))
		return take_class(in, ATOM, keyword, "Flag expected");
	for (size_t i = 0; i < NELEM(flags); i++)
		if (imap_word(in, flags[i].name)) {
			*bit = flags[i].bit;
			return true;
		}
	return imap_args_fail(in, "Unknown system flag");
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
		return imap_args_fail(in, "Flag list expected");
	}
	while (more > 0) {
		unsigned bit;
		struct slice kw;

		if (!imap_flag(in, &bit, &kw))
			return false;
		if (bit == IMAP_RECENT)
			return imap_args_fail(in, "\\Recent cannot be set by a client");
		f->system |= bit;
		if (kw.n > 0) {
			if (f->nkeywords == room) {
				struct slice *k =
				    arena_array(in->arena, room ? room * 2 : 8, sizeof(*k));

				if (room)
					memcpy(k, f->keywords, room * sizeof(*k));
				f->keywords = k;
				room = room ? room * 2 : 8;
			}
			if (f->nkeywords == IMAP_ITEMS_MAX)
				return imap_args_fail(in, "Too many flags");
			f->keywords[f->nkeywords++] = kw;
		}
		more = list ? imap_more(in) : imap_char(in, ' ');
	}
	return more == 0;
}
