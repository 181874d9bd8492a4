/* What is known of groups when the directory says nothing (login/groups.h): who waits goes on, what is too old is forgotten,
 * and one whose entry is no good is nobody else's matter. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "login/groups-impl.h"
#include "../tap.h"

#define HOUR_MS (60 * 60 * 1000)

static struct loop loop;
static struct login_grouper *grouper;
static struct login_door *door;
static int told, changes;

/* A server that takes connections and is silent. */
static char *
silent(int *fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	*fd = socket(AF_INET, SOCK_STREAM, 0);
	if (*fd < 0 || bind(*fd, (void *)&a, n) < 0 || listen(*fd, 16) < 0 ||
	    getsockname(*fd, (void *)&a, &n) < 0)
		abort();
	return mem_printf("ldap://127.0.0.1:%d", ntohs(a.sin_port));
}

static void
on_told(void *arg)
{
	*(bool *)arg = true;
	if (--told == 0)
		loop_stop(&loop);
}

static void
on_change(void *arg, struct slice account)
{
	(void)arg, (void)account;
	changes++;
}

static bool
comes(const char *account, struct op *op, bool *done)
{
	*done = false;
	*op = (struct op){ 0 };
	return login_groups_start(door, slice_str(account), op, on_told, done);
}

/* Is who was asked about longest ago the first one? */
static bool
in_order(void)
{
	struct login_groups *g;
	uint64_t before = 0;

	list_each(g, &grouper->all, struct login_groups, link)
	{
		if (g->asked_ms < before)
			return false;
		before = g->asked_ms;
	}
	return true;
}

static void
knew(struct login_groups *g, const char *names, uint64_t ms_ago)
{
	mem_free(&g->names);
	g->names = mem_str(names);
	g->unsure = false;
	g->known_ms = loop_now(&loop) - ms_ago;
}

int
main(void)
{
	static const int64_t delay = 0;
	static char *urls[2] = { 0 };
	struct login_groups *ann, *joe, *old;
	struct store_person who;
	struct op ops[4];
	bool went[4];
	int fd;

	urls[0] = silent(&fd);
	shared.ldap_urls = urls;
	shared.ldap_base = mem_str("o=test");
	shared.ldap_bind_dn = mem_str("");
	shared.ldap_password = mem_str("");
	shared.ldap_timeout = 300;
	shared.ldap_binders = 1;
	shared.ldap_cache_size = 100;
	shared.ldap_cache_age = 60000;
	loop_init(&loop);
	door = login_door_new(&loop, dir_new(&loop), &delay);
	ann = login_groups_hold(door, S("ann@example.test"));
	joe = login_groups_hold(door, S("joe@example.test"));
	old = login_groups_hold(door, S("old@example.test"));
	grouper = door->grouper;
	ok(!comes("ann@example.test", &ops[0], &went[0]), "nobody waits before groups matter");
	login_groups_want(door, on_change, NULL);

	told = 3;
	knew(joe, "staff@example.test", 2 * 60000);
	knew(old, "staff@example.test", HOUR_MS + 60000);
	ok(comes("ann@example.test", &ops[0], &went[0]) &&
		comes("joe@example.test", &ops[1], &went[1]) &&
		comes("old@example.test", &ops[2], &went[2]),
	    "three come in");
	eq(grouper->now == ann, 1, "the first is asked about");

	/* His entry is there twice, say. */
	op_cancel(&grouper->op);
	login_groups_failed(grouper, "two entries", false);
	ok(went[0] && !went[1] && !went[2], "his entry is no good, and he alone goes on");
	ok(grouper->now == joe, "the next is asked about");

	loop_run(&loop);
	ok(went[1] && went[2], "the directory is silent, and all go on");
	ok(in_order(), "and each is asked about again when it is his turn");
	who = login_groups_person(joe);
	ok(!who.unsure && slice_eq(who.groups, S("staff@example.test")),
	    "what was known a moment ago holds");
	who = login_groups_person(old);
	ok(who.unsure && who.groups.n == 0, "what is older than an hour does not");
	ok(changes > 0, "which his sessions are told");
	return done();
}
