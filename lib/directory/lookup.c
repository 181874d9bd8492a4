/* lookup.c: a question step by step: its domain, then its user, then (auth.c) its password.
 *
 * Owns the asks; callers start them by the dir_..._start functions of directory.h, fetch.c and
 * auth.c move them on.  Can fail: nothing here; what others could not find out is an enum say.
 * Must stay true: an ask is on one list at a time, `done` is called once and never inside the
 * call that asked, a password is wiped when its ask is answered or dropped.  The steps are in one
 * place so that all four kinds of question take the same way as far as it goes. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "directory/directory-impl.h"

/* ---- the life of an ask ---------------------------------------------------------------- */

void
dir_ask_free(struct ask *a)
{
	dir_auth_cancel(a);
	list_remove(&a->link);
	secret_wipe(&a->password);
	if (a->op)
		op_done(a->op);
	dir_record_unref(&a->domain);
	dir_record_unref(&a->user);
	dir_record_unref(&a->home);
	a->magic = 0;
	mem_free(&a->renamed);
	mem_release(a);
}

static void
ask_cancel(struct op *op)
{
	struct ask *a = CAST(op->impl, struct ask, ASK_MAGIC);

	a->op = NULL;
	op->impl = NULL;
	dir_ask_free(a);
}

/* Keeps local and name in lower case, at `text`. */
static void
ask_name(struct ask *a, char *text, struct slice local, struct slice name)
{
	for (size_t i = 0; i < local.n; i++)
		text[i] = ascii_lower(local.p[i]);
	for (size_t i = 0; i < name.n; i++)
		text[local.n + i] = ascii_lower(name.p[i]);
	a->local = slice(text, local.n);
	a->name = slice(text + local.n, name.n);
}

/* From now on the ask is about another name; local and name may be parts of the present one. */
static void
ask_rename(struct ask *a, struct slice local, struct slice name)
{
	char *before = a->renamed;

	a->renamed = mem_new(local.n + name.n);
	ask_name(a, a->renamed, local, name);
	mem_free(&before);
}

static struct ask *
ask_new(struct dir *d, enum ask_kind kind, struct slice local, struct slice name, struct op *op,
    dir_done done, void *arg)
{
	struct ask *a = mem_new(sizeof(*a) + local.n + name.n);

	a->magic = ASK_MAGIC;
	a->kind = kind;
	a->dir = d;
	a->op = op;
	a->done = done;
	a->arg = arg;
	list_init(&a->link);
	list_init(&a->turn);
	ask_name(a, a->text, local, name);
	op->cancel = ask_cancel;
	op->impl = a;
	return a;
}

/* ---- the answer ------------------------------------------------------------------------ */

static void dir_asks_answer(struct later *later);

void
dir_ask_ready(struct ask *a, enum say said)
{
	struct dir *d = a->dir;

	dir_auth_cancel(a);
	secret_wipe(&a->password);
	a->said = said;
	list_remove(&a->link);
	list_push(&d->ready, &a->link);
	later_run(&d->later, d->loop, dir_asks_answer);
}

/* Is local@name another address of u than its primary one? */
static bool
is_alias(const struct dir_user *u, struct slice local, struct slice name)
{
	size_t at = slice_rfind(u->mail, '@');

	return !slice_ieq(slice_sub(u->mail, 0, at), local) ||
	    !slice_ieq(slice_from(u->mail, at + 1), name);
}

/* The domain's status goes before the user's, but for "over quota", which says least. */
static enum dir_status
status_of(enum dir_status domain, enum dir_status user)
{
	if (domain == DIR_ACTIVE || (domain == DIR_OVERQUOTA && user != DIR_ACTIVE))
		return user;
	return domain;
}

static void
ask_answer(struct ask *a)
{
	struct record *domain = a->home ? a->home : a->domain;
	struct dir_answer answer = { .v = a->dir->say[a->said] };
	struct dir_user user;
	struct dir_group group;
	dir_done done = a->done;
	void *arg = a->arg;

	if (domain)
		answer.domain = &domain->domain;
	if (a->kind == ASK_MEMBER && a->user) {
		answer.member = a->user->mail;
	} else if (a->user && a->user->kind == RECORD_GROUP) {
		must(a->domain);
		group = a->user->group;
		group.status = status_of(a->domain->domain.status, group.status);
		answer.group = &group;
	} else if (a->user && a->said != SAY_WRONG && a->said != SAY_AUTH_AWAY) {
		must(a->domain);
		user = a->user->user;
		user.status = status_of(a->domain->domain.status, user.status);
		answer.user = &user;
		answer.alias = a->home || (a->name.n && is_alias(&user, a->local, a->name));
	}
	op_done(a->op);
	a->op = NULL;
	done(arg, &answer);
	dir_ask_free(a);
}

static void
dir_asks_answer(struct later *later)
{
	struct dir *d = CONTAINER(later, struct dir, later);
	struct list now;
	struct ask *a;

	list_init(&now);
	list_splice(&now, &d->ready);
	while ((a = list_first(&now, struct ask, link))) {
		list_remove(&a->link);
		ask_answer(a);
	}
}

/* ---- the steps ------------------------------------------------------------------------- */

/* Is it asked by an address of the envelope? */
static bool
is_rcpt(const struct ask *a)
{
	return a->kind == ASK_RCPT || a->kind == ASK_ENTRY;
}

/* An unknown user of a domain with a catchall: once more, for that address. */
static bool
ask_catchall(struct ask *a)
{
	struct slice to = a->domain ? a->domain->domain.catchall : S("");
	size_t at = slice_rfind(to, '@');

	if (!is_rcpt(a) || a->home || at == 0 || at + 1 >= to.n)
		return false;
	ask_rename(a, slice_sub(to, 0, at), slice_from(to, at + 1));
	a->home = a->domain;
	a->domain = NULL;
	dir_ask_step(a);
	return true;
}

/* What is to be known as of now cannot be: is it remembered from before? */
static bool
ask_remembered(struct ask *a, char kind, const struct record *have)
{
	struct dir *d = a->dir;
	struct slice key = dir_fetch_key(d, kind, kind == 'd' ? S("") : a->local, a->name);

	return have || dir_cache_young(&d->cache, key, loop_now(d->loop), UINT64_MAX);
}

static bool
ask_older(struct ask *a)
{
	uint64_t age = a->age;

	a->age = 0;
	if (age == 0 || !ask_remembered(a, 'd', a->domain) || !ask_remembered(a, 'l', a->user))
		return false;
	dir_ask_step(a);
	return true;
}

void
dir_ask_say(struct ask *a, enum say say)
{
	if ((say == SAY_AWAY || say == SAY_BLIND) && ask_older(a))
		return;
	if (say == SAY_NO_USER && ask_catchall(a))
		return;
	if (a->home && (say == SAY_NO_DOMAIN || say == SAY_NO_USER)) {
		/* The administrator's mistake, not that of whoever has written. */
		log_event(LOG_ERROR, "ldap_bad_entry", "key=%s why=%s",
		    log_value(a->home->domain.catchall),
		    log_str("mailDomainCatchallAddress is nobody"));
		say = SAY_DOUBLE;
	}
	if (a->kind != ASK_AUTH)
		dir_ask_ready(a, say);
	else if (say == SAY_NO_USER || say == SAY_NO_DOMAIN)
		dir_auth_fail(a, SAY_WRONG);
	else
		dir_ask_ready(a, SAY_AUTH_AWAY);
}

/* A record from the cache into *r; false when the ask now waits, or is decided. */
static bool
step_get(struct ask *a, char kind, enum say none, struct record **r)
{
	struct dir *d = a->dir;
	struct slice key = dir_fetch_key(d, kind, kind == 'd' ? S("") : a->local, a->name);
	struct record *known;

	if (a->age && !dir_cache_young(&d->cache, key, loop_now(d->loop), a->age)) {
		dir_fetch_join(d, a, kind);
		return false;
	}
	if (!dir_cache_get(&d->cache, key, loop_now(d->loop), &known)) {
		dir_fetch_join(d, a, kind);
		return false;
	}
	if (!known) {
		dir_ask_say(a, none);
		return false;
	}
	*r = dir_record_ref(known);
	return true;
}

/* A domain may write its logins uid+domain, or with another separator. */
static bool
other_separator(struct ask *a)
{
	char c = a->domain->domain.separator;
	size_t at = slice_rfind(a->local, c);
	struct slice local = slice_sub(a->local, 0, at), name = slice_from(a->local, at + 1);

	if (c == '@' || (a->kind != ASK_LOGIN && a->kind != ASK_AUTH) || name.n == 0 ||
	    name.n > DOMAIN_MAX || slice_find(name, '.') == name.n)
		return false;
	ask_rename(a, local, name);
	dir_record_unref(&a->domain);
	return true;
}

void
dir_ask_step(struct ask *a)
{
	if (a->kind == ASK_MEMBER) {
		if (a->user || step_get(a, 'm', SAY_NO_USER, &a->user))
			dir_ask_ready(a, SAY_OK);
		return;
	}
	if (!a->domain && !dir_match_possible(a->name)) {
		dir_ask_say(a, SAY_NO_DOMAIN);
		return;
	}
	if (!a->domain && !step_get(a, 'd', SAY_NO_DOMAIN, &a->domain))
		return;
	if (a->kind == ASK_DOMAIN) {
		dir_ask_ready(a, SAY_OK);
		return;
	}
	if (!a->user && !a->renamed && other_separator(a)) {
		dir_ask_step(a);
		return;
	}
	if (!a->user && !step_get(a, is_rcpt(a) ? 'r' : 'l', SAY_NO_USER, &a->user))
		return;
	if (a->user->kind == RECORD_GROUP && a->kind != ASK_ENTRY) {
		dir_record_unref(&a->user);
		dir_ask_say(a, SAY_NO_USER);
		return;
	}
	if (a->kind == ASK_AUTH)
		dir_auth_begin(a);
	else
		dir_ask_ready(a, SAY_OK);
}

/* ---- the questions --------------------------------------------------------------------- */

/* Bytes that no address or login of ours has. */
static bool
hostile(struct slice s, size_t max)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return s.n == 0 || s.n > max;
}

void
dir_domain_start(struct dir *d, struct slice name, struct op *op, dir_done done, void *arg)
{
	bool bad = hostile(name, DOMAIN_MAX);
	struct ask *a = ask_new(d, ASK_DOMAIN, S(""), bad ? S("") : name, op, done, arg);

	if (bad)
		dir_ask_ready(a, SAY_NO_DOMAIN);
	else
		dir_ask_step(a);
}

static void
rcpt_ask_start(struct dir *d, enum ask_kind kind, struct slice local, struct slice domain,
    struct op *op, dir_done done, void *arg)
{
	bool bad_name = hostile(domain, DOMAIN_MAX), bad = bad_name || hostile(local, LOCAL_MAX);
	struct ask *a;

	if (bad_name)
		domain = S("");
	a = ask_new(d, kind, bad ? S("") : local, domain, op, done, arg);
	if (bad_name)
		dir_ask_ready(a, SAY_NO_DOMAIN);
	else
		dir_ask_step(a); /* an empty local part is nobody's, but its domain may be ours */
}

void
dir_rcpt_start(struct dir *d, struct slice local, struct slice domain, struct op *op, dir_done done,
    void *arg)
{
	rcpt_ask_start(d, ASK_RCPT, local, domain, op, done, arg);
}

void
dir_entry_start(struct dir *d, struct slice local, struct slice domain, struct op *op,
    dir_done done, void *arg)
{
	rcpt_ask_start(d, ASK_ENTRY, local, domain, op, done, arg);
}

void
dir_member_start(struct dir *d, struct slice dn, struct op *op, dir_done done, void *arg)
{
	bool bad = hostile(dn, DN_MAX);
	struct ask *a = ask_new(d, ASK_MEMBER, bad ? S("") : dn, S(""), op, done, arg);

	if (bad)
		dir_ask_ready(a, SAY_NO_USER);
	else
		dir_ask_step(a);
}

/* Splits a login and makes an ask for it; a hostile one is decided already. */
static struct ask *
login_new(struct dir *d, enum ask_kind kind, struct slice login, struct op *op, dir_done done,
    void *arg, bool *bad)
{
	size_t at = slice_rfind(login, '@');
	struct slice local = slice_sub(login, 0, at);
	struct slice name =
	    at < login.n ? slice_from(login, at + 1) : slice_str(shared.default_domain);

	*bad = hostile(local, LOCAL_MAX) || hostile(name, DOMAIN_MAX);
	if (*bad)
		local = name = S("");
	return ask_new(d, kind, local, name, op, done, arg);
}

void
dir_login_start(struct dir *d, struct slice login, struct op *op, dir_done done, void *arg)
{
	dir_login_now_start(d, login, 0, op, done, arg);
}

void
dir_login_now_start(struct dir *d, struct slice login, uint64_t age_ms, struct op *op,
    dir_done done, void *arg)
{
	bool bad;
	struct ask *a = login_new(d, ASK_LOGIN, login, op, done, arg, &bad);

	a->age = age_ms;
	if (bad)
		dir_ask_ready(a, SAY_NO_USER);
	else
		dir_ask_step(a);
}

void
dir_auth_start(struct dir *d, struct slice login, struct slice password, const struct addr *client,
    struct op *op, dir_done done, void *arg)
{
	dir_auth_now_start(d, login, password, client, AUTH_FRESH_MS, op, done, arg);
}

void
dir_auth_now_start(struct dir *d, struct slice login, struct slice password,
    const struct addr *client, uint64_t age_ms, struct op *op, dir_done done, void *arg)
{
	uint8_t key[DIR_CLIENT_LEN];
	bool bad;
	struct ask *a = login_new(d, ASK_AUTH, login, op, done, arg, &bad);

	a->started_us = clock_mono_us();
	a->age = age_ms;
	addr_client_key(client, key);
	memcpy(a->client, key, sizeof(a->client));
	/* LDAP takes a bind without a password for one that asks for nothing, and lets it
	 * succeed (RFC 4513 5.1.2): it must never be sent. */
	if (bad || password.n == 0 || password.n > PASSWORD_MAX ||
	    slice_find(password, '\0') < password.n) {
		dir_auth_fail(a, SAY_WRONG);
		return;
	}
	secret_set(&a->password, password);
	dir_ask_step(a);
}
