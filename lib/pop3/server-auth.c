/* pop3/server-auth.c: what needs no mailbox: CAPA, STLS, UTF8, LANG, USER and PASS, AUTH, NOOP, QUIT.
 * RFC 1939 4 and 7, 2449, 2595, 5034, 6856.
 *
 * Owns: the lines of a SASL exchange, and the name between USER and PASS; mechanisms and passwords are
 * the policy's.  Called from the command table.  Can fail: the handshake.  Must stay true: nothing that
 * came in clear is taken for something that came under TLS; a password is wiped from the memory that
 * it was decoded into. */
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "pop3/server-impl.h"

#define POP3_RESPONSE_MAX 9216 /* bytes of a decoded response */

static enum pop3_next
pop3_takes_none(struct pop3_server *s)
{
	struct verdict v = verdict(OUT_VERB_TAKES_NONE, s->cmd->name);

	return pop3_server_bad(s, &v);
}

static enum pop3_next
pop3_needs(struct pop3_server *s, const char *what)
{
	struct verdict v = verdict(OUT_VERB_NEEDS, s->cmd->name, what);

	return pop3_server_bad(s, &v);
}

/* May a password come now? */
static bool
pop3_password_ok(struct pop3_server *s, enum pop3_next *answer)
{
	struct verdict v = verdict(OUT_STLS_FIRST);

	if (s->policy->password_ok(s))
		return true;
	*answer = pop3_server_err(s, POP3_PLAIN, &v);
	return false;
}

/* ---- what may be said at any time --------------------------------------------------------------- */

/* CAPA: the ways in are told after the login too, "both / no" (RFC 2449 6.2, 6.3, RFC 2595 4). */
static enum pop3_next
pop3_cmd_capa(struct pop3_server *s, struct slice arg)
{
	struct buf *b = pop3_server_out(s);

	if (arg.p)
		return pop3_takes_none(s);
	pop3_server_ok(s, "Capability list follows");
	if (s->policy->password_ok(s)) {
		buf_lit(b, "USER\r\nSASL ");
		buf_str(b, s->policy->mechanisms);
		buf_lit(b, "\r\n");
	}
	if (s->tls_ctx && !stream_secure(&s->line.io))
		buf_lit(b, "STLS\r\n");
	buf_lit(b, "PIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nUTF8 USER\r\nLANG\r\n");
	s->policy->capabilities(s, b);
	buf_lit(b, ".\r\n");
	return POP3_NEXT;
}

/* LANG [language]: there is but one.				RFC 6856 3 */
static enum pop3_next
pop3_cmd_lang(struct pop3_server *s, struct slice arg)
{
	struct verdict v = verdict(OUT_LANG_UNKNOWN);

	if (!arg.p) {
		pop3_server_ok(s, "Language listing follows");
		buf_lit(pop3_server_out(s), "en English\r\ni-default Default language\r\n.\r\n");
		return POP3_NEXT;
	}
	if (slice_ieq(arg, S("i-default")))
		return pop3_server_ok(s, "i-default Words are in English");
	if (slice_eq(arg, S("*")) || slice_ieq(arg, S("en")) || slice_istarts(arg, S("en-")))
		return pop3_server_ok(s, "en Words are in English");
	return pop3_server_err(s, POP3_PLAIN, &v);
}

/* NOOP								RFC 1939 5 */
static enum pop3_next
pop3_cmd_noop(struct pop3_server *s, struct slice arg)
{
	return arg.p ? pop3_takes_none(s) : pop3_server_ok(s, "Nothing done");
}

/* QUIT								RFC 1939 4, 6 */
static enum pop3_next
pop3_cmd_quit(struct pop3_server *s, struct slice arg)
{
	if (arg.p)
		return pop3_takes_none(s);
	return s->state == POP3_TRANSACTION ? s->policy->quit(s) : pop3_server_bye(s, "Bye");
}

/* ---- before the login ------------------------------------------------------------------------- */

/* UTF8: messages may go out with UTF-8 in their headers.	RFC 6856 2.1 */
static enum pop3_next
pop3_cmd_utf8(struct pop3_server *s, struct slice arg)
{
	if (arg.p)
		return pop3_takes_none(s);
	s->utf8 = true;
	return pop3_server_ok(s, "UTF8 enabled");
}

/* STLS								RFC 2595 4 */
static enum pop3_next
pop3_cmd_stls(struct pop3_server *s, struct slice arg)
{
	struct verdict v;
	int r;

	if (arg.p)
		return pop3_takes_none(s);
	if (!s->tls_ctx || stream_secure(&s->line.io)) {
		v = s->tls_ctx ? verdict(OUT_TLS_ALREADY) :
				 verdict(OUT_VERB_NOT_OFFERED, s->cmd->name);
		return pop3_server_err(s, POP3_PLAIN, &v);
	}
	/* What the client sent behind the command came from anybody: no TLS for it. */
	if (stream_peek(&s->line.io).n > 0) {
		v = verdict(OUT_INPUT_EARLY, s->cmd->name);
		s->line.why = "plaintext";
		s->doomed = true;
		return pop3_server_err(s, POP3_PLAIN, &v);
	}
	pop3_server_ok(s, "Begin TLS negotiation");
	/* RFC 2595 4: what was said in clear is forgotten. */
	mem_free(&s->name);
	s->utf8 = false;
	r = line_session_starttls(&s->line, s->tls_ctx);
	if (r == 0)
		return POP3_WAIT;
	if (s->policy->secured)
		s->policy->secured(s, r, strerror(-r));
	s->line.why = "tls";
	return POP3_CLOSE;
}

/* USER name: says nothing about whether there is one.		RFC 1939 7 */
static enum pop3_next
pop3_cmd_user(struct pop3_server *s, struct slice arg)
{
	struct slice name = slice_trim(arg);
	enum pop3_next answer;

	if (name.n == 0)
		return pop3_needs(s, "a name");
	if (!pop3_password_ok(s, &answer))
		return answer;
	mem_free(&s->name);
	s->name = mem_strn(name.p, name.n);
	return pop3_server_ok(s, "Now the password");
}

/* PASS string: blanks are part of it.				RFC 1939 7 */
static enum pop3_next
pop3_cmd_pass(struct pop3_server *s, struct slice arg)
{
	struct verdict v = verdict(OUT_ORDER_FIRST, "USER");
	enum pop3_next answer;
	struct slice name;

	if (!arg.p)
		return pop3_needs(s, "a password");
	if (!pop3_password_ok(s, &answer))
		return answer;
	if (!s->name)
		return pop3_server_bad(s, &v);
	/* USER comes again before another try. */
	name = arena_slice(&s->arena, slice_str(s->name));
	mem_free(&s->name);
	return s->policy->login(s, name, arg);
}

/* ---- AUTH mechanism [initial response]			RFC 1734, RFC 5034 --------------- */

/* Decodes into the arena; false when it is no base64. */
static bool
pop3_sasl_decode(struct pop3_server *s, struct slice text, struct slice *response)
{
	struct buf b = { .cap = POP3_RESPONSE_MAX };
	int r = base64_parse(&b, text);

	*response = arena_slice(&s->arena, buf_get(&b));
	if (b.p)
		explicit_bzero(b.p, b.n);
	buf_fini(&b);
	return r >= 0;
}

static enum pop3_next
pop3_sasl_broken(struct pop3_server *s)
{
	struct verdict v = verdict(OUT_AUTH_BASE64);

	return pop3_server_bad(s, &v);
}

enum pop3_next
pop3_sasl_line(struct pop3_server *s, struct slice line)
{
	struct verdict v = verdict(OUT_AUTH_GIVEN_UP);
	struct slice response;

	s->exchange = false;
	if (slice_eq(line, S("*")))
		return pop3_server_err(s, POP3_PLAIN, &v);
	if (!pop3_sasl_decode(s, line, &response))
		return pop3_sasl_broken(s);
	return s->policy->sasl_line(s, response);
}

enum pop3_next
pop3_server_challenge(struct pop3_server *s, struct slice challenge)
{
	buf_lit(pop3_server_out(s), "+ ");
	base64_write(pop3_server_out(s), challenge);
	buf_lit(pop3_server_out(s), "\r\n");
	s->exchange = true;
	return POP3_MORE;
}

/* Without a mechanism it asks for their names, which RFC 5034 does not have but old clients do. */
static enum pop3_next
pop3_list_mechanisms(struct pop3_server *s)
{
	struct slice rest = slice_str(s->policy->mechanisms), word;

	pop3_server_ok(s, "Mechanisms follow");
	while (slice_word(&rest, &word)) {
		buf_slice(pop3_server_out(s), word);
		buf_lit(pop3_server_out(s), "\r\n");
	}
	buf_lit(pop3_server_out(s), ".\r\n");
	return POP3_NEXT;
}

static enum pop3_next
pop3_cmd_auth(struct pop3_server *s, struct slice arg)
{
	struct slice mechanism, initial, response;
	enum pop3_next answer;

	if (!pop3_password_ok(s, &answer))
		return answer;
	if (!arg.p)
		return pop3_list_mechanisms(s);
	pop3_line_parse(arg, &mechanism, &initial);
	mechanism = arena_slice(&s->arena, mechanism);
	if (!initial.p)
		return s->policy->sasl(s, mechanism, NULL);
	/* RFC 5034 4: "=" is an empty initial response. */
	if (slice_eq(initial, S("=")))
		initial.n = 0;
	if (!pop3_sasl_decode(s, initial, &response))
		return pop3_sasl_broken(s);
	return s->policy->sasl(s, mechanism, &response);
}

const struct pop3_command pop3_server_commands[] = {
	{ "CAPA", pop3_cmd_capa, POP3_ANY, "RFC 2449 5" },
	{ "LANG", pop3_cmd_lang, POP3_ANY, "RFC 6856 3" },
	{ "NOOP", pop3_cmd_noop, POP3_TRANSACTION, "RFC 1939 5" },
	{ "QUIT", pop3_cmd_quit, POP3_ANY, "RFC 1939 4, 6" },
	{ "UTF8", pop3_cmd_utf8, POP3_AUTHORIZATION, "RFC 6856 2.1" },
	{ "STLS", pop3_cmd_stls, POP3_AUTHORIZATION, "RFC 2595 4" },
	{ "USER", pop3_cmd_user, POP3_AUTHORIZATION, "RFC 1939 7" },
	{ "PASS", pop3_cmd_pass, POP3_AUTHORIZATION, "RFC 1939 7" },
	{ "AUTH", pop3_cmd_auth, POP3_AUTHORIZATION, "RFC 1734, 5034" },
	{ NULL, NULL, 0, NULL },
};
