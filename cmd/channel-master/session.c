/* channel-master/session.c: connections to servers, and the pool of idle ones.
 *
 * Owns every connection of this process; job.c takes one, uses it, and gives it back.  A
 * connection can fail at any moment; one that is not usable is closed and never goes into the
 * pool.  The pool has at most as many as the channel has slots, for a while each, and the
 * youngest is taken first so that the others can go. */
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "https.h"
#include "master.h"

#define SESSION_MAGIC 0x73657373

static struct list sessions = { &sessions, &sessions };
static struct list pool = { &pool, &pool }; /* oldest first */
static size_t nidle, nsessions;

static void master_session_on_ready(struct smtp_client *, const struct verdict *);
static void master_session_on_lost(struct smtp_client *);
static void master_session_on_closed(struct smtp_client *);

static const struct smtp_client_events events = {
	.ready = master_session_on_ready,
	.lost = master_session_on_lost,
	.closed = master_session_on_closed,
};

static struct session *
master_session_of(struct smtp_client *c)
{
	return CAST(c->data, struct session, SESSION_MAGIC);
}

static void
set_params(struct session *s, const struct site *site)
{
	struct smtp_client_params *p = &s->params;
	const struct channel *c = master.channel;

	*p = (struct smtp_client_params){
		.lmtp = site->lmtp,
		.tls = policy_tls(&s->policy),
		.helo = *c->helo ? c->helo : shared.hostname,
		.limits = master.limits,
		.eager = site->lmtp ? (uint32_t)mconf.eager : 0,
		.send_8bit = mconf.eightbit == EIGHTBIT_SEND,
		.login = site->login ? login_get() : NULL,
	};
	must(!site->login || (p->login && s->policy.level == POLICY_VERIFY));
	if (p->tls != SMTP_TLS_OFF && s->policy.source == POLICY_OF_STS)
		p->tls_ctx = https_tls();
	else if (p->tls != SMTP_TLS_OFF)
		p->tls_ctx = daemon_tls_client(s->policy.level == POLICY_VERIFY);
	p->tls_lenient = s->policy.source == POLICY_OF_STS && s->policy.level == POLICY_MAY;
	if (s->policy.level == POLICY_DANE) {
		s->dane = (struct tls_dane){ s->policy.name,
			*s->policy.other ? s->policy.other : NULL, &s->policy.tlsa };
		p->dane = &s->dane;
	}
}

struct session *
master_session_open(int fd, const struct site *site, const struct policy *policy, const char *peer,
    void (*ready)(void *arg, struct session *, const struct verdict *), void *arg)
{
	struct session *s = mem_new(sizeof(*s));

	s->magic = SESSION_MAGIC;
	list_init(&s->link);
	deadline_init(&s->idle);
	policy_copy(&s->policy, policy);
	set_params(s, site);
	s->key = mem_str(site->key);
	(void)snprintf(s->peer, sizeof(s->peer), "%s", peer);
	s->ready = ready;
	s->arg = arg;
	if ((s->params.tls != SMTP_TLS_OFF && !s->params.tls_ctx) ||
	    smtp_client_open(&s->client, master.loop, fd, &s->params, s->policy.name, &events, s) <
		0) {
		(void)close(fd);
		mem_free(&s->key);
		policy_fini(&s->policy);
		mem_free(&s);
		return NULL;
	}
	list_push(&sessions, &s->all);
	nsessions++;
	if (master.draining)
		smtp_client_leave(&s->client);
	return s;
}

static void
master_session_on_ready(struct smtp_client *c, const struct verdict *v)
{
	struct session *s = master_session_of(c);
	const char *tls = stream_tls_version(&c->io);

	s->tls = tls ? tls : "no";
	s->ready(s->arg, s, v);
}

static void
pool_remove(struct session *s)
{
	if (list_empty(&s->link))
		return;
	list_remove(&s->link);
	deadline_clear(&s->idle);
	nidle--;
}

/* An idle connection was closed by the server. */
static void
master_session_on_lost(struct smtp_client *c)
{
	master_session_close(master_session_of(c));
}

static void
master_session_on_idle(struct deadline *d)
{
	struct session *s = CONTAINER(d, struct session, idle);

	pool_remove(s);
	smtp_client_quit(&s->client);
}

struct session *
master_session_take(const char *key)
{
	struct session *s;

	/* The youngest one: the others can grow idle and go. */
	for (struct list *l = pool.prev; l != &pool; l = l->prev) {
		s = CONTAINER(l, struct session, link);
		if (strcmp(s->key, key) == 0) {
			pool_remove(s);
			return s;
		}
	}
	return NULL;
}

void
master_session_release(struct session *s)
{
	if (!smtp_client_usable(&s->client)) {
		smtp_client_quit(&s->client); /* or closes it when it is broken */
		return;
	}
	if (master.draining || mconf.session_idle == 0 ||
	    (mconf.session_messages && s->client.used >= mconf.session_messages)) {
		smtp_client_quit(&s->client);
		return;
	}
	list_push(&pool, &s->link);
	deadline_set(&s->idle, master.loop, (uint64_t)mconf.session_idle, master_session_on_idle);
	if (++nidle > (size_t)master.channel->slots)
		master_session_on_idle(&list_first(&pool, struct session, link)->idle);
}

void
master_session_close(struct session *s)
{
	pool_remove(s);
	smtp_client_close(&s->client);
}

static void
master_session_on_closed(struct smtp_client *c)
{
	struct session *s = master_session_of(c);

	must(list_empty(&s->link));
	deadline_clear(&s->idle);
	mem_free(&s->key);
	policy_fini(&s->policy);
	list_remove(&s->all);
	s->magic = 0;
	mem_free(&s);
	nsessions--;
	master_job_over();
}

void
master_sessions_leave(void)
{
	struct session *s;

	list_each(s, &pool, struct session, link) master_session_on_idle(&s->idle);
	list_each(s, &sessions, struct session, all) smtp_client_leave(&s->client);
}

size_t
master_session_count(void)
{
	return nsessions;
}
