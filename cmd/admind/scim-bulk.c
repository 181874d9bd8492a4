/* admind/scim-bulk.c: many operations of SCIM in one request (RFC 7644 3.7).
 *
 * Called by scim.c in the fiber of its request.  Owns the results until they are written.  Can fail as a whole when
 * the request is none; an operation fails by itself.  Must stay true: a reference to what another operation makes
 * (bulkId:NAME) is followed whatever the order, so an operation waits until those it refers to have been done; of a
 * circle nothing can be done, and that is said.  It costs operations by operations, of which there are
 * SCIM_BULK_MOST. */
#include <stdio.h>

#include "base/mem.h"
#include "scim.h"

struct bulk_operation {
	enum http_verb method;
	struct slice bulk_id, path, version;
	const struct json_t *data;
	bool done;
	unsigned status;
	struct buf answer, at, etag, id; /* answer: of an error; id: of what was made */
};
struct bulk {
	struct scim_run *run;
	struct bulk_operation *v;
	size_t n, errors;
	int64_t most; /* failOnErrors, 0: any number */
};

static struct bulk_operation *
bulk_find(struct bulk *b, struct slice bulk_id)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].bulk_id.n && slice_eq(b->v[i].bulk_id, bulk_id))
			return &b->v[i];
	return NULL;
}

/* The id that a reference stands for; *waits: it is not made yet. */
static struct slice
bulk_resolve(struct bulk *b, struct slice text, bool *waits)
{
	struct bulk_operation *o;

	if (!slice_starts(text, S("bulkId:")))
		return text;
	o = bulk_find(b, slice_from(text, 7));
	if (o && !o->done)
		*waits = true;
	return o && o->id.n ? buf_get(&o->id) : text;
}

/* The data again, with ids for references.  Depth is that of json_read. */
static void
bulk_write(struct bulk *b, const struct json_t *v, struct buf *out, bool *waits)
{
	struct json_walk w = { 0 };

	if (json_is(v, JSON_KIND_STR)) {
		json_str(out, bulk_resolve(b, json_text(v), waits));
	} else if (json_is(v, JSON_KIND_ARRAY)) {
		buf_char(out, '[');
		for (size_t i = 0; i < json_count(v); i++) {
			json_element(out);
			bulk_write(b, json_at(v, i), out, waits);
		}
		buf_char(out, ']');
	} else if (json_is(v, JSON_KIND_OBJECT)) {
		buf_char(out, '{');
		while (json_next(v, &w)) {
			json_member(out, w.name);
			bulk_write(b, w.value, out, waits);
		}
		buf_char(out, '}');
	} else {
		json_write(out, v);
	}
}

/* ---- one operation --------------------------------------------------------------------------------------- */

static void
bulk_failed(struct bulk *b, struct bulk_operation *o, unsigned status, const char *type,
    const char *why)
{
	struct scim_error e;

	(void)scim_fail(&e, status, type, "%s", why);
	o->status = status;
	buf_clear(&o->answer);
	scim_error_write(&o->answer, &e);
	o->done = true;
	b->errors++;
}

/* "/Users" or "/Users/ID". */
static bool
bulk_path(struct bulk *b, struct slice path, struct scim_request *q, bool *waits)
{
	struct slice word, rest = path;

	if (!path.n || path.p[0] != '/')
		return false;
	rest = slice_from(rest, 1);
	(void)slice_cut(&rest, '/', &word);
	q->schema = slice_eq(word, S("Users")) ? &scim_user :
	    slice_eq(word, S("Groups"))        ? &scim_group :
						 NULL;
	q->id = bulk_resolve(b, rest, waits);
	return q->schema && slice_find(rest, '/') == rest.n;
}

static void
bulk_take_id(struct bulk_operation *o)
{
	struct slice at = buf_get(&o->at);

	buf_slice(&o->id, slice_from(at, slice_rfind(at, '/') + 1));
}

/* False: it waits for another one. */
static bool
bulk_do(struct bulk *b, struct bulk_operation *o)
{
	struct scim_request q = { .method = o->method, .start = 1, .if_match = o->version };
	struct scim_answer a = { .status = 0 };
	struct buf data = { 0 };
	bool waits = false;

	if (!bulk_path(b, o->path, &q, &waits)) {
		bulk_failed(b, o, 400, "invalidPath", "path is /Users, /Groups or one of these");
		return true;
	}
	if (o->data)
		bulk_write(b, o->data, &data, &waits);
	if (waits) {
		buf_fini(&data);
		return false;
	}
	q.body = buf_get(&data);
	admind_scim_do(b->run, &q, &a);
	o->status = a.status;
	o->done = true;
	b->errors += a.status >= 400;
	if (a.status >= 400)
		buf_slice(&o->answer, buf_get(&a.body));
	buf_slice(&o->at, buf_get(&a.at));
	buf_slice(&o->etag, buf_get(&a.etag));
	if (!o->at.n && q.id.n)
		buf_printf(&o->at, SFMT SFMT, SARG(b->run->base), SARG(o->path));
	if (a.status < 400)
		bulk_take_id(o);
	admind_scim_answer_fini(&a);
	if (data.p)
		secret_clear(data.p, data.n);
	buf_fini(&data);
	arena_reset(&b->run->memory);
	return true;
}

static bool
bulk_stopped(const struct bulk *b)
{
	return b->most && b->errors >= (size_t)b->most;
}

/* Again and again over those that wait, until a round has done nothing. */
static void
bulk_rounds(struct bulk *b)
{
	bool some = true;

	while (some && !bulk_stopped(b)) {
		some = false;
		for (size_t i = 0; i < b->n && !bulk_stopped(b); i++)
			if (!b->v[i].done)
				some = bulk_do(b, &b->v[i]) || some;
	}
	for (size_t i = 0; i < b->n && !bulk_stopped(b); i++)
		if (!b->v[i].done)
			bulk_failed(b, &b->v[i], 409, NULL,
			    "It refers to an operation which refers to it: make one first, then "
			    "PATCH.");
}

/* ---- the request -------------------------------------------------------------------------------------------- */

static const char *
bulk_operation(struct bulk *b, struct bulk_operation *o, const struct json_t *v)
{
	static const struct {
		const char *word;
		enum http_verb verb;
	} methods[] = { { "POST", HTTP_VERB_POST }, { "PUT", HTTP_VERB_PUT },
		{ "PATCH", HTTP_VERB_PATCH }, { "DELETE", HTTP_VERB_DELETE } };
	struct slice method = json_text(json_find(v, S("method")));

	o->bulk_id = json_text(json_find(v, S("bulkId")));
	o->path = json_text(json_find(v, S("path")));
	o->version = json_text(json_find(v, S("version")));
	o->data = json_find(v, S("data"));
	for (size_t i = 0; i < NELEM(methods); i++)
		if (slice_ieq(method, slice_str(methods[i].word)))
			o->method = methods[i].verb;
	if (!o->method)
		return "method is POST, PUT, PATCH or DELETE";
	if (o->method == HTTP_VERB_POST && !o->bulk_id.n)
		return "a POST needs a bulkId";
	if (o->bulk_id.n && bulk_find(b, o->bulk_id) != o)
		return "a bulkId is there twice";
	return o->method == HTTP_VERB_DELETE || json_is(o->data, JSON_KIND_OBJECT) ?
	    NULL :
	    "data is to be an object";
}

static bool
bulk_read(struct bulk *b, const struct json_t *v, struct scim_error *e)
{
	const struct json_t *all = json_find(v, S("Operations")),
			    *schema = json_at(json_find(v, S("schemas")), 0);

	if (!slice_ieq(json_text(schema), S(SCIM_URN_MESSAGES "BulkRequest")))
		return scim_fail(e, 400, "invalidSyntax",
		    "schemas: " SCIM_URN_MESSAGES "BulkRequest is to be there");
	if (!json_is(all, JSON_KIND_ARRAY) || !json_count(all))
		return scim_fail(e, 400, "invalidSyntax", "Operations: a list is expected");
	if (json_count(all) > SCIM_BULK_MOST)
		return scim_fail(e, 413, NULL, "More than %d operations.", SCIM_BULK_MOST);
	(void)json_get_int(json_find(v, S("failOnErrors")), 1, JSON_INT_MOST, &b->most);
	b->v = mem_grow(NULL, json_count(all), sizeof(*b->v));
	memset(b->v, 0, json_count(all) * sizeof(*b->v));
	for (size_t i = 0; i < json_count(all); i++) {
		const char *why = bulk_operation(b, &b->v[b->n++], json_at(all, i));

		if (why)
			return scim_fail(e, 400, "invalidSyntax", "Operations: %s", why);
	}
	return true;
}

static void
bulk_tell(struct buf *out, const struct bulk_operation *o)
{
	static const struct {
		enum http_verb verb;
		const char *word;
	} methods[] = { { HTTP_VERB_POST, "POST" }, { HTTP_VERB_PUT, "PUT" },
		{ HTTP_VERB_PATCH, "PATCH" }, { HTTP_VERB_DELETE, "DELETE" } };
	char status[8];

	snprintf(status, sizeof(status), "%u", o->status);
	json_element(out);
	buf_char(out, '{');
	for (size_t i = 0; i < NELEM(methods); i++)
		if (methods[i].verb == o->method)
			json_put_cstr(out, "method", methods[i].word);
	if (o->bulk_id.n)
		json_put_str(out, "bulkId", o->bulk_id);
	if (o->etag.n)
		json_put_str(out, "version", buf_get(&o->etag));
	if (o->at.n)
		json_put_str(out, "location", buf_get(&o->at));
	json_put_cstr(out, "status", status);
	if (o->answer.n) {
		json_key(out, "response");
		buf_slice(out, buf_get(&o->answer));
	}
	buf_char(out, '}');
}

static void
bulk_fini(struct bulk *b)
{
	for (size_t i = 0; i < b->n; i++) {
		buf_fini(&b->v[i].answer);
		buf_fini(&b->v[i].at);
		buf_fini(&b->v[i].etag);
		buf_fini(&b->v[i].id);
	}
	mem_release(b->v);
}

void
admind_scim_bulk(struct scim_run *r, struct slice body, struct scim_answer *a)
{
	static const struct json_bounds bounds = { SCIM_BODY_MOST, 12, 100000 };
	struct bulk b = { .run = r };
	struct scim_error e = { .status = 0 };
	struct json_t *v = NULL;
	const char *why = NULL;
	bool good = json_read(body, &bounds, &v, &why) == 0 ?
	    bulk_read(&b, v, &e) :
	    scim_fail(&e, 400, "invalidSyntax", "%s", why);

	if (good) {
		bulk_rounds(&b);
		a->status = 200;
		buf_lit(&a->body,
		    "{\"schemas\":[\"" SCIM_URN_MESSAGES "BulkResponse\"],\"Operations\":[");
		for (size_t i = 0; i < b.n; i++) /* those that were not begun are not told */
			if (b.v[i].done)
				bulk_tell(&a->body, &b.v[i]);
		buf_lit(&a->body, "]}");
	} else {
		a->status = e.status;
		scim_error_write(&a->body, &e);
	}
	bulk_fini(&b);
	json_free(&v);
}
