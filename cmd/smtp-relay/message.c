/* message.c: the message on its way into the queue, through the stages of stage.h.
 *
 * Called by lib/smtp/server with pieces, as they come.  Here is what holds for all: an empty line where the
 * header ends without one, the limits of the header and of hops (RFC 5321 6.3), of a list's and a user's
 * size; and the queue, which is the last stage.  The body passes through; of each byte only the highest
 * bit is looked at.  Must stay true: what was refused leaves nothing in the queue. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/utf8.h"
#include "access.h"
#include "cut.h"

#define PASS_PIECE  65536
#define PASS_PIECES 8 /* in a turn */

static const struct stage *const stages[] = { &claims_stage, &trace_stage, &missing_stage,
	&access_stage, &password_stage, &address_stage, &list_stage };

static const char *const sources
    [] = { [ROLE_MX] = "tcp_local", [ROLE_SUBMISSION] = "tcp_submit", [ROLE_LOCAL] = "local" };

const char *
relay_message_source(const struct session *s)
{
	return s->channel[0] ? s->channel : sources[s->role];
}

static const enum qret rets
    [] = { [SMTP_RET_NONE] = QRET_NONE, [SMTP_RET_FULL] = QRET_FULL, [SMTP_RET_HDRS] = QRET_HDRS };

/* Says what has become of writing. */
static void
written(struct session *s, int e)
{
	struct verdict v;

	if (e == 0 || s->smtp.failed)
		return;
	v = e == -ENOSPC || e == -EDQUOT ? verdict(OUT_QUEUE_FULL) : verdict(OUT_QUEUE_BROKEN);
	log_event(LOG_ERROR, "queue_error", "sid=%s qid=%s text=%s", s->sid, s->qid,
	    log_str(strerror(-e)));
	smtp_server_fail(&s->smtp, &v);
}

/* Filters that have said no at DATA have their answer; the client may go on with RCPT or begin anew. */
static void
message_filtered(struct session *s, const struct verdict *no)
{
	if (no) {
		relay_message_forget(s);
		smtp_server_answer(&s->smtp, no);
	} else {
		relay_session_answer(s, OUT_BODY_WANTED);
	}
}

static void
message_sent_found(struct session *s, const struct verdict *no)
{
	if (no)
		message_filtered(s, no);
	else
		filters_ask(s, MILTER_AT_DATA, message_filtered);
}

static void
message_asked(struct session *s)
{
	if (sent_wanted(s))
		sent_start(s, &s->smtp.mail.from, message_sent_found);
	else
		filters_ask(s, MILTER_AT_DATA, message_filtered);
}

/* As many bodies as the recipients need by now. */
static void
message_bodies(struct session *s)
{
	struct message *m = s->message;

	m->nbodies = 1 + s->nbodies;
	m->gone = arena_array(&s->smtp.arena, m->nbodies, sizeof(*m->gone));
}

static void
message_waited(struct session *s)
{
	const struct verdict *no = terms_body(s);

	if (no)
		message_filtered(s, no);
	else
		refuse_ask(s, message_asked);
}

/* DATA or the first BDAT: the envelope is complete, but for recipients that filters add. */
void
relay_message_begin(struct smtp_server *smtp)
{
	struct session *s = relay_session_of(smtp);
	struct message *m = arena_new(&smtp->arena, sizeof(*m));

	header_scan_init(&m->scan);
	m->at_us = clock_mono_us();
	later_init(&m->later);
	m->session = s;
	m->filtered = filters_wanted(s) || scripts_wanted(s);
	if (m->filtered)
		filters_hold(s);
	s->message = m;
	buf_slice(&m->above, s->asked_for.prepend);
	message_bodies(s);
	access_wait(s, message_waited);
}

/* Who gets it beside the recipients that are expanded once more, who may be members of a list that is: for
 * each account, or address, a sum. */
static struct slice
message_known(struct session *s)
{
	unsigned char sum[EXPAND_SUM];
	struct buf sums = { 0 };
	struct slice known;
	bool again = false;

	for (size_t i = 0; i < s->nrcpts && !again; i++)
		again = s->rcpts[i].again;
	for (size_t i = 0; i < s->nrcpts && again; i++) {
		if (s->rcpts[i].again)
			continue;
		expand_leg_sum(sum, s->more[i].who, s->rcpts[i].addr);
		buf_add(&sums, sum, sizeof(sum));
	}
	known = arena_slice(&s->smtp.arena, buf_get(&sums));
	buf_fini(&sums);
	return known;
}

/* Behind the stages is the queue: its file, or files, from here on. */
static void
queue_begin(struct session *s, struct slice fields)
{
	struct smtp_server *smtp = &s->smtp;
	const struct smtp_mail *mail = &smtp->mail;
	struct message *m = s->message;
	struct buf from = { 0 };
	struct qenv env = {
		.source = relay_message_source(s),
		.envid = mail->envid.p ? arena_cstr(&smtp->arena, mail->envid) : NULL,
		.ret = rets[mail->ret],
		.prio = priority_queue(s, fields),
		.priority = s->priority,
		.tls = tls_wish(s, fields),
		.body = QBODY_7BIT, /* until a byte says otherwise: qwrite_eightbit */
		.utf8 = mail->smtputf8,
		.auth = release_account(s),
		.language = s->language,
		.release_at = s->release_at,
		.release_asked =
		    mail->release ? arena_cstr(&smtp->arena, mail->release_asked) : NULL,
		.client = xforward_client(s),
		.helo = xforward_helo(s),
		.arrival_ms = clock_now_ms(),
		.inside = addresses_inside(s),
		.aside = mail->aside.p,
		.rcpts = s->rcpts,
	};

	deliver_by_write(s, &env);
	memcpy(env.qid, s->qid, sizeof(env.qid));
	for (size_t i = 0; i < s->nrcpts; i++) {
		if (m->gone[s->rcpts[i].body])
			continue;
		s->more[env.nrcpt] = s->more[i];
		s->rcpts[env.nrcpt++] = s->rcpts[i];
	}
	relay.nrcpts -= s->nrcpts - env.nrcpt;
	s->nrcpts = env.nrcpt;
	address_write(&from, &s->from);
	env.sender = buf_cstr(&from);
	terms_envelope(s);
	for (size_t i = 0; s->asked_for.hold && i < s->nrcpts; i++)
		if (!s->rcpts[i].hold)
			s->rcpts[i].hold = s->asked_for.hold;
	env.known = message_known(s);
	detour_take(s, fields);
	sent_add(s, &env);
	archive_add(s, &env);
	m->w = qwrite_begin(relay.queue, &env);
	buf_fini(&from);
}

/* ---- through the stages -------------------------------------------------------------------- */

/* What the stages make of the fields for one body: each of those that want it takes what the one before has
 * made.  Borrowed from `fields` or `room`. */
static struct slice
stages_fields(struct session *s, unsigned body, struct slice fields, struct buf room[2])
{
	size_t n = 0;

	for (size_t i = 0; i < NELEM(stages); i++) {
		struct buf *out = &room[n % 2];

		if (!stages[i]->wants(s, body))
			continue;
		buf_clear(out);
		stages[i]->fields(s, body, fields, out);
		fields = buf_get(out);
		n++;
	}
	return fields;
}

static void
stages_begin(struct session *s, unsigned body, struct buf *out)
{
	for (size_t i = 0; i < NELEM(stages); i++)
		if (stages[i]->begin && stages[i]->wants(s, body))
			stages[i]->begin(s, body, out);
}

static void
stages_end(struct session *s, unsigned body, struct buf *out)
{
	for (size_t i = NELEM(stages); i-- > 0;)
		if (stages[i]->end && stages[i]->wants(s, body))
			stages[i]->end(s, body, out);
}

static bool
stages_look(struct session *s, struct slice fields)
{
	for (size_t i = 0; i < NELEM(stages); i++)
		if (stages[i]->look && !stages[i]->look(s, fields))
			return false;
	return true;
}

/* The header of each body, and what stands in front of what passes from here on. */
static void
message_head(struct session *s, struct slice fields, bool empty_line)
{
	struct message *m = s->message;
	struct buf room[2] = { { 0 } }, received = { 0 }, front = { 0 };

	trace_received(s, &received);
	for (unsigned i = 0; i < m->nbodies && !s->smtp.failed; i++) {
		struct slice head = scripts_header(s, i),
			     made = stages_fields(s, i, head.p ? head : fields, room);

		buf_clear(&front);
		stages_begin(s, i, &front);
		(void)qwrite_body_of(m->w, i, m->above.p, head.p ? 0 : m->above.n);
		(void)qwrite_body_of(m->w, i, received.p, received.n);
		(void)qwrite_body_of(m->w, i, made.p, made.n);
		if (empty_line || (i && m->text)) /* a text must not become a field */
			(void)qwrite_body_of(m->w, i, "\r\n", 2);
		written(s, qwrite_body_of(m->w, i, front.p, front.n));
		if (i == 0) {
			archive_head(s, buf_get(&m->above), buf_get(&received), made, empty_line);
			refuse_head(m->refuse, buf_get(&m->above), buf_get(&received), made,
			    empty_line, buf_get(&front));
		}
	}
	buf_fini(&room[0]);
	buf_fini(&room[1]);
	buf_fini(&received);
	buf_fini(&front);
}

/* The last octets, for who adds to them. */
static void
message_last(struct message *m, struct slice bytes)
{
	struct slice last =
	    slice_from(bytes, bytes.n > sizeof(m->end) ? bytes.n - sizeof(m->end) : 0);

	memmove(m->end, m->end + last.n, sizeof(m->end) - last.n);
	memcpy(m->end + sizeof(m->end) - last.n, last.p, last.n);
}

static void
message_body_bytes(struct session *s, struct slice bytes)
{
	struct message *m = s->message;

	if (m->filtered && !m->w) {
		if (!s->filters->discard)
			written(s, held_add(&s->filters->body, bytes));
		return;
	}
	if (!m->w || bytes.n == 0)
		return;
	m->eightbit = m->eightbit || !utf8_ascii(bytes);
	if (m->nbodies > 1)
		message_last(m, bytes);
	refuse_add(m->refuse, bytes);
	written(s, qwrite_body(m->w, bytes.p, bytes.n));
}

/* The header is known: the first `len` bytes of what was kept, with its empty line unless
 * `gap`: then a line that is no field stood there, or nothing at all, and the empty line that
 * must part header and body is ours to write: what we add in front of a body would else be
 * read as its header, and the other way round. */
static void
header_end(struct session *s, size_t len, bool gap)
{
	struct message *m = s->message;
	struct slice head = buf_get(&m->head), fields = slice_sub(head, 0, gap ? len : len - 2);

	if (gap) {
		header_scan_init(&m->scan);
		header_scan_feed(&m->scan, fields);
	}
	m->in_body = true;
	m->eightbit = m->scan.header_8bit;
	m->empty_line = !gap || len < head.n;
	if (m->filtered) {
		message_body_bytes(s, slice_from(head, len));
		m->head.n = fields.n;
		return;
	}
	if (stages_look(s, fields)) {
		queue_begin(s, fields);
		message_head(s, fields, m->empty_line);
		message_body_bytes(s, slice_from(head, len));
	}
	buf_fini(&m->head);
}

/* As long as the header lasts it is kept, at most limit.header of it: where it ends decides what
 * is written before. */
static void
message_header_bytes(struct session *s, struct slice bytes)
{
	struct message *m = s->message;
	struct header_scan *h = &m->scan;
	struct verdict v;

	buf_slice(&m->head, bytes);
	header_scan_feed(h, bytes);
	if ((h->bad_line ? h->bad_at : h->header_len) > (uint64_t)config.header) {
		v = verdict(OUT_HEADER_SIZE);
		buf_clear(&m->head);
		smtp_server_fail(&s->smtp, &v);
	} else if (h->bad_line) {
		header_end(s, (size_t)h->bad_at, true);
	} else if (h->done) {
		header_end(s, (size_t)h->header_len, false);
	}
}

static void
message_lines(struct message *m, struct slice bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		m->lines += bytes.p[i] == '\n';
}

void
relay_message_bytes(struct smtp_server *smtp, struct slice bytes)
{
	struct session *s = relay_session_of(smtp);

	if (s->terms.lines >= 0)
		message_lines(s->message, bytes);
	if (s->message->in_body)
		message_body_bytes(s, bytes);
	else
		message_header_bytes(s, bytes);
}

/* All header, no empty line: RFC 5322 3.5 lets a message end so. */
static void
header_only(struct session *s)
{
	struct message *m = s->message;

	if (m->head.n && m->head.p[m->head.n - 1] != '\n')
		message_header_bytes(s,
		    S("\r\n")); /* the last line's own end, left off behind BDAT */
	if (!m->in_body)
		header_end(s, m->head.n, true);
}

void
relay_message_tail(struct session *s)
{
	struct message *m = s->message;
	struct buf tail = { 0 };

	for (unsigned i = 0; i < m->nbodies && !s->smtp.failed; i++) {
		buf_clear(&tail);
		stages_end(s, i, &tail);
		if (tail.n)
			written(s, qwrite_body_of(m->w, i, tail.p, tail.n));
	}
	archive_tail(s);
	buf_fini(&tail);
}

static void
message_on_late(struct deadline *d)
{
	relay_message_over(CAST(CONTAINER(d, struct session, late), struct session, SESSION_MAGIC));
}

/* The message has gone through the stages. */
static void
message_passed(struct session *s)
{
	struct smtp_server *smtp = &s->smtp;
	struct message *m = s->message;

	if (smtp->failed)
		smtp_server_answer(smtp, smtp->failed);
	else if (m->late_ms) /* in whole seconds: there are few lengths then */
		deadline_set(&s->late, daemon_loop(), (m->late_ms + 999) / 1000 * 1000,
		    message_on_late);
	else
		relay_message_over(s);
}

/* ---- with filters ----------------------------------------------------------------------------- */

/* What was held, through the stages, so much in each turn of the loop. */
static void
held_pass(struct later *t)
{
	struct message *m = CONTAINER(t, struct message, later);
	struct session *s = CAST(m->session, struct session, SESSION_MAGIC);
	const struct held *body = &s->filters->body;
	struct buf piece = { 0 };
	int r = 0;

	for (int i = 0;
	     m->w && i < PASS_PIECES && r == 0 && !s->smtp.failed && m->passed < body->size; i++) {
		buf_clear(&piece);
		r = held_read(body, m->passed, PASS_PIECE, &piece);
		m->passed += piece.n;
		message_body_bytes(s, buf_get(&piece));
	}
	buf_fini(&piece);
	written(s, r);
	if (m->w && !s->smtp.failed && m->passed < body->size)
		later_run(&m->later, daemon_loop(), held_pass);
	else
		message_passed(s);
}

/* The header as filters want it, and the body behind it. */
static void
held_begin(struct session *s)
{
	struct message *m = s->message;
	struct filters *f = s->filters;
	struct buf below = { 0 };
	struct slice fields = buf_get(&f->fields);

	message_bodies(s);
	if (f->header.changed) {
		milter_header_write(&f->header, &m->above, &below);
		fields = buf_get(&below);
	}
	if (f->header.changed || m->above.n || !m->as_came) { /* else it was looked at as it came */
		header_scan_init(&m->scan);
		header_scan_feed(&m->scan, buf_get(&m->above));
		header_scan_feed(&m->scan, fields);
	}
	m->eightbit = m->scan.header_8bit;
	if (forward_refuses(s, buf_get(&m->above), fields)) {
		buf_fini(&below);
		relay_session_answer(s, OUT_FORWARD_SPAM);
		return;
	}
	if (stages_look(s, fields)) {
		queue_begin(s, fields);
		message_head(s, fields, m->empty_line || f->body.size);
	}
	buf_fini(&below);
	held_pass(&m->later);
}

static void
held_scripted(struct session *s, const struct verdict *no)
{
	if (no)
		smtp_server_answer(&s->smtp, no);
	else if (filters_settle(s) == 0)
		relay_session_answer(s, OUT_FILTER_VANISHED);
	else
		held_begin(s);
}

static void
held_filtered(struct session *s, const struct verdict *no)
{
	if (no)
		smtp_server_answer(&s->smtp, no);
	else if (s->filters->discard)
		relay_session_answer(s, OUT_FILTER_VANISHED);
	else {
		filters_drop(s);
		scripts_ask(s, held_scripted);
	}
}

/* Filters see the message with what every message of ours must have. */
static void
held_show(struct session *s)
{
	struct message *m = s->message;
	struct slice fields = buf_get(&m->head);
	struct buf room[3] = { { 0 } }, head;

	if (!access_header(s, fields)) {
		message_passed(s);
		return;
	}
	if (claims_found(s, fields)) {
		claims_stage.fields(s, 0, fields, &room[0]);
		fields = buf_get(&room[0]);
	}
	if (trace_stage.wants(s, 0)) {
		trace_stage.fields(s, 0, fields, &room[1]);
		fields = buf_get(&room[1]);
	}
	if (access_stage.wants(s, 0)) {
		access_stage.fields(s, 0, fields, &room[2]);
		fields = buf_get(&room[2]);
		s->access->shown = true;
	}
	m->as_came = fields.p == m->head.p;
	/* The answer may be given inside, and then the message is no more. */
	head = m->head;
	m->head = (struct buf){ 0 };
	filters_message(s, fields, held_filtered);
	buf_fini(&head);
	for (size_t i = 0; i < NELEM(room); i++)
		buf_fini(&room[i]);
}

/* ---- all of it is here --------------------------------------------------------------------------- */

void
relay_message_end(struct smtp_server *smtp)
{
	struct session *s = relay_session_of(smtp);
	struct message *m = s->message;

	if (!m->in_body && !smtp->failed)
		header_only(s);
	if (m->scan.count[HEADER_RECEIVED] > (uint64_t)config.received)
		relay_session_answer(s, OUT_HOPS_MANY);
	else if (s->asked_for.discard && !smtp->failed)
		relay_session_answer(s, OUT_FILTER_VANISHED);
	else if (m->filtered && !smtp->failed)
		held_show(s);
	else
		message_passed(s);
}

void
relay_message_forget(struct session *s)
{
	if (s->message) {
		later_cancel(&s->message->later);
		cut_forget(s->message);
		buf_fini(&s->message->above);
		qwrite_abort(&s->message->w);
		addresses_forget(s->message);
		scripts_stop(&s->message->scripts);
		refuse_stop(&s->message->refuse);
		buf_fini(&s->message->head);
	}
	s->message = NULL;
}
