/* store/holder.c: see holder.h.
 *
 * Owns the file `holder` of a partition, a line of text.  Called by whoever opens a partition to change it.  The name
 * can fail to be written (a full disk): then others are told that somebody is there, and not who. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>
#include "base/mem.h"
#include "store/holder.h"

#define HOLDER      "holder"
#define HOLDER_MOST 400

/* What is there, printable; anybody who can write the partition can have written it. */
static char *
holder_read(int dirfd)
{
	char text[HOLDER_MOST];
	int fd = openat(dirfd, HOLDER, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return mem_str(*text ? text : "somebody is at work who has left no name");
}

static void
holder_write(int dirfd, const char *program)
{
	char node[256] = "";
	int fd = openat(dirfd, HOLDER, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0)
		return;
	/* The node's name: all nodes of a store say that they are mailHost. */
	if (gethostname(node, sizeof(node) - 1) < 0)
		strcpy(node, "?");
	(void)dprintf(fd, "%s is at work on %s, process %d\n", program, node, (int)getpid());
	close(fd);
}

int
store_holder_lock(int dirfd, const char *program, char **who)
{
	*who = NULL;
	if (flock(dirfd, LOCK_EX | LOCK_NB) == 0) {
		holder_write(dirfd, program);
		return 0;
	}
	if (errno == EWOULDBLOCK)
		*who = holder_read(dirfd);
	return -errno;
}
