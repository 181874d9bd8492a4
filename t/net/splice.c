/* Two streams joined: order, back-pressure, what was there before, both ends. */
#include "net/splice.h"
#include "pair.h"

/* client a -- b ]splice[ c -- d store */
static struct end a, b, c, d;
static struct splice pair;
static int passed[2], ended_from, ended_error, closed;

static void
on_passing(struct splice *p, int from, struct slice bytes)
{
	must(p == &pair);
	passed[from] += (int)bytes.n;
}

static void
on_ended(struct splice *p, int from, int error)
{
	ended_from = from;
	ended_error = error;
	if (from == 1)
		buf_lit(stream_out(p->io[0]), "* BYE\r\n");
}

static void
on_closed(struct splice *p)
{
	must(p == &pair);
	closed++;
	open_ends -= 2; /* b and c */
	if (open_ends == 0)
		loop_stop(&loop);
}

static const struct splice_events events = { on_passing, on_ended, on_closed };

static void
nothing(struct end *e)
{
	(void)e;
}

static void
begin(void)
{
	pair_open(&a, &b, true);
	pair_open(&c, &d, false);
	b.script = c.script = nothing;
	passed[0] = passed[1] = closed = ended_error = 0;
	ended_from = -1;
}

static void
join(void)
{
	splice_start(&pair, &b.io, &c.io, 60000, &events);
	stream_start(&a.io);
	stream_start(&d.io);
}

static void
end(void)
{
	eq(closed, 1, "and told once that both are closed");
	pair_free(&a, &b);
	pair_free(&c, &d);
}

static void
turns(int n)
{
	for (int i = 0; i < n; i++)
		uv_run(&loop.uv, UV_RUN_NOWAIT);
}

/* Until `e` has got n bytes. */
static void
until(const struct end *e, size_t n)
{
	for (int i = 0; i < 1000000 && e->got.n < n; i++)
		uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static void
test_both_ways(void)
{
	begin();
	say(&a, "before");
	say(&d, "greeting");
	stream_start(&b.io);
	stream_start(&c.io);
	turns(20); /* both have arrived, and are nobody's */
	join();
	until(&d, 6);
	until(&a, 8);
	ok(slice_eq(buf_get(&d.got), S("before")) && slice_eq(buf_get(&a.got), S("greeting")),
	    "what had arrived before goes on");
	say(&a, " behind");
	until(&d, 13);
	ok(slice_eq(buf_get(&d.got), S("before behind")), "and what comes then");
	ok(passed[0] == 13 && passed[1] == 8, "each byte is shown once");
	ok(splice_at_rest(&pair) && !b.io.in.p && !c.io.in.p && !b.io.out.p && !c.io.out.p,
	    "at rest it holds no memory");
	stream_finish(&a.io);
	loop_run(&loop);
	ok(ended_from == 0 && ended_error == 0 && d.eof,
	    "an end of the one is an end of the other");
	end();
}

static void
test_last_words(void)
{
	begin();
	join();
	say(&d, "last of the store\r\n");
	stream_finish(&d.io);
	loop_run(&loop);
	ok(slice_eq(buf_get(&a.got), S("last of the store\r\n* BYE\r\n")) && ended_from == 1,
	    "the store's last words, and ours");
	end();
}

#define MUCH ((size_t)8 << 20)

static void
test_back_pressure(void)
{
	size_t most = 0;

	begin();
	a.script = nothing;
	splice_start(&pair, &b.io, &c.io, 60000, &events);
	stream_start(&d.io); /* a does not read */
	for (size_t i = 0; i < MUCH / 64; i++)
		buf_add(stream_out(&d.io),
		    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n", 64);
	stream_flush(&d.io);
	for (int i = 0; i < 3000; i++) {
		turns(1);
		if (stream_backlog(&b.io) > most)
			most = stream_backlog(&b.io);
	}
	ok(most > 0 && most <= STREAM_LOW + LOOP_PLAIN_SIZE,
	    "who does not read holds up a bounded amount (%zu)", most);
	ok(!c.io.reading && stream_backlog(&d.io) > 0, "and the other side waits");
	a.script = default_script;
	stream_start(&a.io);
	until(&a, MUCH);
	eq(a.got.n, MUCH, "then all of it arrives");
	splice_finish(&pair);
	splice_finish(&pair);
	loop_run(&loop);
	ok(a.eof && d.eof, "both are finished from outside");
	eq(ended_from, -1, "without a word to say");
	end();
}

static void
test_stall(void)
{
	begin();
	a.script = nothing;
	splice_start(&pair, &b.io, &c.io, 1, &events);
	stream_start(&d.io); /* a does not read */
	for (size_t i = 0; i < MUCH / 64; i++)
		buf_add(stream_out(&d.io),
		    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n", 64);
	stream_flush(&d.io);
	while (closed == 0)
		uv_run(&loop.uv, UV_RUN_ONCE);
	ok(ended_from == 0 && ended_error == -ETIMEDOUT,
	    "who does not read for too long ends the pair");
	stream_close(&a.io);
	stream_close(&d.io);
	loop_run(&loop);
	end();
}

static void
test_broken(void)
{
	struct linger hard = { 1, 0 };
	uv_os_fd_t fd;

	begin();
	join();
	must(uv_fileno(&a.io.handle, &fd) == 0);
	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
	stream_close(&a.io);
	loop_run(&loop);
	ok(ended_from == 0 && ended_error != 0 && d.eof, "a reset ends it too");
	end();
}

int
main(void)
{
	loop_init(&loop);
	test_both_ways();
	test_last_words();
	test_back_pressure();
	test_stall();
	test_broken();
	loop_fini(&loop);
	return done();
}
