/* imapd/copy.c: COPY, MOVE, EXPUNGE: RFC 3501 6.4.3, 6.4.7, RFC 6851, RFC 4315 (UIDPLUS). */
#include <errno.h>

#include "session.h"

struct copying {
	struct imap_set uids;
	bool move;
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
	text = arena_cstr(&s->arena, buf_get(&b));
	buf_fini(&b);
	return text;
}

static void
copied(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct copying *c = s->data;
	const char *code;

	if (r->verdict.kind != OK) {
		session_resume(s, no_store(s, r, "TRYCREATE"));
		return;
	}
	code = copyuid(s, r);
	if (!c->move) {
		session_resume(s, finish(s, "OK", "%s%sCOPY completed", code, s->uid ? "UID " : ""));
		return;
	}
	/* RFC 6851 4.3: COPYUID before the EXPUNGEs, which finish() writes. */
	if (*code)
		untagged(s, "OK %sMoved", code);
	if (s->condstore && r->modseq)
		session_resume(s, finish(s, "OK", "[HIGHESTMODSEQ %llu] MOVE completed",
				      (unsigned long long)r->modseq));
	else
		session_resume(s, finish(s, "OK", "MOVE completed"));
}

/* set SP mailbox */
static enum next
transfer(struct session *s, struct imap_in *in, bool move)
{
	struct copying *c = arena_new(&s->arena, sizeof(*c));
	char canonical[STORE_NAME_MAX + 1];
	const struct store_range *ranges;
	bool bad_name = false;
	struct slice name;
	uint64_t to;
	int r;

	if (!imap_space(in) || !imap_sequence(in, &c->uids) || !imap_space(in) ||
	    !imap_mailbox(in, &name, &bad_name) || !imap_end(in))
		return bad(s, in);
	if (!view_uids(s->view, &c->uids, s->uid, &s->arena))
		return bad_text(s, "No such message");
	if (bad_name || store_name_check(name, canonical) < 0)
		return finish(s, "NO", "[CANNOT] Not a mailbox name");
	if (store_begin(reader(s)) < 0)
		return finish(s, "NO", "[UNAVAILABLE] The mail store cannot be read");
	r = store_find_mailbox(reader(s), s->user->id, slice_str(canonical), &to);
	store_end(reader(s));
	if (r < 0)
		return finish(s, "NO", "[TRYCREATE] No such mailbox");
	if (c->uids.n == 0)
		return finish(s, "OK", "Completed, no messages");
	c->move = move;
	s->data = c;
	ranges = (const void *)c->uids.r;
	if (move)
		store_move_start(imapd.store, s->view->mailbox, ranges, c->uids.n, to, &s->op, copied,
		    s);
	else
		store_copy_start(imapd.store, s->view->mailbox, ranges, c->uids.n, to,
		    s->user->limits, &s->op, copied, s);
	return WAIT;
}

enum next
cmd_copy(struct session *s, struct imap_in *in)
{
	return transfer(s, in, false);
}

enum next
cmd_move(struct session *s, struct imap_in *in)
{
	return transfer(s, in, true);
}

static void
expunged(void *arg, const struct store_reply *r)
{
	struct session *s = arg;

	if (r->verdict.kind != OK)
		session_resume(s, no_store(s, r, "NONEXISTENT"));
	else if (s->condstore && r->nuids > 0)
		session_resume(s, finish(s, "OK", "[HIGHESTMODSEQ %llu] EXPUNGE completed",
				      (unsigned long long)r->modseq));
	else
		session_resume(s, finish(s, "OK", "EXPUNGE completed"));
}

enum next
cmd_expunge(struct session *s, struct imap_in *in)
{
	struct imap_set uids = { 0 };

	if (s->uid && (!imap_space(in) || !imap_sequence(in, &uids)))
		return bad(s, in);
	if (!imap_end(in))
		return bad(s, in);
	if (s->uid) {
		imap_set_resolve(&uids, view_last_uid(s->view));
		if (uids.n == 0)
			return finish(s, "OK", "EXPUNGE completed, no messages");
	}
	store_expunge_start(imapd.store, s->view->mailbox,
	    (const struct store_range *)(const void *)uids.r, uids.n, false, &s->op, expunged, s);
	return WAIT;
}
