/* jmapd/changes.c: Email/changes, Mailbox/changes, Thread/changes (RFC 8620 5.2, RFC 8621).
 *
 * lib/store/since reads the account's change log; here is the walk in slices, and the part of the answer that
 * maxChanges leaves.  A part ends with a modseq: what is left comes from there on.  A single change of more
 * objects than maxChanges cannot be told in parts: cannotCalculateChanges, and the client reads anew. */
#include <errno.h>
#include "base/clock.h"
#include "email.h"
#include "mailbox.h"
#include "store/since.h"

#define SLICE_US 4000

struct changes {
	struct jmapd_state since;
	int64_t most; /* 0: no limit */
	bool begun;
	struct store_boxes boxes;
	struct store_since s;
};

static enum call_next
changes_start(struct call *c)
{
	struct changes *k = c->data;
	struct slice since = { NULL, 0 };
	enum call_next next;

	if (!call_account_shared(c, &next))
		return next;
	if (!call_str(c, "sinceState", &since) || !since.p)
		return call_invalid(c, "sinceState: a string is needed");
	if (!call_int(c, "maxChanges", 1, JSON_INT_MOST, &k->most))
		return call_invalid(c, "maxChanges: a whole number above 0");
	if (!state_parse(since, &k->since))
		return call_error(c, "cannotCalculateChanges", "there was no such state");
	return CALL_AGAIN;
}

static struct store_since_change
changes_at(const struct buf *list, size_t i)
{
	struct store_since_change ch;

	memcpy(&ch, list->p + i * sizeof(ch), sizeof(ch));
	return ch;
}

/* How many of the changes are told: whole modseqs, `most` at most. */
static size_t
changes_part(const struct changes *k, const struct buf *list)
{
	size_t n = list->n / sizeof(struct store_since_change);

	if (k->most == 0 || n <= (size_t)k->most)
		return n;
	n = (size_t)k->most;
	while (n > 0 && changes_at(list, n - 1).modseq == changes_at(list, n).modseq)
		n--;
	return n;
}

static void
changes_put_ids(struct buf *b, const char *name, const struct buf *list, size_t n,
    enum store_since_what what, enum jmap_letter letter)
{
	json_put_array(b, name);
	for (size_t i = 0; i < n; i++) {
		struct store_since_change ch = changes_at(list, i);

		if (ch.what != what)
			continue;
		json_element(b);
		jmap_id_json(b, letter, ch.id);
	}
	buf_char(b, ']');
}

/* Only numbers have changed (RFC 8621 2.2): a client need not ask for the rest. */
static void
changes_put_properties(struct buf *b, const struct buf *list, size_t n)
{
	bool counts = true;

	for (size_t i = 0; i < n; i++) {
		struct store_since_change ch = changes_at(list, i);

		counts = counts && (ch.what != STORE_SINCE_UPDATED || ch.counts);
	}
	json_key(b, "updatedProperties");
	buf_str(b,
	    counts ? "[\"totalEmails\",\"unreadEmails\",\"totalThreads\",\"unreadThreads\"]" :
		     "null");
}

static enum call_next
changes_answer(struct call *c, struct changes *k, const struct buf *list, enum jmap_letter letter)
{
	struct buf *b = call_out(c);
	size_t all = list->n / sizeof(struct store_since_change), n = changes_part(k, list);

	if (n == 0 && all > 0)
		return call_error(c, "cannotCalculateChanges",
		    "one change is of more than maxChanges");
	call_answer(c);
	call_put_account(c);
	call_put_state(c, "oldState", k->since.modseq);
	call_put_state(c, "newState", n < all ? changes_at(list, n - 1).modseq : k->s.modseq);
	json_put_bool(b, "hasMoreChanges", n < all);
	changes_put_ids(b, "created", list, n, STORE_SINCE_CREATED, letter);
	changes_put_ids(b, "updated", list, n, STORE_SINCE_UPDATED, letter);
	changes_put_ids(b, "destroyed", list, n, STORE_SINCE_DESTROYED, letter);
	if (letter == JMAP_MAILBOX)
		changes_put_properties(b, list, n);
	return call_end(c);
}

static enum call_next
changes_begin(struct call *c, struct changes *k, const struct store_account *a)
{
	int rc;

	k->begun = true;
	if (k->since.life != call_life(c)) {
		store_end(call_view(c));
		return call_error(c, "cannotCalculateChanges", "that was another account");
	}
	store_boxes_load(call_view(c), a->id, &k->boxes);
	rc = store_since_begin(&k->s, call_view(c), slice_str(c->of.name), &k->boxes,
	    k->since.modseq);
	if (rc == 0)
		return CALL_AGAIN;
	store_end(call_view(c));
	return rc == -ENOENT || rc == -EINVAL ?
	    call_error(c, "cannotCalculateChanges", "the log does not reach back so far") :
	    call_failed(c, rc);
}

/* The log has what a guest must not know of: he is told when all is as it was, and looks anew otherwise. */
static enum call_next
changes_guest(struct call *c, struct changes *k, enum jmap_letter letter)
{
	const struct buf none = { 0 };
	struct store_account a;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	store_end(call_view(c));
	if (k->since.life != call_life(c) || k->since.modseq != a.modseq)
		return call_error(c, "cannotCalculateChanges", "of another's account");
	k->s.modseq = a.modseq;
	return changes_answer(c, k, &none, letter);
}

static enum call_next
changes_go(struct call *c, enum jmap_letter letter)
{
	struct changes *k = c->data;
	struct store_account a;
	bool over;
	int rc;

	if (c->of.guest)
		return changes_guest(c, k, letter);
	rc = call_begin(c, &a);
	if (rc < 0)
		return call_failed(c, rc);
	if (!k->begun && changes_begin(c, k, &a) == CALL_DONE)
		return CALL_DONE;
	over = store_since_go(&k->s, call_view(c), clock_mono_us() + SLICE_US);
	store_end(call_view(c));
	if (!over)
		return CALL_AGAIN;
	if (letter == JMAP_MAILBOX && k->s.unknown)
		return call_error(c, "cannotCalculateChanges",
		    "a mailbox was deleted by an older version");
	return changes_answer(c, k,
	    letter == JMAP_EMAIL      ? &k->s.emails :
		letter == JMAP_THREAD ? &k->s.threads :
					&k->s.mailboxes,
	    letter);
}

static enum call_next
changes_go_email(struct call *c)
{
	return changes_go(c, JMAP_EMAIL);
}

static enum call_next
changes_go_thread(struct call *c)
{
	return changes_go(c, JMAP_THREAD);
}

static enum call_next
changes_go_mailbox(struct call *c)
{
	return changes_go(c, JMAP_MAILBOX);
}

static void
changes_undo(struct call *c)
{
	struct changes *k = c->data;

	store_since_fini(&k->s);
	store_boxes_fini(&k->boxes);
}

const struct jmapd_method email_changes = { "Email/changes", JMAP_MAIL, sizeof(struct changes),
	changes_start, changes_go_email, changes_undo };
const struct jmapd_method thread_changes = { "Thread/changes", JMAP_MAIL, sizeof(struct changes),
	changes_start, changes_go_thread, changes_undo };
const struct jmapd_method mailbox_changes = { "Mailbox/changes", JMAP_MAIL, sizeof(struct changes),
	changes_start, changes_go_mailbox, changes_undo };
