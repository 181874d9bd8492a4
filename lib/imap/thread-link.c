/* imap/thread-link.c: REFERENCES, steps 1 to 3 (RFC 5256 3): who is whose parent.
 *
 * Called by thread.c, mostly on the work pool.  Messages are taken in the order of the mailbox, and a
 * link is made when it makes no loop.  A node without children cannot be above its parent, which
 * settles nearly all of them; else one walks up.  What must stay true: walks are paid from a budget
 * that grows with the input.  Who makes them long (deep chains, to whose ends others are tied again and
 * again) spends it, and from there on the forest is kept as a link-cut tree too (Sleator and Tarjan),
 * in which the root of a node is found in log n.  Not from the beginning, because it costs three times
 * what the rest does. */
#include "imap/thread-impl.h"

#include "base/mem.h"

/* Steps up: so many, and so many more for each message and reference. */
#define WALK_LEAST 100000
#define WALK_EACH  16

struct linking {
	struct imap_threads *t;
	struct imap_thread_table ids;
	uint32_t *parent, *kids; /* of nodes: kids counts children */
	uint32_t nnodes, room;
	uint64_t budget;
	/* the link-cut tree, when the budget is spent: of each node its splay tree's links */
	uint32_t *up, *left, *right;
};

/* ---- the link-cut tree: left is nearer to the root ------------------------------------------------- */

static bool
tree_is_top(const struct linking *l, uint32_t x)
{
	uint32_t p = l->up[x];

	return !p || (l->left[p] != x && l->right[p] != x);
}

static void
tree_rotate(struct linking *l, uint32_t x)
{
	uint32_t p = l->up[x], g = l->up[p], child;

	if (!tree_is_top(l, p))
		*(l->left[g] == p ? &l->left[g] : &l->right[g]) = x;
	if (l->left[p] == x) {
		child = l->left[p] = l->right[x];
		l->right[x] = p;
	} else {
		child = l->right[p] = l->left[x];
		l->left[x] = p;
	}
	if (child)
		l->up[child] = p;
	l->up[p] = x;
	l->up[x] = g;
}

static void
tree_splay(struct linking *l, uint32_t x)
{
	while (!tree_is_top(l, x)) {
		uint32_t p = l->up[x];

		if (!tree_is_top(l, p)) {
			uint32_t g = l->up[p];

			tree_rotate(l, (l->left[p] == x) == (l->left[g] == p) ? p : x);
		}
		tree_rotate(l, x);
	}
}

static void
tree_access(struct linking *l, uint32_t x)
{
	uint32_t below = 0;

	for (uint32_t y = x; y; y = l->up[y]) {
		tree_splay(l, y);
		l->right[y] = below;
		below = y;
	}
	tree_splay(l, x);
}

static uint32_t
tree_root(struct linking *l, uint32_t x)
{
	tree_access(l, x);
	while (l->left[x])
		x = l->left[x];
	tree_splay(l, x);
	return x;
}

static void
tree_cut(struct linking *l, uint32_t x)
{
	tree_access(l, x);
	if (l->left[x])
		l->up[l->left[x]] = 0;
	l->left[x] = 0;
}

static void
tree_link(struct linking *l, uint32_t x, uint32_t parent)
{
	tree_access(l, x);
	l->up[x] = parent;
}

/* From what there is: every node a tree of its own that hangs from its parent. */
static void
tree_begin(struct linking *l)
{
	l->up = mem_array(l->room, sizeof(*l->up));
	l->left = mem_array(l->room, sizeof(*l->left));
	l->right = mem_array(l->room, sizeof(*l->right));
	memcpy(l->up, l->parent, l->nnodes * sizeof(*l->up));
}

/* ---- nodes ----------------------------------------------------------------------------------------- */

static uint32_t *
link_grow(uint32_t *a, size_t had, size_t room)
{
	a = mem_grow(a, room, sizeof(*a));
	memset(a + had, 0, (room - had) * sizeof(*a));
	return a;
}

static uint32_t
link_new_node(struct linking *l)
{
	if (l->nnodes == l->room) {
		uint32_t had = l->room;

		l->room *= 2;
		l->parent = link_grow(l->parent, had, l->room);
		l->kids = link_grow(l->kids, had, l->room);
		if (l->up) {
			l->up = link_grow(l->up, had, l->room);
			l->left = link_grow(l->left, had, l->room);
			l->right = link_grow(l->right, had, l->room);
		}
	}
	return l->nnodes++;
}

/* Would `parent` above `child`, which has no parent now, be a loop? */
static bool
link_makes_loop(struct linking *l, uint32_t parent, uint32_t child)
{
	if (parent == child)
		return true;
	if (l->kids[child] == 0)
		return false;
	if (l->up)
		return tree_root(l, parent) == child;
	while (l->parent[parent] && l->budget > 0) {
		parent = l->parent[parent];
		l->budget--;
	}
	if (!l->parent[parent])
		return parent == child;
	tree_begin(l);
	return tree_root(l, parent) == child;
}

/* "Do not create a parent/child link if creating that link would introduce a loop." */
static void
link_make(struct linking *l, uint32_t parent, uint32_t child)
{
	if (link_makes_loop(l, parent, child))
		return;
	l->parent[child] = parent;
	l->kids[parent]++;
	if (l->up)
		tree_link(l, child, parent);
}

static void
link_break(struct linking *l, uint32_t child)
{
	l->kids[l->parent[child]]--;
	l->parent[child] = 0;
	if (l->up)
		tree_cut(l, child);
}

/* ---- the steps --------------------------------------------------------------------------------------- */

/* "If two or more messages have the same Message ID, then only use that Message ID in the first (lowest
 * sequence number) message" */
static void
link_name_messages(struct linking *l)
{
	for (size_t i = 0; i < l->t->n; i++) {
		uint32_t *node;

		if (!l->t->m[i].id)
			continue;
		node = imap_thread_slot(&l->ids, l->t->m[i].id);
		if (!*node)
			*node = (uint32_t)i + 1;
	}
}

/* Steps 1A and 1B of a message.  False: there are too many IDs. */
static bool
link_take_refs(struct linking *l, uint32_t i, size_t at, size_t n)
{
	uint32_t last = 0;

	for (size_t k = 0; k < n; k++) {
		uint32_t *slot = imap_thread_slot(&l->ids, l->t->refs[at + k]);

		if (!*slot)
			*slot = link_new_node(l);
		if (l->nnodes > l->t->n + IMAP_THREAD_MAX_DUMMIES(l->t->n))
			return false;
		if (last && !l->parent[*slot])
			link_make(l, last, *slot);
		last = *slot;
	}
	if (l->parent[i] == last)
		return true;
	if (l->parent[i])
		link_break(l, i);
	if (last)
		link_make(l, last, i);
	return true;
}

/* The nearest one above the dummy d that is a message, or the highest dummy.  Shortens the way. */
static uint32_t
link_settle(struct linking *l, uint32_t d)
{
	uint32_t x = d, next;

	while (x > l->t->n && l->parent[x])
		x = l->parent[x];
	for (; d != x; d = next) {
		next = l->parent[d];
		l->parent[d] = x;
	}
	return x;
}

/* Step 3: dummies go; their children go up, but not to the root unless there is only one. */
static void
link_prune(struct linking *l)
{
	uint32_t n = (uint32_t)l->t->n;

	memset(l->kids, 0, l->nnodes * sizeof(*l->kids));
	for (uint32_t i = 1; i <= n; i++) {
		if (l->parent[i] > n)
			l->parent[i] = link_settle(l, l->parent[i]);
		l->kids[l->parent[i]]++;
	}
	for (uint32_t i = 1; i <= n; i++)
		if (l->parent[i] > n && l->kids[l->parent[i]] == 1)
			l->parent[i] = 0;
	for (uint32_t i = n + 1; i < l->nnodes; i++)
		l->parent[i] = 0;
}

enum imap_threads_made
imap_threads_link(struct imap_threads *t, uint32_t *nnodes, bool (*stopped)(void))
{
	struct linking l = { .t = t,
		.nnodes = (uint32_t)t->n + 1,
		.budget = WALK_LEAST + WALK_EACH * (t->n + t->nrefs) };
	size_t at = 0; /* of the message's references */
	enum imap_threads_made made = IMAP_THREADS_MADE;

	l.room = l.nnodes + l.nnodes / 2 + 16;
	l.parent = link_grow(NULL, 0, l.room);
	l.kids = link_grow(NULL, 0, l.room);
	link_name_messages(&l);
	for (uint32_t i = 0; i < t->n && made == IMAP_THREADS_MADE; i++) {
		if (!link_take_refs(&l, i + 1, at, t->m[i].nrefs))
			made = IMAP_THREADS_TOO_MANY;
		else if (i % IMAP_THREAD_STEP == 0 && stopped())
			made = IMAP_THREADS_STOPPED;
		at += t->m[i].nrefs;
	}
	link_prune(&l);
	t->parent = l.parent;
	*nnodes = l.nnodes;
	imap_thread_table_fini(&l.ids);
	mem_free(&l.kids);
	mem_free(&l.up);
	mem_free(&l.left);
	mem_free(&l.right);
	return made;
}
