/* queue/write.h: putting a message into the queue.
 *
 *	w = qwrite_begin(q, &env);            envelope complete: at DATA
 *	qwrite_body(w, p, n) ...              Received field, then the message, CRLF line ends
 *	qwrite_commit_start(&w, &op, done, arg);
 *
 * One file is made for each distinct (channel, dest, sender, body) of the recipients, and a further one for
 * each QUEUE_FILE_RCPTS of them.  Recipients may get one of several bodies, which their number says; what
 * is written to all makes no difference between them.  Small messages stay in
 * memory until the commit, where the committer thread writes them; larger ones are streamed
 * into QUEUE/tmp, and further copies are made by copy_file_range.  After `done` says OK the
 * message survives a power cut and the files have been announced (queue_announce). */
#ifndef QUEUE_WRITE_H
#define QUEUE_WRITE_H
#include "queue/queue.h"

struct qwriter;

#define QWRITE_MEMORY (128 * 1024) /* a message up to this size is not written before the commit */

/* Copies the envelope (everything it points to).  Every recipient needs channel and dest; there
 * is at least one.  env->qid "" lets the writer make one.  No I/O. */
struct qwriter *qwrite_begin(struct queue *q, const struct qenv *env);
/* 0, or -errno (kept: the commit will then answer TEMP 4.3.0, PERM never). */
int qwrite_body(struct qwriter *w, const void *p, size_t n);
/* The same for those alone who get this body; nothing when nobody does. */
int qwrite_body_of(struct qwriter *w, unsigned body, const void *p, size_t n);
/* Whether a byte above 0x7f was among them: known only now, and it is in every file's header. */
void qwrite_eightbit(struct qwriter *w, bool eightbit);
/* Takes the writer.  done(arg, v): v is OK 2.6.0, or TEMP 4.3.x with every trace removed.
 * After op_cancel the message is still committed and announced, only `done` is not called. */
void qwrite_commit_start(struct qwriter **w, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg);
void qwrite_abort(struct qwriter **w); /* NULL is fine */
#endif
