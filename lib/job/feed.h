/* job/feed.h: telling jobctl of new files.  For smtp-relay, and for masters that write notices.
 *
 * Fire and forget: lines are collected during a loop turn and written once.  While jobctl is
 * away they are dropped, because it scans the spool when it starts and when a feeder comes
 * back; the feeder reconnects by itself (100 ms, doubling to 5 s). */
#ifndef JOB_FEED_H
#define JOB_FEED_H
#include "job/line.h"
#include "net/loop.h"

struct job_feed;
/* `path` is RUNDIR/jobctl.sock, `who` the program's name. */
struct job_feed *job_feed_new(struct loop *l, const char *path, const char *who);
void job_feed_send(struct job_feed *f, const struct job_new *n);
bool job_feed_connected(const struct job_feed *f);
void job_feed_close(struct job_feed **f); /* flushes; frees itself when closed */
#endif
