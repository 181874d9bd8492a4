/* TLS sessions that are taken up again: by whom, with whom, and what is still known of the peer then. */
#include <sys/stat.h>
#include <sys/wait.h>
#include "pair.h"

static struct end a, b; /* a: client, b: server */
static char dir[] = "/tmp/tiermail-resume-XXXXXX";

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
make_cert(const char *name)
{
	char cmd[600];

	snprintf(cmd, sizeof(cmd),
	    "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
	    "-keyout %s.key -out %s.pem -days 2 -subj /CN=mail.example "
	    "-addext "
	    "subjectAltName=DNS:mail.example,DNS:other.example "
	    ">/dev/null 2>&1",
	    dir, name, name);
	return system(cmd) == 0;
}

static struct tls_ctx *
context(bool serves, const char *cert, bool verify, const char *protocols, unsigned lifetime)
{
	struct tls_params p = { .verify = verify, .protocols = protocols, .lifetime = lifetime };
	char name[30], key[30];
	struct tls_ctx *c;
	char *why = NULL;

	snprintf(name, sizeof(name), "%s.pem", cert ? cert : "");
	snprintf(key, sizeof(key), "%s.key", cert ? cert : "");
	p.cert = cert ? file(name) : NULL;
	p.key = cert ? file(key) : NULL;
	p.ca = file("one.pem");
	c = serves ? tls_server_new(&p, &why) : tls_client_new(&p, &why);
	must(c);
	return c;
}

static void
answer_script(struct end *e)
{
	struct slice in = stream_peek(&e->io);

	if (!e->text[0]) {
		char subject[40];

		stream_tls_peer_subject(&e->io, subject, sizeof(subject));
		snprintf(e->text, sizeof(e->text), "%s%s",
		    stream_tls_resumed(&e->io) ? "resumed" : "whole",
		    subject[0] ? " mail.example" : "");
		say(e, "x"); /* the client reads on: it gets its ticket */
	}
	stream_take(&e->io, in.n);
	if (stream_eof(&e->io))
		stream_close(&e->io);
}

static void
once_script(struct end *e)
{
	struct slice in = stream_peek(&e->io);

	if (in.n || stream_eof(&e->io))
		snprintf(e->text, sizeof(e->text), "%s",
		    stream_tls_resumed(&e->io) ? "resumed" : "whole");
	stream_take(&e->io, in.n);
	stream_finish(&e->io);
}

/* One session; how both sides say that it began. */
static const char *
meet(struct tls_ctx *server, struct tls_ctx *client, const char *name, const char *at)
{
	static char said[300];
	struct addr peer;

	must(addr_parse(slice_str(at), &peer) == 0);
	pair_open(&a, &b, true);
	stream_announce(&a.io, &peer);
	b.script = answer_script;
	a.script = once_script;
	stream_start(&a.io);
	stream_start(&b.io);
	must(stream_tls_accept(&b.io, server) == 0);
	must(stream_tls_connect(&a.io, client, name) == 0);
	say(&a, "x");
	loop_run(&loop);
	if (a.secured_error || b.secured_error)
		snprintf(said, sizeof(said), "refused");
	else
		snprintf(said, sizeof(said), "%s, %s", a.text, b.text);
	pair_free(&a, &b);
	return said;
}

#define AT "192.0.2.1:993"

static void
test_versions(const char *protocols)
{
	struct tls_ctx *server = context(true, "one", false, NULL, 60);
	struct tls_ctx *client = context(false, NULL, true, protocols, 60);

	is(meet(server, client, "mail.example", AT), "whole, whole", "%s: the first session",
	    protocols);
	is(meet(server, client, "mail.example", AT), "resumed, resumed",
	    "the next one is taken up");
	is(meet(server, client, "mail.example", AT), "resumed, resumed", "and the one behind it");
	is(meet(server, client, "mail.example", "192.0.2.1:995"), "whole, whole",
	    "not with another port");
	is(meet(server, client, "other.example", AT), "whole, whole", "not with another name");
	is(meet(server, client, "mail.example", AT), "resumed, resumed", "each has its own");
	is(meet(server, client, "wrong.example", AT), "refused", "a name that the server has not");
	tls_unref(&client);
	client = context(false, NULL, true, protocols, 60);
	is(meet(server, client, "mail.example", AT), "whole, whole",
	    "a client that was reloaded begins anew");
	tls_unref(&client);
	tls_unref(&server);
}

static void
test_switches(void)
{
	struct tls_ctx *server = context(true, "one", false, NULL, 60),
		       *never = context(true, "one", false, NULL, 0);
	struct tls_ctx *blind = context(false, NULL, false, NULL, 60),
		       *client = context(false, NULL, true, NULL, 60);
	struct tls_ctx *unwilling = context(false, NULL, true, NULL, 0);

	is(meet(server, blind, "mail.example", AT), "whole, whole",
	    "a client that does not verify");
	is(meet(server, blind, "mail.example", AT), "whole, whole", "goes on with nobody");
	is(meet(server, unwilling, "mail.example", AT), "whole, whole", "nor does one");
	is(meet(server, unwilling, "mail.example", AT), "whole, whole", "that is told not to");
	is(meet(never, client, "mail.example", AT), "whole, whole", "nor does a server");
	is(meet(never, client, "mail.example", AT), "whole, whole", "that is told not to");
	tls_unref(&server);
	tls_unref(&never);
	tls_unref(&blind);
	tls_unref(&client);
	tls_unref(&unwilling);
}

/* What a session began without it does not get by being taken up elsewhere. */
static void
test_demands(void)
{
	struct tls_ctx *server = context(true, "one", false, NULL, 60),
		       *demands = context(true, "one", true, NULL, 60);
	struct tls_ctx *client = context(false, NULL, true, NULL, 60),
		       *known = context(false, "one", true, NULL, 60);
	struct tls_ctx *again = context(true, "one", true, NULL, 60),
		       *two = context(true, "two", true, NULL, 60);

	is(meet(server, client, "mail.example", AT), "whole, whole",
	    "a client without a certificate");
	is(meet(server, client, "mail.example", AT), "resumed, resumed",
	    "is welcome here, again too");
	is(meet(demands, client, "mail.example", AT), "refused", "but not where one is demanded");
	is(meet(demands, known, "mail.example", AT), "whole, whole mail.example", "who has one is");
	is(meet(demands, known, "mail.example", AT), "resumed, resumed mail.example",
	    "and is still known by it");
	is(meet(again, known, "mail.example", AT), "resumed, resumed mail.example",
	    "also after a reload that changes nothing");
	tls_unref(&client);
	tls_unref(&known);
	known = context(false, "one", true, NULL, 60);
	is(meet(demands, known, "mail.example", AT), "whole, whole mail.example",
	    "a session with it");
	is(meet(two, known, "mail.example", AT), "refused",
	    "is none with a server of another certificate");
	tls_unref(&server);
	tls_unref(&demands);
	tls_unref(&again);
	tls_unref(&two);
	tls_unref(&known);
}

/* A ticket of one worker is good at another, also after a reload; until its time is over. */
static void
test_workers(void)
{
	struct tls_ctx *server = context(true, "one", false, NULL, 1),
		       *client = context(false, NULL, true, NULL, 60);
	int status = 0;
	pid_t pid;

	is(meet(server, client, "mail.example", AT), "whole, whole", "a ticket of this process");
	fflush(stdout);
	if ((pid = fork()) == 0) {
		struct tls_ctx *reloaded = context(true, "one", false, NULL, 1);

		_exit(strcmp(meet(reloaded, client, "mail.example", AT), "resumed, resumed") != 0);
	}
	must(waitpid(pid, &status, 0) == pid);
	eq(status, 0, "is taken by a worker that was reloaded");
	is(meet(server, client, "mail.example", AT), "resumed, resumed", "and by this one");
	usleep(2100000);
	is(meet(server, client, "mail.example", AT), "whole, whole", "until its lifetime is over");
	tls_unref(&server);
	tls_unref(&client);
}

static void
test_many(void)
{
	struct tls_ctx *server = context(true, "one", false, NULL, 60),
		       *client = context(false, NULL, true, NULL, 60);
	char at[40];

	for (int i = 0; i < 70; i++) {
		snprintf(at, sizeof(at), "192.0.2.1:%d", 1000 + i);
		(void)meet(server, client, "mail.example", at);
	}
	is(meet(server, client, "mail.example", at), "resumed, resumed",
	    "of many servers the last are kept");
	is(meet(server, client, "mail.example", "192.0.2.1:1000"), "whole, whole",
	    "and the first are not");
	tls_unref(&server);
	tls_unref(&client);
}

int
main(void)
{
	must(mkdtemp(dir));
	if (!make_cert("one") || !make_cert("two")) {
		printf("1..0 # SKIP no openssl\n");
		return 0;
	}
	loop_init(&loop);
	test_versions("tlsv1.3");
	test_versions("tlsv1.2");
	test_switches();
	test_demands();
	test_workers();
	test_many();
	loop_fini(&loop);
	for (const char *const *f =
		 (const char *const[]){ "one.pem", "one.key", "two.pem", "two.key", NULL };
	     *f; f++)
		unlink(file(*f));
	rmdir(dir);
	return done();
}
