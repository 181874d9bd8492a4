/* tiermail-load/mailboxes.c: what was accepted, is it there?
 *
 * A 250 is a promise.  Each mailbox that was sent to is asked by IMAP for the messages of this run, again as long as
 * some are missing and it is not too late; their Message-IDs have a number, so that each is known, and one that came
 * twice does not stand for one that was lost.  Owns an octet for each message of a run. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "load.h"

#define MAILBOXES_PAUSE_US 200000 /* between two looks */

/* Of a message: */
#define MARK_ACCEPTED 0x80
#define MARK_ASTRAY   0x40 /* it is in somebody else's mailbox */
#define MARK_COPIES   0x3f /* in its own */

static struct buf marks;  /* one for each */
static uint64_t *pending; /* users whose mailboxes are to be looked into */
static size_t npending;
static bool *looked; /* into each user's, without an error */

static uint8_t *
mailboxes_mark(uint64_t unit)
{
	return unit < marks.n ? (uint8_t *)marks.p + unit : NULL;
}

void
mailboxes_accepted(uint64_t unit)
{
	while (marks.n <= unit) {
		size_t more = marks.n ? marks.n : 4096;

		memset(buf_reserve(&marks, more), 0, more);
		marks.n += more;
	}
	*mailboxes_mark(unit) |= MARK_ACCEPTED;
}

/* ---- looking -------------------------------------------------------------------------------------------------- */

static uint64_t
mailboxes_user_of(uint64_t unit)
{
	return pending[unit];
}

/* What was found there before is counted anew. */
void
mailboxes_forget(uint64_t user)
{
	for (uint64_t unit = user; unit < marks.n; unit += load.users)
		*mailboxes_mark(unit) &= (uint8_t)~MARK_COPIES;
}

void
mailboxes_found(uint64_t user, uint64_t unit)
{
	uint8_t *m = mailboxes_mark(unit);

	if (!m)
		return;
	if (unit % load.users != user)
		*m |= MARK_ASTRAY;
	else if ((*m & MARK_COPIES) < MARK_COPIES)
		++*m;
}

static void
mailboxes_over(const struct client *c, bool good)
{
	looked[c->user] = good;
}

static void
mailboxes_pass(void)
{
	struct run r = {
		.profile = &profile_count,
		.server = &load.imap,
		.tls = load.imap_tls,
		.count = npending,
		.clients = load.clients < 20 ? load.clients : 20,
		.messages = 1,
		.user_of = mailboxes_user_of,
		.over = mailboxes_over,
		.quiet = true,
	};

	if (npending)
		run_clients(&r);
}

/* Those that were sent to, and lack something yet or, with `all`, do not. */
static void
mailboxes_select(bool all)
{
	npending = 0;
	for (uint64_t u = 0; u < load.users; u++) {
		bool wanted = false;

		for (uint64_t unit = u; unit < marks.n && !wanted; unit += load.users) {
			uint8_t m = *mailboxes_mark(unit);

			wanted = (m & MARK_ACCEPTED) && (all || !(m & MARK_COPIES));
		}
		if (wanted)
			pending[npending++] = u;
	}
}

static void
mailboxes_count(struct arrivals *a)
{
	for (uint64_t unit = 0; unit < marks.n; unit++) {
		uint8_t m = *mailboxes_mark(unit);
		unsigned copies = m & MARK_COPIES;

		a->found += copies;
		a->lost += (m & MARK_ACCEPTED) && copies == 0;
		a->twice += copies > 1;
		a->astray += (m & MARK_ASTRAY) != 0;
	}
	for (size_t i = 0; i < npending; i++)
		a->unseen += !looked[pending[i]];
}

void
mailboxes_look(struct arrivals *a)
{
	uint64_t began = clock_mono_ms();

	*a = (struct arrivals){ .found = 0 };
	pending = mem_array(load.users, sizeof(*pending));
	looked = mem_array(load.users, sizeof(*looked));
	for (;;) {
		mailboxes_select(false);
		mailboxes_pass();
		mailboxes_select(false);
		a->after_ms = clock_mono_ms() - began;
		if (npending == 0 || a->after_ms >= load.wait_ms)
			break;
		(void)usleep(MAILBOXES_PAUSE_US);
	}
	/* A second copy comes behind the first: those that lacked nothing are looked into at the end, too. */
	mailboxes_select(true);
	mailboxes_pass();
	mailboxes_count(a);
	mem_free(&pending);
	mem_free(&looked);
	buf_fini(&marks);
}
