/* jmapd/mailbox-query.c: Mailbox/query (RFC 8621 2.3).
 *
 * A walk through the table of folders in slices; a table that has changed meanwhile begins it anew.  Cost: folders
 * times conditions, of which there are MOST, and comparisons times WINDOW_SORT; names are compared by forms that are
 * made once.  sortAsTree and filterAsTree are walks up to the parents, of STORE_DEPTH_MAX at most. */
#include <stdlib.h>
#include "base/casemap.h"
#include "mailbox.h"
#include "window.h"

struct mailbox_query {
	struct window window;
	const struct json_t *filter, *sort;
	bool sort_tree, filter_tree;
	unsigned conditions;
	uint64_t modseq; /* 1 + that of the table which is walked through; 0: none is */
	uint32_t at, n;
	uint32_t *found;
	struct slice *forms; /* of the names, for sorting */
};

#define MOST 500 /* conditions and operators */

/* ---- filters -------------------------------------------------------------------------------------------- */

static const char *mailbox_filter_names[] = { "parentId", "name", "role", "hasAnyRole",
	"isSubscribed" };

/* NULL: it is a filter; else what is wrong with it. */
static const char *
mailbox_filter_check(const struct json_t *f, unsigned *n)
{
	struct json_walk w = { 0 };
	struct slice op = json_text(json_find(f, S("operator")));

	*n += 1 + (unsigned)json_count(f);
	if (!json_is(f, JSON_KIND_OBJECT) || *n > MOST)
		return "filter: an object is needed, of 500 conditions at most";
	if (json_find(f, S("operator"))) {
		const struct json_t *list = json_find(f, S("conditions"));
		const char *why = NULL;

		if (!op.p ||
		    !(slice_eq(op, S("AND")) || slice_eq(op, S("OR")) || slice_eq(op, S("NOT"))) ||
		    !json_is(list, JSON_KIND_ARRAY))
			return "filter: an operator is AND, OR or NOT, with an array of conditions";
		for (size_t i = 0; i < json_count(list) && !why; i++)
			why = mailbox_filter_check(json_at(list, i), n);
		return why;
	}
	while (json_next(f, &w)) {
		size_t k = 0;
		bool flag = false, is_flag;

		while (k < NELEM(mailbox_filter_names) &&
		    !slice_eq(w.name, slice_str(mailbox_filter_names[k])))
			k++;
		if (k == NELEM(mailbox_filter_names))
			return "filter: there is no such condition";
		is_flag = json_get_bool(w.value, &flag);
		if (k >= 3 ? !is_flag :
			     !json_is(w.value, JSON_KIND_STR) &&
			    !(k != 1 && json_is(w.value, JSON_KIND_NULL)))
			return "filter: a condition has another kind of value";
	}
	return NULL;
}

static bool
mailbox_name_has(struct slice name, struct slice text)
{
	struct buf a = { 0 }, b = { 0 };
	bool yes;

	if (text.n > STORE_NAME_MAX)
		return false; /* no name is as long */
	casemap_search_to(&a, name);
	casemap_search_to(&b, text);
	yes = b.n == 0 || slice_find_str(buf_get(&a), buf_get(&b)) < a.n;
	buf_fini(&a);
	buf_fini(&b);
	return yes;
}

static bool
mailbox_condition(struct call *c, const struct folder *f, struct slice name,
    const struct json_t *value)
{
	const char *role = folder_role(f);
	struct slice text = json_text(value);
	bool want = false;

	if (slice_eq(name, S("parentId"))) {
		const struct folder *parent = text.p ? folders_find_id(c, text) : NULL;

		if (!text.p)
			return f->parent == FOLDER_NONE;
		return parent && f->parent != FOLDER_NONE &&
		    &call_folders(c)->list[f->parent] == parent;
	}
	if (slice_eq(name, S("name")))
		return mailbox_name_has(f->leaf, text);
	if (slice_eq(name, S("role")))
		return text.p ? role && slice_eq(text, slice_str(role)) : !role;
	(void)json_get_bool(value, &want);
	return want == (slice_eq(name, S("hasAnyRole")) ? (bool)role : f->subscribed);
}

static bool
mailbox_matches(struct call *c, const struct folder *f, const struct json_t *filter)
{
	struct slice op = json_text(json_find(filter, S("operator")));
	const struct json_t *list = json_find(filter, S("conditions"));
	struct json_walk w = { 0 };

	if (op.p) {
		bool all = slice_eq(op, S("AND"));

		for (size_t i = 0; i < json_count(list); i++)
			if (mailbox_matches(c, f, json_at(list, i)) != all)
				return slice_eq(op, S("OR"));
		return !slice_eq(op, S("OR"));
	}
	while (json_next(filter, &w))
		if (!mailbox_condition(c, f, w.name, w.value))
			return false;
	return true;
}

/* ---- order ------------------------------------------------------------------------------------------------ */

static struct mailbox_order {
	const struct folders *f;
	const struct json_t *sort;
	const struct slice *forms;
	bool tree;
} mailbox_ordering;

static int
mailbox_cmp_by(const struct folder *x, const struct folder *y, struct slice property)
{
	const struct folder *list = mailbox_ordering.f->list;

	if (slice_eq(property, S("sortOrder"))) {
		int64_t i = mailbox_sort_order(x), j = mailbox_sort_order(y);

		return i < j ? -1 : i > j;
	}
	return slice_cmp(mailbox_ordering.forms[x - list], mailbox_ordering.forms[y - list]);
}

static int
mailbox_cmp_siblings(const struct folder *x, const struct folder *y)
{
	const struct json_t *sort = mailbox_ordering.sort;

	for (size_t i = 0; i < json_count(sort); i++) {
		const struct json_t *s = json_at(sort, i);
		bool ascending = true;
		int order = mailbox_cmp_by(x, y, json_text(json_find(s, S("property"))));

		(void)json_get_bool(json_find(s, S("isAscending")), &ascending);
		if (order)
			return ascending ? order : -order;
	}
	return slice_cmp(x->name, y->name);
}

static unsigned
mailbox_depth(const struct folders *f, const struct folder *x)
{
	unsigned n = 0;

	for (; x->parent != FOLDER_NONE; x = &f->list[x->parent])
		n++;
	return n;
}

/* Below each other: the one whose chain ends first comes first; else what stands below the common one. */
static int
mailbox_cmp(const void *a, const void *b)
{
	const struct folders *f = mailbox_ordering.f;
	const struct folder *x = &f->list[*(const uint32_t *)a],
			    *y = &f->list[*(const uint32_t *)b];
	unsigned i, j;

	if (!mailbox_ordering.tree || x == y)
		return mailbox_cmp_siblings(x, y);
	i = mailbox_depth(f, x);
	j = mailbox_depth(f, y);
	for (unsigned k = i; k > j; k--)
		x = &f->list[x->parent];
	for (unsigned k = j; k > i; k--)
		y = &f->list[y->parent];
	if (x == y)
		return i < j ? -1 : 1;
	while (x->parent != y->parent) {
		x = &f->list[x->parent];
		y = &f->list[y->parent];
	}
	return mailbox_cmp_siblings(x, y);
}

/* ---- the call ------------------------------------------------------------------------------------------- */

static enum call_next
mailbox_query_start(struct call *c)
{
	struct mailbox_query *q = c->data;
	enum call_next next;
	const char *why;

	if (!call_account_shared(c, &next) || !window_read(c, &q->window, &next))
		return next;
	if (!call_bool(c, "sortAsTree", &q->sort_tree) ||
	    !call_bool(c, "filterAsTree", &q->filter_tree))
		return call_invalid(c, "sortAsTree and filterAsTree are booleans");
	q->filter = json_find(c->args, S("filter"));
	q->sort = json_find(c->args, S("sort"));
	why = json_none(q->filter) ? NULL : mailbox_filter_check(q->filter, &q->conditions);
	if (why)
		return call_error(c, "invalidArguments", why);
	if (json_count(q->sort) > WINDOW_SORT)
		return call_error(c, "unsupportedSort", "sort: by eight comparators at most");
	for (size_t i = 0; i < json_count(q->sort); i++) {
		struct slice by = json_text(json_find(json_at(q->sort, i), S("property")));

		if (!by.p || !(slice_eq(by, S("name")) || slice_eq(by, S("sortOrder"))))
			return call_error(c, "unsupportedSort", "sort by name and sortOrder");
	}
	return CALL_AGAIN;
}

static void
mailbox_query_write(struct buf *b, const void *list, size_t i)
{
	const uint64_t *ids = list;

	jmap_id_json(b, JMAP_MAILBOX, ids[i]);
}

static bool
mailbox_query_takes(struct call *c, const struct mailbox_query *q, const struct folder *f)
{
	if (json_none(q->filter))
		return true;
	for (;; f = &call_folders(c)->list[f->parent]) {
		if (!mailbox_matches(c, f, q->filter))
			return false;
		if (!q->filter_tree || f->parent == FOLDER_NONE)
			return true;
	}
}

static void
mailbox_query_begin(struct call *c, struct mailbox_query *q, uint64_t modseq)
{
	const struct folders *f = call_folders(c);

	q->modseq = modseq + 1;
	q->at = q->n = 0;
	q->found = arena_array(&c->arena, f->n + 1u, sizeof(*q->found));
	q->forms = arena_array(&c->arena, f->n + 1u, sizeof(*q->forms));
}

static void
mailbox_query_one(struct call *c, struct mailbox_query *q)
{
	const struct folder *f = &call_folders(c)->list[q->at];
	struct buf form = { 0 };

	if (mailbox_query_takes(c, q, f))
		q->found[q->n++] = q->at;
	casemap_to(&form, f->leaf);
	q->forms[q->at++] = arena_slice(&c->arena, buf_get(&form));
	buf_fini(&form);
}

static enum call_next
mailbox_query_answer(struct call *c, struct mailbox_query *q)
{
	const struct folders *f = call_folders(c);
	uint64_t *ids = arena_array(&c->arena, q->n + 1u, sizeof(*ids));
	uint64_t anchor = q->window.anchor.p ? jmap_id_parse(q->window.anchor, JMAP_MAILBOX) : 0;
	size_t at = q->n;

	mailbox_ordering = (struct mailbox_order){ f, q->sort, q->forms, q->sort_tree };
	qsort(q->found, q->n, sizeof(*q->found), mailbox_cmp);
	for (uint32_t i = 0; i < q->n; i++) {
		ids[i] = f->list[q->found[i]].objectid;
		if (ids[i] == anchor)
			at = i;
	}
	return window_answer(c, &q->window, q->modseq - 1, false, q->n, at, mailbox_query_write,
	    ids);
}

static enum call_next
mailbox_query_go(struct call *c)
{
	struct mailbox_query *q = c->data;
	struct store_account a;
	int rc;
	enum call_next next = folders_begin(c, &a, &rc);

	if (rc < 0)
		return call_failed(c, rc);
	if (next == CALL_AGAIN)
		return next;
	store_end(call_view(c));
	if (q->modseq != a.modseq + 1)
		mailbox_query_begin(c, q, a.modseq);
	while (q->at < call_folders(c)->n && !call_spent(c))
		mailbox_query_one(c, q);
	return q->at < call_folders(c)->n ? CALL_AGAIN : mailbox_query_answer(c, q);
}

const struct jmapd_method mailbox_query = { "Mailbox/query", JMAP_MAIL,
	sizeof(struct mailbox_query), mailbox_query_start, mailbox_query_go, NULL };
