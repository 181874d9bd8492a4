/* A time to be delivered by (DELIVERBY): the message is given out for that at that moment, whatever it waits for. */
#include "../tap.h"
#include "base/clock.h"
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
add_by(unsigned n, int64_t by, uint32_t notices)
{
	struct sched_msg m = { .channel = S("tcp_local"),
		.dest = S("x"),
		.id = id_of(n),
		.size = 1000,
		.nrcpt = 1,
		.prio = 1,
		.at = NOW,
		.notices = notices,
		.by = by };

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

static bool
finish(struct sched_entry *e, enum job_end how, int64_t now)
{
	struct job_result r = { .end = how, .site = JOB_SITE_OK, .next = now + sched_backoff(e) };

	return sched_end(s, e, &r, now);
}

static void
in_time(void)
{
	struct sched_entry *e;

	begin();
	(void)add_by(1, NOW + 100, 0);
	e = pick(NOW + 99);
	eq(e->action, JOB_DELIVER, "before its time it is delivered");
	(void)finish(e, JOB_RETRY, NOW + 99);
	eq(sched_next_due(s), NOW + 100, "its time comes before its next attempt");
	(void)sched_tick(s, NOW + 100);
	e = pick(NOW + 100);
	ok(e && e->action == JOB_LATE, "at that time it is late");
	ok(!finish(e, JOB_DONE, NOW + 100), "and goes back");
	end();

	begin();
	(void)add_by(1, NOW + 100, 0);
	eq(pick(NOW + 100)->action, JOB_LATE, "one that was never tried is not tried then");
	end();
}

/* Its sender is told, and it goes on as if nothing had been: once, also behind a restart. */
static void
told(void)
{
	struct sched_entry *e;

	begin();
	(void)add_by(1, NOW + 100, 0);
	(void)finish(pick(NOW), JOB_RETRY, NOW);
	(void)sched_tick(s, NOW + 100);
	e = pick(NOW + 100);
	eq(e->action, JOB_LATE, "late");
	(void)finish(e, JOB_NOTED, NOW + 100);
	eq(sched_next_due(s), NOW + 3600, "then it waits for its next attempt");
	eq(e->attempts, 1, "with no attempt counted");
	(void)sched_tick(s, NOW + 3600);
	eq(pick(NOW + 3600)->action, JOB_DELIVER, "which it gets");
	end();

	begin();
	(void)add_by(1, NOW + 100, JOB_NOTICE_LATE);
	eq(pick(NOW + 200)->action, JOB_DELIVER,
	    "whose sender was told before a restart is delivered");
	end();
}

/* What a report is put off for must neither be forgotten nor come at once. */
static void
put_off(void)
{
	struct sched_entry *e;
	int64_t now = NOW + 100;

	for (int how = JOB_RETRY; how <= JOB_DROP; how++) {
		begin();
		(void)add_by(1, now, 0);
		(void)sched_tick(s, now);
		e = pick(now);
		(void)finish(e, (enum job_end)how, now);
		ok(sched_next_due(s) >= now + 30, "not at once");
		(void)sched_tick(s, sched_next_due(s));
		e = pick(now + 86400);
		ok(e && e->action == JOB_LATE, "but again");
		end();
	}
	begin();
	(void)add(1, "x", 1);
	(void)finish(pick(NOW), JOB_RETRY, NOW);
	(void)sched_tick(s, NOW + 12 * 86400);
	e = pick(NOW + 12 * 86400);
	eq(e->action, JOB_EXPIRE, "its last day");
	(void)finish(e, JOB_RETRY, NOW + 12 * 86400);
	ok(sched_next_due(s) >= NOW + 12 * 86400 + 30, "nor one that is too old");
	end();
}

/* Suspended, dead, without room, behind others: all of that is no reason. */
static void
whatever(void)
{
	struct sched_entry *e;

	begin();
	(void)sched_suspend(s, c, S("x"), NOW + 86400, NOW);
	(void)add_by(1, NOW + 100, 0);
	ok(!pick(NOW), "a suspended destination");
	(void)sched_tick(s, NOW + 100);
	e = pick(NOW + 100);
	ok(e && e->action == JOB_LATE, "does not keep it");
	end();

	begin();
	for (unsigned i = 1; i <= 100; i++)
		(void)add(i, "x", 1);
	while (pick(NOW))
		;
	(void)add_by(200, NOW + 100, 0);
	ok(!pick(NOW + 99), "no room");
	eq(sched_next_due(s), NOW + 100, "it has its time");
	(void)sched_tick(s, NOW + 100);
	e = pick(NOW + 100);
	ok(e && e->action == JOB_LATE, "does not keep it either");
	end();

	begin();
	sched_hold(s, add_by(1, NOW + 100, 0));
	(void)sched_tick(s, NOW + 200);
	ok(!pick(NOW + 200), "what an operator holds stays where it is");
	sched_release(s, sched_find(s, id_of(1)), NOW + 200);
	eq(pick(NOW + 200)->action, JOB_LATE, "until it is released");
	end();
}

/* What kills its master must not do so again and again, whatever it is given out for. */
static void
killer(void)
{
	struct sched_entry *e;

	for (int what = 0; what < 2; what++) {
		int64_t now = NOW + (what ? 12 * 86400 : 100);

		begin();
		(void)add_by(1, what ? 0 : now, 0);
		if (what)
			(void)finish(pick(NOW), JOB_RETRY, NOW);
		(void)sched_tick(s, now);
		for (unsigned i = 0; i < 4; i++) {
			e = pick(now);
			eq(e->action, what ? JOB_EXPIRE : JOB_LATE, "given out");
			sched_return(s, e, now);
			(void)sched_tick(s, now);
		}
		ok(!pick(now), "its master dies of it each time: it has to wait");
		eq(sched_next_due(s), now + 60, "for a minute");
		(void)sched_tick(s, now + 60);
		e = pick(now + 60);
		ok(e && e->action == (what ? JOB_EXPIRE : JOB_LATE), "and comes again");
		end();
	}
}

/* The time is one of the calendar. */
static void
clock_steps(void)
{
	begin();
	(void)add_by(1, NOW + 100, 0);
	(void)add_by(2, NOW + 200, 0);
	(void)finish(pick(NOW), JOB_RETRY, NOW);
	sched_shift(s, 3600);
	eq(sched_next_due(s), NOW + 100, "it stays what it was when the clock is set");
	(void)sched_tick(s, NOW + 3600);
	ok(pick(NOW + 3600)->action == JOB_LATE && pick(NOW + 3600)->action == JOB_LATE,
	    "and both are late");
	end();
}

int
main(void)
{
	in_time();
	told();
	put_off();
	whatever();
	killer();
	clock_steps();
	return done();
}
