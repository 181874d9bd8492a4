/* milter/packet.c: what we send, octet by octet, and what a filter may send. */
#include "milter/packet.h"

#include <errno.h>

#include "../tap.h"

static char hex[2048];

static const char *
shown(struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n && n + 4 < sizeof(hex); i++) {
		unsigned char c = (unsigned char)b->p[i];

		if (c > ' ' && c <= '~' && c != '|')
			hex[n++] = (char)c;
		else
			n += (size_t)snprintf(hex + n, sizeof(hex) - n, "|%x", c);
	}
	hex[n] = '\0';
	buf_fini(b);
	return hex;
}

static bool
macro(void *arg, struct slice name, struct buf *out)
{
	(void)arg;
	if (slice_eq(name, S("none")))
		return false;
	buf_lit(out, "<");
	buf_slice(out, name);
	return true;
}

static void
test_sent(void)
{
	struct buf b = { 0 };
	struct slice two[] = { S("<a@b>"), S("SI\0ZE=1") };

	milter_offer_write(&b);
	is(shown(&b), "|0|0|0|dO|0|0|0|6|0|0|1|ff|0|1f|ff|ff", "the offer");
	milter_connect_write(&b, S("[::1]"), '6', 0x1234, S("::1"));
	is(shown(&b),
	    "|0|0|0|e"
	    "C[::1]|0"
	    "6|12"
	    "4::1|0",
	    "a client with an address");
	milter_connect_write(&b, S("x"), 'U', 25, S("y"));
	is(shown(&b), "|0|0|0|4Cx|0U", "a client without");
	milter_strings_write(&b, MILTER_CMD_MAIL, two, 2);
	is(shown(&b), "|0|0|0|fM<a@b>|0SI|20ZE=1|0", "strings; a NUL becomes a blank");
	milter_strings_write(&b, MILTER_CMD_ABORT, NULL, 0);
	is(shown(&b), "|0|0|0|1A", "a command alone");
	milter_field_write(&b, S("A"), S(" b\r\n\tc\r"), false);
	is(shown(&b),
	    "|0|0|0|9LA|0b|a|9"
	    "c|d|0",
	    "a field: folds are LF, the first blank goes");
	milter_field_write(&b, S("A"), S(" b"), true);
	is(shown(&b), "|0|0|0|6LA|0|20b|0", "or stays");
	milter_field_write(&b, S("A"), S(""), false);
	is(shown(&b), "|0|0|0|4LA|0|0", "an empty one");
	milter_body_write(&b, S("x\0\r\n"));
	is(shown(&b), "|0|0|0|5Bx|0|d|a", "a body is sent as it is");
	milter_macros_write(&b, MILTER_CMD_RCPT, S(" i,{rcpt_addr} {none}"), macro, NULL);
	is(shown(&b), "|0|0|0|1eDRi|0<i|0{rcpt_addr}|0<rcpt_addr|0",
	    "macros, of those that there are");
	milter_macros_write(&b, MILTER_CMD_RCPT, S("{none}"), macro, NULL);
	is(shown(&b), "", "none, no packet");
	buf_fini(&b);
}

#define BAD(bytes, what) eq(milter_reply_parse(S(bytes), &r, &why), -EBADMSG, what)
static void
test_replies(void)
{
	struct milter_reply r;
	const char *why = NULL;

	eq(milter_reply_parse(S("\0\0\0\1"), &r, &why), 0, "half a packet");
	eq(milter_reply_parse(S("\0\0\0\1cX"), &r, &why), 5, "a packet, and more behind it");
	eq(r.answer, MILTER_CONTINUE, "which says go on");
	BAD("\0\0\0\0", "a packet without anything");
	BAD("\0\x10\0\1c", "one that is too long, at once");
	BAD("\0\0\0\1z", "an answer that is not known");
	eq(milter_reply_parse(S("\0\0\0\x0bm\0\0\0\2Ab\0c\n\0"), &r, &why), 15, "a change");
	ok(r.index == 2 && slice_eq(r.name, S("Ab")) && slice_eq(r.value, S("c\n")), "all of it");
	eq(milter_reply_parse(S("\0\0\0\x0am\0\0\0\0Ab\0c\0"), &r, &why), 14,
	    "0 of a name's fields");
	eq(r.index, 1, "is the first, as Postfix takes it");
	eq(milter_reply_parse(S("\0\0\0\x0ai\0\0\0\0Ab\0c\0"), &r, &why), 14, "all from 0");
	BAD("\0\0\0\x0ai\x80\0\0\0Ab\0c\0", "a number below 0");
	BAD("\0\0\0\6hA:\0c\0", "a name with a colon");
	BAD("\0\0\0\4h\0c\0", "no name");
	BAD("\0\0\0\4hA\0c", "a value without its end");
	BAD("\0\0\0\7+<a\n>\0x", "an address with a line end");
	eq(milter_reply_parse(S("\0\0\0\x0c"
				"2<a>\0NOTIFY\0"),
	       &r, &why),
	    16, "arguments");
	eq(milter_reply_parse(S("\0\0\0\x0by550 5.7.1\0"), &r, &why), 15, "a reply");
	ok(r.code == 550 && slice_eq(r.value, S("5.7.1")), "its code, its text");
	BAD("\0\0\0\6y250 \0", "a reply that is no refusal");
	BAD("\0\0\0\6y5x0 \0", "nor a number");
	eq(milter_reply_parse(S("\0\0\0\6qspam\0"), &r, &why), 10, "a reason");
	BAD("\0\0\0\6qsp\nm\0", "with a line end");
}

/* Terms with a list of n octets.  Each of its names may stand for a long value before each command. */
static int
terms_named(size_t n)
{
	struct milter_reply r;
	const char *why;
	struct buf b = { 0 };
	int got;

	buf_lit(&b, "\0\0\0\0O\0\0\0\6\0\0\0\1\0\0\0\2\0\0\0\3");
	while (n--)
		buf_char(&b, n % 2 ? 'j' : ' ');
	buf_char(&b, '\0');
	b.p[2] = (char)((b.n - 4) >> 8);
	b.p[3] = (char)(b.n - 4);
	got = milter_reply_parse(buf_get(&b), &r, &why);
	buf_fini(&b);
	return got;
}

static void
test_terms(void)
{
	struct milter_reply r;
	const char *why = NULL;

	eq(milter_reply_parse(S("\0\0\0\x15O\0\0\0\6\0\0\0\1\0\0\0\2\0\0\0\3{a}\0"), &r, &why), 25,
	    "terms with a list of macros");
	ok(r.terms.version == 6 && r.terms.may == 1 && r.terms.steps == 2, "all of them");
	ok(slice_eq(r.terms.macros[MILTER_AT_RCPT], S("{a}")) && !r.terms.macros[0].p,
	    "and of the stage");
	eq(terms_named(1024), 1046, "a list of many macros");
	eq(terms_named(1025), -EBADMSG, "of too many");
	BAD("\0\0\0\x0dO\0\0\0\7\0\0\0\1\0\0\0\2", "a version that was not offered");
	BAD("\0\0\0\x0dO\0\0\0\6\0\0\2\0\0\0\0\2", "a right that was not offered");
	BAD("\0\0\0\x0cO\0\0\0\6\0\0\0\1\0\0\0", "too short");
}

int
main(void)
{
	test_sent();
	test_replies();
	test_terms();
	ok(milter_reply_needs('m') == MILTER_MAY_CHANGE_HEADER && !milter_reply_needs('c'),
	    "what a change needs");
	ok(milter_reply_final('c') && milter_reply_final('y') && !milter_reply_final('p') &&
		!milter_reply_final('h'),
	    "what ends a stage");
	return done();
}
