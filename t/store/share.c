/* What a mailbox gives to others, as stored judges it: each right, each request, in the same batch and after
 * a kill. */
#include "rows.h"
#include "store/acl.h"

#define JOE "joe@example.test" /* the owner */
#define ANN "ann@example.test"
#define EVE "eve@else.test"

static const struct store_limits none;
static const struct store_range all = { 1, UINT32_MAX };
static struct store_reader *reader;
static struct store_view *view;
static const char *me = "", *mine = ""; /* and my groups */
static bool unsure;
static uint64_t joe, ann, inbox, work, sub, anns;

static struct store_person
actor(struct op *op)
{
	(void)op;
	return (struct store_person){ slice_str(me), slice_str(mine), unsure };
}

static void
as(const char *who)
{
	me = who;
}

static int
grant(uint64_t box, const char *who, const char *rights)
{
	uint32_t r = 0;
	enum store_how how = *rights == '+' ? STORE_ADD : *rights == '-' ? STORE_REMOVE : STORE_SET;

	if (!store_rights_parse(slice_str(rights + (how != STORE_SET)), &r))
		abort();
	return CALL(store_acl_start, box, slice_str(who), how, r) == OK ? 0 : (int)last.code;
}

/* ann's rights alone are these. */
static void
anns_are(uint64_t box, const char *rights)
{
	const char *before = me;

	as(JOE);
	if (grant(box, ANN, rights))
		abort();
	as(before);
}

static uint64_t
create(uint64_t account, const char *name)
{
	return CALL(store_create_start, account, slice_str(name), STORE_USE_NONE) == OK ?
	    last.mailbox :
	    0;
}

static int
append(uint64_t box, uint16_t flags, const char *keywords)
{
	struct store_body body = body_with("mail", 4);
	struct store_message m = { .body = &body,
		.size = 4,
		.flags = flags,
		.keywords = slice_str(keywords) };

	return CALL(store_append_start, box, &m, 1, none) == OK ? 0 : (int)last.code;
}

static int
flags(uint64_t box, enum store_how how, uint16_t set, const char *keywords)
{
	const struct store_change change = { .how = how,
		.flags = set,
		.keywords = slice_str(keywords) };

	return CALL(store_flags_start, box, &all, 1, &change) == OK ? 0 : (int)last.code;
}

/* The flags of the last message, with bit 15 for a keyword. */
static unsigned
flags_of(uint64_t box)
{
	struct store_mailbox m = { 0 };
	const struct store_record *r;
	unsigned got = ~0u;

	if (store_begin(view) < 0)
		return got;
	if (store_get_mailbox(view, box, &m) == 0 &&
	    (r = store_get_record(view, box, m.uidnext - 1)))
		got = r->flags | (r->keywords ? 1u << 15 : 0);
	store_end(view);
	return got;
}

/* Has the table of the mailbox this keyword? */
static bool
knows(uint64_t box, const char *keyword)
{
	struct store_mailbox m;
	bool found = false;

	if (store_begin(view) < 0)
		return false;
	if (store_get_mailbox(view, box, &m) == 0)
		for (size_t i = 0; i < m.nkeywords; i++)
			found |= slice_ieq(m.keywords[i], slice_str(keyword));
	store_end(view);
	return found;
}

static const char *
rights_of(uint64_t box, const char *login)
{
	static struct buf b;
	struct store_mailbox m;

	buf_clear(&b);
	if (store_begin(view) < 0)
		return "?";
	if (store_get_mailbox(view, box, &m) == 0)
		store_rights_write(&b,
		    store_rights(view, &m,
			(struct store_person){ slice_str(login), slice_str(mine), unsure }));
	store_end(view);
	return buf_cstr(&b);
}

/* The owners that let this login look at something. */
static const char *
sharers(const char *login)
{
	static struct buf b;
	uint64_t account = 0;
	struct slice owner;

	buf_clear(&b);
	if (store_begin(view) < 0)
		return "?";
	while (store_next_sharer(view,
	    (struct store_person){ slice_str(login), slice_str(mine), unsure }, &account, &owner)) {
		buf_slice(&b, owner);
		buf_char(&b, ' ');
	}
	store_end(view);
	return buf_cstr(&b);
}

/* ---- one after the other ------------------------------------------------------------------- */

static void
test_stranger(void)
{
	as(ANN);
	eq(append(work, 0, ""), STORE_FORBIDDEN, "a stranger puts nothing into it");
	eq(flags(work, STORE_ADD, STORE_SEEN, ""), STORE_FORBIDDEN, "flags nothing");
	CALL(store_expunge_start, work, NULL, 0, false);
	eq(last.code, STORE_FORBIDDEN, "expunges nothing");
	CALL(store_copy_start, work, &all, 1, anns, none);
	eq(last.code, STORE_FORBIDDEN, "copies nothing out");
	CALL(store_copy_start, anns, &all, 1, work, none);
	eq(last.code, STORE_FORBIDDEN, "nor in");
	eq(grant(work, ANN, "lr"), STORE_FORBIDDEN, "and gives himself nothing");
	CALL(store_delete_start, joe, S("work"));
	eq(last.code, STORE_FORBIDDEN, "deletes nothing");
	CALL(store_delete_start, joe, S("nothing"));
	eq(last.code, STORE_FORBIDDEN, "and hears the same of what is not there");
	is(last.verdict.text, "not this login's mailbox", "in the same words");
	CALL(store_rename_start, joe, S("work"), S("INBOX"));
	eq(last.code, STORE_FORBIDDEN, "nor does a name that is taken tell");
	eq(create(joe, "mine"), 0, "makes nothing,");
	eq(create(joe, "work/mine"), 0, "nowhere");
	eq(create(joe, "no/such/folder"), 0, "nor below what is not there");
	is(rights_of(work, ANN), "", "for he has no rights");
	is(sharers(ANN), "", "and nobody shares with him");
}

static void
test_set(void)
{
	as(JOE);
	eq(grant(work, "Ann@Example.TEST", "lr"), 0, "the owner gives rights");
	is(rights_of(work, ANN), "lr", "which she has");
	is(sharers(ANN), JOE " ", "and is shown");
	eq(grant(work, ANN, "+s"), 0, "and one more");
	is(rights_of(work, ANN), "lrs", "besides");
	eq(grant(work, ANN, "-r"), 0, "and takes one");
	is(rights_of(work, ANN), "ls", "of them");
	eq(grant(work, "anyone", "lrt"), 0, "and everybody some");
	is(rights_of(work, ANN), "lrstd", "they add up");
	is(rights_of(work, EVE), "lrtd", "for all");
	is(sharers(EVE), JOE " ", "who see it");
	eq(grant(work, "-" ANN, "t"), 0, "but for what is taken");
	is(rights_of(work, ANN), "lrs", "from her");
	eq(grant(work, "anyone@else.test", "i"), 0, "a domain");
	is(rights_of(work, EVE), "lritd", "is its people");
	eq(grant(work, JOE, "l"), STORE_CANNOT, "the owner's own are not changed");
	eq(grant(work, "-" JOE, "l"), STORE_CANNOT, "nor taken");
	eq(grant(work, "nobody", "l"), STORE_CANNOT, "what is no identifier is refused");
	eq(grant(work, "anyone", ""), 0, "no rights: nothing is said of it");
	eq(grant(work, "anyone@else.test", ""), 0, "nor here");
	eq(grant(work, "-" ANN, ""), 0, "nor here");
	is(sharers(EVE), "", "nobody sees it any more");
	for (int i = 1; i <= STORE_ACL_MOST; i++) {
		char who[40];

		snprintf(who, sizeof(who), "u%d@example.test", i);
		if (grant(work, who, "l") != (i < STORE_ACL_MOST ? 0 : STORE_LIMIT)) {
			ok(false, "identifier %d of a mailbox", i);
			return;
		}
	}
	ok(true, "a mailbox names so many and no more");
	eq(grant(work, ANN, "lr"), 0, "one that it names may change");
	for (int i = 1; i < STORE_ACL_MOST; i++) {
		char who[40];

		snprintf(who, sizeof(who), "u%d@example.test", i);
		if (grant(work, who, ""))
			ok(false, "and goes");
	}
	eq(store_begin(view), 0, "then");
	{
		struct slice id = slice(NULL, 0);
		uint32_t r;
		int n = 0;

		while (store_acl_next(view, work, &id, &r))
			n++;
		eq(n, 1, "one is left");
	}
	store_end(view);
}

/* Groups: the reader and stored judge alike, by what the program knows of them. */
static bool
names_groups(void)
{
	bool names;

	if (store_begin(view) < 0)
		return false;
	names = store_names_groups(view);
	store_end(view);
	return names;
}

static void
test_groups(void)
{
	as(JOE);
	eq(grant(work, ANN, ""), 0, "nobody is named");
	ok(!names_groups(), "nor a group");
	eq(grant(work, "Group:Staff@example.test", "lrs"), 0, "a group is");
	ok(names_groups(), "and it is known that one is");
	as(ANN);
	is(rights_of(work, ANN), "", "who is not in it has no rights");
	is(sharers(ANN), "", "and sees nobody");
	eq(flags(work, STORE_ADD, STORE_SEEN, ""), STORE_FORBIDDEN, "and stored says so");
	mine = "others@example.test staff@example.test zoo@example.test";
	is(rights_of(work, ANN), "lrs", "who is in it has");
	is(sharers(ANN), JOE " ", "and sees him");
	eq(flags(work, STORE_ADD, STORE_SEEN, ""), 0, "and stored says so");
	eq(flags(work, STORE_REMOVE, STORE_SEEN, ""), 0, "again");
	as(JOE);
	eq(grant(work, "-group:zoo@example.test", "s"), 0, "another takes one away");
	as(ANN);
	is(rights_of(work, ANN), "lr", "it is gone");
	eq(flags(work, STORE_ADD, STORE_SEEN, ""), STORE_FORBIDDEN, "there too");
	mine = "staff@example.test";
	is(rights_of(work, ANN), "lrs", "but for who is not in that");
	eq(flags(work, STORE_ADD, STORE_SEEN, ""), 0, "there too");
	eq(flags(work, STORE_REMOVE, STORE_SEEN, ""), 0, "again");
	unsure = true;
	is(rights_of(work, ANN), "lr", "who may be in it has it not");
	eq(flags(work, STORE_ADD, STORE_SEEN, ""), STORE_FORBIDDEN, "there too");
	mine = "";
	is(rights_of(work, ANN), "", "and what is not known gives nothing");
	as(JOE);
	eq(grant(work, "group:staff@example.test", ""), 0, "the group goes");
	ok(names_groups(), "the other is named still");
	eq(grant(work, "-group:zoo@example.test", ""), 0, "and that");
	ok(!names_groups(), "no more");
	unsure = false;
	eq(grant(work, ANN, "lr"), 0, "and so on");
}

static void
test_flags(void)
{
	anns_are(work, "lr");
	as(JOE);
	append(work, 0, "");
	as(ANN);
	eq(flags(work, STORE_ADD, STORE_SEEN, ""), STORE_FORBIDDEN, "who reads sets no flag");
	anns_are(work, "lrs");
	eq(flags(work, STORE_ADD, STORE_SEEN, ""), 0, "s: \\Seen");
	eq(flags_of(work), STORE_SEEN, "is set");
	eq(flags(work, STORE_ADD, STORE_FLAGGED, ""), STORE_FORBIDDEN, "another is not");
	eq(flags(work, STORE_ADD, 0, "tag"), STORE_FORBIDDEN, "nor a keyword");
	eq(flags(work, STORE_SET, STORE_FLAGGED | STORE_DELETED, "tag"), 0,
	    "a list does what it may");
	eq(flags_of(work), 0, "and leaves the rest");
	anns_are(work, "lrw");
	eq(flags(work, STORE_ADD, STORE_FLAGGED | STORE_SEEN | STORE_DELETED, "tag"), 0,
	    "w: a part of it");
	eq(flags_of(work), STORE_FLAGGED | 1u << 15, "is set");
	anns_are(work, "lrt");
	eq(flags(work, STORE_ADD, STORE_DELETED, ""), 0, "t: \\Deleted");
	eq(flags(work, STORE_REMOVE, STORE_FLAGGED, ""), STORE_FORBIDDEN, "alone");
	eq(flags(work, STORE_SET, 0, ""), 0, "no flags at all");
	eq(flags_of(work), STORE_FLAGGED | 1u << 15, "are those that are not hers");
	eq(flags(work, STORE_ADD, STORE_DELETED, ""), 0, "again");
	CALL(store_expunge_start, work, NULL, 0, false);
	eq(last.code, STORE_FORBIDDEN, "she expunges nothing");
	anns_are(work, "lre");
	CALL(store_expunge_start, work, NULL, 0, true);
	eq(last.code, STORE_FORBIDDEN, "e alone takes nothing that has no \\Deleted");
	CALL(store_expunge_start, work, NULL, 0, false);
	ok(last.code == STORE_DONE && last.nuids == 1, "e: what has");
}

static void
test_copies(void)
{
	as(ANN);
	anns_are(work, "li");
	eq(append(work, STORE_SEEN | STORE_FLAGGED | STORE_DELETED, "tag"), 0, "i: APPEND");
	eq(flags_of(work), 0, "without the flags that she may not set");
	anns_are(work, "lisw");
	eq(append(work, STORE_SEEN | STORE_FLAGGED | STORE_DELETED, "tag"), 0, "with s and w");
	eq(flags_of(work), STORE_SEEN | STORE_FLAGGED | 1u << 15, "with those");
	CALL(store_copy_start, work, &all, 1, anns, none);
	eq(last.code, STORE_FORBIDDEN, "who does not read copies nothing");
	anns_are(work, "lr");
	CALL(store_copy_start, work, &all, 1, anns, none);
	ok(last.code == STORE_DONE && last.nuids == 1, "r: COPY into her own");
	eq(flags_of(anns), STORE_SEEN | STORE_FLAGGED | 1u << 15, "with all flags");
	CALL(store_move_start, work, &all, 1, anns);
	eq(last.code, STORE_FORBIDDEN, "not MOVE");
	CALL(store_copy_start, anns, &all, 1, work, none);
	eq(last.code, STORE_FORBIDDEN, "nor COPY back");
	anns_are(work, "i");
	CALL(store_copy_start, anns, &all, 1, work, none);
	eq(last.code, STORE_DONE, "i: into it");
	eq(flags_of(work), 0, "without flags");
	eq(last.messages, 4, "it counts for the owner");
	flags(anns, STORE_ADD, 0, "strange");
	CALL(store_copy_start, anns, &all, 1, work, none);
	eq(last.code, STORE_DONE, "and one with a keyword of hers");
	ok(knows(anns, "strange") && !knows(work, "strange"),
	    "which the owner's table does not get");
	flags(anns, STORE_REMOVE, 0, "strange");
	anns_are(work, "rte");
	CALL(store_move_start, work, &all, 1, anns);
	eq(last.code, STORE_DONE, "rte: MOVE");
	as(ANN);
	CALL(store_recount_start, joe);
	as("");
	CALL(store_recount_start, joe);
	eq(last.messages, 0, "the owner's usage is what he has");
	CALL(store_recount_start, ann);
	eq(last.messages, 8, "and hers");
}

static void
test_folders(void)
{
	as(JOE);
	anns_are(work, "lrk");
	as(ANN);
	ok(create(joe, "work/a/b"), "k: a folder below");
	sub = last.mailbox;
	is(rights_of(sub, ANN), "lrkc", "with the rights of the one above");
	is(rights_of(sub, JOE), "lrswipkxteacd", "it is the owner's");
	eq(create(joe, "top"), 0, "not beside it");
	CALL(store_delete_start, joe, S("work/a/b"));
	eq(last.code, STORE_FORBIDDEN, "nor does it go");
	CALL(store_rename_start, joe, S("work/a/b"), S("work/c"));
	eq(last.code, STORE_FORBIDDEN, "or get another name");
	as(JOE);
	grant(sub, ANN, "lx");
	as(ANN);
	CALL(store_rename_start, joe, S("work/a/b"), S("top"));
	eq(last.code, STORE_FORBIDDEN, "x is not enough where there is no k");
	CALL(store_rename_start, joe, S("work/a/b"), S("work/c"));
	eq(last.code, STORE_DONE, "x and k: a new name");
	is(rights_of(sub, ANN), "lxc", "rights stay with the folder");
	CALL(store_delete_start, joe, S("work/c"));
	eq(last.code, STORE_DONE, "x: it goes");
	is(sharers(ANN), JOE " ", "what else is shared is still");
	as(JOE);
	ok(create(joe, "work/c"), "a new one of its name");
	is(rights_of(last.mailbox, ANN), "lrkc", "has nothing of the old one");
	as(ANN);
	CALL(store_rename_start, joe, S("INBOX"), S("work/inbox"));
	eq(last.code, STORE_FORBIDDEN, "nobody else moves the INBOX");
	anns_are(work, "la");
	eq(grant(work, EVE, "lr"), 0, "a: gives rights");
	eq(grant(work, JOE, "l"), STORE_CANNOT, "not the owner's");
	eq(grant(work, ANN, "l"), 0, "her own too");
	eq(grant(work, ANN, "la"), STORE_FORBIDDEN, "and cannot take them back");
	as(JOE);
	CALL(store_delete_start, joe, S("work/c"));
	CALL(store_delete_start, joe, S("work/a"));
	CALL(store_delete_start, joe, S("work"));
	eq(last.code, STORE_DONE, "a folder is deleted");
	is(sharers(ANN), "", "nothing of it is shared");
	is(sharers(EVE), "", "with nobody");
	if (store_begin(view) == 0) {
		uint64_t account = 0;
		struct slice id = slice(NULL, 0);
		uint32_t r;

		ok(!store_acl_next(view, work, &id, &r), "no row of it is left");
		ok(!store_next_sharer(view, store_person(S(ANN)), &account, &id),
		    "nor in the index");
		store_end(view);
	}
}

/* Folders that are made below one that is shared with many: as many rows as an account may have, no more. */
static void
test_rows(void)
{
	uint64_t top;
	char name[40];
	int made = 0;

	as(JOE);
	top = create(joe, "many");
	for (int i = 1; i <= STORE_ACL_MOST; i++) {
		snprintf(name, sizeof(name), "u%d@example.test", i);
		if (grant(top, name, "lk"))
			ok(false, "identifier %d", i);
	}
	for (last.code = STORE_DONE; made < 100 && last.code == STORE_DONE;
	     made += last.code == STORE_DONE) {
		snprintf(name, sizeof(name), "many/f%d", made);
		create(joe, name);
	}
	eq(last.code, STORE_LIMIT, "a CREATE that would inherit too much is refused");
	eq(made, 2000 / STORE_ACL_MOST - 1, "at 2,000 rows");
	CALL(store_rename_start, joe, S("Trash"), S("many/x/y"));
	eq(last.code, STORE_LIMIT, "so is a RENAME that makes a folder above");
	ok(create(joe, "alone"), "one that inherits nothing is not");
	for (int i = 2000 % STORE_ACL_MOST; i > 0; i--) {
		snprintf(name, sizeof(name), "v%d@example.test", i);
		if (grant(last.mailbox, name, "l"))
			ok(false, "row %d from the end", i);
	}
	eq(grant(last.mailbox, ANN, "l"), STORE_LIMIT, "nor is there room for another one");
	eq(grant(top, "u1@example.test", "l"), 0, "what is there may change");
	CALL(store_delete_start, joe, S("many/f0"));
	ok(create(joe, "many/g"), "what goes makes room");
	ok(!create(joe, "many/h"), "for as much");
	service_stop(SIGKILL);
	service_start();
	service_again();
	ok(AWAIT(!create(joe, "many/h") && last.code == STORE_LIMIT),
	    "they are counted again after a kill");
	CALL(store_delete_start, joe, S("many/g"));
	ok(create(joe, "many/h"), "right");
	for (int i = 0; i < made; i++) {
		snprintf(name, sizeof(name), "many/f%d", i);
		CALL(store_delete_start, joe, slice_str(name));
	}
	CALL(store_delete_start, joe, S("many/h"));
	CALL(store_delete_start, joe, S("many"));
	CALL(store_delete_start, joe, S("alone"));
}

static void
test_guests_folders(void)
{
	char name[40];
	int made = 0;

	as(JOE);
	work = create(joe, "work");
	anns_are(work, "lk");
	as(ANN);
	for (last.code = STORE_DONE; made < 1100 && last.code == STORE_DONE;
	     made += last.code == STORE_DONE) {
		snprintf(name, sizeof(name), "work/f%d", made);
		create(joe, name);
	}
	eq(last.code, STORE_LIMIT, "others make no more folders than 1,000");
	as(JOE);
	ok(create(joe, "work/mine"), "the owner does");
	CALL(store_delete_start, joe, S("work/mine"));
	while (made--) {
		snprintf(name, sizeof(name), "work/f%d", made);
		CALL(store_delete_start, joe, slice_str(name));
	}
	CALL(store_delete_start, joe, S("work"));
}

static void
test_kill(void)
{
	as(JOE);
	work = create(joe, "work");
	eq(grant(work, ANN, "lr"), 0, "rights are given");
	service_stop(SIGKILL);
	service_start();
	service_again();
	ok(AWAIT(strcmp(rights_of(work, ANN), "lr") == 0), "and are there after a kill");
	is(sharers(ANN), JOE " ", "as is the index");
	store_view_free(&view);
	store_reader_close(&reader);
	service_stop(SIGTERM);
	write_file("stored.conf", "min_free = 0\n");
	service_start();
	service_again();
	eq(grant(work, "anyone", "l"), STORE_CANNOT,
	    "not with everybody, when nothing is said of it");
	eq(grant(work, "anyone@else.test", "l"), STORE_CANNOT, "nor with a domain");
	eq(grant(work, "-anyone", "l"), 0, "to take is no sharing");
	as("");
	eq(grant(work, "anyone", "l"), 0, "an administrator may");
	as("");
	eq(grant(work, "anyone", "lr"), 0, "and more");
	as(JOE);
	eq(grant(work, "anyone", "-r"), 0, "and a person may take some");
	eq(grant(work, "anyone", "l"), 0, "or say what it is");
	eq(grant(work, "anyone", "ls"), STORE_CANNOT, "but give nothing");
	eq(grant(work, "anyone", ""), 0, "and end it");
}

/* What a mailbox gives whose name was damaged when the account's rows were counted. */
static void
test_mended(void)
{
	struct store_mending m = { .account = S(JOE), .folder = S("team"), .id = joe };
	uint8_t key[8 + 4];

	as("");
	m.mailbox = create(joe, "team");
	for (int i = 0; i < 40; i++) {
		char who[20];

		snprintf(who, sizeof(who), "u%d@x.test", i);
		if (grant(m.mailbox, who, "l"))
			abort();
	}
	store_be64(key, joe);
	memcpy(key + 8, "team", 4);
	damage("name", key, sizeof(key), FLIP, 4);
	eq(grant(inbox, "a@x.test", "l"), 0, "another mailbox is shared, and all rows are counted");
	CALL(store_mend_start, &m);
	eq(last.uid, 1, "the name is mended");
	eq(CALL(store_delete_start, joe, S("team")), OK, "the mailbox goes");
	eq(grant(inbox, "b@x.test", "l"), 0, "and there is room for more");
}

/* What a row of the mailbox gives; -1: there is none. */
static int
given(uint64_t box, const char *identifier)
{
	uint32_t r = 0;
	int rc;

	if (store_begin(view) < 0)
		abort();
	rc = store_acl_find(view, box, slice_str(identifier), &r);
	store_end(view);
	return rc == 0 ? (int)r : -1;
}

static int
leave(uint64_t box, const char *login, const char *to)
{
	return CALL(store_leave_start, box, slice_str(login), slice_str(to)) == OK ? 0 :
										     (int)last.code;
}

/* The rows of others are named as these logins are. */
static void
test_leaves(void)
{
	uint64_t box;

	as("");
	box = create(joe, "left");
	if (grant(box, EVE, "lr") || grant(box, "-" ANN, "w") || grant(box, "anyone", "l") ||
	    grant(box, "anyone@else.test", "lri") || grant(box, "group:staff@else.test", "lrs"))
		abort();
	eq(leave(box, "-" ANN, "new@else.test"), 0, "a login that is written as what is taken");
	eq(given(box, "-" ANN), STORE_R_WRITE, "which stays taken");
	eq(given(box, "new@else.test"), -1, "and is given to nobody");
	leave(box, "anyone@else.test", "");
	eq(given(box, "anyone@else.test"), STORE_R_LOOKUP | STORE_R_READ | STORE_R_INSERT,
	    "one that is written as a domain's people");
	leave(box, "anyone", "");
	eq(given(box, "anyone"), STORE_R_LOOKUP, "as all people");
	leave(box, "group:staff@else.test", "new@else.test");
	eq(given(box, "group:staff@else.test"), STORE_R_LOOKUP | STORE_R_READ | STORE_R_SEEN,
	    "as a group");
	leave(box, EVE, "group:them@else.test");
	ok(given(box, EVE) == -1 && given(box, "group:them@else.test") == -1,
	    "rights pass on to no group that is written as the new login");
	grant(box, EVE, "lr");
	leave(box, EVE, "-" EVE);
	ok(given(box, EVE) == -1 && given(box, "-" EVE) == -1, "nor are they taken from anybody");
	grant(box, EVE, "lr");
	leave(box, EVE, "new@else.test");
	ok(given(box, EVE) == -1 && given(box, "new@else.test") == (STORE_R_LOOKUP | STORE_R_READ),
	    "one that can be named has them");
}

int
main(int argc, char **argv)
{
	char *why;

	(void)argc;
	service_open(argv[0], "share", "share_anyone = yes\nshare_seen = yes\nmin_free = 0\n");
	log_level(LOG_ERROR);
	store_client_actors(client, actor);
	CALL(store_account_start, S(ANN), S(""));
	ann = last.account;
	anns = last.mailbox;
	CALL(store_account_start, S(JOE), S(""));
	joe = last.account;
	inbox = last.mailbox;
	if (store_reader_open(last_path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
	as(JOE);
	work = create(joe, "work");
	append(work, 0, "");
	flags(work, STORE_ADD, STORE_DELETED, "");
	test_stranger();
	CALL(store_expunge_start, work, NULL, 0, false);
	test_set();
	test_groups();
	test_flags();
	test_copies();
	test_folders();
	test_rows();
	test_guests_folders();
	test_leaves();
	test_kill();
	test_mended();
	service_close();
	return done();
}
