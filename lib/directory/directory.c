/* directory.c: the directory of a worker as a whole: its replicas, its clock, its settings.
 *
 * Owns struct dir and the list of servers; each program has one per worker.  Can fail: a URL or a
 * certificate of the settings, which is logged and left out.  Must stay true: a reload makes new
 * servers, so whoever has a connection (fetch.c, auth.c, modify.c) hangs up before and resumes
 * after it; one timer serves all, set to the earliest of what they wait for.  What is asked of the
 * directory is in the other files, this is what they stand on. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "directory/agent.h"
#include "directory/directory-impl.h"

/* ---- replicas -------------------------------------------------------------------------- */

struct server *
dir_server(struct dir *d)
{
	for (size_t i = 0; i < d->nservers; i++)
		if (d->servers[i].not_before <= loop_now(d->loop))
			return &d->servers[i];
	return NULL;
}

/* How long a connection may take to come up.  A host that is gone answers nothing: while there are
 * others to ask, whoever waits must still have the time for one of them. */
uint64_t
dir_connect_ms(const struct dir *d)
{
	return (uint64_t)shared.ldap_timeout / (d->nservers > 1 ? 4 : 1);
}

/* A server that has just gone is mostly one that restarts.  Until it has failed for a quarter of
 * the time that a question may take, questions wait for it; then they are refused at once. */
static uint64_t
server_soon(struct dir *d)
{
	uint64_t patience = (uint64_t)shared.ldap_timeout / 4, soon = UINT64_MAX;

	for (size_t i = 0; i < d->nservers; i++) {
		const struct server *s = &d->servers[i];

		if (s->not_before <= loop_now(d->loop))
			return UINT64_MAX;
		if (s->not_before <= s->failing_at + patience && s->not_before < soon)
			soon = s->not_before;
	}
	return soon;
}

bool
dir_server_wait(struct dir *d)
{
	uint64_t soon = server_soon(d);

	if (soon == UINT64_MAX)
		return false;
	dir_wake_at(d, soon);
	return true;
}

struct dns *
dir_names(struct dir *d, const struct server *s)
{
	struct dns_params p = dns_params_shared();
	char *why;

	if (!dir_server_named(s))
		return NULL;
	if (!d->names && !(d->names = dns_new(d->loop, &p, &why))) {
		log_event(LOG_ERROR, "dns", "error=%s", log_str(why));
		mem_free(&why);
	}
	return d->names;
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

/* What a server's certificate is checked with, and ours that it is shown.  NULL with *why (heap). */
static struct tls_ctx *
server_tls(char **why)
{
	struct tls_params p = { .ca = shared.tls_ca,
		.verify = true,
		.ciphers = shared.tls_ciphers,
		.protocols = shared.tls_protocols == 0 ? "tlsv1.3" : NULL };

	if (shared.ldap_certificate) {
		p.cert = shared.tls_cert;
		p.key = shared.tls_key;
	}
	return tls_client_new(&p, why);
}

/* Reads a URL into *s.  A server whose TLS we could not give is not used at all. */
static char *
server_read(struct server *s, struct slice url)
{
	const char *fault;
	char *why = NULL;

	if (dir_where_parse(url, &s->where, &fault) < 0)
		return mem_str(fault);
	s->starttls = shared.ldap_starttls && !s->where.local && !s->where.tls;
	if ((s->starttls || s->where.tls) && !(s->tls = server_tls(&why)))
		return why;
	return NULL;
}

/* `ldap.url = none`: a host whose rules never ask, like a null client.  Who asks all the same is told that
 * nobody answers. */
static bool
no_directory(void)
{
	return shared.ldap_urls && shared.ldap_urls[0] && !shared.ldap_urls[1] &&
	    strcmp(shared.ldap_urls[0], "none") == 0;
}

static void
servers_read(struct dir *d)
{
	char **urls = *d->urls;
	size_t n = 0;

	while (urls && urls[n] && !(urls == shared.ldap_urls && no_directory()))
		n++;
	d->servers = mem_array(n + 1, sizeof(*d->servers));
	for (size_t i = 0; i < n; i++) {
		struct server *s = &d->servers[d->nservers];
		char *why = server_read(s, slice_str(urls[i]));

		if (why) {
			log_event(LOG_ERROR, "ldap_bad_url", "url=%s why=%s", log_str(urls[i]),
			    log_str(why));
			mem_free(&why);
			continue;
		}
		s->url = mem_str(urls[i]);
		d->nservers++;
	}
}

/* Of one list: how many there are; *good becomes false when one of them is none. */
static size_t
servers_check(char ***urls, const char *key, struct buf *out, bool *good)
{
	size_t n = 0;

	for (; *urls && (*urls)[n]; n++) {
		struct server s = { 0 };
		char *why = server_read(&s, slice_str((*urls)[n]));

		if (why)
			buf_printf(out, "%s: %s: %s: %s\n", conf_where(urls), key, (*urls)[n], why);
		*good = *good && !why;
		mem_free(&why);
		tls_unref(&s.tls);
	}
	return n;
}

bool
dir_check(struct buf *out)
{
	bool good = true;
	size_t n;

	if (no_directory())
		return true;
	n = servers_check(&shared.ldap_urls, "ldap.url", out, &good);
	(void)servers_check(&shared.ldap_providers, "ldap.provider", out, &good);
	if (n == 0) {
		buf_printf(out, "%s: ldap.url: at least one server is needed\n",
		    conf_where(&shared.ldap_urls));
		good = false;
	}
	if (!shared.ldap_base || !*shared.ldap_base) {
		buf_printf(out, "%s: ldap.base is needed: the entry below which all domains are\n",
		    conf_where(&shared.ldap_base));
		good = false;
	}
	if (shared.ldap_certificate && (!*shared.tls_cert || !*shared.tls_key)) {
		buf_printf(out,
		    "%s: ldap.certificate: there is no tls.certificate, or no tls.key\n",
		    conf_where(&shared.ldap_certificate));
		good = false;
	}
	if (shared.ldap_bind && !shared.ldap_certificate) {
		buf_printf(out, "%s: ldap.bind = external: needs ldap.certificate = yes\n",
		    conf_where(&shared.ldap_bind));
		good = false;
	}
	if (!shared.ldap_bind && shared.ldap_bind_dn && *shared.ldap_bind_dn &&
	    !*shared.ldap_password)
		buf_printf(out,
		    "warning: %s: ldap.bind_dn has no ldap.password: most servers refuse that\n",
		    conf_where(&shared.ldap_bind_dn));
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
dir_on_timer(struct timer *t)
{
	struct dir *d = CAST(CONTAINER(t, struct dir, timer), struct dir, DIR_MAGIC);
	uint64_t now = loop_now(d->loop), next, other;

	d->timer_at = 0;
	dir_fetch_expire(d, now);
	dir_auth_expire(d, now);
	dir_base_expire(d, now);
	next = dir_fetch_next(d);
	other = dir_auth_next(d);
	if (other < next)
		next = other;
	other = dir_base_next(d);
	if (other < next)
		next = other;
	if (d->nbinding || (d->nwaiting && !d->conn))
		(void)dir_server_wait(d);
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
	say[SAY_OK] = verdict(OUT_RCPT_OK);
	say[SAY_NO_USER] = verdict(OUT_USER_UNKNOWN);
	say[SAY_NO_DOMAIN] = verdict(OUT_DOMAIN_NOT_OURS);
	say[SAY_AWAY] = verdict(OUT_DIR_AWAY);
	say[SAY_BLIND] = verdict(OUT_DIR_BLIND);
	say[SAY_DOUBLE] = verdict(OUT_DIR_DOUBLE);
	say[SAY_WRONG] = verdict(OUT_BIND_WRONG);
	say[SAY_AUTH_AWAY] = verdict(OUT_BIND_AWAY);
}

struct dir *
dir_new_idle(struct loop *l)
{
	return dir_new_at(l, &shared.ldap_urls);
}

struct dir *
dir_new_at(struct loop *l, char ***urls)
{
	struct dir *d = mem_new(sizeof(*d));

	dir_auth_wipe_memory();
	d->magic = DIR_MAGIC;
	d->loop = l;
	d->urls = urls;
	verdicts_make(d->say);
	dir_cache_init(&d->cache, (size_t)shared.ldap_cache_size);
	dir_proofs_init(&d->proofs, (size_t)shared.ldap_cache_size);
	list_init(&d->waiting);
	list_init(&d->flight);
	list_init(&d->binding);
	list_init(&d->bound);
	list_init(&d->padding);
	list_init(&d->turns);
	list_init(&d->writers);
	list_init(&d->agents);
	list_init(&d->by_url);
	list_init(&d->ready);
	later_init(&d->later);
	timer_init(&d->timer, l, dir_on_timer);
	d->nbinders = binders_wanted();
	for (size_t i = 0; i < BINDERS_MAX; i++)
		d->binders[i].dir = d;
	d->metric = -1;
	servers_read(d);
	return d;
}

struct dir *
dir_new(struct loop *l)
{
	struct dir *d = dir_new_idle(l);

	d->looks = true;
	dir_fetch_check(d);
	return d;
}

struct dir *
dir_provider(struct dir *d)
{
	if (d->urls != &shared.ldap_urls || !shared.ldap_providers || !shared.ldap_providers[0])
		return d;
	if (!d->provider)
		d->provider = dir_new_at(d->loop, &shared.ldap_providers);
	return d->provider;
}

void
dir_reload(struct dir *d)
{
	dir_fetch_lost(d);
	dir_auth_hang_up(d);
	dir_writers_hang_up(d);
	dir_agents_hang_up(d);
	dir_searches_hang_up(d);
	servers_free(d);
	dns_free(&d->names);
	servers_read(d);
	dir_cache_clear(&d->cache);
	dir_proofs_clear(&d->proofs);
	d->cache.max = d->proofs.max = (size_t)shared.ldap_cache_size;
	d->nbinders = binders_wanted();
	d->base = DIR_BASE_UNKNOWN;
	d->shown_at = d->told_at = 0;
	dir_fetch_resume(d);
	dir_auth_resume(d);
	dir_writers_resume(d);
	if (d->looks)
		dir_fetch_check(d);
	if (d->provider)
		dir_reload(d->provider);
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
	dir_free(&d->provider);
	dir_fetch_close(d);
	dir_auth_close(d);
	dir_searches_close(d);
	while ((a = list_first(&d->ready, struct ask, link)))
		dir_ask_free(a);
	later_cancel(&d->later);
	map_fini(&d->clients);
	dir_cache_fini(&d->cache);
	dir_proofs_fini(&d->proofs);
	servers_free(d);
	dns_free(&d->names);
	buf_fini(&d->scratch);
	buf_fini(&d->where);
	d->magic = 0;
	timer_close(&d->timer, dir_closed);
}

void
dir_status(struct dir *d, struct buf *out)
{
	size_t binders = 0;

	for (size_t i = 0; i < d->nbinders; i++)
		binders += dir_conn_up(d->binders[i].conn);
	buf_printf(out,
	    "directory server=%s up=%s outstanding=%zu waiting=%zu binders=%zu "
	    "binding=%zu searches=%llu binds=%llu proved=%llu timeouts=%llu cached=%zu hits=%llu "
	    "misses=%llu",
	    d->server ? d->server->url : "-", dir_conn_up(d->conn) ? "yes" : "no", d->nflight,
	    d->nwaiting, binders, d->nbinding, (unsigned long long)d->searches,
	    (unsigned long long)d->binds, (unsigned long long)d->proved,
	    (unsigned long long)d->timeouts, d->cache.n, (unsigned long long)d->cache.hits,
	    (unsigned long long)d->cache.misses);
	dir_base_status(d, out);
}

void
dir_forget(struct dir *d, struct slice account)
{
	dir_cache_forget(&d->cache, account);
	dir_proofs_forget(&d->proofs, account);
}

void
dir_forget_all(struct dir *d)
{
	dir_cache_clear(&d->cache);
	dir_proofs_clear(&d->proofs);
}

void
dir_metric(struct dir *d, size_t id)
{
	d->metric = (int)id;
}

void
dir_want_scripts(struct dir *d)
{
	d->scripts = true;
}

void
dir_want_verifiers(struct dir *d)
{
	d->verifiers = true;
}
