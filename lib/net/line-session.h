/* net/line-session.h: what every server session of command lines shares (SMTP and LMTP, IMAP;
 * made for POP3 and ManageSieve too).
 *
 * The session owns the stream, its one state, its time, its turn among the others, and the way
 * out.  What the bytes mean is the owner's: `step` does one thing (takes a line, a piece of a
 * body, or writes a piece of a long answer) and says how to go on.
 *
 *	HANDSHAKE --> READING <--> QUEUED      more to do, but others come first
 *	                  ^ |  \-> FULL        the peer does not read: goes on when it has drained
 *	                  | v
 *	                WAITING                an operation of ours: line_session_resume
 *	any --> CLOSED                         the last words are written, only `closed` follows
 *
 * Turns (no command holds the loop): all sessions of a loop together get LINE_TURN_US of a turn of
 * the loop, then the sockets are looked at again.  Who is woken has LINE_FRESH_US at once or before
 * all others; who needs more stands in line with those that need more too.  So a short command waits
 * for one turn and the newcomers before it, however many long ones are under way.
 *
 * A shutdown (line_session_drain) ends a session where nothing is under way, and else behind that;
 * but only as long as the peer does its part: one that has half said something, or does not read, and
 * for LINE_SILENT_MS moves no byte either way is taken for gone. */
#ifndef NET_LINE_SESSION_H
#define NET_LINE_SESSION_H
#include "net/stream.h"

#define LINE_TURN_US   5000
#define LINE_FRESH_US  1000

#define LINE_SILENT_MS 2000 /* a lost packet comes again within a second (RFC 6298 2.1) */

enum line_state { LINE_HANDSHAKE, LINE_READING, LINE_QUEUED, LINE_WAITING, LINE_FULL, LINE_CLOSED };
/* What `step` says. */
enum line_next {
	LINE_ON,    /* something was done: again, when it is this session's turn */
	LINE_DRY,   /* input is needed */
	LINE_WAIT,  /* an operation of ours is pending */
	LINE_DRAIN, /* enough is written: again when the peer has read it */
	LINE_YIELD, /* the slice was used up: again in another turn */
	LINE_CLOSE  /* the last words are written */
};
/* Why the server ends a session: `bye` finds the words. */
enum line_bye { LINE_TIMEOUT, LINE_SHUTDOWN };

struct line_session;
struct line_events {
	enum line_next (*step)(struct line_session *);
	/* Writes the greeting; with implicit TLS after the handshake. */
	void (*greet)(struct line_session *);
	/* The handshake is over: 0, or -errno and why not, and then the session is closed. */
	void (*secured)(struct line_session *, int error, const char *why);
	/* May a shutdown end it now?  Asked while READING, and now and then while WAITING: true there
	 * means that nothing is lost with the answer, and that `release` gives the operation up or
	 * its answer is dropped. */
	bool (*between)(struct line_session *);
	/* Writes the last words. */
	void (*bye)(struct line_session *, enum line_bye);
	/* It is CLOSED, output may still go out: pending operations are given up.  May be NULL. */
	void (*release)(struct line_session *);
	void (*closed)(struct line_session *); /* the very last: memory may go */
	/* Bytes that the peer may send ahead while an operation is pending, before they are left
	 * to TCP; 0: none, and slices of the input stay valid across LINE_WAIT. */
	size_t ahead;
	bool prompt; /* what is written goes out before LINE_WAIT, not with the answer after it */
	/* The peer has closed its side while an operation is pending: is nobody there any more, who could
	 * hear of it?  Then it is over.  NULL: somebody is. */
	bool (*gone)(struct line_session *);
	/* While READING, in a shutdown: is something under way that the peer need do nothing for?  Then its silence
	 * is no end.  NULL: nothing is. */
	bool (*owes)(struct line_session *);
};

struct line_session {
	struct stream io;
	const struct line_events *ev;
	const char *sid;   /* the owner's id, for log_context; may be NULL */
	const char *why;   /* a literal: how it ended, "quit", "eof", "timeout" ... */
	struct list turn;  /* in one of the loop's queues while QUEUED */
	uint64_t began_ms; /* monotonic */
	uint64_t moved;    /* draining: stream_moved when the peer was last looked at, ... */
	uint64_t moved_ms; /* ... and since when it has been that (loop_now) */
	uint32_t time_ms;  /* as line_session_time was told */
	uint64_t timed_ms; /* and when (loop_now) */
	uint32_t faults;   /* errors of the peer; the owner says when they are too many */
	uint8_t state;     /* enum line_state; line_session_move alone sets it */
	bool running;      /* step is on the stack */
	bool draining;     /* to be ended, see line_session_drain */
	bool greeted;
};

/* Readies the struct; 0, or -errno: then the fd stays the caller's.  Then line_session_open. */
int line_session_init(struct line_session *l, struct loop *loop, int fd,
    const struct line_events *ev, const char *sid) MUSTCHECK;
/* Greets, after the handshake when ctx is given, and begins. */
void line_session_open(struct line_session *l, struct tls_ctx *ctx);
/* STARTTLS: the answer is flushed; `secured` follows and the session goes on by itself.  0 or
 * -errno; the caller returns LINE_WAIT or LINE_CLOSE. */
int line_session_starttls(struct line_session *l, struct tls_ctx *ctx) MUSTCHECK;

/* The time of the peer: `fixed`, until the next call; else from each byte read or written on.  Time
 * that we need ourselves (WAITING, QUEUED) does not end a session. */
void line_session_time(struct line_session *l, uint32_t ms, bool fixed);
/* For how long it has been the peer's turn, milliseconds since line_session_time; 0: it is ours, or it is over. */
uint64_t line_session_awaited(const struct line_session *l);
/* The peer's time is over now, if it is the peer's turn. */
void line_session_expire(struct line_session *l);
/* Goes on after LINE_WAIT, as if step had just returned `next`.  Harmless once CLOSED. */
void line_session_resume(struct line_session *l, enum line_next next);
/* Something came up while READING (news for an idle client): step is called when it is its turn. */
void line_session_wake(struct line_session *l);
/* Inside step: is the slice over? */
bool line_session_spent(const struct line_session *l);
/* Counts a fault of the peer: true when that makes more than `most` (0: no limit). */
bool line_session_fault(struct line_session *l, uint32_t most);

/* Is it over, or will it be without being told again? */
static inline bool
line_session_ending(const struct line_session *l)
{
	return l->draining || l->state == LINE_CLOSED;
}

/* While WAITING, with nothing of the owner pending any more: the stream is somebody else's from now on,
 * and the session is over without `release` and without `closed`. */
void line_session_leave(struct line_session *l, const struct stream_events *ev, void *data);

/* The ends.  `why` is a literal, kept if nothing was said before. */
void line_session_finish(struct line_session *l, const char *why); /* writes what is queued */
void line_session_close(struct line_session *l, const char *why);  /* at once */
/* Ends it with the owner's words for a shutdown: now, or when nothing is under way, or when the peer
 * has been silent for LINE_SILENT_MS, be it before this call.  From now on that is the peer's time;
 * asked again, nothing changes. */
void line_session_drain(struct line_session *l);
#endif
