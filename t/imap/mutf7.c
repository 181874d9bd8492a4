/* Modified UTF-7 names: RFC 3501 5.1.3. */
#include <errno.h>

#include "../tap.h"
#include "imap/mutf7.h"

static const struct {
	const char *wire, *utf8;
	/* clang-format off */
} pairs[] = {
	{ "INBOX", "INBOX" },
	{ "Peter&-Paul", "Peter&Paul" },
	{ "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/"
					   "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
	{ "Entw&APw-rfe", "Entw\xc3\xbcrfe" },
	{ "&APg-", "\xc3\xb8" },
	{ "&2D3eAA-", "\xf0\x9f\x98\x80" },
	{ "a&2D3eAA-&-b", "a\xf0\x9f\x98\x80&b" },
	{ "&APwA9g-", "\xc3\xbc\xc3\xb6" },
	{ "", "" },
};
/* clang-format on */

static int
parse(const char *s, char dst[64])
{
	struct buf b = { 0 };
	int r = imap_mutf7_parse(&b, slice_str(s));

	slice_cstr(buf_get(&b), dst, 64);
	buf_fini(&b);
	return r;
}

int
main(void)
{
	/* clang-format off */
	static const char *const wrong[] = {
		"&", "&AA", "&Jjo", "a&b", "&AEE-", "&Jjo!-", "&U,BTFw-&ZeVnLIqe-", "&2D0-", "&3gA-",
		"\xc3\xbc", "&AP-", "a\tb", "&AAA-",
	};
	/* clang-format on */
	char text[64];

	for (size_t i = 0; i < NELEM(pairs); i++) {
		struct buf b = { 0 };

		imap_mutf7_write(&b, slice_str(pairs[i].utf8));
		is(buf_cstr(&b), pairs[i].wire, "written: %s", pairs[i].wire);
		eq(parse(pairs[i].wire, text), 0, "parsed: %s", pairs[i].wire);
		is(text, pairs[i].utf8, "means the same");
		buf_fini(&b);
	}
	for (size_t i = 0; i < NELEM(wrong); i++)
		eq(parse(wrong[i], text), -EBADMSG, "refused: case %zu", i);
	return done();
}
