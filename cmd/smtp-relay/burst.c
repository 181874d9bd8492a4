/* burst.c: does a user write to many to whom he has never written?  Who has stolen his password does.
 *
 * Owns the table of who has written to whom (queue/.guard-written-1: hashes, of which the oldest are forgotten), opened when
 * limit.user_new_rcpts is first set.  brake.c asks for each recipient; over.c tells of each message that went its way.
 * Can fail: the table, then this worker remembers for itself.  Must stay true: those to whom a message was held or
 * refused are not known by that, or a second try would pass; and nothing is read from it but that somebody was
 * written to. */
#include "base/slice.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "guard.h"

#define BURST_REMEMBER_S                                                                           \
	(400 * 86400)  /* those who are written to at Christmas are known at Christmas */
#define BURST_SHIFT 16 /* the table wants times of 48 bits (guard/table.h) */

struct burst_key {
	struct burst_key *next;
	uint64_t key;
};

static struct guard_table *written;

static void
burst_open(void)
{
	char *path;
	int r;

	if (written)
		return;
	path = mem_printf("%s/.guard-written-1", shared.queue);
	r = guard_table_open(path, &written);
	if (r < 0) {
		log_event(LOG_WARN, "guard_private", "path=%s error=%s", log_str(path),
		    strerror(-r));
		written = guard_table_private();
	}
	mem_free(&path);
}

void
burst_end(void)
{
	guard_table_close(&written);
}

/* Addresses count in any case, as nearly everybody takes them. */
static uint64_t
burst_key(const char *user, const struct address *to)
{
	struct buf b = { 0 };
	uint64_t key;

	buf_printf(&b, "%s ", user);
	address_write(&b, to);
	for (size_t i = 0; i < b.n; i++)
		b.p[i] = ascii_lower(b.p[i]);
	key = guard_key_text(written, GUARD_WRITTEN, buf_get(&b));
	buf_fini(&b);
	return key;
}

bool
burst_passed(struct session *s, const char *user, const struct address *to)
{
	uint32_t all = 0, fresh = 0;
	struct burst_key *k;
	uint64_t until;
	char *name;

	if (!config.user_new_rcpts)
		return false;
	burst_open();
	if (!written)
		return false;
	k = arena_new(&s->smtp.arena, sizeof(*k));
	k->key = burst_key(user, to);
	k->next = s->written;
	s->written = k;
	until = guard_table_get(written, k->key) >> BURST_SHIFT;
	name = mem_printf(" new %s", user); /* no account is named so */
	if (until < (uint64_t)clock_now())
		(void)admit_hourly(slice_str(name), 0, 1, 0, 0);
	admit_hour(slice_str(name), NULL, &fresh);
	admit_hour(slice_str(user), NULL, &all);
	mem_free(&name);
	return fresh > (uint64_t)config.user_new_rcpts &&
	    (uint64_t)fresh * 100 >= (uint64_t)config.new_share * all;
}

void
burst_sent(struct session *s)
{
	uint64_t until = (uint64_t)clock_now() + BURST_REMEMBER_S;

	if (!written || s->asked_for.hold)
		return;
	for (const struct burst_key *k = s->written; k; k = k->next)
		guard_table_put(written, k->key, until << BURST_SHIFT);
}
