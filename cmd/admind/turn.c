/* admind/turn.c: how much runs for one person.
 *
 * A verb goes on when whoever has asked hangs up, and his request is no longer counted then (daemon/admit.h): so what
 * runs is counted here, and nobody who asks and leaves, again and again, has all connections to the directory.  Owns
 * the list of all turns, whose owners are work.c and scim.c.  Called by them.  Nothing fails.  Must stay true: there are
 * no more turns than connections, so that looking through them costs little. */
#include <string.h>

#include "admind.h"

void
admind_turn_init(struct admind_turn *t)
{
	list_init(&t->link);
}

bool
admind_turn_take(struct admind_turn *t, const char *account)
{
	struct admind_turn *other;
	int64_t n = 0;

	list_each(other, &admind.turns, struct admind_turn, link) n +=
	    strcmp(other->account, account) == 0;
	if (admin_conf.per_user && n >= admin_conf.per_user)
		return false;
	t->account = account;
	list_push(&admind.turns, &t->link);
	return true;
}

void
admind_turn_over(struct admind_turn *t)
{
	list_remove(&t->link);
}
