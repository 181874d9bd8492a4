/* cmd/stored: the only writer of the message store.
 *
 *	server.c   clients on the socket: packets in, replies and events out
 *	route.c    requests: checked, handed to the writers of their partitions
 *	parts.c    the partitions, and which account lives in which
 *
 * All of this runs on the loop of one process; the writers and purges have threads of their own
 * (lib/store/write*.c). */
#ifndef STORED_H
#define STORED_H
#include "base/map.h"
#include "daemon/daemon.h"
#include "net/ipc.h"
#include "store/config.h"
#include "store/write.h"

enum { M_REQUESTS, M_DELIVERED, M_DUPLICATES, M_APPENDED, M_COPIED, M_EXPUNGED, M_PURGED, M_BATCHES,
	M_FAILED, M_BYTES, M_CLIENTS, M_QUEUED, M_FULL, M_COUNT };

struct part;

/* A connection. */
struct client {
	struct ipc ipc;
	struct store_joiner joiner;
	struct list link;
	char *who;
	struct map bodies;      /* token -> struct body */
	size_t nbodies;
	size_t njobs;           /* in the writers, with this client as their owner */
	size_t weight;          /* bytes of their requests */
	uint64_t requests;
	bool closed, watching;
	bool missed;            /* events were dropped: a resync is due */
};

/* ---- server.c ------------------------------------------------------------------------------- */
int server_start(struct loop *l);
void server_drain(void);
void server_status(struct buf *out);
void reply_to(struct client *c, uint32_t id, const struct store_reply *r);
void client_busy(struct client *c, size_t weight);  /* it has a job more */
void client_unref(struct client *c, size_t weight); /* and one less */
void events_send(const struct buf *events);
void server_idle(void);              /* no jobs are left: a drain may be over */
/* fd, the caller's, or -1; *home is the partition that it was made in. */
int client_body_take(struct client *c, uint64_t token, struct part **home);

/* ---- route.c ---------------------------------------------------------------------------------- */
/* A request has come.  It is answered at once or when its writers are done. */
void route(struct client *c, struct store_head *head, struct slice body);
void job_finished(struct store_job *j);
void reply_now(struct client *c, uint32_t id, enum store_code code, struct verdict v);
size_t jobs_waiting(void);

/* ---- parts.c ---------------------------------------------------------------------------------- */
struct part {
	struct store_part *p;
	struct wakeup wakeup;
	const char *name;
};
struct account {
	char *name;
	struct part *part;
	uint64_t id, inbox;     /* 0 = on the way */
};
int parts_open(struct loop *l);
void parts_close(void (*closed)(void)); /* finishes all work first */
struct part *part_named(struct slice name);  /* "" = the default; or NULL */
struct part *part_of_id(uint64_t id);        /* by the tag in an account's or mailbox's id */
size_t parts_count(void);
struct part *part_at(size_t i);
void parts_tick(void);                       /* every few seconds */
/* Where an account lives; one that is new is assigned to `partition`.  NULL: no such partition. */
struct account *account_get(struct slice name, struct slice partition);
void parts_status(struct buf *out);
#endif
