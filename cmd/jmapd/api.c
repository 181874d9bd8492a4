/* jmapd/api.c: a POST of method calls: read, carried out one after the other, answered as one.
 *
 * Owns struct api, which is the request's and goes with it (http_server's undo).  The calls are cursors;
 * http/server gives them their turns, and nothing is written to the client before all have their answers,
 * so memory is bounded by limit.request and limit.response, times limit.requests a user.  A long request,
 * and references into long answers, are read by a thread of the pool, which then has the struct; one whose
 * client goes meanwhile goes when the thread is done with it.
 * Must stay true: calls are carried out in order, each seeing what those before it have done. */
#include "api.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "folders.h"
#include "net/work.h"

#define DEPTH         64
#define VALUES        200000 /* of a request; 200 octets each at worst */
#define ANSWER_VALUES 500000 /* of one that is referred to */
#define API_LARGE     65536  /* octets that are read in the loop: a fraction of a ms */

/* Nobody's any more; no call is running but one that has not begun, or has nothing to undo. */
static void
api_free(struct api *a)
{
	arena_reset(&a->call.arena);
	json_free(&a->call.own);
	json_free(&a->resolved);
	jmap_request_free(&a->request);
	folders_fini(&a->folders);
	map_fini(&a->created);
	arena_reset(&a->arena);
	buf_fini(&a->body);
	buf_fini(&a->out);
	mem_release(a->results);
	mem_release(a->given);
	mem_release(a);
}

/* ---- one call after the other -------------------------------------------------------------------- */

static const struct jmapd_method *
api_find(struct slice name)
{
	for (const struct jmapd_method *const *m = jmapd_methods; *m; m++)
		if (slice_eq(name, slice_str((*m)->name)))
			return *m;
	return NULL;
}

static void
api_call_over(struct api *a)
{
	struct call *c = &a->call;

	if (c->method && c->method->undo && c->data)
		c->method->undo(c);
	json_free(&c->own);
	arena_reset(&c->arena);
	*c = (struct call){ 0 };
	a->running = false;
}

/* On any thread. */
static void
api_resolve(void *arg)
{
	struct api *a = arg;
	const char *why = "";
	struct buf text = { 0 };

	a->error =
	    jmap_resolve(a->call.args, a->results, a->nresults, &a->answer_bounds, &text, &why);
	if (a->error == 0)
		a->error = json_read(buf_get(&text), &a->answer_bounds, &a->resolved, &why);
	(void)snprintf(a->why, sizeof(a->why), "%s", why);
	buf_fini(&text);
}

static enum call_next
api_begin(struct api *a)
{
	struct call *c = &a->call;

	c->data = c->method->size ? arena_new(&c->arena, c->method->size) : NULL;
	return c->method->start(c);
}

static enum call_next
api_begin_resolved(struct api *a)
{
	struct call *c = &a->call;

	mem_free(&a->results);
	if (a->error)
		return call_error(c,
		    a->error == -EINVAL ? "invalidArguments" : "invalidResultReference", a->why);
	c->args = c->own = a->resolved;
	a->resolved = NULL;
	return api_begin(a);
}

static void
api_resolved(void *arg)
{
	struct api *a = arg;

	a->working = false;
	log_context(a->s->sid);
	call_resume(&a->call, api_begin_resolved(a));
}

static void
api_dropped(void *arg)
{
	api_free(arg);
}

static void
api_beside(void *arg)
{
	struct api *a = arg;

	a->beside(&a->call);
}

static void
api_beside_over(void *arg)
{
	struct api *a = arg;

	a->working = false;
	log_context(a->s->sid);
	call_resume(&a->call, CALL_AGAIN);
}

enum call_next
call_beside(struct call *c, void (*work)(void *call))
{
	struct api *a = c->api;

	must(!c->method->undo);
	if (a->body.n <= API_LARGE && a->out.n <= API_LARGE) {
		work(c);
		return CALL_AGAIN;
	}
	a->working = true;
	a->beside = work;
	work_start_for(jmapd.loop, call_op(c), a->user->id, api_beside, api_beside_over,
	    api_dropped, a);
	return CALL_WAIT;
}

/* The arguments with what the references lead to, and then the call. */
static enum call_next
api_refer(struct api *a)
{
	a->results = mem_array(a->nresults + 1, sizeof(*a->results));
	for (size_t i = 0; i < a->nresults; i++)
		a->results[i] = (struct jmap_result){ .name = a->given[i].name,
			.id = a->given[i].id,
			.args = slice_sub(buf_get(&a->out), a->given[i].at, a->given[i].n) };
	if (a->out.n > API_LARGE || a->body.n > API_LARGE) {
		a->working = true;
		work_start_for(jmapd.loop, call_op(&a->call), a->user->id, api_resolve,
		    api_resolved, api_dropped, a);
		return CALL_WAIT;
	}
	api_resolve(a);
	return api_begin_resolved(a);
}

static enum call_next
api_start(struct api *a)
{
	struct call *c = &a->call;
	const struct jmap_call *in = &a->request.calls[a->at];

	a->running = true;
	*c = (struct call){ .api = a,
		.s = a->s,
		.name = in->name,
		.id = in->id,
		.args = in->args,
		.at = a->out.n };
	call_own(c);
	metric_add(M_CALLS, 1);
	c->method = api_find(in->name);
	if (!c->method || (c->method->needs & ~a->request.using))
		return call_error(c, "unknownMethod", NULL);
	return jmap_has_references(c->args) ? api_refer(a) : api_begin(a);
}

static enum http_next
api_finish(struct api *a)
{
	struct session *s = a->s;
	struct buf *b = &a->out;
	const struct created *k;

	buf_char(b, ']');
	if (a->request.created) {
		json_put_object(b, "createdIds");
		for (size_t at = 0; (k = map_next(&a->created, &at));) {
			json_member(b, k->creation);
			json_str(b, k->id);
		}
		buf_char(b, '}');
	}
	json_key(b, "sessionState");
	buf_char(b, '"');
	resource_state(b, s->user);
	buf_lit(b, "\"}");
	log_event(LOG_DEBUG, "jmap", "sid=%s calls=%zu size=%zu ms=%llu", s->sid, a->request.ncalls,
	    b->n, (unsigned long long)(clock_mono_ms() - s->http.began_ms));
	/* The peer's time begins now, whatever ours was. */
	line_session_time(&s->http.line, s->http.policy->limits->pace_ms, true);
	s->http.more = NULL;
	http_server_answer(&s->http, 200);
	http_server_field(&s->http, "Cache-Control", S("no-store"));
	return http_server_stream(&s->http, "application/json", b->n, api_say);
}

#define SAY 65536

enum http_next
api_say(struct http_server *http)
{
	struct api *a = http->data;
	struct slice piece = slice_sub(buf_get(&a->out), a->said, SAY);

	http_server_piece(http, piece);
	a->said += piece.n;
	return a->said == a->out.n ? HTTP_NEXT : HTTP_PULL;
}

/* A turn: calls go on until the slice is over, or one waits. */
static enum http_next
api_more(struct http_server *http)
{
	struct api *a = http->data;

	log_context(a->s->sid);
	while (a->running || a->at < a->request.ncalls) {
		enum call_next next = a->running ? a->call.method->go(&a->call) : api_start(a);

		if (next == CALL_WAIT)
			return HTTP_WAIT;
		if (next == CALL_DONE) {
			api_call_over(a);
			a->at++;
		}
		if (line_session_spent(&http->line))
			return HTTP_PULL;
	}
	return api_finish(a);
}

void
call_resume(struct call *c, enum call_next next)
{
	struct api *a = c->api;
	struct http_server *http = &a->s->http;

	if (next == CALL_DONE) {
		api_call_over(a);
		a->at++;
	}
	if (next != CALL_WAIT)
		http_server_resume(http, HTTP_PULL);
}

/* ---- the request ------------------------------------------------------------------------------------ */

static void
api_undo(struct http_server *http)
{
	struct api *a = http->data;

	a->user->requests--;
	if (a->working)
		return; /* its thread reads it: api_dropped */
	if (a->running)
		api_call_over(a);
	api_free(a);
}

static enum http_next
api_bytes(struct http_server *http, struct slice bytes)
{
	struct api *a = http->data;

	buf_slice(&a->body, bytes);
	return HTTP_NEXT;
}

static enum http_next
api_problem(struct session *s, const struct jmap_problem *p)
{
	struct buf b = { 0 };
	enum http_next next;

	jmap_problem_write(&b, p, 400);
	http_server_answer(&s->http, 400);
	next = http_server_content(&s->http, "application/problem+json", buf_get(&b));
	buf_fini(&b);
	return next;
}

static void
api_created(struct api *a)
{
	struct json_walk w = { 0 };

	while (json_next(a->request.created, &w))
		api_create(a, w.name, json_text(w.value));
}

/* On any thread. */
static void
api_read(void *arg)
{
	struct api *a = arg;
	struct jmap_request_limits limits = {
		.json = { .octets = (size_t)config.request, .depth = DEPTH, .values = VALUES },
		.calls = (uint32_t)config.calls
	};

	a->good = jmap_request_parse(buf_get(&a->body), &limits, &a->request, &a->problem);
	if (a->good && a->request.created)
		api_created(a);
}

static enum http_next
api_begun(struct api *a)
{
	if (!a->good)
		return api_problem(a->s, &a->problem);
	metric_add(M_API, 1);
	buf_lit(&a->out, "{\"methodResponses\":[");
	a->s->http.more = api_more;
	return HTTP_PULL;
}

static void
api_was_read(void *arg)
{
	struct api *a = arg;

	a->working = false;
	log_context(a->s->sid);
	http_server_resume(&a->s->http, api_begun(a));
}

static enum http_next
api_end(struct http_server *http)
{
	struct api *a = http->data;

	log_context(a->s->sid);
	a->answer_bounds = (struct json_bounds){ .octets = (size_t)config.response * 2,
		.depth = DEPTH * 2,
		.values = ANSWER_VALUES };
	if (a->body.n > API_LARGE) {
		a->working = true;
		work_start_for(jmapd.loop, &http->op, a->user->id, api_read, api_was_read,
		    api_dropped, a);
		return HTTP_WAIT;
	}
	api_read(a);
	return api_begun(a);
}

static const struct http_taker api_taker = { "api", api_bytes, api_end, NULL };

static enum http_next
api_refuse(struct session *s, const char *type, const char *limit, const char *detail)
{
	struct jmap_problem p = { .type = type, .limit = limit };

	(void)snprintf(p.detail, sizeof(p.detail), "%s", detail);
	return api_problem(s, &p);
}

/* "application/json", with parameters or without. */
static bool
api_is_json(const struct session *s)
{
	struct slice type = http_head_value(http_server_head(&s->http), S("Content-Type"));

	return type.p &&
	    slice_ieq(slice_trim(slice_sub(type, 0, slice_find(type, ';'))), S("application/json"));
}

enum http_next
api_post(struct session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct api *a;

	if (!api_is_json(s))
		return api_refuse(s, "urn:ietf:params:jmap:error:notJSON", NULL,
		    "Content-Type: application/json is needed");
	if (h->length != HTTP_LENGTH_UNKNOWN && h->length > (uint64_t)config.request)
		return api_refuse(s, "urn:ietf:params:jmap:error:limit", "maxSizeRequest",
		    "the request is too large");
	if (s->user->requests >= (unsigned)config.requests)
		return api_refuse(s, "urn:ietf:params:jmap:error:limit", "maxConcurrentRequests",
		    "too many requests at once");
	a = mem_new(sizeof(*a));
	a->s = s;
	a->user = s->user;
	a->user->requests++;
	s->http.data = a;
	s->http.undo = api_undo;
	return http_server_take(&s->http, &api_taker, (uint64_t)config.request);
}
