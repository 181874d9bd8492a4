/* COPY and MOVE, and RENAME of INBOX, which is a MOVE.
 *
 * Called by the writer's thread within its batches.  A copy is a link to the same file: contents exist
 * once in a partition.  Few messages are copied at once, links first: when one cannot be made those
 * of this job are undone and the job is refused, the batch goes on.  Many take slices (long.c), and
 * their links come after the answer (pending.c, linker.c).
 *
 * A long COPY is seen as a whole or not at all (RFC 3501 6.4.7).  What costs most, a place and a source
 * for each message, is written in slices to where nobody looks; the messages themselves follow in
 * one transaction, 0.2 us each, with the modseq that is right then.  That is the one turn here that grows
 * with what a client asks: 100,000 messages are 20 ms, 250,000 the 50 that others may wait.  It is two rows
 * for each 32 of them, which could only be written before if readers passed over them until then, by a
 * mark that each look at a block would pay for.  Until then nothing else may come
 * into the mailbox, for the UIDs are given out; the quota counts it from the beginning.  A long
 * MOVE goes message by message (RFC 6851 3.3): each slice is whole by itself. */
#include <errno.h>

#include "base/mem.h"
#include "store/writer/writer-impl.h"

#define LINK_US 16  /* of a link: as many messages are copied at once as fit into a slice */
#define LOOK    32  /* messages between two looks at the clock */
#define PIECE   256 /* messages that move in one go: a millisecond */

/* What is collected. */
struct copy_collecting {
	struct buf *records;
	struct wseen seen; /* of who copies, where that is apart */
};

/* A record's bit, until it is copied: he has seen it, whatever \Seen says. */
#define COPY_SEEN ((uint16_t)0x8000)

static enum edit
copy_collect_one(void *arg, struct store_record *rec)
{
	struct copy_collecting *c = arg;
	struct store_record copy = *rec, his = *rec;

	writer_seen_lay(&c->seen, &his);
	copy.flags =
	    (uint16_t)((rec->flags & ~COPY_SEEN) | (his.flags & STORE_SEEN ? COPY_SEEN : 0));
	buf_add(c->records, &copy, sizeof(copy));
	return EDIT_KEEP;
}

/* \Seen of the copy is that of who copies.  Where he has one of his own he gets a mark for it, and the message has what it
 * had for its owner, whose it stays: of somebody else's it has none. */
static void
copy_see(const struct wbox *from, const struct wbox *to, struct store_record *copy,
    struct wseen *seen)
{
	bool his = copy->flags & COPY_SEEN,
	     kept = from->acct == to->acct && copy->flags & STORE_SEEN;

	copy->flags &= to->may_flags; /* RFC 4314 4: others are left out */
	if (!to->seen_apart) {
		copy->flags &= (uint16_t)~STORE_SEEN;
		copy->flags |= his ? STORE_SEEN & to->may_flags : 0;
		return;
	}
	copy->flags &= (uint16_t)~STORE_SEEN;
	copy->flags |= kept ? STORE_SEEN : 0;
	if (his && to->may_flags & STORE_SEEN)
		writer_seen_mark(seen, copy->uid, true);
}

/* How the keyword bits of one mailbox are called in another; made there as far as they fit, by who may set
 * them there: for others the map stays empty, and the table is left alone. */
static void
keyword_map(struct writer *w, struct wbox *from, struct wbox *to, const struct store_record *rec,
    size_t n, uint64_t map[STORE_KEYWORDS])
{
	uint64_t used = 0;

	if (!to->may_keywords)
		return;
	for (size_t i = 0; i < n; i++)
		used |= rec[i].keywords;
	for (size_t i = 0; i < from->nkeywords; i++)
		map[i] = from == to ?
		    1ull << i :
		    !(used & 1ull << i) ?
		    0 :
		    writer_box_keywords(w, to, slice_str(from->keywords[i]), true);
}

static uint64_t
keywords_mapped(uint64_t bits, const uint64_t map[STORE_KEYWORDS])
{
	uint64_t to = 0;

	for (; bits; bits &= bits - 1)
		to |= map[__builtin_ctzll(bits)];
	return to;
}

static struct store_record
copy_of(struct writer *w, const struct wbox *from, const struct wbox *to,
    const struct store_record *rec, const uint64_t map[STORE_KEYWORDS], struct wseen *seen)
{
	struct store_record copy = *rec;

	copy.uid = to->d.uidnext;
	copy.savedate = (uint32_t)w->now;
	copy.keywords = keywords_mapped(copy.keywords, map);
	copy_see(from, to, &copy, seen);
	return copy;
}

static void
copy_reply(struct store_job *j, const struct wbox *to, const struct buf *uids,
    const struct buf *copies)
{
	writer_reply_ok(j);
	j->reply.mailbox = to->id;
	j->reply.uidvalidity = to->d.uidvalidity;
	j->reply.modseq = to->d.highestmodseq;
	j->reply.bytes = to->acct->d.bytes;
	j->reply.messages = to->acct->d.messages;
	j->reply.uids = writer_ranges_keep(&j->arena, uids, &j->reply.nuids);
	j->reply.to = writer_ranges_keep(&j->arena, copies, &j->reply.nto);
}

static void
move_reply(struct store_job *j, const struct wbox *from, const struct wbox *to,
    const struct buf *uids, const struct buf *copies)
{
	if (j->req.verb == STORE_V_RENAME) {
		writer_reply_ok(j);
		return;
	}
	copy_reply(j, to, uids, copies);
	j->reply.modseq = from->d.highestmodseq;
}

/* Nothing has changed when it is refused: then the reply is set.  The usage of an account does not
 * change by a MOVE within it, so there is only the folder's own limit to ask, and not when INBOX is renamed:
 * what is made for that has none. */
static bool
copy_over_quota(struct writer *w, const struct store_job *j, const struct wbox *from,
    struct wbox *to, size_t n, uint64_t bytes, struct verdict *v)
{
	if (j->req.verb == STORE_V_COPY || from->acct != to->acct)
		return writer_over_quota(w, to, &j->req.limits, bytes, n, false, v);
	return from != to && writer_over_folder(w, to, bytes, n, v);
}

static bool
copy_allowed(struct writer *w, struct store_job *j, struct wbox *from, struct wbox *to,
    const struct store_record *rec, size_t n, uint64_t bytes)
{
	struct verdict v;

	if (n > UINT32_MAX - 1 - to->d.uidnext)
		writer_reply_fail(j, STORE_LIMIT, verdict(OUT_STORE_UIDS_OUT));
	else if (copy_over_quota(w, j, from, to, n, bytes, &v))
		writer_reply_fail(j, STORE_OVERQUOTA, v);
	else
		return !to->may_keywords ||
		    !writer_reply_if_keywords(j,
			writer_box_keywords_fit_copies(w, from, to, rec, n));
	return false;
}

static uint64_t
copy_bytes(const struct store_record *rec, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += rec[i].size;
	return bytes;
}

/* ---- a few ------------------------------------------------------------------------------------- */

static int
copy_links(struct writer *w, struct wbox *from, const struct store_record *rec, size_t n,
    struct wbox *to)
{
	uint32_t *uids = mem_array(n + 1, sizeof(*uids));
	int rc;

	for (size_t i = 0; i < n; i++)
		uids[i] = rec[i].uid;
	rc = writer_link_messages(w->files, from, uids, n, to, to->d.uidnext);
	mem_free(&uids);
	return rc;
}

/* Appends the sources to `uids`, and the copies to `copies`. */
static void
copy_append(struct writer *w, const struct store_job *j, struct wbox *from, struct wbox *to,
    const struct store_record *rec, size_t n, struct buf *uids, struct buf *copies)
{
	uint64_t map[STORE_KEYWORDS] = { 0 };
	struct wseen seen;

	keyword_map(w, from, to, rec, n, map);
	if (n)
		writer_box_touch(w, to);
	writer_seen_begin(&seen, w, to, j->req.actor);
	for (size_t i = 0; i < n; i++) {
		struct store_record copy = copy_of(w, from, to, &rec[i], map, &seen);

		if (from->acct != to->acct)
			copy.threadid = writer_thread_of(w, to->acct, &copy);
		writer_place_put(w, copy.emailid, to->id, copy.uid);
		if (n > STORE_ARRIVALS)
			writer_box_append_settled(w, to, &copy);
		else
			writer_box_append_placed(w, to, &copy);
		writer_range_add(uids, rec[i].uid);
		writer_range_add(copies, copy.uid);
	}
	writer_seen_end(&seen, to->d.highestmodseq);
	w->stats.copied += n;
}

/* They came into `to`: struct store_range. */
static void
copy_event(struct writer *w, const struct store_job *j, const struct wbox *from,
    const struct wbox *to, struct slice copies)
{
	struct wevent e;

	writer_event_begin(&e, w, j, to, STORE_CAUSE_COPY, from);
	writer_event_came(&e, copies);
	writer_event_end(&e);
}

/* On failure the reply is set and nothing has changed. */
static bool
copy_few(struct writer *w, struct store_job *j, struct wbox *from, struct wbox *to,
    struct buf *uids, struct buf *copies)
{
	struct buf found = { 0 };
	struct copy_collecting all = { .records = &found };
	const struct store_record *rec;
	size_t n, keep = w->files->nlinks;
	bool good = false;
	int rc;

	writer_seen_begin(&all.seen, w, from, j->req.actor);
	writer_box_walk(w, from, j->req.ranges, j->req.nranges, copy_collect_one, &all);
	writer_seen_end(&all.seen, 0);
	rec = (const void *)found.p;
	n = found.n / sizeof(*rec);
	if (!copy_allowed(w, j, from, to, rec, n, copy_bytes(rec, n)))
		;
	else if ((rc = copy_links(w, from, rec, n, to)) < 0) {
		writer_links_undo(w->files, keep);
		writer_reply_fail(j, rc == -ENOSPC || rc == -EDQUOT ? STORE_FULL : STORE_FAILED,
		    verdict(OUT_STORE_UNCOPIED));
	} else {
		copy_append(w, j, from, to, rec, n, uids, copies);
		copy_event(w, j, from, to, buf_get(copies));
		good = true;
	}
	buf_fini(&found);
	return good;
}

/* ---- many: both ---------------------------------------------------------------------------------- */

/* All records, before the first is copied: the copies may come into the same mailbox. */
static bool
copy_collect(struct writer *w, struct wlong *l, struct wbox *from)
{
	struct copy_collecting all = { .records = &l->copy.records };
	bool whole;

	writer_seen_begin(&all.seen, w, from, l->job->req.actor);
	whole =
	    writer_box_walk_from(w, from, &l->uid, l->ranges, l->nranges, copy_collect_one, &all);
	writer_seen_end(&all.seen, 0);
	if (!whole)
		return false;
	l->copy.n = l->copy.records.n / sizeof(struct store_record);
	l->copy.stage = COPY_CLEARS;
	return true;
}

static bool
copy_clear(struct writer *w, struct wlong *l, struct wbox *to)
{
	if (!writer_pending_clear(w, to))
		return false;
	l->copy.stage = COPY_CHECKS;
	return true;
}

/* False: it is refused. */
static bool
copy_check(struct writer *w, struct wlong *l, struct wbox *from, struct wbox *to)
{
	const struct store_record *rec = (const void *)l->copy.records.p;

	l->copy.bytes = copy_bytes(rec, l->copy.n);
	if (!copy_allowed(w, l->job, from, to, rec, l->copy.n, l->copy.bytes))
		return false;
	l->copy.first = to->d.uidnext;
	l->copy.stage = COPY_FILLS;
	return true;
}

/* Where the file of a message is, or will be linked from. */
static struct store_place
copy_source(struct writer *w, const struct wbox *from, const struct store_record *rec, bool follow,
    MDB_cursor **c)
{
	struct store_place p = { rec->emailid, from->id, rec->uid };

	if (follow)
		writer_pending_follow(w, c, &p);
	return p;
}

/* ---- many: COPY ------------------------------------------------------------------------------------ */

/* Threads are of an account: those of another's messages are looked for here, where there is time for it. */
static bool
copy_fill(struct writer *w, struct wlong *l, struct wbox *from, struct wbox *to)
{
	struct store_record *rec = (void *)l->copy.records.p;
	struct pending_row row = { .to = to->id };
	bool follow = writer_pending_is_target(w, from->id);
	struct wcopy *c = &l->copy;
	MDB_cursor *at = NULL;

	while (c->at < c->n && !w->error) {
		struct store_place source = copy_source(w, from, &rec[c->at], follow, &at);
		uint32_t uid = c->first + (uint32_t)c->at;

		if (from->acct != to->acct)
			rec[c->at].threadid = writer_thread_of(w, to->acct, &rec[c->at]);
		writer_place_put(w, source.emailid, to->id, uid);
		writer_pending_add(w, &row, uid, &source);
		if (++c->at % LOOK == 0 && writer_long_over(w))
			break;
	}
	writer_pending_put(w, &row);
	buf_fini(&row.runs);
	if (at)
		mdb_cursor_close(at);
	if (c->at < c->n)
		return false;
	c->stage = COPY_SHOWS;
	return !writer_long_over(w);
}

static void
copy_show(struct writer *w, struct wlong *l, struct wbox *from, struct wbox *to)
{
	const struct store_record *rec = (const void *)l->copy.records.p;
	struct store_range copies = { l->copy.first, l->copy.first + (uint32_t)l->copy.n - 1 };
	uint64_t map[STORE_KEYWORDS] = { 0 };
	struct wseen seen;

	if (to->d.uidnext != l->copy.first) {
		writer_reply_fail(l->job, STORE_FAILED, verdict(OUT_STORE_UNCOPIED));
		return;
	}
	keyword_map(w, from, to, rec, l->copy.n, map);
	writer_box_touch(w, to);
	writer_seen_begin(&seen, w, to, l->job->req.actor);
	for (size_t i = 0; i < l->copy.n; i++) {
		struct store_record copy = copy_of(w, from, to, &rec[i], map, &seen);

		writer_box_append_settled(w, to, &copy);
		writer_range_add(&l->uids, rec[i].uid);
	}
	writer_seen_end(&seen, to->d.highestmodseq);
	writer_pending_show(w, to->id, copies.first, copies.last);
	w->stats.copied += l->copy.n;
	buf_add(&l->copy.to, &copies, sizeof(copies));
	copy_event(w, l->job, from, to, buf_get(&l->copy.to));
	copy_reply(l->job, to, &l->uids, &l->copy.to);
	writer_quota_warn(w, to->acct, &l->job->req.limits);
}

static bool
copy_slice(struct writer *w, struct wlong *l)
{
	struct wbox *from = writer_box_selectable(w, l->job, l->mailbox);
	struct wbox *to = from ? writer_box_selectable(w, l->job, l->mailbox2) : NULL;

	if (!to)
		return true;
	l->account = to->acct->d.id;
	l->account2 = from->acct->d.id;
	l->copy.holds = true; /* what was asked for later comes later */
	if (l->copy.stage == COPY_COLLECTS && !copy_collect(w, l, from))
		return false;
	if (l->copy.stage == COPY_CLEARS && !copy_clear(w, l, to))
		return false;
	if (l->copy.stage == COPY_CHECKS && !copy_check(w, l, from, to))
		return true;
	if (l->copy.n == 0)
		copy_reply(l->job, to, &l->uids, &l->copy.to);
	else if (l->copy.stage == COPY_FILLS && !copy_fill(w, l, from, to))
		return false;
	else
		copy_show(w, l, from, to);
	return true;
}

void
writer_copy_reserved(const struct writer *w, uint64_t account, uint64_t *bytes, uint64_t *messages)
{
	const struct wlong *l;

	list_each(l, &w->longs, struct wlong, link)
	{
		/* Not before its own question for room has been answered. */
		if (l->copy.stage >= COPY_FILLS && l->copy.holds && l->account == account) {
			*bytes += l->copy.bytes;
			*messages += l->copy.n;
		}
	}
}

/* ---- many: MOVE ---------------------------------------------------------------------------------------- */

/* Extends the last range of b, or adds one. */
static void
range_join(struct buf *b, const struct store_range *r)
{
	struct store_range *last = b->n ? (void *)(b->p + b->n - sizeof(*last)) : NULL;

	if (last && last->last + 1 == r->first)
		last->last = r->last;
	else
		buf_add(b, r, sizeof(*r));
}

/* Copies appear and originals go, both or none.  Mail may have come in meanwhile, with keywords. */
static bool
move_piece(struct writer *w, struct wlong *l, struct wbox *from, struct wbox *to)
{
	const struct store_record *rec = (const void *)l->copy.records.p;
	size_t left = l->copy.n - l->copy.at, n = left < PIECE ? left : PIECE;
	bool follow = writer_pending_is_target(w, from->id);
	struct pending_row row = { .to = to->id, .shown = true };
	struct buf uids = { 0 }, copies = { 0 }, gone = { 0 };
	MDB_cursor *at = NULL;

	rec += l->copy.at;
	if (!copy_allowed(w, l->job, from, to, rec, n, 0))
		return false;
	for (size_t i = 0; i < n; i++) {
		struct store_place source = copy_source(w, from, &rec[i], follow, &at);

		writer_pending_add(w, &row, to->d.uidnext + (uint32_t)i, &source);
	}
	writer_pending_put(w, &row);
	buf_fini(&row.runs);
	if (at)
		mdb_cursor_close(at);
	copy_append(w, l->job, from, to, rec, n, &uids, &copies);
	copy_event(w, l->job, from, to, buf_get(&copies));
	for (size_t i = 0; i < copies.n / sizeof(struct store_range); i++)
		range_join(&l->copy.to, (const struct store_range *)(const void *)copies.p + i);
	buf_fini(&copies);
	writer_expunge_records(w, from, (const void *)uids.p, uids.n / sizeof(struct store_range),
	    true, &gone);
	for (size_t i = 0; i < n; i++)
		writer_range_add(&l->uids, rec[i].uid);
	buf_fini(&uids);
	buf_fini(&gone);
	l->copy.at += n;
	return true;
}

static bool
move_slice(struct writer *w, struct wlong *l)
{
	struct wbox *from = writer_box_selectable(w, l->job, l->mailbox);
	struct wbox *to = from ? writer_box_selectable(w, l->job, l->mailbox2) : NULL;

	if (!to)
		return true;
	l->account = to->acct->d.id;
	l->account2 = from->acct->d.id;
	if (l->copy.stage == COPY_COLLECTS && !copy_collect(w, l, from))
		return false;
	if (l->copy.stage == COPY_CLEARS && !copy_clear(w, l, to))
		return false;
	if (l->copy.stage == COPY_CHECKS && !copy_check(w, l, from, to))
		return true;
	while (l->copy.at < l->copy.n && !w->error) {
		if (!move_piece(w, l, from, to))
			return true;
		if (l->copy.at < l->copy.n && writer_long_over(w))
			return false;
	}
	move_reply(l->job, from, to, &l->uids, &l->copy.to);
	return true;
}

/* ---- the requests ------------------------------------------------------------------------------------ */

/* So many that they take slices; or some whose files are still to be made, which cannot be linked. */
static bool
are_many(const struct writer *w, const struct store_job *j, const struct wbox *b)
{
	const struct store_range *r = j->req.ranges;
	uint64_t sum = 0;

	for (size_t i = 0; i < j->req.nranges && r[i].first < b->d.uidnext; i++)
		sum += (r[i].last < b->d.uidnext ? r[i].last : b->d.uidnext - 1) - r[i].first + 1;
	if (j->req.nranges == 0 || sum > b->d.exists)
		sum = b->d.exists;
	return sum * LINK_US > w->config->slice_us || writer_pending_is_target(w, b->id);
}

static bool
two_boxes(struct writer *w, struct store_job *j, struct wbox **from, struct wbox **to)
{
	*from = writer_box_selectable(w, j, j->req.mailbox);
	*to = *from ? writer_box_selectable(w, j, j->req.mailbox2) : NULL;
	if (*to && j->req.nranges == 0)
		writer_reply_ok(j);
	return *to && j->req.nranges;
}

void
writer_run_copy(struct writer *w, struct store_job *j)
{
	struct buf uids = { 0 }, copies = { 0 };
	struct wbox *from, *to;

	if (!two_boxes(w, j, &from, &to))
		return;
	if (are_many(w, j, from))
		writer_long_run(w, j, copy_slice, from->id, to->id);
	else if (copy_few(w, j, from, to, &uids, &copies)) {
		copy_reply(j, to, &uids, &copies);
		writer_quota_warn(w, to->acct, &j->req.limits);
	}
	buf_fini(&uids);
	buf_fini(&copies);
}

void
writer_move_all(struct writer *w, struct store_job *j, struct wbox *from, struct wbox *to)
{
	struct buf uids = { 0 }, copies = { 0 }, gone = { 0 };

	if (are_many(w, j, from))
		writer_long_run(w, j, move_slice, from->id, to->id);
	else if (copy_few(w, j, from, to, &uids, &copies)) {
		if (uids.n)
			writer_expunge_records(w, from, (const void *)uids.p,
			    uids.n / sizeof(struct store_range), true, &gone);
		move_reply(j, from, to, &uids, &copies);
	}
	buf_fini(&uids);
	buf_fini(&copies);
	buf_fini(&gone);
}

void
writer_run_move(struct writer *w, struct store_job *j)
{
	struct wbox *from, *to;

	if (two_boxes(w, j, &from, &to))
		writer_move_all(w, j, from, to);
}
