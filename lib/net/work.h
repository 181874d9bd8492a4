/* net/work.h: blocking work (cold reads, fsync) on a pool of threads, behind an op.
 * The pool's size is set by daemon/ before the first use (UV_THREADPOOL_SIZE, default 16). */
#ifndef NET_WORK_H
#define NET_WORK_H
#include "net/loop.h"
#include "net/op.h"

/* run(arg) on a pool thread, then done(arg) on the loop.  After op_cancel `done` is not called
 * but run may still be running: then `drop(arg)` is called on the loop when it is over and
 * frees arg. */
void work_start(struct loop *l, struct op *op, void (*run)(void *arg), void (*done)(void *arg),
    void (*drop)(void *arg), void *arg);
#endif
