/* Threads of an account: who joins which, in whatever order mail comes, for two accounts that have the same mail,
 * over a kill, and within bounds; and what readers make of them. */
#include <time.h>

#include "base/clock.h"
#include "service.h"
#include "store/check.h"
#include "store/read-thread.h"
#include "store/thread.h"

static const struct store_limits none;
static struct store_reader *reader;
static struct store_view *view;
static uint64_t account, inbox, sent, trash;

/* ---- mail ------------------------------------------------------------------------------------ */

/* A digest as far as the store reads it: "id subject ref ref". */
static struct slice
digest(struct buf *b, const char *text)
{
	struct store_refs refs = { 0 };
	struct slice rest = slice_str(text);

	for (int i = 0; rest.n; i++) {
		size_t n = slice_find(rest, ' ');
		struct slice word = slice_sub(rest, 0, n);
		uint64_t hash = slice_eq(word, S("-")) ? 0 : store_ref_hash(word);

		rest = slice_from(rest, n < rest.n ? n + 1 : n);
		if (i == 0)
			refs.id = hash;
		else if (i == 1)
			refs.subject = hash;
		else
			store_refs_add(&refs, hash);
	}
	buf_clear(b);
	buf_str(b, "digest");
	store_refs_write(b, &refs);
	return buf_get(b);
}

static const struct store_record *
record(uint64_t mailbox, uint32_t uid)
{
	static struct store_record none_such;
	const struct store_record *r;

	(void)!store_refresh(view);
	r = store_get_record(view, mailbox, uid);
	return r ? r : &none_such;
}

static struct store_record
append_at(uint64_t mailbox, const char *text, int64_t at)
{
	struct store_body b = body_with(text, strlen(text));
	struct buf cache = { 0 };
	struct store_message m = { .body = &b,
		.size = (uint32_t)strlen(text),
		.cache = digest(&cache, text),
		.internaldate = at };
	uint32_t uid = CALL(store_append_start, mailbox, &m, 1, none) == OK ? last.uid : 0;

	buf_fini(&cache);
	return *record(mailbox, uid);
}

static struct store_record
append(uint64_t mailbox, const char *text)
{
	return append_at(mailbox, text, 1000);
}

/* The UID in each of two accounts. */
static bool
deliver(const char *text, const char *one, const char *two)
{
	struct store_body b = body_with(text, strlen(text));
	struct buf cache = { 0 };
	struct store_message m = { .body = &b,
		.size = (uint32_t)strlen(text),
		.cache = digest(&cache, text) };
	struct store_target t[2] = { { .account = slice_str(one) }, { .account = slice_str(two) } };
	bool good = CALL(store_deliver_start, &m, t, *two ? 2 : 1) == OK;

	buf_fini(&cache);
	return good;
}

/* ---- who joins whom -------------------------------------------------------------------------- */

static void
test_joining(void)
{
	struct store_record a = append(inbox, "a s"), b = append(inbox, "b s a"), c, d, e;

	ok(a.threadid == a.emailid && a.threadid, "a message of no conversation is its own thread");
	ok(b.threadid == a.threadid && b.emailid != a.emailid, "an answer joins it");
	c = append(sent, "c s a b");
	eq(c.threadid, a.threadid, "in another folder too");
	ok(append(inbox, "d other a").threadid != a.threadid, "not with another subject");
	ok(append(inbox, "e - a").threadid != a.threadid, "nor with none");
	ok(append(inbox, "x s").threadid != a.threadid, "the same subject alone says nothing");

	c = append(inbox, "r2 u r1 r0");
	d = append(sent, "r3 u r1");
	ok(c.threadid == c.emailid && d.threadid == c.threadid,
	    "answers to what has not come are together");
	e = append(inbox, "r0 u");
	eq(e.threadid, c.threadid, "what they answer joins them when it comes");
	eq(append(inbox, "r1 u").threadid, c.threadid, "and it needs no word of them");

	a = append(inbox, "old v");
	b = append(inbox, "young v");
	c = append(inbox, "both v young old");
	ok(a.threadid != b.threadid && c.threadid == a.threadid,
	    "who would join two goes to the older");
	eq(record(inbox, b.uid)->threadid, b.threadid, "and the younger stays what it was");
	eq(append(inbox, "z v young").threadid, b.threadid, "for its own answers too");

	a = append(inbox, "- n old");
	ok(a.threadid == a.emailid, "no id, no thread to join: alone");
	a = append(inbox, "- v old");
	eq(a.threadid, record(inbox, c.uid)->threadid, "one without an id joins");
	a = append(inbox, "twin w");
	b = append(inbox, "twin w");
	ok(a.emailid != b.emailid && a.threadid == b.threadid, "two with one id are together");
	b = append(inbox, "twin w2");
	ok(b.threadid == b.emailid, "not when they are about two things");
	eq(append(inbox, "after w twin").threadid, a.threadid, "and the id stays the first one's");
	a = append(inbox, "q2 mine q1");
	b = append(inbox, "q1 theirs");
	ok(b.threadid == b.emailid && append(inbox, "q3 theirs q1").threadid == b.threadid,
	    "an id that was only wanted is its message's when that comes");
}

/* ---- accounts -------------------------------------------------------------------------------- */

static void
test_accounts(void)
{
	static const char *const joe = "joe@example.test", *const ann = "ann@example.test";
	struct store_range one = { 1, 1 };
	struct store_boxes joes, anns;
	uint64_t a, b, ann_inbox, joe_thread, ann_thread, copied;

	ok(deliver("m1 both", joe, ""), "a message for one");
	a = last_results[0].uid;
	ok(deliver("m2 both m1", joe, ann), "the answer for two");
	b = last_results[0].uid;
	ann_inbox = last_results[1].mailbox;
	joe_thread = record(inbox, (uint32_t)b)->threadid;
	eq(joe_thread, record(inbox, (uint32_t)a)->emailid, "who has what it answers has a thread");
	ann_thread = record(ann_inbox, 1)->threadid;
	eq(ann_thread, record(ann_inbox, 1)->emailid, "who has it not has another");
	ok(deliver("m3 both m1", joe, ann) &&
		record(inbox, last_results[0].uid)->threadid == joe_thread &&
		record(ann_inbox, 2)->threadid == ann_thread,
	    "one more goes to both");

	CALL(store_account_start, S("ann@example.test"), S(""));
	(void)!store_refresh(view);
	store_boxes_load(view, account, &joes);
	store_boxes_load(view, last.account, &anns);
	ok(store_email_thread(view, &joes, record(inbox, (uint32_t)b)->emailid) == joe_thread &&
		store_email_thread(view, &anns, record(ann_inbox, 1)->emailid) == ann_thread &&
		store_email_thread(view, &anns, record(inbox, (uint32_t)a)->emailid) == 0,
	    "readers see what each account has");
	store_boxes_fini(&joes);
	store_boxes_fini(&anns);

	/* Joe's m1 comes to Ann by COPY: a thread of hers, by what she has. */
	one.first = one.last = (uint32_t)a;
	CALL(store_copy_start, inbox, &one, 1, ann_inbox, none);
	copied = last_to[0].first;
	eq(record(ann_inbox, (uint32_t)copied)->threadid, ann_thread, "a copy joins Ann's thread");
	CALL(store_copy_start, inbox, &one, 1, ann_inbox, none);
	eq(record(ann_inbox, last_to[0].first)->threadid, ann_thread, "a second one has the same");
	CALL(store_copy_start, inbox, &one, 1, trash, none);
	eq(record(trash, last_to[0].first)->threadid, joe_thread, "within an account it stays");
	one.first = one.last = (uint32_t)b;
	CALL(store_move_start, inbox, &one, 1, trash);
	eq(record(trash, last_to[0].first)->threadid, joe_thread, "MOVE leaves it too");
	deliver("m1 both", joe, ann);
	one.first = one.last = last_results[0].uid;
	for (int i = 0; i < STORE_THREAD_MOST; i++)
		CALL(store_copy_start, inbox, &one, 1, ann_inbox, none);
	eq(record(ann_inbox, last_to[0].first)->threadid, ann_thread,
	    "a twin's copies, ever so many");
}

/* ---- over a kill ----------------------------------------------------------------------------- */

static void
view_again(void)
{
	char path[300], *why = NULL;

	store_view_free(&view);
	store_reader_close(&reader);
	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_reader_open(path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
}

static void
test_kill(void)
{
	struct store_record a = append(inbox, "k1 kill k0");

	service_stop(SIGKILL);
	service_start();
	service_again();
	view_again();
	eq(record(inbox, a.uid)->threadid, a.threadid, "a kill takes nothing");
	eq(append(inbox, "k2 kill k1").threadid, a.threadid, "an answer finds it afterwards");
	eq(append(inbox, "k0 kill").threadid, a.threadid, "and so does what was missing");
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static size_t
rows_of(uint64_t threadid)
{
	uint64_t id = 0;
	size_t n = 0;

	(void)!store_refresh(view);
	while (store_thread_next(view, account, threadid, &id))
		n++;
	return n;
}

static void
test_long(void)
{
	enum { STEP = 50, ALL = STORE_THREAD_MOST + 2 * STEP };
	struct store_body bodies[STEP];
	struct store_message m[STEP];
	struct buf caches[STEP] = { { 0 } };
	uint64_t first = append(inbox, "root long").threadid, second = 0, box;
	size_t in_first = 1, in_second = 0, others = 0;
	struct store_boxes boxes;
	struct buf emails = { 0 };

	CALL(store_create_start, account, S("Long"), STORE_USE_NONE);
	box = last.mailbox;
	for (int n = 0; n < ALL; n += STEP) {
		for (int i = 0; i < STEP; i++) {
			char text[60];

			snprintf(text, sizeof(text), "l%d long root l%d", n + i, n + i - 1);
			bodies[i] = body_with(text, strlen(text));
			m[i] = (struct store_message){ .body = &bodies[i],
				.size = (uint32_t)strlen(text),
				.cache = digest(&caches[i], text) };
		}
		CALL(store_append_start, box, m, STEP, none);
	}
	for (uint32_t uid = 1; uid <= ALL; uid++) {
		uint64_t t = record(box, uid)->threadid;

		if (t == first)
			in_first++;
		else if (t == second || !second) {
			second = t;
			in_second++;
		} else
			others++;
	}
	eq(in_first, STORE_THREAD_MOST, "a thread has so many");
	eq(in_second, ALL + 1 - STORE_THREAD_MOST, "the others are one more thread");
	eq(others, 0, "all of them");
	eq(append(inbox, "late long root").threadid, second, "also who names only the first");
	eq(rows_of(first), STORE_THREAD_MOST, "so many rows");
	(void)!store_refresh(view);
	store_boxes_load(view, account, &boxes);
	store_thread_emails(view, &boxes, first, &emails);
	eq(emails.n / sizeof(struct store_thread_email), STORE_THREAD_MOST,
	    "which all can be read");
	store_boxes_fini(&boxes);
	buf_fini(&emails);
	for (int i = 0; i < STEP; i++)
		buf_fini(&caches[i]);
}

/* Of many references that have not come, those that lead to the others are waited for. */
static void
test_wanted(void)
{
	struct buf b = { 0 };
	uint64_t thread;

	buf_lit(&b, "wm wanted");
	for (int i = 1; i <= STORE_REFS; i++)
		buf_printf(&b, " w%d", i);
	thread = append(inbox, buf_cstr(&b)).threadid;
	buf_fini(&b);
	ok(append(inbox, "w7 wanted").threadid != thread, "not any of many");
	eq(append(inbox, "w1 wanted").threadid, thread, "the first one");
	eq(append(inbox, "w20 wanted").threadid, thread, "the last one");
	eq(append(inbox, "w18 wanted").threadid, thread, "and the third last");
	ok(append(inbox, "w17 wanted").threadid != thread, "not the fourth last");
	eq(append(inbox, "w9 wanted w1 w8").threadid, thread, "the others by what they answer");
}

static void
test_refs(void)
{
	struct store_refs r = { 0 }, back;
	struct buf b = { 0 };

	for (uint64_t i = 1; i <= 1000; i++)
		store_refs_add(&r, i);
	ok(r.n == STORE_REFS && r.ref[0] == 1 && r.ref[1] == 1000 - STORE_REFS + 2 &&
		r.ref[STORE_REFS - 1] == 1000,
	    "of a thousand references the first and the last count");
	buf_str(&b, "digest");
	store_refs_write(&b, &r);
	ok(store_refs_read(buf_get(&b), &back) && memcmp(&r, &back, sizeof(r)) == 0,
	    "they are read as they were written");
	ok(!store_refs_read(slice_sub(buf_get(&b), 0, b.n - 1), &back) &&
		!store_refs_read(slice_from(buf_get(&b), 7), &back) &&
		!store_refs_read(slice(NULL, 0), &back),
	    "cut off they are none");
	buf_fini(&b);
}

/* ---- readers --------------------------------------------------------------------------------- */

static void
test_reading(void)
{
	struct store_record a, b, c;
	struct store_boxes boxes;
	struct buf emails = { 0 };
	struct store_thread_email e[3];
	struct store_range gone;

	a = append_at(inbox, "o1 order", 3000);
	b = append_at(sent, "o2 order o1", 2000);
	c = append_at(trash, "o3 order o2 o1", 4000);
	(void)!store_refresh(view);
	store_boxes_load(view, account, &boxes);
	store_thread_emails(view, &boxes, a.threadid, &emails);
	eq(emails.n, sizeof(e), "a thread over three folders");
	if (emails.n == sizeof(e)) {
		memcpy(e, emails.p, sizeof(e));
		ok(e[0].emailid == b.emailid && e[1].emailid == a.emailid &&
			e[2].emailid == c.emailid && e[0].internaldate == 2000,
		    "the oldest first");
	}
	gone = (struct store_range){ a.uid, a.uid };
	CALL(store_expunge_start, inbox, &gone, 1, true);
	(void)!store_refresh(view);
	buf_clear(&emails);
	store_thread_emails(view, &boxes, a.threadid, &emails);
	eq(emails.n, 2 * sizeof(e[0]), "what is expunged is not in it");
	eq(append(inbox, "o4 order o1").threadid, a.threadid, "but still leads to it");
	store_thread_emails(view, &boxes, 12345, &emails);
	eq(emails.n, 2 * sizeof(e[0]), "a thread that nobody has");
	buf_fini(&emails);
	store_boxes_fini(&boxes);
}

static struct store_thread_totals
totals(uint64_t mailbox, uint64_t until, int *slices)
{
	struct store_thread_totals t = { 0 };
	struct store_thread_counts c;
	struct store_boxes boxes;

	(void)!store_refresh(view);
	store_boxes_load(view, account, &boxes);
	store_thread_counts_init(&c, &boxes, trash);
	*slices = 1;
	while (!store_thread_counts_go(&c, view, until)) {
		++*slices;
		(void)!store_refresh(view);
	}
	for (size_t i = 0; i < boxes.n; i++)
		if (boxes.ids[i] == mailbox)
			t = c.totals[i];
	store_thread_counts_fini(&c);
	store_boxes_fini(&boxes);
	return t;
}

static void
test_counts(void)
{
	struct store_change seen = { .how = STORE_SET, .flags = STORE_SEEN };
	struct store_range all = { 1, UINT32_MAX };
	struct store_thread_totals t;
	uint64_t one, two;
	int slices;

	CALL(store_create_start, account, S("One"), STORE_USE_NONE);
	one = last.mailbox;
	CALL(store_create_start, account, S("Two"), STORE_USE_NONE);
	two = last.mailbox;
	append(one, "c1 count");
	append(one, "c2 count c1");
	append(one, "c3 else");
	for (int i = 0; i < 40; i++)
		append(one, "same same");
	CALL(store_flags_start, one, &all, 1, &seen);
	t = totals(one, UINT64_MAX, &slices);
	ok(t.total == 3 && t.unread == 0, "three threads, all of them read");
	append(two, "c4 count c1");
	t = totals(one, UINT64_MAX, &slices);
	ok(t.total == 3 && t.unread == 1, "an answer in another folder makes one unread");
	append(trash, "c5 else c3");
	t = totals(one, UINT64_MAX, &slices);
	eq(t.unread, 1, "one in the trash does not");
	t = totals(two, 0, &slices);
	ok(slices > 10 && t.total == 1 && t.unread == 1, "in slices it is the same");
}

/* ---- what goes ------------------------------------------------------------------------------- */

static void
test_trim(void)
{
	struct store_range gone;
	struct store_record a, b;
	char text[40];

	service_stop(SIGTERM);
	write_file("stored.conf", "map_size = 1G\nmin_free = 0\ncleanup_age = 0\n");
	service_start();
	service_again();
	view_again();
	a = append(inbox, "t1 trim");
	b = append(inbox, "t2 trim t1");
	eq(rows_of(a.threadid), 2, "a thread of two");
	gone = (struct store_range){ b.uid, b.uid };
	CALL(store_expunge_start, inbox, &gone, 1, true);
	for (int i = 0; i < 100 * SERVICE_PATIENCE && rows_of(a.threadid) > 1; i++) {
		snprintf(text, sizeof(text), "p%d p", i);
		append(inbox, text);
	}
	eq(rows_of(a.threadid), 1, "the row of what the purge took goes when more mail comes");
	eq(append(inbox, "t3 trim t2").threadid, a.threadid, "an answer to it is not lost");
}

/* Mail of a maker of digests that says nothing of what it refers to. */
static uint32_t
append_old(uint64_t mailbox)
{
	struct store_body b = body_with("old", 3);
	struct store_message m = { .body = &b, .size = 3, .cache = S("digest") };

	return CALL(store_append_start, mailbox, &m, 1, none) == OK ? last.uid : 0;
}

static uint32_t
rethread(uint64_t mailbox, uint32_t first, uint32_t to)
{
	struct buf caches[40] = { { 0 } };
	struct store_message m[40] = { { 0 } };
	size_t n = 0;
	char text[40];

	for (uint32_t uid = first; uid <= to; uid++, n++) {
		snprintf(text, sizeof(text), "h%u hist h%u", uid, uid / 2);
		m[n].uid = uid;
		m[n].cache = digest(&caches[n], text);
		m[n].cache = slice_from(m[n].cache, sizeof("digest") - 1);
	}
	CALL(store_rethread_start, mailbox, m, n);
	for (size_t i = 0; i < n; i++)
		buf_fini(&caches[i]);
	return last.uid;
}

static void
test_rethread(void)
{
	struct store_range copied = { 40, 40 };
	struct store_account a;
	uint64_t box, first, modseq;
	size_t joined = 0;

	CALL(store_create_start, account, S("Old"), STORE_USE_NONE);
	box = last.mailbox;
	for (int i = 0; i < 75; i++)
		append_old(box);
	CALL(store_copy_start, box, &copied, 1, inbox, none);
	first = record(box, 1)->threadid;
	ok(first == record(box, 1)->emailid &&
		record(box, 40)->threadid == record(box, 40)->emailid,
	    "mail of before is alone");
	modseq = record(box, 40)->modseq;
	eq(rethread(box, 1, 38), 37, "all but the first are in another thread then");
	eq(rethread(box, 39, 75), 37, "also those that lie in the mailbox's record");
	for (uint32_t uid = 1; uid <= 75; uid++)
		joined += record(box, uid)->threadid == first;
	eq(joined, 75, "they are one thread");
	eq(record(box, 40)->modseq, modseq, "nothing else of them has changed");
	eq(rethread(box, 30, 60), 0, "once more it is as it was");
	{
		struct buf b = { 0 };
		struct store_message m = { 0 };
		uint32_t uid = 0;

		for (uint32_t at = 1; !uid && at < 2000; at++)
			if (record(inbox, at)->emailid == record(box, 40)->emailid)
				uid = at;
		m.uid = uid;
		m.cache = slice_from(digest(&b, "h40 hist h20"), sizeof("digest") - 1);
		CALL(store_rethread_start, inbox, &m, 1);
		ok(uid && record(inbox, uid)->threadid == first, "a copy is in its thread");
		buf_fini(&b);
	}
	CALL(store_rethread_start, inbox, NULL, 0);
	(void)!store_refresh(view);
	ok(store_find_account(view, S("joe@example.test"), &a) == 0 && a.changes_from == a.modseq &&
		a.threads_at,
	    "in the end, who knows an older state begins anew");
}

static void
test_erased(void)
{
	struct store_boxes boxes;
	uint64_t id = 0;

	ok(deliver("e1 erase", "tmp@example.test", "") &&
		deliver("e2 erase e1", "tmp@example.test", ""),
	    "an account");
	id = record(last_results[0].mailbox, 1)->threadid;
	CALL(store_account_start, S("tmp@example.test"), S(""));
	(void)!store_refresh(view);
	store_boxes_load(view, last.account, &boxes);
	ok(boxes.n > 0 && id, "with a thread");
	CALL(store_erase_start, last.account, S("tmp@example.test"), false);
	(void)!store_refresh(view);
	{
		uint64_t email = id;

		ok(!store_thread_next(view, boxes.account, id, &email), "its rows go with it");
	}
	store_boxes_fini(&boxes);
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
	char path[300], *why = NULL;

	(void)argc;
	log_init("thread", LOG_TO_STDERR, LOG_ERROR);
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
	view_again();
	(void)!store_refresh(view);
	if (store_find_mailbox(view, account, S("Sent"), &sent) < 0 ||
	    store_find_mailbox(view, account, S("Trash"), &trash) < 0)
		abort();
	test_refs();
	test_joining();
	test_wanted();
	test_accounts();
	test_kill();
	test_long();
	test_reading();
	test_counts();
	test_erased();
	test_rethread();
	test_trim();
	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	eq(store_check_partition(path, slice(NULL, 0), &check, &why), 0, "checked");
	eq(check.findings, 0, "and all agrees");
	store_view_free(&view);
	store_reader_close(&reader);
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_remove();
	return done();
}
