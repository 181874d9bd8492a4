/* imap/client.c: see imap/client.h.
 *
 * Owns nothing: net/line-client has the conversation, this is what to say in it.  Can fail: what a server
 * says that is no answer; then it is broken, never a refusal of the user.  Must stay true: the response of
 * the mechanism goes out once, and behind the handshake only. */
#include "imap/client.h"

#include <string.h>

#include "base/base64.h"

static void
imap_client_write_id(struct line_client *c, struct buf *b)
{
	const struct line_client_login *l = c->login;
	char host[ADDR_TEXT];

	buf_lit(b, "i ID (\"name\" \"tiermail\"");
	if (l->client.sa.sa_family == AF_INET || l->client.sa.sa_family == AF_INET6)
		buf_printf(b, " \"x-originating-ip\" \"%s\" \"x-originating-port\" \"%d\"",
		    addr_host(&l->client, host), addr_port(&l->client));
	buf_printf(b, " \"x-session-id\" \"%s\"", l->sid);
	if (l->app)
		buf_printf(b, " \"x-app\" \"%s\"", l->app);
	buf_lit(b, ")\r\n");
}

static void
imap_client_say_login(struct line_client *c)
{
	struct buf *b = line_client_out(c);

	c->said = true;
	if (c->login->forward)
		imap_client_write_id(c, b);
	buf_printf(b, "a AUTHENTICATE %s ", c->login->mechanism);
	base64_write(b, c->login->response);
	buf_lit(b, "\r\n");
}

static void
imap_client_ready(struct line_client *c)
{
	if (c->login->ahead || c->greeted)
		imap_client_say_login(c);
}

/* "OK text" to outcome and text. */
static void
imap_client_answered(struct line_client *c, struct slice rest)
{
	struct slice word;

	if (!slice_cut(&rest, ' ', &word))
		word = rest;
	if (slice_ieq(word, S("OK")))
		line_client_finish(c, LINE_CLIENT_IN, rest);
	else if (slice_ieq(word, S("NO")))
		line_client_finish(c, LINE_CLIENT_NO, rest);
	else
		line_client_finish(c, LINE_CLIENT_BROKEN, S("the login is answered with BAD"));
}

/* "* OK", "* BYE": the first line, and the last of a server that wants nobody. */
static void
imap_client_greeting(struct line_client *c, struct slice line)
{
	if (!slice_istarts(line, S("* OK"))) {
		line_client_finish(c, LINE_CLIENT_BROKEN, S("greets with something else than OK"));
		return;
	}
	c->greeted = true;
	if (c->login->tls == LINE_CLIENT_STARTTLS && !c->secured)
		buf_lit(line_client_out(c), "s STARTTLS\r\n");
	else if (!c->said)
		imap_client_say_login(c);
}

static void
imap_client_line(struct line_client *c, struct slice line)
{
	if (slice_istarts(line, S("* BYE")))
		line_client_finish(c, LINE_CLIENT_BYE, slice_from(line, 6));
	else if (!c->greeted)
		imap_client_greeting(c, line);
	else if (slice_istarts(line, S("s OK")) && !c->secured && !c->said)
		line_client_starttls(c);
	else if (slice_starts(line, S("s ")) && !c->secured)
		line_client_finish(c, LINE_CLIENT_BROKEN, S("refuses STARTTLS"));
	else if (slice_starts(line, S("a ")) && c->said)
		imap_client_answered(c, slice_from(line, 2));
	else if (slice_starts(line, S("+")))
		line_client_finish(c, LINE_CLIENT_BROKEN,
		    S("asks for more than an initial response"));
	else if (!slice_starts(line, S("* ")) && !slice_starts(line, S("i ")))
		line_client_finish(c, LINE_CLIENT_BROKEN, S("says what is no answer"));
}

static const struct line_client_script imap_client_script = {
	.proto = "imap",
	.ready = imap_client_ready,
	.line = imap_client_line,
};

void
imap_client_start(struct stream *io, const struct line_client_login *login, struct op *op,
    line_client_done done, void *arg)
{
	line_client_start(io, &imap_client_script, login, op, done, arg);
}

bool
imap_client_referral(struct slice text, struct slice *host)
{
	size_t at;

	if (!slice_istarts(text, S("[REFERRAL ")))
		return false;
	text = slice_from(text, strlen("[REFERRAL "));
	if (slice_istarts(text, S("imap://")))
		text = slice_from(text, strlen("imap://"));
	else if (slice_istarts(text, S("pop://")))
		text = slice_from(text, strlen("pop://"));
	else
		return false;
	text = slice_sub(text, 0, slice_find(text, ']'));
	text = slice_sub(text, 0, slice_find(text, '/'));
	at = slice_rfind(text, '@');
	*host = at < text.n ? slice_from(text, at + 1) : text;
	for (size_t i = 0, label = 0; i < host->n; i++) {
		char ch = ascii_lower(host->p[i]);

		if (ch == '.' ? label == 0 :
				(ch < 'a' || ch > 'z') && (ch < '0' || ch > '9') && ch != '-')
			return false;
		label = ch == '.' ? 0 : label + 1;
	}
	return host->n > 0 && host->n <= 253;
}
