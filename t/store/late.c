/* Who watches from before stored is there is told to look when it is: what was committed before the watch began, by whoever
 * was faster, is told to nobody. */
#include "service.h"

static unsigned looks;

static void
on_event(void *arg, const struct store_event *ev, size_t n)
{
	(void)arg;
	for (size_t i = 0; i < n; i++)
		looks += ev[i].kind == STORE_EV_RESYNC;
	if (looks)
		loop_stop(&loop);
}

static void
on_time(struct deadline *d)
{
	(void)d;
	loop_stop(&loop);
}

static void
on_closed(void *arg)
{
	(void)arg;
}

static void
run_for(uint64_t ms)
{
	struct deadline d;

	deadline_init(&d);
	deadline_set(&d, &loop, ms, on_time);
	loop_run(&loop);
	deadline_clear(&d);
}

int
main(int argc, char **argv)
{
	struct store_client *c;
	char path[100];

	(void)argc;
	service_open(argv[0], "late", "map_size = 1G\nmin_free = 0\nsnapshot_interval = 0\n");
	snprintf(path, sizeof(path), "%s/stored.sock", dir);
	c = store_client_new(&loop, path, "early");
	store_watch(c, on_event, NULL);
	run_for(200);
	eq(looks, 0, "stored is there first: nothing was missed");
	store_client_free(&c, on_closed, NULL);
	service_stop(SIGKILL);
	c = store_client_new(&loop, path, "early");
	store_watch(c, on_event, NULL);
	run_for(200);
	eq(looks, 0, "it is not there");
	service_start();
	run_for(SERVICE_PATIENCE * 1000);
	eq(looks, 1, "when it is, the watcher is told to look");
	store_client_free(&c, on_closed, NULL);
	service_close();
	return done();
}
