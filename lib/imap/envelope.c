/* imap/envelope.c: ENVELOPE, RFC 3501 7.4.2. */
#include "imap/structure.h"

#include "base/utf8.h"
#include "imap/write.h"
#include "mail/address.h"
#include "mail/charset.h"
#include "mail/encoded_word.h"
#include "mail/header.h"

/* No control characters, no bytes above 0x7f. */
static bool
clean(struct slice s)
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

	if (clean(raw)) {
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
	buf_char(b, '(');
	if (it->kind == ADDRESS_MAILBOX && it->name.n > 0)
		imap_text_write(b, it->name);
	else
		buf_lit(b, "NIL");
	buf_char(b, ' ');
	if (it->kind == ADDRESS_MAILBOX && it->route.n > 0)
		imap_text_write(b, it->route);
	else
		buf_lit(b, "NIL");
	/* NIL in mailbox or host is group syntax: a mailbox must have both. */
	buf_char(b, ' ');
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
write_addresses(struct buf *b, struct slice value, struct arena *a)
{
	struct address_list list = { 0 };

	if (value.p)
		address_list_parse(value, IMAP_ADDRESSES_MAX, a, &list);
	if (list.n == 0) {
		buf_lit(b, "NIL");
		return;
	}
	buf_char(b, '(');
	for (size_t i = 0; i < list.n; i++)
		write_address(b, &list.items[i]);
	buf_char(b, ')');
}

static void
write_text(struct buf *b, struct slice value, struct arena *a)
{
	if (value.p)
		imap_text_write(b, header_unfold(value, a));
	else
		buf_lit(b, "NIL");
}

enum { DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID, NFIELDS };

void
imap_envelope_write(struct buf *b, struct slice header, struct arena *a)
{
	static const char *const names[NFIELDS] = {
		[DATE] = "date", [SUBJECT] = "subject", [FROM] = "from", [SENDER] = "sender",
		[REPLY_TO] = "reply-to", [TO] = "to", [CC] = "cc", [BCC] = "bcc",
		[IN_REPLY_TO] = "in-reply-to", [MESSAGE_ID] = "message-id",
	};
	struct slice values[NFIELDS] = { 0 };
	struct header_field f;

	while (header_next(&header, &f))
		for (size_t i = 0; f.name.n > 0 && i < NFIELDS; i++)
			if (!values[i].p && slice_ieq(f.name, slice_str(names[i])))
				values[i] = f.value.p ? f.value : S("");
	/* RFC 3501 7.4.2: the server defaults Sender and Reply-To to From. */
	if (slice_trim(values[SENDER]).n == 0)
		values[SENDER] = values[FROM];
	if (slice_trim(values[REPLY_TO]).n == 0)
		values[REPLY_TO] = values[FROM];
	buf_char(b, '(');
	for (int i = 0; i < NFIELDS; i++) {
		if (i > 0)
			buf_char(b, ' ');
		if (i >= FROM && i <= BCC)
			write_addresses(b, values[i], a);
		else
			write_text(b, values[i], a);
	}
	buf_char(b, ')');
}
