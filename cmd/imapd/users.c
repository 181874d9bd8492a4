/* imapd/users.c: the users that are logged in, and the partitions that hold their mail. */
#include "base/log.h"
#include "base/mem.h"
#include "imapd.h"

/* A user that has sessions, or one that an open partition knows. */
static struct user *
add(struct slice account, uint64_t id, struct part *part, struct store_limits limits)
{
	struct user *u = map_get(&imapd.users, account);

	if (!u) {
		u = mem_new(sizeof(*u));
		u->account = mem_strn(account.p, account.n);
		map_put(&imapd.users, slice_str(u->account), u);
	}
	u->id = id;
	u->part = part;
	u->limits = limits;
	u->sessions++;
	return u;
}

static struct user *
find_in(struct part *part, struct slice account, struct store_limits limits)
{
	struct store_account a;
	int r;

	if (store_begin(part->view) < 0)
		return NULL;
	r = store_find_account(part->view, account, &a);
	store_end(part->view);
	return r < 0 ? NULL : add(account, a.id, part, limits);
}

struct user *
user_find(struct slice account, struct slice partition, struct store_limits limits)
{
	struct user *u = NULL;
	struct part *part;
	size_t at = 0;

	/* Without a name in the directory he is wherever he was made: there are few partitions. */
	if (partition.n > 0) {
		part = map_get(&imapd.parts, partition);
		return part ? find_in(part, account, limits) : NULL;
	}
	while (!u && (part = map_next(&imapd.parts, &at)))
		u = find_in(part, account, limits);
	return u;
}

static struct part *
open_part(struct slice name, struct slice path)
{
	struct part *part = map_get(&imapd.parts, name);
	char *dir, *why = NULL;

	if (part)
		return part;
	part = mem_new(sizeof(*part));
	dir = mem_strn(path.p, path.n);
	if (store_reader_open(dir, &part->reader, &why) < 0) {
		log_event(LOG_ERROR, "store_open", "path=%s error=%s", log_str(dir), log_str(why));
		mem_release(why);
		mem_release(part);
		mem_release(dir);
		return NULL;
	}
	mem_release(dir);
	part->view = store_view_new(part->reader);
	part->name = mem_strn(name.p, name.n);
	map_put(&imapd.parts, slice_str(part->name), part);
	return part;
}

struct user *
user_open(struct slice account, const struct store_reply *r, struct store_limits limits)
{
	struct part *part = open_part(r->partition, r->path);

	return part ? add(account, r->account, part, limits) : NULL;
}

void
user_drop(struct user **up)
{
	struct user *u = *up;

	*up = NULL;
	if (--u->sessions > 0)
		return;
	map_take(&imapd.users, slice_str(u->account));
	mem_release(u->account);
	mem_release(u);
}
