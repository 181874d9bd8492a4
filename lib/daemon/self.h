/* daemon/self.h: what the files of daemon/ share.  Nobody else may include it. */
#ifndef DAEMON_SELF_H
#define DAEMON_SELF_H
#include <sys/types.h>
#include "base/log.h"
#include "daemon/daemon.h"
#include "net/ipc.h"
#include "net/stream.h"

struct self {
	const struct daemon *d;
	const struct conf_schema *schemas[3];
	size_t nschemas;
	char *file;                     /* of -c, or NULL */
	char *dir;                      /* of the configuration */
	char *shared_path, *own_path;   /* NULL = there is no such file */
	struct daemon_listen **listens; /* filled by conf_read */
	int64_t drain_timeout;
	bool core;
	bool debug;
	struct tls_ctx *client;         /* see daemon_tls_client */
	struct loop loop;               /* the parent's, or the only process' */
	struct loop *current;           /* of this process */
	int worker;                     /* -1 in the parent */
	int64_t nworkers;               /* 0 = single process */
	bool draining;
	uint64_t started_ms;
	char *pid_path, *ctl_path;
	int ctl_fd;
};
extern struct self self;

/* ---- config.c ---- */
/* Which files: from -c FILE, or the default.  Returns false when FILE does not exist. */
bool config_paths(const char *file);
/* Would this program start with the files as they are now?  A child with -n looks, so that a
 * mistake which only daemon.check finds changes nothing here.  *why (heap) when it would not. */
bool config_verify(char **why);
/* Reads them, makes the TLS contexts.  0, or -errno; *why (heap) may hold warnings too. */
int config_load(bool reload, char **why) MUSTCHECK;
/* Logs each line of why as `event`, and frees it. */
void config_log(enum log_level level, const char *event, char *why);

/* ---- setup.c: before the loop runs; 0 or -errno after logging ---- */
void setup_limits(void);
int setup_rundir(void) MUSTCHECK;
int setup_listeners(void) MUSTCHECK; /* LISTEN_FDS first, then addresses */
int setup_privileges(void) MUSTCHECK;
int setup_run_files(void) MUSTCHECK; /* control socket and pid file */
void setup_close_listeners(void);
void setup_remove(void);             /* the files in rundir */

/* ---- notify.c ---- */
void notify_send(const char *text);  /* to systemd, if it listens */
void notify_reloading(void);
uint64_t notify_watchdog_ms(void);   /* how often it wants to hear of us, 0 = never */

/* ---- counters.c ---- */
void counters_open(size_t slots);    /* before the workers are forked */
void counters_use(size_t slot);
void counters_restarted(size_t slot); /* gauges start again from 0 */
void counters_accepted(void);
/* `pids` of the workers, NULL for a single process. */
void counters_write(struct buf *out, const pid_t *pids, size_t npids, uint64_t restarts);

/* ---- worker.c ---- */
/* Starts the daemon's work on `l`; 0 or -errno. */
int worker_start(struct loop *l, int worker) MUSTCHECK;
void worker_drain(void);
bool worker_reload(char **why) MUSTCHECK;
/* Answers a control line; false when it is unknown. */
bool worker_answer(struct slice line, struct buf *out);
/* The whole life of a forked worker. */
NORETURN void worker_main(int worker, int channel);
/* What daemon_drained calls in this process. */
extern void (*worker_drained)(void);

/* ---- control.c: the control socket ---- */
struct ctl_conn;
void control_start(struct loop *l, int fd, void (*ask)(struct ctl_conn *, struct slice line));
void control_stop(void);
/* Writes the answer and closes. */
void control_answer(struct ctl_conn *c, struct slice text);
/* For an answer that comes later: *holder becomes NULL when the asker goes away before. */
void control_hold(struct ctl_conn *c, struct ctl_conn **holder);
void control_close_fds(void); /* in a forked child */

/* ---- parent.c ---- */
int parent_run(void);
/* ---- single.c ---- */
int single_run(void);

/* ---- signals.c ---- */
/* Blocks these signals and calls fn for each that comes. */
void signals_start(struct loop *l, bool children, void (*fn)(int sig));
void signals_forked(void); /* in a forked child: unblocks and forgets */

/* Packets between parent and worker: this, and text. */
struct packet {
	uint32_t id;
	uint16_t kind;
	uint16_t flags;
};
enum packet_kind { PACKET_LINE, PACKET_RELOAD, PACKET_DRAIN, PACKET_READY, PACKET_TEXT };
enum packet_flag { PACKET_MORE = 1, PACKET_UNKNOWN = 2 };
#endif
