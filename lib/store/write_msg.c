/* Changes of messages: STORE, EXPUNGE, COPY, MOVE, the claim of \Recent, recounting. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/write_private.h"

#define TOMB_RANGES 240            /* a tombstone row stays below half a page */
#define TOMB_AGE    (30 * 86400)   /* how long QRESYNC can look back, seconds */

static struct wbox *
selectable(struct store_part *p, struct store_job *j, uint64_t id)
{
	struct wbox *b = box_find(p, id);

	if (b && !(b->d.attrs & STORE_NOSELECT))
		return b;
	reply_no_mailbox(j);
	return NULL;
}

/* ---- STORE ------------------------------------------------------------------------------------- */

struct flagging {
	struct wbox *b;
	const struct store_request *r;
	uint64_t keywords;
	uint64_t modseq;           /* of this change; 0 = nothing has changed yet */
	struct store_part *p;
	struct buf spared;
	uint32_t lowest_unseen;    /* made unseen by this */
	bool hint_seen;            /* the first unseen message became seen */
};

static void
flags_after(const struct flagging *f, const struct store_record *rec, uint16_t *flags,
    uint64_t *keywords)
{
	switch (f->r->how) {
	case STORE_ADD:
		*flags = rec->flags | f->r->flags;
		*keywords = rec->keywords | f->keywords;
		break;
	case STORE_REMOVE:
		*flags = rec->flags & (uint16_t)~f->r->flags;
		*keywords = rec->keywords & ~f->keywords;
		break;
	default:
		*flags = f->r->flags;
		*keywords = f->keywords;
	}
}

static enum edit
flag_one(void *arg, struct store_record *rec)
{
	struct flagging *f = arg;
	struct wbox *b = f->b;
	uint64_t keywords;
	uint16_t flags;

	if (f->r->options & STORE_CONDITIONAL && rec->modseq > f->r->modseq) {
		range_add(&f->spared, rec->uid);
		return EDIT_KEEP;
	}
	flags_after(f, rec, &flags, &keywords);
	if (flags == rec->flags && keywords == rec->keywords)
		return EDIT_KEEP;
	if (!f->modseq)
		f->modseq = box_touch(f->p, b);
	if ((flags ^ rec->flags) & STORE_SEEN) {
		b->d.unseen += flags & STORE_SEEN ? -1u : 1u;
		if (flags & STORE_SEEN)
			f->hint_seen |= rec->uid <= b->d.first_unseen;
		else if (!f->lowest_unseen)
			f->lowest_unseen = rec->uid;
	}
	if ((flags ^ rec->flags) & STORE_DELETED)
		b->d.deleted += flags & STORE_DELETED ? 1u : -1u;
	rec->flags = flags;
	rec->keywords = keywords;
	rec->modseq = f->modseq;
	return EDIT_CHANGED;
}

void
run_flags(struct store_part *p, struct store_job *j)
{
	struct wbox *b = selectable(p, j, j->req.mailbox);
	struct flagging f = { .b = b, .r = &j->req, .p = p };
	bool make = j->req.how != STORE_REMOVE;

	if (!b)
		return;
	if (make && !box_keywords_fit(b, j->req.keywords)) {
		reply_fail(j, STORE_LIMIT, verdict(PERM, 550, "5.3.4", "too many keywords in the mailbox"));
		return;
	}
	f.keywords = box_keywords(p, b, j->req.keywords, make);
	if (j->req.nranges)
		box_walk(p, b, j->req.ranges, j->req.nranges, flag_one, &f);
	if (f.lowest_unseen && (b->d.first_unseen == 0 || f.lowest_unseen < b->d.first_unseen))
		b->d.first_unseen = f.lowest_unseen;
	else if (f.hint_seen)
		box_find_unseen(p, b);
	reply_ok(j);
	j->reply.modseq = b->d.highestmodseq;
	j->reply.uids = ranges_keep(&j->arena, &f.spared, &j->reply.nuids);
	buf_fini(&f.spared);
}

/* ---- EXPUNGE ------------------------------------------------------------------------------------ */

struct expunging {
	struct wbox *b;
	bool any;
	struct buf gone;           /* struct store_range */
	struct buf items;          /* struct store_purge_item */
	uint32_t first;            /* uid */
};

static enum edit
expunge_one(void *arg, struct store_record *rec)
{
	struct expunging *e = arg;
	struct store_purge_item item = { rec->uid, rec->emailid };
	struct wbox *b = e->b;

	if (!e->any && !(rec->flags & STORE_DELETED))
		return EDIT_KEEP;
	range_add(&e->gone, rec->uid);
	buf_add(&e->items, &item, sizeof(item));
	b->d.exists--;
	b->d.bytes -= rec->size;
	b->acct->d.bytes -= rec->size;
	b->acct->d.messages--;
	if (rec->uid >= b->d.recent_from)
		b->d.recent--;
	if (rec->flags & STORE_DELETED)
		b->d.deleted--;
	if (!(rec->flags & STORE_SEEN))
		b->d.unseen--;
	return EDIT_DROP;
}

static void
tombs_add(struct store_part *p, struct wbox *b, struct slice ranges)
{
	struct store_disk_tomb head = { .version = STORE_VERSION, .at = (uint32_t)p->now };
	uint32_t number = 0;

	while (ranges.n) {
		struct slice part = slice_sub(ranges, 0, TOMB_RANGES * sizeof(struct store_range));
		uint8_t key[20];

		store_be64(key, b->id);
		store_be64(key + 8, b->d.highestmodseq);
		store_be32(key + 16, number++);
		buf_clear(&p->scratch);
		buf_add(&p->scratch, &head, sizeof(head));
		buf_slice(&p->scratch, part);
		row_put(p, STORE_T_TOMB, key, sizeof(key), p->scratch.p, p->scratch.n, 0);
		ranges = slice_from(ranges, part.n);
	}
}

/* Tombstones that are too old go when new ones come: a few more than are made. */
static void
tombs_trim(struct store_part *p, struct wbox *b)
{
	uint8_t key[20] = { 0 };
	MDB_cursor *c;
	MDB_val k, d;

	if (p->error || (p->error = mdb_cursor_open(p->txn, p->dbi[STORE_T_TOMB], &c)))
		return;
	store_be64(key, b->id);
	for (int i = 0; i < 8 && !p->error; i++) {
		struct store_disk_tomb head = { 0 };

		k = (MDB_val){ sizeof(key), key };
		if (mdb_cursor_get(c, &k, &d, MDB_SET_RANGE) != 0 || k.mv_size != 20 ||
		    store_get64(k.mv_data) != b->id)
			break;
		if (d.mv_size >= sizeof(head))
			memcpy(&head, d.mv_data, sizeof(head));
		if ((int64_t)head.at + TOMB_AGE > p->now)
			break;
		b->d.vanished_from = store_get64((char *)k.mv_data + 8);
		row_del_here(p, STORE_T_TOMB, c, &k);
	}
	mdb_cursor_close(c);
}

void
expunge_records(struct store_part *p, struct wbox *b, const struct store_range *ranges, size_t n,
    bool any, struct buf *gone)
{
	struct expunging e = { .b = b, .any = any };
	const struct store_range *first;

	if (any || b->d.deleted)
		box_walk(p, b, ranges, n, expunge_one, &e);
	if (e.gone.n) {
		box_touch(p, b);
		acct_dirty(p, b->acct);
		tombs_add(p, b, buf_get(&e.gone));
		tombs_trim(p, b);
		purge_add(p, b->id, (const void *)e.items.p, e.items.n / sizeof(struct store_purge_item));
		first = (const void *)e.gone.p;
		box_runs_remove(p, b, first, e.gone.n / sizeof(*first));
		if (b->d.first_unseen >= first->first)
			box_find_unseen(p, b);
		p->stats.expunged += e.items.n / sizeof(struct store_purge_item);
		buf_slice(gone, buf_get(&e.gone));
	}
	buf_fini(&e.items);
	buf_fini(&e.gone);
}

void
run_expunge(struct store_part *p, struct store_job *j)
{
	struct wbox *b = selectable(p, j, j->req.mailbox);
	struct buf gone = { 0 };

	if (!b)
		return;
	expunge_records(p, b, j->req.ranges, j->req.nranges, j->req.options & STORE_ANY, &gone);
	reply_ok(j);
	j->reply.modseq = b->d.highestmodseq;
	j->reply.uids = ranges_keep(&j->arena, &gone, &j->reply.nuids);
	j->reply.bytes = b->acct->d.bytes;
	j->reply.messages = b->acct->d.messages;
	buf_fini(&gone);
}

/* ---- COPY and MOVE --------------------------------------------------------------------------------- */

static enum edit
collect_one(void *arg, struct store_record *rec)
{
	buf_add(arg, rec, sizeof(*rec));
	return EDIT_KEEP;
}

/* How the keyword bits of one mailbox are called in another; made there as far as they fit. */
static void
keyword_map(struct store_part *p, struct wbox *from, struct wbox *to, uint64_t used,
    uint64_t map[STORE_KEYWORDS])
{
	for (size_t i = 0; i < from->nkeywords; i++)
		map[i] = from == to ? 1ull << i : !(used & 1ull << i) ? 0 :
		    box_keywords(p, to, slice_str(from->keywords[i]), true);
}

static uint64_t
keywords_mapped(uint64_t bits, const uint64_t map[STORE_KEYWORDS])
{
	uint64_t to = 0;

	for (; bits; bits &= bits - 1)
		to |= map[__builtin_ctzll(bits)];
	return to;
}

void
append_copies(struct store_part *p, struct wbox *from, struct wbox *to, const struct store_record *rec,
    size_t n, struct buf *uids)
{
	uint64_t map[STORE_KEYWORDS] = { 0 }, used = 0;

	for (size_t i = 0; i < n; i++)
		used |= rec[i].keywords;
	keyword_map(p, from, to, used, map);
	box_touch(p, to);
	for (size_t i = 0; i < n; i++) {
		struct store_record copy = rec[i];

		copy.uid = to->d.uidnext;
		copy.savedate = (uint32_t)p->now;
		copy.keywords = keywords_mapped(copy.keywords, map);
		box_append(p, to, &copy);
		range_add(uids, rec[i].uid);
	}
	p->stats.copied += n;
}

/* Appends the sources to `uids`; the copies are first, first + 1, ...  On failure the reply is
 * set and nothing has changed. */
bool
copy_records(struct store_part *p, struct store_job *j, struct wbox *from,
    const struct store_range *ranges, size_t n, struct wbox *to, const struct store_limits *limits,
    struct buf *uids, uint32_t *first)
{
	struct buf found = { 0 };
	const struct store_record *rec;
	size_t count, keep = p->nlinks;
	struct verdict v;
	uint64_t bytes = 0;
	bool good = false;
	int rc;

	box_walk(p, from, ranges, n, collect_one, &found);
	rec = (const void *)found.p;
	count = found.n / sizeof(*rec);
	for (size_t i = 0; i < count; i++)
		bytes += rec[i].size;
	*first = to->d.uidnext;
	if (count > UINT32_MAX - 1 - to->d.uidnext)
		reply_fail(j, STORE_LIMIT, verdict(PERM, 550, "5.3.4", "no more UIDs in the mailbox"));
	else if (over_quota(p, to->acct, limits, bytes, count, &v))
		reply_fail(j, STORE_OVERQUOTA, v);
	else if ((rc = link_messages(p, from, rec, count, to, *first)) < 0) {
		links_undo(p, keep);
		reply_fail(j, rc == -ENOSPC || rc == -EDQUOT ? STORE_FULL : STORE_FAILED,
		    verdict(TEMP, 452, "4.3.1", "messages could not be copied"));
	} else {
		if (count)
			append_copies(p, from, to, rec, count, uids);
		good = true;
	}
	buf_fini(&found);
	return good;
}

static bool
two_boxes(struct store_part *p, struct store_job *j, struct wbox **from, struct wbox **to)
{
	*from = selectable(p, j, j->req.mailbox);
	*to = *from ? selectable(p, j, j->req.mailbox2) : NULL;
	if (*to && j->req.nranges == 0)
		reply_ok(j);
	return *to && j->req.nranges;
}

void
reply_copied(struct store_job *j, struct wbox *to, const struct buf *uids, uint32_t first)
{
	struct store_range *r = arena_new(&j->arena, sizeof(*r));

	reply_ok(j);
	j->reply.mailbox = to->id;
	j->reply.uidvalidity = to->d.uidvalidity;
	j->reply.modseq = to->d.highestmodseq;
	j->reply.bytes = to->acct->d.bytes;
	j->reply.messages = to->acct->d.messages;
	if (uids->n == 0)
		return;
	*r = (struct store_range){ first, to->d.uidnext - 1 };
	j->reply.uids = ranges_keep(&j->arena, uids, &j->reply.nuids);
	j->reply.to = r;
	j->reply.nto = 1;
}

void
run_copy(struct store_part *p, struct store_job *j)
{
	struct buf uids = { 0 };
	struct wbox *from, *to;
	uint32_t first;

	if (j == p->slow.job) {
		slow_finish(p, j);
		return;
	}
	if (!two_boxes(p, j, &from, &to) || reply_if_full(p, j) ||
	    slow_start(p, j, from, to, &j->req.limits))
		return;
	if (copy_records(p, j, from, j->req.ranges, j->req.nranges, to, &j->req.limits, &uids, &first))
		reply_copied(j, to, &uids, first);
	buf_fini(&uids);
}

/* The copies appear and the originals go in one transaction (RFC 6851 3.3).  Usage does not
 * change within an account, so there is no quota to ask. */
void
run_move(struct store_part *p, struct store_job *j)
{
	struct buf uids = { 0 }, gone = { 0 };
	struct wbox *from, *to;
	uint32_t first;

	if (j == p->slow.job) {
		slow_finish(p, j);
		return;
	}
	if (!two_boxes(p, j, &from, &to) || slow_start(p, j, from, to, &j->req.limits))
		return;
	if (copy_records(p, j, from, j->req.ranges, j->req.nranges, to, &j->req.limits, &uids, &first)) {
		reply_copied(j, to, &uids, first);
		if (uids.n)
			expunge_records(p, from, (const void *)uids.p,
			    uids.n / sizeof(struct store_range), true, &gone);
		j->reply.modseq = from->d.highestmodseq;
		j->reply.bytes = to->acct->d.bytes;
		j->reply.messages = to->acct->d.messages;
	}
	buf_fini(&uids);
	buf_fini(&gone);
}

/* ---- \Recent ------------------------------------------------------------------------------------------- */

void
run_claim(struct store_part *p, struct store_job *j)
{
	struct wbox *b = selectable(p, j, j->req.mailbox);
	struct store_range *r;

	if (!b)
		return;
	reply_ok(j);
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
	box_dirty(p, b);
}

/* ---- recounting -------------------------------------------------------------------------------------------- */

static enum edit
count_one(void *arg, struct store_record *rec)
{
	struct store_disk_mailbox *d = arg;

	d->exists++;
	d->bytes += rec->size;
	if (rec->uid >= d->recent_from)
		d->recent++;
	if (rec->flags & STORE_DELETED)
		d->deleted++;
	if (!(rec->flags & STORE_SEEN)) {
		if (d->unseen++ == 0)
			d->first_unseen = rec->uid;
	}
	if (rec->uid >= d->uidnext)
		d->uidnext = rec->uid + 1;
	if (rec->modseq > d->highestmodseq)
		d->highestmodseq = rec->modseq;
	return EDIT_KEEP;
}

static void
recount_box(struct store_part *p, struct wbox *b)
{
	b->d.exists = b->d.unseen = b->d.deleted = b->d.recent = b->d.first_unseen = 0;
	b->d.bytes = 0;
	box_walk(p, b, NULL, 0, count_one, &b->d);
	b->nruns = STORE_RUNS_UNKNOWN;
	box_runs_remove(p, b, NULL, 0);
	if (b->d.highestmodseq > b->acct->d.modseq)
		b->acct->d.modseq = b->d.highestmodseq;
	b->acct->d.bytes += b->d.bytes;
	b->acct->d.messages += b->d.exists;
	b->acct->d.mailboxes++;
	box_touch(p, b);
}

/* Everything that is a sum is summed up again, for one account. */
void
run_recount(struct store_part *p, struct store_job *j)
{
	struct wacct *a = acct_by_id(p, j->req.account);
	uint8_t key[8];
	MDB_cursor *c;
	MDB_val k, d;
	int rc;

	if (!a) {
		reply_no_mailbox(j);
		return;
	}
	a->d.bytes = a->d.messages = 0;
	a->d.mailboxes = 0;
	acct_dirty(p, a);
	if ((p->error = mdb_cursor_open(p->txn, p->dbi[STORE_T_NAME], &c)))
		return;
	store_be64(key, a->d.id);
	k = (MDB_val){ sizeof(key), key };
	for (rc = mdb_cursor_get(c, &k, &d, MDB_SET_RANGE);
	     rc == 0 && k.mv_size > 8 && memcmp(k.mv_data, key, 8) == 0;
	     rc = mdb_cursor_get(c, &k, &d, MDB_NEXT)) {
		struct store_disk_name row;
		struct wbox *b;

		if (d.mv_size != sizeof(row))
			continue;
		memcpy(&row, d.mv_data, sizeof(row));
		b = box_find(p, row.mailbox);
		if (b)
			recount_box(p, b);
	}
	mdb_cursor_close(c);
	reply_ok(j);
	j->reply.bytes = a->d.bytes;
	j->reply.messages = a->d.messages;
}
