/* channel-master/sts-cache.c: see sts-cache.h.
 *
 * Small files of the local disk, read in the loop once for a connection that is to be made.  Can fail: the disk; then
 * policies are fetched by each process.  Must stay true: a reader sees an old file or a new one, never half of one; and
 * the folder does not grow with the domains that strangers name: what nobody can use any more is removed, and above
 * STS_FILES no new one is made. */
#include "sts-cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/files.h"
#include "base/kv.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "conf/shared.h"
#include "master.h"
#include "net/work.h"

#define STS_MAGIC    "tiermail-sts 1"
#define STS_FILES    100000
#define STS_PRUNE    64   /* one in so many writes looks through the folder */
#define STS_HEAD     512  /* octets of the first line */
#define STS_FAILED_S 3600 /* so long a failure alone is worth a file */

static bool full;

static char *
sts_path(const char *domain)
{
	return mem_printf("%s/.sts/%s", shared.queue, domain);
}

bool
sts_entry_good(const struct sts_entry *e, int64_t now)
{
	return e->policy.text && now < e->fetched + (int64_t)e->policy.max_age &&
	    now >= e->fetched - 86400; /* a clock that was wrong then */
}

void
sts_entry_fini(struct sts_entry *e)
{
	smtp_sts_fini(&e->policy);
	*e = (struct sts_entry){ 0 };
}

/* ---- reading ------------------------------------------------------------------------------- */

static int64_t
sts_number(struct slice rest, const char *key)
{
	uint64_t n;

	return slice_u64(kv_find(rest, key), INT64_MAX, &n) < 0 ? 0 : (int64_t)n;
}

static void
entry_parse(struct slice text, struct sts_entry *e)
{
	struct slice line;
	const char *why;

	if (!slice_cut(&text, '\n', &line) || !slice_starts(line, S(STS_MAGIC " ")))
		return;
	line = slice_from(line, S(STS_MAGIC).n);
	if (kv_cstr(kv_find(line, "id"), e->id, sizeof(e->id)) < 0)
		*e->id = '\0';
	e->fetched = sts_number(line, "fetched");
	e->failed = sts_number(line, "failed");
	if (text.n && smtp_sts_parse(text, &e->policy, &why) < 0)
		*e->id = '\0';
}

void
sts_cache_read(const char *domain, struct sts_entry *e)
{
	char *path = sts_path(domain);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct buf b = { 0 };
	ssize_t n;

	*e = (struct sts_entry){ 0 };
	mem_free(&path);
	if (fd < 0)
		return;
	do {
		n = read(fd, buf_reserve(&b, 16384), 16384);
		b.n += n > 0 ? (size_t)n : 0;
	} while ((n > 0 && b.n <= STS_HEAD + SMTP_STS_TEXT) || (n < 0 && errno == EINTR));
	(void)close(fd);
	if (n == 0)
		entry_parse(buf_get(&b), e);
	buf_fini(&b);
}

/* ---- what is out of date -------------------------------------------------------------------- */

static bool
out_of_date(int at, const char *name, int64_t now)
{
	int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char head[STS_HEAD];
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
	struct slice line = slice(head, n > 0 ? (size_t)n : 0);

	if (fd >= 0)
		(void)close(fd);
	line.n = slice_find(line, '\n');
	return n >= 0 && sts_number(line, "until") < now;
}

/* By a process that was killed while it wrote. */
static bool
left_behind(int at, const char *name, int64_t now)
{
	struct stat st;

	return strncmp(name, ".new-", 5) == 0 && fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtime < now - STS_FAILED_S;
}

/* On a thread: how many files there are when those are gone that nobody can use. */
static size_t
prune(const char *folder)
{
	DIR *d = opendir(folder);
	int64_t now = clock_now();
	struct dirent *e;
	size_t left = 0;

	while (d && (e = readdir(d)) && !work_stopped()) {
		bool over = e->d_name[0] == '.' ? left_behind(dirfd(d), e->d_name, now) :
						  out_of_date(dirfd(d), e->d_name, now);

		if (!over || unlinkat(dirfd(d), e->d_name, 0) < 0)
			left += e->d_name[0] != '.';
	}
	if (d)
		(void)closedir(d);
	return left;
}

struct sts_prune {
	char *folder;
	size_t left;
};
static struct op pruning;

static void
sts_prune_run(void *arg)
{
	struct sts_prune *p = arg;

	p->left = prune(p->folder);
}

static void
sts_prune_drop(void *arg)
{
	struct sts_prune *p = arg;

	mem_free(&p->folder);
	mem_free(&p);
}

static void
sts_prune_done(void *arg)
{
	struct sts_prune *p = arg;

	full = p->left >= STS_FILES;
	sts_prune_drop(p);
}

static void
prune_sometimes(void)
{
	struct sts_prune *p;

	if (op_pending(&pruning) || random_below(STS_PRUNE) != 0)
		return;
	p = mem_new(sizeof(*p));
	p->folder = mem_printf("%s/.sts", shared.queue);
	work_start(master.loop, &pruning, sts_prune_run, sts_prune_done, sts_prune_drop, p);
}

/* ---- writing ------------------------------------------------------------------------------- */

static void
entry_text(const struct sts_entry *e, struct buf *b)
{
	int64_t until = e->failed + STS_FAILED_S;

	if (e->policy.text && e->fetched + (int64_t)e->policy.max_age > until)
		until = e->fetched + (int64_t)e->policy.max_age;
	buf_lit(b, STS_MAGIC);
	kv_put(b, "id", slice_str(e->id));
	kv_put_i64(b, "fetched", e->fetched);
	kv_put_i64(b, "failed", e->failed);
	kv_put_i64(b, "until", until);
	buf_char(b, '\n');
	buf_add(b, e->policy.text ? e->policy.text : "", e->policy.text_len);
}

static int
write_beside(const char *tmp, const char *path, struct slice text)
{
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	int rc = fd < 0 ? -errno : files_write(fd, text.p, text.n);

	if (fd >= 0)
		(void)close(fd);
	if (rc == 0 && rename(tmp, path) < 0)
		rc = -errno;
	if (rc < 0 && fd >= 0)
		(void)unlink(tmp);
	return rc;
}

/* Not synced: what a power cut takes is fetched again. */
void
sts_cache_write(const char *domain, const struct sts_entry *e)
{
	char *folder = mem_printf("%s/.sts", shared.queue), *path = sts_path(domain);
	char *tmp = mem_printf("%s/.new-%ld", folder, (long)getpid());
	struct buf b = { 0 };
	int rc = files_make_dirs(folder, 0750);

	entry_text(e, &b);
	if (rc == 0 && (!full || access(path, F_OK) == 0))
		rc = write_beside(tmp, path, buf_get(&b));
	if (rc < 0)
		log_event(LOG_WARN, "sts_cache", "domain=%s error=%s", log_str(domain),
		    log_str(strerror(-rc)));
	buf_fini(&b);
	mem_free(&tmp);
	mem_free(&path);
	mem_free(&folder);
	prune_sometimes();
}
