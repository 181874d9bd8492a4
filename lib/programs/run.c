/* run.c: the client's side of a run: see programs.h.
 *
 *	connect -> the order with both files -> a packet, or the end of the connection
 *
 * Owned by its op until `done` is called or it is cancelled; its memory goes when the connection is closed.  When piped
 * cannot be reached, or goes, that is PROGRAMS_LATER: nothing is known of the run, which may have gone on. */
#include <errno.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "mail/outcome.h"
#include "programs/programs.h"

#define PROGRAMS_MAGIC 0x70726f67U

struct programs_run {
	uint32_t magic;
	struct ipc ipc;
	struct op *op; /* NULL: nobody waits */
	struct later later;
	struct programs_result result;
	bool open, heard;
	void (*done)(void *, const struct programs_result *);
	void *arg;
};

static void
programs_free(struct programs_run *r)
{
	r->magic = 0;
	mem_free(&r);
}

static void
programs_over(struct programs_run *r)
{
	struct programs_result result = r->result;
	void (*done)(void *, const struct programs_result *) = r->done;
	struct op *op = r->op;
	void *arg = r->arg;

	r->op = NULL;
	if (!r->open)
		programs_free(r);
	if (op) {
		op_done(op);
		done(arg, &result);
	}
}

static void
programs_on_packet(struct ipc *c, struct slice packet, int *fds, size_t nfds)
{
	struct programs_run *r = CAST(c->data, struct programs_run, PROGRAMS_MAGIC);

	while (nfds) /* it never gives any */
		(void)close(fds[--nfds]);
	if (!r->heard && programs_result_parse(packet, &r->result) < 0)
		r->result = (struct programs_result){ PROGRAMS_LATER, verdict(OUT_PIPE_LOST) };
	r->heard = true;
	ipc_close(c);
}

static void
programs_on_closed(struct ipc *c, int error UNUSED)
{
	struct programs_run *r = CAST(c->data, struct programs_run, PROGRAMS_MAGIC);

	r->open = false;
	programs_over(r);
}

static void
programs_on_later(struct later *l)
{
	programs_over(CONTAINER(l, struct programs_run, later));
}

static void
programs_cancel(struct op *op)
{
	struct programs_run *r = CAST(op->impl, struct programs_run, PROGRAMS_MAGIC);

	r->op = NULL;
	if (r->open) {
		ipc_close(&r->ipc);
		return;
	}
	later_cancel(&r->later);
	programs_free(r);
}

/* 0 or -errno. */
static int
programs_begin(struct programs_run *r, struct loop *l, const struct programs_order *o, int in,
    int out)
{
	static const struct ipc_events events = { programs_on_packet, programs_on_closed };
	char *path = mem_printf("%s/" PROGRAMS_SOCKET, shared.rundir);
	struct buf packet = { 0 };
	int fds[2] = { in, out }, e = programs_order_write(&packet, o), fd = -1;

	if (e == 0)
		e = fd = ipc_connect(path);
	if (fd >= 0 && (e = ipc_open(&r->ipc, l, fd, &events, r)) < 0)
		(void)close(fd);
	r->open = fd >= 0 && e == 0;
	if (r->open && ipc_send(&r->ipc, buf_get(&packet), fds, 2) < 0)
		ipc_close(&r->ipc);
	buf_fini(&packet);
	mem_free(&path);
	return e;
}

void
programs_start(struct loop *l, const struct programs_order *o, int in, int out, struct op *op,
    void (*done)(void *arg, const struct programs_result *), void *arg)
{
	struct programs_run *r = mem_new(sizeof(*r));
	int e;

	r->magic = PROGRAMS_MAGIC;
	r->op = op;
	r->done = done;
	r->arg = arg;
	r->result = (struct programs_result){ PROGRAMS_LATER, verdict(OUT_PIPE_LOST) };
	later_init(&r->later);
	op->cancel = programs_cancel;
	op->impl = r;
	e = programs_begin(r, l, o, in, out);
	if (e < 0) {
		r->result.v = e == -EBADMSG ? verdict(OUT_PIPE_WORDS) :
					      verdict(OUT_PIPE_SYSTEM, strerror(-e));
		if (e == -EBADMSG)
			r->result.end = PROGRAMS_FAILED;
		later_run(&r->later, l, programs_on_later);
	}
}
