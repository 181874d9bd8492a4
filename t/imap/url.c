/* IMAP URLs of a message of one's own. */
#include "../tap.h"
#include "imap/url.h"

static struct arena arena;

/* What is read, in one line. */
static const char *
read_url(const char *text)
{
	static char out[300];
	struct imap_url u;
	struct buf b = { 0 };

	if (!imap_url_parse(slice_str(text), &arena, &u))
		return "no";
	buf_slice(&b, u.mailbox.p ? u.mailbox : S("-"));
	buf_printf(&b, " %u %u ", u.uidvalidity, u.uid);
	imap_section_write(&b, &u.section);
	if (u.partial && u.to_end)
		buf_printf(&b, " %d.", (int)u.offset);
	else if (u.partial)
		buf_printf(&b, " %d.%d", (int)u.offset, (int)u.length);
	slice_cstr(buf_get(&b), out, sizeof(out));
	buf_fini(&b);
	return out;
}

int
main(void)
{
	static const char *const bad[] = { "", "/", "/;UID=5", "/INBOX", "/INBOX;UID=5",
		"/INBOX/;UID=0", "/INBOX/;UID=", "/INBOX/;UID=x", "/INBOX/;UID=4294967296",
		"/INBOX;UIDVALIDITY=0/;UID=5", "/INBOX;UIDVALIDITY=5", "/INBOX;UIDVALIDITY=5;UID=5",
		"/INBOX/;UID=5;SECTION=1", "/INBOX/;UID=5/;SECTION=", "/INBOX/;UID=5/;SECTION=1.",
		"/INBOX/;UID=5/;SECTION=]", "/INBOX/;UID=5/;SECTION=1]<0.5>",
		"/INBOX/;UID=5/;SECTION=MIME", "/INBOX/;UID=5/;SECTION=X",
		"/INBOX/;UID=5/;PARTIAL=", "/INBOX/;UID=5/;PARTIAL=5.0",
		"/INBOX/;UID=5/;PARTIAL=5.", "/INBOX/;UID=5/;PARTIAL=-1.5",
		"/INBOX/;UID=5/;PARTIAL=1/;SECTION=1", "/INBOX/;UID=5/", "/INBOX/;UID=5?x",
		"/INBOX/;UID=5/;URLAUTH=anonymous", "/INBOX/;UID=5/;SECTION=1;URLAUTH=anonymous",
		"/IN%BOX/;UID=5", "/INBOX%2/;UID=5", "/INBOX%00/;UID=5", "/%ff/;UID=5",
		"imap://host/INBOX/;UID=5", "//host/INBOX;UIDVALIDITY=x/;UID=5", "INBOX/;UID=5",
		";UID=5;UID=6", "/INBOX/;UID=5/;UID=6",
		"/INBOX/;UID=5/;SECTION=HEADER.FIELDS%20(" };

	is(read_url("/INBOX/;UID=5"), "INBOX 0 5 BODY[]", "a message");
	is(read_url("/inbox;uidvalidity=7/;uid=5"), "INBOX 7 5 BODY[]", "case is ignored");
	is(read_url("/a/b%20%3b%2F%c3%a4;UIDVALIDITY=4294967295/;UID=4294967295"),
	    "a/b ;/\xc3\xa4 4294967295 4294967295 BODY[]", "a name with all that can be in it");
	is(read_url("/a;UIDVALIDITY=1/;UID=5/;SECTION=1.2.MIME"), "a 1 5 BODY[1.2.MIME]",
	    "a section");
	is(read_url("/a/;UID=5/;section=HEADER"), "a 0 5 BODY[HEADER]", "HEADER");
	is(read_url("/a/;UID=5/;SECTION=2.HEADER.FIELDS%20(To%20%22Cc%22)"),
	    "a 0 5 BODY[2.HEADER.FIELDS (To Cc)]", "fields, encoded");
	is(read_url("/a/;UID=5/;SECTION=1.5/;PARTIAL=10.20"), "a 0 5 BODY[1.5] 10.20",
	    "of it a piece");
	is(read_url("/a/;UID=5/;PARTIAL=0"), "a 0 5 BODY[] 0.", "to the end");
	is(read_url(";UID=9/;SECTION=TEXT"), "- 0 9 BODY[TEXT]", "of the mailbox that is selected");
	is(read_url("/&-/;UID=5"), "&- 0 5 BODY[]", "names are UTF-8, not UTF-7");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		is(read_url(bad[i]), "no", "none: %s", bad[i]);
	arena_reset(&arena);
	return done();
}
