/* leg.c: who is met, and who gets the message by what terms.
 *
 * Called by the files of this folder for each entry that they enter and each leg that comes out.  Nothing
 * fails but the room.  Must stay true: nobody is entered twice on no better terms, and each address, or
 * account, has one leg, on the best terms that it comes with; in a walk on the first ones. */
#include "base/mem.h"
#include "conf/shared.h"
#include "expand/expand-impl.h"

#define CLOSED_MOST 4 /* roads by lists with a password that are kept of one node */

/* The sender that a list gives to what comes by this node; or NULL. */
const char *
expand_node_sender(const struct run *x, const struct node *n)
{
	return x->sender.n && n->list ? n->list->sender : NULL;
}

/* What the lists on the way to it make of the message; or NULL. */
static const struct expand_edit *
node_edit(const struct node *n)
{
	return n->list ? n->list->edit : NULL;
}

/* Copies into the arena with a letter in front, so that kinds of names never meet. */
static struct slice
run_key(struct run *x, char kind, struct slice name)
{
	char *p = arena_new(&x->arena, name.n + 1);

	p[0] = kind;
	for (size_t i = 0; i < name.n; i++)
		p[i + 1] = name.p[i];
	return slice(p, name.n + 1);
}

static uint32_t
edit_bit(const struct expand_edit *e)
{
	return e ? (uint32_t)1 << e->no : 0;
}

/* A road that may be open where those that were met are not. */
static bool
road_new(const struct node *first, const struct expand_edit *e)
{
	if (first->met_open)
		return false;
	if (!e || !e->closed)
		return true;
	return !(first->met_closed & edit_bit(e)) &&
	    __builtin_popcount(first->met_closed) < CLOSED_MOST;
}

bool
expand_enter(struct run *x, struct node *n, char kind, struct slice id, bool *circle)
{
	struct slice key = run_key(x, kind, id);
	struct node *first = map_get(&x->seen, key);
	bool is_free = !n->hold, plain = !expand_node_sender(x, n) && !node_edit(n);
	bool is_open = !node_edit(n) || !node_edit(n)->closed;

	*circle = false;
	for (const struct node *up = n->parent; (first || x->walk) && up && !*circle;
	     up = up->parent)
		*circle = slice_eq(up->id, key);
	if (x->walk) {
		n->id = *circle || !expand_walk_enter(x, key) ? n->id : key;
		return n->id.n;
	}
	if (*circle ||
	    (first && (!is_free || first->met_free) && (!plain || first->met_plain) &&
		!road_new(first, node_edit(n))))
		return false;
	if (!first) {
		map_put(&x->seen, key, n);
		first = n;
	}
	first->met_free = first->met_free || is_free;
	first->met_plain = first->met_plain || plain;
	first->met_open = first->met_open || is_open;
	if (!is_open)
		first->met_closed |= edit_bit(node_edit(n));
	n->id = key;
	return true;
}

/* It comes once more: no hold, no sender of a list's and no change where one of the roads has none. */
static void
leg_better(struct run *x, struct expand_leg *leg, const struct node *n, const char *hold)
{
	if (!hold)
		leg->hold = NULL;
	if (leg->edit && (!node_edit(n) || (leg->edit->closed && !node_edit(n)->closed))) {
		leg->edit = node_edit(n);
		leg->others = 0;
	} else if (leg->edit && leg->edit->closed && node_edit(n) != leg->edit &&
	    node_edit(n)->closed && __builtin_popcount(leg->others) + 1 < CLOSED_MOST) {
		leg->others |= edit_bit(node_edit(n));
	}
	if (leg->sender && !expand_node_sender(x, n)) {
		leg->sender = NULL;
		leg->list = n->list ? n->list->name : NULL;
	}
}

/* The account, where the leg is a mailbox. */
static const char *
leg_who(struct run *x, const struct node *n)
{
	return n->id.n && n->id.p[0] == 'u' ? arena_cstr(&x->arena, slice_from(n->id, 1)) : NULL;
}

void
expand_leg_sum(unsigned char sum[EXPAND_SUM], const char *who, const char *address)
{
	expand_sum(sum, who ? 'u' : 'a', slice_str(who ? who : address));
}

struct arena *
expand_keep(struct run *x)
{
	return x->walk ? expand_walk_arena(x->walk) : &x->arena;
}

/* The leg is one of the result's, or of the walk's; `key` is what it is there once for. */
static void
leg_put(struct run *x, const struct node *n, struct slice key, struct expand_leg leg)
{
	uintptr_t at;

	leg.list = n->list ? n->list->name : NULL;
	leg.sender = expand_node_sender(x, n);
	leg.edit = node_edit(n);
	leg.onward = x->walk ? !expand_asked(x, n) : n != &x->root;
	if (x->walk) {
		expand_walk_leg(x, n, &leg);
		return;
	}
	at = (uintptr_t)map_get(&x->seen, key);
	if (at) {
		leg_better(x, &x->legs[at - 1], n, leg.hold);
		return;
	}
	if (x->nlegs == x->most) {
		expand_large(x);
		return;
	}
	if (x->nlegs == x->legs_room) {
		x->legs_room = x->legs_room ? x->legs_room * 2 : 1;
		x->legs = mem_grow(x->legs, x->legs_room, sizeof(*x->legs));
	}
	x->legs[x->nlegs++] = leg;
	map_put(&x->seen, key, (void *)(uintptr_t)x->nlegs); /* legs move */
}

void
expand_leg_add(struct run *x, const struct node *n, const char *channel, const char *host,
    struct slice address, const char *hold, int64_t max_message)
{
	x->result.hit = x->result.hit ||
	    (x->looking && x->wanted_address.n && slice_ieq(x->wanted_address, address));
	leg_put(x, n, run_key(x, 'a', address),
	    (struct expand_leg){ .channel = channel,
		.host = host,
		.address = arena_cstr(&x->arena, address),
		.hold = hold,
		.who = leg_who(x, n),
		.max_message = max_message });
}

/* As piped takes it (XRUN): what could be a path, an option or a variable is no name. */
static bool
program_name_ok(struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' &&
		    c != '-')
			return false;
	}
	return name.n > 0 && name.n <= 64 && name.p[0] != '.' && name.p[0] != '-';
}

/* A user's program runs once for him, by whatever addresses the message comes; an alias's once for the alias. */
bool
expand_leg_program(struct run *x, const struct node *n, struct slice user, struct slice program,
    struct slice address, const char *hold, int64_t max_message)
{
	char *host, *who;

	if (!channels_pipes(x->e->p.channels, ROUTE_PIPE) || !program_name_ok(program) ||
	    (user.n && !program_name_ok(user)))
		return false;
	host = arena_printf(&x->arena, SFMT "%%" SFMT, SARG(user), SARG(program));
	who = user.n ? host : arena_printf(&x->arena, "%s " SFMT, host, SARG(address));
	leg_put(x, n, run_key(x, 'p', slice_str(who)),
	    (struct expand_leg){ .channel = ROUTE_PIPE,
		.host = host,
		.address = arena_cstr(&x->arena, address),
		.hold = hold,
		.who = who,
		.program = true,
		.max_message = max_message });
	return true;
}
