/* logfile.c: see logfile.h.
 *
 * Owns the descriptor, the buffer and the thread.  Called by log.c on any thread; the mutex is held for a
 * copy, never for a write.  Can fail: opening at the start; what fails later is lost lines.  Must stay true:
 * logfile_put never waits for a disk once the thread runs; a line is written whole or counted as lost, and
 * begins a line of the file, whatever was left in front of it by a disk that was full;
 * only who has the lock of the file that it has open turns it over, and only while that is still the file
 * of this name, so that two processes do not turn over twice. */
#include "base/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define LOGFILE_MODE  0640
#define LOGFILE_LOOK  1000 /* ms: so often the name is looked at */
#define LOGFILE_DRAIN 1    /* s */

int64_t *logfile_lost;

static struct {
	char *path;
	int fd;
	struct logfile_rules rules;
	int64_t born_ms; /* of its first line, or when it was last written before we had it */
	uint64_t looked_ms;
	pthread_mutex_t lock;
	pthread_cond_t more, dry;
	char *bytes; /* lines that wait; */
	size_t n;
	char *writing; /* those that are being written, by the thread */
	size_t lost;   /* lines, not yet told of in the file */
	bool running, busy;
	bool torn; /* its last line may have no end: the next one begins with one */
} file = { .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- the file ---------------------------------------------------------------------------------- */

static int
logfile_reopen(void)
{
	int fd = open(file.path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
	    LOGFILE_MODE);
	struct stat st;

	if (fd < 0)
		return -errno;
	/* The folder may be others' too: a pipe that nobody reads must not hold us, nor is a second name of another
	 * file to be written, or given away. */
	if (fstat(fd, &st) < 0 || st.st_nlink > 1 || fcntl(fd, F_SETFL, O_APPEND) < 0) {
		close(fd);
		return -EINVAL;
	}
	file.born_ms = st.st_size ? (int64_t)st.st_mtim.tv_sec * 1000 : clock_now_ms();
	if (file.fd < 0) {
		file.fd = fd;
	} else { /* the number stays: a child that is made now has it too */
		(void)dup3(fd, file.fd, O_CLOEXEC);
		close(fd);
	}
	return 0;
}

/* NAME.log.(n-1) -> NAME.log.n ..., NAME.log -> NAME.log.1 */
static void
logfile_shift(int keep)
{
	for (int n = keep; n > 0; n--) {
		char *to = mem_printf("%s.%d", file.path, n);
		char *from = n > 1 ? mem_printf("%s.%d", file.path, n - 1) : mem_str(file.path);

		(void)rename(from, to);
		mem_free(&to);
		mem_free(&from);
	}
	if (keep == 0)
		(void)unlink(file.path);
}

static bool
logfile_is_ripe(const struct stat *st, const struct logfile_rules *r)
{
	if (st->st_size == 0)
		return false;
	return (r->size && st->st_size >= r->size) ||
	    (r->age_ms && file.born_ms / r->age_ms < clock_now_ms() / r->age_ms);
}

/* Before a write: is what we have open still the file of this name, and short enough? */
static void
logfile_look(void)
{
	struct stat named, ours;
	struct logfile_rules r;

	(void)pthread_mutex_lock(&file.lock);
	r = file.rules;
	(void)pthread_mutex_unlock(&file.lock);
	if (stat(file.path, &named) < 0 || fstat(file.fd, &ours) < 0 ||
	    named.st_ino != ours.st_ino || named.st_dev != ours.st_dev) {
		(void)logfile_reopen();
		return;
	}
	if (!logfile_is_ripe(&ours, &r) || flock(file.fd, LOCK_EX | LOCK_NB) < 0)
		return;
	/* Another process may have done it before the lock was ours. */
	if (stat(file.path, &named) == 0 && named.st_ino == ours.st_ino)
		logfile_shift(r.keep);
	(void)logfile_reopen(); /* which lets go of the lock */
}

static size_t
logfile_lines(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

/* How many octets of whole lines of it are on the file; less than all: the disk takes no more.  Of a line that
 * is there in part the rest is lost, and the next one does not go on in it. */
static size_t
logfile_write(struct slice s)
{
	size_t done = 0, whole;

	while (done < s.n) {
		ssize_t n = write(file.fd, s.p + done, s.n - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	whole = done;
	while (whole > 0 && s.p[whole - 1] != '\n')
		whole--;
	file.torn = whole < done;
	return whole;
}

/* Another process may have left a part of a line, too, when the disk was full.  One that is writing just now
 * makes the file grow meanwhile. */
static bool
logfile_is_torn(void)
{
	struct stat st, again;
	char last = '\n';

	if (fstat(file.fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return false;
	if (pread(file.fd, &last, 1, st.st_size - 1) != 1 || last == '\n')
		return false;
	return fstat(file.fd, &again) == 0 && again.st_size == st.st_size;
}

/* Ends what has no end.  False: not even that can be written. */
static bool
logfile_mend(void)
{
	if (!file.torn || !logfile_is_torn() || write(file.fd, "\n", 1) == 1)
		file.torn = false;
	return !file.torn;
}

static void
logfile_count_lost(size_t lines)
{
	file.lost += lines;
	if (logfile_lost)
		__atomic_add_fetch(logfile_lost, (int64_t)lines, __ATOMIC_RELAXED);
}

/* Writes lines, and before them what was lost. */
static void
logfile_out(struct slice s, size_t lost)
{
	char text[300];
	size_t done, n;

	if (clock_mono_ms() - file.looked_ms >= LOGFILE_LOOK || s.n > LOGFILE_ROOM / 2) {
		file.looked_ms = clock_mono_ms();
		logfile_look();
		file.torn = true; /* by others, perhaps */
	}
	if (lost) {
		n = log_lost_line(text, sizeof(text), lost);
		if (logfile_mend() && logfile_write(slice(text, n)) == n)
			lost = 0;
	}
	done = lost || !logfile_mend() ? 0 : logfile_write(s);
	(void)pthread_mutex_lock(&file.lock);
	file.lost += lost; /* counted before */
	if (done < s.n)
		logfile_count_lost(logfile_lines(slice_from(s, done)));
	(void)pthread_mutex_unlock(&file.lock);
}

/* ---- the thread ----------------------------------------------------------------------------------- */

static void *
logfile_run(void *arg UNUSED)
{
	(void)pthread_mutex_lock(&file.lock);
	for (;;) {
		char *swap = file.writing;
		size_t n, lost;

		while (file.n == 0) {
			file.busy = false;
			(void)pthread_cond_broadcast(&file.dry);
			(void)pthread_cond_wait(&file.more, &file.lock);
		}
		file.busy = true;
		file.writing = file.bytes;
		file.bytes = swap;
		n = file.n;
		lost = file.lost;
		file.n = file.lost = 0;
		(void)pthread_mutex_unlock(&file.lock);
		logfile_out(slice(file.writing, n), lost);
		(void)pthread_mutex_lock(&file.lock);
	}
	return NULL;
}

void
logfile_start(void)
{
	pthread_t thread;
	sigset_t all, was;

	if (file.fd < 0 || file.running)
		return;
	(void)logfile_reopen(); /* a lock belongs to who has opened, and that may be the parent */
	file.bytes = mem_grow(NULL, LOGFILE_ROOM, 1);
	file.writing = mem_grow(NULL, LOGFILE_ROOM, 1);
	(void)pthread_cond_init(&file.more, NULL);
	(void)pthread_cond_init(&file.dry, NULL);
	/* Signals are the others'. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &was);
	file.running = pthread_create(&thread, NULL, logfile_run, NULL) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (file.running)
		(void)pthread_detach(thread);
}

void
logfile_fork(void)
{
	(void)pthread_mutex_lock(&file.lock);
}

void
logfile_fork_over(void)
{
	(void)pthread_mutex_unlock(&file.lock);
}

void
logfile_forked(void)
{
	/* The lock may have been somebody's at that moment; here is one thread. */
	(void)pthread_mutex_init(&file.lock, NULL);
	if (!file.running)
		return;
	file.running = file.busy = false;
	file.n = file.lost = 0;
	mem_free(&file.bytes);
	mem_free(&file.writing);
}

/* ---- from outside ----------------------------------------------------------------------------------- */

int
logfile_open(const char *dir, const char *name, const struct logfile_rules *r)
{
	mem_free(&file.path);
	file.path = mem_printf("%s/%s.log", dir, name);
	file.rules = *r;
	return logfile_reopen();
}

void
logfile_rules(const struct logfile_rules *r)
{
	(void)pthread_mutex_lock(&file.lock);
	file.rules = *r;
	(void)pthread_mutex_unlock(&file.lock);
}

int
logfile_give(uid_t uid, gid_t gid)
{
	return file.fd >= 0 && fchown(file.fd, uid, gid) < 0 ? -errno : 0;
}

void
logfile_put(struct slice line)
{
	if (!file.running) {
		logfile_out(line, 0);
		return;
	}
	(void)pthread_mutex_lock(&file.lock);
	if (file.n + line.n > LOGFILE_ROOM) {
		logfile_count_lost(logfile_lines(line));
	} else {
		memcpy(file.bytes + file.n, line.p, line.n);
		file.n += line.n;
		(void)pthread_cond_signal(&file.more);
	}
	(void)pthread_mutex_unlock(&file.lock);
}

void
logfile_drain(void)
{
	struct timespec until;

	if (!file.running)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LOGFILE_DRAIN;
	(void)pthread_mutex_lock(&file.lock);
	while (
	    (file.n > 0 || file.busy) && pthread_cond_timedwait(&file.dry, &file.lock, &until) == 0)
		;
	(void)pthread_mutex_unlock(&file.lock);
}
