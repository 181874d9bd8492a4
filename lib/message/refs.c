/* message/refs.c: the fields by which messages are threads, hashed.
 *
 * Called by message/digest-build for each message that comes, and by imapd's THREAD.  Nothing can fail: a
 * field that is no list of IDs refers to nothing.  What must stay true: IDs are compared octet by octet,
 * subjects by i;unicode-casemap, by both callers alike, for their threads are to be the same. */
#include "message/refs.h"

#include "base/casemap.h"
#include "base/utf8.h"
#include "imap/subject.h"
#include "imap/thread.h"
#include "mail/encoded-word.h"
#include "message/order.h"

void
message_refs_fini(struct message_refs_room *r)
{
	buf_fini(&r->decoded);
	buf_fini(&r->single);
	buf_fini(&r->form);
}

struct slice
message_base_subject(struct message_refs_room *r, struct slice value, bool *reply)
{
	struct slice base;

	if (!utf8_ascii(value) || slice_find(value, '=') < value.n) {
		buf_clear(&r->decoded);
		encoded_word_parse(&r->decoded, value);
		value = buf_get(&r->decoded);
	}
	base = imap_base_subject(value, &r->single, reply);
	buf_clear(&r->form);
	casemap_to(&r->form, base);
	return buf_get(&r->form);
}

bool
message_ref_next(struct message_refs_room *r, struct slice *at, struct slice in_reply_to, bool *any,
    struct slice *id)
{
	if (imap_thread_id_next(at, &r->form, id))
		return *any = true;
	return !*any && (*any = true) && imap_thread_id_next(&in_reply_to, &r->form, id);
}

void
message_refs(struct slice message_id, struct slice in_reply_to, struct slice references,
    struct slice subject, struct store_refs *refs)
{
	struct message_refs_room room = { 0 };
	bool any = false, reply;
	struct slice id;

	*refs = (struct store_refs){ 0 };
	if (imap_thread_id_next(&message_id, &room.form, &id))
		refs->id = store_ref_hash(id);
	if (subject.p && (id = message_base_subject(&room, subject, &reply)).n)
		refs->subject = store_ref_hash(id);
	while (message_ref_next(&room, &references, in_reply_to, &any, &id))
		store_refs_add(refs, store_ref_hash(id));
	message_refs_fini(&room);
}

#define REFS_FIELDS                                                                                \
	(1u << MESSAGE_MESSAGE_ID | 1u << MESSAGE_IN_REPLY_TO | 1u << MESSAGE_REFERENCES |         \
	    1u << MESSAGE_SUBJECT)

static void
refs_order(const struct message_order *o, struct store_refs *refs)
{
	message_refs(o->value[MESSAGE_MESSAGE_ID], o->value[MESSAGE_IN_REPLY_TO],
	    o->value[MESSAGE_REFERENCES], o->value[MESSAGE_SUBJECT], refs);
}

int
message_refs_record(struct slice record, struct store_refs *refs)
{
	struct message_order o;
	int rc;

	if (store_refs_read(record, refs))
		return 0;
	rc = message_order_digest(record, REFS_FIELDS, &o);
	if (rc == 0)
		refs_order(&o, refs);
	return rc;
}

void
message_refs_header(struct slice header, struct store_refs *refs)
{
	struct message_order o;

	message_order_header(slice_sub(header, 0, MESSAGE_ORDER_HEADER), REFS_FIELDS, &o);
	refs_order(&o, refs);
}
