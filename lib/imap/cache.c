/* imap/cache.c: building and reading the cache record. */
#include "imap/cache.h"

#include <errno.h>

#include "base/utf8.h"
#include "imap/structure.h"
#include "mail/date.h"
#include "mail/encoded_word.h"
#include "mail/header.h"

#define VERSION 1
#define FIELDS_MAX (16 * 1024) /* bytes of all search copies */

/* The record: this, then envelope, structure, parts and fields without gaps. */
struct disk {
	uint8_t version, has;
	uint16_t zero;
	uint32_t size, header_len;
	int32_t sent_day;
	int64_t sent_at;
	uint32_t envelope_len, structure_len, parts_len;
	uint16_t field_len[IMAP_FIELDS];
} __attribute__((packed));

/* One MIME part, parents before children. */
struct disk_part {
	uint32_t header_at, header_len, body_at, body_len;
	uint32_t span; /* entries of this part and everything below it */
	uint32_t kind; /* enum mime_kind */
} __attribute__((packed));

/* ---- building ---------------------------------------------------------------------------- */

static uint32_t
add_parts(struct buf *b, const struct mime_part *p)
{
	size_t at = b->n;
	struct disk_part d = {
		.header_at = (uint32_t)p->header_at, .header_len = (uint32_t)p->header_len,
		.body_at = (uint32_t)p->body_at, .body_len = (uint32_t)p->body_len,
		.span = 1, .kind = p->kind,
	};

	buf_add(b, &d, sizeof(d));
	for (const struct mime_part *c = p->child; c; c = c->next)
		d.span += add_parts(b, c);
	if (at + sizeof(d) <= b->n)
		memcpy(b->p + at, &d, sizeof(d));
	return d.span;
}

static void
add_field(struct buf *b, enum imap_field field, struct slice value, struct arena *a)
{
	struct buf text = { 0 };

	if (b->n > 0)
		buf_char(b, '\n');
	value = header_unfold(value, a);
	if (field >= IMAP_MESSAGE_ID) {
		buf_slice(b, value);
		return;
	}
	encoded_word_parse(&text, value);
	utf8_fold_to(b, buf_get(&text));
	buf_fini(&text);
}

/* Collects the search copies and the date.  Returns false when they are too large. */
static bool
add_fields(struct slice header, struct buf fields[IMAP_FIELDS], struct disk *d, struct arena *a)
{
	static const char *const names[IMAP_FIELDS] = {
		[IMAP_SUBJECT] = "subject", [IMAP_FROM] = "from", [IMAP_TO] = "to",
		[IMAP_CC] = "cc", [IMAP_BCC] = "bcc", [IMAP_MESSAGE_ID] = "message-id",
		[IMAP_IN_REPLY_TO] = "in-reply-to", [IMAP_REFERENCES] = "references",
	};
	struct header_field f;
	size_t total = 0;

	while (header_next(&header, &f)) {
		struct date date;

		if (!(d->has & IMAP_HAS_DATE) && slice_ieq(f.name, S("date")) &&
		    date_parse(header_unfold(f.value, a), &date) == 0) {
			d->has |= IMAP_HAS_DATE;
			d->sent_at = date.at;
			d->sent_day = date_day(date.at, date.zone);
			continue;
		}
		for (int i = 0; f.name.n > 0 && i < IMAP_FIELDS; i++)
			if (slice_ieq(f.name, slice_str(names[i]))) {
				total += f.value.n;
				if (total > FIELDS_MAX)
					return false;
				add_field(&fields[i], (enum imap_field)i, f.value, a);
			}
	}
	total = 0;
	for (int i = 0; i < IMAP_FIELDS; i++)
		total += fields[i].n;
	return total <= FIELDS_MAX;
}

/* Takes `from` into the record at `start` of `out` when it fits; then `bit` is set. */
static uint32_t
fit(struct buf *out, size_t start, const struct buf *from, struct disk *d, unsigned bit)
{
	if (from->full || out->n - start + from->n > IMAP_CACHE_MAX)
		return 0;
	buf_add(out, from->p, from->n);
	d->has |= (uint8_t)bit;
	return (uint32_t)from->n;
}

void
imap_cache_build(struct slice msg, struct buf *out)
{
	struct arena a = { 0 };
	struct mime m;
	struct disk d = { .version = VERSION, .size = (uint32_t)msg.n };
	struct buf piece, fields[IMAP_FIELDS] = { 0 };
	size_t start = out->n;
	struct slice header;
	bool whole;

	mime_parse(msg, &a, &m);
	header = mime_header(&m, m.root);
	d.header_len = (uint32_t)header.n;
	buf_add(out, &d, sizeof(d));

	buf_init(&piece, IMAP_CACHE_MAX);
	imap_envelope_write(&piece, header, &a);
	d.envelope_len = fit(out, start, &piece, &d, IMAP_HAS_ENVELOPE);
	buf_clear(&piece);
	imap_structure_write(&piece, &m, m.root, true, &a);
	d.structure_len = fit(out, start, &piece, &d, IMAP_HAS_STRUCTURE);
	buf_clear(&piece);
	add_parts(&piece, m.root);
	d.parts_len = fit(out, start, &piece, &d, IMAP_HAS_PARTS);
	buf_clear(&piece);

	whole = add_fields(header, fields, &d, &a);
	for (int i = 0; whole && i < IMAP_FIELDS; i++) {
		buf_add(&piece, fields[i].p, fields[i].n);
		d.field_len[i] = (uint16_t)fields[i].n;
	}
	if (!whole || fit(out, start, &piece, &d, IMAP_HAS_FIELDS) == 0)
		memset(d.field_len, 0, sizeof(d.field_len));
	if (!out->full)
		memcpy(out->p + start, &d, sizeof(d));
	for (int i = 0; i < IMAP_FIELDS; i++)
		buf_fini(&fields[i]);
	buf_fini(&piece);
	arena_reset(&a);
}

/* ---- reading ------------------------------------------------------------------------------ */

static bool
cut(struct slice *rec, uint32_t n, struct slice *piece)
{
	if (n > rec->n)
		return false;
	*piece = slice(rec->p, n);
	*rec = slice_from(*rec, n);
	return true;
}

int
imap_cache_parse(struct slice rec, struct imap_cache *c)
{
	struct disk d;

	if (rec.n < sizeof(d) || (uint8_t)rec.p[0] != VERSION)
		return -EBADMSG;
	memcpy(&d, rec.p, sizeof(d));
	rec = slice_from(rec, sizeof(d));
	*c = (struct imap_cache){ .has = d.has, .size = d.size, .header_len = d.header_len,
		.sent_at = d.sent_at, .sent_day = d.sent_day };
	if (!cut(&rec, d.envelope_len, &c->envelope) ||
	    !cut(&rec, d.structure_len, &c->structure) || !cut(&rec, d.parts_len, &c->parts))
		return -EBADMSG;
	for (int i = 0; i < IMAP_FIELDS; i++)
		if (!cut(&rec, d.field_len[i], &c->fields[i]))
			return -EBADMSG;
	return 0;
}

static struct disk_part
part_at(const struct imap_cache *c, size_t i)
{
	struct disk_part d = { .kind = MIME_LEAF, .span = 1 };

	if ((i + 1) * sizeof(d) <= c->parts.n)
		memcpy(&d, c->parts.p + i * sizeof(d), sizeof(d));
	if (d.span == 0)
		d.span = 1;
	return d;
}

/* Child number `n` (from 1) of entry `i`; 0 when there is none (the root is nobody's child). */
static size_t
child_at(const struct imap_cache *c, size_t i, uint32_t n)
{
	size_t end = i + part_at(c, i).span, at = i + 1;

	for (; n > 1 && at < end; n--)
		at += part_at(c, at).span;
	return at < end ? at : 0;
}

/* One step down from entry *i, which is `message` itself (the root, or the inner message) or
 * an ordinary part.					RFC 3501 6.4.5, part numbers */
static bool
step(const struct imap_cache *c, size_t *i, bool *message, uint32_t n)
{
	struct disk_part d = part_at(c, *i);

	if (!*message && d.kind == MIME_MESSAGE) {
		*i = child_at(c, *i, 1);
		d = part_at(c, *i);
		*message = true;
	}
	if (d.kind == MIME_MULTIPART) {
		*i = child_at(c, *i, n);
		*message = false;
		return *i != 0;
	}
	if (!*message || n != 1)
		return false;
	*message = false; /* the body of a message that is no multipart is its part 1 */
	return true;
}

int
imap_cache_part(const struct imap_cache *c, const uint32_t *path, size_t n, struct imap_part *part)
{
	bool message = true;
	struct disk_part d;
	size_t i = 0;

	if (!(c->has & IMAP_HAS_PARTS))
		return -ENODATA;
	for (size_t k = 0; k < n; k++)
		if (!step(c, &i, &message, path[k]))
			return -ENOENT;
	d = part_at(c, i);
	*part = (struct imap_part){
		.mime = { d.header_at, d.header_len },
		.body = { d.body_at, d.body_len },
		.message = n == 0 || d.kind == MIME_MESSAGE,
	};
	if (n == 0) {
		part->header = part->mime;
		part->text = part->body;
		part->body = (struct imap_extent){ 0, c->size };
	} else if (part->message) {
		d = part_at(c, child_at(c, i, 1));
		part->header = (struct imap_extent){ d.header_at, d.header_len };
		part->text = (struct imap_extent){ d.body_at, d.body_len };
	}
	return 0;
}
