/* daemon/admin.c: the verbs of the control socket that are about sessions, one for all daemons:
 *
 *	who [KEY=VALUE ...]	a line for each session
 *	kick KEY=VALUE ...	ends those
 *	cache show
 *	cache purge [USER]
 *	drain SECONDS		ends all, spread over so long; then as `drain`
 *
 * Keys: sid, user, peer (an address or a network), protocol, store; all that are given must fit.
 * Names of users have blanks: one lasts to the end of the line, or to the next word with a "=".
 *
 * Owns the clock of a spread drain: admin_spread in the process that has the control socket,
 * admin_answer in each worker.  Called by parent.c, single.c and worker.c; asks program.sessions.
 * Nothing can fail.  While the drain is spread, listeners stay open and only health.c says that
 * nobody should come: whoever comes nevertheless is served, and ends with the rest. */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/kv.h"
#include "daemon/daemon-impl.h"

#define WHO_MOST       10000 /* lines of one worker: the parent holds them all before they go out */
#define SPREAD_MOST_S  86400
#define SPREAD_TICK_MS 200
#define SPREAD_ONE     (UINT64_C(1) << 32)

static const char *const filter_keys[FILTERS] = { "sid", "user", "peer", "protocol", "store" };

/* The user that begins with `user`, together with the words behind it that are no KEY=VALUE. */
static struct slice
filter_user(struct slice user, struct slice *args)
{
	struct slice rest = *args, word;

	while (slice_word(&rest, &word) && slice_find(word, '=') == word.n) {
		user.n = (size_t)(word.p + word.n - user.p);
		*args = rest;
	}
	return user;
}

/* False after saying what is wrong. */
bool
admin_filter_parse(struct admin_filter *f, struct slice args, struct buf *out)
{
	struct slice word, key = S(""), value;
	struct addr nobody = { .sa.sa_family = AF_UNIX };

	*f = (struct admin_filter){ .n = 0 };
	while (slice_word(&args, &word)) {
		size_t i = 0;

		value = word;
		(void)slice_cut(&value, '=', &key);
		while (i < FILTERS && !slice_eq(key, slice_str(filter_keys[i])))
			i++;
		if (i == FILTERS || value.n == 0) {
			buf_printf(out, "error: unknown key in " SFMT "\n", SARG(word));
			return false;
		}
		if (i == FILTER_PEER && addr_in(&nobody, value) < 0) {
			buf_printf(out, "error: not an address or network: " SFMT "\n",
			    SARG(value));
			return false;
		}
		f->want[i] = i == FILTER_USER ? filter_user(value, &args) : value;
		f->n++;
	}
	return true;
}

bool
admin_filter_fits(const struct admin_filter *f, const struct daemon_session *s)
{
	const char *const have[FILTERS] = { s->sid, s->user, s->peer, s->protocol, s->store };
	struct addr peer;

	for (size_t i = 0; i < FILTERS; i++) {
		if (!f->want[i].p)
			continue;
		if (!have[i])
			return false;
		if (i == FILTER_PEER ? addr_parse(slice_str(have[i]), &peer) < 0 ||
			    addr_in(&peer, f->want[i]) <= 0 :
				       !slice_ieq(slice_str(have[i]), f->want[i]))
			return false;
	}
	return true;
}

/* ---- who, kick --------------------------------------------------------------------------------- */

struct admin_look {
	struct admin_filter filter;
	struct buf *out;
	size_t n, most;
};

static void
admin_put(struct buf *out, const struct daemon_session *s)
{
	buf_printf(out, "session sid=%s", s->sid);
	kv_put(out, "protocol", slice_str(s->protocol));
	kv_put(out, "state", slice_str(s->state));
	if (s->user)
		kv_put(out, "user", slice_str(s->user));
	kv_put(out, "peer", slice_str(s->peer));
	if (s->store)
		kv_put(out, "store", slice_str(s->store));
	kv_put(out, "tls", s->tls ? S("yes") : S("no"));
	kv_put_u64(out, "age", (clock_mono_ms() - s->began_ms) / 1000);
	buf_char(out, '\n');
}

static bool
admin_who_each(void *arg, const struct daemon_session *s)
{
	struct admin_look *l = arg;

	if (!admin_filter_fits(&l->filter, s))
		return true;
	if (++l->n <= l->most)
		admin_put(l->out, s);
	return true;
}

static void
admin_who(struct slice args, struct buf *out)
{
	struct admin_look l = { .out = out, .most = WHO_MOST };

	if (!admin_filter_parse(&l.filter, args, out))
		return;
	daemon_self.d->sessions->walk(admin_who_each, &l);
	if (l.n > l.most)
		buf_printf(out, "more=%zu\n", l.n - l.most);
}

static bool
admin_kick_each(void *arg, const struct daemon_session *s)
{
	struct admin_look *l = arg;

	if (admin_filter_fits(&l->filter, s)) {
		log_event(LOG_INFO, "kick", "sid=%s user=%s peer=%s", s->sid,
		    log_str(s->user ? s->user : ""), s->peer);
		l->n += daemon_self.d->sessions->end(s->session, SESSION_NOW);
	}
	return true;
}

static void
admin_kick(struct slice args, struct buf *out)
{
	struct admin_look l = { .out = out };

	if (!admin_filter_parse(&l.filter, args, out))
		return;
	if (l.filter.n == 0) {
		buf_lit(out, "error: kick whom?  All of them: drain\n");
		return;
	}
	daemon_self.d->sessions->walk(admin_kick_each, &l);
	buf_printf(out, "kicked=%zu\n", l.n);
}

/* ---- cache ------------------------------------------------------------------------------------- */

static void
admin_cache(struct slice args, struct buf *out)
{
	const struct daemon_sessions *d = daemon_self.d->sessions;
	struct slice what = S(""), user;

	(void)slice_word(&args, &what);
	user = slice_trim(args);
	if (slice_eq(what, S("show")) && user.n == 0) {
		d->cache(out);
	} else if (slice_eq(what, S("purge"))) {
		d->forget(user);
		log_event(LOG_INFO, "cache_purge", "user=%s", log_value(user));
		buf_lit(out, "ok\n");
	} else {
		buf_lit(out, "error: cache show, or cache purge [USER]\n");
	}
}

bool
daemon_forget_parse(struct slice line, struct slice *user)
{
	struct slice verb = S("");

	if (!slice_word(&line, &verb) || !slice_eq(verb, S("forget")))
		return false;
	*user = slice_trim(line);
	return user->n > 0;
}

/* ---- a drain that takes its time --------------------------------------------------------------- */

static struct timer spread_tick, spread_over;
static uint64_t spread_until; /* loop_now */
static uint64_t spread_due;   /* what the ticks so far have left over; of SPREAD_ONE a session */
static void (*spread_drain)(void);

static bool
spread_count_each(void *arg, const struct daemon_session *s UNUSED)
{
	(*(size_t *)arg)++;
	return true;
}

static bool
spread_end_each(void *arg, const struct daemon_session *s)
{
	size_t *left = arg;

	if (*left && daemon_self.d->sessions->end(s->session, SESSION_AT_REST))
		--*left;
	return *left > 0;
}

/* So many that it comes out even, with what is less than one kept for the next tick; those that were not at
 * rest are tried again then. */
static void
admin_on_tick(struct timer *t)
{
	uint64_t now = loop_now(daemon_self.current);
	uint64_t ticks = now < spread_until ? (spread_until - now) / SPREAD_TICK_MS + 1 : 1;
	size_t n = 0;

	if (daemon_self.draining) {
		timer_stop(t);
		return;
	}
	daemon_self.d->sessions->walk(spread_count_each, &n);
	spread_due += n * SPREAD_ONE / ticks;
	n = spread_due / SPREAD_ONE;
	spread_due %= SPREAD_ONE;
	if (n)
		daemon_self.d->sessions->walk(spread_end_each, &n);
}

/* Asked again, the clock runs already. */
static void
spread_clock(struct timer *t, void (*fn)(struct timer *))
{
	if (t->fn)
		timer_stop(t);
	else
		timer_init(t, daemon_self.current, fn);
}

static int
spread_parse(struct slice line, uint64_t *seconds)
{
	if (!slice_starts(line, S("drain ")))
		return -ENOENT;
	return slice_u64(slice_trim(slice_from(line, strlen("drain "))), SPREAD_MOST_S, seconds);
}

static void
admin_on_over(struct timer *t UNUSED)
{
	if (!daemon_self.draining)
		spread_drain();
}

int
admin_spread(struct slice line, void (*drain)(void), struct buf *out)
{
	uint64_t seconds;
	int rc = spread_parse(line, &seconds);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0) {
		buf_printf(out, "error: drain in how many seconds?  At most %d\n", SPREAD_MOST_S);
		return rc;
	}
	buf_lit(out, "ok\n");
	daemon_self.leaving = true;
	spread_drain = drain;
	log_event(LOG_INFO, "drain_spread", "seconds=%llu", (unsigned long long)seconds);
	spread_clock(&spread_over, admin_on_over);
	timer_start(&spread_over, seconds * 1000, 0);
	return 1;
}

static void
admin_leave(uint64_t seconds)
{
	daemon_self.leaving = true;
	if (!daemon_self.d->sessions)
		return;
	spread_until = loop_now(daemon_self.current) + seconds * 1000;
	spread_due = 0;
	spread_clock(&spread_tick, admin_on_tick);
	timer_start(&spread_tick, SPREAD_TICK_MS, SPREAD_TICK_MS);
}

/* ---- who we are -------------------------------------------------------------------------------- */

void
admin_header(struct buf *out)
{
	buf_printf(out, "daemon=%s version=%s pid=%d workers=%lld state=%s uptime=%llu\n",
	    daemon_self.d->name, TIERMAIL_VERSION, (int)getpid(), (long long)daemon_self.nworkers,
	    daemon_self.draining    ? "draining" :
		daemon_self.leaving ? "leaving" :
				      "running",
	    (unsigned long long)((clock_mono_ms() - daemon_self.started_ms) / 1000));
}

/* What runs is of files that others stand in the place of by now: an upgrade that nobody has restarted for. */
static const char *
admin_replaced(void)
{
	char line[PATH_MAX + 128];
	ssize_t n = readlink("/proc/self/exe", line, sizeof(line));
	const char *what = "no";
	FILE *f;

	if (n > 0 && slice_ends(slice(line, (size_t)n), S(" (deleted)")))
		return "program";
	if (!(f = fopen("/proc/self/maps", "re")))
		return what;
	while (fgets(line, sizeof(line), f))
		if (strstr(line, ".so") && slice_ends(slice_trim(slice_str(line)), S(" (deleted)")))
			what = "library";
	(void)fclose(f);
	return what;
}

bool
admin_own(struct slice line, struct buf *out)
{
	if (slice_eq(line, S("config"))) {
		conf_print(daemon_self.schemas, daemon_self.nschemas, out);
		return true;
	}
	if (!slice_eq(line, S("version")))
		return false;
	buf_printf(out, "daemon=%s version=%s pid=%d uptime=%llu replaced=%s\n",
	    daemon_self.d->name, TIERMAIL_VERSION, (int)getpid(),
	    (unsigned long long)((clock_mono_ms() - daemon_self.started_ms) / 1000),
	    admin_replaced());
	return true;
}

void
admin_of_worker(struct buf *out, int worker, struct slice text)
{
	struct slice line;

	while (slice_cut(&text, '\n', &line))
		buf_printf(out, "worker=%d " SFMT "\n", worker, SARG(line));
}

/* ---- all of them ------------------------------------------------------------------------------- */

bool
admin_answer(struct slice line, struct buf *out)
{
	struct slice verb = S("");
	uint64_t seconds;

	if (spread_parse(line, &seconds) == 0) {
		admin_leave(seconds);
		return true;
	}
	if (wire_answer(line, out))
		return true;
	if (!daemon_self.d->sessions || !slice_word(&line, &verb))
		return false;
	if (slice_eq(verb, S("who")))
		admin_who(line, out);
	else if (slice_eq(verb, S("kick")))
		admin_kick(line, out);
	else if (slice_eq(verb, S("cache")))
		admin_cache(line, out);
	else
		return false;
	return true;
}
