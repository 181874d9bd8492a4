/* Streams without TLS: lines, slices across a stop, big output, closing inside callbacks. */
#include "net/loop.h"
#include "pair.h"

static struct end a, b;

/* ---- lines ------------------------------------------------------------------------------- */

static void
line_script(struct end *e)
{
	struct slice line;
	enum line_end how;
	int rc;

	while ((rc = stream_line(&e->io, 10, &line, &how)) == 1) {
		buf_slice(&e->got, line);
		buf_char(&e->got, how == LINE_CRLF ? '|' : '/');
	}
	if (rc < 0) {
		buf_str(&e->got, "TOOLONG");
		stream_close(&e->io);
		stream_finish(&e->peer->io);
	} else if (stream_eof(&e->io)) {
		stream_close(&e->io);
	}
}

static void
test_lines(const char *text, const char *want, const char *name)
{
	pair_open(&a, &b, false);
	b.script = line_script;
	stream_start(&a.io);
	stream_start(&b.io);
	say(&a, text);
	if (!strstr(want, "TOOLONG"))
		stream_finish(&a.io);
	loop_run(&loop);
	is(buf_cstr(&b.got), want, "%s", name);
	pair_free(&a, &b);
}

static const char *slow_text;

static void
slow_next(struct later *t)
{
	char one[2] = { *slow_text, 0 };

	if (!*slow_text) {
		stream_finish(&a.io);
		return;
	}
	slow_text++;
	say(&a, one);
	later_run(t, &loop, slow_next);
}

static void
test_slow(void)
{
	struct later t;

	later_init(&t);
	pair_open(&a, &b, true);
	b.script = line_script;
	stream_start(&b.io);
	slow_text = "one\r\n\r\ntwo\nthree\r\nrest";
	later_run(&t, &loop, slow_next);
	loop_run(&loop);
	is(buf_cstr(&b.got), "one||two/three|", "one byte at a time gives the same lines");
	pair_free(&a, &b);
}

/* ---- stop and start ---------------------------------------------------------------------- */

static struct slice held;
static struct timer resume_timer;

static void
wait_script(struct end *e)
{
	if (stream_line(&e->io, 100000, &held, NULL) == 1)
		stream_stop(&e->io); /* a command is in flight */
	else if (stream_eof(&e->io))
		stream_close(&e->io);
}

static void
resume(struct timer *t UNUSED)
{
	if (!held.p)
		return; /* no line yet */
	buf_slice(&b.got, slice_sub(held, 0, 4));
	held = slice(NULL, 0);
	stream_start(&b.io);
}

static void
timer_gone(struct timer *t UNUSED)
{
}

/* `big` bytes per line: small reads are copied, big ones stay in the loop's buffer. */
static void
test_stop(size_t big, const char *name)
{
	struct buf text = { 0 };

	pair_open(&a, &b, false);
	b.script = wait_script;
	stream_start(&b.io);
	for (int i = 0; i < 3; i++) {
		buf_printf(&text, "L%d:%0*d\n", i, (int)big, i);
		buf_slice(stream_out(&a.io), buf_get(&text));
		buf_clear(&text);
	}
	stream_flush(&a.io);
	stream_start(&a.io);
	timer_init(&resume_timer, &loop, resume);
	timer_start(&resume_timer, 5, 5);
	while (b.got.n < 12)
		uv_run(&loop.uv, UV_RUN_ONCE);
	timer_close(&resume_timer, timer_gone);
	is(buf_cstr(&b.got), "L0:0L1:0L2:0", "%s: slices stay while reading is stopped", name);
	stream_close(&a.io);
	stream_close(&b.io);
	loop_run(&loop);
	buf_fini(&text);
	pair_free(&a, &b);
}

static void
test_idle_memory(void)
{
	pair_open(&a, &b, true);
	stream_start(&b.io);
	say(&a, "some bytes");
	while (b.got.n < 10)
		uv_run(&loop.uv, UV_RUN_ONCE);
	ok(!b.io.in.p && !b.io.out.p, "an idle stream holds no buffers");
	ok(!a.io.out.p, "the output buffer is released when drained");
	ok(sizeof(struct stream) < 600, "struct stream has %zu bytes", sizeof(struct stream));
	stream_finish(&a.io);
	loop_run(&loop);
	pair_free(&a, &b);
}

/* ---- output ------------------------------------------------------------------------------ */

#define TOTAL (20 * 1024 * 1024)

static void
produce(struct end *e)
{
	struct buf *out = stream_out(&e->io);

	while (e->n < TOTAL && stream_backlog(&e->io) < STREAM_HIGH) {
		char *p = buf_reserve(out, 4096);

		for (size_t i = 0; i < 4096; i++)
			p[i] = (char)((e->n + i) * 7 >> 3);
		out->n += 4096;
		e->n += 4096;
	}
	stream_flush(&e->io);
	if (e->n == TOTAL)
		stream_finish(&e->io);
}

static void
verify_script(struct end *e)
{
	struct slice in = stream_peek(&e->io);

	for (size_t i = 0; i < in.n; i++, e->n++)
		if (in.p[i] != (char)(e->n * 7 >> 3))
			e->timeouts++; /* counts errors here */
	stream_take(&e->io, in.n);
	if (stream_eof(&e->io))
		stream_close(&e->io);
}

static void
test_big(bool tcp)
{
	pair_open(&a, &b, tcp);
	a.on_drained = produce;
	b.script = verify_script;
	stream_start(&b.io);
	produce(&a);
	if (!tcp) /* TCP's buffers may take it all */
		ok(stream_backlog(&a.io) > 0, "a full socket leaves a backlog");
	loop_run(&loop);
	eq(b.n, TOTAL, "20 MiB arrive (%s)", tcp ? "TCP" : "Unix");
	eq(b.timeouts, 0, "and they are right");
	ok(a.drained > 5, "through the drained event");
	pair_free(&a, &b);
}

/* Lines of all lengths in big writes: each read ends in the middle of one. */
static void
produce_lines(struct end *e)
{
	while (e->n < 60000 && stream_backlog(&e->io) < STREAM_HIGH) {
		buf_printf(stream_out(&e->io), "%06zu %.*s\r\n", e->n, (int)(e->n % 211),
		    ".............................................................................."
		    ".."
		    ".............................................................................."
		    ".."
		    ".............................................................................."
		    "..");
		e->n++;
	}
	stream_flush(&e->io);
	if (e->n == 60000)
		stream_finish(&e->io);
}

static void
count_lines(struct end *e)
{
	struct slice line;
	char want[8];

	while (stream_line(&e->io, 300, &line, NULL) == 1) {
		snprintf(want, sizeof(want), "%06zu ", e->n);
		e->timeouts += line.n != 7 + e->n % 211 || memcmp(line.p, want, 7) != 0;
		e->n++;
	}
	if (stream_eof(&e->io))
		stream_close(&e->io);
}

static void
test_many_lines(bool tcp)
{
	pair_open(&a, &b, tcp);
	a.on_drained = produce_lines;
	b.script = count_lines;
	stream_start(&b.io);
	produce_lines(&a);
	loop_run(&loop);
	eq(b.n, 60000, "60,000 lines in big pieces (%s)", tcp ? "TCP" : "Unix");
	eq(b.timeouts, 0, "and all are right");
	pair_free(&a, &b);
}

/* ---- closing ----------------------------------------------------------------------------- */

static void
close_script(struct end *e)
{
	struct slice line;

	if (stream_line(&e->io, 100, &line, NULL) == 1) {
		stream_close(&e->io);
		stream_close(&e->io);
		say(e, "nobody hears this");
	}
	if (!e->peer->closed)
		stream_close(&e->peer->io);
}

static void
test_close_inside(void)
{
	pair_open(&a, &b, false);
	b.script = close_script;
	stream_start(&a.io);
	stream_start(&b.io);
	say(&a, "x\ny\n");
	loop_run(&loop);
	ok(a.closed && b.closed, "closing both ends inside an input event");
	eq(b.inputs, 1, "no event after stream_close");
	pair_free(&a, &b);
}

/* The peer is gone; a flush in an event meets the error, the owner hears of it afterwards. */
static void
dead_script(struct end *e)
{
	if (stream_eof(&e->io)) {
		e->eof = true;
		stream_close(&e->io);
		return;
	}
	stream_take(&e->io, stream_peek(&e->io).n);
	for (int i = 0; i < 100 && !e->io.error; i++)
		say(e, "into the void");
	ok(!e->closed && stream_eof(&e->io), "a failed flush shows in stream_eof");
}

static void
test_dead_peer(void)
{
	int fds[2];

	pair_fds(false, fds);
	must(write(fds[0], "x", 1) == 1);
	close(fds[0]);
	end_open(&b, "b", fds[1]);
	b.script = dead_script;
	stream_start(&b.io);
	loop_run(&loop);
	ok(b.eof, "and is told by an input event");
	buf_fini(&b.got);
}

/* Error while reading is stopped and output waits: the owner still hears of it. */
static void
test_dead_stopped(void)
{
	int fds[2];

	pair_fds(false, fds);
	end_open(&b, "b", fds[1]);
	while (stream_backlog(&b.io) == 0) {
		char *p = buf_reserve(stream_out(&b.io), 100000);

		memset(p, 'x', 100000);
		stream_out(&b.io)->n += 100000;
		stream_flush(&b.io);
	}
	close(fds[0]);
	loop_run(&loop);
	ok(b.eof, "a write error is told although reading is stopped");
	buf_fini(&b.got);
}

static void
last_words_script(struct end *e)
{
	say(e, "421 goodbye\r\n");
	stream_finish(&e->io);
	say(e, "not this");
}

static void
test_finish(void)
{
	struct buf junk = { 0 };

	pair_open(&a, &b, true);
	b.script = last_words_script;
	stream_start(&a.io);
	stream_start(&b.io);
	for (int i = 0; i < 10000; i++)
		buf_str(&junk, "HELO hello\r\n");
	say(&a, buf_cstr(&junk));
	loop_run(&loop);
	is(buf_cstr(&a.got), "421 goodbye\r\n", "last words arrive behind unread input");
	buf_fini(&junk);
	pair_free(&a, &b);
}

static void
test_timeout(void)
{
	pair_open(&a, &b, false);
	stream_start(&a.io);
	stream_start(&b.io);
	stream_idle(&b.io, 100);
	loop_run(&loop);
	eq(b.timeouts, 1, "the idle time ends");
	ok(a.eof, "and the peer sees the end");
	pair_free(&a, &b);
}

static void
lazy_script(struct end *e)
{
	if (stream_eof(&e->io) || e->n)
		default_script(e);
}

static void
on_drip(struct timer *t)
{
	if (a.eof)
		timer_stop(t);
	else
		say(&a, ".");
}

static void
test_limit(void)
{
	struct timer drip;

	pair_open(&a, &b, false);
	b.script = lazy_script;
	stream_start(&a.io);
	stream_start(&b.io);
	stream_limit(&b.io, 100);
	timer_init(&drip, &loop, on_drip);
	timer_start(&drip, 10, 10);
	loop_run(&loop);
	eq(b.timeouts, 1, "a limit ends however the input drips");
	timer_close(&drip, NULL);
	uv_run(&loop.uv, UV_RUN_NOWAIT);
	pair_free(&a, &b);
}

/* Input that nobody takes does not fill the memory. */
static void
test_stuffed(void)
{
	pair_open(&a, &b, false);
	b.script = lazy_script;
	stream_start(&b.io);
	a.on_drained = produce;
	produce(&a);
	for (int i = 0; i < 2000; i++)
		uv_run(&loop.uv, UV_RUN_NOWAIT);
	ok(b.io.in.n < 3 * 1024 * 1024, "unread input is bounded (%zu)", b.io.in.n);
	b.n = 1;
	default_script(&b);
	loop_run(&loop);
	eq(b.got.n, TOTAL, "reading goes on when the input is taken");
	pair_free(&a, &b);
}

static void
test_addresses(void)
{
	char text[ADDR_TEXT];
	struct addr x;
	int fds[2];

	pair_open(&a, &b, true);
	stream_peer(&a.io, &x);
	ok(strncmp(addr_write(&x, text), "127.0.0.1:", 10) == 0, "peer address %s", text);
	ok(stream_peer_uid(&a.io) == (uid_t)-1, "TCP peers have no uid");
	stream_close(&a.io);
	stream_close(&b.io);
	loop_run(&loop);
	pair_free(&a, &b);
	pair_open(&a, &b, false);
	ok(stream_peer_uid(&a.io) == getuid(), "Unix peers have");
	stream_close(&a.io);
	stream_close(&b.io);
	loop_run(&loop);
	pair_free(&a, &b);
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
	stream_init(&a.io, &loop, &end_events, &a);
	eq(stream_open(&a.io, fds[0]), -EPROTOTYPE, "a datagram socket is refused");
	close(fds[0]);
	close(fds[1]);
}

int
main(void)
{
	loop_init(&loop);
	test_lines("a\r\nbb\nccc\r\n", "a|bb/ccc|", "lines");
	test_lines("0123456789\r\n", "0123456789|", "a line of the limit");
	test_lines("0123456789\r", "", "a line without LF at the end is dropped");
	test_lines("0123456789a\r\n", "TOOLONG", "a line over the limit");
	test_lines("0123456789ab", "TOOLONG", "too much without LF");
	test_slow();
	test_stop(10, "small");
	test_stop(20000, "big");
	test_stop(31000, "bigger");
	test_stop(70000, "more than a read");
	test_idle_memory();
	test_big(false);
	test_big(true);
	test_many_lines(true);
	test_many_lines(false);
	test_close_inside();
	test_dead_peer();
	test_dead_stopped();
	test_finish();
	test_timeout();
	test_limit();
	test_stuffed();
	test_addresses();
	loop_fini(&loop);
	return done();
}
