/* store/client-impl.h: what client.c, client-bodies.c and ask.c share. */
#ifndef STORE_CLIENT_IMPL_H
#define STORE_CLIENT_IMPL_H
#include "base/map.h"
#include "mail/outcome.h"
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
	size_t n, room, asked, want;
	struct store_body *bodies;
	struct list waiting; /* of struct pending */
};

/* A request that waits for its reply, or for a body, or to be told that stored is away. */
struct pending {
	uint32_t magic;
	uint32_t id;
	struct list link;
	struct op *op; /* NULL once cancelled, and for our own requests */
	store_done *done;
	void *arg;
	struct store_body *body;
	struct stock *stock; /* a request for bodies */
	bool hello;
	bool unsure; /* stored has got a change to make: without an answer it may have happened */
	struct unsent *unsent; /* a change that waits for HELLO's answer; heap */
};

/* A request as it will be sent. */
struct unsent {
	struct store_label label; /* `actor` and `trace` are in `words` */
	uint16_t since;           /* level of its verb */
	struct buf words, body;
};

enum store_client_state {
	STORE_CLIENT_AWAY,     /* no connection; `retry` runs */
	STORE_CLIENT_GREETING, /* connected, HELLO is not answered yet; what changes nothing goes out */
	STORE_CLIENT_READY,
	STORE_CLIENT_FOREIGN, /* stored has refused our HELLO: it answers requests in words */
	STORE_CLIENT_FREED,   /* by its owner: no `done` any more, memory goes with the last hold */
};

struct store_client {
	struct loop *loop;
	char *socket, *who;
	enum store_client_state state; /* moved by store_client_set alone */
	struct conn *conn;             /* NULL while stored is away */
	uint16_t level;                /* of the protocol, agreed */
	bool stranger;                 /* the last connection ended before HELLO was answered */
	store_actor *actor;            /* for whom a request is; may be NULL */
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
	struct buf out;     /* the request that is being written */
	struct arena arena; /* of the reply that is being told */
	void (*watch_fn)(void *arg, const struct store_event *ev, size_t n);
	void *watch_arg;
	bool watch_quiet; /* it wants no events of stored's, only what the client itself tells */
	void (*closed)(void *arg);
	void *closed_arg;
	unsigned holds; /* owner, timer, connection, running callbacks: memory stays */
	bool resync;    /* the watcher must be told that it missed something */
	bool late;      /* stored was not there when it was to be, and it may be that already */
};

/* Writes and sends *r; `done` follows. */
void store_ask(struct store_client *c, struct store_request *r, struct op *op, store_done *done,
    void *arg);
struct pending *
store_pending_new(struct store_client *c, struct op *op, store_done *done, void *arg);
/* A request that cannot be sent: answered STORE_AWAY from the loop. */
void store_ask_nobody(struct store_client *c, struct op *op, store_done *done, void *arg);

/* ---- client.c ---- */
bool store_client_is_freed(const struct store_client *c);
void store_client_hold(struct store_client *c);
void store_client_drop(struct store_client *c); /* the last one frees the memory */
/* Connects, if stored is there; c->conn says whether. */
void store_client_connect(struct store_client *c);
/* Sends *r as `id`, for the session whose turn it is.  0 or -errno. */
int store_client_send(struct store_client *c, const struct store_request *r, uint32_t id) MUSTCHECK;
/* Calls `done`: p is gone then, and perhaps the client. */
void store_client_finish(struct store_client *c, struct pending *p, const struct store_reply *r);
void store_pending_give_up(struct store_client *c, struct pending *p); /* STORE_AWAY, soon */
void store_pending_free(struct store_client *c, struct pending *p);    /* without `done` */
void store_client_serve_later(struct later *l); /* c->serve: gives bodies to who waits */

/* ---- client-bodies.c ---- */
void store_stock_fill(struct store_client *c, struct stock *s); /* asks for what is wanted */
void store_stock_serve(struct store_client *c, struct stock *s);
void store_stock_empty(struct stock *s); /* its descriptors are closed */
/* stored has sent some, or none. */
void store_stock_came(struct store_client *c, struct stock *s, const struct store_reply *r,
    const int *fds, size_t nfds);
#endif
