/* The client's half of POP3: a login with a server that does as it should, and with others. */
#include "pop3/client.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "../tap.h"

static struct loop loop;
static struct stream io;
static int answers, closed;
static enum line_client_outcome outcome;
static char text[LINE_CLIENT_LINE + 1], heard[4096];
static struct op op;

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
hear(int fd)
{
	size_t n = strlen(heard);
	ssize_t got;

	for (int i = 0; i < 20; i++)
		uv_run(&loop.uv, UV_RUN_NOWAIT);
	while ((got = recv(fd, heard + n, sizeof(heard) - 1 - n, MSG_DONTWAIT)) > 0)
		n += (size_t)got;
	heard[n] = '\0';
}

/* Plays the server's lines one after the other; heard: all that the client said. */
static void
play(const struct line_client_login *l, const char *const *lines, enum line_client_outcome want,
    const char *words)
{
	int fds[2], before = answers;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	stream_init(&io, &loop, &mine, NULL);
	must(stream_open(&io, fds[0]) == 0);
	heard[0] = text[0] = '\0';
	closed = 0;
	pop3_client_start(&io, l, &op, on_done, &io);
	hear(fds[1]);
	for (; *lines && answers == before; lines++) {
		must(write(fds[1], *lines, strlen(*lines)) == (ssize_t)strlen(*lines));
		hear(fds[1]);
	}
	if (answers == before)
		shutdown(fds[1], SHUT_WR);
	hear(fds[1]);
	if (!ok(answers == before + 1 && outcome == want && strcmp(text, words) == 0, "%d: %s",
		want, words))
		printf("# got %d, %d: %s\n", answers - before, outcome, text);
	stream_close(&io);
	hear(fds[1]);
	must(closed == 1);
	close(fds[1]);
}
#define PLAY(l, want, words, ...)                                                                  \
	play((l), (const char *const[]){ __VA_ARGS__, NULL }, (want), (words))

int
main(void)
{
	struct line_client_login l = { .name = "store.test",
		.timeout_ms = 60000,
		.mechanism = "EXTERNAL",
		.response = S("me@example.test"),
		.sid = "abc123" };
	struct line_client_login known = l, all;
	char *why = NULL;

	loop_init(&loop);
	known.ahead = true;
	PLAY(&l, LINE_CLIENT_IN, "3 messages", "+OK ready\r\n", "+OK 3 messages\r\n");
	is(heard, "AUTH EXTERNAL bWVAZXhhbXBsZS50ZXN0\r\n", "it waits for the greeting");
	PLAY(&known, LINE_CLIENT_IN, "3 messages", "+OK ready\r\n+OK 3 messages\r\n");
	all = known;
	all.forward = all.utf8 = true;
	must(addr_parse(S("[2001:db8::7]:4711"), &all.client) == 0);
	PLAY(&all, LINE_CLIENT_IN, "in", "+OK ready\r\n", "-ERR no XCLIENT here\r\n",
	    "+OK\r\n+OK in\r\n");
	is(heard,
	    "XCLIENT ADDR=2001:db8::7 PORT=4711 SESSION=abc123\r\nUTF8\r\n"
	    "AUTH EXTERNAL bWVAZXhhbXBsZS50ZXN0\r\n",
	    "all at once");
	PLAY(&known, LINE_CLIENT_NO, "[IN-USE] somebody has it", "+OK\r\n",
	    "-ERR [IN-USE] somebody has it\r\n");
	PLAY(&known, LINE_CLIENT_BYE, "[SYS/TEMP] full", "-ERR [SYS/TEMP] full\r\n");
	PLAY(&known, LINE_CLIENT_BROKEN, "asks for more than an initial response", "+OK\r\n",
	    "+ \r\n");
	PLAY(&known, LINE_CLIENT_BROKEN, "says what is no answer", "* OK IMAP\r\n");
	PLAY(&known, LINE_CLIENT_BROKEN, "closed before the login", "+OK\r\n");
	l.tls = LINE_CLIENT_STARTTLS;
	l.ctx = tls_client_new(&(struct tls_params){ 0 }, &why);
	must(l.ctx);
	PLAY(&l, LINE_CLIENT_BROKEN, "refuses STLS", "+OK ready\r\n", "-ERR not here\r\n");
	is(heard, "STLS\r\n", "nothing else is said in clear");
	PLAY(&l, LINE_CLIENT_BROKEN, "plain text behind the answer to STARTTLS", "+OK ready\r\n",
	    "+OK go\r\n+OK in\r\n");
	tls_unref(&l.ctx);
	return done();
}
