/* An index of an older program gets the mark of today's versions: in the index, in the log, and so that
 * readers which run on from before it leave. */
#include <lmdb.h>

#include "service.h"
#include "store/env.h"
#include "store/oplog.h"
#include "store/recover.h"
#include "store/snapshot.h"
#include "store/steady.h"

static char part[150], snapshots[150], data[300], index_dir[200];

/* ---- the format row ---------------------------------------------------------------------------- */

static const char *const newer[] = { "account", "mailbox", "cache", "change", "email" };

/* Gives tables of the row this version. */
static void
row_versions(struct buf *row, uint8_t version)
{
	size_t at = sizeof(struct store_disk_format);

	while (at + sizeof(struct store_disk_table) <= row->n) {
		struct store_disk_table t;

		memcpy(&t, row->p + at, sizeof(t));
		for (size_t i = 0; i < NELEM(newer); i++)
			if (slice_eq(slice(row->p + at + sizeof(t), t.name_len),
				slice_str(newer[i])))
				t.version = version;
		memcpy(row->p + at, &t, sizeof(t));
		at += sizeof(t) + t.name_len;
	}
}

/* Opens the index that nobody writes, makes it an older program's when `back`; is it one? */
static bool
index_is_older(bool back)
{
	struct store_format f = { 0 };
	MDB_dbi dbi[STORE_TABLES];
	struct buf row = { 0 };
	char *why = NULL;
	MDB_txn *txn;
	MDB_env *env;
	MDB_val k = { 6, (void *)(uintptr_t) "format" }, d;

	if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, STORE_TABLES + 4) ||
	    mdb_env_set_mapsize(env, 1 << 30) || mdb_env_open(env, index_dir, 0, 0640) ||
	    mdb_txn_begin(env, NULL, 0, &txn) || store_env_tables(txn, STORE_MAJOR, dbi) ||
	    store_env_format(txn, &f, &why))
		abort();
	if (back) {
		store_format_write(&row, f.created_at, f.upgraded_at);
		row_versions(&row, 1);
		d = (MDB_val){ row.n, row.p };
		if (mdb_put(txn, dbi[STORE_T_META], &k, &d, 0))
			abort();
	}
	if (mdb_txn_commit(txn) || mdb_env_sync(env, 1))
		abort();
	mdb_env_close(env);
	buf_fini(&row);
	return f.older;
}

/* ---- the log ----------------------------------------------------------------------------------- */

static struct {
	uint64_t batch, epoch;
	off_t end;              /* of its frames */
	size_t frames;          /* in all */
	uint64_t first, marked; /* batches: of the first frame, of the last that has the row */
	bool older;             /* what that row says */
} in_log;

static char segment[300];

static void
log_look(void)
{
	static char bytes[2 * 1024 * 1024 + 65536];
	int fd;
	ssize_t n;
	struct oplog_frame f;
	struct oplog_op op;
	size_t at = 0, skipped;

	memset(&in_log, 0, sizeof(in_log));
	fd = open(segment, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	if (fd >= 0)
		close(fd);
	while (n > 0 && store_oplog_next(slice(bytes, (size_t)n), &at, &f, &skipped)) {
		if (in_log.frames++ == 0)
			in_log.first = f.batch;
		in_log.batch = f.batch;
		in_log.epoch = f.epoch;
		in_log.end = (off_t)at;
		while (store_oplog_op_parse(&f.ops, &op) > 0) {
			struct store_format format = { 0 };
			char *why = NULL;

			if (op.kind != OPLOG_PUT || op.table != STORE_T_META ||
			    !slice_eq(op.key, S("format")))
				continue;
			in_log.marked = f.batch;
			in_log.older =
			    store_format_check(op.value, &format, &why) < 0 || format.older;
			mem_free(&why);
		}
	}
}

/* ---- tests ------------------------------------------------------------------------------------- */

static int
deliver(void)
{
	struct store_body body = body_with("mark me", 7);
	struct store_message m = { .body = &body, .size = 7, .cache = S("cache") };
	struct store_target t = { .account = S("joe@example.test") };

	return CALL(store_deliver_start, &m, &t, 1);
}

static void
on_line(void *arg, const char *line)
{
	(void)arg;
	printf("# %s\n", line);
}

static int
recover(uint64_t *from, char **why)
{
	struct store_recover r = { .path = part,
		.snapshots = snapshots,
		.map_size = 1 << 30,
		.tell = on_line };
	int rc = store_recover(&r, why);

	if (*why)
		printf("# %s\n", *why);
	*from = r.from;
	return rc;
}

static void
lose_index(void)
{
	if (truncate(data, 0) < 0)
		abort();
}

/* A snapshot that the older program has left. */
static void
keep_older(uint64_t batch)
{
	char command[1000];

	snprintf(command, sizeof(command),
	    "mkdir -p %s && rm -f %s/*.mdb && cp %s %s/20200101T000000Z-%llu.mdb", snapshots,
	    snapshots, data, snapshots, (unsigned long long)batch);
	if (system(command) != 0)
		abort();
}

static void
test_mark(uint64_t *batch)
{
	struct store_steady s;
	struct store_reader *old, *now;
	char *why = NULL;

	service_start();
	eq(deliver(), OK, "a new store");
	service_stop(SIGTERM);
	log_look();
	ok(in_log.frames && in_log.marked == in_log.first && !in_log.older,
	    "the first frame of its log says of which versions its rows are");
	*batch = in_log.batch;
	index_is_older(true);
	ok(index_is_older(false), "an older program's");
	keep_older(in_log.batch);
	if (store_reader_open(part, &old, &why) < 0)
		abort();
	ok(store_reader_current(old), "a reader from before");

	service_start();
	ok(!store_reader_current(old), "leaves when the index is marked");
	store_reader_close(&old);
	ok(store_steady_read(index_dir, &s) == 0 && !s.damaged, "the steady point is whole");
	service_stop(SIGKILL);
	log_look();
	ok(in_log.batch == *batch + 1 && in_log.marked == in_log.batch && !in_log.older,
	    "the log has the mark before anything else");
	service_start();
	service_again();
	if (store_reader_open(part, &now, &why) < 0)
		abort();
	service_stop(SIGTERM);
	service_start();
	service_again();
	ok(store_reader_current(now), "readers of today stay when stored is started again");
	store_reader_close(&now);
	eq(deliver(), OK, "mail comes");
	service_stop(SIGTERM);
	log_look();
	eq(in_log.marked, *batch + 1, "the mark is made once");
	ok(!index_is_older(false), "and is in the index");
}

static void
test_recover(uint64_t batch)
{
	struct buf frame = { 0 }, row = { 0 };
	struct oplog_op op = { OPLOG_PUT, STORE_T_META, S("format"), S("") };
	char *why = NULL;
	uint64_t from;
	int fd = open(segment, O_RDWR);

	lose_index();
	store_format_write(&row, 1000, 0);
	row_versions(&row, 99);
	op.value = buf_get(&row);
	store_oplog_begin(&frame);
	store_oplog_op_write(&frame, &op);
	store_oplog_finish(&frame, in_log.batch + 1, 1000, in_log.epoch, in_log.batch);
	if (fd < 0 || pwrite(fd, frame.p, frame.n, in_log.end) != (ssize_t)frame.n)
		abort();
	eq(recover(&from, &why), -EPROTO, "a log of a newer program is refused");
	ok(why && strstr(why, "account of version 99"), "in words");
	mem_free(&why);
	if (ftruncate(fd, in_log.end) < 0)
		abort();
	close(fd);
	eq(recover(&from, &why), 0, "from the snapshot of the older program");
	eq(from, batch, "it was taken");
	ok(!index_is_older(false), "comes an index that has the mark");
	mem_free(&why);
	service_start();
	service_again();
	eq(deliver(), OK, "and goes on");
	buf_fini(&frame);
	buf_fini(&row);
}

int
main(int argc, char **argv)
{
	char socket_path[100];
	uint64_t batch;

	(void)argc;
	log_init("marks", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0]))
		return done();
	service_prepare("map_size = 1G\nmin_free = 0\nsnapshot_interval = 0\n");
	snprintf(part, sizeof(part), "%s/store/partition/primary", dir);
	snprintf(snapshots, sizeof(snapshots), "%s/store/snapshot/primary", dir);
	snprintf(index_dir, sizeof(index_dir), "%s/index", part);
	snprintf(data, sizeof(data), "%s/data.mdb", index_dir);
	snprintf(segment, sizeof(segment), "%s/log/" OPLOG_SEGMENT, part, 1);
	loop_init(&loop);
	snprintf(socket_path, sizeof(socket_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket_path, "test");
	test_mark(&batch);
	test_recover(batch);
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
