/* store/watch.h: being told what changes, after each commit of stored. */
#ifndef STORE_WATCH_H
#define STORE_WATCH_H
#include "store/client.h"

enum store_event_kind {
	STORE_EV_MAILBOX =
	    1,             /* messages or flags of `mailbox` changed; its counter is `modseq` now */
	STORE_EV_LIST = 2, /* the folders or subscriptions of `account` changed */
	STORE_EV_DELETED = 3, /* `mailbox` is gone */
	STORE_EV_RESYNC =
	    4,             /* events were lost (overflow, or stored was away): look at everything */
	STORE_EV_AWAY = 5, /* stored has gone; never in a packet */
	STORE_EV_ANNOT = 6, /* annotations of `mailbox` (0: of the server) were set at `modseq` */
	STORE_EV_HAPPENED =
	    7, /* there is something for a script of `mailbox` (store_happened_next) */
};
struct store_event {
	uint8_t kind;
	uint8_t zero[7];
	uint64_t account; /* ids are unique over all partitions of a store */
	uint64_t mailbox;
	uint64_t modseq;
} PACKED;

/* What a packet of events begins with. */
struct store_event_head {
	uint16_t
	    size; /* of each of the records that follow; a later version may have longer ones */
	uint16_t zero[3];
} PACKED;

/* From now on fn gets every event of every account, in packets as they are committed; the
 * caller filters by the ids that it serves.  One watcher for a client; fn NULL ends it. */
void store_watch(struct store_client *c,
    void (*fn)(void *arg, const struct store_event *ev, size_t n), void *arg);
/* Instead: only what the client itself knows (STORE_EV_RESYNC, when stored is back), so that nobody
 * is woken by commits. */
void store_watch_returns(struct store_client *c,
    void (*fn)(void *arg, const struct store_event *ev, size_t n), void *arg);
#endif
