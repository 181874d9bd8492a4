/* jmapd/users.c: the users whose requests are served.
 *
 * Owns the worker's users, one for all connections of an account; auth.c makes one after the password,
 * session.c drops him.  Nothing can fail.  Must stay true: a user is there as long as a session counts
 * on him. */
#include "base/mem.h"
#include "jmap/id.h"
#include "jmapd.h"
#include "multi.h"

struct jmapd_user *
jmapd_user_new(struct slice account, uint64_t id, struct store_home *home,
    struct store_limits limits)
{
	struct jmapd_user *u = map_get(&jmapd.users, account);
	struct buf name = { 0 };

	if (!u) {
		u = mem_new(sizeof(*u));
		u->account = mem_strn(account.p, account.n);
		jmap_account_id_write(&name, account);
		u->account_id = buf_take(&name);
		map_put(&jmapd.users, slice_str(u->account), u);
		u->groups = login_groups_hold(jmapd.door, account);
	}
	u->id = id;
	u->home = home;
	u->limits = limits;
	u->sessions++;
	return u;
}

void
jmapd_user_drop(struct jmapd_user **up)
{
	struct jmapd_user *u = *up;

	*up = NULL;
	if (!u || --u->sessions > 0)
		return;
	map_take(&jmapd.users, slice_str(u->account));
	login_groups_leave(&u->groups);
	mem_release(u->account);
	mem_release(u->account_id);
	multi_free(&u->multi);
	mem_release(u);
}

/* What a call may see is judged anew by each. */
static void
jmapd_regrouped(void *arg, struct slice account)
{
	(void)arg, (void)account;
}

void
jmapd_groups(void)
{
	if (login_groups_wanted(jmapd.door))
		return;
	store_homes_open(&jmapd.homes);
	if (store_homes_name_groups(&jmapd.homes))
		login_groups_want(jmapd.door, jmapd_regrouped, NULL);
}
