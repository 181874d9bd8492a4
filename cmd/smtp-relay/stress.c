/* stress.c: strangers who hold places without using them, when places are short.
 *
 * Owns one deadline of the worker.  session.c calls when a stranger has come; while more than STRESS_LOAD per cent of the
 * places that are left to mx are taken, a few times a second all sessions are looked at, and those end that have kept
 * us waiting: for time.stressed at first, and the less the fewer places there are.  Cannot fail.  Must stay true: who says
 * what he has to say is never ended for it, nor is anybody of relay.networks, of a store, or one of our users; and a look
 * costs some nanoseconds a session, however many come. */
#include "base/log.h"
#include "relay.h"

#define STRESS_LOAD     75  /* per cent */
#define STRESS_LOOK_MS  250 /* between two looks */
#define STRESS_LEAST_MS 1000

static struct deadline stress_next;
static bool stressed;
static uint64_t stress_ended;

/* time.stressed at STRESS_LOAD, a tenth of it when there is no place left. */
static uint64_t
stress_patience(unsigned load)
{
	uint64_t most = (uint64_t)config.stressed_ms;
	uint64_t ms = most - most * 9 / 10 * (load - STRESS_LOAD) / (100 - STRESS_LOAD);

	return ms > STRESS_LEAST_MS ? ms : STRESS_LEAST_MS;
}

static void
stress_look(struct deadline *d UNUSED)
{
	unsigned load = admit_class_load(ROLE_MX);
	struct session *s;
	uint64_t ms;

	if (load < STRESS_LOAD || !config.stressed_ms) {
		log_event(LOG_WARN, "stress", "state=over load=%u ended=%llu", load,
		    (unsigned long long)stress_ended);
		stressed = false;
		return;
	}
	ms = stress_patience(load);
	list_each(s, &relay.sessions, struct session, link)
	{
		if (s->role != ROLE_MX || s->trusted || !smtp_server_dawdles(&s->smtp, ms))
			continue;
		stress_ended++;
		metric_add(M_STRESS_ENDED, 1);
		smtp_server_expire(&s->smtp);
	}
	deadline_set(&stress_next, daemon_loop(), STRESS_LOOK_MS, stress_look);
}

void
stress_come(void)
{
	unsigned load;

	if (stressed || !config.stressed_ms || (load = admit_class_load(ROLE_MX)) < STRESS_LOAD)
		return;
	stressed = true;
	stress_ended = 0;
	log_event(LOG_WARN, "stress", "state=begins load=%u ended=0", load);
	deadline_init(&stress_next);
	deadline_set(&stress_next, daemon_loop(), STRESS_LOOK_MS, stress_look);
}

void
stress_stop(void)
{
	if (stressed)
		deadline_clear(&stress_next);
	stressed = false;
}
