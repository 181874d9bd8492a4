/* imapd/limit.c: how many messages one command works on: MESSAGELIMIT, RFC 9738.
 *
 * Owns: s->limited, which of a command's messages were left.  Called by commands that name many messages, once their
 * set is known.  Nothing can fail.  Must stay true: what is left out are the lowest UIDs, so that a client goes on
 * below the one that it is told; and no answer that leaves some out is silent about it.  Costs the ranges of the set
 * and of the view. */
#include "limit.h"

bool
limit_exceeded(struct session *s, const struct imap_set *uids)
{
	struct imap_set there = *uids, first;
	uint64_t n;

	if (!limit_messages())
		return false;
	view_present(s->view, &there, &s->imap.arena);
	n = imap_set_count(&there);
	if (n <= limit_messages())
		return false;
	imap_set_cut(&there, n - limit_messages(), 1, &s->imap.arena, &first);
	s->limited = first.r[0].lo;
	return true;
}

void
limit_cut(struct session *s, struct imap_set *uids)
{
	struct imap_set kept = { 0 };

	if (!limit_exceeded(s, uids))
		return;
	for (size_t i = 0; i < uids->n; i++)
		if (uids->r[i].hi >= s->limited)
			imap_set_add(&kept, &s->imap.arena,
			    uids->r[i].lo > s->limited ? uids->r[i].lo : s->limited, uids->r[i].hi);
	*uids = kept;
}

static const char *
limit_text(struct session *s, bool uid)
{
	return uid ?
	    arena_printf(&s->imap.arena, "MESSAGELIMIT %u %u", limit_messages(), s->limited) :
	    arena_printf(&s->imap.arena, "MESSAGELIMIT %u", limit_messages());
}

const char *
limit_code(struct session *s, bool alone)
{
	if (!s->limited)
		return "";
	if (alone)
		return arena_printf(&s->imap.arena, "[%s] ", limit_text(s, true));
	imap_server_untagged(&s->imap, "NO [%s] The lowest UIDs were left out",
	    limit_text(s, true));
	return "";
}

enum imap_next
limit_refuse(struct session *s, const char *text)
{
	return imap_server_no(&s->imap, limit_text(s, s->limited > 0), text);
}
