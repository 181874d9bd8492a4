/* cut-serve.c: a master that waits for messages without a file: job/cut.h.
 *
 * Owns the channel's socket, if no other master has it, the connections of relays, and a token for each question that
 * is not answered.  Called by channel-master from its loop.  Nothing here fails for the master: without the
 * socket it works by leases alone.  Whoever asks may go at any time; his token then leads nowhere. */
#include <unistd.h>
#include "base/kv.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/cut.h"
#include "job/line.h"
#include "net/listen.h"
#include "queue/env.h"

#define TRY_MS 2000 /* another master may have gone */

struct job_cuts {
	struct loop *loop;
	char *path;
	job_cut_fn *fn;
	void *arg;
	struct listener listener;
	struct deadline again;
	struct list peers;
	int fd; /* -1: another one serves */
	bool stopped;
};

struct cut_peer {
	struct list link;
	struct job_cuts *c;
	struct ipc ipc;
	struct list tokens;
};

struct job_cut_token {
	struct list link;
	struct cut_peer *peer; /* NULL: it has gone */
	uint32_t id;
};

void
job_cut_answer(struct job_cut_token **tp, struct slice done, bool failed)
{
	struct job_cut_token *t = *tp;
	struct buf b = { 0 };

	*tp = NULL;
	list_remove(&t->link);
	if (t->peer && !t->peer->ipc.closing) {
		buf_lit(&b, "cut");
		kv_put_u64(&b, "id", t->id);
		kv_put_raw(&b, done.n ? "done" : "busy", done.n ? done : S("1"));
		if (failed)
			kv_put_raw(&b, "site", S("fail"));
		buf_char(&b, '\n');
		(void)!ipc_send(&t->peer->ipc, buf_get(&b), NULL, 0);
		buf_fini(&b);
	}
	mem_free(&t);
}

/* ---- relays ------------------------------------------------------------------------------------- */

static void
cut_peer_ask(struct cut_peer *p, struct slice rest, struct slice image)
{
	struct job_cut_token *t;
	char file[QUEUE_NAME_LEN + 8], dest[JOB_DEST_MAX + 1];
	uint64_t id;

	if (slice_u64(kv_find(rest, "id"), UINT32_MAX, &id) < 0) {
		ipc_close(&p->ipc);
		return;
	}
	t = mem_new(sizeof(*t));
	t->peer = p;
	t->id = (uint32_t)id;
	list_push(&p->tokens, &t->link);
	if (p->c->stopped || kv_cstr(kv_find(rest, "file"), file, sizeof(file)) < 0 ||
	    kv_cstr(kv_find(rest, "dest"), dest, sizeof(dest)) < 0)
		job_cut_answer(&t, S(""), false);
	else
		p->c->fn(p->c->arg, t, file, dest, image);
}

static void
cut_peer_on_packet(struct ipc *ipc, struct slice packet, int *fds, size_t nfds)
{
	struct cut_peer *p = ipc->data;
	struct slice line, rest;

	while (nfds)
		(void)close(fds[--nfds]);
	if (slice_cut(&packet, '\n', &line) && slice_eq(job_verb(line, &rest), S("cut")))
		cut_peer_ask(p, rest, packet);
	else
		ipc_close(ipc);
}

static void
cut_peer_on_closed(struct ipc *ipc, int error)
{
	struct cut_peer *p = ipc->data;
	struct job_cut_token *t;

	(void)error;
	while ((t = list_first(&p->tokens, struct job_cut_token, link))) {
		list_remove(&t->link);
		t->peer = NULL;
	}
	list_remove(&p->link);
	mem_free(&p);
}

static const struct ipc_events cut_peer_events = { cut_peer_on_packet, cut_peer_on_closed };

static void
cut_on_accept(struct listener *l, int fd)
{
	struct job_cuts *c = l->data;
	struct cut_peer *p = mem_new(sizeof(*p));

	p->c = c;
	list_init(&p->tokens);
	if (ipc_open(&p->ipc, c->loop, fd, &cut_peer_events, p) < 0) {
		(void)close(fd);
		mem_free(&p);
		return;
	}
	list_push(&c->peers, &p->link);
}

/* ---- the socket ----------------------------------------------------------------------------------- */

static void
cuts_try(struct deadline *d)
{
	struct job_cuts *c = CONTAINER(d, struct job_cuts, again);

	if (c->stopped || c->fd >= 0)
		return;
	c->fd = ipc_listen(c->path, 0660);
	if (c->fd >= 0 && listener_start(&c->listener, c->loop, c->fd, cut_on_accept, c) < 0) {
		(void)close(c->fd);
		c->fd = -1;
	}
	if (c->fd < 0)
		deadline_set(&c->again, c->loop, TRY_MS, cuts_try);
}

static void
cuts_listener_closed(struct listener *l)
{
	struct job_cuts *c = l->data;

	(void)close(c->fd);
	c->fd = -1;
	if (!c->stopped)
		cuts_try(&c->again);
}

void
job_cuts_stop(struct job_cuts *c)
{
	struct cut_peer *p;

	if (c->stopped)
		return;
	c->stopped = true;
	deadline_clear(&c->again);
	if (c->fd >= 0) {
		(void)unlink(c->path);
		listener_stop(&c->listener, cuts_listener_closed);
	}
	list_each(p, &c->peers, struct cut_peer, link) if (list_empty(&p->tokens))
	    ipc_close(&p->ipc);
}

void
job_cuts_go(struct job_cuts *c)
{
	c->stopped = false;
	if (c->fd < 0)
		cuts_try(&c->again);
}

bool
job_cuts_serves(const struct job_cuts *c)
{
	return c->fd >= 0 && !c->stopped;
}

struct job_cuts *
job_cuts_new(struct loop *l, const char *queue, const char *channel, job_cut_fn *fn, void *arg)
{
	struct job_cuts *c = mem_new(sizeof(*c));

	c->loop = l;
	c->path = mem_printf("%s/%s.cut", queue, channel);
	c->fn = fn;
	c->arg = arg;
	c->fd = -1;
	list_init(&c->peers);
	deadline_init(&c->again);
	cuts_try(&c->again);
	return c;
}
