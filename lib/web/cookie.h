/* web/cookie.h: cookies of our own faces (RFC 6265).  Pure.
 *
 * Those that say who somebody is are `__Host-` ones: Secure, for this host alone, for every path, so that no neighbour and
 * no page without TLS can set one (RFC 6265bis 4.1.3.2); HttpOnly and SameSite=Strict, because no script needs them and
 * no other site has a reason to send one.  One of a login elsewhere is SameSite=Lax, for it is the other site that sends the
 * browser back. */
#ifndef WEB_COOKIE_H
#define WEB_COOKIE_H
#include "http/reader.h"

/* The value of the cookie `name` in the request; p NULL when there is none.  Of several the first: a browser
 * sends the one with the longest path first, and ours have all the same. */
struct slice web_cookie_find(const struct http_head *h, struct slice name);
struct web_cookie {
	struct slice name, value;
	int64_t age_s;
	const char *path; /* NULL: "/", which `__Host-` must have */
	bool lax; /* also with a navigation that begins at another site (RFC 6265bis 5.8.3) */
};
void web_cookie_put(struct buf *b, const struct web_cookie *c);
/* Appends the value of Set-Cookie; `value` is made of letters, digits, "-" and "_".  age_s 0: the cookie goes. */
void web_cookie_write(struct buf *b, struct slice name, struct slice value, int64_t age_s);
#endif
