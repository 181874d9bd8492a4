/* Decisions of lib/route, with a directory of three answers. */
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "route/route.h"
#include "../tap.h"

static struct loop loop;
static struct channels *channels;
static struct route *route;

/* ---- the directory: answers later, as the real one does ----------------------------------- */

static struct later later;
static struct op *asked;
static void (*found_fn)(void *, const struct route_found *);
static void *found_arg;
static struct route_found answer;
static int asks;
static const struct slice forward[2] = { { "a@b.test", 8 }, { "c@d.test", 8 } };
static size_t nforward;

static void
answer_now(struct later *t)
{
	(void)t;
	op_done(asked);
	found_fn(found_arg, &answer);
}

static void
ask_cancel(struct op *op)
{
	(void)op;
	later_cancel(&later);
}

static void
ask(void *arg, struct slice local, struct slice domain, struct op *op,
    void (*found)(void *, const struct route_found *), void *arg2)
{
	(void)arg;
	asks++;
	answer = (struct route_found){ .v = verdict(PERM, 550, "5.1.2", "no such domain") };
	if (slice_eq(domain, S("ours.test"))) {
		answer.ours = true;
		answer.v = slice_eq(local, S("nobody"))
			       ? verdict(PERM, 550, "5.1.1", "no such user")
			       : verdict(OK, 250, "2.1.5", "ok");
		if (slice_eq(local, S("away")))
			answer.mailhost = S("Store2.Test");
		if (slice_eq(local, S("onward"))) {
			answer.forward = forward;
			answer.nforward = 2;
		}
		if (slice_eq(local, S("postmaster")))
			answer.address = S("chief@ours.test");
	} else if (slice_eq(domain, S("half.test"))) {
		answer.ours = true;
		answer.smarthost = S("legacy.test");
	} else if (slice_eq(domain, S("down.test"))) {
		answer.v = verdict(TEMP, 451, "4.3.0", "directory away");
	}
	asked = op;
	op->cancel = ask_cancel;
	found_fn = found;
	found_arg = arg2;
	later_run(&later, &loop, answer_now);
}

/* ---- asking ------------------------------------------------------------------------------------ */

static char got[256];

static void
decided(void *arg, const struct route_decision *d)
{
	(void)arg;
	nforward = d->nforward;
	snprintf(got, sizeof(got), "%d%s%s %s %s %.*s", verdict_reply(&d->v),
	    d->local ? " local" : "", d->fixed ? " fixed" : "", d->channel ? d->channel : "-",
	    d->host ? d->host : "-", SARG(d->address));
	loop_stop(&loop);
}

static const char *
decide(const char *text)
{
	struct arena a = { 0 };
	struct address addr;
	struct op op = { 0 };
	const char *why;

	got[0] = '\0';
	if (address_parse(slice_str(text), ADDRESS_UTF8, &a, &addr, &why) < 0)
		return why;
	route_start(route, &addr, &op, decided, NULL);
	arena_reset(&a); /* the address is copied */
	loop_run(&loop);
	ok(!op_pending(&op), "%s: the op is over", text);
	return got;
}

static void
load(const char *text)
{
	char path[] = "/tmp/t-route-XXXXXX", *why = NULL;
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
	channels_free(&channels);
	ok(channels_read(path, &channels, &why) == 0, "channels.conf");
	unlink(path);
}

static void
use(void)
{
	struct route_params p = { .channels = channels, .hostname = "here.test", .ask = ask };

	if (route)
		route_reload(route, &p);
	else
		route = route_new(&loop, &p);
}

int
main(void)
{
	struct address addr = { .local = S("user"), .domain = S("ours.test") };
	struct op op = { 0 };

	loop_init(&loop);
	later_init(&later);
	load("");
	use();
	is(decide("user@Ours.Test"), "250 local tcp_lmtp here.test user@ours.test",
	    "a user without mailHost");
	is(decide("away@ours.test"), "250 local tcp_lmtp store2.test away@ours.test",
	    "a user with mailHost");
	is(decide("onward@ours.test"), "250 local tcp_lmtp here.test onward@ours.test", "a user");
	ok(nforward == 2, "with two forwarding addresses");
	is(decide("nobody@ours.test"), "550 local - - nobody@ours.test", "no such user");
	is(decide("postmaster@ours.test"), "250 local tcp_lmtp here.test chief@ours.test",
	    "another address");
	is(decide("x@half.test"), "250 local tcp_local legacy.test x@half.test",
	    "mailRoutingSmartHost");
	is(decide("x@down.test"), "451 local - - x@down.test", "an outage is no foreign domain");
	is(decide("\"a b\"@Else.Test"), "250 tcp_local else.test \"a b\"@else.test",
	    "a foreign domain");
	is(decide("x@b\xc3\xbc"
		  "cher.test"),
	    "250 tcp_local xn--bcher-kva.test x@b\xc3\xbc"
	    "cher.test",
	    "A-labels");
	asks = 0;
	is(decide("x@[192.0.2.1]"), "250 tcp_local [192.0.2.1] x@[192.0.2.1]", "a literal");
	eq(asks, 0, "asks nobody");

	load(
	    "[route fixed.test]\nchannel = tcp_local\nrelay = 127.0.0.1:2525\n"
	    "[route *.wild.test]\nchannel = tcp_lmtp\n[route *]\nchannel = tcp_local\nrelay = smart.test:25\n");
	use();
	asks = 0;
	is(decide("x@fixed.test"), "250 fixed tcp_local 127.0.0.1:2525 x@fixed.test",
	    "a static route");
	is(decide("x@a.wild.test"), "250 fixed tcp_lmtp a.wild.test x@a.wild.test",
	    "of a parent");
	eq(asks, 0, "asks nobody");
	is(decide("x@else.test"), "250 fixed tcp_local smart.test:25 x@else.test",
	    "* for the rest of the world");
	is(decide("user@ours.test"), "250 local tcp_lmtp here.test user@ours.test",
	    "but not for our own");

	route_start(route, &addr, &op, decided, NULL);
	op_cancel(&op);
	got[0] = '\0';
	is(got, "", "a cancelled question is not answered");
	route_free(&route);
	channels_free(&channels);
	loop_fini(&loop);
	return done();
}
