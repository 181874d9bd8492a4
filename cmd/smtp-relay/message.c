/* message.c: the body on its way into the queue: our Received field in front (RFC 5321 4.4),
 * for submission Date and Message-ID where they are missing (RFC 6409 8), and the check for
 * loops (RFC 5321 6.3).  The bytes pass once; only the header is looked at. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "mail/date.h"
#include "mail/received.h"
#include "relay.h"

struct message {
	struct qwriter *w;
	struct header_scan scan;
	uint64_t at_us;
};

static const char *const sources[] = {
	[ROLE_MX] = "tcp_local", [ROLE_SUBMISSION] = "tcp_submit", [ROLE_LOCAL] = "local"
};

static const enum qret rets[] = {
	[SMTP_RET_NONE] = QRET_NONE, [SMTP_RET_FULL] = QRET_FULL, [SMTP_RET_HDRS] = QRET_HDRS
};

static void
write_bytes(struct session *s, const void *p, size_t n)
{
	struct verdict v;
	int e = qwrite_body(s->message->w, p, n);

	if (e == 0)
		return;
	v = verdict(TEMP, 452, "4.3.1", "cannot keep the message: %s", strerror(-e));
	smtp_server_fail(&s->smtp, &v);
}

static void
write_received(struct session *s)
{
	const struct stream *io = &s->smtp.io;
	int64_t now = clock_now();
	bool tls = stream_secure(io);
	struct buf b = { 0 };
	char version[80];
	struct received r = {
		.helo = slice_str(s->smtp.helo),
		.addr = s->role == ROLE_LOCAL ? slice(NULL, 0) : slice_str(s->client),
		.by = slice_str(shared.hostname),
		.id = slice_str(s->qid),
		.at = now,
		.zone = date_local_zone(now),
	};

	r.with = slice_str(received_with(
	    false, s->smtp.esmtp, tls, s->account != NULL, s->smtp.mail.smtputf8));
	if (tls) {
		(void)snprintf(version, sizeof(version), "%s %s", stream_tls_version(io),
		    stream_tls_cipher(io));
		r.tls = slice_str(version);
	}
	if (s->nrcpts == 1)
		r.rcpt = slice_str(s->rcpts[0].final ? s->rcpts[0].final : s->rcpts[0].addr);
	received_write(&b, &r);
	write_bytes(s, b.p, b.n);
	buf_fini(&b);
}

/* DATA or the first BDAT: the envelope is complete. */
void
message_begin(struct smtp_server *smtp)
{
	struct session *s = session_of(smtp);
	const struct smtp_mail *mail = &smtp->mail;
	struct message *m = arena_new(&smtp->arena, sizeof(*m));
	struct buf from = { 0 };
	struct qenv env = {
		.source = sources[s->role],
		.envid = mail->envid.p ? arena_cstr(&smtp->arena, mail->envid) : NULL,
		.ret = rets[mail->ret],
		.prio = QPRIO_NORMAL,
		.body = mail->body == SMTP_BODY_8BITMIME ? QBODY_8BIT : QBODY_7BIT,
		.utf8 = mail->smtputf8,
		.auth = s->account,
		.client = s->client,
		.helo = smtp->helo,
		.arrival_ms = clock_now_ms(),
		.rcpts = s->rcpts,
		.nrcpt = s->nrcpts,
	};

	memcpy(env.qid, s->qid, sizeof(env.qid));
	address_write(&from, &s->from);
	env.sender = buf_cstr(&from);
	header_scan_init(&m->scan);
	m->at_us = clock_mono_us();
	m->w = qwrite_begin(relay.queue, &env);
	buf_fini(&from);
	s->message = m;
	write_received(s);
	session_answer(s, OK, 250, "2.0.0", "go ahead");
}

/* What a message that begins its way here must have, and this one has not. */
static void
write_missing(struct session *s)
{
	const struct header_scan *h = &s->message->scan;
	struct buf b = { 0 };
	int64_t now = clock_now();

	if (s->role == ROLE_MX)
		return;
	if (!header_seen(h, HEADER_DATE)) {
		buf_lit(&b, "Date: ");
		date_write(&b, now, date_local_zone(now));
		buf_lit(&b, "\r\n");
	}
	if (!header_seen(h, HEADER_MESSAGE_ID))
		buf_printf(&b, "Message-ID: <%s@%s>\r\n", s->qid, shared.hostname);
	if (!header_seen(h, HEADER_FROM) && s->from.local.n) {
		buf_lit(&b, "From: ");
		address_write(&b, &s->from);
		buf_lit(&b, "\r\n");
	}
	if (b.n)
		write_bytes(s, b.p, b.n);
	buf_fini(&b);
}

/* As long as the header lasts. */
static void
header_bytes(struct session *s, struct slice bytes)
{
	struct header_scan *h = &s->message->scan;
	uint64_t before = h->header_len;
	struct verdict v;
	size_t cut;

	header_scan_feed(h, bytes);
	if (h->done) {
		/* Before the empty line, which is whole in this slice: body.h never parts CRLF. */
		cut = (size_t)(h->header_len - before) - 2;
		write_bytes(s, bytes.p, cut);
		write_missing(s);
		bytes = slice_from(bytes, cut);
	} else if (h->header_len > (uint64_t)config.header) {
		v = verdict(PERM, 552, "5.3.4", "header is larger than we take");
		smtp_server_fail(&s->smtp, &v);
		return;
	}
	write_bytes(s, bytes.p, bytes.n);
}

void
message_bytes(struct smtp_server *smtp, struct slice bytes)
{
	struct session *s = session_of(smtp);

	if (s->message->scan.done)
		write_bytes(s, bytes.p, bytes.n);
	else
		header_bytes(s, bytes);
}

static void
message_committed(void *arg, const struct verdict *v)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct message *m = s->message;
	struct buf from = { 0 };
	struct verdict yes;
	uint64_t ms = (clock_mono_us() - m->at_us) / 1000;

	metric_add(M_COMMIT_MS, (int64_t)ms);
	if (v->kind != OK) {
		log_event(LOG_ERROR, "queue_error", "sid=%s qid=%s text=%s", s->sid, s->qid,
		    log_str(v->text));
		smtp_server_answer(&s->smtp, v);
		return;
	}
	s->messages++;
	metric_add(M_ACCEPTED, 1);
	metric_add(M_ACCEPTED_BYTES, (int64_t)s->smtp.body.size);
	metric_add(M_RECIPIENTS, (int64_t)s->nrcpts);
	address_write(&from, &s->from);
	log_event(LOG_INFO, "queued",
	    "sid=%s qid=%s from=%s nrcpt=%zu size=%llu ms=%llu msgid=%s", s->sid, s->qid,
	    log_value(buf_get(&from)), s->nrcpts, (unsigned long long)s->smtp.body.size,
	    (unsigned long long)ms, log_str(m->scan.message_id));
	buf_fini(&from);
	yes = verdict(OK, 250, "2.0.0", "queued as %s", s->qid);
	smtp_server_answer(&s->smtp, &yes);
}

void
message_end(struct smtp_server *smtp)
{
	struct session *s = session_of(smtp);
	struct message *m = s->message;

	if (!m->scan.done)
		write_missing(s); /* all header, no empty line */
	if (m->scan.count[HEADER_RECEIVED] > (uint64_t)config.received) {
		session_answer(
		    s, PERM, 554, "5.4.6", "too many hops: this message goes in circles");
		return;
	}
	if (smtp->failed) {
		smtp_server_answer(smtp, smtp->failed);
		return;
	}
	/* Of several recipients the store refuses those that cannot take it; one is told now. */
	if (s->nrcpts == 1 && s->max_message && smtp->body.size > (uint64_t)s->max_message) {
		session_answer(
		    s, PERM, 552, "5.2.3", "message is larger than this mailbox takes");
		return;
	}
	qwrite_commit_start(&m->w, &s->op, message_committed, s);
}

void
message_forget(struct session *s)
{
	if (s->message)
		qwrite_abort(&s->message->w);
	s->message = NULL;
}
