/* imap/server.h: one IMAP session on the receiving side (RFC 3501): grammar, the order of commands,
 * literals, STARTTLS, AUTHENTICATE lines, cursors, limits and time.  What a command does is its
 * owner's, a struct imap_policy with a table of commands; imapd is one, the proxy another.
 *
 *	NOTAUTH --LOGIN, AUTHENTICATE--> AUTH --SELECT, EXAMINE--> SELECTED
 *	   ^--UNAUTHENTICATE--(both)      ^--CLOSE, UNSELECT---------'      LOGOUT from anywhere
 *
 * One command is in flight at a time (RFC 3501 5.5 thus never bites).  A handler answers with
 * imap_server_finish(), or starts an operation on s->op and returns IMAP_WAIT; its continuation ends
 * in imap_server_resume().  Long answers are cursors: s->more writes until enough is written or its
 * slice of time is over, and is called again.  Input goes to exactly one taker, s->input: the
 * commands' own, a literal's, a SASL exchange's, IDLE's.  A command's memory is s->arena and is gone
 * when it ends; an idle session owns its struct and nothing else. */
#ifndef IMAP_SERVER_H
#define IMAP_SERVER_H
#include "base/arena.h"
#include "imap/args.h"
#include "imap/lex.h"
#include "net/line-session.h"
#include "net/op.h"

struct imap_server;

enum imap_next {
	IMAP_NEXT,  /* the command is over, its tagged answer is written */
	IMAP_WAIT,  /* an operation is pending: imap_server_resume */
	IMAP_MORE,  /* the command goes on with the next bytes: s->input takes them */
	IMAP_PULL,  /* ... with its cursor s->more */
	IMAP_FULL,  /* of a cursor: again when the peer has read */
	IMAP_YIELD, /* of a cursor: its slice of time is over */
	IMAP_CLOSE  /* write what is queued, then close */
};
/* Where the session stands: bits, so that a command lists its legal states.  AUTH includes
 * SELECTED. */
enum imap_state { IMAP_NOTAUTH = 1, IMAP_AUTH = 2, IMAP_SELECTED = 4, IMAP_ANY = 7 };

/* Who takes the next bytes of input. */
struct imap_taker {
	const char *name; /* "command", "literal", "sasl", "idle": for logs */
	/* Takes what it can use of the input with stream_take().  At least one byte is there. */
	enum imap_next (*bytes)(struct imap_server *, struct slice in);
	bool busy; /* a shutdown would break what is under way */
};

enum imap_command_flags {
	IMAP_SEQS = 1,   /* uses sequence numbers: no EXPUNGE may be sent (RFC 3501 7.4.1) */
	IMAP_UIDS = 2,   /* may follow "UID" */
	IMAP_QUIET = 4,  /* no news of the mailbox before its answer */
	IMAP_WRITES = 8, /* needs a mailbox that was selected for writing */
	IMAP_MANY = 16,  /* `literal` is called for further ones too (RFC 3502) */
	IMAP_SETS = 32   /* without UID it names messages by their numbers (RFC 9586 3.2) */
};
struct imap_command {
	const char *name;
	enum imap_next (*run)(struct imap_server *, struct imap_in *);
	unsigned states, flags;
	const char *source; /* "RFC 3501 6.4.5" */
	/* APPEND and REPLACE: the arguments are there, `size` bytes follow that are not gathered.  It
	 * sets s->input, then returns IMAP_MORE after imap_server_invite(), or refuses with
	 * imap_server_refuse_literal().  With IMAP_MANY again, for each literal that stands behind
	 * the one before: s->data is as it was left, and `in` what stands between the two. */
	enum imap_next (*literal)(struct imap_server *, struct imap_in *, uint64_t size);
};

/* A tagged answer that is not OK.  `code` without brackets, or NULL (RFC 5530). */
struct imap_refusal {
	enum { IMAP_NO, IMAP_BAD } kind;
	const char *code, *text;
};

struct imap_limits {
	uint32_t login_ms; /* from the first byte to the login, however the bytes drip */
	uint32_t idle_ms;  /* of silence after the login */
	uint32_t bad;      /* commands in a row that are answered BAD, before login; 0 = no limit */
	uint32_t early;    /* commands before login at all */
	uint32_t line;     /* bytes of a command with its literals, after login */
	uint32_t early_line; /* ... and before */
	uint32_t
	    unwaited; /* bytes of a literal that is not waited for (LITERAL-); 0: no limit of its own */
	uint64_t skip; /* bytes of a refused literal that are read over instead of closing */
};

/* When a word of CAPABILITY is said: bits. */
enum imap_when {
	IMAP_BEFORE = 1,        /* before the login, */
	IMAP_AFTER = 2,         /* and after it */
	IMAP_BEGINS_TLS = 4,    /* before the login, while TLS can still begin */
	IMAP_PASSWORDS = 8,     /* before the login, where a password may go over the connection, */
	IMAP_NO_PASSWORDS = 16, /* ... where none may */
	IMAP_SCRAM = 32,        /* ... where SCRAM-SHA-256 is known besides */
	IMAP_OAUTH = 64,        /* ... and tokens are taken */
	IMAP_OWN = 128          /* from here on the owner's */
};
/* One thing that is offered: a row of the owner's table, in the order in which they are said. */
struct imap_capability {
	const char *word;
	unsigned when;
	unsigned enable;             /* the owner's bits that ENABLE switches on; 0 = it does not */
	void (*value)(struct buf *); /* appends what stands behind the word; may be NULL */
	const char *source;          /* "RFC 2177" */
};

enum imap_event { IMAP_EV_COMMAND, IMAP_EV_BAD, IMAP_EV_TLS };

struct imap_policy {
	const struct imap_limits *limits;
	const struct imap_command *commands; /* beside the server's own; ended by a NULL name */
	const char *hostname;                /* in the greeting */
	const struct imap_capability *capabilities; /* ended by a NULL word */
	/* IMAP_PASSWORDS, IMAP_SCRAM, IMAP_OAUTH and the owner's own bits of enum imap_when, as far as they hold now. */
	unsigned (*when)(struct imap_server *);
	/* LOGIN.  Name and password lie in the command's text or arena. */
	enum imap_next (*login)(struct imap_server *, struct slice name, struct slice password);
	/* AUTHENTICATE: begins a mechanism; `response` NULL: none came with the command.  Answers by
	 * imap_server_challenge(), or as a command does. */
	enum imap_next (
	    *sasl)(struct imap_server *, struct slice mechanism, const struct slice *response);
	enum imap_next (*sasl_line)(struct imap_server *, struct slice response); /* decoded */
	/* After the login: a cursor that writes the news in front of a tagged answer; IMAP_NEXT when
	 * all is told.  May be NULL. */
	enum imap_next (*news)(struct imap_server *);
	void (*over)(struct imap_server *); /* a command has ended; may be NULL */
	/* No command is in flight any more: it may interject something.  May be NULL. */
	void (*between)(struct imap_server *);
	void (*event)(struct imap_server *, enum imap_event); /* for counters; may be NULL */
	void (*secured)(struct imap_server *, int error, const char *why); /* may be NULL */
	/* The session ends (line.why says how): everything but the struct is let go.  Once. */
	void (*left)(struct imap_server *);
	void (*closed)(struct imap_server *); /* the struct may be freed */
};

struct imap_server {
	struct line_session line;
	const struct imap_policy *policy;
	struct tls_ctx *tls_ctx; /* STARTTLS is offered when set; borrowed */
	const struct imap_taker *input;
	uint8_t state; /* enum imap_state; the owner moves it */
	uint8_t early; /* commands before login */
	bool readonly; /* the owner's: what is SELECTED may not be changed */
	bool utf8;     /* the owner's: mailbox names come in UTF-8 */
	bool uidonly;  /* the owner's: messages have no numbers (RFC 9586) */
	/* the command in flight */
	bool uid;                       /* it came as UID */
	bool doomed;                    /* the session ends with its answer */
	struct slice tag;               /* in the arena, or kept_tag */
	const struct imap_command *cmd; /* NULL: none */
	struct imap_lex lex;
	struct arena arena;
	struct op op;
	enum imap_next (*more)(struct imap_server *);
	void (*undo)(struct imap_server *); /* what the arena does not free; may be NULL */
	void *data;                         /* the command's, in the arena */
	const char *final;                  /* the tagged answer, while news go out before it */
	char *kept_tag;                     /* heap; of a command that lasts (IDLE) */
	enum imap_next (*then)(struct imap_server *);                   /* behind a literal, */
	enum imap_next (*rest)(struct imap_server *, struct imap_in *); /* or this */
	const char *tail; /* what has to stand behind a literal that is taken; NULL: nothing */
	struct imap_refusal refusal; /* of a literal that is read over */
	uint64_t skip;               /* bytes of it still to come, */
	uint64_t skipped;            /* and of all of this command's */
};

/* Takes the connected socket over and greets (after the handshake when `implicit`).  Set policy and
 * tls_ctx before; the rest is zeroed.  0 or -errno (the fd stays the caller's then). */
int imap_server_open(struct imap_server *s, struct loop *l, int fd, bool implicit,
    const char *sid) MUSTCHECK;
/* Refuses the connection with "* BYE text" (NULL: without words), then closes it. */
int imap_server_reject(struct imap_server *s, struct loop *l, int fd, const char *text,
    const char *sid) MUSTCHECK;
/* The login succeeded: other limits hold from now on. */
void imap_server_logged_in(struct imap_server *s);
/* UNAUTHENTICATE: as before the login, with all its limits. */
void imap_server_logged_out(struct imap_server *s);
/* Goes on after IMAP_WAIT. */
void imap_server_resume(struct imap_server *s, enum imap_next next);
/* Ends it with "* BYE text". */
void imap_server_bye(struct imap_server *s, const char *why, const char *text);
/* Ends it now when nothing is under way, else behind that. */
void imap_server_shutdown(struct imap_server *s);

/* Inside the continuation of IMAP_WAIT: the command's answer is written, and what follows on the connection
 * is somebody else's: events of the stream go to ev.  Neither `left` nor `closed` follow. */
void imap_server_leave(struct imap_server *s, const struct stream_events *ev, void *data);

/* Answers.  finish("OK", "FETCH completed") writes the mailbox's news and then the tagged line. */
enum imap_next
imap_server_finish(struct imap_server *s, const char *status, const char *fmt, ...) PRINTF(3, 4);
enum imap_next imap_server_no(struct imap_server *s, const char *code, const char *text);
enum imap_next imap_server_bad(struct imap_server *s, const char *why);
enum imap_next imap_server_syntax(struct imap_server *s, const struct imap_in *in); /* in->why */
enum imap_next imap_server_refuse(struct imap_server *s, const struct imap_refusal *r);
void imap_server_untagged(struct imap_server *s, const char *fmt, ...) PRINTF(2, 3);
/* "CAPABILITY ..." as of now. */
void imap_server_capability(struct imap_server *s, struct buf *b);
static inline struct buf *
imap_server_out(struct imap_server *s)
{
	return stream_out(&s->line.io);
}

/* What a handler returns that has set a cursor. */
static inline enum imap_next
imap_server_pull(struct imap_server *s, enum imap_next (*more)(struct imap_server *))
{
	s->more = more;
	return IMAP_PULL;
}
/* Says something that no command has asked for, between two of them: pulls `more`, which ends with IMAP_MORE and
 * leaves nothing in the arena.  False: one is in flight, and policy.between follows it. */
bool imap_server_interject(struct imap_server *s, enum imap_next (*more)(struct imap_server *));
/* For commands that last: keeps the tag and gives all other memory back. */
void imap_server_keep(struct imap_server *s);
/* For takers: gathers one line and gives it to `fn`; IMAP_MORE until it is whole. */
enum imap_next imap_server_line(struct imap_server *s, struct slice in,
    enum imap_next (*fn)(struct imap_server *, struct slice line));

/* "+ base64"; the client's answer goes to policy.sasl_line. */
enum imap_next imap_server_challenge(struct imap_server *s, struct slice challenge);

/* Literals that are not gathered.  invite: tells a client that waits for it to send.  refuse: at
 * once, or when the bytes that are on their way are read over.  end: the bytes are taken; `then` is
 * called when the command's line is whole and nothing else stood there. */
void imap_server_invite(struct imap_server *s);
enum imap_next
imap_server_refuse_literal(struct imap_server *s, uint64_t size, const struct imap_refusal *r);
enum imap_next
imap_server_literal_end(struct imap_server *s, enum imap_next (*then)(struct imap_server *));
/* The same for a command that may go on behind it: `rest` gets what stands there. */
enum imap_next imap_server_literal_rest(struct imap_server *s,
    enum imap_next (*rest)(struct imap_server *, struct imap_in *));

/* Handlers of the server's own, for owners that give them another name (CHECK). */
enum imap_next imap_server_noop(struct imap_server *s, struct imap_in *in);
#endif
