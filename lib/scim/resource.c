/* resource.c: values of a resource, from JSON and to JSON.
 *
 * Called by who answers requests, and by patch.c.  Owns nothing: all is in the caller's arena.  Can fail with an
 * error of RFC 7644 3.12.  Must stay true: what is written and read again is the same, but for what is never shown. */
#include <stdarg.h>
#include <stdio.h>

#include "scim/resource.h"

bool
scim_fail(struct scim_error *e, unsigned status, const char *type, const char *fmt, ...)
{
	va_list ap;

	e->status = status;
	e->type = type;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return false;
}

void
scim_error_write(struct buf *b, const struct scim_error *e)
{
	char status[8];

	snprintf(status, sizeof(status), "%u", e->status);
	buf_lit(b, "{\"schemas\":[\"" SCIM_URN_MESSAGES "Error\"]");
	json_put_cstr(b, "status", status);
	if (e->type)
		json_put_cstr(b, "scimType", e->type);
	json_put_cstr(b, "detail", e->text);
	buf_char(b, '}');
}

/* ---- values ---------------------------------------------------------------------------------------- */

void
scim_resource_init(struct scim_resource *r, const struct scim_schema *s, struct arena *a)
{
	*r = (struct scim_resource){ .schema = s, .memory = a };
}

struct slice
scim_get(const struct scim_resource *r, size_t row)
{
	return r->rows[row].n ? r->rows[row].v[0].value : S("");
}

struct scim_value *
scim_add(struct scim_resource *r, size_t row)
{
	struct scim_list *l = &r->rows[row];

	if (l->n == SCIM_VALUES_MOST)
		return NULL;
	if (l->n == l->room) {
		struct scim_value *v =
		    arena_array(r->memory, l->room ? l->room * 2 : 4, sizeof(*v));

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->room = l->room ? l->room * 2 : 4;
	}
	l->v[l->n] = (struct scim_value){ .primary = false };
	return &l->v[l->n++];
}

void
scim_put(struct scim_resource *r, size_t row, struct slice value)
{
	r->rows[row].n = 0;
	if (value.n)
		scim_add(r, row)->value = arena_slice(r->memory, value);
}

void
scim_copy(struct scim_resource *to, const struct scim_resource *from)
{
	*to = *from;
	for (size_t i = 0; i < from->schema->n; i++) {
		to->rows[i] = (struct scim_list){ .n = from->rows[i].n, .room = from->rows[i].n };
		to->rows[i].v =
		    arena_array(to->memory, from->rows[i].n + 1, sizeof(*to->rows[i].v));
		if (from->rows[i].n)
			memcpy(to->rows[i].v, from->rows[i].v,
			    from->rows[i].n * sizeof(*to->rows[i].v));
	}
}

void
scim_index_add(struct scim_index *x, const struct scim_list *l, size_t i)
{
	size_t at = slice_ihash(l->v[i].value) & x->mask;

	while (x->slots[at])
		at = (at + 1) & x->mask;
	x->slots[at] = (uint32_t)i + 1;
}

void
scim_index_make(struct scim_index *x, const struct scim_list *l, size_t more, struct arena *a)
{
	size_t room = 16;

	while (room < (l->n + more) * 2)
		room *= 2;
	x->slots = arena_array(a, room, sizeof(*x->slots));
	x->mask = room - 1;
	for (size_t i = 0; i < l->n; i++)
		scim_index_add(x, l, i);
}

struct scim_value *
scim_index_find(const struct scim_index *x, const struct scim_list *l, struct slice value)
{
	for (size_t at = slice_ihash(value) & x->mask; x->slots[at]; at = (at + 1) & x->mask)
		if (slice_ieq(l->v[x->slots[at] - 1].value, value))
			return &l->v[x->slots[at] - 1];
	return NULL;
}

static struct scim_value *
scim_list_find(const struct scim_list *l, struct slice value)
{
	for (size_t i = 0; i < l->n; i++)
		if (slice_ieq(l->v[i].value, value))
			return &l->v[i];
	return NULL;
}

/* ---- from JSON ---------------------------------------------------------------------------------------- */

static bool
scim_read_text(struct scim_resource *r, const char *name, const struct json_t *v, struct slice *out,
    struct scim_error *e)
{
	if (!json_get_str(v, out))
		return scim_fail(e, 400, "invalidValue", "%s: a text is expected, and not %s", name,
		    json_kind_name(v));
	if (slice_find(*out, '\0') < out->n)
		return scim_fail(e, 400, "invalidValue", "%s: a text has no NUL", name);
	*out = arena_slice(r->memory, *out);
	return true;
}

/* Also "True": some clients know no booleans. */
static bool
scim_read_bool(const char *name, const struct json_t *v, bool *out, struct scim_error *e)
{
	struct slice text = json_text(v);

	if (slice_ieq(text, S("true")) || slice_ieq(text, S("false"))) {
		*out = slice_ieq(text, S("true"));
		return true;
	}
	return json_get_bool(v, out) ||
	    scim_fail(e, 400, "invalidValue", "%s: true or false is expected", name);
}

static bool
scim_read_element(struct scim_resource *r, const struct scim_attribute *a, const struct json_t *v,
    struct scim_value *out, struct scim_error *e)
{
	struct json_walk w = { 0 };
	bool good = true;

	if (json_is(v, JSON_KIND_STR)) /* a list of texts, where each could have been an object */
		return scim_read_text(r, a->name, v, &out->value, e);
	if (!json_is(v, JSON_KIND_OBJECT))
		return scim_fail(e, 400, "invalidValue", "%s: an object is expected", a->name);
	while (good && json_next(v, &w)) {
		if (json_none(w.value))
			continue;
		if (slice_ieq(w.name, S("value")))
			good = scim_read_text(r, a->name, w.value, &out->value, e);
		else if (slice_ieq(w.name, S("type")) && a->subs & SCIM_TYPE)
			good = scim_read_text(r, "type", w.value, &out->type, e);
		else if (slice_ieq(w.name, S("display")) && a->subs & SCIM_DISPLAY)
			good = scim_read_text(r, "display", w.value, &out->display, e);
		else if (slice_ieq(w.name, S("primary")) && a->subs & SCIM_PRIMARY)
			good = scim_read_bool("primary", w.value, &out->primary, e);
	}
	return good;
}

/* One that is there already is changed, not added (RFC 7644 3.5.2.1); one primary alone.  x: NULL for a few. */
static bool
scim_read_into(struct scim_resource *r, size_t row, struct scim_index *x,
    const struct scim_value *v, struct scim_error *e)
{
	const struct scim_attribute *a = &r->schema->rows[row];
	struct scim_value *to;

	if (!v->value.n)
		return scim_fail(e, 400, "invalidValue", "%s: an element has no value", a->name);
	to = x ? scim_index_find(x, &r->rows[row], v->value) :
		 scim_list_find(&r->rows[row], v->value);
	for (size_t i = 0; v->primary && i < r->rows[row].n; i++)
		r->rows[row].v[i].primary = false;
	if (to) {
		*to = *v;
		return true;
	}
	to = scim_add(r, row);
	if (!to)
		return scim_fail(e, 400, "tooMany", "%s: more than %d", a->name, SCIM_VALUES_MOST);
	*to = *v;
	if (x)
		scim_index_add(x, &r->rows[row], r->rows[row].n - 1);
	return true;
}

static bool
scim_read_list(struct scim_resource *r, size_t row, const struct json_t *v, struct scim_error *e)
{
	const struct scim_attribute *a = &r->schema->rows[row];
	bool array = json_is(v, JSON_KIND_ARRAY);
	size_t n = array ? json_count(v) : json_none(v) ? 0 : 1;
	bool few = n <= SCIM_FEW; /* an index of all, for each operation of a PATCH, is too much */
	struct scim_index x;

	if (n > SCIM_VALUES_MOST)
		return scim_fail(e, 400, "tooMany", "%s: more than %d", a->name, SCIM_VALUES_MOST);
	if (!few)
		scim_index_make(&x, &r->rows[row], n, r->memory);
	for (size_t i = 0; i < n; i++) {
		struct scim_value one = { .primary = false };

		if (!scim_read_element(r, a, array ? json_at(v, i) : v, &one, e) ||
		    !scim_read_into(r, row, few ? NULL : &x, &one, e))
			return false;
	}
	return true;
}

bool
scim_read_row(struct scim_resource *r, size_t row, const struct json_t *v, bool add,
    struct scim_error *e)
{
	const struct scim_attribute *a = &r->schema->rows[row];
	struct slice text = S("");
	bool yes;

	r->rows[row].given = true;
	if (!add || !a->subs)
		r->rows[row].n = 0;
	if (a->subs)
		return scim_read_list(r, row, v, e);
	if (json_none(v))
		return true;
	if (a->boolean) {
		if (!scim_read_bool(a->name, v, &yes, e))
			return false;
		text = yes ? S("true") : S("false");
	} else if (!scim_read_text(r, a->part ? a->part : a->name, v, &text, e)) {
		return false;
	}
	scim_put(r, row, text);
	return true;
}

/* Members of an object are rows; `extension`: of that. */
static bool
scim_read_members(struct scim_resource *r, const struct json_t *v, const char *within,
    bool extension, struct scim_error *e)
{
	struct json_walk w = { 0 };

	while (json_next(v, &w)) {
		for (size_t i = 0; i < r->schema->n; i++) {
			const struct scim_attribute *a = &r->schema->rows[i];
			const char *name = within ? a->part : a->name;

			if (a->extension != extension || !name ||
			    (within ? strcmp(a->name, within) != 0 : !!a->part) ||
			    !slice_ieq(w.name, slice_str(name)) || a->access == SCIM_READ_ONLY)
				continue;
			if (!scim_read_row(r, i, w.value, false, e))
				return false;
		}
		if (within)
			continue;
		if (!extension && slice_ieq(w.name, slice_str(r->schema->extension)) &&
		    !scim_read_members(r, w.value, NULL, true, e))
			return false;
		if (!extension && slice_ieq(w.name, S("name")) &&
		    !scim_read_members(r, w.value, "name", false, e))
			return false;
	}
	return true;
}

static bool
scim_read_schemas(const struct scim_resource *r, const struct json_t *v, struct scim_error *e)
{
	const struct json_t *schemas = json_find(v, S("schemas"));

	for (size_t i = 0; i < json_count(schemas) && json_is(schemas, JSON_KIND_ARRAY); i++)
		if (slice_ieq(json_text(json_at(schemas, i)), slice_str(r->schema->urn)))
			return true;
	return scim_fail(e, 400, "invalidSyntax", "schemas: %s is to be there", r->schema->urn);
}

bool
scim_read(struct scim_resource *r, const struct json_t *v, struct scim_error *e)
{
	if (!json_is(v, JSON_KIND_OBJECT))
		return scim_fail(e, 400, "invalidSyntax", "the content is to be an object");
	if (!scim_read_schemas(r, v, e) || !scim_read_members(r, v, NULL, false, e))
		return false;
	for (size_t i = 0; i < r->schema->n; i++)
		if (r->schema->rows[i].required && !r->rows[i].n)
			return scim_fail(e, 400, "invalidValue", "%s: it is required",
			    r->schema->rows[i].name);
	return true;
}

/* ---- what is shown --------------------------------------------------------------------------------- */

static bool
choose_list(struct scim_choice *c, const struct scim_schema *s, struct slice list, bool only,
    struct scim_error *e)
{
	struct slice word;

	while (slice_cut(&list, ',', &word)) {
		struct scim_path path;
		const char *why;
		unsigned subs;
		uint32_t rows;

		if (scim_path_parse(slice_trim(word), &path, &why) < 0)
			return scim_fail(e, 400, "invalidPath", SFMT ": %s", SARG(word), why);
		rows = scim_rows(s, &path, &subs);
		c->asked |= only ? rows : 0;
		if (!only && slice_ieq(path.attribute, S("meta")))
			c->no_meta = true;
		if (only && slice_ieq(path.attribute, S("meta")))
			c->no_meta = false;
		for (size_t i = 0; i < s->n; i++) {
			if (!(rows & 1u << i))
				continue;
			if (only)
				c->subs[i] |= subs;
			else if (subs == ~0u)
				c->without |= 1u << i;
			else
				c->subs[i] &= ~subs;
		}
	}
	return true;
}

bool
scim_choose(struct scim_choice *c, const struct scim_schema *s, struct slice attributes,
    struct slice excluded, struct scim_error *e)
{
	*c = (struct scim_choice){ .only = attributes.n > 0, .no_meta = attributes.n > 0 };
	for (size_t i = 0; i < s->n; i++)
		c->subs[i] = c->only ? 0 : ~0u;
	if (attributes.n && excluded.n)
		return scim_fail(e, 400, "invalidSyntax",
		    "attributes and excludedAttributes are not both given");
	return choose_list(c, s, attributes, true, e) && choose_list(c, s, excluded, false, e);
}

bool
scim_shown(const struct scim_choice *c, const struct scim_schema *s, size_t row)
{
	switch (s->rows[row].returned) {
	case SCIM_ALWAYS: return true;
	case SCIM_NEVER: return false;
	case SCIM_REQUEST: return c->asked & 1u << row;
	case SCIM_DEFAULT: break;
	}
	return (!c->only || c->asked & 1u << row) && !(c->without & 1u << row);
}

/* ---- to JSON ------------------------------------------------------------------------------------------ */

static void
write_element(struct buf *b, const struct scim_value *v, unsigned subs)
{
	json_element(b);
	buf_char(b, '{');
	if (subs & SCIM_VALUE)
		json_put_str(b, "value", v->value);
	if (subs & SCIM_TYPE && v->type.n)
		json_put_str(b, "type", v->type);
	if (subs & SCIM_PRIMARY && v->primary)
		json_put_bool(b, "primary", true);
	if (subs & SCIM_DISPLAY && v->display.n)
		json_put_str(b, "display", v->display);
	if (subs & SCIM_REF && v->ref.n)
		json_put_str(b, "$ref", v->ref);
	buf_char(b, '}');
}

static void
write_row(struct buf *b, const struct scim_resource *r, size_t row, const char *name,
    const struct scim_choice *c)
{
	const struct scim_attribute *a = &r->schema->rows[row];
	const struct scim_list *l = &r->rows[row];

	json_key(b, name);
	if (a->subs) {
		buf_char(b, '[');
		for (size_t i = 0; i < l->n; i++)
			write_element(b, &l->v[i], a->subs & c->subs[row]);
		buf_char(b, ']');
	} else if (a->boolean) {
		buf_slice(b, scim_get(r, row));
	} else {
		json_str(b, scim_get(r, row));
	}
}

static void
write_rows(struct buf *b, const struct scim_resource *r, const struct scim_choice *c,
    bool extension)
{
	const char *open = NULL, *name;

	for (size_t i = 0; i < r->schema->n; i++) {
		const struct scim_attribute *a = &r->schema->rows[i];

		if (a->extension != extension || !r->rows[i].n || !scim_shown(c, r->schema, i))
			continue;
		name = a->part ? a->name : NULL;
		if (open && (!name || strcmp(open, name) != 0)) {
			buf_char(b, '}');
			open = NULL;
		}
		if (name && !open)
			json_put_object(b, open = name);
		write_row(b, r, i, a->part ? a->part : a->name, c);
	}
	if (open)
		buf_char(b, '}');
}

static void
write_meta(struct buf *b, const struct scim_resource *r)
{
	json_put_object(b, "meta");
	json_put_cstr(b, "resourceType", r->schema->name);
	if (r->created.n)
		json_put_str(b, "created", r->created);
	if (r->modified.n)
		json_put_str(b, "lastModified", r->modified);
	json_put_str(b, "location", r->location);
	if (r->version.n)
		json_put_str(b, "version", r->version);
	buf_char(b, '}');
}

void
scim_write(struct buf *b, const struct scim_resource *r, const struct scim_choice *c)
{
	bool extension = false;

	for (size_t i = 0; i < r->schema->n; i++)
		extension = extension ||
		    (r->schema->rows[i].extension && r->rows[i].n && scim_shown(c, r->schema, i));
	buf_char(b, '{');
	json_put_array(b, "schemas");
	json_str(b, slice_str(r->schema->urn));
	if (extension) {
		buf_char(b, ',');
		json_str(b, slice_str(r->schema->extension));
	}
	buf_char(b, ']');
	write_rows(b, r, c, false);
	if (extension) {
		json_put_object(b, r->schema->extension);
		write_rows(b, r, c, true);
		buf_char(b, '}');
	}
	if (!c->no_meta)
		write_meta(b, r);
	buf_char(b, '}');
}
