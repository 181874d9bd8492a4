/* imapd/flags.c: STORE, RFC 3501 6.4.6; UNCHANGEDSINCE, RFC 7162 3.1.3. */
#include "fetch.h"

struct storing {
	struct imap_set uids;
	bool silent;
	struct sync sync;
};

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

/* "(" UNCHANGEDSINCE n ")" */
static bool
parse_modifiers(struct imap_in *in, struct store_change *c)
{
	int more = 1;

	if (!imap_open(in))
		return false;
	for (; more > 0; more = imap_more(in)) {
		if (!imap_word(in, "UNCHANGEDSINCE")) {
			in->why = "Unknown STORE modifier";
			return false;
		}
		if (!imap_space(in) || !imap_modseq(in, &c->unchangedsince))
			return false;
		c->conditional = true;
	}
	return more == 0;
}

/* ["+" / "-"] "FLAGS" [".SILENT"] SP flags */
static bool
parse_change(struct session *s, struct imap_in *in, struct store_change *c, bool *silent)
{
	struct imap_flags flags;
	struct buf words = { 0 };

	c->how = imap_char(in, '+') ? STORE_ADD : imap_char(in, '-') ? STORE_REMOVE : STORE_SET;
	*silent = imap_word(in, "FLAGS.SILENT");
	if (!*silent && !imap_word(in, "FLAGS")) {
		in->why = "FLAGS expected";
		return false;
	}
	if (!imap_space(in) || !imap_flag_list(in, true, &flags) || !imap_end(in))
		return false;
	c->flags = (uint16_t)flags.system;
	for (size_t i = 0; i < flags.nkeywords; i++) {
		if (i > 0)
			buf_char(&words, ' ');
		buf_slice(&words, flags.keywords[i]);
	}
	c->keywords = arena_slice(&s->arena, buf_get(&words));
	buf_fini(&words);
	return true;
}

enum next
cmd_store(struct session *s, struct imap_in *in)
{
	struct storing *st = arena_new(&s->arena, sizeof(*st));
	struct store_change change = { 0 };

	if (!imap_space(in) || !imap_sequence(in, &st->uids) || !imap_space(in))
		return bad(s, in);
	if (imap_next_is(in, '(') && (!parse_modifiers(in, &change) || !imap_space(in)))
		return bad(s, in);
	if (!parse_change(s, in, &change, &st->silent))
		return bad(s, in);
	if (!view_uids(s->view, &st->uids, s->uid, &s->arena))
		return bad_text(s, "No such message");
	s->condstore = s->condstore || change.conditional;
	if (st->uids.n == 0)
		return finish(s, "OK", "STORE completed, no messages");
	s->data = st;
	store_flags_start(imapd.store, s->view->mailbox,
	    (const struct store_range *)(const void *)st->uids.r, st->uids.n, &change, &s->op, stored,
	    s);
	return WAIT;
}
