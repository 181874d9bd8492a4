/* guard/table.c: what is remembered, how much, across processes and of damaged files. */
#include "guard/table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"

static struct addr
at(const char *text)
{
	struct addr a;

	if (addr_parse(slice_str(text), &a) < 0)
		abort();
	return a;
}

static bool
same(struct guard_table *t, const char *x, const char *y, bool network)
{
	struct addr a = at(x), b = at(y);

	return network ? guard_key_network(t, &a) == guard_key_network(t, &b) :
			 guard_key(t, GUARD_KNOWN, &a) == guard_key(t, GUARD_KNOWN, &b);
}

static void
keys(struct guard_table *t)
{
	struct addr a = at("192.0.2.1");

	ok(!same(t, "192.0.2.1", "192.0.2.2", false), "two addresses are two clients");
	ok(same(t, "2001:db8::1", "2001:db8::ffff:1", false), "a /64 is one");
	ok(!same(t, "2001:db8::1", "2001:db8:0:1::1", false), "another is another");
	ok(same(t, "192.0.2.1", "192.0.2.200", true), "a /24 is a network");
	ok(!same(t, "192.0.2.1", "192.0.3.1", true), "the next is not");
	ok(same(t, "2001:db8:7::1", "2001:db8:7:ffff::1", true), "so is a /48 of IPv6");
	ok(!same(t, "2001:db8:7::1", "2001:db8:8::1", true), "and the next is not");
	ok(guard_key_text(t, GUARD_WRITTEN, S("a b")) ==
		    guard_key_text(t, GUARD_WRITTEN, S("a b")) &&
		guard_key_text(t, GUARD_WRITTEN, S("a b")) !=
		    guard_key_text(t, GUARD_WRITTEN, S("a c")),
	    "a text is a key, too");
	ok(guard_key(t, GUARD_KNOWN, &a) != guard_key(t, GUARD_BLOCKED, &a),
	    "known is not blocked");
}

static void
numbers(struct guard_table *t)
{
	size_t left = 0;

	eq(guard_table_get(t, 77), 0, "nothing is known at first");
	guard_table_put(t, 77, 5);
	guard_table_put(t, 77, 6);
	eq(guard_table_get(t, 77), 6, "the last number counts");
	guard_table_forget(t, 77);
	eq(guard_table_get(t, 77), 0, "and can be forgotten");
	/* Four times what there is room for: the newest are there, and no memory but the file's. */
	for (uint64_t k = 1; k <= 4ULL * GUARD_SLOTS; k++)
		guard_table_put(t, k, k);
	for (uint64_t k = 3ULL * GUARD_SLOTS + 1; k <= 4ULL * GUARD_SLOTS; k++)
		left += guard_table_get(t, k) == k;
	eq(left, GUARD_SLOTS, "a full table forgets the oldest");
	eq(guard_table_get(t, 1), 0, "whom it does not know any more");
}

static void
buckets(struct guard_table *t)
{
	const uint64_t now = 1000000000, key = 99;
	unsigned n = 0;

	while (n < 100 && guard_bucket_take(t, key, 6, now))
		n++;
	eq(n, 6, "as many at once as a minute has");
	ok(!guard_bucket_take(t, key, 6, now + 9999999), "none before its time");
	ok(guard_bucket_take(t, key, 6, now + 10000000), "then one,");
	ok(!guard_bucket_take(t, key, 6, now + 10000000), "and one alone");
	ok(guard_bucket_take(t, key, 6, now + 10 * 60000000ULL), "a bucket fills");
	ok(guard_bucket_take(t, key, 6, 5), "a number of another boot shuts nobody out");
	for (n = 0; n < 100000 && guard_bucket_take(t, 98, 60000, now); n++)
		;
	eq(n, 60000, "many a minute");
}

/* Four processes take from one bucket: together what it has. */
static void
shared(const char *path)
{
	struct guard_table *t;
	unsigned sum = 0;
	int p[2], n;

	if (pipe(p) < 0)
		abort();
	for (int i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		n = 0;
		if (guard_table_open(path, &t) == 0)
			for (int k = 0; k < 5000; k++)
				n += guard_bucket_take(t, 4711, 6000, 1000000000);
		if (write(p[1], &n, sizeof(n)) != sizeof(n))
			_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 4; i++) {
		wait(NULL);
		if (read(p[0], &n, sizeof(n)) == sizeof(n))
			sum += (unsigned)n;
	}
	eq(sum, 6000, "four processes share a bucket");
}

/* Four processes make, change and forget keys of one set, more than it has room for: what is read for a key is what
 * was put for it, or nothing. */
static void
makers(const char *path)
{
	const uint64_t sets = GUARD_SLOTS / 16, keys = 40;
	int wrong, sum = 0, p[2];
	struct guard_table *t;

	if (pipe(p) < 0)
		abort();
	for (uint64_t i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		wrong = guard_table_open(path, &t) < 0;
		for (uint64_t n = 0; !wrong && n < 300000; n++) {
			uint64_t at = (n * 7 + i * 11) % keys,
				 key = (at + 1) << 50 | (3 + at * sets);
			uint64_t is;

			if (n % 13 == 0)
				guard_table_forget(t, key);
			else if (n % 3 == 0)
				guard_table_put(t, key, at + 1000);
			else if ((is = guard_table_get(t, key)))
				wrong += is != at + 1000;
		}
		if (write(p[1], &wrong, sizeof(wrong)) != sizeof(wrong))
			_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 4; i++) {
		wait(NULL);
		if (read(p[0], &wrong, sizeof(wrong)) == sizeof(wrong))
			sum += wrong;
		else
			sum++;
	}
	eq(sum, 0, "two makers of one set never read each other's numbers");
	unlink(path);
}

/* A power cut leaves of each sector what it was at some time: here the keys of now beside the numbers of others. */
static void
torn(const char *path)
{
	const uint64_t sets = GUARD_SLOTS / 16;
	uint64_t slots[32], wrong = 0, left = 0, other;
	struct guard_table *t;
	int fd;

	if (guard_table_open(path, &t) < 0)
		abort();
	for (uint64_t at = 1; at <= 16; at++)
		guard_table_put(t, at << 50 | (5 + at * sets), at);
	guard_table_close(&t);
	fd = open(path, O_RDWR);
	if (pread(fd, slots, sizeof(slots), 32 + 5 * 256) != sizeof(slots))
		abort();
	for (int i = 0; i < 16; i += 2) {
		other = slots[2 * i + 1];
		slots[2 * i + 1] = i % 4 ? slots[2 * i + 3] : 0;
		slots[2 * i + 3] = other;
	}
	if (pwrite(fd, slots, sizeof(slots), 32 + 5 * 256) != sizeof(slots))
		abort();
	close(fd);
	if (guard_table_open(path, &t) < 0)
		abort();
	for (uint64_t at = 1; at <= 16; at++)
		left += (other = guard_table_get(t, at << 50 | (5 + at * sets))) != 0,
		    wrong += other && other != at;
	eq(wrong, 0, "nor does anybody of a file that a power cut has torn");
	eq(left, 0, "which has forgotten them");
	for (uint64_t at = 1; at <= 16; at++)
		guard_table_put(t, (at + 16) << 50 | (5 + at * sets), at);
	for (uint64_t at = 1; at <= 16; at++)
		left += guard_table_get(t, (at + 16) << 50 | (5 + at * sets)) == at;
	eq(left, 16, "and has its places for others");
	guard_table_close(&t);
	unlink(path);
}

static void
damaged(const char *path)
{
	struct guard_table *t, *u;
	struct stat st;
	int fd;

	if (guard_table_open(path, &t) < 0)
		abort();
	guard_table_put(t, 5, 55);
	guard_table_close(&t);
	ok(guard_table_open(path, &t) == 0 && guard_table_get(t, 5) == 55, "it outlives us");
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "nobody else may read it");
	guard_table_close(&t);
	if (truncate(path, 1000) < 0)
		abort();
	ok(guard_table_open(path, &t) == 0 && guard_table_get(t, 5) == 0,
	    "one that was cut off begins anew");
	guard_table_put(t, 5, 55);
	ok(guard_table_open(path, &u) == 0 && guard_table_get(u, 5) == 55, "and is shared again");
	guard_table_close(&u);
	guard_table_close(&t);
	fd = open(path, O_WRONLY);
	if (write(fd, "rubbish!", 8) != 8)
		abort();
	close(fd);
	ok(guard_table_open(path, &t) == 0, "one of another kind is taken over");
	guard_table_close(&t);
	unlink(path);
	if (symlink("/etc/passwd", path) < 0)
		abort();
	ok(guard_table_open(path, &t) < 0, "a link is not followed");
	unlink(path);
}

int
main(void)
{
	struct guard_table *t = guard_table_private();
	char dir[] = "/tmp/tm-guard-XXXXXX", path[64];

	if (!t || !mkdtemp(dir))
		return 1;
	keys(t);
	numbers(t);
	buckets(t);
	guard_table_close(&t);
	(void)snprintf(path, sizeof(path), "%s/known", dir);
	shared(path);
	makers(path);
	torn(path);
	damaged(path);
	rmdir(dir);
	return done();
}
