/* t/mail/autoreply.c: what is answered by a machine and what is not, and the answer. */
#include "../tap.h"
#include "mail/autoreply.h"

static const struct slice mine[] = { { "ann@a.example", 13 }, { "a.nn@a.example", 14 } };

/* Why not, for a message with these further fields from that sender. */
static const char *
why(const char *fields, const char *sender)
{
	struct autoreply_about m = { .sender = slice_str(sender), .mine = mine, .nmine = 2 };
	struct slice me = { 0 };
	const char *no;
	struct buf b = { 0 };

	buf_printf(&b, "From: Bob <bob@b.example>\r\n%s\r\n", fields);
	m.header = buf_get(&b);
	no = autoreply_refused(&m, &me);
	buf_fini(&b);
	return no ? no : "";
}

#define TO "To: \"Ann, A.\" <Ann@A.example>\r\n"

static void
rules(void)
{
	static const struct {
		const char *fields, *sender, *no;
	} cases[] = {
		{ TO, "bob@b.example", "" },
		{ "To: x@y.example\r\nCc: group: a.nn@a.example, z@z.example;\r\n", "bob@b.example",
		    "" },
		{ "Resent-To: ann@a.example\r\n", "bob@b.example", "" },
		{ TO, "", "no sender" },
		{ TO, "MAILER-DAEMON@b.example", "a program" },
		{ TO, "owner-list@b.example", "a program" },
		{ TO, "list-request@b.example", "a program" },
		{ TO, "list-bounces@b.example", "a program" },
		{ TO, "Ann@a.example", "the user's own" },
		{ TO "List-Id: <l.b.example>\r\n", "bob@b.example", "a list" },
		{ TO "List-Unsubscribe: <mailto:x@b.example>\r\n", "bob@b.example", "a list" },
		{ TO "Auto-Submitted: (yes) auto-replied\r\n", "bob@b.example", "automatic" },
		{ TO "Auto-Submitted: No\r\n", "bob@b.example", "" },
		{ TO "Precedence: bulk\r\n", "bob@b.example", "bulk mail" },
		{ TO "Precedence: first-class\r\n", "bob@b.example", "" },
		{ TO "X-Auto-Response-Suppress: DR, OOF\r\n", "bob@b.example", "not wanted" },
		{ TO "Content-Type: multipart/report; boundary=x\r\n", "bob@b.example",
		    "a report" },
		{ "To: all@a.example\r\n", "bob@b.example", "not addressed to the user" },
		{ "Subject: for ann@a.example\r\n", "bob@b.example", "not addressed to the user" },
	};

	for (size_t i = 0; i < NELEM(cases); i++)
		is(why(cases[i].fields, cases[i].sender), cases[i].no, "from <%s>: %s",
		    cases[i].sender, *cases[i].no ? cases[i].no : "answered");
}

static const char *
answer(struct autoreply r)
{
	static struct buf b;

	buf_clear(&b);
	r.to = S("bob@b.example");
	r.id = "id1";
	r.host = "mx.a.example";
	r.now = 1795000000;
	autoreply_write(&b, &r);
	return buf_cstr(&b);
}

static void
answers(void)
{
	const struct slice header = S("Subject: Hello\r\n  there\r\nMessage-ID: <m2@b.example>\r\n"
				      "References: <m0@b.example>\r\n <m1@b.example>\r\n\r\n");

	is(answer((struct autoreply){ .header = header,
	       .from = S("ann@a.example"),
	       .text = S("Away.\nBack soon.") }),
	    "Date: Wed, 18 Nov 2026 11:06:40 +0000\r\n"
	    "From: ann@a.example\r\n"
	    "To: bob@b.example\r\n"
	    "Subject: Auto: Hello there\r\n"
	    "Message-ID: <id1@mx.a.example>\r\n"
	    "In-Reply-To: <m2@b.example>\r\n"
	    "References: <m0@b.example> <m1@b.example> <m2@b.example>\r\n"
	    "Auto-Submitted: auto-replied (vacation)\r\n"
	    "X-Auto-Response-Suppress: All\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 7bit\r\n"
	    "\r\n"
	    "Away.\r\nBack soon.\r\n",
	    "an answer");
	ok(strstr(answer((struct autoreply){ .header = header,
		      .from = S("J\xc3\xb6rg \xc3\x84. <ann@a.example>"),
		      .subject = S("Gr\xc3\xbc\xc3\x9f"
				   "e\r\nBcc: x@y.example"),
		      .text = S("\xc3\xa4") }),
	       "From: =?utf-8?") &&
		strstr(answer((struct autoreply){ .header = header,
			   .from = S("a@b.c"),
			   .text = S("\xc3\xa4") }),
		    "quoted-printable\r\n\r\n=C3=A4\r\n"),
	    "what is beyond ASCII is encoded");
	ok(!strstr(answer((struct autoreply){ .header = header,
		       .from = S("a@b.c"),
		       .subject = S("x\r\nBcc: x@y.example"),
		       .text = S("x") }),
	       "\nBcc:"),
	    "nobody writes fields into it");
	ok(strstr(answer((struct autoreply){ .header = S("\r\n"),
		      .from = S("a@b.c"),
		      .mime = true,
		      .text = S("Content-Type: text/html\n\n<p>away") }),
	       "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>away\r\n"),
	    "a MIME part of the script's");
	ok(strstr(answer((struct autoreply){ .header = header,
		      .from = S("a@b.c"),
		      .text = S("x"),
		      .echo = S("A: b\r\n\r\nc\r\n") }),
	       "\r\n--=_id1\r\nContent-Type: message/rfc822\r\n\r\nA: "
	       "b\r\n\r\nc\r\n\r\n--=_id1--\r\n"),
	    "with the message");
}

/* Of a message that has no subject, or one that is no subject. */
static void
subjects(void)
{
	static const char wanted[] = "\r\nSubject: Automated reply\r\n";
	struct autoreply r = { .header = S("\r\n"), .from = S("a@b.c"), .text = S("x") };
	struct buf b = { 0 };

	ok(strstr(answer(r), wanted), "no subject");
	r.header = S("Subject: \r\n\r\n");
	ok(strstr(answer(r), wanted), "an empty one");
	buf_lit(&b, "Subject: ");
	for (int i = 0; i < 1000; i++)
		buf_lit(&b, "very long ");
	buf_lit(&b, "\r\n\r\n");
	r.header = buf_get(&b);
	ok(strstr(answer(r), wanted), "one of %zu octets", b.n);
	buf_fini(&b);
}

int
main(void)
{
	rules();
	answers();
	subjects();
	return done();
}
