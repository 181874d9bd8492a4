/* The schedule: order, fairness, feedback, backoff, notices, memory.  Time is a number here. */
#include "../tap.h"
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "sched.h"

static void
begin(void)
{
	char *why;

	ok(channels_read(NULL, &conf, &why) == 0, "channels");
	s = sched_new();
	sched_configure(s, conf);
	list_init(&leased);
}

static struct sched_entry *
pick(int64_t now)
{
	struct sched_entry *e = sched_pick(s, sched_channel(s, S("tcp_local")), NULL, now);

	if (e)
		list_push(&leased, &e->link);
	return e;
}

static unsigned
number(const struct sched_entry *e)
{
	char text[16];

	if (!e)
		return 0;
	memcpy(text, e->id, 13);
	text[13] = '\0';
	return (unsigned)atoi(text);
}

static bool
finish(struct sched_entry *e, enum job_end how, enum job_site site, int64_t now)
{
	struct job_result r = { .end = how, .site = site, .next = now + sched_backoff(e) };

	return sched_end(s, e, &r, now);
}

static void
order(void)
{
	struct sched_entry *e;

	begin();
	ok(add(1, "a", 1) && add(2, "a", 1) && add(3, "a", 0), "three messages");
	ok(!add(2, "a", 1), "one that is known is not added");
	ok(sched_find(s, id_of(2)) && !sched_find(s, id_of(9)), "found by id");
	e = pick(NOW);
	eq(number(e), 3, "urgent first");
	ok(!finish(e, JOB_DONE, JOB_SITE_OK, NOW), "gone");
	eq(number(pick(NOW)), 1, "then by arrival");
	eq(number(pick(NOW)), 2, "to the end");
	ok(!pick(NOW), "which is nothing");
	while ((e = list_first(&leased, struct sched_entry, link)))
		sched_return(s, e, NOW);
	eq(sched_channel(s, S("tcp_local"))->ready, 2, "leases come back");
	eq(number(pick(NOW)), 1 + (number(list_first(&leased, struct sched_entry, link)) == 2),
	    "in front");
	end();
}

/* One destination with a thousand messages, ten with two: nobody waits for the thousand. */
static void
fairness(void)
{
	unsigned last_small = 0, low = 0;
	char dest[8];

	begin();
	for (unsigned i = 1; i <= 1000; i++)
		(void)add(i, "big", 1);
	for (unsigned i = 0; i < 20; i++) {
		(void)snprintf(dest, sizeof(dest), "d%u", i / 2);
		(void)add(2000 + i, dest, 1);
	}
	(void)add(3000, "low", 2);
	for (unsigned i = 1; i <= 200; i++) {
		struct sched_entry *e = pick(NOW);

		if (number(e) == 3000)
			low = i;
		else if (number(e) >= 2000)
			last_small = i;
		(void)finish(e, JOB_DONE, JOB_SITE_OK, NOW);
	}
	ok(last_small > 0 && last_small < 60, "small destinations are through after %u",
	    last_small);
	ok(low > 0 && low <= 8, "a low priority is not starved: %u", low);
	end();
}

static void
feedback(void)
{
	struct sched_channel *c;
	struct sched_entry *e;
	unsigned n = 0;
	int64_t at;

	begin();
	c = sched_channel(s, S("tcp_local"));
	for (unsigned i = 1; i <= 200; i++)
		(void)add(i, "x", 1);
	while (pick(NOW))
		n++;
	eq(n, 3, "three at a time at first");
	for (unsigned i = 0; i < 100; i++) {
		(void)finish(list_first(&leased, struct sched_entry, link), JOB_DONE, JOB_SITE_OK,
		    NOW);
		while (pick(NOW))
			;
	}
	n = (unsigned)c->leased;
	ok(n > 10 && n <= 20, "success widens: %u", n);
	for (unsigned i = 0; i < n && (e = list_first(&leased, struct sched_entry, link)); i++)
		(void)finish(e, JOB_RETRY, JOB_SITE_FAIL, NOW);
	ok(!pick(NOW), "a failed cohort is dead");
	eq(c->ready, 0, "everybody waits");
	eq(c->waiting, 100, "all of them");
	e = sched_find(s, id_of(200));
	eq(e->attempts, 0, "without an attempt counted");
	at = sched_next_due(s);
	ok(at > NOW && at <= NOW + 60, "a probe in %lld s", (long long)(at - NOW));
	(void)sched_tick(s, at);
	e = pick(at);
	ok(e && !pick(at), "of one message");
	(void)finish(e, JOB_RETRY, JOB_SITE_FAIL, at);
	ok(!pick(at) && sched_next_due(s) > at + 30, "the next one is later");
	at = sched_next_due(s);
	(void)sched_tick(s, at);
	e = pick(at);
	(void)finish(e, JOB_DONE, JOB_SITE_OK, at);
	ok(c->ready > 90, "success sets all free: %zu", c->ready);
	for (n = 0; pick(at); n++)
		;
	eq(n, 5, "and begins again with five");
	end();
}

static void
ageing(void)
{
	const int64_t day = 86400;
	struct sched_entry *e;
	int64_t at;

	begin();
	(void)add(1, "x", 1);
	e = pick(NOW + 20 * day);
	eq(e->action, JOB_DELIVER, "an old message that was never tried is tried");
	sched_remove(s, e);
	(void)add(1, "x", 1);
	e = pick(NOW);
	eq(sched_backoff(e), 3600, "an hour at first");
	(void)finish(e, JOB_RETRY, JOB_SITE_NONE, NOW);
	ok(!pick(NOW + 3599) && sched_next_due(s) == NOW + 3600, "it waits");
	e->next = (uint32_t)(NOW + 30 * day);
	for (unsigned n = 1; n <= 3; n++) {
		at = NOW + 3 * day * n;
		if (n == 1)
			at = sched_tick(s, NOW + 3600) == NOW + 3 * day ? at : 0;
		(void)sched_tick(s, at);
		e = pick(at);
		ok(e && e->action == JOB_NOTICE && e->notices == n - 1, "warning %u", n);
		(void)finish(e, JOB_NOTED, JOB_SITE_OK, at);
	}
	at = NOW + 12 * day;
	eq(sched_next_due(s), at, "and then its last day");
	(void)sched_tick(s, at);
	e = pick(at);
	eq(e->action, JOB_EXPIRE, "it expires");
	sched_end(s, e, &(struct job_result){ .end = JOB_DROP }, at);
	ok(sched_next_due(s) >= at + 30, "a failed expiry is tried again, not at once");
	(void)sched_tick(s, at + 30);
	ok(!finish(pick(at + 30), JOB_DONE, JOB_SITE_OK, at), "and is gone");
	eq(sched_count(s), 0, "nothing is left");
	end();
}

static void
operators(void)
{
	struct sched_channel *c;
	struct sched_entry *e;
	size_t at = 0, n = 0;

	begin();
	c = sched_channel(s, S("tcp_local"));
	for (unsigned i = 1; i <= 10; i++)
		(void)add(i, "x", 1);
	sched_hold(s, sched_find(s, id_of(1)));
	eq(c->held, 1, "held");
	eq(number(pick(NOW)), 2, "not given");
	sched_release(s, sched_find(s, id_of(1)), NOW);
	sched_remove(s, sched_find(s, id_of(3)));
	c->stopped = true;
	ok(!pick(NOW) && !sched_has_work(c, NOW), "a stopped channel gives nothing");
	c->stopped = false;
	while ((e = sched_next(s, &at)))
		n++;
	eq(n, 9, "a walk sees all");
	e = pick(NOW);
	(void)finish(e, JOB_RETRY, JOB_SITE_OK, NOW);
	eq(c->waiting, 1, "one waits");
	sched_retry(s, e, NOW);
	eq(c->waiting, 0, "until it is told to go");
	for (unsigned i = 0; i < 5; i++) {
		e = pick(NOW);
		sched_return(s, e, NOW);
	}
	ok(c->waiting > 0, "what kills its master again and again has to wait");
	end();
}

static unsigned
pick_all(int64_t now, const char *dest, bool end)
{
	struct sched_entry *e;
	unsigned n = 0;

	while ((e = pick(now))) {
		n += strncmp(sched_dest_name(e).p, dest, strlen(dest)) == 0;
		if (end)
			(void)finish(e, JOB_DONE, JOB_SITE_OK, now);
	}
	return n;
}

/* Slow destinations, however many, leave slots for the others; those that were good before too. */
static void
shares(void)
{
	char dest[16];
	unsigned id = 1;
	int64_t all;

	begin();
	all = channels_find(conf, S("tcp_local"))->slots *
	    channels_find(conf, S("tcp_local"))->maxjobs;
	for (unsigned i = 0; i < 7 * 20; i++) {
		(void)snprintf(dest, sizeof(dest), "slow%u", i % 7);
		(void)add(id++, dest, 1);
	}
	ok(pick_all(NOW, "slow", false) < (unsigned)all * 3 / 4,
	    "seven that are new leave a quarter, and more");
	for (unsigned i = 0; i < 10; i++)
		(void)add(id++, "fresh", 1);
	eq(pick_all(NOW + 1, "fresh", true), 10, "one that is new has room beside them");
	for (unsigned i = 0; i < 400; i++) {
		(void)snprintf(dest, sizeof(dest), "slow%u", 7 + i / 4);
		(void)add(id++, dest, 1);
	}
	(void)pick_all(NOW + 2, "slow", false);
	ok(sched_channel(s, S("tcp_local"))->leased <= (size_t)all * 3 / 4,
	    "a hundred leave a quarter");
	for (unsigned i = 0; i < 100; i++)
		(void)add(id++, "fresh", 1);
	eq(pick_all(NOW + 3, "fresh", true), 100, "for the one that has answered");
	eq(sched_channel(s, S("tcp_local"))->nslow, 0, "nobody is slow yet");
	ok(!sched_has_work(sched_channel(s, S("tcp_local")), NOW + 40), "the rest waits");
	ok(sched_channel(s, S("tcp_local"))->nslow >= 7,
	    "without news for half a minute they are slow");

	/* Good for long, then a byte a minute. */
	end();
	begin();
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < 400; i++) {
			(void)snprintf(dest, sizeof(dest), "turn%u", i % 10);
			(void)add(id++, dest, 1);
			if (!k)
				(void)pick_all(NOW, "turn", true);
		}
	ok(pick_all(NOW + 1, "turn", false) > (unsigned)all,
	    "those that answered well may have it all");
	ok(!sched_has_work(sched_channel(s, S("tcp_local")), NOW + 20), "up to their windows");
	(void)finish(list_first(&leased, struct sched_entry, link), JOB_DONE, JOB_SITE_OK,
	    NOW + 50);
	ok(!sched_has_work(sched_channel(s, S("tcp_local")), NOW + 50),
	    "and none when they are slow, until half is back");
	for (unsigned i = 0; i < 100 && !list_empty(&leased); i++)
		(void)finish(list_first(&leased, struct sched_entry, link), JOB_DONE, JOB_SITE_FAIL,
		    NOW + 51);
	(void)add(id++, "other", 1);
	eq(pick_all(NOW + 52, "other", true), 1, "then others have their turn");
	end();
}

/* The channel tcp_local with these keys. */
static void
begin_with(const char *keys)
{
	char path[] = "/tmp/tmt-sched-XXXXXX", *why = NULL;
	int fd = mkstemp(path);

	dprintf(fd, "[channel tcp_local]\n%s\n", keys);
	close(fd);
	if (!ok(channels_read(path, &conf, &why) == 0, "channels"))
		printf("# %s\n", why);
	unlink(path);
	s = sched_new();
	sched_configure(s, conf);
	list_init(&leased);
}

/* Whatever is ready from `now` on, second by second, to its end: how many in `seconds`. */
static unsigned
flow(int64_t now, unsigned seconds)
{
	unsigned n = 0;

	for (int64_t at = now; at < now + seconds; at++) {
		(void)sched_tick(s, at);
		n += pick_all(at, "", true);
	}
	return n;
}

static bool
finish_mx(struct sched_entry *e, const char *mx, int64_t now)
{
	struct job_result r = { .end = JOB_DONE, .mx = slice_str(mx) };

	return sched_end(s, e, &r, now);
}

/* The clock is set, or was wrong when the spool was written. */
static void
steps(void)
{
	struct sched_msg m = { .channel = S("tcp_local"),
		.dest = S("x"),
		.id = id_of(1),
		.size = 1,
		.nrcpt = 1,
		.prio = 1,
		.attempts = 1,
		.at = NOW,
		.next = NOW + 30 * 86400 };
	int64_t due;
	unsigned n;

	begin();
	(void)sched_add(s, &m, NOW);
	ok(sched_next_due(s) <= NOW + 86400,
	    "a time from a clock that was ahead is cut to the longest backoff");
	due = sched_next_due(s) - NOW;
	sched_shift(s, -86400);
	eq(sched_next_due(s) - (NOW - 86400), due,
	    "after a step of -1 day it is due as soon as before");
	sched_shift(s, 2 * 86400);
	eq(sched_next_due(s) - (NOW + 86400), due, "and after one of 2 days");
	(void)sched_tick(s, NOW + 86400 + due);
	eq(number(pick(NOW + 86400 + due)), 1, "then it is handed out");
	end();

	begin_with("rate = 10/1h\nrate_total = 20/1h");
	for (unsigned i = 1; i <= 40; i++)
		(void)add(i, i % 2 ? "x" : "y", 1);
	(void)finish_mx(pick(NOW), "a", NOW);
	(void)finish_mx(pick(NOW), "b", NOW);
	ok(!pick(NOW), "two of twenty an hour, one of ten to each");
	sched_shift(s, -86400);
	eq(sched_next_due(s), NOW - 86400 + 180, "a step back does not stop a rate");
	n = flow(NOW - 86400 + 1, 3600);
	ok(n == 19 || n == 20, "which goes on: %u in an hour", n);
	sched_shift(s, 2 * 86400);
	ok(flow(NOW + 86400 + 3601, 1) <= 1, "one forward lets nothing out at once");
	end();
}

/* A destination with many messages dies and comes back: no call moves more than a slice of them. */
static void
many(void)
{
	const unsigned n = 50000;
	struct sched_channel *c;
	struct sched_entry *e;
	size_t most = 0;
	int64_t at;

	begin();
	c = sched_channel(s, S("tcp_local"));
	for (unsigned i = 1; i <= n; i++)
		(void)add(i, "x", 1);
	while (sched_dest_next(c, &(size_t){ 0 })->state != DEST_DEAD && (e = pick(NOW)))
		(void)finish(e, JOB_RETRY, JOB_SITE_FAIL, NOW);
	ok(c->waiting > 0 && c->waiting < 5000 && c->ready > n - 5000,
	    "who dies has some messages moved at once, %zu", c->waiting);
	ok(!pick(NOW), "and none of the others goes out");
	ok(sched_next_due(s) <= NOW, "which wait for the next turns");
	for (at = NOW; c->ready > 0 && sched_next_due(s) <= at;) {
		size_t before = c->waiting;

		(void)sched_tick(s, at);
		most = c->waiting - before > most ? c->waiting - before : most;
	}
	ok(c->ready == 0 && most > 0 && most <= 5000, "at most %zu in each", most);
	while (!(e = pick(at)))
		(void)sched_tick(s, at = sched_next_due(s));
	ok(c->ready == 0, "one of them tries again");
	(void)finish(e, JOB_DONE, JOB_SITE_OK, at);
	ok(c->ready > 0 && c->ready < 5000, "and when it succeeds some are free at once, %zu",
	    c->ready);
	for (most = 0; sched_next_due(s) && sched_next_due(s) <= at;) {
		size_t before = c->ready;

		(void)sched_tick(s, at);
		most = c->ready - before > most ? c->ready - before : most;
	}
	ok(c->ready > n - 20 && most <= 5000, "then all but those that had failed: %zu", c->ready);
	end();
}

/* A message that its sender wants sent in a week, which is longer than any backoff. */
static struct sched_entry *
add_kept(unsigned n, uint32_t attempts, bool held)
{
	struct sched_msg m = { .channel = S("tcp_local"),
		.dest = S("x"),
		.id = id_of(n),
		.nrcpt = 1,
		.prio = 1,
		.at = NOW,
		.release = NOW + 7 * 86400,
		.attempts = attempts,
		.held = held };

	return sched_add(s, &m, NOW);
}

static void
kept(void)
{
	const int64_t then = NOW + 7 * 86400;
	struct job_result r = { .end = JOB_RETRY, .next = then + 600 };
	struct sched_entry *e;

	begin_with("notices = 4h, 3d");
	e = add_kept(1, 0, false);
	ok(e->state == SCHED_WAITING && sched_is_kept(e, NOW), "it is kept");
	eq(sched_next_due(s), then, "for as long as it was asked for");
	sched_shift(s, 3600);
	eq(sched_next_due(s), then, "a step of the clock does not move that");
	sched_shift(s, -7200);
	eq(sched_next_due(s), then, "in neither direction");
	sched_hold(s, e);
	ok(sched_is_kept(e, NOW), "held it is kept too");
	sched_release(s, e, NOW);
	ok(e->state == SCHED_WAITING && sched_next_due(s) == then, "let go it waits on");
	(void)sched_tick(s, then - 1);
	ok(!pick(then - 1), "a second before nobody gets it");
	(void)sched_tick(s, then);
	ok(!sched_is_kept(e, then), "then it is kept no more");
	ok(pick(then) == e && e->action == JOB_DELIVER, "and handed out, as old as it is");
	(void)sched_end(s, e, &r, then);
	(void)sched_tick(s, then + 600);
	ok(pick(then + 600) == e && e->action == JOB_DELIVER,
	    "ten minutes later no warning is due");
	end();

	begin_with("notices = 4h, 3d");
	e = add_kept(1, 0, false);
	sched_retry(s, e, NOW);
	ok(pick(NOW) == e, "an operator sends it now");
	r.next = NOW + 60;
	(void)sched_end(s, e, &r, NOW);
	ok(!sched_is_kept(e, NOW) && sched_next_due(s) == NOW + 60,
	    "after an attempt it waits as others do");
	e = add_kept(2, 3, false);
	ok(e->state == SCHED_READY, "one that was tried is not kept");
	e = add_kept(3, 0, true);
	ok(e->state == SCHED_HELD && sched_is_kept(e, NOW), "one may come held");
	end();
}

static void
million(void)
{
	const unsigned n = 1000000;
	char dest[40];
	uint64_t t;
	size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, after;

	begin();
	t = clock_mono_us();
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(dest, sizeof(dest), "mail%u.destination.example", i % 10000);
		(void)add(i + 1, dest, 1);
	}
	t = clock_mono_us() - t;
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	eq(sched_count(s), n, "a million messages");
	printf("# %.1f bytes a message by malloc, %.1f by count, %.2f us each\n",
	    (double)(after - before) / n, (double)sched_memory(s) / n, (double)t / n);
	ok((after - before) / n < 256, "under 256 bytes each");
	t = clock_mono_us();
	for (unsigned i = 0; i < n; i++)
		(void)finish(pick(NOW), i % 2 ? JOB_DONE : JOB_RETRY, JOB_SITE_OK, NOW);
	t = clock_mono_us() - t;
	printf("# %.2f us for a lease and its end\n", (double)t / n);
	eq(sched_count(s), n / 2, "half of them are done");
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	ok((after - before) / n < 256, "the others wait, in the same memory");
	end();
}

/* What an operator asks for is the next lease, and asked once. */
static void
acting(void)
{
	struct sched_entry *a, *b;
	size_t at = 0;

	begin();
	a = add(1, "a", 1);
	(void)finish(pick(NOW), JOB_RETRY, JOB_SITE_OK, NOW);
	ok(!pick(NOW), "one waits");
	sched_act(s, a, JOB_RETURN, NOW);
	eq(number(pick(NOW)), 1, "asked for it is leased");
	eq(a->action, JOB_RETURN, "to be returned");
	(void)finish(a, JOB_DROP, JOB_SITE_NONE, NOW);
	ok(!pick(NOW), "what could not be done waits");
	(void)sched_tick(s, NOW + 60);
	eq(number(pick(NOW + 60)), 1, "and comes again");
	eq(a->action, JOB_RETURN, "as it was asked for");
	ok(!finish(a, JOB_DONE, JOB_SITE_NONE, NOW + 60), "then it is gone");

	b = add(2, "a", 1);
	eq(number(pick(NOW + 60)), 2, "another one is out");
	sched_act(s, b, JOB_REROUTE, NOW + 60);
	ok(finish(b, JOB_RETRY, JOB_SITE_OK, NOW + 60), "and stays");
	eq(number(pick(NOW + 60)), 2, "it is leased again at once");
	eq(b->action, JOB_REROUTE, "to be rerouted");
	ok(finish(b, JOB_RETRY, JOB_SITE_OK, NOW + 60), "which puts it off");
	ok(!pick(NOW + 60), "once");
	ok(sched_dest_next(sched_channel(s, S("tcp_local")), &at), "a destination");
	ok(!sched_dest_next(sched_channel(s, S("tcp_local")), &at), "and no other");
	end();
}

static void
rates(void)
{
	struct sched_channel *c;
	struct sched_entry *e;
	int64_t at;

	begin_with("rate = 60/1m");
	c = sched_channel(s, S("tcp_local"));
	for (unsigned i = 1; i <= 400; i++)
		(void)add(i, i % 2 ? "x" : "y", 1);
	eq(pick_all(NOW, "x", true), 6, "a tenth of the rate at once, to each");
	ok(!sched_has_work(c, NOW) && c->nlimited == 2, "then they wait");
	eq(sched_next_due(s), NOW + 1, "for the next second");
	eq(c->ready, 400 - 12, "ready, with no attempt counted");
	eq(flow(NOW + 1, 60), 120, "one a second to each");
	(void)sched_tick(s, at = NOW + 61);
	e = pick(at);
	ok(e && finish(e, JOB_DROP, JOB_SITE_NONE, at), "one that was not tried");
	eq(pick_all(at, "", true), 2, "does not count");
	for (unsigned i = 0; i < 40; i++) {
		(void)sched_tick(s, ++at);
		while ((e = pick(at)))
			(void)finish(e, JOB_RETRY, JOB_SITE_FAIL, at);
	}
	ok(c->waiting > 100, "who is dead waits for that, %zu", c->waiting);
	channels_free(&conf);
	ok(channels_read(NULL, &conf, &(char *){ NULL }) == 0, "other channels");
	sched_configure(s, conf);
	ok(c->nlimited == 0, "without rates nobody waits for one");
	end();

	begin_with("rate_total = 10/1s\nconcurrency_start = 20");
	c = sched_channel(s, S("tcp_local"));
	for (unsigned i = 1; i <= 200; i++)
		(void)add(i, i % 2 ? "x" : "y", 1);
	eq(pick_all(NOW, "", true), 10, "the whole channel");
	ok(!sched_has_work(c, NOW), "has no more now");
	eq(sched_next_due(s), NOW + 1, "but in a second");
	eq(flow(NOW + 1, 10), 100, "ten a second");
	end();

	begin_with("rate = 1/1h");
	(void)add(1, "x", 1);
	(void)add(2, "x", 1);
	eq(pick_all(NOW, "", true), 1, "one an hour");
	eq(flow(NOW + 1, 3599), 0, "is not two");
	eq(flow(NOW + 3600, 1), 1, "before the next one");
	end();
}

/* The first failure of a series is answered at once, the others by cohorts; successes by cohorts. */
static void
series(void)
{
	struct sched_entry *e;
	unsigned n;

	begin();
	for (unsigned i = 1; i <= 100; i++)
		(void)add(i, "x", 1);
	e = pick(NOW);
	(void)finish(e, JOB_DONE, JOB_SITE_OK, NOW);
	for (n = 0; pick(NOW); n++)
		;
	eq(n, 5, "proven, five at a time");
	(void)finish(list_first(&leased, struct sched_entry, link), JOB_RETRY, JOB_SITE_FAIL, NOW);
	ok(!pick(NOW), "a failure: four");
	(void)finish(list_first(&leased, struct sched_entry, link), JOB_DONE, JOB_SITE_OK, NOW);
	ok(pick(NOW) && !pick(NOW), "a success changes nothing yet");
	for (unsigned i = 0; i < 3; i++) {
		(void)finish(list_first(&leased, struct sched_entry, link), JOB_DONE, JOB_SITE_OK,
		    NOW);
		n = 0;
		while (pick(NOW))
			n++;
	}
	eq(n, 2, "four of them make room for a fifth");
	end();
}

/* A server that wants no mail for an hour gets none, whatever was out then, and nobody has an attempt more. */
static void
suspended(void)
{
	struct job_result r = { .end = JOB_RETRY, .suspend = 3600, .next = NOW + 600 };
	struct sched_channel *c;
	struct sched_entry *e;

	begin();
	c = sched_channel(s, S("tcp_local"));
	for (unsigned i = 1; i <= 20; i++)
		(void)add(i, "x", 1);
	(void)add(21, "y", 1);
	while (pick(NOW))
		;
	ok(sched_end(s, sched_find(s, id_of(1)), &r, NOW), "one brings the word");
	eq(c->nstate[DEST_SUSPENDED], 1, "suspended");
	ok(!pick(NOW) && c->ready == 0, "nothing goes there");
	(void)finish(sched_find(s, id_of(2)), JOB_DONE, JOB_SITE_OK, NOW);
	(void)finish(sched_find(s, id_of(3)), JOB_RETRY, JOB_SITE_FAIL, NOW);
	eq(c->nstate[DEST_SUSPENDED], 1, "whatever was out");
	(void)finish(sched_find(s, id_of(21)), JOB_DONE, JOB_SITE_OK, NOW);
	(void)add(22, "y", 1);
	eq(number(pick(NOW)), 22, "others go on");
	(void)finish(sched_find(s, id_of(22)), JOB_DONE, JOB_SITE_OK, NOW);
	eq(flow(NOW + 1, 3598), 0, "for an hour");
	eq(sched_find(s, id_of(10))->attempts, 0, "without an attempt counted");
	(void)sched_tick(s, NOW + 3600);
	e = pick(NOW + 3600);
	ok(e && !pick(NOW + 3600), "then one shows whether it may go on");
	(void)finish(e, JOB_DONE, JOB_SITE_OK, NOW + 3600);
	ok(c->nstate[DEST_SUSPENDED] == 0 && pick(NOW + 3600), "and all go on");
	end();
}

/* Domains with the same hosts are one place. */
static void
groups(void)
{
	struct job_result rest = { .end = JOB_RETRY, .suspend = 3600, .next = NOW + 600 };
	struct sched_channel *c;
	struct sched_entry *e;
	char dest[8];
	unsigned n = 0;

	begin_with("concurrency = 10\nmaxjobs = 4");
	c = sched_channel(s, S("tcp_local"));
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(dest, sizeof(dest), "d%u", i % 20);
		(void)add(i + 1, dest, 1);
	}
	for (unsigned i = 0; i < 20; i++) /* each is seen to be of the provider's hosts */
		(void)finish_mx(pick(NOW), i < 10 ? "a" : "b", NOW);
	while (pick(NOW))
		n++;
	eq(n, 20, "two groups of ten domains: ten at a time to each");
	e = list_first(&leased, struct sched_entry, link);
	(void)finish_mx(e, e->dest->group->name[0] == 'a' ? "a" : "b", NOW);
	ok(pick(NOW) && !pick(NOW), "one comes back, one goes");
	eq(c->waiting, 0, "nobody waits for a time");

	/* Those that wait for a place and have no mail any more take nobody's. */
	for (unsigned i = 1; i <= 200; i++) {
		e = sched_find(s, id_of(i));
		if (e && e->state == SCHED_READY && i % 20 != 3)
			sched_remove(s, e);
	}
	n = 0;
	while ((e = list_first(&leased, struct sched_entry, link)))
		(void)finish(e, JOB_DONE, JOB_SITE_OK, NOW);
	while ((e = pick(NOW))) {
		n++;
		(void)finish(e, JOB_DONE, JOB_SITE_OK, NOW);
	}
	ok(n >= 8, "the rest of the one that has some: %u", n);
	eq(sched_count(s), 0, "all is gone");

	for (unsigned i = 1; i <= 4; i++) {
		(void)snprintf(dest, sizeof(dest), "d%u", i % 2 ? 1 : 11);
		(void)add(i, dest, 1);
	}
	(void)add(5, "d2", 1);
	e = pick(NOW);
	rest.mx = slice_str(e->dest->group->name[0] == 'a' ? "a" : "b");
	(void)sched_end(s, e, &rest, NOW);
	n = 0;
	while ((e = pick(NOW)))
		n += slice_eq(slice(e->dest->group->name, 1), rest.mx);
	eq(n, 0, "what one's server says is for all of its group");
	eq(c->nstate[DEST_SUSPENDED], 2, "those that have mail");
	end();

	/* Its rate is one, too; and a domain may move. */
	begin_with("rate = 60/1m");
	c = sched_channel(s, S("tcp_local"));
	for (unsigned i = 1; i <= 40; i++)
		(void)add(i, i % 2 ? "x" : "y", 1);
	(void)finish_mx(pick(NOW), "a", NOW);
	(void)finish_mx(pick(NOW), "a", NOW);
	ok(pick_all(NOW, "", true) < 7, "both have the one bucket");
	eq(flow(NOW + 1, 10), 10, "that fills by one a second");
	(void)sched_tick(s, NOW + 11);
	e = pick(NOW + 11);
	(void)finish_mx(e, "b", NOW + 11);
	eq(c->groups.n, 2, "it has other hosts now");
	(void)sched_tick(s, NOW + 12);
	while ((e = pick(NOW + 12)))
		(void)finish_mx(e, "b", NOW + 12);
	eq(c->groups.n, 1, "and so has the other: the first group is gone");
	end();
}

int
main(void)
{
	groups();
	suspended();
	rates();
	series();
	acting();
	order();
	fairness();
	feedback();
	ageing();
	operators();
	shares();
	steps();
	kept();
	many();
	million();
	return done();
}
