/* jmapd/counts.c: how many emails and threads a mailbox has (RFC 8621 2).
 *
 * Clients ask for all mailboxes whenever anything has changed, so what was counted is kept for each
 * mailbox by its counter, in this worker: COUNTS_MOST of them, the next one takes the place of another.
 * Without it a count is a walk over the mailbox's records: some ms for 100,000, in slices.  A large mailbox that is
 * counted again because it has changed is remembered message by message (store/tally.h), so that from then on what
 * has changed is all that is looked at: TALLIES_BYTES of such mailboxes, the one that was asked for longest ago going
 * first.
 * An email that is twice in a mailbox is one.  A thread counts as unread when an email of it is both
 * unread and in this mailbox, which the RFC gives as the simplest way. */
#include "base/clock.h"
#include "base/mem.h"
#include "folders.h"
#include "idset.h"
#include "store/tally.h"

#define COUNTS_MOST   4096 /* power of two; 40 octets each */
#define TALLIES_BYTES (48u << 20)
#define TALLY_LEAST   500            /* messages: fewer are walked over in some us */
#define TALLY_MOST    200000         /* more would leave no room for another mailbox */
#define TALLY_US      UINT64_C(1000) /* a slice */

static struct counted {
	uint64_t mailbox, reader, modseq;
	struct folder_counts counts;
} * counts_kept;

static struct {
	struct list list; /* struct tallied, the youngest first */
	size_t n, bytes;
} tallies;
struct tallied {
	struct list link;
	struct store_tally tally;
	uint64_t reader;
	size_t bytes; /* as it is counted */
};

struct counting {
	uint64_t mailbox, modseq;
	uint32_t at;
	struct folder_counts counts;
	struct idset emails, threads, unread;
};

/* For whom it is counted: a guest may have seen other emails than the owner; 0: the owner. */
static uint64_t
counts_reader(struct call *c)
{
	return c->of.guest ? call_user(c)->id : 0;
}

static struct counted *
counts_slot(uint64_t mailbox, uint64_t reader)
{
	uint64_t key = (mailbox ^ reader << 20) * UINT64_C(0x9e3779b97f4a7c15);

	if (!counts_kept)
		counts_kept = mem_array(COUNTS_MOST, sizeof(*counts_kept));
	return &counts_kept[(key >> 40) & (COUNTS_MOST - 1)];
}

static bool
counted_is(const struct counted *k, const struct folder *f, uint64_t reader)
{
	return k->mailbox == f->mailbox && k->reader == reader;
}

static void
counting_record(struct counting *k, const struct store_record *r)
{
	bool unread = !(r->flags & (STORE_SEEN | STORE_DRAFT));

	if ((r->flags & STORE_DELETED) || !idset_add(&k->emails, r->emailid))
		return;
	k->counts.emails++;
	k->counts.unread += unread;
	k->counts.threads += idset_add(&k->threads, r->threadid);
	if (unread)
		k->counts.unread_threads += idset_add(&k->unread, r->threadid);
}

static void
counting_fini(struct counting *k)
{
	idset_fini(&k->emails);
	idset_fini(&k->threads);
	idset_fini(&k->unread);
}

/* ---- large ones --------------------------------------------------------------------------------------- */

static void
tally_drop(struct tallied *t)
{
	tallies.bytes -= t->bytes;
	tallies.n--;
	list_remove(&t->link);
	store_tally_fini(&t->tally);
	mem_release(t);
}

static struct tallied *
tally_get(uint64_t mailbox, uint64_t reader)
{
	struct tallied *t;

	if (tallies.n == 0)
		list_init(&tallies.list);
	list_each(t, &tallies.list, struct tallied,
	    link) if (t->tally.mailbox == mailbox && t->reader == reader)
	{
		list_remove(&t->link);
		list_push_front(&tallies.list, &t->link);
		return t;
	}
	t = mem_new(sizeof(*t));
	store_tally_init(&t->tally, mailbox);
	t->reader = reader;
	list_push_front(&tallies.list, &t->link);
	tallies.n++;
	return t;
}

/* As store_tally_go. */
static int
tally_counts(struct call *c, const struct folder *f, struct folder_counts *out)
{
	struct tallied *t = tally_get(f->mailbox, counts_reader(c));
	int rc = store_tally_go(&t->tally, call_view(c), clock_mono_us() + TALLY_US);

	tallies.bytes -= t->bytes;
	t->bytes = store_tally_bytes(&t->tally);
	tallies.bytes += t->bytes;
	*out = (struct folder_counts){ t->tally.counts.emails, t->tally.counts.unread,
		t->tally.counts.threads, t->tally.counts.unread_threads };
	if (rc < 0)
		tally_drop(t);
	while (tallies.bytes > TALLIES_BYTES && tallies.n > 1)
		tally_drop(list_last(&tallies.list, struct tallied, link));
	return rc;
}

/* ---- any ---------------------------------------------------------------------------------------------- */

void
counts_drop(struct counting *state)
{
	if (state)
		counting_fini(state);
}

int
counts_go(struct call *c, const struct folder *f, struct counting **state,
    struct folder_counts *out)
{
	uint64_t reader = counts_reader(c);
	struct counted *kept = counts_slot(f->mailbox, reader);
	struct counting *k = *state;
	struct store_blocks b;
	const struct store_record *r;
	size_t n;

	if (counted_is(kept, f, reader) && kept->modseq == f->highestmodseq) {
		*out = kept->counts;
		return 1;
	}
	if (counted_is(kept, f, reader) && f->exists >= TALLY_LEAST && f->exists <= TALLY_MOST) {
		int rc = tally_counts(c, f, out);

		if (rc == 1)
			*kept = (struct counted){ f->mailbox, reader, f->highestmodseq, *out };
		if (rc >= 0)
			return rc;
	}
	if (!k)
		*state = k = arena_new(&c->arena, sizeof(*k));
	if (k->mailbox != f->mailbox || k->modseq != f->highestmodseq) {
		counting_fini(k);
		*k =
		    (struct counting){ .mailbox = f->mailbox, .modseq = f->highestmodseq, .at = 1 };
	}
	store_blocks_init(&b, call_view(c), f->mailbox, k->at, UINT32_MAX);
	while ((r = store_blocks_next(&b, &n))) {
		for (size_t i = 0; i < n; i++)
			counting_record(k, &r[i]);
		k->at = n ? r[n - 1].uid + 1 : k->at;
		if (call_spent(c) && k->at != 0)
			return 0;
	}
	*out = k->counts;
	*kept = (struct counted){ f->mailbox, reader, f->highestmodseq, k->counts };
	counting_fini(k);
	*k = (struct counting){ 0 };
	return 1;
}
