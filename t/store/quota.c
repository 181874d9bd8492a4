/* Quota as stored keeps it: what is refused, for how long, what an overdraft is, who is warned and how often, numbers
 * at the edge, and that counts are right after a kill. */
#include "rows.h"
#include "store/quota.h"

#define JOE  "joe@example.test"
#define ROOM 1000 /* bytes of a limit */

static uint64_t joe, inbox;
static const struct store_range all = { 1, UINT32_MAX };

static void
configure(const char *text)
{
	service_stop(SIGTERM);
	write_file("stored.conf", text);
	service_start();
	service_again();
}

/* Code of the only target. */
static int
deliver(size_t size, uint64_t bytes, uint64_t messages)
{
	static char text[4096];
	struct store_body body;
	struct store_message m = { .body = &body, .size = (uint32_t)size };
	struct store_target t = { .account = S(JOE),
		.limits = { .bytes = bytes, .messages = messages } };

	memset(text, 'x', sizeof(text));
	body = body_with(text, size);
	CALL(store_deliver_start, &m, &t, 1);
	return (int)last_results[0].code;
}

static int
append(size_t size, uint64_t bytes, uint64_t messages)
{
	static char text[4096];
	const struct store_limits limits = { .bytes = bytes, .messages = messages };
	struct store_body body = body_with(text, size);
	struct store_message m = { .body = &body, .size = (uint32_t)size };

	return CALL(store_append_start, inbox, &m, 1, limits) == OK ? 0 : (int)last.code;
}

static void
empty(void)
{
	CALL(store_expunge_start, inbox, NULL, 0, true);
}

static uint32_t
exists(void)
{
	return mailbox(inbox).exists;
}

/* Has the newest message of INBOX these words? */
static bool
newest_says(const char *words)
{
	struct store_reader *r;
	struct store_view *v = look(&r);
	struct store_mailbox m;
	static char text[4096];
	ssize_t n = -1;
	int fd = -1;

	if (store_get_mailbox(v, inbox, &m) == 0)
		fd = store_open_message(v, inbox, m.uidnext - 1);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = 0;
	close_look(&r, v);
	return strstr(text, words);
}

static struct store_account
account(void)
{
	struct store_reader *r;
	struct store_view *v = look(&r);
	struct store_account a = { 0 };

	if (store_find_account(v, S(JOE), &a) < 0)
		abort();
	close_look(&r, v);
	return a;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void
test_limits(void)
{
	eq(deliver(600, ROOM, 0), STORE_DONE, "it fits");
	eq(deliver(400, ROOM, 0), STORE_DONE, "to the byte");
	eq(deliver(1, ROOM, 0), STORE_OVERQUOTA, "one more does not");
	eq(last_results[0].verdict.kind, TEMP, "for now");
	eq(deliver(1, 0, 2), STORE_OVERQUOTA, "nor by the number of messages");
	eq(deliver(1, 0, 3), STORE_DONE, "where there is room");
	eq(append(1, ROOM, 0), STORE_OVERQUOTA, "APPEND is asked too");
	eq(deliver(ROOM + 1, ROOM, 0), STORE_OVERQUOTA, "larger than the whole");
	eq(last_results[0].verdict.kind, PERM, "never fits");
	eq(deliver(1, 500, 0), STORE_OVERQUOTA, "a limit lowered below what is used");
	eq(exists(), 3, "takes nothing away");
	eq(deliver(1, UINT64_MAX - 1, UINT64_MAX), STORE_DONE, "the largest limit");
	eq(deliver(1, (uint64_t)1 << 63, (uint64_t)1 << 63), STORE_DONE, "2^63");
	eq(deliver(1, 1, 1), STORE_OVERQUOTA, "the smallest");
	eq(CALL(store_copy_start, inbox, &all, 1, inbox,
	       ((struct store_limits){ .bytes = 2 * ROOM })),
	    TEMP, "COPY is asked");
	CALL(store_create_start, joe, S("away"), STORE_USE_NONE);
	eq(CALL(store_move_start, inbox, &all, 1, last.mailbox), OK,
	    "a MOVE within an account is not");
	eq(account().messages, 5, "nor does it change what is used");
	eq(CALL(store_rename_start, joe, S("away"), S("far")), OK, "nor a RENAME");
	eq(account().messages, 5, "of them");
	eq(CALL(store_delete_start, joe, S("far")), OK, "DELETE gives it back");
	ok(AWAIT(account().bytes == 0 && account().messages == 0), "all of it");
}

static void
test_unenforced(void)
{
	configure("min_free = 0\nquota_enforce = no\n");
	eq(deliver(900, ROOM, 0), STORE_DONE, "enforce = no: it fits");
	eq(deliver(900, ROOM, 0), STORE_DONE, "and what does not is taken");
	eq(deliver(2000, ROOM, 1), STORE_DONE, "whatever its size");
	eq(append(900, ROOM, 0), 0, "from a client too");
	eq(account().bytes, 4700, "and counted");
	empty();
}

static void
test_overdraft(void)
{
	configure("min_free = 0\nquota_overdraft = yes\nquota_full = permanent\n");
	eq(deliver(900, ROOM, 0), STORE_DONE, "overdraft: it fits");
	eq(append(900, ROOM, 0), STORE_OVERQUOTA, "a client gets none");
	eq(deliver(900, ROOM, 0), STORE_DONE, "mail crosses the line");
	eq(deliver(1, ROOM, 0), STORE_OVERQUOTA, "once");
	eq(last_results[0].verdict.kind, PERM, "for good, as configured");
	eq(deliver(1, 0, 2), STORE_OVERQUOTA, "the messages that there may be are there");
	eq(deliver(1, 0, 3), STORE_DONE, "one more");
	empty();
}

/* Mail is refused since two hours ago. */
static void
since_hours_ago(unsigned hours)
{
	struct store_disk_account d;
	char copy[1024];
	struct rows r;
	MDB_val k = { sizeof(JOE) - 1, (void *)(uintptr_t)JOE }, v;
	size_t n;

	rows_open(&r, "account");
	if (mdb_get(r.txn, r.dbi, &k, &v) || v.mv_size > sizeof(copy))
		abort();
	memcpy(copy, v.mv_data, n = v.mv_size);
	memcpy(&d, copy, sizeof(d));
	d.over_since = (uint16_t)(d.over_since - hours);
	d.crc = 0; /* none: an older writer's */
	memcpy(copy, &d, sizeof(d));
	rows_put(&r, JOE, sizeof(JOE) - 1, copy, n);
	rows_close(&r);
}

static void
test_grace(void)
{
	configure("min_free = 0\nquota_grace = 3h\n");
	eq(deliver(900, ROOM, 0), STORE_DONE, "grace: it fits");
	eq(deliver(900, ROOM, 0), STORE_OVERQUOTA, "then it does not");
	eq(last_results[0].verdict.kind, TEMP, "and waits");
	since_hours_ago(2);
	deliver(900, ROOM, 0);
	eq(last_results[0].verdict.kind, TEMP, "after two hours of three, too");
	since_hours_ago(2);
	deliver(900, ROOM, 0);
	eq(last_results[0].verdict.kind, PERM, "after four no more");
	eq(append(900, ROOM, 0), STORE_OVERQUOTA, "a client that asks");
	eq(last.verdict.kind, TEMP, "may make room");
	eq(deliver(50, ROOM, 0), STORE_DONE, "what fits is taken");
	deliver(900, ROOM, 0);
	eq(last_results[0].verdict.kind, TEMP, "and the next one waits anew");
	since_hours_ago(4);
	eq(deliver(900, UINT64_MAX, UINT64_MAX), STORE_DONE, "what asks for no quota");
	deliver(900, ROOM, 0);
	eq(last_results[0].verdict.kind, PERM, "begins no wait anew");
	ok(account().refused, "and the account stays full");
	eq(deliver(10, 0, 0), STORE_DONE, "an account that has no limits any more");
	ok(!account().refused && !account().warned, "is no longer full");
	empty();
	deliver(50, ROOM, 0);
	deliver(999, ROOM, 0);
	eq(last_results[0].verdict.kind, TEMP, "mail that fits does");
	since_hours_ago((unsigned)-2);
	deliver(999, ROOM, 0);
	eq(last_results[0].verdict.kind, TEMP, "a clock that was set back ends no wait");
	empty();
	configure("min_free = 0\nquota_grace = 30m\n");
	eq(deliver(900, ROOM, 0), STORE_DONE, "less than an hour");
	deliver(900, ROOM, 0);
	eq(last_results[0].verdict.kind, TEMP, "is some time");
	since_hours_ago(2);
	deliver(900, ROOM, 0);
	eq(last_results[0].verdict.kind, PERM, "which ends");
	empty();
}

static void
test_warning(void)
{
	uint64_t bytes;

	configure("min_free = 0\nquota_warn = 80\n");
	eq(deliver(799, ROOM, 0), STORE_DONE, "below the threshold");
	eq(exists(), 1, "nobody is warned");
	eq(deliver(1, ROOM, 0), STORE_DONE, "at it");
	eq(exists(), 3, "a warning comes with it");
	ok(newest_says("Subject: Your mailbox is almost full\r\n") &&
		newest_says("To: " JOE "\r\n") &&
		newest_says("Auto-Submitted: auto-generated\r\n") &&
		newest_says("\r\n\r\nThe mailbox of " JOE
			    " has 1 KiB of 0 KiB in use, and 2 of\r\n0 messages"),
	    "which says what there is to say");
	bytes = account().bytes;
	ok(bytes > ROOM, "no quota keeps it out");
	eq(deliver(1, 3000, 0), STORE_DONE, "below it again by another limit");
	eq(deliver(1, bytes, 0), STORE_OVERQUOTA, "above it");
	eq(exists(), 4, "is no crossing without a message");
	service_stop(SIGKILL);
	service_start();
	service_again();
	eq(deliver(1, bytes + 10, 0), STORE_DONE, "a kill");
	eq(exists(), 6, "and a crossing: the next warning");
	eq(deliver(1, account().bytes + 10, 0), STORE_DONE, "another message");
	eq(exists(), 7, "and none for each");
	empty();
	eq(deliver(1, ROOM, 4), STORE_DONE, "there is room");
	eq(append(1, 0, 3), 0, "a client's message");
	eq(append(1, 0, 3), 0, "and another, to four fifths of the number");
	eq(exists(), 4, "warns too");
	eq(check().findings, 0, "check finds nothing");
	empty();
	write_file("warning",
	    "Subject: $user: $messages of $message_limit, $$used $x\n\nGr\xc3\xbc\xc3\x9f"
	    "e\n");
	{
		char conf[300];

		snprintf(conf, sizeof(conf),
		    "min_free = 0\nquota_warn = 50\nquota_text = %s/warning\n", dir);
		configure(conf);
	}
	eq(deliver(1, 0, 2), STORE_DONE, "the site's own text");
	ok(newest_says("Subject: " JOE ": 1 of 2, $0 $x\r\n\r\nGr\xc3\xbc\xc3\x9f"
		       "e\r\n") ||
		newest_says("Subject: " JOE ": 1 of 2, $1 $x\r\n\r\nGr\xc3\xbc\xc3\x9f"
			    "e\r\n"),
	    "with its words");
	empty();
}

/* ---- domains ------------------------------------------------------------------------------- */

#define ANN "ann@example.test"
#define BOB "bob@other.test"

/* Code of the only target. */
static int
deliver_to(struct slice account, size_t size, const struct store_limits *limits)
{
	static char text[4096];
	struct store_body body;
	struct store_message m = { .body = &body, .size = (uint32_t)size };
	struct store_target t = { .account = account, .partition = S(""), .limits = *limits };

	memset(text, 'x', sizeof(text));
	body = body_with(text, size);
	CALL(store_deliver_start, &m, &t, 1);
	return (int)last_results[0].code;
}

/* Is that what stored says of the domain's use? */
static bool
domain_has(struct slice name, uint64_t bytes, uint64_t messages)
{
	CALL(store_domain_start, name);
	return last.bytes == bytes && last.messages == messages;
}

static void
test_domain(void)
{
	const struct store_limits limits = { .domain_bytes = ROOM }, none = { .bytes = 0 },
				  few = { .domain_messages = 4 },
				  both = { .bytes = 10, .domain_bytes = ROOM };
	struct store_body body;
	struct store_message m = { .body = &body, .size = 1 };
	uint64_t ann, to;

	configure("min_free = 0\n");
	ok(domain_has(S("example.test"), 0, 0), "a domain of empty accounts");
	eq(deliver_to(S(JOE), 600, &limits), STORE_DONE, "a domain has room");
	eq(deliver_to(S(ANN), 400, &limits), STORE_DONE, "to the byte, for another account");
	eq(deliver_to(S(ANN), 1, &limits), STORE_OVERQUOTA, "one more does not fit");
	eq(last_results[0].verdict.kind, TEMP, "for now");
	eq(last_results[0].verdict.subject, 3, "and says that it is not the mailbox");
	eq(deliver_to(S(ANN), 1, &both), STORE_OVERQUOTA, "one's own limit");
	eq(last_results[0].verdict.subject, 2, "comes first");
	eq(deliver_to(S(BOB), 1, &limits), STORE_DONE, "another domain has its own");
	ok(domain_has(S("example.test"), 1000, 2) && domain_has(S("other.test"), 1, 1),
	    "each is counted");
	ok(domain_has(S("nobody.test"), 0, 0), "one that is not there has nothing");
	eq(deliver_to(S(JOE), 1, &(struct store_limits){ UINT64_MAX, UINT64_MAX, 0, 0 }),
	    STORE_DONE, "what asks for no quota comes in");
	eq(deliver_to(S(JOE), 1, &few), STORE_DONE, "the number of messages: there is room");
	eq(deliver_to(S(JOE), 1, &few), STORE_OVERQUOTA, "there is not");
	body = body_with("x", 1);
	CALL(store_append_start, inbox, &m, 1, few);
	eq(last.code, STORE_OVERQUOTA, "APPEND is asked too");
	CALL(store_copy_start, inbox, &all, 1, inbox, few);
	eq(last.code, STORE_OVERQUOTA, "and COPY");
	service_stop(SIGKILL);
	service_start();
	service_again();
	ok(domain_has(S("example.test"), 1002, 4), "a kill: it is counted anew");
	CALL(store_account_start, S(ANN), S(""));
	ann = last.account;
	to = last.mailbox;
	CALL(store_recount_start, ann);
	ok(domain_has(S("example.test"), 1002, 4), "a recount finds the same");
	CALL(store_create_start, ann, S("away"), STORE_USE_NONE);
	CALL(store_move_start, to, &all, 1, last.mailbox);
	ok(domain_has(S("example.test"), 1002, 4), "MOVE changes nothing");
	CALL(store_delete_start, ann, S("away"));
	ok(domain_has(S("example.test"), 602, 3), "DELETE makes room");
	eq(deliver_to(S(ANN), 398, &limits), STORE_DONE, "which is taken");
	eq(CALL(store_rename_account_start, ann, S(ANN), S("ann@other.test")), OK,
	    "an account goes to another domain");
	ok(domain_has(S("example.test"), 602, 3) && domain_has(S("other.test"), 399, 2),
	    "with what it has");
	eq(CALL(store_erase_start, ann, S("ann@other.test"), false), OK, "and is erased");
	ok(domain_has(S("other.test"), 1, 1), "with that");
	empty();
	ok(domain_has(S("example.test"), 0, 0), "EXPUNGE");
	configure("min_free = 0\nquota_enforce = no\n");
	eq(deliver_to(S(JOE), 600, &limits), STORE_DONE, "enforce = no");
	eq(deliver_to(S(JOE), 600, &limits), STORE_DONE, "takes what has no room");
	configure("min_free = 0\nquota_overdraft = yes\nquota_full = permanent\n");
	eq(deliver_to(S(JOE), 1, &limits), STORE_OVERQUOTA,
	    "an overdraft is none in a full domain");
	eq(last_results[0].verdict.kind, PERM, "for good, as configured");
	empty();
	eq(deliver_to(S(JOE), 999, &limits), STORE_DONE, "one byte is left");
	eq(deliver_to(S(JOE), 999, &limits), STORE_DONE, "and mail crosses the line");
	eq(deliver_to(S(JOE), 1, &none), STORE_DONE, "without limits all is taken");
	eq(check().findings, 0, "check finds nothing");
	empty();
	configure("min_free = 0\n");
}

/* ---- limits that the store keeps itself ------------------------------------------------------ */

static const char *me = "";

static struct store_person
actor(struct op *op)
{
	(void)op;
	return store_person(slice_str(me));
}

/* 0, or the code. */
static int
set_quota(uint64_t box, uint64_t bytes, uint64_t messages)
{
	const struct store_quota q = { .bytes = bytes, .messages = messages, .at = 1, .by = "me" };
	struct store_annotation one = { .name = S(STORE_ANNOT_QUOTA), .shared = true };
	struct buf value = { 0 };
	int rc;

	store_quota_write(&value, &q);
	one.gone = !bytes && !messages && box;
	one.value = buf_get(&value);
	rc = CALL(store_annotate_start, joe, box, &one, 1) == OK ? 0 : (int)last.code;
	buf_fini(&value);
	return rc;
}

static int
reset_quota(uint64_t box)
{
	struct store_annotation one = { .name = S(STORE_ANNOT_QUOTA),
		.shared = true,
		.gone = true };

	return CALL(store_annotate_start, joe, box, &one, 1) == OK ? 0 : (int)last.code;
}

static void
test_own_lines(void)
{
	static const char *const bad[] = { "", "quota", "quota bytes=1 messages=1 at=1",
		"quota bytes=-1 messages=1 at=1 by=x",
		"quota bytes=9223372036854775808 messages=1 at=1 by=x",
		"quota bytes=1 messages=x at=1 by=x", "quota bytes=1 at=1 by=x",
		"quoth bytes=1 messages=1 at=1 by=x", "quota bytes=1 messages=1 at=1 by=%00" };
	struct store_quota q = { UINT64_MAX, 3, 4, "a b=c" }, p;
	struct buf b = { 0 };

	store_quota_write(&b, &q);
	eq(store_quota_parse(buf_get(&b), &p), 0, "a line of limits");
	ok(p.bytes == STORE_QUOTA_MOST && p.messages == 3 && p.at == 4 &&
		strcmp(p.by, "a b=c") == 0,
	    "says what was written, and no more than 2^63 - 1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		eq(store_quota_parse(slice_str(bad[i]), &p), -EBADMSG, "no limits: '%s'", bad[i]);
	buf_fini(&b);
}

static void
test_own_account(void)
{
	store_client_actors(client, actor);
	me = JOE;
	eq(set_quota(0, 10, 10), STORE_FORBIDDEN, "nobody sets his own limits");
	eq(set_quota(inbox, 10, 10), STORE_FORBIDDEN, "nor those of his folders");
	eq(reset_quota(0), STORE_FORBIDDEN, "nor resets them");
	me = "";
	eq(set_quota(0, 2 * ROOM, 3), 0, "a program does, in nobody's name");
	eq(deliver(ROOM + 1, ROOM, 0), STORE_DONE, "they stand in the place of the directory's");
	eq(append(ROOM, ROOM, 0), STORE_OVERQUOTA, "and hold");
	eq(deliver(1, 0, 0), STORE_DONE, "also where the directory has none");
	eq(deliver(1, 0, 0), STORE_DONE, "a third");
	eq(deliver(1, 0, 100), STORE_OVERQUOTA, "and no fourth message");
	eq(CALL(store_copy_start, inbox, &all, 1, inbox, ((struct store_limits){ 0 })), TEMP,
	    "COPY asks");
	eq(deliver(1, UINT64_MAX, UINT64_MAX), STORE_DONE, "what asks for no quota comes in");
	service_stop(SIGKILL);
	service_start();
	service_again();
	eq(deliver(1, 0, 100), STORE_OVERQUOTA, "a kill: they hold");
	eq(set_quota(0, 1, 1), 0, "limits below what is used");
	eq(exists(), 4, "take nothing away");
	eq(deliver(1, 0, 0), STORE_OVERQUOTA, "and take nothing in");
	eq(set_quota(0, UINT64_MAX, (uint64_t)1 << 63), 0, "the largest");
	eq(deliver(1, 1, 1), STORE_DONE, "are as good as none");
	eq(set_quota(0, 0, 0), 0, "no limits");
	eq(deliver(1, 1, 1), STORE_DONE, "whatever the directory says");
	eq(reset_quota(0), 0, "reset");
	eq(deliver(1, 1, 1), STORE_OVERQUOTA, "the directory's hold again");
	eq(reset_quota(0), 0, "once more is nothing");
	empty();
}

static void
test_own_folder(void)
{
	static const struct store_range first = { 1, 1 };
	struct store_target t = { .account = S(JOE), .folder = S("small") };
	struct store_message m = { .size = 10 };
	struct store_body body;
	uint64_t small;

	CALL(store_create_start, joe, S("small"), STORE_USE_NONE);
	small = last.mailbox;
	eq(set_quota(small, 100, 2), 0, "a folder has limits");
	for (int i = 0; i < 3; i++) {
		body = body_with("0123456789", 10);
		m.body = &body;
		CALL(store_deliver_start, &m, &t, 1);
		eq(last_results[0].code, STORE_DONE, "mail for it");
		ok(last_results[0].mailbox == (i < 2 ? small : inbox), "comes into %s",
		    i < 2 ? "it" : "INBOX when it is full");
	}
	body = body_with("x", 1);
	m.size = 1;
	CALL(store_append_start, small, &m, 1, ((struct store_limits){ 0 }));
	eq(last.code, STORE_OVERQUOTA, "APPEND is refused");
	CALL(store_copy_start, small, &first, 1, small, ((struct store_limits){ 0 }));
	eq(last.code, STORE_OVERQUOTA, "and COPY");
	CALL(store_move_start, inbox, &all, 1, small);
	eq(last.code, STORE_OVERQUOTA, "and MOVE within the account");
	eq(exists(), 1, "which moves nothing");
	CALL(store_rename_start, joe, S("small"), S("little"));
	t.folder = S("little");
	body = body_with("x", 1);
	CALL(store_deliver_start, &m, &t, 1);
	ok(last_results[0].mailbox == inbox, "a new name changes nothing");
	CALL(store_expunge_start, small, &first, 1, true);
	eq(CALL(store_move_start, inbox, &all, 1, small), TEMP, "two have no room");
	CALL(store_expunge_start, inbox,
	    (&(struct store_range){ mailbox(inbox).uidnext - 1, UINT32_MAX }), 1, true);
	eq(CALL(store_move_start, inbox, &all, 1, small), OK, "one has");
	ok(mailbox(small).exists == 2 && exists() == 0, "and is there");
	eq(CALL(store_move_start, small, &all, 1, inbox), OK, "out of it they may go");
	eq(set_quota(small, 15, 0), 0, "a limit of bytes");
	eq(CALL(store_move_start, inbox, &all, 1, small), TEMP, "holds as well");
	eq(set_quota(inbox, 30, 0), 0, "INBOX has one");
	eq(deliver(11, 0, 0), STORE_OVERQUOTA, "mail waits for room in it");
	eq(last_results[0].verdict.kind, TEMP, "for now");
	eq(deliver(31, 0, 0), STORE_OVERQUOTA, "larger than the whole");
	eq(last_results[0].verdict.kind, PERM, "never fits");
	eq(deliver(31, UINT64_MAX, UINT64_MAX), STORE_DONE, "what asks for no quota does");
	service_stop(SIGKILL);
	service_start();
	service_again();
	eq(deliver(1, 0, 0), STORE_OVERQUOTA, "a kill: it holds");
	eq(CALL(store_rename_start, joe, S("INBOX"), S("was")), OK, "INBOX is renamed");
	eq(deliver(10, 0, 0), STORE_DONE, "its messages are gone, its limit is not");
	eq(deliver(21, 0, 0), STORE_OVERQUOTA, "as is seen");
	eq(reset_quota(inbox), 0, "reset");
	eq(deliver(21, 0, 0), STORE_DONE, "there is none");
	configure("min_free = 0\nquota_enforce = no\n");
	store_client_actors(client, actor);
	eq(set_quota(inbox, 1, 1), 0, "enforce = no");
	eq(deliver(21, 0, 0), STORE_DONE, "holds nobody to a folder's");
	eq(CALL(store_delete_start, joe, S("little")), OK, "limits of a folder");
	eq(check().findings, 0, "go with it");
	CALL(store_delete_start, joe, S("was"));
	eq(reset_quota(inbox), 0, "reset");
	empty();
	configure("min_free = 0\n");
}

/* Counts after kills are those of a recount. */
static void
test_kill(void)
{
	struct store_account a, b;

	configure("min_free = 0\nquota_warn = 80\nquota_overdraft = yes\n");
	for (int i = 0; i < 4; i++) {
		for (int n = 0; n < 20; n++)
			deliver(100, 1500, 0);
		if (i % 2)
			empty();
		service_stop(SIGKILL);
		service_start();
		service_again();
		a = account();
		CALL(store_recount_start, joe);
		b = account();
		ok(a.bytes == b.bytes && a.messages == b.messages,
		    "after a kill what is counted is there: %llu bytes in %llu messages",
		    (unsigned long long)a.bytes, (unsigned long long)a.messages);
	}
	eq(check().findings, 0, "check finds nothing");
}

int
main(int argc, char **argv)
{
	(void)argc;
	service_open(argv[0], "quota", "min_free = 0\n");
	CALL(store_account_start, S(JOE), S(""));
	joe = last.account;
	inbox = last.mailbox;
	test_limits();
	test_unenforced();
	test_overdraft();
	test_grace();
	test_warning();
	test_domain();
	test_own_lines();
	test_own_account();
	test_own_folder();
	test_kill();
	service_close();
	return done();
}
