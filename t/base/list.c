/* list.c: intrusive lists. */
#include "base/list.h"
#include "../tap.h"

struct node {
	int v;
	struct list link;
};

static const char *
show(struct list *h)
{
	static char out[64];
	struct node *n;
	size_t at = 0;

	out[0] = '\0';
	list_each(n, h, struct node, link) at +=
	    (size_t)snprintf(out + at, sizeof(out) - at, "%d", n->v);
	return out;
}

int
main(void)
{
	struct list a, b;
	struct node n[6], *it;

	list_init(&a);
	list_init(&b);
	for (int i = 0; i < 6; i++) {
		n[i].v = i;
		list_init(&n[i].link);
	}
	ok(list_empty(&a) && !list_first(&a, struct node, link), "empty");
	is(show(&a), "", "nothing to walk");
	list_push(&a, &n[1].link);
	list_push(&a, &n[2].link);
	list_push_front(&a, &n[0].link);
	is(show(&a), "012", "push at both ends");
	eq(list_first(&a, struct node, link)->v, 0, "first");
	eq(list_last(&a, struct node, link)->v, 2, "last");
	list_remove(&n[5].link);
	ok(1, "removing what is on no list is safe");
	list_remove(&n[1].link);
	list_remove(&n[1].link);
	is(show(&a), "02", "remove, twice");
	list_push(&b, &n[3].link);
	list_push(&b, &n[4].link);
	list_splice(&a, &b);
	is(show(&a), "0234", "splice");
	ok(list_empty(&b), "leaves the other empty");
	list_splice(&a, &b);
	is(show(&a), "0234", "splice of nothing");
	list_each(it, &a, struct node, link) if (it->v % 2 == 0) list_remove(&it->link);
	is(show(&a), "3", "removal in a walk");
	return done();
}
