/* A reader that comes while stored makes a new index: it has the index, and not something that is replaced later. */
#include "service.h"

#define ROUNDS 12

/* Opens the index at the first moment at which it can be, and says so; when asked, whether it still has it. */
static void
reader(int opened, int asked)
{
	struct store_reader *r;
	char path[200], c = 0, *why = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "%s/store/partition/primary", dir);
	while (store_reader_open(path, &r, &why) < 0)
		mem_free(&why);
	if (write(opened, &c, 1) != 1 || read(asked, &c, 1) != 1)
		_exit(2);
	c = store_reader_current(r);
	store_reader_close(&r);
	_exit(c ? 0 : 1);
}

static int
run(void)
{
	int opened[2], asked[2], status = -1;
	pid_t pid;
	char c = 0;

	service_prepare("");
	if (pipe(opened) < 0 || pipe(asked) < 0)
		abort();
	pid = fork();
	if (pid == 0)
		reader(opened[1], asked[0]);
	service_start();
	if (read(opened[0], &c, 1) == 1) {
		service_stop(SIGTERM);
		if (write(asked[1], &c, 1) != 1)
			abort();
		waitpid(pid, &status, 0);
	}
	close(opened[0]);
	close(opened[1]);
	close(asked[0]);
	close(asked[1]);
	close(notify_fd);
	service_remove();
	return status;
}

int
main(int argc, char **argv)
{
	int others = 0;

	(void)argc;
	log_init("firststart", LOG_TO_STDERR, LOG_ERROR);
	if (!service_find(argv[0])) {
		printf("1..0 # SKIP stored is not built\n");
		return 0;
	}
	for (int i = 0; i < ROUNDS; i++)
		others += run() != 0;
	eq(others, 0, "who opens an index that is being made has it when stored has been away");
	return done();
}
