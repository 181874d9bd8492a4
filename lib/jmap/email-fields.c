/* email-fields.c: finds the wanted fields of a header in one pass, then writes them one by one.
 *
 * Called by email-write.c for each header of a message.  Nothing can fail.  A field's name is looked up among
 * the wanted ones, which stand sorted, and its value is chained to those of the same name: an attacker's
 * header of a hundred thousand fields and a client's list of two hundred cost their sum.  What must stay true:
 * of several fields the last one counts (4.1.3), and all of them in their order. */
#include "jmap/email-fields.h"

#include "base/json.h"
#include "mail/header.h"

struct jmap_found {
	struct slice value;
	uint32_t next; /* of the same name: 1 + its place */
};

void
jmap_comma(struct buf *out, bool *first)
{
	if (!*first)
		buf_char(out, ',');
	*first = false;
}

void
jmap_member(struct buf *out, bool *first, struct slice key)
{
	jmap_comma(out, first);
	json_str(out, key);
	buf_char(out, ':');
}

static void
found_add(struct jmap_found_fields *f, size_t name, struct slice value, struct arena *a)
{
	if (f->n == f->room) {
		struct jmap_found *more;

		f->room = f->room ? f->room * 2 : 16;
		more = arena_array(a, f->room, sizeof(*more));
		if (f->n > 0)
			memcpy(more, f->values, f->n * sizeof(*more));
		f->values = more;
	}
	f->values[f->n++] = (struct jmap_found){ .value = value };
	if (f->last[name])
		f->values[f->last[name] - 1].next = f->n;
	else
		f->first[name] = f->n;
	f->last[name] = f->n;
}

void
jmap_found_start(struct jmap_found_fields *f, const struct jmap_fields *fields, struct slice header,
    struct arena *a)
{
	struct header_field h;

	*f = (struct jmap_found_fields){ .fields = fields };
	if (fields->n == 0)
		return;
	f->first = arena_array(a, fields->nnames, sizeof(*f->first));
	f->last = arena_array(a, fields->nnames, sizeof(*f->last));
	while (header_next(&header, &h)) {
		size_t name = h.name.n ? jmap_fields_place(fields, h.name) : fields->nnames;

		if (name < fields->nnames)
			found_add(f, name, h.value, a);
	}
}

/* One value of an array of them: true when that was the last. */
static bool
found_write_all(struct jmap_found_fields *f, struct buf *out, struct arena *scratch)
{
	const struct jmap_field *field = &f->fields->f[f->at];

	if (!f->open) {
		f->open = true;
		f->value = f->first[f->fields->name_of[f->at]];
		buf_char(out, '[');
	} else {
		buf_char(out, ',');
	}
	if (f->value) {
		jmap_form_write(out, field->form, f->values[f->value - 1].value, scratch);
		f->value = f->values[f->value - 1].next;
	}
	if (f->value)
		return false;
	buf_char(out, ']');
	f->open = false;
	return true;
}

bool
jmap_found_next(struct jmap_found_fields *f, struct buf *out, bool *first, struct arena *scratch)
{
	const struct jmap_field *field;
	uint32_t last;

	if (f->at == f->fields->n)
		return false;
	field = &f->fields->f[f->at];
	if (!f->open)
		jmap_member(out, first, field->property);
	if (field->all) {
		f->at += found_write_all(f, out, scratch);
		return true;
	}
	last = f->last[f->fields->name_of[f->at++]];
	if (last)
		jmap_form_write(out, field->form, f->values[last - 1].value, scratch);
	else
		buf_lit(out, "null");
	return true;
}

bool
jmap_header_list_next(struct slice *header, struct buf *out, bool *first)
{
	struct header_field h;

	while (header_next(header, &h)) {
		if (h.name.n == 0) /* no field: RFC 8621 has no place for it */
			continue;
		jmap_comma(out, first);
		buf_lit(out, "{\"name\":");
		json_str(out, h.name);
		buf_lit(out, ",\"value\":");
		json_str(out, h.value);
		buf_char(out, '}');
		return true;
	}
	return false;
}
