/* base/list.h: intrusive doubly linked lists.  A node that is not on a list points to itself
 * (list_init) so that list_remove is always safe. */
#ifndef BASE_LIST_H
#define BASE_LIST_H
#include <stdbool.h>
#include "base/attr.h"

struct list {
	struct list *next, *prev;
};

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}
static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void
list_insert_before(struct list *at, struct list *l)
{
	l->next = at;
	l->prev = at->prev;
	at->prev->next = l;
	at->prev = l;
}
/* At the tail / at the head of the list `h`. */
static inline void
list_push(struct list *h, struct list *l)
{
	list_insert_before(h, l);
}
static inline void
list_push_front(struct list *h, struct list *l)
{
	list_insert_before(h->next, l);
}
static inline void
list_remove(struct list *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
	list_init(l);
}
/* All of `from` moves to the tail of `to`. */
static inline void
list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}
#define list_first(h, type, member)                                                                \
	(list_empty(h) ? (type *)NULL : CONTAINER((h)->next, type, member))
#define list_last(h, type, member)                                                                 \
	(list_empty(h) ? (type *)NULL : CONTAINER((h)->prev, type, member))
/* for each; the current node may be removed in the body */
#define list_each(it, h, type, member)                                                             \
	for (struct list *it##_l = (h)->next, *it##_n = it##_l->next;                              \
	     it##_l != (h) && ((it) = CONTAINER(it##_l, type, member), 1);                         \
	     it##_l = it##_n, it##_n = it##_l->next)
#endif
