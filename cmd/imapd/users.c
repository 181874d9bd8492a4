/* imapd/users.c: the users that are logged in.
 *
 * Owns the worker's users, one for all sessions of an account; auth.c makes one after the password,
 * session.c drops him.  Nothing can fail.  Must stay true: a user is there as long as a session counts
 * on him. */
#include "base/mem.h"
#include "imapd.h"

struct user *
user_new(struct slice account, uint64_t id, struct store_home *part, struct store_limits limits)
{
	struct user *u = map_get(&imapd.users, account);

	if (!u) {
		u = mem_new(sizeof(*u));
		u->account = mem_strn(account.p, account.n);
		map_put(&imapd.users, slice_str(u->account), u);
		u->groups = login_groups_hold(imapd.door, account);
	}
	u->id = id;
	u->part = part;
	u->limits = limits;
	u->sessions++;
	return u;
}

void
user_drop(struct user **up)
{
	struct user *u = *up;

	*up = NULL;
	if (--u->sessions > 0)
		return;
	map_take(&imapd.users, slice_str(u->account));
	login_groups_leave(&u->groups);
	mem_release(u->account);
	mem_release(u);
}
