/* smtp/client-proxy.c: see client-proxy.h.
 *
 * Owns nothing: net/line-client has the conversation; c->awaited is where it stands, c->kept the keywords
 * of the EHLO that is being answered.  Can fail: what a server says out of order; then it is broken.
 * Must stay true: LOGIN goes out only to a server that has offered it, and behind the handshake that was
 * asked for: a server that drops the word would take the mail as a stranger's, or as ours. */
#include "smtp/client-proxy.h"

#include "smtp/params.h"

enum proxy_step { PROXY_GREETING, PROXY_EHLO, PROXY_STARTTLS, PROXY_XCLIENT, PROXY_EHLO_HIS };

static void
client_proxy_ehlo(struct line_client *c, enum proxy_step step, const char *name)
{
	c->awaited = (uint8_t)step;
	buf_clear(&c->kept);
	buf_printf(line_client_out(c), "EHLO %s\r\n", name);
}

static void
client_proxy_ready(struct line_client *c)
{
	if (c->greeted) /* behind STARTTLS */
		client_proxy_ehlo(c, PROXY_EHLO, c->login->self);
}

/* Is `word` among the words of the keyword's line? */
static bool
client_proxy_offers(const struct line_client *c, struct slice keyword, struct slice word)
{
	struct slice rest = buf_get(&c->kept), line, w;

	while (slice_cut(&rest, '\n', &line)) {
		if (!slice_word(&line, &w) || !slice_ieq(w, keyword))
			continue;
		if (word.n == 0)
			return true;
		while (slice_word(&line, &w))
			if (slice_ieq(w, word))
				return true;
	}
	return false;
}

static void
client_proxy_say_xclient(struct line_client *c)
{
	const struct line_client_login *l = c->login;
	struct buf *b = line_client_out(c);
	char host[ADDR_TEXT];

	if (!client_proxy_offers(c, S("XCLIENT"), S("LOGIN")) ||
	    !client_proxy_offers(c, S("XCLIENT"), S("ADDR"))) {
		line_client_finish(c, LINE_CLIENT_BROKEN,
		    S("offers us no XCLIENT with ADDR and LOGIN: it does not believe this proxy"));
		return;
	}
	c->said = true;
	c->awaited = PROXY_XCLIENT;
	buf_lit(b, "XCLIENT");
	if (l->client.sa.sa_family == AF_INET || l->client.sa.sa_family == AF_INET6) {
		buf_printf(b, " ADDR=%s%s", l->client.sa.sa_family == AF_INET6 ? "IPV6:" : "",
		    addr_host(&l->client, host));
		if (client_proxy_offers(c, S("XCLIENT"), S("PORT")))
			buf_printf(b, " PORT=%d", addr_port(&l->client));
	}
	if (client_proxy_offers(c, S("XCLIENT"), S("SESSION")))
		buf_printf(b, " SESSION=%s", l->sid);
	if (l->app && client_proxy_offers(c, S("XCLIENT"), S("APP")))
		buf_printf(b, " APP=%s", l->app);
	buf_lit(b, " LOGIN=");
	smtp_xtext_write(b, l->response);
	buf_lit(b, "\r\n");
}

static void
client_proxy_told(struct line_client *c)
{
	if (c->login->tls != LINE_CLIENT_STARTTLS || c->secured) {
		client_proxy_say_xclient(c);
	} else if (client_proxy_offers(c, S("STARTTLS"), S(""))) {
		c->awaited = PROXY_STARTTLS;
		buf_lit(line_client_out(c), "STARTTLS\r\n");
	} else {
		line_client_finish(c, LINE_CLIENT_BROKEN, S("offers no STARTTLS"));
	}
}

/* The last line of a good answer. */
static void
client_proxy_good(struct line_client *c)
{
	switch ((enum proxy_step)c->awaited) {
	case PROXY_GREETING:
		c->greeted = true;
		client_proxy_ehlo(c, PROXY_EHLO, c->login->self);
		break;
	case PROXY_EHLO: client_proxy_told(c); break;
	case PROXY_STARTTLS: line_client_starttls(c); break;
	case PROXY_XCLIENT: client_proxy_ehlo(c, PROXY_EHLO_HIS, c->login->helo); break;
	case PROXY_EHLO_HIS:
	default: line_client_finish(c, LINE_CLIENT_IN, buf_get(&c->kept)); break;
	}
}

static void
client_proxy_bad(struct line_client *c, struct slice line)
{
	bool greeting = c->awaited == PROXY_GREETING || slice_starts(line, S("421"));

	if (greeting)
		line_client_finish(c, LINE_CLIENT_BYE, line);
	else if (c->awaited == PROXY_XCLIENT)
		line_client_finish(c, LINE_CLIENT_NO, line);
	else
		line_client_finish(c, LINE_CLIENT_BROKEN, line);
}

static void
client_proxy_line(struct line_client *c, struct slice line)
{
	bool ehlo = c->awaited == PROXY_EHLO || c->awaited == PROXY_EHLO_HIS;
	bool more = line.n > 3 && line.p[3] == '-';
	uint64_t code;

	if (line.n < 3 || slice_u64(slice_sub(line, 0, 3), 599, &code) < 0 || code < 200 ||
	    (line.n > 3 && !more && line.p[3] != ' ')) {
		line_client_finish(c, LINE_CLIENT_BROKEN, S("says what is no answer"));
		return;
	}
	if (ehlo && code / 100 == 2) { /* the first one is a host's name: no keyword is like it */
		buf_slice(&c->kept, slice_from(line, line.n > 3 ? 4 : 3));
		buf_char(&c->kept, '\n');
	}
	if (more)
		return;
	if (code / 100 == 2)
		client_proxy_good(c);
	else
		client_proxy_bad(c, line);
}

static const struct line_client_script client_proxy_script = {
	.proto = "smtp",
	.ready = client_proxy_ready,
	.line = client_proxy_line,
};

void
smtp_client_proxy_start(struct stream *io, const struct line_client_login *login, struct op *op,
    line_client_done done, void *arg)
{
	line_client_start(io, &client_proxy_script, login, op, done, arg);
}
