/* What scripts are to hear of (RFC 6785): rows that are committed with what they tell of, by whom and why; nothing without
 * a script, of a script, or of mail that comes; kept over a kill, bounded, and gone when they have been handled. */
#include "rows.h"
#include "store/annot.h"

#define JOE "joe@example.test"

static struct slice who = { JOE, sizeof(JOE) - 1 };
static uint64_t joe, inbox, work, junk;

static struct store_person
actor(struct op *op)
{
	(void)op;
	return store_person(who);
}

/* ---- rows ---- */

struct seen {
	struct store_happened e;
	struct store_range ranges[4];
	size_t n;
	char login[64];
};

/* The i-th row; number 0: there is none. */
static struct seen
row(size_t i)
{
	struct store_reader *r;
	struct store_view *v = look(&r);
	struct seen s = { 0 };

	while (store_happened_next(v, s.e.number, &s.e)) {
		s.n = s.e.ranges.n / sizeof(s.ranges[0]);
		memcpy(s.ranges, s.e.ranges.p, (s.n < 4 ? s.n : 4) * sizeof(s.ranges[0]));
		slice_cstr(s.e.login, s.login, sizeof(s.login));
		if (i-- == 0) {
			close_look(&r, v);
			return s;
		}
	}
	close_look(&r, v);
	return (struct seen){ 0 };
}

static size_t
rows(void)
{
	size_t n = 0;

	while (row(n).e.number)
		n++;
	return n;
}

static void
handled(uint64_t number)
{
	eq(CALL(store_handled_start, S("primary"), number), OK, "handled");
}

static void
handled_all(void)
{
	while (row(0).e.number)
		if (CALL(store_handled_start, S("primary"), row(0).e.number) != OK)
			abort();
}

/* ---- what people do ---- */

static void
append(uint64_t to, size_t n)
{
	struct store_body b[16];
	struct store_message m[16] = { 0 };

	for (size_t i = 0; i < n; i++) {
		if (CALL(store_body_start, S("primary"), &b[i]) != OK ||
		    write(b[i].fd, "A: b\r\n\r\nx", 9) != 9)
			abort();
		m[i] = (struct store_message){ .size = 9, .body = &b[i] };
	}
	if (CALL(store_append_start, to, m, n, (struct store_limits){ 0 }) != OK)
		abort();
}

static int
script(uint64_t mailbox, const char *name)
{
	struct store_annotation a = { .name = S(STORE_ANNOT_SCRIPT),
		.value = slice_str(name ? name : ""),
		.shared = true,
		.gone = !name };

	return CALL(store_annotate_start, joe, mailbox, &a, 1);
}

static int
flags(uint64_t mailbox, uint32_t first, uint32_t end, struct store_change c)
{
	struct store_range r = { first, end };

	return CALL(store_flags_start, mailbox, &r, 1, &c);
}

static void
test_without(void)
{
	struct store_range r = { 1, 1 };

	append(inbox, 1);
	flags(inbox, 1, 1, (struct store_change){ .how = STORE_ADD, .flags = STORE_SEEN });
	CALL(store_copy_start, inbox, &r, 1, work, (struct store_limits){ 0 });
	eq(rows(), 0, "without a script there is no row");
	eq(script(work, ""), OK, "an empty name");
	append(work, 1);
	eq(rows(), 0, "runs nothing");
}

static void
test_causes(void)
{
	struct store_range r = { 1, 1 };
	struct seen s;

	eq(script(work, "sort"), OK, "Work has a script");
	append(work, 3);
	s = row(0);
	eq(s.e.cause, STORE_CAUSE_APPEND, "APPEND is told");
	ok(s.e.account == joe && s.e.mailbox == work && s.n == 1, "of this mailbox");
	eq(s.ranges[0].last - s.ranges[0].first, 2, "all three");
	ok(strcmp(s.login, JOE) == 0, "and who did it: %s", s.login);
	eq(CALL(store_copy_start, inbox, &r, 1, work, (struct store_limits){ 0 }), OK, "COPY");
	s = row(1);
	ok(s.e.cause == STORE_CAUSE_COPY && s.e.from == inbox, "is told, with where it was");
	eq(CALL(store_copy_start, work, &r, 1, inbox, (struct store_limits){ 0 }), OK, "out of it");
	eq(rows(), 2, "is the other mailbox's affair");
	eq(flags(work, 1, 100,
	       (struct store_change){ .how = STORE_ADD,
		   .flags = STORE_FLAGGED,
		   .keywords = S("$Later") }),
	    OK, "STORE");
	s = row(2);
	ok(s.e.cause == STORE_CAUSE_FLAG && s.e.flags == STORE_FLAGGED && s.e.keywords,
	    "is told, with what has changed");
	eq(flags(work, 1, 100, (struct store_change){ .how = STORE_ADD, .flags = STORE_FLAGGED }),
	    OK, "once more");
	eq(rows(), 3, "which changes nothing");
	flags(work, 2, 2, (struct store_change){ .how = STORE_REMOVE, .flags = STORE_FLAGGED });
	flags(work, 2, 4,
	    (struct store_change){ .how = STORE_SET,
		.flags = STORE_FLAGGED,
		.keywords = S("$Later") });
	eq(row(4).ranges[0].first, 2, "of those that differ alone");
	eq(rows(), 5, "one row each");
	flags(work, 1, 100,
	    (struct store_change){ .how = STORE_ADD, .flags = STORE_SEEN, .quiet = true });
	eq(rows(), 5, "what a script does is none");
	eq(CALL(store_move_start, inbox, &r, 1, work), OK, "MOVE");
	eq(row(5).e.cause, STORE_CAUSE_COPY, "is a copy");
}

static void
test_differing(void)
{
	append(work, 4);
	flags(work, last.uid, last.uid,
	    (struct store_change){ .how = STORE_ADD, .flags = STORE_SEEN });
	handled_all();
	eq(rows(), 0, "none is left");
	flags(work, 1, 100, (struct store_change){ .how = STORE_SET, .flags = STORE_ANSWERED });
	ok(rows() > 1 && row(0).e.flags != row(1).e.flags, "what differs is told apart");
	{
		uint64_t first = row(0).e.number, second = row(1).e.number;

		handled(second);
		ok(row(0).e.number == first && row(1).e.number != second,
		    "the second goes, and no other");
		handled(second);
		eq(row(0).e.number, first, "again: nothing");
	}
	handled_all();
}

static void
test_mail(void)
{
	struct store_target t = { .account = S(JOE), .folder = S("Work") };
	struct store_body b = { .fd = -1 };
	struct store_message m = { .size = 9, .body = &b };

	who = S("");
	if (CALL(store_body_start, S(""), &b) != OK || write(b.fd, "A: b\r\n\r\nx", 9) != 9)
		abort();
	eq(CALL(store_deliver_start, &m, &t, 1), OK, "mail that comes");
	eq(rows(), 0, "is no event");
	who = S(JOE);
}

static void
test_everywhere(void)
{
	eq(script(0, "all"), OK, "a script for all mailboxes");
	append(inbox, 1);
	eq(rows(), 1, "is that of one without its own");
	eq(script(inbox, ""), OK, "whose own is empty");
	append(inbox, 1);
	eq(rows(), 1, "runs nothing");
	eq(script(0, NULL), OK, "it goes");
	append(junk, 1);
	eq(rows(), 1, "and no script is left");
	handled_all();
}

static void
test_junk(void)
{
	struct store_range r = { 1, 1 };

	eq(script(work, NULL), OK, "no script at all");
	append(inbox, 1);
	r = (struct store_range){ last.uid, last.uid };
	eq(CALL(store_move_start, inbox, &r, 1, junk), OK, "into Junk");
	ok(rows() == 1 && row(0).e.mailbox == junk, "is told by events");
	r = (struct store_range){ 1, 1 };
	eq(CALL(store_move_start, junk, &r, 1, inbox), OK, "out of it");
	ok(rows() == 2 && row(1).e.from == junk, "too");
	append(junk, 1);
	eq(rows(), 2, "an APPEND is not");
}

static void
test_kill(void)
{
	uint64_t number = row(1).e.number;

	service_stop(SIGKILL);
	service_start();
	service_again();
	store_client_actors(client, actor);
	eq(row(1).e.number, number, "they outlive a kill");
	handled_all();
	service_stop(SIGKILL);
	service_start();
	service_again();
	store_client_actors(client, actor);
	CALL(store_move_start, inbox, (struct store_range[]){ { 1, 1000 } }, 1, junk);
	ok(row(0).e.number > number, "no number comes twice");
}

int
main(int argc, char **argv)
{
	(void)argc;
	service_open(argv[0], "event", "min_free = 0\nevents = junk\n");
	store_client_actors(client, actor);
	CALL(store_account_start, S(JOE), S(""));
	joe = last.account;
	inbox = last.mailbox;
	CALL(store_create_start, joe, S("Work"), STORE_USE_NONE);
	work = last.mailbox;
	{
		struct store_reader *r;
		struct store_view *v = look(&r);

		if (store_find_mailbox(v, joe, S("Junk"), &junk) < 0)
			abort();
		close_look(&r, v);
	}
	test_without();
	test_causes();
	test_differing();
	test_mail();
	test_everywhere();
	test_junk();
	test_kill();
	service_close();
	return done();
}
