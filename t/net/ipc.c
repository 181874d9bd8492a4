/* Packets with descriptors. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "net/ipc.h"
#include "net/listen.h"
#include "../tap.h"

static struct loop loop;
static struct ipc a, b;
static size_t packets, bytes, wrong, fds_seen, want_packets;
static int closed, last_error;
static char last[100];
static int last_fd = -1;

static void
on_packet(struct ipc *c, struct slice p, int *fds, size_t nfds)
{
	packets++;
	bytes += p.n;
	slice_cstr(p, last, sizeof(last));
	for (size_t i = 0; i < p.n && p.n > 1000; i += 997)
		wrong += p.p[i] != (char)packets;
	for (size_t i = 0; i < nfds; i++) {
		fds_seen++;
		if (last_fd >= 0)
			close(last_fd);
		last_fd = fds[i];
	}
	if (slice_eq(p, S("close")))
		ipc_close(c);
	if (packets == want_packets)
		loop_stop(&loop);
}

static void
on_closed(struct ipc *c UNUSED, int error)
{
	last_error = error;
	if (++closed == 2)
		loop_stop(&loop);
}

static const struct ipc_events events = { .packet = on_packet, .closed = on_closed };

static void
open_pair(void)
{
	int fds[2];

	packets = bytes = wrong = fds_seen = want_packets = 0;
	closed = 0;
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	must(ipc_open(&a, &loop, fds[0], &events, NULL) == 0);
	must(ipc_open(&b, &loop, fds[1], &events, NULL) == 0);
}

static void
test_small(void)
{
	open_pair();
	eq(ipc_send(&a, S("hello"), NULL, 0), 0, "send");
	want_packets = 1;
	loop_run(&loop);
	is(last, "hello", "a packet arrives");
	ok(ipc_peer_uid(&a) == getuid(), "the peer's uid");
	ipc_close(&a);
	loop_run(&loop);
	eq(closed, 2, "closing one end closes the other");
	eq(last_error, 0, "without error");
}

static void
test_fds(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC), many[IPC_FDS];
	char text[10] = "";

	must(fd >= 0 && write(fd, "inside", 6) == 6);
	for (size_t i = 0; i < NELEM(many); i++)
		many[i] = fd;
	open_pair();
	eq(ipc_send(&a, S("take"), &fd, 1), 0, "send a descriptor");
	eq(ipc_send(&a, S("many"), many, IPC_FDS), 0, "send %d", IPC_FDS);
	close(fd);
	want_packets = 2;
	loop_run(&loop);
	eq(fds_seen, 1 + IPC_FDS, "they arrive");
	ok(pread(last_fd, text, 6, 0) == 6 && strcmp(text, "inside") == 0, "and are the file");
	close(last_fd);
	last_fd = -1;
	ipc_close(&b);
	loop_run(&loop);
}

/* More than the socket takes is queued; descriptors ride along. */
static void
test_flood(void)
{
	char *big = mem_new(IPC_PACKET);
	int fd = memfd_create("x", MFD_CLOEXEC);
	size_t before;

	open_pair();
	for (int i = 1; i <= 100; i++) {
		memset(big, i, IPC_PACKET);
		must(ipc_send(&a, slice(big, IPC_PACKET), &fd, i % 2) == 0);
	}
	ok(a.queued > 0, "a full socket queues");
	want_packets = 100;
	loop_run(&loop);
	eq(bytes, 100u * IPC_PACKET, "all arrive");
	eq(wrong, 0, "in order and whole");
	eq(fds_seen, 50, "with their descriptors");
	eq(a.queued, 0, "the queue is empty");
	eq(ipc_send(&a, slice(big, IPC_PACKET + 1), NULL, 0), -EMSGSIZE, "too big is refused");
	for (int i = 0; i < 100; i++)
		must(ipc_send(&a, slice(big, IPC_PACKET), &fd, 1) == 0);
	before = a.queued;
	for (int i = 0; i < 100; i++)
		must(ipc_send(&a, slice(big, 1), NULL, 0) == 0);
	ok(a.queued - before > 100 * sizeof(struct list),
	    "small packets count with what they cost");
	ipc_close(&a);
	loop_run(&loop);
	eq(closed, 2, "closing with a full queue");
	close(last_fd);
	last_fd = -1;
	close(fd);
	free(big);
}

static void
test_close_inside(void)
{
	open_pair();
	eq(ipc_send(&a, S("close"), NULL, 0), 0, "send");
	eq(ipc_send(&a, S("unheard"), NULL, 0), 0, "send");
	loop_run(&loop);
	eq(packets, 1, "no packet after ipc_close");
}

/* An empty packet is the end; what rides along must not stay open. */
static void
test_empty(void)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = "" };
	struct msghdr m = { .msg_control = control.room, .msg_controllen = sizeof(control.room) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int ends[2];
	char byte;

	must(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &ends[1], sizeof(int));
	open_pair();
	eq(sendmsg(a.fd, &m, 0), 0, "an empty packet with a descriptor");
	close(ends[1]);
	loop_run(&loop);
	eq(closed, 2, "ends the connection");
	eq(read(ends[0], &byte, 1), 0, "and the descriptor is closed");
	close(ends[0]);
}

/* b answers each packet; a does not read, so b must stop reading. */
static struct timer look;

static void
on_asked(struct ipc *c, struct slice p, int *fds UNUSED, size_t nfds UNUSED)
{
	packets++;
	must(ipc_send(c, p, NULL, 0) == 0);
}

static void
on_answer(struct ipc *c, struct slice p UNUSED, int *fds UNUSED, size_t nfds UNUSED)
{
	if (++bytes == want_packets)
		ipc_close(c);
}

static void
on_look(struct timer *t UNUSED)
{
	ok(packets < want_packets, "who does not read answers is not read (%zu packets)", packets);
	ok(b.queued <= 2 * IPC_PACKET, "and little waits for it");
	ipc_hold(&a, false);
}

static void
test_limit(void)
{
	static const struct ipc_events asked = { .packet = on_asked, .closed = on_closed },
				       answered = { .packet = on_answer, .closed = on_closed };
	char *big = mem_new(IPC_PACKET);

	open_pair();
	a.ev = &answered;
	b.ev = &asked;
	ipc_limit(&b, IPC_PACKET);
	ipc_hold(&a, true);
	want_packets = 200;
	for (int i = 0; i < 200; i++)
		must(ipc_send(&a, slice(big, IPC_PACKET), NULL, 0) == 0);
	timer_init(&look, &loop, on_look);
	timer_start(&look, 50, 0);
	loop_run(&loop);
	eq(bytes, 200, "when it reads, all is answered");
	timer_close(&look, NULL);
	free(big);
}

static void
test_listen(void)
{
	char dir[] = "/tmp/tiermail-ipc-XXXXXX", path[100];
	int fd, c;

	must(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	eq(ipc_connect(path), -ENOENT, "nobody there");
	fd = ipc_listen(path, 0600);
	c = ipc_connect(path);
	ok(fd >= 0 && c >= 0, "listen and connect");
	eq(ipc_listen(path, 0600), -EADDRINUSE, "a live socket is not taken");
	close(c);
	close(fd);
	unlink(path);
	rmdir(dir);
}

int
main(void)
{
	loop_init(&loop);
	test_small();
	test_fds();
	test_flood();
	test_close_inside();
	test_empty();
	test_limit();
	test_listen();
	loop_fini(&loop);
	return done();
}
