/* ENVELOPE, BODYSTRUCTURE and the cache record, of good and of hostile mail. */
#include <errno.h>

#include "../tap.h"
#include "imap/cache.h"
#include "imap/structure.h"

static struct buf record;

static struct imap_cache
build(struct slice msg)
{
	struct imap_cache c = { 0 };

	buf_clear(&record);
	imap_cache_build(msg, &record);
	eq(imap_cache_parse(buf_get(&record), &c), 0, "record parses");
	return c;
}

static const char *
text(struct slice s)
{
	static char t[4][4000];
	static int i;

	i = (i + 1) % 4;
	return slice_cstr(s, t[i], sizeof(t[i]));
}

static const char *
body(struct slice structure)
{
	struct buf b = { 0 };
	const char *t;

	imap_body_from_structure(&b, structure);
	t = text(buf_get(&b));
	buf_fini(&b);
	return t;
}

static bool
ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80 || !s.p[i])
			return false;
	return true;
}

/* BODY made from BODYSTRUCTURE is BODY made from the tree. */
static void
same_body(struct slice msg, const char *what)
{
	struct imap_cache c = build(msg);
	struct arena a = { 0 };
	struct buf direct = { 0 }, derived = { 0 };
	struct mime m;

	mime_parse(msg, &a, &m);
	imap_structure_write(&direct, &m, m.root, false, &a);
	imap_body_from_structure(&derived, c.structure);
	is(buf_cstr(&derived), buf_cstr(&direct), "BODY of %s", what);
	buf_fini(&direct);
	buf_fini(&derived);
	arena_reset(&a);
}

#define SIMPLE                                                                       \
	"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"                            \
	"From: Terry Gray <gray@cac.washington.edu>\r\n"                             \
	"Subject: IMAP4rev1 WG mtg summary and minutes\r\n"                          \
	"To: imap@cac.washington.edu\r\n"                                            \
	"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"          \
	"Message-Id: <B27397-0100000@cac.washington.edu>\r\n"                        \
	"MIME-Version: 1.0\r\n"                                                      \
	"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nline 1\r\nline 2\r\n"

static void
simple(void)
{
	struct imap_cache c = build(S(SIMPLE));
	struct imap_part p;

	eq(c.has, 31, "everything is there");
	is(text(c.envelope),
	    "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" "
	    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
	    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
	    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
	    "((NIL NIL \"imap\" \"cac.washington.edu\")) "
	    "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
	    "(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
	    "\"<B27397-0100000@cac.washington.edu>\")",
	    "the RFC's envelope");
	is(text(c.structure),
	    "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 16 2 NIL NIL NIL NIL)",
	    "BODYSTRUCTURE");
	is(body(c.structure), "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 16 2)",
	    "BODY");
	is(text(c.fields[IMAP_FROM]), "terry gray <gray@cac.washington.edu>", "search copy");
	eq(c.sent_at, 837595405, "date");
	eq(c.sent_day, 9694, "day in the sender's zone");
	eq(imap_cache_part(&c, NULL, 0, &p), 0, "the whole");
	ok(p.header.at == 0 && p.header.len == c.header_len && p.text.len == 16 &&
		p.body.len == sizeof(SIMPLE) - 1,
	    "HEADER and TEXT");
	eq(imap_cache_part(&c, (uint32_t[]){ 1 }, 1, &p), 0, "part 1 of a plain message");
	ok(p.body.at == c.header_len && p.body.len == 16 && !p.message, "is its body");
	eq(imap_cache_part(&c, (uint32_t[]){ 2 }, 1, &p), -ENOENT, "no part 2");
	eq(imap_cache_part(&c, (uint32_t[]){ 1, 1 }, 2, &p), -ENOENT, "no part 1.1");
}

#define NESTED                                                                              \
	"Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n"   \
	"--a\r\n\r\nfirst\r\n"                                                              \
	"--a\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment;"           \
	" filename=\"x.eml\"\r\n\r\n"                                                       \
	"Subject: inner\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"         \
	"--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n"                                  \
	"--b\r\nContent-Type: text/html\r\nContent-Language: de, en\r\n\r\n<p>\r\n--b--\r\n" \
	"--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: short\r\n\r\nbody\r\n--a--\r\n"

static void
part_is(const struct imap_cache *c, const uint32_t *path, size_t n, const char *want,
    const char *what)
{
	struct imap_part p = { 0 };

	eq(imap_cache_part(c, path, n, &p), 0, "%s is there", what);
	is(text(slice_sub(S(NESTED), p.body.at, p.body.len)), want, "%s", what);
}

static void
nested(void)
{
	struct imap_cache c = build(S(NESTED));
	struct imap_part p;

	is(body(c.structure),
	    "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 1)"
	    "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 175 "
	    "(NIL \"inner\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	    "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 1)"
	    "(\"text\" \"html\" NIL NIL NIL \"7bit\" 3 1) \"alternative\") 13)"
	    "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 22 "
	    "(NIL \"short\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	    "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1) 3) \"mixed\")",
	    "BODY of nested parts");
	part_is(&c, (uint32_t[]){ 1 }, 1, "first", "1");
	part_is(&c, (uint32_t[]){ 2, 1 }, 2, "plain", "2.1");
	part_is(&c, (uint32_t[]){ 2, 2 }, 2, "<p>", "2.2");
	part_is(&c, (uint32_t[]){ 3, 1 }, 2, "body", "3.1");
	eq(imap_cache_part(&c, (uint32_t[]){ 3 }, 1, &p), 0, "3");
	is(text(slice_sub(S(NESTED), p.header.at, p.header.len)), "Subject: short\r\n\r\n", "3.HEADER");
	is(text(slice_sub(S(NESTED), p.text.at, p.text.len)), "body", "3.TEXT");
	eq(imap_cache_part(&c, (uint32_t[]){ 4 }, 1, &p), -ENOENT, "no 4");
	eq(imap_cache_part(&c, (uint32_t[]){ 2, 3 }, 2, &p), -ENOENT, "no 2.3");
	ok(strstr(text(c.structure), "(\"de\" \"en\")") != NULL, "languages");
	ok(strstr(text(c.structure), "(\"attachment\" (\"filename\" \"x.eml\"))") != NULL,
	    "disposition");
}

static void
odd(void)
{
	struct imap_cache c;
	struct buf b = { 0 };

	c = build(S("To: somebody\r\n\r\n"));
	ok(strncmp(text(c.envelope), "(NIL NIL NIL NIL NIL ", 21) == 0, "no From: still an envelope");
	ok(strstr(text(c.envelope), "\"somebody\" \"MISSING_DOMAIN\"") != NULL,
	    "an address without a domain does not look like a group");
	c = build(S(""));
	ok(c.has & IMAP_HAS_STRUCTURE && c.has & IMAP_HAS_ENVELOPE, "an empty message");
	c = build(S("From: a group: x@y.z, Q <q@r.s>;\r\nSubject:\r\n\r\n"));
	ok(strstr(text(c.envelope), "((NIL NIL \"a group\" NIL)(NIL NIL \"x\" \"y.z\")"
				     "(\"Q\" NIL \"q\" \"r.s\")(NIL NIL NIL NIL))") != NULL,
	    "group");
	ok(strncmp(text(c.envelope), "(NIL \"\" ", 8) == 0, "an empty subject is not a missing one");

	c = build(S("Subject: gr\xc3\xbc\xc3\x9f dich\r\nFrom: \xe4\xf6 <a@b.c>\r\n"
		    "Content-Type: text/plain; name=\"\xc3\xa4.txt\"\r\n\r\n"));
	ok(ascii(c.envelope) && ascii(c.structure), "raw 8-bit does not get out");
	ok(strstr(text(c.envelope), "=?utf-8?") || strstr(text(c.envelope), "=?UTF-8?"),
	    "but becomes encoded words");
	ok(strstr(text(c.structure), "\"name*\" \"utf-8''%C3%A4.txt\"") != NULL,
	    "and an RFC 2231 parameter");
	is(text(c.fields[IMAP_SUBJECT]), "gr\xc3\xbc\xc3\x9f dich", "and can be searched");
	c = build(S("Subject: =?iso-8859-1?Q?=C4rger?=\r\n  und\r\n mehr\r\nDate: junk\r\n\r\n"));
	ok(strstr(text(c.fields[IMAP_SUBJECT]), "\xc3\xa4rger") != NULL, "encoded word decoded, folded");
	ok(!(c.has & IMAP_HAS_DATE), "no date");

	same_body(S(SIMPLE), "a plain message");
	same_body(S(NESTED), "nested messages");
	same_body(S("Content-Type: message/global\r\n\r\nSubject: x\r\n\r\ny"), "message/global");
	same_body(S("Content-Type: text/plain; x=\"a{5}) (\\\"\"\r\nContent-Description: a{3}\r\n\r\n"),
	    "awkward strings");

	buf_lit(&b, "From: ");
	for (int i = 0; i < 20000; i++)
		buf_printf(&b, "\"user %d\" <user%d@example.org>,\r\n ", i, i);
	buf_lit(&b, "last@example.org\r\nSubject: x\r\n\r\nbody");
	c = build(buf_get(&b));
	ok(!(c.has & IMAP_HAS_ENVELOPE) && c.has & IMAP_HAS_STRUCTURE && !(c.has & IMAP_HAS_FIELDS),
	    "what is too large is left out");
	ok(record.n <= IMAP_CACHE_MAX, "the record stays below its limit");
	buf_clear(&b);
	for (int i = 0; i < 200; i++)
		buf_printf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
	c = build(buf_get(&b));
	ok(record.n <= IMAP_CACHE_MAX && c.has & IMAP_HAS_STRUCTURE, "deeply nested");
	buf_fini(&b);
	eq(imap_cache_parse(S("\001abc"), &c), -EBADMSG, "a damaged record");
	eq(imap_cache_parse(slice(record.p, 60), &c), -EBADMSG, "a cut record");
}

int
main(void)
{
	simple();
	nested();
	odd();
	buf_fini(&record);
	return done();
}
