/* pop3/server.h: one POP3 session on the receiving side (RFC 1939): lines, the order of commands, CAPA,
 * STLS, USER and PASS, AUTH lines, cursors, limits and time.  What a command does with a mailbox is its
 * owner's, a struct pop3_policy with a table of commands; pop3d is one, the proxy another.
 *
 *	AUTHORIZATION --USER and PASS, AUTH--> TRANSACTION --QUIT--> (the owner's update) --> closed
 *
 * One command is in flight at a time, so that answers to pipelined ones come in order (RFC 2449 6.6).
 * A handler answers with pop3_server_ok() or pop3_server_err(), or starts an operation on s->op and
 * returns POP3_WAIT; its continuation ends in pop3_server_resume().  Long answers are cursors: s->more
 * writes a piece, some ten KiB, and is called again when it is this session's turn and the peer has
 * read.  A command's memory is s->arena and is gone when it ends; an idle session owns its struct and
 * the name that USER gave.
 *
 * The peer has `idle_ms` for each PACE octets of a long answer, so that one that reads a byte a second
 * is not kept alive by it. */
#ifndef POP3_SERVER_H
#define POP3_SERVER_H
#include "base/arena.h"
#include "mail/outcome.h"
#include "net/line-session.h"
#include "net/op.h"
#include "pop3/text.h"

struct pop3_server;

enum pop3_next {
	POP3_NEXT, /* the command is over, its answer is written */
	POP3_WAIT, /* an operation is pending: pop3_server_resume */
	POP3_MORE, /* the command goes on with the next line: a challenge is out */
	POP3_PULL, /* ... with its cursor s->more */
	POP3_CLOSE /* write what is queued, then close */
};
enum pop3_state { POP3_AUTHORIZATION = 1, POP3_TRANSACTION = 2, POP3_ANY = 3 };

/* What stands in brackets behind -ERR: RFC 2449 8, RFC 3206, RFC 6856 5. */
enum pop3_code {
	POP3_PLAIN, /* nothing */
	POP3_AUTH,
	POP3_IN_USE,
	POP3_LOGIN_DELAY,
	POP3_SYS_TEMP,
	POP3_SYS_PERM,
	POP3_UTF8
};

struct pop3_command {
	const char *name;
	/* `arg` is what stands behind the verb, arg.p NULL when nothing does; valid until the
	 * handler returns. */
	enum pop3_next (*run)(struct pop3_server *, struct slice arg);
	unsigned states;
	const char *source; /* "RFC 1939 5" */
};

struct pop3_limits {
	uint32_t login_ms; /* from the first byte to the login, however the bytes drip */
	uint32_t idle_ms;  /* of silence after the login */
	uint32_t bad;      /* commands in a row that are none; 0 = no limit */
	uint32_t early;    /* commands before login at all, at most 255 */
};

enum pop3_event { POP3_EV_COMMAND, POP3_EV_BAD, POP3_EV_TLS };

struct pop3_policy {
	const struct pop3_limits *limits;
	const struct pop3_command *commands; /* beside the server's own; ended by a NULL name */
	const char *hostname;                /* in the greeting */
	const char *mechanisms;              /* of AUTH, blank-separated */
	/* May a password go over this connection? */
	bool (*password_ok)(struct pop3_server *);
	/* Appends lines of CAPA beside the server's own, by the session's state. */
	void (*capabilities)(struct pop3_server *, struct buf *);
	/* PASS.  Name and password are good until it returns. */
	enum pop3_next (*login)(struct pop3_server *, struct slice name, struct slice password);
	/* AUTH: begins a mechanism; `response` NULL: none came with the command.  Answers by
	 * pop3_server_challenge(), or as a command does. */
	enum pop3_next (
	    *sasl)(struct pop3_server *, struct slice mechanism, const struct slice *response);
	enum pop3_next (*sasl_line)(struct pop3_server *, struct slice response); /* decoded */
	/* QUIT in TRANSACTION.  Ends in pop3_server_bye() or, when something could not be removed,
	 * in pop3_server_err() with s->doomed set. */
	enum pop3_next (*quit)(struct pop3_server *);
	void (*over)(struct pop3_server *);                   /* a command has ended; may be NULL */
	void (*event)(struct pop3_server *, enum pop3_event); /* for counters; may be NULL */
	void (*secured)(struct pop3_server *, int error, const char *why); /* may be NULL */
	/* The session ends (line.why says how): everything but the struct is let go.  Once. */
	void (*left)(struct pop3_server *);
	void (*closed)(struct pop3_server *); /* the struct may be freed */
};

struct pop3_server {
	struct line_session line;
	const struct pop3_policy *policy;
	struct tls_ctx *tls_ctx; /* STLS is offered when set; borrowed */
	uint8_t state;           /* enum pop3_state; pop3_server_logged_in alone moves it on */
	uint8_t early;           /* commands before login */
	bool utf8;               /* the client has said UTF8: RFC 6856 2 */
	bool doomed;             /* the session ends with the answer under way */
	bool skipping;           /* the rest of a line that is too long is read over */
	bool exchange;           /* the next line is of AUTH */
	bool paced;              /* the peer's time is that of a piece of a long answer */
	uint32_t unpaced;        /* octets of it since the time was last set */
	uint32_t skipped;        /* octets */
	char *name;              /* USER's; heap */
	/* the command in flight */
	const struct pop3_command *cmd; /* NULL: none */
	struct arena arena;
	struct op op;
	enum pop3_next (*more)(struct pop3_server *);
	void (*undo)(struct pop3_server *); /* what the arena does not free; may be NULL */
	void *data;                         /* the command's, in the arena */
};

/* Takes the connected socket over and greets (after the handshake when `implicit`).  Set policy and
 * tls_ctx before; the rest is zeroed.  0 or -errno (the fd stays the caller's then). */
int pop3_server_open(struct pop3_server *s, struct loop *l, int fd, bool implicit,
    const char *sid) MUSTCHECK;
/* Refuses the connection in words (NULL: without), then closes it. */
int pop3_server_reject(struct pop3_server *s, struct loop *l, int fd, const struct verdict *v,
    const char *sid) MUSTCHECK;
/* The login succeeded: other limits hold from now on.  Before its +OK. */
void pop3_server_logged_in(struct pop3_server *s);
/* Goes on after POP3_WAIT. */
void pop3_server_resume(struct pop3_server *s, enum pop3_next next);
/* Ends it with "-ERR [SYS/TEMP] words" of ours: now when nothing is under way, else at once. */
void pop3_server_end(struct pop3_server *s, const char *why, const struct verdict *v);
/* Ends it now when nothing is under way, else behind that. */
void pop3_server_shutdown(struct pop3_server *s);

/* Inside the continuation of POP3_WAIT: the command's answer is written, and what follows on the connection
 * is somebody else's: events of the stream go to ev.  Neither `left` nor `closed` follow. */
void pop3_server_leave(struct pop3_server *s, const struct stream_events *ev, void *data);

/* Answers: "+OK words"; "-ERR [CODE] words". */
enum pop3_next pop3_server_ok(struct pop3_server *s, const char *fmt, ...) PRINTF(2, 3);
enum pop3_next pop3_server_err(struct pop3_server *s, enum pop3_code code, const struct verdict *v);
/* The same for a command that is none, or malformed: these are counted. */
enum pop3_next pop3_server_bad(struct pop3_server *s, const struct verdict *v);
/* "+OK words", and the session ends. */
enum pop3_next pop3_server_bye(struct pop3_server *s, const char *words);
/* A verdict of the suite's as a code: temporary or not. */
enum pop3_code pop3_code_of(const struct verdict *v);

static inline struct buf *
pop3_server_out(struct pop3_server *s)
{
	return stream_out(&s->line.io);
}
/* What a handler returns that has set a cursor. */
static inline enum pop3_next
pop3_server_pull(struct pop3_server *s, enum pop3_next (*more)(struct pop3_server *))
{
	s->more = more;
	return POP3_PULL;
}

/* "+ base64"; the client's answer goes to policy.sasl_line. */
enum pop3_next pop3_server_challenge(struct pop3_server *s, struct slice challenge);
#endif
