/* jmapd/shared.c: accounts of others of which the user may see something: their mailboxes by ACL (RFC 4314), as imapd
 * shows them below "Shared Folders".
 *
 * The store's index of who lets whom look (store/read.h) says which accounts there are, in all partitions of this host;
 * which of their mailboxes, and what may be done there, is judged by each call (folders.c) and by stored.  Nothing is
 * kept.  Cost: a look into each partition, and one for each account that is told. */
#include "call.h"

/* Is there a row of the index for exactly this account? */
static bool
shared_with(struct store_view *v, struct store_person who, uint64_t account)
{
	uint64_t at = account - 1;
	struct slice owner;

	return store_next_sharer(v, who, &at, &owner) && at == account;
}

bool
shared_find(struct session *s, struct slice account_id, struct arena *a, struct call_of *of)
{
	struct slice login = slice_str(s->user->account);
	struct buf name = { 0 };
	bool good = false;

	*of = (struct call_of){ .guest = true };
	if (jmap_account_id_parse(account_id, &name) == 0 && !slice_eq(buf_get(&name), login)) {
		store_homes_open(&jmapd.homes);
		of->home = store_home_find(&jmapd.homes, buf_get(&name), S(""), &of->id);
	}
	if (of->home && store_begin(of->home->view) == 0) {
		good = shared_with(of->home->view, login_groups_person(s->user->groups), of->id);
		store_end(of->home->view);
	}
	if (good) {
		of->name = arena_cstr(a, buf_get(&name));
		of->account_id = arena_cstr(a, account_id);
	}
	buf_fini(&name);
	return good;
}

void
shared_each(const struct jmapd_user *u, void (*tell)(void *arg, struct slice owner), void *arg)
{
	const struct store_person who = login_groups_person(u->groups);
	struct store_home *home;
	struct slice owner;
	size_t at = 0, n = 0;

	store_homes_open(&jmapd.homes);
	while ((home = map_next(&jmapd.homes.parts, &at))) {
		uint64_t account = 0;

		if (store_begin(home->view) < 0)
			continue;
		while (n < SHARED_MOST && store_next_sharer(home->view, who, &account, &owner)) {
			if (slice_eq(owner, who.login))
				continue;
			tell(arg, owner);
			n++;
		}
		store_end(home->view);
	}
}
