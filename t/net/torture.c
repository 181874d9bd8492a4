/* Both ends of many connections write, read, stop, start and close at random (with a fixed
 * seed), plain and TLS: what arrives is what was sent, and slices stay while they must. */
#include <sys/stat.h>
#include "pair.h"

#define PAIRS 24
#define EACH  (300 * 1000)

struct side {
	struct end e;
	struct later kick;
	size_t sent, got, wrong;
	struct slice held;
	size_t held_at;
	bool holding;
};
static struct side sides[2 * PAIRS];
static uint64_t seed = 88172645463325252u;

static uint64_t
rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static char
byte_at(size_t at)
{
	return (char)(at * 31 + (at >> 8));
}

static bool
is_right(struct slice s, size_t at)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != byte_at(at + i))
			return false;
	return true;
}

static void
check_end(struct side *x)
{
	struct side *y = CONTAINER(x->e.peer, struct side, e);

	if (x->sent == EACH && x->got == EACH && !x->holding && y->got == EACH)
		stream_finish(&x->e.io);
}

static void
send_some(struct side *x)
{
	size_t n = rnd(4) ? rnd(300) : rnd(90000);
	char *p;

	if (x->e.closed || x->e.io.state == STREAM_CLOSED || stream_backlog(&x->e.io) > STREAM_HIGH)
		return;
	if (n > EACH - x->sent)
		n = EACH - x->sent;
	p = buf_reserve(stream_out(&x->e.io), n + 1);
	for (size_t i = 0; i < n; i++)
		p[i] = byte_at(x->sent++);
	stream_out(&x->e.io)->n += n;
	if (rnd(5))
		stream_flush(&x->e.io);
}

static void
on_kick(struct later *t)
{
	struct side *x = CONTAINER(t, struct side, kick);

	if (x->e.closed || x->e.io.state == STREAM_CLOSED)
		return;
	if (x->holding && rnd(3) == 0) { /* the command is done */
		x->wrong += !is_right(x->held, x->held_at);
		x->holding = false;
		stream_start(&x->e.io);
	}
	if (x->sent < EACH)
		send_some(x);
	else
		stream_flush(&x->e.io);
	check_end(x);
	if (x->e.io.state != STREAM_CLOSED)
		later_run(&x->kick, &loop, on_kick);
}

static void
script(struct end *e)
{
	struct side *x = CONTAINER(e, struct side, e);

	while (!x->holding && e->io.state != STREAM_CLOSED) {
		struct slice in = stream_peek(&e->io);
		size_t n = in.n ? 1 + rnd(in.n) : 0;

		if (in.n == 0)
			break;
		x->wrong += !is_right(in, x->got);
		x->held = slice_sub(in, 0, n);
		x->held_at = x->got;
		stream_take(&e->io, n);
		x->got += n;
		if (rnd(4) == 0) {
			x->holding = true;
			stream_stop(&e->io);
		} else if (rnd(4) == 0) {
			break; /* leaves the rest for the next event */
		}
		if (rnd(3) == 0)
			send_some(x);
	}
	if (stream_eof(&e->io))
		stream_close(&e->io);
	else if (e->io.state != STREAM_CLOSED && !x->holding && stream_peek(&e->io).n) {
		stream_stop(&e->io); /* so that start brings another event */
		x->held = slice(NULL, 0);
		x->holding = true;
	}
}

static void
run(struct tls_ctx *server, struct tls_ctx *client, const char *name)
{
	size_t wrong = 0, got = 0;

	for (size_t i = 0; i < PAIRS; i++) {
		struct side *a = &sides[2 * i], *b = &sides[2 * i + 1];

		memset(a, 0, 2 * sizeof(*a));
		pair_open(&a->e, &b->e, i % 2);
		a->e.script = b->e.script = script;
		if (server && i % 4 &&
		    (stream_tls_accept(&a->e.io, server) < 0 ||
			stream_tls_connect(&b->e.io, client, NULL) < 0))
			must(!"TLS");
		stream_start(&a->e.io);
		stream_start(&b->e.io);
		later_init(&a->kick);
		later_init(&b->kick);
		later_run(&a->kick, &loop, on_kick);
		later_run(&b->kick, &loop, on_kick);
	}
	loop_run(&loop);
	for (size_t i = 0; i < 2 * PAIRS; i++) {
		wrong += sides[i].wrong;
		got += sides[i].got;
		later_cancel(&sides[i].kick);
	}
	eq(got, 2u * PAIRS * EACH, "%s: all arrives", name);
	eq(wrong, 0, "%s: unchanged", name);
}

int
main(void)
{
	char dir[] = "/tmp/tiermail-torture-XXXXXX", cmd[500], cert[100], key[100], *why;
	struct tls_params p = { .cert = cert, .key = key };
	struct tls_ctx *server, *client;

	loop_init(&loop);
	run(NULL, NULL, "plain");
	must(mkdtemp(dir));
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	snprintf(cmd, sizeof(cmd),
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
	    "-nodes -keyout %s -out %s -days 2 -subj /CN=x >/dev/null 2>&1",
	    key, cert);
	if (system(cmd) == 0) {
		server = tls_server_new(&p, &why);
		p.cert = p.key = NULL;
		client = tls_client_new(&p, &why);
		must(server && client);
		run(server, client, "TLS");
		tls_unref(&server);
		tls_unref(&client);
		unlink(cert);
		unlink(key);
	}
	rmdir(dir);
	loop_fini(&loop);
	return done();
}
