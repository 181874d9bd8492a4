/* Bodies that come back unused: what was written is cut off, of a large one by the pool and not by the loop,
 * which would stand still for as long as the file system takes. */
#include <sys/stat.h>
#include <sys/syscall.h>

#include "service.h"

#define LARGE (16 << 20)

static _Atomic pid_t cut_by; /* the thread that has cut off a file */

int
ftruncate(int fd, off_t n)
{
	cut_by = (pid_t)syscall(SYS_gettid);
	return (int)syscall(SYS_ftruncate, fd, n);
}

/* A body with so many bytes. */
static struct store_body
body_of(off_t n)
{
	struct store_body b = body_with("", 0);

	if (posix_fallocate(b.fd, 0, n) != 0 || lseek(b.fd, 0, SEEK_END) != n)
		abort();
	return b;
}

/* As whoever gets this file next finds it: empty, and written from its beginning.  The loop runs for a moment. */
static bool
is_empty(int fd)
{
	struct stat st;

	(void)ping();
	return fstat(fd, &st) == 0 && st.st_size == 0 && lseek(fd, 0, SEEK_CUR) == 0;
}

static void
test_returned(void)
{
	struct store_body b = body_of(1000);
	int fd = dup(b.fd);

	cut_by = 0;
	store_body_put(client, &b);
	eq(b.fd, -1, "a small one is given back");
	eq(cut_by, getpid(), "cut off at once");
	ok(is_empty(fd), "and empty");
	close(fd);
	b = body_of(LARGE);
	fd = dup(b.fd);
	cut_by = 0;
	store_body_put(client, &b);
	eq(b.fd, -1, "a large one is given back");
	ok(cut_by != getpid(), "which does not cut it off");
	ok(AWAIT(is_empty(fd)), "it is empty when the pool has done it");
	ok(cut_by != getpid(), "and nobody else");
	close(fd);
}

/* What comes back when stored has forgotten it is closed. */
static void
test_forgotten(void)
{
	struct store_body b = body_of(LARGE), other;

	service_stop(SIGKILL);
	service_start();
	service_again();
	store_body_put(client, &b);
	other = body_of(LARGE);
	eq(b.fd, -1, "a large one of before stored's end is taken");
	eq(ping(), OK, "and nothing else happens");
	store_body_put(client, &other);
	eq(other.fd, -1, "one is on the pool when the client ends");
}

int
main(int argc, char **argv)
{
	(void)argc;
	service_open(argv[0], "returned", "map_size = 1G\nmin_free = 0\nsnapshot_interval = 0\n");
	CALL(store_account_start, S("joe@example.test"), S(""));
	test_returned();
	test_forgotten();
	service_close();
	return done();
}
