/* t/tools/fiber.h: the load generator's engine: one thread, epoll, and a stack per connection
 * (ucontext), so that a client reads as straight-line blocking code.  Generator only: the
 * daemons never do this (the cost of a stack per connection is what they avoid). */
#ifndef T_FIBER_H
#define T_FIBER_H
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <tls.h>
#include <ucontext.h>
#include <unistd.h>

struct fiber {
	struct fiber *next;     /* in the run queue */
	struct fiber *sleeping; /* in the list of sleepers */
	uint64_t wake_us;
	void (*fn)(struct fiber *);
	void *context, *stack;
	int id;
	int fd;
	struct tls *tls;
	bool queued, over, broken;
	char *in; /* input: at .. end of room */
	size_t in_at, in_end, in_room;
	char *out;
	size_t out_n, out_room;
};

static void fiber_start(void (*fn)(struct fiber *), int id); /* freed when fn returns */
static void fiber_run(void);                                 /* until every fiber is over */
static uint64_t now_us(void);

/* Connection of the running fiber.  All return false once the connection is lost. */
static bool net_open(struct fiber *f, const char *host, int port, bool tls);
static void net_listen(struct fiber *f, const char *host, int port); /* f->fd is for accept4 */
static void net_take(struct fiber *f, int fd); /* a connection that was accepted */
static void net_close(struct fiber *f);
static void net_add(struct fiber *f, const void *p, size_t n); /* buffered */
__attribute__((format(printf, 2, 3))) static void net_printf(struct fiber *f, const char *fmt, ...);
static bool net_flush(struct fiber *f);
/* The next line without CRLF, NUL-terminated, valid until the next read; NULL when lost. */
static char *net_line(struct fiber *f, size_t *len);
static bool net_skip(struct fiber *f, size_t n); /* n octets of input, unseen */
static void net_forget(struct fiber *f);         /* gives the buffers back (idle clients) */

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...);

#define STACK (96 * 1024)

static int epfd = -1;
static int alive;
static struct fiber *running, *run_head, **run_tail = &run_head;
static ucontext_t main_context;
static struct tls_config *tls_conf;
static struct fiber *sleepers; /* by ->sleeping */
static unsigned source;        /* spreads clients over loopback source addresses */

static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "mailbench: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(2);
}

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void
fiber_ready(struct fiber *f)
{
	if (f->queued || f->over)
		return;
	f->queued = true;
	f->next = NULL;
	*run_tail = f;
	run_tail = &f->next;
}

static void
fiber_wait(struct fiber *f)
{
	swapcontext(f->context, &main_context);
}

/* Parks the running fiber for `us` microseconds. */
static void
fiber_sleep(struct fiber *f, uint64_t us)
{
	f->wake_us = now_us() + us;
	f->sleeping = sleepers;
	sleepers = f;
	while (f->wake_us)
		fiber_wait(f);
}

/* Readies the sleepers whose time has come; ms until the next, -1 when there is none. */
static int
sleepers_wake(void)
{
	uint64_t now = now_us(), next = UINT64_MAX;

	for (struct fiber **at = &sleepers; *at;) {
		struct fiber *f = *at;

		if (f->wake_us <= now) {
			*at = f->sleeping;
			f->wake_us = 0;
			fiber_ready(f);
		} else {
			next = f->wake_us < next ? f->wake_us : next;
			at = &f->sleeping;
		}
	}
	return next == UINT64_MAX ? -1 : (int)((next - now) / 1000 + 1);
}

static void
fiber_main(void)
{
	struct fiber *f = running;

	f->fn(f);
	net_close(f);
	f->over = true;
	alive--;
	fiber_wait(f);
}

static void
fiber_start(void (*fn)(struct fiber *), int id)
{
	struct fiber *f = calloc(1, sizeof(*f));
	ucontext_t *c = calloc(1, sizeof(*c));

	f->fn = fn;
	f->id = id;
	f->fd = -1;
	f->context = c;
	f->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->stack == MAP_FAILED)
		die("no stack: %s", strerror(errno));
	getcontext(c);
	c->uc_stack.ss_sp = f->stack;
	c->uc_stack.ss_size = STACK;
	makecontext(c, fiber_main, 0);
	alive++;
	fiber_ready(f);
}

static void
fiber_run(void)
{
	struct epoll_event ev[256];

	while (alive > 0) {
		while (run_head) {
			struct fiber *f = run_head;

			run_head = f->next;
			if (!run_head)
				run_tail = &run_head;
			f->queued = false;
			running = f;
			swapcontext(&main_context, f->context);
			if (f->over) {
				munmap(f->stack, STACK);
				free(f->context);
				free(f);
			}
		}
		if (alive == 0)
			break;
		int ms = sleepers_wake();
		int n = epoll_wait(epfd, ev, 256, run_head ? 0 : ms);
		for (int i = 0; i < n; i++)
			fiber_ready(ev[i].data.ptr);
	}
}

/* libtls may want input behind a session ticket although more lies in the socket, and an edge
 * that has been seen does not come again. */
static void
tls_wait(struct fiber *f, int want)
{
	struct pollfd p = { .fd = f->fd, .events = want == TLS_WANT_POLLIN ? POLLIN : POLLOUT };

	if (poll(&p, 1, 0) == 0)
		fiber_wait(f);
}

static bool
net_open(struct fiber *f, const char *host, int port, bool tls)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = f };
	int one = 1;

	net_close(f);
	if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
		die("%s is no IPv4 address", host);
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (ntohl(to.sin_addr.s_addr) >> 24 == 127) {
		/* 8 source addresses: port numbers in TIME_WAIT do not run out */
		setsockopt(f->fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof(one));
		from.sin_addr.s_addr = htonl(0x7f000001u + 256u * (source++ % 8));
		(void)!bind(f->fd, (struct sockaddr *)&from, sizeof(from));
	}
	if (connect(f->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) {
		net_close(f);
		return false;
	}
	epoll_ctl(epfd, EPOLL_CTL_ADD, f->fd, &ev);
	for (;;) {
		int err = 0;
		socklen_t len = sizeof(err);
		struct sockaddr_in peer;
		socklen_t plen = sizeof(peer);

		getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err) {
			net_close(f);
			return false;
		}
		if (getpeername(f->fd, (struct sockaddr *)&peer, &plen) == 0)
			break;
		fiber_wait(f);
	}
	f->broken = false;
	f->in_at = f->in_end = f->out_n = 0;
	if (!tls)
		return true;
	if (!tls_conf) {
		tls_conf = tls_config_new();
		tls_config_insecure_noverifycert(tls_conf);
		tls_config_insecure_noverifyname(tls_conf);
	}
	f->tls = tls_client();
	if (tls_configure(f->tls, tls_conf) < 0 ||
	    tls_connect_socket(f->tls, f->fd, "localhost") < 0)
		die("tls: %s", tls_error(f->tls));
	for (;;) {
		int r = tls_handshake(f->tls);

		if (r == 0)
			return true;
		if (r == -1) {
			fprintf(stderr, "mailbench: handshake: %s\n", tls_error(f->tls));
			net_close(f);
			return false;
		}
		tls_wait(f, r);
	}
}

static void
net_watch(struct fiber *f)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = f };

	epoll_ctl(epfd, EPOLL_CTL_ADD, f->fd, &ev);
}

static void
net_listen(struct fiber *f, const char *host, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int one = 1;

	if (inet_pton(AF_INET, host, &at.sin_addr) != 1)
		die("%s is no IPv4 address", host);
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(f->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(f->fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(f->fd, 1024) < 0)
		die("port %d: %s", port, strerror(errno));
	net_watch(f);
}

static void
net_take(struct fiber *f, int fd)
{
	int one = 1;

	f->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	net_watch(f);
}

static void
net_close(struct fiber *f)
{
	if (f->tls)
		tls_free(f->tls);
	f->tls = NULL;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	net_forget(f);
}

static void
net_forget(struct fiber *f)
{
	free(f->in);
	free(f->out);
	f->in = f->out = NULL;
	f->in_at = f->in_end = f->in_room = f->out_n = f->out_room = 0;
}

static void
net_add(struct fiber *f, const void *p, size_t n)
{
	if (f->out_n + n > f->out_room) {
		f->out_room = (f->out_n + n) * 2 + 512;
		f->out = realloc(f->out, f->out_room);
	}
	memcpy(f->out + f->out_n, p, n);
	f->out_n += n;
}

static void
net_printf(struct fiber *f, const char *fmt, ...)
{
	char b[2048];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(b, sizeof(b), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof(b))
		die("line too long");
	net_add(f, b, (size_t)n);
}

static ssize_t
raw_io(struct fiber *f, char *p, size_t n, bool out)
{
	for (;;) {
		ssize_t r;

		if (f->fd < 0)
			return -1;
		if (f->tls) {
			r = out ? tls_write(f->tls, p, n) : tls_read(f->tls, p, n);
			if (r == TLS_WANT_POLLIN || r == TLS_WANT_POLLOUT) {
				tls_wait(f, (int)r);
				continue;
			}
			return r;
		}
		r = out ? write(f->fd, p, n) : read(f->fd, p, n);
		if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
			fiber_wait(f);
			continue;
		}
		return r;
	}
}

static bool
net_flush(struct fiber *f)
{
	for (size_t at = 0; at < f->out_n;) {
		ssize_t r = raw_io(f, f->out + at, f->out_n - at, true);

		if (r <= 0) {
			f->broken = true;
			return false;
		}
		at += (size_t)r;
	}
	f->out_n = 0;
	return true;
}

static bool
net_fill(struct fiber *f)
{
	if (f->in_at == f->in_end)
		f->in_at = f->in_end = 0;
	if (f->in_end + 8192 > f->in_room) {
		if (f->in_at > 0) {
			memmove(f->in, f->in + f->in_at, f->in_end - f->in_at);
			f->in_end -= f->in_at;
			f->in_at = 0;
		}
		if (f->in_end + 8192 > f->in_room) {
			f->in_room = f->in_room ? f->in_room * 2 : 16384;
			f->in = realloc(f->in, f->in_room + 1);
		}
	}
	ssize_t r = raw_io(f, f->in + f->in_end, f->in_room - f->in_end, false);

	if (r <= 0) {
		f->broken = true;
		return false;
	}
	f->in_end += (size_t)r;
	return true;
}

static char *
net_line(struct fiber *f, size_t *len)
{
	size_t seen = 0;

	for (;;) {
		char *nl = NULL;

		if (f->in_end - f->in_at > seen)
			nl = memchr(f->in + f->in_at + seen, '\n', f->in_end - f->in_at - seen);
		if (nl) {
			char *line = f->in + f->in_at;
			size_t n = (size_t)(nl - line);

			f->in_at += n + 1;
			if (n > 0 && line[n - 1] == '\r')
				n--;
			line[n] = '\0';
			if (len)
				*len = n;
			return line;
		}
		seen = f->in_end - f->in_at;
		if (!net_fill(f))
			return NULL;
	}
}

static bool
net_skip(struct fiber *f, size_t n)
{
	while (n > 0) {
		size_t have = f->in_end - f->in_at;

		if (have > n)
			have = n;
		f->in_at += have;
		n -= have;
		if (n > 0 && !net_fill(f))
			return false;
	}
	return true;
}
#endif
