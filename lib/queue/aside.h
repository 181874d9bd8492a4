/* queue/aside.h: a report, or a copy, that is queued once, whoever is killed meanwhile.
 *
 * A message and the report about it are two files, and nothing writes both at once.  So the report
 * is first set aside, and shown only when the message's journal says that it is queued:
 *
 *	smtp-relay       commits the report under the id that the master has named, .HELD
 *	channel-master   journal of the message: its recipients' results, `report id= state=queued`
 *	channel-master   queue_aside_show_start: the report loses .HELD, jobctl is told
 *	channel-master   the message is finished, or its journal says state=shown
 *
 * Killed before the journal: the next master removes what is aside and begins anew, since nobody can
 * have delivered it.  Killed behind it: the next one shows it, which does nothing to what is shown
 * and gone.  A list that is expanded by channel-master is queued in pieces: each is a "report" too, which
 * the master has committed itself.  The id is made of the message's file and the number of its reports, so the next master
 * knows it though nothing was written.  A message that is queued anew, because its recipients are
 * elsewhere now, goes the same way: its copy is a "report" of its own kind, with an id of its own, so
 * that a relay which is late with one of them does not put it where the other is.  For
 * channel-master; smtp-relay only needs QUEUE_ASIDE. */
#ifndef QUEUE_ASIDE_H
#define QUEUE_ASIDE_H
#include "queue/queue.h"

enum queue_aside {
	QUEUE_ASIDE_REPORT,
	QUEUE_ASIDE_COPY,
	QUEUE_ASIDE_PIECE,  /* of a list's members */
	QUEUE_ASIDE_MEMBERS /* a report about those who cannot be reached */
};
#define QUEUE_ASIDE_KINDS 4
/* The id of the next one about this message. */
void queue_aside_id(char id[QUEUE_ID_LEN + 1], const char *file_id, enum queue_aside kind,
    uint32_t reports);
/* Removes what is aside under this id, and says so of each file, for jobctl.  A few calls of the
 * system; no sync: what comes back after a power cut is removed again. */
void queue_aside_remove(struct queue *q, const char *id, void (*gone)(const char *file_id));
/* Shows what is aside under this id, and announces it.  done(arg, v): OK when that is on disk, also
 * when nothing was aside; or TEMP. */
void queue_aside_show_start(struct queue *q, const char *id, struct op *op,
    void (*done)(void *arg, const struct verdict *v), void *arg);
#endif
