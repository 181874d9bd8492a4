/* directory.c: the directory of a worker as a whole: its replicas, its clock, its settings. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "directory/internal.h"

/* ---- replicas -------------------------------------------------------------------------- */

struct server *
dir_server(struct dir *d)
{
	for (size_t i = 0; i < d->nservers; i++)
		if (d->servers[i].not_before <= loop_now(d->loop))
			return &d->servers[i];
	return NULL;
}

static void
servers_free(struct dir *d)
{
	for (size_t i = 0; i < d->nservers; i++) {
		mem_free(&d->servers[i].url);
		tls_unref(&d->servers[i].tls);
	}
	mem_free(&d->servers);
	d->nservers = 0;
}

/* What a server's certificate is checked with.  NULL with *why (heap). */
static struct tls_ctx *
server_tls(char **why)
{
	struct tls_params p = { .ca = shared.tls_ca, .verify = true, .ciphers = shared.tls_ciphers,
		.protocols = shared.tls_protocols == 0 ? "tlsv1.3" : NULL };

	return tls_client_new(&p, why);
}

/* Reads a URL into *s.  A server whose TLS we could not give is not used at all. */
static char *
server_read(struct server *s, struct slice url)
{
	const char *fault;
	char *why = NULL;

	if (ldap_where_parse(url, &s->where, &fault) < 0)
		return mem_str(fault);
	s->starttls = shared.ldap_starttls && !s->where.local && !s->where.tls;
	if ((s->starttls || s->where.tls) && !(s->tls = server_tls(&why)))
		return why;
	return NULL;
}

static void
servers_read(struct dir *d)
{
	size_t n = 0;

	while (shared.ldap_urls && shared.ldap_urls[n])
		n++;
	d->servers = mem_array(n + 1, sizeof *d->servers);
	for (size_t i = 0; i < n; i++) {
		struct server *s = &d->servers[d->nservers];
		char *why = server_read(s, slice_str(shared.ldap_urls[i]));

		if (why) {
			log_event(LOG_ERROR, "ldap_bad_url", "url=%s why=%s",
			    log_str(shared.ldap_urls[i]), log_str(why));
			mem_free(&why);
			continue;
		}
		s->url = mem_str(shared.ldap_urls[i]);
		d->nservers++;
	}
}

bool
dir_check(struct buf *out)
{
	bool good = true;
	size_t n = 0;

	for (; shared.ldap_urls && shared.ldap_urls[n]; n++) {
		struct server s = { 0 };
		char *why = server_read(&s, slice_str(shared.ldap_urls[n]));

		if (why)
			buf_printf(out, "ldap.url: %s: %s\n", shared.ldap_urls[n], why);
		good = good && !why;
		mem_free(&why);
		tls_unref(&s.tls);
	}
	if (n == 0) {
		buf_str(out, "ldap.url: at least one server is needed\n");
		good = false;
	}
	return good;
}

/* ---- the clock ------------------------------------------------------------------------- */

void
dir_wake_at(struct dir *d, uint64_t when)
{
	uint64_t now = loop_now(d->loop);

	if (d->timer_at && d->timer_at <= when)
		return;
	d->timer_at = when;
	timer_start(&d->timer, when > now ? when - now : 1, 0);
}

static void
on_timer(struct timer *t)
{
	struct dir *d = CAST(CONTAINER(t, struct dir, timer), struct dir, DIR_MAGIC);
	uint64_t now = loop_now(d->loop), next, other;

	d->timer_at = 0;
	fetch_expire(d, now);
	auth_expire(d, now);
	next = fetch_next(d);
	other = auth_next(d);
	if (other < next)
		next = other;
	if (next != UINT64_MAX)
		dir_wake_at(d, next);
}

/* ---- life ------------------------------------------------------------------------------ */

static size_t
binders_wanted(void)
{
	int64_t n = shared.ldap_binders;

	return n < 1 ? 1 : n > BINDERS_MAX ? BINDERS_MAX : (size_t)n;
}

static void
verdicts_make(struct verdict say[SAYS])
{
	say[SAY_OK] = verdict(OK, 250, "2.1.5", "ok");
	say[SAY_NO_USER] = verdict(PERM, 550, "5.1.1", "no such user here");
	say[SAY_NO_DOMAIN] = verdict(PERM, 550, "5.1.2", "not a domain of ours");
	say[SAY_AWAY] = verdict(TEMP, 451, "4.3.0", "the directory does not answer, try later");
	say[SAY_DOUBLE] = verdict(TEMP, 451, "4.3.5", "the directory has no usable entry, try later");
	say[SAY_WRONG] = verdict(PERM, 535, "5.7.8", "authentication credentials invalid");
	say[SAY_INACTIVE] = verdict(PERM, 525, "5.7.13", "user account disabled");
	say[SAY_AUTH_AWAY] = verdict(TEMP, 454, "4.7.0", "temporary authentication failure");
}

struct dir *
dir_new(struct loop *l)
{
	struct dir *d = mem_new(sizeof *d);

	auth_wipe_memory();
	d->magic = DIR_MAGIC;
	d->loop = l;
	verdicts_make(d->say);
	cache_init(&d->cache, (size_t)shared.ldap_cache_size);
	proofs_init(&d->proofs, (size_t)shared.ldap_cache_size);
	list_init(&d->waiting);
	list_init(&d->flight);
	list_init(&d->binding);
	list_init(&d->bound);
	list_init(&d->padding);
	list_init(&d->ready);
	later_init(&d->later);
	timer_init(&d->timer, l, on_timer);
	d->nbinders = binders_wanted();
	for (size_t i = 0; i < BINDERS_MAX; i++)
		d->binders[i].dir = d;
	servers_read(d);
	return d;
}

void
dir_reload(struct dir *d)
{
	fetch_lost(d);
	auth_hang_up(d);
	servers_free(d);
	servers_read(d);
	cache_clear(&d->cache);
	proofs_clear(&d->proofs);
	d->cache.max = d->proofs.max = (size_t)shared.ldap_cache_size;
	d->nbinders = binders_wanted();
	fetch_resume(d);
	auth_resume(d);
}

static void
dir_closed(struct timer *t)
{
	struct dir *d = CONTAINER(t, struct dir, timer);

	mem_release(d);
}

void
dir_free(struct dir **dp)
{
	struct dir *d = *dp;
	struct ask *a;

	*dp = NULL;
	if (!d)
		return;
	fetch_close(d);
	auth_close(d);
	while ((a = list_first(&d->ready, struct ask, link)))
		ask_free(a);
	later_cancel(&d->later);
	cache_fini(&d->cache);
	proofs_fini(&d->proofs);
	servers_free(d);
	buf_fini(&d->scratch);
	d->magic = 0;
	timer_close(&d->timer, dir_closed);
}

void
dir_status(struct dir *d, struct buf *out)
{
	size_t binders = 0;

	for (size_t i = 0; i < d->nbinders; i++)
		binders += conn_up(d->binders[i].conn);
	buf_printf(out, "directory server=%s up=%s outstanding=%zu waiting=%zu binders=%zu "
	    "binding=%zu searches=%llu binds=%llu proved=%llu timeouts=%llu cached=%zu hits=%llu "
	    "misses=%llu", d->server ? d->server->url : "-", conn_up(d->conn) ? "yes" : "no",
	    d->nflight, d->nwaiting, binders, d->nbinding, (unsigned long long)d->searches,
	    (unsigned long long)d->binds, (unsigned long long)d->proved,
	    (unsigned long long)d->timeouts, d->cache.n, (unsigned long long)d->cache.hits,
	    (unsigned long long)d->cache.misses);
}
