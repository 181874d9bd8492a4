/* verdict.c: making, printing and reading outcomes. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/must.h"
#include "mail/verdict.h"

/* One line, whatever went in: control characters become spaces, and a UTF-8 sequence that the
 * cut tore loses its rest. */
static void
text_clean(char *text)
{
	size_t n = strlen(text), lead;

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

struct verdict
verdict(enum verdict_kind kind, int reply, const char *esc, const char *fmt, ...)
{
	struct verdict v = { .kind = kind };
	va_list ap;

	must(verdict_parse_esc(slice_str(esc), &v) == 0 && v.kind == kind);
	must(reply == 0 || reply / 100 == (int)kind || (kind == OK && reply / 100 == 3));
	v.reply = (uint16_t)reply;
	va_start(ap, fmt);
	(void)vsnprintf(v.text, sizeof(v.text), fmt, ap);
	va_end(ap);
	text_clean(v.text);
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
	v->kind = (enum verdict_kind)class;
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

	if (code >= 200 && code < 600 && class != 3) {
		v.kind = (enum verdict_kind)class;
		v.reply = (uint16_t)code;
		v.subject = 0;
		if (slice_word(&rest, &word) && verdict_parse_esc(word, &esc) == 0 &&
		    esc.kind == v.kind) {
			v.subject = esc.subject;
			v.detail = esc.detail;
			text = slice_trim(rest);
		}
	}
	slice_cstr(slice_trim(text), v.text, sizeof(v.text));
	text_clean(v.text);
	return v;
}
