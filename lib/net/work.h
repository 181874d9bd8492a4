/* net/work.h: blocking or long work (cold reads, fsync, parsing) on a pool of threads, behind an
 * op.  The pool's size is set by daemon/ before the first use (UV_THREADPOOL_SIZE, default 16).
 *
 * Every user has a share of the threads: at most WORK_SHARE of them are his at a time, what he
 * asks beyond that waits in a queue of his own, and free threads go round the users.  So 100
 * searches of one user leave three quarters of the pool to the others.  A thread that has worked
 * for a user stands behind the loop at the processors (nice).  Work that can be long
 * asks work_stopped() and ends when it is told so, or comes in slices that each take their turn.
 *
 * Called from the one loop of the process; `run` alone is on another thread. */
#ifndef NET_WORK_H
#define NET_WORK_H
#include "net/loop.h"
#include "net/op.h"

#define WORK_SHARE 4 /* a user has one part in so many of the threads, at least one thread */

/* Whose work it is: any number that is the same for all his sessions, an account's id.  0 is the
 * daemon itself, which has no share of its own but takes its turn like a user. */
#define WORK_OWN 0

/* run(arg) on a pool thread, then done(arg) on the loop.  After op_cancel `done` is not called,
 * but run may still be running (work_stopped() says true there): then `drop(arg)` is called on
 * the loop when it is over, never from inside op_cancel, and frees arg. */
void work_start_for(struct loop *l, struct op *op, uint64_t user, void (*run)(void *arg),
    void (*done)(void *arg), void (*drop)(void *arg), void *arg);
/* The daemon's own. */
void work_start(struct loop *l, struct op *op, void (*run)(void *arg), void (*done)(void *arg),
    void (*drop)(void *arg), void *arg);
/* Has the work that runs on this thread been cancelled?  Cheap; false outside of work. */
bool work_stopped(void);
#endif
