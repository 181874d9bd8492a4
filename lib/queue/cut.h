/* queue/cut.h: a message that is delivered before it is answered, and needs no file then (cut-through).
 *
 *	qwrite_cut_may(w)                     after the body: nothing speaks against it
 *	qwrite_cut_image(w, i, &b)            what the i-th file would hold, for a master: qread_open_image
 *	qwrite_cut_took(w, i, done)           who of it has the message
 *	qwrite_cut_rest(w)                    is anybody left?  Then qwrite_commit_start, as always; else qwrite_abort
 *
 * The file that is written after all has the name that the master was told, so that a store which knows our names
 * gives nobody a second copy, whatever has become of the first try. */
#ifndef QUEUE_CUT_H
#define QUEUE_CUT_H
#include "queue/read.h"
#include "queue/write.h"

#define QUEUE_CUT_MOST    4            /* files of one message */
#define QUEUE_CUT_LARGEST (120 * 1024) /* octets of one: a packet between processes (net/ipc.h) */

/* It is in memory, goes at once, to few destinations, has no time to be there by, and nobody is to be told of its
 * success. */
bool qwrite_cut_may(const struct qwriter *w);
size_t qwrite_cut_files(const struct qwriter *w);
const char *qwrite_cut_channel(const struct qwriter *w, size_t i);
const char *qwrite_cut_dest(const struct qwriter *w, size_t i);
/* Its name, and appends what it would hold.  False: that is longer than QUEUE_CUT_LARGEST. */
bool qwrite_cut_image(struct qwriter *w, size_t i, char name[QUEUE_NAME_LEN + 4], struct buf *b);
/* Of its recipients, in their order, those with a '1' have the message; `done` of another length: nobody. */
void qwrite_cut_took(struct qwriter *w, size_t i, struct slice done);
/* Forgets the files without recipients.  True: there are others. */
bool qwrite_cut_rest(struct qwriter *w);

/* The message that an image holds, as qread_open gives it; it has no file: it is looked at and closed.  0 or -EBADMSG. */
int qread_open_image(struct queue *q, const char *channel, const char *name, struct slice image,
    struct qread **r, const char **why) MUSTCHECK;
#endif
