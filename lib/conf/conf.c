/* conf/conf.c: see conf.h.  Texts are collected from the files first (file.c); when all are
 * there they are parsed (value.c), and only when all are good they go into the variables. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/utf8.h"
#include "conf/file.h"
#include "conf/hostname.h"
#include "conf/shared.h"
#include "conf/value.h"

#define NAME_MAX_ 128

/* What the files say about one key. */
struct slot {
	const struct conf_key *key;
	char *text;   /* NULL = not there */
	char *where;  /* "file:line" */
	int rank;     /* which file: the daemon's own may repeat a shared key */
	bool is_shared;
	struct conf_value v;
};

/* A [name ARG] in the files. */
struct item {
	const struct conf_section *sec;
	char *arg, *where;
	struct slot *slots;
};

struct reading {
	const struct conf_schema *const *schemas;
	size_t nschemas;
	struct slot *slots;
	size_t nslots;
	struct item *items;
	size_t nitems;
	struct item *item;  /* that the lines belong to */
	bool lost;          /* lines belong to a section that was refused */
	int rank;
	bool has_shared;
	const char *prefix;
	struct buf why;
};

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

/* ---- collecting -------------------------------------------------------------------------- */

static void
slots_init(struct reading *r)
{
	for (size_t i = 0; i < r->nschemas; i++)
		r->nslots += r->schemas[i]->nkeys;
	r->slots = mem_array(r->nslots + 1, sizeof(*r->slots));
	r->nslots = 0;
	for (size_t i = 0; i < r->nschemas; i++) {
		bool is_shared = r->schemas[i] == &conf_shared_schema;

		r->has_shared |= is_shared;
		for (size_t k = 0; k < r->schemas[i]->nkeys; k++) {
			r->slots[r->nslots].is_shared = is_shared;
			r->slots[r->nslots++].key = &r->schemas[i]->keys[k];
		}
	}
}

static const struct conf_section *
section_find(struct reading *r, struct slice name)
{
	if (r->rank == 0 && r->has_shared)
		return NULL;
	for (size_t i = 0; i < r->nschemas; i++)
		for (size_t k = 0; k < r->schemas[i]->nsections; k++)
			if (slice_eq(name, slice_str(r->schemas[i]->sections[k].name)))
				return &r->schemas[i]->sections[k];
	return NULL;
}

static bool
slot_legal(const struct reading *r, const struct slot *s)
{
	return r->rank > 0 || !r->has_shared || s->is_shared;
}

/* Is there a key "name.something"? */
static bool
prefix_known(struct reading *r, struct slice name)
{
	for (size_t i = 0; i < r->nslots; i++) {
		struct slice key = slice_str(r->slots[i].key->name);

		if (slot_legal(r, &r->slots[i]) && key.n > name.n && key.p[name.n] == '.' &&
		    slice_starts(key, name))
			return true;
	}
	return false;
}

static void
unknown(struct reading *r, const struct conf_line *l, const char *what, struct slice name,
    const char *const *words, size_t n)
{
	const char *near = conf_nearest(name, words, n);

	buf_printf(&r->why, "%s:%d: unknown %s " SFMT, l->file, l->line, what, SARG(name));
	if (near)
		buf_printf(&r->why, " (did you mean %s?)", near);
	buf_char(&r->why, '\n');
}

static void
unknown_section(struct reading *r, const struct conf_line *l)
{
	const char **words = mem_array(r->nslots + 64, sizeof(*words));
	char *text = mem_new(r->nslots * NAME_MAX_ + 1);
	size_t n = 0;

	for (size_t i = 0; i < r->nslots; i++) {
		struct slice key = slice_str(r->slots[i].key->name);
		size_t dot = slice_find(key, '.');

		if (dot < key.n && slot_legal(r, &r->slots[i]))
			words[n++] = slice_cstr(slice_sub(key, 0, dot), text + i * NAME_MAX_, NAME_MAX_);
	}
	for (size_t i = 0; i < r->nschemas && (r->rank > 0 || !r->has_shared); i++)
		for (size_t k = 0; k < r->schemas[i]->nsections && n < r->nslots + 64; k++)
			words[n++] = r->schemas[i]->sections[k].name;
	unknown(r, l, "section", l->section, words, n);
	free(text);
	free(words);
}

static bool
item_is(const struct item *it, const struct conf_line *l)
{
	return slice_eq(l->section, slice_str(it->sec->name)) && slice_eq(l->arg, slice_str(it->arg));
}

static struct item *
item_find(struct reading *r, const struct conf_line *l)
{
	for (size_t i = 0; i < r->nitems; i++)
		if (item_is(&r->items[i], l))
			return &r->items[i];
	return NULL;
}

static void
section_begins(struct reading *r, const struct conf_line *l)
{
	const struct conf_section *sec = section_find(r, l->section);
	struct item *it;

	r->item = NULL;
	r->lost = true;
	if (!sec) {
		if (l->arg.n == 0 && prefix_known(r, l->section))
			r->lost = false;
		else if (prefix_known(r, l->section))
			buf_printf(&r->why, "%s:%d: section " SFMT " takes no name\n", l->file, l->line,
			    SARG(l->section));
		else
			unknown_section(r, l);
		return;
	}
	if (l->arg.n == 0) {
		buf_printf(&r->why, "%s:%d: section needs a name: [%s NAME]\n", l->file, l->line,
		    sec->name);
		return;
	}
	if ((it = item_find(r, l))) {
		buf_printf(&r->why, "%s:%d: section [%s %s] is already at %s\n", l->file, l->line,
		    sec->name, it->arg, it->where);
		return;
	}
	r->lost = false;
	r->items = mem_grow(r->items, r->nitems + 1, sizeof(*r->items));
	it = &r->items[r->nitems++];
	it->sec = sec;
	it->arg = mem_strn(l->arg.p, l->arg.n);
	it->where = mem_printf("%s:%d", l->file, l->line);
	it->slots = mem_array(sec->nkeys + 1, sizeof(*it->slots));
	for (size_t i = 0; i < sec->nkeys; i++)
		it->slots[i].key = &sec->keys[i];
	r->item = it;
}

static void
slot_set(struct reading *r, struct slot *s, const struct conf_line *l)
{
	if (s->text && s->rank == r->rank) {
		buf_printf(&r->why, "%s:%d: %s is already set at %s\n", l->file, l->line,
		    s->key->name, s->where);
		return;
	}
	free(s->text);
	free(s->where);
	s->text = mem_strn(l->value.p, l->value.n);
	s->where = mem_printf("%s:%d", l->file, l->line);
	s->rank = r->rank;
}

static void
key_line(struct reading *r, const struct conf_line *l, struct slice name, struct slot *slots,
    size_t n)
{
	const char **words = mem_array(n + 1, sizeof(*words));
	size_t nwords = 0;

	for (size_t i = 0; i < n; i++) {
		if (!slot_legal(r, &slots[i]) && !r->item)
			continue;
		if (slice_eq(name, slice_str(slots[i].key->name))) {
			slot_set(r, &slots[i], l);
			free(words);
			return;
		}
		words[nwords++] = slots[i].key->name;
	}
	unknown(r, l, "key", name, words, nwords);
	free(words);
}

static void
on_line(void *arg, const struct conf_line *l)
{
	struct reading *r = arg;
	char full[2 * NAME_MAX_];

	if (l->key.n == 0) {
		section_begins(r, l);
		return;
	}
	if (l->section.n == 0 || (r->item && !item_is(r->item, l))) {
		/* Back from the sections of an included file. */
		r->item = item_find(r, l);
		r->lost = false;
	}
	if (r->lost) {
		return; /* said already */
	} else if (r->item) {
		key_line(r, l, l->key, r->item->slots, r->item->sec->nkeys);
	} else if (l->section.n == 0) {
		key_line(r, l, l->key, r->slots, r->nslots);
	} else {
		snprintf(full, sizeof(full), SFMT "." SFMT, SARG(l->section), SARG(l->key));
		key_line(r, l, slice_str(full), r->slots, r->nslots);
	}
}

static int
collect(struct reading *r, const char *path, int rank)
{
	int rc;

	if (!path)
		return 0;
	r->rank = rank;
	r->item = NULL;
	r->lost = false;
	rc = conf_file_read(path, on_line, r, &r->why);
	if (rc < 0)
		buf_printf(&r->why, "%s: %s\n", path, strerror(-rc));
	return rc;
}

/* ---- parsing ----------------------------------------------------------------------------- */

/* All paths hang on `prefix`, wherever in the files it stands. */
static void
find_prefix(struct reading *r)
{
	r->prefix = r->has_shared || !shared.prefix ? "" : shared.prefix;
	for (size_t i = 0; r->has_shared && i < r->nslots; i++) {
		struct slot *s = &r->slots[i];
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
slot_parse(struct reading *r, struct slot *s, const struct item *it)
{
	const char *text = s->text ? s->text : s->key->dflt;
	char *moved = NULL, *reason;

	if (text && !*text && s->is_shared && strcmp(s->key->name, "hostname") == 0)
		text = s->key->dflt; /* there is no host without a name */
	if (!text) {
		if (it)
			buf_printf(&r->why, "%s: [%s %s] needs the key %s\n", it->where, it->sec->name,
			    it->arg, s->key->name);
		else
			buf_printf(&r->why, "the key %s is required\n", s->key->name);
		return;
	}
	if (!s->text && s->key->type == CONF_PATH && text[0] == '/')
		text = moved = mem_printf("%s%s", r->prefix, text);
	if (conf_value_parse(s->key, slice_str(text), r->prefix, &s->v, &reason) < 0)
		buf_printf(&r->why, "%s: %s = %s: %s\n", s->where ? s->where : "default", s->key->name,
		    s->key->type == CONF_SECRET ? "..." : text, reason);
	free(reason);
	free(moved);
}

static void
parse_all(struct reading *r)
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
slot_store(struct reading *r, struct slot *s, void *field, bool reload, const struct item *it)
{
	struct conf_value old;

	if (reload && conf_value_same(s->key, field, &s->v)) {
		origin_set(field, s->where);
		s->where = NULL;
		return;
	}
	if (reload && s->key->when == RESTART) {
		buf_printf(&r->why, "%s: %s%s%s has changed: needs a restart\n",
		    s->where ? s->where : "default", it ? it->arg : "", it ? "." : "", s->key->name);
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
item_fill(struct reading *r, struct item *it, void *p, bool reload)
{
	for (size_t k = 0; k < it->sec->nkeys; k++)
		slot_store(r, &it->slots[k], (char *)p + (uintptr_t)it->sec->keys[k].field, reload, it);
}

static void
section_store(struct reading *r, const struct conf_section *sec, bool reload)
{
	bool fixed = reload && sec->nkeys && sec->keys[0].when == RESTART;
	void **list = mem_array(r->nitems + 1, sizeof(*list)), **old = *sec->items;
	size_t n = 0;

	for (size_t i = 0; i < r->nitems; i++) {
		struct item *it = &r->items[i];
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
		buf_printf(&r->why, "[%s %s] is gone: needs a restart\n", sec->name, arg_of(sec, *old));
		list = mem_grow(list, n + 2, sizeof(*list));
		list[n++] = *old;
		list[n] = NULL;
	}
	retire((struct conf_value){ .list = (char **)*sec->items });
	*sec->items = list;
}

static void
store_all(struct reading *r, bool reload)
{
	retired_free();
	for (size_t i = 0; i < r->nslots; i++)
		slot_store(r, &r->slots[i], r->slots[i].key->field, reload, NULL);
	for (size_t i = 0; i < r->nschemas; i++)
		for (size_t k = 0; k < r->schemas[i]->nsections; k++)
			section_store(r, &r->schemas[i]->sections[k], reload);
}

static void
slots_fini(struct slot *slots, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(slots[i].text);
		free(slots[i].where);
		conf_value_free(&slots[i].v);
	}
	free(slots);
}

/* The messages quote the file, which may hold anything; a terminal or log gets only text. */
static char *
printable(struct buf *b)
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
	struct reading r = { .schemas = schemas, .nschemas = nschemas };
	int rc, rc2;

	*why = NULL;
	conf_hostname_default();
	slots_init(&r);
	rc = collect(&r, shared_path, 0);
	rc2 = collect(&r, path, 1);
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
		*why = printable(&r.why);
	buf_fini(&r.why);
	slots_fini(r.slots, r.nslots);
	for (size_t i = 0; i < r.nitems; i++) {
		slots_fini(r.items[i].slots, r.items[i].sec->nkeys);
		free(r.items[i].arg);
		free(r.items[i].where);
	}
	free(r.items);
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
	    key->choices ? key->choices : conf_type_name(key->type),
	    !key->dflt ? "-" : *key->dflt ? key->dflt : "\"\"",
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
					clear_key(&sec->keys[j], (char *)*p + (uintptr_t)sec->keys[j].field);
				free(arg_of(sec, *p));
				free(*p);
			}
			mem_free(sec->items);
		}
	}
	retired_free();
	if (origins.n == 0)
		map_fini(&origins);
}
