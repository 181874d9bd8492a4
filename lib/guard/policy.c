/* guard/policy.c: connections to policy services; see guard/policy.h.
 *
 * Owns them: a link is with a question or on the list of idle ones, and outlives both until libuv has closed it.
 * Called by smtp-relay for each recipient.  Fails by the service alone: gone, late, not understood.  A service may
 * close a connection at any time between two questions, so one that was used before and ends without an answer
 * is no failure: the question is asked once more, on a new one.  Must stay true: a link whose answer is outstanding is never
 * used for another question. */
#include "guard/policy.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/connect.h"
#include "net/stream.h"

struct policy_link {
	struct stream io;
	struct list link; /* of those that are idle */
	struct addr to;
	struct guard_policy *home;
	struct policy_ask *ask; /* NULL: idle, or closing */
	bool used;              /* it has answered before */
};
struct policy_ask {
	struct guard_policy *home;
	struct addr to;
	struct buf request;
	struct op *op, connecting;
	struct deadline late;
	struct policy_link *on;
	guard_policy_done done;
	void *arg;
};
struct guard_policy {
	struct loop *loop;
	struct list idle;
	size_t nidle;
};

struct guard_policy *
guard_policy_new(struct loop *l)
{
	struct guard_policy *p = mem_new(sizeof(*p));

	p->loop = l;
	list_init(&p->idle);
	return p;
}

/* ---- links ------------------------------------------------------------------------------- */

static void
policy_link_drop(struct policy_link *l)
{
	if (!l->ask && !list_empty(&l->link)) {
		list_remove(&l->link);
		l->home->nidle--;
	}
	l->ask = NULL;
	stream_close(&l->io);
}

static void
policy_link_rest(struct policy_link *l)
{
	struct guard_policy *p = l->home;

	l->ask = NULL;
	l->used = true;
	list_push_front(&p->idle, &l->link);
	p->nidle++;
	if (p->nidle > GUARD_POLICY_IDLE)
		policy_link_drop(list_last(&p->idle, struct policy_link, link));
}

void
guard_policy_free(struct guard_policy **pp)
{
	struct guard_policy *p = *pp;
	struct policy_link *l;

	*pp = NULL;
	if (!p)
		return;
	while ((l = list_first(&p->idle, struct policy_link, link)))
		policy_link_drop(l);
	mem_free(&p);
}

/* ---- a question -------------------------------------------------------------------------- */

static void policy_connect(struct policy_ask *a);

static void
policy_ask_free(struct policy_ask *a)
{
	op_cancel(&a->connecting);
	deadline_clear(&a->late);
	buf_fini(&a->request);
	free(a);
}

static void
policy_cancel(struct op *op)
{
	struct policy_ask *a = op->impl;

	if (a->on)
		policy_link_drop(a->on);
	policy_ask_free(a);
}

static void
policy_tell(struct policy_ask *a, const struct guard_policy_answer *answer, const char *why)
{
	op_done(a->op);
	a->done(a->arg, answer, why);
	policy_ask_free(a);
}

static void
policy_fail(struct policy_ask *a, const char *why)
{
	if (a->on)
		policy_link_drop(a->on);
	policy_tell(a, NULL, why);
}

static void
policy_on_late(struct deadline *d)
{
	policy_fail(CONTAINER(d, struct policy_ask, late), "it does not answer in time");
}

static void
policy_send(struct policy_ask *a, struct policy_link *l)
{
	a->on = l;
	l->ask = a;
	buf_slice(stream_out(&l->io), buf_get(&a->request));
	buf_char(stream_out(&l->io), '\n');
	stream_flush(&l->io);
}

/* The end of an answer in what has come: its empty line; 0: not here yet. */
static size_t
policy_end(struct slice in)
{
	for (size_t i = 1; i < in.n; i++)
		if (in.p[i] == '\n' &&
		    (in.p[i - 1] == '\n' || (i > 1 && in.p[i - 1] == '\r' && in.p[i - 2] == '\n')))
			return i + 1;
	return 0;
}

static void
policy_on_input(struct stream *s)
{
	struct policy_link *l = CONTAINER(s, struct policy_link, io);
	struct policy_ask *a = l->ask;
	struct slice in = stream_peek(s);
	struct guard_policy_answer answer;
	size_t n = policy_end(in);

	if (!a) { /* it has closed, or speaks unasked */
		policy_link_drop(l);
	} else if (n && n == in.n && guard_policy_read(slice_sub(in, 0, n), &answer)) {
		/* The answer borrows from what is unread until its owner is done with it. */
		op_done(a->op);
		a->on = NULL;
		l->ask = NULL;
		a->done(a->arg, &answer, NULL);
		policy_ask_free(a);
		stream_take(s, n);
		policy_link_rest(l);
	} else if (n || in.n > GUARD_POLICY_MAX) {
		policy_fail(a, "its answer is not understood");
	} else if (stream_ended(s) && l->used && in.n == 0) {
		a->on = NULL;
		policy_link_drop(l);
		policy_connect(a);
	} else if (stream_ended(s)) {
		policy_fail(a, "it has closed the connection");
	}
}

static void
policy_on_closed(struct stream *s)
{
	free(CONTAINER(s, struct policy_link, io));
}

static const struct stream_events policy_events = { .input = policy_on_input,
	.closed = policy_on_closed };

static void
policy_connected(void *arg, int fd)
{
	struct policy_ask *a = arg;
	struct policy_link *l;

	if (fd < 0) {
		policy_tell(a, NULL, strerror(-fd));
		return;
	}
	l = mem_new(sizeof(*l));
	l->home = a->home;
	l->to = a->to;
	list_init(&l->link);
	stream_init(&l->io, a->home->loop, &policy_events, l);
	if (stream_open(&l->io, fd) < 0) {
		(void)close(fd);
		free(l);
		policy_tell(a, NULL, "its connection cannot be used");
		return;
	}
	policy_send(a, l);
	stream_start(&l->io);
}

static void
policy_connect(struct policy_ask *a)
{
	/* The deadline of the question is the limit; this one only has to be later. */
	connect_start(a->home->loop, &a->to, NULL, 3600000, &a->connecting, policy_connected, a);
}

static struct policy_link *
policy_idle(struct guard_policy *p, const struct addr *to)
{
	struct policy_link *l;

	list_each(l, &p->idle, struct policy_link, link)
	{
		if (l->to.len != to->len || memcmp(&l->to.ss, &to->ss, to->len) != 0)
			continue;
		list_remove(&l->link);
		p->nidle--;
		return l;
	}
	return NULL;
}

void
guard_policy_start(struct guard_policy *p, const struct addr *to, uint32_t timeout_ms,
    struct slice request, struct op *op, guard_policy_done done, void *arg)
{
	struct policy_ask *a = mem_new(sizeof(*a));
	struct policy_link *l = policy_idle(p, to);

	a->home = p;
	a->to = *to;
	buf_slice(&a->request, request);
	a->op = op;
	a->done = done;
	a->arg = arg;
	op->cancel = policy_cancel;
	op->impl = a;
	deadline_init(&a->late);
	deadline_set(&a->late, p->loop, timeout_ms, policy_on_late);
	if (l)
		policy_send(a, l);
	else
		policy_connect(a);
}
