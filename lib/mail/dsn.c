/* mail/dsn.c: a report in its three parts: words for people, fields for programs, the message.
 *
 * Called by channel-master's bounce.c, which puts the returned message between head and tail.
 * Nothing can fail.  What must stay true: a text of another host is one line and printable before
 * it gets here into a header or a paragraph (dsn_put_text, put_wrapped), and only a report that
 * says so (d->utf8) holds bytes above 0x7f, because systems on its way may not take them. */
#include "base/utf8.h"
#include "mail/date.h"
#include "mail/dsn.h"
#include "mail/encoded-word.h"
#include "mail/text.h"

#define LINE 76

static const char *
dsn_action_word(enum dsn_action a)
{
	/* clang-format off */
	static const char *const words[] = {
		[DSN_FAILED] = "failed", [DSN_DELAYED] = "delayed", [DSN_DELIVERED] = "delivered",
		[DSN_RELAYED] = "relayed", [DSN_EXPANDED] = "expanded",
	};
	/* clang-format on */

	return words[a];
}

/* ---- small pieces --------------------------------------------------------------------- */

/* Foreign text: no control characters; 8-bit bytes only where the report may have them. */
static void
dsn_put_text(struct buf *b, const char *s, bool utf8)
{
	struct slice rest = slice_str(s);

	while (rest.n) {
		struct slice at = rest;
		int32_t cp = utf8_next(&rest);

		if (cp < 0 || (cp > 126 && !utf8))
			buf_char(b, '?');
		else if (cp < ' ' || cp == 127)
			buf_char(b, ' ');
		else
			buf_add(b, at.p, at.n - rest.n);
	}
}

static void
put_field(struct buf *b, const char *name, const char *value, bool utf8)
{
	buf_str(b, name);
	buf_lit(b, ": ");
	dsn_put_text(b, value, utf8);
	buf_lit(b, "\r\n");
}

static void
put_date(struct buf *b, const char *name, int64_t at)
{
	buf_str(b, name);
	buf_lit(b, ": ");
	date_write(b, at, 0);
	buf_lit(b, "\r\n");
}

/* An address as "rfc822;..." or "utf-8;..." (RFC 6533 3: in a report that is not UTF-8
 * itself, as utf-8-addr-xtext). */
static void
put_typed(struct buf *b, const char *name, const char *type, const char *address, bool utf8)
{
	struct slice rest = slice_str(address);

	buf_printf(b, "%s: %s;", name, utf8_ascii(rest) ? type : "utf-8");
	while (rest.n) {
		struct slice at = rest;
		int32_t cp = utf8_next(&rest);

		if (cp < 0)
			buf_char(b, '?');
		else if (cp < ' ' || cp == 127)
			buf_char(b, ' ');
		else if (cp > 127 && !utf8)
			buf_printf(b, "\\x{%X}", (unsigned)cp);
		else
			buf_add(b, at.p, at.n - rest.n);
	}
	buf_lit(b, "\r\n");
}

static void
put_esc(struct buf *b, const struct dsn_rcpt *r)
{
	struct verdict v = *r->v;

	/* The class must fit the action (RFC 3464 2.3.4); an expired message was deferred to the
	 * end and has failed now. */
	v.kind = r->action == DSN_FAILED ? PERM : r->action == DSN_DELAYED ? TEMP : OK;
	verdict_esc_write(b, &v);
}

/* Words wrapped at LINE columns, each line begun with `indent` blanks. */
static void
put_wrapped(struct buf *b, const char *text, size_t indent, bool utf8)
{
	struct buf clean = { 0 };
	struct slice rest, word;
	size_t column = 0;

	dsn_put_text(&clean, text, utf8);
	rest = buf_get(&clean);
	while (slice_word(&rest, &word)) {
		if (column && column + 1 + word.n > LINE) {
			buf_lit(b, "\r\n");
			column = 0;
		}
		if (column == 0) {
			for (; column < indent; column++)
				buf_char(b, ' ');
		} else {
			buf_char(b, ' ');
			column++;
		}
		buf_slice(b, word);
		column += word.n;
	}
	buf_lit(b, "\r\n");
	buf_fini(&clean);
}

/* ---- the report's header -------------------------------------------------------------- */

/* The action that names the report: the most serious one. */
static enum dsn_action
gravest(const struct dsn *d)
{
	enum dsn_action a = d->rcpts[0].action;

	for (size_t i = 1; i < d->nrcpt; i++)
		if (d->rcpts[i].action < a)
			a = d->rcpts[i].action;
	return a;
}

static const struct dsn_words *
dsn_words_of(const struct dsn *d)
{
	return d->words ? d->words : &dsn_words_english;
}

static void
put_header(struct buf *b, const struct dsn *d)
{
	put_date(b, "Date", d->now);
	buf_lit(b, "From: ");
	encoded_word_write(b, slice_str(dsn_words_of(d)->text[DSN_FROM]), ENCODED_PHRASE);
	buf_printf(b, " <MAILER-DAEMON@%s>\r\n", d->host);
	buf_lit(b, "To: <");
	dsn_put_text(b, d->to, d->utf8);
	buf_lit(b, ">\r\n");
	buf_lit(b, "Subject: ");
	encoded_word_write(b, slice_str(dsn_words_of(d)->text[DSN_SUBJECT + gravest(d)]),
	    ENCODED_TEXT);
	buf_lit(b, "\r\n");
	buf_printf(b, "Message-ID: <%s@%s>\r\n", d->message_id, d->host);
	if (d->about) {
		put_field(b, "In-Reply-To", d->about, d->utf8);
		put_field(b, "References", d->about, d->utf8);
	}
	buf_lit(b, "Auto-Submitted: auto-replied\r\n"); /* RFC 3834 */
	buf_lit(b, "MIME-Version: 1.0\r\n");
	buf_printf(b,
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"%s\"\r\n",
	    d->boundary);
	if (d->utf8 || d->eightbit)
		buf_lit(b, "Content-Transfer-Encoding: 8bit\r\n");
	buf_lit(b, "\r\n");
}

/* ---- for people ----------------------------------------------------------------------- */

/* A text with what its placeholder stands for: foreign, like `value`, and indented. */
static void
dsn_put_said(struct buf *b, const struct dsn *d, enum dsn_word word, const char *value,
    size_t indent)
{
	struct slice rest = slice_str(dsn_words_of(d)->text[word]);
	struct buf text = { 0 };

	while (rest.n) {
		size_t at = slice_find_str(rest, S("%{"));

		buf_slice(&text, slice(rest.p, at));
		rest = slice_from(rest, at);
		if (rest.n == 0)
			break;
		dsn_put_text(&text, value, d->utf8);
		rest = slice_from(rest, slice_find(rest, '}') + 1);
	}
	put_wrapped(b, buf_cstr(&text), indent, true);
	buf_fini(&text);
}

static void
put_paragraph(struct buf *b, const struct dsn *d, enum dsn_action a)
{
	bool first = true;

	for (size_t i = 0; i < d->nrcpt; i++) {
		const struct dsn_rcpt *r = &d->rcpts[i];

		if (r->action != a)
			continue;
		if (first)
			put_wrapped(b, dsn_words_of(d)->text[DSN_TEXT + a], 0, true);
		first = false;
		buf_lit(b, "\r\n  <");
		dsn_put_text(b, r->address, d->utf8);
		buf_lit(b, ">");
		if (r->action > DSN_DELAYED) {
			buf_lit(b, "\r\n");
			continue;
		}
		buf_lit(b, ":\r\n");
		if (r->remote && r->mta)
			dsn_put_said(b, d, DSN_SAID, r->mta, 4);
		if (r->v->text[0])
			put_wrapped(b, r->v->text, 4, d->utf8);
		else
			put_wrapped(b, dsn_words_of(d)->text[DSN_SILENT], 4, true);
	}
	if (!first)
		buf_lit(b, "\r\n");
}

static void
dsn_put_body(struct buf *b, const struct dsn *d)
{
	struct buf until = { 0 };

	dsn_put_said(b, d, DSN_GREETING, d->host, 0);
	buf_lit(b, "\r\n");
	for (int a = DSN_FAILED; a <= DSN_EXPANDED; a++)
		put_paragraph(b, d, (enum dsn_action)a);
	if (d->retry_until_at && gravest(d) == DSN_DELAYED) {
		date_write(&until, d->retry_until_at, 0);
		dsn_put_said(b, d, DSN_UNTIL, buf_cstr(&until), 0);
		buf_lit(b, "\r\n");
	}
	put_wrapped(b, dsn_words_of(d)->text[d->full ? DSN_WHOLE : DSN_HEADER], 0, true);
	buf_fini(&until);
}

static void
put_words(struct buf *b, const struct dsn *d)
{
	struct buf body = { 0 };
	bool ascii;

	dsn_put_body(&body, d);
	ascii = utf8_ascii(buf_get(&body));
	buf_printf(b, "--%s\r\n", d->boundary);
	buf_printf(b, "Content-Type: text/plain; charset=%s\r\n",
	    d->utf8 || !ascii ? "utf-8" : "us-ascii");
	if (d->utf8)
		buf_lit(b, "Content-Transfer-Encoding: 8bit\r\n");
	else if (!ascii)
		buf_lit(b, "Content-Transfer-Encoding: quoted-printable\r\n");
	buf_printf(b, "Content-Language: %s\r\n", dsn_words_of(d)->language); /* RFC 3282 */
	buf_lit(b, "Content-Description: Notification\r\n\r\n");
	if (d->utf8 || ascii)
		buf_slice(b, buf_get(&body));
	else
		text_write_qp(b, buf_get(&body));
	buf_fini(&body);
}

/* ---- for programs --------------------------------------------------------------------- */

static void
dsn_put_rcpt(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	const char *semi = r->orcpt ? strchr(r->orcpt, ';') : NULL;

	buf_lit(b, "\r\n");
	if (semi && semi > r->orcpt) {
		char type[32];

		slice_cstr(slice(r->orcpt, (size_t)(semi - r->orcpt)), type, sizeof(type));
		put_typed(b, "Original-Recipient", type, semi + 1, d->utf8);
	}
	put_typed(b, "Final-Recipient", "rfc822", r->address, d->utf8);
	put_field(b, "Action", dsn_action_word(r->action), false);
	buf_lit(b, "Status: ");
	put_esc(b, r);
	buf_lit(b, "\r\n");
	if (r->remote && r->mta) {
		buf_lit(b, "Remote-MTA: dns; ");
		dsn_put_text(b, r->mta, d->utf8);
		buf_lit(b, "\r\n");
	}
	if (r->remote || r->action <= DSN_DELAYED) {
		/* Our own findings are not a reply of SMTP (RFC 3464 2.3.6). */
		buf_str(b, r->remote ? "Diagnostic-Code: smtp; " : "Diagnostic-Code: x-tiermail; ");
		if (r->remote)
			verdict_quote_write(b, r->v);
		dsn_put_text(b, r->v->text[0] ? r->v->text : "(no text)", d->utf8);
		buf_lit(b, "\r\n");
	}
	if (r->at)
		put_date(b, "Last-Attempt-Date", r->at);
	if (d->qid)
		put_field(b, "Final-Log-ID", d->qid, false);
	if (r->action == DSN_DELAYED && d->retry_until_at)
		put_date(b, "Will-Retry-Until", d->retry_until_at);
}

static void
put_status(struct buf *b, const struct dsn *d)
{
	buf_printf(b, "\r\n--%s\r\n", d->boundary);
	if (d->utf8)
		buf_lit(b,
		    "Content-Type: message/global-delivery-status\r\n"
		    "Content-Transfer-Encoding: 8bit\r\n");
	else
		buf_lit(b, "Content-Type: message/delivery-status\r\n");
	buf_lit(b, "Content-Description: Delivery report\r\n\r\n");
	if (d->envid)
		put_field(b, "Original-Envelope-Id", d->envid, d->utf8);
	buf_printf(b, "Reporting-MTA: dns; %s\r\n", d->host);
	if (d->received_from) {
		buf_lit(b, "Received-From-MTA: dns; ");
		dsn_put_text(b, d->received_from, d->utf8);
		buf_lit(b, "\r\n");
	}
	if (d->arrival_at)
		put_date(b, "Arrival-Date", d->arrival_at);
	if (d->release_asked) {
		buf_lit(b, "Future-Release-Request: ");
		dsn_put_text(b, d->release_asked, d->utf8);
		buf_lit(b, "\r\n");
	}
	for (size_t i = 0; i < d->nrcpt; i++)
		dsn_put_rcpt(b, d, &d->rcpts[i]);
}

void
dsn_write_head(struct buf *b, const struct dsn *d)
{
	const char *type = d->full ? "message/rfc822" : "text/rfc822-headers";

	put_header(b, d);
	put_words(b, d);
	put_status(b, d);
	buf_printf(b, "\r\n--%s\r\n", d->boundary);
	if (d->utf8) /* RFC 6533 5 */
		type = d->full ? "message/global" : "message/global-headers";
	buf_printf(b, "Content-Type: %s\r\n", type);
	if (d->utf8 || d->eightbit)
		buf_lit(b, "Content-Transfer-Encoding: 8bit\r\n");
	buf_printf(b, "Content-Description: %s\r\n\r\n",
	    d->full ? "The message" : "Header of the message");
}

void
dsn_write_tail(struct buf *b, const struct dsn *d)
{
	buf_printf(b, "\r\n--%s--\r\n", d->boundary);
}
