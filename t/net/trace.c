/* What a trace shows of a session, and what it must not. */
#include <fcntl.h>
#include <unistd.h>
#include "../tap.h"
#include "base/log.h"
#include "net/trace.h"

struct step {
	char from; /* C or S */
	const char *text, *shown;
};

static const struct step imap[] = {
	{ 'C', "a LOGIN joe geheim\r\n", "a LOGIN (hidden)" },
	{ 'S', "a OK done\r\n", "a OK done" },
	{ 'C', "b noop\r\n", "b noop" },
	{ 'C', "c login {3+}\r\n", "c login (hidden)" },
	{ 'C', "joe {6}\r\n", "(hidden)" },
	{ 'S', "+ go\r\n", "+ go" },
	{ 'S', "* BYE? no\r\n", "* BYE? no" },
	{ 'C', "geheim\r\n", "(hidden)" },
	{ 'S', "c NO wrong\r\n", "c NO wrong" },
	{ 'C', "d AUTHENTICATE PLAIN Z2VoZWlt\r\n", "d AUTHENTICATE (hidden)" },
	{ 'S', "d OK\r\n", "d OK" },
	{ 'C', "e SELECT LOGIN\r\n", "e SELECT LOGIN" },
	{ 'C', "f noop\r\n", "f noop" },
	{ 'C', "g AUTHENTICATE PLAIN\r\n", "g AUTHENTICATE (hidden)" },
	{ 'S', "f OK of the one before\r\n", "f OK of the one before" },
	{ 'S', "gg OK of another\r\n", "gg OK of another" },
	{ 'S', "+ \r\n", "+ " },
	{ 'C', "Z2VoZWlt\r\n", "(hidden)" },
	{ 'S', "g OK\r\n", "g OK" },
	{ 'C', "h noop\r\n", "h noop" },
};
static const struct step smtp[] = {
	{ 'C', "EHLO geheim.not\r\n", "EHLO geheim.not" },
	{ 'C', "auth plain Z2VoZWlt\r\n", "auth (hidden)" },
	{ 'S', "535 5.7.8 no\r\n", "535 5.7.8 no" },
	{ 'C', "AUTH LOGIN\r\n", "AUTH (hidden)" },
	{ 'S', "334 VXNlcg==\r\n", "334 VXNlcg==" },
	{ 'C', "am9l\r\n", "(hidden)" },
	{ 'S', "334 UGFzcw==\r\n", "334 UGFzcw==" },
	{ 'C', "Z2VoZWlt\r\n", "(hidden)" },
	{ 'S', "235 ok\r\n", "235 ok" },
	{ 'C', "MAIL FROM:<a@b>\r\n", "MAIL FROM:<a@b>" },
	{ 'C', "NOOP\r\n", "NOOP" },
	{ 'C', "AUTH LOGIN\r\n", "AUTH (hidden)" },
	{ 'S', "250 of the one before\r\n", "250 of the one before" },
	{ 'S', "334 VXNlcg==\r\n", "334 VXNlcg==" },
	{ 'C', "am9l\r\n", "(hidden)" },
	{ 'S', "535 no\r\n", "535 no" },
};
static const struct step pop3[] = {
	{ 'C', "PASS geheim\r\n", "PASS (hidden)" },
	{ 'S', "+OK\r\n", "+OK" },
	{ 'C', "AUTH PLAIN\r\n", "AUTH (hidden)" },
	{ 'S', "+ \r\n", "+ " },
	{ 'C', "Z2VoZWlt\r\n", "(hidden)" },
	{ 'S', "-ERR no\r\n", "-ERR no" },
	{ 'C', "QUIT\r\n", "QUIT" },
};
static const struct step sieve[] = {
	{ 'C', "AUTHENTICATE \"PLAIN\"\r\n", "AUTHENTICATE (hidden)" },
	{ 'S', "\"\"\r\n", "\"\"" },
	{ 'C', "\"Z2VoZWlt\"\r\n", "(hidden)" },
	{ 'S', "OK\r\n", "OK" },
	{ 'C', "LISTSCRIPTS\r\n", "LISTSCRIPTS" },
};
/* Of a session that is open already nobody knows what it is in the middle of. */
static const struct step torn[] = {
	{ 'C', "heim\r\n", "(hidden)" },
	{ 'C', "Z2VoZWlt\r\n", "(hidden)" },
	{ 'S', "* 3 EXISTS\r\n", "* 3 EXISTS" },
	{ 'C', "geheim\r\n", "(hidden)" },
	{ 'S', "a OK\r\n", "a OK" },
	{ 'C', "b NOOP\r\n", "b NOOP" },
};
static const struct step torn2[] = {
	{ 'S', "a OK of the one before\r\n", "a OK of the one before" },
	{ 'C', "geheim\r\n", "(hidden)" },
	{ 'C', "b NOOP\r\n", "b NOOP" },
};

/* It may be a login that begins there, and end only with its own answer. */
static const struct step torn3[] = {
	{ 'S', "a OK of the one before\r\n", "a OK of the one before" },
	{ 'C', "b LOGIN {3}\r\n", "(hidden)" },
	{ 'S', "+ go\r\n", "+ go" },
	{ 'C', "joe {6}\r\n", "(hidden)" },
	{ 'S', "+ go\r\n", "+ go" },
	{ 'C', "geheim\r\n", "(hidden)" },
	{ 'S', "b OK\r\n", "b OK" },
	{ 'C', "c NOOP\r\n", "c NOOP" },
};
static const struct step torn4[] = {
	{ 'C', "a NOOP\r\n", "(hidden)" },
	{ 'C', "b LOGIN {3}\r\n", "(hidden)" },
	{ 'S', "a OK of the one before\r\n", "a OK of the one before" },
	{ 'S', "+ go\r\n", "+ go" },
	{ 'C', "joe {6}\r\n", "(hidden)" },
	{ 'C', "geheim\r\n", "(hidden)" },
	{ 'S', "b OK\r\n", "b OK" },
	{ 'C', "c NOOP\r\n", "c NOOP" },
};
static const struct step torn5[] = {
	{ 'S', "a OK of the one before\r\n", "a OK of the one before" },
	{ 'C', "GIN {3}\r\n", "(hidden)" },
	{ 'C', "joe {6}\r\n", "(hidden)" },
	{ 'C', "geheim\r\n", "(hidden)" },
	{ 'S', "b OK\r\n", "b OK" },
	{ 'C', "c NOOP\r\n", "c NOOP" },
};
/* Clients that do not wait. */
static const struct step twice[] = {
	{ 'C', "a LOGIN joe geheim\r\n", "a LOGIN (hidden)" },
	{ 'C', "b LOGIN joe {6}\r\n", "(hidden)" },
	{ 'S', "a NO\r\n", "a NO" },
	{ 'S', "+ go\r\n", "+ go" },
	{ 'C', "geheim\r\n", "(hidden)" },
	{ 'S', "b OK\r\n", "b OK" },
	{ 'C', "c NOOP\r\n", "c NOOP" },
};
static const struct step twice_sieve[] = {
	{ 'C', "AUTHENTICATE \"PLAIN\" \"Z2VoZWlt\"\r\n", "AUTHENTICATE (hidden)" },
	{ 'C', "AUTHENTICATE \"PLAIN\" {10+}\r\n", "(hidden)" },
	{ 'S', "NO\r\n", "NO" },
	{ 'C', "Z2VoZWlt\r\n", "(hidden)" },
	{ 'S', "OK\r\n", "OK" },
	{ 'C', "LISTSCRIPTS\r\n", "LISTSCRIPTS" },
};

static void
lines(const char *proto, const struct step *steps, size_t n, bool middle)
{
	struct trace *t;
	struct buf b = { 0 };

	trace_set("pop3 imap smtp sieve");
	t = trace_new(proto, "s1", false, 1, middle);
	ok(t, "%s is traced", proto);
	for (size_t i = 0; i < n; i++) {
		buf_clear(&b);
		trace_line_write(t, steps[i].from == 'C' ? TRACE_CLIENT : TRACE_SERVER,
		    slice_str(steps[i].text), &b);
		is(buf_cstr(&b), steps[i].shown, "%s %c: %s", proto, steps[i].from, steps[i].shown);
	}
	buf_fini(&b);
	trace_free(&t);
}

/* The log of a whole conversation, however its bytes are cut. */
static void
pieces(const char *proto, const struct step *steps, size_t n)
{
	char name[] = "/tmp/trace-XXXXXX", log[65536];
	int fd = mkstemp(name), saved = dup(2);

	(void)unlink(name);
	for (size_t step = 1; step < 60; step += 7) {
		struct trace *t = trace_new(proto, "s1", false, 0, false);
		ssize_t got;

		(void)!ftruncate(fd, 0);
		(void)lseek(fd, 0, SEEK_SET);
		(void)dup2(fd, 2);
		for (size_t i = 0; i < n; i++)
			for (struct slice in = slice_str(steps[i].text); in.n;
			     in = slice_from(in, step))
				trace_bytes(t, steps[i].from == 'C' ? TRACE_CLIENT : TRACE_SERVER,
				    slice_sub(in, 0, step));
		(void)dup2(saved, 2);
		got = pread(fd, log, sizeof(log) - 1, 0);
		log[got < 0 ? 0 : got] = '\0';
		ok(!strstr(log, "geheim\"") && !strstr(log, "joe") && !strstr(log, "Z2VoZWlt") &&
			!strstr(log, "am9l") && !strstr(log, " geheim "),
		    "%s in pieces of %zu: no secret", proto, step);
		ok(strstr(log, "ev=wire sid=s1 proto=") && strstr(log, "dir=<<<") &&
			strstr(log, "dir=>>>"),
		    "and both directions");
		trace_free(&t);
	}
	(void)close(fd);
	(void)close(saved);
}

int
main(void)
{
	char big[5000];
	struct buf b = { 0 };
	struct trace *t;

	log_init("tester", LOG_TO_STDERR, LOG_INFO);
	trace_set("");
	ok(!trace_new("imap", "s", false, 0, false), "nothing is traced without being asked for");
	trace_set("lmtp");
	ok(!trace_new("imap", "s", false, 0, false) && !trace_new("mtp", "s", false, 0, false),
	    "nor another protocol");
	lines("imap", imap, NELEM(imap), false);
	lines("smtp", smtp, NELEM(smtp), false);
	lines("pop3", pop3, NELEM(pop3), false);
	lines("sieve", sieve, NELEM(sieve), false);
	lines("imap", torn, NELEM(torn), true);
	lines("imap", torn2, NELEM(torn2), true);
	lines("imap", torn3, NELEM(torn3), true);
	lines("imap", torn4, NELEM(torn4), true);
	lines("imap", torn5, NELEM(torn5), true);
	lines("imap", twice, NELEM(twice), false);
	lines("sieve", twice_sieve, NELEM(twice_sieve), false);
	pieces("imap", imap, NELEM(imap));
	pieces("smtp", smtp, NELEM(smtp));
	memset(big, 'a', sizeof(big));
	t = trace_new("imap", "s1", false, 0, false);
	trace_line_write(t, TRACE_CLIENT, slice(big, TRACE_LINE), &b);
	is(buf_cstr(&b), "(hidden)", "a tag without end hides what may follow");
	buf_clear(&b);
	trace_line_write(t, TRACE_CLIENT, S("geheim"), &b);
	is(buf_cstr(&b), "(hidden)", "until the server has spoken");
	buf_fini(&b);
	trace_free(&t);
	trace_set("");
	return done();
}
