/* net/work.c: see work.h; libuv's thread pool behind an op. */
#include <stdlib.h>
#include "base/mem.h"
#include "base/must.h"
#include "net/work.h"

struct work {
	uv_work_t req;
	struct op *op; /* NULL once cancelled */
	void (*run)(void *);
	void (*done)(void *);
	void (*drop)(void *);
	void *arg;
};

static void
on_run(uv_work_t *req)
{
	struct work *w = CONTAINER(req, struct work, req);

	w->run(w->arg);
}

static void
on_after(uv_work_t *req, int status UNUSED)
{
	struct work *w = CONTAINER(req, struct work, req);

	if (w->op) {
		op_done(w->op);
		w->done(w->arg);
	} else if (w->drop) {
		w->drop(w->arg);
	}
	free(w);
}

static void
work_cancel(struct op *op)
{
	struct work *w = op->impl;

	w->op = NULL;
	uv_cancel((uv_req_t *)&w->req); /* when it has not begun; on_after follows either way */
}

void
work_start(struct loop *l, struct op *op, void (*run)(void *arg), void (*done)(void *arg),
    void (*drop)(void *arg), void *arg)
{
	struct work *w = mem_new(sizeof(*w));

	*w = (struct work){ .op = op, .run = run, .done = done, .drop = drop, .arg = arg };
	op->cancel = work_cancel;
	op->impl = w;
	must(uv_queue_work(&l->uv, &w->req, on_run, on_after) == 0);
}
