/* Turns: nobody waits for all that another has asked before.
 *
 * Owns struct turns and its lanes.  Jobs wait in lanes: of an account (the login for which it is asked), of
 * a client that asks for itself, and, for mail, of the account of the first recipient.  A lane's jobs
 * stay in the order in which they were sent; lanes take turns by what their jobs will cost (deficit
 * round robin: who has had more than its turn pays in the next ones).  Mail and people get half each
 * while both wait, however many lanes either has.  Jobs that must run alone in a batch come every other
 * time at most.
 *
 * Of one lane what collides with a long job (long.c) is parked, so that what does not may pass; when
 * a long job has ended the parked ones are put back between the others by the numbers that they got
 * at first.  What names folders never passes what names folders.
 *
 * Each request costs O(1): a visit gives credit, a job takes at most COST_MOST / TURN visits.  What may
 * wait is bounded: of an account here, of a client by stored's loop, which does not read on.  A bound of
 * the account is an answer and no pause, because imapd's other users are on the same connection.
 * Nothing here is on disk: what a crash takes was not answered. */
#include "store/writer/turns-impl.h"

#include "base/mem.h"
#include "base/must.h"

#define TURN      250u  /* us of credit for a visit */
#define COST_MOST 1000u /* us that a job is taken for; what it really takes, long.c bounds */
#define KEY_ROOM  64u   /* bytes of a key that a lane has at least, so that it can be another's */
#define SPARE     64u   /* lanes that are kept */

struct lane {
	struct list link; /* of a ring; alone when all jobs are parked */
	struct list parked_link;
	struct list jobs, parked; /* both in the order of their numbers */
	size_t n, bytes;          /* of all jobs */
	size_t names_parked;      /* of those that name folders */
	int32_t credit;
	size_t nkey;
	char key[];
};

/* ---- what a job is ----------------------------------------------------------------------------- */

static const struct store_verb_info *
turn_verb(const struct store_job *j)
{
	const struct store_verb_info *v = store_verb_find(j->req.verb);

	must(v); /* stored has let it through */
	return v;
}

static bool
turn_is_mail(const struct store_job *j)
{
	return j->req.verb == STORE_V_DELIVER;
}

static bool
turn_names(const struct store_job *j)
{
	return turn_verb(j)->home == STORE_AT_ACCOUNT;
}

/* UIDs cost a tenth of a microsecond, as far as they are there. */
static uint32_t
cost_of_ranges(const struct store_request *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->nranges && n < COST_MOST * 10; i++)
		n += (uint64_t)r->ranges[i].last - r->ranges[i].first + 1;
	return n < COST_MOST * 5 ? (uint32_t)n / 10 : COST_MOST / 2;
}

static uint32_t
turn_cost(const struct store_job *j)
{
	const struct store_request *r = &j->req;
	uint64_t us = 40;

	if (turn_verb(j)->flags & STORE_VF_ALONE)
		us = COST_MOST;
	else if (r->nmessages)
		us += 30 * r->nmessages + 20 * r->ntargets;
	else if (r->nranges)
		us += cost_of_ranges(r);
	else if (turn_names(j))
		us = 100;
	return us < COST_MOST ? (uint32_t)us : COST_MOST;
}

static struct slice
turn_key(const struct store_job *j, char room[1 + STORE_ACCOUNT_MAX])
{
	struct slice who = j->req.actor;

	room[0] = 'a';
	if (turn_is_mail(j)) {
		room[0] = 'm';
		who = j->req.ntargets ? j->req.targets[0].account : slice(NULL, 0);
	} else if (!who.n) {
		room[0] = 'c';
		who = slice((const char *)&j->owner, sizeof(j->owner));
	}
	if (who.n > STORE_ACCOUNT_MAX)
		who.n = STORE_ACCOUNT_MAX;
	if (who.n)
		memcpy(room + 1, who.p, who.n);
	return slice(room, 1 + who.n);
}

/* ---- lanes ------------------------------------------------------------------------------------- */

static struct lane *
lane_of(struct turns *t, const struct store_job *j)
{
	char room[1 + STORE_ACCOUNT_MAX];
	struct slice key = turn_key(j, room);
	struct lane *l = map_get(&t->lanes, key);

	if (l)
		return l;
	l = key.n <= KEY_ROOM ? list_first(&t->spare, struct lane, link) : NULL;
	if (l) {
		list_remove(&l->link);
		t->nspare--;
	} else
		l = mem_new(sizeof(*l) + (key.n > KEY_ROOM ? key.n : KEY_ROOM));
	list_init(&l->link);
	list_init(&l->parked_link);
	list_init(&l->jobs);
	list_init(&l->parked);
	l->names_parked = 0;
	l->credit = (int32_t)TURN;
	l->nkey = key.n;
	memcpy(l->key, key.p, key.n);
	map_put(&t->lanes, slice(l->key, l->nkey), l);
	return l;
}

static struct list *
lane_ring(struct turns *t, const struct lane *l)
{
	const struct store_job *j = list_first(&l->jobs, struct store_job, link);

	return &t->rings[turn_verb(j)->flags & STORE_VF_ALONE ? RING_ALONE :
		turn_is_mail(j)                               ? RING_MAIL :
								RING_PEOPLE];
}

/* Where it belongs now: at the end, or in front. */
static void
lane_place(struct turns *t, struct lane *l, bool front)
{
	list_remove(&l->link);
	if (list_empty(&l->jobs))
		return;
	if (front)
		list_push_front(lane_ring(t, l), &l->link);
	else
		list_push(lane_ring(t, l), &l->link);
}

/* The first of its jobs has been taken or parked: it goes on with the next one, if that may stand in the
 * same ring. */
static void
lane_stay(struct turns *t, struct lane *l, const struct list *ring)
{
	if (list_empty(&l->jobs) || lane_ring(t, l) != ring)
		lane_place(t, l, false);
	if (l->n)
		return;
	map_take(&t->lanes, slice(l->key, l->nkey));
	if (l->nkey <= KEY_ROOM && t->nspare < SPARE) {
		list_push(&t->spare, &l->link);
		t->nspare++;
	} else
		mem_free(&l);
}

/* Before those that were sent later: most often that is at the end. */
static void
lane_insert(struct list *jobs, struct store_job *j)
{
	struct list *at = jobs;

	while (at->prev != jobs && CONTAINER(at->prev, struct store_job, link)->seq > j->seq)
		at = at->prev;
	list_insert_before(at, &j->link);
}

static void
lane_park(struct turns *t, struct lane *l, struct store_job *j)
{
	list_remove(&j->link);
	lane_insert(&l->parked, j);
	if (list_empty(&l->parked_link))
		list_push(&t->parked, &l->parked_link);
	l->names_parked += turn_names(j);
	t->ready--;
}

/* The same from the front: it was there before. */
static void
lane_insert_front(struct list *jobs, struct store_job *j)
{
	struct list *at = jobs->next;

	while (at != jobs && CONTAINER(at, struct store_job, link)->seq < j->seq)
		at = at->next;
	list_insert_before(at, &j->link);
}

static void
lane_take(struct turns *t, struct lane *l, struct store_job *j, struct list *jobs)
{
	list_remove(&j->link);
	list_push(jobs, &j->link);
	l->credit -= (int32_t)j->cost;
	l->n--;
	l->bytes -= j->weight;
	t->n--;
	t->ready--;
}

/* ---- in ---------------------------------------------------------------------------------------- */

void
writer_turns_init(struct turns *t)
{
	*t = (struct turns){ .n = 0 };
	for (size_t i = 0; i < RINGS; i++)
		list_init(&t->rings[i]);
	list_init(&t->parked);
	list_init(&t->spare);
}

void
writer_turns_fini(struct turns *t)
{
	struct lane *l;

	must(t->n == 0);
	map_fini(&t->lanes);
	while ((l = list_first(&t->spare, struct lane, link))) {
		list_remove(&l->link);
		mem_free(&l);
	}
}

bool
writer_turns_put(struct turns *t, struct store_job *j)
{
	struct lane *l = lane_of(t, j);

	if (l->n && l->key[0] == 'a' &&
	    (l->n >= TURN_JOBS_MOST || l->bytes + j->weight > TURN_BYTES_MOST))
		return false;
	j->cost = turn_cost(j);
	j->seq = ++t->seq;
	l->n++;
	l->bytes += j->weight;
	t->n++;
	t->ready++;
	list_push(&l->jobs, &j->link);
	if (list_empty(&l->link))
		lane_place(t, l, false);
	return true;
}

/* ---- out --------------------------------------------------------------------------------------- */

static enum judgement
turns_judge(const struct lane *l, const struct store_job *j, judge_fn *judge, const void *arg)
{
	return l->names_parked && turn_names(j) ? JUDGE_PARK : judge(arg, j);
}

/* One that runs alone, by itself. */
static size_t
take_alone(struct turns *t, struct list *jobs, judge_fn *judge, const void *arg)
{
	struct list *ring = &t->rings[RING_ALONE];
	struct lane *l;
	size_t n = 0;

	while (n == 0 && (l = list_first(ring, struct lane, link))) {
		struct store_job *j = list_first(&l->jobs, struct store_job, link);

		if (turns_judge(l, j, judge, arg) == JUDGE_TAKE) {
			lane_take(t, l, j, jobs);
			list_remove(&l->link); /* the next one has a turn too */
			n = 1;
		} else
			lane_park(t, l, j);
		lane_stay(t, l, list_empty(&l->link) ? NULL : ring);
	}
	return n;
}

static struct list *
turns_ring(struct turns *t)
{
	struct list *mail = &t->rings[RING_MAIL], *people = &t->rings[RING_PEOPLE];

	if (list_empty(mail) || list_empty(people))
		t->balance = 0;
	return list_empty(mail) || (t->balance > 0 && !list_empty(people)) ? people : mail;
}

/* What may share a batch, until it is full. */
static size_t
take_together(struct turns *t, struct list *jobs, judge_fn *judge, const void *arg)
{
	uint32_t cost = 0;
	size_t n = 0;

	while (n < BATCH_MOST && cost < BATCH_COST) {
		struct list *ring = turns_ring(t);
		struct lane *l = list_first(ring, struct lane, link);
		struct store_job *j;

		if (!l)
			break;
		if (l->credit <= 0) {
			l->credit += (int32_t)TURN;
			lane_place(t, l, false);
			continue;
		}
		j = list_first(&l->jobs, struct store_job, link);
		if (turns_judge(l, j, judge, arg) == JUDGE_TAKE) {
			lane_take(t, l, j, jobs);
			t->balance += turn_is_mail(j) ? (int64_t)j->cost : -(int64_t)j->cost;
			cost += j->cost;
			n++;
		} else
			lane_park(t, l, j);
		lane_stay(t, l, ring);
	}
	return n;
}

size_t
writer_turns_take(struct turns *t, struct list *jobs, judge_fn *judge, const void *arg)
{
	size_t n = t->was_alone ? 0 : take_alone(t, jobs, judge, arg);

	t->was_alone = n > 0;
	if (n == 0)
		n = take_together(t, jobs, judge, arg);
	if (n == 0) { /* there is nothing else, or all of that has been parked */
		n = take_alone(t, jobs, judge, arg);
		t->was_alone = n > 0;
	}
	return n;
}

/* ---- back -------------------------------------------------------------------------------------- */

void
writer_turns_return(struct turns *t, struct list *jobs)
{
	struct store_job *j;

	/* The last one first, so that lanes stand as they did. */
	while ((j = list_last(jobs, struct store_job, link))) {
		struct lane *l = lane_of(t, j);

		list_remove(&j->link);
		lane_insert_front(&l->jobs, j);
		l->credit += (int32_t)j->cost;
		l->n++;
		l->bytes += j->weight;
		t->n++;
		t->ready++;
		lane_place(t, l, true);
	}
}

static void
lane_unpark(struct turns *t, struct lane *l)
{
	struct store_job *j, *next = list_first(&l->jobs, struct store_job, link);

	list_remove(&l->parked_link);
	while ((j = list_first(&l->parked, struct store_job, link))) {
		list_remove(&j->link);
		while (next && next->seq < j->seq)
			next = next->link.next == &l->jobs ?
			    NULL :
			    CONTAINER(next->link.next, struct store_job, link);
		list_insert_before(next ? &next->link : &l->jobs, &j->link);
		t->ready++;
	}
	l->names_parked = 0;
	lane_place(t, l, false);
}

void
writer_turns_unpark(struct turns *t)
{
	struct lane *l;

	while ((l = list_first(&t->parked, struct lane, parked_link)))
		lane_unpark(t, l);
}
