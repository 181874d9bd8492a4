/* Headers in memory and in pieces. */
#include "../tap.h"
#include "mail/header.h"

static const char message[] = "Received: from a\r\n\tby b\r\n"
			      "Received: from c\r\n"
			      "From: x@y\r\n"
			      "Subject : two\r\n  lines\r\n \t\r\n"
			      "X-Empty:\r\n"
			      "message-id: <1@2>\r\n"
			      "\r\n"
			      "Body: no field\r\n";

static void
test_walk(void)
{
	struct slice msg = slice_str(message), at = msg;
	struct header_field f;
	struct arena a = { 0 };
	struct buf b = { 0 };
	size_t n = 0;

	eq(header_len(msg), strlen(message) - strlen("Body: no field\r\n"),
	    "where the body begins");
	while (header_next(&at, &f))
		n++;
	eq(n, 6, "six fields");
	ok(slice_starts(at, S("\r\nBody")), "stands on the empty line");
	ok(header_find(msg, S("subject"), &f), "find, whatever the case");
	ok(slice_eq(f.name, S("Subject")), "blanks before the colon are not the name");
	ok(slice_eq(f.value, S(" two\r\n  lines\r\n \t")), "the value as it stands");
	ok(slice_eq(header_unfold(f.value, &a), S("two lines")), "unfolded: the fold is one blank");
	header_unfold_to(&b, f.value);
	is(buf_cstr(&b), " two lines ", "unfolded into a buf, with blanks at the ends");
	ok(slice_eq(header_unfold(S(" a \t b\r\n\tc \r\n \r\n  d\re"), &a), S("a \t b c de")),
	    "other blanks stay, folds of any kind are one");
	ok(header_find(msg, S("X-Empty"), &f) && f.value.n == 0, "an empty value");
	ok(header_find(msg, S("From"), &f) && header_unfold(f.value, &a).p == f.value.p + 1,
	    "nothing to unfold: borrowed");
	ok(!header_find(msg, S("Body"), &f), "the body is not searched");
	buf_fini(&b);
	arena_reset(&a);
}

static const struct {
	const char *in;
	size_t len, fields, bad;
	/* clang-format off */
} odd[] = {
	{ "", 0, 0, 0 },
	{ "\r\n", 2, 0, 0 },
	{ "\n", 1, 0, 0 },
	{ "A: b", 4, 1, 0 },
	{ "A: b\n\nx", 6, 1, 0 },
	{ "A: b\r\n\nx", 7, 1, 0 },
	{ "A: b\n\r\nx", 7, 1, 0 },
	{ "A: b\r\n \r\nx: y\r\n\r\n", 17, 2, 0 },	/* a line of blanks is a fold */
	{ " fold first\r\nA: b\r\n\r\n", 21, 2, 1 },
	{ "From a@b Sun Nov 22\r\nA: b\r\n\r\n", 29, 2, 1 },
	{ "no colon\r\n: no name\r\nA b: c\r\n", 29, 3, 3 },
	{ "A\xe4: b\r\n", 7, 1, 1 },
	{ "A: b\rB: c\r\n\r\n", 13, 1, 0 },		/* a bare CR ends nothing */
	{ "\r", 1, 1, 1 },
};
/* clang-format on */

static void
test_odd(void)
{
	for (size_t i = 0; i < NELEM(odd); i++) {
		struct slice at = slice_str(odd[i].in);
		struct header_field f;
		size_t n = 0, bad = 0, bytes = 0;

		eq(header_len(at), odd[i].len, "odd %zu: length", i);
		while (header_next(&at, &f)) {
			n++;
			bad += f.name.n == 0;
			bytes += f.whole.n;
		}
		eq(n, odd[i].fields, "odd %zu: fields", i);
		eq(bad, odd[i].bad, "odd %zu: no fields", i);
		eq(bytes + at.n, strlen(odd[i].in), "odd %zu: nothing is lost", i);
	}
}

static const char *
written(const char *value)
{
	static struct buf b;

	buf_clear(&b);
	header_write(&b, "Subject", slice_str(value));
	return buf_cstr(&b);
}

static void
test_write(void)
{
	char big[5000];
	const char *p, *line;
	size_t most = 0;

	is(written("hello"), "Subject: hello\r\n", "write");
	is(written(""), "Subject: \r\n", "an empty value");
	is(written("  a  b  "), "Subject: a  b\r\n", "blanks inside are kept");
	is(written("a\r\nBcc: evil@example.org"), "Subject: a  Bcc: evil@example.org\r\n",
	    "no field can be smuggled");
	is(written("aaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb ccccccc"),
	    "Subject: aaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n"
	    " ccccccc\r\n",
	    "folded at a blank");
	for (size_t i = 0; i + 2 < sizeof(big); i += 2)
		memcpy(big + i, "\xc3\xa4", 2);
	big[4998] = '\0';
	p = line = written(big);
	while ((p = strstr(line, "\r\n"))) {
		if ((size_t)(p - line) > most)
			most = (size_t)(p - line);
		line = p + 2;
	}
	ok(most <= 998 && most > 900, "a word without end is cut: %zu", most);
	ok(!strstr(written(big), "\xc3\r\n"), "between characters");
	memset(big, ' ', 4990);
	memcpy(big, "x", 1);
	memcpy(big + 4990, "y", 2);
	is(written(big), "Subject: x\r\n y\r\n", "absurd blanks become one");
}

/* The scanner must say the same however the message is cut. */
static void
test_scan(void)
{
	struct header_scan s;
	size_t n = sizeof(message) - 1;

	for (size_t step = 1; step <= n; step += step < 12 ? 1 : 50) {
		header_scan_init(&s);
		for (size_t at = 0; at < n; at += step)
			header_scan_feed(&s, slice_sub(slice(message, n), at, step));
		ok(s.done && s.header_len == header_len(slice(message, n)), "pieces of %zu: length",
		    step);
		eq(s.count[HEADER_RECEIVED], 2, "Received");
		ok(header_seen(&s, HEADER_FROM) && header_seen(&s, HEADER_SUBJECT) &&
			!header_seen(&s, HEADER_DATE) && !header_seen(&s, HEADER_TO),
		    "seen");
		is(s.message_id, "<1@2>", "Message-ID");
		ok(!s.bad_line && !s.header_8bit && !s.body_8bit, "nothing bad");
		eq(s.longest, 17, "longest line");
	}
}

static const struct {
	const char *in;
	long long at;
} gaps[] = {
	{ "a: b\r\nc: d\r\n\r\nx\r\n", -1 },
	{ "hello\r\nworld\r\n", 0 },
	{ "a: b\r\nhello there\r\nc: d\r\n", 6 },
	{ "a: b\r\n folded\r\nhello\r\n", 15 },
	{ "a: b\r\n: c\r\n", 6 },
	{ " folded\r\na: b\r\n", 0 },
	{ "a: b\r\n\xc3\xa4: x\r\n", 6 },
	{ "From me Mon\r\na: b\r\n", 0 },
	{ "a : b\r\nc\t: d\r\n\r\n", -1 },
};

static void
test_scan_odd(void)
{
	struct header_scan s;
	char big[2000];

	for (size_t i = 0; i < NELEM(odd); i++) {
		struct slice in = slice_str(odd[i].in);

		header_scan_init(&s);
		for (size_t k = 0; k < in.n; k++)
			header_scan_feed(&s, slice_sub(in, k, 1));
		eq(s.header_len, odd[i].len, "scan odd %zu: length", i);
		if (i != NELEM(odd) - 1) /* nobody knows yet what a CR at the end is */
			eq(s.bad_line, odd[i].bad > 0, "scan odd %zu: bad lines", i);
		ok(!s.bad_line || s.bad_at == 0 || odd[i].in[s.bad_at - 1] == '\n',
		    "scan odd %zu: begin of a line", i);
	}
	header_scan_init(&s);
	header_scan_feed(&s, S("Subject: \xc3\xa4\r\nDATE:x\r\n\r\nplain"));
	ok(s.header_8bit && !s.body_8bit && header_seen(&s, HEADER_DATE), "8-bit header");
	header_scan_feed(&s, S("more \xff"));
	ok(s.body_8bit, "8-bit body");
	for (size_t i = 0; i < NELEM(gaps); i++)
		for (size_t step = 1; step < 40; step += 13) {
			struct slice in = slice_str(gaps[i].in);

			header_scan_init(&s);
			for (size_t k = 0; k < in.n; k += step)
				header_scan_feed(&s, slice_sub(in, k, step));
			eq(s.bad_line ? (long long)s.bad_at : -1, gaps[i].at,
			    "no field at %lld, by %zu", gaps[i].at, step);
		}
	header_scan_init(&s);
	header_scan_feed(&s, S("Message-ID:\r\n <folded@id>\r\nMessage-ID: <second>\r\n"));
	is(s.message_id, "<folded@id>", "a folded id, and only the first");
	eq(s.count[HEADER_MESSAGE_ID], 2, "both are counted");
	memset(big, 'x', sizeof(big));
	memcpy(big, "Message-ID: ", 12);
	header_scan_init(&s);
	header_scan_feed(&s, slice(big, sizeof(big)));
	eq(strlen(s.message_id), 255, "a long id is cut");
	memset(big, 'D', sizeof(big));
	header_scan_init(&s);
	header_scan_feed(&s, slice(big, sizeof(big)));
	header_scan_feed(&s, S(": v\r\n\r\n"));
	ok(s.seen == 0 && s.done && !s.bad_line && s.longest == 2003,
	    "a long name is just unknown");
}

int
main(void)
{
	test_walk();
	test_odd();
	test_write();
	test_scan();
	test_scan_odd();
	return done();
}
