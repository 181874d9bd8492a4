/* backend/way.c: which hosts answer: a circuit breaker for each service of each.
 *
 * Owns the state of a struct backend_way.  Who wants to go there asks before it
 * connects and tells how it went, the owner's probe tells that a greeting came.  Nothing can fail.  What must stay true:
 * who lets us wait is noticed once for all, by the first who waits in vain: those who wait beside him are told
 * at once, those who come later do not wait at all, and no login is used to find out whether it is back.  One
 * that refuses, or is not understood, costs nobody time: so it may do that store.failures times. */
#include "backend/backend.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"

/* Logins at once while a store that has greeted a probe must still show that it lets people in. */
#define TRIALS 8

static const struct backend_rules *
way_rules(const struct backend_way *w)
{
	return w->host->set->rules;
}

static const char *
way_name(const struct backend_way *w)
{
	return way_rules(w)->ways[w->role];
}

static const char *const states[] = { "up", "down", "trial" };

bool
backend_way_enter(struct backend_way *w)
{
	unsigned most = w->state == BACKEND_WAY_TRIAL && *way_rules(w)->attempts > TRIALS ?
	    TRIALS :
	    (unsigned)*way_rules(w)->attempts;

	if (w->state == BACKEND_WAY_DOWN || w->attempts >= most) {
		way_rules(w)->event(BACKEND_SHUNNED);
		return false;
	}
	w->attempts++;
	return true;
}

void
backend_way_return(struct backend_way *w)
{
	w->attempts++;
}

/* ---- it answers --------------------------------------------------------------------------------- */

static void
backend_way_good(struct backend_way *w)
{
	w->failures = 0;
	w->heard_ms = loop_now(w->host->set->loop);
	if (w->state == BACKEND_WAY_UP)
		return;
	w->state = BACKEND_WAY_UP;
	mem_free(&w->why);
	way_rules(w)->event(BACKEND_UP);
	log_event(LOG_INFO, "store_up", "store=%s protocol=%s ms=%llu", log_str(w->host->name),
	    way_name(w), (unsigned long long)(w->heard_ms - w->down_ms));
}

void
backend_way_greeted(struct backend_way *w)
{
	w->state = BACKEND_WAY_TRIAL;
	log_event(LOG_INFO, "store_trial", "store=%s protocol=%s", log_str(w->host->name),
	    way_name(w));
}

/* ---- it does not -------------------------------------------------------------------------------- */

static void
backend_way_down(struct backend_way *w, struct slice why)
{
	struct list waiting;

	if (w->state == BACKEND_WAY_UP) {
		w->down_ms = loop_now(w->host->set->loop);
		way_rules(w)->event(BACKEND_DOWN);
	}
	w->state = BACKEND_WAY_DOWN;
	mem_free(&w->why);
	w->why = mem_strn(why.p, why.n);
	log_event(LOG_ERROR, "store_down", "store=%s protocol=%s error=%s waiting=%u",
	    log_str(w->host->name), way_name(w), log_value(why), w->attempts);
	way_rules(w)->probe(w);
	list_init(&waiting);
	list_splice(&waiting, &w->waiting);
	while (!list_empty(&waiting))
		way_rules(w)->in_vain(&waiting);
}

static void
backend_way_bad(struct backend_way *w, bool dead, struct slice why)
{
	way_rules(w)->event(BACKEND_FAILED);
	w->failures++;
	log_event(LOG_WARN, "store_failed", "store=%s protocol=%s error=%s failures=%u",
	    log_str(w->host->name), way_name(w), log_value(why), w->failures);
	if (w->state == BACKEND_WAY_DOWN)
		return;
	if (dead || w->state == BACKEND_WAY_TRIAL ||
	    w->failures >= (unsigned)*way_rules(w)->failures)
		backend_way_down(w, why);
}

enum backend_tried
backend_blame(int error)
{
	switch (error) {
	case -ETIMEDOUT: return BACKEND_SILENT;
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
	case -EADDRNOTAVAIL: return BACKEND_OURS; /* descriptors, memory, ports */
	default: return BACKEND_BAD;
	}
}

void
backend_way_tried(struct backend_way *w, enum backend_tried how, uint64_t began_ms,
    struct slice why)
{
	must(w->attempts > 0);
	w->attempts--;
	switch (how) {
	case BACKEND_GOOD: backend_way_good(w); break;
	case BACKEND_BAD: backend_way_bad(w, false, why); break;
	/* One that has answered somebody else meanwhile is slow, not dead. */
	case BACKEND_SILENT: backend_way_bad(w, w->heard_ms < began_ms, why); break;
	case BACKEND_OURS:
		log_event(LOG_ERROR, "store_untried", "store=%s protocol=%s error=%s",
		    log_str(w->host->name), way_name(w), log_value(why));
		break;
	case BACKEND_GIVEN_UP: break;
	}
}

/* ---- for operators ------------------------------------------------------------------------------ */

void
backend_way_status(const struct backend_way *w, struct buf *out)
{
	uint64_t now = loop_now(w->host->set->loop);

	if (w->state == BACKEND_WAY_UP && w->attempts + w->failures == 0 && w->heard_ms == 0)
		return; /* nobody has asked for it */
	buf_printf(out, "store=%s protocol=%s state=%s attempts=%u failures=%u", w->host->name,
	    way_name(w), states[w->state], w->attempts, w->failures);
	if (w->state != BACKEND_WAY_UP)
		buf_printf(out, " down_ms=%llu error=%s", (unsigned long long)(now - w->down_ms),
		    log_str(w->why));
	if (w->state == BACKEND_WAY_DOWN)
		buf_printf(out, " retry_ms=%llu", (unsigned long long)way_rules(w)->due(w));
	buf_char(out, '\n');
}
