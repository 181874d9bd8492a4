/* store/config.h: the keys of stored.conf(5 in stored(8)), for stored and for storectl, which
 * must find the same partitions. */
#ifndef STORE_CONFIG_H
#define STORE_CONFIG_H
#include "conf/shared.h"

struct stored_conf {
	char *default_partition;
	int64_t map_size, min_free;
	int64_t cleanup_age, dup_age; /* ms */
	int64_t purge_rate;
	int64_t max_readers;
	int64_t log_segment, snapshot_interval; /* bytes, ms */
	bool log;
	int64_t socket_mode;
	int quota_full;               /* 0 temp, 1 perm */
	void **partitions;            /* of struct partition_conf, NULL-terminated */
};
struct partition_conf {
	char *name;
	char *path;                   /* "" = partition/NAME in the store */
};
extern struct stored_conf stored_conf;
extern const struct conf_schema stored_conf_schema;

/* The partitions: those of the configuration, and the default one in any case.  Calls fn with
 * name and path until it returns not 0, which is returned. */
int stored_conf_partitions(int (*fn)(void *arg, const char *name, const char *path), void *arg);
/* Where the copies of a partition's index are; heap. */
char *stored_conf_snapshots(const char *partition) MUSTCHECK;
#endif
