/* imapd/list-guest.c: LIST over the folders of others (RFC 2342): who shares something with this user, and what.
 *
 * Owns: where the walk is, in struct guest.  Called by list.c behind one's own folders.  Can fail: a snapshot;
 * that partition is left out.  Must stay true: a folder that may not be looked up is not told, nor does it
 * show by an attribute of another; what an owner makes many of is bounded here, because he chooses. */
#include "listing.h"

#define OWNER_MOST    1000 /* folders of one owner that a list tells: he chooses how many there are */
#define CHILDREN_LOOK 100 /* names below one that are looked at, for one that may be */

/* Can one of the patterns mean what begins so? */
static bool
guest_wanted(const struct listing *l, struct slice prefix)
{
	for (size_t i = 0; i < l->want.npatterns; i++) {
		struct slice lead = l->want.patterns[i].lead;

		if (slice_starts(lead, prefix) || slice_starts(prefix, lead))
			return true;
	}
	return false;
}

/* The most separators that a name can have. */
static size_t
guest_depth(const struct listing *l)
{
	size_t most = 0;

	for (size_t i = 0; i < l->want.npatterns; i++) {
		struct slice text = l->want.patterns[i].text;
		size_t n = 0;

		for (size_t k = 0; k < text.n; k++)
			n += text.p[k] == '*' ? SIZE_MAX / 2 / IMAP_PATTERN_MAX :
						text.p[k] == STORE_SEPARATOR;
		most = n > most ? n : most;
	}
	return most;
}

static uint32_t
guest_rights(struct session *s, struct store_view *v, uint64_t mailbox)
{
	struct store_mailbox m;

	return store_get_mailbox(v, mailbox, &m) < 0 ? 0 : store_rights(v, &m, session_person(s));
}

enum place_children
place_guest_children(struct session *s, struct store_view *v, uint64_t account, struct slice folder)
{
	struct store_folder below = { .account = account };
	char from[STORE_NAME_MAX + 1];
	struct slice prefix = slice(from, folder.n + 1);

	if (folder.n >= STORE_NAME_MAX)
		return PLACE_NO_CHILDREN;
	memcpy(from, folder.p, folder.n);
	from[folder.n] = STORE_SEPARATOR;
	below.name = prefix;
	for (int i = 0; i < CHILDREN_LOOK; i++) {
		if (!store_next_folder(v, &below) || !slice_starts(below.name, prefix))
			return PLACE_NO_CHILDREN;
		if (guest_rights(s, v, below.mailbox) & STORE_R_LOOKUP)
			return PLACE_CHILDREN;
	}
	return PLACE_UNKNOWN;
}

static bool
guest_tell(struct session *s, struct listing *l, const struct entry *e)
{
	if (!listing_wants(l, e, false))
		return false;
	listing_write(s, l, e, false);
	return true;
}

/* A name above folders that may be looked at, which is none itself. */
static void
guest_bare(struct session *s, struct listing *l, struct slice name)
{
	const struct entry e = { .name = name,
		.attrs = STORE_NOSELECT,
		.children = true,
		.bare = true };

	(void)guest_tell(s, l, &e);
}

/* What is above the first one that is shown, of all, of an account, of a folder. */
static void
guest_superiors(struct session *s, struct listing *l, struct slice folder)
{
	struct guest *g = &l->guest;
	bool public = g->nprefix == sizeof(PLACE_PUBLIC) - 1;

	if (!g->began)
		guest_bare(s, l, S("Shared Folders"));
	g->began = true;
	if (!public && !g->users)
		guest_bare(s, l, S("Shared Folders/User"));
	g->users |= !public;
	if (!public && !g->any)
		guest_bare(s, l, slice(g->prefix, g->nprefix - 1));
	g->any = true;
	for (size_t k = slice_find(folder, STORE_SEPARATOR); k < folder.n;
	     k += 1 + slice_find(slice_from(folder, k + 1), STORE_SEPARATOR)) {
		struct slice last = slice(g->last, g->nlast), up = slice(folder.p, k);

		/* It has been told, or with the last one, which was below it or is it. */
		if (slice_starts(last, slice(folder.p, k + 1)) || slice_eq(last, up))
			continue;
		memcpy(g->full + g->nprefix, up.p, up.n);
		guest_bare(s, l, slice(g->full, g->nprefix + up.n));
	}
}

static void
guest_folder(struct session *s, struct listing *l, const struct store_folder *f)
{
	struct guest *g = &l->guest;
	struct store_view *v = g->home->view;
	struct entry e = { .exists = true,
		.attrs = f->attrs,
		.account = f->account,
		.mailbox = f->mailbox,
		.reader = v };

	e.rights = guest_rights(s, v, f->mailbox);
	if (!(e.rights & STORE_R_LOOKUP))
		return;
	guest_superiors(s, l, f->name);
	memcpy(g->last, f->name.p, f->name.n);
	g->nlast = f->name.n;
	memcpy(g->full + g->nprefix, f->name.p, f->name.n);
	e.name = slice(g->full, g->nprefix + f->name.n);
	if (f->children) {
		enum place_children children = place_guest_children(s, v, f->account, f->name);

		e.children = children == PLACE_CHILDREN;
		e.unknown = children == PLACE_UNKNOWN;
	}
	e.subscribed = l->want.say_subscribed && e.name.n <= STORE_NAME_MAX &&
	    store_subscribed(session_own(s), s->user->id, e.name);
	g->told += guest_tell(s, l, &e);
}

/* The next account of this partition that shares something.  False: there is none. */
static bool
guest_account(struct session *s, struct listing *l)
{
	struct guest *g = &l->guest;
	struct buf prefix = { 0 };
	struct slice owner;

	if (!store_next_sharer(g->home->view, session_person(s), &g->account, &owner))
		return false;
	place_prefix(s, owner, &prefix);
	if (prefix.n < sizeof(g->prefix) && guest_wanted(l, buf_get(&prefix))) {
		memcpy(g->prefix, prefix.p, prefix.n);
		memcpy(g->full, prefix.p, prefix.n);
		g->nprefix = prefix.n;
		g->folders = (struct walk){ .at.account = g->account };
		g->nlast = 0;
		g->any = false;
		g->told = 0;
		g->inside = true;
	}
	buf_fini(&prefix);
	return true;
}

/* One step.  False: the partition is through. */
static bool
guest_step(struct session *s, struct listing *l)
{
	struct guest *g = &l->guest;
	size_t depth;

	if (!g->inside)
		return (!g->began || g->depth > 0) && guest_account(s, l);
	listing_walk_next(&g->folders, g->home->view, store_next_folder);
	g->inside = g->folders.here;
	if (!g->inside)
		return true;
	g->folders.here = false;
	guest_folder(s, l, &g->folders.at);
	/* Of names that are too deep for every pattern it is enough that there is one. */
	depth = g->nprefix == sizeof(PLACE_PUBLIC) - 1 ? 1 : 3;
	if ((g->any && g->depth < depth) || g->told == OWNER_MOST)
		g->inside = false;
	return true;
}

/* A slice of time in one partition. */
static enum imap_next
guest_slice(struct imap_server *imap, struct listing *l)
{
	struct session *s = session_of(imap);
	struct guest *g = &l->guest;
	struct store_view *own = session_own(s), *v = g->home->view;
	enum imap_next next = IMAP_NEXT;

	if (store_begin_as(own, slice_str(s->user->account)) < 0) {
		metadata_line_end(s, &l->metadata);
		return imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
	}
	if (v != own && store_begin_as(v, slice_str(s->user->account)) < 0) {
		metadata_line_end(s, &l->metadata);
		g->home = NULL;
	}
	while (g->home && next == IMAP_NEXT) {
		if (!metadata_line_more(s, &l->metadata))
			next = IMAP_FULL;
		else if (!guest_step(s, l))
			g->home = NULL;
		else if (session_out(s)->n >= STREAM_HIGH)
			next = IMAP_FULL;
		else if (line_session_spent(&imap->line))
			next = IMAP_YIELD;
	}
	listing_walk_hold(&g->folders);
	if (v != own)
		store_end(v);
	store_end(own);
	return next;
}

enum imap_next
listing_guest_more(struct imap_server *imap)
{
	struct listing *l = imap->data;
	struct guest *g = &l->guest;
	enum imap_next next;

	for (;;) {
		if (!g->home) {
			g->home = map_next(&imapd.homes.parts, &g->at);
			g->account = 0;
			g->inside = false;
		}
		if (!g->home && l->failed)
			return imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
		if (!g->home)
			return imap_server_finish(imap, "OK", "%s completed", imap->cmd->name);
		next = guest_slice(imap, l);
		if (g->home || next != IMAP_NEXT)
			return next;
	}
}

void
listing_guest_look(struct listing *l)
{
	l->guest.on =
	    !l->want.only_subscribed && !l->want.only_special && guest_wanted(l, S(PLACE_PUBLIC));
	l->guest.depth = guest_depth(l);
}
