/* login/groups.c: see groups.h.
 *
 * Owns what is known of each account that is held or was asked about a moment ago, and who waits for it; one account at a
 * time is asked about (groups-ask.c), first those who somebody waits for.  Can fail: the directory; all that wait then
 * go on with what is known.  Must stay true: a group that is not known gives nothing, and what is not known to be all is
 * told to be not (unsure), so that what is taken from a group is taken. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "login/groups-impl.h"

#define GROUPS_TICK_MS  250
#define GROUPS_LEAST_MS 1000 /* between two questions about one account */
#define GROUPS_KEEP_MS                                                                             \
	(60 * 60 * 1000) /* for which what was known is good, when nothing can be asked */
#define GROUPS_TELL_MS (5 * 60 * 1000) /* between two complaints in the log */

static void groups_next(struct login_grouper *n);

static uint64_t
groups_age(void)
{
	return shared.ldap_cache_age > GROUPS_LEAST_MS ? (uint64_t)shared.ldap_cache_age :
							 GROUPS_LEAST_MS;
}

bool
login_groups_fresh(const struct login_grouper *n, uint64_t at)
{
	return at && loop_now(n->door->loop) - at < groups_age();
}

/* ---- accounts ------------------------------------------------------------------------------------ */

static struct login_groups *
groups_get(struct login_grouper *n, struct slice account)
{
	struct login_groups *g = map_get(&n->accounts, account);

	if (g)
		return g;
	g = mem_new(sizeof(*g) + account.n);
	g->of = n;
	g->unsure = true;
	g->n = account.n;
	memcpy(g->account, account.p, account.n);
	list_init(&g->turn);
	list_init(&g->waiting);
	list_push_front(&n->all, &g->link);
	map_put(&n->accounts, slice(g->account, g->n), g);
	return g;
}

/* Nobody holds it, or waits for it. */
static bool
groups_idle(const struct login_groups *g)
{
	return !g->held && list_empty(&g->waiting) && g->of->now != g;
}

static void
groups_drop(struct login_groups *g)
{
	map_take(&g->of->accounts, slice(g->account, g->n));
	list_remove(&g->link);
	list_remove(&g->turn);
	mem_free(&g->names);
	mem_release(g);
}

/* Now, so that nobody has been asked about later. */
static void
groups_asked(struct login_groups *g)
{
	list_remove(&g->link);
	list_push(&g->of->all, &g->link);
	g->asked_ms = loop_now(g->of->door->loop);
}

/* ---- the end of a turn ----------------------------------------------------------------------------- */

static void
groups_clear(struct login_grouper *n)
{
	mem_free(&n->dn);
	mem_free(&n->filter);
	while (n->nfound)
		login_groups_found_free(&n->found[--n->nfound]);
	n->unsure = false;
	n->at = n->checked = 0;
}

/* Each may end its session, and with it others who wait. */
static void
groups_tell(struct login_groups *g)
{
	struct groups_wait *w;

	while ((w = list_first(&g->waiting, struct groups_wait, link))) {
		void (*done)(void *arg) = w->done;
		void *arg = w->arg;

		list_remove(&w->link);
		op_done(w->op);
		mem_release(w);
		done(arg);
	}
}

static void
groups_over(struct login_grouper *n)
{
	struct login_groups *g = n->now;

	groups_clear(n);
	groups_tell(g); /* nobody drops it meanwhile: it has the turn */
	n->now = NULL;
	groups_next(n);
}

static int
groups_order(const void *a, const void *b)
{
	return strcmp(((const struct groups_found *)a)->name,
	    ((const struct groups_found *)b)->name);
}

/* What was found is what is known from now on. */
void
login_groups_settle(struct login_grouper *n)
{
	struct login_groups *g = n->now;
	struct buf names = { 0 };
	char *text;

	qsort(n->found, n->nfound, sizeof(n->found[0]), groups_order);
	for (size_t i = 0; i < n->nfound; i++) {
		const char *name = n->found[i].name;

		if (i > 0 && strcmp(name, n->found[i - 1].name) == 0)
			continue;
		if (names.n + strlen(name) >= STORE_GROUPS_BYTES) {
			n->unsure = true;
			break;
		}
		if (names.n)
			buf_char(&names, ' ');
		buf_str(&names, name);
	}
	text = mem_strn(names.p ? names.p : "", names.n);
	buf_fini(&names);
	if (n->unsure && !g->unsure)
		log_event(LOG_INFO, "groups_unsure", "user=%s known=%zu",
		    log_value(slice(g->account, g->n)), n->nfound);
	if ((strcmp(text, g->names ? g->names : "") != 0 || g->unsure != n->unsure) && n->changed)
		n->changed(n->arg, slice(g->account, g->n));
	mem_free(&g->names);
	g->names = text;
	g->unsure = n->unsure;
	g->known_ms = loop_now(n->door->loop);
	groups_over(n);
}

static void
groups_complain(struct login_grouper *n, const char *why)
{
	uint64_t now = loop_now(n->door->loop);

	if (n->told_ms && now - n->told_ms < GROUPS_TELL_MS)
		return;
	n->told_ms = now;
	log_event(LOG_WARN, "groups_away", "error=%s", log_str(why));
}

/* Nothing of it can be known now: what was known may be too old by now. */
static void
groups_expire(struct login_groups *g)
{
	struct login_grouper *n = g->of;

	if (g->unsure || loop_now(n->door->loop) - g->known_ms < GROUPS_KEEP_MS)
		return;
	mem_free(&g->names);
	g->unsure = true;
	if (n->changed)
		n->changed(n->arg, slice(g->account, g->n));
}

/* Who waits goes on, with what was known: for this account, or, when nobody's can be asked for, for all. */
void
login_groups_failed(struct login_grouper *n, const char *why, bool away)
{
	struct login_groups *other;

	groups_complain(n, why);
	groups_expire(n->now);
	while (away && (other = list_first(&n->urgent, struct login_groups, turn))) {
		list_remove(&other->turn);
		groups_asked(other);
		groups_expire(other);
		groups_tell(other);
	}
	groups_over(n);
}

/* ---- turns ------------------------------------------------------------------------------------------------- */

static void
groups_next(struct login_grouper *n)
{
	struct login_groups *g = list_first(&n->urgent, struct login_groups, turn);

	if (!g)
		g = list_first(&n->queue, struct login_groups, turn);
	if (!g || n->now)
		return;
	list_remove(&g->turn);
	n->now = g;
	groups_asked(g);
	login_groups_ask(n);
}

static void
groups_on_timer(struct timer *t)
{
	struct login_grouper *n = CONTAINER(t, struct login_grouper, timer);
	struct login_groups *g;

	list_each(g, &n->all, struct login_groups, link)
	{
		if (login_groups_fresh(n, g->asked_ms))
			break;
		if (groups_idle(g))
			groups_drop(g);
		else if (list_empty(&g->turn) && n->now != g)
			list_push(&n->queue, &g->turn);
	}
	groups_next(n);
}

static struct login_grouper *
groups_of(struct login_door *d)
{
	struct login_grouper *n = d->grouper;

	if (n)
		return n;
	d->grouper = n = mem_new(sizeof(*n));
	n->door = d;
	list_init(&n->all);
	list_init(&n->urgent);
	list_init(&n->queue);
	timer_init(&n->timer, d->loop, groups_on_timer);
	return n;
}

struct login_groups *
login_groups_hold(struct login_door *d, struct slice account)
{
	struct login_groups *g = groups_get(groups_of(d), account);

	g->held++;
	return g;
}

void
login_groups_leave(struct login_groups **gp)
{
	struct login_groups *g = *gp;

	*gp = NULL;
	must(g->held > 0);
	g->held--;
	if (!g->of->wanted && groups_idle(g))
		groups_drop(g);
}

struct store_person
login_groups_person(const struct login_groups *g)
{
	return (struct store_person){ slice(g->account, g->n), slice_str(g->names ? g->names : ""),
		g->unsure };
}

bool
login_groups_wanted(const struct login_door *d)
{
	return d->grouper && d->grouper->wanted;
}

void
login_groups_want(struct login_door *d, login_groups_changed *changed, void *arg)
{
	struct login_grouper *n = groups_of(d);

	n->changed = changed;
	n->arg = arg;
	if (n->wanted)
		return;
	n->wanted = true;
	timer_start(&n->timer, 0, GROUPS_TICK_MS);
}

static void
groups_wait_cancel(struct op *op)
{
	struct groups_wait *w = op->impl;

	list_remove(&w->link);
	mem_release(w);
}

bool
login_groups_start(struct login_door *d, struct slice account, struct op *op,
    void (*done)(void *arg), void *arg)
{
	struct login_grouper *n = groups_of(d);
	struct login_groups *g;
	struct groups_wait *w;
	bool first;

	if (!n->wanted)
		return false;
	g = groups_get(n, account);
	/* What could not be known a moment ago is not waited for again. */
	if (login_groups_fresh(n, g->known_ms) ||
	    (g->asked_ms && n->now != g && loop_now(d->loop) - g->asked_ms < GROUPS_LEAST_MS))
		return false;
	w = mem_new(sizeof(*w));
	*w = (struct groups_wait){ .op = op, .done = done, .arg = arg };
	first = list_empty(&g->waiting);
	list_push(&g->waiting, &w->link);
	op->cancel = groups_wait_cancel;
	op->impl = w;
	if (n->now != g && first) { /* with the next he would not wait longer */
		list_remove(&g->turn);
		list_push(&n->urgent, &g->turn);
		groups_next(n);
	}
	return true;
}
