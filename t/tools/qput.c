/* qput: puts a message into a queue directory, for tests of what takes it out.
 *
 *	qput [-c CHANNEL] [-d DEST] [-f SENDER] [-n NOTIFY] [-R FULL|HDRS] [-e ENVID] [-8] [-a AGE_S]
 *	    [-o ORCPT] QUEUE RCPT... < message
 *
 * Prints "CHANNEL FILE DEST SIZE NRCPT" for each file. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "queue/write.h"

static struct loop loop;
static bool failed;

static void
announce(void *arg, const struct qfile *f)
{
	(void)arg;
	printf("%s %s %s %llu %u\n", f->channel, f->name, f->dest, (unsigned long long)f->size,
	    f->nrcpt);
}

static void
committed(void *arg, const struct verdict *v)
{
	(void)arg;
	failed = v->kind != OK;
	if (failed)
		fprintf(stderr, "qput: %s\n", v->text);
	loop_stop(&loop);
}

static int
notify_bits(const char *s)
{
	int bits = 0;

	bits |= strstr(s, "NEVER") ? QNOTIFY_NEVER : 0;
	bits |= strstr(s, "SUCCESS") ? QNOTIFY_SUCCESS : 0;
	bits |= strstr(s, "FAILURE") ? QNOTIFY_FAILURE : 0;
	bits |= strstr(s, "DELAY") ? QNOTIFY_DELAY : 0;
	return bits;
}

int
main(int argc, char **argv)
{
	static struct qrcpt rcpts[QUEUE_RCPT_MAX];
	struct qenv env = { .source = "test",
		.sender = "",
		.client = "local",
		.helo = "test.example",
		.arrival_ms = clock_now_ms(),
		.prio = QPRIO_NORMAL };
	struct qrcpt like = { .channel = "tcp_lmtp", .dest = "" };
	struct queue *q;
	struct qwriter *w;
	struct op op = { 0 };
	char piece[65536];
	size_t n;
	int c;

	while ((c = getopt(argc, argv, "c:d:f:n:R:e:8a:o:")) != -1) {
		if (c == 'c')
			like.channel = optarg;
		else if (c == 'd')
			like.dest = optarg;
		else if (c == 'f')
			env.sender = optarg;
		else if (c == 'n')
			like.notify = notify_bits(optarg);
		else if (c == 'R')
			env.ret = *optarg == 'F' ? QRET_FULL : QRET_HDRS;
		else if (c == 'e')
			env.envid = optarg;
		else if (c == '8')
			env.body = QBODY_8BIT;
		else if (c == 'a')
			env.arrival_ms -= strtoll(optarg, NULL, 10) * 1000;
		else if (c == 'o')
			like.orcpt = optarg;
		else
			return 64;
	}
	if (argc - optind < 2 || queue_open(argv[optind], true, &q) < 0)
		return 64;
	for (int i = optind + 1; i < argc; i++) {
		rcpts[env.nrcpt] = like;
		rcpts[env.nrcpt++].addr = argv[i];
	}
	env.rcpts = rcpts;
	loop_init(&loop);
	queue_announce(q, announce, NULL);
	queue_start(q, &loop);
	w = qwrite_begin(q, &env);
	while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
		if (qwrite_body(w, piece, n) < 0)
			return 75;
	qwrite_commit_start(&w, &op, committed, NULL);
	loop_run(&loop);
	return failed ? 75 : 0;
}
