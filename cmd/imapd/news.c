/* imapd/news.c: what the client is told when the mailbox has moved on, RFC 3501 5.2, 7.3, 7.4.1, RFC 7162 3.2.10.
 *
 * Owns: the order EXPUNGE, EXISTS, RECENT, FETCH, and moving the view along with what was told.  Called
 * by finish (reply.c), by IDLE and by commands that name UIDs.  Can fail: the mailbox may be gone, which
 * ends the session.  Must stay true: a number is written only while the view still has it; flags are
 * known up to v->modseq when SYNC_FLAGS is over.  A cursor of stages: each may be long (500,000
 * EXPUNGEs, a walk for changed flags) and goes on in another slice of time. */
#include "view.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "imap/write.h"
#include "context.h"
#include "notify.h"

/* Ranges in one VANISHED: a line of some 8 KiB at most (RFC 7162 4). */
#define VANISHED_LINE 370

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
		if (!m->keywords[i].n)
			continue;
		if (b->p[b->n - 1] != '(')
			buf_char(b, ' ');
		buf_slice(b, m->keywords[i]);
	}
	buf_char(b, ')');
}

/* Each behind a space. */
static void
news_keyword_list(struct buf *b, const struct store_mailbox *m)
{
	for (size_t i = 0; i < m->nkeywords; i++)
		if (m->keywords[i].n) {
			buf_char(b, ' ');
			buf_slice(b, m->keywords[i]);
		}
}

/* RFC 4314 5.1.1: PERMANENTFLAGS has what the user may change. */
static void
news_flags_allowed(struct buf *b, uint32_t rights, const struct store_mailbox *m)
{
	const char *gap = "";

	if (rights & STORE_R_SEEN) {
		buf_lit(b, "\\Seen");
		gap = " ";
	}
	if (rights & STORE_R_DELETE) {
		buf_str(b, gap);
		buf_lit(b, "\\Deleted");
		gap = " ";
	}
	if (rights & STORE_R_WRITE) {
		buf_str(b, gap);
		buf_lit(b, "\\Answered \\Flagged \\Draft");
		news_keyword_list(b, m);
		buf_lit(b, " \\*");
	}
}

void
view_flags_announce(struct session *s, const struct store_mailbox *m, bool readonly)
{
	struct buf *b = session_out(s);

	buf_lit(b, "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft");
	news_keyword_list(b, m);
	buf_lit(b, ")\r\n* OK [PERMANENTFLAGS (");
	if (!readonly && s->view->rights != STORE_R_ALL) {
		news_flags_allowed(b, s->view->rights, m);
	} else if (!readonly) {
		buf_lit(b, "\\Answered \\Flagged \\Deleted \\Seen \\Draft");
		news_keyword_list(b, m);
		buf_lit(b, " \\*"); /* stored makes room by those that no message has */
	}
	buf_str(b, readonly ? ")] No permanent flags permitted\r\n" : ")] Flags permitted\r\n");
}

/* One changed message. */
static void
news_tell_flags(struct session *s, const struct sync *y, const struct store_record *r, uint32_t seq,
    const struct store_mailbox *m)
{
	struct buf *b = session_out(s);
	bool own = y->own && r->modseq <= y->own_modseq &&
	    (!y->silent || r->modseq >= y->own_first) && imap_set_has(y->own, r->uid);
	char *p, *e;

	if (own && !y->silent_modseq)
		return;
	p = e = buf_reserve(b, 96);
	if (!p)
		return;
	memcpy(e, "* ", 2);
	e = imap_u32_at(e + 2, s->imap.uidonly ? r->uid : seq);
	e = fetch_verb_at(e, s);
	/* RFC 9051 7.5.2: "they MUST include UID" */
	if (!s->imap.uidonly && (y->uid || s->condstore || s->enabled & SESSION_REV2)) {
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

/* Is every change since v->modseq the arrival of a message from uid `from` on?  Each change of
 * a mailbox takes a number of its own, so when the new messages account for all the numbers,
 * no flag of an old one has changed, and a large mailbox need not be scanned for it. */
static bool
news_only_arrivals(struct session *s, const struct store_mailbox *m, uint32_t from)
{
	uint64_t since = s->view->modseq, seen = 0;
	struct store_blocks blocks;
	const struct store_record *r;
	size_t n;

	if (m->highestmodseq <= since || m->highestmodseq - since > 64 || from >= m->uidnext)
		return false;
	store_blocks_init(&blocks, session_reader(s), m->id, from, UINT32_MAX);
	blocks.parts = STORE_STATES;
	while ((r = store_blocks_next(&blocks, &n)))
		for (size_t i = 0; i < n; i++)
			if (r[i].modseq > since && r[i].modseq <= m->highestmodseq)
				seen |= UINT64_C(1) << (r[i].modseq - since - 1);
	return seen == UINT64_MAX >> (64 - (m->highestmodseq - since));
}

/* ---- the stages --------------------------------------------------------------------------- */

static void
news_keywords(struct session *s, const struct store_mailbox *m)
{
	if (m->keywords_id == s->view->keywords_id)
		return;
	s->view->keywords_id = m->keywords_id;
	view_flags_announce(s, m, s->view->readonly);
}

static struct store_range *
news_keep_ranges(struct session *s, struct buf *b, size_t *n)
{
	struct store_range *r = NULL;

	*n = b->n / sizeof(*r);
	if (*n > 0) {
		r = arena_array(&s->imap.arena, *n, sizeof(*r));
		memcpy(r, b->p, b->n);
	}
	buf_fini(b);
	return r;
}

/* Which UIDs are gone? */
static void
news_find_gone(struct session *s, struct sync *y, const struct store_mailbox *m)
{
	struct view *v = s->view;
	struct buf runs = { 0 }, gone = { 0 }, left = { 0 };
	struct store_range *seen = arena_array(&s->imap.arena, v->nruns + 1, sizeof(*seen));

	store_uid_runs(session_reader(s), m, &runs);
	for (size_t i = 0; i < v->nruns; i++)
		seen[i] = (struct store_range){ v->runs[i].first, v->runs[i].last };
	/* The runs' bytes come from mem, so they are aligned. */
	store_uids_split(seen, v->nruns, (const void *)runs.p, runs.n / sizeof(*seen), &gone,
	    &left);
	buf_fini(&runs);
	y->gone = news_keep_ranges(s, &gone, &y->ngone);
	y->left = news_keep_ranges(s, &left, &y->nleft);
}

static enum imap_next
news_begin(struct session *s, struct sync *y, const struct store_mailbox *m)
{
	struct view *v = s->view;
	/* The flags of new messages are asked for, not told; unless the client knew of them already
	 * and something has happened since. */
	bool quiet = v->arrived && v->arrived_modseq == m->highestmodseq;

	y->from = quiet ? v->arrived : v->uidnext;
	y->last = quiet ? y->from - 1 : view_last_uid(v);
	news_keywords(s, m);
	if (y->expunge)
		news_find_gone(s, y, m);
	y->found = m->highestmodseq;
	y->stage = y->ngone > 0 ? SYNC_EXPUNGE : SYNC_ARRIVE;
	return IMAP_NEXT;
}

bool
view_vanished(struct session *s, bool earlier, const struct store_range *r, size_t n, size_t *told)
{
	struct buf *b = session_out(s);

	while (*told < n) {
		size_t line = n - *told < VANISHED_LINE ? n - *told : VANISHED_LINE;
		struct imap_set set = { .r = (struct imap_range *)(uintptr_t)&r[*told], .n = line };

		if (b->n >= STREAM_HIGH)
			return false;
		buf_str(b, earlier ? "* VANISHED (EARLIER) " : "* VANISHED ");
		imap_set_write(b, &set);
		buf_lit(b, "\r\n");
		*told += line;
	}
	return true;
}

/* Writes the EXPUNGEs from the last to the first, so that each number is right when it is read; the
 * view changes when all are written. */
static enum imap_next
news_expunge(struct session *s, struct sync *y, const struct store_mailbox *m)
{
	struct buf *b = session_out(s);

	(void)m;
	if (!y->contexts)
		contexts_expunge(s, y->gone, y->ngone);
	y->contexts = true;
	/* RFC 7162 3.2.10: "instead of EXPUNGE", by UIDs, so any order will do. */
	if (s->enabled & (SESSION_QRESYNC | SESSION_UIDONLY)) {
		if (!view_vanished(s, false, y->gone, y->ngone, &y->vanished))
			return IMAP_FULL;
		y->ngone = 0;
	}
	for (; y->ngone > 0; y->ngone--, y->told = 0) {
		const struct store_range *g = &y->gone[y->ngone - 1];
		uint32_t seq = view_seq(s->view, g->last - y->told);

		for (; y->told <= g->last - g->first; y->told++, seq--) {
			char *p = buf_reserve(b, 32), *e = p;

			if (!p || b->n >= STREAM_HIGH)
				return IMAP_FULL;
			memcpy(e, "* ", 2);
			e = imap_u32_at(e + 2, seq);
			memcpy(e, " EXPUNGE\r\n", 10);
			b->n += (size_t)(e + 10 - p);
		}
	}
	view_set_runs(s->view, y->left, y->nleft);
	y->stage = SYNC_ARRIVE;
	return IMAP_NEXT;
}

/* New messages: all of them have UIDs from v->uidnext on. */
static void
news_arrive(struct session *s, const struct store_mailbox *m)
{
	struct view *v = s->view;
	const bool rev2 = s->enabled & SESSION_REV2;
	struct buf runs = { 0 };
	uint32_t exists = v->exists, from = v->uidnext;

	if (m->uidnext == v->uidnext)
		return;
	store_uid_runs(session_reader(s), m, &runs);
	view_add_runs(v, (const void *)runs.p, runs.n / sizeof(struct store_range));
	buf_fini(&runs);
	if (v->readonly && m->recent > 0 && !rev2) /* looks and takes nothing */
		view_recent_add(v, m->recent_from > v->uidnext ? m->recent_from : v->uidnext,
		    m->uidnext - 1);
	v->uidnext = m->uidnext;
	if (v->exists == exists)
		return;
	if (!v->untold)
		v->untold = from;
	imap_server_untagged(&s->imap, "%u EXISTS", v->exists);
	if (!rev2)
		imap_server_untagged(&s->imap, "%u RECENT", view_count_recent(v));
}

static void
news_reserved(void *arg, const struct store_reply *r)
{
	struct session *s = arg;

	if (r->verdict.kind == OK && r->nuids > 0)
		view_recent_add(s->view, r->uids[0].first, r->uids[0].last);
	imap_server_resume(&s->imap, IMAP_PULL);
}

/* New messages alone: flags are known up to where they were. */
static enum imap_next
news_only(struct session *s, struct sync *y, const struct store_mailbox *m)
{
	struct view *v = s->view;
	uint32_t from = v->uidnext;

	news_arrive(s, m);
	if (v->uidnext != from) {
		if (!v->arrived)
			v->arrived = from;
		v->arrived_modseq = m->highestmodseq;
	}
	y->behind = v->exists != m->exists;
	y->stage = SYNC_OVER;
	return IMAP_NEXT;
}

/* A message is \Recent in one session alone: that is only known when stored has said so, and the
 * others and STATUS must not hear of it before.				RFC 3501 2.3.2 */
static enum imap_next
news_arrivals(struct session *s, struct sync *y, const struct store_mailbox *m)
{
	struct view *v = s->view;

	if (!y->reserved && m->uidnext != v->uidnext && !v->readonly && m->recent > 0 &&
	    !(s->enabled & SESSION_REV2) && idle_may_reserve(s, m->uidnext)) {
		y->reserved = true;
		store_reserve_start(imapd.store, v->mailbox, &s->imap.op, news_reserved, s);
		return IMAP_WAIT;
	}
	if (y->arrivals)
		return news_only(s, y, m);
	news_arrive(s, m);
	v->arrived = 0;
	y->until = m->highestmodseq;
	/* The view has all that there is up to here: what it has more is gone. */
	y->behind = v->exists != m->exists;
	y->at = 1;
	y->stage = SYNC_FLAGS;
	if (y->until <= v->modseq || news_only_arrivals(s, m, y->from) ||
	    (y->only_own && y->until == y->own_modseq && !y->silent_modseq)) {
		v->modseq = y->until;
		y->stage = SYNC_OVER;
	}
	return IMAP_NEXT;
}

/* One changed record, if the client knows the message.  What has changed again since the round began is
 * left to the next one, which would tell it once more. */
static void
news_record(struct session *s, struct sync *y, const struct store_record *r,
    const struct store_mailbox *m)
{
	uint32_t seq = 0;

	if (r->modseq > s->view->modseq && r->modseq <= y->until)
		seq = view_seq(s->view, r->uid);
	if (seq)
		news_tell_flags(s, y, r, seq, m);
	y->at = r->uid + 1;
}

static enum imap_next
news_room(struct session *s)
{
	if (session_out(s)->n >= STREAM_HIGH)
		return IMAP_FULL;
	return line_session_spent(&s->imap.line) ? IMAP_YIELD : IMAP_NEXT;
}

/* So much has changed that a list of it is not kept. */
static enum imap_next
news_walk(struct session *s, struct sync *y, const struct store_mailbox *m)
{
	struct store_blocks blocks;
	const struct store_record *r;
	size_t n;

	store_blocks_init(&blocks, session_reader(s), s->view->mailbox, y->at, y->last);
	blocks.parts = STORE_STATES;
	while ((r = store_blocks_next(&blocks, &n))) {
		enum imap_next next;

		for (size_t i = 0; i < n; i++)
			news_record(s, y, &r[i], m);
		if ((next = news_room(s)) != IMAP_NEXT)
			return next;
	}
	return IMAP_NEXT;
}

/* Flags that changed since v->modseq of messages that the client knows: the walk over the mailbox is
 * made once for all sessions that have it selected. */
static enum imap_next
news_flags(struct session *s, struct sync *y, const struct store_mailbox *m)
{
	struct view *v = s->view;
	struct store_changes *c = store_changes_get(&session_home(s)->changes, v->mailbox,
	    session_sees(s), v->modseq, y->until);
	enum imap_next next = IMAP_NEXT;
	size_t i;

	while (!c->over) {
		store_changes_walk(c, session_reader(s));
		if (!c->over && line_session_spent(&s->imap.line))
			return IMAP_YIELD;
	}
	if (c->many) {
		next = news_walk(s, y, m);
		if (next != IMAP_NEXT)
			return next;
	}
	for (i = c->many ? c->n : store_changes_find(c, y->at);
	     i < c->n && c->list[i].uid <= y->last; i++) {
		const struct store_record *r = NULL;

		if (c->list[i].modseq > v->modseq)
			r = store_get_record(session_reader(s), v->mailbox, c->list[i].uid);
		if (!r)
			continue;
		news_record(s, y, r, m);
		if ((next = news_room(s)) != IMAP_NEXT)
			return next;
	}
	v->modseq = y->until;
	y->stage = SYNC_OVER;
	return IMAP_NEXT;
}

/* ---- the cursor --------------------------------------------------------------------------- */

static bool
news_none(const struct view *v, const struct sync *y, const struct store_mailbox *m)
{
	return (m->highestmodseq == v->modseq || y->arrivals) && m->uidnext == v->uidnext &&
	    (m->exists == v->exists || !y->expunge);
}

/* All is told that may be.  While EXPUNGEs have to wait, a client that counts by the MODSEQs it was
 * told would pass over them when the connection broke now: "the server MUST send the HIGHESTMODSEQ
 * response code with a lower value than the EXPUNGE's" (RFC 7162 3.2). */
static void
news_over(struct session *s, const struct sync *y)
{
	struct view *v = s->view;

	if (!y->behind) {
		v->synced = v->modseq;
		return;
	}
	if (y->expunge && y->found > v->synced)
		v->synced = y->found;
	if (s->enabled & SESSION_QRESYNC)
		imap_server_untagged(&s->imap, "OK [HIGHESTMODSEQ %llu] Messages are expunged",
		    (unsigned long long)v->synced);
}

enum imap_next
view_sync(struct session *s, struct sync *y)
{
	static enum imap_next (*const stages[])(struct session *, struct sync *,
	    const struct store_mailbox *) = {
		[SYNC_BEGIN] = news_begin,
		[SYNC_EXPUNGE] = news_expunge,
		[SYNC_ARRIVE] = news_arrivals,
		[SYNC_FLAGS] = news_flags,
	};
	enum imap_next next = IMAP_NEXT;
	struct store_mailbox m;
	int r;

	if (session_snapshot(s) < 0)
		return IMAP_NEXT; /* logged; nothing can be said about the mailbox now */
	r = store_get_mailbox(session_reader(s), s->view->mailbox, &m);
	if (r == 0 && m.uidvalidity != s->view->uidvalidity)
		r = -ESTALE;
	if (r < 0) {
		store_end(session_reader(s));
		s->imap.line.why = "deleted";
		imap_server_untagged(&s->imap, "BYE %s",
		    r == -ENOENT || r == -ESTALE ? "The mailbox has been deleted" :
						   "The mailbox cannot be read");
		return IMAP_CLOSE;
	}
	if (y->stage == SYNC_BEGIN && news_none(s->view, y, &m)) {
		y->stage = SYNC_OVER;
		y->behind = s->view->exists != m.exists;
	}
	while (next == IMAP_NEXT && y->stage != SYNC_OVER)
		next = stages[y->stage](s, y, &m);
	if (next == IMAP_NEXT)
		news_over(s, y);
	store_end(session_reader(s));
	return next;
}

void
view_arrivals(struct session *s)
{
	struct view *v = s->view;
	struct store_mailbox m;

	if (notify_is_quiet(s) || session_snapshot(s) < 0)
		return;
	if (store_get_mailbox(session_reader(s), v->mailbox, &m) == 0 &&
	    m.uidvalidity == v->uidvalidity && m.uidnext != v->uidnext) {
		if (!v->arrived)
			v->arrived = v->uidnext;
		v->arrived_modseq = m.highestmodseq;
		news_keywords(s, &m);
		news_arrive(s, &m);
	}
	store_end(session_reader(s));
}

void
view_keywords(struct session *s)
{
	struct store_mailbox m;

	if (session_snapshot(s) < 0)
		return;
	if (store_get_mailbox(session_reader(s), s->view->mailbox, &m) == 0)
		news_keywords(s, &m);
	store_end(session_reader(s));
}
