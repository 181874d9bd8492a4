/* login/learn.c: what SCRAM needs of a password (sasl/verifier.h), kept when it was right.
 *
 *	a password was right -> (beside the loop) its verifier -> tiermailScram of its entry, if that is still the
 *	password's entry
 *
 * Called by login.c behind each password, and by who changes one.  Owns, of a door, one verifier in the making, a
 * connection to the directory as the daemon's own account, and passwords that were changed a moment ago.  Can fail:
 * the directory, which is logged and left alone for a while; what was not written then is so by a later login.
 * Must stay true: a verifier says of which pwdChangedTime it is, is made only when that second is well over, and is
 * written on condition that it has not changed meanwhile, so that none can be of another password than its time says;
 * passwords are wiped as soon as they are hashed; and logins wait for none of this: while one is in the making others
 * are passed over. */
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/shared.h"
#include "login/login-impl.h"
#include "net/work.h"

#define LEARN_SETTLED_S  10     /* longer than a bind takes after its entry was read */
#define LEARN_LATER_MS   11000  /* after a change: then it is settled */
#define LEARN_LATER_MOST 64     /* changes that are waited for; the rest is learned by logins */
#define LEARN_REST_MS    300000 /* after the directory did not take one */
#define LEARN_TIME       20     /* "20261201011500Z" */

/* A password that was changed, until it is settled. */
struct login_lesson {
	struct list link;
	uint64_t at; /* monotonic ms */
	char *name;
	struct secret password;
};

struct login_learner {
	struct login_door *door;
	bool busy;
	struct op op; /* the work's, then the agent's */
	struct dir_agent *agent;
	uint64_t rest_until; /* monotonic ms */
	/* in the making */
	struct sasl_verifier verifier;
	struct secret password;
	bool made;
	char *account, *dn;
	char at[LEARN_TIME];
	/* of changes */
	struct list lessons;
	size_t nlessons;
	struct timer timer;
	struct op asking;
	struct login_lesson *asked;
};

static void learn_next(struct login_learner *n);

static void
learn_over(struct login_learner *n)
{
	secret_wipe(&n->password);
	secret_clear(&n->verifier, sizeof(n->verifier));
	mem_free(&n->account);
	mem_free(&n->dn);
	n->busy = false;
}

static void
learn_written(void *arg, const struct dir_outcome *o)
{
	struct login_learner *n = arg;

	if (o->result == DIR_R_OK) {
		log_event(LOG_INFO, "verifier_written", "user=%s", log_str(n->account));
	} else if (o->result != DIR_R_CHANGED) { /* the password was: that is no fault */
		log_event(LOG_WARN, "verifier_failed", "user=%s error=%s", log_str(n->account),
		    log_str(o->why));
		n->rest_until = loop_now(n->door->loop) + LEARN_REST_MS;
		dir_agent_free(&n->agent); /* the account's password may have been changed */
	}
	learn_over(n);
}

static void
learn_run(void *arg)
{
	struct login_learner *n = arg;

	n->made = sasl_verifier_make(&n->verifier, secret_get(&n->password)) == 0;
}

static void
learn_made(void *arg)
{
	struct login_learner *n = arg;
	struct buf b = { 0 }, condition = { 0 };
	struct dir_change change = { .how = DIR_REPLACE,
		.attribute = "tiermailScram",
		.nvalues = 1 };
	struct dir_job job = { .task = DIR_MODIFY, .dn = n->dn, .changes = &change, .nchanges = 1 };
	struct slice value;

	secret_wipe(&n->password);
	if (!n->made) { /* no client could say it */
		learn_over(n);
		return;
	}
	if (!n->agent)
		n->agent = dir_agent_new(n->door->dir, shared.ldap_bind_dn,
		    shared.ldap_bind ? NULL : shared.ldap_password);
	buf_printf(&b, "%s ", n->at);
	sasl_verifier_write(&b, &n->verifier);
	value = buf_get(&b);
	change.values = &value;
	buf_printf(&condition, "(pwdChangedTime=%s)", n->at);
	job.assertion = buf_cstr(&condition);
	dir_agent_start(n->agent, &job, &n->op, learn_written, n);
	secret_clear(b.p, b.n);
	buf_fini(&b);
	buf_fini(&condition);
}

/* ---- passwords that were changed ---------------------------------------------------------------- */

static void
learn_forget(struct login_learner *n, struct login_lesson *s)
{
	list_remove(&s->link);
	n->nlessons--;
	mem_free(&s->name);
	secret_wipe(&s->password);
	mem_free(&s);
}

static void
learn_asked(void *arg, const struct dir_answer *a)
{
	struct login_learner *n = arg;
	struct login_lesson *s = n->asked;

	n->asked = NULL;
	if (a->v.kind == OK && a->user)
		login_learn(n->door, a->user, secret_get(&s->password));
	learn_forget(n, s);
	learn_next(n);
}

static void
learn_on_timer(struct timer *t)
{
	learn_next(CONTAINER(t, struct login_learner, timer));
}

static void
learn_next(struct login_learner *n)
{
	struct login_lesson *s = list_first(&n->lessons, struct login_lesson, link);
	struct addr nobody = { .sa.sa_family = AF_UNIX };
	uint64_t now = loop_now(n->door->loop);

	if (!s || n->asked)
		return;
	if (s->at > now || n->busy) {
		timer_start(&n->timer, s->at > now ? s->at - now : 1000, 0);
		return;
	}
	n->asked = s;
	dir_auth_now_start(n->door->dir, slice_str(s->name), secret_get(&s->password), &nobody, 1,
	    &n->asking, learn_asked, n);
}

/* ---- what others call -------------------------------------------------------------------------------- */

static struct login_learner *
learn_learner(struct login_door *d)
{
	struct login_learner *n = d->learner;

	if (n)
		return n;
	d->learner = n = mem_new(sizeof(*n));
	n->door = d;
	list_init(&n->lessons);
	timer_init(&n->timer, d->loop, learn_on_timer);
	return n;
}

void
login_learn(struct login_door *d, const struct dir_user *u, struct slice password)
{
	struct login_learner *n;
	struct sasl_verifier v;
	time_t at = (time_t)u->password_at;
	struct tm tm;
	bool known;

	if (!shared.login_scram || login_scram_key().n == 0 || password.n == 0 ||
	    u->second_factor || u->password_at == 0 ||
	    clock_now() - u->password_at < LEARN_SETTLED_S || !gmtime_r(&at, &tm))
		return;
	known = login_verifier_parse(u, &v) && v.rounds == (uint32_t)shared.login_scram_rounds;
	secret_clear(&v, sizeof(v));
	n = learn_learner(d);
	if (known || n->busy || n->rest_until > loop_now(d->loop) ||
	    strftime(n->at, sizeof(n->at), "%Y%m%d%H%M%SZ", &tm) == 0)
		return;
	n->busy = true;
	n->account = mem_strn(u->account.p, u->account.n);
	n->dn = mem_strn(u->dn.p, u->dn.n);
	sasl_verifier_salt(&n->verifier, login_scram_key(), u->account,
	    (uint32_t)shared.login_scram_rounds);
	secret_set(&n->password, password);
	work_start(d->loop, &n->op, learn_run, learn_made, NULL, n);
}

void
login_learn_later(struct login_door *d, struct slice name, struct slice password)
{
	struct login_learner *n = learn_learner(d);
	struct login_lesson *s;

	if (!shared.login_scram || n->nlessons == LEARN_LATER_MOST)
		return;
	s = mem_new(sizeof(*s));
	s->at = loop_now(d->loop) + LEARN_LATER_MS;
	s->name = mem_strn(name.p, name.n);
	secret_set(&s->password, password);
	list_push(&n->lessons, &s->link);
	n->nlessons++;
	learn_next(n);
}
