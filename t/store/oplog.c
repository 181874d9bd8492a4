/* The operation log: frames, torn and damaged ones, index blocks, and a recovery of a stored
 * whose index is gone. */
#include <dirent.h>

#include "service.h"
#include "store/check.h"
#include "store/oplog.h"
#include "store/recover.h"

/* ---- bytes ------------------------------------------------------------------------------------ */

static void
frame_add(struct buf *log, uint64_t batch, const char *key, const char *value)
{
	struct buf b = { 0 };
	struct oplog_op op = { OPLOG_PUT, STORE_T_SUB, slice_str(key), slice_str(value) };

	oplog_begin(&b);
	oplog_op_write(&b, &op);
	op = (struct oplog_op){ OPLOG_DEL, STORE_T_NAME, slice_str(key), slice(NULL, 0) };
	oplog_op_write(&b, &op);
	oplog_finish(&b, batch, 1000 + (int64_t)batch);
	buf_slice(log, buf_get(&b));
	buf_fini(&b);
}

static void
test_frames(void)
{
	struct buf log = { 0 };
	struct oplog_frame f;
	struct oplog_op op;
	size_t at = 0, skipped, first;

	frame_add(&log, 7, "key", "value");
	first = log.n;
	frame_add(&log, 8, "another key", "");
	frame_add(&log, 9, "third", "x");
	eq(oplog_frame_parse(buf_get(&log), &f), 0, "a frame");
	ok(f.batch == 7 && f.at == 1007 && f.size == first, "with its batch, time and size");
	eq(oplog_op_parse(&f.ops, &op), 1, "has an operation");
	ok(op.kind == OPLOG_PUT && op.table == STORE_T_SUB && slice_eq(op.key, S("key")) &&
	    slice_eq(op.value, S("value")), "as it was written");
	ok(oplog_op_parse(&f.ops, &op) == 1 && op.kind == OPLOG_DEL && op.value.n == 0, "and another");
	eq(oplog_op_parse(&f.ops, &op), 0, "and no more");
	for (size_t n = 0; n < first; n++)
		if (oplog_frame_parse(slice(log.p, n), &f) != -EAGAIN) {
			ok(false, "cut off at %zu", n);
			break;
		}
	ok(true, "cut off anywhere it waits for more");

	for (uint64_t batch = 7; batch <= 9; batch++)
		ok(oplog_next(buf_get(&log), &at, &f, &skipped) && f.batch == batch && skipped == 0,
		    "batch %llu in turn", (unsigned long long)batch);
	ok(!oplog_next(buf_get(&log), &at, &f, &skipped) && at == log.n, "the end");

	at = 0;
	for (int i = 0; i < 2; i++)
		ok(oplog_next(slice(log.p, log.n - 1), &at, &f, &skipped), "a torn log: frame %d", i);
	ok(!oplog_next(slice(log.p, log.n - 1), &at, &f, &skipped) && at < log.n - 1,
	    "its tail is left out, and where it begins is known");

	log.p[first + sizeof(struct oplog_head) + 9] ^= 1;
	at = 0;
	ok(oplog_next(buf_get(&log), &at, &f, &skipped) && f.batch == 7, "before a damaged frame");
	ok(oplog_next(buf_get(&log), &at, &f, &skipped) && f.batch == 9 && skipped > 0,
	    "the next good one is found behind it");
	buf_fini(&log);
}

static void
test_blocks(void)
{
	struct store_record rec[3] = { { .uid = 33, .size = 1 }, { .uid = 35, .size = 2 },
		{ .uid = 34, .size = 3 } };
	const uint32_t gone[] = { 33, 34, 70 }, only = 35;
	struct buf a = { 0 }, b = { 0 };
	const struct store_record *got;
	uint8_t key[12];
	struct oplog_op op = { OPLOG_RECORDS, STORE_T_INDEX, slice((char *)key, 12),
		slice((char *)rec, 2 * sizeof(rec[0])) };
	size_t n;

	store_be64(key, 5);
	store_be32(key + 8, 1);
	eq(oplog_block_change(&op, slice(NULL, 0), &a), 0, "records into an empty block");
	op.value = slice((char *)&rec[2], sizeof(rec[0]));
	eq(oplog_block_change(&op, buf_get(&a), &b), 0, "one more between them");
	got = store_block_parse(buf_get(&b), &n);
	ok(got && n == 3 && got[0].uid == 33 && got[1].uid == 34 && got[2].uid == 35, "in order");
	ok(oplog_block_change(&op, buf_get(&b), &a) == 0 && slice_eq(buf_get(&a), buf_get(&b)),
	    "twice is once");
	op.kind = OPLOG_GONE;
	op.value = slice((const char *)gone, sizeof(gone));
	ok(oplog_block_change(&op, buf_get(&b), &a) == -EBADMSG, "a UID of another block is refused");
	op.value.n = 8;
	ok(oplog_block_change(&op, buf_get(&b), &a) == 0 && store_block_parse(buf_get(&a), &n) && n == 1,
	    "two are gone");
	op.value = slice((const char *)&only, 4);
	ok(oplog_block_change(&op, buf_get(&a), &b) == 0 && b.n == 0, "the last one takes the block along");
	buf_fini(&a);
	buf_fini(&b);
}

/* ---- a lost index ------------------------------------------------------------------------------------ */

static char part[150], snapshots[150];

static void
on_line(void *arg, const char *line)
{
	(void)arg;
	printf("# %s\n", line);
}

static int
run_recover(struct store_recover *r, bool force)
{
	char *why = NULL;
	int rc;

	*r = (struct store_recover){ .path = part, .snapshots = snapshots, .map_size = 1 << 30,
		.force = force, .tell = on_line };
	rc = store_recover(r, &why);
	if (why)
		printf("# %s\n", why);
	mem_free(&why);
	return rc;
}

static size_t
findings(void)
{
	struct store_check c = { .found = on_line };
	char *why = NULL;

	if (store_check_partition(part, slice(NULL, 0), &c, &why) < 0) {
		printf("# %s\n", why);
		mem_free(&why);
		return 999;
	}
	printf("# %llu messages\n", (unsigned long long)c.messages);
	return c.findings;
}

/* The record of a mailbox, of its account and all of its messages. */
static void
state_of(uint64_t mailbox, struct buf *out)
{
	struct store_reader *r;
	struct store_mailbox m;
	struct store_blocks b;
	const struct store_record *rec;
	struct store_view *v;
	char *why = NULL;
	size_t n;

	buf_clear(out);
	if (store_reader_open(part, &r, &why) < 0)
		abort();
	v = store_view_new(r);
	if (store_begin(v) == 0 && store_get_mailbox(v, mailbox, &m) == 0) {
		buf_printf(out, "%u %u %u %u %llu %llu %.*s ", m.uidvalidity, m.uidnext, m.exists, m.unseen,
		    (unsigned long long)m.highestmodseq, (unsigned long long)m.bytes, SARG(m.name));
		store_blocks_init(&b, v, mailbox, 1, UINT32_MAX);
		while ((rec = store_blocks_next(&b, &n)))
			buf_add(out, rec, n * sizeof(*rec));
	}
	store_view_free(&v);
	store_reader_close(&r);
}

static void
wait_up(void)
{
	for (int i = 0; i < 200 && ping() != OK; i++)
		usleep(20000);
}

static int
deliver(const char *account)
{
	struct store_body body = body_with("log me", 6);
	struct store_message m = { .body = &body, .size = 6, .cache = S("cache") };
	struct store_target t = { .account = slice_str(account) };

	return CALL(store_deliver_start, &m, &t, 1);
}

static void
flag(uint64_t mailbox, uint32_t uid, uint16_t flags)
{
	struct store_range r = { uid, uid };
	struct store_change f = { .how = STORE_ADD, .flags = flags, .keywords = S("$Work") };

	CALL(store_flags_start, mailbox, &r, 1, &f);
}

static void
destroy_index(void)
{
	char path[200];
	int fd;

	snprintf(path, sizeof(path), "%s/index/data.mdb", part);
	fd = open(path, O_WRONLY);
	for (int i = 0; fd >= 0 && i < 16; i++)
		if (pwrite(fd, "garbage that is no index........", 32, i * 512) != 32)
			abort();
	if (fd >= 0)
		close(fd);
}

static size_t
count(const char *directory, const char *end)
{
	struct dirent *e;
	DIR *d = opendir(directory);
	size_t n = 0;

	while (d && (e = readdir(d)))
		n += slice_ends(slice_str(e->d_name), slice_str(end));
	if (d)
		closedir(d);
	return n;
}

/* The last segment; its size. */
static off_t
segment(char path[200])
{
	struct stat st = { 0 };

	for (unsigned n = 1; n < 1000; n++) {
		struct stat at;
		char name[200];

		snprintf(name, sizeof(name), "%s/log/" OPLOG_SEGMENT, part, n);
		if (stat(name, &at) == 0) {
			memcpy(path, name, sizeof(name));
			st = at;
		}
	}
	return st.st_size;
}

static void
test_recover(void)
{
	struct buf before = { 0 }, after = { 0 };
	struct store_range two = { 2, 3 };
	struct store_recover r;
	uint64_t inbox, account;
	char path[200], byte;
	off_t size;
	int fd;

	for (int i = 0; i < 40; i++)
		if (deliver("joe@example.test") != OK)
			ok(false, "delivery %d", i);
	inbox = last_results[0].mailbox;
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	flag(inbox, 1, STORE_SEEN);
	eq(run_recover(&r, false), -EBUSY, "no recovery beside a stored that works");
	eq(CALL(store_expunge_start, inbox, &two, 1, true), OK, "some expunged");
	state_of(inbox, &before);

	service_stop(SIGKILL);
	destroy_index();
	eq(run_recover(&r, false), 0, "from the log alone");
	ok(r.from == 0 && r.batches > 40, "batch by batch");
	service_start();
	wait_up();
	state_of(inbox, &after);
	ok(before.n > 1000 && slice_eq(buf_get(&before), buf_get(&after)), "everything is as it was");
	eq(findings(), 0, "the check finds nothing");

	eq(CALL(store_snapshot_start, S("primary")), OK, "a snapshot");
	ok(access(last_path, R_OK) == 0, "is a file");
	eq(CALL(store_snapshot_start, S("nowhere")), PERM, "not of a partition that is not");
	for (int i = 0; i < 30; i++)
		deliver("joe@example.test");
	flag(inbox, 50, STORE_FLAGGED);
	eq(CALL(store_create_start, account, S("Work/Box"), STORE_USE_NONE), OK, "a folder");
	eq(CALL(store_rename_start, account, S("Work"), S("Play")), OK, "renamed");
	state_of(inbox, &before);
	service_stop(SIGKILL);
	destroy_index();
	size = segment(path);
	fd = open(path, O_RDWR);
	if (fd < 0 || pwrite(fd, "TLOG torn", 9, size) != 9)
		abort();
	eq(run_recover(&r, false), 0, "from a snapshot and a log with a torn tail");
	ok(r.from > 0 && r.batches > 30 && r.batch == r.from + r.batches, "only what came after it");
	service_start();
	wait_up();
	state_of(inbox, &after);
	ok(slice_eq(buf_get(&before), buf_get(&after)), "everything is as it was");
	eq(findings(), 0, "the check finds nothing");
	ok(segment(path) <= size, "the torn tail is gone");

	close(fd);
	do /* until there is room for some more in the segment */
		deliver("joe@example.test");
	while ((size = segment(path)) > 4096);
	fd = open(path, O_RDWR);
	for (int i = 0; i < 3; i++)
		deliver("joe@example.test");
	service_stop(SIGKILL);
	destroy_index();
	if (pread(fd, &byte, 1, size + 60) != 1 || (byte ^= 1, pwrite(fd, &byte, 1, size + 60)) != 1)
		abort();
	eq(run_recover(&r, false), -EUCLEAN, "a damaged batch in the middle stops it");
	ok(r.holes == 1, "and is told");
	eq(run_recover(&r, true), 0, "unless it is forced");
	service_start();
	wait_up();
	eq(deliver("joe@example.test"), OK, "then deliveries go on");
	close(fd);
	buf_fini(&before);
	buf_fini(&after);
}

/* Snapshots and segments that are not needed any more go; a hole in the log is closed. */
static void
test_keep(void)
{
	char log[200], path[200], byte = 0;
	struct store_recover r;
	size_t before;
	off_t size;
	int fd;

	snprintf(log, sizeof(log), "%s/log", part);
	before = count(log, ".log");
	for (int k = 0; k < 4; k++) {
		for (int i = 0; i < 25; i++)
			deliver("joe@example.test");
		CALL(store_snapshot_start, S("primary"));
	}
	eq(count(snapshots, ".mdb"), 3, "three snapshots stay");
	eq(count(snapshots, ".new"), 0, "each has got its name");
	ok(count(log, ".log") < before + 8 && count(log, ".log") > 1, "old segments are removed");

	service_stop(SIGTERM);
	write_file("stored.conf", "map_size = 1G\nmin_free = 0\nlog = no\nsnapshot_interval = 0\n");
	service_start();
	wait_up();
	size = segment(path);
	deliver("joe@example.test");
	ok(segment(path) == size, "without a log nothing is logged");
	service_stop(SIGTERM);
	write_file("stored.conf", "map_size = 1G\nmin_free = 0\nsnapshot_interval = 0\n");
	service_start();
	wait_up();
	deliver("joe@example.test");
	service_stop(SIGKILL);
	eq(run_recover(&r, false), -EUCLEAN, "what was not logged is a hole");
	service_start();
	wait_up();
	eq(CALL(store_snapshot_start, S("primary")), OK, "a snapshot");
	deliver("joe@example.test");
	service_stop(SIGKILL);
	ok(run_recover(&r, false) == 0 && r.holes == 0, "leads across it");
	service_start();
	wait_up();
	eq(findings() > 900, 0, "the index can be read");

	/* A power cut: the log ends before the index does. */
	deliver("joe@example.test");
	deliver("joe@example.test");
	service_stop(SIGKILL);
	size = segment(path);
	fd = open(path, O_RDWR);
	if (fd < 0 || ftruncate(fd, size - 200) < 0 || pwrite(fd, &byte, 1, size) != 1)
		abort();
	close(fd);
	write_file("stored.conf", "map_size = 1G\nmin_free = 0\n");
	service_start();
	wait_up();
	ok(segment(path) < size - 200, "a torn tail is cut off");
	deliver("joe@example.test");
	CALL(store_snapshot_start, S("primary"));
	service_stop(SIGKILL);
	ok(run_recover(&r, false) == 0 && r.holes == 0, "a snapshot has closed the hole");
	service_start();
	wait_up();
}

int
main(int argc, char **argv)
{
	char socket_path[100];

	(void)argc;
	log_init("oplog", LOG_TO_STDERR, LOG_ERROR);
	test_frames();
	test_blocks();
	if (!service_find(argv[0]))
		return done();
	service_prepare("map_size = 1G\nmin_free = 0\nlog_segment = 8k\n");
	snprintf(part, sizeof(part), "%s/store/partition/primary", dir);
	snprintf(snapshots, sizeof(snapshots), "%s/store/snapshot/primary", dir);
	service_start();
	loop_init(&loop);
	snprintf(socket_path, sizeof(socket_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket_path, "test");
	test_recover();
	test_keep();
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
