/* job/sched-impl.h: what the files of the schedule share; nobody else includes it. */
#ifndef JOB_SCHED_IMPL_H
#define JOB_SCHED_IMPL_H
#include "job/sched.h"

#define SLAB_ENTRIES 1024

/* A thing in the heap: an entry or, with the lowest bit set, a destination. */
struct sched {
	struct map channels;
	struct sched_channel **order; /* the channels, for walks */
	size_t nchannels;
	const struct channels *conf;

	struct sched_entry **slab; /* chunks of SLAB_ENTRIES, never moved */
	size_t nslab;
	struct sched_entry *unused;  /* by hash_next */
	struct sched_entry **bucket; /* hash by id */
	size_t nbucket, count;

	uintptr_t *heap; /* by due; [0] is the earliest */
	size_t nheap, heap_room;
	size_t dest_bytes;
	int64_t now;        /* of the call under way that deals with leases */
	struct list moving; /* destinations, by `moving` */
	bool keep;          /* destinations without messages are not forgotten yet */
};

/* heap.c */
void sched_heap_put_entry(struct sched *s, struct sched_entry *e, uint32_t due);
void sched_heap_take_entry(struct sched *s, struct sched_entry *e);
void sched_heap_put_dest(struct sched *s, struct sched_dest *d, uint32_t due);
void sched_heap_take_dest(struct sched *s, struct sched_dest *d);
/* The earliest, if due at `now`: one of the two is set. */
bool sched_heap_pop(struct sched *s, uint32_t now, struct sched_entry **e, struct sched_dest **d);

/* slab.c */
struct sched_entry *sched_entry_new(struct sched *s, const char *id);
void sched_entry_free(struct sched *s, struct sched_entry *e);
void sched_slab_free(struct sched *s);

/* dest.c */
struct sched_dest *sched_dest_get(struct sched *s, struct sched_channel *c, struct slice name);
void sched_dest_place(struct sched_dest *d);  /* keeps its places in the rings right ... */
void sched_dest_update(struct sched_dest *d); /* ... and those of its group, if it needs none */
void sched_dest_turn(struct sched_dest *d, int prio); /* to the end of its ring */
/* May it have another one now?  False: it is not served until it may. */
bool sched_dest_may(struct sched *s, struct sched_dest *d, int64_t now);
void sched_dest_wake(struct sched *s, struct sched_dest *d);    /* it is dead no more */
void sched_dest_free_rates(struct sched *s);                    /* other rates count from now on */
void sched_dest_unlimit(struct sched *s, struct sched_dest *d); /* waits for its rate no more */
/* A delivery to it was handed out / came back (d->active is the count without / with it). */
void sched_dest_out(struct sched_dest *d, int64_t now);
void sched_dest_back(struct sched_dest *d, int64_t now);
void sched_dest_look_slow(struct sched_channel *c, int64_t now); /* who has become slow by now? */
/* May another delivery be handed out to this class? */
bool sched_dest_class_room(const struct sched_channel *c, enum dest_class class);
void sched_dest_maybe_idle(struct sched *s, struct sched_dest *d);
/* What the end of a lease says of it; of an action, a notice say, its site does not count. */
void sched_dest_result(struct sched *s, struct sched_dest *d, const struct job_result *r,
    bool action, int64_t now);
/* Its server wants no mail before then: what waits has no attempt counted. */
void sched_dest_suspend(struct sched *s, struct sched_dest *d, int64_t until, int64_t now);
/* As after a success: all of its messages may go. */
void sched_dest_resume(struct sched *s, struct sched_dest *d, int64_t now);
void sched_dest_probe(struct sched *s, struct sched_dest *d, int64_t now); /* its park is over */
void sched_dest_free_all(struct sched *s, struct sched_channel *c);

/* move.c: all messages of a destination, a slice now and the others by sched_move_some: what is ready waits for its
 * own backoff without an attempt being counted, or what waits for that is ready again. */
enum sched_move { SCHED_MOVE_WAIT, SCHED_MOVE_READY };
void sched_move_start(struct sched *s, struct sched_dest *d, enum sched_move how, int64_t now);
void sched_move_stop(struct sched_dest *d); /* what was not moved stays where it is */
void sched_move_some(struct sched *s, size_t most, int64_t now);

/* group.c.  Its MX hosts are these; a group without destinations is gone. */
void sched_group_join(struct sched *s, struct sched_dest *d, struct slice mx);
void sched_group_leave(struct sched *s, struct sched_dest *d);
/* A delivery to one of the group may go now; else d is out of its rings until it may. */
bool sched_group_may(struct sched *s, struct sched_dest *d, int64_t now);
/* d waits for the rate of its group, for all of them, or does no more. */
void sched_group_limit(struct sched_dest *d, bool limited);
/* Something about d has changed: if its group has room, one of those who wait for that may go. */
void sched_group_let_out(struct sched_dest *d);
void sched_group_out(struct sched_dest *d);
void sched_group_back(struct sched_dest *d);

/* rate.c.  May one more message go now, and when may the next one; a delivery was handed out, or has come back
 * untried: it counts in the rates of its destination and channel, or does not. */
bool sched_rate_may(struct sched_rate *b, const struct channel_rate *r, int64_t now);
int64_t sched_rate_at(const struct sched_rate *b, const struct channel_rate *r);
/* Would it be the same if it had never been used? */
bool sched_rate_full(const struct sched_rate *b, const struct channel_rate *r, int64_t now);
struct sched_rate *sched_rate_of(struct sched_dest *d); /* its own, or its group's */
void sched_rates_out(struct sched_dest *d);
void sched_rates_back(struct sched *s, struct sched_dest *d);

/* operate.c.  Its sender wants it kept, for longer than until now; the times of the calendar again, behind a step of the
 * clock. */
bool sched_early_is(const struct sched_entry *e, int64_t now);
void sched_early_anew(struct sched *s);

/* sched.c */
void sched_entry_ready(struct sched *s, struct sched_entry *e, int64_t now, bool front);
void sched_entry_wait(struct sched *s, struct sched_entry *e, int64_t until);
void sched_entry_unlink(struct sched *s, struct sched_entry *e); /* out of queue, list and heap */
#endif
