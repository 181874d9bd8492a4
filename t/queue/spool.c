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
#include "base/must.h"
#include "queue/aside.h"
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

static bool start_fails;

int
sync_file_range(int fd, off64_t at, off64_t n, unsigned flags)
{
	if (!start_fails)
		return (int)syscall(SYS_sync_file_range, fd, at, n, flags);
	errno = ENOSPC;
	return -1;
}

static _Atomic bool stat_fails;
static _Atomic bool
    slots_go; /* the slot of a message in the queue is removed when it is looked at */
static _Atomic int gone_slots;

int
fstatat(int at, const char *path, struct stat *st, int flags)
{
	if (slots_go && strncmp(path, "pool/", 5) == 0 &&
	    syscall(SYS_newfstatat, at, path, st, flags) == 0 && st->st_nlink == 2)
		gone_slots += unlinkat(at, path, 0) == 0;
	if (!stat_fails)
		return (int)syscall(SYS_newfstatat, at, path, st, flags);
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
	if (!(d = opendir(path)))
		return 0;
	while ((e = readdir(d)))
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

static struct qfile files[1500];
static char dests[1500][16];
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

static void
commit_one(struct qwriter *w)
{
	struct op op = { 0 };
	size_t left = 1;

	nfiles = answers = good = 0;
	add_body(w, 10, 1);
	qwrite_commit_start(&w, &op, answered, &left);
	loop_run(&loop);
	eq(good, 1, "committed");
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

/* Copies that nobody has asked for are in no hurry, and share no file with those who are. */
static void
by_time(void)
{
	struct qrcpt r[3] = { { .archive = true }, { 0 }, { .sent = true } };
	struct qenv e = { .sender = "s@example.net", .source = "test", .rcpts = r, .nrcpt = 3 };
	struct qread *f;

	e.by_at = 1763900005;
	for (size_t i = 0; i < 3; i++) {
		r[i].addr = "u@example.org";
		r[i].channel = "tcp_lmtp";
		r[i].dest = "store1";
	}
	commit_one(qwrite_begin(q, &e));
	eq(nfiles, 3, "a file for each");
	for (size_t i = 0; i < 3; i++) {
		int64_t want = i == 1 ? e.by_at : 0;

		eq(files[i].by_at, want, "its time is announced");
		if (!(f = lock_file(&files[i])))
			continue;
		eq(f->env.by_at, want, "as it is written");
		qread_close(&f);
		eq(queue_delete(q, "tcp_lmtp", files[i].name), 0, "gone");
	}
}

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
	stat_fails = true;
	eq(qread_open(q, "tcp_lmtp", files[1].name, QREAD_LOCK, &second, &why), -EIO,
	    "an I/O error is no \"gone\", which would make it forgotten");
	stat_fails = false;
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
	ok(count("pool") >= 150, "and %zu are kept for others", count("pool"));
	eq(qread_open(q, "tcp_lmtp", files[0].name, QREAD_LOCK, &r, &why), -ENOENT, "gone is gone");
}

/* Recycled files carry only the new message, whatever their old size was. */
static void
recycled(void)
{
	struct queue_stats a, b;
	size_t exact = 0, rounds = 0;

	/* Once round the ring, which the group before has made larger than it is full. */
	do {
		queue_get_stats(q, &a);
		commit_n(20, 100, 1, 1);
		queue_get_stats(q, &b);
		for (size_t i = 0; i < nfiles; i++)
			if (queue_delete(q, "tcp_lmtp", files[i].name) < 0)
				ok(false, "delete %s", files[i].name);
	} while (b.created > a.created && ++rounds < 300);
	queue_get_stats(q, &a);
	commit_n(20, 5000, 1, 1);
	for (size_t i = 0; i < nfiles; i++)
		if (queue_delete(q, "tcp_lmtp", files[i].name) < 0)
			ok(false, "delete %s", files[i].name);
	commit_n(20, 100, 1, 1);
	queue_get_stats(q, &b);
	eq(b.created - a.created, 0, "no file is created");
	eq(b.recycled - a.recycled, 40, "all are recycled");
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

/* The key of a file is channel, destination and sender; 1000 recipients are one file. */
static void
senders(void)
{
	static char names[2500][16];
	static struct qrcpt r[2500];
	struct qenv e = { .qid = "0123456789abc",
		.sender = "me@x",
		.envid = "E1",
		.ret = QRET_FULL,
		.rcpts = r,
		.nrcpt = 4 };
	size_t sum = 0;

	for (size_t i = 0; i < NELEM(r); i++) {
		snprintf(names[i], sizeof(names[i]), "m%zu@x", i);
		r[i] = (struct qrcpt){ .addr = names[i], .channel = "tcp_lmtp", .dest = "store1" };
	}
	r[1].sender = "owner@x";
	r[2].sender = "";
	r[3].sender = "owner@x";
	commit_one(qwrite_begin(q, &e));
	eq(nfiles, 3, "the message's sender, a list's, and the null sender: three files");
	for (size_t i = 0; i < nfiles; i++) {
		struct qread *rd = lock_file(&files[i]);
		bool own = strcmp(rd->env.rcpts[0].addr, "m0@x") != 0;

		is(rd->env.sender,
		    !own                   ? "me@x" :
			rd->env.nrcpt == 2 ? "owner@x" :
					     "",
		    "%s has its sender", rd->env.rcpts[0].addr);
		ok(own ? !rd->env.envid && rd->env.ret == QRET_NONE :
			 rd->env.envid && rd->env.ret == QRET_FULL,
		    "ENVID and RET are the first one's");
		qread_finish(&rd);
	}

	for (size_t i = 0; i < NELEM(r); i++)
		r[i].sender = NULL;
	e.nrcpt = NELEM(r);
	commit_one(qwrite_begin(q, &e));
	eq(nfiles, 3, "2500 recipients of one destination are three files");
	for (size_t i = 0; i < nfiles; i++) {
		struct qread *rd = lock_file(&files[i]);

		ok(rd->env.nrcpt <= QUEUE_FILE_RCPTS, "none has more than a thousand");
		sum += rd->env.nrcpt;
		qread_finish(&rd);
	}
	eq(sum, NELEM(r), "together they are all");

	/* More files than two digits can count. */
	for (size_t i = 0; i < 1400; i++)
		r[i].dest = names[i];
	e.nrcpt = 1400;
	commit_one(qwrite_begin(q, &e));
	eq(nfiles, 1400, "1400 destinations are as many files");
	for (size_t i = sum = 0; i < nfiles; i++) {
		const char *why;
		struct qread *rd;

		if (qread_open(q, "tcp_lmtp", files[i].name, QREAD_LOCK | QREAD_CHECK, &rd, &why) <
		    0)
			continue;
		sum += rd->env.nrcpt == 1 && strcmp(rd->env.rcpts[0].addr, names[i]) == 0 &&
		    strcmp(rd->env.dest, names[i]) == 0 && strcmp(rd->env.qid, e.qid) == 0;
		qread_finish(&rd);
	}
	eq(sum, 1400, "each with a name of its own, its recipient and the message's id");
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
	ok(!r, "taken");
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

	commit_n(7, 3000, 1, 1);
	eq(scan_name(files[0].name), 0, "a good file");
	damage(files[1].name, 0, true);
	eq(scan_name(files[1].name), -EBADMSG, "an empty file");
	damage(files[2].name, 100, true);
	eq(scan_name(files[2].name), -EBADMSG, "one without its whole header");
	eq(count_channel("tcp_lmtp"), 5, "both are gone");
	damage(files[6].name, 1000, true);
	eq(scan_name(files[6].name), -EBADMSG, "one with its header and half its message");
	eq(count_channel("tcp_lmtp"), 5, "is kept");
	queue_name(name, files[6].name + 2, 0, true);
	eq(qread_open(q, "tcp_lmtp", name, QREAD_LOOK, &r, &why), -EBADMSG, "and held");
	eq(queue_delete(q, "tcp_lmtp", name), 0, "until an operator removes it");
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
	/* A large file goes behind the answer. */
	for (int i = 0; i < 3000 && count("tmp"); i++)
		usleep(10000);
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

/* The pool's name of the file that is QUEUE/`rel`; false: it has none. */
static bool
slot_of(const char *rel, char slot[300])
{
	char path[300];
	struct dirent *e;
	struct stat a, b;
	bool found = false;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, rel);
	must(stat(path, &a) == 0);
	(void)snprintf(path, sizeof(path), "%s/pool", dir);
	must(d = opendir(path));
	while (!found && (e = readdir(d))) {
		(void)snprintf(slot, 300, "%s/pool/%s", dir, e->d_name);
		found = stat(slot, &b) == 0 && a.st_ino == b.st_ino && e->d_name[0] != '.';
	}
	(void)closedir(d);
	return found;
}

/* A file of the pool is one message's as long as the queue has a name for it, and stays when that
 * goes; nobody's message is written over, whatever happens to the slots' names. */
static void
pooled(void)
{
	char rel[QUEUE_PATH_MAX], slot[300];
	struct queue_stats a, b;
	size_t n = count("pool"), kept = 0;
	struct stat st;

	queue_get_stats(q, &a);
	commit_n(50, 3000, 1, 1);
	queue_get_stats(q, &b);
	ok(b.recycled - a.recycled >= 40, "fifty take %llu that are there",
	    (unsigned long long)(b.recycled - a.recycled));
	ok(count("pool") >= n, "which keep their slots");
	for (size_t i = 0; i < 50; i++) {
		struct qread *r = lock_file(&files[i]);

		if (r->env.body_len != 3000)
			ok(false, "length of %s", files[i].name);
		qread_close(&r);
		queue_file_path(rel, "tcp_lmtp", files[i].name);
		kept += slot_of(rel, slot);
	}
	ok(kept >= 40, "%zu of them lie in a slot too", kept);
	queue_file_path(rel, "tcp_lmtp", files[0].name);
	if (ok(slot_of(rel, slot), "the first one does")) {
		/* Its journal makes it longer than its slot may be: it is cut when it is done. */
		struct verdict v = verdict(TEMP, 450, "4.0.0", "later");
		struct qread *r = lock_file(&files[0]);
		struct op op = { 0 };

		qread_result(r, 0, QSTATE_PENDING, &v, NULL);
		qread_mark_start(r, &op, answered, &(size_t){ 1 });
		loop_run(&loop);
		must(stat(slot, &st) == 0);
		ok((uint64_t)st.st_size > r->body_at + 3000, "a journal is behind the message");
		kept = r->body_at + 3000;
		qread_finish(&r);
		must(stat(slot, &st) == 0);
		eq(st.st_size, kept, "and goes with it");
		eq(st.st_nlink, 1, "whose file is free");
	}
	for (size_t i = 1; i < nfiles; i++)
		if (queue_delete(q, "tcp_lmtp", files[i].name) < 0)
			ok(false, "delete %s", files[i].name);
	eq(count_channel("tcp_lmtp"), 0, "all gone");
}

/* A slot's name may go at any time, and leaves a message that has one name, like a free slot. */
static void
pool_loses_slots(void)
{
	struct qfile live[200];

	commit_n(200, 3000, 1, 1);
	memcpy(live, files, sizeof(live));
	slots_go = true;
	commit_n(200, 4000, 1, 1);
	slots_go = false;
	ok(gone_slots > 0, "%d slots go while a writer looks whether they are free", gone_slots);
	memcpy(files + 200, live, sizeof(live));
	for (size_t i = 0; i < 400; i++) {
		struct qread *r = lock_file(&files[i]);

		if (!r || r->env.body_len != (i < 200 ? 4000 : 3000))
			ok(false, "length of %s", files[i].name);
		if (r)
			qread_finish(&r);
	}
	eq(count_channel("tcp_lmtp"), 0, "every message was whole");
}

/* Many more messages than slots in a ring: each has a file of its own. */
static void
pool_grows(void)
{
	struct queue_stats a, b;

	queue_get_stats(q, &a);
	commit_n(290, 40 * 1000, 1, 1);
	queue_get_stats(q, &b);
	eq(count_channel("tcp_lmtp"), 290, "290 messages, 256 slots of their size");
	ok(b.created - a.created >= 256, "%llu files are made",
	    (unsigned long long)(b.created - a.created));
	for (size_t i = 0; i < nfiles; i++) {
		struct qread *r = lock_file(&files[i]);

		if (r->env.body_len != 40 * 1000)
			ok(false, "length of %s", files[i].name);
		qread_finish(&r);
	}
	eq(count_channel("tcp_lmtp"), 0, "all finished");
	eq(count("tmp"), 0, "nothing is left in tmp");
	queue_get_stats(q, &a);
	commit_n(50, 40 * 1000, 1, 1);
	queue_get_stats(q, &b);
	ok(b.recycled - a.recycled >= 40, "the next ones take %llu of them",
	    (unsigned long long)(b.recycled - a.recycled));
	for (size_t i = 0; i < nfiles; i++)
		if (queue_delete(q, "tcp_lmtp", files[i].name) < 0)
			ok(false, "delete %s", files[i].name);
}

static struct timer look;

static void
looked(struct timer *t)
{
	loop_stop(&loop);
	(void)t;
}

static void
look_on(struct timer *t)
{
	static unsigned looks;

	if (count("tmp") > 0 && looks++ < 60000)
		return;
	timer_stop(t);
	timer_close(t, looked);
}

static void
sweeping(void)
{
	struct qwriter *w;
	char path[300];
	int fd;

	(void)snprintf(path, sizeof(path), "rm -f %s/pool/*", dir);
	eq(system(path), 0, "an empty pool");
	w = begin(1, 1);
	add_body(w, 500 * 1000, 3);
	(void)snprintf(path, sizeof(path), "%s/tmp/dead.1", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	(void)close(fd);
	eq(count("tmp"), 2, "one is being written, one is dead");
	for (const char *const *f = (const char *const[]){ "0001", "s0001", NULL }; *f; f++) {
		(void)snprintf(path, sizeof(path), "%s/pool/%s", dir, *f);
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		(void)close(fd);
	}
	eq(queue_sweep(q), 1, "the dead one goes");
	eq(count("pool"), 1, "and what a former version kept, but no slot");
	eq(count("tmp"), 1, "the live one stays");
	qwrite_abort(&w);
	timer_init(&look, &loop, look_on); /* it goes beside the loop */
	timer_start(&look, 1, 1);
	loop_run(&loop);
	eq(count("tmp"), 0, "until it is given up");
}

/* What a large body has written sets out, and the disk does not take it. */
static void
refused(void)
{
	struct qwriter *w = begin(1, 1);

	add_body(w, 3 * 1000 * 1000, 3);
	eq(qwrite_body(w, "so far", 6), 0, "3 MB are taken");
	start_fails = true;
	add_body(w, 3 * 1000 * 1000, 3);
	eq(qwrite_body(w, "more", 4), -ENOSPC, "6 MB are not, where the disk says no at once");
	start_fails = false;
	qwrite_abort(&w);
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
	eq(qread_open(q, "tcp_lmtp", files[1].name, QREAD_LOOK | QREAD_CHECK, &rd, &why), 0,
	    "reads");
	ok(rd->env.nrcpt == 1 && strcmp(rd->env.rcpts[0].addr, "b@x") == 0, "with its recipient");
	is(rd->env.held, "being moved", "and the reason");
	qread_close(&rd);
	for (size_t i = 0; i < 2; i++)
		eq(queue_delete(q, "tcp_lmtp", files[i].name), 0, "cleaned");
}

/* The files of a message that is kept for later, as jobctl names them. */
static void
kept(struct queue_cancel c[3])
{
	commit_one(begin(3, 3));
	for (size_t i = 0; i < 3; i++) {
		uint32_t attempts;

		c[i] = (struct queue_cancel){ .channel = "tcp_lmtp" };
		ok(queue_name_parse(slice_str(files[i].name), c[i].id, &attempts, &c[i].held),
		    "a file");
	}
}

static void
called_off(void)
{
	size_t before = count_channel("tcp_lmtp");
	struct queue_cancel c[3];
	char name[QUEUE_NAME_LEN + 4];
	struct qread *r;
	const char *why;

	kept(c);
	r = lock_file(&files[2]);
	eq(queue_cancel(q, c, 3), -EBUSY, "somebody works on the last one");
	ok(!c[0].held && count_channel("tcp_lmtp") == before + 3, "all are as they were");
	qread_close(&r);
	r = lock_file(&files[1]);
	eq(queue_cancel(q, c, 3), -EBUSY, "on the second one");
	qread_close(&r);
	ok(c[0].held && count_channel("tcp_lmtp") == before + 2, "which is seen when one has gone");
	eq(qread_open(q, "tcp_lmtp", queue_name(name, c[0].id, 0, true), QREAD_LOOK, &r, &why), 0,
	    "the first is held");
	is(r->env.held, QUEUE_CANCELLED, "and says why");
	qread_close(&r);
	eq(queue_cancel(q, c, 3), 0, "asked again");
	eq(count_channel("tcp_lmtp"), before, "it does the rest");
}

/* A report for two places and for somebody whose mail is kept: set aside as a whole, taken back, set
 * aside again, shown but for what is kept, and shown once more. */
static size_t ngone;

static void
gone(const char *file_id)
{
	ngone += strncmp(file_id, files[0].name + 2, QUEUE_ID_LEN) == 0;
}

static void
set_aside(const char *id)
{
	struct qrcpt r[3] = { { .addr = "a@x", .channel = "tcp_lmtp", .dest = "store1" },
		{ .addr = "b@x", .channel = "tcp_lmtp", .dest = "store1", .hold = "being moved" },
		{ .addr = "c@x", .channel = "tcp_local", .dest = "far" } };
	struct qenv e = { .sender = "", .rcpts = r, .nrcpt = 3, .aside = true };
	struct qwriter *w;
	struct op op = { 0 };
	size_t left = 1;

	memcpy(e.qid, id, sizeof(e.qid));
	w = qwrite_begin(q, &e);
	nfiles = answers = good = 0;
	add_body(w, 100, 0);
	qwrite_commit_start(&w, &op, answered, &left);
	loop_run(&loop);
	ok(good == 1 && nfiles == 3 && strstr(files[0].name, ".HELD") &&
		strstr(files[2].name, ".HELD"),
	    "three files, all aside");
}

static void
show(const char *id)
{
	struct op op = { 0 };
	size_t left = 1;

	nfiles = answers = good = 0;
	queue_aside_show_start(q, id, &op, answered, &left);
	loop_run(&loop);
	eq(good, 1, "shown");
}

/* Nobody but its master touches what is aside, for whatever reason it is held besides: those behind a gap
 * would not be found. */
static void
left_alone(const char *id)
{
	char name[QUEUE_NAME_LEN + 4], file[QUEUE_FILE_ID_LEN + 1];

	for (int i = 0; i < 3; i++) {
		const char *channel = i < 2 ? "tcp_lmtp" : "tcp_local";

		snprintf(file, sizeof(file), "%s0%d", id, i);
		eq(queue_release(q, channel, file, 0), -EAGAIN, "copy %d is not released", i);
		eq(queue_delete(q, channel, queue_name(name, file, 0, true)), -EAGAIN,
		    "and not deleted");
	}
}

/* What was shown and is held by an operator is his.  One that an older version has shown says nothing of it:
 * if why cannot be written down, it is not held. */
static void
held_again(const char *id)
{
	char name[QUEUE_NAME_LEN + 4], file[QUEUE_FILE_ID_LEN + 1], at[QUEUE_PATH_MAX], path[600];
	char from[600];
	struct rlimit was, none = { 0, 0 };
	struct stat st;

	snprintf(file, sizeof(file), "%s02", id);
	queue_file_path(at, "tcp_local", queue_name(name, file, 0, true));
	snprintf(from, sizeof(from), "%s/%s", dir, at);
	queue_file_path(at, "tcp_local", queue_name(name, file, 0, false));
	snprintf(path, sizeof(path), "%s/%s", dir, at);
	eq(rename(from, path), 0, "shown as it used to be");
	getrlimit(RLIMIT_FSIZE, &was);
	none.rlim_max = was.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	ok(queue_hold(q, "tcp_local", file, 0, S("by hand")) < 0, "a full disk");
	setrlimit(RLIMIT_FSIZE, &was);
	eq(access(path, F_OK), 0, "leaves it as it was: nobody could release it");
	eq(stat(path, &st), 0, "it has a length");
	none.rlim_cur = (rlim_t)st.st_size + 9;
	setrlimit(RLIMIT_FSIZE, &none);
	ok(queue_hold(q, "tcp_local", file, 0, S("by hand")) < 0,
	    "a disk with room for a part of it");
	setrlimit(RLIMIT_FSIZE, &was);
	eq(queue_hold(q, "tcp_local", file, 0, S("by hand")), 0, "held");
	eq(queue_release(q, "tcp_local", file, 0), 0, "and released");
}

static void
aside(void)
{
	char id[QUEUE_ID_LEN + 1], other[QUEUE_ID_LEN + 1], name[QUEUE_NAME_LEN + 4];
	char file[QUEUE_FILE_ID_LEN + 1] = "             01";
	size_t lmtp = count_channel("tcp_lmtp"), local = count_channel("tcp_local");
	int before;

	queue_aside_id(id, "1qx0abcdefghi00", QUEUE_ASIDE_REPORT, 0);
	queue_aside_id(other, "1qx0abcdefghi00", QUEUE_ASIDE_REPORT, 1);
	ok(strlen(id) == QUEUE_ID_LEN && strcmp(id, other) != 0, "each report has an id");
	queue_aside_remove(q, id, gone);
	eq(ngone, 0, "nothing is aside");
	set_aside(id);
	queue_aside_remove(q, other, gone);
	queue_aside_remove(q, id, gone);
	eq(ngone, 3, "taken back");
	ok(count_channel("tcp_lmtp") == lmtp && count_channel("tcp_local") == local, "as a whole");
	set_aside(id);
	left_alone(id);
	held_again(id);
	before = syncs;
	show(id);
	ok(syncs > before, "on disk");
	eq(nfiles, 2, "two files are announced");
	ok(strstr(files[0].name, "00.00") && strstr(files[1].name, "02.00"), "by their names");
	eq(queue_delete(q, "tcp_lmtp", files[0].name), 0, "delivered");
	eq(queue_delete(q, "tcp_local", files[1].name), 0, "both");
	show(id);
	eq(nfiles, 0, "and nothing comes of showing it again");
	eq(count_channel("tcp_lmtp"), lmtp + 1, "what is kept for another reason is kept");
	queue_aside_remove(q, id, gone);
	eq(count_channel("tcp_lmtp"), lmtp + 1, "by counting up from the first it is not found");
	memcpy(file, id, QUEUE_ID_LEN);
	eq(queue_delete(q, "tcp_lmtp", queue_name(name, file, 0, true)), 0, "cleaned");
}

/* Recipients get one of several bodies: what all get, and what some get alone; small ones, and ones that
 * have gone into files meanwhile. */
static void
bodies(size_t size)
{
	struct qrcpt r[5] = { { .addr = "a@x", .channel = "tcp_lmtp", .dest = "store1" },
		{ .addr = "b@x", .channel = "tcp_lmtp", .dest = "store1", .body = 2 },
		{ .addr = "c@x", .channel = "tcp_lmtp", .dest = "store1", .body = 1 },
		{ .addr = "d@x", .channel = "tcp_lmtp", .dest = "store2", .body = 2 },
		{ .addr = "e@x", .channel = "tcp_lmtp", .dest = "store1", .body = 1 } };
	static const char *const ends[] = { "end", "other", "" };
	struct qenv e = { .sender = "", .rcpts = r, .nrcpt = 5 };
	struct qwriter *w = qwrite_begin(q, &e);
	struct op op = { 0 };
	size_t left = 1, rcpts = 0;

	nfiles = answers = good = 0;
	qwrite_body_of(w, 1, "one", 3);
	qwrite_body_of(w, 2, "second", 6);
	add_body(w, size, 5);
	eq(qwrite_body_of(w, 3, "nobody's", 8), 0, "what nobody gets is nothing");
	for (unsigned i = 0; i < 3; i++)
		qwrite_body_of(w, i, ends[i], strlen(ends[i]));
	qwrite_commit_start(&w, &op, answered, &left);
	loop_run(&loop);
	eq(nfiles, 4, "three bodies, one for two places: four files");
	for (size_t i = 0; i < nfiles; i++) {
		struct qread *rd = lock_file(&files[i]);
		unsigned body = strchr("bd", *rd->env.rcpts[0].addr) ? 2 :
		    strchr("ce", *rd->env.rcpts[0].addr)             ? 1 :
								       0;
		size_t want = size + strlen(ends[body]) + (body ? body * 3 : 0);
		char first[8] = "", last[8] = "";

		rcpts += rd->env.nrcpt;
		eq(rd->env.body_len, want, "%s gets its own length", rd->env.rcpts[0].addr);
		eq(files[i].size, want, "which is announced");
		ok(pread(rd->fd, first, 7, (off_t)rd->env.header_len) > 0 &&
			pread(rd->fd, last, strlen(ends[body]),
			    (off_t)(rd->env.header_len + want - strlen(ends[body]))) >= 0,
		    "reads");
		ok(body == 0 || strncmp(first, body == 1 ? "one" : "second", body * 3) == 0,
		    "begins as it should");
		is(last, ends[body], "and ends so");
		qread_finish(&rd);
	}
	eq(rcpts, 5, "everybody once");

	r[1].body = r[3].body = QUEUE_BODIES - 1;
	r[2].body = r[4].body = 0;
	w = qwrite_begin(q, &e);
	left = 1;
	nfiles = 0;
	add_body(w, 300, 1);
	qwrite_abort(&w);
	w = qwrite_begin(q, &e);
	add_body(w, size, 1);
	qwrite_commit_start(&w, &op, answered, &left);
	loop_run(&loop);
	eq(nfiles, 3, "a number that nobody has makes no file");
	for (size_t i = 0; i < nfiles; i++)
		eq(queue_delete(q, "tcp_lmtp", files[i].name), 0, "cleaned");
}

/* More of them than two digits can count, and than a process has descriptors. */
static void
many_aside(void)
{
	enum { MANY = 36 * 36 + 4 };
	static char names[MANY][16];
	static struct qrcpt r[MANY];
	struct rlimit was, few = { 200, 200 };
	struct qenv e = { .sender = "", .rcpts = r, .nrcpt = MANY, .aside = true };
	size_t before = count_channel("tcp_local"), left = 1;
	struct qwriter *w;
	struct op op = { 0 };

	queue_aside_id(e.qid, "1qx0abcdefghi00", QUEUE_ASIDE_REPORT, 7);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "m%zu@x", i);
		r[i] = (struct qrcpt){ .addr = names[i], .channel = "tcp_local", .dest = names[i] };
	}
	w = qwrite_begin(q, &e);
	nfiles = answers = good = 0;
	add_body(w, 100, 0);
	qwrite_commit_start(&w, &op, answered, &left);
	loop_run(&loop);
	eq(nfiles, MANY, "%d files are aside", MANY);
	eq(count_channel("tcp_local"), before + MANY, "each with a name of its own");
	getrlimit(RLIMIT_NOFILE, &was);
	few.rlim_max = was.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	show(e.qid);
	setrlimit(RLIMIT_NOFILE, &was);
	eq(nfiles, MANY, "all are shown and announced");
	for (size_t i = left = 0; i < nfiles; i++)
		left += queue_delete(q, "tcp_local", files[i].name) == 0;
	eq(left, MANY, "under names that are there");
	eq(count_channel("tcp_local"), before, "and none is left");
}

#define FLOOD 1200
static size_t own_place;

static void
own_answered(void *arg, const struct verdict *v)
{
	own_place = answers;
	answered(arg, v);
}

/* Mail of our own does not wait until all of a flood is on disk, which has its share all the same. */
static void
shares(void)
{
	static struct op ops[FLOOD + 2];
	static struct qwriter *w[FLOOD + 2];
	struct qrcpt r = { .addr = "u@example.org", .channel = "tcp_lmtp", .dest = "store1" };
	struct qenv e = { .sender = "s@example.net", .source = "test", .rcpts = &r, .nrcpt = 1 };
	size_t left = FLOOD + 1;

	nfiles = answers = good = 0;
	for (size_t i = 0; i < FLOOD + 1; i++) {
		e.inside = i == FLOOD;
		w[i] = qwrite_begin(q, &e);
		add_body(w[i], 10, 1);
	}
	for (size_t i = 0; i < FLOOD; i++)
		qwrite_commit_start(&w[i], &ops[i], answered, &left);
	qwrite_commit_start(&w[FLOOD], &ops[FLOOD], own_answered, &left);
	loop_run(&loop);
	eq(good, FLOOD + 1, "a flood and one of our own are committed");
	ok(own_place <= 1024, "who came last is not answered last: before him were %zu", own_place);
}

int
main(void)
{
	char cmd[300];

	if (!mkdtemp(dir))
		return 1;
	loop_init(&loop);
	eq(queue_open(dir, true, &q), 0, "opens");
	queue_announce(q, announced, NULL);
	queue_start(q, &loop);
	group();
	by_time();
	recycled();
	several(3000);
	several(700 * 1000);
	deferring();
	holding();
	called_off();
	aside();
	many_aside();
	bodies(300);
	bodies(500 * 1000);
	broken();
	full();
	failing();
	synced();
	pooled();
	pool_loses_slots();
	pool_grows();
	sweeping();
	refused();
	cancelled();
	senders();
	shares();
	queue_close(&q);
	loop_fini(&loop);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) != 0 || done();
}
