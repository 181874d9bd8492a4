/* web/cookie.c: see cookie.h. */
#include "web/cookie.h"

#include "base/must.h"

/* RFC 6265 5.4: "a=1; b=2"; a browser may send several fields by HTTP/2 only, and then they are ours together. */
static struct slice
cookie_in(struct slice list, struct slice name)
{
	struct slice pair;

	while (slice_cut(&list, ';', &pair)) {
		size_t eq = slice_find(pair, '=');

		if (eq < pair.n && slice_eq(slice_trim(slice_sub(pair, 0, eq)), name))
			return slice_trim(slice_from(pair, eq + 1));
	}
	return slice(NULL, 0);
}

struct slice
web_cookie_find(const struct http_head *h, struct slice name)
{
	for (size_t i = 0; i < h->nfields; i++) {
		struct slice v;

		if (!slice_ieq(h->fields[i].name, S("Cookie")))
			continue;
		v = cookie_in(h->fields[i].value, name);
		if (v.p)
			return v;
	}
	return slice(NULL, 0);
}

void
web_cookie_put(struct buf *b, const struct web_cookie *c)
{
	must(c->path ? slice_starts(c->name, S("__Secure-")) : slice_starts(c->name, S("__Host-")));
	buf_slice(b, c->name);
	buf_char(b, '=');
	buf_slice(b, c->value);
	buf_printf(b, "; Path=%s; Max-Age=%lld; Secure; HttpOnly; SameSite=%s",
	    c->path ? c->path : "/", (long long)c->age_s, c->lax ? "Lax" : "Strict");
}

void
web_cookie_write(struct buf *b, struct slice name, struct slice value, int64_t age_s)
{
	struct web_cookie c = { .name = name, .value = value, .age_s = age_s };

	web_cookie_put(b, &c);
}
