/* idmap.h: contents by their id: where each is in a stream, and where in the store. */
#ifndef STORECTL_IDMAP_H
#define STORECTL_IDMAP_H
#include <stdint.h>

struct idmap_entry {
	uint64_t id;     /* never 0 */
	uint64_t at;     /* in the stream: the frame behind its message's */
	uint32_t number; /* of that frame */
	uint32_t uid;    /* in the store; 0 = it is not there */
	uint64_t mailbox;
};
/* Zeroed: empty. */
struct idmap {
	struct idmap_entry *slots;
	uint64_t n, room;
};
/* The entry, or NULL. */
struct idmap_entry *idmap_find(const struct idmap *m, uint64_t id);
/* A new one, or that which there is.  Others may move. */
struct idmap_entry *idmap_add(struct idmap *m, uint64_t id);
void idmap_fini(struct idmap *m);
#endif
