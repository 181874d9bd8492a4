/* message/needles.h: many strings looked for in one pass over a text.
 *
 * A set is made once and asked of many texts.  A text comes in pieces, cut anywhere.  Cost is
 * linear in the strings plus the text, however many strings there are and however they resemble
 * each other (an automaton, Aho and Corasick 1975); a handful of strings is faster one by one
 * and is done so.  Memory of a set: about 60 bytes for each byte of its strings, in the caller's
 * arena.  Bytes are compared as they are: fold both sides before. */
#ifndef MESSAGE_NEEDLES_H
#define MESSAGE_NEEDLES_H
#include "base/arena.h"
#include "base/buf.h"

struct message_node;
struct message_needles {
	struct slice *text; /* none is empty */
	uint32_t *id;       /* the owner's number of each */
	uint32_t n, room;
	size_t longest; /* bytes */
	/* the automaton, made by message_needles_ready when there are many */
	struct message_node *nodes;
	uint32_t nnodes;
	uint64_t *edges; /* open hash: (node, byte) -> node, two words each */
	uint32_t mask;
	uint32_t *same; /* the next of equal strings: 1 + index, 0 = none */
};

/* Where the texts of one message stand in one set.  Zeroed: at the beginning. */
struct message_scan {
	uint32_t node;
	struct buf tail; /* the last bytes, in which a string may have begun */
	struct buf hit;  /* a byte for each node that has been met */
};

/* Adds a string that is not empty; `text` must live as long as the set, which lies in `a`. */
void
message_needles_add(struct message_needles *s, struct slice text, uint32_t id, struct arena *a);
/* No more are added: builds what searching needs. */
void message_needles_ready(struct message_needles *s, struct arena *a);

/* The next piece of the text: sets found[id] of each string that ends in it.  Returns how many
 * were set that had been clear. */
uint32_t message_needles_feed(const struct message_needles *s, struct message_scan *at,
    struct slice piece, bool *found);
/* Begins another text of the same message: nothing is found across the two. */
void message_scan_cut(struct message_scan *at);
void message_scan_fini(struct message_scan *at);
#endif
