/* storectl upgrade: without stored. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/mem.h"
#include "message/digest.h"
#include "store/config.h"
#include "store/upgrade.h"
#include "storectl.h"

static const char *only_partition;
static size_t partitions;

static void
upgrade_on_line(void *arg, const char *line)
{
	printf("%s: %s\n", (const char *)arg, line);
}

static int
upgrade_one(void *arg, const char *name, const char *path)
{
	int *worst = arg, rc;
	char *snapshots, *why = NULL;
	struct store_upgrade u = { .path = path,
		.map_size = (uint64_t)stored_conf.map_size,
		.sentday = message_digest_sentday,
		.tell = upgrade_on_line,
		.arg = (void *)(uintptr_t)name };

	if (*only_partition && strcmp(only_partition, name) != 0)
		return 0;
	partitions++;
	snapshots = store_conf_snapshots(name);
	u.snapshots = snapshots;
	rc = store_upgrade(&u, &why);
	if (rc == 0 && u.nothing)
		printf("%s: the index has format %d already\n", name, STORE_MAJOR);
	else if (rc == 0)
		printf("%s: %llu accounts, %llu mailboxes, %llu messages; the old index is "
		       "%s/index.v1\n",
		    name, (unsigned long long)u.accounts, (unsigned long long)u.mailboxes,
		    (unsigned long long)u.messages, path);
	else {
		fprintf(stderr, "storectl: %s: nothing was changed: %s\n", name,
		    why ? why : strerror(-rc));
		*worst = rc == -EBUSY ? EX_TEMPFAIL : 1;
	}
	mem_free(&why);
	mem_free(&snapshots);
	return 0;
}

int
upgrade(const char *partition)
{
	int worst = 0;

	only_partition = partition;
	umask(027);
	store_conf_partitions(upgrade_one, &worst);
	if (partitions == 0) {
		fprintf(stderr, "storectl: %s: no such partition\n", partition);
		return EX_NOINPUT;
	}
	return worst;
}
