/* base/logfile.h: a log file that never stops who writes to it.  Inside base/ (log.c) and for the skeleton
 * of daemons.
 *
 * Lines go into a buffer in memory; a thread writes them.  A disk that is full or hangs costs lines, not
 * time: they are counted, and told of in the file when there is room again.  Several processes may have the
 * same file: lines stay whole, and the one that finds it too long or too old turns it over
 * (NAME.log -> NAME.log.1 -> .2 ...) while the others notice.  Whoever moves or removes the file by other
 * means is noticed too, without a signal. */
#ifndef BASE_LOGFILE_H
#define BASE_LOGFILE_H
#include <sys/types.h>
#include "base/slice.h"

#define LOGFILE_ROOM (1024 * 1024) /* octets that may wait */

struct logfile_rules {
	int64_t size;   /* turned over when it is longer; 0 = never */
	int64_t age_ms; /* ... and at each multiple of this since 1970; 0 = never */
	int keep;       /* old ones */
};

/* Opens DIR/NAME.log: 0 or -errno.  Until logfile_start each line is written at once. */
int logfile_open(const char *dir, const char *name, const struct logfile_rules *r) MUSTCHECK;
void logfile_rules(const struct logfile_rules *r);
/* In each process that is not about to fork without exec: begins the thread. */
void logfile_start(void);
/* Around a fork, in the parent: no thread is between two stores then. */
void logfile_fork(void);
void logfile_fork_over(void);
void logfile_forked(void); /* in a child: what waits is the parent's, and the thread too */
/* A whole line, with its end. */
void logfile_put(struct slice line);
/* Waits until all is written, for a second at most. */
void logfile_drain(void);
/* To whom it belongs, for a daemon that is about to become somebody: 0 or -errno. */
int logfile_give(uid_t uid, gid_t gid) MUSTCHECK;
/* Counts lost lines, NULL = nowhere: a counter of daemon/'s. */
extern int64_t *logfile_lost;

/* log.c's: the line that tells of lost ones; how long it is. */
size_t log_lost_line(char *dst, size_t room, size_t lines);
#endif
