/* The client side of stored's protocol: the connection, requests in flight, bodies.
 * What each request says is in ask.c. */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "store/client_private.h"

#define RETRY_MS     50
#define RETRY_MAX_MS 1000

static void connect_now(struct store_client *c);
static void fail_later(struct later *l);
static void serve_later(struct later *l);
static void stock_fill(struct store_client *c, struct stock *s);

static struct slice
id_key(const uint32_t *id)
{
	return slice((const char *)id, sizeof(*id));
}

/* ---- requests in flight ------------------------------------------------------------------------- */

static void
pending_free(struct store_client *c, struct pending *p)
{
	map_take(&c->by_id, id_key(&p->id));
	list_remove(&p->link);
	c->npending--;
	mem_free(&p);
}

static void
on_cancel(struct op *op)
{
	struct pending *p = CAST(op->impl, struct pending, PENDING_MAGIC);

	p->op = NULL; /* the answer will be dropped */
}

/* The one place that calls `done`.  p is gone then, and perhaps the client. */
static void
finish(struct store_client *c, struct pending *p, const struct store_reply *r)
{
	struct op *op = p->op;
	store_done *done = p->done;
	void *arg = p->arg;

	pending_free(c, p);
	if (!op)
		return;
	op_done(op);
	done(arg, r);
}

struct pending *
pending_new(struct store_client *c, struct op *op, store_done *done, void *arg)
{
	struct pending *p = mem_new(sizeof(*p));

	p->magic = PENDING_MAGIC;
	list_init(&p->link);
	do
		p->id = ++c->last_id;
	while (p->id == 0 || map_get(&c->by_id, id_key(&p->id)));
	p->op = op;
	p->done = done;
	p->arg = arg;
	if (op) {
		op->cancel = on_cancel;
		op->impl = p;
	}
	map_put(&c->by_id, id_key(&p->id), p);
	list_push(&c->pending, &p->link);
	c->npending++;
	return p;
}

/* Only those that are on the list now: what `done` asks again fails in its own turn. */
static void
fail_all(struct store_client *c)
{
	const struct store_reply away = { .code = STORE_AWAY,
		.verdict = verdict(TEMP, 451, "4.3.0", "message store is not available") };
	struct pending *p;
	size_t n = 0;

	list_each(p, &c->failed, struct pending, link)
		n++;
	c->busy++;
	while (n-- && !c->freed && (p = list_first(&c->failed, struct pending, link)))
		finish(c, p, &away);
	c->busy--;
	if (!c->freed && !list_empty(&c->failed))
		later_run(&c->later, c->loop, fail_later);
}

static void
fail_later(struct later *l)
{
	struct store_client *c = CONTAINER(l, struct store_client, later);

	fail_all(c);
	client_release(c);
}

static void
give_up(struct store_client *c, struct pending *p)
{
	list_remove(&p->link);
	list_push(&c->failed, &p->link);
	later_run(&c->later, c->loop, fail_later);
}

void
ask_nobody(struct store_client *c, struct op *op, store_done *done, void *arg)
{
	give_up(c, pending_new(c, op, done, arg));
}

void
ask(struct store_client *c, struct store_request *r, struct op *op, store_done *done, void *arg)
{
	struct pending *p = pending_new(c, op, done, arg);

	if (!c->conn) /* a try costs microseconds, an answer 451 minutes */
		connect_now(c);
	buf_clear(&c->out);
	if (c->conn)
		store_request_write(&c->out, r);
	if (!c->conn || store_send(&c->conn->ipc, r->verb, p->id, buf_get(&c->out), NULL, 0) < 0)
		give_up(c, p);
	if (c->out.room > 256 * 1024)
		buf_fini(&c->out);
}

/* ---- bodies ------------------------------------------------------------------------------------------ */

static struct stock *
stock_get(struct store_client *c, struct slice partition)
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

static void
stock_empty(struct stock *s)
{
	while (s->n)
		close(s->bodies[--s->n].fd);
	s->asked = 0;
}

/* Hands what is there to those who wait. */
static void
stock_serve(struct store_client *c, struct stock *s)
{
	static const struct store_reply fine = { .verdict = { .kind = OK, .reply = 250, .subject = 0 } };
	struct pending *p;

	while (!c->freed && s->n && (p = list_first(&s->waiting, struct pending, link))) {
		if (p->op)
			*p->body = s->bodies[--s->n];
		finish(c, p, &fine);
	}
	if (!c->freed)
		stock_fill(c, s);
}

static void
bodies_came(struct store_client *c, struct stock *s, const struct store_reply *r, const int *fds,
    size_t nfds)
{
	s->asked -= s->asked < STORE_BODIES_MAX ? s->asked : STORE_BODIES_MAX;
	for (size_t i = 0; i < nfds; i++) {
		if (s->n == NELEM(s->bodies)) {
			close(fds[i]);
			continue;
		}
		s->bodies[s->n++] = (struct store_body){ .fd = fds[i], .generation = c->generation,
			.token = r->token + i, .partition = s->index };
	}
	if (nfds == 0) {
		/* No such partition, or stored has no files left: nobody gets one now. */
		c->busy++;
		for (struct pending *p; !c->freed && (p = list_first(&s->waiting, struct pending, link));)
			finish(c, p, r);
		c->busy--;
		return;
	}
	stock_serve(c, s);
}

static void
stock_fill(struct store_client *c, struct stock *s)
{
	struct store_request r = { .verb = STORE_V_BODIES, .name = slice_str(s->name),
		.count = STORE_BODIES_MAX };

	while (c->conn && s->n + s->asked + STORE_BODIES_MAX <= s->want) {
		struct pending *p = pending_new(c, NULL, NULL, NULL);

		p->stock = s;
		s->asked += STORE_BODIES_MAX;
		buf_clear(&c->out);
		store_request_write(&c->out, &r);
		if (store_send(&c->conn->ipc, r.verb, p->id, buf_get(&c->out), NULL, 0) < 0) {
			pending_free(c, p);
			s->asked -= STORE_BODIES_MAX;
			return;
		}
	}
}

int
store_body_take(struct store_client *c, struct slice partition, struct store_body *b)
{
	struct stock *s = stock_get(c, partition);

	b->fd = -1;
	if (s->n) {
		*b = s->bodies[--s->n];
		if (s->n < s->want / 2)
			stock_fill(c, s);
		return 0;
	}
	/* Somebody must wait: keep more from now on. */
	if (s->asked && s->want < NELEM(s->bodies))
		s->want *= 2;
	return -EAGAIN;
}

void
store_body_start(struct store_client *c, struct slice partition, struct store_body *b, struct op *op,
    store_done *done, void *arg)
{
	struct stock *s = stock_get(c, partition);
	struct pending *p = pending_new(c, op, done, arg);

	b->fd = -1;
	p->body = b;
	if (!c->conn)
		connect_now(c);
	if (!c->conn) {
		give_up(c, p);
		return;
	}
	list_remove(&p->link);
	list_push(&s->waiting, &p->link);
	stock_fill(c, s);
	if (s->n) /* taken since, or there all the time: answer from the loop */
		later_run(&c->serve, c->loop, serve_later);
}

static void
serve_later(struct later *l)
{
	struct store_client *c = CONTAINER(l, struct store_client, serve);
	const struct store_event resync = { .kind = STORE_EV_RESYNC };

	c->busy++;
	if (c->resync && c->watch_fn)
		c->watch_fn(c->watch_arg, &resync, 1);
	c->resync = false;
	for (size_t i = 0; !c->freed && i < c->nstocks; i++)
		stock_serve(c, c->stocks[i]);
	c->busy--;
	client_release(c);
}

void
store_body_put(struct store_client *c, struct store_body *b)
{
	struct stock *s;

	if (b->fd < 0)
		return;
	s = b->partition < c->nstocks ? c->stocks[b->partition] : NULL;
	if (s && c->conn && b->generation == c->generation && s->n < NELEM(s->bodies) &&
	    ftruncate(b->fd, 0) == 0 && lseek(b->fd, 0, SEEK_SET) == 0)
		s->bodies[s->n++] = *b;
	else
		close(b->fd);
	b->fd = -1;
}

/* ---- the connection ------------------------------------------------------------------------------------- */

static void
on_reply(struct conn *k, uint32_t id, struct slice body, const int *fds, size_t nfds)
{
	struct store_client *c = k->c;
	struct pending *p = map_get(&c->by_id, id_key(&id));
	struct stock *stock = p ? p->stock : NULL;
	struct store_reply r;

	if (store_reply_parse(body, &c->arena, &r) < 0) {
		log_event(LOG_ERROR, "store_protocol", "what=reply");
		ipc_close(&k->ipc);
	} else if (stock) {
		pending_free(c, p);
		bodies_came(c, stock, &r, fds, nfds);
		nfds = 0;
	} else if (p)
		finish(c, p, &r);
	while (nfds)
		close(fds[--nfds]);
}

static void
on_events(struct store_client *c, struct slice body)
{
	struct store_event *ev;
	size_t n = body.n / sizeof(*ev);

	if (!c->watch_fn || n == 0)
		return;
	ev = arena_array(&c->arena, n, sizeof(*ev));
	memcpy(ev, body.p, n * sizeof(*ev));
	c->watch_fn(c->watch_arg, ev, n);
}

static void
on_packet(struct ipc *ipc, struct slice packet, int *fds, size_t nfds)
{
	struct conn *k = CONTAINER(ipc, struct conn, ipc);
	struct store_client *c = k->c;
	struct store_head head;
	struct slice body;
	int rc = c ? store_join(&k->joiner, packet, &head, &body) : 0;

	if (rc > 0 && head.verb == STORE_V_REPLY) {
		c->busy++;
		on_reply(k, head.id, body, fds, nfds);
		nfds = 0;
	} else if (rc > 0 && head.verb == STORE_V_EVENT) {
		c->busy++;
		on_events(c, body);
	} else if (rc < 0)
		ipc_close(ipc);
	while (nfds)
		close(fds[--nfds]);
	if (rc <= 0 || (head.verb != STORE_V_REPLY && head.verb != STORE_V_EVENT))
		return;
	c->busy--;
	arena_reset(&c->arena);
	client_release(c);
}

static void
on_closed(struct ipc *ipc, int error)
{
	struct conn *k = CONTAINER(ipc, struct conn, ipc);
	struct store_client *c = k->c;

	(void)error;
	buf_fini(&k->joiner.b);
	mem_free(&k);
	if (!c)
		return;
	c->nhandles--;
	if (c->freed) {
		client_release(c);
		return;
	}
	c->conn = NULL;
	log_event(LOG_WARN, "store_away", "pending=%zu", c->npending);
	for (size_t i = 0; i < c->nstocks; i++) {
		stock_empty(c->stocks[i]);
		list_splice(&c->failed, &c->stocks[i]->waiting);
	}
	list_splice(&c->failed, &c->pending);
	fail_all(c);
	if (c->freed)
		client_release(c);
	else
		timer_start(&c->retry, c->retry_ms = RETRY_MS, 0);
}

static void
say(struct store_client *c, enum store_verb verb, struct slice name, uint8_t how)
{
	struct store_request r = { .verb = verb, .name = name, .how = how };

	if (!c->conn)
		return;
	buf_clear(&c->out);
	store_request_write(&c->out, &r);
	(void)!store_send(&c->conn->ipc, verb, 0, buf_get(&c->out), NULL, 0);
}

static const struct ipc_events conn_events = { on_packet, on_closed };

static void
connect_now(struct store_client *c)
{
	struct conn *k;
	int fd = ipc_connect(c->socket);

	if (fd < 0) {
		c->retry_ms = c->retry_ms * 2 < RETRY_MAX_MS ? c->retry_ms * 2 : RETRY_MAX_MS;
		timer_start(&c->retry, c->retry_ms, 0);
		return;
	}
	k = mem_new(sizeof(*k));
	k->c = c;
	if (ipc_open(&k->ipc, c->loop, fd, &conn_events, k) < 0) {
		close(fd);
		mem_free(&k);
		timer_start(&c->retry, RETRY_MAX_MS, 0);
		return;
	}
	timer_stop(&c->retry);
	c->conn = k;
	c->nhandles++;
	c->generation++;
	say(c, STORE_V_HELLO, slice_str(c->who), 0);
	if (c->watch_fn) {
		say(c, STORE_V_WATCH, slice(NULL, 0), 1);
		c->resync = c->generation > 1;
		later_run(&c->serve, c->loop, serve_later);
	}
	for (size_t i = 0; c->conn && i < c->nstocks; i++)
		stock_fill(c, c->stocks[i]);
}

static void
on_retry(struct timer *t)
{
	struct store_client *c = CONTAINER(t, struct store_client, retry);

	if (!c->conn)
		connect_now(c);
}

/* ---- life -------------------------------------------------------------------------------------------------- */

struct store_client *
store_client_new(struct loop *l, const char *socket, const char *who)
{
	struct store_client *c = mem_new(sizeof(*c));

	c->loop = l;
	c->socket = mem_str(socket);
	c->who = mem_str(who);
	c->retry_ms = RETRY_MS;
	list_init(&c->pending);
	list_init(&c->failed);
	later_init(&c->later);
	later_init(&c->serve);
	timer_init(&c->retry, l, on_retry);
	c->nhandles = 1;
	connect_now(c);
	return c;
}

static void
free_pendings(struct store_client *c, struct list *l)
{
	struct pending *p;

	while ((p = list_first(l, struct pending, link))) {
		if (p->op)
			op_done(p->op);
		pending_free(c, p);
	}
}

/* The last of: freed by the owner, handles closed, callbacks returned. */
void
client_release(struct store_client *c)
{
	void (*closed)(void *) = c->closed;
	void *arg = c->closed_arg;

	if (!c->freed || c->nhandles || c->busy)
		return;
	free_pendings(c, &c->pending);
	free_pendings(c, &c->failed);
	for (size_t i = 0; i < c->nstocks; i++) {
		free_pendings(c, &c->stocks[i]->waiting);
		stock_empty(c->stocks[i]);
		mem_free(&c->stocks[i]->name);
		mem_free(&c->stocks[i]);
	}
	mem_free(&c->stocks);
	map_fini(&c->by_id);
	arena_reset(&c->arena);
	buf_fini(&c->out);
	mem_free(&c->who);
	mem_free(&c->socket);
	mem_free(&c);
	if (closed)
		closed(arg);
}

static void
retry_closed(struct timer *t)
{
	struct store_client *c = CONTAINER(t, struct store_client, retry);

	c->nhandles--;
	client_release(c);
}

void
store_client_free(struct store_client **cp, void (*closed)(void *arg), void *arg)
{
	struct store_client *c = *cp;
	struct pending *p;

	*cp = NULL;
	if (!c)
		return;
	c->freed = true;
	c->closed = closed;
	c->closed_arg = arg;
	later_cancel(&c->later);
	later_cancel(&c->serve);
	/* From here on no `done`: the owners' ops are free at once. */
	list_each(p, &c->pending, struct pending, link)
		if (p->op)
			op_cancel(p->op);
	list_each(p, &c->failed, struct pending, link)
		if (p->op)
			op_cancel(p->op);
	for (size_t i = 0; i < c->nstocks; i++)
		list_each(p, &c->stocks[i]->waiting, struct pending, link)
			if (p->op)
				op_cancel(p->op);
	if (c->conn)
		ipc_close(&c->conn->ipc);
	timer_close(&c->retry, retry_closed);
}

bool
store_client_ready(const struct store_client *c)
{
	return c->conn != NULL;
}

void
store_client_status(const struct store_client *c, struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nstocks; i++)
		n += c->stocks[i]->n;
	buf_printf(out, "store=%s pending=%zu bodies=%zu connects=%u", c->conn ? "ready" : "away",
	    c->npending, n, c->generation);
}

void
store_watch(struct store_client *c, void (*fn)(void *arg, const struct store_event *ev, size_t n),
    void *arg)
{
	bool before = c->watch_fn != NULL;

	c->watch_fn = fn;
	c->watch_arg = arg;
	if (before != (fn != NULL))
		say(c, STORE_V_WATCH, slice(NULL, 0), fn != NULL);
}
