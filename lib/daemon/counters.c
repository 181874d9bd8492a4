/* daemon/counters.c: metrics in memory that all workers share, printed as OpenMetrics text.
 *
 * One slot per worker, a cache line or more apart; the parent adds them up when asked.  The
 * first numbers of a slot are the skeleton's own. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/must.h"
#include "daemon/self.h"

enum { OWN_STREAMS, OWN_ACCEPTED, OWN_COUNT };
static const struct metric own[] = {
	[OWN_STREAMS] = { "connections", GAUGE, "Connections that are open, of any kind." },
	[OWN_ACCEPTED] = { "connections_accepted", COUNTER, "Connections accepted by listeners." },
};

static int64_t *all, *mine;
static size_t nslots, stride, nmetrics;

void
counters_open(size_t slots)
{
	for (nmetrics = 0; self.d->metrics && self.d->metrics[nmetrics].name;)
		nmetrics++;
	stride = (OWN_COUNT + nmetrics + 15) / 8 * 8; /* never share a cache line */
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
}

static void
zero_gauge(const struct metric *m, int64_t *v)
{
	if (m->kind == GAUGE)
		__atomic_store_n(v, 0, __ATOMIC_RELAXED);
}

void
counters_restarted(size_t slot)
{
	for (size_t i = 0; i < OWN_COUNT; i++)
		zero_gauge(&own[i], &all[slot * stride + i]);
	for (size_t i = 0; i < nmetrics; i++)
		zero_gauge(&self.d->metrics[i], &all[slot * stride + OWN_COUNT + i]);
}

void
counters_accepted(void)
{
	__atomic_add_fetch(&mine[OWN_ACCEPTED], 1, __ATOMIC_RELAXED);
}

/* Unit tests and tools run without counters_open. */
void
metric_add(size_t i, int64_t n)
{
	if (mine)
		__atomic_add_fetch(&mine[OWN_COUNT + i], n, __ATOMIC_RELAXED);
}

void
metric_set(size_t i, int64_t v)
{
	if (mine)
		__atomic_store_n(&mine[OWN_COUNT + i], v, __ATOMIC_RELAXED);
}

int64_t
metric_get(size_t i)
{
	return mine ? __atomic_load_n(&mine[OWN_COUNT + i], __ATOMIC_RELAXED) : 0;
}

/* ---- printing ---------------------------------------------------------------------------- */

static void
head(struct buf *out, const char *name, enum metric_kind kind, const char *help)
{
	buf_printf(out, "# TYPE tiermail_%s %s\n# HELP tiermail_%s %s\n", name,
	    kind == COUNTER ? "counter" : "gauge", name, help);
}

static void
sum(struct buf *out, const struct metric *m, size_t at)
{
	int64_t v = 0;

	for (size_t i = 0; i < nslots; i++)
		v += __atomic_load_n(&all[i * stride + at], __ATOMIC_RELAXED);
	head(out, m->name, m->kind, m->help);
	buf_printf(out, "tiermail_%s%s %lld\n", m->name, m->kind == COUNTER ? "_total" : "",
	    (long long)v);
}

struct usage {
	double cpu;
	long long rss;
	int fds;
};

/* From /proc; fields that may not be read (another uid) stay 0. */
static void
usage_get(pid_t pid, struct usage *u)
{
	unsigned long ut = 0, st = 0;
	long rss = 0;
	char path[64], line[1024] = "", *p;
	FILE *f;
	DIR *dir;

	*u = (struct usage){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "re"))) {
		/* The name in parentheses may hold anything; fields count from behind it. */
		if (fgets(line, sizeof(line), f) && (p = strrchr(line, ')')) &&
		    sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d "
		    "%*d %*d %*d %*u %*u %ld", &ut, &st, &rss) == 3) {
			u->cpu = (double)(ut + st) / (double)sysconf(_SC_CLK_TCK);
			u->rss = (long long)rss * sysconf(_SC_PAGESIZE);
		}
		fclose(f);
	}
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if ((dir = opendir(path))) {
		for (struct dirent *e; (e = readdir(dir));)
			u->fds += e->d_name[0] != '.';
		closedir(dir);
	}
}

#define PROCESSES 257 /* the parent, and the most workers that are shown */

static void
processes(struct buf *out, const pid_t *pids, size_t npids)
{
	static struct usage u[PROCESSES];
	char names[PROCESSES][32];
	size_t n = 0;

	snprintf(names[n], sizeof(names[n]), "main");
	usage_get(getpid(), &u[n++]);
	for (size_t i = 0; i < npids && n < PROCESSES; i++) {
		if (pids[i] <= 0)
			continue;
		snprintf(names[n], sizeof(names[n]), "worker%zu", i);
		usage_get(pids[i], &u[n++]);
	}
	head(out, "process_resident_bytes", GAUGE, "Resident memory of the process.");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "tiermail_process_resident_bytes{process=\"%s\"} %lld\n", names[i],
		    u[i].rss);
	head(out, "process_open_fds", GAUGE, "Open descriptors of the process.");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "tiermail_process_open_fds{process=\"%s\"} %d\n", names[i], u[i].fds);
	head(out, "process_cpu_seconds", COUNTER, "CPU time of the process.");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "tiermail_process_cpu_seconds_total{process=\"%s\"} %.2f\n", names[i],
		    u[i].cpu);
}

void
counters_write(struct buf *out, const pid_t *pids, size_t npids, uint64_t restarts)
{
	head(out, "up_seconds", GAUGE, "Time since the daemon started.");
	buf_printf(out, "tiermail_up_seconds %llu\n",
	    (unsigned long long)((clock_mono_ms() - self.started_ms) / 1000));
	head(out, "worker_restarts", COUNTER, "Workers that died and were started again.");
	buf_printf(out, "tiermail_worker_restarts_total %llu\n", (unsigned long long)restarts);
	for (size_t i = 0; i < OWN_COUNT; i++)
		sum(out, &own[i], i);
	for (size_t i = 0; i < nmetrics; i++)
		sum(out, &self.d->metrics[i], OWN_COUNT + i);
	processes(out, pids, npids);
	buf_lit(out, "# EOF\n");
}
