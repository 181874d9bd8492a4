/* Which of our programs a client is: known by the user that it runs as, not by what it says.
 *
 * Owns the table of users from stored.conf (peer.*).  Loaded once at start, before stored shuts
 * itself in, and by -n; asked by server.c for each connection.  A user that does not exist is an
 * error of the configuration.  What must stay true: a stranger plays no role at all, and stored's
 * own user and root play all of them, because they could write the files without asking; where
 * all daemons run as one user, as in a sandbox, there is thus nothing to configure and nothing
 * kept apart. */
#include <pwd.h>
#include <unistd.h>

#include "base/mem.h"
#include "stored.h"

struct peer {
	uid_t uid;
	unsigned roles;
};
static struct peer *peers;
static size_t npeers;

static void
peer_add(uid_t uid, unsigned role)
{
	for (size_t i = 0; i < npeers; i++)
		if (peers[i].uid == uid) {
			peers[i].roles |= role;
			return;
		}
	peers = mem_grow(peers, npeers + 1, sizeof(*peers));
	peers[npeers++] = (struct peer){ uid, role };
}

static bool
peer_find(const char *name, uid_t *uid)
{
	const struct passwd *pw;
	uint64_t v;

	if (slice_u64(slice_str(name), (uid_t)-2, &v) == 0) {
		*uid = (uid_t)v;
		return true;
	}
	pw = getpwnam(name);
	if (pw)
		*uid = pw->pw_uid;
	return pw;
}

bool
peers_load(struct buf *why)
{
	bool good = true;
	uid_t uid;

	npeers = 0;
	for (size_t i = 0; i < NELEM(stored_conf.peers); i++)
		for (char **name = stored_conf.peers[i]; name && *name; name++) {
			if (peer_find(*name, &uid))
				peer_add(uid, 1u << i);
			else {
				buf_printf(why, "peer.%s: there is no user %s\n",
				    store_roles_name(1u << i), *name);
				good = false;
			}
		}
	return good;
}

unsigned
peers_roles(uid_t uid)
{
	if (uid == geteuid() || uid == 0)
		return STORE_ROLES_ALL;
	for (size_t i = 0; i < npeers; i++)
		if (peers[i].uid == uid)
			return peers[i].roles;
	return 0;
}
