/* serve.c: the socket of the job protocol (tiermail-job(7)): connections, leases, dispatch.
 *
 * Work is handed out at the end of the turn in which it became ready, once for everything that
 * came in during that turn.  A result is answered by the next lease at once, preferably for the
 * same destination, because the master has a session open there. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "jobctl.h"
#include "net/listen.h"

#define CONN_MAGIC   0x434f4e4e
#define OUT_MOST     (64u * 1024 * 1024) /* a peer that does not read */

static struct listener listener;
static int listen_fd = -1;

static void give_work(struct conn *c, struct sched_dest *prefer);

/* ---- channels ------------------------------------------------------------------------------- */

static void
chan_again(struct timer *t)
{
	spawn_if_needed(CONTAINER(t, struct chan, again));
}

struct chan *
chan_of(struct sched_channel *sc)
{
	struct chan *ch = sc->owner;

	if (ch)
		return ch;
	ch = sc->owner = mem_new(sizeof(*ch));
	ch->sc = sc;
	list_init(&ch->free);
	list_init(&ch->procs);
	timer_init(&ch->again, jobctl.loop, chan_again);
	return ch;
}

/* ---- time --------------------------------------------------------------------------------- */

void
serve_due(struct timer *t)
{
	(void)t;
	jobctl.due_at = 0;
	(void)sched_tick(jobctl.sched, clock_now());
	dispatch_soon();
	due_changed();
}

void
due_changed(void)
{
	int64_t at = sched_next_due(jobctl.sched), now;

	if (at == 0 || (jobctl.due_at && jobctl.due_at <= at))
		return;
	now = clock_now();
	jobctl.due_at = at;
	timer_start(&jobctl.due, at > now ? (uint64_t)(at - now) * 1000 : 1, 0);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static void
dispatch_channel(struct chan *ch)
{
	struct conn *c;

	/* Masters in turn, one lease each, so that all of them are busy. */
	while (sched_has_work(ch->sc) && (c = list_first(&ch->free, struct conn, room)) != NULL) {
		list_remove(&c->room);
		list_push(&ch->free, &c->room);
		give_work(c, NULL);
	}
	if (sched_has_work(ch->sc))
		spawn_if_needed(ch);
}

static void
dispatch_all(struct later *l)
{
	struct sched_channel *sc;
	size_t at = 0, ready = 0, waiting = 0, leased = 0, held = 0;

	(void)l;
	while ((sc = sched_channel_next(jobctl.sched, &at)) != NULL) {
		if (!jobctl.draining)
			dispatch_channel(chan_of(sc));
		ready += sc->ready;
		waiting += sc->waiting;
		leased += sc->leased;
		held += sc->held;
	}
	due_changed();
	metric_set(M_MESSAGES, (int64_t)sched_count(jobctl.sched));
	metric_set(M_READY, (int64_t)ready);
	metric_set(M_WAITING, (int64_t)waiting);
	metric_set(M_LEASED, (int64_t)leased);
	metric_set(M_HELD, (int64_t)held);
	metric_set(M_MEMORY, (int64_t)sched_memory(jobctl.sched));
}

void
dispatch_soon(void)
{
	later_run(&jobctl.dispatch, jobctl.loop, dispatch_all);
}

static uint32_t
lease_number(struct conn *c)
{
	while (c->lease[c->lease_hint])
		c->lease_hint = (c->lease_hint + 1) % c->slots;
	return c->lease_hint;
}

/* One message for a master with room. */
static void
give_work(struct conn *c, struct sched_dest *prefer)
{
	struct sched_entry *e = sched_pick(jobctl.sched, c->chan->sc, prefer, clock_now());
	char id[QUEUE_FILE_ID_LEN + 1], name[QUEUE_NAME_LEN + 4];
	struct job_work w;

	if (e == NULL)
		return;
	e->lease = lease_number(c);
	c->lease[e->lease] = e;
	list_push(&c->leases, &e->link);
	jobctl.leases++;
	if (++c->nlease == c->slots)
		list_remove(&c->room);
	memcpy(id, e->id, SCHED_ID_LEN);
	id[SCHED_ID_LEN] = '\0';
	w = (struct job_work){
		.id = e->lease,
		.file = slice_str(queue_name(name, id, e->attempts, false)),
		.dest = sched_dest_name(e),
		.action = (enum job_action)e->action,
		.attempt = e->attempts,
		.backoff = sched_backoff(e),
		.notice = e->action == JOB_NOTICE ? e->notices + 1u : 0,
		.check = e->check,
	};
	job_work_write(stream_out(&c->io), &w);
	conn_flush(c);
}

/* Is there such a channel?  A feeder may have read a newer channels.conf than we: then it has
 * made the channel's directory. */
static bool
channel_known(struct slice name)
{
	char path[PATH_MAX];

	if (sched_channel_find(jobctl.sched, name))
		return true;
	if (!channel_name_ok(name))
		return false;
	(void)snprintf(path, sizeof(path), "%s/" SFMT, queue_path(jobctl.queue), SARG(name));
	return access(path, F_OK) == 0;
}

/* ---- masters ------------------------------------------------------------------------------------ */

static void
take_hello(struct conn *c, struct slice rest)
{
	const char *why = "";
	struct job_hello h;

	if (c->kind != CONN_NEW || job_hello_parse(rest, &h, &why) < 0) {
		buf_printf(stream_out(&c->io), "error why=bad%%20hello\n");
		return;
	}
	if (h.channel.n && !channel_known(h.channel)) {
		buf_printf(stream_out(&c->io), "error why=no%%20such%%20channel\n");
		return;
	}
	c->pid = h.pid;
	if (h.channel.n == 0) {
		/* What it could not tell us is in the spool. */
		c->kind = CONN_FEEDER;
		rescan("feeder");
		return;
	}
	c->kind = CONN_MASTER;
	c->slots = h.slots;
	c->lease = mem_array(h.slots, sizeof(struct sched_entry *));
	c->chan = chan_of(sched_channel(jobctl.sched, h.channel));
	c->chan->masters++;
	metric_add(M_MASTERS, 1);
	if ((c->proc = spawn_find(c->chan, h.pid)) != NULL)
		spawn_connected(c->proc);
	list_push(&c->chan->free, &c->room);
	log_event(LOG_INFO, "master", "channel=%s pid=%u slots=%u", c->chan->sc->name, c->pid, c->slots);
	dispatch_soon();
}

static void
count_result(enum job_end end, enum job_action action)
{
	static const int by_end[] = { [JOB_DONE] = M_DONE, [JOB_RETRY] = M_RETRY,
		[JOB_DROP] = M_RETURNED, [JOB_NOTED] = M_NOTICED, [JOB_HELD] = -1 };
	int m = end == JOB_DONE && action == JOB_EXPIRE ? M_EXPIRED : by_end[end];

	if (m >= 0)
		metric_add((size_t)m, 1);
}

static void
free_slot(struct conn *c, struct sched_entry *e)
{
	c->lease[e->lease] = NULL;
	c->lease_hint = e->lease;
	jobctl.leases--;
	if (c->nlease-- == c->slots && !c->leaving)
		list_push(&c->chan->free, &c->room);
}

static void
take_result(struct conn *c, struct slice verb, struct slice rest, struct slice line)
{
	struct sched_dest *dest;
	struct job_result r;
	struct sched_entry *e;
	const char *why = "";
	bool marked;

	if (job_result_parse(verb, rest, &r, &why) < 0 || r.id >= c->slots || !c->lease[r.id]) {
		log_event(LOG_ERROR, "job_line", "channel=%s pid=%u why=%s line=%s", c->chan->sc->name,
		    c->pid, log_str(*why ? why : "no such lease"), log_value(line));
		return;
	}
	e = c->lease[r.id];
	dest = e->dest;
	count_result(r.end, (enum job_action)e->action);
	free_slot(c, e);
	marked = e->held_later || e->delete_later;
	if (sched_end(jobctl.sched, e, &r, clock_now()) && marked)
		finish_marked(e);
	if (!c->leaving && !jobctl.draining)
		give_work(c, dest);
	dispatch_soon();
}

static void
leave(struct conn *c)
{
	if (c->kind != CONN_MASTER || c->leaving)
		return;
	c->leaving = true;
	list_remove(&c->room);
	buf_lit(stream_out(&c->io), "leave\n");
	conn_flush(c);
}

void
masters_leave(struct chan *ch)
{
	struct conn *c;

	list_each(c, &jobctl.conns, struct conn, link) if (ch == NULL || c->chan == ch) leave(c);
}

/* ---- feeders ----------------------------------------------------------------------------------- */

static void
take_new(struct conn *c, struct slice rest, struct slice line)
{
	char id[QUEUE_FILE_ID_LEN + 1];
	const char *why = "bad file name";
	struct sched_msg m;
	struct job_new n;
	uint32_t attempts;
	bool held;

	if (job_new_parse(rest, &n, &why) < 0 || !queue_name_parse(n.file, id, &attempts, &held) ||
	    (!channel_known(n.channel) && (why = "no such channel") != NULL)) {
		log_event(LOG_ERROR, "job_line", "pid=%u why=%s line=%s", c->pid, log_str(why),
		    log_value(line));
		return;
	}
	m = (struct sched_msg){ .channel = n.channel, .dest = n.dest, .id = id, .size = n.size,
		.nrcpt = n.nrcpt, .attempts = attempts, .prio = n.prio, .at = n.at, .held = held };
	if (sched_add(jobctl.sched, &m, clock_now())) {
		metric_add(M_NEW, 1);
		dispatch_soon();
	}
}

/* ---- connections ---------------------------------------------------------------------------------- */

static void
flush_now(struct later *l)
{
	struct conn *c = CONTAINER(l, struct conn, flush);

	stream_flush(&c->io);
}

void
conn_flush(struct conn *c)
{
	later_run(&c->flush, jobctl.loop, flush_now);
}

static void
take_line(struct conn *c, struct slice line)
{
	struct slice rest, verb = job_verb(line, &rest);

	/* By frequency. */
	if (slice_eq(verb, S("new")))
		take_new(c, rest, line);
	else if (c->kind == CONN_MASTER)
		take_result(c, verb, rest, line);
	else if (slice_eq(verb, S("hello")))
		take_hello(c, rest);
	else if (verb.n && !verb_run(c, verb, rest))
		buf_lit(stream_out(&c->io), "error why=unknown%20verb\n");
}

/* Leases die with the socket. */
static void
give_back(struct conn *c)
{
	struct sched_entry *e;

	while ((e = list_first(&c->leases, struct sched_entry, link)) != NULL) {
		bool marked = e->held_later || e->delete_later;

		jobctl.leases--;
		metric_add(M_RETURNED, 1);
		sched_return(jobctl.sched, e, clock_now());
		if (marked)
			finish_marked(e);
	}
	c->nlease = 0;
	mem_free(&c->lease);
}

static void
conn_lost(struct conn *c)
{
	if (list_empty(&c->link))
		return;
	list_remove(&c->link);
	list_remove(&c->room);
	later_cancel(&c->flush);
	walk_stop(c);
	if (c->kind == CONN_MASTER) {
		log_event(LOG_INFO, "master_gone", "channel=%s pid=%u leases=%u", c->chan->sc->name,
		    c->pid, c->nlease);
		give_back(c);
		c->chan->masters--;
		metric_add(M_MASTERS, -1);
		dispatch_soon();
	}
	stream_close(&c->io);
	if (jobctl.draining && jobctl.leases == 0)
		daemon_drained();
}

static void
on_input(struct stream *s)
{
	struct conn *c = CAST(s->data, struct conn, CONN_MAGIC);
	enum line_end ending;
	struct slice line;
	int n = 0;

	while (c->walk == NULL && (n = stream_line(s, JOB_LINE_MAX, &line, &ending)) > 0)
		take_line(c, line);
	if (c->walk) {
		stream_stop(s);
		return;
	}
	if (stream_out(s)->n)
		conn_flush(c);
	if (n < 0 || stream_eof(s) || stream_backlog(s) > OUT_MOST)
		conn_lost(c);
	else if (jobctl.draining && jobctl.leases == 0)
		daemon_drained();
}

static void
on_drained(struct stream *s)
{
	struct conn *c = CAST(s->data, struct conn, CONN_MAGIC);

	if (c->walk)
		walk_more(c);
}

static void
on_closed(struct stream *s)
{
	struct conn *c = CAST(s->data, struct conn, CONN_MAGIC);

	mem_free(&c->lease);
	mem_free(&c);
}

static const struct stream_events events = {
	.input = on_input,
	.drained = on_drained,
	.closed = on_closed,
};

static void
on_accept(struct listener *l, int fd)
{
	struct conn *c = mem_new(sizeof(*c));

	(void)l;
	c->magic = CONN_MAGIC;
	list_init(&c->link);
	list_init(&c->room);
	list_init(&c->leases);
	later_init(&c->flush);
	stream_init(&c->io, jobctl.loop, &events, c);
	if (stream_open(&c->io, fd) < 0) {
		(void)close(fd);
		mem_free(&c);
		return;
	}
	list_push(&jobctl.conns, &c->link);
	stream_start(&c->io);
}

int
serve_start(void)
{
	char *text = mem_printf("unix:%s/jobctl.sock", shared.rundir);
	struct addr a;
	int e = addr_parse(slice_str(text), &a);

	mem_free(&text);
	if (e == 0)
		e = listen_open(&a, 0660);
	if (e < 0)
		return e;
	listen_fd = e;
	return listener_start(&listener, jobctl.loop, listen_fd, on_accept, NULL);
}

void
serve_stop(void)
{
	if (listen_fd < 0)
		return;
	listener_stop(&listener, NULL);
	(void)close(listen_fd);
	listen_fd = -1;
}
