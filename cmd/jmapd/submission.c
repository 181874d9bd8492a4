/* jmapd/submission.c: EmailSubmission/set (RFC 8621 7.5).
 *
 * One submission after the other: the email's file is opened and read (on the pool, when it is not in
 * memory), its header judged, and the message given to the relay in one transaction.  An OK of the relay is
 * the submission; nothing is kept here.  When all are over, onSuccessUpdateEmail and onSuccessDestroyEmail go
 * on as an Email/set.  What must stay true: nobody sends as another (MAIL FROM and every address of From are
 * the user's own), Bcc leaves in no message, and who has not been sent to is told so. */
#include "submission.h"

#include "api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/utf8.h"
#include "email.h"
#include "jmap/envelope.h"
#include "mail/header.h"
#include "message/parse.h"
#include "set.h"
#include "submit/submit.h"

struct submission {
	struct slice creation;
	const struct json_t *v;
	char id[16]; /* "S" and random_id; "": it is none */
	uint64_t email;
};

struct submission_set {
	struct identities identities;
	struct set_args args;
	struct set_answer answer;
	struct submission *list;
	size_t n, at;
	/* the one in hand */
	struct message message;
	struct message_parse *parse;
	bool open, ready, sent;
	uint64_t thread;
	int error; /* of its file: -errno */
	struct slice identity;
	struct jmap_envelope envelope;
	struct submit_rcpt *rcpts;
	struct buf bytes;   /* the message without Bcc, when it had one */
	struct arena arena; /* of the one in hand */
};

/* ---- the one in hand --------------------------------------------------------------------------------------- */

static void
submission_close(struct submission_set *q)
{
	if (q->open)
		message_close(&q->message);
	arena_reset(&q->arena);
	buf_fini(&q->bytes);
	q->message.fd = -1;
	q->open = q->ready = q->sent = false;
	q->error = 0;
}

static enum call_next
submission_over(struct submission_set *q)
{
	submission_close(q);
	q->at++;
	return CALL_AGAIN;
}

static enum call_next
submission_refuse(struct submission_set *q, const char *type, const char *property, const char *why)
{
	set_refuse(&q->answer.not_created, q->list[q->at].creation, type, property, why);
	return submission_over(q);
}

/* The same, with a member of its own for what the type tells (7.5). */
static enum call_next
submission_refuse_more(struct submission_set *q, const char *type, struct slice member)
{
	struct buf *b = &q->answer.not_created;

	set_refuse(b, q->list[q->at].creation, type, NULL, NULL);
	b->n--; /* the brace */
	buf_char(b, ',');
	buf_slice(b, member);
	buf_char(b, '}');
	return submission_over(q);
}

/* ---- the arguments ------------------------------------------------------------------------------------------- */

static enum call_next
submission_set_start(struct call *c)
{
	struct submission_set *q = c->data;
	struct json_walk w = { 0 }, u = { 0 };
	enum call_next next;

	q->message.fd = -1;
	if (!call_account(c, &next) || !set_args_read(c, &q->args, &next))
		return next;
	q->list = arena_array(&c->arena, json_count(q->args.create) + 1, sizeof(*q->list));
	while (json_next(q->args.create, &w))
		q->list[q->n++] = (struct submission){ .creation = w.name, .v = w.value };
	while (json_next(q->args.update, &u))
		set_refuse(&q->answer.not_updated, u.name, "notFound", NULL, NULL);
	for (size_t i = 0; i < json_count(q->args.destroy); i++)
		set_refuse(&q->answer.not_destroyed, json_text(json_at(q->args.destroy, i)),
		    "notFound", NULL, NULL);
	return CALL_AGAIN;
}

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
	q->ready = true;
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
	    "sid=%s user=%s from=%s rcpts=%zu sent=%zu size=%llu reply=%d why=%s", c->s->sid,
	    log_str(call_user(c)->account), log_value(q->envelope.from), q->envelope.nrcpt, good,
	    (unsigned long long)q->message.size, verdict_reply(v), log_str(v->text));
	q->sent = true;
	call_resume(c, CALL_AGAIN);
}

static enum call_next
submission_send(struct call *c, struct submission_set *q, struct slice all, struct slice header)
{
	struct submit_mail m = { .sender = q->envelope.from,
		.fd = q->message.fd,
		.size = q->message.size };

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
	if (!submission_envelope(q, header, &next) || !submission_sender(q, header, &next))
		return next;
	return submission_send(c, q, all, header);
}

/* ---- what came of it -------------------------------------------------------------------------------------------------- */

static void
submission_status(struct buf *b, const struct submit_rcpt *r)
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

static void
submission_created(struct call *c, struct submission_set *q)
{
	struct submission *s = &q->list[q->at];
	struct buf *b = &q->answer.created;
	char id[14];

	(void)snprintf(s->id, sizeof(s->id), "S%s", random_id(id));
	call_create(c, s->creation, slice_str(s->id));
	if (b->n)
		buf_char(b, ',');
	json_str(b, s->creation);
	buf_lit(b, ":{");
	json_put_cstr(b, "id", s->id);
	json_key(b, "threadId");
	jmap_id_json(b, JMAP_THREAD, q->thread);
	json_put_cstr(b, "undoStatus", "final");
	json_put_utc(b, "sendAt", clock_now());
	json_put_object(b, "deliveryStatus");
	for (size_t i = 0; i < q->envelope.nrcpt; i++)
		submission_status(b, &q->rcpts[i]);
	buf_lit(b, "},\"dsnBlobIds\":[],\"mdnBlobIds\":[]}");
}

/* One that somebody has got is made, and tells who has not; else the first reply says why. */
static enum call_next
submission_outcome(struct call *c, struct submission_set *q)
{
	const struct verdict *why = &q->rcpts[0].v;
	struct buf more = { 0 };
	enum call_next next;

	for (size_t i = 0; i < q->envelope.nrcpt; i++)
		if (q->rcpts[i].v.kind == OK) {
			submission_created(c, q);
			return submission_over(q);
		}
	if (why->kind != PERM)
		return submission_refuse(q, "serverFail", NULL, why->text);
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

/* ---- onSuccess... ---------------------------------------------------------------------------------------------------------- */

/* The one that "#creation" or an id means; NULL: it was not made. */
static const struct submission *
submission_of(const struct submission_set *q, struct slice ref)
{
	for (size_t i = 0; i < q->n; i++) {
		const struct submission *s = &q->list[i];

		if (s->id[0] &&
		    (slice_eq(ref, slice_str(s->id)) ||
			(ref.n > 0 && ref.p[0] == '#' &&
			    slice_eq(slice_from(ref, 1), s->creation))))
			return s;
	}
	return NULL;
}

/* Appends the Email/set that is implied.  False: there is none. */
static bool
submission_implied(struct call *c, const struct submission_set *q, struct buf *b)
{
	const struct json_t *destroy = json_find(c->args, S("onSuccessDestroyEmail"));
	struct json_walk w = { 0 };
	const struct submission *s;
	bool any = false;

	buf_char(b, '{');
	json_put_cstr(b, "accountId", call_user(c)->account_id);
	json_put_object(b, "update");
	while (json_next(json_find(c->args, S("onSuccessUpdateEmail")), &w)) {
		s = submission_of(q, w.name);
		if (!s)
			continue;
		any = true;
		json_element(b);
		jmap_id_json(b, JMAP_EMAIL, s->email);
		buf_char(b, ':');
		json_write(b, w.value);
	}
	buf_char(b, '}');
	json_put_array(b, "destroy");
	for (size_t i = 0; i < json_count(destroy); i++) {
		s = submission_of(q, json_text(json_at(destroy, i)));
		if (!s)
			continue;
		any = true;
		json_element(b);
		jmap_id_json(b, JMAP_EMAIL, s->email);
	}
	buf_lit(b, "]}");
	return any;
}

static enum call_next
submission_answer(struct call *c, struct submission_set *q)
{
	struct buf implied = { 0 };
	struct json_t *args = NULL;
	const char *why;
	enum call_next next;

	q->answer.stateless = true;
	next = set_answer_write(c, &q->answer, 0);
	if (submission_implied(c, q, &implied) &&
	    json_read(buf_get(&implied), &c->api->answer_bounds, &args, &why) == 0)
		next = call_go_on_as(c, &email_set, args);
	buf_fini(&implied);
	return next;
}

static enum call_next
submission_set_go(struct call *c)
{
	struct submission_set *q = c->data;

	if (!q->identities.asked && q->n > 0)
		return identities_ask(c);
	if (q->identities.away)
		return call_error(c, "serverUnavailable", "the directory is away");
	if (q->at == q->n)
		return submission_answer(c, q);
	if (q->sent)
		return submission_outcome(c, q);
	if (q->ready)
		return submission_judge(c, q);
	return submission_begin(c, q);
}

static void
submission_set_undo(struct call *c)
{
	struct submission_set *q = c->data;

	submission_close(q);
	set_answer_fini(&q->answer);
}

const struct jmapd_method submission_set = { "EmailSubmission/set", JMAP_SUBMISSION,
	sizeof(struct submission_set), submission_set_start, submission_set_go,
	submission_set_undo };
