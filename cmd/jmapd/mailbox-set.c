/* jmapd/mailbox-set.c: Mailbox/set (RFC 8621 2.5).
 *
 * One after the other, each a request to stored or two: what a mailbox may be depends on those made, renamed
 * and deleted before it in the same call.  The table of folders is read again when the account has changed.
 * A mailbox that is to be made below one that this call makes comes after it, in whatever order they stand.
 * Must stay true: messages are removed with their mailbox only when onDestroyRemoveEmails says so. */
#include "base/mem.h"
#include "mailbox.h"
#include "set.h"
#include "store/client.h"

enum mailbox_step { MAILBOX_CREATE, MAILBOX_UPDATE, MAILBOX_DESTROY, MAILBOX_OVER };

struct mailbox_set {
	struct set_args args;
	struct set_answer answer;
	bool remove_emails, begun;
	enum mailbox_step step;
	bool *done;    /* of create */
	bool progress; /* something of create was done in this round */
	struct json_walk walk;
	size_t at;
	/* the mailbox in hand */
	struct slice id;
	const struct json_t *value;
	struct slice name; /* whole */
	uint64_t made; /* a mailbox that was created, or renamed: what is left is to subscribe */
	bool subscribe, subscribed;
	bool shares;                  /* others' rights are to be changed, */
	struct mailbox_shares shared; /* which are these */
	enum store_code code;
	char text[sizeof(((struct verdict *)NULL)->text)];
	bool answered; /* by stored */
};

static enum call_next
mailbox_set_start(struct call *c)
{
	struct mailbox_set *q = c->data;
	enum call_next next;

	if (!call_account(c, &next) || !set_args_read(c, &q->args, &next))
		return next;
	if (!call_bool(c, "onDestroyRemoveEmails", &q->remove_emails))
		return call_invalid(c, "onDestroyRemoveEmails: a boolean");
	q->done = arena_array(&c->arena, json_count(q->args.create) + 1, sizeof(bool));
	return CALL_AGAIN;
}

static void
mailbox_set_done(void *arg, const struct store_reply *r)
{
	struct call *c = arg;
	struct mailbox_set *q = c->data;

	q->answered = true;
	q->code = r->code;
	if (r->code == STORE_DONE && r->mailbox)
		q->made = r->mailbox;
	(void)slice_cstr(slice_str(r->verdict.text), q->text, sizeof(q->text));
	call_resume(c, CALL_AGAIN);
}

/* ---- properties ------------------------------------------------------------------------------------- */

struct mailbox_wanted {
	struct slice leaf;
	struct folder *parent; /* NULL: on top */
	bool moves;            /* name or parent is another */
	int subscribe;         /* -1: as it is */
	bool shares;           /* what others may is said */
	enum store_special use;
	const char *property, *why;
};

static bool
mailbox_wrong(struct mailbox_wanted *w, const char *property, const char *why)
{
	w->property = property;
	w->why = why;
	return false;
}

static bool
mailbox_role(struct mailbox_wanted *w, const struct json_t *v)
{
	static const char *const roles[] = { "drafts", "sent", "junk", "trash", "archive" };
	struct slice role = json_text(v);

	if (json_is(v, JSON_KIND_NULL))
		return true;
	for (unsigned i = 0; role.p && i < NELEM(roles); i++)
		if (slice_eq(role, slice_str(roles[i]))) {
			w->use = (enum store_special)(STORE_USE_DRAFTS + i);
			return true;
		}
	return mailbox_wrong(w, "role", "drafts, sent, junk, trash, archive, or null");
}

static bool
mailbox_property(struct call *c, struct mailbox_wanted *w, const struct folder *f,
    struct slice name, const struct json_t *v)
{
	bool flag = false;
	int64_t n;

	if (slice_eq(name, S("name"))) {
		w->leaf = json_text(v);
		w->moves = !f || !slice_eq(w->leaf, f->leaf);
		return w->leaf.n > 0 && slice_find(w->leaf, STORE_SEPARATOR) == w->leaf.n ?
		    true :
		    mailbox_wrong(w, "name", "a name without a slash is needed");
	}
	if (slice_eq(name, S("parentId"))) {
		w->parent = json_is(v, JSON_KIND_NULL) ? NULL : folders_find_id(c, json_text(v));
		w->moves = true;
		return json_is(v, JSON_KIND_NULL) || w->parent ?
		    true :
		    mailbox_wrong(w, "parentId", "there is no such mailbox");
	}
	if (slice_eq(name, S("isSubscribed"))) {
		if (!json_get_bool(v, &flag))
			return mailbox_wrong(w, "isSubscribed", "true or false");
		w->subscribe = flag;
		return true;
	}
	if (slice_eq(name, S("sortOrder")))
		return json_get_int(v, 0, INT32_MAX, &n) ||
		    mailbox_wrong(w, "sortOrder", "a whole number");
	if (slice_eq(name, S("role"))) {
		if (!f)
			return mailbox_role(w, v);
		return slice_eq(json_text(v), slice_str(folder_role(f) ? folder_role(f) : "")) ?
		    true :
		    mailbox_wrong(w, "role", "a mailbox keeps its role");
	}
	if (mailbox_shares_used(c) && mailbox_shares_named(name)) {
		w->shares = true;
		return true;
	}
	w->property = arena_cstr(&c->arena, slice_sub(name, 0, 100));
	w->why = "this cannot be set";
	return false;
}

/* The properties of a creation or an update; f NULL: a creation. */
static bool
mailbox_want(struct call *c, const struct json_t *v, const struct folder *f,
    struct mailbox_wanted *w)
{
	struct json_walk walk = { 0 };

	*w = (struct mailbox_wanted){ .subscribe = -1 };
	if (f) {
		w->leaf = f->leaf;
		w->parent = f->parent == FOLDER_NONE ? NULL : &call_folders(c)->list[f->parent];
	}
	if (!json_is(v, JSON_KIND_OBJECT))
		return mailbox_wrong(w, NULL, "an object is needed");
	while (json_next(v, &walk))
		if (!mailbox_property(c, w, f, walk.name, walk.value))
			return false;
	if (w->shares) {
		struct mailbox_shares s = { 0 };
		const char *why = mailbox_shares_read(c, f ? f->mailbox : 0, v, &s);

		if (why)
			return mailbox_wrong(w, "shareWith", why);
	}
	return w->leaf.n > 0 || mailbox_wrong(w, "name", "a name is needed");
}

/* The whole name, as stored would have it; false: it is none. */
static bool
mailbox_name(struct call *c, const struct mailbox_wanted *w, struct slice *name)
{
	char canonical[STORE_NAME_MAX + 1];
	char *whole = w->parent ?
	    arena_printf(&c->arena, SFMT "/" SFMT, SARG(w->parent->name), SARG(w->leaf)) :
	    arena_cstr(&c->arena, w->leaf);

	*name = slice_str(whole);
	return store_name_check(*name, canonical) == 0 && store_name_new_ok(*name);
}

static bool
mailbox_below(const struct folders *f, const struct folder *x, const struct folder *above)
{
	while (x && x != above)
		x = x->parent == FOLDER_NONE ? NULL : &f->list[x->parent];
	return x;
}

/* ---- create --------------------------------------------------------------------------------------------- */

static void
mailbox_created(struct call *c, struct mailbox_set *q)
{
	struct buf *b = &q->answer.created, id = { 0 };
	const struct folder *f = folders_find_mailbox(call_folders(c), q->made);

	if (!f) {
		set_refuse(&q->answer.not_created, q->id, "serverFail", NULL, "it is gone again");
		return;
	}
	jmap_id_write(&id, JMAP_MAILBOX, f->objectid);
	call_create(c, q->id, buf_get(&id));
	if (b->n)
		buf_char(b, ',');
	json_str(b, q->id);
	buf_lit(b, ":{");
	json_put_str(b, "id", buf_get(&id));
	json_put_i64(b, "sortOrder", mailbox_sort_order(f));
	json_put_i64(b, "totalEmails", 0);
	json_put_i64(b, "unreadEmails", 0);
	json_put_i64(b, "totalThreads", 0);
	json_put_i64(b, "unreadThreads", 0);
	mailbox_put_rights(b, c, f);
	if (json_none(json_find(q->value, S("isSubscribed"))))
		json_put_bool(b, "isSubscribed", f->subscribed);
	if (json_none(json_find(q->value, S("role"))) && folder_role(f))
		json_put_cstr(b, "role", folder_role(f));
	buf_char(b, '}');
	buf_fini(&id);
}

/* Is it below one that this call is still to make? */
static bool
mailbox_waits(struct call *c, const struct mailbox_set *q, const struct json_t *v)
{
	struct slice parent = json_text(json_find(v, S("parentId")));
	struct json_walk w = { 0 };

	if (parent.n < 2 || parent.p[0] != '#' || call_created(c, parent).p)
		return false;
	for (size_t i = 0; json_next(q->args.create, &w); i++)
		if (!q->done[i] && slice_eq(w.name, slice_from(parent, 1)))
			return w.value != v;
	return false;
}

static enum call_next
mailbox_create_one(struct call *c, struct mailbox_set *q)
{
	struct mailbox_wanted w;

	if (!mailbox_want(c, q->value, NULL, &w) || !mailbox_name(c, &w, &q->name)) {
		set_refuse(&q->answer.not_created, q->id, "invalidProperties",
		    w.property ? w.property : "name", w.why ? w.why : "this can be no name");
		return CALL_AGAIN;
	}
	q->subscribe = w.subscribe >= 0;
	q->subscribed = w.subscribe > 0;
	q->shares = w.shares;
	q->made = 0;
	store_create_start(jmapd.store, call_user(c)->id, q->name, w.use, call_op(c),
	    mailbox_set_done, c);
	return CALL_WAIT;
}

/* The next that can be made. */
static enum call_next
mailbox_create_next(struct call *c, struct mailbox_set *q)
{
	while (json_next(q->args.create, &q->walk)) {
		size_t i = q->at++;

		if (q->done[i] || mailbox_waits(c, q, q->walk.value))
			continue;
		q->done[i] = q->progress = true;
		q->id = q->walk.name;
		q->value = q->walk.value;
		return mailbox_create_one(c, q);
	}
	q->walk = (struct json_walk){ 0 };
	q->at = 0;
	if (!q->progress) {
		struct json_walk w = { 0 };

		for (size_t i = 0; json_next(q->args.create, &w); i++)
			if (!q->done[i])
				set_refuse(&q->answer.not_created, w.name, "invalidProperties",
				    "parentId", "the parents go round in a circle");
		q->step = MAILBOX_UPDATE;
	}
	q->progress = false;
	return CALL_AGAIN;
}

/* ---- update --------------------------------------------------------------------------------------------- */

static void
mailbox_updated(struct call *c, struct mailbox_set *q)
{
	struct buf *b = &q->answer.updated;
	const struct folder *f = folders_find_id(c, q->id);

	if (b->n)
		buf_char(b, ',');
	json_str(b, q->id);
	/* The order of mailboxes is ours: a client that has set it is told. */
	if (f && json_find(q->value, S("sortOrder")))
		buf_printf(b, ":{\"sortOrder\":%lld}", (long long)mailbox_sort_order(f));
	else
		buf_lit(b, ":null");
}

static enum call_next
mailbox_update_one(struct call *c, struct mailbox_set *q)
{
	struct folder *f = folders_find_id(c, q->id);
	struct mailbox_wanted w;
	struct buf *no = &q->answer.not_updated;

	if (!f) {
		set_refuse(no, q->id, "notFound", NULL, NULL);
		return CALL_AGAIN;
	}
	if (set_destroys(&q->args, q->id)) {
		set_refuse(no, q->id, "willDestroy", NULL, NULL);
		return CALL_AGAIN;
	}
	if (!mailbox_want(c, q->value, f, &w) || !mailbox_name(c, &w, &q->name)) {
		set_refuse(no, q->id, "invalidProperties", w.property ? w.property : "name",
		    w.why ? w.why : "this can be no name");
		return CALL_AGAIN;
	}
	if (w.parent && mailbox_below(call_folders(c), w.parent, f)) {
		set_refuse(no, q->id, "invalidProperties", "parentId", "it would be below itself");
		return CALL_AGAIN;
	}
	q->subscribe = w.subscribe >= 0;
	q->subscribed = w.subscribe > 0;
	q->shares = w.shares;
	if (!slice_eq(q->name, f->name) && slice_eq(f->name, S("INBOX"))) {
		set_refuse(no, q->id, "forbidden", NULL, "the inbox keeps its name");
		return CALL_AGAIN;
	}
	if (!slice_eq(q->name, f->name)) {
		store_rename_start(jmapd.store, call_user(c)->id, f->name, q->name, call_op(c),
		    mailbox_set_done, c);
		return CALL_WAIT;
	}
	q->answered = true; /* nothing is to be renamed */
	q->code = STORE_DONE;
	return CALL_AGAIN;
}

/* ---- destroy ---------------------------------------------------------------------------------------------- */

/* Why it cannot be, as the mailboxes are now; or NULL. */
static const char *
mailbox_destroy_why(struct call *c, const struct mailbox_set *q, const struct folder *f)
{
	const struct folders *all = call_folders(c);

	if (!f)
		return "notFound";
	if (slice_eq(f->name, S("INBOX")))
		return "forbidden";
	for (uint32_t i = 0; i < all->n; i++)
		if (all->list[i].parent != FOLDER_NONE && &all->list[all->list[i].parent] == f)
			return "mailboxHasChild";
	return f->exists > f->deleted && !q->remove_emails ? "mailboxHasEmail" : NULL;
}

/* stored looks at the same again, for others make, rename and fill mailboxes until it does. */
static enum call_next
mailbox_destroy_one(struct call *c, struct mailbox_set *q)
{
	struct folder *f = folders_find_id(c, q->id);
	const char *type = mailbox_destroy_why(c, q, f);

	if (type) {
		set_refuse(&q->answer.not_destroyed, q->id, type, NULL, NULL);
		return CALL_AGAIN;
	}
	q->name = slice_str(arena_cstr(&c->arena, f->name));
	store_delete_this_start(jmapd.store, call_user(c)->id, q->name, f->mailbox,
	    !q->remove_emails, call_op(c), mailbox_set_done, c);
	return CALL_WAIT;
}

/* Was it another mailbox when stored looked?  The table has been read anew: what is refused has its reason there now,
 * and what was renamed its name. */
static bool
mailbox_destroy_changed(struct call *c, const struct mailbox_set *q)
{
	const struct folder *f = folders_find_id(c, q->id);

	if (q->step != MAILBOX_DESTROY || (q->code != STORE_CANNOT && q->code != STORE_NOMAILBOX))
		return false;
	return mailbox_destroy_why(c, q, f) || !slice_eq(f->name, q->name);
}

/* ---- one after the other ------------------------------------------------------------------------------- */

/* The next change of what others may, of the mailbox as it is now: one that was made has its parent's.  False: there is
 * none. */
static bool
mailbox_set_share(struct call *c, struct mailbox_set *q)
{
	const struct folder *f = q->step == MAILBOX_UPDATE ? folders_find_id(c, q->id) : NULL;
	uint64_t mailbox = f ? f->mailbox : q->made;
	const struct mailbox_share *s;

	if (q->shares) {
		q->shares = false;
		q->shared = (struct mailbox_shares){ 0 };
		if (mailbox_shares_read(c, mailbox, q->value, &q->shared))
			q->shared.n = 0; /* it has been looked at before */
	}
	s = mailbox_shares_next(&q->shared);
	if (!s || !mailbox)
		return false;
	store_acl_start(jmapd.store, mailbox, slice_str(s->identifier), STORE_SET, s->wanted,
	    call_op(c), mailbox_set_done, c);
	return true;
}

/* stored has said yes or no to the mailbox in hand. */
static enum call_next
mailbox_set_settle(struct call *c, struct mailbox_set *q)
{
	static const size_t nos[] = { offsetof(struct set_answer, not_created),
		offsetof(struct set_answer, not_updated),
		offsetof(struct set_answer, not_destroyed) };
	struct buf *no = (struct buf *)(void *)((char *)&q->answer + nos[q->step]);

	q->answered = false;
	if (mailbox_destroy_changed(c, q))
		return mailbox_destroy_one(c, q);
	if (q->code != STORE_DONE) {
		bool name = q->code == STORE_EXISTS || q->code == STORE_BADNAME;

		set_refuse(no, q->id, name ? "invalidProperties" : set_error_of(q->code),
		    name ? "name" : NULL, q->text);
		q->subscribe = q->shares = false;
		q->shared.n = 0;
		return CALL_AGAIN;
	}
	if (q->subscribe) {
		q->subscribe = false;
		store_subscribe_start(jmapd.store, call_user(c)->id, q->name, q->subscribed,
		    call_op(c), mailbox_set_done, c);
		return CALL_WAIT;
	}
	if (mailbox_set_share(c, q))
		return CALL_WAIT;
	if (q->step == MAILBOX_CREATE) {
		mailbox_created(c, q);
	} else if (q->step == MAILBOX_UPDATE) {
		mailbox_updated(c, q);
	} else {
		if (q->answer.destroyed.n)
			buf_char(&q->answer.destroyed, ',');
		json_str(&q->answer.destroyed, q->id);
	}
	return CALL_AGAIN;
}

static enum call_next
mailbox_set_next(struct call *c, struct mailbox_set *q)
{
	if (q->step == MAILBOX_CREATE)
		return mailbox_create_next(c, q);
	if (q->step == MAILBOX_UPDATE) {
		if (json_next(q->args.update, &q->walk)) {
			q->id = q->walk.name;
			q->value = q->walk.value;
			return mailbox_update_one(c, q);
		}
		q->step = MAILBOX_DESTROY;
	}
	if (q->at < json_count(q->args.destroy)) {
		q->id = json_text(json_at(q->args.destroy, q->at++));
		return mailbox_destroy_one(c, q);
	}
	q->step = MAILBOX_OVER;
	return CALL_AGAIN;
}

static enum call_next
mailbox_set_go(struct call *c)
{
	struct mailbox_set *q = c->data;
	struct store_account a;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	store_end(call_view(c));
	if (!q->begun && !call_if_in_state(c, a.modseq, &next))
		return next;
	if (!q->begun)
		q->answer.old_state = a.modseq;
	q->begun = true;
	if (q->answered)
		return mailbox_set_settle(c, q);
	if (q->step == MAILBOX_OVER)
		return set_answer_write(c, &q->answer, a.modseq);
	return mailbox_set_next(c, q);
}

static void
mailbox_set_undo(struct call *c)
{
	struct mailbox_set *q = c->data;

	set_answer_fini(&q->answer);
}

const struct jmapd_method mailbox_set = { "Mailbox/set", JMAP_MAIL, sizeof(struct mailbox_set),
	mailbox_set_start, mailbox_set_go, mailbox_set_undo };
