/* mmpd/session.c: the life of a connection: who may come in, what is let go, the end of all.
 *
 * Owns: the list of sessions, and each struct until its last stream is closed.  Called by the daemon
 * (accept, drain), by the doors (imap.c, pop3.c) and by pair.c.  Can fail: taking the descriptor.  Must
 * stay true: mmpd_session_left lets go of everything but the struct and its streams, whatever was under
 * way, once; the struct goes when no stream is open. */
#include <malloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "mmpd.h"

/* Sessions that are a crowd: when most have gone, malloc gives back what it keeps of them. */
#define CROWD 50
/* How often a drain looks whether a pair has come to rest. */
#define DRAIN_LOOK_MS 500

/* Structs that are there; the most since memory was given back. */
static size_t alive, crowd;

/* ---- the end ---------------------------------------------------------------------------------- */

/* The stream to the store has no other owner. */
static void
mmpd_session_store_closed(struct stream *io)
{
	mmpd_session_unref(io->data);
}

static const struct stream_events store_alone = { .closed = mmpd_session_store_closed };

static void
mmpd_session_log_end(const struct mmpd_session *s, const struct stream *io, const char *why)
{
	log_event(LOG_INFO, "disconnect", "sid=%s why=%s user=%s in=%llu out=%llu ms=%llu", s->sid,
	    why, log_str(s->account ? s->account : ""), (unsigned long long)io->got,
	    (unsigned long long)io->sent, (unsigned long long)(clock_mono_ms() - s->began_ms));
}

void
mmpd_session_left(struct mmpd_session *s, const char *why)
{
	if (s->left)
		return;
	s->left = true;
	op_cancel(&s->op);
	login_free(&s->login);
	login_watch_leave(&s->watch);
	mmpd_reach_free(&s->reach);
	deadline_clear(&s->patience);
	admit_leave(&s->admit);
	list_remove(&s->link);
	mmpd.nsessions--;
	metric_add(M_SESSIONS, -1);
	mmpd_session_log_end(s, &mmpd_line(s)->io, why ? why : "closed");
	mem_free(&s->account);
	mem_free(&s->host);
}

static void
mmpd_session_free(struct mmpd_session *s)
{
	s->magic = 0;
	tls_unref(mmpd_tls(s));
	mem_free(&s);
	if (--alive <= crowd / 4 && crowd >= CROWD) {
		crowd = alive;
		(void)malloc_trim(0);
	}
	if (alive == 0 && daemon_draining())
		daemon_drained();
}

void
mmpd_session_unref(struct mmpd_session *s)
{
	must(s->handles > 0);
	if (--s->handles == 0 && s->left)
		mmpd_session_free(s);
	else if (s->reach)
		mmpd_reach_store_closed(s);
}

void
mmpd_session_drop_store(struct mmpd_session *s)
{
	if (!s->dialled)
		return;
	s->dialled = false;
	stream_hand_over(&s->store, &store_alone, s);
	stream_close(&s->store);
}

/* ---- what both doors ask ------------------------------------------------------------------------ */

bool
mmpd_session_password_ok(struct mmpd_session *s)
{
	return stream_secure(&mmpd_line(s)->io) || (shared.insecure_loopback && s->loopback);
}

void
mmpd_session_secured(struct mmpd_session *s, int error, const char *why)
{
	const struct stream *io = &mmpd_line(s)->io;

	if (error)
		log_event(LOG_INFO, "tls_failed", "sid=%s error=%s", s->sid, log_str(why));
	else
		log_event(LOG_DEBUG, "tls", "sid=%s version=%s cipher=%s", s->sid,
		    log_str(stream_tls_version(io)), log_str(stream_tls_cipher(io)));
}

/* ---- the beginning ------------------------------------------------------------------------------ */

static const struct admit_class classes[] = {
	[MMPD_IMAP] = { "imap", 20, true },
	[MMPD_POP3] = { "pop3", 20, true },
	[MMPD_SUBMISSION] = { "submission", 20, true },
	[MMPD_SIEVE] = { "sieve", 5, true },
};
const struct admit_service mmpd_admit = { "mmpd", classes, NELEM(classes), &config.clients,
	&config.per_client, &config.per_user };
const struct mmpd_door *const mmpd_doors[MMPD_ROLES] = { &mmpd_imap, &mmpd_pop3, &mmpd_submission,
	&mmpd_sieve };

const char *
mmpd_protocol(unsigned role)
{
	return classes[role].name;
}

static int
mmpd_session_begin(struct mmpd_session *s, const struct daemon_listen *l, const struct addr *peer,
    int fd)
{
	const struct mmpd_door *door = mmpd_door_of(s);

	if (admit_enter(&s->admit, s->role, peer) != ADMIT_OK)
		return door->reject(s, fd, l->tls == TLS_IMPLICIT);
	if (l->tls != TLS_OFF) /* a reload replaces the listener's */
		*mmpd_tls(s) = tls_ref(l->tls_ctx);
	return door->open(s, fd, l->tls == TLS_IMPLICIT);
}

void
mmpd_session_new(struct daemon_listen *l, int fd)
{
	struct mmpd_session *s = mem_new(sizeof(*s));
	char text[ADDR_TEXT];
	struct addr peer;
	bool announced = daemon_peer(fd, &peer);
	int r;

	s->magic = MMPD_SESSION_MAGIC;
	s->role = (uint8_t)l->role;
	s->began_ms = clock_mono_ms();
	s->loopback = addr_loopback(&peer) && !announced;
	if (++alive > crowd)
		crowd = alive;
	deadline_init(&s->patience);
	random_id(s->sid);
	addr_host(&peer, s->peer);
	list_push(&mmpd.sessions, &s->link);
	mmpd.nsessions++;
	metric_add(M_CONNECTIONS, 1);
	metric_add(M_SESSIONS, 1);
	log_context(s->sid);
	log_event(LOG_INFO, "connect", "sid=%s peer=%s listen=%s", s->sid, addr_write(&peer, text),
	    log_str(l->name));
	mmpd_door_of(s)->limits();
	r = mmpd_session_begin(s, l, &peer, fd);
	if (r == 0) {
		s->handles++;
		if (announced)
			stream_announce(&mmpd_line(s)->io, &peer);
		return;
	}
	log_event(LOG_WARN, "accept_failed", "sid=%s error=%s", s->sid, strerror(-r));
	(void)close(fd);
	mmpd_session_left(s, "accept");
	mmpd_session_free(s);
}

/* ---- all of them -------------------------------------------------------------------------------- */

static void
mmpd_session_end_with(struct mmpd_session *s, const char *why)
{
	if (s->joined)
		(void)mmpd_pair_end(s, why, "Log in again", true);
	else
		line_session_close(mmpd_line(s), why);
}

void
mmpd_session_revoked(struct login_watch *w)
{
	struct mmpd_session *s = CONTAINER(w, struct mmpd_session, watch);

	log_context(s->sid);
	mmpd_session_end_with(s, "revoked");
	log_context("");
}

size_t
mmpd_session_end_user(struct slice account)
{
	struct mmpd_session *s;
	size_t n = 0;

	list_each(s, &mmpd.sessions, struct mmpd_session, link)
	{
		if (!s->account || !slice_ieq(slice_str(s->account), account))
			continue;
		mmpd_session_end_with(s, "forgotten");
		n++;
	}
	return n;
}

static void
mmpd_session_walk(bool (*each)(void *arg, const struct daemon_session *d), void *arg)
{
	struct mmpd_session *s;

	list_each(s, &mmpd.sessions, struct mmpd_session, link)
	{
		struct daemon_session d = {
			.session = s,
			.sid = s->sid,
			.protocol = classes[s->role].name,
			.state = s->joined ? "joined" :
			    s->reach       ? "connecting" :
					     "login",
			.user = s->account,
			.peer = s->peer,
			.store = s->host,
			.tls = stream_secure(&mmpd_line(s)->io),
			.began_ms = s->began_ms,
		};

		if (!each(arg, &d))
			break;
	}
}

static bool
mmpd_session_end(void *session, enum daemon_end how)
{
	struct mmpd_session *s = CAST(session, struct mmpd_session, MMPD_SESSION_MAGIC);
	struct line_session *l = mmpd_line(s);
	bool before = how == SESSION_NOW ? l->state == LINE_CLOSED : line_session_ending(l);

	if (s->joined)
		return mmpd_pair_end(s, how == SESSION_NOW ? "kicked" : "shutdown",
		    how == SESSION_NOW ? "Ended by the administrator" : "Server is going down",
		    how == SESSION_NOW);
	if (how == SESSION_NOW)
		line_session_close(l, "kicked");
	else
		mmpd_door_of(s)->shutdown(s);
	return !before && line_session_ending(l);
}

static void
mmpd_session_forget(struct slice account)
{
	if (account.n)
		dir_forget(mmpd.dir, account);
	else
		dir_forget_all(mmpd.dir);
}

static void
mmpd_session_cache(struct buf *out)
{
	dir_status(mmpd.dir, out);
	buf_char(out, '\n');
}

const struct daemon_sessions mmpd_session_verbs = {
	.walk = mmpd_session_walk,
	.end = mmpd_session_end,
	.forget = mmpd_session_forget,
	.cache = mmpd_session_cache,
	.load = admit_load,
};

/* Pairs end when they are at rest: a client that reads a message may do so to the end. */
static void
mmpd_session_drain_pairs(struct timer *t UNUSED)
{
	struct mmpd_session *s;

	list_each(s, &mmpd.sessions, struct mmpd_session, link)
	{
		if (s->joined)
			(void)mmpd_pair_end(s, "shutdown", "Server is going down", false);
	}
}

void
mmpd_session_drain_all(void)
{
	struct mmpd_session *s;

	list_each(s, &mmpd.sessions, struct mmpd_session, link)
	{
		if (!s->joined)
			mmpd_door_of(s)->shutdown(s);
	}
	timer_init(&mmpd.drain, mmpd.loop, mmpd_session_drain_pairs);
	timer_start(&mmpd.drain, 0, DRAIN_LOOK_MS);
	if (alive == 0)
		daemon_drained();
}
