/* glob-match.c: a text against a compiled pattern: see glob.h.
 *
 * Called for each entry that an index could not rule out.  The search is a stack of frames (element,
 * octet): an element of fixed effect leads to one next frame; a `many` leads to "one more character"
 * and "enough", the greedy one in that order, the lazy one in the other.  Where a frame has failed it
 * would fail again, as nothing that it depends on lies behind it; a bit for each (element, octet) says
 * so, and bounds the work by their number.  `$n*` does look behind, so patterns with it remember
 * nothing and are bounded by the steps of the look-up.  What fails is only that: the steps are used up.
 * Must stay true: fields are set when an element is entered and left, and each way that succeeds enters
 * and leaves all of them last, so that what stands in the table at the end is the way that succeeded. */
#include "base/mem.h"
#include "mta/glob-impl.h"

struct frame {
	uint32_t e, at;
	uint8_t tried; /* ways that have been taken */
};

struct match {
	const struct mta_glob *g;
	struct slice text;
	struct mta_work *w;
	struct frame *stack;
	size_t depth, room;
	uint8_t *memo; /* NULL: nothing is remembered */
	uint32_t from[MTA_FIELDS_MAX], to[MTA_FIELDS_MAX];
};

void
mta_work_init(struct mta_work *w)
{
	*w = (struct mta_work){ .steps = MTA_STEPS_MAX };
}

void
mta_work_fini(struct mta_work *w)
{
	buf_fini(&w->stack);
	buf_fini(&w->memo);
}

static bool
class_has(const struct mta_elem *e, char c)
{
	unsigned char u = (unsigned char)c;

	return e->kind == MTA_ELEM_ANY || (e->set[u / 32] >> u % 32 & 1);
}

/* Octets of the numeric address that begins here, and whether it is of the network. */
static size_t
net_match(const struct mta_elem *e, struct slice rest)
{
	const char *chars = e->nbytes == 4 ? "0123456789." : "0123456789abcdefABCDEF:.";
	unsigned char bytes[16];
	size_t n = 0;

	while (n < rest.n && n < 46 && rest.p[n] && strchr(chars, rest.p[n]))
		n++;
	if (n == 0 || mta_glob_address(slice_sub(rest, 0, n), bytes) != e->nbytes)
		return 0;
	for (unsigned i = 0; i < e->nbytes && i * 8 < e->bits; i++) {
		unsigned keep = e->bits >= (i + 1) * 8 ? 8 : e->bits - i * 8;

		if ((bytes[i] & (0xff00u >> keep) & 0xff) != e->bytes[i])
			return 0;
	}
	return n;
}

/* Where an element of fixed effect ends, or SIZE_MAX when it does not match here. */
static size_t
match_step_over(struct match *m, const struct mta_elem *e, size_t at)
{
	struct slice rest = slice_from(m->text, at), want;
	size_t n;

	switch (e->kind) {
	case MTA_ELEM_LIT: want = e->lit; break;
	case MTA_ELEM_REF:
		want = e->ref < MTA_FIELDS_MAX ?
		    slice_sub(m->text, m->from[e->ref], m->to[e->ref] - m->from[e->ref]) :
		    S("");
		break;
	case MTA_ELEM_NET: n = net_match(e, rest); return n ? at + n : SIZE_MAX;
	case MTA_ELEM_ANY:
	case MTA_ELEM_CLASS:
	default: return rest.n && class_has(e, rest.p[0]) ? at + 1 : SIZE_MAX;
	}
	m->w->steps -= m->w->steps < want.n / 16 ? m->w->steps : want.n / 16;
	return slice_istarts(rest, want) ? at + want.n : SIZE_MAX;
}

/* One more frame, unless it is known to fail.  On entering a new element its field begins. */
static bool
match_push(struct match *m, uint32_t e, size_t at, bool entered)
{
	size_t bit = (size_t)e * (m->text.n + 1) + at;

	if (m->memo && (m->memo[bit / 8] >> bit % 8 & 1))
		return false;
	if (entered && e < m->g->n) {
		int field = m->g->elems[e].field;

		if (field >= 0 && field < MTA_FIELDS_MAX)
			m->from[field] = (uint32_t)at;
	}
	m->stack[m->depth++] = (struct frame){ e, (uint32_t)at, 0 };
	return true;
}

static bool
match_leave(struct match *m, const struct frame *f, size_t at)
{
	int field = m->g->elems[f->e].field;

	if (field >= 0 && field < MTA_FIELDS_MAX)
		m->to[field] = (uint32_t)at;
	return match_push(m, f->e + 1, at, true);
}

/* The next way of the topmost frame; false when all have been tried. */
static bool
match_advance(struct match *m)
{
	struct frame *f = &m->stack[m->depth - 1];
	const struct mta_elem *e = &m->g->elems[f->e];
	size_t at;

	if (!e->many) {
		if (f->tried++)
			return false;
		at = match_step_over(m, e, f->at);
		return at != SIZE_MAX && match_leave(m, f, at);
	}
	while (f->tried < 2) {
		bool more = (f->tried++ == 0) != e->lazy;

		if (!more) {
			if (match_leave(m, f, f->at))
				return true;
		} else if (f->at < m->text.n && class_has(e, m->text.p[f->at]) &&
		    match_push(m, f->e, f->at + 1, false)) {
			return true;
		}
	}
	return false;
}

static void
match_pop(struct match *m)
{
	const struct frame *f = &m->stack[--m->depth];
	size_t bit = (size_t)f->e * (m->text.n + 1) + f->at;

	if (m->memo)
		m->memo[bit / 8] |= (uint8_t)(1u << bit % 8);
}

static enum mta_match
match_search(struct match *m)
{
	match_push(m, 0, 0, true);
	while (m->depth) {
		struct frame *f = &m->stack[m->depth - 1];

		if (m->w->steps == 0)
			return MTA_GLOB_LONG;
		m->w->steps--;
		if (f->e == m->g->n) {
			if (f->at == m->text.n)
				return MTA_GLOB_YES;
			match_pop(m);
		} else if (!match_advance(m)) {
			match_pop(m);
		}
	}
	return MTA_GLOB_NO;
}

/* Scratch for (elements + octets) frames and elements x octets bits. */
static void
match_scratch(struct match *m)
{
	size_t frames = m->g->n + m->text.n + 2;
	size_t bits = (m->g->n + 1) * (m->text.n + 1), octets = bits / 8 + 1;

	buf_clear(&m->w->stack);
	m->stack = (struct frame *)(void *)buf_reserve(&m->w->stack, frames * sizeof(*m->stack));
	if (m->g->refs || m->g->manys < 2)
		return; /* one `many` tries each octet once anyway */
	buf_clear(&m->w->memo);
	m->memo = (uint8_t *)buf_reserve(&m->w->memo, octets);
	memset(m->memo, 0, octets);
	m->w->steps -= m->w->steps < octets / 64 ? m->w->steps : octets / 64;
}

enum mta_match
mta_glob_match(const struct mta_glob *g, struct slice text, struct mta_work *w,
    struct slice fields[MTA_FIELDS_MAX])
{
	struct match m = { .g = g, .text = text, .w = w };
	enum mta_match r;

	match_scratch(&m);
	r = match_search(&m);
	for (unsigned i = 0; i < MTA_FIELDS_MAX; i++)
		fields[i] = r == MTA_GLOB_YES && i < g->fields ?
		    slice_sub(text, m.from[i], m.to[i] - m.from[i]) :
		    slice(NULL, 0);
	return r;
}
