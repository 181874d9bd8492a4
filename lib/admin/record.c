/* record.c: what verbs tell: pairs of names and values, and the same as JSON.
 *
 * Called by all verbs; read by the tool, which prints it, and by the API, which sends it.  Owns nothing
 * but what is in the call's arena.  Nothing can fail.  Must stay true: values of one name stand together,
 * for the JSON writer makes an array of them. */
#include <stdarg.h>
#include <stdio.h>

#include "admin/admin-impl.h"
#include "base/json.h"

static struct admin_pair *
tell_pair(struct admin_telling *t, const char *name, struct slice value)
{
	struct admin_pair *p;

	if (t->n == t->room) {
		struct admin_pair *more =
		    arena_array(&t->a->telling, t->room * 2 + 32, sizeof(*more));

		if (t->n)
			memcpy(more, t->pairs, t->n * sizeof(*more));
		t->pairs = more;
		t->room = t->room * 2 + 32;
	}
	p = &t->pairs[t->n++];
	*p = (struct admin_pair){ .name = name, .value = value };
	return p;
}

void
admin_tell_add(struct admin_telling *t, const char *name, struct slice value)
{
	tell_pair(t, name, value);
}

void
admin_tell_list(struct admin_telling *t, const char *name, struct slice value)
{
	tell_pair(t, name, value)->list = true;
}

void
admin_tell_number(struct admin_telling *t, const char *name, uint64_t value)
{
	char *text = arena_printf(&t->a->telling, "%llu", (unsigned long long)value);

	tell_pair(t, name, slice_str(text))->number = true;
}

void
admin_tell_end(struct admin_telling *t, const char *kind)
{
	struct admin_record r = { kind, t->pairs, t->n };

	if (t->a->call->record)
		t->a->call->record(t->a->call->arg, &r);
	t->n = t->room = 0;
	t->pairs = NULL;
	arena_rewind(&t->a->telling, 64 * 1024);
}

void
admin_say(struct admin *a, const char *kind, struct slice name, const char *fmt, ...)
{
	struct admin_telling t = { .a = a };
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (name.n)
		admin_tell_add(&t, "name", name);
	admin_tell_add(&t, "text", slice_str(text));
	admin_tell_end(&t, kind);
}

struct slice
admin_record_get(const struct admin_record *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->pairs[i].name, name) == 0)
			return r->pairs[i].value;
	return S("");
}

static void
record_value(const struct admin_pair *p, struct buf *out)
{
	if (p->number)
		buf_slice(out, p->value);
	else
		json_str(out, p->value);
}

void
admin_record_json(const struct admin_record *r, struct buf *out)
{
	buf_char(out, '{');
	json_put_cstr(out, "kind", r->kind);
	for (size_t i = 0; i < r->n; i++) {
		const struct admin_pair *p = &r->pairs[i];

		json_key(out, p->name);
		if (!p->list) {
			record_value(p, out);
			continue;
		}
		buf_char(out, '[');
		record_value(p, out);
		for (; i + 1 < r->n && strcmp(r->pairs[i + 1].name, p->name) == 0; i++) {
			buf_char(out, ',');
			record_value(&r->pairs[i + 1], out);
		}
		buf_char(out, ']');
	}
	buf_char(out, '}');
}
