/* lookup.c: a question step by step: its domain, then its user, then (auth.c) its password. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "directory/internal.h"

/* ---- the life of an ask ---------------------------------------------------------------- */

static void
ask_wipe(struct ask *a)
{
	if (a->password)
		explicit_bzero(a->password, a->password_len);
	mem_free(&a->password);
	a->password_len = 0;
}

void
ask_free(struct ask *a)
{
	auth_cancel(a);
	list_remove(&a->link);
	ask_wipe(a);
	if (a->op)
		op_done(a->op);
	record_unref(&a->domain);
	record_unref(&a->user);
	record_unref(&a->home);
	a->magic = 0;
	if (a->text != (char *)(a + 1))
		mem_free(&a->text);
	mem_release(a);
}

static void
ask_cancel(struct op *op)
{
	struct ask *a = CAST(op->impl, struct ask, ASK_MAGIC);

	a->op = NULL;
	op->impl = NULL;
	ask_free(a);
}

/* Keeps local and name in lower case. */
static void
ask_name(struct ask *a, struct slice local, struct slice name)
{
	for (size_t i = 0; i < local.n; i++)
		a->text[i] = ascii_lower(local.p[i]);
	for (size_t i = 0; i < name.n; i++)
		a->text[local.n + i] = ascii_lower(name.p[i]);
	a->local = slice(a->text, local.n);
	a->name = slice(a->text + local.n, name.n);
}

static struct ask *
ask_new(struct dir *d, enum ask_kind kind, struct slice local, struct slice name, struct op *op,
    dir_done done, void *arg)
{
	struct ask *a = mem_new(sizeof *a + local.n + name.n);

	a->magic = ASK_MAGIC;
	a->kind = kind;
	a->dir = d;
	a->op = op;
	a->done = done;
	a->arg = arg;
	a->text = (char *)(a + 1);
	list_init(&a->link);
	ask_name(a, local, name);
	op->cancel = ask_cancel;
	op->impl = a;
	return a;
}

/* ---- the answer ------------------------------------------------------------------------ */

void
ask_ready(struct ask *a, enum say said)
{
	struct dir *d = a->dir;

	auth_cancel(a);
	ask_wipe(a);
	a->said = said;
	list_remove(&a->link);
	list_push(&d->ready, &a->link);
	later_run(&d->later, d->loop, asks_answer);
}

/* Is local@name another address of u than its primary one? */
static bool
is_alias(const struct dir_user *u, struct slice local, struct slice name)
{
	size_t at = slice_rfind(u->mail, '@');

	return !slice_ieq(slice_sub(u->mail, 0, at), local) ||
	    !slice_ieq(slice_from(u->mail, at + 1), name);
}

static void
ask_answer(struct ask *a)
{
	struct record *domain = a->home ? a->home : a->domain;
	struct dir_answer answer = { .v = a->dir->say[a->said] };
	struct dir_user user;
	dir_done done = a->done;
	void *arg = a->arg;

	if (domain)
		answer.domain = &domain->domain;
	if (a->user && a->said != SAY_WRONG && a->said != SAY_AUTH_AWAY) {
		must(a->domain);
		user = a->user->user;
		if (a->domain->domain.status != DIR_ACTIVE)
			user.status = a->domain->domain.status;
		answer.user = &user;
		answer.alias = a->home || (a->name.n && is_alias(&user, a->local, a->name));
	}
	op_done(a->op);
	a->op = NULL;
	done(arg, &answer);
	ask_free(a);
}

void
asks_answer(struct later *later)
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

/* An unknown user of a domain with a catchall: once more, for that address. */
static bool
ask_catchall(struct ask *a)
{
	struct slice to = a->domain ? a->domain->domain.catchall : S("");
	size_t at = slice_rfind(to, '@');
	char *text;

	if (a->kind != ASK_RCPT || a->home || at == 0 || at + 1 >= to.n)
		return false;
	text = mem_new(to.n);
	a->text = text; /* the first one is a part of the ask itself */
	ask_name(a, slice_sub(to, 0, at), slice_from(to, at + 1));
	a->home = a->domain;
	a->domain = NULL;
	ask_step(a);
	return true;
}

void
ask_say(struct ask *a, enum say say)
{
	if (say == SAY_NO_USER && ask_catchall(a))
		return;
	if (a->home && say == SAY_NO_DOMAIN)
		say = SAY_NO_USER; /* a catchall that is not ours */
	if (a->kind != ASK_AUTH)
		ask_ready(a, say);
	else if (say == SAY_NO_USER || say == SAY_NO_DOMAIN)
		auth_fail(a, SAY_WRONG);
	else
		ask_ready(a, SAY_AUTH_AWAY);
}

/* A record from the cache into *r; false when the ask now waits, or is decided. */
static bool
step_get(struct ask *a, char kind, enum say none, struct record **r)
{
	struct dir *d = a->dir;
	struct slice key = fetch_key(d, kind, kind == 'd' ? S("") : a->local, a->name);
	struct record *known;

	if (!cache_get(&d->cache, key, loop_now(d->loop), &known)) {
		fetch_join(d, a, kind);
		return false;
	}
	if (!known) {
		ask_say(a, none);
		return false;
	}
	*r = record_ref(known);
	return true;
}

/* A domain may write its logins uid+domain, or with another separator. */
static bool
other_separator(struct ask *a)
{
	char c = a->domain->domain.separator;
	size_t at = slice_rfind(a->local, c);
	struct slice local = slice_sub(a->local, 0, at), name = slice_from(a->local, at + 1);
	char *text;

	if (c == '@' || (a->kind != ASK_LOGIN && a->kind != ASK_AUTH) || name.n == 0 ||
	    name.n > DOMAIN_MAX || slice_find(name, '.') == name.n)
		return false;
	text = mem_new(local.n + name.n);
	a->text = text;
	ask_name(a, local, name);
	record_unref(&a->domain);
	return true;
}

void
ask_step(struct ask *a)
{
	if (!a->domain && !step_get(a, 'd', SAY_NO_DOMAIN, &a->domain))
		return;
	if (a->kind == ASK_DOMAIN) {
		ask_ready(a, SAY_OK);
		return;
	}
	if (!a->user && a->text == (char *)(a + 1) && other_separator(a)) {
		ask_step(a);
		return;
	}
	if (!a->user && !step_get(a, a->kind == ASK_RCPT ? 'r' : 'l', SAY_NO_USER, &a->user))
		return;
	if (a->kind == ASK_AUTH)
		auth_begin(a);
	else
		ask_ready(a, SAY_OK);
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
		ask_ready(a, SAY_NO_DOMAIN);
	else
		ask_step(a);
}

void
dir_rcpt_start(struct dir *d, struct slice local, struct slice domain, struct op *op, dir_done done,
    void *arg)
{
	bool bad_name = hostile(domain, DOMAIN_MAX), bad = bad_name || hostile(local, LOCAL_MAX);
	struct ask *a;

	if (bad_name)
		domain = S("");
	a = ask_new(d, ASK_RCPT, bad ? S("") : local, domain, op, done, arg);
	if (bad_name)
		ask_ready(a, SAY_NO_DOMAIN);
	else
		ask_step(a); /* an empty local part is nobody's, but its domain may be ours */
}

/* Splits a login and makes an ask for it; a hostile one is decided already. */
static struct ask *
login_new(struct dir *d, enum ask_kind kind, struct slice login, struct op *op, dir_done done,
    void *arg, bool *bad)
{
	size_t at = slice_rfind(login, '@');
	struct slice local = slice_sub(login, 0, at);
	struct slice name = at < login.n ? slice_from(login, at + 1) :
					   slice_str(shared.default_domain);

	*bad = hostile(local, LOCAL_MAX) || hostile(name, DOMAIN_MAX);
	if (*bad)
		local = name = S("");
	return ask_new(d, kind, local, name, op, done, arg);
}

void
dir_login_start(struct dir *d, struct slice login, struct op *op, dir_done done, void *arg)
{
	bool bad;
	struct ask *a = login_new(d, ASK_LOGIN, login, op, done, arg, &bad);

	if (bad)
		ask_ready(a, SAY_NO_USER);
	else
		ask_step(a);
}

void
dir_auth_start(struct dir *d, struct slice login, struct slice password, struct op *op,
    dir_done done, void *arg)
{
	bool bad;
	struct ask *a = login_new(d, ASK_AUTH, login, op, done, arg, &bad);

	a->started_us = clock_mono_us();
	/* LDAP takes a bind without a password for one that asks for nothing, and lets it
	 * succeed (RFC 4513 5.1.2): it must never be sent. */
	if (bad || password.n == 0 || password.n > PASSWORD_MAX ||
	    slice_find(password, '\0') < password.n) {
		auth_fail(a, SAY_WRONG);
		return;
	}
	a->password = mem_strn(password.p, password.n);
	a->password_len = password.n;
	ask_step(a);
}
