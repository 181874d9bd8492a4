/* Counts that are kept: at each state of a mailbox what a look at all of its records finds, whatever has changed and
 * however little of it was looked at. */
#include "service.h"
#include "store/tally.h"
#include "store/thread.h"

#define JOE   "joe@example.test"
#define STEPS 600

static struct store_reader *reader;
static struct store_view *view;
static const struct store_limits none;
static uint64_t account, inbox, other;
static uint32_t seed = 1;

static uint32_t
dice(uint32_t n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % n;
}

/* A message that answers one of a few, or none. */
static bool
append(uint16_t flags)
{
	struct store_refs refs = { .id = seed | UINT64_C(1) << 40, .subject = 7, .n = 1 };
	struct store_body body = body_with("text", 4);
	struct store_message m = { .body = &body, .size = 4, .flags = flags, .internaldate = 2000 };
	struct buf cache = { 0 };
	bool good;

	refs.ref[0] = 1000 + dice(8);
	store_refs_write(&cache, &refs);
	m.cache = buf_get(&cache);
	good = CALL(store_append_start, inbox, &m, 1, none) == OK;
	buf_fini(&cache);
	return good;
}

static void
flag(uint32_t first, uint32_t to, enum store_how how, uint16_t flags)
{
	struct store_change f = { .how = how, .flags = flags };
	struct store_range r = { first, to };

	CALL(store_flags_start, inbox, &r, 1, &f);
}

/* ---- the model: RFC 8621 2, one record after the other ------------------------------------------- */

static bool
has(uint64_t *set, size_t *n, uint64_t id)
{
	for (size_t i = 0; i < *n; i++)
		if (set[i] == id)
			return true;
	set[(*n)++] = id;
	return false;
}

static struct store_tally_counts
model(uint64_t mailbox)
{
	static uint64_t emails[20000], threads[20000], unread[20000];
	size_t nemails = 0, nthreads = 0, nunread = 0, n;
	struct store_tally_counts c = { 0 };
	const struct store_record *r;
	struct store_blocks b;

	store_blocks_init(&b, view, mailbox, 1, UINT32_MAX);
	while ((r = store_blocks_next(&b, &n)))
		for (size_t i = 0; i < n; i++) {
			bool is_unread = !(r[i].flags & (STORE_SEEN | STORE_DRAFT));

			if (r[i].flags & STORE_DELETED || has(emails, &nemails, r[i].emailid))
				continue;
			c.emails++;
			c.unread += is_unread;
			c.threads += !has(threads, &nthreads, r[i].threadid);
			c.unread_threads += is_unread && !has(unread, &nunread, r[i].threadid);
		}
	return c;
}

static bool
same(struct store_tally *t)
{
	struct store_tally_counts c;
	int rc;

	if (store_refresh(view) < 0)
		return false;
	while ((rc = store_tally_go(t, view, UINT64_MAX)) == 0)
		;
	c = model(t->mailbox);
	if (rc == 1 && memcmp(&c, &t->counts, sizeof(c)) == 0)
		return true;
	printf("# emails %u, unread %u, threads %u, unread ones %u; are %u %u %u %u\n",
	    t->counts.emails, t->counts.unread, t->counts.threads, t->counts.unread_threads,
	    c.emails, c.unread, c.threads, c.unread_threads);
	return false;
}

/* ---- tests ----------------------------------------------------------------------------------------- */

static void
test_one(void)
{
	struct store_range first = { 1, 1 };
	struct store_tally t;

	store_tally_init(&t, inbox);
	ok(same(&t) && t.counts.emails == 0, "an empty mailbox");
	append(0);
	append(STORE_SEEN);
	append(STORE_DRAFT);
	append(STORE_DELETED);
	ok(same(&t) && t.counts.emails == 3 && t.counts.unread == 1, "messages come");
	flag(1, 1, STORE_ADD, STORE_SEEN);
	ok(same(&t) && t.counts.unread == 0, "one is read");
	flag(1, 1, STORE_ADD, STORE_FLAGGED);
	ok(same(&t), "and flagged");
	flag(1, UINT32_MAX, STORE_REMOVE, STORE_SEEN | STORE_DELETED | STORE_DRAFT);
	ok(same(&t) && t.counts.emails == 4 && t.counts.unread == 4, "all are unread");
	CALL(store_expunge_start, inbox, &first, 1, true);
	ok(same(&t) && t.counts.emails == 3, "one goes");
	eq(t.walks, 1, "it was walked over once");
	CALL(store_copy_start, inbox, (&(struct store_range){ 2, 2 }), 1, inbox, none);
	ok(same(&t) && t.counts.emails == 3, "a copy is no other email");
	eq(t.walks, 1, "which is followed");
	flag(5, 5, STORE_ADD, STORE_SEEN);
	ok(same(&t) && t.counts.unread == 3, "as its first message is");
	eq(t.walks, 1, "that too");
	CALL(store_expunge_start, inbox, (&(struct store_range){ 2, 2 }), 1, true);
	ok(same(&t) && t.counts.unread == 2, "that goes: the other counts");
	eq(t.walks, 2, "for which it is walked over");
	CALL(store_create_start, account, S("other"), STORE_USE_NONE);
	other = last.mailbox;
	CALL(store_move_start, inbox, (&(struct store_range){ 1, UINT32_MAX }), 1, other);
	ok(same(&t) && t.counts.emails == 0, "all move away");
	eq(t.walks, 2, "which is followed");
	store_tally_fini(&t);
	store_tally_init(&t, other);
	ok(same(&t) && t.counts.emails == 3, "and are elsewhere");
	store_tally_fini(&t);
	store_tally_init(&t, 12345);
	eq(store_tally_go(&t, view, UINT64_MAX), -ENOENT, "a mailbox that is not there");
	store_tally_fini(&t);
}

static void
step(void)
{
	uint32_t next, uid;
	struct store_range r;
	struct store_mailbox m;

	if (store_refresh(view) < 0 || store_get_mailbox(view, inbox, &m) < 0)
		abort();
	next = m.uidnext;
	store_end(view);
	uid = 1 + dice(next);
	r = (struct store_range){ uid, uid + dice(4) };
	switch (dice(10)) {
	case 0:
	case 1:
	case 2: append((uint16_t)(dice(3) == 0 ? STORE_SEEN : 0)); break;
	case 3: flag(r.first, r.last, STORE_ADD, STORE_SEEN); break;
	case 4: flag(r.first, r.last, STORE_REMOVE, STORE_SEEN | STORE_DRAFT); break;
	case 5: flag(r.first, r.last, STORE_ADD, STORE_DELETED); break;
	case 6: flag(r.first, r.last, STORE_REMOVE, STORE_DELETED); break;
	case 7: CALL(store_expunge_start, inbox, &r, 1, dice(2)); break;
	case 8: CALL(store_copy_start, inbox, &r, 1, inbox, none); break;
	case 9: CALL(store_move_start, inbox, &r, 1, other); break;
	}
}

/* One that looks at each state, one at some, and one that is new each time. */
static void
test_random(void)
{
	struct store_tally each, some, new;
	unsigned wrong = 0;

	store_tally_init(&each, inbox);
	store_tally_init(&some, inbox);
	for (int i = 0; i < STEPS; i++) {
		step();
		wrong += !same(&each);
		if (dice(20) == 0)
			wrong += !same(&some);
		if (i % 50 == 0) {
			store_tally_init(&new, inbox);
			wrong += !same(&new);
			store_tally_fini(&new);
		}
	}
	eq(wrong, 0, "%d changes at random", STEPS);
	ok(each.walks < STEPS / 4, "of which %llu needed a walk", (unsigned long long)each.walks);
	store_tally_fini(&each);
	store_tally_fini(&some);
}

/* A walk of many slices, in each of which something changes. */
static void
test_slices(void)
{
	struct store_tally t;
	int slices = 1, rc;

	for (int i = 0; i < 200; i++)
		append(0);
	store_tally_init(&t, inbox);
	(void)!store_refresh(view);
	while ((rc = store_tally_go(&t, view, 0)) == 0 && slices++ < 1000) {
		store_end(view);
		if (slices < 8)
			step();
		(void)!store_refresh(view);
	}
	eq(rc, 1, "a walk ends");
	ok(slices > 5 && same(&t), "in %d slices", slices);
	service_stop(SIGKILL);
	service_start();
	service_again();
	append(0);
	ok(same(&t), "a kill changes nothing");
	store_tally_fini(&t);
}

int
main(int argc, char **argv)
{
	char *why = NULL;

	(void)argc;
	service_open(argv[0], "tally", "min_free = 0\n");
	CALL(store_account_start, S(JOE), S(""));
	account = last.account;
	inbox = last.mailbox;
	if (store_reader_open(last_path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
	test_one();
	test_random();
	test_slices();
	store_view_free(&view);
	store_reader_close(&reader);
	service_close();
	return done();
}
