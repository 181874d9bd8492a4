/* rules/store.c: reading and changing a person's scripts in the directory.
 *
 *	read the entry -> decide (entry.c) -> change it, asserting its entryCSN -> told to who caches
 *	      ^------------- it has changed meanwhile, or no answer came -------------'
 *
 * Owns each task from its start to its answer, longer than the session that has asked: a change goes on when nobody
 * waits for it any more, so that it is told.  Can fail: the directory, and a person's rights.  Must stay true: nothing
 * is sent that was not decided on the entry as the assertion names it; what was sent and not answered is looked for
 * before it is said to be unknown. */
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "directory/filter.h"
#include "rules/news.h"
#include "rules/rules-impl.h"

#define TASK_MAGIC 0x72756c65u
#define TASK_TRIES 8 /* others were faster */

struct rules_store {
	struct dir_writer *writer;
	const struct rules_limits *limits;
	struct rules_news *news;
	struct list tasks;
};

struct task {
	uint32_t magic;
	struct rules_store *store;
	struct list link;
	struct op op;     /* of the directory */
	struct op *outer; /* NULL: nobody waits */
	rules_done done;
	void *arg;
	struct arena memory; /* of what was asked */
	struct rules_person person;
	struct rules_change change;
	bool reads;  /* nothing is changed */
	bool unsure; /* a change was sent, and no answer came */
	unsigned tries;
	struct arena found; /* of the entry as it was read last */
	struct rules_entry entry;
};

static void task_read(struct task *t);

static void
task_free(struct task *t)
{
	list_remove(&t->link);
	op_cancel(&t->op);
	arena_wipe(&t->memory);
	arena_wipe(&t->found);
	t->magic = 0;
	mem_release(t);
}

static void
task_cancelled(struct op *op)
{
	struct task *t = CAST(op->impl, struct task, TASK_MAGIC);

	op->impl = NULL;
	t->outer = NULL;
	if (t->reads)
		task_free(t);
}

static void
task_end(struct task *t, enum rules_outcome outcome, const char *why)
{
	struct rules_answer a = { outcome, why, { t->entry.scripts, t->entry.n }, t->entry.csn };

	if (t->outer) {
		op_done(t->outer);
		t->done(t->arg, &a);
	}
	task_free(t);
}

/* Others were faster, or it is not known what came of it: from the beginning. */
static void
task_again(struct task *t, const char *why)
{
	if (++t->tries == TASK_TRIES)
		task_end(t, RULES_AWAY, why);
	else
		task_read(t);
}

static void
task_changed(void *arg, const struct dir_modified *m)
{
	struct task *t = CAST(arg, struct task, TASK_MAGIC);

	switch (m->result) {
	case DIR_MODIFIED:
		rules_news_tell(t->store->news, t->person.account);
		task_end(t, RULES_DONE, "");
		break;
	case DIR_ASSERTION_FAILED: task_again(t, "the entry changes all the time"); break;
	case DIR_UNKNOWN:
		rules_news_tell(t->store->news, t->person.account);
		t->unsure = true;
		task_again(t, m->why);
		break;
	case DIR_MODIFY_AWAY: task_end(t, RULES_AWAY, m->why); break;
	case DIR_NO_ENTRY:
	case DIR_DENIED: task_end(t, RULES_DENIED, m->why); break;
	}
}

/* What is not there any more, or is there already, may be our own doing. */
static enum rules_outcome
task_settle(const struct task *t, enum rules_outcome outcome)
{
	const struct rules_set now = { t->entry.scripts, t->entry.n };

	if (!t->unsure || outcome != RULES_NONE)
		return outcome;
	if (t->change.verb == RULES_DELETE ||
	    (t->change.verb == RULES_RENAME && rules_find(&now, t->change.to)))
		return RULES_DONE;
	return outcome;
}

/* Is the entry still the one that the change is for?  When a change was sent that nobody answered it may be ours. */
static bool
task_stale(const struct task *t, const struct rules_edit *edit)
{
	return t->change.csn.p && !slice_eq(t->change.csn, t->entry.csn) &&
	    (!t->unsure || edit->n > 0);
}

static void
task_decide(struct task *t)
{
	struct dir_modify m = { .dn = t->person.dn, .as = t->person.dn };
	struct rules_edit edit = { .n = 0 };
	enum rules_outcome outcome = RULES_DONE;
	struct buf assertion = { 0 };

	if (!t->reads)
		outcome =
		    rules_entry_edit(&t->entry, &t->change, t->store->limits, &t->found, &edit);
	if (!t->reads && task_stale(t, &edit))
		outcome = RULES_STALE;
	if (outcome != RULES_DONE || edit.n == 0) {
		task_end(t, task_settle(t, outcome), "");
		return;
	}
	if (t->entry.csn.n == 0) {
		task_end(t, RULES_DENIED, "entryCSN is not shown");
		return;
	}
	dir_filter_equal(&assertion, "entryCSN", t->entry.csn, S(""));
	m.assertion = buf_cstr(&assertion);
	m.changes = edit.changes;
	m.nchanges = edit.n;
	dir_modify_start(t->store->writer, &m, &t->op, task_changed, t);
	buf_fini(&assertion);
}

static void
task_found(void *arg, const struct dir_modified *m)
{
	struct task *t = CAST(arg, struct task, TASK_MAGIC);

	if (m->result == DIR_MODIFY_AWAY || m->result == DIR_UNKNOWN) {
		task_end(t, RULES_AWAY, m->why);
		return;
	}
	if (m->result != DIR_MODIFIED) {
		task_end(t, RULES_DENIED, *m->why ? m->why : "no such entry for this person");
		return;
	}
	arena_wipe(&t->found);
	rules_entry_read(&t->entry, &t->found, m->before, m->nbefore);
	task_decide(t);
}

static void
task_read(struct task *t)
{
	static const char *const attributes[] = { RULES_RUN, RULES_IDLE, "entryCSN", NULL };

	dir_read_start(t->store->writer, t->person.dn, t->person.dn, attributes, &t->op, task_found,
	    t);
}

static struct task *
rules_task_new(struct rules_store *s, const struct rules_person *p, struct op *op, rules_done done,
    void *arg)
{
	struct task *t = mem_new(sizeof(*t));

	t->magic = TASK_MAGIC;
	t->store = s;
	t->outer = op;
	t->done = done;
	t->arg = arg;
	t->person.dn = arena_slice(&t->memory, p->dn);
	t->person.account = arena_slice(&t->memory, p->account);
	list_push(&s->tasks, &t->link);
	op->cancel = task_cancelled;
	op->impl = t;
	return t;
}

/* ---- what others call -------------------------------------------------------------------------- */

void
rules_read_start(struct rules_store *s, const struct rules_person *p, struct op *op,
    rules_done done, void *arg)
{
	struct task *t = rules_task_new(s, p, op, done, arg);

	t->reads = true;
	task_read(t);
}

void
rules_change_start(struct rules_store *s, const struct rules_person *p,
    const struct rules_change *c, struct op *op, rules_done done, void *arg)
{
	struct task *t = rules_task_new(s, p, op, done, arg);

	t->change = *c;
	t->change.name = arena_slice(&t->memory, c->name);
	t->change.to = arena_slice(&t->memory, c->to);
	t->change.text = arena_slice(&t->memory, c->text);
	t->change.id = arena_slice(&t->memory, c->id);
	t->change.csn = arena_slice(&t->memory, c->csn);
	if (!c->to.p) /* it keeps its name */
		t->change.to = c->to;
	if (!c->text.p)
		t->change.text = c->text;
	if (!c->csn.p)
		t->change.csn = c->csn;
	task_read(t);
}

struct rules_store *
rules_store_new(struct dir *d, const char *dn, const char *password,
    const struct rules_limits *limits, struct rules_news *news)
{
	struct rules_store *s = mem_new(sizeof(*s));

	s->writer = dir_writer_new(d, dn, password);
	s->limits = limits;
	s->news = news;
	list_init(&s->tasks);
	return s;
}

void
rules_store_free(struct rules_store **sp)
{
	struct rules_store *s = *sp;
	struct task *t;

	*sp = NULL;
	while ((t = list_first(&s->tasks, struct task, link))) {
		if (t->outer)
			op_done(t->outer);
		task_free(t);
	}
	dir_writer_free(&s->writer);
	mem_release(s);
}
