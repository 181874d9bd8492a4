/* The server core over a socket: order of commands, literals, exchanges, cursors, limits, shutdown.
 * Each script is played twice: see script.h. */
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "imap/server.h"
#include "../script.h"

static struct loop loop;
static unsigned open_sessions;

/* ---- a policy with a command of each kind ------------------------------------------------ */

static struct later later;
static struct imap_server *waiting;

static void
slow_over(struct later *t)
{
	(void)t;
	imap_server_resume(waiting, imap_server_finish(waiting, "OK", "SLOW completed"));
}

/* An operation is pending until the end of the turn. */
static enum imap_next
cmd_slow(struct imap_server *s, struct imap_in *in)
{
	(void)in;
	waiting = s;
	later_run(&later, &loop, slow_over);
	return IMAP_WAIT;
}

/* LONG n: a cursor that writes n lines of 1,000 bytes. */
static enum imap_next
long_more(struct imap_server *s)
{
	uint32_t *left = s->data;

	for (; *left > 0; --*left) {
		imap_server_untagged(s, "%0998u", *left);
		if (imap_server_out(s)->n >= STREAM_HIGH) {
			if (stream_backlog(&s->line.io) > STREAM_HIGH + STREAM_LOW + 4096)
				buf_lit(&script_events, "too far ahead ");
			--*left;
			return IMAP_FULL;
		}
	}
	return imap_server_finish(s, "OK", "LONG completed");
}

static void
long_undo(struct imap_server *s)
{
	(void)s;
	buf_lit(&script_events, "undo ");
}

static enum imap_next
cmd_long(struct imap_server *s, struct imap_in *in)
{
	uint32_t *left = arena_new(&s->arena, sizeof(*left));

	if (!imap_space(in) || !imap_number(in, left) || !imap_end(in))
		return imap_server_syntax(s, in);
	s->data = left;
	s->undo = long_undo;
	return imap_server_pull(s, long_more);
}

static unsigned slices; /* of SPIN, read by another thread */

/* SPIN ms: a cursor that only uses time. */
static enum imap_next
spin_more(struct imap_server *s)
{
	uint64_t *until = s->data;

	__atomic_add_fetch(&slices, 1, __ATOMIC_RELAXED);
	while (clock_mono_ms() < *until)
		if (line_session_spent(&s->line))
			return IMAP_YIELD;
	return imap_server_finish(s, "OK", "SPIN completed");
}

static enum imap_next
cmd_spin(struct imap_server *s, struct imap_in *in)
{
	uint64_t *until = arena_new(&s->arena, sizeof(*until));
	uint32_t ms;

	if (!imap_space(in) || !imap_number(in, &ms) || !imap_end(in))
		return imap_server_syntax(s, in);
	*until = clock_mono_ms() + ms;
	s->data = until;
	return imap_server_pull(s, spin_more);
}

/* APPEND box {n}: takes the bytes itself. */
static enum imap_next
put_over(struct imap_server *s)
{
	return imap_server_finish(s, "OK", "APPEND completed");
}

static enum imap_next
put_bytes(struct imap_server *s, struct slice in)
{
	uint64_t *left = s->data;
	size_t n = in.n < *left ? in.n : (size_t)*left;

	buf_slice(&script_events, slice(in.p, n));
	stream_take(&s->line.io, n);
	*left -= n;
	return *left ? IMAP_MORE : imap_server_literal_end(s, put_over);
}

static const struct imap_taker put_taker = { "put", put_bytes, true };

static enum imap_next
put_begin(struct imap_server *s, struct imap_in *in, uint64_t size)
{
	uint64_t *left = arena_new(&s->arena, sizeof(*left));
	struct imap_refusal no = { IMAP_NO, "TRYCREATE", "No such mailbox" };
	struct slice box;

	if (!imap_space(in) || !imap_astring(in, &box))
		return imap_server_refuse_literal(s, size, &no);
	if (imap_char(in, ' ') && imap_char(in, '('))
		s->tail = ")";
	if (!slice_eq(box, S("here")))
		return imap_server_refuse_literal(s, size, &no);
	*left = size;
	s->data = left;
	s->input = &put_taker;
	if (s->lex.sync)
		imap_server_invite(s);
	return IMAP_MORE;
}

static enum imap_next
cmd_put(struct imap_server *s, struct imap_in *in)
{
	(void)in;
	return imap_server_bad(s, "Literal expected");
}

/* WATCH: lasts until a line comes. */
static enum imap_next
watch_line(struct imap_server *s, struct slice line)
{
	if (slice_eq(line, S("GO ON")))
		return IMAP_MORE;
	return imap_server_finish(s, "OK", "WATCH completed");
}

static enum imap_next
watch_bytes(struct imap_server *s, struct slice in)
{
	return imap_server_line(s, in, watch_line);
}

static const struct imap_taker watch_taker = { "watch", watch_bytes, false };

static enum imap_next
cmd_watch(struct imap_server *s, struct imap_in *in)
{
	(void)in;
	buf_lit(imap_server_out(s), "+ watching\r\n");
	imap_server_keep(s);
	s->input = &watch_taker;
	return IMAP_MORE;
}

static const struct imap_command commands[] = {
	{ "SLOW", cmd_slow, IMAP_AUTH, IMAP_UIDS, "test", NULL },
	{ "LONG", cmd_long, IMAP_AUTH, 0, "test", NULL },
	{ "SPIN", cmd_spin, IMAP_AUTH, 0, "test", NULL },
	{ "APPEND", cmd_put, IMAP_AUTH, 0, "test", put_begin },
	{ "WATCH", cmd_watch, IMAP_AUTH, 0, "test", NULL },
	{ "CHECK", imap_server_noop, IMAP_SELECTED, 0, "test", NULL },
	{ NULL, NULL, 0, 0, NULL, NULL },
};

static unsigned
policy_when(struct imap_server *s)
{
	return s->state == IMAP_NOTAUTH ? IMAP_PASSWORDS : IMAP_OWN;
}

static void
policy_size(struct buf *b)
{
	buf_lit(b, "=7");
}

static const struct imap_capability capabilities[] = {
	{ "IMAP4rev1", IMAP_BEFORE | IMAP_AFTER, 0, NULL, "test" },
	{ "STARTTLS", IMAP_BEGINS_TLS, 0, NULL, "test" },
	{ "AUTH=TWO", IMAP_PASSWORDS, 0, NULL, "test" },
	{ "LOGINDISABLED", IMAP_NO_PASSWORDS, 0, NULL, "test" },
	{ "MORE", IMAP_AFTER, 0, policy_size, "test" },
	{ "OURS", IMAP_OWN, 0, NULL, "test" },
	{ NULL, 0, 0, NULL, NULL },
};

static enum imap_next
policy_login(struct imap_server *s, struct slice name, struct slice password)
{
	if (slice_eq(password, S("unanswered"))) /* by a directory that is silent */
		return IMAP_WAIT;
	if (!slice_eq(password, S("secret")))
		return imap_server_no(s, "AUTHENTICATIONFAILED", "Wrong");
	buf_lit(&script_events, "login:");
	buf_slice(&script_events, name);
	buf_char(&script_events, ' ');
	imap_server_logged_in(s);
	return imap_server_finish(s, "OK", "Logged in");
}

/* A mechanism that wants a name and then a password. */
static enum imap_next
policy_sasl_line(struct imap_server *s, struct slice response)
{
	if (s->data)
		return policy_login(s, *(struct slice *)s->data, response);
	s->data = arena_new(&s->arena, sizeof(struct slice));
	*(struct slice *)s->data = response;
	return imap_server_challenge(s, S("password"));
}

static enum imap_next
policy_sasl(struct imap_server *s, struct slice mech, const struct slice *response)
{
	if (!slice_eq(mech, S("TWO")))
		return imap_server_no(s, "CANNOT", "Unknown mechanism");
	return response ? policy_sasl_line(s, *response) : imap_server_challenge(s, S("name"));
}

static void
policy_left(struct imap_server *s)
{
	buf_printf(&script_events, "left:%s ", s->line.why ? s->line.why : "?");
}

static void
policy_closed(struct imap_server *s)
{
	(void)s;
	if (--open_sessions == 0)
		loop_stop(&loop);
}

static struct imap_limits limits = { .login_ms = 10000,
	.idle_ms = 10000,
	.bad = 3,
	.early = 5,
	.line = 1000,
	.early_line = 100,
	.skip = 100 };
static const struct imap_policy policy = { .limits = &limits,
	.commands = commands,
	.hostname = "us.test",
	.capabilities = capabilities,
	.when = policy_when,
	.login = policy_login,
	.sasl = policy_sasl,
	.sasl_line = policy_sasl_line,
	.left = policy_left,
	.closed = policy_closed };

/* ---- scripts ----------------------------------------------------------------------------- */

static struct imap_server *
session_on(int fd)
{
	struct imap_server *s = mem_new(sizeof(*s));

	s->policy = &policy;
	open_sessions++;
	if (imap_server_open(s, &loop, fd, false, "test") < 0)
		abort();
	return s;
}

/* A session with a socket to it. */
static struct imap_server *
session_open(int *fd)
{
	return session_on(script_pair(fd));
}

static void
serve(int fd)
{
	struct imap_server *s;

	loop_init(&loop);
	later_init(&later);
	s = session_on(fd);
	loop_run(&loop);
	loop_fini(&loop);
	mem_free(&s);
}

#define SCRIPT(name, want, ...) SCRIPT_RUN(name, want, serve, __VA_ARGS__)

#define HELLO                                                                                      \
	{                                                                                          \
		"", "* OK [CAPABILITY IMAP4rev1 AUTH=TWO] us.test ready\r\n"                       \
	}
#define LOGIN                                                                                      \
	{                                                                                          \
		"l LOGIN u secret\r\n", "l OK Logged in\r\n"                                       \
	}
#define LOGOUT                                                                                     \
	{                                                                                          \
		"z LOGOUT\r\n", "* BYE Logging out\r\nz OK Logout completed\r\n"                   \
	}

static void
test_commands(void)
{
	SCRIPT("order", "login:u left:logout ", HELLO, { "a SLOW\r\n", "a BAD Log in first\r\n" },
	    LOGIN, { "b LOGIN u secret\r\n", "b BAD Not after login\r\n" },
	    { "c CHECK\r\n", "c BAD No mailbox is selected\r\n" },
	    { "d SLOW\r\ne UID SLOW\r\nf UID LONG 1\r\n",
		"d OK SLOW completed\r\ne OK SLOW completed\r\nf BAD Unknown command\r\n" },
	    { "* NOOP\r\n", "* BAD Tag expected\r\n" },
	    { "g CAPABILITY\r\n",
		"* CAPABILITY IMAP4rev1 MORE=7 OURS\r\ng OK Capability "
		"completed\r\n" },
	    LOGOUT);
	SCRIPT("bad commands before login", "left:errors ", HELLO,
	    { "a X\r\nb NOOP\r\nc X\r\nd X\r\ne X\r\n",
		"a BAD Unknown command\r\nb OK Completed\r\nc BAD Unknown command\r\n"
		"d BAD Unknown command\r\n* BYE Too many bad commands\r\ne BAD Unknown "
		"command\r\n" });
	SCRIPT("good ones too", "left:early ", HELLO,
	    { "a NOOP\r\nb NOOP\r\nc NOOP\r\nd NOOP\r\ne NOOP\r\nf NOOP\r\n",
		"a OK Completed\r\nb OK Completed\r\nc OK Completed\r\nd OK Completed\r\n"
		"e OK Completed\r\n* BYE Log in, or go\r\n" });
	SCRIPT("the end of input", "login:u left:eof ", HELLO, LOGIN);
}

static void
test_auth(void)
{
	SCRIPT("an exchange", "login:u left:logout ", HELLO,
	    { "a AUTHENTICATE ONE\r\n", "a NO [CANNOT] Unknown mechanism\r\n" },
	    { "a AUTHENTICATE TWO\r\n", "+ bmFtZQ==\r\n" }, { "!\r\n", "a BAD Bad base64\r\n" },
	    { "a AUTHENTICATE TWO\r\n", "+ bmFtZQ==\r\n" },
	    { "*\r\n", "a BAD Authentication cancelled\r\n" },
	    { "a AUTHENTICATE TWO dQ==\r\n", "+ cGFzc3dvcmQ=\r\n" },
	    { "eA==\r\n", "a NO [AUTHENTICATIONFAILED] Wrong\r\n" },
	    { "a AUTHENTICATE TWO dQ==\r\nc2VjcmV0\r\n", "+ cGFzc3dvcmQ=\r\na OK Logged in\r\n" },
	    LOGOUT);
}

static void
test_literals(void)
{
	SCRIPT("literals", "login:u bytes\r\nleft:logout ", HELLO,
	    { "a LOGIN {1+}\r\nu {6}\r\nsecret\r\n",
		"+ Ready for literal data\r\na OK Logged in\r\n" },
	    { "b APPEND here {7}\r\nbytes\r\n\r\n",
		"+ Ready for literal data\r\nb OK APPEND completed\r\n" },
	    { "c APPEND there {6}\r\n", "c NO [TRYCREATE] No such mailbox\r\n" },
	    { "d APPEND there {9+}\r\nx LOGOUT\n\r\nd2 NOOP\r\n",
		"d NO [TRYCREATE] No such mailbox\r\nd2 OK Completed\r\n" },
	    LOGOUT);
	SCRIPT("text behind one", "login:u xleft:logout ", HELLO, LOGIN,
	    { "b APPEND here {1+}\r\nxy\r\n", "b BAD Unexpected text behind the message\r\n" },
	    LOGOUT);
	SCRIPT("what has to stand behind one", "login:u xxxleft:logout ", HELLO, LOGIN,
	    { "b APPEND here ({1+}\r\nx)\r\n", "b OK APPEND completed\r\n" },
	    { "c APPEND here ({1+}\r\nx\r\n", "c BAD Unexpected text behind the message\r\n" },
	    { "d APPEND here ({1+}\r\nx))\r\n", "d BAD Unexpected text behind the message\r\n" },
	    { "e APPEND there ({1+}\r\nx)\r\n", "e NO [TRYCREATE] No such mailbox\r\n" }, LOGOUT);
	SCRIPT("a second one", "login:u xleft:flood ", HELLO, LOGIN,
	    { "b APPEND here {1+}\r\nx {1+}\r\ny\r\n",
		"* BYE Unexpected text behind the message\r\n" });
	SCRIPT("a second one behind a refusal", "login:u left:logout ", HELLO, LOGIN,
	    { "c APPEND there {9+}\r\nx LOGOUT\n (x) {4+}\r\nabcd {1+}\r\n\n\r\nd NOOP\r\n",
		"c NO [TRYCREATE] No such mailbox\r\nd OK Completed\r\n" },
	    { "c APPEND there {9+}\r\nx LOGOUT\n {4}\r\n", "c NO [TRYCREATE] No such mailbox\r\n" },
	    LOGOUT);
	SCRIPT("endless ones", "login:u left:flood ", HELLO, LOGIN,
	    { "d APPEND there "
	      "{60+}\r\n@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ {60+}\r\n",
		"* BYE Message too large\r\n" });
	SCRIPT("an endless one", "login:u left:flood ", HELLO, LOGIN,
	    { "d APPEND there {101+}\r\n", "* BYE Message too large\r\n" });
	SCRIPT("lines of a command that lasts", "login:u left:logout ", HELLO, LOGIN,
	    { "w WATCH\r\n", "+ watching\r\n" }, { "GO ON\r\nGO ON\r\n", "" },
	    { "STOP\r\n", "w OK WATCH completed\r\n" }, { "w WATCH\r\n", "+ watching\r\n" },
	    { "\r\n", "w OK WATCH completed\r\n" }, LOGOUT);
	SCRIPT("a message in it", "login:u left:flood ", HELLO, LOGIN,
	    { "w WATCH\r\n", "+ watching\r\n" },
	    { "x APPEND here {4+}\r\n", "* BYE Something else was expected\r\n" });
}

/* ---- who does not read, who goes, who has to wait ------------------------------------------ */

static size_t
read_some(int fd, size_t most)
{
	static char c[1 << 20];
	ssize_t n = read(fd, c, most < sizeof(c) ? most : sizeof(c));

	return n > 0 ? (size_t)n : 0;
}

struct reader {
	int fd;
	size_t got;
};

static void *
read_late(void *arg)
{
	struct reader *r = arg;
	size_t n;

	usleep(100000);
	while ((n = read_some(r->fd, SIZE_MAX)) > 0)
		r->got += n;
	return NULL;
}

static void
say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		abort();
}

static void
test_cursor(void)
{
	struct reader r = { 0 };
	struct imap_server *s;
	pthread_t thread;

	buf_clear(&script_events);
	loop_init(&loop);
	s = session_open(&r.fd);
	say(r.fd, "l LOGIN u secret\r\nx LONG 5000\r\nz LOGOUT\r\n");
	pthread_create(&thread, NULL, read_late, &r);
	loop_run(&loop);
	pthread_join(thread, NULL);
	ok(r.got > 5010000 && r.got < 5011000, "all of a long answer arrives late");
	is(buf_cstr(&script_events), "login:u undo left:logout ",
	    "and never was more than the high-water mark ahead");
	close(r.fd);
	loop_fini(&loop);
	mem_free(&s);

	buf_clear(&script_events);
	loop_init(&loop);
	s = session_open(&r.fd);
	say(r.fd, "l LOGIN u secret\r\nx LONG 500000\r\n");
	read_some(r.fd, 100);
	close(r.fd);
	loop_run(&loop);
	is(buf_cstr(&script_events), "login:u undo left:error ", "it dies with its session");
	loop_fini(&loop);
	mem_free(&s);
}

#define ASKED 20

struct asker {
	int spin[8], fd;
	unsigned waited[ASKED]; /* slices of the others between a question and its answer */
};

static void *
ask_beside(void *arg)
{
	struct asker *a = arg;

	for (size_t i = 0; i < NELEM(a->spin); i++)
		say(a->spin[i], "l LOGIN u secret\r\nx SPIN 300\r\nz LOGOUT\r\n");
	read_some(a->fd, 1000); /* the greeting */
	for (int i = 0; i < ASKED; i++) {
		unsigned before = __atomic_load_n(&slices, __ATOMIC_RELAXED);

		say(a->fd, i == 0 ? "l LOGIN u secret\r\n" : "a NOOP\r\n");
		read_some(a->fd, 1000);
		a->waited[i] = __atomic_load_n(&slices, __ATOMIC_RELAXED) - before;
		usleep(5000);
	}
	shutdown(a->fd, SHUT_WR);
	return NULL;
}

static int
by_number(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

/* Eight sessions that would use all the time there is, and one that asks for little: it waits for
 * a slice or two, not for eight.  A busy machine lets the asker itself wait, by turns: what the loop does to
 * him it does each time, so that a quarter of the answers tell. */
static void
test_turns(void)
{
	struct imap_server *s[9];
	struct asker a = { 0 };
	pthread_t thread;

	loop_init(&loop);
	for (size_t i = 0; i < 8; i++)
		s[i] = session_open(&a.spin[i]);
	s[8] = session_open(&a.fd);
	pthread_create(&thread, NULL, ask_beside, &a);
	loop_run(&loop);
	pthread_join(thread, NULL);
	qsort(a.waited, ASKED, sizeof(a.waited[0]), by_number);
	ok(a.waited[ASKED / 4] <= 4, "a short command beside eight long ones waits for few slices");
	printf("# a quarter %u, median %u, most %u\n", a.waited[ASKED / 4], a.waited[ASKED / 2],
	    a.waited[ASKED - 1]);
	for (size_t i = 0; i < 8; i++)
		close(a.spin[i]);
	close(a.fd);
	loop_fini(&loop);
	for (size_t i = 0; i < 9; i++)
		mem_free(&s[i]);
}

static void
test_shutdown(void)
{
	struct imap_server *s[3];
	int fd[3];
	char text[3][400] = { "" };

	buf_clear(&script_events);
	loop_init(&loop);
	for (int i = 0; i < 3; i++)
		s[i] = session_open(&fd[i]);
	say(fd[1], "l LOGIN u secret\r\na APPEND here {4+}\r\nab");
	say(fd[2], "l LOGIN u secret\r\na SPIN 50\r\n");
	for (int i = 0; i < 5; i++)
		uv_run(&loop.uv, UV_RUN_NOWAIT);
	for (int i = 0; i < 3; i++)
		imap_server_shutdown(s[i]);
	say(fd[1], "cd\r\n");
	loop_run(&loop);
	for (int i = 0; i < 3; i++) {
		if (read(fd[i], text[i], sizeof(text[i]) - 1) < 0)
			abort();
		close(fd[i]);
	}
	ok(strstr(text[0], "ready\r\n* BYE Server is going down\r\n"), "shutdown: an idle one");
	ok(strstr(text[1], "a OK APPEND completed\r\n* BYE Server"), "in a literal: behind it");
	ok(strstr(text[2], "a OK SPIN completed\r\n* BYE Server"), "in a command: behind it");
	loop_fini(&loop);
	for (int i = 0; i < 3; i++)
		mem_free(&s[i]);
}

/* What a client that has long been silent has left half said. */
static const struct {
	const char *name, *said, *last;
} silent[] = {
	{ "nothing", "", "ready\r\n* BYE Server" },
	{ "half a LOGIN", "a LOGIN u", "ready\r\n* BYE Server" },
	{ "half a literal of LOGIN", "a LOGIN {9}\r\nab",
	    "+ Ready for literal data\r\n* BYE Server" },
	{ "a LOGIN that nobody answers", "a LOGIN u unanswered\r\n", "ready\r\n* BYE Server" },
	{ "no answer to a challenge", "a AUTHENTICATE TWO\r\n", "+ bmFtZQ==\r\n* BYE Server" },
	{ "half an answer", "a AUTHENTICATE TWO\r\nbm", "+ bmFtZQ==\r\n* BYE Server" },
	{ "half a command", "l LOGIN u secret\r\na NO", "Logged in\r\n* BYE Server" },
	{ "half a literal", "l LOGIN u secret\r\na ID {9}\r\nab",
	    "+ Ready for literal data\r\n* BYE" },
	{ "half a message", "l LOGIN u secret\r\na APPEND here {4+}\r\nab", "in\r\n* BYE Server" },
	{ "a message without its end", "l LOGIN u secret\r\na APPEND here {2+}\r\nab",
	    "in\r\n* BYE" },
	{ "half a message that is refused", "l LOGIN u secret\r\na NOOP {90+}\r\nab",
	    "in\r\n* BYE" },
	{ "WATCH", "l LOGIN u secret\r\na WATCH\r\n", "+ watching\r\n* BYE Server" },
	{ "WATCH and half its end", "l LOGIN u secret\r\na WATCH\r\nDO", "+ watching\r\n* BYE" },
};

static void
test_silent(void)
{
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		struct imap_server *s;
		char text[1000] = "";
		int fd;

		loop_init(&loop);
		s = session_open(&fd);
		say(fd, silent[i].said);
		for (int turn = 0; turn < 5; turn++)
			uv_run(&loop.uv, UV_RUN_NOWAIT);
		s->line.io.moved_ms -= LINE_SILENT_MS;
		imap_server_shutdown(s);
		ok(s->line.state == LINE_CLOSED, "silent after %s: ended at once", silent[i].name);
		if (s->line.state != LINE_CLOSED)
			imap_server_bye(s, "test", "Not at once");
		loop_run(&loop);
		if (read(fd, text, sizeof(text) - 1) < 0)
			abort();
		if (!ok(strstr(text, silent[i].last), "... BYE"))
			printf("# %s\n", text);
		close(fd);
		loop_fini(&loop);
		mem_free(&s);
	}
}

int
main(void)
{
	test_commands();
	test_auth();
	test_literals();
	test_cursor();
	test_turns();
	test_shutdown();
	test_silent();
	buf_fini(&script_events);
	return done();
}
