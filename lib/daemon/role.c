/* daemon/role.c: see daemon/role.h.
 *
 * Owns nothing; called when a handshake is over.  Nothing can fail: without a certificate that tls.ca has
 * signed there is no role.  Must stay true: a certificate that names roles has those and no others, whatever
 * the tables say, so that a mistake in one file of one host gives nobody more than the authority has signed. */
#include "daemon/role.h"

#include "base/log.h"
#include "conf/shared.h"

static char *const *
role_table(enum tls_role role)
{
	switch (role) {
	case TLS_ROLE_PROXY: return shared.role_proxies;
	case TLS_ROLE_RELAY: return shared.role_relays;
	case TLS_ROLE_OPERATOR: return shared.role_operators;
	case TLS_ROLE_ADMIN: return shared.role_admins;
	case TLS_ROLE_MOVE: return shared.role_movers;
	case TLS_ROLE_STORE: return shared.role_stores;
	case TLS_ROLE_DIRECTORY: /* is asked, and does not ask */
	case TLS_ROLES: break;
	}
	return NULL;
}

static bool
role_listed(const struct stream *io, char *const *names)
{
	for (; names && *names; names++)
		if (stream_tls_peer_named(io, *names))
			return true;
	return false;
}

static bool
role_given(const struct stream *io, unsigned named, enum tls_role role, char *const *names)
{
	if (named & TLS_ROLES_NAMED)
		return named & TLS_ROLE_BIT(role);
	return role_listed(io, role_table(role)) || role_listed(io, names);
}

unsigned
daemon_peer_roles(const struct stream *io)
{
	unsigned named, bits = 0;

	if (!stream_tls_peer_cert(io))
		return 0;
	named = stream_tls_peer_roles(io);
	for (unsigned role = 0; role < TLS_ROLES; role++)
		if (role_given(io, named, role, NULL))
			bits |= TLS_ROLE_BIT(role);
	return bits;
}

const char *
daemon_peer_name(const struct stream *io, char to[DAEMON_PEER_NAME])
{
	(void)stream_tls_peer_subject(io, to, DAEMON_PEER_NAME);
	return to;
}

static void
role_write(struct buf *b, unsigned named)
{
	for (unsigned role = 0; role < TLS_ROLES; role++)
		if (named & TLS_ROLE_BIT(role))
			buf_printf(b, "%s%s", b->n ? "," : "", tls_role_word(role));
}

bool
daemon_peer_is(const struct stream *io, enum tls_role role, char *const *names, const char *sid)
{
	char text[ADDR_TEXT], name[DAEMON_PEER_NAME];
	struct buf has = { 0 };
	struct addr peer;
	unsigned named;

	if (!stream_tls_peer_cert(io))
		return false;
	named = stream_tls_peer_roles(io);
	if (role_given(io, named, role, names))
		return true;
	stream_peer(io, &peer);
	role_write(&has, named);
	log_event(LOG_WARN, "role_refused", "sid=%s peer=%s certificate=%s role=%s has=%s", sid,
	    addr_host(&peer, text), log_str(daemon_peer_name(io, name)), tls_role_word(role),
	    log_value(buf_get(&has)));
	buf_fini(&has);
	return false;
}
