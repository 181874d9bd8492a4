/* The client side of stored's protocol: the connection, and requests in flight.
 *
 * Owns one connection and every request on it; what each request says is in ask.c, the bodies that
 * stored lends are in client-bodies.c.  Called from
 * the loop of lmtpd, imapd and storectl.  What can fail is the connection, at any moment: then
 * every request ends with STORE_AWAY, or STORE_UNSURE when it was a change that stored may have made
 * before it died, from the loop, and the connection is made again.  What must
 * stay true: `done` is called once or, after op_cancel, never, and the memory outlives the
 * callbacks that run in it, though each may free the client; that is what `holds` counts. */
#include "store/client-impl.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"

#define RETRY_MS     50
#define RETRY_MAX_MS 1000

static void store_client_fail_later(struct later *l);
static void store_client_memory_free(struct store_client *c);

/* ---- state ------------------------------------------------------------------------------------ */

static const char *const state_names[] = {
	[STORE_CLIENT_AWAY] = "away",
	[STORE_CLIENT_GREETING] = "greeting",
	[STORE_CLIENT_READY] = "ready",
	[STORE_CLIENT_FOREIGN] = "foreign",
	[STORE_CLIENT_FREED] = "freed",
};

/* The only mover. */
static void
store_client_set(struct store_client *c, enum store_client_state to)
{
	must(c->state != STORE_CLIENT_FREED);
	log_event(LOG_DEBUG, "store_state", "from=%s to=%s", state_names[c->state],
	    state_names[to]);
	c->state = to;
}

bool
store_client_is_freed(const struct store_client *c)
{
	return c->state == STORE_CLIENT_FREED;
}

void
store_client_hold(struct store_client *c)
{
	c->holds++;
}

void
store_client_drop(struct store_client *c)
{
	must(c->holds > 0);
	if (--c->holds == 0)
		store_client_memory_free(c);
}

static struct slice
id_key(const uint32_t *id)
{
	return slice((const char *)id, sizeof(*id));
}

/* ---- requests in flight ------------------------------------------------------------------------- */

static void
unsent_free(struct pending *p)
{
	if (!p->unsent)
		return;
	buf_fini(&p->unsent->words);
	buf_fini(&p->unsent->body);
	mem_free(&p->unsent);
}

void
store_pending_free(struct store_client *c, struct pending *p)
{
	unsent_free(p);
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
void
store_client_finish(struct store_client *c, struct pending *p, const struct store_reply *r)
{
	struct op *op = p->op;
	store_done *done = p->done;
	void *arg = p->arg;

	store_pending_free(c, p);
	if (!op)
		return;
	op_done(op);
	done(arg, r);
}

struct pending *
store_pending_new(struct store_client *c, struct op *op, store_done *done, void *arg)
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
	const struct store_reply unsure = { .code = STORE_UNSURE,
		.verdict = verdict(OUT_STORE_UNSURE) };
	const struct store_reply away = { .code = STORE_AWAY,
		.verdict = c->stranger || c->state == STORE_CLIENT_GREETING ?
		    verdict(OUT_STORE_HANGS_UP) :
		    verdict(OUT_STORE_AWAY) };
	struct pending *p;
	size_t n = 0;

	list_each(p, &c->failed, struct pending, link) n++;
	store_client_hold(c);
	while (
	    n-- && !store_client_is_freed(c) && (p = list_first(&c->failed, struct pending, link)))
		store_client_finish(c, p, p->unsure ? &unsure : &away);
	if (!store_client_is_freed(c) && !list_empty(&c->failed))
		later_run(&c->later, c->loop, store_client_fail_later);
	store_client_drop(c);
}

static void
store_client_fail_later(struct later *l)
{
	fail_all(CONTAINER(l, struct store_client, later));
}

void
store_pending_give_up(struct store_client *c, struct pending *p)
{
	list_remove(&p->link);
	list_push(&c->failed, &p->link);
	later_run(&c->later, c->loop, store_client_fail_later);
}

void
store_ask_nobody(struct store_client *c, struct op *op, store_done *done, void *arg)
{
	store_pending_give_up(c, store_pending_new(c, op, done, arg));
}

void
store_client_actors(struct store_client *c, store_actor *actor)
{
	c->actor = actor;
}

/* Sends *r as `id`.  The session whose turn it is gives the trace. */
int
store_client_send(struct store_client *c, const struct store_request *r, uint32_t id)
{
	const struct store_label label = { .verb = r->verb,
		.id = id,
		.actor = r->actor,
		.trace = slice_str(log_sid()) };
	int rc;

	buf_clear(&c->out);
	store_request_write(&c->out, r);
	rc = store_send(&c->conn->ipc, &label, buf_get(&c->out), NULL, 0);
	if (c->out.room > 256 * 1024)
		buf_fini(&c->out);
	return rc;
}

/* A verb of a level that stored has not agreed to is not sent: `done` has the same answer. */
static bool
store_client_offers(const struct store_client *c, const struct store_request *r)
{
	const struct store_verb_info *v = store_verb_find(r->verb);

	return v && v->since <= c->level;
}

/* Whoever hangs up on HELLO has done nothing: that can be said of a change only if it was not sent
 * behind it. */
static void
unsent_new(struct pending *p, const struct store_request *r)
{
	const struct store_verb_info *v = store_verb_find(r->verb);
	struct slice trace = slice_str(log_sid());
	struct unsent *u = p->unsent = mem_new(sizeof(*u));

	buf_slice(&u->words, r->actor);
	buf_slice(&u->words, trace);
	store_request_write(&u->body, r);
	u->since = v->since;
	u->label = (struct store_label){ .verb = r->verb, .id = p->id };
	u->label.actor = slice(u->words.p, r->actor.n);
	u->label.trace = slice_from(buf_get(&u->words), r->actor.n);
}

/* HELLO is answered: what has waited for that goes out, in its order. */
static void
unsent_send(struct store_client *c)
{
	struct pending *p;

	list_each(p, &c->pending, struct pending, link)
	{
		const struct unsent *u = p->unsent;

		if (!u)
			continue;
		if (!c->conn || u->since > c->level ||
		    store_send(&c->conn->ipc, &u->label, buf_get(&u->body), NULL, 0) < 0)
			store_pending_give_up(c, p);
		else
			p->unsure = true;
		unsent_free(p);
	}
}

void
store_ask(struct store_client *c, struct store_request *r, struct op *op, store_done *done,
    void *arg)
{
	struct pending *p = store_pending_new(c, op, done, arg);
	const struct store_verb_info *v = store_verb_find(r->verb);
	bool change = v && v->flags & STORE_VF_CHANGE;

	if (c->actor && op && r->verb != STORE_V_ACCOUNT)
		store_request_by(r, c->actor(op));
	if (!c->conn) /* a try costs microseconds, an answer 451 minutes */
		store_client_connect(c);
	if (c->conn && change && c->state == STORE_CLIENT_GREETING)
		unsent_new(p, r);
	else if (!c->conn || !store_client_offers(c, r) || store_client_send(c, r, p->id) < 0)
		store_pending_give_up(c, p);
	else
		p->unsure = change;
}

/* ---- the connection ------------------------------------------------------------------------------------- */

void
store_client_serve_later(struct later *l)
{
	struct store_client *c = CONTAINER(l, struct store_client, serve);
	const struct store_event resync = { .kind = STORE_EV_RESYNC };

	store_client_hold(c);
	if (c->resync && c->watch_fn)
		c->watch_fn(c->watch_arg, &resync, 1);
	c->resync = false;
	for (size_t i = 0; !store_client_is_freed(c) && i < c->nstocks; i++)
		store_stock_serve(c, c->stocks[i]);
	store_client_drop(c);
}

/* From here on later verbs may be asked, if stored knows them. */
static void
store_client_greeted(struct store_client *c, const struct store_reply *r)
{
	c->stranger = false;
	if (store_client_is_freed(c))
		return;
	if (r->verdict.kind == OK) {
		c->level = r->level < STORE_LEVEL ? r->level : STORE_LEVEL;
		store_client_set(c, STORE_CLIENT_READY);
	} else {
		log_event(LOG_ERROR, "store_protocol", "what=hello error=%s",
		    log_str(r->verdict.text));
		store_client_set(c, STORE_CLIENT_FOREIGN);
	}
	unsent_send(c);
}

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
		store_pending_free(c, p);
		store_stock_came(c, stock, &r, fds, nfds);
		nfds = 0;
	} else if (p && p->hello) {
		store_pending_free(c, p);
		store_client_greeted(c, &r);
	} else if (p)
		store_client_finish(c, p, &r);
	while (nfds)
		close(fds[--nfds]);
}

/* Records may be longer than ours, in a later version: what follows is left out. */
static void
on_events(struct store_client *c, struct slice body)
{
	struct store_event_head h;
	struct store_event *ev;
	size_t n;

	if (!c->watch_fn || body.n <= sizeof(h))
		return;
	memcpy(&h, body.p, sizeof(h));
	body = slice_from(body, sizeof(h));
	if (h.size < sizeof(*ev))
		return;
	n = body.n / h.size;
	ev = arena_array(&c->arena, n, sizeof(*ev));
	for (size_t i = 0; i < n; i++)
		memcpy(&ev[i], body.p + i * h.size, sizeof(*ev));
	c->watch_fn(c->watch_arg, ev, n);
}

static void
store_client_on_packet(struct ipc *ipc, struct slice packet, int *fds, size_t nfds)
{
	struct conn *k = CONTAINER(ipc, struct conn, ipc);
	struct store_client *c = k->c;
	struct store_label label;
	struct slice body;
	int rc = store_join(&k->joiner, packet, &label, &body);

	store_client_hold(c);
	if (rc > 0 && label.verb == STORE_V_REPLY) {
		on_reply(k, label.id, body, fds, nfds);
		nfds = 0;
	} else if (rc > 0 && label.verb == STORE_V_EVENT)
		on_events(c, body);
	else if (rc < 0) {
		log_event(LOG_ERROR, "store_protocol", "what=packet error=%s",
		    log_str(strerror(-rc)));
		ipc_close(ipc);
	}
	while (nfds)
		close(fds[--nfds]);
	arena_reset(&c->arena);
	store_client_drop(c);
}

static void
store_client_on_closed(struct ipc *ipc, int error)
{
	struct conn *k = CONTAINER(ipc, struct conn, ipc);
	struct store_client *c = k->c;

	(void)error;
	buf_fini(&k->joiner.b);
	mem_free(&k);
	c->conn = NULL;
	if (store_client_is_freed(c)) {
		store_client_drop(c);
		return;
	}
	/* The first version hangs up on what it does not understand. */
	c->stranger = c->state == STORE_CLIENT_GREETING;
	store_client_set(c, STORE_CLIENT_AWAY);
	log_event(LOG_WARN, "store_away", "pending=%zu%s", c->npending,
	    c->stranger ? " error=\"it hung up before it answered HELLO: it stops, or is of an "
			  "older version\"" :
			  "");
	for (size_t i = 0; i < c->nstocks; i++) {
		store_stock_empty(c->stocks[i]);
		list_splice(&c->failed, &c->stocks[i]->waiting);
	}
	list_splice(&c->failed, &c->pending);
	fail_all(c);
	if (!store_client_is_freed(c) && c->watch_fn)
		c->watch_fn(c->watch_arg, &(struct store_event){ .kind = STORE_EV_AWAY }, 1);
	if (!store_client_is_freed(c)) {
		c->retry_ms = c->stranger ? RETRY_MAX_MS : RETRY_MS;
		timer_start(&c->retry, c->retry_ms, 0);
	}
	store_client_drop(c);
}

static void
store_client_say_watch(struct store_client *c)
{
	const struct store_request r = { .verb = STORE_V_WATCH, .yes = !!c->watch_fn };

	if (c->conn && !c->watch_quiet)
		(void)!store_client_send(c, &r, 0);
}

static void
store_client_say_hello(struct store_client *c)
{
	const struct store_request r = { .verb = STORE_V_HELLO,
		.name = slice_str(c->who),
		.min = STORE_LEVEL_MIN,
		.max = STORE_LEVEL,
		.pid = (uint32_t)getpid() };
	struct pending *p = store_pending_new(c, NULL, NULL, NULL);

	p->hello = true;
	if (store_client_send(c, &r, p->id) < 0)
		store_pending_free(c, p); /* the connection is dead, which shows by itself */
}

static const struct ipc_events conn_events = { store_client_on_packet, store_client_on_closed };

void
store_client_connect(struct store_client *c)
{
	struct conn *k;
	int fd = ipc_connect(c->socket);

	if (fd < 0) {
		c->late = true;
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
	store_client_hold(c);
	store_client_set(c, STORE_CLIENT_GREETING);
	c->generation++;
	c->level = STORE_LEVEL_MIN;
	store_client_say_hello(c);
	if (c->watch_fn) {
		store_client_say_watch(c);
		c->resync = c->generation > 1 || c->late;
		later_run(&c->serve, c->loop, store_client_serve_later);
	}
	c->late = false;
	for (size_t i = 0; c->conn && i < c->nstocks; i++)
		store_stock_fill(c, c->stocks[i]);
}

static void
on_retry(struct timer *t)
{
	struct store_client *c = CONTAINER(t, struct store_client, retry);

	if (!c->conn)
		store_client_connect(c);
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
	c->state = STORE_CLIENT_AWAY;
	c->holds = 2; /* the owner's and the timer's */
	store_client_connect(c);
	return c;
}

static void
free_pendings(struct store_client *c, struct list *l)
{
	struct pending *p;

	while ((p = list_first(l, struct pending, link))) {
		if (p->op)
			op_done(p->op);
		store_pending_free(c, p);
	}
}

static void
store_client_memory_free(struct store_client *c)
{
	void (*closed)(void *) = c->closed;
	void *arg = c->closed_arg;

	free_pendings(c, &c->pending);
	free_pendings(c, &c->failed);
	for (size_t i = 0; i < c->nstocks; i++) {
		free_pendings(c, &c->stocks[i]->waiting);
		store_stock_empty(c->stocks[i]);
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
	store_client_drop(CONTAINER(t, struct store_client, retry));
}

void
store_client_free(struct store_client **cp, void (*closed)(void *arg), void *arg)
{
	struct store_client *c = *cp;
	struct pending *p;

	*cp = NULL;
	if (!c)
		return;
	store_client_set(c, STORE_CLIENT_FREED);
	c->closed = closed;
	c->closed_arg = arg;
	later_cancel(&c->later);
	later_cancel(&c->serve);
	/* From here on no `done`: the owners' ops are free at once. */
	list_each(p, &c->pending, struct pending, link) if (p->op) op_cancel(p->op);
	list_each(p, &c->failed, struct pending, link) if (p->op) op_cancel(p->op);
	for (size_t i = 0; i < c->nstocks; i++)
		list_each(p, &c->stocks[i]->waiting, struct pending, link) if (p->op)
		    op_cancel(p->op);
	if (c->conn)
		ipc_close(&c->conn->ipc);
	timer_close(&c->retry, retry_closed);
	store_client_drop(c);
}

void
store_client_status(const struct store_client *c, struct buf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nstocks; i++)
		n += c->stocks[i]->n;
	buf_printf(out, "store=%s pending=%zu bodies=%zu connects=%u", state_names[c->state],
	    c->npending, n, c->generation);
}

void
store_watch(struct store_client *c, void (*fn)(void *arg, const struct store_event *ev, size_t n),
    void *arg)
{
	bool before = c->watch_fn;

	c->watch_fn = fn;
	c->watch_arg = arg;
	if (before != !!fn)
		store_client_say_watch(c);
}
