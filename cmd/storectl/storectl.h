/* cmd/storectl: the operator's tool for the message store.
 * Reads the partitions by itself; changes go through stored, so that there is one writer. */
#ifndef STORECTL_H
#define STORECTL_H
#include "store/client.h"
#include "store/read.h"

#define PARTITION_ROOM 256 /* bytes of a partition's name with its NUL */

/* Blocking calls on stored: the loop runs until the answer is there. */
struct asking {
	struct loop loop;
	struct store_client *client;
	struct op op;
	struct store_reply reply;       /* without its arrays */
	uint64_t nuids, nto;            /* messages in its ranges */
	char path[4096];                /* of the partition, from an account's reply */
	char partition[PARTITION_ROOM]; /* its name, from the same */
	bool answered;
};
void asking_open(struct asking *a);
void asking_close(struct asking *a);
void asking_done(void *arg, const struct store_reply *r);
/* Waits: is the answer OK? */
bool asking_try(struct asking *a) MUSTCHECK;
/* The exit code of an answer that is not OK. */
int asking_code(const struct asking *a);
/* Waits; exits with a message when the answer is not OK. */
void asking_wait(struct asking *a, const char *what);

/* reconstruct.c: makes the index of an account from its files.  Returns an exit code. */
int reconstruct(const char *account);

/* mend.c: the account's damaged records are made again.  How many. */
unsigned mend(struct asking *a, const char *account);

/* recover.c: of one partition, or of all when the name is empty.  Return exit codes. */
int take_snapshots(const char *partition);
int recover(const char *partition, bool force);

/* host.c: a command for the store of another host.  Returns its exit code there, or EX_UNAVAILABLE. */
int storectl_host(const char *host, int port, bool quiet, int argc, char **argv);

/* acl.c: shows what a folder gives to whom; with an identifier, gives it these rights (more with "+" in
 * front, fewer with "-").  Returns an exit code. */
int
storectl_acl(const char *account, const char *folder, const char *identifier, const char *rights);

/* expire.c: old mail goes, by rules.  argv[0] is the command.  Returns an exit code. */
int storectl_expire(int argc, char **argv, bool quiet);

/* readership.c: who has read a shared folder, and when.  The same. */
int storectl_readership(int argc, char **argv, bool quiet);

/* stats.c: how large indexes are, and how much of them is in memory.  The same. */
int storectl_stats(int argc, char **argv, bool quiet);

/* undelete.c: what was expunged comes back.  argv[0] is the command.  Returns an exit code. */
int storectl_undelete(int argc, char **argv, bool quiet);

/* import.c, export.c: mail of other systems comes, and goes.  The same. */
int storectl_import(int argc, char **argv, bool quiet);
int storectl_export(int argc, char **argv, bool quiet);

/* backup.c, restore.c: accounts become a stream, and come back from it.  The same. */
int storectl_backup(int argc, char **argv, bool quiet);
int storectl_restore(int argc, char **argv, bool quiet);

/* account.c: finds an account and opens its partition, without stored.  0, or an exit code after saying
 * why. */
int storectl_account_find(const char *account, struct store_reader **r, struct store_view **v,
    uint64_t *id, char *partition) MUSTCHECK;
/* The same of an account that stored makes when it is not there, in the partition ("" = the default); opens `a`. */
int storectl_account_ready(const char *account, const char *partition, struct asking *a,
    struct store_reader **r, struct store_view **v, uint64_t *id) MUSTCHECK;
/* Is there an account of this name? */
bool storectl_account_is(const char *account);
/* A line on standard output, in one write: other processes may write there too.  Empties it. */
void storectl_say(struct buf *line);

/* account-verb.c: lists, shows, deletes and renames accounts, and finds those that are nobody's.  argv[0] is the
 * command. */
int storectl_account_verb(int argc, char **argv, bool quiet);

/* quota-warn.c: of one account, or ("") of all.  An exit code. */
int storectl_quota_warn(const char *account, bool json, bool dry);

/* rethread.c: mail of before there were threads joins them.  argv[0] is the command.  The same. */
int storectl_rethread(int argc, char **argv, bool quiet);

/* quota.c: "warn", "report", "recount", "set" or "reset", then its options and account.  Returns an exit code. */
int storectl_quota_verb(int argc, char **argv);

/* upgrade.c: the same. */
int upgrade(const char *partition);
#endif
