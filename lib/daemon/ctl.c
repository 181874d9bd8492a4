/* daemon/ctl.c: see ctl.h. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "daemon/ctl.h"

/* Reads until end of file or `until` (monotonic ms). */
static int
read_all(int fd, uint64_t until, struct buf *out)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		uint64_t now = clock_mono_ms();
		char *room = buf_reserve(out, 4096);
		ssize_t n;

		if (!room)
			return -EMSGSIZE;
		if (now >= until || poll(&p, 1, (int)(until - now)) == 0)
			return -ETIMEDOUT;
		n = recv(fd, room, 4096, MSG_DONTWAIT);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0)
			out->n += (size_t)n;
	}
}

int
ctl_ask(const char *path, struct slice line, int timeout_ms, struct buf *out)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	uint64_t until = clock_mono_ms() + (uint64_t)timeout_ms;
	struct buf text = { 0 };
	int fd, rc = 0;

	if (strlen(path) >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	strcpy(un.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	buf_slice(&text, line);
	buf_char(&text, '\n');
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
	    send(fd, text.p, text.n, MSG_NOSIGNAL) != (ssize_t)text.n)
		rc = -errno;
	if (rc == 0)
		rc = read_all(fd, until, out);
	buf_fini(&text);
	close(fd);
	return rc;
}
