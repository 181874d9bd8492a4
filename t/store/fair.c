/* COPY, MOVE, STORE, EXPUNGE and RECOUNT of a large mailbox beside somebody else's mail: how long does that wait?
 *
 * What other processes do to the machine is no fault of the store, so that the judgement is on what
 * its writer has used of the processor for one batch.  Where that has time that a host took away in it, it
 * is begun anew: what the store needs it needs each time.  FAIR_MESSAGES=100000 makes the mailbox larger. */
#include <stdlib.h>

#include "base/clock.h"
#include "service.h"

#define FIRST    500   /* messages */
#define MESSAGES 64000 /* in the end */
#define TRIES    3
#ifdef __SANITIZE_ADDRESS__
#define MOST 150000 /* us of the writer's for a batch, with the sanitizer's own work */
#else
#define MOST 50000
#endif

static const struct store_limits none;
static const struct store_range all = { 1, UINT32_MAX };
static bool fair_over;
static struct store_reply fair_reply;
static uint64_t joe, ann, messages = MESSAGES;

static void
fair_on_over(void *arg, const struct store_reply *r)
{
	(void)arg;
	fair_over = true;
	fair_reply = *r;
	loop_stop(&loop);
}

static uint64_t
mailbox_of(const char *account)
{
	CALL(store_account_start, slice_str(account), S(""));
	return last.mailbox;
}

static uint64_t
folder_of(const char *account, const char *name)
{
	uint64_t id;

	CALL(store_account_start, slice_str(account), S(""));
	id = last.account;
	CALL(store_create_start, id, slice_str(name), STORE_USE_NONE);
	return last.mailbox;
}

static void
fill(uint64_t box)
{
	struct store_body bodies[20];
	struct store_message m[20];
	struct store_range some = { 1, 0 };
	uint64_t n = 0;

	for (int i = 0; i < FIRST / 20; i++) {
		for (int k = 0; k < 20; k++) {
			bodies[k] = body_with("fair", 4);
			m[k] = (struct store_message){ .body = &bodies[k], .size = 4 };
		}
		CALL(store_append_start, box, m, 20, none);
	}
	for (n = FIRST; n < messages; n += some.last) {
		some.last = (uint32_t)(n < messages - n ? n : messages - n);
		CALL(store_copy_start, box, &some, 1, box, none);
	}
}

/* ---- somebody else --------------------------------------------------------------------------- */

static uint64_t
deliver(void)
{
	struct store_body body = body_with("fair", 4);
	struct store_message m = { .body = &body, .size = 4 };
	struct store_target t = { .account = S("ann@example.test") };
	uint64_t began = clock_mono_us();

	CALL(store_deliver_start, &m, &t, 1);
	return clock_mono_us() - began;
}

static uint64_t
flag(int i)
{
	const struct store_change change = { .how = i % 2 ? STORE_ADD : STORE_REMOVE,
		.flags = STORE_FLAGGED };
	const struct store_range one = { 1, 1 };
	uint64_t began = clock_mono_us();

	CALL(store_flags_start, ann, &one, 1, &change);
	return clock_mono_us() - began;
}

static int
by_time(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
beside(const char *what, uint64_t began)
{
	static uint64_t waits[50000];
	uint64_t took;
	size_t n = 0;

	while (!fair_over && n < NELEM(waits)) {
		waits[n] = n % 2 ? flag((int)n / 2) : deliver();
		n++;
	}
	while (!fair_over)
		loop_run(&loop);
	took = clock_mono_us() - began;
	qsort(waits, n, sizeof(waits[0]), by_time);
	printf("# %s of %llu took %.1f ms; %zu others beside it: median %.1f, 99 %% %.1f, "
	       "longest %.1f ms\n",
	    what, (unsigned long long)messages, (double)took / 1000, n, (double)waits[n / 2] / 1000,
	    (double)waits[n * 99 / 100] / 1000, (double)waits[n - 1] / 1000);
	eq((int)fair_reply.verdict.kind, OK, "a long %s", what);
	fair_over = false;
}

/* Until the files of all copies have been made. */
static void
linked(void)
{
	uint64_t began = clock_mono_ms();

	while (status_number(" unlinked=") && clock_mono_ms() - began < 60000)
		usleep(20000);
	printf("# their files %llu ms later\n", (unsigned long long)(clock_mono_ms() - began));
}

/* Everything on a store of its own; us that the writer's longest batch took of the processor. */
static uint64_t
fair_once(const char *argv0)
{
	const struct store_change seen = { .how = STORE_ADD, .flags = STORE_SEEN };
	uint64_t to, other, longest, account;
	struct op op;

	service_open(argv0, "fair", "map_size = 2G\nmin_free = 0\nsnapshot_interval = 0\n");
	joe = mailbox_of("joe@example.test");
	account = last.account;
	ann = mailbox_of("ann@example.test");
	(void)deliver();
	fill(joe);
	to = folder_of("joe@example.test", "Copies");
	other = folder_of("joe@example.test", "Moved");
	linked();
	store_copy_start(client, joe, &all, 1, to, none, &op, fair_on_over, NULL);
	beside("COPY", clock_mono_us());
	linked();
	store_flags_start(client, joe, &all, 1, &seen, &op, fair_on_over, NULL);
	beside("STORE", clock_mono_us());
	store_recount_start(client, account, &op, fair_on_over, NULL);
	beside("RECOUNT", clock_mono_us());
	store_move_start(client, to, &all, 1, other, &op, fair_on_over, NULL);
	beside("MOVE", clock_mono_us());
	linked();
	store_expunge_start(client, joe, &all, 1, true, &op, fair_on_over, NULL);
	beside("EXPUNGE", clock_mono_us());
	longest = status_number(" longest_cpu_us=");
	printf("# the longest batch: %.1f ms, %.1f ms of CPU time\n",
	    (double)status_number(" longest_us=") / 1000, (double)longest / 1000);
	service_close();
	return longest;
}

int
main(int argc, char **argv)
{
	const char *many = getenv("FAIR_MESSAGES");
	uint64_t longest = UINT64_MAX;

	(void)argc;
	if (many)
		messages = strtoull(many, NULL, 10);
	for (int i = 0; i < TRIES && longest >= MOST; i++)
		longest = fair_once(argv[0]);
	ok(longest > 0 && longest < MOST, "no batch takes %d ms of the writer's time", MOST / 1000);
	return done();
}
