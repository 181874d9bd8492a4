/* What deliveries ask of an account, and let it remember: marks that stand for a time, once for whoever comes
 * first, kept over a kill, bounded; folders that are there, by name and use, and those that are made. */
#include "rows.h"
#include "store/env.h"

#define JOE "joe@example.test"

static uint64_t joe;

/* One question; -1: no answer. */
static int
ask(struct store_question q)
{
	if (CALL(store_know_start, S(JOE), S(""), &q, 1) != OK)
		return -1;
	return (int)last.known;
}

static struct store_question
mark(enum store_know what, const char *name, uint32_t seconds)
{
	struct store_question q = { .what = (uint8_t)what, .seconds = seconds };

	store_dup_key(slice_str(name), S("test"), q.key);
	return q;
}

static size_t
marks_in_table(void)
{
	struct rows r;
	MDB_stat st;
	size_t n;

	rows_open(&r, "mark");
	if (mdb_stat(r.txn, r.dbi, &st))
		abort();
	n = st.ms_entries;
	rows_close(&r);
	return n;
}

static void
test_marks(void)
{
	const struct store_question two[] = { mark(STORE_KNOW_CLAIM, "two", 1000),
		mark(STORE_KNOW_CLAIM, "two", 1000), mark(STORE_KNOW_SEEN, "none", 0) };

	eq(ask(mark(STORE_KNOW_SEEN, "a", 0)), 0, "nothing was seen");
	eq(ask(mark(STORE_KNOW_CLAIM, "a", 1000)), 0, "the first who claims gets it");
	eq(ask(mark(STORE_KNOW_CLAIM, "a", 1000)), 1, "the second hears that it is taken");
	eq(ask(mark(STORE_KNOW_SEEN, "a", 0)), 1, "it was seen");
	eq(ask(mark(STORE_KNOW_MARK, "a", 1)), 1, "it is set anew");
	ok(AWAIT(ask(mark(STORE_KNOW_SEEN, "a", 0)) == 0), "and ends in its time");
	eq(ask(mark(STORE_KNOW_CLAIM, "a", 1000)), 0, "when it can be claimed again");
	eq(CALL(store_know_start, S(JOE), S(""), two, 3), OK, "several at once");
	eq(last.known, 2, "in their order");
	eq(CALL(store_know_start, S("ann@example.test"), S(""), two, 1), OK, "another account");
	eq(last.known, 0, "has its own");
	service_stop(SIGKILL);
	service_start();
	service_again();
	eq(ask(mark(STORE_KNOW_CLAIM, "a", 1000)), 1, "a mark outlives a kill");
	eq(ask((struct store_question){ .what = STORE_KNOW_OBJECT + 1 }), -1, "no such question");
	eq(ask((struct store_question){ .what = STORE_KNOW_OBJECT, .objectid = 1 }), 0,
	    "no folder has this id");
	eq(ask((struct store_question){ .what = STORE_KNOW_OBJECT }), 0, "nor none");
}

/* Strangers set them. */
static void
test_bound(void)
{
	struct store_question q[STORE_QUESTIONS_MAX];
	char name[32];

	for (unsigned n = 0; n < STORE_MARKS_MAX + 2000;) {
		for (size_t i = 0; i < NELEM(q); i++) {
			snprintf(name, sizeof(name), "flood %u", n++);
			q[i] = mark(STORE_KNOW_CLAIM, name, 100000 + n);
		}
		if (CALL(store_know_start, S(JOE), S(""), q, NELEM(q)) != OK)
			abort();
	}
	snprintf(name, sizeof(name), "%zu rows", marks_in_table());
	ok(marks_in_table() <= STORE_MARKS_MAX + 4, "an account has so many at most: %s", name);
	eq(ask(mark(STORE_KNOW_CLAIM, "behind", 1000000)), 0, "there is still room for one");
	eq(ask(mark(STORE_KNOW_CLAIM, "behind", 1000000)), 1, "which stands");
}

static void
test_folders(void)
{
	struct store_question q = { .what = STORE_KNOW_FOLDER, .folder = S("inbox") };

	eq(ask(q), 1, "INBOX in any case");
	q.folder = S("Nowhere");
	eq(ask(q), 0, "no such folder");
	q.folder = S("bad//name");
	eq(ask(q), 0, "no such name");
	eq(CALL(store_create_start, joe, S("Work/deep"), STORE_USE_NONE), OK, "a folder is made");
	q.folder = S("Work/deep");
	eq(ask(q), 1, "and is there");
	q = (struct store_question){ .what = STORE_KNOW_USE, .use = STORE_USE_JUNK };
	eq(ask(q), 1, "a use that a folder has");
	q.folder = S("Junk");
	eq(ask(q), 1, "this folder");
	q.folder = S("Trash");
	eq(ask(q), 0, "and not that one");
	q = (struct store_question){ .what = STORE_KNOW_USE, .use = STORE_USE_FLAGGED };
	eq(ask(q), 0, "a use that none has");
	eq(CALL(store_create_start, joe, S("Stars"), STORE_USE_FLAGGED), OK, "one is made with it");
	eq(ask(q), 1, "and found");
	eq(CALL(store_rename_start, joe, S("Stars"), S("Suns")), OK, "it is renamed");
	q.folder = S("Suns");
	eq(ask(q), 1, "and still found");
	eq(CALL(store_delete_start, joe, S("Suns")), OK, "it is deleted");
	eq(ask(q), 0, "and not found any more");
}

/* Delivers one message to these targets; each says the folder that it came into. */
static void
deliver(struct store_target *t, size_t n)
{
	struct store_message m = { .size = 9 };
	struct store_body b = { .fd = -1 };

	if (CALL(store_body_start, S(""), &b) != OK || write(b.fd, "A: b\r\n\r\nx", 9) != 9)
		abort();
	m.body = &b;
	if (CALL(store_deliver_start, &m, t, n) != OK)
		abort();
}

static void
test_deliver(void)
{
	struct store_target t[] = { { .account = S(JOE) },
		{ .account = S(JOE), .folder = S("Not/there") },
		{ .account = S(JOE), .folder = S("Made/new"), .create = true },
		{ .account = S(JOE), .folder = S("Odd"), .use = STORE_USE_ARCHIVE },
		{ .account = S(JOE),
		    .folder = S("Stars"),
		    .use = STORE_USE_FLAGGED,
		    .create = true },
		{ .account = S(JOE), .folder = S("."), .create = true } };
	uint64_t inbox;

	deliver(t, NELEM(t));
	inbox = last_results[0].mailbox;
	ok(last_results[1].mailbox == inbox && last_results[1].uid == last_results[0].uid,
	    "a folder that is not there is INBOX, where it is already");
	ok(last_results[2].mailbox != inbox, "one that is to be made is made");
	ok(last_results[3].mailbox != inbox &&
		ask((struct store_question){ .what = STORE_KNOW_FOLDER, .folder = S("Odd") }) == 0,
	    "the folder with the use is taken before the name");
	eq(ask((struct store_question){ .what = STORE_KNOW_FOLDER, .folder = S("Made/new") }), 1,
	    "with its name");
	eq(ask((struct store_question){ .what = STORE_KNOW_USE,
	       .use = STORE_USE_FLAGGED,
	       .folder = S("Stars") }),
	    1, "and with its use");
	ok(last_results[5].mailbox == inbox, "what nobody could make is INBOX");
}

int
main(int argc, char **argv)
{
	(void)argc;
	service_open(argv[0], "know", "min_free = 0\n");
	CALL(store_account_start, S(JOE), S(""));
	joe = last.account;
	test_marks();
	test_folders();
	test_deliver();
	test_bound();
	service_close();
	return done();
}
