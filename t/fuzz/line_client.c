/* Fuzz: what a store says to a proxy that logs in: IMAP and POP3.  Whatever it is, there is exactly one
 * answer, its text is one line of bounded length, and no password goes out without TLS being asked for in
 * vain.  The first byte chooses: POP3, all at once, STARTTLS; the next ones how the rest is cut. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "imap/client.h"
#include "pop3/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct loop loop;
static struct stream io;
static int answers;
static bool closed;

static void
on_closed(struct stream *s UNUSED)
{
	closed = true;
}
static void
on_input(struct stream *s UNUSED)
{
}
static const struct stream_events mine = { .input = on_input, .closed = on_closed };

static void
on_done(void *arg UNUSED, const struct line_client_result *r)
{
	struct slice host;

	answers++;
	must(r->text.n <= LINE_CLIENT_LINE);
	must(slice_find(r->text, '\n') == r->text.n);
	if (imap_client_referral(r->text, &host))
		must(host.n > 0 && host.n <= 253 && slice_find(host, '/') == host.n);
	stream_hand_over(&io, &mine, NULL);
}

static void
turns(int n)
{
	for (int i = 0; i < n; i++)
		uv_run(&loop.uv, UV_RUN_NOWAIT);
}

/* What the client has said; it must not be the secret before TLS, where that was wanted. */
static void
listen_to(int fd, bool starttls)
{
	char said[4096];
	ssize_t n;

	while ((n = recv(fd, said, sizeof(said), MSG_DONTWAIT)) > 0)
		must(!starttls || !memmem(said, (size_t)n, "c2VjcmV0", 8));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct tls_ctx *ctx;
	struct line_client_login login = { .name = "store.test",
		.timeout_ms = 60000,
		.mechanism = "PLAIN",
		.response = S("secret"),
		.forward = true,
		.sid = "sid" };
	struct op op = { 0 };
	char *why = NULL;
	size_t step;
	int fds[2];

	if (n < 2 || n > 4 * LINE_CLIENT_LINE)
		return 0;
	if (!ctx) {
		loop_init(&loop);
		ctx = tls_client_new(&(struct tls_params){ 0 }, &why);
		must(ctx);
	}
	login.ctx = ctx;
	login.ahead = data[0] & 2;
	login.utf8 = data[0] & 4;
	login.tls = data[0] & 8 ? LINE_CLIENT_STARTTLS : LINE_CLIENT_PLAIN;
	step = data[1] ? data[1] : n;
	answers = 0;
	closed = false;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	stream_init(&io, &loop, &mine, NULL);
	must(stream_open(&io, fds[0]) == 0);
	(data[0] & 1 ? pop3_client_start : imap_client_start)(&io, &login, &op, on_done, NULL);
	for (size_t at = 2; at < n && answers == 0; at += step) {
		size_t piece = n - at < step ? n - at : step;

		if (write(fds[1], data + at, piece) != (ssize_t)piece)
			break;
		turns(3);
		listen_to(fds[1], login.tls == LINE_CLIENT_STARTTLS);
	}
	shutdown(fds[1], SHUT_WR);
	turns(5);
	must(answers == 1);
	stream_close(&io);
	turns(3);
	must(closed);
	close(fds[1]);
	return 0;
}
