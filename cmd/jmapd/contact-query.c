/* jmapd/contact-query.c: ContactCard/query (RFC 9610 3.3): which contacts fit, and in which order.
 *
 * The filter is checked whole before the first contact is looked at: at most CONTACT_TEXTS_MAX conditions, so that
 * a contact costs its own length that often.  Contacts are gone through a slice of the loop's time after the other;
 * what is in order at the end are an id and a text for each.  The last key is the id. */
#include <stdlib.h>
#include "base/casemap.h"
#include "contact.h"
#include "window.h"

#define KEYS_MAX   5
#define DEPTH_MAX  8
#define KEY_OCTETS 256

struct contact_row {
	struct slice id;
	struct slice key[KEYS_MAX];
};
struct sort_by {
	const char *part; /* of the name; NULL: a time */
	bool created;     /* else updated */
	bool descends;
};
struct contact_query {
	struct contacts k;
	struct window window;
	const struct json_t *filter; /* NULL: none */
	struct sort_by by[KEYS_MAX];
	size_t nby, at, n;
	struct contact_row *rows;
};

/* ---- filters -------------------------------------------------------------------------------------------- */

static bool
is_time(struct slice name)
{
	return slice_eq(name, S("createdBefore")) || slice_eq(name, S("createdAfter")) ||
	    slice_eq(name, S("updatedBefore")) || slice_eq(name, S("updatedAfter"));
}

static const char *
condition_why(struct slice name, const struct json_t *v)
{
	int64_t at;

	if (!json_text(v).p)
		return "filter: the value of a condition is a string";
	if (is_time(name))
		return jmap_date_parse(json_text(v), &at) ? NULL : "filter: a UTCDate is needed";
	return slice_eq(name, S("inAddressBook")) || pab_card_condition(name) ?
	    NULL :
	    "filter: there is no such condition";
}

static const char *
conditions_why(const struct json_t *f, unsigned depth, size_t *n)
{
	const struct json_t *op = json_find(f, S("operator")), *of = json_find(f, S("conditions"));
	struct slice word = json_text(op);
	struct json_walk w = { 0 };
	const char *why = NULL;

	if (!json_is(f, JSON_KIND_OBJECT) || depth == DEPTH_MAX || ++*n > CONTACT_TEXTS_MAX)
		return "filter: an object, not too deep, and not too many of them";
	if (op &&
	    (!json_is(of, JSON_KIND_ARRAY) ||
		!(slice_eq(word, S("AND")) || slice_eq(word, S("OR")) || slice_eq(word, S("NOT")))))
		return "filter: an operator is AND, OR or NOT, with conditions";
	for (size_t i = 0; op && i < json_count(of) && !why; i++)
		why = conditions_why(json_at(of, i), depth + 1, n);
	while (!op && !why && json_next(f, &w))
		why = ++*n > CONTACT_TEXTS_MAX ? "filter: too many conditions" :
						 condition_why(w.name, w.value);
	return why;
}

static int64_t
card_time(const struct pab_entry *e, const struct json_t *card, bool created)
{
	int64_t at;

	if (jmap_date_parse(json_text(json_find(card, created ? S("created") : S("updated"))), &at))
		return at;
	return (created ? e->created_us : e->changed_us) / 1000000;
}

static bool
condition_fits(const struct pab_entry *e, const struct json_t *card, struct slice name,
    struct slice text)
{
	int64_t at, is;

	if (slice_eq(name, S("inAddressBook"))) {
		for (size_t i = 0; i < e->nbooks; i++)
			if (slice_eq(e->books[i], text))
				return true;
		return false;
	}
	if (!is_time(name))
		return pab_card_fits(card, name, text);
	is = card_time(e, card, slice_starts(name, S("created")));
	return jmap_date_parse(text, &at) && (slice_ends(name, S("Before")) ? is < at : is >= at);
}

static bool
conditions_fit(const struct pab_entry *e, const struct json_t *card, const struct json_t *f)
{
	const struct json_t *of = json_find(f, S("conditions"));
	struct slice word = json_text(json_find(f, S("operator")));
	bool and = slice_eq(word, S("AND"));
	struct json_walk w = { 0 };

	if (word.p) {
		for (size_t i = 0; i < json_count(of); i++)
			if (conditions_fit(e, card, json_at(of, i)) != and)
				return slice_eq(word, S("OR"));
		return !slice_eq(word, S("OR"));
	}
	while (json_next(f, &w))
		if (!condition_fits(e, card, w.name, json_text(w.value)))
			return false;
	return true;
}

/* ---- order ------------------------------------------------------------------------------------------------ */

static bool
sort_read(struct contact_query *q, const struct json_t *v)
{
	static const char *const names[] = { "created", "updated", "name/given", "name/surname",
		"name/surname2" };
	struct slice by = json_text(json_find(v, S("property")));
	bool ascends = true;

	if (!json_none(json_find(v, S("isAscending"))) &&
	    !json_get_bool(json_find(v, S("isAscending")), &ascends))
		return false;
	for (size_t i = 0; i < NELEM(names); i++)
		if (by.p && slice_eq(by, slice_str(names[i]))) {
			q->by[q->nby++] =
			    (struct sort_by){ i < 2 ? NULL : names[i] + strlen("name/"), i == 0,
				    !ascends };
			return true;
		}
	return false;
}

static int
row_cmp(const void *x, const void *y, void *arg)
{
	const struct contact_row *a = x, *b = y;
	const struct contact_query *q = arg;

	for (size_t i = 0; i < q->nby; i++) {
		int d = slice_cmp(a->key[i], b->key[i]);

		if (d)
			return q->by[i].descends ? -d : d;
	}
	return slice_cmp(a->id, b->id);
}

static struct slice
row_key(struct call *c, const struct sort_by *by, const struct pab_entry *e,
    const struct json_t *card)
{
	struct buf b = { 0 };
	struct slice key;

	if (!by->part)
		return slice_str(
		    arena_printf(&c->arena, "%020lld", (long long)card_time(e, card, by->created)));
	casemap_to(&b, pab_card_part(card, by->part, &c->arena));
	key = arena_slice(&c->arena, slice_sub(buf_get(&b), 0, KEY_OCTETS));
	buf_fini(&b);
	return key;
}

/* ---- the method ------------------------------------------------------------------------------------------- */

static enum call_next
query_start(struct call *c)
{
	struct contact_query *q = c->data;
	const struct json_t *sort = json_find(c->args, S("sort"));
	const char *why;
	size_t n = 0;
	enum call_next next;

	if (!contacts_served(c, &next) || !window_read(c, &q->window, &next))
		return next;
	q->filter = json_find(c->args, S("filter"));
	if (json_none(q->filter))
		q->filter = NULL;
	if (q->filter && (why = conditions_why(q->filter, 0, &n)))
		return call_error(c, "unsupportedFilter", why);
	if (!json_none(sort) && (!json_is(sort, JSON_KIND_ARRAY) || json_count(sort) > KEYS_MAX))
		return call_invalid(c, "sort: an array of at most 5");
	for (size_t i = 0; i < json_count(sort); i++)
		if (!sort_read(q, json_at(sort, i)))
			return call_error(c, "unsupportedSort",
			    "by created, updated, name/given, name/surname or name/surname2");
	return contacts_read(c, true);
}

static void
query_look(struct call *c, struct contact_query *q, const struct pab_entry *e)
{
	struct json_t *card = e->kind == PAB_CARD ? contact_content(e) : NULL;

	if (card && (!q->filter || conditions_fit(e, card, q->filter))) {
		struct contact_row *r = &q->rows[q->n++];

		r->id = e->id;
		for (size_t i = 0; i < q->nby; i++)
			r->key[i] = row_key(c, &q->by[i], e, card);
	}
	json_free(&card);
}

static void
query_put(struct buf *b, const void *list, size_t i)
{
	const struct contact_row *rows = list;

	json_str(b, rows[i].id);
}

static void
query_put_state(struct call *c, uint64_t modseq UNUSED, int64_t more UNUSED)
{
	contacts_put_state(c, "queryState", PAB_CARD);
}

static enum call_next
query_go(struct call *c)
{
	struct contact_query *q = c->data;
	const struct pab_listed *l = q->k.listed;
	size_t at = 0;
	enum call_next next;

	if (contacts_failed(c, &next))
		return next;
	if (!q->rows)
		q->rows = arena_array(&c->arena, l->n + 1, sizeof(*q->rows));
	while (q->at < l->n) {
		query_look(c, q, &l->entries[q->at++]);
		if (call_spent(c))
			return CALL_AGAIN;
	}
	qsort_r(q->rows, q->n, sizeof(*q->rows), row_cmp, q);
	while (q->window.anchor.p && at < q->n && !slice_eq(q->rows[at].id, q->window.anchor))
		at++;
	return window_answer_state(c, &q->window, query_put_state, 0, 0, false, q->n, at, query_put,
	    q->rows);
}

const struct jmapd_method contact_query = { "ContactCard/query", JMAP_CONTACTS,
	sizeof(struct contact_query), query_start, query_go, NULL };
