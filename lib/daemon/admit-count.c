/* daemon/admit-count.c: what is counted over time: an account's messages in this hour, failures
 * that fade.
 *
 * Owns nothing (the tables are in the shared file); smtp-relay asks for the hour, lib/login for
 * the failures.  Nothing can fail: a table that is full forgets the oldest near the key, so an
 * attacker with many names makes us forget, never refuse.  Apart from admit.c because these
 * outlive sessions and processes. */
#include "base/clock.h"
#include "daemon/admit-impl.h"

#define HALVINGS_MAX 31

/* ---- messages in an hour ----------------------------------------------------------------- */

static struct admit_hour *
admit_hour_find(struct admit_file *f, struct admit_key key, int64_t hour)
{
	struct admit_hour *oldest = NULL;

	for (size_t i = 0; i < ADMIT_PROBES; i++) {
		struct admit_hour *h = &f->hours[(key.a + i) % ADMIT_USERS];

		if (h->key.a == key.a && h->key.b == key.b) {
			if (h->hour != hour)
				*h = (struct admit_hour){ .key = key, .hour = hour };
			return h;
		}
		if (!oldest || h->hour < oldest->hour)
			oldest = h;
	}
	*oldest = (struct admit_hour){ .key = key, .hour = hour };
	return oldest;
}

bool
admit_hourly(struct slice account, int64_t messages, int64_t rcpts, int64_t max_messages,
    int64_t max_rcpts)
{
	struct admit_file *f = admit_lock();
	struct admit_hour *h = admit_hour_find(f, admit_hash(f, 'h', account), clock_now() / 3600);
	bool fits = (!max_messages || h->messages + messages <= max_messages) &&
	    (!max_rcpts || h->rcpts + rcpts <= max_rcpts);

	if (fits) {
		h->messages += (uint32_t)messages;
		h->rcpts += (uint32_t)rcpts;
	}
	admit_unlock();
	return fits;
}

void
admit_hour(struct slice account, uint32_t *messages, uint32_t *rcpts)
{
	struct admit_file *f = admit_lock();
	const struct admit_hour *h =
	    admit_hour_find(f, admit_hash(f, 'h', account), clock_now() / 3600);

	if (messages)
		*messages = (uint32_t)h->messages;
	if (rcpts)
		*rcpts = (uint32_t)h->rcpts;
	admit_unlock();
}

/* ---- failures ---------------------------------------------------------------------------- */

static unsigned
admit_left(const struct admit_failure *e, uint64_t now)
{
	uint64_t halvings = now > e->last_ms ? (now - e->last_ms) / ADMIT_DECAY_MS : 0;

	return halvings > HALVINGS_MAX ? 0 : e->n >> halvings;
}

/* The slot of key; else NULL, or with `make` the one that was left alone for longest. */
static struct admit_failure *
admit_failure_find(struct admit_file *f, struct admit_key key, bool make)
{
	struct admit_failure *oldest = NULL;

	for (size_t i = 0; i < ADMIT_PROBES; i++) {
		struct admit_failure *e = &f->failures[(key.a + i) % ADMIT_FAILURES];

		if (e->key.a == key.a && e->key.b == key.b)
			return e;
		if (!oldest || e->last_ms < oldest->last_ms)
			oldest = e;
	}
	if (!make)
		return NULL;
	*oldest = (struct admit_failure){ .key = key };
	return oldest;
}

void
admit_failed(struct slice what)
{
	struct admit_file *f = admit_lock();
	struct admit_failure *e = admit_failure_find(f, admit_hash(f, 'f', what), true);
	uint64_t now = clock_mono_ms();

	e->n = admit_left(e, now) + 1;
	e->last_ms = now;
	admit_unlock();
}

void
admit_forgive(struct slice what)
{
	struct admit_file *f = admit_lock();
	struct admit_failure *e = admit_failure_find(f, admit_hash(f, 'f', what), false);

	if (e)
		*e = (struct admit_failure){ 0 };
	admit_unlock();
}

unsigned
admit_failures(struct slice what, uint64_t *ago_ms)
{
	struct admit_file *f = admit_lock();
	struct admit_failure *e = admit_failure_find(f, admit_hash(f, 'f', what), false);
	uint64_t now = clock_mono_ms();
	unsigned n = e ? admit_left(e, now) : 0;

	*ago_ms = n && e->last_ms <= now ? now - e->last_ms : UINT64_MAX;
	admit_unlock();
	return n;
}

/* ---- pauses ------------------------------------------------------------------------------ */

bool
admit_pause(struct slice what, uint64_t ms, uint64_t *left_ms)
{
	struct admit_file *f = admit_lock();
	struct admit_failure *e = admit_failure_find(f, admit_hash(f, 'p', what), true);
	uint64_t now = clock_mono_ms();
	uint64_t ago = e->n && e->last_ms <= now ? now - e->last_ms : UINT64_MAX;

	*left_ms = ago < ms ? ms - ago : 0;
	if (*left_ms == 0) {
		e->n = 1;
		e->last_ms = now;
	}
	admit_unlock();
	return *left_ms == 0;
}
