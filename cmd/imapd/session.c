/* imapd/session.c: the life of a connection: who may come in, what is offered, what is let go.
 *
 * Owns: the list of sessions, each session's user and view.  Called by the daemon (accept, drain) and
 * by imap/server through the policy.  Can fail: taking the descriptor.  Must stay true: session_left
 * lets go of everything but the struct, whatever was under way.  The commands are in files of their
 * own, their table in commands.c. */
#include <string.h>

#include "metadata.h"
#include "notify.h"
#include "place.h"

#include <malloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

/* Commands that a client may give before login: silence is limited by time, chatter by this. */
#define EARLY_COMMANDS 100
/* Bytes of a command before login: names and passwords. */
#define EARLY_LINE    8192
#define LITERAL_MINUS 4096 /* octets: RFC 7888 5 */
/* Sessions that are a crowd, see session_give_back. */
#define CROWD 50

static struct imap_limits session_limits;
/* Structs of sessions, of which some only say their last words; and the most of them since memory
 * was given back, see session_give_back. */
static size_t session_alive, session_crowd;

/* ---- what imap/server asks ----------------------------------------------------------------- */

/* May a password go over this connection, may a proxy speak for others, may the login be given back? */
static unsigned
session_when(struct imap_server *imap)
{
	struct session *s = session_of(imap);
	unsigned now = imap->lex.unwaited ? SESSION_SHORT_LITERALS : SESSION_ANY_LITERALS;

	if (imap->state != IMAP_NOTAUTH && conf.messages)
		now |= SESSION_LIMITED;
	if (imap->state != IMAP_NOTAUTH && session_sets_quota(s))
		now |= SESSION_SETS_QUOTA;
	if (*conf.sieve_server)
		now |= SESSION_SCRIPTS;
	if (imap->state != IMAP_NOTAUTH)
		return s->behind ? now : now | SESSION_DIRECT;
	if (stream_secure(&imap->line.io) || (shared.insecure_loopback && s->loopback))
		now |= IMAP_PASSWORDS | (login_offers_scram() ? IMAP_SCRAM : 0) |
		    (login_offers_oauth() ? IMAP_OAUTH : 0);
	return s->proxy ? now | SESSION_PROXY : now;
}

static void
session_event(struct imap_server *imap, enum imap_event ev)
{
	static const enum metric_id metrics[] = {
		[IMAP_EV_COMMAND] = M_COMMANDS,
		[IMAP_EV_BAD] = M_BAD,
		[IMAP_EV_TLS] = M_TLS,
	};

	(void)imap;
	metric_add(metrics[ev], 1);
}

/* How sessions are counted: what proxies bring keeps a share of its own. */
enum { CLASS_IMAP, CLASS_PROXY };
static const struct admit_class classes[] = {
	[CLASS_IMAP] = { "imap", 0, true },
	[CLASS_PROXY] = { "proxy", 25, true },
};
const struct admit_service imapd_admit = { "imapd", classes, NELEM(classes), &conf.clients,
	&conf.per_client, &conf.per_user };

/* Counted for `peer`, whoever it was counted for before. */
static void
session_count_for(struct session *s, const struct addr *peer)
{
	admit_leave(&s->admit);
	s->full = admit_enter(&s->admit, CLASS_PROXY, peer) != ADMIT_OK;
}

void
session_forwarded(struct session *s, const struct login_forward *f)
{
	struct addr peer;

	memcpy(s->app, f->app, sizeof(s->app));
	if (!login_forward_apply(f, &s->imap.line.io, s->sid, &peer))
		return;
	addr_host(&peer, s->peer);
	session_count_for(s, &peer);
}

static void
session_secured(struct imap_server *imap, int error, const char *why)
{
	struct session *s = session_of(imap);
	const struct stream *io = &imap->line.io;

	if (error)
		log_event(LOG_INFO, "tls_failed", "sid=%s error=%s", s->sid, log_str(why));
	else
		log_event(LOG_DEBUG, "tls", "sid=%s version=%s cipher=%s", s->sid,
		    log_str(stream_tls_version(io)), log_str(stream_tls_cipher(io)));
	s->proxy = !error && login_is_proxy(io, conf.proxies, s->sid);
	if (!error && !s->proxy && s->listen->peer_cert == PEER_CERT_DEMAND) {
		line_session_close(&imap->line, "role"); /* it is for proxies alone */
		return;
	}
	if (s->proxy) /* its own address is nobody's that a limit is meant for */
		session_count_for(s, &(struct addr){ .sa.sa_family = AF_UNIX });
}

/* What belongs to one command. */
static void
session_over(struct imap_server *imap)
{
	struct session *s = session_of(imap);

	idle_over(s);
	s->sync = NULL;
	s->telling = NULL;
	s->updating = NULL;
	s->limited = 0;
	login_free(&s->login); /* an exchange that the client gave up */
}

static void
session_left(struct imap_server *imap)
{
	struct session *s = session_of(imap);

	login_free(&s->login);
	login_watch_leave(&s->watch);
	admit_leave(&s->admit);
	notify_end(s);
	session_deselect(s);
	metadata_unwatch(s);
	if (s->user)
		user_drop(&s->user);
	list_remove(&s->link);
	imapd.nsessions--;
	metric_add(M_SESSIONS, -1);
	if (imap->line.why && strcmp(imap->line.why, "timeout") == 0)
		log_event(LOG_INFO, "timeout", "sid=%s", s->sid);
	log_event(LOG_INFO, "disconnect", "sid=%s why=%s in=%llu out=%llu ms=%llu", s->sid,
	    imap->line.why ? imap->line.why : "closed", (unsigned long long)imap->line.io.got,
	    (unsigned long long)imap->line.io.sent,
	    (unsigned long long)(clock_mono_ms() - imap->line.began_ms));
}

/* A crowd has left: what malloc keeps of it (162 MB after 5,000 sessions with TLS) goes back to the
 * system.  Once for each time that a crowd shrinks to a quarter, because it takes milliseconds.  What
 * counts are structs that are there: many sessions may leave in one turn, before any is freed. */
static void
session_give_back(void)
{
	if (session_crowd < CROWD || session_alive > session_crowd / 4)
		return;
	session_crowd = session_alive;
	(void)malloc_trim(0);
}

static void
session_closed(struct imap_server *imap)
{
	struct session *s = session_of(imap);

	s->magic = 0;
	tls_unref(&imap->tls_ctx);
	mem_release(s);
	session_alive--;
	session_give_back();
	if (session_alive == 0 && daemon_draining())
		daemon_drained();
}

static struct imap_policy session_policy = {
	.limits = &session_limits,
	.commands = imapd_commands,
	.capabilities = session_capabilities,
	.when = session_when,
	.login = auth_login,
	.sasl = auth_sasl,
	.sasl_line = auth_sasl_line,
	.news = reply_news,
	.over = session_over,
	.between = notices_between,
	.event = session_event,
	.secured = session_secured,
	.left = session_left,
	.closed = session_closed,
};

/* ---- begin and end ------------------------------------------------------------------------- */

void
session_begin(struct session *s, struct user *u)
{
	s->user = u;
	s->behind = s->proxy;
	s->proxy = false;
	imap_server_logged_in(&s->imap);
}

/* UNAUTHENTICATE: all that came with the user goes; what is the connection's stays: TLS, its place in
 * the counts, and how often it has tried a wrong password.		RFC 8437 3 */
enum imap_next
cmd_unauthenticate(struct imap_server *imap, struct imap_in *in)
{
	struct session *s = session_of(imap);

	if (!imap_end(in))
		return imap_server_syntax(imap, in);
	if (s->behind)
		return imap_server_no(imap, "CANNOT", "Not through a proxy");
	log_event(LOG_INFO, "unauthenticate", "sid=%s user=%s", s->sid, log_str(s->user->account));
	notify_end(s);
	session_deselect(s);
	s->condstore = false;
	s->enabled = 0;
	metadata_unwatch(s);
	admit_user_leave(&s->admit);
	login_watch_leave(&s->watch);
	user_drop(&s->user);
	imap_server_logged_out(imap);
	return imap_server_finish(imap, "OK", "UNAUTHENTICATE completed");
}

void
session_deselect(struct session *s)
{
	view_free(&s->view);
	idle_listen(s);
}

/* ---- groups ---------------------------------------------------------------------------------- */

static void
session_regrouped(void *arg, struct slice account)
{
	(void)arg;
	place_look(0);
	watch_regroup(account);
}

void
session_groups(void)
{
	if (login_groups_wanted(imapd.door))
		return;
	store_homes_open(&imapd.homes);
	if (store_homes_name_groups(&imapd.homes))
		login_groups_want(imapd.door, session_regrouped, NULL);
}

/* Nobody's while the login lasts: the login names its account itself. */
struct store_person
session_actor(struct op *op)
{
	const struct session *s = session_of(CONTAINER(op, struct imap_server, op));

	return s->user && !s->itself ? session_person(s) : store_person(S(""));
}

void
session_condstore(struct session *s)
{
	/* Not beyond an EXPUNGE that waits: whoever comes back with it would not be told. */
	if (!s->condstore && s->view)
		imap_server_untagged(&s->imap, "OK [HIGHESTMODSEQ %llu] Highest",
		    (unsigned long long)s->view->synced);
	s->condstore = true;
}

/* The keys of the configuration as they are now; a reload changes them for all sessions. */
static void
session_read_limits(void)
{
	session_limits = (struct imap_limits){
		.login_ms = (uint32_t)conf.login_time,
		.idle_ms = (uint32_t)conf.idle_time,
		.bad = (uint32_t)conf.bad_commands,
		.early = EARLY_COMMANDS,
		.line = (uint32_t)conf.line,
		.early_line = EARLY_LINE,
		.unwaited = conf.literal_minus ? LITERAL_MINUS : 0,
		.skip = (uint64_t)conf.append * 2,
	};
	session_policy.hostname = shared.hostname;
}

void
session_new(struct daemon_listen *l, int fd)
{
	struct session *s = mem_new(sizeof(*s));
	char text[ADDR_TEXT];
	struct addr peer;
	bool announced = daemon_peer(fd, &peer);
	int r;

	session_read_limits();
	s->magic = SESSION_MAGIC;
	if (++session_alive > session_crowd)
		session_crowd = session_alive;
	s->listen = l;
	random_id(s->sid);
	list_init(&s->idle_link);
	list_init(&s->annots_link);
	s->imap.policy = &session_policy;
	s->loopback = addr_loopback(&peer) && !announced;
	addr_host(&peer, s->peer);
	list_push(&imapd.sessions, &s->link);
	imapd.nsessions++;
	metric_add(M_CONNECTIONS, 1);
	metric_add(M_SESSIONS, 1);
	log_context(s->sid);
	log_event(LOG_INFO, "connect", "sid=%s peer=%s", s->sid, addr_write(&peer, text));
	if (admit_enter(&s->admit, CLASS_IMAP, &peer) != ADMIT_OK) {
		r = imap_server_reject(&s->imap, imapd.loop, fd,
		    l->tls == TLS_IMPLICIT ? NULL : "[LIMIT] Too many connections", s->sid);
	} else {
		if (l->tls != TLS_OFF)
			s->imap.tls_ctx = tls_ref(l->tls_ctx);
		r = imap_server_open(&s->imap, imapd.loop, fd, l->tls == TLS_IMPLICIT, s->sid);
	}
	if (r == 0 && announced)
		stream_announce(&s->imap.line.io, &peer);
	if (r < 0) {
		log_event(LOG_WARN, "accept_failed", "sid=%s error=%s", s->sid, strerror(-r));
		close(fd);
		session_left(&s->imap);
		session_closed(&s->imap);
	}
}

size_t
session_end_user(struct slice account)
{
	struct session *s;
	size_t n = 0;

	list_each(s, &imapd.sessions, struct session, link)
	{
		if (!s->user || !slice_ieq(slice_str(s->user->account), account))
			continue;
		imap_server_bye(&s->imap, "forgotten", "Log in again");
		n++;
	}
	return n;
}

/* ---- what operators see -------------------------------------------------------------------- */

static void
session_walk(bool (*each)(void *arg, const struct daemon_session *d), void *arg)
{
	struct session *s;

	list_each(s, &imapd.sessions, struct session, link)
	{
		struct daemon_session d = {
			.session = s,
			.sid = s->sid,
			.protocol = "imap",
			.state = s->view ? "selected" :
			    s->user      ? "authenticated" :
					   "login",
			.user = s->user ? s->user->account : NULL,
			.peer = s->peer,
			.tls = stream_secure(&s->imap.line.io),
			.began_ms = s->imap.line.began_ms,
		};

		if (!each(arg, &d))
			break;
	}
}

static bool
session_end(void *session, enum daemon_end how)
{
	struct session *s = CAST(session, struct session, SESSION_MAGIC);
	bool before = line_session_ending(&s->imap.line);

	if (how == SESSION_NOW)
		imap_server_bye(&s->imap, "kicked", "Ended by the administrator");
	else
		imap_server_shutdown(&s->imap);
	return how == SESSION_NOW || (!before && line_session_ending(&s->imap.line));
}

static void
session_forget(struct slice account)
{
	if (account.n)
		dir_forget(imapd.dir, account);
	else
		dir_forget_all(imapd.dir);
}

static void
session_cache(struct buf *out)
{
	dir_status(imapd.dir, out);
	buf_char(out, '\n');
}

const struct daemon_sessions session_verbs = {
	.walk = session_walk,
	.end = session_end,
	.forget = session_forget,
	.cache = session_cache,
	.load = admit_load,
};

void
session_drain_all(void)
{
	struct session *s;

	list_each(s, &imapd.sessions, struct session, link) imap_server_shutdown(&s->imap);
	if (session_alive == 0)
		daemon_drained();
}
