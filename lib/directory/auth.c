/* auth.c: passwords, checked by binding.
 *
 * Binds have connections of their own (a bind changes who a connection is, and may take as
 * long as the password's hash wants), one bind at a time on each.  A password that was right
 * a moment ago is remembered as a keyed hash (cache.h).
 *
 * What an attacker must not learn is whether a user exists: a wrong password and an unknown
 * user get the same words, after the same time: refusals are held back until about twice what
 * binds have taken lately. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include <lber.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "directory/internal.h"

#define PAD_STEP_US 50000

/* ---- wiping ---------------------------------------------------------------------------- */

static void *
wipe_malloc(ber_len_t n, void *ctx UNUSED)
{
	return malloc(n);
}

static void *
wipe_calloc(ber_len_t n, ber_len_t size, void *ctx UNUSED)
{
	return calloc(n, size);
}

static void
wipe_free(void *p, void *ctx UNUSED)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *
wipe_realloc(void *p, ber_len_t n, void *ctx)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *q = malloc(n);

	if (!q)
		return NULL;
	if (p)
		memcpy(q, p, had < n ? had : n);
	wipe_free(p, ctx);
	return q;
}

/* libldap keeps requests, passwords and all, in blocks that it frees as they are. */
void
auth_wipe_memory(void)
{
	static BerMemoryFunctions fns = { wipe_malloc, wipe_calloc, wipe_realloc, wipe_free };
	static bool done;

	if (!done)
		ber_set_option(NULL, LBER_OPT_MEMORY_FNS, &fns);
	done = true;
}

/* ---- the outcome ----------------------------------------------------------------------- */

static void
auth_good(struct ask *a)
{
	enum dir_status s = a->domain->domain.status;

	if (s == DIR_ACTIVE || s == DIR_OVERQUOTA)
		s = a->user->user.status;
	ask_ready(a, s == DIR_ACTIVE || s == DIR_OVERQUOTA ? SAY_OK : SAY_INACTIVE);
}

static uint64_t
pad_us(const struct dir *d)
{
	return (2 * d->bind_us / PAD_STEP_US + 1) * PAD_STEP_US;
}

void
auth_fail(struct ask *a, enum say say)
{
	struct dir *d = a->dir;
	uint64_t spent = clock_mono_us() - a->started_us, pad = pad_us(d);
	struct list *at = &d->padding;

	a->said = say;
	if (spent >= pad) {
		ask_ready(a, say);
		return;
	}
	a->until = loop_now(d->loop) + (pad - spent) / 1000 + 1;
	while (at->prev != &d->padding && CONTAINER(at->prev, struct ask, link)->until > a->until)
		at = at->prev;
	list_insert_before(at, &a->link);
	dir_wake_at(d, a->until);
}

/* The longest of late, slowly forgotten. */
static void
bind_took(struct dir *d, uint64_t us)
{
	if (us > d->bind_us)
		d->bind_us = us;
	else
		d->bind_us -= (d->bind_us - us) / 64;
}

static void
bind_judge(struct dir *d, struct ask *a, int code)
{
	struct slice dn = a->user->user.dn;
	struct slice password = slice(a->password, a->password_len);

	switch (code) {
	case LDAP_SUCCESS:
		proofs_put(&d->proofs, dn, password, loop_now(d->loop), (uint64_t)shared.ldap_auth_age);
		auth_good(a);
		return;
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_INAPPROPRIATE_AUTH:  /* has no password */
	case LDAP_NO_SUCH_OBJECT:      /* deleted since we looked */
	case LDAP_CONSTRAINT_VIOLATION: /* locked by password policy */
	case LDAP_INSUFFICIENT_ACCESS:
	case LDAP_UNWILLING_TO_PERFORM:
		proofs_drop(&d->proofs, dn);
		auth_fail(a, SAY_WRONG);
		return;
	default:
		log_event(LOG_WARN, "ldap_error", "key=%s error=%s", log_value(a->user->user.account),
		    log_str(ldap_err2string(code)));
		ask_ready(a, SAY_AUTH_AWAY);
	}
}

/* ---- binders --------------------------------------------------------------------------- */

static void binders_pump(struct dir *d);

static void
binder_up(struct conn *c UNUSED, void *data)
{
	struct binder *b = data;

	b->was_up = true;
	server_good(b->server);
	binders_pump(b->dir);
}

static void
binder_message(struct conn *c, void *data, LDAPMessage *m)
{
	struct binder *b = data;
	struct dir *d = b->dir;
	struct ask *a = b->ask;
	int code = LDAP_OTHER;

	if (ldap_msgid(m) != b->msgid)
		return;
	if (ldap_parse_result(conn_ldap(c), m, &code, NULL, NULL, NULL, NULL, 0) != LDAP_SUCCESS)
		code = LDAP_OTHER;
	b->msgid = 0;
	b->ask = NULL;
	bind_took(d, clock_mono_us() - b->sent_us);
	if (a) {
		list_remove(&a->link);
		a->binder = NULL;
		bind_judge(d, a, code);
	}
	binders_pump(d);
}

/* The binder has no connection any more; its ask is tried on another one, once. */
static void
binder_lost(struct binder *b, bool blame)
{
	struct dir *d = b->dir;
	struct ask *a = b->ask;

	if (blame || !b->was_up)
		server_failed(b->server, loop_now(d->loop), b->began_at);
	b->ask = NULL;
	b->msgid = 0;
	b->was_up = false;
	if (!a)
		return;
	list_remove(&a->link);
	a->binder = NULL;
	if (a->tried) {
		ask_ready(a, SAY_AUTH_AWAY);
		return;
	}
	a->tried = a->queued = true;
	d->nbinding++;
	list_push_front(&d->binding, &a->link);
}

static void
binder_down(struct conn *c UNUSED, void *data, const char *why)
{
	struct binder *b = data;

	b->conn = NULL; /* it frees itself */
	if (!b->was_up || b->ask)
		log_event(LOG_WARN, "ldap_down", "server=%s why=%s use=bind",
		    log_str(b->server->url), log_str(why));
	binder_lost(b, false);
	binders_pump(b->dir);
}

static const struct conn_events binder_events = { binder_up, binder_message, binder_down };

static bool
binder_start(struct binder *b, struct ask *a)
{
	struct berval cred = { a->password_len, a->password };

	if (ldap_sasl_bind(conn_ldap(b->conn), a->user->user.dn.p, LDAP_SASL_SIMPLE, &cred, NULL,
		NULL, &b->msgid) != LDAP_SUCCESS) {
		b->msgid = 0;
		return false;
	}
	list_remove(&a->link);
	list_push(&b->dir->bound, &a->link);
	a->queued = false;
	b->dir->nbinding--;
	b->dir->binds++;
	b->ask = a;
	a->binder = b;
	b->sent_us = clock_mono_us();
	return true;
}

/* Gives waiting asks to idle binders, and connects as many more as are wanted. */
static void
binders_pump(struct dir *d)
{
	size_t coming = 0;
	bool any = false;
	struct ask *a;

	for (size_t i = 0; i < d->nbinders; i++) {
		struct binder *b = &d->binders[i];

		if (!(a = list_first(&d->binding, struct ask, link)))
			return;
		if (conn_up(b->conn) && !b->msgid && !binder_start(b, a)) {
			conn_close(&b->conn);
			binder_lost(b, false);
		}
		any |= b->conn != NULL;
		coming += b->conn && !conn_up(b->conn);
	}
	for (size_t i = 0; i < d->nbinders && coming < d->nbinding; i++) {
		struct binder *b = &d->binders[i];

		if (b->conn)
			continue;
		b->server = dir_server(d);
		if (!b->server)
			break;
		b->began_at = loop_now(d->loop);
		b->conn = conn_new(d->loop, b->server, NULL, NULL, (uint64_t)shared.ldap_timeout,
		    &binder_events, b);
		coming++;
		any = true;
	}
	while (!any && (a = list_first(&d->binding, struct ask, link)))
		ask_ready(a, SAY_AUTH_AWAY);
}

void
auth_begin(struct ask *a)
{
	struct dir *d = a->dir;
	uint64_t now = loop_now(d->loop);

	if (proofs_check(&d->proofs, a->user->user.dn, slice(a->password, a->password_len), now)) {
		d->proved++;
		auth_good(a);
		return;
	}
	if (d->nbinding >= WAITING_MAX) {
		ask_ready(a, SAY_AUTH_AWAY);
		return;
	}
	a->until = now + (uint64_t)shared.ldap_timeout;
	a->queued = true;
	d->nbinding++;
	list_push(&d->binding, &a->link);
	dir_wake_at(d, a->until);
	binders_pump(d);
}

/* a leaves whatever list of ours it is on. */
void
auth_cancel(struct ask *a)
{
	if (a->queued)
		a->dir->nbinding--;
	a->queued = false;
	if (a->binder)
		a->binder->ask = NULL; /* the answer to the bind will be ignored */
	a->binder = NULL;
}

/* ---- time and the end ------------------------------------------------------------------ */

void
auth_expire(struct dir *d, uint64_t now)
{
	struct ask *a;
	bool late = false;

	while ((a = list_first(&d->padding, struct ask, link)) && a->until <= now)
		ask_ready(a, a->said);
	while ((a = list_first(&d->bound, struct ask, link)) && a->until <= now) {
		struct binder *b = a->binder;

		d->timeouts++;
		late = true;
		log_event(LOG_WARN, "ldap_down", "server=%s why=%s use=bind",
		    log_str(b->server->url), log_str("no answer in time"));
		ask_ready(a, SAY_AUTH_AWAY);
		conn_close(&b->conn);
		binder_lost(b, true);
	}
	while ((a = list_first(&d->binding, struct ask, link)) && a->until <= now)
		ask_ready(a, SAY_AUTH_AWAY);
	if (late)
		binders_pump(d);
}

uint64_t
auth_next(struct dir *d)
{
	struct list *lists[] = { &d->padding, &d->bound, &d->binding };
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < NELEM(lists); i++) {
		struct ask *a = list_first(lists[i], struct ask, link);

		if (a && a->until < next)
			next = a->until;
	}
	return next;
}

void
auth_hang_up(struct dir *d)
{
	for (size_t i = 0; i < BINDERS_MAX; i++) {
		struct binder *b = &d->binders[i];

		if (!b->conn)
			continue;
		conn_close(&b->conn);
		b->was_up = true; /* nobody is to blame */
		binder_lost(b, false);
	}
}

void
auth_resume(struct dir *d)
{
	binders_pump(d);
}

void
auth_close(struct dir *d)
{
	struct list *lists[] = { &d->padding, &d->bound, &d->binding };
	struct ask *a;

	for (size_t i = 0; i < BINDERS_MAX; i++)
		conn_close(&d->binders[i].conn);
	for (size_t i = 0; i < NELEM(lists); i++)
		while ((a = list_first(lists[i], struct ask, link)))
			ask_free(a);
}
