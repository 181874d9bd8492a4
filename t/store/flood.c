/* Somebody asks for thousands of things at once: who else asks for one waits for few of them.
 *
 * What is counted are answers, and not seconds: how many of the crowd's come before the other's. */
#include "service.h"

#define MANY     3000 /* requests of the crowd */
#define FOLDERS  500  /* of those that make and delete folders */
#define TOO_MANY 1500 /* of one account */
#define FEW      900  /* that may be answered before somebody else's: two batches are less */

static const struct store_limits none;
static const struct store_range one = { 1, 1 };
static struct store_client *other;
static uint64_t joe, joe_box, ann_box; /* account; mailboxes */
static struct op crowd[MANY], mine;
static size_t answers, refused, few, crowd_size;
static bool mine_done;
static struct store_reply mine_reply;
static const char *actor_of_crowd;

static struct store_person
flood_actor(struct op *op)
{
	if (op >= crowd && op < crowd + MANY)
		return store_person(slice_str(actor_of_crowd));
	return store_person(op == &mine ? S("ann@example.test") : S(""));
}

static void
on_crowd(void *arg, const struct store_reply *r)
{
	(void)arg;
	if (r->code == STORE_LIMIT)
		refused++;
	else
		answers++;
	loop_stop(&loop);
}

static void
on_mine(void *arg, const struct store_reply *r)
{
	(void)arg;
	mine_reply = *r;
	mine_done = true;
	loop_stop(&loop);
}

static void
flood_folders(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i % 2 == 0)
			store_create_start(client, joe, S("x"), STORE_USE_NONE, &crowd[i], on_crowd,
			    NULL);
		else
			store_delete_start(client, joe, S("x"), &crowd[i], on_crowd, NULL);
	}
}

static void
flood_appends(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct store_body body = body_with("flood", 5);
		struct store_message m = { .body = &body, .size = 5 };

		store_append_start(client, joe_box, &m, 1, none, &crowd[i], on_crowd, NULL);
	}
}

/* Until the crowd's first answers are here: then stored has a good part of it in hand. */
static void
flood_begin(void (*flood)(size_t n), size_t n)
{
	answers = refused = 0;
	crowd_size = n;
	few = flood == flood_folders ? 100 : FEW;
	flood(n);
	while (answers < 3)
		loop_run(&loop);
}

static void
flood_end(size_t n)
{
	while (answers + refused < n)
		loop_run(&loop);
}

/* All of the crowd's has been read: what is asked for now is not behind it in the socket. */
static void
flood_is_read(void)
{
	if (ping() != OK)
		abort();
}

static size_t
answers_until_mine(void)
{
	size_t before = answers;

	while (!mine_done)
		loop_run(&loop);
	mine_done = false;
	return answers - before;
}

static void
flag_beside(struct store_client *c, const char *what)
{
	const struct store_change flag = { .how = STORE_ADD, .flags = STORE_FLAGGED };
	size_t n;

	/* It also counts what came while this program had no processor: then again, beside the same crowd. */
	for (int tries = 3;; tries--) {
		flood_is_read();
		store_flags_start(c, ann_box, &one, 1, &flag, &mine, on_mine, NULL);
		n = answers_until_mine();
		if (n < few || tries == 1 || answers + refused >= crowd_size)
			break;
	}
	ok(n < few && mine_reply.verdict.kind == OK, "a STORE %s is answered after %zu more", what,
	    n);
}

static void
mail_beside(struct store_client *c, const char *what)
{
	struct store_body body = body_with("flood", 5);
	struct store_message m = { .body = &body, .size = 5 };
	struct store_target t = { .account = S("ann@example.test") };
	size_t n;

	(void)c;
	flood_is_read();
	store_deliver_start(client, &m, &t, 1, &mine, on_mine, NULL);
	n = answers_until_mine();
	ok(n < few && mine_reply.verdict.kind == OK, "mail %s is answered after %zu more", what, n);
}

/* By a program for itself. */
static void
test_client(void)
{
	actor_of_crowd = "";
	flood_begin(flood_folders, FOLDERS);
	flag_beside(other, "beside another client's CREATEs and DELETEs");
	mail_beside(client, "beside them");
	flood_end(FOLDERS);
	eq(refused, 0, "none of which is refused");
	flood_begin(flood_appends, MANY);
	flag_beside(other, "beside APPENDs");
	mail_beside(client, "beside them");
	flood_end(MANY);
	eq(refused, 0, "none of which is refused");
}

/* By logins, over one connection. */
static void
test_account(void)
{
	actor_of_crowd = "joe@example.test";
	store_client_actors(client, flood_actor);
	flood_begin(flood_folders, FOLDERS / 2);
	flag_beside(client, "over the connection of another login's CREATEs and DELETEs");
	flood_end(FOLDERS / 2);
	eq(refused, 0, "as long as they are not too many");
	flood_begin(flood_folders, TOO_MANY);
	flag_beside(client, "beside too many of them");
	flood_end(TOO_MANY);
	ok(refused > 0 && refused < TOO_MANY - FOLDERS / 2, "%zu of which are refused", refused);
}

int
main(int argc, char **argv)
{
	const struct store_change flag = { .how = STORE_ADD, .flags = STORE_SEEN };
	char path[100];

	(void)argc;
	service_open(argv[0], "flood", "map_size = 1G\nmin_free = 0\nsnapshot_interval = 0\n");
	snprintf(path, sizeof(path), "%s/stored.sock", dir);
	other = store_client_new(&loop, path, "other");
	CALL(store_account_start, S("joe@example.test"), S(""));
	joe = last.account;
	joe_box = last.mailbox;
	CALL(store_account_start, S("ann@example.test"), S(""));
	ann_box = last.mailbox;
	store_flags_start(other, ann_box, &one, 1, &flag, &mine, on_mine,
	    NULL); /* it is connected */
	(void)answers_until_mine();
	test_client();
	test_account();
	store_client_free(&other, NULL, NULL);
	service_close();
	return done();
}
