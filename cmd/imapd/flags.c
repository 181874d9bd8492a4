/* imapd/flags.c: STORE, RFC 3501 6.4.6; UNCHANGEDSINCE, RFC 7162 3.1.3. */
#include "fetch.h"
#include "imap/change.h"

struct storing {
	struct imap_set uids;
	struct imap_set own; /* SILENT: those whose flags the client knows */
	uint64_t before;     /* the account's counter then */
	bool silent;
	struct sync sync;
};

/* SILENT keeps quiet about what the client did itself.  A message that somebody else has
 * changed since the client last heard of it is told all the same (RFC 3501 6.4.6): it is left
 * out of `own`. */
static void
find_own(struct session *s, struct storing *st)
{
	struct store_account account = { 0 };
	struct imap_set *set = &st->uids;
	struct store_mailbox m;

	if (store_begin(reader(s)) < 0)
		return;
	if (store_find_account(reader(s), slice_str(s->user->account), &account) == 0)
		st->before = account.modseq;
	if (store_get_mailbox(reader(s), s->view->mailbox, &m) == 0 &&
	    m.highestmodseq == s->view->modseq) {
		st->own = *set; /* nothing happened: the usual case */
		store_end(reader(s));
		return;
	}
	for (size_t k = 0; k < set->n; k++) {
		struct store_blocks blocks;
		const struct store_record *r;
		uint32_t from = set->r[k].lo;
		size_t n;

		store_blocks_init(&blocks, reader(s), s->view->mailbox, from, set->r[k].hi);
		while ((r = store_blocks_next(&blocks, &n)))
			for (size_t i = 0; i < n; i++) {
				if (r[i].modseq <= s->view->modseq)
					continue;
				if (r[i].uid > from)
					imap_set_add(&st->own, &s->arena, from, r[i].uid - 1);
				from = r[i].uid + 1;
			}
		if (from <= set->r[k].hi && from > 0)
			imap_set_add(&st->own, &s->arena, from, set->r[k].hi);
	}
	store_end(reader(s));
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
	for (size_t i = 0; i < r->nuids; i++)
		for (uint32_t uid = r->uids[i].first; uid <= r->uids[i].last && uid; uid++) {
			uint32_t n = s->uid ? uid : view_seq(s->view, uid);

			if (n)
				imap_set_add(&set, &s->arena, n, n);
		}
	imap_set_write(&b, &set);
	text = arena_printf(&s->arena, "[MODIFIED %s] Conditional STORE failed for some",
	    buf_cstr(&b));
	buf_fini(&b);
	return text;
}

static void
stored(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct storing *st = s->data;
	struct fetch *f;
	const char *answer;

	if (r->verdict.kind != OK) {
		session_resume(s, no_store(s, r, "NONEXISTENT"));
		return;
	}
	answer = modified(s, r);
	if (!answer)
		answer = s->uid ? "UID STORE completed" : "STORE completed";
	st->sync = (struct sync){ .own = &st->uids, .own_modseq = r->modseq, .silent = st->silent,
		.silent_modseq = st->silent && s->condstore };
	if (st->silent) {
		/* When others came in between, what is ours cannot be told from what is theirs. */
		st->sync.own = r->modseq == st->before + 1 ? &st->own : NULL;
		s->sync = &st->sync;
		session_resume(s, finish(s, "OK", "%s", answer));
		return;
	}
	f = arena_new(&s->arena, sizeof(*f));
	f->fd = -1;
	f->want.items = IMAP_FETCH_FLAGS | (s->uid || s->condstore ? IMAP_FETCH_UID : 0) |
	    (s->condstore ? IMAP_FETCH_MODSEQ : 0);
	f->uids = st->uids;
	f->sync = st->sync;
	f->answer = answer;
	session_resume(s, fetch_start(s, f));
}

enum next
cmd_store(struct session *s, struct imap_in *in)
{
	static const enum store_how hows[] = {
		[IMAP_REPLACE] = STORE_SET, [IMAP_ADD] = STORE_ADD, [IMAP_REMOVE] = STORE_REMOVE,
	};
	struct storing *st = arena_new(&s->arena, sizeof(*st));
	struct store_change change = { 0 };
	struct imap_store want;

	if (!imap_store_parse(in, &want))
		return bad(s, in);
	st->uids = want.set;
	st->silent = want.silent;
	if (!view_uids(s->view, &st->uids, s->uid, &s->arena))
		return bad_text(s, "No such message");
	s->condstore = s->condstore || want.conditional;
	if (st->uids.n == 0)
		return finish(s, "OK", "STORE completed, no messages");
	if (st->silent)
		find_own(s, st);
	change.how = hows[want.how];
	change.flags = (uint16_t)want.flags.system;
	change.keywords = imap_keywords_join(&want.flags, &s->arena);
	change.conditional = want.conditional;
	change.unchangedsince = want.unchangedsince;
	s->data = st;
	store_flags_start(imapd.store, s->view->mailbox,
	    (const struct store_range *)(const void *)st->uids.r, st->uids.n, &change, &s->op, stored,
	    s);
	return WAIT;
}
