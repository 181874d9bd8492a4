/* reply.c: writing replies. */
#include "smtp/reply.h"

/* One line: "250-5.1.1 text" CRLF. */
static void
reply_line(struct buf *b, int code, char sep, const char *esc, struct slice text)
{
	size_t fixed = 4 + (esc ? strlen(esc) + 1 : 0) + 2;
	char *p;

	if (text.n > SMTP_REPLY_MAX - fixed)
		text.n = SMTP_REPLY_MAX - fixed;
	p = buf_reserve(b, 4);
	if (!p)
		return;
	p[0] = (char)('0' + code / 100 % 10);
	p[1] = (char)('0' + code / 10 % 10);
	p[2] = (char)('0' + code % 10);
	p[3] = sep;
	b->n += 4;
	if (esc) {
		buf_str(b, esc);
		buf_char(b, ' ');
	}
	p = buf_reserve(b, text.n);
	if (!p)
		return;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		p[i] = c < 0x20 || c == 0x7f ? ' ' : (char)c;
	}
	b->n += text.n;
	buf_lit(b, "\r\n");
}

void
smtp_reply_write(struct buf *b, int code, const char *esc, struct slice text)
{
	struct slice line;

	while (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	for (;;) {
		size_t end = slice_find(text, '\n');

		line = slice_sub(text, 0, end);
		if (end == text.n)
			break;
		reply_line(b, code, '-', esc, line);
		text = slice_from(text, end + 1);
	}
	reply_line(b, code, ' ', esc, line);
}

void
smtp_reply_words(struct buf *b, const struct verdict *v, struct slice words)
{
	char text[24] = "";
	struct buf esc = { .p = text, .room = sizeof(text), .cap = sizeof(text) - 1 };
	int code = verdict_reply(v);

	/* 3xx has no enhanced code: RFC 2034 4. */
	if (code / 100 != 3)
		verdict_esc_write(&esc, v);
	smtp_reply_write(b, code, code / 100 == 3 ? NULL : text, words);
}

void
smtp_reply_verdict(struct buf *b, const struct verdict *v)
{
	smtp_reply_words(b, v, slice_str(v->text));
}
