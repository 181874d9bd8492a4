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
#include "directory/directory-impl.h"

#define PAD_STEP_US 50000
#define SETTLED_S   3

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
dir_auth_wipe_memory(void)
{
	static BerMemoryFunctions fns = { wipe_malloc, wipe_calloc, wipe_realloc, wipe_free };
	static bool done;

	if (!done)
		ber_set_option(NULL, LBER_OPT_MEMORY_FNS, &fns);
	done = true;
}

/* ---- the outcome ----------------------------------------------------------------------- */

static uint64_t
pad_us(const struct dir *d)
{
	return (2 * d->bind_us / PAD_STEP_US + 1) * PAD_STEP_US;
}

void
dir_auth_fail(struct ask *a, enum say say)
{
	struct dir *d = a->dir;
	uint64_t spent = clock_mono_us() - a->started_us, pad = pad_us(d);
	struct list *at = &d->padding;

	a->said = say;
	if (spent >= pad) {
		dir_ask_ready(a, say);
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

/* pwdChangedTime has seconds: a password that was right in that very one may have been changed after it. */
static bool
bind_settled(const struct dir_user *u)
{
	return u->password_at == 0 || clock_now() - u->password_at >= SETTLED_S;
}

static void
bind_judge(struct dir *d, struct ask *a, int code)
{
	struct slice dn = a->user->user.dn;
	struct slice password = secret_get(&a->password);

	switch (code) {
	case LDAP_SUCCESS:
		if (bind_settled(&a->user->user))
			dir_proofs_put(&d->proofs, dn, a->user->user.account, password,
			    a->user->user.password_at, loop_now(d->loop),
			    (uint64_t)shared.ldap_auth_age);
		dir_ask_ready(a, SAY_OK);
		return;
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_INAPPROPRIATE_AUTH:   /* has no password */
	case LDAP_NO_SUCH_OBJECT:       /* deleted since we looked */
	case LDAP_CONSTRAINT_VIOLATION: /* locked by password policy */
	case LDAP_INSUFFICIENT_ACCESS:
	case LDAP_UNWILLING_TO_PERFORM:
		dir_proofs_drop(&d->proofs, dn);
		dir_auth_fail(a, SAY_WRONG);
		return;
	default:
		log_event(LOG_WARN, "ldap_error", "key=%s error=%s",
		    log_value(a->user->user.account), log_str(ldap_err2string(code)));
		dir_ask_ready(a, SAY_AUTH_AWAY);
	}
}

/* ---- binders --------------------------------------------------------------------------- */

static void binders_pump(struct dir *d);

static void
binder_up(struct conn *c UNUSED, void *data)
{
	struct binder *b = data;

	b->was_up = true;
	dir_server_good(b->server);
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
	if (ldap_parse_result(dir_conn_ldap(c), m, &code, NULL, NULL, NULL, NULL, 0) !=
	    LDAP_SUCCESS)
		code = LDAP_OTHER;
	b->msgid = 0;
	b->ask = NULL;
	dir_turns_unbind(d, &b->turns);
	d->bind_heard = clock_mono_us();
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
		dir_server_failed(b->server, loop_now(d->loop), b->began_at);
	b->ask = NULL;
	b->msgid = 0;
	b->was_up = false;
	dir_turns_unbind(d, &b->turns);
	if (!a)
		return;
	list_remove(&a->link);
	a->binder = NULL;
	if (a->tried) {
		dir_ask_ready(a, SAY_AUTH_AWAY);
		return;
	}
	a->tried = a->queued = true;
	d->nbinding++;
	list_push_front(&d->binding, &a->link);
	dir_turns_push(a, true);
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
	struct berval cred = { a->password.n, a->password.p };

	if (ldap_sasl_bind(dir_conn_ldap(b->conn), a->user->user.dn.p, LDAP_SASL_SIMPLE, &cred,
		NULL, NULL, &b->msgid) != LDAP_SUCCESS) {
		b->msgid = 0;
		return false;
	}
	list_remove(&a->link);
	list_push(&b->dir->bound, &a->link);
	a->queued = false;
	a->until = loop_now(b->dir->loop) + (uint64_t)shared.ldap_timeout; /* of the bind itself */
	b->turns = dir_turns_bind(a);
	b->dir->nbinding--;
	b->dir->binds++;
	b->ask = a;
	a->binder = b;
	b->sent_us = clock_mono_us();
	return true;
}

/* Connections without work to a server that hangs: nobody shall find that out once more. */
static void
binders_leave(struct dir *d, const struct server *server)
{
	for (size_t i = 0; i < d->nbinders; i++) {
		struct binder *b = &d->binders[i];

		if (b->server != server || b->msgid || !dir_conn_up(b->conn))
			continue;
		dir_conn_close(&b->conn);
		b->was_up = false;
	}
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

		if (d->nbinding == 0)
			return;
		if (dir_conn_up(b->conn) && !b->msgid && (a = dir_turns_next(d)) &&
		    !binder_start(b, a)) {
			dir_conn_close(&b->conn);
			binder_lost(b, false);
		}
		any |= !!b->conn;
		coming += b->conn && !dir_conn_up(b->conn);
	}
	for (size_t i = 0; i < d->nbinders && coming < d->nbinding; i++) {
		struct binder *b = &d->binders[i];

		if (b->conn)
			continue;
		b->server = dir_server(d);
		if (!b->server)
			break;
		b->began_at = loop_now(d->loop);
		b->conn = dir_conn_new(d->loop, dir_names(d, b->server), b->server, NULL, NULL,
		    dir_connect_ms(d), &binder_events, b);
		coming++;
		any = true;
	}
	if (any || d->nbinding == 0 || dir_server_wait(d))
		return;
	while ((a = list_first(&d->binding, struct ask, link)))
		dir_ask_ready(a, SAY_AUTH_AWAY);
}

void
dir_auth_begin(struct ask *a)
{
	struct dir *d = a->dir;
	uint64_t now = loop_now(d->loop);

	if (dir_proofs_check(&d->proofs, a->user->user.dn, secret_get(&a->password),
		a->user->user.password_at, now)) {
		d->proved++;
		dir_ask_ready(a, SAY_OK);
		return;
	}
	if (d->nbinding >= WAITING_MAX) {
		dir_ask_ready(a, SAY_AUTH_AWAY);
		return;
	}
	a->until = now + (uint64_t)shared.ldap_timeout;
	a->queued = true;
	d->nbinding++;
	list_push(&d->binding, &a->link);
	dir_turns_push(a, false);
	dir_wake_at(d, a->until);
	binders_pump(d);
}

/* a leaves whatever list of ours it is on. */
void
dir_auth_cancel(struct ask *a)
{
	if (a->queued) {
		a->dir->nbinding--;
		dir_turns_leave(a);
	}
	a->queued = false;
	if (a->binder)
		a->binder->ask = NULL; /* the answer to the bind will be ignored */
	a->binder = NULL;
}

/* ---- time and the end ------------------------------------------------------------------ */

void
dir_auth_expire(struct dir *d, uint64_t now)
{
	struct ask *a;
	bool late = false, hung;

	while ((a = list_first(&d->padding, struct ask, link)) && a->until <= now)
		dir_ask_ready(a, a->said);
	while ((a = list_first(&d->bound, struct ask, link)) && a->until <= now) {
		struct binder *b = a->binder;

		d->timeouts++;
		late = true;
		log_event(LOG_WARN, "ldap_down", "server=%s why=%s use=bind",
		    log_str(b->server->url), log_str("no answer in time"));
		/* A slow hash under many wrong passwords is late, too; a server that has
		 * answered somebody meanwhile is not to blame. */
		hung = d->bind_heard < b->sent_us;
		if (hung && !a->tried && d->nservers > 1)
			a->until = now + (uint64_t)shared.ldap_timeout; /* for another server */
		else
			dir_ask_ready(a, SAY_AUTH_AWAY);
		dir_conn_close(&b->conn);
		binder_lost(b, hung);
		if (hung)
			binders_leave(d, b->server);
	}
	while ((a = list_first(&d->binding, struct ask, link)) && a->until <= now)
		dir_ask_ready(a, SAY_AUTH_AWAY);
	if (late || d->nbinding)
		binders_pump(d);
}

uint64_t
dir_auth_next(struct dir *d)
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
dir_auth_hang_up(struct dir *d)
{
	for (size_t i = 0; i < BINDERS_MAX; i++) {
		struct binder *b = &d->binders[i];

		if (!b->conn)
			continue;
		dir_conn_close(&b->conn);
		b->was_up = true; /* nobody is to blame */
		binder_lost(b, false);
	}
}

void
dir_auth_resume(struct dir *d)
{
	binders_pump(d);
}

void
dir_auth_close(struct dir *d)
{
	struct list *lists[] = { &d->padding, &d->bound, &d->binding };
	struct ask *a;

	for (size_t i = 0; i < BINDERS_MAX; i++) {
		dir_conn_close(&d->binders[i].conn);
		dir_turns_unbind(d, &d->binders[i].turns);
	}
	for (size_t i = 0; i < NELEM(lists); i++)
		while ((a = list_first(lists[i], struct ask, link)))
			dir_ask_free(a);
}
