/* What has changed since a state: all of it, whatever happens, or nobody says so. */
#include "../tap.h"
#include "base/mem.h"
#include "pab/changes.h"

#define SECOND 1000000
#define MANY   40

/* A tree as slapd would have it: entries by id, with the times of its clock. */
static struct model {
	struct pab_entry e[MANY];
	size_t n;
	struct pab_gone gone[1000];
	size_t ngone;
	int64_t now;
} m;
static struct arena arena;
static uint64_t seed = 12345;

static uint64_t
dice(uint64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % n;
}

static void
change(struct pab_entry *e)
{
	m.now += (int64_t)dice(3) == 0 ? 40 * SECOND : 100;
	e->changed_us = m.now;
	e->csn = slice_str(arena_printf(&arena, "%lld", (long long)m.now));
}

static void
create(void)
{
	struct pab_entry e = { .kind = PAB_CARD, .content = S("{}") };
	size_t at = m.n;

	e.id = pab_id_new(PAB_CARD, &arena);
	change(&e);
	e.created_us = m.now / SECOND * SECOND;
	while (at && slice_cmp(m.e[at - 1].id, e.id) > 0) {
		m.e[at] = m.e[at - 1];
		at--;
	}
	m.e[at] = e;
	m.n++;
}

static void
take_out(size_t i, bool noted)
{
	const struct pab_listed l = { .gone = m.gone, .ngone = m.ngone };
	const struct pab_entry *e = &m.e[i];
	size_t n;
	struct pab_gone *g = pab_gone_more(&l, &e, 1, &arena, &n);

	if (noted) {
		m.ngone = n < NELEM(m.gone) ? n : NELEM(m.gone);
		memcpy(m.gone, g + (n - m.ngone), m.ngone * sizeof(*g));
	}
	for (m.n--; i < m.n; i++)
		m.e[i] = m.e[i + 1];
	m.now += 100;
}

static struct pab_listed
listed(void)
{
	return (struct pab_listed){ .entries = m.e,
		.n = m.n,
		.gone = m.gone,
		.ngone = m.ngone,
		.csn = S("x"),
		.why = "" };
}

static bool
among(const struct slice *ids, size_t n, struct slice id)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(ids[i], id))
			return true;
	return false;
}

/* A client's picture, taken on by what it is told, is what there is. */
static bool
agrees(const struct model *was, const struct pab_changes *c)
{
	for (size_t i = 0; i < m.n; i++) {
		bool had = false, same = false;

		for (size_t k = 0; k < was->n; k++)
			if (slice_eq(was->e[k].id, m.e[i].id)) {
				had = true;
				same = slice_eq(was->e[k].csn, m.e[i].csn);
			}
		if (!had && !among(c->created, c->ncreated, m.e[i].id))
			return false;
		if (had && !same && !among(c->updated, c->nupdated, m.e[i].id))
			return false;
		if (had && among(c->created, c->ncreated, m.e[i].id))
			return false;
		if (among(c->destroyed, c->ndestroyed, m.e[i].id))
			return false;
	}
	for (size_t k = 0; k < was->n; k++) {
		bool there = false;

		for (size_t i = 0; i < m.n; i++)
			there = there || slice_eq(m.e[i].id, was->e[k].id);
		if (there == among(c->destroyed, c->ndestroyed, was->e[k].id))
			return false;
	}
	return true;
}

static void
step(bool noted)
{
	uint64_t what = dice(m.n < 5 ? 1 : m.n > MANY - 2 ? 2 : 3);

	if (what == 0 && m.n < MANY)
		create();
	else if (what == 1)
		take_out(dice(m.n), noted);
	else
		change(&m.e[dice(m.n)]);
}

static void
test_walk(void)
{
	size_t wrong = 0, lost = 0, told = 0;

	m.now = 1700000000LL * SECOND;
	for (size_t round = 0; round < 3000; round++) {
		struct model *was = mem_new(sizeof(*was));
		struct pab_state since;
		struct pab_changes c;
		struct pab_listed l = listed();

		*was = m;
		pab_state_of(&l, PAB_CARD, &since);
		for (size_t n = dice(6); n; n--)
			step(true);
		l = listed();
		if (!pab_changes_since(&l, PAB_CARD, &since, &arena, &c))
			lost++;
		else if (!agrees(was, &c))
			wrong++;
		else
			told++;
		mem_free(&was);
	}
	ok(wrong == 0, "nothing is told wrongly (%zu)", wrong);
	ok(told > 2900, "and nearly always it is told (%zu, not %zu)", told, lost);
}

static void
test_behind(void)
{
	size_t wrong = 0, lost = 0;

	for (size_t round = 0; round < 500; round++) {
		struct pab_state since;
		struct pab_changes c;
		struct pab_listed l;

		while (m.n < 10)
			create();
		l = listed();
		pab_state_of(&l, PAB_CARD, &since);
		take_out(dice(m.n), false);
		for (size_t n = dice(4); n; n--)
			step(true);
		l = listed();
		if (pab_changes_since(&l, PAB_CARD, &since, &arena, &c))
			wrong++;
		else
			lost++;
	}
	ok(wrong == 0 && lost == 500, "what goes without a note is never passed over (%zu)", wrong);
}

static void
test_words(void)
{
	struct pab_listed l = listed();
	struct pab_state s, t;
	struct buf b = { 0 };

	pab_state_of(&l, PAB_CARD, &s);
	pab_state_write(&b, &s);
	ok(pab_state_parse(buf_get(&b), &t) == 0 && pab_state_eq(&s, &t) && t.at_us == s.at_us &&
		t.gone == s.gone,
	    "a state as text and back");
	ok(pab_state_parse(S(""), &t) < 0 && pab_state_parse(S("1-2-3"), &t) < 0 &&
		pab_state_parse(S("1-2-3-"), &t) < 0 && pab_state_parse(S("1-2-3-4-5"), &t) < 0 &&
		pab_state_parse(S("1-2-3-x"), &t) < 0 &&
		pab_state_parse(S("ffffffffffffffff-2-3-4"), &t) < 0 &&
		pab_state_parse(S("1-2-3-11111111111111111"), &t) < 0,
	    "what is none");
	pab_state_of(&l, PAB_BOOK, &t);
	ok(t.ids == 0 && !pab_state_eq(&s, &t), "of books alone");
	ok(pab_id_ok(S("cabc-1")) && !pab_id_ok(S("")) && !pab_id_ok(S("-a")) &&
		!pab_id_ok(S("a,b")) && !pab_id_ok(S("a+b")),
	    "ids need no quotes");
	buf_fini(&b);
}

int
main(void)
{
	test_walk();
	test_behind();
	test_words();
	arena_reset(&arena);
	return done();
}
