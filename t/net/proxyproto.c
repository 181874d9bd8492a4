/* The PROXY protocol: both versions, what is malformed, and reading a header and no octet more. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/must.h"
#include "net/proxyproto.h"
#include "../tap.h"

/* ---- parsing ------------------------------------------------------------------------------- */

static const char *
told(const struct proxyproto *p)
{
	static char text[2 * ADDR_TEXT + 10];
	char from[ADDR_TEXT], to[ADDR_TEXT];

	if (p->local)
		return "local";
	snprintf(text, sizeof(text), "%s > %s", addr_write(&p->from, from), addr_write(&p->to, to));
	return text;
}

/* All of it, with something behind it; and each beginning of it goes on. */
static void
good(struct slice header, const char *want, const char *what)
{
	struct buf b = { 0 };
	struct proxyproto p;
	const char *why = "";
	bool parts = true;

	buf_slice(&b, header);
	buf_lit(&b, "PROXY and the client's own bytes\r\n");
	ok(proxyproto_parse(buf_get(&b), &p, &why) == PROXYPROTO_WHOLE && p.n == header.n,
	    "%s: it is whole, and so long (%s)", what, why);
	is(told(&p), want, "%s: %s", what, want);
	for (size_t n = 0; n < header.n; n++)
		parts &= proxyproto_parse(slice_sub(header, 0, n), &p, &why) == PROXYPROTO_PART;
	ok(parts, "%s: no beginning of it is whole or wrong", what);
	buf_fini(&b);
}

static void
bad(struct slice header, const char *what)
{
	const char *why = NULL;
	struct proxyproto p;

	ok(proxyproto_parse(header, &p, &why) == PROXYPROTO_BAD && why && *why, "%s: refused",
	    what);
}
#define V1_BAD(text) bad(S(text "\r\n"), text)

static void
test_v1(void)
{
	good(S("PROXY TCP4 192.0.2.7 198.51.100.1 56324 143\r\n"),
	    "192.0.2.7:56324 > 198.51.100.1:143", "version 1, IPv4");
	good(S("PROXY TCP6 2001:db8::7 2001:db8::1 65535 0\r\n"),
	    "[2001:db8::7]:65535 > [2001:db8::1]:0", "version 1, IPv6");
	good(S("PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 2\r\n"), "192.0.2.7:1 > [2001:db8::1]:2",
	    "version 1, IPv4 mapped");
	good(S("PROXY UNKNOWN\r\n"), "local", "version 1, UNKNOWN");
	good(S("PROXY UNKNOWN ffff:f...f:ffff x y z\r\n"), "local", "version 1, UNKNOWN and more");
	V1_BAD("PROXY TCP4 192.0.2.7 198.51.100.1 56324");
	V1_BAD("PROXY TCP4 192.0.2.7 198.51.100.1 56324 143 ");
	V1_BAD("PROXY TCP4 192.0.2.7 198.51.100.1 56324 143 1");
	V1_BAD("PROXY  TCP4 192.0.2.7 198.51.100.1 56324 143");
	V1_BAD("PROXY TCP4 192.0.2.7  198.51.100.1 56324 143");
	V1_BAD("PROXY TCP4 192.0.2.7 198.51.100.1 65536 143");
	V1_BAD("PROXY TCP4 192.0.2.7 198.51.100.1 1 0143");
	V1_BAD("PROXY TCP4 192.0.2.7 198.51.100.1 1 -1");
	V1_BAD("PROXY TCP4 192.0.2.07 198.51.100.1 1 1");
	V1_BAD("PROXY TCP4 192.0.2 198.51.100.1 1 1");
	V1_BAD("PROXY TCP4 ::1 ::1 1 1");
	V1_BAD("PROXY TCP6 192.0.2.7 192.0.2.8 1 1");
	V1_BAD("PROXY TCP6 fe80::1%lo ::1 1 1");
	V1_BAD("PROXY TCP5 192.0.2.7 198.51.100.1 1 1");
	V1_BAD("PROXY ");
	V1_BAD("PROXY TCP4");
	bad(S("PROXY UNKNOWN\n"), "version 1 with a bare LF");
	bad(S("PROXY TCP4 192.0.2.7 198.51.100.1\0 1 1\r\n"), "a NUL in it");
	bad(S("a LOGIN me secret\r\n"), "IMAP");
	bad(S("\x16\x03\x01\x02"), "TLS");
	bad(S("PROXX"), "nearly the sign");
	bad(S("PROXY UNKNOWN 34567890123456789012345678901234567890123456789012345678901234567890"
	      "12345678901234567890123456"),
	    "107 octets without an end");
}

/* Version 2: sign, version and command, family, length, what follows. */
static struct slice
v2(struct buf *b, int command, int family, size_t length, struct slice body)
{
	buf_clear(b);
	buf_lit(b, "\r\n\r\n\0\r\nQUIT\n");
	buf_char(b, (char)command);
	buf_char(b, (char)family);
	buf_char(b, (char)(length >> 8));
	buf_char(b, (char)length);
	buf_slice(b, body);
	return buf_get(b);
}

#define IPV4 "\300\0\2\7\306\63\144\1\334\4\0\217" /* 192.0.2.7 198.51.100.1 56324 143 */
#define IPV6 "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\7\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\334\4\0\217"

static void
test_v2(void)
{
	static char big[PROXYPROTO_MAX];
	struct buf b = { 0 };

	good(v2(&b, 0x21, 0x11, 12, S(IPV4)), "192.0.2.7:56324 > 198.51.100.1:143", "IPv4");
	good(v2(&b, 0x21, 0x21, 36, S(IPV6)), "[2001:db8::7]:56324 > [2001:db8::1]:143", "IPv6");
	good(v2(&b, 0x21, 0x11, 12 + 3, S(IPV4 "\4\0\0")), "192.0.2.7:56324 > 198.51.100.1:143",
	    "IPv4 and an empty TLV");
	good(v2(&b, 0x21, 0x11, 12 + 10, S(IPV4 "\1\0\2h2\2\0\2ab")),
	    "192.0.2.7:56324 > 198.51.100.1:143", "IPv4 and two TLVs");
	good(v2(&b, 0x20, 0x00, 0, S("")), "local", "LOCAL");
	good(v2(&b, 0x20, 0x11, 5, S("12345")), "local", "LOCAL, and something to ignore");
	good(v2(&b, 0x21, 0x00, 3, S("abc")), "local", "AF_UNSPEC");
	good(v2(&b, 0x21, 0x31, 5, S("/path")), "local", "AF_UNIX");
	good(v2(&b, 0x20, 0, sizeof(big) - 16, slice(big, sizeof(big) - 16)), "local",
	    "the longest");
	bad(v2(&b, 0x20, 0, sizeof(big) - 15, S("")), "one octet longer");
	bad(v2(&b, 0x20, 0, 65535, S("")), "the longest that the format has");
	bad(v2(&b, 0x22, 0x11, 12, S(IPV4)), "an unknown command");
	bad(v2(&b, 0x11, 0x11, 12, S(IPV4)), "version 1 in binary");
	bad(v2(&b, 0x31, 0x11, 12, S(IPV4)), "version 3");
	bad(v2(&b, 0x21, 0x12, 12, S(IPV4)), "UDP");
	bad(v2(&b, 0x21, 0x10, 12, S(IPV4)), "no transport");
	bad(v2(&b, 0x21, 0x41, 12, S(IPV4)), "an unknown family");
	bad(v2(&b, 0x21, 0x11, 11, S(IPV4)), "IPv4 cut short");
	bad(v2(&b, 0x21, 0x21, 12, S(IPV4)), "IPv6 with IPv4's octets");
	bad(v2(&b, 0x21, 0x11, 14, S(IPV4 "\4\0")), "half a TLV's head");
	bad(v2(&b, 0x21, 0x11, 16, S(IPV4 "\4\0\2x")), "a TLV that is longer than the header");
	buf_fini(&b);
}

static void
round_trip(const char *from, const char *to, const char *want)
{
	const char *why = "";
	struct proxyproto p;
	struct buf b = { 0 };
	struct addr f, t;

	must(addr_parse(slice_str(from), &f) == 0 && addr_parse(slice_str(to), &t) == 0);
	proxyproto_write(&b, &f, &t);
	ok(proxyproto_parse(buf_get(&b), &p, &why) == PROXYPROTO_WHOLE && p.version == 2 &&
		p.n == b.n,
	    "%s to %s: written and read", from, to);
	is(told(&p), want, "as %s", want);
	buf_fini(&b);
}

/* ---- reading -------------------------------------------------------------------------------- */

static struct loop loop;
static int answers;
static struct proxyproto got;
static char got_why[100];

static void
on_read(void *arg, const struct proxyproto *p, const char *why)
{
	(void)arg;
	answers++;
	memset(&got, 0, sizeof(got));
	got_why[0] = '\0';
	if (p)
		got = *p;
	else
		snprintf(got_why, sizeof(got_why), "%s", why);
	loop_stop(&loop);
}

/* What a reader makes of these bytes, `step` at a time; then what is left in the socket. */
static void
read_in_steps(struct slice bytes, size_t step, const char *left, const char *what)
{
	char rest[100] = "";
	struct op op = { 0 };
	int fds[2], before = answers;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	proxyproto_start(&loop, fds[1], 60000, &op, on_read, NULL);
	while (bytes.n > 0 && answers == before) {
		size_t n = step < bytes.n ? step : bytes.n;

		must(write(fds[0], bytes.p, n) == (ssize_t)n);
		bytes = slice_from(bytes, n);
		uv_run(&loop.uv, UV_RUN_NOWAIT);
	}
	if (answers == before)
		shutdown(fds[0], SHUT_WR);
	for (int i = 0; i < 1000 && answers == before; i++)
		uv_run(&loop.uv, UV_RUN_NOWAIT);
	eq(answers, before + 1, "%s, %zu at a time: one answer", what, step);
	if (bytes.n > 0)
		must(write(fds[0], bytes.p, bytes.n) == (ssize_t)bytes.n);
	if (read(fds[1], rest, sizeof(rest) - 1) < 0)
		rest[0] = '\0';
	is(rest, left, "%s, %zu at a time: what is behind it is left", what, step);
	close(fds[0]);
	close(fds[1]);
}

static void
test_read(void)
{
	static const size_t steps[] = { 1, 7, 1000 };
	struct op op = { 0 };
	struct buf b = { 0 };
	int fds[2], before;

	for (size_t i = 0; i < NELEM(steps); i++) {
		read_in_steps(S("PROXY TCP4 192.0.2.7 198.51.100.1 5 143\r\na NOOP\r\n"), steps[i],
		    "a NOOP\r\n", "version 1");
		is(told(&got), "192.0.2.7:5 > 198.51.100.1:143", "and it says who");
		v2(&b, 0x21, 0x11, 12 + 3, S(IPV4 "\4\0\0"));
		buf_lit(&b, "a NOOP\r\n");
		read_in_steps(buf_get(&b), steps[i], "a NOOP\r\n", "version 2");
		is(told(&got), "192.0.2.7:56324 > 198.51.100.1:143", "and it says who");
		read_in_steps(S("PROXY TCP4 192.0.2.7 198"), steps[i], "", "half a line");
		is(got_why, "closed before a header", "and it says why");
	}
	read_in_steps(S("a NOOP\r\n"), 100, "a NOOP\r\n", "no header");
	is(got_why, "no header", "and it says why");
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	before = answers;
	proxyproto_start(&loop, fds[1], 1, &op, on_read, NULL);
	loop_run(&loop);
	ok(answers == before + 1 && strcmp(got_why, "no header in time") == 0,
	    "silence has an end");
	proxyproto_start(&loop, fds[1], 60000, &op, on_read, NULL);
	op_cancel(&op);
	must(write(fds[0], "PROXY UNKNOWN\r\n", 15) == 15);
	for (int i = 0; i < 10; i++)
		uv_run(&loop.uv, UV_RUN_NOWAIT);
	eq(answers, before + 1, "what is cancelled does not answer");
	close(fds[0]);
	close(fds[1]);
	buf_fini(&b);
}

int
main(void)
{
	loop_init(&loop);
	test_v1();
	test_v2();
	round_trip("192.0.2.7:1234", "198.51.100.1:143", "192.0.2.7:1234 > 198.51.100.1:143");
	round_trip("[2001:db8::7]:1234", "[::1]:143", "[2001:db8::7]:1234 > [::1]:143");
	round_trip("192.0.2.7:1234", "[::1]:143", "local");
	round_trip("unix:/x", "unix:/y", "local");
	test_read();
	loop_fini(&loop);
	return done();
}
