/* piped/piped.h: what the files of this program share.
 *
 *	session.c    who may connect, MAIL, RCPT, life             the front: one process that has
 *	deliver.c    the body, a verdict for each recipient        given up all privileges, and is
 *	ask.c        a file to a program, and what it makes of it  confined
 *	run.c        which program runs when, and what it said
 *	exits.c      how a program ended, as a verdict
 *	                  | order.h, a packet with two descriptors
 *	helper.c     takes orders, forks for each                  the helper: forked before that,
 *	supervise.c  one program: input, output, time, its end     with the privileges of the start;
 *	child.c      becoming the user and the program             it reads no mail
 *	mbox.c       or writing his mailbox
 *
 * What a hijacked front can have done: programs of the list, as the users that they are for, on
 * input that it chooses. */
#ifndef PIPED_H
#define PIPED_H
#include <sys/types.h>
#include "daemon/daemon.h"
#include "mail/outcome.h"
#include "net/ipc.h"
#include "order.h"
#include "smtp/server.h"

#define PIPED_NATIVE "native" /* the program that is none: mbox.c */
#define PIPED_SOCKET "piped.sock"

/* [program NAME] */
struct piped_program {
	char *name;
	char *command; /* path and arguments, separated by blanks; ${variable} in them */
	char *user;    /* whom it runs as; "" = the recipient */
	char *folder;  /* where it runs; "" = the user's home */
	int64_t time;  /* ms */
	int64_t output, memory, file_size; /* bytes; the last two: 0 = no limit */
	int64_t processes, parallel;
	bool from_line, return_path, delivered_to, crlf;
	bool arguments; /* whoever has it run may add some */
};

/* piped.conf */
struct piped_conf {
	struct piped_program **programs; /* NULL-terminated; may be NULL */
	char *temp;                      /* where bodies lie, in files without a name */
	int64_t clients, running, per_user, recipients_max, size_max, min_uid;
	int64_t t_command, t_data, t_wait;
	bool native;         /* native.deliver */
	char *native_folder; /* of mailboxes, one file each */
	char *native_group;  /* whose rights are needed there; "" = the user's own */
	int64_t native_time, native_parallel;
};
extern struct piped_conf pconf;
extern const struct conf_schema piped_schema;
/* conf.c: NULL when the list has it not.  Borrowed until the configuration is read again, in front
 * and helper alike; native is among them where it is switched on. */
const struct piped_program *piped_program_find(struct slice name);
bool piped_program_check(struct buf *why); /* program.check's part of it */

enum piped_metric {
	M_SESSIONS,
	M_CONNECTIONS,
	M_MESSAGES,
	M_RUNNING,
	M_WAITING,
	M_DELIVERED,
	M_DEFERRED,
	M_FAILED,
	M_ENDED,
	M_SECONDS,
};

struct run;
/* What is to be run.  Borrowed until `over` or run_leave. */
struct run_ask {
	const struct order *order;
	int body;      /* what it reads */
	int to;        /* the file that is its standard output; -1: that is only looked at */
	uint64_t size; /* of body */
	const char *sid;
	uint64_t began_ms;
	/* `r`: how it ended; NULL: it has not run, or nobody knows. */
	void (*over)(void *arg, size_t at, const struct order_result *r, const struct verdict *v);
	void *arg;
	size_t at;
};

/* A recipient that was accepted at RCPT.  Strings live in the transaction's arena. */
struct prcpt {
	struct order order;
	struct run_ask ask;
	struct run *run;  /* that is to say what becomes of it; NULL before and behind */
	struct verdict v; /* VERDICT_NONE until then */
};

#define PSESSION_MAGIC 0x70697065
struct psession {
	uint32_t magic;
	struct smtp_server srv;
	struct list link;
	char sid[14];
	struct prcpt *rcpts; /* heap */
	size_t nrcpt, room;
	size_t answered; /* of them, in their order */
	int fd;          /* the body; -1 = none */
	uint64_t size;
	uint64_t began_ms;
};

struct piped {
	struct loop *loop;
	struct list sessions;
	size_t nsessions;
};
extern struct piped piped;

/* ---- session.c, deliver.c ------------------------------------------------------------------ */

void piped_accept(struct daemon_listen *l, int fd);
void piped_session_limits(void); /* the configuration is new */
void piped_session_shutdown_all(void);
struct psession *piped_session_of(struct smtp_server *);
void piped_body_begin(struct smtp_server *);
void piped_body_bytes(struct smtp_server *, struct slice);
void piped_body_end(struct smtp_server *);
void piped_body_reset(struct smtp_server *);
void piped_idle(void); /* somebody has gone; when draining, are we done? */

/* ---- ask.c ----------------------------------------------------------------------------------- */

int asks_open(void); /* its socket; 0 or -errno after logging */
int asks_start(struct loop *l);
void asks_drain(void); /* who has asked for nothing, or has had his answer, goes */
bool asks_idle(void);

/* ---- run.c ----------------------------------------------------------------------------------- */

int runs_open(void); /* program.privileged: forks the helper; 0 or -errno after logging */
int runs_start(struct loop *l);
void runs_reload(void);
/* What waits is given up with a TEMP verdict; what runs may end. */
void runs_drain(void);
bool runs_idle(void);
void runs_status(struct buf *out);
/* `over` follows, but not from inside, unless run_leave comes before. */
struct run *run_add(const struct run_ask *ask);
/* Nobody waits for its outcome any more: it is logged when it comes, and a run that has not begun
 * never does. */
void run_leave(struct run *r);
void run_stop(struct run *r); /* nor does anybody want what it does: it is ended, too */

/* ---- exits.c ----------------------------------------------------------------------------------- */

#define EXITS_LATER 75 /* EX_TEMPFAIL */
struct verdict exits_verdict(const struct order_result *, const char *program);

/* ---- the helper ------------------------------------------------------------------------------ */

NORETURN void helper_serve(int fd);
/* Runs it to its end.  `body`: the message; `out`: the result goes there, and who closes the other
 * end wants it no more; `to`: -1, or the file that its standard output is: then it reads the body as it is. */
void supervise(const struct order *o, const struct piped_program *p, int body, int out, int to);

/* child.c: the capabilities of this process go, those that it could have or pass on too.  0 or -1 with errno. */
int privileges_drop(void);

/* Where a try to start ended. */
struct child_fault {
	uint8_t how; /* enum order_how */
	int error;
};
struct child_plan {
	const struct order *order;
	const struct piped_program *program;
	uid_t uid;
	gid_t gid;
	const char *home, *user;
	int body, in, out; /* in: its standard input; out: its output and errors */
	int to;            /* its output, where that is a file of its own; or -1 */
	int fault; /* a struct child_fault goes there when it cannot be; else it is closed */
};
NORETURN void child_run(const struct child_plan *);
/* In the child, as the user; writes a line to standard output and returns an exit code. */
int mbox_deliver(const struct order *o, int body, const char *path, uid_t uid);
#endif
