/* t/mail/mbox.c: mail in files of other programs: mbox and the names of a Maildir. */
#include "mail/mbox.h"
#include "../tap.h"

/* The messages of a file: "LINE:AT:TEXT" each, ends of lines as "|", in parentheses without a "From ". */
static const char *
split(const char *file)
{
	static char out[600];
	struct mbox_reader r = { slice_str(file), 1 };
	struct mbox_message m;
	size_t n = 0;

	out[0] = '\0';
	while (mbox_next(&r, &m) && n < 500) {
		n += (size_t)snprintf(out + n, sizeof(out) - n,
		    m.headless ? "(%zu:%lld:" : "[%zu:%lld:", m.line, (long long)m.at);
		for (size_t i = 0; i < m.text.n && n < 500; i++)
			out[n++] = m.text.p[i] == '\n' ? '|' : m.text.p[i];
		out[n++] = m.headless ? ')' : ']';
		out[n] = '\0';
	}
	return out;
}

static const char *
unpack(const char *text)
{
	static char out[600];
	struct buf b = { 0 }, words = { 0 };
	uint16_t flags;

	mbox_unpack(slice_str(text), &b, &flags, &words);
	snprintf(out, sizeof(out), "%u " SFMT "%s", flags, SARG(buf_get(&words)), buf_cstr(&b));
	buf_fini(&b);
	buf_fini(&words);
	return out;
}

/* A message through a file and back. */
static void
round_trip(const char *msg, uint16_t flags, const char *words)
{
	struct buf file = { 0 }, back = { 0 }, keywords = { 0 };
	struct mbox_message m;
	struct mbox_reader r;
	uint16_t had = 0;

	mbox_pack(&file, slice_str(msg), 1000000000, flags, slice_str(words));
	mbox_pack(&file, S("Subject: next\r\n\r\nx\r\n"), 5, 0, S(""));
	r = (struct mbox_reader){ buf_get(&file), 1 };
	ok(mbox_next(&r, &m) && m.at == 1000000000 && !m.headless, "a message in a file");
	mbox_unpack(m.text, &back, &had, &keywords);
	is(buf_cstr(&back), msg, "comes back as it was");
	eq(had, flags, "with its flags");
	ok(slice_eq(slice_trim(buf_get(&keywords)), slice_str(words)), "and keywords");
	ok(mbox_next(&r, &m) && m.at == 5 && !mbox_next(&r, &m), "and the next behind it");
	buf_fini(&file);
	buf_fini(&back);
	buf_fini(&keywords);
}

static void
test_mbox(void)
{
	is(split("From a Sun Sep  9 01:46:40 2001\nA: b\n\nx\n\nFrom b Sun Sep  9 01:46:40 "
		 "2001\nC: d\n"),
	    "[1:1000000000:A: b||x|][6:1000000000:C: d|]", "two messages");
	is(split("From a@b.test Sun Sep  9 01:46:40 +0200 2001\r\nA: b\r\n\r\n\r\n"),
	    "[1:1000000000:A: b\r|\r|]", "with CRLF, and a zone");
	is(split("From a Sun Sep 9 01:46 2001 +0200 remote from x\nA: b\n"), "[1:999999960:A: b|]",
	    "without seconds");
	is(split("From a bad date\nA: b\n\nFrom here on\nit is text\n\nFrom x Sun Sep 9 01:46:40 "
		 "2001\n"),
	    "[1:0:A: b||From here on|it is text|][7:1000000000:]",
	    "a line without a date divides nothing, but at the front");
	is(split("\n\nA: b\n\nx\n\nFrom b Sun Sep  9 01:46:40 2001\nC: d\n\n\n"),
	    "(3:0:A: b||x|)[7:1000000000:C: d||]", "what is in front of the first is mail too");
	is(split("From a Sun Sep  9 01:46:40 2001\nA: b\nFrom b Sun Sep  9 01:46:40 2001\nx"),
	    "[1:1000000000:A: b|From b Sun Sep  9 01:46:40 2001|x]", "only behind an empty line");
	is(split(""), "", "an empty file");
	is(split("\n\r\n\n"), "", "one of empty lines");
	is(split("From "), "[1:0:]", "a piece of one");

	is(unpack("Status: RO\nA: b\nX-Status: AF\nX-Keywords: $Junk  x\nX-UID: 7\n\n>From "
		  "me\n>>From\n>>From x\n"),
	    "7 $Junk x A: b\r\n\r\nFrom me\r\n>>From\r\n>From x\r\n",
	    "fields that are flags, and quotes");
	is(unpack("A: b\nStatus: O\n more of it\nC: d\n\nStatus: RO\n"),
	    "0 A: b\r\nC: d\r\n\r\nStatus: RO\r\n", "folded ones too, of the header alone");
	round_trip("From: x\r\nSubject: y\r\n\r\nFrom me\r\n>From you\r\n\r\nFrom a Sun Sep  9 "
		   "01:46:40 2001\r\n\r\n",
	    MAILDIR_SEEN | MAILDIR_DELETED | MAILDIR_DRAFT, "$Junk one");
	round_trip("Subject: y\r\n\r\n", 0, "");
	round_trip("Subject: y\r\n\r\n\r\n\r\n", MAILDIR_FLAGGED | MAILDIR_ANSWERED, "");
}

static void
test_maildir(void)
{
	struct maildir_name m;
	struct buf b = { 0 };
	struct slice name;
	unsigned number;
	uint32_t uid;

	maildir_name_parse(S("1000000000.M1P2.host,S=5:2,FSac"), &m);
	ok(slice_eq(m.base, S("1000000000.M1P2.host,S=5")) && m.at == 1000000000, "a name");
	eq(m.flags, MAILDIR_FLAGGED | MAILDIR_SEEN, "flags");
	eq(m.keywords, 5, "keywords");
	maildir_name_parse(S("odd:1,x"), &m);
	ok(slice_eq(m.base, S("odd:1,x")) && !m.flags && !m.at, "a name without them");
	maildir_name_parse(S("7.x!2,T"), &m);
	eq(m.flags, MAILDIR_DELETED, "another mark");
	maildir_name_write(&b, MAILDIR_SEEN | MAILDIR_DRAFT, 1u << 25);
	is(buf_cstr(&b), ":2,DSz", "written");
	ok(maildir_keyword_parse(S("3 $Junk\n"), &number, &name) && number == 3 &&
		slice_eq(name, S("$Junk")),
	    "a keyword");
	ok(!maildir_keyword_parse(S("26 x"), &number, &name) &&
		!maildir_keyword_parse(S("1"), &number, &name),
	    "none");
	ok(maildir_uid_parse(S("12 G123 :100.x:2,S\n"), &uid, &name) && uid == 12 &&
		slice_eq(name, S("100.x")),
	    "a line of the list");
	ok(maildir_uid_parse(S("13 :100.x"), &uid, &name) && uid == 13, "without fields");
	ok(maildir_uid_parse(S("14 100.y"), &uid, &name) && slice_eq(name, S("100.y")),
	    "of version 1");
	ok(!maildir_uid_parse(S("0 :x"), &uid, &name) &&
		!maildir_uid_parse(S("x :x"), &uid, &name) &&
		!maildir_uid_parse(S("4 "), &uid, &name),
	    "none");
	buf_clear(&b);
	maildir_to_crlf(&b, S("\na\r\nb\nc\r"));
	is(buf_cstr(&b), "\r\na\r\nb\r\nc\r", "CRLF");
	buf_clear(&b);
	maildir_to_lf(&b, S("\r\na\r\nb\r"));
	is(buf_cstr(&b), "\na\nb\r", "LF");
	buf_clear(&b);
	maildir_to_lf(&b, S("a\r\n\nb\r\n"));
	is(buf_cstr(&b), "a\r\n\nb\r\n", "what would not come back stays");
	buf_fini(&b);
}

int
main(void)
{
	test_mbox();
	test_maildir();
	return done();
}
