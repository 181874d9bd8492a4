/* daemon/daemon.h: the skeleton main of every daemon.
 *
 * main.c holds tables and one call: `return daemon_run(&this_daemon, argc, argv);`
 * The skeleton reads the command line (-c FILE, -n check and print, -k list all keys, -d debug,
 * -V version), the configuration, opens listeners (or takes them from LISTEN_FDS), forks workers when
 * `workers` > 0, drops privileges, writes RUNDIR/NAME.pid, speaks sd_notify, serves
 * RUNDIR/NAME.ctl, reloads on SIGHUP, drains on SIGTERM/SIGINT and restarts workers that die.
 * Always in the foreground.  Exit codes: 0, EX_USAGE, EX_CONFIG, EX_OSERR.
 *
 * FILE is the daemon's own file with tiermail.conf beside it, or tiermail.conf with the daemon's
 * own file beside it; without -c both are in /etc/tiermail.  The one that is not named may be
 * absent.  A worker that dies is started again; one that never becomes ready ends the daemon.
 * Signals are blocked and read from a descriptor: whoever forks by hand unblocks them before
 * exec (uv_spawn does). */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H
#include "conf/conf.h"
#include "conf/shared.h"
#include "net/listen.h"
#include "net/tls.h"

/* A listener as configured: [listen NAME] sections, same keys for every daemon:
 * address (unix:NAME without a slash is in rundir), tls (off|starttls|implicit), role (the
 * daemon's choices), mode, certificate, key.  The daemon's file also has drain_timeout and
 * core, see tiermail.conf(5). */
struct daemon_listen {
	char *name;
	char *address;
	int tls;              /* enum daemon_tls */
	int role;             /* index in daemon.roles */
	int64_t mode;         /* of a Unix socket */
	char *cert, *key;     /* override tls.certificate, tls.key */
	int fd;
	struct tls_ctx *tls_ctx;  /* made by the skeleton when tls != off; replaced on reload */
	struct listener listener;
};
enum daemon_tls { TLS_OFF, TLS_STARTTLS, TLS_IMPLICIT };

/* Counters and gauges, in memory shared by all workers: one slot per worker, summed by the
 * parent.  Names are OpenMetrics names without the "tiermail_" prefix; never labelled by user. */
enum metric_kind { COUNTER, GAUGE };
struct metric {
	const char *name;   /* "smtp_messages_accepted" (counters get _total when printed) */
	enum metric_kind kind;
	const char *help;
};

struct daemon {
	const char *name;                  /* "imapd" */
	const char *file;                  /* "imapd.conf", below the configuration directory */
	const struct conf_schema *schema;  /* of that file */
	const char *roles;                 /* "mx|submission", NULL = one role */
	bool listens;                      /* has [listen] sections */
	bool client_certs;                 /* its TLS listeners ask for a certificate (tls.ca) */
	const int64_t *workers;            /* number of workers; NULL = work in this process */
	const struct metric *metrics;      /* terminated by a NULL name */

	/* In the worker (or the only process), in this order: */
	int (*start)(struct loop *);       /* 0 or -errno after logging; listeners start after it */
	void (*accept)(struct daemon_listen *, int fd); /* a connection, the fd is ours */
	void (*reload)(void);              /* the new configuration is in the variables; may be NULL */
	void (*drain)(void);               /* stop taking work; call daemon_drained() when done */
	void (*status)(struct buf *out);   /* one `key=value ...` line per interesting thing; may be NULL */
	/* A control command beyond status/metrics/reload/drain/ping; returns false if unknown.
	 * Every worker is asked; the answers are put one behind the other. */
	bool (*control)(struct slice line, struct buf *out);
	/* -n: further checks of the configuration; appends messages, returns false on errors. */
	bool (*check)(struct buf *why);
};

int daemon_run(const struct daemon *d, int argc, char **argv);
struct loop *daemon_loop(void);         /* of this worker */
/* The path of a file beside this daemon's own ("channels.conf"), in the configuration directory;
 * heap, the caller frees.  Valid from the time conf is read (also in `check`). */
char *daemon_conf_path(const char *file);
int daemon_worker(void);                /* 0 .. workers-1 */
bool daemon_draining(void);
void daemon_drained(void);              /* everything is finished: leave */
struct daemon_listen **daemon_listeners(void); /* NULL-terminated */
/* A client-side TLS context from the shared keys (verified); borrowed, replaced on reload.
 * NULL after logging when the files are no good. */
struct tls_ctx *daemon_tls_client(void);

/* Metric `i` of daemon.metrics, in this worker's slot. */
void metric_add(size_t i, int64_t n);
void metric_set(size_t i, int64_t v);
int64_t metric_get(size_t i);
#endif
