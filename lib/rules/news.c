/* rules/news.c: see rules/news.h. */
#include "rules/news.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "daemon/sandbox.h"

#define NEWS_FILE     "rules-1"
#define NEWS_COUNTERS 4096
#define NEWS_OCTETS   (NEWS_COUNTERS * sizeof(uint32_t))

struct rules_news {
	_Atomic uint32_t *table;      /* NULL: there is none */
	uint32_t seen[NEWS_COUNTERS]; /* by this process */
};

/* The same in all processes: slice_hash has a seed of each.  FNV-1a, without regard to case. */
static size_t
news_counter(struct slice account)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < account.n; i++)
		h = (h ^ (uint8_t)ascii_lower(account.p[i])) * 1099511628211ULL;
	return (h ^ h >> 32) % NEWS_COUNTERS;
}

/* Opens the table and makes it what it must be; what it says stays.  Daemons of other users read and write it too:
 * those of the folder's group.  The descriptor, or -errno. */
static int
news_file(const char *path, const char *rundir, int flags)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0660);
	struct stat st, dir;
	int rc = fd;

	if (fd < 0 || fstat(fd, &st) < 0 || stat(rundir, &dir) < 0)
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = -EINVAL;
	else if (st.st_uid == geteuid() && flags & O_CREAT) {
		(void)fchmod(fd, 0660);
		(void)!fchown(fd, (uid_t)-1, dir.st_gid);
	}
	if (rc >= 0 && (size_t)st.st_size < NEWS_OCTETS && ftruncate(fd, NEWS_OCTETS) < 0)
		rc = -errno;
	if (rc < 0 && fd >= 0)
		(void)close(fd);
	return rc;
}

void
rules_news_reach(void)
{
	char *path = mem_printf("%s/" NEWS_FILE, shared.rundir);
	int fd = news_file(path, shared.rundir, O_CREAT);

	if (fd >= 0)
		(void)close(fd);
	sandbox_change(path);
	mem_free(&path);
}

static int
news_map(void **p)
{
	char *path = mem_printf("%s/" NEWS_FILE, shared.rundir);
	int fd = news_file(path, shared.rundir, 0), rc = fd < 0 ? fd : 0;

	mem_free(&path);
	if (fd < 0)
		return rc;
	*p = mmap(NULL, NEWS_OCTETS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*p == MAP_FAILED)
		rc = -errno;
	(void)close(fd);
	return rc;
}

struct rules_news *
rules_news_open(void)
{
	struct rules_news *n = mem_new(sizeof(*n));
	void *p;
	int rc = news_map(&p);

	if (rc < 0) {
		log_event(LOG_WARN, "rules_private", "error=%s", log_str(strerror(-rc)));
		return n;
	}
	n->table = p;
	for (size_t i = 0; i < NEWS_COUNTERS; i++)
		n->seen[i] = atomic_load(&n->table[i]);
	return n;
}

void
rules_news_close(struct rules_news **np)
{
	if (*np && (*np)->table)
		munmap((void *)(uintptr_t)(*np)->table, NEWS_OCTETS);
	mem_free(np);
}

void
rules_news_tell(struct rules_news *n, struct slice account)
{
	if (n && n->table)
		atomic_fetch_add(&n->table[news_counter(account)], 1);
}

bool
rules_news_heard(struct rules_news *n, struct slice account)
{
	size_t i = news_counter(account);
	uint32_t now;

	if (!n || !n->table)
		return false;
	now = atomic_load(&n->table[i]);
	if (now == n->seen[i])
		return false;
	n->seen[i] = now;
	return true;
}
