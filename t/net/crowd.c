/* net/crowd: many descriptors, of whom some speak, some go, and some are removed while they do. */
#include "net/crowd.h"

#include <sys/socket.h>
#include <unistd.h>

#include "../tap.h"

#define MANY 200

static struct loop loop;
static struct crowd crowd;
static int pairs[MANY][2];
static int told[MANY], ntold, quiet_after;

static void
on_ready(void *item)
{
	int *n = item;
	size_t i = (size_t)(n - told);

	*n += 1;
	ntold++;
	crowd_remove(&crowd, pairs[i][0], n);
	if (quiet_after && i == 0)
		for (size_t k = 1; k < MANY; k++)
			crowd_remove(&crowd, pairs[k][0], &told[k]);
	if (ntold == quiet_after || ntold == MANY)
		loop_stop(&loop);
}

static void
begin(void)
{
	memset(told, 0, sizeof(told));
	ntold = 0;
	for (size_t i = 0; i < MANY; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) < 0 ||
		    crowd_add(&crowd, pairs[i][0], &told[i]) < 0)
			ntold = -1;
	eq(ntold, 0, "many are there");
}

static void
end(void)
{
	for (size_t i = 0; i < MANY; i++) {
		(void)close(pairs[i][0]);
		if (pairs[i][1] >= 0)
			(void)close(pairs[i][1]);
	}
}

int
main(void)
{
	int once = 0;

	loop_init(&loop);
	eq(crowd_open(&crowd, &loop, on_ready), 0, "opens");

	begin();
	for (size_t i = 0; i < MANY; i++) {
		if (i % 2) {
			(void)close(pairs[i][1]); /* goes */
			pairs[i][1] = -1;
		} else {
			(void)!write(pairs[i][1], "x", 1);
		}
	}
	loop_run(&loop);
	for (size_t i = 0; i < MANY; i++)
		once += told[i] == 1;
	eq(once, MANY, "each that speaks or goes is told of, and no more once it is removed");
	end();

	begin();
	quiet_after = 1;
	(void)!write(pairs[0][1], "x", 1);
	for (size_t i = 1; i < MANY; i++)
		(void)!write(pairs[i][1], "x", 1);
	loop_run(&loop);
	ok(told[0] == 1 && ntold == 1,
	    "those that another one has removed are not, though they were ready with it");
	end();

	eq(crowd_add(&crowd, -1, &told[0]), -EBADF, "no descriptor is an error");
	crowd_close(&crowd);
	eq(crowd_add(&crowd, 0, &told[0]), -EBADF, "so is a crowd that is closed");
	crowd_close(&crowd);
	loop_fini(&loop);
	return done();
}
