/* guard-wait.c: strangers who wait before there is a session for them.
 *
 * Owns a descriptor and less than 300 octets for each, with all that the loop has of it (net/crowd.h); guard.waiting of them
 * at most in a worker and limit.per_client of one client.  guard.c begins a wait; it ends in relay_session_begin, in a refusal, or when the client goes.  A
 * server speaks first (RFC 5321 4.3.1): what arrives while we say nothing is from a program that does not listen.
 * Must stay true: nothing is read of what a client sends, a session finds it where it was; and nobody waits who
 * was let in before. */
#include "guard.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/crowd.h"

#define CLIENT_SLOTS                                                                               \
	65536 /* counts of those who wait, by client; two that meet in one share the limit */

enum wait_phase { WAIT_TEST, WAIT_LISTS /* greeted, or not tested so */, WAIT_TARPIT };

struct guard_wait {
	struct list link;
	struct deadline deadline;
	struct guard_asked *asked;
	struct daemon_listen *listen;
	uint16_t mark; /* WAIT_TARPIT: of the list on which it is; a reload may take that away */
	uint64_t since_ms;
	int fd; /* -1: only the lists are asked, the client is in already */
	uint32_t slot;
	uint8_t ip[16];
	uint16_t port;
	uint8_t phase, why;
	bool six, announced, watched, greeted; /* greeted: who speaks now is early */
	bool unsure;                           /* a list was silent */
};
_Static_assert(sizeof(struct guard_wait) < 200, "a stranger costs less than 300 octets in all");

static struct crowd crowd; /* who waits and may be early, or go */
static enum { CROWD_NONE, CROWD_THERE, CROWD_OVER } crowd_state;

static uint16_t waiting_of[CLIENT_SLOTS];

/* ---- addresses, packed ------------------------------------------------------------------- */

static void
wait_pack(struct guard_wait *w, const struct addr *a)
{
	w->six = a->sa.sa_family == AF_INET6;
	w->port = (uint16_t)addr_port(a);
	if (w->six)
		memcpy(w->ip, &a->in6.sin6_addr, 16);
	else
		memcpy(w->ip, &a->in.sin_addr, 4);
}

static struct addr
wait_peer(const struct guard_wait *w)
{
	struct addr a = { 0 };

	a.sa.sa_family = w->six ? AF_INET6 : AF_INET;
	a.len = w->six ? sizeof(a.in6) : sizeof(a.in);
	if (w->six)
		memcpy(&a.in6.sin6_addr, w->ip, 16);
	else
		memcpy(&a.in.sin_addr, w->ip, 4);
	addr_set_port(&a, w->port);
	return a;
}

/* ---- life -------------------------------------------------------------------------------- */

static struct guard_wait *
wait_new(int fd, const struct addr *peer, enum wait_phase phase)
{
	uint64_t key = guard_key(guard.rates, GUARD_CLIENT, peer);
	struct guard_wait *w;

	if (guard.nwaits >= (size_t)config.guard_waiting ||
	    (config.per_client && waiting_of[key % CLIENT_SLOTS] >= config.per_client))
		return NULL;
	w = mem_new(sizeof(*w));
	wait_pack(w, peer);
	w->fd = fd;
	w->phase = (uint8_t)phase;
	w->slot = (uint32_t)(key % CLIENT_SLOTS);
	w->since_ms = loop_now(daemon_loop());
	deadline_init(&w->deadline);
	waiting_of[w->slot]++;
	list_push(&guard.waits, &w->link);
	guard.nwaits++;
	metric_add(M_GUARD_WAITING, 1);
	return w;
}

/* Out of all books; the descriptor is the caller's from here, and `w` goes soon. */
static int
wait_end(struct guard_wait *w)
{
	int fd = w->fd;

	guard_lists_cancel(&w->asked);
	deadline_clear(&w->deadline);
	waiting_of[w->slot]--;
	list_remove(&w->link);
	guard.nwaits--;
	metric_add(M_GUARD_WAITING, -1);
	if (w->watched)
		crowd_remove(&crowd, fd, w);
	return fd;
}

static void
wait_done(struct guard_wait *w)
{
	free(w);
}

static void
wait_gone(struct guard_wait *w)
{
	struct addr peer = wait_peer(w);
	char text[ADDR_TEXT];

	log_event(LOG_INFO, "guard", "peer=%s result=gone ms=%llu",
	    log_str(addr_write(&peer, text)),
	    (unsigned long long)(loop_now(daemon_loop()) - w->since_ms));
	(void)close(wait_end(w));
	wait_done(w);
}

/* ---- tests ------------------------------------------------------------------------------- */

static void
wait_admit(struct guard_wait *w)
{
	struct relay_peer who = { .addr = wait_peer(w), .announced = w->announced };
	struct daemon_listen *l = w->listen;
	char text[ADDR_TEXT];
	int fd;

	log_event(LOG_INFO, "guard", "peer=%s result=passed ms=%llu",
	    log_str(addr_write(&who.addr, text)),
	    (unsigned long long)(loop_now(daemon_loop()) - w->since_ms));
	metric_add(M_GUARD_PASSED, 1);
	fd = wait_end(w);
	relay_session_begin(l, fd, &who);
	wait_done(w);
}

static void
wait_refuse(struct guard_wait *w, enum guard_why why, const struct guard_list *list)
{
	struct addr peer = wait_peer(w);
	int fd = wait_end(w);

	guard_block(fd, &peer, why, list);
	wait_done(w);
}

static void
wait_on_input(void *item)
{
	struct guard_wait *w = item;
	ssize_t n;
	char c;

	n = recv(w->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		wait_gone(w);
	else if (w->phase == WAIT_TARPIT || !w->greeted) {
		crowd_remove(&crowd, w->fd, w); /* it waits for its refusal, or for a list alone */
		w->watched = false;
	} else
		wait_refuse(w, GUARD_EARLY, NULL);
}

static void
wait_on_greeting(struct deadline *d)
{
	struct guard_wait *w = CONTAINER(d, struct guard_wait, deadline);
	struct addr peer = wait_peer(w);

	if (w->asked) {
		w->phase = WAIT_LISTS;
		return;
	}
	guard_pass(&peer, !w->unsure);
	wait_admit(w);
}

static void
wait_on_lists(void *arg, const struct guard_lists_answer *a)
{
	struct guard_wait *w = arg;
	struct addr peer = wait_peer(w);

	w->asked = NULL;
	w->unsure = !a->all;
	if (a->score >= config.guard_threshold) {
		wait_refuse(w, GUARD_LISTED, a->worst);
	} else if (w->fd < 0) {
		guard_pass(&peer, a->all);
		(void)wait_end(w);
		wait_done(w);
	} else if (w->phase == WAIT_LISTS ||
	    (config.guard_welcome && a->score <= -config.guard_welcome)) {
		guard_pass(&peer, a->all);
		wait_admit(w);
	}
}

/* A third of the time when more than half of the places are taken: then it is the places that are short. */
static uint64_t
wait_greeting_ms(void)
{
	uint64_t ms = (uint64_t)config.guard_greet_ms;

	return guard.nwaits > (size_t)config.guard_waiting / 2 ? ms / 3 + 1 : ms;
}

bool
guard_wait_start(struct daemon_listen *l, int fd, const struct relay_peer *who)
{
	bool greeting = config.guard_greet_ms && l->tls != TLS_IMPLICIT;
	struct guard_wait *w = wait_new(fd, &who->addr, greeting ? WAIT_TEST : WAIT_LISTS);

	if (!w)
		return false;
	w->listen = l;
	w->announced = who->announced;
	w->greeted = greeting;
	if (crowd_state == CROWD_NONE && crowd_open(&crowd, daemon_loop(), wait_on_input) == 0)
		crowd_state = CROWD_THERE;
	w->watched = crowd_state == CROWD_THERE && crowd_add(&crowd, fd, w) == 0;
	w->asked = guard_lists_ask(GUARD_OF_CLIENT, &who->addr, S(""), wait_on_lists, w);
	if (greeting)
		deadline_set(&w->deadline, daemon_loop(), wait_greeting_ms(), wait_on_greeting);
	return true;
}

static void
wait_on_tarpit(struct deadline *d)
{
	struct guard_wait *w = CONTAINER(d, struct guard_wait, deadline);
	struct addr peer = wait_peer(w);
	const struct guard_list *list = guard_list_find(w->mark);
	enum guard_why why = (enum guard_why)w->why;

	guard_refuse(wait_end(w), &peer, why, list, S(""));
	wait_done(w);
}

bool
guard_tarpit(int fd, const struct addr *peer, enum guard_why why, const struct guard_list *list)
{
	struct guard_wait *w;

	/* Places are for those who may yet be let in. */
	if (!config.guard_tarpit_ms || guard.nwaits > (size_t)config.guard_waiting / 2 ||
	    !(w = wait_new(fd, peer, WAIT_TARPIT)))
		return false;
	w->why = (uint8_t)why;
	w->mark = list ? guard_list_mark(list) : 0;
	deadline_set(&w->deadline, daemon_loop(), (uint64_t)config.guard_tarpit_ms, wait_on_tarpit);
	return true;
}

void
guard_look_again(const struct addr *peer)
{
	struct guard_wait *w = wait_new(-1, peer, WAIT_LISTS);

	if (!w)
		return;
	w->asked = guard_lists_ask(GUARD_OF_CLIENT, peer, S(""), wait_on_lists, w);
	if (!w->asked) {
		(void)wait_end(w);
		wait_done(w);
	}
}

void
guard_stop(void)
{
	struct guard_wait *w;

	list_each(w, &guard.waits, struct guard_wait, link)
	{
		struct addr peer = wait_peer(w);
		int fd = wait_end(w);

		if (fd >= 0)
			guard_refuse(fd, &peer, GUARD_BUSY, NULL, S(""));
		wait_done(w);
	}
	if (crowd_state == CROWD_THERE)
		crowd_close(&crowd);
	crowd_state = CROWD_OVER;
}
