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
#include "store/since.h"

#define LOOK 64 /* of what is quick, between two looks at the clock */

struct since_range { /* of UIDs of a mailbox; gone: one place with its email */
	uint64_t mailbox, modseq;
	uint32_t first, last;
	uint64_t emailid;
};
struct since_box {
	uint64_t mailbox, objectid, modseq;
	enum { BOX_COUNTS, BOX_CHANGED, BOX_MADE, BOX_DELETED } what;
};
/* An email that the log is about. */
struct since_met {
	uint64_t emailid, threadid; /* threadid 0: its record has gone */
	uint64_t first, last;       /* modseqs: when it came, of its last change */
	bool came, lost;            /* into a mailbox; a place that it had before */
};

#define ITEMS(buf, type) ((type *)(void *)(buf).p)
#define COUNT(buf, type) ((buf).n / sizeof(type))

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
	s->modseq = a.modseq;
	return since < a.changes_from || since < a.vanished_from ? -ENOENT : 0;
}

void
store_since_fini(struct store_since *s)
{
	struct buf *all[] = { &s->emails, &s->threads, &s->mailboxes, &s->came, &s->changed,
		&s->gone, &s->gone_threads, &s->boxed, &s->met };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_fini(all[i]);
}

/* ---- the log --------------------------------------------------------------------------------- */

static void
since_take_box(struct store_since *s, const struct store_change_walk *c, int what)
{
	struct since_box b = { c->mailbox, store_change_objectid(c), c->modseq, BOX_COUNTS };
	struct since_box *last = COUNT(s->boxed, struct since_box) ?
	    ITEMS(s->boxed, struct since_box) + COUNT(s->boxed, struct since_box) - 1 :
	    NULL;

	b.what = what;
	if (last && last->mailbox == b.mailbox && last->what == BOX_COUNTS && b.what == BOX_COUNTS)
		last->modseq = b.modseq;
	else
		buf_add(&s->boxed, &b, sizeof(b));
}

static void
since_take_gone(struct store_since *s, const struct store_change_walk *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct store_gone g = store_change_gone(c, i);

		for (uint64_t uid = g.first; uid <= g.last && g.emailid; uid++) {
			struct since_range r = { c->mailbox, c->modseq, (uint32_t)uid,
				(uint32_t)uid, g.emailid + (uid - g.first) };

			buf_add(&s->gone, &r, sizeof(r));
		}
	}
}

static void
since_take_row(struct store_since *s, const struct store_change_walk *c)
{
	struct since_range r = { .mailbox = c->mailbox, .modseq = c->modseq };

	switch (c->kind) {
	case STORE_CHANGE_NEW:
	case STORE_CHANGE_FLAGS:
		for (size_t i = 0; i < c->count; i++) {
			struct store_range uids = store_change_range(c, i);

			r.first = uids.first;
			r.last = uids.last;
			buf_add(c->kind == STORE_CHANGE_NEW ? &s->came : &s->changed, &r,
			    sizeof(r));
		}
		since_take_box(s, c, BOX_COUNTS);
		break;
	case STORE_CHANGE_GONE:
		since_take_gone(s, c);
		since_take_box(s, c, BOX_COUNTS);
		break;
	case STORE_CHANGE_FOLDER: since_take_box(s, c, c->count ? BOX_MADE : BOX_CHANGED); break;
	case STORE_CHANGE_DELETED: since_take_box(s, c, BOX_DELETED); break;
	case STORE_CHANGE_THREADS: buf_slice(&s->gone_threads, c->entries); break;
	case STORE_CHANGE_NEWS: /* comes as NEW */
	default: break;
	}
}

static int
cmp_since_range(const void *a, const void *b)
{
	const struct since_range *x = a, *y = b;

	return x->mailbox != y->mailbox ? (x->mailbox < y->mailbox ? -1 : 1) :
	    x->first != y->first        ? (x->first < y->first ? -1 : 1) :
					  0;
}

static int
cmp_gone_thread(const void *a, const void *b)
{
	struct store_gone_thread x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x.emailid < y.emailid ? -1 : x.emailid > y.emailid;
}

static void
since_sort(struct buf *b, size_t size, int (*cmp)(const void *, const void *))
{
	if (b->n)
		qsort(b->p, b->n / size, size, cmp);
}

/* All rows of a modseq or none, so that the next slice can go on behind it. */
static bool
since_read(struct store_since *s, struct store_view *v, uint64_t until)
{
	struct store_change_walk c = { .account = s->boxes->account, .since = s->at };
	uint64_t last = s->at;
	size_t n = 0;

	while (store_change_next(v, &c) && c.modseq <= s->modseq) {
		if (c.modseq != last && ++n % LOOK == 0 && clock_mono_us() >= until)
			return false;
		last = s->at = c.modseq;
		since_take_row(s, &c);
	}
	since_sort(&s->came, sizeof(struct since_range), cmp_since_range);
	since_sort(&s->gone_threads, sizeof(struct store_gone_thread), cmp_gone_thread);
	return true;
}

/* When the place came, or 0: before. */
static uint64_t
since_came(const struct store_since *s, uint64_t mailbox, uint32_t uid)
{
	const struct since_range *r = ITEMS(s->came, struct since_range);
	size_t lo = 0, hi = COUNT(s->came, struct since_range);

	while (lo < hi) { /* the first one that begins behind it */
		size_t mid = (lo + hi) / 2;

		if (r[mid].mailbox < mailbox || (r[mid].mailbox == mailbox && r[mid].first <= uid))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && r[lo - 1].mailbox == mailbox && uid <= r[lo - 1].last ? r[lo - 1].modseq : 0;
}

/* ---- messages -------------------------------------------------------------------------------- */

static bool
since_messages(struct store_since *s, struct store_view *v, struct buf *ranges, bool came,
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
				struct since_met m = { rec[i].emailid,
					rec[i].threadid ? rec[i].threadid : rec[i].emailid,
					r.modseq, rec[i].modseq, came, false };

				if (rec[i].modseq > s->since)
					buf_add(&s->met, &m, sizeof(m));
			}
			s->uid = rec[n - 1].uid + 1;
			if (clock_mono_us() >= until)
				return false;
		}
	}
	s->next = s->uid = 0;
	return true;
}

/* What went: its thread is its own unless the log says another. */
static void
since_gone(struct store_since *s)
{
	const struct since_range *r = ITEMS(s->gone, struct since_range);

	for (size_t i = 0; i < COUNT(s->gone, struct since_range); i++) {
		uint64_t came = since_came(s, r[i].mailbox, r[i].first);
		struct since_met m = { r[i].emailid, 0, came ? came : r[i].modseq, r[i].modseq,
			came != 0, came == 0 };

		buf_add(&s->met, &m, sizeof(m));
	}
	buf_fini(&s->gone);
}

static int
cmp_met(const void *a, const void *b)
{
	const struct since_met *x = a, *y = b;

	return x->emailid < y->emailid ? -1 : x->emailid > y->emailid;
}

/* One of each email. */
static void
since_join(struct store_since *s)
{
	struct since_met *m = ITEMS(s->met, struct since_met);
	size_t n = COUNT(s->met, struct since_met), kept = 0;

	since_sort(&s->met, sizeof(*m), cmp_met);
	for (size_t i = 1; i < n; i++) {
		struct since_met *to = &m[kept];

		if (m[i].emailid != to->emailid) {
			m[++kept] = m[i];
			continue;
		}
		to->threadid = to->threadid ? to->threadid : m[i].threadid;
		to->first = m[i].first < to->first ? m[i].first : to->first;
		to->last = m[i].last > to->last ? m[i].last : to->last;
		to->came |= m[i].came;
		to->lost |= m[i].lost;
	}
	if (n)
		s->met.n = (kept + 1) * sizeof(*m);
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

static uint64_t
since_thread(const struct store_since *s, uint64_t emailid)
{
	struct store_gone_thread key = { emailid, 0 }, found;
	const void *p = s->gone_threads.n ?
	    bsearch(&key, s->gone_threads.p, COUNT(s->gone_threads, key), sizeof(key),
		cmp_gone_thread) :
	    NULL;

	if (!p)
		return emailid;
	memcpy(&found, p, sizeof(found));
	return found.threadid;
}

/* Judges one email; what is left of m: whether it came (it was not there) or went (it is not) for its thread. */
static void
since_email(struct store_since *s, struct store_view *v, struct since_met *m)
{
	bool was = m->lost || !m->came, is = !m->lost && !m->came;
	struct store_place p = { .emailid = m->emailid };
	const struct store_record *rec;

	while ((m->came || m->lost) && (rec = store_boxes_email(v, s->boxes, &p))) {
		is = true;
		was |= since_came(s, p.mailbox, p.uid) == 0;
		m->threadid = rec->threadid ? rec->threadid : m->emailid;
	}
	if (!m->threadid)
		m->threadid = since_thread(s, m->emailid);
	if (is && !was)
		since_tell(&s->emails, m->emailid, STORE_SINCE_CREATED, m->first, m->last);
	else if (was)
		since_tell(&s->emails, m->emailid, is ? STORE_SINCE_UPDATED : STORE_SINCE_DESTROYED,
		    m->first, m->last);
	m->came = is && !was;
	m->lost = was && !is;
}

static bool
since_emails(struct store_since *s, struct store_view *v, uint64_t until)
{
	while (s->next < COUNT(s->met, struct since_met)) {
		since_email(s, v, ITEMS(s->met, struct since_met) + s->next);
		if (++s->next % LOOK == 0 && clock_mono_us() >= until)
			return false;
	}
	s->next = 0;
	return true;
}

static int
cmp_met_thread(const void *a, const void *b)
{
	const struct since_met *x = a, *y = b;

	return x->threadid != y->threadid ? (x->threadid < y->threadid ? -1 : 1) : cmp_met(a, b);
}

/* Was an email of the thread there before, and is one that did not change?  `m` has its n emails that came or went,
 * by their ids. */
static void
since_judge(struct store_since *s, struct store_view *v, const struct since_met *m, size_t n)
{
	uint64_t first = UINT64_MAX, last = 0;
	struct buf emails = { 0 };
	bool was = false, is;

	for (size_t i = 0; i < n; i++) {
		was |= m[i].lost;
		first = m[i].first < first ? m[i].first : first;
		last = m[i].last > last ? m[i].last : last;
	}
	store_thread_emails(v, s->boxes, m->threadid, &emails);
	is = emails.n > 0;
	for (size_t i = 0; i < COUNT(emails, struct store_thread_email) && !was; i++) {
		struct since_met key = { .emailid =
					     ITEMS(emails, struct store_thread_email)[i].emailid };
		const struct since_met *found = bsearch(&key, m, n, sizeof(key), cmp_met);

		was = !found || !found->came;
	}
	if (is || was)
		since_tell(&s->threads, m->threadid,
		    !was   ? STORE_SINCE_CREATED :
			is ? STORE_SINCE_UPDATED :
			     STORE_SINCE_DESTROYED,
		    first, last);
	buf_fini(&emails);
}

static bool
since_threads(struct store_since *s, struct store_view *v, uint64_t until)
{
	const struct since_met *m = ITEMS(s->met, struct since_met);
	size_t n = COUNT(s->met, struct since_met);

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

static int
cmp_since_box(const void *a, const void *b)
{
	const struct since_box *x = a, *y = b;

	return x->mailbox != y->mailbox ? (x->mailbox < y->mailbox ? -1 : 1) :
	    x->modseq != y->modseq      ? (x->modseq < y->modseq ? -1 : 1) :
					  0;
}

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
		buf_add(&s->boxed, &b, sizeof(b));
	}
}

static void
since_mailboxes(struct store_since *s, struct store_view *v)
{
	const struct since_box *b = ITEMS(s->boxed, struct since_box);
	size_t n = COUNT(s->boxed, struct since_box);
	struct since_box subscribed = { 0 };

	for (size_t i = 0; i < n; i++)
		if (!b[i].mailbox)
			subscribed = b[i];
	if (subscribed.modseq)
		since_subscribed(s, &subscribed);
	since_sort(&s->boxed, sizeof(*b), cmp_since_box);
	b = ITEMS(s->boxed, struct since_box);
	n = COUNT(s->boxed, struct since_box);
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

/* Only those that came or went make a thread another. */
static void
since_keep_threads(struct store_since *s)
{
	struct since_met *m = ITEMS(s->met, struct since_met);
	size_t kept = 0;

	for (size_t i = 0; i < COUNT(s->met, struct since_met); i++)
		if (m[i].came || m[i].lost)
			m[kept++] = m[i];
	s->met.n = kept * sizeof(*m);
	since_sort(&s->met, sizeof(*m), cmp_met_thread);
}

/* One stage, to its end. */
static bool
since_stage(struct store_since *s, struct store_view *v, uint64_t until)
{
	switch (s->stage) {
	case SINCE_READS:
		if (!since_read(s, v, until))
			return false;
		since_mailboxes(s, v);
		since_gone(s);
		return true;
	case SINCE_CAME: return since_messages(s, v, &s->came, true, until);
	case SINCE_CHANGED:
		if (!since_messages(s, v, &s->changed, false, until))
			return false;
		since_join(s);
		return true;
	case SINCE_EMAILS:
		if (!since_emails(s, v, until))
			return false;
		since_keep_threads(s);
		return true;
	case SINCE_THREADS:
		if (!since_threads(s, v, until))
			return false;
		since_sort(&s->emails, sizeof(struct store_since_change), cmp_since_change);
		since_sort(&s->threads, sizeof(struct store_since_change), cmp_since_change);
		since_sort(&s->mailboxes, sizeof(struct store_since_change), cmp_since_change);
		return true;
	case SINCE_OVER: break;
	}
	return true;
}

bool
store_since_go(struct store_since *s, struct store_view *v, uint64_t until)
{
	while (s->stage != SINCE_OVER) {
		if (!since_stage(s, v, until))
			return false;
		s->stage++;
	}
	return true;
}
