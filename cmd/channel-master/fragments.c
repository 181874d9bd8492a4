/* channel-master/fragments.c: the index of pieces: see fragments.h.
 *
 * Owned by the one process of its channel.  Memory is bounded by the queue, which holds a file for each entry; a set by
 * PARTIAL_PIECES, so that looking through it stays cheap.  Nothing fails.  An entry may be left behind when its file has
 * gone: who opens that sees it, and so does a piece of the same number. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "expand/sums.h"
#include "fragments.h"
#include "master.h"
#include "onward.h"
#include "queue/scan.h"

static struct map sets, files; /* by key; by id of the file */

static int
address_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
key_make(unsigned char key[EXPAND_SUM], const struct qread *r, struct slice id)
{
	const struct qenv *e = &r->env;
	const char **to = mem_array(e->nrcpt, sizeof(*to));
	struct buf b = { 0 };

	for (size_t i = 0; i < e->nrcpt; i++)
		to[i] = e->rcpts[i].addr;
	qsort(to, e->nrcpt, sizeof(*to), address_order);
	buf_slice(&b, id);
	buf_printf(&b, "%c%s%c%s%c%s", '\0', e->sender, '\0', e->dest, '\0',
	    e->source ? e->source : "");
	for (size_t i = 0; i < e->nrcpt; i++)
		buf_printf(&b, "%c%s", '\0', to[i]);
	expand_sum(key, 'p', buf_get(&b));
	buf_fini(&b);
	mem_free(&to);
}

static struct fragment_set *
set_of(const unsigned char key[EXPAND_SUM])
{
	struct slice name = slice((const char *)key, EXPAND_SUM);
	struct fragment_set *s = map_get(&sets, name);

	if (s)
		return s;
	s = mem_new(sizeof(*s));
	memcpy(s->key, key, sizeof(s->key));
	list_init(&s->pieces);
	map_put(&sets, slice((const char *)s->key, EXPAND_SUM), s);
	return s;
}

struct fragment_set *
fragments_set(const struct qread *r, const struct partial *p)
{
	unsigned char key[EXPAND_SUM];

	key_make(key, r, p->id);
	return map_get(&sets, slice((const char *)key, EXPAND_SUM));
}

struct fragment *
fragments_find(const char *id)
{
	return map_get(&files, slice_str(id));
}

static void
set_total(struct fragment_set *s)
{
	struct fragment *f;

	s->total = 0;
	list_each(f, &s->pieces, struct fragment, link) if (f->total) s->total = f->total;
}

void
fragments_remove(const char *id)
{
	struct fragment *f = map_take(&files, slice_str(id));
	struct fragment_set *s;

	if (!f)
		return;
	s = f->set;
	list_remove(&f->link);
	s->size -= f->size;
	if (f->total) /* what it alone has said is said no more */
		set_total(s);
	if (--s->n == 0) {
		map_take(&sets, slice((const char *)s->key, EXPAND_SUM));
		mem_free(&s);
	}
	mem_free(&f);
}

/* Why it does not go with those that are there, or NULL. */
static const char *
set_against(const struct fragment_set *s, const struct partial *p)
{
	struct fragment *f;

	if (s->total && ((p->total && p->total != s->total) || p->number > s->total))
		return "its number or total contradicts that of other pieces";
	list_each(f, &s->pieces, struct fragment, link)
	{
		if (f->number == p->number)
			return "another piece has its number";
		if (p->total && f->number > p->total)
			return "its number or total contradicts that of other pieces";
	}
	return NULL;
}

static enum fragment_state
set_state(const struct fragment_set *s, const char **why)
{
	*why = "the pieces are too large together";
	if (s->large)
		return FRAGMENT_ALONE;
	return s->total && s->n == s->total ? FRAGMENT_WHOLE : FRAGMENT_WAITS;
}

/* An operator removes a piece, or has it returned, and nobody says so here: one with its number may come again. */
static void
set_look(const struct fragment_set *s, const struct partial *p)
{
	uint32_t attempts;
	struct fragment *f;
	bool held;

	list_each(f, &s->pieces, struct fragment, link)
	{
		if (f->number != p->number)
			continue;
		if (queue_find(master.queue, master.channel->name, f->id, &attempts, &held) ==
		    -ENOENT)
			fragments_remove(f->id);
		return;
	}
}

enum fragment_state
fragments_add(const struct qread *r, const struct partial *p, const char **why)
{
	unsigned char key[EXPAND_SUM];
	struct fragment *f = fragments_find(r->id);
	struct fragment_set *s;

	if (f)
		return set_state(f->set, why);
	key_make(key, r, p->id);
	s = map_get(&sets, slice((const char *)key, EXPAND_SUM));
	if (s)
		set_look(s, p);
	s = set_of(key); /* it may have gone with its last piece */
	if ((*why = set_against(s, p)))
		return FRAGMENT_ALONE; /* the set has others: it stays */
	f = mem_new(sizeof(*f));
	(void)snprintf(f->id, sizeof(f->id), "%s", r->id);
	f->number = p->number;
	f->total = p->total;
	f->size = r->env.body_len;
	f->set = s;
	list_push(&s->pieces, &f->link);
	map_put(&files, slice_str(f->id), f);
	s->n++;
	s->size += f->size;
	s->total = p->total ? p->total : s->total;
	s->large = s->large || s->size > (uint64_t)mconf.fragments_size;
	return set_state(s, why);
}

/* ---- at the start ------------------------------------------------------------------------------ */

static void
fragments_look(struct queue *q, const char *channel, const struct qname *n)
{
	struct buf head = { 0 };
	struct arena a = { 0 };
	struct partial p;
	struct qread *r;
	const char *why;

	if (n->held || qscan_file(q, channel, n, &r) < 0)
		return;
	if (qenv_pending(&r->env) == r->env.nrcpt && onward_head(r, 0, &head) == 0 &&
	    partial_parse(buf_get(&head), &a, &p))
		(void)fragments_add(r, &p, &why);
	qread_close(&r);
	buf_fini(&head);
	arena_reset(&a);
}

int
fragments_open(struct queue *q, const char *channel)
{
	struct buf names = { 0 };
	int e = 0;

	for (unsigned hh = 0; hh < QUEUE_SPREAD && e == 0; hh++) {
		const struct qname *n;

		buf_clear(&names);
		e = qscan_dir(q, channel, hh, &names);
		if (e == -ENOENT)
			e = 0;
		n = (const void *)names.p;
		for (size_t i = 0; i < names.n / sizeof(*n); i++)
			fragments_look(q, channel, &n[i]);
	}
	buf_fini(&names);
	return e;
}
