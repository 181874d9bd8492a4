/* mail/verdict.c: making, printing and reading outcomes: see verdict.h.
 *
 * Owns nothing, and nothing fails but the reading of a status: a row of outcome.h whose numbers do
 * not agree is a bug and stops the program.  Must stay true: the words are one line without control
 * characters and end with a whole character, whoever wrote them, for they go into replies, reports
 * and logs as they are; and what a peer said can be quoted as it came, whatever was made of it. */
#include <errno.h>
#include "base/must.h"
#include "base/print.h"
#include "base/scan.h"
#include "mail/verdict.h"

/* One line, whatever went in: control characters become spaces, and a UTF-8 sequence that the
 * cut tore loses its rest. */
static void
text_clean(char *text)
{
	size_t n = strlen(text), lead;

	if (scan_plain(slice(text, n), "\x7f\x7f"))
		return;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = ' ';
	for (lead = n; lead > 0 && n - lead < 4 && (text[lead - 1] & 0xc0) == 0x80; lead--)
		;
	if (lead > 0 && (text[lead - 1] & 0xc0) == 0xc0) {
		unsigned char c = (unsigned char)text[lead - 1];
		size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

		if (n - (lead - 1) < want)
			text[lead - 1] = '\0';
	}
}

/* The status of a row: three numbers, as a rule of one digit. */
static bool
esc_of_row(const char *esc, struct verdict *v)
{
	if (strlen(esc) != 5 || esc[1] != '.' || esc[3] != '.' || esc[2] < '0' || esc[2] > '9' ||
	    esc[4] < '0' || esc[4] > '9' || (esc[0] != '2' && esc[0] != '4' && esc[0] != '5'))
		return verdict_parse_esc(slice_str(esc), v) == 0;
	v->kind = (enum verdict_kind)(esc[0] - '0');
	v->subject = (uint8_t)(esc[2] - '0');
	v->detail = (uint16_t)(esc[4] - '0');
	return true;
}

struct verdict
verdict_va(enum verdict_kind kind, int reply, const char *esc, const char *fmt, va_list ap)
{
	struct verdict v = { .kind = kind };

	must(esc_of_row(esc, &v) && v.kind == kind);
	must(reply == 0 || reply / 100 == (int)kind || (kind == OK && reply / 100 == 3));
	v.reply = (uint16_t)reply;
	(void)print_va(v.text, sizeof(v.text), fmt, ap);
	text_clean(v.text);
	return v;
}

struct verdict
verdict(enum verdict_kind kind, int reply, const char *esc, const char *fmt, ...)
{
	struct verdict v;
	va_list ap;

	va_start(ap, fmt);
	v = verdict_va(kind, reply, esc, fmt, ap);
	va_end(ap);
	return v;
}

int
verdict_reply(const struct verdict *v)
{
	if (v->reply)
		return v->reply;
	return v->kind == OK ? 250 : v->kind == PERM ? 550 : 451;
}

void
verdict_esc_write(struct buf *b, const struct verdict *v)
{
	buf_u64(b, v->kind ? (unsigned)v->kind : (unsigned)TEMP);
	buf_char(b, '.');
	buf_u64(b, v->subject);
	buf_char(b, '.');
	buf_u64(b, v->detail);
}

void
verdict_quote_write(struct buf *b, const struct verdict *v)
{
	buf_u64(b, (unsigned)(v->said ? v->said : verdict_reply(v)));
	buf_char(b, ' ');
	if (v->said && v->said_class == 0)
		return;
	buf_u64(b, v->said ? v->said_class : v->kind ? (unsigned)v->kind : (unsigned)TEMP);
	buf_printf(b, ".%u.%u ", v->subject, v->detail);
}

int
verdict_parse_esc(struct slice s, struct verdict *v)
{
	uint64_t class, subject, detail;
	struct slice part;

	if (!slice_cut(&s, '.', &part) || part.n != 1 || slice_u64(part, 5, &class) < 0 ||
	    (class != 2 && class != 4 && class != 5))
		return -EBADMSG;
	/* RFC 3463 2: one to three digits each. */
	if (!slice_cut(&s, '.', &part) || part.n > 3 || slice_u64(part, 255, &subject) < 0)
		return -EBADMSG;
	if (s.n > 3 || slice_u64(s, 999, &detail) < 0)
		return -EBADMSG;
	v->kind = (enum verdict_kind) class;
	v->subject = (uint8_t)subject;
	v->detail = (uint16_t)detail;
	return 0;
}

struct verdict
verdict_parse_reply(int code, struct slice text)
{
	struct verdict v = { .kind = TEMP, .subject = 5 }, esc = { 0 };
	int class = code / 100;
	struct slice word, rest = text;

	if (code > 0 && code < 1000)
		v.said = (uint16_t)code;
	if (code >= 200 && code < 600 && class != 3) {
		v.kind = (enum verdict_kind) class;
		v.reply = (uint16_t)code;
		v.subject = 0;
		if (slice_word(&rest, &word) && verdict_parse_esc(word, &esc) == 0) {
			v.subject = esc.subject;
			v.detail = esc.detail;
			v.said_class = (uint8_t)esc.kind;
			text = slice_trim(rest);
		}
	}
	slice_cstr(slice_trim(text), v.text, sizeof(v.text));
	text_clean(v.text);
	return v;
}
