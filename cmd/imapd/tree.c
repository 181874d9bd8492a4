/* imapd/tree.c: the names of an account's mailboxes as they were, so that what becomes of them can be told:
 * RFC 5465 5.4, 5.5.
 *
 * Owns: struct notify_tree, one for an account whose names a session of this worker wants to hear of, whatever
 * their number.  Called by watch.c and notices.c inside a snapshot.  Can fail: too many folders, or a log that does
 * not reach back.  Must stay true: the tree is as of its modseq, the journal has all that has happened between
 * `from` and there, and a tree that could not be read whole is nobody's; a change costs its rows of the log, a
 * RENAME the folders below it, which the slice counts, and changes of subscriptions, whatever their number, one
 * walk over the subscriptions in a slice, as the log does not say which they were. */
#include "notify.h"

#include <errno.h>

#include "base/mem.h"

#define STEPS_TURN 1024 /* rows of the log and names below, in a slice: about 0.2 ms */

struct leaf {
	uint64_t mailbox;
	uint8_t attrs;
	char name[];
};
struct subscription {
	uint64_t walk;
	size_t n;
	char name[];
};

static struct slice
leaf_key(const uint64_t *mailbox)
{
	return slice((const char *)mailbox, sizeof(*mailbox));
}

static const struct leaf *
leaf_find(const struct notify_tree *t, uint64_t mailbox)
{
	return map_get(&t->names, leaf_key(&mailbox));
}

const char *
tree_name(const struct notify_tree *t, uint64_t mailbox)
{
	const struct leaf *l = leaf_find(t, mailbox);

	return l ? l->name : NULL;
}

static void
leaf_put(struct notify_tree *t, uint64_t mailbox, struct slice name, uint8_t attrs)
{
	struct leaf *l = mem_new(sizeof(*l) + name.n + 1);

	mem_release(map_take(&t->names, leaf_key(&mailbox)));
	l->mailbox = mailbox;
	l->attrs = attrs;
	memcpy(l->name, name.p, name.n);
	map_put(&t->names, leaf_key(&l->mailbox), l);
}

/* ---- the journal ----------------------------------------------------------------------------------- */

static void
change_free(struct notify_change *c)
{
	mem_release(c->name);
	mem_release(c->old);
}

/* The first `n` changes are told, or are told to nobody. */
static void
journal_cut(struct notify_tree *t, size_t n)
{
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		change_free(&t->journal[i]);
	t->from = t->journal[n - 1].modseq;
	t->njournal -= n;
	memmove(t->journal, t->journal + n, t->njournal * sizeof(*t->journal));
}

/* Room for one more: what all have been told goes, and when that is nothing, half of it: who has not been told
 * has not read for long. */
static void
journal_room(struct watched *w)
{
	struct notify_tree *t = w->tree;
	uint64_t told = UINT64_MAX;
	struct watching *watch;
	size_t n = 0;

	if (t->njournal < NOTIFY_JOURNAL)
		return;
	list_each(watch, &w->watchers, struct watching, at)
	{
		if (watch->named < told)
			told = watch->named;
	}
	while (n < t->njournal && t->journal[n].modseq <= told)
		n++;
	journal_cut(t, n > 0 ? n : NOTIFY_JOURNAL / 2);
}

static struct notify_change *
journal_add(struct watched *w, uint64_t modseq, enum notify_kind kind, struct slice name)
{
	struct notify_tree *t = w->tree;
	struct notify_change *c;

	journal_room(w);
	if ((t->njournal & (t->njournal - 1)) == 0) /* room doubles at powers of two */
		t->journal =
		    mem_grow(t->journal, t->njournal ? t->njournal * 2 : 1, sizeof(*t->journal));
	c = &t->journal[t->njournal++];
	*c = (struct notify_change){ .modseq = modseq,
		.kind = kind,
		.name = mem_strn(name.p, name.n) };
	return c;
}

/* ---- subscriptions --------------------------------------------------------------------------------- */

/* Those that are new, or just read when `w` has no journal for them yet. */
static void
subscriptions_new(struct watched *w, struct store_view *v, uint64_t modseq, bool tell)
{
	struct notify_tree *t = w->tree;
	struct store_folder f = { .account = w->account };

	t->walk++;
	while (store_next_subscription(v, &f)) {
		struct subscription *s = map_get(&t->subscriptions, f.name);

		if (!s) {
			s = mem_new(sizeof(*s) + f.name.n + 1);
			s->n = f.name.n;
			memcpy(s->name, f.name.p, f.name.n);
			map_put(&t->subscriptions, slice(s->name, s->n), s);
			if (tell)
				(void)journal_add(w, modseq, NOTIFY_SUBSCRIBED, f.name);
		}
		s->walk = t->walk;
	}
}

static void
subscriptions_look(struct watched *w, struct store_view *v, uint64_t modseq)
{
	struct notify_tree *t = w->tree;
	struct subscription *s;
	size_t at = 0;

	subscriptions_new(w, v, modseq, true);
	while ((s = map_next(&t->subscriptions, &at))) {
		if (s->walk == t->walk)
			continue;
		(void)journal_add(w, modseq, NOTIFY_SUBSCRIBED, slice(s->name, s->n));
		map_take(&t->subscriptions, slice(s->name, s->n));
		mem_release(s);
	}
}

/* ---- names ----------------------------------------------------------------------------------------- */

static int
names_read(struct watched *w, struct store_view *v)
{
	struct store_folder f = { .account = w->account };

	while (store_next_folder(v, &f)) {
		if (w->tree->names.n >= (size_t)conf.notify_mailboxes)
			return -E2BIG;
		if (f.mailbox)
			leaf_put(w->tree, f.mailbox, f.name, f.attrs);
	}
	return 0;
}

/* Those below have new names too, of which nothing is told: RFC 5465 5.4.  How many names it has looked at. */
static size_t
names_below(struct watched *w, struct store_view *v, struct slice name)
{
	char from[STORE_NAME_MAX + 1];
	struct slice prefix = slice(from, name.n + 1);
	struct store_folder f = { .account = w->account, .name = prefix };
	size_t n = 0;

	memcpy(from, name.p, name.n);
	from[name.n] = STORE_SEPARATOR;
	for (; store_next_folder(v, &f) && slice_starts(f.name, prefix); n++)
		if (leaf_find(w->tree, f.mailbox))
			leaf_put(w->tree, f.mailbox, f.name, f.attrs);
	return n;
}

/* Steps beside the row's own, or -E2BIG. */
static int
folder_changed(struct watched *w, struct store_view *v, uint64_t mailbox, uint64_t modseq)
{
	const struct leaf *l = leaf_find(w->tree, mailbox);
	struct notify_change *c;
	struct store_mailbox m;
	enum notify_kind kind = NOTIFY_CHANGED;

	if (store_get_mailbox(v, mailbox, &m) < 0)
		return 0; /* gone, which a row behind this one says */
	if (!l && w->tree->names.n >= (size_t)conf.notify_mailboxes)
		return -E2BIG;
	if (!l)
		kind = NOTIFY_MADE;
	else if (!slice_eq(slice_str(l->name), m.name))
		kind = NOTIFY_RENAMED;
	c = journal_add(w, modseq, kind, m.name);
	c->mailbox = mailbox;
	c->attributes = l && (l->attrs ^ m.attrs) & STORE_NOSELECT;
	if (kind == NOTIFY_RENAMED)
		c->old = mem_str(l->name);
	leaf_put(w->tree, mailbox, m.name, m.attrs);
	return kind == NOTIFY_RENAMED ? (int)names_below(w, v, m.name) : 0;
}

static void
folder_gone(struct watched *w, uint64_t mailbox, uint64_t modseq)
{
	struct leaf *l = map_take(&w->tree->names, leaf_key(&mailbox));
	struct notify_change *c;

	if (!l)
		return;
	c = journal_add(w, modseq, NOTIFY_GONE, slice_str(l->name));
	c->mailbox = mailbox;
	mem_release(l);
}

/* ---- the whole ------------------------------------------------------------------------------------- */

static void
tree_empty(struct notify_tree *t)
{
	void *p;
	size_t at = 0;

	while ((p = map_next(&t->names, &at)))
		mem_release(p);
	at = 0;
	while ((p = map_next(&t->subscriptions, &at)))
		mem_release(p);
	map_fini(&t->names);
	map_fini(&t->subscriptions);
	t->names = t->subscriptions = (struct map){ 0 };
	journal_cut(t, t->njournal);
}

void
tree_free(struct notify_tree **tp)
{
	struct notify_tree *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	tree_empty(t);
	mem_release(t->journal);
	mem_release(t);
}

/* Half a tree would tell that the other half has gone. */
static int
tree_break(struct notify_tree *t)
{
	tree_empty(t);
	t->broken = true;
	return -E2BIG;
}

static int
tree_read(struct watched *w, const struct store_account *a)
{
	struct notify_tree *t = w->tree;

	tree_empty(t);
	t->broken = false;
	t->modseq = t->from = a->modseq;
	if (t->subscribed)
		subscriptions_new(w, w->home->view, a->modseq, false);
	return names_read(w, w->home->view) < 0 ? tree_break(t) : 0;
}

int
tree_start(struct watched *w, bool subscriptions)
{
	struct store_account a;
	int rc = store_find_account(w->home->view, slice_str(w->name), &a);

	if (rc < 0)
		return rc;
	if (!w->tree) {
		w->tree = mem_new(sizeof(*w->tree));
		w->tree->subscribed = subscriptions;
		rc = tree_read(w, &a);
		if (rc < 0)
			tree_free(&w->tree);
		return rc;
	}
	/* Following is for who tells: he does it in slices. */
	if (w->tree->broken || w->tree->modseq < a.changes_from)
		rc = tree_read(w, &a);
	if (rc == 0 && subscriptions && !w->tree->subscribed) {
		w->tree->subscribed = true;
		subscriptions_new(w, w->home->view, a.modseq, false);
	}
	return rc;
}

/* One row of the log: its steps, or -E2BIG. */
static int
tree_row(struct watched *w, const struct store_change_walk *c, bool *looked)
{
	int steps = 0;

	if (c->kind == STORE_CHANGE_DELETED)
		folder_gone(w, c->mailbox, c->modseq);
	else if (c->kind == STORE_CHANGE_FOLDER && c->mailbox)
		steps = folder_changed(w, w->home->view, c->mailbox, c->modseq);
	else if (c->kind == STORE_CHANGE_FOLDER && w->tree->subscribed && !*looked) {
		subscriptions_look(w, w->home->view, c->modseq);
		*looked = true; /* this snapshot has no more to say */
	}
	return steps < 0 ? steps : steps + 1;
}

int
tree_follow(struct watched *w, const struct store_account *a)
{
	struct notify_tree *t = w->tree;
	struct store_change_walk c = { .account = w->account,
		.since = t->modseq,
		.has_newest = true,
		.newest = a->news };
	uint64_t done = t->modseq;
	bool looked = false;

	if (t->broken || t->modseq < a->changes_from) {
		int rc = tree_read(w, a);

		return rc < 0 ? rc : -ENODATA;
	}
	if (t->modseq == a->modseq)
		return 0;
	for (int n = 0, steps; store_change_next(w->home->view, &c); n += steps) {
		if (n >= STEPS_TURN && c.modseq > done) {
			t->modseq = done;
			return -EAGAIN;
		}
		steps = tree_row(w, &c, &looked);
		if (steps < 0)
			return tree_break(t);
		done = c.modseq;
	}
	t->modseq = a->modseq;
	return 0;
}
