/* clients.c: counts that all workers share, in anonymous shared memory made before the fork.
 *
 * Sessions are counted by client address and worker, so that what a crashed worker held is
 * given back when its successor starts: no leaked count can shut a client out for ever.
 * Users' messages are counted by hour. */
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include "base/clock.h"
#include "base/must.h"
#include "relay.h"

#define WORKERS_MAX 64
#define CLIENTS     16384 /* addresses with a session at once; more share the last slot's limit */
#define USERS       16384
#define PROBES      64

struct client {
	uint8_t key[16];
	uint32_t n;                 /* over all workers; 0 = the slot is free */
	uint16_t each[WORKERS_MAX];
};
struct user {
	uint64_t key;
	int64_t hour;
	uint32_t messages, rcpts;
};
static struct table {
	pthread_mutex_t lock; /* robust: a worker may die holding it; the counts stay usable */
	uint32_t total[WORKERS_MAX];
	struct client clients[CLIENTS];
	struct user users[USERS];
} *table;

void
clients_init(void)
{
	pthread_mutexattr_t a;

	table = mmap(
	    NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(table != MAP_FAILED);
	must(pthread_mutexattr_init(&a) == 0);
	must(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0);
	must(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0);
	must(pthread_mutex_init(&table->lock, &a) == 0);
}

static void
lock(void)
{
	int r = pthread_mutex_lock(&table->lock);

	if (r == EOWNERDEAD)
		r = pthread_mutex_consistent(&table->lock);
	must(r == 0);
}

static void
unlock(void)
{
	pthread_mutex_unlock(&table->lock);
}

void
clients_worker(int worker)
{
	int w = worker % WORKERS_MAX;

	lock();
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *c = &table->clients[i];

		if (c->n && c->each[w]) {
			c->n -= c->each[w] < c->n ? c->each[w] : c->n;
			c->each[w] = 0;
		}
	}
	table->total[w] = 0;
	unlock();
}

static uint64_t
hash16(const uint8_t key[16])
{
	uint64_t h = 14695981039346656037ULL;

	for (int i = 0; i < 16; i++)
		h = (h ^ key[i]) * 1099511628211ULL;
	return h ^ h >> 29;
}

/* The slot of key, or a free one; -1 when neither is near. */
static int
find(const uint8_t key[16])
{
	uint64_t h = hash16(key);
	int vacant = -1;

	for (size_t i = 0; i < PROBES; i++) {
		size_t at = (h + i) % CLIENTS;

		if (table->clients[at].n == 0) {
			if (vacant < 0)
				vacant = (int)at;
		} else if (memcmp(table->clients[at].key, key, 16) == 0) {
			return (int)at;
		}
	}
	return vacant;
}

static size_t
sum(void)
{
	size_t n = 0;

	for (size_t i = 0; i < WORKERS_MAX; i++)
		n += table->total[i];
	return n;
}

enum clients_answer
clients_enter(const uint8_t key[16], int worker, int64_t all, int64_t each, int *slot)
{
	enum clients_answer a = CLIENT_OK;
	int w = worker % WORKERS_MAX;
	struct client *c;

	*slot = -1;
	lock();
	if (all && (int64_t)sum() >= all) {
		a = CLIENT_ALL_FULL;
	} else if ((*slot = find(key)) < 0) {
		a = CLIENT_ALL_FULL;
	} else {
		c = &table->clients[*slot];
		if (c->n == 0) {
			*c = (struct client){ 0 };
			memcpy(c->key, key, 16);
		}
		if (each && c->n >= each) {
			a = CLIENT_FULL;
			*slot = -1;
		} else {
			c->n++;
			c->each[w]++;
			table->total[w]++;
		}
	}
	unlock();
	return a;
}

void
clients_leave(int slot, int worker)
{
	int w = worker % WORKERS_MAX;
	struct client *c;

	if (slot < 0)
		return;
	lock();
	c = &table->clients[slot];
	if (c->n && c->each[w]) {
		c->n--;
		c->each[w]--;
	}
	if (table->total[w])
		table->total[w]--;
	unlock();
}

size_t
clients_now(void)
{
	size_t n;

	lock();
	n = sum();
	unlock();
	return n;
}

/* The slot of a user of this hour; of the ones that come into question the oldest is taken. */
static struct user *
user_slot(uint64_t key, int64_t hour)
{
	struct user *oldest = NULL;

	for (size_t i = 0; i < PROBES; i++) {
		struct user *u = &table->users[(key + i) % USERS];

		if (u->key == key && u->hour == hour)
			return u;
		if (oldest == NULL || u->hour < oldest->hour || u->key == key)
			oldest = u;
		if (u->key == key)
			break;
	}
	*oldest = (struct user){ .key = key, .hour = hour };
	return oldest;
}

bool
clients_user(struct slice account, int64_t messages, int64_t rcpts, int64_t max_messages,
    int64_t max_rcpts)
{
	int64_t hour = clock_now() / 3600;
	uint64_t key = 14695981039346656037ULL;
	struct user *u;
	bool ok;

	/* Not slice_hash: its seed differs from worker to worker. */
	for (size_t i = 0; i < account.n; i++)
		key = (key ^ (uint8_t)account.p[i]) * 1099511628211ULL;
	key |= 1;
	lock();
	u = user_slot(key, hour);
	ok = (!max_messages || u->messages + messages <= max_messages) &&
	    (!max_rcpts || u->rcpts + rcpts <= max_rcpts);
	if (ok) {
		u->messages += (uint32_t)messages;
		u->rcpts += (uint32_t)rcpts;
	}
	unlock();
	return ok;
}
