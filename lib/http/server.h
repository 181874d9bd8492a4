/* http/server.h: one HTTP connection on the serving side (RFC 9110, RFC 9112; RFC 9113 where the owner takes it and TLS
 * has chosen it: h2-impl.h): requests in order,
 * bodies both ways with back-pressure, limits and time.  What a request means is its owner's, a struct
 * http_policy; octets are http/reader.h's.
 *
 *	REST --> HEADING --> BODY --> READ --> REST ...
 *	                       \--------\--> answered: SILENT --> SAYING --> SAID
 *
 * One request is in flight at a time, so that answers to pipelined ones come in order.  policy.request
 * is called when the head is there.  It answers (below), or says who takes the body (http_server_take),
 * or starts an operation on s->op and returns HTTP_WAIT; its continuation ends in http_server_resume.
 * While it waits nothing is read but what one read brings, so the client feels it.  Contents of any
 * length are cursors: s->more writes a piece, some ten KiB, and is called again when it is this
 * session's turn and the peer has read.  A request's memory is s->arena and is gone when it ends.
 *
 * The peer has `head_ms` for a head, `idle_ms` to begin one, and `pace_ms` for each HTTP_PACE octets of a
 * body in either direction: one that sends or reads an octet a second is not kept alive by it.  A body
 * that nobody takes is read over when it is small, and else the connection ends with the answer; but not before
 * the client has had some seconds to read that. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H
#include "base/arena.h"
#include "http/reader.h"
#include "http/text.h"
#include "net/line-session.h"
#include "net/op.h"

#define HTTP_PACE 65536

struct http_server;
enum http_next {
	HTTP_NEXT, /* the answer is written; or the taker is to have (more of) the body */
	HTTP_WAIT, /* an operation is pending: http_server_resume */
	HTTP_PULL, /* the answer goes on with its cursor s->more */
	HTTP_CLOSE /* the answer cannot be ended as it was begun: the connection is */
};

/* Who takes a body. */
struct http_taker {
	const char *name;
	/* `bytes` are valid until it returns. */
	enum http_next (*bytes)(struct http_server *, struct slice bytes);
	/* That was all of it: answers now, or after an operation. */
	enum http_next (*end)(struct http_server *);
	/* The rest will not come; what was taken is let go.  May be NULL. */
	void (*gone)(struct http_server *);
};

struct http_limits {
	struct http_bounds bounds;
	uint32_t head_ms;  /* from the first octet of a head to its last */
	uint32_t idle_ms;  /* from the end of an answer to the next head's first octet */
	uint32_t pace_ms;  /* for each HTTP_PACE octets of a body */
	uint32_t requests; /* that one connection may bring; 0 = any number */
};

enum http_event { HTTP_EVENT_REQUEST, HTTP_EVENT_BAD, HTTP_EVENT_TIMEOUT };

struct http_policy {
	const struct http_limits *limits;
	/* s->reader.head is there; it stays until `over`. */
	enum http_next (*request)(struct http_server *);
	/* The request has ended, answered (s->status) or not (0): for the log.  May be NULL. */
	void (*over)(struct http_server *);
	void (*event)(struct http_server *, enum http_event); /* may be NULL */
	/* HTTP/2: a connection of its own process, whose requests are those of this one's streams, each behind the
	 * last: the owner opens a server on it.  0, or -errno: the fd stays the caller's.  NULL: it is not spoken. */
	int (*within)(struct http_server *, int fd);
	/* The connection is over, output may still go out: what the owner has of it is let go. */
	void (*left)(struct http_server *);
	void (*closed)(struct http_server *); /* the struct may be freed */
};

enum http_input { HTTP_REST, HTTP_HEADING, HTTP_BODY, HTTP_READ };
enum http_output { HTTP_SILENT, HTTP_SAYING, HTTP_SAID };

struct http_server {
	struct line_session line;
	const struct http_policy *policy;
	void *owner;        /* the policy's */
	struct http_h2 *h2; /* HTTP/2: it has no requests itself, but streams; else NULL */
	struct http_reader reader;
	uint8_t input;     /* enum http_input; http_server_move alone sets it */
	uint32_t requests; /* so far */
	uint32_t unpaced;  /* octets of a body since the time was last set */
	/* the request in flight */
	uint64_t began_ms; /* clock_mono_ms of its head */
	uint8_t output;    /* enum http_output */
	unsigned status;   /* of the answer, 0 = none yet */
	uint64_t length;   /* of the answer's content, or HTTP_LENGTH_UNKNOWN */
	uint64_t sent;     /* octets of it so far */
	bool keep;         /* the connection goes on behind the answer */
	bool chunked;      /* the content goes out in chunks */
	bool bare;         /* the answer has no content, whatever its head says: HEAD, 304 */
	bool lingers;      /* it was the last; what still comes is thrown away */
	bool
	    endless; /* the owner's: it goes on until the client goes, who is gone when its side is closed */
	const struct http_taker *taker;
	struct arena arena;
	struct op op;
	enum http_next (*more)(struct http_server *);
	void (*undo)(struct http_server *); /* what the arena does not free; may be NULL */
	void *data;                         /* the request's, in the arena */
};

/* Takes the connected socket over.  Set policy and owner before; the rest is zeroed.  With ctx TLS comes
 * first.  0 or -errno (the fd stays the caller's then). */
int http_server_open(struct http_server *s, struct loop *l, int fd, struct tls_ctx *ctx,
    const char *sid) MUSTCHECK;
/* Goes on after HTTP_WAIT. */
void http_server_resume(struct http_server *s, enum http_next next);
/* Ends it now when nothing is under way, else behind that. */
void http_server_shutdown(struct http_server *s);

/* From policy.request, or behind an operation of it: the body goes to `t`, `most` octets at most. */
enum http_next http_server_take(struct http_server *s, const struct http_taker *t, uint64_t most);

/* ---- answers: _answer, any number of _field, then one of _content, _stream and _empty ------------- */

void http_server_answer(struct http_server *s, unsigned status);
/* Line ends and other controls in the value become blanks: no field makes another. */
void http_server_field(struct http_server *s, const char *name, struct slice value);
/* The whole content. */
enum http_next http_server_content(struct http_server *s, const char *type, struct slice content);
/* The content comes from `more`, which calls http_server_piece and returns HTTP_PULL, or HTTP_NEXT behind
 * the last piece; `length` may be HTTP_LENGTH_UNKNOWN.  Of a HEAD request `more` is never called. */
enum http_next http_server_stream(struct http_server *s, const char *type, uint64_t length,
    enum http_next (*more)(struct http_server *));
void http_server_piece(struct http_server *s, struct slice piece);
/* No content: 204, 304, and redirections. */
enum http_next http_server_empty(struct http_server *s);

/* A whole answer: "404 Not Found: why" as text; `why` may be NULL. */
enum http_next http_server_error(struct http_server *s, unsigned status, const char *why);
/* 405, with what is allowed: bits of enum http_verb. */
enum http_next http_server_refuse_verb(struct http_server *s, unsigned allowed);
/* If-None-Match of a GET or HEAD has `etag` (with its quotes): true, and 304 is the answer.  RFC 9110 13.1.2 */
bool http_server_unchanged(struct http_server *s, struct slice etag);
/* Of something with this length and tag, what does the request want?  PART: answer 206 with
 * http_server_part; NONE: http_server_no_part.  RFC 9110 14 */
enum http_range http_server_range(const struct http_server *s, struct slice etag, uint64_t total,
    uint64_t *from, uint64_t *n);
/* Content-Range, behind http_server_answer(s, 206). */
void http_server_part(struct http_server *s, uint64_t from, uint64_t n, uint64_t total);
/* 416. */
enum http_next http_server_no_part(struct http_server *s, uint64_t total);

static inline const struct http_head *
http_server_head(const struct http_server *s)
{
	return &s->reader.head;
}
#endif
