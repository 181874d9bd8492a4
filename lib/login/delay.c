/* login/delay.c: turns and pauses: what makes guessing slow (login.h).
 *
 * Owns the door's pairs (a queue for each name and address that somebody tries now) and its one
 * timer; login.c calls in, login_go is called back.  Failures are counted in daemon/admit, over
 * all daemons.  Nothing can fail.  What must stay true: each login is in at most one list, a pair
 * goes when its last login does, and only its own address pays for a name's failures, so nobody
 * can lock a stranger out.  Memory: a pair per waiting login at most. */
#include "login/delay.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "daemon/admit.h"
#include "login/login-impl.h"

#define ADDRESS_LEN 16 /* of addr_client_key */

/* As delay.h says, after so many failures. */
static uint64_t
login_delay_ms(uint64_t base_ms, unsigned pair, unsigned address)
{
	unsigned doublings = pair > LOGIN_PAIR_FREE ? pair - LOGIN_PAIR_FREE : 0;
	uint64_t most = base_ms > LOGIN_DELAY_MOST ? base_ms : LOGIN_DELAY_MOST;
	uint64_t ms;

	if (doublings > 10)
		doublings = 10;
	doublings += address >= LOGIN_ADDRESS_MANY;
	doublings += address >= 10 * LOGIN_ADDRESS_MANY;
	ms = base_ms << doublings;
	return ms < most ? ms : most;
}

/* ---- pairs ------------------------------------------------------------------------------- */

static struct slice
login_pair_key(const struct login_pair *p)
{
	return slice(p->key, p->n);
}

static struct slice
login_address_key(const struct login_pair *p)
{
	return slice(p->key, ADDRESS_LEN);
}

/* The pair of l's address and name.  The name is completed and folded as the directory does it, so
 * that ways to write it are no ways around the queue. */
static struct login_pair *
login_pair_get(struct login *l)
{
	struct slice name = slice_str(l->name);
	struct slice domain =
	    slice_find(name, '@') < name.n ? S("") : slice_str(shared.default_domain);
	size_t n = ADDRESS_LEN + name.n + 1 + domain.n;
	struct login_pair *p = mem_new(sizeof(*p) + n), *known;
	char *at = p->key + ADDRESS_LEN;
	uint8_t address[ADDRESS_LEN];

	addr_client_key(&l->request.peer, address);
	memcpy(p->key, address, ADDRESS_LEN);
	for (size_t i = 0; i < name.n; i++)
		*at++ = ascii_lower(name.p[i]);
	if (domain.n)
		*at++ = '@';
	for (size_t i = 0; i < domain.n; i++)
		*at++ = ascii_lower(domain.p[i]);
	p->n = (size_t)(at - p->key);
	known = map_get(&l->door->pairs, login_pair_key(p));
	if (known) {
		mem_release(p);
		return known;
	}
	list_init(&p->queue);
	map_put(&l->door->pairs, login_pair_key(p), p);
	return p;
}

void
login_queue(struct login *l)
{
	l->pair = login_pair_get(l);
	if (l->pair->turn) {
		list_push(&l->pair->queue, &l->link);
		return;
	}
	l->pair->turn = l;
	login_go(l);
}

void
login_leave_queue(struct login *l)
{
	struct login_pair *p = l->pair;
	struct login *next;

	list_remove(&l->link);
	l->pair = NULL;
	if (!p || p->turn != l)
		return;
	p->turn = next = list_first(&p->queue, struct login, link);
	if (next) {
		list_remove(&next->link);
		login_go(next);
		return;
	}
	map_take(&l->door->pairs, login_pair_key(p));
	mem_release(p);
}

/* ---- counting ---------------------------------------------------------------------------- */

static uint64_t
login_delay_of(const struct login *l, unsigned pair)
{
	uint64_t ago;
	int64_t base = *l->door->delay_ms;

	return login_delay_ms(base < 0 ? 0 : (uint64_t)base, pair,
	    admit_failures(login_address_key(l->pair), &ago));
}

uint64_t
login_count(struct login *l)
{
	uint64_t ago;

	admit_failed(login_pair_key(l->pair));
	admit_failed(login_address_key(l->pair));
	return login_delay_of(l, admit_failures(login_pair_key(l->pair), &ago));
}

void
login_forgive(struct login *l)
{
	admit_forgive(login_pair_key(l->pair));
}

uint64_t
login_pace(const struct login *l)
{
	uint64_t ago, delay;
	unsigned n = admit_failures(login_pair_key(l->pair), &ago);

	if (n == 0)
		return 0;
	delay = login_delay_of(l, n);
	return ago < delay ? delay - ago : 0;
}

/* ---- codes ---------------------------------------------------------------------------------- */

/* A name that no login has, and no address: of the account alone. */
static struct slice
login_code_key(const struct login *l, struct buf *key)
{
	buf_printf(key, " code %s", l->account);
	return buf_get(key);
}

void
login_code_failed(struct login *l)
{
	struct buf key = { 0 };

	admit_failed(login_code_key(l, &key));
	buf_fini(&key);
}

void
login_code_forgive(struct login *l)
{
	struct buf key = { 0 };

	admit_forgive(login_code_key(l, &key));
	buf_fini(&key);
}

uint64_t
login_code_pace(const struct login *l)
{
	struct buf key = { 0 };
	uint64_t ago, delay;
	int64_t base = *l->door->delay_ms;
	unsigned n = admit_failures(login_code_key(l, &key), &ago);

	buf_fini(&key);
	if (n <= LOGIN_PAIR_FREE)
		return 0;
	delay = login_delay_ms(base < 0 ? 0 : (uint64_t)base, n, 0);
	return ago < delay ? delay - ago : 0;
}

/* ---- words that are no login's ------------------------------------------------------------- */

static uint64_t
login_word_delay(const struct buf *key, int64_t base_ms, uint64_t *ago)
{
	uint64_t other;
	unsigned pair = admit_failures(buf_get(key), ago);
	unsigned address = admit_failures(slice_sub(buf_get(key), 0, ADDRESS_LEN), &other);

	return pair ? login_delay_ms(base_ms < 0 ? 0 : (uint64_t)base_ms, pair, address) : 0;
}

static void
login_word_key(struct buf *key, const struct addr *peer, const char *name)
{
	uint8_t address[ADDRESS_LEN];

	addr_client_key(peer, address);
	buf_slice(key, slice((const char *)address, sizeof(address)));
	buf_char(key, ' '); /* no login begins so */
	for (; *name; name++)
		buf_char(key, ascii_lower(*name));
}

uint64_t
login_word_failed(const struct addr *peer, const char *name, int64_t base_ms)
{
	struct buf key = { 0 };
	uint64_t ago, ms;

	login_word_key(&key, peer, name);
	admit_failed(buf_get(&key));
	admit_failed(slice_sub(buf_get(&key), 0, ADDRESS_LEN));
	ms = login_word_delay(&key, base_ms, &ago);
	buf_fini(&key);
	return ms;
}

uint64_t
login_word_pace(const struct addr *peer, const char *name, int64_t base_ms)
{
	struct buf key = { 0 };
	uint64_t ago, ms;

	login_word_key(&key, peer, name);
	ms = login_word_delay(&key, base_ms, &ago);
	buf_fini(&key);
	return ago < ms ? ms - ago : 0;
}

/* ---- time -------------------------------------------------------------------------------- */

static void
login_timer_set(struct login_door *d)
{
	struct login *first = list_first(&d->pausing, struct login, link);
	uint64_t now = loop_now(d->loop);

	if (first)
		timer_start(&d->timer, first->until > now ? first->until - now : 0, 0);
	else
		timer_stop(&d->timer);
}

void
login_pause(struct login *l, uint64_t ms)
{
	struct list *at = &l->door->pausing;

	l->until = loop_now(l->door->loop) + ms;
	while (at->prev != &l->door->pausing &&
	    CONTAINER(at->prev, struct login, link)->until > l->until)
		at = at->prev;
	list_insert_before(at, &l->link);
	login_timer_set(l->door);
}

static void
login_on_timer(struct timer *t)
{
	struct login_door *d = CONTAINER(t, struct login_door, timer);
	struct login *l;

	while ((l = list_first(&d->pausing, struct login, link)) && l->until <= loop_now(d->loop)) {
		list_remove(&l->link);
		login_go(l);
	}
	login_timer_set(d);
}

struct login_door *
login_door_new(struct loop *l, struct dir *d, const int64_t *delay_ms)
{
	struct login_door *door = mem_new(sizeof(*door));

	door->loop = l;
	door->dir = d;
	door->delay_ms = delay_ms;
	list_init(&door->pausing);
	list_init(&door->readers);
	dir_want_verifiers(d);
	timer_init(&door->timer, l, login_on_timer);
	return door;
}
