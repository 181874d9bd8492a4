/* net/work.c: libuv's thread pool behind an op, and who may use how much of it.
 *
 * Called by every daemon that reads or parses beside its loop.  Starting cannot fail.  What must
 * stay true: done or drop is called exactly once, on the loop, and drop never from inside
 * op_cancel.  libuv's own queue is first come, first served and cannot be looked into: so no more
 * is given to it than it has threads, and what waits, waits here by user. */
#include "net/work.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"

#define THREADS 4 /* libuv's own default; daemon/ sets more */
#define NICE    5 /* of threads that have worked for a user: the loop goes first */

struct work_user {
	struct list ring;    /* pool.ring, while it has work that may start */
	struct list waiting; /* of struct work */
	uint64_t id;
	unsigned running;
};

struct work {
	uv_work_t req;
	struct list link; /* user->waiting, or pool.dropped */
	struct work_user *user;
	struct op *op; /* NULL once cancelled */
	atomic_bool stop;
	bool started;
	void (*run)(void *);
	void (*done)(void *);
	void (*drop)(void *);
	void *arg;
};

/* One for the process: there is one loop. */
static struct {
	struct loop *loop;
	unsigned threads, running;
	struct map users; /* id -> struct work_user, those with work in hand */
	struct list ring, dropped;
	struct later later;
} pool;

static _Thread_local const struct work *work_here;
static _Thread_local bool work_is_nice;

static void work_pump(void);

bool
work_stopped(void)
{
	return work_here && atomic_load_explicit(&work_here->stop, memory_order_relaxed);
}

/* ---- users ------------------------------------------------------------------------------------ */

static void
pool_ready(struct loop *l)
{
	const char *env;

	if (pool.threads == 0) {
		env = getenv("UV_THREADPOOL_SIZE");
		pool.threads = env && atoi(env) > 0 ? (unsigned)atoi(env) : THREADS;
		list_init(&pool.ring);
		list_init(&pool.dropped);
		later_init(&pool.later);
	}
	must(pool.loop == l || (pool.users.n == 0 && list_empty(&pool.dropped)));
	pool.loop = l;
}

static struct work_user *
user_take(uint64_t id)
{
	struct work_user *u = map_get(&pool.users, slice((const char *)&id, sizeof(id)));

	if (u)
		return u;
	u = mem_new(sizeof(*u));
	u->id = id;
	list_init(&u->ring);
	list_init(&u->waiting);
	(void)map_put(&pool.users, slice((const char *)&u->id, sizeof(u->id)), u);
	return u;
}

static bool
user_may_start(const struct work_user *u)
{
	unsigned share = pool.threads / WORK_SHARE;

	if (list_empty(&u->waiting))
		return false;
	return u->id == WORK_OWN || u->running < (share > 0 ? share : 1);
}

/* Puts the user where he belongs: in the ring, out of it, or away. */
static void
user_settle(struct work_user *u)
{
	if (user_may_start(u)) {
		if (list_empty(&u->ring))
			list_push(&pool.ring, &u->ring);
	} else {
		list_remove(&u->ring);
	}
	if (u->running == 0 && list_empty(&u->waiting)) {
		(void)map_take(&pool.users, slice((const char *)&u->id, sizeof(u->id)));
		mem_release(u);
	}
}

/* ---- running ----------------------------------------------------------------------------------- */

/* What users ask for can take a processor for seconds, and there are more threads than processors:
 * they stand behind the loop, which answers everybody.  For good, since only root may go back. */
static void
work_be_nice(void)
{
	if (work_is_nice)
		return;
	work_is_nice = true;
	(void)!nice(NICE);
}

static void
work_on_run(uv_work_t *req)
{
	struct work *w = CONTAINER(req, struct work, req);

	if (w->user->id != WORK_OWN)
		work_be_nice();
	work_here = w;
	if (!work_stopped())
		w->run(w->arg);
	work_here = NULL;
}

static void
work_over(struct work *w)
{
	if (w->op) {
		op_done(w->op);
		w->done(w->arg);
	} else if (w->drop) {
		w->drop(w->arg);
	}
	mem_release(w);
}

static void
work_on_after(uv_work_t *req, int status UNUSED)
{
	struct work *w = CONTAINER(req, struct work, req);

	pool.running--;
	w->user->running--;
	user_settle(w->user);
	work_pump();
	work_over(w);
}

/* Gives free threads to the users in turn. */
static void
work_pump(void)
{
	while (pool.running < pool.threads && !list_empty(&pool.ring)) {
		struct work_user *u = CONTAINER(pool.ring.next, struct work_user, ring);
		struct work *w = CONTAINER(u->waiting.next, struct work, link);

		list_remove(&w->link);
		w->started = true;
		u->running++;
		pool.running++;
		list_remove(&u->ring); /* to the end of the ring, if anywhere */
		user_settle(u);
		must(uv_queue_work(&pool.loop->uv, &w->req, work_on_run, work_on_after) == 0);
	}
}

static void
pool_on_later(struct later *l UNUSED)
{
	while (!list_empty(&pool.dropped)) {
		struct work *w = CONTAINER(pool.dropped.next, struct work, link);

		list_remove(&w->link);
		work_over(w);
	}
}

static void
work_cancel(struct op *op)
{
	struct work *w = op->impl;

	w->op = NULL;
	atomic_store(&w->stop, true);
	if (w->started) {
		uv_cancel(
		    (uv_req_t *)&w->req); /* when it has not begun; after follows either way */
		return;
	}
	list_remove(&w->link);
	list_push(&pool.dropped, &w->link);
	later_run(&pool.later, pool.loop, pool_on_later);
	user_settle(w->user);
}

void
work_start_for(struct loop *l, struct op *op, uint64_t user, void (*run)(void *arg),
    void (*done)(void *arg), void (*drop)(void *arg), void *arg)
{
	struct work *w = mem_new(sizeof(*w));

	pool_ready(l);
	w->op = op;
	w->run = run;
	w->done = done;
	w->drop = drop;
	w->arg = arg;
	w->user = user_take(user);
	op->cancel = work_cancel;
	op->impl = w;
	list_push(&w->user->waiting, &w->link);
	user_settle(w->user);
	work_pump();
}

void
work_start(struct loop *l, struct op *op, void (*run)(void *arg), void (*done)(void *arg),
    void (*drop)(void *arg), void *arg)
{
	work_start_for(l, op, WORK_OWN, run, done, drop, arg);
}
