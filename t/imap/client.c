/* The client's half of IMAP: a login with a server that does as it should, and with others. */
#include "imap/client.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "../tap.h"

static struct loop loop;
static struct stream io;
static int answers, closed;
static enum line_client_outcome outcome;
static char text[LINE_CLIENT_LINE + 1];

static void
on_closed(struct stream *s UNUSED)
{
	closed++;
}
static const struct stream_events mine = { .closed = on_closed };

static void
on_done(void *arg, const struct line_client_result *r)
{
	must(arg == &io);
	answers++;
	outcome = r->outcome;
	slice_cstr(r->text, text, sizeof(text));
	stream_hand_over(&io, &mine, NULL);
}

static void
turns(int n)
{
	for (int i = 0; i < n; i++)
		uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static struct op op;
static char heard[4096];

/* What the client says until it waits. */
static void
hear(int fd)
{
	size_t n = strlen(heard);
	ssize_t got;

	turns(20);
	while ((got = recv(fd, heard + n, sizeof(heard) - 1 - n, MSG_DONTWAIT)) > 0)
		n += (size_t)got;
	heard[n] = '\0';
}

/* Plays the server's lines one after the other; heard: all that the client said. */
static void
play(struct line_client_login *l, const char *const *lines, size_t step)
{
	int fds[2], before = answers;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	stream_init(&io, &loop, &mine, NULL);
	must(stream_open(&io, fds[0]) == 0);
	memset(&op, 0, sizeof(op));
	heard[0] = text[0] = '\0';
	closed = 0;
	imap_client_start(&io, l, &op, on_done, &io);
	hear(fds[1]);
	for (; *lines && answers == before; lines++) {
		size_t n = strlen(*lines);

		for (size_t at = 0; at < n; at += step) {
			size_t piece = n - at < step ? n - at : step;

			must(write(fds[1], *lines + at, piece) == (ssize_t)piece || errno == EPIPE);
			turns(2);
		}
		hear(fds[1]);
	}
	if (answers == before)
		shutdown(fds[1], SHUT_WR);
	turns(20);
	eq(answers, before + 1, "one answer");
	stream_close(&io);
	turns(5);
	must(closed == 1);
	close(fds[1]);
}
#define PLAY(l, ...) play((l), (const char *const[]){ __VA_ARGS__, NULL }, 100000)

static void
came(enum line_client_outcome want, const char *words)
{
	ok(outcome == want && strcmp(text, words) == 0, "%d: %s", want, words);
	if (outcome != want || strcmp(text, words) != 0)
		printf("# got %d: %s\n", outcome, text);
}

int
main(void)
{
	struct line_client_login l = { .name = "store.test",
		.timeout_ms = 60000,
		.mechanism = "EXTERNAL",
		.response = S("me@example.test"),
		.sid = "abc123" };
	struct line_client_login known = l, forward;
	static char big[LINE_CLIENT_LINE + 10], many[4 * (LINE_CLIENT_LINES + 2)];
	struct slice host;
	char *why = NULL;

	loop_init(&loop);
	known.ahead = true;
	PLAY(&l, "* OK ready\r\n", "a OK [CAPABILITY IMAP4rev1] Logged in\r\n");
	came(LINE_CLIENT_IN, "[CAPABILITY IMAP4rev1] Logged in");
	is(heard, "a AUTHENTICATE EXTERNAL bWVAZXhhbXBsZS50ZXN0\r\n", "it waits for the greeting");
	PLAY(&known, "* OK ready\r\n* CAPABILITY X\r\na OK in\r\n");
	came(LINE_CLIENT_IN, "in");
	play(&known, (const char *const[]){ "* OK ready\r\n", "* X\r\na OK in\r\n", NULL }, 1);
	came(LINE_CLIENT_IN, "in");
	forward = known;
	forward.forward = true;
	must(addr_parse(S("192.0.2.7:4711"), &forward.client) == 0);
	PLAY(&forward, "* OK ready\r\n", "* ID NIL\r\ni OK\r\n", "a NO [UNAVAILABLE] later\r\n");
	came(LINE_CLIENT_NO, "[UNAVAILABLE] later");
	is(heard,
	    "i ID (\"name\" \"tiermail\" \"x-originating-ip\" \"192.0.2.7\" \"x-originating-port\" "
	    "\"4711\" \"x-session-id\" \"abc123\")\r\na AUTHENTICATE EXTERNAL "
	    "bWVAZXhhbXBsZS50ZXN0\r\n",
	    "all at once");
	PLAY(&known, "* BYE [LIMIT] full\r\n");
	came(LINE_CLIENT_BYE, "[LIMIT] full");
	PLAY(&known, "* OK ready\r\n", "* BYE going\r\n");
	came(LINE_CLIENT_BYE, "going");
	PLAY(&known, "* PREAUTH welcome\r\n");
	came(LINE_CLIENT_BROKEN, "greets with something else than OK");
	PLAY(&known, "220 smtp.test ESMTP\r\n");
	came(LINE_CLIENT_BROKEN, "greets with something else than OK");
	PLAY(&known, "* OK ready\r\n", "a BAD what\r\n");
	came(LINE_CLIENT_BROKEN, "the login is answered with BAD");
	PLAY(&known, "* OK ready\r\n", "a OKAY\r\n");
	came(LINE_CLIENT_BROKEN, "the login is answered with BAD");
	PLAY(&known, "* OK ready\r\n", "a\r\n");
	came(LINE_CLIENT_BROKEN, "says what is no answer");
	PLAY(&known, "* OK ready\r\n", "+ more\r\n");
	came(LINE_CLIENT_BROKEN, "asks for more than an initial response");
	PLAY(&known, "* OK ready\r\n", "\r\n");
	came(LINE_CLIENT_BROKEN, "says what is no answer");
	PLAY(&l, "a OK early\r\n");
	came(LINE_CLIENT_BROKEN, "greets with something else than OK");
	PLAY(&known, "* OK ready\r\n");
	came(LINE_CLIENT_BROKEN, "closed before the login");
	memset(big, 'x', sizeof(big) - 1);
	PLAY(&known, "* OK ready\r\n", big);
	came(LINE_CLIENT_BROKEN, "a line without end");
	for (size_t i = 0; i + 5 < sizeof(many); i += 4)
		memcpy(many + i, "* \r\n", 5);
	PLAY(&known, "* OK ready\r\n", many);
	came(LINE_CLIENT_BROKEN, "too many lines before the login");
	known.timeout_ms = 1;
	imap_client_start((stream_init(&io, &loop, &mine, NULL), &io), &known, &op, on_done, &io);
	op_cancel(&op);

	l.tls = LINE_CLIENT_STARTTLS;
	l.ctx = tls_client_new(&(struct tls_params){ 0 }, &why);
	must(l.ctx);
	PLAY(&l, "* OK ready\r\n", "s NO not here\r\n");
	came(LINE_CLIENT_BROKEN, "refuses STARTTLS");
	is(heard, "s STARTTLS\r\n", "nothing else is said in clear");
	PLAY(&l, "* OK ready\r\n", "s OK go\r\na OK in\r\n");
	came(LINE_CLIENT_BROKEN, "plain text behind the answer to STARTTLS");

	ok(imap_client_referral(S("[REFERRAL imap://store2.test/] moved"), &host) &&
		slice_eq(host, S("store2.test")),
	    "a referral");
	ok(imap_client_referral(S("[REFERRAL imap://me;AUTH=*@store2.test/] moved"), &host) &&
		slice_eq(host, S("store2.test")),
	    "with a user");
	ok(!imap_client_referral(S("[REFERRAL imap://store2.test:25/] moved"), &host) &&
		!imap_client_referral(S("[REFERRAL imap:///] moved"), &host) &&
		!imap_client_referral(S("[REFERRAL imap://../etc/] moved"), &host) &&
		imap_client_referral(S("[REFERRAL pop://store2.test/] moved"), &host) &&
		!imap_client_referral(S("[REFERRAL http://store2.test/] moved"), &host) &&
		!imap_client_referral(S("[UNAVAILABLE] imap://store2.test/"), &host),
	    "what is none");
	tls_unref(&l.ctx);
	return done();
}
