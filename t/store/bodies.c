/* Small messages are beside the log, and their files are not synced: whatever a power cut leaves of
 * those, what was answered is there. */
#include <sys/vfs.h>

#include "base/crc.h"
#include "service.h"
#include "store/recover.h"
#include "store/steady.h"

#define SMALL 3000
#define MANY  12

static const struct store_limits none;
static char part[150], snapshots[150], index_dir[160];
static uint64_t inbox;
static uint32_t next = 1; /* UID of the message that comes in then */

static void
on_line(void *arg, const char *line)
{
	(void)arg;
	printf("# %s\n", line);
}

/* The n-th message: its bytes say so. */
static const char *
text(unsigned n, size_t size)
{
	static char bytes[1100000];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)('a' + (n * 7 + i / 10) % 26);
	return bytes;
}

/* n messages, one after the other. */
static int
append(unsigned n, size_t size)
{
	int rc = OK;

	for (; n > 0 && rc == OK; n--, next++) {
		struct store_body body = body_with(text(next, size), size);
		struct store_message m = { .body = &body,
			.size = (uint32_t)size,
			.digest = next % 2 ? crc32c(0, text(next, size), size) : 0,
			.internaldate = 1000000000 + next };

		rc = (int)CALL(store_append_start, inbox, &m, 1, none);
	}
	return rc;
}

static void
message(char path[300], unsigned uid)
{
	char command[400];
	FILE *f;

	snprintf(command, sizeof(command), "find %s/=user -name %u.msg", part, uid);
	f = popen(command, "r");
	if (!f || !fgets(path, 300, f))
		path[0] = 0;
	pclose(f);
	path[strcspn(path, "\n")] = 0;
}

/* Messages from..to are as they were handed over, with their dates. */
static unsigned
whole(unsigned from, unsigned to, size_t size)
{
	unsigned n = 0;

	for (unsigned uid = from; uid <= to; uid++) {
		static char bytes[1100000];
		char path[300];
		struct stat st;
		int fd;

		message(path, uid);
		fd = open(path, O_RDONLY);
		n += fd >= 0 && read(fd, bytes, sizeof(bytes)) == (ssize_t)size &&
		    memcmp(bytes, text(uid, size), size) == 0 && fstat(fd, &st) == 0 &&
		    st.st_mtime == 1000000000 + (time_t)uid && (st.st_mode & 07777) == 0640;
		if (fd >= 0)
			close(fd);
	}
	return n;
}

static uint32_t
exists(void)
{
	struct store_reader *reader;
	struct store_view *view;
	struct store_mailbox m = { .exists = 0 };
	char *why = NULL;

	if (store_reader_open(part, &reader, &why) < 0) {
		printf("# %s\n", why);
		free(why);
		return 0;
	}
	view = store_view_new(reader);
	if (store_begin(view) < 0 || store_get_mailbox(view, inbox, &m) < 0)
		m.exists = 0;
	store_end(view);
	store_view_free(&view);
	store_reader_close(&reader);
	return m.exists;
}

static void
shorten(unsigned uid, off_t to)
{
	char path[300];

	message(path, uid);
	if (truncate(path, to) < 0)
		abort();
}

static void
lose(unsigned uid)
{
	char path[300];

	message(path, uid);
	if (unlink(path) < 0)
		abort();
}

static void
spoil(unsigned uid)
{
	char path[300];
	int fd;

	message(path, uid);
	fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, "????", 4, 1000) != 4)
		abort();
	close(fd);
}

/* Another kernel is running when it starts; or this one, and a sync has failed. */
static void
end_badly(bool cut)
{
	struct store_steady s;
	char path[200];
	int fd;

	service_stop(SIGKILL);
	snprintf(path, sizeof(path), "%s/steady", index_dir);
	fd = open(path, O_WRONLY);
	if (fd < 0 || store_steady_read(index_dir, &s) < 0)
		abort();
	if (cut)
		memset(s.boot, 7, sizeof(s.boot));
	s.suspect = !cut;
	if (store_steady_write(fd, &s) < 0)
		abort();
	close(fd);
}

static void
cut_power(void)
{
	end_badly(true);
}

static void
start(void)
{
	service_start();
	service_again();
}

static off_t
journal_size(void)
{
	char path[200];
	struct stat st;

	snprintf(path, sizeof(path), "%s/log/bodies", part);
	return stat(path, &st) < 0 ? -1 : st.st_size;
}

/* Its bytes from `at` on are others. */
static void
journal_spoil(off_t at, size_t n)
{
	char path[200], *bytes = calloc(1, n);
	int fd;

	snprintf(path, sizeof(path), "%s/log/bodies", part);
	fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, bytes, n, at) != (ssize_t)n)
		abort();
	close(fd);
	free(bytes);
}

static uint64_t
journaled(void)
{
	return told_number("metrics", "\ntiermail_stored_journaled_total ");
}

/* ---- what a cut leaves --------------------------------------------------------------------------- */

static void
test_torn(void)
{
	uint32_t first = next, end = next + MANY - 1;

	eq(append(MANY, SMALL), OK, "messages come in");
	eq(journaled(), MANY + 1, "all of them, and the first, without a sync of their files");
	cut_power();
	shorten(first, 0);
	shorten(first + 1, 1234);
	spoil(first + 2);
	lose(first + 3);
	lose(end);
	start();
	eq(exists(), end, "files are torn and gone: none of the messages is");
	eq(whole(first, end, SMALL), MANY, "and each has its bytes and its date");
	eq(told_number("metrics", "\ntiermail_stored_restored_files_total "), 5,
	    "so many were made again");
	service_stop(SIGKILL);
	lose(first + 4);
	start();
	eq(whole(first, end, SMALL), MANY - 1,
	    "a steady point has them: no journal is asked any more");
}

/* The file system has lost the inode. */
static void
test_unreadable(void)
{
	uint32_t first = next;
	char path[300];

	eq(append(2, SMALL), OK, "two more");
	cut_power();
	message(path, first);
	lose(first);
	if (symlink(path, path) < 0)
		abort();
	start();
	eq(whole(first, first + 1, SMALL), 2, "one cannot be read any more: it is made again");
}

/* Its directory too may not have been on disk. */
static void
test_directory(void)
{
	char path[300], command[700];
	uint32_t first = next;

	eq(append(1, SMALL), OK, "one more");
	cut_power();
	message(path, first);
	*strrchr(path, '/') = 0;
	snprintf(command, sizeof(command), "mv %s %s/away", path, dir);
	if (system(command) != 0)
		abort();
	start();
	eq(whole(first, first, SMALL), 1, "its directory is gone: it is made again");
	snprintf(command, sizeof(command), "rm %s/away/%u.msg; mv %s/away/* %s/", dir, first, dir,
	    path);
	if (system(command) != 0)
		abort();
}

static void
test_gone(void)
{
	struct store_range one = { next, next };
	char path[300];

	eq(append(2, SMALL), OK, "two more");
	eq(CALL(store_expunge_start, inbox, &one, 1, true), OK, "the first is expunged");
	(void)AWAIT((message(path, one.first), path[0] == 0));
	eq(path[0], 0, "and purged");
	cut_power();
	start();
	message(path, one.first);
	eq(path[0], 0, "its file is not made again");
	eq(whole(one.first + 1, one.first + 1, SMALL), 1, "the other is there");
}

static void
test_large(void)
{
	uint64_t before = journaled();

	eq(append(1, 65536), OK, "one of 64 KiB");
	eq(journaled(), before + 1, "goes into the journal");
	eq(append(1, 65537), OK, "a larger one");
	eq(journaled(), before + 1, "is synced");
}

/* More than both areas have room for: they are used again. */
static void
test_again(void)
{
	uint32_t first = next, n = 700;

	eq(append(n, 60000), OK, "40 MB come in");
	ok(journal_size() > 0 && journal_size() <= 33 * 1024 * 1024,
	    "the journal keeps to its size");
	cut_power();
	start();
	eq(whole(first, first + n - 1, 60000), n, "all are whole after a cut");
	eq(append(40, 60000), OK, "some more");
	cut_power();
	for (uint32_t uid = first + n; uid < next; uid++)
		shorten(uid, 0);
	start();
	eq(whole(first + n, next - 1, 60000), 40, "those that are torn are made again");
}

/* ---- a journal that is damaged ------------------------------------------------------------------------ */

static void
test_spoilt(void)
{
	uint32_t there = exists(), first = next;

	service_stop(SIGTERM);
	start();
	eq(append(3, SMALL), OK, "three more");
	cut_power();
	journal_spoil((off_t)2 * 4096, SMALL); /* each batch begins at a page */
	lose(first + 2);
	start();
	eq(exists(), there + 2, "neither file nor journal has the last one: it was never answered");
	eq(whole(first, first + 1, SMALL), 2, "the others are whole");
	next = first + 2;
	eq(append(2, SMALL), OK, "its number is given again");
	cut_power();
	journal_spoil(0, SMALL);
	lose(first + 2);
	start();
	eq(exists(), there + 4, "one in the middle costs no other message");
	eq(whole(first + 3, first + 3, SMALL), 1, "the one behind it is whole");
}

/* The index is lost, and made again from the log. */
static int
recover(void)
{
	struct store_recover r = { .path = part,
		.snapshots = snapshots,
		.map_size = 1 << 28,
		.tell = on_line };
	char *why = NULL, path[200];
	int rc;

	snprintf(path, sizeof(path), "%s/data.mdb", index_dir);
	if (truncate(path, 100) < 0)
		abort();
	rc = store_recover(&r, &why);
	if (why)
		printf("# %s\n", why);
	free(why);
	return rc;
}

static struct stat
look(unsigned uid)
{
	struct stat st = { 0 };
	char path[300];

	message(path, uid);
	if (stat(path, &st) < 0)
		abort();
	return st;
}

static void
test_recover(void)
{
	uid_t owner = geteuid() ? geteuid() : 65534;
	uint32_t first = next;

	eq(append(3, SMALL), OK, "three more");
	cut_power();
	shorten(first, 0);
	lose(first + 2);
	if (chown(part, owner, (gid_t)-1) < 0)
		abort();
	eq(recover(), 0, "the index is lost, and made again from the log");
	ok(look(first).st_uid == owner && look(first + 2).st_uid == owner,
	    "with files of whom the partition belongs to");
	if (chown(part, geteuid(), (gid_t)-1) < 0)
		abort();
	start();
	eq(whole(first, first + 2, SMALL), 3, "that were not on disk");
}

/* A snapshot has what no steady point has yet, and the log is in later segments by then. */
static void
test_recover_snapshot(void)
{
	uint32_t first = next, n = 40;

	eq(append(n, 100), OK, "more than a segment of the log comes in");
	eq(CALL(store_snapshot_start, S("primary")), OK, "a snapshot is taken");
	eq(append(2, 100), OK, "two more");
	cut_power();
	lose(first);
	shorten(first + 1, 50);
	lose(first + n + 1);
	eq(recover(), 0, "the index is made again from that");
	start();
	eq(whole(first, first + n + 1, 100), n + 2, "with the files that no point had");
}

static void
test_recover_doubt(void)
{
	uint32_t first = next;
	ino_t before;

	eq(append(2, SMALL), OK, "two more");
	before = look(first).st_ino;
	end_badly(false);
	eq(recover(), 0, "a sync has failed, and the index is made again");
	ok(look(first).st_ino != before, "and so are files, whatever the kernel shows of them");
	start();
	eq(whole(first, first + 1, SMALL), 2, "all are there");
}

/* A body of the first partition for a mailbox in the second, without a date: that of its coming. */
static void
test_copied(void)
{
	struct store_body body;
	struct store_message m = { .body = &body, .size = SMALL };
	uint64_t box;

	eq(CALL(store_account_start, S("two@example.test"), S("second")), OK,
	    "an account elsewhere");
	box = last.mailbox;
	slice_cstr(slice_str(last_path), part, sizeof(part));
	snprintf(index_dir, sizeof(index_dir), "%s/index", part);
	for (unsigned uid = 1; uid <= 2; uid++) {
		body = body_with(text(uid, SMALL), SMALL);
		m.digest = crc32c(0, text(uid, SMALL), SMALL);
		eq(CALL(store_append_start, box, &m, 1, none), OK, "has a message copied");
	}
	cut_power();
	lose(2);
	start();
	ok(labs(look(1).st_mtime - time(NULL)) < 300, "its file has the date of its coming");
	ok(labs(look(2).st_mtime - time(NULL)) < 300, "and so has one that was made again");
}

int
main(int argc, char **argv)
{
	char socket_path[100];
	struct statfs st;

	(void)argc;
	log_init("bodies", LOG_TO_STDERR, LOG_ERROR);
	setenv("TMPDIR", "/var/tmp", 1); /* a disk, wherever others write */
	if (statfs("/var/tmp", &st) < 0 || st.f_type != 0xef53) {
		printf("1..0 # SKIP /var/tmp is not on ext4\n");
		return 0;
	}
	service_find(argv[0]);
	service_prepare(
	    "map_size = 256M\nmin_free = 0\nsnapshot_interval = 0\ncleanup_age = 0\n"
	    "steady_interval = 3600s\nlog_segment = 8K\n[partition second]\npath = other\n");
	snprintf(part, sizeof(part), "%s/store/partition/primary", dir);
	snprintf(snapshots, sizeof(snapshots), "%s/store/snapshot/primary", dir);
	snprintf(index_dir, sizeof(index_dir), "%s/index", part);
	service_start();
	loop_init(&loop);
	snprintf(socket_path, sizeof(socket_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket_path, "bodies");
	CALL(store_account_start, S("joe@example.test"), S(""));
	inbox = last.mailbox;
	eq(append(1, SMALL), OK, "the first message");
	test_torn();
	test_unreadable();
	test_directory();
	test_gone();
	test_large();
	test_again();
	test_spoilt();
	test_recover();
	test_recover_snapshot();
	test_recover_doubt();
	test_copied();
	service_stop(SIGTERM);
	service_remove();
	return done();
}
