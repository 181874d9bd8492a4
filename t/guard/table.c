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
	damaged(path);
	rmdir(dir);
	return done();
}
