/* login/watch.c: see watch.h.
 *
 *	every two seconds: what has changed? -> page by page -> those that are watched -> one after the other: may he still?
 *	-> each application password of his sessions: is it still there?
 *
 * Owns, of a door, two connections to the directory as the daemon's own account, and the accounts that have sessions.
 * Sessions enter and leave; those that end with a token are in a list of their own, with a timer.  Can fail: the directory; the time since which is asked stays then.  Must stay true: an
 * entry is asked about when it may have changed, and judged by what the directory says then, so that asking once too
 * often ends nobody; what is changed on another server comes here later than its time, so each question overlaps the
 * one before by WATCH_OVERLAP_S; and where a question takes long (no index), the next one waits twenty times as long. */
#include "login/watch.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "conf/shared.h"
#include "login/login-impl.h"

#define WATCH_OVERLAP_S 15    /* clocks that differ, and a replica that is behind */
#define WATCH_PAGE      500   /* entries of an answer */
#define WATCH_IDLE      20    /* a question may take one part in so many of the time */
#define WATCH_MOST_MS   60000 /* between two questions */
#define WATCH_ROUNDS                                                                               \
	900 /* questions until each account was looked at, changed or not: half an hour */
#define WATCH_APP_ROUNDS 30     /* ... of those with an application password, a minute, */
#define WATCH_APPS       10     /* but so many in one at most */
#define WATCH_TELL_MS    300000 /* between two complaints in the log */

/* An account that has sessions. */
struct login_watched {
	struct list sessions;
	struct list link; /* login_watcher.doubted, or none */
	struct list with; /* login_watcher.apps, or none */
	struct login_watcher *watcher;
	char *account, *dn;
	bool held;    /* watch_end is at it */
	size_t napps; /* sessions by application passwords */
	size_t n;
	char key[]; /* the DN in lower case */
};

struct login_watcher {
	struct login_door *door;
	struct map watched; /* by key */
	struct list doubted;
	struct list apps; /* that have such sessions, in the order of their turns */
	size_t napps;
	struct map
	    closed; /* DNs of domains that are not active, of one question; keys are the values */
	struct login_watched *asked; /* NULL: none, or it has gone */
	struct op looking;
	struct dir_agent *agent;
	struct op asking;
	struct dir_agent *app_agent;
	struct op app_asking;
	char app[LOGIN_WORD_ID + 1]; /* which is asked about */
	struct list expiring; /* sessions that end with their token, the first to end first */
	struct timer timer, expiry;
	bool probed, busy, armed;
	struct buf cookie;       /* of the next page */
	size_t swept;            /* where in `watched` */
	int64_t since, began_at; /* unix seconds */
	uint64_t began_ms, told_ms;
	char filter[64];
};

/* ---- who may still --------------------------------------------------------------------------------- */

static void login_watch_look(struct login_watcher *n);

static void
login_watch_drop(struct login_watched *a)
{
	struct login_watcher *n = a->watcher;

	map_take(&n->watched, slice(a->key, a->n));
	list_remove(&a->link);
	list_remove(&a->with);
	if (n->asked == a)
		n->asked = NULL;
	mem_free(&a->account);
	mem_free(&a->dn);
	mem_release(a);
}

static void
login_watch_take(struct login_watch *w)
{
	struct login_watched *a = w->of;

	w->of = NULL;
	list_remove(&w->link);
	if (w->until)
		list_remove(&w->expires);
	if (!w->by_app || --a->napps)
		return;
	list_remove(&a->with);
	list_init(&a->with);
	a->watcher->napps--;
}

void
login_watch_leave(struct login_watch *w)
{
	struct login_watched *a = w->of;

	if (!a)
		return;
	login_watch_take(w);
	if (!a->held && list_empty(&a->sessions))
		login_watch_drop(a);
}

/* Why this session is to end, or NULL.  With a second factor, whoever comes has an application password; a proxy may
 * not have said so, and then it was there before.  Somebody who logs in with a new password within the seconds for which his entry
 * is remembered is taken for one who came with the old: he logs in again. */
static const char *
login_watch_why(const struct login_watch *w, const void *arg)
{
	const struct dir_user *u = arg;

	if (!u)
		return "gone";
	if (login_rule(u->status, w->purpose) != LOGIN_RULE_YES)
		return "status";
	if (w->by_app || w->by_token)
		return NULL;
	if (u->second_factor && !u->factor_hidden && !w->had_factor)
		return "factor";
	return w->password_at == u->password_at ? NULL : "password";
}

/* Ends those for which `judge` has a reason.  The last session takes `a` with it: true. */
static bool
login_watch_end(struct login_watched *a,
    const char *(*judge)(const struct login_watch *, const void *), const void *arg)
{
	const char *why = NULL, *this;
	struct list ending;
	struct login_watch *w;
	size_t count = 0;

	list_init(&ending);
	list_each(w, &a->sessions, struct login_watch, link)
	{
		this = judge(w, arg);
		if (!this)
			continue;
		why = this;
		list_remove(&w->link);
		list_push(&ending, &w->link);
		count++;
	}
	if (why)
		log_event(LOG_INFO, "sessions_ended", "user=%s why=%s sessions=%zu",
		    log_str(a->account), why, count);
	a->held = true; /* the end of one may be that of another */
	while ((w = list_first(&ending, struct login_watch, link))) {
		login_watch_take(w);
		w->end(w);
	}
	a->held = false;
	if (!list_empty(&a->sessions))
		return false;
	login_watch_drop(a);
	return true;
}

/* ---- application passwords ----------------------------------------------------------------------- */

static void login_watch_app(struct login_watcher *n);

static const char *
login_watch_app_why(const struct login_watch *w, const void *arg)
{
	return w->by_app && strcmp(w->app, arg) == 0 ? "app" : NULL;
}

/* Its entry is not there, which is the only answer that ends anybody. */
static void
login_watch_app_looked(void *arg, const struct dir_outcome *o)
{
	struct login_watcher *n = arg;
	struct login_watched *a = n->asked;

	if (a && o->result == DIR_R_NO_ENTRY && login_watch_end(a, login_watch_app_why, n->app))
		n->asked = NULL;
	if (o->result == DIR_R_LOGIN) /* its settings were changed */
		dir_agent_free(&n->app_agent);
	if (o->result == DIR_R_AWAY || o->result == DIR_R_LOGIN || o->result == DIR_R_UNKNOWN)
		n->asked = NULL; /* another time */
	login_watch_app(n);
}

/* The next application password of the account that is asked about; else the next account. */
static void
login_watch_app(struct login_watcher *n)
{
	static const char *const attrs[] = { "tiermailAppSecret", NULL };
	struct dir_job job = { .task = DIR_SEARCH, .scope = DIR_SCOPE_BASE, .attrs = attrs };
	struct login_watched *a = n->asked;
	struct login_watch *w;
	bool found = false;
	char *dn;

	if (a)
		list_each(w, &a->sessions, struct login_watch, link)
		{
			if (!w->by_app || w->asked || (found && strcmp(w->app, n->app) != 0))
				continue;
			memcpy(n->app, w->app, sizeof(n->app));
			w->asked = found = true;
		}
	if (!found) {
		n->asked = NULL;
		login_watch_look(n);
		return;
	}
	if (!n->app_agent)
		n->app_agent = dir_agent_new(n->door->dir, shared.ldap_bind_dn,
		    shared.ldap_bind ? NULL : shared.ldap_password);
	dn = mem_printf("uid=%s,%s", n->app, a->dn);
	job.dn = dn;
	dir_agent_start(n->app_agent, &job, &n->app_asking, login_watch_app_looked, n);
	mem_free(&dn);
}

/* ---- those who are doubted ----------------------------------------------------------------------- */

static void
login_watch_looked(void *arg, const struct dir_answer *answer)
{
	struct login_watcher *n = arg;
	struct login_watched *a = n->asked;
	const struct dir_user *u = answer->v.kind == OK ? answer->user : NULL;
	struct login_watch *w;

	/* His name may be an address of somebody else's by now; an entry that was moved is not found by its DN. */
	if (u && a &&
	    (!slice_eq(u->account, slice_str(a->account)) || !slice_ieq(u->dn, slice_str(a->dn))))
		u = NULL;
	if (!a || answer->v.kind == TEMP || login_watch_end(a, login_watch_why, u))
		n->asked = NULL;
	if (n->asked)
		list_each(w, &a->sessions, struct login_watch, link) w->asked = false;
	login_watch_app(n);
}

static void
login_watch_look(struct login_watcher *n)
{
	struct login_watched *a = list_first(&n->doubted, struct login_watched, link);

	if (!a || op_pending(&n->looking) || op_pending(&n->app_asking))
		return;
	list_remove(&a->link);
	list_init(&a->link);
	n->asked = a;
	dir_login_now_start(n->door->dir, slice_str(a->account), 1, &n->looking, login_watch_looked,
	    n);
}

static void
login_watch_doubt(struct login_watcher *n, struct login_watched *a)
{
	list_remove(&a->link);
	list_push(&n->doubted, &a->link);
}

/* ---- what has changed ------------------------------------------------------------------------------- */

static void
login_watch_key(struct buf *key, struct slice dn)
{
	buf_clear(key);
	for (size_t i = 0; i < dn.n; i++)
		buf_char(key, ascii_lower(dn.p[i]));
}

static void
login_watch_closed(struct login_watcher *n, struct slice key)
{
	char *dn;

	if (map_get(&n->closed, key))
		return;
	dn = mem_strn(key.p, key.n);
	map_put(&n->closed, slice(dn, key.n), dn);
}

static void
login_watch_entry(struct login_watcher *n, const struct dir_entry *e, struct buf *key)
{
	struct login_watched *a;

	login_watch_key(key, e->dn);
	a = map_get(&n->watched, buf_get(key));
	if (a)
		login_watch_doubt(n, a);
	for (size_t i = 0; i < e->n; i++)
		for (size_t k = 0; k < e->attrs[i].n; k++)
			if (!slice_ieq(e->attrs[i].values[k], S("active")))
				login_watch_closed(n, buf_get(key));
}

/* Of each account that is watched, the entries above: is one of them a domain that is not active? */
static void
login_watch_domains(struct login_watcher *n)
{
	struct login_watched *a;
	size_t at = 0;
	char *dn;

	while (n->closed.n && (a = map_next(&n->watched, &at))) {
		struct slice rest = slice(a->key, a->n), part;

		while (slice_cut(&rest, ',', &part))
			if (map_get(&n->closed, rest))
				login_watch_doubt(n, a);
	}
	at = 0;
	while ((dn = map_next(&n->closed, &at))) {
		map_take(&n->closed, slice_str(dn));
		mem_free(&dn);
	}
}

/* An entry that is taken out of the directory is not found by when it was changed, nor that of an application password,
 * which lies below: some of all accounts are looked at each time.  A place in the map that has moved meanwhile is come by in the next round. */
static void
login_watch_sweep(struct login_watcher *n)
{
	size_t want = (n->watched.n + WATCH_ROUNDS - 1) / WATCH_ROUNDS;
	size_t apps = (n->napps + WATCH_APP_ROUNDS - 1) / WATCH_APP_ROUNDS;
	struct login_watched *a;

	if (apps > WATCH_APPS)
		apps = WATCH_APPS;
	while (apps-- > 0) {
		a = list_first(&n->apps, struct login_watched, with);
		list_remove(&a->with);
		list_push(&n->apps, &a->with);
		login_watch_doubt(n, a);
	}
	while (want-- > 0) {
		a = map_next(&n->watched, &n->swept);
		if (!a) {
			n->swept = 0;
			return;
		}
		login_watch_doubt(n, a);
	}
}

static void
login_watch_complain(struct login_watcher *n, const char *why)
{
	uint64_t now = loop_now(n->door->loop);

	if (n->told_ms && now - n->told_ms < WATCH_TELL_MS)
		return;
	n->told_ms = now;
	log_event(LOG_WARN, "sessions_unwatched", "error=%s", log_str(why));
}

static void login_watch_ask(struct login_watcher *n, struct slice cookie);

static void
login_watch_over(struct login_watcher *n)
{
	uint64_t took = loop_now(n->door->loop) - n->began_ms, wait = took * WATCH_IDLE;

	n->busy = false;
	if (wait > WATCH_MOST_MS)
		wait = WATCH_MOST_MS;
	if (wait > LOGIN_WATCH_MS)
		login_watch_complain(n, "slow: slapd must index modifyTimestamp for equality");
	timer_start(&n->timer, wait > LOGIN_WATCH_MS ? wait : LOGIN_WATCH_MS, 0);
	login_watch_domains(n);
	login_watch_sweep(n);
	login_watch_look(n);
}

static void
login_watch_answered(void *arg, const struct dir_outcome *o)
{
	struct login_watcher *n = arg;
	struct buf key = { 0 };

	if (o->result != DIR_R_OK) {
		login_watch_complain(n, o->why);
		dir_agent_free(&n->agent); /* or its settings were changed */
		login_watch_over(n);
		return;
	}
	if (!n->probed) {
		n->probed = o->n > 0;
		if (!n->probed)
			login_watch_complain(n,
			    "this daemon's account may not search for modifyTimestamp");
		login_watch_over(n);
		return;
	}
	for (size_t i = 0; i < o->n; i++)
		login_watch_entry(n, &o->entries[i], &key);
	buf_fini(&key);
	buf_clear(&n->cookie);
	buf_slice(&n->cookie, o->cookie);
	if (n->cookie.n) {
		login_watch_ask(n, buf_get(&n->cookie));
		return;
	}
	n->since = n->began_at;
	login_watch_over(n);
}

static void
login_watch_ask(struct login_watcher *n, struct slice cookie)
{
	static const char *const attrs[] = { "inetDomainStatus", "mailDomainStatus", NULL };
	struct dir_job job = { .task = DIR_SEARCH,
		.dn = shared.ldap_base,
		.scope = DIR_SCOPE_SUB,
		.filter = n->filter,
		.attrs = attrs,
		.page = n->probed ? WATCH_PAGE : 1,
		.cookie = cookie };

	if (!n->agent)
		n->agent = dir_agent_new(n->door->dir, shared.ldap_bind_dn,
		    shared.ldap_bind ? NULL : shared.ldap_password);
	dir_agent_start(n->agent, &job, &n->asking, login_watch_answered, n);
}

static void
login_watch_on_timer(struct timer *t)
{
	struct login_watcher *n = CONTAINER(t, struct login_watcher, timer);
	time_t since = (time_t)(n->probed ? n->since - WATCH_OVERLAP_S : 0);
	struct tm tm;

	n->armed = n->watched.n > 0 && gmtime_r(&since, &tm) &&
	    strftime(n->filter, sizeof(n->filter), "(modifyTimestamp>=%Y%m%d%H%M%SZ)", &tm) > 0;
	if (!n->armed)
		return;
	n->busy = true;
	n->began_at = clock_now();
	n->began_ms = loop_now(n->door->loop);
	login_watch_ask(n, S(""));
}

/* ---- tokens that expire ----------------------------------------------------------------------------------- */

static const char *
login_watch_expired(const struct login_watch *w, const void *arg)
{
	const int64_t *now = arg;

	return w->until && w->until <= *now ? "token" : NULL;
}

/* The clock of the wall may be set while a timer runs: it is looked at every minute. */
static void
login_watch_expire(struct timer *t)
{
	struct login_watcher *n = CONTAINER(t, struct login_watcher, expiry);
	int64_t now = clock_now(), left;
	struct login_watch *w;

	while ((w = list_first(&n->expiring, struct login_watch, expires)) && w->until <= now)
		(void)login_watch_end(w->of, login_watch_expired, &now);
	if (!w)
		return;
	left = (w->until - now) * 1000;
	timer_start(t, left < WATCH_MOST_MS ? (uint64_t)left : WATCH_MOST_MS, 0);
}

/* Tokens live about as long as each other: the place is near the end. */
static void
login_watch_expires(struct login_watcher *n, struct login_watch *w)
{
	struct list *at = &n->expiring;

	while (at->prev != &n->expiring &&
	    CONTAINER(at->prev, struct login_watch, expires)->until > w->until)
		at = at->prev;
	list_insert_before(at, &w->expires);
	if (n->expiring.next == &w->expires)
		timer_start(&n->expiry, 0, 0);
}

/* ---- sessions ------------------------------------------------------------------------------------------ */

static struct login_watcher *
login_watch_watcher(struct login_door *d)
{
	struct login_watcher *n = d->watcher;

	if (n)
		return n;
	d->watcher = n = mem_new(sizeof(*n));
	n->door = d;
	list_init(&n->doubted);
	list_init(&n->apps);
	list_init(&n->expiring);
	timer_init(&n->timer, d->loop, login_watch_on_timer);
	timer_init(&n->expiry, d->loop, login_watch_expire);
	return n;
}

static struct login_watched *
login_watch_watched(struct login_watcher *n, const struct login_user *u)
{
	struct buf key = { 0 };
	struct login_watched *a;

	login_watch_key(&key, u->dn);
	a = map_get(&n->watched, buf_get(&key));
	if (!a) {
		a = mem_new(sizeof(*a) + key.n);
		memcpy(a->key, key.p, key.n);
		a->n = key.n;
		list_init(&a->sessions);
		list_init(&a->link);
		list_init(&a->with);
		a->watcher = n;
		a->dn = mem_strn(u->dn.p, u->dn.n);
		a->account = mem_strn(u->account.p, u->account.n);
		map_put(&n->watched, slice(a->key, a->n), a);
	}
	buf_fini(&key);
	return a;
}

void
login_watch_enter(struct login_door *d, struct login_watch *w, const struct login_user *u,
    enum login_purpose purpose, void (*end)(struct login_watch *w))
{
	struct login_watcher *n = login_watch_watcher(d);
	struct login_watched *a;

	login_watch_leave(w);
	if (u->dn.n == 0)
		return;
	a = login_watch_watched(n, u);
	*w = (struct login_watch){ .of = a,
		.purpose = purpose,
		.password_at = u->password_at,
		.by_app = u->by_app,
		.by_token = u->by_token,
		.had_factor = u->has_factor,
		.end = end };
	memcpy(w->app, u->app, sizeof(w->app));
	list_push(&a->sessions, &w->link);
	if (u->by_token && shared.login_oauth_end && u->token_until) {
		w->until = u->token_until;
		login_watch_expires(n, w);
	}
	if (w->by_app && a->napps++ == 0) {
		list_push(&n->apps, &a->with);
		n->napps++;
	}
	if (n->armed)
		return;
	/* His entry may have been known for 5 s: less than WATCH_OVERLAP_S. */
	n->since = clock_now();
	n->armed = true;
	timer_start(&n->timer, LOGIN_WATCH_MS, 0);
}
