/* Records of accounts, names and mailboxes that are there and damaged: each is told as damaged, by
 * stored and by readers, nothing new is made over it, and MEND brings it back with its messages. */
#include "rows.h"
#include "store/mend.h"

static uint64_t account, inbox, work;
static const struct store_limits none;

static int
deliver(const char *folder)
{
	struct store_body body = body_with("hello", 5);
	struct store_message m = { .body = &body, .size = 5 };
	struct store_target t = { .account = S("joe@example.test"), .folder = slice_str(folder) };

	if (CALL(store_deliver_start, &m, &t, 1) != OK)
		return (int)last.verdict.kind;
	last.code = last_results[0].code;
	return (int)last_results[0].verdict.kind;
}

static int
append(uint64_t mailbox, const char *keywords)
{
	struct store_body b = body_with("appended", 8);
	struct store_message m = { .body = &b,
		.size = 8,
		.flags = STORE_FLAGGED,
		.keywords = slice_str(keywords) };

	return CALL(store_append_start, mailbox, &m, 1, none);
}

/* ---- damage ------------------------------------------------------------------------------------ */

static void
damage_name(const char *name, enum how how, size_t at)
{
	uint8_t key[100];

	store_be64(key, account);
	memcpy(key + 8, name, strlen(name));
	damage("name", key, 8 + strlen(name), how, at);
}

/* ---- mending ------------------------------------------------------------------------------------ */

static struct store_mending hint;

static void
heard(void *arg, const struct store_mailbox *m)
{
	(void)arg;
	hint.id = m->account;
	if (m->highestmodseq > hint.modseq)
		hint.modseq = m->highestmodseq;
	if (m->uidvalidity > hint.uidvalidity)
		hint.uidvalidity = m->uidvalidity;
	if (hint.folder.n && slice_eq(m->name, hint.folder))
		hint.mailbox = m->id;
}

static uint32_t
mend(const char *folder)
{
	struct store_reader *r;
	struct store_view *v = look(&r);

	hint =
	    (struct store_mending){ .account = S("joe@example.test"), .folder = slice_str(folder) };
	store_mend_walk(v, hint.account, heard, NULL);
	close_look(&r, v);
	eq(CALL(store_mend_start, &hint), OK, "MEND of %s", *folder ? folder : "the account");
	return last.uid;
}

static uint64_t
findings(void)
{
	CALL(store_recount_start, account);
	return check().findings;
}

/* Damaged, as stored and readers see it. */
static void
all_refuse(const char *what, const char *folder, uint64_t id)
{
	struct store_range one = { 1, 1 };
	struct store_change seen = { .how = STORE_ADD, .flags = STORE_SEEN };

	ok(deliver(folder) == TEMP && last.code == STORE_DAMAGED, "%s: mail for it waits", what);
	ok(deliver(folder) == TEMP && last.code == STORE_DAMAGED, "%s: the next one too", what);
	ok(CALL(store_create_start, account, slice_str(folder), STORE_USE_NONE) == TEMP &&
		last.code == STORE_DAMAGED,
	    "%s: CREATE makes nothing over it", what);
	ok(CALL(store_rename_start, account, S("Drafts"), slice_str(folder)) == TEMP &&
		last.code == STORE_DAMAGED,
	    "%s: nor does RENAME", what);
	ok(CALL(store_delete_start, account, slice_str(folder)) == TEMP, "%s: it stays", what);
	if (!id)
		return;
	ok(append(id, "") == TEMP && last.code == STORE_DAMAGED, "%s: APPEND", what);
	ok(CALL(store_flags_start, id, &one, 1, &seen) == TEMP && last.code == STORE_DAMAGED,
	    "%s: STORE", what);
	ok(CALL(store_copy_start, id, &one, 1, inbox == id ? work : inbox, none) == TEMP &&
		last.code == STORE_DAMAGED,
	    "%s: COPY", what);
	ok(CALL(store_expunge_start, id, &one, 1, true) == TEMP && last.code == STORE_DAMAGED,
	    "%s: EXPUNGE", what);
	ok(CALL(store_recount_start, account) == TEMP && last.code == STORE_DAMAGED,
	    "%s: sums stay as they are", what);
}

/* ---- the cases ---------------------------------------------------------------------------------- */

static void
test_mailbox(enum how how, size_t at, const char *what)
{
	struct store_mailbox before = mailbox(work), after;

	damage_mailbox(work, how, at);
	all_refuse(what, "Work", how == REMOVE ? 0 : work);
	eq(append(inbox, ""), OK, "%s: other mailboxes go on", what);
	eq(mend("Work"), 1, "%s: one record is mended", what);
	eq(mend("Work"), 0, "%s: and only once", what);
	after = mailbox(work);
	ok(after.exists == before.exists && after.bytes == before.bytes &&
		after.unseen == before.unseen,
	    "%s: its messages are there", what);
	ok(after.uidvalidity > before.uidvalidity && after.objectid != before.objectid,
	    "%s: it has a new UIDVALIDITY and a new id", what);
	eq(after.uidnext, before.uidnext, "%s: no UID comes again", what);
	ok(after.highestmodseq > before.highestmodseq, "%s: its modseq goes on", what);
	ok(deliver("Work") == OK && last_results[0].mailbox == work, "%s: mail comes in", what);
	eq(append(work, "one two"), OK, "%s: with keywords", what);
	eq(findings(), 0, "%s: check finds nothing", what);
}

static void
test_name(enum how how, size_t at, const char *what)
{
	struct store_mailbox before = mailbox(work), after;
	struct store_reader *r;
	struct store_view *v;
	uint64_t id;

	damage_name("Work", how, at);
	all_refuse(what, "Work", 0);
	v = look(&r);
	if (how == SHORTEN)
		eq(store_find_mailbox(v, account, S("Work"), &id), -EBADMSG, "%s: a reader says so",
		    what);
	eq(store_mend_look(v, account, S("joe@example.test"), S("Work")), -EBADMSG,
	    "%s: it is seen", what);
	eq(store_mend_look(v, account, S("joe@example.test"), S("INBOX")), 0, "%s: another is good",
	    what);
	close_look(&r, v);
	eq(mend("Work"), 1, "%s: it is mended", what);
	after = mailbox(work);
	ok(after.uidvalidity == before.uidvalidity && after.exists == before.exists,
	    "%s: and leads to the same mailbox", what);
	ok(deliver("Work") == OK && last_results[0].mailbox == work, "%s: mail comes in", what);
	eq(findings(), 0, "%s: check finds nothing", what);
}

static void
test_account(enum how how, size_t at, const char *what)
{
	struct store_mailbox before = mailbox(inbox);
	struct store_account a;
	struct store_reader *r;
	struct store_view *v;

	damage("account", "joe@example.test", 16, how, at);
	all_refuse(what, "INBOX", 0);
	ok(CALL(store_account_start, S("joe@example.test"), S("")) == TEMP &&
		last.code == STORE_DAMAGED,
	    "%s: no account is made over it", what);
	v = look(&r);
	eq(store_find_account(v, S("joe@example.test"), &a), -EBADMSG, "%s: a reader says so",
	    what);
	close_look(&r, v);
	eq(mend(""), 1, "%s: it is mended", what);
	eq(last.account, account, "%s: under its id", what);
	eq(CALL(store_account_start, S("joe@example.test"), S("")), OK, "%s: it is found", what);
	ok(last.account == account && last.mailbox == inbox, "%s: with its INBOX", what);
	eq(deliver(""), OK, "%s: mail comes in", what);
	ok(mailbox(inbox).highestmodseq > before.highestmodseq &&
		mailbox(inbox).exists == before.exists + 1,
	    "%s: the counter goes on", what);
	eq(findings(), 0, "%s: check finds nothing", what);
}

static bool
has_file(const char *folder, uint32_t uid)
{
	struct buf path = { 0 };
	bool has;

	buf_printf(&path, "%s/store/partition/primary/", dir);
	store_folder_dir(&path, S("joe@example.test"), slice_str(folder));
	store_message_name(&path, uid);
	has = access(buf_cstr(&path), F_OK) == 0;
	buf_fini(&path);
	return has;
}

static bool
file_goes(const char *folder, uint32_t uid)
{
	return AWAIT(!has_file(folder, uid));
}

/* The last UIDs of a mailbox are expunged when its record is lost: they do not come again. */
static void
test_expunged_end(void)
{
	struct store_mailbox before = mailbox(work);
	struct store_range end = { before.uidnext - 2, before.uidnext - 1 };

	eq(CALL(store_expunge_start, work, &end, 1, true), OK, "the last two are expunged");
	ok(file_goes("Work", end.first) && file_goes("Work", end.last), "and their files go");
	damage_mailbox(work, REMOVE, 0);
	eq(mend("Work"), 1, "a record that is gone is made again");
	eq(mailbox(work).uidnext, before.uidnext, "above what was expunged");
	eq(findings(), 0, "check finds nothing");
}

/* A name that leads to another mailbox than its own, which is gone too: it goes, to be made anew. */
static void
test_stray_name(void)
{
	uint8_t key[100], be[8];

	damage_mailbox(work, REMOVE, 0);
	damage_name("Work", FLIP, 4);
	store_be64(key, account);
	store_be64(be, work);
	ok(deliver("Work") == TEMP && last.code == STORE_DAMAGED, "a stray name is damaged");
	eq(mend("Work"), 1, "and is mended");
	ok(CALL(store_create_start, account, S("Work"), STORE_USE_NONE) == OK ||
		last.code == STORE_EXISTS,
	    "so that the folder can be used");
	eq(deliver("Work"), OK, "mail comes in");
}

static void
test_inbox(void)
{
	damage_mailbox(inbox, FLIP, 40);
	all_refuse("INBOX", "INBOX", inbox);
	ok(deliver("") == TEMP && last.code == STORE_DAMAGED, "mail for INBOX waits");
	ok(deliver("nowhere") == TEMP && last.code == STORE_DAMAGED, "and what would go there");
	eq(deliver("Work"), OK, "mail for another folder does not");
	eq(CALL(store_create_start, account, S("Other"), STORE_USE_NONE), OK,
	    "nor do other folders");
	eq(mend("INBOX"), 1, "INBOX is mended");
	eq(deliver(""), OK, "and takes mail");
	eq(findings(), 0, "check finds nothing");
}

/* What is to be purged of a mailbox whose damaged record has another folder's name: not there. */
static void
test_purge(void)
{
	struct store_range first = { 1, 1 };
	uint64_t other;

	eq(CALL(store_create_start, account, S("Wor+"), STORE_USE_NONE), OK,
	    "a folder named alike");
	other = last.mailbox;
	ok(append(other, "") == OK && last.uid == 1 && has_file("Wor+", 1), "with a message");
	eq(CALL(store_expunge_start, work, &first, 1, true), OK, "one of the same UID is expunged");
	damage_mailbox(work, RENAME, 0);
	eq(CALL(store_expunge_start, inbox, &first, 1, true), OK, "later another one, elsewhere");
	ok(file_goes("INBOX", 1), "the purge has come past both");
	ok(has_file("Wor+", 1), "and has left the other folder's message alone");
	eq(mend("Work"), 1, "the mailbox is mended");
	ok(file_goes("Work", 1), "then its file goes");
	ok(has_file("Wor+", 1), "and no other");
	eq(findings(), 0, "check finds nothing");
}

int
main(int argc, char **argv)
{
	(void)argc;
	if (!service_find(argv[0])) {
		printf("1..0 # SKIP no stored beside this test\n");
		return 0;
	}
	service_prepare("min_free = 0\ncleanup_age = 1s\n");
	service_start();
	log_init("test", LOG_TO_STDERR, LOG_ERROR);
	loop_init(&loop);
	snprintf(last_path, sizeof(last_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, last_path, "test");
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	inbox = last.mailbox;
	eq(CALL(store_create_start, account, S("Work"), STORE_USE_NONE), OK, "a folder");
	work = last.mailbox;
	for (int i = 0; i < 40; i++)
		if (append(work, i % 3 ? "one" : "two three") != OK)
			ok(false, "APPEND");
	eq(deliver(""), OK, "a message");
	test_purge();
	test_mailbox(FLIP, 20, "a flipped bit in a mailbox");
	test_mailbox(FLIP, 0, "a mailbox of another version");
	test_mailbox(SHORTEN, 30, "half a mailbox");
	test_mailbox(SHORTEN, 0, "an empty mailbox");
	test_mailbox(REMOVE, 0, "a mailbox without a record");
	test_name(SHORTEN, 3, "half a name");
	test_name(FLIP, 5, "a name that leads elsewhere");
	test_account(FLIP, 8, "a flipped bit in an account's id");
	test_account(FLIP, 17, "a flipped bit in an account's counter");
	test_account(SHORTEN, 20, "half an account");
	test_expunged_end();
	test_inbox();
	test_stray_name();
	store_client_free(&client, NULL, NULL);
	service_stop(SIGTERM);
	loop_fini(&loop);
	service_remove();
	return done();
}
