/* Bodies that stored lends: a few of each partition are kept ready.
 *
 * Owns the stocks of a client and the descriptors in them.  Called by the loop of whoever writes
 * messages, and by client.c when stored has sent some or is gone; with the connection all of them
 * are void, because stored has forgotten their tokens.  What must stay true: one is handed out once,
 * who waits is served in order, and what comes back is empty before it is kept: stored has the file open
 * too, so that closing it here would give no space back.  Without this a delivery would wait for stored twice. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/work.h"
#include "store/client-impl.h"

#define WANT_MOST 64       /* bodies that are asked for ahead */
#define CUT_NOW   0x400000 /* bytes of a file that are cut off on the loop: about a ms */

static struct stock *
store_stock_get(struct store_client *c, struct slice partition)
{
	struct stock *s;

	for (size_t i = 0; i < c->nstocks; i++)
		if (slice_eq(slice_str(c->stocks[i]->name), partition))
			return c->stocks[i];
	s = mem_new(sizeof(*s));
	s->name = mem_strn(partition.p, partition.n);
	s->index = (uint32_t)c->nstocks;
	s->want = 2 * STORE_BODIES_MAX;
	list_init(&s->waiting);
	c->stocks = mem_grow(c->stocks, c->nstocks + 1, sizeof(*c->stocks));
	c->stocks[c->nstocks++] = s;
	return s;
}

void
store_stock_empty(struct stock *s)
{
	while (s->n)
		close(s->bodies[--s->n].fd);
	mem_free(&s->bodies);
	s->room = 0;
	s->asked = 0;
}

/* One more is ready.  None is closed for there being many: stored would keep its side of it, and lends only so
 * many.  There are never more than were in use at a time. */
static void
stock_add(struct stock *s, const struct store_body *b)
{
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : WANT_MOST;
		s->bodies = mem_grow(s->bodies, s->room, sizeof(*s->bodies));
	}
	s->bodies[s->n++] = *b;
}

/* Hands what is there to those who wait. */
void
store_stock_serve(struct store_client *c, struct stock *s)
{
	static const struct store_reply fine = {
		.verdict = { .kind = OK, .reply = 250, .subject = 0 }
	};
	struct pending *p;

	while (!store_client_is_freed(c) && s->n &&
	    (p = list_first(&s->waiting, struct pending, link))) {
		if (p->op)
			*p->body = s->bodies[--s->n];
		store_client_finish(c, p, &fine);
	}
	if (!store_client_is_freed(c))
		store_stock_fill(c, s);
}

void
store_stock_came(struct store_client *c, struct stock *s, const struct store_reply *r,
    const int *fds, size_t nfds)
{
	s->asked -= s->asked < STORE_BODIES_MAX ? s->asked : STORE_BODIES_MAX;
	for (size_t i = 0; i < nfds; i++) {
		const struct store_body b = { .fd = fds[i],
			.generation = c->generation,
			.token = r->token + i,
			.partition = s->index };

		stock_add(s, &b);
	}
	if (nfds == 0) {
		/* No such partition, or stored has no files left: nobody gets one now. */
		struct pending *p;

		while (!store_client_is_freed(c) &&
		    (p = list_first(&s->waiting, struct pending, link)))
			store_client_finish(c, p, r);
		return;
	}
	store_stock_serve(c, s);
}

void
store_stock_fill(struct store_client *c, struct stock *s)
{
	const struct store_request r = { .verb = STORE_V_BODIES,
		.partition = slice_str(s->name),
		.count = STORE_BODIES_MAX };

	while (c->conn && s->n + s->asked + STORE_BODIES_MAX <= s->want) {
		struct pending *p = store_pending_new(c, NULL, NULL, NULL);

		p->stock = s;
		s->asked += STORE_BODIES_MAX;
		if (store_client_send(c, &r, p->id) < 0) {
			store_pending_free(c, p);
			s->asked -= STORE_BODIES_MAX;
			return;
		}
	}
}

int
store_body_take(struct store_client *c, struct slice partition, struct store_body *b)
{
	struct stock *s = store_stock_get(c, partition);

	b->fd = -1;
	if (s->n) {
		*b = s->bodies[--s->n];
		if (s->n < s->want / 2)
			store_stock_fill(c, s);
		return 0;
	}
	/* Somebody must wait: keep more from now on. */
	if (s->asked && s->want < WANT_MOST)
		s->want *= 2;
	return -EAGAIN;
}

void
store_body_start(struct store_client *c, struct slice partition, struct store_body *b,
    struct op *op, store_done *done, void *arg)
{
	struct stock *s = store_stock_get(c, partition);
	struct pending *p = store_pending_new(c, op, done, arg);

	b->fd = -1;
	p->body = b;
	if (!c->conn)
		store_client_connect(c);
	if (!c->conn) {
		store_pending_give_up(c, p);
		return;
	}
	list_remove(&p->link);
	list_push(&s->waiting, &p->link);
	store_stock_fill(c, s);
	if (s->n) /* taken since, or there all the time: answer from the loop */
		later_run(&c->serve, c->loop, store_client_serve_later);
}

/* What was written is cut off.  False: it is of no use any more. */
static bool
body_cut(const struct store_body *b)
{
	return ftruncate(b->fd, 0) == 0 && lseek(b->fd, 0, SEEK_SET) == 0;
}

static void
body_keep(struct store_client *c, struct store_body *b, bool is_cut)
{
	struct stock *s = b->partition < c->nstocks ? c->stocks[b->partition] : NULL;

	if (is_cut && s && c->conn && b->generation == c->generation)
		stock_add(s, b);
	else
		close(b->fd);
}

/* A large file, which the pool cuts off. */
struct cutting {
	struct op op;
	struct store_client *c;
	struct store_body body;
	bool is_cut;
};

static void
cutting_run(void *arg)
{
	struct cutting *k = arg;

	k->is_cut = body_cut(&k->body);
}

static void
cutting_done(void *arg)
{
	struct cutting *k = arg;
	struct store_client *c = k->c;

	body_keep(c, &k->body, k->is_cut);
	mem_free(&k);
	store_client_drop(c);
}

static void
cutting_start(struct store_client *c, const struct store_body *b)
{
	struct cutting *k = mem_new(sizeof(*k));

	k->c = c;
	k->body = *b;
	store_client_hold(c);
	work_start(c->loop, &k->op, cutting_run, cutting_done, NULL, k);
}

void
store_body_put(struct store_client *c, struct store_body *b)
{
	struct stat st;

	if (b->fd < 0)
		return;
	if (fstat(b->fd, &st) == 0 && st.st_size > CUT_NOW)
		cutting_start(c, b);
	else
		body_keep(c, b, body_cut(b));
	b->fd = -1;
}
