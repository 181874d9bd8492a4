/* pop3/client.c: see pop3/client.h.
 *
 * Owns nothing: net/line-client has the conversation, this is what to say in it.  Answers have no tags: what
 * a line answers is counted (c->awaited).  Can fail: what a server says that is no
 * answer; then it is broken, never a refusal of the user.  Must stay true: the response of the mechanism
 * goes out once, and behind the handshake only. */
#include "pop3/client.h"

#include "base/base64.h"

static void
pop3_client_say_login(struct line_client *c)
{
	const struct line_client_login *l = c->login;
	struct buf *b = line_client_out(c);
	char host[ADDR_TEXT];

	c->said = true;
	c->awaited = 1;
	if (l->forward) {
		buf_lit(b, "XCLIENT");
		if (l->client.sa.sa_family == AF_INET || l->client.sa.sa_family == AF_INET6)
			buf_printf(b, " ADDR=%s PORT=%d", addr_host(&l->client, host),
			    addr_port(&l->client));
		buf_printf(b, " SESSION=%s", l->sid);
		if (l->app)
			buf_printf(b, " APP=%s", l->app);
		buf_lit(b, "\r\n");
		c->awaited++;
	}
	if (l->utf8) {
		buf_lit(b, "UTF8\r\n");
		c->awaited++;
	}
	buf_printf(b, "AUTH %s ", l->mechanism);
	base64_write(b, l->response);
	buf_lit(b, "\r\n");
}

static void
pop3_client_ready(struct line_client *c)
{
	if (c->login->ahead || c->greeted)
		pop3_client_say_login(c);
}

static void
pop3_client_greeting(struct line_client *c, bool good, struct slice text)
{
	if (!good) {
		line_client_finish(c, LINE_CLIENT_BYE, text);
		return;
	}
	c->greeted = true;
	if (c->login->tls == LINE_CLIENT_STARTTLS && !c->secured)
		buf_lit(line_client_out(c), "STLS\r\n");
	else if (!c->said)
		pop3_client_say_login(c);
}

static void
pop3_client_line(struct line_client *c, struct slice line)
{
	bool good = slice_istarts(line, S("+OK"));
	struct slice text = slice_trim(slice_from(line, good ? 3 : 4));

	if (!good && !slice_istarts(line, S("-ERR")))
		line_client_finish(c, LINE_CLIENT_BROKEN,
		    slice_starts(line, S("+")) ? S("asks for more than an initial response") :
						 S("says what is no answer"));
	else if (!c->greeted)
		pop3_client_greeting(c, good, text);
	else if (!c->said && good)
		line_client_starttls(c);
	else if (!c->said)
		line_client_finish(c, LINE_CLIENT_BROKEN, S("refuses STLS"));
	else if (--c->awaited == 0) /* what it says before changes nothing */
		line_client_finish(c, good ? LINE_CLIENT_IN : LINE_CLIENT_NO, text);
}

static const struct line_client_script pop3_client_script = {
	.proto = "pop3",
	.ready = pop3_client_ready,
	.line = pop3_client_line,
};

void
pop3_client_start(struct stream *io, const struct line_client_login *login, struct op *op,
    line_client_done done, void *arg)
{
	line_client_start(io, &pop3_client_script, login, op, done, arg);
}
