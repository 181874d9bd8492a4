/* tiermail-load/mailboxes.c: what was accepted, is it there?
 *
 * A 250 is a promise.  Each mailbox that was sent to is asked by IMAP for messages with this run's name, again as long
 * as some are missing and it is not too late.  Counts are compared mailbox by mailbox, so that one that came twice
 * does not stand for one that was lost. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "load.h"

#define MAILBOXES_PAUSE_US 200000 /* between two looks */

static uint64_t *pending; /* users whose mailboxes are to be looked into */
static size_t npending;
static int64_t *there; /* messages in each user's; -1: not known */

static uint64_t
mailboxes_user_of(uint64_t unit)
{
	return pending[unit];
}

static void
mailboxes_over(const struct client *c, bool good)
{
	if (good)
		there[c->user] = (int64_t)c->talk.found;
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

	run_clients(&r);
}

/* Those that lack something yet, or all that were sent to. */
static void
mailboxes_select(const uint32_t *accepted, bool all)
{
	npending = 0;
	for (uint64_t u = 0; u < load.users; u++)
		if (accepted[u] && (all || there[u] < (int64_t)accepted[u]))
			pending[npending++] = u;
}

void
mailboxes_look(const uint32_t *accepted, struct arrivals *a)
{
	uint64_t began = clock_mono_ms();

	*a = (struct arrivals){ .found = 0 };
	pending = mem_array(load.users, sizeof(*pending));
	there = mem_array(load.users, sizeof(*there));
	for (uint64_t u = 0; u < load.users; u++)
		there[u] = -1;
	for (;;) {
		mailboxes_select(accepted, false);
		if (npending == 0)
			break;
		mailboxes_pass();
		mailboxes_select(accepted, false);
		a->after_ms = clock_mono_ms() - began;
		if (npending == 0 || a->after_ms >= load.wait_ms)
			break;
		(void)usleep(MAILBOXES_PAUSE_US);
	}
	/* A second copy comes behind the first: those that lacked nothing are looked into at the end, too. */
	mailboxes_select(accepted, true);
	if (npending)
		mailboxes_pass();
	for (uint64_t u = 0; u < load.users; u++) {
		int64_t n = there[u] < 0 ? 0 : there[u], wanted = accepted[u];

		a->found += (uint64_t)n;
		a->unseen += wanted && there[u] < 0;
		if (n < wanted)
			a->lost += (uint64_t)(wanted - n);
		else
			a->twice += (uint64_t)(n - wanted);
	}
	mem_free(&pending);
	mem_free(&there);
}
