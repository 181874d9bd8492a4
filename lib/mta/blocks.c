/* blocks.c: the second half of mta.cnf, blocks of channels: see rules.h and keywords.h.
 *
 * Called by rules.c when a file is loaded.  A block is a line with the channel's name and its keywords, a
 * line with the official host name, further lines `host [proper-name]`, and a blank line; `defaults` and
 * `nodefaults` instead of a name change what the blocks behind them begin with.  What fails is told with
 * file and line.  Must stay true: every host name belongs to one channel, as rules find channels by it. */
#include "base/mem.h"
#include "mta/rules-impl.h"

struct loader {
	struct mta_conf *c;
	struct mta_notes *notes;
	struct mta_channel defaults;
};

static bool
channel_name_ok(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_-$", name.p[i]))
			return false;
	return name.n > 0 && name.n <= MTA_CHANNEL_NAME_MAX;
}

/* The keywords of a line, into one channel. */
static void
block_keywords(struct loader *l, const struct mta_line *at, struct slice rest,
    struct mta_channel *c)
{
	struct slice word;

	while (slice_word(&rest, &word)) {
		const struct mta_keyword *k = mta_keyword_find(word);
		const char *near, *why;

		if (!k) {
			near = mta_errors_full(l->notes) ? NULL : mta_keyword_nearest(word);
			mta_error(l->notes, at, "there is no keyword " SFMT "%s%s%s", SARG(word),
			    near ? "; is it " : "", near ? near : "", near ? "?" : "");
			return; /* what follows may be its argument */
		}
		if (mta_keyword_apply(c, k, &rest, &l->c->arena, &why) < 0) {
			mta_error(l->notes, at, "%s %s", k->name, why);
			return;
		}
		if (k->type == MTA_KW_NONE)
			mta_warn(l->notes, at, "%s has no effect: %s", k->name, k->doc);
	}
}

static void
block_host(struct loader *l, const struct mta_line *at, struct mta_channel *c, struct slice name,
    struct slice proper, struct slice via, bool further)
{
	struct slice key = mta_lower(&l->c->arena, name);
	const struct mta_channel_host *old = map_get(&l->c->hosts, key);
	struct mta_channel_host *h = &c->hosts[c->nhosts];

	if (old) {
		mta_error(l->notes, at, "the host name " SFMT " is channel %s's already (%s:%d)",
		    SARG(name), old->channel->name, old->file, old->line);
		return;
	}
	*h = (struct mta_channel_host){ c, arena_cstr(&l->c->arena, name),
		proper.n ? arena_cstr(&l->c->arena, proper) : NULL,
		via.n ? arena_cstr(&l->c->arena, via) : NULL, further, at->file, at->line };
	c->nhosts++;
	(void)map_put(&l->c->hosts, key, h);
}

/* The lines behind the first: host names, the official one first. */
static void
block_hosts(struct loader *l, struct mta_channel *ch, size_t from, size_t to)
{
	struct mta_conf *c = l->c;

	ch->hosts = arena_array(&c->arena, to - from, 2 * sizeof(*ch->hosts));
	if (to - from < 2)
		mta_error(l->notes, &c->text.lines[from],
		    "expected the official host name of channel %s on the line behind it",
		    ch->name);
	for (size_t i = from + 1; i < to; i++) {
		const struct mta_line *at = &c->text.lines[i];
		struct slice words = at->text, host = S(""), proper = S(""), via = S("");

		(void)slice_word(&words, &host);
		(void)slice_word(&words, &proper);
		if (i > from + 1)
			(void)slice_word(&words, &via);
		if (slice_trim(words).n)
			mta_error(l->notes, at,
			    "expected a host name and perhaps another one, not `" SFMT "'",
			    SARG(slice_trim(words)));
		if (i > from + 1) {
			block_host(l, at, ch, host, proper, via, true);
			continue;
		}
		ch->official = arena_cstr(&c->arena, host);
		block_host(l, at, ch, host, S(""), via, false);
		if (proper.n) /* an alias of the official name */
			block_host(l, at, ch, proper, host, via, true);
	}
}

/* Lines from..to of the text are a channel's block. */
static void
block(struct loader *l, struct slice name, struct slice rest, size_t from, size_t to)
{
	struct mta_conf *c = l->c;
	const struct mta_line *at = &c->text.lines[from];
	struct mta_channel *ch = arena_new(&c->arena, sizeof(*ch));

	*ch = l->defaults;
	ch->name = arena_cstr(&c->arena, name);
	ch->file = at->file;
	ch->line = at->line;
	if (!channel_name_ok(name))
		mta_error(l->notes, at,
		    "a channel's name is 1 to %d of a-z 0-9 _ - $, not `" SFMT "'",
		    MTA_CHANNEL_NAME_MAX, SARG(name));
	if (map_put(&c->names, slice_str(ch->name), ch))
		mta_error(l->notes, at, "there is a channel " SFMT " already", SARG(name));
	block_keywords(l, at, rest, ch);
	block_hosts(l, ch, from, to);
	if (!ch->official)
		ch->official = ch->name;
	c->channels = mem_grow(c->channels, c->nchannels + 1, sizeof(*c->channels));
	c->channels[c->nchannels++] = ch;
}

static void
block_begin(struct loader *l, size_t from, size_t to)
{
	const struct mta_line *at = &l->c->text.lines[from];
	struct slice rest = at->text, name;

	if (!slice_word(&rest, &name))
		return;
	if ((slice_ieq(name, S("defaults")) || slice_ieq(name, S("nodefaults"))) && to > from + 1)
		mta_warn(l->notes, &l->c->text.lines[from + 1],
		    "a line in the block of " SFMT " does not count: a blank line is expected",
		    SARG(name));
	if (slice_ieq(name, S("defaults"))) {
		block_keywords(l, at, rest, &l->defaults);
	} else if (slice_ieq(name, S("nodefaults"))) {
		mta_channel_init(&l->defaults);
	} else {
		if (l->c->nchannels == 0 && !slice_eq(name, S("l")))
			mta_warn(l->notes, at,
			    "the first channel is expected to be l, this host's own");
		block(l, name, rest, from, to);
	}
}

void
mta_channels_load(struct mta_conf *c, size_t at, struct mta_notes *notes)
{
	struct loader l = { .c = c, .notes = notes };

	mta_channel_init(&l.defaults);
	while (at < c->text.n) {
		size_t to = at;

		while (to < c->text.n && c->text.lines[to].text.n)
			to++;
		if (to > at)
			block_begin(&l, at, to);
		at = to + 1;
	}
	c->local = map_get(&c->names, S("l"));
}

const struct mta_channel_host *
mta_host_find(const struct mta_conf *c, struct slice host)
{
	char key[256];

	if (host.n >= sizeof(key))
		return NULL;
	for (size_t i = 0; i < host.n; i++)
		key[i] = ascii_lower(host.p[i]);
	return map_get(&c->hosts, slice(key, host.n));
}

const struct mta_channel *
mta_channel_of_host(const struct mta_conf *c, struct slice host)
{
	const struct mta_channel_host *h = mta_host_find(c, host);

	return h ? h->channel : NULL;
}

const struct mta_channel *
mta_channel_named(const struct mta_conf *c, struct slice name)
{
	return map_get(&c->names, name);
}

const struct mta_channel *
mta_channel_at(const struct mta_conf *c, size_t i)
{
	return i < c->nchannels ? c->channels[i] : NULL;
}
