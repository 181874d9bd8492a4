/* login/login.c: one login from its first byte to its outcome.
 *
 * Owns the exchange, the name and the password of one attempt; a session of any daemon starts it and
 * frees it, at any moment.  Waits for its turn and for delays (delay.c) and for the directory.
 * Can fail: the directory, which is LOGIN_AWAY and counts against nobody.  Must stay true: the
 * password is wiped as soon as the directory has it and on every other way out; `done` is
 * called once, never from inside a call of the session; what is refused before the password was
 * checked takes as long as what is refused after it. */
#include "login/login.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "login/access.h"
#include "login/login-impl.h"

static const char *const states[] = { "talking", "looking", "queued", "paced", "checking",
	"delayed", "over" };

void
login_move(struct login *l, enum login_state to)
{
	log_event(LOG_DEBUG, "login_state", "name=%s from=%s to=%s", log_value(slice_str(l->name)),
	    states[l->state], states[to]);
	l->state = to;
}

/* ---- life -------------------------------------------------------------------------------- */

static void
login_wipe(struct login *l)
{
	secret_wipe(&l->password);
	arena_wipe(&l->exchange);
	l->sasl = (struct sasl){ .mech = l->sasl.mech };
}

/* Nothing is pending afterwards. */
static void
login_stop(struct login *l)
{
	op_cancel(&l->op);
	login_leave_queue(l);
	login_wipe(l);
	login_factor_stop(l);
	l->state = LOGIN_OVER;
}

static void
login_cancelled(struct op *op)
{
	struct login *l = CAST(op->impl, struct login, LOGIN_MAGIC);

	op->impl = NULL;
	login_stop(l);
}

struct login *
login_start(struct login_door *door, const struct login_request *r, struct op *op, login_done done,
    void *arg)
{
	struct login *l = mem_new(sizeof(*l));

	l->magic = LOGIN_MAGIC;
	l->door = door;
	l->request = *r;
	l->outer = op;
	l->done = done;
	l->arg = arg;
	l->mechanism = "password";
	list_init(&l->link);
	list_init(&l->reader);
	return l;
}

void
login_free(struct login **lp)
{
	struct login *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	if (l->outer->impl == l)
		op_done(l->outer);
	login_stop(l);
	mem_free(&l->name);
	mem_free(&l->account);
	l->magic = 0;
	mem_free(&l);
}

/* ---- the outcome ------------------------------------------------------------------------- */

static enum login_outcome
login_judge_access(const struct login *l, const struct dir_answer *a)
{
	const struct slice values[] = { a->domain ? a->domain->services : S(""),
		a->user->services };

	for (size_t i = 0; i < NELEM(values); i++) {
		switch (login_access_check(values[i], l->request.service, l->request.tls,
		    &l->request.peer)) {
		case LOGIN_ACCESS_GRANTED: break;
		case LOGIN_ACCESS_DENIED: return LOGIN_FORBIDDEN;
		case LOGIN_ACCESS_MALFORMED:
			log_event(LOG_ERROR, "access_malformed", "user=%s of=%s value=%s",
			    log_value(a->user->account), i ? "user" : "domain",
			    log_value(values[i]));
			return LOGIN_AWAY; /* our directory's mistake, not the person's */
		}
	}
	return LOGIN_OK;
}

/* The password was right.  May he? */
static enum login_outcome
login_judge(const struct login *l, const struct dir_answer *a, struct slice authzid)
{
	const struct dir_user *u = a->user;
	enum login_outcome outcome;

	if (login_rule(u->status, l->request.purpose) != LOGIN_RULE_YES)
		return LOGIN_INACTIVE;
	outcome = login_judge_access(l, a);
	if (outcome != LOGIN_OK)
		return outcome;
	if (l->by_app && !l->app_serves)
		return LOGIN_FORBIDDEN;
	if (!login_may_act(u, slice_str(l->name), authzid))
		return LOGIN_NOT_YOURS;
	if (l->request.purpose == LOGIN_READ &&
	    !login_is_here(u->mailhost, l->request.hosts, l->request.any_host))
		return LOGIN_ELSEWHERE;
	return LOGIN_OK;
}

/* The one way to `done`. */
static void
login_finish(struct login *l, enum login_outcome outcome, const struct dir_answer *a)
{
	const struct dir_user *u = a ? a->user : NULL;
	struct login_result r = { .outcome = outcome,
		.name = slice_str(l->name),
		.mechanism = l->mechanism };

	login_leave_queue(l);
	login_move(l, LOGIN_OVER);
	r.user.account = slice_str(l->account);
	if (u) {
		r.user.dn = u->dn;
		r.user.partition = u->partition;
		r.user.language = u->language;
		r.user.mailhost = u->mailhost;
		r.user.password_at = u->password_at;
		r.user.limits = login_limits(u, a->domain);
		r.user.has_factor = u->second_factor;
		r.user.by_app = l->by_app;
		if (l->by_app)
			memcpy(r.user.app, l->word.id, sizeof(r.user.app));
		r.user.by_code = l->by_code;
		r.user.by_token = l->by_token;
		r.user.token_until = l->token_until;
	}
	op_done(l->outer);
	l->done(l->arg, &r);
}

static void
login_refuse(struct login *l, enum login_outcome outcome)
{
	l->outcome = outcome;
	login_move(l, LOGIN_DELAYED);
	login_pause(l, login_count(l));
}

/* The password was right: is it enough?  Asked before the other rules, for where it is not, nothing is told of
 * these. */
static enum login_outcome
login_judge_factor(const struct login *l, const struct dir_user *u)
{
	if (!u->second_factor || l->by_app || l->by_code || l->by_token ||
	    l->request.factor == LOGIN_FACTOR_KNOWN)
		return LOGIN_OK;
	if (u->factor_hidden) { /* our directory's mistake, and no way around the factor */
		log_event(LOG_ERROR, "login_away", "name=%s error=%s",
		    log_value(slice_str(l->name)),
		    log_str("this daemon's account may not read tiermailSecondFactor"));
		return LOGIN_AWAY;
	}
	return l->request.factor == LOGIN_FACTOR_APPS ? LOGIN_APP : LOGIN_CODE;
}

/* OK of the directory, and his entry: the outcome, or LOGIN_CODE where a code is to be looked at. */
static enum login_outcome
login_judge_all(struct login *l, const struct dir_answer *a, struct slice authzid)
{
	enum login_outcome outcome;

	if (!l->account)
		l->account = mem_strn(a->user->account.p, a->user->account.n);
	outcome = login_judge_factor(l, a->user);
	if (outcome == LOGIN_OK)
		outcome = login_judge(l, a, authzid);
	if (outcome == LOGIN_OK)
		login_forgive(l);
	return outcome;
}

void
login_settle(struct login *l, enum login_outcome outcome, const struct dir_answer *a)
{
	if (login_answer(outcome)->counts)
		login_refuse(l, outcome);
	else
		login_finish(l, outcome, a);
}

void
login_answer_factor(struct login *l, enum login_outcome outcome)
{
	login_settle(l, outcome, NULL);
}

static void
login_judged_again(void *arg, const struct dir_answer *a)
{
	struct login *l = CAST(arg, struct login, LOGIN_MAGIC);
	enum login_outcome outcome = LOGIN_WRONG; /* gone since */

	if (a->v.kind == TEMP)
		outcome = LOGIN_AWAY;
	else if (a->v.kind == OK && a->user && login_scram_holds(l, a->user))
		outcome = login_judge_all(l, a, slice_str(l->authzid));
	login_settle(l, outcome, a);
}

void
login_judge_again(struct login *l)
{
	slice_cstr(l->sasl.authzid, l->authzid, sizeof(l->authzid));
	login_wipe(l);
	dir_login_now_start(l->door->dir, slice_str(l->name), LOGIN_FRESH_MS, &l->op,
	    login_judged_again, l);
}

static void
login_answered(void *arg, const struct dir_answer *a)
{
	struct login *l = CAST(arg, struct login, LOGIN_MAGIC);
	enum login_outcome outcome = LOGIN_WRONG;
	char authzid[256];

	/* The exchange has the authorisation identity, and goes now. */
	slice_cstr(l->sasl.authzid, authzid, sizeof(authzid));
	if (a->v.kind == OK && a->user)
		login_learn(l->door, a->user, secret_get(&l->password));
	login_wipe(l);
	if (a->v.kind == TEMP) {
		outcome = LOGIN_AWAY;
		log_event(LOG_WARN, "login_away", "name=%s error=%s", log_value(slice_str(l->name)),
		    log_str(a->v.text));
	} else if (a->v.kind == OK && a->user) {
		outcome = login_judge_all(l, a, slice_str(authzid));
	}
	if (outcome == LOGIN_CODE && l->code.n)
		login_code_start(l, a->user->dn);
	else
		login_settle(l, outcome, a);
}

/* ---- waiting ----------------------------------------------------------------------------- */

void
login_ask_password(struct login *l)
{
	dir_auth_now_start(l->door->dir, slice_str(l->name), secret_get(&l->password),
	    &l->request.peer, l->request.age_ms ? l->request.age_ms : LOGIN_FRESH_MS, &l->op,
	    login_answered, l);
	if (!shared.login_scram)
		secret_wipe(&l->password);
}

static void
login_ask(struct login *l)
{
	login_move(l, LOGIN_CHECKING);
	if (l->token)
		login_token_ask(l);
	else if (l->scram)
		login_scram_ask(l);
	else if (!login_app_start(l))
		login_ask_password(l);
}

void
login_go(struct login *l)
{
	uint64_t wait;

	if (l->state == LOGIN_DELAYED) {
		if (login_token_tell(l))
			return;
		login_finish(l, l->outcome, NULL);
		return;
	}
	if (l->state == LOGIN_LOOKING) {
		login_scram_looked(l);
		return;
	}
	wait = login_pace(l);
	if (wait && l->state == LOGIN_QUEUED) {
		login_move(l, LOGIN_PACED);
		login_pause(l, wait);
		return;
	}
	login_ask(l);
}

void
login_wait(struct login *l, const struct slice *name)
{
	l->outer->cancel = login_cancelled;
	l->outer->impl = l;
	if (name)
		l->name = mem_strn(name->p, slice_find(*name, '\0'));
}

void
login_take_turn(struct login *l)
{
	login_wait(l, NULL);
	login_move(l, LOGIN_QUEUED);
	login_queue(l);
}

/* Name and password are there. */
static void
login_check(struct login *l, struct slice name, struct slice password)
{
	/* A name with a NUL is nobody's, and takes the same time as any other. */
	secret_set(&l->password, slice_find(name, '\0') < name.n ? S("") : password);
	login_wait(l, &name);
	login_take_turn(l);
}

void
login_challenge(struct login *l, struct slice text)
{
	login_leave_queue(l);
	login_move(l, LOGIN_TALKING);
	op_done(l->outer);
	l->request.challenge(l->arg, text);
}

/* ---- without a password -------------------------------------------------------------------- */

static void
login_trusted(void *arg, const struct dir_answer *a)
{
	struct login *l = CAST(arg, struct login, LOGIN_MAGIC);
	enum login_outcome outcome = LOGIN_WRONG;

	if (a->v.kind == TEMP) {
		outcome = LOGIN_AWAY;
		log_event(LOG_WARN, "login_away", "name=%s error=%s", log_value(slice_str(l->name)),
		    log_str(a->v.text));
	} else if (a->user) {
		l->account = mem_strn(a->user->account.p, a->user->account.n);
		outcome = login_judge(l, a, S(""));
	}
	login_finish(l, outcome, a);
}

/* A proxy has checked him, and slowed him down where that was due. */
static void
login_trust(struct login *l, struct slice name)
{
	login_wait(l, &name);
	l->mechanism = "EXTERNAL";
	l->by_app = l->app_serves =
	    *l->request.by_app; /* where it serves is what the proxy has judged */
	memcpy(l->word.id, l->request.by_app, sizeof(l->word.id));
	login_move(l, LOGIN_CHECKING);
	dir_login_now_start(l->door->dir, slice_str(l->name), l->request.age_ms, &l->op,
	    login_trusted, l);
}

/* ---- what sessions call ------------------------------------------------------------------ */

void
login_code(struct login *l, struct slice code)
{
	must(l->state == LOGIN_TALKING);
	secret_set(&l->code, code);
}

void
login_password(struct login *l, struct slice name, struct slice password)
{
	must(l->state == LOGIN_TALKING);
	login_check(l, name, password);
}

const char *
login_mechanisms(void)
{
	return sasl_names(
	    (login_offers_scram() ? SASL_SCRAM : 0) | (login_offers_oauth() ? SASL_OAUTH : 0));
}

bool
login_mechanism(struct login *l, struct slice name)
{
	unsigned which = (l->request.proxy ? SASL_EXTERNAL : 0) |
	    (l->request.challenge && login_offers_scram() ? SASL_SCRAM : 0) |
	    (l->request.challenge && login_offers_oauth() ? SASL_OAUTH : 0);

	if (!sasl_start(&l->sasl, name, which))
		return false;
	l->mechanism = "SASL";
	return true;
}

enum login_next
login_step(struct login *l, const struct slice *response, struct slice *text)
{
	const char *why = "malformed response";

	must(l->state == LOGIN_TALKING && l->sasl.mech);
	switch (sasl_step(&l->sasl, &l->exchange, response, text, &why)) {
	case SASL_CHALLENGE: return LOGIN_CHALLENGE;
	case SASL_TRUST: login_trust(l, l->sasl.authzid); return LOGIN_WAIT;
	case SASL_CHECK: login_check(l, l->sasl.authcid, l->sasl.password); return LOGIN_WAIT;
	case SASL_NAME: login_scram_name(l); return LOGIN_WAIT;
	case SASL_PROOF:
		l->scram = LOGIN_SCRAM_PROOF;
		login_take_turn(l);
		return LOGIN_WAIT;
	case SASL_PROVED:
		l->scram = LOGIN_SCRAM_PROVED;
		login_take_turn(l);
		return LOGIN_WAIT;
	case SASL_TOKEN: login_token_take(l, l->sasl.authzid, l->sasl.password); return LOGIN_WAIT;
	case SASL_REFUSED: login_token_heard(l); return LOGIN_WAIT;
	case SASL_BAD: break;
	}
	login_wipe(l);
	*text = slice_str(why);
	return LOGIN_MALFORMED;
}
