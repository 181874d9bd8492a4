/* message/fields.c: which fields a selection wants, and their bytes as a stream.
 *
 * Called by imapd's FETCH, for the header in a digest and for that of a file; digest-build.c
 * takes its fields by the same iterator, so that both give the same octets.  Nothing can fail.
 * What must stay true: a header is scanned once, whatever the number of selections and names, and
 * no selection is ever in memory as a whole: 250 of them over a header of 10 MB are 2.4 GB.
 * The lines of each name form a list; a selection merges its lists by a heap. */
#include "message/fields.h"

#include <stdlib.h>

#include "base/mem.h"

#define SCAN_LINES 4096 /* of one step */

bool
message_field_next(struct slice *at, struct slice *name, struct slice *whole)
{
	struct slice s = *at;

	while (s.n > 0 && !(s.p[0] == '\n' || (s.p[0] == '\r' && (s.n < 2 || s.p[1] == '\n')))) {
		size_t first = slice_find(s, '\n'), n = first < s.n ? first + 1 : s.n, colon;
		bool orphan = s.p[0] == ' ' || s.p[0] == '\t'; /* a fold without a field */

		while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t')) {
			size_t more = slice_find(slice_from(s, n), '\n');

			n = more < s.n - n ? n + more + 1 : s.n;
		}
		*whole = slice(s.p, n);
		s = slice_from(s, n);
		if (orphan)
			continue;
		*at = s;
		colon = slice_find(slice(whole->p, first), ':');
		*name = colon < first ? slice_trim(slice(whole->p, colon)) : slice(NULL, 0);
		return true;
	}
	*at = s;
	return false;
}

/* ---- the selections of a command ---------------------------------------------------------------- */

/* The class of a name, 0: nobody says it. */
static uint32_t
class_find(const struct message_fields *f, struct slice name)
{
	uint32_t at;

	if (!f->slots || !name.p)
		return 0;
	for (at = (uint32_t)slice_ihash(name) & f->mask; f->slots[at]; at = (at + 1) & f->mask)
		if (slice_ieq(f->names[f->slots[at] - 1], name))
			return f->slots[at];
	return 0;
}

static void
class_place(struct message_fields *f, uint32_t class)
{
	uint32_t at = (uint32_t)slice_ihash(f->names[class - 1]) & f->mask;

	while (f->slots[at])
		at = (at + 1) & f->mask;
	f->slots[at] = class;
}

static uint32_t
class_take(struct message_fields *f, struct slice name, struct arena *a)
{
	uint32_t class = class_find(f, name);

	if (class)
		return class;
	if (f->nnames == f->names_room) {
		uint32_t room = f->names_room ? f->names_room * 2 : 16;
		struct slice *names = arena_array(a, room, sizeof(*names));

		if (f->nnames > 0)
			memcpy(names, f->names, f->nnames * sizeof(*names));
		f->names = names;
		f->names_room = room;
		f->slots = arena_array(a, 2 * room, sizeof(*f->slots));
		f->mask = 2 * room - 1;
		for (uint32_t i = 1; i <= f->nnames; i++)
			class_place(f, i);
	}
	f->names[f->nnames++] = name;
	class_place(f, f->nnames);
	return f->nnames;
}

static int
class_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

uint32_t
message_fields_add(struct message_fields *f, const struct slice *names, size_t n, bool not,
    struct arena *a)
{
	struct message_selection *s;

	if (f->n == f->room) {
		uint32_t room = f->room ? f->room * 2 : 4;

		s = arena_array(a, room, sizeof(*s));
		if (f->n > 0)
			memcpy(s, f->selections, f->n * sizeof(*s));
		f->selections = s;
		f->room = room;
	}
	s = &f->selections[f->n];
	*s = (struct message_selection){ .not = not,
		.classes = arena_array(a, n, sizeof(uint32_t)) };
	f->others = f->others || not ;
	for (size_t i = 0; i < n; i++)
		s->classes[i] = class_take(f, names[i], a);
	qsort(s->classes, n, sizeof(*s->classes), class_cmp);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || s->classes[i] != s->classes[s->n - 1])
			s->classes[s->n++] = s->classes[i];
	return f->n++;
}

/* ---- one header: the scan ---------------------------------------------------------------------------- */

void
message_pick_start(struct message_picked *w, const struct message_fields *f, struct slice header)
{
	if (w->f != f) {
		w->f = f;
		w->nclasses = f->nnames + 1;
		w->classes = mem_grow(w->classes, w->nclasses, sizeof(*w->classes));
		w->met = mem_grow(w->met, w->nclasses, sizeof(*w->met));
		w->heap = mem_grow(w->heap, w->nclasses, sizeof(*w->heap));
		memset(w->classes, 0, w->nclasses * sizeof(*w->classes));
	} else {
		for (uint32_t i = 0; i < w->nmet; i++)
			w->classes[w->met[i]] = (struct message_field_class){ 0 };
	}
	w->nmet = w->nlines = w->nheap = 0;
	w->left = 0;
	w->run = slice(NULL, 0);
	w->header = w->rest = header;
}

static void
line_add(struct message_picked *w, uint32_t class, struct slice whole)
{
	struct message_field_class *c = &w->classes[class];
	struct message_field_line *line;

	if (w->nlines == w->room) {
		w->room = w->room ? w->room * 2 : 32;
		w->lines = mem_grow(w->lines, w->room, sizeof(*w->lines));
	}
	line = &w->lines[w->nlines++];
	*line = (struct message_field_line){ .at = (uint32_t)(whole.p - w->header.p),
		.len = (uint32_t)whole.n };
	if (c->first == 0) {
		w->met[w->nmet++] = class;
		c->first = w->nlines;
	} else {
		w->lines[c->last - 1].next = w->nlines;
	}
	c->last = w->nlines;
	c->bytes += whole.n;
}

bool
message_pick_scan(struct message_picked *w)
{
	struct slice name, whole;

	for (int i = 0; i < SCAN_LINES; i++) {
		uint32_t class;

		if (w->nlines == MESSAGE_FIELDS_MAX || !message_field_next(&w->rest, &name, &whole))
			return false;
		class = class_find(w->f, name);
		if (class != 0 || w->f->others)
			line_add(w, class, whole);
	}
	return true;
}

/* ---- one header: a selection -------------------------------------------------------------------------- */

/* A heap of line numbers (1 + index), the smallest on top. */
static void
heap_push(struct message_picked *w, uint32_t line)
{
	uint32_t i = w->nheap++;

	while (i > 0 && w->heap[(i - 1) / 2] > line) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = line;
}

/* The top is replaced by the line that follows in its class, or by the last of the heap. */
static void
heap_next(struct message_picked *w)
{
	uint32_t line = w->lines[w->heap[0] - 1].next, i = 0, k;

	if (line == 0)
		line = w->heap[--w->nheap];
	while ((k = 2 * i + 1) < w->nheap) {
		if (k + 1 < w->nheap && w->heap[k + 1] < w->heap[k])
			k++;
		if (w->heap[k] >= line)
			break;
		w->heap[i] = w->heap[k];
		i = k;
	}
	w->heap[i] = line;
}

static bool
says(const struct message_selection *s, uint32_t class)
{
	return s->n > 0 && bsearch(&class, s->classes, s->n, sizeof(class), class_cmp);
}

static void
heap_add_class(struct message_picked *w, uint32_t class)
{
	if (w->classes[class].first == 0)
		return;
	heap_push(w, w->classes[class].first);
	w->left += w->classes[class].bytes;
}

uint64_t
message_pick_open(struct message_picked *w, uint32_t selection)
{
	const struct message_selection *s = &w->f->selections[selection];

	w->nheap = 0;
	w->left = 2; /* the empty line */
	w->run = slice(NULL, 0);
	if (!s->not &&s->n <= w->nmet) {
		for (uint32_t i = 0; i < s->n; i++)
			heap_add_class(w, s->classes[i]);
	} else {
		for (uint32_t i = 0; i < w->nmet; i++)
			if (says(s, w->met[i]) != s->not )
				heap_add_class(w, w->met[i]);
	}
	return w->left;
}

/* The next bytes that lie together. */
static struct slice
pick_run(struct message_picked *w)
{
	if (w->run.n == 0 && w->nheap > 0) {
		const struct message_field_line *l = &w->lines[w->heap[0] - 1];

		w->run = slice_sub(w->header, l->at, l->len);
		heap_next(w);
	} else if (w->run.n == 0) {
		w->run = slice_from(S("\r\n"), w->left < 2 ? 2 - (size_t)w->left : 0);
	}
	return w->run;
}

static void
pick_advance(struct message_picked *w, size_t n)
{
	w->run = slice_from(w->run, n);
	w->left -= n;
}

size_t
message_pick_read(struct message_picked *w, struct buf *out, size_t max)
{
	size_t sum = 0;

	while (sum < max && w->left > 0) {
		struct slice run = slice_sub(pick_run(w), 0, max - sum);

		buf_slice(out, run);
		sum += run.n;
		pick_advance(w, run.n);
	}
	return sum;
}

void
message_pick_skip(struct message_picked *w, uint64_t n)
{
	while (n > 0 && w->left > 0) {
		struct slice run = pick_run(w);

		if (run.n > n)
			run.n = (size_t)n;
		n -= run.n;
		pick_advance(w, run.n);
	}
}

void
message_picked_fini(struct message_picked *w)
{
	mem_free(&w->lines);
	mem_free(&w->classes);
	mem_free(&w->met);
	mem_free(&w->heap);
	*w = (struct message_picked){ 0 };
}
