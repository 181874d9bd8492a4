/* What has changed in an account since a state.
 *
 * Called by jmapd within its slices of time.  The log says where something came, changed or went, by UIDs; clients of
 * JMAP know emails, which may come into one mailbox and leave another and be the same.  So first the log is read
 * whole; then each email that it names is judged: it was there before if it has a place that did not come since, or
 * lost one; it is there if it has one.  Threads are judged by their emails, mailboxes by the log's rows for them.
 * All of the log counts for what is new, also where the caller will tell a part: an email that came and was copied
 * later is still new to who knows neither. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/since-impl.h"

int
store_since_begin(struct store_since *s, struct store_view *v, struct slice account,
    const struct store_boxes *boxes, uint64_t since)
{
	struct store_account a;
	int rc = store_find_account(v, account, &a);

	*s = (struct store_since){ .boxes = boxes, .since = since, .at = since };
	if (rc < 0)
		return rc;
	if (since > a.modseq)
		return -EINVAL;
	s->modseq = s->seen = a.modseq;
	return since < a.changes_from || since < a.vanished_from ? -ENOENT : 0;
}

void
store_since_fini(struct store_since *s)
{
	struct buf *all[] = { &s->emails, &s->threads, &s->mailboxes, &s->came, &s->later,
		&s->changed.b, &s->gone_threads.b, &s->boxed.b, &s->met.b };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_fini(all[i]);
	store_boxes_fini(&s->own);
}

static uint64_t
since_thread_of(const struct store_record *rec)
{
	return rec->threadid ? rec->threadid : rec->emailid;
}

/* ---- messages -------------------------------------------------------------------------------- */

static bool
since_messages(struct store_since *s, struct store_view *v, const struct buf *ranges, bool came,
    uint64_t until)
{
	for (; s->next < COUNT(*ranges, struct since_range); s->next++, s->uid = 0) {
		struct since_range r = ITEMS(*ranges, struct since_range)[s->next];
		const struct store_record *rec;
		struct store_blocks b;
		size_t n;

		store_blocks_init(&b, v, r.mailbox, s->uid > r.first ? s->uid : r.first, r.last);
		while ((rec = store_blocks_next(&b, &n))) {
			for (size_t i = 0; i < n; i++) {
				struct since_met m = { .emailid = rec[i].emailid,
					.threadid = since_thread_of(&rec[i]),
					.first = came ? r.modseq : UINT64_MAX,
					.last = rec[i].modseq,
					.came = came,
					.hidden = rec[i].flags & STORE_DELETED };

				if (rec[i].modseq > s->since)
					store_since_meet(s, &m);
			}
			s->uid = rec[n - 1].uid + 1;
			if (clock_mono_us() >= until)
				return false;
		}
	}
	s->next = s->uid = 0;
	return true;
}

/* ---- what they are --------------------------------------------------------------------------- */

static void
since_tell(struct buf *to, uint64_t id, enum store_since_what what, uint64_t first, uint64_t last)
{
	struct store_since_change c = { .id = id,
		.modseq = what == STORE_SINCE_CREATED ? first : last,
		.what = (uint8_t)what };

	buf_add(to, &c, sizeof(c));
}

/* Looks at an email's places.  False: time is over, and s->place says where to go on: only when it is known to be there,
 * for what goes from a place behind to one before meanwhile would be missed. */
static bool
since_look(struct store_since *s, struct store_view *v, struct since_met *m, uint64_t until)
{
	const struct store_record *rec;

	for (size_t n = 1; !(m->was && m->is) && (rec = store_boxes_email(v, s->boxes, &s->place));
	     n++) {
		m->is |= !(rec->flags & STORE_DELETED);
		m->was |= store_since_came(s, s->place.mailbox, s->place.uid) == 0;
		m->threadid = since_thread_of(rec);
		if (m->is && n % LOOK == 0 && clock_mono_us() >= until)
			return false;
	}
	return true;
}

/* Judges one email. */
static bool
since_email(struct store_since *s, struct store_view *v, struct since_met *m, uint64_t until)
{
	bool moved = m->came || m->lost || m->hidden;

	if (s->place.emailid != m->emailid)
		s->place = (struct store_place){ .emailid = m->emailid };
	m->was |= m->lost || !m->came;
	m->is |= !moved;
	if (moved && !since_look(s, v, m, until))
		return false;
	if (!m->threadid)
		m->threadid = store_since_gone_thread(s, m->emailid);
	if (m->is || m->was)
		since_tell(&s->emails, m->emailid,
		    !m->was   ? STORE_SINCE_CREATED :
			m->is ? STORE_SINCE_UPDATED :
				STORE_SINCE_DESTROYED,
		    m->first, m->last);
	return true;
}

static bool
since_emails(struct store_since *s, struct store_view *v, uint64_t until)
{
	while (s->next < COUNT(s->met.b, struct since_met)) {
		if (!since_email(s, v, ITEMS(s->met.b, struct since_met) + s->next, until))
			return false;
		if (++s->next % LOOK == 0 && clock_mono_us() >= until)
			return false;
	}
	s->next = 0;
	return true;
}

static int
cmp_met_email(const void *a, const void *b)
{
	const struct since_met *x = a, *y = b;

	return x->emailid < y->emailid ? -1 : x->emailid > y->emailid;
}

static int
cmp_met_thread(const void *a, const void *b)
{
	const struct since_met *x = a, *y = b;

	return x->threadid != y->threadid ? (x->threadid < y->threadid ? -1 : 1) :
					    cmp_met_email(a, b);
}

/* The thread's emails beside the n that are met: what came meanwhile was not there either. */
static void
since_others(struct store_since *s, struct store_view *v, const struct since_met *m, size_t n,
    bool *was, bool *is)
{
	const uint64_t threadid = m->threadid;

	for (uint64_t id = 0;
	     !(*was && *is) && store_thread_next(v, s->boxes->account, threadid, &id);) {
		struct since_met key = { .emailid = id };
		struct store_place p = { .emailid = id };
		const struct store_record *rec;

		if (bsearch(&key, m, n, sizeof(key), cmp_met_email))
			continue;
		while (!(*was && *is) && (rec = store_boxes_email(v, s->boxes, &p))) {
			if (since_thread_of(rec) != threadid || rec->flags & STORE_DELETED)
				continue;
			*is = true;
			*was |= store_since_came(s, p.mailbox, p.uid) == 0;
		}
	}
}

/* Only emails that came or went make a thread another. */
static void
since_judge(struct store_since *s, struct store_view *v, const struct since_met *m, size_t n)
{
	uint64_t first = UINT64_MAX, last = 0;
	bool was = false, is = false;

	for (size_t i = 0; i < n; i++) {
		was |= m[i].was;
		is |= m[i].is;
		if (m[i].was == m[i].is)
			continue;
		first = m[i].first < first ? m[i].first : first;
		last = m[i].last > last ? m[i].last : last;
	}
	if (last == 0)
		return;
	since_others(s, v, m, n, &was, &is);
	if (is || was)
		since_tell(&s->threads, m->threadid,
		    !was   ? STORE_SINCE_CREATED :
			is ? STORE_SINCE_UPDATED :
			     STORE_SINCE_DESTROYED,
		    first, last);
}

static bool
since_threads(struct store_since *s, struct store_view *v, uint64_t until)
{
	const struct since_met *m = ITEMS(s->met.b, struct since_met);
	size_t n = COUNT(s->met.b, struct since_met);

	while (s->next < n) {
		size_t from = s->next;

		while (s->next < n && m[s->next].threadid == m[from].threadid)
			s->next++;
		since_judge(s, v, m + from, s->next - from);
		if (clock_mono_us() >= until)
			return false;
	}
	return true;
}

/* ---- mailboxes ------------------------------------------------------------------------------- */

/* The n rows of one mailbox. */
static void
since_mailbox(struct store_since *s, struct store_view *v, const struct since_box *b, size_t n)
{
	struct store_since_change c = { .mailbox = b->mailbox, .counts = true };
	uint64_t made = 0, deleted = 0;
	struct store_mailbox m;

	for (size_t i = 0; i < n; i++) {
		made = b[i].what == BOX_MADE ? b[i].modseq : made;
		deleted = b[i].what == BOX_DELETED ? b[i].modseq : deleted;
		c.id = b[i].objectid ? b[i].objectid : c.id;
		c.counts &= b[i].what == BOX_COUNTS;
		c.modseq = b[i].modseq;
	}
	if (deleted && made)
		return;
	if (deleted) {
		s->unknown |= !c.id;
		c.what = STORE_SINCE_DESTROYED;
		c.mailbox = 0;
	} else if (store_get_mailbox(v, b->mailbox, &m) == 0) {
		c.id = m.objectid;
		c.what = made ? STORE_SINCE_CREATED : STORE_SINCE_UPDATED;
		c.modseq = made ? made : c.modseq;
	} else
		return; /* what is left of one that went is emptied */
	buf_add(&s->mailboxes, &c, sizeof(c));
}

/* Subscriptions have no mailbox in the log: any may be meant. */
static void
since_subscribed(struct store_since *s, const struct since_box *row)
{
	struct since_box b = *row;

	for (size_t i = 0; i < s->boxes->n; i++) {
		b.mailbox = s->boxes->ids[i];
		buf_add(&s->boxed.b, &b, sizeof(b));
	}
}

static void
since_mailboxes(struct store_since *s, struct store_view *v)
{
	const struct since_box *b = ITEMS(s->boxed.b, struct since_box);
	size_t n = COUNT(s->boxed.b, struct since_box);
	struct since_box subscribed = { 0 };

	for (size_t i = 0; i < n && !b[i].mailbox; i++)
		subscribed = b[i];
	if (subscribed.modseq) {
		since_subscribed(s, &subscribed);
		store_since_tidy_boxes(s);
	}
	b = ITEMS(s->boxed.b, struct since_box);
	n = COUNT(s->boxed.b, struct since_box);
	for (size_t i = 0, to; i < n; i = to) {
		for (to = i; to < n && b[to].mailbox == b[i].mailbox; to++)
			;
		if (b[i].mailbox)
			since_mailbox(s, v, b + i, to - i);
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int
cmp_since_change(const void *a, const void *b)
{
	const struct store_since_change *x = a, *y = b;

	return x->modseq != y->modseq ? (x->modseq < y->modseq ? -1 : 1) :
	    x->id != y->id            ? (x->id < y->id ? -1 : 1) :
					0;
}

static void
since_sort(struct buf *b)
{
	if (b->n)
		qsort(b->p, COUNT(*b, struct store_since_change), sizeof(struct store_since_change),
		    cmp_since_change);
}

/* One stage, to its end. */
static bool
since_stage(struct store_since *s, struct store_view *v, uint64_t until)
{
	switch (s->stage) {
	case SINCE_READS:
		if (!store_since_read(s, v, until))
			return false;
		since_mailboxes(s, v);
		return true;
	case SINCE_GONE: return store_since_read_gone(s, v, until);
	case SINCE_CAME: return since_messages(s, v, &s->came, true, until);
	case SINCE_CHANGED:
		if (!since_messages(s, v, &s->changed.b, false, until))
			return false;
		store_since_tidy_met(s);
		return true;
	case SINCE_EMAILS:
		if (!since_emails(s, v, until))
			return false;
		if (s->met.b.n)
			qsort(s->met.b.p, COUNT(s->met.b, struct since_met),
			    sizeof(struct since_met), cmp_met_thread);
		return true;
	case SINCE_THREADS:
		if (!since_threads(s, v, until))
			return false;
		since_sort(&s->emails);
		since_sort(&s->threads);
		since_sort(&s->mailboxes);
		return true;
	case SINCE_OVER: break;
	}
	return true;
}

bool
store_since_go(struct store_since *s, struct store_view *v, uint64_t until)
{
	store_since_later(s, v);
	while (s->stage != SINCE_OVER) {
		if (!since_stage(s, v, until))
			return false;
		s->stage++;
	}
	return true;
}
