/* mapping-ask.c: a probe through a table: see mapping.h.
 *
 * Called by rewriting, by the access checks of smtp-relay and by mtatest.  One struct ask goes through
 * all tables that call each other and holds the budget.  What fails: a call in a template (for good: the
 * entry fails; for now: the whole answer is for now), and the bounds on steps, passes, nesting and
 * octets, which are errors of the configuration and answered MTA_TEMP, since to accept or to refuse for
 * good would be a guess.  Must stay true: a template is worked from left to right, and what it has set
 * before a call failed decides how the table goes on. */
#include "base/mem.h"
#include "base/random.h"
#include "mta/mapping-impl.h"

struct ask {
	const struct mta_mappings *m;
	const struct mta_calls *calls;
	const struct mta_flags *in;
	struct mta_work *w;
	unsigned depth;
	const char *error;
};

/* One entry's template at work. */
struct expansion {
	struct ask *k;
	const struct slice *fields;
	struct buf *out;
	struct mta_flags flags;
	char flow;      /* C, E, L, R or NUL */
	char letters;   /* of what follows: \ lower, ^ upper, _ as it is */
	bool quote;     /* what is substituted, for a search filter */
	bool passed_by; /* $: or $; did not hold: as if the pattern had not matched */
};

static enum mta_answer
walk_table(struct ask *k, const struct mta_map_table *t, struct slice probe, struct mta_mapped *r);

static enum mta_answer
ask_over(struct ask *k, const char *error)
{
	k->error = error;
	return MTA_TEMP;
}

/* ---- what a template makes --------------------------------------------------------------- */

static void
expansion_put_char(struct expansion *x, char c, bool substituted)
{
	if (x->letters == '\\')
		c = ascii_lower(c);
	else if (x->letters == '^')
		c = ascii_upper(c);
	if (substituted && x->quote && strchr("*()\\", c) && c) /* RFC 4515 3 */
		buf_printf(x->out, "\\%02x", (unsigned char)c);
	else
		buf_char(x->out, c);
}

static void
expansion_put(struct expansion *x, struct slice s, bool substituted)
{
	if ((!x->quote || !substituted) && x->letters != '\\' && x->letters != '^') {
		buf_slice(x->out, s);
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		expansion_put_char(x, s.p[i], substituted);
}

static enum mta_answer expansion_run(struct expansion *x, const struct mta_map_op *ops, size_t n);

/* The text within a call, by itself: its case and flags are its own. */
static enum mta_answer
expansion_inner(struct expansion *x, const struct mta_map_op *op, struct buf *text)
{
	struct expansion in = { .k = x->k, .fields = x->fields, .out = text, .quote = x->quote };

	return expansion_run(&in, op->inner, op->ninner);
}

static enum mta_answer
expansion_table(struct expansion *x, const struct mta_map_op *op, struct slice probe)
{
	struct mta_mapped r = { 0 };
	enum mta_answer a;
	char name[256];
	const struct mta_map_table *t;

	if (x->k->depth >= MTA_MAPPING_DEPTH)
		return ask_over(x->k, "tables call each other more than 10 deep");
	slice_cstr(op->text, name, sizeof(name));
	for (char *c = name; *c; c++)
		*c = ascii_upper(*c);
	t = map_get(&x->k->m->tables, slice_str(name));
	if (!t)
		return MTA_NO;
	x->k->depth++;
	a = walk_table(x->k, t, probe, &r);
	x->k->depth--;
	if (a == MTA_YES && !mta_flags_has(&r.flags, 'Y'))
		a = MTA_NO;
	if (a == MTA_YES)
		expansion_put(x, buf_get(&r.text), true);
	mta_mapped_fini(&r);
	return a;
}

/* A call of the caller's functions, with its value put in place. */
static enum mta_answer
expansion_call(struct expansion *x, const struct mta_map_op *op)
{
	const struct mta_calls *f = x->k->calls;
	struct buf text = { .cap = MTA_STRING_MAX }, value = { .cap = MTA_STRING_MAX };
	enum mta_answer a = expansion_inner(x, op, &text);

	if (a == MTA_YES && text.full)
		a = ask_over(x->k, "the argument of a call has more than 4096 octets");
	if (a == MTA_YES) {
		struct slice arg = buf_get(&text);

		a = MTA_NO;
		if (op->code == MTA_MAP_TABLE)
			a = expansion_table(x, op, arg);
		else if (op->code == MTA_MAP_GENERAL && f && f->general)
			a = f->general(f->arg, arg, &value);
		else if (op->code == MTA_MAP_URL && f && f->url)
			a = f->url(f->arg, arg, &value);
		else if (op->code == MTA_MAP_ATTRIBUTE && f && f->attribute)
			a = f->attribute(f->arg, arg, op->text, &value);
		if (a == MTA_YES)
			expansion_put(x, buf_get(&value), true);
		if (a == MTA_TEMP && !x->k->error)
			x->k->error = "what a call asks for cannot be told for now";
	}
	buf_fini(&text);
	buf_fini(&value);
	return a;
}

/* In a radix of either sign; values are never negative here, so the sign says nothing. */
static enum mta_answer
expansion_sequence(struct expansion *x, const struct mta_map_op *op)
{
	const struct mta_calls *f = x->k->calls;
	uint64_t v, radix = (uint64_t)(op->radix < 0 ? -op->radix : op->radix);
	char digits[72];
	size_t at = sizeof(digits);
	enum mta_answer a = MTA_NO;

	if (f && f->sequence)
		a = f->sequence(f->arg, op->text, &v);
	if (a != MTA_YES)
		return a;
	if (op->number)
		v %= op->number;
	do {
		digits[--at] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[v % radix];
		v /= radix;
	} while (v);
	while (sizeof(digits) - at < op->width)
		digits[--at] = '0';
	expansion_put(x, slice(digits + at, sizeof(digits) - at), true);
	return MTA_YES;
}

static enum mta_answer
expansion_chance(struct expansion *x, const struct mta_map_op *op)
{
	const struct mta_calls *f = x->k->calls;
	uint64_t roll = f && f->dice ? f->dice(f->arg, 1000000) : random_below(1000000);

	return roll < op->number ? MTA_YES : MTA_NO;
}

/* One step.  MTA_NO: the entry fails here. */
static enum mta_answer
expansion_op(struct expansion *x, const struct mta_map_op *op)
{
	switch (op->code) {
	case MTA_MAP_TEXT: expansion_put(x, op->text, false); return MTA_YES;
	case MTA_MAP_FIELD: expansion_put(x, x->fields[(int)op->c], true); return MTA_YES;
	case MTA_MAP_CASE: x->letters = op->c; return MTA_YES;
	case MTA_MAP_QUOTE: x->quote = true; return MTA_YES;
	case MTA_MAP_FLOW: x->flow = op->c; return MTA_YES;
	case MTA_MAP_FLAG: mta_flags_add(&x->flags, op->c); return MTA_YES;
	case MTA_MAP_IF:
	case MTA_MAP_UNLESS:
		if ((x->k->in && mta_flags_has(x->k->in, op->c)) == (op->code == MTA_MAP_IF))
			return MTA_YES;
		x->passed_by = true;
		return MTA_NO;
	case MTA_MAP_CHANCE: return expansion_chance(x, op);
	case MTA_MAP_SEQUENCE: return expansion_sequence(x, op);
	case MTA_MAP_TABLE:
	case MTA_MAP_GENERAL:
	case MTA_MAP_URL:
	case MTA_MAP_ATTRIBUTE:
	default: return expansion_call(x, op);
	}
}

static enum mta_answer
expansion_run(struct expansion *x, const struct mta_map_op *ops, size_t n)
{
	enum mta_answer a = MTA_YES;

	for (size_t i = 0; a == MTA_YES && i < n; i++)
		a = expansion_op(x, &ops[i]);
	return a;
}

/* ---- a table ----------------------------------------------------------------------------- */

/* Where a table stands. */
struct walk {
	const struct mta_map_table *t;
	struct mta_index_cursor cursor;
	uint32_t from; /* the entry to go on with */
	unsigned passes;
	bool again; /* $L: once more when it is used up */
	bool matched, over;
};

static void
ask_step(struct ask *k, const struct mta_map_entry *e, struct slice in, struct slice out,
    const char *why)
{
	const struct mta_calls *f = k->calls;

	if (f && f->step)
		f->step(f->arg,
		    &(struct mta_step){ "entry", e->file, e->line, e->pattern, in, out, why });
}

/* Beginning anew costs a look at the text for each class of the index. */
static void
walk_restart(struct ask *k, struct walk *w, struct slice text, uint32_t from)
{
	uint64_t cost = 1 + w->t->index.nclasses * (1 + text.n / 16);

	k->w->steps -= k->w->steps < cost ? k->w->steps : cost;
	mta_index_begin(&w->t->index, text, &w->cursor);
	w->from = from;
}

/* How the table goes on behind entry i. */
static enum mta_answer
walk_go_on(struct ask *k, struct walk *w, char flow, uint32_t i, struct slice text)
{
	switch (flow) {
	case 'C':
	case 'L':
		w->again = flow == 'L';
		walk_restart(k, w, text, i + 1);
		return MTA_YES;
	case 'R':
		w->again = false;
		if (++w->passes > MTA_MAPPING_PASSES)
			return ask_over(k, "$R begins a table more than 100 times");
		walk_restart(k, w, text, 0);
		return MTA_YES;
	default: w->over = true; return MTA_YES;
	}
}

/* Entry i has matched: its template decides. */
static enum mta_answer
walk_matched(struct ask *k, struct walk *w, uint32_t i, const struct slice *fields,
    struct mta_mapped *r)
{
	const struct mta_map_entry *e = &w->t->entries[i];
	struct buf out = { .cap = MTA_STRING_MAX };
	struct expansion x = { .k = k, .fields = fields, .out = &out };
	enum mta_answer a = expansion_run(&x, e->ops, e->nops);

	if (a == MTA_YES && out.full)
		a = ask_over(k, "a result has more than 4096 octets");
	if (a == MTA_TEMP || a == MTA_LATER) {
		buf_fini(&out);
		return a;
	}
	ask_step(k, e, buf_get(&r->text), buf_get(&out),
	    a == MTA_YES    ? "matched" :
		x.passed_by ? "matched, but a flag is not as it should be" :
			      "matched, but a call failed");
	if (a == MTA_NO) {
		buf_fini(&out);
		if (x.passed_by) {
			w->from = i + 1;
			return MTA_YES;
		}
		r->failed = x.flow == '\0' || x.flow == 'E';
		return walk_go_on(k, w, x.flow, i, buf_get(&r->text));
	}
	w->matched = true;
	for (int s = 0; s < 4; s++)
		r->flags.set[s] |= x.flags.set[s];
	buf_fini(&r->text);
	r->text = out;
	return walk_go_on(k, w, x.flow, i, buf_get(&r->text));
}

static enum mta_answer
walk_table(struct ask *k, const struct mta_map_table *t, struct slice probe, struct mta_mapped *r)
{
	struct walk w = { .t = t };
	struct slice fields[MTA_FIELDS_MAX];
	enum mta_answer a = MTA_YES;

	buf_slice(&r->text, probe);
	walk_restart(k, &w, probe, 0);
	while (a == MTA_YES && !w.over) {
		uint32_t i = mta_index_next(&t->index, &w.cursor, w.from);

		if (i == MTA_INDEX_END) {
			if (!w.again)
				break;
			w.again = false;
			if (++w.passes > MTA_MAPPING_PASSES)
				return ask_over(k, "$L begins a table more than 100 times");
			walk_restart(k, &w, buf_get(&r->text), 0);
			continue;
		}
		switch (mta_glob_match(t->entries[i].glob, buf_get(&r->text), k->w, fields)) {
		case MTA_GLOB_LONG: return ask_over(k, "a pattern takes too many steps");
		case MTA_GLOB_NO:
			ask_step(k, &t->entries[i], buf_get(&r->text), S(""), "no match");
			w.from = i + 1;
			break;
		case MTA_GLOB_YES:
		default: a = walk_matched(k, &w, i, fields, r); break;
		}
	}
	return a != MTA_YES ? a : w.matched && !r->failed ? MTA_YES : MTA_NO;
}

enum mta_answer
mta_mappings_ask_within(const struct mta_mappings *m, const struct mta_calls *calls,
    struct slice table, struct slice probe, const struct mta_flags *in, struct mta_mapped *r,
    struct mta_work *w)
{
	struct ask k = { m, calls, in, w, 1, NULL };
	struct mta_map_table *t = NULL;
	enum mta_answer a = MTA_NO;
	char name[256];

	*r = (struct mta_mapped){ 0 };
	slice_cstr(table, name, sizeof(name));
	for (char *c = name; *c; c++)
		*c = ascii_upper(*c);
	if (m)
		t = map_get(&m->tables, slice_str(name));
	if (probe.n > MTA_STRING_MAX)
		a = ask_over(&k, "a probe has more than 4096 octets");
	else if (t)
		a = walk_table(&k, t, probe, r);
	else
		buf_slice(&r->text, probe);
	r->error = k.error;
	return a;
}

enum mta_answer
mta_mappings_ask(const struct mta_mappings *m, const struct mta_calls *calls, struct slice table,
    struct slice probe, const struct mta_flags *in, struct mta_mapped *r)
{
	struct mta_work w;
	enum mta_answer a;

	mta_work_init(&w);
	a = mta_mappings_ask_within(m, calls, table, probe, in, r, &w);
	mta_work_fini(&w);
	return a;
}

void
mta_mapped_fini(struct mta_mapped *r)
{
	buf_fini(&r->text);
}
