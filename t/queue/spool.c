/* A message's life in the spool: committed in groups, read, deferred, finished, recycled; and
 * what a crash leaves.  In a temporary directory. */
#include "../tap.h"
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/mem.h"
#include "queue/scan.h"
#include "queue/write.h"

static struct queue *q;
static struct loop loop;

/* In front of libc's: a disk that fails when it is asked to sync. */
static _Atomic bool disk_fails;
static _Atomic int syncs;

int syncfs(int fd);
int fdatasync(int fd);

int
syncfs(int fd)
{
	syncs++;
	if (!disk_fails)
		return (int)syscall(SYS_syncfs, fd);
	errno = EIO;
	return -1;
}

int
fdatasync(int fd)
{
	syncs++;
	if (!disk_fails)
		return (int)syscall(SYS_fdatasync, fd);
	errno = EIO;
	return -1;
}

static char dir[] = "/tmp/tmt-queue-XXXXXX";

/* ---- helpers --------------------------------------------------------------------------- */

static size_t
count(const char *sub)
{
	char path[300];
	struct dirent *e;
	size_t n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, sub);
	if ((d = opendir(path)) == NULL)
		return 0;
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static size_t
count_channel(const char *channel)
{
	size_t n = 0;

	for (unsigned hh = 0; hh < QUEUE_SPREAD; hh++) {
		struct buf b = { 0 };

		if (qscan_dir(q, channel, hh, &b) == 0)
			n += b.n / sizeof(struct qname);
		buf_fini(&b);
	}
	return n;
}

static struct qwriter *
begin(size_t nrcpt, size_t ndest)
{
	static const char *const dests[] = { "store1", "store2", "store3" };
	struct qrcpt r[6] = { 0 };
	struct qenv e = { .sender = "s@example.net", .source = "test", .rcpts = r, .nrcpt = nrcpt };

	for (size_t i = 0; i < nrcpt; i++) {
		r[i].addr = "u@example.org";
		r[i].channel = "tcp_lmtp";
		r[i].dest = dests[i % ndest];
	}
	return qwrite_begin(q, &e);
}

/* n bytes that differ from place to place and from message to message. */
static void
add_body(struct qwriter *w, size_t n, unsigned seed)
{
	char chunk[1000];

	while (n > 0) {
		size_t k = n < sizeof(chunk) ? n : sizeof(chunk);

		for (size_t i = 0; i < k; i++)
			chunk[i] = (char)('a' + (seed + i * 7 + n) % 26);
		if (qwrite_body(w, chunk, k) < 0)
			return;
		n -= k;
	}
}

static struct qfile files[600];
static char dests[600][16];
static size_t nfiles, answers, good;

static void
announced(void *arg, const struct qfile *f)
{
	(void)arg;
	files[nfiles] = *f;
	(void)snprintf(dests[nfiles], sizeof(dests[0]), "%s", f->dest);
	nfiles++;
}

static void
answered(void *arg, const struct verdict *v)
{
	size_t *left = arg;

	answers++;
	good += v->kind == OK;
	if (--*left == 0)
		loop_stop(&loop);
}

static void
commit_n(size_t n, size_t size, size_t nrcpt, size_t ndest)
{
	struct op ops[300] = { 0 };
	size_t left = n;

	nfiles = answers = good = 0;
	for (size_t i = 0; i < n; i++) {
		struct qwriter *w = begin(nrcpt, ndest);

		add_body(w, size, (unsigned)i);
		qwrite_commit_start(&w, &ops[i], answered, &left);
	}
	loop_run(&loop);
}

static struct qread *
lock_file(const struct qfile *f)
{
	const char *why;
	struct qread *r;
	int e = qread_open(q, "tcp_lmtp", f->name, QREAD_LOCK | QREAD_CHECK, &r, &why);

	return ok(e == 0, "opens %s: %s", f->name, e < 0 ? strerror(-e) : "ok") ? r : NULL;
}

/* ---- the tests --------------------------------------------------------------------------- */

static void
group(void)
{
	struct queue_stats st;
	struct qread *r, *second;
	const char *why;

	commit_n(200, 4096, 1, 1);
	eq(answers, 200, "every commit is answered");
	eq(good, 200, "and good");
	eq(nfiles, 200, "every file is announced");
	eq(count_channel("tcp_lmtp"), 200, "and is there");
	eq(count("tmp"), 0, "nothing is left in tmp");
	queue_get_stats(q, &st);
	ok(st.batches < 20 && st.commits == 200, "in groups: %llu batches",
	    (unsigned long long)st.batches);
	r = lock_file(&files[0]);
	eq(r->env.body_len, 4096, "size");
	is(r->env.sender, "s@example.net", "sender");
	eq(qread_open(q, "tcp_lmtp", files[0].name, QREAD_LOCK, &second, &why), -EBUSY,
	    "a second master is kept out");
	eq(queue_delete(q, "tcp_lmtp", files[0].name), -EBUSY, "and so is an operator");
	qread_close(&r);
	for (size_t i = 0; i < 200; i++) {
		struct verdict v = verdict(OK, 250, "2.1.5", "done");

		if (qread_open(q, "tcp_lmtp", files[i].name, QREAD_LOCK, &r, &why) < 0)
			continue;
		qread_result(r, 0, QSTATE_DELIVERED, &v, NULL);
		if (qread_done(r))
			qread_finish(&r);
	}
	eq(count_channel("tcp_lmtp"), 0, "all finished");
	queue_get_stats(q, &st);
	eq(count("pool"), st.recycled_in, "and kept for others");
	ok(st.recycled_in >= 150, "%llu of them", (unsigned long long)st.recycled_in);
	eq(qread_open(q, "tcp_lmtp", files[0].name, QREAD_LOCK, &r, &why), -ENOENT, "gone is gone");
}

/* Recycled files carry only the new message, whatever their old size was. */
static void
recycled(void)
{
	struct queue_stats a, b;
	size_t exact = 0;

	queue_get_stats(q, &a);
	commit_n(20, 100, 1, 1);
	queue_get_stats(q, &b);
	ok(b.created - a.created < 8, "hardly a file is created");
	eq(b.recycled_out - a.recycled_out, 20 - (b.created - a.created), "the rest recycled");
	for (size_t i = 0; i < 20; i++) {
		char path[300], rel[QUEUE_PATH_MAX];
		struct stat st;
		struct qread *r = lock_file(&files[i]);

		queue_file_path(rel, "tcp_lmtp", files[i].name);
		(void)snprintf(path, sizeof(path), "%s/%s", dir, rel);
		exact += stat(path, &st) == 0 && (uint64_t)st.st_size == r->body_at + 100;
		qread_finish(&r);
	}
	eq(exact, 20, "each has its own length");
}

static void
several(size_t size)
{
	size_t same = 0;

	commit_n(1, size, 6, 3);
	eq(nfiles, 3, "three destinations, three files of %zu bytes", size);
	for (size_t i = 0; i < nfiles; i++) {
		struct qread *r = lock_file(&files[i]);

		same += r->env.nrcpt == 2 && r->env.body_len == size &&
		    strcmp(r->env.dest, dests[i]) == 0;
		qread_finish(&r);
	}
	eq(same, 3, "each with its recipients and the whole body");
}

static void
deferring(void)
{
	struct verdict temp = verdict(TEMP, 451, "4.2.1", "not now"),
		       fine = verdict(OK, 250, "2.1.5", "ok");
	char name[QUEUE_NAME_LEN + 4];
	struct op op = { 0 };
	size_t left = 1;
	struct qfile f;
	struct qread *r;

	commit_n(1, 500, 2, 1);
	f = files[0];
	r = lock_file(&f);
	qread_result(r, 0, QSTATE_DELIVERED, &fine, "store1");
	qread_result(r, 1, QSTATE_PENDING, &temp, "store1");
	ok(!qread_done(r), "one is pending");
	good = 0;
	qread_defer_start(&r, true, 1900000000, &op, answered, &left);
	ok(r == NULL, "taken");
	loop_run(&loop);
	eq(good, 1, "deferred");
	memcpy(name, f.name, sizeof(name));
	memcpy(f.name, "ZY", 2);
	r = lock_file(&f);
	ok(r->env.attempts == 1 && r->env.next_at == 1900000000, "attempt and time are kept");
	ok(r->env.rcpts[0].state == QSTATE_DELIVERED && r->env.rcpts[1].deferred, "states too");
	is(r->env.rcpts[1].last->text, "not now", "and the words");
	qread_close(&r);
	memcpy(f.name, "ZZ", 2);
	r = lock_file(&f);
	ok(r && strncmp(r->name, "ZY", 2) == 0, "it is found under its old name too");
	memcpy(f.name, "ZY", 2);
	qread_noticed(r, 1);
	left = 1;
	qread_mark_start(r, &op, answered, &left);
	loop_run(&loop);
	qread_close(&r);

	eq(queue_hold(q, "tcp_lmtp", f.name + 2, 1, S("by hand")), 0, "held");
	memcpy(name, "ZY", 2);
	(void)snprintf(name + 2 + QUEUE_FILE_ID_LEN, 6, ".HELD");
	const char *why;
	eq(qread_open(q, "tcp_lmtp", name, QREAD_LOOK, &r, &why), 0, "a held file reads");
	is(r->env.held, "by hand", "and says why");
	eq(r->env.notices, 1, "the warning is remembered");
	qread_close(&r);
	eq(queue_release(q, "tcp_lmtp", f.name + 2, 1), 0, "released");
	eq(queue_delete(q, "tcp_lmtp", f.name), 0, "deleted");
	eq(count_channel("tcp_lmtp"), 0, "empty");
}

/* ---- faults -------------------------------------------------------------------------------- */

static void
damage(const char *name, off_t at, bool cut)
{
	char path[300], rel[QUEUE_PATH_MAX];
	int fd;

	queue_file_path(rel, "tcp_lmtp", name);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, rel);
	fd = open(path, O_RDWR);
	if (cut)
		ok(ftruncate(fd, at) == 0, "cut at %lld", (long long)at);
	else
		ok(pwrite(fd, "#", 1, at) == 1, "damaged at %lld", (long long)at);
	(void)close(fd);
}

static int
scan_name(const char *name)
{
	struct qname n;
	struct qread *r;
	int e;

	if (!queue_name_parse(slice_str(name), n.id, &n.attempts, &n.held))
		return -EINVAL;
	e = qscan_file(q, "tcp_lmtp", &n, &r);
	qread_close(&r);
	return e;
}

static void
broken(void)
{
	const char *why;
	struct qread *r;
	char name[QUEUE_NAME_LEN + 4];

	commit_n(6, 3000, 1, 1);
	eq(scan_name(files[0].name), 0, "a good file");
	damage(files[1].name, 0, true);
	eq(scan_name(files[1].name), -EBADMSG, "an empty file");
	damage(files[2].name, 1000, true);
	eq(scan_name(files[2].name), -EBADMSG, "a short one");
	eq(count_channel("tcp_lmtp"), 4, "both are gone");
	damage(files[3].name, 150, false);
	eq(scan_name(files[3].name), -EBADMSG, "a damaged header");
	eq(count_channel("tcp_lmtp"), 4, "is kept");
	queue_name(name, files[3].name + 2, 0, true);
	eq(qread_open(q, "tcp_lmtp", files[3].name, QREAD_LOCK, &r, &why), -ENOENT, "not as ready");
	eq(qread_open(q, "tcp_lmtp", name, QREAD_LOOK, &r, &why), -EBADMSG, "but held");
	damage(files[4].name, 2000, false);
	eq(qread_open(q, "tcp_lmtp", files[4].name, QREAD_LOCK, &r, &why), 0,
	    "a damaged body passes the quick look");
	qread_close(&r);
	eq(qread_open(q, "tcp_lmtp", files[4].name, QREAD_LOCK | QREAD_CHECK, &r, &why), -EBADMSG,
	    "but not the check");
	eq(queue_set_aside(q, "tcp_lmtp", files[4].name, why), 0, "set aside");
	eq(queue_delete(q, "tcp_lmtp", name), 0, "a held file can be deleted");
	queue_name(name, files[4].name + 2, 0, true);
	eq(queue_delete(q, "tcp_lmtp", name), 0, "so can the other");
	for (size_t i = 0; i < 6; i += 5)
		eq(queue_delete(q, "tcp_lmtp", files[i].name), 0, "cleaned");
}

/* The disk says no: TEMP, and nothing is left. */
static void
full(void)
{
	struct rlimit old, lim;
	struct op op = { 0 };
	size_t left = 1;
	struct qwriter *w = begin(1, 1);

	(void)signal(SIGXFSZ, SIG_IGN);
	ok(getrlimit(RLIMIT_FSIZE, &old) == 0, "limit known");
	lim = old;
	lim.rlim_cur = 300 * 1024;
	ok(setrlimit(RLIMIT_FSIZE, &lim) == 0, "files may not be large");
	answers = good = nfiles = 0;
	add_body(w, 1000 * 1000, 1);
	qwrite_commit_start(&w, &op, answered, &left);
	loop_run(&loop);
	ok(answers == 1 && good == 0 && nfiles == 0, "a temporary verdict");
	lim.rlim_cur = 2048;
	ok(setrlimit(RLIMIT_FSIZE, &lim) == 0, "still smaller");
	commit_n(5, 6000, 4, 2);
	ok(answers == 5 && good == 0 && nfiles == 0, "for small ones too");
	ok(setrlimit(RLIMIT_FSIZE, &old) == 0, "limit off");
	eq(count("tmp") + count_channel("tcp_lmtp"), 0, "nothing is left");
	commit_n(2, 6000, 1, 1);
	eq(good, 2, "and it goes on");
	for (size_t i = 0; i < 2; i++)
		eq(queue_delete(q, "tcp_lmtp", files[i].name), 0, "cleaned");
}

/* Every message of a batch whose sync failed is refused for now, and leaves no trace. */
static void
failing(void)
{
	struct verdict temp = verdict(TEMP, 451, "4.2.1", "not now");
	struct op op = { 0 };
	size_t left = 1;
	struct qread *r;

	disk_fails = true;
	commit_n(1, 4000, 1, 1);
	ok(answers == 1 && good == 0 && nfiles == 0, "one message, and fdatasync fails");
	commit_n(50, 4000, 1, 1);
	ok(answers == 50 && good == 0 && nfiles == 0, "fifty, and syncfs fails");
	eq(count("tmp") + count_channel("tcp_lmtp"), 0, "no file is left");
	disk_fails = false;
	commit_n(1, 4000, 1, 1);
	r = lock_file(&files[0]);
	qread_result(r, 0, QSTATE_PENDING, &temp, NULL);
	disk_fails = true;
	good = 0;
	qread_defer_start(&r, true, 1900000000, &op, answered, &left);
	loop_run(&loop);
	eq(good, 0, "a failed journal is told");
	disk_fails = false;
	memcpy(files[0].name, "ZY", 2);
	eq(queue_delete(q, "tcp_lmtp", files[0].name), 0, "the message is still there");
}

/* Nothing is answered before it is on disk: one sync at least for each answer or group. */
static void
synced(void)
{
	struct queue_stats a, b;

	queue_get_stats(q, &a);
	syncs = 0;
	commit_n(100, 1000, 1, 1);
	queue_get_stats(q, &b);
	ok(syncs > 0 && (uint64_t)syncs >= b.batches - a.batches, "%d syncs for %llu groups", syncs,
	    (unsigned long long)(b.batches - a.batches));
	for (size_t i = 0; i < nfiles; i++)
		if (queue_delete(q, "tcp_lmtp", files[i].name) < 0)
			ok(false, "delete %s", files[i].name);
}

static void
sweeping(void)
{
	struct qwriter *w = begin(1, 1);
	char path[300];
	int fd;

	add_body(w, 500 * 1000, 3);
	(void)snprintf(path, sizeof(path), "%s/tmp/dead.1", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	(void)close(fd);
	eq(count("tmp"), 2, "one is being written, one is dead");
	eq(queue_sweep(q), 1, "the dead one goes");
	eq(count("tmp"), 1, "the live one stays");
	qwrite_abort(&w);
	eq(count("tmp"), 0, "until it is given up");
}

static void
cancelled(void)
{
	struct op op = { 0 }, last = { 0 };
	struct qwriter *w = begin(1, 1), *second = begin(1, 1);
	size_t left = 1;

	answers = good = nfiles = 0;
	add_body(w, 10, 0);
	add_body(second, 10, 0);
	qwrite_commit_start(&w, &op, answered, &left);
	op_cancel(&op);
	qwrite_commit_start(&second, &last, answered, &left);
	loop_run(&loop);
	eq(answers, 1, "a cancelled commit is not answered");
	eq(nfiles, 2, "but its file is announced");
	eq(queue_busy(q), 0, "nothing is under way");
	for (size_t i = 0; i < 2; i++)
		eq(queue_delete(q, "tcp_lmtp", files[i].name), 0, "cleaned");
}

/* A recipient whose mail is to be kept makes a file of its own, held from the beginning. */
static void
holding(void)
{
	struct qrcpt r[3] = { { .addr = "a@x", .channel = "tcp_lmtp", .dest = "store1" },
		{ .addr = "b@x", .channel = "tcp_lmtp", .dest = "store1", .hold = "being moved" },
		{ .addr = "c@x", .channel = "tcp_lmtp", .dest = "store1" } };
	struct qenv e = { .sender = "", .rcpts = r, .nrcpt = 3 };
	struct qwriter *w = qwrite_begin(q, &e);
	struct op op = { 0 };
	struct qread *rd;
	const char *why;
	size_t left = 1;

	nfiles = answers = good = 0;
	add_body(w, 100, 0);
	qwrite_commit_start(&w, &op, answered, &left);
	loop_run(&loop);
	eq(nfiles, 2, "two files");
	ok(strstr(files[0].name, ".00") && strstr(files[1].name, ".HELD"), "one of them held");
	eq(qread_open(q, "tcp_lmtp", files[1].name, QREAD_LOOK | QREAD_CHECK, &rd, &why), 0, "reads");
	ok(rd->env.nrcpt == 1 && strcmp(rd->env.rcpts[0].addr, "b@x") == 0, "with its recipient");
	is(rd->env.held, "being moved", "and the reason");
	qread_close(&rd);
	for (size_t i = 0; i < 2; i++)
		eq(queue_delete(q, "tcp_lmtp", files[i].name), 0, "cleaned");
}

int
main(void)
{
	char cmd[300];

	if (mkdtemp(dir) == NULL)
		return 1;
	loop_init(&loop);
	eq(queue_open(dir, true, &q), 0, "opens");
	queue_announce(q, announced, NULL);
	queue_start(q, &loop);
	group();
	recycled();
	several(3000);
	several(700 * 1000);
	deferring();
	holding();
	broken();
	full();
	failing();
	synced();
	sweeping();
	cancelled();
	queue_close(&q);
	loop_fini(&loop);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) != 0 || done();
}
