/* jobctl.h: the job controller: owns the schedule of all queued mail and hands work to masters.
 *
 *	serve.c    the socket: feeders, masters, operators; leases
 *	verbs.c    what operators ask, walk.c for many messages, tell.c for what is no message
 *	cancel.c   what the sender of a message that is kept for later asks
 *	pool.c     channel-master processes: started on demand, reaped
 *	pools.c    how many of them channels have together
 *	windows.c  the times of the day at which channels deliver
 *	stopped.c  which channels an operator has stopped, on disk
 *	places.c   what was learned of destinations, on disk
 *	rescan.c   the spool into the schedule, in the background
 *	reporter.c who sends reports of TLS, started once a day
 *	clock.c    steps of the system's clock
 *	table.c    what all of them know and change: no input or output
 *
 * Each stands on those below it: what they change they tell the table, and what is to be done about that
 * serve.c does at the end of the turn.
 * It decides and never touches a message's bytes.  Everything is in one process with one loop;
 * only reading the spool runs on a work thread. */
#ifndef JOBCTL_H
#define JOBCTL_H
#include "mta/channels.h"
#include "daemon/daemon.h"
#include "job/count.h"
#include "job/line.h"
#include "job/sched.h"
#include "net/stream.h"
#include "queue/queue.h"

struct jobctl {
	struct loop *loop;
	struct queue *queue; /* for hold, release, delete and scans; not started */
	struct sched *sched;
	struct channels *channels;
	char *master_conf; /* CONFDIR/channel-master.conf */
	struct list conns;
	size_t leases;
	uint64_t began; /* loop ms */
	bool draining;
};
extern struct jobctl jobctl;

/* Our part of a sched_channel (its `owner`). */
struct chan {
	struct sched_channel *sc;
	struct list free;         /* masters with room, the next one first */
	size_t masters;           /* connected */
	struct list procs;        /* processes that we started and that live */
	size_t nprocs, nstarting; /* started but not connected yet */
	uint64_t spawn_at;        /* not before (loop ms), after a failure */
	uint32_t failures;        /* in a row */
	uint64_t hungry_at; /* work, no process and no place in its pool since (loop ms); or 0 */
	enum chan_word { CHAN_SILENT, CHAN_STOP, CHAN_START } word; /* an operator's, stopped.c */
};

enum conn_kind { CONN_NEW, CONN_FEEDER, CONN_MASTER, CONN_READER };
struct walk;
struct cancel;
struct conn {
	uint32_t magic;
	struct stream io;
	struct list link;         /* jobctl.conns */
	struct list room;         /* chan->free, when it has room */
	struct list leases;       /* of sched_entry.link */
	struct later flush, more; /* more: lines that wait for the next turn */
	struct chan *chan;
	struct sched_entry **lease; /* by number, `slots` of them; NULL = free */
	uint32_t slots, nlease, lease_hint;
	enum conn_kind kind;
	uint32_t pid;
	uint64_t messages, kbytes; /* leases that have ended */
	uint64_t came, left;       /* loop ms; left: when it was asked to leave */
	int64_t since;             /* unix seconds: busy, or idle */
	struct walk *walk;         /* a long answer under way */
	struct cancel *cancel;     /* an answer that waits for the disk */
	bool leaving;
	bool sorted; /* `top` was said in this turn */
};

/* table.c */
void table_start(void);                         /* behind jobctl.channels and loop */
struct chan *chan_of(struct sched_channel *sc); /* found or made */
/* Nothing may go past its queue: an operator has stopped it, or one of its windows is shut. */
bool chan_is_halted(const struct sched_channel *sc);
void table_on_change(void (*fn)(struct later *)); /* who does something about it */
void table_changed(void);                         /* work has become ready, or somebody free */
void table_due(void);                             /* the schedule's next time may be earlier now */
void table_due_anew(void);                        /* or another one */
struct table_counts {
	size_t ready, waiting, leased, held, slow, limited, shut, masters, state[DEST_STATES];
};
void table_count(struct table_counts *n); /* over all channels */
void table_metrics(void);

/* serve.c */
int serve_start(void);                         /* opens the socket; 0 or -errno */
void conn_flush(struct conn *c);               /* at the end of this turn */
void masters_leave(struct chan *ch);           /* tell them; NULL = of all channels */
void masters_halt(struct chan *ch, bool halt); /* the channel is stopped, or goes on */
void conn_leave(struct conn *c);               /* tell this master, unless it was told */

/* clock.c */
void clock_watch_start(void); /* steps of the system's clock move the schedule along */

/* pool.c */
struct proc {
	struct list link;
	struct chan *chan;
	struct watch watch;
	int pidfd;
	uint32_t pid;
	bool connected, watched;
	uint64_t started;
};
void pool_start(void);
void pool_need(struct chan *ch);                    /* there may be more work than masters */
void pool_connected(struct chan *ch, uint32_t pid); /* somebody has come, perhaps one of ours */

void pool_look_again(uint64_t at); /* loop ms: somebody may be needed then */

/* `channel-master -c FILE word [more]` (more may be NULL): 0 or -errno. */
int pool_process(const char *path, const char *word, const char *more, pid_t *pid) MUSTCHECK;

/* reporter.c */
void reporter_start(void);
void reporter_leave(void); /* we do */

/* pools.c */
extern const struct conf_schema pools_schema;
const char *pools_name(const struct channel *c);
bool pools_check(const struct channels *c, struct buf *why); /* false: some have none; in words */
/* May another process of it be started?  Else somebody is asked to leave when it has none. */
bool pools_room(struct chan *ch);
size_t pools_hungry(void); /* channels that wait for a place */

/* rescan.c */
void rescan(const char *why); /* starts a walk over the spool, or another one after it */
bool rescan_running(void);
void rescan_close(void);

/* stopped.c */
int stopped_load(void); /* what operators said before, behind table_start; -errno is logged */
void stopped_set(struct sched_channel *sc, bool stopped);

/* windows.c */
void windows_start(void); /* behind table_start */
void windows_look(void);  /* the channels, or the clock, may be others */

/* places.c */
void places_load(void); /* behind stopped_load */
/* What is known of d has changed; with `hosts` also of the set of its MX hosts. */
void places_note(const struct sched_dest *d, bool hosts);

/* suspend.c: `suspend dest= [channel=] [seconds=]`, `resume dest= [channel=]` */
void suspend_run(struct conn *c, struct slice rest);
void resume_run(struct conn *c, struct slice rest);

/* tell.c */
void jobctl_status_write(struct buf *out);
void tell_channels(struct buf *b);
void tell_jobs(struct buf *b);                   /* a line for each master */
bool tell_top(struct buf *b, struct slice rest); /* the destinations with most messages */

/* walk.c: a verb over many messages, in steps. */
void walk_start(struct conn *c, struct slice rest,
    bool (*each)(struct conn *c, struct sched_entry *e), bool prints); /* each: true, it counts */
void walk_aside(struct conn *c); /* this one was left alone, as it is aside; NULL is fine */
void walk_more(struct conn *c);  /* the output has drained: go on with a long answer */
void walk_stop(struct conn *c);
void walk_answer(struct conn *c, const char *why); /* error, or ok where it is NULL */

/* cancel.c: `cancel qid= by=`; its connection has gone. */
void cancel_start(struct conn *c, struct slice rest);
void cancel_forget(struct conn *c);

/* verbs.c.  Returns false when the verb is unknown. */
bool verb_run(struct conn *c, struct slice verb, struct slice rest);
bool verb_reads(struct slice verb); /* it changes nothing and is cheap: for readers */
/* What was asked of a message while it was leased, now that it is not. */
void finish_marked(struct sched_entry *e);

/* metrics, in the order of the table in main.c */
enum {
	M_MESSAGES,
	M_READY,
	M_WAITING,
	M_LEASED,
	M_HELD,
	M_NEW,
	M_DONE,
	M_RETRY,
	M_EXPIRED,
	M_NOTICED,
	M_RETURNED,
	M_MASTERS,
	M_SPAWNED,
	M_CRASHED,
	M_SCANS,
	M_FOUND,
	M_MEMORY,
	M_SLOW,
	M_LIMITED,
	M_HUNGRY,
	M_DEAD,
	M_SUSPENDED,
	M_OLDEST,
	M_SHUT,
	M_CANCELLED,
	M_COUNT, /* ... and JOB_COUNTS in all: what masters count (job/count.h) */
};
#endif
