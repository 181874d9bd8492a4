/* http/h2-stream-impl.h: a connection of HTTP/2 and its streams, for h2.c, h2-stream.c and nobody else. */
#ifndef HTTP_H2_STREAM_IMPL_H
#define HTTP_H2_STREAM_IMPL_H
#include <nghttp2/nghttp2.h>

#include "http/client.h"
#include "http/h2-impl.h"

struct http_h2 {
	struct http_server *s;
	nghttp2_session *session;
	struct http_pool pool;
	struct list streams;
	size_t nstreams;
	int32_t heading; /* the stream whose head has begun, and is not over; 0: none */
	uint8_t time;    /* enum h2_time: what is waited for */
};

struct h2_stream {
	struct http_h2 *h;
	struct list link;
	int32_t id;
	struct h2_head head;
	struct buf body; /* what came of it before it could be passed on */
	size_t owed;     /* octets of its window that are not open again */
	bool body_over;  /* the client has said all */
	bool bodyless;   /* ... with the head */
	/* within */
	struct http_client *client; /* lent; NULL: not yet, or not any more */
	struct op op;               /* until there is one */
	bool asked;
	/* the answer */
	struct buf pending; /* from `at` on */
	size_t at;
	bool headed;   /* its head is on its way */
	bool ended;    /* it is complete */
	bool lost;     /* it will not be */
	bool deferred; /* nghttp2 waits for more of it */
	bool paused;   /* the client within does */
	bool owing;    /* it is the reader's turn, until `time` */
	struct deadline time;
	size_t paced; /* octets since that was set */
	bool spent;   /* the answer is out before all of the request was said */
	size_t past;  /* octets of it since then */
};

/* h2.c: there is more to be written. */
void http_h2_wake(struct http_h2 *h);

/* h2-stream.c */
struct h2_stream *http_h2_stream_new(struct http_h2 *h, int32_t id) MUSTCHECK;
void http_h2_stream_free(struct h2_stream *st);
/* Its head is complete; `over`: and it is all of the request. */
void http_h2_stream_ask(struct h2_stream *st, bool over);
/* A piece of its body, which is taken or kept; the end of it. */
void http_h2_stream_body(struct h2_stream *st, struct slice piece);
void http_h2_stream_over(struct h2_stream *st);
/* All of the answer is out. */
void http_h2_stream_answered(struct h2_stream *st);
#endif
