/* verbs.c: what operators say on the socket, and what is done to one message.  Answers are lines; the last
 * is `ok ...` or `error why=...`.  walk.c takes a verb over many messages.  What is aside (queue/aside.h) is
 * its master's: it is left alone, and counted. */
#include <errno.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "jobctl.h"

/* ---- files ---------------------------------------------------------------------------------- */

static void
entry_id(const struct sched_entry *e, char id[QUEUE_FILE_ID_LEN + 1])
{
	memcpy(id, e->id, SCHED_ID_LEN);
	id[SCHED_ID_LEN] = '\0';
}

/* `c`: who has asked; NULL when he was told before. */
static bool
report(struct conn *c, const char *what, const struct sched_entry *e, int err)
{
	char id[QUEUE_FILE_ID_LEN + 1];

	entry_id(e, id);
	if (err == -EAGAIN)
		walk_aside(c);
	else if (err == 0)
		log_event(LOG_INFO, what, "qid=%.13s channel=%s id=%s", id, sched_of(e)->name, id);
	else
		log_event(LOG_WARN, what, "qid=%.13s channel=%s id=%s error=%s", id,
		    sched_of(e)->name, id, log_str(strerror(-err)));
	return err == 0;
}

/* The file is not where it should be.  True when it is elsewhere: the entry says of it what its name does,
 * and the caller looks again.  False when it has gone. */
static bool
found_elsewhere(struct sched_entry *e)
{
	char id[QUEUE_FILE_ID_LEN + 1];
	uint32_t attempts;
	bool held;

	entry_id(e, id);
	if (queue_find(jobctl.queue, sched_of(e)->name, id, &attempts, &held) < 0 ||
	    (held == (e->state == SCHED_HELD) && attempts == e->attempts))
		return false;
	e->attempts = (uint16_t)attempts;
	/* A master has shown it and could not tell, or somebody has renamed it by hand. */
	if (held && e->state != SCHED_HELD)
		sched_hold(jobctl.sched, e);
	else if (!held && e->state == SCHED_HELD)
		sched_release(jobctl.sched, e, clock_now());
	return true;
}

static bool
hold_now(struct conn *c, struct sched_entry *e)
{
	char id[QUEUE_FILE_ID_LEN + 1];
	int err;

	entry_id(e, id);
	do
		err = e->state == SCHED_HELD ? 0 :
					       queue_hold(jobctl.queue, sched_of(e)->name, id,
						   e->attempts, S("held by the operator"));
	while (err == -ENOENT && found_elsewhere(e));
	if (!report(c, "hold", e, err))
		return false;
	if (e->state != SCHED_HELD)
		sched_hold(jobctl.sched, e);
	return true;
}

static bool
delete_now(struct conn *c, struct sched_entry *e)
{
	char id[QUEUE_FILE_ID_LEN + 1], name[QUEUE_NAME_LEN + 4];
	int err;

	entry_id(e, id);
	do
		err = queue_delete(jobctl.queue, sched_of(e)->name,
		    queue_name(name, id, e->attempts, e->state == SCHED_HELD));
	while (err == -ENOENT && found_elsewhere(e));
	if (err == -ENOENT)
		err = 0; /* it has gone another way */
	if (!report(c, "delete", e, err))
		return false;
	sched_remove(jobctl.sched, e);
	return true;
}

void
finish_marked(struct sched_entry *e)
{
	bool del = e->delete_later, hold = e->held_later;

	e->delete_later = e->held_later = false;
	if (del)
		(void)delete_now(NULL, e);
	else if (hold && e->state != SCHED_HELD)
		(void)hold_now(NULL, e);
}

/* ---- what is done to one message -------------------------------------------------------------- */

static bool
each_hold(struct conn *c, struct sched_entry *e)
{
	if (e->state == SCHED_LEASED)
		return !e->held_later && (e->held_later = true);
	return e->state != SCHED_HELD && hold_now(c, e);
}

static bool
each_retry(struct conn *c, struct sched_entry *e)
{
	struct sched_dest *d = e->dest;
	bool rests = d->state == DEST_SUSPENDED || (d->group && d->group->suspended_until);

	(void)c;
	if (e->state != SCHED_WAITING)
		return false;
	sched_retry(jobctl.sched, e, clock_now());
	if (rests)
		places_note(d, true);
	return true;
}

/* Held ones go on as before; one that is kept for later goes now. */
static bool
each_release(struct conn *c, struct sched_entry *e)
{
	char id[QUEUE_FILE_ID_LEN + 1];
	int err;

	if (e->state == SCHED_LEASED && e->held_later) {
		e->held_later = false;
		return true;
	}
	if (e->state == SCHED_WAITING && sched_is_kept(e, clock_now()))
		return each_retry(c, e);
	if (e->state != SCHED_HELD)
		return false;
	entry_id(e, id);
	do
		err = e->state != SCHED_HELD ?
		    0 :
		    queue_release(jobctl.queue, sched_of(e)->name, id, e->attempts);
	while (err == -ENOENT && found_elsewhere(e));
	if (!report(c, "release", e, err))
		return false;
	if (e->state == SCHED_HELD)
		sched_release(jobctl.sched, e, clock_now());
	return true;
}

/* Held ones are released for it. */
static bool
each_act(struct conn *c, struct sched_entry *e, enum job_action action)
{
	if (e->state == SCHED_HELD && !each_release(c, e))
		return false;
	e->held_later = false;
	sched_act(jobctl.sched, e, action, clock_now());
	return true;
}

static bool
each_return(struct conn *c, struct sched_entry *e)
{
	return each_act(c, e, JOB_RETURN);
}

static bool
each_reroute(struct conn *c, struct sched_entry *e)
{
	return each_act(c, e, JOB_REROUTE);
}

static bool
each_delete(struct conn *c, struct sched_entry *e)
{
	if (e->state == SCHED_LEASED)
		return !e->delete_later && (e->delete_later = true);
	return delete_now(c, e);
}

static bool
each_list(struct conn *c, struct sched_entry *e)
{
	char id[QUEUE_FILE_ID_LEN + 1], name[QUEUE_NAME_LEN + 4];
	struct buf *b = stream_out(&c->io);

	entry_id(e, id);
	queue_name(name, id, e->attempts, e->state == SCHED_HELD);
	buf_lit(b, "msg");
	kv_put_raw(b, "qid", slice(id, QUEUE_ID_LEN));
	kv_put_raw(b, "channel", slice_str(sched_of(e)->name));
	kv_put_raw(b, "file", slice_str(name));
	kv_put_raw(b, "dest", sched_dest_name(e));
	kv_put_raw(b, "state", slice_str(sched_state_word((enum sched_state)e->state)));
	kv_put_u64(b, "size", (uint64_t)e->size_k * 1024);
	kv_put_u64(b, "nrcpt", e->nrcpt);
	kv_put_u64(b, "prio", e->prio);
	kv_put_u64(b, "at", e->arrival);
	kv_put_u64(b, "attempts", e->attempts);
	kv_put_u64(b, "next", e->state == SCHED_WAITING ? e->next : 0);
	if (sched_is_kept(e, clock_now()))
		kv_put_u64(b, "release", e->arrival);
	if (e->delete_later)
		buf_lit(b, " marked=delete");
	else if (e->held_later)
		buf_lit(b, " marked=hold");
	buf_char(b, '\n');
	return true;
}

/* ---- verbs ---------------------------------------------------------------------------------------- */

static void
verb_status(struct conn *c, struct slice rest)
{
	(void)rest;
	jobctl_status_write(stream_out(&c->io));
	walk_answer(c, NULL);
}

static void
verb_channels(struct conn *c, struct slice rest)
{
	(void)rest;
	tell_channels(stream_out(&c->io));
	walk_answer(c, NULL);
}

static void
set_stopped(struct conn *c, struct slice rest, bool stopped)
{
	struct slice name = kv_find(rest, "channel");
	struct sched_channel *sc = name.p ? sched_channel_find(jobctl.sched, name) : NULL;

	if (!sc) {
		walk_answer(c, "no such channel");
		return;
	}
	stopped_set(sc, stopped);
	masters_halt(chan_of(sc), chan_is_halted(sc));
	log_event(LOG_INFO, stopped ? "channel_stop" : "channel_start", "channel=%s", sc->name);
	table_changed();
	walk_answer(c, NULL);
}

static void
verb_stop(struct conn *c, struct slice rest)
{
	set_stopped(c, rest, true);
}

static void
verb_start(struct conn *c, struct slice rest)
{
	set_stopped(c, rest, false);
}

static void
verb_jobs(struct conn *c, struct slice rest)
{
	(void)rest;
	tell_jobs(stream_out(&c->io));
	walk_answer(c, NULL);
}

static void
verb_top(struct conn *c, struct slice rest)
{
	c->sorted = true; /* all destinations */
	walk_answer(c, tell_top(stream_out(&c->io), rest) ? NULL : "no such channel");
}

static void
verb_hold(struct conn *c, struct slice rest)
{
	walk_start(c, rest, each_hold, false);
}

static void
verb_release(struct conn *c, struct slice rest)
{
	walk_start(c, rest, each_release, false);
}

static void
verb_retry(struct conn *c, struct slice rest)
{
	walk_start(c, rest, each_retry, false);
}

static void
verb_delete(struct conn *c, struct slice rest)
{
	walk_start(c, rest, each_delete, false);
}

static void
verb_return(struct conn *c, struct slice rest)
{
	walk_start(c, rest, each_return, false);
}

static void
verb_reroute(struct conn *c, struct slice rest)
{
	walk_start(c, rest, each_reroute, false);
}

static void
verb_cancel(struct conn *c, struct slice rest)
{
	cancel_start(c, rest);
}

static void
verb_list(struct conn *c, struct slice rest)
{
	walk_start(c, rest, each_list, true);
}

static void
verb_rescan(struct conn *c, struct slice rest)
{
	(void)rest;
	rescan("operator");
	walk_answer(c, NULL);
}

static const struct {
	const char *verb;
	void (*run)(struct conn *c, struct slice rest);
} verbs[] = {
	{ "status", verb_status },
	{ "channels", verb_channels },
	{ "stop", verb_stop },
	{ "start", verb_start },
	{ "suspend", suspend_run },
	{ "resume", resume_run },
	{ "hold", verb_hold },
	{ "release", verb_release },
	{ "retry", verb_retry },
	{ "delete", verb_delete },
	{ "return", verb_return },
	{ "reroute", verb_reroute },
	{ "jobs", verb_jobs },
	{ "top", verb_top },
	{ "list", verb_list },
	{ "show", verb_list },
	{ "rescan", verb_rescan },
	{ "cancel", verb_cancel },
};

bool
verb_reads(struct slice verb)
{
	return slice_eq(verb, S("list")) || slice_eq(verb, S("status")) ||
	    slice_eq(verb, S("channels"));
}

bool
verb_run(struct conn *c, struct slice verb, struct slice rest)
{
	for (size_t i = 0; i < NELEM(verbs); i++)
		if (slice_eq(verb, slice_str(verbs[i].verb))) {
			verbs[i].run(c, rest);
			return true;
		}
	return false;
}
