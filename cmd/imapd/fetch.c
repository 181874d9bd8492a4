/* imapd/fetch.c: FETCH, RFC 3501 6.4.5; CHANGEDSINCE, RFC 7162 3.1.4; VANISHED, 3.2.6.
 *
 * A pull cursor over the index, called by the session until it is done: what the index and the
 * digests know goes straight from the map into the output; a message whose file is needed, or that
 * is asked for many sections, leaves the snapshot and goes through body.c.  It stops when the
 * output is full and after 5 ms.  A message that cannot be read for a reason of ours is passed
 * over and the command ends in NO; one that is expunged is another matter (RFC 2180 4.1.2).
 * What must stay true: nothing of the map is kept across the end of a snapshot. */
#include "fetch.h"
#include "limit.h"

#include "base/clock.h"
#include "store/acl.h"

#define SLICE_US     5000 /* of the loop, between other sessions' turns */
#define AHEAD        1024 /* bytes of a digest that are asked for ahead: most whole */
#define SECTIONS_FEW 4    /* so many selections of a digest are written inside the snapshot */
/* Bytes of an answer as it mostly is, and from where on room is made for them. */
#define ROW_INDEX  32
#define ROW_DIGEST 256
#define ROOM_LEAST (16 * 1024)

static struct fetch *
fetch_of(struct session *s)
{
	return s->imap.data;
}

static void
fetch_undo(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct fetch *f = fetch_of(s);

	if (f->resync)
		resync_fini(f->resync);
	body_close(f);
	message_picked_fini(&f->picked);
	buf_fini(&f->header);
}

/* ---- the cursor ----------------------------------------------------------------------------- */

enum fetch_walk { FETCH_OVER, FETCH_ROOM_IS_OUT, FETCH_TIME_IS_OUT, FETCH_NEEDS_FILE };

/* A message whose items, and sections if any, the index and the digest have: writes it.  False:
 * it needs more. */
static bool
fetch_write_known(struct session *s, struct fetch *f, struct imap_fetch_row *row,
    struct slice record)
{
	struct slice header = { NULL, 0 };
	struct message_digest d;

	if (f->want.need) {
		if (message_digest_parse(record, &d) < 0)
			d.has = 0;
		if (!fetch_digest_has(f, &d))
			return false;
		if (f->want.nsections > 0 &&
		    !(f->digest_fields && f->want.nsections <= SECTIONS_FEW &&
			d.has & MESSAGE_HAS_HEADER))
			return false;
		row->digest = &d;
		header = d.header;
	}
	fetch_write_items(f, row);
	row->digest = NULL;
	if (f->want.nsections > 0)
		body_write_kept(s, f, header);
	fetch_close_items(s, row->rec->uid);
	f->told++;
	return true;
}

/* The digests of the messages of a block, as many as are likely used: a message whose file must be
 * read leaves the snapshot, and those behind it are looked up again. */
static size_t
fetch_digests(struct session *s, const struct fetch *f, const struct store_record *r, size_t n,
    struct slice *records)
{
	uint64_t ids[STORE_BLOCK];

	if (!f->want.need)
		return 0;
	if (f->want.need != IMAP_NEED_CACHE && !f->digest_fields)
		n = 1;
	for (size_t i = 0; i < n; i++)
		ids[i] = r[i].emailid;
	store_get_caches(session_reader(s), ids, n, AHEAD, records);
	return n;
}

/* What of the records is asked for. */
static enum store_parts
fetch_parts(const struct fetch *f)
{
	const uint32_t states = IMAP_FETCH_BIT(FETCH_MODSEQ) | IMAP_FETCH_BIT(FETCH_FLAGS);

	if (f->want.need == 0 && f->want.nsections == 0 &&
	    !(f->want.items & ~(states | IMAP_FETCH_BIT(FETCH_UID))))
		return STORE_STATES;
	return f->want.items & states || f->want.changedsince || f->marked.n > 0 ? STORE_WHOLE :
										   STORE_RECORDS;
}

/* Is it left out, by when it has changed? */
static bool
fetch_passes(const struct fetch *f, const struct store_record *r)
{
	return (f->want.changedsince && r->modseq <= f->want.since) ||
	    (f->until && r->modseq > f->until);
}

/* Goes through the index inside one snapshot.  FETCH_NEEDS_FILE: f->rec, and *record in the map. */
static enum fetch_walk
fetch_walk(struct session *s, struct fetch *f, struct slice *record)
{
	const struct view *v = s->view;
	struct store_mailbox m;
	struct imap_fetch_row row = { .s = s, .mailbox = &m };
	struct fetch_tails tails;
	size_t run = 0;

	if (store_get_mailbox(session_reader(s), v->mailbox, &m) < 0)
		return FETCH_OVER;
	memset(tails.n, 0, sizeof(tails.n));
	if (f->range < f->uids.n)
		run = view_find(v, f->at > f->uids.r[f->range].lo ? f->at : f->uids.r[f->range].lo);
	for (; f->range < f->uids.n; f->range++, f->at = 0) {
		const struct imap_range *range = &f->uids.r[f->range];
		struct store_blocks blocks;
		const struct store_record *r;
		size_t n;

		store_blocks_init(&blocks, session_reader(s), v->mailbox,
		    f->at > range->lo ? f->at : range->lo, range->hi);
		blocks.parts = fetch_parts(f);
		blocks.since = f->want.changedsince ? f->want.since : 0;
		while ((r = store_blocks_next(&blocks, &n))) {
			struct slice records[STORE_BLOCK] = { 0 };
			size_t have = fetch_digests(s, f, r, n, records);

			for (size_t i = 0; i < n; i++) {
				while (run < v->nruns && v->runs[run].last < r[i].uid)
					run++;
				if (run == v->nruns || v->runs[run].first > r[i].uid)
					continue; /* the client does not know it yet */
				f->found++;
				if (fetch_passes(f, &r[i]))
					continue;
				f->at = r[i].uid + 1;
				row.rec = &r[i];
				row.seq = s->imap.uidonly ?
				    r[i].uid :
				    v->runs[run].seq + (r[i].uid - v->runs[run].first);
				if (f->want.need && i >= have)
					records[i] =
					    store_get_cache(session_reader(s), r[i].emailid);
				if (!fetch_write_known(s, f, &row, records[i])) {
					f->rec = r[i];
					*record = records[i];
					return FETCH_NEEDS_FILE;
				}
				if (f->plain) {
					size_t k = fetch_write_next(f, &row, &tails, n - 1 - i,
					    v->runs[run].last);

					i += k;
					f->found += k;
					f->told += (uint32_t)k;
					f->at += (uint32_t)k;
				}
				if (session_out(s)->n >= STREAM_HIGH)
					return FETCH_ROOM_IS_OUT;
			}
			f->at = r[n - 1].uid + 1;
			if (clock_mono_us() > f->ends_at)
				return FETCH_TIME_IS_OUT;
		}
	}
	return FETCH_OVER;
}

static enum imap_next
fetch_over(struct session *s, struct fetch *f)
{
	uint64_t asked = imap_set_count(&f->uids);

	if (f->unasked)
		return IMAP_NEXT;
	if (f->sync.own)
		s->sync = &f->sync;
	if (f->answer)
		return imap_server_finish(&s->imap, "OK", "%s%s",
		    limit_code(s, f->answer[0] != '['), f->answer);
	if (f->error < 0)
		return message_error_passes(f->error) ?
		    imap_server_no(&s->imap, "UNAVAILABLE", "Some messages cannot be opened now") :
		    imap_server_no(&s->imap, "SERVERBUG", "Some messages cannot be read");
	if (f->unknown_cte) /* RFC 3516 4.3: "MUST fail the request" */
		return imap_server_no(&s->imap, "UNKNOWN-CTE",
		    "The encoding of some parts is unknown");
	/* RFC 2180 4.1.2: what another session expunged cannot be had; say so once. */
	if (!s->imap.uid && (f->missing || (!f->want.changedsince && f->found < asked))) {
		(void)limit_code(s, false);
		return imap_server_no(&s->imap, "EXPUNGEISSUED",
		    "Some messages have been expunged");
	}
	return imap_server_finish(&s->imap, "OK", "%s%sFETCH completed", limit_code(s, true),
	    s->imap.uid ? "UID " : "");
}

/* A long answer gets all of its room at once: a buffer that doubles on its way to STREAM_HIGH copies
 * as much as it holds, and it is given back each time that the client has read it. */
static void
fetch_reserve(struct session *s, const struct fetch *f)
{
	struct buf *b = session_out(s);
	uint64_t room;

	if (f->range == f->uids.n || f->want.changedsince)
		return;
	room = (uint64_t)f->uids.r[f->range].hi - f->uids.r[f->range].lo + 1;
	room *= f->want.need ? ROW_DIGEST : ROW_INDEX;
	if (room > STREAM_HIGH)
		room = STREAM_HIGH + ROOM_LEAST;
	if (room > ROOM_LEAST && room > b->n)
		buf_grow(b, (size_t)room - b->n);
}

enum imap_next
fetch_step(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct fetch *f = fetch_of(s);

	f->ends_at = clock_mono_us() + SLICE_US;
	f->plain = fetch_plain(f);
	fetch_reserve(s, f);
	if (f->resync && f->resync->stage != RESYNC_OVER) {
		enum imap_next next = resync_more(s, f->resync);

		if (next != IMAP_NEXT)
			return next;
	}
	for (;;) {
		struct slice record = { 0 };
		enum fetch_walk w;
		enum imap_next next;

		if (f->open) {
			next = body_more(s, f);
			if (next != IMAP_NEXT)
				return next;
			fetch_close_items(s, f->rec.uid);
			body_close(f);
			metric_add(M_FETCHED, 1);
		}
		if (session_out(s)->n >= STREAM_HIGH)
			return IMAP_FULL;
		if (clock_mono_us() > f->ends_at)
			return IMAP_YIELD;
		if (session_snapshot(s) < 0)
			return f->unasked ?
			    IMAP_NEXT :
			    imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
		w = fetch_walk(s, f, &record);
		metric_add(M_FETCHED, f->told);
		f->told = 0;
		next = w == FETCH_NEEDS_FILE ? body_open(s, f, record) : IMAP_NEXT;
		store_end(session_reader(s));
		if (next == IMAP_WAIT)
			return IMAP_WAIT;
		if (w == FETCH_ROOM_IS_OUT || w == FETCH_TIME_IS_OUT)
			return w == FETCH_ROOM_IS_OUT ? IMAP_FULL : IMAP_YIELD;
		if (w == FETCH_OVER)
			return fetch_over(s, f);
	}
}

/* ---- the command ------------------------------------------------------------------------------ */

static void
seen_set(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct fetch *f = fetch_of(s);

	/* When stored is away the messages can still be read; they just stay unseen. */
	if (r->verdict.kind != OK)
		f->marked.n = 0;
	if (f->marked.n > 0)
		f->sync.own = &f->marked;
	f->sync.own_modseq = r->modseq;
	imap_server_resume(&s->imap, IMAP_PULL);
}

/* The UIDs that BODY[...] without PEEK turns \Seen.		RFC 3501 6.4.5 */
static void
find_unseen(struct session *s, struct fetch *f)
{
	if (session_snapshot(s) < 0)
		return;
	for (size_t k = 0; k < f->uids.n; k++) {
		struct store_blocks blocks;
		const struct store_record *r;
		size_t n;

		store_blocks_init(&blocks, session_reader(s), s->view->mailbox, f->uids.r[k].lo,
		    f->uids.r[k].hi);
		blocks.parts = STORE_STATES;
		while ((r = store_blocks_next(&blocks, &n)))
			for (size_t i = 0; i < n; i++)
				if (!(r[i].flags & STORE_SEEN) && view_seq(s->view, r[i].uid) &&
				    (!f->want.changedsince || r[i].modseq > f->want.since))
					imap_set_add(&f->marked, &s->imap.arena, r[i].uid,
					    r[i].uid);
	}
	store_end(session_reader(s));
}

/* With CHANGEDSINCE blocks in which nothing has changed are passed over, so messages that are gone are
 * not met by the walk: they are looked for here.  And only what has changed need be looked at, when
 * the account's change log knows.				RFC 7162 3.1.4 */
static void
fetch_narrow(struct session *s, struct fetch *f)
{
	const struct store_range *asked = (const void *)f->uids.r, *r;
	struct store_view *v = session_reader(s);
	struct buf gone = { 0 }, changed = { 0 }, runs = { 0 }, left = { 0 };
	struct store_mailbox m;
	bool logged = false;

	if (session_snapshot(s) < 0)
		return; /* the walk says so */
	if (store_get_mailbox(v, s->view->mailbox, &m) == 0) {
		logged = store_changed_logged(v, m.id, f->want.since, view_last_uid(s->view),
			     &changed) == 0;
		if (!s->imap.uid)
			store_uid_runs(v, &m, &runs);
		r = (const void *)runs.p;
		store_uids_split(asked, f->uids.n, r, runs.n / sizeof(*r), &gone, &left);
		f->missing = !s->imap.uid && gone.n > 0;
	}
	store_end(v);
	if (logged) {
		buf_clear(&left);
		r = (const void *)changed.p;
		store_uids_split(asked, f->uids.n, r, changed.n / sizeof(*r), &gone, &left);
		r = (const void *)left.p;
		f->uids = (struct imap_set){ 0 };
		for (size_t i = 0; i < left.n / sizeof(*r); i++)
			imap_set_add(&f->uids, &s->imap.arena, r[i].first, r[i].last);
	}
	buf_fini(&gone);
	buf_fini(&changed);
	buf_fini(&runs);
	buf_fini(&left);
}

void
fetch_init(struct fetch *f)
{
	*f = (struct fetch){ .message.fd = -1 };
}

enum imap_next
fetch_start(struct session *s, struct fetch *f)
{
	s->imap.data = f;
	s->imap.undo = fetch_undo;
	s->imap.more = fetch_step;
	return IMAP_PULL;
}

enum imap_next
fetch_changed(struct session *s, struct fetch *f)
{
	fetch_narrow(s, f);
	return fetch_start(s, f);
}

/* What goes with what was asked for: RFC 7162 3.1, 3.2.4, RFC 9051 7.5.2. */
static void
fetch_add_items(struct session *s, struct imap_fetch *want)
{
	if (want->items & IMAP_FETCH_BIT(FETCH_MODSEQ))
		session_condstore(s);
	if (s->condstore && want->items & IMAP_FETCH_BIT(FETCH_FLAGS))
		want->items |= IMAP_FETCH_BIT(FETCH_MODSEQ);
}

void
fetch_unasked(struct session *s, struct fetch *f)
{
	if (!s->imap.uidonly && (s->condstore || s->enabled & SESSION_REV2))
		f->want.items |= IMAP_FETCH_BIT(FETCH_UID);
	fetch_add_items(s, &f->want);
	body_sections(s, f);
	f->unasked = true;
	s->imap.data = f;
	s->imap.undo = fetch_undo;
}

/* Of the messages that are there, those of the page.				RFC 9394 3.3 */
static void
fetch_page(struct session *s, struct fetch *f)
{
	struct imap_set all = f->uids;
	uint64_t from, n;

	view_present(s->view, &all, &s->imap.arena);
	n = imap_partial_span(&f->want.partial, imap_set_count(&all), &from);
	imap_set_cut(&all, from, n, &s->imap.arena, &f->uids);
}

/* RFC 9738 3.1: "without doing any work" */
static bool
fetch_page_exceeds(const struct fetch *f)
{
	uint64_t from;

	return limit_messages() &&
	    imap_partial_span(&f->want.partial, UINT32_MAX, &from) > limit_messages();
}

/* UIDs whose messages are gone may lie above all that are there: "*" is the last that was given. */
static struct resync *
fetch_resync(struct session *s, struct imap_set *asked, uint64_t since)
{
	struct resync *r = arena_new(&s->imap.arena, sizeof(*r));

	if (asked->saved)
		(void)view_uids(s->view, asked, true, &s->imap.arena);
	else
		(void)imap_set_resolve(asked, s->view->uidnext - 1);
	r->among = *asked;
	r->since = since;
	return r;
}

enum imap_next
cmd_fetch(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct fetch *f = arena_new(&s->imap.arena, sizeof(*f));
	struct imap_set asked;
	bool sets_seen = false;

	fetch_init(f);
	if (!imap_space(in) || !imap_sequence(in, &f->uids) || !imap_space(in) ||
	    !imap_fetch_parse(in, fetch_items, fetch_nitems, FETCH_MODSEQ, &f->want) ||
	    !imap_end(in))
		return imap_server_syntax(&s->imap, in);
	/* RFC 7162 3.2.6: "MUST return a tagged BAD" */
	if (f->want.vanished && (!s->imap.uid || !(s->enabled & SESSION_QRESYNC)))
		return imap_server_bad(imap, "VANISHED is for UID FETCH, when QRESYNC is enabled");
	if (s->imap.uid)
		view_arrivals(s);
	asked = imap_set_copy(&f->uids, &imap->arena); /* resolved in another way */
	if (!view_uids(s->view, &f->uids, s->imap.uid, &s->imap.arena))
		return imap_server_bad(&s->imap, "No such message");
	if (f->want.partial.text.p && fetch_page_exceeds(f))
		return limit_refuse(s, "The page is too long");
	if (f->want.partial.text.p)
		fetch_page(s, f);
	limit_cut(s, &f->uids);
	if (s->imap.uid && !s->imap.uidonly)
		f->want.items |= IMAP_FETCH_BIT(FETCH_UID);
	fetch_add_items(s, &f->want);
	if (f->want.vanished)
		f->resync = fetch_resync(s, &asked, f->want.since);
	for (size_t i = 0; i < f->want.nsections; i++)
		sets_seen = sets_seen || !f->want.sections[i].peek;
	body_sections(s, f);
	if (f->want.changedsince)
		fetch_narrow(s, f);
	s->imap.data = f;
	s->imap.undo = fetch_undo;
	s->imap.more = fetch_step;
	if (sets_seen && !s->view->readonly && s->view->rights & STORE_R_SEEN)
		find_unseen(s, f);
	if (f->marked.n > 0) {
		struct store_change change = { .how = STORE_ADD, .flags = STORE_SEEN };

		store_flags_start(imapd.store, s->view->mailbox,
		    (const struct store_range *)(const void *)f->marked.r, f->marked.n, &change,
		    &s->imap.op, seen_set, s);
		return IMAP_WAIT;
	}
	return IMAP_PULL;
}
