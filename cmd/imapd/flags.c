/* imapd/flags.c: STORE, RFC 3501 6.4.6; UNCHANGEDSINCE, RFC 7162 3.1.3.
 *
 * Owns: a change on its way to stored, and what of it the client need not hear.  Called by the command
 * table.  Can fail: stored refuses.  Must stay true: a client that asked for silence still hears of what
 * others did to the same messages.  Looking for that is a cursor before the request, telling the result is
 * FETCH's cursor behind it, so that a set of any size holds nobody. */
#include "fetch.h"
#include "limit.h"
#include "imap/change.h"

struct storing {
	struct imap_set uids;
	struct imap_set own; /* SILENT: those whose flags the client knows */
	uint64_t before;     /* the account's counter then */
	bool known;          /* the client knew all of the mailbox then */
	bool silent;
	struct store_change change; /* its slices are in the arena */
	struct sync sync;
};

/* The set without what others changed: both are ascending. */
static void
storing_own(struct session *s, struct storing *st, const struct store_changes *c)
{
	const struct imap_set *set = &st->uids;

	for (size_t k = 0; k < set->n; k++) {
		uint32_t from = set->r[k].lo, hi = set->r[k].hi;

		for (size_t i = store_changes_find(c, from); i < c->n && c->list[i].uid <= hi;
		     i++) {
			uint32_t uid = c->list[i].uid;

			if (c->list[i].modseq <= s->view->modseq)
				continue;
			if (uid > from)
				imap_set_add(&st->own, &s->imap.arena, from, uid - 1);
			from = uid + 1;
		}
		if (from > 0 && from <= hi)
			imap_set_add(&st->own, &s->imap.arena, from, hi);
	}
}

/* SILENT keeps quiet about what the client did itself.  A message that somebody else has
 * changed since the client last heard of it is told all the same (RFC 3501 6.4.6): it is left
 * out of `own`.  When others changed very much the client hears of all.  IMAP_YIELD: not done. */
static enum imap_next
storing_look(struct session *s, struct storing *st)
{
	struct store_view *v = session_reader(s);
	struct store_account account = { 0 };
	struct store_changes *c;
	struct store_mailbox m;

	if (store_find_account(v, slice_str(session_owner(s)), &account) == 0)
		st->before = account.modseq;
	if (store_get_mailbox(v, s->view->mailbox, &m) < 0)
		return IMAP_NEXT; /* stored will say what is the matter */
	st->known = m.highestmodseq == s->view->modseq;
	if (st->known || !st->silent) {
		st->own = st->uids; /* nothing happened: the usual case */
		return IMAP_NEXT;
	}
	c = store_changes_get(&session_home(s)->changes, s->view->mailbox, session_sees(s),
	    s->view->modseq, m.highestmodseq);
	while (!c->over) {
		store_changes_walk(c, v);
		if (!c->over && line_session_spent(&s->imap.line))
			return IMAP_YIELD;
	}
	if (!c->many)
		storing_own(s, st, c);
	return IMAP_NEXT;
}

/* What UNCHANGEDSINCE spared, as the client counts: " [MODIFIED set]". */
static char *
modified(struct session *s, const struct store_reply *r)
{
	struct buf b = { 0 };
	struct imap_set set = { 0 };
	char *text;

	if (r->nuids == 0)
		return NULL;
	for (size_t i = 0; i < r->nuids; i++) {
		if (s->imap.uid)
			imap_set_add(&set, &s->imap.arena, r->uids[i].first, r->uids[i].last);
		else
			view_add_seqs(s->view, &r->uids[i], &set, &s->imap.arena);
	}
	if (set.n == 0)
		return NULL;
	imap_set_write(&b, &set);
	text = arena_printf(&s->imap.arena, "[MODIFIED %s] Conditional STORE failed for some",
	    buf_cstr(&b));
	buf_fini(&b);
	return text;
}

static void
flags_stored(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct storing *st = s->imap.data;
	struct fetch *f;
	const char *answer;
	bool alone;

	if (r->verdict.kind != OK) {
		imap_server_resume(&s->imap, reply_no_store(s, r, "NONEXISTENT"));
		return;
	}
	/* The change took the numbers after the one that was known: nobody was in between. */
	alone = r->modseq == st->before + (r->uid ? r->uid : 1);
	answer = modified(s, r);
	if (!answer)
		answer = s->imap.uid ? "UID STORE completed" : "STORE completed";
	st->sync = (struct sync){ .own = &st->uids,
		.own_first = st->before + 1,
		.own_modseq = r->modseq,
		.silent = st->silent,
		.silent_modseq = st->silent && s->condstore };
	st->sync.only_own = st->known && alone;
	view_keywords(s);
	if (st->silent) {
		/* When others came in between, what is ours cannot be told from what is theirs. */
		st->sync.own = alone ? &st->own : NULL;
		s->sync = &st->sync;
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "%s%s", limit_code(s, answer[0] != '['),
			answer));
		return;
	}
	f = arena_new(&s->imap.arena, sizeof(*f));
	fetch_init(f);
	f->want.items = IMAP_FETCH_BIT(FETCH_FLAGS);
	if (!s->imap.uidonly && (s->imap.uid || s->condstore || s->enabled & SESSION_REV2))
		f->want.items |= IMAP_FETCH_BIT(FETCH_UID);
	if (s->condstore)
		f->want.items |= IMAP_FETCH_BIT(FETCH_MODSEQ);
	f->uids = st->uids;
	f->sync = st->sync;
	f->answer = answer;
	imap_server_resume(&s->imap, fetch_start(s, f));
}

static enum imap_next
storing_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct storing *st = imap->data;
	enum imap_next next;

	if (session_snapshot(s) < 0)
		return imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
	next = storing_look(s, st);
	store_end(session_reader(s));
	if (next == IMAP_YIELD)
		return IMAP_YIELD;
	store_flags_start(imapd.store, s->view->mailbox,
	    (const struct store_range *)(const void *)st->uids.r, st->uids.n, &st->change,
	    &imap->op, flags_stored, s);
	return IMAP_WAIT;
}

bool
flags_fit(const struct imap_flags *f)
{
	for (size_t i = 0; i < f->nkeywords; i++)
		if (f->keywords[i].n > STORE_KEYWORD_MAX)
			return false;
	return true;
}

enum imap_next
cmd_store(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	static const enum store_how hows[] = {
		[IMAP_REPLACE] = STORE_SET,
		[IMAP_ADD] = STORE_ADD,
		[IMAP_REMOVE] = STORE_REMOVE,
	};
	struct storing *st = arena_new(&s->imap.arena, sizeof(*st));
	struct imap_store want;

	if (!imap_store_parse(in, &want))
		return imap_server_syntax(&s->imap, in);
	st->uids = want.set;
	st->silent = want.silent;
	if (!view_uids(s->view, &st->uids, s->imap.uid, &s->imap.arena))
		return imap_server_bad(&s->imap, "No such message");
	limit_cut(s, &st->uids);
	if (want.conditional)
		session_condstore(s);
	if (!flags_fit(&want.flags))
		return imap_server_no(imap, "LIMIT", "A keyword is too long");
	if (st->uids.n == 0)
		return imap_server_finish(&s->imap, "OK", "STORE completed, no messages");
	st->change.how = hows[want.how];
	st->change.flags = (uint16_t)want.flags.system;
	st->change.keywords = imap_keywords_join(&want.flags, &s->imap.arena);
	st->change.conditional = want.conditional;
	st->change.unchangedsince = want.unchangedsince;
	s->imap.data = st;
	return imap_server_pull(imap, storing_more);
}
