/* Requests on their way to the writers.
 *
 * Everything that can be wrong with a request itself is refused here, so that the writers only
 * meet what can be done or can fail for reasons of the store.  A delivery whose recipients live
 * in several partitions becomes one job for each; its answer is put together again. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "stored.h"

static size_t waiting;

size_t
jobs_waiting(void)
{
	return waiting;
}

void
reply_now(struct client *c, uint32_t id, enum store_code code, struct verdict v)
{
	const struct store_reply r = { .code = code, .verdict = v };

	reply_to(c, id, &r);
}

static void
submit(struct client *c, struct part *part, struct store_job *j)
{
	j->owner = c;
	waiting++;
	client_busy(c, j->weight);
	store_part_submit(part->p, j);
}

/* ---- deliveries to several partitions ---------------------------------------------------------- */

struct split {
	uint32_t id;
	size_t parts, n;
	struct store_result *results;
	uint16_t at[];          /* of each job's targets in turn: the place in the results */
};

static void
split_finished(struct client *c, struct split *s, struct store_job *j)
{
	for (size_t i = 0; i < j->req.ntargets; i++) {
		struct store_result *r = &s->results[s->at[j->req.count + i]];

		if (j->reply.nresults == j->req.ntargets)
			*r = j->reply.results[i];
		else
			*r = (struct store_result){ .verdict = j->reply.verdict, .code = j->reply.code };
	}
	if (--s->parts == 0) {
		struct store_reply r = { .verdict = verdict(OK, 250, "2.0.0", "done"),
			.results = s->results, .nresults = s->n };

		reply_to(c, s->id, &r);
		mem_free(&s->results);
		mem_free(&s);
	}
}

void
job_finished(struct store_job *j)
{
	struct client *c = j->owner;
	size_t weight = j->weight;

	if (c) { /* the purge's have none */
		waiting--;
		if (j->owner2)
			split_finished(c, j->owner2, j);
		else
			reply_to(c, j->req.id, &j->reply);
	}
	store_job_free(&j);
	if (c)
		client_unref(c, weight);
}

/* One job for the targets that live in `part`; they are copied behind each other. */
static void
submit_share(struct client *c, struct split *s, struct part *part, struct part *const *homes,
    const struct store_job *whole, int fd, bool foreign, size_t *used)
{
	struct store_job *j = store_job_new();
	const struct store_message *m = whole->req.messages;
	size_t n = 0;

	j->req.verb = STORE_V_DELIVER;
	j->req.id = s->id;
	j->req.count = (uint32_t)*used;
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
		j->req.targets[n++] = t;
		s->at[(*used)++] = (uint16_t)i;
	}
	j->req.ntargets = n;
	j->fds = arena_array(&j->arena, 1, sizeof(int));
	j->fds[0] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	j->foreign = foreign;
	j->owner2 = s;
	s->parts++;
	submit(c, part, j);
}

static void
submit_split(struct client *c, struct store_job *whole, struct part *const *homes, struct part *body)
{
	size_t n = whole->req.ntargets, used = 0;
	struct split *s = mem_new(sizeof(*s) + n * sizeof(s->at[0]));

	s->id = whole->req.id;
	s->n = n;
	s->results = mem_array(n, sizeof(*s->results));
	s->parts = 1; /* until all shares are out */
	for (size_t i = 0; i < parts_count(); i++) {
		bool any = false;

		for (size_t k = 0; k < n; k++)
			any |= homes[k] == part_at(i);
		if (any)
			submit_share(c, s, part_at(i), homes, whole, whole->fds[0], part_at(i) != body,
			    &used);
	}
	s->parts--;
	must(s->parts > 0);
	store_job_free(&whole);
}

/* ---- checks ------------------------------------------------------------------------------------------ */

static bool
keywords_ok(struct slice list)
{
	struct slice word;

	while (store_keyword_next(&list, &word))
		if (!store_keyword_ok(word))
			return false;
	return true;
}

static void
refuse(struct client *c, struct store_job *j, const char *why)
{
	log_event(LOG_WARN, "store_refused", "who=%s verb=%d why=%s", log_str(c->who), (int)j->req.verb,
	    log_str(why));
	reply_now(c, j->req.id, STORE_REFUSED, verdict(PERM, 554, "5.5.4", "%s", why));
	store_job_free(&j);
}

/* The descriptors of the bodies become the job's. */
static bool
take_bodies(struct client *c, struct store_job *j, struct part **home)
{
	bool all = true;

	*home = NULL;
	j->fds = arena_array(&j->arena, j->req.nmessages, sizeof(int));
	for (size_t i = 0; i < j->req.nmessages; i++) {
		j->fds[i] = client_body_take(c, j->req.messages[i].token, home);
		all &= j->fds[i] >= 0 && keywords_ok(j->req.messages[i].keywords);
	}
	return all;
}

/* ---- verbs ----------------------------------------------------------------------------------------------- */

static void
route_deliver(struct client *c, struct store_job *j)
{
	struct part **homes, *body;
	bool same = true;

	if (j->req.nmessages != 1 || j->req.ntargets == 0 || j->req.ntargets > STORE_TARGETS_MAX ||
	    !take_bodies(c, j, &body)) {
		refuse(c, j, "bad delivery");
		return;
	}
	homes = arena_array(&j->arena, j->req.ntargets, sizeof(struct part *));
	for (size_t i = 0; i < j->req.ntargets; i++) {
		const struct store_target *t = &j->req.targets[i];
		struct account *a = store_account_check(t->account) == 0 && keywords_ok(t->keywords) ?
		    account_get(t->account, t->partition) : NULL;

		if (!a) {
			refuse(c, j, "bad account or partition");
			return;
		}
		homes[i] = a->part;
		same &= homes[i] == homes[0];
	}
	if (same) {
		j->foreign = homes[0] != body;
		submit(c, homes[0], j);
	} else
		submit_split(c, j, homes, body);
}

static void
route_account(struct client *c, struct store_job *j)
{
	struct account *a = store_account_check(j->req.name) == 0 ?
	    account_get(j->req.name, j->req.name2) : NULL;
	struct store_reply r = { .verdict = verdict(OK, 250, "2.0.0", "done") };

	if (!a) {
		refuse(c, j, "bad account or partition");
		return;
	}
	if (!a->id) {
		submit(c, a->part, j);
		return;
	}
	r.account = a->id;
	r.mailbox = a->inbox;
	r.partition = slice_str(a->part->name);
	r.path = slice_str(store_part_path(a->part->p));
	reply_to(c, j->req.id, &r);
	store_job_free(&j);
}

static void
route_by_id(struct client *c, struct store_job *j, uint64_t id)
{
	struct part *part = part_of_id(id);

	if (part)
		submit(c, part, j);
	else {
		reply_now(c, j->req.id, STORE_NOMAILBOX, verdict(PERM, 550, "5.1.1", "no such mailbox"));
		store_job_free(&j);
	}
}

static void
dispatch(struct client *c, struct store_job *j)
{
	const struct store_request *r = &j->req;
	struct part *body;

	switch (r->verb) {
	case STORE_V_DELIVER:
		route_deliver(c, j);
		return;
	case STORE_V_ACCOUNT:
		route_account(c, j);
		return;
	case STORE_V_APPEND:
		if (r->nmessages == 0 || !take_bodies(c, j, &body))
			refuse(c, j, "bad message");
		else {
			j->foreign = body != part_of_id(r->mailbox);
			route_by_id(c, j, r->mailbox);
		}
		return;
	case STORE_V_CREATE:
		if (r->how > STORE_USE_MAX)
			refuse(c, j, "bad special use");
		else
			route_by_id(c, j, r->account);
		return;
	case STORE_V_DELETE:
	case STORE_V_RENAME:
	case STORE_V_SUBSCRIBE:
	case STORE_V_RECOUNT:
		route_by_id(c, j, r->account);
		return;
	case STORE_V_FLAGS:
		if (r->how > STORE_REMOVE || !keywords_ok(r->keywords))
			refuse(c, j, "bad flags");
		else
			route_by_id(c, j, r->mailbox);
		return;
	case STORE_V_COPY:
	case STORE_V_MOVE:
		if (r->mailbox2 >> 48 != r->mailbox >> 48)
			refuse(c, j, "copies stay in a partition");
		else
			route_by_id(c, j, r->mailbox);
		return;
	case STORE_V_SNAPSHOT:
		if (part_named(r->name))
			submit(c, part_named(r->name), j);
		else
			refuse(c, j, "no such partition");
		return;
	case STORE_V_EXPUNGE:
	case STORE_V_CLAIM:
	case STORE_V_ADOPT:
		route_by_id(c, j, r->mailbox);
		return;
	case STORE_V_PING:
	case STORE_V_HELLO:
	case STORE_V_BODIES:
	case STORE_V_RELEASE:
	case STORE_V_WATCH:
	case STORE_V_PURGED:
	case STORE_V_REPLY:
	case STORE_V_EVENT:
	default:
		refuse(c, j, "unknown request");
	}
}

void
route(struct client *c, struct store_head *head, struct slice body)
{
	struct store_job *j = store_job_new();

	j->req.verb = (enum store_verb)head->verb;
	j->req.id = head->id;
	j->weight = body.n;
	body = arena_slice(&j->arena, body);
	if (daemon_draining()) {
		reply_now(c, head->id, STORE_AWAY, verdict(TEMP, 451, "4.3.2", "message store is stopping"));
		store_job_free(&j);
	} else if (store_request_parse(body, &j->arena, &j->req) < 0)
		refuse(c, j, "bad request");
	else
		dispatch(c, j);
}
