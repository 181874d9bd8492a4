/* jmapd/call.c: what methods share: arguments, answers, errors, states.
 *
 * Called by methods; owns nothing but the places of answers in the request's output.  Must stay true: a
 * call gives one answer at least, and one that fails leaves nothing of what it had written. */
#include <errno.h>
#include "base/log.h"
#include "base/mem.h"
#include "api.h"

struct buf *
call_out(struct call *c)
{
	return &c->api->out;
}

bool
call_full(const struct call *c)
{
	return c->api->out.n > (size_t)config.response;
}

/* ---- answers ---------------------------------------------------------------------------------------- */

void
call_answer_as(struct call *c, struct slice name)
{
	struct buf *b = call_out(c);

	json_element(b);
	buf_char(b, '[');
	json_str(b, name);
	buf_char(b, ',');
	c->answering = name;
	c->args_at = b->n;
	buf_char(b, '{');
}

void
call_answer(struct call *c)
{
	call_answer_as(c, c->name);
}

static void
call_close(struct call *c)
{
	struct api *a = c->api;
	struct buf *b = call_out(c);

	buf_char(b, '}');
	if (a->nresults == a->room) {
		a->room = a->room ? 2 * a->room : 16;
		a->given = mem_grow(a->given, a->room, sizeof(*a->given));
	}
	a->given[a->nresults++] = (struct api_result){ .name = c->answering,
		.id = c->id,
		.at = c->args_at,
		.n = b->n - c->args_at };
	c->answers++;
	buf_char(b, ',');
	json_str(b, c->id);
	buf_char(b, ']');
}

enum call_next
call_end(struct call *c)
{
	if (call_full(c))
		return call_error(c, "requestTooLarge", "the answer would be too long");
	call_close(c);
	return CALL_DONE;
}

enum call_next
call_error(struct call *c, const char *type, const char *why)
{
	struct api *a = c->api;

	metric_add(M_CALL_ERRORS, 1);
	log_event(LOG_DEBUG, "jmap_error", "sid=%s call=%s type=%s why=%s", c->s->sid,
	    log_value(c->name), type, log_str(why));
	a->out.n = c->at;
	a->nresults -= c->answers;
	c->answers = 0;
	call_answer_as(c, S("error"));
	json_put_cstr(&a->out, "type", type);
	json_put_cstr(&a->out, "description", why);
	call_close(c);
	return CALL_DONE;
}

enum call_next
call_invalid(struct call *c, const char *why)
{
	return call_error(c, "invalidArguments", why);
}

enum call_next
call_failed(struct call *c, int error)
{
	log_event(LOG_ERROR, "jmap_failed", "sid=%s call=%s error=%s", c->s->sid,
	    log_value(c->name), log_str(strerror(-error)));
	return call_error(c, "serverUnavailable", "the store cannot be read now");
}

enum call_next
call_go_on_as(struct call *c, const struct jmapd_method *m, struct json_t *args)
{
	if (c->method->undo && c->data)
		c->method->undo(c);
	json_free(&c->own);
	c->own = args;
	c->args = args;
	c->method = m;
	c->name = slice_str(m->name);
	c->data = m->size ? arena_new(&c->arena, m->size) : NULL;
	c->at = call_out(c)->n; /* an error of it leaves what was answered before */
	c->answers = 0;
	c->changes = NULL;
	metric_add(M_CALLS, 1);
	return m->start(c);
}

void
call_own(struct call *c)
{
	const struct jmapd_user *u = call_user(c);

	c->of = (struct call_of){ u->account, u->account_id, u->id, u->home, false };
}

/* ---- arguments -------------------------------------------------------------------------------------- */

/* Whose it is, of the id that the client says. */
static bool
call_account_of(struct call *c, bool guests, enum call_next *next)
{
	struct slice id = json_text(json_find(c->args, S("accountId")));

	if (!id.p) {
		*next = call_invalid(c, "accountId: a string is needed");
		return false;
	}
	call_own(c);
	if (slice_eq(id, slice_str(call_user(c)->account_id)))
		return true;
	if (!shared_find(c->s, id, &c->arena, &c->of))
		*next = call_error(c, "accountNotFound", NULL);
	else if (!guests)
		*next = call_error(c, "accountNotSupportedByMethod", NULL);
	else
		return true;
	call_own(c);
	return false;
}

bool
call_account(struct call *c, enum call_next *next)
{
	return call_account_of(c, false, next);
}

bool
call_account_shared(struct call *c, enum call_next *next)
{
	return call_account_of(c, true, next);
}

bool
call_bool(const struct call *c, const char *name, bool *out)
{
	const struct json_t *v = json_find(c->args, slice_str(name));

	return json_none(v) || json_get_bool(v, out);
}

bool
call_int(const struct call *c, const char *name, int64_t least, int64_t most, int64_t *out)
{
	const struct json_t *v = json_find(c->args, slice_str(name));

	return json_none(v) || json_get_int(v, least, most, out);
}

bool
call_str(const struct call *c, const char *name, struct slice *out)
{
	const struct json_t *v = json_find(c->args, slice_str(name));

	return json_none(v) || json_get_str(v, out);
}

bool
call_ids(struct call *c, struct call_ids *ids, enum call_next *next)
{
	const struct json_t *v = json_find(c->args, S("ids"));
	struct map seen = { 0 };
	size_t n = json_count(v), i;

	*ids = (struct call_ids){ 0 };
	if (json_none(v))
		return true;
	if (n > (size_t)config.get) {
		*next = call_error(c, "requestTooLarge", "more ids than maxObjectsInGet");
		return false;
	}
	ids->list = arena_array(&c->arena, n + 1, sizeof(*ids->list));
	for (i = 0; i < n; i++) {
		struct slice id = json_text(json_at(v, i));

		if (!id.p)
			break;
		/* What this request has made goes by its creation id, too. */
		if (call_created(c, id).p)
			id = call_created(c, id);
		if (!map_put(&seen, id, ids))
			ids->list[ids->n++] = id;
	}
	map_fini(&seen);
	if (i == n && json_is(v, JSON_KIND_ARRAY))
		return true;
	*next = call_invalid(c, "ids: an array of strings, or null");
	return false;
}

void
call_put_not_found(struct call *c, const struct call_ids *ids, const bool *missing)
{
	struct buf *b = call_out(c);

	json_put_array(b, "notFound");
	for (size_t i = 0; i < ids->n; i++)
		if (missing[i]) {
			json_element(b);
			json_str(b, ids->list[i]);
		}
	buf_char(b, ']');
}

bool
call_properties(struct call *c, const char *const *all, uint64_t *bits, enum call_next *next)
{
	const struct json_t *v = json_find(c->args, S("properties"));

	*bits = json_none(v) ? UINT64_MAX : 1;
	if (json_none(v))
		return true;
	for (size_t i = 0; i < json_count(v); i++) {
		struct slice name = json_text(json_at(v, i));
		size_t k = 0;

		while (all[k] && !(name.p && slice_eq(name, slice_str(all[k]))))
			k++;
		if (!all[k]) {
			*next = call_invalid(c, "properties: there is no such property");
			return false;
		}
		*bits |= UINT64_C(1) << k;
	}
	if (json_is(v, JSON_KIND_ARRAY))
		return true;
	*next = call_invalid(c, "properties: an array of strings, or null");
	return false;
}

void
call_put_account(struct call *c)
{
	json_put_cstr(call_out(c), "accountId", c->of.account_id);
}

/* ---- creation ids (RFC 8620 5.3) --------------------------------------------------------------------- */

void
api_create(struct api *a, struct slice creation, struct slice id)
{
	struct created *k = map_get(&a->created, creation);

	if (!k) {
		k = arena_new(&a->arena, sizeof(*k));
		k->creation = arena_slice(&a->arena, creation);
		(void)map_put(&a->created, k->creation, k);
	}
	k->id = arena_slice(&a->arena, id);
}

void
call_create(struct call *c, struct slice creation, struct slice id)
{
	api_create(c->api, creation, id);
}

struct slice
call_created(const struct call *c, struct slice id)
{
	const struct created *k;

	if (id.n == 0 || id.p[0] != '#')
		return id;
	k = map_get(&c->api->created, slice_from(id, 1));
	return k ? k->id : slice(NULL, 0);
}

/* ---- states ------------------------------------------------------------------------------------------- */

int
call_begin(struct call *c, struct store_account *a)
{
	struct store_view *v = call_view(c);
	int rc = c->of.guest ? store_begin_as(v, slice_str(call_user(c)->account)) : store_begin(v);

	if (rc < 0)
		return rc;
	rc = store_find_account(v, slice_str(c->of.name), a);
	if (rc == 0 && c->life && c->life != state_of(a).life)
		rc = -ESTALE;
	if (rc == 0)
		c->life = state_of(a).life;
	else
		store_end(v);
	return rc;
}

/* The id would do, if no partition had ever been taken back to a snapshot, and counted on from there. */
struct jmapd_state
state_of(const struct store_account *a)
{
	return (struct jmapd_state){ a->id ^ (uint64_t)a->created_at << 16, a->modseq };
}

bool
state_eq(struct jmapd_state x, struct jmapd_state y)
{
	return x.life == y.life && x.modseq == y.modseq;
}

void
state_write(struct buf *b, struct jmapd_state s)
{
	buf_u64(b, s.life);
	buf_char(b, '-');
	buf_u64(b, s.modseq);
}

bool
state_parse(struct slice s, struct jmapd_state *state)
{
	struct jmapd_state got;
	struct slice life;

	*state = (struct jmapd_state){ 0, 0 };
	if (!slice_cut(&s, '-', &life) || slice_u64(life, UINT64_MAX, &got.life) < 0 ||
	    slice_u64(s, UINT64_MAX, &got.modseq) < 0)
		return false;
	*state = got;
	return true;
}

uint64_t
call_life(const struct call *c)
{
	return c->of.guest ? c->life ^ call_folders(c)->seen : c->life;
}

void
call_put_state(struct call *c, const char *name, uint64_t modseq)
{
	struct buf *b = call_out(c);

	json_key(b, name);
	buf_char(b, '"');
	state_write(b, (struct jmapd_state){ call_life(c), modseq });
	buf_char(b, '"');
}

bool
call_if_in_state(struct call *c, uint64_t modseq, enum call_next *next)
{
	struct slice want = { NULL, 0 };
	struct jmapd_state v;

	if (!call_str(c, "ifInState", &want)) {
		*next = call_invalid(c, "ifInState: a string, or null");
		return false;
	}
	if (!want.p ||
	    (state_parse(want, &v) && state_eq(v, (struct jmapd_state){ call_life(c), modseq })))
		return true;
	*next = call_error(c, "stateMismatch", NULL);
	return false;
}

struct folders *
call_folders(const struct call *c)
{
	return &c->api->folders;
}
