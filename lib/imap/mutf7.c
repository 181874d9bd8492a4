/* imap/mutf7.c: modified UTF-7, RFC 3501 5.1.3: UTF-16 in base64 with `,` for `/`, no padding,
 * between `&` and `-`; `&-` is an ampersand.
 *
 * Called by args.c for each mailbox name that comes in and by write.c for each that goes out.
 * Parsing refuses every spelling but the one that writing gives: two names of one mailbox would
 * be two mailboxes to a client.  Writing cannot fail: what is no character goes out as U+FFFD. */
#include "imap/mutf7.h"

#include <errno.h>

#include "base/utf8.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == ',' ? 63 : -1;
}

/* The base64 between `&` and `-`. */
static int
parse_shifted(struct buf *b, struct slice s)
{
	uint32_t bits = 0, high = 0;
	unsigned nbits = 0;

	for (size_t i = 0; i < s.n; i++) {
		int d = digit(s.p[i]);
		uint32_t unit;

		if (d < 0)
			return -EBADMSG;
		bits = (bits << 6 | (uint32_t)d) & 0x3fffff;
		nbits += 6;
		if (nbits < 16)
			continue;
		nbits -= 16;
		unit = bits >> nbits & 0xffff;
		if (unit >= 0xd800 && unit < 0xdc00) {
			if (high)
				return -EBADMSG;
			high = unit;
		} else if (unit >= 0xdc00 && unit < 0xe000) {
			if (!high)
				return -EBADMSG;
			utf8_put(b, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
			high = 0;
		} else if (high || (unit >= 0x20 && unit < 0x7f) || unit == 0) {
			return -EBADMSG;
		} else {
			utf8_put(b, unit);
		}
	}
	/* What is left over is padding: fewer than 6 bits, all zero. */
	if (high || nbits >= 6 || (bits & ((1u << nbits) - 1)) != 0)
		return -EBADMSG;
	return 0;
}

int
imap_mutf7_parse(struct buf *b, struct slice s)
{
	bool shifted = false; /* the last thing was a shift: "&...-&...-" must be one */

	while (s.n > 0) {
		unsigned char c = (unsigned char)s.p[0];
		size_t end;

		if (c < 0x20 || c >= 0x7f)
			return -EBADMSG;
		if (c != '&') {
			buf_char(b, (char)c);
			s = slice_from(s, 1);
			shifted = false;
			continue;
		}
		s = slice_from(s, 1);
		end = slice_find(s, '-');
		if (end == s.n)
			return -EBADMSG;
		if (end == 0) {
			buf_char(b, '&');
			shifted = false;
		} else {
			if (shifted || parse_shifted(b, slice(s.p, end)) < 0)
				return -EBADMSG;
			shifted = true;
		}
		s = slice_from(s, end + 1);
	}
	return 0;
}

struct shift {
	uint32_t bits;
	unsigned nbits;
	bool on;
};

static void
shift_unit(struct buf *b, struct shift *sh, uint32_t unit)
{
	if (!sh->on)
		buf_char(b, '&');
	sh->on = true;
	sh->bits = sh->bits << 16 | unit;
	sh->nbits += 16;
	while (sh->nbits >= 6) {
		sh->nbits -= 6;
		buf_char(b, alphabet[sh->bits >> sh->nbits & 63]);
	}
	sh->bits &= (1u << sh->nbits) - 1;
}

static void
shift_end(struct buf *b, struct shift *sh)
{
	if (!sh->on)
		return;
	if (sh->nbits > 0)
		buf_char(b, alphabet[sh->bits << (6 - sh->nbits) & 63]);
	buf_char(b, '-');
	*sh = (struct shift){ 0 };
}

void
imap_mutf7_write(struct buf *b, struct slice utf8)
{
	struct shift sh = { 0 };

	while (utf8.n > 0) {
		int32_t cp = utf8_next(&utf8);

		if (cp >= 0x20 && cp < 0x7f) {
			shift_end(b, &sh);
			buf_char(b, (char)cp);
			if (cp == '&')
				buf_char(b, '-');
			continue;
		}
		if (cp <= 0)
			cp = 0xfffd;
		if (cp >= 0x10000) {
			shift_unit(b, &sh, 0xd800 + (((uint32_t)cp - 0x10000) >> 10));
			shift_unit(b, &sh, 0xdc00 + (((uint32_t)cp - 0x10000) & 0x3ff));
		} else {
			shift_unit(b, &sh, (uint32_t)cp);
		}
	}
	shift_end(b, &sh);
}
