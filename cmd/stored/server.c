/* The socket: clients, bodies, replies, events.
 *
 * Owns the clients and what each has in flight; called from the loop, and by route.c and parts.c
 * when writers have answered.  A client can fail at any moment: it is freed only when its last
 * job is over, because jobs point at it.  What one client may make us keep is bounded (jobs,
 * bytes of requests, replies, events, unnamed files): it is then not read, or loses events and
 * is told so. Mailboxes are never touched here, so no request makes the loop wait for a disk. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "stored.h"

#define TICK_MS      5000
#define EVENTS_MOST  (1024 * 1024)       /* bytes that may wait for a slow watcher */
#define BODIES_MOST  4096                /* unnamed files that one client may hold */
#define REPLIES_MOST (4u * 1024 * 1024)  /* bytes that may wait for a client that does not read */
#define JOBS_MOST    4096                /* of one client in the writers; it waits for them then */
#define WEIGHT_MOST  (16u * 1024 * 1024) /* bytes of their requests */
#define TRIM_FROM    (8u * 1024 * 1024)  /* freed bytes in malloc that are given back */

static bool client_gone; /* since the last tick */

struct body {
	uint64_t token;
	struct part *part;
	int fd;
};

static struct loop *loop;
static struct listener listener;
static int listen_fd = -1;
static struct list clients;
static size_t nclients;
static struct timer tick;
static uint64_t next_token = 1;
static bool draining, finished;

static struct slice
token_key(const uint64_t *token)
{
	return slice((const char *)token, sizeof(*token));
}

/* ---- replies ----------------------------------------------------------------------------------- */

static struct buf reply_buf;

static void
send_reply(struct client *c, uint32_t id, const struct store_reply *r, const int *fds, size_t nfds)
{
	if (c->closed || id == 0)
		return;
	buf_clear(&reply_buf);
	store_reply_write(&reply_buf, r);
	if (store_send(&c->ipc, &(struct store_label){ .verb = STORE_V_REPLY, .id = id },
		buf_get(&reply_buf), fds, nfds) < 0)
		ipc_close(&c->ipc);
	if (reply_buf.room > 1024 * 1024)
		buf_fini(&reply_buf);
}

void
reply_to(struct client *c, uint32_t id, const struct store_reply *r)
{
	send_reply(c, id, r, NULL, 0);
}

/* ---- bodies --------------------------------------------------------------------------------------- */

int
client_body_take(struct client *c, uint64_t token, struct part **home)
{
	struct body *b = map_take(&c->bodies, token_key(&token));
	int fd;

	if (!b)
		return -1;
	fd = b->fd;
	*home = b->part;
	c->nbodies--;
	mem_free(&b);
	return fd;
}

static void
give_bodies(struct client *c, uint32_t id, const struct store_request *r)
{
	struct part *part = part_named(r->partition);
	struct store_reply reply = { .code = STORE_DONE, .token = next_token };
	int fds[STORE_BODIES_MAX];
	size_t n = 0;

	while (part && n < r->count && n < STORE_BODIES_MAX && c->nbodies < BODIES_MOST) {
		int fd = store_part_body(part->p);
		struct body *b;

		if (fd < 0) {
			log_event(LOG_ERROR, "store_body", "partition=%s error=%s",
			    log_str(part->name), log_str(strerror(-fd)));
			break;
		}
		b = mem_new(sizeof(*b));
		b->part = part;
		b->fd = fds[n++] = fd;
		b->token = next_token++;
		map_put(&c->bodies, token_key(&b->token), b);
		c->nbodies++;
	}
	if (n)
		reply.verdict = verdict(OUT_STORE_LENT);
	else {
		reply.code = part ? STORE_FAILED : STORE_REFUSED;
		reply.verdict = part ? verdict(OUT_STORE_NO_FILE) : verdict(OUT_STORE_NO_PARTITION);
	}
	send_reply(c, id, &reply, fds, n);
}

/* ---- clients ---------------------------------------------------------------------------------------- */

static void
client_free(struct client *c)
{
	struct body *b;
	size_t at = 0;

	while ((b = map_next(&c->bodies, &at))) {
		close(b->fd);
		mem_free(&b);
	}
	map_fini(&c->bodies);
	buf_fini(&c->joiner.b);
	buf_fini(&c->held);
	mem_free(&c->who);
	mem_free(&c);
	client_gone = true;
}

/* Who asks faster than the writers work is not read for a while. */
static void
client_pace(struct client *c)
{
	ipc_hold(&c->ipc, c->njobs >= JOBS_MOST || c->weight >= WEIGHT_MOST);
}

void
client_busy(struct client *c, size_t weight)
{
	c->njobs++;
	c->weight += weight;
	client_pace(c);
}

void
client_unref(struct client *c, size_t weight)
{
	c->weight -= weight;
	if (--c->njobs == 0 && c->closed)
		client_free(c);
	else if (!c->closed)
		client_pace(c);
}

static void
server_on_closed(struct ipc *ipc, int error)
{
	struct client *c = CONTAINER(ipc, struct client, ipc);

	log_event(LOG_INFO, "store_client", "who=%s state=closed requests=%llu error=%s",
	    log_str(c->who), (unsigned long long)c->requests,
	    log_str(error ? strerror(-error) : ""));
	c->closed = true;
	list_remove(&c->link);
	stored_held_end(c);
	metric_set(M_CLIENTS, (int64_t)--nclients);
	parts_tick(); /* its snapshots, if it died */
	if (c->njobs == 0)
		client_free(c);
	server_idle();
}

/* ---- requests ------------------------------------------------------------------------------------- */

/* Both sides' ranges of levels must meet. */
static void
client_hello(struct client *c, const struct store_request *r)
{
	struct store_reply reply = { .verdict = verdict(OUT_STORE_HELLO),
		.level = r->max < STORE_LEVEL ? r->max : STORE_LEVEL };

	mem_free(&c->who);
	c->who = mem_strn(r->name.p, r->name.n);
	if (r->min > STORE_LEVEL || r->max < STORE_LEVEL_MIN) {
		reply.code = STORE_UNSUPPORTED;
		reply.verdict =
		    verdict(OUT_STORE_LEVELS, STORE_LEVEL_MIN, STORE_LEVEL, c->who, r->min, r->max);
	}
	log_event(LOG_INFO, "store_client", "who=%s state=open uid=%ld pid=%u roles=%s level=%u",
	    log_str(c->who), (long)c->uid, r->pid, store_roles_name(c->roles),
	    reply.code ? 0u : reply.level);
	reply_to(c, r->id, &reply);
}

static void
client_answer(struct client *c, const struct store_request *r)
{
	struct part *home;
	int fd;

	if (r->verb == STORE_V_BODIES) {
		give_bodies(c, r->id, r);
		return;
	}
	if (r->verb == STORE_V_HELLO) {
		client_hello(c, r);
		return;
	}
	if (r->verb == STORE_V_RELEASE && (fd = client_body_take(c, r->token, &home)) >= 0)
		close(fd);
	else if (r->verb == STORE_V_WATCH)
		c->watching = r->yes;
	stored_reply_now(c, r->id, STORE_DONE, verdict(OUT_STORE_DONE));
}

/* A login asks for its own domain's alone. */
static void
client_domain(struct client *c, const struct store_label *label, const struct store_request *r)
{
	struct slice actor = label->actor;
	struct store_reply reply = { .verdict = verdict(OUT_STORE_DONE) };

	if (actor.n && !slice_eq(slice_from(actor, slice_rfind(actor, '@') + 1), r->name)) {
		stored_forbid(c, label, "not this login's domain");
		return;
	}
	parts_domain(r->name, &reply.bytes, &reply.messages);
	reply_to(c, r->id, &reply);
}

/* What stored's loop answers itself. */
static void
client_handle(struct client *c, const struct store_label *label, struct slice body)
{
	struct arena arena = { 0 };
	struct store_request r = { .verb = (enum store_verb)label->verb, .id = label->id };
	const char *why;
	int rc = store_request_parse(body, &arena, &r, &why);

	if (rc < 0)
		stored_refuse(c, label, rc, why);
	else if (r.verb == STORE_V_DOMAIN)
		client_domain(c, label, &r);
	else
		client_answer(c, &r);
	arena_reset(&arena);
}

void
stored_forbid(struct client *c, const struct store_label *label, const char *why)
{
	metric_add(M_FORBIDDEN, 1);
	log_event(LOG_WARN, "store_forbidden",
	    "sid=%s who=%s uid=%ld roles=%s verb=%s actor=%s why=%s", log_value(label->trace),
	    log_str(c->who), (long)c->uid, store_roles_name(c->roles), store_verb_name(label->verb),
	    log_value(label->actor), log_str(why));
	stored_reply_now(c, label->id, STORE_FORBIDDEN, verdict(OUT_STORE_FORBIDDEN, why));
}

/* A program that only serves people must say whom it serves when it touches a mailbox. */
static bool
client_needs_actor(const struct client *c, const struct store_verb_info *v)
{
	unsigned people = STORE_ROLE_IMAPD | STORE_ROLE_POP3D | STORE_ROLE_JMAPD;

	return !(c->roles & ~people) &&
	    (v->home == STORE_AT_MAILBOX || v->home == STORE_AT_ACCOUNT);
}

static void
client_request(struct client *c, const struct store_label *label, struct slice body)
{
	const struct store_verb_info *v = store_verb_find(label->verb);

	c->requests++;
	metric_add(M_REQUESTS, 1);
	if (v && !(v->who & c->roles))
		stored_forbid(c, label, "this user may not ask stored for that");
	else if (v && label->actor.n == 0 && client_needs_actor(c, v))
		stored_forbid(c, label, "no login is named for which this is");
	else if (v && v->home == STORE_AT_SOCKET)
		client_handle(c, label, body);
	else
		stored_route(c, label, body);
}

/* Whoever does not speak our protocol at all hears it in the first version's words, the only
 * other there has been; the connection stays, else it would come again at once. */
static void
client_old(struct client *c, const struct store_label *label)
{
	const struct verdict v = verdict(OUT_STORE_VERSION, STORE_PROTOCOL, label->verb);

	if (!c->old)
		log_event(LOG_ERROR, "store_protocol", "what=old who=%s uid=%ld protocol=%u",
		    log_str(c->who), (long)c->uid, label->verb);
	c->old = true;
	if (label->id && store_refuse_old(&c->ipc, label->id, &v) < 0)
		ipc_close(&c->ipc);
}

static void
server_on_packet(struct ipc *ipc, struct slice packet, int *fds, size_t nfds)
{
	struct client *c = CONTAINER(ipc, struct client, ipc);
	struct store_label label;
	struct slice body;
	int rc;

	while (nfds) /* nobody sends us any */
		close(fds[--nfds]);
	rc = store_join(&c->joiner, packet, &label, &body);
	if (rc > 0)
		client_request(c, &label, body);
	else if (rc == -EPROTONOSUPPORT && label.verb == 1)
		client_old(c, &label);
	else if (rc < 0) {
		log_event(LOG_ERROR, "store_protocol", "what=packet who=%s uid=%ld",
		    log_str(c->who), (long)c->uid);
		ipc_close(ipc);
	}
}

static const struct ipc_events events = { server_on_packet, server_on_closed };

static void
server_on_accept(struct listener *l, int fd)
{
	static uint64_t number;
	struct client *c = mem_new(sizeof(*c));

	(void)l;
	c->number = ++number;
	c->who = mem_str("");
	if (ipc_open(&c->ipc, loop, fd, &events, c) < 0) {
		close(fd);
		client_free(c);
		return;
	}
	c->uid = ipc_peer_uid(&c->ipc);
	c->roles = peers_roles(c->uid);
	ipc_limit(&c->ipc, REPLIES_MOST);
	list_init(&c->link);
	list_push(&clients, &c->link);
	metric_set(M_CLIENTS, (int64_t)++nclients);
}

/* ---- events ------------------------------------------------------------------------------------------- */

static void
send_events(struct client *c, struct slice records)
{
	static const struct store_label label = { .verb = STORE_V_EVENT };
	const struct store_event_head h = { .size = sizeof(struct store_event) };

	buf_clear(&reply_buf);
	buf_add(&reply_buf, &h, sizeof(h));
	buf_slice(&reply_buf, records);
	if (store_send(&c->ipc, &label, buf_get(&reply_buf), NULL, 0) < 0)
		ipc_close(&c->ipc);
}

/* A watcher that does not keep up loses events, and is told so when it has caught up. */
void
events_send(const struct buf *ev)
{
	const struct store_event resync = { .kind = STORE_EV_RESYNC };
	struct client *c;

	list_each(c, &clients, struct client, link)
	{
		if (!c->watching || c->ipc.closing)
			continue;
		if (c->ipc.queued > EVENTS_MOST) {
			c->missed |= ev->n > 0;
			continue;
		}
		if (c->missed && c->ipc.queued < EVENTS_MOST / 2) {
			c->missed = false;
			send_events(c, slice((const char *)&resync, sizeof(resync)));
		}
		if (ev->n && !c->missed)
			send_events(c, buf_get(ev));
	}
}

/* A flood is over: what malloc keeps of requests and of answers that nobody read goes back to the
 * system.  Only after a client has gone, because it takes milliseconds. */
static void
server_give_back(void)
{
	if (client_gone && mallinfo2().fordblks > TRIM_FROM)
		(void)malloc_trim(0);
	client_gone = false;
}

static void
server_on_tick(struct timer *t)
{
	const struct buf none = { 0 };

	(void)t;
	parts_tick();
	events_send(&none);
	metric_set(M_QUEUED, (int64_t)stored_jobs_waiting());
	server_give_back();
}

/* ---- life ----------------------------------------------------------------------------------------------- */

int
server_start(struct loop *l)
{
	char *path = mem_printf("%s/stored.sock", shared.rundir);
	struct rlimit files;

	loop = l;
	list_init(&clients);
	/* Bodies that clients keep ready are open here too. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)!setrlimit(RLIMIT_NOFILE, &files);
	}
	umask(027);
	listen_fd = ipc_listen(path, (int)stored_conf.socket_mode);
	if (listen_fd < 0)
		log_event(LOG_ERROR, "store_listen", "path=%s error=%s", log_str(path),
		    log_str(strerror(-listen_fd)));
	mem_free(&path);
	if (listen_fd < 0)
		return listen_fd;
	timer_init(&tick, l, server_on_tick);
	timer_start(&tick, TICK_MS, TICK_MS);
	return listener_start(&listener, l, listen_fd, server_on_accept, NULL);
}

static void
on_parts_closed(void)
{
	daemon_drained();
}

static void
tick_closed(struct timer *t)
{
	(void)t;
	stored_jobs_fini();
	parts_close(on_parts_closed);
}

/* The drain is over when no job is left and every client has gone. */
void
server_idle(void)
{
	if (!draining || finished || stored_jobs_waiting())
		return;
	if (nclients) {
		struct client *c;

		list_each(c, &clients, struct client, link) ipc_close(&c->ipc);
		return;
	}
	finished = true;
	timer_close(&tick, tick_closed);
}

static void
listener_closed(struct listener *l)
{
	(void)l;
	close(listen_fd);
	server_idle();
}

void
server_drain(void)
{
	draining = true;
	listener_stop(&listener, listener_closed);
}

void
server_status(struct buf *out)
{
	struct client *c;

	list_each(c, &clients, struct client, link) buf_printf(out,
	    "client=%s requests=%llu jobs=%zu bodies=%zu watching=%d queued=%zu\n", log_str(c->who),
	    (unsigned long long)c->requests, c->njobs, c->nbodies, c->watching, c->ipc.queued);
}
