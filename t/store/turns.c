/* Whose request is next: lanes, shares, order. */
#include "base/mem.h"
#include "store/writer/turns-impl.h"
#include "../tap.h"

static struct turns turns;
static struct list batch;
static uint32_t next_id;
static uint64_t held; /* this mailbox collides */

static struct store_job *
job(enum store_verb verb, const char *who, uint64_t mailbox)
{
	struct store_job *j = store_job_new();

	j->req.verb = verb;
	j->req.id = ++next_id;
	j->req.mailbox = mailbox;
	if (verb == STORE_V_DELIVER) {
		j->req.targets = arena_array(&j->arena, 1, sizeof(*j->req.targets));
		j->req.targets[0] = (struct store_target){ .account = slice_str(who) };
		j->req.ntargets = 1;
	} else
		j->req.actor = slice_str(who);
	return j;
}

static uint32_t
put(enum store_verb verb, const char *who, uint64_t mailbox)
{
	struct store_job *j = job(verb, who, mailbox);

	if (!writer_turns_put(&turns, j)) {
		store_job_free(&j);
		return 0;
	}
	return next_id;
}

static enum judgement
judge(const void *arg, const struct store_job *j)
{
	(void)arg;
	return held && j->req.mailbox == held ? JUDGE_PARK : JUDGE_TAKE;
}

static size_t
take(void)
{
	return writer_turns_take(&turns, &batch, judge, NULL);
}

/* How many of the batch are of this verb; it stays. */
static size_t
batch_count(enum store_verb verb)
{
	struct store_job *j;
	size_t n = 0;

	list_each(j, &batch, struct store_job, link) n += j->req.verb == verb;
	return n;
}

/* Where in the batch the request is, from 1 on; 0: it is not. */
static size_t
batch_find(uint32_t id)
{
	struct store_job *j;
	size_t at = 0;

	list_each(j, &batch, struct store_job, link)
	{
		at++;
		if (j->req.id == id)
			return at;
	}
	return 0;
}

static void
batch_over(void)
{
	struct store_job *j;

	while ((j = list_first(&batch, struct store_job, link))) {
		list_remove(&j->link);
		store_job_free(&j);
	}
}

static void
drain(void)
{
	while (take())
		batch_over();
	eq(turns.n + turns.lanes.n, 0, "nothing is left, not even a lane");
}

static void
test_accounts(void)
{
	uint32_t ann;

	for (int i = 0; i < 900; i++)
		put(STORE_V_SUBSCRIBE, "joe", 0);
	ann = put(STORE_V_FLAGS, "ann", 1);
	take();
	ok(batch_find(ann) && batch_find(ann) < 10, "one request is not behind another's 900");
	ok(turns.n > 500, "which do not all come into its batch");
	batch_over();
	drain();
}

static void
test_order(void)
{
	uint32_t before = 0;
	bool good = true;
	struct store_job *j;

	for (int i = 0; i < 300; i++)
		put(i % 3 ? STORE_V_FLAGS : STORE_V_CREATE, i % 2 ? "joe" : "ann", 7);
	while (take()) {
		list_each(j, &batch, struct store_job, link)
		{
			if (!slice_eq(j->req.actor, S("joe")))
				continue;
			good &= j->req.id > before;
			before = j->req.id;
		}
		batch_over();
	}
	ok(good && before == next_id, "what one account asks stays in its order");
}

static void
test_mail(void)
{
	static char people[400][8];
	size_t mail;

	for (int i = 0; i < (int)NELEM(people); i++) {
		snprintf(people[i], sizeof(people[i]), "u%d", i);
		put(STORE_V_FLAGS, people[i], 1);
		put(STORE_V_DELIVER, i % 2 ? "ann" : "joe", 0);
	}
	take();
	mail = batch_count(STORE_V_DELIVER);
	eq(mail, batch_count(STORE_V_FLAGS), "mail for two has half of a batch beside 400 people");
	batch_over();
	drain();
}

static void
test_alone(void)
{
	size_t alone = 0, others = 0, row = 0, worst = 0;
	uint32_t ann;

	for (int i = 0; i < 20; i++)
		put(STORE_V_DELETE, i % 2 ? "joe" : "jim", 0);
	for (int i = 0; i < 900; i++)
		put(STORE_V_SUBSCRIBE, "ann", 0);
	ann = next_id;
	while (take()) {
		size_t n = batch_count(STORE_V_DELETE);

		ok(!n || (n == 1 && !batch_count(STORE_V_SUBSCRIBE)), "a DELETE is alone");
		alone += n;
		others += !n;
		row = n ? row + 1 : 0;
		if (row > worst && turns.n > 20)
			worst = row;
		if (batch_find(ann))
			ann = 0;
		batch_over();
	}
	ok(worst == 1 && !ann, "and lets the others into every other batch");
	eq(alone, 20, "all of them have come, in %zu other batches", others);
	drain();
}

static void
test_parked(void)
{
	uint32_t first, other, name, second, third;

	held = 5;
	first = put(STORE_V_FLAGS, "joe", 5);
	other = put(STORE_V_FLAGS, "joe", 6);
	second = put(STORE_V_EXPUNGE, "joe", 5);
	eq(take(), 1, "of an account what does not collide");
	ok(batch_find(other), "passes what does");
	batch_over();
	eq(turns.n, 2, "which is not lost");
	eq(turns.ready, 0, "and not ready");
	third = put(STORE_V_FLAGS, "joe", 6);
	held = 0;
	writer_turns_unpark(&turns);
	eq(take(), 3, "until its time has come");
	ok(batch_find(first) == 1 && batch_find(second) == 2 && batch_find(third) == 3,
	    "then it has its place");
	batch_over();

	held = 9;
	name = put(STORE_V_DELETE, "joe", 9);
	second = put(STORE_V_CREATE, "joe", 0);
	third = put(STORE_V_FLAGS, "joe", 6);
	eq(take(), 1, "what names folders waits");
	ok(batch_find(third) && !batch_find(second), "behind what names folders");
	batch_over();
	held = 0;
	writer_turns_unpark(&turns);
	take();
	ok(batch_find(name), "one");
	batch_over();
	take();
	ok(batch_find(second), "after the other");
	batch_over();
	drain();
}

/* One that has been taken and given back may have to wait after one that was sent later. */
static void
test_parked_late(void)
{
	uint32_t first, second;

	first = put(STORE_V_FLAGS, "joe", 3);
	held = 4;
	take();
	second = put(STORE_V_FLAGS, "joe", 4);
	put(STORE_V_FLAGS, "joe", 6);
	writer_turns_return(&turns, &batch);
	writer_turns_take(&turns, &batch, judge, NULL); /* parks the second, takes the first */
	eq(batch_find(first), 1, "taken");
	writer_turns_return(&turns, &batch);
	held = 3;
	take();
	batch_over();
	held = 0;
	writer_turns_unpark(&turns);
	take();
	ok(batch_find(first) == 1 && batch_find(second) == 2,
	    "given back, and parked in its order");
	batch_over();
	drain();
}

static void
test_return(void)
{
	uint32_t id[6];
	size_t n;

	for (size_t i = 0; i < NELEM(id); i++)
		id[i] = put(STORE_V_FLAGS, i % 2 ? "joe" : "ann", 1);
	n = take();
	writer_turns_return(&turns, &batch);
	eq(turns.n, NELEM(id), "a batch goes back");
	put(STORE_V_FLAGS, "new", 1);
	eq(take(), n + 1, "and comes again");
	ok(batch_find(id[0]) < batch_find(id[2]) && batch_find(id[1]) < batch_find(id[3]) &&
		batch_find(id[5]) < 7,
	    "before others, in its order");
	batch_over();
	drain();
}

static void
test_bounds(void)
{
	struct store_job *j;
	size_t n = 0;

	while (put(STORE_V_FLAGS, "joe", 1))
		n++;
	eq(n, TURN_JOBS_MOST, "so many requests of an account may wait");
	ok(put(STORE_V_FLAGS, "ann", 1), "another's is none of them");
	ok(put(STORE_V_DELIVER, "joe", 0), "nor is mail");
	drain();
	for (n = 0; n < 3; n++) {
		j = job(STORE_V_FLAGS, "joe", 1);
		j->weight = TURN_BYTES_MOST - 1;
		if (writer_turns_put(&turns, j))
			continue;
		store_job_free(&j);
		break;
	}
	eq(n, 1, "and so many bytes, but one of any size");
	drain();
}

int
main(void)
{
	writer_turns_init(&turns);
	list_init(&batch);
	test_accounts();
	test_order();
	test_mail();
	test_alone();
	test_parked();
	test_parked_late();
	test_return();
	test_bounds();
	writer_turns_fini(&turns);
	return done();
}
