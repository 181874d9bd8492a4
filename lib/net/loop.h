/* net/loop.h: the event loop of a worker, its read buffer, timers and coarse deadlines.
 *
 * One thread, one loop.  libuv shows through the structs of net/ because handles are embedded
 * in sessions, but only files in net/ call it. */
#ifndef NET_LOOP_H
#define NET_LOOP_H
#include <uv.h>
#include "base/buf.h"
#include "base/list.h"

#define LOOP_READ_SIZE  65536 /* the one read buffer, lent to a stream while it reads */
#define LOOP_PLAIN_SIZE (LOOP_READ_SIZE + 32768)

/* Runs fn once at the end of the current loop turn (before polling again): batching point.
 * What fn itself puts here runs in the next turn, which does not block. */
struct later {
	struct list link;
	void (*fn)(struct later *);
};

struct loop {
	uv_loop_t uv;
	char *read_buf;   /* LOOP_READ_SIZE; a stream may keep it, then there is a new one */
	char *plain_buf;  /* what TLS made of read_buf, LOOP_PLAIN_SIZE, made on first use */
	char *packet_buf; /* the one packet of ipc.h, made on first use */
	void *packer;     /* stream-deflate.c's, made on first use, */
	void (*packer_free)(void *);
	size_t lead;         /* bytes at its beginning that were there before the read */
	bool lent;           /* it is with a stream that is reading */
	struct buf cork;     /* TLS records on their way out, of one stream at a time */
	struct slice cipher; /* TLS records that came in, for the stream cipher_of */
	const void *cipher_of;
	struct list deadlines; /* of struct deadline_queue, one per distinct duration */
	uv_timer_t tick;       /* drives the deadlines, only armed while there is one */
	struct list later;     /* of struct later: run at the end of this turn */
	uv_check_t check;      /* after polling: runs what the callbacks put on `later` */
	uv_prepare_t prepare;  /* before polling: what timers and close callbacks put there */
	uv_idle_t idle;        /* active while `later` is not empty: polling does not block */
	struct list turns_fresh, turns_worn; /* line-session.c: who waits for a turn */
	struct later turns;
	uint64_t turn_ends_us;  /* of this turn's share for all of them; 0: nobody has begun it */
	uint64_t slice_ends_us; /* of the one that runs */
};

void loop_init(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop */
void loop_stop(struct loop *l); /* leaves loop_run at the end of this turn */
void loop_fini(struct loop *l); /* everything must be closed; runs the close callbacks */
/* Monotonic ms, cached per turn; libuv's clock, only for differences. */
uint64_t loop_now(struct loop *l);

/* An exact timer.  timer_fini may be followed by freeing the owner only in `closed`. */
struct timer {
	uv_timer_t uv;
	void (*fn)(struct timer *);
	void (*closed)(struct timer *);
};
void timer_init(struct timer *t, struct loop *l, void (*fn)(struct timer *));
void timer_start(struct timer *t, uint64_t ms, uint64_t repeat_ms);
void timer_stop(struct timer *t);
void timer_close(struct timer *t, void (*closed)(struct timer *));

/* A coarse deadline (one second): O(1) to move, 32 bytes, no handle.  For session timeouts.
 * deadline_set again moves it; fires once. */
struct deadline {
	struct list link;
	uint64_t at;
	void (*fn)(struct deadline *);
};
void deadline_init(struct deadline *d);
void deadline_set(struct deadline *d, struct loop *l, uint64_t ms, void (*fn)(struct deadline *));
void deadline_clear(struct deadline *d);

void later_init(struct later *t);
void later_run(struct later *t, struct loop *l, void (*fn)(struct later *)); /* idempotent */
void later_cancel(struct later *t);

/* Readiness of a foreign descriptor (libldap, libunbound, our ipc). */
struct watch {
	uv_poll_t uv;
	/* error: 0, or -errno, and then watching has stopped */
	void (*fn)(struct watch *, bool readable, bool writable, int error);
	void (*closed)(struct watch *);
};
int watch_init(struct watch *w, struct loop *l, int fd,
    void (*fn)(struct watch *, bool, bool, int)) MUSTCHECK;
void watch_want(struct watch *w, bool read, bool write);
void watch_close(struct watch *w, void (*closed)(struct watch *)); /* does not close the fd */

/* Wakes a loop from another thread; fn runs on the loop.  Wake-ups may merge. */
struct wakeup {
	uv_async_t uv;
	void (*fn)(struct wakeup *);
	void (*closed)(struct wakeup *);
};
void wakeup_init(struct wakeup *w, struct loop *l, void (*fn)(struct wakeup *));
void wakeup_send(struct wakeup *w); /* any thread */
void wakeup_close(struct wakeup *w, void (*closed)(struct wakeup *));
#endif
