/* message.c: the message of a run: its fields in a list, what is decoded of them, its parts.
 *
 * The header is cut into fields when the first test asks for one; a value is unfolded and decoded when
 * it is compared for the first time and kept, because rules ask for the same few fields again
 * and again.  The body is not asked for before a test needs it.  Everything is in the arena of the run's
 * result, bounded by its memory; editing (edit.c) changes the list and what is rendered from it. */
#include "base/utf8.h"
#include "mail/encoded-word.h"
#include "mail/text.h"
#include "sieve/message.h"

struct part_read {
	struct part_read *next;
	const struct mime_part *part;
	struct sieve_fields fields;
	bool read;               /* fields are */
	struct sieve_value text; /* p is NULL before */
};

struct sieve_message {
	struct sieve_fields fields;
	bool edited;
	struct slice rendered; /* of the edited header; p is NULL after a change */
	struct slice all;
	struct mime mime;
	bool parsed;
	struct part_read *parts;
};

uint32_t
sieve_name_hash(struct slice s)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)ascii_lower(s.p[i])) * 16777619u;
	return h;
}

/* ---- fields -------------------------------------------------------------------------------------------- */

static void
fields_read(struct sieve_run *r, struct slice header, struct sieve_fields *to)
{
	struct header_field h;

	while (header_next(&header, &h)) {
		struct sieve_field *f;

		if (h.name.n == 0)
			continue;
		if (!sieve_spend(r, NULL, 1))
			return;
		f = arena_new(r->arena, sizeof(*f));
		f->name = h.name;
		f->whole = h.whole;
		f->raw = h.value;
		f->hash = sieve_name_hash(h.name);
		if (to->last)
			to->last->next = f;
		else
			to->first = f;
		to->last = f;
	}
}

static struct sieve_message *
message_read(struct sieve_run *r)
{
	if (!r->message) {
		r->message = arena_new(r->arena, sizeof(*r->message));
		fields_read(r, r->own.p ? r->own_header : r->host->header, &r->message->fields);
		r->message->all = r->own;
	}
	return r->message;
}

struct sieve_fields *
sieve_fields_message(struct sieve_run *r)
{
	return &message_read(r)->fields;
}

void
sieve_walk_begin(struct sieve_walk *w, struct sieve_run *r, const struct sieve_call *c,
    struct sieve_fields *fields, const struct sieve_text *name)
{
	*w = (struct sieve_walk){ .run = r, .call = c, .fields = fields };
	sieve_spend(r, c, 1);
	w->name = slice_trim(sieve_expand(r, name));
	w->hash = name->hash ? name->hash : sieve_name_hash(w->name);
}

/* What is passed by is counted too: names of a script times fields of a message. */
static struct sieve_field *
field_walk_step(struct sieve_walk *w)
{
	struct sieve_field *f = w->at ? w->at->next : w->fields->first;
	uint64_t passed = 0;

	for (; f && (f->hash != w->hash || !slice_ieq(f->name, w->name)); f = f->next)
		passed++;
	if (!sieve_spend(w->run, w->call, passed / 8))
		return NULL;
	if (f && ++w->run->reads > w->run->limits->header_reads) {
		sieve_exceed(w->run, w->call, "header fields read");
		return NULL;
	}
	return w->at = f;
}

/* The one that :index counts to, from the front or (:last) from the end (RFC 5260 6). */
static struct sieve_field *
walk_pick(struct sieve_walk *w, uint64_t index, bool last)
{
	uint64_t n = 0, want = index;
	struct sieve_field *f;

	if (last) {
		while (field_walk_step(w))
			n++;
		want = index <= n ? n - index + 1 : 0;
		w->at = NULL;
	}
	for (n = 1; want && (f = field_walk_step(w)); n++)
		if (n == want)
			return f;
	return NULL;
}

struct sieve_field *
sieve_walk_next(struct sieve_walk *w)
{
	const struct sieve_arg *index = sieve_arg(w->call, SIEVE_SLOT_INDEX);
	struct sieve_field *f;

	if (w->done || sieve_failed(w->run))
		return NULL;
	f = index ? walk_pick(w, index->number, sieve_arg(w->call, SIEVE_SLOT_LAST)) :
		    field_walk_step(w);
	w->done = !f || index;
	return f;
}

struct sieve_value *
sieve_field_value(struct sieve_run *r, struct sieve_field *f)
{
	struct slice s;
	struct buf b = { 0 };

	if (f->value.text.p)
		return &f->value;
	s = header_unfold(f->raw, r->arena);
	if (slice_find_str(s, S("=?")) < s.n || !utf8_ascii(s)) {
		encoded_word_parse(&b, s);
		s = slice_trim(arena_slice(r->arena, buf_get(&b)));
		buf_fini(&b);
	}
	f->value.text = s.p ? s : S("");
	sieve_spend(r, NULL, f->raw.n / 64);
	return &f->value;
}

/* ---- addresses ------------------------------------------------------------------------------------------- */

void
sieve_field_mailboxes(struct sieve_run *r, struct sieve_field *f)
{
	struct address_list list;

	if (f->mailboxes)
		return;
	sieve_spend(r, NULL, 1 + f->raw.n / 16);
	address_list_parse(f->raw, SIEVE_ADDRESSES_MAX, r->arena, &list);
	f->mailboxes = arena_array(r->arena, list.n + 1, sizeof(*f->mailboxes));
	for (size_t i = 0; i < list.n; i++) {
		struct sieve_mailbox *m = &f->mailboxes[f->nmailboxes];
		const struct address_item *a = &list.items[i];
		struct buf b = { 0 };

		if (a->kind != ADDRESS_MAILBOX || a->host.n == 0)
			continue;
		address_write_parts(&b, a->mailbox, a->host);
		*m = (struct sieve_mailbox){ .all = arena_slice(r->arena, buf_get(&b)),
			.local = a->mailbox,
			.domain = a->host };
		buf_fini(&b);
		f->nmailboxes++;
	}
	if (f->nmailboxes == 0 && list.n == 0)
		f->mailboxes[f->nmailboxes++] =
		    (struct sieve_mailbox){ .all = sieve_field_value(r, f)->text, .bad = true };
}

bool
sieve_mailbox_part(const struct sieve_run *r, const struct sieve_mailbox *m, enum sieve_part part,
    struct slice *out)
{
	char delimiter = r->host->delimiter ? r->host->delimiter : '+';
	size_t at = slice_find(m->local, delimiter);

	if (m->bad && part != SIEVE_ALL)
		return false;
	switch (part) {
	case SIEVE_ALL: *out = m->all; break;
	case SIEVE_LOCALPART: *out = m->local; break;
	case SIEVE_DOMAIN: *out = m->domain; break;
	case SIEVE_USER: *out = slice_sub(m->local, 0, at); break;
	case SIEVE_DETAIL:
		*out = slice_from(m->local, at + 1);
		return at < m->local.n; /* RFC 5233 4: no detail is not an empty one */
	}
	return true;
}

/* ---- the body and its parts --------------------------------------------------------------------------------- */

struct slice
sieve_message_all(struct sieve_run *r, const struct sieve_call *c)
{
	struct sieve_message *m = message_read(r);
	int e = m->all.p ? 0 : r->host->message ? r->host->message(r->host->arg, &m->all) : -1;

	if (e < 0) {
		sieve_fail(r, c, "the message's body cannot be read");
		return (struct slice){ 0 };
	}
	if (!m->all.p)
		m->all = S("");
	return m->all;
}

const struct mime *
sieve_message_mime(struct sieve_run *r, const struct sieve_call *c)
{
	struct sieve_message *m = message_read(r);
	struct slice all = sieve_message_all(r, c);

	if (!all.p || !sieve_spend(r, c, m->parsed ? 0 : all.n / 64))
		return NULL;
	if (!m->parsed)
		mime_parse(all, r->arena, &m->mime);
	m->parsed = true;
	return &m->mime;
}

const struct mime_part *
sieve_message_part(struct sieve_run *r, const struct sieve_call *c)
{
	const struct mime *m;

	if (r->nloops)
		return r->loops[r->nloops - 1].part;
	m = sieve_message_mime(r, c);
	return m ? m->root : NULL;
}

const struct mime_part *
sieve_part_next(const struct mime *m, const struct mime_part *root, const struct mime_part *at)
{
	const struct mime_part *next;

	if (!at)
		return root;
	next = mime_next(m, at);
	return next && next->depth > root->depth ? next : NULL;
}

static struct part_read *
part_of(struct sieve_run *r, const struct mime_part *part)
{
	struct sieve_message *m = message_read(r);
	struct part_read *p = m->parts;

	while (p && p->part != part)
		p = p->next;
	if (p)
		return p;
	p = arena_new(r->arena, sizeof(*p));
	p->part = part;
	p->next = m->parts;
	return m->parts = p;
}

/* The header of the message itself is the edited one. */
struct sieve_fields *
sieve_fields_part(struct sieve_run *r, const struct mime_part *part)
{
	struct sieve_message *m = message_read(r);
	struct part_read *p;

	if (part == m->mime.root)
		return &m->fields;
	p = part_of(r, part);
	if (!p->read)
		fields_read(r, mime_header(&m->mime, part), &p->fields);
	p->read = true;
	return &p->fields;
}

struct sieve_value *
sieve_part_text(struct sieve_run *r, const struct sieve_call *c, const struct mime_part *part)
{
	struct part_read *p = part_of(r, part);
	struct mime *m = &message_read(r)->mime;
	bool text = slice_ieq(part->type, S("text"));
	struct buf b = { .cap = r->limits->memory };
	struct text_reader t;

	if (p->text.text.p)
		return &p->text;
	text_open_part(&t, m, part);
	while (text ? text_next(&t, &b) : text_next_octets(&t, &b))
		if (b.full || !sieve_spend(r, c, TEXT_PIECE / 64))
			break;
	text_close(&t);
	if (b.full)
		sieve_exceed(r, c, "memory");
	p->text.text = b.n && !sieve_failed(r) ? arena_slice(r->arena, buf_get(&b)) : S("");
	buf_fini(&b);
	return &p->text;
}

/* ---- editing ---------------------------------------------------------------------------------------------- */

struct slice
sieve_message_header(struct sieve_run *r)
{
	struct sieve_message *m = r->message;
	struct buf b = { 0 };

	if (!m || !m->edited)
		return r->own_header;
	if (m->rendered.p)
		return m->rendered;
	for (struct sieve_field *f = m->fields.first; f; f = f->next)
		buf_slice(&b, f->whole);
	buf_str(&b, "\r\n");
	m->rendered = arena_slice(r->arena, buf_get(&b));
	buf_fini(&b);
	sieve_spend(r, NULL, m->rendered.n / 64);
	return m->rendered;
}

void
sieve_message_edited(struct sieve_run *r)
{
	message_read(r)->edited = true;
	r->message->rendered = (struct slice){ 0 };
}

struct sieve_field *
sieve_field_new(struct sieve_run *r, struct slice name, struct slice value)
{
	struct sieve_field *f = arena_new(r->arena, sizeof(*f));
	char *cname = arena_cstr(r->arena, name);
	struct buf b = { 0 };

	header_write(&b, cname, value);
	f->name = slice_str(cname);
	f->hash = sieve_name_hash(f->name);
	f->whole = arena_slice(r->arena, buf_get(&b));
	f->raw = slice_trim(slice_from(f->whole, name.n + 1));
	buf_fini(&b);
	return f;
}
