/* conf/conf.c: see conf.h: the variables that the configuration sets.
 *
 * Owns what is in effect: the values in the variables, where each came from, and old strings that
 * somebody may still hold.  Texts are gathered from the files first (texts.c); when all are there
 * they are parsed (value.c), and only when all are good they go into the variables, so that a
 * mistake leaves the old configuration whole.  For the main thread, before and between its work. */
#include <errno.h>
#include <stdlib.h>
#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "conf/file.h"
#include "conf/hostname.h"
#include "conf/shared.h"
#include "conf/texts.h"

/* Where a variable's value came from. */
struct origin {
	const void *field;
	char *where;
};
static struct map origins;

/* Values taken out of variables: valid until the next successful read. */
static struct conf_value *retired;
static size_t nretired;

/* ---- origins and retired values ---------------------------------------------------------- */

static struct slice
field_key(const void *const *field)
{
	return slice((const char *)field, sizeof(*field));
}

static void
origin_set(const void *field, char *where)
{
	struct origin *o = map_get(&origins, field_key(&field));

	if (!o) {
		o = mem_new(sizeof(*o));
		o->field = field;
		(void)map_put(&origins, field_key(&o->field), o);
	}
	free(o->where);
	o->where = where;
}

const char *
conf_where(const void *field)
{
	struct origin *o = map_get(&origins, field_key(&field));

	return o && o->where ? o->where : "default";
}

static void
origin_drop(const void *field)
{
	struct origin *o = map_take(&origins, field_key(&field));

	if (o) {
		free(o->where);
		free(o);
	}
}

static void
retire(struct conf_value v)
{
	if (!v.str && !v.list)
		return;
	retired = mem_grow(retired, nretired + 1, sizeof(*retired));
	retired[nretired++] = v;
}

static void
retired_free(void)
{
	while (nretired)
		conf_value_free(&retired[--nretired]);
	mem_free(&retired);
}

/* ---- parsing ----------------------------------------------------------------------------- */

/* All paths hang on `prefix`, wherever in the files it stands. */
static void
find_prefix(struct conf_texts *r)
{
	r->prefix = r->has_shared || !shared.prefix ? "" : shared.prefix;
	for (size_t i = 0; r->has_shared && i < r->nslots; i++) {
		struct conf_slot *s = &r->slots[i];
		size_t n;

		if (!s->is_shared || strcmp(s->key->name, "prefix") != 0 || !s->text)
			continue;
		for (n = strlen(s->text); n && s->text[n - 1] == '/';)
			s->text[--n] = '\0';
		if (n && s->text[0] != '/')
			buf_printf(&r->why, "%s: prefix must be an absolute path\n", s->where);
		r->prefix = s->text;
	}
}

static void
slot_parse(struct conf_texts *r, struct conf_slot *s, const struct conf_item *it)
{
	const char *text = s->text ? s->text : s->key->dflt;
	char *moved = NULL, *reason;

	if (text && !*text && s->is_shared && strcmp(s->key->name, "hostname") == 0)
		text = s->key->dflt; /* there is no host without a name */
	if (!text) {
		if (it)
			buf_printf(&r->why, "%s: [%s %s] needs the key %s\n", it->where,
			    it->sec->name, it->arg, s->key->name);
		else
			buf_printf(&r->why, "the key %s is required\n", s->key->name);
		return;
	}
	if (!s->text && s->key->type == CONF_PATH && text[0] == '/')
		text = moved = mem_printf("%s%s", r->prefix, text);
	if (conf_value_parse(s->key, slice_str(text), r->prefix, &s->v, &reason) < 0)
		buf_printf(&r->why, "%s: %s = %s: %s\n", s->where ? s->where : "default",
		    s->key->name, s->key->type == CONF_SECRET ? "..." : text, reason);
	free(reason);
	free(moved);
}

static void
parse_all(struct conf_texts *r)
{
	find_prefix(r);
	for (size_t i = 0; i < r->nslots; i++)
		slot_parse(r, &r->slots[i], NULL);
	for (size_t i = 0; i < r->nitems; i++)
		for (size_t k = 0; k < r->items[i].sec->nkeys; k++)
			slot_parse(r, &r->items[i].slots[k], &r->items[i]);
}

/* ---- storing ----------------------------------------------------------------------------- */

static void
slot_store(struct conf_texts *r, struct conf_slot *s, void *field, bool reload,
    const struct conf_item *it)
{
	struct conf_value old;

	if (reload && conf_value_same(s->key, field, &s->v)) {
		origin_set(field, s->where);
		s->where = NULL;
		return;
	}
	if (reload && s->key->when == RESTART) {
		buf_printf(&r->why, "%s: %s%s%s has changed: needs a restart\n",
		    s->where ? s->where : "default", it ? it->arg : "", it ? "." : "",
		    s->key->name);
		return;
	}
	conf_value_store(s->key, field, s->v, &old);
	s->v = (struct conf_value){ 0 };
	retire(old);
	origin_set(field, s->where);
	s->where = NULL;
}

static char *
arg_of(const struct conf_section *sec, void *p)
{
	return *(char **)(void *)((char *)p + sec->arg_at);
}

static void *
struct_find(const struct conf_section *sec, const char *arg)
{
	for (void **p = *sec->items; p && *p; p++)
		if (strcmp(arg_of(sec, *p), arg) == 0)
			return *p;
	return NULL;
}

static void
item_fill(struct conf_texts *r, struct conf_item *it, void *p, bool reload)
{
	for (size_t k = 0; k < it->sec->nkeys; k++)
		slot_store(r, &it->slots[k], (char *)p + (uintptr_t)it->sec->keys[k].field, reload,
		    it);
}

static void
section_store(struct conf_texts *r, const struct conf_section *sec, bool reload)
{
	bool fixed = reload && sec->nkeys && sec->keys[0].when == RESTART;
	void **list = mem_array(r->nitems + 1, sizeof(*list)), **old = *sec->items;
	size_t n = 0;

	for (size_t i = 0; i < r->nitems; i++) {
		struct conf_item *it = &r->items[i];
		void *p;

		if (it->sec != sec)
			continue;
		p = reload ? struct_find(sec, it->arg) : NULL;
		if (!p && fixed) {
			buf_printf(&r->why, "%s: [%s %s] is new: needs a restart\n", it->where,
			    sec->name, it->arg);
			continue;
		}
		if (p) {
			item_fill(r, it, p, true);
		} else {
			p = mem_new(sec->size);
			*(char **)(void *)((char *)p + sec->arg_at) = mem_str(it->arg);
			item_fill(r, it, p, false);
		}
		list[n++] = p;
	}
	for (; fixed && old && *old; old++) {
		size_t i = 0;

		while (i < n && list[i] != *old)
			i++;
		if (i < n)
			continue;
		buf_printf(&r->why, "[%s %s] is gone: needs a restart\n", sec->name,
		    arg_of(sec, *old));
		list = mem_grow(list, n + 2, sizeof(*list));
		list[n++] = *old;
		list[n] = NULL;
	}
	retire((struct conf_value){ .list = (char **)*sec->items });
	*sec->items = list;
}

static void
store_all(struct conf_texts *r, bool reload)
{
	retired_free();
	for (size_t i = 0; i < r->nslots; i++)
		slot_store(r, &r->slots[i], r->slots[i].key->field, reload, NULL);
	for (size_t i = 0; i < r->nschemas; i++)
		for (size_t k = 0; k < r->schemas[i]->nsections; k++)
			section_store(r, &r->schemas[i]->sections[k], reload);
}

/* The messages quote the file, which may hold anything; a terminal or log gets only text. */
static char *
conf_printable(struct buf *b)
{
	bool text = utf8_valid(buf_get(b));

	for (size_t i = 0; i < b->n; i++) {
		unsigned char c = (unsigned char)b->p[i];

		if ((c < ' ' && c != '\n') || c == 0x7f || (c > 0x7f && !text))
			b->p[i] = '?';
	}
	return buf_take(b);
}

int
conf_read(const struct conf_schema *const *schemas, size_t nschemas, const char *shared_path,
    const char *path, bool reload, char **why)
{
	struct conf_texts r;
	int rc, rc2;

	*why = NULL;
	if (shared_path || path)
		conf_file_forget();
	conf_hostname_default();
	conf_texts_init(&r, schemas, nschemas);
	rc = conf_texts_read(&r, shared_path, 0);
	rc2 = conf_texts_read(&r, path, 1);
	if (rc == 0)
		rc = rc2;
	if (rc == 0) {
		parse_all(&r);
		if (r.why.n)
			rc = -EINVAL;
	}
	if (rc == 0)
		store_all(&r, reload);
	if (r.why.n)
		*why = conf_printable(&r.why);
	conf_texts_fini(&r);
	return rc;
}

/* ---- printing and freeing ---------------------------------------------------------------- */

static void
print_key(struct buf *out, const struct conf_key *key, const void *field)
{
	size_t from = out->n;

	buf_printf(out, "%s = ", key->name);
	conf_value_write(out, key, field);
	do
		buf_char(out, ' ');
	while (out->n - from < 40);
	buf_printf(out, " # %s\n", conf_where(field));
}

void
conf_print(const struct conf_schema *const *schemas, size_t nschemas, struct buf *out)
{
	for (size_t i = 0; i < nschemas; i++)
		for (size_t k = 0; k < schemas[i]->nkeys; k++)
			print_key(out, &schemas[i]->keys[k], schemas[i]->keys[k].field);
	for (size_t i = 0; i < nschemas; i++) {
		for (size_t k = 0; k < schemas[i]->nsections; k++) {
			const struct conf_section *sec = &schemas[i]->sections[k];

			for (void **p = *sec->items; p && *p; p++) {
				buf_printf(out, "\n[%s %s]\n", sec->name, arg_of(sec, *p));
				for (size_t j = 0; j < sec->nkeys; j++)
					print_key(out, &sec->keys[j],
					    (char *)*p + (uintptr_t)sec->keys[j].field);
			}
		}
	}
}

static void
describe_key(struct buf *out, const char *section, const struct conf_key *key)
{
	if (section)
		buf_printf(out, "[%s].", section);
	buf_printf(out, "%s\t%s\t%s\t%s\t%s\n", key->name,
	    key->type == CONF_ENUM ? key->choices : conf_type_name(key->type),
	    !key->dflt     ? "-" :
		*key->dflt ? key->dflt :
			     "\"\"",
	    key->when == RELOAD ? "reload" : "restart", key->help ? key->help : "");
}

void
conf_describe(const struct conf_schema *const *schemas, size_t nschemas, struct buf *out)
{
	for (size_t i = 0; i < nschemas; i++) {
		for (size_t k = 0; k < schemas[i]->nkeys; k++)
			describe_key(out, NULL, &schemas[i]->keys[k]);
		for (size_t k = 0; k < schemas[i]->nsections; k++)
			for (size_t j = 0; j < schemas[i]->sections[k].nkeys; j++)
				describe_key(out, schemas[i]->sections[k].name,
				    &schemas[i]->sections[k].keys[j]);
	}
}

static void
clear_key(const struct conf_key *key, void *field)
{
	struct conf_value old;

	conf_value_store(key, field, (struct conf_value){ 0 }, &old);
	conf_value_free(&old);
	origin_drop(field);
}

void
conf_free(const struct conf_schema *const *schemas, size_t nschemas)
{
	for (size_t i = 0; i < nschemas; i++) {
		for (size_t k = 0; k < schemas[i]->nkeys; k++)
			clear_key(&schemas[i]->keys[k], schemas[i]->keys[k].field);
		for (size_t k = 0; k < schemas[i]->nsections; k++) {
			const struct conf_section *sec = &schemas[i]->sections[k];

			for (void **p = *sec->items; p && *p; p++) {
				for (size_t j = 0; j < sec->nkeys; j++)
					clear_key(&sec->keys[j],
					    (char *)*p + (uintptr_t)sec->keys[j].field);
				free(arg_of(sec, *p));
				free(*p);
			}
			mem_free(sec->items);
		}
	}
	retired_free();
	if (origins.n == 0) {
		conf_file_forget();
		map_fini(&origins);
	}
}
