/* job/master.h: the master's side: leases pushed by jobctl, results sent back.
 *
 * Credit is counted by leases: jobctl never has more than `slots` out on a connection, so each
 * result makes room for the next lease, which usually is already on its way. */
#ifndef JOB_MASTER_H
#define JOB_MASTER_H
#include "job/count.h"
#include "job/line.h"
#include "net/loop.h"

struct job_master;
struct job_master_events {
	/* A lease; slices are borrowed during the call. */
	void (*work)(void *arg, const struct job_work *w);
	/* An operator has stopped the channel: nothing may be delivered but what leases say; or started it. */
	void (*halt)(void *arg, bool halt);
	/* No more leases will come: finish what runs, then leave.  error: -errno, or 0 when
	 * jobctl asked for it.  After an error results go nowhere: what the files say counts. */
	void (*lost)(void *arg, int error);
};
/* Connects (Unix socket: at once).  0 or -errno. */
int job_master_open(struct loop *l, const char *path, const char *channel, uint32_t slots,
    const struct job_master_events *ev, void *arg, struct job_master **m) MUSTCHECK;
/* Sends the end of a lease; lines of one loop turn are written together. */
void job_master_end(struct job_master *m, const struct job_result *r);
/* A file that was set aside may be delivered now, or has gone (queue/aside.h). */
void job_master_new(struct job_master *m, const struct job_new *n);
void job_master_gone(struct job_master *m, const char *file_id);
/* What was counted since the last time (job/count.h). */
void job_master_count(struct job_master *m, const uint64_t n[JOB_COUNTS]);
/* There has been no work for a while: jobctl may say that this one is not needed (`lost`, 0). */
void job_master_idle(struct job_master *m);
/* Leaves: flushes, closes; no event follows.  Leases that are out go back. */
void job_master_close(struct job_master **m);
#endif
