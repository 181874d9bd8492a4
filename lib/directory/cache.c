/* cache.c: remembered answers and verified passwords (cache.h).
 *
 * Owns its entries and a reference to each record; fetch.c and lookup.c ask and tell, auth.c for the
 * passwords.  Nothing can fail.  Must stay true: no more than `max` entries, none older than its
 * age is given out, their records have no more than CACHE_BYTES together, no password is kept but as a keyed hash that is compared in constant time.
 * Two small tables in one file because both forget by the same rule. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "directory/cache.h"

/* Entries are counted by ldap.cache_size; but a list of half a million members is 30 MiB. */
#define CACHE_BYTES (64u * 1024 * 1024)

struct cached {
	struct list link;
	struct record *record;
	uint64_t since, until;
	size_t n;
	char key[];
};

void
dir_cache_init(struct cache *c, size_t max)
{
	*c = (struct cache){ .max = max };
	list_init(&c->lru);
}

static void
cache_drop(struct cache *c, struct cached *e)
{
	map_take(&c->map, slice(e->key, e->n));
	list_remove(&e->link);
	if (e->record)
		c->bytes -= e->record->size;
	dir_record_unref(&e->record);
	mem_release(e);
	c->n--;
}

void
dir_cache_clear(struct cache *c)
{
	struct cached *e;

	while ((e = list_first(&c->lru, struct cached, link)))
		cache_drop(c, e);
}

void
dir_cache_forget(struct cache *c, struct slice account)
{
	struct cached *e;

	list_each(e, &c->lru, struct cached, link)
	{
		if (e->record && slice_ieq(e->record->user.account, account))
			cache_drop(c, e);
	}
}

void
dir_cache_fini(struct cache *c)
{
	dir_cache_clear(c);
	map_fini(&c->map);
}

bool
dir_cache_get(struct cache *c, struct slice key, uint64_t now, struct record **r)
{
	struct cached *e = map_get(&c->map, key);

	if (!e || e->until <= now) {
		if (e)
			cache_drop(c, e);
		c->misses++;
		return false;
	}
	list_remove(&e->link);
	list_push(&c->lru, &e->link);
	c->hits++;
	*r = e->record;
	return true;
}

bool
dir_cache_young(const struct cache *c, struct slice key, uint64_t now, uint64_t age)
{
	const struct cached *e = map_get(&c->map, key);

	return e && e->until > now && now - e->since <= age;
}

void
dir_cache_put(struct cache *c, struct slice key, struct record *r, uint64_t now, uint64_t age)
{
	struct cached *e = map_get(&c->map, key);
	size_t size = r ? r->size : 0;

	if (e)
		cache_drop(c, e);
	if (age == 0 || c->max == 0 || size > CACHE_BYTES)
		return;
	while (c->n >= c->max || c->bytes + size > CACHE_BYTES)
		cache_drop(c, list_first(&c->lru, struct cached, link));
	e = mem_new(sizeof(*e) + key.n);
	memcpy(e->key, key.p, key.n);
	e->n = key.n;
	e->record = r ? dir_record_ref(r) : NULL;
	e->since = now;
	e->until = now + age;
	c->bytes += size;
	list_push(&c->lru, &e->link);
	map_put(&c->map, slice(e->key, e->n), e);
	c->n++;
}

/* ---- verified passwords ---------------------------------------------------------------- */

struct proof {
	struct list link;
	uint64_t until;
	int64_t password_at;
	unsigned char mac[PROOF_LEN];
	size_t n, naccount;
	char dn[]; /* and the account behind it */
};

void
dir_proofs_init(struct proofs *p, size_t max)
{
	*p = (struct proofs){ .max = max };
	list_init(&p->lru);
	random_bytes(p->key, sizeof(p->key));
}

static void
proof_free(struct proofs *p, struct proof *e)
{
	map_take(&p->map, slice(e->dn, e->n));
	list_remove(&e->link);
	OPENSSL_cleanse(e->mac, sizeof(e->mac));
	mem_release(e);
	p->n--;
}

void
dir_proofs_clear(struct proofs *p)
{
	struct proof *e;

	while ((e = list_first(&p->lru, struct proof, link)))
		proof_free(p, e);
}

void
dir_proofs_forget(struct proofs *p, struct slice account)
{
	struct proof *e;

	list_each(e, &p->lru, struct proof, link)
	{
		if (slice_ieq(slice(e->dn + e->n, e->naccount), account))
			proof_free(p, e);
	}
}

void
dir_proofs_fini(struct proofs *p)
{
	dir_proofs_clear(p);
	map_fini(&p->map);
	OPENSSL_cleanse(p->key, sizeof(p->key));
}

/* HMAC-SHA-256(key, dn NUL password). */
static void
proof_mac(const struct proofs *p, struct slice dn, struct slice password,
    unsigned char mac[PROOF_LEN])
{
	struct buf text = { 0 };
	unsigned int n = PROOF_LEN;

	buf_grow(&text, dn.n + 1 + password.n); /* no move may leave a copy behind */
	buf_slice(&text, dn);
	buf_char(&text, '\0');
	buf_slice(&text, password);
	must(HMAC(EVP_sha256(), p->key, sizeof(p->key), (const unsigned char *)text.p, text.n, mac,
		 &n) &&
	    n == PROOF_LEN);
	OPENSSL_cleanse(text.p, text.n);
	buf_fini(&text);
}

bool
dir_proofs_check(struct proofs *p, struct slice dn, struct slice password, int64_t password_at,
    uint64_t now)
{
	struct proof *e = map_get(&p->map, dn);
	unsigned char mac[PROOF_LEN];
	bool same;

	if (e && (e->until <= now || e->password_at != password_at)) {
		proof_free(p, e);
		e = NULL;
	}
	if (!e)
		return false;
	proof_mac(p, dn, password, mac);
	same = CRYPTO_memcmp(mac, e->mac, PROOF_LEN) == 0;
	OPENSSL_cleanse(mac, sizeof(mac));
	return same;
}

void
dir_proofs_put(struct proofs *p, struct slice dn, struct slice account, struct slice password,
    int64_t password_at, uint64_t now, uint64_t age)
{
	struct proof *e;

	dir_proofs_drop(p, dn);
	if (age == 0 || p->max == 0)
		return;
	while (p->n >= p->max)
		proof_free(p, list_first(&p->lru, struct proof, link));
	e = mem_new(sizeof(*e) + dn.n + account.n);
	memcpy(e->dn, dn.p, dn.n);
	e->n = dn.n;
	memcpy(e->dn + dn.n, account.p, account.n);
	e->naccount = account.n;
	e->until = now + age;
	e->password_at = password_at;
	proof_mac(p, dn, password, e->mac);
	list_push(&p->lru, &e->link);
	map_put(&p->map, slice(e->dn, e->n), e);
	p->n++;
}

void
dir_proofs_drop(struct proofs *p, struct slice dn)
{
	struct proof *e = map_get(&p->map, dn);

	if (e)
		proof_free(p, e);
}
