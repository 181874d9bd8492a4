/* jmapd/route.c: what a request asks for, by its path.
 *
 * The only table of paths; auth.c calls when it is known who asks.  A path that is none is 404 whatever
 * the verb; verbs that a path has not are 405. */
#include "base/json.h"
#include "blob.h"

enum http_next
route_problem(struct session *s, unsigned status, const char *type, const char *detail)
{
	struct buf b = { 0 };
	enum http_next next;

	buf_char(&b, '{');
	json_put_cstr(&b, "type", type);
	json_put_i64(&b, "status", status);
	json_put_cstr(&b, "detail", detail);
	buf_char(&b, '}');
	http_server_answer(&s->http, status);
	next = http_server_content(&s->http, "application/problem+json", buf_get(&b));
	buf_fini(&b);
	return next;
}

struct slice
route_decode(struct arena *a, struct slice s, bool plus)
{
	char *out = arena_new(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && ascii_hex(s.p[i + 1]) >= 0 &&
		    ascii_hex(s.p[i + 2]) >= 0) {
			out[n++] = (char)(ascii_hex(s.p[i + 1]) << 4 | ascii_hex(s.p[i + 2]));
			i += 2;
		} else {
			out[n++] = s.p[i] == '+' && plus ? ' ' : s.p[i];
		}
	}
	return slice(out, n);
}

struct slice
route_query(struct session *s, struct slice name)
{
	struct slice query = http_server_head(&s->http)->query, pair, key;

	while (slice_cut(&query, '&', &pair))
		if (slice_cut(&pair, '=', &key) && slice_eq(key, name))
			return route_decode(&s->http.arena, pair, true);
	return slice(NULL, 0);
}

static enum http_next
route_resource(struct session *s, struct slice rest)
{
	return rest.n == 0 ? resource_get(s) : http_server_error(&s->http, 404, NULL);
}

static enum http_next
route_api(struct session *s, struct slice rest)
{
	return rest.n == 0 ? api_post(s) : http_server_error(&s->http, 404, NULL);
}

static const struct route {
	struct slice path;
	unsigned verbs; /* bits of enum http_verb */
	enum http_next (*handle)(struct session *, struct slice rest);
	bool whoever; /* also for a session of the web that does not live */
} routes[] = {
	{ S("/.well-known/jmap"), HTTP_VERB_GET | HTTP_VERB_HEAD, route_resource, false },
	{ S("/jmap/session"), HTTP_VERB_GET | HTTP_VERB_HEAD, route_resource, false },
	{ S("/jmap/api"), HTTP_VERB_POST, route_api, false },
	{ S("/jmap/upload/"), HTTP_VERB_POST, upload_post, false },
	{ S("/jmap/events"), HTTP_VERB_GET, events_get, false },
	{ S("/jmap/download/"), HTTP_VERB_GET | HTTP_VERB_HEAD, download_get, false },
	{ S("/sessions/begin"), HTTP_VERB_POST, websession_begin, true },
	{ S("/sessions/end"), HTTP_VERB_POST, websession_end, true },
	{ S("/sessions/seen"), HTTP_VERB_POST, websession_seen, false },
	{ S("/sessions/check"), HTTP_VERB_GET, websession_check, false },
	{ S("/sessions"), HTTP_VERB_GET, websession_list, false },
};

/* Whose session of the web is over hears that, and nothing else. */
static bool
route_barred(struct session *s, enum http_next *next)
{
	switch (websession_state(s)) {
	case WEBSESSION_OVER: *next = websession_over(s); return true;
	case WEBSESSION_AWAY: *next = websession_away(s); return true;
	case WEBSESSION_NONE:
	case WEBSESSION_LIVES: break;
	}
	return false;
}

enum http_next
route_request(struct session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	enum http_next next;

	for (size_t i = 0; i < NELEM(routes); i++) {
		const struct route *r = &routes[i];

		if (!slice_starts(h->path, r->path))
			continue;
		if (!(h->verb & r->verbs))
			return http_server_refuse_verb(&s->http, r->verbs);
		if (!r->whoever && route_barred(s, &next))
			return next;
		return r->handle(s, slice_from(h->path, r->path.n));
	}
	return http_server_error(&s->http, 404, NULL);
}
