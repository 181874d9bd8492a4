/* jmapd/sieve.c: SieveScript/get, /query and /validate (RFC 9661 2.3, 2.5, 2.6), and what the set shares with them.
 *
 * Each call reads the person's entry in the person's name, past every cache (rules/rules.h), so the state is that of
 * the entry, and another program's change is seen at once.  Can fail: the directory.  Cost: a person has
 * sieve.scripts scripts, and a query that many times the conditions, of which there are MOST. */
#include "sieve.h"

#include <stdlib.h>

#include "base/casemap.h"
#include "base/log.h"
#include "managesieve/text.h"
#include "window.h"

#define MOST 100 /* conditions and operators of a filter */

static const char *const script_properties[] = { "id", "name", "blobId", "isActive", NULL };
enum { S_NAME = 1, S_BLOB = 2, S_ACTIVE = 3 };

/* ---- ids ----------------------------------------------------------------------------------------------- */

struct slice
script_id(struct arena *a, struct slice id)
{
	return slice_str(arena_printf(a, "S%.*s", (int)id.n, id.p));
}

struct slice
script_id_parse(struct slice id)
{
	return id.n == 1 + RULES_ID && id.p[0] == 'S' ? slice_from(id, 1) : S("");
}

/* FNV-1a: the same text has the same blob in every process. */
struct slice
script_blob_id(struct arena *a, struct slice id, struct slice text)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (uint8_t)text.p[i]) * 1099511628211ULL;
	return slice_str(arena_printf(a, "S%.*s-%016llx", (int)id.n, id.p, (unsigned long long)h));
}

/* ---- what there is ------------------------------------------------------------------------------------- */

bool
scripts_served(struct call *c, enum call_next *next)
{
	if (jmapd.rules)
		return call_account(c, next);
	*next = call_error(c, "unknownMethod", NULL);
	return false;
}

void
scripts_fail(struct call *c, const struct rules_answer *a, const char *error)
{
	struct scripts *s = c->data;

	s->error = a->outcome == RULES_DENIED ? "serverFail" : error;
	s->why = a->outcome == RULES_DENIED ? "the directory does not show the scripts" :
					      "the directory gives no answer";
	log_event(LOG_WARN, "jmap_directory", "sid=%s user=%s why=%s", c->s->sid,
	    call_user(c)->account, log_str(a->why));
}

static void
scripts_got(void *arg, const struct rules_answer *a)
{
	struct call *c = arg;
	struct scripts *s = c->data;

	log_context(c->s->sid);
	if (a->outcome != RULES_DONE) {
		scripts_fail(c, a, "serverUnavailable");
	} else {
		s->csn = arena_slice(&c->arena, a->csn);
		s->n = a->scripts.n;
		s->v = arena_array(&c->arena, s->n + 1, sizeof(*s->v));
		for (size_t i = 0; i < s->n; i++) {
			const struct rules_script *r = &a->scripts.v[i];

			s->v[i] = (struct script){ script_id(&c->arena, r->id),
				arena_slice(&c->arena, r->name),
				script_blob_id(&c->arena, r->id, r->text), r->active };
		}
	}
	call_resume(c, CALL_AGAIN);
}

enum call_next
scripts_read(struct call *c)
{
	struct scripts *s = c->data;

	rules_read_start(jmapd.rules, &s->person, call_op(c), scripts_got, c);
	return CALL_WAIT;
}

static void
scripts_known(void *arg, const struct dir_answer *a)
{
	struct call *c = arg;
	struct scripts *s = c->data;

	log_context(c->s->sid);
	if (a->v.kind == OK && a->user) {
		s->person.dn = arena_slice(&c->arena, a->user->dn);
		s->person.account = slice_str(call_user(c)->account);
		(void)scripts_read(c);
		return;
	}
	s->error = "serverUnavailable";
	s->why = "the directory does not know the account now";
	call_resume(c, CALL_AGAIN);
}

enum call_next
scripts_start(struct call *c)
{
	dir_login_start(jmapd.dir, slice_str(call_user(c)->account), call_op(c), scripts_known, c);
	return CALL_WAIT;
}

void
scripts_fini(struct scripts *s)
{
	script_text_fini(&s->text);
}

/* ---- SieveScript/get ----------------------------------------------------------------------------------- */

struct script_get {
	struct scripts s;
	struct call_ids ids;
	uint64_t want;
};

static enum call_next
script_get_start(struct call *c)
{
	struct script_get *g = c->data;
	enum call_next next;

	if (!scripts_served(c, &next) || !call_ids(c, &g->ids, &next) ||
	    !call_properties(c, script_properties, &g->want, &next))
		return next;
	return scripts_start(c);
}

static void
script_put(struct buf *b, const struct script *s, uint64_t want)
{
	json_element(b);
	buf_char(b, '{');
	json_put_str(b, "id", s->id);
	if (want & 1u << S_NAME)
		json_put_str(b, "name", s->name);
	if (want & 1u << S_BLOB)
		json_put_str(b, "blobId", s->blob);
	if (want & 1u << S_ACTIVE)
		json_put_bool(b, "isActive", s->active);
	buf_char(b, '}');
}

static enum call_next
script_get_go(struct call *c)
{
	struct script_get *g = c->data;
	bool *missing = arena_array(&c->arena, g->ids.n + 1, sizeof(*missing));

	if (g->s.error)
		return call_error(c, g->s.error, g->s.why);
	call_answer(c);
	call_put_account(c);
	json_put_str(call_out(c), "state", g->s.csn);
	json_put_array(call_out(c), "list");
	for (size_t i = 0; i < g->s.n && !g->ids.list; i++)
		script_put(call_out(c), &g->s.v[i], g->want);
	for (size_t k = 0; k < g->ids.n; k++) {
		size_t i = 0;

		while (i < g->s.n && !slice_eq(g->s.v[i].id, g->ids.list[k]))
			i++;
		missing[k] = i == g->s.n;
		if (!missing[k])
			script_put(call_out(c), &g->s.v[i], g->want);
	}
	buf_char(call_out(c), ']');
	call_put_not_found(c, &g->ids, missing);
	return call_end(c);
}

const struct jmapd_method script_get = { "SieveScript/get", JMAP_SIEVE, sizeof(struct script_get),
	script_get_start, script_get_go, NULL };

/* ---- SieveScript/query --------------------------------------------------------------------------------- */

struct script_query {
	struct scripts s;
	struct window window;
	const struct json_t *filter, *sort;
};

/* NULL: it is a filter; else what is wrong with it.  No deeper than a request's JSON may be. */
static const char *
script_filter_check(const struct json_t *f, unsigned *n)
{
	struct json_walk w = { 0 };
	struct slice op = json_text(json_find(f, S("operator")));
	const struct json_t *list = json_find(f, S("conditions"));
	const char *why = NULL;
	bool flag;

	*n += 1 + (unsigned)json_count(f);
	if (!json_is(f, JSON_KIND_OBJECT) || *n > MOST)
		return "filter: an object is needed, of 100 conditions at most";
	if (json_find(f, S("operator"))) {
		if (!(slice_eq(op, S("AND")) || slice_eq(op, S("OR")) || slice_eq(op, S("NOT"))) ||
		    !json_is(list, JSON_KIND_ARRAY))
			return "filter: an operator is AND, OR or NOT, with an array of conditions";
		for (size_t i = 0; i < json_count(list) && !why; i++)
			why = script_filter_check(json_at(list, i), n);
		return why;
	}
	while (json_next(f, &w) && !why)
		if (slice_eq(w.name, S("name")))
			why = json_is(w.value, JSON_KIND_STR) ? NULL : "filter: name is a string";
		else if (slice_eq(w.name, S("isActive")))
			why =
			    json_get_bool(w.value, &flag) ? NULL : "filter: isActive is a boolean";
		else
			why = "filter: there are name and isActive";
	return why;
}

static bool
script_name_has(struct slice name, struct slice text)
{
	struct buf a = { 0 }, b = { 0 };
	bool yes;

	if (text.n > 4u * MANAGESIEVE_NAME_MAX)
		return false; /* no name is as long */
	casemap_search_to(&a, name);
	casemap_search_to(&b, text);
	yes = b.n == 0 || slice_find_str(buf_get(&a), buf_get(&b)) < a.n;
	buf_fini(&a);
	buf_fini(&b);
	return yes;
}

static bool
script_matches(const struct script *s, const struct json_t *filter)
{
	struct slice op = json_text(json_find(filter, S("operator")));
	const struct json_t *list = json_find(filter, S("conditions"));
	struct json_walk w = { 0 };
	bool all = slice_eq(op, S("AND")), want = false;

	for (size_t i = 0; op.p && i < json_count(list); i++)
		if (script_matches(s, json_at(list, i)) != all)
			return slice_eq(op, S("OR"));
	if (op.p)
		return !slice_eq(op, S("OR"));
	while (json_next(filter, &w))
		if (json_get_bool(w.value, &want) ? want != s->active :
						    !script_name_has(s->name, json_text(w.value)))
			return false;
	return true;
}

static enum call_next
script_query_start(struct call *c)
{
	struct script_query *q = c->data;
	enum call_next next;
	unsigned n = 0;
	const char *why;

	if (!scripts_served(c, &next) || !window_read(c, &q->window, &next))
		return next;
	q->filter = json_find(c->args, S("filter"));
	q->sort = json_find(c->args, S("sort"));
	why = json_none(q->filter) ? NULL : script_filter_check(q->filter, &n);
	if (why)
		return call_invalid(c, why);
	if (!json_none(q->sort) && !json_is(q->sort, JSON_KIND_ARRAY))
		return call_invalid(c, "sort: an array, or null");
	if (json_count(q->sort) > WINDOW_SORT)
		return call_error(c, "unsupportedSort", "sort: by eight comparators at most");
	for (size_t i = 0; i < json_count(q->sort); i++) {
		struct slice by = json_text(json_find(json_at(q->sort, i), S("property")));

		if (!slice_eq(by, S("name")) && !slice_eq(by, S("isActive")))
			return call_error(c, "unsupportedSort", "sort by name and isActive");
	}
	return scripts_start(c);
}

static const struct json_t *script_order; /* of the sort under way */

static int
script_cmp(const void *x, const void *y)
{
	const struct script *a = *(struct script *const *)x, *b = *(struct script *const *)y;

	for (size_t i = 0; i < json_count(script_order); i++) {
		const struct json_t *by = json_at(script_order, i);
		bool name = slice_eq(json_text(json_find(by, S("property"))), S("name"));
		int order = name ? slice_cmp(a->name, b->name) : (int)a->active - (int)b->active;
		bool ascending = true;

		(void)json_get_bool(json_find(by, S("isAscending")), &ascending);
		if (order)
			return ascending ? order : -order;
	}
	return slice_cmp(a->name, b->name);
}

static void
script_query_write(struct buf *b, const void *list, size_t i)
{
	struct script *const *found = list;

	json_str(b, found[i]->id);
}

static enum call_next
script_query_go(struct call *c)
{
	struct script_query *q = c->data;
	struct script **found = arena_array(&c->arena, q->s.n + 1, sizeof(struct script *));
	size_t n = 0, at = 0;

	if (q->s.error)
		return call_error(c, q->s.error, q->s.why);
	for (size_t i = 0; i < q->s.n; i++)
		if (json_none(q->filter) || script_matches(&q->s.v[i], q->filter))
			found[n++] = &q->s.v[i];
	script_order = q->sort;
	qsort(found, n, sizeof(struct script *), script_cmp);
	while (at < n && !slice_eq(found[at]->id, q->window.anchor))
		at++;
	/* queryState need only change when the entry does. */
	return window_answer(c, &q->window, slice_hash(q->s.csn), false, n, at, script_query_write,
	    found);
}

const struct jmapd_method script_query = { "SieveScript/query", JMAP_SIEVE,
	sizeof(struct script_query), script_query_start, script_query_go, NULL };

/* ---- SieveScript/validate ------------------------------------------------------------------------------ */

struct script_validate {
	struct scripts s;
	struct slice blob;
};

static enum call_next
script_validate_start(struct call *c)
{
	struct script_validate *q = c->data;
	enum call_next next;

	if (!scripts_served(c, &next))
		return next;
	if (!call_str(c, "blobId", &q->blob) || !q->blob.p)
		return call_invalid(c, "blobId: an id is needed");
	return CALL_AGAIN;
}

static enum call_next
script_validate_go(struct call *c)
{
	struct script_validate *q = c->data;
	struct script_text *t = &q->s.text;
	enum call_next next = script_text_go(c, q->blob);

	if (next != CALL_DONE)
		return next;
	if (t->type &&
	    (slice_eq(slice_str(t->type), S("blobNotFound")) ||
		slice_eq(slice_str(t->type), S("serverUnavailable"))))
		return call_error(c, t->type, t->why);
	call_answer(c);
	call_put_account(c);
	if (t->type) {
		json_put_object(call_out(c), "error");
		json_put_cstr(call_out(c), "type", t->type);
		json_put_cstr(call_out(c), "description", t->why);
		buf_char(call_out(c), '}');
	} else {
		json_put_null(call_out(c), "error");
	}
	return call_end(c);
}

static void
script_validate_undo(struct call *c)
{
	struct script_validate *q = c->data;

	scripts_fini(&q->s);
}

const struct jmapd_method script_validate = { "SieveScript/validate", JMAP_SIEVE,
	sizeof(struct script_validate), script_validate_start, script_validate_go,
	script_validate_undo };

/* ---- the capability (1.2.1) ---------------------------------------------------------------------------- */

void
script_capability_write(struct buf *b)
{
	json_put_cstr(b, "implementation", "tiermail " TIERMAIL_VERSION);
}

void
script_account_write(struct buf *b)
{
	struct buf words = { 0 };
	struct slice rest, word;

	json_put_i64(b, "maxSizeScriptName", MANAGESIEVE_NAME_MAX);
	json_put_i64(b, "maxSizeScript", config.script_octets);
	json_put_i64(b, "maxNumberScripts", config.scripts);
	json_put_i64(b, "maxNumberRedirects", config.script_redirects);
	rules_extensions(&words);
	rest = buf_get(&words);
	json_put_array(b, "sieveExtensions");
	while (slice_word(&rest, &word)) {
		json_element(b);
		json_str(b, word);
	}
	buf_char(b, ']');
	buf_fini(&words);
	buf_lit(b, ",\"notificationMethods\":[\"mailto\"],\"externalLists\":[\"mailto\",\"urn\"]");
}
