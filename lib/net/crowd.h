/* net/crowd.h: very many descriptors that something may be read of, or that may go, at the price of none of our memory for
 * each: they share an epoll of their own, which the loop watches.  For who has thousands that mostly say nothing; a
 * struct watch (net/loop.h) has 176 octets. */
#ifndef NET_CROWD_H
#define NET_CROWD_H
#include "net/loop.h"

struct epoll_event;

struct crowd {
	struct watch watch;
	int fd;
	void (*ready)(void *item); /* readable, or gone; as long as it is, again and again */
	struct epoll_event *now;   /* those that are being told, */
	int at, n;                 /* from `at` on */
};

/* 0, or -errno. */
int crowd_open(struct crowd *c, struct loop *l, void (*ready)(void *item)) MUSTCHECK;
int crowd_add(struct crowd *c, int fd, void *item) MUSTCHECK; /* 0, or -errno */
/* Nothing is told of it any more, not even what has been seen already.  Before the descriptor is closed, or given away. */
void crowd_remove(struct crowd *c, int fd, const void *item);
void crowd_close(struct crowd *c); /* `c` lives on until the loop ends; a second time is fine */
#endif
