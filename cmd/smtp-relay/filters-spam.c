/* filters-spam.c: filters that are asked because a channel wants it: sourcespamfilterNoptin and destinationspamfilterNoptin of
 * tiermail-channels(5), spamfilter = N of a [milter NAME].
 *
 * A source is known when a session begins: its filters are asked about everything, like those without a number.  A
 * destination is known at RCPT: its filters hear of client, EHLO and MAIL then, and of those recipients alone.  Nothing
 * fails.  Must stay true: who is asked does not depend on the order of recipients. */
#include "filters.h"

static const struct mta_channel *
spam_channel(const char *name)
{
	return relay.channels && relay.channels->rules ?
	    mta_channel_named(relay.channels->rules, slice_str(name)) :
	    NULL;
}

bool
filters_spam_source(const char *source, int64_t number)
{
	const struct mta_channel *c = spam_channel(source);

	return c && number >= 1 && number <= MTA_SPAM_FILTERS && c->source_spam[number - 1];
}

static unsigned
spam_bits(const char *const *words)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < MTA_SPAM_FILTERS; i++)
		bits |= words[i] ? 1U << (i + 1) : 0;
	return bits;
}

unsigned
filters_spam_channel(const char *channel)
{
	const struct mta_channel *c = spam_channel(channel);

	return c ? spam_bits(c->destination_spam) : 0;
}

unsigned
filters_spam_legs(const struct expand_result *r)
{
	const char *last = NULL;
	unsigned bits = 0;

	for (size_t i = 0; i < r->nlegs; i++) {
		if (last && strcmp(last, r->legs[i].channel) == 0)
			continue; /* members of a list share their channel */
		last = r->legs[i].channel;
		bits |= filters_spam_channel(last);
	}
	return bits;
}

void
filters_spam_check(const struct channels *channels, struct buf *why)
{
	const struct mta_channel *c;
	unsigned have = 0;

	for (struct milter_conf **m = config.milters; m && *m; m++)
		have |= 1U << (*m)->spamfilter;
	for (size_t i = 0; channels->rules && (c = mta_channel_at(channels->rules, i)); i++) {
		unsigned lacks =
		    (spam_bits(c->source_spam) | spam_bits(c->destination_spam)) & ~have;

		for (unsigned n = 1; n <= MTA_SPAM_FILTERS; n++)
			if (lacks & 1U << n)
				buf_printf(why,
				    "warning: %s:%d: channel %s asks for spam filter %u: no "
				    "[milter] has "
				    "spamfilter = %u\n",
				    c->file, c->line, c->name, n, n);
	}
}
