/* stored, its client and a reader together: everything that changes a mailbox. */
#include "service.h"
#include "store/check.h"

static uint64_t account, inbox;
static struct store_reader *reader;
static struct store_view *view;
static const struct store_limits none;

static int
deliver(const char *name, const char *folder, const char *text, uint64_t limit, const char *dup)
{
	struct store_body b = body_with(text, strlen(text));
	struct store_message m = { .body = &b,
		.size = (uint32_t)strlen(text),
		.internaldate = 1000,
		.zone = 60,
		.cache = S("cache bytes") };
	struct store_target t = { .account = slice_str(name),
		.folder = slice_str(folder),
		.limits = { .bytes = limit } };

	if (dup)
		store_dup_key(slice_str(dup), slice_str(name), t.dup);
	return CALL(store_deliver_start, &m, &t, 1);
}

static uint32_t
append(uint64_t mailbox, const char *text, uint16_t flags, const char *keywords)
{
	struct store_body b = body_with(text, strlen(text));
	struct store_message m = { .body = &b,
		.size = (uint32_t)strlen(text),
		.flags = flags,
		.keywords = slice_str(keywords),
		.internaldate = 2000 };

	return CALL(store_append_start, mailbox, &m, 1, none) == OK ? last.uid : 0;
}

static struct store_mailbox
mailbox(uint64_t id)
{
	struct store_mailbox m = { 0 };

	if (store_refresh(view) < 0 || store_get_mailbox(view, id, &m) < 0)
		m.id = 0;
	return m;
}

static uint64_t
folder(const char *name)
{
	uint64_t id;

	if (store_refresh(view) < 0 || store_find_mailbox(view, account, slice_str(name), &id) < 0)
		return 0;
	return id;
}

/* "1 3:5" */
static const char *
uids(uint64_t id)
{
	static char text[400];
	struct buf runs = { 0 };
	struct store_mailbox m;
	struct store_blocks b;
	const struct store_record *rec;
	size_t n, len = 0, from_index = 0;

	text[0] = 0;
	if (store_refresh(view) < 0)
		return "?";
	if (store_get_mailbox(view, id, &m) == 0)
		store_uid_runs(view, &m, &runs);
	else
		len += (size_t)snprintf(text, sizeof(text), "?");
	for (size_t at = 0; at + 8 <= runs.n; at += 8) {
		struct store_range r;

		memcpy(&r, runs.p + at, 8);
		if (len < sizeof(text) - 30)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
			    r.first == r.last ? "%s%u" : "%s%u:%u", len ? " " : "", r.first,
			    r.last);
		from_index += r.last - r.first + 1;
	}
	store_blocks_init(&b, view, id, 1, UINT32_MAX);
	while ((rec = store_blocks_next(&b, &n)))
		from_index -= n;
	if (from_index)
		snprintf(text + len, sizeof(text) - len, " (index differs)");
	buf_fini(&runs);
	return text;
}

static const char *
content(uint64_t id, uint32_t uid)
{
	static char text[200];
	int fd = store_open_message(view, id, uid);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = 0;
	return n < 0 ? "(gone)" : text;
}

static void
test_account(void)
{
	char *why = NULL, path[300];
	struct store_account a;
	struct store_folder f = { 0 };
	struct buf names = { 0 };

	eq(CALL(store_account_start, S("joe@example.test"), S("")), OK, "an account is made");
	account = last.account;
	inbox = last.mailbox;
	slice_cstr(last.path, path, sizeof(path));
	ok(account && inbox, "with ids");
	eq(CALL(store_account_start, S("joe@example.test"), S("")), OK, "and found again");
	ok(last.account == account && last.mailbox == inbox, "under the same ids");
	eq(CALL(store_account_start, S("Joe@example.test"), S("")), TEMP, "upper case is refused");
	eq(CALL(store_account_start, S("ann@example.test"), S("nowhere")), TEMP,
	    "and so is an unknown partition");
	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	ok(store_reader_open(path, &reader, &why) == 0, "the reader opens %s", why ? why : "");
	view = store_view_new(reader);
	ok(store_begin(view) == 0 && store_find_account(view, S("joe@example.test"), &a) == 0 &&
		a.id == account,
	    "it finds the account");
	eq(a.mailboxes, 6, "with six mailboxes");
	f.account = account;
	while (store_next_folder(view, &f)) {
		buf_slice(&names, f.name);
		buf_printf(&names, "(%s) ", f.special ? store_special_name(f.special) : "");
		ok(store_subscribed(view, account, f.name), "and subscribed");
	}
	is(buf_cstr(&names),
	    "Archive(\\Archive) Drafts(\\Drafts) INBOX() Junk(\\Junk) "
	    "Sent(\\Sent) Trash(\\Trash) ",
	    "the default folders with their uses");
	buf_fini(&names);
}

static void
test_deliver(void)
{
	struct store_body b = body_with("three", 5);
	struct store_message m = { .body = &b, .size = 5, .cache = S("shared") };
	struct store_target t[3] = { { .account = S("joe@example.test") },
		{ .account = S("ann@example.test"), .folder = S("Junk"), .flags = STORE_FLAGGED },
		{ .account = S("bob@example.test"),
		    .folder = S("Nowhere"),
		    .limits = { .bytes = 4 } } };
	struct store_mailbox box;
	const struct store_record *rec;
	struct stat st = { 0 };
	uint64_t ann;
	int fd;

	eq(deliver("joe@example.test", "", "hello", 0, "q1"), OK, "a message is delivered");
	ok(last_results[0].uid == 1 && last_results[0].mailbox == inbox, "as uid 1");
	is(content(inbox, 1), "hello", "and can be read");
	eq(deliver("joe@example.test", "", "hello", 0, "q1"), OK, "again");
	ok(last_results[0].duplicate, "is a duplicate");
	box = mailbox(inbox);
	ok(box.exists == 1 && box.unseen == 1 && box.recent == 1 && box.uidnext == 2 &&
		box.bytes == 5 && box.first_unseen == 1,
	    "the counts of the mailbox");
	rec = store_get_record(view, inbox, 1);
	ok(rec && rec->size == 5 && rec->internaldate == 1000 && rec->zone == 60 && rec->flags == 0,
	    "its record");
	ok(rec && slice_starts(store_get_cache(view, rec->emailid), S("cache bytes")), "its cache");
	ok(rec && rec->modseq == box.highestmodseq, "its modseq");

	eq(CALL(store_deliver_start, &m, t, 3), OK, "three recipients");
	eq(last.nresults, 3, "three results");
	ok(last_results[0].verdict.kind == OK && last_results[1].verdict.kind == OK,
	    "two are delivered");
	ok(last_results[2].verdict.kind == PERM && last_results[2].verdict.subject == 2 &&
		last_results[2].code == STORE_OVERQUOTA,
	    "one has no room");
	ann = last_results[1].mailbox;
	fd = store_open_message(view, ann, 1);
	ok(fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 2, "one file, two names");
	close(fd);
	(void)!store_refresh(view);
	rec = store_get_record(view, ann, 1);
	ok(rec && rec->flags == STORE_FLAGGED, "flags of one target");
	eq(deliver("joe@example.test", "", "more", 13, NULL), OK, "up to the limit");
	eq(deliver("joe@example.test", "", "more", 13, NULL), OK, "the request is carried out");
	ok(last_results[0].verdict.kind == TEMP && verdict_reply(&last_results[0].verdict) == 452,
	    "but over it: 452");
}

static void
test_append(void)
{
	struct store_body b[3] = { body_with("a", 1), body_with("bb", 2), body_with("ccc", 3) };
	struct store_message m[3] = { { .body = &b[0], .size = 1 }, { .body = &b[1], .size = 2 },
		{ .body = &b[2], .size = 3 } };
	struct store_body wrong = body_with("x", 1);
	struct store_message w = { .body = &wrong, .size = 7 };
	uint64_t drafts = folder("Drafts");
	struct store_mailbox box;
	const struct store_record *rec;
	struct stat st = { 0 };
	int fd;

	eq(append(drafts, "draft", STORE_DRAFT | STORE_SEEN, "$Label1 todo"), 1,
	    "append gives uid 1");
	fd = store_open_message(view, drafts, 1);
	ok(fd >= 0 && fstat(fd, &st) == 0 && st.st_mtime == 2000, "the file has the internal date");
	close(fd);
	ok(last.uidvalidity == mailbox(drafts).uidvalidity, "and uidvalidity");
	eq(CALL(store_append_start, drafts, m, 3, none), OK, "three at once");
	ok(last.nuids == 1 && last_uids[0].first == 2 && last_uids[0].last == 4, "get 2:4");
	is(content(drafts, 3), "bb", "in order");
	box = mailbox(drafts);
	ok(box.exists == 4 && box.unseen == 3 && box.first_unseen == 2, "counts");
	ok(box.nkeywords == 2 && slice_eq(box.keywords[0], S("$Label1")) &&
		slice_eq(box.keywords[1], S("todo")),
	    "keywords by name");
	rec = store_get_record(view, drafts, 1);
	ok(rec && rec->keywords == 3 && rec->flags == (STORE_DRAFT | STORE_SEEN),
	    "flags and keywords");
	eq(CALL(store_append_start, drafts, &w, 1, none), TEMP,
	    "a size that is not the file's is refused");
	eq(CALL(store_append_start, inbox ^ 0xffff, &w, 1, none), TEMP, "a body is used once");
	is(uids(drafts), "1:4", "nothing else was added");
}

static void
test_flags(void)
{
	struct store_range all = { 1, UINT32_MAX }, some[2] = { { 2, 2 }, { 4, 9 } };
	struct store_change seen = { .how = STORE_ADD, .flags = STORE_SEEN },
			    unseen = { .how = STORE_REMOVE, .flags = STORE_SEEN },
			    set = { .how = STORE_SET,
				    .flags = STORE_DELETED,
				    .keywords = S("new todo") },
			    old = { .how = STORE_ADD,
				    .flags = STORE_ANSWERED,
				    .conditional = true };
	uint64_t drafts = folder("Drafts"), modseq;
	struct store_mailbox box;

	eq(CALL(store_flags_start, drafts, some, 2, &seen), OK, "flags are added");
	modseq = last.modseq;
	box = mailbox(drafts);
	ok(box.unseen == 1 && box.first_unseen == 3 && box.highestmodseq == modseq,
	    "counts follow");
	eq(store_first_unseen(view, &box), 3, "first unseen");
	eq(store_get_record(view, drafts, 1)->modseq < modseq, 1,
	    "the untouched keep their modseq");
	eq(CALL(store_flags_start, drafts, some, 2, &seen), OK, "the same again");
	ok(last.modseq == modseq, "changes nothing");
	eq(CALL(store_flags_start, drafts, &all, 1, &unseen), OK, "all unseen");
	box = mailbox(drafts);
	ok(box.unseen == 4 && box.first_unseen == 1, "counts follow again");
	eq(CALL(store_flags_start, drafts, some, 2, &set), OK, "flags and keywords are set");
	ok(store_refresh(view) == 0 && store_get_record(view, drafts, 4)->keywords == (4 | 2) &&
		store_get_record(view, drafts, 4)->flags == STORE_DELETED,
	    "in the record");
	old.unchangedsince = modseq + 1;
	eq(CALL(store_flags_start, drafts, &all, 1, &old), OK, "UNCHANGEDSINCE");
	ok(last.nuids == 2 && last_uids[0].first == 2 && last_uids[1].first == 4,
	    "spares those that changed later");
	eq(mailbox(drafts).deleted, 2, "two are deleted");
}

static void
test_expunge(void)
{
	struct store_range two = { 2, 3 };
	uint64_t drafts = folder("Drafts"), modseq = mailbox(drafts).highestmodseq;
	struct buf gone = { 0 };

	eq(CALL(store_expunge_start, drafts, &two, 1, false), OK, "UID EXPUNGE");
	ok(last.nuids == 1 && last_uids[0].first == 2 && last_uids[0].last == 2,
	    "takes what is deleted");
	is(uids(drafts), "1 3:4", "the runs know");
	is(content(drafts, 2), "a", "the file is still there");
	eq(CALL(store_expunge_start, drafts, NULL, 0, false), OK, "EXPUNGE");
	is(uids(drafts), "1 3", "takes the rest");
	eq(CALL(store_expunge_start, drafts, NULL, 0, false), OK, "and nothing more");
	eq(last.nuids, 0, "is left");
	(void)!store_refresh(view);
	eq(store_vanished(view, drafts, modseq, &gone), 0, "tombstones");
	eq(gone.n, 16, "for both");
	buf_fini(&gone);
}

static void
test_copy(void)
{
	struct store_range all = { 1, UINT32_MAX }, one = { 3, 3 };
	uint64_t drafts = folder("Drafts"), trash = folder("Trash"), emailid;
	struct store_limits tight = { .bytes = 20 };

	eq(CALL(store_copy_start, drafts, &all, 1, trash, none), OK, "copy");
	ok(last.nuids == 2 && last_uids[1].first == 3 && last.nto == 1 && last_to[0].first == 1 &&
		last_to[0].last == 2,
	    "tells both sets");
	is(content(trash, 2), content(drafts, 3), "the content is the same");
	(void)!store_refresh(view);
	emailid = store_get_record(view, drafts, 3)->emailid;
	ok(store_get_record(view, trash, 2)->emailid == emailid, "and so is its id");
	ok(store_get_record(view, trash, 1)->keywords == 3 && mailbox(trash).nkeywords == 2,
	    "keywords go along by name");
	eq(CALL(store_copy_start, drafts, &all, 1, trash, tight), TEMP, "quota is asked");
	eq(last.code, STORE_OVERQUOTA, "and said");
	eq(CALL(store_move_start, drafts, &one, 1, trash), OK, "move");
	is(uids(drafts), "1", "from here");
	is(uids(trash), "1:3", "to there");
	eq(CALL(store_copy_start, trash, &all, 1, trash, none), OK, "a copy into the same mailbox");
	is(uids(trash), "1:6", "doubles it");
	eq(CALL(store_copy_start, trash, &all, 1, trash ^ 0x7777, none), PERM,
	    "no such destination");
	eq(last.code, STORE_NOMAILBOX, "is said");
	eq(CALL(store_move_start, trash, &all, 1, inbox), OK, "everything to the inbox");
	is(uids(trash), "", "empties it");
}

static void
test_folders(void)
{
	uint64_t a, ab, id;
	struct store_folder f = { .account = account };
	bool children = false;

	eq(CALL(store_create_start, account, S("a/b/c"), STORE_USE_NONE), OK, "create");
	ok((a = folder("a")) && (ab = folder("a/b")), "makes the superiors");
	eq(CALL(store_create_start, account, S("a/b"), STORE_USE_NONE), PERM, "not twice");
	eq(last.code, STORE_EXISTS, "says why");
	eq(CALL(store_create_start, account, S("a//b"), STORE_USE_NONE), PERM,
	    "no empty component");
	eq(CALL(store_create_start, account, S("InBoX"), STORE_USE_NONE), PERM,
	    "INBOX in any case");
	(void)!store_refresh(view);
	while (store_next_folder(view, &f))
		children |= slice_eq(f.name, S("a")) && f.children;
	ok(children, "a has children");
	ok(append(folder("a/b/c"), "deep", 0, "") == 1, "a message in the deep");
	ok(append(ab, "middle", 0, "") == 1, "and in the middle");
	eq(CALL(store_rename_start, account, S("a/b"), S("x/y z%")), OK, "rename a tree");
	ok(folder("x/y z%") == ab && folder("a/b") == 0, "ids stay");
	is(content(folder("x/y z%/c"), 1), "deep", "the files move along");
	is(content(ab, 1), "middle", "all of them");
	eq(CALL(store_rename_start, account, S("x"), S("x/y")), PERM, "not into itself");
	eq(CALL(store_rename_start, account, S("x"), S("a")), PERM, "not over another");
	eq(CALL(store_delete_this_start, account, S("x/y z%"), ab, false), PERM,
	    "one with a child stays, when it must have none");
	eq(CALL(store_delete_this_start, account, S("x/y z%/c"), ab, false), PERM,
	    "one that has another's name now");
	eq(CALL(store_delete_this_start, account, S("x/y z%/c"), folder("x/y z%/c"), true), PERM,
	    "one with a message, when it must be empty");
	is(content(folder("x/y z%/c"), 1), "deep", "nothing of them has gone");
	eq(CALL(store_create_start, account, S("bare"), STORE_USE_NONE), OK, "one without any");
	eq(CALL(store_delete_this_start, account, S("bare"), folder("bare"), true), OK,
	    "is deleted");
	ok(folder("bare") == 0, "and gone");
	eq(CALL(store_create_start, account, S("full"), STORE_USE_NONE), OK, "another");
	eq(append(folder("full"), "x", 0, ""), 1, "one with a message");
	eq(CALL(store_delete_this_start, account, S("full"), folder("full"), false), OK,
	    "is deleted when it need not be empty");
	eq(CALL(store_delete_start, account, S("x/y z%")), OK, "delete one with a child");
	id = folder("x/y z%");
	ok(id && mailbox(id).attrs == STORE_NOSELECT, "leaves a bare name");
	is(content(ab, 1), "middle", "an open session can still read it");
	is(content(folder("x/y z%/c"), 1), "deep", "the child is not touched");
	eq(append(id, "no", 0, ""), 0, "nothing goes into a bare name");
	eq(CALL(store_create_start, account, S("x/y z%"), STORE_USE_NONE), OK,
	    "it can be made again");
	eq(mailbox(folder("x/y z%")).exists, 0, "empty");
	eq(CALL(store_delete_start, account, S("x/y z%/c")), OK, "delete the child");
	eq(CALL(store_delete_start, account, S("x/y z%")), OK, "and the parent");
	ok(folder("x/y z%") == 0, "both are gone");
	eq(CALL(store_delete_start, account, S("inbox")), PERM, "INBOX stays");
	eq(CALL(store_rename_start, account, S("INBOX"), S("old/inbox")), OK, "rename INBOX");
	ok(folder("INBOX") == inbox && mailbox(inbox).exists == 0, "empties it");
	ok(mailbox(folder("old/inbox")).exists > 0, "into a new folder");
	eq(CALL(store_subscribe_start, account, S("not/there"), true), OK, "subscribe to nothing");
	ok(store_refresh(view) == 0 && store_subscribed(view, account, S("not/there")), "is kept");
	eq(CALL(store_subscribe_start, account, S("not/there"), false), OK, "unsubscribe");
	ok(store_refresh(view) == 0 && !store_subscribed(view, account, S("not/there")),
	    "is kept too");
	(void)a;
}

static void
test_recent(void)
{
	uint64_t sent = folder("Sent");

	append(sent, "1", 0, "");
	append(sent, "2", 0, "");
	eq(mailbox(sent).recent, 2, "two are recent");
	eq(CALL(store_reserve_start, sent), OK, "claim");
	ok(last.nuids == 1 && last_uids[0].first == 1 && last_uids[0].last == 2 && last.uid == 3,
	    "gives both");
	eq(CALL(store_reserve_start, sent), OK, "claim again");
	eq(last.nuids, 0, "gives none");
}

static unsigned events, lists;

static void
on_event(void *arg, const struct store_event *ev, size_t n)
{
	(void)arg;
	for (size_t i = 0; i < n; i++) {
		events += ev[i].kind == STORE_EV_MAILBOX && ev[i].mailbox == inbox &&
		    ev[i].account == account && ev[i].modseq;
		lists += ev[i].kind == STORE_EV_LIST && ev[i].account == account;
	}
}

static void
test_watch(void)
{
	store_watch(client, on_event, NULL);
	eq(ping(), OK, "ping");
	deliver("joe@example.test", "", "event", 0, NULL);
	CALL(store_create_start, account, S("watched"), STORE_USE_NONE);
	ping();
	ok(events >= 1, "a delivery is told to the watcher");
	ok(lists >= 1, "and so is a new folder");
	store_watch(client, NULL, NULL);
}

static void
test_many(void)
{
	uint64_t archive = folder("Archive");
	struct store_range odd[500], all = { 1, UINT32_MAX };
	struct store_body b[100];
	struct store_message m[100];

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 100; i++) {
			b[i] = body_with("many", 4);
			m[i] = (struct store_message){ .body = &b[i], .size = 4 };
		}
		CALL(store_append_start, archive, m, 100, none);
	}
	is(uids(archive), "1:1000", "a thousand messages");
	for (uint32_t i = 0; i < 500; i++)
		odd[i] = (struct store_range){ 2 * i + 1, 2 * i + 1 };
	eq(CALL(store_expunge_start, archive, odd, 500, true), OK, "every other one goes");
	eq(last.nuids, 500, "500 runs are told");
	eq(mailbox(archive).nruns == STORE_RUNS_UNKNOWN, 1, "too many holes to remember");
	ok(!strstr(uids(archive), "differs"), "the scan agrees with the index");
	eq(CALL(store_move_start, archive, &all, 1, inbox), OK, "the rest moves");
	ok(last.nuids == 500 && last.nto == 1 && last_to[0].last - last_to[0].first == 499,
	    "500 UIDs in a row");
	is(uids(archive), "", "nothing is left");
}

struct order {
	struct op op;
	struct store_reply reply;
	struct store_range to;
	int place;
};
static int place;

static void
in_order(void *arg, const struct store_reply *r)
{
	struct order *o = arg;

	o->reply = *r;
	if (r->nto)
		o->to = r->to[0];
	o->place = ++place;
	if (place == 4)
		loop_stop(&loop);
}

/* A long COPY: others go on meanwhile, but not those who would meet half of it. */
static void
test_slow(void)
{
	uint64_t junk = folder("Junk"), from = folder("Archive");
	struct store_range all = { 1, UINT32_MAX };
	struct store_change seen = { .how = STORE_ADD, .flags = STORE_SEEN };
	struct store_body b[100], one;
	struct store_message m[100], late = { .body = &one, .size = 4 };
	struct store_target t = { .account = S("ann@example.test") };
	struct order copy = { .place = 0 }, append_later = { .place = 0 }, other = { .place = 0 },
		     flags = { .place = 0 };

	for (int round = 0; round < 30; round++) {
		for (int i = 0; i < 100; i++) {
			b[i] = body_with("slow", 4);
			m[i] = (struct store_message){ .body = &b[i], .size = 4 };
		}
		CALL(store_append_start, from, m, 100, none);
	}
	one = body_with("late", 4);
	store_copy_start(client, from, &all, 1, junk, none, &copy.op, in_order, &copy);
	store_append_start(client, junk, &late, 1, none, &append_later.op, in_order, &append_later);
	store_flags_start(client, from, &all, 1, &seen, &flags.op, in_order, &flags);
	one = body_with("else", 4);
	store_deliver_start(client, &late, &t, 1, &other.op, in_order, &other);
	loop_run(&loop);
	ok(copy.reply.verdict.kind == OK && copy.to.last - copy.to.first == 2999, "a long copy");
	ok(other.reply.verdict.kind == OK && other.place == 1, "lets others pass");
	ok(append_later.reply.verdict.kind == OK && append_later.reply.uid == copy.to.last + 1,
	    "an append to its destination waits");
	ok(flags.reply.verdict.kind == OK && flags.place > copy.place, "so do flags of its source");
	ok(mailbox(junk).unseen == mailbox(junk).exists && mailbox(from).unseen == 0,
	    "the copies are from before");
	eq(CALL(store_move_start, junk, &all, 1, from), OK, "a long move");
	ok(mailbox(junk).exists == 0 && mailbox(from).exists == 3000 + 3001, "leaves nothing");
	is(content(from, mailbox(from).uidnext - 1), "late", "the last one is the last");
}

static void
on_finding(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

static void
back_again(void)
{
	service_start();
	service_again();
}

/* Killed in the middle of it: all or nothing, and no file is left. */
static void
test_slow_killed(void)
{
	uint64_t from = folder("Archive"), trash = folder("Trash");
	struct store_range all = { 1, UINT32_MAX };
	struct store_check c = { .found = on_finding };
	char path[200], *why = NULL;
	uint32_t n;

	for (int i = 0; i < 4; i++) {
		struct order copy = { .place = 0 };

		store_copy_start(client, from, &all, 1, trash, none, &copy.op, in_order, &copy);
		usleep((unsigned)i * 7000);
		op_cancel(&copy.op);
		service_stop(SIGKILL);
		back_again();
	}
	n = mailbox(trash).exists;
	ok(n % mailbox(from).exists == 0, "killed while it copied: %u copies, all or nothing", n);
	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	ok(store_check_partition(path, slice(NULL, 0), &c, &why) == 0 && c.findings == 0,
	    "and nothing is left over");
}

static void
test_away(void)
{
	int status = service_stop(SIGTERM);

	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "stored drains and leaves with 0");
	eq(ping(), TEMP, "while it is away the answer is TEMP");
	eq(last.code, STORE_AWAY, "with its code");
	back_again();
	eq(last.verdict.kind, OK, "the client comes back by itself");
	eq(deliver("joe@example.test", "", "hello", 0, "q1"), OK, "a delivery is remembered");
	ok(last_results[0].duplicate, "over the restart");
	eq(CALL(store_create_start, account, S("after"), STORE_USE_NONE), OK,
	    "and an account is found by its id");
}

int
main(int argc, char **argv)
{
	char socket_path[100];

	(void)argc;
	log_init("service", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0])) {
		printf("1..0 # SKIP stored is not built\n");
		return 0;
	}
	service_prepare("map_size = 1G\nmin_free = 0\ncleanup_age = 1h\nslice = 0\n");
	service_start();
	loop_init(&loop);
	snprintf(socket_path, sizeof(socket_path), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket_path, "test");
	test_account();
	test_deliver();
	test_append();
	test_flags();
	test_expunge();
	test_copy();
	test_folders();
	test_recent();
	test_watch();
	test_many();
	test_slow();
	test_slow_killed();
	test_away();
	store_view_free(&view);
	store_reader_close(&reader);
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
