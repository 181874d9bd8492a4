/* smtp/client-auth.c: who we are: AUTH PLAIN or AUTH LOGIN (RFC 4954, 4616) between the hello and the first transaction.
 *
 * One step of client.c's script, said again for each challenge; ends in smtp_client_hello_finish, once.  Fails by what the
 * server says, which is never for good: a login that is refused is a mistake of the configuration, and the mail waits for
 * its mending.  Must stay true: nothing of a login is sent but under TLS that the owner has demanded and verifies. */
#include "base/base64.h"
#include "base/must.h"
#include "base/secret.h"
#include "smtp/client-impl.h"

#define AUTH_COMMAND                                                                               \
	512 /* octets of a command with its CRLF, an initial response too (RFC 4954 4) */

/* What is sent next. */
enum {
	LOGIN_COMMAND,
	LOGIN_USER,
	LOGIN_PASSWORD,
	LOGIN_BOTH,
	LOGIN_ALL_SENT,
	LOGIN_CANCEL,
	LOGIN_CANCELLED
};

static void
login_failed(struct smtp_client *c, const struct verdict *v, bool ours)
{
	c->login_wrong = ours;
	smtp_client_hello_finish(c, v);
}

void
smtp_client_hello_answered(struct smtp_client *c)
{
	struct verdict v = smtp_answer_verdict(&c->answer);

	if (!c->p->login) {
		smtp_client_hello_finish(c, &v);
		return;
	}
	if (!stream_secure(&c->io) || c->p->tls != SMTP_TLS_MUST || c->p->tls_lenient) {
		v = verdict(OUT_LOGIN_NO_TLS, c->tls_name ? c->tls_name : c->offer.name);
		login_failed(c, &v, true);
		return;
	}
	if (!c->offer.auth) {
		v = verdict(OUT_LOGIN_NOT_THERE);
		login_failed(c, &v, true);
		return;
	}
	c->login_next = LOGIN_COMMAND;
	c->send.step = CLIENT_AUTH;
}

/* In base64, and no trace of it is left behind but where it is sent from. */
static void
login_word(struct buf *out, struct slice s)
{
	buf_grow(out, s.n * 2 + 8);
	base64_write(out, s);
}

static void
put_both(const struct smtp_client *c, struct buf *out)
{
	struct slice user = slice_str(c->p->login->user),
		     password = slice_str(c->p->login->password);
	struct buf both = { 0 };

	buf_grow(&both, user.n + password.n + 2);
	buf_char(&both, '\0'); /* nobody else than who logs in */
	buf_slice(&both, user);
	buf_char(&both, '\0');
	buf_slice(&both, password);
	login_word(out, buf_get(&both));
	secret_clear(both.p, both.n);
	buf_fini(&both);
}

static unsigned
send_command(const struct smtp_client *c, struct buf *out)
{
	size_t n = strlen(c->p->login->user) + strlen(c->p->login->password) + 2;

	if (!(c->offer.auth & OFFER_AUTH_PLAIN)) {
		buf_lit(out, "AUTH LOGIN");
		return LOGIN_USER;
	}
	buf_lit(out, "AUTH PLAIN");
	if (strlen("AUTH PLAIN ") + (n + 2) / 3 * 4 + 2 > AUTH_COMMAND)
		return LOGIN_BOTH;
	buf_char(out, ' ');
	put_both(c, out);
	return LOGIN_ALL_SENT;
}

void
smtp_client_send_auth(struct smtp_client *c)
{
	struct buf *out = stream_out(&c->io);

	must(stream_secure(&c->io));
	switch (c->login_next) {
	case LOGIN_COMMAND: c->login_next = (uint8_t)send_command(c, out); break;
	case LOGIN_USER:
		login_word(out, slice_str(c->p->login->user));
		c->login_next = LOGIN_PASSWORD;
		break;
	case LOGIN_PASSWORD:
		login_word(out, slice_str(c->p->login->password));
		c->login_next = LOGIN_ALL_SENT;
		break;
	case LOGIN_BOTH:
		put_both(c, out);
		c->login_next = LOGIN_ALL_SENT;
		break;
	default:
		buf_char(out, '*');
		c->login_next = LOGIN_CANCELLED;
		break;
	}
	buf_lit(out, "\r\n");
}

void
smtp_client_got_auth(struct smtp_client *c)
{
	struct verdict v = smtp_answer_verdict(&c->answer);
	int code = c->answer.code;

	smtp_client_replied(c);
	if (code == 334 && c->login_next != LOGIN_CANCELLED) {
		if (c->login_next == LOGIN_ALL_SENT) /* it wants more than there is */
			c->login_next = LOGIN_CANCEL;
		c->send.step = CLIENT_AUTH;
		return;
	}
	if (code / 100 == 2 && c->login_next == LOGIN_ALL_SENT) {
		smtp_client_hello_finish(c, &v);
		return;
	}
	if (code / 100 == 4) { /* 454: its database is away */
		login_failed(c, &v, false);
		return;
	}
	/* 504, 534, 538: not by this mechanism, or not without more (RFC 4954 4, 6). */
	v = code == 504 || code == 534 || code == 538 || c->login_next != LOGIN_ALL_SENT ?
	    verdict(OUT_LOGIN_OTHERWISE, v.text) :
	    verdict(OUT_LOGIN_REFUSED, v.text);
	login_failed(c, &v, true);
}
