/* jobctl-ctl/ctl.h: what the files of this program share.
 *
 *	main.c     commands, printing, the connection to jobctl
 *	filter.c   which messages
 *	top.c      what is said most */
#ifndef CTL_H
#define CTL_H
#include "base/attr.h"
#include "job/tool.h"
#include "queue/read.h"

extern struct queue *queue;
extern uint64_t printed; /* lines */
NORETURN void die(int code, const char *what, const char *why);
struct job_tool *connect_jobctl(void);
void open_queue(void);
void print_line(struct slice line);

/* filter.c */
struct filter {
	struct buf line;                /* what jobctl is to look at */
	const char *sender, *to, *text; /* what we have to look at */
	const char *qid;                /* named: must exist */
	bool any;
	unsigned given; /* which keys, by bits */
};
void filter_take(struct filter *f, const char *arg);
/* Collects the ids (15 characters each) of the messages that match; 0, or an exit code after saying why. */
int filter_collect(const struct filter *f, struct buf *ids, bool print);

/* Prints a `msg` line, with the sender and who has yet to get it where its file can be read. */
void filter_print(struct slice got);

/* What was said of a recipient that is not delivered yet; "" when nothing was. */
static inline const char *
last_words(const struct qrcpt *q)
{
	return q->state == QSTATE_PENDING && q->last ? q->last->text : "";
}

/* top.c */
int top_errors(void);
#endif
