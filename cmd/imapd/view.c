/* imapd/view.c: sequence numbers and what changed, RFC 3501 2.3.1.2, 5.2, 7.3, 7.4.1. */
#include "view.h"

#include <errno.h>

#include "base/mem.h"
#include "imap/write.h"
#include "session.h"

/* ---- runs ------------------------------------------------------------------------------ */

static void
number(struct view *v)
{
	uint32_t seq = 1;

	for (size_t i = 0; i < v->nruns; i++) {
		v->runs[i].seq = seq;
		seq += v->runs[i].last - v->runs[i].first + 1;
	}
	v->exists = seq - 1;
}

int
view_open(struct store_view *sv, uint64_t mailbox, bool readonly, struct view **out)
{
	struct store_mailbox m;
	struct buf runs = { 0 };
	struct view *v;
	int64_t n;
	int r = store_get_mailbox(sv, mailbox, &m);

	if (r < 0)
		return r;
	n = store_uid_runs(sv, mailbox, &runs);
	if (n < 0) {
		buf_fini(&runs);
		return (int)n;
	}
	v = mem_new(sizeof(*v));
	v->mailbox = mailbox;
	v->uidvalidity = m.uidvalidity;
	v->uidnext = m.uidnext;
	v->modseq = m.highestmodseq;
	v->nkeywords = m.nkeywords;
	v->readonly = readonly;
	v->recent_lo = 1;
	v->nruns = runs.n / sizeof(struct store_range);
	v->runs = mem_array(v->nruns + 1, sizeof(*v->runs));
	for (size_t i = 0; i < v->nruns; i++) {
		struct store_range range;

		memcpy(&range, runs.p + i * sizeof(range), sizeof(range));
		v->runs[i] = (struct run){ range.first, range.last, 0 };
	}
	buf_fini(&runs);
	number(v);
	*out = v;
	return 0;
}

void
view_free(struct view **v)
{
	if (!*v)
		return;
	op_cancel(&(*v)->claim);
	mem_release((*v)->runs);
	mem_free(v);
}

size_t
view_find(const struct view *v, uint32_t uid)
{
	size_t lo = 0, hi = v->nruns;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->runs[mid].last < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
view_seq(const struct view *v, uint32_t uid)
{
	size_t i = view_find(v, uid);

	if (i == v->nruns || v->runs[i].first > uid)
		return 0;
	return v->runs[i].seq + (uid - v->runs[i].first);
}

static size_t
find_seq(const struct view *v, uint32_t seq)
{
	size_t lo = 0, hi = v->nruns;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->runs[mid].seq + (v->runs[mid].last - v->runs[mid].first) < seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t
view_uid(const struct view *v, uint32_t seq)
{
	size_t i = find_seq(v, seq);

	if (seq == 0 || i == v->nruns)
		return 0;
	return v->runs[i].first + (seq - v->runs[i].seq);
}

uint32_t
view_last_uid(const struct view *v)
{
	return v->nruns ? v->runs[v->nruns - 1].last : 0;
}

bool
view_uids(const struct view *v, struct imap_set *set, bool uid, struct arena *a)
{
	struct imap_set uids = { 0 };

	if (uid) {
		imap_set_resolve(set, view_last_uid(v));
		return true;
	}
	if (imap_set_resolve(set, v->exists) > v->exists)
		return false;
	for (size_t k = 0; k < set->n; k++) {
		struct imap_range r = set->r[k];

		for (size_t i = find_seq(v, r.lo); i < v->nruns && v->runs[i].seq <= r.hi; i++) {
			const struct run *run = &v->runs[i];
			uint32_t lo = r.lo > run->seq ? run->first + (r.lo - run->seq) : run->first;
			uint32_t end = run->seq + (run->last - run->first);
			uint32_t hi = r.hi < end ? run->first + (r.hi - run->seq) : run->last;

			imap_set_add(&uids, a, lo, hi);
		}
	}
	*set = uids;
	return true;
}

/* ---- the difference ---------------------------------------------------------------------- */

/* Cuts the UIDs that are no more out of the view and writes their EXPUNGEs, from the last to
 * the first, so that each number is right when it is read. */
static void
expunge(struct session *s, const struct store_range *now, size_t nnow)
{
	struct view *v = s->view;
	struct imap_set gone = { 0 }, left = { 0 };
	size_t k = 0;

	for (size_t i = 0; i < v->nruns; i++) {
		uint32_t uid = v->runs[i].first, last = v->runs[i].last;

		for (;;) {
			uint32_t hi;

			while (k < nnow && now[k].last < uid)
				k++;
			if (k == nnow || now[k].first > last) {
				imap_set_add(&gone, &s->arena, uid, last);
				break;
			}
			if (now[k].first > uid)
				imap_set_add(&gone, &s->arena, uid, now[k].first - 1);
			uid = now[k].first > uid ? now[k].first : uid;
			hi = now[k].last < last ? now[k].last : last;
			imap_set_add(&left, &s->arena, uid, hi);
			if (hi == last)
				break;
			uid = hi + 1;
		}
	}
	if (gone.n == 0)
		return;
	for (size_t i = gone.n; i-- > 0;) {
		uint32_t seq = view_seq(v, gone.r[i].hi), n = gone.r[i].hi - gone.r[i].lo + 1;

		for (; n > 0; n--, seq--) {
			char *p = buf_reserve(out(s), 32), *e = p;

			if (!p)
				return;
			memcpy(e, "* ", 2);
			e = imap_u32_at(e + 2, seq);
			memcpy(e, " EXPUNGE\r\n", 10);
			out(s)->n += (size_t)(e + 10 - p);
		}
	}
	v->runs = mem_grow(v->runs, left.n + 1, sizeof(*v->runs));
	v->nruns = left.n;
	for (size_t i = 0; i < left.n; i++)
		v->runs[i] = (struct run){ left.r[i].lo, left.r[i].hi, 0 };
	number(v);
}

static void
claimed(void *arg, const struct store_reply *r)
{
	(void)arg;
	(void)r;
}

/* New messages: all of them have UIDs from v->uidnext on. */
static bool
arrive(struct session *s, const struct store_range *now, size_t nnow,
    const struct store_mailbox *m)
{
	struct view *v = s->view;
	size_t k = 0;
	bool any = false;

	while (k < nnow && now[k].last < v->uidnext)
		k++;
	v->runs = mem_grow(v->runs, v->nruns + (nnow - k) + 1, sizeof(*v->runs));
	for (; k < nnow; k++) {
		uint32_t first = now[k].first < v->uidnext ? v->uidnext : now[k].first;
		struct run *end = v->nruns ? &v->runs[v->nruns - 1] : NULL;

		any = true;
		if (end && end->last + 1 == first)
			end->last = now[k].last;
		else
			v->runs[v->nruns++] = (struct run){ first, now[k].last, 0 };
	}
	v->uidnext = m->uidnext;
	if (!any)
		return false;
	number(v);
	/* Recent to us if to nobody before; the claim goes out without waiting for it. */
	if (m->recent > 0 && m->recent_from < m->uidnext) {
		if (v->recent_hi < v->recent_lo)
			v->recent_lo = m->recent_from;
		v->recent_hi = m->uidnext - 1;
		if (!v->readonly && !op_pending(&v->claim))
			store_claim_start(imapd.store, v->mailbox, &v->claim, claimed, v);
	}
	return true;
}

static uint32_t
count_recent(const struct view *v)
{
	uint32_t n = 0;

	if (v->recent_hi < v->recent_lo)
		return 0;
	for (size_t i = view_find(v, v->recent_lo); i < v->nruns && v->runs[i].first <= v->recent_hi;
	     i++) {
		uint32_t lo = v->runs[i].first > v->recent_lo ? v->runs[i].first : v->recent_lo;
		uint32_t hi = v->runs[i].last < v->recent_hi ? v->runs[i].last : v->recent_hi;

		n += hi - lo + 1;
	}
	return n;
}

void
view_flags_write(struct buf *b, const struct view *v, const struct store_record *r,
    const struct store_mailbox *m)
{
	unsigned system = r->flags & STORE_FLAGS_ALL;
	char *p, *e;

	if (view_is_recent(v, r->uid))
		system |= IMAP_RECENT;
	p = buf_reserve(b, IMAP_SYSTEM_FLAGS_MAX + 2);
	if (!p)
		return;
	*p = '(';
	e = imap_flags_at(p + 1, system);
	b->n += (size_t)(e - p);
	for (uint64_t bits = r->keywords; bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctzll(bits);

		if (i >= m->nkeywords)
			break;
		if (b->p[b->n - 1] != '(')
			buf_char(b, ' ');
		buf_slice(b, m->keywords[i]);
	}
	buf_char(b, ')');
}

void
view_flags_announce(struct session *s, const struct store_mailbox *m, bool readonly)
{
	struct buf *b = out(s);

	buf_lit(b, "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft");
	for (size_t i = 0; i < m->nkeywords; i++) {
		buf_char(b, ' ');
		buf_slice(b, m->keywords[i]);
	}
	buf_lit(b, ")\r\n* OK [PERMANENTFLAGS (");
	if (!readonly) {
		buf_lit(b, "\\Answered \\Flagged \\Deleted \\Seen \\Draft");
		for (size_t i = 0; i < m->nkeywords; i++) {
			buf_char(b, ' ');
			buf_slice(b, m->keywords[i]);
		}
		if (m->nkeywords < STORE_KEYWORDS)
			buf_lit(b, " \\*");
	}
	buf_str(b, readonly ? ")] No permanent flags permitted\r\n" : ")] Flags permitted\r\n");
}

/* One changed message. */
static void
tell_flags(struct session *s, const struct sync *y, const struct store_record *r, uint32_t seq,
    const struct store_mailbox *m)
{
	struct buf *b = out(s);
	bool own = y->own &&
	    (y->silent ? r->modseq == y->own_modseq : r->modseq <= y->own_modseq) &&
	    imap_set_has(y->own, r->uid);
	char *p, *e;

	if (own && !y->silent_modseq)
		return;
	p = e = buf_reserve(b, 96);
	if (!p)
		return;
	memcpy(e, "* ", 2);
	e = imap_u32_at(e + 2, seq);
	memcpy(e, " FETCH (", 8);
	e += 8;
	if (y->uid || s->condstore) {
		memcpy(e, "UID ", 4);
		e = imap_u32_at(e + 4, r->uid);
		*e++ = ' ';
	}
	if (s->condstore) {
		memcpy(e, "MODSEQ (", 8);
		e = imap_u64_at(e + 8, r->modseq);
		*e++ = ')';
		if (!own)
			*e++ = ' ';
	}
	b->n += (size_t)(e - p);
	if (!own) {
		buf_lit(b, "FLAGS ");
		view_flags_write(b, s->view, r, m);
	}
	buf_lit(b, ")\r\n");
}

/* Flags that changed since v->modseq of messages that the client knows. */
static int
flags(struct session *s, struct sync *y, const struct store_mailbox *m)
{
	struct view *v = s->view;
	struct store_blocks blocks;
	const struct store_record *r;
	size_t n;

	store_blocks_init(&blocks, reader(s), v->mailbox, y->at, y->last);
	while ((r = store_blocks_next(&blocks, &n))) {
		for (size_t i = 0; i < n; i++) {
			uint32_t seq;

			if (r[i].modseq <= v->modseq || !(seq = view_seq(v, r[i].uid)))
				continue;
			tell_flags(s, y, &r[i], seq, m);
		}
		y->at = r[n - 1].uid + 1;
		if (stream_backlog(&s->io) + out(s)->n >= STREAM_HIGH)
			return 1;
	}
	return 0;
}

/* Everything but changed flags, which may be long. */
static void
news(struct session *s, struct sync *y, const struct store_mailbox *m)
{
	struct view *v = s->view;
	struct buf runs = { 0 };
	uint32_t exists = v->exists, recent;

	if (m->nkeywords != v->nkeywords) {
		v->nkeywords = m->nkeywords;
		view_flags_announce(s, m, v->readonly);
	}
	if ((y->expunge || m->uidnext != v->uidnext) &&
	    store_uid_runs(reader(s), v->mailbox, &runs) >= 0) {
		/* The runs' bytes come from mem, so they are aligned. */
		const struct store_range *now = (const void *)runs.p;
		size_t n = runs.n / sizeof(*now);

		if (y->expunge)
			expunge(s, now, n);
		exists = v->exists;
		if (m->uidnext != v->uidnext)
			arrive(s, now, n, m);
	}
	buf_fini(&runs);
	recent = count_recent(v);
	if (v->exists != exists) {
		untagged(s, "%u EXISTS", v->exists);
		untagged(s, "%u RECENT", recent);
	}
	v->recent = recent;
}

/* Is every change since v->modseq the arrival of a message from uid `from` on?  Each change of
 * a mailbox takes a number of its own, so when the new messages account for all the numbers,
 * no flag of an old one has changed, and a large mailbox need not be scanned for it. */
static bool
only_arrivals(struct session *s, const struct store_mailbox *m, uint32_t from)
{
	uint64_t since = s->view->modseq, seen = 0;
	struct store_blocks blocks;
	const struct store_record *r;
	size_t n;

	if (m->highestmodseq <= since || m->highestmodseq - since > 64 || from >= m->uidnext)
		return false;
	store_blocks_init(&blocks, reader(s), m->id, from, UINT32_MAX);
	while ((r = store_blocks_next(&blocks, &n)))
		for (size_t i = 0; i < n; i++)
			if (r[i].modseq > since && r[i].modseq <= m->highestmodseq)
				seen |= UINT64_C(1) << (r[i].modseq - since - 1);
	return seen == UINT64_MAX >> (64 - (m->highestmodseq - since));
}

int
view_sync(struct session *s, struct sync *y)
{
	struct view *v = s->view;
	struct store_mailbox m;
	int r = store_begin(reader(s));

	if (r < 0)
		return 0; /* logged; nothing can be said about the mailbox now */
	r = store_get_mailbox(reader(s), v->mailbox, &m);
	if (r == 0 && m.uidvalidity != v->uidvalidity)
		r = -ESTALE;
	if (r < 0 || (!y->begun && m.highestmodseq == v->modseq && m.uidnext == v->uidnext &&
	    (m.exists == v->exists || !y->expunge)))
		goto out;
	if (!y->begun) {
		/* The flags of new messages are asked for, not told; unless the client knew of
		 * them already and something has happened since. */
		bool quiet = v->arrived && v->arrived_modseq == m.highestmodseq;
		uint32_t from = quiet ? v->arrived : v->uidnext;

		y->last = quiet ? from - 1 : view_last_uid(v);
		news(s, y, &m);
		y->begun = true;
		y->at = 1;
		y->until = m.highestmodseq;
		v->arrived = 0;
		if (only_arrivals(s, &m, from)) {
			v->modseq = y->until;
			goto out;
		}
	}
	r = flags(s, y, &m);
	if (r == 0)
		v->modseq = y->until;
out:
	store_end(reader(s));
	return r == -ENOENT || r == -EBADMSG ? -ESTALE : r;
}

void
view_arrivals(struct session *s)
{
	struct view *v = s->view;
	struct sync y = { 0 };
	struct store_mailbox m;

	if (store_begin(reader(s)) < 0)
		return;
	if (store_get_mailbox(reader(s), v->mailbox, &m) == 0 && m.uidvalidity == v->uidvalidity &&
	    m.uidnext != v->uidnext) {
		if (!v->arrived)
			v->arrived = v->uidnext;
		v->arrived_modseq = m.highestmodseq;
		news(s, &y, &m);
	}
	store_end(reader(s));
}
