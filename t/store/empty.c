/* A large mailbox is deleted: gone at once, emptied in slices, also over a kill. */
#include "rows.h"

#define MANY 4000 /* messages: 125 slices, when each is one block */
#define CONF "map_size = 1G\nmin_free = 0\nsnapshot_interval = 0\ncleanup_age = 0\nslice = 0\n"

static const struct store_limits none;
static const struct store_range all = { 1, UINT32_MAX };
static struct store_view *view;
static uint64_t account, account_inbox;

static uint64_t
folder(const char *name)
{
	CALL(store_create_start, account, slice_str(name), STORE_USE_NONE);
	return last.mailbox;
}

static void
fill(uint64_t to)
{
	struct store_body bodies[20];
	struct store_message m[20];
	struct store_range some = { 1, 0 };

	for (int k = 0; k < 20; k++) {
		bodies[k] = body_with("full", 4);
		m[k] = (struct store_message){ .body = &bodies[k], .size = 4, .cache = S("c") };
	}
	CALL(store_append_start, to, m, 20, none);
	for (uint32_t n = 20; n < MANY; n += some.last) {
		some.last = n < MANY - n ? n : MANY - n;
		CALL(store_copy_start, to, &some, 1, to, none);
	}
}

/* Messages whose rows are there, whether a mailbox leads to them or not. */
static uint32_t
rows(uint64_t box)
{
	struct store_blocks walk;
	uint32_t found = 0;
	size_t n;

	if (store_begin(view) < 0)
		return 0;
	store_blocks_init(&walk, view, box, 1, UINT32_MAX);
	while (store_blocks_next(&walk, &n))
		found += (uint32_t)n;
	store_end(view);
	return found;
}

/* UIDs of the mailbox that the account's change log has as gone. */
static uint64_t
tombstones(uint64_t box)
{
	struct store_change_walk c = { .account = account };
	uint64_t n = 0;

	if (store_begin(view) < 0)
		return 0;
	while (store_change_next(view, &c)) {
		if (c.kind == STORE_CHANGE_GONE && c.mailbox == box)
			for (size_t i = 0; i < c.count; i++) {
				struct store_gone g = store_change_gone(&c, i);

				n += (uint64_t)g.last - g.first + 1;
			}
	}
	store_end(view);
	return n;
}

/* Where the content of a message is, as far as readers are told. */
static size_t
places(uint64_t box, uint64_t *id)
{
	struct store_blocks walk;
	const struct store_record *rec;
	struct store_place p = { .emailid = *id };
	size_t n = 0;

	if (store_begin(view) < 0)
		return 0;
	store_blocks_init(&walk, view, box, 1, UINT32_MAX);
	if (!*id && (rec = store_blocks_next(&walk, &n)))
		*id = p.emailid = rec[n - 1].emailid;
	for (n = 0; store_email_next(view, &p); n++)
		;
	store_end(view);
	return n;
}

/* The first message of this content. */
static uint32_t
uid_of(uint64_t box, uint64_t id)
{
	struct store_blocks walk;
	const struct store_record *rec;
	uint32_t uid = 0;
	size_t n;

	if (store_begin(view) < 0)
		return 0;
	store_blocks_init(&walk, view, box, 1, UINT32_MAX);
	while (!uid && (rec = store_blocks_next(&walk, &n)))
		for (size_t i = 0; i < n && !uid; i++)
			uid = rec[i].emailid == id ? rec[i].uid : 0;
	store_end(view);
	return uid;
}

static bool
has_folder(const char *name)
{
	uint64_t id;
	bool found =
	    store_begin(view) == 0 && store_find_mailbox(view, account, slice_str(name), &id) == 0;

	store_end(view);
	return found;
}

static void
is_emptied(uint64_t box, uint64_t messages)
{
	char path[300];

	(void)AWAIT(rows(box) == 0);
	eq(rows(box), 0, "in the end nothing is left of it");
	eq(tombstones(box), messages, "but tombstones");
	snprintf(path, sizeof(path), "%s/store/partition/primary/=deleted/%016llx", dir,
	    (unsigned long long)box);
	ok(AWAIT(!check().waiting && access(path, F_OK) < 0), "its files go with the purge");
	eq(check().findings, 0, "and the check finds nothing");
}

static uint64_t
usage(void)
{
	struct store_account a = { .messages = UINT64_MAX };

	if (store_begin(view) == 0 && store_find_account(view, S("joe@example.test"), &a) < 0)
		a.messages = UINT64_MAX;
	store_end(view);
	return a.messages;
}

static void
again(void)
{
	service_stop(SIGKILL);
	service_start();
	service_again();
}

/* A large folder of that name, `with` what a test does with it, deleted, and stored stopped before it has emptied
 * half of it.  Beside others it may be through before it can be stopped: then another one. */
static uint64_t
delete_and_freeze(const char *name, void (*with)(uint64_t box))
{
	uint64_t box;
	int rc;

	for (int tries = 20;; tries--) {
		box = folder(name);
		fill(box);
		if (with)
			with(box);
		freeze_then = true;
		rc = CALL(store_delete_start, account, slice_str(name));
		if (rows(box) > MANY / 2 || tries == 0)
			break;
		service_thaw();
		(void)AWAIT(rows(box) == 0);
	}
	eq(rc, OK, "a large folder is deleted");
	ok(rows(box) > MANY / 2, "its rows are still there");
	return box;
}

/* ---- the tests --------------------------------------------------------------------------------- */

static uint64_t copied;  /* a content */
static size_t elsewhere; /* of it, elsewhere */
static uint64_t used;    /* of the account, without the folder */

static void
copy_two(uint64_t box)
{
	static uint64_t other;
	struct store_range one;
	uint64_t content = 0;

	if (!other)
		other = folder("Zed"); /* behind it */
	(void)places(box, &content);
	elsewhere = (content == copied ? elsewhere : 0) + 2;
	copied = content;
	one.first = one.last = uid_of(box, copied);
	CALL(store_copy_start, box, &one, 1, other, none);
	CALL(store_copy_start, box, &one, 1, account_inbox, none);
	used = usage() - MANY;
}

static void
test_delete(void)
{
	uint64_t box = delete_and_freeze("Big", copy_two), other;
	struct store_mailbox m = { .exists = 1 };
	const struct store_change seen = { .how = STORE_ADD, .flags = STORE_SEEN };

	ok(!has_folder("Big") && usage() == used, "but to everybody it is gone");
	eq(places(box, &copied), elsewhere,
	    "a content is where it was copied to, and nowhere else");
	service_thaw();
	eq(CALL(store_flags_start, box, &all, 1, &seen), PERM, "and cannot be changed");
	eq(check().findings, 0, "nothing is wrong meanwhile");
	other = folder("Big");
	ok(other && other != box && store_begin(view) == 0 &&
		store_get_mailbox(view, other, &m) == 0 && m.exists == 0,
	    "its name is free");
	store_end(view);
	eq(CALL(store_delete_start, account, S("Big")), OK, "also for another DELETE");
	is_emptied(box, MANY);
}

static void
test_kill(void)
{
	uint64_t box = delete_and_freeze("Big", NULL);
	uint32_t left;

	freeze_then = false;
	service_stop(SIGKILL); /* behind the answer */
	left = rows(box);
	printf("# %u of %d left\n", left, MANY);
	ok(left > 0 && !has_folder("Big"), "leaves a part");
	eq(check().findings, 0, "and no finding");
	service_start();
	service_again();
	is_emptied(box, MANY);
}

/* Kills until it is over. */
static void
test_kills(void)
{
	uint64_t box = delete_and_freeze("Big", NULL);
	uint32_t left = rows(box);
	int kills = 0;

	service_thaw();
	do { /* the first one may come when it is over */
		for (int i = 0; i < 60000 && left && rows(box) == left; i++)
			usleep(500);
		again();
		left = rows(box);
	} while (++kills < 5 && left);
	is_emptied(box, MANY);
}

static void
add_below(uint64_t box UNUSED)
{
	folder("Top/Below");
}

/* A folder below keeps the name, without messages. */
static void
test_child(void)
{
	uint64_t box = delete_and_freeze("Top", add_below);

	ok(has_folder("Top") && has_folder("Top/Below"), "and stays as a name");
	kill(stored_pid, SIGTERM); /* it is the first that it hears */
	service_thaw();
	service_stop(0);
	ok(rows(box) > 0, "the end of stored does not wait for it");
	service_start();
	service_again();
	is_emptied(box, MANY);
}

/* Copies of its messages, whose files are still to be made from those in it. */
static void
test_copied(void)
{
	uint64_t box = folder("Big"), copies = folder("Copies");
	struct store_mailbox m = { .exists = 0 };

	fill(box);
	eq(CALL(store_copy_start, box, &all, 1, copies, none), OK, "what was copied from");
	eq(CALL(store_delete_start, account, S("Big")), OK, "is deleted behind that");
	again();
	is_emptied(box, MANY);
	ok(store_begin(view) == 0 && store_get_mailbox(view, copies, &m) == 0 && m.exists == MANY,
	    "the copies are whole");
	store_end(view);
}

int
main(int argc, char **argv)
{
	struct store_reader *reader;
	char *why;

	(void)argc;
	service_open(argv[0], "empty", CONF);
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	account_inbox = last.mailbox;
	if (store_reader_open(last_path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
	test_delete();
	test_kill();
	test_kills();
	test_child();
	test_copied();
	store_view_free(&view);
	store_reader_close(&reader);
	service_close();
	return done();
}
