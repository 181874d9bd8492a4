/* received.c: our trace field.
 *
 * Called by smtp-relay and lmtpd once for each message.  Nothing can fail.  Names and addresses
 * come from the client: what must stay true is that none of them can end the clause, the comment
 * or the line that it stands in, because the next host counts these fields and people trust them. */
#include "mail/date.h"
#include "mail/received.h"

/* Foreign text inside a clause: what could end it or open a comment becomes "?". */
static void
add_atom(struct buf *b, struct slice s)
{
	static const bool ends[128] = { ['('] = true,
		[')'] = true,
		['<'] = true,
		['>'] = true,
		[','] = true,
		[';'] = true,
		['\\'] = true,
		['"'] = true };
	size_t n = s.n < 255 ? s.n : 255;
	char *dst = buf_reserve(b, n);

	if (!dst)
		return;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		dst[i] = c & 0x80 || (c > ' ' && c <= '~' && !ends[c]) ? (char)c : '?';
	}
	b->n += n;
}

/* Inside a comment blanks are harmless. */
static void
add_comment(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n && i < 255; i++)
		buf_char(b,
		    (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f || strchr("()\\", s.p[i]) ?
			'?' :
			s.p[i]);
}

/* An address may hold anything in its quotes but control characters. */
static void
add_path(struct buf *b, struct slice s)
{
	char *dst = buf_reserve(b, s.n);

	if (!dst)
		return;
	for (size_t i = 0; i < s.n; i++)
		dst[i] = (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? '?' : s.p[i];
	b->n += s.n;
}

static void
add_literal(struct buf *b, struct slice addr)
{
	buf_char(b, '[');
	if (slice_find(addr, ':') < addr.n)
		buf_lit(b, "IPv6:");
	add_atom(b, addr);
	buf_char(b, ']');
}

/* RFC 5321 4.4: From-domain is what the client said, TCP-info what we know. */
static void
add_from(struct buf *b, const struct received *r)
{
	buf_lit(b, "from ");
	if (r->helo.n)
		add_atom(b, r->helo);
	else
		add_literal(b, r->addr);
	if (r->addr.n && r->helo.n) {
		buf_lit(b, " (");
		if (r->rdns.n) {
			add_atom(b, r->rdns);
			buf_char(b, ' ');
		}
		add_literal(b, r->addr);
		buf_char(b, ')');
	}
	buf_lit(b, "\r\n\t");
}

void
received_write(struct buf *b, const struct received *r)
{
	buf_lit(b, "Received: ");
	if (r->helo.n || r->addr.n)
		add_from(b, r);
	buf_lit(b, "by ");
	add_atom(b, r->by);
	if (r->with.n) {
		buf_lit(b, " with ");
		add_atom(b, r->with);
	}
	if (r->tls.n) {
		buf_lit(b, "\r\n\t(");
		add_comment(b, r->tls);
		buf_char(b, ')');
	}
	if (r->auth.n) {
		buf_lit(b, "\r\n\t(authenticated as ");
		add_comment(b, r->auth);
		buf_char(b, ')');
	}
	if (r->id.n) {
		buf_lit(b, " id ");
		add_atom(b, r->id);
	}
	if (r->rcpt.n) {
		buf_lit(b, "\r\n\tfor <");
		add_path(b, r->rcpt);
		buf_char(b, '>');
	}
	if (r->priority)
		buf_printf(b, "\r\n\tPRIORITY %d", r->priority);
	buf_lit(b, ";\r\n\t");
	date_write(b, r->at, r->zone);
	buf_lit(b, "\r\n");
}

const char *
received_with(bool lmtp, bool esmtp, bool tls, bool auth, bool utf8)
{
	/* clang-format off */
	static const char *const names[2][2][2][2] = { /* lmtp, utf8, tls, auth */
		{ { { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
		  { { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } } },
		{ { { "LMTP", "LMTPA" }, { "LMTPS", "LMTPSA" } },
		  { { "UTF8LMTP", "UTF8LMTPA" }, { "UTF8LMTPS", "UTF8LMTPSA" } } },
	};
	/* clang-format on */

	return !lmtp && !esmtp ? "SMTP" : names[lmtp][utf8][tls][auth];
}
