/* net/fiber.h: work that reads straight down and waits without holding the loop.
 *
 * For what needs many waits in a row and is rare: an administrator's command, of which there are
 * a few at a time.  Never one for each connection: a stack costs what a thousand idle sessions cost.
 * A fiber runs on its loop's thread, and only between two calls of the loop, so that it needs no
 * locks; between a fiber_wait and its end anything else may have happened. */
#ifndef NET_FIBER_H
#define NET_FIBER_H
#include "net/loop.h"

#define FIBER_STACK (256 * 1024) /* bytes; below it is a page that nobody may touch */

struct fiber;
/* Runs fn(arg) at once, on a stack of its own, until its first wait; then returns. */
void fiber_start(struct loop *l, void (*fn)(void *arg), void *arg);
/* The one that runs; NULL outside. */
struct fiber *fiber_self(void);
/* In a fiber: gives way until fiber_wake, which may have come before. */
void fiber_wait(void);
/* f goes on at the end of this turn of the loop.  One for each wait. */
void fiber_wake(struct fiber *f);
#endif
