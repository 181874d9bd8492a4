/* imap/envelope.c: ENVELOPE, RFC 3501 7.4.2.
 *
 * Pure; called for a message's digest and for each message/rfc822 in it.  Nothing fails: what is
 * no address becomes one that clients can show.  All that is written is ASCII without controls,
 * whatever the header had.  The first field of a name counts; addresses of one field are
 * bounded. */
#include "imap/structure.h"

#include "base/utf8.h"
#include "imap/write.h"
#include "mail/charset.h"
#include "mail/encoded-word.h"
#include "mail/header.h"

/* No control characters, no bytes above 0x7f. */
static bool
imap_envelope_clean(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < 0x20 && c != '\t') || c >= 0x7f)
			return false;
	}
	return true;
}

void
imap_text_write(struct buf *b, struct slice raw)
{
	struct buf utf8 = { 0 }, text = { 0 };

	if (imap_write_plain(b, raw))
		return;
	if (imap_envelope_clean(raw)) {
		imap_write_string(b, raw);
		return;
	}
	charset_guess(&utf8, raw);
	/* Line ends were folds; other controls have no business in a header. */
	for (size_t i = 0; i < utf8.n; i++) {
		unsigned char c = (unsigned char)utf8.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			utf8.p[i] = ' ';
	}
	encoded_word_write(&text, buf_get(&utf8), ENCODED_TEXT);
	imap_write_string(b, buf_get(&text));
	buf_fini(&utf8);
	buf_fini(&text);
}

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")" */
static void
write_address(struct buf *b, const struct address_item *it)
{
	if (it->kind == ADDRESS_MAILBOX && it->name.n > 0) {
		buf_char(b, '(');
		imap_text_write(b, it->name);
	} else {
		buf_lit(b, "(NIL");
	}
	if (it->kind == ADDRESS_MAILBOX && it->route.n > 0) {
		buf_char(b, ' ');
		imap_text_write(b, it->route);
		buf_char(b, ' ');
	} else {
		buf_lit(b, " NIL ");
	}
	/* NIL in mailbox or host is group syntax: a mailbox must have both. */
	if (it->kind == ADDRESS_GROUP_END)
		buf_lit(b, "NIL");
	else if (it->mailbox.n > 0)
		imap_text_write(b, it->mailbox);
	else
		buf_lit(b, "\"MISSING_MAILBOX\"");
	buf_char(b, ' ');
	if (it->kind != ADDRESS_MAILBOX)
		buf_lit(b, "NIL");
	else if (it->host.n > 0)
		imap_text_write(b, it->host);
	else
		buf_lit(b, "\"MISSING_DOMAIN\"");
	buf_char(b, ')');
}

static void
write_addresses(struct buf *b, const struct address_list *list)
{
	if (list->n == 0) {
		buf_lit(b, "NIL");
		return;
	}
	buf_char(b, '(');
	for (size_t i = 0; i < list->n; i++)
		write_address(b, &list->items[i]);
	buf_char(b, ')');
}

static void
imap_envelope_write_text(struct buf *b, struct slice value, struct arena *a)
{
	if (value.p)
		imap_text_write(b, header_unfold(value, a));
	else
		buf_lit(b, "NIL");
}

static bool
is_address_field(int field)
{
	return field >= IMAP_ENVELOPE_FROM && field <= IMAP_ENVELOPE_BCC;
}

/* RFC 3501 7.4.2: the server defaults Sender and Reply-To to From. */
static bool
is_from_again(const struct imap_envelope *e, int field)
{
	return (field == IMAP_ENVELOPE_SENDER || field == IMAP_ENVELOPE_REPLY_TO) &&
	    slice_trim(e->values[field]).n == 0;
}

void
imap_envelope_take(struct imap_envelope *e, int field, struct slice value)
{
	if (!e->values[field].p)
		e->values[field] = value.p ? value : S("");
}

void
imap_envelope_read(struct imap_envelope *e, struct arena *a)
{
	for (int i = IMAP_ENVELOPE_FROM; i <= IMAP_ENVELOPE_BCC; i++)
		if (e->values[i].p && !is_from_again(e, i))
			address_list_parse(e->values[i], IMAP_ADDRESSES_MAX, a, &e->lists[i]);
}

/* What stands at `span` of the buffer once more. */
static void
write_again(struct buf *b, struct imap_envelope_span span)
{
	char *p = buf_reserve(b, span.len);

	if (!p)
		return;
	memcpy(p, b->p + span.at, span.len);
	b->n += span.len;
}

void
imap_envelope_put(struct buf *b, const struct imap_envelope *e, struct arena *a,
    struct imap_envelope_span spans[IMAP_ENVELOPE_FIELDS])
{
	for (int i = 0; i < IMAP_ENVELOPE_FIELDS; i++) {
		buf_char(b, i == 0 ? '(' : ' ');
		spans[i].at = b->n;
		if (is_from_again(e, i))
			write_again(b, spans[IMAP_ENVELOPE_FROM]);
		else if (is_address_field(i))
			write_addresses(b, &e->lists[i]);
		else
			imap_envelope_write_text(b, e->values[i], a);
		spans[i].len = b->n - spans[i].at;
	}
	buf_char(b, ')');
}

void
imap_envelope_write(struct buf *b, struct slice header, struct arena *a)
{
	/* clang-format off */
	static const char *const names[IMAP_ENVELOPE_FIELDS] = {
		[IMAP_ENVELOPE_DATE] = "date", [IMAP_ENVELOPE_SUBJECT] = "subject",
		[IMAP_ENVELOPE_FROM] = "from", [IMAP_ENVELOPE_SENDER] = "sender",
		[IMAP_ENVELOPE_REPLY_TO] = "reply-to", [IMAP_ENVELOPE_TO] = "to",
		[IMAP_ENVELOPE_CC] = "cc", [IMAP_ENVELOPE_BCC] = "bcc",
		[IMAP_ENVELOPE_IN_REPLY_TO] = "in-reply-to",
		[IMAP_ENVELOPE_MESSAGE_ID] = "message-id",
	};
	/* clang-format on */
	struct imap_envelope_span spans[IMAP_ENVELOPE_FIELDS];
	struct imap_envelope e = { 0 };
	struct header_field f;

	while (header_next(&header, &f))
		for (int i = 0; f.name.n > 0 && i < IMAP_ENVELOPE_FIELDS; i++)
			if (slice_ieq(f.name, slice_str(names[i])))
				imap_envelope_take(&e, i, f.value);
	imap_envelope_read(&e, a);
	imap_envelope_put(b, &e, a, spans);
}
