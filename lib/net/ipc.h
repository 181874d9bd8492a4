/* net/ipc.h: packets over Unix SOCK_SEQPACKET sockets, with descriptors.
 *
 * A packet is delivered whole or not at all; up to IPC_FDS descriptors ride along.  For the
 * binary protocols between our own daemons on one host; the text protocols use stream.h. */
#ifndef NET_IPC_H
#define NET_IPC_H
#include "net/addr.h"
#include "net/loop.h"

#define IPC_PACKET (128 * 1024) /* largest packet */
#define IPC_FDS    32           /* most descriptors in one packet */
#define IPC_PARTS  4

struct ipc;
struct ipc_events {
	/* A packet; fds (nfds of them) are the callee's to own.  `packet` is borrowed. */
	void (*packet)(struct ipc *, struct slice packet, int *fds, size_t nfds);
	void (*closed)(struct ipc *, int error); /* last event, 0 or -errno: memory may go */
};
struct ipc {
	struct watch watch;
	struct loop *loop;
	const struct ipc_events *ev;
	void *data;
	int fd;
	struct list queue; /* packets waiting for room in the socket */
	size_t queued;     /* bytes of memory in the queue */
	size_t most;       /* see ipc_limit */
	bool closing, held;
	int error;
};
int
ipc_open(struct ipc *c, struct loop *l, int fd, const struct ipc_events *ev, void *data) MUSTCHECK;
/* Sends or queues.  The descriptors are duplicated by the kernel: the caller keeps its own.
 * 0, or -EMSGSIZE / -EPIPE. */
int ipc_send(struct ipc *c, struct slice packet, const int *fds, size_t nfds) MUSTCHECK;
/* The same, of a packet that lies in pieces, at most IPC_PARTS. */
int ipc_send_parts(struct ipc *c, const struct slice *parts, size_t n, const int *fds,
    size_t nfds) MUSTCHECK;
/* Above `most` bytes in the queue nothing more is read: for the side that answers.  (With limits on
 * both sides each could wait for the other.)  0 = no limit. */
void ipc_limit(struct ipc *c, size_t most);
/* Stops reading, also for the rest of this turn, or goes on. */
void ipc_hold(struct ipc *c, bool hold);
void ipc_close(struct ipc *c); /* `closed` follows */
uid_t ipc_peer_uid(const struct ipc *c);
/* Opens a listening / a connected SEQPACKET socket (blocking connect on a Unix socket is
 * instant).  fd or -errno. */
int ipc_listen(const char *path, int mode) MUSTCHECK;
int ipc_connect(const char *path) MUSTCHECK;
#endif
