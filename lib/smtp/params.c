/* smtp/params.c: ESMTP parameters and their encodings: see params.h.
 *
 * Owns nothing; called for each MAIL and RCPT by the server's parser (command.c), by the client and
 * by sendmail(1).  Input that is malformed is refused with words for a 501; what writing makes is
 * always read back by parsing as it was (t/smtp/command.c).  Must stay true: nothing decoded goes
 * into a line again without being encoded, so that no ENVID or ORCPT makes a command. */
#include <errno.h>
#include <stdio.h>
#include "base/utf8.h"
#include "smtp/params.h"

int
smtp_param_next(struct slice *at, struct slice *key, struct slice *value, bool *has_value,
    const char **why)
{
	struct slice word;
	size_t eq;

	if (!slice_word(at, &word))
		return 0;
	eq = slice_find(word, '=');
	*key = slice_sub(word, 0, eq);
	*value = slice_from(word, eq + 1);
	*has_value = eq < word.n;
	*why = "bad parameter";
	if (key->n == 0 || key->p[0] == '-' || (*has_value && value->n == 0))
		return -EBADMSG;
	/* esmtp-keyword: letters, digits and "-". */
	for (size_t i = 0; i < key->n; i++) {
		char c = ascii_lower(key->p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return -EBADMSG;
	}
	return 1;
}

/* xchar: printable ASCII but "+" and "="; RFC 6533 lets UTF-8 pass too. */
static bool
is_xchar(unsigned char c)
{
	return c > 0x20 && c != 0x7f && c != '+' && c != '=';
}

int
smtp_xtext_parse(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		int hi, lo;

		/* Senders that leave "=" as it is (it needs no decoding) are common. */
		if (s.p[i] != '+') {
			if (!is_xchar((unsigned char)s.p[i]) && s.p[i] != '=')
				return -EBADMSG;
			buf_char(b, s.p[i]);
			continue;
		}
		if (i + 2 >= s.n || (hi = ascii_hex(s.p[i + 1])) < 0 ||
		    (lo = ascii_hex(s.p[i + 2])) < 0)
			return -EBADMSG;
		buf_char(b, (char)(hi * 16 + lo));
		i += 2;
	}
	return 0;
}

static void
xtext_char(struct buf *b, unsigned char c)
{
	if (is_xchar(c) && c < 0x80)
		buf_char(b, (char)c);
	else
		buf_printf(b, "+%02X", c);
}

void
smtp_xtext_write(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		xtext_char(b, (unsigned char)s.p[i]);
}

/* EmbeddedUnicodeChar behind "\x{": the code point, with *n characters up to and with "}". */
static int32_t
embedded_parse(struct slice s, size_t *n)
{
	int32_t cp = 0;
	size_t i;

	for (i = 0; i < s.n && s.p[i] != '}'; i++) {
		int d = ascii_hex(s.p[i]);

		if (d < 0 || i == 6)
			return -1;
		cp = cp * 16 + d;
	}
	*n = i + 1;
	if (i == 0 || i == s.n || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000) || cp < 0x10)
		return -1;
	return cp;
}

int
smtp_utf8_addr_parse(struct buf *b, struct slice s)
{
	struct buf plain = { 0 };
	int r = smtp_xtext_parse(&plain, s);

	s = buf_get(&plain);
	for (size_t i = 0; r == 0 && i < s.n; i++) {
		size_t n;
		int32_t cp;

		if (!slice_starts(slice_from(s, i), S("\\x{"))) {
			buf_char(b, s.p[i]);
			continue;
		}
		cp = embedded_parse(slice_from(s, i + 3), &n);
		if (cp < 0) {
			r = -EBADMSG;
			break;
		}
		utf8_put(b, (uint32_t)cp);
		i += 2 + n;
	}
	if (r == 0 && !utf8_valid(buf_get(b)))
		r = -EBADMSG;
	buf_fini(&plain);
	return r;
}

void
smtp_utf8_addr_write(struct buf *b, struct slice s, bool unitext)
{
	while (s.n) {
		int32_t cp = utf8_next(&s);

		if (cp >= 0x80 && unitext)
			utf8_put(b, (uint32_t)cp);
		else if (cp >= 0x80 || cp == '\\' || (cp >= 0 && !is_xchar((unsigned char)cp)))
			buf_printf(b, "\\x{%02X}", (unsigned)cp);
		else if (cp >= 0)
			buf_char(b, (char)cp);
	}
}
