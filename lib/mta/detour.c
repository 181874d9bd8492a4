/* detour.c: channels that a message goes through first: see detour.h.
 *
 * Called for each recipient of a message and each piece of a list.  Nothing fails.  Must stay true: whatever comes out
 * of a detour goes to a channel that delivers, so nothing goes round. */
#include "base/arena.h"
#include "mta/detour.h"

static enum mta_answer
detour_general(void *arg, struct slice key, struct buf *value)
{
	return mta_general_find(arg, key, value);
}

/* The table CONVERSIONS, as Sun has it.  What cannot be told is converted: that channel looks once more, part by part. */
static bool
detour_converts(const struct channels *cs, const struct channel *c, const char *source)
{
	struct mta_calls calls = { .arg = cs->general, .general = detour_general };
	struct mta_mapped m;
	struct buf probe = { 0 };
	bool yes = c->convert;

	if (!channels_find(cs, S(MTA_CONVERSION)))
		return false;
	if (!yes && cs->mappings && mta_mappings_has(cs->mappings, S("CONVERSIONS"))) {
		buf_printf(&probe, "IN-CHAN=%s;OUT-CHAN=%s;CONVERT", source, c->name);
		switch (mta_mappings_ask(cs->mappings, &calls, S("CONVERSIONS"), buf_get(&probe),
		    NULL, &m)) {
		case MTA_YES: yes = slice_istarts(buf_get(&m.text), S("yes")); break;
		case MTA_NO: break;
		case MTA_TEMP:
		case MTA_LATER: yes = true; break;
		}
		mta_mapped_fini(&m);
		buf_fini(&probe);
	}
	return yes;
}

const char *
mta_detour(const struct channels *cs, const char *source, const char *channel, bool piece)
{
	const struct channel *c = channels_find(cs, slice_str(channel));

	if (!c ||
	    (c->protocol != CHANNEL_LMTP && c->protocol != CHANNEL_SMTP &&
		c->protocol != CHANNEL_PIPE))
		return NULL;
	if (piece && c->defragment)
		return MTA_DEFRAGMENT;
	return detour_converts(cs, c, source) ? MTA_CONVERSION : NULL;
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
