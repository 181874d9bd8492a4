/* Annotations (RFC 5464) as stored keeps and judges them: rows, bounds, who may, what a kill, a recovery from the
 * log alone, a damaged row and an older index leave. */
#include "rows.h"
#include "store/acl.h"
#include "store/annot.h"
#include "store/env.h"
#include "store/recover.h"

#define JOE "joe@example.test" /* the owner */
#define ANN "ann@example.test"

static const char *me = "";
static uint64_t joe, inbox;

static struct store_person
actor(struct op *op)
{
	(void)op;
	return store_person(slice_str(me));
}

/* ---- bytes --------------------------------------------------------------------------------- */

static void
test_names(void)
{
	static const char *const good[] = { "/comment", "/vendor/x.test/a-b_c", "/a" };
	static const char *const bad[] = { "", "/", "comment", "/a/", "/a//b", "/A", "/a*", "/a%",
		"/a b", "/\x7f", "/\xc3\xa4" };
	char name[STORE_ANNOT_NAME_MAX + 1];

	for (size_t i = 0; i < NELEM(good); i++)
		ok(store_annot_name_ok(slice_str(good[i])), "an entry: %s", good[i]);
	for (size_t i = 0; i < NELEM(bad); i++)
		ok(!store_annot_name_ok(slice_str(bad[i])), "none: %s", bad[i]);
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	ok(store_annot_name_ok(slice(name, STORE_ANNOT_NAME_MAX)), "as long as may be");
	ok(!store_annot_name_ok(slice(name, STORE_ANNOT_NAME_MAX + 1)), "too long");
}

static void
test_rows(void)
{
	struct store_annot a = { .value = S("a\0b"), .modseq = 7 }, back;
	uint8_t key[STORE_ANNOT_KEY];
	size_t n = store_annot_key(key, 3, 5, S(JOE), S("/comment"));
	struct slice k = slice((char *)key, n);
	struct buf row = { 0 };

	store_annot_write(&row, &a);
	ok(store_annot_parse(k, buf_get(&row), &back) == 0 && back.account == 3 &&
		back.mailbox == 5 && slice_eq(back.login, S(JOE)) &&
		slice_eq(back.name, S("/comment")) && slice_eq(back.value, S("a\0b")) &&
		back.modseq == 7 && !back.gone,
	    "a row comes back as it went");
	for (size_t i = 0; i < row.n; i++) {
		row.p[i] ^= 0x10;
		if (store_annot_parse(k, buf_get(&row), &back) == 0)
			ok(false, "byte %zu is not looked at", i);
		row.p[i] ^= 0x10;
		if (store_annot_parse(k, slice(row.p, i), &back) == 0)
			ok(false, "%zu bytes are a row", i);
	}
	ok(store_annot_parse(slice(k.p, 17), buf_get(&row), &back) < 0 && !back.account,
	    "a key without an entry");
	buf_clear(&row);
	a.gone = true;
	store_annot_write(&row, &a);
	ok(store_annot_parse(k, buf_get(&row), &back) == 0 && back.gone && back.value.n == 0,
	    "one that is gone has no value");
	buf_fini(&row);
}

/* ---- calls --------------------------------------------------------------------------------- */

static int
set_many(uint64_t box, const struct store_annotation *list, size_t n)
{
	return CALL(store_annotate_start, joe, box, list, n) == OK ? 0 : (int)last.code;
}

static int
set(uint64_t box, const char *name, const char *value, bool shared)
{
	const struct store_annotation e = { .name = slice_str(name),
		.value = value ? slice_str(value) : slice(NULL, 0),
		.shared = shared,
		.gone = !value };

	return set_many(box, &e, 1);
}

/* The value; "-" when there is none, "!" when it is damaged. */
static const char *
get(uint64_t box, const char *login, const char *name)
{
	static char text[200];
	struct store_reader *r;
	struct store_view *v = look(&r);
	struct store_annot a;
	int rc = store_annot_find(v, joe, box, slice_str(login), slice_str(name), &a);

	if (rc == 0)
		slice_cstr(a.value, text, sizeof(text));
	else
		strcpy(text, rc == -ENOENT ? "-" : "!");
	close_look(&r, v);
	return text;
}

static uint64_t
create(const char *name)
{
	return CALL(store_create_start, joe, slice_str(name), STORE_USE_NONE) == OK ? last.mailbox :
										      0;
}

static void
grant(uint64_t box, const char *rights)
{
	const char *before = me;
	uint32_t r;

	if (!store_rights_parse(slice_str(rights), &r))
		abort();
	me = JOE;
	if (CALL(store_acl_start, box, S(ANN), STORE_SET, r) != OK)
		abort();
	me = before;
}

/* ---- tests --------------------------------------------------------------------------------- */

/* Set as it was looked at, or not at all. */
static int
set_unless(const char *name, const char *value, uint64_t since)
{
	const struct store_annotation e = { .name = slice_str(name), .value = slice_str(value) };

	return CALL(store_annotate_unless_start, joe, 0, &e, 1, since) == OK ? 0 : (int)last.code;
}

static void
test_unless(void)
{
	uint64_t before;

	eq(set(0, "/other", "x", false), 0, "an entry");
	before = last.modseq;
	eq(set_unless("/once", "one", before), 0, "another, which was not there");
	eq(set_unless("/once", "two", before), STORE_CANNOT, "is not set by who has not seen it");
	is(get(0, JOE, "/once"), "one", "and stays");
	eq(set_unless("/once", "two", before + 1), 0, "by who has seen it, it is");
	before = last.modseq;
	eq(set(0, "/once", NULL, false), 0, "it is removed");
	eq(set_unless("/once", "three", before), STORE_CANNOT, "which is a change as well");
	eq(set_unless("/once", "three", 0), STORE_CANNOT, "also for who has seen nothing");
	eq(set_unless("/other", "y", last.modseq + 100), 0, "of another entry it is none");
}

static void
test_set(void)
{
	const struct store_annotation two[] = { { .name = S("/a"), .value = S("1") },
		{ .name = S("/b"), .value = S("2"), .shared = true } };
	const struct store_annotation use[] = { { .name = S("/c"), .value = S("1") },
		{ .name = S(STORE_ANNOT_USE), .value = S("\\Nothing") } };
	const struct store_annotation twice[] = { { .name = S("/c"), .value = S("1") },
		{ .name = S("/c"), .value = S("2"), .shared = true },
		{ .name = S("/c"), .value = S("3") } };
	const struct store_annotation uses[] = { { .name = S(STORE_ANNOT_USE), .value = S("x") },
		{ .name = S(STORE_ANNOT_USE), .gone = true } };
	char longest[STORE_ANNOT_NAME_MAX + 2] = "";
	uint64_t modseq;

	me = JOE;
	eq(set_many(inbox, twice, 3), STORE_REFUSED, "an entry twice in a request");
	is(get(inbox, JOE, "/c"), "-", "is none");
	eq(set_many(inbox, uses, 2), STORE_REFUSED, "nor is a use twice");
	eq(set_many(inbox, twice, 2), 0, "for him, and for all: two entries");
	eq(set_many(inbox,
	       (const struct store_annotation[]){ { .name = S("/c"), .gone = true },
		   { .name = S("/c"), .shared = true, .gone = true } },
	       2),
	    0, "which go");
	eq(set_many(inbox, two, 2), 0, "two are set");
	modseq = last.modseq;
	is(get(inbox, JOE, "/a"), "1", "the one for him");
	is(get(inbox, "", "/b"), "2", "the other for all");
	is(get(inbox, ANN, "/a"), "-", "nobody else has it");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	longest[STORE_ANNOT_NAME_MAX] = 0;
	eq(set(inbox, longest, "long", false), 0, "the longest name");
	is(get(inbox, JOE, longest), "long", "is found");
	longest[STORE_ANNOT_NAME_MAX] = 'x';
	is(get(inbox, JOE, longest), "-", "and is not that of a longer one");
	eq(set(inbox, "/a", "1", false), 0, "the same again");
	eq(last.modseq, 0, "changes nothing");
	eq(set(inbox, "/a", NULL, false), 0, "one is removed");
	ok(last.modseq > modseq, "which is a change");
	is(get(inbox, JOE, "/a"), "-", "it is gone");
	eq(set(inbox, "/a", NULL, false), 0, "what is not there is removed");
	eq(last.modseq, 0, "which is none");
	eq(set_many(inbox, use, 2), STORE_CANNOT, "a use that there is not");
	is(get(inbox, JOE, "/c"), "-", "then nothing of the request is done");
	eq(set(inbox, "/empty", "", false), 0, "an empty value");
	is(get(inbox, JOE, "/empty"), "", "is one");
	eq(set(0, "/mine", "of the server", false), 0, "the server's");
	is(get(0, JOE, "/mine"), "of the server", "are his own");
	test_unless();
	eq(set(inbox + 1000000, "/a", "1", false), STORE_NOMAILBOX, "no such mailbox");
	eq(set(inbox, "/A", "1", false), STORE_REFUSED, "no such entry");
}

static void
test_rights(void)
{
	uint64_t box = create("shared");

	me = ANN;
	eq(set(box, "/a", "x", false), STORE_FORBIDDEN, "a stranger");
	eq(set(0, "/a", "x", false), STORE_FORBIDDEN, "nor of the server, for somebody else");
	grant(box, "l");
	eq(set(box, "/a", "x", false), STORE_FORBIDDEN, "l alone is not enough (RFC 5464 3.3)");
	grant(box, "r");
	eq(set(box, "/a", "x", false), STORE_FORBIDDEN, "nor is r without l");
	for (const char *r = "rswip"; *r; r++) {
		char rights[] = { 'l', *r, 0 };

		grant(box, rights);
		eq(set(box, "/a", rights, false), 0, "%s: her own", rights);
		is(get(box, ANN, "/a"), rights, "is set");
		eq(set(box, "/a", rights, true), *r == 'w' ? 0 : STORE_FORBIDDEN, "%s: for all",
		    rights);
	}
	is(get(box, JOE, "/a"), "-", "the owner's is another");
	eq(set(box, STORE_ANNOT_USE, "\\Junk", false), STORE_CANNOT, "a guest gives it no use");
	me = JOE;
	eq(set(box, STORE_ANNOT_USE, "\\Junk", false), STORE_CANNOT, "that another has");
	eq(set(box, STORE_ANNOT_USE, "\\All", false), STORE_CANNOT, "nor one that no folder has");
	CALL(store_delete_start, joe, S("Junk"));
	eq(set(box, STORE_ANNOT_USE, "\\Junk", false), 0, "the owner does");
	eq(mailbox(box).special, STORE_USE_JUNK, "it is the mailbox's");
	eq(set(box, STORE_ANNOT_USE, NULL, false), 0, "and takes it away");
	eq(mailbox(box).special, STORE_USE_NONE, "it has none");
	eq(CALL(store_delete_start, joe, S("shared")), OK, "the mailbox goes");
	is(get(box, ANN, "/a"), "-", "with all that anybody had there");
	is(get(box, "", "/a"), "-", "and what all had");
}

static void
test_bounds(void)
{
	uint64_t box = create("full");
	struct store_annotation list[STORE_ANNOT_REQUEST];
	char names[STORE_ANNOT_REQUEST][12], name[32];
	static char large[STORE_ANNOT_VALUE_MAX + 1];
	int n = 0, boxes = 0;

	me = JOE;
	for (int i = 0; i < STORE_ANNOT_REQUEST; i++) {
		snprintf(names[i], sizeof(names[i]), "/n%d", i);
		list[i] = (struct store_annotation){ .name = slice_str(names[i]), .value = S("v") };
	}
	eq(set_many(box, list, STORE_ANNOT_SET), 0, "as many as a mailbox may have");
	eq(set(box, "/more", "x", false), STORE_LIMIT, "one more");
	eq(set(box, "/n0", "x", false), 0, "another value for one of them");
	eq(set(box, "/more", "x", true), 0, "those that are shared count apart");
	eq(set(box, "/n0", NULL, false), 0, "one goes");
	eq(set(box, "/more", "x", false), 0, "and another comes: what is gone makes room");
	is(get(box, JOE, "/n0"), "-", "it stays gone");
	for (; n < 200 && boxes < 40; boxes++) {
		snprintf(name, sizeof(name), "b%d", boxes);
		if (set_many(create(name), list, STORE_ANNOT_SET) == STORE_LIMIT)
			break;
	}
	ok(boxes >= 17 && boxes < 20, "an account has a bound too: %d mailboxes", boxes);
	eq(CALL(store_delete_start, joe, S("b0")), OK, "a mailbox goes");
	eq(set_many(create("again"), list, STORE_ANNOT_SET), 0, "and there is room");
	for (int i = 0; i < boxes; i++) {
		snprintf(name, sizeof(name), "b%d", i);
		CALL(store_delete_start, joe, slice_str(name));
	}
	CALL(store_delete_start, joe, S("again"));
	CALL(store_delete_start, joe, S("full"));
	memset(large, 'x', sizeof(large) - 1);
	box = create("large");
	for (n = 0; n < 30; n++) {
		snprintf(name, sizeof(name), "/v%d", n);
		if (set(box, name, large, false) == STORE_LIMIT)
			break;
	}
	eq(n, 15, "and a bound of bytes");
	eq(set(box, "/v0", "small", false), 0, "a smaller value for one");
	eq(set(box, "/v99", large, false), 0, "makes room");
	CALL(store_delete_start, joe, S("large"));
	eq(check().findings, 0, "check finds nothing");
}

/* What a guest sets for all is in the share of guests too. */
static void
test_guests_shared(void)
{
	struct store_annotation list[STORE_ANNOT_SET];
	static char large[STORE_ANNOT_VALUE_MAX + 1];
	char names[STORE_ANNOT_SET][12], box[32];
	uint64_t ids[12];
	size_t n = 0;

	for (int i = 0; i < STORE_ANNOT_SET; i++) {
		snprintf(names[i], sizeof(names[i]), "/s%d", i);
		list[i] = (struct store_annotation){ .name = slice_str(names[i]),
			.value = S("v"),
			.shared = true };
	}
	me = JOE;
	for (size_t i = 0; i < NELEM(ids); i++) {
		snprintf(box, sizeof(box), "s%zu", i);
		ids[i] = create(box);
		grant(ids[i], "lrw");
	}
	eq(set_many(ids[11], list, STORE_ANNOT_SET), 0, "the owner sets some for all");
	me = ANN;
	for (size_t i = 0; i < NELEM(ids) - 1; i++)
		n += set_many(ids[i], list, STORE_ANNOT_SET) == 0;
	eq(n, STORE_ANNOT_GUESTS / STORE_ANNOT_SET, "what guests set for all is in their share");
	list[0].value = S("mine");
	eq(set_many(ids[11], list, 1), STORE_LIMIT, "as is what they take over");
	service_stop(SIGKILL);
	service_start();
	service_again();
	eq(set_many(ids[11], list, 1), STORE_LIMIT, "also when it is counted again");
	me = JOE;
	list[0].value = S("the owner's");
	eq(set_many(ids[0], list, 1), 0, "the owner takes one over");
	me = ANN;
	eq(set_many(ids[11], list, 1), 0, "which makes room for one");
	me = JOE;
	for (size_t i = 0; i < NELEM(ids); i++) {
		snprintf(box, sizeof(box), "s%zu", i);
		CALL(store_delete_start, joe, slice_str(box));
	}
	memset(large, 'x', sizeof(large) - 1);
	ids[0] = create("s0");
	grant(ids[0], "lrw");
	me = ANN;
	for (n = 0; n < 20 && set(ids[0], names[n], large, true) == 0; n++)
		;
	eq(n, STORE_ANNOT_GUEST / STORE_ANNOT_VALUE_MAX - 1, "of its bytes, too");
	me = JOE;
	ids[1] = create("s1");
	for (n = 0; n < 20 && set(ids[1], names[n], large, false) == 0; n++)
		;
	ok(n >= 7, "its owner has room for %zu all the same", n);
	CALL(store_delete_start, joe, S("s0"));
	CALL(store_delete_start, joe, S("s1"));
	eq(check().findings, 0, "check finds nothing");
}

static void
test_guests(void)
{
	struct store_annotation list[STORE_ANNOT_REQUEST];
	char names[STORE_ANNOT_REQUEST][12], box[32];
	static char large[STORE_ANNOT_VALUE_MAX + 1];
	uint64_t ids[12];
	size_t n = 0;

	for (int i = 0; i < STORE_ANNOT_REQUEST; i++) {
		snprintf(names[i], sizeof(names[i]), "/n%d", i);
		list[i] = (struct store_annotation){ .name = slice_str(names[i]), .value = S("v") };
	}
	for (size_t i = 0; i < NELEM(ids); i++) {
		me = JOE;
		snprintf(box, sizeof(box), "g%zu", i);
		ids[i] = create(box);
		grant(ids[i], "lr");
		me = ANN;
		n += set_many(ids[i], list, STORE_ANNOT_SET) == 0;
	}
	eq(n, STORE_ANNOT_GUESTS / STORE_ANNOT_SET, "guests have a share of an account");
	me = JOE;
	eq(set_many(ids[0], list, STORE_ANNOT_SET), 0, "its owner has room all the same");
	CALL(store_delete_start, joe, S("g1"));
	memset(large, 'x', sizeof(large) - 1);
	ids[1] = create("g1");
	grant(ids[1], "lr");
	me = ANN;
	for (n = 0; n < 20 && set(ids[1], names[n], large, false) == 0; n++)
		;
	eq(n, STORE_ANNOT_GUEST / STORE_ANNOT_VALUE_MAX - 1, "of its bytes, too");
	eq(set(ids[1], "/n0", "small", false), 0, "a smaller value for one");
	eq(set(ids[1], names[n], large, false), 0, "makes room");
	me = JOE;
	for (n = 0; n < 20 && set(ids[1], names[n], large, false) == 0; n++)
		;
	ok(n >= 7, "its owner has room for %zu all the same", n);
	for (size_t i = 0; i < NELEM(ids); i++) {
		snprintf(box, sizeof(box), "g%zu", i);
		CALL(store_delete_start, joe, slice_str(box));
	}
	test_guests_shared();
}

/* ---- after the worst ----------------------------------------------------------------------- */

static void
on_line(void *arg, const char *line)
{
	(void)arg;
	printf("# %s\n", line);
}

static void
test_kill(void)
{
	char part[150], snapshots[150], command[400];
	struct store_recover r = { .path = part,
		.snapshots = snapshots,
		.map_size = 1 << 30,
		.tell = on_line };
	char *why = NULL;

	snprintf(part, sizeof(part), "%s/store/partition/primary", dir);
	snprintf(snapshots, sizeof(snapshots), "%s/store/snapshot/primary", dir);
	me = JOE;
	for (int i = 0; i < 5; i++) {
		char value[20];

		snprintf(value, sizeof(value), "turn %d", i);
		eq(set(inbox, "/killed", value, true), 0, "it is set");
		service_stop(SIGKILL);
		service_start();
		service_again();
		is(get(inbox, "", "/killed"), value, "a kill takes nothing that was answered");
	}
	service_stop(SIGTERM);
	snprintf(command, sizeof(command), "rm -rf %s/index %s", part, snapshots);
	if (system(command) != 0)
		abort();
	eq(store_recover(&r, &why), 0, "an index from the log alone: %s", why ? why : "");
	service_start();
	service_again();
	is(get(inbox, "", "/killed"), "turn 4", "has the annotations");
	is(get(inbox, JOE, "/a"), "-", "and not those that are gone");
	is(get(0, JOE, "/mine"), "of the server", "and the server's");
	eq(check().findings, 0, "check finds nothing");
}

static void
test_damaged(void)
{
	uint8_t key[STORE_ANNOT_KEY];
	size_t n = store_annot_key(key, joe, inbox, S(""), S("/killed"));
	struct store_annot a = { .value = S("stray") };
	struct buf row = { 0 };
	struct rows r;

	damage("annot", key, n, FLIP, sizeof(struct store_disk_annot));
	is(get(inbox, "", "/killed"), "!", "a damaged row is nobody's value");
	eq(check().findings, 1, "check tells of it");
	eq(set(inbox, "/killed", NULL, true), 0, "it is removed");
	eq(set(inbox, "/killed", "new", true), 0, "and set again");
	is(get(inbox, "", "/killed"), "new", "then it is good");
	eq(check().findings, 0, "and check finds nothing");
	n = store_annot_key(key, joe, inbox + 1000000, S(""), S("/stray"));
	store_annot_write(&row, &a);
	rows_open(&r, "annot");
	rows_put(&r, key, n, row.p, row.n);
	rows_close(&r);
	eq(check().findings, 1,
	    "a row of a mailbox that is not there, as an older program leaves it");
	eq(set(inbox, "/killed", "newer", true), 0, "the account is counted");
	eq(check().findings, 0, "and the row goes");
	buf_fini(&row);
}

/* The index of a program that knew no annotations: the format row has not the table. */
static void
test_older(void)
{
	struct store_reader *reader;
	struct store_view *v;
	struct store_disk_format f;
	struct buf row = { 0 };
	size_t at = sizeof(f), from;
	struct store_disk_table t;
	struct rows r;

	store_format_write(&row, 1, 0);
	memcpy(&f, row.p, sizeof(f));
	for (from = at; from + sizeof(t) <= row.n; from += sizeof(t) + t.name_len) {
		memcpy(&t, row.p + from, sizeof(t));
		if (!slice_eq(slice(row.p + from + sizeof(t), t.name_len), S("annot"))) {
			memmove(row.p + at, row.p + from, sizeof(t) + t.name_len);
			at += sizeof(t) + t.name_len;
		}
	}
	f.ntables--;
	memcpy(row.p, &f, sizeof(f));
	rows_open(&r, "meta");
	rows_put(&r, "format", 6, row.p, at);
	if (mdb_txn_commit(r.txn))
		abort();
	mdb_env_close(r.env);
	v = look(&reader);
	{
		struct store_annot_walk w;
		struct store_annot a;

		store_annot_walk(&w, joe, inbox);
		ok(!store_annot_next(v, &w, &a) &&
			store_annot_find(v, joe, inbox, S(""), S("/killed"), &a) == -ENOENT,
		    "a reader of an older index finds none");
	}
	close_look(&reader, v);
	service_start();
	service_again();
	eq(set(inbox, "/after", "x", true), 0, "stored marks it, and sets one");
	is(get(inbox, "", "/after"), "x", "which readers find");
	buf_fini(&row);
}

int
main(int argc, char **argv)
{
	(void)argc;
	test_names();
	test_rows();
	service_open(argv[0], "annot", "min_free = 0\n");
	store_client_actors(client, actor);
	CALL(store_account_start, S(JOE), S(""));
	joe = last.account;
	inbox = last.mailbox;
	test_set();
	test_rights();
	test_bounds();
	test_guests();
	test_kill();
	test_damaged();
	test_older();
	service_close();
	return done();
}
