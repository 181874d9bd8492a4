/* What the writer answers: verdicts, and ranges that outlive the batch. */
#include "store/write_private.h"

void
reply_ok(struct store_job *j)
{
	j->reply.code = STORE_DONE;
	j->reply.verdict = verdict(OK, 250, "2.0.0", "done");
}

void
reply_fail(struct store_job *j, enum store_code code, struct verdict v)
{
	j->reply = (struct store_reply){ .code = code, .verdict = v };
}

void
reply_no_mailbox(struct store_job *j)
{
	reply_fail(j, STORE_NOMAILBOX, verdict(PERM, 550, "5.1.1", "no such mailbox"));
}

bool
reply_if_full(struct store_part *p, struct store_job *j)
{
	if (p->full)
		reply_fail(j, STORE_FULL, verdict(TEMP, 452, "4.3.1", "mail system full"));
	return p->full;
}

bool
over_quota(struct store_part *p, const struct wacct *a, const struct store_limits *l, uint64_t bytes,
    uint64_t messages, struct verdict *v)
{
	if (l->bytes && bytes > l->bytes) {
		*v = verdict(PERM, 552, "5.2.3", "message is larger than the mailbox may be");
		return true;
	}
	if ((!l->bytes || a->d.bytes + bytes <= l->bytes) &&
	    (!l->messages || a->d.messages + messages <= l->messages))
		return false;
	*v = p->c.quota_temp ? verdict(TEMP, 452, "4.2.2", "mailbox full") :
	    verdict(PERM, 552, "5.2.2", "mailbox full");
	return true;
}

const struct store_range *
ranges_keep(struct arena *a, const struct buf *b, size_t *n)
{
	struct store_range *r = NULL;

	*n = b->n / sizeof(*r);
	if (*n) {
		r = arena_array(a, *n, sizeof(*r));
		memcpy(r, b->p, *n * sizeof(*r));
	}
	return r;
}
