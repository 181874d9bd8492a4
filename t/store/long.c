/* Long jobs are done in slices: what comes meanwhile is done first, and a kill in between leaves a
 * mailbox that is right. */
#include <stdlib.h>

#include "service.h"
#include "store/check.h"

#define FIRST   500 /* messages */
#define DOUBLES 3   /* 4,000 in the end: 125 slices, when each is one block */
#define ALL     ((uint32_t)FIRST << DOUBLES)

static const struct store_limits none;
static const struct store_range all = { 1, UINT32_MAX };
static struct store_view *view;
static uint64_t account, box, other; /* joe's INBOX, ann's */

static void
fill(uint64_t to)
{
	struct store_body bodies[20];
	struct store_message m[20];

	for (int i = 0; i < FIRST / 20; i++) {
		for (int k = 0; k < 20; k++) {
			bodies[k] = body_with("long", 4);
			m[k] = (struct store_message){ .body = &bodies[k], .size = 4 };
		}
		CALL(store_append_start, to, m, 20, none);
	}
	for (int i = 0; i < DOUBLES; i++)
		CALL(store_copy_start, to, &all, 1, to, none);
}

/* ---- something long, and a delivery sent right behind it ------------------------------------- */

struct beside {
	struct op op;
	struct store_reply reply;
	unsigned order; /* in which it was answered; 0 = not yet */
};
static unsigned answers;

static void
long_on_answer(void *arg, const struct store_reply *r)
{
	struct beside *b = arg;

	b->reply = *r;
	b->order = ++answers;
	loop_stop(&loop);
}

static void
deliver_into(struct beside *b, const char *to, const char *folder)
{
	struct store_body body = body_with("long", 4);
	struct store_message m = { .body = &body, .size = 4 };
	struct store_target t = { .account = slice_str(to), .folder = slice_str(folder) };

	store_deliver_start(client, &m, &t, 1, &b->op, long_on_answer, b);
}

static void
deliver_start(struct beside *b, const char *to)
{
	deliver_into(b, to, "");
}

static void
long_await(const struct beside *b)
{
	while (!b->order)
		loop_run(&loop);
}

/* Several STOREs of all messages wait for each other; a delivery sent behind them does not. */
static void
is_beside(struct beside *work, size_t n, const struct store_change *change, const char *to,
    const char *what)
{
	const struct store_change touch = { .how = STORE_ADD, .flags = STORE_FLAGGED };
	const struct store_range one = { 1, 1 };
	struct beside mail = { .order = 0 };

	for (size_t i = 0; i < n; i++)
		store_flags_start(client, box, &all, 1, &change[i], &work[i].op, long_on_answer,
		    &work[i]);
	CALL(store_flags_start, other, &one, 1,
	    &touch); /* the first has begun: mail may pass it else */
	deliver_start(&mail, to);
	long_await(&mail);
	for (size_t i = 0; i < n; i++)
		long_await(&work[i]);
	ok(mail.order < work[n - 1].order, "mail for %s comes in beside %s", to, what);
}

static uint32_t
count(uint16_t flags)
{
	const struct store_record *rec;
	struct store_blocks walk;
	uint32_t found = 0;
	size_t n;

	if (store_begin(view) < 0)
		return 0;
	store_blocks_init(&walk, view, box, 1, UINT32_MAX);
	while ((rec = store_blocks_next(&walk, &n)))
		for (size_t i = 0; i < n; i++)
			found += (rec[i].flags & flags) == flags;
	store_end(view);
	return found;
}

/* ---- the tests -------------------------------------------------------------------------------- */

static void
test_flags(void)
{
	struct store_change changes[] = { { .how = STORE_ADD, .flags = STORE_FLAGGED },
		{ .how = STORE_ADD, .keywords = S("Before") },
		{ .how = STORE_REMOVE, .flags = STORE_FLAGGED },
		{ .how = STORE_SET, .keywords = S("After") },
		{ .how = STORE_ADD, .flags = STORE_FLAGGED } };
	struct beside work[NELEM(changes)] = { { .order = 0 } };
	bool good = true;

	is_beside(work, NELEM(work), changes, "ann@example.test", "long STOREs");
	for (size_t i = 0; i < NELEM(work); i++)
		good &= work[i].reply.verdict.kind == OK && work[i].reply.uid > 1 &&
		    (i == 0 ||
			(work[i].order > work[i - 1].order &&
			    work[i].reply.modseq == work[i - 1].reply.modseq + work[i].reply.uid));
	ok(good, "one behind the other, in slices, each with a modseq of its own");
	eq(count(STORE_FLAGGED), ALL, "which have changed all messages");
}

/* What comes in meanwhile is not what the STORE meant. */
static void
test_same_box(void)
{
	struct store_change changes[] = { { .how = STORE_ADD, .flags = STORE_DRAFT },
		{ .how = STORE_ADD, .keywords = S("One") },
		{ .how = STORE_ADD, .keywords = S("Two") },
		{ .how = STORE_ADD, .keywords = S("Three") } };
	struct beside work[NELEM(changes)] = { { .order = 0 } };

	is_beside(work, NELEM(work), changes, "joe@example.test", "STOREs there");
	eq(count(0), ALL + 1, "one more message");
	eq(count(STORE_DRAFT), ALL, "which those that had begun have left alone");
}

static void
test_conditional(void)
{
	static const struct store_range some[] = { { 7, 7 }, { 40, 90 }, { ALL - 100, ALL - 51 } };
	struct store_change touch = { .how = STORE_ADD, .flags = STORE_ANSWERED };
	struct store_change change = { .how = STORE_ADD, .flags = STORE_SEEN, .conditional = true };
	struct store_mailbox m;

	CALL(store_flags_start, box, some, 1, &touch);
	change.unchangedsince = last.modseq - 1;
	CALL(store_flags_start, box, some, NELEM(some), &touch);
	eq(CALL(store_flags_start, box, &all, 1, &change), OK, "a conditional STORE");
	ok(last.uid > 1 && last.nuids == 3 && memcmp(last_uids, some, sizeof(some)) == 0,
	    "in slices, which names those that it spared");
	eq(count(STORE_SEEN), ALL + 1 - 102, "and has changed the others");
	ok(store_begin(view) == 0 && store_get_mailbox(view, box, &m) == 0 && m.unseen == 102 &&
		store_first_unseen(view, &m) == 7,
	    "the counts know it");
	store_end(view);
}

static void
long_on_finding(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

static uint64_t
findings(void)
{
	struct store_check c = { .found = long_on_finding };
	char path[200], *why = NULL;

	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_check_partition(path, slice(NULL, 0), &c, &why) < 0) {
		printf("# %s\n", why);
		mem_free(&why);
		return 999;
	}
	return c.findings;
}

/* The answer to the delivery comes while STOREs are at work: then the kill. */
static void
test_kill(void)
{
	struct store_change add = { .how = STORE_ADD, .flags = STORE_DELETED };
	struct store_change remove = { .how = STORE_REMOVE, .flags = STORE_DELETED };
	struct beside work[4] = { { .order = 0 } }, mail = { .order = 0 };

	for (size_t i = 0; i < NELEM(work); i++)
		store_flags_start(client, box, &all, 1, i % 2 ? &remove : &add, &work[i].op,
		    long_on_answer, &work[i]);
	deliver_start(&mail, "ann@example.test");
	long_await(&mail);
	service_stop(SIGKILL);
	for (size_t i = 0; i < NELEM(work); i++)
		long_await(&work[i]);
	ok(work[NELEM(work) - 1].reply.verdict.kind == TEMP, "a kill while STOREs are at work");
	service_start();
	service_again();
	printf("# %u of %u messages have the flag\n", count(STORE_DELETED), ALL);
	eq(findings(), 0, "leaves what the check finds nothing in");
}

/* An EXPUNGE of UIDs that do not exist yet, and before its second slice what will get them: mail that
 * comes in meanwhile is not what it meant. */
static void
test_beyond(uint64_t to)
{
	struct store_change change = { .how = STORE_ADD, .keywords = S("Busy") };
	struct beside work = { .order = 0 }, expunge = { .order = 0 }, mail = { .order = 0 };
	struct store_body bodies[101];
	struct store_message m[NELEM(bodies)];
	struct store_mailbox now = { .exists = 0 };
	struct store_range far;
	size_t n = NELEM(m) - 1;

	for (size_t i = 0; i <= n; i++) {
		bodies[i] = body_with("long", 4);
		m[i] =
		    (struct store_message){ .body = &bodies[i], .size = 4, .flags = STORE_DELETED };
	}
	CALL(store_append_start, to, m + n, 1, none);
	far.first = far.last = last_uids[0].last + 2;
	store_flags_start(client, box, &all, 1, &change, &work.op, long_on_answer, &work);
	store_expunge_start(client, to, &far, 1, true, &expunge.op, long_on_answer, &expunge);
	store_append_start(client, to, m, n, none, &mail.op, long_on_answer, &mail);
	long_await(&mail);
	long_await(&expunge);
	long_await(&work);
	ok(store_begin(view) == 0 && store_get_mailbox(view, to, &now) == 0 &&
		now.uidnext > far.first + n / 2,
	    "mail comes in while UIDs are expunged that it gets");
	store_end(view);
	eq(now.deleted, n + 1, "and all of it stays");
}

/* A COPY that fits exactly, of which the messages are found in several slices already. */
static void
test_quota(void)
{
	struct store_limits limits = { .bytes = 0 };
	struct store_account a = { .messages = 0 };
	struct store_mailbox m = { .exists = 0 };
	uint64_t to = 0;

	ok(store_begin(view) == 0 && store_find_mailbox(view, account, S("Archive"), &to) == 0 &&
		store_find_account(view, S("joe@example.test"), &a) == 0 &&
		store_get_mailbox(view, box, &m) == 0,
	    "a folder for copies");
	store_end(view);
	limits.messages = a.messages + m.exists;
	eq(CALL(store_copy_start, box, &all, 1, to, limits), OK, "a quota that they just fill");
	eq(last.messages, limits.messages, "is filled");
	eq(CALL(store_copy_start, box, &all, 1, to, limits), TEMP, "and then refuses them");
}

/* Only what goes where the copies come waits for them: the rest of the account's mail does not. */
static void
test_mail_beside_copy(void)
{
	const struct store_change touch = { .how = STORE_ADD, .flags = STORE_FLAGGED };
	struct beside copy = { .order = 0 }, mail = { .order = 0 }, there = { .order = 0 };
	const struct store_range one = { 1, 1 };
	struct store_mailbox m = { .uidnext = 0 };
	uint64_t to;

	CALL(store_create_start, account, S("Copies"), STORE_USE_NONE);
	to = last.mailbox;
	store_copy_start(client, box, &all, 1, to, none, &copy.op, long_on_answer, &copy);
	CALL(store_flags_start, other, &one, 1, &touch); /* it has begun */
	deliver_into(&there, "joe@example.test", "Copies");
	deliver_start(&mail, "joe@example.test");
	long_await(&copy);
	long_await(&mail);
	long_await(&there);
	ok(mail.order < copy.order, "mail for the account comes in beside a COPY in it");
	ok(there.order > copy.order, "mail for the mailbox that gets the copies behind it");
	ok(copy.reply.verdict.kind == OK && there.reply.verdict.kind == OK &&
		store_begin(view) == 0 && store_get_mailbox(view, to, &m) == 0 &&
		m.uidnext == m.exists + 1 && copy.reply.nto == 1,
	    "with the UID behind them");
	store_end(view);
}

/* Changes of this kind in the account's log, each with its own modseq. */
static size_t
changes_of(enum store_change_kind kind)
{
	struct store_change_walk c = { .account = account };
	uint64_t before = 0;
	size_t n = 0;

	if (store_begin(view) < 0)
		return 0;
	while (store_change_next(view, &c)) {
		n += c.kind == kind && c.modseq != before;
		before = c.modseq;
	}
	store_end(view);
	return n;
}

static void
test_expunge(void)
{
	static const struct store_range rest[] = { { 1, 4 }, { 6, UINT32_MAX } }, kept = { 5, 5 };
	struct store_change change = { .how = STORE_REMOVE, .flags = STORE_DELETED };

	CALL(store_flags_start, box, &kept, 1, &change);
	change.how = STORE_ADD;
	CALL(store_flags_start, box, rest, NELEM(rest), &change);
	eq(CALL(store_expunge_start, box, NULL, 0, false), OK, "an EXPUNGE of all but one");
	ok(changes_of(STORE_CHANGE_GONE) > 1, "goes in slices");
	eq(count(0), 1, "leaves the one");
	ok(last.nuids > 1 && last_uids[0].first == 1 && last_uids[0].last == 4 &&
		last_uids[1].first == 6 && last_uids[last.nuids - 1].last == ALL + 2,
	    "and names the rest");
	eq(findings(), 0, "the check finds nothing");
}

int
main(int argc, char **argv)
{
	struct store_reader *reader;
	char socket_path[100], *why;

	(void)argc;
	log_init("long", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0])) {
		printf("1..0 # SKIP stored is not built\n");
		return 0;
	}
	service_prepare("map_size = 1G\nmin_free = 0\nsnapshot_interval = 0\nslice = 0\n");
	service_start();
	loop_init(&loop);
	snprintf(socket_path, sizeof(socket_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket_path, "long");
	CALL(store_account_start, S("ann@example.test"), S(""));
	other = last.mailbox;
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	box = last.mailbox;
	if (store_reader_open(last_path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
	fill(box);
	test_flags();
	test_same_box();
	test_conditional();
	test_beyond(other);
	test_mail_beside_copy();
	test_quota();
	test_kill();
	test_expunge();
	store_view_free(&view);
	store_reader_close(&reader);
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
