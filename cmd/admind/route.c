/* admind/route.c: what a request asks for: paths and methods to rows of the table of verbs.
 *
 *	GET  /api/v1/OBJECTS?...		list	GET   /api/v1/OBJECTS/NAME	show
 *	POST /api/v1/OBJECTS {"name":..}	create	PATCH /api/v1/OBJECTS/NAME {..}	modify
 *	POST /api/v1/OBJECTS/NAME/VERB {..}	verb	DELETE			delete
 *	GET  /api/v1/check, /api/v1/verbs, /api/v1/me
 *
 * Called for each request whose person is known.  Owns the body while it comes.  Can fail with a problem in
 * words.  Must stay true: what can be asked is what the table has; a member of the body is a name, a password
 * or a setting, and anything else is refused, for a wish that is half understood is not half done. */
#include "base/json.h"
#include "base/mem.h"
#include "admind.h"

#define API "/api/v1/"

static const struct {
	const char *path, *object;
} objects[] = { { "orgs", "org" }, { "users", "user" }, { "groups", "group" },
	{ "packages", "package" }, { "providers", "provider" }, { "roles", "role" },
	{ "audit", "audit" }, { "factors", "factor" }, { "apps", "app" }, { "jobs", "job" },
	{ "hosts", "host" }, { "queues", "queue" }, { "deliveries", "delivery" } };

/* ---- answers --------------------------------------------------------------------------------------- */

enum http_next
admind_json(struct admind_session *s, unsigned status, struct slice text)
{
	return admind_content(s, status,
	    status < 400 ? "application/json" : "application/problem+json", text);
}

enum http_next
admind_content(struct admind_session *s, unsigned status, const char *type, struct slice text)
{
	struct http_server *http = &s->http;

	if (http->output == HTTP_SILENT)
		http_server_answer(http, status);
	if (status < 400)
		admind_front_renew(s);
	http_server_field(http, "Cache-Control", S("no-store"));
	http_server_field(http, "X-Content-Type-Options", S("nosniff"));
	http_server_field(http, "Content-Security-Policy",
	    S("default-src 'none'; frame-ancestors 'none'"));
	http_server_field(http, "Cross-Origin-Resource-Policy", S("same-origin"));
	http_server_field(http, "Referrer-Policy", S("no-referrer"));
	if (stream_secure(&http->line.io))
		http_server_field(http, "Strict-Transport-Security", S("max-age=31536000"));
	return text.n ? http_server_content(http, type, text) : http_server_empty(http);
}

enum http_next
admind_problem(struct admind_session *s, unsigned status, const char *code, const char *detail)
{
	struct buf b = { 0 };
	enum http_next next;

	if (slice_starts(http_server_head(&s->http)->path, S("/scim/")))
		return admind_scim_problem(s, status, NULL, detail);
	buf_char(&b, '{');
	json_put_i64(&b, "status", status);
	json_put_cstr(&b, "title", http_reason(status));
	json_put_cstr(&b, "code", code);
	json_put_cstr(&b, "detail", detail);
	buf_lit(&b, "}\n");
	next = admind_json(s, status, buf_get(&b));
	buf_fini(&b);
	return next;
}

/* ---- words of the request -------------------------------------------------------------------------- */

/* RFC 3986 2.1; appends to the ask's texts, which then do not move any more: see path_texts. */
static bool
path_decode(struct admind_ask *ask, struct slice in, bool query, struct slice *out)
{
	size_t at = ask->texts.n;

	for (size_t i = 0; i < in.n; i++) {
		int hi = in.p[i] == '%' && i + 2 < in.n ? ascii_hex(in.p[i + 1]) : -1;
		int lo = hi >= 0 ? ascii_hex(in.p[i + 2]) : -1;

		if (in.p[i] == '%' && (lo < 0 || (hi == 0 && lo == 0)))
			return false;
		buf_char(&ask->texts,
		    in.p[i] == '%'              ? (char)(hi << 4 | lo) :
			query && in.p[i] == '+' ? ' ' :
						  in.p[i]);
		i += in.p[i] == '%' ? 2 : 0;
	}
	*out = slice(ask->texts.p + at, ask->texts.n - at);
	return true;
}

static char *
path_copy(struct slice s)
{
	return mem_strn(s.p, s.n);
}

/* "org=", "q=", "before=": the names of a list; "limit=", "page=", "sort=", "dry=". */
static const char *
path_query(struct admind_ask *ask, struct slice query)
{
	struct slice pair, name, value, org = { 0 }, word = { 0 }, before = { 0 };
	uint64_t n;

	while (slice_cut(&query, '&', &pair)) {
		if (!slice_cut(&pair, '=', &name) || !path_decode(ask, pair, true, &value))
			return "a parameter is malformed";
		if (slice_eq(name, S("org")) || slice_eq(name, S("provider")) ||
		    slice_eq(name, S("user")) || slice_eq(name, S("host")))
			org = value;
		else if (slice_eq(name, S("q")))
			word = value;
		else if (slice_eq(name, S("before")) || slice_eq(name, S("since")))
			before = value;
		else if (slice_eq(name, S("limit")) && slice_u64(value, 1000, &n) == 0 && n)
			ask->limit = (unsigned)n;
		else if (slice_eq(name, S("page")) && value.n < sizeof(ask->page))
			slice_cstr(value, ask->page, sizeof(ask->page));
		else if (slice_eq(name, S("sort")) && !ask->sort)
			ask->sort = path_copy(value);
		else if (slice_eq(name, S("dry")))
			ask->dry_run = slice_eq(value, S("1"));
		else
			return "there is no such parameter, or its value makes no sense";
	}
	if (org.n && ask->nnames == 0)
		ask->names[ask->nnames++] = org;
	if ((word.n || before.n) && ask->nnames == 0)
		ask->names[ask->nnames++] = S("");
	if ((word.n || before.n) && ask->nnames == 1)
		ask->names[ask->nnames++] = word;
	if (before.n && ask->nnames == 2)
		ask->names[ask->nnames++] = before;
	return NULL;
}

/* ---- the body --------------------------------------------------------------------------------------- */

static bool
path_scalar(struct admind_ask *ask, const struct json_t *v, struct slice *out)
{
	size_t at = ask->texts.n;
	int64_t n;
	bool yes;

	if (json_get_str(v, out))
		buf_slice(&ask->texts, *out);
	else if (json_get_int(v, -JSON_INT_MOST, JSON_INT_MOST, &n))
		buf_i64(&ask->texts, n);
	else if (json_get_bool(v, &yes))
		buf_str(&ask->texts, yes ? "yes" : "no");
	else if (!json_none(v))
		return false;
	*out = slice(ask->texts.p + at, ask->texts.n - at);
	return slice_find(*out, '\0') == out->n;
}

static bool
path_setting(struct admind_ask *ask, struct slice name, const struct json_t *v)
{
	enum admin_how how = slice_ends(name, S("+")) ? ADMIN_ADD :
	    slice_ends(name, S("-"))                  ? ADMIN_TAKE :
							ADMIN_SET;
	size_t n = json_is(v, JSON_KIND_ARRAY) ? json_count(v) : 1, at = ask->texts.n;

	buf_slice(&ask->texts, how == ADMIN_SET ? name : slice_sub(name, 0, name.n - 1));
	name = slice(ask->texts.p + at, ask->texts.n - at);
	ask->settings = mem_grow(ask->settings, ask->nsettings + n + 1, sizeof(*ask->settings));
	for (size_t i = 0; i < n; i++) {
		struct admin_setting *s = &ask->settings[ask->nsettings];

		*s = (struct admin_setting){ .name = name, .how = how };
		if (!path_scalar(ask, json_is(v, JSON_KIND_ARRAY) ? json_at(v, i) : v, &s->value))
			return false;
		ask->nsettings++;
	}
	if (n == 0) /* an empty list: none */
		ask->settings[ask->nsettings++] = (struct admin_setting){ name, S(""), ADMIN_SET };
	return true;
}

/* All texts go into one buffer, which must not move under the slices that lead into it. */
static void
path_texts(struct admind_ask *ask, size_t more)
{
	struct buf b = { 0 };

	buf_grow(&b, ask->texts.n + more);
	buf_slice(&b, buf_get(&ask->texts));
	for (size_t i = 0; i < ask->nnames; i++)
		ask->names[i].p = b.p + (ask->names[i].p - ask->texts.p);
	buf_fini(&ask->texts);
	ask->texts = b;
}

static const char *
path_member(struct admind_ask *ask, struct slice name, const struct json_t *v)
{
	struct slice text;

	if (slice_eq(name, S("password"))) {
		if (!json_get_str(v, &text) || !text.n)
			return "password: a text is expected";
		secret_set(&ask->secret, text);
		return NULL;
	}
	if (slice_eq(name, S("names")) ||
	    (slice_eq(name, S("name")) && ask->created && ask->nnames == 0)) {
		size_t n = json_is(v, JSON_KIND_ARRAY) ? json_count(v) : 1;

		for (size_t i = 0; i < n; i++)
			if (ask->nnames == NELEM(ask->names) ||
			    !path_scalar(ask, json_is(v, JSON_KIND_ARRAY) ? json_at(v, i) : v,
				&ask->names[ask->nnames++]))
				return "names: a few texts are expected";
		return NULL;
	}
	return path_setting(ask, name, v) ? NULL :
					    "a setting is a text, a number or a list of these";
}

static const char *
path_body(struct admind_ask *ask, struct slice text)
{
	static const struct json_bounds bounds = { ADMIND_BODY_MOST, 4, 20000 };
	struct json_walk walk = { 0 };
	struct json_t *v = NULL;
	const char *why = NULL;

	if (!text.n)
		return NULL;
	if (json_read(text, &bounds, &v, &why) < 0)
		return why;
	if (!json_is(v, JSON_KIND_OBJECT))
		why = "the content is to be an object";
	path_texts(ask, text.n * 2 + 64); /* escapes make texts shorter; numbers at most double */
	while (!why && json_next(v, &walk))
		why = path_member(ask, walk.name, walk.value);
	json_free(&v);
	return why;
}

/* ---- the path ----------------------------------------------------------------------------------------- */

/* The verb of a method on a list, or on an entry. */
static const char *
path_method(enum http_verb method, bool entry)
{
	switch ((unsigned)method) {
	case HTTP_VERB_GET:
	case HTTP_VERB_HEAD: return entry ? "show" : "list";
	case HTTP_VERB_POST: return entry ? NULL : "create";
	case HTTP_VERB_PATCH: return entry ? "modify" : NULL;
	case HTTP_VERB_DELETE: return entry ? "delete" : NULL;
	default: return NULL;
	}
}

static const char *
path_object(struct slice path)
{
	for (size_t i = 0; i < NELEM(objects); i++)
		if (slice_eq(path, slice_str(objects[i].path)))
			return objects[i].object;
	return NULL;
}

/* 0, or the status of what is wrong. */
static unsigned
path_find(const struct http_head *h, struct admind_ask *ask)
{
	struct slice rest = slice_from(h->path, sizeof(API) - 1), object, name = S(""),
		     word = S("");
	const char *what, *verb;

	path_texts(ask, h->target.n + 64);
	(void)slice_cut(&rest, '/', &object);
	(void)slice_cut(&rest, '/', &name);
	(void)slice_cut(&rest, '/', &word);
	if (rest.n)
		return 404;
	if (!name.n) /* check, init: an object that is a verb */
		ask->verb = admin_verb_find(object, S(""));
	if (ask->verb)
		return h->verb == HTTP_VERB_GET ? 0 : 405;
	what = path_object(object);
	if (!what || (name.n && !path_decode(ask, name, false, &ask->names[ask->nnames++])))
		return 404;
	if (word.n && h->verb != HTTP_VERB_POST)
		return 405;
	verb = path_method(h->verb, name.n);
	if (!word.n && !verb)
		return 405;
	ask->verb = admin_verb_find(slice_str(what), word.n ? word : slice_str(verb));
	if (ask->verb && strcmp(ask->verb->object, "job") == 0 &&
	    strcmp(ask->verb->verb, "run") == 0)
		return 404; /* they are done here, without a request that waits: jobs.c */
	ask->list = ask->verb && strcmp(ask->verb->verb, "list") == 0;
	ask->created = ask->verb && strcmp(ask->verb->verb, "create") == 0;
	return ask->verb ? 0 : word.n ? 404 : 405;
}

/* ---- what is known without asking ---------------------------------------------------------------------- */

static enum http_next
path_verbs(struct admind_session *s)
{
	struct buf b = { 0 }, settings = { 0 };
	enum http_next next;

	buf_lit(&b, "{\"verbs\":[");
	for (size_t i = 0; i < admin_nverbs; i++) {
		const struct admin_verb *v = &admin_verbs[i];
		struct slice rest, word;

		buf_str(&b, i ? ",{" : "{");
		json_put_cstr(&b, "object", v->object);
		json_put_cstr(&b, "verb", v->verb);
		json_put_cstr(&b, "operands", v->operands);
		json_put_cstr(&b, "help", v->help);
		json_key(&b, "settings");
		buf_char(&b, '[');
		buf_clear(&settings);
		if (v->settings)
			admin_settings_list(v->object, &settings);
		rest = buf_get(&settings);
		for (bool more = false; slice_word(&rest, &word); more = true) {
			if (more)
				buf_char(&b, ',');
			json_str(&b, word);
		}
		buf_char(&b, ']');
		admind_rights_put(v, &b);
		buf_char(&b, '}');
	}
	buf_lit(&b, "]}");
	next = admind_json(s, 200, buf_get(&b));
	buf_fini(&b);
	buf_fini(&settings);
	return next;
}

static enum http_next
path_me(struct admind_session *s)
{
	struct buf b = { 0 };
	enum http_next next;

	buf_char(&b, '{');
	json_put_cstr(&b, "user", s->account);
	json_put_cstr(&b, "dn", s->dn);
	json_put_cstr(&b, "by", s->by_app ? "app" : s->by_code ? "code" : "password");
	buf_char(&b, '}');
	next = admind_json(s, 200, buf_get(&b));
	buf_fini(&b);
	return next;
}

/* ---- the request ---------------------------------------------------------------------------------------- */

/* RFC 9110 13.1.1: compared strongly, so a weak tag never fits, nor does what is none. */
static bool
path_version(struct admind_ask *ask, struct slice match)
{
	match = slice_trim(match);
	if (!match.n || slice_eq(match, S("*")))
		return true;
	if (match.n < 3 || match.p[0] != '"' ||
	    slice_find(slice_from(match, 1), '"') != match.n - 2)
		return false;
	ask->version = path_copy(slice_sub(match, 1, match.n - 2));
	return true;
}

/* What proves somebody is changed by who has given all of it; and with auth.second_factor nothing but that is
 * open to who has none yet. */
static const char *
path_factor(const struct admind_session *s, const struct admind_ask *ask)
{
	bool factor = strcmp(ask->verb->object, "factor") == 0;
	bool own = ask->nnames && slice_ieq(ask->names[0], slice_str(s->account));

	if (s->by_app && ask->verb->changes && (factor || strcmp(ask->verb->object, "app") == 0))
		return "app";
	if (admin_conf.second_factor && !s->by_app && !s->by_code && !(factor && own))
		return "second-factor-needed";
	return NULL;
}

static bool
path_confirms(const struct admind_session *s, const struct admind_ask *ask)
{
	return strcmp(ask->verb->object, "factor") == 0 &&
	    strcmp(ask->verb->verb, "confirm") == 0 && !ask->dry_run && ask->nnames &&
	    slice_ieq(ask->names[0], slice_str(s->account));
}

static enum http_next
path_refuse(struct admind_session *s, const char *code)
{
	return admind_problem(s, 403, code,
	    strcmp(code, "app") == 0 ?
		"This is not changed by who comes by an application password." :
		"Administration needs a second factor here: POST /api/v1/factors makes one.");
}

static enum http_next
path_go(struct admind_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct admind_ask ask = { .limit = 0 };
	unsigned status = path_find(h, &ask);
	const char *why = status ? NULL : path_query(&ask, h->query);
	enum http_next next;
	bool fits;

	if (!status && !why)
		why = path_body(&ask, buf_get(&s->body));
	if (ask.list && !ask.limit)
		ask.limit = 200;
	fits = path_version(&ask, http_head_value(h, S("If-Match")));
	ask.what = mem_printf(SFMT "?" SFMT "&" SFMT "&%s", SARG(h->path), /* what a page is of */
	    SARG(ask.nnames > 0 ? ask.names[0] : S("")),
	    SARG(ask.nnames > 1 ? ask.names[1] : S("")), ask.sort ? ask.sort : "");
	if (status == 405)
		next = http_server_refuse_verb(&s->http,
		    HTTP_VERB_GET | HTTP_VERB_POST | HTTP_VERB_PATCH | HTTP_VERB_DELETE);
	else if (status)
		next = admind_problem(s, status, "path", "There is nothing of this name.");
	else if (why)
		next = admind_problem(s, 400, "malformed", why);
	else if (!fits)
		next = admind_problem(s, 412, "changed",
		    "If-Match names no version that an entry could have.");
	else if ((why = path_factor(s, &ask)))
		next = path_refuse(s, why);
	else {
		s->confirms = path_confirms(s, &ask);
		next = admind_work_start(s, &ask);
	}
	admind_ask_fini(&ask);
	return next;
}

static enum http_next
path_bytes(struct http_server *http, struct slice bytes)
{
	buf_slice(&admind_of(http)->body, bytes);
	return HTTP_NEXT;
}

static enum http_next
path_end(struct http_server *http)
{
	return path_go(admind_of(http));
}

static const struct http_taker taker = { "api", path_bytes, path_end, NULL };

static bool
path_is_json(const struct http_head *h)
{
	struct slice type = http_head_value(h, S("Content-Type"));

	return slice_ieq(slice_trim(slice_sub(type, 0, slice_find(type, ';'))),
	    S("application/json"));
}

enum http_next
admind_route(struct admind_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	bool reads = h->verb == HTTP_VERB_GET || h->verb == HTTP_VERB_HEAD;

	if (slice_starts(h->path, S("/scim/")))
		return admind_scim(s);
	if (slice_eq(h->path, S("/session")))
		return reads ? admind_front_session(s) :
			       http_server_refuse_verb(&s->http, HTTP_VERB_GET | HTTP_VERB_HEAD);
	if (slice_eq(h->path, S("/password")))
		return admind_front_password(s);
	if (reads && slice_eq(h->path, S(API "verbs")))
		return path_verbs(s);
	if (reads && slice_eq(h->path, S(API "me")))
		return path_me(s);
	if (!slice_starts(h->path, S(API)))
		return admind_problem(s, 404, "path", "There is nothing of this name.");
	if (reads || h->length == 0)
		return path_go(s);
	if (!path_is_json(h))
		return admind_problem(s, 415, "type", "The content is to be application/json.");
	return http_server_take(&s->http, &taker, ADMIND_BODY_MOST);
}
