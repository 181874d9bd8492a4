/* daemon/program.h: what every main() is: tables and one call,
 *
 *	int main(int argc, char **argv) { return program_run(&this_program, argc, argv); }
 *
 * The call reads the command line and the configuration and then, by kind,
 *
 *	PROGRAM_DAEMON   opens listeners (or takes them from LISTEN_FDS), gives up privileges, forks
 *	                 workers when `workers` > 0, writes RUNDIR/NAME.pid, speaks sd_notify, serves
 *	                 RUNDIR/NAME.ctl and RUNDIR/NAME.metrics, reloads on SIGHUP, drains on SIGTERM and SIGINT, starts
 *	                 workers again that die;
 *	PROGRAM_MASTER   works for the daemon that has started it until daemon_drained(): no socket, pid
 *	                 file or control socket of its own; SIGHUP drains too (the next one reads the
 *	                 new configuration);
 *	PROGRAM_TOOL     calls `run` and ends.
 *
 * Options of all: -c FILE, -V or --version, -h or --help; of daemons and masters also -n (check,
 * print what is in effect), -k (list the keys), -d (log everything to standard error).  A letter in
 * `letters` is the program's own, also where it would be one of these.
 *
 * Files: the one of -c, else $TIERMAIL_CONF, else tiermail.conf in the folder that the suite was
 * built for.  Tools: it is tiermail.conf, whatever its name.  Others: it is the program's own file
 * with tiermail.conf beside it, or tiermail.conf with the own file beside it.  The one that is not
 * named may be missing.
 *
 * Exit codes: 0, EX_USAGE, EX_CONFIG, EX_OSERR; EX_TEMPFAIL of a master that cannot start.  Signals
 * are blocked and read from a descriptor: whoever forks by hand unblocks them before exec (uv_spawn
 * does). */
#ifndef DAEMON_PROGRAM_H
#define DAEMON_PROGRAM_H
#include <getopt.h>
#include "daemon/daemon.h"
#include "daemon/sandbox.h"
#include "daemon/sessions.h"

/* A socket of the daemon's own that operators of other hosts may ask, too (daemon/remote.h): "queue list" sends
 * it "list". */
struct daemon_door {
	const char *word;                /* "queue" */
	const char *socket;              /* in rundir: "jobctl.sock" */
	const char *operators;           /* what an operator may say, words, ... */
	const char *admins;              /* ... and an admin alone; nothing else is passed on */
	bool (*last)(struct slice line); /* with this line, without its end, the answer is over */
};

enum program_kind { PROGRAM_DAEMON, PROGRAM_MASTER, PROGRAM_TOOL };

struct program {
	const char *name; /* "imapd" */
	enum program_kind kind;
	const char *about;    /* what it is, as its manual says in one line */
	const char *operands; /* of the usage line; NULL = none */
	const char *file;     /* "imapd.conf", beside tiermail.conf; NULL = none of its own */
	const char *verb;     /* "serve": it is `tmctl serve`; NULL = the whole of its executable */
	const struct conf_schema *schema; /* of that file */

	/* Options of its own, for getopt_long, and their text in --help, a line each.  `option`
	 * returns false for a value that is wrong, after saying so. */
	const char *letters;
	const struct option *longs;
	const char *help;
	bool (*option)(int letter, const char *value);

	/* ---- daemons and masters ---- */
	const char *may;   /* words of daemon/sandbox.h: "inet queue" */
	const char *roles; /* of listeners: "mx|submission"; NULL = one role.  Where there are
	                               * some, `health` and `agent` are added, which the skeleton serves */
	bool listens;      /* has [listen] sections, one at least */
	bool client_certs; /* peer_certificate is "ask" unless configured */
	const char *alpn;  /* of its listeners, as tls_params.alpn */
	const char *drain_timeout;    /* the key's default; NULL = 30s */
	const int64_t *workers;       /* number of workers; NULL = work in this process */
	const struct metric *metrics; /* terminated by a NULL name */
	/* Before they are shown, in the process that works: sets gauges that nothing else keeps up to date,
	 * in a millisecond or two.  May be NULL. */
	void (*gauges)(void);

	/* Before the process confines itself: what else it needs, by sandbox_write and the like. */
	void (*paths)(void);
	/* -n and every start: further checks of the configuration; appends messages, returns false
	 * on errors. */
	bool (*check)(struct buf *why);
	/* Takes the operands, of which a check (-n) needs none: 0, or an exit code after saying why. */
	int (*take)(bool check, int argc, char **argv);
	/* -n: appends what is in effect besides the keys. */
	void (*print)(struct buf *out);

	/* Once, when the sockets are there and before privileges are given up: starts a process that has to keep
	 * them.  It has no thread, and the listeners open, which it closes.  0 or -errno after logging. */
	int (*privileged)(void);

	/* In the worker (or the only process), in this order: */
	int (*start)(struct loop *); /* 0 or -errno after logging; listeners start after it */
	void (*accept)(struct daemon_listen *, int fd); /* a connection, the fd is ours */
	void (*reload)(void); /* the new configuration is in the variables; may be NULL */
	void (*drain)(void);  /* stop taking work; call daemon_drained() when done */
	/* Appends `key=value ...` lines, one for each interesting thing; may be NULL. */
	void (*status)(struct buf *out);
	/* For who, kick, cache and drain SECONDS; NULL: it has none of these, and drains at the end of
	 * the seconds. */
	const struct daemon_sessions *sessions;
	/* A control command beyond status/metrics/reload/drain/ping; returns false if unknown.
	 * Every worker is asked; the answers are put one behind the other. */
	bool (*control)(struct slice line, struct buf *out);

	const struct daemon_door *door; /* NULL: there is none */

	void (*end)(void); /* of a process without workers: the loop has stopped */

	/* ---- tools ---- */
	int (*run)(int argc, char **argv); /* the operands; returns the exit code */
};

int program_run(const struct program *p, int argc, char **argv);
/* Says on standard error how this program is used, and returns EX_USAGE. */
int program_usage(void);
/* From `option`: the file that another letter than -c names. */
void program_conf(const char *file);
/* The tiermail.conf that was read; NULL when there is none. */
const char *program_conf_file(void);
/* For .control: is it "forget USER", of a user whose name may have blanks?  *user borrows from the line. */
bool daemon_forget_parse(struct slice line, struct slice *user);
#endif
