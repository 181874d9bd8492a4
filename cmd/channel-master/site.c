/* channel-master/site.c: from a destination to a place to connect to.
 *
 * Pipe channels: piped of this host.  LMTP channels: [host NAME] of channels.conf, else our own lmtpd when the destination is this
 * host, else the channel's relay, else the host itself.  SMTP channels: the channel's relay, a
 * destination that carries a port (a static route), an address literal, else the domain's
 * MX hosts. */
#include <errno.h>
#include "base/mem.h"
#include "base/utf8.h"
#include "mail/address.h"
#include "master.h"

/* Takes "host:port", "[v6]:port", "[literal]", "unix:/path" or "host" apart into s (host or
 * path, port).  *fixed: a port was given or it is no domain.  0 or -EINVAL. */
MUSTCHECK
static int
site_parse(const char *text, int port, struct site *s, bool *fixed)
{
	struct slice t = slice_str(text), host, digits;
	struct buf ascii = { 0 };
	uint64_t n = (uint64_t)port;

	*fixed = true;
	s->host = s->path = NULL;
	if (slice_starts(t, S("unix:"))) {
		if (t.n == 5)
			return -EINVAL;
		s->path = mem_str(text + 5);
		return 0;
	}
	digits = (struct slice){ 0 };
	if (t.n && t.p[0] == '[') { /* [literal] or [v6]:port */
		size_t end = slice_find(t, ']');

		if (end == t.n)
			return -EINVAL;
		host = slice_sub(t, 1, end - 1);
		if (slice_istarts(host, S("IPv6:")))
			host = slice_from(host, 5);
		t = slice_from(t, end + 1);
		if (t.n && t.p[0] != ':')
			return -EINVAL;
		if (t.n)
			digits = slice_from(t, 1);
	} else {
		size_t colon = slice_rfind(t, ':');

		host = slice_sub(t, 0, colon);
		if (colon < t.n)
			digits = slice_from(t, colon + 1);
		else
			*fixed = false;
	}
	/* The DNS knows A-labels only; what is no name at all fails there. */
	if (!utf8_ascii(host) && domain_write_ascii(&ascii, host) == 0)
		host = buf_get(&ascii);
	if (host.n == 0 || host.n > 255 || (digits.p && slice_u64(digits, 65535, &n) < 0) ||
	    n == 0) {
		buf_fini(&ascii);
		return -EINVAL;
	}
	s->host = mem_strn(host.p, host.n);
	s->port = (int)n;
	buf_fini(&ascii);
	return 0;
}

/* The key names everything that makes two connections different. */
static void
set_key(struct site *s)
{
	if (s->path)
		s->key = mem_printf("unix:%s %d", s->path, (int)s->tls);
	else
		s->key = mem_printf("%s:%d%s %d %s%s%s", s->host, s->port, s->mx ? " mx" : "",
		    (int)s->tls, s->name ? s->name : "", s->login ? " as " : "",
		    s->login ? master.channel->auth_user : "");
	for (char *p = s->key; *p; p++)
		*p = ascii_lower(*p);
}

static bool
is_us(const char *dest)
{
	return *dest == '\0' || slice_ieq(slice_str(dest), slice_str(shared.hostname)) ||
	    slice_ieq(slice_str(dest), S("localhost"));
}

int
site_find(const char *dest, struct site *s, struct verdict *v)
{
	const struct channel *c = master.channel;
	const struct channel_host *h;
	const char *text = dest;
	bool fixed = false;

	*s = (struct site){ .lmtp = c->protocol != CHANNEL_SMTP, .tls = (enum smtp_tls)c->tls };
	if (c->protocol == CHANNEL_PIPE) { /* `dest` says what is run for whom there */
		s->path = mem_printf("%s/piped.sock", shared.rundir);
		s->tls = SMTP_TLS_OFF;
		set_key(s);
		return 0;
	}
	if (s->lmtp && (h = channels_host(master.channels, slice_str(dest)))) {
		text = h->lmtp;
		s->tls = (enum smtp_tls)h->tls;
		s->name = mem_str(h->name); /* the mailHost is what we mean, wherever it listens */
	} else if (s->lmtp && is_us(dest)) {
		s->path = mem_printf("%s/lmtpd.sock", shared.rundir);
		s->tls = SMTP_TLS_OFF;
		set_key(s);
		return 0;
	} else if (*c->relay) {
		text = c->relay;
	}
	if (site_parse(text, (int)c->port, s, &fixed) < 0) {
		*v = verdict(OUT_SITE_BAD, text);
		return -EINVAL;
	}
	if (s->path)
		s->tls = SMTP_TLS_OFF; /* the kernel knows who is at the other end */
	s->mx = !s->lmtp && text == dest && !fixed;
	s->smart = text == c->relay;
	s->login = s->smart && *c->auth_user;
	if (s->login && !login_get()) {
		*v = verdict(OUT_LOGIN_NO_PASSWORD, text);
		login_wrong(text, v);
		return -EINVAL;
	}
	set_key(s);
	return 0;
}

void
site_wish(struct site *s, enum qtls wish)
{
	char *key;

	s->tls_required = wish == QTLS_REQUIRED;
	s->tls_optional = wish == QTLS_OPTIONAL;
	if (wish == QTLS_NONE)
		return;
	key = mem_printf("%s %s", s->key, qenv_tls_word(wish));
	mem_free(&s->key);
	s->key = key;
}

void
site_submit(struct site *s)
{
	*s = (struct site){ 0 };
	s->path = mem_printf("%s/submit.sock", shared.rundir);
	set_key(s);
}

void
site_fini(struct site *s)
{
	mem_free(&s->key);
	mem_free(&s->host);
	mem_free(&s->path);
	mem_free(&s->name);
}
