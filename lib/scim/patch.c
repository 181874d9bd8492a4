/* patch.c: the operations of a PATCH (RFC 7644 3.5.2), on a resource in memory.
 *
 * Called by who answers a PATCH, which writes what has changed.  Owns nothing.  Can fail with an error of RFC 7644
 * table 9.  Must stay true: what is read-only is never changed, and a path that leads nowhere is no success. */
#include "scim/resource.h"

#define PATCH_OPERATIONS 1000
#define PATCH_TESTS      (10 * 1000 * 1000) /* operations by elements by tests: some 0.1 s */

enum patch_op { PATCH_ADD, PATCH_REPLACE, PATCH_REMOVE };
struct patch {
	struct scim_resource *r;
	struct scim_error *e;
	enum patch_op op;
	const struct json_t *value;
	const struct scim_filter *filter;
	unsigned subs;
	size_t tests; /* of all operations so far */
};

/* ---- filters of elements ----------------------------------------------------------------------------- */

static bool
scim_match_text(const struct scim_filter *f, struct slice have, bool exact, bool *fits)
{
	bool same = exact ? slice_eq(have, f->value) : slice_ieq(have, f->value);
	struct slice end = slice_from(have, have.n >= f->value.n ? have.n - f->value.n : have.n);

	switch (f->op) {
	case SCIM_EQ: *fits = same; return true;
	case SCIM_NE: *fits = !same; return true;
	case SCIM_CO: *fits = slice_ifind_str(have, f->value) < have.n || !f->value.n; return true;
	case SCIM_SW: *fits = slice_istarts(have, f->value); return true;
	case SCIM_EW: *fits = slice_ieq(end, f->value); return true;
	case SCIM_GT: *fits = slice_cmp(have, f->value) > 0; return true;
	case SCIM_GE: *fits = slice_cmp(have, f->value) >= 0; return true;
	case SCIM_LT: *fits = slice_cmp(have, f->value) < 0; return true;
	case SCIM_LE: *fits = slice_cmp(have, f->value) <= 0; return true;
	case SCIM_PR: *fits = have.n > 0; return true;
	}
	return false;
}

static bool
scim_match_test(const struct scim_attribute *row, const struct scim_filter *f,
    const struct scim_value *v, bool *fits, struct scim_error *e)
{
	const struct {
		const char *name;
		enum scim_sub sub;
		struct slice value;
	} parts[] = { { "value", SCIM_VALUE, v->value }, { "type", SCIM_TYPE, v->type },
		{ "display", SCIM_DISPLAY, v->display }, { "$ref", SCIM_REF, v->ref } };

	if (row->subs & SCIM_PRIMARY && slice_ieq(f->path.attribute, S("primary"))) {
		bool want = f->literal == SCIM_TRUE;

		if (f->op != SCIM_PR && f->op != SCIM_EQ && f->op != SCIM_NE)
			return scim_fail(e, 400, "invalidFilter", "primary: eq or ne is expected");
		*fits = f->op == SCIM_PR ? v->primary :
		    f->op == SCIM_EQ     ? v->primary == want :
					   v->primary != want;
		return true;
	}
	for (size_t i = 0; i < NELEM(parts); i++)
		if (row->subs & parts[i].sub &&
		    slice_ieq(f->path.attribute, slice_str(parts[i].name)))
			return (f->op == SCIM_PR || f->literal == SCIM_STRING) ?
			    scim_match_text(f, parts[i].value, row->exact, fits) :
			    scim_fail(e, 400, "invalidFilter", "%s: a text is expected",
				parts[i].name);
	return scim_fail(e, 400, "invalidFilter", "%s has no " SFMT, row->name,
	    SARG(f->path.attribute));
}

bool
scim_match(const struct scim_attribute *row, const struct scim_filter *f,
    const struct scim_value *v, bool *fits, struct scim_error *e)
{
	bool left = false, right = false;

	switch (f->node) {
	case SCIM_TEST: return scim_match_test(row, f, v, fits, e);
	case SCIM_NOT:
		if (!scim_match(row, f->left, v, &left, e))
			return false;
		*fits = !left;
		return true;
	case SCIM_AND:
	case SCIM_OR:
		if (!scim_match(row, f->left, v, &left, e) ||
		    !scim_match(row, f->right, v, &right, e))
			return false;
		*fits = f->node == SCIM_AND ? left && right : left || right;
		return true;
	case SCIM_VALUES: break;
	}
	return scim_fail(e, 400, "invalidFilter", "brackets cannot be there");
}

/* ---- elements -------------------------------------------------------------------------------------------- */

static bool
patch_bad(struct patch *p, const char *type, const char *name, const char *why)
{
	return scim_fail(p->e, 400, type, "%s: %s", name, why);
}

/* One sub-attribute of an element. */
static bool
patch_sub(struct patch *p, size_t row, struct scim_value *v)
{
	const struct scim_attribute *a = &p->r->schema->rows[row];
	struct slice text = S("");
	bool yes = false;

	if (p->subs & (SCIM_DISPLAY | SCIM_REF))
		return patch_bad(p, "mutability", a->name, "this is not yours to change");
	if (p->op == PATCH_REMOVE && p->subs & SCIM_VALUE)
		return patch_bad(p, "mutability", a->name, "an element is not without its value");
	if (p->op != PATCH_REMOVE && p->subs & SCIM_PRIMARY) {
		if (!json_get_bool(p->value, &yes))
			return patch_bad(p, "invalidValue", "primary", "true or false is expected");
		for (size_t i = 0; yes && i < p->r->rows[row].n; i++)
			p->r->rows[row].v[i].primary = false;
	} else if (p->op != PATCH_REMOVE && (!json_get_str(p->value, &text) || !text.n)) {
		return patch_bad(p, "invalidValue", a->name, "a text is expected");
	}
	if (slice_find(text, '\0') < text.n)
		return patch_bad(p, "invalidValue", a->name, "a text has no NUL");
	text = arena_slice(p->r->memory, text);
	if (p->subs & SCIM_PRIMARY)
		v->primary = yes;
	else
		*(p->subs & SCIM_VALUE ? &v->value : &v->type) = text;
	return true;
}

/* An element in another one's place, or with more in it. */
static bool
patch_whole(struct patch *p, size_t row, size_t at)
{
	struct scim_resource one = *p->r;
	struct scim_value before = p->r->rows[row].v[at], *to = &p->r->rows[row].v[at];

	one.rows[row] = (struct scim_list){ .n = 0 };
	if (!json_is(p->value, JSON_KIND_OBJECT))
		return patch_bad(p, "invalidValue", p->r->schema->rows[row].name,
		    "an object is expected");
	if (!json_find(p->value, S("value"))) { /* what is not said stays */
		const struct json_t *type = json_find(p->value, S("type")),
				    *primary = json_find(p->value, S("primary"));
		struct patch sub = *p;

		sub.subs = SCIM_TYPE;
		sub.value = type;
		if (type && !patch_sub(&sub, row, to))
			return false;
		sub.subs = SCIM_PRIMARY;
		sub.value = primary;
		return !primary || patch_sub(&sub, row, to);
	}
	if (!scim_read_row(&one, row, p->value, false, p->e))
		return false;
	for (size_t i = 0; one.rows[row].v[0].primary && i < p->r->rows[row].n; i++)
		p->r->rows[row].v[i].primary = false;
	*to = one.rows[row].v[0];
	if (!to->type.n && p->op == PATCH_ADD)
		to->type = before.type;
	return true;
}

/* add emails[type eq "work"].value where there is none: an element that fits is made. */
static bool
patch_make(struct patch *p, size_t row)
{
	const struct scim_filter *f = p->filter;
	struct scim_value *v;

	if (p->op != PATCH_ADD || f->node != SCIM_TEST || f->op != SCIM_EQ ||
	    f->literal != SCIM_STRING || p->subs != SCIM_VALUE ||
	    !slice_ieq(f->path.attribute, S("type")))
		return patch_bad(p, "noTarget", p->r->schema->rows[row].name,
		    "no element fits the filter");
	v = scim_add(p->r, row);
	if (!v)
		return patch_bad(p, "tooMany", p->r->schema->rows[row].name, "too many values");
	v->type = f->value;
	return patch_sub(p, row, v);
}

static size_t
patch_tests(const struct scim_filter *f)
{
	return !f ?
	    1 :
	    1 + (f->left ? patch_tests(f->left) : 0) + (f->right ? patch_tests(f->right) : 0);
}

/* Every element there is, so many times. */
static bool
patch_counts(struct patch *p, size_t row, size_t times)
{
	p->tests += p->r->rows[row].n * times;
	return p->tests <= PATCH_TESTS ||
	    patch_bad(p, "tooMany", p->r->schema->rows[row].name, "too many tests");
}

static bool
patch_elements(struct patch *p, size_t row)
{
	struct scim_list *l = &p->r->rows[row];
	size_t kept = 0, found = 0;
	bool fits = true;

	if (!patch_counts(p, row, patch_tests(p->filter)))
		return false;
	for (size_t i = 0; i < l->n; i++) {
		if (p->filter &&
		    !scim_match(&p->r->schema->rows[row], p->filter, &l->v[i], &fits, p->e))
			return false;
		found += fits;
		if (fits && p->op == PATCH_REMOVE && p->subs == ~0u)
			continue;
		if (fits &&
		    !(p->subs == ~0u ? patch_whole(p, row, i) : patch_sub(p, row, &l->v[i])))
			return false;
		l->v[kept++] = l->v[i];
	}
	l->n = kept;
	return found ?
	    true :
	    p->filter ?
	    patch_make(p, row) :
	    patch_bad(p, "noTarget", p->r->schema->rows[row].name, "there is no element");
}

/* remove with values: these, as some clients take members. */
static bool
patch_remove_values(struct patch *p, size_t row)
{
	struct scim_list *l = &p->r->rows[row];
	struct scim_resource gone;
	struct scim_index x;
	size_t kept = 0;

	scim_resource_init(&gone, p->r->schema, p->r->memory);
	if (!scim_read_row(&gone, row, p->value, false, p->e))
		return false;
	scim_index_make(&x, &gone.rows[row], 0, p->r->memory);
	for (size_t i = 0; i < l->n; i++)
		if (!scim_index_find(&x, &gone.rows[row], l->v[i].value))
			l->v[kept++] = l->v[i];
	l->n = kept;
	return true;
}

/* ---- operations ------------------------------------------------------------------------------------------ */

/* Values that are each looked for among those that are there. */
static size_t
patch_values(const struct patch *p)
{
	size_t n = json_is(p->value, JSON_KIND_ARRAY) ? json_count(p->value) : 1;

	return n < SCIM_FEW ? n : SCIM_FEW;
}

static bool
patch_row(struct patch *p, size_t row)
{
	const struct scim_attribute *a = &p->r->schema->rows[row];

	if (a->access == SCIM_READ_ONLY || a->access == SCIM_IMMUTABLE)
		return patch_bad(p, "mutability", a->name, "it is not yours to change");
	if (p->op == PATCH_REMOVE && a->required)
		return patch_bad(p, "invalidValue", a->name, "it is required");
	p->r->rows[row].given = true;
	if (p->filter && !a->subs)
		return patch_bad(p, "invalidPath", a->name, "it has one value only");
	if (a->subs && (p->filter || p->subs != ~0u))
		return patch_elements(p, row);
	if (a->subs && p->op != PATCH_REPLACE && !json_none(p->value) &&
	    !patch_counts(p, row, patch_values(p)))
		return false;
	if (p->op == PATCH_REMOVE && a->subs && !json_none(p->value))
		return patch_remove_values(p, row);
	if (p->op == PATCH_REMOVE) {
		p->r->rows[row].n = 0;
		return true;
	}
	if (a->required && (json_none(p->value) || !json_text(p->value).n))
		return patch_bad(p, "invalidValue", a->name, "it is required");
	return scim_read_row(p->r, row, p->value, p->op == PATCH_ADD, p->e);
}

static bool patch_members(struct patch *p, const struct json_t *v, struct slice before);

static bool
patch_at_path(struct patch *p, const struct scim_path *path)
{
	uint32_t rows = scim_rows(p->r->schema, path, &p->subs);
	const struct json_t *value = p->value;

	if (!rows)
		return scim_fail(p->e, 400, "invalidPath", SFMT ": there is no such attribute",
		    SARG(path->attribute));
	for (size_t i = 0; i < p->r->schema->n; i++) {
		const struct scim_attribute *a = &p->r->schema->rows[i];

		if (!(rows & 1u << i))
			continue;
		if (a->part && !path->sub.n && p->op != PATCH_REMOVE) {
			if (!json_is(value, JSON_KIND_OBJECT))
				return patch_bad(p, "invalidValue", a->name,
				    "an object is expected");
			return patch_members(p, value, slice_str(a->name));
		}
		if (!patch_row(p, i))
			return false;
	}
	return true;
}

/* Each member is a path of its own; within name or an extension behind that. */
static bool
patch_members(struct patch *p, const struct json_t *v, struct slice before)
{
	struct json_walk w = { 0 };
	bool urn = slice_istarts(before, S("urn:"));

	while (json_next(v, &w)) {
		struct slice name = before.n ? slice_str(arena_printf(p->r->memory, SFMT "%c" SFMT,
						   SARG(before), urn ? ':' : '.', SARG(w.name))) :
					       w.name;
		struct scim_path path;
		const char *why;

		if (!before.n &&
		    (slice_ieq(name, S("schemas")) || slice_ieq(name, S("id")) ||
			slice_ieq(name, S("meta"))))
			continue; /* some clients send the whole */
		if (!before.n && slice_ieq(name, slice_str(p->r->schema->extension))) {
			if (!patch_members(p, w.value, name))
				return false;
			continue;
		}
		p->filter = NULL;
		p->value = w.value;
		if (scim_target_parse(name, p->r->memory, &path, &p->filter, &why) < 0)
			return scim_fail(p->e, 400, "invalidPath", SFMT ": %s", SARG(name), why);
		if (!patch_at_path(p, &path))
			return false;
	}
	return true;
}

static bool
patch_operation(struct patch *p, const struct json_t *v)
{
	static const char *const words[] = { "add", "replace", "remove" };
	struct slice op = json_text(json_find(v, S("op"))), text;
	const struct json_t *at = json_find(v, S("path"));
	struct scim_path path;
	const char *why;
	size_t i = 0;

	while (i < NELEM(words) && !slice_ieq(op, slice_str(words[i])))
		i++;
	if (i == NELEM(words))
		return scim_fail(p->e, 400, "invalidSyntax", "op is add, replace or remove");
	p->op = (enum patch_op)i;
	p->filter = NULL;
	p->value = json_find(v, S("value"));
	if (json_none(at)) {
		if (p->op == PATCH_REMOVE)
			return scim_fail(p->e, 400, "noTarget", "remove needs a path");
		if (!json_is(p->value, JSON_KIND_OBJECT))
			return scim_fail(p->e, 400, "invalidSyntax",
			    "without a path, value is to be an object");
		return patch_members(p, p->value, S(""));
	}
	if (!json_get_str(at, &text) ||
	    scim_target_parse(text, p->r->memory, &path, &p->filter, &why) < 0)
		return scim_fail(p->e, 400, "invalidPath", "path: %s",
		    json_is(at, JSON_KIND_STR) ? why : "a text is expected");
	if (p->op != PATCH_REMOVE && !p->value)
		return scim_fail(p->e, 400, "invalidValue", "an operation has no value");
	if (slice_ieq(text, slice_str(p->r->schema->extension)))
		return patch_members(p, p->value, text);
	return patch_at_path(p, &path);
}

bool
scim_patch(struct scim_resource *r, const struct json_t *v, struct scim_error *e)
{
	const struct json_t *schemas = json_find(v, S("schemas")),
			    *operations = json_find(v, S("Operations"));
	struct patch p = { .r = r, .e = e };
	bool named = false;

	for (size_t i = 0; json_is(schemas, JSON_KIND_ARRAY) && i < json_count(schemas); i++)
		named = named ||
		    slice_ieq(json_text(json_at(schemas, i)), S(SCIM_URN_MESSAGES "PatchOp"));
	if (!named)
		return scim_fail(e, 400, "invalidSyntax",
		    "schemas: " SCIM_URN_MESSAGES "PatchOp is to be there");
	if (!json_is(operations, JSON_KIND_ARRAY) || !json_count(operations))
		return scim_fail(e, 400, "invalidSyntax", "Operations: a list is expected");
	if (json_count(operations) > PATCH_OPERATIONS)
		return scim_fail(e, 400, "tooMany", "more than %d operations", PATCH_OPERATIONS);
	for (size_t i = 0; i < json_count(operations); i++)
		if (!patch_operation(&p, json_at(operations, i)))
			return false;
	return true;
}
