/* wait.c: a run that a thread waits for: see programs.h.
 *
 * The same packets as run.c, on a connection of its own, without a loop.  To close it is to end the run.  Must stay true: it
 * is left after `ms`, whatever piped does. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "mail/outcome.h"
#include "net/work.h"
#include "programs/programs.h"

#define TURN_MS 100 /* until it is asked whether anybody waits still */

static int
wait_send(int fd, struct slice packet, int in, int out)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	int fds[2] = { in, out };
	struct iovec iov = { (void *)(uintptr_t)packet.p, packet.n };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)packet.n ? 0 : -1;
}

static void
wait_answer(int fd, uint64_t until, struct programs_result *result)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char packet[4096];
	ssize_t n = -1;

	while (n < 0) {
		uint64_t now = clock_mono_ms();

		if (now >= until || work_stopped()) {
			*result =
			    (struct programs_result){ PROGRAMS_FAILED, verdict(OUT_PIPE_LOST) };
			return;
		}
		if (poll(&p, 1, until - now < TURN_MS ? (int)(until - now) : TURN_MS) <= 0)
			continue;
		n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return;
	}
	if (n > 0 && programs_result_parse(slice(packet, (size_t)n), result) < 0)
		*result = (struct programs_result){ PROGRAMS_LATER, verdict(OUT_PIPE_LOST) };
}

void
programs_wait(const struct programs_order *o, int in, int out, uint32_t ms,
    struct programs_result *result)
{
	char *path = mem_printf("%s/" PROGRAMS_SOCKET, shared.rundir);
	struct buf packet = { 0 };
	int fd = -1;

	*result = (struct programs_result){ PROGRAMS_LATER, verdict(OUT_PIPE_LOST) };
	if (programs_order_write(&packet, o) < 0)
		*result = (struct programs_result){ PROGRAMS_FAILED, verdict(OUT_PIPE_WORDS) };
	else if ((fd = ipc_connect(path)) >= 0 && wait_send(fd, buf_get(&packet), in, out) == 0)
		wait_answer(fd, clock_mono_ms() + ms, result);
	if (fd >= 0)
		(void)close(fd);
	buf_fini(&packet);
	mem_free(&path);
}
