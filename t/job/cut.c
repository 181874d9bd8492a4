/* Cut-through: questions of a relay, answers of the master that waits, and both as they go. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "job/cut.h"
#include "../tap.h"

static struct loop loop;
static char dir[] = "/tmp/tm-cut-XXXXXX";
static struct job_cut_token *tokens[100];
static size_t ntokens;
static char last_file[64], last_dest[64];
static size_t last_image;
static char last_done[200];
static int answers;

static void
on_ask(void *arg UNUSED, struct job_cut_token *t, const char *file, const char *dest,
    struct slice image)
{
	tokens[ntokens++] = t;
	(void)snprintf(last_file, sizeof(last_file), "%s", file);
	(void)snprintf(last_dest, sizeof(last_dest), "%s", dest);
	last_image = image.n;
	loop_stop(&loop);
}

static void
on_done(struct job_cut_ask *a UNUSED, struct slice done)
{
	answers++;
	slice_cstr(done, last_done, sizeof(last_done));
	loop_stop(&loop);
}

static struct job_cut *cut;

static bool
ask(struct job_cut_ask *a, const char *dest, struct slice image)
{
	return job_cut_start(cut, a, "tcp_lmtp", dest, "ZZname.00", image, on_done);
}

/* The next question that comes is answered so, and the answer is heard. */
static void
answered(const char *done, bool failed)
{
	size_t want = ntokens;

	while (ntokens == want - 1)
		loop_run(&loop);
	job_cut_answer(&tokens[ntokens - 1], slice_str(done), failed);
	loop_run(&loop);
}

static void
test_questions(void)
{
	struct job_cut_ask a;
	char *image = mem_new(100000);

	ok(ask(&a, "a store", slice(image, 100000)), "a master waits: it is asked");
	loop_run(&loop);
	is(last_file, "ZZname.00", "it hears the name,");
	is(last_dest, "a store", "the destination,");
	eq(last_image, 100000, "and what the file would hold");
	answered("101", false);
	is(last_done, "101", "its answer says who has it");
	mem_free(&image);
}

static void
test_rest(void)
{
	struct job_cut_ask a, b;

	ok(ask(&a, "full", S("x")), "a message");
	loop_run(&loop);
	answered("0", false);
	ok(ask(&a, "full", S("x")),
	    "whose recipient cannot take it: the next one is asked for all the same");
	loop_run(&loop);
	answered("", false);
	is(last_done, "", "there is no room for it now");
	ok(ask(&a, "full", S("x")), "which makes no difference for the next one");
	loop_run(&loop);
	answered("0", true);
	ok(!ask(&a, "full", S("x")), "no session: the destination rests");
	ok(ask(&b, "other", S("x")), "and no other");
	loop_run(&loop);
	answered("1", false);
	is(last_done, "1", "which gets it");
}

static void
test_late(void)
{
	struct job_cut_ask a;
	int before = answers;

	ok(ask(&a, "slow", S("x")), "a master that does not answer");
	loop_run(&loop);
	loop_run(&loop);
	eq(answers, before + 1, "is not waited for");
	is(last_done, "", "nobody is known to have it");
	ok(!ask(&a, "slow", S("x")), "and the destination rests");
	job_cut_answer(&tokens[ntokens - 1], S("1"), false);
	ok(ask(&a, "quick", S("x")), "its answer, when it comes, is nobody's");
	loop_run(&loop);
	answered("1", false);
	eq(answers, before + 2, "but the next question's is");
}

/* A slow script of one recipient is not the store's. */
static void
test_late_alone(void)
{
	struct job_cut_ask a, b;
	int before = answers;

	ok(ask(&a, "store", S("x")), "a message that takes long");
	loop_run(&loop);
	for (int i = 0; i < 2; i++) {
		(void)usleep(5000); /* behind the first one's beginning */
		ok(ask(&b, "store", S("x")), "others beside it");
		loop_run(&loop);
		answered("1", false);
	}
	loop_run(&loop);
	eq(answers, before + 3, "its time is over, ...");
	is(last_done, "", "... and it has no answer");
	ok(ask(&b, "store", S("x")), "but its destination does not rest");
	loop_run(&loop);
	answered("1", false);
}

static void
test_cancel(void)
{
	struct job_cut_ask a, b;
	int before = answers;

	ok(ask(&a, "gone", S("x")) && ask(&b, "stays", S("x")), "two questions");
	job_cut_cancel(&a);
	while (ntokens < 2 || !tokens[ntokens - 2] || !tokens[ntokens - 1])
		loop_run(&loop);
	job_cut_answer(&tokens[ntokens - 2], S("1"), false);
	job_cut_answer(&tokens[ntokens - 1], S("0"), false);
	loop_run(&loop);
	eq(answers, before + 1, "the one that was cancelled is not answered");
	is(last_done, "0", "the other one is");
	job_cut_cancel(&a);
	ok(true, "cancelled once more, which does nothing");
}

static void
test_most(void)
{
	static struct job_cut_ask a[JOB_CUT_MOST + 1];
	size_t n = 0;

	while (n <= JOB_CUT_MOST && ask(&a[n], "many", S("x")))
		n++;
	eq(n, JOB_CUT_MOST, "so many are under way and no more");
	for (size_t i = 0; i < n; i++)
		job_cut_cancel(&a[i]);
	while (ntokens < JOB_CUT_MOST)
		loop_run(&loop);
	for (size_t i = 0; i < ntokens; i++)
		if (tokens[i])
			job_cut_answer(&tokens[i], S("1"), false);
	ntokens = 0;
	ok(ask(&a[0], "many", S("x")), "then there is room again");
	loop_run(&loop);
	answered("1", false);
}

static void
test_gone(struct job_cuts *cuts)
{
	struct job_cut_ask a;
	int before = answers;

	ok(ask(&a, "leaves", S("x")), "a question");
	loop_run(&loop);
	job_cuts_stop(cuts);
	ok(!job_cuts_serves(cuts), "the master waits for no more");
	answered("11", false);
	is(last_done, "11", "and answers what it has");
	eq(answers, before + 1, "once");
	job_cuts_go(cuts);
	usleep(600000); /* a relay looks for a master twice a second */
	while (!ask(&a, "back", S("x")))
		(void)uv_run(&loop.uv, UV_RUN_NOWAIT);
	loop_run(&loop);
	answered("1", false);
	is(last_done, "1", "it waits again");
}

int
main(void)
{
	struct job_cuts *cuts, *second;
	struct job_cut_ask a;

	must(mkdtemp(dir));
	loop_init(&loop);
	cut = job_cut_new(&loop, dir);
	ok(!ask(&a, "nobody", S("x")), "no master waits");
	cuts = job_cuts_new(&loop, dir, "tcp_lmtp", on_ask, NULL);
	second = job_cuts_new(&loop, dir, "tcp_lmtp", on_ask, NULL);
	ok(job_cuts_serves(cuts) && !job_cuts_serves(second), "of two the first one serves");
	usleep(600000);
	(void)uv_run(&loop.uv, UV_RUN_NOWAIT);
	test_questions();
	test_rest();
	test_late();
	test_late_alone();
	test_cancel();
	ntokens = 0;
	test_most();
	test_gone(cuts);
	return done();
}
