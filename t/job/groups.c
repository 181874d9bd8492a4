/* Turns of destinations, and of those with the same MX hosts: nobody waits for ever, and nobody is always the next.  Time
 * is a number. */
#include "../tap.h"
#include <stdlib.h>
#include <unistd.h>
#include "sched.h"

static struct sched_channel *c;

static void
begin(const char *keys)
{
	char path[] = "/tmp/tmt-groups-XXXXXX", *why = NULL;
	int fd = mkstemp(path);

	dprintf(fd, "[channel tcp_local]\n%s\n", keys);
	close(fd);
	if (!ok(channels_read(path, &conf, &why) == 0, "channels"))
		printf("# %s\n", why);
	unlink(path);
	s = sched_new();
	sched_configure(s, conf);
	c = sched_channel(s, S("tcp_local"));
	list_init(&leased);
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
done_with(struct sched_entry *e, int64_t now)
{
	struct job_result r = { .end = JOB_DONE, .mx = S("hosts") };

	(void)sched_end(s, e, &r, now);
}

/* Each of these is seen to be of the same hosts, by one message. */
static void
same_hosts(const char *names)
{
	char dest[2] = "";

	for (; *names; names++) {
		dest[0] = *names;
		(void)add(900000, dest, 1);
		done_with(pick(NOW), NOW);
	}
	eq(c->groups.n, 1, "one place");
}

static bool
is_for(const struct sched_entry *e, const char *dest)
{
	return e && slice_eq(sched_dest_name(e), slice_str(dest));
}

/* Whose turn it is may lose its mail before it comes to that. */
static void
turn_not_used(void)
{
	struct job_result rest = { .end = JOB_RETRY, .suspend = 60, .next = NOW + 600 };

	begin("concurrency = 1");
	same_hosts("abc");
	(void)add(1, "a", 1);
	(void)add(2, "b", 1);
	(void)add(3, "c", 1);
	ok(is_for(pick(NOW), "a") && !pick(NOW), "one at a time");
	done_with(sched_find(s, id_of(1)), NOW);
	sched_remove(s, sched_find(s, id_of(2)));
	ok(is_for(pick(NOW), "c"), "removed by an operator: the next one goes");
	done_with(sched_find(s, id_of(3)), NOW);

	(void)add(4, "a", 1);
	(void)add(5, "b", 1);
	(void)add(6, "c", 1);
	ok(is_for(pick(NOW), "a") && !pick(NOW), "again one at a time");
	done_with(sched_find(s, id_of(4)), NOW);
	sched_hold(s, sched_find(s, id_of(5)));
	ok(is_for(pick(NOW), "c"), "held: the next one goes");
	rest.mx = S("others");
	(void)sched_end(s, sched_find(s, id_of(6)), &rest, NOW);
	sched_release(s, sched_find(s, id_of(5)), NOW);
	ok(is_for(pick(NOW), "b"), "another place's rest is not this one's");
	end();
}

/* An operator's word counts more than what a server has said, for a group too. */
static void
operator(void)
{
	struct job_result rest = { .end = JOB_RETRY,
		.suspend = 3600,
		.next = NOW + 600,
		.mx = S("hosts") };

	begin("concurrency = 5");
	same_hosts("ab");
	(void)add(1, "a", 1);
	(void)add(2, "b", 1);
	ok(is_for(pick(NOW), "a"), "one goes");
	(void)sched_end(s, sched_find(s, id_of(1)), &rest, NOW);
	ok(!pick(NOW), "both are to rest");
	eq(c->nstate[DEST_SUSPENDED], 2, "and do");
	sched_retry(s, sched_find(s, id_of(1)), NOW);
	ok(is_for(pick(NOW), "a"), "until an operator says that it is to be tried");
	ok(!pick(NOW), "that one");
	sched_retry(s, sched_find(s, id_of(2)), NOW);
	ok(is_for(pick(NOW), "b"), "and the other");
	end();
}

/* However long a server says: a week at most, for all of its domains. */
static void
for_ever(void)
{
	struct job_result rest = { .end = JOB_RETRY,
		.suspend = UINT32_MAX,
		.next = NOW + 600,
		.mx = S("hosts") };

	begin("notices = 30d");
	same_hosts("ab");
	(void)add(1, "a", 1);
	(void)add(2, "b", 1);
	ok(is_for(pick(NOW), "a"), "one goes");
	(void)sched_end(s, sched_find(s, id_of(1)), &rest, NOW);
	ok(!pick(NOW) && c->nstate[DEST_SUSPENDED] == 2, "both are to rest");
	(void)sched_tick(s, NOW + SCHED_SUSPEND_MOST + 1);
	ok(pick(NOW + SCHED_SUSPEND_MOST + 1) && pick(NOW + SCHED_SUSPEND_MOST + 1),
	    "and are asked again");
	end();
}

/* Who has had how many after so many seconds? */
static void
flow(int64_t seconds, unsigned had[26])
{
	struct sched_entry *e;

	for (int64_t at = NOW + 1; at <= NOW + seconds; at++) {
		(void)sched_tick(s, at);
		while ((e = pick(at))) {
			had[sched_dest_name(e).p[0] - 'a']++;
			done_with(e, at);
		}
		if (c->nlimited > 1) {
			ok(false, "one waits for the rate, not %zu", c->nlimited);
			return;
		}
	}
}

static void
shared_by(unsigned n)
{
	unsigned had[26] = { 0 }, least = 1000, most = 0;
	char names[27] = "", dest[2] = "";

	begin("rate = 60/1m");
	for (unsigned i = 0; i < n; i++)
		names[i] = (char)('a' + i);
	same_hosts(names);
	for (unsigned i = 0; i < n * 200; i++) {
		dest[0] = names[i % n];
		(void)add(i + 1, dest, 1);
	}
	flow(50 * n, had);
	for (unsigned i = 0; i < n; i++) {
		least = had[i] < least ? had[i] : least;
		most = had[i] > most ? had[i] : most;
	}
	ok(least >= 45, "each of %u has its part of %u: %u to %u", n, 50 * n, least, most);
}

/* Two places for many, of whom each session wants to go on where it is: of one group, or of none. */
static void
places_by(unsigned n, bool group)
{
	unsigned had[26] = { 0 }, least = 1000, most = 0;
	char names[27] = "", dest[2] = "";
	struct sched_dest *d;

	begin(group ? "concurrency = 2" : "");
	for (unsigned i = 0; i < n; i++)
		names[i] = (char)('a' + i);
	if (group)
		same_hosts(names);
	for (unsigned i = 0; i < n * 200; i++) {
		dest[0] = names[i % n];
		(void)add(i + 1, dest, 1);
	}
	ok(pick(NOW) && pick(NOW) && (!group || !pick(NOW)), "two at a time");
	for (unsigned i = 0; i < 100 * n; i++) {
		struct sched_entry *e = list_first(&leased, struct sched_entry, link);

		d = e->dest;
		had[sched_dest_name(e).p[0] - 'a']++;
		(void)sched_end(s, e, &(struct job_result){ .end = JOB_DONE }, NOW);
		if ((e = sched_pick(s, c, d, NOW)))
			list_push(&leased, &e->link);
		if (group && pick(NOW)) {
			ok(false, "a third one");
			break;
		}
	}
	for (unsigned i = 0; i < n; i++) {
		least = had[i] < least ? had[i] : least;
		most = had[i] > most ? had[i] : most;
	}
	ok(least >= 80, "each of %u has its part of %u: %u to %u", n, 100 * n, least, most);
	end();
}

static void
shared_rate(void)
{
	int64_t at;

	for (unsigned n = 2; n < 7; n++) {
		shared_by(n);
		end();
	}
	shared_by(7);

	(void)add(100000, "c", 0);
	for (at = NOW + 351; at < NOW + 360 && sched_find(s, id_of(100000)); at++) {
		struct sched_entry *e;

		(void)sched_tick(s, at);
		while ((e = pick(at)))
			done_with(e, at);
	}
	ok(at <= NOW + 354, "an urgent one waits for one other at most: %d s",
	    (int)(at - NOW - 351));
	end();

	/* Who waits for the rate of all, and is said to rest or loses its mail, holds nobody. */
	begin("rate = 1/1m");
	same_hosts("ab");
	(void)add(1, "a", 1);
	(void)add(2, "b", 1);
	ok(!pick(NOW), "the rate is used up");
	eq(c->nlimited, 1, "one waits for it");
	sched_remove(s, sched_find(s, id_of(1)));
	for (at = NOW; at <= NOW + 180 && sched_find(s, id_of(2)); at += 1) {
		struct sched_entry *e;

		(void)sched_tick(s, at);
		while ((e = pick(at)))
			done_with(e, at);
	}
	ok(!sched_find(s, id_of(2)), "and the other goes in its turn");
	end();
}

/* A place that was not used is there at once, and who comes into a group waits for the group's rate. */
static void
places(void)
{
	struct job_result drop = { .end = JOB_DROP, .site = JOB_SITE_NONE };
	struct sched_entry *e;

	begin("rate = 1/1h");
	same_hosts("ab");
	(void)add(1, "a", 1);
	(void)add(2, "b", 1);
	(void)sched_tick(s, NOW + 3600);
	e = pick(NOW + 3600);
	ok(e && !pick(NOW + 3600) && c->nlimited == 1, "one an hour, the other waits");
	(void)sched_end(s, e, &drop, NOW + 3600);
	ok(pick(NOW + 3600) && !pick(NOW + 3600), "not tried: its place is another's");
	end();

	begin("rate = 1/1h");
	same_hosts("a");
	(void)add(1, "b", 1);
	(void)add(2, "b", 1);
	ok(is_for(pick(NOW + 3000), "b") && !pick(NOW + 3000), "a stranger has a rate of its own");
	done_with(sched_find(s, id_of(1)), NOW + 3000);
	(void)add(3, "a", 1);
	(void)sched_tick(s, NOW + 3600);
	ok(pick(NOW + 3600) && !pick(NOW + 3600), "and here that of all");
	end();
}

/* What has been used of a rate is known as long as it counts, however many others come between; no longer. */
static void
many(void)
{
	struct sched_entry *e;
	unsigned n = 0;
	char dest[16];

	begin("rate = 1/1h");
	(void)add(1, "x", 1);
	done_with(pick(NOW), NOW);
	for (unsigned i = 2; i < 3000; i++) {
		(void)snprintf(dest, sizeof(dest), "d%u", i);
		(void)add(i, dest, 1);
		(void)sched_end(s, pick(NOW), &(struct job_result){ .end = JOB_DONE }, NOW);
	}
	(void)add(3000, "x", 1);
	ok(!pick(NOW), "x has had its one of this hour, and three thousand others theirs");
	for (unsigned i = 4000; i < 5000; i++) {
		(void)snprintf(dest, sizeof(dest), "d%u", i);
		(void)add(i, dest, 1);
		(void)sched_tick(s, NOW + 7200);
		while ((e = pick(NOW + 7200))) {
			(void)sched_end(s, e, &(struct job_result){ .end = JOB_DONE }, NOW + 7200);
			n++;
		}
	}
	eq(n, 1001, "two hours later it goes");
	ok(c->ndests <= 1100, "and what was known of those of the first hour is forgotten: %zu",
	    c->ndests);
	end();
}

int
main(void)
{
	turn_not_used();
	operator();
	for_ever();
	for (unsigned n = 2; n < 8; n++)
		places_by(n, n % 2), places_by(n, !(n % 2));
	shared_rate();
	places();
	many();
	return done();
}
