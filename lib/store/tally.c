/* Counts of a mailbox that are kept: see tally.h.
 *
 * Owns, for each message, by what it was counted, so that it can be taken back; and for each email and thread how often
 * it is there.  Called by jmapd in its slices of time.  What is the case is always read from the records, never from the
 * log, which only says where to look: so to look twice does no harm, and a walk in several snapshots is brought up to
 * date at its end like any other state.  Must stay true: whatever this cannot follow (a log that does not reach back,
 * many changes at once, an email's first message that goes where others of it stay, another UIDVALIDITY, an index that
 * was set back) is walked over anew, never guessed. */
#include "store/tally.h"

#include "base/clock.h"
#include "base/mem.h"

#define TALLY_FOLLOWED 4096  /* messages that may have changed; more are walked over, in slices */
#define TALLY_LOG      10000 /* modseqs of the account that the log is read back for */
#define MAP_LEAST      64    /* slots; a power of two */

enum tally_state {
	TALLY_LEFT_OUT, /* \Deleted */
	TALLY_AGAIN,    /* its email is counted by another message */
	TALLY_READ,
	TALLY_UNREAD,
	TALLY_GONE, /* expunged; the entry is kept until there are many */
};

/* ---- how often an id is there -------------------------------------------------------------------- */

static size_t
map_home(const struct store_tally_map *m, uint64_t id)
{
	return (size_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & m->mask;
}

static size_t
map_at(const struct store_tally_map *m, uint64_t id)
{
	size_t at = map_home(m, id);

	while (m->slots[at].id && m->slots[at].id != id)
		at = (at + 1) & m->mask;
	return at;
}

/* The slot of the id, which is made; good until the next one is. */
static struct store_tally_slot *
map_get_slot(struct store_tally_map *m, uint64_t id)
{
	struct store_tally_slot *slot;

	if (!m->slots || m->n > m->mask / 4 * 3) {
		struct store_tally_map had = *m;

		m->mask = had.slots ? had.mask * 2 + 1 : MAP_LEAST - 1;
		m->slots = mem_array(m->mask + 1, sizeof(*m->slots));
		for (size_t i = 0; had.slots && i <= had.mask; i++)
			if (had.slots[i].id)
				m->slots[map_at(m, had.slots[i].id)] = had.slots[i];
		mem_free(&had.slots);
	}
	slot = &m->slots[map_at(m, id)];
	if (!slot->id) {
		slot->id = id;
		m->n++;
	}
	return slot;
}

/* Those behind it that could not have their own place move up, so that no search ends before them. */
static void
map_drop(struct store_tally_map *m, struct store_tally_slot *slot)
{
	size_t hole = (size_t)(slot - m->slots);

	for (size_t at = (hole + 1) & m->mask; m->slots[at].id; at = (at + 1) & m->mask) {
		size_t home = map_home(m, m->slots[at].id);

		if (((at - home) & m->mask) < ((at - hole) & m->mask))
			continue;
		m->slots[hole] = m->slots[at];
		hole = at;
	}
	m->slots[hole] = (struct store_tally_slot){ 0 };
	m->n--;
}

static void
map_clear(struct store_tally_map *m)
{
	mem_free(&m->slots);
	m->n = m->mask = 0;
}

/* ---- one message ----------------------------------------------------------------------------------- */

static bool
entry_counts(const struct store_tally_entry *e)
{
	return e->state == TALLY_READ || e->state == TALLY_UNREAD;
}

static void
tally_unread(struct store_tally *t, const struct store_tally_entry *e, int by)
{
	struct store_tally_slot *thread = map_get_slot(&t->threads, e->threadid);
	bool was = thread->unread > 0;

	thread->unread += (uint32_t)by;
	t->counts.unread += (uint32_t)by;
	t->counts.unread_threads += (uint32_t)((thread->unread > 0) - was);
}

/* `last`: it is behind all others.  False: it comes before another message of its email. */
static bool
tally_add(struct store_tally *t, struct store_tally_entry *e, enum tally_state state, bool last)
{
	struct store_tally_slot *email;

	e->state = (uint8_t)state;
	if (!entry_counts(e))
		return true;
	email = map_get_slot(&t->emails, e->emailid);
	if (++email->all > 1) {
		e->state = TALLY_AGAIN;
		return last;
	}
	t->counts.emails++;
	t->counts.threads += map_get_slot(&t->threads, e->threadid)->all++ == 0;
	if (e->state == TALLY_UNREAD)
		tally_unread(t, e, 1);
	return true;
}

/* False: others of its email are there, of which one counts from now on. */
static bool
tally_remove(struct store_tally *t, struct store_tally_entry *e, enum tally_state state)
{
	struct store_tally_entry had = *e;
	struct store_tally_slot *slot;

	e->state = (uint8_t)state;
	if (!entry_counts(&had) && had.state != TALLY_AGAIN)
		return true;
	slot = map_get_slot(&t->emails, had.emailid);
	if (--slot->all > 0)
		return had.state == TALLY_AGAIN;
	map_drop(&t->emails, slot);
	if (had.state == TALLY_UNREAD)
		tally_unread(t, &had, -1);
	t->counts.emails--;
	slot = map_get_slot(&t->threads, had.threadid);
	if (--slot->all == 0) {
		map_drop(&t->threads, slot);
		t->counts.threads--;
	}
	return true;
}

static enum tally_state
tally_state_of(const struct store_record *r)
{
	return r->flags & STORE_DELETED           ? TALLY_LEFT_OUT :
	    r->flags & (STORE_SEEN | STORE_DRAFT) ? TALLY_READ :
						    TALLY_UNREAD;
}

/* Index of the first entry whose UID is not below `uid`. */
static size_t
tally_find(const struct store_tally *t, uint32_t uid)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->list[mid].uid < uid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool
tally_append(struct store_tally *t, const struct store_record *r)
{
	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 256;
		t->list = mem_grow(t->list, t->room, sizeof(*t->list));
	}
	t->list[t->n] = (struct store_tally_entry){ .emailid = r->emailid,
		.threadid = r->threadid ? r->threadid : r->emailid,
		.uid = r->uid };
	return tally_add(t, &t->list[t->n++], tally_state_of(r), true);
}

/* It is as the record says from now on.  False: that cannot be followed. */
static bool
tally_set(struct store_tally *t, const struct store_record *r)
{
	enum tally_state state = tally_state_of(r);
	size_t at = t->n && r->uid <= t->list[t->n - 1].uid ? tally_find(t, r->uid) : t->n;
	struct store_tally_entry *e;

	if (at == t->n)
		return tally_append(t, r);
	e = &t->list[at];
	if (e->uid != r->uid || e->state == TALLY_GONE || e->emailid != r->emailid ||
	    e->threadid != (r->threadid ? r->threadid : r->emailid))
		return false;
	if (e->state == state || (e->state == TALLY_AGAIN && state != TALLY_LEFT_OUT))
		return true;
	if (entry_counts(e) && state != TALLY_LEFT_OUT) {
		e->state = (uint8_t)state;
		tally_unread(t, e, state == TALLY_UNREAD ? 1 : -1);
		return true;
	}
	return state == TALLY_LEFT_OUT ? tally_remove(t, e, state) : tally_add(t, e, state, false);
}

/* ---- all of them ----------------------------------------------------------------------------------- */

static void
tally_reset(struct store_tally *t)
{
	t->counts = (struct store_tally_counts){ 0 };
	t->n = t->gone = 0;
	t->seen = 0;
	map_clear(&t->threads);
	map_clear(&t->emails);
	t->at = 1;
	t->built = false;
}

void
store_tally_init(struct store_tally *t, uint64_t mailbox)
{
	*t = (struct store_tally){ .mailbox = mailbox };
}

size_t
store_tally_bytes(const struct store_tally *t)
{
	size_t slots = (t->threads.slots ? t->threads.mask + 1 : 0) +
	    (t->emails.slots ? t->emails.mask + 1 : 0);

	return sizeof(*t) + t->room * sizeof(*t->list) + slots * sizeof(*t->emails.slots);
}

void
store_tally_fini(struct store_tally *t)
{
	tally_reset(t);
	mem_free(&t->list);
	t->room = 0;
}

/* True: the walk is over, and has been right since it began but for what has changed. */
static bool
tally_walk(struct store_tally *t, struct store_view *v, const struct store_account *a,
    const struct store_mailbox *m, uint64_t until)
{
	const struct store_record *r;
	struct store_blocks b;
	size_t n;

	if (t->at <= 1) {
		t->walks++;
		t->at = 1;
		t->since = a->modseq;
		t->uidvalidity = m->uidvalidity;
	}
	store_blocks_init(&b, v, t->mailbox, t->at, UINT32_MAX);
	while ((r = store_blocks_next(&b, &n))) {
		for (size_t i = 0; i < n; i++)
			(void)tally_append(t, &r[i]);
		t->at = r[n - 1].uid + 1;
		if (t->at == 0 || clock_mono_us() >= until)
			break;
	}
	t->built = !r || t->at == 0;
	return t->built;
}

static bool
tally_vanished(struct store_tally *t, const struct buf *ranges)
{
	const struct store_range *r = (const void *)ranges->p;
	size_t nranges = ranges->n / sizeof(*r), met = 0;
	bool good = true;

	for (size_t i = 0; i < nranges && met <= TALLY_FOLLOWED; i++)
		met += tally_find(t, r[i].last < UINT32_MAX ? r[i].last + 1 : r[i].last) -
		    tally_find(t, r[i].first);
	if (met > TALLY_FOLLOWED)
		return false;
	for (size_t i = 0; i < nranges; i++)
		for (size_t at = tally_find(t, r[i].first);
		     at < t->n && t->list[at].uid <= r[i].last; at++) {
			if (t->list[at].state == TALLY_GONE)
				continue;
			good = tally_remove(t, &t->list[at], TALLY_GONE) && good;
			t->gone++;
		}
	return good;
}

static bool
tally_changed(struct store_tally *t, struct store_view *v, const struct buf *ranges)
{
	const struct store_range *range = (const void *)ranges->p;
	size_t nranges = ranges->n / sizeof(*range), n;
	const struct store_record *r;
	struct store_blocks b;
	uint64_t uids = 0;
	bool good = true;

	for (size_t i = 0; i < nranges; i++)
		uids += range[i].last - range[i].first + UINT64_C(1);
	if (uids > TALLY_FOLLOWED)
		return false;
	for (size_t i = 0; i < nranges && good; i++) {
		store_blocks_init(&b, v, t->mailbox, range[i].first, range[i].last);
		while (good && (r = store_blocks_next(&b, &n)))
			for (size_t k = 0; k < n && good; k++)
				good = tally_set(t, &r[k]);
	}
	return good;
}

static void
tally_tidy(struct store_tally *t)
{
	size_t kept = 0;

	if (t->gone < 256 || t->gone < t->n / 2)
		return;
	for (size_t i = 0; i < t->n; i++)
		if (t->list[i].state != TALLY_GONE)
			t->list[kept++] = t->list[i];
	t->n = kept;
	t->gone = 0;
}

/* What has changed since.  False: it has to be walked over. */
static bool
tally_follow(struct store_tally *t, struct store_view *v, const struct store_account *a,
    const struct store_mailbox *m)
{
	struct buf gone = { 0 }, changed = { 0 };
	bool good = t->uidvalidity == m->uidvalidity && t->since <= a->modseq &&
	    a->modseq - t->since <= TALLY_LOG;

	if (good && t->seen != m->highestmodseq)
		good = store_vanished(v, t->mailbox, t->since, &gone) == 0 &&
		    store_changed_logged(v, t->mailbox, t->since, UINT32_MAX, &changed) == 0 &&
		    tally_vanished(t, &gone) && tally_changed(t, v, &changed);
	buf_fini(&gone);
	buf_fini(&changed);
	if (!good || t->n - t->gone != m->exists)
		return false;
	tally_tidy(t);
	t->seen = m->highestmodseq;
	t->since = a->modseq;
	return true;
}

int
store_tally_go(struct store_tally *t, struct store_view *v, uint64_t until)
{
	bool again = false; /* it has been walked over in this very snapshot */
	struct store_account a = { 0 };
	struct store_mailbox m = { 0 };
	int rc = store_get_mailbox(v, t->mailbox, &m);

	if (rc == 0)
		rc = store_find_account(v, m.account_name, &a);
	if (rc < 0)
		return rc;
	for (;;) {
		if (!t->built && !tally_walk(t, v, &a, &m, until))
			return 0;
		if (tally_follow(t, v, &a, &m) || again)
			return 1;
		tally_reset(t);
		again = true;
		if (clock_mono_us() >= until)
			return 0;
	}
}
