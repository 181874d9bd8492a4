/* store/client_private.h: what client.c and ask.c share. */
#ifndef STORE_CLIENT_PRIVATE_H
#define STORE_CLIENT_PRIVATE_H
#include "base/map.h"
#include "net/ipc.h"
#include "store/request.h"
#include "store/watch.h"

#define PENDING_MAGIC 0x53504e44u

struct conn {
	struct ipc ipc;
	struct store_client *c;
	struct store_joiner joiner;
};

/* Bodies of one partition that are ready. */
struct stock {
	char *name;
	uint32_t index;
	size_t n, asked, want;
	struct store_body bodies[64];
	struct list waiting;   /* of struct pending */
};

/* A request that waits for its reply, or for a body, or to be told that stored is away. */
struct pending {
	uint32_t magic;
	uint32_t id;
	struct list link;
	struct op *op;         /* NULL once cancelled, and for our own requests */
	store_done *done;
	void *arg;
	struct store_body *body;
	struct stock *stock;   /* a request for bodies */
};

struct store_client {
	struct loop *loop;
	char *socket, *who;
	struct conn *conn;     /* NULL while stored is away */
	uint32_t generation;
	uint32_t last_id;
	struct map by_id;
	struct list pending, failed;
	size_t npending;
	struct stock **stocks;
	size_t nstocks;
	struct timer retry;
	uint64_t retry_ms;
	struct later later, serve;
	struct buf out;        /* the request that is being written */
	struct arena arena;    /* of the reply that is being told */
	void (*watch_fn)(void *arg, const struct store_event *ev, size_t n);
	void *watch_arg;
	void (*closed)(void *arg);
	void *closed_arg;
	int nhandles;          /* timer and connection not closed yet */
	int busy;              /* callbacks running: memory stays */
	bool freed;
	bool resync;           /* the watcher must be told that it missed something */
};

/* Writes and sends *r; `done` follows. */
void ask(struct store_client *c, struct store_request *r, struct op *op, store_done *done, void *arg);
struct pending *pending_new(struct store_client *c, struct op *op, store_done *done, void *arg);
void client_release(struct store_client *c);
/* A request that cannot be sent: answered STORE_AWAY from the loop. */
void ask_nobody(struct store_client *c, struct op *op, store_done *done, void *arg);
#endif
