/* detour.c: channels that a message goes through first: see detour.h.
 *
 * Called for each recipient of a message and each piece of a list.  Nothing fails.  Must stay true: whatever comes out
 * of a detour goes to a channel that delivers, so nothing goes round. */
#include "base/arena.h"
#include "mta/detour.h"

const char *
mta_detour(const struct channels *cs, const char *channel, bool piece)
{
	const struct channel *c = channels_find(cs, slice_str(channel));

	if (!c ||
	    (c->protocol != CHANNEL_LMTP && c->protocol != CHANNEL_SMTP &&
		c->protocol != CHANNEL_PIPE))
		return NULL;
	return piece && c->defragment ? MTA_DEFRAGMENT : NULL;
}

char *
mta_detour_write(struct arena *a, const char *channel, const char *dest)
{
	return arena_printf(a, "%s!%s", channel, dest);
}

bool
mta_detour_parse(const struct channels *cs, const char *text, struct arena *a, const char **channel,
    const char **dest)
{
	struct slice rest = slice_str(text), head;
	const struct channel *c;

	if (slice_find(rest, '!') == rest.n || !slice_cut(&rest, '!', &head) ||
	    !(c = channels_find(cs, head)) || channel_detours(c))
		return false;
	*channel = c->name;
	*dest = arena_cstr(a, rest);
	return true;
}
