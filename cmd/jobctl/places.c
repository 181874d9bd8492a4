/* places.c: what was learned of destinations, across restarts: which MX hosts they have, and until when a rule for
 * replies lets them rest (lib/job/places.h has the lines).
 *
 * Called at the start, by serve.c behind results and by verbs.c behind an operator's word.  A line is appended for
 * each change, all of a turn in one write and without a sync: what a power cut takes is learned again, at the price of
 * an attempt.  For that reason nothing here stops jobctl; what fails is logged.  The file is made small on a work
 * thread, which reads nothing but the file, so no walk over the schedule is needed; what was appended meanwhile is
 * copied behind it before it takes its place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/places.h"
#include "jobctl.h"
#include "net/work.h"

#define SMALL_FIRST (1024 * 1024) /* not made smaller below that */

static struct places {
	char *path, *tmp;
	int fd;              /* for appending; -1: it cannot be had */
	uint64_t size, next; /* of the file; from which on it is made smaller */
	struct buf out;
	struct later flush;
} places = { .fd = -1 };

/* The file being made smaller, up to `size`. */
struct shrink {
	struct op op;
	uint64_t size;
	int error;
};
static struct shrink *shrink;

static void
places_fail(const char *what, int e)
{
	log_event(LOG_ERROR, "places", "path=%s what=%s error=%s", log_str(places.path), what,
	    log_str(strerror(-e)));
}

/* What it has from `at` on up to `end`.  0 or -errno. */
static int
places_read(const char *path, uint64_t at, uint64_t end, struct buf *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), e = 0;
	struct stat st;
	uint64_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		e = -errno;
	n = e == 0 && end > (uint64_t)st.st_size ? (uint64_t)st.st_size : end;
	n = n > at ? n - at : 0;
	while (e == 0 && n > 0) {
		ssize_t got = pread(fd, buf_reserve(b, (size_t)n), (size_t)n, (off_t)at);

		if (got < 0)
			e = -errno;
		if (got <= 0)
			break;
		b->n += (size_t)got;
		at += (uint64_t)got;
		n -= (uint64_t)got;
	}
	(void)close(fd);
	return e;
}

/* ---- smaller ------------------------------------------------------------------------------------- */

static void
shrink_run(void *arg)
{
	struct shrink *k = arg;
	struct buf text = { 0 }, left = { 0 };
	int fd = -1;

	k->error = places_read(places.path, 0, k->size, &text);
	if (k->error == 0) {
		(void)job_places_compact(buf_get(&text), clock_now(), &left);
		fd = open(places.tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
		k->error = fd < 0 ? -errno : files_write(fd, left.p, left.n);
	}
	/* Under its name it must be whole: a power cut then takes the latest lines alone. */
	if (k->error == 0 && fdatasync(fd) < 0)
		k->error = -errno;
	if (fd >= 0)
		(void)close(fd);
	buf_fini(&text);
	buf_fini(&left);
}

/* What was appended meanwhile goes behind it. */
static int
shrink_take_over(const struct shrink *k)
{
	int fd = open(places.tmp, O_WRONLY | O_APPEND | O_CLOEXEC), e;
	struct buf more = { 0 };
	struct stat st;

	if (fd < 0)
		return -errno;
	e = places_read(places.path, k->size, UINT64_MAX, &more);
	if (e == 0)
		e = files_write(fd, more.p, more.n);
	if (e == 0 && (fstat(fd, &st) < 0 || rename(places.tmp, places.path) < 0))
		e = -errno;
	buf_fini(&more);
	if (e < 0) {
		(void)close(fd);
		return e;
	}
	(void)close(places.fd);
	places.fd = fd;
	places.size = (uint64_t)st.st_size;
	return 0;
}

static void
shrink_done(void *arg)
{
	struct shrink *k = arg;

	shrink = NULL;
	if (k->error == 0)
		k->error = shrink_take_over(k);
	if (k->error < 0)
		places_fail("shrink", k->error);
	places.next = places.size * 2 > SMALL_FIRST ? places.size * 2 : SMALL_FIRST;
	mem_free(&k);
}

static void
places_shrink(void)
{
	if (shrink || places.fd < 0)
		return;
	shrink = mem_new(sizeof(*shrink));
	shrink->size = places.size;
	work_start(jobctl.loop, &shrink->op, shrink_run, shrink_done, shrink_done, shrink);
}

/* ---- writing ------------------------------------------------------------------------------------ */

static void
places_flush_now(struct later *l)
{
	int e;

	(void)l;
	e = files_write(places.fd, places.out.p, places.out.n);
	if (e < 0) { /* a full disk: what follows a torn line is read */
		places_fail("write", e);
		(void)!files_write(places.fd, "\n", 1);
	}
	places.size = (uint64_t)lseek(places.fd, 0, SEEK_END);
	buf_fini(&places.out);
	if (places.size > places.next)
		places_shrink();
}

void
places_note(const struct sched_dest *d, bool hosts)
{
	struct job_place p[2];
	size_t n = sched_place_get(d, hosts, p);

	if (places.fd < 0)
		return;
	for (size_t i = 0; i < n; i++)
		job_place_write(&places.out, &p[i]);
	later_run(&places.flush, jobctl.loop, places_flush_now);
}

/* ---- at the start ------------------------------------------------------------------------------- */

/* Hosts behind the destinations that have them.  Returns how many lines could not be read. */
static size_t
places_take(struct slice text, size_t *taken)
{
	int64_t now = clock_now();
	size_t bad = 0;

	for (int hosts = 0; hosts < 2; hosts++) {
		struct slice rest = text, line;
		struct job_place p;

		while (slice_cut(&rest, '\n', &line)) {
			if (!job_place_parse(line, &p))
				bad += hosts;
			else if ((p.dest.n == 0) == hosts)
				*taken += sched_place_put(jobctl.sched, &p, now);
		}
	}
	return bad;
}

void
places_load(void)
{
	struct buf text = { 0 };
	size_t taken = 0, bad;
	int e;

	later_init(&places.flush);
	places.path = mem_printf("%s/jobctl.places", queue_path(jobctl.queue));
	places.tmp = mem_printf("%s.new", places.path);
	places.next = SMALL_FIRST;
	e = places_read(places.path, 0, UINT64_MAX, &text);
	if (e < 0 && e != -ENOENT)
		places_fail("read", e);
	bad = places_take(buf_get(&text), &taken);
	places.fd = open(places.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (places.fd < 0) {
		places_fail("open", -errno);
	} else {
		if (text.n && text.p[text.n - 1] != '\n')
			(void)!files_write(places.fd, "\n", 1);
		places.size = (uint64_t)lseek(places.fd, 0, SEEK_END);
		if (bad || places.size > places.next)
			places_shrink();
	}
	if (taken || bad)
		log_event(bad ? LOG_WARN : LOG_INFO, "places_read", "lines=%zu bad=%zu", taken,
		    bad);
	buf_fini(&text);
}
