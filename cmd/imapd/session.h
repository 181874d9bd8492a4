/* imapd/session.h: one connection and its life.
 *
 *	NOTAUTH --LOGIN, AUTHENTICATE--> AUTH --SELECT, EXAMINE--> SELECTED
 *	                                  ^--CLOSE, UNSELECT---------'      LOGOUT from anywhere
 *
 * One command is in flight at a time (RFC 3501 5.5 thus never bites).  A handler gets the
 * arguments and answers with finish(), or starts an operation and returns WAIT; the
 * continuation stands below it and ends in session_resume().  Long replies are pull cursors:
 * s->more writes until the output is FULL and is called again when it has drained.  Memory of
 * a command is in s->arena and is gone when it ends; an idle session owns its struct, its
 * view and nothing else.  RFC 3501, 2177, 2342, 2971, 3348, 3691, 4315, 4731, 4959, 5161,
 * 5258, 5819, 6154, 6851, 7162 (CONDSTORE), 7888, 7889. */
#ifndef IMAPD_SESSION_H
#define IMAPD_SESSION_H
#include "base/arena.h"
#include "daemon/daemon.h"
#include "imap/args.h"
#include "imap/lex.h"
#include "imapd.h"
#include "net/op.h"
#include "net/stream.h"
#include "store/watch.h"
#include "view.h"

#define SESSION_MAGIC 0x494d4150u

enum next {
	NEXT,  /* the command is over, its tagged answer is written */
	WAIT,  /* an operation is pending */
	LINES, /* the command goes on with the next line of input */
	CLOSE, /* write what is queued, then close */
	FULL,  /* of a cursor: call again when the output has drained */
	YIELD  /* of a cursor: its slice of time is over, call again soon */
};
enum state { NOTAUTH = 1, AUTH = 2, SELECTED = 4, ANY = 7 };

struct session;
enum command_flags {
	SEQS = 1,    /* uses sequence numbers: no EXPUNGE may be sent (RFC 3501 7.4.1) */
	UIDS = 2,    /* may follow "UID" */
	QUIET = 4,   /* no updates of the mailbox at the end */
	WRITES = 8   /* needs a mailbox that was selected for writing */
};
struct command {
	const char *verb;
	enum next (*run)(struct session *, struct imap_in *);
	unsigned states;
	unsigned flags;
	const char *source;
};
extern const struct command commands[];
extern const size_t ncommands;

struct session {
	uint32_t magic;
	uint8_t state;           /* enum state */
	uint8_t next;            /* enum next */
	uint8_t failures;        /* of login */
	uint8_t bad;             /* BAD answers in a row */
	uint8_t early;           /* commands before login */
	bool uid;                /* the command came as UID */
	bool condstore;          /* RFC 7162 3.1: enabled */
	bool idling;
	bool full;               /* the cursor waits for `drained` */
	bool running;            /* session_run is on the stack */
	bool doomed;             /* to be closed when the output is written */
	bool secured;            /* came up with implicit TLS or STARTTLS */
	char sid[14];
	struct stream io;
	struct list link;        /* imapd.sessions */
	struct list idle_link;   /* box.sessions, while idling */
	struct box *box;
	struct op op;
	struct later later;
	struct timer *delay;     /* the pause before a refused login's answer */
	struct daemon_listen *listen;
	struct user *user;       /* from AUTH on */
	struct view *view;       /* SELECTED */
	/* the command in flight */
	struct imap_lex lex;
	struct arena arena;
	struct slice tag;
	const struct command *cmd;
	enum next (*more)(struct session *);
	void (*undo)(struct session *); /* what the arena does not free; may be NULL */
	void *data;              /* the command's, in the arena */
	struct sync *sync;       /* for finish(): what STORE changed itself */
	const char *final;       /* the tagged answer, while updates go out before it */
	char *idle_tag;          /* heap; while idling nothing else is kept */
	struct sync *partly;     /* heap; an update in IDLE that waits for `drained` */
};

void session_new(struct daemon_listen *l, int fd);
void session_drain_all(void);
/* Goes on after a WAIT. */
void session_resume(struct session *s, enum next next);
/* Calls s->more as long as it may write.  What a handler returns when it has a cursor. */
enum next session_pull(struct session *s);
/* Stops with "* BYE text" (NULL: without words). */
void session_bye(struct session *s, const char *text);

/* reply.c: answers.  finish("OK", "FETCH completed") writes the mailbox's news and then the
 * tagged line; `text` may begin with a response code. */
enum next finish(struct session *s, const char *status, const char *fmt, ...) PRINTF(3, 4);
enum next bad(struct session *s, const struct imap_in *in); /* syntax, with in->why */
enum next bad_text(struct session *s, const char *why);
/* NO with the response code that fits what stored says; `missing` is the code for a mailbox
 * that is not there. */
enum next no_store(struct session *s, const struct store_reply *r, const char *missing);
void untagged(struct session *s, const char *fmt, ...) PRINTF(2, 3);
void capability_write(struct session *s, struct buf *b);
static inline struct buf *
out(struct session *s)
{
	return stream_out(&s->io);
}
static inline struct store_view *
reader(struct session *s)
{
	return s->user->part->view;
}

/* May a password go over this connection? */
bool session_password_ok(struct session *s);

/* Handlers, by file. */
enum next cmd_capability(struct session *, struct imap_in *);   /* any.c */
enum next cmd_noop(struct session *, struct imap_in *);
enum next cmd_logout(struct session *, struct imap_in *);
enum next cmd_id(struct session *, struct imap_in *);
enum next cmd_enable(struct session *, struct imap_in *);
enum next cmd_namespace(struct session *, struct imap_in *);
enum next cmd_starttls(struct session *, struct imap_in *);     /* auth.c */
enum next cmd_login(struct session *, struct imap_in *);
enum next cmd_authenticate(struct session *, struct imap_in *);
enum next cmd_select(struct session *, struct imap_in *);       /* select.c */
enum next cmd_examine(struct session *, struct imap_in *);
enum next cmd_close(struct session *, struct imap_in *);
enum next cmd_unselect(struct session *, struct imap_in *);
enum next cmd_create(struct session *, struct imap_in *);       /* mailbox.c */
enum next cmd_delete(struct session *, struct imap_in *);
enum next cmd_rename(struct session *, struct imap_in *);
enum next cmd_subscribe(struct session *, struct imap_in *);
enum next cmd_unsubscribe(struct session *, struct imap_in *);
enum next cmd_status(struct session *, struct imap_in *);       /* status.c */
enum next cmd_list(struct session *, struct imap_in *);         /* list.c */
enum next cmd_lsub(struct session *, struct imap_in *);
enum next cmd_append(struct session *, struct imap_in *);       /* append.c */
enum next cmd_fetch(struct session *, struct imap_in *);        /* fetch.c */
enum next cmd_search(struct session *, struct imap_in *);       /* search.c */
enum next cmd_store(struct session *, struct imap_in *);        /* flags.c */
enum next cmd_copy(struct session *, struct imap_in *);         /* copy.c */
enum next cmd_move(struct session *, struct imap_in *);
enum next cmd_expunge(struct session *, struct imap_in *);
enum next cmd_idle(struct session *, struct imap_in *);         /* idle.c */

/* auth.c: the next line of an AUTHENTICATE exchange. */
enum next authenticate_line(struct session *s, struct slice line);
/* append.c: the lexer stands in front of the message. */
enum next append_begin(struct session *s);
/* append.c: takes message bytes while the session is in APPEND. */
enum next append_input(struct session *s);
/* idle.c */
enum next idle_line(struct session *s, struct slice line);
void idle_update(struct session *s);
void idle_leave(struct session *s);
void idle_events(void *arg, const struct store_event *ev, size_t n);

/* status.c: also for LIST-STATUS (IMAP_STATUS_... of imap/list.h). */
/* Appends an untagged STATUS; inside a snapshot.  False when the mailbox is gone. */
bool status_write(struct session *s, struct slice name, uint64_t mailbox, unsigned items);
#endif
