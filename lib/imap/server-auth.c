/* imap/server-auth.c: what comes before and around the login: CAPABILITY, NOOP, LOGOUT, STARTTLS,
 * LOGIN, AUTHENTICATE.  RFC 3501 6.1, 6.2, RFC 4959 (SASL-IR).
 *
 * Owns: the lines of a SASL exchange; mechanisms and passwords are the policy's.  Called from the
 * command table.  Can fail: the handshake.  Must stay true: nothing that came in clear is taken for
 * something that came under TLS; a password is wiped from every buffer it passed. */
#include <string.h>

#include "base/base64.h"
#include "imap/server-impl.h"

#define SASL_LINE_MAX 8192 /* bytes of a decoded response */

/* CAPABILITY							RFC 3501 6.1.1 */
static enum imap_next
imap_cmd_capability(struct imap_server *s, struct imap_in *in)
{
	if (!imap_end(in))
		return imap_server_syntax(s, in);
	buf_lit(imap_server_out(s), "* ");
	imap_server_capability(s, imap_server_out(s));
	buf_lit(imap_server_out(s), "\r\n");
	return imap_server_finish(s, "OK", "Capability completed");
}

/* NOOP, CHECK							RFC 3501 6.1.2, 6.4.1 */
enum imap_next
imap_server_noop(struct imap_server *s, struct imap_in *in)
{
	if (!imap_end(in))
		return imap_server_syntax(s, in);
	return imap_server_finish(s, "OK", "Completed");
}

/* LOGOUT							RFC 3501 6.1.3 */
static enum imap_next
imap_cmd_logout(struct imap_server *s, struct imap_in *in)
{
	if (!imap_end(in))
		return imap_server_syntax(s, in);
	imap_server_untagged(s, "BYE Logging out");
	s->line.why = "logout";
	s->doomed = true;
	return imap_server_finish(s, "OK", "Logout completed");
}

/* STARTTLS							RFC 3501 6.2.1 */
static enum imap_next
imap_cmd_starttls(struct imap_server *s, struct imap_in *in)
{
	int r;

	if (!imap_end(in))
		return imap_server_syntax(s, in);
	if (!s->tls_ctx || stream_secure(&s->line.io))
		return imap_server_bad(s, "STARTTLS is not offered");
	/* What the client sent behind the command came from anybody: no TLS for it. */
	if (stream_peek(&s->line.io).n > 0) {
		s->line.why = "plaintext";
		imap_server_untagged(s, "BYE Plaintext behind STARTTLS");
		return IMAP_CLOSE;
	}
	imap_server_finish(s, "OK", "Begin TLS negotiation now");
	r = line_session_starttls(&s->line, s->tls_ctx);
	if (r < 0) {
		if (s->policy->secured)
			s->policy->secured(s, r, strerror(-r));
		s->line.why = "tls";
		return IMAP_CLOSE;
	}
	return IMAP_WAIT;
}

/* LOGIN name password						RFC 3501 6.2.3 */
static enum imap_next
imap_cmd_login(struct imap_server *s, struct imap_in *in)
{
	struct slice name, password;

	if (!imap_space(in) || !imap_astring(in, &name) || !imap_space(in) ||
	    !imap_astring(in, &password) || !imap_end(in))
		return imap_server_syntax(s, in);
	if (!(s->policy->when(s) & IMAP_PASSWORDS))
		return imap_server_no(s, "PRIVACYREQUIRED", "Passwords only over TLS");
	return s->policy->login(s, name, password);
}

/* ---- AUTHENTICATE mechanism [initial response]		RFC 3501 6.2.2, RFC 4959 ------------ */

/* Decodes into the arena; false when it is no base64. */
static bool
imap_sasl_decode(struct imap_server *s, struct slice text, struct slice *response)
{
	struct buf b = { .cap = SASL_LINE_MAX };
	int r = base64_parse(&b, text);

	*response = arena_slice(&s->arena, buf_get(&b));
	if (b.p)
		explicit_bzero(b.p, b.n);
	buf_fini(&b);
	return r >= 0;
}

static enum imap_next
imap_sasl_line(struct imap_server *s, struct slice line)
{
	struct slice response;

	if (slice_eq(line, S("*")))
		return imap_server_bad(s, "Authentication cancelled");
	if (!imap_sasl_decode(s, line, &response))
		return imap_server_bad(s, "Bad base64");
	return s->policy->sasl_line(s, response);
}

static enum imap_next
imap_sasl_bytes(struct imap_server *s, struct slice in)
{
	return imap_server_line(s, in, imap_sasl_line);
}

static const struct imap_taker imap_sasl_taker = { "sasl", imap_sasl_bytes, false };

enum imap_next
imap_server_challenge(struct imap_server *s, struct slice challenge)
{
	buf_lit(imap_server_out(s), "+ ");
	base64_write(imap_server_out(s), challenge);
	buf_lit(imap_server_out(s), "\r\n");
	imap_lex_reset(&s->lex);
	s->input = &imap_sasl_taker;
	return IMAP_MORE;
}

static enum imap_next
imap_cmd_authenticate(struct imap_server *s, struct imap_in *in)
{
	struct slice mech, initial = { 0 }, response;

	if (!imap_space(in) || !imap_atom(in, &mech))
		return imap_server_syntax(s, in);
	if (imap_char(in, ' ')) {
		initial = slice_trim(in->s);
		in->s = slice_from(in->s, in->s.n);
	}
	if (!imap_end(in))
		return imap_server_syntax(s, in);
	if (!(s->policy->when(s) & IMAP_PASSWORDS))
		return imap_server_no(s, "PRIVACYREQUIRED", "Passwords only over TLS");
	mech = arena_slice(&s->arena, mech);
	if (!initial.p)
		return s->policy->sasl(s, mech, NULL);
	/* RFC 4959 3: "=" is an empty initial response. */
	if (slice_eq(initial, S("=")))
		initial.n = 0;
	if (!imap_sasl_decode(s, initial, &response))
		return imap_server_bad(s, "Bad base64");
	return s->policy->sasl(s, mech, &response);
}

const struct imap_command imap_server_commands[] = {
	{ "CAPABILITY", imap_cmd_capability, IMAP_ANY, 0, "RFC 3501 6.1.1", NULL },
	{ "NOOP", imap_server_noop, IMAP_ANY, 0, "RFC 3501 6.1.2", NULL },
	{ "LOGOUT", imap_cmd_logout, IMAP_ANY, IMAP_QUIET, "RFC 3501 6.1.3", NULL },
	{ "STARTTLS", imap_cmd_starttls, IMAP_NOTAUTH, 0, "RFC 3501 6.2.1", NULL },
	{ "AUTHENTICATE", imap_cmd_authenticate, IMAP_NOTAUTH, 0, "RFC 3501 6.2.2, RFC 4959",
	    NULL },
	{ "LOGIN", imap_cmd_login, IMAP_NOTAUTH, 0, "RFC 3501 6.2.3", NULL },
	{ NULL, NULL, 0, 0, NULL, NULL },
};
