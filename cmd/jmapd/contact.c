/* jmapd/contact.c: the person's address book read, and its states, for the methods.  See contact.h.
 *
 *	who is it (now) -> the person's tree -> go
 *
 * Can fail: the directory.  Then nothing was done, and the call is told serverUnavailable, or serverFail when the
 * directory shows something that cannot be. */
#include "contact.h"

#include "base/log.h"

#define KNOWN_MS 1000 /* whose entry it is must be so by now */

bool
contacts_served(struct call *c, enum call_next *next)
{
	if (jmapd.pab)
		return call_account(c, next);
	*next = call_error(c, "unknownMethod", NULL);
	return false;
}

static void
contacts_fail(struct call *c, const char *error, const char *why)
{
	struct contacts *k = c->data;

	k->error = error;
	k->why = why;
}

static void
contacts_listed(void *arg, const struct pab_listed *l)
{
	struct call *c = arg;
	struct contacts *k = c->data;

	log_context(c->s->sid);
	if (l->result == DIR_R_OK)
		k->listed = pab_listed_copy(l, &c->arena);
	else if (l->result == DIR_R_AWAY || l->result == DIR_R_UNKNOWN)
		contacts_fail(c, "serverUnavailable", "the address book is away");
	else if (l->result == DIR_R_CHANGED)
		contacts_fail(c, "serverFail",
		    "the address book is another's, who had this name before");
	else
		contacts_fail(c, "serverFail", "the address book cannot be read");
	if (k->error)
		log_event(LOG_WARN, "jmap_pab", "sid=%s user=%s why=%s", c->s->sid,
		    call_user(c)->account, log_str(l->why));
	call_resume(c, CALL_AGAIN);
}

static void
contacts_known(void *arg, const struct dir_answer *a)
{
	struct call *c = arg;
	struct contacts *k = c->data;

	log_context(c->s->sid);
	if (a->v.kind == OK && a->user) {
		k->dn = arena_slice(&c->arena, a->user->dn);
		k->life = arena_slice(&c->arena, a->user->uuid);
		pab_list_start(jmapd.pab, k->dn, k->life, k->contents, call_op(c), contacts_listed,
		    c);
		return;
	}
	contacts_fail(c, "serverUnavailable", "the directory does not know the account now");
	call_resume(c, CALL_AGAIN);
}

enum call_next
contacts_read(struct call *c, bool contents)
{
	struct contacts *k = c->data;

	k->contents = contents;
	k->listed = NULL;
	if (k->dn.n)
		pab_list_start(jmapd.pab, k->dn, k->life, contents, call_op(c), contacts_listed, c);
	else
		dir_login_now_start(jmapd.dir, slice_str(call_user(c)->account), KNOWN_MS,
		    call_op(c), contacts_known, c);
	return CALL_WAIT;
}

bool
contacts_failed(struct call *c, enum call_next *next)
{
	struct contacts *k = c->data;

	if (!k->error)
		return false;
	*next = call_error(c, k->error, k->why);
	return true;
}

/* ---- states ------------------------------------------------------------------------------------------- */

static void
contacts_state(struct call *c, enum pab_kind kind, struct buf *b)
{
	struct contacts *k = c->data;
	struct pab_state s;

	pab_state_of(k->listed, kind, &s);
	pab_state_write(b, &s);
}

void
contacts_put_state(struct call *c, const char *name, enum pab_kind kind)
{
	json_key(call_out(c), name);
	buf_char(call_out(c), '"');
	contacts_state(c, kind, call_out(c));
	buf_char(call_out(c), '"');
}

bool
contacts_if_in_state(struct call *c, enum pab_kind kind, enum call_next *next)
{
	struct contacts *k = c->data;
	struct slice want = { NULL, 0 };
	struct pab_state then, now;

	if (!call_str(c, "ifInState", &want)) {
		*next = call_invalid(c, "ifInState: a string, or null");
		return false;
	}
	pab_state_of(k->listed, kind, &now);
	if (!want.p || (pab_state_parse(want, &then) == 0 && pab_state_eq(&then, &now)))
		return true;
	*next = call_error(c, "stateMismatch", NULL);
	return false;
}

static void
contacts_put_ids(struct call *c, const char *name, const struct slice *ids, size_t n)
{
	json_put_array(call_out(c), name);
	for (size_t i = 0; i < n; i++) {
		json_element(call_out(c));
		json_str(call_out(c), ids[i]);
	}
	buf_char(call_out(c), ']');
}

enum call_next
contacts_changes(struct call *c, enum pab_kind kind)
{
	struct contacts *k = c->data;
	struct slice since = { NULL, 0 };
	struct pab_state then;
	struct pab_changes ch;
	int64_t most = 0;
	enum call_next next;

	if (contacts_failed(c, &next))
		return next;
	if (!call_str(c, "sinceState", &since) || !since.p ||
	    !call_int(c, "maxChanges", 1, JSON_INT_MOST, &most))
		return call_invalid(c,
		    "sinceState: a string is needed; maxChanges: a positive number");
	if (pab_state_parse(since, &then) < 0 ||
	    !pab_changes_since(k->listed, kind, &then, &c->arena, &ch))
		return call_error(c, "cannotCalculateChanges", "that state cannot be gone back to");
	if (most && (int64_t)(ch.ncreated + ch.nupdated + ch.ndestroyed) > most)
		return call_error(c, "cannotCalculateChanges", "there are more than maxChanges");
	call_answer(c);
	call_put_account(c);
	json_put_str(call_out(c), "oldState", since);
	contacts_put_state(c, "newState", kind);
	json_put_bool(call_out(c), "hasMoreChanges", false);
	contacts_put_ids(c, "created", ch.created, ch.ncreated);
	contacts_put_ids(c, "updated", ch.updated, ch.nupdated);
	contacts_put_ids(c, "destroyed", ch.destroyed, ch.ndestroyed);
	return call_end(c);
}

/* ---- methods that are no more than that -------------------------------------------------------------- */

static enum call_next
contacts_changes_start(struct call *c)
{
	enum call_next next;

	return contacts_served(c, &next) ? contacts_read(c, false) : next;
}

static enum call_next
addressbook_changes_go(struct call *c)
{
	return contacts_changes(c, PAB_BOOK);
}

static enum call_next
contact_changes_go(struct call *c)
{
	return contacts_changes(c, PAB_CARD);
}

/* One reads the list anew: it is as cheap. */
static enum call_next
no_changes_start(struct call *c)
{
	enum call_next next;

	return contacts_served(c, &next) ? call_error(c, "cannotCalculateChanges", NULL) : next;
}

/* RFC 8620 5.4: from another account; a person has one. */
static enum call_next
contact_copy_start(struct call *c)
{
	struct slice from = { NULL, 0 };
	enum call_next next;

	if (!contacts_served(c, &next))
		return next;
	if (!call_str(c, "fromAccountId", &from) || !from.p)
		return call_invalid(c, "fromAccountId: a string is needed");
	if (slice_eq(from, slice_str(call_user(c)->account_id)))
		return call_invalid(c, "fromAccountId is accountId");
	return call_error(c, "fromAccountNotFound", NULL);
}

const struct jmapd_method addressbook_changes = { "AddressBook/changes", JMAP_CONTACTS,
	sizeof(struct contacts), contacts_changes_start, addressbook_changes_go, NULL };
const struct jmapd_method contact_changes = { "ContactCard/changes", JMAP_CONTACTS,
	sizeof(struct contacts), contacts_changes_start, contact_changes_go, NULL };
const struct jmapd_method contact_query_changes = { "ContactCard/queryChanges", JMAP_CONTACTS, 0,
	no_changes_start, NULL, NULL };
const struct jmapd_method contact_copy = { "ContactCard/copy", JMAP_CONTACTS, 0, contact_copy_start,
	NULL, NULL };
