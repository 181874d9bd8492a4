/* conversions.c: the file `conversions`, read and asked: see conversions.h.
 *
 * The form is that of Content-Type's parameters: clauses name=value, each ended by a semicolon; a line that does not end
 * in one, or a blank line, ends the entry.  Patterns have `*` for any octets, in any case.  A question costs at most
 * each entry's patterns times what they are matched with, which `*` makes linear once more: both are bounded by a line
 * and by a header's values.  What fails is a file of the administrator's, told with its places. */
#include "base/mem.h"
#include "mta/conversions.h"

#define ENTRIES_MOST 1000

struct mta_conversions {
	struct mta_text text;
	struct mta_conversion entry[ENTRIES_MOST];
	size_t n;
};

#define TEXT(field) offsetof(struct mta_conversion, field)

static const struct {
	const char *name;
	size_t at;
} texts[] = {
	{ "in-chan", TEXT(in_channel) },
	{ "in-channel", TEXT(in_channel) },
	{ "out-chan", TEXT(out_channel) },
	{ "out-channel", TEXT(out_channel) },
	{ "in-type", TEXT(in_type) },
	{ "in-subtype", TEXT(in_subtype) },
	{ "in-description", TEXT(in_description) },
	{ "in-disposition", TEXT(in_disposition) },
	{ "in-subject", TEXT(in_subject) },
	{ "command", TEXT(command) },
	{ "out-type", TEXT(out_type) },
	{ "out-subtype", TEXT(out_subtype) },
	{ "out-description", TEXT(out_description) },
	{ "out-disposition", TEXT(out_disposition) },
	{ "out-name", TEXT(out_name) },
};
/* Sun's that mean what is done anyway, or nothing here: they are warned about. */
static const char *const idle[] = { "out-mode", "out-encoding", "parameter-copy", "dparameter-copy",
	"in-a1-type", "in-a1-format", "out-a1-type", "out-a1-format", "original-header-file",
	"override-header-file", "override-option-file", "message-header-file", "part-number",
	"parameter-symbol", "dparameter-symbol", "in-parameter-default", "in-dparameter-default",
	"out-parameter-name", "out-parameter-value", "out-dparameter-name", "out-dparameter-value",
	"service-command", "tag" };

/* ---- reading ------------------------------------------------------------------------------------- */

/* "in-parameter-name-0" is `stem` "in-parameter-name" and 0; false when it is none. */
static bool
name_numbered(struct slice name, struct slice stem, size_t *n)
{
	uint64_t v;

	if (!slice_istarts(name, stem) || name.n <= stem.n + 1 || name.p[stem.n] != '-' ||
	    slice_u64(slice_from(name, stem.n + 1), 999, &v) < 0)
		return false;
	*n = (size_t)v;
	return true;
}

static bool
pair_set(struct mta_conversion *e, struct slice name, struct slice value)
{
	const struct {
		struct slice stem;
		struct mta_conversion_pair *pairs;
		bool value;
	} stems[] = {
		{ S("in-parameter-name"), e->in_parameter, false },
		{ S("in-parameter-value"), e->in_parameter, true },
		{ S("in-dparameter-name"), e->in_dparameter, false },
		{ S("in-dparameter-value"), e->in_dparameter, true },
	};
	size_t n;

	for (size_t i = 0; i < NELEM(stems); i++) {
		if (!name_numbered(name, stems[i].stem, &n) || n >= MTA_CONVERSION_PARAMETERS)
			continue;
		*(stems[i].value ? &stems[i].pairs[n].value : &stems[i].pairs[n].name) = value;
		return true;
	}
	return false;
}

static bool
name_idle(struct slice name)
{
	size_t n;

	for (size_t i = 0; i < NELEM(idle); i++)
		if (slice_ieq(name, slice_str(idle[i])) ||
		    name_numbered(name, slice_str(idle[i]), &n))
			return true;
	return false;
}

static void
clause_set(struct mta_conversion *e, struct slice name, struct slice value,
    const struct mta_line *at, struct mta_notes *notes)
{
	for (size_t i = 0; i < NELEM(texts); i++)
		if (slice_ieq(name, slice_str(texts[i].name))) {
			*(struct slice *)(void *)((char *)e + texts[i].at) = value;
			return;
		}
	if (slice_ieq(name, S("delete")) || slice_ieq(name, S("relabel"))) {
		bool *flag = slice_ieq(name, S("delete")) ? &e->delete : &e->relabel;

		*flag = slice_eq(value, S("1"));
		if (!*flag && !slice_eq(value, S("0")))
			mta_error(notes, at, SFMT " is 0 or 1", SARG(name));
	} else if (name_idle(name)) {
		mta_warn(notes, at, SFMT " has no effect here", SARG(name));
	} else if (!pair_set(e, name, value)) {
		mta_error(notes, at, SFMT " is no parameter of a conversion", SARG(name));
	}
}

/* Takes a value off *rest: a quoted one, with \ before what would end it, or up to the semicolon. */
static bool
conversion_value(struct arena *a, struct slice *rest, struct slice *value)
{
	struct buf b = { 0 };
	size_t i = 1;

	*rest = slice_trim(*rest);
	if (rest->n == 0 || rest->p[0] != '"') {
		size_t end = slice_find(*rest, ';');

		*value = slice_trim(slice_sub(*rest, 0, end));
		*rest = slice_from(*rest, end);
		return true;
	}
	for (; i < rest->n && rest->p[i] != '"'; i++) {
		if (rest->p[i] == '\\' && i + 1 < rest->n)
			i++;
		buf_char(&b, rest->p[i]);
	}
	*value = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	if (i == rest->n)
		return false;
	*rest = slice_trim(slice_from(*rest, i + 1));
	return rest->n == 0 || rest->p[0] == ';';
}

/* The clauses of a line.  True: the entry goes on in the next. */
static bool
conversion_line(struct mta_conversions *c, struct mta_conversion *e, const struct mta_line *at,
    struct mta_notes *notes)
{
	struct slice rest = slice_trim(at->text), name, value;

	while (rest.n) {
		if (slice_find(rest, '=') == rest.n || !slice_cut(&rest, '=', &name) ||
		    slice_find(name, ';') < name.n) {
			mta_error(notes, at, "expected name=value");
			return false;
		}
		if (!conversion_value(&c->text.arena, &rest, &value)) {
			mta_error(notes, at, "a value is not ended");
			return false;
		}
		clause_set(e, slice_trim(name), value, at, notes);
		if (rest.n == 0)
			return false;
		rest = slice_trim(slice_from(rest, 1));
	}
	return true;
}

/* A token of RFC 2045. */
static bool
type_ok(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("()<>@,;:\\\"/[]?=", s.p[i]))
			return false;
	return true;
}

static void
entry_check(const struct mta_conversion *e, const struct mta_line *at, struct mta_notes *notes)
{
	if (!e->command.n && !e->delete &&!e->relabel)
		mta_error(notes, at, "an entry needs command, delete=1 or relabel=1");
	if (e->command.n &&
	    (slice_find(e->command, ' ') < e->command.n ||
		slice_find(e->command, '/') < e->command.n))
		mta_error(notes, at,
		    "command is the name of a program of piped.conf, not a command line: " SFMT,
		    SARG(e->command));
	if (!e->out_type.n != !e->out_subtype.n)
		mta_error(notes, at, "out-type and out-subtype are said together");
	if (e->out_type.n && e->out_subtype.n &&
	    (!type_ok(e->out_type) || !type_ok(e->out_subtype)))
		mta_error(notes, at, SFMT "/" SFMT " is no type of a part", SARG(e->out_type),
		    SARG(e->out_subtype));
	if (e->relabel && !e->out_type.n && !e->out_description.n && !e->out_disposition.n &&
	    !e->out_name.n)
		mta_warn(notes, at, "relabel=1 without a new label");
}

struct mta_conversions *
mta_conversions_compile(const char *path, mta_read_fn *read, void *arg, struct mta_notes *notes)
{
	struct mta_conversions *c = mem_new(sizeof(*c));
	unsigned before = notes->nerrors;
	bool open = false;

	mta_text_load(&c->text, path, read, arg, notes);
	for (size_t i = 0; i < c->text.n; i++) {
		const struct mta_line *at = &c->text.lines[i];
		struct mta_conversion *e;

		if (at->text.n && !open) {
			if (c->n == ENTRIES_MOST) {
				mta_error(notes, at, "at most %d entries", ENTRIES_MOST);
				break;
			}
			c->entry[c->n++] =
			    (struct mta_conversion){ .file = at->file, .line = at->line };
		}
		if (!at->text.n && !open)
			continue;
		e = &c->entry[c->n - 1];
		open = at->text.n && conversion_line(c, e, at, notes);
		if (!open)
			entry_check(e, at, notes);
	}
	if (open)
		entry_check(&c->entry[c->n - 1], &c->text.lines[c->text.n - 1], notes);
	if (notes->nerrors != before)
		mta_conversions_free(&c);
	return c;
}

void
mta_conversions_free(struct mta_conversions **cp)
{
	struct mta_conversions *c = *cp;

	if (!c)
		return;
	mta_text_fini(&c->text);
	mem_free(cp);
}

const struct mta_conversion *
mta_conversion_at(const struct mta_conversions *c, size_t i)
{
	return c && i < c->n ? &c->entry[i] : NULL;
}

/* ---- asking ---------------------------------------------------------------------------------------- */

/* `*` is any octets; an empty pattern anything.  Goes back to the last `*` alone, so it is no more than the product of
 * the two lengths. */
static bool
pattern_fits(struct slice pattern, struct slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	if (pattern.n == 0)
		return true;
	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.n && ascii_lower(pattern.p[p]) == ascii_lower(text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static bool
parameters_fit(const struct mta_conversion_pair *pairs, const struct mta_conversion_part *p,
    bool disposition)
{
	for (size_t i = 0; i < MTA_CONVERSION_PARAMETERS; i++)
		if (pairs[i].name.n &&
		    !pattern_fits(pairs[i].value, p->parameter(p->arg, disposition, pairs[i].name)))
			return false;
	return true;
}

const struct mta_conversion *
mta_conversion_find(const struct mta_conversions *c, const struct mta_conversion_part *p)
{
	for (size_t i = 0; c && i < c->n; i++) {
		const struct mta_conversion *e = &c->entry[i];

		if (pattern_fits(e->in_channel, p->source) &&
		    pattern_fits(e->out_channel, p->channel) && pattern_fits(e->in_type, p->type) &&
		    pattern_fits(e->in_subtype, p->subtype) &&
		    pattern_fits(e->in_description, p->description) &&
		    pattern_fits(e->in_disposition, p->disposition) &&
		    pattern_fits(e->in_subject, p->subject) &&
		    parameters_fit(e->in_parameter, p, false) &&
		    parameters_fit(e->in_dparameter, p, true))
			return e;
	}
	return NULL;
}
