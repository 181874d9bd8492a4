/* imapd/fetch.c: FETCH, RFC 3501 6.4.5; CHANGEDSINCE, RFC 7162 3.1.4.
 *
 * A pull cursor over the index: what the index and the cache records know goes straight from
 * the map into the output; a message whose file is needed leaves the snapshot and goes through
 * body.c. */
#include "fetch.h"

#include "imap/write.h"

static struct fetch *
fetch_of(struct session *s)
{
	return s->data;
}

static void
undo(struct session *s)
{
	struct fetch *f = fetch_of(s);

	body_close(f);
	buf_fini(&f->record);
	buf_fini(&f->header);
}

/* ---- one message -------------------------------------------------------------------------- */

static void
write_cached(struct buf *b, unsigned items, const struct imap_cache *c)
{
	if (items & IMAP_FETCH_ENVELOPE) {
		buf_lit(b, "ENVELOPE ");
		buf_slice(b, c->envelope);
		buf_char(b, ' ');
	}
	if (items & IMAP_FETCH_BODY) {
		buf_lit(b, "BODY ");
		imap_body_from_structure(b, c->structure);
		buf_char(b, ' ');
	}
	if (items & IMAP_FETCH_BODYSTRUCTURE) {
		buf_lit(b, "BODYSTRUCTURE ");
		buf_slice(b, c->structure);
		buf_char(b, ' ');
	}
}

/* Room that the numbers and dates of one message can take, keywords apart. */
#define ITEMS_MAX 320

void
fetch_write_items(struct session *s, struct fetch *f, const struct store_record *r,
    uint32_t seq, const struct imap_cache *c, const struct store_mailbox *m)
{
	struct buf *b = out(s);
	unsigned items = f->want.items;
	char *p = buf_reserve(b, ITEMS_MAX), *e = p;

	if (!p)
		return;
	if (f->marked.n > 0 && imap_set_has(&f->marked, r->uid))
		items |= IMAP_FETCH_FLAGS | (s->condstore ? IMAP_FETCH_MODSEQ : 0);
	memcpy(e, "* ", 2);
	e = imap_u32_at(e + 2, seq);
	memcpy(e, " FETCH (", 8);
	e += 8;
	if (items & IMAP_FETCH_UID) {
		memcpy(e, "UID ", 4);
		e = imap_u32_at(e + 4, r->uid);
		*e++ = ' ';
	}
	if (items & IMAP_FETCH_MODSEQ) {
		memcpy(e, "MODSEQ (", 8);
		e = imap_u64_at(e + 8, r->modseq);
		memcpy(e, ") ", 2);
		e += 2;
	}
	if (items & IMAP_FETCH_INTERNALDATE) {
		memcpy(e, "INTERNALDATE ", 13);
		e = imap_date_time_at(e + 13, r->internaldate, r->zone);
		*e++ = ' ';
	}
	if (items & IMAP_FETCH_SIZE) {
		memcpy(e, "RFC822.SIZE ", 12);
		e = imap_u32_at(e + 12, r->size);
		*e++ = ' ';
	}
	if (items & IMAP_FETCH_FLAGS) {
		memcpy(e, "FLAGS ", 6);
		e += 6;
		if (r->keywords == 0) {
			unsigned system = r->flags & STORE_FLAGS_ALL;

			if (view_is_recent(s->view, r->uid))
				system |= IMAP_RECENT;
			*e++ = '(';
			e = imap_flags_at(e, system);
			memcpy(e, ") ", 2);
			e += 2;
		} else {
			b->n += (size_t)(e - p);
			view_flags_write(b, s->view, r, m);
			buf_char(b, ' ');
			p = e = b->p + b->n;
		}
	}
	b->n += (size_t)(e - p);
	if (items & (IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE))
		write_cached(b, items, c);
}

/* The blank behind the last item becomes the end. */
static void
close_items(struct buf *b)
{
	if (b->n > 0 && b->p[b->n - 1] == ' ')
		b->n--;
	buf_lit(b, ")\r\n");
}

/* ---- the cursor ----------------------------------------------------------------------------- */

static bool
knows(const struct imap_cache *c, unsigned items)
{
	if (items & IMAP_FETCH_ENVELOPE && !(c->has & IMAP_HAS_ENVELOPE))
		return false;
	return !(items & (IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE)) ||
	    c->has & IMAP_HAS_STRUCTURE;
}

enum walk { OVER, ROOM_IS_OUT, NEEDS_FILE };

/* Goes through the index inside one snapshot. */
static enum walk
walk(struct session *s, struct fetch *f)
{
	const bool cached = f->want.nsections > 0 ||
	    f->want.items &
		(IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY | IMAP_FETCH_BODYSTRUCTURE);
	const struct view *v = s->view;
	struct imap_cache c = { 0 };
	struct store_mailbox m;
	size_t run = 0;

	if (store_get_mailbox(reader(s), v->mailbox, &m) < 0)
		return OVER;
	if (f->range < f->uids.n)
		run = view_find(v, f->at > f->uids.r[f->range].lo ? f->at : f->uids.r[f->range].lo);
	for (; f->range < f->uids.n; f->range++, f->at = 0) {
		const struct imap_range *range = &f->uids.r[f->range];
		struct store_blocks blocks;
		const struct store_record *r;
		size_t n;

		store_blocks_init(&blocks, reader(s), v->mailbox,
		    f->at > range->lo ? f->at : range->lo, range->hi);
		while ((r = store_blocks_next(&blocks, &n))) {
			for (size_t i = 0; i < n; i++) {
				while (run < v->nruns && v->runs[run].last < r[i].uid)
					run++;
				if (run == v->nruns || v->runs[run].first > r[i].uid)
					continue; /* the client does not know it yet */
				f->found++;
				if (f->want.changedsince && r[i].modseq <= f->want.since)
					continue;
				if (cached) {
					struct slice bytes = store_get_cache(reader(s), r[i].emailid);

					if (imap_cache_parse(bytes, &c) < 0)
						c.has = 0;
					if (f->want.nsections > 0 || !knows(&c, f->want.items)) {
						f->rec = r[i];
						f->at = r[i].uid + 1;
						buf_clear(&f->record);
						buf_slice(&f->record, bytes);
						return NEEDS_FILE;
					}
				}
				fetch_write_items(s, f, &r[i],
				    v->runs[run].seq + (r[i].uid - v->runs[run].first), &c, &m);
				close_items(out(s));
				metric_add(M_FETCHED, 1);
			}
			f->at = r[n - 1].uid + 1;
			if (out(s)->n >= STREAM_HIGH)
				return ROOM_IS_OUT;
		}
	}
	return OVER;
}

static enum next
fetch_over(struct session *s, struct fetch *f)
{
	uint64_t asked = imap_set_count(&f->uids);

	if (f->sync.own)
		s->sync = &f->sync;
	if (f->answer)
		return finish(s, "OK", "%s", f->answer);
	/* RFC 2180 4.1.2: what another session expunged cannot be had; say so once. */
	if (!s->uid && (f->missing || f->found < asked))
		return finish(s, "NO", "[EXPUNGEISSUED] Some messages have been expunged");
	return finish(s, "OK", "%sFETCH completed", s->uid ? "UID " : "");
}

static enum next
fetch_more(struct session *s)
{
	struct fetch *f = fetch_of(s);

	for (;;) {
		enum walk w;

		if (f->fd >= 0) {
			enum next next = body_more(s, f);

			if (next != NEXT)
				return next;
			close_items(out(s));
			body_close(f);
			metric_add(M_FETCHED, 1);
			if (out(s)->n >= STREAM_HIGH)
				return FULL;
		}
		if (store_begin(reader(s)) < 0)
			return finish(s, "NO", "[UNAVAILABLE] The mail store cannot be read");
		w = walk(s, f);
		if (w == NEEDS_FILE) {
			enum next next = body_open(s, f);

			if (next == WAIT)
				return WAIT;
			f->missing = f->missing || next == CLOSE;
			continue;
		}
		store_end(reader(s));
		return w == ROOM_IS_OUT ? FULL : fetch_over(s, f);
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
	session_resume(s, session_pull(s));
}

/* The UIDs that BODY[...] without PEEK turns \Seen.		RFC 3501 6.4.5 */
static void
find_unseen(struct session *s, struct fetch *f)
{
	if (store_begin(reader(s)) < 0)
		return;
	for (size_t k = 0; k < f->uids.n; k++) {
		struct store_blocks blocks;
		const struct store_record *r;
		size_t n;

		store_blocks_init(&blocks, reader(s), s->view->mailbox, f->uids.r[k].lo,
		    f->uids.r[k].hi);
		while ((r = store_blocks_next(&blocks, &n)))
			for (size_t i = 0; i < n; i++)
				if (!(r[i].flags & STORE_SEEN) && view_seq(s->view, r[i].uid) &&
				    (!f->want.changedsince || r[i].modseq > f->want.since))
					imap_set_add(&f->marked, &s->arena, r[i].uid, r[i].uid);
	}
	store_end(reader(s));
}

enum next
fetch_start(struct session *s, struct fetch *f)
{
	s->data = f;
	s->undo = undo;
	s->more = fetch_more;
	return session_pull(s);
}

enum next
cmd_fetch(struct session *s, struct imap_in *in)
{
	struct fetch *f = arena_new(&s->arena, sizeof(*f));
	bool sets_seen = false;

	f->fd = -1;
	if (!imap_space(in) || !imap_sequence(in, &f->uids) || !imap_space(in) ||
	    !imap_fetch_parse(in, &f->want) || !imap_end(in))
		return bad(s, in);
	if (s->uid)
		view_arrivals(s);
	if (!view_uids(s->view, &f->uids, s->uid, &s->arena))
		return bad_text(s, "No such message");
	if (s->uid)
		f->want.items |= IMAP_FETCH_UID;
	if (f->want.items & IMAP_FETCH_MODSEQ)
		s->condstore = true;
	/* RFC 7162 3.1: once it is enabled, flags do not go without their MODSEQ. */
	if (s->condstore && f->want.items & IMAP_FETCH_FLAGS)
		f->want.items |= IMAP_FETCH_MODSEQ;
	for (size_t i = 0; i < f->want.nsections; i++)
		sets_seen = sets_seen || !f->want.sections[i].peek;
	s->data = f;
	s->undo = undo;
	s->more = fetch_more;
	if (sets_seen && !s->view->readonly)
		find_unseen(s, f);
	if (f->marked.n > 0) {
		struct store_change change = { .how = STORE_ADD, .flags = STORE_SEEN };

		store_flags_start(imapd.store, s->view->mailbox,
		    (const struct store_range *)(const void *)f->marked.r, f->marked.n, &change,
		    &s->op, seen_set, s);
		return WAIT;
	}
	return session_pull(s);
}
