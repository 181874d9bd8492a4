/* flood: strangers who mean no good, for tests: many connections from many addresses, each of one kind.
 *
 *	flood KIND HOST PORT BASE ADDRESSES CONNECTIONS AT_ONCE SECONDS [DOMAIN]
 *
 * Connects CONNECTIONS times (0: for SECONDS), AT_ONCE of them at the same time, from ADDRESSES addresses of IPv4 that
 * follow BASE.  Kinds that are slow send an octet each 100 ms, the others what they have as fast as they are answered.
 * Who was sent away comes again after as long; of the kind `connect` at once.
 * Ends when all connections have been made and have ended, after SECONDS, or at SIGINT; prints a line of numbers. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PACE_MS 100
#define STEPS   4  /* of a beginning, at most */
#define LINES   50 /* of a loop, in one write */

/* What one says: step by step, each behind the last line of an answer; then `loop`, for ever. */
static const struct kind {
	const char *name, *steps[STEPS], *loop;
	bool slow; /* the loop, by octets */
	bool deaf; /* it is sent whether or not there are answers */
} kinds[] = {
	{ "connect", { NULL }, NULL, false, false }, /* goes when it has heard something */
	{ "silent", { NULL }, "", false, false },
	{ "helo", { NULL }, "EHLO slow.test-", true, true },
	{ "data",
	    { "EHLO x.test\r\n", "MAIL FROM:<a@sender.test>\r\n", "RCPT TO:<user0001@%s>\r\n",
		"DATA\r\n" },
	    "Subject: slow\r\n ", true, true },
	{ "tls", { "EHLO x.test\r\n", "STARTTLS\r\n" },
	    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", true, true },
	{ "rset", { "EHLO x.test\r\n" }, "RSET\r\n", false, false },
	{ "noop", { "EHLO x.test\r\n" }, "NOOP\r\n", false, false },
	{ "auth", { "EHLO x.test\r\n" }, "AUTH PLAIN AHVzZXIwMDAxAHdyb25n\r\n", false, false },
	{ "rcpt", { "EHLO x.test\r\n", "MAIL FROM:<a@sender.test>\r\n" },
	    "RCPT TO:<nobody-%d@%s>\r\n", false, false },
	{ "header",
	    { "EHLO x.test\r\n", "MAIL FROM:<a@sender.test>\r\n", "RCPT TO:<user0001@%s>\r\n",
		"DATA\r\n" },
	    "X-Bomb: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n",
	    false, true },
};

struct conn {
	int fd;              /* -1: free */
	unsigned step, owed; /* lines of answers that are due */
	size_t at;           /* in the loop, of a slow one */
	bool heard;
};

static const struct kind *kind;
static const char *domain = "example.test";
static struct sockaddr_in server;
static uint32_t base, naddresses;
static int epoll;
static unsigned long made, ended, greeted, refused, answers, errors, octets;

static volatile sig_atomic_t over;

static void
flood_on_signal(int sig)
{
	(void)sig;
	over = 1;
}

static long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool
flood_open(struct conn *c)
{
	struct sockaddr_in from = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(base + (uint32_t)(made % naddresses)) };
	struct epoll_event v = { .events = EPOLLIN, .data.ptr = c };
	int one = 1;

	*c = (struct conn){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) };
	(void)setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    (connect(c->fd, (struct sockaddr *)&server, sizeof(server)) < 0 &&
		errno != EINPROGRESS) ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &v) < 0) {
		if (errors++ == 0)
			perror("flood: connect");
		if (c->fd >= 0)
			(void)close(c->fd);
		c->fd = -1;
		return false;
	}
	made++;
	return true;
}

static void
flood_close(struct conn *c)
{
	(void)close(c->fd);
	c->fd = -1;
	ended++;
}

static void
flood_send(struct conn *c, const char *p, size_t n)
{
	ssize_t r = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r > 0)
		octets += (unsigned long)r;
	else if (errno != EAGAIN)
		flood_close(c);
}

/* %d is a number that was not there before, %s the domain.  Nothing is longer than the room for it. */
static size_t
flood_fill(char *to, const char *from)
{
	static unsigned number;
	size_t n = 0;

	for (; *from; from++) {
		if (from[0] != '%')
			to[n++] = *from;
		else if (*++from == 'd')
			n += (size_t)sprintf(to + n, "%u", number++);
		else
			n += (size_t)sprintf(to + n, "%.64s", domain);
	}
	return n;
}

/* The next of what it has to say, when all answers are there. */
static void
flood_go_on(struct conn *c)
{
	char text[LINES * 200];
	size_t n = 0;

	if (c->step < STEPS && kind->steps[c->step]) {
		n = flood_fill(text, kind->steps[c->step++]);
		c->owed = 1;
		flood_send(c, text, n);
	} else if (kind->loop && *kind->loop && !kind->slow) {
		for (int i = 0; i < LINES; i++, c->owed += !kind->deaf)
			n += flood_fill(text + n, kind->loop);
		flood_send(c, text, n);
	}
}

static void
flood_hear(struct conn *c)
{
	char in[65536];
	ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		flood_close(c);
		return;
	}
	if (!c->heard) {
		greeted += in[0] == '2';
		refused += in[0] != '2';
		c->heard = true;
		c->owed = 1;
	}
	/* Last lines have a blank behind the code. */
	for (ssize_t i = 0; i + 3 < n; i++) {
		if ((i == 0 || in[i - 1] == '\n') && in[i + 3] == ' ') {
			answers++;
			c->owed -= c->owed > 0;
		}
	}
	if (strcmp(kind->name, "connect") == 0)
		flood_close(c);
	else if (c->owed == 0)
		flood_go_on(c);
}

/* What is sent whether or not there are answers, when the beginning is over. */
static void
flood_pace(struct conn *c)
{
	bool begun = c->heard && c->owed == 0 && (c->step == STEPS || !kind->steps[c->step]);
	size_t n = kind->loop ? strlen(kind->loop) : 0;

	if (!begun || !kind->deaf)
		return;
	if (kind->slow)
		flood_send(c, kind->loop + c->at++ % n, 1);
	else
		flood_go_on(c);
}

int
main(int argc, char **argv)
{
	long until, begun = now_ms(), paced = begun, tried = 0, most;
	struct epoll_event got[256];
	struct conn *all;
	size_t nall;

	for (size_t i = 0; argc >= 9 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, argv[1]) == 0)
			kind = &kinds[i];
	if (!kind) {
		(void)fputs("usage: flood KIND HOST PORT BASE ADDRESSES CONNECTIONS AT_ONCE "
			    "SECONDS [DOMAIN]\n",
		    stderr);
		return 2;
	}
	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10));
	(void)inet_pton(AF_INET, argv[2], &server.sin_addr);
	base = ntohl(inet_addr(argv[4]));
	naddresses = (uint32_t)strtoul(argv[5], NULL, 10);
	most = strtol(argv[6], NULL, 10);
	nall = strtoul(argv[7], NULL, 10);
	until = begun + (long)(strtod(argv[8], NULL) * 1000);
	if (argc > 9)
		domain = argv[9];
	all = calloc(nall ? nall : 1, sizeof(*all));
	epoll = epoll_create1(0);
	if (!all || naddresses == 0)
		return 2;
	for (size_t i = 0; i < nall; i++)
		all[i].fd = -1;
	(void)signal(SIGINT, flood_on_signal);
	while (!over && now_ms() < until && (most == 0 || ended < (unsigned long)most)) {
		bool hasty = strcmp(kind->name, "connect") == 0, due = now_ms() - tried >= PACE_MS;
		int n;

		if (due)
			tried = now_ms();
		for (size_t i = 0; (hasty || due) && i < nall && errors < 1000; i++)
			if (all[i].fd < 0 && (most == 0 || made < (unsigned long)most) &&
			    !flood_open(&all[i]))
				break;
		n = epoll_wait(epoll, got, 256, PACE_MS);
		for (int i = 0; i < n; i++)
			flood_hear(got[i].data.ptr);
		for (size_t i = 0; now_ms() - paced >= PACE_MS && i < nall; i++) {
			if (all[i].fd >= 0)
				flood_pace(&all[i]);
			if (i + 1 == nall)
				paced = now_ms();
		}
	}
	printf("made=%lu ended=%lu greeted=%lu refused=%lu answers=%lu octets=%lu errors=%lu "
	       "ms=%ld\n",
	    made, ended, greeted, refused, answers, octets, errors, now_ms() - begun);
	return 0;
}
