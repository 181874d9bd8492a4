/* filters-ask.c: what filters are asked: packets of the session as it stands, and macros by the names that
 * Postfix gives them.  Cannot fail; a macro of which nothing is known is not sent. */
#include <stdio.h>

#include "filters.h"

/* ---- packets --------------------------------------------------------------------------------- */

static bool
client_known(const struct session *s)
{
	return s->role != ROLE_LOCAL && s->peer.sa.sa_family != AF_UNIX;
}

/* Nobody looks up names: a client is called by its address.  Programs of this host are what Postfix makes of
 * mail that comes from no network. */
static void
client_name(const struct session *s, struct buf *out)
{
	if (names_client(s))
		buf_str(out, names_client(s));
	else if (client_known(s))
		buf_printf(out, "[%s]", s->client);
	else
		buf_lit(out, "localhost");
}

static void
packet_connect(const struct session *s, struct buf *out)
{
	struct buf name = { 0 };

	client_name(s, &name);
	if (client_known(s))
		milter_connect_write(out, buf_get(&name),
		    s->peer.sa.sa_family == AF_INET6 ? '6' : '4', (uint16_t)addr_port(&s->peer),
		    slice_str(s->client));
	else
		milter_connect_write(out, buf_get(&name), '4', 0, S("127.0.0.1"));
	buf_fini(&name);
}

static struct slice
path_text(struct session *s, const struct address *a)
{
	struct buf b = { 0 };
	struct slice path;

	buf_char(&b, '<');
	address_write(&b, a);
	buf_char(&b, '>');
	path = arena_slice(&s->smtp.arena, buf_get(&b));
	buf_fini(&b);
	return path;
}

static struct slice
argument(struct session *s, const char *text)
{
	return slice_str(arena_str(&s->smtp.arena, text));
}

static void
packet_mail(struct session *s, struct buf *out)
{
	const struct smtp_mail *m = &s->smtp.mail;
	struct arena *a = &s->smtp.arena;
	struct slice words[6];
	size_t n = 0;

	words[n++] = path_text(s, &s->from);
	if (m->size)
		words[n++] = slice_str(arena_printf(a, "SIZE=%llu", (unsigned long long)m->size));
	if (m->body != SMTP_BODY_NONE)
		words[n++] = argument(s, m->body == SMTP_BODY_7BIT ? "BODY=7BIT" : "BODY=8BITMIME");
	if (m->smtputf8)
		words[n++] = argument(s, "SMTPUTF8");
	if (m->ret != SMTP_RET_NONE)
		words[n++] = argument(s, m->ret == SMTP_RET_FULL ? "RET=FULL" : "RET=HDRS");
	milter_strings_write(out, MILTER_CMD_MAIL, words, n);
}

void
filters_packet(struct filters *f, enum milter_stage at, struct buf *out)
{
	struct session *s = f->session;
	struct slice word;

	switch (at) {
	case MILTER_AT_CONNECT: packet_connect(s, out); break;
	case MILTER_AT_HELO:
		word = slice_str(s->smtp.helo);
		milter_strings_write(out, MILTER_CMD_HELO, &word, 1);
		break;
	case MILTER_AT_MAIL: packet_mail(s, out); break;
	case MILTER_AT_RCPT:
		word = path_text(s, f->rcpt);
		milter_strings_write(out, MILTER_CMD_RCPT, &word, 1);
		break;
	case MILTER_AT_DATA: milter_strings_write(out, MILTER_CMD_DATA, NULL, 0); break;
	case MILTER_AT_UNKNOWN:
		word = buf_get(&f->unknown);
		milter_strings_write(out, MILTER_CMD_UNKNOWN, &word, 1);
		break;
	case MILTER_AT_END:
	case MILTER_AT_HEADER_END:
	case MILTER_STAGES: break; /* the client's own */
	}
}

/* ---- macros ---------------------------------------------------------------------------------- */

typedef void (*macro_fn)(const struct filters *f, struct buf *out);

static void
macro_text(struct buf *out, const char *text)
{
	if (text)
		buf_str(out, text);
}

static void
macro_host(const struct filters *f UNUSED, struct buf *out)
{
	macro_text(out, shared.hostname);
}

static void
macro_version(const struct filters *f UNUSED, struct buf *out)
{
	buf_lit(out, "tiermail " TIERMAIL_VERSION);
}

static void
macro_client(const struct filters *f, struct buf *out)
{
	client_name(f->session, out);
	buf_printf(out, " [%s]", client_known(f->session) ? f->session->client : "127.0.0.1");
}

static void
macro_client_addr(const struct filters *f, struct buf *out)
{
	macro_text(out, client_known(f->session) ? f->session->client : "127.0.0.1");
}

static void
macro_client_name(const struct filters *f, struct buf *out)
{
	const char *name = names_client(f->session);

	macro_text(out, name ? name : client_known(f->session) ? "unknown" : "localhost");
}

static void
macro_client_ptr(const struct filters *f, struct buf *out)
{
	const char *name = names_reverse(f->session);

	macro_text(out, name ? name : client_known(f->session) ? "unknown" : "localhost");
}

static void
macro_client_port(const struct filters *f, struct buf *out)
{
	buf_u64(out, client_known(f->session) ? (uint64_t)addr_port(&f->session->peer) : 0);
}

static void
macro_daemon_name(const struct filters *f, struct buf *out)
{
	macro_text(out, f->filter[f->i].daemon_name); /* as Postfix's milter_macro_daemon_name */
}

static void
macro_daemon_addr(const struct filters *f, struct buf *out)
{
	struct addr a;
	char text[ADDR_TEXT];

	stream_local(&f->session->smtp.line.io, &a);
	if (a.sa.sa_family != AF_UNIX)
		macro_text(out, addr_host(&a, text));
}

static void
macro_tls_version(const struct filters *f, struct buf *out)
{
	macro_text(out, stream_tls_version(&f->session->smtp.line.io));
}

static void
macro_cipher(const struct filters *f, struct buf *out)
{
	macro_text(out, stream_tls_cipher(&f->session->smtp.line.io));
}

static void
macro_cipher_bits(const struct filters *f, struct buf *out)
{
	int bits = stream_tls_cipher_bits(&f->session->smtp.line.io);

	if (bits > 0)
		buf_i64(out, bits);
}

static void
macro_subject(const struct filters *f, struct buf *out)
{
	char name[256];

	if (stream_tls_peer_subject(&f->session->smtp.line.io, name, sizeof(name)))
		macro_text(out, name);
}

static void
macro_qid(const struct filters *f, struct buf *out)
{
	macro_text(out, f->session->qid);
}

static void
macro_account(const struct filters *f, struct buf *out)
{
	macro_text(out, f->session->account);
}

static void
macro_mechanism(const struct filters *f, struct buf *out)
{
	const char *how = f->session->mechanism;

	if (!f->session->account)
		return;
	for (const char *p = how; *p; p++)
		buf_char(out, ascii_upper(*p));
	if (!*how)
		buf_lit(out, "XCLIENT"); /* Postfix's word for it */
}

static void
macro_author(const struct filters *f, struct buf *out)
{
	if (f->session->account && f->session->smtp.mail.auth.p)
		buf_slice(out, f->session->smtp.mail.auth);
}

static void
macro_mail_addr(const struct filters *f, struct buf *out)
{
	address_write(out, &f->session->from);
}

static void
macro_mail_host(const struct filters *f, struct buf *out)
{
	buf_slice(out, f->session->from.domain);
}

static void
macro_mail_channel(const struct filters *f, struct buf *out)
{
	macro_text(out, relay_message_source(f->session));
}

static void
macro_rcpt_addr(const struct filters *f, struct buf *out)
{
	if (f->rcpt_no) /* as Postfix: why, by which code, and by nobody's channel */
		macro_text(out, f->rcpt_no->text);
	else if (f->rcpt)
		address_write(out, f->rcpt);
}

static void
macro_rcpt_host(const struct filters *f, struct buf *out)
{
	if (f->rcpt_no)
		buf_printf(out, "%d.%u.%u", (int)f->rcpt_no->kind, f->rcpt_no->subject,
		    f->rcpt_no->detail);
	else
		macro_text(out, f->rcpt_host);
}

static void
macro_rcpt_channel(const struct filters *f, struct buf *out)
{
	macro_text(out, f->rcpt_no ? "error" : f->rcpt_channel);
}

static const struct {
	const char *name;
	macro_fn fn;
} macros[] = {
	{ "i", macro_qid },
	{ "j", macro_host },
	{ "v", macro_version },
	{ "_", macro_client },
	{ "daemon_name", macro_daemon_name },
	{ "daemon_addr", macro_daemon_addr },
	{ "client_addr", macro_client_addr },
	{ "client_name", macro_client_name },
	{ "client_ptr", macro_client_ptr },
	{ "client_port", macro_client_port },
	{ "tls_version", macro_tls_version },
	{ "cipher", macro_cipher },
	{ "cipher_bits", macro_cipher_bits },
	{ "cert_subject", macro_subject },
	{ "auth_type", macro_mechanism },
	{ "auth_authen", macro_account },
	{ "auth_author", macro_author },
	{ "mail_addr", macro_mail_addr },
	{ "mail_host", macro_mail_host },
	{ "mail_mailer", macro_mail_channel },
	{ "rcpt_addr", macro_rcpt_addr },
	{ "rcpt_host", macro_rcpt_host },
	{ "rcpt_mailer", macro_rcpt_channel },
};

bool
filters_macro(void *arg, struct slice name, struct buf *out)
{
	const struct filter *x = arg;

	for (size_t i = 0; i < NELEM(macros); i++) {
		if (!slice_eq(name, slice_str(macros[i].name)))
			continue;
		macros[i].fn(x->chain, out);
		return out->n > 0;
	}
	return false;
}
