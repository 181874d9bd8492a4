/* jmapd/settings.c: Settings/get and Settings/set: what a web client keeps for its user, in a capability of our own,
 * urn:tiermail:params:jmap:settings; jmapd(8), Settings.
 *
 * One object for an account, `singleton` (as RFC 8621 8 has for the vacation), whose `value` is any JSON object of
 * SETTINGS_MOST octets: what is in it is the client's.  It is an annotation of the user's that IMAP does not show, so
 * it moves, and is backed up, with the account.  Two clients that change it at a time are told apart by ifInState. */
#include <errno.h>
#include "base/mem.h"
#include "jmap/patch.h"
#include "methods.h"
#include "set.h"
#include "store/annot.h"

#define SETTINGS_ENTRY "/tiermail/settings"
#define SETTINGS_MOST  16384
#define SETTINGS_ID    "singleton"

static const struct json_bounds settings_bounds = { 2 * SETTINGS_MOST, 40, SETTINGS_MOST };

/* The value as it is kept, {} when there is none, into `out`.  0 and *modseq, or -errno. */
static int
settings_read(struct call *c, struct buf *out, uint64_t *modseq)
{
	struct store_account account;
	struct store_annot a;
	int rc = call_begin(c, &account);

	if (rc < 0)
		return rc;
	*modseq = account.modseq;
	rc = store_annot_find(call_view(c), account.id, 0, slice_str(call_user(c)->account),
	    S(SETTINGS_ENTRY), &a);
	if (rc == 0 && !a.gone)
		buf_slice(out, a.value);
	else if (rc == 0 || rc == -ENOENT)
		buf_lit(out, "{}");
	store_end(call_view(c));
	return rc == -ENOENT ? 0 : rc;
}

/* ---- Settings/get -------------------------------------------------------------------------------------- */

static enum call_next
settings_get_start(struct call *c)
{
	static const char *const properties[] = { "id", "value", NULL };
	struct call_ids ids;
	struct buf value = { 0 };
	uint64_t want, modseq = 0;
	bool *missing, found;
	enum call_next next;
	int rc;

	if (!call_account(c, &next) || !call_ids(c, &ids, &next) ||
	    !call_properties(c, properties, &want, &next))
		return next;
	rc = settings_read(c, &value, &modseq);
	if (rc < 0) {
		buf_fini(&value);
		return call_failed(c, rc);
	}
	missing = arena_array(&c->arena, ids.n + 1, sizeof(*missing));
	found = !ids.list;
	for (size_t i = 0; i < ids.n; i++) {
		missing[i] = !slice_eq(ids.list[i], S(SETTINGS_ID));
		found = found || !missing[i];
	}
	call_answer(c);
	call_put_account(c);
	call_put_state(c, "state", modseq);
	json_put_array(call_out(c), "list");
	if (found) {
		buf_lit(call_out(c), "{\"id\":\"" SETTINGS_ID "\"");
		if (want & 2) {
			json_key(call_out(c), "value");
			buf_slice(call_out(c), buf_get(&value));
		}
		buf_char(call_out(c), '}');
	}
	buf_char(call_out(c), ']');
	buf_fini(&value);
	call_put_not_found(c, &ids, missing);
	return call_end(c);
}

const struct jmapd_method settings_get = { "Settings/get", JMAP_SETTINGS, 0, settings_get_start,
	NULL, NULL };

/* ---- Settings/set -------------------------------------------------------------------------------------- */

struct settings_set {
	struct set_args args;
	struct set_answer answer;
	struct slice id; /* of the update; p NULL: there is none that is good */
	struct buf value;
	bool asked;
};

/* The object that the patch makes of what is kept: its value, as text.  NULL, or what is wrong. */
static const char *
settings_patch(struct call *c, const struct json_t *patch, const struct buf *kept,
    struct buf *value)
{
	struct buf text = { 0 }, patched = { 0 };
	struct json_t *object = NULL, *made = NULL;
	struct jmap_patch p;
	const char *why = NULL;

	buf_printf(&text, "{\"value\":" SFMT "}", SARG(buf_get(kept)));
	if (json_read(buf_get(&text), &settings_bounds, &object, &why) == 0 &&
	    jmap_patch_read(&p, patch, &c->arena, &why) == 0 &&
	    jmap_patch_apply(&p, object, &patched, &why) == 0 &&
	    json_read(buf_get(&patched), &settings_bounds, &made, &why) == 0) {
		const struct json_t *v = json_find(made, S("value"));

		why = NULL;
		if (!json_is(v, JSON_KIND_OBJECT) || json_count(made) != 1)
			why = "value: an object, and nothing else";
		else
			json_write(value, v);
		if (value->n > SETTINGS_MOST)
			why = "value: more than 16384 octets";
	}
	why = why ? arena_str(&c->arena, why) : NULL;
	json_free(&object);
	json_free(&made);
	buf_fini(&text);
	buf_fini(&patched);
	return why;
}

static void
settings_set_done(void *arg, const struct store_reply *r)
{
	struct call *c = arg;
	struct settings_set *q = c->data;

	if (r->code == STORE_DONE) {
		json_str(&q->answer.updated, q->id);
		buf_lit(&q->answer.updated, ":null");
	} else {
		set_refuse(&q->answer.not_updated, q->id, set_error_of(r->code), NULL,
		    r->verdict.text);
	}
	call_resume(c, CALL_AGAIN);
}

/* There is one object: it is neither made nor destroyed. */
static void
settings_refuse(struct settings_set *q)
{
	struct json_walk w = { 0 };

	while (json_next(q->args.create, &w))
		set_refuse(&q->answer.not_created, w.name, "singleton", NULL, NULL);
	for (size_t i = 0; i < json_count(q->args.destroy); i++)
		set_refuse(&q->answer.not_destroyed, json_text(json_at(q->args.destroy, i)),
		    "singleton", NULL, NULL);
}

static enum call_next
settings_set_ask(struct call *c, struct settings_set *q)
{
	struct store_annotation a = { .name = S(SETTINGS_ENTRY), .value = buf_get(&q->value) };

	q->asked = true;
	store_annotate_start(jmapd.store, call_user(c)->id, 0, &a, 1, call_op(c), settings_set_done,
	    c);
	return CALL_WAIT;
}

static enum call_next
settings_set_start(struct call *c)
{
	struct settings_set *q = c->data;
	struct buf kept = { 0 };
	struct json_walk w = { 0 };
	enum call_next next;
	int rc;

	if (!call_account(c, &next) || !set_args_read(c, &q->args, &next))
		return next;
	rc = settings_read(c, &kept, &q->answer.old_state);
	if (rc < 0 || !call_if_in_state(c, q->answer.old_state, &next)) {
		buf_fini(&kept);
		return rc < 0 ? call_failed(c, rc) : next;
	}
	settings_refuse(q);
	while (json_next(q->args.update, &w)) {
		const char *why = NULL;

		if (!slice_eq(w.name, S(SETTINGS_ID)))
			set_refuse(&q->answer.not_updated, w.name, "notFound", NULL, NULL);
		else if ((why = settings_patch(c, w.value, &kept, &q->value)))
			set_refuse(&q->answer.not_updated, w.name, "invalidProperties", "value",
			    why);
		else
			q->id = w.name;
	}
	buf_fini(&kept);
	return q->id.p ? settings_set_ask(c, q) : CALL_AGAIN;
}

static enum call_next
settings_set_go(struct call *c)
{
	struct settings_set *q = c->data;
	struct store_account a;
	int rc = call_begin(c, &a);

	if (rc < 0)
		return call_failed(c, rc);
	store_end(call_view(c));
	return set_answer_write(c, &q->answer, a.modseq);
}

static void
settings_set_undo(struct call *c)
{
	struct settings_set *q = c->data;

	set_answer_fini(&q->answer);
	buf_fini(&q->value);
}

const struct jmapd_method settings_set = { "Settings/set", JMAP_SETTINGS,
	sizeof(struct settings_set), settings_set_start, settings_set_go, settings_set_undo };
