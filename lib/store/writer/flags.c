/* STORE, and the reserving of \Recent.
 *
 * Called by the writer's thread within its batch, for a long STORE in several, see long.c.  Only a
 * full table of keywords refuses a STORE; what fails in LMDB sticks in w->error and fails the batch.  The counts of the
 * mailbox record (unseen, \Deleted) must stay what its index rows say: both change in one walk. */
#include "store/writer/writer-impl.h"

/* ---- STORE ------------------------------------------------------------------------------------- */

struct flagging {
	struct wbox *b;
	const struct store_request *r;
	uint64_t keywords;
	uint64_t modseq; /* of this change; 0 = nothing has changed yet */
	struct writer *w;
	struct buf *spared;     /* of all slices: struct store_range */
	struct buf changed;     /* struct store_range */
	uint32_t lowest_unseen; /* made unseen by this */
	bool hint_seen;         /* the first unseen message became seen */
	struct wevent event;
	struct wseen seen; /* of who asks, where that is apart */
};

static void
flags_after(const struct flagging *f, const struct store_record *rec, uint16_t *flags,
    uint64_t *keywords)
{
	uint16_t may = f->b->may_flags;

	switch (f->r->how) {
	case STORE_ADD:
		*flags = rec->flags | (f->r->flags & may);
		*keywords = rec->keywords | f->keywords;
		break;
	case STORE_REMOVE:
		*flags = rec->flags & (uint16_t) ~(f->r->flags & may);
		*keywords = rec->keywords & ~f->keywords;
		break;
	default:
		*flags = (uint16_t)((rec->flags & ~may) | (f->r->flags & may));
		*keywords = f->b->may_keywords ? f->keywords : rec->keywords;
	}
}

static enum edit
flag_one(void *arg, struct store_record *rec)
{
	struct flagging *f = arg;
	struct wbox *b = f->b;
	struct store_record now = *rec; /* to who asks */
	uint64_t keywords;
	uint16_t flags;

	writer_seen_lay(&f->seen, &now);
	if (f->r->options & STORE_CONDITIONAL && now.modseq > f->r->since) {
		writer_range_add(f->spared, rec->uid);
		return EDIT_KEEP;
	}
	flags_after(f, &now, &flags, &keywords);
	if (b->seen_apart) {
		if ((flags ^ now.flags) & STORE_SEEN)
			writer_seen_mark(&f->seen, rec->uid, flags & STORE_SEEN);
		flags = (uint16_t)((flags & ~STORE_SEEN) | (rec->flags & STORE_SEEN));
	}
	if (flags == rec->flags && keywords == rec->keywords)
		return EDIT_KEEP;
	if (!f->modseq)
		f->modseq = writer_box_touch(f->w, b);
	if ((flags ^ rec->flags) & STORE_SEEN) {
		b->d.unseen += flags & STORE_SEEN ? -1u : 1u;
		if (flags & STORE_SEEN)
			f->hint_seen |= rec->uid <= b->d.first_unseen;
		else if (!f->lowest_unseen)
			f->lowest_unseen = rec->uid;
	}
	if ((flags ^ rec->flags) & STORE_DELETED)
		b->d.deleted += flags & STORE_DELETED ? 1u : -1u;
	writer_event_flags(&f->event, rec->uid, flags ^ rec->flags, keywords ^ rec->keywords);
	rec->flags = flags;
	rec->keywords = keywords;
	rec->modseq = f->modseq;
	writer_range_add(&f->changed, rec->uid);
	return EDIT_CHANGED;
}

/* RFC 4314 4: a STORE of which a part is allowed does that part; one of which none is, is refused.  Setting
 * flags to a list may change each that is allowed. */
static bool
flags_forbidden(struct store_job *j, const struct wbox *b)
{
	bool any = j->req.flags & b->may_flags || (b->may_keywords && j->req.keywords.n) ||
	    j->req.how == STORE_SET || (!j->req.flags && !j->req.keywords.n);

	if (!any)
		writer_reply_fail(j, STORE_FORBIDDEN, verdict(OUT_STORE_NO_RIGHT));
	return !any;
}

/* Each slice asks for the keywords' bits again: one that no message has got yet may have been given
 * back meanwhile.  Then there may be no room any more, and what is not done is refused. */
static bool
flags_slice(struct writer *w, struct wlong *l)
{
	struct store_job *j = l->job;
	struct wbox *b = writer_box_selectable(w, j, j->req.mailbox);
	struct flagging f = { .b = b, .r = &j->req, .w = w, .spared = &l->uids };
	bool make = j->req.how != STORE_REMOVE, whole = true;
	struct slice words = j->req.keywords;

	if (!b || flags_forbidden(j, b))
		return true;
	if (!b->may_keywords)
		words.n = 0;
	if (make && writer_reply_if_keywords(j, writer_box_keywords_fit(w, b, &words, 1)))
		return true;
	l->account = b->acct->d.id;
	f.keywords = writer_box_keywords(w, b, words, make);
	writer_event_begin(&f.event, w, j, b, STORE_CAUSE_FLAG, NULL);
	writer_seen_begin(&f.seen, w, b, writer_seen_login(j));
	if (l->nranges)
		whole = writer_box_walk_states(w, b, &l->uid, l->ranges, l->nranges, flag_one, &f);
	writer_event_end(&f.event);
	if (f.modseq)
		writer_change_put(w, b->acct->d.id, f.modseq, STORE_CHANGE_FLAGS, b->id,
		    buf_get(&f.changed));
	if (f.lowest_unseen && (b->d.first_unseen == 0 || f.lowest_unseen < b->d.first_unseen))
		b->d.first_unseen = f.lowest_unseen;
	else if (f.hint_seen)
		writer_box_find_unseen(w, b);
	l->changes += f.modseq != 0 || writer_seen_marked(&f.seen);
	writer_seen_end(&f.seen, f.modseq);
	buf_fini(&f.changed);
	if (!whole)
		return false;
	writer_reply_ok(j);
	j->reply.modseq = writer_seen_highest(w, b, writer_seen_login(j));
	j->reply.uid = l->changes;
	j->reply.uids = writer_ranges_keep(&j->arena, &l->uids, &j->reply.nuids);
	return true;
}

void
writer_run_flags(struct writer *w, struct store_job *j)
{
	writer_long_run(w, j, flags_slice, j->req.mailbox, 0);
}

/* ---- \Recent ------------------------------------------------------------------------------------------- */

void
writer_run_reserve(struct writer *w, struct store_job *j)
{
	struct wbox *b = writer_box_selectable(w, j, j->req.mailbox);
	struct store_range *r;

	if (!b)
		return;
	writer_reply_ok(j);
	j->reply.uid = b->d.uidnext;
	if (b->d.recent_from == b->d.uidnext)
		return;
	if (b->d.recent) {
		r = arena_new(&j->arena, sizeof(*r));
		*r = (struct store_range){ b->d.recent_from, b->d.uidnext - 1 };
		j->reply.uids = r;
		j->reply.nuids = 1;
	}
	b->d.recent = 0;
	b->d.recent_from = b->d.uidnext;
	writer_box_dirty(w, b);
}
