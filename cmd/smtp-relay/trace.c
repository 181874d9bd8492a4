/* trace.c: the first stage: our Received field in front (RFC 5321 4.4), and what a message that begins its
 * way here must have: Date, Message-ID and From where they are missing (RFC 6409 8), and no Bcc.
 *
 * Called by message.c; cannot fail.  Must stay true: of mail from elsewhere no octet changes. */
#include <stdio.h>
#include "base/clock.h"
#include "mail/date.h"
#include "mail/received.h"
#include "stage.h"

void
trace_received(struct session *s, struct buf *out)
{
	const struct stream *io = &s->smtp.line.io;
	const struct mta_channel *c = relay_channel(s);
	int64_t now = clock_now();
	bool tls = stream_secure(io);
	char version[80];
	struct received r = {
		.helo = slice_str(s->smtp.helo),
		.addr = s->role == ROLE_LOCAL ? slice(NULL, 0) : slice_str(s->client),
		.by = slice_str(shared.hostname),
		.id = slice_str(s->qid),
		.priority = s->priority,
		.at = now,
		.zone = date_local_zone(now),
	};

	r.rdns = slice_str(names_client(s));
	r.with =
	    slice_str(received_with(false, s->smtp.esmtp, tls, s->account, s->smtp.mail.smtputf8));
	if (tls) {
		(void)snprintf(version, sizeof(version), "%s %s", stream_tls_version(io),
		    stream_tls_cipher(io));
		r.tls = slice_str(version);
	}
	if (s->nrcpts == 1 && (!c || c->received_for != 0))
		r.rcpt = slice_str(s->rcpts[0].final ? s->rcpts[0].final : s->rcpts[0].addr);
	received_write(out, &r);
}

static bool
trace_wants(const struct session *s, unsigned body)
{
	(void)body;
	return s->role != ROLE_MX;
}

/* From our own users without Bcc, whose addresses are in the envelope and nobody else's business
 * (RFC 5322 3.6.3). */
static void
trace_fields(struct session *s, unsigned body, struct slice fields, struct buf *out)
{
	const struct header_scan *h = &s->message->scan;
	int64_t now = clock_now();
	struct header_field f;

	(void)body;
	while (header_next(&fields, &f))
		if (!slice_ieq(f.name, S("Bcc")) && !slice_ieq(f.name, S("Resent-Bcc")))
			buf_slice(out, f.whole);
	if (!header_seen(h, HEADER_DATE)) {
		buf_lit(out, "Date: ");
		date_write(out, now, date_local_zone(now));
		buf_lit(out, "\r\n");
	}
	if (!header_seen(h, HEADER_MESSAGE_ID))
		buf_printf(out, "Message-ID: <%s@%s>\r\n", s->qid, shared.hostname);
	if (!header_seen(h, HEADER_FROM) && s->from.local.n) {
		buf_lit(out, "From: ");
		address_write(out, &s->from);
		buf_lit(out, "\r\n");
	}
}

const struct stage trace_stage = { .wants = trace_wants, .fields = trace_fields };
