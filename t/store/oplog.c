/* The operation log: frames, torn and damaged ones, index blocks, and a recovery of a stored
 * whose index is gone. */
#include <dirent.h>

#include "service.h"
#include "store/block.h"
#include "store/check.h"
#include "store/oplog.h"
#include "store/recover.h"

/* ---- bytes ------------------------------------------------------------------------------------ */

static void
frame_add(struct buf *log, uint64_t batch, const char *key, const char *value)
{
	struct buf b = { 0 };
	struct oplog_op op = { OPLOG_PUT, STORE_T_SUB, slice_str(key), slice_str(value) };

	store_oplog_begin(&b);
	store_oplog_op_write(&b, &op);
	op = (struct oplog_op){ OPLOG_DEL, STORE_T_NAME, slice_str(key), slice(NULL, 0) };
	store_oplog_op_write(&b, &op);
	store_oplog_finish(&b, batch, 1000 + (int64_t)batch, 3, batch - 1);
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
	eq(store_oplog_frame_parse(buf_get(&log), &f), 0, "a frame");
	ok(f.batch == 7 && f.at == 1007 && f.epoch == 3 && f.committed == 6 && f.size == first,
	    "with its batch, time, epoch and size");
	eq(store_oplog_op_parse(&f.ops, &op), 1, "has an operation");
	ok(op.kind == OPLOG_PUT && op.table == STORE_T_SUB && slice_eq(op.key, S("key")) &&
		slice_eq(op.value, S("value")),
	    "as it was written");
	ok(store_oplog_op_parse(&f.ops, &op) == 1 && op.kind == OPLOG_DEL && op.value.n == 0,
	    "and another");
	eq(store_oplog_op_parse(&f.ops, &op), 0, "and no more");
	for (size_t n = 0; n < first; n++)
		if (store_oplog_frame_parse(slice(log.p, n), &f) != -EAGAIN) {
			ok(false, "cut off at %zu", n);
			break;
		}
	ok(true, "cut off anywhere it waits for more");

	for (uint64_t batch = 7; batch <= 9; batch++)
		ok(store_oplog_next(buf_get(&log), &at, &f, &skipped) && f.batch == batch &&
			skipped == 0,
		    "batch %llu in turn", (unsigned long long)batch);
	ok(!store_oplog_next(buf_get(&log), &at, &f, &skipped) && at == log.n, "the end");

	at = 0;
	for (int i = 0; i < 2; i++)
		ok(store_oplog_next(slice(log.p, log.n - 1), &at, &f, &skipped),
		    "a torn log: frame %d", i);
	ok(!store_oplog_next(slice(log.p, log.n - 1), &at, &f, &skipped) && at < log.n - 1,
	    "its tail is left out, and where it begins is known");

	log.p[first + sizeof(struct oplog_head) + 9] ^= 1;
	at = 0;
	ok(store_oplog_next(buf_get(&log), &at, &f, &skipped) && f.batch == 7,
	    "before a damaged frame");
	ok(store_oplog_next(buf_get(&log), &at, &f, &skipped) && f.batch == 9 && skipped > 0,
	    "the next good one is found behind it");
	buf_fini(&log);
}

static void
test_blocks(void)
{
	struct {
		uint32_t uid;
		char record[STORE_RECORD];
	} PACKED rec[3] = { { 33, "one" }, { 35, "two" }, { 34, "three" } };
	uint32_t gone = store_uid_bit(33) | store_uid_bit(34), rest = store_uid_bit(35);
	struct store_group states[] = { { store_uid_bit(33) | store_uid_bit(34), 0, 0, 7 },
		{ store_uid_bit(35), 0, 0, 8 } },
			   seen = { gone, STORE_SEEN, 5, 99 };
	struct buf a = { 0 }, b = { 0 }, s = { 0 };
	struct store_record room[STORE_BLOCK];
	uint8_t key[12];
	struct oplog_op op = { OPLOG_RECORDS, STORE_T_INDEX, slice((char *)key, 12),
		slice((char *)rec, 2 * sizeof(rec[0])) };

	store_be64(key, 5);
	store_be32(key + 8, 1);
	eq(store_oplog_block_change(&op, OPLOG_RECORD, slice(NULL, 0), &a), 0,
	    "records into an empty block");
	op.value = slice((char *)&rec[2], sizeof(rec[0]));
	eq(store_oplog_block_change(&op, OPLOG_RECORD, buf_get(&a), &b), 0,
	    "one more between them");
	ok(store_block_records(buf_get(&b), 1, room) == 3 && room[1].uid == 34 &&
		memcmp((char *)&room[1] + STORE_RECORD_AT, "three", 5) == 0 &&
		memcmp((char *)&room[2] + STORE_RECORD_AT, "two", 3) == 0,
	    "in order");
	ok(store_oplog_block_change(&op, OPLOG_RECORD, buf_get(&b), &a) == 0 &&
		slice_eq(buf_get(&a), buf_get(&b)),
	    "twice is once");
	ok(store_oplog_block_change(&op, OPLOG_RECORD + 4, buf_get(&b), &a) == -EBADMSG,
	    "records of another length than the frame's are refused");

	op = (struct oplog_op){ OPLOG_STATE, STORE_T_STATE, op.key,
		slice((const char *)states, sizeof(states)) };
	eq(store_oplog_block_change(&op, OPLOG_RECORD, slice(NULL, 0), &a), 0, "their states");
	op.value = slice((const char *)&seen, sizeof(seen));
	ok(store_oplog_block_change(&op, OPLOG_RECORD, buf_get(&a), &s) == 0 &&
		store_block_read(buf_get(&b), buf_get(&s), 1, room) == 3,
	    "states of two");
	ok(room[0].flags == STORE_SEEN && room[1].keywords == 5 && room[1].modseq == 99 &&
		room[2].flags == 0 && store_states_modseq(buf_get(&s)) == 99,
	    "are theirs, and the row's head is as new");
	ok(store_oplog_block_change(&op, OPLOG_RECORD, buf_get(&s), &a) == 0 &&
		slice_eq(buf_get(&a), buf_get(&s)),
	    "twice is once");
	op.table = STORE_T_INDEX;
	ok(store_oplog_block_change(&op, OPLOG_RECORD, buf_get(&b), &a) == -EBADMSG,
	    "the index has no states");
	seen.uids = 0;
	op.table = STORE_T_STATE;
	ok(store_oplog_block_change(&op, OPLOG_RECORD, buf_get(&s), &a) == -EBADMSG,
	    "nor has nobody one");

	op.kind = OPLOG_GONE;
	op.value = slice((const char *)&gone, sizeof(gone));
	eq(store_oplog_block_change(&op, OPLOG_RECORD, buf_get(&s), &a), 0, "two are gone");
	op.table = STORE_T_INDEX;
	ok(store_oplog_block_change(&op, OPLOG_RECORD, buf_get(&b), &s) == 0 &&
		store_block_read(buf_get(&s), buf_get(&a), 1, room) == 1 && room[0].uid == 35,
	    "from both rows");
	op.value = slice((const char *)&rest, sizeof(rest));
	ok(store_oplog_block_change(&op, OPLOG_RECORD, buf_get(&s), &b) == 0 && b.n == 0,
	    "the last one takes the block along");
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&s);
}

/* The same for an index of format 1, which had all in one row. */
static void
test_blocks_v1(void)
{
	struct store_record_v1 rec[] = { { .uid = 35, .size = 2 }, { .uid = 34, .flags = 4 } };
	const uint32_t gone[] = { 34, 70 };
	struct buf a = { 0 }, b = { 0 };
	struct store_record room[STORE_BLOCK];
	uint8_t key[12];
	struct oplog_op op = { OPLOG_RECORDS, STORE_T_INDEX, slice((char *)key, 12),
		slice((char *)rec, sizeof(rec)) };

	store_be64(key, 5);
	store_be32(key + 8, 1);
	ok(store_oplog_block_change(&op, 0, slice(NULL, 0), &a) == 0 &&
		store_block_read_v1(buf_get(&a), 1, room) == 2 && room[0].uid == 34 &&
		room[0].flags == 4 && room[1].size == 2,
	    "format 1: records");
	op.kind = OPLOG_GONE;
	op.value = slice((const char *)gone, sizeof(gone));
	ok(store_oplog_block_change(&op, 0, buf_get(&a), &b) == -EBADMSG,
	    "a UID of another block is refused");
	op.value.n = 4;
	ok(store_oplog_block_change(&op, 0, buf_get(&a), &b) == 0 &&
		store_block_read_v1(buf_get(&b), 1, room) == 1 && room[0].uid == 35,
	    "one is gone");
	op.table = STORE_T_STATE;
	ok(store_oplog_block_change(&op, 0, slice(NULL, 0), &a) == -EBADMSG, "it has no states");
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

static void
make_digest(struct slice message, struct buf *out)
{
	if (slice_eq(message, S("log me")))
		buf_lit(out, "cache");
}

static int
run_recover(struct store_recover *r, bool force)
{
	char *why = NULL;
	int rc;

	*r = (struct store_recover){ .path = part,
		.snapshots = snapshots,
		.map_size = 1 << 30,
		.digest = make_digest,
		.force = force,
		.tell = on_line };
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

/* The record of a mailbox, of its account and all of its messages, with their digests. */
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
		buf_printf(out, "%u %u %u %u %llu %llu %.*s ", m.uidvalidity, m.uidnext, m.exists,
		    m.unseen, (unsigned long long)m.highestmodseq, (unsigned long long)m.bytes,
		    SARG(m.name));
		store_blocks_init(&b, v, mailbox, 1, UINT32_MAX);
		while ((rec = store_blocks_next(&b, &n)))
			for (size_t i = 0; i < n; i++) {
				struct slice cache = store_get_cache(v, rec[i].emailid);
				const char *places = cache.p + cache.n;

				/* The places there are rows of their own in the log. */
				(void)store_cache_places(cache, &places);
				buf_add(out, &rec[i], sizeof(rec[i]));
				buf_add(out, cache.p, (size_t)(places - cache.p));
			}
	}
	store_view_free(&v);
	store_reader_close(&r);
}

static void
wait_up(void)
{
	service_again();
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

/* Behind the last frame of a file: what follows is room. */
static off_t
frames_end(const char *path)
{
	static char bytes[4 * 1024 * 1024];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	struct oplog_frame f;
	size_t at = 0, skipped;

	if (fd >= 0)
		close(fd);
	while (n > 0 && store_oplog_next(slice(bytes, (size_t)n), &at, &f, &skipped))
		;
	return (off_t)at;
}

/* The last segment, and where its frames end. */
static off_t
segment(char path[200])
{
	for (unsigned n = 1; n < 1000; n++) {
		char name[200];

		snprintf(name, sizeof(name), "%s/log/" OPLOG_SEGMENT, part, n);
		if (access(name, R_OK) == 0)
			memcpy(path, name, sizeof(name));
	}
	return frames_end(path);
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
	eq(r.digests, 38, "with the digests of what is there, which are not in it");
	service_start();
	wait_up();
	state_of(inbox, &after);
	ok(before.n > 1000 && slice_eq(buf_get(&before), buf_get(&after)),
	    "everything is as it was");
	eq(findings(), 0, "the check finds nothing");

	eq(CALL(store_snapshot_start, S("primary")), OK, "a snapshot");
	ok(access(last_path, R_OK) == 0, "is a file");
	eq(CALL(store_snapshot_start, S("nowhere")), TEMP, "not of a partition that is not");
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
	ok(r.from > 0 && r.batches > 30 && r.batch == r.from + r.batches,
	    "only what came after it");
	eq(r.digests, 30, "and digests of that alone");
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
	if (pread(fd, &byte, 1, size + 60) != 1 ||
	    (byte ^= 1, pwrite(fd, &byte, 1, size + 60)) != 1)
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
	/* What leads on from the last steady point stays: that comes when it comes. */
	for (int k = 0; k < 600 && count(log, ".log") >= before + 8; k++) {
		usleep(100000);
		for (int i = 0; i < 25; i++)
			deliver("joe@example.test");
		CALL(store_snapshot_start, S("primary"));
	}
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

	/* The last frame is torn. */
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
	test_blocks_v1();
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
