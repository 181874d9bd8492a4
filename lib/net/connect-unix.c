/* net/connect-unix.c: see connect-unix.h. */
#include "net/connect-unix.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
connect_unix(const char *path, int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, rc;

	if (len >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	memcpy(a.sun_path, path, len + 1);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	do /* a signal leaves the socket as it was (unix(7) has no half-made connections) */
		rc = connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	while (rc == -EINTR);
	if (rc == 0)
		return fd;
	(void)close(fd);
	return rc;
}
