/* stored: tables and one call. */
#include "stored.h"

struct stored_conf conf;

#define DAY  ((int64_t)86400000)
#define GIB  ((int64_t)1 << 30)

static const struct conf_key keys[] = {
	{ "default_partition", CONF_STR, &conf.default_partition, "primary", 0, 0, RESTART, NULL,
	    "The partition of a new account that names none." },
	{ "map_size", CONF_SIZE, &conf.map_size, "64G", 1 << 20, 4096 * GIB, RESTART, NULL,
	    "The largest size that the index of a partition can grow to." },
	{ "min_free", CONF_SIZE, &conf.min_free, "64M", 0, 4096 * GIB, RESTART, NULL,
	    "Free space of a partition below which no mail is taken in." },
	{ "cleanup_age", CONF_TIME, &conf.cleanup_age, "1h", 0, 365 * DAY, RESTART, NULL,
	    "How long the file of an expunged message stays readable." },
	{ "purge_rate", CONF_INT, &conf.purge_rate, "2000", 0, 1000000, RESTART, NULL,
	    "Files that a partition removes in a second; 0 is no limit." },
	{ "dup_age", CONF_TIME, &conf.dup_age, "24h", 1000, 30 * DAY, RESTART, NULL,
	    "How long a delivery is remembered, so that it is not made twice." },
	{ "max_readers", CONF_INT, &conf.max_readers, "4096", 16, 65536, RESTART, NULL,
	    "Most snapshots of a partition that can be open at the same time." },
	{ "quota_full", CONF_ENUM, &conf.quota_full, "temp", 0, 0, RESTART, "temp|perm",
	    "Whether a full mailbox is a temporary (452) or a permanent (552) failure." },
	{ "socket_mode", CONF_MODE, &conf.socket_mode, "0660", 0, 0, RESTART, NULL,
	    "The mode of the socket stored.sock." },
};

static const struct conf_key partition_keys[] = {
	{ "path", CONF_PATH, (void *)offsetof(struct partition_conf, path), "", 0, 0, RESTART, NULL,
	    "The directory; empty is partition/NAME in the store." },
};

static const struct conf_section sections[] = {
	{ "partition", sizeof(struct partition_conf), partition_keys, NELEM(partition_keys),
	    &conf.partitions, offsetof(struct partition_conf, name), "A partition of the store." },
};

static const struct conf_schema schema = { keys, NELEM(keys), sections, NELEM(sections) };

static const struct metric metrics[] = {
	[M_REQUESTS] = { "stored_requests", COUNTER, "Requests received." },
	[M_DELIVERED] = { "stored_delivered", COUNTER, "Messages delivered, once for each recipient." },
	[M_DUPLICATES] = { "stored_duplicates", COUNTER, "Deliveries that had been made before." },
	[M_APPENDED] = { "stored_appended", COUNTER, "Messages appended by clients." },
	[M_COPIED] = { "stored_copied", COUNTER, "Messages copied or moved." },
	[M_EXPUNGED] = { "stored_expunged", COUNTER, "Messages expunged." },
	[M_PURGED] = { "stored_purged", COUNTER, "Files of expunged messages removed." },
	[M_BATCHES] = { "stored_batches", COUNTER, "Commits." },
	[M_FAILED] = { "stored_failed_batches", COUNTER, "Commits that failed." },
	[M_BYTES] = { "stored_bytes", COUNTER, "Bytes of messages taken in, once for each recipient." },
	[M_CLIENTS] = { "stored_clients", GAUGE, "Connected clients." },
	[M_QUEUED] = { "stored_queued", GAUGE, "Requests that wait for a commit." },
	[M_FULL] = { "stored_full_partitions", GAUGE, "Partitions that take nothing in." },
	[M_COUNT] = { NULL, COUNTER, NULL },
};

static int
start(struct loop *l)
{
	int rc = parts_open(l);

	return rc < 0 ? rc : server_start(l);
}

static void
status(struct buf *out)
{
	server_status(out);
	parts_status(out);
}

static const struct daemon stored = {
	.name = "stored",
	.file = "stored.conf",
	.schema = &schema,
	.metrics = metrics,
	.start = start,
	.drain = server_drain,
	.status = status,
};

int
main(int argc, char **argv)
{
	return daemon_run(&stored, argc, argv);
}
