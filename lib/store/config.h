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
	int64_t slice;
	int64_t check_rate; /* bytes a second */
	int64_t max_readers;
	char *expire_rules, *expire_users;                                   /* storectl expire's */
	int64_t expire_rate;                                                 /* messages a second */
	int64_t log_segment, log_bodies, snapshot_interval, steady_interval; /* bytes, ms */
	bool log;
	bool share_anyone, share_seen;
	int events; /* enum store_events */
	bool quota_enforce, quota_overdraft;
	int64_t quota_grace, quota_warn; /* ms; percent */
	char *quota_text;                /* a path, "" = none */
	int64_t socket_mode;
	char **peers[5];   /* users that play the roles of enum store_role, in its order */
	int quota_full;    /* 0 temporary, 1 permanent */
	void **partitions; /* of struct partition_conf, NULL-terminated */
};
struct partition_conf {
	char *name;
	char *path; /* "" = partition/NAME in the store */
};
extern struct stored_conf stored_conf;
extern const struct conf_schema store_conf_schema;

/* The partitions: those of the configuration, and the default one in any case.  Calls fn with
 * name and path until it returns not 0, which is returned. */
int store_conf_partitions(int (*fn)(void *arg, const char *name, const char *path), void *arg);
/* Where the copies of a partition's index are; heap. */
char *store_conf_snapshots(const char *partition) MUSTCHECK;

/* The size of an index's map, bytes: what is configured, or (0) 8 times as large as the file
 * system of `path`, from 1 GiB to 1 TiB: a file system may be made larger while it is in use, the map
 * of an index that has readers may not.  The file is sparse. */
#define STORE_MAP_SMALLEST ((uint64_t)1 << 20)
#define STORE_MAP_LEAST    ((uint64_t)1 << 30)
#define STORE_MAP_MOST     ((uint64_t)1 << 40)
#define STORE_MAP_DISKS    8
uint64_t store_map_size(const char *path, uint64_t configured);
#endif
