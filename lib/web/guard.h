/* web/guard.h: what a browser says of where a request comes from, for faces that know people by a cookie.  Pure.
 *
 * Browsers say it by Sec-Fetch-Site (Fetch Metadata Request Headers 2.4) and Origin (RFC 6454 7), and no page can
 * say otherwise; other programs say nothing. */
#ifndef WEB_GUARD_H
#define WEB_GUARD_H
#include "http/reader.h"

/* Does it come from a page of ours (or, `typed`, from the person himself: an address that was typed, a bookmark)?
 * Who says nothing is no browser, or one of before 2023 with a GET: only `typed` lets those in. */
bool web_guard_own(const struct http_head *h, bool typed);
/* Did a browser send it? */
bool web_guard_browser(const struct http_head *h);
/* Is this value of Origin the host that the request is for? */
bool web_guard_origin(const struct http_head *h, struct slice origin);
/* Is its content application/json, which no form of another page makes? */
bool web_guard_json(const struct http_head *h);
#endif
