/* What lib/route makes of addresses: channel and destination, and what the directory is wanted for. */
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "route/route.h"
#include "../tap.h"

static struct channels *channels;
static struct arena arena;
static bool known; /* does the caller know already which domains are ours? */

static enum mta_answer
local_domain(void *arg, struct slice domain)
{
	(void)arg;
	if (!known)
		return MTA_LATER;
	if (slice_eq(domain, S("down.test")))
		return MTA_TEMP;
	return slice_eq(domain, S("ours.test")) ? MTA_YES : MTA_NO;
}

static const char *
decide(const char *text)
{
	struct address addr;
	struct route_query q = { .address = &addr,
		.source = "tcp_local",
		.local_domain = local_domain };
	struct route_way w;
	const char *why;

	if (address_parse(slice_str(text), ADDRESS_UTF8, &arena, &addr, &why) < 0)
		return why;
	route_rewrite(channels, &q, &arena, &w);
	if (w.result != MTA_RW_OK)
		return mta_result_name(w.result);
	if (w.directory)
		return arena_printf(&arena, "directory " SFMT, SARG(w.text));
	return arena_printf(&arena, "%d %s %s " SFMT, verdict_reply(&w.v), w.channel, w.host,
	    SARG(w.text));
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

int
main(void)
{
	const char *channel, *host;

	load("");
	is(decide("user@ours.test"), mta_result_name(MTA_RW_LATER), "the directory is asked first");
	is(decide("x@[192.0.2.1]"), "250 tcp_local [192.0.2.1] x@[192.0.2.1]",
	    "but not of a literal");
	known = true;
	is(decide("user@ours.test"), "directory user@ours.test", "of ours it says more");
	is(decide("x@down.test"), mta_result_name(MTA_RW_TEMP), "an outage is no foreign domain");
	is(decide("\"a b\"@Else.Test"), "250 tcp_local else.test \"a b\"@else.test",
	    "a foreign domain");
	is(decide("x@b\xc3\xbc"
		  "cher.test"),
	    "250 tcp_local xn--bcher-kva.test x@b\xc3\xbc"
	    "cher.test",
	    "A-labels");
	ok(!route_fixed(channels, S("ours.test"), &arena, &channel, &host),
	    "what the directory decides is not fixed");

	load("[route fixed.test]\nchannel = tcp_local\nrelay = 127.0.0.1:2525\n"
	     "[route *.wild.test]\nchannel = tcp_lmtp\n[route *]\nchannel = tcp_local\nrelay = "
	     "smart.test:25\n");
	known = false;
	is(decide("x@fixed.test"), "250 tcp_local 127.0.0.1:2525 x@fixed.test", "a static route");
	is(decide("x@a.wild.test"), "250 tcp_lmtp a.wild.test x@a.wild.test", "of a parent");
	ok(route_fixed(channels, S("a.wild.test"), &arena, &channel, &host) &&
		strcmp(channel, "tcp_lmtp") == 0 && strcmp(host, "a.wild.test") == 0,
	    "which is fixed");
	known = true;
	is(decide("x@else.test"), "250 tcp_local smart.test:25 x@else.test",
	    "* for the rest of the world");
	is(decide("user@ours.test"), "directory user@ours.test", "but not for our own");
	channels_free(&channels);
	arena_reset(&arena);
	return done();
}
