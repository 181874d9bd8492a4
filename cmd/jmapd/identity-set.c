/* jmapd/identity-set.c: Identity/set (RFC 8621 6.3), and where it is kept what a person says of an identity: name,
 * replyTo, bcc and signatures.
 *
 * The addresses are the directory's, and nobody adds or removes one here.  The rest is one private annotation of
 * the account (store/annot.h), an object with a member for each identity, which IMAP's clients neither see nor
 * set; stored keeps it with the account, also where that moves.  Who changes it at the same time as another wins:
 * a client that minds says ifInState.  Must stay true: what is kept has been checked, and an object that cannot
 * be read counts as none. */
#include "identity.h"

#include <errno.h>

#include "base/log.h"
#include "jmap/compose-field.h"
#include "jmap/patch.h"
#include "set.h"

#define IDENTITY_ENTRY     STORE_ANNOT_SECRET "identities"
#define IDENTITY_NAME      1000         /* octets */
#define IDENTITY_SIGNATURE (128 * 1024) /* the same */

static const struct json_bounds identity_bounds = { STORE_ANNOT_VALUE_MAX, 16, 20000 };

/* ---- what is kept ------------------------------------------------------------------------------------------- */

int
identities_read(struct call *c, struct identities *ids)
{
	struct store_account a;
	struct store_annot row;
	const char *why;
	int rc = call_begin(c, &a);

	if (rc < 0)
		return rc;
	ids->read = true;
	rc = store_annot_find(call_view(c), a.id, 0, slice_str(call_user(c)->account),
	    S(IDENTITY_ENTRY), &row);
	if (rc == 0 && !row.gone && json_read(row.value, &identity_bounds, &ids->kept, &why) < 0)
		log_event(LOG_ERROR, "jmap_identities", "user=%s why=%s",
		    log_str(call_user(c)->account), log_str(why));
	store_end(call_view(c));
	return 0;
}

/* ---- a change ------------------------------------------------------------------------------------------------- */

struct identity_set {
	struct identities identities;
	struct set_args args;
	struct set_answer answer;
	struct buf kept; /* what is to be kept */
	bool asked;
	enum store_code code;
	struct arena scratch;
};

/* The property that is wrong in the patched object, or NULL. */
static const char *
identity_wrong(const struct json_t *v, const struct json_t *was, struct arena *a)
{
	static const char *const texts[] = { "name", "textSignature", "htmlSignature" };
	static const char *const lists[] = { "replyTo", "bcc" };
	static const char *const fixed[] = { "id", "email", "mayDelete" };
	struct jmap_field field = { .name = S("X"), .form = JMAP_FORM_ADDRESSES };
	struct json_walk w = { 0 };
	struct buf scratch = { 0 };
	const char *wrong = NULL, *why;
	struct slice s;

	while (json_next(v, &w))
		if (!json_find(was, w.name))
			return arena_cstr(a, w.name);
	for (size_t i = 0; i < NELEM(fixed); i++)
		if (!json_same(json_find(v, slice_str(fixed[i])),
			json_find(was, slice_str(fixed[i]))))
			return fixed[i];
	for (size_t i = 0; i < NELEM(texts); i++) {
		const struct json_t *text = json_find(v, slice_str(texts[i]));

		if (!json_none(text) &&
		    (!json_get_str(text, &s) || s.n > (i ? IDENTITY_SIGNATURE : IDENTITY_NAME)))
			return texts[i];
	}
	for (size_t i = 0; i < NELEM(lists) && !wrong; i++) {
		buf_clear(&scratch);
		if (jmap_field_write(&scratch, &field, json_find(v, slice_str(lists[i])), &why) < 0)
			wrong = lists[i];
	}
	buf_fini(&scratch);
	return wrong;
}

/* Appends what is kept of an object. */
static void
identity_keep(struct buf *b, struct slice id, const struct json_t *v)
{
	static const char *const names[] = { "name", "replyTo", "bcc", "textSignature",
		"htmlSignature" };

	json_member(b, id);
	buf_char(b, '{');
	for (size_t i = 0; i < NELEM(names); i++) {
		const struct json_t *value = json_find(v, slice_str(names[i]));

		if (json_none(value))
			continue;
		json_key(b, names[i]);
		json_write(b, value);
	}
	buf_char(b, '}');
}

/* The object as it is, patched and checked; appended to what is kept when it is good. */
static void
identity_update(struct call *c, struct identity_set *q, struct slice id, const struct json_t *patch)
{
	struct slice email = identity_find(&q->identities, id);
	struct buf text = { 0 }, patched = { 0 };
	struct json_t *was = NULL, *v = NULL;
	struct jmap_patch p;
	const char *why = NULL, *wrong;

	if (!email.p) {
		set_refuse(&q->answer.not_updated, id, "notFound", NULL, NULL);
		return;
	}
	identity_put(&text, &q->identities, email, UINT64_MAX);
	if (json_read(buf_get(&text), &identity_bounds, &was, &why) < 0 ||
	    jmap_patch_read(&p, patch, &q->scratch, &why) < 0 ||
	    jmap_patch_apply(&p, was, &patched, &why) < 0 ||
	    json_read(buf_get(&patched), &identity_bounds, &v, &why) < 0) {
		set_refuse(&q->answer.not_updated, id, "invalidPatch", NULL, why);
	} else if ((wrong = identity_wrong(v, was, &c->arena))) {
		set_refuse(&q->answer.not_updated, id, "invalidProperties", wrong, NULL);
	} else {
		identity_keep(&q->kept, id, v);
		if (q->answer.updated.n)
			buf_char(&q->answer.updated, ',');
		json_str(&q->answer.updated, id);
		buf_lit(&q->answer.updated, ":null");
	}
	json_free(&was);
	json_free(&v);
	buf_fini(&text);
	buf_fini(&patched);
	arena_reset(&q->scratch);
}

static void
identity_set_read(struct call *c, struct identity_set *q)
{
	struct json_walk w = { 0 }, u = { 0 }, k = { 0 };

	while (json_next(q->args.create, &w))
		set_refuse(&q->answer.not_created, w.name, "forbidden", NULL,
		    "addresses are the administrator's to give");
	for (size_t i = 0; i < json_count(q->args.destroy); i++) {
		struct slice id = json_text(json_at(q->args.destroy, i));

		set_refuse(&q->answer.not_destroyed, id,
		    identity_find(&q->identities, id).p ? "forbidden" : "notFound", NULL, NULL);
	}
	buf_char(&q->kept, '{');
	while (json_next(q->args.update, &u))
		identity_update(c, q, u.name, u.value);
	while (json_next(q->identities.kept, &k)) /* of the others */
		if (!json_find(q->args.update, k.name))
			identity_keep(&q->kept, k.name, k.value);
	buf_char(&q->kept, '}');
}

static void
identity_set_done(void *arg, const struct store_reply *r)
{
	struct call *c = arg;
	struct identity_set *q = c->data;

	log_context(c->s->sid);
	q->code = r->code;
	call_resume(c, CALL_AGAIN);
}

/* ---- the answer ---------------------------------------------------------------------------------------------------- */

static void
identity_set_list(struct call *c, const char *name, const struct buf *inside)
{
	json_put_object(call_out(c), name);
	buf_slice(call_out(c), buf_get(inside));
	buf_char(call_out(c), '}');
}

static enum call_next
identity_set_answer(struct call *c, struct identity_set *q)
{
	struct identities *ids = &q->identities;
	struct buf old = { 0 };
	int rc;

	identity_state_write(&old, ids);
	if (q->asked) {
		json_free(&ids->kept);
		rc = identities_read(c, ids);
		if (rc < 0) {
			buf_fini(&old);
			return call_failed(c, rc);
		}
	}
	call_answer(c);
	call_put_account(c);
	json_put_str(call_out(c), "oldState", buf_get(&old));
	buf_clear(&old);
	identity_state_write(&old, ids);
	json_put_str(call_out(c), "newState", buf_get(&old));
	buf_fini(&old);
	identity_set_list(c, "updated", &q->answer.updated);
	identity_set_list(c, "notCreated", &q->answer.not_created);
	identity_set_list(c, "notUpdated", &q->answer.not_updated);
	identity_set_list(c, "notDestroyed", &q->answer.not_destroyed);
	return call_end(c);
}

static bool
identity_in_state(struct call *c, const struct identities *ids, enum call_next *next)
{
	struct slice want = { NULL, 0 };
	struct buf state = { 0 };
	bool same;

	if (!call_str(c, "ifInState", &want)) {
		*next = call_invalid(c, "ifInState: a string, or null");
		return false;
	}
	identity_state_write(&state, ids);
	same = !want.p || slice_eq(want, buf_get(&state));
	buf_fini(&state);
	if (!same)
		*next = call_error(c, "stateMismatch", NULL);
	return same;
}

static enum call_next
identity_set_start(struct call *c)
{
	struct identity_set *q = c->data;
	enum call_next next;

	return call_account(c, &next) && set_args_read(c, &q->args, &next) ? CALL_AGAIN : next;
}

static enum call_next
identity_set_go(struct call *c)
{
	struct identity_set *q = c->data;
	struct store_annotation row = { .name = S(IDENTITY_ENTRY) };
	enum call_next next;

	if (!identities_ready(c, &next))
		return next;
	if (q->asked && q->code == STORE_DONE)
		return identity_set_answer(c, q);
	if (q->asked)
		return call_error(c, "serverFail", "the store does not take it now");
	if (!identity_in_state(c, &q->identities, &next))
		return next;
	identity_set_read(c, q);
	if (q->answer.updated.n == 0)
		return identity_set_answer(c, q);
	if (q->kept.n > STORE_ANNOT_VALUE_MAX)
		return call_error(c, "requestTooLarge", "signatures are too long together");
	q->asked = true;
	row.value = buf_get(&q->kept);
	store_annotate_start(jmapd.store, call_user(c)->id, 0, &row, 1, call_op(c),
	    identity_set_done, c);
	return CALL_WAIT;
}

static void
identity_set_undo(struct call *c)
{
	struct identity_set *q = c->data;

	json_free(&q->identities.kept);
	set_answer_fini(&q->answer);
	buf_fini(&q->kept);
	arena_reset(&q->scratch);
}

const struct jmapd_method identity_set = { "Identity/set", JMAP_SUBMISSION,
	sizeof(struct identity_set), identity_set_start, identity_set_go, identity_set_undo };
