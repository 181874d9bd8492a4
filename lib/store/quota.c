/* Limits that the store keeps itself: the line of one, and looking it up.
 *
 * Pure but for the look, which needs the caller's snapshot.  Called by the writer for what comes in, by readers for
 * what they show and foretell, so that all judge by one rule.  A row that cannot be read limits nothing: mail is not
 * turned away for a damaged byte, and check tells of the row.  The two numbers of the directory are replaced together:
 * RFC 9208 4.1.3 has SETQUOTA discard limits that it does not name. */
#include "store/quota.h"

#include <errno.h>

#include "base/kv.h"

void
store_quota_write(struct buf *b, const struct store_quota *q)
{
	buf_lit(b, "quota");
	kv_put_u64(b, "bytes", q->bytes < STORE_QUOTA_MOST ? q->bytes : STORE_QUOTA_MOST);
	kv_put_u64(b, "messages", q->messages < STORE_QUOTA_MOST ? q->messages : STORE_QUOTA_MOST);
	kv_put_i64(b, "at", q->at);
	kv_put(b, "by", slice_str(q->by));
}

int
store_quota_parse(struct slice value, struct store_quota *q)
{
	struct slice by = kv_find(value, "by");
	uint64_t at;

	*q = (struct store_quota){ 0 };
	if (!slice_starts(value, S("quota ")) ||
	    slice_u64(kv_find(value, "bytes"), STORE_QUOTA_MOST, &q->bytes) < 0 ||
	    slice_u64(kv_find(value, "messages"), STORE_QUOTA_MOST, &q->messages) < 0 ||
	    slice_u64(kv_find(value, "at"), INT64_MAX, &at) < 0 || !by.p ||
	    kv_cstr(by, q->by, sizeof(q->by)) < 0)
		return -EBADMSG;
	q->at = (int64_t)at;
	return 0;
}

int
store_quota_find(struct store_view *v, uint64_t account, uint64_t mailbox, struct store_quota *q)
{
	struct store_annot a;
	int rc = store_annot_find(v, account, mailbox, S(""), S(STORE_ANNOT_QUOTA), &a);

	return rc == 0 ? store_quota_parse(a.value, q) : rc;
}

bool
store_limits_unasked(const struct store_limits *l)
{
	return l->bytes == STORE_UNASKED.bytes && l->messages == STORE_UNASKED.messages;
}

void
store_limits_replace(struct store_limits *l, const struct store_quota *q)
{
	if (store_limits_unasked(l))
		return;
	l->bytes = q->bytes;
	l->messages = q->messages;
}

struct store_limits
store_limits_find(struct store_view *v, uint64_t account, struct store_limits l)
{
	struct store_quota q;

	if (store_quota_find(v, account, 0, &q) == 0)
		store_limits_replace(&l, &q);
	return l;
}
