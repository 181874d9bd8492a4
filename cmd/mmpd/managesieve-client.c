/* mmpd/managesieve-client.c: see managesieve-client.h.
 *
 * Owns nothing: net/line-client has the conversation; c->awaited is where it stands, c->kept the words of the SIEVE
 * capability.  Can fail: what a server says out of order; then it is broken.  Must stay true: what was told in
 * clear is forgotten behind the handshake (RFC 5804 2.2), and the response of the mechanism goes out once,
 * behind it only. */
#include "managesieve-client.h"

#include "base/base64.h"

enum step { TOLD, TLS, XCLIENT, LOGIN };

/* `"NAME" "VALUE"`: is it that capability? */
static bool
client_capability(struct slice line, const char *name, struct slice *value)
{
	struct slice word;

	line = slice_from(line, 1);
	if (!slice_cut(&line, '"', &word) || !slice_ieq(word, slice_str(name)))
		return false;
	*value = S("");
	if (slice_cut(&line, '"', &word) && slice_cut(&line, '"', &word))
		*value = word;
	return true;
}

static bool
client_has_word(struct slice words, struct slice word)
{
	struct slice w;

	while (slice_word(&words, &w))
		if (slice_ieq(w, word))
			return true;
	return false;
}

static void
client_say_login(struct line_client *c)
{
	struct buf *b = line_client_out(c);

	c->said = true;
	c->awaited = LOGIN;
	buf_printf(b, "AUTHENTICATE \"%s\" \"", c->login->mechanism);
	base64_write(b, c->login->response);
	buf_lit(b, "\"\r\n");
}

/* Dovecot's, to those of login_trusted_networks. */
static void
client_say_xclient(struct line_client *c)
{
	const struct line_client_login *l = c->login;
	struct buf *b = line_client_out(c);
	char host[ADDR_TEXT];

	c->awaited = XCLIENT;
	buf_lit(b, "XCLIENT");
	if (l->client.sa.sa_family == AF_INET || l->client.sa.sa_family == AF_INET6)
		buf_printf(b, " ADDR=%s PORT=%d", addr_host(&l->client, host),
		    addr_port(&l->client));
	buf_printf(b, " SESSION=%s", l->sid);
	if (l->app && c->apps)
		buf_printf(b, " APP=%s", l->app);
	buf_lit(b, "\r\n");
}

static void
client_told(struct line_client *c)
{
	if (c->login->tls == LINE_CLIENT_STARTTLS && !c->secured) {
		c->awaited = TLS;
		buf_lit(line_client_out(c), "STARTTLS\r\n");
	} else if (c->greeted && c->login->forward) {
		client_say_xclient(c);
	} else {
		client_say_login(c);
	}
}

static void
client_ready(struct line_client *c)
{
	c->awaited = TOLD; /* the capabilities come, again if this is behind STARTTLS */
	c->greeted = c->apps = false;
	buf_clear(&c->kept);
}

static void
client_ok(struct line_client *c)
{
	switch ((enum step)c->awaited) {
	case TOLD: client_told(c); break;
	case TLS: line_client_starttls(c); break;
	case XCLIENT: client_say_login(c); break;
	case LOGIN:
	default: line_client_finish(c, LINE_CLIENT_IN, buf_get(&c->kept)); break;
	}
}

static void
client_line(struct line_client *c, struct slice line)
{
	struct slice value;

	if (slice_starts(line, S("\"")) && c->awaited == TOLD) {
		if (client_capability(line, "SIEVE", &value)) {
			buf_clear(&c->kept);
			buf_slice(&c->kept, value);
		} else if (client_capability(line, "XCLIENT", &value)) {
			c->greeted = true; /* it takes XCLIENT */
			c->apps = client_has_word(value, S("APP"));
		}
	} else if (slice_istarts(line, S("OK")) && slice_ends(line, S("}"))) {
		/* The rest would be taken for the answer to what the client says next. */
		line_client_finish(c, LINE_CLIENT_BROKEN, S("an answer of more than a line"));
	} else if (slice_istarts(line, S("OK"))) {
		client_ok(c);
	} else if (slice_istarts(line, S("BYE"))) {
		line_client_finish(c, LINE_CLIENT_BYE, line);
	} else if (slice_istarts(line, S("NO")) && c->awaited == LOGIN) {
		line_client_finish(c, LINE_CLIENT_NO, slice_trim(slice_from(line, 2)));
	} else if (slice_istarts(line, S("NO"))) {
		line_client_finish(c, LINE_CLIENT_BROKEN, line);
	} else {
		line_client_finish(c, LINE_CLIENT_BROKEN, S("says what is no answer"));
	}
}

static const struct line_client_script managesieve_script = {
	.proto = "sieve",
	.ready = client_ready,
	.line = client_line,
};

void
managesieve_client_start(struct stream *io, const struct line_client_login *login, struct op *op,
    line_client_done done, void *arg)
{
	line_client_start(io, &managesieve_script, login, op, done, arg);
}
