/* jmapd/identity.h: who a user may be to others (RFC 8621 6): those addresses of the directory entry whose mail
 * comes to him, the primary one first. */
#ifndef JMAPD_IDENTITY_H
#define JMAPD_IDENTITY_H
#include "call.h"

#define IDENTITIES_MOST 256

/* Of the user of a call, as the directory has them now.  The first member of a method's state, so that
 * identities_ask() finds it. */
struct identities {
	struct slice *email; /* in the call's arena */
	size_t n;
	size_t checked, all; /* addresses of the entry that are asked about */
	bool asked, away;    /* away: the directory has not answered */
	struct json_t *kept; /* what the user says of each, by its id; or NULL */
	bool read;           /* it has been */
};
/* Asks the directory: WAIT, then `go` again. */
enum call_next identities_ask(struct call *c);
/* "I" and 16 hexadecimal digits that depend on the address alone: the same in all workers and for ever. */
void identity_id_write(struct buf *b, struct slice email);
/* The one of this id; p NULL: there is none. */
struct slice identity_find(const struct identities *ids, struct slice id);
/* Is the address one of them, or one with a subaddress (user+detail)? */
bool identity_has(const struct identities *ids, struct slice email);

/* Reads `kept`, outside of a snapshot; the method frees it.  0 or -errno. */
int identities_read(struct call *c, struct identities *ids) MUSTCHECK;
/* All of it is there; else *next is what comes next. */
bool identities_ready(struct call *c, enum call_next *next);
/* The Identity, with the properties of these bits (call_properties). */
void identity_put(struct buf *b, const struct identities *ids, struct slice email, uint64_t want);
void identity_state_write(struct buf *b, const struct identities *ids);

extern const struct jmapd_method identity_get, identity_changes, identity_set;
#endif
