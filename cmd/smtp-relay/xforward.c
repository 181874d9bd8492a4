/* xforward.c: XFORWARD (Postfix's, XFORWARD_README): a content filter, or who sends to one, tells whose mail it is that it
 * sends, so that log, queue and reports name the client of the beginning.
 *
 * Owns what was told, until the transaction behind it is over.  session.c offers the verb to addresses of relay.xforward,
 * and calls.  Cannot fail but by syntax.  Must stay true: nothing that was told lets anybody in: limits, lists and relaying
 * are those of who has connected.  It can but take something away: mail from elsewhere (SOURCE=REMOTE) is not rewritten
 * like that of our own hosts. */
#include "base/log.h"
#include "base/mem.h"
#include "relay.h"
#include "smtp/params.h"

enum { XF_NAME, XF_ADDR, XF_PORT, XF_PROTO, XF_HELO, XF_IDENT, XF_SOURCE, XF_ALL };
static const struct {
	const char *name;
	size_t most; /* octets, by README */
} attributes[XF_ALL] = {
	[XF_NAME] = { "NAME", 255 },
	[XF_ADDR] = { "ADDR", 255 },
	[XF_PORT] = { "PORT", 5 },
	[XF_PROTO] = { "PROTO", 64 },
	[XF_HELO] = { "HELO", 255 },
	[XF_IDENT] = { "IDENT", 255 },
	[XF_SOURCE] = { "SOURCE", 255 },
};

/* What is not available is empty. */
struct xforward {
	char *value[XF_ALL];
	char address[ADDR_TEXT]; /* of ADDR, when it is one of IPv4 or IPv6 */
};

static bool
xforward_may(const struct session *s)
{
	if (s->role != ROLE_MX || s->nobody || s->peer.sa.sa_family == AF_UNIX)
		return false;
	for (char **n = config.xforward; n && *n; n++)
		if (addr_in(&s->peer, slice_str(*n)) > 0)
			return true;
	return false;
}

void
xforward_keywords(const struct session *s, struct buf *text)
{
	if (xforward_may(s))
		buf_lit(text, "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\n");
}

void
xforward_forget(struct session *s)
{
	if (!s->xforward)
		return;
	for (size_t i = 0; i < XF_ALL; i++)
		mem_free(&s->xforward->value[i]);
	mem_free(&s->xforward);
}

/* ---- what was told ------------------------------------------------------------------------- */

static const char *
xforward_value(const struct session *s, size_t which)
{
	const char *v = s->xforward ? s->xforward->value[which] : NULL;

	return v && *v ? v : NULL;
}

const char *
xforward_client(const struct session *s)
{
	return s->xforward && s->xforward->address[0] ? s->xforward->address : s->client;
}

const char *
xforward_helo(const struct session *s)
{
	const char *v = xforward_value(s, XF_HELO);

	return v ? v : s->smtp.helo;
}

bool
xforward_remote(const struct session *s)
{
	const char *v = xforward_value(s, XF_SOURCE);

	return v && slice_ieq(slice_str(v), S("REMOTE"));
}

/* ---- being told ------------------------------------------------------------------------------ */

static void
xforward_addr(struct xforward *x)
{
	struct slice text = slice_str(x->value[XF_ADDR]);
	struct addr a;

	x->address[0] = '\0';
	if (slice_istarts(text, S("IPv6:")))
		text = slice_from(text, strlen("IPv6:"));
	if (text.n && text.n < ADDR_TEXT && addr_parse(text, &a) == 0 && a.sa.sa_family != AF_UNIX)
		addr_host(&a, x->address);
}

/* Is the decoded value one that the attribute may have?  Names need not be of DNS, nor addresses of IP. */
static bool
xforward_good(size_t which, struct slice v)
{
	uint64_t port;

	if (v.n == 0 || v.n > attributes[which].most)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] < ' ' || v.p[i] == 0x7f)
			return false;
	if (which == XF_PORT)
		return slice_u64(v, 65535, &port) == 0;
	return which != XF_SOURCE || slice_ieq(v, S("LOCAL")) || slice_ieq(v, S("REMOTE"));
}

/* NAME=value.  NULL, or what is wrong with it: a literal. */
static const char *
xforward_take(struct xforward *x, struct slice name, struct slice text)
{
	struct buf value = { 0 };
	const char *why = "unknown attribute of XFORWARD";

	for (size_t i = 0; i < XF_ALL; i++) {
		if (!slice_ieq(name, slice_str(attributes[i].name)))
			continue;
		why = NULL;
		if (smtp_xtext_parse(&value, text) < 0)
			why = "a value of XFORWARD is not xtext";
		else if (slice_ieq(buf_get(&value), S("[UNAVAILABLE]")) ||
		    (i == XF_NAME && slice_ieq(buf_get(&value), S("[TEMPUNAVAIL]"))))
			buf_clear(&value);
		else if (!xforward_good(i, buf_get(&value)))
			why = "a value of XFORWARD is not what it may be";
		if (!why) {
			mem_free(&x->value[i]);
			x->value[i] = mem_str(buf_cstr(&value));
		}
		if (!why && i == XF_ADDR)
			xforward_addr(x);
		break;
	}
	buf_fini(&value);
	return why;
}

static void
xforward_log(const struct session *s)
{
	const struct xforward *x = s->xforward;
	struct buf line = { 0 };

	for (size_t i = 0; i < XF_ALL; i++)
		if (x->value[i] && *x->value[i])
			buf_printf(&line, " %s=%s", attributes[i].name, log_str(x->value[i]));
	log_event(LOG_DEBUG, "xforward", "sid=%s client=%s told=%s", s->sid, s->client,
	    log_value(buf_get(&line)));
	buf_fini(&line);
}

/* XFORWARD 1*( SP attribute=xtext ), outside of a transaction; several add up. */
enum smtp_next
relay_cmd_xforward(struct smtp_server *smtp, struct slice arg)
{
	struct session *s = relay_session_of(smtp);
	struct verdict v = verdict(OUT_VERB_NOT_OFFERED, "XFORWARD");
	const char *why = NULL;
	struct slice word, name;
	size_t n = 0;

	if (!xforward_may(s))
		return smtp_server_say(smtp, &v);
	if (!s->xforward)
		s->xforward = mem_new(sizeof(*s->xforward));
	smtp->told = 1;
	for (; !why && slice_word(&arg, &word); n++)
		why = slice_cut(&word, '=', &name) ? xforward_take(s->xforward, name, word) :
						     "XFORWARD wants attribute=value";
	if (n == 0)
		why = "XFORWARD wants attribute=value";
	v = why ? verdict(OUT_ARGUMENT_BAD, why) : verdict(OUT_OK);
	if (!why)
		xforward_log(s);
	return smtp_server_say(smtp, &v);
}
