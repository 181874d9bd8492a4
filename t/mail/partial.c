/* Messages in pieces: what a piece says, and the header of the whole. */
#include "../tap.h"
#include "mail/partial.h"

/* "ID NUMBER TOTAL", or "none". */
static const char *
said(const char *type, const char *rest)
{
	static char out[700];
	struct arena a = { 0 };
	struct buf head = { 0 };
	struct partial p;

	buf_printf(&head, "Subject: x\r\nContent-Type: %s\r\n%s\r\n", type, rest);
	(void)snprintf(out, sizeof(out), "none");
	if (partial_parse(buf_get(&head), &a, &p))
		(void)snprintf(out, sizeof(out), SFMT " %u %u", SARG(p.id), p.number, p.total);
	buf_fini(&head);
	arena_reset(&a);
	return out;
}

static void
pieces(void)
{
	char type[700], id[PARTIAL_ID + 2];

	is(said("message/partial; id=\"a b@c\"; number=2; total=3", ""), "a b@c 2 3", "a piece");
	is(said("Message/Partial; number=1;\r\n id=x", ""), "x 1 0",
	    "that does not know the total");
	is(said("message/partial (a comment); number=1; id=x; total=1", ""), "x 1 1", "alone");
	is(said("message/partial; number=1000; id=x", ""), "x 1000 0", "as many as may be");
	is(said("message/partial; number=1001; id=x", ""), "none", "and no more");
	is(said("message/partial; number=1; total=1001; id=x", ""), "none", "of which total");
	is(said("message/partial; number=0; id=x", ""), "none", "none is number 0");
	is(said("message/partial; number=3; total=2; id=x", ""), "none", "nor beyond the total");
	is(said("message/partial; number=-1; id=x", ""), "none", "nor below");
	is(said("message/partial; number=18446744073709551617; id=x", ""), "none",
	    "nor beyond all");
	is(said("message/partial; number=1; total=0; id=x", ""), "none", "nor of 0");
	is(said("message/partial; number=one; id=x", ""), "none", "words are no numbers");
	is(said("message/partial; number=1", ""), "none", "without an id");
	is(said("message/partial; id=x", ""), "none", "without a number");
	is(said("message/rfc822; number=1; id=x", ""), "none", "another type");
	is(said("text/plain", ""), "none", "none at all");
	is(said("message/partial; number=1; id=x", "Content-Transfer-Encoding: 8bit\r\n"), "x 1 0",
	    "8bit leaves lines as they are");
	is(said("message/partial; number=1; id=x", "Content-Transfer-Encoding: base64\r\n"), "none",
	    "base64 does not");
	memset(id, 'i', sizeof(id));
	id[PARTIAL_ID + 1] = '\0';
	(void)snprintf(type, sizeof(type), "message/partial; number=1; id=%s", id);
	is(said(type, ""), "none", "an id that is too long");
}

static void
whole(void)
{
	struct buf b = { 0 };

	/* RFC 2046 5.2.2.1's example. */
	partial_header_write(S("X-Weird-Header-1: Foo\r\nFrom: Bill@host.com\r\nTo: "
			       "joe@otherhost.com\r\n"
			       "Subject: Audio mail (part 1 of 2)\r\nMessage-ID: "
			       "<id1@host.com>\r\nMIME-Version: 1.0\r\n"
			       "Content-type: message/partial; id=\"ABC@host.com\"; number=1; "
			       "total=2\r\n\r\n"),
	    S("X-Weird-Header-1: Bar\r\nX-Weird-Header-2: Hello\r\nMessage-ID: "
	      "<anotherid@foo.com>\r\n"
	      "Subject: Audio mail\r\nMIME-Version: 1.0\r\nContent-type: audio/basic\r\n"
	      "Content-transfer-encoding: base64\r\n\r\n"),
	    &b);
	is(buf_cstr(&b),
	    "X-Weird-Header-1: Foo\r\nFrom: Bill@host.com\r\nTo: joe@otherhost.com\r\n"
	    "Message-ID: <anotherid@foo.com>\r\nSubject: Audio mail\r\nMIME-Version: 1.0\r\n"
	    "Content-type: audio/basic\r\nContent-transfer-encoding: base64\r\n\r\n",
	    "the header of the whole");
	buf_clear(&b);
	partial_header_write(S("From: a\r\nno field\r\n"), S("Received: forged\r\nSubject: x"), &b);
	is(buf_cstr(&b), "From: a\r\nSubject: x\r\n\r\n", "broken ones: what is a field");
	buf_fini(&b);
}

int
main(void)
{
	pieces();
	whole();
	return done();
}
