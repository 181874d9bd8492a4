/* net/listen.h: listening sockets, opened by the parent and shared by its workers. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H
#include "net/addr.h"
#include "net/loop.h"

/* Opens and binds; removes a dead Unix socket first (refuses when somebody answers on it) and
 * gives it `mode`.  Returns the fd or -errno. */
int listen_open(const struct addr *a, int mode) MUSTCHECK;
/* The same for another type of socket, like SOCK_SEQPACKET. */
int listen_open_type(const struct addr *a, int type, int mode) MUSTCHECK;

struct listener {
	uv_poll_t poll;
	struct loop *loop;
	int fd;
	void (*accepted)(struct listener *, int fd); /* the fd is the callee's to own */
	void (*closed)(struct listener *);
	void *data;
	struct deadline pause; /* running while there are no descriptors left */
};
/* Accepts on fd (not owned).  On EMFILE and the like it pauses for a moment and logs. */
int listener_start(struct listener *l, struct loop *loop, int fd,
    void (*accepted)(struct listener *, int fd), void *data) MUSTCHECK;
void listener_stop(struct listener *l, void (*closed)(struct listener *)); /* fd is not closed */
#endif
