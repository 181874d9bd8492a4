/* message/order.c: the fields that put messages in order, found without decoding.
 *
 * Called by imapd for each message of SORT and THREAD, on the loop.  The digest's spans say where
 * most fields lie; those whose text was copied (because it is not what stands there) are looked for
 * among the kept fields.  What must stay true: a field is only said to be absent when the digest, or
 * the header, is known to be whole. */
#include "message/order.h"

#include <errno.h>

#include "mail/date.h"
#include "mail/header.h"
#include "message/digest-impl.h"

static void
order_take_date(struct message_order *o, struct slice value)
{
	struct arena a = { 0 };
	struct date date;

	if (!o->dated && date_parse(header_unfold(value, &a), &date) == 0) {
		o->dated = true;
		o->sent_at = date.at;
	}
	arena_reset(&a);
}

/* The first field of each name that is in `fields`. */
static void
order_take_fields(struct slice header, unsigned fields, struct message_order *o)
{
	struct header_field f;

	while (fields && header_next(&header, &f)) {
		int i = message_digest_field_number(f.name);

		if (i < 0 || !(fields & 1u << i))
			continue;
		fields &= ~(1u << i);
		o->value[i] = slice_trim(f.value);
	}
}

/* Takes what the spans show, and its bits off `fields`. */
static unsigned
order_take_spans(const struct digest_head *h, struct slice rest, unsigned fields,
    struct message_order *o)
{
	for (int i = 0; i < MESSAGE_FIELDS; i++) {
		struct digest_span s = h->text[i];

		if (!(fields & 1u << i))
			continue;
		if (s.at == DIGEST_ABSENT) {
			fields &= ~(1u << i);
		} else if (s.at < h->kept_len && s.len <= h->kept_len - s.at &&
		    rest.n >= h->kept_len) {
			o->value[i] = slice_sub(rest, s.at, s.len);
			fields &= ~(1u << i);
		}
	}
	return fields;
}

int
message_order_digest(struct slice rec, unsigned fields, struct message_order *o)
{
	const struct digest_head *h = (const void *)rec.p; /* packed: read in place */
	struct message_digest d;

	*o = (struct message_order){ 0 };
	if (message_digest_parse(rec, &d) < 0)
		return -EBADMSG;
	o->dated = d.has & MESSAGE_HAS_DATE;
	o->sent_at = o->dated ? d.sent_at : 0;
	/* A digest that has neither did not see all fields. */
	if (!o->dated && !(d.has & (MESSAGE_HAS_HEADER | MESSAGE_HAS_TEXT)))
		return -ENODATA;
	if (h->version == DIGEST_VERSION && d.has & MESSAGE_HAS_TEXT)
		fields = order_take_spans(h, d.rest, fields, o);
	if (fields == 0)
		return 0;
	if (!(d.has & MESSAGE_HAS_HEADER))
		return -ENODATA;
	order_take_fields(d.header, fields, o);
	return 0;
}

void
message_order_header(struct slice header, unsigned fields, struct message_order *o)
{
	struct slice at = header;
	struct header_field f;

	*o = (struct message_order){ 0 };
	while (!o->dated && header_next(&at, &f))
		if (slice_ieq(f.name, S("date")))
			order_take_date(o, f.value);
	order_take_fields(header, fields, o);
}
