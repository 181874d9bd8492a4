/* cmd/stored: the only writer of the message store.
 *
 *	server.c   clients on the socket: packets in, replies and events out
 *	peers.c    which program a client is, by its user
 *	route.c    requests: checked, handed to the writers of their partitions
 *	parts.c    the partitions, and which account lives in which
 *
 * All of this runs on the loop of one process; the writers and purges have threads of their own
 * (lib/store/writer/). */
#ifndef STORED_H
#define STORED_H
#include "base/map.h"
#include "daemon/daemon.h"
#include "mail/outcome.h"
#include "net/ipc.h"
#include "store/config.h"
#include "store/writer/writer.h"

enum {
	M_REQUESTS,
	M_DELIVERED,
	M_DUPLICATES,
	M_JOINED,
	M_APPENDED,
	M_SEEN,
	M_COPIED,
	M_EXPUNGED,
	M_PURGED,
	M_BATCHES,
	M_FAILED,
	M_POINTS,
	M_JOURNALED,
	M_RESTORED,
	M_REDONE,
	M_LONGEST,
	M_LONGEST_CPU,
	M_BYTES,
	M_FORBIDDEN,
	M_CLIENTS,
	M_QUEUED,
	M_BUSY,
	M_DISK_FREE,
	M_DISK_SIZE,
	M_FULL,
	M_UNMOVED,
	M_UNLINKED,
	M_INDEX_USED,
	M_INDEX_SIZE,
	M_DAMAGED,
	M_OVER_QUOTA,
	M_OVER_DOMAIN,
	M_OVER_FOLDER,
	M_WARNED,
	M_EVENTS,
	M_EVENTS_LOST,
	M_ERASED,
	M_RENAMED,
	M_COUNT
};

struct part;

/* A connection. */
struct client {
	struct ipc ipc;
	struct store_joiner joiner;
	struct list link;
	char *who; /* as it calls itself; "" before HELLO */
	uid_t uid;
	unsigned roles;    /* enum store_role: what it may ask for */
	bool old;          /* it speaks the first version's protocol, which has been logged */
	struct map bodies; /* token -> struct body */
	size_t nbodies;
	size_t njobs;  /* in the writers, with this client as their owner */
	size_t weight; /* bytes of their requests */
	uint64_t requests;
	uint64_t number; /* of all since the start, from 1 */
	struct buf held; /* uint64_t: accounts that are its to move until it goes */
	bool closed, watching;
	bool missed; /* events were dropped: a resync is due */
};

/* ---- server.c ------------------------------------------------------------------------------- */
int server_start(struct loop *l);
void server_drain(void);
void server_status(struct buf *out);
void reply_to(struct client *c, uint32_t id, const struct store_reply *r);
void client_busy(struct client *c, size_t weight);  /* it has a job more */
void client_unref(struct client *c, size_t weight); /* and one less */
void events_send(const struct buf *events);
void server_idle(void); /* no jobs are left: a drain may be over */
/* fd, the caller's, or -1; *home is the partition that it was made in. */
int client_body_take(struct client *c, uint64_t token, struct part **home);

/* ---- route.c ---------------------------------------------------------------------------------- */
/* A request has come.  It is answered at once or when its writers are done. */
void stored_route(struct client *c, const struct store_label *label, struct slice body);
void stored_job_finished(struct store_job *j);
void stored_reply_now(struct client *c, uint32_t id, enum store_code code, struct verdict v);
size_t stored_jobs_waiting(void);
/* The client has gone: the accounts that it moves are nobody's to move, and thawed. */
void stored_held_end(struct client *c);
void stored_jobs_fini(void); /* no job is out */
/* A request that this client may not make. */
void stored_forbid(struct client *c, const struct store_label *label, const char *why);
/* A request that cannot be carried out at all: -EBADMSG or -EOPNOTSUPP. */
void stored_refuse(struct client *c, const struct store_label *label, int rc, const char *why);

/* ---- peers.c ---------------------------------------------------------------------------------- */
/* Looks the users of peer.* up.  False, with messages in *why, when one does not exist. */
bool peers_load(struct buf *why);
/* The roles that this user plays: all, when it is stored's own or root, who could write the
 * files as well. */
unsigned peers_roles(uid_t uid);

/* ---- parts.c ---------------------------------------------------------------------------------- */
struct part {
	struct store_part *p;
	struct wakeup wakeup;
	const char *name;
};
struct account {
	char *name;
	struct part *part;
	uint64_t id, inbox; /* 0 = on the way */
	size_t jobs;        /* at the writer, which may make it, by its name */
};
int parts_open(struct loop *l);
void parts_close(void (*closed)(void));     /* finishes all work first */
struct part *part_named(struct slice name); /* "" = the default; or NULL */
struct part *part_of_id(uint64_t id);       /* by the tag in an account's or mailbox's id */
size_t parts_count(void);
struct part *part_at(size_t i);
void parts_tick(void); /* every few seconds */
/* Where an account lives; one that is new is assigned to `partition`.  NULL: no such partition, or the
 * name is none. */
struct account *account_get(struct slice name, struct slice partition);
/* A job that names it goes to its writer (1), or has come back (-1).  Until then one that is gone keeps its partition. */
void account_job(struct slice name, int by);
/* What all accounts of the domain use together. */
void parts_domain(struct slice name, uint64_t *bytes, uint64_t *messages);
void parts_status(struct buf *out);
#endif
