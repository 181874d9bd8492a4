/* Mail that comes: in the mailbox's record first, in blocks when there is enough of it or when
 * something is done; its changes in the account's record; its places beside the digest.  Whoever reads
 * must not see a difference. */
#include <lmdb.h>

#include "base/crc.h"
#include "base/files.h"
#include "service.h"
#include "store/check.h"
#include "store/mend.h"

static struct store_reader *reader;
static struct store_view *view;
static uint64_t account, inbox;
static char path[300];

static void
look(void)
{
	char *why = NULL;

	if (store_reader_open(path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
}

/* LMDB forbids a second environment of one file in a process. */
static void
look_away(void)
{
	store_view_free(&view);
	store_reader_close(&reader);
}

static bool
deliver(const char *const *to, size_t n)
{
	struct store_body b = body_with("text", 4);
	struct store_message m = { .body = &b,
		.size = 4,
		.cache = S("digest"),
		.digest = crc32c(0, "text", 4),
		.internaldate = 2000 };
	struct store_target t[3] = { { .folder = S("") } };

	for (size_t i = 0; i < n; i++)
		t[i] = (struct store_target){ .account = slice_str(to[i]) };
	return CALL(store_deliver_start, &m, t, n) == OK && last_results[0].code == STORE_DONE;
}

static struct store_mailbox
box(void)
{
	struct store_mailbox m = { 0 };

	if (store_refresh(view) < 0 || store_get_mailbox(view, inbox, &m) < 0)
		m.id = 0;
	return m;
}

/* "1-3 5": what a walk shows; "?" behind a message that is not as it should be. */
static const char *
walked(enum store_parts parts, uint32_t from, uint32_t to, uint64_t since)
{
	static char text[300];
	const struct store_record *rec;
	struct store_blocks b;
	size_t n, len = 0;

	text[0] = 0;
	store_blocks_init(&b, view, inbox, from, to);
	b.parts = parts;
	b.since = since;
	while ((rec = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++) {
			bool good = (parts == STORE_STATES || rec[i].size == 4) &&
			    (parts == STORE_RECORDS || rec[i].modseq > since || since);

			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u%s",
			    len ? " " : "", rec[i].uid, good ? "" : "?");
		}
	return text;
}

/* As many as `uids` were delivered, one each time. */
static void
test_reading(void)
{
	static const char *const joe[] = { "joe@example.test" };
	char want[300] = "";
	size_t len = 0;

	for (uint32_t uid = 1; uid <= 40; uid++) {
		struct store_mailbox m;
		struct buf runs = { 0 };
		struct store_range r = { 0 };
		bool same = deliver(joe, 1);
		const struct store_record *rec;

		m = box();
		len +=
		    (size_t)snprintf(want + len, sizeof(want) - len, "%s%u", len ? " " : "", uid);
		same &= m.exists == uid && m.uidnext == uid + 1;
		same &= m.narrivals == (uid - 1) % STORE_ARRIVALS + 1;
		same &= strcmp(walked(STORE_WHOLE, 1, UINT32_MAX, 0), want) == 0;
		same &= strcmp(walked(STORE_STATES, 1, UINT32_MAX, 0), want) == 0;
		same &= strcmp(walked(STORE_RECORDS, 1, UINT32_MAX, 0), want) == 0;
		same &= strcmp(walked(STORE_WHOLE, uid + 1, UINT32_MAX, 0), "") == 0;
		for (uint32_t i = 1; i <= uid; i++) {
			rec = store_get_record(view, inbox, i);
			same &= rec && rec->uid == i && rec->size == 4 && rec->emailid;
		}
		same &= !store_get_record(view, inbox, uid + 1);
		same &= store_first_unseen(view, &m) == 1;
		store_uid_runs(view, &m, &runs);
		if (runs.n == sizeof(r))
			memcpy(&r, runs.p, sizeof(r));
		same &= r.first == 1 && r.last == uid;
		buf_fini(&runs);
		if (!same || uid % 8 == 1)
			ok(same, "message %u is seen everywhere, and all before it", uid);
	}
	is(walked(STORE_WHOLE, 31, 34, 0), "31 32 33 34", "a range over the end of a block");
	is(walked(STORE_STATES, 1, UINT32_MAX, box().highestmodseq), "", "nothing is newer");
	deliver(joe, 1);
	is(walked(STORE_STATES, 1, UINT32_MAX, box().highestmodseq - 1),
	    "32 33 34 35 36 37 38 39 40 41", "the block of an arrival is newer");
}

/* Each message that came is one entry, with its own modseq, in order. */
static void
test_changes(void)
{
	struct store_change_walk c = { .account = account };
	uint64_t modseq = 0, middle = 0;
	uint32_t next = 1;
	bool ordered = true;
	struct buf ranges = { 0 };
	struct store_range r = { 0 };

	while (store_change_next(view, &c)) {
		ordered &= c.modseq > modseq || c.kind != STORE_CHANGE_NEW;
		modseq = c.modseq;
		if (c.kind != STORE_CHANGE_NEW || c.mailbox != inbox)
			continue;
		ordered &= c.count == 1 && store_change_range(&c, 0).first == next &&
		    store_change_range(&c, 0).last == next && c.at;
		if (next++ == 20)
			middle = c.modseq;
	}
	ok(ordered && next == 42, "the log has all of them");
	c = (struct store_change_walk){ .account = account, .since = middle };
	next = 0;
	while (store_change_next(view, &c))
		next += c.kind == STORE_CHANGE_NEW;
	eq(next, 21, "and those behind one of them");
	eq(store_changed_logged(view, inbox, middle, UINT32_MAX, &ranges), 0,
	    "for one mailbox too");
	if (ranges.n == sizeof(r))
		memcpy(&r, ranges.p, sizeof(r));
	ok(r.first == 21 && r.last == 41, "it is one run");
	buf_fini(&ranges);
}

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
	static const char *const all[] = { "joe@example.test", "ann@example.test",
		"bob@example.test" };
	struct store_range one = { 42, 42 };
	const char *list;
	uint64_t id;

	ok(deliver(all, 3), "one message for three");
	(void)!store_refresh(view);
	id = store_get_record(view, inbox, 42)->emailid;
	eq(places(id), 3, "it is in three places");
	eq(store_cache_places(store_get_cache(view, id), &list), 3, "which lie beside its digest");
	CALL(store_copy_start, inbox, &one, 1, inbox, (struct store_limits){ 0 });
	eq(places(id), 4, "a copy is one more");
	CALL(store_expunge_start, inbox, &one, 1, true);
	eq(places(id), 3, "and what is expunged none");
}

static void
test_settling(void)
{
	static const char *const joe[] = { "joe@example.test" };
	struct store_range r = { 44, 44 };
	struct store_change f = { .how = STORE_ADD, .flags = STORE_SEEN };
	struct store_mailbox m;

	deliver(joe, 1);
	ok(box().narrivals > 0, "an arrival");
	CALL(store_flags_start, inbox, &r, 1, &f);
	m = box();
	eq(m.narrivals, 0, "is none any more when a flag is set");
	ok(store_get_record(view, inbox, 44)->flags == STORE_SEEN, "which it has");
	eq(m.unseen, m.exists - 1, "the counts are right");
	deliver(joe, 1);
}

/* With stored stopped: one byte of the record, `at` bytes before the end of its value. */
static void
damage(size_t at)
{
	char index[320], copy[4096];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	uint8_t be[8];
	MDB_val k = { 8, be }, d;

	store_be64(be, inbox);
	snprintf(index, sizeof(index), "%s/index", path);
	service_stop(SIGTERM);
	if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, 20) ||
	    mdb_env_open(env, index, 0, 0640) || mdb_txn_begin(env, NULL, 0, &txn) ||
	    mdb_dbi_open(txn, "mailbox", 0, &dbi) || mdb_get(txn, dbi, &k, &d) ||
	    d.mv_size > sizeof(copy))
		abort();
	memcpy(copy, d.mv_data, d.mv_size);
	copy[at] ^= 1;
	d = (MDB_val){ d.mv_size, copy };
	if (mdb_put(txn, dbi, &k, &d, 0) || mdb_txn_commit(txn))
		abort();
	mdb_env_close(env);
	service_start();
	while (ping() != OK)
		;
}

static void
test_damage(void)
{
	static const char *const joe[] = { "joe@example.test" };
	struct store_mending hint = { .partition = S("primary"),
		.account = S("joe@example.test"),
		.folder = S("INBOX"),
		.id = account };
	struct store_mailbox m = box();
	uint32_t exists = m.exists, uidnext = m.uidnext;

	ok(m.narrivals == 1, "an arrival is in a record");
	look_away();
	damage(offsetof(struct store_disk_mailbox, bytes));
	CALL(store_mend_start, &hint);
	eq(last.verdict.kind, OK, "that is damaged, and is mended");
	look();
	m = box();
	ok(m.exists == exists && m.uidnext == uidnext, "with the arrival");
	ok(store_get_record(view, inbox, uidnext - 1), "which is there");
	deliver(joe, 1);
	m = box();
	uidnext = m.uidnext;
	exists = m.exists;
	eq(m.narrivals, 1, "another arrival");
	look_away();
	damage((size_t)sizeof(struct store_disk_mailbox) + m.nruns * sizeof(struct store_range) +
	    strlen("joe@example.test") + strlen("INBOX") + offsetof(struct store_record, size));
	CALL(store_mend_start, &hint);
	look();
	m = box();
	ok(m.exists == exists - 1 && m.uidnext == uidnext,
	    "one that is damaged itself is left out, and its UID is not given again");
}

static void
found(void *arg, const char *text)
{
	(void)arg;
	printf("# %s\n", text);
}

static void
checked(const char *what)
{
	struct store_check check = { .found = found };
	char *why = NULL;

	eq(store_check_partition(path, slice(NULL, 0), &check, &why), 0, "checked");
	eq(check.findings, 0, "%s", what);
}

/* What a repair brings back is at one modseq, and the UIDs are no neighbours. */
#define RELINKED 40

static void
test_relink(void)
{
	struct store_change_walk all, rows;
	struct store_message m[RELINKED];
	struct buf name = { 0 };
	size_t told = 0, news = 0, base;
	uint32_t last_uid = 0;

	(void)!store_refresh(view);
	all = rows = (struct store_change_walk){ .account = account, .since = box().highestmodseq };
	rows.tombstones = true;
	buf_printf(&name, "%s/", path);
	store_folder_dir(&name, S("joe@example.test"), S("INBOX"));
	base = name.n;
	for (uint32_t i = 0; i < RELINKED; i++) {
		FILE *f;

		m[i] =
		    (struct store_message){ .uid = 1000 + 2 * i, .size = 4, .internaldate = 2000 };
		name.n = base;
		buf_printf(&name, "/%02x", (m[i].uid >> 8) & 0xff);
		(void)!files_make_dirs(buf_cstr(&name), 0750);
		name.n = base;
		store_message_name(&name, m[i].uid);
		f = fopen(buf_cstr(&name), "w");
		if (!ok(f && fputs("text", f) >= 0 && fclose(f) == 0, "%s", buf_cstr(&name)))
			break;
	}
	CALL(store_relink_start, inbox, m, RELINKED);
	eq(last.uid, RELINKED, "messages brought back");
	(void)!store_refresh(view);
	while (store_change_next(view, &all))
		if (all.kind == STORE_CHANGE_NEW && all.mailbox == inbox) {
			told += store_change_range(&all, 0).first > last_uid;
			last_uid = store_change_range(&all, 0).last;
		}
	eq(told, RELINKED, "the log has each of them, in its order");
	while (store_change_next(view, &rows)) {
		news += rows.kind == STORE_CHANGE_NEWS;
		(void)!store_refresh(view); /* another snapshot */
	}
	ok(news >= RELINKED / 8 - 1, "who looks for tombstones sees their rows, not them");
	buf_fini(&name);
}

int
main(int argc, char **argv)
{
	char socket[300];

	(void)argc;
	log_init("arrivals", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0]))
		return done();
	service_prepare("map_size = 1G\nmin_free = 0\ncleanup_age = 1h\n");
	service_start();
	loop_init(&loop);
	snprintf(socket, sizeof(socket), "%s/stored.sock", dir);
	client = store_client_new(&loop, socket, "test");
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	inbox = last.mailbox;
	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	look();
	test_reading();
	test_changes();
	checked("all agrees");
	test_places();
	test_settling();
	checked("and still does");
	test_damage();
	test_relink();
	look_away();
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
