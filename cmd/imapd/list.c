/* imapd/list.c: LIST and LSUB: RFC 3501 6.3.8, 6.3.9, RFC 3348 (CHILDREN), RFC 5258
 * (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 6154 (SPECIAL-USE), RFC 8440 (LIST-MYRIGHTS), RFC 9590
 * (LIST-METADATA).
 *
 * Owns: the walk over folders and subscriptions, merged by name.  Called from the command table.  Can
 * fail: opening a snapshot.  Must stay true: nothing is gathered, so that an account of any size costs
 * a struct; each name costs (patterns) x (bytes of the name) x (bytes of a pattern / 64), all three
 * bounded (100, 255, 1,000), and the cursor yields between names.  Both tables are in the order of the
 * names' bytes, so one walk needs neither sorting nor a look back. */
#include "listing.h"

void
listing_walk_next(struct walk *w, struct store_view *v,
    bool (*next)(struct store_view *, struct store_folder *))
{
	if (w->here || w->over)
		return;
	w->here = next(v, &w->at);
	w->over = !w->here;
}

/* The snapshot ends: the name stays. */
void
listing_walk_hold(struct walk *w)
{
	if (w->at.name.n == 0 || w->at.name.p == w->name)
		return;
	memcpy(w->name, w->at.name.p, w->at.name.n);
	w->at.name.p = w->name;
}

/* The first subscription below `name`; empty when there is none. */
static struct slice
listing_below(struct session *s, struct slice name)
{
	struct store_folder f = { .account = s->user->id };
	char from[STORE_NAME_MAX + 1];

	memcpy(from, name.p, name.n);
	from[name.n] = STORE_SEPARATOR;
	f.name = slice(from, name.n + 1);
	if (!store_next_subscription(session_own(s), &f) ||
	    !slice_starts(f.name, slice(from, name.n + 1)))
		return slice(NULL, 0);
	return f.name;
}

/* The next name above the subscription at hand that is no folder, not subscribed itself, and was not
 * told with an earlier one. */
static bool
listing_superior(struct session *s, struct listing *l, struct entry *e)
{
	struct slice name = l->subscriptions.at.name;
	uint64_t id;

	while (l->above < name.n) {
		size_t k = l->above + slice_find(slice_from(name, l->above), STORE_SEPARATOR);
		struct slice up = slice(name.p, k);

		l->above = k + 1;
		if (k >= name.n || !slice_eq(listing_below(s, up), name) ||
		    store_find_mailbox(session_own(s), s->user->id, up, &id) == 0 ||
		    store_subscribed(session_own(s), s->user->id, up))
			continue;
		*e = (struct entry){ .name = up, .child_subscribed = true };
		return true;
	}
	return false;
}

/* A subscribed name of somebody else's folder: is it there, for this user?  Others' folders are gone
 * through by their owners, unless only subscriptions are asked for. */
static void
listing_guest_known(struct session *s, struct listing *l, struct entry *e)
{
	struct store_mailbox m;
	struct place p;

	if (!l->lsub && !l->want.only_subscribed)
		return;
	listing_walk_hold(&l->folders);
	listing_walk_hold(&l->subscriptions);
	e->name = l->subscriptions.at.name;
	store_end(session_own(s));
	if (place_parse(s, e->name, &p) == 0 && !p.own &&
	    place_open(&p, STORE_R_LOOKUP, false, &m) == 0) {
		e->exists = e->unknown = true;
		e->reader = p.home->view;
		e->account = p.account;
		e->mailbox = p.mailbox;
		e->rights = p.rights;
		e->attrs = m.attrs;
		store_end(p.home->view);
	}
	l->failed = store_begin_as(session_own(s), slice_str(s->user->account)) < 0;
}

/* The next name of either table. */
static bool
listing_next(struct session *s, struct listing *l, struct entry *e)
{
	struct store_view *v = session_own(s);
	struct walk *f = &l->folders, *sub = &l->subscriptions;
	int order;

	listing_walk_next(f, v, store_next_folder);
	listing_walk_next(sub, v, store_next_subscription);
	if (!f->here && !sub->here)
		return false;
	order = !sub->here ? -1 : !f->here ? 1 : slice_cmp(f->at.name, sub->at.name);
	if (order >= 0 && l->superiors && listing_superior(s, l, e))
		return true;
	*e = (struct entry){ .name = order > 0 ? sub->at.name : f->at.name,
		.subscribed = order >= 0 };
	if (order <= 0) {
		e->exists = true;
		e->rights = STORE_R_ALL;
		e->account = s->user->id;
		e->mailbox = f->at.mailbox;
		e->attrs = f->at.attrs;
		e->special = f->at.special;
		e->children = f->at.children;
		f->here = false;
	}
	if (order >= 0) {
		sub->here = false;
		l->above = 0;
		if (order > 0 && place_is_shared(e->name))
			listing_guest_known(s, l, e);
	}
	e->child_subscribed = !l->failed && l->superiors && listing_below(s, e->name).n > 0;
	return !l->failed;
}

/* ---- output -------------------------------------------------------------------------------------- */

bool
listing_wants(const struct listing *l, const struct entry *e, bool child_info)
{
	if (l->lsub                     ? !(e->subscribed || e->child_subscribed) :
		l->want.only_subscribed ? !(e->subscribed || child_info) :
					  !e->exists && !e->bare)
		return false;
	if (l->want.only_special && !e->special)
		return false;
	for (size_t i = 0; i < l->want.npatterns; i++)
		if (imap_pattern_matches(&l->want.patterns[i], e->name,
			slice_eq(e->name, S("INBOX"))))
			return true;
	return false;
}

static void
listing_attribute(struct buf *b, bool *first, const char *name)
{
	if (!*first)
		buf_char(b, ' ');
	*first = false;
	buf_str(b, name);
}

/* Is the reader's snapshot another than the one that is open? */
static bool
listing_apart(struct session *s, const struct listing *l, const struct entry *e)
{
	return e->reader && !l->guest.home && e->reader != session_own(s);
}

/* A mailbox that is gone has no line. */
static void
listing_status(struct session *s, const struct listing *l, const struct entry *e)
{
	struct store_view *v = e->reader ? e->reader : session_own(s);
	bool apart = listing_apart(s, l, e);

	if (apart && store_begin_as(v, slice_str(s->user->account)) < 0)
		return;
	(void)status_write(s, v, e->name, e->mailbox, l->want.status);
	if (apart)
		store_end(v);
}

static void
listing_metadata(struct session *s, struct listing *l, const struct entry *e)
{
	l->metadata = (struct metadata_line){ .want = &l->want.metadata,
		.reader = e->reader ? e->reader : session_own(s),
		.apart = listing_apart(s, l, e),
		.failed = &l->failed,
		.account = e->account,
		.mailbox = e->mailbox };
	metadata_line_begin(s, &l->metadata, e->name);
}

void
listing_write(struct session *s, struct listing *l, const struct entry *e, bool child_info)
{
	struct buf *b = session_out(s);
	bool first = true;

	buf_lit(b, "* LIST (");
	if (!e->exists)
		listing_attribute(b, &first, "\\NonExistent");
	if (e->attrs & STORE_NOSELECT)
		listing_attribute(b, &first, "\\Noselect");
	if (e->bare || (e->exists && !e->unknown))
		listing_attribute(b, &first, e->children ? "\\HasChildren" : "\\HasNoChildren");
	if (e->special)
		listing_attribute(b, &first, store_special_name(e->special));
	if (e->subscribed && l->want.say_subscribed)
		listing_attribute(b, &first, "\\Subscribed");
	buf_lit(b, ") \"/\" ");
	session_write_mailbox(s, e->name);
	if (child_info)
		buf_lit(b, " (CHILDINFO (\"SUBSCRIBED\"))");
	buf_lit(b, "\r\n");
	if (!e->exists)
		return;
	if (l->want.say_status && !(e->attrs & STORE_NOSELECT) && e->rights & STORE_R_READ)
		listing_status(s, l, e);
	if (l->want.say_myrights) /* RFC 8440 */
		acl_write_mine(s, e->name, e->rights);
	if (l->want.metadata.n && metadata_may(e->rights))
		listing_metadata(s, l, e);
}

/* LSUB's line: a name that is not subscribed stands for those below it. */
static void
listing_write_lsub(struct session *s, const struct entry *e)
{
	bool no = !e->subscribed || e->attrs & STORE_NOSELECT;

	buf_str(session_out(s), no ? "* LSUB (\\Noselect) \"/\" " : "* LSUB () \"/\" ");
	session_write_mailbox(s, e->name);
	buf_lit(session_out(s), "\r\n");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum imap_next
listing_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct listing *l = imap->data;
	enum imap_next next = IMAP_NEXT;
	struct entry e;

	if (store_begin_as(session_own(s), slice_str(s->user->account)) < 0) {
		metadata_line_end(s, &l->metadata);
		return imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
	}
	if (!metadata_line_more(s, &l->metadata))
		next = IMAP_FULL;
	while (next == IMAP_NEXT && listing_next(s, l, &e)) {
		bool child_info =
		    l->want.recursive && l->want.only_subscribed && e.child_subscribed;

		if (listing_wants(l, &e, child_info)) {
			if (l->lsub)
				listing_write_lsub(s, &e);
			else
				listing_write(s, l, &e, child_info);
		}
		if (!metadata_line_more(s, &l->metadata) || session_out(s)->n >= STREAM_HIGH)
			next = IMAP_FULL;
		else if (line_session_spent(&imap->line))
			next = IMAP_YIELD;
	}
	listing_walk_hold(&l->folders);
	listing_walk_hold(&l->subscriptions);
	store_end(session_own(s));
	if (l->failed)
		return imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
	if (next != IMAP_NEXT)
		return next;
	if (!l->guest.on)
		return imap_server_finish(imap, "OK", "%s completed", imap->cmd->name);
	store_homes_open(&imapd.homes);
	return imap_server_pull(imap, listing_guest_more);
}

/* ---- the commands ------------------------------------------------------------------------------ */

static enum imap_next
listing_start(struct imap_server *imap, struct listing *l, bool subscriptions)
{
	l->folders.at.account = l->subscriptions.at.account = session_of(imap)->user->id;
	l->subscriptions.over = !subscriptions;
	imap->data = l;
	return imap_server_pull(imap, listing_more);
}

enum imap_next
cmd_list(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct listing *l = arena_new(&imap->arena, sizeof(*l));

	if (!imap_list_parse(in, status_items, status_nitems, &l->want))
		return imap_server_syntax(imap, in);
	status_asked(s, l->want.status);
	if (l->want.root) {
		imap_server_untagged(imap, "LIST (\\Noselect) \"/\" \"\"");
		return imap_server_finish(imap, "OK", "LIST completed");
	}
	l->superiors = l->want.recursive && l->want.only_subscribed;
	listing_guest_look(l);
	return listing_start(imap, l, l->want.only_subscribed || l->want.say_subscribed);
}

/* LSUB reference pattern					RFC 3501 6.3.9 */
enum imap_next
cmd_lsub(struct imap_server *imap, struct imap_in *in)
{
	struct listing *l = arena_new(&imap->arena, sizeof(*l));
	struct slice text = S("");

	if (!imap_lsub_parse(in, &l->want))
		return imap_server_syntax(imap, in);
	if (l->want.npatterns > 0)
		text = l->want.patterns[0].text;
	l->lsub = true;
	/* With "%", a name that is not subscribed stands for the subscribed ones below it. */
	l->superiors = text.n > 0 && text.p[text.n - 1] == '%';
	return listing_start(imap, l, true);
}
