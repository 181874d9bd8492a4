/* sieved/session.c: the life of a connection: who may come in, its time, what is let go.
 *
 * Owns: the list of sessions.  Called by the daemon (accept, drain) and by net/line-session.  Can fail: taking the
 * descriptor.  Must stay true: sieved_on_release lets go of everything but the struct, whatever was under way; a change
 * that the directory was asked for goes on without its session (rules/store.c). */
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "sieved.h"

/* Sessions that are a crowd: when most have gone, malloc gives back what it keeps of them. */
#define CROWD 50

/* Structs that are there, of which some only say their last words; the most since memory was given
 * back. */
static size_t alive, crowd;

/* May a password go over this connection? */
bool
sieved_session_password_ok(const struct sieved_session *s)
{
	return stream_secure(&s->line.io) || (shared.insecure_loopback && s->loopback);
}

/* From the first byte to the login, however the bytes drip; then silence. */
void
sieved_session_time(struct sieved_session *s)
{
	line_session_time(&s->line, (uint32_t)(s->account ? config.idle_time : config.login_time),
	    !s->account);
}

/* How sessions are counted: what proxies bring keeps a share of its own. */
enum { CLASS_SIEVE, CLASS_PROXY };
static const struct admit_class classes[] = {
	[CLASS_SIEVE] = { "sieve", 0, true },
	[CLASS_PROXY] = { "proxy", 25, true },
};
const struct admit_service sieved_admit = { "sieved", classes, NELEM(classes), &config.clients,
	&config.per_client, &config.per_user };

/* Counted for `peer`, whoever it was counted for before. */
static void
sieved_session_count_for(struct sieved_session *s, const struct addr *peer)
{
	admit_leave(&s->admit);
	s->full = admit_enter(&s->admit, CLASS_PROXY, peer) != ADMIT_OK;
}

void
sieved_session_forwarded(struct sieved_session *s, const struct login_forward *f)
{
	struct addr peer;

	memcpy(s->app, f->app, sizeof(s->app));
	if (!login_forward_apply(f, &s->line.io, s->sid, &peer))
		return;
	addr_host(&peer, s->peer);
	sieved_session_count_for(s, &peer);
}

/* ---- what line_session asks ------------------------------------------------------------------------- */

static void
sieved_on_greet(struct line_session *l)
{
	struct sieved_session *s = sieved_session_of(l);

	sieved_capabilities(s);
	sieved_ok(s, "Ready");
	stream_flush(&l->io);
}

/* RFC 5804 2.2: behind STARTTLS the capabilities are told again. */
static void
sieved_on_secured(struct line_session *l, int error, const char *why)
{
	struct sieved_session *s = sieved_session_of(l);

	if (error) {
		log_event(LOG_INFO, "tls_failed", "sid=%s error=%s", s->sid, log_str(why));
		return;
	}
	log_event(LOG_DEBUG, "tls", "sid=%s version=%s cipher=%s", s->sid,
	    log_str(stream_tls_version(&l->io)), log_str(stream_tls_cipher(&l->io)));
	metric_add(M_TLS, 1);
	s->proxy = login_is_proxy(&l->io, config.proxies, s->sid);
	if (!s->proxy && s->demand) {
		line_session_close(l, "role"); /* it is for proxies alone */
		return;
	}
	if (s->proxy) /* its own address is nobody's that a limit is meant for */
		sieved_session_count_for(s, &(struct addr){ .sa.sa_family = AF_UNIX });
	if (l->greeted)
		sieved_on_greet(l);
}

/* Before the login nothing is begun that could not be begun again; and a question to the directory is none
 * that its answer would be missed of. */
static bool
sieved_on_between(struct line_session *l)
{
	struct sieved_session *s = sieved_session_of(l);

	if (!s->account)
		return true;
	if (l->state != LINE_READING)
		return !s->changing;
	return s->in.n == 0 && stream_peek(&l->io).n == 0;
}

static void
sieved_on_bye(struct line_session *l, enum line_bye why)
{
	struct sieved_session *s = sieved_session_of(l);

	if (why == LINE_SHUTDOWN)
		sieved_say(s, "BYE", "TRYLATER", S("The server is going down"));
	else
		sieved_say(s, "BYE", NULL,
		    s->account ? S("Silent for too long") : S("No login in time"));
}

static void
sieved_on_release(struct line_session *l)
{
	struct sieved_session *s = sieved_session_of(l);
	const char *why = l->why ? l->why : "closed";

	login_free(&s->login);
	login_watch_leave(&s->watch);
	op_cancel(&s->op);
	sieved_command_over(s);
	admit_leave(&s->admit);
	list_remove(&s->link);
	sieved.nsessions--;
	metric_add(M_SESSIONS, -1);
	if (strcmp(why, "timeout") == 0)
		log_event(LOG_INFO, "timeout", "sid=%s", s->sid);
	log_event(LOG_INFO, "disconnect", "sid=%s why=%s changes=%u in=%llu out=%llu ms=%llu",
	    s->sid, why, s->changes, (unsigned long long)l->io.got, (unsigned long long)l->io.sent,
	    (unsigned long long)(clock_mono_ms() - l->began_ms));
	mem_free(&s->account);
	mem_free(&s->dn);
}

static void
sieved_session_free(struct sieved_session *s)
{
	s->magic = 0;
	tls_unref(&s->tls_ctx);
	mem_free(&s);
	if (--alive <= crowd / 4 && crowd >= CROWD) {
		crowd = alive;
		(void)malloc_trim(0);
	}
	if (alive == 0 && daemon_draining())
		daemon_drained();
}

static void
sieved_on_closed(struct line_session *l)
{
	sieved_session_free(sieved_session_of(l));
}

static const struct line_events sieved_events = {
	.step = sieved_command_step,
	.greet = sieved_on_greet,
	.secured = sieved_on_secured,
	.between = sieved_on_between,
	.bye = sieved_on_bye,
	.release = sieved_on_release,
	.closed = sieved_on_closed,
	.ahead = LOOP_READ_SIZE,
	.prompt = true,
};

/* ---- begin and end ------------------------------------------------------------------------------------ */

static int
sieved_session_begin(struct sieved_session *s, const struct daemon_listen *l,
    const struct addr *peer, int fd)
{
	enum admit_answer answer = admit_enter(&s->admit, CLASS_SIEVE, peer);
	int rc = line_session_init(&s->line, sieved.loop, fd, &sieved_events, s->sid);

	if (rc < 0)
		return rc;
	stream_trace(&s->line.io, "sieve", s->sid, false);
	sieved_command_over(s);
	sieved_session_time(s);
	if (answer != ADMIT_OK) {
		if (l->tls != TLS_IMPLICIT)
			sieved_say(s, "BYE", "TRYLATER",
			    answer == ADMIT_CLIENT_FULL ? S("Too many connections from there") :
							  S("Too many connections"));
		line_session_finish(&s->line, "refused");
		return 0;
	}
	if (l->tls != TLS_OFF)
		s->tls_ctx = tls_ref(l->tls_ctx); /* a reload replaces the listener's */
	line_session_open(&s->line, l->tls == TLS_IMPLICIT ? s->tls_ctx : NULL);
	return 0;
}

void
sieved_session_new(struct daemon_listen *l, int fd)
{
	struct sieved_session *s = mem_new(sizeof(*s));
	char text[ADDR_TEXT];
	struct addr peer;
	bool announced = daemon_peer(fd, &peer);
	int r;

	s->magic = SIEVED_SESSION_MAGIC;
	if (++alive > crowd)
		crowd = alive;
	random_id(s->sid);
	s->loopback = addr_loopback(&peer) && !announced;
	s->demand = l->peer_cert == PEER_CERT_DEMAND;
	addr_host(&peer, s->peer);
	list_push(&sieved.sessions, &s->link);
	sieved.nsessions++;
	metric_add(M_CONNECTIONS, 1);
	metric_add(M_SESSIONS, 1);
	log_context(s->sid);
	log_event(LOG_INFO, "connect", "sid=%s peer=%s", s->sid, addr_write(&peer, text));
	r = sieved_session_begin(s, l, &peer, fd);
	if (r == 0 && announced)
		stream_announce(&s->line.io, &peer);
	if (r < 0) {
		log_event(LOG_WARN, "accept_failed", "sid=%s error=%s", s->sid, strerror(-r));
		(void)close(fd);
		sieved_on_release(&s->line);
		sieved_session_free(s);
	}
}

static void
sieved_session_end_with(struct sieved_session *s, const char *why, struct slice text)
{
	if (s->line.state == LINE_CLOSED)
		return;
	sieved_say(s, "BYE", "TRYLATER", text);
	line_session_finish(&s->line, why);
}

void
sieved_session_revoked(struct login_watch *w)
{
	struct sieved_session *s = CONTAINER(w, struct sieved_session, watch);

	log_context(s->sid);
	sieved_session_end_with(s, "revoked", S("Log in again"));
	log_context("");
}

size_t
sieved_session_end_user(struct slice account)
{
	struct sieved_session *s;
	size_t n = 0;

	list_each(s, &sieved.sessions, struct sieved_session, link)
	{
		if (!s->account || !slice_ieq(slice_str(s->account), account))
			continue;
		sieved_session_end_with(s, "forgotten", S("Log in again"));
		n++;
	}
	return n;
}

/* ---- what operators see ------------------------------------------------------------------------------- */

static void
sieved_session_walk(bool (*each)(void *arg, const struct daemon_session *d), void *arg)
{
	struct sieved_session *s;

	list_each(s, &sieved.sessions, struct sieved_session, link)
	{
		struct daemon_session d = {
			.session = s,
			.sid = s->sid,
			.protocol = "sieve",
			.state = s->account ? "scripts" : "login",
			.user = s->account,
			.peer = s->peer,
			.tls = stream_secure(&s->line.io),
			.began_ms = s->line.began_ms,
		};

		if (!each(arg, &d))
			break;
	}
}

static bool
sieved_session_end(void *session, enum daemon_end how)
{
	struct sieved_session *s = CAST(session, struct sieved_session, SIEVED_SESSION_MAGIC);
	bool before = line_session_ending(&s->line);

	if (how == SESSION_NOW)
		sieved_session_end_with(s, "kicked", S("Ended by the administrator"));
	else
		line_session_drain(&s->line);
	return how == SESSION_NOW || (!before && line_session_ending(&s->line));
}

static void
sieved_session_forget(struct slice account)
{
	if (account.n)
		dir_forget(sieved.dir, account);
	else
		dir_forget_all(sieved.dir);
}

static void
sieved_session_cache(struct buf *out)
{
	dir_status(sieved.dir, out);
	buf_char(out, '\n');
}

const struct daemon_sessions sieved_session_verbs = {
	.walk = sieved_session_walk,
	.end = sieved_session_end,
	.forget = sieved_session_forget,
	.cache = sieved_session_cache,
	.load = admit_load,
};

void
sieved_session_drain_all(void)
{
	struct sieved_session *s;

	list_each(s, &sieved.sessions, struct sieved_session, link) line_session_drain(&s->line);
	if (alive == 0)
		daemon_drained();
}
