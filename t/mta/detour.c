/* Channels that a message goes through on its way. */
#include "../tap.h"
#include <stdlib.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/mem.h"
#include "mta/detour.h"

static void
detours(struct channels *c)
{
	struct arena a = { 0 };
	const char *channel, *dest;

	is(mta_detour(c, "tcp_local", "tcp_lmtp", true), "defragment",
	    "a piece, and the channel wants a whole");
	ok(!mta_detour(c, "tcp_local", "tcp_lmtp", false), "what is no piece goes there at once");
	ok(!mta_detour(c, "tcp_local", "tcp_local", true),
	    "as do pieces, to one that does not say so");
	ok(!mta_detour(c, "tcp_local", "hold", true) &&
		!mta_detour(c, "tcp_local", "defragment", true) &&
		!mta_detour(c, "tcp_local", "nowhere", true),
	    "nor is there a way round to those that do not deliver");
	is(mta_detour_write(&a, "tcp_lmtp", "[::1]:24"), "tcp_lmtp![::1]:24",
	    "where it goes on to");
	ok(mta_detour_parse(c, "tcp_lmtp!a!b", &a, &channel, &dest), "is taken apart");
	is(channel, "tcp_lmtp", "at the first mark");
	is(dest, "a!b", "as a channel's name has none");
	ok(!mta_detour_parse(c, "example.org", &a, &channel, &dest),
	    "a destination that leads nowhere");
	ok(!mta_detour_parse(c, "gone!example.org", &a, &channel, &dest),
	    "a channel that has gone");
	ok(!mta_detour_parse(c, "defragment!x", &a, &channel, &dest), "nothing goes round");
	arena_reset(&a);
}

int
main(void)
{
	char path[] = "/tmp/detour-XXXXXX", *why = NULL;
	struct channels *c = NULL;
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	(void)fputs("[channel tcp_lmtp]\ndefragment = yes\n", f);
	(void)fclose(f);
	eq(channels_read(path, &c, &why), 0, "a file");
	(void)unlink(path);
	if (c)
		detours(c);
	mem_free(&why);
	channels_free(&c);
	return done();
}
