/* jmapd/submission.c: EmailSubmission/set (RFC 8621 7.5): the call.
 *
 * One submission after the other: those that are created (submission-send.c), then those that are updated, that is
 * taken back, and destroyed (submission-undo.c).  When all are over, onSuccessUpdateEmail and onSuccessDestroyEmail go
 * on as an Email/set.  What must stay true: each that was asked for has its answer, in one list of the six. */
#include "api.h"
#include "base/log.h"
#include "email.h"
#include "submission-impl.h"

/* ---- the one in hand --------------------------------------------------------------------------------------- */

void
submission_close(struct submission_set *q)
{
	if (q->open)
		message_close(&q->message);
	arena_reset(&q->arena);
	buf_fini(&q->bytes);
	q->message.fd = -1;
	q->open = q->marked_before = false;
	q->phase = SUBMISSION_BEGIN;
	q->tries = 0;
	q->error = 0;
	q->release_at = 0;
	q->kept = (struct kept){ 0 };
}

enum call_next
submission_over(struct submission_set *q)
{
	submission_close(q);
	q->at++;
	return CALL_AGAIN;
}

static struct buf *
submission_refused(struct submission_set *q)
{
	switch (q->list[q->at].kind) {
	case SUBMISSION_CREATE: break;
	case SUBMISSION_UPDATE: return &q->answer.not_updated;
	case SUBMISSION_DESTROY: return &q->answer.not_destroyed;
	}
	return &q->answer.not_created;
}

enum call_next
submission_refuse(struct submission_set *q, const char *type, const char *property, const char *why)
{
	set_refuse(submission_refused(q), q->list[q->at].creation, type, property, why);
	return submission_over(q);
}

/* The same, with a member of its own for what the type tells (7.5). */
enum call_next
submission_refuse_more(struct submission_set *q, const char *type, struct slice member)
{
	struct buf *b = submission_refused(q);

	set_refuse(b, q->list[q->at].creation, type, NULL, NULL);
	b->n--; /* the brace */
	buf_char(b, ',');
	buf_slice(b, member);
	buf_char(b, '}');
	return submission_over(q);
}

/* ---- what is waited for ---------------------------------------------------------------------------------- */

static void
submission_wrote(void *arg, const struct store_reply *r)
{
	struct call *c = arg;
	struct submission_set *q = c->data;

	log_context(c->s->sid);
	q->code = r->code;
	if (r->code == STORE_DONE && r->modseq)
		q->kept.modseq = r->modseq;
	call_resume(c, CALL_AGAIN);
}

enum call_next
submission_write(struct call *c, struct submission_set *q, struct kept_change *ch,
    enum submission_phase then)
{
	q->phase = then;
	store_annotate_start(jmapd.store, call_user(c)->id, 0, ch->rows, ch->n, call_op(c),
	    submission_wrote, c);
	return CALL_WAIT;
}

enum call_next
submission_write_unless(struct call *c, struct submission_set *q, struct kept_change *ch,
    enum submission_phase then)
{
	q->phase = then;
	store_annotate_unless_start(jmapd.store, call_user(c)->id, 0, ch->rows, ch->n,
	    q->kept.modseq, call_op(c), submission_wrote, c);
	return CALL_WAIT;
}

static void
submission_taken_back(void *arg, const struct verdict *v)
{
	struct call *c = arg;
	struct submission_set *q = c->data;

	log_context(c->s->sid);
	q->back = *v;
	metric_add(M_UNSENT, v->kind == OK);
	log_event(LOG_INFO, "jmap_unsend", "sid=%s user=%s qid=%s reply=%d why=%s", c->s->sid,
	    log_str(call_user(c)->account), q->kept.qid, verdict_reply(v), log_str(v->text));
	call_resume(c, CALL_AGAIN);
}

enum call_next
submission_take_back(struct call *c, struct submission_set *q, enum submission_phase then)
{
	q->phase = then;
	submit_cancel_start(jmapd.submit, slice_str(call_user(c)->account), slice_str(q->kept.qid),
	    call_op(c), submission_taken_back, c);
	return CALL_WAIT;
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
	q->list = arena_array(&c->arena,
	    json_count(q->args.create) + json_count(q->args.update) + json_count(q->args.destroy) +
		1,
	    sizeof(*q->list));
	while (json_next(q->args.create, &w))
		q->list[q->n++] = (struct submission){ .creation = w.name, .v = w.value };
	while (json_next(q->args.update, &u))
		q->list[q->n++] = (struct submission){ .kind = SUBMISSION_UPDATE,
			.creation = u.name,
			.v = u.value };
	for (size_t i = 0; i < json_count(q->args.destroy); i++)
		q->list[q->n++] = (struct submission){ .kind = SUBMISSION_DESTROY,
			.creation = json_text(json_at(q->args.destroy, i)) };
	return CALL_AGAIN;
}

/* ---- onSuccess... ---------------------------------------------------------------------------------------------------------- */

/* The one that "#creation" or an id means; NULL: nothing was done of it. */
static const struct submission *
submission_of(const struct submission_set *q, struct slice ref)
{
	for (size_t i = 0; i < q->n; i++) {
		const struct submission *s = &q->list[i];

		if (s->done &&
		    (slice_eq(ref, slice_str(s->id)) ||
			(s->kind == SUBMISSION_CREATE && ref.n > 0 && ref.p[0] == '#' &&
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

/* Both states, and the lists. */
static enum call_next
submission_answer_write(struct call *c, const struct submission_set *q)
{
	struct store_account a;
	struct arena scratch = { 0 };
	struct kept_list l;
	int rc = kept_load(c, false, &scratch, &l, &a);

	arena_reset(&scratch);
	if (rc < 0)
		return call_failed(c, rc);
	call_answer(c);
	call_put_account(c);
	kept_put_state(c, "oldState", q->old_modseq, q->old_final);
	kept_put_state(c, "newState", a.modseq, l.final_at);
	return set_answer_lists(c, &q->answer);
}

static enum call_next
submission_answer(struct call *c, struct submission_set *q)
{
	struct buf implied = { 0 };
	struct json_t *args = NULL;
	const char *why;
	enum call_next next;

	next = submission_answer_write(c, q);
	if (submission_implied(c, q, &implied) &&
	    json_read(buf_get(&implied), &c->api->answer_bounds, &args, &why) == 0)
		next = call_go_on_as(c, &email_set, args);
	buf_fini(&implied);
	return next;
}

/* ---- the call -------------------------------------------------------------------------------------------------------------- */

/* The state as it is before, and ifInState. */
static bool
submission_set_begin(struct call *c, struct submission_set *q, enum call_next *next)
{
	struct slice want = { NULL, 0 };
	struct store_account a;
	struct kept_list l;
	struct kept_point p;
	int rc = kept_load(c, false, &q->arena, &l, &a);

	arena_reset(&q->arena);
	if (rc < 0) {
		*next = call_failed(c, rc);
		return false;
	}
	if (!call_str(c, "ifInState", &want)) {
		*next = call_invalid(c, "ifInState: a string, or null");
		return false;
	}
	q->old_modseq = a.modseq;
	q->old_final = l.final_at;
	q->begun = true;
	if (!want.p ||
	    (kept_state_parse(want, &p) && state_eq(p.state, state_of(&a)) &&
		p.final_at == l.final_at))
		return true;
	*next = call_error(c, "stateMismatch", NULL);
	return false;
}

static enum call_next
submission_set_go(struct call *c)
{
	struct submission_set *q = c->data;
	enum call_next next;

	if (!q->begun && !submission_set_begin(c, q, &next))
		return next;
	if (!q->identities.asked && json_count(q->args.create) > 0)
		return identities_ask(c);
	if (q->identities.away)
		return call_error(c, "serverUnavailable", "the directory is away");
	if (q->at == q->n)
		return submission_answer(c, q);
	return q->list[q->at].kind == SUBMISSION_CREATE ? submission_create_go(c, q) :
							  submission_undo_go(c, q);
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
