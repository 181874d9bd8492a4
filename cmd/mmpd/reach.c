/* mmpd/reach.c: from the login to the user's store: its addresses, a connection, TLS, and the login there in
 * his name.
 *
 * Owns a struct mmpd_reach for as long as that takes (s->reach), and the stream to the store until pair.c has
 * it.  Called by auth.c; waits on the session's op.  Can fail: everything, and each failure is the store's
 * or ours, never the person's.  Must stay true: backend_way_tried follows each backend_way_enter, a
 * user is followed to another store once at most, and nothing is kept of a try that failed. */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "imap/client.h"
#include "mmpd.h"
#include "net/connect.h"
#include "net/proxyproto.h"

/* Seconds until the system looks whether a silent store is still there. */
#define KEEPALIVE_S 60

struct mmpd_reach {
	struct mmpd_session *s;
	struct backend_way *way; /* entered; NULL: not, or told how it went */
	uint64_t began_ms;       /* ... at loop_now */
	struct list waiting;     /* way->waiting, until it has said something */
	struct deadline silence;
	struct mmpd_section
	    own;    /* as configured when it began; its strings are good until the next turn */
	char *name; /* that the certificate must have */
	struct addr addrs[BACKEND_ADDRESSES];
	size_t naddrs, at;
	struct tls_ctx *ctx;
	struct buf response;
	struct line_client_login login;
	char *next; /* the store that this one has named, or the next relay */
	bool followed;
	char *
	    *relays; /* of submission, those to be tried, NULL-terminated copies; NULL: a store's */
	size_t relay; /* ... the one that is */
};

static void mmpd_reach_resolve(struct mmpd_reach *r);

/* ---- the ends ----------------------------------------------------------------------------------- */

static void
mmpd_reach_tried(struct mmpd_reach *r, enum backend_tried how, struct slice why)
{
	struct backend_way *way = r->way;

	deadline_clear(&r->silence);
	list_remove(&r->waiting);
	r->way = NULL; /* what follows may come back here */
	if (way)
		backend_way_tried(way, how, r->began_ms, why);
}

void
mmpd_reach_free(struct mmpd_reach **rp)
{
	struct mmpd_reach *r = *rp;

	*rp = NULL;
	if (!r)
		return;
	mmpd_reach_tried(r, BACKEND_GIVEN_UP, S(""));
	tls_unref(&r->ctx);
	if (r->response.p)
		secret_clear(r->response.p, r->response.n);
	buf_fini(&r->response);
	for (size_t i = 0; r->relays && r->relays[i]; i++)
		mem_free(&r->relays[i]);
	mem_free(&r->relays);
	mem_free(&r->name);
	mem_free(&r->next);
	mem_free(&r);
}

static void
mmpd_reach_no(struct mmpd_reach *r, enum mmpd_refusal why, struct slice text)
{
	struct mmpd_session *s = r->s;

	mmpd_session_drop_store(s);
	mmpd_reach_free(&s->reach);
	admit_user_leave(&s->admit);
	login_watch_leave(&s->watch);
	mem_free(&s->host);
	mmpd_door_of(s)->no(s, why, text);
}

static void mmpd_reach_store(struct mmpd_reach *r, struct slice host);

/* This store cannot have him now: another relay may. */
static void
mmpd_reach_away(struct mmpd_reach *r)
{
	struct mmpd_session *s = r->s;

	if (!r->relays || !r->relays[r->relay] || !r->relays[r->relay + 1]) {
		mmpd_reach_no(r, MMPD_AWAY, S(""));
		return;
	}
	r->relay++;
	if (!s->dialled) {
		mmpd_reach_store(r, slice_str(r->relays[r->relay]));
		return;
	}
	/* The stream's memory is needed again: mmpd_reach_store_closed goes on. */
	r->next = mem_str(r->relays[r->relay]);
	mmpd_session_drop_store(s);
}

/* The store, or the way to it, is broken. */
static void
mmpd_reach_broken(struct mmpd_reach *r, struct slice why)
{
	mmpd_reach_tried(r, BACKEND_BAD, why);
	mmpd_reach_away(r);
}

/* There is no connection: -errno. */
static void
mmpd_reach_missed(struct mmpd_reach *r, int error)
{
	mmpd_reach_tried(r, backend_blame(error), slice_str(strerror(-error)));
	mmpd_reach_away(r);
}

/* Likewise, and it has cost us time. */
static void
mmpd_reach_unheard(struct mmpd_reach *r, struct slice why)
{
	mmpd_reach_tried(r, BACKEND_SILENT, why);
	mmpd_reach_away(r);
}

void
mmpd_reach_in_vain(struct list *waiting)
{
	struct mmpd_reach *r = list_first(waiting, struct mmpd_reach, waiting);
	struct mmpd_session *s = r->s;

	list_remove(&r->waiting);
	if (s->dialled && s->store.got > 0)
		return; /* it has said something to this one */
	log_context(s->sid);
	log_event(LOG_INFO, "store_shunned", "sid=%s user=%s store=%s", s->sid, log_str(s->account),
	    log_str(s->host));
	metric_add(M_STORE_SHUNNED, 1);
	op_cancel(mmpd_op(s));
	mmpd_reach_tried(r, BACKEND_GIVEN_UP, S(""));
	mmpd_reach_away(r);
}

static void
mmpd_reach_on_silence(struct deadline *d)
{
	struct mmpd_reach *r = CONTAINER(d, struct mmpd_reach, silence);
	struct mmpd_session *s = r->s;

	if (s->store.got > 0)
		return;
	log_context(s->sid);
	op_cancel(mmpd_op(s));
	mmpd_reach_unheard(r, S("says nothing"));
}

/* ---- what the store says ------------------------------------------------------------------------ */

static void
mmpd_reach_in(struct mmpd_reach *r, struct slice text)
{
	struct mmpd_session *s = r->s;

	/* What comes behind the login comes from the client, and nobody reads it on its way. */
	if (r->relays && r->own.xclient == MMPD_ONCE && mmpd_submission_again(text)) {
		mmpd_reach_broken(r, S("would take XCLIENT from the client too"));
		return;
	}
	mmpd_reach_tried(r, BACKEND_GOOD, S(""));
	if (!mmpd_door_of(s)->yes(s, text)) {
		mmpd_session_drop_store(s);
		mmpd_reach_free(&s->reach);
		return;
	}
	metric_add(M_LOGINS, 1);
	log_event(LOG_INFO, "login", "sid=%s peer=%s user=%s tls=%s store=%s ms=%llu", s->sid,
	    s->peer, log_str(s->account), stream_secure(&mmpd_line(s)->io) ? "yes" : "no",
	    log_str(s->host), (unsigned long long)(clock_mono_ms() - s->began_ms));
	stream_keepalive(&s->store, KEEPALIVE_S);
	s->dialled = false; /* the pair's from now on */
	mmpd_reach_free(&s->reach);
	mmpd_pair_start(s);
}

/* He has moved, and our directory did not know yet: once more, there. */
static void
mmpd_reach_follow(struct mmpd_reach *r, struct slice host)
{
	struct mmpd_session *s = r->s;

	log_event(LOG_INFO, "referral", "sid=%s user=%s store=%s to=%s", s->sid,
	    log_str(s->account), log_str(s->host), log_value(host));
	metric_add(M_REFERRALS, 1);
	dir_forget(mmpd.dir, slice_str(s->account));
	r->followed = true;
	r->next = mem_strn(host.p, host.n);
	/* The stream's memory is needed again: mmpd_reach_store_closed goes on. */
	mmpd_session_drop_store(s);
}

static void
mmpd_reach_refused(struct mmpd_reach *r, struct slice text)
{
	struct mmpd_session *s = r->s;
	struct slice host;

	mmpd_reach_tried(r, BACKEND_GOOD, S(""));
	if (!r->relays && r->own.auth == MMPD_EXTERNAL && !r->followed &&
	    imap_client_referral(text, &host)) {
		mmpd_reach_follow(r, host);
		return;
	}
	metric_add(M_STORE_REFUSED, 1);
	log_event(LOG_WARN, "store_refused", "sid=%s user=%s store=%s text=%s", s->sid,
	    log_str(s->account), log_str(s->host), log_value(text));
	mmpd_reach_no(r, MMPD_SAYS, text);
}

static void
mmpd_reach_answered(void *arg, const struct line_client_result *res)
{
	struct mmpd_reach *r = arg;
	struct mmpd_session *s = r->s;

	log_context(s->sid);
	switch (res->outcome) {
	case LINE_CLIENT_IN: mmpd_reach_in(r, res->text); break;
	case LINE_CLIENT_NO: mmpd_reach_refused(r, res->text); break;
	case LINE_CLIENT_BYE:
		/* It is there, and wants nobody: no reason to leave it alone, none to ask for a password. */
		mmpd_reach_tried(r, BACKEND_GIVEN_UP, S(""));
		metric_add(M_STORE_REFUSED, 1);
		log_event(LOG_WARN, "store_refused", "sid=%s user=%s store=%s text=%s", s->sid,
		    log_str(s->account), log_str(s->host), log_value(res->text));
		mmpd_reach_away(r);
		break;
	case LINE_CLIENT_BROKEN: mmpd_reach_broken(r, res->text); break;
	}
}

/* ---- the way ------------------------------------------------------------------------------------ */

static void
mmpd_reach_dial(struct mmpd_reach *r)
{
	struct mmpd_session *s = r->s;
	struct line_client_login *l = &r->login;

	l->ctx = r->ctx;
	l->name = r->name;
	l->timeout_ms = (uint32_t)config.answer_time;
	l->forward = true;
	l->sid = s->sid;
	l->app = *s->app ? s->app : NULL;
	l->helo = s->role == MMPD_SUBMISSION ? s->smtp.helo : NULL;
	l->self = shared.hostname;
	l->utf8 = s->role == MMPD_POP3 && s->pop3.utf8;
	stream_peer(&mmpd_line(s)->io, &l->client);
	mmpd_door_of(s)->dial(&s->store, l, mmpd_op(s), mmpd_reach_answered, r);
}

/* What stands in the output goes out before the handshake. */
static void
mmpd_reach_announce(struct mmpd_session *s)
{
	struct addr client, local;

	stream_peer(&mmpd_line(s)->io, &client);
	stream_local(&mmpd_line(s)->io, &local);
	proxyproto_write(stream_out(&s->store), &client, &local);
}

static void mmpd_reach_connect(struct mmpd_reach *r);

static void
mmpd_reach_connected(void *arg, int fd)
{
	struct mmpd_reach *r = arg;
	struct mmpd_session *s = r->s;
	int rc;

	log_context(s->sid);
	if (fd < 0 && ++r->at < r->naddrs) {
		mmpd_reach_connect(r);
		return;
	}
	if (fd < 0) {
		mmpd_reach_missed(r, fd);
		return;
	}
	stream_init(&s->store, mmpd.loop, &mmpd_pair_streams, s);
	rc = stream_open(&s->store, fd);
	if (rc < 0) {
		(void)close(fd);
		mmpd_reach_broken(r, slice_str(strerror(-rc)));
		return;
	}
	s->handles++;
	s->dialled = true;
	deadline_set(&r->silence, mmpd.loop, (uint64_t)config.silence_time, mmpd_reach_on_silence);
	if (r->own.send_proxy)
		mmpd_reach_announce(s);
	mmpd_reach_dial(r);
}

const struct addr *
mmpd_reach_source(const struct addr *to, struct addr *from)
{
	static unsigned turn;
	unsigned n = 0;

	while (config.sources && config.sources[n])
		n++;
	for (unsigned i = 0; i < n; i++)
		if (addr_parse(slice_str(config.sources[turn++ % n]), from) == 0 &&
		    from->sa.sa_family == to->sa.sa_family)
			return from;
	return NULL;
}

static void
mmpd_reach_connect(struct mmpd_reach *r)
{
	const struct addr *to = &r->addrs[r->at];
	struct addr from;

	connect_start(mmpd.loop, to, mmpd_reach_source(to, &from), (uint32_t)config.connect_time,
	    mmpd_op(r->s), mmpd_reach_connected, r);
}

static void
mmpd_reach_to_addresses(struct mmpd_reach *r)
{
	r->naddrs = backend_addresses(r->way->host, mmpd_store_port(&r->own, r->s->role), r->addrs);
	r->at = 0;
	mmpd_reach_connect(r);
}

static void
mmpd_reach_found(void *arg, const struct dns_answer *a)
{
	struct mmpd_reach *r = arg;

	log_context(r->s->sid);
	if (backend_found(r->way->host, a))
		mmpd_reach_to_addresses(r);
	else
		mmpd_reach_broken(r, S("its name has no address, or DNS does not answer"));
}

static void
mmpd_reach_resolve(struct mmpd_reach *r)
{
	if (backend_known(r->way->host))
		mmpd_reach_to_addresses(r);
	else
		dns_addr_start(mmpd.dns, mmpd_store_where(r->way->host, &r->own), mmpd_op(r->s),
		    mmpd_reach_found, r);
}

/* ---- the beginning ------------------------------------------------------------------------------- */

/* In whose name, and how that is proved. */
static void
mmpd_reach_credentials(struct mmpd_reach *r)
{
	struct line_client_login *l = &r->login;

	if (r->response.p)
		secret_clear(r->response.p, r->response.n);
	buf_clear(&r->response);
	/* At once, so that no part of it is left behind in memory that was too small. */
	buf_grow(&r->response,
	    strlen(r->s->account) + strlen(r->own.user) + strlen(r->own.password) + 2);
	buf_str(&r->response, r->s->account);
	if (r->own.auth == MMPD_MASTER &&
	    !r->relays) { /* RFC 4616: authzid NUL authcid NUL passwd */
		buf_char(&r->response, '\0');
		buf_str(&r->response, r->own.user);
		buf_char(&r->response, '\0');
		buf_str(&r->response, r->own.password);
	}
	l->mechanism = r->own.auth == MMPD_MASTER ? "PLAIN" : "EXTERNAL";
	l->response = buf_get(&r->response);
	l->ahead = r->own.auth == MMPD_EXTERNAL;
}

/* How one gets there.  The name is copied: a reload may free it. */
static void
mmpd_reach_configure(struct mmpd_reach *r)
{
	r->own = mmpd_store_own(r->way->host);
	r->login.tls = mmpd_store_tls(&r->own, r->s->role);
	mem_free(&r->name);
	r->name = mem_str(mmpd_store_name(r->way->host, &r->own));
	mmpd_reach_credentials(r);
}

static void
mmpd_reach_store(struct mmpd_reach *r, struct slice host)
{
	struct mmpd_session *s = r->s;
	struct backend *st = backend_get(&mmpd.stores, host);

	mem_free(&s->host);
	s->host = mem_strn(host.p, host.n);
	if (!st || !backend_way_enter(&st->ways[s->role])) {
		log_event(LOG_INFO, "store_shunned", "sid=%s user=%s store=%s", s->sid,
		    log_str(s->account), log_value(host));
		mmpd_reach_away(r);
		return;
	}
	r->way = &st->ways[s->role];
	r->began_ms = loop_now(mmpd.loop);
	list_push(&r->way->waiting, &r->waiting);
	mmpd_reach_configure(r);
	if (r->login.tls != LINE_CLIENT_PLAIN) {
		struct tls_ctx *ctx = daemon_tls_client(true);

		tls_unref(&r->ctx);
		if (!ctx) { /* said already */
			mmpd_reach_no(r, MMPD_AWAY, S(""));
			return;
		}
		r->ctx = tls_ref(ctx); /* a reload replaces it */
	}
	mmpd_reach_resolve(r);
}

static struct mmpd_reach *
mmpd_reach_new(struct mmpd_session *s)
{
	struct mmpd_reach *r = mem_new(sizeof(*r));

	r->s = s;
	list_init(&r->waiting);
	deadline_init(&r->silence);
	s->reach = r;
	return r;
}

void
mmpd_reach_start(struct mmpd_session *s, struct slice host)
{
	mmpd_reach_store(mmpd_reach_new(s), host);
}

void
mmpd_reach_relay(struct mmpd_session *s)
{
	static size_t turn;
	struct mmpd_reach *r = mmpd_reach_new(s);
	size_t n = 0;

	while (config.relays && config.relays[n])
		n++;
	if (n == 0) { /* a reload has taken them away */
		mmpd_reach_no(r, MMPD_AWAY, S(""));
		return;
	}
	/* Copies: a reload may free the words while this lasts. */
	r->relays = mem_array(n + 1, sizeof(*r->relays));
	for (size_t i = 0; i < n; i++)
		r->relays[i] = mem_str(config.relays[(turn + i) % n]);
	turn++;
	mmpd_reach_store(r, slice_str(r->relays[0]));
}

void
mmpd_reach_store_closed(struct mmpd_session *s)
{
	struct mmpd_reach *r = s->reach;
	char *host = r->next;

	if (!host || s->left)
		return;
	log_context(s->sid);
	r->next = NULL;
	mmpd_reach_store(r, slice_str(host));
	mem_free(&host);
}
