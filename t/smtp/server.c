/* The server core over a socket: order of commands, pipelining, DATA and BDAT, LMTP, limits.
 * Each script is played twice: see script.h. */
#include "base/mem.h"
#include "smtp/server.h"
#include "../script.h"

static struct loop loop;
static struct later later;
static struct smtp_server *waiting;
static struct verdict answer;
static unsigned answers;

/* ---- a policy that answers half of its questions at once and half later ----------------- */

static void
answer_now(struct later *t)
{
	(void)t;
	for (unsigned n = answers; n > 0; n--)
		smtp_server_answer(waiting, &answer);
}

static void
answer_later(struct smtp_server *s, struct verdict v, unsigned n)
{
	waiting = s;
	answer = v;
	answers = n;
	later_run(&later, &loop, answer_now);
}

static void
on_mail(struct smtp_server *s, const struct smtp_mail *m)
{
	buf_lit(&script_events, "mail:");
	address_write(&script_events, &m->from);
	buf_char(&script_events, ' ');
	answer_later(s, verdict(OK, 250, "2.1.0", "sender ok"), 1);
}

static void
on_rcpt(struct smtp_server *s, const struct smtp_rcpt *r)
{
	struct verdict v = verdict(OK, 250, "2.1.5", "ok");

	if (slice_eq(r->to.local, S("nobody")))
		v = verdict(PERM, 550, "5.1.1", "no such user");
	buf_lit(&script_events, "rcpt:");
	address_write(&script_events, &r->to);
	buf_char(&script_events, ' ');
	if (slice_eq(r->to.local, S("slow")))
		answer_later(s, v, 1);
	else
		smtp_server_answer(s, &v);
}

static void
on_bytes(struct smtp_server *s, struct slice b)
{
	struct verdict v = verdict(TEMP, 452, "4.3.1", "disk full");

	buf_slice(&script_events, b);
	/* The word may come in pieces: looked for in all that has come. */
	if (memmem(script_events.p, script_events.n, "full", 4))
		smtp_server_fail(s, &v);
}

static void
on_end(struct smtp_server *s)
{
	buf_lit(&script_events, "end ");
	if (memmem(script_events.p, script_events.n, "enough", 6)) {
		smtp_server_last(s, "enough of you");
		answer_later(s, verdict(PERM, 550, "5.7.2", "not you"),
		    s->policy->lmtp ? s->nrcpt : 1);
		return;
	}
	answer_later(s, verdict(OK, 250, "2.0.0", "queued"), s->policy->lmtp ? s->nrcpt : 1);
}

static void
on_reset(struct smtp_server *s)
{
	(void)s;
	buf_lit(&script_events, "reset ");
}

static void
on_closed(struct smtp_server *s)
{
	buf_printf(&script_events, "closed:%s", s->line.why ? s->line.why : "?");
	loop_stop(&loop);
}

/* ---- scripts ------------------------------------------------------------------------------ */

static const struct smtp_limits limits = { .command_ms = 5000,
	.data_ms = 5000,
	.errors = 4,
	.unknown = 3,
	.rcpts = 3,
	.size = 64 };
static struct smtp_policy policy = { .limits = &limits,
	.hostname = "us.test",
	.mail = on_mail,
	.rcpt = on_rcpt,
	.bytes = on_bytes,
	.end = on_end,
	.reset = on_reset,
	.closed = on_closed };

static void
serve(int fd)
{
	struct smtp_server *s = mem_new(sizeof(*s));

	loop_init(&loop);
	later_init(&later);
	s->policy = &policy;
	if (smtp_server_open(s, &loop, fd, false) < 0)
		abort();
	loop_run(&loop);
	loop_fini(&loop);
	mem_free(&s);
}

/* How a body was cut does not matter; what the policy saw does. */
#define SCRIPT(name, is_lmtp, want, ...)                                                           \
	do {                                                                                       \
		policy.lmtp = is_lmtp;                                                             \
		SCRIPT_RUN(name, want, serve, __VA_ARGS__);                                        \
	} while (0)

#define HELLO                                                                                      \
	{ "", "220 us.test ESMTP ready\r\n" },                                                     \
	{                                                                                          \
		"EHLO c.test\r\n",                                                                 \
		    "250-us.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n"                            \
		    "250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n250-SIZE "         \
		    "64\r\n250 LIMITS RCPTMAX=3\r\n"                                               \
	}
#define LHELLO                                                                                     \
	{ "", "220 us.test LMTP ready\r\n" },                                                      \
	{                                                                                          \
		"LHLO c.test\r\n",                                                                 \
		    "250-us.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n"                            \
		    "250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n250-SIZE "         \
		    "64\r\n250 LIMITS RCPTMAX=3\r\n"                                               \
	}
#define SENDER "250 2.1.0 sender ok\r\n"
#define RCPT   "250 2.1.5 ok\r\n"
#define GO     "354 end with CRLF.CRLF\r\n"
#define QUEUED "250 2.0.0 queued\r\n"
#define BYE    "221 2.0.0 us.test bye\r\n"

static void
test_mail(void)
{
	SCRIPT("one message", false, "mail:a@b.c rcpt:d@e.f hi\r\nend reset closed:quit", HELLO,
	    { "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n", SENDER RCPT GO },
	    { "hi\r\n.\r\n", QUEUED }, { "QUIT\r\n", BYE });
	SCRIPT("pipelined second message", false,
	    "mail:a@b.c rcpt:slow@e.f end reset mail: rcpt:slow@e.f x\r\nend reset closed:quit",
	    HELLO, { "MAIL FROM:<a@b.c>\r\nRCPT TO:<slow@e.f>\r\nDATA\r\n", SENDER RCPT GO },
	    { ".\r\nMAIL FROM:<>\r\nRCPT TO:<slow@e.f>\r\nDATA\r\n", QUEUED SENDER RCPT GO },
	    { "x\r\n.\r\nQUIT\r\n", QUEUED BYE });
	SCRIPT("LMTP: an answer for each", true,
	    "mail:a@b.c rcpt:d@e.f rcpt:nobody@e.f rcpt:slow@e.f end reset closed:quit", LHELLO,
	    { "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nRCPT TO:<nobody@e.f>\r\nRCPT "
	      "TO:<slow@e.f>\r\nDATA\r\n",
		SENDER RCPT "550 5.1.1 no such user\r\n" RCPT GO },
	    { ".\r\n", QUEUED QUEUED }, { "QUIT\r\n", BYE });
	SCRIPT("bare LF", false, "mail:a@b.c rcpt:d@e.f reset closed:eof", HELLO,
	    { "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n", SENDER RCPT GO },
	    { "\n.\n\r\n.\r\n", "550 5.6.0 message has an LF that is not part of CRLF\r\n" });
	SCRIPT("too large", true, NULL, LHELLO,
	    { "MAIL FROM:<a@b.c> SIZE=65\r\n", "552 5.3.4 message is larger than 64 octets\r\n" },
	    { "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n",
		SENDER RCPT RCPT GO },
	    { "123456789012345678901234567890123456789012345678901234567890123\r\n.\r\n",
		"552 5.3.4 message is larger than we take\r\n552 5.3.4 message is larger than we "
		"take\r\n" });
	SCRIPT("an answer that is the last one, whatever was sent ahead", false,
	    "mail:a@b.c rcpt:d@e.f enough\r\nend reset closed:errors", HELLO,
	    { "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n", SENDER RCPT GO },
	    { "enough\r\n.\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n",
		"550 5.7.2 not you\r\n421 4.3.2 us.test enough of you\r\n" });
	SCRIPT("disk full", false, NULL, HELLO,
	    { "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 6\r\nfull\r\n",
		SENDER RCPT "452 4.3.1 disk full\r\n" },
	    { "BDAT 3 LAST\r\nx\r\n", "452 4.3.1 disk full\r\n" },
	    { "NOOP\r\n", "250 2.0.0 ok\r\n" });
}

static void
test_bdat(void)
{
	SCRIPT("chunks", false, "mail:a@b.c rcpt:d@e.f .\r\n\r\nend reset closed:quit", HELLO,
	    { "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 3\r\n.\r\n",
		SENDER RCPT "250 2.0.0 chunk taken, 3 octets so far\r\n" },
	    { "BDAT 2\r\n\r\nBDAT 0 LAST\r\n",
		"250 2.0.0 chunk taken, 5 octets so far\r\n" QUEUED },
	    { "QUIT\r\n", BYE });
	SCRIPT("refused chunks are read over", false,
	    "mail:a@b.c rcpt:nobody@e.f reset closed:quit", HELLO,
	    { "BDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<nobody@e.f>\r\nBDAT "
	      "6\r\nQUIT\r\nQUIT\r\n",
		"503 5.5.1 no valid recipients\r\n" SENDER
		"550 5.1.1 no such user\r\n503 5.5.1 no valid recipients\r\n" BYE });
	SCRIPT("only BDAT between chunks", false, NULL, HELLO,
	    { "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 0\r\n",
		SENDER RCPT "250 2.0.0 chunk taken, 0 octets so far\r\n" },
	    { "DATA\r\n", "503 5.5.1 BDAT or RSET expected\r\n" },
	    { "RSET\r\n", "250 2.0.0 ok\r\n" }, { "QUIT\r\n", BYE });
	SCRIPT("unreadable BDAT ends it", false, "closed:protocol", HELLO,
	    { "BDAT many\r\n", "501 5.5.4 expected BDAT size [LAST]\r\n" });
}

static void
test_order(void)
{
	SCRIPT("order", false, "closed:quit", { "", "220 us.test ESMTP ready\r\n" },
	    { "MAIL FROM:<a@b.c>\r\n", "503 5.5.1 EHLO first\r\n" },
	    { "LHLO x\r\n", "500 5.5.1 unknown command\r\n" },
	    { "HELO c.test\r\n", "250 us.test\r\n" }, { "DATA\r\n", "503 5.5.1 MAIL first\r\n" },
	    { "QUIT\r\n", BYE });
	SCRIPT("errors", false, "closed:errors", HELLO,
	    { "RCPT TO:<a@b.c>\r\nDATA x\r\nEXPN x\r\nMAIL FROM:a@b.c\r\nNOOP\r\n",
		"503 5.5.1 MAIL first\r\n503 5.5.1 MAIL first\r\n502 5.5.1 EXPN is not offered "
		"here\r\n"
		"501 5.1.7 the address must be in angle brackets\r\n421 4.7.0 us.test too many "
		"errors\r\n" });
	SCRIPT("unknown", false, "closed:errors", HELLO,
	    { "A\r\nB\r\nC\r\n",
		"500 5.5.1 unknown command\r\n500 5.5.1 unknown command\r\n"
		"421 4.7.0 us.test too many unknown commands\r\n" });
	SCRIPT("web", false, "closed:http", { "", "220 us.test ESMTP ready\r\n" },
	    { "POST / HTTP/1.1\r\n", "521 5.7.0 this is no web server\r\n" });
	SCRIPT("bare LF command", false, "closed:quit", HELLO,
	    { "NOOP\n", "500 5.5.2 lines end in CRLF\r\n" }, { "QUIT\r\n", BYE });
	SCRIPT("recipients", false, NULL, HELLO,
	    { "MAIL FROM:<a@b.c>\r\nRCPT TO:<a@e.f>\r\nRCPT TO:<b@e.f>\r\nRCPT TO:<c@e.f>\r\nRCPT "
	      "TO:<d@e.f>\r\n",
		SENDER RCPT RCPT RCPT "452 4.5.3 too many recipients\r\n" },
	    { "RSET\r\n", "250 2.0.0 ok\r\n" });
	SCRIPT("8-bit addresses", false, NULL, HELLO,
	    { "MAIL FROM:<\xc3\xa9@b.c>\r\n", "553 5.6.7 this address needs SMTPUTF8\r\n" },
	    { "MAIL FROM:<\xc3\xa9@b.c> SMTPUTF8\r\n", SENDER });
}

/* What stands behind a command that must be the last of its group: only when it arrives at
 * once can it be seen, so this is not for the bytewise mode. */
static void
test_barrier(void)
{
	static const char said[] = "EHLO c.test\r\nMAIL FROM:<a@b.c>\r\n";
	char got[4096] = "";
	int fd, ours = script_pair(&fd);

	policy.lmtp = false;
	if (write(fd, said, strlen(said)) < 0)
		abort();
	buf_clear(&script_events);
	serve(ours);
	if (read(fd, got, sizeof(got) - 1) < 0)
		abort();
	is(got, "220 us.test ESMTP ready\r\n554 5.5.0 input behind EHLO before its answer\r\n",
	    "input behind EHLO");
	is(buf_cstr(&script_events), "closed:pipelining", "ends the session");
	close(fd);
}

/* Implicit TLS: `secured` comes before the greeting, and may have ended the session. */
static void
test_refused_secured(void)
{
	struct verdict v = verdict(TEMP, 421, "4.3.2", "full");
	char got[200] = "";
	struct smtp_server *s = mem_new(sizeof(*s));
	int fd, ours = script_pair(&fd);

	loop_init(&loop);
	s->policy = &policy;
	if (smtp_server_open(s, &loop, ours, false) < 0)
		abort();
	smtp_server_end(s, "refused", &v);
	s->line.ev->greet(&s->line);
	line_session_finish(&s->line, "refused");
	loop_run(&loop);
	loop_fini(&loop);
	if (read(fd, got, sizeof(got) - 1) < 0)
		abort();
	is(got, "220 us.test ESMTP ready\r\n421 4.3.2 full\r\n",
	    "no greeting behind the last words");
	close(fd);
	mem_free(&s);
}

/* ---- an end while an own verb waits ------------------------------------------------------- */

static void
end_now(struct later *t)
{
	(void)t;
	line_session_close(&waiting->line, "kicked");
	buf_lit(&script_events, "ended ");
}

static enum smtp_next
on_wait(struct smtp_server *s, struct slice arg)
{
	(void)arg;
	waiting = s;
	later_run(&later, &loop, end_now);
	return SMTP_WAIT;
}

static void
on_release(struct smtp_server *s)
{
	(void)s;
	buf_lit(&script_events, "release ");
}

static void
test_release(void)
{
	static const struct smtp_verb verbs[] = { { "WAIT", on_wait, SMTP_ANY, 0, "here" },
		{ NULL, NULL, 0, 0, NULL } };
	int fd, ours;

	policy.lmtp = false;
	policy.verbs = verbs;
	for (int i = 0; i < 2; i++) {
		policy.release = i ? on_release : NULL;
		ours = script_pair(&fd);
		if (write(fd, "WAIT\r\n", 6) < 0)
			abort();
		buf_clear(&script_events);
		serve(ours);
		is(buf_cstr(&script_events),
		    i ? "release ended closed:kicked" : "ended closed:kicked",
		    i ? "who can give up is told so at once" : "who cannot is not asked");
		close(fd);
	}
	policy.release = NULL;
	policy.verbs = NULL;
}

int
main(void)
{
	test_mail();
	test_bdat();
	test_order();
	test_barrier();
	test_refused_secured();
	test_release();
	buf_fini(&script_events);
	return done();
}
