/* stored/main.c: metrics, paths, tables, and one call: see stored(8).
 *
 * Owns nothing but the tables; server.c has the socket, parts.c the partitions.  Called by
 * lib/daemon.  A start fails when a partition's name or a peer of the configuration is wrong.
 * Folders are made before the process confines itself, for a path that is missing then cannot be
 * allowed. */
#include "daemon/program.h"
#include "stored.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/files.h"
#include "base/log.h"
#include "base/mem.h"

/* clang-format off */
static const struct metric metrics[] = {
	[M_REQUESTS] = { "stored_requests", COUNTER, "Requests received." },
	[M_DELIVERED] = { "stored_delivered", COUNTER, "Messages delivered, once for each recipient." },
	[M_DUPLICATES] = { "stored_duplicates", COUNTER, "Deliveries that had been made before." },
	[M_JOINED] = { "stored_thread_joined", COUNTER, "Messages that came into a thread that was there." },
	[M_APPENDED] = { "stored_appended", COUNTER, "Messages appended by clients." },
	[M_SEEN] = { "stored_seen", COUNTER, "Times that a reader has marked mail of somebody else for himself." },
	[M_COPIED] = { "stored_copied", COUNTER, "Messages copied or moved." },
	[M_EXPUNGED] = { "stored_expunged", COUNTER, "Messages expunged." },
	[M_PURGED] = { "stored_purged", COUNTER, "Files of expunged messages removed." },
	[M_BATCHES] = { "stored_batches", COUNTER, "Commits." },
	[M_FAILED] = { "stored_failed_batches", COUNTER, "Commits that failed." },
	[M_LONGEST] = { "stored_longest_batch_seconds", GAUGE_US, "The longest commit since the start." },
	[M_LONGEST_CPU] = { "stored_longest_batch_cpu_seconds", GAUGE_US, "The same in CPU time of its thread, of any commit." },
	[M_POINTS] = { "stored_steady_points", COUNTER, "Syncs of an index." },
	[M_JOURNALED] = { "stored_journaled", COUNTER, "Messages that came in without a sync of their own file." },
	[M_RESTORED] = { "stored_restored_files", COUNTER, "Message files made again at the start." },
	[M_REDONE] = { "stored_redone_batches", COUNTER, "Batches done again from the log at the start." },
	[M_BYTES] = { "stored_bytes", COUNTER, "Bytes of messages taken in, once for each recipient." },
	[M_FORBIDDEN] = { "stored_forbidden", COUNTER,
	    "Requests refused because the program or the actor may not make them." },
	[M_CLIENTS] = { "stored_clients", GAUGE, "Connected clients." },
	[M_QUEUED] = { "stored_queued", GAUGE, "Requests that wait for a commit." },
	[M_BUSY] = { "stored_busy", COUNTER, "Requests refused because too many of their account waited." },
	[M_UNMOVED] = { "stored_unmoved", GAUGE, "Folders whose directories could not be moved yet." },
	[M_UNLINKED] = { "stored_unlinked", GAUGE, "Parts of copies, of up to 1,000 messages, whose files are still to be made." },
	[M_INDEX_USED] = { "stored_index_used_bytes", GAUGE, "Used of all indexes; freed pages count." },
	[M_INDEX_SIZE] = { "stored_index_size_bytes", GAUGE, "What all indexes can grow to (map_size)." },
	[M_DAMAGED] = { "stored_damaged_records", GAUGE,
	    "Records of accounts and mailboxes that were found damaged and are not mended yet." },
	[M_DISK_FREE] = { "stored_disk_free_bytes", GAUGE, "Free on the disk of the partition that has least." },
	[M_DISK_SIZE] = { "stored_disk_size_bytes", GAUGE, "The size of that disk." },
	[M_OVER_QUOTA] = { "stored_over_quota", COUNTER,
	    "Times that something did not fit into a quota, refused or (quota_enforce) not." },
	[M_OVER_DOMAIN] = { "stored_over_domain_quota", COUNTER,
	    "Of these: that had room in their own, and none in their domain's." },
	[M_OVER_FOLDER] = { "stored_over_folder_quota", COUNTER,
	    "Of these: that did not fit into their folder's own; mail went to INBOX." },
	[M_WARNED] = { "stored_quota_warnings", COUNTER, "Users told that little room is left." },
	[M_EVENTS] = { "stored_events", COUNTER, "Rows of what scripts are to hear of." },
	[M_EVENTS_LOST] = { "stored_events_lost", COUNTER, "Those for which there was no room: nobody has taken the others." },
	[M_ERASED] = { "stored_erased", COUNTER, "Accounts deleted." },
	[M_RENAMED] = { "stored_renamed", COUNTER, "Accounts that got another name." },
	[M_FULL] = { "stored_full_partitions", GAUGE, "Partitions that take nothing in." },
	[M_COUNT] = { NULL, COUNTER, NULL },
};
/* clang-format on */

static int
stored_start(struct loop *l)
{
	struct buf why = { 0 };
	int rc = peers_load(&why) ? parts_open(l) : -EINVAL;

	if (why.n)
		log_event(LOG_ERROR, "store_peers", "error=%s", log_value(buf_get(&why)));
	buf_fini(&why);

	return rc < 0 ? rc : server_start(l);
}

static int
stored_disk(void *arg, const char *name UNUSED, const char *path)
{
	struct statvfs *least = arg, st;

	if (statvfs(path, &st) == 0 &&
	    (least->f_frsize == 0 || st.f_bavail * st.f_frsize < least->f_bavail * least->f_frsize))
		*least = st;
	return 0;
}

/* Also of a store that rests: others fill its disk. */
static void
stored_gauges(void)
{
	struct statvfs least = { 0 };

	(void)!store_conf_partitions(stored_disk, &least);
	metric_set(M_DISK_FREE, (int64_t)(least.f_bavail * least.f_frsize));
	metric_set(M_DISK_SIZE, (int64_t)(least.f_blocks * least.f_frsize));
}

static void
stored_status(struct buf *out)
{
	server_status(out);
	parts_status(out);
}

struct place {
	const char *name, *path;
	struct buf *why;
};

/* Two partitions in one place would be two writers of one index. */
static int
stored_check_place(void *arg, const char *name, const char *path)
{
	const struct place *other = arg;
	char *file;

	if (strcmp(name, other->name) == 0)
		return 1; /* each pair once */
	if (strcmp(path, other->path) != 0)
		return 0;
	file = daemon_conf_path("stored.conf");
	buf_printf(other->why, "%s: [partition %s] path = %s: [partition %s] has it already\n",
	    file, other->name, path, name);
	mem_free(&file);
	return -EINVAL;
}

/* A partition is a folder of its name, and a word in logs and in mailMessageStore. */
static int
stored_check_name(void *arg, const char *name, const char *path)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	struct buf *why = arg;
	struct place place = { name, path, why };
	char *file;

	if (name[0] != '.' && name[0] && name[strspn(name, letters)] == '\0') {
		int rc = store_conf_partitions(stored_check_place, &place);

		return rc < 0 ? rc : 0;
	}
	file = daemon_conf_path("stored.conf");
	buf_printf(why, "%s: [partition %s]: a name is made of letters, digits, _ - .\n", file,
	    name);
	mem_free(&file);
	return -EINVAL;
}

static bool
stored_check(struct buf *why)
{
	bool good = store_conf_partitions(stored_check_name, why) >= 0;

	return peers_load(why) && good;
}

static int
stored_path(void *arg UNUSED, const char *name UNUSED, const char *path)
{
	(void)!files_make_dirs(path, 0750); /* what is missing shows when it is opened */
	sandbox_write(path);
	return 0;
}

static void
stored_paths(void)
{
	(void)!store_conf_partitions(stored_path, NULL);
}

static const struct program stored_program = {
	.name = "stored",
	.about = "the only writer of the message store",
	.may = "store",
	.file = "stored.conf",
	.schema = &store_conf_schema,
	.metrics = metrics,
	.gauges = stored_gauges,
	.start = stored_start,
	.drain = server_drain,
	.status = stored_status,
	.paths = stored_paths,
	.check = stored_check,
};

int
main(int argc, char **argv)
{
	return program_run(&stored_program, argc, argv);
}
