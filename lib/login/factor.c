/* login/factor.c: what is looked at beside the password: a code of the second factor, or an application password
 * in its place.
 *
 *	app password:  the user -> the entry below his of that id -> judged like a password that is right
 *	code:          (the password is right) -> secret and last step -> the step is written down -> judged
 *
 * Called by login.c.  Owns, of each door, one connection to the directory as the daemon's own account, and the
 * logins that wait for it: one job of it takes a millisecond.  Can fail: the directory, which counts against
 * nobody; all that wait then are told the same, for each would wait as long.  Must stay true: a code is good
 * once, on all hosts: its step is written with the assertion that no later one is there (RFC 6238 5.2), a
 * recovery code is taken out by its value; and who guesses codes is slowed down by account, from wherever he
 * comes (RFC 4226 7.3): he has the password already. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "login/login-impl.h"

/* ---- the connection ---------------------------------------------------------------------------- */

static void factor_next(struct login_door *d);

static void
factor_answered(void *arg, const struct dir_outcome *o)
{
	struct login_door *d = arg;
	struct login *l = d->reading;
	bool away = o->result == DIR_R_AWAY || o->result == DIR_R_UNKNOWN;

	d->reading = NULL;
	if (l)
		l->job.done(l, o);
	while (away && (l = list_first(&d->readers, struct login, reader))) {
		list_remove(&l->reader);
		l->job.done(l, o);
	}
	if (o->result ==
	    DIR_R_LOGIN) /* the account's password was changed, and with it the settings */
		dir_agent_free(&d->agent);
	d->busy = false; /* not before: what a next job begins with, ends this answer */
	factor_next(d);
}

static void
factor_next(struct login_door *d)
{
	struct login *l = list_first(&d->readers, struct login, reader);
	struct dir_change change;
	struct slice value;
	struct dir_job job;

	if (d->busy || !l)
		return;
	list_remove(&l->reader);
	d->reading = l;
	d->busy = true;
	if (!d->agent)
		d->agent = dir_agent_new(d->dir, shared.ldap_bind_dn,
		    shared.ldap_bind ? NULL : shared.ldap_password);
	value = slice_str(l->job.value);
	change = (struct dir_change){ l->job.how, l->job.attribute, &value, 1 };
	job = (struct dir_job){ .task = l->job.attribute ? DIR_MODIFY : DIR_SEARCH,
		.dn = l->job.dn,
		.assertion = l->job.assertion,
		.scope = DIR_SCOPE_BASE,
		.attrs = l->job.attrs,
		.changes = &change,
		.nchanges = l->job.attribute ? 1 : 0 };
	dir_agent_start(d->agent, &job, &d->op, factor_answered, d);
}

static void
factor_job(struct login *l)
{
	list_push(&l->door->readers, &l->reader);
	factor_next(l->door);
}

/* A first question about an entry, which is the login's to free. */
static void
factor_ask(struct login *l, char *dn, const char *const *attrs,
    void (*done)(struct login *, const struct dir_outcome *))
{
	mem_free(&l->job.dn);
	l->job = (struct login_job){ .dn = dn, .attrs = attrs, .done = done };
	factor_job(l);
}

void
login_factor_stop(struct login *l)
{
	list_remove(&l->reader);
	if (l->door->reading == l)
		l->door->reading = NULL; /* its answer is nobody's */
	mem_free(&l->job.dn);
	mem_free(&l->job.assertion);
	secret_wipe(&l->code);
	secret_clear(&l->word, sizeof(l->word));
}

static struct slice
factor_value(const struct dir_outcome *o, const char *name, size_t i)
{
	for (size_t k = 0; o->n && k < o->entries[0].n; k++)
		if (slice_ieq(o->entries[0].attrs[k].name, slice_str(name)))
			return i < o->entries[0].attrs[k].n ? o->entries[0].attrs[k].values[i] :
							      S("");
	return S("");
}

/* NO_ENTRY and DENIED are answers: there is nothing for us to see. */
static bool
factor_away(struct login *l, const struct dir_outcome *o)
{
	switch ((int)o->result) {
	case DIR_R_OK:
	case DIR_R_NO_ENTRY:
	case DIR_R_DENIED:
	case DIR_R_CHANGED:
	case DIR_R_NO_VALUE: return false;
	default: break;
	}
	log_event(LOG_WARN, "login_away", "name=%s error=%s", log_value(slice_str(l->name)),
	    log_str(o->why));
	return true;
}

/* ---- application passwords ------------------------------------------------------------------------- */

/* Those that name no service are for mail; the administration wants its name there. */
static bool
app_serves(const struct login *l, const struct dir_outcome *o)
{
	const char *wanted = l->request.app ? l->request.app : l->request.service;
	struct slice v;

	if (!*wanted)
		return false;
	if (!factor_value(o, "tiermailAppService", 0).n)
		return !slice_eq(slice_str(wanted), S(LOGIN_APP_ADMIN));
	for (size_t i = 0; (v = factor_value(o, "tiermailAppService", i)).n; i++)
		if (slice_ieq(v, slice_str(wanted)))
			return true;
	return false;
}

static void
app_read(struct login *l, const struct dir_outcome *o)
{
	struct slice digest = factor_value(o, "tiermailAppSecret", 0);

	if (factor_away(l, o)) {
		login_answer_factor(l, LOGIN_AWAY);
		return;
	}
	if (!login_digest_same(digest, &l->word)) {
		login_ask_password(l); /* somebody's password may look like one */
		return;
	}
	secret_wipe(&l->password);
	l->by_app = true;
	l->mechanism = "app";
	l->app_serves = app_serves(l, o);
	login_judge_again(l);
}

static void
app_known(void *arg, const struct dir_answer *a)
{
	static const char *const attrs[] = { "tiermailAppSecret", "tiermailAppService", NULL };
	struct login *l = CAST(arg, struct login, LOGIN_MAGIC);
	/* Who is nobody is looked for as long as somebody. */
	struct slice dn = a->v.kind == OK && a->user ? a->user->dn : slice_str(shared.ldap_base);

	if (a->v.kind == TEMP) {
		login_ask_password(l); /* says that it is away */
		return;
	}
	factor_ask(l, mem_printf("uid=%s," SFMT, l->word.id, SARG(dn)), attrs, app_read);
}

bool
login_app_start(struct login *l)
{
	if (!login_word_parse(LOGIN_WORD_APP, secret_get(&l->password), &l->word))
		return false;
	dir_login_now_start(l->door->dir, slice_str(l->name), LOGIN_FRESH_MS, &l->op, app_known, l);
	return true;
}

/* ---- codes ------------------------------------------------------------------------------------------- */

static void
code_wrong(struct login *l)
{
	login_code_failed(l);
	login_answer_factor(l, LOGIN_CODE_WRONG);
}

static void
code_written(struct login *l, const struct dir_outcome *o)
{
	if (factor_away(l, o)) {
		login_answer_factor(l, LOGIN_AWAY);
		return;
	}
	if (o->result != DIR_R_OK) { /* it was good, and somebody has used it */
		if (o->result == DIR_R_DENIED)
			log_event(LOG_ERROR, "login_away", "name=%s error=%s",
			    log_value(slice_str(l->name)), log_str(o->why));
		code_wrong(l);
		return;
	}
	login_code_forgive(l);
	l->by_code = true;
	login_judge_again(l);
}

static void
code_write(struct login *l, enum dir_how how, const char *attribute)
{
	l->job.how = how;
	l->job.attribute = attribute;
	l->job.done = code_written;
	factor_job(l);
}

static bool
code_recovers(struct login *l, const struct dir_outcome *o)
{
	struct slice v;

	if (!login_word_parse(LOGIN_WORD_RECOVERY, secret_get(&l->code), &l->word))
		return false;
	for (size_t i = 0; (v = factor_value(o, "tiermailRecoveryCode", i)).n; i++) {
		if (!login_digest_same(v, &l->word))
			continue;
		slice_cstr(v, l->job.value, sizeof(l->job.value));
		log_event(LOG_WARN, "login_recovery", "user=%s", log_str(l->account));
		code_write(l, DIR_DELETE, "tiermailRecoveryCode");
		return true;
	}
	return false;
}

static void
code_read(struct login *l, const struct dir_outcome *o)
{
	struct slice secret = factor_value(o, "tiermailTotpSecret", 0);
	uint64_t last = 0, step;

	/* Others may have guessed while this one was waiting for the connection. */
	if (login_code_pace(l)) {
		login_answer_factor(l, LOGIN_CODE_WRONG);
		return;
	}
	if (!factor_away(l, o) && o->result == DIR_R_OK && secret.n) {
		if (slice_u64(factor_value(o, "tiermailTotpStep", 0), UINT64_MAX, &last) < 0)
			last = 0; /* there was none yet */
		if (login_totp_check(secret, secret_get(&l->code), clock_now(), last, &step)) {
			snprintf(l->job.value, sizeof(l->job.value), "%llu",
			    (unsigned long long)step);
			l->job.assertion =
			    mem_printf("(!(tiermailTotpStep>=%llu))", (unsigned long long)step);
			code_write(l, DIR_REPLACE, "tiermailTotpStep");
		} else if (!code_recovers(l, o)) {
			code_wrong(l);
		}
		return;
	}
	if (o->result == DIR_R_OK || o->result == DIR_R_DENIED || o->result == DIR_R_NO_ENTRY)
		log_event(LOG_ERROR, "login_away", "name=%s error=%s",
		    log_value(slice_str(l->name)),
		    log_str("this daemon's account may not read tiermailTotpSecret"));
	login_answer_factor(l, LOGIN_AWAY);
}

void
login_code_start(struct login *l, struct slice dn)
{
	static const char *const attrs[] = { "tiermailTotpSecret", "tiermailTotpStep",
		"tiermailRecoveryCode", NULL };

	if (login_code_pace(l)) {
		login_answer_factor(l, LOGIN_CODE_WRONG);
		return;
	}
	factor_ask(l, mem_strn(dn.p, dn.n), attrs, code_read);
}
