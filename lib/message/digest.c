/* message/digest.c: reading a digest in place.
 *
 * Called by readers of the store for every message of a listing or a search: it copies nothing
 * and looks at as little as it can.  A damaged record is -EBADMSG and the file is read instead.
 * What must stay true: no length of the record is believed before it is compared with what is
 * there, and a record of version 1 or of a later minor form answers what it can. */
#include "message/digest-impl.h"

#include <errno.h>

#include "base/casemap.h"
#include "base/utf8.h"
#include "imap/structure.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "message/text.h"
#include "store/format.h"

/* What clients ask for when they list a mailbox, by BODY.PEEK[HEADER.FIELDS (...)]:
 *   all         date from to cc subject message-id in-reply-to references reply-to content-type
 *   Thunderbird + bcc priority x-priority newsgroups resent-message-id list-post
 *   Apple Mail  + x-uniform-type-identifier x-universally-unique-identifier list-id
 *                 list-unsubscribe
 *   Outlook     + sender importance x-msmail-priority sensitivity mime-version
 *   mutt        + sender content-description lines x-label x-original-to
 *   K-9 and other phones + x-k9mail-identity chat-version content-transfer-encoding
 *   Roundcube   + disposition-notification-to, and the priorities
 * Left out because they are long and seldom asked: received, dkim-signature,
 * authentication-results (newest iOS, for brand icons), and the bodies of all x- fields.  Adding a
 * name means a bit of its own in `has`, or old records would claim what they do not hold. */
/* By length: message_digest_name stops where longer ones begin. */
#define NAME(name) name, sizeof(name) - 1
#define NONE       (-1)
/* clang-format off */
static const struct digest_name digest_names[] = {
	{ NAME("to"), MESSAGE_TO, IMAP_ENVELOPE_TO },
	{ NAME("cc"), MESSAGE_CC, IMAP_ENVELOPE_CC },
	{ NAME("bcc"), MESSAGE_BCC, IMAP_ENVELOPE_BCC },
	{ NAME("date"), NONE, IMAP_ENVELOPE_DATE },
	{ NAME("from"), MESSAGE_FROM, IMAP_ENVELOPE_FROM },
	{ NAME("lines"), NONE, NONE },
	{ NAME("sender"), NONE, IMAP_ENVELOPE_SENDER },
	{ NAME("subject"), MESSAGE_SUBJECT, IMAP_ENVELOPE_SUBJECT },
	{ NAME("list-id"), NONE, NONE },
	{ NAME("x-label"), NONE, NONE },
	{ NAME("reply-to"), NONE, IMAP_ENVELOPE_REPLY_TO },
	{ NAME("priority"), NONE, NONE },
	{ NAME("list-post"), NONE, NONE },
	{ NAME("message-id"), MESSAGE_MESSAGE_ID, IMAP_ENVELOPE_MESSAGE_ID },
	{ NAME("references"), MESSAGE_REFERENCES, NONE },
	{ NAME("x-priority"), NONE, NONE },
	{ NAME("importance"), NONE, NONE },
	{ NAME("newsgroups"), NONE, NONE },
	{ NAME("in-reply-to"), MESSAGE_IN_REPLY_TO, IMAP_ENVELOPE_IN_REPLY_TO },
	{ NAME("sensitivity"), NONE, NONE },
	{ NAME("content-type"), NONE, NONE },
	{ NAME("mime-version"), NONE, NONE },
	{ NAME("chat-version"), NONE, NONE },
	{ NAME("x-original-to"), NONE, NONE },
	{ NAME("list-unsubscribe"), NONE, NONE },
	{ NAME("x-msmail-priority"), NONE, NONE },
	{ NAME("resent-message-id"), NONE, NONE },
	{ NAME("x-k9mail-identity"), NONE, NONE },
	{ NAME("content-description"), NONE, NONE },
	{ NAME("content-transfer-encoding"), NONE, NONE },
	{ NAME("x-uniform-type-identifier"), NONE, NONE },
	{ NAME("disposition-notification-to"), NONE, NONE },
	{ NAME("x-universally-unique-identifier"), NONE, NONE },
};
/* clang-format on */

const struct digest_name *
message_digest_name(struct slice name)
{
	char first = name.n > 0 ? ascii_lower(name.p[0]) : '\0';

	for (size_t i = 0; i < NELEM(digest_names) && digest_names[i].n <= name.n; i++)
		if (digest_names[i].n == name.n && digest_names[i].name[0] == first &&
		    slice_ieq(name, slice(digest_names[i].name, name.n)))
			return &digest_names[i];
	return NULL;
}

int
message_digest_field_number(struct slice name)
{
	const struct digest_name *known = message_digest_name(name);

	return known ? known->text : NONE;
}

bool
message_digest_keeps(struct slice name)
{
	return message_digest_name(name);
}

/* ---- the parts of a record -------------------------------------------------------------------------- */

static bool
cut(struct slice *rec, size_t n, struct slice *piece)
{
	if (n > rec->n)
		return false;
	*piece = slice(rec->p, n);
	*rec = slice_from(*rec, n);
	return true;
}

/* Bits as of version 2. */
static int
parse_1(struct slice rec, struct message_digest *d)
{
	struct digest_head_1 h;

	if (rec.n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, rec.p, sizeof(h));
	rec = slice_from(rec, sizeof(h));
	*d = (struct message_digest){ .has = h.has & 31u,
		.size = h.size,
		.header_len = h.header_len,
		.sent_at = h.sent_at,
		.sent_day = h.sent_day };
	return cut(&rec, h.envelope_len, &d->envelope) &&
		cut(&rec, h.structure_len, &d->structure) && cut(&rec, h.parts_len, &d->parts) ?
	    0 :
	    -EBADMSG;
}

int
message_digest_parse(struct slice rec, struct message_digest *d)
{
	struct digest_head h;
	struct slice copies, pieces;
	const char *head = rec.p;

	if (rec.n > 0 && rec.p[0] == 1)
		return parse_1(rec, d);
	if (rec.n < sizeof(h) || rec.p[0] != DIGEST_VERSION)
		return -EBADMSG;
	memcpy(&h, rec.p, sizeof(h));
	if (h.head_len < sizeof(h) || h.head_len > rec.n)
		return -EBADMSG;
	rec = slice_from(rec, h.head_len);
	d->rest = rec;
	d->pieces = head + offsetof(struct digest_head, envelope);
	d->envelope = slice(NULL, 0);
	d->has = h.has;
	d->size = h.size;
	d->header_len = h.header_len;
	d->sent_at = h.sent_at;
	d->sent_day = h.sent_day;
	return cut(&rec, h.kept_len, &d->header) && cut(&rec, h.copies_len, &copies) &&
		cut(&rec, h.envelope_len, &pieces) && cut(&rec, h.structure_len, &d->structure) &&
		cut(&rec, h.parts_len, &d->parts) ?
	    0 :
	    -EBADMSG;
}

uint16_t
message_digest_sentday(struct slice rec)
{
	struct message_digest d;

	if (message_digest_parse(rec, &d) < 0 || !(d.has & MESSAGE_HAS_DATE))
		return 0;
	return store_sentday(d.sent_day);
}

/* ---- ENVELOPE ------------------------------------------------------------------------------------------ */

/* Bytes are copied by so many: a field has some thirty, for which memcpy is a long way. */
#define STRIDE 32

static struct digest_span
envelope_span(const struct message_digest *d, size_t i)
{
	struct digest_span s;

	memcpy(&s, d->pieces + i * sizeof(s), sizeof(s));
	return s;
}

size_t
message_digest_envelope_room(const struct message_digest *d)
{
	size_t sum = sizeof("()") + STRIDE;

	if (d->envelope.n > 0 || !d->pieces)
		return d->envelope.n;
	for (size_t i = 0; i < MESSAGE_ENVELOPE_FIELDS; i++)
		sum += envelope_span(d, i).len + sizeof(" NIL");
	return sum;
}

char *
message_digest_envelope(const struct message_digest *d, char *at)
{
	if (d->envelope.n > 0 || !d->pieces) {
		if (d->envelope.n > 0)
			memcpy(at, d->envelope.p, d->envelope.n);
		return at + d->envelope.n;
	}
	for (size_t i = 0; i < MESSAGE_ENVELOPE_FIELDS; i++) {
		struct digest_span s = envelope_span(d, i);
		size_t end = (size_t)s.at + s.len, n = 0;
		bool quoted = s.at < d->header.n;

		*at++ = i ? ' ' : '(';
		if (s.at == DIGEST_ABSENT || end > d->rest.n) { /* the latter: damaged */
			memcpy(at, "NIL", 3);
			at += 3;
			continue;
		}
		*at = '"';
		at += quoted;
		if (end + STRIDE <= d->rest.n)
			for (; n < s.len; n += STRIDE)
				memcpy(at + n, d->rest.p + s.at + n, STRIDE);
		else
			memcpy(at, d->rest.p + s.at, s.len);
		at += s.len;
		*at = '"';
		at += quoted;
	}
	*at++ = ')';
	return at;
}

/* ---- text --------------------------------------------------------------------------------------------- */

static int
text_1(struct slice rec, enum message_field field, struct slice *text)
{
	struct digest_head_1 h;
	size_t at = sizeof(h);

	if (rec.n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, rec.p, sizeof(h));
	if (!(h.has & MESSAGE_HAS_TEXT))
		return -ENODATA;
	at += (size_t)h.envelope_len + h.structure_len + h.parts_len;
	for (int i = 0; i < (int)field; i++)
		at += h.text_len[i];
	if (at > rec.n || h.text_len[field] > rec.n - at)
		return -EBADMSG;
	if (h.text_len[field] == 0)
		return -ENODATA; /* absent or empty: the file knows */
	*text = slice(rec.p + at, h.text_len[field]);
	return 0;
}

int
message_digest_text(struct slice rec, enum message_field field, struct slice *text)
{
	const struct digest_head *h = (const void *)rec.p; /* packed: read in place */
	size_t at;

	if (rec.n > 0 && rec.p[0] == 1)
		return text_1(rec, field, text);
	if (rec.n < sizeof(*h) || h->version != DIGEST_VERSION)
		return -EBADMSG;
	if (!(h->has & MESSAGE_HAS_TEXT))
		return -ENODATA;
	if (h->text[field].at == DIGEST_ABSENT) {
		*text = slice(NULL, 0);
		return 0;
	}
	at = (size_t)h->head_len + h->text[field].at;
	if (at > rec.n || h->text[field].len > rec.n - at)
		return -EBADMSG;
	*text = slice(rec.p + at, h->text[field].len);
	return 0;
}

/* Has a field's text, as the digest keeps it, the word?  What is not ASCII is compared in its form. */
static bool
digest_text_has(struct slice text, const struct message_word *word)
{
	struct buf form = { 0 };
	bool yes = message_word_in(word, text);

	if (yes || utf8_ascii(text))
		return yes;
	casemap_search_to(&form, text);
	yes = slice_find_str(buf_get(&form), word->text) < form.n;
	buf_fini(&form);
	return yes;
}

/* A kept field without a number: read from the kept header. */
static int
kept_has(struct slice rec, struct slice name, const struct message_word *word, bool *yes)
{
	struct message_digest d;
	struct header_field f;
	struct arena a = { 0 };
	struct buf text = { 0 };
	int rc = message_digest_parse(rec, &d);

	if (rc < 0)
		return rc;
	if (!(d.has & MESSAGE_HAS_HEADER))
		return -ENODATA;
	*yes = false;
	while (!*yes && header_next(&d.header, &f)) {
		if (!slice_ieq(f.name, name))
			continue;
		buf_clear(&text);
		message_field_text(&text, f.name, f.value, &a);
		*yes = word->text.n == 0 || digest_text_has(buf_get(&text), word);
	}
	buf_fini(&text);
	arena_reset(&a);
	return 0;
}

int
message_digest_find(struct slice rec, int field, struct slice name, const struct message_word *word,
    bool *yes)
{
	struct slice text;
	int rc;

	if (field < 0)
		return kept_has(rec, name, word, yes);
	rc = message_digest_text(rec, (enum message_field)field, &text);
	if (rc == 0)
		*yes = word->text.n == 0 ? (bool)text.p : digest_text_has(text, word);
	return rc;
}

/* ---- MIME parts ------------------------------------------------------------------------------------------ */

static struct digest_part
digest_part_at(const struct message_digest *m, size_t i)
{
	struct digest_part d = { .kind = MIME_LEAF, .span = 1 };

	if ((i + 1) * sizeof(d) <= m->parts.n)
		memcpy(&d, m->parts.p + i * sizeof(d), sizeof(d));
	if (d.span == 0)
		d.span = 1;
	return d;
}

/* Child number `n` (from 1) of entry `i`; 0 when there is none (the root is nobody's child). */
static size_t
digest_child_at(const struct message_digest *m, size_t i, uint32_t n)
{
	size_t end = i + digest_part_at(m, i).span, at = i + 1;

	for (; n > 1 && at < end; n--)
		at += digest_part_at(m, at).span;
	return at < end ? at : 0;
}

/* One step down from entry *i, which is `message` itself (the root, or the inner message) or
 * an ordinary part.					RFC 3501 6.4.5, part numbers */
static bool
step(const struct message_digest *m, size_t *i, bool *message, uint32_t n)
{
	struct digest_part d = digest_part_at(m, *i);

	if (!*message && d.kind == MIME_MESSAGE) {
		*i = digest_child_at(m, *i, 1);
		d = digest_part_at(m, *i);
		*message = true;
	}
	if (d.kind == MIME_MULTIPART) {
		*i = digest_child_at(m, *i, n);
		*message = false;
		return *i != 0;
	}
	if (!*message || n != 1)
		return false;
	*message = false; /* the body of a message that is no multipart is its part 1 */
	return true;
}

int
message_digest_part(const struct message_digest *m, const uint32_t *path, size_t n,
    struct message_part *part)
{
	bool message = true;
	struct digest_part d;
	size_t i = 0;

	if (!(m->has & MESSAGE_HAS_PARTS))
		return -ENODATA;
	for (size_t k = 0; k < n; k++)
		if (!step(m, &i, &message, path[k]))
			return -ENOENT;
	d = digest_part_at(m, i);
	*part = (struct message_part){
		.mime = { d.header_at, d.header_len },
		.body = { d.body_at, d.body_len },
		.message = n == 0 || d.kind == MIME_MESSAGE,
	};
	if (n == 0) {
		part->header = part->mime;
		part->text = part->body;
		part->body = (struct message_extent){ 0, m->size };
	} else if (part->message) {
		d = digest_part_at(m, digest_child_at(m, i, 1));
		part->header = (struct message_extent){ d.header_at, d.header_len };
		part->text = (struct message_extent){ d.body_at, d.body_len };
	}
	return 0;
}
