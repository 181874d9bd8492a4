/* t/mail/dsn.c: reports, compared with what they must look like. */
#include "../tap.h"
#include "mail/dsn.h"

static const char failed_text[] =
    "Date: Sun, 22 Nov 2026 08:20:01 +0000\r\n"
    "From: Mail Delivery System <MAILER-DAEMON@mx.example>\r\n"
    "To: <ann@a.example>\r\n"
    "Subject: Undelivered mail returned to sender\r\n"
    "Message-ID: <id1@mx.example>\r\n"
    "In-Reply-To: <m1@a.example>\r\n"
    "References: <m1@a.example>\r\n"
    "Auto-Submitted: auto-replied\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
    "\tboundary=\"=_b\"\r\n"
    "\r\n"
    "--=_b\r\n"
    "Content-Type: text/plain; charset=us-ascii\r\n"
    "Content-Language: en\r\n"
    "Content-Description: Notification\r\n"
    "\r\n"
    "This is the mail system of mx.example.\r\n"
    "\r\n"
    "Your message could not be delivered to the following recipients. No further\r\n"
    "attempts will be made.\r\n"
    "\r\n"
    "  <bob@b.example>:\r\n"
    "    mx.b.example [192.0.2.1] said:\r\n"
    "    no such user here, and there never was one, not even a long time ago\r\n"
    "    when users were few\r\n"
    "\r\n"
    "Your message was delivered to the following recipients, as you asked to be\r\n"
    "told.\r\n"
    "\r\n"
    "  <cy@b.example>\r\n"
    "\r\n"
    "The header of your message is attached.\r\n"
    "\r\n"
    "--=_b\r\n"
    "Content-Type: message/delivery-status\r\n"
    "Content-Description: Delivery report\r\n"
    "\r\n"
    "Original-Envelope-Id: env 1\r\n"
    "Reporting-MTA: dns; mx.example\r\n"
    "Received-From-MTA: dns; client.example\r\n"
    "Arrival-Date: Sun, 22 Nov 2026 08:18:21 +0000\r\n"
    "\r\n"
    "Original-Recipient: rfc822;Bob@old.example\r\n"
    "Final-Recipient: rfc822;bob@b.example\r\n"
    "Action: failed\r\n"
    "Status: 5.1.1\r\n"
    "Remote-MTA: dns; mx.b.example [192.0.2.1]\r\n"
    "Diagnostic-Code: smtp; 550 5.1.1 no such user here, and there never was one, not even a "
    "long time ago when users were few\r\n"
    "Last-Attempt-Date: Sun, 22 Nov 2026 08:20:00 +0000\r\n"
    "Final-Log-ID: q1\r\n"
    "\r\n"
    "Final-Recipient: rfc822;cy@b.example\r\n"
    "Action: delivered\r\n"
    "Status: 2.1.5\r\n"
    "Final-Log-ID: q1\r\n"
    "\r\n"
    "--=_b\r\n"
    "Content-Type: text/rfc822-headers\r\n"
    "Content-Description: Header of the message\r\n"
    "\r\n"
    "\r\n--=_b--\r\n";

static void
test_failed(void)
{
	struct verdict no = verdict(PERM, 550, "5.1.1",
	    "no such user here, and there never was one, "
	    "not even a long time ago when users were few");
	struct verdict yes = verdict(OK, 250, "2.1.5", "delivered");
	/* clang-format off */
	struct dsn_rcpt rcpts[] = {
		{ .action = DSN_FAILED, .address = "bob@b.example", .orcpt = "rfc822;Bob@old.example", .v = &no,
		    .remote = true, .mta = "mx.b.example [192.0.2.1]", .at = 1795335600 },
		{ .action = DSN_DELIVERED, .address = "cy@b.example", .v = &yes },
	};
	/* clang-format on */
	struct dsn d = {
		.host = "mx.example",
		.boundary = "=_b",
		.message_id = "id1",
		.to = "ann@a.example",
		.envid = "env 1",
		.received_from = "client.example",
		.qid = "q1",
		.about = "<m1@a.example>",
		.now = 1795335601,
		.arrival_at = 1795335501,
		.rcpts = rcpts,
		.nrcpt = 2,
	};
	struct buf b = { 0 };

	dsn_write_head(&b, &d);
	dsn_write_tail(&b, &d);
	is(buf_cstr(&b), failed_text, "one failed, one delivered");
	buf_fini(&b);
}

static void
test_delayed(void)
{
	struct verdict later = verdict(TEMP, 451, "4.4.1", "cannot connect");
	struct dsn_rcpt rcpt = { .action = DSN_DELAYED, .address = "bob@b.example", .v = &later };
	struct dsn d = {
		.host = "mx.example",
		.boundary = "=_b",
		.message_id = "id1",
		.to = "ann@a.example",
		.now = 1795335601,
		.retry_until_at = 1795508301,
		.full = true,
		.eightbit = true,
		.rcpts = &rcpt,
		.nrcpt = 1,
	};
	struct buf b = { 0 };
	const char *s;

	dsn_write_head(&b, &d);
	s = buf_cstr(&b);
	ok(strstr(s, "Subject: Delayed mail (still being tried)\r\n"), "delayed: the subject");
	ok(strstr(s,
	       "Action: delayed\r\nStatus: 4.4.1\r\nDiagnostic-Code: x-tiermail; cannot "
	       "connect\r\n"),
	    "our own finding is no SMTP reply");
	ok(strstr(s, "Will-Retry-Until: Tue, 24 Nov 2026 08:18:21 +0000\r\n"),
	    "how long it will be tried");
	ok(strstr(s, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"),
	    "the message itself, 8-bit");
	buf_fini(&b);
}

/* RFC 6533: raw UTF-8 in a report that is UTF-8, utf-8-addr-xtext in one that is not. */
static void
test_utf8(void)
{
	struct verdict no = verdict(PERM, 550, "5.1.1", "gibt es nicht: m\xc3\xbcller\r\nBcc: x@y");
	struct dsn_rcpt rcpt = { .action = DSN_FAILED,
		.address = "m\xc3\xbcller@b.example",
		.v = &no,
		.orcpt = "utf-8;m\xc3\xbcller@b.example",
		.remote = true,
		.mta = "evil\r\nX: y" };
	struct dsn d = {
		.host = "mx.example",
		.boundary = "=_b",
		.message_id = "id1",
		.to = "\xc3\xa4nn@a.example",
		.now = 1795335601,
		.utf8 = true,
		.rcpts = &rcpt,
		.nrcpt = 1,
	};
	struct buf b = { 0 };
	const char *s;

	dsn_write_head(&b, &d);
	s = buf_cstr(&b);
	ok(strstr(s, "To: <\xc3\xa4nn@a.example>\r\n"), "UTF-8 in the header");
	ok(strstr(s, "Content-Type: message/global-delivery-status\r\n"),
	    "message/global-delivery-status");
	ok(strstr(s, "Final-Recipient: utf-8;m\xc3\xbcller@b.example\r\n"), "type utf-8, raw");
	ok(strstr(s, "Content-Type: message/global-headers\r\n"), "message/global-headers");
	ok(strstr(s, "Remote-MTA: dns; evil  X: y\r\n"), "no line of its own for a peer");
	ok(!strstr(s, "\nBcc:"), "nor for its reply");
	buf_clear(&b);
	d.utf8 = false;
	d.to = "ann@a.example";
	dsn_write_head(&b, &d);
	s = buf_cstr(&b);
	ok(strstr(s, "Original-Recipient: utf-8;m\\x{FC}ller@b.example\r\n"), "ORCPT in ASCII");
	for (size_t i = 0; i < b.n; i++)
		if ((unsigned char)b.p[i] > 126) {
			ok(false, "an 8-bit byte at %zu", i);
			break;
		}
	buf_fini(&b);
}

int
main(void)
{
	test_failed();
	test_delayed();
	test_utf8();
	return done();
}
