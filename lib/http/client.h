/* http/client.h: HTTP/1.1 on the asking side (RFC 9110, RFC 9112): connections to peers that answer us, one
 * request after the other on each, bodies both ways with back-pressure, and those at rest kept for the next.
 *
 *	connect_start --> http_dial_start --> client --> http_client_ask .. _body .. _piece .. _done
 *	http_pool_take ----------------------> client ----^         \--> head --> bytes* --> end, or failed
 *
 * A client is its asker's from http_dial_start's `done` or http_pool_take until `end` or `failed` is told, or
 * until http_client_drop.  After `end` it goes back to its pool by itself when the connection may be used
 * again, and else is closed.  Events come from the loop only, never from inside a call.
 *
 * What is read of a peer is what http/reader.h lets through; interim answers are passed over.  No field is
 * written that has a line end in it.  Nothing is asked again by itself: `failed` says whether the peer may have
 * seen the request, and who asked knows whether it may be repeated (RFC 9110 9.2.2). */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H
#include "base/map.h"
#include "http/reader.h"
#include "net/op.h"
#include "net/stream.h"

struct http_client;
struct http_asker {
	/* The final answer's head; valid until `end`. */
	void (*head)(void *arg, const struct http_head *h);
	void (*bytes)(void *arg, struct slice piece); /* of its body; valid until it returns */
	void (*end)(void *arg); /* all of it: the client is nobody's any more */
	/* http_client_full was true and is not any more.  May be NULL. */
	void (*room)(void *arg);
	/* It is over without an end; `why` is a literal or lives until it returns.  `untouched`: this was a
	 * connection that had been at rest, and not one octet of an answer has come. */
	void (*failed)(void *arg, const char *why, bool untouched);
};

/* Connections at rest, by the key of their peer. */
struct http_pool {
	struct loop *loop;
	struct list idle; /* the last that came to rest first */
	size_t n;
	size_t most;      /* in all; beyond it the oldest goes */
	uint32_t rest_ms; /* then it is closed */
	unsigned epoch;   /* http_pool_clear begins another */
};
void http_pool_init(struct http_pool *p, struct loop *l, size_t most, uint32_t rest_ms);
/* One at rest of the peer `key`, NULL when there is none. */
struct http_client *http_pool_take(struct http_pool *p, struct slice key);
/* A reload: closes all that rest, and lets none of those that are lent or on their way come to rest, for their peer
 * may be another one by now. */
void http_pool_clear(struct http_pool *p);

/* TLS on a connected socket (ctx NULL: none): done(arg, client, NULL), or done(arg, NULL, why).  0, or -errno:
 * then the fd stays the caller's, and `done` is not called.  `key` says whose it is, and must be one peer's alone;
 * `epoch` is p->epoch of when its address was looked up. */
int http_dial_start(struct http_pool *p, struct slice key, unsigned epoch, int fd,
    struct tls_ctx *ctx, const char *name, uint32_t timeout_ms, struct op *op,
    void (*done)(void *arg, struct http_client *c, const char *why), void *arg) MUSTCHECK;

/* A request: _ask, any number of _field, then _body, then of a body its pieces and _done.  `method` and
 * `target` are as a reader has let them through; `host` is the Host field. */
void http_client_ask(struct http_client *c, const struct http_asker *asker, void *arg,
    struct slice method, struct slice target, struct slice host);
void http_client_field(struct http_client *c, const char *name, struct slice value);
/* The peer is known to say a length with 204, against RFC 9110 8.6: its answer counts, and the connection is not used
 * again. */
void http_client_strays(struct http_client *c);
/* The head is written.  Of `length` octets, HTTP_LENGTH_UNKNOWN: in chunks; `none`: no body, and no field
 * about one.  The peer may be silent for `silence_ms` whenever it is its turn. */
void http_client_body(struct http_client *c, uint64_t length, bool none, uint32_t silence_ms);
/* From now on so long; 0: for ever. */
void http_client_silence(struct http_client *c, uint32_t silence_ms);
void http_client_piece(struct http_client *c, struct slice piece);
void http_client_done(struct http_client *c);
/* Is so much unsent that `room` is to be waited for? */
bool http_client_full(struct http_client *c);
/* No `bytes` until http_client_go: at most what one read brings comes yet. */
void http_client_pause(struct http_client *c);
void http_client_go(struct http_client *c);
/* Whoever asked does not want it any more: it is closed, and nothing is told. */
void http_client_drop(struct http_client **c);
/* Of the answer, from `head` until `end` or `failed`. */
const struct http_head *http_client_head(const struct http_client *c);
#endif
