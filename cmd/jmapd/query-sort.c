/* jmapd/query-sort.c: the order of a query's results.  See query-sort.h.
 *
 * Texts are compared by i;unicode-casemap, as the octets of their forms; what cannot be read is empty.  The
 * last key is always the id, so that an order is total and a later page fits an earlier one.  Memory: 48
 * octets of an email at most, and the texts, cut at TEXT_MOST octets each. */
#include "query-sort.h"
#include <stdlib.h>
#include "base/casemap.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "imap/subject.h"
#include "mail/address.h"
#include "mail/encoded-word.h"
#include "message/order.h"

#define TEXT_MOST 256

const char *const query_sort_options[] = { "receivedAt", "sentAt", "size", "from", "to", "subject",
	"hasKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword", NULL };

static const char *
query_sort_read_one(const struct json_t *v, struct sort_key *k)
{
	struct slice by = json_text(json_find(v, S("property")));
	struct slice collation = json_text(json_find(v, S("collation")));
	bool ascends = true;
	size_t i = 0;

	if (!json_none(json_find(v, S("isAscending"))) &&
	    !json_get_bool(json_find(v, S("isAscending")), &ascends))
		return "sort: isAscending is a boolean";
	while (query_sort_options[i] && !(by.p && slice_eq(by, slice_str(query_sort_options[i]))))
		i++;
	if (!query_sort_options[i])
		return "sort: by receivedAt, sentAt, size, from, to, subject, or a keyword";
	if (collation.p && !slice_eq(collation, S("i;unicode-casemap")) &&
	    !slice_eq(collation, S("i;ascii-casemap")))
		return "sort: i;unicode-casemap is the collation";
	k->by = (enum sort_by)i;
	k->descends = !ascends;
	k->keyword = json_text(json_find(v, S("keyword")));
	if (k->by >= SORT_HAS && !(k->keyword.p && jmap_keyword_ok(k->keyword)))
		return "sort: a keyword is needed";
	return NULL;
}

bool
query_sort_read(struct call *c, struct query_sort *q, enum call_next *next)
{
	static const unsigned fields[] = { [SORT_FROM] = 1u << MESSAGE_FROM,
		[SORT_TO] = 1u << MESSAGE_TO,
		[SORT_SUBJECT] = 1u << MESSAGE_SUBJECT,
		[SORT_SOME] = 0 };
	const struct json_t *sort = json_find(c->args, S("sort"));

	if (!json_none(sort) && !json_is(sort, JSON_KIND_ARRAY)) {
		*next = call_invalid(c, "sort: an array is needed");
		return false;
	}
	if (json_count(sort) > SORT_KEYS) {
		*next = call_error(c, "unsupportedSort", "sort: by four properties at most");
		return false;
	}
	for (; q->n < json_count(sort); q->n++) {
		struct sort_key *k = &q->keys[q->n];
		const char *why = query_sort_read_one(json_at(sort, q->n), k);

		if (why) {
			*next = call_error(c, "unsupportedSort", why);
			return false;
		}
		q->fields |= fields[k->by];
		q->digests = q->digests || fields[k->by] || k->by == SORT_SENT;
	}
	if (q->n == 0) /* "the server may choose": the newest first */
		q->keys[q->n++] = (struct sort_key){ .by = SORT_RECEIVED, .descends = true };
	q->plain = true;
	for (size_t i = 0; i < q->n; i++)
		q->plain =
		    q->plain && (q->keys[i].by == SORT_RECEIVED || q->keys[i].by == SORT_SIZE);
	return true;
}

/* ---- a row ------------------------------------------------------------------------------------------- */

static struct slice
query_sort_decoded(struct query_sort *q, struct slice value)
{
	if (utf8_ascii(value) && slice_find(value, '=') == value.n)
		return value;
	buf_clear(&q->decoded);
	encoded_word_parse(&q->decoded, value);
	return buf_get(&q->decoded);
}

static int64_t
query_sort_put_text(struct query_sort *q, struct slice text)
{
	size_t at = q->texts.n;
	uint32_t n = 0;

	buf_add(&q->texts, &n, sizeof(n));
	casemap_to(&q->texts, slice_sub(text, 0, TEXT_MOST));
	n = (uint32_t)(q->texts.n - at - sizeof(n));
	memcpy(q->texts.p + at, &n, sizeof(n));
	return (int64_t)at;
}

static struct slice
query_sort_get_text(const struct query_sort *q, int64_t at)
{
	uint32_t n;

	memcpy(&n, q->texts.p + at, sizeof(n));
	return slice(q->texts.p + at + sizeof(n), n);
}

/* The name of the first address, or the address when it has none. */
static int64_t
query_sort_address(struct query_sort *q, struct slice value)
{
	struct address_list list;
	struct buf address = { 0 };
	int64_t at;

	address_list_parse(value, 1, &q->arena, &list);
	if (list.n > 0 && list.items[0].name.n > 0) {
		at = query_sort_put_text(q, query_sort_decoded(q, list.items[0].name));
	} else {
		if (list.n > 0)
			address_write_parts(&address, list.items[0].mailbox, list.items[0].host);
		at = query_sort_put_text(q, buf_get(&address));
	}
	buf_fini(&address);
	arena_reset(&q->arena);
	return at;
}

static int64_t
query_sort_text(struct query_sort *q, enum sort_by by, const struct message_order *o)
{
	bool reply;

	if (by == SORT_SUBJECT)
		return query_sort_put_text(q,
		    o->value[MESSAGE_SUBJECT].p ?
			imap_base_subject(query_sort_decoded(q, o->value[MESSAGE_SUBJECT]),
			    &q->single, &reply) :
			S(""));
	return query_sort_address(q, o->value[by == SORT_FROM ? MESSAGE_FROM : MESSAGE_TO]);
}

/* What the record alone says, as most orders want it: a query has 100,000 of them. */
static void
query_sort_row_plain(const struct query_sort *q, const struct store_record *r,
    struct query_row *row)
{
	row->id = r->emailid;
	row->thread = r->threadid;
	for (size_t i = 0; i < q->n; i++)
		row->key[i] = q->keys[i].by == SORT_SIZE ? r->size : r->internaldate;
}

void
query_sort_row(struct query_sort *q, struct filter_candidate *x, struct query_row *row)
{
	struct message_order o;

	if (q->plain) {
		query_sort_row_plain(q, x->r, row);
		return;
	}
	o = (struct message_order){ 0 };
	*row = (struct query_row){ .id = x->r->emailid, .thread = x->r->threadid };
	if (q->digests &&
	    message_order_digest(store_get_cache(call_view(x->c), row->id), q->fields, &o) < 0)
		o = (struct message_order){ 0 };
	for (size_t i = 0; i < q->n; i++) {
		struct sort_key *k = &q->keys[i];

		switch (k->by) {
		case SORT_RECEIVED: row->key[i] = x->r->internaldate; break;
		case SORT_SENT: row->key[i] = o.dated ? o.sent_at : x->r->internaldate; break;
		case SORT_SIZE: row->key[i] = x->r->size; break;
		case SORT_FROM:
		case SORT_TO:
		case SORT_SUBJECT: row->key[i] = query_sort_text(q, k->by, &o); break;
		case SORT_HAS: row->key[i] = email_has(filter_email(x), k->keyword); break;
		case SORT_ALL:
		case SORT_SOME:
			row->key[i] = filter_thread_has(x->c, row->thread, k->keyword,
			    k->by == SORT_ALL, &k->memo);
			break;
		}
	}
}

void
query_sort_reserve(struct query_sort *q, size_t n)
{
	if (n <= q->room)
		return;
	q->room = n;
	q->rows = mem_grow(q->rows, q->room, query_sort_size(q));
}

void
query_sort_add(struct query_sort *q, const struct query_row *row)
{
	if (q->nrows == q->room)
		query_sort_reserve(q, q->room ? 2 * q->room : 256);
	memcpy(q->rows + q->nrows++ * query_sort_size(q), row, query_sort_size(q));
}

/* ---- order --------------------------------------------------------------------------------------------- */

static int
query_sort_cmp(const void *a, const void *b, void *arg)
{
	const struct query_row *x = a, *y = b;
	const struct query_sort *q = arg;

	for (size_t i = 0; i < q->n; i++) {
		const struct sort_key *k = &q->keys[i];
		int order;

		if (k->by >= SORT_FROM && k->by <= SORT_SUBJECT)
			order = slice_cmp(query_sort_get_text(q, x->key[i]),
			    query_sort_get_text(q, y->key[i]));
		else
			order = x->key[i] < y->key[i] ? -1 : x->key[i] > y->key[i];
		if (order)
			return k->descends ? -order : order;
	}
	/* Ids grow with time: the same direction as the first key. */
	if (x->id == y->id)
		return 0;
	return (x->id < y->id) != q->keys[0].descends ? -1 : 1;
}

static void
query_sort_reverse(struct query_sort *q)
{
	size_t size = query_sort_size(q);
	char t[sizeof(struct query_row)];

	for (size_t lo = 0, hi = q->nrows; lo + 1 < hi; lo++) {
		hi--;
		memcpy(t, q->rows + lo * size, size);
		memcpy(q->rows + lo * size, q->rows + hi * size, size);
		memcpy(q->rows + hi * size, t, size);
	}
}

void
query_sort_run(struct query_sort *q)
{
	size_t n = 0, i = 1;

	/* Mail mostly comes in the order that is wanted, backwards. */
	if (q->keys[0].descends)
		query_sort_reverse(q);
	while (i < q->nrows && query_sort_cmp(query_sort_at(q, i - 1), query_sort_at(q, i), q) <= 0)
		i++;
	if (i < q->nrows)
		qsort_r(q->rows, q->nrows, query_sort_size(q), query_sort_cmp, q);
	for (i = 0; i < q->nrows; i++)
		if (n == 0 || query_sort_at(q, n - 1)->id != query_sort_at(q, i)->id)
			query_sort_move(q, n++, i);
	q->nrows = n;
}

void
query_sort_fini(struct query_sort *q)
{
	for (size_t i = 0; i < q->n; i++)
		thread_memo_fini(&q->keys[i].memo);
	mem_release(q->rows);
	buf_fini(&q->texts);
	buf_fini(&q->decoded);
	buf_fini(&q->single);
	arena_reset(&q->arena);
	*q = (struct query_sort){ 0 };
}
