/* imapd/select.c: SELECT, EXAMINE, CLOSE, UNSELECT: RFC 3501 6.3.1, 6.3.2, 6.4.2, RFC 3691,
 * RFC 7162 3.1.8 (CONDSTORE parameter), 3.2.11 (CLOSED). */
#include <errno.h>

#include "session.h"

/* Leaves the selected mailbox. */
static void
deselect(struct session *s)
{
	view_free(&s->view);
	if (s->state == SELECTED)
		s->state = AUTH;
}

static uint32_t
recent_count(const struct view *v, const struct store_mailbox *m)
{
	/* What this session may call recent is a tail of the mailbox, nearly always whole. */
	uint32_t n = 0;

	if (v->recent_hi < v->recent_lo)
		return 0;
	for (size_t i = v->nruns; i-- > 0 && v->runs[i].last >= v->recent_lo;) {
		uint32_t lo = v->runs[i].first > v->recent_lo ? v->runs[i].first : v->recent_lo;
		uint32_t hi = v->runs[i].last < v->recent_hi ? v->runs[i].last : v->recent_hi;

		n += hi >= lo ? hi - lo + 1 : 0;
	}
	return n < m->exists ? n : m->exists;
}

/* All that SELECT says, from the newest snapshot. */
static enum next
selected(struct session *s, uint64_t mailbox, bool readonly, uint32_t recent_lo,
    uint32_t recent_hi)
{
	struct store_mailbox m = { 0 };
	struct buf *b = out(s);
	uint32_t unseen;
	int r;

	if (store_begin(reader(s)) < 0)
		return finish(s, "NO", "[UNAVAILABLE] The mail store cannot be read");
	r = view_open(reader(s), mailbox, readonly, &s->view);
	if (r == 0)
		r = store_get_mailbox(reader(s), mailbox, &m);
	if (r < 0) {
		view_free(&s->view);
		store_end(reader(s));
		return r == -ENOENT ? finish(s, "NO", "[NONEXISTENT] No such mailbox") :
				      finish(s, "NO", "[UNAVAILABLE] The mailbox cannot be read");
	}
	if (recent_lo == 0 && m.recent > 0) { /* EXAMINE looks and takes nothing */
		recent_lo = m.recent_from;
		recent_hi = m.uidnext - 1;
	}
	if (recent_lo > 0) {
		s->view->recent_lo = recent_lo;
		s->view->recent_hi = recent_hi;
	}
	s->view->recent = recent_count(s->view, &m);
	s->state = SELECTED;

	view_flags_announce(s, &m, readonly);
	untagged(s, "%u EXISTS", s->view->exists);
	untagged(s, "%u RECENT", s->view->recent);
	unseen = store_first_unseen(reader(s), &m);
	if (unseen && (unseen = view_seq(s->view, unseen)))
		untagged(s, "OK [UNSEEN %u] First unseen message", unseen);
	buf_lit(b, "* OK [UIDVALIDITY ");
	buf_u64(b, m.uidvalidity);
	buf_lit(b, "] UIDs valid\r\n* OK [UIDNEXT ");
	buf_u64(b, m.uidnext);
	buf_lit(b, "] Predicted next UID\r\n* OK [HIGHESTMODSEQ ");
	buf_u64(b, m.highestmodseq);
	buf_lit(b, "] Highest\r\n");
	store_end(reader(s));
	return finish(s, "OK", readonly ? "[READ-ONLY] EXAMINE completed" :
					  "[READ-WRITE] SELECT completed");
}

struct selecting {
	uint64_t mailbox;
};

static void
recent_claimed(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct selecting *sel = s->data;
	uint32_t lo = 0, hi = 0;

	if (r->verdict.kind == OK) {
		lo = r->nuids ? r->uids[0].first : 1;
		hi = r->nuids ? r->uids[0].last : 0;
	}
	session_resume(s, selected(s, sel->mailbox, false, lo, hi));
}

/* mailbox [SP "(" CONDSTORE ")"] */
static enum next
do_select(struct session *s, struct imap_in *in, bool readonly)
{
	char canonical[STORE_NAME_MAX + 1];
	bool bad_name = false, condstore = false;
	struct selecting *sel;
	struct store_mailbox m = { 0 };
	struct slice name;
	uint64_t id;
	int r;

	if (!imap_space(in) || !imap_mailbox(in, &name, &bad_name))
		return bad(s, in);
	if (imap_char(in, ' ')) {
		int more = 1;

		if (!imap_open(in))
			return bad(s, in);
		for (; more > 0; more = imap_more(in)) {
			if (!imap_word(in, "CONDSTORE"))
				return bad_text(s, "Unknown SELECT parameter");
			condstore = true;
		}
		if (more < 0)
			return bad(s, in);
	}
	if (!imap_end(in))
		return bad(s, in);
	s->condstore = s->condstore || condstore;
	if (s->state == SELECTED)
		untagged(s, "OK [CLOSED] The previous mailbox is closed");
	deselect(s);
	if (bad_name || store_name_check(name, canonical) < 0)
		return finish(s, "NO", "[CANNOT] Not a mailbox name");
	if (store_begin(reader(s)) < 0)
		return finish(s, "NO", "[UNAVAILABLE] The mail store cannot be read");
	r = store_find_mailbox(reader(s), s->user->id, slice_str(canonical), &id);
	if (r == 0)
		r = store_get_mailbox(reader(s), id, &m);
	store_end(reader(s));
	if (r == -ENOENT)
		return finish(s, "NO", "[NONEXISTENT] No such mailbox");
	if (r < 0)
		return finish(s, "NO", "[UNAVAILABLE] The mailbox cannot be read");
	if (m.attrs & STORE_NOSELECT)
		return finish(s, "NO", "[NONEXISTENT] This name holds no messages");
	if (readonly || m.recent == 0)
		return selected(s, id, readonly, readonly ? 0 : 1, 0);
	sel = arena_new(&s->arena, sizeof(*sel));
	sel->mailbox = id;
	s->data = sel;
	store_claim_start(imapd.store, id, &s->op, recent_claimed, s);
	return WAIT;
}

enum next
cmd_select(struct session *s, struct imap_in *in)
{
	return do_select(s, in, false);
}

enum next
cmd_examine(struct session *s, struct imap_in *in)
{
	return do_select(s, in, true);
}

/* UNSELECT							RFC 3691 */
enum next
cmd_unselect(struct session *s, struct imap_in *in)
{
	if (!imap_end(in))
		return bad(s, in);
	deselect(s);
	return finish(s, "OK", "UNSELECT completed");
}

static void
closed(void *arg, const struct store_reply *r)
{
	struct session *s = arg;

	if (r->verdict.kind != OK && r->code != STORE_NOMAILBOX) {
		session_resume(s, no_store(s, r, "NONEXISTENT"));
		return;
	}
	deselect(s);
	session_resume(s, finish(s, "OK", "CLOSE completed"));
}

/* CLOSE: expunges without a word.				RFC 3501 6.4.2 */
enum next
cmd_close(struct session *s, struct imap_in *in)
{
	struct store_mailbox m = { 0 };
	bool some;

	if (!imap_end(in))
		return bad(s, in);
	some = !s->view->readonly && store_begin(reader(s)) == 0;
	if (some) {
		some = store_get_mailbox(reader(s), s->view->mailbox, &m) == 0 && m.deleted > 0;
		store_end(reader(s));
	}
	if (some) {
		store_expunge_start(imapd.store, s->view->mailbox, NULL, 0, false, &s->op, closed, s);
		return WAIT;
	}
	deselect(s);
	return finish(s, "OK", "CLOSE completed");
}
