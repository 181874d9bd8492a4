/* jmapd/submission-send.c: EmailSubmissions that are created: messages that are sent, at once or later.
 *
 * The email's file is opened and read (on the pool, when it is not in memory), its header judged, and the message given
 * to the relay in one transaction.  An OK of the relay is the submission.  One that the relay is to keep (HOLDFOR,
 * HOLDUNTIL) is written down in the store behind that, and taken back when it cannot be.  What must stay true: nobody
 * sends as another (MAIL FROM and every address of From are the user's own), Bcc leaves in no message, who has not
 * been sent to is told so, and what is to be sent later is never sent at once. */
#include "api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/utf8.h"
#include "email.h"
#include "mail/header.h"
#include "submission-impl.h"

/* A property that a client may not give; NULL: all are good. */
static const char *
submission_wrong_property(struct call *c, const struct json_t *v)
{
	static const char *const known[] = { "identityId", "emailId", "envelope" };
	struct json_walk w = { 0 };

	while (json_next(v, &w)) {
		size_t i = 0;

		while (i < NELEM(known) && !slice_eq(w.name, slice_str(known[i])))
			i++;
		if (i == NELEM(known))
			return arena_cstr(&c->arena, w.name);
	}
	return NULL;
}

/* ---- the email ------------------------------------------------------------------------------------------------- */

static void
submission_mapped(struct submission_set *q)
{
	if (q->error == 0)
		q->error = message_map(&q->message);
	q->phase = SUBMISSION_READY;
}

static void
submission_read(void *arg)
{
	struct call *c = arg;
	struct submission_set *q = c->data;
	struct message_parse *p = q->parse;

	log_context(c->s->sid);
	q->parse = NULL;
	q->message = p->message;
	p->message = (struct message){ .fd = -1 };
	q->error = p->error;
	message_parse_free(&p);
	submission_mapped(q);
	call_resume(c, CALL_AGAIN);
}

/* Its file is read where that may wait for the disk. */
static enum call_next
submission_warm(struct call *c, struct submission_set *q)
{
	struct message_parse *p;

	if (q->message.size <= MESSAGE_LARGE &&
	    message_in_memory(&q->message, 0, q->message.size)) {
		submission_mapped(q);
		return CALL_AGAIN;
	}
	p = message_parse_new(MESSAGE_WANT_BYTES);
	p->message = q->message;
	p->to = p->message.size;
	q->message = (struct message){ .fd = -1 };
	q->parse = p;
	message_parse_start(p, jmapd.loop, call_op(c), call_user(c)->id, submission_read, c);
	return CALL_WAIT;
}

static enum call_next
submission_open(struct call *c, struct submission_set *q)
{
	struct submission *s = &q->list[q->at];
	struct store_account a;
	struct email e;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	rc = email_load(c, s->email, &q->arena, &e);
	if (rc == 0) {
		q->thread = e.thread;
		message_init(&q->message, S(""));
		rc = message_open(&q->message, call_view(c), e.places[0].folder->mailbox,
		    e.places[0].uid);
		q->open = rc == 0;
	}
	store_end(call_view(c));
	if (rc == -ENOENT)
		return submission_refuse(q, "invalidProperties", "emailId",
		    "there is no such email");
	if (rc < 0)
		return submission_refuse(q, "serverFail", NULL, "the email cannot be read now");
	return submission_warm(c, q);
}

/* What the client says of it; then its file. */
static enum call_next
submission_begin(struct call *c, struct submission_set *q)
{
	struct submission *s = &q->list[q->at];
	const char *wrong;

	if (!json_is(s->v, JSON_KIND_OBJECT))
		return submission_refuse(q, "invalidProperties", NULL, "no object");
	wrong = submission_wrong_property(c, s->v);
	if (wrong)
		return submission_refuse(q, "invalidProperties", wrong,
		    "the server sets it, or there is none");
	q->identity = identity_find(&q->identities, json_text(json_find(s->v, S("identityId"))));
	if (!q->identity.p)
		return submission_refuse(q, "invalidProperties", "identityId",
		    "there is no such identity");
	s->email =
	    jmap_id_parse(call_created(c, json_text(json_find(s->v, S("emailId")))), JMAP_EMAIL);
	if (s->email == 0)
		return submission_refuse(q, "invalidProperties", "emailId",
		    "there is no such email");
	return submission_open(c, q);
}

/* ---- may it be sent? ---------------------------------------------------------------------------------------------- */

/* The envelope, given or made.  False: *next is what comes next. */
static bool
submission_envelope(struct submission_set *q, struct slice header, enum call_next *next)
{
	const struct json_t *v = json_find(q->list[q->at].v, S("envelope"));
	struct jmap_envelope *e = &q->envelope;
	const char *property = NULL, *why = NULL;
	struct buf more = { 0 };
	int rc = json_none(v) ?
	    jmap_envelope_make(header, (size_t)config.recipients, &q->arena, e) :
	    jmap_envelope_read(v, (size_t)config.recipients, &q->arena, e, &property, &why);

	if (rc == -E2BIG) {
		buf_printf(&more, "\"maxRecipients\":%lld", (long long)config.recipients);
		*next = submission_refuse_more(q, "tooManyRecipients", buf_get(&more));
	} else if (rc < 0) {
		*next = submission_refuse(q, "invalidProperties", property, why);
	} else if (e->ninvalid > 0) {
		buf_lit(&more, "\"invalidRecipients\":[");
		for (size_t i = 0; i < e->ninvalid; i++) {
			json_element(&more);
			json_str(&more, e->invalid[i]);
		}
		buf_char(&more, ']');
		*next = submission_refuse_more(q, "invalidRecipients", buf_get(&more));
		rc = -EINVAL;
	} else if (e->nrcpt == 0) {
		*next = submission_refuse(q, "noRecipients", NULL, NULL);
		rc = -EINVAL;
	}
	buf_fini(&more);
	return rc == 0;
}

/* Nobody sends as another. */
static bool
submission_sender(struct submission_set *q, struct slice header, enum call_next *next)
{
	struct identities *ids = &q->identities, one = { .email = &q->identity, .n = 1 };
	struct slice *from;
	size_t n;

	if (json_none(json_find(q->list[q->at].v, S("envelope"))) &&
	    !identity_has(&one, q->envelope.from))
		q->envelope.from = q->identity; /* 7: what the header says is not the identity's */
	from = jmap_header_from(header, &q->arena, &n);
	if (n == 0) {
		*next = submission_refuse(q, "invalidEmail", "from", "the message has no From");
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if (!identity_has(ids, from[i])) {
			*next = submission_refuse(q, "forbiddenFrom", NULL,
			    "an address of From is not the user's");
			return false;
		}
	if (q->envelope.from.n > 0 && !identity_has(ids, q->envelope.from)) {
		*next = submission_refuse(q, "forbiddenMailFrom", NULL,
		    "the sender's address is not the user's");
		return false;
	}
	return true;
}

/* Later, and is there room for it?  False: *next is what comes next. */
static bool
submission_later(struct call *c, struct submission_set *q, enum call_next *next)
{
	const struct jmap_envelope *e = &q->envelope;
	int64_t now = clock_now(), at = e->hold_at + (e->hold == JMAP_HOLD_FOR ? now : 0);
	struct store_account a;
	struct kept_list l;
	size_t octets = 0;
	int rc;

	if (e->hold == JMAP_SEND_NOW || at <= now)
		return true; /* RFC 4865 5.2: a time that is over is now */
	for (size_t i = 0; i < e->nrcpt; i++)
		octets += 2 * e->rcpt[i].n + 300;
	if (at > now + config.hold_most / 1000) {
		*next = submission_refuse(q, "invalidProperties", "envelope/mailFrom",
		    config.hold_most ? "that is later than maxDelayedSend" :
				       "nothing is sent later (maxDelayedSend)");
		return false;
	}
	rc = kept_load(c, false, &q->arena, &l, &a);
	if (rc < 0) {
		*next = call_failed(c, rc);
		return false;
	}
	if (octets > KEPT_MOST || !kept_has_room(&l)) {
		*next = submission_refuse(q, "overQuota", NULL,
		    octets > KEPT_MOST ? "too many recipients for a message that is kept" :
					 "40 messages wait to be sent");
		return false;
	}
	q->release_at = at;
	return true;
}

/* ---- sending --------------------------------------------------------------------------------------------------------- */

static void
submission_sent(void *arg, const struct verdict *v)
{
	struct call *c = arg;
	struct submission_set *q = c->data;
	size_t good = 0;

	log_context(c->s->sid);
	for (size_t i = 0; i < q->envelope.nrcpt; i++)
		good += q->rcpts[i].v.kind == OK;
	metric_add(M_SUBMITTED, good > 0);
	log_event(LOG_INFO, "jmap_submit",
	    "sid=%s user=%s from=%s rcpts=%zu sent=%zu size=%llu release=%lld reply=%d why=%s",
	    c->s->sid, log_str(call_user(c)->account), log_value(q->envelope.from),
	    q->envelope.nrcpt, good, (unsigned long long)q->message.size, (long long)q->release_at,
	    verdict_reply(v), log_str(v->text));
	q->phase = SUBMISSION_SENT;
	call_resume(c, CALL_AGAIN);
}

static enum call_next
submission_send(struct call *c, struct submission_set *q, struct slice all, struct slice header)
{
	struct submit_mail m = { .sender = q->envelope.from,
		.fd = q->message.fd,
		.size = q->message.size,
		.release_at = q->release_at,
		.account = slice_str(call_user(c)->account) };

	q->rcpts = arena_array(&q->arena, q->envelope.nrcpt, sizeof(*q->rcpts));
	for (size_t i = 0; i < q->envelope.nrcpt; i++)
		q->rcpts[i].to = q->envelope.rcpt[i];
	m.rcpts = q->rcpts;
	m.nrcpts = q->envelope.nrcpt;
	m.smtputf8 = !utf8_ascii(header);
	if (jmap_header_without_bcc(header, &q->bytes)) {
		buf_slice(&q->bytes, slice_from(all, header.n));
		m.bytes = buf_get(&q->bytes);
		m.fd = -1;
	}
	submit_start(jmapd.submit, &m, call_op(c), submission_sent, c);
	return CALL_WAIT;
}

/* The file is there: judged, and on its way. */
static enum call_next
submission_judge(struct call *c, struct submission_set *q)
{
	struct slice all = message_bytes(&q->message), header;
	enum call_next next;

	if (q->error < 0 || message_is_cut(&q->message))
		return submission_refuse(q, "serverFail", NULL, "the email cannot be read now");
	header = slice_sub(all, 0, header_len(all));
	if (!submission_envelope(q, header, &next) || !submission_sender(q, header, &next) ||
	    !submission_later(c, q, &next))
		return next;
	return submission_send(c, q, all, header);
}

/* ---- what came of it -------------------------------------------------------------------------------------------------- */

static void
submission_put_status(struct buf *b, const struct submit_rcpt *r)
{
	struct buf reply = { 0 };

	verdict_quote_write(&reply, &r->v);
	buf_str(&reply, r->v.text);
	json_member(b, r->to);
	buf_char(b, '{');
	json_put_str(b, "smtpReply", buf_get(&reply));
	json_put_cstr(b, "delivered", r->v.kind == OK ? "queued" : "no");
	json_put_cstr(b, "displayed", "unknown");
	buf_char(b, '}');
	buf_fini(&reply);
}

/* "deliveryStatus" of all recipients, without the name. */
static void
submission_put_statuses(struct buf *b, const struct submission_set *q)
{
	buf_char(b, '{');
	for (size_t i = 0; i < q->envelope.nrcpt; i++)
		submission_put_status(b, &q->rcpts[i]);
	buf_char(b, '}');
}

/* The envelope as it was given, or made of the header. */
static void
submission_put_envelope(struct buf *b, const struct submission_set *q)
{
	const struct json_t *given = json_find(q->list[q->at].v, S("envelope"));

	if (!json_none(given)) {
		json_write(b, given);
		return;
	}
	buf_lit(b, "{\"mailFrom\":{");
	json_put_str(b, "email", q->envelope.from);
	json_put_null(b, "parameters");
	buf_lit(b, "},\"rcptTo\":[");
	for (size_t i = 0; i < q->envelope.nrcpt; i++) {
		json_element(b);
		buf_char(b, '{');
		json_put_str(b, "email", q->envelope.rcpt[i]);
		json_put_null(b, "parameters");
		buf_char(b, '}');
	}
	buf_lit(b, "]}");
}

static enum call_next
submission_created(struct call *c, struct submission_set *q, bool pending)
{
	struct submission *s = &q->list[q->at];
	struct buf *b = &q->answer.created;

	s->done = true;
	call_create(c, s->creation, slice_str(s->id));
	if (b->n)
		buf_char(b, ',');
	json_str(b, s->creation);
	buf_lit(b, ":{");
	json_put_cstr(b, "id", s->id);
	json_key(b, "threadId");
	jmap_id_json(b, JMAP_THREAD, q->thread);
	json_put_cstr(b, "undoStatus", pending ? "pending" : "final");
	json_put_utc(b, "sendAt", q->release_at ? q->release_at : clock_now());
	json_key(b, "deliveryStatus");
	submission_put_statuses(b, q);
	buf_lit(b, ",\"dsnBlobIds\":[],\"mdnBlobIds\":[]}");
	return submission_over(q);
}

/* ---- kept ---------------------------------------------------------------------------------------------------------------- */

/* What waits at the relay is written down: only then it is answered. */
static enum call_next
submission_keep(struct call *c, struct submission_set *q)
{
	struct submission *s = &q->list[q->at];
	struct kept_change ch = { .arena = &q->arena };
	struct kept *k = &q->kept;
	struct store_account a;
	struct buf b = { 0 };
	struct kept_list l;

	*k = (struct kept){ .send_at = q->release_at, .email = s->email, .thread = q->thread };
	memcpy(k->id, s->id, sizeof(k->id));
	for (size_t i = 0; i < q->envelope.nrcpt; i++)
		if (q->rcpts[i].v.kind == OK)
			memcpy(k->qid, q->rcpts[i].qid, sizeof(k->qid));
	identity_id_write(&b, q->identity);
	slice_cstr(buf_get(&b), k->identity, sizeof(k->identity));
	buf_clear(&b);
	submission_put_envelope(&b, q);
	k->envelope = arena_slice(&q->arena, buf_get(&b));
	buf_clear(&b);
	submission_put_statuses(&b, q);
	k->delivery = arena_slice(&q->arena, buf_get(&b));
	buf_fini(&b);
	if (kept_load(c, false, &q->arena, &l, &a) == 0) /* else there is nothing to make room of */
		kept_make_room(&l, &ch, k);
	kept_put(&ch, k);
	return submission_write(c, q, &ch, SUBMISSION_KEPT);
}

/* What cannot be written down is taken back; what cannot be taken back is sent, and can only be told. */
static enum call_next
submission_kept_or_not(struct call *c, struct submission_set *q)
{
	metric_add(M_KEPT, q->code == STORE_DONE);
	if (q->code == STORE_DONE)
		return submission_created(c, q, q->kept.qid[0] != '\0');
	if (q->kept.qid[0])
		return submission_take_back(c, q, SUBMISSION_BACK);
	return submission_created(c, q, false);
}

/* One that somebody has got is made, and tells who has not; else the first reply says why. */
static enum call_next
submission_outcome(struct call *c, struct submission_set *q)
{
	const struct verdict *why = &q->rcpts[0].v;
	struct submission *s = &q->list[q->at];
	char id[14];
	struct buf more = { 0 };
	enum call_next next;

	for (size_t i = 0; i < q->envelope.nrcpt; i++)
		if (q->rcpts[i].v.kind == OK) {
			(void)snprintf(s->id, sizeof(s->id), "S%s", random_id(id));
			return q->release_at ? submission_keep(c, q) :
					       submission_created(c, q, false);
		}
	if (why->kind != PERM)
		return submission_refuse(q, "serverFail", NULL, why->text);
	if (why->subject == 7) /* RFC 3463 3.8: the user may not */
		return submission_refuse(q, "forbiddenToSend", NULL, why->text);
	if (q->release_at && why->subject == 5)
		return submission_refuse(q, "invalidProperties", "envelope/mailFrom", why->text);
	json_put_cstr(&more, "description", why->text);
	json_put_array(&more, "invalidRecipients");
	for (size_t i = 0; i < q->envelope.nrcpt; i++) {
		json_element(&more);
		json_str(&more, q->envelope.rcpt[i]);
	}
	buf_char(&more, ']');
	next = submission_refuse_more(q, "invalidRecipients", buf_get(&more));
	buf_fini(&more);
	return next;
}

enum call_next
submission_create_go(struct call *c, struct submission_set *q)
{
	switch (q->phase) {
	case SUBMISSION_BEGIN: break;
	case SUBMISSION_READY: return submission_judge(c, q);
	case SUBMISSION_SENT: return submission_outcome(c, q);
	case SUBMISSION_KEPT: return submission_kept_or_not(c, q);
	case SUBMISSION_BACK:
	case SUBMISSION_MARKED:
	case SUBMISSION_TOLD:
		if (q->back.kind != OK)
			return submission_created(c, q, false);
		return submission_refuse(q, "serverFail", NULL, "the store does not take it now");
	}
	return submission_begin(c, q);
}
