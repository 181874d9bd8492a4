/* jmapd/query-changes.c: Email/queryChanges (RFC 8621 4.5), and Mailbox/queryChanges, which cannot be calculated.
 *
 * The query is made as it is now; what has changed since the client's state says which of its results may be new or
 * elsewhere: each of these is told as removed, and as added where it stands, as RFC 8620 5.6 has it for properties
 * that can change.  Where one email's change moves another of its thread (collapseThreads, conditions and
 * sorts by the thread's keywords) that is so for all emails of the thread.
 * Cost: the query, and the changes with their threads, each once. */
#include <errno.h>
#include "base/clock.h"
#include "email-query.h"
#include "idset.h"
#include "mailbox.h"
#include "store/since.h"

#define SLICE_US 4000

struct query_changes {
	struct email_query query; /* first: email-query.h */
	struct jmapd_state since;
	int64_t most; /* -1: no limit */
	bool begun, walked, by_threads;
	size_t email_at, thread_at; /* of what has changed */
	struct store_boxes boxes;
	struct store_since s;
	struct idset changed, threads;
	struct buf removed; /* ids, uint64_t */
};

static enum call_next
query_changes_start(struct call *c)
{
	struct query_changes *k = c->data;
	struct slice since = { NULL, 0 };
	enum call_next next = email_query_start(c);

	if (next != CALL_AGAIN)
		return next;
	k->most = -1;
	if (!call_str(c, "sinceQueryState", &since) || !since.p)
		return call_invalid(c, "sinceQueryState: a string is needed");
	if (!call_int(c, "maxChanges", 0, JSON_INT_MOST, &k->most))
		return call_invalid(c, "maxChanges: a whole number");
	if (!state_parse(since, &k->since))
		return call_error(c, "cannotCalculateChanges", "there was no such state");
	return CALL_AGAIN;
}

/* ---- what has changed ---------------------------------------------------------------------------- */

static bool
query_by_threads(const struct email_query *q)
{
	const struct query_sort *s = &q->rows->sort;

	for (size_t i = 0; i < s->n; i++)
		if (s->keys[i].by >= SORT_ALL)
			return true;
	return q->collapse || q->filters.nthreads;
}

static struct store_since_change
query_change_at(const struct buf *list, size_t at)
{
	struct store_since_change ch;

	memcpy(&ch, list->p + at, sizeof(ch));
	return ch;
}

static void
query_change_remove(struct query_changes *k, uint64_t id)
{
	if (idset_add(&k->changed, id))
		buf_add(&k->removed, &id, sizeof(id));
}

/* All emails of a thread may stand elsewhere. */
static void
query_change_thread(struct call *c, struct query_changes *k, uint64_t thread)
{
	struct buf emails = { 0 };
	struct store_thread_email e;

	if (thread == 0 || !idset_add(&k->threads, thread))
		return;
	store_thread_emails(call_view(c), &k->boxes, thread, &emails);
	for (size_t at = 0; at < emails.n; at += sizeof(e)) {
		memcpy(&e, emails.p + at, sizeof(e));
		query_change_remove(k, e.emailid);
	}
	buf_fini(&emails);
}

/* Behind the walk, in as many snapshots as it takes: false, when the slice is over.  An email's thread stays what it
 * is, and what changes meanwhile is behind the state that is told. */
static bool
query_changes_collect(struct call *c, struct query_changes *k)
{
	const size_t size = sizeof(struct store_since_change);

	for (; k->email_at < k->s.emails.n; k->email_at += size) {
		struct store_since_change ch = query_change_at(&k->s.emails, k->email_at);

		if (call_spent(c))
			return false;
		query_change_remove(k, ch.id);
		if (k->by_threads && ch.what != STORE_SINCE_DESTROYED)
			query_change_thread(c, k,
			    store_email_thread(call_view(c), &k->boxes, ch.id));
	}
	for (; k->by_threads && k->thread_at < k->s.threads.n; k->thread_at += size) {
		struct store_since_change ch = query_change_at(&k->s.threads, k->thread_at);

		if (call_spent(c))
			return false;
		if (ch.what != STORE_SINCE_DESTROYED)
			query_change_thread(c, k, ch.id);
	}
	return true;
}

static int
query_changes_begin(struct call *c, struct query_changes *k, const struct store_account *a)
{
	if (c->of.guest || k->since.life != call_life(c))
		return -EINVAL;
	k->begun = true;
	k->by_threads = query_by_threads(&k->query);
	store_boxes_load(call_view(c), a->id, &k->boxes);
	return store_since_begin(&k->s, call_view(c), slice_str(c->of.name), &k->boxes,
	    k->since.modseq);
}

/* ---- the answer ------------------------------------------------------------------------------------ */

static enum call_next
query_changes_answer(struct call *c, struct query_changes *k)
{
	const struct query_sort *s = &k->query.rows->sort;
	struct buf *b = call_out(c);
	size_t n = k->removed.n / sizeof(uint64_t);

	call_answer(c);
	call_put_account(c);
	call_put_state(c, "oldQueryState", k->since.modseq);
	call_put_state(c, "newQueryState", k->query.modseq);
	if (k->query.window.total)
		json_put_i64(b, "total", (int64_t)s->nrows);
	json_put_array(b, "removed");
	for (size_t at = 0; at < k->removed.n; at += sizeof(uint64_t)) {
		uint64_t id;

		memcpy(&id, k->removed.p + at, sizeof(id));
		json_element(b);
		jmap_id_json(b, JMAP_EMAIL, id);
	}
	buf_char(b, ']');
	json_put_array(b, "added");
	for (size_t i = 0; i < s->nrows; i++) {
		if (!idset_has(&k->changed, query_sort_at(s, i)->id))
			continue;
		n++;
		json_element(b);
		buf_char(b, '{');
		json_key(b, "id");
		jmap_id_json(b, JMAP_EMAIL, query_sort_at(s, i)->id);
		json_put_i64(b, "index", (int64_t)i);
		buf_char(b, '}');
	}
	buf_char(b, ']');
	if (k->most >= 0 && n > (size_t)k->most)
		return call_error(c, "tooManyChanges", NULL);
	return call_end(c);
}

static enum call_next
query_changes_go(struct call *c)
{
	struct query_changes *k = c->data;
	struct store_account a;
	bool over;
	int rc;

	if (k->query.stage != QUERY_READY) {
		enum call_next next = email_query_run(c);

		if (next != CALL_DONE || k->query.stage != QUERY_READY)
			return next;
	}
	rc = call_begin(c, &a);
	if (rc < 0)
		return call_failed(c, rc);
	if (!k->begun)
		rc = query_changes_begin(c, k, &a);
	if (rc < 0) {
		store_end(call_view(c));
		return rc == -ENOENT || rc == -EINVAL ?
		    call_error(c, "cannotCalculateChanges", "the log does not reach back so far") :
		    call_failed(c, rc);
	}
	if (!k->walked)
		k->walked = store_since_go(&k->s, call_view(c), clock_mono_us() + SLICE_US);
	over = k->walked && query_changes_collect(c, k);
	store_end(call_view(c));
	return over ? query_changes_answer(c, k) : CALL_AGAIN;
}

static void
query_changes_undo(struct call *c)
{
	struct query_changes *k = c->data;

	store_since_fini(&k->s);
	store_boxes_fini(&k->boxes);
	idset_fini(&k->changed);
	idset_fini(&k->threads);
	buf_fini(&k->removed);
	email_query_undo(c);
}

const struct jmapd_method email_query_changes = { "Email/queryChanges", JMAP_MAIL,
	sizeof(struct query_changes), query_changes_start, query_changes_go, query_changes_undo };

/* Mailbox/query says that it cannot. */
static enum call_next
mailbox_query_changes_start(struct call *c)
{
	enum call_next next;

	return call_account_shared(c, &next) ? call_error(c, "cannotCalculateChanges", NULL) : next;
}

const struct jmapd_method mailbox_query_changes = { "Mailbox/queryChanges", JMAP_MAIL, 0,
	mailbox_query_changes_start, NULL, NULL };
