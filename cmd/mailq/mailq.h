/* mailq.h: what the parts of mailq share. */
#ifndef MAILQ_H
#define MAILQ_H
#include "job/tool.h"
#include "queue/scan.h"

/* One message: what its file says and what jobctl knows of it. */
struct item {
	const struct qread *r; /* NULL: the file cannot be read */
	const char *channel, *name, *state;
	uint64_t size;
	uint32_t attempts;
	int64_t at, next;
	int64_t release;     /* its sender wants it kept until then; 0: not, or it is on its way */
	const char *mark;    /* to be held or deleted when it comes back, or NULL */
	const char *trouble; /* why r is NULL */
};

/* print.c */
void mailq_print_human(struct buf *b, const struct item *i, int64_t now);
void mailq_print_json(struct buf *b, const struct item *i);
#endif
