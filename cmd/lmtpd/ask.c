/* ask.c: what scripts want to know of the store and of the directory, and what the account is to remember.
 *
 * A run cannot wait, for it is one call on a thread: a question without an answer is noted and ends the run,
 * stored is asked, and the person's scripts run again from their beginning.  That is right because a run does
 * nothing but read, and bounded: so many questions, and the time of all runs together is that of one. */
#include "base/mem.h"
#include "base/must.h"
#include "filter.h"
#include "imap/args.h"

#define LIST_MAX 512 /* octets of a list's name, and of an address that may be in it */

/* ---- on the thread ----------------------------------------------------------------------- */

static bool
ask_same(const struct store_question *a, const struct store_question *b)
{
	return a->what == b->what && a->use == b->use && a->objectid == b->objectid &&
	    memcmp(a->key, b->key, sizeof(a->key)) == 0 && slice_eq(a->folder, b->folder);
}

/* Room for another question, whose run ends with it; NULL: there were too many. */
static struct asked *
lmtpd_ask_new(struct filter *f, struct person *p)
{
	if (p->nasked == FILTER_ASKED_MAX || p->cpu_us > (uint64_t)lconf.sieve_cpu * 1000)
		return NULL;
	if (!p->asked)
		p->asked = arena_array(&f->arena, FILTER_ASKED_MAX, sizeof(*p->asked));
	p->wants = true;
	return &p->asked[p->nasked];
}

static enum sieve_yes
ask_look(struct filter *f, struct person *p, const struct store_question *q)
{
	struct asked *new;

	for (size_t i = 0; i < p->nasked; i++)
		if (!p->asked[i].list.p && ask_same(&p->asked[i].q, q))
			return p->asked[i].yes ? SIEVE_YES : SIEVE_NO;
	new = lmtpd_ask_new(f, p);
	if (new)
		*new = (struct asked){ .q = *q };
	if (new)
		new->q.folder = arena_slice(&f->arena, q->folder);
	return SIEVE_UNKNOWN;
}

/* RFC 6134: without a value, is there such a list?  Lists that nobody can have are not. */
enum sieve_yes
ask_list(struct filter *f, struct person *p, struct slice list, struct slice value)
{
	struct asked *new;

	if (!lists_may_be(list) || list.n > LIST_MAX || value.n > LIST_MAX)
		return SIEVE_NO;
	for (size_t i = 0; i < p->nasked; i++)
		if (p->asked[i].list.p && slice_eq(p->asked[i].list, list) &&
		    !p->asked[i].value.p == !value.p && slice_ieq(p->asked[i].value, value))
			return p->asked[i].yes ? SIEVE_YES : SIEVE_NO;
	new = lmtpd_ask_new(f, p);
	if (new)
		*new = (struct asked){ .list = arena_slice(&f->arena, list),
			.value = value.p ? arena_slice(&f->arena, value) : value };
	return SIEVE_UNKNOWN;
}

enum store_special
ask_use(struct slice name)
{
	for (unsigned u = STORE_USE_NONE + 1; u <= STORE_USE_MAX; u++)
		if (slice_ieq(name, slice_str(store_special_name((enum store_special)u))))
			return (enum store_special)u;
	return STORE_USE_NONE;
}

enum sieve_yes
ask_mailbox(struct filter *f, struct person *p, enum sieve_mailbox_by by, struct slice what,
    struct slice in)
{
	struct store_question q = { .what = STORE_KNOW_FOLDER, .folder = what };

	if (what.n > STORE_NAME_MAX || in.n > STORE_NAME_MAX)
		return SIEVE_NO;
	if (by == SIEVE_BY_ID) {
		q = (struct store_question){ .what = STORE_KNOW_OBJECT,
			.objectid = imap_objectid_number(what, IMAP_MAILBOXID) };
		if (!q.objectid)
			return SIEVE_NO;
	}
	if (by == SIEVE_BY_USE) {
		q.what = STORE_KNOW_USE;
		q.use = (uint8_t)ask_use(what);
		q.folder = in;
		if (q.use == STORE_USE_NONE)
			return SIEVE_NO;
	}
	return ask_look(f, p, &q);
}

/* RFC 7352: what a handle has seen. */
static struct store_question
ask_seen(enum store_know what, struct slice handle, struct slice id)
{
	struct store_question q = { .what = (uint8_t)what };
	struct buf b = { 0 };

	buf_lit(&b, "duplicate\n");
	buf_slice(&b, handle);
	store_dup_key(id, buf_get(&b), q.key);
	buf_fini(&b);
	return q;
}

enum sieve_yes
ask_duplicate(struct filter *f, struct person *p, struct slice handle, struct slice id)
{
	struct store_question q = ask_seen(STORE_KNOW_SEEN, handle, id);

	return ask_look(f, p, &q);
}

/* ---- on the loop ------------------------------------------------------------------------- */

static void
ask_done(void *arg, const struct store_reply *reply)
{
	struct filter *f = CAST(arg, struct filter, FILTER_MAGIC);
	struct person *p = &f->people[f->at];

	p->wants = false;
	if (reply->verdict.kind == OK)
		p->asked[p->nasked++].yes = reply->known & 1;
	f->asking(f, &reply->verdict);
}

static void
ask_listed(struct filter *f, const struct verdict *v, bool yes)
{
	struct person *p = &f->people[f->at];

	p->wants = false;
	if (v->kind == OK)
		p->asked[p->nasked++].yes = yes;
	f->asking(f, v);
}

void
ask_start(struct filter *f, void (*done)(struct filter *f, const struct verdict *v))
{
	struct person *p = &f->people[f->at];

	f->asking = done;
	if (p->asked[p->nasked].list.p) {
		lists_ask(f, &p->asked[p->nasked], ask_listed);
		return;
	}
	store_know_start(lmtpd.store, p->account, p->partition, &p->asked[p->nasked].q, 1,
	    &f->session->op, ask_done, f);
}

void
ask_mark(struct filter *f, struct person *p, const struct sieve_action *a)
{
	if (!p->marks)
		p->marks = arena_array(&f->arena, FILTER_MARKS_MAX, sizeof(*p->marks));
	if (p->nmarks == FILTER_MARKS_MAX)
		return;
	p->marks[p->nmarks] = ask_seen(STORE_KNOW_MARK, a->where, a->text);
	p->marks[p->nmarks++].seconds = (uint32_t)a->seconds;
}
