/* memd/guard.c: pages of other sites that may ask, and what a browser is told to do with an answer.
 *
 * Owns nothing.  Called by route.c and whoever answers.  Nothing can fail.  Whether a request comes from a page of ours
 * is web/guard.h's to say.  Must stay true: what people were sent never runs in our origin. */
#include "base/json.h"
#include "base/mem.h"
#include "memd.h"

/* ---- where it comes from (the rest of that is web/guard.h) ------------------------------------------ */

/* Fetch standard 2.2.5.  An attachment has the address, and is asked for with the type, that somebody names: to
 * `script-src 'self'` it is a script of ours. */
static const char *const running[] = { "audioworklet", "embed", "manifest", "object",
	"paintworklet", "script", "serviceworker", "sharedworker", "style", "worker", "xslt" };

bool
memd_guard_runs(const struct http_head *h)
{
	struct slice dest = http_head_value(h, S("Sec-Fetch-Dest"));

	for (size_t i = 0; i < NELEM(running); i++)
		if (slice_eq(dest, slice_str(running[i])))
			return true;
	return false;
}

bool
memd_guard_cors(struct memd_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct slice origin = http_head_value(h, S("Origin"));

	if (!origin.p || web_guard_origin(h, origin))
		return true;
	for (char **o = config.origins; o && *o; o++)
		if (slice_eq(slice_str(*o), origin)) {
			s->origin = mem_strn(origin.p, origin.n);
			return true;
		}
	return false;
}

/* ---- what is to be done with it ------------------------------------------------------------------- */

static void
guard_common(struct memd_session *s)
{
	struct http_server *http = &s->http;
	char text[48];

	http_server_field(http, "X-Content-Type-Options", S("nosniff"));
	http_server_field(http, "Referrer-Policy", S("no-referrer"));
	if (config.hsts == 0)
		return;
	(void)snprintf(text, sizeof(text), "max-age=%lld", (long long)(config.hsts / 1000));
	http_server_field(http, "Strict-Transport-Security", slice_str(text));
}

void
memd_guard_fields(struct memd_session *s)
{
	struct http_server *http = &s->http;

	guard_common(s);
	/* An attachment that a browser shows: of our origin in name only. */
	http_server_field(http, "Content-Security-Policy",
	    S("default-src 'none'; frame-ancestors 'none'; sandbox"));
	if (!s->origin) {
		http_server_field(http, "Cross-Origin-Resource-Policy", S("same-origin"));
		return;
	}
	http_server_field(http, "Cross-Origin-Resource-Policy", S("cross-origin"));
	http_server_field(http, "Access-Control-Allow-Origin", slice_str(s->origin));
	http_server_field(http, "Vary", S("Origin"));
}

#define GUARD_FRAME                                                                                \
	"; frame-ancestors 'self'; sandbox allow-same-origin allow-popups "                        \
	"allow-popups-to-escape-sandbox"

/* The page, and those whose documents hold a message: no script runs there, whatever cleaning has missed. */
static const struct {
	const char *path, *policy;
} pages[] = {
	{ "/sandbox.html",
	    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data: "
	    "blob:" GUARD_FRAME },
	{ "/pictures.html",
	    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data: blob: https: "
	    "http:" GUARD_FRAME },
};
#define GUARD_PAGE                                                                                 \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "    \
	"font-src 'self'; connect-src 'self'; frame-src 'self'; manifest-src 'self'; "             \
	"worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "         \
	"require-trusted-types-for 'script'; trusted-types dompurify default"

void
memd_guard_page(struct http_server *http, struct slice path)
{
	const char *policy = GUARD_PAGE;
	bool frame = false;

	for (size_t i = 0; i < NELEM(pages); i++)
		if (slice_eq(path, slice_str(pages[i].path))) {
			policy = pages[i].policy;
			frame = true;
		}
	guard_common(memd_of(http));
	http_server_field(http, "Content-Security-Policy", slice_str(policy));
	http_server_field(http, "X-Frame-Options", frame ? S("SAMEORIGIN") : S("DENY"));
	http_server_field(http, "Cross-Origin-Resource-Policy", S("same-origin"));
	if (!frame)
		http_server_field(http, "Cross-Origin-Opener-Policy", S("same-origin"));
	http_server_field(http, "Permissions-Policy",
	    S("camera=(), geolocation=(), microphone=(), payment=(), usb=()"));
}

/* ---- answers of our own ----------------------------------------------------------------------------- */

enum http_next
memd_json(struct memd_session *s, unsigned status, struct slice text)
{
	struct http_server *http = &s->http;

	if (http->output == HTTP_SILENT)
		http_server_answer(http, status);
	memd_guard_fields(s);
	http_server_field(http, "Cache-Control", S("no-store"));
	return http_server_content(http,
	    status < 400 ? "application/json" : "application/problem+json", text);
}

enum http_next
memd_problem(struct memd_session *s, unsigned status, const char *code, const char *detail)
{
	struct buf b = { 0 };
	enum http_next next;

	buf_char(&b, '{');
	json_put_i64(&b, "status", status);
	json_put_cstr(&b, "title", http_reason(status));
	json_put_cstr(&b, "code", code);
	json_put_cstr(&b, "detail", detail);
	buf_lit(&b, "}\n");
	next = memd_json(s, status, buf_get(&b));
	buf_fini(&b);
	return next;
}
