/* conf/texts.c: see texts.h: lines of files (file.c) to the slots of their keys.
 *
 * Called by conf_read in conf.c.  It knows which keys and sections there are and where each may
 * stand, and nothing of values; so what it finds wrong are words: unknown ones, with the nearest
 * known, and what is said twice.  Nothing else fails.  It is apart from conf.c because this lives
 * as long as one reading, and that as long as the program. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "conf/file.h"
#include "conf/shared.h"
#include "conf/texts.h"

#define NAME_MAX_ 128 /* octets of a name that is looked for, or compared with what is near */

/* ---- slots ------------------------------------------------------------------------------- */

void
conf_texts_init(struct conf_texts *r, const struct conf_schema *const *schemas, size_t n)
{
	*r = (struct conf_texts){ .schemas = schemas, .nschemas = n };
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

static void
slots_fini(struct conf_slot *slots, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(slots[i].text);
		free(slots[i].where);
		conf_value_free(&slots[i].v);
	}
	free(slots);
}

void
conf_texts_fini(struct conf_texts *r)
{
	buf_fini(&r->why);
	slots_fini(r->slots, r->nslots);
	for (size_t i = 0; i < r->nitems; i++) {
		slots_fini(r->items[i].slots, r->items[i].sec->nkeys);
		free(r->items[i].arg);
		free(r->items[i].where);
	}
	free(r->items);
}

/* ---- lines ------------------------------------------------------------------------------- */

static const struct conf_section *
section_find(struct conf_texts *r, struct slice name)
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
slot_legal(const struct conf_texts *r, const struct conf_slot *s)
{
	return r->rank > 0 || !r->has_shared || s->is_shared;
}

/* Is there a key "name.something"? */
static bool
prefix_known(struct conf_texts *r, struct slice name)
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
conf_unknown(struct conf_texts *r, const struct conf_line *l, const char *what, struct slice name,
    const char *const *words, size_t n)
{
	const char *near = NULL;

	for (size_t i = 0; i < r->nslots && !near; i++)
		if (r->slots[i].key->type != CONF_ENUM && r->slots[i].key->choices &&
		    slice_eq(name, slice_str(r->slots[i].key->choices)))
			near = r->slots[i].key->name; /* it was renamed */
	if (!near)
		near = conf_nearest(name, words, n);
	buf_printf(&r->why, "%s:%d: unknown %s " SFMT, l->file, l->line, what, SARG(name));
	if (near)
		buf_printf(&r->why, " (did you mean %s?)", near);
	buf_char(&r->why, '\n');
}

static void
unknown_section(struct conf_texts *r, const struct conf_line *l)
{
	const char **words = mem_array(r->nslots + 64, sizeof(*words));
	char *text = mem_new(r->nslots * NAME_MAX_ + 1);
	size_t n = 0;

	for (size_t i = 0; i < r->nslots; i++) {
		struct slice key = slice_str(r->slots[i].key->name);
		size_t dot = slice_find(key, '.');

		if (dot < key.n && slot_legal(r, &r->slots[i]))
			words[n++] =
			    slice_cstr(slice_sub(key, 0, dot), text + i * NAME_MAX_, NAME_MAX_);
	}
	for (size_t i = 0; i < r->nschemas && (r->rank > 0 || !r->has_shared); i++)
		for (size_t k = 0; k < r->schemas[i]->nsections && n < r->nslots + 64; k++)
			words[n++] = r->schemas[i]->sections[k].name;
	conf_unknown(r, l, "section", l->section, words, n);
	free(text);
	free(words);
}

static bool
item_is(const struct conf_item *it, const struct conf_line *l)
{
	return slice_eq(l->section, slice_str(it->sec->name)) &&
	    slice_eq(l->arg, slice_str(it->arg));
}

static struct conf_item *
item_find(struct conf_texts *r, const struct conf_line *l)
{
	for (size_t i = 0; i < r->nitems; i++)
		if (item_is(&r->items[i], l))
			return &r->items[i];
	return NULL;
}

static void
section_begins(struct conf_texts *r, const struct conf_line *l)
{
	const struct conf_section *sec = section_find(r, l->section);
	struct conf_item *it;

	r->item = NULL;
	r->lost = true;
	if (!sec) {
		if (l->arg.n == 0 && prefix_known(r, l->section))
			r->lost = false;
		else if (prefix_known(r, l->section))
			buf_printf(&r->why, "%s:%d: section " SFMT " takes no name\n", l->file,
			    l->line, SARG(l->section));
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
slot_set(struct conf_texts *r, struct conf_slot *s, const struct conf_line *l)
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
key_line(struct conf_texts *r, const struct conf_line *l, struct slice name,
    struct conf_slot *slots, size_t n)
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
	conf_unknown(r, l, "key", name, words, nwords);
	free(words);
}

static void
conf_on_line(void *arg, const struct conf_line *l)
{
	struct conf_texts *r = arg;
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

int
conf_texts_read(struct conf_texts *r, const char *path, int rank)
{
	int rc;

	if (!path)
		return 0;
	r->rank = rank;
	r->item = NULL;
	r->lost = false;
	rc = conf_file_read(path, conf_on_line, r, &r->why);
	if (rc < 0)
		buf_printf(&r->why, "%s: %s\n", path, strerror(-rc));
	return rc;
}
