/* jmapd/sieve-set.c: SieveScript/set (RFC 9661 2.4): scripts made, changed, removed, and which one is active.
 *
 *	entry -> { item: its octets -> compiled -> the change in the directory }* -> active? -> entry again -> answer
 *
 * Each item is one change of the entry, in the person's name, decided on the entry as it is then (rules/rules.h); so
 * one that fails leaves the others.  Can fail: the directory, before a change or behind it, which is
 * serverPartialFail.  Must stay true: ifInState is asserted with the first change; no script with an error is stored;
 * none is activated after a refusal; the answer names every script whose isActive is another one now. */
#include "base/log.h"
#include "base/random.h"
#include "managesieve/text.h"
#include "set.h"
#include "sieve.h"

enum set_step { STEP_CREATE, STEP_UPDATE, STEP_DESTROY, STEP_ACTIVE, STEP_AGAIN, STEP_ANSWER };

/* What was done, until the answer tells of it. */
struct script_done {
	struct script_done *next;
	bool created;
	struct slice key;  /* the creation id */
	struct slice id;   /* as clients know it */
	struct slice name; /* that we have given; p NULL: none */
	struct slice blob; /* another one than the client knows; p NULL: the same */
	bool turned, active;
};

struct script_set {
	struct scripts s;
	struct set_args args;
	struct set_answer answer;
	enum set_step step;
	struct json_walk walk;
	size_t at;             /* of what is to be destroyed */
	struct slice expected; /* entryCSN of the next change; p NULL: any */
	struct slice old_state;
	struct slice activate; /* p NULL: nothing */
	bool deactivate, begun, sent, changed;
	/* the item in hand */
	bool in_hand;
	struct slice key, blob, made;
	struct rules_change change;
	struct script_done *done, **last;
};

/* ---- what is said of an item ----------------------------------------------------------------------------- */

static struct buf *
set_refused(struct script_set *q)
{
	return q->step == STEP_CREATE ? &q->answer.not_created :
	    q->step == STEP_UPDATE    ? &q->answer.not_updated :
					&q->answer.not_destroyed;
}

static void
item_over(struct script_set *q)
{
	script_text_fini(&q->s.text);
	q->in_hand = false;
	q->blob = slice(NULL, 0);
}

static void
item_refuse(struct script_set *q, const char *type, const char *property, const char *why)
{
	set_refuse(set_refused(q), q->key, type, property, why);
	item_over(q);
}

static struct script_done *
done_new(struct call *c, struct script_set *q, struct slice id)
{
	struct script_done *d = arena_new(&c->arena, sizeof(*d));

	d->id = id;
	*q->last = d;
	q->last = &d->next;
	return d;
}

/* ---- an item, as it is asked for ---------------------------------------------------------------------------- */

static const struct script *
set_find(const struct script_set *q, struct slice id)
{
	for (size_t i = 0; i < q->s.n; i++)
		if (slice_eq(q->s.v[i].id, id))
			return &q->s.v[i];
	return NULL;
}

/* One property; false: the item is refused. */
static bool
item_property(struct script_set *q, const struct script *was, struct slice name,
    const struct json_t *value)
{
	struct slice text = json_text(value);
	bool active = false;

	if (slice_eq(name, S("name"))) {
		if (json_none(value) && !was)
			return true;
		q->change.to = text;
		if (text.p && managesieve_name_ok(text))
			return true;
		item_refuse(q, "invalidProperties", "name",
		    "1 to 512 octets of UTF-8 without controls");
		return false;
	}
	if (slice_eq(name, S("blobId"))) {
		q->blob = text;
		if (text.p)
			return true;
		item_refuse(q, "invalidProperties", "blobId", "an id is needed");
		return false;
	}
	/* What the server sets may come back as it is (RFC 8620 5.3). */
	if (was && slice_eq(name, S("id")) && slice_eq(text, was->id))
		return true;
	if (slice_eq(name, S("isActive")) && json_get_bool(value, &active) &&
	    active == (was && was->active))
		return true;
	set_refuse(set_refused(q), q->key, "invalidProperties", NULL,
	    "name and blobId can be set; a script is made active by onSuccessActivateScript");
	item_over(q);
	return false;
}

static void
item_create(struct call *c, struct script_set *q, const struct json_t *object)
{
	struct json_walk w = { 0 };
	char id[RULES_ID + 1];

	q->in_hand = true;
	q->change = (struct rules_change){ .verb = RULES_CREATE };
	while (json_next(object, &w))
		if (!item_property(q, NULL, w.name, w.value))
			return;
	if (!json_is(object, JSON_KIND_OBJECT) || !q->blob.p) {
		item_refuse(q, "invalidProperties", "blobId", "an id is needed");
		return;
	}
	q->change.id = arena_slice(&c->arena, slice_str(random_id(id)));
	q->made = slice(NULL, 0);
	if (!q->change.to.p) {
		q->made = slice_str(arena_printf(&c->arena, "script-" SFMT, SARG(q->change.id)));
		q->change.to = q->made;
	}
	q->change.name = q->change.to;
}

static void
item_update(struct script_set *q, const struct json_t *patch)
{
	const struct script *was = set_find(q, q->key);
	struct json_walk w = { 0 };

	q->in_hand = true;
	q->change = (struct rules_change){ .verb = RULES_UPDATE, .id = script_id_parse(q->key) };
	if (!was) {
		item_refuse(q, "notFound", NULL, NULL);
		return;
	}
	if (!json_is(patch, JSON_KIND_OBJECT)) {
		item_refuse(q, "invalidPatch", NULL, "an object is needed");
		return;
	}
	while (json_next(patch, &w))
		if (!item_property(q, was, w.name, w.value))
			return;
}

/* The next item of this step; false: it has none. */
static bool
item_next(struct call *c, struct script_set *q)
{
	if (q->step == STEP_DESTROY) {
		if (q->at == json_count(q->args.destroy))
			return false;
		q->key = json_text(json_at(q->args.destroy, q->at++));
		if (call_created(c, q->key).p)
			q->key = call_created(c, q->key);
		q->change =
		    (struct rules_change){ .verb = RULES_DELETE, .id = script_id_parse(q->key) };
		q->in_hand = true;
		if (!q->change.id.n)
			item_refuse(q, "notFound", NULL, NULL);
		return true;
	}
	if (!json_next(q->step == STEP_CREATE ? q->args.create : q->args.update, &q->walk))
		return false;
	q->key = q->walk.name;
	if (q->step == STEP_CREATE) {
		item_create(c, q, q->walk.value);
		return true;
	}
	if (call_created(c, q->key).p)
		q->key = call_created(c, q->key);
	item_update(q, q->walk.value);
	return true;
}

/* ---- a change ------------------------------------------------------------------------------------------------- */

static void
item_exists(struct call *c, struct script_set *q, const struct rules_answer *a)
{
	const struct rules_script *other = rules_find(&a->scripts, q->change.to);
	struct buf *list = set_refused(q);

	set_refuse(list, q->key, "alreadyExists", NULL, "a script has that name");
	if (other) {
		list->n--; /* the brace */
		json_put_str(list, "existingId", script_id(&c->arena, other->id));
		buf_char(list, '}');
	}
	item_over(q);
}

static void
item_done(struct call *c, struct script_set *q)
{
	struct slice id = script_id(&c->arena, q->change.id);
	struct script_done *d;

	q->changed = true;
	metric_add(M_SCRIPTS_CHANGED, 1);
	log_event(LOG_INFO, "jmap_script", "sid=%s user=%s verb=%s id=%s", c->s->sid,
	    call_user(c)->account,
	    q->step == STEP_CREATE     ? "create" :
		q->step == STEP_UPDATE ? "update" :
					 "destroy",
	    log_value(id));
	if (q->step == STEP_DESTROY) {
		json_element(&q->answer.destroyed);
		json_str(&q->answer.destroyed, id);
		item_over(q);
		return;
	}
	d = done_new(c, q, id);
	d->created = q->step == STEP_CREATE;
	d->key = q->key;
	d->name = d->created ? q->made : d->name;
	if (q->blob.p)
		d->blob = script_blob_id(&c->arena, q->change.id, q->change.text);
	if (d->created)
		call_create(c, q->key, id);
	item_over(q);
}

/* The call fails; what was done before is not taken back. */
static void
set_failed(struct call *c, struct script_set *q, const struct rules_answer *a)
{
	scripts_fail(c, a, "serverPartialFail");
	if (a->outcome == RULES_STALE) {
		q->s.error = "stateMismatch";
		q->s.why = NULL;
	}
}

static void
item_changed(void *arg, const struct rules_answer *a)
{
	struct call *c = arg;
	struct script_set *q = c->data;

	log_context(c->s->sid);
	q->sent = false;
	switch (a->outcome) {
	case RULES_DONE: item_done(c, q); break;
	case RULES_NONE: item_refuse(q, "notFound", NULL, NULL); break;
	case RULES_EXISTS: item_exists(c, q, a); break;
	case RULES_ACTIVE: item_refuse(q, "sieveIsActive", NULL, "it is active"); break;
	case RULES_LARGE: item_refuse(q, "tooLarge", NULL, "larger than maxSizeScript"); break;
	case RULES_MANY: item_refuse(q, "overQuota", NULL, "there are maxNumberScripts"); break;
	case RULES_FULL:
		item_refuse(q, "overQuota", NULL, "all scripts together would be too large");
		break;
	case RULES_DENIED:
		scripts_fail(c, a, "serverFail");
		q->s.error = NULL;
		item_refuse(q, "forbidden", NULL, "the directory does not take the change");
		break;
	case RULES_STALE:
	case RULES_AWAY: set_failed(c, q, a); break;
	}
	q->expected = slice(NULL, 0);
	call_resume(c, CALL_AGAIN);
}

static enum call_next
set_change(struct call *c, struct script_set *q, rules_done done)
{
	q->change.csn = q->expected;
	q->sent = true;
	rules_change_start(jmapd.rules, &q->s.person, &q->change, call_op(c), done, c);
	return CALL_WAIT;
}

static enum call_next
item_go(struct call *c, struct script_set *q)
{
	enum call_next next;

	if (q->blob.p) {
		next = script_text_go(c, q->blob);
		if (next != CALL_DONE)
			return next;
		if (q->s.text.type) {
			item_refuse(q, q->s.text.type, NULL, q->s.text.why);
			return CALL_AGAIN;
		}
		q->change.text = buf_get(&q->s.text.octets);
		if (!q->change.text.p) /* an empty one is a text, too */
			q->change.text = S("");
	}
	return set_change(c, q, item_changed);
}

/* ---- which is active --------------------------------------------------------------------------------------------- */

static void
done_turned(struct call *c, struct script_set *q, struct slice id, bool active)
{
	struct script_done *d = q->done;

	while (d && !slice_eq(d->id, id))
		d = d->next;
	if (!d)
		d = done_new(c, q, id);
	d->turned = true;
	d->active = active;
}

static void
set_activated(void *arg, const struct rules_answer *a)
{
	struct call *c = arg;
	struct script_set *q = c->data;

	log_context(c->s->sid);
	q->sent = false;
	q->expected = slice(NULL, 0);
	for (size_t i = 0; a->outcome == RULES_DONE && i < a->scripts.n; i++) {
		const struct rules_script *r = &a->scripts.v[i];
		bool active = q->change.id.n && slice_eq(r->id, q->change.id);

		if (r->active != active)
			done_turned(c, q, script_id(&c->arena, r->id), active);
	}
	if (a->outcome == RULES_DONE) {
		q->changed = true;
		metric_add(M_SCRIPTS_CHANGED, 1);
		log_event(LOG_INFO, "jmap_script", "sid=%s user=%s verb=%s id=%s", c->s->sid,
		    call_user(c)->account, q->change.id.n ? "activate" : "deactivate",
		    q->change.id.n ? log_value(script_id(&c->arena, q->change.id)) : "");
	} else if (a->outcome != RULES_NONE) { /* that one is passed over (2.4) */
		set_failed(c, q, a);
	}
	call_resume(c, CALL_AGAIN);
}

/* "If and only if all of the creations, modifications, and destructions (if any) succeed" */
static enum call_next
set_activate(struct call *c, struct script_set *q)
{
	struct slice id = q->activate.p ? call_created(c, q->activate) : S("");

	q->step = STEP_AGAIN;
	if (q->answer.not_created.n || q->answer.not_updated.n || q->answer.not_destroyed.n)
		return CALL_AGAIN;
	id = id.p ? script_id_parse(id) : S("");
	if (!id.n && !q->deactivate)
		return CALL_AGAIN;
	q->change = (struct rules_change){ .verb = RULES_ACTIVATE, .id = id };
	return set_change(c, q, set_activated);
}

/* ---- the answer ---------------------------------------------------------------------------------------------------- */

static void
done_write(struct script_set *q, const struct script_done *d)
{
	struct buf *b = d->created ? &q->answer.created : &q->answer.updated;

	json_member(b, d->created ? d->key : d->id);
	if (!d->created && !d->turned && !d->blob.p) {
		buf_lit(b, "null");
		return;
	}
	buf_char(b, '{');
	if (d->created)
		json_put_str(b, "id", d->id);
	if (d->name.p)
		json_put_str(b, "name", d->name);
	if (d->blob.p)
		json_put_str(b, "blobId", d->blob);
	if (d->created || d->turned)
		json_put_bool(b, "isActive", d->active);
	buf_char(b, '}');
}

static enum call_next
set_answer(struct call *c, struct script_set *q)
{
	for (const struct script_done *d = q->done; d; d = d->next)
		done_write(q, d);
	call_answer(c);
	call_put_account(c);
	json_put_str(call_out(c), "oldState", q->old_state);
	json_put_str(call_out(c), "newState", q->s.csn);
	return set_answer_lists(c, &q->answer);
}

/* ---- the call -------------------------------------------------------------------------------------------------------- */

static enum call_next
script_set_start(struct call *c)
{
	struct script_set *q = c->data;
	enum call_next next;

	q->last = &q->done;
	if (!scripts_served(c, &next) || !set_args_read(c, &q->args, &next))
		return next;
	if (!call_str(c, "ifInState", &q->expected))
		return call_invalid(c, "ifInState: a string, or null");
	if (!call_str(c, "onSuccessActivateScript", &q->activate))
		return call_invalid(c, "onSuccessActivateScript: an id, or null");
	if (!call_bool(c, "onSuccessDeactivateScript", &q->deactivate))
		return call_invalid(c, "onSuccessDeactivateScript: a boolean, or null");
	return scripts_start(c);
}

static enum call_next
set_step(struct call *c, struct script_set *q)
{
	switch (q->step) {
	case STEP_CREATE:
	case STEP_UPDATE:
	case STEP_DESTROY:
		if (!q->in_hand && !item_next(c, q)) {
			q->walk = (struct json_walk){ 0 };
			q->step++;
		}
		return q->in_hand ? item_go(c, q) : CALL_AGAIN;
	case STEP_ACTIVE: return set_activate(c, q);
	case STEP_AGAIN: q->step = STEP_ANSWER; return q->changed ? scripts_read(c) : CALL_AGAIN;
	case STEP_ANSWER: break;
	}
	return set_answer(c, q);
}

static enum call_next
script_set_go(struct call *c)
{
	struct script_set *q = c->data;
	enum call_next next = CALL_AGAIN;

	if (q->s.error && q->changed && !slice_eq(slice_str(q->s.error), S("stateMismatch")))
		return call_error(c, "serverPartialFail", q->s.why);
	if (q->s.error)
		return call_error(c, q->s.error, q->s.why);
	if (!q->begun) {
		q->begun = true;
		q->old_state = q->s.csn;
		if (q->expected.p && !slice_eq(q->expected, q->s.csn))
			return call_error(c, "stateMismatch", NULL);
	}
	while (next == CALL_AGAIN && !call_spent(c))
		next = set_step(c, q);
	return next;
}

/* A change whose answer nobody waits for goes on, and is told (rules/store.c). */
static void
script_set_undo(struct call *c)
{
	struct script_set *q = c->data;

	scripts_fini(&q->s);
	set_answer_fini(&q->answer);
}

const struct jmapd_method script_set = { "SieveScript/set", JMAP_SIEVE, sizeof(struct script_set),
	script_set_start, script_set_go, script_set_undo };
