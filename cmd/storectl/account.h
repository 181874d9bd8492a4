/* account.h: what a run of storectl account has in hand. */
#ifndef STORECTL_ACCOUNT_H
#define STORECTL_ACCOUNT_H
#include "storectl.h"

struct account_run {
	const char *account, *to; /* "" = none */
	bool json, quiet, dry;
	int purge_days; /* orphans: what has been one for so long goes; -1 = nothing does */
};

/* All accounts, partition by partition, in the order of their names; no snapshot is kept meanwhile, so that
 * each may take its time.  Not 0 ends the walk, and is its value. */
typedef int
account_each(void *arg, const char *partition, struct slice name, const struct store_account *a);
int account_walk(account_each *each, void *arg) MUSTCHECK;
/* One as a line, or as JSON. */
void
account_say(bool json, const char *partition, struct slice name, const struct store_account *a);
/* Deletes it, and says so; with its id, so that nobody else's goes.  An exit code. */
int
account_erase(const struct account_run *run, struct asking *ask, const char *account, uint64_t id);
/* Of these accounts, which are no more or have the name `to` now, what they have in mailboxes of others goes, or goes
 * over.  An exit code. */
int account_leave(struct asking *ask, const char *const *names, size_t n, const char *to);
/* Says what has become of it. */
void account_done(const struct account_run *run, const char *what, const char *account,
    const char *to, const struct store_reply *r);
/* Its id; 0: there is none (*rc 0 unless that was to be said) or a partition cannot be read. */
uint64_t account_id(const char *account, bool say, int *rc);
/* account-rename.c.  An exit code. */
int account_rename(struct account_run *run);
/* account-entry.c: where the directory has the account's mailbox, by a look-up of its own.  False: it does not
 * say, which has been told.  `mailhost` is heap, NULL when the entry has none. */
struct account_entry {
	bool there; /* an entry whose account this is */
	char *dn, *mailhost;
};
bool account_entry_get(struct loop *l, const char *account, struct account_entry *e) MUSTCHECK;
void account_entry_fini(struct account_entry *e);
/* account-orphans.c: those whose entry the directory has not any more.  An exit code. */
int account_orphans(struct account_run *run);
/* Asks the daemons of this host to forget what they know of the account, and to end its sessions. */
void account_forget(const char *account);
/* receive.c: what storectl-serve starts for a host that moves an account here. */
int storectl_receive(int argc, char **argv, bool quiet);
/* move.c: argv[0] is the command.  An exit code. */
int storectl_move(int argc, char **argv, bool quiet);
#endif
