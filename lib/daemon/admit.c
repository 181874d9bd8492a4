/* daemon/admit.c: sessions: may one more come in, and of whom?
 *
 * Owns nothing but a session's numbers in the shared counts (admit-impl.h); every server calls it
 * for each connection and each login.  What can fail is room: for the service, for its class, for
 * an address, for an account.  What must stay true: a class below its share always gets in, and
 * whatever a dead process held is swept before anybody is refused.  Cost of a call: a lock and
 * ADMIT_PROBES slots; a refusal adds a sweep at most once in SWEEP_MS. */
#include <string.h>

#include "base/clock.h"
#include "base/must.h"
#include "daemon/admit-impl.h"

#define SWEEP_MS 500 /* looking at 256 processes in /proc takes about 2 ms */

static bool
admit_same(struct admit_key a, struct admit_key b)
{
	return a.a == b.a && a.b == b.b;
}

/* The slot of key, or a free one; -1 when neither is near. */
static int32_t
admit_find(const struct admit_file *f, struct admit_key key)
{
	int32_t vacant = -1;

	for (size_t i = 0; i < ADMIT_PROBES; i++) {
		size_t at = (key.a + i) % ADMIT_ENTRIES;
		const struct admit_entry *e = &f->entries[at];

		if (e->n && admit_same(e->key, key))
			return (int32_t)at;
		if (!e->n && vacant < 0)
			vacant = (int32_t)at;
	}
	return vacant;
}

/* One more of key, in *slot (from 1); false when `most` (0: no limit) are there. */
static bool
admit_count(struct admit_file *f, struct admit_key key, int64_t most, int32_t *slot)
{
	int32_t at = admit_find(f, key);
	struct admit_entry *e;
	uint16_t *mine;

	if (at < 0) /* the neighbourhood is full of others: not this one's fault */
		return true;
	e = &f->entries[at];
	mine = &f->each[at][admit_self.proc];
	if (!e->n) {
		*e = (struct admit_entry){ .key = key };
		memset(f->each[at], 0, sizeof(f->each[at]));
	}
	if ((most && e->n >= most) || *mine == UINT16_MAX)
		return false;
	e->n++;
	++*mine;
	*slot = at + 1;
	return true;
}

static void
admit_uncount(struct admit_file *f, int32_t *slot)
{
	int32_t at = *slot - 1;

	*slot = 0;
	if (at < 0 || !f->entries[at].n || !f->each[at][admit_self.proc])
		return;
	f->entries[at].n--;
	f->each[at][admit_self.proc]--;
}

/* ---- shares ------------------------------------------------------------------------------ */

static size_t
admit_in_class(const struct admit_file *f, size_t class)
{
	size_t n = 0;

	for (size_t i = 0; i < ADMIT_PROCS; i++)
		n += f->sessions[admit_self.number][class][i];
	return n;
}

static size_t
admit_in_service(const struct admit_file *f)
{
	size_t n = 0;

	for (size_t c = 0; c < ADMIT_CLASSES; c++)
		n += admit_in_class(f, c);
	return n;
}

/* Is there room for one more of `class`: below its own share always, above it as long as what
 * the others have not used of theirs stays free? */
static bool
admit_room(const struct admit_file *f, unsigned class)
{
	const struct admit_service *s = admit_self.service;
	uint64_t all = s->clients ? (uint64_t)*s->clients : 0, taken = 0;

	if (!all)
		return true;
	for (size_t c = 0; c < s->nclasses; c++) {
		uint64_t n = admit_in_class(f, c), kept = all * s->classes[c].share / 100;

		if (c == class && n < kept)
			return true;
		taken += c != class && n < kept ? kept : n;
	}
	return taken < all;
}

/* ---- sessions ---------------------------------------------------------------------------- */

static struct admit_key
admit_client_key(const struct admit_file *f, unsigned class, const struct addr *peer)
{
	uint8_t key[18];

	key[0] = (uint8_t)admit_self.number;
	key[1] = (uint8_t) class;
	addr_client_key(peer, key + 2);
	return admit_hash(f, 'c', slice((const char *)key, sizeof(key)));
}

/* Refused?  Then look once for dead processes, and try again. */
static bool
admit_again(struct admit_file *f)
{
	static uint64_t last;
	uint64_t now = clock_mono_ms();

	if (last && now - last < SWEEP_MS)
		return false;
	last = now;
	if (admit_self.shared)
		admit_sweep(f);
	return admit_self.shared;
}

static enum admit_answer
admit_try(struct admit_file *f, struct admit *a, unsigned class, const struct addr *peer)
{
	const struct admit_service *s = admit_self.service;
	int64_t most = s->per_client ? *s->per_client : 0;

	if (!admit_room(f, class))
		return ADMIT_FULL;
	if (s->classes[class].by_address && peer && peer->sa.sa_family != AF_UNIX &&
	    !admit_count(f, admit_client_key(f, class, peer), most, &a->client))
		return ADMIT_CLIENT_FULL;
	f->sessions[admit_self.number][class][admit_self.proc]++;
	a->class = (uint8_t)(class + 1);
	a->shared = admit_self.shared;
	return ADMIT_OK;
}

enum admit_answer
admit_enter(struct admit *a, unsigned class, const struct addr *peer)
{
	struct admit_file *f = admit_lock();
	enum admit_answer answer;

	*a = (struct admit){ 0 };
	must(class < ADMIT_CLASSES && class < admit_self.service->nclasses);
	answer = admit_try(f, a, class, peer);
	if (answer != ADMIT_OK && admit_again(f))
		answer = admit_try(f, a, class, peer);
	admit_unlock();
	return answer;
}

enum admit_answer
admit_user(struct admit *a, struct slice account)
{
	struct admit_file *f = admit_lock();
	const struct admit_service *s = admit_self.service;
	int64_t most = s->per_user ? *s->per_user : 0;
	struct admit_key key = admit_hash(f, (char)('0' + admit_self.number), account);
	bool in;

	if (a->user_shared == admit_self.shared)
		admit_uncount(f, &a->user);
	a->user = 0;
	a->user_shared = admit_self.shared;
	in = admit_count(f, key, most, &a->user) ||
	    (admit_again(f) && admit_count(f, key, most, &a->user));
	admit_unlock();
	return in ? ADMIT_OK : ADMIT_USER_FULL;
}

void
admit_user_leave(struct admit *a)
{
	struct admit_file *f = admit_lock();

	if (a->user_shared == admit_self.shared) /* else it was lost when the counts went private */
		admit_uncount(f, &a->user);
	a->user = 0;
	admit_unlock();
}

void
admit_leave(struct admit *a)
{
	struct admit_file *f;
	uint32_t *n;

	if (!a->class && !a->user)
		return;
	f = admit_lock();
	if (a->class &&
	    a->shared == admit_self.shared) { /* else it was lost when the counts went private */
		n = &f->sessions[admit_self.number][a->class - 1][admit_self.proc];
		if (*n)
			--*n;
		admit_uncount(f, &a->client);
	}
	if (a->user_shared == admit_self.shared) /* also of a session that is not counted itself */
		admit_uncount(f, &a->user);
	admit_unlock();
	*a = (struct admit){ 0 };
}

size_t
admit_sessions(void)
{
	size_t n = admit_in_service(admit_lock());

	admit_unlock();
	return n;
}

unsigned
admit_load(void)
{
	int64_t most =
	    admit_self.service && admit_self.service->clients ? *admit_self.service->clients : 0;
	size_t n = admit_sessions();

	return most <= 0 ? 0 : n >= (size_t)most ? 100 : (unsigned)(n * 100 / (size_t)most);
}

unsigned
admit_class_load(unsigned class)
{
	const struct admit_service *s = admit_self.service;
	uint64_t all = s->clients && *s->clients > 0 ? (uint64_t)*s->clients : 0, taken = 0, own;
	uint64_t mine, most, here, kept;
	struct admit_file *f;

	must(class < s->nclasses);
	if (!all)
		return 0;
	f = admit_lock();
	mine = admit_in_class(f, class);
	for (size_t c = 0; c < s->nclasses; c++) {
		here = admit_in_class(f, c);
		kept = all * s->classes[c].share / 100;
		taken += c == class ? 0 : here < kept ? kept : here;
	}
	admit_unlock();
	own = all * s->classes[class].share / 100;
	most = taken + own < all ? all - taken : own;
	return mine >= most ? 100 : (unsigned)(mine * 100 / most);
}
