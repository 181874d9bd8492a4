/* The envelope's text form: what is written is read, what was torn or damaged is told apart. */
#include "../tap.h"
#include <unistd.h>
#include "base/crc.h"
#include "queue/queue-impl.h"

#define ID "1qx0abcdefghi00"

static struct verdict temp;

static struct qenv
sample(struct qrcpt *r)
{
	temp = verdict(TEMP, 452, "4.2.2", "mailbox 100%% full = bad");
	r[0] = (struct qrcpt){ .addr = "a@example.org", .channel = "tcp_lmtp", .dest = "store1" };
	r[1] = (struct qrcpt){ .addr = "\"two words\"@example.org",
		.orcpt = "rfc822;x+2By@z",
		.final = "alias@example.org",
		.notify = QNOTIFY_SUCCESS | QNOTIFY_DELAY,
		.channel = "tcp_lmtp",
		.dest = "store1" };
	return (struct qenv){ .qid = "1qx0abcdefghi",
		.source = "tcp_local",
		.sender = "s@x.example",
		.envid = "QQ 314=159",
		.ret = QRET_HDRS,
		.prio = QPRIO_URGENT,
		.body = QBODY_8BIT,
		.utf8 = true,
		.auth = "u@example.org",
		.client = "192.0.2.1",
		.helo = "x.example",
		.arrival_ms = 1763800000123,
		.rcpts = r,
		.nrcpt = 2 };
}

static enum qbad
parse(struct buf *b, uint64_t size, struct arena *a, struct qenv *env)
{
	const char *why = "";

	return qenv_parse(buf_get(b), size, ID, a, env, &why);
}

static void
header(void)
{
	static const uint32_t all[] = { 0, 1 };
	struct qrcpt r[2];
	struct qenv e = sample(r), back;
	struct arena a = { 0 };
	struct buf b = { 0 }, blank = { 0 };
	size_t missed = 0, torn = 0;

	e.known = S("0123456789abcdef");
	e.inside = true;
	e.release_at = 1763900000;
	e.release_asked = "for;100000";
	e.language = "de-CH, de;q=0.9";
	e.files = 7;
	e.priority = -9;
	e.tls = QTLS_REQUIRED;
	e.by_at = 1763900005;
	e.by_notify = true;
	qenv_write(&b, &e, ID, all, 2);
	eq(parse(&b, b.n, &a, &back), QBAD_NONE, "reads");
	eq(back.priority, -9, "how soon it is to go");
	eq(back.tls, QTLS_REQUIRED, "and by TLS alone");
	ok(back.by_at == 1763900005 && back.by_notify && !back.by_trace, "and until when");
	e.by_at = 0;
	e.priority = 0;
	e.tls = QTLS_OPTIONAL;
	ok(back.release_at == 1763900000 && back.next_at == back.release_at && back.files == 7,
	    "kept until then, and so is its first attempt");
	is(back.release_asked, "for;100000", "as it was asked");
	is(back.language, "de-CH, de;q=0.9", "the language of reports");
	ok(back.known.n == 0 && back.inside, "who gets it otherwise is told where it counts");
	buf_clear(&b);
	e.release_at = 0;
	e.release_asked = NULL;
	r[0].again = r[0].sent = true;
	r[0].release_at = 1763990000;
	qenv_write(&b, &e, ID, all, 2);
	ok(slice_ends(buf_get(&b), S("END\n")), "ends with END");
	eq(qenv_header_len(slice_sub(buf_get(&b), 0, QENV_FIRST)), b.n, "says its length");
	eq(parse(&b, b.n, &a, &back), QBAD_NONE, "reads");
	ok(slice_eq(back.known, e.known), "there");
	ok(back.release_at == 1763990000 && !back.release_asked, "this file alone is kept");
	eq(back.tls, QTLS_OPTIONAL, "whatever TLS says");
	ok(back.rcpts[0].sent && !back.rcpts[1].sent, "whom it is a copy for");
	is(back.qid, e.qid, "qid");
	is(back.sender, e.sender, "sender");
	is(back.envid, e.envid, "envid");
	is(back.auth, e.auth, "auth");
	is(back.dest, "store1", "destination");
	ok(back.ret == e.ret && back.prio == e.prio && back.body == e.body && back.utf8, "flags");
	ok(back.arrival_ms == e.arrival_ms && back.nrcpt == 2, "arrival and number");
	is(back.rcpts[1].addr, r[1].addr, "an address with a space");
	is(back.rcpts[1].orcpt, r[1].orcpt, "original address");
	is(back.rcpts[1].final, r[1].final, "final address");
	ok(!back.rcpts[0].orcpt && back.rcpts[0].notify == 0, "absent is absent");
	eq(back.rcpts[1].notify, r[1].notify, "notify");

	qenv_write_blank(&blank, b.n);
	eq(blank.n, b.n, "the blank has the same length");
	eq(parse(&blank, blank.n, &a, &back), QBAD_TORN, "and is unfinished");
	for (size_t i = 0; i < b.n; i++) {
		struct buf cut = { .p = b.p, .n = i };

		torn += parse(&cut, i, &a, &back) == QBAD_TORN;
		b.p[i] ^= 4;
		missed += parse(&b, b.n, &a, &back) != QBAD_DAMAGED;
		b.p[i] ^= 4;
	}
	eq(torn, b.n, "every file without its whole header is torn");
	qenv_seal(b.p, b.n, 100, 0);
	eq(parse(&b, b.n + 99, &a, &back), QBAD_DAMAGED,
	    "a whole header and a cut message is damage: it may have been acknowledged");
	eq(parse(&b, b.n + 100, &a, &back), QBAD_NONE, "its full length is not");
	eq(missed, 0, "every flipped bit is damage, never a reason to remove");
	arena_reset(&a);
	buf_fini(&b);
	buf_fini(&blank);
}

static void
journal(void)
{
	static const uint32_t all[] = { 0, 1 };
	struct qrcpt r[2];
	struct qenv e = sample(r), back;
	struct arena a = { 0 };
	struct buf b = { 0 }, j = { 0 };
	size_t first, noticed;

	qenv_write(&b, &e, ID, all, 2);
	r[0].state = QSTATE_DELIVERED;
	r[0].changed = r[1].changed = r[1].deferred = true;
	r[0].at = r[1].at = 1763800100;
	r[1].last = &temp;
	r[1].mta = "store1 [192.0.2.9]";
	qjournal_rcpts(&j, ID, &e);
	qjournal_attempt(&j, ID, 1, 1763803700);
	qjournal_report(&j, ID, "0123456789abc", "tried");
	qjournal_report(&j, ID, "0123456789abc", "queued");
	qjournal_members(&j, ID, S("0123456789abcdef0123456789ABCDEF"));
	qjournal_members(&j, ID, S("fedcba9876543210"));
	qjournal_told(&j, ID, "owner=1@example.org", 1763803800);
	first = j.n;
	qjournal_notice(&j, ID, 2, 1763900000);
	noticed = j.n;
	ok(!r[0].changed && !r[1].changed, "written once");
	eq(parse(&b, b.n, &a, &back), QBAD_NONE, "header reads");
	eq(qjournal_parse(buf_get(&j), ID, &a, &back), j.n, "journal reads");
	eq(back.rcpts[0].state, QSTATE_DELIVERED, "delivered");
	ok(back.rcpts[1].state == QSTATE_PENDING && back.rcpts[1].deferred, "deferred");
	is(back.rcpts[1].last->text, temp.text, "words of the verdict");
	ok(back.rcpts[1].last->kind == TEMP && back.rcpts[1].last->subject == 2 &&
		back.rcpts[1].last->reply == 452,
	    "code of the verdict");
	is(back.rcpts[1].mta, "store1 [192.0.2.9]", "who said it");
	ok(back.attempts == 1 && back.next_at == 1763803700 && back.notices == 2, "numbers");
	ok(back.report == QREPORT_QUEUED && back.reports == 1, "a report is on its way");
	eq(qenv_pending(&back), 1, "one is pending");
	ok(back.members && back.members->next && !back.members->next->next, "two pieces of a list");
	ok(slice_eq(back.members->sums, S("fedcba9876543210")) &&
		slice_eq(back.members->next->sums, S("0123456789abcdef0123456789ABCDEF")),
	    "with their sums");
	ok(back.told && !back.told->next, "one was told of it");
	is(back.told->to, "owner=1@example.org", "he");
	qjournal_attempt(&j, ID, 2, 1763904000);
	eq(qjournal_parse(buf_get(&j), ID, &a, &back), j.n, "the journal goes on");
	ok(!back.told, "behind the next attempt he is told of others");
	j.n = noticed;

	eq(parse(&b, b.n, &a, &back), QBAD_NONE, "again");
	eq(qjournal_parse(slice(j.p, j.n - 1), ID, &a, &back), first, "a torn line is not read");
	eq(back.notices, 0, "nor does it count");
	eq(qjournal_parse(buf_get(&j), "1qx0abcdefghi01", &a, &back), 0,
	    "lines of another file's life are not ours");
	arena_reset(&a);
	buf_fini(&b);
	buf_fini(&j);
}

static void
names(void)
{
	static const struct {
		uint32_t attempts;
		const char *start;
	} sun[] = { { 0, "ZZ" }, { 1, "ZY" }, { 25, "ZA" }, { 35, "Z0" }, { 36, "YZ" },
		{ 1295, "00" }, { 5000, "00" } };
	char name[QUEUE_NAME_LEN + 4], id[QUEUE_FILE_ID_LEN + 1];
	uint32_t n;
	bool held;

	for (size_t i = 0; i < NELEM(sun); i++) {
		queue_name(name, ID, sun[i].attempts, false);
		ok(strncmp(name, sun[i].start, 2) == 0, "%u attempts give %s", sun[i].attempts,
		    name);
	}
	ok(queue_name_parse(S("ZY" ID ".00"), id, &n, &held) && n == 1 && !held, "a name");
	is(id, ID, "its id");
	ok(queue_name_parse(S("ZZ" ID ".HELD"), id, &n, &held) && held, "held");
	ok(!queue_name_parse(S("ZZ" ID), id, &n, &held), "no end");
	ok(!queue_name_parse(S("zz" ID ".00"), id, &n, &held), "lower-case count");
	ok(!queue_name_parse(S("ZZ1qx0abc/efghi00.00"), id, &n, &held), "a slash");
	ok(!queue_name_parse(S(""), id, &n, &held), "nothing");
}

static void
journal_add(struct buf *j, const char *line)
{
	uint32_t sum = crc32c(crc32c(0, ID, QUEUE_FILE_ID_LEN), line, strlen(line));

	buf_printf(j, "%s crc=%08x\n", line, sum);
}

/* Records whose words this version does not know, alone and within a step. */
static void
later(void)
{
	static const char *const lines[] = { "rcpt n=0 state=parked at=1763800000",
		"rcpt n=7 state=delivered at=1763800000", "attempt n=99999 next=1", "attempt n=1",
		"notice n=many at=1", "rcpt n=0 state=failed at=1 code=9.9.9", "colour name=red" };
	struct qrcpt r[2];
	struct qenv e = sample(r), back = e;
	struct arena a = { 0 };
	struct buf j = { 0 };

	e.rcpts[1].state = QSTATE_DELIVERED;
	e.rcpts[1].changed = true;
	for (size_t i = 0; i < NELEM(lines); i++)
		journal_add(&j, lines[i]);
	qjournal_rcpts(&j, ID, &e);
	qjournal_step(&j, ID);
	qjournal_notice(&j, ID, 2, 1763900000);
	back.rcpts[1].state = QSTATE_PENDING;
	eq(qjournal_parse(buf_get(&j), ID, &a, &back), j.n,
	    "lines of a later version are read over");
	ok(back.rcpts[1].state == QSTATE_DELIVERED && back.notices == 2,
	    "within a step too: what is known in it counts, and what follows");
	ok(back.attempts == 0 && back.next_at == 0, "and they change nothing");
	ok(back.rcpts[0].state == QSTATE_FAILED && !back.rcpts[0].last,
	    "but for a state whose words cannot be read");
	arena_reset(&a);
	buf_fini(&j);
}

/* What is written at once counts as a whole, wherever it was torn; what follows is written over it. */
static void
steps(void)
{
	struct qrcpt r[2];
	struct qenv e = sample(r), back;
	struct arena a = { 0 };
	struct buf j = { 0 }, one = { 0 };
	size_t half = 0, whole;

	e.rcpts[0].state = QSTATE_FAILED;
	e.rcpts[0].changed = e.rcpts[1].changed = true;
	e.rcpts[1].state = QSTATE_DELIVERED;
	qjournal_members(&j, ID, S("0123456789abcdef"));
	qjournal_rcpts(&j, ID, &e);
	qjournal_report(&j, ID, "0123456789abc", "queued");
	qjournal_step(&j, ID);
	ok(slice_starts(buf_get(&j), S("step len=")), "several lines are a step");
	whole = j.n;
	qjournal_notice(&one, ID, 1, 1763900000);
	qjournal_step(&one, ID);
	ok(slice_starts(buf_get(&one), S("notice ")), "one is none");
	buf_slice(&j, buf_get(&one));
	for (size_t n = 0; n <= j.n; n++) {
		struct qrcpt some[2];
		size_t good;

		back = sample(some);
		good = qjournal_parse(slice(j.p, n), ID, &a, &back);
		half += good != (n < whole ? 0 : n < j.n ? whole : j.n);
		half += (back.rcpts[0].state == QSTATE_FAILED) != (n >= whole);
		half += !!back.members != (n >= whole);
		half += (back.report == QREPORT_QUEUED) != (n >= whole);
		arena_reset(&a);
	}
	eq(half, 0, "torn anywhere, all of it counts or nothing");
	qjournal_step(&j, ID);
	back = sample(r);
	eq(qjournal_parse(buf_get(&j), ID, &a, &back), 0, "a step has no step in it");
	j.p[whole - 20] ^= 1;
	back = sample(r);
	eq(qjournal_parse(buf_get(&j), ID, &a, &back), 0, "damaged, too");
	buf_fini(&j);
	buf_fini(&one);
	arena_reset(&a);
}

int
main(void)
{
	steps();
	later();
	header();
	journal();
	names();
	return done();
}
