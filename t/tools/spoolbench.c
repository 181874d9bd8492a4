/* spoolbench: how fast the queue takes messages.
 *
 *	spoolbench DIR MESSAGES BYTES SESSIONS [keep|finish|create]
 * commits MESSAGES messages with SESSIONS waiting at any time.  finish: each is finished as soon
 * as it is announced, which feeds the recycle pool; create: the same without
 * the pool (which has to be empty); keep: nothing is finished.  Prints one line of key=value figures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "queue/read.h"
#include "queue/write.h"

static struct queue *q;
static struct loop loop;
static size_t left, running, size;
static char *body;
static enum { KEEP, FINISH, CREATE } mode;

struct session {
	struct op op;
};

static void
announced(void *arg, const struct qfile *f)
{
	struct verdict v = { .kind = OK };
	const char *why;
	struct qread *r;

	(void)arg;
	if (mode == KEEP || qread_open(q, f->channel, f->name, QREAD_LOCK, &r, &why) < 0)
		return;
	qread_result(r, 0, QSTATE_DELIVERED, &v, NULL);
	qread_finish(&r);
}

static void next(struct session *s);

static void
done(void *arg, const struct verdict *v)
{
	if (v->kind != OK) {
		fprintf(stderr, "%s\n", v->text);
		exit(1);
	}
	running--;
	next(arg);
}

static void
next(struct session *s)
{
	static struct qrcpt r = { .addr = "user0001@example.org",
		.channel = "tcp_lmtp",
		.dest = "store1.example.org" };
	struct qenv e = { .source = "bench", .sender = "s@example.net", .rcpts = &r, .nrcpt = 1 };
	struct qwriter *w;

	if (left == 0) {
		if (running == 0)
			loop_stop(&loop);
		return;
	}
	left--;
	running++;
	w = qwrite_begin(q, &e);
	if (qwrite_body(w, body, size) < 0)
		exit(1);
	qwrite_commit_start(&w, &s->op, done, s);
}

int
main(int argc, char **argv)
{
	struct queue_stats st;
	struct session *s;
	size_t n, sessions;
	uint64_t t;
	char path[300];

	if (argc < 5) {
		fprintf(stderr,
		    "usage: spoolbench DIR MESSAGES BYTES SESSIONS [keep|finish|create]\n");
		return 64;
	}
	n = left = strtoull(argv[2], NULL, 10);
	size = strtoull(argv[3], NULL, 10);
	sessions = strtoull(argv[4], NULL, 10);
	mode = argc < 6 || strcmp(argv[5], "finish") == 0 ? FINISH :
	    strcmp(argv[5], "create") == 0                ? CREATE :
							    KEEP;
	body = mem_new(size + 1);
	memset(body, 'x', size);
	if (queue_open(argv[1], true, &q) < 0)
		return 1;
	(void)snprintf(path, sizeof(path), "%s/pool", argv[1]);
	if (mode == CREATE && rmdir(path) < 0) {
		perror(path);
		return 1;
	}
	loop_init(&loop);
	queue_announce(q, announced, NULL);
	queue_start(q, &loop);
	s = mem_array(sessions, sizeof(*s));
	t = clock_mono_us();
	for (size_t i = 0; i < sessions; i++)
		next(&s[i]);
	loop_run(&loop);
	t = clock_mono_us() - t;
	queue_get_stats(q, &st);
	printf("messages=%zu bytes=%zu sessions=%zu rate=%.0f batches=%llu syncfs=%llu fsync=%llu "
	       "created=%llu recycled=%llu\n",
	    n, size, sessions, (double)n * 1e6 / (double)t, (unsigned long long)st.batches,
	    (unsigned long long)st.syncfs, (unsigned long long)st.fdatasync,
	    (unsigned long long)st.created, (unsigned long long)st.recycled);
	return 0;
}
