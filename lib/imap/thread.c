/* imap/thread.c: the trees of THREAD, RFC 5256 3, and draft-ietf-morg-inthread 4 for REFS.
 *
 * Called by imapd, for many messages on the work pool.  All of it works on the parents of nodes: who
 * is whose child follows from them, by one walk over the messages in the order of their dates, which
 * leaves every set of siblings in order (steps 4 and 6) however deep the trees are: nothing calls
 * itself.  What must stay true: the order of the mailbox decides between equal dates, and a node that
 * stands for no message is only ever right below the root, with two children at least. */
#include "imap/thread-impl.h"

#include "base/mem.h"
#include "imap/radix.h"

bool
imap_thread_parse(struct imap_in *in, enum imap_thread_by *by)
{
	static const struct {
		const char *name;
		enum imap_thread_by by;
		/* clang-format off */
	} algorithms[] = {
		{ "ORDEREDSUBJECT", IMAP_THREAD_ORDEREDSUBJECT },
		{ "REFERENCES",     IMAP_THREAD_REFERENCES },
		{ "REFS",           IMAP_THREAD_REFS },
	};
	/* clang-format on */

	if (!imap_space(in))
		return false;
	for (size_t i = 0; i < NELEM(algorithms); i++)
		if (imap_word(in, algorithms[i].name)) {
			*by = algorithms[i].by;
			return true;
		}
	if (!in->why)
		in->why = "Unknown threading algorithm";
	return false;
}

/* ---- messages ------------------------------------------------------------------------------------ */

void
imap_threads_add(struct imap_threads *t, const struct imap_thread_message *m)
{
	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 256;
		t->m = mem_grow(t->m, t->room, sizeof(*t->m));
	}
	t->m[t->n] = *m;
	t->m[t->n++].nrefs = 0;
}

void
imap_threads_add_ref(struct imap_threads *t, uint64_t id)
{
	if (t->nrefs == t->refs_room) {
		t->refs_room = t->refs_room ? t->refs_room * 2 : 256;
		t->refs = mem_grow(t->refs, t->refs_room, sizeof(*t->refs));
	}
	t->refs[t->nrefs++] = id;
	t->m[t->n - 1].nrefs++;
}

void
imap_threads_fini(struct imap_threads *t)
{
	mem_free(&t->m);
	mem_free(&t->refs);
	mem_free(&t->parent);
	mem_free(&t->first);
	mem_free(&t->next);
}

/* ---- tables ---------------------------------------------------------------------------------------- */

#define TABLE_LEAST 256 /* slots; a power of two */

static void
thread_table_grow(struct imap_thread_table *t)
{
	struct imap_thread_table had = *t;
	size_t room = had.keys ? (had.mask + 1) * 2 : TABLE_LEAST;

	t->keys = mem_array(room, sizeof(*t->keys));
	t->nodes = mem_array(room, sizeof(*t->nodes));
	t->mask = room - 1;
	for (size_t i = 0; had.keys && i <= had.mask; i++) {
		size_t at = had.keys[i] & t->mask;

		if (!had.keys[i])
			continue;
		while (t->keys[at])
			at = (at + 1) & t->mask;
		t->keys[at] = had.keys[i];
		t->nodes[at] = had.nodes[i];
	}
	imap_thread_table_fini(&had);
}

uint32_t *
imap_thread_slot(struct imap_thread_table *t, uint64_t key)
{
	size_t at;

	if (!t->keys || t->n > t->mask / 2)
		thread_table_grow(t);
	for (at = key & t->mask; t->keys[at] && t->keys[at] != key; at = (at + 1) & t->mask)
		;
	t->n += !t->keys[at];
	t->keys[at] = key;
	return &t->nodes[at];
}

void
imap_thread_table_fini(struct imap_thread_table *t)
{
	mem_free(&t->keys);
	mem_free(&t->nodes);
}

/* ---- who is whose child ------------------------------------------------------------------------------ */

struct threading {
	struct imap_threads *t;
	uint32_t *order; /* messages by the date they were sent on, then as in the mailbox */
	uint32_t *last;  /* child of each node */
	uint32_t nnodes;
	bool (*stopped)(void);
};

static uint64_t
thread_unsigned(int64_t v)
{
	return (uint64_t)v ^ UINT64_C(1) << 63;
}

/* `by` of each message decides, or nothing; then the mailbox.  False: stopped. */
static bool
thread_order(struct threading *g)
{
	struct imap_radix_item *a = mem_array(g->t->n + 1, sizeof(*a));
	struct imap_radix_item *spare = mem_array(g->t->n + 1, sizeof(*a));
	bool good;

	for (size_t i = 0; i < g->t->n; i++) {
		a[i].key = thread_unsigned(g->t->m[i].sent_at);
		a[i].row = (uint32_t)i + 1;
	}
	good = imap_radix_sort(a, spare, g->t->n, g->stopped);
	for (size_t i = 0; i < g->t->n; i++)
		g->order[i] = a[i].row;
	mem_free(&a);
	mem_free(&spare);
	return good;
}

static void
thread_append(struct threading *g, uint32_t parent, uint32_t x)
{
	struct imap_threads *t = g->t;

	*(g->last[parent] ? &t->next[g->last[parent]] : &t->first[parent]) = x;
	g->last[parent] = x;
	t->next[x] = 0;
}

/* The children of all, in order: "In the case of a dummy message, sort its children by sent date and
 * then use the first child for the top-level sort." */
static void
thread_children(struct threading *g)
{
	struct imap_threads *t = g->t;

	memset(t->first, 0, g->nnodes * sizeof(*t->first));
	memset(g->last, 0, g->nnodes * sizeof(*g->last));
	for (size_t i = 0; i < t->n; i++) {
		uint32_t x = g->order[i], p = t->parent[x];

		if (p > t->n && !t->first[p])
			thread_append(g, 0, p);
		thread_append(g, p, x);
	}
}

static uint32_t *
thread_more_nodes(uint32_t *a, size_t had, size_t n)
{
	a = mem_grow(a, n, sizeof(*a));
	memset(a + had, 0, (n - had) * sizeof(*a));
	return a;
}

/* Room for `more` nodes that stand for nothing, beside those there are. */
static void
thread_nodes(struct threading *g, size_t more)
{
	struct imap_threads *t = g->t;
	size_t n = g->nnodes + more;

	t->parent = thread_more_nodes(t->parent, t->parent ? g->nnodes : 0, n);
	t->first = thread_more_nodes(t->first, 0, n);
	t->next = thread_more_nodes(t->next, 0, n);
	g->last = thread_more_nodes(g->last, 0, n);
}

/* ---- ORDEREDSUBJECT --------------------------------------------------------------------------------- */

/* The first message of a subject, by date, is the parent of the others. */
static void
thread_ordered_subject(struct threading *g)
{
	struct imap_thread_table subjects = { 0 };
	uint32_t empty = 0;

	for (size_t i = 0; i < g->t->n; i++) {
		uint32_t x = g->order[i];
		uint64_t subject = g->t->m[x - 1].subject;
		uint32_t *first = subject ? imap_thread_slot(&subjects, subject) : &empty;

		if (*first)
			g->t->parent[x] = *first;
		else
			*first = x;
	}
	imap_thread_table_fini(&subjects);
}

/* ---- REFERENCES, step 5 ------------------------------------------------------------------------------- */

/* The message whose subject is the thread's. */
static const struct imap_thread_message *
thread_speaker(const struct imap_threads *t, uint32_t root)
{
	return &t->m[(root > t->n ? t->first[root] : root) - 1];
}

/* 5B: the subject table. */
static void
thread_subjects(const struct imap_threads *t, struct imap_thread_table *subjects)
{
	for (uint32_t x = t->first[0]; x; x = t->next[x]) {
		const struct imap_thread_message *m = thread_speaker(t, x);
		uint32_t *have;

		if (!m->subject)
			continue;
		have = imap_thread_slot(subjects, m->subject);
		if (!*have || (*have <= t->n && (x > t->n || (t->m[*have - 1].reply && !m->reply))))
			*have = x;
	}
}

/* 5C: threads of one subject become one. */
static void
thread_merge(struct threading *g, struct imap_thread_table *subjects)
{
	struct imap_threads *t = g->t;

	for (uint32_t x = t->first[0]; x; x = t->next[x]) {
		const struct imap_thread_message *m = thread_speaker(t, x);
		uint32_t *have;

		if (!m->subject || t->parent[x])
			continue;
		have = imap_thread_slot(subjects, m->subject);
		if (*have == x)
			continue;
		if (x > t->n) { /* then both are dummies: 5B prefers them */
			for (uint32_t c = t->first[x]; c; c = t->next[c])
				t->parent[c] = *have;
		} else if (*have > t->n || (m->reply && !t->m[*have - 1].reply)) {
			t->parent[x] = *have;
		} else {
			uint32_t dummy = g->nnodes++;

			t->parent[x] = t->parent[*have] = dummy;
			*have = dummy;
		}
	}
}

/* ---- REFS ------------------------------------------------------------------------------------------------ */

static uint64_t
thread_of(const struct imap_threads *t, uint32_t x)
{
	return t->m[x - 1].thread;
}

/* Whoever is in another thread than its parent begins one: a subject that has changed.  A parent that stands for no
 * message is in that of its first child. */
static void
thread_cut(struct threading *g, uint64_t *dummies)
{
	struct imap_threads *t = g->t;

	for (size_t i = 0; i < t->n; i++) {
		uint32_t x = g->order[i], p = t->parent[x];
		uint64_t *its = p > t->n ? &dummies[p - t->n - 1] : NULL;

		if (its && !*its)
			*its = thread_of(t, x);
		if (p && thread_of(t, x) != (its ? *its : thread_of(t, p)))
			t->parent[x] = 0;
	}
}

/* The parents of one thread become one, the first by date: what joins them is in another mailbox. */
static void
thread_join(struct threading *g)
{
	struct imap_threads *t = g->t;
	struct imap_thread_table roots = { 0 };

	for (size_t i = 0; i < t->n; i++) {
		uint32_t x = g->order[i], p = t->parent[x], root = p > t->n ? p : x, *first;

		if (!thread_of(t, x) || (p && p <= t->n))
			continue;
		first = imap_thread_slot(&roots, thread_of(t, x));
		if (!*first)
			*first = root;
		else if (*first != root)
			t->parent[x] = *first;
	}
	imap_thread_table_fini(&roots);
}

/* What stands for no message and holds no two together goes. */
static void
thread_drop_dummies(struct threading *g)
{
	struct imap_threads *t = g->t;
	uint32_t *kids = mem_array(g->nnodes, sizeof(*kids));

	for (uint32_t x = 1; x <= t->n; x++)
		kids[t->parent[x]]++;
	for (uint32_t x = 1; x <= t->n; x++)
		if (t->parent[x] > t->n && kids[t->parent[x]] == 1)
			t->parent[x] = 0;
	mem_free(&kids);
}

/* The threads are those that the mailbox's account keeps. */
static void
thread_as_kept(struct threading *g)
{
	uint64_t *dummies = mem_array(g->nnodes - g->t->n, sizeof(*dummies));

	thread_cut(g, dummies);
	thread_join(g);
	thread_drop_dummies(g);
	mem_free(&dummies);
}

/* The root of a thread; shortens the way in `top`, which begins as the parents. */
static uint32_t
thread_top(uint32_t *top, uint32_t x)
{
	uint32_t root = x, next;

	while (top[root])
		root = top[root];
	for (; x != root; x = next) {
		next = top[x];
		top[x] = root;
	}
	return root;
}

/* "... sorts threads by the most recent INTERNALDATE in each thread": the roots' order alone.  Threads
 * whose latest came together are in the order of their first messages in the mailbox. */
static bool
thread_latest(struct threading *g)
{
	struct imap_threads *t = g->t;
	int64_t *latest = mem_array(g->nnodes, sizeof(*latest));
	uint32_t *top = mem_array(g->nnodes, sizeof(*top));
	bool *seen = mem_array(g->nnodes, sizeof(*seen));
	struct imap_radix_item *a = mem_array(t->n + 1, sizeof(*a));
	struct imap_radix_item *spare = mem_array(t->n + 1, sizeof(*a));
	size_t n = 0;
	bool good;

	memcpy(top, t->parent, g->nnodes * sizeof(*top));
	for (uint32_t x = 1; x <= t->n; x++) {
		uint32_t root = thread_top(top, x);

		if (!seen[root])
			a[n++].row = root;
		if (!seen[root] || t->m[x - 1].arrived > latest[root])
			latest[root] = t->m[x - 1].arrived;
		seen[root] = true;
	}
	for (size_t i = 0; i < n; i++)
		a[i].key = thread_unsigned(latest[a[i].row]);
	good = imap_radix_sort(a, spare, n, g->stopped);
	t->first[0] = g->last[0] = 0;
	for (size_t i = 0; i < n; i++)
		thread_append(g, 0, a[i].row);
	mem_free(&latest);
	mem_free(&top);
	mem_free(&seen);
	mem_free(&a);
	mem_free(&spare);
	return good;
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

static enum imap_threads_made
thread_make(struct threading *g)
{
	struct imap_threads *t = g->t;
	struct imap_thread_table subjects = { 0 };
	enum imap_threads_made made;

	if (!thread_order(g))
		return IMAP_THREADS_STOPPED;
	if (t->by == IMAP_THREAD_ORDEREDSUBJECT) {
		thread_nodes(g, 0);
		thread_ordered_subject(g);
		thread_children(g);
		return IMAP_THREADS_MADE;
	}
	made = imap_threads_link(t, &g->nnodes, g->stopped);
	if (made != IMAP_THREADS_MADE)
		return made;
	if (t->by == IMAP_THREAD_REFS)
		thread_as_kept(g);
	/* A new dummy takes two messages at least. */
	thread_nodes(g, t->by == IMAP_THREAD_REFERENCES ? t->n / 2 : 0);
	thread_children(g);
	if (t->by == IMAP_THREAD_REFS)
		return thread_latest(g) ? IMAP_THREADS_MADE : IMAP_THREADS_STOPPED;
	if (g->stopped())
		return IMAP_THREADS_STOPPED;
	thread_subjects(t, &subjects);
	thread_merge(g, &subjects);
	imap_thread_table_fini(&subjects);
	thread_children(g);
	return IMAP_THREADS_MADE;
}

enum imap_threads_made
imap_threads_make(struct imap_threads *t, bool (*stopped)(void))
{
	struct threading g = { .t = t, .nnodes = (uint32_t)t->n + 1, .stopped = stopped };
	enum imap_threads_made made;

	if (t->nrefs > IMAP_THREAD_MAX_REFS(t->n))
		return IMAP_THREADS_TOO_MANY;
	g.order = mem_array(t->n + 1, sizeof(*g.order));
	made = thread_make(&g);
	mem_free(&g.order);
	mem_free(&g.last);
	t->place = IMAP_THREAD_BEGIN;
	return made;
}
