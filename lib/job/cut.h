/* job/cut.h: cut-through: smtp-relay gives a message that has no file yet to a master that waits for such, and hears
 * who has it before it answers its own client.  What is said: tiermail-job(7).
 *
 * A master serves its channel at QUEUE/CHANNEL.cut; where there are several the first one does, and the next one when
 * that has gone.  One packet asks (the line `cut id= file= dest=`, then what the file would hold), one answers
 * (`cut id= done=`, for each recipient 1: has it, or 0, with `site=fail` when the destination gave no session; `cut
 * id= busy=1`: nobody has looked at it).  No answer is awaited for longer than
 * JOB_CUT_MS, and a destination that has answered nothing meanwhile, not for another message either, is left alone for a
 * second, and for twice as long each time, up to JOB_CUT_REST_MS: its mail takes the way through the queue, where failures are counted. */
#ifndef JOB_CUT_H
#define JOB_CUT_H
#include "net/ipc.h"

#define JOB_CUT_MS      1000
#define JOB_CUT_REST_MS 30000
#define JOB_CUT_MOST    64 /* of one asker, under way */

/* ---- smtp-relay's side ----------------------------------------------------------------------- */

struct job_cut;
struct job_cut *job_cut_new(struct loop *l, const char *queue);
void job_cut_free(struct job_cut **c); /* nothing is under way */

/* One question; the caller's memory until done, or job_cut_cancel. */
struct job_cut_ask {
	struct list link;
	struct deadline late;
	struct job_cut_line *line; /* NULL: none is under way */
	uint32_t id;
	uint64_t rests; /* of its destination */
	uint64_t began; /* loop ms */
	/* From the loop: who has it, '1' or '0' for each recipient; empty: nobody is known to. */
	void (*done)(struct job_cut_ask *, struct slice done);
};
/* False: there is no master for it now, or its destination rests; `done` is not called. */
bool job_cut_start(struct job_cut *c, struct job_cut_ask *a, const char *channel, const char *dest,
    const char *file, struct slice image,
    void (*done)(struct job_cut_ask *, struct slice done)) MUSTCHECK;
void job_cut_cancel(struct job_cut_ask *a); /* harmless when none is under way */

/* ---- the master's side ------------------------------------------------------------------------ */

struct job_cuts;
/* Who wants to know; NULL when it was answered. */
struct job_cut_token;
/* Everything is borrowed; it is to be answered, at once or later. */
typedef void job_cut_fn(void *arg, struct job_cut_token *t, const char *file, const char *dest,
    struct slice image);
struct job_cuts *
job_cuts_new(struct loop *l, const char *queue, const char *channel, job_cut_fn *fn, void *arg);
/* Takes the token.  `done` empty: there is no room for it now.  failed: the destination gave no session. */
void job_cut_answer(struct job_cut_token **t, struct slice done, bool failed);
bool job_cuts_serves(const struct job_cuts *c); /* it is the one that has the socket */
/* No more questions; tokens stay good. */
void job_cuts_stop(struct job_cuts *c);
void job_cuts_go(struct job_cuts *c); /* again */
#endif
