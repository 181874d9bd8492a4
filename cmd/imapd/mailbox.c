/* imapd/mailbox.c: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE: RFC 3501 6.3.3 - 6.3.7,
 * RFC 6154 (CREATE-SPECIAL-USE), RFC 8474 (MAILBOXID).
 *
 * Owns: nothing; stored does them.  Called by the command table.  Can fail: names that cannot be, limits,
 * and what stored says.  Must stay true: names arrive in modified UTF-7 and go on in UTF-8; a session
 * whose selected mailbox is gone has none selected.  Who deleted or renamed what is in the log. */
#include "notify.h"

#include <errno.h>

#include "base/log.h"
#include "imap/write.h"

static void
done_with(struct session *s, const struct store_reply *r)
{
	if (r->verdict.kind != OK)
		imap_server_resume(&s->imap, reply_no_store(s, r, "NONEXISTENT"));
	else
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "%s completed", s->imap.cmd->name));
}

static void
subscribed(void *arg, const struct store_reply *r)
{
	struct session *s = arg;

	if (r->verdict.kind == OK)
		notify_did(s, s->imap.data, NOTIFY_SUBSCRIBED);
	done_with(s, r);
}

/* Folders that are gone or renamed: somebody will ask. */
static void
log_folder(struct session *s, const struct store_reply *r, struct slice name, struct slice to)
{
	if (r->verdict.kind == OK)
		log_event(LOG_INFO, "folder", "sid=%s user=%s how=%s name=%s to=%s", s->sid,
		    log_str(s->user->account), to.n ? "rename" : "delete", log_value(name),
		    log_value(to));
}

/* One mailbox name.  A trailing separator only says that children will follow; it is cut.
 * False: answered already, *answer says how. */
static bool
name_arg(struct session *s, struct imap_in *in, struct place *p, enum imap_next *answer)
{
	bool bad_name = false;
	struct slice name;
	int r;

	if (!imap_space(in) || !imap_mailbox(in, &name, &bad_name)) {
		*answer = imap_server_syntax(&s->imap, in);
		return false;
	}
	if (name.n > 1 && name.p[name.n - 1] == STORE_SEPARATOR)
		name.n--;
	r = bad_name ? -EINVAL : place_parse(s, name, p);
	if (r < 0) {
		*answer = r == -ENAMETOOLONG ?
		    imap_server_no(&s->imap, "LIMIT", "The mailbox name is too long") :
		    imap_server_no(&s->imap, "CANNOT", "Not a mailbox name");
		return false;
	}
	return true;
}

static bool
only_name(struct session *s, struct imap_in *in, struct place *p, enum imap_next *answer)
{
	if (!name_arg(s, in, p, answer))
		return false;
	if (imap_end(in))
		return true;
	*answer = imap_server_syntax(&s->imap, in);
	return false;
}

void
session_write_mailboxid(struct buf *b, const struct store_mailbox *m)
{
	/* A store of the first format had no such ids. */
	uint64_t id = m->objectid ? m->objectid : m->id;
	char text[IMAP_OBJECTID];

	buf_char(b, '(');
	buf_add(b, text, (size_t)(imap_objectid_at(text, SESSION_MAILBOXID, id) - text));
	buf_char(b, ')');
}

/* A folder that is made again under the name of a special one gets its use back, unless another has
 * it by now (RFC 6154 3).  Looks at all folders, for these five names alone. */
static enum store_special
lost_use(struct session *s, struct slice name)
{
	enum store_special use = store_special_of(name);
	struct store_folder f = { .account = s->user->id };

	if (use == STORE_USE_NONE || store_begin(session_own(s)) < 0)
		return STORE_USE_NONE;
	while (use != STORE_USE_NONE && store_next_folder(session_own(s), &f))
		if (f.special == use)
			use = STORE_USE_NONE;
	store_end(session_own(s));
	return use;
}

/* The use that the client wants it for.  One at most, and one of those that a folder of its own is for:
 * \All and \Flagged would be views.  NULL, or why not.			RFC 6154 3 */
static const char *
wanted_use(struct session *s, const struct imap_create *c, enum store_special *use)
{
	struct store_folder f = { .account = s->user->id };

	*use = STORE_USE_NONE;
	if (c->nuses == 0)
		return NULL;
	if (c->nuses > 1)
		return "A mailbox has one use";
	for (unsigned u = STORE_USE_NONE + 1; u <= STORE_USE_ARCHIVE; u++)
		if (slice_ieq(c->use, slice_str(store_special_name((enum store_special)u) + 1)))
			*use = (enum store_special)u;
	if (*use == STORE_USE_NONE)
		return "No mailbox can have this use";
	if (store_begin(session_own(s)) < 0)
		return NULL; /* stored will say what it thinks */
	while (store_next_folder(session_own(s), &f) && f.special != *use)
		;
	store_end(session_own(s));
	return f.special == *use ? "Another mailbox has this use" : NULL;
}

static void
created(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	const struct place *p = s->imap.data;
	struct store_mailbox m = { 0 };
	struct buf id = { 0 };

	if (r->verdict.kind == OK)
		notify_did(s, p, NOTIFY_MADE);
	if (r->verdict.kind == OK && store_begin(p->home->view) == 0) {
		if (store_get_mailbox(p->home->view, r->mailbox, &m) == 0)
			session_write_mailboxid(&id, &m);
		store_end(p->home->view);
	}
	if (id.n == 0) /* refused, or gone again */
		done_with(s, r);
	else
		imap_server_resume(&s->imap,
		    imap_server_finish(&s->imap, "OK", "[MAILBOXID %s] CREATE completed",
			buf_cstr(&id)));
	buf_fini(&id);
}

/* CREATE mailbox [(USE (use))]				RFC 3501 6.3.3, RFC 4466 2.2, RFC 6154 3 */
enum imap_next
cmd_create(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct place *p = arena_new(&imap->arena, sizeof(*p));
	enum store_special use = STORE_USE_NONE;
	struct imap_create c;
	enum imap_next answer;
	const char *why;

	if (!name_arg(s, in, p, &answer))
		return answer;
	if (!imap_create_parse(in, &c))
		return imap_server_syntax(&s->imap, in);
	if (slice_eq(p->name, S("INBOX")))
		return imap_server_no(&s->imap, "ALREADYEXISTS", "INBOX is always there");
	if (!place_may_create(p))
		return place_no_right(&s->imap);
	why = p->own ? wanted_use(s, &c, &use) :
	    c.nuses  ? "A mailbox of somebody else has no use here" :
		       NULL;
	if (why)
		return imap_server_no(&s->imap, "USEATTR", why);
	if (!c.said && p->own)
		use = lost_use(s, p->name);
	s->imap.data = p;
	store_create_start(imapd.store, p->account, p->folder, use, &s->imap.op, created, s);
	return IMAP_WAIT;
}

struct naming {
	struct slice from, to; /* in the arena */
	struct place place;    /* of `to`, or what is deleted */
};

/* Keeps the names for the log. */
static void
keep_names(struct session *s, struct slice from, const struct place *to, bool renames)
{
	struct naming *n = arena_new(&s->imap.arena, sizeof(*n));

	*n = (struct naming){ from, renames ? to->name : slice(NULL, 0), *to };
	s->imap.data = n;
}

static void
renamed(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	const struct naming *n = s->imap.data;

	log_folder(s, r, n->from, n->to);
	if (r->verdict.kind == OK)
		notify_did(s, &n->place,
		    slice_eq(n->from, S("INBOX")) ? NOTIFY_MADE : NOTIFY_RENAMED);
	/* RFC 9051 6.3.6: "SHOULD be returned"; INBOX is still there under its name */
	if (r->verdict.kind == OK && s->enabled & SESSION_REV2 && !slice_eq(n->from, S("INBOX"))) {
		buf_lit(session_out(s), "* LIST () \"/\" ");
		session_write_mailbox(s, n->to);
		buf_lit(session_out(s), " (\"OLDNAME\" (");
		session_write_mailbox(s, n->from);
		buf_lit(session_out(s), "))\r\n");
	}
	done_with(s, r);
}

/* Deleting the mailbox that is selected here leaves the session without one. */
static void
deleted(void *arg, const struct store_reply *r)
{
	struct session *s = arg;
	struct store_mailbox m;
	const struct naming *n = s->imap.data;

	log_folder(s, r, n->from, n->to);
	if (r->verdict.kind == OK)
		notify_did(s, &n->place, NOTIFY_GONE);
	if (r->verdict.kind == OK && s->view && session_snapshot(s) == 0) {
		int rc = store_get_mailbox(session_reader(s), s->view->mailbox, &m);

		store_end(session_reader(s));
		if (rc < 0 || m.attrs & STORE_NOSELECT) {
			session_deselect(s);
			s->imap.state = IMAP_AUTH;
		}
	}
	done_with(s, r);
}

enum imap_next
cmd_delete(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct store_mailbox m;
	struct place p;
	enum imap_next answer;
	int r;

	if (!only_name(s, in, &p, &answer))
		return answer;
	if (slice_eq(p.name, S("INBOX")))
		return imap_server_no(&s->imap, "CANNOT", "INBOX cannot be deleted");
	if (!p.own) {
		if ((r = place_open(&p, STORE_R_DROP, false, &m)) < 0)
			return reply_no_mailbox(&s->imap, r, "NONEXISTENT");
		store_end(p.home->view);
	}
	keep_names(s, p.name, &p, false);
	store_delete_start(imapd.store, p.account, p.folder, &s->imap.op, deleted, s);
	return IMAP_WAIT;
}

enum imap_next
cmd_rename(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct store_mailbox m;
	struct place from, to;
	enum imap_next answer;
	int r;

	if (!name_arg(s, in, &from, &answer) || !only_name(s, in, &to, &answer))
		return answer;
	if (slice_eq(to.name, S("INBOX")))
		return imap_server_no(&s->imap, "ALREADYEXISTS", "INBOX is always there");
	if (!from.own) {
		if ((r = place_open(&from, STORE_R_DROP, false, &m)) < 0)
			return reply_no_mailbox(&s->imap, r, "NONEXISTENT");
		store_end(from.home->view);
	}
	if (!place_may_create(&to))
		return place_no_right(&s->imap);
	if (!slice_eq(from.owner, to.owner))
		return imap_server_no(&s->imap, "CANNOT", "A mailbox stays with its owner");
	keep_names(s, from.name, &to, true);
	store_rename_start(imapd.store, from.account, from.folder, to.folder, &s->imap.op, renamed,
	    s);
	return IMAP_WAIT;
}

/* May this name be subscribed too?  Looks at limit.subscriptions rows at most (1 ms for 5,000). */
static bool
room_for_subscription(struct session *s, struct slice name)
{
	struct store_folder f = { .account = s->user->id };
	int64_t n = 0;

	if (store_begin(session_own(s)) < 0)
		return true; /* stored will say what it thinks */
	if (!store_subscribed(session_own(s), s->user->id, name))
		while (n < conf.subscriptions && store_next_subscription(session_own(s), &f))
			n++;
	store_end(session_own(s));
	return n < conf.subscriptions;
}

enum imap_next
cmd_subscribe(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct place *p = arena_new(&imap->arena, sizeof(*p));
	enum imap_next answer;

	if (!only_name(s, in, p, &answer))
		return answer;
	if (!room_for_subscription(s, p->name))
		return imap_server_no(imap, "LIMIT", "Too many subscriptions");
	imap->data = p;
	store_subscribe_start(imapd.store, s->user->id, p->name, true, &s->imap.op, subscribed, s);
	return IMAP_WAIT;
}

enum imap_next
cmd_unsubscribe(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);
	struct place *p = arena_new(&imap->arena, sizeof(*p));
	enum imap_next answer;

	if (!only_name(s, in, p, &answer))
		return answer;
	imap->data = p;
	store_subscribe_start(imapd.store, s->user->id, p->name, false, &s->imap.op, subscribed, s);
	return IMAP_WAIT;
}
