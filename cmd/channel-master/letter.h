/* channel-master/letter.h: a queued message that is written into the queue again, for others: the members of
 * a list, a piece of them at a time, as each list on the way has it.
 *
 *	letter_open                    the header, the words that it brings
 *	letter_piece_start ... done    as many of the legs as have few enough bodies, set aside
 *
 * What is written is set aside under the id that is given (queue/aside.h) and announced as held. */
#ifndef LETTER_H
#define LETTER_H
#include "expand/approved.h"
#include "expand/expand.h"
#include "net/op.h"
#include "queue/read.h"

struct letter;
/* Reads the header of r, beside the loop; done(arg, letter), or NULL when it cannot be read.  r stays the
 * caller's and must live longer. */
void
letter_open(struct qread *r, struct op *op, void (*done)(void *arg, struct letter *), void *arg);
void letter_free(struct letter **l); /* no piece is on its way */
/* The passwords of lists that it brings. */
size_t letter_words(const struct letter *l, const struct slice **words);

struct letter_piece {
	bool kept;              /* until the message's release, if that is still to come */
	const char *id;         /* of the message that it makes */
	const char *source;     /* the channel that it comes from, as the queue is to say */
	const struct qrcpt *of; /* whose legs they are */
	const struct expand_leg *legs;
	size_t nlegs;
};
/* Begins with the first n legs of the piece and returns n, at least 1.  done(arg, v): they are set aside, or
 * TEMP, with every trace removed.  Cannot be cancelled: whoever goes waits for it. */
size_t letter_piece_start(struct letter *l, const struct letter_piece *p,
    void (*done)(void *arg, const struct verdict *v), void *arg);
#endif
