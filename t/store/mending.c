/* RECOUNT and MEND of a large mailbox: in slices, beside others' mail, and over a kill.
 *
 * What other processes do to the machine is no fault of the store: the judgement is by answers that others
 * get meanwhile, and by what the writer has used of the processor for one batch. */
#include "rows.h"
#include "store/mend.h"

#define MANY 16000  /* messages: 500 slices, when each is one block */
#define LOG  200000 /* rows */
#define CONF "map_size = 1G\nmin_free = 0\nsnapshot_interval = 0\ncleanup_age = 0\n"
#ifdef __SANITIZE_ADDRESS__
#define MOST 250000 /* us of the writer's for a batch, with the sanitizer's own work */
#else
#define MOST 50000
#endif

static const struct store_limits none;
static uint64_t account, work, ann;
static struct op big_op;
static struct store_reply big; /* the answer to what takes long */
static bool big_over;

static void
mending_on_over(void *arg, const struct store_reply *r)
{
	(void)arg;
	big_over = true;
	big = *r;
	loop_stop(&loop);
}

static void
fill(uint64_t box)
{
	struct store_body bodies[20];
	struct store_message m[20];
	struct store_range some = { 1, 0 };

	for (int k = 0; k < 20; k++) {
		bodies[k] = body_with("full", 4);
		m[k] =
		    (struct store_message){ .body = &bodies[k], .size = 4, .keywords = S("one") };
	}
	CALL(store_append_start, box, m, 20, none);
	for (uint32_t n = 20; n < MANY; n += some.last) {
		some.last = n < MANY - n ? n : MANY - n;
		CALL(store_copy_start, box, &some, 1, box, none);
	}
	while (status_number(" unlinked="))
		usleep(20000);
}

/* Messages that lie in the mailbox's own record. */
static void
arrive(void)
{
	struct store_body body = body_with("mail", 4);
	struct store_message m = { .body = &body, .size = 4 };
	struct store_target t = { .account = S("joe@example.test"), .folder = S("Work") };
	uint8_t before = mailbox(work).narrivals;

	for (int i = 0; i < 3; i++) {
		if (i)
			body = body_with("mail", 4);
		CALL(store_deliver_start, &m, &t, 1);
	}
	ok(before == 0 && mailbox(work).narrivals == 3, "messages that are in no block yet");
}

static bool
flag_ann(int i)
{
	const struct store_range one = { 1, 1 };
	const struct store_change change = { .how = i % 2 ? STORE_ADD : STORE_REMOVE,
		.flags = STORE_FLAGGED };

	return CALL(store_flags_start, ann, &one, 1, &change) == OK;
}

static int
deliver(const char *to)
{
	struct store_body body = body_with("mail", 4);
	struct store_message m = { .body = &body, .size = 4 };
	struct store_target t = { .account = slice_str(to) };

	return CALL(store_deliver_start, &m, &t, 1);
}

/* Others' answers until the long one has come. */
static void
beside(void (*start)(void), const char *what, uint64_t least)
{
	uint64_t batches = status_number(" batches=");
	int n = 0;

	start();
	for (; !big_over && n < 100000; n++)
		if (!(n % 2 ? flag_ann(n / 2) : deliver("ann@example.test") == OK))
			break;
	while (!big_over)
		loop_run(&loop);
	big_over = false;
	eq((int)big.verdict.kind, OK, "a long %s", what);
	batches = status_number(" batches=") - batches;
	printf("# %s: %d others were answered, in %llu batches\n", what, n,
	    (unsigned long long)batches);
	ok(batches >= least, "in slices, each in a batch of its own, beside others");
}

static void
restart(const char *slice)
{
	char conf[200];

	service_stop(SIGTERM);
	snprintf(conf, sizeof(conf), CONF "slice = %s\n", slice);
	write_file("stored.conf", conf);
	service_start();
	service_again();
}

/* When it has had some slices. */
static void
kill_in_the_middle(void)
{
	uint64_t batches = status_number(" batches=");

	ping(); /* it has been sent */
	for (int i = 0; i < 10000 && status_number(" batches=") < batches + 20; i++)
		usleep(100);
	service_stop(SIGKILL);
	while (!big_over)
		loop_run(&loop);
	big_over = false;
	service_start();
	service_again();
}

/* ---- RECOUNT ----------------------------------------------------------------------------------- */

/* A block whose states are lost: the counts of the mailbox are wrong from then on. */
static void
lose_states(uint32_t block)
{
	uint8_t key[12];

	store_be64(key, work);
	store_be32(key + 8, block);
	damage("state", key, sizeof(key), FLIP, 20);
}

static void
recount_start(void)
{
	store_recount_start(client, account, &big_op, mending_on_over, NULL);
}

static void
test_recount(void)
{
	struct store_mailbox m;

	lose_states(100);
	ok(check().findings > 0, "a block's states are damaged");
	beside(recount_start, "RECOUNT", MANY / 32);
	m = mailbox(work);
	ok(m.exists == MANY && m.bytes == MANY * 4 && m.unseen == 32,
	    "what has lost its state counts as unseen");
	eq(m.nruns, 1, "its UIDs are one run");
	eq(check().findings, 0, "and the check finds nothing");
}

/* The account's own mail and changes come behind it, and are counted once. */
static void
test_own_mail(void)
{
	struct store_body body = body_with("mail", 4);
	struct store_message m = { .body = &body, .size = 4 };
	struct store_target t = { .account = S("joe@example.test"), .folder = S("Work") };
	const struct store_range some = { 50, 149 };
	struct store_mailbox after;
	uint64_t modseq = mailbox(work).highestmodseq;

	recount_start();
	eq(CALL(store_deliver_start, &m, &t, 1), OK, "mail for the account, beside a RECOUNT");
	while (!big_over)
		loop_run(&loop);
	big_over = false;
	recount_start();
	eq(CALL(store_expunge_start, work, &some, 1, true), OK, "so does an EXPUNGE");
	ok(big_over && last.verdict.kind == OK, "also of the mailbox that is counted");
	big_over = false;
	after = mailbox(work);
	ok(after.exists == MANY + 1 - 100 && after.highestmodseq > modseq, "each counts once");
	while (check().waiting)
		usleep(50000);
	eq(check().findings, 0, "the check finds nothing");
}

static void
test_recount_kill(void)
{
	struct store_mailbox before, now;
	int tries = 0;

	CALL(store_recount_start, account); /* what came before is in blocks */
	arrive();
	before = mailbox(work);
	do {
		lose_states(50);
		lose_states(450);
		recount_start();
		kill_in_the_middle();
	} while (big.verdict.kind == OK && ++tries < 5);
	ok(big.verdict.kind != OK, "a kill in the middle of a RECOUNT");
	now = mailbox(work);
	ok(now.exists == before.exists && now.bytes == before.bytes,
	    "leaves the counts that there were");
	eq(CALL(store_recount_start, account), OK, "asked again");
	ok(mailbox(work).exists == before.exists && mailbox(work).unseen == before.unseen + 64,
	    "it counts all");
	eq(check().findings, 0, "the check finds nothing");
}

/* ---- MEND -------------------------------------------------------------------------------------- */

static struct store_mending hint;

static void
mending_heard(void *arg, const struct store_mailbox *m)
{
	(void)arg;
	hint.id = m->account;
	if (m->highestmodseq > hint.modseq)
		hint.modseq = m->highestmodseq;
	if (m->uidvalidity > hint.uidvalidity)
		hint.uidvalidity = m->uidvalidity;
}

static void
mend_start(void)
{
	struct store_reader *r;
	struct store_view *v;

	hint = (struct store_mending){ .account = S("joe@example.test"), .folder = S("Work") };
	v = look(&r);
	store_mend_walk(v, hint.account, mending_heard, NULL);
	close_look(&r, v);
	store_mend_start(client, &hint, &big_op, mending_on_over, NULL);
}

static void
is_mended(const struct store_mailbox *before)
{
	struct store_mailbox m = mailbox(work);

	eq(m.exists, before->exists, "it has all messages");
	eq(m.bytes, before->bytes, "all their octets");
	eq(m.unseen, before->unseen, "those that nobody has seen");
	eq(m.uidnext, before->uidnext, "and its next UID");
	ok(m.uidvalidity > before->uidvalidity && m.highestmodseq > before->highestmodseq,
	    "and a new UIDVALIDITY");
	eq(CALL(store_recount_start, account), OK, "the account is summed up");
	eq(check().findings, 0, "the check finds nothing");
}

static void
test_mend(void)
{
	struct store_mailbox before;

	arrive();
	before = mailbox(work);
	damage_mailbox(work, FLIP, 20);
	beside(mend_start, "MEND", MANY / 32);
	eq(big.uid, 1, "one record is mended");
	is_mended(&before);
}

static void
test_mend_kill(void)
{
	struct store_mailbox before;
	int tries = 0;

	arrive();
	before = mailbox(work);
	do {
		damage_mailbox(work, FLIP, 20);
		mend_start();
		kill_in_the_middle();
		if (big.verdict.kind == OK) /* it was too quick */
			before = mailbox(work);
	} while (big.verdict.kind == OK && ++tries < 5);
	ok(big.verdict.kind != OK, "a kill in the middle of a MEND");
	ok(CALL(store_recount_start, account) == TEMP && last.code == STORE_DAMAGED,
	    "leaves the record as damaged as it was");
	mend_start();
	while (!big_over)
		loop_run(&loop);
	big_over = false;
	ok(big.verdict.kind == OK && big.uid == 1, "asked again it is mended");
	is_mended(&before);
}

/* The account's change log, so long that the slice in which all is counted ends before all of it is read. */
static void
long_log(void)
{
	struct store_disk_change row = { .version = STORE_VERSION,
		.kind = STORE_CHANGE_FLAGS,
		.at = (uint32_t)time(NULL),
		.mailbox = work };
	struct rows r;
	uint8_t key[20];

	rows_open(&r, "change");
	store_be64(key, account);
	store_be64(key + 8, 1);
	for (uint32_t i = 1; i <= LOG; i++) {
		store_be32(key + 16, (uint32_t)row.kind << 24 | i);
		rows_put(&r, key, sizeof(key), &row, sizeof(row));
	}
	rows_close(&r);
}

/* As they are configured: how long is the writer away? */
static void
test_slices(void)
{
	struct store_mailbox before;
	uint64_t longest;

	restart("5ms");
	long_log();
	arrive();
	before = mailbox(work);
	beside(recount_start, "RECOUNT", 1);
	longest = status_number(" longest_cpu_us=");
	damage_mailbox(work, FLIP, 20);
	beside(mend_start, "MEND", 1);
	is_mended(&before);
	if (status_number(" longest_cpu_us=") > longest)
		longest = status_number(" longest_cpu_us=");
	printf("# the longest batch: %.1f ms of CPU time\n", (double)longest / 1000);
	ok(longest > 0 && longest < MOST, "no batch takes %d ms of the writer's time", MOST / 1000);
}

/* To another account: neither is counted meanwhile. */
static void
test_move_away(void)
{
	const struct store_range all = { 1, UINT32_MAX };

	big_over = false;
	store_move_start(client, work, &all, 1, ann, &big_op, mending_on_over, NULL);
	eq(CALL(store_recount_start, account), OK, "a RECOUNT of what a MOVE takes from");
	ok(big_over && big.code == STORE_DONE, "is answered behind it");
	eq(last.messages, 0, "with what is left");
	eq(check().findings, 0, "and the check finds nothing");
}

int
main(int argc, char **argv)
{
	(void)argc;
	service_open(argv[0], "mending", CONF "slice = 0\n");
	CALL(store_account_start, S("ann@example.test"), S(""));
	ann = last.mailbox;
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	CALL(store_create_start, account, S("Work"), STORE_USE_NONE);
	work = last.mailbox;
	fill(work);
	{
		const struct store_range all = { 1, UINT32_MAX };
		const struct store_change seen = { .how = STORE_ADD, .flags = STORE_SEEN };

		eq(CALL(store_flags_start, work, &all, 1, &seen), OK, "a large mailbox");
	}
	eq(deliver("ann@example.test"), OK, "and another account");
	test_recount();
	test_own_mail();
	test_recount_kill();
	test_mend();
	test_mend_kill();
	test_slices();
	test_move_away();
	service_close();
	return done();
}
