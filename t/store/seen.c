/* What each reader of a shared mailbox has seen: runs of a row against a model, and stored with three people. */
#include "base/random.h"
#include "rows.h"
#include "store/acl.h"
#include "store/seen.h"

#define JOE  "joe@example.test" /* the owner */
#define ANN  "ann@example.test"
#define EVE  "eve@else.test"
#define MAIL 40

/* ---- rows ---------------------------------------------------------------------------------- */

static struct {
	uint64_t modseq;
	bool seen;
} model[STORE_SEEN_CHUNK];

/* Does the row say what the model does?  A modseq may be larger, but not than the newest. */
static bool
row_is_model(const struct buf *row, uint64_t newest, size_t *n)
{
	struct store_seen s;
	struct store_seen_run run;

	if (store_seen_parse(buf_get(row), &s) < 0 || s.head.modseq != newest)
		return false;
	*n = s.n;
	for (uint16_t i = 0; i < STORE_SEEN_CHUNK; i++) {
		bool there = store_seen_find(&s, i, &run);

		if (there != (model[i].modseq != 0))
			return false;
		if (there &&
		    (!run.seen != !model[i].seen || run.modseq < model[i].modseq ||
			run.modseq > newest))
			return false;
	}
	return true;
}

static void
test_rows(void)
{
	struct buf runs = { 0 }, row = { 0 };
	struct store_seen s;
	size_t n = 0, most = 0, damaged = 0, longest = 0;
	bool good = true;

	for (uint64_t modseq = 1; modseq <= 3000 && good; modseq++) {
		struct store_seen_run mark = { .modseq = modseq, .seen = random_below(4) != 0 };

		mark.first = (uint16_t)random_below(STORE_SEEN_CHUNK);
		mark.last = (uint16_t)(mark.first + random_below(modseq % 50 ? 3 : 200));
		if (mark.last >= STORE_SEEN_CHUNK)
			mark.last = STORE_SEEN_CHUNK - 1;
		for (size_t i = mark.first; i <= mark.last; i++) {
			model[i].modseq = modseq;
			model[i].seen = mark.seen;
		}
		store_seen_put(&runs, slice((const char *)&mark, sizeof(mark)));
		buf_clear(&row);
		store_seen_write(&row, (struct store_disk_seen){ .at = 7 }, buf_get(&runs));
		good = row_is_model(&row, modseq, &n);
		most = n > most ? n : most;
		longest = row.n > longest ? row.n : longest;
	}
	ok(good, "what is marked is found, with its modseq or a later one");
	ok(most > STORE_SEEN_FEW && most <= STORE_SEEN_CHUNK, "in as many runs as there may be");
	ok(longest <=
		sizeof(struct store_disk_seen) + STORE_SEEN_FEW * sizeof(struct store_seen_run),
	    "and a row is no longer than of few of them");
	for (size_t i = 0; i < row.n; i += 7) {
		row.p[i] ^= 4;
		damaged += store_seen_parse(buf_get(&row), &s) < 0;
		row.p[i] ^= 4;
	}
	eq((int)damaged, (int)((row.n + 6) / 7), "a flipped bit is found");
	ok(store_seen_parse(slice(row.p, row.n - 1), &s) < 0 &&
		store_seen_parse(slice(row.p, 5), &s) < 0,
	    "and what is cut off");
	/* Every other one, all at once, and then the others one by one, as somebody who wants the index full. */
	buf_clear(&runs);
	memset(model, 0, sizeof(model));
	longest = 0;
	for (uint64_t modseq = 1; modseq <= 2000 && good; modseq++) {
		uint16_t at = (uint16_t)(modseq * 2 % STORE_SEEN_CHUNK + modseq / 512 % 2);
		struct store_seen_run mark = { .modseq = modseq,
			.first = at,
			.last = at,
			.seen = modseq / 1024 == 0 };

		model[at].modseq = modseq;
		model[at].seen = mark.seen;
		store_seen_put(&runs, slice((const char *)&mark, sizeof(mark)));
		buf_clear(&row);
		store_seen_write(&row, (struct store_disk_seen){ .at = 7 }, buf_get(&runs));
		good = row_is_model(&row, modseq, &n) && store_seen_parse(buf_get(&row), &s) == 0;
		/* As the writer does, with what the row says. */
		buf_clear(&runs);
		for (size_t i = 0; i < s.n; i++) {
			struct store_seen_run run = store_seen_at(&s, i);

			buf_add(&runs, &run, sizeof(run));
		}
		longest = row.n > longest ? row.n : longest;
	}
	ok(good, "marks apart from each other are found as well");
	ok(longest <=
		sizeof(struct store_disk_seen) + STORE_SEEN_FEW * sizeof(struct store_seen_run),
	    "in rows that are no longer");
	/* As people read: one after the other. */
	buf_clear(&runs);
	for (uint16_t i = 0; i < STORE_SEEN_CHUNK; i++) {
		struct store_seen_run mark = { .modseq = 100u + i,
			.first = i,
			.last = i,
			.seen = 1 };

		store_seen_put(&runs, slice((const char *)&mark, sizeof(mark)));
	}
	ok(runs.n / sizeof(struct store_seen_run) <= STORE_SEEN_FEW + 1,
	    "what is read in a row takes few runs");
	buf_fini(&runs);
	buf_fini(&row);
}

static void
test_keys(void)
{
	uint8_t key[STORE_SEEN_KEY];
	size_t n = store_seen_key(key, 77, S(ANN), 5);
	struct slice login;
	uint64_t mailbox;
	uint32_t chunk;

	ok(store_seen_key_parse(slice((char *)key, n), &mailbox, &login, &chunk) && mailbox == 77 &&
		chunk == 5 && slice_eq(login, S(ANN)),
	    "a chunk's key");
	n = store_seen_key(key, 77, S(ANN), STORE_SEEN_ALL);
	ok(store_seen_key_parse(slice((char *)key, n), &mailbox, &login, &chunk) &&
		chunk == STORE_SEEN_ALL,
	    "a reader's key");
	ok(store_login_ok(S(ANN)) && !store_login_ok(S("")) && !store_login_ok(S("a\nb")) &&
		!store_login_ok(slice("a\0b", 3)),
	    "a login is a part of a key when it has no control octets");
	ok(!store_seen_key_parse(slice((char *)key, n - 1), &mailbox, &login, &chunk) &&
		!store_seen_key_parse(slice((char *)key, 9), &mailbox, &login, &chunk),
	    "what is none");
}

/* ---- people -------------------------------------------------------------------------------- */

static const struct store_limits none;
static struct store_reader *reader;
static struct store_view *view;
static const char *me = "";
static uint64_t joe, work, anns;

static void
view_open(void)
{
	char path[200], *why = NULL;

	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_reader_open(path, &reader, &why) < 0) {
		printf("# %s\n", why);
		abort();
	}
	view = store_view_new(reader);
}

static void
view_close(void)
{
	store_view_free(&view);
	store_reader_close(&reader);
}

static struct store_person
actor(struct op *op)
{
	(void)op;
	return store_person(slice_str(me));
}

static void
as(const char *who)
{
	me = who;
}

static void
grant(uint64_t box, const char *who, const char *rights)
{
	const char *before = me;
	uint32_t r = 0;

	as(JOE);
	if (!store_rights_parse(slice_str(rights), &r) ||
	    CALL(store_acl_start, box, slice_str(who), STORE_SET, r) != OK)
		abort();
	as(before);
}

static uint64_t
create(const char *name)
{
	return CALL(store_create_start, joe, slice_str(name), STORE_USE_NONE) == OK ? last.mailbox :
										      0;
}

static void
append(uint64_t box, unsigned n, uint16_t flags)
{
	for (unsigned i = 0; i < n; i++) {
		struct store_body body = body_with("mail", 4);
		struct store_message m = { .body = &body, .size = 4, .flags = flags };

		if (CALL(store_append_start, box, &m, 1, none) != OK)
			abort();
	}
}

/* 0, or why not; what was spared is in last. */
static int
mark(uint64_t box, uint32_t from, uint32_t to, enum store_how how, uint16_t flags, uint64_t since)
{
	const struct store_range r = { from, to };
	const struct store_change change = { .how = how,
		.flags = flags,
		.conditional = since != 0,
		.unchangedsince = since };

	return CALL(store_flags_start, box, &r, 1, &change) == OK ? 0 : (int)last.code;
}

static int
annotate(uint64_t box, const char *value)
{
	const struct store_annotation a = { .name = S(STORE_ANNOT_SHAREDSEEN),
		.value = slice_str(value),
		.shared = true,
		.gone = !*value };

	return CALL(store_annotate_start, joe, box, &a, 1) == OK ? 0 : (int)last.code;
}

/* "unseen/first unseen: UIDs that are seen" */
static const char *
sees(uint64_t box, const char *who)
{
	static struct buf b;
	struct store_mailbox m;
	const struct store_record *rec;
	struct store_blocks walk;
	size_t n;

	buf_clear(&b);
	if (store_begin_as(view, slice_str(who)) < 0 || store_get_mailbox(view, box, &m) < 0)
		abort();
	buf_printf(&b, "%u/%u:", store_unseen(view, &m), store_first_unseen(view, &m));
	store_blocks_init(&walk, view, box, 1, UINT32_MAX);
	while ((rec = store_blocks_next(&walk, &n)))
		for (size_t i = 0; i < n; i++) {
			const struct store_record *one = store_get_record(view, box, rec[i].uid);

			if (!one || one->flags != rec[i].flags || one->modseq != rec[i].modseq)
				buf_printf(&b, " twice %u", rec[i].uid);
			if (rec[i].flags & STORE_SEEN)
				buf_printf(&b, " %u", rec[i].uid);
		}
	store_end(view);
	return buf_cstr(&b);
}

static uint64_t
highest(uint64_t box, const char *who)
{
	struct store_mailbox m;

	if (store_begin_as(view, slice_str(who)) < 0 || store_get_mailbox(view, box, &m) < 0)
		abort();
	store_end(view);
	return m.highestmodseq;
}

/* Runs of UIDs that are told as changed, by the log and by the blocks. */
static const char *
changed(uint64_t box, const char *who, uint64_t since)
{
	static struct buf b;
	struct buf ranges = { 0 };
	const struct store_range *r;
	const struct store_record *rec;
	struct store_blocks walk;
	size_t n;

	buf_clear(&b);
	if (store_begin_as(view, slice_str(who)) < 0 ||
	    store_changed_uids(view, box, since, UINT32_MAX - 1, &ranges) < 0)
		abort();
	r = (const void *)ranges.p;
	for (size_t i = 0; i < ranges.n / sizeof(*r); i++)
		buf_printf(&b, "%u:%u ", r[i].first, r[i].last);
	buf_lit(&b, "-");
	store_blocks_init(&walk, view, box, 1, UINT32_MAX);
	walk.since = since;
	walk.parts = STORE_STATES;
	while ((rec = store_blocks_next(&walk, &n)))
		for (size_t i = 0; i < n; i++)
			if (rec[i].modseq > since)
				buf_printf(&b, " %u", rec[i].uid);
	store_end(view);
	buf_fini(&ranges);
	return buf_cstr(&b);
}

/* "login seen" of each reader. */
static const char *
readers(uint64_t box)
{
	static struct buf b;
	struct store_read_by by = { .login = S("") };
	struct store_mailbox m;

	buf_clear(&b);
	if (store_begin(view) < 0 || store_get_mailbox(view, box, &m) < 0)
		abort();
	while (store_reader_next(view, &m, &by))
		buf_printf(&b, SFMT " %u%s, ", SARG(by.login), by.seen,
		    by.at && by.from ? "" : " without a time");
	store_end(view);
	return buf_cstr(&b);
}

/* Of a table; nobody else here may have the index open. */
static size_t
rows_of(const char *table)
{
	char path[200];
	MDB_stat st = { 0 };
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	snprintf(path, sizeof(path), "%s/store/partition/primary/index", dir);
	if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, 30) ||
	    mdb_env_open(env, path, MDB_RDONLY, 0640) ||
	    mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) || mdb_dbi_open(txn, table, 0, &dbi) ||
	    mdb_stat(txn, dbi, &st))
		abort();
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return st.ms_entries;
}

static void
test_apart(void)
{
	uint64_t joes = highest(work, JOE), anns_before = highest(work, ANN);

	as(ANN);
	eq(mark(work, 1, 3, STORE_ADD, STORE_SEEN, 0), 0, "a reader marks messages as seen");
	is(sees(work, ANN), "37/4: 1 2 3", "which he has seen");
	is(sees(work, JOE), "40/1:", "and the owner has not");
	is(sees(work, EVE), "40/1:", "nor another reader");
	is(sees(work, ""), "40/1:", "nor who reads for nobody");
	ok(highest(work, JOE) == joes, "the owner's counter stays");
	ok(highest(work, ANN) > anns_before && last.modseq == highest(work, ANN),
	    "the reader's moves, and is told");
	is(changed(work, ANN, anns_before), "1:3 - 1 2 3", "he is told what has changed");
	is(changed(work, JOE, joes), "-", "the owner that nothing has");
	is(changed(work, EVE, joes), "-", "as another reader");
	as(JOE);
	eq(mark(work, 2, 2, STORE_ADD, STORE_SEEN | STORE_FLAGGED, 0), 0, "the owner marks one");
	is(sees(work, JOE), "39/1: 2", "which he has seen");
	is(sees(work, ANN), "37/4: 1 2 3", "the reader as before");
	is(sees(work, EVE), "40/1:", "another nothing");
	is(changed(work, EVE, joes), "2:2 - 2", "though a flag has changed");
	as(ANN);
	eq(mark(work, 3, 5, STORE_SET, STORE_SEEN, 0), 0, "flags are set to a list");
	is(sees(work, ANN), "35/6: 1 2 3 4 5", "of which one is his own");
	eq(mark(work, 1, MAIL, STORE_REMOVE, STORE_SEEN, 0), 0, "all are unseen again");
	is(sees(work, ANN), "40/1:", "for him");
	is(sees(work, JOE), "39/1: 2", "and for the owner as they were");
	eq(mark(work, 1, 5, STORE_ADD, STORE_SEEN, 0), 0, "five are seen again");
}

static void
test_conditional(void)
{
	uint64_t before = highest(work, ANN);

	as(ANN);
	eq(mark(work, 10, 10, STORE_ADD, STORE_SEEN, before), 0, "UNCHANGEDSINCE");
	eq((int)last.nuids, 0, "spares nothing");
	eq(mark(work, 9, 11, STORE_REMOVE, STORE_SEEN, before), 0, "again, as of before");
	ok(last.nuids == 1 && last_uids[0].first == 10 && last_uids[0].last == 10,
	    "spares what the reader has marked since");
	as(JOE);
	eq(mark(work, 9, 11, STORE_ADD, STORE_ANSWERED, highest(work, JOE)), 0, "the owner");
	eq((int)last.nuids, 0, "is not held up by that");
	eq(mark(work, 9, 11, STORE_REMOVE, STORE_ANSWERED, 0), 0, "which he takes back");
	as(ANN);
	eq(mark(work, 10, 10, STORE_REMOVE, STORE_SEEN, 0), 0, "and so does the reader");
}

static void
test_rights(void)
{
	as(EVE);
	eq(mark(work, 1, 1, STORE_ADD, STORE_SEEN, 0), STORE_FORBIDDEN,
	    "without s nothing is marked");
	is(readers(work), ANN " 5, ", "by nobody else");
	as(ANN);
	eq(annotate(work, "true"), STORE_FORBIDDEN, "without a nobody says whose \\Seen it is");
}

static void
test_copies(void)
{
	const struct store_range five = { 1, 6 };
	uint64_t other;

	as(ANN);
	eq(CALL(store_copy_start, work, &five, 1, anns, none), OK,
	    "a reader copies to his own mailbox");
	is(sees(anns, ANN), "1/6: 1 2 3 4 5", "what he has seen is seen");
	as(JOE);
	other = create("other");
	grant(other, ANN, "lrswite");
	eq(CALL(store_copy_start, work, &five, 1, other, none), OK, "the owner copies");
	is(sees(other, JOE), "5/1: 2", "with his \\Seen");
	is(sees(other, ANN), "6/1:", "of which others have none");
	as(ANN);
	eq(CALL(store_copy_start, anns, &five, 1, other, none), OK,
	    "the reader copies from his own");
	is(sees(other, ANN), "7/1: 7 8 9 10 11", "what he has seen is seen by him");
	is(sees(other, JOE), "11/1: 2", "not by the owner");
	eq(CALL(store_move_start, work, &five, 1, other), OK,
	    "the reader moves within the owner's account");
	is(sees(other, ANN), "8/1: 7 8 9 10 11 13 14 15 16 17", "his go with him");
	is(sees(other, JOE), "16/1: 2 14", "and the owner's with the message");
	is(sees(work, ANN), "34/7:", "which are no longer where they were");
	append(other, 1, STORE_SEEN);
	is(sees(other, ANN), "8/1: 7 8 9 10 11 13 14 15 16 17 19",
	    "who appends what is seen has seen it");
	is(sees(other, JOE), "17/1: 2 14", "alone");
	as(JOE);
	CALL(store_delete_start, joe, S("other"));
}

static void
test_shared(void)
{
	uint64_t before, anns_before;

	as(JOE);
	eq(mark(work, 20, 20, STORE_ADD, STORE_SEEN, 0), 0, "the owner has seen one");
	as(ANN);
	eq(mark(work, 21, 21, STORE_ADD, STORE_SEEN, 0), 0, "the reader another");
	before = highest(work, JOE);
	anns_before = highest(work, ANN);
	as(JOE);
	eq(annotate(work, "perhaps"), STORE_CANNOT, "sharedseen is true or false");
	eq(annotate(work, "true"), 0, "the owner makes \\Seen one for all");
	is(sees(work, ANN), "33/7: 20", "the reader sees the owner's");
	ok(highest(work, ANN) > anns_before, "of which his counter tells");
	is(changed(work, ANN, anns_before),
	    "1:40 - 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 "
	    "34 35 36 37 38 39 40",
	    "for each message");
	ok(highest(work, JOE) == before, "the owner's does not");
	as(ANN);
	eq(mark(work, 22, 22, STORE_ADD, STORE_SEEN, 0), 0, "the reader marks");
	is(sees(work, JOE), "32/7: 20 22", "for all");
	anns_before = highest(work, ANN);
	as(JOE);
	eq(annotate(work, ""), 0, "it is each one's again");
	ok(highest(work, ANN) > anns_before, "of which the reader's counter tells");
	is(changed(work, ANN, anns_before),
	    "1:40 - 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 "
	    "34 35 36 37 38 39 40",
	    "for each message, again");
	is(sees(work, ANN), "33/7: 21", "as it was");
	is(sees(work, JOE), "32/7: 20 22", "for each");
}

/* As storectl puts back what a reader had. */
static int
mark_for(struct slice login, uint16_t flags)
{
	const struct store_range r = { 30, 31 };
	const struct store_change change = { .how = STORE_ADD, .flags = flags };

	return CALL(store_flags_as_start, login, work, &r, 1, &change) == OK ? 0 : (int)last.code;
}

static void
test_named(void)
{
	const struct store_range r = { 30, 31 };
	const struct store_change back = { .how = STORE_REMOVE, .flags = STORE_SEEN };

	as(JOE);
	eq(annotate(work, "true"), 0, "\\Seen is one for all");
	as("");
	eq(mark_for(S(ANN), STORE_SEEN), 0, "a mark in a reader's name");
	is(sees(work, JOE), "32/7: 20 22", "is not for all");
	ok(mark_for(S(ANN), STORE_SEEN | STORE_DELETED) != 0, "nor of other flags");
	ok(mark_for(S("a\nb"), STORE_SEEN) != 0, "nor for what is no login");
	as(JOE);
	eq(annotate(work, ""), 0, "each has his own again");
	is(sees(work, ANN), "31/7: 21 30 31", "and the reader what was marked for him");
	as("");
	eq(CALL(store_flags_as_start, S(ANN), work, &r, 1, &back), OK, "it is taken back");
	is(sees(work, ANN), "33/7: 21", "for him");
}

static void
test_kill(void)
{
	service_stop(SIGKILL);
	service_start();
	service_again();
	is(sees(work, ANN), "33/7: 21", "after a kill as it was");
	is(readers(work), ANN " 1, ", "with who has read");
}

static void
test_damage(void)
{
	uint8_t key[STORE_SEEN_KEY];
	size_t n = store_seen_key(key, work, S(ANN), 0);

	view_close();
	damage("seen", key, n, FLIP, 30);
	eq((int)check().findings, 1, "check tells of a damaged row");
	view_open();
	is(sees(work, ANN), "34/7:", "of which nothing is seen");
	as(ANN);
	eq(mark(work, 23, 23, STORE_ADD, STORE_SEEN, 0), 0, "another mark");
	is(sees(work, ANN), "33/7: 23", "makes it anew");
}

/* A store that says nothing of it had one \Seen for all: what its readers had is of no use now, and they are told. */
static void
test_upgrade(void)
{
	uint64_t joes = highest(work, JOE), anns_before = highest(work, ANN);

	view_close();
	damage("meta", STORE_SHARING, strlen(STORE_SHARING), REMOVE, 0);
	view_open();
	is(sees(work, ANN), "33/7: 23", "each has his own, as it was");
	ok(highest(work, ANN) > anns_before, "the reader's counter moves");
	is(changed(work, ANN, anns_before),
	    "1:40 - 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 "
	    "34 35 36 37 38 39 40",
	    "for each message");
	ok(highest(work, JOE) == joes, "the owner's does not");
	anns_before = highest(work, ANN);
	service_stop(SIGTERM);
	service_start();
	service_again();
	ok(highest(work, ANN) == anns_before, "once");
}

/* So many readers that their rows go in slices, and one kill between. */
static void
test_delete(void)
{
	struct rows r;

	view_close();
	rows_open(&r, "seen");
	for (unsigned i = 0; i < 9000; i++) {
		uint8_t key[STORE_SEEN_KEY];
		struct buf row = { 0 };
		char who[40];

		snprintf(who, sizeof(who), "r%u@example.test", i);
		store_seen_write(&row, (struct store_disk_seen){ .modseq = 1, .at = 1, .from = 1 },
		    S(""));
		rows_put(&r, key, store_seen_key(key, work, slice_str(who), STORE_SEEN_ALL), row.p,
		    row.n);
		buf_fini(&row);
	}
	rows_close(&r);
	as(JOE);
	eq(CALL(store_delete_start, joe, S("work")), OK, "a mailbox with 9,000 readers is deleted");
	service_stop(SIGKILL);
	service_start();
	service_again();
	ok(AWAIT(rows_of("seen") == 0), "nothing is left of what they have seen");
}

int
main(int argc, char **argv)
{
	(void)argc;
	test_rows();
	test_keys();
	service_open(argv[0], "seen", "min_free = 0\n");
	store_client_actors(client, actor);
	CALL(store_account_start, S(ANN), S(""));
	anns = last.mailbox;
	CALL(store_account_start, S(JOE), S(""));
	joe = last.account;
	view_open();
	as(JOE);
	work = create("work");
	append(work, MAIL, 0);
	grant(work, ANN, "lrste");
	grant(work, EVE, "lr");
	test_apart();
	test_conditional();
	test_rights();
	test_copies();
	test_shared();
	test_named();
	test_kill();
	test_damage();
	test_upgrade();
	test_delete();
	service_close();
	return done();
}
