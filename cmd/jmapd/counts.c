/* jmapd/counts.c: how many emails and threads a mailbox has (RFC 8621 2).
 *
 * Clients ask for all mailboxes whenever anything has changed, so what was counted is kept for each
 * mailbox by its counter, in this worker: COUNTS_MOST of them, the next one takes the place of another.
 * Without it a count is a walk over the mailbox's records: some ms for 100,000, in slices.
 * An email that is twice in a mailbox is one.  A thread counts as unread when an email of it is both
 * unread and in this mailbox, which the RFC gives as the simplest way. */
#include "base/mem.h"
#include "folders.h"
#include "idset.h"

#define COUNTS_MOST 4096 /* power of two; 40 octets each */

static struct counted {
	uint64_t mailbox, modseq;
	struct folder_counts counts;
} * counts_kept;

struct counting {
	uint64_t mailbox, modseq;
	uint32_t at;
	struct folder_counts counts;
	struct idset emails, threads, unread;
};

static struct counted *
counts_slot(uint64_t mailbox)
{
	if (!counts_kept)
		counts_kept = mem_array(COUNTS_MOST, sizeof(*counts_kept));
	return &counts_kept[((mailbox * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & (COUNTS_MOST - 1)];
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
	struct counted *kept = counts_slot(f->mailbox);
	struct counting *k = *state;
	struct store_blocks b;
	const struct store_record *r;
	size_t n;

	if (kept->mailbox == f->mailbox && kept->modseq == f->highestmodseq) {
		*out = kept->counts;
		return 1;
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
	*kept = (struct counted){ f->mailbox, f->highestmodseq, k->counts };
	counting_fini(k);
	*k = (struct counting){ 0 };
	return 1;
}
