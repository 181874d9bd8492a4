/* login/proxy.c: see proxy.h.
 *
 * Owns nothing; imapd and pop3d call it for a connection whose handshake is over, and for each field that
 * a proxy sends.  Nothing can fail: what is malformed is passed over, because a login must not hang on what
 * is for logs and limits.  Must stay true: nobody calls it for fields of somebody who is no proxy. */
#include "login/proxy.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/log.h"
#include "daemon/role.h"

bool
login_is_proxy(const struct stream *io, char *const *names, const char *sid)
{
	return daemon_peer_is(io, TLS_ROLE_PROXY, names, sid);
}

/* Ids are letters and digits; what is none would confuse whoever reads the log. */
static bool
forward_sid(struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = ascii_lower(value.p[i]);

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9'))
			return false;
	}
	return value.n > 0 && value.n <= LOGIN_SID;
}

static bool
forward_app(struct slice value)
{
	uint8_t octets[LOGIN_WORD_ID];

	return value.n == LOGIN_WORD_ID && slice_find(value, ' ') == value.n &&
	    login_base32_parse(value, octets, sizeof(octets)) > 0;
}

static void
forward_peer(struct login_forward *f, struct slice value)
{
	struct addr a = { 0 };
	char text[64];

	slice_cstr(value, text, sizeof(text));
	if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1) {
		a.in.sin_family = AF_INET;
		a.len = sizeof(a.in);
	} else if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) == 1) {
		a.in6.sin6_family = AF_INET6;
		a.len = sizeof(a.in6);
	} else {
		return;
	}
	addr_unmap(&a);
	f->peer = a;
}

void
login_forward_take(struct login_forward *f, struct slice field, struct slice value)
{
	uint64_t port;

	if (slice_ieq(field, S("x-originating-ip")) || slice_ieq(field, S("ADDR")))
		forward_peer(f, value);
	else if (slice_ieq(field, S("x-originating-port")) || slice_ieq(field, S("PORT")))
		f->port = slice_u64(value, 65535, &port) == 0 ? (uint16_t)port : 0;
	else if ((slice_ieq(field, S("x-session-id")) || slice_ieq(field, S("SESSION"))) &&
	    forward_sid(value))
		slice_cstr(value, f->sid, sizeof(f->sid));
	else if ((slice_ieq(field, S("x-app")) || slice_ieq(field, S("APP"))) && forward_app(value))
		slice_cstr(value, f->app, sizeof(f->app));
}

bool
login_forward_apply(const struct login_forward *f, struct stream *io, char *sid, struct addr *peer)
{
	char via[ADDR_TEXT], text[ADDR_TEXT] = "", was[LOGIN_SID + 1];
	struct addr proxy;

	if (f->peer.len == 0 && !*f->sid)
		return false;
	stream_peer(io, &proxy);
	strcpy(was, sid);
	if (f->peer.len > 0) {
		*peer = f->peer;
		addr_set_port(peer, f->port);
		stream_announce(io, peer);
		addr_write(peer, text);
	}
	if (*f->sid)
		strcpy(sid, f->sid);
	log_context(sid);
	log_event(LOG_INFO, "proxied", "sid=%s was=%s peer=%s via=%s", sid, was, text,
	    addr_host(&proxy, via));
	return f->peer.len > 0;
}
