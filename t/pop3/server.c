/* The server core over a socket: order of commands, CAPA, USER and PASS, exchanges, long lines, cursors,
 * limits, shutdown.  Each script is played twice: see script.h. */
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "pop3/server.h"
#include "../script.h"

static struct loop loop;
static unsigned open_sessions;
static bool in_clear; /* no password may go over this connection */

/* ---- a policy with a command of each kind ------------------------------------------------ */

static struct later later;
static struct pop3_server *waiting;

static void
slow_over(struct later *t)
{
	(void)t;
	pop3_server_resume(waiting, pop3_server_ok(waiting, "slow"));
}

/* An operation is pending until the end of the turn. */
static enum pop3_next
cmd_slow(struct pop3_server *s, struct slice arg)
{
	(void)arg;
	waiting = s;
	later_run(&later, &loop, slow_over);
	return POP3_WAIT;
}

/* LONG n: a cursor that writes n lines of 1,000 bytes. */
static enum pop3_next
long_more(struct pop3_server *s)
{
	uint32_t *left = s->data;

	if (stream_backlog(&s->line.io) > STREAM_HIGH + 64 * 1024)
		buf_lit(&script_events, "too far ahead ");
	for (int i = 0; i < 30 && *left > 0; i++, --*left)
		buf_printf(pop3_server_out(s), "%0998u\r\n", *left);
	if (*left > 0)
		return POP3_PULL;
	buf_lit(pop3_server_out(s), ".\r\n");
	return POP3_NEXT;
}

static void
long_undo(struct pop3_server *s)
{
	(void)s;
	buf_lit(&script_events, "undo ");
}

static enum pop3_next
cmd_long(struct pop3_server *s, struct slice arg)
{
	uint32_t *left = arena_new(&s->arena, sizeof(*left));
	struct verdict v = verdict(OUT_VERB_NEEDS, "LONG", "a number");

	if (!arg.p || !pop3_number(&arg, left))
		return pop3_server_bad(s, &v);
	s->data = left;
	s->undo = long_undo;
	pop3_server_ok(s, "long");
	return pop3_server_pull(s, long_more);
}

static const struct pop3_command commands[] = {
	{ "SLOW", cmd_slow, POP3_TRANSACTION, "test" },
	{ "LONG", cmd_long, POP3_TRANSACTION, "test" },
	{ NULL, NULL, 0, NULL },
};

static bool
policy_password_ok(struct pop3_server *s)
{
	(void)s;
	return !in_clear;
}

static void
policy_capabilities(struct pop3_server *s, struct buf *b)
{
	buf_str(b, s->state == POP3_TRANSACTION ? "MORE\r\n" : "");
}

static enum pop3_next
policy_login(struct pop3_server *s, struct slice name, struct slice password)
{
	struct verdict v = verdict(OUT_LOGIN_WRONG);

	if (slice_eq(password, S("unanswered"))) /* by a directory that is silent */
		return POP3_WAIT;
	if (!slice_eq(password, S(" secret")))
		return pop3_server_err(s, POP3_AUTH, &v);
	buf_lit(&script_events, "login:");
	buf_slice(&script_events, name);
	buf_char(&script_events, ' ');
	pop3_server_logged_in(s);
	return pop3_server_ok(s, "in");
}

/* A mechanism that wants a name and then a password. */
static enum pop3_next
policy_sasl_line(struct pop3_server *s, struct slice response)
{
	if (s->data)
		return policy_login(s, *(struct slice *)s->data, response);
	s->data = arena_new(&s->arena, sizeof(struct slice));
	*(struct slice *)s->data = response;
	return pop3_server_challenge(s, S("password"));
}

static enum pop3_next
policy_sasl(struct pop3_server *s, struct slice mech, const struct slice *response)
{
	struct verdict v = verdict(OUT_AUTH_MECHANISM);

	if (!slice_ieq(mech, S("TWO")))
		return pop3_server_err(s, POP3_PLAIN, &v);
	return response ? policy_sasl_line(s, *response) : pop3_server_challenge(s, S("name"));
}

static enum pop3_next
policy_quit(struct pop3_server *s)
{
	buf_lit(&script_events, "update ");
	return pop3_server_bye(s, "bye");
}

static void
policy_left(struct pop3_server *s)
{
	buf_printf(&script_events, "left:%s ", s->line.why ? s->line.why : "?");
}

static void
policy_closed(struct pop3_server *s)
{
	(void)s;
	if (--open_sessions == 0)
		loop_stop(&loop);
}

static struct pop3_limits limits = { .login_ms = 10000, .idle_ms = 10000, .bad = 4, .early = 6 };
static const struct pop3_policy policy = { .limits = &limits,
	.commands = commands,
	.hostname = "us.test",
	.mechanisms = "TWO THREE",
	.password_ok = policy_password_ok,
	.capabilities = policy_capabilities,
	.login = policy_login,
	.sasl = policy_sasl,
	.sasl_line = policy_sasl_line,
	.quit = policy_quit,
	.left = policy_left,
	.closed = policy_closed };

/* ---- scripts ----------------------------------------------------------------------------- */

static struct pop3_server *
session_on(int fd)
{
	struct pop3_server *s = mem_new(sizeof(*s));

	s->policy = &policy;
	open_sessions++;
	if (pop3_server_open(s, &loop, fd, false, "test") < 0)
		abort();
	return s;
}

/* A session with a socket to it. */
static struct pop3_server *
session_open(int *fd)
{
	return session_on(script_pair(fd));
}

static void
serve(int fd)
{
	struct pop3_server *s;

	loop_init(&loop);
	later_init(&later);
	s = session_on(fd);
	loop_run(&loop);
	loop_fini(&loop);
	mem_free(&s);
}

#define SCRIPT(name, want, ...) SCRIPT_RUN(name, want, serve, __VA_ARGS__)

/* clang-format off */
#define HELLO { "", "+OK us.test ready\r\n" }
#define LOGIN { "USER u\r\nPASS  secret\r\n", "+OK Now the password\r\n+OK in\r\n" }
#define QUIT { "QUIT\r\n", "+OK bye\r\n" }
#define FEATURES "PIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nUTF8 USER\r\nLANG\r\n"
/* clang-format on */

#define C10  "xxxxxxxxxx"
#define C50  C10 C10 C10 C10 C10
#define C250 C50 C50 C50 C50 C50

static void
test_commands(void)
{
	SCRIPT("order", "login:u undo update left:quit ", HELLO,
	    { "SLOW\r\n", "-ERR authentication required\r\n" },
	    { "NOOP\r\n", "-ERR authentication required\r\n" },
	    { "PASS x\r\n", "-ERR USER first\r\n" }, LOGIN,
	    { "USER u\r\n", "-ERR you are authenticated already\r\n" },
	    { "UTF8\r\n", "-ERR you are authenticated already\r\n" },
	    { "slow\r\nSLOW\r\nnoop\r\n", "+OK slow\r\n+OK slow\r\n+OK Nothing done\r\n" },
	    { "LONG\r\nLONG x\r\n", "-ERR LONG needs a number\r\n-ERR LONG needs a number\r\n" },
	    { "LONG 0\nNOOP\n", "+OK long\r\n.\r\n+OK Nothing done\r\n" }, QUIT);
	SCRIPT("capabilities", "login:u undo update left:quit ", HELLO,
	    { "CAPA\r\n",
		"+OK Capability list follows\r\nUSER\r\nSASL TWO THREE\r\n" FEATURES ".\r\n" },
	    { "CAPA x\r\n", "-ERR CAPA takes no argument\r\n" },
	    { "UTF8\r\n", "+OK UTF8 enabled\r\n" },
	    { "STLS\r\n", "-ERR STLS is not offered here\r\n" }, LOGIN,
	    { "LONG 0\r\n", "+OK long\r\n.\r\n" },
	    { "CAPA\r\n",
		"+OK Capability list follows\r\nUSER\r\nSASL TWO THREE\r\n" FEATURES
		"MORE\r\n.\r\n" },
	    QUIT);
	SCRIPT("languages", "left:quit ", HELLO,
	    { "LANG\r\n",
		"+OK Language listing follows\r\nen English\r\ni-default Default "
		"language\r\n.\r\n" },
	    { "LANG *\r\n", "+OK en Words are in English\r\n" },
	    { "LANG en-GB\r\n", "+OK en Words are in English\r\n" },
	    { "LANG i-default\r\n", "+OK i-default Words are in English\r\n" },
	    { "LANG tlh\r\n", "-ERR words are in English only\r\n" },
	    { "QUIT\r\n", "+OK Bye\r\n" });
	SCRIPT("bad commands", "login:u left:errors ", HELLO, LOGIN,
	    { "X\r\n\r\nNOOP\r\nX\r\n QUIT\r\nX\r\nX\r\nNOOP\r\n",
		"-ERR unknown command\r\n-ERR no command\r\n+OK Nothing done\r\n"
		"-ERR unknown command\r\n-ERR no command\r\n-ERR unknown command\r\n"
		"-ERR us.test too many errors\r\n" });
	SCRIPT("good ones before the login", "left:early ", HELLO,
	    { "USER a\r\nUSER b\r\nUSER c\r\nUSER d\r\nUSER e\r\nUSER f\r\nUSER g\r\n",
		"+OK Now the password\r\n+OK Now the password\r\n+OK Now the password\r\n"
		"+OK Now the password\r\n+OK Now the password\r\n+OK Now the password\r\n"
		"-ERR us.test too many errors\r\n" });
	SCRIPT("the end of input: no update", "login:u left:eof ", HELLO, LOGIN);
}

static void
test_lines(void)
{
	SCRIPT("a line of 255 octets, and one of 256", "login:u update left:quit ", HELLO, LOGIN,
	    { "NOOP " C50 C50 C50 C50 C10 C10 C10 C10 "xxxxxxxx\r\n",
		"-ERR NOOP takes no argument\r\n" },
	    { "NOOP " C50 C50 C50 C50 C10 C10 C10 C10 "xxxxxxxxx\r\n", "-ERR line too long\r\n" },
	    { "NOOP " C250 C250 C250 C250 C250 "\r\nNOOP\r\n",
		"-ERR line too long\r\n+OK Nothing done\r\n" },
	    QUIT);
}

static void
test_auth(void)
{
	SCRIPT("an exchange", "login:u update left:quit ", HELLO,
	    { "AUTH ONE\r\n", "-ERR no such mechanism\r\n" }, { "AUTH TWO\r\n", "+ bmFtZQ==\r\n" },
	    { "!\r\n", "-ERR this is not base64\r\n" },
	    { "AUTH TWO\r\n*\r\n", "+ bmFtZQ==\r\n-ERR authentication given up\r\n" },
	    { "AUTH two dQ==\r\n", "+ cGFzc3dvcmQ=\r\n" },
	    { "eA==\r\n", "-ERR [AUTH] authentication failed\r\n" },
	    { "AUTH TWO dQ==\r\nIHNlY3JldA==\r\n", "+ cGFzc3dvcmQ=\r\n+OK in\r\n" }, QUIT);
	SCRIPT("more of it", "login: update left:quit ", HELLO,
	    { "AUTH\r\n", "+OK Mechanisms follow\r\nTWO\r\nTHREE\r\n.\r\n" },
	    { "AUTH TWO dQ== x\r\n", "-ERR this is not base64\r\n" },
	    { "AUTH TWO =\r\nIHNlY3JldA==\r\n", "+ cGFzc3dvcmQ=\r\n+OK in\r\n" }, QUIT);
	/* An exchange's lines may be longer than commands. */
	SCRIPT("a long response", "left:quit ", HELLO,
	    { "AUTH TWO dQ==\r\n" C250 C250 C250 C250 "\r\n",
		"+ cGFzc3dvcmQ=\r\n-ERR [AUTH] authentication failed\r\n" },
	    { "QUIT\r\n", "+OK Bye\r\n" });
	SCRIPT("USER again after a failure", "left:quit ", HELLO,
	    { "USER  u \r\nPASS wrong\r\nPASS wrong\r\n",
		"+OK Now the password\r\n-ERR [AUTH] authentication failed\r\n-ERR USER "
		"first\r\n" },
	    { "USER\r\n", "-ERR USER needs a name\r\n" },
	    { "PASS\r\n", "-ERR PASS needs a password\r\n" }, { "QUIT\r\n", "+OK Bye\r\n" });
	in_clear = true;
	SCRIPT("no password in clear", "left:quit ", HELLO,
	    { "CAPA\r\n", "+OK Capability list follows\r\n" FEATURES ".\r\n" },
	    { "USER u\r\nPASS x\r\nAUTH TWO dQ==\r\nAUTH\r\n",
		"-ERR STLS first\r\n-ERR STLS first\r\n-ERR STLS first\r\n-ERR STLS first\r\n" },
	    { "QUIT\r\n", "+OK Bye\r\n" });
	in_clear = false;
}

/* ---- who does not read, who goes, who has to wait ------------------------------------------ */

static void
say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		abort();
}

static size_t
hear(int fd, char *text, size_t cap)
{
	size_t at = 0;
	ssize_t n;

	while (at < cap - 1 && (n = read(fd, text + at, cap - 1 - at)) > 0)
		at += (size_t)n;
	text[at] = 0;
	return at;
}

struct reader {
	int fd;
	size_t got;
};

static void *
read_late(void *arg)
{
	static char c[1 << 20];
	struct reader *r = arg;
	ssize_t n;

	usleep(100000);
	while ((n = read(r->fd, c, sizeof(c))) > 0)
		r->got += (size_t)n;
	return NULL;
}

static void
test_cursor(void)
{
	struct reader r = { 0 };
	struct pop3_server *s;
	pthread_t thread;
	char c[100];

	buf_clear(&script_events);
	loop_init(&loop);
	s = session_open(&r.fd);
	say(r.fd, "USER u\r\nPASS  secret\r\nLONG 5000\r\nQUIT\r\n");
	pthread_create(&thread, NULL, read_late, &r);
	loop_run(&loop);
	pthread_join(thread, NULL);
	eq(r.got, 5000071, "all of a long answer arrives late");
	is(buf_cstr(&script_events), "login:u undo update left:quit ",
	    "and never was more than the high-water mark and a piece ahead");
	close(r.fd);
	loop_fini(&loop);
	mem_free(&s);

	buf_clear(&script_events);
	loop_init(&loop);
	s = session_open(&r.fd);
	say(r.fd, "USER u\r\nPASS  secret\r\nLONG 500000\r\n");
	ok(read(r.fd, c, sizeof(c)) > 0, "it begins");
	close(r.fd);
	loop_run(&loop);
	is(buf_cstr(&script_events), "login:u undo left:error ", "it dies with its session");
	loop_fini(&loop);
	mem_free(&s);
}

struct sipper {
	int fd;
	bool over;
};

/* Reads a byte every few milliseconds. */
static void *
sip(void *arg)
{
	struct sipper *p = arg;
	char c;

	while (!__atomic_load_n(&p->over, __ATOMIC_RELAXED) && read(p->fd, &c, 1) == 1)
		usleep(5000);
	return NULL;
}

/* Who reads a byte now and then is silent all the same. */
static void
test_sipping(void)
{
	struct sipper p = { 0 };
	struct pop3_server *s;
	pthread_t thread;

	limits.idle_ms = 1000;
	buf_clear(&script_events);
	loop_init(&loop);
	s = session_open(&p.fd);
	say(p.fd, "USER u\r\nPASS  secret\r\nLONG 500000\r\n");
	pthread_create(&thread, NULL, sip, &p);
	loop_run(&loop);
	__atomic_store_n(&p.over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	is(buf_cstr(&script_events), "login:u undo left:timeout ",
	    "a peer that sips at a long answer ends by the idle time");
	close(p.fd);
	loop_fini(&loop);
	mem_free(&s);
	limits.idle_ms = 10000;
}

/* RFC 1939 3: silence is answered by silence. */
static void
test_silence(void)
{
	struct pop3_server *s;
	char text[200];
	int fd;

	limits.idle_ms = 1000;
	buf_clear(&script_events);
	loop_init(&loop);
	s = session_open(&fd);
	say(fd, "USER u\r\nPASS  secret\r\n");
	loop_run(&loop);
	hear(fd, text, sizeof(text));
	is(text, "+OK us.test ready\r\n+OK Now the password\r\n+OK in\r\n",
	    "not a word at the timeout");
	is(buf_cstr(&script_events), "login:u left:timeout ", "and no update");
	close(fd);
	loop_fini(&loop);
	mem_free(&s);
	limits.idle_ms = 10000;
}

static void
stop_all(struct timer *t)
{
	struct pop3_server **s = CONTAINER(
	    t,
	    struct {
		    struct timer t;
		    struct pop3_server *s[3];
	    },
	    t)
				     ->s;

	for (int i = 0; i < 3; i++)
		pop3_server_shutdown(s[i]);
	timer_close(t, NULL);
}

static void
test_shutdown(void)
{
	struct {
		struct timer t;
		struct pop3_server *s[3];
	} all = { 0 };
	static const char down[] = "-ERR [SYS/TEMP] us.test is going down\r\n";
	char text[300];
	int fd[3];

	buf_clear(&script_events);
	loop_init(&loop);
	for (int i = 0; i < 3; i++)
		all.s[i] = session_open(&fd[i]);
	say(fd[1], "USER u\r\nPASS unanswered\r\n");
	say(fd[2], "USER u\r\nPASS  secret\r\nNOO"); /* half a command: LINE_SILENT_MS */
	timer_init(&all.t, &loop, stop_all);
	timer_start(&all.t, 200, 0);
	loop_run(&loop);
	hear(fd[0], text, sizeof(text));
	ok(strstr(text, down), "an idle one");
	hear(fd[1], text, sizeof(text));
	ok(strstr(text, down), "one whose password nobody checks");
	hear(fd[2], text, sizeof(text));
	ok(strstr(text, down), "one that has half said something");
	is(buf_cstr(&script_events), "login:u left:shutdown left:shutdown left:shutdown ",
	    "all end, and none updates");
	for (int i = 0; i < 3; i++) {
		close(fd[i]);
		mem_free(&all.s[i]);
	}
	loop_fini(&loop);
}

int
main(void)
{
	test_commands();
	test_lines();
	test_auth();
	test_cursor();
	test_sipping();
	test_silence();
	test_shutdown();
	buf_fini(&script_events);
	return done();
}
