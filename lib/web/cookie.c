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
web_cookie_write(struct buf *b, struct slice name, struct slice value, int64_t age_s)
{
	must(slice_starts(name, S("__Host-")));
	buf_slice(b, name);
	buf_char(b, '=');
	buf_slice(b, value);
	buf_printf(b, "; Path=/; Max-Age=%lld; Secure; HttpOnly; SameSite=Strict",
	    (long long)age_s);
}
