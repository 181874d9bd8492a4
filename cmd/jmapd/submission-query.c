/* jmapd/submission-query.c: EmailSubmission/query (RFC 8621 7.3).
 *
 * Of the submissions that are kept, KEPT_READ at most: each is judged by the filter, of MOST conditions and values at
 * most, and what is left is sorted.  Answered in one piece. */
#include <stdlib.h>

#include "mail/date.h"
#include "submission-kept.h"
#include "submission.h"
#include "window.h"

#define MOST 2000 /* conditions, and ids in them */

static const char *const kept_query_lists[] = { "identityIds", "emailIds", "threadIds" };

/* ---- filters ------------------------------------------------------------------------------------------------ */

/* NULL: it is a condition; else what is wrong with it. */
static const char *
kept_query_condition_check(const struct json_t *f, unsigned *n)
{
	struct json_walk w = { 0 };
	struct date d;

	while (json_next(f, &w)) {
		bool list = false;

		for (size_t i = 0; i < NELEM(kept_query_lists); i++)
			list = list || slice_eq(w.name, slice_str(kept_query_lists[i]));
		*n += (unsigned)json_count(w.value);
		for (size_t i = 0; list && i < json_count(w.value); i++)
			if (!json_is(json_at(w.value, i), JSON_KIND_STR))
				return "filter: identityIds, emailIds and threadIds are arrays of "
				       "ids";
		if (list ? json_is(w.value, JSON_KIND_ARRAY) :
			   (slice_eq(w.name, S("undoStatus")) && json_is(w.value, JSON_KIND_STR)) ||
			    ((slice_eq(w.name, S("before")) || slice_eq(w.name, S("after"))) &&
				date_iso_parse(json_text(w.value), &d) == 0))
			continue;
		return "filter: there is no such condition, or it has another kind of value";
	}
	return NULL;
}

static const char *
kept_query_filter_check(const struct json_t *f, unsigned *n)
{
	const struct json_t *list = json_find(f, S("conditions"));
	struct slice op = json_text(json_find(f, S("operator")));
	const char *why = NULL;

	*n += 1;
	if (!json_is(f, JSON_KIND_OBJECT) || *n > MOST)
		return "filter: an object is needed, of 2000 conditions and ids at most";
	if (!json_find(f, S("operator"))) {
		why = kept_query_condition_check(f, n);
		return !why && *n > MOST ? "filter: more than 2000 conditions and ids" : why;
	}
	if (!op.p || !(slice_eq(op, S("AND")) || slice_eq(op, S("OR")) || slice_eq(op, S("NOT"))) ||
	    !json_is(list, JSON_KIND_ARRAY))
		return "filter: an operator is AND, OR or NOT, with an array of conditions";
	for (size_t i = 0; i < json_count(list) && !why; i++)
		why = kept_query_filter_check(json_at(list, i), n);
	return why;
}

static bool
kept_query_has(const struct json_t *list, const struct kept *k, size_t which)
{
	for (size_t i = 0; i < json_count(list); i++) {
		struct slice id = json_text(json_at(list, i));

		if (which == 0     ? slice_eq(id, slice_str(k->identity)) :
			which == 1 ? jmap_id_parse(id, JMAP_EMAIL) == k->email :
				     jmap_id_parse(id, JMAP_THREAD) == k->thread)
			return true;
	}
	return false;
}

static bool
kept_query_condition(const struct kept_list *l, const struct kept *k, struct slice name,
    const struct json_t *value)
{
	struct date d = { 0 };

	for (size_t i = 0; i < NELEM(kept_query_lists); i++)
		if (slice_eq(name, slice_str(kept_query_lists[i])))
			return kept_query_has(value, k, i);
	if (slice_eq(name, S("undoStatus")))
		return slice_eq(json_text(value), slice_str(kept_undo_status(l, k)));
	if (date_iso_parse(json_text(value), &d) < 0)
		return false;
	return slice_eq(name, S("before")) ? k->send_at < d.at : k->send_at >= d.at;
}

static bool
kept_query_matches(const struct kept_list *l, const struct kept *k, const struct json_t *filter)
{
	struct slice op = json_text(json_find(filter, S("operator")));
	const struct json_t *list = json_find(filter, S("conditions"));
	struct json_walk w = { 0 };

	if (op.p) {
		bool all = slice_eq(op, S("AND"));

		for (size_t i = 0; i < json_count(list); i++)
			if (kept_query_matches(l, k, json_at(list, i)) != all)
				return slice_eq(op, S("OR"));
		return !slice_eq(op, S("OR"));
	}
	while (json_next(filter, &w))
		if (!kept_query_condition(l, k, w.name, w.value))
			return false;
	return true;
}

/* ---- order -------------------------------------------------------------------------------------------------- */

static const struct json_t *kept_query_sort; /* while it is sorted */

static int
kept_query_cmp_u64(uint64_t x, uint64_t y)
{
	return x < y ? -1 : x > y;
}

static int
kept_query_cmp(const void *a, const void *b)
{
	const struct kept *x = *(const struct kept *const *)a, *y = *(const struct kept *const *)b;

	for (size_t i = 0; i < json_count(kept_query_sort); i++) {
		const struct json_t *s = json_at(kept_query_sort, i);
		struct slice by = json_text(json_find(s, S("property")));
		bool ascending = true;
		int order = slice_eq(by, S("emailId")) ?
		    kept_query_cmp_u64(x->email, y->email) :
		    slice_eq(by, S("threadId")) ?
		    kept_query_cmp_u64(x->thread, y->thread) :
		    kept_query_cmp_u64((uint64_t)x->send_at, (uint64_t)y->send_at);

		(void)json_get_bool(json_find(s, S("isAscending")), &ascending);
		if (order)
			return ascending ? order : -order;
	}
	return strcmp(x->id, y->id);
}

/* ---- the call ----------------------------------------------------------------------------------------------- */

static void
kept_query_write(struct buf *b, const void *list, size_t i)
{
	const struct kept *const *found = list;

	json_str(b, slice_str(found[i]->id));
}

static void
kept_query_put_state(struct call *c, uint64_t modseq, int64_t final_at)
{
	kept_put_state(c, "queryState", modseq, final_at);
}

static enum call_next
kept_query_answer(struct call *c, const struct window *w, const struct json_t *filter)
{
	const struct kept *found[KEPT_READ];
	struct store_account a;
	struct kept_list l;
	size_t n = 0, at;
	int rc = kept_load(c, false, &c->arena, &l, &a);

	if (rc < 0)
		return call_failed(c, rc);
	for (size_t i = 0; i < l.n; i++)
		if (l.list[i].state != KEPT_GONE &&
		    (json_none(filter) || kept_query_matches(&l, &l.list[i], filter)))
			found[n++] = &l.list[i];
	qsort(found, n, sizeof(*found), kept_query_cmp);
	for (at = 0; at < n && !slice_eq(w->anchor, slice_str(found[at]->id));)
		at++;
	return window_answer_state(c, w, kept_query_put_state, a.modseq, l.final_at, false, n, at,
	    kept_query_write, found);
}

static enum call_next
submission_query_start(struct call *c)
{
	const struct json_t *filter = json_find(c->args, S("filter"));
	struct window w;
	unsigned conditions = 0;
	const char *why;
	enum call_next next;

	if (!call_account(c, &next) || !window_read(c, &w, &next))
		return next;
	kept_query_sort = json_find(c->args, S("sort"));
	why = json_none(filter) ? NULL : kept_query_filter_check(filter, &conditions);
	if (why)
		return call_error(c, "invalidArguments", why);
	for (size_t i = 0; i < json_count(kept_query_sort); i++) {
		struct slice by = json_text(json_find(json_at(kept_query_sort, i), S("property")));

		if (i >= WINDOW_SORT || !by.p ||
		    !(slice_eq(by, S("emailId")) || slice_eq(by, S("threadId")) ||
			slice_eq(by, S("sentAt")) || slice_eq(by, S("sendAt"))))
			return call_error(c, "unsupportedSort",
			    "sort by emailId, threadId and sentAt");
	}
	return kept_query_answer(c, &w, filter);
}

const struct jmapd_method submission_query = { "EmailSubmission/query", JMAP_SUBMISSION, 0,
	submission_query_start, NULL, NULL };
