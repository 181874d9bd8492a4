/* jmapd/contact-set.c: AddressBook/set and ContactCard/set (RFC 9610 2.3, 3.5), an object after the other.
 *
 *	READ -> NEXT -> decide -> write -> NEXT ... -> NOTE (what goes is noted) -> remove ... -> READ again -> answer
 *	          ^--- READ ----- somebody else was faster
 *
 * Each change asserts the entry as it was read (pab.h), so nothing that others have changed is lost; after TRIES it is
 * refused.  A book that is destroyed with its contents (onDestroyRemoveContents) has its contacts taken out of it
 * first, and those that are in no other removed.  Must stay true: the removals are noted before they are done, and
 * the answer's newState is of what is there then. */
#include "contact-set.h"

#include "base/log.h"

#define TRIES     8
#define BOOKS_MAX 50
#define OCTETS_MAX                                                                                 \
	(24 * 1024 * 1024) /* of all contents: well under what an answer of slapd may hold */

static void
set_undo(struct call *c)
{
	struct contacts_set *q = c->data;

	set_answer_fini(&q->answer);
	contact_wish_free(&q->wish);
	buf_fini(&q->old_state);
	arena_reset(&q->scratch);
}

static enum call_next
set_start(struct call *c, enum pab_kind kind)
{
	struct contacts_set *q = c->data;
	enum call_next next;

	q->kind = kind;
	if (!contacts_served(c, &next) || !set_args_read(c, &q->args, &next))
		return next;
	if (!call_bool(c, "onDestroyRemoveContents", &q->contents))
		return call_invalid(c, "onDestroyRemoveContents: a boolean");
	if (!call_str(c, "onSuccessSetIsDefault", &q->first))
		return call_invalid(c, "onSuccessSetIsDefault: an id, or null");
	return contacts_read(c, true);
}

/* ---- one change ------------------------------------------------------------------------------------- */

static void
set_written(void *arg, enum dir_result r, const char *why)
{
	struct call *c = arg;
	struct contacts_set *q = c->data;

	log_context(c->s->sid);
	if (r == DIR_R_OK || r == DIR_R_UNKNOWN)
		q->changed = true;
	if (r == DIR_R_OK) {
		metric_add(M_CONTACTS, 1);
	} else if (r == DIR_R_CHANGED && ++q->tries < TRIES) {
		q->again = true; /* read anew, and decided again */
		contact_wish_free(&q->wish);
		(void)contacts_read(c, true);
		return;
	} else {
		log_event(LOG_WARN, "jmap_pab", "sid=%s user=%s entry=%s why=%s", c->s->sid,
		    call_user(c)->account, log_value(q->write.id), log_str(why));
	}
	q->tries = 0;
	q->again = false;
	q->told(c, r, why);
	contact_wish_free(&q->wish);
	call_resume(c, CALL_AGAIN);
}

enum call_next
contacts_set_write(struct call *c, void (*told)(struct call *, enum dir_result, const char *))
{
	struct contacts_set *q = c->data;

	q->told = told;
	pab_write_start(jmapd.pab, q->k.dn, &q->write, call_op(c), set_written, c);
	return CALL_WAIT;
}

const char *
contacts_set_why(enum dir_result r)
{
	if (r == DIR_R_UNKNOWN)
		return "the directory gave no answer: it may have been done";
	if (r == DIR_R_AWAY)
		return "the directory is away: nothing was done";
	return r == DIR_R_CHANGED ? "it is changed all the time" :
				    "the directory does not take the change";
}

/* The next member of create or update, or the one in hand once more. */
static bool
set_next(struct contacts_set *q, const struct json_t *of)
{
	arena_reset(&q->scratch);
	return q->again ? (q->again = false, true) : json_next(of, &q->walk);
}

void
contacts_set_step(struct contacts_set *q, enum set_step step)
{
	q->step = step;
	q->walk = (struct json_walk){ 0 };
	q->at = 0;
}

static bool
set_wish(struct call *c, const struct pab_entry *was)
{
	struct contacts_set *q = c->data;

	contact_wish_free(&q->wish);
	return q->kind == PAB_CARD ?
	    contact_wish_read(c, &q->wish, was, q->walk.value, &q->scratch) :
	    addressbook_wish_read(c, &q->wish, was, q->walk.value, &q->scratch);
}

static void
set_wish_refused(struct contacts_set *q, struct buf *list)
{
	set_refuse(list, q->walk.name, q->wish.type, q->wish.property, q->wish.why);
	contact_wish_free(&q->wish);
}

/* ---- create --------------------------------------------------------------------------------------------- */

static void
create_told(struct call *c, enum dir_result r, const char *why UNUSED)
{
	struct contacts_set *q = c->data;
	struct buf *b = &q->answer.created;

	if (r != DIR_R_OK) {
		set_refuse(&q->answer.not_created, q->walk.name, contact_error_of(r), NULL,
		    contacts_set_why(r));
		return;
	}
	q->there++;
	json_member(b, q->walk.name);
	buf_char(b, '{');
	json_put_str(b, "id", q->write.id);
	if (q->wish.uid.p)
		json_put_str(b, "uid", q->wish.uid);
	if (q->kind == PAB_CARD && !json_find(q->wish.wish, S("version")))
		json_put_cstr(b, "version", "1.0");
	if (q->kind == PAB_BOOK)
		buf_lit(b,
		    ",\"isDefault\":false,\"myRights\":{\"mayRead\":true,\"mayWrite\":true,"
		    "\"mayShare\":false,\"mayDelete\":true}");
	buf_char(b, '}');
	call_create(c, q->walk.name, q->write.id);
}

size_t
contacts_set_books(const struct pab_listed *l)
{
	size_t n = 0;

	while (n < l->n && l->entries[n].kind == PAB_BOOK)
		n++;
	return n;
}

/* Is there room for the content in hand, in the place of so many octets?  Then it counts. */
static bool
set_room(struct contacts_set *q, size_t was)
{
	struct buf text = { 0 };
	uint64_t octets;

	json_write(&text, q->wish.content);
	octets = q->octets + text.n - was;
	buf_fini(&text);
	if (octets > OCTETS_MAX)
		return false;
	q->octets = octets;
	return true;
}

static bool
create_room(struct contacts_set *q)
{
	return q->there < PAB_ENTRIES_MAX && set_room(q, 0) &&
	    (q->kind == PAB_CARD ||
		contacts_set_books(q->k.listed) + json_count(q->args.create) <= BOOKS_MAX);
}

static enum call_next
set_create(struct call *c)
{
	struct contacts_set *q = c->data;

	if (!set_next(q, q->args.create)) {
		contacts_set_step(q, SET_UPDATE);
		return CALL_AGAIN;
	}
	if (!set_wish(c, NULL)) {
		set_wish_refused(q, &q->answer.not_created);
		return CALL_AGAIN;
	}
	if (!create_room(q)) {
		set_refuse(&q->answer.not_created, q->walk.name, "overQuota", NULL,
		    "the address book is full");
		contact_wish_free(&q->wish);
		return CALL_AGAIN;
	}
	q->write = (struct pab_write){ .how = PAB_CREATE,
		.kind = q->kind,
		.id = pab_id_new(q->kind, &c->arena),
		.content = q->wish.content,
		.books = q->wish.books,
		.nbooks = q->wish.nbooks };
	return contacts_set_write(c, create_told);
}

/* ---- update --------------------------------------------------------------------------------------------- */

static void
update_told(struct call *c, enum dir_result r, const char *why UNUSED)
{
	struct contacts_set *q = c->data;
	struct buf *b = &q->answer.updated;

	if (r != DIR_R_OK) {
		set_refuse(&q->answer.not_updated, q->walk.name, contact_error_of(r), NULL,
		    contacts_set_why(r));
		return;
	}
	json_member(b, q->walk.name);
	if (!q->wish.uid.p) {
		buf_lit(b, "null");
		return;
	}
	buf_char(b, '{');
	json_put_str(b, "uid", q->wish.uid);
	buf_char(b, '}');
}

static enum call_next
set_update(struct call *c)
{
	struct contacts_set *q = c->data;
	const struct pab_entry *was;

	if (!set_next(q, q->args.update)) {
		contacts_set_step(q, q->contents && q->kind == PAB_BOOK ? SET_EMPTY : SET_NOTE);
		return CALL_AGAIN;
	}
	was = pab_listed_find(q->k.listed, q->kind, q->walk.name);
	if (!was || set_destroys(&q->args, q->walk.name)) {
		set_refuse(&q->answer.not_updated, q->walk.name, was ? "willDestroy" : "notFound",
		    NULL, NULL);
		return CALL_AGAIN;
	}
	if (!set_wish(c, was)) {
		set_wish_refused(q, &q->answer.not_updated);
		return CALL_AGAIN;
	}
	if (!set_room(q, was->content.n)) {
		set_refuse(&q->answer.not_updated, q->walk.name, "overQuota", NULL,
		    "the address book is full");
		contact_wish_free(&q->wish);
		return CALL_AGAIN;
	}
	q->write = (struct pab_write){ .how = PAB_CHANGE,
		.kind = q->kind,
		.id = was->id,
		.csn = was->csn,
		.content = q->wish.content,
		.books = q->wish.books,
		.nbooks = q->wish.nbooks };
	return contacts_set_write(c, update_told);
}

/* ---- the beginning -------------------------------------------------------------------------------------- */

static enum call_next
set_first(struct call *c)
{
	struct contacts_set *q = c->data;
	const struct pab_listed *l = q->k.listed;
	struct pab_state s;
	enum call_next next;

	if (!contacts_if_in_state(c, q->kind, &next))
		return next;
	pab_state_of(l, q->kind, &s);
	pab_state_write(&q->old_state, &s);
	q->there = l->n;
	for (size_t i = 0; i < l->n; i++)
		q->octets += l->entries[i].content.n;
	contacts_set_dying(c, q);
	contacts_set_step(q, SET_CREATE);
	return CALL_AGAIN;
}

/* ---- the default ------------------------------------------------------------------------------------------ */

static void
default_told(struct call *c UNUSED, enum dir_result r UNUSED, const char *why UNUSED)
{
	/* The answer is of what was created, updated and destroyed; isDefault is to be read. */
}

/* The content with isDefault as it shall be, or NULL when it is so. */
static struct json_t *
default_content(const struct pab_entry *e, bool first)
{
	struct json_t *is = contact_content(e), *v = NULL;
	struct json_walk w = { 0 };
	struct buf b = { 0 };
	const char *why;
	bool was = false;

	buf_char(&b, '{');
	while (json_next(is, &w))
		if (slice_eq(w.name, S("isDefault"))) {
			was = true;
		} else {
			json_member(&b, w.name);
			json_write(&b, w.value);
		}
	if (first)
		json_put_bool(&b, "isDefault", true);
	buf_char(&b, '}');
	if (!is || was == first || json_read(buf_get(&b), &pab_card_bounds, &v, &why) < 0)
		v = NULL;
	json_free(&is);
	buf_fini(&b);
	return v;
}

/* RFC 9610 2.3: when all else has been done. */
static enum call_next
set_default(struct call *c)
{
	struct contacts_set *q = c->data;
	const struct pab_entry *e;

	if (q->answer.not_created.n || q->answer.not_updated.n || q->answer.not_destroyed.n ||
	    !q->first.p || !call_created(c, q->first).p) {
		contacts_set_step(q, SET_ANSWER);
		return CALL_AGAIN;
	}
	if (!q->reread) {
		q->reread = true;
		return contacts_read(c, true);
	}
	if (q->again)
		q->at = 0;
	q->again = false;
	contact_wish_free(&q->wish);
	if (!pab_listed_find(q->k.listed, PAB_BOOK, call_created(c, q->first)) ||
	    q->at >= contacts_set_books(q->k.listed)) {
		contacts_set_step(q, SET_ANSWER);
		return CALL_AGAIN;
	}
	e = &q->k.listed->entries[q->at++];
	q->wish.content = default_content(e, slice_eq(e->id, call_created(c, q->first)));
	if (!q->wish.content)
		return CALL_AGAIN;
	q->write = (struct pab_write){ .how = PAB_CHANGE,
		.kind = PAB_BOOK,
		.id = e->id,
		.csn = e->csn,
		.content = q->wish.content };
	return contacts_set_write(c, default_told);
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static enum call_next
contacts_set_answer(struct call *c)
{
	struct contacts_set *q = c->data;

	if (q->changed) {
		q->changed = false;
		return contacts_read(c, false);
	}
	call_answer(c);
	call_put_account(c);
	json_put_str(call_out(c), "oldState", buf_get(&q->old_state));
	contacts_put_state(c, "newState", q->kind);
	return set_answer_lists(c, &q->answer);
}

static enum call_next
set_one(struct call *c)
{
	struct contacts_set *q = c->data;

	switch (q->step) {
	case SET_FIRST: return set_first(c);
	case SET_CREATE: return set_create(c);
	case SET_UPDATE: return set_update(c);
	case SET_EMPTY: return contacts_set_empty(c);
	case SET_NOTE: return contacts_set_note(c);
	case SET_DESTROY: return contacts_set_destroy(c);
	case SET_DEFAULT: return set_default(c);
	case SET_ANSWER: break;
	}
	return contacts_set_answer(c);
}

/* What has been changed by now cannot be told when the directory goes: RFC 8620 3.6.2, serverPartialFail. */
static enum call_next
set_go(struct call *c)
{
	struct contacts_set *q = c->data;
	enum call_next next;

	if (q->k.error && q->changed)
		q->k.error = "serverPartialFail";
	if (contacts_failed(c, &next))
		return next;
	do
		next = set_one(c);
	while (next == CALL_AGAIN && !call_spent(c));
	return next;
}

static enum call_next
addressbook_set_start(struct call *c)
{
	return set_start(c, PAB_BOOK);
}

static enum call_next
contact_set_start(struct call *c)
{
	return set_start(c, PAB_CARD);
}

const struct jmapd_method addressbook_set = { "AddressBook/set", JMAP_CONTACTS,
	sizeof(struct contacts_set), addressbook_set_start, set_go, set_undo };
const struct jmapd_method contact_set = { "ContactCard/set", JMAP_CONTACTS,
	sizeof(struct contacts_set), contact_set_start, set_go, set_undo };
