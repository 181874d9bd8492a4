/* Fibers: straight-line work on a loop, several at once. */
#include "net/fiber.h"
#include "../tap.h"

static struct loop loop;
static char order[64];
static size_t norder;

static void
mark(char c)
{
	order[norder++] = c;
	order[norder] = '\0';
}

struct nap {
	struct timer timer;
	struct fiber *fiber;
	bool closed;
};

static void
nap_over(struct timer *t)
{
	fiber_wake(CONTAINER(t, struct nap, timer)->fiber);
}

static void
nap_closed(struct timer *t)
{
	struct nap *n = CONTAINER(t, struct nap, timer);

	n->closed = true;
	fiber_wake(n->fiber);
}

/* Waits for the timer, and then for its handle: what stands on a fiber's stack must outlive it. */
static void
nap(uint64_t ms)
{
	struct nap n = { .fiber = fiber_self() };

	timer_init(&n.timer, &loop, nap_over);
	timer_start(&n.timer, ms, 0);
	fiber_wait();
	timer_close(&n.timer, nap_closed);
	while (!n.closed)
		fiber_wait();
}

static int running;

static void
over(void)
{
	if (--running == 0)
		loop_stop(&loop);
}

static void
slow(void *arg)
{
	mark(*(const char *)arg);
	nap(30);
	mark('S');
	over();
}

static void
quick(void *arg)
{
	mark(*(const char *)arg);
	nap(1);
	mark('Q');
	over();
}

/* A wake-up that comes before the wait is not lost. */
static void
early(void *arg UNUSED)
{
	fiber_wake(fiber_self());
	fiber_wait();
	mark('E');
	over();
}

static void
counts(void *arg)
{
	volatile char room[100 * 1024];

	room[0] = 1;
	nap(1);
	*(int *)arg += room[0];
	over();
}

int
main(void)
{
	int sum = 0;

	loop_init(&loop);
	ok(!fiber_self(), "outside there is none");
	running = 3;
	fiber_start(&loop, slow, (void *)(uintptr_t) "a");
	is(order, "a", "it runs at once, until it waits");
	fiber_start(&loop, quick, (void *)(uintptr_t) "b");
	fiber_start(&loop, early, NULL);
	is(order, "ab", "a wake-up before the wait ends it in the loop, not inside");
	loop_run(&loop);
	is(order, "abEQS", "each goes on when its own wait is over");
	running = 200;
	for (int i = 0; i < 200; i++)
		fiber_start(&loop, counts, &sum);
	loop_run(&loop);
	eq(sum, 200, "many at once, each with its own stack");
	loop_fini(&loop);
	return done();
}
