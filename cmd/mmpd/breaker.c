/* mmpd/breaker.c: which stores answer: a circuit breaker for each service of each.
 *
 * Owns the state of a struct mmpd_way (of this worker: workers need not agree).  reach.c asks before it
 * connects and tells how it went, probe.c tells that a greeting came.  Nothing can fail.  What must stay true:
 * who lets us wait is noticed once for all, by the first who waits in vain: those who wait beside him are told
 * at once, those who come later do not wait at all, and no login is used to find out whether it is back.  One
 * that refuses, or is not understood, costs nobody time: so it may do that store.failures times. */
#include "base/log.h"
#include "base/mem.h"
#include "mmpd.h"

/* Logins at once while a store that has greeted a probe must still show that it lets people in. */
#define TRIALS 8

static const char *const states[] = { "up", "down", "trial" };

bool
mmpd_way_enter(struct mmpd_way *w)
{
	unsigned most = w->state == MMPD_WAY_TRIAL && config.attempts > TRIALS ?
	    TRIALS :
	    (unsigned)config.attempts;

	if (w->state == MMPD_WAY_DOWN || w->attempts >= most) {
		metric_add(M_STORE_SHUNNED, 1);
		return false;
	}
	w->attempts++;
	return true;
}

/* ---- it answers --------------------------------------------------------------------------------- */

static void
mmpd_way_good(struct mmpd_way *w)
{
	w->failures = 0;
	w->heard_ms = loop_now(mmpd.loop);
	if (w->state == MMPD_WAY_UP)
		return;
	w->state = MMPD_WAY_UP;
	mem_free(&w->why);
	metric_add(M_STORES_DOWN, -1);
	log_event(LOG_INFO, "store_up", "store=%s protocol=%s ms=%llu", log_str(w->store->host),
	    mmpd_protocol(w->role), (unsigned long long)(w->heard_ms - w->down_ms));
}

void
mmpd_way_greeted(struct mmpd_way *w)
{
	w->state = MMPD_WAY_TRIAL;
	log_event(LOG_INFO, "store_trial", "store=%s protocol=%s", log_str(w->store->host),
	    mmpd_protocol(w->role));
}

/* ---- it does not -------------------------------------------------------------------------------- */

static void
mmpd_way_down(struct mmpd_way *w, struct slice why)
{
	struct list waiting;

	if (w->state == MMPD_WAY_UP) {
		w->down_ms = loop_now(mmpd.loop);
		metric_add(M_STORES_DOWN, 1);
		metric_add(M_STORE_DOWNS, 1);
	}
	w->state = MMPD_WAY_DOWN;
	mem_free(&w->why);
	w->why = mem_strn(why.p, why.n);
	log_event(LOG_ERROR, "store_down", "store=%s protocol=%s error=%s waiting=%u",
	    log_str(w->store->host), mmpd_protocol(w->role), log_value(why), w->attempts);
	mmpd_probe_start(w);
	list_init(&waiting);
	list_splice(&waiting, &w->waiting);
	while (!list_empty(&waiting))
		mmpd_reach_in_vain(&waiting);
}

static void
mmpd_way_bad(struct mmpd_way *w, bool dead, struct slice why)
{
	metric_add(M_STORE_FAILED, 1);
	w->failures++;
	log_event(LOG_WARN, "store_failed", "store=%s protocol=%s error=%s failures=%u",
	    log_str(w->store->host), mmpd_protocol(w->role), log_value(why), w->failures);
	if (w->state == MMPD_WAY_DOWN)
		return;
	if (dead || w->state == MMPD_WAY_TRIAL || w->failures >= (unsigned)config.down_failures)
		mmpd_way_down(w, why);
}

void
mmpd_way_tried(struct mmpd_way *w, enum mmpd_tried how, uint64_t began_ms, struct slice why)
{
	must(w->attempts > 0);
	w->attempts--;
	switch (how) {
	case MMPD_GOOD: mmpd_way_good(w); break;
	case MMPD_BAD: mmpd_way_bad(w, false, why); break;
	/* One that has answered somebody else meanwhile is slow, not dead. */
	case MMPD_SILENT: mmpd_way_bad(w, w->heard_ms < began_ms, why); break;
	case MMPD_GIVEN_UP: break;
	}
}

/* ---- for operators ------------------------------------------------------------------------------ */

void
mmpd_way_status(const struct mmpd_way *w, struct buf *out)
{
	uint64_t now = loop_now(mmpd.loop);

	if (w->state == MMPD_WAY_UP && w->attempts + w->failures == 0 && w->heard_ms == 0)
		return; /* nobody has asked for it */
	buf_printf(out, "store=%s protocol=%s state=%s attempts=%u failures=%u", w->store->host,
	    mmpd_protocol(w->role), states[w->state], w->attempts, w->failures);
	if (w->state != MMPD_WAY_UP)
		buf_printf(out, " down_ms=%llu error=%s", (unsigned long long)(now - w->down_ms),
		    log_str(w->why));
	if (w->state == MMPD_WAY_DOWN)
		buf_printf(out, " retry_ms=%llu", (unsigned long long)mmpd_probe_due(w->probe));
	buf_char(out, '\n');
}
