/* smtp/server.h: one SMTP (RFC 5321) or LMTP (RFC 2033) session on the receiving side.
 *
 * The server knows the grammar and the order of commands, replies, PIPELINING (RFC 2920),
 * STARTTLS (RFC 3207), the way of the body in DATA and BDAT (RFC 3030), limits and time; who
 * may send what to whom is asked of its owner, a struct smtp_policy.  smtp-relay and lmtpd
 * share it.
 *
 *	 open -> GREETED -- EHLO/HELO/LHLO --> READY -- MAIL --> MAIL -- RCPT --> RCPT -- DATA or BDAT
 *	                                        ^                                   |
 *	                                        +------- RSET, or body answered ----+
 *
 * One command is in flight at a time.  Each question to the policy leads to exactly one
 * smtp_server_answer(), from inside the call or later; until then nothing more is read, so
 * slices given with the question stay valid until the answer. */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H
#include "base/arena.h"
#include "mail/verdict.h"
#include "net/line-session.h"
#include "smtp/body.h"
#include "smtp/command.h"
#include "smtp/reply.h"

struct smtp_server;

enum smtp_next { SMTP_NEXT, SMTP_WAIT, SMTP_CLOSE };

/* Where the session stands: bits, so that a command lists its legal states. */
enum smtp_state {
	SMTP_GREETED = 1, /* before EHLO */
	SMTP_READY = 2,
	SMTP_IN_MAIL = 4,
	SMTP_IN_RCPT = 8,  /* at least one recipient accepted */
	SMTP_IN_BDAT = 16, /* between two chunks */
	SMTP_ANY = 31,
};

/* Flags of a command. */
enum {
	SMTP_PRE_TLS = 1,  /* legal although TLS is demanded and missing */
	SMTP_PRE_AUTH = 2, /* legal although authentication is demanded and missing */
	SMTP_LAST = 4,     /* last of a pipelined group: input behind it ends the session */
	SMTP_LONG = 8,     /* the line may have SMTP_AUTH_MAX octets */
	SMTP_QUIET = 16,   /* HELP does not name it: it is for those who are offered it at EHLO */
};

/* A command of the owner's own, beside those that the server has. */
struct smtp_verb {
	const char *verb;
	enum smtp_next (*fn)(struct smtp_server *, struct slice arg);
	unsigned states, flags;
	const char *source; /* "RFC 4954 4" */
};

struct smtp_limits {
	uint32_t command_ms; /* for a whole command line to arrive */
	uint32_t data_ms;    /* between two pieces of a body */
	uint32_t data_rate;  /* least bytes a second of a body, after the first data_ms; 0 = off */
	uint32_t errors;  /* negative answers (5xx) before 421; LMTP: not those about recipients */
	uint32_t unknown; /* unknown commands before 421 */
	uint32_t transactions; /* messages a session, 0 = no limit */
	uint32_t rcpts;        /* recipients a message: 452 4.5.3 above */
	uint32_t line;         /* body line, octets without CRLF, 0 = no limit */
	uint64_t size;         /* message, 0 = no limit */
	bool normalise;        /* bare CR and LF: see body.h */
	bool strict_helo;      /* see smtp_helo_valid */
};

struct smtp_policy {
	const struct smtp_limits *limits;
	const struct smtp_verb *verbs; /* own commands, or NULL; ended by a NULL verb */
	const char *hostname;          /* in greeting and EHLO */
	bool lmtp;
	bool bare;  /* RCPT TO:<user> without a domain is asked, too */
	bool runs;  /* RCPT may have XRUN */
	bool batch; /* a trusted program that need not wait for our answers */

	/* The lines of the EHLO answer behind the first, each ended by LF.  The server itself
	 * adds PIPELINING, 8BITMIME, ENHANCEDSTATUSCODES, CHUNKING, SIZE, SMTPUTF8, LIMITS (of
	 * messages a session and recipients a message), STARTTLS (when s->tls_ctx is set and TLS is off). */
	void (*keywords)(struct smtp_server *, struct buf *);
	/* For a session that becomes somebody else's behind its AUTH: the extensions are not the
	 * server's, and keywords adds all but STARTTLS. */
	bool proxy;

	/* Questions: answered by smtp_server_answer.  NULL = yes. */
	void (*helo)(struct smtp_server *,
	    struct slice name); /* verb in s->esmtp, s->helo set after */
	void (*mail)(struct smtp_server *, const struct smtp_mail *);
	void (*rcpt)(struct smtp_server *, const struct smtp_rcpt *);
	void (*body)(struct smtp_server *); /* DATA or the first BDAT: may it begin? */
	/* Clean bytes of the body (body.h).  When they cannot be kept: smtp_server_fail. */
	void (*bytes)(struct smtp_server *, struct slice);
	/* The body is complete and well formed.  SMTP: one answer; LMTP: one for each accepted
	 * recipient, in their order. */
	void (*end)(struct smtp_server *);
	void (*vrfy)(struct smtp_server *, struct slice arg); /* NULL = 252 */
	/* A command that nobody knows; borrowed for the call.  NULL = 500. */
	void (*unknown)(struct smtp_server *, struct slice verb);

	/* Events. */
	void (*reset)(struct smtp_server *); /* the transaction is over or given up: forget it */
	/* 4xx or 5xx was said. */
	void (*refused)(struct smtp_server *, const char *verb, const struct verdict *);
	/* TLS is on and the session began anew; or -errno and why not, the end. */
	void (*secured)(struct smtp_server *, int error, const char *why);
	/* The session has ended, output may still go out: what an own verb waits for is given up, so that a
	 * client that goes while it waits is seen.  NULL: what is being committed is committed. */
	void (*release)(struct smtp_server *);
	void (*closed)(struct smtp_server *); /* last call (reset was called): memory may go */
};

struct smtp_server {
	struct line_session line; /* line.why: "quit", "eof", "timeout", ... when it is closed */
	const struct smtp_policy *policy;
	void *data;      /* the owner's */
	const char *sid; /* the owner's id, for log_context; may be NULL */
	struct loop *loop;
	struct tls_ctx *tls_ctx; /* STARTTLS is offered when set; borrowed */
	struct arena arena;      /* the transaction's: reset with it */
	struct smtp_body body;
	struct smtp_mail mail;  /* of the transaction; in the arena */
	struct verdict *failed; /* in the arena: the body cannot be kept, this is why */
	struct slice words; /* of the answer that is being given, when not those of its verdict */
	char *helo;         /* heap; NULL before */
	enum smtp_next (
	    *line_fn)(struct smtp_server *, struct slice line); /* takes the next line */
	const char *verb;                                       /* in flight, for logs */
	const char *ending; /* smtp_server_shutdown's text, until it can be said */
	const char *last;   /* smtp_server_last's */
	uint64_t body_at;   /* ms, when the body began */
	uint64_t body_got;  /* wire bytes of the body */
	uint64_t asked_ms;  /* loop_now, when the question in flight was asked */
	uint32_t nrcpt;     /* accepted in this transaction */
	uint32_t answers;   /* answers still due for the question in flight */
	uint32_t unknown, transactions;
	uint8_t state;  /* enum smtp_state */
	uint8_t phase;  /* command lines, body, skipping; see server.c */
	uint8_t asking; /* which question is in flight; see server.c */
	unsigned need_tls : 1, need_auth : 1, authed : 1; /* the owner's */
	unsigned may_release : 1;    /* the owner's: MAIL may have HOLDFOR and HOLDUNTIL */
	unsigned may_by : 1;         /* the owner's: MAIL may have BY */
	unsigned may_priority : 1;   /* the owner's: MAIL may have MT-PRIORITY */
	unsigned may_requiretls : 1; /* the owner's: MAIL may have REQUIRETLS */
	unsigned may_aside : 1;      /* the owner's: MAIL may have XASIDE */
	unsigned may_event : 1;      /* the owner's: RCPT may have XEVENT */
	unsigned no_chunking : 1;    /* the owner's: BDAT is not offered */
	unsigned no_tls : 1;         /* the owner's: nor is STARTTLS */
	unsigned esmtp : 1;          /* EHLO or LHLO was said */
	unsigned
	    told : 1; /* the owner's: it has heard something of the next transaction, of which reset is told */
	unsigned open : 1; /* a transaction: from MAIL being asked on */
	unsigned bye : 1, progress : 1, bdat_last : 1, stray : 1;
};

/* Takes the connected socket over and greets (after the handshake when `implicit`).  Set
 * policy, data, sid, tls_ctx, need_tls, need_auth before; the rest is zeroed.  0 or -errno (the fd
 * stays the caller's then). */
int smtp_server_open(struct smtp_server *s, struct loop *l, int fd, bool implicit) MUSTCHECK;
/* Refuses the connection: one reply instead of the greeting, then closed. */
int smtp_server_refuse(struct smtp_server *s, struct loop *l, int fd,
    const struct verdict *v) MUSTCHECK;
/* Is the client slow: has a command, a handshake or a piece of a body been waited for `ms`, or come the body of a message
 * that takes so long at less than limits.data_rate? */
bool smtp_server_dawdles(const struct smtp_server *s, uint64_t ms);
/* Its time is over now, as if it had been silent for all of it. */
void smtp_server_expire(struct smtp_server *s);
/* The answer to the question in flight; the next command may be under way when it returns.
 * While a session is being closed the answer is dropped. */
void smtp_server_answer(struct smtp_server *s, const struct verdict *v);
/* The same in other words than the verdict's, of several lines (LF between them). */
void smtp_server_answer_words(struct smtp_server *s, const struct verdict *v, struct slice words);
/* From bytes(): the body cannot be kept; the rest is read over, `v` is the answer, end() is not
 * called. */
void smtp_server_fail(struct smtp_server *s, const struct verdict *v);
/* For own verbs: says `v` and goes on; negative answers are counted. */
enum smtp_next smtp_server_say(struct smtp_server *s, const struct verdict *v);
/* For own verbs that return SMTP_NEXT, or have returned SMTP_WAIT: the session begins anew with its greeting; what was said
 * before is forgotten. */
void smtp_server_anew(struct smtp_server *s);
/* For own verbs: 334 with `text`, and the next line goes to fn. */
enum smtp_next smtp_server_ask(struct smtp_server *s, struct slice text,
    enum smtp_next (*fn)(struct smtp_server *, struct slice line));
/* For own verbs that returned SMTP_WAIT and have said their answer: goes on. */
void smtp_server_resume(struct smtp_server *s, enum smtp_next next);
/* Of an own verb that has returned SMTP_WAIT, after its answer is said: the stream is somebody else's
 * from now on; `closed` is not called. */
void smtp_server_leave(struct smtp_server *s, const struct stream_events *ev, void *data);
/* The answer to the question in flight is the last one: 421 `text` (a literal) comes behind it, and nothing
 * that the client has sent ahead is looked at. */
void smtp_server_last(struct smtp_server *s, const char *text);
/* From `secured`: says `v`, and the session ends.  `why` is a literal for the log. */
void smtp_server_end(struct smtp_server *s, const char *why, const struct verdict *v);
/* Ends it with 421 `text` (a literal): at once when no transaction is open, else behind it. */
void smtp_server_shutdown(struct smtp_server *s, const char *text);
#endif
