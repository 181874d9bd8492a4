/* jmapd/query-kept.c: what the latest queries have found, as ids in order.
 *
 * A client that scrolls through 100,000 emails asks for one page after the other of one query, and each page costs the
 * walk through all of them.  So what was found stays for as long as the account does not change: its counter and its
 * life are part of what is compared, with the whole text of the filter and of the order.  Owns the kept ones of this
 * worker, KEPT_BYTES together, the one that was used longest ago going first.  Nothing can fail; what is of another's
 * account is not kept. */
#include "base/mem.h"
#include "email-query.h"

#define KEPT_BYTES (32u << 20)
#define KEPT_LARGE (8u << 20) /* of one */
#define KEPT_KEY   4096       /* octets of what was asked */

struct query_kept {
	struct list link; /* the youngest first */
	struct buf key;
	uint64_t life, modseq;
	uint64_t *ids;
	size_t n;
};
static struct {
	struct list list;
	struct map by_key;
	size_t bytes;
} query_kept;

static size_t
query_kept_size(const struct query_kept *k)
{
	return sizeof(*k) + k->key.room + k->n * sizeof(*k->ids);
}

static void
query_kept_drop(struct query_kept *k)
{
	query_kept.bytes -= query_kept_size(k);
	list_remove(&k->link);
	map_take(&query_kept.by_key, buf_get(&k->key));
	buf_fini(&k->key);
	mem_release(k->ids);
	mem_release(k);
}

/* Whose, what, in which order.  False: it is not to be kept. */
static bool
query_kept_key(const struct call *c, const struct email_query *q, struct buf *b)
{
	const struct json_t *filter = json_find(c->args, S("filter"));
	const struct json_t *sort = json_find(c->args, S("sort"));

	if (c->of.guest)
		return false;
	buf_printf(b, "%s %d ", c->of.name, q->collapse);
	if (!json_none(sort))
		json_write(b, sort);
	buf_char(b, ' ');
	if (!json_none(filter))
		json_write(b, filter);
	/* A creation id stands for what this request says that it does. */
	return b->n <= KEPT_KEY && slice_find_str(buf_get(b), S("\"#")) == b->n;
}

bool
query_kept_answer(struct call *c, struct email_query *q, enum call_next *next)
{
	struct query_kept *k = NULL;
	struct store_account a;
	struct buf key = { 0 };

	q->looked = true;
	if (query_kept.by_key.n > 0 && query_kept_key(c, q, &key))
		k = map_get(&query_kept.by_key, buf_get(&key));
	buf_fini(&key);
	if (!k || call_begin(c, &a) < 0)
		return false; /* what is wrong shows when it is looked for */
	store_end(call_view(c));
	if (k->life != state_of(&a).life || k->modseq != a.modseq) {
		query_kept_drop(k);
		return false;
	}
	list_remove(&k->link);
	list_push_front(&query_kept.list, &k->link);
	*next = email_query_window(c, q, a.modseq, NULL, k->ids, k->n);
	return true;
}

void
query_kept_put(struct call *c, const struct email_query *q)
{
	const struct query_sort *s = &q->rows->sort;
	struct query_kept *k, *was;
	struct store_account a;
	struct buf key = { 0 };

	if (s->nrows * sizeof(*k->ids) > KEPT_LARGE || call_begin(c, &a) < 0)
		return;
	store_end(call_view(c));
	if (a.modseq != q->modseq || !query_kept_key(c, q, &key)) {
		buf_fini(&key);
		return;
	}
	if (query_kept.by_key.n == 0)
		list_init(&query_kept.list);
	was = map_get(&query_kept.by_key, buf_get(&key));
	if (was)
		query_kept_drop(was);
	k = mem_new(sizeof(*k));
	*k = (struct query_kept){ .key = key,
		.life = state_of(&a).life,
		.modseq = a.modseq,
		.ids = mem_array(s->nrows + 1, sizeof(*k->ids)),
		.n = s->nrows };
	for (size_t i = 0; i < s->nrows; i++)
		k->ids[i] = query_sort_at(s, i)->id;
	list_push_front(&query_kept.list, &k->link);
	map_put(&query_kept.by_key, buf_get(&k->key), k);
	query_kept.bytes += query_kept_size(k);
	while (query_kept.bytes > KEPT_BYTES)
		query_kept_drop(list_last(&query_kept.list, struct query_kept, link));
}
