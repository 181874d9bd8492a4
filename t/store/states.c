/* What changes of a message lies apart from what never does: random APPEND, STORE, COPY and EXPUNGE
 * beside a plain array; the two rows when one of them is damaged or gone. */
#include <lmdb.h>

#include "service.h"
#include "store/block.h"
#include "store/check.h"

static struct store_reader *reader;
static struct store_view *view;
static const struct store_limits none;
static uint64_t account, inbox;

static void
reader_open(void)
{
	char path[200], *why = NULL;

	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_reader_open(path, &reader, &why) < 0) {
		printf("Bail out! %s\n", why);
		exit(1);
	}
	view = store_view_new(reader);
}

static void
reader_close(void)
{
	store_view_free(&view);
	store_reader_close(&reader);
}

static void
append(size_t n)
{
	struct store_body bodies[20];
	struct store_message m[20];

	for (size_t i = 0; i < n; i++) {
		bodies[i] = body_with("text", 4);
		m[i] = (struct store_message){ .body = &bodies[i],
			.size = 4,
			.cache = S("cache"),
			.internaldate = 2000 };
	}
	if (CALL(store_append_start, inbox, m, n, none) != OK)
		ok(false, "APPEND: %s", last.verdict.text);
}

/* ---- beside an array ------------------------------------------------------------------------- */

#define MOST 3000
static struct store_record model[MOST]; /* by UID; uid 0: not there */
static uint32_t uidnext = 1;

/* The store has what the array has, walked whole, by the state alone and one by one.  What the last
 * change named has a new modseq, the others keep theirs. */
static bool
agrees(uint64_t before)
{
	const struct store_record *rec, *one;
	uint32_t next = 1;
	size_t n;

	if (store_refresh(view) < 0)
		return false;
	for (enum store_parts parts = STORE_WHOLE; parts <= STORE_RECORDS; parts++) {
		struct store_blocks b;

		next = 1;
		store_blocks_init(&b, view, inbox, 1, UINT32_MAX);
		b.parts = parts;
		while ((rec = store_blocks_next(&b, &n)))
			for (size_t i = 0; i < n; i++, next++) {
				struct store_record *m;

				while (next < uidnext && !model[next].uid)
					next++;
				m = &model[next];
				if (next == uidnext || rec[i].uid != next ||
				    (parts != STORE_STATES && rec[i].size != 4))
					return false;
				if (parts == STORE_RECORDS)
					continue;
				if (rec[i].flags != m->flags || rec[i].keywords != m->keywords ||
				    (m->modseq ? rec[i].modseq != m->modseq :
						 rec[i].modseq <= before))
					return false;
				if (parts == STORE_STATES)
					m->modseq = rec[i].modseq;
			}
		while (next < uidnext && !model[next].uid)
			next++;
		if (next != uidnext)
			return false;
	}
	for (uint32_t uid = 1; uid < uidnext; uid += 17) {
		one = store_get_record(view, inbox, uid);
		if (!one != !model[uid].uid || (one && one->flags != model[uid].flags))
			return false;
	}
	return true;
}

static void
came(size_t n)
{
	while (n--) {
		model[uidnext] = (struct store_record){ .uid = uidnext };
		uidnext++;
	}
}

/* One change of some of the messages, in the store and in the array. */
static void
change_some(void)
{
	static const char *const words[] = { "", "a", "b", "a b" };
	struct store_range r[3];
	struct store_change c = { .how = (enum store_how)(rand() % 3),
		.flags = (uint16_t)(rand() % 16) };
	unsigned keywords = (unsigned)rand() % 4;
	bool expunge = rand() % 5 == 0;
	size_t n = 1 + (size_t)rand() % 3;
	uint32_t at = 1 + (uint32_t)rand() % uidnext;

	c.keywords = slice_str(words[keywords]);
	for (size_t i = 0; i < n; i++) {
		r[i].first = at;
		r[i].last = at + (uint32_t)rand() % (expunge ? 12 : rand() % 4 ? 50 : 3000);
		at = r[i].last + 2 + (uint32_t)rand() % 9;
	}
	if (expunge)
		CALL(store_expunge_start, inbox, r, n, true);
	else
		CALL(store_flags_start, inbox, r, n, &c);
	for (size_t i = 0; i < n; i++)
		for (uint32_t uid = r[i].first; uid <= r[i].last && uid < uidnext; uid++) {
			struct store_record *m = &model[uid], was = *m;

			if (!m->uid)
				continue;
			if (expunge) {
				m->uid = 0;
				continue;
			}
			m->flags = c.how == STORE_ADD ? was.flags | c.flags :
			    c.how == STORE_REMOVE     ? was.flags & (uint16_t)~c.flags :
							c.flags;
			m->keywords = c.how == STORE_ADD ? was.keywords | keywords :
			    c.how == STORE_REMOVE        ? was.keywords & ~(uint64_t)keywords :
							   keywords;
			if (m->flags != was.flags || m->keywords != was.keywords)
				m->modseq = 0; /* a new one */
		}
}

static void
test_model(unsigned seed)
{
	struct store_range all = { 1, UINT32_MAX }, first = { 1, 1 };
	struct store_change keywords = { .how = STORE_SET, .keywords = S("a b") };
	struct store_mailbox m;
	uint64_t before = 0;

	srand(seed);
	append(1);
	came(1);
	CALL(store_flags_start, inbox, &first, 1, &keywords); /* bits 0 and 1 */
	model[1].keywords = 3;
	ok(agrees(0), "one message");
	for (int step = 0; step < 400; step++) {
		size_t n = 1 + (size_t)rand() % 20;

		if (store_refresh(view) == 0 && store_get_mailbox(view, inbox, &m) == 0)
			before = m.highestmodseq;
		if (rand() % 4 == 0 && uidnext + 20 < MOST) {
			append(n);
			came(n);
		} else
			change_some();
		if (!agrees(before)) {
			ok(false, "seed %u: step %d", seed, step);
			return;
		}
	}
	ok(true, "400 changes beside an array");
	CALL(store_expunge_start, inbox, &all, 1, true);
	for (uint32_t uid = 1; uid < uidnext; uid++)
		model[uid].uid = 0;
	ok(agrees(0), "and none is left");
}

/* ---- damage ------------------------------------------------------------------------------------ */

static size_t nfound;
static char found_text[4000];

static void
found(void *arg, const char *text)
{
	(void)arg;
	nfound++;
	if (strlen(found_text) + strlen(text) + 2 < sizeof(found_text)) {
		strcat(found_text, text);
		strcat(found_text, "\n");
	}
}

static void
check(void)
{
	struct store_check c = { .found = found };
	char path[200], *why = NULL;

	nfound = 0;
	found_text[0] = 0;
	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_check_partition(path, slice(NULL, 0), &c, &why) < 0) {
		snprintf(found_text, sizeof(found_text), "%s", why);
		nfound = 999;
	}
	mem_free(&why);
}

static bool
found_line(const char *what)
{
	bool is = strstr(found_text, what);

	if (!is)
		printf("# %s", found_text);
	return is;
}

static void
clean(const char *what)
{
	if (!ok(nfound == 0, "%s", what))
		printf("# %s", found_text);
}

enum row_damage { ROW_GONE, ROW_BIT, ROW_UID };

/* Damages a row while stored is away. */
static void
damage(const char *table, uint32_t block, enum row_damage how)
{
	char path[200], value[4096];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k, d;
	uint8_t key[12];
	size_t at;

	reader_close(); /* LMDB forbids a second environment in a process */
	service_stop(SIGTERM);
	snprintf(path, sizeof(path), "%s/store/partition/primary/index", dir);
	store_be64(key, inbox);
	store_be32(key + 8, block);
	k = (MDB_val){ sizeof(key), key };
	if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, 32) ||
	    mdb_env_set_mapsize(env, 1 << 30) || mdb_env_open(env, path, 0, 0640) ||
	    mdb_txn_begin(env, NULL, 0, &txn) || mdb_dbi_open(txn, table, 0, &dbi) ||
	    mdb_get(txn, dbi, &k, &d) || d.mv_size > sizeof(value))
		abort();
	memcpy(value, d.mv_data, d.mv_size);
	d.mv_data = value;
	at = how == ROW_BIT             ? d.mv_size - 1 :
	    strcmp(table, "state") == 0 ? sizeof(struct store_state_head) :
					  offsetof(struct store_block_head, uids);
	value[at] ^= 1;
	if (how == ROW_GONE ? mdb_del(txn, dbi, &k, NULL) : mdb_put(txn, dbi, &k, &d, 0))
		abort();
	if (mdb_txn_commit(txn))
		abort();
	mdb_env_close(env);
	service_start();
	service_again();
	reader_open();
	(void)!store_begin(view);
}

static uint32_t
exists(void)
{
	struct store_mailbox m;

	return store_refresh(view) == 0 && store_get_mailbox(view, inbox, &m) == 0 ? m.exists : 0;
}

static const struct store_record *
record(uint32_t uid)
{
	return store_refresh(view) == 0 ? store_get_record(view, inbox, uid) : NULL;
}

static void
recount(void)
{
	if (CALL(store_recount_start, account) != OK)
		ok(false, "recount: %s", last.verdict.text);
	check();
}

static void
test_damage(void)
{
	uint32_t first = (uidnext + STORE_BLOCK - 1) / STORE_BLOCK * STORE_BLOCK;
	uint32_t block = first / STORE_BLOCK;
	struct store_range some = { first, first + 40 };
	struct store_change seen = { .how = STORE_ADD, .flags = STORE_SEEN };
	struct store_body body;
	struct store_message m = { .body = &body, .size = 4 };
	uint64_t emailid, modseq;

	while (uidnext++ < first)
		append(1);
	for (int i = 0; i < 4; i++)
		append(18);
	CALL(store_flags_start, inbox, &some, 1, &seen);
	check();
	clean("a mailbox with three blocks");
	emailid = record(first + 3)->emailid;
	modseq = record(first + 3)->modseq;

	damage("state", block, ROW_GONE);
	check();
	ok(found_line("has no state"), "a state that is gone is found");
	ok(!record(first + 3) && record(first + 40), "its messages are passed over, not others");
	recount();
	clean("reconstruct's recount mends it");
	ok(record(first + 3)->flags == 0 && record(first + 3)->emailid == emailid &&
		record(first + 3)->modseq > modseq && record(first + 40)->flags == STORE_SEEN,
	    "the messages are there, as new ones");

	damage("state", block, ROW_UID);
	check();
	ok(found_line("is damaged"), "a UID that fell out of a state is found");
	ok(!record(first + 3), "and the block is passed over");
	CALL(store_flags_start, inbox, &some, 1, &seen);
	ok(!record(first + 3) && record(first + 40), "a STORE leaves it as it is");
	recount();
	ok(nfound == 0 && record(first), "mended");

	damage("index", block, ROW_BIT);
	check();
	ok(found_line("the index of UIDs"), "a damaged record is found by its checksum");
	recount();
	ok(found_line("no message has it"), "mended: files that no message has");
	for (uint32_t uid = first; uid < first + STORE_BLOCK; uid++) {
		m.uid = uid;
		CALL(store_relink_start, inbox, &m, 1);
	}
	recount();
	ok(nfound == 32 && record(first + 3) && record(first + 3)->size == 4,
	    "which become messages again; their old contents' cache is all that is left");

	damage("index", block + 1, ROW_GONE);
	check();
	ok(found_line("has no record"), "an index that is gone is found");
	m.uid = first + 33;
	CALL(store_relink_start, inbox, &m, 1);
	ok(record(first + 33) && !record(first + 34), "a message is put back beside a state");

	/* Mail goes on behind a damaged end. */
	damage("state", (first + 72) / STORE_BLOCK, ROW_BIT);
	block = exists();
	append(1);
	ok(exists() == block + 1 && record(first + 72) && record(first + 71),
	    "a message that comes into a damaged block takes the others along");
	recount();
	ok(!strstr(found_text, "has no") && !strstr(found_text, "is damaged"),
	    "and the rows agree");
}

int
main(int argc, char **argv)
{
	const char *seed = getenv("STATES_SEED");
	char path[100];

	(void)argc;
	log_init("states", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0]))
		return done();
	service_prepare("map_size = 1G\nmin_free = 0\ncleanup_age = 1h\nlog_level = error\n");
	service_start();
	loop_init(&loop);
	snprintf(path, sizeof(path), "%s/stored.sock", dir);
	client = store_client_new(&loop, path, "test");
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	inbox = last.mailbox;
	reader_open();
	(void)!store_begin(view);
	test_model(seed ? (unsigned)atoi(seed) : 7);
	test_damage();
	reader_close();
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_stop(SIGTERM);
	service_remove();
	return done();
}
