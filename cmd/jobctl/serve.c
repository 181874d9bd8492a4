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

#define CONN_MAGIC 0x434f4e4e
#define READERS_MAX                                                                                \
	64 /* ordinary users' mailq at a time; each costs a connection and a long answer */
#define READER_IDLE_MS 30000
#define OUT_MOST       (64u * 1024 * 1024) /* a peer that does not read */

static struct listener listener, reader_listener;
static size_t readers;

static void give_work(struct conn *c, struct sched_dest *prefer);

/* ---- dispatch -------------------------------------------------------------------------------- */

static void
dispatch_channel(struct chan *ch)
{
	struct conn *c;

	/* Masters in turn, one lease each, so that all of them are busy. */
	while (
	    sched_has_work(ch->sc, clock_now()) && (c = list_first(&ch->free, struct conn, room))) {
		list_remove(&c->room);
		list_push(&ch->free, &c->room);
		give_work(c, NULL);
	}
	pool_need(ch);
}

static void
dispatch_all(struct later *l)
{
	struct sched_channel *sc;
	size_t at = 0;

	(void)l;
	while (!jobctl.draining && (sc = sched_channel_next(jobctl.sched, &at)))
		dispatch_channel(chan_of(sc));
	table_due();
	table_metrics();
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

	if (!e)
		return;
	if (c->nlease == 0)
		c->since = clock_now();
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
	if (!channels_name_ok(name))
		return false;
	(void)snprintf(path, sizeof(path), "%s/" SFMT, queue_path(jobctl.queue), SARG(name));
	return access(path, F_OK) == 0;
}

/* ---- masters ------------------------------------------------------------------------------------ */

static void
conn_halt(struct conn *c, bool halt)
{
	buf_str(stream_out(&c->io), halt ? "halt\n" : "go\n");
	conn_flush(c);
}

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
	pool_connected(c->chan, h.pid);
	list_push(&c->chan->free, &c->room);
	c->since = clock_now();
	c->came = loop_now(jobctl.loop);
	if (chan_is_halted(c->chan->sc))
		conn_halt(c, true);
	log_event(LOG_INFO, "master", "channel=%s pid=%u slots=%u", c->chan->sc->name, c->pid,
	    c->slots);
	table_changed();
}

static void
count_result(enum job_end end, enum job_action action)
{
	static const int by_end[] = { [JOB_DONE] = M_DONE,
		[JOB_RETRY] = M_RETRY,
		[JOB_DROP] = M_RETURNED,
		[JOB_NOTED] = M_NOTICED,
		[JOB_HELD] = -1 };
	int m = end == JOB_DONE && (action == JOB_EXPIRE || action == JOB_LATE) ? M_EXPIRED :
										  by_end[end];

	if (m >= 0)
		metric_add((size_t)m, 1);
}

static void
free_slot(struct conn *c, struct sched_entry *e)
{
	c->lease[e->lease] = NULL;
	c->lease_hint = e->lease;
	c->messages++;
	c->kbytes += e->size_k;
	if (c->nlease == 1)
		c->since = clock_now();
	jobctl.leases--;
	if (c->nlease-- == c->slots && !c->leaving)
		list_push(&c->chan->free, &c->room);
}

/* Its state has changed by this result. */
static void
report_dest(const struct sched_dest *d, enum dest_state was, const struct job_result *r)
{
	char rule[CHANNEL_NAME_MAX + 1] = "";

	if (r->suspend && kv_cstr(r->rule, rule, sizeof(rule)) < 0)
		*rule = '\0';
	log_event(LOG_INFO, "dest_state", "channel=%s dest=" SFMT " was=%s is=%s until=%u rule=%s",
	    d->channel->name, SARG(slice(d->name, d->name_len)), sched_dest_state_word(was),
	    sched_dest_state_word((enum dest_state)d->state), d->parked_until, log_str(rule));
}

static void
take_result(struct conn *c, struct slice verb, struct slice rest, struct slice line)
{
	struct sched_dest *dest;
	struct job_result r;
	struct sched_entry *e;
	enum dest_state was;
	const char *why = "";
	bool marked, moves;

	if (job_result_parse(verb, rest, &r, &why) < 0 || r.id >= c->slots || !c->lease[r.id]) {
		log_event(LOG_ERROR, "job_line", "channel=%s pid=%u why=%s line=%s",
		    c->chan->sc->name, c->pid, log_str(*why ? why : "no such lease"),
		    log_value(line));
		return;
	}
	e = c->lease[r.id];
	dest = e->dest;
	was = (enum dest_state)dest->state;
	moves = r.mx.n && !sched_dest_has_mx(dest, r.mx);
	count_result(r.end, (enum job_action)e->action);
	free_slot(c, e);
	marked = e->held_later || e->delete_later;
	if (sched_end(jobctl.sched, e, &r, clock_now()) && marked)
		finish_marked(e);
	if (dest->state != was)
		report_dest(dest, was, &r);
	if (moves || r.suspend)
		places_note(dest, r.suspend);
	if (!c->leaving && !jobctl.draining)
		give_work(c, dest);
	table_changed();
}

void
conn_leave(struct conn *c)
{
	if (c->kind != CONN_MASTER || c->leaving)
		return;
	c->leaving = true;
	c->left = loop_now(jobctl.loop);
	list_remove(&c->room);
	buf_lit(stream_out(&c->io), "leave\n");
	conn_flush(c);
}

/* It has had nothing to do for a while: is it one of those that stay? */
static void
take_idle(struct conn *c)
{
	if (c->nlease == 0 && c->chan->masters > (size_t)c->chan->sc->conf->minjobs)
		conn_leave(c);
}

void
masters_leave(struct chan *ch)
{
	struct conn *c;

	list_each(c, &jobctl.conns, struct conn, link) if (!ch || c->chan == ch) conn_leave(c);
}

void
masters_halt(struct chan *ch, bool halt)
{
	struct conn *c;

	list_each(c, &jobctl.conns, struct conn, link) if (c->chan == ch && c->kind == CONN_MASTER)
	    conn_halt(c, halt);
}

/* ---- feeders ----------------------------------------------------------------------------------- */

/* A report that was set aside has lost .HELD: its master says so when it has done that. */
static void
take_shown(const char *id)
{
	struct sched_entry *e = sched_find(jobctl.sched, id);

	if (!e || e->state != SCHED_HELD)
		return;
	sched_release(jobctl.sched, e, clock_now());
	table_changed();
}

/* One that was set aside has been removed. */
static void
take_gone(struct slice rest)
{
	struct slice id = kv_find(rest, "id");
	struct sched_entry *e = id.n == SCHED_ID_LEN ? sched_find(jobctl.sched, id.p) : NULL;

	if (e && e->state == SCHED_HELD)
		sched_remove(jobctl.sched, e);
	table_changed();
}

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
	    (!channel_known(n.channel) && (why = "no such channel"))) {
		log_event(LOG_ERROR, "job_line", "pid=%u why=%s line=%s", c->pid, log_str(why),
		    log_value(line));
		return;
	}
	m = (struct sched_msg){ .channel = n.channel,
		.dest = n.dest,
		.id = id,
		.size = n.size,
		.nrcpt = n.nrcpt,
		.attempts = attempts,
		.prio = n.prio,
		.at = n.at,
		.release = n.release,
		.by = n.by,
		.held = held };
	if (sched_add(jobctl.sched, &m, clock_now())) {
		metric_add(M_NEW, 1);
		table_changed();
	} else if (!held && c->kind == CONN_MASTER) {
		take_shown(id);
	}
}

/* ---- connections ---------------------------------------------------------------------------------- */

static void
serve_flush_now(struct later *l)
{
	struct conn *c = CONTAINER(l, struct conn, flush);

	stream_flush(&c->io);
}

void
conn_flush(struct conn *c)
{
	later_run(&c->flush, jobctl.loop, serve_flush_now);
}

/* Masters come and go; what they have counted stays here. */
static void
take_counts(struct slice rest)
{
	uint64_t n[JOB_COUNTS];

	job_count_parse(rest, n);
	for (size_t i = 0; i < JOB_COUNTS; i++)
		if (n[i])
			metric_add(M_COUNT + i, (int64_t)n[i]);
}

static void
serve_take_line(struct conn *c, struct slice line)
{
	struct slice rest, verb = job_verb(line, &rest);

	/* By frequency. */
	if (c->kind == CONN_READER && !verb_reads(verb))
		buf_lit(stream_out(&c->io), "error why=not%20permitted\n");
	else if (slice_eq(verb, S("new")))
		take_new(c, rest, line);
	else if (c->kind == CONN_MASTER && slice_eq(verb, S("gone")))
		take_gone(rest);
	else if (c->kind == CONN_MASTER && slice_eq(verb, S("count")))
		take_counts(rest);
	else if (c->kind == CONN_MASTER && slice_eq(verb, S("idle")))
		take_idle(c);
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

	while ((e = list_first(&c->leases, struct sched_entry, link))) {
		bool marked = e->held_later || e->delete_later;

		e->check = true; /* its master has died: it may have left a report aside */
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
serve_conn_lost(struct conn *c)
{
	if (list_empty(&c->link))
		return;
	list_remove(&c->link);
	list_remove(&c->room);
	later_cancel(&c->flush);
	later_cancel(&c->more);
	walk_stop(c);
	cancel_forget(c);
	if (c->kind == CONN_MASTER) {
		log_event(LOG_INFO, "master_gone", "channel=%s pid=%u leases=%u", c->chan->sc->name,
		    c->pid, c->nlease);
		/* What it had shown and could not tell us is in the spool, and nobody else tells. */
		if (c->nlease)
			rescan("master");
		give_back(c);
		c->chan->masters--;
		metric_add(M_MASTERS, -1);
		table_changed();
	}
	/* Likewise a feeder: a message that it had written is known before anybody hears that there is none. */
	if (c->kind == CONN_FEEDER && !jobctl.draining)
		rescan("gone");
	readers -= c->kind == CONN_READER;
	stream_close(&c->io);
	if (jobctl.draining && jobctl.leases == 0)
		daemon_drained();
}

/* Is an answer under way behind which the next line waits? */
static bool
serve_busy(const struct conn *c)
{
	return c->walk || c->cancel;
}

/* An operator's lines of this turn are done with: one that is dear, or as much as the peer can take. */
static bool
serve_enough(const struct conn *c)
{
	bool asks = c->kind == CONN_NEW || c->kind == CONN_READER;

	return !serve_busy(c) && (c->sorted || (asks && stream_backlog(&c->io) >= STREAM_HIGH));
}

static void
serve_input_more(struct later *l)
{
	stream_start(&CONTAINER(l, struct conn, more)->io);
}

static void
serve_on_input(struct stream *s)
{
	struct conn *c = CAST(s->data, struct conn, CONN_MAGIC);
	enum line_end ending;
	struct slice line;
	int n = 0;

	c->sorted = false;
	while (!serve_busy(c) && !serve_enough(c) &&
	    (n = stream_line(s, JOB_LINE_MAX, &line, &ending)) > 0)
		serve_take_line(c, line);
	if (serve_enough(c)) {
		stream_stop(s);
		stream_flush(s);
		/* Above the mark `drained` calls. */
		if (stream_backlog(s) < STREAM_HIGH)
			later_run(&c->more, jobctl.loop, serve_input_more);
		return;
	}
	if (serve_busy(c)) {
		stream_stop(s);
		return;
	}
	if (stream_out(s)->n)
		conn_flush(c);
	if (n < 0 || stream_eof(s) || stream_backlog(s) > OUT_MOST)
		serve_conn_lost(c);
	else if (jobctl.draining && jobctl.leases == 0)
		daemon_drained();
}

static void
serve_on_drained(struct stream *s)
{
	struct conn *c = CAST(s->data, struct conn, CONN_MAGIC);

	if (c->walk)
		walk_more(c);
	else if (!c->cancel)
		stream_start(s);
}

static void
serve_on_closed(struct stream *s)
{
	struct conn *c = CAST(s->data, struct conn, CONN_MAGIC);

	mem_free(&c->lease);
	mem_free(&c);
}

static const struct stream_events events = {
	.input = serve_on_input,
	.drained = serve_on_drained,
	.closed = serve_on_closed,
};

static void
serve_on_accept(struct listener *l, int fd)
{
	struct conn *c;

	if (l == &reader_listener && readers >= READERS_MAX) {
		(void)close(fd);
		return;
	}
	c = mem_new(sizeof(*c));

	c->magic = CONN_MAGIC;
	list_init(&c->link);
	list_init(&c->room);
	list_init(&c->leases);
	later_init(&c->flush);
	later_init(&c->more);
	stream_init(&c->io, jobctl.loop, &events, c);
	if (stream_open(&c->io, fd) < 0) {
		(void)close(fd);
		mem_free(&c);
		return;
	}
	if (l == &reader_listener) {
		c->kind = CONN_READER;
		readers++;
		stream_idle(&c->io, READER_IDLE_MS);
	}
	list_push(&jobctl.conns, &c->link);
	stream_start(&c->io);
}

/* A listening socket of rundir, or -errno. */
static int
serve_open(const char *name, int mode)
{
	char *text = mem_printf("unix:%s/%s", shared.rundir, name);
	struct addr a;
	int e = addr_parse(slice_str(text), &a);

	mem_free(&text);
	return e == 0 ? listen_open(&a, mode) : e;
}

/* jobctl.sock is for those who feed, deliver and command, as its group says; mailq.sock is for
 * everybody, and tells which messages wait, but not who wrote to whom: that is in the files. */
int
serve_start(void)
{
	int fd = serve_open("jobctl.sock", 0660), e;

	table_on_change(dispatch_all);
	if (fd < 0)
		return fd;
	if ((e = listener_start(&listener, jobctl.loop, fd, serve_on_accept, NULL)) < 0)
		return e;
	fd = serve_open("mailq.sock", 0666);
	if (fd < 0)
		return fd;
	return listener_start(&reader_listener, jobctl.loop, fd, serve_on_accept, NULL);
}
