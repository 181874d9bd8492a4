/* pop3d/session.c: the life of a connection: who may come in, what is offered, what is let go.
 *
 * Owns: the list of sessions, and each session's mailbox and lock.  Called by the daemon (accept, drain)
 * and by pop3/server through the policy.  Can fail: taking the descriptor.  Must stay true:
 * pop3d_session_left lets go of everything but the struct, whatever was under way, and changes no mailbox:
 * what is marked is removed by QUIT alone (RFC 1939 6). */
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "pop3d.h"

/* Commands that a client may give before login: silence is limited by time, chatter by this. */
#define EARLY_COMMANDS 100
/* Sessions that are a crowd: when most have gone, malloc gives back what it keeps of them. */
#define CROWD 50

static struct pop3_limits limits;
/* Structs that are there, of which some only say their last words; the most since memory was given
 * back. */
static size_t alive, crowd;

/* ---- what pop3/server asks ----------------------------------------------------------------- */

/* May a password go over this connection? */
static bool
pop3d_session_password_ok(struct pop3_server *pop3)
{
	return stream_secure(&pop3->line.io) ||
	    (shared.insecure_loopback && pop3d_session_of(pop3)->loopback);
}

/* RFC 2449 6.  What software this is nobody learns before he has logged in. */
static void
pop3d_session_capabilities(struct pop3_server *pop3, struct buf *b)
{
	buf_lit(b, "TOP\r\nUIDL\r\n");
	if (config.expire)
		buf_printf(b, "EXPIRE %lld\r\n", (long long)config.expire);
	else
		buf_lit(b, "EXPIRE NEVER\r\n");
	if (config.login_delay)
		buf_printf(b, "LOGIN-DELAY %lld\r\n", (long long)(config.login_delay + 999) / 1000);
	if (pop3d_session_of(pop3)->proxy)
		buf_lit(b, "XCLIENT ADDR PORT SESSION\r\n");
	if (pop3->state == POP3_TRANSACTION)
		buf_lit(b, "IMPLEMENTATION tiermail-" TIERMAIL_VERSION "\r\n");
}

static void
pop3d_session_event(struct pop3_server *pop3, enum pop3_event ev)
{
	static const enum pop3d_metric counters[] = {
		[POP3_EV_COMMAND] = M_COMMANDS,
		[POP3_EV_BAD] = M_BAD,
		[POP3_EV_TLS] = M_TLS,
	};

	(void)pop3;
	metric_add(counters[ev], 1);
}

/* How sessions are counted: what proxies bring keeps a share of its own. */
enum { CLASS_POP3, CLASS_PROXY };
static const struct admit_class classes[] = {
	[CLASS_POP3] = { "pop3", 0, true },
	[CLASS_PROXY] = { "proxy", 25, true },
};
const struct admit_service pop3d_admit = { "pop3d", classes, NELEM(classes), &config.clients,
	&config.per_client, NULL };

/* Counted for `peer`, whoever it was counted for before. */
static void
pop3d_session_count_for(struct pop3d_session *s, const struct addr *peer)
{
	admit_leave(&s->admit);
	s->full = admit_enter(&s->admit, CLASS_PROXY, peer) != ADMIT_OK;
}

void
pop3d_session_forwarded(struct pop3d_session *s, const struct login_forward *f)
{
	struct addr peer;

	memcpy(s->app, f->app, sizeof(s->app));
	if (!login_forward_apply(f, &s->pop3.line.io, s->sid, &peer))
		return;
	addr_host(&peer, s->peer);
	pop3d_session_count_for(s, &peer);
}

static void
pop3d_session_secured(struct pop3_server *pop3, int error, const char *why)
{
	struct pop3d_session *s = pop3d_session_of(pop3);
	const struct stream *io = &pop3->line.io;

	if (error)
		log_event(LOG_INFO, "tls_failed", "sid=%s error=%s", s->sid, log_str(why));
	else
		log_event(LOG_DEBUG, "tls", "sid=%s version=%s cipher=%s", s->sid,
		    log_str(stream_tls_version(io)), log_str(stream_tls_cipher(io)));
	s->proxy = !error && login_is_proxy(io, config.proxies, s->sid);
	if (!error && !s->proxy && s->demand) {
		line_session_close(&pop3->line, "role"); /* it is for proxies alone */
		return;
	}
	if (s->proxy) /* its own address is nobody's that a limit is meant for */
		pop3d_session_count_for(s, &(struct addr){ .sa.sa_family = AF_UNIX });
}

/* What belongs to one command. */
static void
pop3d_session_over(struct pop3_server *pop3)
{
	login_free(&pop3d_session_of(pop3)->login); /* an exchange that the client gave up */
}

static void
pop3d_session_left(struct pop3_server *pop3)
{
	struct pop3d_session *s = pop3d_session_of(pop3);
	const char *why = pop3->line.why ? pop3->line.why : "closed";

	login_free(&s->login);
	login_watch_leave(&s->watch);
	admit_leave(&s->admit);
	list_remove(&s->link);
	pop3d.nsessions--;
	metric_add(M_SESSIONS, -1);
	if (strcmp(why, "timeout") == 0)
		log_event(LOG_INFO, "timeout", "sid=%s", s->sid);
	log_event(LOG_INFO, "disconnect",
	    "sid=%s why=%s retrieved=%u marked=%u in=%llu out=%llu ms=%llu", s->sid, why,
	    s->retrieved, s->drop ? s->drop->deleted.n : 0, (unsigned long long)pop3->line.io.got,
	    (unsigned long long)pop3->line.io.sent,
	    (unsigned long long)(clock_mono_ms() - pop3->line.began_ms));
	drop_free(&s->drop);
	mem_free(&s->account);
	if (s->lock >= 0)
		(void)close(s->lock);
	s->lock = -1;
}

static void
pop3d_session_closed(struct pop3_server *pop3)
{
	struct pop3d_session *s = pop3d_session_of(pop3);

	s->magic = 0;
	tls_unref(&pop3->tls_ctx);
	mem_free(&s);
	if (--alive <= crowd / 4 && crowd >= CROWD) {
		crowd = alive;
		(void)malloc_trim(0);
	}
	if (alive == 0 && daemon_draining())
		daemon_drained();
}

static struct pop3_policy policy = {
	.limits = &limits,
	.commands = pop3d_commands,
	.password_ok = pop3d_session_password_ok,
	.capabilities = pop3d_session_capabilities,
	.login = pop3d_auth_login,
	.sasl = pop3d_auth_sasl,
	.sasl_line = pop3d_auth_sasl_line,
	.quit = pop3d_quit,
	.over = pop3d_session_over,
	.event = pop3d_session_event,
	.secured = pop3d_session_secured,
	.left = pop3d_session_left,
	.closed = pop3d_session_closed,
};

enum pop3_next
pop3d_session_no(struct pop3d_session *s, const struct verdict *v)
{
	return pop3_server_err(&s->pop3, pop3_code_of(v), v);
}

/* ---- begin and end ------------------------------------------------------------------------- */

struct store_person
pop3d_session_actor(struct op *op)
{
	const struct pop3d_session *s = pop3d_session_of(CONTAINER(op, struct pop3_server, op));

	return store_person(slice_str(s->account ? s->account : ""));
}

/* The keys of the configuration as they are now; a reload changes them for all sessions. */
static void
pop3d_session_limits(void)
{
	limits = (struct pop3_limits){
		.login_ms = (uint32_t)config.login_time,
		.idle_ms = (uint32_t)config.idle_time,
		.bad = (uint32_t)config.bad_commands,
		.early = EARLY_COMMANDS,
	};
	policy.hostname = shared.hostname;
	policy.mechanisms = login_mechanisms();
}

static int
pop3d_session_begin(struct pop3d_session *s, const struct daemon_listen *l, const struct addr *peer,
    int fd)
{
	struct verdict v = verdict(OUT_CLIENTS_FULL, shared.hostname);
	enum admit_answer answer = admit_enter(&s->admit, CLASS_POP3, peer);

	if (answer == ADMIT_CLIENT_FULL)
		v = verdict(OUT_CLIENT_FULL, shared.hostname);
	if (answer != ADMIT_OK)
		return pop3_server_reject(&s->pop3, pop3d.loop, fd,
		    l->tls == TLS_IMPLICIT ? NULL : &v, s->sid);
	if (l->tls != TLS_OFF)
		s->pop3.tls_ctx = tls_ref(l->tls_ctx); /* a reload replaces the listener's */
	return pop3_server_open(&s->pop3, pop3d.loop, fd, l->tls == TLS_IMPLICIT, s->sid);
}

void
pop3d_session_new(struct daemon_listen *l, int fd)
{
	struct pop3d_session *s = mem_new(sizeof(*s));
	char text[ADDR_TEXT];
	struct addr peer;
	bool announced = daemon_peer(fd, &peer);
	int r;

	pop3d_session_limits();
	s->magic = POP3D_SESSION_MAGIC;
	s->lock = -1;
	s->pop3.policy = &policy;
	if (++alive > crowd)
		crowd = alive;
	random_id(s->sid);
	s->loopback = addr_loopback(&peer) && !announced;
	s->demand = l->peer_cert == PEER_CERT_DEMAND;
	addr_host(&peer, s->peer);
	list_push(&pop3d.sessions, &s->link);
	pop3d.nsessions++;
	metric_add(M_CONNECTIONS, 1);
	metric_add(M_SESSIONS, 1);
	log_context(s->sid);
	log_event(LOG_INFO, "connect", "sid=%s peer=%s", s->sid, addr_write(&peer, text));
	r = pop3d_session_begin(s, l, &peer, fd);
	if (r == 0 && announced)
		stream_announce(&s->pop3.line.io, &peer);
	if (r < 0) {
		log_event(LOG_WARN, "accept_failed", "sid=%s error=%s", s->sid, strerror(-r));
		(void)close(fd);
		pop3d_session_left(&s->pop3);
		pop3d_session_closed(&s->pop3);
	}
}

size_t
pop3d_session_end_user(struct slice account)
{
	struct verdict v = verdict(OUT_CLOSING, shared.hostname, "log in again");
	struct pop3d_session *s;
	size_t n = 0;

	list_each(s, &pop3d.sessions, struct pop3d_session, link)
	{
		if (!s->account || !slice_ieq(slice_str(s->account), account))
			continue;
		pop3_server_end(&s->pop3, "forgotten", &v);
		n++;
	}
	return n;
}

/* ---- what operators see -------------------------------------------------------------------- */

static void
pop3d_session_walk(bool (*each)(void *arg, const struct daemon_session *d), void *arg)
{
	struct pop3d_session *s;

	list_each(s, &pop3d.sessions, struct pop3d_session, link)
	{
		struct daemon_session d = {
			.session = s,
			.sid = s->sid,
			.protocol = "pop3",
			.state = s->pop3.state == POP3_TRANSACTION ? "transaction" : "login",
			.user = s->account,
			.peer = s->peer,
			.tls = stream_secure(&s->pop3.line.io),
			.began_ms = s->pop3.line.began_ms,
		};

		if (!each(arg, &d))
			break;
	}
}

static bool
pop3d_session_end(void *session, enum daemon_end how)
{
	struct verdict v = verdict(OUT_CLOSING, shared.hostname, "ended by the administrator");
	struct pop3d_session *s = CAST(session, struct pop3d_session, POP3D_SESSION_MAGIC);
	bool before = line_session_ending(&s->pop3.line);

	if (how == SESSION_NOW)
		pop3_server_end(&s->pop3, "kicked", &v);
	else
		pop3_server_shutdown(&s->pop3);
	return how == SESSION_NOW || (!before && line_session_ending(&s->pop3.line));
}

static void
pop3d_session_forget(struct slice account)
{
	if (account.n)
		dir_forget(pop3d.dir, account);
	else
		dir_forget_all(pop3d.dir);
}

static void
pop3d_session_cache(struct buf *out)
{
	dir_status(pop3d.dir, out);
	buf_char(out, '\n');
}

const struct daemon_sessions pop3d_session_verbs = {
	.walk = pop3d_session_walk,
	.end = pop3d_session_end,
	.forget = pop3d_session_forget,
	.cache = pop3d_session_cache,
	.load = admit_load,
};

void
pop3d_session_drain_all(void)
{
	struct pop3d_session *s;

	list_each(s, &pop3d.sessions, struct pop3d_session, link) pop3_server_shutdown(&s->pop3);
	if (alive == 0)
		daemon_drained();
}
