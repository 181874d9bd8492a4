/* jmapd/email-set.c: Email/set (RFC 8621 4.6): creating, keywords, mailboxes, destroying.
 *
 * What is to be created comes first (email-create.h).  Then, in three steps: in snapshots, what each email is and which requests make it what it is to be
 * (email-change.h); the requests; and the answer with the state behind them.  What others do meanwhile is
 * theirs: messages that are gone are passed over by stored. */
#include "email-change.h"
#include "email-create.h"
#include "set.h"

struct email_set {
	struct set_args args;
	struct set_answer answer;
	struct email_changes changes;
	size_t nupdates, n; /* updates stand before what is to be destroyed */
	const struct json_t **patches;
	size_t at;
	enum { SET_BEGINS, SET_CREATES, SET_READS, SET_CHANGES, SET_ANSWERS } stage;
	struct email_creates creates;
	struct arena scratch;
};

static enum call_next
email_set_start(struct call *c)
{
	struct email_set *q = c->data;
	struct json_walk w = { 0 }, u = { 0 };
	enum call_next next;

	q->creates.bring.body.fd = -1;
	if (!call_account_shared(c, &next) || !set_args_read(c, &q->args, &next))
		return next;
	q->n = json_count(q->args.update) + json_count(q->args.destroy);
	q->changes.items = arena_array(&c->arena, q->n + 1, sizeof(*q->changes.items));
	q->patches = arena_array(&c->arena, q->n + 1, sizeof(struct json_t *));
	while (json_next(q->args.update, &w)) {
		q->patches[q->nupdates] = w.value;
		q->changes.items[q->nupdates++].id = w.name;
	}
	for (size_t i = 0; i < json_count(q->args.destroy); i++)
		q->changes.items[q->nupdates + i] =
		    (struct change_item){ .id = json_text(json_at(q->args.destroy, i)),
			    .destroy = true };
	while (c->of.guest && json_next(q->args.create, &u))
		set_refuse(&q->answer.not_created, u.name, "forbidden", NULL,
		    "emails are made in the user's own account alone");
	q->creates.objects = q->args.create;
	q->creates.created = &q->answer.created;
	q->creates.not_created = &q->answer.not_created;
	return CALL_AGAIN;
}

/* An id that is given twice is changed once. */
static bool
email_set_again(const struct email_set *q, size_t i)
{
	for (size_t k = q->changes.items[i].destroy ? q->nupdates : 0; k < i; k++)
		if (slice_eq(q->changes.items[k].id, q->changes.items[i].id))
			return true;
	return false;
}

static void
email_set_one(struct call *c, struct email_set *q)
{
	struct change_item *item = &q->changes.items[q->at];
	uint64_t id = jmap_id_parse(call_created(c, item->id), JMAP_EMAIL);
	struct email e;

	if (!item->destroy && set_destroys(&q->args, item->id))
		item->error = "willDestroy";
	else if (id == 0 || email_load(c, id, &q->scratch, &e) < 0)
		item->error = "notFound";
	else if (item->destroy && !email_set_again(q, q->at))
		email_change_destroy(c, &q->changes, q->at, &e);
	else if (!item->destroy && !json_is(q->patches[q->at], JSON_KIND_OBJECT))
		item->error = "invalidPatch";
	else if (!item->destroy)
		email_change_update(c, &q->changes, q->at, &e, q->patches[q->at]);
	arena_reset(&q->scratch);
	q->at++;
}

static enum call_next
email_set_begin(struct call *c, struct email_set *q)
{
	struct store_account a;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	store_end(call_view(c));
	if (!call_if_in_state(c, a.modseq, &next))
		return next;
	q->answer.old_state = a.modseq;
	q->stage = c->of.guest ? SET_READS : SET_CREATES;
	return CALL_AGAIN;
}

static enum call_next
email_set_read(struct call *c, struct email_set *q)
{
	struct store_account a;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	while (q->at < q->n && !call_spent(c))
		email_set_one(c, q);
	store_end(call_view(c));
	if (q->at == q->n)
		q->stage = SET_CHANGES;
	return CALL_AGAIN;
}

static void
email_set_tell(struct email_set *q, size_t i)
{
	const struct change_item *item = &q->changes.items[i];
	struct buf *good = item->destroy ? &q->answer.destroyed : &q->answer.updated;

	if (item->error) {
		set_refuse(item->destroy ? &q->answer.not_destroyed : &q->answer.not_updated,
		    item->id, item->error, item->property, item->why);
		return;
	}
	if (item->destroy && email_set_again(q, i))
		return;
	if (good->n)
		buf_char(good, ',');
	json_str(good, item->id);
	if (!item->destroy)
		buf_lit(good, ":null");
}

static enum call_next
email_set_answer(struct call *c, struct email_set *q)
{
	struct store_account a;
	int rc = call_begin(c, &a);

	if (rc < 0)
		return call_failed(c, rc);
	store_end(call_view(c));
	for (size_t i = 0; i < q->n; i++)
		email_set_tell(q, i);
	return set_answer_write(c, &q->answer, a.modseq);
}

static enum call_next
email_set_go(struct call *c)
{
	struct email_set *q = c->data;

	if (q->stage == SET_BEGINS)
		return email_set_begin(c, q);
	if (q->stage == SET_CREATES) {
		enum call_next next = email_create_go(c, &q->creates);

		q->stage = next == CALL_DONE ? SET_READS : SET_CREATES;
		return next == CALL_DONE ? CALL_AGAIN : next;
	}
	if (q->stage == SET_READS)
		return email_set_read(c, q);
	if (q->stage == SET_CHANGES) {
		if (email_change_go(c, &q->changes) == CALL_WAIT)
			return CALL_WAIT;
		q->stage = SET_ANSWERS;
	}
	return email_set_answer(c, q);
}

static void
email_set_undo(struct call *c)
{
	struct email_set *q = c->data;

	email_create_fini(&q->creates);
	email_change_fini(&q->changes);
	set_answer_fini(&q->answer);
	arena_reset(&q->scratch);
}

const struct jmapd_method email_set = { "Email/set", JMAP_MAIL, sizeof(struct email_set),
	email_set_start, email_set_go, email_set_undo };
