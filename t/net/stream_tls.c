/* Streams with TLS: implicit, STARTTLS and its injection, verification, big and tiny pieces. */
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include "pair.h"

static struct end a, b; /* a: client, b: server */
static struct tls_ctx *server, *client, *strict, *demanding, *with_cert, *foreign;
static size_t cost_left;
static char dir[] = "/tmp/tiermail-tls-XXXXXX";

/* ---- certificates ------------------------------------------------------------------------ */

static char *
file(const char *name)
{
	static char path[4][100];
	static int n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static bool
make_certs(void)
{
	char cmd[1200];

	must(mkdtemp(dir));
	snprintf(cmd, sizeof(cmd),
	    "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
	    "-keyout key.pem -out cert.pem -days 2 -subj /CN=mail.example "
	    "-addext subjectAltName=DNS:mail.example,IP:192.0.2.7,IP:2001:db8::7 >/dev/null 2>&1 "
	    "&& "
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
	    "-keyout other.pem -out foreign.pem -days 2 -subj /CN=mail.example "
	    "-addext subjectAltName=DNS:mail.example >/dev/null 2>&1 && "
	    "openssl ecparam -name prime256v1 -genkey -noout -out other.pem",
	    dir);
	return system(cmd) == 0;
}

static void
test_contexts(void)
{
	struct tls_params p = { 0 };
	char *why = NULL;

	ok(!tls_server_new(&p, &why) && why, "a server without certificate");
	mem_free(&why);
	p.cert = file("cert.pem");
	p.key = file("none.pem");
	ok(!tls_server_new(&p, &why) && why, "a missing key");
	mem_free(&why);
	p.key = file("other.pem");
	ok(!tls_server_new(&p, &why) && why, "a key that does not fit");
	mem_free(&why);
	p.key = file("key.pem");
	p.ciphers = "rubbish";
	ok(!tls_server_new(&p, &why) && why, "unknown ciphers");
	mem_free(&why);
	p.ciphers = NULL;
	ok((server = tls_server_new(&p, &why)), "a good server");
	p.ca = file("cert.pem");
	p.verify = true;
	ok((demanding = tls_server_new(&p, &why)), "a server that wants certificates");
	ok((with_cert = tls_client_new(&p, &why)), "a client with a certificate");
	p.cert = p.key = NULL;
	ok((strict = tls_client_new(&p, &why)), "a client that verifies");
	p = (struct tls_params){ 0 };
	ok((client = tls_client_new(&p, &why)), "a client that does not");
	p.ca = file("foreign.pem");
	p.verify = true;
	ok((foreign = tls_client_new(&p, &why)), "a client that believes somebody else");
}

/* ---- sessions ---------------------------------------------------------------------------- */

static void
secure_pair(struct tls_ctx *s, struct tls_ctx *c, const char *name)
{
	pair_open(&a, &b, true);
	stream_start(&a.io);
	stream_start(&b.io);
	eq(stream_tls_accept(&b.io, s), 0, "accept");
	eq(stream_tls_connect(&a.io, c, name), 0, "connect");
}

static void
echo_script(struct end *e)
{
	struct slice in = stream_peek(&e->io);

	buf_slice(stream_out(&e->io), in);
	stream_take(&e->io, in.n);
	stream_flush(&e->io);
	if (stream_eof(&e->io))
		stream_finish(&e->io);
}

static void
until_script(struct end *e)
{
	struct slice in = stream_peek(&e->io);

	buf_slice(&e->got, in);
	stream_take(&e->io, in.n);
	if (e->got.n >= e->n || stream_eof(&e->io))
		stream_finish(&e->io);
}

static void
test_echo(void)
{
	secure_pair(server, strict, "mail.example");
	b.script = echo_script;
	a.script = until_script;
	a.n = 11;
	say(&a, "hello world"); /* queued until the handshake is over */
	loop_run(&loop);
	is(buf_cstr(&a.got), "hello world", "echo through TLS");
	ok(a.secured == 1 && b.secured == 1 && !a.secured_error && !b.secured_error,
	    "both secured");
	pair_free(&a, &b);
}

static void
info_script(struct end *e)
{
	snprintf(e->text, sizeof(e->text), "%s %d %s", stream_tls_version(&e->io),
	    stream_tls_peer_cert(&e->io), stream_secure(&e->io) ? "secure" : "plain");
	until_script(e);
}

static void
test_client_cert(void)
{
	secure_pair(demanding, with_cert, "mail.example");
	b.script = info_script;
	b.n = 1;
	say(&a, "x");
	loop_run(&loop);
	is(b.text, "TLSv1.3 1 secure", "a client certificate is seen");
	pair_free(&a, &b);

	secure_pair(demanding, strict, "mail.example");
	say(&a, "x");
	loop_run(&loop);
	ok(b.secured_error < 0, "no client certificate: %s", b.why);
	pair_free(&a, &b);
}

static void
test_name(const char *name, int want)
{
	secure_pair(server, strict, name);
	b.script = echo_script;
	a.script = until_script;
	a.n = 2;
	say(&a, "hi");
	loop_run(&loop);
	eq(a.secured_error, want, "the name %s", name);
	is(buf_cstr(&a.got), want ? "" : "hi", "and what is said behind it");
	pair_free(&a, &b);
}

static void
test_wrong_ca(void)
{
	secure_pair(server, foreign, "mail.example");
	say(&a, "a password");
	loop_run(&loop);
	eq(a.secured_error, -EPROTO, "a certificate of an unknown CA is refused: %s", a.why);
	ok(b.secured_error < 0 || b.eof, "the server notices");
	is(buf_cstr(&b.got), "", "and has got nothing");
	pair_free(&a, &b);

	pair_open(&a, &b, true);
	eq(stream_tls_connect(&a.io, strict, NULL), -EINVAL, "no name, and a client that verifies");
	stream_close(&a.io);
	stream_close(&b.io);
	loop_run(&loop);
	pair_free(&a, &b);
}

static void
test_wrong_name(void)
{
	secure_pair(server, strict, "other.example");
	loop_run(&loop);
	eq(a.secured_error, -EPROTO, "the wrong name is refused: %s", a.why);
	ok(b.secured_error < 0 || b.eof, "the server notices");
	pair_free(&a, &b);
}

static void
test_not_tls(void)
{
	pair_open(&a, &b, true);
	stream_start(&a.io);
	eq(stream_tls_accept(&b.io, server), 0, "accept");
	say(&a, "EHLO not.tls\r\n");
	loop_run(&loop);
	eq(b.secured_error, -EPROTO, "plain text fails the handshake: %s", b.why);
	pair_free(&a, &b);

	pair_open(&a, &b, true);
	eq(stream_tls_accept(&b.io, server), 0, "accept");
	stream_finish(&a.io);
	loop_run(&loop);
	eq(b.secured_error, -ECONNRESET, "a hang-up in the handshake");
	pair_free(&a, &b);
}

static void
test_version(const char *server_words, const char *client_words, const char *want)
{
	struct tls_params sp = { .cert = file("cert.pem"),
		.key = file("key.pem"),
		.protocols = server_words };
	struct tls_params cp = { .protocols = client_words };
	struct tls_ctx *s, *c;
	char *why;

	s = tls_server_new(&sp, &why);
	c = tls_client_new(&cp, &why);
	must(s && c);
	secure_pair(s, c, NULL);
	b.script = info_script;
	b.n = 1;
	if (want)
		say(&a, "x");
	loop_run(&loop);
	if (want)
		is(b.text, want, "%s with %s", server_words, client_words);
	else
		ok(a.secured_error < 0 && b.secured_error < 0, "%s with %s", server_words,
		    client_words);
	pair_free(&a, &b);
	tls_unref(&s);
	tls_unref(&c);
}

/* ---- STARTTLS ---------------------------------------------------------------------------- */

static void
starttls_script(struct end *e)
{
	struct slice line;

	while (!stream_secure(&e->io) && stream_line(&e->io, 100, &line, NULL) == 1) {
		say(e, "220 go\r\n");
		e->n = (size_t)-stream_tls_accept(&e->io, server);
		if (e->n) {
			stream_finish(&e->io);
			return;
		}
	}
	if (stream_secure(&e->io))
		echo_script(e);
	else if (stream_eof(&e->io))
		stream_close(&e->io);
}

static void
go_script(struct end *e)
{
	struct slice line;

	if (stream_secure(&e->io)) {
		until_script(e);
	} else if (stream_line(&e->io, 100, &line, NULL) == 1) {
		eq(stream_tls_connect(&e->io, client, NULL), 0, "connect after STARTTLS");
		say(e, "inside");
	} else if (stream_eof(&e->io)) {
		stream_close(&e->io);
	}
}

static void
test_starttls(const char *first, int want)
{
	pair_open(&a, &b, true);
	b.script = starttls_script;
	a.script = go_script;
	a.n = 6;
	if (want)
		a.script = default_script;
	stream_start(&a.io);
	stream_start(&b.io);
	say(&a, first);
	loop_run(&loop);
	eq(b.n, want, want ? "input behind STARTTLS is refused" : "STARTTLS");
	if (!want)
		is(buf_cstr(&a.got), "inside", "speaking inside");
	pair_free(&a, &b);
}

/* ---- sizes ------------------------------------------------------------------------------- */

#define TOTAL (8 * 1024 * 1024)

static void
produce(struct end *e)
{
	while (e->n < TOTAL && stream_backlog(&e->io) < STREAM_HIGH) {
		buf_printf(stream_out(&e->io), "%07zu\n", e->n / 8);
		e->n += 8;
	}
	stream_flush(&e->io);
	if (e->n == TOTAL)
		stream_finish(&e->io);
}

static void
count_script(struct end *e)
{
	struct slice line;
	char want[8];

	while (stream_line(&e->io, 100, &line, NULL) == 1) {
		snprintf(want, sizeof(want), "%07zu", e->n);
		e->timeouts += !slice_eq(line, slice_str(want));
		e->n++;
	}
	if (stream_eof(&e->io))
		stream_close(&e->io);
}

static void
test_big(void)
{
	secure_pair(server, client, NULL);
	b.on_drained = produce;
	a.script = count_script;
	produce(&b);
	loop_run(&loop);
	eq(a.n, TOTAL / 8, "8 MiB of lines through TLS");
	eq(a.timeouts, 0, "and all are right");
	pair_free(&a, &b);
}

/* A proxy in the middle hands the bytes on one by one: records come in pieces. */
static struct end left, right;

static void
hand_on(struct end *e)
{
	struct slice in = stream_peek(&e->io);
	struct end *to = e == &left ? &right : &left;

	for (size_t i = 0; i < in.n && !to->closed && to->io.state != STREAM_CLOSED; i++) {
		buf_char(stream_out(&to->io), in.p[i]);
		stream_flush(&to->io);
	}
	stream_take(&e->io, in.n);
	if (stream_eof(&e->io)) {
		stream_finish(&to->io);
		stream_close(&e->io);
	}
}

static void
test_pieces(void)
{
	int x[2], y[2];

	pair_fds(true, x);
	pair_fds(true, y);
	end_open(&a, "a", x[0]);
	end_open(&left, "left", x[1]);
	end_open(&right, "right", y[0]);
	end_open(&b, "b", y[1]);
	left.script = right.script = hand_on;
	a.script = until_script;
	a.n = 9;
	b.script = echo_script;
	stream_start(&left.io);
	stream_start(&right.io);
	stream_start(&a.io);
	stream_start(&b.io);
	eq(stream_tls_accept(&b.io, server), 0, "accept");
	eq(stream_tls_connect(&a.io, strict, "mail.example"), 0, "connect");
	say(&a, "in pieces");
	loop_run(&loop);
	is(buf_cstr(&a.got), "in pieces", "records in pieces of one byte");
	pair_free(&a, &b);
}

/* Closing in the middle of everything. */
static void
close_script(struct end *e)
{
	stream_close(&e->io);
	if (e->peer->io.state != STREAM_CLOSED)
		stream_close(&e->peer->io);
}

static void
test_close_inside(void)
{
	secure_pair(server, client, NULL);
	b.script = close_script;
	say(&a, "x");
	loop_run(&loop);
	ok(a.closed && b.closed && b.inputs == 1, "closing both ends inside an input event");
	pair_free(&a, &b);
}

/* Contexts may go while sessions live (reload). */
static void
test_reload(void)
{
	struct tls_params p = { .cert = file("cert.pem"), .key = file("key.pem") };
	char *why;
	struct tls_ctx *brief = tls_server_new(&p, &why);

	pair_open(&a, &b, true);
	stream_start(&a.io);
	stream_start(&b.io);
	eq(stream_tls_accept(&b.io, brief), 0, "accept");
	tls_unref(&brief);
	ok(!brief, "the owner lets the context go");
	eq(stream_tls_connect(&a.io, client, NULL), 0, "connect");
	b.script = echo_script;
	a.script = until_script;
	a.n = 2;
	say(&a, "hi");
	loop_run(&loop);
	is(buf_cstr(&a.got), "hi", "the session goes on");
	pair_free(&a, &b);
}

/* ---- what a session costs ---------------------------------------------------------------- */

#define COST_PIECE 20000
#define COST_PAIRS 50
/* What libssl keeps of both sides of a connection.  Buffers that are not given back would be 66 KiB more,
 * a context of its own for the client at least 26 (900 with the system's CA certificates). */
#define COST_MOST (62 * 1024)

static struct end cost[COST_PAIRS][2];

static void
cost_script(struct end *e)
{
	struct slice in = stream_peek(&e->io);

	e->n += in.n;
	stream_take(&e->io, in.n);
	if (e->n == COST_PIECE && --cost_left == 0)
		loop_stop(&loop);
}

static void
test_cost(void)
{
	static char piece[COST_PIECE];
	struct mallinfo2 before, after;

	/* What is made once, and the loop's buffers. */
	test_name("mail.example", 0);
	before = mallinfo2();
	cost_left = (size_t)2 * COST_PAIRS;
	for (size_t i = 0; i < COST_PAIRS; i++) {
		struct end *c = &cost[i][0], *s = &cost[i][1];

		pair_open(c, s, true);
		c->script = s->script = cost_script;
		stream_start(&c->io);
		stream_start(&s->io);
		must(stream_tls_accept(&s->io, server) == 0);
		must(stream_tls_connect(&c->io, strict, "mail.example") == 0);
		buf_add(stream_out(&c->io), piece, sizeof(piece));
		buf_add(stream_out(&s->io), piece, sizeof(piece));
		stream_flush(&c->io);
		stream_flush(&s->io);
	}
	loop_run(&loop);
	after = mallinfo2();
	eq(cost_left, 0, "%d pairs have spoken", COST_PAIRS);
	ok((after.uordblks - before.uordblks) / COST_PAIRS < COST_MOST,
	    "an idle pair has %zu octets of memory",
	    (after.uordblks - before.uordblks) / COST_PAIRS);
	for (size_t i = 0; i < COST_PAIRS; i++) {
		stream_close(&cost[i][0].io);
		stream_close(&cost[i][1].io);
	}
	loop_run(&loop);
	for (size_t i = 0; i < COST_PAIRS; i++)
		pair_free(&cost[i][0], &cost[i][1]);
}

int
main(void)
{
	if (!make_certs()) {
		printf("1..0 # SKIP no openssl\n");
		return 0;
	}
	loop_init(&loop);
	test_contexts();
	test_echo();
	test_client_cert();
	test_wrong_name();
	test_wrong_ca();
	test_name("mail.example", 0);
	test_name("MAIL.example", 0);
	test_name("192.0.2.7", 0);
	test_name("2001:db8::7", 0);
	test_name("192.0.2.8", -EPROTO);
	test_name("example", -EPROTO);
	test_name("a.mail.example", -EPROTO);
	test_version("tlsv1.2,tlsv1.3", "tlsv1.2", "TLSv1.2 0 secure");
	test_version("tlsv1.2,tlsv1.3", "tlsv1.2,tlsv1.3", "TLSv1.3 0 secure");
	test_version("tlsv1.3", "tlsv1.2", NULL);
	test_not_tls();
	test_starttls("STARTTLS\r\n", 0);
	test_starttls("STARTTLS\r\nMAIL FROM:<injected@example>\r\n", EPROTO);
	test_big();
	test_pieces();
	test_close_inside();
	test_reload();
	test_cost();
	tls_unref(&server);
	tls_unref(&client);
	tls_unref(&strict);
	tls_unref(&demanding);
	tls_unref(&with_cert);
	tls_unref(&foreign);
	loop_fini(&loop);
	unlink(file("key.pem"));
	unlink(file("cert.pem"));
	unlink(file("other.pem"));
	unlink(file("foreign.pem"));
	rmdir(dir);
	return done();
}
