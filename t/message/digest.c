/* ENVELOPE, BODYSTRUCTURE and the cache record, of good and of hostile mail. */
#include <errno.h>

#include "../tap.h"
#include "base/mem.h"
#include "message/digest.h"
#include "imap/structure.h"

static struct buf record;

static struct message_digest
build(struct slice msg)
{
	struct message_digest c = { 0 };

	buf_clear(&record);
	message_digest_build(msg, &record);
	eq(message_digest_parse(buf_get(&record), &c), 0, "record parses");
	return c;
}

/* The text of a field, in lower case as SEARCH sees it. */
static const char *
field_text(enum message_field field)
{
	static char t[1000];
	struct slice s;

	if (message_digest_text(buf_get(&record), field, &s) < 0)
		return "none";
	slice_cstr(s, t, sizeof(t));
	for (char *p = t; *p; p++)
		*p = ascii_lower(*p);
	return t;
}

static bool
finds(const char *name, const char *what)
{
	struct slice n = slice_str(name);
	struct message_word word;
	bool yes = false;

	message_word_init(&word, slice_str(what));
	return message_digest_find(buf_get(&record), message_digest_field_number(n), n, &word,
		   &yes) == 0 &&
	    yes;
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
envelope(const struct message_digest *c)
{
	size_t room = message_digest_envelope_room(c);
	char *p = mem_grow(NULL, room + 1, 1);
	const char *t = text(slice(p, (size_t)(message_digest_envelope(c, p) - p)));

	mem_free(&p);
	return t;
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
	struct message_digest c = build(msg);
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

#define SIMPLE                                                                                     \
	"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"                                          \
	"From: Terry Gray <gray@cac.washington.edu>\r\n"                                           \
	"Subject: IMAP4rev1 WG mtg summary and minutes\r\n"                                        \
	"To: imap@cac.washington.edu\r\n"                                                          \
	"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"                        \
	"Message-Id: <B27397-0100000@cac.washington.edu>\r\n"                                      \
	"MIME-Version: 1.0\r\n"                                                                    \
	"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nline 1\r\nline 2\r\n"

static void
simple(void)
{
	struct message_digest c = build(S(SIMPLE));
	struct message_part p;

	eq(c.has, 63, "everything is there");
	is(envelope(&c),
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
	is(body(c.structure),
	    "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 16 2)", "BODY");
	is(field_text(MESSAGE_FROM), "terry gray <gray@cac.washington.edu>", "search copy");
	eq(c.sent_at, 837595405, "date");
	eq(c.sent_day, 9694, "day in the sender's zone");
	eq(message_digest_part(&c, NULL, 0, &p), 0, "the whole");
	ok(p.header.at == 0 && p.header.len == c.header_len && p.text.len == 16 &&
		p.body.len == sizeof(SIMPLE) - 1,
	    "HEADER and TEXT");
	eq(message_digest_part(&c, (uint32_t[]){ 1 }, 1, &p), 0, "part 1 of a plain message");
	ok(p.body.at == c.header_len && p.body.len == 16 && !p.message, "is its body");
	eq(message_digest_part(&c, (uint32_t[]){ 2 }, 1, &p), -ENOENT, "no part 2");
	eq(message_digest_part(&c, (uint32_t[]){ 1, 1 }, 2, &p), -ENOENT, "no part 1.1");
}

#define NESTED                                                                                     \
	"Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n"          \
	"--a\r\n\r\nfirst\r\n"                                                                     \
	"--a\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment;"                  \
	" filename=\"x.eml\"\r\n\r\n"                                                              \
	"Subject: inner\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"                \
	"--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n"                                         \
	"--b\r\nContent-Type: text/html\r\nContent-Language: de, en\r\n\r\n<p>\r\n--b--\r\n"       \
	"--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: short\r\n\r\nbody\r\n--a--\r\n"

static void
part_is(const struct message_digest *c, const uint32_t *path, size_t n, const char *want,
    const char *what)
{
	struct message_part p = { 0 };

	eq(message_digest_part(c, path, n, &p), 0, "%s is there", what);
	is(text(slice_sub(S(NESTED), p.body.at, p.body.len)), want, "%s", what);
}

static void
nested(void)
{
	struct message_digest c = build(S(NESTED));
	struct message_part p;

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
	eq(message_digest_part(&c, (uint32_t[]){ 3 }, 1, &p), 0, "3");
	is(text(slice_sub(S(NESTED), p.header.at, p.header.len)), "Subject: short\r\n\r\n",
	    "3.HEADER");
	is(text(slice_sub(S(NESTED), p.text.at, p.text.len)), "body", "3.TEXT");
	eq(message_digest_part(&c, (uint32_t[]){ 4 }, 1, &p), -ENOENT, "no 4");
	eq(message_digest_part(&c, (uint32_t[]){ 2, 3 }, 2, &p), -ENOENT, "no 2.3");
	ok(strstr(text(c.structure), "(\"de\" \"en\")"), "languages");
	ok(strstr(text(c.structure), "(\"attachment\" (\"filename\" \"x.eml\"))"), "disposition");
}

static void
odd(void)
{
	struct message_digest c;
	struct buf b = { 0 };

	c = build(S("To: somebody\r\n\r\n"));
	ok(strncmp(envelope(&c), "(NIL NIL NIL NIL NIL ", 21) == 0, "no From: still an envelope");
	ok(strstr(envelope(&c), "\"somebody\" \"MISSING_DOMAIN\""),
	    "an address without a domain does not look like a group");
	c = build(S(""));
	ok(c.has & MESSAGE_HAS_STRUCTURE && c.has & MESSAGE_HAS_ENVELOPE, "an empty message");
	c = build(S("From: a group: x@y.z, Q <q@r.s>;\r\nSubject:\r\n\r\n"));
	ok(strstr(envelope(&c),
	       "((NIL NIL \"a group\" NIL)(NIL NIL \"x\" \"y.z\")"
	       "(\"Q\" NIL \"q\" \"r.s\")(NIL NIL NIL NIL))"),
	    "group");
	ok(strncmp(envelope(&c), "(NIL \"\" ", 8) == 0, "an empty subject is not a missing one");

	c = build(S("Subject: gr\xc3\xbc\xc3\x9f dich\r\nFrom: \xe4\xf6 <a@b.c>\r\n"
		    "Content-Type: text/plain; name=\"\xc3\xa4.txt\"\r\n\r\n"));
	ok(ascii(slice_str(envelope(&c))) && ascii(c.structure), "raw 8-bit does not get out");
	ok(strstr(envelope(&c), "=?utf-8?") || strstr(envelope(&c), "=?UTF-8?"),
	    "but becomes encoded words");
	ok(strstr(text(c.structure), "\"name*\" \"utf-8''%C3%A4.txt\""),
	    "and an RFC 2231 parameter");
	is(field_text(MESSAGE_SUBJECT), "gr\xc3\xbc\xc3\x9f dich", "and can be searched");
	c = build(S("Content-Type: application/pdf; name*0=\"abc\"; name*1=\"def.pdf\"\r\n"
		    "Content-Disposition: attachment;\r\n filename*1*=%20b.pdf;\r\n"
		    " filename*0*=utf-8''%C3%A4\r\n\r\n"));
	ok(strstr(text(c.structure), "(\"name\" \"abcdef.pdf\")"),
	    "continued parameters are put together");
	ok(strstr(text(c.structure), "(\"filename*\" \"utf-8''%C3%A4%20b.pdf\")"),
	    "extended ones too, in the order of their numbers");
	c = build(S("Subject: =?iso-8859-1?Q?=C4rger?=\r\n  und\r\n mehr\r\nDate: junk\r\n\r\n"));
	ok(strstr(field_text(MESSAGE_SUBJECT), "\xc3\xa4rger"), "encoded word decoded, folded");
	ok(!(c.has & MESSAGE_HAS_DATE), "no date");

	same_body(S(SIMPLE), "a plain message");
	same_body(S(NESTED), "nested messages");
	same_body(S("Content-Type: message/global\r\n\r\nSubject: x\r\n\r\ny"), "message/global");
	same_body(S("Content-Type: text/plain; x=\"a{5}) (\\\"\"\r\nContent-Description: "
		    "a{3}\r\n\r\n"),
	    "awkward strings");

	buf_lit(&b, "From: ");
	for (int i = 0; i < 20000; i++)
		buf_printf(&b, "\"user %d\" <user%d@example.org>,\r\n ", i, i);
	buf_lit(&b, "last@example.org\r\nSubject: x\r\n\r\nbody");
	c = build(buf_get(&b));
	ok(!(c.has & MESSAGE_HAS_ENVELOPE) && c.has & MESSAGE_HAS_STRUCTURE &&
		!(c.has & MESSAGE_HAS_TEXT),
	    "what is too large is left out");
	ok(record.n <= MESSAGE_DIGEST_MAX, "the record stays below its limit");
	buf_clear(&b);
	for (int i = 0; i < 200; i++)
		buf_printf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i,
		    i);
	c = build(buf_get(&b));
	ok(record.n <= MESSAGE_DIGEST_MAX && c.has & MESSAGE_HAS_STRUCTURE, "deeply nested");
	buf_fini(&b);
	eq(message_digest_parse(S("\001abc"), &c), -EBADMSG, "a damaged record");
	eq(message_digest_parse(slice(record.p, 60), &c), -EBADMSG, "a cut record");
}

/* What SEARCH finds in the digest, as it would in the file. */
static void
searched(void)
{
	(void)build(
	    S("From: user-from (a comment)@ (b) example.org, \"J. \\\"Q\\\" Doe\" <q@x.y>\r\n"
	      "To: plain@example.org\r\nSubject: alpha beta\r\n\tgamma\r\n  delta\r\n"
	      "Message-ID: <Big.Id@Example.ORG>\r\nReferences: <a@b>\r\n\t<c@d>\r\n"
	      "List-Id: Our List <our.list.example>\r\nCc:\r\n\r\nx"));
	ok(finds("from", "user-from@example.org"), "an address with comments in it");
	ok(finds("from", "j. \"q\" doe"), "a name without its backslashes");
	ok(finds("from", "(a comment)"), "and the field as it stands");
	ok(finds("subject", "beta gamma delta"), "words around folds of any kind");
	ok(finds("to", "plain@") && !finds("to", "user-from"), "each field by itself");
	ok(finds("Message-Id", "big.id@example.org"), "Message-ID in any case");
	ok(finds("references", "<a@b> <c@d>") && !finds("in-reply-to", "a"), "References");
	ok(finds("cc", "") && !finds("bcc", ""), "a field that is empty is there");
	ok(finds("list-id", "our.list") && finds("LIST-ID", "") && !finds("sender", ""),
	    "fields that are only kept");
	(void)build(S("Subject: Pr\xc3\xbc"
		      "f\xc3\r\n\r\n"));
	ok(finds("subject",
	       "pr\xc3\xbc"
	       "f"),
	    "text with a damaged byte");
}

/* The kept fields are the file's octets. */
static void
kept(void)
{
	static const char want[] = "From: A\r\n <a@b>\r\nsubject : x\r\nFrom: C <c@d>\r\n"
				   "X-Priority: 1\r\n";
	struct message_digest c = build(
	    S("Received: from x\r\n by y\r\nFrom: A\r\n <a@b>\r\nsubject : x\r\nX-Other: 1\r\n"
	      "junk\r\nFrom: C <c@d>\r\nX-Priority: 1\r\n\r\nFrom: body"));
	struct buf b = { 0 };

	is(text(c.header), want, "octet by octet, in their order");
	ok(finds("from", "c@d") && finds("from", "a <a@b>"), "both From fields are searched");
	buf_lit(&b, "Subject: short\r\nReferences:");
	for (int i = 0; i < 400; i++)
		buf_printf(&b, " <%d@example.org>\r\n", i);
	buf_lit(&b, "\r\n");
	c = build(buf_get(&b));
	ok(!(c.has & MESSAGE_HAS_HEADER) && c.header.n == 0, "too much is not kept in part");
	ok(finds("references", "<399@example.org>") && finds("subject", "short"),
	    "but still searched");
	buf_fini(&b);
}

/* A digest that the first version made: "Subject: Gr\u00fc\u00dfe", From, Message-ID. */
#define VERSION_1                                                                                  \
	"\001\037\000\000\164\000\000\000\156\000\000\000\336\045\000\000\015\261\354\061"         \
	"\000\000\000\000\310\000\000\000\112\000\000\000\030\000\000\000\007\000\030\000"         \
	"\000\000\000\000\000\000\005\000\000\000\000\000\050\042\127\145\144\054\040\061"         \
	"\067\040\112\165\154\040\061\071\071\066\040\060\062\072\062\063\072\062\065\040"         \
	"\055\060\067\060\060\042\040\042\075\077\165\164\146\055\070\077\161\077\107\162"         \
	"\075\103\063\075\102\103\075\103\063\075\071\106\145\077\075\042\040\050\050\042"         \
	"\124\145\162\162\171\042\040\116\111\114\040\042\147\162\141\171\042\040\042\143"         \
	"\141\143\056\145\170\141\155\160\154\145\042\051\051\040\050\050\042\124\145\162"         \
	"\162\171\042\040\116\111\114\040\042\147\162\141\171\042\040\042\143\141\143\056"         \
	"\145\170\141\155\160\154\145\042\051\051\040\050\050\042\124\145\162\162\171\042"         \
	"\040\116\111\114\040\042\147\162\141\171\042\040\042\143\141\143\056\145\170\141"         \
	"\155\160\154\145\042\051\051\040\116\111\114\040\116\111\114\040\116\111\114\040"         \
	"\116\111\114\040\042\074\101\100\142\076\042\051\050\042\164\145\170\164\042\040"         \
	"\042\160\154\141\151\156\042\040\050\042\143\150\141\162\163\145\164\042\040\042"         \
	"\165\163\055\141\163\143\151\151\042\051\040\116\111\114\040\116\111\114\040\042"         \
	"\067\142\151\164\042\040\066\040\061\040\116\111\114\040\116\111\114\040\116\111"         \
	"\114\040\116\111\114\051\000\000\000\000\156\000\000\000\156\000\000\000\006\000"         \
	"\000\000\001\000\000\000\000\000\000\000\147\162\303\274\303\237\145\164\145\162"         \
	"\162\171\040\074\147\162\141\171\100\143\141\143\056\145\170\141\155\160\154\145"         \
	"\076\074\101\100\142\076"

static void
versions(void)
{
	static const struct message_word none;
	struct message_digest c;
	struct buf b = { 0 };
	bool yes;

	buf_clear(&record);
	buf_slice(&record, S(VERSION_1));
	eq(message_digest_parse(buf_get(&record), &c), 0, "version 1 is read");
	eq(c.has, 31, "and has no header fields");
	ok(slice_starts(slice_str(envelope(&c)), S("(\"Wed, 17 Jul")) && c.sent_day == 9694,
	    "its envelope, its date");
	ok(finds("subject", "gr\xc3\xbc\xc3\x9f") && finds("message-id", "<a@b>"),
	    "it is searched");
	ok(!finds("cc", "x") &&
		message_digest_find(buf_get(&record), MESSAGE_CC, S("cc"), &none, &yes) < 0,
	    "whether an empty field is there it cannot tell");
	eq(message_digest_find(buf_get(&record), -1, S("list-id"), &none, &yes), -ENODATA,
	    "nor what it never kept");

	c = build(S(SIMPLE));
	buf_slice(&b, slice(record.p, 110)); /* a later one: a longer head, and more at the end */
	b.p[2] = 114;
	buf_lit(&b, "more");
	buf_slice(&b, slice_from(buf_get(&record), 110));
	buf_lit(&b, "and more");
	buf_clear(&record);
	buf_slice(&record, buf_get(&b));
	eq(message_digest_parse(buf_get(&record), &c), 0, "a later minor form is read");
	ok(slice_starts(slice_str(envelope(&c)), S("(\"Wed, 17")) && finds("from", "terry gray"),
	    "as far as it is known");
	record.p[0] = 3;
	eq(message_digest_parse(buf_get(&record), &c), -EBADMSG, "another version is not");
	buf_fini(&b);
}

int
main(void)
{
	simple();
	nested();
	odd();
	searched();
	kept();
	versions();
	buf_fini(&record);
	return done();
}
