/* daemon/daemon-impl.h: what the files of daemon/ share.  Nobody else may include it. */
#ifndef DAEMON_IMPL_H
#define DAEMON_IMPL_H
#include <sys/types.h>
#include "base/log.h"
#include "daemon/program.h"
#include "daemon/sandbox.h"
#include "net/ipc.h"
#include "net/stream.h"

struct self {
	const struct program *d;
	const struct conf_schema *schemas[3];
	size_t nschemas;
	char *file;                     /* that was named, by -c or the environment, or NULL */
	char *dir;                      /* of the configuration */
	char *shared_path, *own_path;   /* NULL = there is no such file */
	struct daemon_listen **listens; /* filled by conf_read */
	int64_t drain_timeout, upgrade_timeout;
	char **proxy_networks;
	bool core;
	int sandbox; /* enum sandbox_mode */
	bool debug;
	struct tls_ctx *client[2];  /* see daemon_tls_client; [verify] */
	struct tls_ctx *remote_ctx; /* of remote.c; NULL: nobody is let in from other hosts */
	int remote_fd;              /* ... its listener, or -1 */
	struct loop loop;           /* the parent's, or the only process' */
	struct loop *current;       /* of this process */
	int worker;                 /* -1 in the parent */
	int64_t nworkers;           /* 0 = single process */
	bool draining;
	bool leaving; /* asked to drain, slowly: still serving, see admin.c */
	uint64_t started_ms;
	char *pid_path, *ctl_path, *metrics_path, *news_path;
	int ctl_fd, metrics_fd, news_fd;
	int64_t
	    cert_until; /* unix seconds: when the first of the certificates ends; 0 = there is none */
};
extern struct self daemon_self;

/* ---- config.c ---- */
/* Which files: from -c FILE, the environment, or the default.  Returns false when the file that
 * was named does not exist (errno says why). */
bool config_paths(const char *file);
/* Would this program start with the files as they are now?  A child with -n looks, so that a
 * mistake which only program.check finds changes nothing here.  *why (heap) when it would not. */
bool config_verify(char **why);
/* Reads them, makes the TLS contexts.  0, or -errno; *why (heap) may hold warnings too. */
int config_load(bool reload, char **why) MUSTCHECK;
/* All of a reload in the process that has the control socket: the supervisor is told, `load` (NULL: config_load) reads what has been verified,
 * `check` (or NULL) may refuse it afterwards.  Appends the answer; false: the old one stays. */
bool config_reload(bool (*load)(char **why), bool (*check)(struct buf *why), struct buf *out);
/* Logs each line of why as `event`, and frees it. */
void config_log(enum log_level level, const char *event, char *why);

/* ---- check.c ---- */
/* What no single value shows; appends "file:line: text" and "warning: ..." lines to why, and
 * returns false unless all of them are warnings. */
bool check_config(struct buf *why);
/* Certificates, keys and their listeners, likewise; before their contexts are made. */
bool check_certificates(struct buf *why);

/* ---- confine.c ---- */
/* Tells the sandbox what this process needs and enters the rules for files: before there is a second
 * thread.  sandbox_calls follows when everything has started. */
void confine_files(bool alone);
/* In a parent: the rules that its workers enter, for confine_check. */
void confine_plan(bool alone);
/* After a reload's read: is every file within the rules?  Says which are not. */
bool confine_check(struct buf *why);

/* The folder of log_to = dir:PATH, or NULL. */
const char *config_log_dir(void);
/* log_to as configured, but for -d: 0 or -errno after saying what is wrong on standard error. */
int config_log_open(void) MUSTCHECK;

/* ---- setup.c: before the loop runs; 0 or -errno after logging ---- */
void setup_limits(void);
int setup_rundir(void) MUSTCHECK;
int setup_listeners(void) MUSTCHECK; /* LISTEN_FDS first, then addresses */
int setup_privileges(void) MUSTCHECK;
int setup_run_files(void) MUSTCHECK; /* control socket and pid file */
int setup_pid(void) MUSTCHECK;       /* the latter: it names this process from now on */
void setup_close_listeners(void);
void setup_remove(void); /* the files in rundir */

#define SETUP_FIRST_FD 3               /* SD_LISTEN_FDS_START */
bool setup_inherited(size_t listener); /* systemd's, whose path is not ours */

/* ---- upgrade.c: SIGUSR2 ---- */
enum upgrade_socket {
	UPGRADE_CTL,
	UPGRADE_METRICS,
	UPGRADE_NEWS,
	UPGRADE_REMOTE,
	UPGRADE_OLD, /* the link to who has started us */
	UPGRADE_SOCKETS
};
void upgrade_init(void); /* first of all: the program's name */
/* An inherited descriptor: true, it was one of these, and is kept for upgrade_socket. */
bool upgrade_inherit(struct slice name, int fd);
int upgrade_socket(enum upgrade_socket which); /* ownership moves; -1 = there is none */
void upgrade_start(void);                      /* in the parent; says in the log what came of it */
void upgrade_refuse(const char *why);
bool upgrade_died(pid_t pid, int status); /* false: it was another child */
void upgrade_abandon(void);               /* we end: so does who was to take over */
bool upgrade_retired(void);               /* another process has taken over from this one */
bool upgrade_pending(void); /* this one has not yet taken over: nothing in rundir is its own */
void upgrade_ready(void);   /* this one serves: so its predecessor retires */
/* A control line: is it one that sessions of a predecessor must hear, too?  Tells it, if there is one. */
bool upgrade_concerns(struct slice line);
void upgrade_tell(struct slice line);
bool
upgrade_awaits(void); /* a predecessor has sessions yet, and hears of its successors by us alone */
void upgrade_close_fds(void); /* in a forked child */

/* ---- notify.c ---- */
void notify_send(const char *text); /* to systemd, if it listens */
void notify_reloading(void);
uint64_t notify_watchdog_ms(void); /* how often it wants to hear of us, 0 = never */

/* ---- counters.c ---- */
void counters_open(size_t slots); /* before the workers are forked */
void counters_use(size_t slot);
void counters_restarted(size_t slot); /* gauges start again from 0 */
void counters_accepted(void);
void counters_refresh(void); /* what only this process can see of itself */
/* `pids` of the workers, NULL for a single process. */
void counters_write(struct buf *out, const pid_t *pids, size_t npids, uint64_t restarts);

/* ---- worker.c ---- */
/* Starts the daemon's work on `l`; 0 or -errno. */
int worker_start(struct loop *l, int worker) MUSTCHECK;
void worker_drain(void);
/* Takes nothing new, and drains when the last session has ended by itself. */
void worker_retire(void);
bool worker_reload(char **why) MUSTCHECK;
/* Answers a control line; false when it is unknown. */
bool worker_answer(struct slice line, struct buf *out);
/* The whole life of a forked worker. */
NORETURN void worker_main(int worker, int channel);
/* What daemon_drained calls in this process. */
extern void (*worker_drained)(void);

/* ---- announce.c: listeners behind a proxy ---- */
/* A connection of a listener, to program.accept: at once, or when its PROXY header is read. */
void announce_accept(struct daemon_listen *l, int fd);
bool announce_waits(void); /* some have not said yet who they are */
void announce_drain(void); /* those that have said nothing yet are closed */

/* ---- admin.c ---- */
/* In the process that has the control socket: 1 after "drain SECONDS", which the workers must hear too
 * and which ends in drain(); -errno when the number is wrong; 0: it was another line.  Appends the
 * answer. */
int admin_spread(struct slice line, void (*drain)(void), struct buf *out);
/* In the process that has the control socket: what it answers by itself.  False: another line. */
bool admin_own(struct slice line, struct buf *out);
/* The first line of `status`, and the lines of one of several workers. */
void admin_header(struct buf *out);
void admin_of_worker(struct buf *out, int worker, struct slice text);
/* In a worker: false, it is not one of these verbs. */
bool admin_answer(struct slice line, struct buf *out);
/* Which sessions: of `who` and the like. */
enum { FILTER_SID, FILTER_USER, FILTER_PEER, FILTER_PROTOCOL, FILTER_STORE, FILTERS };
struct admin_filter {
	struct slice want[FILTERS]; /* p NULL: any; borrowed from the line */
	size_t n;
};
/* False after saying in `out` what is wrong. */
bool admin_filter_parse(struct admin_filter *f, struct slice args, struct buf *out);
bool admin_filter_fits(const struct admin_filter *f, const struct daemon_session *s);

/* ---- wire.c: traces on demand, in a worker ---- */
bool wire_answer(struct slice line, struct buf *out); /* false: it is not "trace ..." */

/* ---- health.c ---- */
enum health_role { HEALTH_NONE, HEALTH_HTTP, HEALTH_AGENT };
#define HEALTH_ROLES "health|agent" /* behind the daemon's own, in this order */
int health_role(const struct daemon_listen *l);
void health_accept(const struct daemon_listen *l, int fd);

/* ---- control.c: the control socket ---- */
struct ctl_conn;
/* Who connects to the metrics' socket has asked for them with that, and can ask for nothing else; at the news' one
 * "forget USER" alone is heard.  Lines of all three go to `ask`: at once, or from control_listen on, when there is a
 * predecessor that answers until then. */
void control_start(struct loop *l, void (*ask)(struct ctl_conn *, struct slice line));
void control_listen(struct loop *l);
/* Writes the answer (copied) as the asker reads it, and closes. */
void control_answer(struct ctl_conn *c, struct slice text);
/* For an answer that comes later: *holder becomes NULL when the asker goes away before. */
void control_hold(struct ctl_conn *c, struct ctl_conn **holder);
void control_stop(void);      /* the sockets are another process's from now on; answers go out */
void control_close_fds(void); /* in a forked child */

/* ---- remote.c: the same for other hosts, daemon/remote.h ---- */
int remote_start(struct loop *l) MUSTCHECK; /* in the one process that serves it */
void remote_stop(void);

/* ---- parent.c ---- */
int parent_run(void);
/* For upgrade.c: `heir` serves from now on; what it was told concerns our sessions, too. */
void parent_retire(pid_t heir);
void parent_hear(struct slice line);
void parent_leave(void); /* when nothing keeps it */
/* ---- single.c ---- */
int single_run(void);

/* ---- signals.c ---- */
/* Blocks SIGTERM, SIGINT, SIGHUP, SIGUSR2 and with `children` SIGCHLD, and calls fn for each that comes. */
void signals_start(struct loop *l, bool children, void (*fn)(int sig));
/* Readable while a signal waits that ends this process: for who must wait outside of the loop.  -1
 * before signals_start. */
int signals_end_fd(void);
void signals_forked(void); /* in a forked child: unblocks and forgets */
void signals_exec(void);   /* ... that becomes another program: as they were */

/* Packets between parent and worker: this, and text. */
struct packet {
	uint32_t id;
	uint16_t kind;
	uint16_t flags;
};
enum packet_kind {
	PACKET_LINE,
	PACKET_RELOAD,
	PACKET_DRAIN,
	PACKET_RETIRE,
	PACKET_READY,
	PACKET_TEXT
};
enum packet_flag { PACKET_MORE = 1, PACKET_UNKNOWN = 2 };
#endif
