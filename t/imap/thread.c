/* THREAD: message IDs, the trees of RFC 5256's examples, and random mail against the steps of the RFC
 * done one by one, slowly; deep chains, cycles and one ID for all among it. */
#include "../tap.h"
#include "base/mem.h"
#include "imap/thread.h"

/* ---- grammar and message IDs ---------------------------------------------------------------------- */

static void
test_ids(void)
{
	static const struct {
		const char *text, *ids; /* each with a blank behind it */
					/* clang-format off */
	} rows[] = {
		{ "<a@b>", "a@b " },
		{ "", "" },
		{ "a@b", "" },
		{ "<a@b><c@d>\r\n\t<e@f>", "a@b c@d e@f " },
		{ "<\"a\"@b> <\"a b\\\"\"@c>", "a@b a b\"@c " },	/* RFC 5256 3: as without quotes */
		{ "<a @\r\n b>", "a@b " },
		{ "Your mail of <Monday> <a@b> (comment <c@d>)", "a@b " },
		{ "\"<not@this>\" <a@b>", "a@b " },
		{ "(a (b) <c@d> \\) <e@f>) <g@h>", "g@h " },
		{ "<a<b@c>", "b@c " },
		{ "<@b> <a@> <a> <>", "" },
		{ "<a@b", "" },
		{ "<A@b> <a@b>", "A@b a@b " },
		{ "\"", "" }, { "(", "" }, { "\"\\", "" }, { "<\"", "" }, { "<\"\\", "" },
	};
	/* clang-format on */
	struct buf scratch = { 0 }, got = { 0 };
	struct slice id;

	for (size_t i = 0; i < NELEM(rows); i++) {
		struct slice at = slice_str(rows[i].text);

		buf_clear(&got);
		while (imap_thread_id_next(&at, &scratch, &id)) {
			buf_slice(&got, id);
			buf_char(&got, ' ');
		}
		is(buf_cstr(&got), rows[i].ids, "IDs of %s", rows[i].text);
	}
	buf_fini(&scratch);
	buf_fini(&got);
}

static void
test_grammar(void)
{
	static const char *const good[] = { " ORDEREDSUBJECT", " references", " REFS" };
	struct arena a = { 0 };
	enum imap_thread_by by;

	for (size_t i = 0; i < NELEM(good); i++) {
		struct imap_in in = { .s = slice_str(good[i]), .arena = &a };

		ok(imap_thread_parse(&in, &by) && by == (enum imap_thread_by)i, "%s", good[i]);
	}
	for (size_t i = 0; i < 3; i++) {
		static const char *const bad[] = { " JWZ", "REFS", " REFSX" };
		struct imap_in in = { .s = slice_str(bad[i]), .arena = &a };

		ok(!imap_thread_parse(&in, &by) && in.why, "refused: \"%s\"", bad[i]);
	}
	arena_reset(&a);
}

/* ---- mail ------------------------------------------------------------------------------------------- */

static struct imap_threads mail;

/* IDs and subjects are small numbers; 0 is none. */
static void
put(int64_t sent, uint64_t id, uint64_t subject, bool reply, const uint64_t *refs, size_t n)
{
	struct imap_thread_message m = { .sent_at = sent,
		.arrived = sent * 7 % 11,
		.id = id,
		.subject = subject,
		.reply = reply };

	imap_threads_add(&mail, &m);
	for (size_t i = 0; i < n; i++)
		imap_threads_add_ref(&mail, refs[i]);
}

static uint32_t
number(const void *arg, uint32_t i)
{
	(void)arg;
	return i + 1;
}

static bool
never(void)
{
	return false;
}

static void
again(enum imap_thread_by by)
{
	mem_free(&mail.parent);
	mem_free(&mail.first);
	mem_free(&mail.next);
	mail.by = by;
}

/* The text, in pieces. */
static const char *
made(enum imap_thread_by by)
{
	static struct buf all;
	struct buf b = { 0 };

	again(by);
	if (imap_threads_make(&mail, never) != IMAP_THREADS_MADE)
		return "not made";
	buf_clear(&all);
	while (!imap_threads_write(&mail, &b, 5, number, NULL)) {
		buf_slice(&all, buf_get(&b));
		buf_clear(&b);
	}
	buf_slice(&all, buf_get(&b));
	buf_fini(&b);
	return buf_cstr(&all);
}

static void
fresh(void)
{
	imap_threads_fini(&mail);
	mail = (struct imap_threads){ 0 };
}

#define REFS(...) (const uint64_t[]){ __VA_ARGS__ }, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8
#define NOREFS    NULL, 0

static void
test_examples(void)
{
	/* RFC 5256 4: "(2)(3 6 (4 23)(44 7 96))", with 1..8 for 2, 3, 6, 4, 23, 44, 7, 96. */
	fresh();
	put(1, 1, 1, false, NOREFS);
	put(2, 2, 2, false, NOREFS);
	put(3, 3, 2, true, REFS(2));
	put(4, 4, 2, true, REFS(2, 3));
	put(5, 5, 2, true, REFS(2, 3, 4));
	put(6, 6, 2, true, REFS(2, 3));
	put(7, 7, 2, true, REFS(2, 3, 6));
	put(8, 8, 2, true, REFS(2, 3, 6, 7));
	is(made(IMAP_THREAD_REFERENCES), "(1)(2 3 (4 5)(6 7 8))", "RFC 5256 4");
	is(made(IMAP_THREAD_ORDEREDSUBJECT), "(1)(2 (3)(4)(5)(6)(7)(8))", "no grandchildren");
	/* "((3)(5))": the parent is not there. */
	fresh();
	put(1, 1, 0, false, REFS(9));
	put(2, 2, 0, false, REFS(9));
	is(made(IMAP_THREAD_REFERENCES), "((1)(2))",
	    "a parent that is not there holds its children");
	is(made(IMAP_THREAD_REFS), "((1)(2))", "also in REFS");
	fresh();
	put(1, 1, 0, false, REFS(8, 9));
	is(made(IMAP_THREAD_REFERENCES), "(1)", "but not one child alone");
	/* An ID that is there twice is the first one's. */
	fresh();
	put(3, 1, 0, false, NOREFS);
	put(2, 1, 0, false, NOREFS);
	put(1, 2, 0, false, REFS(1));
	is(made(IMAP_THREAD_REFERENCES), "(2)(1 3)", "the lowest sequence number has the ID");
	/* A cycle. */
	fresh();
	put(1, 1, 0, false, REFS(2));
	put(2, 2, 0, false, REFS(1));
	is(made(IMAP_THREAD_REFERENCES), "(2 1)", "no loop");
	fresh();
	put(1, 1, 0, false, REFS(1, 1));
	is(made(IMAP_THREAD_REFERENCES), "(1)", "nobody is his own parent");
	/* Subjects. */
	fresh();
	put(2, 0, 5, false, NOREFS);
	put(1, 0, 5, true, NOREFS);
	is(made(IMAP_THREAD_REFERENCES), "(1 2)", "an answer goes below what is none");
	fresh();
	put(1, 0, 5, false, NOREFS);
	put(2, 0, 5, false, NOREFS);
	put(3, 0, 5, true, NOREFS);
	is(made(IMAP_THREAD_REFERENCES), "((1)(2)(3))", "two of one subject get a parent");
	is(made(IMAP_THREAD_REFS), "(2)(1)(3)", "not in REFS, where the latest arrival is last");
	fresh();
	is(made(IMAP_THREAD_REFERENCES), "", "nothing");
	is(made(IMAP_THREAD_ORDEREDSUBJECT), "", "nothing");
	is(made(IMAP_THREAD_REFS), "", "nothing");
}

/* ---- the RFC's steps, one by one ------------------------------------------------------------------------ */

struct plain {
	int n, nnodes, room; /* nodes 0..n-1 are messages */
	int *parent;         /* -1: the root */
	bool *alive;
	uint64_t *id;
};

static int
plain_node(struct plain *p)
{
	if (p->nnodes == p->room) {
		p->room = p->room * 2 + 64;
		p->parent = mem_grow(p->parent, (size_t)p->room, sizeof(int));
		p->alive = mem_grow(p->alive, (size_t)p->room, sizeof(bool));
		p->id = mem_grow(p->id, (size_t)p->room, sizeof(uint64_t));
	}
	p->parent[p->nnodes] = -1;
	p->alive[p->nnodes] = true;
	p->id[p->nnodes] = 0;
	return p->nnodes++;
}

static void
plain_link(struct plain *p, int parent, int child)
{
	for (int x = parent; x >= 0; x = p->parent[x])
		if (x == child)
			return;
	p->parent[child] = parent;
}

static int
plain_find(struct plain *p, uint64_t id)
{
	int x;

	for (x = 0; x < p->nnodes; x++)
		if (p->id[x] == id)
			return x;
	x = plain_node(p);
	p->id[x] = id;
	return x;
}

static void
plain_links(struct plain *p)
{
	size_t at = 0;

	for (int i = 0; i < p->n; i++) {
		bool mine = mail.m[i].id != 0;

		(void)plain_node(p);
		for (int j = 0; j < i; j++)
			mine = mine && p->id[j] != mail.m[i].id;
		p->id[i] = mine ? mail.m[i].id : 0;
	}
	for (int i = 0; i < p->n; i++) {
		int last = -1;

		for (uint32_t k = 0; k < mail.m[i].nrefs; k++) {
			int x = plain_find(p, mail.refs[at++]);

			if (last >= 0 && p->parent[x] < 0)
				plain_link(p, last, x);
			last = x;
		}
		p->parent[i] = -1;
		if (last >= 0)
			plain_link(p, last, i);
	}
}

static void
plain_prune(struct plain *p)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (int d = p->n; d < p->nnodes; d++) {
			int kids = 0;

			if (!p->alive[d])
				continue;
			for (int x = 0; x < p->nnodes; x++)
				kids += p->alive[x] && p->parent[x] == d;
			if (kids > 1 && p->parent[d] < 0)
				continue;
			for (int x = 0; x < p->nnodes; x++)
				if (p->parent[x] == d)
					p->parent[x] = p->parent[d];
			p->alive[d] = false;
			changed = true;
		}
	}
}

static bool
plain_before(int a, int b)
{
	return mail.m[a].sent_at != mail.m[b].sent_at ? mail.m[a].sent_at < mail.m[b].sent_at :
							a < b;
}

/* The message that a node is sorted by: itself, or the first of its children. */
static int
plain_speaker(const struct plain *p, int x)
{
	int best = -1;

	if (x < p->n)
		return x;
	for (int c = 0; c < p->n; c++)
		if (p->parent[c] == x && (best < 0 || plain_before(c, best)))
			best = c;
	return best;
}

static int64_t
plain_latest(const struct plain *p, int x)
{
	int64_t at = x < p->n ? mail.m[x].arrived : INT64_MIN;

	for (int c = 0; c < p->n; c++)
		if (p->parent[c] == x) {
			int64_t other = plain_latest(p, c);

			at = other > at ? other : at;
		}
	return at;
}

static int
plain_lowest(const struct plain *p, int x)
{
	int low = x < p->n ? x : p->n;

	for (int c = 0; c < p->n; c++)
		if (p->parent[c] == x) {
			int other = plain_lowest(p, c);

			low = other < low ? other : low;
		}
	return low;
}

static const struct plain *sorting;
static bool by_arrival;

static int
plain_compare(const void *pa, const void *pb)
{
	int a = *(const int *)pa, b = *(const int *)pb;

	if (by_arrival) {
		int64_t x = plain_latest(sorting, a), y = plain_latest(sorting, b);

		if (x != y)
			return x < y ? -1 : 1;
		return plain_lowest(sorting, a) < plain_lowest(sorting, b) ? -1 : 1;
	}
	return plain_before(plain_speaker(sorting, a), plain_speaker(sorting, b)) ? -1 : 1;
}

static int
plain_children(const struct plain *p, int x, int *kids, bool arrival)
{
	int n = 0;

	for (int c = 0; c < p->nnodes; c++)
		if (p->alive[c] && p->parent[c] == x)
			kids[n++] = c;
	sorting = p;
	by_arrival = arrival;
	qsort(kids, (size_t)n, sizeof(int), plain_compare);
	return n;
}

static void
plain_subjects(struct plain *p)
{
	int *roots = mem_array((size_t)p->nnodes + 1, sizeof(int));
	int n = plain_children(p, -1, roots, false);
	int *table = mem_array(100, sizeof(int));

	for (int i = 0; i < n; i++) {
		const struct imap_thread_message *m = &mail.m[plain_speaker(p, roots[i])];
		int *have = &table[m->subject];
		int t = *have - 1;

		if (m->subject &&
		    (!*have || (t < p->n && (roots[i] >= p->n || (mail.m[t].reply && !m->reply)))))
			*have = roots[i] + 1;
	}
	for (int i = 0; i < n; i++) {
		int x = roots[i], t;
		const struct imap_thread_message *m = &mail.m[plain_speaker(p, x)];

		if (!m->subject || p->parent[x] >= 0)
			continue;
		t = table[m->subject] - 1;
		if (t == x)
			continue;
		if (x >= p->n && t >= p->n) {
			for (int c = 0; c < p->nnodes; c++)
				if (p->parent[c] == x)
					p->parent[c] = t;
			p->alive[x] = false;
		} else if (t >= p->n || (m->reply && !mail.m[t].reply)) {
			p->parent[x] = t;
		} else {
			int d = plain_node(p);

			p->parent[x] = p->parent[t] = d;
			table[m->subject] = d + 1;
		}
	}
	mem_free(&roots);
	mem_free(&table);
}

static void
plain_write(const struct plain *p, int x, struct buf *b, bool arrival)
{
	int *kids = mem_array((size_t)p->nnodes + 1, sizeof(int));
	int n = plain_children(p, x, kids, arrival);

	if (x >= 0 && x < p->n) {
		buf_u64(b, (uint64_t)x + 1);
		if (n > 0)
			buf_char(b, ' ');
	}
	for (int i = 0; i < n; i++) {
		bool own = x < 0 || n > 1;

		if (own)
			buf_char(b, '(');
		plain_write(p, kids[i], b, false);
		if (own)
			buf_char(b, ')');
	}
	mem_free(&kids);
}

static int
plain_by_subject(const void *pa, const void *pb)
{
	int a = *(const int *)pa, b = *(const int *)pb;

	if (mail.m[a].subject != mail.m[b].subject)
		return mail.m[a].subject < mail.m[b].subject ? -1 : 1;
	return plain_before(a, b) ? -1 : 1;
}

static const char *
plain_made(enum imap_thread_by by)
{
	static struct buf b;
	struct plain p = { .n = (int)mail.n };

	buf_clear(&b);
	if (by == IMAP_THREAD_ORDEREDSUBJECT) {
		int *all = mem_array(mail.n + 1, sizeof(int));

		for (int i = 0; i < p.n; i++)
			all[plain_node(&p)] = i;
		qsort(all, mail.n, sizeof(int), plain_by_subject);
		for (int i = 1, root = 0; i < p.n; i++) {
			if (mail.m[all[i]].subject == mail.m[all[root]].subject)
				p.parent[all[i]] = all[root];
			else
				root = i;
		}
		mem_free(&all);
	} else {
		plain_links(&p);
		plain_prune(&p);
		if (by == IMAP_THREAD_REFERENCES)
			plain_subjects(&p);
	}
	plain_write(&p, -1, &b, by == IMAP_THREAD_REFS);
	mem_free(&p.parent);
	mem_free(&p.alive);
	mem_free(&p.id);
	return buf_cstr(&b);
}

static bool
same(enum imap_thread_by by, const char *what)
{
	const char *want = plain_made(by), *got = made(by);

	if (strcmp(got, want) == 0)
		return true;
	printf("# %s, algorithm %d\n# got  %.300s\n# want %.300s\n", what, (int)by, got, want);
	for (size_t i = 0, at = 0; i < mail.n && mail.n < 20; at += mail.m[i++].nrefs) {
		printf("# %zu: sent %lld id %llu subject %llu%s refs", i + 1,
		    (long long)mail.m[i].sent_at, (unsigned long long)mail.m[i].id,
		    (unsigned long long)mail.m[i].subject, mail.m[i].reply ? " reply" : "");
		for (size_t k = 0; k < mail.m[i].nrefs; k++)
			printf(" %llu", (unsigned long long)mail.refs[at + k]);
		printf("\n");
	}
	return false;
}

static void
test_random(void)
{
	size_t wrong = 0;

	for (int round = 0; round < 20000 && wrong < 3; round++) {
		int n = 1 + rand() % 12, ids = 1 + rand() % 15, subjects = 1 + rand() % 5;

		fresh();
		for (int i = 0; i < n; i++) {
			uint64_t refs[6];
			size_t nrefs = (size_t)(rand() % 3 ? rand() % 3 : rand() % 6);

			for (size_t k = 0; k < nrefs; k++)
				refs[k] = 1 + (uint64_t)rand() % (uint64_t)ids;
			put(rand() % 20, (uint64_t)(rand() % (ids + 1)),
			    (uint64_t)(rand() % subjects), rand() % 2, refs, nrefs);
		}
		for (int by = 0; by < 3; by++)
			wrong += !same((enum imap_thread_by)by, "random");
	}
	eq(wrong, 0, "random mail, as by the steps of the RFC");
}

/* Chains that are tied to at their ends again and again: the budget of walks is spent. */
static void
test_deep(void)
{
	enum { DEEP = 1200, TIED = 600 };
	size_t wrong = 0;

	for (int round = 0; round < 3; round++) {
		fresh();
		for (uint64_t i = 1; i <= DEEP; i++)
			put((int64_t)i, i, 0, false, REFS(i - 1 ? i - 1 : 9999));
		for (uint64_t i = 0; i < TIED; i++) { /* pairs: the second below the first */
			put(5, 2000 + 2 * i, 0, false, NOREFS);
			put(6, 2001 + 2 * i, 0, false, REFS(2000 + 2 * i));
		}
		for (uint64_t i = 0; i < TIED; i++) {
			uint64_t end = round == 0 ? DEEP : 1 + (uint64_t)rand() % DEEP;
			uint64_t to = 2000 + 2 * ((uint64_t)rand() % TIED);

			/* Ties the pair to the chain, its end to itself, and breaks it again. */
			put(7, 0, 0, false, REFS(end, 2000 + 2 * i, 3 + end / 2));
			put(8, round == 2 ? 1 + i : 0, 0, false, REFS(end, to, 1, to + 1));
		}
		wrong += !same(IMAP_THREAD_REFERENCES, "deep");
		wrong += !same(IMAP_THREAD_REFS, "deep");
	}
	eq(wrong, 0, "deep chains and what is tied to them");
}

static unsigned looks, looks_max;

static bool
stops(void)
{
	return ++looks > looks_max;
}

static void
test_bounds(void)
{
	size_t n = 300000;
	enum imap_threads_made m = IMAP_THREADS_MADE;

	/* One chain, from its end to its beginning, every other one without a message, one ID for some. */
	fresh();
	for (uint64_t i = n; i > 0; i--)
		put((int64_t)i, i % 1000 ? 2 * i : 1, i % 7, i % 2,
		    REFS(i > 1 ? 2 * i - 2 : 1, 2 * i - 1));
	for (uint64_t i = 0; i < n / 4; i++)
		put(1, 0, 0, false, REFS(2 * n - 2, 2 * (1 + i * 7919 % n)));
	again(IMAP_THREAD_REFERENCES);
	eq(imap_threads_make(&mail, never), IMAP_THREADS_MADE,
	    "a chain of %zu, and what is tied to it", n);
	for (looks_max = 0; looks_max < 12; looks_max++) {
		looks = 0;
		again(looks_max % 2 ? IMAP_THREAD_REFERENCES : IMAP_THREAD_REFS);
		m = imap_threads_make(&mail, stops);
		if (m != IMAP_THREADS_STOPPED)
			break;
	}
	eq(m, IMAP_THREADS_STOPPED, "stopped wherever it is");
	/* More than may be. */
	fresh();
	put(1, 1, 0, false, NOREFS);
	for (uint64_t i = 0; i <= IMAP_THREAD_MAX_DUMMIES(1); i++)
		imap_threads_add_ref(&mail, 10 + i);
	again(IMAP_THREAD_REFERENCES);
	eq(imap_threads_make(&mail, never), IMAP_THREADS_TOO_MANY, "too many IDs");
	for (uint64_t i = mail.nrefs; i <= IMAP_THREAD_MAX_REFS(1); i++)
		imap_threads_add_ref(&mail, 10);
	again(IMAP_THREAD_REFERENCES);
	eq(imap_threads_make(&mail, never), IMAP_THREADS_TOO_MANY, "too many references");
}

/* REFS of an account that keeps threads. */
static void
test_kept(void)
{
	fresh();
	put(1, 1, 0, false, NOREFS);
	put(2, 2, 0, false, REFS(1));
	put(3, 3, 0, false, REFS(1, 2));
	put(4, 4, 0, false, REFS(1, 2, 3));
	put(5, 5, 0, false, REFS(9));
	put(6, 6, 0, false, REFS(9));
	put(7, 7, 0, false, NOREFS);
	put(8, 8, 0, false, REFS(9));
	for (size_t i = 0; i < mail.n; i++)
		mail.m[i].arrived = (int64_t)i;
	is(made(IMAP_THREAD_REFS), "(1 2 3 4)(7)((5)(6)(8))", "by references");
	for (size_t i = 0; i < mail.n; i++)
		mail.m[i].thread = 10;
	is(made(IMAP_THREAD_REFS), "(1 (2 3 4)(5)(6)(7)(8))", "all of one thread");
	mail.m[2].thread = mail.m[3].thread = 11;
	for (size_t i = 4; i < mail.n; i++)
		mail.m[i].thread = 12;
	is(made(IMAP_THREAD_REFS), "(1 2)(3 4)((5)(6)(7)(8))",
	    "another thread below, and what is joined elsewhere");
	mail.m[4].thread = 13;
	is(made(IMAP_THREAD_REFS), "(1 2)(3 4)(5)(6 (7)(8))", "siblings of two threads");
	mail.m[7].thread = 10;
	is(made(IMAP_THREAD_REFS), "(3 4)(5)(6 7)(1 (2)(8))", "one of them is of a third");
	is(made(IMAP_THREAD_REFERENCES), "(1 2 3 4)((5)(6)(8))(7)", "REFERENCES does not ask");
	fresh();
	put(2, 1, 0, false, REFS(9));
	put(1, 2, 0, false, REFS(9));
	mail.m[0].thread = 1;
	mail.m[1].thread = 2;
	is(made(IMAP_THREAD_REFS), "(1)(2)", "nothing is left of who had none");
}

int
main(void)
{
	srand(3);
	test_ids();
	test_grammar();
	test_examples();
	test_random();
	test_deep();
	test_bounds();
	fresh();
	test_kept();
	return done();
}
