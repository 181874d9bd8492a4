/* rules/entry.c: a person's scripts as values of an entry, and what a change does to these.
 *
 * Owns nothing: all is in the caller's arena.  Called by store.c with what the directory has, which other programs
 * write too.  Nothing can fail: what has no label, a broken one or a name that is taken is shown by a name made of
 * its text.  Must stay true: no change removes a value but by its whole octets, no text is left out but the one that
 * RULES_DELETE names or RULES_PUT replaces, and one at most runs after RULES_ACTIVATE.  Pure, so that a test needs no
 * server. */
#include <stdlib.h>

#include "base/random.h"
#include "rules/rules-impl.h"

/* ---- reading ------------------------------------------------------------------------------------ */

/* FNV-1a: the same in every process. */
static uint64_t
entry_hash(struct slice text)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (uint8_t)text.p[i]) * 1099511628211ULL;
	return h;
}

static bool
entry_id_ok(struct slice id)
{
	bool ok = id.n == RULES_ID;

	for (size_t i = 0; i < id.n; i++)
		ok &= (id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'z');
	return ok;
}

/* "id SP name LF text"; false when it is not that. */
static bool
entry_head(struct slice value, struct rules_script *s)
{
	size_t lf = slice_find(value, '\n');

	s->text = slice_from(value, lf + 1);
	s->id = slice_sub(value, 0, RULES_ID);
	s->name = slice_sub(value, RULES_ID + 1, lf > RULES_ID ? lf - RULES_ID - 1 : 0);
	return lf < value.n && s->name.n > 0 && value.p[RULES_ID] == ' ' && entry_id_ok(s->id);
}

bool
rules_named(struct slice value, struct slice *name, struct slice *text)
{
	struct rules_script s;
	bool good = entry_head(value, &s);

	*name = s.name;
	*text = s.text;
	return good;
}

/* Takes "{n}" off the front. */
static struct slice
entry_number(struct slice *value)
{
	size_t close = slice_find(*value, '}');
	uint64_t n;
	struct slice number = slice_sub(*value, 0, close + 1);

	if (!slice_starts(*value, S("{")) || close == value->n ||
	    slice_u64(slice_sub(*value, 1, close - 1), UINT32_MAX, &n) < 0)
		return S("");
	*value = slice_from(*value, number.n);
	return number;
}

static bool
entry_name_taken(const struct rules_entry *e, struct slice name)
{
	for (size_t i = 0; i < e->n; i++)
		if (slice_eq(e->scripts[i].name, name))
			return true;
	return false;
}

/* A name and id for what has none of its own: of its text, or the next ones, where these are taken. */
static void
entry_name(const struct rules_entry *e, struct rules_script *s, struct slice text, struct arena *a)
{
	uint64_t h = entry_hash(text);

	s->foreign = true;
	do {
		s->name = slice_str(arena_printf(a, "filter-%08x", (unsigned)(h ^ h >> 32)));
		s->id = slice_str(
		    arena_printf(a, "f%012llx", (unsigned long long)(h & 0xffffffffffff)));
		h++;
	} while (entry_name_taken(e, s->name));
}

/* A value as a script, if it is one that has (named) or has not a name of its own. */
static void
rules_entry_add(struct rules_entry *e, struct arena *a, struct slice raw, bool runs, bool named)
{
	struct rules_script *s = &e->scripts[e->n];
	struct slice value = raw, number = S("");
	bool labelled = true, ours;

	*s = (struct rules_script){ .runs = runs };
	if (runs) {
		number = entry_number(&value);
		labelled = slice_starts(value, S(DIR_SCRIPT_LABEL));
		if (labelled)
			value = slice_from(value, sizeof(DIR_SCRIPT_LABEL) - 1);
	}
	ours = labelled && entry_head(value, s);
	if (ours != named)
		return;
	if (!ours) {
		s->text = labelled && runs ? slice_from(value, slice_find(value, '\n') + 1) : value;
		entry_name(e, s, s->text, a);
	}
	if (entry_name_taken(e, s->name)) /* somebody has copied a value */
		entry_name(e, s, raw, a);
	e->values[e->n] = (struct rules_value){ raw, number };
	e->total += s->text.n;
	e->n++;
}

/* By name; the values go along. */
static void
entry_sort(struct rules_entry *e)
{
	for (size_t i = 1; i < e->n; i++) {
		struct rules_script s = e->scripts[i];
		struct rules_value v = e->values[i];
		size_t k = i;

		for (; k > 0 && slice_cmp(e->scripts[k - 1].name, s.name) > 0; k--) {
			e->scripts[k] = e->scripts[k - 1];
			e->values[k] = e->values[k - 1];
		}
		e->scripts[k] = s;
		e->values[k] = v;
	}
}

static uint64_t
entry_order(const struct rules_value *v)
{
	uint64_t n;

	return v->number.n &&
		slice_u64(slice_sub(v->number, 1, v->number.n - 2), UINT32_MAX, &n) == 0 ?
	    n :
	    UINT64_MAX;
}

/* Of those that run one is called active: ours, or else the one that runs first. */
static void
entry_mark(struct rules_entry *e)
{
	size_t best = e->n;

	for (size_t i = 0; i < e->n; i++) {
		if (!e->scripts[i].runs)
			continue;
		if (best == e->n || (e->scripts[best].foreign && !e->scripts[i].foreign) ||
		    (e->scripts[best].foreign == e->scripts[i].foreign &&
			entry_order(&e->values[i]) < entry_order(&e->values[best])))
			best = i;
	}
	if (best < e->n)
		e->scripts[best].active = true;
}

void
rules_entry_read(struct rules_entry *e, struct arena *a, const struct dir_before *v, size_t n)
{
	struct slice *raw = arena_array(a, n + 1, sizeof(*raw));

	*e = (struct rules_entry){
		.scripts = arena_array(a, n + 1, sizeof(*e->scripts)),
		.values = arena_array(a, n + 1, sizeof(*e->values)),
	};
	for (size_t i = 0; i < n; i++)
		raw[i] = arena_slice(a, v[i].value);
	/* Twice: no name that is made may be one that somebody has given. */
	for (size_t i = 0; i < 2 * n; i++) {
		const struct dir_before *one = &v[i % n];
		bool runs = slice_ieq(one->attribute, S(RULES_RUN));

		if (slice_ieq(one->attribute, S("entryCSN")))
			e->csn = raw[i % n];
		else if (runs || slice_ieq(one->attribute, S(RULES_IDLE)))
			rules_entry_add(e, a, raw[i % n], runs, i < n);
	}
	entry_sort(e);
	entry_mark(e);
}

const struct rules_script *
rules_find(const struct rules_set *s, struct slice name)
{
	for (size_t i = 0; i < s->n; i++)
		if (slice_eq(s->v[i].name, name))
			return &s->v[i];
	return NULL;
}

/* ---- changing ------------------------------------------------------------------------------------- */

/* Values that go and come; as many as there are scripts, and one. */
struct moves {
	struct slice *gone[2], *come[2]; /* of what is idle, of what runs */
	size_t ngone[2], ncome[2];
	struct arena *arena;
};

static void
moves_take(struct moves *m, const struct rules_entry *e, size_t i)
{
	bool runs = e->scripts[i].runs;

	m->gone[runs][m->ngone[runs]++] = e->values[i].raw;
}

static void
moves_put(struct moves *m, const struct rules_script *s, struct slice number, bool runs)
{
	struct buf b = { 0 };

	if (runs) {
		buf_slice(&b, number);
		buf_str(&b, DIR_SCRIPT_LABEL);
	}
	buf_slice(&b, s->id);
	buf_char(&b, ' ');
	buf_slice(&b, s->name);
	buf_char(&b, '\n');
	buf_slice(&b, s->text);
	m->come[runs][m->ncome[runs]++] = arena_slice(m->arena, buf_get(&b));
	buf_fini(&b);
}

/* The i-th script is another one from now on. */
static void
moves_replace(struct moves *m, const struct rules_entry *e, size_t i, const struct rules_script *s)
{
	moves_take(m, e, i);
	moves_put(m, s, e->values[i].number, e->scripts[i].runs);
}

static void
moves_write(const struct moves *m, struct rules_edit *edit)
{
	static const char *const attributes[2] = { RULES_IDLE, RULES_RUN };

	edit->n = 0;
	for (size_t runs = 0; runs < 2; runs++) {
		if (m->ngone[runs])
			edit->changes[edit->n++] = (struct dir_change){ DIR_DELETE,
				attributes[runs], m->gone[runs], m->ngone[runs] };
		if (m->ncome[runs])
			edit->changes[edit->n++] = (struct dir_change){ DIR_ADD, attributes[runs],
				m->come[runs], m->ncome[runs] };
	}
}

/* Is there room for a text of that size in the place of the i-th script (e->n: a new one)? */
static enum rules_outcome
entry_room(const struct rules_entry *e, size_t i, size_t size, const struct rules_limits *l)
{
	size_t before = i < e->n ? e->scripts[i].text.n : 0;

	if (size > l->octets)
		return RULES_LARGE;
	if (i == e->n && e->n >= l->scripts)
		return RULES_MANY;
	/* Who was there before the limit may still make his scripts smaller. */
	return size > before && e->total - before + size > l->total ? RULES_FULL : RULES_DONE;
}

static enum rules_outcome
edit_put(struct moves *m, const struct rules_entry *e, size_t i, const struct rules_change *c,
    const struct rules_limits *l)
{
	enum rules_outcome room = entry_room(e, i, c->text.n, l);
	struct rules_script s = { .name = c->name, .text = c->text };
	char id[RULES_ID + 1];

	if (room != RULES_DONE)
		return room;
	if (i < e->n && slice_eq(e->scripts[i].text, c->text) && !e->scripts[i].foreign)
		return RULES_DONE;
	s.id = i < e->n ? e->scripts[i].id : slice_str(random_id(id));
	if (i < e->n)
		moves_replace(m, e, i, &s);
	else
		moves_put(m, &s, S(""), false);
	return RULES_DONE;
}

static enum rules_outcome
edit_delete(struct moves *m, const struct rules_entry *e, size_t i)
{
	if (i == e->n)
		return RULES_NONE;
	if (e->scripts[i].runs)
		return RULES_ACTIVE;
	moves_take(m, e, i);
	return RULES_DONE;
}

static enum rules_outcome
edit_rename(struct moves *m, const struct rules_entry *e, size_t i, size_t to, struct slice name)
{
	struct rules_script s;

	if (i == e->n)
		return RULES_NONE;
	if (to < e->n) /* also when it is the same: RFC 5804 2.11.1 */
		return RULES_EXISTS;
	s = e->scripts[i];
	s.name = name;
	moves_replace(m, e, i, &s);
	return RULES_DONE;
}

/* One that is there has been made already: by this change, whose answer was lost. */
static enum rules_outcome
edit_create(struct moves *m, const struct rules_entry *e, size_t i, const struct rules_change *c,
    const struct rules_limits *l)
{
	enum rules_outcome room = entry_room(e, e->n, c->text.n, l);

	if (i < e->n)
		return RULES_DONE;
	if (entry_name_taken(e, c->name))
		return RULES_EXISTS;
	if (room == RULES_DONE)
		moves_put(m,
		    &(struct rules_script){ .id = c->id, .name = c->name, .text = c->text }, S(""),
		    false);
	return room;
}

static enum rules_outcome
edit_update(struct moves *m, const struct rules_entry *e, size_t i, const struct rules_change *c,
    const struct rules_limits *l)
{
	struct rules_script s;
	enum rules_outcome room;

	if (i == e->n)
		return RULES_NONE;
	s = e->scripts[i];
	if (c->to.p && !slice_eq(c->to, s.name) && entry_name_taken(e, c->to))
		return RULES_EXISTS;
	room = c->text.p ? entry_room(e, i, c->text.n, l) : RULES_DONE;
	if (room != RULES_DONE)
		return room;
	s.name = c->to.p ? c->to : s.name;
	s.text = c->text.p ? c->text : s.text;
	if (!slice_eq(s.name, e->scripts[i].name) || !slice_eq(s.text, e->scripts[i].text))
		moves_replace(m, e, i, &s);
	return RULES_DONE;
}

static enum rules_outcome
edit_activate(struct moves *m, const struct rules_entry *e, size_t i, bool none)
{
	if (i == e->n && !none)
		return RULES_NONE;
	for (size_t k = 0; k < e->n; k++) {
		const struct rules_script *s = &e->scripts[k];

		if (s->runs == (k == i))
			continue;
		moves_take(m, e, k);
		moves_put(m, s, S(""), !s->runs);
	}
	return RULES_DONE;
}

static size_t
entry_index_id(const struct rules_entry *e, struct slice id)
{
	size_t i = 0;

	while (i < e->n && !slice_eq(e->scripts[i].id, id))
		i++;
	return i;
}

static size_t
entry_index(const struct rules_entry *e, struct slice name)
{
	size_t i = 0;

	while (i < e->n && !slice_eq(e->scripts[i].name, name))
		i++;
	return i;
}

enum rules_outcome
rules_entry_edit(const struct rules_entry *e, const struct rules_change *c,
    const struct rules_limits *l, struct arena *a, struct rules_edit *edit)
{
	struct moves m = { .arena = a };
	size_t i = c->id.n ? entry_index_id(e, c->id) : entry_index(e, c->name);
	enum rules_outcome outcome = RULES_DONE;

	for (size_t runs = 0; runs < 2; runs++) {
		m.gone[runs] = arena_array(a, e->n + 1, sizeof(*m.gone[runs]));
		m.come[runs] = arena_array(a, e->n + 1, sizeof(*m.come[runs]));
	}
	switch (c->verb) {
	case RULES_CHECK: outcome = entry_room(e, i, c->size, l); break;
	case RULES_PUT: outcome = edit_put(&m, e, i, c, l); break;
	case RULES_DELETE: outcome = edit_delete(&m, e, i); break;
	case RULES_RENAME: outcome = edit_rename(&m, e, i, entry_index(e, c->to), c->to); break;
	case RULES_ACTIVATE: outcome = edit_activate(&m, e, i, c->name.n + c->id.n == 0); break;
	case RULES_CREATE: outcome = edit_create(&m, e, i, c, l); break;
	case RULES_UPDATE: outcome = edit_update(&m, e, i, c, l); break;
	}
	moves_write(&m, edit);
	return outcome;
}
