/* channel.c: the channel that a session is of: that of its listener's role, or the one that mta.cnf switches it to, by its
 * address, TLS or login (tiermail-channels(5)); and what that channel's keywords make of the session.
 *
 * Owns session.channel, a name, which outlives a reload, and session.own, limits that are not those of all.  Called by
 * session.c and auth.c.  Nothing fails: a channel that is not there, or lets nobody switch to it, changes nothing.  Must
 * stay true: a channel opens nothing that the listener's role does not: who may send where is rcpt.c's alone. */
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "filters.h"
#include "guard.h"

/* enum: identnone and the others */
enum { IDENT_NUMERIC, IDENT_NAMES };

struct relay_own {
	struct smtp_policy policy;
	struct smtp_limits limits;
};

const struct mta_channel *
relay_channel(const struct session *s)
{
	const struct channels *c = relay.channels;

	return c->made ? NULL : mta_channel_named(c->rules, slice_str(relay_message_source(s)));
}

/* ---- what a channel makes of a session --------------------------------------------------- */

/* The smaller one; 0 and below is none. */
static void
channel_least(uint32_t *limit, int64_t most)
{
	if (most > 0 && (!*limit || most < *limit))
		*limit = (uint32_t)most;
}

static void
channel_size(uint64_t *size, int64_t blocks)
{
	if (blocks > 0 && (!*size || (uint64_t)blocks * 1024 < *size))
		*size = (uint64_t)blocks * 1024;
}

static bool
channel_limits(const struct mta_channel *c)
{
	return c->transactionlimit > 0 || c->disconnect_transactions > 0 ||
	    c->disconnect_rejects > 0 || c->disconnect_bad > 0 || c->recipientlimit > 0 ||
	    c->sourceblocklimit > 0 || c->blocklimit > 0;
}

/* Limits of its own.  What the session is told of them at EHLO is true, then. */
static void
channel_own(struct session *s, const struct mta_channel *c)
{
	const struct smtp_policy *of_all = s->smtp.policy;
	struct smtp_limits *l;

	if (!channel_limits(c))
		return;
	s->own = mem_new(sizeof(*s->own));
	s->own->policy = *of_all;
	s->own->limits = *of_all->limits;
	s->own->policy.limits = l = &s->own->limits;
	channel_least(&l->transactions, c->transactionlimit);
	channel_least(&l->transactions, c->disconnect_transactions);
	channel_least(&l->errors, c->disconnect_rejects);
	channel_least(&l->unknown, c->disconnect_bad);
	channel_least(&l->rcpts, c->recipientlimit);
	channel_size(&l->size, c->sourceblocklimit);
	channel_size(&l->size, c->blocklimit);
	s->smtp.policy = &s->own->policy;
}

static void
channel_apply(struct session *s)
{
	const struct mta_channel *c = relay_channel(s);

	channel_end(s);
	s->smtp.policy = relay_session_policy(s);
	s->smtp.need_tls = s->demand || (c && c->tls_server == MTA_NEED_MUST);
	if (!c)
		return;
	channel_own(s, c);
	s->smtp.no_chunking = c->chunking_server == 0;
	s->smtp.no_tls = c->tls_server == MTA_NEED_NO && !s->demand;
}

void
channel_end(struct session *s)
{
	mem_free(&s->own);
}

/* ---- switching --------------------------------------------------------------------------- */

void
channel_switch(struct session *s, const char *to)
{
	const struct channels *c = relay.channels;
	const struct mta_channel *next =
	    to && !c->made ? mta_channel_named(c->rules, slice_str(to)) : NULL;

	if (!to || strcmp(to, relay_message_source(s)) == 0)
		return;
	/* Mail only leaves by a `master`; and it may not want to. */
	if (!next || next->switching == 0 || next->ways == 1) {
		log_event(LOG_WARN, "switch_refused", "sid=%s from=%s to=%s", s->sid,
		    relay_message_source(s), log_str(to));
		return;
	}
	log_event(LOG_INFO, "switch", "sid=%s from=%s to=%s", s->sid, relay_message_source(s),
	    log_str(to));
	(void)snprintf(s->channel, sizeof(s->channel), "%s", to);
	channel_apply(s);
}

static enum mta_answer
channel_general(void *arg, struct slice key, struct buf *value)
{
	(void)arg;
	return mta_general_find(relay.channels->general, key, value);
}

/* The channel that the rules name for a sender at the client's address, as they do for the host of an envelope. */
static void
channel_by_address(struct session *s)
{
	static const struct mta_calls calls = { .general = channel_general };
	const char *v6 = s->peer.sa.sa_family == AF_INET6 ? "IPv6:" : "";
	struct mta_query q = { .source = slice_str(relay_message_source(s)), .backward = true };
	struct mta_rewritten r;
	struct buf b = { 0 };

	buf_printf(&b, "postmaster@[%s%s]", v6, s->client);
	q.address = buf_get(&b);
	mta_rewrite(relay.channels->rules, relay.channels->mappings, &calls, &q, &r);
	if (r.result == MTA_RW_OK && r.channel->switching != 0 && r.channel->ways != 1)
		channel_switch(s, r.channel->name);
	mta_rewritten_fini(&r);
	buf_fini(&b);
}

void
channel_begin(struct session *s)
{
	const struct mta_channel *c;

	s->channel[0] = '\0';
	channel_apply(s);
	c = relay_channel(s);
	if (c && c->switching == 1 && s->role == ROLE_MX && s->peer.sa.sa_family != AF_UNIX)
		channel_by_address(s);
}

/* ---- names, VRFY ------------------------------------------------------------------------- */

bool
channel_names(const struct session *s)
{
	const struct mta_channel *c = relay_channel(s);

	return c && c->ident >= 0 ? c->ident == IDENT_NAMES : config.client_names;
}

bool
channel_dns_any(const struct channels *cs)
{
	const struct mta_channel *c;

	for (size_t i = 0; !cs->made && (c = mta_channel_at(cs->rules, i)); i++)
		if (c->ident == IDENT_NAMES || c->mailfrom_dns > 0)
			return true;
	return false;
}

static void
channel_verified(void *arg, const struct expand_result *r)
{
	struct session *s = CAST(arg, struct session, SESSION_MAGIC);
	struct verdict v = r->v;

	if (v.kind == OK && r->ours)
		v = verdict(OUT_VRFY_THERE, r->rewritten ? r->rewritten : r->legs[0].address);
	else if (v.kind == OK)
		v = verdict(OUT_VRFY_PERHAPS);
	smtp_server_answer(&s->smtp, &v);
}

/* VRFY (RFC 5321 3.5.1): where the channel wants it told who is there. */
void
channel_vrfy(struct smtp_server *smtp, struct slice arg)
{
	struct session *s = relay_session_of(smtp);
	const struct mta_channel *c = relay_channel(s);
	struct expand_query q;
	struct address to;
	uint8_t client[16];
	const char *why;

	if (!c || c->vrfy != 1) {
		relay_session_answer(s, OUT_VRFY_PERHAPS);
		return;
	}
	if (arg.n > 2 && arg.p[0] == '<' && arg.p[arg.n - 1] == '>')
		arg = slice_sub(arg, 1, arg.n - 2);
	if (slice_find(arg, '@') == arg.n)
		arg = slice_str(
		    arena_printf(&smtp->arena, SFMT "@%s", SARG(arg), shared.default_domain));
	/* RFC 6531 3.7.4.2: who has not said SMTPUTF8 is told of no such address. */
	if (address_parse(arg, 0, &smtp->arena, &to, &why) < 0) {
		relay_session_answer(s, OUT_VRFY_PERHAPS);
		return;
	}
	q = (struct expand_query){ .source = relay_message_source(s),
		.address = &to,
		.most = (size_t)config.list,
		.later = true };
	if (s->role == ROLE_MX) {
		addr_client_key(&s->peer, client);
		q.client = slice((const char *)client, sizeof(client));
	}
	expand_start(relay.expand, &q, &s->op, channel_verified, s);
}
