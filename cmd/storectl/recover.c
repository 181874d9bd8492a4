/* storectl snapshot and recover: the way to and back from copies of an index.
 *
 * Called by main.  A snapshot is made by stored, which is asked for each partition; recover runs
 * without it, because it makes the index that stored would have open (lib/store/recover.c does the
 * work and holds the partition's lock).  Partitions are independent: one that does not get through
 * is told, the others go on, and the worst exit code is that of the run. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "base/mem.h"
#include "message/digest.h"
#include "store/config.h"
#include "store/recover.h"
#include "storectl.h"

static const char *only;
static bool forced;
static size_t found;

static bool
recover_wanted(const char *name)
{
	if (*only && strcmp(only, name) != 0)
		return false;
	found++;
	return true;
}

static int
none(void)
{
	if (found)
		return 0;
	fprintf(stderr, "storectl: %s: no such partition\n", only);
	return EX_NOINPUT;
}

/* ---- snapshot: stored makes it -------------------------------------------------------------------- */

static int
snapshot_one(void *arg, const char *name, const char *path)
{
	struct asking *a = arg;

	(void)path;
	if (!recover_wanted(name))
		return 0;
	store_snapshot_start(a->client, slice_str(name), &a->op, asking_done, a);
	asking_wait(a, name);
	printf("%s: %s\n", name, a->path);
	return 0;
}

int
take_snapshots(const char *partition)
{
	struct asking a;

	only = partition;
	asking_open(&a);
	store_conf_partitions(snapshot_one, &a);
	asking_close(&a);
	return none();
}

/* ---- recover: without stored ------------------------------------------------------------------------ */

static void
recover_on_line(void *arg, const char *line)
{
	printf("%s: %s\n", (const char *)arg, line);
}

static void
recover_say(const char *name, const struct store_recover *r)
{
	char when[40] = "";
	time_t at = (time_t)r->at;
	struct tm tm;

	if (r->at && gmtime_r(&at, &tm))
		strftime(when, sizeof(when), ", the last of %Y-%m-%dT%H:%M:%SZ", &tm);
	printf("%s: %llu batches replayed, up to %llu%s\n", name, (unsigned long long)r->batches,
	    (unsigned long long)r->batch, when);
	if (r->digests)
		printf("%s: %llu digests made from messages\n", name,
		    (unsigned long long)r->digests);
}

static int
recover_one(void *arg, const char *name, const char *path)
{
	int *worst = arg, rc;
	char *snapshots, *why = NULL;
	struct store_recover r = { .path = path,
		.map_size = (uint64_t)stored_conf.map_size,
		.digest = message_digest_build,
		.force = forced,
		.tell = recover_on_line,
		.arg = (void *)(uintptr_t)name };

	if (!recover_wanted(name))
		return 0;
	snapshots = store_conf_snapshots(name);
	r.snapshots = snapshots;
	rc = store_recover(&r, &why);
	recover_say(name, &r);
	if (rc == 0)
		printf("%s: the index is in place; start stored, then run storectl check\n", name);
	else {
		printf("%s: nothing was changed: %s%s\n", name, why ? why : strerror(-rc),
		    rc == -EUCLEAN ? "; --force goes on behind it" : "");
		*worst = rc == -EBUSY ? EX_TEMPFAIL : 1;
	}
	mem_free(&why);
	mem_free(&snapshots);
	return 0;
}

int
recover(const char *partition, bool force)
{
	int worst = 0;

	only = partition;
	forced = force;
	umask(027);
	store_conf_partitions(recover_one, &worst);
	return none() ? EX_NOINPUT : worst;
}
