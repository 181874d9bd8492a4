/* rate.c: how fast messages go: a bucket of tokens that fills with time.
 *
 * Called by dest.c for a destination and by sched.c for a channel.  Time comes in seconds, so a bucket holds
 * what comes in one, and a tenth of the whole period's at least: what has not been used may follow at once,
 * as far as that.  Nothing can fail; a clock that goes back costs what would have come meanwhile. */
#include "job/sched-impl.h"

static float
rate_speed(const struct channel_rate *r)
{
	return (float)r->n / (float)r->per;
}

static float
rate_room(const struct channel_rate *r)
{
	float tenth = (float)r->n / 10, second = rate_speed(r);
	float most = tenth > second ? tenth : second;

	return most > 1 ? most : 1;
}

bool
sched_rate_may(struct sched_rate *b, const struct channel_rate *r, int64_t now)
{
	float room = rate_room(r);

	if (r->n == 0)
		return true;
	if (b->at == 0)
		b->tokens = room;
	else if (now > b->at)
		b->tokens += (float)(now - b->at) * rate_speed(r);
	if (b->tokens > room)
		b->tokens = room;
	b->at = (uint32_t)now;
	return b->tokens >= 1;
}

bool
sched_rate_full(const struct sched_rate *b, const struct channel_rate *r, int64_t now)
{
	return r->n == 0 || b->at == 0 ||
	    b->tokens + (float)(now - b->at) * rate_speed(r) >= rate_room(r);
}

static void
rate_add(struct sched_rate *b, const struct channel_rate *r, float tokens)
{
	if (r->n)
		b->tokens += tokens;
}

struct sched_rate *
sched_rate_of(struct sched_dest *d)
{
	return d->group ? &d->group->rate : &d->rate;
}

void
sched_rates_out(struct sched_dest *d)
{
	rate_add(sched_rate_of(d), &d->channel->conf->rate, -1);
	rate_add(&d->channel->rate, &d->channel->conf->rate_total, -1);
}

void
sched_rates_back(struct sched *s, struct sched_dest *d)
{
	struct sched_dest *waits = d->group ? d->group->limited : d;

	rate_add(sched_rate_of(d), &d->channel->conf->rate, 1);
	rate_add(&d->channel->rate, &d->channel->conf->rate_total, 1);
	if (waits && sched_rate_of(d)->tokens >= 1)
		sched_dest_unlimit(s, waits);
}

int64_t
sched_rate_at(const struct sched_rate *b, const struct channel_rate *r)
{
	float wait = (1 - b->tokens) / rate_speed(r);
	int64_t whole = (int64_t)wait;

	return (int64_t)b->at + whole + ((float)whole < wait || whole == 0);
}
