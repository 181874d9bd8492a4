/* store/home.h: where people's mail is, for a daemon that reads it: the partitions that this process
 * has open, the account in one of them, and the lock that a session may have on it.
 *
 * A partition is opened when the first account of it is asked for and stays open.  An account that no
 * open partition knows is asked for at stored, which makes it ready, and is waited for while it starts
 * anew: a person who logs in should not see that.  One struct for a process, on its loop. */
#ifndef STORE_HOME_H
#define STORE_HOME_H
#include "base/map.h"
#include "store/client.h"
#include "store/view.h"

struct store_home { /* a partition */
	char *name;
	struct store_reader *reader;
	struct store_view *view;           /* a snapshot begins and ends within one event */
	struct store_change_cache changes; /* for those who watch mailboxes */
};
struct store_homes {
	struct loop *loop;
	struct store_client *client;
	struct map parts;     /* name -> struct store_home */
	uint64_t patience_ms; /* for how long an account is asked for while stored is away */
	bool opened;          /* store_homes_open has been here */
};
void store_homes_init(struct store_homes *h, struct loop *l, struct store_client *c);
/* Before the process confines itself: it may read all partitions, those of stored.conf too, and take
 * a slot in their lock files (LMDB), the only files of the store that a reader changes.  A partition
 * that comes later is read after a restart. */
void store_homes_reach(void);
/* Opens those of them that are there and not open yet, once: for who looks at other people's mail, who may be
 * in any. */
void store_homes_open(struct store_homes *h);
/* To be called when stored goes and when it is back (STORE_EV_AWAY, STORE_EV_RESYNC): has it come back
 * with another index, or with a lock file in which it cannot see us?  Has it left an index that its disk
 * did not take, and must put back, which it can when nobody has it open?  What we have mapped is of no use
 * then, and LMDB cannot let go of it under views that are open: the process ends (EX_TEMPFAIL), and the
 * next one opens what is there. */
void store_homes_look(const struct store_homes *h);

/* Does a mailbox of a partition that is open give something to a group, or take it?  No snapshot may be open. */
bool store_homes_name_groups(const struct store_homes *h);

/* The home of an account that an open partition knows, else NULL.  `partition` "" is wherever it is. */
struct store_home *
store_home_find(struct store_homes *h, struct slice account, struct slice partition, uint64_t *id);
/* Asks stored.  `home` is NULL when v is no OK. */
typedef void
store_home_done(void *arg, const struct verdict *v, struct store_home *home, uint64_t id);
void store_home_start(struct store_homes *h, struct slice account, struct slice partition,
    struct op *op, store_home_done *done, void *arg);

/* The account's owner has logged in by this protocol: stored is told, at most once in STORE_LOGIN_EVERY. */
void store_home_login(struct store_homes *h, struct store_home *home, struct slice account,
    enum store_login how);

/* The one lock on an account that a session can have: over all processes of this host, and given up by
 * the kernel when its holder dies, whatever of.  It is flock(2) on the account's directory, so that there
 * is nothing to make, to name, or to clean up, nobody needs a right to write, and it costs three calls
 * however many there are.  A descriptor, to be closed; -EAGAIN: somebody has it; -ENOENT: the account has no
 * directory, and so no message yet; or another -errno. */
int store_home_lock(const struct store_home *home, struct slice account) MUSTCHECK;
#endif
