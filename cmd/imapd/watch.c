/* imapd/watch.c: the accounts that sessions with NOTIFY listen to, RFC 5465 6.
 *
 * Owns: imapd.watched, who listens to which account, and imapd.listeners, who might listen to more when somebody
 * shares something.  Called by NOTIFY and by stored's events.  Can fail: the index cannot be read, or a session
 * would listen to too many.  Must stay true: an event costs those who listen to its account, and only one about
 * folders those who might; a watch ends with its session's NOTIFY, an account with its last watch. */
#include "notify.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/watch.h"

#define LOOKS_TURN 64 /* sessions that look for one who shares, in a turn */

static struct slice
watched_key(const uint64_t *account)
{
	return slice((const char *)account, sizeof(*account));
}

static struct watched *
watched_get(struct store_home *home, uint64_t account, struct slice name)
{
	struct watched *w = map_get(&imapd.watched, watched_key(&account));

	if (w)
		return w;
	w = mem_new(sizeof(*w));
	w->account = account;
	w->name = mem_strn(name.p, name.n);
	w->home = home;
	list_init(&w->watchers);
	map_put(&imapd.watched, watched_key(&w->account), w);
	return w;
}

static void
watched_put(struct watched *w)
{
	if (!list_empty(&w->watchers))
		return;
	map_take(&imapd.watched, watched_key(&w->account));
	tree_free(&w->tree);
	mem_release(w->name);
	mem_release(w);
}

int
watch_begin(struct session *s, const struct watching *w)
{
	struct store_view *own = session_own(s), *v = w->account->home->view;

	if (store_begin_as(own, slice_str(s->user->account)) < 0)
		return -EIO;
	if (v == own || store_begin_as(v, slice_str(s->user->account)) == 0)
		return 0;
	store_end(own);
	return -EIO;
}

void
watch_finish(struct session *s, const struct watching *w)
{
	if (w->account->home->view != session_own(s))
		store_end(w->account->home->view);
	store_end(session_own(s));
}

struct slice
watch_name(struct session *s, const struct watching *w, struct slice folder)
{
	return w->own ? folder :
			slice_str(arena_printf(&s->imap.arena, "%s" SFMT, w->prefix, SARG(folder)));
}

uint32_t
watch_rights(const struct watching *w, const struct store_mailbox *m)
{
	return w->own ? STORE_R_ALL : store_rights(w->account->home->view, m, session_person(w->s));
}

enum place_children
watch_children(const struct watching *w, struct slice folder)
{
	struct store_folder f = { .account = w->account->account };
	char from[STORE_NAME_MAX + 1];

	if (!w->own)
		return place_guest_children(w->s, w->account->home->view, f.account, folder);
	if (folder.n >= STORE_NAME_MAX)
		return PLACE_NO_CHILDREN;
	memcpy(from, folder.p, folder.n);
	from[folder.n] = STORE_SEPARATOR;
	f.name = slice(from, folder.n + 1);
	return store_next_folder(w->account->home->view, &f) &&
		slice_starts(f.name, slice(from, folder.n + 1)) ?
	    PLACE_CHILDREN :
	    PLACE_NO_CHILDREN;
}

/* ---- one account ------------------------------------------------------------------------------------ */

/* What may be looked at now of somebody else's: what goes later can be told then, and nothing else.
 * The walk is in the order of names, so the ids are sorted behind it. */
static int
id_order(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int
watch_see(struct watching *w)
{
	struct store_view *v = w->account->home->view;
	struct store_folder f = { .account = w->account->account };
	struct buf ids = { 0 };
	const size_t most = (size_t)conf.notify_mailboxes;
	struct store_mailbox m;
	size_t looked = 0;

	while (looked < most && store_next_folder(v, &f)) {
		looked++;
		if (f.mailbox && store_get_mailbox(v, f.mailbox, &m) == 0 &&
		    watch_rights(w, &m) & STORE_R_LOOKUP)
			buf_add(&ids, &f.mailbox, sizeof(f.mailbox));
	}
	w->nseen = ids.n / sizeof(*w->seen);
	w->seen = mem_array(w->nseen + 1, sizeof(*w->seen));
	if (w->nseen)
		memcpy(w->seen, ids.p, ids.n);
	buf_fini(&ids);
	qsort(w->seen, w->nseen, sizeof(*w->seen), id_order);
	return looked < most ? 0 : -E2BIG;
}

static void
watch_free(struct watching *w)
{
	list_remove(&w->link);
	list_remove(&w->at);
	watched_put(w->account);
	mem_release(w->prefix);
	mem_release(w->regrouped);
	mem_release(w->seen);
	mem_release(w);
}

void
watch_nameless(struct watching *w)
{
	struct session *s = w->s;

	w->nameless = true;
	w->fresh = w->nseen = 0;
	log_event(LOG_INFO, "notify_nameless", "sid=%s user=%s owner=%s", s->sid,
	    log_str(s->user->account), log_str(w->account->name));
	imap_server_untagged(&s->imap,
	    "NO [LIMIT] Somebody shares too many mailboxes: what becomes of their names is not "
	    "told");
}

/* Inside the snapshots. */
static int
watch_ready(struct watching *w, const struct notify *n)
{
	struct store_account a;
	int rc = store_find_account(w->account->home->view, slice_str(w->account->name), &a);

	if (rc < 0)
		return -EIO;
	w->modseq = w->named = w->annots.told = a.modseq;
	if (!(n->any & (IMAP_NOTIFY_NAMES | IMAP_NOTIFY_SUBSCRIPTIONS)))
		return 0;
	rc = tree_start(w->account, w->own && n->any & IMAP_NOTIFY_SUBSCRIPTIONS);
	if (rc == 0 && !w->own && n->any & IMAP_NOTIFY_NAMES)
		rc = watch_see(w);
	if (rc == -E2BIG && !w->own) {
		watch_nameless(w);
		rc = 0;
	}
	return rc;
}

int
watch_join(struct session *s, struct notify *n, struct store_home *home, uint64_t account,
    struct slice owner)
{
	struct buf prefix = { 0 };
	struct watching *w;
	int rc;

	if (n->nwatches > NOTIFY_ACCOUNTS)
		return -E2BIG;
	w = mem_new(sizeof(*w));
	w->s = s;
	w->own = account == s->user->id;
	w->account = watched_get(home, account, owner);
	list_push(&n->watches, &w->link);
	list_push(&w->account->watchers, &w->at);
	if (!w->own)
		place_prefix(s, owner, &prefix);
	w->prefix = mem_strn(prefix.p ? prefix.p : "", prefix.n);
	buf_fini(&prefix);
	n->nwatches++;
	rc = watch_ready(w, n);
	return rc;
}

static size_t
sight_find(const struct watching *w, uint64_t mailbox)
{
	size_t lo = 0, hi = w->nseen;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->seen[mid] < mailbox)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool
watch_sees(struct watching *w, uint64_t mailbox, bool now)
{
	size_t i = sight_find(w, mailbox);
	bool before = i < w->nseen && w->seen[i] == mailbox;

	if (now == before)
		return before;
	if (now && w->nseen < (size_t)conf.notify_mailboxes) {
		w->seen = mem_grow(w->seen, w->nseen + 1, sizeof(*w->seen));
		memmove(w->seen + i + 1, w->seen + i, (w->nseen - i) * sizeof(*w->seen));
		w->seen[i] = mailbox;
		w->nseen++;
	} else if (!now) {
		w->nseen--;
		memmove(w->seen + i, w->seen + i + 1, (w->nseen - i) * sizeof(*w->seen));
	}
	return before;
}

/* ---- others --------------------------------------------------------------------------------------- */

static bool
watch_has(const struct notify *n, uint64_t account)
{
	struct watching *w;

	list_each(w, &n->watches, struct watching,
	    link) if (w->account->account == account) return true;
	return false;
}

static struct watching *
watch_newest(const struct notify *n)
{
	return CONTAINER(n->watches.prev, struct watching, link);
}

/* Those of a partition who share something that is meant, inside the snapshots.  0: it is through; -EAGAIN: time is
 * out. */
static int
watch_guests(struct session *s, struct notify *n)
{
	struct store_home *home = n->looks.home;
	struct slice owner;
	int rc = 0;

	while (rc == 0 &&
	    store_next_sharer(home->view, session_person(s), &n->looks.account, &owner)) {
		struct buf prefix = { 0 };

		if (n->looks.left-- == 0)
			return -E2BIG;
		place_prefix(s, owner, &prefix);
		if (notify_means(s, n, buf_get(&prefix)) && !watch_has(n, n->looks.account)) {
			rc = watch_join(s, n, home, n->looks.account, owner);
			if (n == s->notify)
				watch_newest(n)->fresh = watch_newest(n)->nseen;
		}
		buf_fini(&prefix);
		if (rc == 0 && line_session_spent(&s->imap.line))
			rc = -EAGAIN;
	}
	return rc;
}

static int
watch_part(struct session *s, struct notify *n)
{
	struct store_view *own = session_own(s), *v = n->looks.home->view;
	int rc = 0;

	if (store_begin(own) < 0)
		return -EIO;
	if (v == own || store_begin(v) == 0) {
		rc = watch_guests(s, n);
		if (v != own)
			store_end(v);
	}
	store_end(own);
	return rc;
}

int
watch_look(struct session *s, struct notify *n)
{
	int rc = 0;

	if (!n->looking) {
		n->look = false;
		n->looks = (struct notify_looks){ .left = NOTIFY_LOOKS };
		store_homes_open(&imapd.homes);
	}
	n->looking = n->guests;
	while (n->looking && rc == 0) {
		if (!n->looks.home) {
			n->looks.home = map_next(&imapd.homes.parts, &n->looks.part);
			n->looks.account = 0;
		}
		n->looking = n->looks.home;
		if (!n->looking)
			break;
		rc = watch_part(s, n);
		if (rc != -EAGAIN)
			n->looks.home = NULL;
	}
	n->looking = rc == -EAGAIN;
	return rc;
}

int
watch_start(struct session *s, struct notify *n)
{
	int rc = 0;

	if (n->any) {
		if (store_begin(session_own(s)) < 0)
			return -EIO;
		rc = watch_join(s, n, s->user->part, s->user->id, slice_str(s->user->account));
		store_end(session_own(s));
	}
	if (rc == 0 && n->guests)
		list_push(&imapd.listeners, &n->guest_link);
	return rc;
}

void
watch_end(struct notify *n)
{
	struct watching *w;

	list_each(w, &n->watches, struct watching, link) watch_free(w);
	n->nwatches = 0;
}

/* ---- stored's events ----------------------------------------------------------------------------- */

/* Does this account, to which the session does not listen, share something with its user? */
static bool
watch_shares(struct session *s, uint64_t account)
{
	struct store_home *home;
	struct slice owner;
	bool shares = false;
	size_t at = 0;

	while (!shares && (home = map_next(&imapd.homes.parts, &at))) {
		uint64_t next = account - 1;

		if (store_begin(home->view) < 0)
			continue;
		shares = store_next_sharer(home->view, session_person(s), &next, &owner) &&
		    next == account;
		store_end(home->view);
	}
	return shares;
}

/* Folders of an account have changed, or who may look at them: those who might listen to it look, some in each
 * turn.  What one has not looked at when another event comes is looked for among all. */
static void
watch_looks(struct later *l)
{
	struct notify *n;
	size_t done = 0;
	bool more = false;

	list_each(n, &imapd.listeners, struct notify, guest_link)
	{
		if (!n->asked)
			continue;
		if (done == LOOKS_TURN) {
			more = true;
			break;
		}
		done++;
		/* One's own: a subscription may mean somebody else by now. */
		n->look |= n->asked == UINT64_MAX ? true :
		    n->asked == n->s->user->id    ? n->subscribed > 0 :
		    watch_has(n, n->asked)        ? false :
						    watch_shares(n->s, n->asked);
		n->asked = 0;
		if (n->look)
			notices_due(n->s);
	}
	if (more)
		later_run(l, imapd.loop, watch_looks);
}

static void
watch_ask(uint64_t account)
{
	struct notify *n;

	list_each(n, &imapd.listeners, struct notify, guest_link) n->asked =
	    n->asked && n->asked != account ? UINT64_MAX : account;
	if (!list_empty(&imapd.listeners))
		later_run(&imapd.listens, imapd.loop, watch_looks);
}

static void
watched_due(struct watched *a, bool annots)
{
	struct watching *w;

	list_each(w, &a->watchers, struct watching, at)
	{
		w->annots.due |= annots;
		if (!w->s->notify)
			continue;
		w->s->notify->due = true;
		notices_due(w->s);
	}
}

void
watch_event(const struct store_event *ev)
{
	uint64_t account = ev->account; /* a packed struct: not to be pointed at */
	struct watched *a = map_get(&imapd.watched, watched_key(&account));

	if (a)
		watched_due(a, ev->kind == STORE_EV_ANNOT);
	if (ev->kind == STORE_EV_LIST)
		watch_ask(account);
}

void
watch_resync(void)
{
	struct watched *a;
	size_t at = 0;

	while ((a = map_next(&imapd.watched, &at)))
		watched_due(a, true);
}

void
watch_regroup(struct slice account)
{
	struct notify *n;
	struct watching *w;

	list_each(n, &imapd.listeners, struct notify, guest_link)
	{
		if (!slice_eq(slice_str(n->s->user->account), account))
			continue;
		list_each(w, &n->watches, struct watching, link)
		{
			if (w->own)
				continue;
			mem_release(w->regrouped);
			w->regrouped = mem_str("");
		}
		n->due = true;
		n->asked = UINT64_MAX; /* others may share something by now */
		later_run(&imapd.listens, imapd.loop, watch_looks);
		notices_due(n->s);
	}
}
