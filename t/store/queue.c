/* Work of the purger and the linker: each hears whether its own was committed. */
#include <pthread.h>

#include "base/mem.h"
#include "base/must.h"
#include "store/writer/writer-impl.h"
#include "../tap.h"

#define ROUNDS 300

static struct store_queue queue;
static struct writer writer; /* what has been counted: nothing */

static void
queue_on_results(void *arg)
{
	(void)arg;
}

static enum judgement
take_all(const void *arg, const struct store_job *j)
{
	(void)arg;
	(void)j;
	return JUDGE_TAKE;
}

struct helper {
	pthread_t thread;
	bool good;
};

static void *
helper_main(void *arg)
{
	struct helper *h = arg;
	struct store_work *work = mem_new(sizeof(*work));

	list_init(&work->link);
	h->good = writer_queue_work(&queue, work, true);
	return NULL;
}

/* One piece of work, in a batch of its own that is good or not.  Returns when its thread waits. */
static void
begin(struct helper *h, struct list *work)
{
	struct list jobs;
	size_t n;

	list_init(&jobs);
	must(pthread_create(&h->thread, NULL, helper_main, h) == 0);
	ok(writer_queue_wait(&queue, UINT64_MAX, &jobs, &n, work, take_all, NULL) && n == 0,
	    "work has come");
}

static void
test_own(bool first)
{
	struct helper a = { .good = false }, b = { .good = false };
	struct list jobs, work_a, work_b;
	int wrong = 0;

	list_init(&jobs);
	list_init(&work_a);
	list_init(&work_b);
	for (int i = 0; i < ROUNDS; i++) {
		struct list nothing;
		size_t n;

		list_init(&nothing);
		must(pthread_create(&a.thread, NULL, helper_main, &a) == 0);
		must(writer_queue_wait(&queue, UINT64_MAX, &nothing, &n, &work_a, take_all, NULL));
		must(pthread_create(&b.thread, NULL, helper_main, &b) == 0);
		must(writer_queue_wait(&queue, UINT64_MAX, &nothing, &n, &work_b, take_all, NULL));
		/* Two batches right behind each other: neither has run yet when the second is over. */
		writer_queue_finish(&queue, &jobs, &work_a, first, &writer);
		writer_queue_finish(&queue, &jobs, &work_b, !first, &writer);
		pthread_join(a.thread, NULL);
		pthread_join(b.thread, NULL);
		wrong += a.good != first || b.good == first;
	}
	eq(wrong, 0, "%s: each has heard of its own, %d times", first ? "good, bad" : "bad, good",
	    ROUNDS);
}

/* Of work that nobody waits for the queue takes care. */
static void
test_unheard(void)
{
	struct store_work *work = mem_new(sizeof(*work));
	struct helper h = { .good = true };
	struct list jobs, taken;

	list_init(&jobs);
	list_init(&taken);
	list_init(&work->link);
	ok(writer_queue_work(&queue, work, false), "handed over");
	begin(&h, &taken);
	for (size_t n; list_first(&taken, struct store_work, link)->link.next == &taken;)
		(void)writer_queue_wait(&queue, UINT64_MAX, &jobs, &n, &taken, take_all, NULL);
	writer_queue_finish(&queue, &jobs, &taken, false, &writer);
	pthread_join(h.thread, NULL);
	ok(!h.good && list_empty(&taken), "and failed with what somebody waits for");
}

int
main(void)
{
	writer_queue_init(&queue, queue_on_results, NULL);
	test_own(true);
	test_own(false);
	test_unheard();
	writer_queue_fini(&queue);
	return done();
}
