/* memd/body.c: a small text in JSON that memd itself is told: logins, changes of a password.
 *
 * Owns the octets while they come, in the request's arena, and the tree while `then` has it.  Called by login.c and
 * password.c.  Can fail: what the client sends, which is 400 in words.  Must stay true: such texts have passwords
 * in them, so nothing of one is left in memory when `then` has returned: neither the octets nor the tree's texts. */
#include "memd.h"

#define BODY_MOST 4096

static const struct json_bounds body_bounds = { .octets = BODY_MOST, .depth = 2, .values = 32 };

struct memd_text {
	char bytes[BODY_MOST];
	size_t n;
	memd_body_then then;
};

/* All texts of an object; what lies deeper is nobody's. */
static void
body_erase(const struct json_t *v)
{
	struct json_walk w = { 0 };

	while (json_next(v, &w)) {
		struct slice text = json_text(w.value);

		if (text.n)
			secret_clear((char *)(uintptr_t)text.p, text.n);
	}
}

static enum http_next
body_over(struct http_server *http)
{
	struct memd_session *s = memd_of(http);
	struct memd_text *text = http->data;
	struct json_t *v = NULL;
	const char *why = NULL;
	enum http_next next;

	if (json_read(slice(text->bytes, text->n), &body_bounds, &v, &why) == 0)
		next = text->then(s, v);
	else
		next = memd_problem(s, 400, "malformed", why);
	body_erase(v);
	json_free(&v);
	secret_clear(text->bytes, text->n);
	return next;
}

static enum http_next
body_taken(struct http_server *http, struct slice bytes)
{
	struct memd_text *text = http->data;

	must(bytes.n <= sizeof(text->bytes) - text->n); /* http_server_take has said so */
	memcpy(text->bytes + text->n, bytes.p, bytes.n);
	text->n += bytes.n;
	return HTTP_NEXT;
}

static const struct http_taker body_taker = { .name = "text",
	.bytes = body_taken,
	.end = body_over };

enum http_next
memd_body(struct memd_session *s, memd_body_then then)
{
	struct memd_text *text = arena_new(&s->http.arena, sizeof(*text));

	text->then = then;
	s->http.data = text;
	return http_server_take(&s->http, &body_taker, BODY_MOST);
}
