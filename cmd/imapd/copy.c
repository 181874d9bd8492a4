/* imapd/copy.c: COPY, MOVE, EXPUNGE: RFC 3501 6.4.3, 6.4.7, RFC 6851, RFC 4315 (UIDPLUS).
 *
 * Owns: a request to stored and its answer's codes.  Called by the command table.  Can fail: stored
 * refuses.  Must stay true: COPYUID is told before the EXPUNGEs of a MOVE.  A set costs its ranges plus
 * the view's runs here, both bounded by what the client wrote and knows; stored does the work in
 * slices of its own. */
#include <errno.h>

#include "limit.h"
#include "notify.h"

#define MOVES (STORE_R_DELETE | STORE_R_EXPUNGE) /* RFC 6851 4.4 */

struct copying {
	struct imap_set uids;
	bool move;
	struct place to;
};

static void
write_ranges(struct buf *b, const struct store_range *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_char(b, ',');
		buf_u64(b, r[i].first);
		if (r[i].last != r[i].first) {
			buf_char(b, ':');
			buf_u64(b, r[i].last);
		}
	}
}

/* "[COPYUID validity from to]"					RFC 4315 3 */
static const char *
copyuid(struct session *s, const struct store_reply *r)
{
	struct buf b = { 0 };
	const char *text;

	if (r->nuids == 0)
		return "";
	buf_lit(&b, "[COPYUID ");
	buf_u64(&b, r->uidvalidity);
	buf_char(&b, ' ');
	write_ranges(&b, r->uids, r->nuids);
	buf_char(&b, ' ');
	write_ranges(&b, r->to, r->nto);
	buf_lit(&b, "] ");
	text = arena_cstr(&s->imap.arena, buf_get(&b));
	buf_fini(&b);
	return text;
}

static void
copied(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct copying *c = s->imap.data;
	const char *code;

	if (r->verdict.kind != OK) {
		imap_server_resume(&s->imap, reply_no_store(s, r, "TRYCREATE"));
		return;
	}
	notify_brought(s, c->to.mailbox, r->to, r->nto);
	code = copyuid(s, r);
	if (!c->move) {
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "%s%sCOPY completed", code,
			s->imap.uid ? "UID " : ""));
		return;
	}
	session_log_deed(s, "move", r, c->to.name);
	/* RFC 6851 4.3: COPYUID before the EXPUNGEs, which reply_finish() writes. */
	if (*code)
		imap_server_untagged(&s->imap, "OK %sMoved", code);
	if (s->condstore && r->modseq)
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "%s[HIGHESTMODSEQ %llu] MOVE completed",
			limit_code(s, false), (unsigned long long)r->modseq));
	else
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "%sMOVE completed", limit_code(s, true)));
}

/* Asks stored, when it is known what the owner may have. */
static enum imap_next
copying_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct copying *c = imap->data;
	const struct store_range *ranges = (const void *)c->uids.r;

	if (!place_limits(&c->to))
		return IMAP_WAIT;
	if (c->to.unlimited)
		return imap_server_no(imap, "UNAVAILABLE", c->to.unlimited);
	if (!c->move)
		store_copy_start(imapd.store, s->view->mailbox, ranges, c->uids.n, c->to.mailbox,
		    c->to.limits, &imap->op, copied, s);
	else if (slice_eq(c->to.owner, slice_str(session_owner(s))))
		store_move_start(imapd.store, s->view->mailbox, ranges, c->uids.n, c->to.mailbox,
		    &imap->op, copied, s);
	else
		store_move_away_start(imapd.store, s->view->mailbox, ranges, c->uids.n,
		    c->to.mailbox, c->to.limits, &imap->op, copied, s);
	return IMAP_WAIT;
}

/* set SP mailbox */
static enum imap_next
transfer(struct session *s, struct imap_in *in, bool move)
{
	struct copying *c = arena_new(&s->imap.arena, sizeof(*c));
	bool bad_name = false;
	struct store_mailbox m;
	struct slice name;
	int r;

	if (!imap_space(in) || !imap_sequence(in, &c->uids) || !imap_space(in) ||
	    !imap_mailbox(in, &name, &bad_name) || !imap_end(in))
		return imap_server_syntax(&s->imap, in);
	if (!view_uids(s->view, &c->uids, s->imap.uid, &s->imap.arena))
		return imap_server_bad(&s->imap, "No such message");
	/* RFC 9738 3.1: a MOVE need not be whole, a COPY must. */
	if (move)
		limit_cut(s, &c->uids);
	else if (limit_exceeded(s, &c->uids))
		return limit_refuse(s, "Too many messages for one COPY");
	if (bad_name || place_parse(s, name, &c->to) < 0)
		return imap_server_no(&s->imap, "CANNOT", "Not a mailbox name");
	r = place_open(&c->to, STORE_R_INSERT, false, &m);
	if (r < 0)
		return reply_no_mailbox(&s->imap, r, "TRYCREATE");
	store_end(c->to.home->view);
	if (c->to.home != session_home(s))
		return imap_server_no(&s->imap, "CANNOT", "The mailbox is in another partition");
	if (move && (s->view->rights & MOVES) != MOVES)
		return place_no_right(&s->imap);
	if (c->uids.n == 0)
		return imap_server_finish(&s->imap, "OK", "Completed, no messages");
	c->move = move;
	s->imap.data = c;
	return imap_server_pull(&s->imap, copying_more);
}

enum imap_next
cmd_copy(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);

	return transfer(s, in, false);
}

enum imap_next
cmd_move(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);

	return transfer(s, in, true);
}

static void
expunged(void *arg, const struct store_reply *r)
{
	struct session *s = arg;

	session_log_deed(s, "expunge", r, slice(NULL, 0));
	if (r->verdict.kind != OK)
		imap_server_resume(&s->imap, reply_no_store(s, r, "NONEXISTENT"));
	else if (s->condstore && r->nuids > 0)
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "%s[HIGHESTMODSEQ %llu] EXPUNGE completed",
			limit_code(s, false), (unsigned long long)r->modseq));
	else
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "%sEXPUNGE completed", limit_code(s, true)));
}

static enum imap_next
expunge_start(struct session *s, const struct imap_set *uids)
{
	store_expunge_start(imapd.store, s->view->mailbox,
	    (const struct store_range *)(const void *)uids->r, uids->n, false, &s->imap.op,
	    expunged, s);
	return IMAP_WAIT;
}

/* UID EXPUNGE with a limit: those that are \Deleted are counted first, for they are what it works on. */
struct expunging {
	struct imap_set uids, deleted;
	size_t range;
	uint32_t at;
};

/* False: time is out. */
static bool
expunging_walk(struct session *s, struct expunging *x)
{
	for (; x->range < x->uids.n; x->range++, x->at = 0) {
		const struct imap_range *range = &x->uids.r[x->range];
		struct store_blocks blocks;
		const struct store_record *r;
		size_t n;

		store_blocks_init(&blocks, session_reader(s), s->view->mailbox,
		    x->at > range->lo ? x->at : range->lo, range->hi);
		blocks.parts = STORE_STATES;
		while ((r = store_blocks_next(&blocks, &n))) {
			for (size_t i = 0; i < n; i++)
				if (r[i].flags & STORE_DELETED)
					imap_set_add(&x->deleted, &s->imap.arena, r[i].uid,
					    r[i].uid);
			x->at = r[n - 1].uid + 1;
			if (line_session_spent(&s->imap.line))
				return false;
		}
	}
	return true;
}

static enum imap_next
expunging_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct expunging *x = imap->data;
	bool over;

	if (session_snapshot(s) < 0)
		return imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
	over = expunging_walk(s, x);
	store_end(session_reader(s));
	if (!over)
		return IMAP_YIELD;
	limit_cut(s, &x->deleted);
	return expunge_start(s, s->limited ? &x->deleted : &x->uids);
}

static enum imap_next
expunging_start(struct session *s, const struct imap_set *uids)
{
	struct expunging *x = arena_new(&s->imap.arena, sizeof(*x));

	x->uids = *uids;
	s->imap.data = x;
	return imap_server_pull(&s->imap, expunging_more);
}

enum imap_next
cmd_expunge(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct imap_set uids = { 0 };

	if (s->imap.uid && (!imap_space(in) || !imap_sequence(in, &uids)))
		return imap_server_syntax(&s->imap, in);
	if (!imap_end(in))
		return imap_server_syntax(&s->imap, in);
	if (s->imap.uid) {
		(void)view_uids(s->view, &uids, true, &s->imap.arena);
		if (uids.n == 0)
			return imap_server_finish(&s->imap, "OK", "EXPUNGE completed, no messages");
		if (limit_messages())
			return expunging_start(s, &uids);
	}
	return expunge_start(s, &uids);
}
