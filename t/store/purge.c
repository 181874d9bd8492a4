/* The purge, the check of everything, and a partition without room. */
#include "service.h"
#include "store/check.h"

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

static void
on_finding(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

static struct store_check
check(void)
{
	struct store_check c = { .found = on_finding };
	char path[200], *why = NULL;

	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_check_partition(path, slice(NULL, 0), &c, &why) < 0) {
		printf("# %s\n", why);
		mem_free(&why);
		c.findings = 999;
	}
	return c;
}

/* Until nothing waits any more. */
static struct store_check
check_purged(void)
{
	struct store_check c;

	for (int i = 0; i < 200; i++) {
		c = check();
		if (c.waiting == 0)
			break;
		usleep(50000);
	}
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
	ok(c.findings == 0 && c.messages == 2 && c.files == 2 && c.accounts == 2 && c.mailboxes == 12,
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
	for (int i = 0; i < 100 && ping() != OK; i++)
		usleep(20000);
	eq(deliver("joe@example.test", "ann@example.test"), TEMP, "no room: a delivery waits");
	ok(verdict_reply(&last.verdict) == 452 && last.verdict.subject == 3 && last.verdict.detail == 1,
	    "452 4.3.1");
	b = body_with("full", 4);
	eq(CALL(store_append_start, inbox, &m, 1, none), TEMP, "so does an append");
	eq(CALL(store_copy_start, inbox, &all, 1, inbox, none), TEMP, "and a copy");
	eq(last.code, STORE_FULL, "with its code");
	eq(CALL(store_expunge_start, inbox, &all, 1, true), OK, "expunging goes on");
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
	test_findings();
	test_full();
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
