/* The purge, the check of everything, and a partition without room. */
#include "rows.h"

static uint64_t account, inbox;
static const struct store_limits none;

static int
deliver(const char *a, const char *b)
{
	struct store_body body = body_with("purge me", 8);
	struct store_message m = { .body = &body, .size = 8, .cache = S("cache") };
	struct store_target t[2] = { { .account = slice_str(a) }, { .account = slice_str(b) } };

	return CALL(store_deliver_start, &m, t, 2);
}

/* Until nothing waits any more. */
static struct store_check
check_purged(void)
{
	struct store_check c;

	(void)AWAIT((c = check()).waiting == 0);
	return c;
}

static void
test_purge(void)
{
	struct store_range all = { 1, UINT32_MAX };
	struct store_check c;
	uint64_t other;

	eq(deliver("joe@example.test", "ann@example.test"), OK, "one file for two");
	inbox = last_results[0].mailbox;
	other = last_results[1].mailbox;
	c = check();
	ok(c.findings == 0 && c.messages == 2 && c.files == 2 && c.accounts == 2 &&
		c.mailboxes == 12,
	    "check finds two messages");
	eq(CALL(store_expunge_start, inbox, &all, 1, true), OK, "one is expunged");
	c = check_purged();
	ok(c.waiting == 0 && c.files == 1 && c.findings == 0, "its file goes, the content stays");
	eq(CALL(store_expunge_start, other, &all, 1, true), OK, "the other");
	c = check_purged();
	ok(c.waiting == 0 && c.files == 0 && c.findings == 0, "takes the content along");
	eq(deliver("joe@example.test", "ann@example.test"), OK, "again");
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	eq(CALL(store_rename_start, account, S("INBOX"), S("Old")), OK, "INBOX renamed");
	eq(CALL(store_delete_start, account, S("Old")), OK, "and the new folder deleted");
	c = check_purged();
	ok(c.waiting == 0 && c.files == 1 && c.findings == 0, "leaves one file");
}

/* What cannot be removed is tried again, and not forgotten. */
static void
test_stubborn(void)
{
	struct store_range all = { 1, UINT32_MAX };
	char path[300], aside[300];
	struct buf b = { 0 };
	struct store_check c;
	uint64_t stubborn;

	deliver("tom@example.test", "tom@example.test");
	store_folder_dir(&b, S("tom@example.test"), S("INBOX"));
	snprintf(path, sizeof(path), "%s/store/partition/primary/%s/00/1.msg", dir, buf_cstr(&b));
	snprintf(aside, sizeof(aside), "%s/aside", dir);
	ok(rename(path, aside) == 0 && mkdir(path, 0700) == 0, "a directory stands for a file");
	eq(CALL(store_expunge_start, last_results[0].mailbox, &all, 1, true), OK, "expunged");
	stubborn = check().waiting;
	/* Another row, behind that one: when it has been dropped, that one has had its turn. */
	deliver("sue@example.test", "sue@example.test");
	CALL(store_expunge_start, last_results[0].mailbox, &all, 1, true);
	(void)AWAIT(check().waiting <= stubborn);
	eq(check().waiting, stubborn, "what cannot be unlinked still waits");
	ok(rmdir(path) == 0 && rename(aside, path) == 0, "the file is back");
	c = check_purged();
	ok(c.waiting == 0 && access(path, F_OK) < 0, "and goes");
	eq(c.findings, 0, "with all that belongs to it");
	buf_fini(&b);
}

/* What a check must find: a file too much, a file too few, a wrong size. */
static void
test_findings(void)
{
	char path[300], from[300];
	struct buf b = { 0 };
	struct store_check c;

	deliver("joe@example.test", "bob@example.test");
	store_folder_dir(&b, S("bob@example.test"), S("INBOX"));
	snprintf(from, sizeof(from), "%s/store/partition/primary/%s/00/1.msg", dir, buf_cstr(&b));
	snprintf(path, sizeof(path), "%s/store/partition/primary/%s/00/7.msg", dir, buf_cstr(&b));
	ok(rename(from, path) == 0, "a file is renamed");
	c = check();
	eq(c.findings, 2, "one is missing, one is too much");
	ok(rename(path, from) == 0 && truncate(from, 3) == 0, "it comes back cut off");
	c = check();
	ok(c.findings == 2, "both names of it have the wrong size");
	ok(truncate(from, 8) == 0, "as long as it was");
	eq(check().findings, 0, "all is well");
	buf_fini(&b);
}

static void
test_full(void)
{
	struct store_range all = { 1, UINT32_MAX };
	struct store_body b;
	struct store_message m = { .body = &b, .size = 4 };

	service_stop(SIGTERM);
	write_file("stored.conf", "map_size = 1G\nmin_free = 4096G\n");
	service_start();
	service_again();
	eq(deliver("joe@example.test", "ann@example.test"), TEMP, "no room: a delivery waits");
	ok(verdict_reply(&last.verdict) == 452 && last.verdict.subject == 3 &&
		last.verdict.detail == 1,
	    "452 4.3.1");
	b = body_with("full", 4);
	eq(CALL(store_append_start, inbox, &m, 1, none), TEMP, "so does an append");
	eq(CALL(store_copy_start, inbox, &all, 1, inbox, none), TEMP, "and a copy");
	eq(last.code, STORE_FULL, "with its code");
	eq(CALL(store_expunge_start, inbox, &all, 1, true), OK, "expunging goes on");
}

/* A row of `purge` that is due, written behind stored's back: an older reconstruct left such ones. */
static bool
purge_row_add(uint64_t mailbox, uint32_t uid)
{
	struct {
		struct store_disk_purge head;
		struct store_purge_item item;
	} PACKED row = { { .version = STORE_VERSION, .count = 1, .mailbox = mailbox }, { uid, 1 } };
	uint8_t key[16] = { 0 };
	MDB_val k = { sizeof(key), key }, d = { sizeof(row), &row };
	char path[200];
	MDB_env *env = NULL;
	MDB_txn *txn;
	MDB_dbi dbi;
	bool good;

	snprintf(path, sizeof(path), "%s/store/partition/primary/index", dir);
	key[15] = 77;
	good = mdb_env_create(&env) == 0 && mdb_env_set_maxdbs(env, 20) == 0 &&
	    mdb_env_open(env, path, 0, 0640) == 0 && mdb_txn_begin(env, NULL, 0, &txn) == 0 &&
	    mdb_dbi_open(txn, "purge", 0, &dbi) == 0 && mdb_put(txn, dbi, &k, &d, 0) == 0 &&
	    mdb_txn_commit(txn) == 0;
	mdb_env_close(env);
	return good;
}

/* The purge never takes the file of a message that is there. */
static void
test_live(void)
{
	struct store_check c;

	eq(deliver("liv@example.test", "liv@example.test"), OK, "two messages");
	service_stop(SIGTERM);
	ok(purge_row_add(last_results[0].mailbox, 1), "one of them stands in the purge's table");
	service_start();
	service_again();
	c = check_purged();
	eq(c.waiting, 0, "the purge has been by");
	eq(c.findings, 0, "and both still have their files");
}

/* The index cannot grow any more: what comes waits, what is there can be read. */
static void
test_index_full(void)
{
	static char cache[1500];
	struct store_body body;
	struct store_message m = { .body = &body, .size = 4, .cache = slice(cache, sizeof(cache)) };
	struct store_target t = { .account = S("joe@example.test") };
	int rc = OK, n = 0;

	service_stop(SIGTERM);
	write_file("stored.conf", "map_size = 2M\nmin_free = 0\nsnapshot_interval = 0\n");
	service_start();
	service_again();
	/* While the steady point is taken no page is used again, and it may be full for a moment. */
	for (int full = 0; (rc == OK && n < 3000) || (rc == TEMP && n < 100 && full++ < 600);) {
		if (rc == TEMP)
			usleep(100000);
		body = body_with("tiny", 4);
		rc = CALL(store_deliver_start, &m, &t, 1);
		n += rc == OK;
	}
	ok(rc == TEMP && n > 100, "an index that is full: a delivery waits (after %d)", n);
	ok(last.code == STORE_FULL && verdict_reply(&last.verdict) == 452 &&
		last.verdict.subject == 3 && last.verdict.detail == 1,
	    "452 4.3.1");
}

int
main(int argc, char **argv)
{
	char socket_path[100];

	(void)argc;
	log_init("purge", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0])) {
		printf("1..0 # SKIP stored is not built\n");
		return 0;
	}
	service_prepare("map_size = 1G\nmin_free = 0\ncleanup_age = 0\n");
	service_start();
	loop_init(&loop);
	snprintf(socket_path, sizeof(socket_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket_path, "test");
	test_purge();
	test_live();
	test_stubborn();
	test_findings();
	test_full();
	test_index_full();
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
