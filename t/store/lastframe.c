/* The last frame of the log, done again when files of its batch are gone or cannot be read: no other
 * message may go with them that was answered. */
#include <stdlib.h>

#include "base/crc.h"
#include "service.h"
#include "store/recover.h"
#include "store/steady.h"

#define MESSAGES 8

static const struct store_limits none;
static char part[150], snapshots[150], index_dir[160];
static uint64_t inbox;

static void
on_line(void *arg, const char *line)
{
	(void)arg;
	printf("# %s\n", line);
}

/* One batch of several messages; 0: stored has to make the checksum of each itself. */
static void
append(uint32_t digest)
{
	struct store_body bodies[MESSAGES];
	struct store_message m[MESSAGES];

	for (int i = 0; i < MESSAGES; i++) {
		bodies[i] = body_with("some text", 9);
		m[i] = (struct store_message){ .body = &bodies[i], .size = 9, .digest = digest };
	}
	eq(CALL(store_append_start, inbox, m, MESSAGES, none), OK, "a batch is answered");
}

static int
append_one(uint32_t digest)
{
	struct store_body body = body_with("some text", 9);
	struct store_message m = { .body = &body, .size = 9, .digest = digest };

	return (int)CALL(store_append_start, inbox, &m, 1, none);
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

/* The path of the message with the UID. */
static void
message(char path[300], unsigned uid)
{
	char command[400];
	FILE *f;

	snprintf(command, sizeof(command), "find %s -name %u.msg", part, uid);
	f = popen(command, "r");
	if (!f || !fgets(path, 300, f))
		abort();
	pclose(f);
	path[strcspn(path, "\n")] = 0;
}

/* Its last page has not reached the disk. */
static void
tear(const char *path)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || pwrite(fd, "\0\0\0\0", 4, 5) != 4)
		abort();
	close(fd);
}

static void
cut_power(void)
{
	struct store_steady s;
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/steady", index_dir);
	fd = open(path, O_WRONLY);
	if (fd < 0 || store_steady_read(index_dir, &s) < 0)
		abort();
	memset(s.boot, 7, sizeof(s.boot));
	if (store_steady_write(fd, &s) < 0)
		abort();
	close(fd);
}

static void
start(void)
{
	service_start();
	service_again();
}

static void
recover(void)
{
	struct store_recover r = { .path = part,
		.snapshots = snapshots,
		.map_size = 1 << 28,
		.tell = on_line };
	char *why = NULL;

	eq(store_recover(&r, &why), 0, "the index is made again");
	if (why)
		printf("# %s\n", why);
	free(why);
}

int
main(int argc, char **argv)
{
	char socket_path[100], path[300];

	(void)argc;
	log_init("lastframe", LOG_TO_STDERR, LOG_ERROR);
	service_find(argv[0]);
	service_prepare("map_size = 256M\nmin_free = 0\nsnapshot_interval = 0\n"
			"steady_interval = 3600s\nlog_bodies = 0\n");
	snprintf(part, sizeof(part), "%s/store/partition/primary", dir);
	snprintf(snapshots, sizeof(snapshots), "%s/store/snapshot/primary", dir);
	snprintf(index_dir, sizeof(index_dir), "%s/index", part);
	service_start();
	loop_init(&loop);
	snprintf(socket_path, sizeof(socket_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket_path, "lastframe");
	CALL(store_account_start, S("joe@example.test"), S(""));
	inbox = last.mailbox;

	append(0);
	service_stop(SIGTERM);
	message(path, 2);
	unlink(path);
	recover();
	eq(exists(), MESSAGES, "a file lost after a good end costs no other message");

	start();
	append(0);
	service_stop(SIGKILL);
	cut_power();
	message(path, MESSAGES + 2);
	unlink(path);
	if (symlink(path, path) < 0)
		abort();
	start();
	eq(exists(), 2 * MESSAGES, "nor does one that cannot be read after a power cut");
	append(0);
	service_stop(SIGKILL);
	cut_power();
	message(path, 2 * MESSAGES + 2);
	unlink(path);
	start();
	eq(exists(), 2 * MESSAGES, "one that is not there says that the batch was not synced");
	append(crc32c(0, "some text", 9));
	service_stop(SIGKILL);
	cut_power();
	start();
	eq(exists(), 3 * MESSAGES, "files have the checksum that came with their bodies");
	append(crc32c(0, "some text", 9));
	service_stop(SIGKILL);
	cut_power();
	message(path, 3 * MESSAGES + 2);
	tear(path);
	start();
	eq(exists(), 3 * MESSAGES, "one that has not says that the batch was not synced");
	ok(append_one(7) != OK, "a body whose checksum is another's is refused");
	ok(append_one(7) != OK, "and so is every one after it");
	eq(append_one(crc32c(0, "some text", 9)), OK, "others are not");
	service_stop(SIGTERM);
	service_remove();
	return done();
}
