/* daemon/counters.c: metrics in memory that all workers share, printed as OpenMetrics text.
 *
 * Owns the mapping, which is made before the first fork.  One slot per worker, a cache line or
 * more apart; the parent adds them up when asked.  The first numbers of a slot are the skeleton's
 * own.  Called by everybody (metric_add), on any thread, and by parent.c and single.c for
 * printing.  Can fail: only making it.  What must stay true: counters outlive the worker that
 * counted; gauges are what its death makes wrong, so a slot's gauges begin at 0 again with the
 * next worker. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/logfile.h"
#include "base/must.h"
#include "daemon/daemon-impl.h"

enum {
	OWN_STREAMS,
	OWN_ACCEPTED,
	OWN_DIR_ANSWERS,
	OWN_DIR_TIME,
	OWN_LOG_LOST,
	OWN_COUNT,
	OWN_FDS = OWN_COUNT,
	OWN_SLOTS
};
static const struct metric own[] = {
	[OWN_STREAMS] = { "connections", GAUGE, "Connections that are open, of any kind." },
	[OWN_ACCEPTED] = { "connections_accepted", COUNTER, "Connections accepted by listeners." },
	[OWN_DIR_ANSWERS] = { "directory_answers", COUNTER,
	    "Questions that the directory has answered." },
	[OWN_DIR_TIME] = { "directory_seconds", COUNTER_US,
	    "Time that its answers took, all together." },
	[OWN_LOG_LOST] = { "log_lines_lost", COUNTER, "Lines that a log file could not take." },
};

static int64_t *all, *mine;
static size_t nslots, stride, nmetrics;

void
counters_open(size_t slots)
{
	for (nmetrics = 0; daemon_self.d->metrics && daemon_self.d->metrics[nmetrics].name;)
		nmetrics++;
	stride = (OWN_SLOTS + nmetrics + 15) / 8 * 8; /* never share a cache line */
	nslots = slots;
	all = mmap(NULL, nslots * stride * sizeof(*all), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(all != MAP_FAILED);
	mine = all;
}

void
counters_use(size_t slot)
{
	must(slot < nslots);
	mine = all + slot * stride;
	stream_gauge = &mine[OWN_STREAMS];
	logfile_lost = &mine[OWN_LOG_LOST];
}

static bool
is_counter(enum metric_kind kind)
{
	return kind != GAUGE && kind != GAUGE_US;
}

static void
zero_gauge(const struct metric *m, int64_t *v)
{
	if (!is_counter(m->kind))
		__atomic_store_n(v, 0, __ATOMIC_RELAXED);
}

void
counters_restarted(size_t slot)
{
	for (size_t i = 0; i < OWN_COUNT; i++)
		zero_gauge(&own[i], &all[slot * stride + i]);
	for (size_t i = 0; i < nmetrics; i++)
		zero_gauge(&daemon_self.d->metrics[i], &all[slot * stride + OWN_SLOTS + i]);
}

void
counters_accepted(void)
{
	__atomic_add_fetch(&mine[OWN_ACCEPTED], 1, __ATOMIC_RELAXED);
}

void
daemon_directory_answered(uint64_t us)
{
	if (!mine)
		return;
	__atomic_add_fetch(&mine[OWN_DIR_ANSWERS], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&mine[OWN_DIR_TIME], (int64_t)us, __ATOMIC_RELAXED);
}

/* Unit tests and tools run without counters_open. */
void
metric_add(size_t i, int64_t n)
{
	if (mine)
		__atomic_add_fetch(&mine[OWN_SLOTS + i], n, __ATOMIC_RELAXED);
}

void
metric_set(size_t i, int64_t v)
{
	if (mine)
		__atomic_store_n(&mine[OWN_SLOTS + i], v, __ATOMIC_RELAXED);
}

/* ---- printing ---------------------------------------------------------------------------- */

static void
head(struct buf *out, const char *name, enum metric_kind kind, const char *help)
{
	buf_printf(out, "# TYPE tiermail_%s %s\n# HELP tiermail_%s %s\n", name,
	    is_counter(kind) ? "counter" : "gauge", name, help);
}

static void
counters_sum(struct buf *out, const struct metric *m, size_t at)
{
	int64_t v = 0;

	for (size_t i = 0; i < nslots; i++)
		v += __atomic_load_n(&all[i * stride + at], __ATOMIC_RELAXED);
	head(out, m->name, m->kind, m->help);
	buf_printf(out, "tiermail_%s%s ", m->name, is_counter(m->kind) ? "_total" : "");
	if (m->kind > GAUGE)
		buf_printf(out, "%.6f\n", (double)v / (m->kind == COUNTER_MS ? 1000 : 1000000));
	else
		buf_printf(out, "%lld\n", (long long)v);
}

struct usage {
	double cpu;
	long long rss;
	int fds;
};

/* From /proc; fields that may not be read stay 0. */
static void
usage_get(pid_t pid, struct usage *u)
{
	unsigned long ut = 0, st = 0;
	long rss = 0;
	char path[64], line[1024] = "", *p;
	FILE *f;

	*u = (struct usage){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re"))) {
		/* The name in parentheses may hold anything; fields count from behind it. */
		if (fgets(line, sizeof(line), f) && (p = strrchr(line, ')')) &&
		    sscanf(p + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d "
			"%*d %*d %*d %*u %*u %ld",
			&ut, &st, &rss) == 3) {
			u->cpu = (double)(ut + st) / (double)sysconf(_SC_CLK_TCK);
			u->rss = (long long)rss * sysconf(_SC_PAGESIZE);
		}
		fclose(f);
	}
}

/* Nobody else may look: the process is not dumpable. */
static int
own_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	for (struct dirent *e; dir && (e = readdir(dir));)
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

void
counters_refresh(void)
{
	__atomic_store_n(&mine[OWN_FDS], own_fds(), __ATOMIC_RELAXED);
	if (daemon_self.d->gauges)
		daemon_self.d->gauges();
}

#define PROCESSES 257 /* the parent, and the most workers that are shown */

static void
processes(struct buf *out, const pid_t *pids, size_t npids)
{
	static struct usage u[PROCESSES];
	char names[PROCESSES][32];
	size_t n = 0;

	snprintf(names[n], sizeof(names[n]), "main");
	usage_get(getpid(), &u[n]);
	u[n++].fds = own_fds();
	for (size_t i = 0; i < npids && n < PROCESSES; i++) {
		if (pids[i] <= 0)
			continue;
		snprintf(names[n], sizeof(names[n]), "worker%zu", i);
		usage_get(pids[i], &u[n]);
		u[n++].fds = (int)__atomic_load_n(&all[i * stride + OWN_FDS], __ATOMIC_RELAXED);
	}
	head(out, "process_resident_bytes", GAUGE, "Resident memory of the process.");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "tiermail_process_resident_bytes{process=\"%s\"} %lld\n", names[i],
		    u[i].rss);
	head(out, "process_open_fds", GAUGE, "Open descriptors of the process.");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "tiermail_process_open_fds{process=\"%s\"} %d\n", names[i],
		    u[i].fds);
	head(out, "process_cpu_seconds", COUNTER, "CPU time of the process.");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "tiermail_process_cpu_seconds_total{process=\"%s\"} %.2f\n",
		    names[i], u[i].cpu);
}

void
counters_write(struct buf *out, const pid_t *pids, size_t npids, uint64_t restarts)
{
	head(out, "up_seconds", GAUGE, "Time since the daemon started.");
	buf_printf(out, "tiermail_up_seconds %llu\n",
	    (unsigned long long)((clock_mono_ms() - daemon_self.started_ms) / 1000));
	head(out, "worker_restarts", COUNTER, "Workers that died and were started again.");
	buf_printf(out, "tiermail_worker_restarts_total %llu\n", (unsigned long long)restarts);
	if (daemon_self.cert_until) {
		head(out, "certificate_expires_timestamp_seconds", GAUGE,
		    "When the first of the certificates ends, in seconds since 1970.");
		buf_printf(out, "tiermail_certificate_expires_timestamp_seconds %lld\n",
		    (long long)daemon_self.cert_until);
	}
	for (size_t i = 0; i < OWN_COUNT; i++)
		counters_sum(out, &own[i], i);
	for (size_t i = 0; i < nmetrics; i++)
		counters_sum(out, &daemon_self.d->metrics[i], OWN_SLOTS + i);
	processes(out, pids, npids);
	buf_lit(out, "# EOF\n");
}
