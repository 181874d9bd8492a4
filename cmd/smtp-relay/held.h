/* smtp-relay/held.h: octets that are kept until it is known what becomes of them: the body of a message that
 * filters are asked about.  In memory up to HELD_MEMORY, behind that in a file of the queue's file system that
 * has no name, so that nothing of it is left when the process ends. */
#ifndef SMTP_RELAY_HELD_H
#define SMTP_RELAY_HELD_H
#include "base/buf.h"

#define HELD_MEMORY (128 * 1024)

struct held {
	struct buf memory;
	int fd; /* -1: all is in memory */
	uint64_t size;
};
void held_init(struct held *h);
void held_fini(struct held *h);                             /* harmless twice */
int held_add(struct held *h, struct slice bytes) MUSTCHECK; /* 0 or -errno */
/* Appends the octets from `at` on, `most` of them; nothing behind the end.  0 or -errno. */
int held_read(const struct held *h, uint64_t at, size_t most, struct buf *out) MUSTCHECK;
#endif
