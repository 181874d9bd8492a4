/* daemon/admit-file.c: the file that the counts are in: made, mapped, locked, swept.
 *
 * Owns the mapping and this process's slot in it; admit.c and admit-count.c work between admit_lock
 * and admit_unlock.  What can fail: the file (then this process counts in memory of its own)
 * and another process that holds the lock and does not go on (then likewise, after LOCK_MS).
 * What must stay true: no daemon ever waits for another's mercy, and a dead one's counts come
 * back.  Apart from the counting because only here is a word of files and processes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "daemon/admit-impl.h"

#define LOCK_MS 50 /* a sane holder needs microseconds, one that lost its CPU some ms */

struct admit_self admit_self;

/* ---- processes --------------------------------------------------------------------------- */

/* The first line of a small file of /proc; "" when there is none. */
static void
admit_read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, size - 1);

	line[n < 0 ? 0 : n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

/* When pid was started, in clock ticks after boot; 0 = there is no such process. */
static uint64_t
admit_started(pid_t pid)
{
	char path[64], line[1024], *at;
	uint64_t v = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	admit_read_line(path, line, sizeof(line));
	/* proc(5): field 22; the name in field 2 may hold anything, also blanks and brackets. */
	at = strrchr(line, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		v = strtoull(at, NULL, 10);
	return v;
}

/* Not asked by kill(2), which confined processes have not. */
static bool
admit_alive(const struct admit_proc *p)
{
	return admit_started(p->pid) == p->started;
}

static void
admit_forget(struct admit_file *f, size_t proc)
{
	for (size_t i = 0; i < ADMIT_ENTRIES; i++) {
		struct admit_entry *e = &f->entries[i];
		uint16_t held = e->n ? f->each[i][proc] : 0;

		if (!held)
			continue;
		e->n -= held < e->n ? held : e->n;
		f->each[i][proc] = 0;
	}
	for (size_t s = 0; s < ADMIT_SERVICES; s++)
		for (size_t c = 0; c < ADMIT_CLASSES; c++)
			f->sessions[s][c][proc] = 0;
	f->procs[proc] = (struct admit_proc){ 0 };
}

void
admit_sweep(struct admit_file *f)
{
	for (size_t i = 0; i < ADMIT_PROCS; i++)
		if (f->procs[i].pid && !admit_alive(&f->procs[i]))
			admit_forget(f, i);
}

/* ---- the file ---------------------------------------------------------------------------- */

static void
admit_prepare(struct admit_file *f, const char *boot)
{
	pthread_mutexattr_t a;

	must(pthread_mutexattr_init(&a) == 0);
	must(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0);
	must(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0);
	must(pthread_mutex_init(&f->lock, &a) == 0);
	pthread_mutexattr_destroy(&a);
	random_bytes(&f->seed, sizeof(f->seed));
	slice_cstr(slice_str(boot), f->boot, sizeof(f->boot));
	f->ready = ADMIT_VERSION;
}

static struct admit_file *
admit_map(int fd)
{
	int how = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, sizeof(struct admit_file), PROT_READ | PROT_WRITE, how, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* The file is ours alone (flock) while it is looked at: made new unless it is whole and of
 * this boot.  Those who have an old one mapped died with that boot. */
static int
admit_settle(int fd, const char *rundir, struct admit_file **f)
{
	char boot[40];
	struct stat st;

	admit_read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((size_t)st.st_size != sizeof(**f) &&
	    (ftruncate(fd, 0) < 0 || ftruncate(fd, sizeof(**f)) < 0))
		return -errno;
	if (!(*f = admit_map(fd)))
		return -errno;
	if ((*f)->ready == ADMIT_VERSION && strncmp((*f)->boot, boot, sizeof(boot)) == 0)
		return 0;
	munmap(*f, sizeof(**f));
	if (ftruncate(fd, 0) < 0 || ftruncate(fd, sizeof(**f)) < 0 || !(*f = admit_map(fd)))
		return -errno;
	/* Daemons of other users count here too: those of the folder's group. */
	(void)fchmod(fd, 0660);
	if (stat(rundir, &st) == 0)
		(void)!fchown(fd, (uid_t)-1, st.st_gid);
	admit_prepare(*f, boot);
	return 0;
}

static int
admit_join(const char *rundir, struct admit_file **f)
{
	char *path = mem_printf("%s/admit-%d", rundir, ADMIT_VERSION);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660);
	int r = fd < 0 ? -errno : 0;

	mem_free(&path);
	if (r == 0 && flock(fd, LOCK_EX) < 0)
		r = -errno;
	if (r == 0)
		r = admit_settle(fd, rundir, f);
	if (fd >= 0) {
		(void)flock(fd, LOCK_UN); /* closing would not: the mapping keeps the file open */
		close(fd);
	}
	return r;
}

/* Counts of this process alone. */
static void
admit_go_private(const char *why)
{
	log_event(LOG_WARN, "admit_private", "error=%s", log_str(why));
	if (admit_self.file)
		munmap(admit_self.file, sizeof(struct admit_file));
	admit_self.file = admit_map(-1);
	must(admit_self.file);
	admit_prepare(admit_self.file, "");
	admit_self.shared = false;
	admit_self.proc = admit_self.number = 0;
}

struct admit_file *
admit_lock(void)
{
	struct timespec until;
	int r;

	if (!admit_self.file)
		admit_go_private("not opened");
	r = pthread_mutex_trylock(&admit_self.file->lock);
	if (r == EBUSY) {
		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += LOCK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		r = pthread_mutex_clocklock(&admit_self.file->lock, CLOCK_MONOTONIC, &until);
	}
	if (r == EOWNERDEAD)
		r = pthread_mutex_consistent(&admit_self.file->lock);
	if (r != 0) {
		/* Sessions that are counted there are given back by nobody until we end. */
		admit_go_private(strerror(r));
		must(pthread_mutex_lock(&admit_self.file->lock) == 0);
	}
	return admit_self.file;
}

void
admit_unlock(void)
{
	pthread_mutex_unlock(&admit_self.file->lock);
}

/* The slot of this process and the number of its service; false when there is no room. */
static bool
admit_enrol(struct admit_file *f, const char *service)
{
	size_t proc = 0, number = 0;

	admit_sweep(f);
	while (proc < ADMIT_PROCS && f->procs[proc].pid)
		proc++;
	while (number < ADMIT_SERVICES && f->services[number][0] &&
	    strncmp(f->services[number], service, sizeof(f->services[0]) - 1) != 0)
		number++;
	if (proc == ADMIT_PROCS || number == ADMIT_SERVICES)
		return false;
	slice_cstr(slice_str(service), f->services[number], sizeof(f->services[0]));
	f->procs[proc] =
	    (struct admit_proc){ (int32_t)getpid(), (uint32_t)number, admit_started(getpid()) };
	admit_self.proc = proc;
	admit_self.number = number;
	return true;
}

void
admit_open(const char *rundir, const struct admit_service *s)
{
	struct admit_file *f = NULL;
	int r = admit_join(rundir, &f);
	bool enrolled;

	admit_self = (struct admit_self){ .file = f, .service = s, .shared = r == 0 };
	if (r < 0) {
		admit_go_private(strerror(-r));
		return;
	}
	f = admit_lock();
	enrolled = !admit_self.shared || admit_enrol(f, s->name);
	admit_unlock();
	if (!enrolled)
		admit_go_private("too many processes");
}

void
admit_close(void)
{
	struct admit_file *f;

	if (!admit_self.file)
		return;
	f = admit_lock();
	admit_forget(f, admit_self.proc);
	admit_unlock();
	munmap(f, sizeof(*f));
	admit_self.file = NULL;
}

struct admit_key
admit_hash(const struct admit_file *f, char kind, struct slice what)
{
	/* FNV-1a twice, seeded by the file: base/slice.h's seed differs between processes. */
	struct admit_key k = { 14695981039346656037ULL ^ f->seed, f->seed * 0x9e3779b97f4a7c15ULL };

	k.a = (k.a ^ (uint8_t)kind) * 1099511628211ULL;
	k.b = (k.b ^ (uint8_t)kind) * 1099511628211ULL;
	for (size_t i = 0; i < what.n; i++) {
		k.a = (k.a ^ (uint8_t)what.p[i]) * 1099511628211ULL;
		k.b = (k.b ^ (uint8_t)what.p[i] ^ k.a >> 56) * 1099511628211ULL;
	}
	k.a ^= k.a >> 29;
	k.a |= 1; /* a zeroed key is nobody's */
	return k;
}
