/* programs/programs.h: programs of the site that read one file and write another, by piped (piped(8)): conversions.
 *
 * A packet over Unix SOCK_SEQPACKET with two descriptors, and one back; a connection for each run.  What may be
 * run is piped's own list, with its limits of time, octets and memory; nobody here starts anything.  For services and
 * programs of the suite; see piped(8), STANDARDS, for the packets. */
#ifndef PROGRAMS_PROGRAMS_H
#define PROGRAMS_PROGRAMS_H
#include "base/arena.h"
#include "mail/verdict.h"
#include "net/ipc.h"
#include "net/op.h"

#define PROGRAMS_SOCKET "piped-run.sock" /* in rundir */

/* Borrowed until programs_start returns.  What is empty the program does not see. */
struct programs_order {
	struct slice program; /* of piped's list */
	struct slice user;    /* of the host, as whom it runs; empty: the list says it (run_as) */
	struct slice sender, recipient, qid;
	struct slice type, subtype,
	    name;          /* of a part of a message: "text", "html", its file's name */
	struct slice args; /* of each argument "%" and its octets, for a program that takes some */
};
enum programs_end {
	PROGRAMS_DONE,    /* exit code 0: the output is what it made */
	PROGRAMS_LATER,   /* it says so, or could not be run or heard for now */
	PROGRAMS_REFUSED, /* by its exit code: the message is at fault */
	PROGRAMS_FAILED   /* time, octets, a signal, any other exit code */
};
struct programs_result {
	enum programs_end end;
	struct verdict
	    v; /* the words for it, with the first line of the program's standard error */
};

/* Pure, for both sides.  0, or -EBADMSG: some word is too long, or none that a program could be given. */
int programs_order_write(struct buf *b, const struct programs_order *o) MUSTCHECK;
int programs_order_parse(struct slice packet, struct arena *a, struct programs_order *o) MUSTCHECK;
void programs_result_write(struct buf *b, const struct programs_result *r);
int programs_result_parse(struct slice packet, struct programs_result *r) MUSTCHECK;

/* `in` is read from its beginning, `out` is written from its; both stay the caller's, who may close them at once.
 * done(arg, result) follows; after op_cancel the run is ended, and what it wrote is worth nothing. */
void programs_start(struct loop *l, const struct programs_order *o, int in, int out, struct op *op,
    void (*done)(void *arg, const struct programs_result *), void *arg);
/* The same, on a thread that waits, `ms` at most; until work_stopped(). */
void programs_wait(const struct programs_order *o, int in, int out, uint32_t ms,
    struct programs_result *result);
#endif
