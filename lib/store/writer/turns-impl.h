/* store/writer/turns-impl.h: whose request is next.  Only queue.c, under its lock, and tests may call it.
 *
 * It never looks into a request further than at its verb, actor, owner and first target, keeps no time
 * and waits for nothing. */
#ifndef STORE_TURNS_IMPL_H
#define STORE_TURNS_IMPL_H
#include "base/map.h"
#include "store/writer/writer.h"

#define BATCH_MOST      2048               /* jobs in a batch */
#define BATCH_COST      20000u             /* what they may cost together, estimated: us */
#define TURN_JOBS_MOST  1000               /* of an account that may wait, */
#define TURN_BYTES_MOST (4u * 1024 * 1024) /* and bytes of their requests */

/* By what the next job of a lane is. */
enum turn_ring { RING_MAIL, RING_PEOPLE, RING_ALONE, RINGS };
struct turns {
	struct map lanes;  /* key -> struct lane */
	struct list spare; /* struct lane: empty ones, for the next */
	size_t nspare;
	struct list rings[RINGS]; /* struct lane: of those that have jobs which need not wait */
	struct list parked;       /* struct lane: of those that have others */
	size_t n, ready;          /* jobs; those that are not parked */
	int64_t balance;          /* us that mail has had more than people since both wait */
	uint64_t seq;             /* of the last job */
	bool was_alone;           /* the last batch was of one that runs alone */
};

enum judgement { JUDGE_TAKE, JUDGE_PARK }; /* PARK: it must wait until writer_turns_unpark */
typedef enum judgement judge_fn(const void *arg, const struct store_job *j);

void writer_turns_init(struct turns *t);
void writer_turns_fini(struct turns *t); /* no job is left */
/* False: too much of its account waits, and the job is still the caller's. */
bool writer_turns_put(struct turns *t, struct store_job *j) MUSTCHECK;
/* Moves jobs of a batch to the end of `jobs`; how many.  One that runs alone comes alone. */
size_t writer_turns_take(struct turns *t, struct list *jobs, judge_fn *judge, const void *arg);
/* Taken, but not run: each goes back to its place, and its lane to the front. */
void writer_turns_return(struct turns *t, struct list *jobs);
void writer_turns_unpark(struct turns *t);
#endif
