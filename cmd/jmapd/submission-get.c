/* jmapd/submission-get.c: EmailSubmission/get, /changes and /queryChanges (RFC 8621 7.1, 7.2, 7.4): of those that are
 * kept, which are those that were sent later.  One that went at once was over when it was answered.
 *
 * A submission that has waited becomes final by the clock, and nobody writes that down: the state has the moment when
 * the last one did, beside the account's counter, and /changes tells those behind it.  Cost: the rows of the account,
 * KEPT_READ at most. */
#include <stdlib.h>

#include "submission-kept.h"
#include "submission.h"

/* ---- /get ------------------------------------------------------------------------------------------------- */

/* The same order as below. */
static const char *const get_properties[] = { "id", "identityId", "emailId", "threadId", "envelope",
	"sendAt", "undoStatus", "deliveryStatus", "dsnBlobIds", "mdnBlobIds", NULL };

static void
get_put_text(struct buf *b, const char *name, struct slice json)
{
	json_key(b, name);
	buf_slice(b, json);
}

static void
get_put(struct buf *b, const struct kept_list *l, const struct kept *k, uint64_t want)
{
	json_element(b);
	buf_char(b, '{');
	json_put_cstr(b, "id", k->id);
	if (want & 1 << 1)
		json_put_cstr(b, "identityId", k->identity);
	if (want & 1 << 2) {
		json_key(b, "emailId");
		jmap_id_json(b, JMAP_EMAIL, k->email);
	}
	if (want & 1 << 3) {
		json_key(b, "threadId");
		jmap_id_json(b, JMAP_THREAD, k->thread);
	}
	if (want & 1 << 4)
		get_put_text(b, "envelope", k->envelope);
	if (want & 1 << 5)
		json_put_utc(b, "sendAt", k->send_at);
	if (want & 1 << 6)
		json_put_cstr(b, "undoStatus", kept_undo_status(l, k));
	if (want & 1 << 7)
		get_put_text(b, "deliveryStatus", k->delivery);
	if (want & 1 << 8)
		get_put_text(b, "dsnBlobIds", S("[]"));
	if (want & 1 << 9)
		get_put_text(b, "mdnBlobIds", S("[]"));
	buf_char(b, '}');
}

static enum call_next
submission_get_start(struct call *c)
{
	struct call_ids ids;
	struct store_account a;
	struct kept_list l;
	uint64_t want;
	bool *missing;
	enum call_next next;
	int rc;

	if (!call_account(c, &next) || !call_ids(c, &ids, &next) ||
	    !call_properties(c, get_properties, &want, &next))
		return next;
	rc = kept_load(c, true, &c->arena, &l, &a);
	if (rc < 0)
		return call_failed(c, rc);
	missing = arena_array(&c->arena, ids.n + 1, sizeof(*missing));
	call_answer(c);
	call_put_account(c);
	kept_put_state(c, "state", a.modseq, l.final_at);
	json_put_array(call_out(c), "list");
	for (size_t i = 0; !ids.list && i < l.n; i++)
		if (l.list[i].state != KEPT_GONE)
			get_put(call_out(c), &l, &l.list[i], want);
	for (size_t i = 0; i < ids.n; i++) {
		const struct kept *k = kept_find(&l, ids.list[i]);

		missing[i] = !k;
		if (k)
			get_put(call_out(c), &l, k, want);
	}
	buf_char(call_out(c), ']');
	call_put_not_found(c, &ids, missing);
	return call_end(c);
}

const struct jmapd_method submission_get = { "EmailSubmission/get", JMAP_SUBMISSION, 0,
	submission_get_start, NULL, NULL };

/* ---- /changes ------------------------------------------------------------------------------------------------ */

enum kept_what { WAS_CREATED, WAS_UPDATED, WAS_DESTROYED };
/* One that has changed: first by writes, in their order, then by the clock. */
struct kept_news {
	const struct kept *k;
	enum kept_what what;
	bool by_clock;
	uint64_t at; /* its modseq, or when it was to be sent */
};

static int
news_cmp(const void *x, const void *y)
{
	const struct kept_news *a = x, *b = y;

	if (a->by_clock != b->by_clock)
		return a->by_clock ? 1 : -1;
	return a->at < b->at ? -1 : a->at > b->at;
}

static size_t
news_collect(const struct kept_list *l, const struct kept_point *since, struct kept_news *news)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct kept *k = &l->list[i];
		struct kept_news *w = &news[n];

		if (k->modseq > since->state.modseq) {
			bool new = k->created > since->state.modseq;

			if (new && k->state == KEPT_GONE)
				continue;
			*w = (struct kept_news){ k, WAS_UPDATED, false, k->modseq };
			w->what = k->state == KEPT_GONE ? WAS_DESTROYED :
			    new                         ? WAS_CREATED :
							  WAS_UPDATED;
			n++;
		} else if (k->state <= KEPT_CANCELLING && k->send_at <= l->now &&
		    k->send_at > since->final_at) {
			*w = (struct kept_news){ k, WAS_UPDATED, true, (uint64_t)k->send_at };
			n++;
		}
	}
	qsort(news, n, sizeof(*news), news_cmp);
	return n;
}

/* How many are told: `most` at most, and all that have changed at once. */
static size_t
news_part(const struct kept_news *news, size_t n, int64_t most)
{
	size_t part = n;

	if (most == 0 || n <= (size_t)most)
		return n;
	part = (size_t)most;
	while (part > 0 && news_cmp(&news[part - 1], &news[part]) == 0)
		part--;
	return part;
}

static void
news_put(struct call *c, const char *name, const struct kept_news *news, size_t n,
    enum kept_what what)
{
	struct buf *b = call_out(c);

	json_put_array(b, name);
	for (size_t i = 0; i < n; i++) {
		if (news[i].what != what)
			continue;
		json_element(b);
		json_str(b, slice_str(news[i].k->id));
	}
	buf_char(b, ']');
}

static enum call_next
changes_tell(struct call *c, const struct kept_list *l, const struct kept_point *since,
    uint64_t modseq, int64_t most)
{
	struct kept_news news[KEPT_READ];
	size_t all = news_collect(l, since, news), n = news_part(news, all, most);
	uint64_t to = modseq;
	int64_t final_at = l->final_at;

	if (n == 0 && all > 0)
		return call_error(c, "cannotCalculateChanges",
		    "one change is of more than maxChanges");
	if (n < all && !news[n - 1].by_clock) {
		to = news[n - 1].at;
		final_at = since->final_at;
	} else if (n < all) {
		final_at = (int64_t)news[n - 1].at;
	}
	call_answer(c);
	call_put_account(c);
	kept_put_state(c, "oldState", since->state.modseq, since->final_at);
	kept_put_state(c, "newState", to, final_at);
	json_put_bool(call_out(c), "hasMoreChanges", n < all);
	news_put(c, "created", news, n, WAS_CREATED);
	news_put(c, "updated", news, n, WAS_UPDATED);
	news_put(c, "destroyed", news, n, WAS_DESTROYED);
	return call_end(c);
}

/* The state that an argument is: of this account, and not from the time to come.  False: *next is the answer. */
static bool
changes_since(struct call *c, const char *name, struct kept_point *since, struct kept_list *l,
    struct store_account *a, enum call_next *next)
{
	struct slice text = { NULL, 0 };
	int rc;

	if (!call_str(c, name, &text) || !text.p) {
		*next = call_invalid(c, "sinceState, sinceQueryState: a string is needed");
		return false;
	}
	rc = kept_load(c, false, &c->arena, l, a);
	if (rc < 0) {
		*next = call_failed(c, rc);
		return false;
	}
	if (kept_state_parse(text, since) && since->state.life == state_of(a).life &&
	    since->state.modseq <= a->modseq && since->state.modseq >= l->floor)
		return true;
	*next =
	    call_error(c, "cannotCalculateChanges", "there was no such state, or it is forgotten");
	return false;
}

static enum call_next
submission_changes_start(struct call *c)
{
	struct kept_point since;
	struct kept_list l;
	struct store_account a;
	int64_t most = 0;
	enum call_next next;

	if (!call_account(c, &next))
		return next;
	if (!call_int(c, "maxChanges", 1, JSON_INT_MOST, &most))
		return call_invalid(c, "maxChanges: a whole number above 0");
	if (!changes_since(c, "sinceState", &since, &l, &a, &next))
		return next;
	return changes_tell(c, &l, &since, a.modseq, most);
}

const struct jmapd_method submission_changes = { "EmailSubmission/changes", JMAP_SUBMISSION, 0,
	submission_changes_start, NULL, NULL };

/* Nothing, when nothing has changed. */
static enum call_next
submission_query_changes_start(struct call *c)
{
	struct kept_point since;
	struct kept_list l;
	struct kept_news news[KEPT_READ];
	struct store_account a;
	enum call_next next;

	if (!call_account(c, &next) || !changes_since(c, "sinceQueryState", &since, &l, &a, &next))
		return next;
	if (news_collect(&l, &since, news) > 0)
		return call_error(c, "cannotCalculateChanges", NULL);
	call_answer(c);
	call_put_account(c);
	kept_put_state(c, "oldQueryState", since.state.modseq, since.final_at);
	kept_put_state(c, "newQueryState", a.modseq, l.final_at);
	buf_lit(call_out(c), ",\"removed\":[],\"added\":[]");
	return call_end(c);
}

const struct jmapd_method submission_query_changes = { "EmailSubmission/queryChanges",
	JMAP_SUBMISSION, 0, submission_query_changes_start, NULL, NULL };
