/* memd/route.c: from a request's path to who answers it.
 *
 * Owns the table of paths.  Called by http/server for each request.  Nothing can fail.  Must stay true: what is
 * no file and no path of the table is answered with the client's page only to whom navigates there; a script or
 * a style that is not there is 404, never a page that a browser would try to run. */
#include "base/mem.h"
#include "memd.h"

/* ---- files ------------------------------------------------------------------------------------------- */

/* Is it an address of the client's own, like /mail/inbox/42?  Those have no dot in the last part. */
static bool
route_of_client(const struct http_head *h)
{
	struct slice mode = http_head_value(h, S("Sec-Fetch-Mode")),
		     accept = http_head_value(h, S("Accept"));
	struct slice last = slice_from(h->path, slice_rfind(h->path, '/') + 1);

	if (slice_find(last, '.') < last.n)
		return false;
	if (mode.p)
		return slice_eq(mode, S("navigate"));
	return !accept.p || slice_find_str(accept, S("text/html")) < accept.n ||
	    slice_find_str(accept, S("*/*")) < accept.n;
}

static enum http_next
route_file(struct memd_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct slice path = h->path;

	if (!(h->verb & (HTTP_VERB_GET | HTTP_VERB_HEAD)))
		return http_server_refuse_verb(&s->http, HTTP_VERB_GET | HTTP_VERB_HEAD);
	if (!web_files_have(memd.files, path))
		path = slice_ends(path, S("/")) || route_of_client(h) ? S("/index.html") : path;
	if (web_files_have(memd.files, path))
		return web_files_answer(memd.files, &s->http, path, memd_guard_page);
	return memd_problem(s, 404, "path", "There is nothing here.");
}

/* ---- JMAP -------------------------------------------------------------------------------------------- */

/* RFC 8620 has POST with JSON, uploads, and the rest is GET. */
static bool
route_of_upload(const struct http_head *h)
{
	return slice_starts(h->path, S("/jmap/upload/"));
}

/* CORS asks beforehand, without credentials (Fetch standard 3.2.2). */
static enum http_next
route_preflight(struct memd_session *s)
{
	http_server_answer(&s->http, 204);
	memd_guard_fields(s);
	if (s->origin) {
		http_server_field(&s->http, "Access-Control-Allow-Methods", S("GET, POST"));
		http_server_field(&s->http, "Access-Control-Allow-Headers",
		    S("Authorization, Content-Type, Last-Event-ID"));
		http_server_field(&s->http, "Access-Control-Max-Age", S("86400"));
	}
	return http_server_empty(&s->http);
}

static enum http_next
route_jmap(struct memd_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	bool own = !http_head_find(h, S("Authorization"));

	if (!memd_guard_cors(s)) {
		metric_add(M_FOREIGN, 1);
		return memd_problem(s, 403, "foreign", "Pages of this site may not ask here.");
	}
	if (memd_guard_runs(h)) {
		metric_add(M_FOREIGN, 1);
		return memd_problem(s, 403, "program", "What people were sent is no program.");
	}
	if (h->verb == HTTP_VERB_OPTIONS)
		return route_preflight(s);
	if (!(h->verb & (HTTP_VERB_GET | HTTP_VERB_HEAD | HTTP_VERB_POST)))
		return http_server_refuse_verb(&s->http,
		    HTTP_VERB_GET | HTTP_VERB_HEAD | HTTP_VERB_POST | HTTP_VERB_OPTIONS);
	/* No form of another page makes this type. */
	if (own && h->verb == HTTP_VERB_POST && !route_of_upload(h) && !web_guard_json(h))
		return memd_problem(s, 415, "type", "The content must be application/json.");
	metric_add(M_API, 1);
	return memd_auth_start(s, memd_proxy_start);
}

/* ---- the table ----------------------------------------------------------------------------------------- */

static const struct {
	const char *path;
	bool below; /* and all that begins with it */
	enum http_next (*answer)(struct memd_session *);
} routes[] = {
	{ "/login", false, memd_login },
	{ "/logout", false, memd_logout },
	{ "/signon", false, memd_signon },
	{ "/signon/back", false, memd_signon_back },
	{ "/signon/about", false, memd_signon_about },
	{ "/signon/failed", false, memd_signon_failed },
	{ "/session", false, memd_whoami },
	{ "/sessions", false, memd_sessions },
	{ "/password", false, memd_password },
	{ "/.well-known/autoconfig/mail/config-v1.1.xml", false, memd_autoconfig },
	{ "/mail/config-v1.1.xml", false, memd_autoconfig }, /* at autoconfig.DOMAIN */
	{ "/autodiscover/autodiscover.xml", false, memd_autodiscover },
	{ "/Autodiscover/Autodiscover.xml", false, memd_autodiscover },
	{ "/.well-known/jmap", false, route_jmap },
	{ "/jmap/", true, route_jmap },
	{ "/", true, route_file },
};

/* A Host without its port; numeric IPv6 has colons of its own. */
static struct slice
route_name(struct slice host)
{
	size_t end = slice_starts(host, S("[")) ? slice_find(host, ']') + 1 : slice_find(host, ':');

	return slice_sub(host, 0, end);
}

/* From port 80: the same address over TLS. */
static enum http_next
route_redirect(struct memd_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct slice host = route_name(h->host);
	char *to;

	if (host.n == 0 || !slice_starts(h->target, S("/")))
		return http_server_error(&s->http, 400, NULL);
	to = mem_printf("https://" SFMT SFMT, SARG(host), SARG(h->target));
	http_server_answer(&s->http, 308);
	http_server_field(&s->http, "Location", slice_str(to));
	mem_free(&to);
	return http_server_content(&s->http, "text/plain; charset=utf-8", S("Only over TLS.\n"));
}

enum http_next
memd_request(struct http_server *http)
{
	struct memd_session *s = memd_of(http);
	const struct http_head *h = http_server_head(http);

	if (s->role == MEMD_REDIRECT)
		return route_redirect(s);
	for (size_t i = 0; i < NELEM(routes); i++) {
		struct slice path = slice_str(routes[i].path);

		if (routes[i].below ? slice_starts(h->path, path) : slice_eq(h->path, path))
			return routes[i].answer(s);
	}
	return memd_problem(s, 404, "path", "There is nothing here.");
}
