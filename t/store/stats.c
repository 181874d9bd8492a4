/* What is said of an index: its size, rows, readers, and how much of it is in memory once the kernel has let go. */
#include <sys/vfs.h>

#include "service.h"
#include "store/stats.h"

#define TMPFS    0x01021994 /* linux/magic.h: its files are in memory, and stay there */

#define JOE      "joe@example.test"
#define MESSAGES 20

static uint64_t inbox;

static void
append_many(void)
{
	static char cache[200000];
	struct store_body body = body_with("x", 1);
	struct store_message m = { .body = &body, .size = 1, .cache = slice(cache, sizeof(cache)) };

	memset(cache, 'c', sizeof(cache));
	CALL(store_append_start, inbox, &m, 1, ((struct store_limits){ 0 }));
}

/* The index leaves memory, as far as nobody holds it.  False: this file system cannot. */
static bool
let_go(const char *path)
{
	char name[400];
	struct statfs fs;
	int fd, rc;

	snprintf(name, sizeof(name), "%s/index/data.mdb", path);
	fd = open(name, O_RDWR);
	rc = fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS && fsync(fd) == 0 ?
	    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) :
	    -1;
	close(fd);
	return rc == 0;
}

int
main(int argc, char **argv)
{
	char path[sizeof(last_path)], *why = NULL;
	struct store_stats s, later;
	struct store_reader *r;
	struct store_view *v;

	(void)argc;
	setenv("TMPDIR", "/var/tmp", 1); /* a disk, wherever others write */
	service_open(argv[0], "stats", "min_free = 0\n");
	CALL(store_account_start, S(JOE), S(""));
	inbox = last.mailbox;
	snprintf(path, sizeof(path), "%s", last_path);
	eq(store_stats(path, false, &s, &why), 0, "an index");
	ok(s.accounts == 1 && s.mailboxes == 6 && s.used > 0 && s.used < s.most && s.resident == 0,
	    "has its rows");
	if (store_reader_open(path, &r, &why) < 0)
		abort();
	v = store_view_new(r);
	if (store_begin(v) < 0)
		abort();
	for (int i = 0; i < MESSAGES; i++)
		append_many();
	eq(store_stats(path, true, &later, &why), 0, "it grows");
	ok(later.used > s.used + MESSAGES * UINT64_C(200000) &&
		later.batches >= s.batches + MESSAGES,
	    "by what comes in");
	ok(later.oldest >= MESSAGES, "a snapshot stays %llu batches back",
	    (unsigned long long)later.oldest);
	ok(later.resident * 100 >= later.used * 95 && later.resident <= later.used,
	    "all of it is in memory");
	store_view_free(&v);
	store_reader_close(&r);
	eq(store_stats(path, false, &s, &why), 0, "the snapshot ends");
	ok(s.oldest <= later.oldest, "and nobody else's is further back");
	service_stop(SIGTERM);
	if (let_go(path)) {
		eq(store_stats(path, true, &s, &why), 0, "nobody has it open");
		ok(s.resident * 100 < s.used * 95, "most of it has left memory: %llu of %llu",
		    (unsigned long long)s.resident, (unsigned long long)s.used);
	}
	eq(store_stats("/nowhere", true, &s, &why), -ENOENT, "no index");
	ok(why, "says why");
	mem_free(&why);
	service_start();
	service_close();
	return done();
}
