/* The keys of stored.conf. */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "store/config.h"

struct stored_conf stored_conf;

#define DAY  ((int64_t)86400000)
#define GIB  ((int64_t)1 << 30)

static const struct conf_key keys[] = {
	{ "default_partition", CONF_STR, &stored_conf.default_partition, "primary", 0, 0, RESTART, NULL,
	    "The partition of a new account that names none." },
	{ "map_size", CONF_SIZE, &stored_conf.map_size, "64G", 1 << 20, 4096 * GIB, RESTART, NULL,
	    "The largest size that the index of a partition can grow to." },
	{ "min_free", CONF_SIZE, &stored_conf.min_free, "64M", 0, 4096 * GIB, RESTART, NULL,
	    "Free space of a partition below which no mail is taken in." },
	{ "cleanup_age", CONF_TIME, &stored_conf.cleanup_age, "1h", 0, 365 * DAY, RESTART, NULL,
	    "How long the file of an expunged message stays readable." },
	{ "purge_rate", CONF_INT, &stored_conf.purge_rate, "2000", 0, 1000000, RESTART, NULL,
	    "Files that a partition removes in a second; 0 is no limit." },
	{ "dup_age", CONF_TIME, &stored_conf.dup_age, "24h", 1000, 30 * DAY, RESTART, NULL,
	    "How long a delivery is remembered, so that it is not made twice." },
	{ "max_readers", CONF_INT, &stored_conf.max_readers, "4096", 16, 65536, RESTART, NULL,
	    "Most snapshots of a partition that can be open at the same time." },
	{ "log", CONF_BOOL, &stored_conf.log, "yes", 0, 0, RESTART, NULL,
	    "Whether changes of the index are also written to the operation log." },
	{ "log_segment", CONF_SIZE, &stored_conf.log_segment, "64M", 4096, 4 * GIB, RESTART, NULL,
	    "The size from which the log goes on in another file." },
	{ "snapshot_interval", CONF_TIME, &stored_conf.snapshot_interval, "24h", 0, 365 * DAY, RESTART, NULL,
	    "How often the index of a partition is copied; 0 is only when asked." },
	{ "quota_full", CONF_ENUM, &stored_conf.quota_full, "temp", 0, 0, RESTART, "temp|perm",
	    "Whether a full mailbox is a temporary (452) or a permanent (552) failure." },
	{ "socket_mode", CONF_MODE, &stored_conf.socket_mode, "0660", 0, 0, RESTART, NULL,
	    "The mode of the socket stored.sock." },
};

static const struct conf_key partition_keys[] = {
	{ "path", CONF_PATH, (void *)offsetof(struct partition_conf, path), "", 0, 0, RESTART, NULL,
	    "The directory; empty is partition/NAME in the store." },
};

static const struct conf_section sections[] = {
	{ "partition", sizeof(struct partition_conf), partition_keys, NELEM(partition_keys),
	    &stored_conf.partitions, offsetof(struct partition_conf, name), "A partition of the store." },
};

const struct conf_schema stored_conf_schema = { keys, NELEM(keys), sections, NELEM(sections) };

static int
call(int (*fn)(void *arg, const char *name, const char *path), void *arg, const char *name,
    const char *conf_path)
{
	char *path = *conf_path ? mem_str(conf_path) :
	    mem_printf("%s/partition/%s", shared.store, name);
	int rc = fn(arg, name, path);

	mem_free(&path);
	return rc;
}

int
stored_conf_partitions(int (*fn)(void *arg, const char *name, const char *path), void *arg)
{
	void **list = stored_conf.partitions;
	bool have_default = false;
	int rc = 0;

	for (size_t i = 0; list && list[i] && rc == 0; i++) {
		const struct partition_conf *pc = list[i];

		have_default |= strcmp(pc->name, stored_conf.default_partition) == 0;
		rc = call(fn, arg, pc->name, pc->path);
	}
	if (rc == 0 && !have_default)
		rc = call(fn, arg, stored_conf.default_partition, "");
	return rc;
}

char *
stored_conf_snapshots(const char *partition)
{
	return mem_printf("%s/snapshot/%s", shared.store, partition);
}
