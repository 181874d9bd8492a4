/* channel-master/fragments.h: which pieces of messages are in the queue: an index in memory, made of the files
 * when the process begins.
 *
 * Pieces belong together when id, sender, destination, recipients and the channel that they come from are the same: who
 * only guesses an id gets nothing into another's message, and none that is for others; nor does a stranger who writes a
 * sender of this site, for what its own users send comes from another channel. */
#ifndef FRAGMENTS_H
#define FRAGMENTS_H
#include "base/list.h"
#include "mail/partial.h"
#include "queue/read.h"

struct fragment {
	struct list link;
	struct fragment_set *set;
	char id[QUEUE_FILE_ID_LEN + 1];
	uint32_t number, total;
	uint64_t size;
};
struct fragment_set {
	unsigned char key[16];
	struct list pieces;
	size_t n;
	uint32_t total; /* 0: none has said it */
	uint64_t size;
	bool large; /* all that is there is more than may be put together */
};

enum fragment_state {
	FRAGMENT_WAITS,
	FRAGMENT_WHOLE, /* all of them are there */
	FRAGMENT_ALONE, /* it cannot be put together with the others: *why says why not */
};

/* Looks through the channel's files: at the start, before there is a loop to hold.  0 or -errno. */
int fragments_open(struct queue *q, const char *channel) MUSTCHECK;
/* A file of the queue, and what it says of itself. */
enum fragment_state fragments_add(const struct qread *r, const struct partial *p, const char **why);
/* The others of a piece that is not in the index itself; or NULL. */
struct fragment_set *fragments_set(const struct qread *r, const struct partial *p);
struct fragment *fragments_find(const char *id); /* or NULL */
void fragments_remove(const char *id);           /* it has left the queue */
#endif
