/* net/stream.h: one connection, TCP or Unix, plain or TLS alike.
 *
 * Input: the loop owns one read buffer; what the `input` event leaves unread is copied into
 * the stream, so an idle stream holds no input memory.  Slices from stream_line and
 * stream_peek stay valid until the `input` event returns (or, outside of it, until the return
 * to the loop).  Whoever calls stream_stop before that keeps them valid until stream_start:
 * that is what keeps a command's line valid across a WAIT.
 *
 * Output: append to stream_out(), then stream_flush() writes at once what the socket takes
 * and queues the rest; the buffer is released when drained.  TLS adds its records on the way.
 *
 * Events come from the loop only, never from inside a call of the owner.  An error (also one
 * that a flush met) makes stream_eof true and is followed by an `input` event even while
 * reading is stopped, since output was lost; `drained` follows too if the owner waits for it.
 *
 * Life: the owner embeds struct stream, calls stream_init and stream_open, at the end
 * stream_close or stream_finish (also from inside an event), and frees itself in the `closed`
 * event, not earlier.  After stream_close or stream_finish `closed` is the only event. */
#ifndef NET_STREAM_H
#define NET_STREAM_H
#include "net/addr.h"
#include "net/loop.h"
#include "net/tls.h"
#include "net/tlsa.h"
#include "net/trace.h"

struct stream;
struct stream_events {
	void (*input)(struct stream *); /* bytes, end of file or error arrived: look and act */
	/* A flush found more than STREAM_LOW bytes of output, and now it is no more than that:
	 * always follows such a flush, also when the socket took all at once.  May be NULL. */
	void (*drained)(struct stream *);
	/* The handshake is over: 0, or -errno and a reason; may be NULL without TLS. */
	void (*secured)(struct stream *, int error, const char *why);
	void (*timeout)(struct stream *); /* the idle time is over; NULL = stream_close */
	void (*closed)(struct stream *);  /* last event: memory may go */
};

/*	NEW --> OPEN <--> HANDSHAKE
 *	          \--> FINISHING --> CLOSED (from everywhere; only `closed` follows) */
enum stream_state { STREAM_NEW, STREAM_HANDSHAKE, STREAM_OPEN, STREAM_FINISHING, STREAM_CLOSED };

struct tls; /* libtls */
struct stream {
	union {
		uv_handle_t handle;
		uv_stream_t uv;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	struct loop *loop;
	const struct stream_events *ev;
	void *data;              /* the owner's */
	struct tls_session *tls; /* NULL = plain */
	struct tls_ctx *tls_ctx;
	struct stream_deflate *deflate; /* NULL: not compressed */
	struct trace *trace;            /* NULL: not traced */
	const char *trace_proto,
	    *trace_sid;         /* of a server's, for traces that begin later; or NULL */
	struct addr *announced; /* NULL, or whom a trusted proxy has named; see stream_announce */
	struct deadline idle;
	struct later later; /* events that wait for the end of this turn */
	struct slice fresh; /* unread, in the loop's buffer (during `input` only) */
	struct buf in;      /* input that is kept; read up to in_at */
	struct buf out;     /* not yet given to the socket (plain text) */
	size_t in_at;
	size_t out_queued;  /* bytes with libuv, not written yet */
	uint64_t got, sent; /* bytes on the wire, for the log */
	uint64_t moved_ms;  /* loop_now when one of them last grew */
	uint32_t idle_ms;
	uint32_t scanned;     /* so many unread bytes hold no LF */
	int error;            /* -errno once broken */
	uint16_t writes;      /* requests with libuv */
	uint8_t state;        /* enum stream_state; stream_move alone sets it */
	unsigned reading : 1; /* the owner wants input */
	unsigned eof : 1;     /* the peer has sent its last */
	unsigned fixed : 1;   /* stream_limit: nothing restarts the idle time */
	unsigned stuffed : 1; /* so much is unread that reading pauses */
	unsigned in_event : 1,
	    lent_out : 1;      /* inside `input`; the owner was shown the loop's buffer */
	unsigned was_high : 1; /* a flush found more than STREAM_LOW: `drained` is owed */
	unsigned notified : 1; /* close_notify is sent */
	unsigned parted : 1;   /* ... has come */
	unsigned tell_input : 1, tell_drained : 1, tell_secured : 1; /* at the end of the turn */
};

/* The socket is taken over (set non-blocking, TCP_NODELAY for TCP). */
void stream_init(struct stream *s, struct loop *l, const struct stream_events *ev, void *data);
/* What is spoken on it, for traces: "smtp", "lmtp", "imap"; a literal.  After stream_open.  A server's `sid` is borrowed as long
 * as the stream is open, and may change meanwhile. */
void stream_trace(struct stream *s, const char *proto, const char *sid, bool client);
/* What net/trace-want.h wants has changed: all streams of the loop that have been told of stream_trace. */
void stream_trace_again(struct loop *l);
/* 0, or -errno: then fd stays the caller's, and the stream needs no stream_close. */
int stream_open(struct stream *s, int fd) MUSTCHECK;
void stream_close(struct stream *s); /* at once; output not yet written is lost; `closed` follows */
void stream_finish(struct stream *s); /* writes what is queued (5 s at most), then closes */
void stream_finish_within(struct stream *s, uint32_t ms); /* the same, ms at most */

/* Reading goes on only while started; a stopped stream notices a hang-up when started. */
void stream_start(struct stream *s);
void stream_stop(struct stream *s);
void stream_idle(struct stream *s, uint32_t ms);  /* restarts with every read or write; 0 = never */
void stream_limit(struct stream *s, uint32_t ms); /* the same, but nothing restarts it */

/* Input. */
struct slice stream_peek(struct stream *s);   /* all that is unread, contiguous */
void stream_take(struct stream *s, size_t n); /* n bytes are read */
/* Takes a whole line and gives it without its line end.  Returns 1; 0 when none is complete
 * (at end of file the incomplete rest is dropped); -EMSGSIZE when the line is longer than
 * `max` bytes or so many came without LF: then nothing is taken, and the owner closes or skips
 * with stream_peek and stream_take.  *ending says how it ended; may be NULL. */
enum line_end { LINE_CRLF, LINE_LF };
int stream_line(struct stream *s, size_t max, struct slice *line, enum line_end *ending) MUSTCHECK;
bool stream_eof(struct stream *s); /* the peer has closed and everything is read, or an error */
/* Nothing comes any more but what stream_peek shows: who needs more than that has seen the end. */
bool stream_ended(const struct stream *s);

/* Output. */
struct buf *stream_out(struct stream *s);
void stream_flush(struct stream *s);
#define STREAM_HIGH (256 * 1024)
#define STREAM_LOW  (64 * 1024)
size_t stream_backlog(const struct stream *s); /* bytes not yet taken by the socket */
/* Bytes read and bytes that the peer's system has taken: two equal answers mean that nothing moved
 * in between, also where a socket's buffer hides how slowly the peer reads. */
uint64_t stream_moved(const struct stream *s);
/* Another owner's events from now on; inside an event of the old one only when he returns at once. */
void stream_hand_over(struct stream *s, const struct stream_events *ev, void *data);
/* The system looks whether a silent peer is still there, after `idle_s` seconds; TCP alone. */
void stream_keepalive(struct stream *s, unsigned idle_s);
/* Where open streams are counted: a gauge of daemon/'s, NULL = nowhere. */
extern int64_t *stream_gauge;

/* TLS.  starttls_server refuses (returns -EPROTO) when input is buffered behind the command
 * (RFC 3207 4.2: nothing obtained before the handshake may be kept); call it after the reply is flushed; `secured` follows. */
int stream_tls_accept(struct stream *s, struct tls_ctx *ctx) MUSTCHECK;
/* `name` is checked against the certificate when ctx verifies. */
int stream_tls_connect(struct stream *s, struct tls_ctx *ctx, const char *name) MUSTCHECK;
/* What TLSA records say is checked instead; they are copied. */
int stream_tls_connect_dane(struct stream *s, struct tls_ctx *ctx,
    const struct tls_dane *dane) MUSTCHECK;
/* In `secured`, when it failed: why, in the words of RFC 8460 4.3. */
/* As stream_tls_connect with a context that verifies, but goes on whoever is there; stream_tls_doubt then says why it would
 * not have, in the words of RFC 8460 4.3, or NULL. */
int stream_tls_connect_lenient(struct stream *s, struct tls_ctx *ctx, const char *name) MUSTCHECK;
const char *stream_tls_doubt(const struct stream *s);
const char *stream_tls_failure(const struct stream *s);
bool stream_secure(const struct stream *s);
/* The other side has said that it had no more to say (close_notify): what has come is whole, where it says so then only. */
bool stream_tls_parted(const struct stream *s);
static inline bool
stream_handshaking(const struct stream *s)
{
	return s->state == STREAM_HANDSHAKE;
}
const char *stream_tls_version(const struct stream *s); /* "TLSv1.3", or NULL */
const char *stream_tls_cipher(const struct stream *s);
int stream_tls_cipher_bits(const struct stream *s);  /* of its key; 0 without TLS */
const char *stream_tls_alpn(const struct stream *s); /* "h2": RFC 7301; NULL: nothing was chosen */
/* Does it go on with an earlier session, whose certificates were looked at then?  See tls_params.lifetime. */
bool stream_tls_resumed(const struct stream *s);
bool stream_tls_peer_cert(const struct stream *s); /* a verified client certificate is there */
bool stream_tls_peer_named(const struct stream *s, const char *name); /* ... for this host name */
unsigned stream_tls_peer_roles(const struct stream *s); /* ... and its bits of net/tls-role.h */
/* ... whose subject has this common name, into to[n]; false, and "": it is not there. */
bool stream_tls_peer_subject(const struct stream *s, char *to, size_t n);

/* Raw DEFLATE in both directions (RFC 4978), between the owner and TLS if there is any: of output what is
 * appended from now on, so flush before; of input all that is unread.  For input it keeps 40 KiB.
 * 0 or -ENOMEM.  Once for a stream. */
int stream_compress(struct stream *s) MUSTCHECK;
bool stream_compressed(const struct stream *s);

void stream_peer(const struct stream *s, struct addr *a);
/* Where the peer has connected to. */
void stream_local(const struct stream *s, struct addr *a);
/* From now on the peer is `a` (copied), for whom the one who has really connected speaks: the caller
 * trusts him.  After stream_open. */
void stream_announce(struct stream *s, const struct addr *a);
/* The uid of the peer of a Unix socket, or (uid_t)-1. */
uid_t stream_peer_uid(const struct stream *s);
#endif
