/* Gathering commands: whole, byte by byte, with literals, too long. */
#include "../tap.h"
#include "imap/lex.h"

static uint32_t unwaited;

/* Feeds `input` in pieces of `step` bytes and writes down what comes out. */
static const char *
run(const char *input, size_t len, size_t step, size_t cap)
{
	static char log[2000];
	struct imap_lex l = { .cap = cap, .unwaited = unwaited };
	struct buf b = { 0 };
	size_t at = 0;

	while (at < len) {
		size_t n = len - at < step ? len - at : step, used;
		enum imap_lexed r = imap_lex_feed(&l, slice(input + at, n), &used);

		at += used;
		switch (r) {
		case IMAP_LEX_MORE: break;
		case IMAP_LEX_DONE:
			buf_printf(&b, "[%.*s]", (int)l.text.n, l.text.p ? l.text.p : "");
			imap_lex_reset(&l);
			break;
		case IMAP_LEX_CONTINUE: buf_lit(&b, "+"); break;
		case IMAP_LEX_MESSAGE:
			buf_printf(&b, "M%d%s", (int)l.literal, l.hasty ? "h" : l.sync ? "s" : "");
			at += (size_t)l.literal;
			imap_lex_message_taken(&l);
			break;
		case IMAP_LEX_TOO_LONG:
			buf_str(&b, l.hasty ? "hasty" : "long");
			imap_lex_reset(&l);
			break;
		case IMAP_LEX_FLOOD:
			buf_lit(&b, "flood");
			at = len;
			break;
		}
	}
	slice_cstr(buf_get(&b), log, sizeof(log));
	buf_fini(&b);
	imap_lex_reset(&l);
	return log;
}

static void
both(const char *input, const char *want, size_t cap, const char *what)
{
	is(run(input, strlen(input), strlen(input), cap), want, "%s, in one piece", what);
	is(run(input, strlen(input), 1, cap), want, "%s, byte by byte", what);
	is(run(input, strlen(input), 3, cap), want, "%s, three bytes at a time", what);
}

int
main(void)
{
	char *big = malloc(100001);

	both("a NOOP\r\n", "[a NOOP]", 100, "a line");
	both("a NOOP\nb NOOP\n", "[a NOOP][b NOOP]", 100, "bare line feeds");
	both("\r\n\r\na NOOP\r\n", "[][][a NOOP]", 100, "empty lines");
	both("a LOGIN {3}\r\nabc {2}\r\nde\r\n", "++[a LOGIN {3}\r\nabc {2}\r\nde]", 100,
	    "synchronising literals");
	both("a LOGIN {3+}\r\na\r\n {0+}\r\n\r\nb X\r\n", "[a LOGIN {3+}\r\na\r\n {0+}\r\n][b X]",
	    100, "LITERAL+, with a line end inside, and an empty one");
	both("a APPEND box {4}\r\nmess\r\n", "M4s[a APPEND box {4}\r\n]", 100, "APPEND's message");
	both("a append {3+}\r\nbox (\\Seen) {4+}\r\nmess\r\nb X\r\n",
	    "M4[a append {3+}\r\nbox (\\Seen) {4+}\r\n][b X]", 100, "APPEND, literal name");
	both("a REPLACE 4 box {4}\r\nmess\r\n", "M4s[a REPLACE 4 box {4}\r\n]", 100,
	    "REPLACE's message");
	both("a uid replace * {3+}\r\nbox {4+}\r\nmess\r\nb X\r\n",
	    "M4[a uid replace * {3+}\r\nbox {4+}\r\n][b X]", 100, "UID REPLACE, literal name");
	both("a replace {1+}\r\n4 box {1+}\r\nx\r\n", "M1M1[a replace {1+}\r\n box {1+}\r\n]", 100,
	    "REPLACE, literal number");
	both("a append {3+}\r\nbox {4+}\r\nmess (x) {2}\r\nab\r\nb X\r\n",
	    "M4M2s[a append {3+}\r\nbox {4+}\r\n (x) {2}\r\n][b X]", 100, "APPEND's messages");
	both("a STORE \"x{3}\"\r\n", "[a STORE \"x{3}\"]", 100, "no literal inside quotes");
	both("a X {a}\r\nb X {}\r\nc X 3}\r\n", "[a X {a}][b X {}][c X 3}]", 100,
	    "no announcements");
	both("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nb X\r\n", "long[b X]", 20,
	    "a long line is passed over");
	both("a X aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{5+}\r\n12345\r\nb X\r\n", "long[b X]",
	    20, "with its literal");
	both("a X {50}\r\nb X\r\n", "long[b X]", 20,
	    "a literal too large is refused before it comes");
	both("a X {30+}\r\n123456789012345678901234567890\r\nb X\r\n", "long[b X]", 20,
	    "or read over, when it comes at once");
	both("a X {99999999999999999999+}\r\n", "flood", 100, "no end in sight");
	memset(big, 'x', 100000);
	{
		struct imap_lex l = { .cap = 20 };
		enum imap_lexed what = IMAP_LEX_MORE;
		size_t used = 0, all = 0;

		while (what == IMAP_LEX_MORE && all < 100000000) {
			used = SIZE_MAX;
			what = imap_lex_feed(&l, slice(big, 100000), &used);
			all += used;
		}
		ok(what == IMAP_LEX_FLOOD && used <= 100000,
		    "a line without end is one day enough");
		imap_lex_reset(&l);
	}
	big[100000] = '\n';
	is(run(big, 100001, 1, 8192), "long", "a line without end costs no memory");
	{
		struct imap_lex l = { .cap = 20 };
		size_t used;

		ok(imap_lex_feed(&l, slice(big, 0), &used) == IMAP_LEX_MORE, "nothing");
		memcpy(big, "tag LOGIN ", 10);
		ok(imap_lex_feed(&l, slice(big, 100001), &used) == IMAP_LEX_TOO_LONG &&
			slice_starts(buf_get(&l.text), S("tag LOGIN ")),
		    "the beginning is kept: it has the tag");
		imap_lex_reset(&l);
	}
	both("a X aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{5\r\n+}\r\nb X\r\n", "long[+}][b X]", 20,
	    "what looks like a literal over two lines is none");
	unwaited = 4;
	both("a X {4+}\r\nabcd\r\nb X {5+}\r\nab\r\nc {9}\r\n Y\r\nd X {5}\r\nabcde\r\n",
	    "[a X {4+}\r\nabcd]hasty[ Y]+[d X {5}\r\nabcde]", 100, "LITERAL-");
	both("a APPEND x {4+}\r\nabcd {5+}\r\nabcde {6}\r\nabcdef\r\n",
	    "M4M5hM6s[a APPEND x {4+}\r\n {5+}\r\n {6}\r\n]", 100, "and messages");
	free(big);
	return done();
}
