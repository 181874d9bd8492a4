/* web/guard.c: see guard.h. */
#include "web/guard.h"

#include <string.h>

bool
web_guard_browser(const struct http_head *h)
{
	return http_head_find(h, S("Sec-Fetch-Site")) || http_head_find(h, S("Sec-Fetch-Mode")) ||
	    http_head_find(h, S("Origin"));
}

/* Origin is scheme and Host: TLS may have ended before us, but browsers have it. */
bool
web_guard_origin(const struct http_head *h, struct slice origin)
{
	return slice_starts(origin, S("https://")) &&
	    slice_ieq(slice_from(origin, strlen("https://")), h->host);
}

bool
web_guard_own(const struct http_head *h, bool typed)
{
	struct slice site = http_head_value(h, S("Sec-Fetch-Site")),
		     origin = http_head_value(h, S("Origin"));

	if (origin.p && !web_guard_origin(h, origin))
		return false;
	if (site.p)
		return slice_eq(site, S("same-origin")) || (typed && slice_eq(site, S("none")));
	return origin.p || typed;
}

bool
web_guard_json(const struct http_head *h)
{
	struct slice value = http_head_value(h, S("Content-Type")), type = { 0 };

	return slice_cut(&value, ';', &type) && slice_ieq(slice_trim(type), S("application/json"));
}
