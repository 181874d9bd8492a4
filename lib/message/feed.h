/* message/feed.h: the bytes of a message one after the other, for who sends it whole.
 *
 * What is in memory is read at once; what would have to come from the disk is read on the work pool
 * first, as its user's share, so that nobody else waits for that disk. */
#ifndef MESSAGE_FEED_H
#define MESSAGE_FEED_H
#include "message/parse.h"

struct message_feed {
	struct message message;
	uint64_t at;                 /* of the next byte */
	uint64_t warm_to;            /* so far the pool has read */
	struct message_parse *parse; /* at work; it has the message meanwhile */
};
/* As message_open: 0, -ENOENT: it is expunged and purged, else an error of ours. */
int message_feed_open(struct message_feed *f, struct store_view *v, uint64_t mailbox,
    uint32_t uid) MUSTCHECK;
/* Up to n bytes to p: how many; 0: the file is shorter than it was; -EAGAIN: they are not in memory,
 * and message_feed_warm will change that; or another -errno. */
ssize_t message_feed_read(struct message_feed *f, char *p, size_t n) MUSTCHECK;
/* Reads ahead on the pool for `user` (net/work.h), then done(arg), which begins with
 * message_feed_back(). */
void message_feed_warm(struct message_feed *f, struct loop *l, struct op *op, uint64_t user,
    void (*done)(void *arg), void *arg);
void message_feed_back(struct message_feed *f);
/* Also while the pool is at it, when the op is cancelled. */
void message_feed_close(struct message_feed *f);
#endif
