/* The keys of stored.conf, where partitions and their snapshots are, and the size of a map.
 *
 * Owns stored_conf.  Called by stored and storectl, which must find the same partitions: the
 * default one is there even when no section names it.  A walk ends at the first caller that says
 * so; nothing else fails.  Sizes are whole pages of any machine, as a map must be. */
#include <stddef.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/mem.h"
#include "store/config.h"

struct stored_conf stored_conf;

#define DAY ((int64_t)86400000)
#define GIB ((int64_t)1 << 30)

/* clang-format off */
static const struct conf_key keys[] = {
	{ "default_partition", CONF_STR, &stored_conf.default_partition, "primary", 0, 0, RESTART, NULL,
	    "The partition of a new account that names none." },
	{ "map_size", CONF_SIZE, &stored_conf.map_size, "0", 0, 4096 * GIB, RESTART, NULL,
	    "The largest size that the index of a partition can grow to; 0 is that of its disk." },
	{ "min_free", CONF_SIZE, &stored_conf.min_free, "64M", 0, 4096 * GIB, RESTART, NULL,
	    "Free space of a partition below which no mail is taken in." },
	{ "cleanup_age", CONF_TIME, &stored_conf.cleanup_age, "1h", 0, 365 * DAY, RESTART, NULL,
	    "How long the file of an expunged message stays readable." },
	{ "purge_rate", CONF_INT, &stored_conf.purge_rate, "2000", 0, 1000000, RESTART, NULL,
	    "Files that a partition removes in a second; 0 is no limit." },
	{ "slice", CONF_TIME, &stored_conf.slice, "5ms", 0, 1000, RESTART, NULL,
	    "How long a job with many messages goes on before others have a turn; 0 is 32 UIDs." },
	{ "check_rate", CONF_SIZE, &stored_conf.check_rate, "64M", 0, 4096 * GIB, RELOAD, NULL,
	    "Bytes of messages that storectl check --bodies reads in a second; 0 is no limit." },
	{ "dup_age", CONF_TIME, &stored_conf.dup_age, "24h", 1000, 30 * DAY, RESTART, NULL,
	    "How long a delivery is remembered, so that it is not made twice." },
	{ "max_readers", CONF_INT, &stored_conf.max_readers, "4096", 16, 65536, RESTART, NULL,
	    "Most snapshots of a partition that can be open at the same time." },
	{ "log", CONF_BOOL, &stored_conf.log, "yes", 0, 0, RESTART, NULL,
	    "Whether changes of the index are also written to the operation log." },
	{ "log_segment", CONF_SIZE, &stored_conf.log_segment, "64M", 4096, 4 * GIB, RESTART, NULL,
	    "The size from which the log goes on in another file." },
	{ "log_bodies", CONF_SIZE, &stored_conf.log_bodies, "64K", 0, 1024 * 1024, RESTART, NULL,
	    "The largest message whose bytes also go beside the log, so that its file needs no sync." },
	{ "snapshot_interval", CONF_TIME, &stored_conf.snapshot_interval, "24h", 0, 365 * DAY, RESTART, NULL,
	    "How often the index of a partition is copied; 0 is only when asked." },
	{ "steady_interval", CONF_TIME, &stored_conf.steady_interval, "1s", 10, 3600 * 1000, RESTART, NULL,
	    "How often a changed index is synced; the log is with each change." },
	{ "quota_full", CONF_ENUM, &stored_conf.quota_full, "temporary", 0, 0, RESTART, "temporary|permanent",
	    "Whether a full mailbox is a temporary (452) or a permanent (552) failure." },
	{ "quota_enforce", CONF_BOOL, &stored_conf.quota_enforce, "yes", 0, 0, RESTART, NULL,
	    "Whether a full mailbox takes nothing more; else it is only counted and warned of." },
	{ "quota_overdraft", CONF_BOOL, &stored_conf.quota_overdraft, "no", 0, 0, RESTART, NULL,
	    "Whether the message that makes a mailbox full is still delivered." },
	{ "quota_grace", CONF_TIME, &stored_conf.quota_grace, "0", 0, 365 * DAY, RESTART, NULL,
	    "How long mail for a full mailbox is refused for now, until for good; 0 is for ever." },
	{ "quota_warn", CONF_INT, &stored_conf.quota_warn, "0", 0, 100, RESTART, NULL,
	    "Percent of a limit at which the user gets a warning; 0 is never." },
	{ "quota_text", CONF_PATH, &stored_conf.quota_text, "", 0, 0, RESTART, "file",
	    "A file with the Subject field and the text of that warning; empty is our own." },
	{ "share_anyone", CONF_BOOL, &stored_conf.share_anyone, "no", 0, 0, RESTART, NULL,
	    "Whether people may share a mailbox with everybody." },
	{ "share_seen", CONF_BOOL, &stored_conf.share_seen, "no", 0, 0, RESTART, NULL,
	    "Whether one \\Seen is for all who read a shared mailbox; else each has his own." },
	{ "events", CONF_ENUM, &stored_conf.events, "scripts", 0, 0, RESTART, "scripts|junk|all",
	    "What imapd hears of: mailboxes with a script, also Junk for all, or everything." },
	{ "expire_rules", CONF_PATH, &stored_conf.expire_rules, "", 0, 0, RELOAD, NULL,
	    "The rules of storectl expire; empty is store.expirerule beside tiermail.conf." },
	{ "expire_users", CONF_PATH, &stored_conf.expire_users, "", 0, 0, RELOAD, NULL,
	    "The folder with rules that people have written; empty: they have none." },
	{ "expire_rate", CONF_INT, &stored_conf.expire_rate, "0", 0, 1000000, RELOAD, NULL,
	    "Messages that storectl expire takes in a second from a partition; 0 is no limit." },
	{ "peer.lmtpd", CONF_LIST, &stored_conf.peers[0], "", 0, 0, RESTART, NULL,
	    "Users, by name or number, whose processes may deliver." },
	{ "peer.imapd", CONF_LIST, &stored_conf.peers[1], "", 0, 0, RESTART, NULL,
	    "Users whose processes may do what a person does to mailboxes." },
	{ "peer.pop3d", CONF_LIST, &stored_conf.peers[2], "", 0, 0, RESTART, NULL,
	    "Users whose processes may flag and expunge." },
	{ "peer.jmapd", CONF_LIST, &stored_conf.peers[3], "", 0, 0, RESTART, NULL,
	    "Users whose processes may do what a person does to mailboxes." },
	{ "peer.storectl", CONF_LIST, &stored_conf.peers[4], "", 0, 0, RESTART, NULL,
	    "Users who may repair." },
	{ "socket_mode", CONF_MODE, &stored_conf.socket_mode, "0660", 0, 0, RESTART, NULL,
	    "The mode of the socket stored.sock." },
};
/* clang-format on */

static const struct conf_key partition_keys[] = {
	{ "path", CONF_PATH, (void *)offsetof(struct partition_conf, path), "", 0, 0, RESTART, NULL,
	    "The directory; empty is partition/NAME in the store." },
};

/* clang-format off */
static const struct conf_section sections[] = {
	{ "partition", sizeof(struct partition_conf), partition_keys, NELEM(partition_keys),
	    &stored_conf.partitions, offsetof(struct partition_conf, name), "A partition of the store." },
};
/* clang-format on */

const struct conf_schema store_conf_schema = { keys, NELEM(keys), sections, NELEM(sections) };

static int
call(int (*fn)(void *arg, const char *name, const char *path), void *arg, const char *name,
    const char *conf_path)
{
	char *path =
	    *conf_path ? mem_str(conf_path) : mem_printf("%s/partition/%s", shared.store, name);
	int rc = fn(arg, name, path);

	mem_free(&path);
	return rc;
}

int
store_conf_partitions(int (*fn)(void *arg, const char *name, const char *path), void *arg)
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
store_conf_snapshots(const char *partition)
{
	return mem_printf("%s/snapshot/%s", shared.store, partition);
}

uint64_t
store_map_size(const char *path, uint64_t configured)
{
	struct statvfs st;
	uint64_t size = STORE_MAP_MOST;

	if (configured)
		return configured < STORE_MAP_SMALLEST ? STORE_MAP_SMALLEST : configured;
	if (statvfs(path, &st) == 0)
		size = (uint64_t)st.f_blocks * st.f_frsize;
	size = size < STORE_MAP_MOST / STORE_MAP_DISKS ? size * STORE_MAP_DISKS : STORE_MAP_MOST;
	size &= ~(uint64_t)0xffff; /* whole pages of any machine */
	return size < STORE_MAP_LEAST ? STORE_MAP_LEAST :
	    size > STORE_MAP_MOST     ? STORE_MAP_MOST :
					size;
}
