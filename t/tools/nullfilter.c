/* nullfilter: a mail filter that wants nothing, for measuring what it costs a relay to have one.
 *
 *	nullfilter PATH [all]
 *
 * Listens on the Unix socket PATH for as many connections as come, with as little as can be done.  As libmilter does for a
 * filter without functions it wants to hear of nothing but the end of each message; with `all` it hears of all and answers
 * CONTINUE to each packet, as the slowest of filters that do nothing would. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PACKET_MAX (1 << 20)

struct conn {
	int fd;
	size_t have;
	unsigned char in[PACKET_MAX];
};

static bool hears_all;

static uint32_t
number(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
say(int fd, const unsigned char *packet, size_t n)
{
	if (write(fd, packet, n) != (ssize_t)n)
		perror("write");
}

/* False: the other side has said that it goes. */
static bool
answer(int fd, unsigned char command)
{
	/* Version 6; changes nothing; no CONNECT, HELO, MAIL, RCPT, body, header, its end, unknown, DATA. */
	static const unsigned char none[] = { 0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 3,
		0x7f };
	static const unsigned char all[] = { 0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const unsigned char go_on[] = { 0, 0, 0, 1, 'c' };

	if (command == 'Q')
		return false;
	if (command == 'O')
		say(fd, hears_all ? all : none, sizeof(none));
	else if (command != 'D' && command != 'A' && command != 'K')
		say(fd, go_on, sizeof(go_on));
	return true;
}

static bool
hear(struct conn *c)
{
	ssize_t n = read(c->fd, c->in + c->have, sizeof(c->in) - c->have);
	size_t at = 0, len;

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	c->have += (size_t)n;
	while (c->have - at >= 5 && c->have - at >= (len = 4 + (size_t)number(c->in + at))) {
		if (!answer(c->fd, c->in[at + 4]))
			return false;
		at += len;
	}
	memmove(c->in, c->in + at, c->have - at);
	c->have -= at;
	return c->have < sizeof(c->in);
}

static void
take(int e, int listener)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event v = { .events = EPOLLIN, .data.ptr = c };

	if (!c || (c->fd = accept(listener, NULL, NULL)) < 0 ||
	    epoll_ctl(e, EPOLL_CTL_ADD, c->fd, &v) < 0) {
		perror("accept");
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct epoll_event v = { .events = EPOLLIN }, got[64];
	int s = socket(AF_UNIX, SOCK_STREAM, 0), e = epoll_create1(0), n;

	if (argc < 2 || strlen(argv[1]) >= sizeof(a.sun_path)) {
		(void)fputs("usage: nullfilter PATH [all]\n", stderr);
		return 2;
	}
	hears_all = argc > 2;
	(void)signal(SIGPIPE, SIG_IGN);
	strcpy(a.sun_path, argv[1]);
	(void)unlink(argv[1]);
	if (bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s, 128) < 0 ||
	    epoll_ctl(e, EPOLL_CTL_ADD, s, &v) < 0) {
		perror(argv[1]);
		return 1;
	}
	while ((n = epoll_wait(e, got, 64, -1)) >= 0 || errno == EINTR)
		for (int i = 0; i < n; i++) {
			struct conn *c = got[i].data.ptr;

			if (!c) {
				take(e, s);
			} else if (!hear(c)) {
				(void)close(c->fd);
				free(c);
			}
		}
	perror("epoll_wait");
	return 1;
}
