/* http/h2-impl.h: HTTP/2 (RFC 9113) on a connection that TLS has given to it (ALPN "h2"), by libnghttp2, which lives
 * in h2.c only.  For server.c alone.
 *
 * Frames are nghttp2's, and what a request means is the HTTP/1.1 server's: each stream is said anew on a connection
 * within this process (a pair of sockets) to a server of its own, which policy.within makes, and which serves stream
 * after stream, as a browser's six connections do.  So there is one order of limits, times, bodies and answers, the
 * owner sees one kind of request, and a stream counts as a connection does.  Back-pressure goes through: a stream's
 * window opens as its server reads, and its server waits when the client does not read. */
#ifndef HTTP_H2_IMPL_H
#define HTTP_H2_IMPL_H
#include "http/server.h"

#define HTTP_H2_STREAMS 100 /* at once, RFC 9113 5.1.2 */

struct http_h2;
/* The server's connection is one of HTTP/2 from its first octet on. */
struct http_h2 *http_h2_new(struct http_server *s) MUSTCHECK;
/* Streams end without a word. */
void http_h2_free(struct http_h2 **h);
/* As line_events.step. */
enum line_next http_h2_step(struct http_h2 *h);
/* Is a stream open? */
bool http_h2_busy(const struct http_h2 *h);
/* No further streams (GOAWAY); those that are open go on. */
void http_h2_drain(struct http_h2 *h);
/* The last words. */
void http_h2_bye(struct http_h2 *h);

/* ---- h2-head.c */
struct h2_head {
	struct buf method, path, authority;
	struct buf fields; /* name NUL value NUL ... */
	size_t octets, nfields;
	uint64_t length; /* Content-Length, or HTTP_LENGTH_UNKNOWN, as whoever makes it sets */
	bool bad;        /* a part of it is not as it must be */
	bool large;      /* it is longer than the bounds */
};
/* `keep`: it is none of a trailer. */
void http_h2_head_add(struct h2_head *head, const struct http_bounds *bounds, struct slice name,
    struct slice value, bool keep);
bool http_h2_head_good(const struct h2_head *head);
void http_h2_head_fini(struct h2_head *head); /* wiped */
/* Is the field about a connection, not about the message?  RFC 9113 8.2.2 */
bool http_h2_of_connection(struct slice name);
#endif
