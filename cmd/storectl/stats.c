/* storectl stats: the size of indexes, who reads them, and whether memory holds them.
 *
 * The store is quick as long as its index is in memory: with --cache the kernel is asked how much of it is, and the
 * daemons that read it how often they had to wait for a page that was not (major faults of their processes beside what
 * they have done).  Nothing is changed.  Can fail: an index that cannot be opened, which ends the run; a daemon that does
 * not answer has no line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/json.h"
#include "base/kv.h"
#include "base/mem.h"
#include "daemon/ask.h"
#include "daemon/program.h"
#include "store/config.h"
#include "store/stats.h"
#include "storectl.h"

#define ENOUGH 95 /* percent of an index in memory, below which there is something to say */

struct stats_run {
	const char *partition; /* "" = all */
	bool cache, json;
	unsigned met;
};

/* Whoever reads indexes, and what it counts as something done. */
static const struct {
	const char *daemon, *metric;
} stats_daemons[] = {
	{ "stored", "tiermail_stored_requests_total" },
	{ "imapd", "tiermail_imap_commands_total" },
	{ "pop3d", "tiermail_pop3_commands_total" },
	{ "jmapd", "tiermail_jmap_calls_total" },
};

static unsigned
stats_percent(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned)((long double)part * 100 / (long double)whole) : 100;
}

static void
stats_show(const struct stats_run *r, const char *name, const struct store_stats *s)
{
	struct buf b = { 0 };

	if (r->json) {
		buf_char(&b, '{');
		json_put_cstr(&b, "partition", name);
		json_put_i64(&b, "used", (int64_t)s->used);
		json_put_i64(&b, "free", (int64_t)s->free);
		json_put_i64(&b, "most", (int64_t)s->most);
		json_put_i64(&b, "batches", (int64_t)s->batches);
		json_put_i64(&b, "accounts", (int64_t)s->accounts);
		json_put_i64(&b, "mailboxes", (int64_t)s->mailboxes);
		json_put_i64(&b, "readers", s->readers);
		json_put_i64(&b, "readers_most", s->readers_most);
		json_put_i64(&b, "oldest", (int64_t)s->oldest);
		if (r->cache)
			json_put_i64(&b, "resident", (int64_t)s->resident);
		buf_lit(&b, "}\n");
	} else {
		buf_printf(&b,
		    "%s: index %llu MiB of %llu, %u%% of it free; %llu accounts, %llu mailboxes; "
		    "batch %llu; places of readers %u of %u, the oldest snapshot %llu batches "
		    "back\n",
		    name, (unsigned long long)(s->used >> 20), (unsigned long long)(s->most >> 20),
		    stats_percent(s->free, s->used), (unsigned long long)s->accounts,
		    (unsigned long long)s->mailboxes, (unsigned long long)s->batches, s->readers,
		    s->readers_most, (unsigned long long)s->oldest);
		if (r->cache)
			buf_printf(&b, "%s: %u%% of the index in memory, %llu of %llu KiB\n", name,
			    stats_percent(s->resident, s->used),
			    (unsigned long long)(s->resident >> 10),
			    (unsigned long long)(s->used >> 10));
		if (r->cache && stats_percent(s->resident, s->used) < ENOUGH)
			buf_printf(&b,
			    "%s: below %d%%: after a start it comes with use; if it stays so, give "
			    "this host more memory or the partition fewer accounts\n",
			    name, ENOUGH);
	}
	storectl_say(&b);
	buf_fini(&b);
}

static int
stats_partition(void *arg, const char *name, const char *path)
{
	struct stats_run *r = arg;
	struct store_stats s;
	char *why = NULL;

	if (*r->partition && strcmp(r->partition, name) != 0)
		return 0;
	r->met++;
	if (store_stats(path, r->cache, &s, &why) < 0) {
		fprintf(stderr, "storectl: partition %s: %s\n", name, why);
		exit(EX_NOINPUT);
	}
	stats_show(r, name, &s);
	return 0;
}

/* ---- daemons ----------------------------------------------------------------------------------------- */

/* proc(5), field 12; a process that has ended has none. */
static uint64_t
stats_faults_of(uint64_t pid)
{
	char path[64], text[1024], *at;
	unsigned long long faults = 0;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	at = strrchr(text, ')'); /* the name, which may have blanks */
	for (int field = 2; at && field < 12; field++)
		at = strchr(at + 1, ' ');
	if (at)
		faults = strtoull(at + 1, NULL, 10);
	return faults;
}

/* Of the daemon and its workers, by what it says of itself. */
static uint64_t
stats_faults(struct slice status)
{
	uint64_t faults = 0, pid;
	struct slice line;

	while (slice_cut(&status, '\n', &line))
		if (slice_u64(kv_find(line, "pid"), INT32_MAX, &pid) == 0)
			faults += stats_faults_of(pid);
	return faults;
}

static bool
stats_metric(struct slice text, const char *name, uint64_t *value)
{
	struct slice line, word;

	while (slice_cut(&text, '\n', &line))
		if (slice_cut(&line, ' ', &word) && slice_eq(word, slice_str(name)))
			return slice_u64(line, UINT64_MAX, value) == 0;
	return false;
}

static bool
stats_ask(const char *daemon, const char *what, struct buf *answer)
{
	char *why = NULL;
	int rc = daemon_ask(NULL, daemon, slice_str(what), DAEMON_ASK_MS, answer, &why);

	mem_free(&why);
	return rc == 0;
}

static void
stats_daemon(const struct stats_run *r, const char *daemon, const char *metric)
{
	struct buf status = { 0 }, metrics = { 0 }, b = { 0 };
	uint64_t done = 0, faults;

	if (stats_ask(daemon, "status", &status) && stats_ask(daemon, "metrics", &metrics) &&
	    stats_metric(buf_get(&metrics), metric, &done)) {
		faults = stats_faults(buf_get(&status));
		if (r->json) {
			buf_char(&b, '{');
			json_put_cstr(&b, "daemon", daemon);
			json_put_i64(&b, "major_faults", (int64_t)faults);
			json_put_i64(&b, "requests", (int64_t)done);
			buf_lit(&b, "}\n");
		} else
			buf_printf(&b,
			    "%s: %llu major faults, %llu requests: %.1f for each 1,000\n", daemon,
			    (unsigned long long)faults, (unsigned long long)done,
			    done ? (double)faults * 1000 / (double)done : 0.0);
		storectl_say(&b);
	}
	buf_fini(&status);
	buf_fini(&metrics);
	buf_fini(&b);
}

int
storectl_stats(int argc, char **argv, bool quiet UNUSED)
{
	struct stats_run r = { .partition = "" };

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-j") == 0 || strcmp(argv[i], "--json") == 0)
			r.json = true;
		else if (strcmp(argv[i], "-C") == 0 || strcmp(argv[i], "--cache") == 0)
			r.cache = true;
		else if (*r.partition || argv[i][0] == '-')
			return program_usage();
		else
			r.partition = argv[i];
	store_conf_partitions(stats_partition, &r);
	if (*r.partition && !r.met) {
		fprintf(stderr, "storectl: %s: no such partition\n", r.partition);
		return EX_USAGE;
	}
	for (size_t i = 0; r.cache && i < NELEM(stats_daemons); i++)
		stats_daemon(&r, stats_daemons[i].daemon, stats_daemons[i].metric);
	return 0;
}
