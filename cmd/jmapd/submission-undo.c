/* jmapd/submission-undo.c: EmailSubmissions that are taken back (undoStatus, RFC 8621 7.5), and that are forgotten.
 *
 *	row: cancelling -> XCANCEL at the relay -> row: canceled, or sent
 *
 * The row says first that it is being taken back: when the answer to XCANCEL is lost, or what comes of it cannot be
 * written down, the next try is told that there is no such message, and knows from the mark that this was the reason.
 * Without the mark it was sent.  Of two who try at once each marks it, as the row was when it was looked at or not at
 * all; so the one who comes second with the relay finds that it was the other.  What must stay true: "canceled" is answered only of what nobody has had and nobody
 * will; to forget one changes nothing of its way (7.5). */
#include "submission-impl.h"

#define TRIES 8

static void
undo_list(struct buf *b, struct slice id, bool null)
{
	if (b->n)
		buf_char(b, ',');
	json_str(b, id);
	if (null)
		buf_lit(b, ":null");
}

static enum call_next
undo_updated(struct submission_set *q)
{
	struct submission *s = &q->list[q->at];

	s->done = true;
	undo_list(&q->answer.updated, s->creation, true);
	return submission_over(q);
}

static enum call_next
undo_destroyed(struct submission_set *q)
{
	struct submission *s = &q->list[q->at];

	s->done = true;
	undo_list(&q->answer.destroyed, s->creation, false);
	return submission_over(q);
}

static enum call_next
undo_write(struct call *c, struct submission_set *q, enum kept_state state,
    enum submission_phase then)
{
	struct kept_change ch = { .arena = &q->arena };

	q->kept.state = state;
	kept_put(&ch, &q->kept);
	return submission_write(c, q, &ch, then);
}

/* The same, unless somebody else has written the row meanwhile: undo_meanwhile. */
static enum call_next
undo_write_unless(struct call *c, struct submission_set *q, enum kept_state state,
    enum submission_phase then)
{
	struct kept_change ch = { .arena = &q->arena };

	q->kept.state = state;
	kept_put(&ch, &q->kept);
	return submission_write_unless(c, q, &ch, then);
}

/* Then it is looked at again. */
static bool
undo_meanwhile(struct submission_set *q)
{
	return q->code == STORE_CANNOT && ++q->tries < TRIES;
}

static enum call_next
undo_away(struct submission_set *q)
{
	return submission_refuse(q, "serverFail", NULL, "the store does not take it now");
}

/* ---- an update ------------------------------------------------------------------------------------------- */

/* What the update wants: *status is "canceled", or it wants nothing.  NULL, or the property that is wrong. */
static const char *
undo_wants(struct call *c, const struct submission_set *q, struct slice *status)
{
	struct json_walk w = { 0 };

	*status = slice(NULL, 0);
	while (json_next(q->list[q->at].v, &w)) {
		if (!slice_eq(w.name, S("undoStatus")))
			return arena_cstr(&c->arena, w.name);
		*status = json_text(w.value);
		if (!status->p)
			return "undoStatus";
	}
	return NULL;
}

static enum call_next
undo_begin(struct call *c, struct submission_set *q, const struct kept_list *l)
{
	const char *is = kept_undo_status(l, &q->kept), *wrong;
	struct slice want;

	if (!json_is(q->list[q->at].v, JSON_KIND_OBJECT))
		return submission_refuse(q, "invalidPatch", NULL, "no object");
	wrong = undo_wants(c, q, &want);
	if (wrong)
		return submission_refuse(q, "invalidProperties", wrong,
		    "undoStatus is all that can be changed");
	if (!want.p || slice_eq(want, slice_str(is)))
		return undo_updated(q);
	if (!slice_eq(want, S("canceled")))
		return submission_refuse(q, "invalidProperties", "undoStatus",
		    "it can be set to canceled alone");
	if (strcmp(is, "pending") != 0)
		return submission_refuse(q, "cannotUnsend", NULL, "it has been sent");
	q->marked_before = q->kept.state == KEPT_CANCELLING;
	return undo_write_unless(c, q, KEPT_CANCELLING, SUBMISSION_MARKED);
}

/* The relay has answered. */
static enum call_next
undo_taken_back(struct call *c, struct submission_set *q)
{
	if (q->back.kind == OK || (q->back.kind == PERM && q->marked_before))
		return undo_write(c, q, KEPT_CANCELED, SUBMISSION_TOLD);
	if (q->back.kind == PERM)
		return undo_write_unless(c, q, KEPT_SENT, SUBMISSION_TOLD);
	return submission_refuse(q, "serverFail", NULL, q->back.text);
}

static enum call_next
undo_told(struct submission_set *q)
{
	if (q->kept.state == KEPT_SENT)
		return submission_refuse(q, "cannotUnsend", NULL, "it has been sent");
	return q->code == STORE_DONE ? undo_updated(q) : undo_away(q);
}

/* ---- the next step ----------------------------------------------------------------------------------------- */

static enum call_next
undo_find(struct call *c, struct submission_set *q)
{
	struct submission *s = &q->list[q->at];
	struct slice id = call_created(c, s->creation);
	struct store_account a;
	struct kept_list l;
	const struct kept *k;
	int rc;

	arena_reset(&q->arena);
	rc = kept_load(c, true, &q->arena, &l, &a);
	if (rc < 0)
		return call_failed(c, rc);
	k = kept_find(&l, id);
	if (!k)
		return submission_refuse(q, "notFound", NULL, NULL);
	q->kept = *k;
	s->email = k->email;
	memcpy(s->id, k->id, sizeof(s->id));
	if (s->kind == SUBMISSION_DESTROY)
		return undo_write(c, q, KEPT_GONE, SUBMISSION_TOLD);
	if (set_destroys(&q->args, s->creation))
		return submission_refuse(q, "willDestroy", NULL, NULL);
	return undo_begin(c, q, &l);
}

enum call_next
submission_undo_go(struct call *c, struct submission_set *q)
{
	switch (q->phase) {
	case SUBMISSION_BEGIN:
	case SUBMISSION_READY:
	case SUBMISSION_SENT:
	case SUBMISSION_KEPT: break;
	case SUBMISSION_MARKED:
		if (undo_meanwhile(q))
			break;
		return q->code == STORE_DONE ? submission_take_back(c, q, SUBMISSION_BACK) :
					       undo_away(q);
	case SUBMISSION_BACK: return undo_taken_back(c, q);
	case SUBMISSION_TOLD:
		if (q->list[q->at].kind == SUBMISSION_UPDATE)
			return undo_meanwhile(q) ? undo_find(c, q) : undo_told(q);
		return q->code == STORE_DONE ? undo_destroyed(q) : undo_away(q);
	}
	return undo_find(c, q);
}
