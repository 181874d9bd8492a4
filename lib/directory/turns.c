/* turns.c: whose password is checked next.
 *
 * Passwords are checked by a few connections that bind, each for as long as the password's hash
 * wants.  In one queue an address with a thousand wrong passwords made everybody wait for all of
 * them; so each client address has a queue, the queues take turns, and no address has all
 * binders.  auth.c is the only caller.  Owns the queues, which live as long as they have an ask
 * or a bind in progress.  Nothing can fail.  Must stay true: an ask that is queued is in the queue
 * of its address (by ask.turn) and in dir.binding (by ask.link, in the order of time limits). */
#include <string.h>

#include "base/mem.h"
#include "directory/directory-impl.h"

struct dir_turns {
	struct list link; /* dir.turns: the next to have a turn is first */
	struct list asks;
	size_t bound; /* of its asks that have a binder */
	char client[DIR_CLIENT_LEN];
};

static struct slice
turns_key(const struct dir_turns *t)
{
	return slice(t->client, sizeof(t->client));
}

static struct dir_turns *
turns_get(struct dir *d, const char client[DIR_CLIENT_LEN])
{
	struct dir_turns *t = map_get(&d->clients, slice(client, DIR_CLIENT_LEN));

	if (t)
		return t;
	t = mem_new(sizeof(*t));
	memcpy(t->client, client, sizeof(t->client));
	list_init(&t->asks);
	list_push(&d->turns, &t->link);
	map_put(&d->clients, turns_key(t), t);
	return t;
}

static void
turns_release(struct dir *d, struct dir_turns *t)
{
	if (t->bound || !list_empty(&t->asks))
		return;
	map_take(&d->clients, turns_key(t));
	list_remove(&t->link);
	mem_release(t);
}

void
dir_turns_push(struct ask *a, bool front)
{
	struct dir_turns *t = turns_get(a->dir, a->client);

	a->turns = t;
	if (front)
		list_push_front(&t->asks, &a->turn);
	else
		list_push(&t->asks, &a->turn);
}

void
dir_turns_leave(struct ask *a)
{
	struct dir_turns *t = a->turns;

	a->turns = NULL;
	list_remove(&a->turn);
	if (t)
		turns_release(a->dir, t);
}

/* All binders but one, so that somebody else's password finds one free. */
static size_t
turns_most(const struct dir *d)
{
	return d->nbinders > 1 ? d->nbinders - 1 : 1;
}

struct ask *
dir_turns_next(struct dir *d)
{
	struct dir_turns *t;

	list_each(t, &d->turns, struct dir_turns, link)
	{
		if (list_empty(&t->asks) || t->bound >= turns_most(d))
			continue;
		list_remove(&t->link);
		list_push(&d->turns, &t->link);
		return list_first(&t->asks, struct ask, turn);
	}
	return NULL;
}

struct dir_turns *
dir_turns_bind(struct ask *a)
{
	struct dir_turns *t = a->turns;

	t->bound++;
	a->turns = NULL;
	list_remove(&a->turn);
	return t;
}

void
dir_turns_unbind(struct dir *d, struct dir_turns **tp)
{
	struct dir_turns *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	t->bound--;
	turns_release(d, t);
}
