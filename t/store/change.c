/* What changed and where things are: the change log, tombstones with ids, places of contents, threads,
 * rights, keywords that are given back; and what an older program finds. */
#include <lmdb.h>

#include "base/crc.h"
#include "service.h"
#include "store/check.h"
#include "store/read-thread.h"

static struct store_reader *reader;
static struct store_view *view;
static const struct store_limits none;
static uint64_t account, inbox, work;

static uint32_t
append(uint64_t mailbox, const char *keywords)
{
	struct store_body b = body_with("text", 4);
	struct store_message m = { .body = &b,
		.size = 4,
		.keywords = slice_str(keywords),
		.cache = S("cache"),
		.sentday = 77,
		.digest = crc32c(0, "text", 4),
		.internaldate = 2000 };

	return CALL(store_append_start, mailbox, &m, 1, none) == OK ? last.uid : 0;
}
/* A date is what a file can have, and 1970 is one. */
static int
dated(int64_t at, bool given)
{
	struct store_body b = body_with("text", 4);
	struct store_message m = { .body = &b, .size = 4, .internaldate = at, .dated = given };

	return CALL(store_append_start, inbox, &m, 1, none) == OK ? 0 : (int)last.code;
}

static int64_t
date_of(uint32_t uid)
{
	const struct store_record *rec;

	if (store_refresh(view) < 0 || !(rec = store_get_record(view, inbox, uid)))
		return -1;
	return rec->internaldate;
}

static void
test_dates(void)
{
	eq(dated(0, true), 0, "a message of the first second");
	eq(date_of(last.uid), 0, "has that date");
	eq(dated(0, false), 0, "one without a date");
	ok(date_of(last.uid) > 1700000000, "is of now");
	eq(dated(STORE_DATE_MOST, false), 0, "one of the last year");
	eq(date_of(last.uid), STORE_DATE_MOST, "has that date");
	eq(dated(STORE_DATE_MOST + 1, false), STORE_REFUSED, "there is none behind it");
	eq(dated(-STORE_DATE_MOST - 1, true), STORE_REFUSED, "nor so far before");
}

static struct store_mailbox
box(uint64_t id)
{
	struct store_mailbox m = { 0 };

	if (store_refresh(view) < 0 || store_get_mailbox(view, id, &m) < 0)
		m.id = 0;
	return m;
}

static int
flag(uint64_t mailbox, uint32_t first, uint32_t to, enum store_how how, const char *keywords)
{
	struct store_range r = { first, to };
	struct store_change f = { .how = how,
		.flags = STORE_FLAGGED,
		.keywords = slice_str(keywords) };

	return CALL(store_flags_start, mailbox, &r, 1, &f);
}

/* "1:3 7" */
static const char *
changed(uint64_t mailbox, uint64_t since, bool logged)
{
	static char text[200];
	struct buf ranges = { 0 };
	size_t len = 0;
	int rc = -1;

	text[0] = 0;
	if (store_refresh(view) == 0)
		rc = logged ? store_changed_logged(view, mailbox, since, UINT32_MAX, &ranges) :
			      store_changed_uids(view, mailbox, since, UINT32_MAX, &ranges);
	if (rc < 0)
		snprintf(text, sizeof(text), "error %d", rc);
	for (size_t at = 0; at + 8 <= ranges.n && len + 30 < sizeof(text); at += 8) {
		struct store_range r;

		memcpy(&r, ranges.p + at, 8);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u:%u", at ? " " : "",
		    r.first, r.last);
	}
	buf_fini(&ranges);
	return text;
}

/* ---- the log --------------------------------------------------------------------------------- */

static void
test_changes(void)
{
	uint64_t start, flagged, id7, id9;
	struct store_range two = { 7, 9 };
	struct store_change_walk c;
	const struct store_record *rec;
	unsigned kinds = 0;
	bool found = false;

	start = box(inbox).highestmodseq;
	for (int i = 0; i < 100; i++)
		append(inbox, "");
	is(changed(inbox, start, true), "1:100", "what came");
	start = box(inbox).highestmodseq;
	is(changed(inbox, start, true), "", "nothing has changed since");
	flag(inbox, 40, 40, STORE_ADD, "");
	flagged = box(inbox).highestmodseq;
	is(changed(inbox, start, true), "40:40", "one flag");
	flag(inbox, 3, 5, STORE_ADD, "");
	flag(inbox, 4, 6, STORE_ADD, "x");
	is(changed(inbox, start, true), "3:6 40:40", "more of them, joined");
	is(changed(inbox, flagged, true), "3:6", "after the first");
	is(changed(work, start, true), "", "not in another mailbox");
	rec = store_get_record(view, inbox, 40);
	ok(rec && rec->sentday == 77 && rec->digest == crc32c(0, "text", 4),
	    "the record has day and digest");
	id7 = store_get_record(view, inbox, 7)->emailid;
	id9 = store_get_record(view, inbox, 9)->emailid;
	ok(id9 == id7 + 2 && id7 >> 32 && !(id7 >> 63) && (uint32_t)id7 < 1000,
	    "ids are an epoch and a counter");
	ok(box(inbox).objectid >> 32 == id7 >> 32 && box(inbox).objectid != box(work).objectid,
	    "mailboxes have one too");

	start = box(inbox).highestmodseq;
	CALL(store_expunge_start, inbox, &two, 1, true);
	(void)!store_refresh(view);
	c = (struct store_change_walk){ .account = account, .since = start };
	while (store_change_next(view, &c))
		if (c.kind == STORE_CHANGE_GONE && c.mailbox == inbox && c.count == 1) {
			struct store_gone g = store_change_gone(&c, 0);

			found = g.first == 7 && g.last == 9 && g.emailid == id7;
		}
	ok(found, "a tombstone names the contents, one entry for neighbours");
	c = (struct store_change_walk){ .account = account };
	while (store_change_next(view, &c))
		kinds |= 1u << c.kind;
	eq(kinds,
	    1u << STORE_CHANGE_NEW | 1u << STORE_CHANGE_FLAGS | 1u << STORE_CHANGE_GONE |
		1u << STORE_CHANGE_FOLDER,
	    "all kinds that there were");
	CALL(store_create_start, account, S("short"), STORE_USE_NONE);
	CALL(store_delete_start, account, S("short"));
	(void)!store_refresh(view);
	kinds = 0;
	c = (struct store_change_walk){ .account = account, .since = start + 1 };
	while (store_change_next(view, &c))
		kinds |= 1u << c.kind;
	eq(kinds, 1u << STORE_CHANGE_FOLDER | 1u << STORE_CHANGE_DELETED, "a folder came and went");
}

/* Behind many changes of others the heads of the blocks are asked. */
static void
test_blocks(void)
{
	uint64_t start = box(inbox).highestmodseq;
	struct store_blocks b;
	size_t n, blocks = 0;

	for (int i = 0; i < 1100; i++)
		flag(work, 1, 1, i % 2 ? STORE_ADD : STORE_REMOVE, "");
	flag(inbox, 50, 50, STORE_ADD, "y");
	is(changed(inbox, start, true), "error -61", "the log is too long for a look");
	is(changed(inbox, start, false), "32:63", "the block is found by its head");
	store_blocks_init(&b, view, inbox, 1, UINT32_MAX);
	b.since = start;
	while (store_blocks_next(&b, &n))
		blocks++;
	eq(blocks, 1, "the others are passed over");
}

/* ---- places ---------------------------------------------------------------------------------- */

static size_t
places(uint64_t id)
{
	struct store_place p = { .emailid = id };
	size_t n = 0;

	(void)!store_refresh(view);
	while (store_email_next(view, &p))
		n++;
	return n;
}

static void
test_places(void)
{
	struct store_range one = { 20, 20 };
	uint64_t id, next = 0;

	(void)!store_refresh(view);
	id = store_get_record(view, inbox, 20)->emailid;
	eq(places(id), 1, "a message is found by its id");
	CALL(store_copy_start, inbox, &one, 1, work, none);
	eq(places(id), 2, "its copy too");
	CALL(store_expunge_start, inbox, &one, 1, true);
	eq(places(id), 1, "what is expunged is not");
	eq(places(12345), 0, "an id that nobody has");
	ok(store_thread_next(view, account, id, &next) && next == id &&
		!store_thread_next(view, account, id, &next),
	    "a thread of one");
}

/* ---- rows that nobody writes yet ------------------------------------------------------------- */

static void
row_put(MDB_txn *txn, const char *table, const void *key, size_t nkey, const void *value, size_t n)
{
	MDB_val k = { nkey, (void *)(uintptr_t)key }, d = { n, (void *)(uintptr_t)value };
	MDB_dbi dbi;

	if (mdb_dbi_open(txn, table, 0, &dbi) != 0 || mdb_put(txn, dbi, &k, &d, 0) != 0)
		ok(false, "a row of %s", table);
}

static void
write_tables(const char *index, uint64_t id)
{
	struct store_disk_acl acl = { .version = 1, .rights = 5 };
	uint8_t key[32], version = 1;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	if (mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, 32) != 0 ||
	    mdb_env_set_mapsize(env, 1 << 30) != 0 ||
	    mdb_env_open(env, index, MDB_NOTLS, 0640) != 0 ||
	    mdb_txn_begin(env, NULL, 0, &txn) != 0) {
		ok(false, "the index");
		return;
	}
	eq(mdb_dbi_open(txn, "tomb", 0, &dbi), MDB_INCOMPATIBLE,
	    "a program of format 1 is told that it is not for it");
	store_be64(key, inbox);
	memcpy(key + 8, "ann", 3);
	row_put(txn, "acl", key, 11, &acl, sizeof(acl));
	acl.rights = 2047;
	memcpy(key + 8, "joe", 3);
	row_put(txn, "acl", key, 11, &acl, sizeof(acl));
	store_be64(key, account);
	store_be64(key + 8, id);
	store_be64(key + 16, id + 5);
	row_put(txn, "thread", key, 24, &version, 1);
	eq(mdb_txn_commit(txn), 0, "rows as a later version may write them");
	mdb_env_close(env);
}

static void
test_tables(uint64_t id)
{
	struct slice who = slice(NULL, 0);
	uint32_t rights = 0;
	uint64_t email = 0;

	(void)!store_refresh(view);
	ok(store_acl_find(view, inbox, S("joe"), &rights) == 0 && rights == 2047, "rights of one");
	eq(store_acl_find(view, inbox, S("jo"), &rights), -ENOENT, "not of another");
	eq(store_acl_find(view, work, S("joe"), &rights), -ENOENT, "nor elsewhere");
	ok(store_acl_next(view, inbox, &who, &rights) && slice_eq(who, S("ann")) && rights == 5 &&
		store_acl_next(view, inbox, &who, &rights) && slice_eq(who, S("joe")) &&
		!store_acl_next(view, inbox, &who, &rights),
	    "all of them");
	ok(store_thread_next(view, account, id, &email) && email == id &&
		store_thread_next(view, account, id, &email) && email == id + 5 &&
		!store_thread_next(view, account, id, &email),
	    "a thread of two");
}

/* ---- keywords -------------------------------------------------------------------------------- */

static void
test_keywords(void)
{
	struct store_range all = { 1, UINT32_MAX };
	char word[20];
	uint32_t exists;
	uint64_t full;
	int good = 0;

	CALL(store_create_start, account, S("full"), STORE_USE_NONE);
	full = last.mailbox;
	append(full, "");
	for (int i = 0; i < 200; i++) {
		snprintf(word, sizeof(word), "brief%d", i);
		good += flag(full, 1, 1, STORE_ADD, word) == OK &&
		    flag(full, 1, 1, STORE_REMOVE, word) == OK;
	}
	eq(good, 200, "keywords that no message has any more make room");
	good = 0;
	for (int i = 0; i < 64; i++) {
		snprintf(word, sizeof(word), "stays%d", i);
		good += flag(full, 1, 1, STORE_ADD, word) == OK;
	}
	eq(good, 64, "64 at a time");
	ok(flag(full, 1, 1, STORE_ADD, "more") == PERM && last.code == STORE_LIMIT,
	    "no more: refused");
	eq(append(full, "fresh"), 0, "APPEND with a new one is refused");
	ok(last.code == STORE_LIMIT && box(full).exists == 1, "whole");
	ok(append(full, "stays3 STAYS4") == 2, "with the old ones it is not");
	CALL(store_create_start, account, S("source"), STORE_USE_NONE);
	work = last.mailbox;
	append(work, "");
	append(work, "fresh");
	eq(CALL(store_copy_start, work, &all, 1, full, none), PERM, "so is COPY");
	ok(last.code == STORE_LIMIT && box(full).exists == 2, "whole");
	exists = box(work).exists;
	eq(CALL(store_move_start, work, &all, 1, full), PERM, "and MOVE");
	ok(box(full).exists == 2 && box(work).exists == exists, "nothing has moved");
	flag(full, 1, 1, STORE_REMOVE, "stays9");
	eq(CALL(store_move_start, work, &all, 1, full), OK, "until there is room");
	ok(box(full).exists == 4 && store_get_record(view, full, 4)->keywords,
	    "then the keyword comes along");
}

static void
found(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

int
main(int argc, char **argv)
{
	struct store_check check = { .found = found };
	char path[300], index[320], *why = NULL;
	uint64_t id;

	(void)argc;
	log_init("change", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0]))
		return done();
	service_prepare("map_size = 1G\nmin_free = 0\ncleanup_age = 1h\n");
	service_start();
	loop_init(&loop);
	snprintf(path, sizeof(path), "%s/stored.sock", dir);
	client = store_client_new(&loop, path, "test");
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	inbox = last.mailbox;
	CALL(store_create_start, account, S("Work"), STORE_USE_NONE);
	work = last.mailbox;
	append(work, "");
	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_reader_open(path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
	test_changes();
	test_blocks();
	test_places();
	test_keywords();
	test_dates();
	eq(store_check_partition(path, slice(NULL, 0), &check, &why), 0, "checked");
	eq(check.findings, 0, "and all agrees");
	(void)!store_refresh(view);
	id = store_get_record(view, inbox, 30)->emailid;
	/* LMDB forbids a second environment of one file in a process: the reader steps aside. */
	store_view_free(&view);
	store_reader_close(&reader);
	service_stop(SIGTERM);
	snprintf(index, sizeof(index), "%s/index", path);
	write_tables(index, id);
	if (store_reader_open(path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
	test_tables(id);
	store_view_free(&view);
	store_reader_close(&reader);
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_remove();
	return done();
}
