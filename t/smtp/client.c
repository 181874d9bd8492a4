/* t/smtp/client.c: the client script against a server that behaves as it is told.
 *
 * The server is a forked child on a socket pair: it answers each verb with 250 (354 for DATA)
 * unless the test's table says otherwise, can drop the connection at a verb, and writes down
 * what it was sent. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "smtp/client.h"
#include "../tap.h"

/* ---- the server ----------------------------------------------------------------------- */

struct answer {
	const char *prefix; /* of the command line, or "GREET", "BODY" */
	const char *reply;  /* lines with CRLF; "" = none; NULL = drop the connection;
	                         "~" = a reply that comes a byte every 10 ms and never ends */
};
struct script {
	const char *offers; /* words of EHLO, blank-separated; NULL: EHLO is unknown */
	bool lmtp;
	struct answer answers[12];
};

/* Shared with the child: everything that was received. */
static struct seen {
	size_t n;
	int commits;
	char text[1 << 20];
} * seen;

static const struct answer *
find(const struct script *s, const char *line)
{
	for (const struct answer *a = s->answers; a->prefix; a++)
		if (strncmp(line, a->prefix, strlen(a->prefix)) == 0)
			return a;
	return NULL;
}

static void
say(FILE *f, const char *text)
{
	fputs(text, f);
	fflush(f);
}

/* Says the scripted reply or `dflt`; leaves when told to drop. */
static const char *
answer(FILE *f, const struct script *s, const char *what, const char *dflt)
{
	const struct answer *a = find(s, what);

	if (a && !a->reply)
		_exit(0);
	while (a && *a->reply == '~')
		for (const char *p = "250-wait\r\n"; *p; p++) {
			if (fputc(*p, f) == EOF || fflush(f) == EOF)
				_exit(0);
			usleep(10000);
		}
	say(f, a ? a->reply : dflt);
	return a ? a->reply : dflt;
}

static void
note(const char *p, size_t n)
{
	if (seen->n + n < sizeof(seen->text)) {
		memcpy(seen->text + seen->n, p, n);
		seen->n += n;
	}
}

static void
after_body(FILE *f, const struct script *s, int nrcpt)
{
	seen->commits++;
	if (find(s, "BODY") || !s->lmtp || nrcpt == 0)
		answer(f, s, "BODY", "250 2.0.0 queued\r\n");
	else
		for (int i = 0; i < nrcpt; i++)
			say(f, "250 2.1.5 delivered\r\n");
}

static void
serve(int fd, const struct script *s)
{
	FILE *f = fdopen(fd, "r+");
	FILE *in = fdopen(dup(fd), "r");
	char line[4096], body[65536];
	unsigned long size;
	int nrcpt = 0;

	answer(f, s, "GREET", "220 test ESMTP\r\n");
	while (fgets(line, sizeof(line), in)) {
		note(line, strlen(line));
		if (strncmp(line, "EHLO", 4) == 0 || strncmp(line, "LHLO", 4) == 0) {
			char words[512], *save = NULL;

			if (!s->offers) {
				answer(f, s, "EHLO", "500 what?\r\n");
				continue;
			}
			fputs("250-test at your service\r\n", f);
			snprintf(words, sizeof(words), "%s", s->offers);
			for (char *w = strtok_r(words, " ", &save); w;
			     w = strtok_r(NULL, " ", &save)) {
				for (char *e = w; *e; e++)
					*e = *e == '_' ? ' ' : *e;
				fprintf(f, "250-%s\r\n", w);
			}
			say(f, "250 HELP\r\n");
		} else if (strncmp(line, "RCPT", 4) == 0) {
			nrcpt += *answer(f, s, line, "250 2.1.5 ok\r\n") == '2';
		} else if (strncmp(line, "DATA", 4) == 0) {
			if (*answer(f, s, line, "354 go\r\n") != '3')
				continue;
			while (fgets(body, sizeof(body), in)) {
				note(body, strlen(body));
				if (strcmp(body, ".\r\n") == 0)
					break;
			}
			after_body(f, s, nrcpt);
			nrcpt = 0;
		} else if (sscanf(line, "BDAT %lu", &size) == 1) {
			while (size > 0) {
				size_t n =
				    fread(body, 1, size < sizeof(body) ? size : sizeof(body), in);

				if (n == 0)
					_exit(0);
				note(body, n);
				size -= n;
			}
			after_body(f, s, nrcpt);
			nrcpt = 0;
		} else if (strncmp(line, "QUIT", 4) == 0) {
			answer(f, s, line, "221 bye\r\n");
			_exit(0);
		} else {
			if (strncmp(line, "MAIL", 4) == 0 || strncmp(line, "RSET", 4) == 0)
				nrcpt = 0;
			answer(f, s, line, "250 2.0.0 ok\r\n");
		}
	}
	_exit(0);
}

/* ---- the driver ----------------------------------------------------------------------- */

static struct loop loop;
static struct smtp_client client;
static struct smtp_client_params params;
static struct verdict hello;
static int todo; /* transactions still to send */
static bool lost;
static struct smtp_client_tx tx;
static struct smtp_client_rcpt rcpts[8];

static void
tx_done(struct smtp_client_tx *t)
{
	if (--todo > 0 && smtp_client_usable(&client))
		smtp_client_send(&client, t);
	else
		smtp_client_quit(&client);
}

static void
on_ready(struct smtp_client *c, const struct verdict *v)
{
	hello = *v;
	if (v->kind != OK)
		smtp_client_close(c);
	else if (todo)
		smtp_client_send(c, &tx);
}

static void
on_lost(struct smtp_client *c)
{
	lost = true;
	smtp_client_close(c);
}

static void
on_closed(struct smtp_client *c)
{
	(void)c;
	loop_stop(&loop);
}

static const struct smtp_client_events events = { on_ready, on_lost, on_closed };

/* Talks to a server with this script: `n` times the transaction in tx. */
static void
talk(const struct script *s, int n)
{
	int fd[2];
	pid_t pid;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	memset(seen, 0, sizeof(*seen));
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(fd[0]);
		serve(fd[1], s);
	}
	close(fd[1]);
	loop_init(&loop);
	todo = n;
	lost = false;
	hello = (struct verdict){ 0 };
	params.lmtp = s->lmtp;
	must(smtp_client_open(&client, &loop, fd[0], &params, "test", &events, NULL) == 0);
	loop_run(&loop);
	loop_fini(&loop);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static const char message[] = "Subject: x\r\n\r\n.dot\r\ntext\r\n..two\r\n";

static void
set_up(size_t nrcpt)
{
	static const char *const to[] = { "a@x", "b@x", "c@x", "d@x" };

	params =
	    (struct smtp_client_params){ .helo = "me.example", .limits = smtp_client_limits_rfc };
	tx = (struct smtp_client_tx){ .sender = S("s@y"),
		.bytes = message,
		.size = sizeof(message) - 1,
		.rcpts = rcpts,
		.nrcpt = nrcpt,
		.done = tx_done };
	memset(rcpts, 0, sizeof(rcpts));
	for (size_t i = 0; i < nrcpt; i++)
		rcpts[i].address = slice_str(to[i]);
}

/* The verdicts as "250 4.4.2 ...": for one comparison. */
static const char *
outcome(void)
{
	static char text[200];
	struct buf b = { 0 };

	for (size_t i = 0; i < tx.nrcpt; i++) {
		if (i)
			buf_char(&b, ' ');
		verdict_esc_write(&b, &rcpts[i].v);
		if (rcpts[i].again)
			buf_char(&b, '!');
	}
	slice_cstr(buf_get(&b), text, sizeof(text));
	buf_fini(&b);
	return text;
}

static const char *const full =
    "PIPELINING SIZE_1000 8BITMIME DSN CHUNKING SMTPUTF8 ENHANCEDSTATUSCODES XTIERMAIL";

/* ---- tests ---------------------------------------------------------------------------- */

static void
test_plain(void)
{
	struct script bare = { .offers = "" }, old = { .offers = NULL },
		      pipe = { .offers = "PIPELINING" };

	set_up(2);
	talk(&bare, 1);
	is(outcome(), "2.0.0 2.0.0", "a server without extensions");
	is(seen->text,
	    "EHLO me.example\r\nMAIL FROM:<s@y>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n"
	    "Subject: x\r\n\r\n..dot\r\ntext\r\n...two\r\n.\r\nQUIT\r\n",
	    "what it was sent");
	talk(&old, 1);
	is(outcome(), "2.0.0 2.0.0", "a server that knows HELO only");
	ok(strstr(seen->text, "HELO me.example\r\nMAIL"), "HELO follows EHLO");
	talk(&pipe, 3);
	is(outcome(), "2.0.0 2.0.0", "three messages with PIPELINING");
	eq(seen->commits, 3, "all three were taken");
	eq(client.used, 3, "on one connection");
}

static void
test_params(void)
{
	struct script s = { .offers = full };

	set_up(2);
	tx.eightbit = tx.smtputf8 = true;
	tx.envid = S("id=1");
	tx.ret = SMTP_RET_HDRS;
	tx.qid = S("abc123");
	rcpts[0].notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY;
	rcpts[1].orcpt_type = S("rfc822");
	rcpts[1].orcpt = S("o+b@z");
	talk(&s, 2);
	is(outcome(), "2.0.0 2.0.0", "all parameters");
	ok(strstr(seen->text,
	       "MAIL FROM:<s@y> SIZE=33 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id+3D1 "
	       "XQID=abc123\r\n"),
	    "parameters of MAIL");
	ok(strstr(seen->text, "RCPT TO:<a@x> NOTIFY=SUCCESS,DELAY\r\n"), "NOTIFY");
	ok(strstr(seen->text, "RCPT TO:<b@x> ORCPT=rfc822;o+2Bb@z\r\n"), "ORCPT");
	ok(strstr(seen->text, "BDAT 33 LAST\r\nSubject: x\r\n\r\n.dot\r\n"),
	    "BDAT without stuffing");
	params.eager = 1000;
	talk(&s, 2);
	eq(seen->commits, 2, "eager bodies");
}

/* Who gave us the message is for the server's log: of what it knows, and no answer to it is one to the message. */
static void
test_forward(void)
{
	static const struct smtp_client_forward f = { .addr = S("2001:db8::7"), .helo = S("a=b") };
	struct script all = { .offers = "PIPELINING XFORWARD_NAME_ADDR_PROTO_HELO_IDENT_SOURCE" },
		      some = { .offers = "XFORWARD_SOURCE_ADDR",
			      .answers = { { "XFORWARD", "550 5.7.1 no\r\n" } } },
		      none = { .offers = "XFORWARD_NAME" };

	set_up(1);
	tx.forward = &f;
	tx.qid = S("abc123");
	talk(&all, 2);
	eq(seen->commits, 2, "two messages are forwarded");
	ok(strstr(seen->text,
	       "XFORWARD ADDR=2001:db8::7 HELO=a+3Db IDENT=abc123 SOURCE=REMOTE\r\nMAIL "
	       "FROM:<s@y>\r\n"),
	    "what a server knows comes before MAIL");
	ok(strstr(strstr(seen->text, "XFORWARD") + 1, "XFORWARD ADDR=2001:db8::7"), "of each");
	talk(&some, 1);
	is(outcome(), "2.0.0", "one that does not want to know takes the message all the same");
	ok(strstr(seen->text, "\r\nXFORWARD ADDR=2001:db8::7 SOURCE=REMOTE\r\n"),
	    "without what it has not offered");
	talk(&none, 1);
	ok(!strstr(seen->text, "XFORWARD"), "nothing that we know: nothing is said");
	tx.forward = NULL;
	talk(&all, 1);
	ok(!strstr(seen->text, "XFORWARD"), "nor where it is not wanted");
}

static void
test_unfit(void)
{
	struct script bare = { .offers = "" }, small = { .offers = "SIZE_10" };

	set_up(1);
	tx.eightbit = true;
	talk(&bare, 1);
	is(outcome(), "2.0.0", "ASCII that was declared 8-bit, for a server without 8BITMIME");
	tx.bytes = "a: b\r\n\r\n\xe4\r\n";
	tx.size = strlen(tx.bytes);
	talk(&bare, 1);
	is(outcome(), "5.6.3", "8-bit for a server without 8BITMIME");
	params.send_8bit = true;
	talk(&bare, 1);
	is(outcome(), "2.0.0", "sent as it is when told so");
	set_up(1);
	tx.smtputf8 = true;
	talk(&bare, 1);
	is(outcome(), "2.0.0", "SMTPUTF8 asked for without need");
	rcpts[0].address = S("\xc3\xa4@x");
	talk(&bare, 1);
	is(outcome(), "5.6.7", "SMTPUTF8 needed");
	set_up(1);
	talk(&small, 1);
	is(outcome(), "5.3.4", "too large");
	rcpts[0].address = S("a@x>\r\nDATA");
	talk(&bare, 1);
	is(outcome(), "5.1.3", "an address with a line end");
}

static void
test_refusals(void)
{
	static const char *const modes[] = { "", "PIPELINING", "CHUNKING", "PIPELINING CHUNKING" };
	static const struct {
		struct answer a[3];
		const char *want;
		/* clang-format off */
	} cases[] = {
		{ { { "MAIL", "550 5.7.1 no\r\n" } }, "5.7.1 5.7.1 5.7.1" },
		{ { { "MAIL", "451 4.7.1 later\r\n" }, { "RCPT", "503 5.5.1 MAIL first\r\n" } }, "4.7.1 4.7.1 4.7.1" },
		{ { { "RCPT TO:<b", "550-5.1.1 no such\r\n550 5.1.1 user\r\n" } }, "2.0.0 5.1.1 2.0.0" },
		{ { { "RCPT", "450 4.2.1 busy\r\n" } }, "4.2.1 4.2.1 4.2.1" },
		{ { { "RCPT TO:<c", "452 4.5.3 too many\r\n" } }, "2.0.0 2.0.0 4.5.3!" },
		{ { { "BODY", "552 5.2.2 full\r\n" } }, "5.2.2 5.2.2 5.2.2" },
		{ { { "BODY", "451 oops\r\n" } }, "4.0.0 4.0.0 4.0.0" },
		{ { { "BODY", "421 4.3.2 bye\r\n" } }, "4.3.2 4.3.2 4.3.2" },
		{ { { "RCPT TO:<b", "421 4.3.2 bye\r\n" } }, "4.3.2 4.3.2 4.3.2" },
		{ { { "MAIL", NULL } }, "4.4.2 4.4.2 4.4.2" },
		{ { { "RCPT TO:<b", NULL } }, "4.4.2 4.4.2 4.4.2" },
		{ { { "BODY", NULL } }, "4.4.2 4.4.2 4.4.2" },
		{ { { "BODY", "hello\r\n" } }, "4.5.0 4.5.0 4.5.0" },
	};
	/* clang-format on */

	for (size_t m = 0; m < NELEM(modes); m++) {
		for (size_t i = 0; i < NELEM(cases); i++) {
			struct script s = { .offers = modes[m] };

			memcpy(s.answers, cases[i].a, sizeof(cases[i].a));
			set_up(3);
			params.eager = m == 3 ? 1000 : 0;
			talk(&s, 1);
			is(outcome(), cases[i].want, "[%s] %s answered %.3s", modes[m],
			    cases[i].a[0].prefix,
			    cases[i].a[0].reply ? cases[i].a[0].reply : "closing");
		}
	}
	for (size_t m = 0; m < 2; m++) {
		struct script no = { .offers = modes[m],
			.answers = { { "DATA", "554 5.6.0 no\r\n" } } };
		struct script drop = { .offers = modes[m], .answers = { { "DATA", NULL } } };

		set_up(1);
		talk(&no, 1);
		is(outcome(), "5.6.0", "[%s] DATA refused", modes[m]);
		talk(&drop, 1);
		is(outcome(), "4.4.2", "[%s] dropped at DATA", modes[m]);
	}
}

static void
test_hello(void)
{
	struct script s = { .offers = "", .answers = { { "GREET", "554 5.3.2 closed\r\n" } } };
	struct script drop = { .offers = "", .answers = { { "GREET", NULL } } };
	struct script none = { .offers = NULL, .answers = { { "HELO", "550 who?\r\n" } } };
	struct script mute = { .offers = "", .answers = { { "MAIL", "" } } };

	set_up(1);
	talk(&s, 1);
	ok(hello.kind == PERM && hello.reply == 554 && !client.greeted, "a greeting of 554");
	talk(&drop, 1);
	ok(hello.kind == TEMP && hello.subject == 4, "no greeting at all");
	talk(&none, 1);
	ok(hello.kind == PERM && client.greeted, "HELO refused");
	params.limits.mail = 1;
	talk(&mute, 1);
	is(outcome(), "4.4.1", "no reply in time");
	set_up(1);
	params.tls = SMTP_TLS_MUST;
	params.tls_ctx = tls_client_new(&(struct tls_params){ 0 }, &(char *){ NULL });
	s.answers[0].prefix = NULL;
	talk(&s, 1);
	ok(hello.kind == TEMP && hello.subject == 7, "TLS is a must and not offered");
	params.tls = SMTP_TLS_MAY;
	talk(&s, 1);
	is(outcome(), "2.0.0", "and when it is not a must");
	tls_unref(&params.tls_ctx);
}

static void
test_lmtp(void)
{
	static const char *const modes[] = { "PIPELINING", "PIPELINING CHUNKING" };

	for (size_t m = 0; m < NELEM(modes); m++) {
		struct script good = { .offers = modes[m], .lmtp = true };
		struct script mixed = { .offers = modes[m],
			.lmtp = true,
			.answers = { { "RCPT TO:<b", "550 5.1.1 no\r\n" },
			    { "BODY", "250 2.1.5 a\r\n452 4.2.2 full\r\n" } } };
		struct script half = { .offers = modes[m],
			.lmtp = true,
			.answers = { { "BODY", "250 2.1.5 a\r\n" }, { "QUIT", "221 bye\r\n" } } };
		struct script nobody = { .offers = modes[m],
			.lmtp = true,
			.answers = { { "RCPT", "550 5.1.1 no\r\n" }, { "DATA", "503 5.5.1 no\r\n" },
			    { "BODY", "503 5.5.1 no\r\n" } } };

		set_up(3);
		params.eager = 1000;
		talk(&good, 3);
		is(outcome(), "2.1.5 2.1.5 2.1.5", "[%s] a reply for each recipient", modes[m]);
		eq(seen->commits, 3, "three messages");
		ok(strstr(seen->text, "LHLO me.example\r\n"), "LHLO");
		ok(!strstr(seen->text, "RSET"), "no RSET between good messages");
		talk(&mixed, 1);
		is(outcome(), "2.1.5 5.1.1 4.2.2", "[%s] each its own", modes[m]);
		params.limits.dot = 1;
		talk(&half, 1);
		is(outcome(), "2.1.5 4.4.1 4.4.1",
		    "[%s] what was said stays, the rest is not known", modes[m]);
		params.limits.dot = 60000;
		talk(&nobody, 2);
		is(outcome(), "5.1.1 5.1.1 5.1.1", "[%s] all refused, twice", modes[m]);
		ok(strstr(seen->text, "RSET"), "RSET after a transaction that was not finished");
	}
}

static void
test_large(void)
{
	static const char *const modes[] = { "", "PIPELINING CHUNKING" };
	size_t n = 800000, stuffed = 0;
	char *big = mem_new(n), name[] = "/tmp/client-XXXXXX";
	int fd = mkstemp(name);

	for (size_t i = 0; i < n; i++)
		big[i] = i % 40 == 38           ? '\r' :
		    i % 40 == 39                ? '\n' :
		    i % 40 == 0 && i % 120 == 0 ? '.' :
						  'x';
	memcpy(big + n - 2, "\r\n", 2);
	for (size_t i = 0; i < n; i += 120)
		stuffed++;
	must(unlink(name) == 0 && pwrite(fd, big, n, 100) == (ssize_t)n);
	for (size_t m = 0; m < NELEM(modes); m++) {
		struct script s = { .offers = modes[m] };
		size_t want = n + (m ? 0 : stuffed + 3);
		char *at;

		set_up(1);
		tx.bytes = NULL;
		tx.fd = fd;
		tx.at = 100;
		tx.size = n;
		talk(&s, 1);
		is(outcome(), "2.0.0", "[%s] a large body from a file", modes[m]);
		at = strstr(seen->text, m ? "LAST\r\n" : "DATA\r\n") + 6;
		eq(strstr(at, "QUIT") - at, (long long)want,
		    "all of it, dots doubled where they must");
		ok(m == 0 || memcmp(at, big, n) == 0, "and unchanged");
	}
	close(fd);
	mem_free(&big);
}

/* RFC 2920 3.1: who says 354 with nobody to deliver to gets a dot, and the connection lives. */
static void
test_nobody(void)
{
	struct script s = { .offers = "PIPELINING",
		.answers = { { "RCPT", "550 5.1.1 no\r\n" }, { "BODY", "554 5.5.1 nobody\r\n" } } };
	struct script m = { .offers = "PIPELINING", .answers = { { "MAIL", "550 5.7.1 no\r\n" } } };

	set_up(2);
	talk(&s, 2);
	is(outcome(), "5.1.1 5.1.1", "354 after all recipients were refused: their own verdicts");
	eq(client.used, 2, "the connection serves the next message");
	is(strstr(seen->text, "DATA"),
	    "DATA\r\n.\r\nRSET\r\nMAIL FROM:<s@y>\r\nRCPT TO:<a@x>\r\n"
	    "RCPT TO:<b@x>\r\nDATA\r\n.\r\nQUIT\r\n",
	    "a lone dot ends DATA");
	set_up(2);
	talk(&m, 2);
	is(outcome(), "5.7.1 5.7.1", "354 after MAIL was refused: MAIL's verdict");
	eq(client.used, 2, "the connection serves the next message");
}

static uint64_t
talk_ms(const struct script *s)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	talk(s, 1);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (uint64_t)(b.tv_sec - a.tv_sec) * 1000 + (uint64_t)b.tv_nsec / 1000000 -
	    (uint64_t)a.tv_nsec / 1000000;
}

/* Bytes do not renew a limit: a reply is there in time or it is not.  The others' limits are so much
 * longer that the time tells which of them has ended it, on a busy machine too. */
static void
test_dribble(void)
{
	static const struct smtp_client_limits others = { 60000, 60000, 60000, 60000, 60000, 60000,
		60000, 60000, 0 };
	static const struct {
		const char *at, *says;
		size_t limit;
	} rows[] = {
		{ "EHLO", "no answer in time: EHLO", offsetof(struct smtp_client_limits, hello) },
		{ "MAIL", "no answer in time: MAIL", offsetof(struct smtp_client_limits, mail) },
		{ "RCPT", "no answer in time: RCPT", offsetof(struct smtp_client_limits, rcpt) },
		{ "DATA", "no answer in time: DATA", offsetof(struct smtp_client_limits, data) },
		{ "BODY", "no answer in time: end of data",
		    offsetof(struct smtp_client_limits, dot) },
	};
	uint64_t ms;

	for (size_t i = 0; i < NELEM(rows); i++) {
		struct script s = { .offers = i ? "" : NULL, .answers = { { rows[i].at, "~" } } };

		set_up(1);
		params.limits = others;
		memcpy((char *)&params.limits + rows[i].limit, &(uint32_t){ 200 }, 4);
		rcpts[0].v = (struct verdict){ 0 };
		ms = talk_ms(&s);
		is(i ? rcpts[0].v.text : hello.text, rows[i].says,
		    "a reply to %s that dribbles for ever", rows[i].at);
		ok(ms >= 190 && ms < 30000, "ends at its limit (%llu ms)", (unsigned long long)ms);
	}
}

/* Each step is in time, all of them are not. */
static void
test_whole(void)
{
	struct script s = { .offers = "PIPELINING", .answers = { { "RCPT", "~" } } };

	set_up(4);
	params.limits.whole = 200;
	ok(talk_ms(&s) < 30000,
	    "a transaction has a limit of its own, whatever each recipient may take");
	is(rcpts[3].v.text, "too slow in all: RCPT", "and says so");
}

static void
test_quit(void)
{
	struct script bye = { .offers = "", .answers = { { "QUIT", NULL } } };

	set_up(1);
	talk(&bye, 1);
	is(outcome(), "2.0.0", "the server closes at QUIT without a word");
}

/* Mail that is kept, and what is said instead of mail to take it back. */
static void
test_later(void)
{
	struct script ours = { .offers = "FUTURERELEASE XCANCEL PIPELINING" },
		      bare = { .offers = "" },
		      no = { .offers = "XCANCEL",
			      .answers = { { "XCANCEL", "550 5.5.0 none waits\r\n" } } },
		      gone = { .offers = "XCANCEL", .answers = { { "XCANCEL", NULL } } };

	set_up(1);
	tx.release_at = 1795335601;
	tx.must_release = true;
	tx.auth = S("u@d");
	talk(&ours, 1);
	is(outcome(), "2.0.0", "a message that is kept");
	ok(strstr(seen->text, "MAIL FROM:<s@y> AUTH=u@d HOLDUNTIL=2026-11-22T08:20:01Z\r\n"),
	    "as whose, and until when");
	talk(&bare, 1);
	is(outcome(), "5.5.4", "a server that would send it at once does not get it");
	ok(!strstr(seen->text, "MAIL"), "nor hears of it");
	tx.must_release = false;
	talk(&bare, 1);
	is(outcome(), "2.0.0", "but where that would do it does");
	tx.cancel = S("0123456789abc");
	tx.auth = S("u=1@d");
	tx.bytes = "";
	tx.size = 0;
	rcpts[0].address = S("");
	talk(&ours, 2);
	is(outcome(), "2.0.0", "a message is taken back");
	is(seen->text,
	    "EHLO me.example\r\nXCANCEL 0123456789abc AUTH=u+3D1@d\r\n"
	    "XCANCEL 0123456789abc AUTH=u+3D1@d\r\nQUIT\r\n",
	    "without a word about mail");
	talk(&no, 1);
	is(outcome(), "5.5.0", "or is not there");
	talk(&gone, 1);
	ok(rcpts[0].v.kind == TEMP, "a connection that ends: it is not known");
	talk(&bare, 1);
	is(outcome(), "5.5.1", "a server that knows no XCANCEL");
}

int
main(void)
{
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	signal(SIGPIPE, SIG_IGN);
	test_plain();
	test_params();
	test_forward();
	test_unfit();
	test_refusals();
	test_hello();
	test_lmtp();
	test_large();
	test_nobody();
	test_dribble();
	test_whole();
	test_quit();
	test_later();
	return done();
}
