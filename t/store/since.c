/* What changed since a state: an account is changed at random, its pictures are kept, and what store/since.h says of
 * any two of them must be their difference; also to a client that takes it in small parts. */
#include <errno.h>

#include "base/clock.h"
#include "service.h"
#include "store/since.h"
#include "store/thread.h"

#define STEPS 260
#define MOST  400 /* emails, threads, mailboxes in a picture */

static const struct store_limits none;
static struct store_reader *reader;
static struct store_view *view;
static uint64_t account, inbox;
static unsigned seed = 4711;

static unsigned
below(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* What there is, and a sum of what is to be told when it changes. */
struct thing {
	uint64_t id, sum;
};
struct picture {
	uint64_t modseq;
	struct thing emails[MOST], threads[MOST], boxes[MOST];
	size_t nemails, nthreads, nboxes;
};
static struct picture pictures[STEPS + 1];

static struct thing *
thing(struct thing *list, size_t *n, uint64_t id)
{
	for (size_t i = 0; i < *n; i++)
		if (list[i].id == id)
			return &list[i];
	if (*n == MOST)
		abort();
	list[*n] = (struct thing){ id, 1 };
	return &list[(*n)++];
}

static uint64_t
mix(uint64_t a, uint64_t b)
{
	return (a * UINT64_C(0x9e3779b97f4a7c15) ^ b) * UINT64_C(0xff51afd7ed558ccd);
}

static void
picture_take(struct picture *p)
{
	struct store_boxes boxes;
	struct store_account a;

	*p = (struct picture){ 0 };
	if (store_refresh(view) < 0 || store_find_account(view, S("joe@example.test"), &a) < 0)
		abort();
	p->modseq = a.modseq;
	store_boxes_load(view, account, &boxes);
	for (size_t i = 0; i < boxes.n; i++) {
		const struct store_record *rec;
		struct store_mailbox m;
		struct store_blocks b;
		struct thing *t;
		size_t n;

		if (store_get_mailbox(view, boxes.ids[i], &m) < 0)
			abort();
		t = thing(p->boxes, &p->nboxes, m.objectid);
		t->sum = mix(m.name.n + (uint64_t)(unsigned char)m.name.p[m.name.n - 1] * 1000,
		    m.exists * UINT64_C(1000) + m.unseen);
		store_blocks_init(&b, view, boxes.ids[i], 1, UINT32_MAX);
		while ((rec = store_blocks_next(&b, &n)))
			for (size_t k = 0; k < n; k++) {
				uint64_t email = rec[k].emailid, thread = rec[k].threadid;
				size_t had = p->nemails;

				thing(p->emails, &p->nemails, email)->sum +=
				    mix(boxes.ids[i], rec[k].flags + 1u);
				if (p->nemails > had)
					thing(p->threads, &p->nthreads, thread)->sum +=
					    mix(email, 7);
			}
	}
	store_boxes_fini(&boxes);
}

/* ---- changes --------------------------------------------------------------------------------- */

static uint64_t folders[40];
static size_t nfolders;
static int made;

/* With these as Message-ID and reference; "": none. */
static void
append_plain(uint64_t mailbox, const char *id, const char *ref)
{
	struct store_body b = body_with("text", 4);
	struct store_refs refs = { .subject = 1 };
	struct buf cache = { 0 };
	struct store_message m = { .body = &b, .size = 4 };

	if (*id)
		refs.id = store_ref_hash(slice_str(id));
	if (*ref)
		store_refs_add(&refs, store_ref_hash(slice_str(ref)));
	buf_str(&cache, "digest");
	store_refs_write(&cache, &refs);
	m.cache = buf_get(&cache);
	CALL(store_append_start, mailbox, &m, 1, none);
	buf_fini(&cache);
}

static void
append(uint64_t mailbox)
{
	char id[20], ref[20] = "";
	static unsigned number;

	snprintf(id, sizeof(id), "m%u", number);
	if (number && below(3))
		snprintf(ref, sizeof(ref), "m%u", number - 1 - below(number < 30 ? number : 30));
	number++;
	append_plain(mailbox, id, ref);
}

static struct store_range
some_uids(uint64_t mailbox)
{
	struct store_mailbox m = { .uidnext = 2 };
	struct store_range r;

	(void)!store_refresh(view);
	if (store_get_mailbox(view, mailbox, &m) < 0 || m.uidnext < 2)
		return (struct store_range){ 1, 1 };
	r.first = 1 + below(m.uidnext - 1);
	r.last = r.first + below(4);
	return r;
}

static void
change(void)
{
	size_t i = below((unsigned)nfolders);
	uint64_t box = folders[i], other = folders[below((unsigned)nfolders)];
	struct store_range uids = some_uids(box);
	struct store_change f = { .how = below(2) ? STORE_ADD : STORE_REMOVE,
		.flags = below(2) ? STORE_SEEN : STORE_FLAGGED };
	char name[20], to[20];

	switch (below(12)) {
	case 0:
	case 1: CALL(store_flags_start, box, &uids, 1, &f); break;
	case 2: CALL(store_copy_start, box, &uids, 1, other, none); break;
	case 3:
	case 4: CALL(store_move_start, box, &uids, 1, other); break;
	case 5: CALL(store_expunge_start, box, &uids, 1, true); break;
	case 6:
		if (nfolders == NELEM(folders))
			break;
		snprintf(name, sizeof(name), "f%d", made++);
		CALL(store_create_start, account, slice_str(name), STORE_USE_NONE);
		folders[nfolders++] = last.mailbox;
		break;
	case 7:
		if (i == 0 || below(2))
			break;
		(void)!store_refresh(view);
		for (int n = 0; n < made; n++) {
			uint64_t id;

			snprintf(name, sizeof(name), "f%d", n);
			if (store_find_mailbox(view, account, slice_str(name), &id) < 0 ||
			    id != box)
				continue;
			if (below(3) == 0) {
				snprintf(to, sizeof(to), "f%d", made++);
				CALL(store_rename_start, account, slice_str(name), slice_str(to));
				return;
			}
			CALL(store_delete_start, account, slice_str(name));
			folders[i] = folders[--nfolders];
			return;
		}
		break;
	default: append(box);
	}
}

/* ---- looking --------------------------------------------------------------------------------- */

static struct store_since now;

static bool
look_since(uint64_t since, uint64_t until, int *slices)
{
	static struct store_boxes boxes;
	int rc;

	store_boxes_fini(&boxes);
	store_since_fini(&now);
	(void)!store_refresh(view);
	store_boxes_load(view, account, &boxes);
	rc = store_since_begin(&now, view, S("joe@example.test"), &boxes, since);
	*slices = 1;
	while (rc == 0 && !store_since_go(&now, view, until)) {
		++*slices;
		(void)!store_refresh(view);
	}
	return rc == 0;
}

static const struct thing *
has(const struct thing *list, size_t n, uint64_t id)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].id == id)
			return &list[i];
	return NULL;
}

/* Is what was told the difference of the two? */
static bool
differ(const struct buf *told, const struct thing *old, size_t nold, const struct thing *new,
    size_t nnew, const char *what)
{
	const struct store_since_change *c = (const void *)told->p;
	size_t n = told->n / sizeof(*c), created = 0, destroyed = 0;

	for (size_t i = 0; i < n; i++) {
		const struct thing *was = has(old, nold, c[i].id), *is = has(new, nnew, c[i].id);

		if ((c[i].what == STORE_SINCE_CREATED) != (is && !was) ||
		    (c[i].what == STORE_SINCE_DESTROYED) != (was && !is) || (!was && !is)) {
			printf("# %s %llx is told as %d: was %d, is %d\n", what,
			    (unsigned long long)c[i].id, c[i].what, !!was, !!is);
			return false;
		}
		created += !was;
		destroyed += !is;
		for (size_t k = 0; k < i; k++)
			if (c[k].id == c[i].id)
				return false;
	}
	for (size_t i = 0; i < nnew; i++) {
		const struct thing *was = has(old, nold, new[i].id);
		bool found = was && was->sum == new[i].sum;

		created -= !was;
		for (size_t k = 0; k < n && !found; k++)
			found = c[k].id == new[i].id;
		if (!found) {
			printf("# %s %llx has changed and nobody says so\n", what,
			    (unsigned long long)new[i].id);
			return false;
		}
	}
	for (size_t i = 0; i < nold; i++)
		destroyed -= !has(new, nnew, old[i].id);
	return created == 0 && destroyed == 0;
}

static void
test_pairs(const struct picture *new)
{
	int good = 0, slices = 0, all = 0;

	for (int i = 0; i < STEPS; i += 3) {
		const struct picture *old = &pictures[i];

		all++;
		good += look_since(old->modseq, i % 2 ? 0 : UINT64_MAX, &slices) &&
		    now.modseq == new->modseq &&
		    !now.unknown &&differ(&now.emails, old->emails, old->nemails, new->emails,
			new->nemails, "email") &&
		    differ(&now.threads, old->threads, old->nthreads, new->threads, new->nthreads,
			"thread") &&
		    differ(&now.mailboxes, old->boxes, old->nboxes, new->boxes, new->nboxes,
			"mailbox");
	}
	eq(good, all, "what is told is the difference, from each state that was");
	look_since(pictures[0].modseq, 0, &slices);
	ok(slices > 10, "in %d slices, if there is no time", slices);
	look_since(new->modseq, UINT64_MAX, &slices);
	ok(now.emails.n + now.threads.n + now.mailboxes.n == 0, "nothing since now");
	ok(!look_since(new->modseq + 1, UINT64_MAX, &slices), "a state that has not been");
}

/* A client that takes some at a time knows all in the end, and nothing more: the emails. */
static void
test_parts(const struct picture *new)
{
	struct picture *known = &pictures[STEPS / 4];
	uint64_t state = known->modseq;
	int slices, rounds = 0;

	while (state < new->modseq && rounds++ < 1000 && look_since(state, UINT64_MAX, &slices)) {
		const struct store_since_change *c = (const void *)now.emails.p;
		size_t n = now.emails.n / sizeof(*c), take = n < 5 ? n : 5;

		while (take < n && c[take].modseq == c[take - 1].modseq)
			take++;
		for (size_t i = 0; i < take; i++) {
			if (c[i].what != STORE_SINCE_DESTROYED) {
				(void)thing(known->emails, &known->nemails, c[i].id);
				continue;
			}
			for (size_t k = 0; k < known->nemails; k++)
				if (known->emails[k].id == c[i].id)
					known->emails[k] = known->emails[--known->nemails];
		}
		state = take < n ? c[take - 1].modseq : now.modseq;
	}
	ok(rounds > 5, "in %d parts", rounds);
	eq(known->nemails, new->nemails, "a client knows as many emails as there are");
	for (size_t i = 0; i < new->nemails; i++)
		if (!has(known->emails, known->nemails, new->emails[i].id))
			ok(false, "email %zu", i);
}

/* ---- what happens while it is looked ---------------------------------------------------------- */

static struct store_boxes seen_boxes;

static void
look_begin(uint64_t since)
{
	store_boxes_fini(&seen_boxes);
	store_since_fini(&now);
	(void)!store_refresh(view);
	store_boxes_load(view, account, &seen_boxes);
	if (store_since_begin(&now, view, S("joe@example.test"), &seen_boxes, since) < 0)
		abort();
}

/* One slice after the other until `stage`, or the end.  The most bytes of emails that it had. */
static size_t
look_on(int stage)
{
	size_t most = 0;
	bool over = false;

	while (!over && (int)now.stage != stage) {
		(void)!store_refresh(view);
		over = store_since_go(&now, view, 0);
		most = now.met.b.n > most ? now.met.b.n : most;
	}
	return most;
}

/* What it tells of an id, or -1. */
static int
told(const struct buf *list, uint64_t id)
{
	const struct store_since_change *c = (const void *)list->p;

	for (size_t i = 0; i < list->n / sizeof(*c); i++)
		if (c[i].id == id)
			return c[i].what;
	return -1;
}

static uint64_t
modseq_now(void)
{
	struct store_account a;

	if (store_refresh(view) < 0 || store_find_account(view, S("joe@example.test"), &a) < 0)
		abort();
	return a.modseq;
}

static struct store_record
newest(uint64_t mailbox)
{
	struct store_mailbox m;
	const struct store_record *rec;

	if (store_refresh(view) < 0 || store_get_mailbox(view, mailbox, &m) < 0 ||
	    !(rec = store_get_record(view, mailbox, m.uidnext - 1)))
		abort();
	return *rec;
}

static uint64_t
folder(const char *name)
{
	CALL(store_create_start, account, slice_str(name), STORE_USE_NONE);
	return last.mailbox;
}

static void
test_meanwhile(void)
{
	uint64_t other = folder("other"), made_then, since = modseq_now();
	struct store_record rec;
	struct store_range uid;

	append_plain(inbox, "first of its thread", "");
	rec = newest(inbox);
	uid = (struct store_range){ rec.uid, rec.uid };
	for (int i = 0; i < 200; i++) /* so that it takes more than one slice */
		append_plain(inbox, "", "");
	look_begin(since);
	look_on(SINCE_CAME);
	CALL(store_copy_start, inbox, &uid, 1, other, none);
	append_plain(other, "second of its thread", "first of its thread");
	look_on(SINCE_OVER);
	eq(told(&now.emails, rec.emailid), STORE_SINCE_CREATED,
	    "it is new, though copied meanwhile");
	eq(told(&now.threads, rec.threadid), STORE_SINCE_CREATED,
	    "and so is its thread, though another came");

	since = modseq_now();
	CALL(store_move_start, inbox, &uid, 1, other);
	uid.first = 1;
	uid.last = UINT32_MAX;
	for (int i = 0; i < 200; i++)
		append_plain(inbox, "", "");
	look_begin(since);
	look_on(SINCE_CAME);
	made_then = folder("made meanwhile");
	CALL(store_move_start, other, &uid, 1, made_then);
	look_on(SINCE_OVER);
	eq(told(&now.emails, rec.emailid), STORE_SINCE_UPDATED,
	    "it is there, though moved meanwhile to where nothing was");
}

static void
test_marked(void)
{
	struct store_change f = { .how = STORE_ADD, .flags = STORE_DELETED };
	struct store_range uid;
	struct store_record rec, new;
	uint64_t since;

	append_plain(inbox, "", "");
	rec = newest(inbox);
	uid = (struct store_range){ rec.uid, rec.uid };
	since = modseq_now();
	CALL(store_flags_start, inbox, &uid, 1, &f);
	append_plain(inbox, "", "");
	new = newest(inbox);
	uid = (struct store_range){ new.uid, new.uid };
	CALL(store_flags_start, inbox, &uid, 1, &f);
	look_begin(since);
	look_on(SINCE_OVER);
	eq(told(&now.emails, rec.emailid), STORE_SINCE_DESTROYED,
	    "what is marked as deleted is gone");
	eq(told(&now.threads, rec.threadid), STORE_SINCE_DESTROYED, "and its thread");
	eq(told(&now.emails, new.emailid), -1, "what is new and marked has never been there");
}

/* A mailbox that comes back from another life of its account: states of that are none here. */
static void
test_restored(void)
{
	struct store_body b = body_with("text", 4);
	struct store_message m = { .body = &b, .size = 4, .cache = S("digest"), .uid = 7 };
	struct store_restoring r = { .mailbox = folder("restored"), .modseq = modseq_now() + 100 };
	struct buf gone = { 0 };
	int slices;

	CALL(store_restore_start, &r, &m, 1);
	eq(newest(r.mailbox).uid, 7, "a message is restored");
	ok(!look_since(r.modseq - 1, UINT64_MAX, &slices) &&
		!look_since(r.modseq, UINT64_MAX, &slices),
	    "what has changed since another life is not known");
	eq(store_vanished(view, r.mailbox, r.modseq - 1, &gone), -ENOENT, "nor what is expunged");
	eq(store_vanished(view, r.mailbox, r.modseq, &gone), 0, "but since its end");
	ok(look_since(modseq_now(), UINT64_MAX, &slices), "and from now on");
	buf_fini(&gone);
}

/* However often a thousand messages are flagged and moved, they are a thousand. */
static void
test_often(void)
{
	uint64_t a = folder("here"), b = folder("there"), since;
	struct store_range all = { 1, UINT32_MAX };
	size_t most;

	for (int i = 0; i < 200; i++)
		append_plain(a, "", "");
	since = modseq_now();
	for (int i = 0; i < 40; i++) {
		struct store_change f = { .how = i % 2 ? STORE_REMOVE : STORE_ADD,
			.flags = STORE_SEEN };

		CALL(store_flags_start, a, &all, 1, &f);
		CALL(store_move_start, i % 2 ? b : a, &all, 1, i % 2 ? a : b);
	}
	look_begin(since);
	most = look_on(SINCE_OVER);
	eq(now.emails.n / sizeof(struct store_since_change), 200, "200 emails moved 40 times");
	ok(most < 120000, "are not kept for each time: %zu bytes", most);
}

int
main(int argc, char **argv)
{
	char path[300], *why = NULL;

	(void)argc;
	log_init("since", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0]))
		return done();
	service_prepare("map_size = 1G\nmin_free = 0\ncleanup_age = 1h\n");
	service_start();
	loop_init(&loop);
	snprintf(path, sizeof(path), "%s/stored.sock", dir);
	client = store_client_new(&loop, path, "test");
	CALL(store_account_start, S("joe@example.test"), S(""));
	account = last.account;
	folders[nfolders++] = inbox = last.mailbox;
	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	if (store_reader_open(path, &reader, &why) < 0)
		abort();
	view = store_view_new(reader);
	for (int i = 0; i < STEPS; i++) {
		picture_take(&pictures[i]);
		change();
	}
	picture_take(&pictures[STEPS]);
	printf("# %zu emails in %zu threads and %zu mailboxes\n", pictures[STEPS].nemails,
	    pictures[STEPS].nthreads, pictures[STEPS].nboxes);
	test_pairs(&pictures[STEPS]);
	test_parts(&pictures[STEPS]);
	test_meanwhile();
	test_marked();
	test_often();
	test_restored();
	store_boxes_fini(&seen_boxes);
	store_since_fini(&now);
	store_view_free(&view);
	store_reader_close(&reader);
	store_client_free(&client, NULL, NULL);
	loop_fini(&loop);
	service_remove();
	return done();
}
