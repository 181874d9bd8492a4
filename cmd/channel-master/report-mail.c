/* channel-master/report-mail.c: a report of TLS as a message (RFC 8460 5.3).
 *
 * Pure: report.c calls it and sends what it makes.  Must stay true: the message says TLS-Required: No (RFC 8689 5), for a
 * domain whose TLS is broken is to hear of it (RFC 8460 3), and it is not counted itself. */
#include "base/base64.h"
#include "base/clock.h"
#include "conf/shared.h"
#include "mail/date.h"
#include "report.h"

#define LINE_OCTETS 57 /* 76 characters of base64 (RFC 2045 6.8) */

static void
put_base64(struct buf *b, struct slice s)
{
	for (size_t at = 0; at < s.n; at += LINE_OCTETS) {
		base64_write(b, slice_sub(s, at, LINE_OCTETS));
		buf_lit(b, "\r\n");
	}
}

static void
put_head(struct buf *b, const struct report_facts *f, const char *boundary)
{
	buf_lit(b, "Date: ");
	date_write(b, clock_now(), 0);
	buf_printf(b, "\r\nFrom: <%s>\r\nTo: <%s>\r\n", shared.tlsrpt_contact, f->to);
	buf_printf(b, "Subject: Report Domain: %s\r\n\tSubmitter: %s\r\n\tReport-ID: <%s>\r\n",
	    f->domain, f->submitter, f->id);
	buf_printf(b, "Message-ID: <%s>\r\n", f->id);
	buf_printf(b, "TLS-Report-Domain: %s\r\nTLS-Report-Submitter: %s\r\n", f->domain,
	    f->submitter);
	buf_lit(b, "TLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
	buf_printf(b,
	    "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"%s\"\r\n\r\n",
	    boundary);
}

void
report_mail(struct buf *b, const struct report_facts *f, struct slice gzip)
{
	static const char boundary[] =
	    "=_tls-report"; /* "_" is not in base64, "=_" not in the text */

	put_head(b, f, boundary);
	buf_printf(b, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary);
	buf_printf(b,
	    "This is a report about TLS with the mail hosts of %s\r\nof the 24 hours that begin "
	    "at ",
	    f->domain);
	date_iso_write(b, f->begins, 0);
	buf_printf(b, ", by %s.\r\nIt is attached, for programs (RFC 8460).\r\n", f->submitter);
	buf_printf(b,
	    "\r\n--%s\r\nContent-Type: application/tlsrpt+gzip\r\n"
	    "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n"
	    "\tfilename=\"%s!%s!%lld!%lld.json.gz\"\r\n\r\n",
	    boundary, f->submitter, f->domain, (long long)f->begins, (long long)f->begins + 86399);
	put_base64(b, gzip);
	buf_printf(b, "\r\n--%s--\r\n", boundary);
}
