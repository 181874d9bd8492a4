/* jobctl.h: the job controller: owns the schedule of all queued mail and hands work to masters.
 *
 *	serve.c    the socket: feeders, masters, operators; leases
 *	spawn.c    channel-master processes: started on demand, reaped
 *	rescan.c   the spool into the schedule, in the background
 *	verbs.c    what operators ask
 *
 * It decides and never touches a message's bytes.  Everything is in one process with one loop;
 * only reading the spool runs on a work thread. */
#ifndef JOBCTL_H
#define JOBCTL_H
#include "conf/channels.h"
#include "daemon/daemon.h"
#include "job/line.h"
#include "job/sched.h"
#include "net/stream.h"
#include "queue/queue.h"

struct jobctl {
	struct loop *loop;
	struct queue *queue;       /* for hold, release, delete and scans; not started */
	struct sched *sched;
	struct channels *channels;
	char *master_conf;         /* CONFDIR/channel-master.conf */
	struct later dispatch;
	struct timer due;
	int64_t due_at;            /* what the timer is set to, 0 = not armed */
	struct list conns;
	size_t leases;
	bool draining;
};
extern struct jobctl jobctl;

/* Our part of a sched_channel (its `owner`). */
struct chan {
	struct sched_channel *sc;
	struct list free;          /* masters with room, the next one first */
	size_t masters;            /* connected */
	struct list procs;         /* processes that we started and that live */
	size_t nprocs, nstarting;  /* started but not connected yet */
	uint64_t spawn_at;         /* not before (loop ms), after a failure */
	uint32_t failures;         /* in a row */
	struct timer again;
};
struct chan *chan_of(struct sched_channel *sc); /* found or made */

enum conn_kind { CONN_NEW, CONN_FEEDER, CONN_MASTER };
struct walk;
struct conn {
	uint32_t magic;
	struct stream io;
	struct list link;          /* jobctl.conns */
	struct list room;          /* chan->free, when it has room */
	struct list leases;        /* of sched_entry.link */
	struct later flush;
	struct chan *chan;
	struct sched_entry **lease; /* by number, `slots` of them; NULL = free */
	uint32_t slots, nlease, lease_hint;
	enum conn_kind kind;
	uint32_t pid;
	struct proc *proc;         /* if we started it */
	struct walk *walk;         /* a long answer under way */
	bool leaving;
};

/* serve.c */
int serve_start(void);             /* opens the socket; 0 or -errno */
void serve_stop(void);             /* no new connections */
void serve_due(struct timer *t);   /* jobctl.due's: something is due */
void dispatch_soon(void);          /* work has become ready: at the end of this turn */
void due_changed(void);            /* the schedule's next time may be earlier now */
void conn_flush(struct conn *c);   /* at the end of this turn */
void masters_leave(struct chan *ch); /* tell them; NULL = of all channels */

/* spawn.c */
struct proc {
	struct list link;
	struct chan *chan;
	struct watch watch;
	int pidfd;
	uint32_t pid;
	bool connected, watched;
	uint64_t started;
};
void spawn_if_needed(struct chan *ch);
struct proc *spawn_find(struct chan *ch, uint32_t pid);
void spawn_connected(struct proc *p);

/* rescan.c */
void rescan(const char *why);      /* starts a walk over the spool, or another one after it */
bool rescan_running(void);
void rescan_close(void);

/* verbs.c.  Returns false when the verb is unknown. */
bool verb_run(struct conn *c, struct slice verb, struct slice rest);
void walk_more(struct conn *c);    /* the output has drained: go on with a long answer */
void walk_stop(struct conn *c);
void status_write(struct buf *out);
/* What was asked of a message while it was leased, now that it is not. */
void finish_marked(struct sched_entry *e);

/* metrics, in the order of the table in main.c */
enum { M_MESSAGES, M_READY, M_WAITING, M_LEASED, M_HELD, M_NEW, M_DONE, M_RETRY, M_EXPIRED, M_NOTICED,
	M_RETURNED, M_MASTERS, M_SPAWNED, M_CRASHED, M_SCANS, M_FOUND, M_MEMORY };
#endif
