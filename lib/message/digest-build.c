/* message/digest-build.c: from the message to its digest.
 *
 * Called by whoever has just written a message (lmtpd, imapd, storectl), on the loop or on the
 * work pool.  Nothing can fail: what does not fit is left out and its bit is clear.  What must
 * stay true: the record never exceeds MESSAGE_DIGEST_MAX, and costs are linear in the message.
 * Apart from digest.c because readers need none of the parsers. */
#include "message/digest-impl.h"

#include "imap/structure.h"
#include "mail/date.h"
#include "mail/header.h"
#include "message/fields.h"
#include "message/refs.h"
#include "message/text.h"

/* Longer sums of fields are read from the file: such mail is rare, and the index is for all. */
#define KEPT_MAX   (4 * 1024)
#define COPIES_MAX (16 * 1024)
/* The end of each record. */
#define REFS_MAX ((2 + STORE_REFS) * sizeof(uint64_t) + sizeof(struct store_refs_end))
/* Room that is enough for what most messages add, so that nothing grows in steps. */
#define PIECES_USUAL 1000

static uint32_t
add_parts(struct buf *b, const struct mime_part *p)
{
	size_t at = b->n;
	struct digest_part d = {
		.header_at = (uint32_t)p->header_at,
		.header_len = (uint32_t)p->header_len,
		.body_at = (uint32_t)p->body_at,
		.body_len = (uint32_t)p->body_len,
		.span = 1,
		.kind = p->kind,
	};

	buf_add(b, &d, sizeof(d));
	for (const struct mime_part *c = p->child; c; c = c->next)
		d.span += add_parts(b, c);
	if (at + sizeof(d) <= b->n)
		memcpy(b->p + at, &d, sizeof(d));
	return d.span;
}

/* ---- header fields and their text ----------------------------------------------------------------- */

struct building {
	struct digest_head d;
	struct slice header; /* of the message */
	struct buf kept, copies;
	struct store_refs refs;
	struct imap_envelope envelope;
	struct arena *a;
};

/* The kept fields as they stand, taken the way that FETCH takes them from a file. */
static void
take_kept(struct building *g)
{
	struct slice at = g->header, name, whole;

	buf_init(&g->kept, KEPT_MAX);
	buf_grow(&g->kept, g->header.n < KEPT_MAX ? g->header.n : KEPT_MAX);
	while (!g->kept.full && message_field_next(&at, &name, &whole))
		if (name.p && message_digest_keeps(name))
			buf_slice(&g->kept, whole);
	if (g->kept.full)
		buf_clear(&g->kept);
	else
		g->d.has |= MESSAGE_HAS_HEADER;
}

/* Is the text the raw value but for the case of ASCII letters? */
static bool
same_text(struct slice raw, struct slice text)
{
	if (raw.n != text.n)
		return false;
	for (size_t i = 0; i < raw.n; i++)
		if (ascii_lower(raw.p[i]) != text.p[i] || raw.p[i] & 0x80)
			return false;
	return true;
}

/* What one pass over the fields finds. */
struct gathered {
	struct header_field field[MESSAGE_FIELDS]; /* the first of each, */
	size_t count[MESSAGE_FIELDS];              /* one of how many, */
	struct buf text[MESSAGE_FIELDS];           /* and their text where it is made */
	size_t total;
};

static void
take_date(struct building *g, struct slice value)
{
	struct date date;

	if (g->d.has & MESSAGE_HAS_DATE || date_parse(header_unfold(value, g->a), &date) < 0)
		return;
	g->d.has |= MESSAGE_HAS_DATE;
	g->d.sent_at = date.at;
	g->d.sent_day = date_day(date.at, date.zone);
}

/* The text of a field is made when there is a second one, or when nothing else shows it. */
static void
make_text(struct building *g, struct gathered *t, int i, const struct header_field *f)
{
	message_field_text(&t->text[i], f->name, f->value, g->a);
}

/* False when there is too much text. */
static bool
take_field(struct building *g, struct gathered *t, int i, const struct header_field *f)
{
	t->total += f->value.n;
	if (t->total > COPIES_MAX)
		return false;
	if (t->count[i]++ == 0) {
		t->field[i] = *f;
		return true;
	}
	if (t->count[i] == 2)
		make_text(g, t, i, &t->field[i]);
	buf_char(&t->text[i], '\n');
	make_text(g, t, i, f);
	return true;
}

/* The one pass: dates, ENVELOPE's fields and those with text.  False when there is too much text. */
static bool
gather(struct building *g, struct slice header, struct gathered *t)
{
	const struct digest_name *known;
	struct header_field f;
	bool whole = true;

	while (header_next(&header, &f)) {
		if (f.name.n == 0 || !(known = message_digest_name(f.name)))
			continue;
		if (known->envelope >= 0)
			imap_envelope_take(&g->envelope, known->envelope, f.value);
		if (!whole)
			continue;
		if (known->envelope == IMAP_ENVELOPE_DATE)
			take_date(g, f.value);
		if (known->text >= 0)
			whole = take_field(g, t, known->text, &f);
	}
	imap_envelope_read(&g->envelope, g->a);
	return whole;
}

/* The addresses that ENVELOPE has parsed already; they are of the one field, as it stands. */
static const struct address_list *
parsed_addresses(const struct building *g, int i)
{
	static const signed char fields[MESSAGE_FIELDS] = {
		[MESSAGE_FROM] = IMAP_ENVELOPE_FROM,
		[MESSAGE_TO] = IMAP_ENVELOPE_TO,
		[MESSAGE_CC] = IMAP_ENVELOPE_CC,
		[MESSAGE_BCC] = IMAP_ENVELOPE_BCC,
	};

	return fields[i] ? &g->envelope.lists[fields[i]] : NULL;
}

/* Does the kept header show the text of the one field `i`?  Else its text is there. */
static bool
shows(struct building *g, struct gathered *t, int i, struct slice raw)
{
	if (message_field_shows(raw, parsed_addresses(g, i)))
		return true;
	make_text(g, t, i, &t->field[i]);
	return same_text(raw, buf_get(&t->text[i]));
}

static struct digest_span
span_at(size_t at, size_t len)
{
	return (struct digest_span){ (uint16_t)at, (uint16_t)len };
}

/* What it refers to.  Where the fields were too long to be gathered, they are looked for again. */
static void
take_refs(struct building *g, const struct gathered *t, bool whole)
{
	const struct header_field *f = t->field;

	if (!whole)
		message_refs_header(g->header, &g->refs);
	else
		message_refs(slice_trim(f[MESSAGE_MESSAGE_ID].value),
		    slice_trim(f[MESSAGE_IN_REPLY_TO].value),
		    slice_trim(f[MESSAGE_REFERENCES].value), slice_trim(f[MESSAGE_SUBJECT].value),
		    &g->refs);
}

/* The texts: the kept header shows most of them already, the others are copied. */
static void
take_texts(struct building *g)
{
	bool kept = g->d.has & MESSAGE_HAS_HEADER;
	struct gathered t = { 0 };
	bool whole = gather(g, kept ? buf_get(&g->kept) : g->header, &t);

	take_refs(g, &t, whole);
	for (int i = 0; whole && i < MESSAGE_FIELDS; i++) {
		struct slice raw = slice_trim(t.field[i].value);
		struct digest_span *span = &g->d.text[i];

		if (t.count[i] == 0) {
			span->at = DIGEST_ABSENT;
			continue;
		}
		if (t.count[i] == 1 && kept && shows(g, &t, i, raw)) {
			*span = span_at(raw.n > 0 ? (size_t)(raw.p - g->kept.p) : 0, raw.n);
			continue;
		}
		if (t.count[i] == 1 && !kept)
			make_text(g, &t, i, &t.field[i]);
		if (g->copies.n + t.text[i].n > COPIES_MAX) {
			whole = false;
		} else {
			*span = span_at(g->kept.n + g->copies.n, t.text[i].n);
			buf_slice(&g->copies, buf_get(&t.text[i]));
		}
	}
	for (int i = 0; i < MESSAGE_FIELDS; i++)
		buf_fini(&t.text[i]);
	if (whole)
		g->d.has |= MESSAGE_HAS_TEXT;
	else
		buf_clear(&g->copies);
}

/* ---- ENVELOPE ------------------------------------------------------------------------------------- */

_Static_assert((int)MESSAGE_ENVELOPE_FIELDS == (int)IMAP_ENVELOPE_FIELDS,
    "one piece for each field");

/* Is the written field the kept value in quotes? */
static bool
is_quoted_value(const struct building *g, struct slice written, struct slice value)
{
	return g->kept.n > 0 && value.n > 0 && value.p >= g->kept.p &&
	    value.p < g->kept.p + g->kept.n && written.n == value.n + 2 && written.p[0] == '"' &&
	    memcmp(written.p + 1, value.p, value.n) == 0;
}

/* Takes the fields of the envelope `from` apart; `pieces` gets those that are not kept. */
static void
take_envelope(struct building *g, struct slice from, const struct imap_envelope_span *fields,
    struct buf *pieces)
{
	size_t before = g->kept.n + g->copies.n;
	struct slice sender =
	    slice_sub(from, fields[IMAP_ENVELOPE_FROM].at, fields[IMAP_ENVELOPE_FROM].len);

	for (int i = 0; i < IMAP_ENVELOPE_FIELDS; i++) {
		struct digest_span *span = &g->d.envelope[i];
		struct slice written = slice_sub(from, fields[i].at, fields[i].len);
		struct slice value = slice_trim(g->envelope.values[i]);

		if (slice_eq(written, S("NIL"))) {
			*span = (struct digest_span){ DIGEST_ABSENT, 0 };
		} else if ((i == IMAP_ENVELOPE_SENDER || i == IMAP_ENVELOPE_REPLY_TO) &&
		    slice_eq(written, sender)) {
			*span = g->d.envelope[IMAP_ENVELOPE_FROM];
		} else if (is_quoted_value(g, written, value)) {
			*span = span_at((size_t)(value.p - g->kept.p), value.n);
		} else {
			*span = span_at(before + pieces->n, written.n);
			buf_slice(pieces, written);
		}
	}
}

/* ---- the whole ------------------------------------------------------------------------------------ */

/* Takes `from` into the record at `start` of `out` when it fits; then `bit` is set. */
static uint16_t
take_piece(struct buf *out, size_t start, const struct buf *from, struct digest_head *d,
    unsigned bit)
{
	if (from->full || out->n - start + from->n > MESSAGE_DIGEST_MAX - REFS_MAX)
		return 0;
	buf_add(out, from->p, from->n);
	d->has |= bit;
	return (uint16_t)from->n;
}

void
message_digest_build(struct slice msg, struct buf *out)
{
	struct arena a = { 0 };
	struct mime m;
	struct building g = { .a = &a };
	struct digest_head *d = &g.d;
	struct imap_envelope_span fields[IMAP_ENVELOPE_FIELDS];
	struct buf piece, envelope;
	size_t start = out->n;

	*d = (struct digest_head){ .version = DIGEST_VERSION,
		.head_len = sizeof(*d),
		.size = (uint32_t)msg.n };
	mime_parse(msg, &a, &m);
	g.header = mime_header(&m, m.root);
	d->header_len = (uint32_t)g.header.n;
	take_kept(&g);
	take_texts(&g);
	buf_grow(out, sizeof(*d) + g.kept.n + g.copies.n + PIECES_USUAL);
	buf_add(out, d, sizeof(*d));
	buf_slice(out, buf_get(&g.kept));
	buf_slice(out, buf_get(&g.copies));
	d->kept_len = (uint16_t)g.kept.n;
	d->copies_len = (uint16_t)g.copies.n;

	buf_init(&piece, MESSAGE_DIGEST_MAX);
	buf_init(&envelope, MESSAGE_DIGEST_MAX);
	buf_grow(&piece, PIECES_USUAL);
	buf_grow(&envelope, PIECES_USUAL);
	imap_envelope_put(&envelope, &g.envelope, &a, fields);
	piece.full = envelope.full;
	if (!envelope.full)
		take_envelope(&g, buf_get(&envelope), fields, &piece);
	d->envelope_len = take_piece(out, start, &piece, d, MESSAGE_HAS_ENVELOPE);
	buf_clear(&piece);
	imap_structure_write(&piece, &m, m.root, true, &a);
	d->structure_len = take_piece(out, start, &piece, d, MESSAGE_HAS_STRUCTURE);
	buf_clear(&piece);
	add_parts(&piece, m.root);
	d->parts_len = take_piece(out, start, &piece, d, MESSAGE_HAS_PARTS);
	store_refs_write(out, &g.refs);
	if (!out->full)
		memcpy(out->p + start, d, sizeof(*d));
	buf_fini(&g.kept);
	buf_fini(&g.copies);
	buf_fini(&piece);
	buf_fini(&envelope);
	arena_reset(&a);
}
