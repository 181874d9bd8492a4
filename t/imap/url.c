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

static const char *
read_urlauth(const char *text)
{
	static const char *const kinds[] = { "submit", "user", "authuser", "anonymous" };
	static char out[300];
	struct imap_urlauth u;
	struct buf b = { 0 };

	if (!imap_urlauth_parse(slice_str(text), &arena, &u))
		return "no";
	buf_printf(&b, SFMT " at " SFMT " " SFMT " %u ", SARG(u.user), SARG(u.server),
	    SARG(u.url.mailbox), u.url.uid);
	imap_section_write(&b, &u.url.section);
	if (u.expires)
		buf_printf(&b, " until %lld", (long long)u.expire);
	buf_printf(&b, " %s " SFMT " [" SFMT "] " SFMT, kinds[u.access], SARG(u.who),
	    SARG(u.mechanism), SARG(u.token));
	ok(slice_starts(slice_str(text), u.rump) && (text[u.rump.n] == (u.token.p ? ':' : '\0')),
	    "the rump of %s", text);
	slice_cstr(buf_get(&b), out, sizeof(out));
	buf_fini(&b);
	return out;
}

static void
test_urlauth(void)
{
	static const char *const bad[] = { "", "imap://", "/INBOX/;UID=5;URLAUTH=anonymous",
		"imap://joe@host/INBOX/;UID=5", "imap://host/INBOX/;UID=5;URLAUTH=anonymous",
		"imap://@host/INBOX/;UID=5;URLAUTH=anonymous",
		"imap://joe@/INBOX/;UID=5;URLAUTH=anonymous", "imap://joe@host;URLAUTH=anonymous",
		"imap://joe@host/;UID=5;URLAUTH=anonymous",
		"imap://joe@host/INBOX;URLAUTH=anonymous",
		"imap://joe@host/INBOX/;UID=5;URLAUTH=", "imap://joe@host/INBOX/;UID=5;URLAUTH=x",
		"imap://joe@host/INBOX/;UID=5;URLAUTH=user+",
		"imap://joe@host/INBOX/;UID=5;URLAUTH=user+%zz",
		"imap://joe@host/INBOX/;UID=5;URLAUTH=anonymous:",
		"imap://joe@host/INBOX/;UID=5;URLAUTH=anonymous:internal",
		"imap://joe@host/INBOX/;UID=5;URLAUTH=anonymous:internal:",
		"imap://joe@host/INBOX/;UID=5;URLAUTH=anonymous::ab",
		"imap://joe@host/INBOX/;UID=5;EXPIRE=;URLAUTH=anonymous",
		"imap://joe@host/INBOX/;UID=5;EXPIRE=tomorrow;URLAUTH=anonymous",
		"http://joe@host/INBOX/;UID=5;URLAUTH=anonymous" };

	is(read_urlauth("imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred"),
	    "joe at example.com INBOX 20 BODY[1.2] submit fred [] ", "a rump, as in the RFC");
	is(read_urlauth("imap://joe%40a.b;AUTH=*@[::1]:143/x%20y;UIDVALIDITY=3/;UID=5;URLAUTH=user+"
			"fred%40c.d:INTERNAL:01ab"),
	    "joe@a.b at [::1] x y 5 BODY[] user fred@c.d [INTERNAL] 01ab", "a whole one");
	is(read_urlauth("IMAP://joe@h:1/INBOX/;UID=5/;SECTION=TEXT;EXPIRE=1970-01-01T00:01:00Z;"
			"URLAUTH=authuser:internal:01"),
	    "joe at h INBOX 5 BODY[TEXT] until 60 authuser  [internal] 01", "that expires");
	is(read_urlauth("imap://joe@h/INBOX/;UID=5;URLAUTH=ANONYMOUS"),
	    "joe at h INBOX 5 BODY[] anonymous  [] ", "for anybody");
	for (size_t i = 0; i < NELEM(bad); i++)
		is(read_urlauth(bad[i]), "no", "none: %s", bad[i]);
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

	test_urlauth();
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
