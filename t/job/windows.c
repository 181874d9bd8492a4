/* Priorities that are shut for a while: what is ready stays, others go, and time goes on for it; likewise for what a rule
 * keeps waiting. */
#include "../tap.h"
#include "sched.h"

static struct sched_channel *c;

static void
begin(void)
{
	char *why;

	ok(channels_read(NULL, &conf, &why) == 0, "channels");
	s = sched_new();
	sched_configure(s, conf);
	list_init(&leased);
	c = sched_channel(s, S("tcp_local"));
}

static struct sched_entry *
add_old(unsigned n, const char *dest, int prio, uint32_t attempts)
{
	struct sched_msg m = { .channel = S("tcp_local"),
		.dest = slice_str(dest),
		.id = id_of(n),
		.size = 1000,
		.nrcpt = 1,
		.prio = prio,
		.attempts = attempts,
		.at = NOW };

	return sched_add(s, &m, NOW);
}

static struct sched_entry *
pick(int64_t now)
{
	struct sched_entry *e = sched_pick(s, c, NULL, now);

	if (e)
		list_push(&leased, &e->link);
	return e;
}

static void
finish(struct sched_entry *e, enum job_end how, const char *mx, int64_t now)
{
	struct job_result r = { .end = how,
		.site = JOB_SITE_OK,
		.next = now + sched_backoff(e),
		.mx = slice_str(mx) };

	(void)sched_end(s, e, &r, now);
}

static void
stays(void)
{
	struct sched_entry *e;

	begin();
	(void)add_old(1, "x", 1, 0);
	(void)add_old(2, "x", 0, 0);
	(void)add_old(3, "y", 2, 0);
	sched_shut(c, 1, true);
	sched_shut(c, 2, true);
	ok((e = pick(NOW)) && e->prio == 0, "what is urgent goes");
	ok(!sched_has_work(c, NOW) && !pick(NOW), "nothing else is work");
	for (int i = 0; i < 20; i++) /* also at the turn of the lower priorities */
		if (pick(NOW))
			ok(false, "of a shut priority");
	finish(e, JOB_DONE, "", NOW);
	eq(c->ready, 2, "the others are ready");
	sched_shut(c, 2, false);
	ok(sched_has_work(c, NOW) && (e = pick(NOW)) && e->prio == 2 && !pick(NOW),
	    "one that is open again");
	finish(e, JOB_DONE, "", NOW);
	sched_shut(c, 1, false);
	ok((e = pick(NOW)) && e->prio == 1, "and all of them");
	finish(e, JOB_DONE, "", NOW);
	eq(c->ready + c->waiting + c->leased, 0, "nothing is left");
	end();
}

/* It was tried, it is shut, and it gets older. */
static void
ages(void)
{
	struct sched_entry *e;
	int64_t at = NOW + 3 * 86400;

	begin();
	sched_shut(c, 1, true);
	e = add_old(1, "x", 1, 1);
	ok(e && !pick(NOW), "it waits for its window");
	ok(sched_tick(s, at - 10) >= at - 10 && !pick(at - 10), "and is not old yet");
	(void)sched_tick(s, at);
	ok((e = pick(at)) && e->action == JOB_NOTICE, "who sent it hears that it is late");
	finish(e, JOB_NOTED, "", at);
	at = NOW + 12 * 86400;
	(void)sched_tick(s, at);
	ok((e = pick(at)) && e->action == JOB_EXPIRE, "and gets it back in the end");
	finish(e, JOB_DONE, "", at);
	eq(c->ready + c->waiting + c->leased, 0, "nothing is left");
	end();
}

/* A destination that is dead is tried with a message that may go. */
static void
probes(void)
{
	struct sched_entry *e;
	struct sched_dest *d;
	int64_t at = NOW + 100;

	begin();
	(void)add_old(1, "x", 1, 0);
	(void)add_old(2, "x", 2, 0);
	sched_shut(c, 1, true);
	d = sched_suspend(s, c, S("x"), at, NOW);
	(void)sched_tick(s, NOW + 1);
	ok(!pick(NOW + 1) && d->nwaiting == 2, "both wait for their host");
	(void)sched_tick(s, at);
	ok((e = pick(at)) && e->prio == 2, "the one that may go shows whether it is back");
	finish(e, JOB_DONE, "", at);
	end();
}

/* Destinations with the same host share its one place: who waited for it, and is shut by then, does not keep it. */
static void
shares(void)
{
	struct sched_entry *out = NULL, *e;
	char name[16];
	size_t n = 0;

	begin();
	((struct channel *)(uintptr_t)c->conf)->dest_max = 1;
	for (unsigned i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		(void)add_old(100 + i, name, 0, 0);
		if (!(e = pick(NOW)))
			abort();
		finish(e, JOB_DONE, "mx.example", NOW);
	}
	for (unsigned i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		(void)add_old(200 + i, name, i < 10 ? 0 : 1, 0);
		if (i == 0 && !(out = pick(NOW)))
			abort();
	}
	ok(!pick(NOW), "it is taken");
	sched_shut(c, 0, true);
	finish(out, JOB_DONE, "mx.example", NOW);
	for (n = 0; n < 12 && (e = pick(NOW)) && e->prio == 1; n++)
		finish(e, JOB_DONE, "mx.example", NOW);
	eq(n, 2, "each that may go gets it");
	sched_shut(c, 0, false);
	for (n = 0; n < 12 && (e = pick(NOW)); n++)
		finish(e, JOB_DONE, "mx.example", NOW);
	eq(n, 9, "and the others when they may");
	end();
}

/* What a rule keeps waiting is never tried, and gets old. */
static void
judged(void)
{
	struct job_result r = { .end = JOB_DROP,
		.site = JOB_SITE_NONE,
		.after = 600,
		.judged = true };
	struct sched_entry *e;
	int64_t at = NOW + 3 * 86400;

	begin();
	(void)add_old(1, "x", 1, 0);
	e = pick(NOW);
	(void)sched_end(s, e, &r, NOW);
	ok(!pick(NOW + 599) && e->attempts == 0, "it waits, and that is no attempt");
	(void)sched_tick(s, NOW + 600);
	ok((e = pick(NOW + 600)) && e->action == JOB_DELIVER, "and is asked about again");
	r.after = 86400;
	(void)sched_end(s, e, &r, at - 10);
	(void)sched_tick(s, at);
	ok((e = pick(at)) && e->action == JOB_NOTICE, "its sender is warned");
	finish(e, JOB_NOTED, "", at);
	at = NOW + 12 * 86400;
	(void)sched_tick(s, at);
	ok((e = pick(at)) && e->action == JOB_EXPIRE, "and gets it back");
	finish(e, JOB_DONE, "", at);
	end();
}

int
main(void)
{
	stays();
	ages();
	probes();
	shares();
	judged();
	return done();
}
