/* channel-master/onward.h: a message that goes on from a detour (mta/detour.h): what has been made of it, in the
 * queue of the channel that it was for, once, whoever is killed meanwhile.
 *
 *	onward_start -> set aside -> the journal says so -> shown -> done(arg) -> job_settle
 *
 * Its age, its sender's wishes and the channel that it comes from stay what they were. */
#ifndef ONWARD_H
#define ONWARD_H
#include "job-impl.h"

struct onward_part {
	struct slice bytes; /* these; else ... */
	int fd;             /* ... of this file, `n` octets from `at` */
	uint64_t at, n;
};

struct onward {
	struct job *job;
	struct arena a;
	struct handover handover;
	struct op op;
	struct qwriter *w;
	const struct onward_part *parts;
	size_t nparts;
	bool eightbit; /* an octet above 0x7f is among them */
	int error;
	struct verdict said; /* what the recipients' journal gets */
	void (*done)(void *arg);
	void *arg;
};
/* The parts, and what they borrow, must stay until then.  done(arg): the message is in the queue, and all pending
 * recipients are done with; job_settle must follow.  When it cannot be written the job is settled, or dropped,
 * and `done` is not called. */
void onward_start(struct onward *o, struct job *j, const struct onward_part *parts, size_t n,
    const struct verdict *said, void (*done)(void *arg), void *arg);
void onward_fini(struct onward *o); /* nothing is under way */

/* Appends the header of a message, or what there is of one from `at` on, with its empty line.  On a thread for
 * work.  0 or -errno; -EMSGSIZE: it is larger than any relay takes. */
int onward_head(const struct qread *r, uint64_t at, struct buf *out) MUSTCHECK;
#endif
