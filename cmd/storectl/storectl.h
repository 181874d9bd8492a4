/* cmd/storectl: the operator's tool for the message store.
 * Reads the partitions by itself; changes go through stored, so that there is one writer. */
#ifndef STORECTL_H
#define STORECTL_H
#include "store/client.h"
#include "store/read.h"

/* Blocking calls on stored: the loop runs until the answer is there. */
struct asking {
	struct loop loop;
	struct store_client *client;
	struct op op;
	struct store_reply reply;   /* without its arrays */
	char path[4096];            /* of the partition, from an account's reply */
	bool answered;
};
void asking_open(struct asking *a);
void asking_close(struct asking *a);
void asking_done(void *arg, const struct store_reply *r);
/* Waits; exits with a message when the answer is not OK. */
void asking_wait(struct asking *a, const char *what);

/* reconstruct.c: makes the index of an account from its files.  Returns an exit code. */
int reconstruct(const char *account);

/* recover.c: of one partition, or of all when the name is empty.  Return exit codes. */
int take_snapshots(const char *partition);
int recover(const char *partition, bool force);
#endif
