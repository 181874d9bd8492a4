/* Whoever logs in while stored is away: waited for, told in the end, gone meanwhile. */
#include "base/clock.h"
#include "service.h"
#include "store/home.h"

static struct store_homes homes;
static struct {
	int calls;
	enum verdict_kind kind;
	struct store_home *home;
	uint64_t id;
} said;
static int turns; /* of the loop, by a timer */
static struct timer ticker;

static void
on_home(void *arg, const struct verdict *v, struct store_home *home, uint64_t id)
{
	(void)arg;
	said.calls++;
	said.kind = v->kind;
	said.home = home;
	said.id = id;
	loop_stop(&loop);
}

static void
on_tick(struct timer *t)
{
	(void)t;
	turns++;
	loop_stop(&loop);
}

static void
ask(struct op *op, const char *account)
{
	said.calls = 0;
	store_home_start(&homes, slice_str(account), S(""), op, on_home, NULL);
}

static void
run_for(uint64_t ms)
{
	for (uint64_t began = clock_mono_ms(); clock_mono_ms() - began < ms;)
		loop_run(&loop);
}

static void
run_until_said(void)
{
	for (uint64_t began = clock_mono_ms();
	     !said.calls && clock_mono_ms() - began < SERVICE_PATIENCE * 1000;)
		loop_run(&loop);
}

int
main(int argc, char **argv)
{
	struct op op = { 0 }, other = { 0 };
	uint64_t began;

	(void)argc;
	service_open(argv[0], "t-home", "map_size = 1G\nsnapshot_interval = 0\n");
	store_homes_init(&homes, &loop, client);
	ok(homes.patience_ms >= 8000, "stored may be away for seconds");
	ok(homes.patience_ms < 20000, "but not for longer than mmpd waits for a store");
	homes.patience_ms = SERVICE_PATIENCE * 1000;
	timer_init(&ticker, &loop, on_tick);
	timer_start(&ticker, 10, 10);

	ask(&op, "one@example.test");
	run_until_said();
	ok(said.calls == 1 && said.kind == OK && said.home && said.id, "stored is there");

	service_stop(SIGKILL);
	ask(&op, "two@example.test");
	ask(&other, "three@example.test");
	turns = 0;
	run_for(2500); /* longer than all that is done at once, and than 20 tries of before */
	eq(said.calls, 0, "stored is away: nobody is refused");
	ok(turns > 20, "the loop goes round meanwhile: %d", turns);
	op_cancel(&other);
	service_start();
	run_until_said();
	ok(said.calls == 1 && said.kind == OK && said.home && said.id, "it is back: the account");
	run_for(500);
	eq(said.calls, 1, "and no word to who has gone");

	service_stop(SIGTERM);
	homes.patience_ms = 300;
	began = clock_mono_ms();
	ask(&op, "four@example.test");
	run_until_said();
	ok(said.calls == 1 && said.kind == TEMP && !said.home, "it stays away: temporary");
	ok(clock_mono_ms() - began >= 300, "after that time");
	service_start();
	service_again();
	homes.patience_ms = SERVICE_PATIENCE * 1000;
	ask(&op, "four@example.test");
	run_until_said();
	ok(said.calls == 1 && said.kind == OK, "and then the next one gets in");

	timer_close(&ticker, NULL);
	service_close();
	return done();
}
