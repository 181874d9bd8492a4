/* milter/header.c: a list of fields, in order; what is changed lives in its arena.  Called with replies
 * that packet.c has found good; cannot fail.  Must stay true: what one value brings is one field. */
#include "milter/header.h"

#include "mail/header.h"

static void
field_link(struct milter_header *h, struct milter_field **at, struct milter_field *f)
{
	f->next = *at;
	*at = f;
	if (!f->next)
		h->last = &f->next;
	h->bytes += f->whole.n;
}

bool
milter_header_init(struct milter_header *h, struct slice fields)
{
	struct header_field f;
	size_t n = 0;

	*h = (struct milter_header){ .last = NULL };
	h->last = &h->first;
	field_link(h, h->last, arena_new(&h->arena, sizeof(struct milter_field)));
	while (header_next(&fields, &f)) {
		struct milter_field *new;

		if (n++ == MILTER_FIELDS)
			return false;
		new = arena_new(&h->arena, sizeof(*new));
		new->name = f.name.p ? f.name : S("");
		new->value = f.value;
		new->whole = f.whole;
		field_link(h, h->last, new);
	}
	return true;
}

void
milter_header_fini(struct milter_header *h)
{
	arena_reset(&h->arena);
	*h = (struct milter_header){ .last = NULL };
}

/* One line of a value.  False: there is nothing in it. */
static bool
value_line(struct buf *out, struct slice line)
{
	bool blank = true;
	size_t at = out->n;

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	buf_slice(out, line);
	for (size_t i = at; i < out->n; i++) {
		unsigned char c = (unsigned char)out->p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			out->p[i] = ' ';
		blank = blank && (out->p[i] == ' ' || out->p[i] == '\t');
	}
	return !blank;
}

/* "Name: value" CRLF: one field, whatever is in the value. */
static void
field_text(struct buf *out, struct slice name, struct slice value, bool space)
{
	struct slice line;
	bool first = true;

	buf_slice(out, name);
	buf_char(out, ':');
	if (!space)
		buf_char(out, ' ');
	while (slice_cut(&value, '\n', &line)) {
		size_t at = out->n;

		if (!first)
			buf_lit(out, "\r\n");
		if (!first && (line.n == 0 || (line.p[0] != ' ' && line.p[0] != '\t')))
			buf_char(out, '\t');
		if (!value_line(out, line) && !first)
			out->n = at;
		first = false;
	}
	buf_lit(out, "\r\n");
}

static void
field_set(struct milter_header *h, struct milter_field *f, const struct milter_reply *r, bool space)
{
	struct buf text = { 0 };

	field_text(&text, r->name, r->value, space);
	f->whole = arena_slice(&h->arena, buf_get(&text));
	f->name = slice_sub(f->whole, 0, r->name.n);
	f->value = slice_sub(f->whole, r->name.n + 1, f->whole.n - r->name.n - 3);
	buf_fini(&text);
}

static void
field_new(struct milter_header *h, struct milter_field **at, const struct milter_reply *r,
    bool space)
{
	struct milter_field *f = arena_new(&h->arena, sizeof(*f));

	field_set(h, f, r, space);
	field_link(h, at, f);
}

static void
field_change(struct milter_header *h, const struct milter_reply *r, bool space)
{
	struct milter_field **at = &h->first;
	uint32_t left = r->index;

	for (; *at; at = &(*at)->next)
		if ((*at)->name.p && slice_ieq((*at)->name, r->name) && --left == 0)
			break;
	if (!*at) {
		if (r->value.n)
			field_new(h, h->last, r, space);
		return;
	}
	h->bytes -= (*at)->whole.n;
	if (r->value.n) {
		field_set(h, *at, r, space);
		h->bytes += (*at)->whole.n;
		return;
	}
	if (h->last == &(*at)->next)
		h->last = at;
	*at = (*at)->next;
}

static void
field_insert(struct milter_header *h, const struct milter_reply *r, bool space)
{
	struct milter_field **at = &h->first;

	for (uint32_t left = r->index; left && *at; left--)
		at = &(*at)->next;
	field_new(h, at, r, space);
}

void
milter_header_apply(struct milter_header *h, const struct milter_reply *r, bool space)
{
	h->changed = true;
	if (r->answer == MILTER_CHANGE_HEADER)
		field_change(h, r, space);
	else if (r->answer == MILTER_INSERT_HEADER)
		field_insert(h, r, space);
	else
		field_new(h, h->last, r, space);
}

void
milter_header_write(const struct milter_header *h, struct buf *above, struct buf *below)
{
	struct buf *to = above;

	for (const struct milter_field *f = h->first; f; f = f->next)
		if (f->name.p)
			buf_slice(to, f->whole);
		else
			to = below;
}
