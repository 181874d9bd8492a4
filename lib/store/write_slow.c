/* COPY and MOVE of many messages.
 *
 * A link costs some microseconds, so that copying 100,000 messages would keep everybody else
 * waiting.  The links are therefore made in slices between the batches of others; what
 * touches the account is kept back meanwhile.  The rows follow in one transaction: nobody
 * ever sees half of it (RFC 6851 3.3). */
#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/write_private.h"

#define SLICE 1000 /* links between two batches */

/* As much of a mailbox as making links needs: the real one may be forgotten meanwhile. */
static void
stand_in(struct wbox *to, struct wacct *acct, const struct wbox *of)
{
	*to = (struct wbox){ .id = of->id, .acct = acct, .dir = mem_str(of->dir) };
	to->d.uidnext = of->d.uidnext;
}

static enum edit
collect_one(void *arg, struct store_record *rec)
{
	buf_add(arg, rec, sizeof(*rec));
	return EDIT_KEEP;
}

/* At most so many messages are in the ranges. */
static uint64_t
at_most(const struct wbox *b, const struct store_range *r, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n && r[i].first < b->d.uidnext; i++)
		sum += (r[i].last < b->d.uidnext ? r[i].last : b->d.uidnext - 1) - r[i].first + 1;
	return sum < b->d.exists ? sum : b->d.exists;
}

bool
slow_start(struct store_part *p, struct store_job *j, struct wbox *from, struct wbox *to,
    const struct store_limits *limits)
{
	struct slow *s = &p->slow;
	const struct store_record *rec;
	uint64_t bytes = 0;
	struct verdict v;

	if (s->job || at_most(from, j->req.ranges, j->req.nranges) <= SLICE)
		return false;
	buf_clear(&s->records);
	box_walk(p, from, j->req.ranges, j->req.nranges, collect_one, &s->records);
	rec = (const void *)s->records.p;
	s->n = s->records.n / sizeof(*rec);
	for (size_t i = 0; i < s->n; i++)
		bytes += rec[i].size;
	/* What must be refused is refused the usual way. */
	if (s->n <= SLICE || s->n > UINT32_MAX - 1 - to->d.uidnext ||
	    over_quota(p, to->acct, limits, bytes, s->n, &v))
		return false;
	s->job = j;
	s->at = 0;
	s->rc = 0;
	s->first = to->d.uidnext;
	s->account = to->acct->d.id;
	s->acct = (struct wacct){ .name = mem_str(to->acct->name) };
	stand_in(&s->from, &s->acct, from);
	stand_in(&s->to, &s->acct, to);
	list_remove(&j->link);
	return true;
}

bool
slow_conflict(const struct store_part *p, const struct store_job *j)
{
	const struct slow *s = &p->slow;
	const struct store_request *r = &j->req;

	if (!s->job)
		return false;
	for (size_t i = 0; i < r->ntargets; i++)
		if (slice_eq(r->targets[i].account, slice_str(s->acct.name)))
			return true;
	return r->account == s->account || r->mailbox == s->from.id || r->mailbox == s->to.id ||
	    r->mailbox2 == s->from.id || r->mailbox2 == s->to.id ||
	    (r->verb == STORE_V_ACCOUNT && slice_eq(r->name, slice_str(s->acct.name)));
}

bool
slow_step(struct store_part *p)
{
	struct slow *s = &p->slow;
	const struct store_record *rec = (const void *)s->records.p;
	size_t n = s->n - s->at < SLICE ? s->n - s->at : SLICE;

	p->nlinks = 0;
	s->rc = link_messages(p, &s->from, rec + s->at, n, &s->to, s->first + (uint32_t)s->at);
	if (s->rc < 0)
		links_undo(p, 0);
	else
		s->at += n;
	p->nlinks = 0;
	return s->rc < 0 || s->at == s->n;
}

void
slow_note(struct store_part *p)
{
	if (p->slow.job)
		note_add(p, &p->slow.to);
}

static void
unlink_all(struct store_part *p)
{
	struct slow *s = &p->slow;
	struct buf path = { 0 };

	for (size_t i = 0; i < s->at; i++) {
		buf_clear(&path);
		buf_str(&path, s->to.dir);
		store_message_name(&path, s->first + (uint32_t)i);
		unlinkat(p->dirfd, buf_cstr(&path), 0);
	}
	buf_fini(&path);
	s->at = 0;
}

void
slow_finish(struct store_part *p, struct store_job *j)
{
	struct slow *s = &p->slow;
	struct wbox *from = box_find(p, s->from.id), *to = box_find(p, s->to.id);
	struct buf uids = { 0 }, gone = { 0 };

	s->finishing = true;
	if (s->rc == 0 && from && to && to->d.uidnext == s->first) {
		p->bulk = true;
		append_copies(p, from, to, (const void *)s->records.p, s->n, &uids);
		reply_copied(j, to, &uids, s->first);
		if (j->req.verb == STORE_V_MOVE) {
			expunge_records(p, from, (const void *)uids.p, uids.n / sizeof(struct store_range),
			    true, &gone);
			j->reply.modseq = from->d.highestmodseq;
		}
		j->reply.bytes = to->acct->d.bytes;
		j->reply.messages = to->acct->d.messages;
	} else {
		unlink_all(p);
		reply_fail(j, s->rc == -ENOSPC || s->rc == -EDQUOT ? STORE_FULL : STORE_FAILED,
		    verdict(TEMP, 452, "4.3.1", "messages could not be copied"));
	}
	buf_fini(&uids);
	buf_fini(&gone);
}

void
slow_settled(struct store_part *p, bool committed)
{
	struct slow *s = &p->slow;

	if (!s->finishing)
		return;
	if (!committed)
		unlink_all(p);
	mem_free(&s->acct.name);
	mem_free(&s->from.dir);
	mem_free(&s->to.dir);
	buf_fini(&s->records);
	s->finishing = false;
	s->job = NULL;
}
