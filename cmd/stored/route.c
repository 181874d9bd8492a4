/* Requests on their way to the writers.
 *
 * Owns the count of jobs that are with the writers.  Called by server.c for whatever stored's loop
 * does not answer itself.  Everything that can be wrong with a request is refused here, by its
 * line in the table of verbs, so that the writers only meet what can be done or can fail for
 * reasons of the store.  What must stay true: each request is answered once.  A delivery whose
 * recipients live in several partitions becomes one job for each, because each partition has a
 * writer of its own; its answer is put together again. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "stored.h"

#define REQUEST_ROOM                                                                               \
	1024 /* what a request with few targets, and its answer, take besides its bytes */

#define SPARE_JOBS 64          /* kept for the next requests, */
#define SPARE_MOST (8u * 1024) /* with as much of their memory: half a MiB in all */

static size_t waiting;
static struct store_job *spare[SPARE_JOBS];
static size_t nspare;

/* ---- jobs come and go, a few are kept ---------------------------------------------------------- */

static struct store_job *
job_take(void)
{
	return nspare ? spare[--nspare] : store_job_new();
}

/* What a request left behind is gone but for the bytes of its memory. */
static void
job_give(struct store_job **jp)
{
	struct store_job *j = *jp;
	struct arena arena;

	if (nspare == SPARE_JOBS) {
		store_job_free(jp);
		return;
	}
	*jp = NULL;
	for (size_t i = 0; j->fds && i < j->req.nmessages; i++)
		if (j->fds[i] >= 0)
			close(j->fds[i]);
	arena_rewind(&j->arena, SPARE_MOST);
	arena = j->arena;
	*j = (struct store_job){ .arena = arena };
	list_init(&j->link);
	spare[nspare++] = j;
}

void
stored_jobs_fini(void)
{
	while (nspare)
		store_job_free(&spare[--nspare]);
}

size_t
stored_jobs_waiting(void)
{
	return waiting;
}

void
stored_reply_now(struct client *c, uint32_t id, enum store_code code, struct verdict v)
{
	const struct store_reply r = { .code = code, .verdict = v };

	reply_to(c, id, &r);
}

/* The accounts that the writer finds, or makes, by their names. */
static void
job_names(const struct store_job *j, int by)
{
	const struct store_verb_info *v = store_verb_find(j->req.verb);

	if (v->home == STORE_AT_NAME)
		account_job(j->req.name, by);
	for (size_t i = 0; v->home == STORE_AT_TARGETS && i < j->req.ntargets; i++)
		account_job(j->req.targets[i].account, by);
	if (j->req.verb == STORE_V_RENAME_ACCOUNT)
		account_job(j->req.name2, by);
}

static void
stored_route_submit(struct client *c, struct part *part, struct store_job *j)
{
	j->owner = c;
	j->holder = c->number;
	waiting++;
	job_names(j, 1);
	client_busy(c, j->weight);
	if (store_part_submit(part->p, j))
		return;
	metric_add(M_BUSY, 1);
	j->reply = (struct store_reply){ .code = STORE_LIMIT, .verdict = verdict(OUT_STORE_BUSY) };
	stored_job_finished(j);
}

/* ---- accounts that somebody moves ------------------------------------------------------------------ */

/* Nobody waits for it. */
static void
held_end(const struct client *c, uint64_t account)
{
	struct part *part = part_of_id(account);
	struct store_job *j;

	if (!part)
		return;
	j = job_take();
	j->req.verb = STORE_V_FREEZE;
	j->req.account = account;
	j->holder = c->number;
	j->ends = true;
	if (!store_part_submit(part->p, j))
		job_give(&j);
}

void
stored_held_end(struct client *c)
{
	const uint64_t *list = (const void *)c->held.p;

	for (size_t i = 0; i < c->held.n / sizeof(*list); i++)
		held_end(c, list[i]);
	buf_clear(&c->held);
}

/* A FREEZE is answered, whatever with: a batch that fails takes back what is on disk, not who holds what.  Its client may
 * have gone meanwhile. */
static void
freeze_finished(struct client *c, const struct store_job *j)
{
	const uint64_t *list = (const void *)c->held.p;

	if (j->req.use == STORE_COMING || j->req.use == STORE_COME)
		return;
	if (c->closed) {
		held_end(c, j->req.account);
		return;
	}
	for (size_t i = 0; i < c->held.n / sizeof(*list); i++)
		if (list[i] == j->req.account)
			return;
	buf_add(&c->held, &j->req.account, sizeof(j->req.account));
}

/* ---- deliveries to several partitions ---------------------------------------------------------- */

struct split {
	uint32_t id;
	size_t parts, n; /* shares that are out; targets */
	struct store_result *results;
};
struct share { /* of one partition, in its job's arena */
	struct split *split;
	uint16_t *at; /* of each of its targets: the place in the results */
};

static void
split_end(struct client *c, struct split *s)
{
	struct store_reply r = { .verdict = verdict(OUT_STORE_DONE) };

	if (--s->parts)
		return;
	r.results = s->results;
	r.nresults = s->n;
	reply_to(c, s->id, &r);
	mem_free(&s->results);
	mem_free(&s);
}

static void
split_finished(struct client *c, const struct share *share, const struct store_job *j)
{
	struct split *s = share->split;

	for (size_t i = 0; i < j->req.ntargets; i++) {
		struct store_result *r = &s->results[share->at[i]];

		if (j->reply.nresults == j->req.ntargets)
			*r = j->reply.results[i];
		else
			*r = (struct store_result){ .verdict = j->reply.verdict,
				.code = j->reply.code };
	}
	split_end(c, s);
}

void
stored_job_finished(struct store_job *j)
{
	struct client *c = j->owner;
	size_t weight = j->weight;

	if (c) { /* the purge's have none */
		waiting--;
		job_names(j, -1);
		if (j->req.verb == STORE_V_FREEZE)
			freeze_finished(c, j);
		if (j->owner2)
			split_finished(c, j->owner2, j);
		else
			reply_to(c, j->req.id, &j->reply);
	}
	job_give(&j);
	if (c)
		client_unref(c, weight);
}

/* One job for the targets that live in `part`. */
static void
submit_share(struct client *c, struct split *s, struct part *part, struct part *const *homes,
    const struct store_job *whole, int fd, bool foreign)
{
	struct store_job *j = job_take();
	const struct store_message *m = whole->req.messages;
	struct share *share = arena_new(&j->arena, sizeof(*share));
	size_t n = 0;

	share->split = s;
	share->at = arena_array(&j->arena, whole->req.ntargets, sizeof(share->at[0]));
	j->req.verb = STORE_V_DELIVER;
	j->req.id = s->id;
	j->req.nmessages = 1;
	j->req.messages = arena_array(&j->arena, 1, sizeof(*m));
	j->req.messages[0] = *m;
	j->req.messages[0].keywords = arena_slice(&j->arena, m->keywords);
	j->req.messages[0].cache = arena_slice(&j->arena, m->cache);
	j->req.targets = arena_array(&j->arena, whole->req.ntargets, sizeof(*j->req.targets));
	for (size_t i = 0; i < whole->req.ntargets; i++) {
		struct store_target t = whole->req.targets[i];

		if (homes[i] != part)
			continue;
		t.account = arena_slice(&j->arena, t.account);
		t.folder = arena_slice(&j->arena, t.folder);
		t.keywords = arena_slice(&j->arena, t.keywords);
		share->at[n] = (uint16_t)i;
		j->req.targets[n++] = t;
	}
	j->req.ntargets = n;
	j->fds = arena_array(&j->arena, 1, sizeof(int));
	j->fds[0] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	j->foreign = foreign;
	j->weight = whole->weight;
	j->owner2 = share;
	s->parts++;
	stored_route_submit(c, part, j);
}

/* A target without a home is refused alone: its name or partition is a mistake in the directory,
 * which is no reason to keep the message from the others. */
static void
submit_split(struct client *c, struct store_job *whole, struct part *const *homes,
    struct part *body)
{
	size_t n = whole->req.ntargets;
	struct split *s = mem_new(sizeof(*s));

	s->id = whole->req.id;
	s->n = n;
	s->results = mem_array(n, sizeof(*s->results));
	for (size_t i = 0; i < n; i++)
		if (!homes[i])
			s->results[i] = (struct store_result){ .code = STORE_REFUSED,
				.verdict = verdict(OUT_STORE_NO_ACCOUNT) };
	s->parts = 1; /* until all shares are out */
	for (size_t i = 0; i < parts_count(); i++) {
		bool any = false;

		for (size_t k = 0; k < n; k++)
			any |= homes[k] == part_at(i);
		if (any)
			submit_share(c, s, part_at(i), homes, whole, whole->fds[0],
			    part_at(i) != body);
	}
	split_end(c, s);
	job_give(&whole);
}

/* ---- refusals ----------------------------------------------------------------------------------- */

/* Temporary: it is a bug or two versions that do not fit, and no mail may be lost by either. */
void
stored_refuse(struct client *c, const struct store_label *label, int rc, const char *why)
{
	bool unknown = rc == -EOPNOTSUPP;

	log_event(LOG_WARN, "store_refused", "sid=%s who=%s verb=%s why=%s",
	    log_value(label->trace), log_str(c->who), store_verb_name(label->verb), log_str(why));
	stored_reply_now(c, label->id, unknown ? STORE_UNSUPPORTED : STORE_REFUSED,
	    unknown ? verdict(OUT_STORE_UNKNOWN, why) : verdict(OUT_STORE_FAILED, why));
}

static void
stored_route_refuse(struct client *c, struct store_job *j, const char *why)
{
	const struct store_label label = { .verb = j->req.verb,
		.id = j->req.id,
		.trace = j->req.trace };

	stored_refuse(c, &label, -EBADMSG, why);
	job_give(&j);
}

/* ---- where requests go --------------------------------------------------------------------------- */

/* The descriptors of the bodies become the job's. */
static bool
take_bodies(struct client *c, struct store_job *j, struct part **home)
{
	bool all = true;

	j->fds = arena_array(&j->arena, j->req.nmessages, sizeof(int));
	for (size_t i = 0; i < j->req.nmessages; i++) {
		j->fds[i] = -1;
		if (j->req.verb == STORE_V_RESTORE &&
		    j->req.messages[i].from) /* another has the octets */
			continue;
		j->fds[i] = client_body_take(c, j->req.messages[i].token, home);
		all &= j->fds[i] >= 0;
	}
	return all;
}

static void
route_to_targets(struct client *c, struct store_job *j, struct part *body)
{
	struct part **homes = arena_array(&j->arena, j->req.ntargets, sizeof(struct part *));
	bool same = true;

	for (size_t i = 0; i < j->req.ntargets; i++) {
		const struct store_target *t = &j->req.targets[i];
		const struct account *a = account_get(t->account, t->partition);

		homes[i] = a ? a->part : NULL;
		same &= homes[i] && homes[i] == homes[0];
	}
	if (same) {
		j->foreign = homes[0] != body;
		stored_route_submit(c, homes[0], j);
	} else
		submit_split(c, j, homes, body);
}

static void
route_to_name(struct client *c, struct store_job *j)
{
	const struct account *a = account_get(j->req.name, j->req.partition);
	struct store_reply r = { .verdict = verdict(OUT_STORE_DONE) };

	if (j->req.actor.n && !slice_eq(j->req.actor, j->req.name)) {
		stored_forbid(c,
		    &(struct store_label){ .verb = j->req.verb,
			.id = j->req.id,
			.actor = j->req.actor,
			.trace = j->req.trace },
		    "not this login's account");
		job_give(&j);
		return;
	}
	if (!a) {
		stored_route_refuse(c, j, "no such partition");
		return;
	}
	if (!a->id || j->req.verb != STORE_V_ACCOUNT) {
		stored_route_submit(c, a->part, j);
		return;
	}
	r.account = a->id;
	r.mailbox = a->inbox;
	r.partition = slice_str(a->part->name);
	r.path = slice_str(store_part_path(a->part->p));
	reply_to(c, j->req.id, &r);
	job_give(&j);
}

static void
route_to_id(struct client *c, struct store_job *j, uint64_t id, struct part *body)
{
	struct part *part = part_of_id(id);

	if (part) {
		j->foreign = body && body != part;
		stored_route_submit(c, part, j);
	} else {
		stored_reply_now(c, j->req.id, STORE_NOMAILBOX, verdict(OUT_STORE_NO_BOX));
		job_give(&j);
	}
}

/* The new name is this partition's from now on: mail for it makes no account in another meanwhile. */
static void
route_rename_account(struct client *c, struct store_job *j)
{
	struct part *part = part_of_id(j->req.account);
	const struct account *to = part ? account_get(j->req.name2, slice_str(part->name)) : NULL;

	if (to && to->part != part) {
		stored_reply_now(c, j->req.id, STORE_EXISTS, verdict(OUT_STORE_ACCOUNT_EXISTS));
		job_give(&j);
	} else
		route_to_id(c, j, j->req.account, NULL);
}

static void
route_to_partition(struct client *c, struct store_job *j)
{
	struct part *part = part_named(j->req.partition);

	if (part)
		stored_route_submit(c, part, j);
	else
		stored_route_refuse(c, j, "no such partition");
}

/* The verb is known and the request has all that it needs. */
static void
route_home(struct client *c, struct store_job *j)
{
	const struct store_verb_info *v = store_verb_find(j->req.verb);
	struct part *body = NULL;

	if (v->flags & STORE_VF_BODIES && !take_bodies(c, j, &body)) {
		stored_route_refuse(c, j, "no such body");
		return;
	}
	switch (v->home) {
	case STORE_AT_TARGETS: route_to_targets(c, j, body); break;
	case STORE_AT_NAME: route_to_name(c, j); break;
	case STORE_AT_ACCOUNT:
		if (j->req.verb == STORE_V_RENAME_ACCOUNT)
			route_rename_account(c, j);
		else
			route_to_id(c, j, j->req.account, NULL);
		break;
	case STORE_AT_MAILBOX: route_to_id(c, j, j->req.mailbox, body); break;
	case STORE_AT_PARTITION: route_to_partition(c, j); break;
	case STORE_AT_SOCKET:
	default: stored_route_refuse(c, j, "not for a partition");
	}
}

void
stored_route(struct client *c, const struct store_label *label, struct slice body)
{
	struct store_job *j = job_take();
	const char *why;
	int rc;

	arena_expect(&j->arena, body.n + REQUEST_ROOM);
	j->req.verb = (enum store_verb)label->verb;
	j->req.id = label->id;
	j->req.actor = arena_slice(&j->arena, label->actor);
	j->req.trace = arena_slice(&j->arena, label->trace);
	j->weight = body.n;
	rc = store_request_parse(arena_slice(&j->arena, body), &j->arena, &j->req, &why);
	if (rc < 0) {
		stored_refuse(c, label, rc, why);
		job_give(&j);
	} else if (daemon_draining()) {
		stored_reply_now(c, label->id, STORE_AWAY, verdict(OUT_STORE_STOPPING));
		job_give(&j);
	} else
		route_home(c, j);
}
