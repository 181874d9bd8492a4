/* admind/scim.c: requests of SCIM: paths, what is known without asking, and the fiber that does the rest.
 *
 *	/scim/v2/[DOMAIN/]Users[/ID], Groups[/ID], Users/.search, Me, Bulk	fiber: scim-do, scim-bulk
 *	/scim/v2/[DOMAIN/]ServiceProviderConfig, ResourceTypes, Schemas		here
 *
 * Called by route.c for a person that is known.  Owns the work, as work.c does: it goes on when its session has gone.
 * Can fail with an error of RFC 7644 3.12.  Must stay true: the organisation is the one that the path names, else
 * the person's own; the directory says whether this person sees it. */
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "scim.h"

#define ROOT            "/scim/v2/"
#define SCIM_TYPE_JSON  "application/scim+json"
#define SCIM_WORK_MAGIC 0x7363696du

struct scim_work {
	uint32_t magic;
	struct admind_session *session; /* NULL: it has gone */
	struct scim_run run;
	struct admind_turn turn;
	struct scim_request request;
	struct scim_answer answer;
	bool bulk, starting, over;
	char *account, *as, *texts, *tenant, *base, peer[ADDR_TEXT];
	struct buf body, query; /* query: decoded words */
	uint64_t began_us;
};

/* ---- answers ----------------------------------------------------------------------------------------------- */

enum http_next
admind_scim_problem(struct admind_session *s, unsigned status, const char *type, const char *detail)
{
	struct scim_error e;
	struct buf b = { 0 };
	enum http_next next;

	(void)scim_fail(&e, status, type, "%s", detail);
	scim_error_write(&b, &e);
	next = admind_content(s, status, SCIM_TYPE_JSON, buf_get(&b));
	buf_fini(&b);
	return next;
}

static enum http_next
scim_reply(struct scim_work *w)
{
	struct admind_session *s = w->session;
	struct scim_answer *a = &w->answer;

	http_server_answer(&s->http, a->status);
	if (a->status == 503)
		http_server_field(&s->http, "Retry-After", S("5"));
	if (a->etag.n)
		http_server_field(&s->http, "ETag", buf_get(&a->etag));
	if (a->at.n)
		http_server_field(&s->http, "Location", buf_get(&a->at));
	return admind_content(s, a->status, SCIM_TYPE_JSON, buf_get(&a->body));
}

/* ---- what is known ------------------------------------------------------------------------------------------- */

static void
scim_config(struct buf *b, struct slice base)
{
	buf_lit(b,
	    "{\"schemas\":[\"" SCIM_URN_SCHEMA "ServiceProviderConfig\"]"
	    ",\"patch\":{\"supported\":true}");
	buf_printf(b, ",\"bulk\":{\"supported\":true,\"maxOperations\":%d,\"maxPayloadSize\":%d}",
	    SCIM_BULK_MOST, SCIM_BODY_MOST);
	buf_printf(b, ",\"filter\":{\"supported\":true,\"maxResults\":%d}", SCIM_PAGE_MOST);
	buf_lit(b,
	    ",\"changePassword\":{\"supported\":true},\"sort\":{\"supported\":true}"
	    ",\"etag\":{\"supported\":true},\"authenticationSchemes\":["
	    "{\"type\":\"oauthbearertoken\",\"name\":\"Token\",\"description\":"
	    "\"The token that is told with an application password for admin.\",\"primary\":true},"
	    "{\"type\":\"httpbasic\",\"name\":\"Basic\",\"description\":"
	    "\"An administrator's address and application password.\"}]"
	    ",\"meta\":{\"resourceType\":\"ServiceProviderConfig\",\"location\":\"");
	json_chars(b, base);
	buf_lit(b, "/ServiceProviderConfig\"}}");
}

static void
scim_list_begin(struct buf *b, size_t n)
{
	buf_printf(b,
	    "{\"schemas\":[\"" SCIM_URN_MESSAGES
	    "ListResponse\"],\"totalResults\":%zu,\"startIndex\":1,\"itemsPerPage\":%zu,"
	    "\"Resources\":[",
	    n, n);
}

static bool
scim_types(struct buf *b, struct slice id, struct slice base)
{
	const struct scim_schema *const all[] = { &scim_user, &scim_group };

	if (!id.n)
		scim_list_begin(b, NELEM(all));
	for (size_t i = 0; i < NELEM(all); i++)
		if (!id.n || slice_eq(id, slice_str(all[i]->name))) {
			if (!id.n)
				json_element(b);
			scim_type_write(b, all[i], base);
		}
	if (!id.n)
		buf_lit(b, "]}");
	return b->n > 0;
}

static bool
scim_schemas(struct buf *b, struct slice id, struct slice base)
{
	const struct scim_schema *const all[] = { &scim_user, &scim_group };

	if (!id.n)
		scim_list_begin(b, 2 * NELEM(all));
	for (size_t i = 0; i < 2 * NELEM(all); i++) {
		const struct scim_schema *x = all[i / 2];
		bool extension = i % 2;

		if (id.n && !slice_ieq(id, slice_str(extension ? x->extension : x->urn)))
			continue;
		if (!id.n)
			json_element(b);
		scim_schema_write(b, x, extension, base);
	}
	if (!id.n)
		buf_lit(b, "]}");
	return b->n > 0;
}

static enum http_next
scim_known(struct admind_session *s, struct slice what, struct slice id, struct slice base)
{
	const struct http_head *h = http_server_head(&s->http);
	struct buf b = { 0 };
	enum http_next next;
	bool found = true;

	if (!(h->verb & (HTTP_VERB_GET | HTTP_VERB_HEAD)))
		return http_server_refuse_verb(&s->http, HTTP_VERB_GET | HTTP_VERB_HEAD);
	if (slice_find_str(h->query, S("filter=")) < h->query.n) /* RFC 7644 4 */
		return admind_scim_problem(s, 403, NULL, "This is not filtered.");
	if (slice_eq(what, S("ServiceProviderConfig")) && !id.n)
		scim_config(&b, base);
	else if (slice_eq(what, S("ResourceTypes")))
		found = scim_types(&b, id, base);
	else if (slice_eq(what, S("Schemas")))
		found = scim_schemas(&b, id, base);
	else
		found = false;
	next = found ? admind_content(s, 200, SCIM_TYPE_JSON, buf_get(&b)) :
		       admind_scim_problem(s, 404, NULL, "There is nothing of this name.");
	buf_fini(&b);
	return next;
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static void
scim_work_free(struct scim_work *w)
{
	admind_turn_over(&w->turn);
	admind_agent_give(&w->run.agent);
	arena_wipe(&w->run.memory); /* a password may have been there */
	admind_scim_answer_fini(&w->answer);
	mem_free(&w->account);
	mem_free(&w->as);
	mem_free(&w->texts);
	mem_free(&w->tenant);
	mem_free(&w->base);
	if (w->body.p)
		secret_clear(w->body.p, w->body.n);
	buf_fini(&w->body);
	buf_fini(&w->query);
	w->magic = 0;
	mem_free(&w);
}

static void
scim_log(const struct scim_work *w)
{
	uint64_t us = clock_mono_us() - w->began_us;

	metric_add(M_SCIM, 1);
	metric_add(M_SCIM_REFUSED, w->answer.status >= 400);
	metric_add(M_VERB_US, (int64_t)us);
	log_event(LOG_INFO, "scim", "peer=%s user=%s org=%s what=%s id=%s status=%u ms=%llu",
	    w->peer, log_str(w->account), log_value(w->run.tenant),
	    w->bulk ? "Bulk" : log_str(w->request.schema->path), log_value(w->request.id),
	    w->answer.status, (unsigned long long)(us / 1000));
}

static void
scim_work_finish(struct scim_work *w)
{
	struct admind_session *s = w->session;
	enum http_next next;

	if (s) {
		op_done(&s->http.op);
		s->scim = NULL;
		log_context(s->sid);
		next = scim_reply(w);
		w->session = NULL;
		scim_work_free(w);
		http_server_resume(&s->http, next);
	} else {
		scim_work_free(w);
	}
	admind.working--;
	admind_drained();
}

/* The organisation as it calls itself: names of resources end so. */
static void
scim_tenant(void *arg, const struct admin_record *r)
{
	struct scim_work *w = arg;
	struct slice name = admin_record_get(r, "org");

	if (!name.n)
		return;
	mem_free(&w->tenant);
	w->tenant = mem_strn(name.p, name.n);
	w->run.tenant = slice_str(w->tenant);
}

static void
scim_work_run(void *arg)
{
	struct scim_work *w = CAST(arg, struct scim_work, SCIM_WORK_MAGIC);
	struct scim_verb v = { .object = "org",
		.verb = "show",
		.names = { w->run.tenant },
		.record = scim_tenant,
		.arg = w };
	struct scim_error e;

	if (!admind_scim_run(&w->run, &v, &e)) {
		w->answer.status = e.status;
		scim_error_write(&w->answer.body, &e);
	} else if (w->bulk) {
		admind_scim_bulk(&w->run, w->request.body, &w->answer);
	} else {
		admind_scim_do(&w->run, &w->request, &w->answer);
	}
	scim_log(w);
	w->over = true;
	if (!w->starting)
		scim_work_finish(w);
}

static void
scim_cancelled(struct op *op)
{
	struct scim_work *w = CAST(op->impl, struct scim_work, SCIM_WORK_MAGIC);

	op->impl = NULL;
	if (w->session)
		w->session->scim = NULL;
	w->session = NULL;
}

void
admind_scim_forget(struct admind_session *s)
{
	if (s->scim)
		op_cancel(&s->http.op);
}

static enum http_next
scim_work_start(struct scim_work *w)
{
	struct admind_session *s = w->session;
	enum http_next next;

	if (!admind_turn_take(&w->turn, w->account)) {
		scim_work_free(w);
		return admind_scim_problem(s, 429, NULL,
		    "What this person has begun is not over yet; try again soon.");
	}
	w->run.agent = admind_agent_take();
	if (!w->run.agent && admind_page_end_oldest())
		w->run.agent = admind_agent_take();
	if (!w->run.agent) {
		scim_work_free(w);
		return admind_scim_problem(s, 503, NULL, "Too much is going on; try again soon.");
	}
	admind.working++;
	w->starting = true;
	fiber_start(admind.loop, scim_work_run, w);
	w->starting = false;
	if (!w->over) {
		s->scim = w;
		s->http.op.cancel = scim_cancelled;
		s->http.op.impl = w;
		return HTTP_WAIT;
	}
	next = scim_reply(w);
	scim_work_free(w);
	admind.working--;
	return next;
}

/* ---- the request -------------------------------------------------------------------------------------------------- */

/* A word of a query or of a path; false: it is malformed. */
static bool
scim_decode(struct scim_work *w, struct slice in, bool query, struct slice *out)
{
	size_t at = w->query.n;

	for (size_t i = 0; i < in.n; i++) {
		int hi = in.p[i] == '%' && i + 2 < in.n ? ascii_hex(in.p[i + 1]) : -1;
		int lo = hi >= 0 ? ascii_hex(in.p[i + 2]) : -1;

		if (in.p[i] == '%' && (lo < 0 || (hi == 0 && lo == 0)))
			return false;
		buf_char(&w->query,
		    in.p[i] == '%'              ? (char)(hi << 4 | lo) :
			query && in.p[i] == '+' ? ' ' :
						  in.p[i]);
		i += in.p[i] == '%' ? 2 : 0;
	}
	*out = slice(w->query.p + at, w->query.n - at);
	return true;
}

/* Less than 1 is 1 for an index, less than 0 is 0 for a count (RFC 7644 3.4.2.4). */
static bool
scim_query_number(struct slice s, uint64_t least, uint64_t most, uint64_t *n)
{
	bool below = s.n && *s.p == '-';
	uint64_t v;

	if (slice_u64(below ? slice_from(s, 1) : s, INT64_MAX, &v) < 0)
		return false;
	*n = below || v < least ? least : v > most ? most : v;
	return true;
}

static const char *
scim_query(struct scim_work *w, struct slice query)
{
	struct scim_request *q = &w->request;
	struct slice pair, name, value, order = S("");

	while (slice_cut(&query, '&', &pair)) {
		if (!slice_cut(&pair, '=', &name) || !scim_decode(w, pair, true, &value))
			return "a parameter is malformed";
		if (slice_eq(name, S("filter")))
			q->filter = value;
		else if (slice_eq(name, S("attributes")))
			q->attributes = value;
		else if (slice_eq(name, S("excludedAttributes")))
			q->excluded = value;
		else if (slice_eq(name, S("sortBy")))
			q->sort = value;
		else if (slice_eq(name, S("sortOrder")))
			order = value;
		else if (slice_eq(name, S("startIndex"))) {
			if (!scim_query_number(value, 1, INT64_MAX, &q->start))
				return "startIndex: a number is expected";
		} else if (slice_eq(name, S("count")) &&
		    !scim_query_number(value, 0, SCIM_PAGE_MOST, &q->count))
			return "count: a number is expected";
	}
	q->descending = slice_eq(order, S("descending"));
	return NULL;
}

static struct scim_work *
scim_work_new(struct admind_session *s, struct slice tenant, struct slice base)
{
	const struct http_head *h = http_server_head(&s->http);
	struct scim_work *w = mem_new(sizeof(*w));
	struct slice match = http_head_value(h, S("If-Match")),
		     none = http_head_value(h, S("If-None-Match"));

	w->magic = SCIM_WORK_MAGIC;
	admind_turn_init(&w->turn);
	w->session = s;
	w->began_us = clock_mono_us();
	w->account = mem_str(s->account);
	w->as = mem_printf("dn:%s", s->dn);
	w->tenant = mem_strn(tenant.p, tenant.n);
	w->base = mem_strn(base.p, base.n);
	w->texts = mem_printf(SFMT SFMT, SARG(match), SARG(none));
	memcpy(w->peer, s->peer, sizeof(w->peer));
	w->body = s->body;
	s->body = (struct buf){ .p = NULL };
	buf_init(&w->answer.body, 64 * 1024 * 1024);
	buf_grow(&w->query, h->query.n + h->path.n + 1); /* slices lead into it: it does not move */
	w->run = (struct scim_run){ .loop = admind.loop,
		.who = w->account,
		.from = w->peer,
		.as = w->as,
		.tenant = slice_str(w->tenant),
		.base = slice_str(w->base) };
	w->request =
	    (struct scim_request){ .method = h->verb == HTTP_VERB_HEAD ? HTTP_VERB_GET : h->verb,
		    .body = buf_get(&w->body),
		    .if_match = slice(w->texts, match.n),
		    .if_none = slice(w->texts + match.n, none.n),
		    .start = 1,
		    .count = SCIM_PAGE_MOST };
	return w;
}

/* Users, Groups, Me and Bulk. */
static enum http_next
scim_resources(struct admind_session *s, struct slice what, struct slice id, struct slice tenant,
    struct slice base)
{
	const struct http_head *h = http_server_head(&s->http);
	struct scim_work *w = scim_work_new(s, tenant, base);
	struct scim_request *q = &w->request;
	const char *why = scim_query(w, h->query);

	q->schema = slice_eq(what, S("Groups")) ? &scim_group : &scim_user;
	q->search = slice_eq(id, S(".search"));
	q->me = slice_eq(what, S("Me"));
	w->bulk = slice_eq(what, S("Bulk"));
	if (!why && !scim_decode(w, q->search ? S("") : id, false, &q->id))
		why = "the path is malformed";
	if (q->me)
		q->id = slice_str(w->account);
	if (!why && !(q->me && id.n) && !(w->bulk && (id.n || h->verb != HTTP_VERB_POST)) &&
	    !(q->search && h->verb != HTTP_VERB_POST))
		return scim_work_start(w);
	scim_work_free(w);
	return why ? admind_scim_problem(s, 400, "invalidSyntax", why) :
		     admind_scim_problem(s, 404, NULL, "There is nothing of this name.");
}

static bool
scim_is_resource(struct slice word)
{
	return slice_eq(word, S("Users")) || slice_eq(word, S("Groups")) ||
	    slice_eq(word, S("Me")) || slice_eq(word, S("Bulk"));
}

static enum http_next
scim_go(struct admind_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct slice rest = slice_from(h->path, sizeof(ROOT) - 1), what = S(""), id = S(""),
		     tenant = slice_str(s->account);
	bool secure = stream_secure(&s->http.line.io);
	struct buf base = { 0 };
	enum http_next next;

	buf_printf(&base, "%s" SFMT "/scim/v2", secure ? "https://" : "http://", SARG(h->host));
	tenant = slice_from(tenant, slice_rfind(tenant, '@') + 1);
	(void)slice_cut(&rest, '/', &what);
	if (slice_find(what, '.') < what.n) { /* a domain; no resource has a dot */
		tenant = what;
		what = S("");
		buf_printf(&base, "/" SFMT, SARG(tenant));
		(void)slice_cut(&rest, '/', &what);
	}
	(void)slice_cut(&rest, '/', &id);
	if (rest.n)
		next = admind_scim_problem(s, 404, NULL, "There is nothing of this name.");
	else if (!scim_is_resource(what))
		next = scim_known(s, what, id, buf_get(&base));
	else if (admin_conf.second_factor && !s->by_app && !s->by_code)
		next =
		    admind_scim_problem(s, 403, NULL, "Administration needs a second factor here.");
	else
		next = scim_resources(s, what, id, tenant, buf_get(&base));
	buf_fini(&base);
	return next;
}

static enum http_next
scim_bytes(struct http_server *http, struct slice bytes)
{
	buf_slice(&admind_of(http)->body, bytes);
	return HTTP_NEXT;
}

static enum http_next
scim_end(struct http_server *http)
{
	return scim_go(admind_of(http));
}

static const struct http_taker taker = { "scim", scim_bytes, scim_end, NULL };

enum http_next
admind_scim(struct admind_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct slice type = http_head_value(h, S("Content-Type"));

	if (!slice_starts(h->path, S(ROOT)))
		return admind_scim_problem(s, 404, NULL, "There is nothing of this name.");
	type = slice_trim(slice_sub(type, 0, slice_find(type, ';')));
	if (h->verb & (HTTP_VERB_GET | HTTP_VERB_HEAD | HTTP_VERB_DELETE) || h->length == 0)
		return scim_go(s);
	if (!slice_ieq(type, S("application/json")) && !slice_ieq(type, S(SCIM_TYPE_JSON)))
		return admind_scim_problem(s, 415, NULL,
		    "The content is to be " SCIM_TYPE_JSON ".");
	if (h->length != HTTP_LENGTH_UNKNOWN && h->length > SCIM_BODY_MOST)
		return admind_scim_problem(s, 413, NULL, "The content is too large.");
	return http_server_take(&s->http, &taker, SCIM_BODY_MOST);
}
