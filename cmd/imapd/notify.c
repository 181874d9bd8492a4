/* imapd/notify.c: NOTIFY: what a session wants to hear of, RFC 5465 3.1, 6.
 *
 * Owns: s->notify.  Called by the command table, by notices.c for each mailbox in which something has happened,
 * and by commands that change something themselves.  Can fail: syntax, events that are not offered, and what is
 * too much.  Must stay true: a refused NOTIFY leaves the one before in force; what a mailbox costs is its depth times
 * the logarithm of the names that the client gave, as each of its names above is looked up and none walked over. */
#include "notify.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "fetch.h"

/* ---- the filters -------------------------------------------------------------------------------- */

static const struct notify_name *
name_find(const struct notify *n, struct slice name)
{
	size_t lo = 0, hi = n->nnames;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (slice_cmp(n->names[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n->nnames ? &n->names[lo] : NULL;
}

static const struct notify_name *
name_get(const struct notify *n, struct slice name)
{
	const struct notify_name *f = name_find(n, name);

	return f && slice_eq(f->name, name) ? f : NULL;
}

unsigned
notify_wants(struct session *s, struct slice name, bool own)
{
	const struct notify *n = s->notify;
	const struct notify_name *f = name_get(n, name);
	size_t top = slice_find(name, STORE_SEPARATOR);
	unsigned events = n->all;

	if (own)
		events |= n->personal | (slice_eq(name, S("INBOX")) ? n->inboxes : 0);
	if (n->subscribed && store_subscribed(session_own(s), s->user->id, name))
		events |= n->subscribed;
	if (top == name.n)
		events |= n->top;
	events |= f ? f->at : 0;
	for (size_t k = top; n->nnames > 0 && k < name.n;) {
		size_t next = k + 1 + slice_find(slice_from(name, k + 1), STORE_SEPARATOR);

		f = name_get(n, slice(name.p, k));
		if (f)
			events |= f->below | (next == name.n ? f->next : 0);
		k = next;
	}
	return events & NOTIFY_NONE ? 0 : events;
}

bool
notify_is_quiet(const struct session *s)
{
	return s->notify && !s->notify->selected;
}

/* Has one of the mailboxes with this prefix to do with what is wanted?  Inside a snapshot. */
bool
notify_means(struct session *s, const struct notify *n, struct slice prefix)
{
	struct store_folder sub = { .account = s->user->id, .name = prefix };
	const struct notify_name *f = name_find(n, prefix);

	if (n->all || (f && slice_starts(f->name, prefix)))
		return true;
	for (size_t k = slice_find(prefix, STORE_SEPARATOR); k < prefix.n;
	     k += 1 + slice_find(slice_from(prefix, k + 1), STORE_SEPARATOR)) {
		f = name_get(n, slice(prefix.p, k));
		if (f && f->below | f->next)
			return true;
	}
	return n->subscribed && store_next_subscription(session_own(s), &sub) &&
	    slice_starts(sub.name, prefix);
}

/* ---- from the command ----------------------------------------------------------------------------- */

struct setting {
	struct imap_notify want;
	struct notify *next;
	/* the answer: a walk over the folders of one account after another */
	struct list *at; /* of next->watches; NULL: who shares something is being looked for */
	struct store_folder folder;
	char name[STORE_NAME_MAX];
};

static int
name_order(const void *a, const void *b)
{
	const struct notify_name *x = a, *y = b;

	return slice_cmp(x->name, y->name);
}

/* One name or subtree; *room is what may still be kept.  False: it is too much. */
static bool
filter_add(struct session *s, struct notify *n, const struct imap_source *from, uint8_t events,
    size_t *room)
{
	struct notify_name *f = &n->names[n->nnames];
	struct place p;

	if (from->name.n == 0) { /* above all */
		n->all |= from->kind == IMAP_SOURCE_SUBTREE ? events : 0;
		n->top |= from->kind == IMAP_SOURCE_SUBTREE_ONE ? events : 0;
		return true;
	}
	if (place_parse(s, from->name, &p) < 0)
		return true; /* no mailbox is called so */
	if (n->nnames == NOTIFY_NAMES || p.name.n > *room)
		return false;
	*room -= p.name.n;
	n->guests |= !p.own || slice_eq(p.name, S("Shared Folders"));
	*f = (struct notify_name){ .name = arena_slice(&s->imap.arena, p.name), .at = events };
	f->below = from->kind == IMAP_SOURCE_SUBTREE ? events : 0;
	f->next = from->kind == IMAP_SOURCE_SUBTREE_ONE ? events : 0;
	n->nnames++;
	return true;
}

static bool
filters_add(struct session *s, struct notify *n, const struct imap_notify_group *g, size_t *room)
{
	uint8_t events = g->events ? (uint8_t)g->events : NOTIFY_NONE;

	n->personal |= g->from.personal ? events : 0;
	n->inboxes |= g->from.inboxes ? events : 0;
	n->subscribed |= g->from.subscribed ? events : 0;
	n->any |= (uint8_t)g->events;
	for (size_t i = 0; i < g->from.n; i++)
		if (!filter_add(s, n, &g->from.list[i], events, room))
			return false;
	return true;
}

/* Sorts the names, joins those that are the same, and copies their bytes, which are in the arena. */
static void
filters_keep(struct notify *n)
{
	size_t kept = 0, bytes = 0;

	qsort(n->names, n->nnames, sizeof(*n->names), name_order);
	for (size_t i = 0; i < n->nnames; i++) {
		struct notify_name *last = kept ? &n->names[kept - 1] : NULL, *f = &n->names[i];

		if (!last || !slice_eq(last->name, f->name)) {
			n->names[kept++] = *f;
			bytes += f->name.n;
			continue;
		}
		last->at |= f->at;
		last->below |= f->below;
		last->next |= f->next;
	}
	n->nnames = kept;
	n->names = mem_grow(n->names, kept + 1, sizeof(*n->names));
	n->text = mem_array(bytes + 1, 1);
	bytes = 0;
	for (size_t i = 0; i < kept; i++) {
		struct slice *name = &n->names[i].name;

		memcpy(n->text + bytes, name->p, name->n);
		name->p = n->text + bytes;
		bytes += name->n;
	}
}

static struct notify *
notify_new(struct session *s)
{
	struct notify *n = mem_new(sizeof(*n));

	n->s = s;
	list_init(&n->watches);
	list_init(&n->guest_link);
	return n;
}

static void
notify_free(struct notify **np)
{
	struct notify *n = *np;

	*np = NULL;
	if (!n)
		return;
	watch_end(n);
	list_remove(&n->guest_link);
	for (size_t i = 0; i < NOTIFY_OWN; i++)
		mem_release(n->deeds[i].name);
	mem_release(n->names);
	mem_release(n->text);
	mem_release(n->atts);
	mem_release(n);
}

/* NULL: it is too much. */
static struct notify *
notify_make(struct session *s, const struct imap_notify *want)
{
	struct notify *n = notify_new(s);
	size_t room = NOTIFY_BYTES;
	bool fits = want->atts.n <= NOTIFY_ATTS;

	n->listens = true;
	n->delayed = want->delayed;
	n->selected = (uint8_t)want->selected;
	n->names = mem_array(NOTIFY_NAMES, sizeof(*n->names));
	for (size_t i = 0; fits && i < want->ngroups; i++)
		fits = filters_add(s, n, &want->groups[i], &room);
	filters_keep(n);
	n->guests |= (n->subscribed | n->all) & ~NOTIFY_NONE;
	if (want->atts.p)
		n->atts = mem_strn(want->atts.p, want->atts.n);
	if (!fits)
		notify_free(&n);
	return n;
}

void
notify_end(struct session *s)
{
	struct notify *n = s->notify;

	s->notify = NULL;
	metric_add(M_NOTIFYING, -(int64_t)(n && n->listens));
	notify_free(&n);
}

/* ---- the command ------------------------------------------------------------------------------------ */

static void
notify_put(struct session *s, struct notify *n)
{
	notify_end(s);
	s->notify = n;
	if (s->view)
		s->view->untold = 0;
	idle_listen(s);
}

void
notify_overflow(struct session *s, const char *why)
{
	log_event(LOG_INFO, "notify_overflow", "sid=%s user=%s why=%s", s->sid,
	    log_str(s->user->account), log_str(why));
	metric_add(M_NOTIFY_OVERFLOWS, 1);
	imap_server_untagged(&s->imap, "OK [NOTIFICATIONOVERFLOW] %s", why);
	notify_put(s, notify_new(s));
}

static void
setting_undo(struct imap_server *imap)
{
	struct setting *set = imap->data;

	notify_free(&set->next);
}

/* What has to be told of a mailbox with these events.				RFC 5465 3.1 */
static unsigned
setting_items(unsigned events)
{
	unsigned items = 0;

	if (events & (IMAP_NOTIFY_NEW | IMAP_NOTIFY_GONE))
		items |= IMAP_STATUS_BIT(STATUS_MESSAGES) | IMAP_STATUS_BIT(STATUS_UIDNEXT) |
		    IMAP_STATUS_BIT(STATUS_UIDVALIDITY);
	if (events & IMAP_NOTIFY_FLAGS)
		items |= IMAP_STATUS_BIT(STATUS_UNSEEN) | IMAP_STATUS_BIT(STATUS_HIGHESTMODSEQ);
	return items;
}

/* RFC 5465 3.1: what can be listed and not read "MUST" be told as such. */
static void
setting_no_access(struct session *s, struct slice name)
{
	buf_lit(session_out(s), "* LIST (\\NoAccess) \"/\" ");
	session_write_mailbox(s, name);
	buf_lit(session_out(s), "\r\n");
}

/* One folder: its STATUS, if it is wanted. */
static void
setting_folder(struct session *s, struct setting *set, const struct watching *w,
    const struct store_folder *f)
{
	struct store_view *v = w->account->home->view;
	struct slice name = watch_name(s, w, f->name);
	struct notify *before = s->notify;
	struct store_mailbox m;
	unsigned events;

	s->notify = set->next;
	events = notify_wants(s, name, w->own) & ~(unsigned)NOTIFY_NONE;
	s->notify = before;
	if (!events || f->attrs & STORE_NOSELECT || store_get_mailbox(v, f->mailbox, &m) < 0)
		return;
	if (!w->own) {
		uint32_t rights = watch_rights(w, &m);

		if (!(rights & STORE_R_LOOKUP))
			return;
		if (!(rights & STORE_R_READ)) {
			setting_no_access(s, name);
			return;
		}
	}
	if (set->want.status && events & IMAP_NOTIFY_MESSAGES &&
	    !(s->view && s->view->mailbox == f->mailbox))
		(void)status_write(s, v, name, f->mailbox, setting_items(events));
}

static enum imap_next
setting_over(struct session *s, struct setting *set)
{
	struct notify *n = set->next;

	set->next = NULL;
	s->imap.undo = NULL;
	metric_add(M_NOTIFYING, 1);
	n->due = true; /* while the walk went on something may have happened */
	notify_put(s, n);
	return imap_server_finish(&s->imap, "OK", "NOTIFY completed");
}

/* A slice of time in one account, inside the snapshots. */
static enum imap_next
setting_slice(struct imap_server *imap, struct setting *set, const struct watching *w)
{
	struct session *s = session_of(imap);
	enum imap_next next = IMAP_NEXT;

	set->folder.account = w->account->account;
	while (next == IMAP_NEXT && store_next_folder(w->account->home->view, &set->folder)) {
		setting_folder(s, set, w, &set->folder);
		if (session_out(s)->n >= STREAM_HIGH)
			next = IMAP_FULL;
		else if (line_session_spent(&imap->line))
			next = IMAP_YIELD;
	}
	if (next != IMAP_NEXT && set->folder.name.p != set->name) {
		memcpy(set->name, set->folder.name.p, set->folder.name.n);
		set->folder.name.p = set->name;
	}
	return next;
}

static enum imap_next
setting_refuse(struct imap_server *imap, int rc)
{
	return rc == -E2BIG ?
	    imap_server_no(imap, "NOTIFICATIONOVERFLOW", "That is too much to watch") :
	    imap_server_no(imap, "UNAVAILABLE", "The mail store cannot be read");
}

static enum imap_next
setting_more(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	struct setting *set = imap->data;
	int rc = set->at ? 0 : watch_look(s, set->next);

	if (rc == -EAGAIN)
		return IMAP_YIELD;
	if (rc < 0)
		return setting_refuse(imap, rc);
	if (!set->at)
		set->at = set->next->watches.next;
	while (set->at != &set->next->watches) {
		const struct watching *w = CONTAINER(set->at, struct watching, link);
		enum imap_next next = IMAP_NEXT;

		/* One's own folders can all be read. */
		if (!w->own || set->want.status) {
			if (watch_begin(s, w) < 0)
				return imap_server_no(imap, "UNAVAILABLE",
				    "The mail store cannot be read");
			next = setting_slice(imap, set, w);
			watch_finish(s, w);
		}
		if (next != IMAP_NEXT)
			return next;
		set->at = set->at->next;
		set->folder = (struct store_folder){ 0 };
	}
	return setting_over(s, set);
}

bool
notify_atts(struct imap_in *in)
{
	struct imap_fetch f;

	if (!imap_next_is(in, '('))
		return false;
	if (!imap_fetch_parse(in, fetch_items, fetch_nitems, FETCH_MODSEQ, &f))
		return false;
	if (f.changedsince || f.vanished || f.partial.text.p)
		in->why = "A modifier of FETCH is of no use here";
	return !in->why;
}

/* RFC 5465 3.1: "MUST list names of all events supported by the server" */
static enum imap_next
notify_bad_event(struct imap_server *imap)
{
	struct buf names = { 0 };
	enum imap_next next;

	imap_notify_write_events(&names);
	next = imap_server_finish(imap, "NO", "[BADEVENT (" SFMT ")] An event is not offered",
	    SARG(buf_get(&names)));
	buf_fini(&names);
	return next;
}

/* NOTIFY NONE / NOTIFY SET [STATUS] group ...				RFC 5465 3.1 */
enum imap_next
cmd_notify(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct setting *set = arena_new(&imap->arena, sizeof(*set));
	int rc;

	if (!imap_notify_parse(in, notify_atts, &set->want))
		return imap_server_syntax(imap, in);
	if (set->want.unsupported)
		return notify_bad_event(imap);
	if (set->want.none) {
		notify_put(s, notify_new(s));
		return imap_server_finish(imap, "OK", "NOTIFY completed");
	}
	set->next = notify_make(s, &set->want);
	rc = set->next ? watch_start(s, set->next) : -E2BIG;
	if (rc < 0) {
		notify_free(&set->next);
		return setting_refuse(imap, rc);
	}
	imap->data = set;
	imap->undo = setting_undo;
	return imap_server_pull(imap, setting_more);
}

/* ---- what the session does itself -------------------------------------------------------------------- */

void
notify_brought(struct session *s, uint64_t mailbox, const struct store_range *r, size_t n)
{
	if (s->view && s->view->mailbox == mailbox)
		view_brought(s->view, r, n);
	if (!s->notify)
		return;
	for (size_t i = 0; i < n; i++)
		s->notify->own[s->notify->nown++ % NOTIFY_OWN] =
		    (struct notify_own){ mailbox, r[i].first, r[i].last };
}

/* Up to where an account is now, 0 when that cannot be known. */
static uint64_t
account_now(const struct store_home *home, struct slice account)
{
	struct store_account a = { 0 };

	if (!home || store_begin(home->view) < 0)
		return 0;
	(void)!store_find_account(home->view, account, &a);
	store_end(home->view);
	return a.modseq;
}

void
notify_did(struct session *s, const struct place *p, enum notify_kind kind)
{
	struct notify_deed *d;

	if (!s->notify || !s->notify->listens)
		return;
	d = &s->notify->deeds[s->notify->ndeeds++ % NOTIFY_OWN];
	mem_release(d->name);
	d->kind = (uint8_t)(kind + 1);
	d->name = mem_strn(p->name.p, p->name.n);
	d->until = kind == NOTIFY_SUBSCRIBED ?
	    account_now(s->user->part, slice_str(s->user->account)) :
	    account_now(p->home, p->owner);
}

bool
notify_did_it(struct session *s, enum notify_kind kind, struct slice name, uint64_t modseq)
{
	const struct notify *n = s->notify;

	for (size_t i = 0; i < NOTIFY_OWN; i++) {
		struct slice did = slice_str(n->deeds[i].name ? n->deeds[i].name : "");
		bool superior = kind == NOTIFY_MADE && slice_starts(did, name) && did.n > name.n &&
		    did.p[name.n] == STORE_SEPARATOR;

		if ((n->deeds[i].kind == kind + 1u ||
			(kind != NOTIFY_SUBSCRIBED && n->deeds[i].kind <= NOTIFY_GONE + 1u)) &&
		    n->deeds[i].name && modseq <= n->deeds[i].until &&
		    (slice_eq(did, name) || superior))
			return true;
	}
	return false;
}
