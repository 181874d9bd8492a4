/* Two partitions: accounts stay where they are, a delivery can reach both. */
#include "service.h"

static char paths[2][300];

static const char *
content(int part, uint64_t mailbox, uint32_t uid)
{
	static char text[100];
	struct store_reader *r;
	struct store_view *v;
	char *why = NULL;
	ssize_t n = -1;
	int fd;

	if (store_reader_open(paths[part], &r, &why) < 0)
		return why;
	v = store_view_new(r);
	fd = store_open_message(v, mailbox, uid);
	if (fd >= 0)
		n = read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = 0;
	store_view_free(&v);
	store_reader_close(&r);
	return n < 0 ? "(gone)" : text;
}

static uint64_t
account(const char *name, const char *partition, uint64_t *inbox, char path[300])
{
	struct store_reply r;

	eq(CALL(store_account_start, slice_str(name), slice_str(partition)), OK, "account %s",
	    name);
	r = last;
	*inbox = r.mailbox;
	slice_cstr(slice_str(last_path), path, 300);
	return r.account;
}

static void
test_deliver(uint64_t one, uint64_t two)
{
	struct store_body b = body_with("across", 6);
	struct store_message m = { .body = &b, .size = 6, .cache = S("c") };
	struct store_target t[5] = { { .account = S("two@example.test") },
		{ .account = S("one@example.test") },
		{ .account = S("two@example.test"), .limits = { .bytes = 1 } },
		{ .account = S("new@example.test"), .partition = S("second") },
		{ .account = S("one@example.test"), .folder = S("Junk") } };

	store_dup_key(S("q"), S("one"), t[1].dup);
	eq(CALL(store_deliver_start, &m, t, 5), OK, "a delivery over two partitions");
	eq(last.nresults, 5, "five results");
	ok(last_results[0].mailbox == two && last_results[0].uid == 1,
	    "the first is in the second");
	ok(last_results[1].mailbox == one && last_results[1].uid == 1, "the second in the first");
	eq(last_results[2].code, STORE_OVERQUOTA, "the third has no room");
	ok(last_results[3].mailbox >> 48 == two >> 48, "a new account goes where it is told");
	ok(last_results[4].mailbox >> 48 == one >> 48 && last_results[4].mailbox != one,
	    "a folder");
	is(content(1, two, 1), "across", "the content is there");
	is(content(0, one, 1), "across", "and here");
	b = body_with("again", 5);
	m.size = 5;
	eq(CALL(store_deliver_start, &m, t, 2), OK, "and again");
	ok(!last_results[0].duplicate && last_results[1].duplicate && last_results[0].uid == 2,
	    "only what had a key is a duplicate");
}

static void
test_others(uint64_t one, uint64_t two)
{
	struct store_range all = { 1, 9 };
	struct store_limits none = { .bytes = 0 };
	struct store_body b = body_with("appended", 8);
	struct store_message m = { .body = &b, .size = 8 };

	eq(CALL(store_append_start, two, &m, 1, none), OK,
	    "a body of the wrong partition is copied");
	is(content(1, two, last.uid), "appended", "whole");
	eq(CALL(store_copy_start, one, &all, 1, two, none), PERM, "copies stay in their partition");
	eq(CALL(store_account_start, S("one@example.test"), S("second")), OK, "an account");
	ok(last.account >> 48 == one >> 48, "stays where it is");
}

int
main(int argc, char **argv)
{
	char socket_path[100];
	uint64_t one, two, again;

	(void)argc;
	log_init("parts", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0])) {
		printf("1..0 # SKIP stored is not built\n");
		return 0;
	}
	service_prepare("map_size = 1G\nmin_free = 0\ndefault_partition = first\n[partition "
			"second]\npath = other\n");
	service_start();
	loop_init(&loop);
	snprintf(socket_path, sizeof(socket_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket_path, "test");
	account("one@example.test", "", &one, paths[0]);
	account("two@example.test", "second", &two, paths[1]);
	ok(one >> 48 != two >> 48, "ids tell the partitions apart");
	ok(strstr(paths[1], "/other"), "a path of its own: %s", paths[1]);
	test_deliver(one, two);
	test_others(one, two);
	service_stop(SIGTERM);
	service_start();
	service_again();
	account("two@example.test", "", &again, paths[1]);
	ok(again == two, "after a restart everybody is found again");
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
